//! How long a certificate holds.

use jiff::Timestamp;

const DAY: i64 = 86_400;
/// Whoever renews by hand needs some time.
const SOON: i64 = 30;
const YEAR: i64 = 365;

/// `2026-01-01 to 2036-01-01, 9 years left`.
pub(super) fn valid(from: Timestamp, to: Timestamp, now: Timestamp) -> String {
    let dates = [from, to].map(date);
    let [from, to, today] = [from, to, now].map(Timestamp::as_second);
    let state = if today < from {
        let days = whole_days(from.saturating_sub(today));
        format!("NOT YET: it begins in {days} (is the clock of this machine right?)")
    } else if to < today {
        format!(
            "EXPIRED {} ago: nobody accepts it",
            whole_days(today.saturating_sub(to))
        )
    } else if to.saturating_sub(today) <= SOON * DAY {
        format!("ENDS SOON: in {}", whole_days(to.saturating_sub(today)))
    } else {
        format!("{} left", whole_days(to.saturating_sub(today)))
    };
    format!("{}, {state}", dates.join(" to "))
}

fn date(at: Timestamp) -> String {
    if at == Timestamp::MAX {
        return "the end of time".to_owned();
    }
    at.strftime("%Y-%m-%d").to_string()
}

fn whole_days(seconds: i64) -> String {
    let days = seconds / DAY;
    match (days, days / YEAR) {
        (0, _) => "less than a day".to_owned(),
        (1, _) => "1 day".to_owned(),
        (days, 0 | 1) => format!("{days} days"),
        (_, years) => format!("{years} years"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_as_people_say_it_and_trouble_in_capitals() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let said = |from: i64, to: i64| {
            let at = |days: i64| Timestamp::from_second(now.as_second() + days * DAY).unwrap();
            let text = valid(at(from), at(to), now);
            text.split_once(", ").unwrap().1.to_owned()
        };
        assert_eq!(said(-1, 3650), "10 years left");
        assert_eq!(said(-1, 729), "729 days left");
        assert_eq!(said(-1, 31), "31 days left");
        assert_eq!(said(-1, 30), "ENDS SOON: in 30 days");
        assert_eq!(said(-1, 0), "ENDS SOON: in less than a day");
        assert_eq!(said(-9, -1), "EXPIRED 1 day ago: nobody accepts it");
        assert!(said(1, 9).starts_with("NOT YET: it begins in 1 day"));
    }

    #[test]
    fn dates_are_civil_and_the_last_one_of_all_is_no_trouble() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        // RFC 5280 §4.1.2.5: no well-defined end.
        let text = valid(Timestamp::UNIX_EPOCH, Timestamp::MAX, now);
        assert_eq!(text, "1970-01-01 to the end of time, 7978 years left");
    }
}
