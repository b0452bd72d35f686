//! Integration tests: one binary, one link.

mod config;
