//! `SetChargingProfile`, `ClearChargingProfile`, `GetCompositeSchedule` (OCPP 1.6 §5.5, §5.7, §5.16).

use chargewarden::units::MilliAmps;

use super::lab::*;

fn profile(id: i64, purpose: &str, amps: f64) -> Value {
    json!({"chargingProfileId": id, "stackLevel": 0, "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative", "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}]}})
}

fn set(lab: &mut Lab, connector: i64, profile: Value) -> String {
    let payload = json!({"connectorId": connector, "csChargingProfiles": profile});
    let said = lab.tell("SetChargingProfile", payload);
    lab.wait(20);
    said
}

#[test]
fn a_profile_limits_the_register() {
    let mut lab = lab();
    lab.session();
    assert_eq!(lab.allows(), 160);
    assert_eq!(
        set(&mut lab, 1, profile(1, "TxDefaultProfile", 10.0)),
        "Accepted"
    );
    assert_eq!(lab.allows(), 100);
}

#[test]
fn less_than_the_least_current_is_a_pause() {
    let mut lab = lab();
    lab.session();
    assert_eq!(
        set(&mut lab, 1, profile(1, "TxDefaultProfile", 5.9)),
        "Accepted"
    );
    assert_eq!((lab.allows(), lab.bills()), (0, (1, 0)));
    assert_eq!(lab.status(), "SuspendedEVSE");
}

#[test]
fn a_profile_does_not_raise_what_the_fuse_allows() {
    let plan = usual(BackendPlan::default()).with_load(|load| {
        for circuit in &mut load.circuits {
            circuit.max_current = MilliAmps::from_amps(10);
        }
    });
    let mut lab = Lab::of(plan);
    lab.session();
    assert_eq!(lab.allows(), 100);
    assert_eq!(
        set(&mut lab, 1, profile(1, "TxDefaultProfile", 32.0)),
        "Accepted"
    );
    assert_eq!(lab.allows(), 100);
    assert_eq!(
        set(&mut lab, 1, profile(1, "TxDefaultProfile", 8.0)),
        "Accepted"
    );
    assert_eq!(lab.allows(), 80);
}

#[test]
fn a_profile_of_the_transaction_beats_the_default() {
    let mut lab = lab();
    let transaction = lab.session();
    set(&mut lab, 1, profile(1, "TxDefaultProfile", 8.0));
    let mut own = profile(2, "TxProfile", 12.0);
    own["transactionId"] = json!(transaction);
    assert_eq!(set(&mut lab, 1, own), "Accepted");
    assert_eq!(lab.allows(), 120);
    lab.unplug();
    lab.session();
    lab.wait(20);
    assert_eq!(lab.allows(), 80, "it was for that transaction alone");
}

#[test]
fn case_28_profiles_of_no_transaction_are_rejected() {
    let mut lab = lab();
    assert_eq!(set(&mut lab, 1, profile(1, "TxProfile", 8.0)), "Rejected");
    let transaction = lab.session();
    let mut other = profile(1, "TxProfile", 8.0);
    other["transactionId"] = json!(transaction + 1);
    assert_eq!(set(&mut lab, 1, other), "Rejected");
    assert_eq!(set(&mut lab, 0, profile(1, "TxProfile", 8.0)), "Rejected");
    assert_eq!(lab.allows(), 160);
}

#[test]
fn the_maximum_of_the_charge_point_belongs_to_connector_0() {
    let mut lab = lab();
    lab.session();
    assert_eq!(
        set(&mut lab, 1, profile(1, "ChargePointMaxProfile", 8.0)),
        "Rejected"
    );
    assert_eq!(
        set(&mut lab, 0, profile(1, "ChargePointMaxProfile", 8.0)),
        "Accepted"
    );
    assert_eq!(lab.allows(), 80);
}

#[test]
fn absurd_profiles_are_rejected() {
    let mut lab = lab();
    let mut wrong = vec![profile(1, "TxDefaultProfile", -1.0)];
    let mut one = profile(1, "TxDefaultProfile", 8.0);
    one["stackLevel"] = json!(99);
    wrong.push(one);
    let mut one = profile(1, "TxDefaultProfile", 8.0);
    one["chargingSchedule"]["chargingSchedulePeriod"] = json!([]);
    wrong.push(one);
    let mut one = profile(1, "TxDefaultProfile", 8.0);
    one["chargingSchedule"]["chargingSchedulePeriod"] =
        json!([{"startPeriod": 0, "limit": 8.0}, {"startPeriod": 0, "limit": 9.0}]);
    wrong.push(one);
    let mut one = profile(1, "TxDefaultProfile", 8.0);
    one["chargingProfileKind"] = json!("Recurring");
    wrong.push(one);
    for profile in wrong {
        assert_eq!(set(&mut lab, 1, profile.clone()), "Rejected", "{profile}");
    }
}

#[test]
fn a_connector_that_is_not_there_has_no_profiles() {
    let mut lab = lab();
    let said = set(&mut lab, 4, profile(1, "TxDefaultProfile", 8.0));
    assert_eq!(said, "CALLERROR PropertyConstraintViolation");
}

#[test]
fn profiles_are_cleared_by_number_and_all_together() {
    let mut lab = lab();
    lab.session();
    set(&mut lab, 1, profile(1, "TxDefaultProfile", 8.0));
    assert_eq!(
        lab.tell("ClearChargingProfile", json!({"id": 2})),
        "Unknown"
    );
    assert_eq!(lab.allows(), 80);
    assert_eq!(
        lab.tell("ClearChargingProfile", json!({"id": 1})),
        "Accepted"
    );
    lab.wait(20);
    assert_eq!(lab.allows(), 160);
    assert_eq!(lab.tell("ClearChargingProfile", json!({})), "Unknown");
}

#[test]
fn the_composite_schedule_says_what_is_allowed() {
    let mut lab = lab();
    lab.session();
    set(&mut lab, 1, profile(1, "TxDefaultProfile", 8.0));
    let payload = json!({"connectorId": 1, "duration": 600, "chargingRateUnit": "A"});
    let said = lab.ask("GetCompositeSchedule", payload);
    assert_eq!(said["status"], "Accepted");
    let limit = &said["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"];
    assert_eq!(limit.as_f64(), Some(8.0));
}

#[test]
fn the_composite_schedule_of_a_connector_that_is_not_there_is_refused() {
    let mut lab = lab();
    let said = lab.tell(
        "GetCompositeSchedule",
        json!({"connectorId": 3, "duration": 60}),
    );
    assert!(
        said == "Rejected" || said.starts_with("CALLERROR"),
        "{said}"
    );
}

#[test]
fn profiles_outlive_a_restart() {
    let mut lab = lab();
    set(&mut lab, 1, profile(1, "TxDefaultProfile", 9.0));
    lab.world.crash();
    lab.wait(90);
    lab.session();
    lab.wait(20);
    assert_eq!(lab.allows(), 90);
}

#[test]
fn where_nothing_is_limited_here_the_backend_alone_decides() {
    let plan = usual(BackendPlan::default()).with_load(|load| load.observe = true);
    let mut lab = Lab::of(plan);
    lab.plug();
    lab.wait(30);
    assert!(!lab.draws(), "nobody has allowed it");
    lab.tap(CARD);
    let transaction = lab.charges();
    assert_eq!(lab.allows(), 160);
    set(&mut lab, 1, profile(1, "TxDefaultProfile", 7.0));
    assert_eq!(lab.allows(), 70);
    set(&mut lab, 1, profile(1, "TxDefaultProfile", 0.0));
    assert_eq!((lab.allows(), lab.bills()), (0, (1, 0)));
    lab.tell("ClearChargingProfile", json!({}));
    lab.wait(20);
    assert_eq!(lab.allows(), 160);
    assert_eq!(lab.remote_stop(transaction), "Accepted");
    lab.wait(20);
    assert!(!lab.draws());
    lab.settles();
}
