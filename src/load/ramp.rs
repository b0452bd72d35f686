//! How fast an EVSE is raised below a meter. The house moves, and a raise that has to be taken back
//! costs two writes and wears the car; so there is less of it than could be.

use std::time::Duration;

use super::plan::{Device, EvsePlan};
use crate::clock::Mono;
use crate::units::MilliAmps;

/// A car that begins has its minimum until it draws this much, ...
const DRAWS: MilliAmps = MilliAmps(1000);

/// ... or for so long, if nobody measures it.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);

/// Cars below one meter begin so far apart, so that it shows what each of them takes.
pub(super) const STARTS_APART: Duration = Duration::from_secs(5);

/// A raise by less than this waits: it is not worth a write to flash, ...
const SMALL_OCPP: MilliAmps = MilliAmps(1000);

/// ... nor to a register ...
const SMALL_MODBUS: MilliAmps = MilliAmps(500);

/// ... unless it has been possible for so long.
pub(super) const SMALL_WAITS: Duration = Duration::from_mins(1);

/// When an EVSE may be raised again.
#[derive(Debug, Default)]
pub(super) struct Ramp {
    /// It began then, and nobody has seen it draw.
    begins: Option<Mono>,
    raised: Option<Mono>,
}

impl Ramp {
    /// It has its minimum from now on.
    pub(super) fn start(&mut self, now: Mono) {
        *self = Self {
            begins: Some(now),
            raised: Some(now),
        };
    }

    /// It was raised.
    pub(super) fn raise(&mut self, now: Mono) {
        self.raised = Some(now);
    }

    /// It draws this. True if it may be raised sooner for it.
    pub(super) fn measure(&mut self, drawn: MilliAmps) -> bool {
        drawn >= DRAWS && self.begins.take().is_some()
    }

    /// When it may be raised again.
    pub(super) fn next(&self, interval: Duration) -> Mono {
        let begun = self.begins.map(|since| since + BEGINS_WITHIN);
        let raised = self.raised.map(|at| at + interval);
        begun.max(raised).unwrap_or_default()
    }
}

/// The next current on the way from `old` to `target`: the minimum first, then at most `most` more,
/// in steps that the box takes.
pub(super) fn step_towards(
    target: MilliAmps,
    old: MilliAmps,
    most: MilliAmps,
    plan: &EvsePlan,
) -> MilliAmps {
    let step = plan.step.0.max(1);
    // The lowest that is whole steps below the target, and no less than `least`.
    let lowest =
        |least: MilliAmps| target - (target - least).max(MilliAmps::ZERO).floor_to(plan.step);
    if old < plan.min {
        return lowest(plan.min);
    }
    let above = (target - old - most).max(MilliAmps::ZERO);
    let steps = above.0 / step + i32::from(above.0 % step > 0);
    let next = target - MilliAmps(steps.saturating_mul(step));
    // A step may be larger than what it may be raised by.
    next.max(lowest(old + MilliAmps(1)))
}

/// Whether a raise is too small to be given at once.
pub(super) fn is_small(raise: MilliAmps, plan: &EvsePlan) -> bool {
    raise < worth(plan)
}

/// The least that is given at once.
pub(super) fn worth(plan: &EvsePlan) -> MilliAmps {
    match plan.device {
        Device::Ocpp => SMALL_OCPP,
        Device::Modbus => SMALL_MODBUS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::site_generator::evse as plan;

    const INTERVAL: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn next(target: i32, old: i32, most: i32, step: i32) -> i32 {
        let plan = EvsePlan {
            step: MilliAmps(step),
            min: MilliAmps(6500),
            ..plan()
        };
        step_towards(MilliAmps(target), MilliAmps(old), MilliAmps(most), &plan).0
    }

    #[test]
    fn the_way_up_is_the_minimum_and_then_so_much_at_a_time_on_the_steps_of_the_target() {
        assert_eq!(next(16_000, 0, 4000, 100), 6500);
        assert_eq!(next(16_000, 0, 4000, 1000), 7000);
        assert_eq!(next(16_000, 7000, 4000, 1000), 11_000);
        assert_eq!(next(16_000, 6550, 4000, 100), 10_500);
        assert_eq!(next(16_000, 12_000, 4000, 100), 16_000);
        assert_eq!(
            next(8000, 7000, 500, 1000),
            8000,
            "no smaller step is possible"
        );
    }

    #[test]
    fn a_car_that_begins_keeps_its_minimum_until_it_draws_an_ampere_or_for_20_s() {
        let mut ramp = Ramp::default();
        assert_eq!(ramp.next(INTERVAL), at(0));
        ramp.start(at(100));
        assert_eq!(ramp.next(INTERVAL), at(120));
        assert!(!ramp.measure(MilliAmps(999)));
        assert_eq!(ramp.next(INTERVAL), at(120));
        assert!(ramp.measure(MilliAmps(1000)));
        assert_eq!(ramp.next(INTERVAL), at(110));
        assert!(!ramp.measure(MilliAmps(1000)));
    }

    #[test]
    fn raises_are_an_interval_apart() {
        let mut ramp = Ramp::default();
        ramp.raise(at(100));
        assert_eq!(ramp.next(INTERVAL), at(110));
    }

    #[test]
    fn less_than_an_ampere_is_not_worth_a_write_to_flash_nor_half_an_ampere_one_to_a_register() {
        let modbus = EvsePlan {
            device: Device::Modbus,
            ..plan()
        };
        assert!(is_small(MilliAmps(999), &plan()) && !is_small(MilliAmps(1000), &plan()));
        assert!(is_small(MilliAmps(499), &modbus) && !is_small(MilliAmps(500), &modbus));
    }
}
