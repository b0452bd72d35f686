//! Commands of a backend.

use super::backends::charging;
use super::*;
use crate::evse::Order;
use crate::ocpp::ErrorCode;

fn order(bench: &mut Bench, connector: u32, order: Order) {
    let id = ConnectorId(connector);
    bench.act(|station, context| station.handle_order(context, id, order));
}

fn plain(id: u64, action: &str, payload: &str) -> Order {
    Order {
        id,
        evse: None,
        transaction: None,
        action: action.to_owned(),
        payload: payload.to_owned(),
    }
}

fn of_one(id: u64, action: &str, payload: &str) -> Order {
    Order {
        evse: Some("evse-1".into()),
        ..plain(id, action, payload)
    }
}

fn reset(id: u64) -> Order {
    plain(id, "Reset", r#"{"type":"Soft"}"#)
}

fn transaction(bench: &Bench) -> Option<TransactionNumber> {
    bench.disk.transactions.keys().next_back().copied()
}

fn failure(bench: &Bench) -> (u64, ErrorCode, &str) {
    let (id, outcome) = bench.done.last().unwrap();
    let failure = outcome.as_ref().unwrap_err();
    (*id, failure.code, &failure.description)
}

fn ok(id: u64, payload: &str) -> (u64, Outcome) {
    (id, Ok(payload.to_owned()))
}

#[test]
fn a_command_goes_with_the_wallboxs_connector_and_its_answer_comes_back_byte_for_byte() {
    let mut bench = Bench::with_backend(2);
    let two = |action: &str, payload: &str| Order {
        evse: Some("evse-2".into()),
        ..plain(1, action, payload)
    };
    order(
        &mut bench,
        2,
        two("UnlockConnector", r#"{ "connectorId" : 1 }"#),
    );
    let (id, action, payload) = bench.outstanding().unwrap();
    assert_eq!(
        (action.as_str(), payload),
        ("UnlockConnector", json!({"connectorId": 2}))
    );
    let words = r#"{ "status" :"Unlock\u0065d","x":1.0}"#;
    bench.frame(&format!(r#"[3,"{id}",{words}]"#));
    assert_eq!(bench.done, [ok(1, words)]);
    order(
        &mut bench,
        2,
        two("RemoteStartTransaction", r#"{"idTag":"T"}"#),
    );
    let (id, _, payload) = bench.outstanding().unwrap();
    assert_eq!(payload, json!({"connectorId": 2, "idTag": "T"}));
    bench.frame(&json!([4, id, "GenericError", "why", {"a": 1}]).to_string());
    assert_eq!(failure(&bench), (1, ErrorCode::GenericError, "why"));
    assert_eq!(bench.done[1].1.as_ref().unwrap_err().details, r#"{"a":1}"#);
}

#[test]
fn for_the_whole_wallbox_the_numbers_are_its_own() {
    let mut bench = Bench::with_backend(2);
    let payload = r#"{"connectorId":2,"type":"Inoperative"}"#;
    order(&mut bench, 0, plain(1, "ChangeAvailability", payload));
    assert_eq!(bench.outstanding().unwrap().2["connectorId"], 2);
    bench.respond(&json!({"status": "Scheduled"}));
    order(
        &mut bench,
        0,
        plain(2, "RemoteStartTransaction", r#"{"idTag":"T"}"#),
    );
    assert_eq!(bench.outstanding().unwrap().2, json!({"idTag": "T"}));
}

#[test]
fn a_transaction_is_named_to_the_wallbox_by_its_id_and_one_that_does_not_run_is_rejected() {
    let mut bench = charging(1);
    let stop = |id, transaction| Order {
        transaction,
        ..of_one(id, "RemoteStopTransaction", r#"{"transactionId":9}"#)
    };
    let running = transaction(&bench);
    order(&mut bench, 1, stop(1, running));
    assert_eq!(bench.outstanding().unwrap().2, json!({"transactionId": 17}));
    bench.respond(&json!({"status": "Accepted"}));
    bench.call("StopTransaction", &super::stop(17, 8000));
    bench.answer_everything();
    bench.done.clear();
    order(&mut bench, 1, stop(2, running));
    order(&mut bench, 1, stop(3, None));
    let rejected = r#"{"status":"Rejected"}"#;
    assert_eq!(bench.done, [ok(2, rejected), ok(3, rejected)]);
    assert!(bench.outstanding().is_none());
}

#[test]
fn a_command_for_a_transaction_that_ends_while_it_waits_is_rejected() {
    let mut bench = charging(1);
    order(&mut bench, 1, reset(1));
    let stop = Order {
        transaction: transaction(&bench),
        ..of_one(2, "RemoteStopTransaction", r#"{"transactionId":9}"#)
    };
    order(&mut bench, 1, stop);
    bench.call("StopTransaction", &super::stop(17, 8000));
    bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(bench.done[1], ok(2, r#"{"status":"Rejected"}"#));
}

#[test]
fn a_profile_that_is_passed_on_names_the_transaction_by_the_wallboxs_id() {
    let mut bench = charging(1);
    let profile = r#"{"connectorId":1,"csChargingProfiles":{"chargingProfileId":3,"transactionId":9,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":8.0}]}}}"#;
    let tx = Order {
        transaction: transaction(&bench),
        ..of_one(1, "SetChargingProfile", profile)
    };
    order(&mut bench, 1, tx);
    let (_, _, payload) = bench.outstanding().unwrap();
    assert_eq!(payload["csChargingProfiles"]["transactionId"], 17);
    bench.respond(&json!({"status": "Accepted"}));
    order(&mut bench, 1, of_one(2, "SetChargingProfile", profile));
    assert_eq!(bench.done[1], ok(2, r#"{"status":"Rejected"}"#));
}

#[test]
fn commands_come_after_limits_that_lower_and_take_turns_with_limits_that_raise() {
    let mut bench = Bench::with_backend(1);
    bench.offer(1, 10_000);
    bench.answer_everything();
    order(&mut bench, 1, reset(1));
    bench.offer(2, 16_000);
    order(&mut bench, 1, reset(2));
    let (action, _) = bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(action, "Reset");
    bench.offer(3, 8_000);
    bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(
        bench.last_limit(),
        Some(8.0),
        "it lowers: before anything else"
    );
    let mut order_of = Bench::with_backend(1);
    order_of.offer(1, 10_000);
    order_of.answer_everything();
    order(&mut order_of, 1, reset(1));
    order_of.offer(2, 16_000);
    order(&mut order_of, 1, reset(2));
    let asked: Vec<String> = order_of
        .answer_everything()
        .into_iter()
        .map(|it| it.0)
        .collect();
    // Commands without end shall not keep a car from charging: they take turns with raises.
    assert_eq!(asked[..3], ["Reset", "SetChargingProfile", "Reset"]);
}

#[test]
fn a_command_on_its_way_makes_room_for_a_limit_that_lowers_and_its_late_answer_counts() {
    let mut bench = Bench::with_backend(1);
    bench.offer(1, 16_000);
    bench.answer_everything();
    order(&mut bench, 1, reset(1));
    let (id, ..) = bench.outstanding().unwrap();
    bench.offer(2, 0);
    bench.wait(6);
    assert_eq!(bench.last_limit(), Some(0.0));
    bench.frame(&json!([3, id, {"status": "Accepted"}]).to_string());
    assert_eq!(bench.done, [ok(1, r#"{"status":"Accepted"}"#)]);
}

#[test]
fn housekeeping_that_is_not_answered_makes_room_for_a_command() {
    let mut bench = Bench::on_disk(1, Recovered::default());
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    bench.respond(&keys(&[("MeterValueSampleInterval", "60", false)]));
    assert_eq!(bench.outstanding().unwrap().1, "ChangeConfiguration");
    order(&mut bench, 1, reset(1));
    bench.wait(6);
    assert_eq!(bench.outstanding().unwrap().1, "Reset");
}

#[test]
fn a_command_that_is_not_answered_fails_25_seconds_after_it_came_and_a_data_transfer_after_45() {
    let mut bench = Bench::with_backend(1);
    bench.wait(10);
    bench.answer_everything();
    order(
        &mut bench,
        1,
        plain(2, "DataTransfer", r#"{"vendorId":"x"}"#),
    );
    order(&mut bench, 1, reset(1));
    bench.wait(24);
    assert_eq!(bench.done, []);
    bench.wait(1);
    assert_eq!(
        failure(&bench),
        (1, ErrorCode::InternalError, "charge point timeout")
    );
    bench.wait(19);
    assert_eq!(bench.done.len(), 1);
    bench.wait(1);
    assert_eq!(
        failure(&bench),
        (2, ErrorCode::InternalError, "charge point timeout")
    );
    bench.wait(60);
    assert_eq!(bench.done.len(), 2, "each is answered once");
}

#[test]
fn while_the_wallbox_is_away_each_command_gets_its_own_no_at_once() {
    let mut bench = Bench::on_disk(1, Recovered::default());
    let answers = [
        ("Reset", r#"{"status":"Rejected"}"#),
        ("TriggerMessage", r#"{"status":"Rejected"}"#),
        ("DataTransfer", r#"{"status":"Rejected"}"#),
        ("UnlockConnector", r#"{"status":"UnlockFailed"}"#),
        ("ReserveNow", r#"{"status":"Unavailable"}"#),
        ("ClearChargingProfile", r#"{"status":"Unknown"}"#),
        ("SendLocalList", r#"{"status":"Failed"}"#),
        ("GetDiagnostics", "{}"),
    ];
    for (action, answer) in answers {
        order(&mut bench, 1, plain(5, action, "{}"));
        let (_, outcome) = bench.done.pop().unwrap();
        assert_eq!(outcome.as_deref(), Ok(answer), "{action}");
    }
    for action in ["GetConfiguration", "Com.Example.Do"] {
        order(&mut bench, 1, plain(6, action, "{}"));
        assert_eq!(
            failure(&bench),
            (6, ErrorCode::InternalError, "charge point offline")
        );
    }
}

#[test]
fn a_lost_connection_answers_every_command_that_waits() {
    let mut bench = Bench::with_backend(1);
    order(&mut bench, 1, reset(1));
    order(&mut bench, 1, plain(2, "GetLocalListVersion", "{}"));
    bench.up(LinkId(2));
    assert_eq!(bench.done[0], ok(1, r#"{"status":"Rejected"}"#));
    assert_eq!(
        failure(&bench),
        (2, ErrorCode::InternalError, "charge point offline")
    );
    bench.wait(60);
    assert_eq!(bench.done.len(), 2);
}

#[test]
fn no_more_than_32_commands_wait() {
    let mut bench = Bench::with_backend(1);
    for id in 1..=33 {
        order(&mut bench, 1, reset(id));
    }
    assert_eq!(
        failure(&bench),
        (33, ErrorCode::InternalError, "too many commands")
    );
    assert_eq!(bench.done.len(), 1);
    bench.answer_everything();
    assert_eq!(bench.done.len(), 33);
}
