//! A charge point and a Power Brain that is a table of registers with a car.

mod authorizing;
mod cards;
mod commands;
mod endings;
mod limits;
mod links;
mod obeying;
mod reserving;
mod sampling;
mod sessions;
mod status;
mod storm;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::plan::Metering;
use super::*;
use crate::clock::{Mono, Now, Random};
use crate::evse::{
    Ask, AuthorizationStatus, Call, Conduct, Demand, Limit, Measured, Offer, Order, Outcome,
    Reason, Reply, Report, Verdict,
};
use crate::ids::{IdTag, OfferNumber, TransactionNumber};
use crate::journal::{Record, Recovered, Transaction, TransactionNumbers};
use crate::modbus::power_brain::{self as registers, Pilot, Poll};
use crate::modbus::{Answer, Failure, Request};
use crate::ocpp::messages::{self, AuthorizeResponse, IdTagInfo};
use crate::ocpp::{ChargePointStatus, ErrorCode, timestamp};
use crate::units::{MilliAmps, MilliVolts, PerPhase, Phase, WattHours, Watts};

const NOON: &str = "2026-06-01T12:00:00Z";
const CARD: &str = "04A2B3C4D5";
const PARTNER: &str = "0BADCAFE";

/// What was polled from a device that does nothing remarkable.
pub(super) fn poll(pilot: Pilot, enabled: bool) -> Poll {
    Poll {
        pilot_cut: 0,
        single_phase: false,
        cable: None,
        pilot,
        limit: 160,
        enabled,
        signalled: MilliAmps(16_000),
        card: String::new(),
        cards: 0,
        has_meter: true,
        switchable: false,
    }
}

/// The device.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a test, one for each thing that can be"
)]
struct Brain {
    table: BTreeMap<u16, u16>,
    plugged: bool,
    /// Its car takes what it gets.
    hungry: bool,
    fault: Option<u16>,
    energy: u64,
    serial: &'static str,
    name: &'static str,
    /// These registers refuse to be written, with this exception.
    refuses: BTreeMap<u16, u8>,
    /// These take writes and forget them.
    forgets: BTreeSet<u16>,
    /// Nothing can be read over the gap at 8089.
    has_gap: bool,
    has_meter: bool,
    /// Its meter refuses to be read, with this exception.
    meter_fails: Option<u8>,
    /// Requests fail like this.
    failure: Option<Failure>,
    writes: Vec<(u16, u16)>,
    reads: usize,
}

impl Brain {
    fn new() -> Self {
        let flash = [(8081, 160), (8082, 1), (8084, 300), (8085, 60), (8121, 3)];
        let state = [(8093, 160), (8094, 1), (8111, 65_534)];
        Self {
            table: flash.into_iter().chain(state).collect(),
            plugged: false,
            hungry: true,
            fault: None,
            energy: 5000,
            serial: "W00-4711",
            name: "cFos Power Brain",
            refuses: BTreeMap::new(),
            forgets: BTreeSet::new(),
            has_gap: false,
            has_meter: true,
            meter_fails: None,
            failure: None,
            writes: Vec::new(),
            reads: 0,
        }
    }

    fn get(&self, register: u16) -> u16 {
        self.table.get(&register).copied().unwrap_or(0)
    }

    fn set(&mut self, register: u16, value: u16) {
        self.table.insert(register, value);
    }

    fn tap(&mut self, tag: &str) {
        self.text(8096, tag, 15);
        self.set(8111, self.get(8111).wrapping_add(1));
    }

    fn text(&mut self, at: u16, text: &str, count: u16) {
        let mut bytes = text.bytes();
        for register in at..at + count {
            let pair = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
            self.set(register, u16::from_be_bytes(pair));
        }
    }

    fn draws(&self) -> bool {
        let allowed = self.get(8094) == 1 && self.get(8086) == 0;
        self.plugged && self.hungry && self.fault.is_none() && allowed
    }

    fn show(&mut self) {
        let draws = self.draws();
        let pilot = match self.fault {
            Some(code) => code,
            None => u16::from(self.plugged) + u16::from(draws),
        };
        self.set(8092, pilot);
        self.set(8112, u16::from(self.has_meter));
        self.set(8000, 0xCF05);
        self.text(8008, self.serial, 8);
        self.text(8016, self.name, 16);
        self.set(8057, 1);
        for (place, register) in (8058..8062).enumerate() {
            let shift = 48 - 16 * place;
            self.set(
                register,
                u16::try_from(self.energy >> shift & 0xFFFF).unwrap(),
            );
        }
        let tenths = if draws { self.get(8093) } else { 0 };
        let phases = if self.get(8087) == 1 { 1 } else { 3 };
        self.set(8063, tenths * 23 * phases);
        for (phase, register) in (1..).zip([8065, 8067, 8069]) {
            self.set(register, if phase <= phases { tenths } else { 0 });
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.show();
        match request {
            Request::Read { address, count, .. } => {
                self.reads += 1;
                let end = address + count;
                let gap = self.has_gap && (*address..end).contains(&8089);
                let meter = (8057..8070).contains(address);
                if gap || (meter && !self.has_meter) {
                    return Err(Failure::Exception(2));
                }
                if let Some(code) = self.meter_fails.filter(|_| meter) {
                    return Err(Failure::Exception(code));
                }
                Ok((*address..end).map(|it| self.get(it)).collect())
            }
            Request::Write { address, values } => {
                if let Some(code) = self.refuses.get(address) {
                    return Err(Failure::Exception(*code));
                }
                for (register, value) in (*address..).zip(values) {
                    self.writes.push((register, *value));
                    if !self.forgets.contains(&register) {
                        self.set(register, *value);
                    }
                }
                Ok(Vec::new())
            }
        }
    }

    /// What was written to a register.
    fn written(&self, register: u16) -> Vec<u16> {
        let to = |it: &&(u16, u16)| it.0 == register;
        self.writes.iter().filter(to).map(|it| it.1).collect()
    }
}

/// A charge point, its device, an upstream that gives one verdict, and a disk.
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches of a test, one for each thing that can be"
)]
struct Bench {
    charge_point: ChargePoint,
    brain: Brain,
    time: Duration,
    random: Random,
    numbers: TransactionNumbers,
    verdict: Verdict,
    /// The upstream takes its time.
    upstream_waits: bool,
    /// The verdict is the backend's own.
    backend_answers: bool,
    calls: Vec<Call>,
    outcomes: Vec<Outcome>,
    /// Answers, notices and calls, in their order.
    trail: Vec<String>,
    /// The disk is slow.
    may_raise: bool,
    disk: Recovered,
    entries: Vec<(String, Value)>,
    /// What its backend should hear, by action.
    notices: Vec<(String, Value)>,
    records: usize,
    reports: Vec<Report>,
    asked: Option<Request>,
    offers: u64,
    released: bool,
    schema: crate::schema::Checker,
    frames: usize,
}

fn plan() -> ChargePointPlan {
    ChargePointPlan {
        evse: "P".into(),
        address: "192.168.1.60:4701".into(),
        unit: 1,
        phases: 3,
        min: MilliAmps(6000),
        max: MilliAmps(16_000),
        failsafe: MilliAmps(6000),
        voltage: MilliVolts(230_000),
        fixed_id_tag: None,
        open: true,
        meter: Metering::Own,
        observe: false,
        backend: false,
        rotation: Some(Phase::ALL),
    }
}

fn listed() -> ChargePointPlan {
    ChargePointPlan {
        open: false,
        ..plan()
    }
}

/// A backend sees it.
fn backed() -> ChargePointPlan {
    ChargePointPlan {
        backend: true,
        ..listed()
    }
}

impl Bench {
    fn with(plan: ChargePointPlan, brain: Brain, disk: Recovered) -> Self {
        let mut random = Random::new(1);
        let time = Duration::from_secs(1000);
        let now = Now {
            mono: Mono(time),
            wall: NOON.parse().unwrap(),
        };
        Self {
            charge_point: ChargePoint::new(now, plan, &disk),
            brain,
            time,
            numbers: TransactionNumbers::after(disk.last_transaction, &mut random),
            random,
            verdict: Verdict::ACCEPTED,
            upstream_waits: false,
            backend_answers: false,
            calls: Vec::new(),
            outcomes: Vec::new(),
            trail: Vec::new(),
            may_raise: true,
            disk,
            entries: Vec::new(),
            notices: Vec::new(),
            records: 0,
            reports: Vec::new(),
            asked: None,
            offers: 0,
            released: false,
            schema: crate::schema::Checker::new(),
            frames: 0,
        }
    }

    /// A new device, found and offered nothing.
    fn new(plan: ChargePointPlan) -> Self {
        let mut bench = Self::with(plan, Brain::new(), Recovered::default());
        bench.run(2);
        bench.offer(0);
        bench.run(1);
        bench
    }

    /// The backend's keys say this from now on.
    fn conduct(&mut self, conduct: Conduct) {
        self.act(|it, context| it.handle_conduct(context, conduct));
    }

    /// What its backend should hear of this kind.
    fn notices(&self, action: &str) -> Vec<&Value> {
        let of = |it: &&(String, Value)| it.0 == action;
        self.notices.iter().filter(of).map(|it| &it.1).collect()
    }

    /// A car is plugged, charges at 16 A in `open` mode.
    fn charging() -> Self {
        let mut bench = Self::new(plan());
        bench.plug();
        bench.offer(16_000);
        bench.run(2);
        assert_eq!(bench.status(), ChargePointStatus::Charging);
        bench
    }

    /// The same, with a card and for a backend.
    fn charging_for_backend() -> Self {
        let mut bench = Self::new(backed());
        bench.backend_answers = true;
        bench.plug();
        bench.tap(CARD);
        bench.offer(16_000);
        bench.run(2);
        assert_eq!(bench.status(), ChargePointStatus::Charging);
        bench
    }

    /// Begins anew after some seconds.
    fn restart_after(self, seconds: u64) -> Self {
        let time = self.time + Duration::from_secs(seconds);
        let mut bench = self.restart();
        bench.time = time;
        bench
    }

    /// Begins anew with what is on the disk.
    fn restart(self) -> Self {
        let plan = self.charge_point.plan().clone();
        Self::with(plan, self.brain, self.disk)
    }

    fn act(&mut self, act: impl FnOnce(&mut ChargePoint, &mut Context<'_>)) {
        let wall: jiff::Timestamp = NOON.parse().unwrap();
        let now = Now {
            mono: Mono(self.time),
            wall: wall + self.time.saturating_sub(Duration::from_secs(1000)),
        };
        let mut context = Context {
            now,
            random: &mut self.random,
            numbers: &mut self.numbers,
            may_raise: self.may_raise,
        };
        act(&mut self.charge_point, &mut context);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.charge_point.poll_output() {
            match output {
                Output::Persist(record) => {
                    self.records += 1;
                    self.disk.apply(record);
                }
                Output::Done { outcome, .. } => {
                    self.trail.push("done".to_owned());
                    self.outcomes.push(outcome);
                }
                Output::Notice(notice) => {
                    let payload: Value = serde_json::from_str(&notice.payload).unwrap();
                    self.trail.push(notice.action.clone());
                    self.check(&notice.action, &payload);
                    self.notices.push((notice.action, payload));
                }
                Output::File { entry, with } => {
                    self.disk.apply(Record::Together(with));
                    let action = entry.kind.action();
                    let payload: Value = serde_json::from_str(&entry.payload).unwrap();
                    self.check(action, &payload);
                    self.entries.push((action.to_owned(), payload));
                }
                Output::Ask(request) => {
                    assert_eq!(self.asked, None, "a second question before the answer");
                    let may = self.may_raise && (self.open() == 1 || self.released);
                    let enables = request == registers::Write::Enable(true).request();
                    assert!(may || !enables, "enabled without a transaction on the disk");
                    self.asked = Some(request);
                }
                Output::Report(report) => self.reports.push(report),
                Output::Call(call) => {
                    self.trail.push("call".to_owned());
                    self.calls.push(call.clone());
                    if !self.upstream_waits {
                        self.reply(call.id);
                    }
                }
            }
        }
    }

    /// A message must be as OCPP wants it.
    fn check(&mut self, action: &str, payload: &Value) {
        self.frames += 1;
        let call = json!([2, self.frames.to_string(), action, payload]);
        self.schema.sent(&call.to_string());
    }

    fn reply(&mut self, id: u64) {
        let verdict = self.verdict.clone();
        let reply = if self.backend_answers {
            let id_tag_info = IdTagInfo {
                status: verdict.status,
                expiry_date: verdict.expires,
                parent_id_tag: verdict.parent,
            };
            Reply::Payload(messages::write(&AuthorizeResponse { id_tag_info }))
        } else {
            Reply::Verdict(verdict)
        };
        self.act(|it, context| it.handle_reply(context, id, &reply));
    }

    /// Lets time pass; the device answers within milliseconds.
    fn run(&mut self, seconds: u64) {
        let end = self.time + Duration::from_secs(seconds);
        while self.time < end {
            self.step();
        }
    }

    fn step(&mut self) {
        self.time += Duration::from_millis(10);
        if let Some(request) = self.asked.take() {
            let answer = self.brain.answer(&request);
            self.act(|it, context| it.handle_answer(context, answer));
        } else {
            self.let_timers_act();
        }
        let limit = self.brain.get(8093);
        assert!(!(1..60).contains(&limit), "a limit between 0 and 6 A");
    }

    fn let_timers_act(&mut self) {
        let due = self.charge_point.poll_timeout();
        if due.is_some_and(|due| due <= Mono(self.time)) {
            self.act(ChargePoint::handle_timeout);
            let next = self.charge_point.poll_timeout();
            assert!(
                next.is_none_or(|it| it > Mono(self.time)),
                "a timer that never rests"
            );
        }
    }

    /// Lets time pass until the device is asked something, and takes the question.
    fn until_asked(&mut self) {
        while self.asked.take().is_none() {
            self.time += Duration::from_millis(10);
            self.let_timers_act();
        }
    }

    fn plug(&mut self) {
        self.brain.plugged = true;
        self.run(2);
    }

    fn unplug(&mut self) {
        self.brain.plugged = false;
        self.run(2);
    }

    fn tap(&mut self, tag: &str) {
        self.brain.tap(tag);
        self.run(4);
    }

    fn offer(&mut self, milliamps: i32) -> OfferNumber {
        self.offer_on(Limit::Current(MilliAmps(milliamps)), false)
    }

    fn offer_on(&mut self, limit: Limit, single_phase: bool) -> OfferNumber {
        self.offers += 1;
        self.released = limit == Limit::Released;
        let number = OfferNumber(self.offers);
        let offer = Offer {
            number,
            limit,
            single_phase,
            reason: Reason::OwnMaximum,
        };
        self.act(|it, context| it.handle_offer(context, offer));
        number
    }

    fn status(&self) -> ChargePointStatus {
        self.charge_point.view().status.expect("a status")
    }

    fn demand(&self) -> Demand {
        let demand = |report: &Report| match report {
            Report::Demand(demand) => Some(*demand),
            _ => None,
        };
        self.reports
            .iter()
            .rev()
            .find_map(demand)
            .unwrap_or_default()
    }

    fn is_online(&self) -> bool {
        self.charge_point.view().online
    }

    fn count(&self, wanted: &Report) -> usize {
        self.reports.iter().filter(|it| *it == wanted).count()
    }

    fn took(&self, number: OfferNumber) -> bool {
        self.count(&Report::Took(number)) > 0
    }

    fn refused(&self, number: OfferNumber) -> usize {
        let is = |it: &&Report| matches!(it, Report::Refused { offer, .. } if *offer == number);
        self.reports.iter().filter(is).count()
    }

    /// What was asked, and about which tag.
    fn asks(&self) -> Vec<(&'static str, String)> {
        let ask = |call: &Call| match &call.ask {
            Ask::Authorize { tag, .. } => ("Authorize", tag.as_str().to_owned()),
            Ask::Start { tag, .. } => ("Start", tag.as_str().to_owned()),
            Ask::Stop(tag) => ("Stop", tag.as_str().to_owned()),
            Ask::Relay { action, .. } => panic!("{action} is for backends"),
        };
        self.calls.iter().map(ask).collect()
    }

    fn transactions(&self) -> Vec<Transaction> {
        self.disk.transactions.values().cloned().collect()
    }

    fn open(&self) -> usize {
        let open = |it: &&Transaction| it.stopped.is_none();
        self.disk.transactions.values().filter(open).count()
    }

    /// How the newest transaction ended: reason and register.
    fn ending(&self) -> Option<(String, Option<i64>)> {
        let stopped = self.transactions().pop()?.stopped?;
        Some((stopped.reason, stopped.meter_stop.map(|it| it.0)))
    }
}

/// So long after the start of a bench.
fn at(seconds: u64) -> String {
    let noon: jiff::Timestamp = NOON.parse().unwrap();
    timestamp::format(noon + Duration::from_secs(seconds))
}

fn tag(text: &str) -> IdTag {
    text.into()
}
