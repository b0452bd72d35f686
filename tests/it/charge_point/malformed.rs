//! What is not as it should be is refused with the code that says why, and changes nothing
//! (OCPP-J 1.6 §4.2.3).

use super::lab::*;

/// Every command that a charge point answers itself, as it should be.
fn commands() -> Vec<(&'static str, Value)> {
    vec![
        (
            "ChangeAvailability",
            json!({"connectorId": 1, "type": "Inoperative"}),
        ),
        (
            "ChangeConfiguration",
            json!({"key": "ConnectionTimeOut", "value": "30"}),
        ),
        ("CancelReservation", json!({"reservationId": 1})),
        ("DataTransfer", json!({"vendorId": "ACME"})),
        (
            "GetCompositeSchedule",
            json!({"connectorId": 1, "duration": 60}),
        ),
        ("RemoteStartTransaction", json!({"idTag": CARD})),
        ("RemoteStopTransaction", json!({"transactionId": 1})),
        (
            "ReserveNow",
            json!({"connectorId": 1, "expiryDate": "2099-01-01T00:00:00Z",
            "idTag": CARD, "reservationId": 1}),
        ),
        ("Reset", json!({"type": "Soft"})),
        (
            "SendLocalList",
            json!({"listVersion": 1, "updateType": "Full"}),
        ),
        (
            "SetChargingProfile",
            json!({"connectorId": 1, "csChargingProfiles": {}}),
        ),
        ("TriggerMessage", json!({"requestedMessage": "MeterValues"})),
        ("UnlockConnector", json!({"connectorId": 1})),
    ]
}

fn unchanged(lab: &mut Lab, what: &str) {
    lab.wait(20);
    assert_eq!(lab.status(), "Preparing", "{what}");
    assert_eq!(lab.bills(), (0, 0), "{what}");
    assert_eq!(lab.heard("BootNotification").len(), 1, "{what}");
    let said = lab.ask("GetLocalListVersion", json!({}));
    assert_eq!(said["listVersion"], 0, "{what}");
}

/// Leaves out or spoils each member of each command.
fn every_member(spoil: impl Fn(&mut Value, &str), code: &[&str]) {
    let mut lab = lab();
    lab.plug();
    for (action, payload) in commands() {
        let members: Vec<String> = payload.as_object().unwrap().keys().cloned().collect();
        for member in members {
            let mut payload = payload.clone();
            spoil(&mut payload, &member);
            let said = lab.tell(action, payload.clone());
            assert!(code.contains(&said.as_str()), "{action} {payload}: {said}");
        }
    }
    unchanged(&mut lab, "nothing was understood");
}

#[test]
fn a_member_that_is_missing_is_an_occurence_violation() {
    every_member(
        |payload, member| drop(payload.as_object_mut().unwrap().remove(member)),
        &["CALLERROR OccurenceConstraintViolation"],
    );
}

#[test]
fn a_member_of_another_type_is_a_type_violation() {
    for wrong in [json!({"a": 1}), json!([[]])] {
        every_member(
            |payload, member| payload[member] = wrong.clone(),
            &[
                "CALLERROR TypeConstraintViolation",
                "CALLERROR FormationViolation",
                "CALLERROR PropertyConstraintViolation",
                "CALLERROR OccurenceConstraintViolation",
            ],
        );
    }
}

#[test]
fn words_that_no_list_has_are_property_violations() {
    let mut lab = lab();
    lab.plug();
    for (action, payload) in [
        (
            "ChangeAvailability",
            json!({"connectorId": 1, "type": "Perhaps"}),
        ),
        ("Reset", json!({"type": "Warm"})),
        (
            "SendLocalList",
            json!({"listVersion": 1, "updateType": "Half"}),
        ),
    ] {
        let said = lab.tell(action, payload);
        assert_eq!(said, "CALLERROR PropertyConstraintViolation", "{action}");
    }
    unchanged(&mut lab, "nothing was understood");
}

#[test]
fn texts_that_are_too_long_to_be_repeated_are_refused() {
    let long = "X".repeat(21);
    let mut lab = lab();
    for (action, payload) in [
        ("RemoteStartTransaction", json!({"idTag": long})),
        (
            "ReserveNow",
            json!({"connectorId": 1, "expiryDate": "2099-01-01T00:00:00Z",
            "idTag": long, "reservationId": 1}),
        ),
        (
            "ReserveNow",
            json!({"connectorId": 1, "expiryDate": "2099-01-01T00:00:00Z",
            "idTag": CARD, "parentIdTag": long, "reservationId": 1}),
        ),
    ] {
        let said = lab.tell(action, payload);
        assert_eq!(said, "CALLERROR PropertyConstraintViolation", "{action}");
    }
    assert_eq!(lab.status(), "Available");
}

#[test]
fn a_date_that_is_none_reserves_nothing() {
    let mut lab = lab();
    for date in ["tomorrow", "", "2026-99-99T00:00:00Z"] {
        let said = lab.tell(
            "ReserveNow",
            json!({"connectorId": 1, "expiryDate": date,
            "idTag": CARD, "reservationId": 1}),
        );
        assert!(
            said.starts_with("CALLERROR") || said == "Rejected",
            "{date:?}: {said}"
        );
    }
    assert_eq!(lab.status(), "Available");
}

#[test]
fn a_payload_that_is_no_object_is_refused() {
    let mut lab = lab();
    lab.plug();
    for payload in ["[]", "7", "\"Soft\"", "true"] {
        for action in [
            "Reset",
            "RemoteStartTransaction",
            "ChangeAvailability",
            "UnlockConnector",
        ] {
            let said = lab.tell_text(action, payload);
            assert!(said.starts_with("CALLERROR"), "{action} {payload}: {said}");
        }
    }
    unchanged(&mut lab, "nothing was understood");
}

#[test]
fn a_member_that_is_there_twice_is_a_formation_violation() {
    let mut lab = lab();
    lab.plug();
    let said = lab.tell_text("Reset", r#"{"type":"Soft","type":"Hard"}"#);
    assert_eq!(said, "CALLERROR FormationViolation");
    unchanged(&mut lab, "it is not clear what was meant");
}

#[test]
fn members_that_nobody_knows_are_overlooked() {
    let mut lab = lab();
    let said = lab.tell(
        "UnlockConnector",
        json!({"connectorId": 1, "colour": "red"}),
    );
    assert_eq!(said, "NotSupported");
}

#[test]
fn an_action_in_another_case_is_not_carried_out() {
    let mut lab = lab();
    let said = lab.tell("reset", json!({"type": "Soft"}));
    assert_eq!(said, "CALLERROR NotImplemented");
}

#[test]
fn a_backend_that_sends_garbage_disturbs_nobody() {
    let plan = BackendPlan::default().quirk(BackendQuirk::SendsGarbage);
    let mut lab = Lab::of(usual(plan));
    lab.session();
    lab.wait(120);
    lab.unplug();
    assert_eq!(lab.bills(), (1, 1));
}
