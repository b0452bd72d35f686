//! What a backend commands.

use proptest::prelude::*;

use super::*;

const START: &str = "RemoteStartTransaction";

fn start(tag: &str) -> Value {
    json!({"idTag": tag, "connectorId": 1})
}

fn availability(connector: u32, kind: &str) -> Value {
    json!({"connectorId": connector, "type": kind})
}

/// What the backend was told of the charge point as a whole.
fn whole(bench: &Bench) -> Vec<String> {
    let is_whole = |it: &&(String, Value)| it.0 == "StatusNotification" && it.1["connectorId"] == 0;
    let told = bench.notices.iter().filter(is_whole);
    told.map(|(_, said)| said["status"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_remote_start_waits_for_the_car_and_begins_with_its_tag_without_a_question() {
    let mut bench = Bench::new(backed());
    assert_eq!(bench.ordered(START, &start(PARTNER)), "Accepted");
    assert_eq!(bench.status(), ChargePointStatus::Preparing);
    assert_eq!(bench.demand(), Demand::Authorized);
    bench.plug();
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(PARTNER)));
    assert_eq!(bench.asks(), [("Start", PARTNER.to_owned())]);
    assert_eq!(bench.entries[0].1["idTag"], PARTNER);
}

#[test]
fn a_remote_start_of_a_plugged_car_begins_at_once_and_needs_no_connector() {
    let mut bench = Bench::new(backed());
    bench.plug();
    assert_eq!(bench.ordered(START, &json!({"idTag": CARD})), "Accepted");
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(CARD)));
}

#[test]
fn a_remote_start_that_nobody_plugs_for_is_forgotten_after_connection_time_out() {
    for (seconds, begins) in [(80, 1), (100, 0)] {
        let mut bench = Bench::new(backed());
        bench.conduct(Conduct {
            connection_time_out: Duration::from_secs(90),
            ..Conduct::default()
        });
        bench.ordered(START, &start(CARD));
        bench.run(seconds);
        bench.plug();
        assert_eq!(bench.open(), begins, "after {seconds} s");
    }
}

#[test]
fn a_remote_start_after_a_stop_begins_the_next_transaction_of_the_same_car() {
    let mut bench = Bench::charging_for_backend();
    bench.tap(CARD);
    assert_eq!(bench.status(), ChargePointStatus::Finishing);
    assert_eq!(bench.ordered(START, &start(PARTNER)), "Accepted");
    bench.run(2);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 2));
}

#[test]
fn a_remote_start_takes_the_place_of_who_has_not_plugged_yet() {
    let mut bench = Bench::new(backed());
    bench.tap(CARD);
    assert_eq!(bench.ordered(START, &start(PARTNER)), "Accepted");
    bench.plug();
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(PARTNER)));
}

#[test]
fn a_remote_start_of_connector_0_is_rejected() {
    let mut bench = Bench::new(backed());
    let payload = json!({"idTag": CARD, "connectorId": 0});
    assert_eq!(bench.ordered(START, &payload), "Rejected");
    bench.plug();
    assert_eq!(bench.open(), 0);
}

#[test]
fn a_remote_start_is_rejected_while_a_transaction_runs_or_its_last_register_is_awaited() {
    let mut bench = Bench::charging_for_backend();
    assert_eq!(bench.ordered(START, &start(PARTNER)), "Rejected");
    bench.brain.energy = 17;
    bench.run(2);
    bench.tap(CARD);
    assert_eq!(bench.open(), 1, "its register is in doubt");
    assert_eq!(bench.ordered(START, &start(PARTNER)), "Rejected");
    bench.run(20);
    assert_eq!((bench.open(), bench.transactions().len()), (0, 1));
}

#[test]
fn a_remote_start_is_rejected_while_the_wallbox_is_away() {
    let mut bench = Bench::new(backed());
    bench.brain.failure = Some(Failure::Silent);
    bench.run(10);
    assert_eq!(bench.ordered(START, &start(CARD)), "Rejected");
}

#[test]
fn a_remote_start_is_rejected_while_the_wallbox_is_faulty() {
    let mut bench = Bench::new(backed());
    bench.brain.fault = Some(5);
    bench.run(2);
    assert_eq!(bench.ordered(START, &start(CARD)), "Rejected");
    bench.brain.fault = None;
    bench.run(2);
    assert_eq!(bench.ordered(START, &start(CARD)), "Accepted");
}

#[test]
fn where_remote_starts_are_authorized_the_tag_is_asked_for_after_the_answer() {
    for (status, begins) in [
        (AuthorizationStatus::Accepted, 1),
        (AuthorizationStatus::Blocked, 0),
    ] {
        let mut bench = Bench::new(backed());
        bench.conduct(Conduct {
            authorize_remote: true,
            ..Conduct::default()
        });
        bench.verdict.status = status;
        bench.plug();
        bench.trail.clear();
        assert_eq!(bench.ordered(START, &start(CARD)), "Accepted");
        assert_eq!(bench.trail[..2], ["done", "call"]);
        assert_eq!(bench.asks()[0], ("Authorize", CARD.to_owned()));
        bench.run(2);
        assert_eq!(bench.transactions().len(), begins, "{status}");
    }
}

#[test]
fn a_remote_start_that_is_authorized_too_late_ends_no_transaction_of_its_group() {
    let mut bench = Bench::new(backed());
    bench.conduct(Conduct {
        authorize_remote: true,
        ..Conduct::default()
    });
    bench.plug();
    bench.upstream_waits = true;
    bench.verdict.parent = Some(tag("FAMILY"));
    bench.ordered(START, &start(PARTNER));
    bench.conduct(Conduct::default());
    bench.ordered(START, &start(CARD));
    bench.run(1);
    bench.reply(2);
    bench.reply(1);
    bench.run(2);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_tag_that_no_start_transaction_could_repeat_is_a_violation() {
    let mut bench = Bench::new(backed());
    bench.plug();
    for id_tag in ["", "123456789012345678901", "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ"] {
        let code = bench.refusal(START, &start(id_tag).to_string());
        assert_eq!(code, ErrorCode::PropertyConstraintViolation, "{id_tag}");
    }
    assert_eq!(bench.open(), 0);
    let longest = "12345678901234567890";
    assert_eq!(bench.ordered(START, &start(longest)), "Accepted");
}

#[test]
fn what_cannot_be_read_is_refused_with_what_is_wrong_with_it() {
    let mut bench = Bench::charging_for_backend();
    let missing = ErrorCode::OccurenceConstraintViolation;
    for action in [
        START,
        "RemoteStopTransaction",
        "UnlockConnector",
        "ChangeAvailability",
        "ReserveNow",
        "CancelReservation",
        "TriggerMessage",
    ] {
        assert_eq!(bench.refusal(action, "{}"), missing, "{action}");
        let code = bench.refusal(action, r#"["x"]"#);
        assert_eq!(code, ErrorCode::FormationViolation, "{action}");
        let code = bench.refusal(action, "{");
        assert_eq!(code, ErrorCode::FormationViolation, "{action}");
    }
    let wrong = ErrorCode::TypeConstraintViolation;
    for (action, payload) in [
        (START, r#"{"idTag":{}}"#),
        ("RemoteStopTransaction", r#"{"transactionId":[1]}"#),
        ("UnlockConnector", r#"{"connectorId":true}"#),
        (
            "ChangeAvailability",
            r#"{"connectorId":null,"type":"Operative"}"#,
        ),
        ("CancelReservation", r#"{"reservationId":{}}"#),
    ] {
        assert_eq!(bench.refusal(action, payload), wrong, "{action}");
    }
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_remote_stop_ends_the_transaction_that_it_names() {
    let mut bench = Bench::charging_for_backend();
    let number = bench.transactions()[0].number;
    bench.brain.energy = 9000;
    assert_eq!(bench.remote_stop(number), "Accepted");
    bench.run(2);
    assert_eq!(bench.ending(), Some(("Remote".to_owned(), Some(9000))));
    assert_eq!(bench.entries[1].1.get("idTag"), None);
    assert_eq!(bench.status(), ChargePointStatus::Finishing);
    assert_eq!(bench.brain.get(8094), 0);
}

#[test]
fn a_remote_stop_of_another_transaction_or_of_none_is_rejected() {
    let mut bench = Bench::charging_for_backend();
    let number = bench.transactions()[0].number;
    assert_eq!(
        bench.remote_stop(TransactionNumber(number.0 + 1)),
        "Rejected"
    );
    let unknown = json!({"transactionId": number.0});
    let unknown = bench.ordered("RemoteStopTransaction", &unknown);
    assert_eq!(unknown, "Rejected");
    assert_eq!(bench.open(), 1);
    bench.unplug();
    assert_eq!(bench.remote_stop(number), "Rejected");
}

#[test]
fn a_remote_stop_of_a_transaction_that_is_ending_is_rejected() {
    let mut bench = Bench::charging_for_backend();
    let number = bench.transactions()[0].number;
    bench.brain.energy = 17;
    bench.run(2);
    bench.tap(CARD);
    assert_eq!(bench.open(), 1, "its register is in doubt");
    assert_eq!(bench.remote_stop(number), "Rejected");
    bench.run(20);
    assert_eq!(bench.ending().unwrap().0, "Local");
}

#[test]
fn unlocking_is_not_supported_and_stops_nothing() {
    let mut bench = Bench::charging_for_backend();
    for connector in [0, 1, 9] {
        let payload = json!({"connectorId": connector});
        assert_eq!(bench.ordered("UnlockConnector", &payload), "NotSupported");
    }
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
}

#[test]
fn out_of_service_neither_card_nor_fixed_tag_nor_remote_start_begins_anything() {
    for connector in [0, 1] {
        let mut bench = Bench::new(ChargePointPlan {
            fixed_id_tag: Some(tag("FIXED")),
            ..backed()
        });
        let closed = availability(connector, "Inoperative");
        assert_eq!(bench.ordered("ChangeAvailability", &closed), "Accepted");
        bench.plug();
        bench.tap(CARD);
        assert_eq!(bench.ordered(START, &start(CARD)), "Rejected");
        bench.run(2);
        assert_eq!((bench.open(), bench.asks()), (0, vec![]), "{connector}");
        let opened = availability(connector, "Operative");
        assert_eq!(bench.ordered("ChangeAvailability", &opened), "Accepted");
        bench.run(2);
        assert_eq!(bench.transactions()[0].id_tag, Some(tag("FIXED")));
    }
}

#[test]
fn out_of_service_an_answer_that_comes_late_begins_nothing() {
    let mut bench = Bench::new(backed());
    bench.upstream_waits = true;
    bench.plug();
    bench.tap(CARD);
    bench.ordered("ChangeAvailability", &availability(1, "Inoperative"));
    bench.reply(1);
    bench.run(2);
    assert_eq!(bench.open(), 0);
}

#[test]
fn who_is_authorized_is_not_any_more_once_it_is_out_of_service() {
    let mut bench = Bench::new(backed());
    bench.tap(CARD);
    assert_eq!(bench.demand(), Demand::Authorized);
    bench.ordered("ChangeAvailability", &availability(1, "Inoperative"));
    assert_eq!(bench.demand(), Demand::None);
    bench.ordered("ChangeAvailability", &availability(1, "Operative"));
    bench.plug();
    assert_eq!(bench.open(), 0);
}

#[test]
fn a_transaction_goes_on_when_it_is_taken_out_of_service_and_is_the_last() {
    let mut bench = Bench::charging_for_backend();
    let closed = availability(1, "Inoperative");
    assert_eq!(bench.ordered("ChangeAvailability", &closed), "Scheduled");
    assert_eq!(bench.ordered("ChangeAvailability", &closed), "Scheduled");
    bench.run(10);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    bench.tap(CARD);
    assert_eq!(bench.ending().unwrap().0, "Local");
    bench.tap(CARD);
    bench.unplug();
    bench.plug();
    bench.tap(CARD);
    assert_eq!(bench.transactions().len(), 1);
}

#[test]
fn what_was_scheduled_is_cancelled_by_operative() {
    let mut bench = Bench::charging_for_backend();
    let closed = availability(0, "Inoperative");
    assert_eq!(bench.ordered("ChangeAvailability", &closed), "Scheduled");
    let opened = availability(0, "Operative");
    assert_eq!(bench.ordered("ChangeAvailability", &opened), "Accepted");
    bench.unplug();
    bench.plug();
    bench.tap(CARD);
    assert_eq!(bench.transactions().len(), 2);
    assert_eq!(whole(&bench), [""; 0]);
}

#[test]
fn the_charge_point_as_a_whole_is_told_after_the_answer_and_only_when_it_changes() {
    let mut bench = Bench::new(backed());
    bench.trail.clear();
    bench.ordered("ChangeAvailability", &availability(0, "Inoperative"));
    bench.ordered("ChangeAvailability", &availability(0, "Inoperative"));
    assert_eq!(bench.trail[..2], ["done", "StatusNotification"]);
    assert_eq!(whole(&bench), ["Unavailable"]);
    bench.ordered("ChangeAvailability", &availability(0, "Operative"));
    assert_eq!(whole(&bench), ["Unavailable", "Available"]);
    bench.ordered("ChangeAvailability", &availability(1, "Inoperative"));
    assert_eq!(whole(&bench).len(), 2, "that is the connector alone");
}

#[test]
fn a_scheduled_charge_point_as_a_whole_is_told_when_its_transaction_has_ended() {
    let mut bench = Bench::charging_for_backend();
    bench.ordered("ChangeAvailability", &availability(0, "Inoperative"));
    bench.run(5);
    assert_eq!(whole(&bench), [""; 0]);
    bench.unplug();
    assert_eq!(whole(&bench), ["Unavailable"]);
}

#[test]
fn connector_1_is_not_in_service_where_the_charge_point_is_not() {
    let mut bench = Bench::new(backed());
    bench.ordered("ChangeAvailability", &availability(0, "Inoperative"));
    let opened = availability(1, "Operative");
    assert_eq!(bench.ordered("ChangeAvailability", &opened), "Accepted");
    assert_eq!(bench.ordered(START, &start(CARD)), "Rejected");
    bench.ordered("ChangeAvailability", &availability(0, "Operative"));
    assert_eq!(bench.ordered(START, &start(CARD)), "Accepted");
}

#[test]
fn what_is_out_of_service_is_so_after_our_restart_and_the_backend_is_told() {
    let mut bench = Bench::new(backed());
    bench.ordered("ChangeAvailability", &availability(0, "Inoperative"));
    let mut bench = bench.restart();
    bench.run(2);
    assert_eq!(whole(&bench), ["Unavailable"]);
    assert_eq!(bench.ordered(START, &start(CARD)), "Rejected");
}

#[test]
fn a_triggered_message_follows_its_answer() {
    for action in [
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
    ] {
        let mut bench = Bench::new(backed());
        bench.notices.clear();
        bench.trail.clear();
        let payload = json!({"requestedMessage": action, "connectorId": 9});
        assert_eq!(bench.ordered("TriggerMessage", &payload), "Accepted");
        assert_eq!(bench.trail, ["done", action]);
        assert_eq!(bench.notices[0].1, json!({"status": "Idle"}));
    }
}

#[test]
fn triggered_meter_values_are_accepted() {
    let mut bench = Bench::new(backed());
    let payload = json!({"requestedMessage": "MeterValues", "connectorId": 1});
    assert_eq!(bench.ordered("TriggerMessage", &payload), "Accepted");
}

#[test]
fn a_trigger_that_nobody_knows_is_not_implemented_and_what_the_gateway_says_is_not_ours() {
    let mut bench = Bench::new(backed());
    for (message, status) in [
        ("SignChargePointCertificate", "NotImplemented"),
        ("", "NotImplemented"),
        ("BootNotification", "Rejected"),
        ("Heartbeat", "Rejected"),
        ("StatusNotification", "Rejected"),
    ] {
        let payload = json!({"requestedMessage": message});
        assert_eq!(bench.ordered("TriggerMessage", &payload), status);
    }
}

#[test]
fn what_a_power_brain_has_not_is_answered_legally() {
    let mut bench = Bench::new(backed());
    let unknown = json!({"vendorId": "com.example", "data": "x"});
    let status = bench.ordered("DataTransfer", &unknown);
    assert_eq!(status, "UnknownVendorId");
    let location = json!({"location": "ftp://example.com"});
    assert_eq!(
        bench.order("GetDiagnostics", &location),
        Ok("{}".to_owned())
    );
    for action in ["GetLog", "SignedUpdateFirmware"] {
        assert_eq!(bench.ordered(action, &json!({})), "Rejected", "{action}");
    }
    for (action, code) in [
        ("UpdateFirmware", ErrorCode::NotSupported),
        ("Reset", ErrorCode::NotSupported),
        ("Authorize", ErrorCode::NotSupported),
        ("remotestarttransaction", ErrorCode::NotImplemented),
        ("Dance", ErrorCode::NotImplemented),
    ] {
        assert_eq!(bench.refusal(action, "{}"), code, "{action}");
    }
}

fn hostile() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("0".to_owned()),
        Just("-1e300".to_owned()),
        Just("null".to_owned()),
        Just("{}".to_owned()),
        Just("[[]]".to_owned()),
        Just("\"Inoperative\"".to_owned()),
        Just("\"MeterValues\"".to_owned()),
        Just("\"9999-12-31T23:59:59Z\"".to_owned()),
        Just("\"-9999-01-01T00:00:00Z\"".to_owned()),
        "\"[A-Z0-9]{0,30}\"",
    ];
    let name = prop::sample::select(vec![
        "idTag",
        "connectorId",
        "transactionId",
        "type",
        "reservationId",
        "expiryDate",
        "parentIdTag",
        "requestedMessage",
        "vendorId",
    ]);
    prop::collection::btree_map(name, value, 0..6).prop_map(|members| {
        let members = members
            .iter()
            .map(|(name, value)| format!("\"{name}\":{value}"));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// [`Bench::order_about`] asserts that each is answered once, and legally.
    #[test]
    fn whatever_a_backend_orders_is_answered_once_and_what_is_refused_changes_nothing(
        orders in prop::collection::vec((0..9_usize, hostile(), any::<bool>()), 1..20),
    ) {
        let actions = [
            START, "RemoteStopTransaction", "UnlockConnector", "ChangeAvailability", "ReserveNow",
            "CancelReservation", "TriggerMessage", "DataTransfer", "GetDiagnostics",
        ];
        let mut bench = Bench::new(backed());
        for (action, payload, plugged) in orders {
            bench.brain.plugged = plugged;
            bench.run(2);
            let disk = bench.disk.clone();
            let number = bench.disk.last_transaction;
            if bench.order_about(number, actions[action], &payload).is_err() {
                prop_assert_eq!(&bench.disk, &disk);
            }
            prop_assert!(bench.open() <= 1);
        }
    }
}
