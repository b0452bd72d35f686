//! Integration tests: one binary, one link.

fn main() {}
