//! What many lack a little of goes to a few. A raise that is too small to be worth a write waits; but
//! when all cars below a meter wait for a little, it is enough together for some of them to be worth
//! it, and would flow to nobody meanwhile.
//!
//! They have a little more than their share then, by less than a raise must be to be given at once.
//! When the fuse needs something back, they give first.

use super::booking::amps;
use super::controller::Controller;
use super::ramp;
use super::round::Target;
use crate::evse::Limit;
use crate::units::MilliAmps;

/// With fewer, waiting for their own turn costs hardly more writes.
pub(super) const MANY: usize = 4;

/// So much must be lacking together.
const WORTH: MilliAmps = MilliAmps(1000);

impl Controller {
    /// Gives those who lack most as much as is worth a write, while there is room beside what is
    /// promised to others.
    pub(super) fn pool(&mut self, targets: &[Target], promised: &[(usize, MilliAmps)]) {
        let lacks = targets.iter().enumerate();
        let mut lacks: Vec<(MilliAmps, usize)> = lacks
            .filter_map(|(index, target)| Some((self.lacks_little(index, target)?, index)))
            .collect();
        let sum: MilliAmps = lacks.iter().map(|(lacks, _)| *lacks).sum();
        if lacks.len() < MANY || sum < WORTH {
            return;
        }
        let mut bookings = self.bookings();
        bookings.set_aside(promised);
        if bookings.is_overloaded() {
            return;
        }
        lacks.sort_by_key(|(lacks, index)| (-*lacks, *index));
        for (_, index) in lacks {
            let Some(to) = targets.get(index).and_then(|at| self.worth(index, at)) else {
                continue;
            };
            let Some(evse) = self.evses.get_mut(index) else {
                continue;
            };
            let extra = evse.booking.overdraw.extra();
            if !bookings.fits_with(index, to + extra) || !evse.budget.allows(self.now) {
                continue;
            }
            evse.budget.spend(self.now);
            evse.raise_waits = None;
            self.note_raise(index, Limit::Current(to));
            self.offer(index, Limit::Current(to));
            bookings.set(index, to + extra);
        }
    }

    /// What an EVSE lacks that nothing keeps from it but that it is little.
    fn lacks_little(&self, index: usize, target: &Target) -> Option<MilliAmps> {
        let (evse, plan) = (self.evses.get(index)?, self.plan.evses.get(index)?);
        let old = amps(evse.booking.offered()?.limit, plan.max);
        let lacks = amps(target.limit, plan.max) - old;
        let may = self.is_ramped(index)
            && evse.booking.contact.is_online()
            && old >= plan.min
            && lacks > MilliAmps::ZERO
            && ramp::is_small(lacks, plan)
            && !self.is_starting()
            && self.forbids(index, target.limit).is_none();
        may.then_some(lacks)
    }

    /// The least that it may be raised to, if that is worth a write.
    fn worth(&self, index: usize, target: &Target) -> Option<MilliAmps> {
        let (evse, plan) = (self.evses.get(index)?, self.plan.evses.get(index)?);
        let old = amps(evse.booking.offered()?.limit, plan.max);
        let step = plan.step.0.max(1);
        let steps =
            ramp::worth(plan).0.div_euclid(step) + i32::from(ramp::worth(plan).0 % step > 0);
        let to = old + MilliAmps(steps.saturating_mul(step)).min(self.plan.raise_step);
        let may = to <= target.most
            && !ramp::is_small(to - old, plan)
            && evse.wear.allows(self.now, to - old);
        may.then_some(to)
    }
}
