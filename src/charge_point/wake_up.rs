//! Cars that fall asleep in a pause and do not notice its end: the control pilot is cut for some
//! seconds, as if the car were unplugged and plugged.

use std::time::Duration;

use crate::clock::Mono;
use crate::modbus::power_brain::{Poll, Write};

/// A car has this long to draw current after a pause.
const AWAKE_WITHIN: Duration = Duration::from_mins(1);

/// It is woken so often after one pause …
const MOST_TRIES: u32 = 3;

/// … with this much time between.
const TRIES_EVERY: Duration = Duration::from_mins(10);

/// How long the pilot is cut.
const CUT_S: u16 = 5;

/// So long after the cut its end may still look like an unplugged car.
const BLIND_FOR: Duration = Duration::from_secs(15);

/// Watches a car that was paused.
#[derive(Debug, Default)]
pub(super) struct WakeUp {
    /// It was allowed current before, in this transaction.
    had_current: bool,
    /// It was paused since then and has not charged again.
    asleep: bool,
    allowed_since: Option<Mono>,
    tries: u32,
    tried: Option<Mono>,
}

impl WakeUp {
    /// Looks at what was read.
    pub(super) fn see(&mut self, now: Mono, poll: &Poll, in_transaction: bool) {
        if !in_transaction {
            *self = Self {
                tried: self.tried,
                ..Self::default()
            };
            return;
        }
        if poll.pilot.charges() {
            self.asleep = false;
            self.tries = 0;
        }
        if poll.enabled {
            self.had_current = true;
            self.allowed_since.get_or_insert(now);
        } else {
            self.asleep = self.had_current;
            self.allowed_since = None;
        }
    }

    /// Whether the car is to be woken now.
    pub(super) fn next(&self, now: Mono) -> Option<Write> {
        let waits = self
            .allowed_since
            .is_some_and(|since| now.since(since) >= AWAKE_WITHIN);
        let may = self
            .tried
            .is_none_or(|tried| now.since(tried) >= TRIES_EVERY);
        (self.asleep && waits && may && self.tries < MOST_TRIES).then_some(Write::CutPilot(CUT_S))
    }

    /// It was tried.
    pub(super) fn tried(&mut self, now: Mono) {
        self.tried = Some(now);
        self.tries += 1;
    }

    /// What looks like an unplugged car may be our own doing.
    pub(super) fn is_blind(&self, now: Mono) -> bool {
        self.tried.is_some_and(|tried| now.since(tried) < BLIND_FOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::charge_point::tests::poll;
    use crate::modbus::power_brain::Pilot;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    /// Sees the same each second and counts the tries.
    fn watch(wake: &mut WakeUp, span: std::ops::Range<u64>, poll: &Poll) -> Vec<u64> {
        let mut tries = Vec::new();
        for second in span {
            wake.see(at(second), poll, true);
            if wake.next(at(second)).is_some() {
                wake.tried(at(second));
                tries.push(second);
            }
        }
        tries
    }

    #[test]
    fn a_car_that_sleeps_after_a_pause_is_woken_three_times_10_minutes_apart() {
        let mut wake = WakeUp::default();
        watch(&mut wake, 0..10, &poll(Pilot::Charging, true));
        watch(&mut wake, 10..20, &poll(Pilot::Plugged, false));
        let tries = watch(&mut wake, 20..4000, &poll(Pilot::Plugged, true));
        assert_eq!(tries, [80, 680, 1280]);
    }

    #[test]
    fn a_car_that_is_full_or_waits_by_itself_is_left_alone() {
        let mut wake = WakeUp::default();
        assert_eq!(
            watch(&mut wake, 0..500, &poll(Pilot::Plugged, true)),
            [0; 0]
        );
        watch(&mut wake, 500..600, &poll(Pilot::Charging, true));
        assert_eq!(
            watch(&mut wake, 600..2000, &poll(Pilot::Plugged, true)),
            [0; 0]
        );
    }

    #[test]
    fn a_car_that_charges_after_a_pause_and_stops_by_itself_is_left_alone() {
        let mut wake = WakeUp::default();
        watch(&mut wake, 0..10, &poll(Pilot::Charging, true));
        watch(&mut wake, 10..20, &poll(Pilot::Plugged, false));
        watch(&mut wake, 20..50, &poll(Pilot::Charging, true));
        assert_eq!(
            watch(&mut wake, 50..500, &poll(Pilot::Plugged, true)),
            [0; 0]
        );
    }
}
