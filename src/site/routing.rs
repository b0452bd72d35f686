//! How messages pass between the machines of a [`Site`].

use tracing::debug;

use crate::central_system;
use crate::charge_point;
use crate::clock::Now;
use crate::evse::{Ask, Call, Limit, Measured, Offer, Reply, Report};
use crate::ids::{DeviceId, EvseName, MeterName, OfferNumber, Seq};
use crate::load::{self, Rotation};
use crate::modbus::meters::{MeterOutput, Sample};
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;

use super::machine::{Machine, Place};
use super::memory;
use super::plan::MeasuredBy;
use super::site::persist;
use super::{Output, Site};

impl Site {
    /// Passes messages until nobody has anything to say.
    pub(super) fn settle(&mut self, now: Now) {
        loop {
            if let Some(machine) = self.dirty.pop_first() {
                match machine {
                    Machine::Station(index) => self.drain_station(now, index),
                    Machine::ChargePoint(index) => self.drain_charge_point(now, index),
                    Machine::Meter(index) => self.drain_meter(now, index),
                    Machine::Gateway(index) => self.drain_gateway(now, index),
                }
            } else if let Some(output) = self.load.poll_output() {
                if self.handing_over.is_none() {
                    self.obey(now, output);
                }
            } else {
                break;
            }
        }
        self.remember_who_obeys();
    }

    /// What an EVSE may still draw is remembered until it is known to obey: a restart meanwhile
    /// must not count on it.
    fn remember_who_obeys(&mut self) {
        let load = &self.load;
        let obeys = |evse: &EvseName, limit: &Limit| match (load.evse(evse), limit) {
            (Some(view), Limit::Current(amps)) => view.booked <= *amps,
            _ => true,
        };
        let obeying = self
            .lowering
            .extract_if(.., |evse, limit| obeys(evse, limit));
        for (evse, limit) in obeying {
            let record = memory::offer(&evse, limit);
            persist(&mut self.written, &mut self.outputs, record);
        }
    }

    fn drain_station(&mut self, now: Now, index: usize) {
        loop {
            let Some(slot) = self.stations.get_mut(index) else {
                return;
            };
            match slot.station.poll_output() {
                None => break,
                Some(central_system::Output::Persist(record)) => {
                    let seq = persist(&mut self.written, &mut self.outputs, record);
                    slot.gate.rest_on(seq);
                }
                Some(central_system::Output::Send { link, text, lowers }) => {
                    if let Some(text) = slot.gate.pass(now.mono, self.committed, lowers, text) {
                        self.outputs.push_back(Output::Send { link, text });
                    }
                }
                Some(central_system::Output::Ping { link }) => {
                    self.outputs.push_back(Output::Ping { link });
                }
                Some(central_system::Output::Close { link, code, reason }) => {
                    self.by_link.remove(&link);
                    self.outputs.push_back(Output::Close { link, code, reason });
                }
                Some(central_system::Output::Report { evse, report }) => {
                    self.load_rests_on = self.load_rests_on.max(slot.gate.rests_on());
                    self.report(now, &evse, &report);
                }
                Some(central_system::Output::Call(call)) => {
                    self.ask_upstream(now, Machine::Station(index), &call);
                }
                Some(central_system::Output::File { entry, with }) => {
                    let seq = self.file(now, entry, with);
                    if let Some(slot) = self.stations.get_mut(index) {
                        slot.gate.rest_on(seq);
                    }
                }
                Some(central_system::Output::Notice(notice)) => {
                    let address = slot.station.id().clone();
                    self.pass_notice(now, &address, &notice);
                }
                Some(central_system::Output::Done { id, outcome }) => {
                    self.order_is_done(now, id, outcome, Seq(0));
                }
                Some(central_system::Output::Lost {
                    transaction,
                    register,
                    ..
                }) => {
                    let address = slot.station.id().clone();
                    self.pass_lost(now, &address, transaction, register);
                }
            }
        }
        self.release_held(now, index);
        if let Some(slot) = self.stations.get(index) {
            let timers = [slot.station.poll_timeout(), slot.gate.poll_timeout()];
            let due = timers.into_iter().flatten().min();
            self.timers.set(Machine::Station(index), due);
        }
    }

    fn release_held(&mut self, now: Now, index: usize) {
        let Some(slot) = self.stations.get_mut(index) else {
            return;
        };
        while let Some(text) = slot.gate.release(now.mono, self.committed) {
            if let Some(link) = slot.station.link() {
                self.outputs.push_back(Output::Send { link, text });
            }
        }
        if slot.gate.poll_timeout().is_some() {
            self.waiting.insert(Machine::Station(index));
        }
    }

    fn drain_charge_point(&mut self, now: Now, index: usize) {
        let mut words = Vec::new();
        loop {
            let committed = self.committed;
            let Some(slot) = self.charge_points.get_mut(index) else {
                return;
            };
            match slot.charge_point.poll_output() {
                None => break,
                Some(charge_point::Output::Persist(record)) => {
                    let seq = persist(&mut self.written, &mut self.outputs, record);
                    slot.clearance.rest_on(now.mono, committed, seq);
                }
                Some(charge_point::Output::Ask(request)) => {
                    let device = DeviceId::ChargePoint(index);
                    self.outputs.push_back(Output::Modbus { device, request });
                }
                Some(charge_point::Output::Report(report)) => {
                    self.load_rests_on = self.load_rests_on.max(slot.clearance.rests_on());
                    let evse = slot.charge_point.plan().evse.clone();
                    self.report(now, &evse, &report);
                }
                Some(charge_point::Output::Call(call)) => {
                    self.ask_upstream(now, Machine::ChargePoint(index), &call);
                }
                Some(
                    word @ (charge_point::Output::Notice(_) | charge_point::Output::Done { .. }),
                ) => words.push(word),
                Some(charge_point::Output::File { entry, with }) => {
                    let seq = self.file(now, entry, with);
                    if let Some(slot) = self.charge_points.get_mut(index) {
                        slot.clearance.rest_on(now.mono, committed, seq);
                    }
                }
            }
        }
        self.pass_words(now, index, words);
        let Some(slot) = self.charge_points.get(index) else {
            return;
        };
        if !slot.clearance.is_given(now.mono, self.committed) {
            self.waiting.insert(Machine::ChargePoint(index));
        }
        let patience = slot.clearance.poll_timeout(now.mono, self.committed);
        let timers = [slot.charge_point.poll_timeout(), patience];
        let due = timers.into_iter().flatten().min();
        self.timers.set(Machine::ChargePoint(index), due);
    }

    /// What a Modbus wallbox says to its backend comes after what it wants kept: an answer rests on
    /// that.
    fn pass_words(&mut self, now: Now, index: usize, words: Vec<charge_point::Output>) {
        let Some(slot) = self.charge_points.get(index) else {
            return;
        };
        let rests_on = slot.clearance.rests_on();
        let evse = slot.charge_point.plan().evse.clone();
        for word in words {
            match word {
                charge_point::Output::Notice(notice) => self.pass_own_notice(now, &evse, &notice),
                charge_point::Output::Done { id, outcome } => {
                    self.order_is_done(now, id, outcome, rests_on);
                }
                _ => {}
            }
        }
    }

    fn drain_meter(&mut self, now: Now, index: usize) {
        loop {
            let Some(slot) = self.meters.get_mut(index) else {
                return;
            };
            match slot.meter.poll_output() {
                None => break,
                Some(MeterOutput::Ask(request)) => {
                    let device = DeviceId::Meter(index);
                    self.outputs.push_back(Output::Modbus { device, request });
                }
                Some(MeterOutput::Sample(sample)) => {
                    let name = self.plan.meters.get(index).map(|plan| plan.name.clone());
                    if let Some(name) = name {
                        self.take_sample(now, &name, &sample);
                    }
                }
            }
        }
        if let Some(slot) = self.meters.get(index) {
            let due = slot.meter.poll_timeout();
            self.timers.set(Machine::Meter(index), due);
        }
    }

    /// A reading may be that of circuits, and of EVSEs.
    fn take_sample(&mut self, now: Now, meter: &MeterName, sample: &Sample) {
        self.load
            .handle_sample(now, meter, sample.current, sample.power);
        let by_it = |by: &MeasuredBy| matches!(by, MeasuredBy::Meter(name) if name == meter);
        let evses = self.plan.measured_by.iter().filter(|(_, by)| by_it(by));
        let evses: Vec<EvseName> = evses.map(|(evse, _)| evse.clone()).collect();
        for evse in evses {
            let rotation = self.plan.load.evses.iter().find(|plan| plan.name == evse);
            let rotation = rotation.map_or(Rotation::L1L2L3, |plan| plan.rotation);
            let measured = Measured {
                current: Some(rotation.to_device(sample.current)),
                power: sample.power,
                energy: sample.import,
            };
            self.measured.insert(evse.clone(), measured);
            let report = Report::Measured(measured);
            self.load.handle_report(now, &evse, &report);
            if let Some(&Place::ChargePoint(index)) = self.by_evse.get(&evse) {
                self.with_charge_point(now, index, |charge_point, context| {
                    charge_point.handle_measured(context, measured);
                });
            }
        }
    }

    fn report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        self.note_hand_over(report);
        self.report_to_gateway(now, evse, report);
        // What an EVSE says of itself is not believed where something else measures it.
        let believed =
            !matches!(report, Report::Measured(_)) || !self.plan.measured_by.contains_key(evse);
        if believed {
            self.load.handle_report(now, evse, report);
        }
    }

    pub(super) fn is_online(&self, evse: &EvseName) -> bool {
        match self.by_evse.get(evse) {
            Some(Place::Connector(index, _)) => {
                let slot = self.stations.get(*index);
                slot.is_some_and(|slot| slot.station.link().is_some())
            }
            Some(Place::ChargePoint(index)) => {
                let slot = self.charge_points.get(*index);
                slot.is_some_and(|slot| slot.charge_point.view().online)
            }
            None => false,
        }
    }

    /// What the local tag list says.
    pub(super) fn judge(&self, now: Now, call: &Call) -> Reply {
        match &call.ask {
            Ask::Authorize { tag, .. } | Ask::Start { tag, .. } | Ask::Stop(tag) => {
                Reply::Verdict(self.tags.judge(now.wall, &call.evses, tag))
            }
            Ask::Relay { .. } => Reply::Refused(CallFailure::new(
                ErrorCode::NotImplemented,
                "nobody here knows this action",
            )),
        }
    }

    fn obey(&mut self, now: Now, output: load::Output) {
        match output {
            load::Output::Offer { evse, offer } => {
                debug!(evse = %evse, offer = offer.number.0, limit = ?offer.limit, reason = %offer.reason, "an EVSE is offered");
                self.deliver(now, &evse, offer);
            }
            load::Output::NotFollowed { evse, offer } => self.not_followed(now, &evse, offer),
        }
    }

    /// An offer is remembered, then told to its device: a raise waits for the disk like any
    /// other send, what lowers does not.
    pub(super) fn deliver(&mut self, now: Now, evse: &EvseName, offer: Offer) {
        let Some(&place) = self.by_evse.get(evse) else {
            return;
        };
        match offer.limit {
            Limit::Current(amps) => self.offered.insert(evse.clone(), amps),
            Limit::Released => self.offered.remove(evse),
        };
        let booked = self.load.evse(evse).map(|view| view.booked);
        let remembered = match (offer.limit, booked) {
            (Limit::Current(amps), Some(booked)) if booked > amps => {
                self.lowering.insert(evse.clone(), offer.limit);
                Limit::Current(booked)
            }
            _ => {
                self.lowering.remove(evse);
                offer.limit
            }
        };
        let record = memory::offer(evse, remembered);
        let seq = persist(&mut self.written, &mut self.outputs, record);
        self.load_rests_on = self.load_rests_on.max(seq);
        match place {
            Place::Connector(index, connector) => {
                if let Some(slot) = self.stations.get_mut(index) {
                    slot.gate.rest_on(self.load_rests_on);
                }
                self.act(now, index, |station, context| {
                    station.handle_offer(context, connector, offer);
                });
            }
            Place::ChargePoint(index) => {
                if let Some(slot) = self.charge_points.get_mut(index) {
                    slot.clearance
                        .rest_on(now.mono, self.committed, self.load_rests_on);
                }
                self.with_charge_point(now, index, |charge_point, context| {
                    charge_point.handle_offer(context, offer);
                });
            }
        }
    }

    fn not_followed(&mut self, now: Now, evse: &EvseName, offer: OfferNumber) {
        match self.by_evse.get(evse) {
            Some(&Place::Connector(index, connector)) => {
                self.act(now, index, |station, context| {
                    station.handle_not_followed(context, connector, offer);
                });
            }
            Some(&Place::ChargePoint(index)) => {
                self.with_charge_point(now, index, |charge_point, context| {
                    charge_point.handle_not_followed(context, offer);
                });
            }
            None => {}
        }
    }
}
