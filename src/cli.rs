//! The command line: what is typed, and what is printed for people.

pub mod control_client;
pub mod evse;
mod grid;
pub mod status;
pub mod table;
