//! `RemoteStartTransaction`, `RemoteStopTransaction`, `UnlockConnector` (OCPP 1.6 §5.11, §5.12, §5.18).

use super::lab::*;

#[test]
fn a_remote_start_begins_a_transaction_where_a_car_waits() {
    let mut lab = lab();
    lab.plug();
    assert_eq!(lab.remote_start("APP"), "Accepted");
    lab.charges();
    assert_eq!(lab.last("StartTransaction")["idTag"], "APP");
    assert!(
        lab.heard("Authorize").is_empty(),
        "the backend need not be asked"
    );
}

#[test]
fn a_remote_start_waits_for_the_car() {
    let mut lab = lab();
    assert_eq!(lab.remote_start("APP"), "Accepted");
    lab.becomes("Preparing");
    lab.wait(60);
    lab.plug();
    lab.charges();
}

#[test]
fn a_remote_start_without_a_car_ends_after_connection_time_out() {
    let mut lab = lab();
    lab.set("ConnectionTimeOut", "30");
    assert_eq!(lab.remote_start("APP"), "Accepted");
    lab.wait(40);
    assert_eq!(lab.status(), "Available");
    lab.plug();
    lab.wait(30);
    assert_eq!(lab.bills(), (0, 0));
}

#[test]
fn a_remote_start_that_names_no_connector_means_the_only_one() {
    let mut lab = lab();
    lab.plug();
    assert_eq!(
        lab.tell("RemoteStartTransaction", json!({"idTag": "APP"})),
        "Accepted"
    );
    lab.charges();
}

#[test]
fn a_remote_start_of_another_connector_is_rejected() {
    let mut lab = lab();
    lab.plug();
    for connector in [0, 2, -1] {
        let payload = json!({"connectorId": connector, "idTag": "APP"});
        let said = lab.tell("RemoteStartTransaction", payload);
        assert!(
            said == "Rejected" || said == "CALLERROR PropertyConstraintViolation",
            "{connector}: {said}"
        );
    }
    lab.wait(30);
    assert_eq!(lab.bills(), (0, 0));
}

#[test]
fn a_remote_start_in_a_transaction_is_rejected() {
    let mut lab = lab();
    lab.session();
    assert_eq!(lab.remote_start("APP"), "Rejected");
    assert_eq!(lab.bills(), (1, 0));
}

#[test]
fn a_remote_start_works_while_the_last_car_is_still_plugged() {
    let mut lab = lab();
    let first = lab.session();
    assert_eq!(lab.remote_stop(first), "Accepted");
    lab.becomes("Finishing");
    assert_eq!(
        lab.remote_start("APP"),
        "Rejected",
        "the last register is still being read"
    );
    lab.wait(5);
    assert_eq!(lab.bills(), (1, 1));
    assert_eq!(lab.remote_start("APP"), "Accepted");
    lab.charges();
    assert_eq!(lab.bills(), (2, 1));
}

#[test]
fn a_remote_start_at_a_device_with_a_fault_is_rejected() {
    let mut lab = lab();
    lab.brain(|brain, now| brain.set_fault(now, Some(5)));
    lab.becomes("Faulted");
    assert_eq!(lab.remote_start("APP"), "Rejected");
}

#[test]
fn a_remote_start_at_a_device_that_is_away_is_rejected() {
    let mut lab = lab();
    lab.brain(|brain, now| brain.be_silent(now, std::time::Duration::from_mins(10)));
    lab.wait(90);
    assert_eq!(lab.status(), "Unavailable");
    assert_eq!(lab.remote_start("APP"), "Rejected");
}

#[test]
fn with_authorize_remote_tx_requests_the_tag_is_asked_for() {
    let mut lab = strict();
    assert_eq!(lab.set("AuthorizeRemoteTxRequests", "true"), "Accepted");
    lab.plug();
    assert_eq!(lab.remote_start(OTHER), "Accepted");
    lab.wait(30);
    assert_eq!(lab.heard("Authorize").len(), 1);
    assert_eq!(lab.bills(), (0, 0));
    assert_eq!(lab.remote_start(CARD), "Accepted");
    lab.charges();
}

#[test]
fn a_remote_start_may_bring_a_profile_for_its_transaction() {
    let mut lab = lab();
    lab.plug();
    let profile = json!({"chargingProfileId": 1, "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}});
    let payload = json!({"connectorId": 1, "idTag": "APP", "chargingProfile": profile});
    assert_eq!(lab.tell("RemoteStartTransaction", payload), "Accepted");
    lab.charges();
    lab.wait(20);
    assert_eq!(lab.allows(), 90);
    lab.unplug();
    lab.session();
    lab.wait(20);
    assert_eq!(
        lab.allows(),
        160,
        "it was the profile of that transaction alone"
    );
}

#[test]
fn a_remote_start_with_a_profile_of_another_purpose_starts_nothing() {
    let mut lab = lab();
    lab.plug();
    let profile = json!({"chargingProfileId": 1, "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}]}});
    let payload = json!({"connectorId": 1, "idTag": "APP", "chargingProfile": profile});
    assert_eq!(lab.tell("RemoteStartTransaction", payload), "Rejected");
    lab.wait(20);
    assert_eq!(lab.bills(), (0, 0));
}

#[test]
fn a_tag_that_could_not_be_repeated_starts_nothing() {
    let mut lab = lab();
    lab.plug();
    for tag in ["", "123456789012345678901"] {
        let said = lab.remote_start(tag);
        assert_eq!(said, "CALLERROR PropertyConstraintViolation", "{tag:?}");
    }
    lab.wait(20);
    assert_eq!(lab.bills(), (0, 0));
}

#[test]
fn a_remote_stop_ends_transaction_and_current() {
    let mut lab = lab();
    let transaction = lab.session();
    assert_eq!(lab.remote_stop(transaction), "Accepted");
    lab.wait(15);
    assert_eq!(lab.last("StopTransaction")["reason"], "Remote");
    assert_eq!(lab.last("StopTransaction")["transactionId"], transaction);
    assert!(!lab.draws());
    lab.becomes("Finishing");
    lab.settles();
}

#[test]
fn a_remote_stop_of_another_transaction_is_rejected() {
    let mut lab = lab();
    let transaction = lab.session();
    for other in [transaction + 1, 0, -1, i64::from(i32::MAX)] {
        assert_eq!(lab.remote_stop(other), "Rejected", "{other}");
    }
    assert!(lab.draws());
}

#[test]
fn a_remote_stop_of_a_transaction_that_is_over_is_rejected() {
    let mut lab = lab();
    let transaction = lab.session();
    lab.unplug();
    assert_eq!(lab.remote_stop(transaction), "Rejected");
    assert_eq!(lab.bills(), (1, 1));
}

#[test]
fn case_46_unlock_connector_is_not_supported_and_stops_nothing() {
    let mut lab = lab();
    lab.session();
    let said = lab.tell("UnlockConnector", json!({"connectorId": 1}));
    assert_eq!(said, "NotSupported");
    lab.wait(20);
    assert_eq!(lab.bills(), (1, 0));
    assert!(lab.draws());
}

#[test]
fn unlock_of_a_connector_that_is_not_there_is_not_supported() {
    let mut lab = lab();
    let said = lab.tell("UnlockConnector", json!({"connectorId": 7}));
    assert_eq!(said, "NotSupported");
}
