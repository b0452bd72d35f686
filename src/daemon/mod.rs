//! The tasks. They carry bytes; decisions are in [`crate::site`].

pub mod admission;
mod entrance;
pub mod field;
pub mod host;
pub mod link;
pub mod listener;
pub mod rate_limited;
