//! The tasks. They carry bytes; decisions are in [`crate::site`].

pub mod clock;
pub mod control;
pub mod field;
pub mod logging;
pub mod systemd;
