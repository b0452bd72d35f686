//! A load manager that knows everything at once.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::evse::{Limit, Offer, Reason, Report};
use crate::ids::{EvseName, MeterName, OfferNumber};
use crate::load::{Allocator, Bookings, Circuits, EvsePlan, LoadPlan, Request, Rotation, Wants};
use crate::units::{MilliAmps, PerPhase, Phase};

use super::rules::{ROOM, Rules};
use super::{Device, Manager, Truth};

/// The best that can be done with devices that are slow: it sees the house, the limits in force
/// and what every car draws and wants without delay or error, and acts on it in the same instant,
/// by the same allocator and the same transition rule, without hold, ramp and rest unless it is made
/// [by the rules](Perfect::by_the_rules), and without any thought for the number of writes. The
/// reserve it keeps as the plan says: what is never given out is a matter of the site, and not of what
/// is known.
#[derive(Debug)]
pub struct Perfect {
    plan: LoadPlan,
    allocator: Allocator,
    circuits: Circuits,
    targets: Vec<MilliAmps>,
    told: Vec<MilliAmps>,
    online: Vec<bool>,
    /// What the targets were made from.
    seen: Option<(PerPhase<MilliAmps>, Vec<MilliAmps>)>,
    outputs: VecDeque<(EvseName, Offer)>,
    last_number: u64,
    rules: Option<Rules>,
}

impl Perfect {
    /// For the house and the EVSEs of a plan, but it holds, ramps and rests as everybody must.
    pub fn by_the_rules(plan: LoadPlan) -> Self {
        let rules = Some(Rules::new(&plan));
        let free = Self::new(plan);
        Self { rules, ..free }
    }

    /// For the house and the EVSEs of a plan.
    pub fn new(mut plan: LoadPlan) -> Self {
        let evses = plan.evses.len();
        for circuit in &mut plan.circuits {
            circuit.meter = None;
        }
        // To the allocator the house is three more EVSEs that nobody can move.
        let phases = [
            [Phase::L1, Phase::L2, Phase::L3],
            [Phase::L2, Phase::L3, Phase::L1],
            [Phase::L3, Phase::L1, Phase::L2],
        ];
        let Some(main) = plan.circuits.first().map(|main| main.name.clone()) else {
            plan.evses.clear();
            return Self::on(plan, 0);
        };
        let pattern = plan.evses.first().cloned();
        for order in phases {
            plan.evses.extend(pattern.clone().map(|evse| EvsePlan {
                circuit: main.clone(),
                phases: 1,
                rotation: Rotation::Known(order),
                ..evse
            }));
        }
        Self::on(plan, evses)
    }

    fn on(plan: LoadPlan, evses: usize) -> Self {
        let circuits = Circuits::new(&plan);
        Self {
            allocator: Allocator::on(&circuits, &plan),
            circuits,
            plan,
            targets: vec![MilliAmps::ZERO; evses],
            told: vec![MilliAmps::ZERO; evses],
            online: vec![false; evses],
            seen: None,
            outputs: VecDeque::new(),
            last_number: 0,
            rules: None,
        }
    }

    fn allocate(&mut self, now: Mono, truth: &Truth<'_>) {
        let wants = |device: &Device| device.appetite().unwrap_or(MilliAmps::ZERO);
        let mut wants: Vec<MilliAmps> = truth.devices.iter().map(wants).collect();
        let hungry: Vec<bool> = wants.iter().map(|want| *want > MilliAmps::ZERO).collect();
        let mut house = truth.house;
        if let Some(rules) = &mut self.rules {
            house = rules.peak(now, house);
            self.rest(now, house, &mut wants);
        }
        if self.seen.as_ref() == Some(&(house, wants.clone())) {
            return;
        }
        let targets = self.shares(house, &wants, |_| MilliAmps::ZERO);
        self.seen = Some((house, wants));
        let before = std::mem::replace(&mut self.targets, targets);
        let changes = before.iter().zip(&self.targets).zip(hungry).enumerate();
        for (index, ((before, target), is_hungry)) in changes {
            let pauses = is_hungry && *before > MilliAmps::ZERO && *target == MilliAmps::ZERO;
            if let Some(rules) = self.rules.as_mut().filter(|_| pauses) {
                rules.pause(now, index);
            }
        }
    }

    /// Who must not start yet wants nothing.
    fn rest(&mut self, now: Mono, house: PerPhase<MilliAmps>, wants: &mut [MilliAmps]) {
        let paused = |rules: &Rules| -> Vec<bool> {
            (0..wants.len()).map(|evse| rules.is_paused(evse)).collect()
        };
        let paused = self.rules.as_ref().map(paused).unwrap_or_default();
        if !paused.contains(&true) {
            return;
        }
        let room = |evse: usize| match paused.get(evse) {
            Some(true) => ROOM,
            _ => MilliAmps::ZERO,
        };
        let shares = self.shares(house, wants, room);
        let Some(rules) = &mut self.rules else { return };
        for (index, (want, share)) in wants.iter_mut().zip(shares).enumerate() {
            if rules.rests(now, index, share > MilliAmps::ZERO) {
                *want = MilliAmps::ZERO;
            }
        }
    }

    /// What each car gets if it needs so much more than its minimum to begin.
    fn shares(
        &mut self,
        house: PerPhase<MilliAmps>,
        wants: &[MilliAmps],
        more: impl Fn(usize) -> MilliAmps,
    ) -> Vec<MilliAmps> {
        let cars = self.plan.evses.iter().zip(wants).zip(&self.targets);
        let cars = cars.enumerate().map(|(index, ((plan, want), target))| {
            Request::Wants(Wants {
                min: plan.min + more(index),
                max: *want,
                at_max: Reason::OwnMaximum,
                extra: MilliAmps::ZERO,
                in_slot: *target > MilliAmps::ZERO,
                attained: 0,
                plugged_at: Mono::START,
                waited: Duration::ZERO,
            })
        });
        let house = house.iter().map(|(phase, current)| {
            let mut grid = PerPhase::all(MilliAmps::ZERO);
            grid[phase] = current;
            Request::Fixed(grid)
        });
        let requests: Vec<Request> = cars.chain(house).collect();
        let shares = self.allocator.allocate(&requests).iter();
        shares.take(wants.len()).map(|share| share.offer).collect()
    }

    /// What may flow now: what is in force, what was told and what is still drawn.
    fn bookings(&self, now: Mono, truth: &Truth<'_>) -> Bookings {
        let mut bookings = Bookings::new(&self.circuits);
        for (index, (device, told)) in truth.devices.iter().zip(&self.told).enumerate() {
            bookings.set(index, device.allowed(now).max(*told));
        }
        for ((_, current), index) in truth.house.iter().zip(self.told.len()..) {
            bookings.set(index, current);
        }
        bookings
    }

    /// The next step of a raise that may be made now.
    fn step(
        &self,
        now: Mono,
        index: usize,
        way: (MilliAmps, MilliAmps),
        truth: &Truth<'_>,
    ) -> Option<MilliAmps> {
        let Some(rules) = &self.rules else {
            return Some(way.1);
        };
        let drawn = truth.devices.get(index)?.drawn(now);
        rules.step(now, index, self.plan.evses.get(index)?, way, drawn)
    }

    fn tell(&mut self, index: usize, amps: MilliAmps) {
        let (Some(plan), Some(told)) = (self.plan.evses.get(index), self.told.get_mut(index))
        else {
            return;
        };
        *told = amps;
        self.last_number += 1;
        let offer = Offer {
            number: OfferNumber(self.last_number),
            limit: Limit::Current(amps),
            single_phase: false,
            reason: Reason::OwnMaximum,
        };
        self.outputs.push_back((plan.name.clone(), offer));
    }
}

impl Manager for Perfect {
    fn handle_report(&mut self, _now: Now, evse: &EvseName, report: &Report) {
        let index = self.plan.evses.iter().position(|plan| plan.name == *evse);
        let online = index.and_then(|index| self.online.get_mut(index));
        if let (Some(online), Report::Online(is_online)) = (online, report) {
            *online = *is_online;
        }
    }

    fn handle_sample(&mut self, _now: Now, _meter: &MeterName, _current: PerPhase<MilliAmps>) {}

    fn see(&mut self, now: Now, truth: &Truth<'_>) {
        self.allocate(now.mono, truth);
        let changes = |index: usize, at: &Self| {
            let pair = at.told.get(index).zip(at.targets.get(index));
            pair.filter(|(told, target)| told != target && at.online.get(index) == Some(&true))
                .map(|(told, target)| (*told, *target))
        };
        for index in 0..self.told.len() {
            if let Some((_, target)) = changes(index, self).filter(|(told, new)| new < told) {
                self.tell(index, target);
            }
        }
        if (0..self.told.len()).all(|index| changes(index, self).is_none()) {
            return;
        }
        let mut bookings = self.bookings(now.mono, truth);
        for index in 0..self.told.len() {
            let raise = changes(index, self).filter(|(told, new)| new > told);
            let Some((told, target)) = raise else {
                continue;
            };
            let Some(next) = self.step(now.mono, index, (told, target), truth) else {
                continue;
            };
            if bookings.fits_with(index, next) {
                if let (Some(rules), Some(plan)) = (&mut self.rules, self.plan.evses.get(index)) {
                    rules.raise(now.mono, index, plan, told);
                }
                self.tell(index, next);
                bookings.set(index, next);
            }
        }
    }

    fn handle_timeout(&mut self, _now: Now) {}

    fn poll_output(&mut self) -> Option<(EvseName, Offer)> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        None
    }
}
