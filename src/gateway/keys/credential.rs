//! The password of an identity, and how a backend changes it.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The old password is tried for so long where the new one is refused.
const FALLBACK: SignedDuration = SignedDuration::from_hours(24);

/// The bytes of a password for HTTP Basic. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    written: Box<[u8]>,
    is_key: bool,
}

impl Credential {
    /// As it is written.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self {
            written: bytes.into(),
            is_key: false,
        }
    }

    /// The password itself.
    pub fn expose(&self) -> &[u8] {
        &self.written
    }

    /// It is the hexadecimal digits of an `AuthorizationKey`: what they stand for is the password,
    /// for most backends.
    pub const fn is_key(&self) -> bool {
        self.is_key
    }

    /// What `AuthorizationKey` means: 32 to 40 hexadecimal digits are a key, anything else of 16
    /// to 40 characters is the password as written. `None` = not acceptable.
    pub(super) fn of_key(value: &str) -> Option<Self> {
        let length = value.chars().count();
        (16..=40).contains(&length).then(|| Self {
            written: value.as_bytes().into(),
            is_key: length >= 32 && unhex(value).is_some(),
        })
    }
}

/// Before the digits of a key in the journal.
const KEY: &str = "key:";

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// For the journal alone: the bytes may be no text.
impl Serialize for Credential {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mark = if self.is_key { KEY } else { "" };
        serializer.collect_str(&format_args!("{mark}{}", Hex(&self.written)))
    }
}

impl<'de> Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let said = String::deserialize(deserializer)?;
        let digits = said.strip_prefix(KEY);
        let bytes = unhex(digits.unwrap_or(&said));
        let bytes = bytes.ok_or_else(|| serde::de::Error::custom("no hexadecimal"))?;
        Ok(Self {
            written: bytes.into(),
            is_key: digits.is_some(),
        })
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    let (pairs, []) = digits.as_bytes().as_chunks() else {
        return None;
    };
    pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect()
}

/// The password that a backend gave, and what was good before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Changed {
    now: Credential,
    /// The configuration's when it was changed: a new one in the file ends all this.
    pub(super) configured: Option<Credential>,
    /// What was good before, and until when it is tried.
    before: Option<(Option<Credential>, Timestamp)>,
    /// The backend let us in with the new one. It may be one that lets in anybody, so that what was
    /// good before stays.
    #[serde(default)]
    proven: bool,
}

impl Changed {
    /// The backend changes the password. What was never good does not replace what was.
    pub(super) fn change(
        old: Option<Self>,
        new: Credential,
        configured: Option<Credential>,
        at: Timestamp,
    ) -> Self {
        let until = at.checked_add(FALLBACK).unwrap_or(Timestamp::MAX);
        let proven = match old {
            None => configured.clone(),
            Some(Self {
                before: Some((proven, end)),
                proven: false,
                ..
            }) if at < end => proven,
            Some(old) => Some(old.now),
        };
        Self {
            now: new,
            configured,
            before: Some((proven, until)),
            proven: false,
        }
    }

    /// What to connect with, in this order; `None` = without a password.
    pub(super) fn to_try(&self, at: Timestamp) -> Vec<Option<&Credential>> {
        let before = self.before.iter().filter(|(_, until)| at < *until);
        let before = before.map(|(credential, _)| credential.as_ref());
        [Some(&self.now)].into_iter().chain(before).collect()
    }

    /// The backend let us in with the newest.
    pub(super) fn was_good(&mut self) {
        self.proven = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Credential {
        Credential::new(text.as_bytes())
    }

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(1_768_471_200 + hour * 3600).unwrap()
    }

    #[test]
    fn a_key_is_kept_as_written_and_known_by_its_digits() {
        let hex = "00ff00ff00ff00ff00ff00FF00FF00FF00FF00FF";
        let key = Credential::of_key(hex).unwrap();
        assert_eq!(key.expose(), hex.as_bytes());
        assert!(key.is_key());
        for plain in [
            "0123456789abcdef",
            "0123456789abcdef0123456789abcdef0",
            "geheimes Passwort ß",
        ] {
            assert_eq!(Credential::of_key(plain), Some(text(plain)));
        }
        for bad in ["", "too short", &"x".repeat(41), &"a".repeat(42)] {
            assert_eq!(Credential::of_key(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_old_password_is_tried_for_a_day_also_where_the_new_one_was_good() {
        let (old, new, newer) = (text("old"), text("new"), text("newer"));
        let mut changed = Changed::change(None, new.clone(), Some(old.clone()), at(0));
        assert_eq!(changed.to_try(at(23)), [Some(&new), Some(&old)]);
        assert_eq!(changed.to_try(at(24)), [Some(&new)]);
        let twice = Changed::change(Some(changed.clone()), newer.clone(), None, at(1));
        assert_eq!(
            twice.to_try(at(2)),
            [Some(&newer), Some(&old)],
            "new was never good"
        );
        changed.was_good();
        assert_eq!(changed.to_try(at(1)), [Some(&new), Some(&old)]);
        assert_eq!(changed.to_try(at(24)), [Some(&new)]);
        let later = Changed::change(Some(changed), newer.clone(), None, at(1));
        assert_eq!(later.to_try(at(2)), [Some(&newer), Some(&new)]);
        let first = Changed::change(None, new.clone(), None, at(0));
        assert_eq!(first.to_try(at(1)), [Some(&new), None]);
    }

    #[test]
    fn a_password_does_not_show_itself_and_survives_the_journal() {
        let changed = Changed::change(None, Credential::new([0, 255]), Some(text("geheim")), at(0));
        assert!(!format!("{changed:?}").contains("geheim"));
        let json = serde_json::to_string(&changed).unwrap();
        assert_eq!(serde_json::from_str::<Changed>(&json).unwrap(), changed);
        assert!(serde_json::from_str::<Credential>(r#""0g""#).is_err());
        let key = Credential::of_key(&"0123456789abcdef".repeat(2)).unwrap();
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(serde_json::from_str::<Credential>(&json).unwrap(), key);
    }

    #[test]
    fn what_older_versions_remembered_is_read() {
        let json = r#"{"now":"00ff","configured":null,"before":null}"#;
        let mut old: Changed = serde_json::from_str(json).unwrap();
        assert_eq!(old.to_try(at(0)), [Some(&Credential::new([0, 255]))]);
        old = Changed::change(Some(old), text("new"), None, at(0));
        let before = Credential::new([0, 255]);
        assert_eq!(old.to_try(at(0)), [Some(&text("new")), Some(&before)]);
    }
}
