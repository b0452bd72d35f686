//! What a backend sees and does, as lines for people.

use serde_json::{Map, Value};

use crate::sim::backend::{Entry, Event, Outcome};

/// What is longer is cut; nobody reads a signature.
const LONGEST: usize = 60;

/// One line; `None` for what says nothing.
pub(super) fn line(entry: &Entry) -> Option<String> {
    let what = match &entry.event {
        Event::Up => "connected".to_owned(),
        Event::Down => "disconnected".to_owned(),
        Event::Call {
            action, payload, ..
        } => format!("> {action} {}", essence(payload)),
        Event::Answer { action, outcome } => match outcome.payload() {
            Some("{}") => return None,
            _ => format!("< {action}: {}", told(outcome)),
        },
        Event::LostAnswer { action } => format!("  {action}: taken, the answer is lost"),
        Event::Command {
            action, payload, ..
        } => format!("< {action} {}", essence(payload)),
        Event::Outcome {
            action, outcome, ..
        } => format!("> {action}: {}", told(outcome)),
        Event::Complaint(what) => format!("! {}", cut(what)),
    };
    let time = entry.at.wall.strftime("%H:%M:%SZ");
    let line = format!("{time} {} {what}", entry.client_id);
    Some(line.trim_end().to_owned())
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Result(payload) if payload == "{}" => "done".to_owned(),
        Outcome::Result(payload) => essence(payload),
        Outcome::Error { code, description } if description.is_empty() => code.clone(),
        Outcome::Error { code, description } => format!("{code}: {}", cut(description)),
        Outcome::Silence => "no answer".to_owned(),
        Outcome::LinkLost => "no answer, the connection is gone".to_owned(),
    }
}

/// The members of a payload, without where they lie.
fn essence(payload: &str) -> String {
    let mut words = Vec::new();
    match serde_json::from_str(payload) {
        Ok(value) => collect("", &value, &mut words),
        Err(_) => words.push(cut(payload)),
    }
    words.join(", ")
}

fn collect(name: &str, value: &Value, words: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            if let Some(word) = pair(members).or_else(|| sample(members)) {
                words.push(word);
                return;
            }
            for (name, value) in members {
                // The line has a time already.
                if name != "timestamp" && name != "currentTime" {
                    collect(name, value, words);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(name, item, words)),
        // The status says by itself what it is.
        Value::String(text) if name == "status" => words.push(cut(text)),
        Value::String(text) => words.push(format!("{name} {}", cut(text))),
        other => words.push(format!("{name} {other}")),
    }
}

/// A configuration key.
fn pair(members: &Map<String, Value>) -> Option<String> {
    let key = members.get("key")?.as_str()?;
    let value = members.get("value").and_then(Value::as_str);
    Some(format!("{key}={}", cut(value.unwrap_or_default())))
}

/// A sampled value.
fn sample(members: &Map<String, Value>) -> Option<String> {
    let value = members.get("value")?.as_str()?;
    let text = |name| members.get(name).and_then(Value::as_str);
    let measurand = text("measurand").unwrap_or("Energy.Active.Import.Register");
    if text("format") == Some("SignedData") {
        let length = value.chars().count();
        return Some(format!("{measurand} signed, {length} characters"));
    }
    let words = [Some(measurand), text("phase"), Some(value), text("unit")];
    let words: Vec<&str> = words.into_iter().flatten().collect();
    Some(cut(&words.join(" ")))
}

/// Short, and harmless for a terminal.
fn cut(text: &str) -> String {
    let clean = text
        .chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c });
    let mut short: String = clean.take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Mono, Now};
    use crate::sim::backend::CommandNumber;

    fn shown(event: Event) -> String {
        let entry = Entry {
            at: Now {
                mono: Mono::START,
                wall: "2026-01-15T10:00:05Z".parse().unwrap(),
            },
            client_id: "DE*ABC*E1".into(),
            event,
        };
        line(&entry).unwrap_or_default()
    }

    fn call(action: &str, payload: &str) -> String {
        shown(Event::Call {
            id: "1".to_owned(),
            action: action.to_owned(),
            payload: payload.to_owned(),
        })
    }

    #[test]
    fn a_call_shows_what_is_in_it_and_not_where() {
        let start =
            r#"{"connectorId":1,"idTag":"TAG","meterStart":5,"timestamp":"2026-01-15T10:00:00Z"}"#;
        assert_eq!(
            call("StartTransaction", start),
            "10:00:05Z DE*ABC*E1 > StartTransaction connectorId 1, idTag TAG, meterStart 5"
        );
        assert_eq!(call("Heartbeat", "{}"), "10:00:05Z DE*ABC*E1 > Heartbeat");
    }

    #[test]
    fn meter_values_show_each_sample_and_of_a_signature_only_its_length() {
        let payload = r#"{"connectorId":1,"meterValue":[{"timestamp":"x","sampledValue":[{"value":"16.1","measurand":"Current.Import","phase":"L1","unit":"A"},{"value":"OCMF|{}","format":"SignedData"}]}]}"#;
        let line = call("MeterValues", payload);
        assert!(line.ends_with(
            "connectorId 1, Current.Import L1 16.1 A, Energy.Active.Import.Register signed, 7 characters"
        ), "{line}");
    }

    #[test]
    fn answers_and_outcomes_show_and_an_empty_answer_does_not() {
        let answer = |outcome| {
            let action = "Authorize".to_owned();
            shown(Event::Answer { action, outcome })
        };
        let payload = r#"{"idTagInfo":{"status":"Accepted"}}"#.to_owned();
        let line = answer(Outcome::Result(payload));
        assert_eq!(line, "10:00:05Z DE*ABC*E1 < Authorize: Accepted");
        assert_eq!(answer(Outcome::Result("{}".to_owned())), "");
        let keys = r#"{"configurationKey":[{"key":"A","readonly":true,"value":"1"},{"key":"B","readonly":false}]}"#;
        let line = shown(Event::Outcome {
            number: CommandNumber(1),
            action: "GetConfiguration".to_owned(),
            outcome: Outcome::Result(keys.to_owned()),
        });
        assert_eq!(line, "10:00:05Z DE*ABC*E1 > GetConfiguration: A=1, B=");
    }

    #[test]
    fn what_is_long_is_cut_and_what_a_terminal_would_obey_is_replaced() {
        let payload = format!(r#"{{"data":"\u001b[2J{}"}}"#, "x".repeat(100));
        let line = call("DataTransfer", &payload);
        assert!(
            line.contains("data \u{FFFD}[2Jxxx") && line.ends_with("x…"),
            "{line}"
        );
        assert!(line.chars().count() < 120, "{line}");
        assert!(call("Odd", "no JSON").ends_with("Odd no JSON"));
    }
}
