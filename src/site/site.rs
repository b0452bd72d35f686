//! [`Site`]: routes messages between the machines inside it and holds sends back at the gate.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tracing::{debug, error, info, warn};

use crate::central_system::{self, Context, Station, StationPlan};
use crate::clock::{Mono, Now, Random, Timestamp};
use crate::evse::{Ask, Call, Limit, Offer, Report};
use crate::ids::{ChargeBoxId, CircuitName, ConnectorId, EvseName, LinkId, OfferNumber, Seq};
use crate::journal::{Record, Recovered, TransactionNumbers};
use crate::load::{self, Controller};

use super::control::Signal;
use super::gate::Gate;
use super::memory;
use super::plan::Plan;
use super::tag_list::TagList;
use super::{Input, Output};

/// So many strangers are remembered for the status; the oldest goes first.
const UNKNOWN_CHARGE_POINTS: usize = 100;

/// The whole production logic of one building, without a clock, a socket or a disk.
///
/// Call one `handle*`, drain [`Site::poll_output`], sleep until [`Site::poll_timeout`].
#[derive(Debug)]
pub struct Site {
    pub(super) started: Mono,
    pub(super) plan: Plan,
    pub(super) stations: Vec<Slot>,
    /// Slots of forgotten strangers.
    vacant: Vec<usize>,
    by_address: BTreeMap<ChargeBoxId, usize>,
    by_link: HashMap<LinkId, usize>,
    pub(super) by_evse: BTreeMap<EvseName, (usize, ConnectorId)>,
    pub(super) load: Controller,
    /// The last record that the load manager, or a sender it listened to, wrote.
    load_rests_on: Seq,
    tags: TagList,
    numbers: TransactionNumbers,
    random: Random,
    written: Seq,
    committed: Seq,
    pub(super) disk_failing: bool,
    pub(super) unknown: BTreeMap<String, (String, Timestamp)>,
    /// Stations that may have something to say.
    dirty: BTreeSet<usize>,
    /// Stations with frames at the gate.
    waiting: BTreeSet<usize>,
    /// EVSEs that were told less and are not known to obey.
    lowering: BTreeMap<EvseName, Limit>,
    /// The last offers before a shutdown that are not answered yet.
    pub(super) handing_over: Option<BTreeSet<OfferNumber>>,
    timers: BTreeSet<(Mono, usize)>,
    outputs: VecDeque<Output>,
}

/// A station and what stands between it and its link.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) station: Station,
    gate: Gate,
    timer: Option<Mono>,
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
            by_address: BTreeMap::new(),
            by_link: HashMap::new(),
            by_evse: BTreeMap::new(),
            load,
            load_rests_on: Seq(0),
            tags: TagList::new(plan.authorization.clone()),
            numbers,
            random,
            written: Seq(0),
            committed: Seq(0),
            disk_failing: false,
            unknown: BTreeMap::new(),
            dirty: BTreeSet::new(),
            waiting: BTreeSet::new(),
            lowering: BTreeMap::new(),
            handing_over: None,
            timers: BTreeSet::new(),
            outputs: VecDeque::new(),
            plan,
        };
        for plan in site.plan.stations.clone() {
            site.add_station(plan, recovered);
        }
        site.settle(now);
        site
    }

    fn add_station(&mut self, plan: StationPlan, recovered: &Recovered) -> usize {
        let index = self.vacant.pop().unwrap_or(self.stations.len());
        self.by_address.insert(plan.id.clone(), index);
        for (connector, evse) in &plan.connectors {
            self.by_evse.insert(evse.evse.clone(), (index, *connector));
        }
        let station = Station::new(plan, recovered);
        let slot = Slot {
            station,
            gate: Gate::default(),
            timer: None,
        };
        if let Some(vacant) = self.stations.get_mut(index) {
            *vacant = slot;
        } else {
            self.stations.push(slot);
        }
        self.dirty.insert(index);
        index
    }

    /// Whoever invents ChargeBox IDs must not fill the memory: of many strangers, one that is away
    /// makes room for the next.
    fn forget_stranger(&mut self) {
        let configured = self.plan.stations.len();
        if self.stations.len() < configured + UNKNOWN_CHARGE_POINTS {
            return;
        }
        let strangers = self.stations.iter().enumerate().skip(configured);
        let mut away = strangers.filter(|(_, slot)| slot.station.link().is_none());
        let Some((index, slot)) = away.next() else {
            return;
        };
        if let Some(timer) = slot.timer {
            self.timers.remove(&(timer, index));
        }
        self.by_address.remove(slot.station.id());
        self.vacant.push(index);
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Now, input: Input) {
        match input {
            Input::Up {
                link,
                address,
                peer,
            } => self.handle_up(now, link, address, peer),
            Input::Frame { link, text } => {
                self.with_station(now, link, |station, context| {
                    station.handle_frame(context, &text);
                });
            }
            Input::Heard { link, pong } => {
                self.with_station(now, link, |station, context| {
                    station.handle_heard(context, pong);
                });
            }
            Input::Down { link } => {
                self.with_station(now, link, Station::handle_down);
                self.by_link.remove(&link);
            }
            Input::Unknown { address, peer } => self.note_unknown(now, address, peer),
            Input::Committed(seq) => {
                self.committed = self.committed.max(seq);
                if std::mem::take(&mut self.disk_failing) {
                    info!("the journal can be written again");
                }
                self.dirty.append(&mut self.waiting);
            }
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

    fn handle_up(&mut self, now: Now, link: LinkId, address: ChargeBoxId, peer: String) {
        let index = if let Some(index) = self.by_address.get(&address) {
            *index
        } else {
            self.note_unknown(now, address.to_string(), peer);
            self.forget_stranger();
            let plan = StationPlan::stranger(address, self.plan.stations.first());
            self.add_station(plan, &Recovered::default())
        };
        if let Some(slot) = self.stations.get_mut(index) {
            // Two that connected at once may be told of in the wrong order: the newest link wins.
            if slot.station.link().is_some_and(|current| current > link) {
                self.outputs.push_back(Output::Close {
                    link,
                    code: 1000,
                    reason: "replaced by a new connection",
                });
                return;
            }
            slot.gate.forget();
        }
        self.by_link.insert(link, index);
        self.with_station(now, link, |station, context| {
            station.handle_up(context, link);
        });
    }

    fn note_unknown(&mut self, now: Now, address: String, peer: String) {
        if !self.unknown.contains_key(&address) {
            warn!(
                charge_point = address.as_str(),
                peer = peer.as_str(),
                "a wallbox that is in no [[evse]] tried to connect"
            );
        }
        self.unknown.insert(address, (peer, now.wall));
        while self.unknown.len() > UNKNOWN_CHARGE_POINTS {
            let oldest = self.unknown.iter().min_by_key(|(_, (_, seen))| *seen);
            let Some(oldest) = oldest.map(|(address, _)| address.clone()) else {
                break;
            };
            self.unknown.remove(&oldest);
        }
    }

    /// Lets a station act if `link` is its current one; an old link has no voice any more.
    fn with_station(
        &mut self,
        now: Now,
        link: LinkId,
        act: impl FnOnce(&mut Station, &mut Context<'_>),
    ) {
        let Some(&index) = self.by_link.get(&link) else {
            return;
        };
        let newest = |slot: &Slot| slot.station.link().is_none_or(|current| current <= link);
        if self.stations.get(index).is_some_and(newest) {
            self.act(now, index, act);
        }
    }

    fn act(&mut self, now: Now, index: usize, act: impl FnOnce(&mut Station, &mut Context<'_>)) {
        let Some(slot) = self.stations.get_mut(index) else {
            return;
        };
        let mut context = Context {
            now,
            random: &mut self.random,
            numbers: &mut self.numbers,
        };
        act(&mut slot.station, &mut context);
        self.dirty.insert(index);
    }

    /// Lets timers act. Harmless when none is due.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(&(due, index)) = self.timers.first() {
            if due > now.mono {
                break;
            }
            self.timers.remove(&(due, index));
            let Some(slot) = self.stations.get_mut(index) else {
                continue;
            };
            slot.timer = None;
            self.act(now, index, Station::handle_timeout);
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
        let stations = self.timers.first().map(|(due, _)| *due);
        stations.into_iter().chain(self.load.poll_timeout()).min()
    }

    /// Switches an EVSE on or off until the next restart.
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn set_enabled(&mut self, now: Now, evse: &EvseName, enabled: bool) -> Result<(), String> {
        if self.plan.load.observe {
            return Err("load-management is \"observe\": nothing is switched".to_owned());
        }
        let Some((name, _)) = self.by_evse.get_key_value(evse) else {
            let known: Vec<&str> = self.by_evse.keys().map(EvseName::as_str).collect();
            return Err(format!(
                "no EVSE is called {evse}; there are: {}",
                known.join(", ")
            ));
        };
        self.load.set_enabled(now, &name.clone(), enabled);
        self.settle(now);
        Ok(())
    }

    /// Takes an external limit signal (§14a EnWG and the like). It is kept over restarts.
    ///
    /// # Errors
    /// A sentence for the person who asked.
    pub fn set_signal(
        &mut self,
        now: Now,
        name: &CircuitName,
        signal: Signal,
    ) -> Result<(), String> {
        if self.plan.load.observe {
            return Err("load-management is \"observe\": nothing is limited".to_owned());
        }
        if !self
            .plan
            .load
            .circuits
            .iter()
            .any(|circuit| circuit.name == *name)
        {
            let names = self
                .plan
                .load
                .circuits
                .iter()
                .map(|circuit| circuit.name.as_str());
            let known: Vec<&str> = names.collect();
            return Err(format!(
                "no circuit is called {name}; there are: {}",
                known.join(", ")
            ));
        }
        let watts = match signal {
            Signal::Off => None,
            Signal::Watts(watts) => Some(watts),
            Signal::On => match self.plan.limit_signals.get(name) {
                Some(watts) => Some(*watts),
                None => {
                    return Err(format!(
                        "circuit {name} has no limit-signal; write it into the configuration, or name the watts"
                    ));
                }
            },
        };
        info!(circuit = %name, watts = watts.map(|watts| watts.0), at = %now.wall, "the limit signal of a circuit was set");
        let seq = persist(
            &mut self.written,
            &mut self.outputs,
            memory::signal(name, watts),
        );
        self.load_rests_on = self.load_rests_on.max(seq);
        self.load.set_signal(now, name, watts);
        self.settle(now);
        Ok(())
    }

    /// Passes messages until nobody has anything to say.
    pub(super) fn settle(&mut self, now: Now) {
        loop {
            if let Some(index) = self.dirty.pop_first() {
                self.drain_station(now, index);
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
                Some(central_system::Output::Call(call)) => self.answer(now, index, &call),
            }
        }
        self.release_held(now, index);
        self.set_timer(index);
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
            self.waiting.insert(index);
        }
    }

    fn set_timer(&mut self, index: usize) {
        let Some(slot) = self.stations.get_mut(index) else {
            return;
        };
        let due = slot
            .station
            .poll_timeout()
            .into_iter()
            .chain(slot.gate.poll_timeout())
            .min();
        if due == slot.timer {
            return;
        }
        if let Some(old) = slot.timer {
            self.timers.remove(&(old, index));
        }
        if let Some(due) = due {
            self.timers.insert((due, index));
        }
        slot.timer = due;
    }

    fn report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        self.note_hand_over(report);
        self.load.handle_report(now, evse, report);
    }

    pub(super) fn is_online(&self, evse: &EvseName) -> bool {
        let slot = self
            .by_evse
            .get(evse)
            .and_then(|(index, _)| self.stations.get(*index));
        slot.is_some_and(|slot| slot.station.link().is_some())
    }

    /// The local tag list is the upstream of every EVSE: it answers at once.
    fn answer(&mut self, now: Now, index: usize, call: &Call) {
        let (Ask::Authorize(tag) | Ask::Start(tag) | Ask::Stop(tag)) = &call.ask;
        let verdict = self.tags.judge(now.wall, &call.evses, tag);
        self.act(now, index, |station, context| {
            station.handle_reply(context, call.id, &verdict);
        });
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
        let Some(&(index, connector)) = self.by_evse.get(evse) else {
            return;
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
        let Some(slot) = self.stations.get_mut(index) else {
            return;
        };
        slot.gate.rest_on(self.load_rests_on);
        self.act(now, index, |station, context| {
            station.handle_offer(context, connector, offer);
        });
    }

    fn not_followed(&mut self, now: Now, evse: &EvseName, offer: OfferNumber) {
        let Some(&(index, connector)) = self.by_evse.get(evse) else {
            return;
        };
        self.act(now, index, |station, context| {
            station.handle_not_followed(context, connector, offer);
        });
    }
}

fn persist(written: &mut Seq, outputs: &mut VecDeque<Output>, record: Record) -> Seq {
    written.0 += 1;
    outputs.push_back(Output::Persist(*written, record));
    *written
}
