//! A Power Brain as a billing backend sees it: an OCPP 1.6 charge point. What it must do and what
//! it must refuse, message by message, in virtual time. Every frame is checked against the schemas
//! where they are at hand, and the world looks at every event that no fuse is overloaded.

#![allow(
    clippy::needless_pass_by_value,
    reason = "`json!(…)` reads better than `&json!(…)`"
)]

mod authorizing;
mod availability;
mod configuration;
mod firmware;
mod lab;
mod limits;
mod local_list;
mod malformed;
mod meter_values;
mod offline;
mod registration;
mod remote;
mod reservations;
mod restarts;
mod sessions;
mod statuses;
mod triggers;
