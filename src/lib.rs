//! chargewarden: a charging manager that stands between wallboxes, a fuse and billing backends.
//!
//! Three promises, in this order: the fuse holds; the bill is right; the car charges.
//!
//! # The map of the house
//!
//! | room | what is in it |
//! |---|---|
//! | [`units`], [`ids`], [`clock`] | integers with a unit, names, time as a parameter, seeded randomness |
//! | [`ocpp`] | the protocol: frames, calls, messages, lenient types, composite schedule |
//! | [`evse`], [`journal`] | the vocabulary between the wings; what survives a crash, as values |
//! | [`modbus`] | requests and answers as values, what registers mean; the bus that carries them |
//! | [`load`] | the load manager: circuits, allocation, transition rule |
//! | [`central_system`] | one [`Station`](central_system::Station) per ChargeBox ID |
//! | [`charge_point`] | one [`ChargePoint`](charge_point::ChargePoint) per Modbus wallbox |
//! | [`gateway`] | one gateway for each charge point that a billing backend knows |
//! | [`site`] | the one pure machine that holds every decision: routing, the gate, tag list, status |
//! | [`certificates`] | X.509 v1 and v3: reading them, whom to trust, who we are |
//! | [`config`] | the file: model, loading with positions, checks; builds the plan |
//! | [`net`] | upgrade, WebSocket, TLS, as server and as client |
//! | [`store`] | SQLite: schema, queries, one writer thread |
//! | [`daemon`] | the tasks, which carry bytes |
//! | [`sim`] | simulated wallboxes with cars, meters with houses, and a whole world in virtual time |
//! | [`cli`] | the command line |
//!
//! # The contract of every machine
//!
//! [`site::Site`] and the machines inside it never wait, never read a clock and never do I/O:
//!
//! 1. call one `handle_*(now, …)`,
//! 2. drain `poll_output()` until it returns `None`,
//! 3. sleep until `poll_timeout()` or until something arrives, whichever is first.
//!
//! Imports go one way and `tests/it/architecture.rs` keeps them so: `units, ids, clock → ocpp,
//! certificates → evse, journal, modbus → {load, central_system, charge_point, gateway} → site →
//! {config, net, store} → daemon → cli`.

pub mod central_system;
pub mod certificates;
pub mod charge_point;
pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod evse;
pub mod gateway;
pub mod ids;
pub mod journal;
pub mod load;
pub mod modbus;
pub mod net;
pub mod ocpp;
pub mod sim;
pub mod site;
pub mod store;
pub mod units;

#[cfg(test)]
#[path = "../tests/it/schema.rs"]
mod schema;
