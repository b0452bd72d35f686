//! How the gateways of a [`Site`] are driven, and what passes between them and the devices.
//!
//! Devices and gateways number their questions themselves; a ticket of ours stands for each
//! question on its way, so that an answer finds whoever asked.

use std::collections::BTreeSet;

use tracing::error;

use crate::charge_point::ChargePoint;
use crate::clock::Now;
use crate::evse::{Call, Notice, Order, Outcome, Reply, Report};
use crate::gateway::security::{Presented, Requested, UploadOutcome};
use crate::gateway::{self, DialFailure, Gateway, GatewayPlan};
use crate::ids::{
    ChargeBoxId, ConnectorId, EntryId, EvseName, GatewayId, Identity, LinkId, Seq,
    TransactionNumber,
};
use crate::journal::{Entry, EntryState, Filed, Record, Recovered};
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;
use crate::units::WattHours;

use super::gate::Gate;
use super::machine::{GatewaySlot, Machine, Place};
use super::site::persist;
use super::{Output, Site};

impl Site {
    pub(super) fn add_gateway(&mut self, now: Now, plan: GatewayPlan, recovered: &Recovered) {
        let index = self.gateways.len();
        for member in &plan.members {
            let place = (member.address.clone(), member.connector);
            self.by_member.insert(place, index);
            self.backends.insert(member.evse.clone(), index);
        }
        self.gateways.push(GatewaySlot {
            gateway: Gateway::new(now, plan, recovered),
            gate: Gate::default(),
        });
        self.dirty.insert(Machine::Gateway(index));
    }

    /// Messages for a backend that the configuration does not name any more are kept, and said.
    pub(super) fn note_orphans(&mut self, recovered: &Recovered) {
        let known: BTreeSet<Identity> = self
            .plan
            .gateways
            .iter()
            .map(GatewayPlan::identity)
            .collect();
        let waiting = recovered.entries.values();
        let waiting = waiting.filter(|it| it.progress.state == EntryState::Queued);
        for outline in waiting.filter(|it| !known.contains(&it.identity)) {
            *self.orphans.entry(outline.identity.clone()).or_default() += 1;
        }
        for (identity, messages) in &self.orphans {
            error!(%identity, messages, "messages wait for a backend that is in no [evse.gateway] any more: they are kept, and sent when its url and client-id are back");
        }
    }

    /// Lets a gateway act.
    pub(super) fn with_gateway(
        &mut self,
        now: Now,
        index: usize,
        act: impl FnOnce(&mut Gateway, &mut gateway::Context<'_>),
    ) {
        let Some(slot) = self.gateways.get_mut(index) else {
            return;
        };
        let mut context = gateway::Context {
            now,
            random: &mut self.random,
            offered: &self.offered,
        };
        act(&mut slot.gateway, &mut context);
        self.dirty.insert(Machine::Gateway(index));
    }

    /// The configuration shows this certificate (a fingerprint) to a backend, or none. It is said
    /// whenever the files were read.
    pub fn set_certificate(&mut self, now: Now, gateway: GatewayId, fingerprint: Option<&str>) {
        self.with_gateway(now, gateway.0, |gateway, _| {
            gateway.handle_configured(fingerprint);
        });
        self.settle(now);
    }

    pub(super) fn handle_dialled(
        &mut self,
        now: Now,
        gateway: GatewayId,
        link: LinkId,
        presented: &[Presented],
        asked: bool,
    ) {
        self.backend_links.insert(link, gateway.0);
        if let Some(slot) = self.gateways.get_mut(gateway.0) {
            slot.gate.forget();
        }
        self.with_gateway(now, gateway.0, |gateway, context| {
            gateway.handle_up(context, link, presented, asked);
        });
    }

    pub(super) fn handle_dial_failed(
        &mut self,
        now: Now,
        gateway: GatewayId,
        why: &DialFailure,
        presented: &[Presented],
        asked: bool,
    ) {
        self.with_gateway(now, gateway.0, |gateway, context| {
            gateway.handle_failure(context, why, presented, asked);
        });
    }

    pub(super) fn handle_requested(
        &mut self,
        now: Now,
        gateway: GatewayId,
        requested: Option<Requested>,
    ) {
        self.with_gateway(now, gateway.0, |gateway, context| {
            gateway.handle_requested(context, requested);
        });
    }

    pub(super) fn handle_uploaded(
        &mut self,
        now: Now,
        gateway: GatewayId,
        attempt: u64,
        outcome: UploadOutcome,
    ) {
        self.with_gateway(now, gateway.0, |gateway, context| {
            gateway.handle_uploaded(context, attempt, outcome);
        });
    }

    pub(super) fn handle_fetched(
        &mut self,
        now: Now,
        gateway: GatewayId,
        entries: Vec<(EntryId, String)>,
    ) {
        self.with_gateway(now, gateway.0, |gateway, context| {
            gateway.handle_fetched(context, entries);
        });
    }

    /// The gateway whose current link this is.
    pub(super) fn gateway_of(&self, link: LinkId) -> Option<usize> {
        let index = *self.backend_links.get(&link)?;
        let slot = self.gateways.get(index)?;
        (slot.gateway.link() == Some(link)).then_some(index)
    }

    pub(super) fn drain_gateway(&mut self, now: Now, index: usize) {
        while let Some(slot) = self.gateways.get_mut(index)
            && let Some(output) = slot.gateway.poll_output()
        {
            self.carry_from_gateway(now, index, output);
        }
        let Some(slot) = self.gateways.get_mut(index) else {
            return;
        };
        while let Some(text) = slot.gate.release(now.mono, self.committed) {
            if let Some(link) = slot.gateway.link() {
                self.outputs.push_back(Output::Send { link, text });
            }
        }
        if slot.gate.poll_timeout().is_some() {
            self.waiting.insert(Machine::Gateway(index));
        }
        let timers = [slot.gateway.poll_timeout(), slot.gate.poll_timeout()];
        let due = timers.into_iter().flatten().min();
        self.timers.set(Machine::Gateway(index), due);
    }

    fn carry_from_gateway(&mut self, now: Now, index: usize, output: gateway::Output) {
        let Some(slot) = self.gateways.get_mut(index) else {
            return;
        };
        match output {
            gateway::Output::Persist(record) => {
                let seq = persist(&mut self.written, &mut self.outputs, record);
                slot.gate.rest_on(seq);
            }
            gateway::Output::File(entry) => {
                let seq = self.file(now, entry, Vec::new());
                if let Some(slot) = self.gateways.get_mut(index) {
                    slot.gate.rest_on(seq);
                }
            }
            gateway::Output::Fetch(entries) => {
                let gateway = GatewayId(index);
                self.outputs.push_back(Output::Fetch { gateway, entries });
            }
            gateway::Output::Dial { login } => {
                let gateway = GatewayId(index);
                self.outputs.push_back(Output::Dial { gateway, login });
            }
            gateway::Output::Request(subject) => {
                let gateway = GatewayId(index);
                self.outputs.push_back(Output::Request { gateway, subject });
            }
            gateway::Output::Upload(order) => {
                let gateway = GatewayId(index);
                self.outputs.push_back(Output::Upload { gateway, order });
            }
            gateway::Output::Send { link, text } => {
                if let Some(text) = slot.gate.pass(now.mono, self.committed, false, text) {
                    self.outputs.push_back(Output::Send { link, text });
                }
            }
            gateway::Output::Ping { link } => self.outputs.push_back(Output::Ping { link }),
            gateway::Output::Close { link, code, reason } => {
                self.backend_links.remove(&link);
                self.outputs.push_back(Output::Close { link, code, reason });
            }
            gateway::Output::Reply { ticket, reply } => {
                self.deliver_reply(now, index, ticket, &reply);
            }
            gateway::Output::Order { evse, order } => self.deliver_order(now, index, &evse, order),
            gateway::Output::Ceiling { evse, limit } => {
                self.load_rests_on = self.load_rests_on.max(slot.gate.rests_on());
                self.load.handle_ceiling(now, &evse, limit);
                if let Some(&Place::ChargePoint(place)) = self.by_evse.get(&evse) {
                    self.with_charge_point(now, place, |charge_point, context| {
                        charge_point.handle_ceiling(context, limit);
                    });
                }
            }
            gateway::Output::Conduct { evse, conduct } => {
                if let Some(&Place::ChargePoint(place)) = self.by_evse.get(&evse) {
                    self.with_charge_point(now, place, |charge_point, context| {
                        charge_point.handle_conduct(context, conduct);
                    });
                }
            }
            gateway::Output::Reachable { evse } => {
                if let Some(&Place::ChargePoint(place)) = self.by_evse.get(&evse) {
                    self.with_charge_point(now, place, ChargePoint::handle_reachable);
                }
            }
            gateway::Output::Metering { evse, metering } => {
                if let Some(&Place::Connector(station, connector)) = self.by_evse.get(&evse) {
                    self.act(now, station, |station, context| {
                        station.handle_metering(context, connector, metering);
                    });
                }
            }
            gateway::Output::Deauthorize { evse, what } => {
                let rests_on = slot.gate.rests_on();
                match self.by_evse.get(&evse) {
                    Some(&Place::Connector(station, connector)) => {
                        self.rest_station(station, rests_on);
                        self.act(now, station, |station, context| {
                            station.handle_deauthorize(context, connector, &what);
                        });
                    }
                    Some(&Place::ChargePoint(place)) => {
                        self.with_charge_point(now, place, |charge_point, context| {
                            charge_point.handle_deauthorize(context, &what);
                        });
                    }
                    None => {}
                }
            }
        }
    }

    fn rest_station(&mut self, index: usize, seq: Seq) {
        if let Some(slot) = self.stations.get_mut(index) {
            slot.gate.rest_on(seq);
        }
    }

    /// A device asks: its backend if it has one, else the local tag list, which answers at once.
    pub(super) fn ask_upstream(&mut self, now: Now, device: Machine, call: &Call) {
        let gateway = call
            .evses
            .iter()
            .find_map(|it| self.backends.get(it))
            .copied();
        let Some(index) = gateway else {
            let reply = self.judge(now, call);
            self.reply(now, device, call.id, &reply, Seq(0));
            return;
        };
        let rests_on = self.rests_on(device);
        if let Some(slot) = self.gateways.get_mut(index) {
            slot.gate.rest_on(rests_on);
        }
        self.tickets += 1;
        let ticket = self.tickets;
        self.asking.insert(ticket, (device, call.id));
        self.with_gateway(now, index, |gateway, context| {
            gateway.handle_call(context, ticket, call);
        });
    }

    fn deliver_reply(&mut self, now: Now, gateway: usize, ticket: u64, reply: &Reply) {
        let Some((device, call)) = self.asking.remove(&ticket) else {
            return;
        };
        let slot = self.gateways.get(gateway);
        let rests_on = slot.map_or(Seq(0), |slot| slot.gate.rests_on());
        self.reply(now, device, call, reply, rests_on);
    }

    fn reply(&mut self, now: Now, device: Machine, call: u64, reply: &Reply, rests_on: Seq) {
        match device {
            Machine::Station(index) => {
                self.rest_station(index, rests_on);
                self.act(now, index, |station, context| {
                    station.handle_reply(context, call, reply);
                });
            }
            Machine::ChargePoint(index) => {
                let committed = self.committed;
                if let Some(slot) = self.charge_points.get_mut(index) {
                    slot.clearance.rest_on(now.mono, committed, rests_on);
                }
                self.with_charge_point(now, index, |charge_point, context| {
                    charge_point.handle_reply(context, call, reply);
                });
            }
            Machine::Meter(_) | Machine::Gateway(_) => {}
        }
    }

    /// What a device, or a sender it listened to, wrote last.
    fn rests_on(&self, device: Machine) -> Seq {
        match device {
            Machine::Station(index) => self.stations.get(index).map(|slot| slot.gate.rests_on()),
            Machine::ChargePoint(index) => self
                .charge_points
                .get(index)
                .map(|slot| slot.clearance.rests_on()),
            Machine::Meter(_) | Machine::Gateway(_) => None,
        }
        .unwrap_or_default()
    }

    fn deliver_order(&mut self, now: Now, gateway: usize, evse: &EvseName, mut order: Order) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.ordered.insert(ticket, (gateway, order.id));
        order.id = ticket;
        let rests_on = self.gateways.get(gateway).map(|slot| slot.gate.rests_on());
        match self.by_evse.get(evse) {
            Some(&Place::Connector(index, connector)) => {
                let whole = order.evse.is_none();
                let connector = if whole { ConnectorId(0) } else { connector };
                self.rest_station(index, rests_on.unwrap_or_default());
                self.act(now, index, |station, context| {
                    station.handle_order(context, connector, order);
                });
            }
            Some(&Place::ChargePoint(index)) => {
                self.with_charge_point(now, index, |charge_point, context| {
                    charge_point.handle_order(context, &order);
                });
            }
            None => {
                let why = CallFailure::new(ErrorCode::InternalError, "no such EVSE");
                self.order_is_done(now, ticket, Err(why), Seq(0));
            }
        }
    }

    /// A device has carried out an order, or not. The answer leaves when the records that it rests
    /// on are on disk.
    pub(super) fn order_is_done(&mut self, now: Now, ticket: u64, outcome: Outcome, rests_on: Seq) {
        if let Some((gateway, order)) = self.ordered.remove(&ticket) {
            if let Some(slot) = self.gateways.get_mut(gateway) {
                slot.gate.rest_on(rests_on);
            }
            self.with_gateway(now, gateway, |gateway, context| {
                gateway.handle_outcome(context, order, outcome);
            });
        }
    }

    /// A wallbox said something that its backends should hear.
    pub(super) fn pass_notice(&mut self, now: Now, address: &ChargeBoxId, notice: &Notice) {
        let gateways = match &notice.evse {
            Some(evse) => self.backends.get(evse).copied().into_iter().collect(),
            None => self.gateways_of(address),
        };
        for index in gateways {
            self.with_gateway(now, index, |gateway, context| {
                gateway.handle_notice(context, address, notice);
            });
        }
    }

    /// A Modbus wallbox says something as an OCPP wallbox would. What concerns the charge point as
    /// a whole is said by the first of those that are one charge point; of its status each says
    /// what it knows.
    pub(super) fn pass_own_notice(&mut self, now: Now, evse: &EvseName, notice: &Notice) {
        let Some(&index) = self.backends.get(evse) else {
            return;
        };
        let slot = self.gateways.get(index);
        let primary = slot.and_then(|slot| slot.gateway.plan().primary());
        let speaks = primary.is_some_and(|primary| primary.evse == *evse);
        if let Some(address) = primary.map(|primary| primary.address.clone())
            && (speaks || notice.evse.is_some() || notice.action == "StatusNotification")
        {
            self.with_gateway(now, index, |gateway, context| {
                gateway.handle_notice(context, &address, notice);
            });
        }
    }

    /// Every gateway that one of its connectors has.
    fn gateways_of(&self, address: &ChargeBoxId) -> BTreeSet<usize> {
        let members = self.by_member.iter().filter(|((it, _), _)| it == address);
        members.map(|(_, index)| *index).collect()
    }

    /// A transaction ended without a stop of its wallbox.
    pub(super) fn pass_lost(
        &mut self,
        now: Now,
        address: &ChargeBoxId,
        transaction: TransactionNumber,
        register: Option<WattHours>,
    ) {
        for index in self.gateways_of(address) {
            self.with_gateway(now, index, |gateway, context| {
                gateway.handle_lost(context, transaction, register.map(|register| register.0));
            });
            // A stop that is made up comes before whatever follows.
            self.drain_gateway(now, index);
        }
    }

    /// An EVSE reports; its gateway listens, too.
    pub(super) fn report_to_gateway(&mut self, now: Now, evse: &EvseName, report: &Report) {
        if let (Report::Online(_), Some(&index)) = (report, self.backends.get(evse)) {
            self.with_gateway(now, index, |gateway, context| {
                gateway.handle_report(context, evse, report);
            });
        }
    }

    /// Keeps a message of a wallbox, in the queue of its backend if it has one, together with
    /// what the wallbox's machine knows by it.
    pub(super) fn file(&mut self, now: Now, entry: Entry, with: Vec<Record>) -> Seq {
        let place = (entry.address.clone(), entry.connector);
        let index = self.by_member.get(&place).copied().or_else(|| {
            let mut members = self.by_member.iter();
            let of_box = members.find(|((address, _), _)| *address == entry.address);
            of_box
                .map(|(_, index)| *index)
                .filter(|_| entry.connector == ConnectorId(0))
        });
        let slot = index.and_then(|index| self.gateways.get(index));
        let identity = slot.map(|slot| slot.gateway.identity().clone());
        self.file_for(now, index, identity, entry, with)
    }

    /// The same for a given backend, which need not be that of the wallbox.
    pub(super) fn file_for(
        &mut self,
        now: Now,
        gateway: Option<usize>,
        identity: Option<Identity>,
        entry: Entry,
        mut with: Vec<Record>,
    ) -> Seq {
        self.last_entry.0 += 1;
        let filed = Filed {
            id: self.last_entry,
            identity,
            entry,
        };
        with.push(Record::Entry(filed.clone()));
        let record = Record::Together(with);
        let seq = persist(&mut self.written, &mut self.outputs, record);
        if let Some(slot) = gateway.and_then(|index| self.gateways.get_mut(index)) {
            slot.gate.rest_on(seq);
        }
        if let Some(index) = gateway {
            self.with_gateway(now, index, |gateway, context| {
                gateway.handle_entry(context, &filed);
            });
        }
        seq
    }
}
