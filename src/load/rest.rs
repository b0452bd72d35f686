//! Spares the contactors of wallboxes and cars: how soon after a pause a car may start again.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::units::MilliAmps;

/// Who had to give its place to another does not get it back sooner.
const AFTER_A_TURN: Duration = Duration::from_mins(1);

/// So many starts an hour are free, ...
const FREE: usize = 4;

/// ... the next ones are this far apart, ...
const APART: Duration = Duration::from_mins(10);

/// ... and this many are the most.
const MOST: usize = 6;

/// Who was paused because the house took its current does not get it back sooner, ...
const AFTER_THE_HOUSE: Duration = Duration::from_mins(1);

/// ... and only when there was this much more than its minimum, ...
pub(super) const ROOM: MilliAmps = MilliAmps(1000);

/// ... for so long.
const ROOM_FOR: Duration = Duration::from_mins(1);

/// If the house takes the current of somebody, then rather of who has had some for so long.
const SETTLED: Duration = Duration::from_mins(5);

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
    /// There is not enough below a meter.
    House,
}

/// The starts of one car.
#[derive(Debug, Default)]
pub(super) struct Rest {
    starts: VecDeque<Mono>,
    until: Mono,
    room: Room,
}

/// Whether there is room for it to start again.
#[derive(Debug, Clone, Copy, Default)]
enum Room {
    /// It does not matter.
    #[default]
    NotNeeded,
    /// There is none.
    None,
    /// There is, since then.
    Since(Mono),
}

impl Rest {
    /// It has current now.
    pub(super) fn start(&mut self, now: Mono) {
        while self.starts.len() >= MOST {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        self.room = Room::NotNeeded;
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
            Pause::House => self.next(now).max(now + AFTER_THE_HOUSE),
        };
        if why == Pause::House {
            self.room = Room::None;
        }
    }

    /// It must have room for a while before it starts again.
    pub(super) fn needs_room(&self) -> bool {
        !matches!(self.room, Room::NotNeeded)
    }

    /// It needs room and there is none.
    pub(super) fn lacks_room(&self) -> bool {
        matches!(self.room, Room::None)
    }

    /// Whether there would be room for it.
    pub(super) fn see_room(&mut self, now: Mono, room: bool) {
        self.room = match self.room {
            Room::NotNeeded => Room::NotNeeded,
            Room::None | Room::Since(_) if !room => Room::None,
            Room::None => Room::Since(now),
            Room::Since(since) => Room::Since(since),
        };
    }

    /// It has had current for long enough that it may be asked to give it up.
    pub(super) fn is_settled(&self, now: Mono) -> bool {
        self.starts
            .back()
            .is_none_or(|start| now.since(*start) >= SETTLED)
    }

    /// How long it must not start yet.
    pub(super) fn remaining(&self, now: Mono) -> Option<Duration> {
        let room = match self.room {
            Room::NotNeeded => now,
            Room::None => now + ROOM_FOR,
            Room::Since(since) => since + ROOM_FOR,
        };
        Some(self.until.max(room).since(now)).filter(|rest| !rest.is_zero())
    }

    /// When it may start again, if nothing but time is missing.
    pub(super) fn until(&self) -> Mono {
        match self.room {
            Room::Since(since) => self.until.max(since + ROOM_FOR),
            Room::NotNeeded | Room::None => self.until,
        }
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
            rest.see_room(at(seconds), true);
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

    #[test]
    fn whom_the_house_paused_stays_away_for_a_minute_and_until_there_was_room_for_one() {
        let mut rest = Rest::default();
        rest.start(at(0));
        rest.pause(at(10), Pause::House);
        assert!(rest.needs_room() && rest.lacks_room());
        rest.see_room(at(10), true);
        assert_eq!(rest.remaining(at(69)), Some(Duration::from_secs(1)));
        rest.see_room(at(69), false);
        assert_eq!(rest.remaining(at(75)), Some(Duration::from_mins(1)));
        rest.see_room(at(80), true);
        rest.see_room(at(100), true);
        assert_eq!(rest.until(), at(140));
        assert!(rest.remaining(at(139)).is_some() && rest.remaining(at(140)).is_none());
        rest.start(at(140));
        assert!(!rest.needs_room());
    }

    #[test]
    fn the_house_too_starts_nobody_more_than_six_times_an_hour() {
        let starts = starts(Pause::House);
        assert!(starts.windows(7).all(|seven| seven[6] - seven[0] >= 3600));
    }

    #[test]
    fn a_car_is_settled_five_minutes_after_its_start() {
        let mut rest = Rest::default();
        rest.start(at(0));
        assert!(!rest.is_settled(at(299)) && rest.is_settled(at(300)));
    }
}
