//! Points in time as peers write them, and as we do.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::Offset;
use serde::{Deserializer, Serializer};

use super::lenient::{self, FromToken, Token};

/// Before this a charge point's clock was never set (2020-01-01T00:00:00Z).
const CLOCKS_ARE_SET_SINCE: i64 = 1_577_836_800;

/// 0000-01-01T00:00:00Z: what is earlier has no year of four digits.
const YEAR_ZERO: i64 = -62_167_219_200;

/// Reads RFC 3339 and what the field makes of it: any fraction, `+01:00`, `+0100`, `+01`, lower
/// case, a blank instead of `T`, no seconds, no zone (which means UTC).
pub fn parse_lenient(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    let date = parse_date(text.get(..10)?)?;
    let rest = text.get(10..)?;
    let rest = rest
        .strip_prefix(['T', 't', ' '])
        .filter(|rest| !rest.is_empty())?;
    let zone_at = rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len());
    let (time, zone) = rest.split_at_checked(zone_at)?;
    let local = DateTime::from_parts(date, parse_time(time)?);
    let zone = parse_zone(zone.trim())?;
    // Quirk: backends: the last second of the year 9999 means never.
    let never = (local.year() > 0).then_some(Timestamp::MAX);
    let time = zone.to_timestamp(local).ok().or(never)?;
    (time.as_second() >= YEAR_ZERO).then_some(time)
}

fn parse_date(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let year = number(parts.next()?)?;
    let month = number(parts.next()?)?;
    let day = number(parts.next()?)?;
    if parts.next().is_some() {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn parse_time(text: &str) -> Option<Time> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let mut parts = whole.split(':');
    let hour = number(parts.next()?)?;
    let minute = number(parts.next()?)?;
    let second = parts.next().map_or(Some(0), number)?;
    if parts.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    // A leap second is shown as the second before it.
    let second = if second == 60 { 59 } else { second };
    let nanosecond = fraction
        .bytes()
        .chain(std::iter::repeat(b'0'))
        .take(9)
        .fold(0, |sum, digit| sum * 10 + i32::from(digit - b'0'));
    Time::new(
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        nanosecond,
    )
    .ok()
}

fn parse_zone(text: &str) -> Option<Offset> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") {
        return Some(Offset::UTC);
    }
    let (sign, digits) = match text.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.len() == 4 => digits.split_at_checked(2)?,
        None => (digits, "0"),
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if minutes > 59 || hours > 24 {
        return None;
    }
    Offset::from_seconds(sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60)).ok()
}

/// One to four digits.
fn number(text: &str) -> Option<i16> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Whether the clock that made this was never set: the year is before 2020.
pub fn clock_not_set(time: Timestamp) -> bool {
    time.as_second() < CLOCKS_ARE_SET_SINCE
}

/// `YYYY-MM-DDTHH:MM:SSZ`, the only form that every wallbox reads.
pub fn format(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

impl FromToken<'_> for Timestamp {
    const EXPECTED: &'static str = "a date and time";

    fn from_token(token: Token<'_>) -> Option<Self> {
        match token {
            Token::Text(text) => parse_lenient(&text),
            _ => None,
        }
    }
}

/// For `#[serde(with = "timestamp::required")]`.
pub mod required {
    use super::{Deserializer, Serializer, Timestamp, format, lenient};

    /// Writes whole seconds in UTC.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format(*time))
    }

    /// Reads what [`parse_lenient`](super::parse_lenient) reads.
    ///
    /// # Errors
    /// If it is no date and time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        lenient::required(deserializer)
    }
}

/// For `#[serde(with = "timestamp::optional", default, skip_serializing_if = "Option::is_none")]`.
pub mod optional {
    use super::{Deserializer, Serializer, Timestamp, format, lenient};

    /// Writes whole seconds in UTC.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => serializer.serialize_str(&format(*time)),
            None => serializer.serialize_none(),
        }
    }

    /// Reads what [`parse_lenient`](super::parse_lenient) reads; anything else counts as absent.
    ///
    /// # Errors
    /// Only if the text is no JSON.
    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        lenient::optional(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_seen_in_the_field_is_read() {
        for (text, expected) in [
            ("2026-01-15T10:00:00Z", "2026-01-15T10:00:00Z"),
            ("2026-01-15t10:00:00z", "2026-01-15T10:00:00Z"),
            ("2026-01-15T10:00:00.123Z", "2026-01-15T10:00:00.123Z"),
            (
                "2026-01-15T10:00:00.1234567891234Z",
                "2026-01-15T10:00:00.123456789Z",
            ),
            ("2026-01-15T10:00:00.+01:00", "2026-01-15T09:00:00Z"),
            ("2026-01-15T10:00:00+01:00", "2026-01-15T09:00:00Z"),
            ("2026-01-15T10:00:00-0530", "2026-01-15T15:30:00Z"),
            ("2025-04-25T15:38:39+03", "2025-04-25T12:38:39Z"),
            ("2026-01-15T10:00:00 +01:00", "2026-01-15T09:00:00Z"),
            ("2026-01-15 10:00:00", "2026-01-15T10:00:00Z"),
            ("  2026-01-15T10:00Z ", "2026-01-15T10:00:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
            ("1970-01-01T00:00:12Z", "1970-01-01T00:00:12Z"),
        ] {
            let expected: Timestamp = expected.parse().unwrap();
            assert_eq!(parse_lenient(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn quirk_growatt_thor_writes_no_zone() {
        assert_eq!(
            parse_lenient("2023-10-19T15:28:07").map(format),
            Some("2023-10-19T15:28:07Z".to_owned())
        );
    }

    #[test]
    fn quirk_backends_write_the_end_of_the_year_9999_for_never() {
        for never in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00"] {
            assert_eq!(parse_lenient(never), Some(Timestamp::MAX), "{never}");
        }
    }

    #[test]
    fn what_is_no_time_is_not_guessed() {
        for text in [
            "",
            "now",
            "2026-01-15",
            "2026-01-15T",
            "2026-13-15T10:00:00Z",
            "2026-02-30T10:00:00Z",
            "2026-01-15T25:00:00Z",
            "2026-01-15T10:00:00+1:2:3",
            "2026-01-15T10:00:00+99:00",
            "2026-01-15T10:00:00 CET",
            "15.01.2026 10:00:00",
            "2026-01-1äT10:00:00Z",
            "0000-01-01T00:59:59+01:00",
        ] {
            assert_eq!(parse_lenient(text), None, "{text}");
        }
    }

    #[test]
    fn a_clock_before_2020_was_never_set() {
        assert!(clock_not_set("2019-12-31T23:59:59Z".parse().unwrap()));
        assert!(!clock_not_set("2020-01-01T00:00:00Z".parse().unwrap()));
    }

    #[test]
    fn a_fraction_is_never_sent() {
        let time: Timestamp = "2026-01-15T10:00:00.999Z".parse().unwrap();
        assert_eq!(format(time), "2026-01-15T10:00:00Z");
    }

    proptest! {
        #[test]
        fn what_we_write_is_read_back(second in 0_i64..253_402_200_000) {
            let time = Timestamp::from_second(second).unwrap();
            prop_assert_eq!(parse_lenient(&format(time)), Some(time));
        }

        #[test]
        fn no_text_panics(text in "\\PC*", digits in "[0-9TZtz:.,+ -]{0,40}") {
            let _ = parse_lenient(&text);
            let _ = parse_lenient(&digits);
        }
    }
}
