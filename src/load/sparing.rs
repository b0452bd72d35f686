//! Which lowerings may wait. Below a meter the shares of all change with everything that the house
//! does; but while the fuse bears what was offered, nobody has to give up anything before somebody
//! else can take it. What follows every change at once gives current away that nobody has yet, and
//! wears the memory of wallboxes. That one has more than another for a while is no loss to anybody but
//! the other: only where it is much, or lasts, or keeps current from flowing at all, it is put right.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::booking::amps;
use super::circuit::Bookings;
use super::controller::Controller;
use super::ramp;
use super::round::Target;
use super::transition::{PART_AFTER, part_of};
use crate::evse::{Limit, Reason};
use crate::units::MilliAmps;

/// Others are lowered for as much as this ...
const WORTH: MilliAmps = MilliAmps(1000);

/// ... at once where an EVSE has so much less than its share, ...
const FAR: MilliAmps = MilliAmps(4000);

/// ... or where so much more would flow below its meter, counted over the phases of all cars: where a
/// single-phase car gives up 5 A, others take as much on three phases, ...
const PAYS: MilliAmps = MilliAmps(4000);

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

/// A raise that only lacks room. What it leads to is as it would be booked.
#[derive(Debug)]
struct Raise {
    index: usize,
    from: MilliAmps,
    to: MilliAmps,
    /// What it leads to in the end.
    share: MilliAmps,
    is_small: bool,
    /// Nobody needs to give up anything for it yet: it lacks little, and not for long.
    can_wait: bool,
}

/// What need not be done now.
#[derive(Debug, Default)]
pub(super) struct Spared {
    /// Lowerings that would serve nobody.
    pub(super) lowerings: BTreeSet<usize>,
    /// Raises that nobody makes room for yet.
    pub(super) raises: BTreeSet<usize>,
    /// What others make room for, each with what it will be booked with: none of it is for a raise that
    /// waits.
    pub(super) promised: Vec<(usize, MilliAmps)>,
}

impl Controller {
    /// Whose lowering would serve nobody now, and whose raise may wait for it.
    pub(super) fn spared(&mut self, targets: &[Target]) -> Spared {
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
        let (waits, presses) = self.raises(targets, &spared);
        let mut promised = Vec::new();
        self.lower_for_raises(worth_it(presses), &mut spared, &mut offers, &mut promised);
        let gains = self.gains(&waits, &spared, &offers);
        let pays = |raise: &Raise| {
            let gain = self.meter_above(raise.index).and_then(|at| gains.get(&at));
            gain.is_some_and(|gain| *gain >= i64::from(PAYS.0))
        };
        let (pays, waits): (Vec<Raise>, Vec<Raise>) = waits.into_iter().partition(pays);
        self.lower_for_raises(worth_it(pays), &mut spared, &mut offers, &mut promised);
        Spared {
            lowerings: spared.into_iter().map(|lowering| lowering.index).collect(),
            raises: waits.into_iter().map(|raise| raise.index).collect(),
            promised,
        }
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

    /// What would be raised now if there were room for it, in order: what may wait, and what may not.
    fn raises(&mut self, targets: &[Target], spared: &[Lowering]) -> (Vec<Raise>, Vec<Raise>) {
        let order = self.order_of_raises().into_iter();
        let raises: Vec<Raise> = order
            .filter_map(|index| self.possible_raise(index, targets.get(index)?))
            .collect();
        let can_wait = |raise: &Raise| raise.can_wait && !self.is_before(raise.index, spared);
        raises.into_iter().partition(can_wait)
    }

    /// Its priority is higher than that of one who has more than its share.
    fn is_before(&self, index: usize, spared: &[Lowering]) -> bool {
        let priority = |index: usize| self.plan.evses.get(index).map(|plan| plan.priority);
        spared.iter().any(|lowering| {
            priority(lowering.index) < priority(index) && self.share_a_meter(lowering.index, index)
        })
    }

    fn lower_for_raises(
        &self,
        raises: Vec<Raise>,
        spared: &mut Vec<Lowering>,
        offers: &mut Bookings,
        promised: &mut Vec<(usize, MilliAmps)>,
    ) {
        let mut begun = Vec::new();
        for Raise { index, to, .. } in raises {
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
                promised.push((index, to));
            }
        }
    }

    /// How much more would flow below each meter, over all phases and in mA, if all who charge had their
    /// shares, than if those who wait got only what is free.
    fn gains(
        &self,
        waits: &[Raise],
        spared: &[Lowering],
        offers: &Bookings,
    ) -> BTreeMap<usize, i64> {
        let mut gains = BTreeMap::new();
        let mut add = |index: usize, amps: MilliAmps| {
            if let Some(meter) = self.meter_above(index) {
                *gains.entry(meter).or_default() += i64::from(amps.0) * self.phases_in_use(index);
            }
        };
        let mut offers = offers.clone();
        for Raise {
            index, from, share, ..
        } in waits
        {
            let Some(plan) = self.plan.evses.get(*index) else {
                continue;
            };
            let free = if offers.fits_with(*index, *share) {
                *share
            } else {
                let part = part_of(&offers, *index, *from..*share, plan.step, MilliAmps::ZERO);
                part.unwrap_or(*from)
            };
            offers.set(*index, free);
            add(*index, *share - free);
        }
        for lowering in spared {
            add(lowering.index, lowering.by);
        }
        gains
    }

    /// The phases that carry the current of its car now.
    fn phases_in_use(&self, index: usize) -> i64 {
        let phases = self.evses.get(index).zip(self.plan.evses.get(index));
        phases.map_or(0, |(evse, plan)| i64::from(evse.phases_in_use(plan)))
    }

    /// Some circuit with a meter feeds both.
    fn share_a_meter(&self, evse: usize, other: usize) -> bool {
        let meter = self.meter_above(evse);
        meter.is_some() && meter == self.meter_above(other)
    }

    /// The uppermost circuit with a meter that feeds it.
    fn meter_above(&self, index: usize) -> Option<usize> {
        let path = self.circuits.path(index);
        let metered = |at: &&usize| self.metering.is_above(std::slice::from_ref(*at));
        path.iter().rfind(metered).copied()
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
        let share = amps(target.limit, plan.max);
        let extra = evse.booking.overdraw.extra();
        let waits = evse.short_since.map(|since| self.now.since(since));
        let may = evse.booking.contact.is_online()
            && !is_hindered
            && (evse.first_grant || evse.budget.allows(self.now));
        (may && goal > old).then(|| Raise {
            index,
            from: old + extra,
            to: goal + extra,
            share: share + extra,
            is_small: old >= plan.min && ramp::is_small(goal - old, plan),
            can_wait: is_ramped
                && !evse.first_grant
                && old >= plan.min
                && share - old < FAR
                && waits.unwrap_or_default() < FAIR_AFTER,
        })
    }
}

/// Without those that are too small for others to be lowered. Many small ones are as good as a large one.
fn worth_it(mut raises: Vec<Raise>) -> Vec<Raise> {
    let small = raises.iter().filter(|raise| raise.is_small);
    let sum: MilliAmps = small.map(|raise| raise.to - raise.from).sum();
    if sum < WORTH {
        raises.retain(|raise| !raise.is_small);
    }
    raises
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
            max_current: MilliAmps::from_amps(if name == "main" { 126 } else { 63 }),
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
    fn what_would_flow_is_counted_below_each_meter() {
        let controller = controller(None);
        let raise = |index| Raise {
            index,
            from: MilliAmps(6000),
            to: MilliAmps(10_000),
            share: MilliAmps(14_000),
            is_small: false,
            can_wait: true,
        };
        let lowering = Lowering {
            by: MilliAmps(-5000),
            index: 1,
            to: MilliAmps(10_000),
        };
        let mut offers = Bookings::new(&controller.circuits);
        offers.set(1, MilliAmps(53_000));
        let gains = controller.gains(&[raise(0), raise(2)], &[lowering], &offers);
        let [left, right] = [0, 2].map(|evse| gains[&controller.meter_above(evse).unwrap()]);
        assert_eq!(left, 3 * (14 - 10 - 5) * 1000, "10 A are free");
        assert_eq!(right, 0);
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
