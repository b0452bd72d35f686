//! Which lowerings may wait. Below a meter the shares of all change with everything that the house
//! does; but while the fuse bears what was offered, nobody has to give up anything before somebody
//! else can take it. What follows every change at once gives current away that nobody has yet, and
//! wears the memory of wallboxes. That one has more than another for a while is no loss to anybody but
//! the other: only where it is much, or lasts, or keeps current from flowing at all, it is put right.

use std::collections::BTreeSet;
use std::time::Duration;

use super::booking::amps;
use super::circuit::Bookings;
use super::controller::Controller;
use super::ramp;
use super::round::Target;
use super::transition::PART_AFTER;
use crate::evse::{Limit, Reason};
use crate::units::MilliAmps;

/// Others are lowered for as much as this ...
const WORTH: MilliAmps = MilliAmps(1000);

/// ... at once where an EVSE has so much less than its share, ...
const FAR: MilliAmps = MilliAmps(4000);

/// ... or where so much more would flow in all, counted over the phases of all cars: where a single-phase
/// car gives up 5 A, others take as much on three phases, ...
const PAYS: MilliAmps = MilliAmps(10_000);

/// ... and otherwise after this. Beside a house that moves, shares rarely last as long.
pub(super) const FAIR_AFTER: Duration = Duration::from_mins(2);

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
    /// Nobody needs to give up anything for it yet: it lacks little, and not for long.
    can_wait: bool,
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
        let mut raises: Vec<(usize, Raise)> = Vec::new();
        let (mut small, mut sum) = (Vec::new(), MilliAmps::ZERO);
        for index in self.order_of_raises() {
            let raise = targets
                .get(index)
                .and_then(|target| self.possible_raise(index, target));
            match raise {
                Some(raise) if raise.is_small => {
                    sum += raise.by;
                    small.push((index, raise));
                }
                Some(raise) => raises.push((index, raise)),
                None => {}
            }
        }
        // Many small ones are as good as a large one.
        if sum >= WORTH {
            raises.extend(small);
        }
        let pays = self.gain(targets) >= i64::from(PAYS.0);
        let mut begun = Vec::new();
        for (index, Raise { to, can_wait, .. }) in raises {
            if can_wait && !pays {
                continue;
            }
            // Cars below one meter begin one after the other: the next one needs no room before it is
            // its turn.
            if self.is_about_to_start(index) {
                if begun.iter().any(|other| self.share_a_meter(*other, index)) {
                    continue;
                }
                begun.push(index);
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

    /// How much more would flow if all cars that charge had their shares, over all their phases, in mA.
    fn gain(&self, targets: &[Target]) -> i64 {
        let parts = self.plan.evses.iter().zip(targets).enumerate();
        let gains = parts.filter_map(|(index, (plan, target))| {
            let offer = self.evses.get(index)?.booking.offered()?;
            let old = amps(offer.limit, plan.max);
            let wanted = amps(target.limit, plan.max);
            let charges = self.is_ramped(index) && old.min(wanted) >= plan.min;
            charges.then(|| i64::from((wanted - old).0) * i64::from(plan.phases))
        });
        gains.sum()
    }

    /// Some circuit with a meter feeds both.
    fn share_a_meter(&self, evse: usize, other: usize) -> bool {
        let (path, other) = (self.circuits.path(evse), self.circuits.path(other));
        let both: Vec<usize> = path
            .iter()
            .filter(|at| other.contains(at))
            .copied()
            .collect();
        self.metering.is_above(&both)
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
        let is_ramped = self.is_ramped(index);
        let (evse, plan) = (self.evses.get_mut(index)?, self.plan.evses.get(index)?);
        let old = amps(evse.booking.offered()?.limit, plan.max);
        let waits = evse.short_since.map(|since| self.now.since(since));
        let lacks = amps(target.limit, plan.max) - old;
        let may = evse.booking.contact.is_online()
            && !is_hindered
            && (evse.first_grant || evse.budget.allows(self.now));
        (may && goal > old).then(|| Raise {
            to: goal + evse.booking.overdraw.extra(),
            by: goal - old,
            is_small: old >= plan.min && ramp::is_small(goal - old, plan),
            can_wait: is_ramped
                && old >= plan.min
                && lacks < FAR
                && waits.unwrap_or_default() < FAIR_AFTER,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::clock::{Mono, Now, Timestamp};
    use crate::load::EvsePlan;
    use crate::load::plan::{CircuitPlan, LoadPlan, MeterPlan};
    use crate::load::site_generator::evse;

    /// Two EVSEs on the left and one on the right, each side behind a meter of its own, and both
    /// behind another one or none.
    fn controller(main: Option<&str>) -> Controller {
        let circuit = |name: &str, meter: Option<&str>| CircuitPlan {
            name: name.into(),
            parent: (name != "main").then(|| "main".into()),
            max_current: MilliAmps::from_amps(63),
            max_power: None,
            reserve: MilliAmps::ZERO,
            meter: meter.map(Into::into),
            failsafe: MilliAmps::ZERO,
            max_asymmetry: None,
        };
        let box_on = |number: usize, circuit: &str| EvsePlan {
            name: format!("e{number}").as_str().into(),
            circuit: circuit.into(),
            ..evse()
        };
        let plan = LoadPlan {
            circuits: vec![
                circuit("main", main),
                circuit("left", Some("left")),
                circuit("right", Some("right")),
            ],
            meters: ["grid", "left", "right"]
                .map(|name| MeterPlan {
                    name: name.into(),
                    poll: Duration::from_secs(1),
                })
                .into(),
            evses: vec![box_on(0, "left"), box_on(1, "left"), box_on(2, "right")],
            ..LoadPlan::default()
        };
        let start = Now {
            mono: Mono::START,
            wall: Timestamp::UNIX_EPOCH,
        };
        Controller::new(start, plan, &BTreeMap::new())
    }

    #[test]
    fn only_a_meter_above_both_lets_one_wait_for_the_other() {
        let shares = |main| {
            let controller = controller(main);
            [(0, 1), (0, 2)].map(|(evse, other)| controller.share_a_meter(evse, other))
        };
        assert_eq!(shares(None), [true, false]);
        assert_eq!(shares(Some("grid")), [true, true]);
    }

    #[test]
    fn first_grants_come_first_and_then_who_has_waited_longest() {
        let mut controller = controller(None);
        let at = |seconds| Mono(Duration::from_secs(seconds));
        let now = at(10);
        controller.now = now;
        for (evse, waits) in controller.evses.iter_mut().zip([Some(5), None, Some(1)]) {
            evse.first_grant = false;
            evse.raise_waits = waits.map(at);
        }
        assert_eq!(controller.order_of_raises(), [2, 0, 1]);
        controller.evses[1].first_grant = true;
        assert_eq!(controller.order_of_raises(), [1, 2, 0]);
    }
}
