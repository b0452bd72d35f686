//! OCPP 1.6J, pure: what goes over the wire and what it means.
//!
//! Lenient in what is accepted, strict in what is sent. Raw payloads are kept as they came.

pub mod action;
pub mod charging_profile;
pub mod composite;
pub mod error_code;
pub mod frame;
pub mod lenient;
pub mod messages;
pub mod reading;
pub mod repair;
mod repeats;
pub mod rpc;
pub mod status;
pub mod timestamp;

pub use action::Action;
pub use error_code::ErrorCode;
pub use reading::Reading;
pub use rpc::Rpc;
pub use status::ChargePointStatus;
