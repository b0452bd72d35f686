//! OCPP 1.6J, pure: what goes over the wire and what it means.
//!
//! Lenient in what is accepted, strict in what is sent. Raw payloads are kept as they came.

pub mod charging_profile;
pub mod composite;
pub mod lenient;
pub mod status;
pub mod timestamp;

pub use status::ChargePointStatus;
