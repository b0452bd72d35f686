//! What a backend commands wallboxes that we play.

use super::emulated::{ACCEPTED, REJECTED, one, two};
use super::*;
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;

#[test]
fn malformed_commands_reach_no_wallbox_and_get_an_error() {
    let mut bench = Bench::played(one());
    let long = "x".repeat(600);
    for (action, payload, code) in [
        (
            "RemoteStartTransaction",
            json!({}),
            "OccurenceConstraintViolation",
        ),
        (
            "RemoteStartTransaction",
            json!({"idTag": long}),
            "PropertyConstraintViolation",
        ),
        (
            "RemoteStartTransaction",
            json!({"idTag": "A", "connectorId": "x"}),
            "TypeConstraintViolation",
        ),
        (
            "RemoteStopTransaction",
            json!({"transactionId": "x"}),
            "TypeConstraintViolation",
        ),
        (
            "ReserveNow",
            json!({"connectorId": 1}),
            "OccurenceConstraintViolation",
        ),
        (
            "CancelReservation",
            json!({"reservationId": []}),
            "TypeConstraintViolation",
        ),
        (
            "ChangeAvailability",
            json!({"connectorId": 1, "type": "Off"}),
            "PropertyConstraintViolation",
        ),
        (
            "ChangeConfiguration",
            json!({"key": "CpoName", "value": long}),
            "PropertyConstraintViolation",
        ),
        (
            "GetConfiguration",
            json!({"key": [long]}),
            "PropertyConstraintViolation",
        ),
        (
            "UnlockConnector",
            json!({"connectorId": null}),
            "OccurenceConstraintViolation",
        ),
        (
            "ClearChargingProfile",
            json!({"id": "x"}),
            "TypeConstraintViolation",
        ),
        (
            "SendLocalList",
            json!({"listVersion": 1, "updateType": "Full", "localAuthorizationList": [{"idTag": long}]}),
            "PropertyConstraintViolation",
        ),
        (
            "GetDiagnostics",
            json!({"location": {}}),
            "TypeConstraintViolation",
        ),
        ("TriggerMessage", json!([7]), "FormationViolation"),
        ("Nonsense", json!(7), "FormationViolation"),
    ] {
        assert_eq!(
            bench.error_for(action, &payload),
            code,
            "{action} {payload}"
        );
    }
    assert!(bench.orders.is_empty(), "{:?}", bench.orders);
}

#[test]
fn what_a_connector_that_is_not_there_is_asked_is_answered_in_the_words_of_the_command() {
    let mut bench = Bench::played(two());
    let reserve = json!({"connectorId": 9, "expiryDate": NOON, "idTag": TAG, "reservationId": 1});
    for (action, payload, status) in [
        ("UnlockConnector", json!({"connectorId": 9}), "NotSupported"),
        ("UnlockConnector", json!({"connectorId": 0}), "NotSupported"),
        ("ReserveNow", reserve, "Rejected"),
        (
            "ChangeAvailability",
            json!({"connectorId": 9, "type": "Operative"}),
            "Rejected",
        ),
        (
            "RemoteStartTransaction",
            json!({"connectorId": 9, "idTag": TAG}),
            "Rejected",
        ),
        (
            "RemoteStartTransaction",
            json!({"connectorId": 0, "idTag": TAG}),
            "Rejected",
        ),
        (
            "RemoteStopTransaction",
            json!({"transactionId": 9}),
            "Rejected",
        ),
        (
            "TriggerMessage",
            json!({"requestedMessage": "MeterValues", "connectorId": 9}),
            "Rejected",
        ),
        (
            "TriggerMessage",
            json!({"requestedMessage": "StatusNotification", "connectorId": 9}),
            "Rejected",
        ),
        (
            "GetCompositeSchedule",
            json!({"connectorId": 9, "duration": 60}),
            "Rejected",
        ),
    ] {
        assert_eq!(
            bench.status_for(action, &payload),
            status,
            "{action} {payload}"
        );
    }
    assert!(bench.orders.is_empty(), "{:?}", bench.orders);
}

#[test]
fn a_command_for_a_connector_goes_to_that_connector() {
    let mut bench = Bench::played(two());
    let expiry = "2026-06-01T13:00:00Z";
    for (action, payload) in [
        (
            "RemoteStartTransaction",
            json!({"connectorId": 2, "idTag": TAG}),
        ),
        ("UnlockConnector", json!({"connectorId": 2})),
        (
            "ChangeAvailability",
            json!({"connectorId": 2, "type": "Inoperative"}),
        ),
        (
            "ReserveNow",
            json!({"connectorId": 2, "expiryDate": expiry, "idTag": TAG, "reservationId": 1}),
        ),
        (
            "TriggerMessage",
            json!({"requestedMessage": "MeterValues", "connectorId": 2}),
        ),
    ] {
        assert_eq!(bench.command(action, &payload), None, "{action}");
        let status = if action == "UnlockConnector" {
            "NotSupported"
        } else {
            "Accepted"
        };
        let said = json!({ "status": status }).to_string();
        assert_eq!(bench.all_say(&[&said]), ["right"], "{action}");
        assert_eq!(bench.last_status(), status, "{action}");
    }
}

#[test]
fn meter_values_of_no_connector_are_those_of_all() {
    for connector in [json!({}), json!({"connectorId": 0})] {
        let mut bench = Bench::played(two());
        let mut trigger = connector;
        trigger["requestedMessage"] = json!("MeterValues");
        for (said, status) in [
            ([REJECTED, ACCEPTED], "Accepted"),
            ([REJECTED, REJECTED], "Rejected"),
        ] {
            assert_eq!(bench.command("TriggerMessage", &trigger), None);
            assert_eq!(bench.all_say(&said), ["left", "right"]);
            assert_eq!(bench.last_status(), status);
        }
    }
}

#[test]
fn what_concerns_the_charge_point_goes_to_the_first_wallbox() {
    let mut bench = Bench::played(two());
    for what in [
        "DiagnosticsStatusNotification",
        "FirmwareStatusNotification",
    ] {
        bench.command("TriggerMessage", &json!({"requestedMessage": what}));
        assert_eq!(bench.all_say(&[ACCEPTED]), ["left"]);
        bench.notice(None, what, r#"{"status":"Idle"}"#);
        bench.expect(what);
        bench.sent.clear();
        bench.wait(31);
        bench.answer_everything();
    }
    bench.command("DataTransfer", &json!({"vendorId": "x"}));
    assert_eq!(
        bench.all_say(&[r#"{"status":"UnknownVendorId"}"#]),
        ["left"]
    );
}

#[test]
fn what_nobody_can_trigger_is_not_implemented() {
    let mut bench = Bench::played(one());
    let trigger = json!({"requestedMessage": "SignChargePointCertificate"});
    assert_eq!(
        bench.status_for("TriggerMessage", &trigger),
        "NotImplemented"
    );
    assert_eq!(
        bench.status_for("ExtendedTriggerMessage", &json!({"requestedMessage": "X"})),
        "NotImplemented"
    );
}

#[test]
fn firmware_of_a_wallbox_that_we_play_is_never_updated() {
    let mut plan = one();
    plan.allow_firmware = true;
    let mut bench = Bench::played(plan);
    let update = json!({"location": "ftp://x/y", "retrieveDate": NOON});
    assert_eq!(bench.error_for("UpdateFirmware", &update), "NotSupported");
    for action in ["SignedUpdateFirmware", "GetLog"] {
        assert_eq!(bench.status_for(action, &json!({})), "Rejected", "{action}");
    }
    assert!(bench.orders.is_empty());
}

#[test]
fn a_reservation_is_cancelled_wherever_it_is() {
    for (said, status) in [
        ([REJECTED, ACCEPTED], "Accepted"),
        ([REJECTED, REJECTED], "Rejected"),
    ] {
        let mut bench = Bench::played(two());
        bench.command("CancelReservation", &json!({"reservationId": 5}));
        bench.all_say(&said);
        assert_eq!(bench.last_status(), status);
    }
    let mut bench = Bench::played(one());
    bench.command("CancelReservation", &json!({"reservationId": 5}));
    assert_eq!(bench.all_say(&[ACCEPTED]), ["left"]);
}

#[test]
fn a_reservation_that_one_takes_is_cancelled_at_the_others() {
    let reserve = json!({"connectorId": 2, "expiryDate": "2026-06-01T13:00:00Z", "idTag": TAG, "reservationId": 7});
    let mut bench = Bench::played(two());
    for (said, cancelled) in [(r#"{"status":"Occupied"}"#, 0), (ACCEPTED, 1)] {
        bench.command("ReserveNow", &reserve);
        let (_, order) = bench.orders.pop().unwrap();
        let said = Ok(said.to_owned());
        bench.act(|gateway, context| gateway.handle_outcome(context, order.id, said));
        let orders = std::mem::take(&mut bench.orders);
        assert_eq!(orders.len(), cancelled, "{orders:?}");
        for (evse, order) in orders {
            assert_eq!(
                (evse.as_str(), order.action.as_str()),
                ("left", "CancelReservation")
            );
            assert!(order.payload.contains('7'));
        }
    }
}

#[test]
fn a_reservation_of_any_connector_takes_the_first_that_is_free() {
    let reserve = json!({"connectorId": 0, "expiryDate": "2026-06-01T13:00:00Z", "idTag": TAG, "reservationId": 1});
    let mut bench = Bench::played(two());
    bench.stands("left", "Charging");
    bench.answer_everything();
    bench.command("ReserveNow", &reserve);
    assert_eq!(bench.all_say(&[ACCEPTED]), ["right"]);
    assert_eq!(bench.last_status(), "Accepted");
    bench.stands("right", "Reserved");
    bench.answer_everything();
    bench.command("ReserveNow", &reserve);
    assert_eq!(
        bench.all_say(&[ACCEPTED]),
        ["right"],
        "it takes its own anew"
    );
    assert_eq!(bench.last_status(), "Accepted");
    bench.command("ReserveNow", &reserve);
    bench.all_say(&[r#"{"status":"Occupied"}"#]);
    assert_eq!(bench.last_status(), "Occupied");
    bench.stands("right", "Preparing");
    bench.answer_everything();
    assert_eq!(bench.status_for("ReserveNow", &reserve), "Occupied");
    let mut bench = Bench::played(one());
    bench.stands("left", "Charging");
    bench.command("ReserveNow", &reserve);
    assert_eq!(
        bench.all_say(&[r#"{"status":"Occupied"}"#]),
        ["left"],
        "it knows best"
    );
}

#[test]
fn what_a_wallbox_that_we_play_cannot_do_comes_back_as_it_says_it() {
    let mut bench = Bench::played(one());
    bench.command("Nonsense", &json!({}));
    let why = CallFailure::new(ErrorCode::NotImplemented, "nobody here knows this action");
    let (_, answer) = bench.carry_out(Err(why));
    assert_eq!(answer[2], "NotImplemented");
}
