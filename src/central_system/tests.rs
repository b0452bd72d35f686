//! A station and a wallbox that is written down frame by frame.

mod backends;
mod dead_man;
mod everything_else;
mod filing;
mod follow_up;
mod limits;
mod orders;
mod orders_of_events;
mod set_up;
mod transactions;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::{Mono, Now, Random};
use crate::evse::{
    Ask, AuthorizationStatus, Call, Demand, Limit, Measured, Notice, Offer, Outcome, Reason, Reply,
    Report, Verdict,
};
use crate::ids::{ConnectorId, LinkId, OfferNumber, TransactionNumber};
use crate::journal::{Entry, EntryKind, Record, Recovered, TransactionNumbers};
use crate::units::{MilliAmps, MilliVolts, PerPhase, WattHours, Watts};

const NOON: &str = "2026-06-01T12:00:00Z";
const LINK: LinkId = LinkId(1);
const ONE: ConnectorId = ConnectorId(1);

/// A station at a simulated time, with an upstream that gives one verdict.
struct Bench {
    station: Station,
    time: Duration,
    random: Random,
    numbers: TransactionNumbers,
    verdict: Verdict,
    asks: Vec<Ask>,
    /// What the upstream was asked and has not answered: a backend takes its time.
    calls: Vec<Call>,
    upstream_waits: bool,
    notices: Vec<Notice>,
    done: Vec<(u64, Outcome)>,
    lost: Vec<(TransactionNumber, Option<WattHours>)>,
    /// In which order frames left and messages were filed.
    order: Vec<&'static str>,
    sent: Vec<(Value, bool)>,
    texts: Vec<String>,
    reports: Vec<Report>,
    disk: Recovered,
    entries: Vec<Entry>,
    closed: Vec<(LinkId, u16)>,
    next_id: u32,
    schema: crate::schema::Checker,
}

impl Bench {
    fn with(connectors: u32, disk: Recovered) -> Self {
        let connectors = (1..=connectors).map(|n| (ConnectorId(n), connector(n)));
        Self::of(connectors.collect(), disk)
    }

    fn of(connectors: BTreeMap<ConnectorId, ConnectorPlan>, disk: Recovered) -> Self {
        let upstream_waits = connectors.values().any(|it| it.backend);
        let plan = StationPlan {
            id: "CB".into(),
            connectors,
            heartbeat_interval: Duration::from_mins(5),
            meter_interval: Duration::from_secs(10),
            voltage: MilliVolts(230_000),
            observe: false,
        };
        let mut random = Random::new(1);
        let mut bench = Self {
            station: Station::new(plan, &disk),
            time: Duration::from_secs(1000),
            numbers: TransactionNumbers::after(disk.last_transaction, &mut random),
            random,
            verdict: Verdict::ACCEPTED,
            asks: Vec::new(),
            calls: Vec::new(),
            upstream_waits,
            notices: Vec::new(),
            done: Vec::new(),
            lost: Vec::new(),
            order: Vec::new(),
            sent: Vec::new(),
            texts: Vec::new(),
            reports: Vec::new(),
            disk,
            entries: Vec::new(),
            closed: Vec::new(),
            next_id: 0,
            schema: crate::schema::Checker::new(),
        };
        bench.drain();
        bench
    }

    fn new() -> Self {
        Self::with(1, Recovered::default())
    }

    /// Connected and booted, and everything that we ask is answered well.
    fn booted() -> Self {
        Self::new().boot()
    }

    /// The same, and so many connectors have a backend.
    fn with_backend(connectors: u32) -> Self {
        Self::on_disk(connectors, Recovered::default()).boot()
    }

    fn on_disk(connectors: u32, disk: Recovered) -> Self {
        let connector = |n| ConnectorPlan {
            backend: true,
            ..connector(n)
        };
        let connectors = (1..=connectors).map(|n| (ConnectorId(n), connector(n)));
        Self::of(connectors.collect(), disk)
    }

    fn boot(self) -> Self {
        let mut bench = self;
        bench.up(LINK);
        bench.call("BootNotification", &boot("1.0"));
        bench.answer_everything();
        bench
    }

    fn act(&mut self, act: impl FnOnce(&mut Station, &mut Context<'_>)) {
        let now = Now {
            mono: Mono(self.time),
            wall: NOON.parse::<jiff::Timestamp>().unwrap()
                + self.time.saturating_sub(Duration::from_secs(1000)),
        };
        let mut context = Context {
            now,
            random: &mut self.random,
            numbers: &mut self.numbers,
        };
        act(&mut self.station, &mut context);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.station.poll_output() {
            match output {
                Output::Persist(record) => {
                    self.order.push("persist");
                    self.disk.apply(record);
                }
                Output::File { entry, with } => {
                    self.order.push("file");
                    self.disk.apply(Record::Together(with));
                    self.entries.push(entry);
                }
                Output::Notice(notice) => self.notices.push(notice),
                Output::Done { id, outcome } => self.done.push((id, outcome)),
                Output::Lost {
                    transaction,
                    register,
                    ..
                } => self.lost.push((transaction, register)),
                Output::Send { text, lowers, .. } => {
                    self.order.push("send");
                    self.schema.sent(&text);
                    self.sent
                        .push((serde_json::from_str(&text).unwrap(), lowers));
                    self.texts.push(text);
                }
                Output::Ping { .. } => {}
                Output::Close { link, code, .. } => self.closed.push((link, code)),
                Output::Report { report, .. } => self.reports.push(report),
                Output::Call(call) => {
                    self.asks.push(call.ask.clone());
                    if self.upstream_waits {
                        self.calls.push(call);
                        continue;
                    }
                    let reply = Reply::Verdict(self.verdict.clone());
                    self.act(|station, context| station.handle_reply(context, call.id, &reply));
                }
            }
        }
    }

    /// The upstream answers the oldest question.
    fn reply(&mut self, reply: &Reply) {
        let call = self.calls.remove(0);
        self.act(|station, context| station.handle_reply(context, call.id, reply));
    }

    fn reply_with(&mut self, payload: &str) {
        self.reply(&Reply::Payload(payload.to_owned()));
    }

    /// What the wallbox was answered to a message.
    fn answers(&self, id: &str) -> Vec<Value> {
        let frames = self.sent.iter().map(|(frame, _)| frame);
        let answers = frames.filter(|frame| frame[0] != 2 && frame[1] == id);
        answers.cloned().collect()
    }

    fn up(&mut self, link: LinkId) {
        self.act(|station, context| station.handle_up(context, link));
    }

    fn down(&mut self) {
        self.act(Station::handle_down);
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds * 10 {
            self.time += Duration::from_millis(100);
            if self
                .station
                .poll_timeout()
                .is_some_and(|due| due <= Mono(self.time))
            {
                self.act(Station::handle_timeout);
            }
        }
    }

    fn frame(&mut self, text: &str) {
        self.schema.received(text);
        self.act(|station, context| station.handle_frame(context, text));
    }

    /// The wallbox calls; returns the answer (element 2 of a CALLRESULT).
    fn call(&mut self, action: &str, payload: &Value) -> Value {
        self.next_id += 1;
        let id = format!("w{}", self.next_id);
        self.call_as(&id, action, payload)
    }

    fn call_as(&mut self, id: &str, action: &str, payload: &Value) -> Value {
        let before = self.sent.len();
        self.frame(&json!([2, id, action, payload]).to_string());
        let answer = self.sent[before..]
            .iter()
            .map(|(frame, _)| frame)
            .find(|frame| frame[0] != 2 && frame[1] == id)
            .unwrap_or_else(|| panic!("no answer to {action}: {:?}", &self.sent[before..]));
        assert_eq!(answer[0], 3, "{action} was refused: {answer}");
        answer[2].clone()
    }

    /// Our CALL that is not answered yet.
    fn outstanding(&self) -> Option<(String, String, Value)> {
        let (last, _) = self.sent.iter().rev().find(|(frame, _)| frame[0] == 2)?;
        (!self.station.rpc.is_idle()).then(|| {
            (
                last[1].as_str().unwrap().to_owned(),
                last[2].as_str().unwrap().to_owned(),
                last[3].clone(),
            )
        })
    }

    /// The wallbox answers our CALL; returns what we had asked.
    fn respond(&mut self, answer: &Value) -> (String, Value) {
        let (id, action, payload) = self.outstanding().expect("a CALL of ours");
        self.frame(&json!([3, id, answer]).to_string());
        (action, payload)
    }

    /// A wallbox without quirks answers everything.
    fn answer_everything(&mut self) -> Vec<(String, Value)> {
        let mut asked = Vec::new();
        while let Some((_, action, _)) = self.outstanding() {
            let answer = match action.as_str() {
                "GetConfiguration" => keys(&[
                    ("ChargeProfileMaxStackLevel", "8", true),
                    ("ChargingScheduleAllowedChargingRateUnit", "Current", true),
                    ("MeterValueSampleInterval", "60", false),
                    (
                        "MeterValuesSampledData",
                        "Energy.Active.Import.Register",
                        false,
                    ),
                ]),
                "GetCompositeSchedule" => json!({"status": "Rejected"}),
                _ => json!({"status": "Accepted"}),
            };
            asked.push(self.respond(&answer));
        }
        asked
    }

    fn offer(&mut self, number: u64, milliamps: i32) {
        let limit = Limit::Current(MilliAmps(milliamps));
        let reason = Reason::OwnMaximum;
        let offer = Offer {
            number: OfferNumber(number),
            limit,
            reason,
            single_phase: false,
        };
        self.act(|station, context| station.handle_offer(context, ONE, offer));
    }

    fn release(&mut self, number: u64) {
        let reason = Reason::Disabled;
        let offer = Offer {
            number: OfferNumber(number),
            limit: Limit::Released,
            reason,
            single_phase: false,
        };
        self.act(|station, context| station.handle_offer(context, ONE, offer));
    }

    fn status(&mut self, status: &str) {
        let payload = json!({"connectorId": 1, "errorCode": "NoError", "status": status});
        assert_eq!(self.call("StatusNotification", &payload), json!({}));
    }

    fn start(&mut self) -> Value {
        self.call("StartTransaction", &start(100))
    }

    fn demand(&self) -> Option<Demand> {
        self.reports.iter().rev().find_map(|report| match report {
            Report::Demand(demand) => Some(*demand),
            _ => None,
        })
    }

    fn last_limit(&self) -> Option<f64> {
        let profiles = self
            .sent
            .iter()
            .rev()
            .filter(|(frame, _)| frame[2] == "SetChargingProfile");
        profiles
            .map(|(frame, _)| &frame[3]["csChargingProfiles"])
            .find(|profile| profile["chargingProfileId"] == 1001)
            .and_then(|p| p["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"].as_f64())
    }

    fn entries(&self, action: &str) -> usize {
        let are = |entry: &&Entry| entry.kind.action() == action;
        self.entries.iter().filter(are).count()
    }

    fn open(&self) -> Vec<i64> {
        let all = self.disk.transactions.values();
        all.filter(|t| t.stopped.is_none())
            .map(|t| t.wallbox_id)
            .collect()
    }
}

fn connector(number: u32) -> ConnectorPlan {
    ConnectorPlan {
        evse: format!("evse-{number}").as_str().into(),
        phases: 3,
        idle: MilliAmps(0),
        max: MilliAmps(16_000),
        failsafe: MilliAmps(6_000),
        dead_man: None,
        fixed_id_tag: None,
        backend: false,
        profile: ProfileSettings::default(),
    }
}

fn boot(firmware: &str) -> Value {
    json!({"chargePointVendor": "Acme", "chargePointModel": "WB", "firmwareVersion": firmware})
}

fn start(meter: i64) -> Value {
    json!({"connectorId": 1, "idTag": "TAG", "meterStart": meter, "timestamp": NOON})
}

fn stop(id: i64, meter: i64) -> Value {
    json!({"transactionId": id, "meterStop": meter, "timestamp": "2026-06-01T13:00:00Z"})
}

fn keys(entries: &[(&str, &str, bool)]) -> Value {
    let entry = |(key, value, readonly): &(&str, &str, bool)| json!({"key": key, "value": value, "readonly": readonly});
    json!({"configurationKey": entries.iter().map(entry).collect::<Vec<_>>()})
}

fn sampled(transaction: Option<i64>, context: &str) -> Value {
    let mut values = json!({"connectorId": 1, "meterValue": [{"timestamp": NOON, "sampledValue": [
        {"value": "7000", "measurand": "Energy.Active.Import.Register", "unit": "Wh", "context": context},
    ]}]});
    if let Some(id) = transaction {
        values["transactionId"] = json!(id);
    }
    values
}
