//! Integration tests: one binary, one link.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "what panics in a test has failed"
)]

mod server_sockets;
