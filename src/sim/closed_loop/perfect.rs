//! A load manager that knows everything at once.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::evse::{Limit, Offer, Reason, Report};
use crate::ids::{EvseName, MeterName, OfferNumber};
use crate::load::{Allocator, Bookings, Circuits, EvsePlan, LoadPlan, Request, Rotation, Wants};
use crate::units::{MilliAmps, PerPhase, Phase};

use super::{Device, Manager, Truth};

/// The best that can be done with devices that are slow: it sees the house, the limits in force
/// and what every car draws and wants without delay or error, and acts on it in the same instant,
/// by the same allocator and the same transition rule, without hold, ramp or rest, and without any
/// thought for the number of writes. The reserve it keeps as the plan says: what is never given out
/// is a matter of the site, and not of what is known.
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
}

impl Perfect {
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
        }
    }

    fn allocate(&mut self, truth: &Truth<'_>) {
        let wants = |device: &Device| device.appetite().unwrap_or(MilliAmps::ZERO);
        let wants: Vec<MilliAmps> = truth.devices.iter().map(wants).collect();
        let seen = Some((truth.house, wants));
        if seen == self.seen {
            return;
        }
        self.seen = seen;
        let Some((house, wants)) = &self.seen else {
            return;
        };
        let cars = self.plan.evses.iter().zip(wants).zip(&self.targets);
        let cars = cars.map(|((plan, want), target)| {
            Request::Wants(Wants {
                min: plan.min,
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
        let shares = self.allocator.allocate(&requests);
        for (target, share) in self.targets.iter_mut().zip(shares) {
            *target = share.offer;
        }
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
        self.allocate(truth);
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
            if let Some((_, target)) = raise.filter(|(_, new)| bookings.fits_with(index, *new)) {
                self.tell(index, target);
                bookings.set(index, target);
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
