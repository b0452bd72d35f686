//! Whether a meter still says what is true.

use std::time::Duration;

use crate::clock::Mono;

/// A reading may be missed without consequence ...
const MISSED: u32 = 2;

/// ... and nothing is made of a delay shorter than this.
const AT_LEAST: Duration = Duration::from_secs(3);

/// A meter that was stale is believed again after so many readings in a row.
const GOOD: u32 = 3;

/// Exactly at its limit a reading is still good.
const JUST_AFTER: Duration = Duration::from_millis(1);

/// How old the newest reading is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Freshness {
    /// It tells what flows.
    Fresh,
    /// It may not be what flows any more: nothing is raised.
    Late,
    /// Nobody knows what flows: the failsafe current holds.
    Stale,
}

/// What just happened to a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It became stale.
    Stale,
    /// It can be believed again.
    Recovered,
}

/// Watches one meter.
#[derive(Debug)]
pub(super) struct MeterWatch {
    late: Duration,
    timeout: Duration,
    began: Mono,
    last: Option<Mono>,
    /// Readings in a row since it became stale.
    good: u32,
    is_stale: bool,
}

impl MeterWatch {
    /// Before its first reading a meter is late, and stale when that takes longer than `timeout`.
    pub(super) fn new(now: Mono, poll: Duration, timeout: Duration) -> Self {
        Self {
            late: poll.saturating_mul(MISSED).max(AT_LEAST),
            timeout,
            began: now,
            last: None,
            good: 0,
            is_stale: false,
        }
    }

    /// A reading came.
    pub(super) fn read(&mut self, now: Mono) -> Option<Change> {
        let change = self.look(now);
        let in_a_row = self.last.is_some_and(|last| now.since(last) <= self.late);
        self.good = if self.is_stale && in_a_row {
            self.good.saturating_add(1)
        } else {
            1
        };
        self.last = Some(now);
        change
    }

    /// Lets time act.
    pub(super) fn look(&mut self, now: Mono) -> Option<Change> {
        let since = self.last.unwrap_or(self.began);
        let silent = now.since(since) > self.timeout;
        if silent && !self.is_stale {
            self.is_stale = true;
            self.good = 0;
            return Some(Change::Stale);
        }
        if self.is_stale && !silent && self.good >= GOOD {
            self.is_stale = false;
            return Some(Change::Recovered);
        }
        None
    }

    /// Whether what it said last can be believed now.
    pub(super) fn freshness(&self, now: Mono) -> Freshness {
        match self.last {
            _ if self.is_stale => Freshness::Stale,
            Some(last) if now.since(last) <= self.late => Freshness::Fresh,
            _ => Freshness::Late,
        }
    }

    /// Since its last reading.
    pub(super) fn age(&self, now: Mono) -> Option<Duration> {
        self.last.map(|last| now.since(last))
    }

    /// When time alone changes something.
    pub(super) fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let late = self.last.map(|last| last + self.late);
        let stale = Some(self.last.unwrap_or(self.began) + self.timeout);
        let times = [late, stale.filter(|_| !self.is_stale)].into_iter();
        let times = times.flatten().map(|at| at + JUST_AFTER);
        times.filter(|at| *at > now).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    const SECOND: Duration = Duration::from_secs(1);
    const TIMEOUT: Duration = Duration::from_secs(15);

    fn read_until(watch: &mut MeterWatch, seconds: std::ops::RangeInclusive<u64>) {
        for seconds in seconds {
            watch.read(at(seconds));
            watch.look(at(seconds));
        }
    }

    #[test]
    fn a_reading_is_late_after_two_polls_or_three_seconds_whichever_is_longer() {
        for (poll, late) in [(1, 3), (2, 4), (5, 10)] {
            let mut watch = MeterWatch::new(at(99), Duration::from_secs(poll), TIMEOUT);
            assert_eq!(watch.freshness(at(99)), Freshness::Late, "nothing came yet");
            watch.read(at(100));
            assert_eq!(watch.freshness(at(100 + late)), Freshness::Fresh);
            let just_after = watch.poll_timeout(at(100)).unwrap();
            assert_eq!(just_after, at(100 + late) + JUST_AFTER);
            assert_eq!(watch.freshness(just_after), Freshness::Late);
        }
    }

    #[test]
    fn a_meter_is_stale_after_its_timeout_and_says_so_once() {
        let mut watch = MeterWatch::new(at(0), SECOND, TIMEOUT);
        watch.read(at(10));
        assert_eq!(watch.look(at(25)), None);
        let after = watch.poll_timeout(at(24)).unwrap();
        assert_eq!(after, at(25) + JUST_AFTER);
        assert_eq!(watch.look(after), Some(Change::Stale));
        assert_eq!(watch.look(at(40)), None);
        assert_eq!(watch.freshness(at(40)), Freshness::Stale);
        assert_eq!(watch.poll_timeout(at(40)), None);
    }

    #[test]
    fn a_meter_that_never_said_anything_is_stale_after_the_same_time() {
        let mut watch = MeterWatch::new(at(5), SECOND, TIMEOUT);
        assert_eq!(watch.look(at(20)), None);
        assert_eq!(watch.look(at(21)), Some(Change::Stale));
        assert_eq!(watch.age(at(21)), None);
    }

    #[test]
    fn a_stale_meter_is_believed_again_after_three_readings_in_a_row() {
        let mut watch = MeterWatch::new(at(0), SECOND, TIMEOUT);
        watch.look(at(20));
        read_until(&mut watch, 30..=31);
        assert_eq!(watch.freshness(at(31)), Freshness::Stale);
        read_until(&mut watch, 40..=41);
        assert_eq!(watch.freshness(at(41)), Freshness::Stale, "there was a gap");
        watch.read(at(42));
        assert_eq!(watch.look(at(42)), Some(Change::Recovered));
        assert_eq!(watch.freshness(at(42)), Freshness::Fresh);
    }

    #[test]
    fn a_reading_that_ends_a_long_silence_says_that_the_meter_was_stale() {
        let mut watch = MeterWatch::new(at(0), SECOND, TIMEOUT);
        watch.read(at(1));
        assert_eq!(watch.read(at(60)), Some(Change::Stale));
        assert_eq!(watch.freshness(at(60)), Freshness::Stale);
    }
}
