//! What is typed into a simulated backend.

use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::ids::{ChargeBoxId, ConnectorId};
use crate::ocpp::charging_profile::ChargingProfilePurpose;
use crate::ocpp::messages::ResetType;
use crate::sim::backend::{Command, Limit};
use crate::units::MilliAmps;

/// How far a composite schedule looks ahead, in seconds.
const SCHEDULE: i64 = 3600;

/// A line that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// To be asked of a charge point.
    Command(ChargeBoxId, Box<Command>),
    /// Print what may be typed.
    Help,
    /// End.
    Quit,
    /// An empty line.
    Nothing,
}

/// How each is written, and what it does.
const ORDERS: [(&str, &str); 13] = [
    ("start CP CONNECTOR TAG", "starts a transaction"),
    ("stop CP TRANSACTION", "ends one"),
    (
        "limit CP CONNECTOR AMPS",
        "allows no more on each phase (TxDefaultProfile)",
    ),
    ("clear CP", "removes all charging profiles"),
    ("get CP [KEY]", "asks for the configuration"),
    ("set CP KEY VALUE", "changes it"),
    (
        "schedule CP CONNECTOR",
        "asks what is allowed in the next hour",
    ),
    (
        "trigger CP MESSAGE",
        "asks for a message, for example StatusNotification",
    ),
    ("reset CP soft|hard", "restarts the charge point"),
    ("data CP VENDOR [TEXT]", "sends a DataTransfer"),
    ("send CP ACTION JSON", "sends anything, as it is written"),
    ("help", "prints this list"),
    ("quit", "ends, as Ctrl-C does"),
];

/// All that may be typed.
pub(super) fn list() -> String {
    let mut text = String::new();
    for (form, what) in ORDERS {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {form:<24} {what}");
    }
    text.push_str("CP, the client id, may be left out where only one charge point is connected.");
    text
}

/// Understands a line.
///
/// # Errors
/// What to write instead.
pub(super) fn parse(line: &str, connected: &[ChargeBoxId]) -> Result<Order, String> {
    let (verb, rest) = split(line);
    match verb {
        "" => return Ok(Order::Nothing),
        "help" => return Ok(Order::Help),
        "quit" => return Ok(Order::Quit),
        _ => {}
    }
    let known = |(form, _): &&(&str, &str)| split(form).0 == verb;
    let Some((form, _)) = ORDERS.iter().find(known) else {
        return Err(format!("{verb:?} is no command. These are:\n{}", list()));
    };
    let (client_id, rest) = addressee(rest, connected)?;
    let command = command(verb, rest).ok_or_else(|| format!("write {form}"))?;
    Ok(Order::Command(client_id.clone(), Box::new(command)))
}

/// Who is meant, and what is left of the line.
fn addressee<'a>(
    rest: &'a str,
    connected: &'a [ChargeBoxId],
) -> Result<(&'a ChargeBoxId, &'a str), String> {
    let named = connected.iter().filter_map(|id| {
        let behind = rest.strip_prefix(id.as_str())?;
        let whole = behind.is_empty() || behind.starts_with(char::is_whitespace);
        whole.then(|| (id, behind.trim_start()))
    });
    // Of `RDAM` and `RDAM 123` the longer one is meant.
    if let Some(named) = named.max_by_key(|(id, _)| id.as_str().len()) {
        return Ok(named);
    }
    match connected {
        [] => Err("no charge point is connected".to_owned()),
        [only] => Ok((only, rest)),
        all => {
            let all: Vec<&str> = all.iter().map(ChargeBoxId::as_str).collect();
            Err(format!("say which charge point: {}", all.join(", ")))
        }
    }
}

/// `None` if it is not written as it should be.
fn command(verb: &str, rest: &str) -> Option<Command> {
    let (first, rest) = split(rest);
    let (second, more) = split(rest);
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let connector = || first.parse().ok().map(ConnectorId);
    match (verb, first, second, more) {
        ("start", _, tag, "") => Some(Command::RemoteStart {
            connector: Some(connector()?),
            tag: text(tag)?.as_str().into(),
            profile: None,
        }),
        ("stop", number, "", "") => Some(Command::RemoteStop {
            transaction: number.parse().ok()?,
        }),
        ("limit", _, amps, "") => Some(Command::limit(
            connector()?,
            ChargingProfilePurpose::TxDefaultProfile,
            Limit::Amps(current(amps)?),
        )),
        ("clear", "", "", "") => Some(Command::clear_all()),
        ("get", key, "", "") => Some(Command::GetConfiguration {
            keys: text(key).into_iter().collect(),
        }),
        ("set", key, _, _) => Some(Command::ChangeConfiguration {
            key: text(key)?,
            value: rest.to_owned(),
        }),
        ("schedule", _, "", "") => Some(Command::GetCompositeSchedule {
            connector: connector()?,
            seconds: SCHEDULE,
            unit: None,
        }),
        ("trigger", message, "", "") => Some(Command::Trigger {
            message: text(message)?,
            connector: None,
        }),
        ("reset", how, "", "") => ResetType::parse(how).map(Command::Reset),
        ("data", vendor, _, _) => Some(Command::DataTransfer {
            vendor: text(vendor)?,
            message: None,
            data: text(rest),
        }),
        ("send", action, _, _) => {
            let payload: &RawValue = serde_json::from_str(rest).ok()?;
            Some(Command::Raw {
                action: text(action)?,
                payload: payload.get().to_owned(),
            })
        }
        _ => None,
    }
}

fn current(amps: &str) -> Option<MilliAmps> {
    let current = amps.parse().ok().and_then(MilliAmps::from_amps_f64)?;
    (current >= MilliAmps::ZERO).then_some(current)
}

/// The first word, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (word, rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(all: &[&str]) -> Vec<ChargeBoxId> {
        all.iter().copied().map(ChargeBoxId::from).collect()
    }

    fn sent(line: &str, connected: &[&str]) -> (String, String, String) {
        match parse(line, &ids(connected)) {
            Ok(Order::Command(id, command)) => (
                id.as_str().to_owned(),
                command.action().to_owned(),
                command.payload(),
            ),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_command_is_understood() {
        for (line, action, payload) in [
            (
                "start CP 1 TAG",
                "RemoteStartTransaction",
                r#"{"idTag":"TAG","connectorId":1}"#,
            ),
            (
                "stop CP -7",
                "RemoteStopTransaction",
                r#"{"transactionId":-7}"#,
            ),
            ("clear CP", "ClearChargingProfile", "{}"),
            ("get CP", "GetConfiguration", "{}"),
            ("get CP A", "GetConfiguration", r#"{"key":["A"]}"#),
            (
                "set CP A b, c",
                "ChangeConfiguration",
                r#"{"key":"A","value":"b, c"}"#,
            ),
            (
                "schedule CP 1",
                "GetCompositeSchedule",
                r#"{"connectorId":1,"duration":3600}"#,
            ),
            (
                "trigger CP Heartbeat",
                "TriggerMessage",
                r#"{"requestedMessage":"Heartbeat"}"#,
            ),
            ("reset CP soft", "Reset", r#"{"type":"Soft"}"#),
            ("data CP V", "DataTransfer", r#"{"vendorId":"V"}"#),
            (
                "data CP V a b",
                "DataTransfer",
                r#"{"vendorId":"V","data":"a b"}"#,
            ),
            ("send CP X {\"a\" : 1.50}", "X", r#"{"a" : 1.50}"#),
        ] {
            let expected = ("CP".to_owned(), action.to_owned(), payload.to_owned());
            assert_eq!(sent(line, &["CP", "CP 2"]), expected, "{line}");
        }
        let (_, action, payload) = sent("limit CP 1 10.55", &["CP"]);
        assert_eq!(action, "SetChargingProfile");
        assert!(payload.contains(r#""limit":10.5}"#), "{payload}");
    }

    #[test]
    fn the_charge_point_may_be_left_out_where_only_one_is_connected() {
        let client = |line, connected: &[&str]| sent(line, connected).0;
        assert_eq!(client("start 1 TAG", &["CP"]), "CP");
        assert_eq!(client("  get   ", &["CP"]), "CP");
        assert_eq!(client("start 1 1 TAG", &["1"]), "1");
        assert_eq!(client("get RDAM 123 A", &["RDAM", "RDAM 123"]), "RDAM 123");
        let error = parse("get", &ids(&["A", "B"])).unwrap_err();
        assert_eq!(error, "say which charge point: A, B");
        let error = parse("get", &[]).unwrap_err();
        assert_eq!(error, "no charge point is connected");
    }

    #[test]
    fn what_is_not_understood_is_answered_with_what_to_write() {
        let cp = ids(&["CP"]);
        let error = parse("charge CP", &cp).unwrap_err();
        assert!(error.starts_with("\"charge\" is no command."), "{error}");
        assert!(error.contains("start CP CONNECTOR TAG"), "{error}");
        for line in [
            "start",
            "start CP 1",
            "start CP x TAG",
            "stop CP",
            "stop CP 1 2",
            "limit CP 1 -1",
            "limit CP 1 nan",
            "clear CP x",
            "set CP",
            "reset CP",
            "data CP",
            "send CP X {",
            "send CP X",
            "trigger CP",
        ] {
            let error = parse(line, &cp).unwrap_err();
            assert!(error.starts_with("write "), "{line}: {error}");
        }
    }

    #[test]
    fn words_without_a_charge_point_are_understood_always() {
        assert_eq!(parse("help", &[]), Ok(Order::Help));
        assert_eq!(parse(" quit ", &[]), Ok(Order::Quit));
        assert_eq!(parse("  ", &[]), Ok(Order::Nothing));
    }
}
