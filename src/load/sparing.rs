//! Which lowerings may wait. Below a meter the shares of all change with everything that the house
//! does; but while the fuse bears what was offered, nobody has to give up anything before somebody
//! else can take it. What follows every change at once gives current away that nobody has yet, and
//! wears the memory of wallboxes.

use std::collections::BTreeSet;

use super::booking::amps;
use super::circuit::Bookings;
use super::controller::Controller;
use super::ramp;
use super::round::Target;
use super::transition::PART_AFTER;
use crate::evse::{Limit, Reason};
use crate::units::MilliAmps;

/// Others are lowered for as much as this.
const WORTH: MilliAmps = MilliAmps(1000);

/// A lowering that may wait. The largest comes first: few large ones cost less than many small ones.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Lowering {
    /// Negative.
    by: MilliAmps,
    index: usize,
    to: MilliAmps,
}

/// A raise that only lacks room.
#[derive(Debug)]
struct Raise {
    to: MilliAmps,
    by: MilliAmps,
    is_small: bool,
}

impl Controller {
    /// Whose lowering would serve nobody now.
    pub(super) fn spared(&mut self, targets: &[Target]) -> BTreeSet<usize> {
        let mut spared = Vec::new();
        let mut offers = Bookings::new(&self.circuits);
        let parts = self.evses.iter().zip(&self.plan.evses).zip(targets);
        for (index, ((evse, plan), target)) in parts.enumerate() {
            let extra = evse.booking.overdraw.extra();
            let wanted = amps(target.limit, plan.max);
            let offer = evse.booking.offered();
            let offer = offer.map(|offer| amps(offer.limit, plan.max));
            let obeys = !evse.booking.is_fixed() && !evse.booking.ignores(self.now);
            let Some(offer) = offer.filter(|_| obeys) else {
                offers.set(index, evse.booking.booked(self.now));
                continue;
            };
            let is_ramped = self.is_ramped(index);
            // Only what it must share; a limit of its own holds at once, and so does a pause.
            let is_shared = matches!(target.reason, Reason::Circuit { .. })
                && wanted >= plan.min
                && offer <= target.most;
            if is_ramped && is_shared && wanted < offer {
                offers.set(index, offer + extra);
                spared.push(Lowering {
                    by: wanted - offer,
                    index,
                    to: wanted + extra,
                });
            } else if is_ramped {
                offers.set(index, wanted.min(offer) + extra);
            } else {
                offers.set(index, wanted + extra);
            }
        }
        spared.sort_unstable();
        Self::lower_for_fuses(&mut spared, &mut offers);
        self.lower_for_raises(&mut spared, &mut offers, targets);
        spared.into_iter().map(|lowering| lowering.index).collect()
    }

    fn lower_for_fuses(spared: &mut Vec<Lowering>, offers: &mut Bookings) {
        spared.retain(|lowering| {
            let must = offers.exceeds(lowering.index);
            if must {
                offers.set(lowering.index, lowering.to);
            }
            !must
        });
    }

    fn lower_for_raises(
        &mut self,
        spared: &mut Vec<Lowering>,
        offers: &mut Bookings,
        targets: &[Target],
    ) {
        let mut raises: Vec<(usize, MilliAmps)> = Vec::new();
        let (mut small, mut sum) = (Vec::new(), MilliAmps::ZERO);
        for (index, target) in targets.iter().enumerate() {
            let Some(Raise { to, by, is_small }) = self.possible_raise(index, target) else {
                continue;
            };
            if is_small {
                small.push((index, to));
                sum += by;
            } else {
                raises.push((index, to));
            }
        }
        // Many small ones are as good as a large one.
        if sum >= WORTH {
            raises.extend(small);
        }
        let mut begins = false;
        for (index, to) in raises {
            // Cars begin one after the other: the next one needs no room before it is its turn.
            if self.is_about_to_start(index) && std::mem::replace(&mut begins, true) {
                continue;
            }
            spared.retain(|lowering| {
                let must = !offers.fits_with(index, to);
                if must {
                    offers.set(lowering.index, lowering.to);
                }
                !must
            });
            if offers.fits_with(index, to) {
                offers.set(index, to);
            }
        }
    }

    /// Its car waits for room to begin again below a meter, but not for so long that the others cannot be
    /// made to wait for it.
    fn is_about_to_start(&self, index: usize) -> bool {
        let evse = self.evses.get(index).zip(self.plan.evses.get(index));
        let begins = evse.is_some_and(|(evse, plan)| {
            let waits = evse.raise_waits.map(|since| self.now.since(since));
            let offer = evse.booking.offered();
            !evse.first_grant
                && waits.is_none_or(|waits| waits < PART_AFTER)
                && offer.is_some_and(|offer| amps(offer.limit, plan.max) < plan.min)
        });
        begins && self.is_ramped(index)
    }

    /// What an EVSE would be raised to now, if there were room for it.
    fn possible_raise(&mut self, index: usize, target: &Target) -> Option<Raise> {
        let Limit::Current(goal) = self.goal(index, target.limit) else {
            return None;
        };
        let is_hindered = self.hindrance(index, target.limit).is_some();
        let (evse, plan) = (self.evses.get_mut(index)?, self.plan.evses.get(index)?);
        let old = amps(evse.booking.offered()?.limit, plan.max);
        let may = evse.booking.contact.is_online()
            && !is_hindered
            && (evse.first_grant || evse.budget.allows(self.now));
        (may && goal > old).then(|| Raise {
            to: goal + evse.booking.overdraw.extra(),
            by: goal - old,
            is_small: old >= plan.min && ramp::is_small(goal - old, plan),
        })
    }
}
