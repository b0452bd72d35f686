//! Integration tests: one binary, one link.

#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test may end with a panic, spawn, and look at the clock; clippy spares only the functions marked #[test]"
)]

mod architecture;
mod backend_sockets;
mod cascade;
mod cert_command;
mod certificates;
mod charge_point;
mod child;
mod commands;
mod config;
mod control_socket;
mod journal;
mod log_upload;
mod modbus;
mod modbus_world;
mod quirks;
mod reload;
mod schema;
mod schema_bites;
mod secrets;
mod seeds;
mod server_sockets;
mod service;
mod simulated_backend;
mod status_command;
mod world;
mod world_backend;
mod world_dead_man;
