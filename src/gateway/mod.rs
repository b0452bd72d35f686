//! Our role as a charge point towards billing backends.

mod dial_failure;

pub use dial_failure::DialFailure;
