//! What a car takes of what it is allowed, so that others can have the rest.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::MilliAmps;

use super::plan::EvsePlan;

/// Below its offer by more than this, it does not take what it may.
const MISSES: MilliAmps = MilliAmps(1000);

/// For so long: it is not about to.
const LASTS: Duration = Duration::from_secs(20);

/// A car that was without current needs longer: it wakes, checks, closes its contactor.
const WAKES_WITHIN: Duration = Duration::from_mins(1);

/// More than this flows only into a car that charges.
const CHARGES: MilliAmps = MilliAmps(1000);

/// Rising by more than this, it is on its way.
const RISES: MilliAmps = MilliAmps(500);

/// It is left this much more than it takes, to show that it wants more.
const SPARE: MilliAmps = MilliAmps(2000);

/// So close to its ceiling it wants more, ...
const CLOSE: MilliAmps = MilliAmps(500);

/// ... and gets so much more.
const GROWS: MilliAmps = MilliAmps(4000);

/// A car that needs more than its spare ampere to take the next step is tried so often.
const PROBES_EVERY: Duration = Duration::from_mins(5);

/// A full car draws less than this ...
const IDLES: MilliAmps = MilliAmps(500);

/// ... for so long.
const IDLES_FOR: Duration = Duration::from_mins(5);

/// Without measurements for so long, nothing is assumed.
const FORGETS_AFTER: Duration = Duration::from_mins(1);

/// Learned from the measured current alone; knows nothing where there is none.
#[derive(Debug, Default)]
pub(super) struct Appetite {
    ceiling: Option<MilliAmps>,
    /// When the ceiling was set, lowered or lifted.
    judged_at: Mono,
    measured_at: Mono,
    under: Option<Under>,
    /// It has charged since it last was without current.
    awake: bool,
    idle_since: Option<Mono>,
    is_idle: bool,
}

/// A span in which it took less than it may.
#[derive(Debug, Clone, Copy)]
struct Under {
    since: Mono,
    peak: MilliAmps,
}

impl Appetite {
    /// What it makes use of; `None` = whatever it may have.
    pub(super) fn ceiling(&self) -> Option<MilliAmps> {
        self.ceiling
    }

    /// It has had current for minutes and takes none.
    pub(super) fn is_idle(&self) -> bool {
        self.is_idle
    }

    /// It gets current after a pause: a new chance.
    pub(super) fn wake(&mut self) {
        self.under = None;
        self.awake = false;
        self.idle_since = None;
        self.is_idle = false;
    }

    /// Takes the largest of the phase currents. True if it changes what others can have.
    pub(super) fn measure(
        &mut self,
        now: Mono,
        drawn: MilliAmps,
        offer: MilliAmps,
        plan: &EvsePlan,
    ) -> bool {
        self.measured_at = now;
        if offer <= MilliAmps::ZERO {
            self.under = None;
            return false;
        }
        self.awake |= drawn >= CHARGES;
        self.judge_idle(now, drawn) | self.judge_ceiling(now, drawn, offer, plan)
    }

    fn judge_idle(&mut self, now: Mono, drawn: MilliAmps) -> bool {
        let before = self.is_idle;
        self.idle_since = (drawn < IDLES).then(|| self.idle_since.unwrap_or(now));
        self.is_idle = self
            .idle_since
            .is_some_and(|since| now.since(since) >= IDLES_FOR);
        before != self.is_idle
    }

    fn judge_ceiling(
        &mut self,
        now: Mono,
        drawn: MilliAmps,
        offer: MilliAmps,
        plan: &EvsePlan,
    ) -> bool {
        if let Some(ceiling) = self.ceiling.filter(|ceiling| drawn + CLOSE >= *ceiling) {
            self.under = None;
            self.lift(now, ceiling + GROWS, plan);
            return true;
        }
        if drawn + MISSES >= offer {
            self.under = None;
            return false;
        }
        let fresh = Under {
            since: now,
            peak: drawn,
        };
        let span = self.under.get_or_insert(fresh);
        if drawn > span.peak + RISES {
            *span = fresh;
        }
        span.peak = span.peak.max(drawn);
        let Under { since, peak } = *span;
        let patience = if self.awake { LASTS } else { WAKES_WITHIN };
        if now.since(since) < patience {
            return false;
        }
        self.under = Some(fresh);
        let whole = MilliAmps(peak.0.saturating_add(999)).floor_to(MilliAmps(1000));
        let wanted = (whole + SPARE).max(plan.min);
        let lowers = wanted < self.ceiling.unwrap_or(plan.max);
        // A raised ceiling is judged when it has become an offer.
        let tried = self.ceiling.is_none_or(|ceiling| offer + MISSES >= ceiling);
        let sinks = lowers && (tried || wanted < offer);
        if sinks {
            self.ceiling = Some(wanted);
            self.judged_at = now;
        }
        sinks
    }

    /// Lets time act.
    pub(super) fn look(&mut self, now: Mono, plan: &EvsePlan) {
        let Some(ceiling) = self.ceiling else {
            return;
        };
        if now.since(self.measured_at) >= FORGETS_AFTER {
            *self = Self::default();
        } else if now.since(self.judged_at) >= PROBES_EVERY {
            self.under = None;
            self.lift(now, ceiling + SPARE, plan);
        }
    }

    fn lift(&mut self, now: Mono, ceiling: MilliAmps, plan: &EvsePlan) {
        self.ceiling = Some(ceiling).filter(|ceiling| *ceiling < plan.max);
        self.judged_at = now;
    }

    /// When time may act.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let forgets = self.measured_at + FORGETS_AFTER;
        self.ceiling
            .map(|_| forgets.min(self.judged_at + PROBES_EVERY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::site_generator::evse as plan;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    /// A car that takes `car(offer)`, is offered up to its ceiling, and is measured every 10 s.
    fn run(appetite: &mut Appetite, span: std::ops::Range<u64>, car: impl Fn(i32) -> i32) -> i32 {
        let mut offer = 0;
        for seconds in span.step_by(10) {
            appetite.look(at(seconds), &plan());
            offer = appetite.ceiling().map_or(16_000, |ceiling| ceiling.0);
            let drawn = MilliAmps(car(offer));
            appetite.measure(at(seconds), drawn, MilliAmps(offer), &plan());
        }
        offer
    }

    #[test]
    fn a_car_that_takes_less_for_20_s_keeps_2_a_more_than_it_takes_in_whole_amperes() {
        let mut appetite = Appetite::default();
        run(&mut appetite, 0..20, |_| 7200);
        assert_eq!(appetite.ceiling(), None);
        run(&mut appetite, 20..30, |_| 7200);
        assert_eq!(appetite.ceiling(), Some(MilliAmps(10_000)));
    }

    #[test]
    fn a_car_that_wakes_or_rises_is_given_time() {
        let mut appetite = Appetite::default();
        run(&mut appetite, 0..60, |_| 0);
        assert_eq!(appetite.ceiling(), None, "it wakes");
        for seconds in 6..30_i32 {
            let drawn = MilliAmps((seconds - 5) * 600);
            let now = at(seconds.unsigned_abs().into());
            appetite.measure(
                now + Duration::from_mins(1),
                drawn,
                MilliAmps(16_000),
                &plan(),
            );
        }
        assert_eq!(appetite.ceiling(), None, "it rises");
    }

    #[test]
    fn a_car_that_comes_close_to_its_ceiling_gets_4_a_more_until_there_is_none() {
        let mut appetite = Appetite::default();
        run(&mut appetite, 0..30, |_| 5000);
        assert_eq!(appetite.ceiling(), Some(MilliAmps(7000)));
        run(&mut appetite, 30..40, |offer| offer - 300);
        assert_eq!(appetite.ceiling(), Some(MilliAmps(11_000)));
        run(&mut appetite, 40..60, |offer| offer - 300);
        assert_eq!(appetite.ceiling(), None);
    }

    #[test]
    fn a_car_that_takes_coarse_steps_is_found_by_probing_every_5_minutes() {
        let mut appetite = Appetite::default();
        let coarse = |offer| if offer >= 13_000 { 13_000 } else { 10_000 };
        run(&mut appetite, 0..30, |_| 10_000);
        assert_eq!(appetite.ceiling(), Some(MilliAmps(12_000)));
        run(&mut appetite, 30..310, coarse);
        assert_eq!(appetite.ceiling(), Some(MilliAmps(12_000)));
        assert_eq!(run(&mut appetite, 320..400, coarse), 14_000);
    }

    #[test]
    fn whoever_follows_badly_ends_up_with_one_ceiling_and_a_probe_now_and_then() {
        for shortfall in [0, 400, 900, 1100, 1900, 2600] {
            let mut appetite = Appetite::default();
            let follows = |offer: i32| (offer - shortfall).max(0);
            run(&mut appetite, 0..600, follows);
            let mut changes = 0;
            let mut before = appetite.ceiling();
            for ten in 60..960 {
                run(&mut appetite, ten * 10..ten * 10 + 10, follows);
                changes += u32::from(appetite.ceiling() != before);
                before = appetite.ceiling();
            }
            assert!(changes <= 2 * 30 + 2, "{shortfall}: {changes} in 150 min");
        }
    }

    #[test]
    fn without_meter_values_nothing_is_assumed() {
        let mut appetite = Appetite::default();
        run(&mut appetite, 0..30, |_| 5000);
        assert!(appetite.ceiling().is_some());
        appetite.look(at(80), &plan());
        assert_eq!(appetite.ceiling(), None);
    }

    #[test]
    fn a_full_car_is_idle_after_5_minutes_until_it_gets_a_new_chance() {
        let mut appetite = Appetite::default();
        run(&mut appetite, 0..300, |_| 0);
        assert!(!appetite.is_idle());
        run(&mut appetite, 300..310, |_| 0);
        assert!(appetite.is_idle());
        appetite.measure(at(400), MilliAmps(0), MilliAmps(0), &plan());
        assert!(appetite.is_idle(), "a pause says nothing");
        appetite.wake();
        assert!(!appetite.is_idle());
    }
}
