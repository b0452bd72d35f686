//! Frames as the log may show them: without passwords.
//!
//! A frame is read as its receiver reads it, because a key may be written in any case, with blanks
//! or with escapes. Hidden are the values of configuration keys and the members that are called like
//! a secret, and of addresses what stands before the host and behind the path (`GetDiagnostics`,
//! `UpdateFirmware`, `GetLog`). What cannot be read ends in the log where a secret could begin.

use std::borrow::Cow;

use serde_json::{Map, Value};

const HIDDEN: &str = "(not shown)";

/// What secrets are called, in letters and digits of lower case.
const SECRETS: [&str; 13] = [
    "accesskey",
    "apikey",
    "authkey",
    "authorizationkey",
    "credential",
    "passphrase",
    "passwd",
    "password",
    "presharedkey",
    "privatekey",
    "psk",
    "secret",
    "token",
];

/// Where in a frame that cannot be read a secret could begin, beside those names.
const SUSPICIOUS: [&str; 4] = ["changeconfiguration", "authorization", "\\u", "://"];

/// A frame for the log.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    let Ok(mut frame) = serde_json::from_str::<Value>(text) else {
        return cut(text);
    };
    if hide(&mut frame) {
        Cow::Owned(frame.to_string())
    } else {
        Cow::Borrowed(text)
    }
}

/// Hides what is secret; true if there is something.
fn hide(value: &mut Value) -> bool {
    match value {
        Value::Array(items) => items.iter_mut().fold(false, |any, it| hide(it) | any),
        Value::Object(members) => hide_members(members),
        Value::String(text) => {
            let safe = safe_text(text);
            let changed = safe.is_some();
            *text = safe.unwrap_or_else(|| std::mem::take(text));
            changed
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn hide_members(members: &mut Map<String, Value>) -> bool {
    let is_secret = |(name, value): (&String, &Value)| {
        folded(name) == "key" && value.as_str().is_some_and(is_secret_key)
    };
    let is_key = members.iter().any(is_secret);
    let mut any = false;
    for (name, value) in members {
        if is_secret_name(name) || (is_key && folded(name) == "value") {
            *value = Value::from(HIDDEN);
            any = true;
        } else {
            any |= hide(value);
        }
    }
    any
}

/// The name of a configuration key.
fn is_secret_key(name: &str) -> bool {
    is_secret_name(name) || folded(name).ends_with("key")
}

fn is_secret_name(name: &str) -> bool {
    let name = folded(name);
    SECRETS.iter().any(|secret| name.contains(secret))
}

fn folded(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    letters.map(|it| it.to_ascii_lowercase()).collect()
}

/// A text without what is secret in it; `None` where nothing is.
fn safe_text(text: &str) -> Option<String> {
    // DataTransfer carries JSON as a text.
    if text.trim_start().starts_with(['{', '[']) {
        return match shown(text) {
            Cow::Owned(text) => Some(text),
            Cow::Borrowed(_) => None,
        };
    }
    if !text.contains("://") {
        return None;
    }
    let words = text.split_inclusive(char::is_whitespace);
    let safe: String = words.map(safe_word).collect();
    (safe != text).then_some(safe)
}

/// An address without user, password and query; any other word as it is.
fn safe_word(word: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = word.split_once("://") else {
        return Cow::Borrowed(word);
    };
    let (user, place) = match rest.rsplit_once('@') {
        Some((_, place)) => (HIDDEN.to_owned() + "@", place),
        None => (String::new(), rest),
    };
    let (place, query) = match place.split_once('?') {
        Some((place, _)) => (place, "?".to_owned() + HIDDEN),
        None => (place, String::new()),
    };
    Cow::Owned(format!("{scheme}://{user}{place}{query}"))
}

fn cut(text: &str) -> Cow<'_, str> {
    let lower = text.to_ascii_lowercase();
    let signs = SECRETS.iter().chain(&SUSPICIOUS);
    let begin = signs.filter_map(|sign| lower.find(sign)).min();
    match begin.and_then(|at| text.get(..at)) {
        Some(harmless) => Cow::Owned(format!("{harmless}{HIDDEN}")),
        None => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_no_secret_is_shown_as_it_came() {
        for harmless in [
            r#"[2, "1","Heartbeat",{}]"#,
            r#"[2,"1","GetConfiguration",{"key":["AuthorizationKey"]}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationCacheEnabled","value":"true"}]"#,
            r#"[2,"1","GetDiagnostics",{"location":"ftp://h.example/logs"}]"#,
            r#"[3,"1",{"currentTime":"2026-06-01T12:00:00Z"}]"#,
            "no json",
            "",
        ] {
            assert_eq!(shown(harmless), harmless);
        }
    }

    #[test]
    fn no_spelling_shows_a_secret() {
        for frame in [
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET"}]"#,
            r#"[2,"1","ChangeConfiguration",{"value":"SECRET","key":"authorizationkey"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":" AUTHORIZATIONKEY ","value":"SECRET"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"Authorization\u004bey","value":"SECRET"}]"#,
            r#"[2,"1","ChangeConfiguration",{"\u006bey":"AuthorizationKey","value":"SECRET"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":["SECRET"]}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"BasicAuthPassword","value":"SECRET"}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"WiFi-Key","value":"SECRET"}]"#,
            r#"[3,"1",{"configurationKey":[{"key":"WiFi_PSK","readonly":false,"value":"SECRET"}]}]"#,
            r#"[2,"1","GetDiagnostics",{"location":"ftp://user:SECRET@h.example/"}]"#,
            r#"[2,"1","GetDiagnostics",{"location":"ftp:\/\/user:SECRET/1@h.example/"}]"#,
            r#"[2,"1","GetLog",{"log":{"remoteLocation":"https://h.example/a?sig=SECRET"}}]"#,
            r#"[2,"1","DataTransfer",{"data":"{\"password\":\"SECRET\"}"}]"#,
            r#"[2,"1","DataTransfer",{"data":"{\"password\":\"SECRET\""}]"#,
            r#"[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"SECRET""#,
            r#"[2,"1","ChangeConfiguration",{"key":"\u0041uthorizationKey","value":"SECRET""#,
            r#"[2,"1","GetDiagnostics",{"location":"ftp://user:SECRET@h.example/""#,
            r#"{"BasicAuthPassword":"SECRET""#,
        ] {
            let shown = shown(frame);
            assert!(!shown.contains("SECRET"), "{shown}");
            assert!(shown.contains(HIDDEN), "{shown}");
        }
    }

    #[test]
    fn the_rest_of_a_frame_with_a_secret_is_shown() {
        let frame = r#"[2,"1","GetDiagnostics",{"location":"ftp://u:p@h.example/x","retries":3}]"#;
        let expected =
            r#"[2,"1","GetDiagnostics",{"location":"ftp://(not shown)@h.example/x","retries":3}]"#;
        assert_eq!(shown(frame), expected);
    }
}
