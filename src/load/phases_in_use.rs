//! Which of its wired phases a car draws on: for the status, for telling cars from the house, and for
//! what a car has attained.
//!
//! It does not decide how large an offer may be: an EVSE is *allowed* its current on every wired phase, and a car
//! that draws on one now (at low battery, in the cold, at its minimum) may come back on three
//! within its limit. What others were given of the other phases would flow on top, and only the
//! next meter value, some ten seconds later, would tell. A fuse must not depend on that.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::{MilliAmps, PerPhase};

/// A phase that carries more is in use, at once.
const IN_USE: MilliAmps = MilliAmps(1000);

/// A phase that carries less ...
const UNUSED: MilliAmps = MilliAmps(500);

/// ... for so long, while another carries current, is not.
const UNUSED_FOR: Duration = Duration::from_secs(30);

/// Until then a car may still be about to switch its phases on.
const SETTLES_IN: Duration = Duration::from_mins(1);

/// The phases in use of one EVSE.
#[derive(Debug, Default)]
pub(super) struct PhasesInUse {
    began: Mono,
    phases: [Use; 3],
    /// The last time that it charged, all three phases carried current.
    all: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Use {
    unused: bool,
    low_since: Option<Mono>,
}

impl PhasesInUse {
    /// A transaction begins or ended: all wired phases count.
    pub(super) fn begin(&mut self, now: Mono) {
        *self = Self {
            began: now,
            ..Self::default()
        };
    }

    /// Takes the current of each phase of the device.
    pub(super) fn measure(&mut self, now: Mono, current: PerPhase<MilliAmps>) {
        let charges = current.0.into_iter().any(|amps| amps > IN_USE);
        if charges {
            self.all = current.0.into_iter().all(|amps| amps >= UNUSED);
        }
        let settled = now.since(self.began) >= SETTLES_IN;
        for (phase, amps) in self.phases.iter_mut().zip(current.0) {
            let low = charges && amps < UNUSED;
            phase.low_since = low.then(|| phase.low_since.unwrap_or(now));
            phase.unused &= amps <= IN_USE;
            phase.unused |= settled
                && phase
                    .low_since
                    .is_some_and(|since| now.since(since) >= UNUSED_FOR);
        }
    }

    /// Whether its current rises and falls on three phases together. Before it has charged nobody knows
    /// how many its car has.
    pub(super) fn move_together(&self) -> bool {
        self.all
    }

    /// Which of the device's phases are not.
    pub(super) fn unused(&self) -> [bool; 3] {
        self.phases.map(|phase| phase.unused)
    }

    /// How many of the wired phases are in use.
    pub(super) fn count(&self, wired: u8) -> u8 {
        let phases = self.phases.iter().take(usize::from(wired));
        phases.map(|phase| u8::from(!phase.unused)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(phases: &mut PhasesInUse, seconds: u64, amps: [i32; 3]) {
        let current = PerPhase(amps.map(MilliAmps::from_amps));
        phases.measure(Mono(Duration::from_secs(seconds)), current);
    }

    #[test]
    fn a_phase_without_current_for_30_s_beside_one_with_current_is_not_in_use() {
        let mut phases = PhasesInUse::default();
        phases.begin(Mono::START);
        for seconds in [20, 30, 40, 50] {
            measure(&mut phases, seconds, [10, 0, 0]);
        }
        assert_eq!(phases.count(3), 3, "the first minute says nothing");
        measure(&mut phases, 60, [10, 0, 0]);
        assert_eq!(phases.count(3), 1);
        assert_eq!(phases.count(1), 1);
    }

    #[test]
    fn what_has_shown_on_three_phases_moves_on_three() {
        let mut phases = PhasesInUse::default();
        let mut shows = |amps| {
            measure(&mut phases, 1, amps);
            phases.move_together()
        };
        assert!(!shows([0, 0, 0]), "nobody knows");
        assert!(shows([10, 10, 10]));
        assert!(shows([0, 0, 0]), "a pause says nothing");
        assert!(!shows([10, 0, 0]));
        assert!(shows([6, 6, 6]));
        phases.begin(Mono(Duration::from_secs(2)));
        assert!(!phases.move_together(), "another car");
    }

    #[test]
    fn a_new_phase_counts_at_once_and_a_pause_says_nothing() {
        let mut phases = PhasesInUse::default();
        for seconds in [60, 70, 80, 90] {
            measure(&mut phases, seconds, [10, 10, 0]);
        }
        assert_eq!(phases.count(3), 2);
        for seconds in [100, 200, 300] {
            measure(&mut phases, seconds, [0, 0, 0]);
        }
        assert_eq!(phases.count(3), 2);
        measure(&mut phases, 310, [10, 10, 2]);
        assert_eq!(phases.count(3), 3);
    }
}
