//! Whose turn it is: attained service, slots and waiting, for sharing over time what is too
//! little to share at once.

use std::time::Duration;

use crate::clock::Mono;
use crate::evse::{Limit, Measured};
use crate::units::{MilliAmps, MilliVolts, WattHours};

use super::booking::amps;
use super::plan::EvsePlan;

/// Nobody loses a slot to somebody who has not waited this long.
pub(super) const WAITED: Duration = Duration::from_mins(1);

/// Attained service is compared in steps of this, so that a few Wh decide nothing: 100 Wh over three
/// phases, for each of them.
const BUCKET: i64 = 100 * SIXTHS / 3;

/// Energy is counted in sixths of a Wh, so that a half and a third of it are whole numbers.
const SIXTHS: i64 = 6;

/// A car's place in the sharing over time, from plugging to unplugging.
#[derive(Debug, Default)]
pub(super) struct Turn {
    /// When the transaction began; `None` without one.
    pub(super) plugged_at: Option<Mono>,
    /// Since when it has had current without a pause, or since its slot was renewed.
    pub(super) slot_since: Option<Mono>,
    /// Since when it has had none.
    pub(super) waiting_since: Option<Mono>,
    register: Option<WattHours>,
    /// Energy on each phase so far, in sixths of a Wh, and in mW·s where it had to be estimated. What is
    /// shared is the current of phases: who charges with one does not take less of a fuse for it.
    attained: i64,
    estimated_mws: i64,
    counted_until: Mono,
}

impl Turn {
    /// A transaction begins.
    pub(super) fn begin(&mut self, now: Mono) {
        let waiting_since = Some(now);
        *self = Self {
            plugged_at: Some(now),
            waiting_since,
            counted_until: now,
            ..Self::default()
        };
    }

    /// The transaction ended.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// The register says what was drawn on so many phases; from now on it counts instead of the
    /// estimate.
    pub(super) fn measure(&mut self, measured: &Measured, phases: u8) {
        let Some(register) = measured.energy.filter(|_| self.plugged_at.is_some()) else {
            return;
        };
        let before = *self.register.get_or_insert(register);
        if register > before {
            let energy = (register - before).0.saturating_mul(SIXTHS);
            let of_each = energy / i64::from(phases.max(1));
            self.attained = self.attained.saturating_add(of_each);
            self.register = Some(register);
        }
    }

    /// Estimates, where no register tells, that it draws what it is allowed.
    pub(super) fn count(
        &mut self,
        now: Mono,
        plan: &EvsePlan,
        limit: Option<Limit>,
        voltage: MilliVolts,
    ) {
        let span = now.since(self.counted_until);
        self.counted_until = now;
        if self.register.is_some() || self.plugged_at.is_none() {
            return;
        }
        let current = limit.map_or(MilliAmps::ZERO, |limit| amps(limit, plan.max));
        let milliwatts = i64::from(current.0) * i64::from(voltage.0) / 1000;
        let milliseconds = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        let energy = milliwatts.saturating_mul(milliseconds) / 1000;
        self.estimated_mws = self.estimated_mws.saturating_add(energy);
    }

    /// Attained service per weight, in buckets.
    pub(super) fn attained(&self, weight: i32) -> i64 {
        let estimated = self.estimated_mws / (3_600_000 / SIXTHS);
        self.attained.saturating_add(estimated) / i64::from(weight.max(1)) / BUCKET
    }

    /// How long it has been waiting.
    pub(super) fn waited(&self, now: Mono) -> Duration {
        self.waiting_since
            .map_or(Duration::ZERO, |since| now.since(since))
    }

    /// It has current and its slot is not over.
    pub(super) fn in_slot(&self, now: Mono, period: Duration) -> bool {
        self.slot_since
            .is_some_and(|since| now.since(since) < period)
    }

    /// It got current, or lost it.
    pub(super) fn admitted(&mut self, now: Mono, has_current: bool) {
        if has_current {
            self.slot_since.get_or_insert(now);
            self.waiting_since = None;
        } else {
            self.slot_since = None;
            self.waiting_since.get_or_insert(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::site_generator::evse as plan;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    const V230: MilliVolts = MilliVolts(230_000);

    fn register(wh: i64) -> Measured {
        Measured {
            energy: Some(WattHours(wh)),
            ..Measured::default()
        }
    }

    #[test]
    fn service_is_the_difference_of_the_register_over_the_weight_in_steps_of_100_wh() {
        let mut turn = Turn::default();
        turn.begin(at(0));
        turn.measure(&register(50_000), 3);
        turn.measure(&register(50_399), 3);
        assert_eq!(turn.attained(1), 3);
        assert_eq!(turn.attained(2), 1);
    }

    #[test]
    fn service_is_that_of_a_phase() {
        let attained = |phases| {
            let mut turn = Turn::default();
            turn.begin(at(0));
            turn.measure(&register(0), phases);
            turn.measure(&register(600), phases);
            turn.attained(1)
        };
        assert_eq!([1, 2, 3].map(attained), [18, 9, 6]);
        assert_eq!(attained(0), 18, "a wrong wiring panics nobody");
    }

    #[test]
    fn a_register_that_falls_takes_nothing_away() {
        let mut turn = Turn::default();
        turn.begin(at(0));
        turn.measure(&register(50_000), 3);
        turn.measure(&register(51_000), 3);
        turn.measure(&register(0), 3);
        assert_eq!(turn.attained(1), 10);
    }

    #[test]
    fn without_a_register_service_is_estimated_from_the_limit() {
        let mut turn = Turn::default();
        turn.begin(at(0));
        turn.count(
            at(3600),
            &plan(),
            Some(Limit::Current(MilliAmps(10_000))),
            V230,
        );
        assert_eq!(
            turn.attained(1),
            69,
            "10 A × 230 V × 3 phases × 1 h = 6900 Wh"
        );
    }

    #[test]
    fn a_slot_begins_with_current_and_ends_after_the_period() {
        let period = Duration::from_mins(15);
        let mut turn = Turn::default();
        turn.begin(at(0));
        assert_eq!(turn.waited(at(70)), Duration::from_secs(70));
        turn.admitted(at(70), true);
        turn.admitted(at(100), true);
        assert_eq!(turn.waited(at(100)), Duration::ZERO);
        assert!(turn.in_slot(at(969), period) && !turn.in_slot(at(970), period));
        turn.admitted(at(970), false);
        assert_eq!(turn.waited(at(971)), Duration::from_secs(1));
    }
}
