//! A profile that is read whole or not at all: leniency has its end where a limit would be longer
//! or higher than the backend meant it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::ocpp::ErrorCode;
use crate::ocpp::charging_profile::{ChargingProfile, ChargingSchedulePeriod, RecurrencyKind};
use crate::ocpp::lenient::{FromToken, Token};
use crate::ocpp::messages::{self, ViewError};

type Members<'a> = BTreeMap<String, &'a RawValue>;
type Reads = fn(&RawValue) -> bool;

const PROFILE: [(&str, Reads); 5] = [
    ("stackLevel", reads_integer),
    ("transactionId", reads_integer),
    ("recurrencyKind", |raw| {
        reads(RecurrencyKind::from_token, raw)
    }),
    ("validFrom", reads_time),
    ("validTo", reads_time),
];
const SCHEDULE: [(&str, Reads); 2] = [("duration", reads_integer), ("startSchedule", reads_time)];

/// Reads a charging profile.
///
/// # Errors
/// What is missing or cannot be read, optional members included.
pub(super) fn profile(raw: &RawValue) -> Result<ChargingProfile, ViewError> {
    let members: Members<'_> = object(raw, "the profile")?;
    check(&members, &PROFILE)?;
    present(&members, "stackLevel")?;
    let schedule = object(present(&members, "chargingSchedule")?, "chargingSchedule")?;
    check(&schedule, &SCHEDULE)?;
    for period in periods(present(&schedule, "chargingSchedulePeriod")?)? {
        let members = object(period, "a period")?;
        check(&members, &[("numberPhases", reads_integer)])?;
        // In its place in the list it would be left out.
        messages::parse::<ChargingSchedulePeriod>(period)?;
    }
    messages::parse(raw)
}

fn reads<'a, T>(read: fn(Token<'a>) -> Option<T>, raw: &'a RawValue) -> bool {
    read(Token::of(raw)).is_some()
}

fn reads_integer(raw: &RawValue) -> bool {
    reads(i64::from_token, raw)
}

fn reads_time(raw: &RawValue) -> bool {
    reads(Timestamp::from_token, raw)
}

fn check(members: &Members<'_>, known: &[(&str, Reads)]) -> Result<(), ViewError> {
    for (name, reads) in known {
        let Some(raw) = members.get(*name) else {
            continue;
        };
        let token = Token::of(raw);
        if token == Token::Null || reads(raw) {
            continue;
        }
        let code = match token {
            Token::Text(_) | Token::Number(_) => ErrorCode::PropertyConstraintViolation,
            Token::Null | Token::Bool(_) | Token::Nested(_) => ErrorCode::TypeConstraintViolation,
        };
        let what = format!("{name} cannot be read");
        return Err(ViewError { code, what });
    }
    Ok(())
}

fn present<'a>(members: &Members<'a>, name: &str) -> Result<&'a RawValue, ViewError> {
    members.get(name).copied().ok_or_else(|| ViewError {
        code: ErrorCode::OccurenceConstraintViolation,
        what: format!("missing field `{name}`"),
    })
}

fn object<'a>(raw: &'a RawValue, what: &str) -> Result<Members<'a>, ViewError> {
    serde_json::from_str(raw.get()).map_err(|_| wrong_type(what, "an object"))
}

fn periods(raw: &RawValue) -> Result<Vec<&RawValue>, ViewError> {
    serde_json::from_str(raw.get()).map_err(|_| wrong_type("chargingSchedulePeriod", "an array"))
}

fn wrong_type(what: &str, expected: &str) -> ViewError {
    ViewError {
        code: ErrorCode::TypeConstraintViolation,
        what: format!("{what} is not {expected}"),
    }
}
