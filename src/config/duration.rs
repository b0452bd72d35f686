//! Durations as people write them: `15s`, `10min`, `1h 30min`, `500ms`.

use std::fmt;
use std::time::Duration;

/// Milliseconds of each unit, largest first.
const UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("min", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// The text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no duration: write a number and a unit (ms, s, min, h or d), for example 15s or 1h 30min")]
pub struct NoDuration;

/// Reads a duration: numbers with units, the largest unit first, each at most once.
///
/// # Errors
///
/// Anything else, a number without a unit included.
pub fn parse(text: &str) -> Result<Duration, NoDuration> {
    let mut rest = text.trim();
    let mut units = UNITS.iter();
    let mut total = 0_u64;
    if rest.is_empty() {
        return Err(NoDuration);
    }
    while !rest.is_empty() {
        let (number, tail) = split_at_first(rest, |c| !c.is_ascii_digit());
        let (name, tail) = split_at_first(tail.trim_start(), |c| !c.is_ascii_alphabetic());
        let number: u64 = number.parse().map_err(|_| NoDuration)?;
        let (_, millis) = units.find(|(unit, _)| *unit == name).ok_or(NoDuration)?;
        total = number
            .checked_mul(*millis)
            .and_then(|part| total.checked_add(part))
            .ok_or(NoDuration)?;
        rest = tail.trim_start();
    }
    Ok(Duration::from_millis(total))
}

fn split_at_first(text: &str, is_end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(is_end).unwrap_or(text.len()))
}

/// A duration as it would be written in the file: `1h 30min`.
#[derive(Debug, Clone, Copy)]
pub struct Written(pub Duration);

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        let mut space = "";
        for (unit, millis) in UNITS {
            if rest >= millis {
                write!(f, "{space}{}{unit}", rest / millis)?;
                rest %= millis;
                space = " ";
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in [
            ("15s", 15_000),
            ("10min", 600_000),
            ("1h 30min", 5_400_000),
            ("1h30min", 5_400_000),
            (" 2 h  5 s ", 7_205_000),
            ("500ms", 500),
            ("0s", 0),
            ("1d", 86_400_000),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_ambiguous_or_no_duration_is_refused() {
        for text in [
            "",
            " ",
            "15",
            "s",
            "10m",
            "1.5h",
            "-1s",
            "30min 1h",
            "1s 1s",
            "1h, 5s",
            "5 S",
            "99999999999999999999s",
            "18446744073709551615d",
            "1h 99999999999999999999ms",
        ] {
            assert_eq!(parse(text), Err(NoDuration), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_written_duration_reads_back_as_itself(millis in 0_u64..1_000_000_000_000) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&Written(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
