//! `StatusNotification` (OCPP 1.6 §4.9).

use super::lab::*;

fn pause(lab: &mut Lab, amps: f64) {
    let profile = json!({"chargingProfileId": 1, "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}]}});
    let payload = json!({"connectorId": 1, "csChargingProfiles": profile});
    assert_eq!(lab.tell("SetChargingProfile", payload), "Accepted");
}

#[test]
fn a_session_shows_every_status_in_its_order() {
    let mut lab = lab();
    lab.session();
    let transaction = lab.transaction();
    lab.remote_stop(transaction);
    lab.becomes("Finishing");
    lab.unplug();
    lab.becomes("Available");
    let mut statuses = lab.statuses();
    // Before the first current it may be said that there is none yet.
    statuses.retain(|it| !it.starts_with("Suspended"));
    assert_eq!(
        statuses,
        [
            "Available",
            "Preparing",
            "Charging",
            "Finishing",
            "Available"
        ]
    );
}

#[test]
fn a_pause_of_the_backend_is_suspended_by_the_evse() {
    let mut lab = lab();
    lab.session();
    pause(&mut lab, 0.0);
    lab.becomes("SuspendedEVSE");
    assert_eq!(lab.bills(), (1, 0));
    pause(&mut lab, 16.0);
    lab.becomes("Charging");
}

#[test]
fn a_car_that_takes_nothing_is_suspended_by_itself() {
    let mut lab = lab();
    lab.world.plug(
        "PB",
        Car::default().wants(chargewarden::units::WattHours(300)),
    );
    lab.tap(CARD);
    lab.becomes("Charging");
    lab.becomes("SuspendedEV");
    assert_eq!(lab.bills(), (1, 0));
}

#[test]
fn a_fault_is_told_with_a_code_and_its_end_too() {
    let mut lab = lab();
    lab.brain(|brain, now| brain.set_fault(now, Some(9)));
    lab.becomes("Faulted");
    let told = lab.last("StatusNotification");
    assert_eq!(told["errorCode"], "GroundFailure");
    lab.brain(|brain, now| brain.set_fault(now, None));
    lab.becomes("Available");
    assert_eq!(lab.last("StatusNotification")["errorCode"], "NoError");
}

#[test]
fn a_fault_in_a_transaction_returns_to_it() {
    let mut lab = lab();
    lab.session();
    lab.brain(|brain, now| brain.set_fault(now, Some(5)));
    lab.becomes("Faulted");
    lab.brain(|brain, now| brain.set_fault(now, None));
    lab.becomes("Charging");
    assert_eq!(lab.bills(), (1, 0));
}

#[test]
fn a_device_that_is_away_for_a_minute_is_unavailable() {
    let mut lab = lab();
    lab.brain(|brain, now| brain.be_silent(now, std::time::Duration::from_mins(5)));
    lab.wait(40);
    assert_eq!(lab.status(), "Available", "not at once");
    lab.becomes("Unavailable");
    lab.wait(300);
    assert_eq!(lab.status(), "Available");
}

#[test]
fn minimum_status_duration_keeps_short_ones_quiet() {
    let mut lab = lab();
    assert_eq!(lab.set("MinimumStatusDuration", "20"), "Accepted");
    lab.plug();
    lab.wait(5);
    lab.unplug();
    lab.wait(30);
    assert_eq!(lab.statuses(), ["Available"]);
    lab.plug();
    lab.wait(15);
    assert_eq!(lab.status(), "Available", "not yet");
    lab.wait(10);
    assert_eq!(lab.status(), "Preparing");
}

#[test]
fn after_an_outage_only_the_present_status_is_told() {
    let mut lab = lab();
    lab.backend_is_there(false);
    lab.plug();
    lab.wait(20);
    lab.unplug();
    lab.plug();
    lab.wait(20);
    lab.backend_is_there(true);
    lab.wait(10);
    assert_eq!(lab.statuses(), ["Available", "Preparing"]);
}

#[test]
fn no_way_from_one_status_to_the_next_is_illegal() {
    let mut lab = with_fixed_tag();
    for round in 0..4 {
        lab.plug();
        lab.wait(30);
        if round == 1 {
            pause(&mut lab, 0.0);
            lab.wait(20);
        }
        if round == 2 {
            pause(&mut lab, 10.0);
            lab.brain(|brain, now| brain.set_fault(now, Some(4)));
            lab.wait(10);
            lab.brain(|brain, now| brain.set_fault(now, None));
        }
        lab.wait(10);
        lab.unplug();
        lab.wait(5);
    }
    // OCPP 1.6 §4.9: what must not follow directly.
    let illegal = [
        ("Available", "Finishing"),
        ("Preparing", "Reserved"),
        ("Charging", "Preparing"),
        ("SuspendedEV", "Preparing"),
        ("SuspendedEVSE", "Preparing"),
        ("Finishing", "Charging"),
        ("Finishing", "SuspendedEV"),
        ("Finishing", "SuspendedEVSE"),
        ("Unavailable", "Finishing"),
    ];
    for pair in lab.statuses().windows(2) {
        let pair = (pair[0].as_str(), pair[1].as_str());
        assert!(!illegal.contains(&pair), "{pair:?}");
    }
}
