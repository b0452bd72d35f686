//! OCPP-J frames (OCPP-J 1.6 §4): reading without copying, writing without re-serializing.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

use super::error_code::ErrorCode;
use super::lenient::{FromToken, Token};

/// The id of a message, exactly as its sender wrote it: a JSON string, or in the field a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(Box<str>);

impl MessageId {
    /// The JSON text, quotes included.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The id without quotes and escapes.
    pub fn text(&self) -> Cow<'_, str> {
        match self.0.strip_prefix('"').and_then(|t| t.strip_suffix('"')) {
            None => Cow::Borrowed(&self.0),
            Some(inner) if !inner.contains('\\') => Cow::Borrowed(inner),
            Some(inner) => {
                serde_json::from_str(&self.0).map_or(Cow::Borrowed(inner), Cow::<str>::Owned)
            }
        }
    }

    /// Objects and arrays are no ids; `null` is one, because it can be answered.
    fn read(raw: &RawValue) -> Option<Self> {
        let scalar = !raw.get().starts_with(['{', '[']);
        scalar.then(|| Self(raw.get().into()))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// A message, borrowed from its text.
#[derive(Debug, Clone)]
pub enum Frame<'a> {
    /// A request.
    Call {
        /// To be repeated in the answer.
        id: MessageId,
        /// What is asked for; case matters.
        action: &'a str,
        /// `{}` where it was `null` or missing.
        payload: &'a RawValue,
    },
    /// The answer to a request.
    CallResult {
        /// The id of the request.
        id: MessageId,
        /// `{}` where it was `null` or missing.
        payload: &'a RawValue,
    },
    /// The request could not be dealt with.
    CallError {
        /// The id of the request.
        id: MessageId,
        /// Why.
        code: ErrorCode,
        /// Why, for people; may be empty.
        description: Cow<'a, str>,
        /// More; `{}` where it was `null` or missing.
        details: &'a RawValue,
    },
}

/// A text that is no frame, and whether its sender can be told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// To be answered with a CALLERROR `FormationViolation`.
    #[error("call {id}: {why}")]
    Call {
        /// The id of the call.
        id: MessageId,
        /// What is wrong.
        why: &'static str,
    },
    /// Meant as the answer to a call of ours.
    #[error("answer to {id}: {why}")]
    Answer {
        /// The id of our call.
        id: MessageId,
        /// What is wrong.
        why: &'static str,
    },
    /// Nobody can be told.
    #[error("{0}")]
    Nameless(&'static str),
}

const NOT_JSON: &str = "not JSON";

/// Reads a frame. Nothing of its payload is looked at but that it is JSON.
///
/// # Errors
/// [`Malformed`]; [`repair`](super::repair::repair) may help.
pub fn parse(text: &str) -> Result<Frame<'_>, Malformed> {
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
    let mut elements = [None; 5];
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let is_json = Elements(&mut elements)
        .deserialize(&mut deserializer)
        .and_then(|()| deserializer.end())
        .is_ok();
    let [kind, id, third, fourth, fifth] = elements;
    let Some(kind) = kind.and_then(|raw| i64::from_token(Token::of(raw))) else {
        return Err(Malformed::Nameless(if is_json {
            "no message type"
        } else {
            NOT_JSON
        }));
    };
    let Some(id) = id.and_then(MessageId::read) else {
        return Err(Malformed::Nameless("no message id"));
    };
    match kind {
        2 if !is_json => Err(Malformed::Call { id, why: NOT_JSON }),
        2 => match third.and_then(action) {
            Some(action) => Ok(Frame::Call {
                id,
                action,
                payload: or_empty(fourth),
            }),
            None => Err(Malformed::Call {
                id,
                why: "no action",
            }),
        },
        3 | 4 if !is_json => Err(Malformed::Answer { id, why: NOT_JSON }),
        3 => Ok(Frame::CallResult {
            id,
            payload: or_empty(third),
        }),
        4 => Ok(Frame::CallError {
            id,
            code: third.map_or(ErrorCode::GenericError, |raw| {
                ErrorCode::read(&text_of(raw))
            }),
            description: fourth.map_or(Cow::Borrowed(""), text_of),
            details: or_empty(fifth),
        }),
        _ => Err(Malformed::Nameless("unknown message type")),
    }
}

/// What is between the quotes. An action with escapes is none that anybody knows.
fn action(raw: &RawValue) -> Option<&str> {
    raw.get().strip_prefix('"')?.strip_suffix('"')
}

fn text_of(raw: &RawValue) -> Cow<'_, str> {
    Cow::from_token(Token::of(raw)).unwrap_or(Cow::Borrowed(""))
}

fn or_empty(raw: Option<&RawValue>) -> &RawValue {
    match raw {
        Some(raw) if raw.get() != "null" => raw,
        _ => serde_json::from_str("{}").unwrap_or(RawValue::NULL),
    }
}

/// The first elements of an array; those before a syntax error are there nevertheless.
struct Elements<'e, 'de>(&'e mut [Option<&'de RawValue>; 5]);

impl<'de> DeserializeSeed<'de> for Elements<'_, 'de> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Elements<'_, 'de> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        for element in self.0 {
            *element = seq.next_element()?;
            if element.is_none() {
                return Ok(());
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// The text of a CALL; `payload` is JSON.
pub fn call(id: &str, action: &str, payload: &str) -> String {
    let mut text = String::with_capacity(id.len() + action.len() + payload.len() + 12);
    text.push_str("[2,");
    push_string(&mut text, id);
    text.push(',');
    push_string(&mut text, action);
    text.push(',');
    text.push_str(payload);
    text.push(']');
    text
}

/// The text of a CALLRESULT; `payload` is JSON.
pub fn call_result(id: &MessageId, payload: &str) -> String {
    let mut text = String::with_capacity(id.raw().len() + payload.len() + 5);
    text.push_str("[3,");
    text.push_str(id.raw());
    text.push(',');
    text.push_str(payload);
    text.push(']');
    text
}

/// The text of a CALLERROR; the description is cut at 255 characters, `details` is JSON.
pub fn call_error(id: &MessageId, code: ErrorCode, description: &str, details: &str) -> String {
    let end = description
        .char_indices()
        .nth(255)
        .map_or(description.len(), |(at, _)| at);
    let mut text = String::with_capacity(id.raw().len() + end + details.len() + 48);
    text.push_str("[4,");
    text.push_str(id.raw());
    text.push_str(",\"");
    text.push_str(code.as_str());
    text.push_str("\",");
    push_string(&mut text, description.get(..end).unwrap_or_default());
    text.push(',');
    text.push_str(details);
    text.push(']');
    text
}

/// Appends a JSON string; hardly any needs escapes.
fn push_string(text: &mut String, value: &str) {
    let plain = |b: u8| b >= b' ' && b != b'"' && b != b'\\';
    if value.bytes().all(plain) {
        text.push('"');
        text.push_str(value);
        text.push('"');
    } else {
        // Writing a string as JSON cannot fail; an empty one keeps the frame valid.
        text.push_str(&serde_json::to_string(value).unwrap_or_else(|_| "\"\"".to_owned()));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::repair::repair;
    use super::*;

    fn parse_call(text: &str) -> (String, &str, &str) {
        match parse(text) {
            Ok(Frame::Call {
                id,
                action,
                payload,
            }) => (id.raw().to_owned(), action, payload.get()),
            other => panic!("{text} is {other:?}"),
        }
    }

    #[test]
    fn a_call_is_read_and_its_payload_left_as_it_came() {
        let text = r#" [2, "b1", "BootNotification", {"a" : "\/\u20ac", "b":1.50}]"#;
        assert_eq!(
            parse_call(text),
            (
                r#""b1""#.to_owned(),
                "BootNotification",
                r#"{"a" : "\/\u20ac", "b":1.50}"#
            )
        );
    }

    #[test]
    fn a_missing_or_null_payload_is_an_empty_object() {
        for text in [r#"[2,"x","Heartbeat"]"#, r#"[2,"x","Heartbeat",null]"#] {
            assert_eq!(parse_call(text).2, "{}", "{text}");
        }
        let Ok(Frame::CallResult { payload, .. }) = parse(r#"[3,"x"]"#) else {
            panic!("not read");
        };
        assert_eq!(payload.get(), "{}");
    }

    #[test]
    fn a_numeric_id_is_answered_as_a_number_and_a_long_one_whole() {
        let long = format!("\"{}\"", "x".repeat(500));
        for raw in ["4711", "null", "\"\"", "\"a\\\"b\"", &long] {
            let text = format!("[2,{raw},\"Heartbeat\",{{}}]");
            let Ok(Frame::Call { id, .. }) = parse(&text) else {
                panic!("{text} is not read");
            };
            assert_eq!(call_result(&id, "{}"), format!("[3,{raw},{{}}]"));
            assert_eq!(
                call_error(&id, ErrorCode::NotSupported, "", "{}"),
                format!("[4,{raw},\"NotSupported\",\"\",{{}}]")
            );
        }
    }

    #[test]
    fn the_text_of_an_id_has_no_quotes() {
        for (raw, text) in [("\"a\"", "a"), ("12", "12"), (r#""a\/b""#, "a/b")] {
            assert_eq!(MessageId(raw.into()).text(), text);
        }
    }

    #[test]
    fn an_error_is_read_with_three_four_or_five_elements() {
        for (text, code, description) in [
            (r#"[4,"x"]"#, ErrorCode::GenericError, ""),
            (r#"[4,"x","NotSupported"]"#, ErrorCode::NotSupported, ""),
            (
                r#"[4,"x","FormatViolation","bad\n"]"#,
                ErrorCode::FormationViolation,
                "bad\n",
            ),
            (
                r#"[4,"x",null,null,{"a":1},7]"#,
                ErrorCode::GenericError,
                "",
            ),
        ] {
            let Ok(Frame::CallError {
                code: c,
                description: d,
                ..
            }) = parse(text)
            else {
                panic!("{text} is not read");
            };
            assert_eq!((c, d.as_ref()), (code, description), "{text}");
        }
    }

    #[test]
    fn who_can_be_told_is_told() {
        for text in [
            r#"[2,"x"]"#,
            r#"[2,"x",7,{}]"#,
            r#"[2,"x","MeterValues",{"a":[,1]}]"#,
            r#"[2,"x","MeterValues",{"a":"#,
            r#"[2,"x","MeterValues",{}]]"#,
        ] {
            let Err(Malformed::Call { id, .. }) = parse(text) else {
                panic!("{text} names its sender");
            };
            assert_eq!(id.text(), "x");
        }
        let broken = parse(r#"[3,"x",{"a":,}]"#);
        assert!(matches!(broken, Err(Malformed::Answer { .. })));
        for text in [
            "",
            "hello",
            "{}",
            "2",
            "[]",
            "[2]",
            r#"[2,{"a":1},"Heartbeat",{}]"#,
            r#"[5,"x","Heartbeat",{}]"#,
            r#"["CALL","x","Heartbeat",{}]"#,
            "\u{0}",
        ] {
            assert!(
                matches!(parse(text), Err(Malformed::Nameless(_))),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_zero_byte_or_a_byte_order_mark_around_a_frame_does_not_matter() {
        let text = "\u{feff}[2,\"x\",\"Heartbeat\",{}]\r\n\0";
        assert_eq!(parse_call(text).1, "Heartbeat");
    }

    #[test]
    fn deep_nesting_does_not_overflow_the_stack() {
        let deep = "[".repeat(1_000_000);
        assert!(parse(&deep).is_err());
        let text = format!("[2,\"x\",\"A\",{deep}");
        assert!(matches!(parse(&text), Err(Malformed::Call { .. })));
        let closed = format!("[2,\"x\",\"A\",{deep}{}]", "]".repeat(1_000_000));
        assert_eq!(parse_call(&closed).1, "A");
        assert_eq!(repair(&deep), None);
    }

    #[test]
    fn a_description_is_cut_between_characters() {
        let id = MessageId("1".into());
        let text = call_error(&id, ErrorCode::GenericError, &"ü".repeat(300), "{}");
        assert_eq!(text.matches('ü').count(), 255);
    }

    proptest! {
        #[test]
        fn a_call_survives_writing_and_reading(
            id in "\\PC{0,40}", action in "[A-Za-z]{1,30}", text in "\\PC*",
        ) {
            let payload = serde_json::json!({ "text": text }).to_string();
            let frame = call(&id, &action, &payload);
            let Ok(Frame::Call { id: i, action: a, payload: p }) = parse(&frame) else {
                panic!("{frame} is not read");
            };
            prop_assert_eq!(i.text(), &*id);
            prop_assert_eq!((a, p.get()), (&*action, &*payload));

            let frame = call_result(&i, &payload);
            let Ok(Frame::CallResult { id: j, payload: p }) = parse(&frame) else {
                panic!("{frame} is not read");
            };
            prop_assert_eq!((&j, p.get()), (&i, &*payload));

            let frame = call_error(&i, ErrorCode::InternalError, &text, "{}");
            let Ok(Frame::CallError { id: j, code, description, .. }) = parse(&frame) else {
                panic!("{frame} is not read");
            };
            prop_assert_eq!((&j, code), (&i, ErrorCode::InternalError));
            prop_assert!(text.starts_with(&*description));
        }

        #[test]
        fn no_text_panics(text in "\\PC*", json in r#"[\[\]{},:"\\ 0-9a-eE.+-]{0,60}"#) {
            let _ = parse(&text);
            let _ = parse(&json);
            let _ = parse(&format!("[2,{json},{json},{json}]"));
        }
    }
}
