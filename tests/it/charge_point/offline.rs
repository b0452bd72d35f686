//! While the backend is away (OCPP 1.6 §3.5, §4.8).

use super::lab::*;

fn trusting() -> Lab {
    let plan = usual(BackendPlan::default());
    Lab::of(plan.with_gateway(|gateway| {
        for member in &mut gateway.members {
            member.offline_unknown_tags = true;
        }
    }))
}

#[test]
fn a_card_that_nobody_knows_does_not_charge() {
    let mut lab = lab();
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert!(!lab.draws());
}

#[test]
fn where_the_file_allows_strangers_they_charge() {
    let mut lab = trusting();
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert!(lab.draws());
}

#[test]
fn a_backend_may_forbid_strangers_but_not_allow_them() {
    let mut lab = trusting();
    assert_eq!(lab.set("AllowOfflineTxForUnknownId", "false"), "Accepted");
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert!(!lab.draws());
    let mut lab = super::lab::lab();
    assert_eq!(lab.set("AllowOfflineTxForUnknownId", "true"), "Rejected");
}

#[test]
fn a_card_that_the_backend_accepted_before_charges() {
    let mut lab = lab();
    lab.session();
    lab.unplug();
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert!(lab.draws());
}

#[test]
fn without_local_authorize_offline_nobody_charges() {
    let mut lab = lab();
    lab.session();
    lab.unplug();
    assert_eq!(lab.set("LocalAuthorizeOffline", "false"), "Accepted");
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert!(!lab.draws());
}

#[test]
fn start_values_and_stop_arrive_later_in_their_order_and_with_their_times() {
    let mut lab = trusting();
    lab.set("MeterValueSampleInterval", "60");
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(300);
    lab.unplug();
    lab.wait(3600);
    lab.backend_is_there(true);
    lab.wait(60);
    let actions = lab.ledger().actions("CP");
    let billing: Vec<_> = actions
        .into_iter()
        .filter(|it| ["StartTransaction", "MeterValues", "StopTransaction"].contains(it))
        .collect();
    assert_eq!(billing.first(), Some(&"StartTransaction"));
    assert_eq!(billing.last(), Some(&"StopTransaction"));
    assert!(billing.len() >= 6, "{billing:?}");
    let transaction = lab.transaction();
    assert!(
        lab.heard("MeterValues")
            .iter()
            .all(|it| it["transactionId"] == transaction)
    );
    let started = lab.last("StartTransaction")["timestamp"]
        .as_str()
        .unwrap()
        .to_owned();
    let stopped = lab.last("StopTransaction")["timestamp"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(started < stopped);
    lab.settles();
}

#[test]
fn a_transaction_goes_on_while_the_backend_is_away() {
    let mut lab = lab();
    lab.session();
    lab.backend_is_there(false);
    lab.wait(1800);
    assert!(lab.draws());
    lab.unplug();
    lab.backend_is_there(true);
    lab.wait(60);
    assert_eq!(lab.bills(), (1, 1));
    lab.settles();
}

#[test]
fn the_same_card_ends_its_transaction_also_offline() {
    let mut lab = lab();
    lab.session();
    lab.backend_is_there(false);
    lab.tap(CARD);
    lab.wait(30);
    assert!(!lab.draws());
    lab.backend_is_there(true);
    lab.wait(30);
    assert_eq!(lab.bills(), (1, 1));
    lab.settles();
}

#[test]
fn profiles_hold_while_the_backend_is_away() {
    let mut lab = lab();
    let profile = json!({"chargingProfileId": 1, "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.0}]}});
    let payload = json!({"connectorId": 1, "csChargingProfiles": profile});
    lab.tell("SetChargingProfile", payload);
    lab.session();
    lab.wait(20);
    lab.backend_is_there(false);
    lab.wait(600);
    assert_eq!(lab.allows(), 100);
}

#[test]
fn a_tag_that_the_backend_refuses_afterwards_is_stopped() {
    let plan = BackendPlan::default().unknown_tags(Invalid);
    let mut lab = Lab::of(usual(plan).with_gateway(|gateway| {
        for member in &mut gateway.members {
            member.offline_unknown_tags = true;
        }
    }));
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(CARD);
    lab.wait(120);
    assert!(lab.draws());
    lab.backend_is_there(true);
    lab.wait(60);
    assert!(!lab.draws());
    assert_eq!(lab.last("StopTransaction")["reason"], "DeAuthorized");
    assert_eq!(lab.bills(), (1, 1));
}

#[test]
fn a_backend_that_closes_each_minute_loses_nothing() {
    let plan = BackendPlan::default().quirk(BackendQuirk::ClosesEachMinute);
    let mut lab = Lab::of(usual(plan));
    lab.plug();
    lab.tap(CARD);
    lab.wait(1200);
    lab.unplug();
    lab.wait(600);
    assert_eq!(lab.bills(), (1, 1));
    lab.settles();
}

#[test]
fn case_39_a_backend_that_is_silent_is_not_waited_for_where_the_card_is_known() {
    let mut lab = lab();
    lab.session();
    lab.unplug();
    lab.backend(|plan| {
        plan.quirks.insert(BackendQuirk::NeverAnswers);
    });
    lab.plug();
    lab.tap(CARD);
    lab.wait(20);
    assert!(lab.draws());
}
