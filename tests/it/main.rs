//! Integration tests: one binary, one link.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a panic is how a test fails; clippy spares only the functions marked #[test]"
)]

mod architecture;
mod schema;
mod schema_bites;
