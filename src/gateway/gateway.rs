//! [`Gateway`]: one charge point as one backend sees it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use serde_json::value::RawValue;

use crate::clock::{Mono, Now, Timestamp};
use crate::evse::{Call, Conduct, Notice, Outcome, Report};
use crate::ids::{
    ChargeBoxId, ConnectorId, EntryId, EvseName, IdTag, Identity, LinkId, TransactionNumber,
};
use crate::journal::{EntryKind, Filed, Record, Recovered};
use crate::ocpp::messages::{self, StopReason};
use crate::ocpp::rpc::{Received, Rpc};
use crate::units::MilliAmps;

use super::calling::{DATA_TRANSFER, Pending};
use super::configuring::keys_plan;
use super::connection::Connection;
use super::dial_failure::DialFailure;
use super::io::{Context, Output, View};
use super::keys::Keys;
use super::members::{Members, Numbers};
use super::ordering::Ordered;
use super::outbox::Outbox;
use super::plan::GatewayPlan;
use super::profiles::BackendProfiles;
use super::registering::Registration;
use super::security::{
    Ends, Event, Events, Known, LogUpload, Presented, Requested, Safe, Shown, UploadOutcome,
};
use super::sharing::Parts;
use super::tags::Tags;
use super::transactions::Transactions;

/// What an outstanding CALL of ours is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// BootNotification.
    Boot,
    /// Heartbeat; after the silence to an entry it shows whether the backend answers at all.
    Heartbeat(Option<EntryId>),
    /// Anything whose answer changes nothing.
    Notice,
    /// A security event.
    Event,
    /// Authorize.
    Authorize(u64, IdTag),
    /// A relayed CALL of a wallbox.
    Relay(u64),
    /// A message of the queue.
    Entry(EntryId),
}

impl Asked {
    /// For the log.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Boot => "BootNotification",
            Self::Heartbeat(_) => "Heartbeat",
            Self::Notice => "a notification",
            Self::Event => "SecurityEventNotification",
            Self::Authorize(..) => "Authorize",
            Self::Relay(_) => "a relayed call",
            Self::Entry(_) => "a message of the queue",
        }
    }
}

/// Something that may overtake the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Urgent {
    /// A word of a wallbox, with the backend's numbers.
    Notice {
        /// Its action.
        action: String,
        /// Its payload.
        payload: String,
    },
    /// A call of a wallbox.
    Call(u64),
}

/// One charge point as one backend sees it.
#[derive(Debug)]
pub struct Gateway {
    pub(super) plan: GatewayPlan,
    pub(super) identity: Identity,
    pub(super) members: Members,
    pub(super) keys: Keys,
    pub(super) profiles: BackendProfiles,
    pub(super) tags: Tags,
    /// What the backend is told of security.
    pub(super) events: Events,
    /// Our key, its certificate, and the roots that the backend installed.
    pub(super) safe: Safe,
    pub(super) shown: Shown,
    /// What was said of certificates that are about to end.
    pub(super) ends: Ends,
    /// Which certificates the backend showed.
    pub(super) known: Known,
    /// Our log, where the backend asked for it.
    pub(super) log_upload: LogUpload,
    /// When a certificate was last asked for.
    pub(super) certificate_asked: Option<Mono>,
    /// When the backend last said what nobody understands.
    pub(super) misunderstood_at: Option<Timestamp>,
    /// The connection is to be made anew.
    pub(super) come_back_at: Option<Mono>,
    pub(super) outbox: Outbox,
    pub(super) transactions: Transactions,
    /// The payload of the wallbox's last BootNotification.
    pub(super) boot: Option<String>,
    pub(super) connection: Connection,
    pub(super) registration: Registration,
    pub(super) rpc: Rpc<Asked>,
    pub(super) urgent: VecDeque<Urgent>,
    /// Connectors whose status the backend is to hear anew.
    pub(super) replay: BTreeSet<ConnectorId>,
    /// Calls of wallboxes that are not answered yet.
    pub(super) calls: BTreeMap<u64, Pending>,
    /// Commands that wallboxes have not answered yet.
    pub(super) orders: BTreeMap<u64, Ordered>,
    /// Who was asked to keep a reservation of this number.
    pub(super) reserving: BTreeMap<u64, (EvseName, i64)>,
    /// Commands that several wallboxes carry out.
    pub(super) parts: BTreeMap<u64, Parts>,
    pub(super) next_order: u64,
    /// The first message of the queue is not sent again before.
    pub(super) retry_at: Option<Mono>,
    /// A message of the queue met silence: is the backend there?
    pub(super) probe: Option<EntryId>,
    /// The charge point comes back from a reset.
    pub(super) reset_at: Option<Mono>,
    /// Connectors whose status a backend that has us pending wants to hear.
    pub(super) triggered: BTreeSet<ConnectorId>,
    /// Tags of starts that the backend ordered, and until when they may begin.
    pub(super) vouched: Vec<(IdTag, Mono)>,
    /// Something overtook the queue: now it is its turn.
    pub(super) overtaken: bool,
    /// Digests of what was kept last.
    remembered: BTreeMap<&'static str, u64>,
    /// Transactions whose start another backend got.
    pub(super) foreign: BTreeSet<TransactionNumber>,
    /// The stop of this transaction is being made up.
    pub(super) making_up: Option<TransactionNumber>,
    /// The disk could not read.
    pub(super) fetch_at: Option<Mono>,
    pub(super) silences: u32,
    /// How those that we play behave, as they were told last.
    pub(super) conduct: Option<Conduct>,
    /// What each EVSE was allowed last.
    pub(super) ceilings: BTreeMap<EvseName, Option<MilliAmps>>,
    /// When a profile begins or ends next, looked at once a second.
    pub(super) looked_at: Mono,
    outputs: VecDeque<Output>,
}

impl Gateway {
    /// A gateway as configured, with what the journal knows of it.
    pub fn new(now: Now, plan: GatewayPlan, recovered: &Recovered) -> Self {
        let identity = plan.identity();
        let memory = |key: &str| {
            let place = (owner(&identity), key.to_owned());
            recovered.memory.get(&place).map(String::as_str)
        };
        let before: Numbers = read(memory("connectors"));
        let mut numbers = before.clone();
        let mut members = Members::new(now.mono, &plan, &mut numbers);
        members.whole_status = memory("whole").map(str::to_owned);
        let refused: Vec<TransactionNumber> = read(memory("refused"));
        let ended: BTreeMap<TransactionNumber, StopReason> = read(memory("ended"));
        let mut gateway = Self {
            keys: Keys::new(keys_plan(&plan, &members), memory("keys")),
            members,
            profiles: read(memory("profiles")),
            tags: Tags {
                list: read(memory("list")),
                cache: read(memory("cache")),
            },
            events: Events::recover(memory("events")),
            safe: read(memory("certificates")),
            shown: Shown::default(),
            ends: Ends::default(),
            known: read(memory("presented")),
            log_upload: LogUpload::default(),
            certificate_asked: None,
            misunderstood_at: None,
            come_back_at: None,
            outbox: Outbox::recover(&identity, recovered),
            transactions: Transactions::recover(&identity, recovered, &refused, &ended),
            boot: memory("boot").map(str::to_owned),
            connection: Connection::new(),
            registration: Registration::default(),
            rpc: Rpc::patient(),
            urgent: VecDeque::new(),
            replay: BTreeSet::new(),
            calls: BTreeMap::new(),
            orders: BTreeMap::new(),
            reserving: BTreeMap::new(),
            parts: BTreeMap::new(),
            next_order: 0,
            retry_at: None,
            probe: None,
            reset_at: None,
            triggered: BTreeSet::new(),
            vouched: Vec::new(),
            overtaken: false,
            remembered: BTreeMap::new(),
            foreign: foreign(&identity, recovered),
            making_up: None,
            fetch_at: None,
            silences: 0,
            conduct: None,
            ceilings: BTreeMap::new(),
            looked_at: now.mono,
            outputs: VecDeque::new(),
            identity,
            plan,
        };
        gateway.note_memory();
        // A wallbox of its own says so itself.
        if gateway.members.are_emulated() {
            gateway.happened(now.wall, Event::StartupOfTheDevice, None);
        }
        if numbers != before {
            gateway.remember("connectors", &numbers);
        }
        if let Some(at) = gateway.introduction(now.mono) {
            gateway.connection.introduce_at(at);
        }
        gateway.tell_metering();
        gateway.tell_conduct();
        gateway.tell_ceilings(now);
        gateway.order_ends();
        gateway
    }

    /// Which queue and memory are its own.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What the configuration says.
    pub fn plan(&self) -> &GatewayPlan {
        &self.plan
    }

    /// The current connection.
    pub fn link(&self) -> Option<LinkId> {
        self.connection.link()
    }

    /// The connection stands; `presented` where any certificate would have been taken. `asked`: the
    /// backend wanted to see a certificate of ours.
    pub fn handle_up(
        &mut self,
        context: &mut Context<'_>,
        link: LinkId,
        presented: &[Presented],
        asked: bool,
    ) {
        self.note_presented(presented);
        self.note_login(asked);
        self.connect(context.now, link);
        self.go_on(context);
    }

    /// The connection did not come about. The rest is as in [`Self::handle_up`].
    pub fn handle_failure(
        &mut self,
        context: &mut Context<'_>,
        why: &DialFailure,
        presented: &[Presented],
        asked: bool,
    ) {
        self.note_presented(presented);
        self.note_failed_login(context.now, why, asked);
        self.connection.failed(context, &self.plan, why);
        self.go_on(context);
    }

    /// The current connection is gone.
    pub fn handle_down(&mut self, context: &mut Context<'_>) {
        self.disconnect(context);
        self.go_on(context);
    }

    /// A text frame arrived.
    pub fn handle_frame(&mut self, context: &mut Context<'_>, text: &str) {
        if let Some(liveness) = self.connection.liveness() {
            liveness.heard(context.now.mono);
        }
        let mut repaired = String::new();
        match self.rpc.handle(text, &mut repaired) {
            Received::Call {
                id,
                action,
                payload,
            } => self.obey(context, &id, action, payload),
            Received::Answer { token, result } => {
                self.silences = 0;
                self.handle_answer(context, token, result);
            }
            Received::Refuse(frame) => {
                self.send(frame);
                self.misunderstood(context.now);
            }
            Received::Repeated(Some(frame)) => self.send(frame),
            Received::Repeated(None) | Received::Ignore(_) => {}
        }
        self.go_on(context);
    }

    /// A ping or pong arrived.
    pub fn handle_heard(&mut self, context: &mut Context<'_>, pong: bool) {
        if let Some(liveness) = self.connection.liveness() {
            if pong {
                liveness.pong(context.now.mono);
            } else {
                liveness.heard(context.now.mono);
            }
        }
    }

    /// A message of one of its wallboxes was filed in its queue.
    pub fn handle_entry(&mut self, context: &mut Context<'_>, filed: &Filed) {
        self.take_entry(context.now, filed);
        self.go_on(context);
    }

    /// The disk has read what was asked for.
    pub fn handle_fetched(&mut self, context: &mut Context<'_>, payloads: Vec<(EntryId, String)>) {
        self.take_fetched(context.now.mono, payloads);
        self.go_on(context);
    }

    /// A device asks; `ticket` comes back with the answer.
    pub fn handle_call(&mut self, context: &mut Context<'_>, ticket: u64, call: &Call) {
        self.take_call(context.now, ticket, call);
        self.go_on(context);
    }

    /// A device has carried out an order, or not.
    pub fn handle_outcome(&mut self, context: &mut Context<'_>, order: u64, outcome: Outcome) {
        self.take_outcome(context.now, order, outcome);
        self.go_on(context);
    }

    /// A wallbox said something that the backend should hear.
    pub fn handle_notice(
        &mut self,
        context: &mut Context<'_>,
        address: &ChargeBoxId,
        notice: &Notice,
    ) {
        self.take_notice(context.now.mono, address, notice);
        self.go_on(context);
    }

    /// An EVSE reports.
    pub fn handle_report(&mut self, context: &mut Context<'_>, evse: &EvseName, report: &Report) {
        if let Report::Online(online) = report {
            self.take_presence(context.now.mono, evse, *online);
            self.go_on(context);
        }
    }

    /// A transaction ended without a stop of its wallbox; `register` is the last one known, in Wh.
    pub fn handle_lost(
        &mut self,
        context: &mut Context<'_>,
        transaction: TransactionNumber,
        register: Option<i64>,
    ) {
        self.take_lost(context.now, transaction, register);
        self.go_on(context);
    }

    /// There is a new key and a request for a certificate for it; `None` where none could be made.
    pub fn handle_requested(&mut self, context: &mut Context<'_>, requested: Option<Requested>) {
        self.take_request(requested);
        self.go_on(context);
    }

    /// An attempt to upload the log came to an end.
    pub fn handle_uploaded(
        &mut self,
        context: &mut Context<'_>,
        attempt: u64,
        outcome: UploadOutcome,
    ) {
        self.take_uploaded(context, attempt, outcome);
        self.go_on(context);
    }

    /// Lets timers act.
    pub fn handle_timeout(&mut self, context: &mut Context<'_>) {
        let now = context.now.mono;
        if let Some(asked) = self.rpc.handle_timeout(now) {
            self.handle_silence(context, &asked);
        }
        self.check_connection(context);
        self.end_calls(context.now);
        self.end_reset(context);
        self.end_for_anew(context);
        self.note_absences(now);
        self.upload_log(context);
        self.go_on(context);
    }

    /// When [`Gateway::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let times = [
            self.connection.poll_timeout(),
            self.rpc.poll_timeout(),
            self.registering_timeout(),
            self.calls_timeout(),
            self.absences_timeout(),
            self.delivering_timeout(),
            self.profiles_timeout(),
            self.log_upload.poll_timeout(),
            self.reset_at,
            self.come_back_at,
        ];
        times.into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What the status shows.
    pub fn view(&self) -> View {
        View {
            state: self.state(),
            queued: self.outbox.len(),
            dead: self.outbox.dead(),
        }
    }

    /// What the backend allows an EVSE; `None` = it does not limit.
    pub fn ceiling(&self, evse: &EvseName) -> Option<MilliAmps> {
        self.ceilings.get(evse).copied().flatten()
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn send(&mut self, text: String) {
        if let Some(link) = self.connection.link() {
            self.output(Output::Send { link, text });
        }
    }

    /// What is known at the start is what is kept: it is not written again.
    fn note_memory(&mut self) {
        let known = [
            ("keys", self.keys.memory()),
            ("profiles", messages::write(&self.profiles)),
            ("list", messages::write(&self.tags.list)),
            ("cache", messages::write(&self.tags.cache)),
            ("ended", messages::write(&self.transactions.ended())),
            ("events", self.events.memory()),
            ("certificates", self.safe.memory()),
            ("presented", messages::write(&self.known)),
        ];
        let digests = known.into_iter().map(|(key, json)| (key, digest(&json)));
        self.remembered.extend(digests);
    }

    pub(super) fn remember<T: serde::Serialize>(&mut self, key: &'static str, value: &T) {
        if let Ok(json) = serde_json::to_string(value) {
            self.remember_text(key, &json);
        }
    }

    /// Keeps what changed, and spares the disk what did not.
    pub(super) fn remember_text(&mut self, key: &'static str, json: &str) {
        let digest = digest(json);
        if self.remembered.insert(key, digest) == Some(digest) {
            return;
        }
        let record = Record::Memory {
            owner: owner(&self.identity),
            key: key.to_owned(),
            value: Some(json.to_owned()),
        };
        self.output(Output::Persist(record));
    }

    /// Makes a CALL.
    pub(super) fn call(
        &mut self,
        context: &mut Context<'_>,
        action: &str,
        payload: &str,
        asked: Asked,
    ) {
        let id = context.random.uuid();
        let within = match action {
            // A bank may be asked.
            "DataTransfer" => self.keys.message_timeout().max(DATA_TRANSFER),
            _ => self.keys.message_timeout(),
        };
        let text = self
            .rpc
            .call(context.now.mono, id, action, payload, within, asked);
        self.send(text);
    }

    /// Does what can be done now: connects, or makes the next CALL.
    fn go_on(&mut self, context: &mut Context<'_>) {
        self.look_at_profiles(context.now);
        self.watch_ends(context.now);
        if self.connection.link().is_none() {
            if self.connection.is_due(context.now.mono) {
                self.connection.dials();
                let login = self.login(context.now.wall);
                self.output(Output::Dial { login });
            }
            return;
        }
        while self.rpc.is_idle() && self.ask_next(context) {}
    }

    /// Makes the most important CALL; false if there is none, or if it was made.
    fn ask_next(&mut self, context: &mut Context<'_>) -> bool {
        if self.register(context) {
            return false;
        }
        // Heartbeats and notices without end shall not keep the queue waiting: they take turns.
        let turn = std::mem::take(&mut self.overtaken);
        if turn && self.deliver(context) {
            return false;
        }
        if self.beat(context) {
            self.overtaken = true;
            return false;
        }
        if self.tell_status(context) {
            return false;
        }
        if let Some(urgent) = self.urgent.pop_front() {
            self.overtaken = matches!(urgent, Urgent::Notice { .. });
            return !self.ask_urgent(context, urgent);
        }
        if !self.deliver(context) {
            self.tell_event(context);
        }
        false
    }

    fn ask_urgent(&mut self, context: &mut Context<'_>, urgent: Urgent) -> bool {
        match urgent {
            Urgent::Notice { action, payload } => {
                self.call(context, &action, &payload, Asked::Notice);
                true
            }
            Urgent::Call(ticket) => self.ask_for(context, ticket),
        }
    }

    fn handle_answer(
        &mut self,
        context: &mut Context<'_>,
        asked: Asked,
        result: Result<&RawValue, crate::ocpp::rpc::CallFailure>,
    ) {
        let boots = match &result {
            Ok(_) => false,
            Err(failure) => self.weigh_refusal(context.now.mono, &asked, failure),
        };
        match asked {
            Asked::Boot => self.take_registration(context.now, result),
            Asked::Heartbeat(probe) => self.take_heartbeat(context.now, probe, result),
            Asked::Notice => {}
            Asked::Event => self.take_event_answer(result.err().as_ref()),
            Asked::Authorize(ticket, tag) => {
                self.take_authorization(context.now, ticket, &tag, result);
            }
            Asked::Relay(ticket) => self.take_relayed(ticket, result),
            // Not the message was wrong: we were not registered.
            Asked::Entry(_) if boots => {}
            Asked::Entry(entry) => self.take_receipt(context.now, entry, result),
        }
    }
}

/// Whose memory it is.
pub(super) fn owner(identity: &Identity) -> String {
    format!("gateway {identity}")
}

fn digest(json: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    json.hash(&mut hasher);
    hasher.finish()
}

fn foreign(identity: &Identity, recovered: &Recovered) -> BTreeSet<TransactionNumber> {
    let others = recovered.entries.values();
    let others = others.filter(|it| it.kind == EntryKind::Start && it.identity != *identity);
    others.filter_map(|it| it.transaction).collect()
}

fn read<T: serde::de::DeserializeOwned + Default>(json: Option<&str>) -> T {
    json.and_then(|json| serde_json::from_str(json).ok())
        .unwrap_or_default()
}

/// Profiles and the disk are looked at in this step.
pub(super) const TICK: Duration = Duration::from_secs(1);
