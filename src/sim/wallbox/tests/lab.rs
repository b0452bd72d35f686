//! A wallbox and a central system that accepts everything.

use serde_json::{Value, json};

use super::super::*;
use crate::ocpp::charging_profile::Tenths;

pub(super) const C1: ConnectorId = ConnectorId(1);
pub(super) const C2: ConnectorId = ConnectorId(2);

/// A wallbox and the central system it talks to, which accepts everything.
pub(super) struct Lab {
    pub(super) wallbox: Wallbox,
    pub(super) now: Now,
    /// (action, payload) of every CALL of the wallbox.
    pub(super) calls: Vec<(String, Value)>,
    /// Answers to our own CALLs.
    pub(super) answers: Vec<Value>,
    /// Message ids of the wallbox.
    pub(super) ids: Vec<Value>,
    /// What the central system says instead of its usual answer.
    pub(super) says: BTreeMap<&'static str, Value>,
    pub(super) silent: bool,
    pub(super) asked: u64,
    pub(super) transactions: i64,
    pub(super) hung_up: bool,
}

impl Lab {
    pub(super) fn new(plan: WallboxPlan) -> Self {
        Self {
            wallbox: Wallbox::new(plan, Random::new(1)),
            now: Now {
                mono: Mono::START,
                wall: "2026-01-15T10:00:00Z".parse().unwrap(),
            },
            calls: Vec::new(),
            answers: Vec::new(),
            ids: Vec::new(),
            says: BTreeMap::new(),
            silent: false,
            asked: 0,
            transactions: 40,
            hung_up: false,
        }
    }

    pub(super) fn quirk(quirk: Quirk) -> Self {
        Self::new(WallboxPlan::new("CB").quirk(quirk)).connected()
    }

    /// Connected and accepted.
    pub(super) fn connected(mut self) -> Self {
        self.connect();
        self.calls.clear();
        self
    }

    /// With a car that is authorized and in a transaction.
    pub(super) fn charging(mut self) -> Self {
        self.start(C1);
        self.calls.clear();
        self
    }

    pub(super) fn start(&mut self, connector: ConnectorId) {
        self.plug(connector);
        self.tap(connector);
    }

    pub(super) fn plug(&mut self, connector: ConnectorId) {
        self.wallbox.plug(self.now, connector, Car::default());
        self.drain();
    }

    pub(super) fn tap(&mut self, connector: ConnectorId) {
        self.wallbox.present_tag(self.now, connector, &"TAG".into());
        self.drain();
    }

    pub(super) fn connect(&mut self) {
        self.wallbox.handle_connected(self.now);
        self.drain();
    }

    pub(super) fn lose_link(&mut self) {
        self.wallbox.handle_disconnected(self.now);
        self.drain();
    }

    /// Lets time pass, second by second or in the steps that the wallbox wants.
    pub(super) fn wait(&mut self, seconds: u64) {
        let end = self.now.mono + Duration::from_secs(seconds);
        while let Some(at) = self.wallbox.poll_timeout().filter(|at| *at <= end) {
            self.set_time(at.max(self.now.mono));
            self.wallbox.handle_timeout(self.now);
            self.drain();
        }
        self.set_time(end);
    }

    pub(super) fn set_time(&mut self, mono: Mono) {
        let gone = SignedDuration::try_from(mono.since(self.now.mono)).unwrap();
        self.now = Now {
            mono,
            wall: self.now.wall + gone,
        };
    }

    pub(super) fn drain(&mut self) {
        while let Some(output) = self.wallbox.poll_output() {
            match output {
                Output::Disconnect => self.hung_up = true,
                Output::Send(text) => {
                    let frame: Vec<Value> = serde_json::from_str(&text).unwrap();
                    self.take(&frame);
                }
            }
        }
    }

    pub(super) fn take(&mut self, frame: &[Value]) {
        if frame[0] != 2 {
            self.answers.push(json!(frame[2..]));
            return;
        }
        self.ids.push(frame[1].clone());
        let action = frame[2].as_str().unwrap().to_owned();
        let answer = self.answer_to(&action);
        self.calls.push((action, frame[3].clone()));
        if !self.silent {
            let answer = match answer {
                Value::String(code) => json!([4, frame[1], code, "", {}]),
                payload => json!([3, frame[1], payload]),
            };
            self.wallbox.handle_frame(self.now, &answer.to_string());
        }
    }

    pub(super) fn answer_to(&mut self, action: &str) -> Value {
        if let Some(answer) = self.says.get(action) {
            return answer.clone();
        }
        let time = self.now.wall;
        match action {
            "BootNotification" => {
                json!({"status": "Accepted", "currentTime": time, "interval": 300})
            }
            "Heartbeat" => json!({ "currentTime": time }),
            "Authorize" => json!({"idTagInfo": {"status": "Accepted"}}),
            "StartTransaction" => {
                self.transactions += 1;
                json!({"transactionId": self.transactions, "idTagInfo": {"status": "Accepted"}})
            }
            _ => json!({}),
        }
    }

    /// Sends a CALL; the answer without type and id, if it comes at once.
    pub(super) fn ask(&mut self, action: &str, payload: &Value) -> Option<Value> {
        self.asked += 1;
        let frame = json!([2, format!("ask-{}", self.asked), action, payload]);
        let before = self.answers.len();
        self.wallbox.handle_frame(self.now, &frame.to_string());
        self.drain();
        self.answers.get(before).cloned()
    }

    pub(super) fn limit(&mut self, connector: ConnectorId, more: &Value) -> Option<Value> {
        let mut profile = json!({
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {"chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.7}]}});
        for (key, value) in more.as_object().unwrap() {
            profile[key] = value.clone();
        }
        let payload = json!({"connectorId": connector.0, "csChargingProfiles": profile});
        self.ask("SetChargingProfile", &payload)
    }

    pub(super) fn limit_to(&mut self, amps: f64) {
        let amps = MilliAmps::from_amps_f64(amps).map(Tenths::of_amps);
        let period = json!([{"startPeriod": 0, "limit": amps}]);
        let schedule = json!({"chargingRateUnit": "A", "chargingSchedulePeriod": period});
        let answer = self.limit(C1, &json!({ "chargingSchedule": schedule }));
        assert_eq!(answer, Some(json!([{"status": "Accepted"}])));
    }

    pub(super) fn sent(&self) -> Vec<&str> {
        self.calls
            .iter()
            .map(|(action, _)| action.as_str())
            .collect()
    }

    /// Payloads of the CALLs of one action.
    pub(super) fn payloads(&self, wanted: &str) -> Vec<&Value> {
        let calls = self.calls.iter();
        calls
            .filter(|(action, _)| action == wanted)
            .map(|(_, payload)| payload)
            .collect()
    }

    pub(super) fn statuses(&self) -> Vec<&str> {
        let all = self.payloads("StatusNotification");
        all.iter()
            .map(|payload| payload["status"].as_str().unwrap())
            .collect()
    }

    pub(super) fn allowed(&self) -> i32 {
        self.wallbox.allowed(C1, self.now).0
    }

    pub(super) fn drawn(&self) -> PerPhase<MilliAmps> {
        self.wallbox.drawn(C1, self.now)
    }

    pub(super) fn violations(&self) -> &[String] {
        self.wallbox.violations()
    }
}

pub(super) fn lab() -> Lab {
    Lab::new(WallboxPlan::new("CB")).connected()
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what came")]
pub(super) fn accepted() -> Option<Value> {
    Some(json!([{"status": "Accepted"}]))
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with what came")]
pub(super) fn rejected() -> Option<Value> {
    Some(json!([{"status": "Rejected"}]))
}
