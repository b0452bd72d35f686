//! A controller on a table: devices that take at once what they are told, and a meter that is read by
//! hand.

use std::collections::BTreeMap;

use super::world::seconds;
use crate::clock::{Mono, Now, Timestamp};
use crate::evse::{Demand, Limit, Measured, Offer, Reason, Report};
use crate::ids::{EvseName, MeterName};
use crate::load::{CircuitView, Controller, LoadPlan, Output};
use crate::units::{MilliAmps, PerPhase};

/// A controller whose devices take what they are told at once and say what they draw.
pub(super) struct Site {
    pub(super) controller: Controller,
    pub(super) names: Vec<EvseName>,
    pub(super) now: Mono,
    /// On so many phases all cars draw.
    pub(super) drawn_on: usize,
    pub(super) offers: BTreeMap<EvseName, Offer>,
}

impl Site {
    pub(super) fn new(plan: LoadPlan) -> Self {
        Self::remembering(plan, &BTreeMap::new())
    }

    pub(super) fn remembering(plan: LoadPlan, remembered: &BTreeMap<EvseName, Limit>) -> Self {
        let mut site = Self::unseen(plan, remembered);
        for evse in 0..site.names.len() {
            site.report(evse, &Report::Online(true));
        }
        site
    }

    /// The same before anybody is connected.
    pub(super) fn unseen(plan: LoadPlan, remembered: &BTreeMap<EvseName, Limit>) -> Self {
        let names: Vec<EvseName> = plan.evses.iter().map(|evse| evse.name.clone()).collect();
        let controller = Controller::new(at(Mono::START), plan, remembered);
        Self {
            controller,
            names,
            now: Mono::START,
            drawn_on: 3,
            offers: BTreeMap::new(),
        }
    }

    /// A site where the house takes so much and every EVSE begins to charge, after a minute.
    pub(super) fn charging(plan: LoadPlan, house: i32) -> Self {
        let mut site = Self::new(plan);
        site.sample([house; 3]);
        for evse in 0..site.names.len() {
            site.report(evse, &Report::Demand(Demand::Charging));
        }
        site.live(60, house);
        site
    }

    pub(super) fn drain(&mut self) -> Vec<(usize, i32)> {
        let mut offers = Vec::new();
        while let Some(output) = self.controller.poll_output() {
            let Output::Offer { evse, offer } = output else {
                continue;
            };
            let index = self.names.iter().position(|name| *name == evse).unwrap();
            offers.push((index, milliamps(offer.limit)));
            self.offers.insert(evse, offer);
        }
        offers
    }

    pub(super) fn report(&mut self, evse: usize, report: &Report) {
        let name = self.names[evse].clone();
        self.controller.handle_report(at(self.now), &name, report);
        self.drain();
    }

    /// A reading of the first circuit's meter; what is offered at once.
    pub(super) fn sample(&mut self, amps: [i32; 3]) -> Vec<(usize, i32)> {
        let current = PerPhase(amps.map(MilliAmps));
        let grid = MeterName::from("grid");
        self.controller
            .handle_sample(at(self.now), &grid, current, None);
        self.drain()
    }

    pub(super) fn offered(&self, evse: usize) -> i32 {
        self.offers
            .get(&self.names[evse])
            .map_or(0, |offer| milliamps(offer.limit))
    }

    pub(super) fn all(&self) -> Vec<i32> {
        (0..self.names.len())
            .map(|evse| self.offered(evse))
            .collect()
    }

    /// All devices obey and say so.
    pub(super) fn obey(&mut self) {
        for evse in 0..self.names.len() {
            let Some(offer) = self.offers.get(&self.names[evse]) else {
                continue;
            };
            let (number, amps) = (offer.number, milliamps(offer.limit));
            self.report(evse, &Report::Took(number));
            self.draws(evse, amps);
        }
    }

    pub(super) fn draws(&mut self, evse: usize, amps: i32) {
        let mut current = PerPhase::all(MilliAmps::ZERO);
        current.0[..self.drawn_on].fill(MilliAmps(amps));
        let measured = Measured {
            current: Some(current),
            ..Measured::default()
        };
        self.report(evse, &Report::Measured(measured));
    }

    pub(super) fn now(&self) -> Now {
        at(self.now)
    }

    pub(super) fn tick(&mut self) {
        self.now = self.now + seconds(1);
        self.controller.handle_timeout(at(self.now));
        self.drain();
    }

    /// Seconds in which a house takes so much of each phase beside what is offered.
    pub(super) fn live(&mut self, seconds: u64, house: i32) {
        for _ in 0..seconds {
            self.tick();
            self.obey();
            let cars: i32 = self.all().iter().sum();
            self.sample([house + cars; 3]);
            self.obey();
        }
    }

    pub(super) fn silence(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.tick();
            self.obey();
        }
    }

    pub(super) fn reason(&self, evse: usize) -> Reason {
        self.controller.evse(&self.names[evse]).unwrap().reason
    }

    pub(super) fn circuit(&self, index: usize) -> CircuitView {
        self.controller.circuits().nth(index).unwrap()
    }
}

pub(super) fn milliamps(limit: Limit) -> i32 {
    match limit {
        Limit::Current(amps) => amps.0,
        Limit::Released => 32_000,
    }
}

pub(super) fn at(mono: Mono) -> Now {
    Now {
        mono,
        wall: Timestamp::UNIX_EPOCH,
    }
}
