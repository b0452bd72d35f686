//! The tasks. They carry bytes; decisions are in [`crate::site`].

pub mod clock;
pub mod field;
