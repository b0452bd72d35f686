//! What must hold for every input from outside, one function for each kind of it.
//!
//! `fuzz_targets` lets a fuzzer look for inputs for which it does not; `tests/it/seeds.rs` tries those
//! in `seeds` with every `cargo test`.

mod basic;
mod certificate;
mod config;
mod frame;
mod handshake;
mod modbus;
mod profile;
mod timestamp;

pub use basic::basic;
pub use certificate::certificate;
pub use config::config;
pub use frame::frame;
pub use handshake::handshake;
pub use modbus::modbus;
pub use profile::profile;
pub use timestamp::timestamp;
