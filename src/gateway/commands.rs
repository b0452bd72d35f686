//! What the commands of OCPP 1.6 must hold (§5, §7), for wallboxes that we play. Types are read as
//! leniently as everywhere; what cannot be read is refused even where a member is optional: a
//! filter that is passed over would mean everything.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::ocpp::lenient::{FromToken, Token};
use crate::ocpp::messages::{self, ViewError};
use crate::ocpp::{ErrorCode, timestamp};

/// What a member must be.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A whole number.
    Whole,
    /// A whole number from 0.
    Connector,
    /// At most so many characters.
    Text(usize),
    /// One of these.
    Word(&'static [&'static str]),
    /// An instant.
    Time,
    /// An object.
    Object,
    /// A list of tags and what holds for them.
    Tags,
    /// A list of texts of at most so many characters.
    Texts(usize),
}

use Kind::{Connector, Object, Tags, Text, Texts, Time, Whole, Word};

/// A member, what it must be, and whether it may be left out.
type Member = (&'static str, Kind, bool);

/// What is true of a member that may be left out.
const OPTIONAL: bool = true;

/// What is true of one that may not.
const NEEDED: bool = false;

/// `anyURI` has no length of its own in OCPP 1.6.
const LONGEST_URI: usize = 2000;

const PURPOSES: [&str; 3] = ["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"];

const CERTIFICATES: [&str; 2] = [
    "CentralSystemRootCertificate",
    "ManufacturerRootCertificate",
];

/// By action. What is not here needs nothing, or is refused whatever it holds.
#[rustfmt::skip]
const COMMANDS: [(&str, &[Member]); 21] = [
    ("CancelReservation", &[("reservationId", Whole, NEEDED)]),
    ("CertificateSigned", &[("certificateChain", Text(usize::MAX), NEEDED)]),
    ("ChangeAvailability", &[("connectorId", Connector, NEEDED), ("type", Word(&["Inoperative", "Operative"]), NEEDED)]),
    ("ChangeConfiguration", &[("key", Text(50), NEEDED), ("value", Text(500), NEEDED)]),
    ("ClearChargingProfile", &[("id", Whole, OPTIONAL), ("connectorId", Connector, OPTIONAL), ("chargingProfilePurpose", Word(&PURPOSES), OPTIONAL), ("stackLevel", Whole, OPTIONAL)]),
    ("DataTransfer", &[("vendorId", Text(255), NEEDED), ("messageId", Text(50), OPTIONAL)]),
    ("DeleteCertificate", &[("certificateHashData", Object, NEEDED)]),
    ("ExtendedTriggerMessage", &[("requestedMessage", Text(usize::MAX), NEEDED), ("connectorId", Connector, OPTIONAL)]),
    ("GetCompositeSchedule", &[("connectorId", Connector, NEEDED), ("duration", Whole, NEEDED), ("chargingRateUnit", Word(&["A", "W"]), OPTIONAL)]),
    ("GetConfiguration", &[("key", Texts(50), OPTIONAL)]),
    ("GetDiagnostics", &[("location", Text(LONGEST_URI), NEEDED), ("retries", Whole, OPTIONAL), ("retryInterval", Whole, OPTIONAL), ("startTime", Time, OPTIONAL), ("stopTime", Time, OPTIONAL)]),
    ("GetInstalledCertificateIds", &[("certificateType", Word(&CERTIFICATES), NEEDED)]),
    ("InstallCertificate", &[("certificateType", Word(&CERTIFICATES), NEEDED), ("certificate", Text(usize::MAX), NEEDED)]),
    ("RemoteStartTransaction", &[("idTag", Text(20), NEEDED), ("connectorId", Connector, OPTIONAL), ("chargingProfile", Object, OPTIONAL)]),
    ("RemoteStopTransaction", &[("transactionId", Whole, NEEDED)]),
    ("ReserveNow", &[("connectorId", Connector, NEEDED), ("expiryDate", Time, NEEDED), ("idTag", Text(20), NEEDED), ("parentIdTag", Text(20), OPTIONAL), ("reservationId", Whole, NEEDED)]),
    ("Reset", &[("type", Word(&["Hard", "Soft"]), NEEDED)]),
    ("SendLocalList", &[("listVersion", Whole, NEEDED), ("updateType", Word(&["Differential", "Full"]), NEEDED), ("localAuthorizationList", Tags, OPTIONAL)]),
    ("SetChargingProfile", &[("connectorId", Connector, NEEDED), ("csChargingProfiles", Object, NEEDED)]),
    ("TriggerMessage", &[("requestedMessage", Text(usize::MAX), NEEDED), ("connectorId", Connector, OPTIONAL)]),
    ("UnlockConnector", &[("connectorId", Connector, NEEDED)]),
];

/// `GetLog`, which is rejected whatever it holds where logs are not uploaded.
const GET_LOG: [Member; 5] = [
    ("log", Object, NEEDED),
    ("logType", Word(&["DiagnosticsLog", "SecurityLog"]), NEEDED),
    ("requestId", Whole, NEEDED),
    ("retries", Whole, OPTIONAL),
    ("retryInterval", Whole, OPTIONAL),
];

/// Its member `log`.
const LOG: [Member; 3] = [
    ("remoteLocation", Text(512), NEEDED),
    ("oldestTimestamp", Time, OPTIONAL),
    ("latestTimestamp", Time, OPTIONAL),
];

/// Looks whether `GetLog` can be understood.
///
/// # Errors
/// What to answer one that cannot.
pub(super) fn check_get_log(payload: &RawValue) -> Result<(), ViewError> {
    #[derive(serde::Deserialize)]
    struct Nested<'a> {
        #[serde(borrow)]
        log: &'a RawValue,
    }
    look(&GET_LOG, payload)?;
    let nested: Nested<'_> = messages::parse(payload)?;
    look(&LOG, nested.log)
}

/// Looks whether a command can be understood.
///
/// # Errors
/// What to answer one that cannot.
pub(super) fn check(action: &str, payload: &RawValue) -> Result<(), ViewError> {
    let command = COMMANDS.iter().find(|(name, _)| *name == action);
    look(command.map_or(&[], |(_, members)| members), payload)
}

fn look(members: &[Member], payload: &RawValue) -> Result<(), ViewError> {
    let said: BTreeMap<String, &RawValue> = messages::parse(payload)?;
    for (name, kind, optional) in members {
        let token = said.get(*name).map_or(Token::Null, |raw| Token::of(raw));
        let refusal = match token {
            Token::Null if *optional => continue,
            Token::Null => Some(ErrorCode::OccurenceConstraintViolation),
            token => judge(*kind, token),
        };
        if let Some(code) = refusal {
            let what = format!("{name} cannot be that");
            return Err(ViewError { code, what });
        }
    }
    Ok(())
}

fn judge(kind: Kind, token: Token<'_>) -> Option<ErrorCode> {
    let number =
        |token: Token<'_>| i64::from_token(token).ok_or(ErrorCode::TypeConstraintViolation);
    let text = |token: Token<'_>| match token {
        Token::Text(text) => Ok(text.into_owned()),
        // Some backends write tags and values that are numbers as such.
        Token::Number(digits) => Ok(digits.to_owned()),
        Token::Bool(flag) => Ok(flag.to_string()),
        Token::Null | Token::Nested(_) => Err(ErrorCode::TypeConstraintViolation),
    };
    let fits = |good: bool| {
        let wrong = ErrorCode::PropertyConstraintViolation;
        if good { Ok(()) } else { Err(wrong) }
    };
    let verdict = match kind {
        Whole => number(token).map(drop),
        Connector => number(token).and_then(|it| fits(u32::try_from(it).is_ok())),
        Text(most) => text(token).and_then(|it| fits(it.chars().count() <= most)),
        Word(words) => match token {
            Token::Text(it) => fits(
                words
                    .iter()
                    .any(|word| word.eq_ignore_ascii_case(it.trim())),
            ),
            _ => Err(ErrorCode::TypeConstraintViolation),
        },
        Time => text(token).and_then(|it| fits(timestamp::parse_lenient(&it).is_some())),
        Object => match token {
            Token::Nested(text) if text.starts_with('{') => Ok(()),
            _ => Err(ErrorCode::TypeConstraintViolation),
        },
        Texts(most) => match token {
            Token::Nested(list) => {
                texts(list).and_then(|all| fits(all.iter().all(|it| it.chars().count() <= most)))
            }
            _ => Err(ErrorCode::TypeConstraintViolation),
        },
        Tags => match token {
            Token::Nested(list) => tags(list),
            _ => Err(ErrorCode::TypeConstraintViolation),
        },
    };
    verdict.err()
}

fn texts(list: &str) -> Result<Vec<String>, ErrorCode> {
    serde_json::from_str(list).map_err(|_| ErrorCode::TypeConstraintViolation)
}

fn tags(list: &str) -> Result<(), ErrorCode> {
    let list: Vec<&RawValue> =
        serde_json::from_str(list).map_err(|_| ErrorCode::TypeConstraintViolation)?;
    let mut all = list.into_iter();
    all.try_for_each(|tag| {
        look(
            &[("idTag", Text(20), NEEDED), ("idTagInfo", Object, OPTIONAL)],
            tag,
        )
    })
    .map_err(|error| error.code)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn code(action: &str, payload: &Value) -> Option<ErrorCode> {
        let raw = RawValue::from_string(payload.to_string()).unwrap();
        check(action, &raw).err().map(|error| error.code)
    }

    #[test]
    fn what_is_missing_of_the_wrong_type_or_too_much_has_an_error_of_its_own() {
        use ErrorCode::{
            FormationViolation, OccurenceConstraintViolation as Missing,
            PropertyConstraintViolation as Wrong, TypeConstraintViolation as Type,
        };
        let long = "x".repeat(51);
        for (action, payload, expected) in [
            ("Reset", json!({"type": "Hard"}), None),
            ("Reset", json!({"type": "Cold"}), Some(Wrong)),
            ("Reset", json!({"type": 1}), Some(Type)),
            ("Reset", json!({"type": {}}), Some(Type)),
            ("Reset", json!({}), Some(Missing)),
            ("Reset", json!({"type": null}), Some(Missing)),
            ("Reset", json!(7), Some(FormationViolation)),
            ("UnlockConnector", json!({"connectorId": "1"}), None),
            ("UnlockConnector", json!({"connectorId": 1.5}), Some(Type)),
            ("UnlockConnector", json!({"connectorId": -1}), Some(Wrong)),
            ("GetConfiguration", json!({"key": ["a"]}), None),
            ("GetConfiguration", json!({"key": [long]}), Some(Wrong)),
            ("GetConfiguration", json!({"key": [{}]}), Some(Type)),
            ("GetConfiguration", json!({"key": "a"}), Some(Type)),
            ("ClearChargingProfile", json!({"id": "all"}), Some(Type)),
            ("ClearChargingProfile", json!({"id": null}), None),
            ("RemoteStartTransaction", json!({"idTag": 12}), None),
            (
                "RemoteStartTransaction",
                json!({"idTag": long}),
                Some(Wrong),
            ),
            (
                "RemoteStartTransaction",
                json!({"idTag": "A", "chargingProfile": []}),
                Some(Type),
            ),
            (
                "CertificateSigned",
                json!({"certificateChain": "-----"}),
                None,
            ),
            (
                "CertificateSigned",
                json!({"certificateChain": {}}),
                Some(Type),
            ),
            ("Nonsense", json!({"a": {}}), None),
        ] {
            assert_eq!(code(action, &payload), expected, "{action} {payload}");
        }
    }

    #[test]
    fn a_reservation_needs_a_time() {
        let with = |time: &str| json!({"connectorId": 0, "expiryDate": time, "idTag": "A", "reservationId": -1});
        assert_eq!(code("ReserveNow", &with("2026-06-01T12:00:00Z")), None);
        let wrong = Some(ErrorCode::PropertyConstraintViolation);
        assert_eq!(code("ReserveNow", &with("tomorrow")), wrong);
    }
}
