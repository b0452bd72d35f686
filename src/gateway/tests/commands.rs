//! What the backend wants.

use super::*;
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;

const ACCEPTED: &str = r#"{"status":"Accepted"}"#;

#[test]
fn case_24_and_25_a_start_reaches_the_right_connector_and_its_profile_stays_here() {
    let mut bench = Bench::of(plan(vec![member("right", "CB-1", 2)]));
    bench.wallbox_comes();
    bench.connect();
    let start = json!({
        "connectorId": 1, "idTag": TAG,
        "chargingProfile": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": "TxProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}],
            },
        },
    });
    assert_eq!(bench.command("RemoteStartTransaction", &start), None);
    let (order, answer) = bench.carry_out(Ok(ACCEPTED.to_owned()));
    assert_eq!(order.evse, Some("right".into()));
    assert!(
        !order.payload.contains("chargingProfile"),
        "{}",
        order.payload
    );
    assert_eq!(answer[2]["status"], "Accepted");
    bench.start(7);
    bench.answer_everything();
    assert_eq!(
        bench.ceilings,
        [("right".into(), Some(MilliAmps::from_amps(8)))]
    );
    bench.stop(7);
    assert_eq!(bench.ceilings.last(), Some(&("right".into(), None)));
}

#[test]
fn a_start_without_connector_names_the_only_one() {
    let mut bench = Bench::of(plan(vec![member("right", "CB-1", 2)]));
    bench.wallbox_comes();
    bench.connect();
    bench.command("RemoteStartTransaction", &json!({ "idTag": TAG }));
    let (order, _) = bench.carry_out(Ok(ACCEPTED.to_owned()));
    assert_eq!(order.payload, r#"{"connectorId":1,"idTag":"04A1B2C3"}"#);
}

#[test]
fn a_start_without_connector_goes_to_the_car_that_waits() {
    let two = vec![member("left", "CB-1", 1), member("right", "CB-2", 1)];
    let mut bench = Bench::of(plan(two));
    bench.wallbox_comes();
    bench.connect();
    let waits = AVAILABLE.replace("Available", "Preparing");
    bench.notice(Some("right"), "StatusNotification", &waits);
    bench.answer_everything();
    bench.command("RemoteStartTransaction", &json!({ "idTag": TAG }));
    let (order, _) = bench.carry_out(Ok(ACCEPTED.to_owned()));
    assert_eq!(order.evse, Some("right".into()));
    assert_eq!(order.payload, r#"{"connectorId":2,"idTag":"04A1B2C3"}"#);
}

#[test]
fn all_wallboxes_of_a_charge_point_change_their_availability_and_the_least_answer_counts() {
    let two = vec![member("left", "CB-1", 1), member("right", "CB-2", 1)];
    let mut bench = Bench::of(plan(two));
    bench.wallbox_comes();
    bench.connect();
    let change = json!({"connectorId": 0, "type": "Inoperative"});
    assert_eq!(bench.command("ChangeAvailability", &change), None);
    let id = format!("b{}", bench.next_id);
    for status in ["Scheduled", "Accepted"] {
        assert_eq!(bench.answer_to(&id), None);
        let (_, order) = bench.orders.pop().unwrap();
        let said = json!({ "status": status }).to_string();
        bench.act(|gateway, context| gateway.handle_outcome(context, order.id, Ok(said)));
    }
    assert_eq!(bench.answer_to(&id).unwrap()[2]["status"], "Scheduled");
}

#[test]
fn case_26_a_stop_names_our_transaction_and_an_unknown_one_is_rejected() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.answer_everything();
    assert_eq!(
        bench.command("RemoteStopTransaction", &json!({"transactionId": 700})),
        None
    );
    let (order, _) = bench.carry_out(Ok(ACCEPTED.to_owned()));
    assert_eq!(order.transaction, Some(TransactionNumber(7)));
    for unknown in [7, 701, -1] {
        let answer = bench.command("RemoteStopTransaction", &json!({"transactionId": unknown}));
        assert_eq!(answer.unwrap()[2]["status"], "Rejected");
    }
    bench.stop(7);
    let answer = bench.command("RemoteStopTransaction", &json!({"transactionId": 700}));
    assert_eq!(
        answer.unwrap()[2]["status"],
        "Rejected",
        "its stop is on its way"
    );
}

#[test]
fn a_wallboxs_answer_and_its_refusal_come_back_unchanged() {
    let mut bench = Bench::ready();
    bench.command("UnlockConnector", &json!({"connectorId": 1}));
    let (_, answer) = bench.carry_out(Ok(r#"{"status":"Unlocked"}"#.to_owned()));
    assert_eq!(answer[2], json!({"status": "Unlocked"}));
    bench.command("ClearCache", &json!({}));
    let why = CallFailure {
        code: ErrorCode::NotSupported,
        description: "no cache".to_owned(),
        details: r#"{"a":1}"#.to_owned(),
    };
    let (_, answer) = bench.carry_out(Err(why));
    assert_eq!(
        answer,
        json!([4, "b2", "NotSupported", "no cache", {"a": 1}])
    );
}

#[test]
fn an_answer_to_a_command_of_a_lost_connection_goes_to_nobody() {
    let mut bench = Bench::ready();
    bench.command("UnlockConnector", &json!({"connectorId": 1}));
    let (_, order) = bench.orders.pop().unwrap();
    bench.down();
    bench.connect();
    bench
        .act(|gateway, context| gateway.handle_outcome(context, order.id, Ok(ACCEPTED.to_owned())));
    assert!(bench.sent.is_empty(), "{:?}", bench.sent);
}

#[test]
fn a_connector_that_is_not_there_is_nobodys() {
    let mut bench = Bench::ready();
    let unlock = bench.command("UnlockConnector", &json!({"connectorId": 3}));
    assert_eq!(unlock.unwrap()[2]["status"], "NotSupported");
    let unknown = bench.command("VendorThing", &json!({"connectorId": 3}));
    assert_eq!(unknown.unwrap()[2], "PropertyConstraintViolation");
    assert!(bench.orders.is_empty());
}

#[test]
fn case_27_a_backend_clears_its_own_profiles_and_nobody_elses() {
    let mut bench = Bench::ready();
    let clear = |bench: &mut Bench| bench.command("ClearChargingProfile", &json!({})).unwrap();
    assert_eq!(clear(&mut bench)[2]["status"], "Unknown");
    let limit = profile("TxDefaultProfile", 10.0);
    let answer = bench.command("SetChargingProfile", &limit).unwrap();
    assert_eq!(answer[2]["status"], "Accepted");
    assert_eq!(
        bench.ceilings,
        [("left".into(), Some(MilliAmps::from_amps(10)))]
    );
    assert_eq!(clear(&mut bench)[2]["status"], "Accepted");
    assert_eq!(bench.ceilings.last(), Some(&("left".into(), None)));
    assert!(bench.orders.is_empty(), "no wallbox hears of it");
}

#[test]
fn a_backends_limits_survive_a_restart() {
    let mut bench = Bench::ready();
    bench.command("SetChargingProfile", &profile("TxDefaultProfile", 10.0));
    let bench = bench.crash();
    assert_eq!(
        bench.ceilings,
        [("left".into(), Some(MilliAmps::from_amps(10)))]
    );
}

#[test]
fn the_schedule_that_a_backend_asks_for_is_what_holds_in_the_end() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.answer_everything();
    bench.command("SetChargingProfile", &profile("TxDefaultProfile", 12.0));
    let limit = |bench: &mut Bench| {
        let ask = json!({"connectorId": 1, "duration": 600, "chargingRateUnit": "A"});
        let answer = bench.command("GetCompositeSchedule", &ask).unwrap();
        answer[2]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"].clone()
    };
    assert_eq!(limit(&mut bench), 12.0);
    bench.offered.insert("left".into(), MilliAmps::from_amps(9));
    assert_eq!(limit(&mut bench), 9.0);
}

#[test]
fn a_profile_that_ends_by_itself_ends_in_time() {
    let mut bench = Bench::ready();
    let mut limit = profile("TxDefaultProfile", 10.0);
    let schedule = &mut limit["csChargingProfiles"]["chargingSchedule"];
    schedule["duration"] = json!(60);
    schedule["startSchedule"] = json!(NOON);
    limit["csChargingProfiles"]["chargingProfileKind"] = json!("Absolute");
    bench.command("SetChargingProfile", &limit);
    bench.wait(58);
    bench.answer_everything();
    assert_eq!(bench.ceilings.len(), 1);
    bench.wait(4);
    assert_eq!(bench.ceilings.last(), Some(&("left".into(), None)));
}

#[test]
fn what_was_triggered_comes_after_the_answer() {
    let mut bench = Bench::ready();
    for (what, action) in [
        ("StatusNotification", "StatusNotification"),
        ("Heartbeat", "Heartbeat"),
        ("BootNotification", "BootNotification"),
    ] {
        let before = bench.wire.len();
        let answer = bench.command("TriggerMessage", &json!({ "requestedMessage": what }));
        assert_eq!(answer.unwrap()[2]["status"], "Accepted");
        assert!(
            bench.wire[before].starts_with("[3,"),
            "{:?}",
            &bench.wire[before..]
        );
        assert_eq!(bench.answer_everything()[0].0, action);
    }
}

#[test]
fn firmware_is_updated_only_where_that_is_allowed() {
    let update = json!({"location": "ftp://x/y", "retrieveDate": NOON});
    let mut bench = Bench::ready();
    let answer = bench.command("UpdateFirmware", &update).unwrap();
    assert_eq!(
        (&answer[0], &answer[2]),
        (&json!(4), &json!("NotSupported"))
    );
    let mut plan = plan(vec![member("left", "CB-1", 1)]);
    plan.allow_firmware = true;
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.connect();
    assert_eq!(bench.command("UpdateFirmware", &update), None);
    bench.carry_out(Ok("{}".to_owned()));
}

#[test]
fn in_observe_mode_limits_go_to_the_wallbox_word_for_word() {
    let mut plan = plan(vec![member("left", "CB-1", 1)]);
    plan.observe = true;
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.connect();
    let limit = profile("TxDefaultProfile", 10.0);
    assert_eq!(bench.command("SetChargingProfile", &limit), None);
    let (order, _) = bench.carry_out(Ok(ACCEPTED.to_owned()));
    assert_eq!(order.payload, limit.to_string());
    assert!(bench.ceilings.is_empty());
    bench.start(7);
    bench.answer_everything();
    let mut limit = profile("TxProfile", 8.0);
    limit["csChargingProfiles"]["transactionId"] = json!(700);
    bench.command("SetChargingProfile", &limit);
    let (order, _) = bench.carry_out(Ok(ACCEPTED.to_owned()));
    assert_eq!(order.transaction, Some(TransactionNumber(7)));
}

#[test]
fn garbage_is_never_obeyed_and_always_survived() {
    let mut bench = Bench::ready();
    for text in [
        "",
        "hello",
        "[2]",
        "[2,\"x\"]",
        "[3,\"nobody\",{}]",
        "[2,\"x\",\"Reset\",{]",
    ] {
        bench.act(|gateway, context| gateway.handle_frame(context, text));
    }
    for action in [
        "SetChargingProfile",
        "RemoteStartTransaction",
        "TriggerMessage",
        "Nonsense",
    ] {
        for payload in ["7", "[]", "{}", "null", r#"{"connectorId":"x"}"#] {
            let text = format!("[2,\"g-{action}-{payload}\",\"{action}\",{payload}]")
                .replace("\"x\"}\"", "x");
            bench.act(|gateway, context| gateway.handle_frame(context, &text));
        }
    }
    bench.answer_everything();
    assert_eq!(bench.gateway.view().state, "accepted");
}

fn profile(purpose: &str, amps: f64) -> Value {
    json!({
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}],
            },
        },
    })
}

#[test]
fn a_profile_never_slips_past_in_a_start_that_cannot_be_read() {
    let profile = profile("TxProfile", 32.0)["csChargingProfiles"].to_string();
    for payload in [
        format!(r#"{{"idTag":"A","idTag":"A","connectorId":1,"chargingProfile":{profile}}}"#),
        format!(
            r#"{{"idTag":"A","connectorId":1,"chargingProfile":{profile},"chargingProfile":1}}"#
        ),
        format!(r#"{{"idTag":"A","chargingProfile":{profile},"ChargingProfile":{profile}}}"#),
    ] {
        let mut bench = Bench::ready();
        let text = format!("[2,\"x\",\"RemoteStartTransaction\",{payload}]");
        bench.act(|gateway, context| gateway.handle_frame(context, &text));
        assert_eq!(bench.answer_to("x").unwrap()[0], 4, "{payload}");
        assert!(bench.orders.is_empty(), "{payload}");
    }
    let mut bench = Bench::ready();
    let text = r#"[2,"x","setChargingProfile",{}]"#;
    bench.act(|gateway, context| gateway.handle_frame(context, text));
    assert_eq!(bench.answer_to("x").unwrap()[2], "NotImplemented");
    assert!(bench.orders.is_empty());
}

#[test]
fn message_ids_that_are_counted_anew_on_a_new_connection_are_new_commands() {
    let mut bench = Bench::ready();
    let text = r#"[2,"1","UnlockConnector",{"connectorId":1}]"#;
    bench.frame(text);
    let (_, order) = bench.orders.pop().unwrap();
    bench.act(|gateway, context| {
        gateway.handle_outcome(context, order.id, Ok(r#"{"status":"Unlocked"}"#.to_owned()));
    });
    bench.down();
    bench.connect();
    bench.frame(text);
    assert_eq!(bench.orders.len(), 1);
}

#[test]
fn case_37_a_reset_of_one_charge_point_ends_its_own_transaction_and_no_wallbox() {
    let mut plan = plan(vec![member("right", "CB-1", 2)]);
    plan.shares_wallbox = true;
    plan.leads = false;
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.connect();
    bench.start(7);
    bench.answer_everything();
    let answer = bench.command("Reset", &json!({"type": "Soft"})).unwrap();
    assert_eq!(answer[2]["status"], "Accepted");
    let (_, order) = bench.orders.pop().unwrap();
    assert_eq!(order.action, "RemoteStopTransaction");
    assert_eq!(order.transaction, Some(TransactionNumber(7)));
    bench.entry(7, EntryKind::Stop, &stop_payload(7, "Remote"));
    let asked = bench.answer_everything();
    assert_eq!(asked[0].1["reason"], "SoftReset");
    assert!(bench.orders.is_empty(), "the wallbox is not reset");
    bench.wait(10);
    assert_eq!(bench.closed, [1000]);
    bench.connect();
    assert!(bench.wire.last().is_some());
    for (action, payload) in [
        ("GetDiagnostics", json!({"location": "ftp://x"})),
        ("ClearCache", json!({})),
        (
            "ChangeConfiguration",
            json!({"key": "LightIntensity", "value": "5"}),
        ),
    ] {
        assert!(bench.command(action, &payload).is_some(), "{action}");
    }
    assert!(
        bench.orders.is_empty(),
        "the wallbox is not this backend's alone"
    );
}

#[test]
fn measurands_that_nobody_knows_are_rejected() {
    let mut bench = Bench::ready();
    for (list, status) in [
        ("Energy.Active.Import.Register,Voltage.L1", "Accepted"),
        ("Nonsense,More", "Rejected"),
    ] {
        let change = json!({"key": "MeterValuesSampledData", "value": list});
        let answer = bench.command("ChangeConfiguration", &change).unwrap();
        assert_eq!(answer[2]["status"], status, "{list}");
    }
}

#[test]
fn a_new_heartbeat_interval_holds_at_once() {
    let mut bench = Bench::ready();
    let change = json!({"key": "HeartbeatInterval", "value": "2"});
    bench.command("ChangeConfiguration", &change);
    bench.wait(3);
    bench.expect("Heartbeat");
}

#[test]
fn what_changes_nothing_costs_the_disk_nothing() {
    let mut bench = Bench::ready();
    bench.command("SetChargingProfile", &profile("TxDefaultProfile", 10.0));
    let before = bench.persisted;
    for _ in 0..10 {
        bench.command("ClearChargingProfile", &json!({"id": 99}));
        bench.command(
            "ChangeConfiguration",
            &json!({"key": "HeartbeatInterval", "value": "x"}),
        );
    }
    assert_eq!(bench.persisted, before);
}
