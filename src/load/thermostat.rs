//! Loads of a house that come back: a cooker, an oven or a boiler switches off and on again many
//! times an hour. What it leaves for half a minute is given to cars and taken from them again, at the
//! price of an overload each time; so whoever came back is waited for.

use std::time::Duration;

use crate::clock::Mono;

/// Who stays away for longer than this is done, as far as anybody can tell.
pub(super) const LONGEST: Duration = Duration::from_secs(90);

/// So long after it came back it is not waited for any more: it was on for too long, or it is done.
const FORGOTTEN: Duration = Duration::from_mins(3);

/// A house load that matters, in mA.
pub(super) const SWITCHES: i64 = 3000;

/// Readings so near to one another may show the same fall.
const ONE_EDGE: Duration = Duration::from_secs(3);

/// What comes back is the same if the house takes as much as before, give or take so much, in mA.
const NEAR: i64 = 2000;

/// What comes back on one phase of a house. Currents in mA.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Thermostat {
    /// The most that the house took lately, as of the last reading.
    peak: i64,
    gone: Option<Gone>,
    expected: Option<Expected>,
}

/// The house takes less than it did.
#[derive(Debug, Clone, Copy)]
struct Gone {
    since: Mono,
    was: i64,
    /// The least since.
    low: i64,
}

/// Something came back.
#[derive(Debug, Clone, Copy)]
struct Expected {
    size: i64,
    /// What the house took without it.
    base: i64,
    /// It is waited for so long.
    within: Duration,
    until: Mono,
    /// It is off since then.
    away: Option<Mono>,
}

impl Thermostat {
    /// The house takes `newest` now and took at most `peak` during the last `hold`.
    pub(super) fn see(&mut self, now: Mono, newest: i64, peak: i64, hold: Duration) {
        let before = std::mem::replace(&mut self.peak, peak);
        if before - peak >= SWITCHES {
            let since = now - hold;
            // A meter that averages shows one fall as two.
            let gone = self.gone.filter(|gone| since.since(gone.since) <= ONE_EDGE);
            let (since, was) = gone.map_or((since, before), |gone| (gone.since, gone.was));
            if let Some(expected) = &mut self.expected
                && expected.falls(was, peak)
            {
                expected.away = Some(since);
            }
            self.gone = Some(Gone {
                since,
                was,
                low: peak,
            });
        }
        self.expected = self.expected.filter(|expected| {
            let away = expected.away.map(|since| now.since(since));
            expected.until > now && away.is_none_or(|away| away <= expected.within)
        });
        if let Some(expected) = &mut self.expected
            && (newest - before - expected.size).abs() <= NEAR.min(expected.size / 3)
            && expected.away.take().is_some()
        {
            expected.until = now + FORGOTTEN;
        }
        let Some(gone) = &mut self.gone else { return };
        gone.low = gone.low.min(peak);
        let away = now.since(gone.since);
        let size = newest - gone.low;
        if size >= SWITCHES && (newest - gone.was).abs() <= NEAR && away <= LONGEST {
            let longest = self.expected.map_or(Duration::ZERO, |last| last.within);
            let base = gone.low;
            self.gone = None;
            self.expected = Some(Expected {
                size,
                base,
                within: (away * 2).clamp(longest, LONGEST),
                until: now + FORGOTTEN,
                away: None,
            });
        }
    }

    /// What must be set aside for it, if the house took at most `peak` lately. `within` says the most
    /// that it took in a longer time.
    pub(super) fn hold(&self, peak: i64, within: impl Fn(Duration) -> i64) -> i64 {
        // While it is on it is a part of the peak.
        let expected = self.expected.filter(|expected| expected.away.is_some());
        expected.map_or(peak, |expected| {
            let before = within(expected.within);
            before.min(peak + expected.size).max(peak)
        })
    }
}

impl Expected {
    /// It may be what fell when the peak of the house fell from `was` to `peak`: alone, or with
    /// something else at the same moment. A meter that averages shows a part of it first.
    fn falls(&self, was: i64, peak: i64) -> bool {
        let fall = was - peak;
        let alone = fall <= self.size + NEAR;
        fall >= self.size / 2 && (alone || (peak - self.base).abs() <= NEAR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLD: Duration = Duration::from_secs(15);

    /// A phase of a house that is read once a second.
    #[derive(Default)]
    struct House {
        now: u64,
        readings: Vec<i64>,
        thermostat: Thermostat,
    }

    impl House {
        fn most(&self, within: Duration) -> i64 {
            let within = usize::try_from(within.as_secs()).unwrap() + 1;
            self.readings
                .iter()
                .rev()
                .take(within)
                .copied()
                .max()
                .unwrap_or(0)
        }

        /// What is set aside at the end of so many seconds.
        fn takes(&mut self, amps: i64, seconds: u64) -> i64 {
            for _ in 0..seconds {
                self.now += 1;
                self.readings.push(amps * 1000);
                let now = Mono(Duration::from_secs(self.now));
                self.thermostat.see(now, amps * 1000, self.most(HOLD), HOLD);
            }
            self.thermostat
                .hold(self.most(HOLD), |within| self.most(within))
                / 1000
        }
    }

    #[test]
    fn what_came_back_is_waited_for_twice_as_long() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        assert_eq!(house.takes(4, 15), 14);
        assert_eq!(house.takes(4, 25), 4, "nobody knows yet");
        assert_eq!(house.takes(14, 30), 14);
        assert_eq!(house.takes(4, 78), 14, "40 s, and as long again");
        assert_eq!(house.takes(4, 5), 4, "it is done");
        assert_eq!(house.takes(14, 30), 14);
        assert_eq!(house.takes(4, 88), 14, "it was away for 83 s");
        assert_eq!(
            house.takes(4, 4),
            4,
            "nobody is waited for longer than 90 s"
        );
    }

    #[test]
    fn what_is_on_is_not_waited_for_beside_itself() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        house.takes(4, 40);
        house.takes(34, 10);
        assert_eq!(
            house.takes(14, 20),
            14,
            "the water heater was on with the cooker"
        );
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        house.takes(4, 40);
        house.takes(14, 30);
        house.takes(34, 10);
        assert_eq!(
            house.takes(14, 20),
            14,
            "the water heater is done, the cooker is on"
        );
        assert_eq!(house.takes(4, 40), 14, "and now it is off");
    }

    #[test]
    fn something_small_that_ends_beside_it_does_not_count() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        house.takes(4, 40);
        house.takes(14, 30);
        house.takes(18, 10);
        assert_eq!(house.takes(14, 20), 14);
        assert_eq!(house.takes(4, 78), 14);
    }

    #[test]
    fn what_came_back_while_something_else_was_on_is_not_waited_for() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        house.takes(4, 40);
        house.takes(14, 30);
        house.takes(4, 10);
        house.takes(24, 3);
        house.takes(34, 10);
        assert_eq!(house.takes(14, 40), 14);
    }

    #[test]
    fn what_is_over_is_not_waited_for() {
        for (away, on) in [(95, 30), (40, 200)] {
            let mut house = House::default();
            house.takes(4, 60);
            house.takes(14, 30);
            house.takes(4, away);
            house.takes(14, on);
            assert_eq!(house.takes(4, 20), 4, "{away} s away, {on} s on");
        }
    }

    #[test]
    fn only_as_much_is_set_aside_as_came_back() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        house.takes(4, 40);
        house.takes(14, 30);
        house.takes(34, 10);
        assert_eq!(
            house.takes(4, 20),
            14,
            "the cooker and not the water heater"
        );
    }

    #[test]
    fn a_meter_that_averages_shows_the_same_load() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(9, 1);
        house.takes(14, 30);
        house.takes(9, 1);
        house.takes(4, 40);
        house.takes(11, 1);
        house.takes(14, 30);
        assert_eq!(house.takes(4, 40), 14);
    }

    #[test]
    fn something_else_is_nothing_that_came_back() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(14, 30);
        house.takes(4, 40);
        house.takes(24, 30);
        assert_eq!(house.takes(4, 20), 4);
    }

    #[test]
    fn little_things_do_not_matter() {
        let mut house = House::default();
        house.takes(4, 60);
        house.takes(6, 30);
        house.takes(4, 40);
        house.takes(6, 30);
        assert_eq!(house.takes(4, 20), 4);
    }
}
