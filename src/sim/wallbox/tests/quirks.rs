use serde_json::{Value, json};

use super::lab::{C1, Lab, accepted, rejected};
use crate::ids::ConnectorId;
use crate::sim::Quirk;
use std::time::Duration;

#[test]
fn every_quirk_of_profiles_refuses_what_it_should_and_nothing_else() {
    let absolute = json!({"chargingProfileKind": "Absolute", "chargingSchedule": {
        "startSchedule": "2026-01-15T09:00:00Z", "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.7}]}});
    let watts = json!({"chargingSchedule": {"chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7383}]}});
    let tx = json!({"chargingProfilePurpose": "TxProfile"});
    let level = json!({"stackLevel": 3});
    let plain = json!({});
    for (quirk, good, bad) in [
        (Quirk::OnlyStackLevel0, &plain, &level),
        (Quirk::OnlyRelative, &plain, &absolute),
        (Quirk::OnlyAbsolute, &absolute, &plain),
        (Quirk::OnlyTxProfile, &tx, &plain),
        (Quirk::OnlyWatts, &watts, &plain),
    ] {
        let mut lab = Lab::quirk(quirk).charging();
        assert_eq!(lab.limit(C1, bad), rejected(), "{quirk}");
        assert_eq!(lab.allowed(), 32_000, "{quirk}");
        assert_eq!(lab.limit(C1, good), accepted(), "{quirk}");
        assert_eq!(lab.allowed(), 10_700, "{quirk}");
    }
    let mut lab = Lab::quirk(Quirk::OnlyChargePointMax);
    assert_eq!(lab.limit(C1, &plain), rejected());
    let max = json!({"chargingProfilePurpose": "ChargePointMaxProfile"});
    assert_eq!(lab.limit(ConnectorId(0), &max), accepted());
}

#[test]
fn every_quirk_of_obedience_accepts_what_it_ignores_and_forgets_what_that_replaced() {
    let absolute = json!({"chargingProfileKind": "Absolute", "chargingSchedule": {
        "startSchedule": "2026-01-15T09:00:00Z", "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.7}]}});
    let watts = json!({"chargingSchedule": {"chargingRateUnit": "W",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7383}]}});
    let whole = json!({"chargingSchedule": {"chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10}]}});
    let tx = json!({"chargingProfilePurpose": "TxProfile"});
    let level = json!({"stackLevel": 3});
    let plain = json!({});
    for (quirk, good, bad) in [
        (Quirk::ObeysStackLevel0, &plain, &level),
        (Quirk::ObeysRelative, &plain, &absolute),
        (Quirk::ObeysAbsolute, &absolute, &plain),
        (Quirk::ObeysTxProfile, &tx, &plain),
        (Quirk::ObeysWatts, &watts, &plain),
        (Quirk::ObeysAmps, &plain, &watts),
        (Quirk::ObeysWholeAmps, &whole, &plain),
    ] {
        let mut lab = Lab::quirk(quirk).charging();
        assert_eq!(lab.limit(C1, good), accepted(), "{quirk}");
        assert!((10_000..=10_700).contains(&lab.allowed()), "{quirk}");
        assert_eq!(lab.limit(C1, bad), accepted(), "{quirk}");
        assert_eq!(lab.allowed(), 32_000, "{quirk}");
    }
    let max = json!({"chargingProfilePurpose": "ChargePointMaxProfile"});
    for (quirk, good) in [
        (Quirk::ObeysChargePointMax, &max),
        (Quirk::ObeysConnector0, &plain),
    ] {
        let mut lab = Lab::quirk(quirk).charging();
        assert_eq!(lab.limit(C1, &plain), accepted(), "{quirk}");
        assert_eq!(lab.allowed(), 32_000, "{quirk}");
        assert_eq!(lab.limit(ConnectorId(0), good), accepted(), "{quirk}");
        assert_eq!(lab.allowed(), 10_700, "{quirk}");
    }
}

#[test]
fn a_default_profile_that_is_looked_at_when_a_transaction_begins_counts_for_the_next_one() {
    let mut lab = Lab::quirk(Quirk::DefaultsAtStart);
    lab.limit_to(10.7);
    assert_eq!(lab.allowed(), 10_700);
    let mut lab = lab.charging();
    lab.limit_to(8.0);
    assert_eq!(lab.allowed(), 10_700);
    let now = lab.now;
    lab.wallbox.unplug(now, C1);
    assert_eq!(lab.allowed(), 8_000);
}

#[test]
fn quirks_of_obedience() {
    let mut lab = Lab::quirk(Quirk::IgnoresProfiles);
    lab.limit_to(10.7);
    assert_eq!(lab.allowed(), 32_000);

    let mut lab = Lab::quirk(Quirk::WholeAmps);
    lab.limit_to(10.7);
    assert_eq!(lab.allowed(), 10_000);

    let mut lab = Lab::quirk(Quirk::NoSmartCharging);
    let answer = lab.limit(C1, &json!({}));
    assert_eq!(answer, Some(json!([{"status": "NotSupported"}])));

    let mut lab = Lab::quirk(Quirk::NeverAnswersProfiles);
    assert_eq!(lab.limit(C1, &json!({})), None);
    lab.wait(60);
    assert_eq!((lab.answers.len(), lab.allowed()), (0, 32_000));

    let mut lab = Lab::quirk(Quirk::LateAnswers);
    assert_eq!(lab.limit(C1, &json!({})), None);
    lab.wait(7);
    assert_eq!((lab.answers.len(), lab.allowed()), (0, 32_000));
    lab.wait(1);
    assert_eq!((lab.answers.len(), lab.allowed()), (1, 10_700));

    let mut lab = Lab::quirk(Quirk::ForgetsProfiles);
    lab.limit_to(10.7);
    lab.wallbox.reboot(lab.now, Duration::ZERO);
    assert_eq!(lab.allowed(), 32_000);
}

#[test]
fn quirks_of_the_link() {
    let mut lab = Lab::quirk(Quirk::NoBootAfterReconnect);
    lab.lose_link();
    lab.connect();
    assert!(lab.calls.is_empty());
    lab.plug(C1);
    assert_eq!(lab.statuses(), ["Preparing"]);

    let mut lab = Lab::quirk(Quirk::NoRemoteTrigger);
    let trigger = json!({"requestedMessage": "Heartbeat"});
    let answer = lab.ask("TriggerMessage", &trigger);
    assert_eq!(answer, Some(json!(["NotSupported", "", {}])));

    let lab = Lab::quirk(Quirk::NumericMessageIds);
    assert!(lab.ids.iter().all(Value::is_number));

    let mut lab = Lab::quirk(Quirk::ResumesTransactions).charging();
    lab.wallbox.reboot(lab.now, Duration::from_secs(5));
    lab.drain();
    lab.wait(10);
    lab.connect();
    assert_eq!(lab.wallbox.transaction(C1), Some(41));
    assert_eq!(lab.statuses(), ["Available", "Charging"]);
}

#[test]
fn quirks_of_what_it_tells() {
    let mut lab = Lab::quirk(Quirk::NoPhaseValues).charging();
    lab.wait(61);
    let samples = &lab.payloads("MeterValues")[0]["meterValue"][0]["sampledValue"];
    let names: Vec<&Value> = samples
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["measurand"])
        .collect();
    assert_eq!(
        names,
        ["Energy.Active.Import.Register", "Power.Active.Import"]
    );

    let mut lab = Lab::quirk(Quirk::NoMeterValues).charging();
    lab.wait(120);
    assert!(lab.payloads("MeterValues").is_empty());

    let mut lab = Lab::quirk(Quirk::NoZoneTimestamps);
    lab.plug(C1);
    let told = lab.payloads("StatusNotification")[0]["timestamp"].clone();
    assert_eq!(told, "2026-01-15T10:00:00.000");

    let mut lab = Lab::quirk(Quirk::Clock1970);
    lab.wait(5);
    lab.plug(C1);
    let told = lab.payloads("StatusNotification")[0]["timestamp"].clone();
    assert_eq!(told, "1970-01-01T00:00:05.000Z");
}
