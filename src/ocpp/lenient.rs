//! Reading what wallboxes and backends write, whatever its JSON type.
//!
//! OCPP-J fixes the JSON type of every field; the field does not keep to it: integers come as
//! `1234.0` or `"1234"`, booleans as `"true"`, absent fields as `null`. Every field is therefore
//! looked at as a [`Token`] first. A required field that cannot be read is an error; an optional
//! one counts as absent, because a message must not be lost for a field that nobody needs.
//!
//! The functions are for `#[serde(deserialize_with = "…")]` and read JSON text only (they borrow
//! it as [`RawValue`]).

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};
use serde_json::value::RawValue;

use crate::ids::{ConnectorId, IdTag};

/// A JSON value as far as one needs to look at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Token<'a> {
    /// `null`, or a string that is no Unicode text.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// The digits of a number.
    Number(&'a str),
    /// A string, its escapes resolved.
    Text(Cow<'a, str>),
    /// The text of an object or array.
    Nested(&'a str),
}

impl<'a> Token<'a> {
    /// Sorts a JSON value.
    pub fn of(raw: &'a RawValue) -> Self {
        let text = raw.get();
        match text.as_bytes() {
            [b'n', ..] => Self::Null,
            [b't', ..] => Self::Bool(true),
            [b'f', ..] => Self::Bool(false),
            [b'{' | b'[', ..] => Self::Nested(text),
            [b'"', .., b'"'] => match unquote(text) {
                Some(text) => Self::Text(text),
                None => Self::Null,
            },
            _ => Self::Number(text),
        }
    }

    /// The digits of a number, be it written as a number or as a string.
    fn digits(&self) -> Option<&str> {
        match self {
            Self::Number(text) => Some(text),
            Self::Text(text) => Some(text.trim()),
            Self::Null | Self::Bool(_) | Self::Nested(_) => None,
        }
    }

    fn refused<E: Error>(&self, expected: &str) -> E {
        match self {
            Self::Null => E::invalid_type(Unexpected::Unit, &expected),
            Self::Bool(value) => E::invalid_type(Unexpected::Bool(*value), &expected),
            Self::Nested(_) => E::invalid_type(Unexpected::Other("object or array"), &expected),
            Self::Number(_) => E::invalid_value(Unexpected::Other("number"), &expected),
            Self::Text(text) => E::invalid_value(Unexpected::Str(text), &expected),
        }
    }
}

/// The text of a JSON string; borrowed where it has no escapes, `None` where it is no Unicode.
fn unquote(quoted: &str) -> Option<Cow<'_, str>> {
    let inner = quoted.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        serde_json::from_str(quoted).ok().map(Cow::Owned)
    } else {
        Some(Cow::Borrowed(inner))
    }
}

/// A type that can be read from whatever a peer wrote.
pub trait FromToken<'a>: Sized {
    /// What an error says was expected.
    const EXPECTED: &'static str;

    /// The value; `None` if the token cannot mean one.
    fn from_token(token: Token<'a>) -> Option<Self>;
}

/// `1234`, `1234.0`, `"1234"`, `" 1234 "`; nothing outside of 64 bits, nothing with a fraction.
impl FromToken<'_> for i64 {
    const EXPECTED: &'static str = "an integer";

    fn from_token(token: Token<'_>) -> Option<Self> {
        integer(token.digits()?)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range and the fraction are checked first"
)]
fn integer(digits: &str) -> Option<i64> {
    const TWO_63: f64 = 9_223_372_036_854_775_808.0;
    if let Ok(value) = digits.parse() {
        return Some(value);
    }
    let value: f64 = digits.parse().ok()?;
    (value.fract() == 0.0 && (-TWO_63..TWO_63).contains(&value)).then_some(value as i64)
}

impl FromToken<'_> for f64 {
    const EXPECTED: &'static str = "a number";

    fn from_token(token: Token<'_>) -> Option<Self> {
        let value: Self = token.digits()?.parse().ok()?;
        value.is_finite().then_some(value)
    }
}

/// `true`, `"true"`, `"TRUE"`, `1`, `"1"`, and the same for false.
impl FromToken<'_> for bool {
    const EXPECTED: &'static str = "a boolean";

    fn from_token(token: Token<'_>) -> Option<Self> {
        if let Token::Bool(value) = token {
            return Some(value);
        }
        match token.digits()? {
            "1" => Some(true),
            "0" => Some(false),
            word if word.eq_ignore_ascii_case("true") => Some(true),
            word if word.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        }
    }
}

/// Strings as they are; numbers and booleans as they are written.
impl<'a> FromToken<'a> for Cow<'a, str> {
    const EXPECTED: &'static str = "a string";

    fn from_token(token: Token<'a>) -> Option<Self> {
        match token {
            Token::Text(text) => Some(text),
            Token::Number(digits) => Some(Cow::Borrowed(digits)),
            Token::Bool(true) => Some(Cow::Borrowed("true")),
            Token::Bool(false) => Some(Cow::Borrowed("false")),
            Token::Null | Token::Nested(_) => None,
        }
    }
}

impl<'a> FromToken<'a> for String {
    const EXPECTED: &'static str = "a string";

    fn from_token(token: Token<'a>) -> Option<Self> {
        Cow::from_token(token).map(Cow::into_owned)
    }
}

impl FromToken<'_> for ConnectorId {
    const EXPECTED: &'static str = "a connector number";

    fn from_token(token: Token<'_>) -> Option<Self> {
        u32::try_from(i64::from_token(token)?).ok().map(Self)
    }
}

impl FromToken<'_> for IdTag {
    const EXPECTED: &'static str = "an id tag";

    fn from_token(token: Token<'_>) -> Option<Self> {
        Some(Self::from(&*Cow::from_token(token)?))
    }
}

/// A field that must be there and readable.
///
/// # Errors
/// What the field is and what was expected.
pub fn required<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromToken<'de>,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    T::from_token(Token::of(raw)).ok_or_else(|| Token::of(raw).refused(T::EXPECTED))
}

/// A field that may be missing, `null` or blank, but must be readable otherwise, because to take it
/// for absent would turn the meaning of the message around; needs `default` beside it.
///
/// # Errors
/// What the field is and what was expected.
pub fn readable<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromToken<'de>,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    match Token::of(raw) {
        Token::Null => Ok(None),
        Token::Text(text) if text.trim().is_empty() => Ok(None),
        token => match T::from_token(token) {
            Some(value) => Ok(Some(value)),
            None => Err(Token::of(raw).refused(T::EXPECTED)),
        },
    }
}

/// A field that counts as absent if it cannot be read; needs `default` beside it.
///
/// # Errors
/// Only if the text is no JSON.
pub fn optional<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromToken<'de>,
{
    let raw = <&RawValue>::deserialize(deserializer)?;
    Ok(T::from_token(Token::of(raw)))
}

/// A field that takes its default if it cannot be read; needs `default` beside it.
///
/// # Errors
/// Only if the text is no JSON.
pub fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromToken<'de> + Default,
{
    optional(deserializer).map(Option::unwrap_or_default)
}

/// An array; elements that cannot be read are left out, anything else than an array is empty.
/// Needs `default` beside it.
///
/// # Errors
/// Only if the text is no JSON.
pub fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromToken<'de>,
{
    deserializer.deserialize_any(List(PhantomData))
}

struct List<T>(PhantomData<T>);

impl<'de, T: FromToken<'de>> Visitor<'de> for List<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            items.extend(T::from_token(Token::of(raw)));
        }
        Ok(items)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(Vec::new())
    }
}

/// Makes an object type an element of a lenient list, or an optional field: what cannot be read
/// is not there.
macro_rules! object {
    ($name:ident $(<$life:lifetime>)?) => {
        impl<'de $(: $life, $life)?> $crate::ocpp::lenient::FromToken<'de> for $name $(<$life>)? {
            const EXPECTED: &'static str = "an object";

            fn from_token(token: $crate::ocpp::lenient::Token<'de>) -> Option<Self> {
                match token {
                    $crate::ocpp::lenient::Token::Nested(text) => serde_json::from_str(text).ok(),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use object;

/// Declares an enumeration of the specification: exact spelling out, any case in.
macro_rules! spelled {
    (
        $(#[$doc:meta])*
        pub enum $name:ident {
            $( $(#[$variant_doc:meta])* $variant:ident = $text:literal, )+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $( $(#[$variant_doc])* $variant, )+
        }

        impl $name {
            /// Every value, in the order of the specification.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The spelling of the specification.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// Lenient: case and surrounding blanks do not matter.
            pub fn parse(text: &str) -> Option<Self> {
                let text = text.trim();
                Self::ALL.iter().copied().find(|value| value.as_str().eq_ignore_ascii_case(text))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl $crate::ocpp::lenient::FromToken<'_> for $name {
            const EXPECTED: &'static str = concat!("one of the values of ", stringify!($name));

            fn from_token(token: $crate::ocpp::lenient::Token<'_>) -> Option<Self> {
                match token {
                    $crate::ocpp::lenient::Token::Text(text) => Self::parse(&text),
                    _ => None,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::ocpp::lenient::required(deserializer)
            }
        }
    };
}
pub(crate) use spelled;

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    struct Message<'a> {
        #[serde(deserialize_with = "required")]
        number: i64,
        #[serde(default, deserialize_with = "optional")]
        flag: Option<bool>,
        #[serde(default, borrow, deserialize_with = "optional")]
        text: Option<Cow<'a, str>>,
        #[serde(default, deserialize_with = "list")]
        items: Vec<i64>,
        #[serde(default, deserialize_with = "readable")]
        which: Option<i64>,
    }

    fn token<'a, T: FromToken<'a>>(json: &'a str) -> Option<T> {
        T::from_token(Token::of(serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn integers_are_read_from_all_that_means_one() {
        for (json, expected) in [
            ("1234", Some(1234)),
            ("1234.0", Some(1234)),
            ("1.234e3", Some(1234)),
            (r#"" 1234 ""#, Some(1234)),
            (r#""1234.0""#, Some(1234)),
            ("-1", Some(-1)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("1e400", None),
            ("0.5", None),
            (r#""""#, None),
            (r#""NaN""#, None),
            ("true", None),
            ("null", None),
            ("[1]", None),
        ] {
            assert_eq!(token::<i64>(json), expected, "{json}");
        }
    }

    #[test]
    fn booleans_are_read_from_words_and_digits() {
        for (json, expected) in [
            ("true", Some(true)),
            (r#""True""#, Some(true)),
            ("1", Some(true)),
            (r#""0""#, Some(false)),
            (r#"" false ""#, Some(false)),
            (r#""yes""#, None),
            ("2", None),
            ("null", None),
        ] {
            assert_eq!(token::<bool>(json), expected, "{json}");
        }
    }

    #[test]
    fn strings_are_borrowed_unless_they_have_escapes_and_numbers_become_strings() {
        assert_eq!(token(r#""04A2""#), Some(Cow::<str>::Borrowed("04A2")));
        assert_eq!(token::<String>(r#""a\/\u20ac""#).as_deref(), Some("a/€"));
        assert_eq!(token::<String>("4711").as_deref(), Some("4711"));
        assert_eq!(token::<String>("false").as_deref(), Some("false"));
        assert_eq!(token::<String>("{}"), None);
        assert_eq!(token::<String>(r#""\ud800""#), None);
    }

    #[test]
    fn an_optional_field_of_the_wrong_type_does_not_cost_the_message() {
        let text = r#"{"number":"7","flag":[[]],"text":{"a":1e999},"items":[1,null,"x","2",{}]}"#;
        let message: Message = serde_json::from_str(text).unwrap();
        assert_eq!(message.number, 7);
        assert_eq!((message.flag, message.text), (None, None));
        assert_eq!(message.items, [1, 2]);
    }

    #[test]
    fn a_list_that_is_none_is_empty() {
        for items in [
            "null",
            "{\"a\":[1]}",
            "true",
            "1",
            "-1",
            "1.5",
            "\"x\"",
            "[]",
        ] {
            let text = format!(r#"{{"number":7,"items":{items}}}"#);
            let message: Message = serde_json::from_str(&text).unwrap();
            assert!(message.items.is_empty(), "{items}");
        }
    }

    #[test]
    fn a_required_field_must_be_there_and_readable() {
        for (text, why) in [
            ("{}", "missing field `number`"),
            (r#"{"number":null}"#, "invalid type"),
            (r#"{"number":"x"}"#, "invalid value"),
        ] {
            let error = serde_json::from_str::<Message>(text).unwrap_err();
            assert!(error.to_string().starts_with(why), "{error}");
        }
    }

    #[test]
    fn a_field_that_must_not_be_overlooked_is_absent_or_readable() {
        for (which, expected) in [("null", None), ("\"\"", None), ("\"2\"", Some(2))] {
            let text = format!(r#"{{"number":7,"which":{which}}}"#);
            assert_eq!(
                serde_json::from_str::<Message>(&text).unwrap().which,
                expected
            );
        }
        assert!(serde_json::from_str::<Message>(r#"{"number":7,"which":"x"}"#).is_err());
    }
}
