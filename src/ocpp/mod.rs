//! OCPP 1.6J, pure: what goes over the wire and what it means.
//!
//! Lenient in what is accepted, strict in what is sent. Raw payloads are kept as they came.
//!
//! | module | what is in it |
//! |---|---|
//! | [`frame`], [`error_code`], [`repair`] | one message as text: reading, writing, a second try |
//! | [`rpc`] | calls and answers of one connection: timeouts, repeats, late answers |
//! | [`liveness`] | is the peer of a connection still there? |
//! | [`action`] | every action and who may send it |
//! | [`messages`] | typed payloads |
//! | [`charging_profile`], [`status`] | types that more than one message has |
//! | [`reading`] | what meter values mean |
//! | [`splice`](mod@splice) | one member replaced, every other byte kept |
//! | [`lenient`], [`timestamp`] | how fields are read whatever their type |
//!
//! A received text goes through [`Rpc::handle`]; the payload it yields through
//! [`messages::parse`]. An answer goes from [`messages::write`] through [`Rpc::answer`].

pub mod action;
pub mod charging_profile;
pub mod composite;
pub mod error_code;
pub mod frame;
pub mod lenient;
pub mod liveness;
pub mod messages;
pub mod reading;
pub mod repair;
mod repeats;
pub mod rpc;
pub mod splice;
pub mod status;
pub mod timestamp;

pub use action::Action;
pub use error_code::ErrorCode;
pub use reading::Reading;
pub use rpc::Rpc;
pub use status::ChargePointStatus;
