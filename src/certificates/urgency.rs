//! How near the end of a certificate is.

use jiff::Timestamp;

const DAY: i64 = 24 * 3600;

/// How near the end of a certificate is, the nearest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// 30 days or less are left.
    Month,
    /// 7 days or less are left.
    Week,
    /// A day or less is left.
    Day,
    /// It is over.
    Over,
}

impl Urgency {
    /// `None`: it is worth no word yet.
    pub fn of(until: Timestamp, now: Timestamp) -> Option<Self> {
        let left = until.as_second().saturating_sub(now.as_second());
        let within = [
            (-1, Self::Over),
            (DAY, Self::Day),
            (7 * DAY, Self::Week),
            (30 * DAY, Self::Month),
        ];
        let found = within.into_iter().find(|(most, _)| left <= *most);
        found.map(|(_, urgency)| urgency)
    }
}

/// The worst that was said of the end of one certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Said(Option<Urgency>);

impl Said {
    /// What is to be said now: each degree of urgency once.
    pub fn worse(&mut self, until: Timestamp, now: Timestamp) -> Option<Urgency> {
        let urgency = Urgency::of(until, now);
        if urgency <= self.0 {
            return None;
        }
        self.0 = urgency;
        urgency
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_called_urgent_a_month_a_week_and_a_day_ahead() {
        let until: Timestamp = "2026-12-31T00:00:00Z".parse().unwrap();
        for (now, urgency) in [
            ("2026-11-30T23:59:59Z", None),
            ("2026-12-01T00:00:00Z", Some(Urgency::Month)),
            ("2026-12-24T00:00:00Z", Some(Urgency::Week)),
            ("2026-12-30T00:00:00Z", Some(Urgency::Day)),
            ("2026-12-31T00:00:00Z", Some(Urgency::Day)),
            ("2026-12-31T00:00:01Z", Some(Urgency::Over)),
        ] {
            assert_eq!(Urgency::of(until, now.parse().unwrap()), urgency, "{now}");
        }
    }

    #[test]
    fn what_was_said_is_said_again_only_when_it_gets_worse() {
        let until = "2026-12-31T00:00:00Z".parse().unwrap();
        let mut said = Said::default();
        let mut says = |now: &str| said.worse(until, now.parse().unwrap());
        assert_eq!(says("2026-11-01T00:00:00Z"), None);
        assert_eq!(says("2026-12-29T00:00:00Z"), Some(Urgency::Week));
        assert_eq!(says("2026-12-29T01:00:00Z"), None);
        // The clock steps back: nothing to take back.
        assert_eq!(says("1970-01-01T00:00:00Z"), None);
        assert_eq!(says("2026-12-29T00:00:00Z"), None);
        assert_eq!(says("2027-01-01T00:00:00Z"), Some(Urgency::Over));
    }
}
