//! `StartTransaction` and `StopTransaction` (OCPP 1.6 §4.8, §4.10).

use super::lab::*;

#[test]
fn a_transaction_is_billed_by_the_register_of_the_device() {
    let mut lab = lab();
    lab.session();
    lab.wait(1800);
    lab.unplug();
    let (start, stop) = (lab.last("StartTransaction"), lab.last("StopTransaction"));
    let taken = stop["meterStop"].as_i64().unwrap() - start["meterStart"].as_i64().unwrap();
    let hour = lab.world.power_brain("PB").unwrap().energy().0;
    assert_eq!(stop["meterStop"].as_i64().unwrap(), hour);
    // Half an hour with 11 kW.
    assert!((5_300..5_700).contains(&taken), "{taken} Wh");
    lab.settles();
}

#[test]
fn the_start_names_connector_card_and_time() {
    let mut lab = lab();
    lab.session();
    let start = lab.last("StartTransaction");
    assert_eq!(
        (&start["connectorId"], &start["idTag"]),
        (&json!(1), &json!(CARD))
    );
    assert!(start["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(start.get("reservationId"), None);
}

#[test]
fn current_flows_only_after_the_card_is_accepted() {
    let plan = BackendPlan::default().quirk(BackendQuirk::LateAnswers);
    let mut lab = Lab::of(usual(BackendPlan {
        lateness: std::time::Duration::from_secs(6),
        ..plan
    }));
    lab.wait(60);
    lab.plug();
    lab.tap(CARD);
    assert!(!lab.draws());
    lab.wait(20);
    lab.charges();
}

#[test]
fn an_unplugged_car_ends_its_transaction() {
    let mut lab = lab();
    lab.session();
    lab.unplug();
    assert_eq!(lab.last("StopTransaction")["reason"], "EVDisconnected");
    assert_eq!(lab.status(), "Available");
    lab.settles();
}

#[test]
fn a_pause_by_either_side_ends_nothing() {
    let mut lab = lab();
    lab.session();
    let zero = json!({"chargingProfileId": 1, "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 0.0}]}});
    let payload = json!({"connectorId": 1, "csChargingProfiles": zero});
    assert_eq!(lab.tell("SetChargingProfile", payload), "Accepted");
    lab.wait(600);
    assert_eq!((lab.bills(), lab.draws()), ((1, 0), false));
    assert_eq!(lab.tell("ClearChargingProfile", json!({})), "Accepted");
    lab.wait(30);
    assert_eq!((lab.bills(), lab.draws()), ((1, 0), true));
}

#[test]
fn a_power_cut_of_the_device_ends_a_transaction_whose_car_left_meanwhile() {
    let mut lab = lab();
    lab.session();
    lab.wait(300);
    lab.world.reboot("PB", std::time::Duration::from_mins(1));
    lab.brain(chargewarden::sim::PowerBrain::unplug);
    lab.wait(120);
    assert_eq!(lab.last("StopTransaction")["reason"], "PowerLoss");
    lab.settles();
}

#[test]
fn a_power_cut_of_the_device_does_not_end_a_transaction_whose_car_stays() {
    let mut lab = lab();
    lab.session();
    lab.world.reboot("PB", std::time::Duration::from_mins(1));
    lab.wait(180);
    assert_eq!(lab.bills(), (1, 0));
    assert!(lab.draws());
    lab.unplug();
    lab.settles();
}

#[test]
fn the_number_of_the_backend_is_used_whatever_it_is() {
    use chargewarden::sim::backend::TransactionIds;
    for first in [0, -5, 1, i64::from(i32::MAX)] {
        let plan = BackendPlan {
            transaction_ids: TransactionIds::Always(first),
            ..BackendPlan::default()
        };
        let mut lab = Lab::of(usual(plan));
        lab.session();
        lab.unplug();
        assert_eq!(lab.last("StopTransaction")["transactionId"], first);
    }
}

#[test]
fn a_start_whose_answer_is_lost_is_repeated_and_counts_once() {
    let plan = BackendPlan::default().quirk(BackendQuirk::LosesAnswers);
    let mut lab = Lab::of(usual(plan));
    lab.plug();
    lab.tap(CARD);
    lab.wait(300);
    lab.unplug();
    lab.wait(300);
    assert_eq!(lab.bills(), (1, 1));
    lab.settles();
}

#[test]
fn a_callerror_to_a_transaction_message_lets_it_be_repeated() {
    let plan = BackendPlan::default().quirk(BackendQuirk::FailsTransactions);
    let mut lab = Lab::of(usual(plan));
    lab.plug();
    lab.tap(CARD);
    lab.wait(300);
    lab.unplug();
    lab.wait(3600);
    assert_eq!(lab.bills(), (1, 1));
    lab.settles();
}

#[test]
fn data_transfer_of_an_unknown_vendor_is_answered_so() {
    let mut lab = lab();
    let said = lab.tell(
        "DataTransfer",
        json!({"vendorId": "ACME", "messageId": "x", "data": "y"}),
    );
    assert_eq!(said, "UnknownVendorId");
}
