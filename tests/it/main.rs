//! Integration tests: one binary, one link.

mod child;
mod control_socket;
mod journal;
mod service;
