//! The language of the control socket: one JSON object a line, one line back.

use serde_json::{Map, Value, json};

use super::status::StatusDocument;
use crate::ids::{CircuitName, EvseName};
use crate::units::Watts;

/// What somebody at the control socket wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// The status document.
    Status,
    /// An EVSE shall take part again.
    Enable {
        /// Which.
        evse: EvseName,
    },
    /// An EVSE shall no longer take part, until the next reload or start.
    Disable {
        /// Which.
        evse: EvseName,
    },
    /// The external limit signal of a circuit.
    Limit {
        /// Which.
        circuit: CircuitName,
        /// What it says.
        signal: Signal,
    },
    /// The configuration file is to be read again.
    Reload,
}

/// What an external limit signal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Its EVSEs together may draw this much.
    Watts(Watts),
    /// They may draw what `limit-signal` of the circuit says.
    On,
    /// It is over.
    Off,
}

/// Reads one line, with or without its line feed.
///
/// # Errors
///
/// A sentence for the person who typed it; see [`error`].
pub fn parse(line: &str) -> Result<Request, String> {
    let members: Map<String, Value> = serde_json::from_str(line)
        .map_err(|why| format!(r#"a request is one JSON object like {{"do":"status"}}: {why}"#))?;
    match text(&members, "do", POSSIBLE)? {
        "status" => Ok(Request::Status),
        "enable" => Ok(Request::Enable {
            evse: evse(&members)?,
        }),
        "disable" => Ok(Request::Disable {
            evse: evse(&members)?,
        }),
        "limit" => Ok(Request::Limit {
            circuit: text(&members, "circuit", "the name of a circuit").map(CircuitName::from)?,
            signal: signal(members.get("watts"))?,
        }),
        "reload" => Ok(Request::Reload),
        unknown => Err(format!(
            "{unknown:?} is not a thing to do; possible are {POSSIBLE}"
        )),
    }
}

const POSSIBLE: &str = r#""status", "enable", "disable", "limit" and "reload""#;

fn signal(watts: Option<&Value>) -> Result<Signal, String> {
    match watts {
        Some(Value::Null | Value::Bool(false)) => Ok(Signal::Off),
        Some(Value::Bool(true)) => Ok(Signal::On),
        Some(Value::Number(number)) => number
            .as_f64()
            .and_then(Watts::from_f64)
            .filter(|watts| *watts >= Watts::ZERO)
            .map(Signal::Watts)
            .ok_or_else(|| format!(r#""watts" must be 0 or more, not {number}"#)),
        other => Err(format!(
            r#""watts" must be a number of watts, true (what limit-signal says) or null (off), not {}"#,
            other.map_or_else(|| "missing".to_owned(), ToString::to_string)
        )),
    }
}

fn evse(members: &Map<String, Value>) -> Result<EvseName, String> {
    text(members, "evse", "the name of an EVSE").map(EvseName::from)
}

fn text<'a>(members: &'a Map<String, Value>, key: &str, possible: &str) -> Result<&'a str, String> {
    match members.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!(
            "{key:?} must be a string ({possible}), not {other}"
        )),
        None => Err(format!("the member {key:?} is missing ({possible})")),
    }
}

/// The answer to a request that was carried out.
pub fn ok() -> String {
    json!({ "ok": true }).to_string()
}

/// The answer to a request that was not; `sentence` says why and what is possible.
pub fn error(sentence: &str) -> String {
    json!({ "ok": false, "error": sentence }).to_string()
}

/// The answer to [`Request::Reload`] where the file is right.
pub fn reloaded(done: &Reloaded) -> String {
    let Reloaded {
        after_restart,
        warnings,
    } = done;
    json!({ "ok": true, "after_restart": after_restart, "warnings": warnings }).to_string()
}

/// What came of [`Request::Reload`] where the file is right.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// The changed keys that wait for a restart, like `manager.state-dir`.
    pub after_restart: Vec<String>,
    /// What works and should be looked at.
    pub warnings: Vec<String>,
}

/// The answer to [`Request::Reload`] where the file is wrong.
pub fn misconfigured(problems: &str) -> String {
    json!({ "ok": false, "error": problems, "misconfigured": true }).to_string()
}

/// The answer to [`Request::Status`].
pub fn status(document: &StatusDocument) -> String {
    // Strings and numbers only: this cannot fail, and a control socket must not end the process.
    serde_json::to_string(document).unwrap_or_else(|why| error(&why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_understood_with_foreign_members_and_line_ends() {
        assert_eq!(parse(r#"{"do":"status"}"#), Ok(Request::Status));
        assert_eq!(parse(r#"{"do":"reload"}"#), Ok(Request::Reload));
        assert_eq!(
            parse("{ \"id\": 7, \"evse\": \"garage-left\", \"do\": \"enable\" }\r\n"),
            Ok(Request::Enable {
                evse: "garage-left".into()
            })
        );
        assert_eq!(
            parse(r#"{"do":"disable","evse":"Stellplatz \"ä\""}"#),
            Ok(Request::Disable {
                evse: r#"Stellplatz "ä""#.into()
            })
        );
    }

    #[test]
    fn a_wrong_request_is_answered_with_what_is_possible() {
        for (line, says) in [
            ("nonsense", r#"like {"do":"status"}"#),
            ("[]", r#"like {"do":"status"}"#),
            ("{}", r#"the member "do" is missing ("status", "enable""#),
            (r#"{"do":7}"#, r#""do" must be a string"#),
            (r#"{"do":"dance"}"#, r#""dance" is not a thing to do"#),
            (r#"{"do":"disable"}"#, r#"the member "evse" is missing"#),
            (
                r#"{"do":"enable","evse":null}"#,
                r#""evse" must be a string"#,
            ),
            (r#"{"do":"limit"}"#, r#"the member "circuit" is missing"#),
            (r#"{"do":"limit","circuit":"house"}"#, r"not missing"),
            (
                r#"{"do":"limit","circuit":"house","watts":"x"}"#,
                r"must be a number of watts",
            ),
            (
                r#"{"do":"limit","circuit":"house","watts":-1}"#,
                r"must be 0 or more",
            ),
        ] {
            let sentence = parse(line).unwrap_err();
            assert!(sentence.contains(says), "{line}: {sentence}");
        }
    }

    #[test]
    fn a_limit_signal_is_a_number_of_watts_on_or_off() {
        for (watts, signal) in [
            ("4200", Signal::Watts(Watts(4200))),
            ("0", Signal::Watts(Watts(0))),
            ("true", Signal::On),
            ("null", Signal::Off),
            ("false", Signal::Off),
        ] {
            let line = format!(r#"{{"do":"limit","circuit":"house","watts":{watts}}}"#);
            let circuit = "house".into();
            assert_eq!(
                parse(&line),
                Ok(Request::Limit { circuit, signal }),
                "{watts}"
            );
        }
    }

    #[test]
    fn deep_nesting_is_an_error_like_any_other() {
        assert!(parse(&"[".repeat(60_000)).is_err());
        assert!(parse(&r#"{"do":"#.repeat(10_000)).is_err());
    }

    #[test]
    fn an_answer_is_one_line_whatever_is_in_it() {
        let answer = error("first\nsecond \"quoted\"");
        assert!(!answer.contains('\n'));
        let read: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(read["ok"], false);
        assert_eq!(read["error"], "first\nsecond \"quoted\"");
        assert_eq!(ok(), r#"{"ok":true}"#);
        let read: Value = serde_json::from_str(&misconfigured("a\nb")).unwrap();
        assert_eq!(
            (&read["ok"], &read["misconfigured"]),
            (&false.into(), &true.into())
        );
    }
}
