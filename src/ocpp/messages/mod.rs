//! Typed views of the messages of the Core, `SmartCharging` and `RemoteTrigger` profiles.
//!
//! One type serves both peers: written strictly, with the names of the specification and without
//! `null`, and read leniently, so that a message is lost only if what makes it up is missing.

mod core_down;
mod core_up;
mod meter_values;
mod remote_trigger;
mod smart_charging;
mod transactions;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::error_code::ErrorCode;
use super::lenient::spelled;

pub use core_down::*;
pub use core_up::*;
pub use meter_values::*;
pub use remote_trigger::*;
pub use smart_charging::*;
pub use transactions::*;

/// The payload of a CALL.
pub trait Request: Serialize {
    /// The name of the action.
    const ACTION: &'static str;

    /// The payload of its CALLRESULT.
    type Response;
}

macro_rules! request {
    ($name:ident $(<$life:lifetime>)? => $response:ty) => {
        impl $crate::ocpp::messages::Request for $name $(<$life>)? {
            const ACTION: &'static str = stringify!($name);
            type Response = $response;
        }
    };
}
use request;

/// A payload that cannot be taken for the message it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {what}")]
pub struct ViewError {
    /// What to answer a CALL with.
    pub code: ErrorCode,
    /// What is wrong, and where.
    pub what: String,
}

/// Reads a payload.
///
/// # Errors
/// If what the message cannot do without is missing or cannot be read.
pub fn parse<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Result<T, ViewError> {
    let text = match payload.get() {
        // What some peers make of an object without members.
        "null" | "[]" | "\"\"" => "{}",
        text => text,
    };
    if !text.starts_with('{') {
        return Err(ViewError {
            code: ErrorCode::FormationViolation,
            what: "the payload is no object".to_owned(),
        });
    }
    serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        // serde keeps the kind of an error in its words only.
        let code = if what.starts_with("missing field") {
            ErrorCode::OccurenceConstraintViolation
        } else if what.starts_with("invalid type") {
            ErrorCode::TypeConstraintViolation
        } else if what.starts_with("invalid value") {
            ErrorCode::PropertyConstraintViolation
        } else {
            ErrorCode::FormationViolation
        };
        ViewError { code, what }
    })
}

/// Writes a payload.
pub fn write<T: Serialize>(message: &T) -> String {
    // Strings, integers and finite decimals: nothing in a message can fail to be written.
    serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned())
}

/// A response without members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

spelled! {
    /// The status of a response that knows only yes and no.
    pub enum Acceptance {
        /// Yes.
        Accepted = "Accepted",
        /// No.
        Rejected = "Rejected",
    }
}

/// A response that says only yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Yes or no.
    pub status: Acceptance,
}
