//! How wallboxes write what they have to say.

use serde_json::{Value, json};

use chargewarden::sim::Quirk;

use super::desk::{Desk, NOON};
use super::lab::{Lab, beside_another, wallbox};

#[test]
fn timestamps_without_a_zone_are_understood() {
    Lab::with(&[Quirk::NoZoneTimestamps]).shares_and_parts();
}

#[test]
fn timestamps_with_a_short_zone_are_understood() {
    Lab::with(&[Quirk::ShortZone]).shares_and_parts();
    let mut desk = Desk::booted();
    desk.status(1, "Charging");
    let start = json!({"connectorId": 1, "idTag": "TAG", "meterStart": 1,
        "timestamp": "2026-06-01T14:58:00+03"});
    desk.call("StartTransaction", &start);
    let started = desk.evse().transaction.unwrap().started;
    assert_eq!(started, "2026-06-01T11:58:00Z");
}

#[test]
fn local_time_that_is_marked_as_utc_costs_no_current() {
    Lab::with(&[Quirk::LocalTime]).shares_and_parts();
}

#[test]
fn a_clock_that_was_never_set_costs_no_current_and_shows_our_time() {
    let mut lab = Lab::with(&[Quirk::Clock1970]);
    lab.shares_and_parts();
    lab.charge("A");
    lab.run(10);
    let started = lab.evse("A").transaction.unwrap().started;
    assert!(started.starts_with("2026-01-15T10:"), "{started}");
}

#[test]
fn a_clock_that_was_never_set_lets_no_limit_sleep() {
    for more in [Quirk::OnlyStackLevel0, Quirk::OnlyAbsolute] {
        Lab::with(&[Quirk::Clock1970, more]).shares_and_parts();
    }
}

#[test]
fn we_write_timestamps_in_the_only_form_that_every_wallbox_reads() {
    let mut desk = Desk::booted();
    desk.wait(30);
    desk.call("Heartbeat", &json!({}));
    let texts = desk.sent.iter().map(ToString::to_string);
    let all = texts.collect::<Vec<_>>().join("\n");
    let stamps: Vec<&str> = all
        .split('"')
        .filter(|text| text.starts_with("2026-"))
        .collect();
    assert!(stamps.len() > 2);
    for stamp in stamps {
        assert_eq!((stamp.len(), stamp.ends_with('Z')), (20, true), "{stamp}");
    }
}

/// What the status shows of these samples: currents, power, register.
fn shown(samples: &Value) -> (Option<[f64; 3]>, Option<i32>, Option<i64>) {
    let (mut desk, id) = Desk::charging();
    desk.measure(Some(id), samples);
    let evse = desk.evse();
    (evse.measured_a, evse.power_w, evse.energy_wh)
}

#[test]
fn a_value_without_measurand_and_unit_is_the_register_in_wh() {
    let (_, _, energy) = shown(&json!([{"value": "123456"}]));
    assert_eq!(energy, Some(123_456));
}

#[test]
fn values_with_blanks_and_empty_ones_are_understood() {
    let samples = json!([{"value": " 10.5 ", "measurand": "Current.Import", "phase": "L1"},
        {"value": "", "measurand": "Power.Active.Import"},
        {"value": "   ", "measurand": "Energy.Active.Import.Register", "unit": ""}]);
    assert_eq!(shown(&samples), (Some([10.5, 0.0, 0.0]), None, None));
}

#[test]
fn phases_are_understood_with_and_without_the_neutral_conductor() {
    let current =
        |phase: &str| json!({"value": "10", "measurand": "Current.Import", "phase": phase});
    for phases in [["L1", "L2", "L3"], ["L1-N", "L2-N", "L3-N"]] {
        let (currents, _, _) = shown(&json!(phases.map(current)));
        assert_eq!(currents, Some([10.0; 3]), "{phases:?}");
    }
}

#[test]
fn power_and_energy_that_come_by_phase_alone_are_summed() {
    let samples: Vec<Value> = ["L1", "L2", "L3"]
        .into_iter()
        .flat_map(|phase| {
            [
                json!({"value": "2300", "measurand": "Power.Active.Import", "phase": phase}),
                json!({"value": "1000", "measurand": "Energy.Active.Import.Register", "phase": phase}),
            ]
        })
        .collect();
    let (_, power, energy) = shown(&json!(samples));
    assert_eq!((power, energy), (Some(6900), Some(3000)));
}

#[test]
fn other_prefixes_of_units_are_understood() {
    let mut lab = Lab::with(&[Quirk::OddMeterValues]);
    lab.charge("A");
    lab.settles_at([16_000, 0]);
    let evse = lab.evse("A");
    assert_eq!(evse.measured_a, Some([16.0; 3]));
    assert_eq!(evse.power_w, Some(11_040));
    let drawn = evse.transaction.unwrap().energy_wh.unwrap();
    assert!((20..1000).contains(&drawn), "{drawn} Wh");
    lab.charge("B");
    lab.settles_at([11_000, 11_000]);
}

#[test]
fn a_wallbox_that_measures_power_alone_shares() {
    Lab::with(&[Quirk::NoPhaseValues]).shares_and_parts();
}

#[test]
fn members_that_ocpp_does_not_know_disturb_nobody() {
    Lab::with(&[Quirk::ExtraMembers]).shares_and_parts();
}

#[test]
fn null_is_an_empty_payload() {
    let plan = wallbox(&[Quirk::NullPayloads]).says("HeartbeatInterval", "20");
    let mut lab = Lab::started(beside_another(plan));
    lab.run(600);
    assert!(lab.said("A", "Heartbeat").contains(&Value::Null));
    lab.shares_and_parts();
}

#[test]
fn a_comma_too_many_is_overlooked() {
    Lab::with(&[Quirk::BrokenLists]).shares_and_parts();
}

#[test]
fn message_ids_that_are_numbers_are_answered_as_numbers() {
    Lab::with(&[Quirk::NumericMessageIds]).shares_and_parts();
}

#[test]
fn an_empty_or_missing_message_id_is_answered() {
    let mut desk = Desk::booted();
    for id in ["\"\"", "null"] {
        let before = desk.sent.len();
        desk.frame(&format!("[2,{id},\"Heartbeat\",{{}}]"));
        let answer = desk.sent[before..].first();
        assert!(
            answer.is_some_and(|answer| answer[0] == 3),
            "{id}: {answer:?}"
        );
    }
}

#[test]
fn a_message_that_comes_twice_is_carried_out_once_and_answered_twice_alike() {
    let mut desk = Desk::booted();
    let start = json!([2, "twice", "StartTransaction",
        {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": NOON}]);
    for _ in 0..2 {
        desk.frame(&start.to_string());
    }
    let answers: Vec<&Value> = desk.sent.iter().filter(|f| f[1] == "twice").collect();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(desk.transactions().len(), 1);
}

#[test]
fn the_noise_of_evbox_is_accepted() {
    let mut desk = Desk::booted();
    let noise = json!({"vendorId": "EV-BOX", "messageId": "evbStatusNotification", "data": "{}"});
    assert_eq!(
        desk.call("DataTransfer", &noise),
        json!({"status": "Accepted"})
    );
}

#[test]
fn the_messages_of_the_security_extension_are_answered() {
    let mut desk = Desk::booted();
    for (action, payload) in [
        (
            "SecurityEventNotification",
            json!({"type": "StartupOfTheDevice", "timestamp": NOON}),
        ),
        ("LogStatusNotification", json!({"status": "Idle"})),
        (
            "SignedFirmwareStatusNotification",
            json!({"status": "Idle"}),
        ),
        ("FirmwareStatusNotification", json!({"status": "Idle"})),
        ("DiagnosticsStatusNotification", json!({"status": "Idle"})),
    ] {
        assert_eq!(desk.call(action, &payload), json!({}), "{action}");
    }
    let answer = desk.call("SignCertificate", &json!({"csr": "x"}));
    assert_eq!(answer, json!({"status": "Rejected"}));
}
