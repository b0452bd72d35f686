//! A charge point whose wallboxes we play.

use super::*;

pub(super) const ACCEPTED: &str = r#"{"status":"Accepted"}"#;
pub(super) const REJECTED: &str = r#"{"status":"Rejected"}"#;
const BRAIN: &str = r#"{"chargePointVendor":"cFos","chargePointModel":"Power Brain 2","chargePointSerialNumber":"PB-1","firmwareVersion":"2.0"}"#;
const WHOLE: &str = r#"{"connectorId":0,"errorCode":"NoError","status":"Unavailable","timestamp":"2026-06-01T12:00:00Z"}"#;

/// A unit behind one gateway to Modbus.
pub(super) fn brain(evse: &str, unit: u32) -> MemberPlan {
    MemberPlan {
        is_ocpp: false,
        ..member(evse, "192.0.2.7:4701", unit)
    }
}

pub(super) fn one() -> GatewayPlan {
    plan(vec![brain("left", 3)])
}

pub(super) fn two() -> GatewayPlan {
    plan(vec![brain("left", 3), brain("right", 4)])
}

impl Bench {
    /// The devices are there, free, and say what they are; the backend is ready.
    pub(super) fn played(plan: GatewayPlan) -> Self {
        let mut bench = Self::of(plan);
        bench.brains_come();
        bench.connect();
        bench
    }

    fn brains_come(&mut self) {
        for evse in self.evses() {
            self.report(&evse, &Report::Online(true));
        }
        self.notice(None, "BootNotification", BRAIN);
        for evse in self.evses() {
            self.stands(&evse, "Available");
        }
    }

    pub(super) fn stands(&mut self, evse: &str, status: &str) {
        let payload = AVAILABLE.replace("Available", status);
        self.notice(Some(evse), "StatusNotification", &payload);
    }

    fn boots(&mut self) -> usize {
        let asked = self.answer_everything();
        asked.iter().filter(|it| it.0 == "BootNotification").count()
    }

    pub(super) fn status_for(&mut self, action: &str, payload: &Value) -> Value {
        let answer = self.command(action, payload).expect("an answer at once");
        assert_eq!(answer[0], 3, "{answer}");
        answer[2]["status"].clone()
    }

    /// The code of the CALLERROR.
    pub(super) fn error_for(&mut self, action: &str, payload: &Value) -> Value {
        let answer = self.command(action, payload).expect("an answer at once");
        assert_eq!(answer[0], 4, "{answer}");
        answer[2].clone()
    }

    /// Every wallbox that was ordered something answers, in this order; who they were.
    pub(super) fn all_say(&mut self, outcomes: &[&str]) -> Vec<String> {
        let orders = std::mem::take(&mut self.orders);
        assert_eq!(orders.len(), outcomes.len(), "{orders:?}");
        let mut names = Vec::new();
        for ((evse, order), said) in orders.into_iter().zip(outcomes) {
            names.push(evse.as_str().to_owned());
            let said = Ok((*said).to_owned());
            self.act(|gateway, context| gateway.handle_outcome(context, order.id, said));
        }
        // A reservation that was taken is cancelled at the others: nobody waits for that.
        self.orders
            .retain(|(_, order)| order.action != "CancelReservation");
        names
    }

    pub(super) fn last_status(&mut self) -> Value {
        let id = format!("b{}", self.next_id);
        self.answer_to(&id).expect("an answer")[2]["status"].clone()
    }
}

#[test]
fn a_wallbox_with_a_configured_name_is_shown_at_once_and_by_that_name() {
    let mut plan = one();
    plan.boot.vendor = Some("Acme".to_owned());
    plan.boot.model = Some("Two".to_owned());
    let mut bench = Bench::of(plan);
    bench.wait(1);
    assert_eq!(bench.dials, 1);
    bench.up();
    let (id, boot) = bench.expect("BootNotification");
    assert_eq!(
        boot,
        json!({"chargePointVendor": "Acme", "chargePointModel": "Two"})
    );
    bench.answer(&id, &good_answer("BootNotification", &boot));
    bench.notice(None, "BootNotification", BRAIN);
    let (_, boot) = bench
        .answer_everything()
        .into_iter()
        .find(|it| it.0 == "BootNotification")
        .unwrap();
    let expected = json!({
        "chargePointVendor": "Acme", "chargePointModel": "Two",
        "chargePointSerialNumber": "PB-1", "firmwareVersion": "2.0"});
    assert_eq!(boot, expected, "the rest is the device's");
}

#[test]
fn a_wallbox_without_a_name_is_shown_when_it_says_what_it_is() {
    let mut bench = Bench::of(one());
    bench.wait(30);
    assert_eq!(bench.dials, 0);
    bench.notice(None, "BootNotification", BRAIN);
    assert_eq!(bench.dials, 1);
    bench.up();
    let (_, boot) = bench.expect("BootNotification");
    assert_eq!(boot, serde_json::from_str::<Value>(BRAIN).unwrap());
    let mut again = bench.crash();
    again.wait(1);
    assert_eq!(again.dials, 1, "it is known after a restart");
}

#[test]
fn a_wallbox_that_is_never_there_is_shown_after_a_minute_as_what_it_must_be() {
    let mut bench = Bench::of(one());
    bench.wait(58);
    assert_eq!(bench.dials, 0);
    bench.wait(3);
    assert_eq!(bench.dials, 1);
    bench.up();
    let (_, boot) = bench.expect("BootNotification");
    let expected = json!({"chargePointVendor": "cFos", "chargePointModel": "Power Brain"});
    assert_eq!(boot, expected);
}

#[test]
fn a_wallbox_boots_again_only_with_news_and_never_during_a_transaction() {
    let mut bench = Bench::played(one());
    for _ in 0..3 {
        bench.notice(None, "BootNotification", BRAIN);
        assert_eq!(bench.boots(), 0, "nothing new");
    }
    bench.start(7);
    bench.answer_everything();
    bench.notice(None, "BootNotification", &BRAIN.replace("2.0", "2.1"));
    bench.wait(120);
    assert_eq!(bench.boots(), 0, "some backends would end the transaction");
    bench.stop(7);
    let asked = bench.answer_everything();
    assert_eq!(asked[0].0, "StopTransaction");
    assert_eq!(asked[1].0, "BootNotification");
    assert_eq!(asked[1].1["firmwareVersion"], "2.1");
    bench.wait(120);
    assert_eq!(bench.boots(), 0, "once");
}

#[test]
fn a_configured_name_hides_news_and_spares_the_boot() {
    let mut plan = one();
    let text = |text: &str| Some(text.to_owned());
    plan.boot = BootPlan {
        vendor: text("Acme"),
        model: text("Two"),
        serial: text("S"),
        firmware: text("1"),
    };
    let mut bench = Bench::played(plan);
    bench.notice(None, "BootNotification", &BRAIN.replace("2.0", "2.1"));
    assert_eq!(bench.boots(), 0);
}

#[test]
fn a_reset_ends_transactions_and_the_connection_and_the_charge_point_comes_back() {
    for (kind, reason) in [("Soft", "SoftReset"), ("Hard", "HardReset")] {
        let mut bench = Bench::played(one());
        bench.start(7);
        bench.answer_everything();
        assert_eq!(
            bench.status_for("Reset", &json!({"type": kind})),
            "Accepted"
        );
        let (_, order) = bench.orders.pop().unwrap();
        assert_eq!(order.action, "RemoteStopTransaction");
        assert_eq!(order.transaction, Some(TransactionNumber(7)));
        bench.entry(7, EntryKind::Stop, &stop_payload(7, "Remote"));
        assert_eq!(bench.answer_everything()[0].1["reason"], reason);
        let start = json!({"idTag": TAG});
        let answer = bench.status_for("RemoteStartTransaction", &start);
        assert_eq!(answer, "Rejected", "nothing begins before it is back");
        bench.wait(12);
        assert_eq!(bench.closed, [1000]);
        bench.up();
        let asked = bench.answer_everything();
        let actions: Vec<&str> = asked.iter().map(|it| it.0.as_str()).collect();
        let expected = [
            "BootNotification",
            "StatusNotification",
            "StatusNotification",
            "SecurityEventNotification",
        ];
        assert_eq!(actions, expected);
        assert!(bench.orders.is_empty(), "no device is reset");
    }
}

#[test]
fn a_reset_that_was_accepted_ends_its_transactions_after_our_restart_too() {
    let mut bench = Bench::played(one());
    bench.start(7);
    bench.answer_everything();
    bench.status_for("Reset", &json!({"type": "Hard"}));
    bench.status_for("Reset", &json!({"type": "Soft"}));
    let mut bench = bench.crash();
    let (_, order) = bench.orders.pop().unwrap();
    assert_eq!(order.action, "RemoteStopTransaction");
    assert_eq!(order.transaction, Some(TransactionNumber(7)));
    bench.entry(7, EntryKind::Stop, &stop_payload(7, "Remote"));
    let mut bench = bench.crash();
    bench.brains_come();
    bench.up();
    let asked = bench.answer_everything();
    let (_, stop) = asked.iter().find(|it| it.0 == "StopTransaction").unwrap();
    assert_eq!(stop["reason"], "HardReset", "the first was carried out");
}

#[test]
fn what_a_reset_ended_is_kept_before_the_answer_leaves() {
    let mut bench = Bench::played(one());
    bench.start(7);
    bench.answer_everything();
    let said = json!([2, "r", "Reset", {"type": "Soft"}]).to_string();
    let mut context = Context {
        now: now_at(bench.time),
        random: &mut bench.random,
        offered: &bench.offered,
    };
    bench.gateway.handle_frame(&mut context, &said);
    let outputs: Vec<Output> = std::iter::from_fn(|| bench.gateway.poll_output()).collect();
    let kept = outputs
        .iter()
        .position(|it| matches!(it, Output::Persist(_)));
    let sent = outputs
        .iter()
        .position(|it| matches!(it, Output::Send { .. }));
    assert!(kept.is_some() && kept < sent, "{outputs:?}");
}

#[test]
fn the_wallboxes_are_told_each_time_that_the_backend_can_be_asked() {
    let mut bench = Bench::played(two());
    assert_eq!(bench.reachable, ["left".into(), "right".into()]);
    bench.down();
    assert_eq!(bench.reachable.len(), 2);
    bench.wait(400);
    bench.connect();
    assert_eq!(bench.reachable.len(), 4);
}

#[test]
fn resets_without_end_put_nothing_off() {
    let mut bench = Bench::played(one());
    bench.wait(20);
    for _ in 0..3 {
        bench.status_for("Reset", &json!({"type": "Soft"}));
        bench.wait(2);
    }
    assert_eq!(bench.closed, [1000]);
}

#[test]
fn a_reset_that_is_neither_soft_nor_hard_is_no_reset() {
    let mut bench = Bench::played(one());
    let wrong = json!("PropertyConstraintViolation");
    assert_eq!(bench.error_for("Reset", &json!({"type": "Warm"})), wrong);
    bench.wait(30);
    assert!(bench.closed.is_empty() && bench.orders.is_empty());
}

#[test]
fn a_charge_point_that_is_out_of_service_says_so_once_and_after_a_restart_too() {
    let mut bench = Bench::played(two());
    bench.command(
        "ChangeAvailability",
        &json!({"connectorId": 0, "type": "Inoperative"}),
    );
    bench.all_say(&[ACCEPTED, ACCEPTED]);
    bench.notice(None, "StatusNotification", WHOLE);
    bench.notice(
        None,
        "StatusNotification",
        &WHOLE.replace("12:00:00", "12:00:01"),
    );
    let asked = bench.answer_everything();
    assert_eq!(
        asked,
        [(
            "StatusNotification".to_owned(),
            serde_json::from_str(WHOLE).unwrap()
        )]
    );
    let mut bench = bench.crash();
    bench.brains_come();
    bench.up();
    let asked = bench.answer_everything();
    assert_eq!(asked[1].1, serde_json::from_str::<Value>(WHOLE).unwrap());
}

#[test]
fn a_charge_point_is_unavailable_while_none_of_its_wallboxes_can_be_reached() {
    let mut bench = Bench::played(two());
    bench.report("left", &Report::Online(false));
    bench.wait(62);
    let asked = bench.answer_everything();
    let told = |asked: &[(String, Value)], connector: u32| {
        let mut of_it = asked.iter().filter(|it| it.1["connectorId"] == connector);
        of_it.next_back().map(|it| it.1["status"].clone())
    };
    assert_eq!(told(&asked, 1), Some(json!("Unavailable")));
    assert_eq!(told(&asked, 0), Some(json!("Available")));
    bench.report("right", &Report::Online(false));
    bench.wait(62);
    assert_eq!(
        told(&bench.answer_everything(), 0),
        Some(json!("Unavailable"))
    );
    bench.report("right", &Report::Online(true));
    assert_eq!(
        told(&bench.answer_everything(), 0),
        Some(json!("Available"))
    );
}

#[test]
fn the_backends_keys_reach_every_wallbox_that_we_play_and_survive_a_restart() {
    let mut bench = Bench::played(one());
    bench.conduct = None;
    let change = json!({"key": "ConnectionTimeOut", "value": "33"});
    assert_eq!(bench.status_for("ChangeConfiguration", &change), "Accepted");
    let conduct = bench.conduct.take().unwrap();
    assert_eq!(conduct.connection_time_out, Duration::from_secs(33));
    assert_eq!(bench.status_for("ChangeConfiguration", &change), "Accepted");
    assert_eq!(bench.conduct, None, "nothing changed");
    let bench = bench.crash();
    assert_eq!(bench.conduct, Some(conduct));
}

#[test]
fn the_rotation_is_told_as_it_is_configured() {
    let mut plan = two();
    plan.members[0].rotation = Some([Phase::L2, Phase::L3, Phase::L1]);
    plan.members[1].rotation = None;
    plan.members.push(brain("third", 5));
    plan.members[2].wiring.phases = 1;
    let mut bench = Bench::played(plan);
    let ask = json!({"key": ["ConnectorPhaseRotation", "Nonsense"]});
    let answer = bench.command("GetConfiguration", &ask).unwrap();
    let value = &answer[2]["configurationKey"][0]["value"];
    assert_eq!(value, "1.STR,2.Unknown,3.NotApplicable");
    assert_eq!(answer[2]["unknownKey"], json!(["Nonsense"]));
}

#[test]
fn limits_of_the_backend_end_here_also_in_observe_mode() {
    let mut plan = one();
    plan.observe = true;
    let mut bench = Bench::played(plan);
    let limit = json!({
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}}});
    assert_eq!(bench.status_for("SetChargingProfile", &limit), "Accepted");
    assert!(bench.orders.is_empty());
    let ten = Some(MilliAmps::from_amps(10));
    assert_eq!(bench.ceilings, [("left".into(), ten)]);
}

#[test]
fn a_refused_start_leaves_the_limit_of_the_one_that_waits() {
    let mut bench = Bench::played(one());
    let start = |tag: &str, amps: u32| {
        json!({
            "connectorId": 1, "idTag": tag,
            "chargingProfile": {
                "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A",
                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}]}}})
    };
    bench.command("RemoteStartTransaction", &start(TAG, 8));
    bench.all_say(&[ACCEPTED]);
    let memory = bench.disk.memory.clone();
    for second in [
        start("OTHER", 16),
        json!({"connectorId": 1, "idTag": "OTHER"}),
    ] {
        bench.command("RemoteStartTransaction", &second);
        bench.all_say(&[REJECTED]);
        assert_eq!(bench.disk.memory, memory);
    }
    bench.start(7);
    assert_eq!(
        bench.ceilings.last(),
        Some(&("left".into(), Some(MilliAmps::from_amps(8))))
    );
}

#[test]
fn a_pending_charge_point_tells_meter_values_that_were_asked_for() {
    let mut bench = Bench::of(one());
    bench.brains_come();
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    let pending = json!({"status": "Pending", "currentTime": NOON, "interval": 300});
    bench.answer(&id, &pending);
    bench.command(
        "TriggerMessage",
        &json!({"requestedMessage": "MeterValues"}),
    );
    bench.all_say(&[ACCEPTED]);
    assert_eq!(bench.last_status(), "Accepted");
    let values = r#"{"connectorId":3,"meterValue":[{"timestamp":"2026-06-01T12:30:00Z","sampledValue":[{"value":"1"}]}]}"#;
    bench.notice(Some("left"), "MeterValues", values);
    let (id, said) = bench.expect("MeterValues");
    assert_eq!(said["connectorId"], 1);
    bench.answer(&id, &json!({}));
    bench.start(7);
    assert_eq!(bench.asked(), None, "the queue waits");
    for action in ["RemoteStartTransaction", "RemoteStopTransaction"] {
        let payload = json!({"idTag": TAG, "transactionId": 7});
        assert_eq!(bench.status_for(action, &payload), "Rejected", "{action}");
    }
}

#[test]
fn samples_by_the_clock_carry_the_backends_connector_and_no_transaction() {
    let mut bench = Bench::played(two());
    let right = bench.plan.members[1].clone();
    let payload = values_payload(7, 5).replace("\"transactionId\":7,", "");
    let id = bench.file(Entry {
        address: right.address,
        connector: right.connector,
        transaction: None,
        kind: EntryKind::Values { thinnable: true },
        payload,
        received: now_at(bench.time).wall,
    });
    let (_, said) = bench.expect("MeterValues");
    assert_eq!(said["connectorId"], 2);
    assert_eq!(said["transactionId"], Value::Null);
    assert!(bench.payloads.contains_key(&id));
}

#[test]
fn a_session_without_the_backend_arrives_later_in_order_and_with_its_ids() {
    let mut bench = Bench::played(one());
    bench.down();
    bench.start(7);
    let verdict = bench.verdict_for(7);
    assert_eq!(
        verdict,
        AuthorizationStatus::Accepted,
        "it was authorized before"
    );
    bench.values(7, 1);
    bench.stop(7);
    bench.wait(600);
    bench.up();
    let asked = bench.answer_everything();
    let queue: Vec<_> = asked
        .iter()
        .filter(|it| !it.0.ends_with("Notification"))
        .collect();
    let actions: Vec<&str> = queue.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(
        actions,
        ["StartTransaction", "MeterValues", "StopTransaction"]
    );
    assert_eq!(queue[0].1["connectorId"], 1);
    assert_eq!(queue[1].1["transactionId"], 700);
    assert_eq!(queue[2].1["transactionId"], 700);
}

#[test]
fn a_start_that_the_backend_cannot_take_is_tried_as_often_as_it_wants() {
    let mut bench = Bench::played(one());
    for (key, value) in [
        ("TransactionMessageAttempts", "3"),
        ("TransactionMessageRetryInterval", "10"),
    ] {
        let change = json!({"key": key, "value": value});
        assert_eq!(bench.status_for("ChangeConfiguration", &change), "Accepted");
    }
    bench.start(7);
    let mut tried = Vec::new();
    for second in 0..60 {
        while let Some((id, action, payload)) = bench.asked() {
            if action == "StartTransaction" {
                tried.push(second);
                bench.refuse(&id, "InternalError");
            } else {
                bench.answer(&id, &good_answer(&action, &payload));
            }
        }
        bench.wait(1);
    }
    assert_eq!(tried.len(), 3);
    assert!((10..12).contains(&(tried[1] - tried[0])), "{tried:?}");
    assert!((20..22).contains(&(tried[2] - tried[1])), "{tried:?}");
    bench.stop(7);
    let stop = bench.answer_everything().pop().unwrap();
    assert_eq!(
        (stop.0.as_str(), &stop.1["transactionId"]),
        ("StopTransaction", &json!(-1))
    );
}

#[test]
fn a_transaction_that_the_backend_refused_late_stays_refused_after_a_restart() {
    let mut bench = Bench::played(one());
    bench.down();
    bench.start(7);
    bench.reply(7);
    bench.wait(60);
    bench.up();
    while let Some((id, action, payload)) = bench.asked() {
        let mut answer = good_answer(&action, &payload);
        if action == "StartTransaction" {
            answer["idTagInfo"]["status"] = json!("Blocked");
        }
        bench.answer(&id, &answer);
    }
    let number = TransactionNumber(7);
    assert_eq!(
        bench.refused,
        [Deauthorize {
            transaction: number,
            stop: true
        }]
    );
    let mut bench = bench.crash();
    bench.ask(
        99,
        Ask::Start {
            tag: TAG.into(),
            transaction: number,
        },
    );
    assert_eq!(bench.verdict_for(99), AuthorizationStatus::Invalid);
    bench.stop(7);
    bench.brains_come();
    bench.wait(400);
    bench.connect();
    assert!(bench.wire.iter().any(|it| it.contains("StopTransaction")));
}

#[test]
fn an_ocpp_wallbox_speaks_for_a_charge_point_that_has_modbus_wallboxes_too() {
    let plan = plan(vec![brain("brain", 3), member("box", "CB-1", 1)]);
    let mut bench = Bench::of(plan);
    for evse in ["brain", "box"] {
        bench.report(evse, &Report::Online(true));
        bench.stands(evse, "Available");
    }
    let boot = Notice {
        evse: None,
        action: "BootNotification".to_owned(),
        payload: BOX.to_owned(),
    };
    let address = ChargeBoxId::from("CB-1");
    bench.act(|gateway, context| gateway.handle_notice(context, &address, &boot));
    bench.up();
    let (id, said) = bench.expect("BootNotification");
    assert_eq!(said["chargePointVendor"], "Acme");
    bench.answer(&id, &good_answer("BootNotification", &said));
    bench.answer_everything();
    bench.command("GetDiagnostics", &json!({"location": "ftp://x"}));
    assert_eq!(bench.all_say(&["{}"]), ["box"]);
    bench.conduct = None;
    let change = json!({"key": "ConnectionTimeOut", "value": "45"});
    bench.command("ChangeConfiguration", &change);
    assert_eq!(bench.all_say(&[ACCEPTED]), ["box"]);
    let conduct = bench.conduct.take().expect("the other one hears of it");
    assert_eq!(conduct.connection_time_out, Duration::from_secs(45));
    bench.command("UnlockConnector", &json!({"connectorId": 1}));
    assert_eq!(bench.all_say(&[r#"{"status":"NotSupported"}"#]), ["brain"]);
    bench.command("CancelReservation", &json!({"reservationId": 5}));
    assert_eq!(bench.all_say(&[REJECTED, ACCEPTED]), ["brain", "box"]);
    let answer = bench.command("Reset", &json!({"type": "Soft"})).unwrap();
    assert_eq!(answer[2]["status"], "Accepted");
    assert!(bench.orders.is_empty(), "no wallbox of it is reset");
}
