//! Frames of OCPP-J, read strictly: what does not fit is a fault of ours to find.

use serde_json::Value;
use serde_json::value::RawValue;

use super::ledger::Outcome;
use crate::ocpp::ErrorCode;

/// A CALL of a charge point.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: String,
    pub(super) action: String,
    pub(super) payload: &'a RawValue,
}

/// A frame of a charge point.
#[derive(Debug)]
pub(super) enum Received<'a> {
    Call {
        id: String,
        action: String,
        payload: &'a RawValue,
    },
    Answer {
        id: String,
        outcome: Outcome,
    },
}

impl<'a> Received<'a> {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &'a str) -> Result<Self, &'static str> {
        let elements: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| "not an array")?;
        let kind = elements.first().map(|kind| kind.get());
        match (kind, elements.as_slice()) {
            (Some("2"), [_, id, action, payload]) => Ok(Self::Call {
                id: message_id(id)?,
                action: string(action).ok_or("an action that is no string")?,
                payload,
            }),
            (Some("3"), [_, id, payload]) => Ok(Self::Answer {
                id: message_id(id)?,
                outcome: Outcome::Result(payload.get().to_owned()),
            }),
            (Some("4"), [_, id, code, description, details]) => {
                let details: Result<Value, _> = serde_json::from_str(details.get());
                if !matches!(details, Ok(Value::Object(_))) {
                    return Err("error details that are no object");
                }
                Ok(Self::Answer {
                    id: message_id(id)?,
                    outcome: Outcome::Error {
                        code: string(code).ok_or("an error code that is no string")?,
                        description: string(description).ok_or("no error description")?,
                    },
                })
            }
            _ => Err("neither CALL nor CALLRESULT nor CALLERROR"),
        }
    }
}

fn message_id(raw: &RawValue) -> Result<String, &'static str> {
    let id = string(raw).ok_or("a message id that is no string")?;
    let fits = !id.is_empty() && id.chars().count() <= 36;
    fits.then_some(id)
        .ok_or("a message id of 0 or more than 36 characters")
}

fn string(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// An answer to a CALL, on its way.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) action: String,
    /// The payload that was answered.
    pub(super) question: String,
    pub(super) result: Result<String, Refusal>,
}

/// A CALLERROR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: ErrorCode,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn new(code: ErrorCode, why: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
        }
    }
}

impl Answer {
    /// The frame.
    pub(super) fn text(&self) -> String {
        let id = quoted(&self.id);
        match &self.result {
            Ok(payload) => format!("[3,{id},{payload}]"),
            Err(Refusal { code, why }) => {
                format!("[4,{id},{},{},{{}}]", quoted(code.as_str()), quoted(why))
            }
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        match &self.result {
            Ok(payload) => Outcome::Result(payload.clone()),
            Err(Refusal { code, why }) => Outcome::Error {
                code: code.to_string(),
                description: why.clone(),
            },
        }
    }
}

/// The frame of a CALL; the payload goes out as it is.
pub(super) fn call(id: &str, action: &str, payload: &str) -> String {
    format!("[2,{},{},{payload}]", quoted(id), quoted(action))
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
