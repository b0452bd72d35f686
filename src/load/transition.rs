//! The way of the [`Controller`] from what is allowed to what shall be: lowerings at once, raises
//! where everything that may still flow leaves room for them.

use std::ops::Range;
use std::time::Duration;

use super::booking::amps;
use super::circuit::Bookings;
use super::controller::{Controller, Output};
use super::ramp::{self, SMALL_WAITS, step_towards};
use super::round::Target;
use super::sparing::{FAIR_AFTER, Spared};
use crate::evse::{Demand, Limit, Offer, Reason};
use crate::ids::OfferNumber;
use crate::units::MilliAmps;

/// A raise that does not fit whole is given in part after this: each step costs a write to the
/// wallbox's memory, and others are usually about to make room.
pub(super) const PART_AFTER: Duration = Duration::from_secs(10);

impl Controller {
    /// Lowerings, and what a device must be told again, leave at once and together.
    pub(super) fn lower(&mut self, targets: &[Target], spared: &Spared) {
        for (index, target) in targets.iter().enumerate() {
            let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
            else {
                continue;
            };
            evse.reason = if evse.booking.refused {
                Reason::NotLimitable
            } else if evse.booking.overdraw.alarms() {
                Reason::NotObeyed
            } else if evse.booking.contact.is_online() {
                target.reason.clone()
            } else {
                Reason::Offline
            };
            if !evse.booking.contact.is_online() {
                continue;
            }
            let wanted = amps(target.limit, plan.max);
            let old = evse.booking.offered().map(|offer| offer.limit);
            let lowers =
                old.is_some_and(|old| target.limit < old) && !spared.lowerings.contains(&index);
            // The first offer of a connection states what was in force anyway, or less.
            let before = old.map_or(evse.booking.allowed(), |old| amps(old, plan.max));
            let states = evse.tell_again && wanted <= before;
            if lowers || states {
                self.offer(index, target.limit);
            } else if evse.tell_again && old.is_none() {
                // It is to have more than is booked: until that fits, it is told the least.
                let least = Limit::Current(plan.idle.min(before));
                self.offer(index, least);
            } else if let (true, Some(old)) = (evse.tell_again, old) {
                self.offer(index, old);
            }
        }
    }

    /// Raises where everything that may still flow leaves room: first grants before others, and last those
    /// that others need not make room for yet.
    pub(super) fn raise(&mut self, targets: &[Target], spared: &Spared) {
        let mut bookings = self.bookings();
        let order = self.order_of_raises().into_iter();
        let (waits, presses) = order.partition(|index| spared.raises.contains(index));
        self.raise_each(&mut bookings, presses, targets, false);
        // Only now: it would look like room that is there already.
        bookings.set_aside(&spared.promised);
        self.raise_each(&mut bookings, waits, targets, true);
    }

    fn raise_each(
        &mut self,
        bookings: &mut Bookings,
        order: Vec<usize>,
        targets: &[Target],
        can_wait: bool,
    ) {
        for index in order {
            let Some(target) = targets.get(index) else {
                continue;
            };
            let Some(limit) = self.raise_to(bookings, index, target, can_wait) else {
                continue;
            };
            self.note_raise(index, limit);
            self.offer(index, limit);
            if let Some(evse) = self.evses.get_mut(index) {
                bookings.set(index, evse.booking.booked(self.now));
                evse.budget.spend(self.now);
                evse.first_grant &= limit == Limit::Current(MilliAmps::ZERO);
                evse.raise_waits = None;
            }
        }
    }

    /// First grants before others, and then who has waited longest.
    pub(super) fn order_of_raises(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.evses.len()).collect();
        order.sort_by_key(|index| {
            let evse = self.evses.get(*index);
            evse.map(|evse| (!evse.first_grant, evse.raise_waits.unwrap_or(self.now)))
        });
        order
    }

    /// The limit to raise this EVSE to now, if any; notes why not.
    fn raise_to(
        &mut self,
        bookings: &Bookings,
        index: usize,
        target: &Target,
        can_wait: bool,
    ) -> Option<Limit> {
        let now = self.now;
        let goal = self.goal(index, target.limit);
        let hindrance = self.hindrance(index, target.limit);
        let ramped = self.is_ramped(index);
        let (evse, plan) = (self.evses.get_mut(index)?, self.plan.evses.get(index)?);
        let old = evse.booking.offered()?.limit;
        let is_online = evse.booking.contact.is_online();
        if target.limit > old {
            evse.short_since.get_or_insert(now);
        } else if is_online {
            evse.short_since = None;
        }
        if !is_online || target.limit <= old {
            evse.raise_waits = None;
            return None;
        }
        let booked = evse.booking.booked(now);
        let wanted = amps(goal, plan.max);
        let extra = evse.booking.overdraw.extra();
        // Back to a value that is still booked takes nothing from anybody, unless too much is.
        let overloaded = bookings.is_overloaded();
        let whole = bookings.fits_with(index, wanted + extra) && !(overloaded && wanted <= booked);
        let since = *evse.raise_waits.get_or_insert(now);
        let lasts = now.since(since);
        let part = evse.first_grant || lasts >= PART_AFTER;
        let limit = match (whole, part, goal) {
            (true, _, limit) => Some(limit),
            (false, true, Limit::Current(_)) => {
                let back = if overloaded { booked } else { MilliAmps::ZERO };
                let before = amps(old, plan.max);
                let least = before.max(plan.min - plan.step).max(back);
                part_of(bookings, index, least..wanted, plan.step, extra)
                    .filter(|part| {
                        let is_small = before >= plan.min && ramp::is_small(*part - before, plan);
                        !ramped || !is_small || lasts >= SMALL_WAITS
                    })
                    .map(Limit::Current)
            }
            (false, _, _) => None,
        };
        let reason = match (hindrance, limit) {
            (Some(hindrance), _) => Some(hindrance),
            (None, None) if can_wait => {
                let lasts = evse
                    .short_since
                    .map_or(Duration::ZERO, |since| now.since(since));
                let remaining = FAIR_AFTER.saturating_sub(lasts);
                Some(Reason::Fairness { remaining })
            }
            (None, None) => Some(Reason::Transition),
            (None, Some(_)) if !evse.first_grant && !evse.budget.allows(now) => {
                Some(Reason::RaiseBudget)
            }
            (None, Some(limit)) if limit == target.limit => None,
            (None, Some(limit)) => {
                evse.reason = if limit == goal {
                    Reason::Ramp
                } else {
                    Reason::Transition
                };
                None
            }
        };
        match reason {
            Some(reason) => {
                evse.reason = reason;
                None
            }
            None => limit,
        }
    }

    /// The next step on the way up: all of it, or a part where the house may move.
    pub(super) fn goal(&self, index: usize, target: Limit) -> Limit {
        let (Some(evse), Some(plan)) = (self.evses.get(index), self.plan.evses.get(index)) else {
            return target;
        };
        let old = evse.booking.offered().map(|offer| offer.limit);
        match (target, old) {
            (Limit::Current(wanted), Some(Limit::Current(old))) if self.is_ramped(index) => {
                Limit::Current(step_towards(wanted, old, self.plan.raise_step, plan))
            }
            _ => target,
        }
    }

    /// What stands in the way of a raise whether there is room for it or not.
    pub(super) fn hindrance(&self, index: usize, target: Limit) -> Option<Reason> {
        let (evse, plan) = (self.evses.get(index)?, self.plan.evses.get(index)?);
        if let Some(reason) = self.forbids(index, target) {
            return Some(reason);
        }
        let old = amps(evse.booking.offered()?.limit, plan.max);
        if !self.is_ramped(index) || old < plan.min {
            return None;
        }
        let raise = amps(target, plan.max) - old;
        let waits = evse.raise_waits.map(|since| self.now.since(since));
        let waits = waits.unwrap_or_default() < SMALL_WAITS;
        (waits && ramp::is_small(raise, plan)).then(|| evse.reason.clone())
    }

    /// What forbids a raise, however large it is.
    pub(super) fn forbids(&self, index: usize, target: Limit) -> Option<Reason> {
        let (evse, plan) = (self.evses.get(index)?, self.plan.evses.get(index)?);
        let (now, path) = (self.now, self.circuits.path(index));
        if let Some(circuit) = self.metering.late(path, now) {
            let circuit = self.circuits.name(circuit)?;
            return Some(Reason::NoReading { circuit });
        }
        let wanted = amps(target, plan.max);
        if self.is_starting() && wanted > evse.booking.booked(now) {
            return Some(Reason::StartUp);
        }
        if !self.is_ramped(index) {
            return None;
        }
        let old = amps(evse.booking.offered()?.limit, plan.max);
        if old < plan.min {
            return (!self.metering.may_start(path, now)).then_some(Reason::Ramp);
        }
        if !evse.wear.allows(now, wanted - old) {
            return Some(Reason::Spared);
        }
        (evse.ramp.next(self.plan.raise_interval) > now).then_some(Reason::Ramp)
    }

    /// A car below a meter is raised step by step.
    pub(super) fn is_ramped(&self, index: usize) -> bool {
        let evse = self.evses.get(index);
        evse.is_some_and(|evse| evse.demand == Demand::Charging)
            && self.metering.is_above(self.circuits.path(index))
    }

    pub(super) fn note_raise(&mut self, index: usize, limit: Limit) {
        let now = self.now;
        let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
        else {
            return;
        };
        let old = evse.booking.offered().map(|offer| offer.limit);
        let had_none = old.is_none_or(|old| amps(old, plan.max) < plan.min);
        if had_none && amps(limit, plan.max) >= plan.min {
            evse.ramp.start(now);
            self.metering.start(self.circuits.path(index), now);
        } else {
            evse.ramp.raise(now);
        }
    }

    /// After a start nothing is raised until every EVSE was seen, or the hold is over: who was
    /// not seen may be charging.
    pub(super) fn is_starting(&self) -> bool {
        self.now.since(self.started) < self.plan.start_up_hold
            && self
                .evses
                .iter()
                .any(|evse| !evse.booking.contact.was_seen())
    }

    pub(super) fn bookings(&self) -> Bookings {
        let mut bookings = Bookings::new(&self.circuits);
        for (index, evse) in self.evses.iter().enumerate() {
            bookings.set(index, evse.booking.booked(self.now));
        }
        bookings
    }

    pub(super) fn offer(&mut self, index: usize, limit: Limit) {
        let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
        else {
            return;
        };
        self.last_number += 1;
        let number = OfferNumber(self.last_number);
        evse.tell_again = false;
        // What is told again after a reconnection moves nobody.
        if evse.booking.offered().is_none_or(|old| old.limit != limit) {
            evse.wear.write(self.now);
        }
        evse.booking.offer(self.now, number, limit);
        let offer = Offer {
            number,
            limit,
            reason: evse.reason.clone(),
            single_phase: evse.switch.wants_single(),
        };
        self.outputs.push_back(Output::Offer {
            evse: plan.name.clone(),
            offer,
        });
    }
}

/// The largest current above the start of `range`, in steps below its end, that fits together with
/// `extra`.
pub(super) fn part_of(
    bookings: &Bookings,
    index: usize,
    range: Range<MilliAmps>,
    step: MilliAmps,
    extra: MilliAmps,
) -> Option<MilliAmps> {
    let Range { start, end } = range;
    let steps = end.0.saturating_sub(start.0) / step.0.max(1);
    (1..=steps)
        .map(|down| MilliAmps(end.0 - down.saturating_mul(step.0)))
        .filter(|amps| *amps > start)
        .find(|amps| bookings.fits_with(index, *amps + extra))
}
