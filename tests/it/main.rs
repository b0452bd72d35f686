//! Integration tests: one binary, one link.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod config;
