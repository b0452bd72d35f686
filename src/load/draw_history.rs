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

/// From one measurement to the next a car that changes by no more goes on like that.
const STEADY: MilliAmps = MilliAmps(1000);

/// Nobody asks for what was before.
const KEEPS: Duration = Duration::from_mins(1);

/// Wallboxes may send values many times a second.
const MOST: usize = 128;

/// On the phases of the grid.
#[derive(Debug, Default)]
pub(super) struct DrawHistory {
    measured: VecDeque<(Mono, PerPhase<MilliAmps>)>,
    /// What it could draw at most as far as we knew, from then on.
    assumed: VecDeque<(Mono, PerPhase<MilliAmps>)>,
}

impl DrawHistory {
    /// It drew this.
    pub(super) fn measure(&mut self, now: Mono, grid: PerPhase<MilliAmps>) {
        self.measured
            .push_back((now, grid.map(|amps| amps.max(MilliAmps::ZERO))));
        trim(&mut self.measured, now);
    }

    /// From now on it may draw this.
    pub(super) fn assume(&mut self, now: Mono, grid: PerPhase<MilliAmps>) {
        if self.assumed.back().is_none_or(|(_, last)| *last != grid) {
            self.assumed.push_back((now, grid));
            trim(&mut self.assumed, now);
        }
    }

    /// The most that it can have drawn at a moment: what was measured around it, or what it was
    /// allowed where nothing was measured since.
    pub(super) fn at_most(&self, at: Mono) -> PerPhase<MilliAmps> {
        let (assumed, _) = around(&self.assumed, at);
        let assumed = assumed.unwrap_or_default();
        let (before, after) = around(&self.measured, at);
        let bound = |before: MilliAmps, allowed: MilliAmps| before.min(allowed + TOLERANCE);
        match (before, after) {
            (Some(before), Some(after)) => larger(zip(before, assumed, bound), after),
            (Some(before), None) => larger(zip(before, assumed, bound), assumed),
            (None, Some(after)) => larger(assumed, after),
            (None, None) => assumed,
        }
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
        zip(*last, most, MilliAmps::min)
    }
}

/// The largest of what held at a moment and shortly before, and the first that came after.
fn around(
    marks: &VecDeque<(Mono, PerPhase<MilliAmps>)>,
    at: Mono,
) -> (Option<PerPhase<MilliAmps>>, Option<PerPhase<MilliAmps>>) {
    let mut before: Option<PerPhase<MilliAmps>> = None;
    let mut after = None;
    for (marked, grid) in marks.iter().rev() {
        if *marked > at {
            after = Some(*grid);
            continue;
        }
        before = Some(before.map_or(*grid, |most| larger(most, *grid)));
        if *marked + LAGS <= at {
            break;
        }
    }
    (before, after)
}

/// Drops what nobody asks for, but never the last mark before that.
fn trim(marks: &mut VecDeque<(Mono, PerPhase<MilliAmps>)>, now: Mono) {
    let is_old = |mark: Option<&(Mono, _)>| mark.is_some_and(|(at, _)| now.since(*at) > KEEPS);
    while marks.len() > MOST || is_old(marks.get(1)) {
        marks.pop_front();
    }
}

fn larger(a: PerPhase<MilliAmps>, b: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
    zip(a, b, MilliAmps::max)
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

    fn drew(history: &DrawHistory, tenths: u64) -> i32 {
        history.at_most(at(tenths)).0[0].0
    }

    #[test]
    fn without_measurements_it_draws_what_it_may() {
        let mut history = DrawHistory::default();
        assert_eq!(drew(&history, 50), 0);
        history.assume(at(10), amps(16));
        history.assume(at(100), amps(6));
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
        history.assume(at(0), amps(16));
        history.measure(at(100), amps(10));
        assert_eq!(drew(&history, 110), 16_000, "it may have risen since");
        history.measure(at(200), amps(12));
        assert_eq!(drew(&history, 150), 12_000);
        history.assume(at(200), amps(6));
        history.measure(at(800), amps(6));
        assert_eq!(drew(&history, 210), 12_000);
        assert_eq!(drew(&history, 500), 6500, "it was lowered long ago");
    }

    #[test]
    fn a_reading_that_lags_by_two_seconds_finds_no_house_where_a_car_was() {
        let mut history = DrawHistory::default();
        history.assume(at(0), amps(16));
        for tenths in (0..100).step_by(10) {
            history.measure(at(tenths), amps(16));
        }
        history.assume(at(100), amps(6));
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
            history.assume(at(tenths), amps(i32::try_from(tenths).unwrap()));
        }
        assert!(history.measured.len() <= MOST && history.assumed.len() <= MOST);
    }

    #[test]
    fn what_was_assumed_long_ago_still_holds_if_nothing_was_assumed_since() {
        let mut history = DrawHistory::default();
        history.assume(at(0), amps(10));
        history.measure(at(0), amps(10));
        history.measure(at(9000), amps(10));
        assert_eq!(drew(&history, 9050), 10_000);
    }
}
