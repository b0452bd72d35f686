//! [`Site`]: takes what happens and lets the machines inside it act.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tracing::{error, info};

use crate::central_system::{Context, Station, StationPlan};
use crate::charge_point::{self, ChargePoint, ChargePointPlan};
use crate::clock::{Mono, Now, Random, Timestamp};
use crate::evse::{Limit, Measured};
use crate::gateway::Gateway;
use crate::ids::{
    ChargeBoxId, ConnectorId, DeviceId, EntryId, EvseName, Identity, LinkId, OfferNumber, Seq,
};
use crate::journal::{Record, Recovered, TransactionNumbers};
use crate::load::Controller;
use crate::modbus::meters::{Meter, MeterPlan};
use crate::units::MilliAmps;

use super::gate::{Clearance, Gate};
use super::machine::{
    ChargePointSlot, GatewaySlot, Machine, MeterSlot, Place, StationSlot, Timers,
};
use super::memory;
use super::plan::Plan;
use super::tag_list::TagList;
use super::{Input, Output};

/// The whole production logic of one building, without a clock, a socket or a disk.
///
/// Call one `handle*`, drain [`Site::poll_output`], sleep until [`Site::poll_timeout`].
#[derive(Debug)]
pub struct Site {
    pub(super) started: Mono,
    pub(super) plan: Plan,
    pub(super) stations: Vec<StationSlot>,
    /// Slots of forgotten strangers.
    pub(super) vacant: Vec<usize>,
    pub(super) charge_points: Vec<ChargePointSlot>,
    pub(super) meters: Vec<MeterSlot>,
    pub(super) by_address: BTreeMap<ChargeBoxId, usize>,
    pub(super) by_link: HashMap<LinkId, usize>,
    pub(super) by_evse: BTreeMap<EvseName, Place>,
    /// What the meters of EVSEs say that have one of their own in the configuration.
    pub(super) measured: BTreeMap<EvseName, Measured>,
    pub(super) load: Controller,
    /// The last record that the load manager, or a sender it listened to, wrote.
    pub(super) load_rests_on: Seq,
    pub(super) tags: TagList,
    pub(super) numbers: TransactionNumbers,
    pub(super) last_entry: EntryId,
    pub(super) gateways: Vec<GatewaySlot>,
    /// The gateway of each connector that has one.
    pub(super) by_member: BTreeMap<(ChargeBoxId, ConnectorId), usize>,
    /// The gateway of each EVSE that has one.
    pub(super) backends: BTreeMap<EvseName, usize>,
    /// What waits for backends that are in the configuration no more, and how much of it.
    pub(super) orphans: BTreeMap<Identity, usize>,
    pub(super) backend_links: HashMap<LinkId, usize>,
    /// Numbers the questions between devices and gateways.
    pub(super) tickets: u64,
    /// Calls on their way: which device asked, and how it calls that.
    pub(super) asking: BTreeMap<u64, (Machine, u64)>,
    /// Orders on their way: which gateway gave them, and how it calls them.
    pub(super) ordered: BTreeMap<u64, (usize, u64)>,
    /// The last offer of each EVSE that is limited.
    pub(super) offered: BTreeMap<EvseName, MilliAmps>,
    pub(super) random: Random,
    pub(super) written: Seq,
    pub(super) committed: Seq,
    pub(super) disk_failing: bool,
    pub(super) unknown: BTreeMap<String, (String, Timestamp)>,
    /// Machines that may have something to say.
    pub(super) dirty: BTreeSet<Machine>,
    /// Machines that wait for the disk.
    pub(super) waiting: BTreeSet<Machine>,
    /// EVSEs that were told less and are not known to obey.
    pub(super) lowering: BTreeMap<EvseName, Limit>,
    /// The last offers before a shutdown that are not answered yet.
    pub(super) handing_over: Option<BTreeSet<OfferNumber>>,
    pub(super) timers: Timers,
    pub(super) outputs: VecDeque<Output>,
}

impl Site {
    /// Begins with what the journal brought back.
    pub fn new(now: Now, plan: Plan, recovered: &Recovered, mut random: Random) -> Self {
        let remembered = memory::offers(recovered);
        let numbers = TransactionNumbers::after(recovered.last_transaction, &mut random);
        let mut load = Controller::new(now, plan.load.clone(), &remembered);
        for (circuit, watts) in memory::signals(recovered) {
            load.set_signal(now, &circuit, Some(watts));
        }
        let mut site = Self {
            started: now.mono,
            stations: Vec::new(),
            vacant: Vec::new(),
            charge_points: Vec::new(),
            meters: Vec::new(),
            measured: BTreeMap::new(),
            by_address: BTreeMap::new(),
            by_link: HashMap::new(),
            by_evse: BTreeMap::new(),
            load,
            load_rests_on: Seq(0),
            tags: TagList::new(plan.authorization.clone()),
            numbers,
            last_entry: recovered.last_entry.unwrap_or_default(),
            gateways: Vec::new(),
            by_member: BTreeMap::new(),
            backends: BTreeMap::new(),
            orphans: BTreeMap::new(),
            backend_links: HashMap::new(),
            tickets: 0,
            asking: BTreeMap::new(),
            ordered: BTreeMap::new(),
            offered: BTreeMap::new(),
            random,
            written: Seq(0),
            committed: Seq(0),
            disk_failing: false,
            unknown: BTreeMap::new(),
            dirty: BTreeSet::new(),
            waiting: BTreeSet::new(),
            lowering: BTreeMap::new(),
            handing_over: None,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            plan,
        };
        // First: recovered transactions of devices are judged by them.
        for plan in site.plan.gateways.clone() {
            site.add_gateway(now, plan, recovered);
        }
        let recovered = site.close_left_overs(now, recovered);
        let recovered = recovered.as_ref();
        site.note_orphans(recovered);
        for plan in site.plan.stations.clone() {
            site.add_station(plan, recovered);
        }
        for plan in site.plan.charge_points.clone() {
            site.add_charge_point(now, plan, recovered);
        }
        for plan in site.plan.meters.clone() {
            site.add_meter(now, plan);
        }
        site.settle(now);
        site
    }

    pub(super) fn add_station(&mut self, plan: StationPlan, recovered: &Recovered) -> usize {
        let index = self.vacant.pop().unwrap_or(self.stations.len());
        self.by_address.insert(plan.id.clone(), index);
        for (connector, evse) in &plan.connectors {
            let place = Place::Connector(index, *connector);
            self.by_evse.insert(evse.evse.clone(), place);
        }
        let slot = StationSlot {
            station: Station::new(plan, recovered),
            gate: Gate::default(),
        };
        if let Some(vacant) = self.stations.get_mut(index) {
            *vacant = slot;
        } else {
            self.stations.push(slot);
        }
        self.dirty.insert(Machine::Station(index));
        index
    }

    fn add_charge_point(&mut self, now: Now, plan: ChargePointPlan, recovered: &Recovered) {
        let index = self.charge_points.len();
        self.by_evse
            .insert(plan.evse.clone(), Place::ChargePoint(index));
        self.charge_points.push(ChargePointSlot {
            charge_point: ChargePoint::new(now, plan, recovered),
            clearance: Clearance::default(),
        });
        self.dirty.insert(Machine::ChargePoint(index));
    }

    fn add_meter(&mut self, now: Now, plan: MeterPlan) {
        self.dirty.insert(Machine::Meter(self.meters.len()));
        self.meters.push(MeterSlot {
            meter: Meter::new(now.mono, plan),
        });
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Up {
                link,
                address,
                peer,
            } => self.handle_up(now, link, address, peer),
            Input::Dialled {
                gateway,
                link,
                presented,
                asked,
            } => self.handle_dialled(now, gateway, link, &presented, asked),
            Input::DialFailed {
                gateway,
                why,
                presented,
                asked,
            } => self.handle_dial_failed(now, gateway, &why, &presented, asked),
            Input::Requested { gateway, requested } => {
                self.handle_requested(now, gateway, requested);
            }
            Input::Uploaded {
                gateway,
                attempt,
                outcome,
            } => self.handle_uploaded(now, gateway, attempt, outcome),
            Input::Frame { link, text } => {
                if let Some(index) = self.gateway_of(link) {
                    self.with_gateway(now, index, |gateway, context| {
                        gateway.handle_frame(context, &text);
                    });
                }
                self.with_station(now, link, |station, context| {
                    station.handle_frame(context, &text);
                });
            }
            Input::Heard { link, pong } => {
                if let Some(index) = self.gateway_of(link) {
                    self.with_gateway(now, index, |gateway, context| {
                        gateway.handle_heard(context, pong);
                    });
                }
                self.with_station(now, link, |station, context| {
                    station.handle_heard(context, pong);
                });
            }
            Input::Down { link } => {
                if let Some(index) = self.gateway_of(link) {
                    self.with_gateway(now, index, Gateway::handle_down);
                }
                self.backend_links.remove(&link);
                self.with_station(now, link, Station::handle_down);
                self.by_link.remove(&link);
            }
            Input::Modbus {
                device: DeviceId::ChargePoint(index),
                answer,
            } => self.with_charge_point(now, index, |charge_point, context| {
                charge_point.handle_answer(context, answer);
            }),
            Input::Modbus {
                device: DeviceId::Meter(index),
                answer,
            } => {
                if let Some(slot) = self.meters.get_mut(index) {
                    slot.meter.handle_answer(now.mono, &mut self.random, answer);
                    self.dirty.insert(Machine::Meter(index));
                }
            }
            Input::Unknown { address, peer } => self.note_unknown(now, address, peer),
            Input::Committed(seq) => {
                self.committed = self.committed.max(seq);
                if std::mem::take(&mut self.disk_failing) {
                    info!("the journal can be written again");
                }
                for machine in std::mem::take(&mut self.waiting) {
                    match machine {
                        Machine::ChargePoint(index) => {
                            self.with_charge_point(now, index, ChargePoint::handle_committed);
                        }
                        Machine::Station(_) | Machine::Meter(_) | Machine::Gateway(_) => {
                            self.dirty.insert(machine);
                        }
                    }
                }
            }
            Input::Fetched { gateway, entries } => self.handle_fetched(now, gateway, entries),
            Input::CommitFailed => {
                if !std::mem::replace(&mut self.disk_failing, true) {
                    error!(
                        "the journal cannot be written: answers are late, and lost at a power cut; limits are not touched"
                    );
                }
            }
        }
        self.settle(now);
    }

    /// Lets a station act if `link` is its current one; an old link has no voice any more.
    pub(super) fn with_station(
        &mut self,
        now: Now,
        link: LinkId,
        act: impl FnOnce(&mut Station, &mut Context<'_>),
    ) {
        let Some(&index) = self.by_link.get(&link) else {
            return;
        };
        let newest = |slot: &StationSlot| slot.station.link().is_none_or(|current| current <= link);
        if self.stations.get(index).is_some_and(newest) {
            self.act(now, index, act);
        }
    }

    pub(super) fn act(
        &mut self,
        now: Now,
        index: usize,
        act: impl FnOnce(&mut Station, &mut Context<'_>),
    ) {
        let Some(slot) = self.stations.get_mut(index) else {
            return;
        };
        let mut context = Context {
            now,
            random: &mut self.random,
            numbers: &mut self.numbers,
        };
        act(&mut slot.station, &mut context);
        self.dirty.insert(Machine::Station(index));
    }

    /// Lets a Modbus wallbox act.
    pub(super) fn with_charge_point(
        &mut self,
        now: Now,
        index: usize,
        act: impl FnOnce(&mut ChargePoint, &mut charge_point::Context<'_>),
    ) {
        let Some(slot) = self.charge_points.get_mut(index) else {
            return;
        };
        let mut context = charge_point::Context {
            now,
            random: &mut self.random,
            numbers: &mut self.numbers,
            may_raise: slot.clearance.is_given(now.mono, self.committed),
        };
        act(&mut slot.charge_point, &mut context);
        self.dirty.insert(Machine::ChargePoint(index));
    }

    /// Lets timers act. Harmless when none is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(machine) = self.timers.pop_due(now.mono) {
            match machine {
                Machine::Station(index) => self.act(now, index, Station::handle_timeout),
                Machine::ChargePoint(index) => {
                    self.with_charge_point(now, index, ChargePoint::handle_timeout);
                }
                Machine::Gateway(index) => self.with_gateway(now, index, Gateway::handle_timeout),
                Machine::Meter(index) => {
                    if let Some(slot) = self.meters.get_mut(index) {
                        slot.meter.handle_timeout(now.mono);
                        self.dirty.insert(machine);
                    }
                }
            }
        }
        if self.load.poll_timeout().is_some_and(|due| due <= now.mono) {
            self.load.handle_timeout(now);
        }
        self.settle(now);
    }

    /// What is to be done next; `None` when everything is said.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Site::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let machines = self.timers.first();
        machines.into_iter().chain(self.load.poll_timeout()).min()
    }
}

pub(super) fn persist(written: &mut Seq, outputs: &mut VecDeque<Output>, record: Record) -> Seq {
    written.0 += 1;
    outputs.push_back(Output::Persist(*written, record));
    *written
}
