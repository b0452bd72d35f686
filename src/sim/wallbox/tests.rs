use serde_json::{Value, json};

mod lab;
mod quirks;

use lab::{C1, C2, Lab, accepted, lab, rejected};

use super::*;

#[test]
fn it_boots_first_then_tells_every_status_and_then_beats() {
    let mut lab = Lab::new(WallboxPlan::new("CB"));
    lab.connect();
    assert_eq!(
        lab.sent(),
        [
            "BootNotification",
            "StatusNotification",
            "StatusNotification"
        ]
    );
    assert_eq!(lab.statuses(), ["Available", "Available"]);
    lab.calls.clear();
    lab.wait(299);
    assert!(lab.calls.is_empty());
    lab.wait(2);
    assert_eq!(lab.sent(), ["Heartbeat"]);
    assert!(lab.violations().is_empty());
}

#[test]
fn before_it_is_accepted_it_sends_only_what_is_asked_for() {
    let mut lab = Lab::new(WallboxPlan::new("CB"));
    let pending = json!({"status": "Pending", "currentTime": lab.now.wall, "interval": 20});
    lab.says.insert("BootNotification", pending);
    lab.connect();
    lab.plug(C1);
    lab.wait(15);
    assert_eq!(lab.sent(), ["BootNotification"]);
    let trigger = json!({"requestedMessage": "StatusNotification", "connectorId": 1});
    assert_eq!(lab.ask("TriggerMessage", &trigger), accepted());
    assert_eq!(lab.statuses(), ["Preparing"]);
    lab.says.clear();
    lab.wait(10);
    assert_eq!(lab.payloads("BootNotification").len(), 2);
    assert_eq!(lab.statuses(), ["Preparing", "Available", "Preparing"]);
}

#[test]
fn rejected_it_answers_nothing_until_it_asks_again() {
    let mut lab = Lab::new(WallboxPlan::new("CB"));
    let no = json!({"status": "Rejected", "currentTime": lab.now.wall, "interval": 20});
    lab.says.insert("BootNotification", no);
    lab.connect();
    assert_eq!(lab.ask("GetConfiguration", &json!({})), None);
    lab.wait(21);
    assert_eq!(lab.sent(), ["BootNotification", "BootNotification"]);
}

#[test]
fn a_tag_and_a_car_make_a_transaction_and_pulling_the_plug_ends_it() {
    let mut lab = lab();
    lab.plug(C1);
    lab.tap(C1);
    assert_eq!(lab.wallbox.transaction(C1), Some(41));
    lab.wait(3600);
    assert_eq!(lab.drawn(), PerPhase::all(MilliAmps::from_amps(16)));
    lab.wallbox.unplug(lab.now, C1);
    lab.drain();
    let start = lab.payloads("StartTransaction")[0].clone();
    let stop = lab.payloads("StopTransaction")[0].clone();
    assert_eq!(start["idTag"], "TAG");
    assert_eq!(stop["transactionId"], 41);
    assert_eq!(stop["reason"], "EVDisconnected");
    // 16 A on three phases for an hour, less the first ramp.
    let energy = stop["meterStop"].as_i64().unwrap() - start["meterStart"].as_i64().unwrap();
    assert!((11_030..=11_040).contains(&energy), "{energy}");
    assert_eq!(lab.statuses(), ["Preparing", "Charging", "Available"]);
    let meter_values = lab.payloads("MeterValues");
    assert_eq!(meter_values.len(), 60);
    assert!(
        meter_values
            .iter()
            .all(|payload| payload["transactionId"] == 41)
    );
    assert!(lab.violations().is_empty());
}

#[test]
fn the_car_follows_the_profile_and_the_status_says_why_it_does_not_charge() {
    let mut lab = lab();
    lab.limit_to(0.0);
    lab.start(C1);
    assert_eq!(lab.wallbox.exposure(C1, lab.now), PerPhase::default());
    lab.limit_to(10.7);
    assert_eq!(
        lab.wallbox.exposure(C1, lab.now),
        PerPhase::all(MilliAmps(10_700))
    );
    lab.wait(5);
    assert_eq!(lab.drawn(), PerPhase::all(MilliAmps(10_700)));
    lab.limit_to(5.9);
    lab.wait(5);
    assert_eq!(lab.drawn(), PerPhase::default());
    let expected = ["Preparing", "SuspendedEVSE", "Charging", "SuspendedEVSE"];
    assert_eq!(lab.statuses(), expected);
}

#[test]
fn a_full_car_is_suspended_by_itself() {
    let mut lab = lab();
    let small = Car::default().wants(WattHours(100));
    lab.wallbox.plug(lab.now, C1, small);
    lab.tap(C1);
    lab.wait(60);
    assert_eq!(lab.statuses(), ["Preparing", "Charging", "SuspendedEV"]);
}

#[test]
fn the_same_tag_stops_and_the_cable_stays_in() {
    let mut lab = lab().charging();
    lab.tap(C1);
    let stop = lab.payloads("StopTransaction")[0].clone();
    assert_eq!((&stop["idTag"], stop.get("reason")), (&json!("TAG"), None));
    assert_eq!(lab.statuses(), ["Finishing"]);
    lab.tap(C1);
    assert_eq!(lab.payloads("StartTransaction").len(), 1);
}

#[test]
fn another_tag_stops_only_if_it_is_of_the_same_group() {
    let mut lab = lab();
    let family = json!({"idTagInfo": {"status": "Accepted", "parentIdTag": "FAMILY"}});
    lab.says.insert("Authorize", family);
    lab.start(C1);
    lab.says
        .insert("Authorize", json!({"idTagInfo": {"status": "Accepted"}}));
    lab.wallbox.present_tag(lab.now, C1, &"STRANGER".into());
    lab.drain();
    assert!(lab.payloads("StopTransaction").is_empty());
    let family = json!({"idTagInfo": {"status": "Accepted", "parentIdTag": "family"}});
    lab.says.insert("Authorize", family);
    lab.wallbox.present_tag(lab.now, C1, &"SISTER".into());
    lab.drain();
    assert_eq!(lab.payloads("StopTransaction").len(), 1);
}

#[test]
fn a_tag_that_is_not_accepted_does_not_charge() {
    let mut lab = lab();
    lab.says
        .insert("Authorize", json!({"idTagInfo": {"status": "Blocked"}}));
    lab.start(C1);
    lab.wait(10);
    assert_eq!(lab.statuses(), ["Preparing"]);
    assert_eq!(lab.wallbox.exposure(C1, lab.now), PerPhase::default());
}

#[test]
fn a_start_that_is_refused_later_is_stopped() {
    let mut lab = lab();
    let refusal = json!({"transactionId": 7, "idTagInfo": {"status": "Invalid"}});
    lab.says.insert("StartTransaction", refusal);
    lab.start(C1);
    let stop = lab.payloads("StopTransaction")[0];
    assert_eq!(
        (&stop["transactionId"], &stop["reason"]),
        (&json!(7), &json!("DeAuthorized"))
    );
    assert_eq!(lab.wallbox.exposure(C1, lab.now), PerPhase::default());
}

#[test]
fn an_authorization_waits_for_the_car_only_so_long() {
    let mut lab = lab();
    lab.tap(C1);
    lab.wait(61);
    lab.plug(C1);
    assert_eq!(lab.statuses(), ["Preparing", "Available", "Preparing"]);
}

#[test]
fn offline_a_known_tag_charges_and_everything_is_delivered_in_order_over_a_reboot() {
    let mut lab = lab().charging();
    lab.tap(C1);
    lab.lose_link();
    lab.calls.clear();
    lab.tap(C1);
    lab.wait(130);
    lab.tap(C1);
    assert_eq!(lab.wallbox.unsent(), 4);
    lab.wallbox.reboot(lab.now, Duration::from_secs(10));
    lab.wait(20);
    lab.connect();
    let kept = [
        "StartTransaction",
        "MeterValues",
        "MeterValues",
        "StopTransaction",
    ];
    let sent: Vec<&str> = lab
        .sent()
        .into_iter()
        .filter(|a| kept.contains(a))
        .collect();
    assert_eq!(sent, kept);
    assert_eq!(lab.sent()[0], "BootNotification");
    let ids: Vec<&Value> = lab
        .calls
        .iter()
        .filter_map(|(_, p)| p.get("transactionId"))
        .collect();
    assert_eq!(ids, [42, 42, 42]);
    assert_eq!(lab.wallbox.unsent(), 0);
}

#[test]
fn offline_a_stranger_does_not_charge() {
    let mut lab = lab();
    lab.lose_link();
    lab.start(C1);
    assert_eq!(lab.wallbox.unsent(), 0);
}

#[test]
fn an_unanswered_transaction_message_is_sent_again_and_given_up_at_last() {
    let mut lab = lab();
    lab.says.insert("StartTransaction", json!("InternalError"));
    lab.start(C1);
    lab.wait(9);
    assert_eq!(lab.payloads("StartTransaction").len(), 1);
    lab.wait(2);
    assert_eq!(lab.payloads("StartTransaction").len(), 2);
    lab.wait(20);
    assert_eq!(lab.payloads("StartTransaction").len(), 3);
    lab.wait(60);
    assert_eq!(lab.payloads("StartTransaction").len(), 3);
    assert_eq!(lab.payloads("MeterValues")[0]["transactionId"], -1);
}

#[test]
fn a_link_that_goes_is_no_failed_attempt() {
    let mut lab = lab();
    lab.plug(C1);
    lab.tap(C1);
    lab.tap(C1);
    lab.silent = true;
    for _ in 0..10 {
        lab.tap(C1);
        lab.lose_link();
        lab.connect();
    }
    lab.lose_link();
    lab.silent = false;
    lab.calls.clear();
    lab.connect();
    assert!(!lab.payloads("StartTransaction").is_empty());
    assert_eq!(lab.wallbox.unsent(), 0);
}

#[test]
fn it_waits_30_seconds_for_an_answer_and_sends_one_call_at_a_time() {
    let mut lab = lab();
    lab.silent = true;
    lab.plug(C1);
    lab.tap(C1);
    lab.wait(29);
    assert_eq!(lab.sent(), ["StatusNotification"]);
    lab.wait(2);
    assert_eq!(lab.sent(), ["StatusNotification", "Authorize"]);
}

#[test]
fn profiles_survive_a_reboot_and_transactions_do_not() {
    let mut lab = lab();
    lab.limit_to(10.7);
    let mut lab = lab.charging();
    lab.wallbox.reboot(lab.now, Duration::from_secs(10));
    lab.drain();
    assert!(lab.hung_up && !lab.wallbox.is_on());
    assert_eq!(lab.drawn(), PerPhase::default());
    lab.wait(10);
    lab.connect();
    assert_eq!(lab.allowed(), 10_700);
    assert_eq!(lab.payloads("StopTransaction")[0]["reason"], "PowerLoss");
    assert_eq!(lab.statuses(), ["Available", "Preparing"]);
}

#[test]
fn the_charge_point_maximum_is_shared_by_the_connectors_that_charge() {
    let mut plan = WallboxPlan::new("CB");
    plan.connectors = 2;
    let mut lab = Lab::new(plan).connected();
    let max = json!({"chargingProfilePurpose": "ChargePointMaxProfile"});
    assert_eq!(lab.limit(ConnectorId(0), &max), accepted());
    assert_eq!(lab.allowed(), 10_700);
    lab.start(C2);
    // 5.35 A is less than a car can take.
    assert_eq!(lab.allowed(), 0);
}

#[test]
fn remote_start_and_stop_work_without_a_card() {
    let mut lab = lab();
    lab.plug(C1);
    let profile = json!({"chargingProfileId": 9, "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8}]}});
    let start = json!({"idTag": "APP", "chargingProfile": profile});
    assert_eq!(lab.ask("RemoteStartTransaction", &start), accepted());
    assert_eq!(lab.allowed(), 8_000);
    assert_eq!(lab.ask("RemoteStartTransaction", &start), rejected());
    let other = json!({"transactionId": 1});
    assert_eq!(lab.ask("RemoteStopTransaction", &other), rejected());
    let stop = json!({"transactionId": 41});
    assert_eq!(lab.ask("RemoteStopTransaction", &stop), accepted());
    assert_eq!(lab.payloads("StopTransaction")[0]["reason"], "Remote");
    assert_eq!(lab.allowed(), 32_000);
}

#[test]
fn availability_waits_for_the_end_of_the_transaction() {
    let mut lab = lab().charging();
    let off = json!({"connectorId": 0, "type": "Inoperative"});
    let scheduled = Some(json!([{"status": "Scheduled"}]));
    assert_eq!(lab.ask("ChangeAvailability", &off), scheduled);
    lab.tap(C1);
    assert_eq!(lab.statuses(), ["Unavailable", "Unavailable"]);
    let on = json!({"connectorId": 1, "type": "Operative"});
    assert_eq!(lab.ask("ChangeAvailability", &on), accepted());
    assert_eq!(lab.statuses().last(), Some(&"Finishing"));
}

#[test]
fn reset_and_unlock_stop_the_transaction() {
    let mut lab = lab().charging();
    let unlock = json!({"connectorId": 1});
    let unlocked = Some(json!([{"status": "Unlocked"}]));
    assert_eq!(lab.ask("UnlockConnector", &unlock), unlocked);
    lab.tap(C1);
    assert_eq!(lab.ask("Reset", &json!({"type": "Soft"})), accepted());
    lab.wait(2);
    assert!(lab.hung_up && !lab.wallbox.is_on());
    let reasons: Vec<&Value> = lab
        .payloads("StopTransaction")
        .iter()
        .map(|p| &p["reason"])
        .collect();
    assert_eq!(reasons, ["UnlockCommand", "SoftReset"]);
    lab.wait(5);
    assert!(lab.wallbox.is_on());
}

#[test]
fn it_reports_its_composite_schedule_and_clears_profiles() {
    let mut lab = lab();
    lab.limit_to(10.7);
    let ask = json!({"connectorId": 1, "duration": 600});
    let answer = lab.ask("GetCompositeSchedule", &ask).unwrap();
    let periods = &answer[0]["chargingSchedule"]["chargingSchedulePeriod"];
    assert_eq!(*periods, json!([{"startPeriod": 0, "limit": 10.7}]));
    let clear = json!({"chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0});
    assert_eq!(lab.ask("ClearChargingProfile", &clear), accepted());
    let unknown = Some(json!([{"status": "Unknown"}]));
    assert_eq!(lab.ask("ClearChargingProfile", &clear), unknown);
    assert_eq!(lab.allowed(), 32_000);
}

#[test]
fn triggered_meter_values_come_without_a_transaction_too() {
    let mut lab = lab();
    let trigger = json!({"requestedMessage": "MeterValues"});
    assert_eq!(lab.ask("TriggerMessage", &trigger), accepted());
    let values = lab.payloads("MeterValues")[0];
    assert_eq!(values.get("transactionId"), None);
    assert_eq!(
        values["meterValue"][0]["sampledValue"][0]["context"],
        "Trigger"
    );
    let other = json!({"requestedMessage": "FirmwareStatusNotification"});
    let unknown = Some(json!([{"status": "NotImplemented"}]));
    assert_eq!(lab.ask("TriggerMessage", &other), unknown);
}

#[test]
fn what_the_central_system_does_wrong_is_noted() {
    let mut lab = lab();
    let wrong = lab.ask("ChangeConfiguration", &json!({"key": "a", "value": 1}));
    assert_eq!(wrong, Some(json!(["FormationViolation", "", {}])));
    let unknown = lab.ask("MakeCoffee", &json!({}));
    assert_eq!(unknown, Some(json!(["NotImplemented", "", {}])));
    for text in ["[3,\"nobody\",{}]", "{}", "[2,7,\"Reset\",{}]", "garbage"] {
        lab.wallbox.handle_frame(lab.now, text);
    }
    lab.says.insert("Heartbeat", json!({"currentTime": "soon"}));
    lab.wait(301);
    assert_eq!(lab.violations().len(), 7, "{:#?}", lab.violations());
}
