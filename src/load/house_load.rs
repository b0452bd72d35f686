//! What a house takes of a circuit: the readings of its meter, less what the EVSEs drew.

use std::collections::VecDeque;
use std::time::Duration;

use super::thermostat::{LONGEST, SWITCHES, Thermostat};
use crate::clock::Mono;
use crate::units::{MilliAmps, PerPhase, Phase};

/// So far back a measurement of an EVSE may still tell what it drew.
const SETTLES: Duration = Duration::from_secs(30);

/// So many readings at most are judged anew.
const JUDGED_ANEW: usize = 32;

/// Meters and EVSEs are not exact, and a house is never quite still: a change by less than this is
/// left to the reserve, if that is twice as much. Each would cost a write to every wallbox.
const STILL: MilliAmps = MilliAmps(500);

/// A rise in the middle of an overload may be larger by this than it seems: a car that is being paused
/// hides as much, and time is short.
const HIDDEN: i64 = 6000;

/// An overload that lasts for so long is none that cars are still giving up.
const LASTS: Duration = Duration::from_secs(12);

/// What switches in a house is mostly on one phase or on all: each phase that must have changed makes
/// an explanation less likely by as much as this.
const PER_PHASE: i64 = 1000;

/// So many readings are kept at most.
const MOST: usize = 1024;

/// Currents in mA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Load {
    /// Of each phase of the grid.
    pub(super) phases: PerPhase<i64>,
    /// Over all phases.
    pub(super) power: i64,
}

/// What the EVSEs drew at a moment, as far as can be known.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drawn {
    pub(super) least: Load,
    pub(super) most: Load,
    /// So much of the difference is one and the same on all phases: cars rise and fall on all of
    /// them together.
    pub(super) together: i64,
}

/// The readings of a while.
#[derive(Debug)]
pub(super) struct HouseLoad {
    hold: Duration,
    slack: i64,
    reserve: i64,
    /// What may flow on each phase.
    fuse: i64,
    /// More has flowed since then.
    over_since: Option<Mono>,
    readings: VecDeque<Reading>,
    /// The last reading that was dropped.
    before: Option<Reading>,
    returns: PerPhase<Thermostat>,
    counts: Option<Load>,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Mono,
    all: Load,
    house: Load,
    /// What the EVSEs are taken to have drawn.
    drawn: Load,
    /// So much more the house may have taken on each phase.
    hidden: PerPhase<i64>,
    draw: Draw,
}

/// What the EVSEs are taken to have drawn at a moment after their last measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Draw {
    /// The most that they can have drawn.
    Most,
    /// What they drew before, where that was steady: too much flows, and what they leave unused
    /// must not hide it.
    Steady,
    /// The same, but no more than they were allowed: too much has flowed for so long that every
    /// lowering was followed, so it is what cars draw beyond their offers.
    Allowed,
}

impl HouseLoad {
    /// Its peak is that of so long. A part of the `reserve` of its circuit may be used up by what is
    /// too little to be counted.
    pub(super) fn new(hold: Duration, reserve: MilliAmps) -> Self {
        Self {
            hold,
            slack: i64::from(STILL.0.min(reserve.0 / 2).max(0)),
            reserve: i64::from(reserve.0),
            fuse: i64::from(i32::MAX),
            over_since: None,
            readings: VecDeque::new(),
            before: None,
            returns: PerPhase::default(),
            counts: None,
        }
    }

    /// No more than this may flow on each phase.
    #[must_use]
    pub(super) fn behind(self, fuse: MilliAmps) -> Self {
        let fuse = i64::from(fuse.0);
        Self { fuse, ..self }
    }

    /// Takes a reading: everything that flows, import positive; `power` as a sum of currents.
    /// `drawn` says what the EVSEs below drew at a moment. What they drew at earlier moments may
    /// be known better by now.
    pub(super) fn read(
        &mut self,
        now: Mono,
        current: PerPhase<MilliAmps>,
        power: i64,
        drawn: impl Fn(Mono, Draw) -> Drawn,
    ) {
        let all = Load {
            phases: current.map(|amps| i64::from(amps.0)),
            power,
        };
        let largest = all.phases.0.into_iter().max().unwrap_or(0);
        let over_since = (largest > self.fuse).then(|| self.over_since.unwrap_or(now));
        self.over_since = over_since;
        self.readings.push_back(Reading {
            at: now,
            all,
            house: Load::default(),
            drawn: Load::default(),
            hidden: PerPhase::default(),
            draw: if over_since.is_some_and(|since| now.since(since) >= LASTS) {
                Draw::Allowed
            } else if largest > self.fuse - self.reserve {
                Draw::Steady
            } else {
                Draw::Most
            },
        });
        let is_old = |first: &Reading| now.since(first.at) > self.hold.max(LONGEST);
        while self.readings.len() > MOST || self.readings.front().is_some_and(is_old) {
            let dropped = self.readings.pop_front();
            self.before = dropped;
        }
        self.judge(now, drawn);
        self.watch(now);
        let peak = self.peak(now);
        self.counts = peak.map(|peak| self.counts.unwrap_or(peak).towards(peak, self.slack));
    }

    fn judge(&mut self, now: Mono, drawn: impl Fn(Mono, Draw) -> Drawn) {
        let mut before = self.before;
        let fuse = self.fuse;
        let settled = self.readings.len().saturating_sub(JUDGED_ANEW);
        for (index, reading) in self.readings.iter_mut().enumerate() {
            if index >= settled && now.since(reading.at) <= SETTLES {
                let drawn = drawn(reading.at, reading.draw);
                reading.drawn =
                    before.map_or(drawn.most, |before| drawn.after(&before, reading.all));
                reading.house = reading.all.without(reading.drawn);
                reading.hidden = before.map_or(PerPhase::default(), |before| {
                    reading.hidden(&before, drawn.least, fuse)
                });
            }
            before = Some(*reading);
        }
    }

    /// What must be set aside for it: the most that it took lately. The newest reading is among
    /// them: a rise counts at once, a fall when it has lasted.
    pub(super) fn counts(&self) -> Option<Load> {
        self.counts
    }

    /// Looks for what comes back.
    fn watch(&mut self, now: Mono) {
        let Some(newest) = self.newest() else { return };
        let peaks = Phase::ALL.map(|phase| self.most(now, self.hold, |at| at.house.phases[phase]));
        for (phase, peak) in PerPhase(peaks).iter() {
            self.returns[phase].see(now, newest.phases[phase], peak, self.hold);
        }
    }

    fn peak(&self, now: Mono) -> Option<Load> {
        self.newest()?;
        let mut load = Load {
            phases: PerPhase::default(),
            power: self.most(now, self.hold, |at| at.house.power + sum(at.hidden)),
        };
        for (phase, returns) in self.returns.iter() {
            let peak = self.most(now, self.hold, |at| {
                at.house.phases[phase] + at.hidden[phase]
            });
            let held = returns.hold(peak, |within| {
                self.most(now, within, |at| at.house.phases[phase])
            });
            load.phases[phase] = held;
            load.power += held - peak;
        }
        Some(load)
    }

    /// The most of what `of` says of the readings of so long.
    fn most(&self, now: Mono, within: Duration, of: impl Fn(&Reading) -> i64) -> i64 {
        let readings = self.readings.iter().rev();
        let recent = readings.take_while(|reading| now.since(reading.at) <= within);
        recent.map(of).max().unwrap_or(0)
    }

    /// What it takes now.
    pub(super) fn newest(&self) -> Option<Load> {
        self.readings.back().map(|reading| reading.house)
    }
}

impl Reading {
    /// What may be hidden of a rise since the reading `before`, if the cars drew at `least` this.
    fn hidden(&self, before: &Self, least: Load, fuse: i64) -> PerPhase<i64> {
        PerPhase(Phase::ALL.map(|phase| {
            let rises = self.house.phases[phase] - before.house.phases[phase] > SWITCHES;
            let is_over = before.all.phases[phase] > fuse;
            // Mostly cars that are being lowered; any others do no harm.
            let open = self.drawn.phases[phase] - least.phases[phase];
            if rises && is_over && open > i64::from(STILL.0) {
                open.min(HIDDEN)
            } else {
                0
            }
        }))
    }
}

fn sum(phases: PerPhase<i64>) -> i64 {
    phases.0.into_iter().sum()
}

impl Drawn {
    /// What the EVSEs drew of `all`, if the house changed as little as possible since the reading
    /// `before`. While cars rise or fall nobody knows how far they are; but what shows on all phases
    /// is most likely the cars, and what shows on one of them the house.
    ///
    /// A rise that the cars cannot be all of is something else that the house switched on: then
    /// nothing says that they are a part of it, and they are taken to be where they were.
    fn after(self, before: &Reading, all: Load) -> Load {
        let Self { least, most, .. } = self;
        let risen = PerPhase(
            Phase::ALL
                .map(|phase| all.phases[phase] - least.phases[phase] - before.house.phases[phase]),
        );
        let together = self.together(risen);
        let alone = |phase: Phase| (risen[phase] - together).clamp(0, self.apart(phase));
        let switched = |phase: Phase| risen[phase] - together - alone(phase) > SWITCHES;
        let was = |phase: Phase| (before.drawn.phases[phase] - least.phases[phase]).max(0);
        let were = Phase::ALL.map(was).into_iter().min().unwrap_or(0);
        let still = if Phase::ALL.into_iter().all(switched) {
            together.min(were)
        } else {
            together
        };
        let mut drawn = least;
        for phase in Phase::ALL {
            drawn.phases[phase] += if switched(phase) {
                (still + alone(phase)).min(was(phase)).max(still)
            } else {
                together + alone(phase)
            };
        }
        let open = (sum(most.phases) - sum(least.phases)).max(1);
        let is = sum(drawn.phases) - sum(least.phases);
        drawn.power += (most.power - least.power) * is / open;
        drawn
    }

    /// How much of what all phases have `risen` is most likely the cars.
    fn together(self, risen: PerPhase<i64>) -> i64 {
        let change = |together: i64| -> i64 {
            let changes = risen.iter().map(|(phase, risen)| {
                let rest = risen - together;
                rest - rest.clamp(0, self.apart(phase))
            });
            let unlikely = |change: i64| match change.abs() {
                change if change > i64::from(STILL.0) => change + PER_PHASE,
                change => change,
            };
            changes.map(unlikely).sum()
        };
        let knees = risen
            .iter()
            .flat_map(|(phase, risen)| [risen, risen - self.apart(phase)]);
        knees
            .map(|knee| knee.clamp(0, self.together))
            .min_by_key(|together| (change(*together), *together))
            .unwrap_or(self.together)
    }

    /// How much cars may have risen on one phase and not on the others.
    fn apart(self, phase: Phase) -> i64 {
        (self.most.phases[phase] - self.least.phases[phase] - self.together).max(0)
    }
}

impl Load {
    /// Of each phase, as far as a current can be.
    pub(super) fn current(self) -> PerPhase<MilliAmps> {
        let amps = |amps: i64| i32::try_from(amps.max(0)).unwrap_or(i32::MAX);
        self.phases.map(|phase| MilliAmps(amps(phase)))
    }

    /// What remains is never negative: what is fed in may stop at any moment.
    fn without(self, draw: Self) -> Self {
        let mut phases = self.phases;
        for (phase, drawn) in draw.phases.iter() {
            phases[phase] = (phases[phase] - drawn).max(0);
        }
        Self {
            phases,
            power: (self.power - draw.power).max(0),
        }
    }

    /// The other one; but the phases where it differs by no more than `slack` remain.
    fn towards(self, mut other: Self, slack: i64) -> Self {
        for (phase, amps) in self.phases.iter() {
            if (other.phases[phase] - amps).abs() <= slack {
                other.phases[phase] = amps;
            }
        }
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn draws(amps: i64) -> Load {
        Load {
            phases: PerPhase::all(amps * 1000),
            power: 3 * amps * 1000,
        }
    }

    fn known(load: Load) -> Drawn {
        Drawn {
            least: load,
            most: load,
            together: 0,
        }
    }

    fn read(house: &mut HouseLoad, seconds: u64, amps: i32, draw: i64) {
        let current = PerPhase::all(MilliAmps::from_amps(amps));
        let power = i64::from(amps) * 3000;
        house.read(at(seconds), current, power, |_, _| known(draws(draw)));
    }

    fn peak(house: &HouseLoad) -> i64 {
        house.counts().unwrap().phases.0[0]
    }

    #[test]
    fn the_house_is_what_the_evses_do_not_draw() {
        let mut house = HouseLoad::new(Duration::ZERO, MilliAmps::ZERO);
        assert_eq!(house.counts(), None);
        read(&mut house, 0, 20, 16);
        assert_eq!(house.counts(), Some(draws(4)));
    }

    #[test]
    fn feeding_in_counts_as_nothing() {
        let mut house = HouseLoad::new(Duration::ZERO, MilliAmps::ZERO);
        read(&mut house, 0, -30, 16);
        assert_eq!(house.counts(), Some(draws(0)));
        read(&mut house, 1, i32::MIN / 1000, i64::from(i32::MAX));
        assert_eq!(house.counts(), Some(draws(0)));
    }

    #[test]
    fn a_rise_counts_at_once_and_a_fall_when_it_has_lasted() {
        let mut house = HouseLoad::new(Duration::from_secs(15), MilliAmps::ZERO);
        read(&mut house, 0, 5, 0);
        read(&mut house, 1, 25, 0);
        assert_eq!(peak(&house), 25_000);
        for seconds in 2..=16 {
            read(&mut house, seconds, 5, 0);
            assert_eq!(peak(&house), 25_000);
            assert_eq!(house.newest(), Some(draws(5)));
        }
        read(&mut house, 17, 5, 0);
        assert_eq!(peak(&house), 5000);
    }

    #[test]
    fn what_is_within_half_of_the_reserve_and_half_an_ampere_does_not_count() {
        for (reserve, slack) in [(0, 0), (800, 400), (1000, 500), (9000, 500)] {
            let mut house = HouseLoad::new(Duration::ZERO, MilliAmps(reserve));
            let mut counts = |amps| {
                let current = PerPhase::all(MilliAmps(amps));
                house.read(at(0), current, 0, |_, _| Drawn::default());
                peak(&house)
            };
            assert_eq!(counts(5000), 5000);
            assert_eq!(counts(5000 + slack), 5000);
            assert_eq!(counts(5000 - slack), 5000);
            assert_eq!(counts(5001 + slack), i64::from(5001 + slack));
        }
    }

    #[test]
    fn an_earlier_reading_is_judged_anew_when_more_is_known() {
        let mut house = HouseLoad::new(Duration::from_secs(15), MilliAmps::ZERO);
        read(&mut house, 0, 20, 0);
        assert_eq!(peak(&house), 20_000);
        read(&mut house, 1, 20, 16);
        assert_eq!(peak(&house), 4000, "it was a car");
    }

    #[test]
    fn of_a_rise_that_cars_cannot_explain_they_are_no_part() {
        let mut house = HouseLoad::new(Duration::from_secs(15), MilliAmps::ZERO);
        read(&mut house, 0, 40, 36);
        let rising = Drawn {
            least: draws(36),
            most: draws(41),
            together: 5000,
        };
        let mut reads = |seconds, amps: [i32; 3]| {
            let current = PerPhase(amps.map(MilliAmps::from_amps));
            let power = i64::from(amps.iter().sum::<i32>()) * 1000;
            house.read(at(seconds), current, power, |when, _| {
                if when == at(0) {
                    known(draws(36))
                } else {
                    rising
                }
            });
            house.newest().unwrap().phases.0
        };
        assert_eq!(reads(1, [43; 3]), [4000; 3], "it may be all cars");
        assert_eq!(reads(2, [63; 3]), [24_000; 3], "they drew 39 A");
        assert_eq!(reads(3, [65; 3]), [24_000; 3], "they rise");
        assert_eq!(reads(4, [65, 65, 79]), [24_000, 24_000, 38_000]);
    }

    #[test]
    fn of_a_rise_in_an_overload_as_much_may_be_hidden_as_cars_are_giving_up() {
        for (fuse, falls, hidden) in [(60, 3, 3), (60, 9, 6), (60, 0, 0), (70, 3, 0)] {
            let mut house = HouseLoad::new(Duration::from_secs(15), MilliAmps::ZERO)
                .behind(MilliAmps::from_amps(fuse));
            let mut reads = |seconds, amps: i32, drawn: Drawn| {
                let current = PerPhase::all(MilliAmps::from_amps(amps));
                house.read(at(seconds), current, i64::from(amps) * 3000, |_, _| drawn);
                house.counts().unwrap()
            };
            assert_eq!(reads(0, 61, known(draws(50))), draws(11));
            let falling = Drawn {
                least: draws(50 - falls),
                most: draws(50),
                together: falls * 1000,
            };
            assert_eq!(reads(1, 81, falling), draws(31 + hidden), "{fuse} {falls}");
        }
    }

    /// Two three-phase cars of 6 A may be going, and a single-phase one may be coming.
    #[test]
    fn a_house_that_changes_on_one_phase_is_likelier_than_one_that_changes_on_two() {
        let phases = |amps: [i64; 3]| Load {
            phases: PerPhase(amps),
            power: 0,
        };
        let mut house = HouseLoad::new(Duration::ZERO, MilliAmps::ZERO);
        let current = PerPhase([14_000, 3000, 2500].map(MilliAmps));
        house.read(at(0), current, 0, |_, _| Drawn::default());
        // The first phase of the house is switched off, and no car has moved.
        let current = PerPhase([16_000, 15_000, 14_500].map(MilliAmps));
        house.read(at(1), current, 0, |when, _| match when {
            when if when < at(1) => Drawn::default(),
            _ => Drawn {
                least: Load::default(),
                most: phases([12_000, 12_000, 16_000]),
                together: 12_000,
            },
        });
        let newest = house.newest().unwrap();
        assert_eq!(newest.phases.0, [4000, 3000, 2500]);
    }

    #[test]
    fn what_comes_back_is_held_in_power_too() {
        let mut house = HouseLoad::new(Duration::from_secs(15), MilliAmps::ZERO);
        let mut takes = |seconds: std::ops::Range<u64>, amps: i64| {
            let load = draws(amps);
            for second in seconds {
                let current = load.current();
                house.read(at(second), current, load.power, |_, _| Drawn::default());
            }
            house.counts().unwrap()
        };
        takes(0..60, 4);
        takes(60..90, 14);
        assert_eq!(takes(90..110, 4), draws(4));
        takes(110..140, 14);
        assert_eq!(takes(140..175, 4), draws(14));
        assert_eq!(takes(175..185, 4), draws(4));
    }

    #[test]
    fn a_flood_of_readings_is_forgotten_from_its_beginning() {
        let mut house = HouseLoad::new(Duration::from_mins(1), MilliAmps::ZERO);
        for millis in 0..5000 {
            let now = Mono(Duration::from_millis(millis));
            house.read(now, PerPhase::default(), 0, |_, _| Drawn::default());
        }
        assert!(house.readings.len() <= MOST);
    }
}
