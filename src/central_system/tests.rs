//! A station and a wallbox that is written down frame by frame.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::clock::{Mono, Now, Random};
use crate::evse::{
    Ask, AuthorizationStatus, Demand, Limit, Measured, Offer, Reason, Report, Verdict,
};
use crate::ids::{ConnectorId, LinkId, OfferNumber};
use crate::journal::{Record, Recovered};
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
    sent: Vec<(Value, bool)>,
    reports: Vec<Report>,
    disk: Recovered,
    closed: Vec<(LinkId, u16)>,
    next_id: u32,
    schema: crate::schema::Checker,
}

impl Bench {
    fn with(connectors: u32, disk: Recovered) -> Self {
        let plan = StationPlan {
            id: "CB".into(),
            connectors: (1..=connectors)
                .map(|n| (ConnectorId(n), connector(n)))
                .collect(),
            heartbeat_interval: Duration::from_secs(300),
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
            sent: Vec::new(),
            reports: Vec::new(),
            disk,
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
        let mut bench = Self::new();
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
                Output::Persist(record) => self.disk.apply(record),
                Output::Send { text, lowers, .. } => {
                    self.schema.sent(&text);
                    self.sent
                        .push((serde_json::from_str(&text).unwrap(), lowers));
                }
                Output::Ping { .. } => {}
                Output::Close { link, code, .. } => self.closed.push((link, code)),
                Output::Report { report, .. } => self.reports.push(report),
                Output::Call(call) => {
                    self.asks.push(call.ask);
                    let verdict = self.verdict.clone();
                    self.act(|station, context| station.handle_reply(context, call.id, &verdict));
                }
            }
        }
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
        self.station.rpc_is_busy().then(|| {
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

// ---- registration and set-up --------------------------------------------------------------

#[test]
fn a_boot_is_accepted_at_once_with_our_time_and_interval() {
    let mut bench = Bench::new();
    bench.up(LINK);
    let answer = bench.call("BootNotification", &boot("1.0"));
    assert_eq!(
        answer,
        json!({"status": "Accepted", "currentTime": NOON, "interval": 300})
    );
    assert!(bench.reports.contains(&Report::Booted));
}

#[test]
fn nothing_is_asked_before_the_wallbox_booted() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.wait(4);
    assert!(bench.sent.is_empty(), "{:?}", bench.sent);
}

#[test]
fn a_wallbox_that_never_boots_is_asked_to_and_used_after_a_minute_all_the_same() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.wait(6);
    let (action, payload) = bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(
        (action.as_str(), &payload["requestedMessage"]),
        ("TriggerMessage", &json!("BootNotification"))
    );
    bench.wait(50);
    assert_eq!(bench.last_limit(), None);
    bench.wait(10);
    bench.answer_everything();
    assert_eq!(bench.last_limit(), Some(0.0));
}

#[test]
fn a_known_wallbox_that_reconnects_without_boot_is_limited_without_being_asked_for_its_keys() {
    let mut bench = Bench::booted();
    bench.down();
    bench.up(LinkId(2));
    bench.offer(1, 0);
    bench.call("Heartbeat", &json!({}));
    let before = bench.sent.len();
    bench.wait(4);
    assert_eq!(bench.sent[before].0[2], "SetChargingProfile");
}

#[test]
fn the_keys_are_read_before_the_first_profile_because_they_say_which_one_fits() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.call("BootNotification", &boot("1.0"));
    let (action, _) = bench.respond(&keys(&[
        ("ChargeProfileMaxStackLevel", "3", true),
        ("ChargingScheduleAllowedChargingRateUnit", "Power", true),
    ]));
    assert_eq!(action, "GetConfiguration");
    let (_, action, payload) = bench.outstanding().unwrap();
    assert_eq!(action, "SetChargingProfile");
    assert_eq!(payload["csChargingProfiles"]["stackLevel"], 3);
    assert_eq!(
        payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"],
        "W"
    );
}

#[test]
fn only_what_differs_is_changed() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    let asked = bench.answer_everything();
    let changed: Vec<&Value> = asked
        .iter()
        .filter(|(a, _)| a == "ChangeConfiguration")
        .map(|(_, p)| &p["key"])
        .collect();
    assert_eq!(
        changed,
        [
            &json!("MeterValuesSampledData"),
            &json!("MeterValueSampleInterval")
        ]
    );
}

#[test]
fn a_wallbox_that_does_not_list_its_keys_is_asked_for_those_that_matter() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.call("BootNotification", &boot("1.0"));
    let (id, ..) = bench.outstanding().unwrap();
    bench.frame(&json!([4, id, "InternalError", "", {}]).to_string());
    let (action, payload) = bench.respond(&keys(&[("ChargeProfileMaxStackLevel", "5", true)]));
    assert_eq!(
        (action.as_str(), payload),
        (
            "GetConfiguration",
            json!({"key": ["ChargeProfileMaxStackLevel"]})
        )
    );
}

#[test]
fn housekeeping_that_is_not_answered_makes_room_for_a_limit_after_5_seconds() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    assert_eq!(bench.outstanding().unwrap().1, "GetConfiguration");
    bench.offer(1, 0);
    bench.wait(4);
    assert_eq!(bench.last_limit(), None);
    bench.wait(2);
    assert_eq!(bench.last_limit(), Some(0.0));
}

#[test]
fn one_call_at_a_time() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.offer(2, 6000);
    bench.offer(3, 8000);
    let calls = bench
        .sent
        .iter()
        .filter(|(frame, _)| frame[2] == "SetChargingProfile")
        .count();
    assert_eq!(calls, 1, "the second waits for the answer to the first");
    bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(
        bench.last_limit(),
        Some(8.0),
        "and the stale one was never sent"
    );
}

#[test]
fn a_status_that_did_not_come_by_itself_is_asked_for_and_one_that_came_is_not() {
    for (sends, expected) in [(false, true), (true, false)] {
        let mut bench = Bench::booted();
        if sends {
            bench.status("Available");
        }
        bench.wait(5);
        let asked = bench.answer_everything();
        let triggered = asked
            .iter()
            .any(|(_, p)| p["requestedMessage"] == "StatusNotification");
        assert_eq!(triggered, expected);
    }
}

// ---- limits -------------------------------------------------------------------------------

#[test]
fn an_accepted_limit_is_reported_and_not_sent_again() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.respond(&json!({"status": "Accepted"}));
    assert!(bench.reports.contains(&Report::Took(OfferNumber(1))));
    bench.answer_everything();
    let sent = bench.sent.len();
    bench.wait(120);
    let again = bench.sent[sent..]
        .iter()
        .filter(|(f, _)| f[2] == "SetChargingProfile")
        .count();
    assert_eq!(again, 0);
}

#[test]
fn only_what_lowers_overtakes_the_journal() {
    let mut bench = Bench::booted();
    for (number, milliamps, lowers) in [(1, 6000, true), (2, 16_000, false), (3, 0, true)] {
        bench.offer(number, milliamps);
        let sent = bench
            .sent
            .iter()
            .rev()
            .find(|(f, _)| f[2] == "SetChargingProfile")
            .unwrap();
        assert_eq!(sent.1, lowers, "offer {number}");
        bench.answer_everything();
    }
}

#[test]
fn a_refused_limit_is_reported_with_what_the_wallbox_said() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.respond(&json!({"status": "NotSupported"}));
    let refused = Report::Refused {
        offer: OfferNumber(1),
        why: "NotSupported".to_owned(),
    };
    assert!(bench.reports.contains(&refused));
}

#[test]
fn a_limit_that_is_not_answered_is_sent_again() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    let count = |bench: &Bench| {
        bench
            .sent
            .iter()
            .filter(|(frame, _)| frame[2] == "SetChargingProfile")
            .count()
    };
    bench.call("Heartbeat", &json!({}));
    bench.wait(35);
    assert_eq!(count(&bench), 1);
    bench.wait(10);
    assert_eq!(count(&bench), 2);
}

#[test]
fn after_a_reboot_the_limit_is_unknown_and_sent_again() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.answer_everything();
    bench.call("BootNotification", &boot("1.0"));
    assert_eq!(bench.outstanding().unwrap().1, "SetChargingProfile");
}

#[test]
fn below_an_accepted_absolute_profile_a_relative_one_is_laid() {
    let mut bench = Bench::booted();
    bench.offer(1, 16_000);
    bench.respond(&json!({"status": "Accepted"}));
    let (_, action, payload) = bench.outstanding().unwrap();
    assert_eq!(action, "SetChargingProfile");
    let floor = &payload["csChargingProfiles"];
    assert_eq!(
        (&floor["stackLevel"], &floor["chargingProfileKind"]),
        (&json!(7), &json!("Relative"))
    );
    assert_eq!(
        floor["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"],
        0
    );
}

// ---- transactions -------------------------------------------------------------------------

#[test]
fn a_start_is_answered_with_our_number_and_then_demands_current() {
    let mut bench = Bench::booted();
    bench.status("Preparing");
    assert_eq!(bench.demand(), Some(Demand::Plugged));
    let answer = bench.start();
    assert_eq!(answer["idTagInfo"], json!({"status": "Accepted"}));
    assert_eq!(bench.open(), [answer["transactionId"].as_i64().unwrap()]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn a_start_sent_again_gets_the_same_id_with_the_same_or_a_new_message_id() {
    let mut bench = Bench::booted();
    let first = bench.call_as("s1", "StartTransaction", &start(100));
    let same_id = bench.call_as("s1", "StartTransaction", &start(100));
    let new_id = bench.call_as("s2", "StartTransaction", &start(100));
    bench.down();
    bench.up(LinkId(2));
    let later = bench.call_as("s3", "StartTransaction", &start(100));
    assert_eq!([&same_id, &new_id, &later], [&first; 3]);
    assert_eq!(bench.open().len(), 1);
}

#[test]
fn a_start_sent_again_after_our_restart_gets_the_same_id() {
    let mut bench = Bench::booted();
    let first = bench.start();
    let mut after = Bench::with(1, bench.disk);
    after.up(LINK);
    assert_eq!(after.start(), first);
}

#[test]
fn a_tag_that_may_not_charge_gets_an_id_and_no_current() {
    let mut bench = Bench::booted();
    bench.verdict.status = AuthorizationStatus::Blocked;
    let answer = bench.start();
    assert_eq!(answer["idTagInfo"]["status"], "Blocked");
    assert!(answer["transactionId"].as_i64().unwrap() > 0);
    assert_ne!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn a_stop_ends_the_demand_and_is_kept_with_its_register() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    assert_eq!(bench.call("StopTransaction", &stop(id, 5100)), json!({}));
    assert_eq!(bench.open(), [] as [i64; 0]);
    let ended = bench
        .disk
        .transactions
        .values()
        .next()
        .unwrap()
        .stopped
        .clone()
        .unwrap();
    assert_eq!(
        (ended.meter_stop, ended.reason.as_str()),
        (Some(WattHours(5100)), "Local")
    );
    assert_ne!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn stops_with_absurd_ids_end_the_open_transaction() {
    for id in [-1, 0, i64::MAX, 4711] {
        let mut bench = Bench::booted();
        bench.start();
        assert_eq!(bench.call("StopTransaction", &stop(id, 5100)), json!({}));
        assert_eq!(bench.open(), [] as [i64; 0], "{id}");
    }
}

#[test]
fn a_stop_of_nothing_is_answered_and_a_stop_with_a_tag_says_what_the_tag_is_worth() {
    let mut bench = Bench::booted();
    assert_eq!(bench.call("StopTransaction", &stop(99, 1)), json!({}));
    let mut with_tag = stop(99, 1);
    with_tag["idTag"] = json!("TAG");
    let answer = bench.call("StopTransaction", &with_tag);
    assert_eq!(answer, json!({"idTagInfo": {"status": "Accepted"}}));
}

#[test]
fn malformed_starts_and_stops_are_answered_too() {
    let mut bench = Bench::booted();
    for payload in [
        json!({}),
        json!({"connectorId": "x", "meterStart": []}),
        json!(null),
    ] {
        let answer = bench.call("StartTransaction", &payload);
        assert!(answer["transactionId"].is_i64(), "{payload}");
        bench.call("StopTransaction", &payload);
    }
}

#[test]
fn a_new_start_on_a_busy_connector_ends_the_old_transaction() {
    let mut bench = Bench::booted();
    let old = bench.start()["transactionId"].clone();
    let new = bench.call("StartTransaction", &start(900))["transactionId"].clone();
    assert_ne!(old, new);
    assert_eq!(bench.open(), [new.as_i64().unwrap()]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn a_connector_that_is_no_evse_of_ours_never_charges() {
    let mut bench = Bench::booted();
    let mut second = start(100);
    second["connectorId"] = json!(2);
    bench.verdict = Verdict {
        status: AuthorizationStatus::Invalid,
        ..Verdict::ACCEPTED
    };
    let answer = bench.call("StartTransaction", &second);
    assert_eq!(answer["idTagInfo"]["status"], "Invalid");
    assert_eq!(bench.demand(), None);
}

#[test]
fn a_transaction_that_was_running_before_us_is_adopted() {
    let mut bench = Bench::booted();
    bench.status("Charging");
    bench.call("MeterValues", &sampled(Some(4711), "Sample.Periodic"));
    assert_eq!(bench.open(), [4711]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
    bench.call("StopTransaction", &stop(4711, 9000));
    assert_eq!(bench.open(), [] as [i64; 0]);
}

#[test]
fn late_meter_values_revive_nothing() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    bench.status("Charging");
    bench.call("StopTransaction", &stop(id, 5100));
    bench.call("MeterValues", &sampled(Some(id), "Sample.Periodic"));
    bench.call("MeterValues", &sampled(Some(4711), "Transaction.End"));
    assert_eq!(bench.open(), [] as [i64; 0]);
    bench.status("Available");
    bench.call("MeterValues", &sampled(Some(4712), "Sample.Periodic"));
    assert_eq!(
        bench.open(),
        [] as [i64; 0],
        "nothing charges at a free connector"
    );
}

#[test]
fn a_wallbox_that_is_free_but_never_stops_loses_its_transaction_after_a_minute() {
    let mut bench = Bench::booted();
    bench.start();
    bench.status("Charging");
    bench.call("MeterValues", &sampled(None, "Sample.Periodic"));
    bench.status("Available");
    bench.wait(59);
    assert_eq!(bench.open().len(), 1);
    bench.wait(2);
    assert_eq!(bench.open(), [] as [i64; 0]);
    let ended = bench
        .disk
        .transactions
        .values()
        .next()
        .unwrap()
        .stopped
        .clone()
        .unwrap();
    assert_eq!(
        ended.meter_stop,
        Some(WattHours(7000)),
        "the last register that was seen"
    );
}

#[test]
fn a_start_that_comes_hours_late_from_a_free_connector_gets_no_current() {
    let mut late = start(100);
    late["timestamp"] = json!("2026-06-01T08:00:00Z");
    let mut bench = Bench::booted();
    bench.status("Available");
    assert_eq!(
        bench.call("StartTransaction", &late)["idTagInfo"]["status"],
        "Accepted"
    );
    assert_ne!(bench.demand(), Some(Demand::Charging));
    let mut bench = Bench::booted();
    bench.status("Charging");
    bench.call("StartTransaction", &late);
    assert_eq!(
        bench.demand(),
        Some(Demand::Charging),
        "a timestamp alone proves nothing"
    );
}

#[test]
fn an_open_transaction_goes_on_after_our_restart() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    let mut after = Bench::with(1, bench.disk);
    assert_eq!(after.demand(), Some(Demand::Charging));
    after.up(LINK);
    after.call("StopTransaction", &stop(id, 200));
    assert_eq!(after.open(), [] as [i64; 0]);
}

#[test]
fn a_reboot_in_mid_transaction_ends_nothing() {
    let mut bench = Bench::booted();
    bench.start();
    bench.down();
    bench.up(LinkId(2));
    bench.call("BootNotification", &boot("1.0"));
    assert_eq!(bench.open().len(), 1);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

// ---- everything else ------------------------------------------------------------------------

#[test]
fn the_newest_link_wins_and_loses_no_state() {
    let mut bench = Bench::booted();
    bench.start();
    bench.up(LinkId(2));
    assert_eq!(bench.closed, [(LINK, 1000)]);
    assert_eq!(bench.open().len(), 1);
    assert!(
        !bench.reports.contains(&Report::Online(false)),
        "it was never away"
    );
}

#[test]
fn meter_values_are_reported_per_phase() {
    let mut bench = Bench::booted();
    let value = |v: &str, m: &str, phase: &str, unit: &str| json!({"value": v, "measurand": m, "phase": phase, "unit": unit});
    bench.call(
        "MeterValues",
        &json!({"connectorId": 1, "meterValue": [{"timestamp": NOON, "sampledValue": [
            value("10.5", "Current.Import", "L1", "A"),
            value("10.6", "Current.Import", "L2-N", "A"),
            value("10.4", "Current.Import", "L3", "A"),
            {"value": "7.25", "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": "123456"},
        ]}]}),
    );
    let expected = Measured {
        current: Some(PerPhase([
            MilliAmps(10_500),
            MilliAmps(10_600),
            MilliAmps(10_400),
        ])),
        power: Some(Watts(7250)),
        energy: Some(WattHours(123_456)),
    };
    assert_eq!(bench.reports.last(), Some(&Report::Measured(expected)));
}

#[test]
fn a_list_of_measurands_that_is_rejected_is_probed_one_by_one() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    bench.respond(&keys(&[("MeterValuesSampledData", "", false)]));
    let mut values = Vec::new();
    while let Some((_, action, payload)) = bench.outstanding() {
        let value = payload["value"].as_str().unwrap_or_default().to_owned();
        let known = !value.contains("Current.Offered");
        if action == "ChangeConfiguration" {
            values.push(value);
        }
        bench.respond(&json!({"status": if known { "Accepted" } else { "Rejected" }}));
    }
    let last = "Energy.Active.Import.Register,Power.Active.Import,Current.Import";
    assert_eq!(values.last().map(String::as_str), Some(last));
}

#[test]
fn unknown_actions_and_those_of_the_wrong_direction_are_told_apart() {
    let mut bench = Bench::booted();
    for (action, code) in [
        ("DoMagic", "NotImplemented"),
        ("RemoteStartTransaction", "NotSupported"),
    ] {
        bench.frame(&json!([2, "x", action, {}]).to_string());
        let (last, _) = bench.sent.last().unwrap();
        assert_eq!((&last[0], &last[2]), (&json!(4), &json!(code)), "{action}");
    }
}

#[test]
fn data_transfer_noise_of_evbox_is_accepted_and_other_vendors_are_unknown() {
    let mut bench = Bench::booted();
    let noise = json!({"vendorId": "EV-BOX", "messageId": "evbStatusNotification", "data": "x"});
    assert_eq!(
        bench.call("DataTransfer", &noise),
        json!({"status": "Accepted"})
    );
    let other = json!({"vendorId": "com.example"});
    assert_eq!(
        bench.call("DataTransfer", &other),
        json!({"status": "UnknownVendorId"})
    );
}

#[test]
fn garbage_costs_nothing() {
    let mut bench = Bench::booted();
    for text in [
        "",
        "nonsense",
        "[]",
        "[2]",
        "[9,\"a\"]",
        "{}",
        "[2,\"q\",\"MeterValues\",7]",
        "[3,\"nobody\",{}]",
    ] {
        bench.frame(text);
    }
    assert_eq!(
        bench.call("Heartbeat", &json!({})),
        json!({"currentTime": NOON})
    );
}

#[test]
fn authorize_is_judged_by_the_upstream() {
    let mut bench = Bench::booted();
    bench.verdict = Verdict {
        status: AuthorizationStatus::Expired,
        expires: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        parent: Some("FAMILY".into()),
    };
    let answer = bench.call("Authorize", &json!({"idTag": "T"}));
    let expected = json!({"idTagInfo": {
        "status": "Expired", "expiryDate": "2026-01-01T00:00:00Z", "parentIdTag": "FAMILY",
    }});
    assert_eq!(answer, expected);
    assert_eq!(bench.asks, [Ask::Authorize("T".into())]);
}

#[test]
fn a_peer_that_went_silent_is_closed_and_reported_away() {
    let mut bench = Bench::booted();
    bench.wait(901);
    assert_eq!(bench.closed, [(LINK, 1001)]);
    assert_eq!(bench.reports.last(), Some(&Report::Online(false)));
}

#[test]
fn what_a_wallbox_told_of_itself_is_remembered_over_a_restart_until_its_firmware_changes() {
    let bench = Bench::booted();
    let disk: BTreeMap<_, _> = bench.disk.memory.clone();
    assert_eq!(disk.len(), 1);
    let mut after = Bench::with(1, bench.disk);
    after.up(LINK);
    after.offer(1, 0);
    after.call("BootNotification", &boot("1.0"));
    assert_eq!(
        after.outstanding().unwrap().1,
        "SetChargingProfile",
        "at once"
    );
    let mut updated = Bench::with(1, after.disk);
    updated.up(LINK);
    updated.offer(1, 0);
    updated.call("BootNotification", &boot("2.0"));
    assert_eq!(updated.outstanding().unwrap().1, "GetConfiguration");
}

#[test]
fn the_raw_start_and_stop_are_kept_byte_for_byte() {
    let mut bench = Bench::booted();
    let raw = r#"{ "connectorId":1,"idTag":"T\u0041G" ,"meterStart":100.0,"timestamp":"2026-06-01T12:00:00Z","x":1e2}"#;
    let mut kept = Vec::new();
    let text = format!("[2,\"raw\",\"StartTransaction\",{raw}]");
    let now = Now {
        mono: Mono(bench.time),
        wall: NOON.parse().unwrap(),
    };
    let mut context = Context {
        now,
        random: &mut bench.random,
        numbers: &mut bench.numbers,
    };
    bench.station.handle_frame(&mut context, &text);
    while let Some(output) = bench.station.poll_output() {
        if let Output::Persist(Record::Entry(entry)) = output {
            kept.push(entry.payload);
        }
    }
    assert_eq!(kept, [raw]);
}
