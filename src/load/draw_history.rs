//! What an EVSE drew in the last minute, so that the reading of a meter can be split into EVSEs and
//! house.
//!
//! A wallbox may measure once in ten seconds or never, a meter shows what was true a moment ago.
//! A draw that is taken too low looks like a house load that was never there, and cars would be
//! paused for it; one taken too high hides some house load until the next measurement, while the
//! reading itself still shows every overload. So wherever something is uncertain the most counts.

use std::collections::VecDeque;
use std::time::Duration;

use super::overdraw::TOLERANCE;
use crate::clock::Mono;
use crate::units::{MilliAmps, PerPhase};

/// A reading may be so much older than it says: meters average, and gateways keep values back.
const LAGS: Duration = Duration::from_secs(2);

/// Two measurements of the same current differ by less.
const NOISE: MilliAmps = MilliAmps(300);
/// From one measurement to the next a car that changes by no more goes on like that.
const STEADY: MilliAmps = MilliAmps(1000);

/// Nobody asks for what was before.
const KEEPS: Duration = Duration::from_mins(1);

/// Wallboxes may send values many times a second.
const MOST: usize = 128;

type Marks = VecDeque<(Mono, PerPhase<MilliAmps>)>;

/// On the phases of the grid.
#[derive(Debug, Default)]
pub(super) struct DrawHistory {
    measured: Marks,
    /// What it could draw at most as far as we knew, from then on.
    assumed: Marks,
    /// What it was offered.
    offered: Marks,
}

impl DrawHistory {
    /// It drew this.
    pub(super) fn measure(&mut self, now: Mono, grid: PerPhase<MilliAmps>) {
        self.measured
            .push_back((now, grid.map(|amps| amps.max(MilliAmps::ZERO))));
        trim(&mut self.measured, now);
    }

    /// From now on it is `offered` this, and `may` draw that.
    pub(super) fn assume(
        &mut self,
        now: Mono,
        may: PerPhase<MilliAmps>,
        offered: PerPhase<MilliAmps>,
    ) {
        for (marks, grid) in [(&mut self.assumed, may), (&mut self.offered, offered)] {
            if marks.back().is_none_or(|(_, last)| *last != grid) {
                marks.push_back((now, grid));
                trim(marks, now);
            }
        }
    }

    /// The most that it can have drawn at a moment: what was measured around it, or what it was
    /// allowed where nothing was measured since.
    pub(super) fn at_most(&self, at: Mono) -> PerPhase<MilliAmps> {
        let assumed = self.allowed(at);
        let (before, after) = around(&self.measured, at, MilliAmps::max);
        // A car may draw a little more than it is allowed, but that must be measured: what it drew
        // under an older limit says nothing. With many cars it would hide much of the house.
        let is_known = newest(&self.measured, at) > newest(&self.assumed, at);
        let tolerance = if is_known { TOLERANCE } else { MilliAmps::ZERO };
        let bound = |before: MilliAmps, allowed: MilliAmps| before.min(allowed + tolerance);
        match (before, after) {
            (Some(before), Some(after)) => larger(zip(before, assumed, bound), after),
            (Some(before), None) => larger(zip(before, assumed, bound), assumed),
            (None, Some(after)) => larger(assumed, after),
            (None, None) => assumed,
        }
    }

    /// The least that it can have drawn at a moment, if its car took what it could: what was
    /// measured around it, or less if it was offered less. Never more than [`Self::at_most`].
    pub(super) fn at_least(&self, at: Mono) -> PerPhase<MilliAmps> {
        let most = self.at_most(at);
        let (Some(before), after) = around(&self.measured, at, MilliAmps::min) else {
            return most;
        };
        let (offered, _) = around(&self.offered, at, MilliAmps::min);
        let marks = [Some(before), after, offered].into_iter().flatten();
        let least = marks.fold(most, smaller);
        // It takes what it may, and the rest is noise.
        let settled = newest(&self.measured, at) > newest(&self.offered, at);
        let close = |least: MilliAmps, most: MilliAmps| {
            if settled && most - least <= NOISE {
                most
            } else {
                least
            }
        };
        zip(least, most, close)
    }

    /// What it may have drawn at most at a moment, whatever was measured.
    pub(super) fn allowed(&self, at: Mono) -> PerPhase<MilliAmps> {
        let (assumed, _) = around(&self.assumed, at, MilliAmps::max);
        assumed.unwrap_or_default()
    }

    /// What it drew at a moment if it went on as it was measured last. Where it was not steady, may
    /// have more since, or was measured again, that is the most it can have drawn.
    pub(super) fn steady(&self, at: Mono) -> PerPhase<MilliAmps> {
        let most = self.at_most(at);
        let mut measured = self.measured.iter().rev();
        let (Some((newest, last)), Some((older, before))) = (measured.next(), measured.next())
        else {
            return most;
        };
        let mut raises = self
            .assumed
            .iter()
            .rev()
            .take_while(|(since, _)| since > older);
        let held = last
            .iter()
            .all(|(phase, amps)| (amps - before[phase]).0.abs() <= STEADY.0);
        if *newest > at || !held || raises.next().is_some() {
            return most;
        }
        smaller(*last, most)
    }
}

/// What `pick` takes of what held at a moment and shortly before, and the first that came after.
fn around(
    marks: &Marks,
    at: Mono,
    pick: impl Fn(MilliAmps, MilliAmps) -> MilliAmps,
) -> (Option<PerPhase<MilliAmps>>, Option<PerPhase<MilliAmps>>) {
    let mut before: Option<PerPhase<MilliAmps>> = None;
    let mut after = None;
    for (marked, grid) in marks.iter().rev() {
        if *marked > at {
            after = Some(*grid);
            continue;
        }
        before = Some(before.map_or(*grid, |other| zip(other, *grid, &pick)));
        if *marked + LAGS <= at {
            break;
        }
    }
    (before, after)
}

/// When the last mark up to a moment was made.
fn newest(marks: &Marks, at: Mono) -> Option<Mono> {
    let mut marks = marks.iter().rev().map(|(marked, _)| *marked);
    marks.find(|marked| *marked <= at)
}

/// Drops what nobody asks for, but never the last mark before that.
fn trim(marks: &mut Marks, now: Mono) {
    let is_old = |mark: Option<&(Mono, _)>| mark.is_some_and(|(at, _)| now.since(*at) > KEEPS);
    while marks.len() > MOST || is_old(marks.get(1)) {
        marks.pop_front();
    }
}

fn larger(a: PerPhase<MilliAmps>, b: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
    zip(a, b, MilliAmps::max)
}

pub(super) fn smaller(a: PerPhase<MilliAmps>, b: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
    zip(a, b, MilliAmps::min)
}

fn zip(
    a: PerPhase<MilliAmps>,
    b: PerPhase<MilliAmps>,
    f: impl Fn(MilliAmps, MilliAmps) -> MilliAmps,
) -> PerPhase<MilliAmps> {
    let mut result = a;
    for (phase, b) in b.iter() {
        result[phase] = f(result[phase], b);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tenths: u64) -> Mono {
        Mono(Duration::from_millis(tenths * 100))
    }

    fn amps(amps: i32) -> PerPhase<MilliAmps> {
        PerPhase::all(MilliAmps::from_amps(amps))
    }

    fn assume(history: &mut DrawHistory, tenths: u64, grid: PerPhase<MilliAmps>) {
        history.assume(at(tenths), grid, grid);
    }

    fn drew(history: &DrawHistory, tenths: u64) -> i32 {
        history.at_most(at(tenths)).0[0].0
    }

    #[test]
    fn without_measurements_it_draws_what_it_may() {
        let mut history = DrawHistory::default();
        assert_eq!(drew(&history, 50), 0);
        assume(&mut history, 10, amps(16));
        assume(&mut history, 100, amps(6));
        assert_eq!(drew(&history, 99), 16_000);
        assert_eq!(
            drew(&history, 119),
            16_000,
            "the reading may be from before"
        );
        assert_eq!(drew(&history, 120), 6000);
    }

    #[test]
    fn between_two_measurements_it_drew_the_larger_but_no_more_than_it_might() {
        let mut history = DrawHistory::default();
        assume(&mut history, 0, amps(16));
        history.measure(at(100), amps(10));
        assert_eq!(drew(&history, 110), 16_000, "it may have risen since");
        history.measure(at(200), amps(12));
        assert_eq!(drew(&history, 150), 12_000);
        assume(&mut history, 200, amps(6));
        history.measure(at(800), amps(6));
        assert_eq!(drew(&history, 210), 12_000);
        assert_eq!(drew(&history, 500), 6000, "it was lowered long ago");
    }

    #[test]
    fn a_reading_that_lags_by_two_seconds_finds_no_house_where_a_car_was() {
        let mut history = DrawHistory::default();
        assume(&mut history, 0, amps(16));
        for tenths in (0..100).step_by(10) {
            history.measure(at(tenths), amps(16));
        }
        assume(&mut history, 100, amps(6));
        for tenths in (100..200).step_by(10) {
            history.measure(at(tenths), amps(6));
        }
        assert_eq!(drew(&history, 109), 16_000);
        assert!(drew(&history, 131) <= 6500);
    }

    #[test]
    fn a_minute_is_remembered() {
        let mut history = DrawHistory::default();
        for seconds in 0..=600 {
            history.measure(at(seconds * 10), amps(10));
        }
        let oldest = history.measured.front().unwrap().0;
        assert_eq!(at(6000).since(oldest), Duration::from_secs(61));
    }

    #[test]
    fn a_flood_of_measurements_is_forgotten_from_its_beginning() {
        let mut history = DrawHistory::default();
        for tenths in 0..100_000 {
            history.measure(at(tenths), amps(i32::MAX));
            assume(&mut history, tenths, amps(i32::try_from(tenths).unwrap()));
        }
        assert!(history.measured.len() <= MOST && history.assumed.len() <= MOST);
    }

    #[test]
    fn what_was_assumed_long_ago_still_holds_if_nothing_was_assumed_since() {
        let mut history = DrawHistory::default();
        assume(&mut history, 0, amps(10));
        history.measure(at(0), amps(10));
        history.measure(at(9000), amps(10));
        assert_eq!(drew(&history, 9050), 10_000);
    }
}
