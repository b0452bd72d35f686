//! A gateway between a wallbox and a backend, both played by the test.

mod cases;
mod commands;
mod delivery;
mod emulated;
mod events;
mod hostile;
mod logs;
mod ordered;
mod registration;
mod secured;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::clock::{Mono, Now, Random};
use crate::evse::{
    Ask, AuthorizationStatus, Call, Conduct, Deauthorize, Notice, Order, Outcome, Reply, Report,
};
use crate::ids::{ChargeBoxId, ConnectorId, EntryId, EvseName, LinkId, TransactionNumber};
use crate::journal::{Entry, EntryKind, Filed, Record, Recovered, Transaction};
use crate::ocpp::composite::Wiring;
use crate::units::{MilliAmps, MilliVolts, Phase};

pub(super) fn member(evse: &str, address: &str, connector: u32) -> MemberPlan {
    MemberPlan {
        evse: evse.into(),
        address: ChargeBoxId::from(address),
        connector: ConnectorId(connector),
        is_ocpp: true,
        backend_connector: None,
        min: MilliAmps::from_amps(6),
        wiring: Wiring {
            phases: 3,
            voltage: MilliVolts(230_000),
            max: MilliAmps::from_amps(16),
            switches_phases: false,
        },
        rotation: Some(Phase::ALL),
        offline_unknown_tags: false,
    }
}

pub(super) fn plan(members: Vec<MemberPlan>) -> GatewayPlan {
    GatewayPlan {
        url: "ws://backend/ocpp".to_owned(),
        client_id: "CP".to_owned(),
        members,
        whole: None,
        shares_wallbox: false,
        leads: true,
        serial_suffix: None,
        security_profile: 0,
        has_ca: false,
        password: None,
        boot: BootPlan::default(),
        synthesize_stop: false,
        allow_firmware: false,
        upload_log: false,
        queue_data_transfer: Vec::new(),
        max_queue: 10_000,
        observe: false,
    }
}

const NOON: &str = "2026-06-01T12:00:00Z";
const BOX: &str = r#"{"chargePointVendor":"Acme","chargePointModel":"WB22","chargePointSerialNumber":"S-1","firmwareVersion":"1.4"}"#;
const TAG: &str = "04A1B2C3";

/// A gateway at a simulated time; its devices and its backend are played by the test.
struct Bench {
    gateway: Gateway,
    plan: GatewayPlan,
    time: Duration,
    random: Random,
    offered: BTreeMap<EvseName, MilliAmps>,
    disk: Recovered,
    payloads: BTreeMap<EntryId, String>,
    last_entry: u64,
    link: u64,
    dials: u32,
    persisted: u32,
    /// The last one that was dialled with.
    login: security::Login,
    /// Whom certificates were to name.
    subjects: Vec<security::Subject>,
    /// Logs that were to be uploaded.
    uploads: Vec<security::UploadOrder>,
    /// What was sent and not looked at yet.
    sent: VecDeque<Value>,
    /// The same as text, all of it.
    wire: Vec<String>,
    replies: Vec<(u64, Reply)>,
    orders: Vec<(EvseName, Order)>,
    ceilings: Vec<(EvseName, Option<MilliAmps>)>,
    refused: Vec<Deauthorize>,
    /// How the wallbox that is played behaves.
    conduct: Option<Conduct>,
    /// Whose backend can be asked, each time that it begins.
    reachable: Vec<EvseName>,
    closed: Vec<u16>,
    next_id: u32,
    schema: crate::schema::Checker,
    /// What is passed on as it came may be as wrong as it came.
    verbatim: bool,
}

impl Bench {
    fn of(plan: GatewayPlan) -> Self {
        Self::after(plan, Recovered::default(), BTreeMap::new())
    }

    fn after(plan: GatewayPlan, disk: Recovered, payloads: BTreeMap<EntryId, String>) -> Self {
        let time = Duration::from_secs(1000);
        let now = now_at(time);
        let last_entry = disk.last_entry.unwrap_or_default().0;
        let mut bench = Self {
            gateway: Gateway::new(now, plan.clone(), &disk),
            plan,
            time,
            random: Random::new(1),
            offered: BTreeMap::new(),
            disk,
            payloads,
            last_entry,
            link: 0,
            dials: 0,
            persisted: 0,
            login: security::Login::default(),
            subjects: Vec::new(),
            uploads: Vec::new(),
            sent: VecDeque::new(),
            wire: Vec::new(),
            replies: Vec::new(),
            orders: Vec::new(),
            ceilings: Vec::new(),
            refused: Vec::new(),
            conduct: None,
            reachable: Vec::new(),
            closed: Vec::new(),
            next_id: 0,
            schema: crate::schema::Checker::new(),
            verbatim: false,
        };
        bench.drain();
        bench
    }

    /// One connector of one wallbox, which has booted and is free.
    fn new() -> Self {
        let mut bench = Self::of(plan(vec![member("left", "CB-1", 1)]));
        bench.wallbox_comes();
        bench
    }

    /// Connected, accepted, everything told.
    fn ready() -> Self {
        let mut bench = Self::new();
        bench.connect();
        bench
    }

    fn wallbox_comes(&mut self) {
        for evse in self.evses() {
            self.report(&evse, &Report::Online(true));
        }
        self.notice(None, "BootNotification", BOX);
        for evse in self.evses() {
            self.notice(Some(&evse), "StatusNotification", AVAILABLE);
        }
    }

    fn evses(&self) -> Vec<String> {
        let members = self.plan.members.iter();
        members.map(|it| it.evse.as_str().to_owned()).collect()
    }

    /// The daemon stops in the middle of everything and starts again.
    fn crash(self) -> Self {
        let mut again = Self::after(self.plan, self.disk, self.payloads);
        again.random = self.random;
        again
    }

    fn act(&mut self, act: impl FnOnce(&mut Gateway, &mut Context<'_>)) {
        let mut context = Context {
            now: now_at(self.time),
            random: &mut self.random,
            offered: &self.offered,
        };
        act(&mut self.gateway, &mut context);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.gateway.poll_output() {
            match output {
                Output::Persist(record) => {
                    self.persisted += 1;
                    self.disk.apply(record);
                }
                Output::File(entry) => drop(self.file(entry)),
                Output::Fetch(entries) => {
                    let found = |id: &EntryId| Some((*id, self.payloads.get(id)?.clone()));
                    let found = entries.iter().filter_map(found).collect();
                    self.act(|gateway, context| gateway.handle_fetched(context, found));
                }
                Output::Dial { login } => {
                    self.dials += 1;
                    self.login = login;
                }
                Output::Request(subject) => self.subjects.push(subject),
                Output::Upload(order) => self.uploads.push(order),
                Output::Send { text, .. } => {
                    if !self.verbatim {
                        self.schema.sent(&text);
                    }
                    self.sent.push_back(serde_json::from_str(&text).unwrap());
                    self.wire.push(text);
                }
                Output::Conduct { conduct, .. } => self.conduct = Some(conduct),
                Output::Ping { .. } | Output::Metering { .. } => {}
                Output::Reachable { evse } => self.reachable.push(evse),
                Output::Close { code, .. } => self.closed.push(code),
                Output::Reply { ticket, reply } => self.replies.push((ticket, reply)),
                Output::Order { evse, order } => self.orders.push((evse, order)),
                Output::Ceiling { evse, limit } => self.ceilings.push((evse, limit)),
                Output::Deauthorize { what, .. } => self.refused.push(what),
            }
        }
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 2 {
            self.time += Duration::from_millis(500);
            let due = self.gateway.poll_timeout();
            if due.is_some_and(|due| due <= Mono(self.time)) {
                self.act(Gateway::handle_timeout);
            }
        }
    }

    /// The backend takes the connection and answers everything well.
    fn connect(&mut self) {
        self.up();
        self.answer_everything();
    }

    fn up(&mut self) {
        self.up_after(false);
    }

    /// `asked`: the backend wanted to see our certificate.
    fn up_after(&mut self, asked: bool) {
        if self.dials == 0 {
            self.wait(400);
        }
        assert!(self.dials > 0, "nobody dialled");
        self.dials = 0;
        self.link += 1;
        self.schema = crate::schema::Checker::new();
        let link = LinkId(self.link);
        self.act(|gateway, context| gateway.handle_up(context, link, &[], asked));
    }

    fn down(&mut self) {
        self.sent.clear();
        self.act(Gateway::handle_down);
    }

    fn report(&mut self, evse: &str, report: &Report) {
        let evse = EvseName::from(evse);
        self.act(|gateway, context| gateway.handle_report(context, &evse, report));
    }

    fn notice(&mut self, evse: Option<&str>, action: &str, payload: &str) {
        let address = match evse {
            Some(evse) => {
                let mut members = self.plan.members.iter();
                members
                    .find(|it| it.evse.as_str() == evse)
                    .unwrap()
                    .address
                    .clone()
            }
            None => self.plan.members[0].address.clone(),
        };
        let notice = Notice {
            evse: evse.map(EvseName::from),
            action: action.to_owned(),
            payload: payload.to_owned(),
        };
        self.act(|gateway, context| gateway.handle_notice(context, &address, &notice));
    }

    fn file(&mut self, entry: Entry) -> EntryId {
        self.last_entry += 1;
        let filed = Filed {
            id: EntryId(self.last_entry),
            identity: Some(self.plan.identity()),
            entry,
        };
        self.payloads.insert(filed.id, filed.entry.payload.clone());
        self.disk.apply(Record::Entry(filed.clone()));
        self.act(|gateway, context| gateway.handle_entry(context, &filed));
        filed.id
    }

    /// A message of transaction `number` at the first EVSE.
    fn entry(&mut self, number: i64, kind: EntryKind, payload: &str) -> EntryId {
        let member = self.plan.members[0].clone();
        self.file(Entry {
            address: member.address,
            connector: member.connector,
            transaction: Some(TransactionNumber(number)),
            kind,
            payload: payload.to_owned(),
            received: now_at(self.time).wall,
        })
    }

    /// A transaction begins, and the wallbox waits for the verdict with ticket `number`.
    fn start(&mut self, number: i64) {
        let member = self.plan.members[0].clone();
        let transaction = Transaction {
            number: TransactionNumber(number),
            address: member.address,
            connector: member.connector,
            wallbox_id: number,
            id_tag: Some(TAG.into()),
            meter_start: None,
            started: String::new(),
            received: now_at(self.time).wall,
            stopped: None,
        };
        self.disk.apply(Record::Transaction(transaction));
        self.entry(number, EntryKind::Start, &start_payload(number));
        self.ask(
            number.unsigned_abs(),
            Ask::Start {
                tag: TAG.into(),
                transaction: TransactionNumber(number),
            },
        );
    }

    fn stop(&mut self, number: i64) {
        self.entry(number, EntryKind::Stop, &stop_payload(number, "Local"));
    }

    fn values(&mut self, number: i64, wh: i64) {
        let kind = EntryKind::Values { thinnable: true };
        self.entry(number, kind, &values_payload(number, wh));
    }

    /// A device asks.
    fn ask(&mut self, ticket: u64, ask: Ask) {
        let evses = self.evses().iter().map(|it| it.as_str().into()).collect();
        let call = Call {
            id: ticket,
            evses,
            ask,
        };
        self.act(|gateway, context| gateway.handle_call(context, ticket, &call));
    }

    fn authorize(&mut self, ticket: u64, tag: &str) {
        let payload = json!({ "idTag": tag }).to_string();
        let tag = tag.into();
        self.ask(ticket, Ask::Authorize { tag, payload });
    }

    /// What a device was answered.
    fn reply(&mut self, ticket: u64) -> Option<Reply> {
        let place = self.replies.iter().position(|(it, _)| *it == ticket)?;
        Some(self.replies.remove(place).1)
    }

    fn payload_for(&mut self, ticket: u64) -> String {
        match self.reply(ticket) {
            Some(Reply::Payload(payload)) => payload,
            other => panic!("no words of the backend: {other:?}"),
        }
    }

    fn verdict_for(&mut self, ticket: u64) -> AuthorizationStatus {
        self.reply(ticket).expect("a reply").verdict().status
    }

    /// The next CALL to the backend.
    fn asked(&mut self) -> Option<(String, String, Value)> {
        let place = self.sent.iter().position(|frame| frame[0] == 2)?;
        let frame = self.sent.remove(place)?;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        Some((text(&frame[1]), text(&frame[2]), frame[3].clone()))
    }

    /// The next CALL, which must be this action; returns its id and payload.
    #[track_caller]
    fn expect(&mut self, action: &str) -> (String, Value) {
        match self.asked() {
            Some((id, said, payload)) if said == action => (id, payload),
            other => panic!("not {action}: {other:?}"),
        }
    }

    fn frame(&mut self, text: &str) {
        self.schema.received(text);
        self.act(|gateway, context| gateway.handle_frame(context, text));
    }

    fn answer(&mut self, id: &str, payload: &Value) {
        self.frame(&json!([3, id, payload]).to_string());
    }

    fn refuse(&mut self, id: &str, code: &str) {
        self.frame(&json!([4, id, code, "no", {}]).to_string());
    }

    /// A well-behaved backend answers until nothing is asked any more; returns what was asked.
    fn answer_everything(&mut self) -> Vec<(String, Value)> {
        let mut all = Vec::new();
        while let Some((id, action, payload)) = self.asked() {
            let answer = good_answer(&action, &payload);
            self.answer(&id, &answer);
            all.push((action, payload));
        }
        all
    }

    /// The backend commands; returns our answer frame.
    fn command(&mut self, action: &str, payload: &Value) -> Option<Value> {
        self.next_id += 1;
        let id = format!("b{}", self.next_id);
        self.frame(&json!([2, id, action, payload]).to_string());
        self.answer_to(&id)
    }

    fn answer_to(&mut self, id: &str) -> Option<Value> {
        let is_it = |frame: &Value| frame[0] != 2 && frame[1] == id;
        let place = self.sent.iter().position(is_it)?;
        self.sent.remove(place)
    }

    /// The command that a wallbox was given last; it answers `outcome`, and so do we.
    fn carry_out(&mut self, outcome: Outcome) -> (Order, Value) {
        let (_, order) = self.orders.pop().expect("an order");
        let id = order.id;
        self.act(|gateway, context| gateway.handle_outcome(context, id, outcome));
        let answer = self.answer_to(&format!("b{}", self.next_id));
        (order, answer.expect("an answer"))
    }
}

const AVAILABLE: &str = r#"{"connectorId":1,"errorCode":"NoError","status":"Available"}"#;

fn now_at(time: Duration) -> Now {
    Now {
        mono: Mono(time),
        wall: NOON.parse::<Timestamp>().unwrap() + time.saturating_sub(Duration::from_secs(1000)),
    }
}

fn start_payload(number: i64) -> String {
    format!(
        r#"{{"connectorId":1,"idTag":"{TAG}","meterStart":{number}00,"timestamp":"2026-06-01T12:00:00Z"}}"#
    )
}

fn stop_payload(number: i64, reason: &str) -> String {
    format!(
        r#"{{"transactionId":{number},"meterStop":{number}99, "timestamp":"2026-06-01T13:00:00Z","reason":"{reason}"}}"#
    )
}

fn values_payload(number: i64, wh: i64) -> String {
    format!(
        r#"{{"connectorId":1,"transactionId":{number},"meterValue":[{{"timestamp":"2026-06-01T12:30:00Z","sampledValue":[{{"value":"{wh}"}}]}}]}}"#
    )
}

/// What a well-behaved backend says; transactions are called by their register.
fn good_answer(action: &str, payload: &Value) -> Value {
    match action {
        "BootNotification" => {
            json!({"status": "Accepted", "currentTime": NOON, "interval": 300})
        }
        "Heartbeat" => json!({ "currentTime": NOON }),
        "Authorize" => json!({"idTagInfo": {"status": "Accepted"}}),
        "StartTransaction" => {
            let id = payload["meterStart"].as_i64().unwrap();
            json!({"transactionId": id, "idTagInfo": {"status": "Accepted"}})
        }
        "DataTransfer" => json!({"status": "Accepted"}),
        _ => json!({}),
    }
}
