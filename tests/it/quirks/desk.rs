//! The site alone, and a wallbox `CB` that is written down frame by frame.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use chargewarden::clock::{Mono, Now, Random};
use chargewarden::ids::{ChargeBoxId, LinkId};
use chargewarden::journal::{Recovered, Transaction};
use chargewarden::load::WhenDisabled;
use chargewarden::sim::{WallboxPlan, WorldPlan};
use chargewarden::site::status::{EvseStatus, OcppServerStatus};
use chargewarden::site::{Input, Output, Site};

use crate::schema::Checker;

/// When every desk begins.
pub(super) const NOON: &str = "2026-06-01T12:00:00Z";

pub(super) struct Desk {
    pub(super) site: Site,
    pub(super) now: Now,
    /// What our CALLs are answered with, where that is not `Accepted`.
    pub(super) answers: BTreeMap<&'static str, Value>,
    /// Every frame of ours.
    pub(super) sent: Vec<Value>,
    /// Every CALL of ours.
    pub(super) asked: Vec<(String, Value)>,
    pub(super) closed: Vec<LinkId>,
    pub(super) link: LinkId,
    disk: Recovered,
    checker: Checker,
    calls: u32,
}

impl Desk {
    /// Connected, and nothing was said yet.
    pub(super) fn new() -> Self {
        Self::of(&WorldPlan::new(1).with_load(|load| {
            load.when_disabled = WhenDisabled::Release;
            load.start_up_hold = Duration::ZERO;
        }))
    }

    fn of(plan: &WorldPlan) -> Self {
        let plan = plan.clone().fuse("house", 32);
        let plan = plan.wallbox(WallboxPlan::new("CB")).site_plan();
        let now = Now {
            mono: Mono::START,
            wall: NOON.parse().unwrap(),
        };
        let mut desk = Self {
            site: Site::new(now, plan, &Recovered::default(), Random::new(1)),
            now,
            answers: BTreeMap::new(),
            sent: Vec::new(),
            asked: Vec::new(),
            closed: Vec::new(),
            link: LinkId(0),
            disk: Recovered::default(),
            checker: Checker::new(),
            calls: 0,
        };
        desk.drain();
        desk.up();
        desk
    }

    /// Booted and available.
    pub(super) fn booted() -> Self {
        let mut desk = Self::new();
        let boot = json!({"chargePointVendor": "Acme", "chargePointModel": "WB"});
        desk.call("BootNotification", &boot);
        desk.status(1, "Available");
        desk
    }

    /// In a transaction; returns its id too.
    pub(super) fn charging() -> (Self, i64) {
        let mut desk = Self::booted();
        desk.status(1, "Preparing");
        let id = desk.start(100);
        desk.status(1, "Charging");
        (desk, id)
    }

    /// A new connection; the old one stays as it is.
    pub(super) fn up(&mut self) {
        self.link = LinkId(self.link.0 + 1);
        self.act(Input::Up {
            link: self.link,
            address: ChargeBoxId::from("CB"),
            peer: "here".to_owned(),
        });
    }

    pub(super) fn down(&mut self, link: LinkId) {
        self.act(Input::Down { link });
    }

    pub(super) fn act(&mut self, input: Input) {
        self.site.handle(self.now, input);
        self.drain();
    }

    /// Carries everything out, and answers our CALLs.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.site.poll_output() {
            match output {
                Output::Persist(seq, record) => {
                    self.disk.apply(record);
                    self.site.handle(self.now, Input::Committed(seq));
                }
                Output::Send { text, .. } => {
                    self.checker.sent(&text);
                    let frame: Value = serde_json::from_str(&text).unwrap();
                    self.sent.push(frame.clone());
                    if frame[0] == 2 {
                        self.answer(&frame);
                    }
                }
                Output::Ping { .. } | Output::Modbus { .. } => {}
                Output::Close { link, .. } => self.closed.push(link),
                Output::Fetch { .. }
                | Output::Dial { .. }
                | Output::Request { .. }
                | Output::Upload { .. } => {
                    panic!("there is no backend here")
                }
            }
        }
    }

    fn answer(&mut self, frame: &Value) {
        let action = frame[2].as_str().unwrap();
        self.asked.push((action.to_owned(), frame[3].clone()));
        let usual = match action {
            "GetConfiguration" => json!({"configurationKey": []}),
            "GetCompositeSchedule" => json!({"status": "Rejected"}),
            _ => json!({"status": "Accepted"}),
        };
        let answer = self.answers.get(action).unwrap_or(&usual);
        let text = json!([3, frame[1], answer]).to_string();
        self.site.handle(
            self.now,
            Input::Frame {
                link: self.link,
                text,
            },
        );
    }

    pub(super) fn frame(&mut self, text: &str) {
        self.checker.received(text);
        self.act(Input::Frame {
            link: self.link,
            text: text.to_owned(),
        });
    }

    /// The wallbox calls; returns what it is answered.
    #[track_caller]
    pub(super) fn call(&mut self, action: &str, payload: &Value) -> Value {
        self.calls += 1;
        let id = format!("w{}", self.calls);
        let before = self.sent.len();
        self.frame(&json!([2, id, action, payload]).to_string());
        let mut answers = self.sent[before..].iter();
        let answer = answers.find(|frame| frame[0] != 2 && frame[1] == id);
        let answer = answer.unwrap_or_else(|| panic!("no answer to {action}"));
        assert_eq!(answer[0], 3, "{action} was refused: {answer}");
        answer[2].clone()
    }

    pub(super) fn status(&mut self, connector: u32, status: &str) {
        let payload = json!({"connectorId": connector, "errorCode": "NoError", "status": status});
        assert_eq!(self.call("StatusNotification", &payload), json!({}));
    }

    pub(super) fn start(&mut self, meter: i64) -> i64 {
        let time = self.now.wall.to_string();
        let start =
            json!({"connectorId": 1, "idTag": "TAG", "meterStart": meter, "timestamp": time});
        let answer = self.call("StartTransaction", &start);
        answer["transactionId"].as_i64().unwrap()
    }

    pub(super) fn stop(&mut self, id: i64, meter: i64) -> Value {
        let time = self.now.wall.to_string();
        let stop = json!({"transactionId": id, "meterStop": meter, "timestamp": time});
        self.call("StopTransaction", &stop)
    }

    /// Meter values with these samples.
    pub(super) fn measure(&mut self, transaction: Option<i64>, samples: &Value) {
        let time = self.now.wall.to_string();
        let mut values = json!({"connectorId": 1,
            "meterValue": [{"timestamp": time, "sampledValue": samples}]});
        if let Some(id) = transaction {
            values["transactionId"] = json!(id);
        }
        assert_eq!(self.call("MeterValues", &values), json!({}));
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        while let Some(due) = self.site.poll_timeout().filter(|due| *due <= end) {
            self.set_time(due.max(self.now.mono));
            self.site.handle_timeout(self.now);
            self.drain();
        }
        self.set_time(end);
    }

    fn set_time(&mut self, mono: Mono) {
        let gone = mono.since(self.now.mono);
        self.now = Now {
            mono,
            wall: self.now.wall + gone,
        };
    }

    /// What the status shows.
    pub(super) fn evse(&self) -> EvseStatus {
        let server = OcppServerStatus {
            port: 0,
            tls: String::new(),
            connections: 0,
        };
        self.site.status(self.now, server).evses.remove(0)
    }

    /// Every transaction, oldest first.
    pub(super) fn transactions(&self) -> Vec<Transaction> {
        self.disk.transactions.values().cloned().collect()
    }

    /// The ids of the open ones.
    pub(super) fn open(&self) -> Vec<i64> {
        let all = self.disk.transactions.values();
        all.filter(|t| t.stopped.is_none())
            .map(|t| t.wallbox_id)
            .collect()
    }
}
