//! Spares the contactors of wallboxes and cars: how soon after a pause a car may start again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;

/// Who had to give its place to another does not get it back sooner.
const AFTER_A_TURN: Duration = Duration::from_mins(1);

/// So many starts an hour are free, ...
const FREE: usize = 4;

/// ... the next ones are this far apart, ...
const APART: Duration = Duration::from_mins(10);

/// ... and this many are the most.
const MOST: usize = 6;

const HOUR: Duration = Duration::from_hours(1);

/// Why a car lost its current.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// Its backend or a person said so: it ends as soon as they say.
    Wanted,
    /// Its slot is over.
    Turn,
    /// There is not enough, or it drew too much.
    Lack,
}

/// The starts of one car.
#[derive(Debug, Default)]
pub(super) struct Rest {
    starts: VecDeque<Mono>,
    until: Mono,
}

impl Rest {
    /// It has current now.
    pub(super) fn start(&mut self, now: Mono) {
        while self.starts.len() >= MOST {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
    }

    /// It has none any more.
    pub(super) fn pause(&mut self, now: Mono, why: Pause) {
        self.until = match why {
            Pause::Wanted | Pause::Turn => {
                // Not what is meant by too many starts.
                self.starts.pop_back();
                let turn = why == Pause::Turn;
                now + if turn { AFTER_A_TURN } else { Duration::ZERO }
            }
            Pause::Lack => self.next(now),
        };
    }

    /// How long it must not start yet.
    pub(super) fn remaining(&self, now: Mono) -> Option<Duration> {
        Some(self.until.since(now)).filter(|rest| !rest.is_zero())
    }

    /// When it may start again.
    pub(super) fn until(&self) -> Mono {
        self.until
    }

    fn next(&self, now: Mono) -> Mono {
        let recent = || self.starts.iter().filter(|at| now.since(**at) < HOUR);
        match recent().count() {
            MOST.. => recent().next().map_or(now, |oldest| *oldest + HOUR),
            FREE.. => recent().next_back().map_or(now, |last| *last + APART),
            _ => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    /// When it starts in two hours if it is paused 10 s after each start.
    fn starts(why: Pause) -> Vec<u64> {
        let mut rest = Rest::default();
        let mut starts = Vec::new();
        for seconds in (0..7200).step_by(20) {
            if rest.remaining(at(seconds)).is_none() {
                rest.start(at(seconds));
                starts.push(seconds);
                rest.pause(at(seconds + 10), why);
            }
        }
        starts
    }

    #[test]
    fn four_starts_an_hour_are_free_and_six_are_the_most() {
        let starts = starts(Pause::Lack);
        assert_eq!(starts[..6], [0, 20, 40, 60, 660, 1260]);
        assert!(starts.windows(7).all(|seven| seven[6] - seven[0] >= 3600));
    }

    #[test]
    fn a_pause_that_somebody_wanted_ends_as_soon_as_it_may() {
        assert_eq!(starts(Pause::Wanted).len(), 360);
    }

    #[test]
    fn who_gave_its_place_to_another_stays_away_for_a_minute() {
        assert_eq!(starts(Pause::Turn)[..3], [0, 80, 160]);
    }
}
