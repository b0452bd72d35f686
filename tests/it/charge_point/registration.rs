//! `BootNotification`, `Heartbeat` and what may be said before the backend has accepted (OCPP 1.6 §4.2,
//! §4.6).

use chargewarden::ocpp::messages::RegistrationStatus;

use super::lab::*;

fn hesitant(quirk: BackendQuirk) -> Lab {
    Lab::just_started(usual(BackendPlan::default().quirk(quirk)))
}

#[test]
fn it_boots_first_then_tells_the_status_of_0_and_of_1() {
    let lab = lab();
    let actions = lab.ledger().actions("CP");
    assert_eq!(
        actions[..3],
        [
            "BootNotification",
            "StatusNotification",
            "StatusNotification"
        ]
    );
    assert_eq!(lab.statuses_of(0), ["Available"]);
    assert_eq!(lab.statuses(), ["Available"]);
}

#[test]
fn it_says_what_the_device_is_where_the_file_does_not() {
    let boot = lab().last("BootNotification");
    assert_eq!(boot["chargePointVendor"], "cFos");
    assert!(
        boot["chargePointModel"]
            .as_str()
            .unwrap()
            .starts_with("cFos Power Brain")
    );
    assert_eq!(boot["chargePointSerialNumber"], "PB");
}

#[test]
fn it_says_what_the_file_says() {
    let plan = usual(BackendPlan::default()).with_gateway(|gateway| {
        gateway.boot.vendor = Some("ACME".into());
        gateway.boot.model = Some("Garage".into());
        gateway.boot.serial = Some("4711".into());
        gateway.boot.firmware = Some("1.2.3".into());
    });
    let boot = Lab::of(plan).last("BootNotification");
    let expected = json!({"chargePointVendor": "ACME", "chargePointModel": "Garage",
        "chargePointSerialNumber": "4711", "firmwareVersion": "1.2.3"});
    assert_eq!(boot, expected);
}

#[test]
fn while_it_is_pending_it_says_nothing_unasked() {
    let mut lab = hesitant(BackendQuirk::PendingAtFirst);
    lab.wait(20);
    let actions = lab.ledger().actions("CP");
    assert!(
        actions.iter().all(|it| *it == "BootNotification"),
        "{actions:?}"
    );
    lab.wait(30);
    assert_eq!(lab.status(), "Available");
}

#[test]
fn while_it_is_pending_keys_are_read_and_set() {
    let mut lab = hesitant(BackendQuirk::PendingAtFirst);
    lab.wait(10);
    assert_eq!(lab.get("NumberOfConnectors").as_deref(), Some("1"));
    assert_eq!(lab.set("ConnectionTimeOut", "30"), "Accepted");
}

#[test]
fn while_it_is_pending_nothing_is_started_or_stopped() {
    let mut lab = hesitant(BackendQuirk::PendingAtFirst);
    lab.wait(10);
    assert_eq!(lab.remote_start(CARD), "Rejected");
    assert_eq!(lab.remote_stop(1), "Rejected");
}

#[test]
fn while_it_is_pending_it_says_what_is_asked_for() {
    let mut lab = hesitant(BackendQuirk::PendingAtFirst);
    lab.wait(10);
    lab.trigger("StatusNotification", 1);
    lab.wait(2);
    assert_eq!(lab.statuses(), ["Available"]);
}

#[test]
fn one_that_is_rejected_asks_again_and_says_nothing_else() {
    let mut lab = hesitant(BackendQuirk::RejectsAtFirst);
    lab.wait(20);
    let actions = lab.ledger().actions("CP");
    assert!(actions.len() >= 2, "{actions:?}");
    assert!(
        actions.iter().all(|it| *it == "BootNotification"),
        "{actions:?}"
    );
}

#[test]
fn a_car_charges_at_its_pending_charge_point_only_as_if_the_backend_were_away() {
    let plan = BackendPlan {
        boot: RegistrationStatus::Pending,
        ..BackendPlan::default()
    };
    let mut lab = Lab::of(usual(plan));
    lab.plug();
    lab.tap(CARD);
    lab.wait(30);
    assert!(!lab.draws(), "nobody knows the card");
    assert!(lab.heard("Authorize").is_empty());
}

#[test]
fn heartbeats_come_as_often_as_the_backend_wants() {
    let mut lab = Lab::of(usual(BackendPlan {
        heartbeat_interval: std::time::Duration::from_secs(20),
        ..BackendPlan::default()
    }));
    let before = lab.heard("Heartbeat").len();
    lab.wait(100);
    let after = lab.heard("Heartbeat").len();
    assert!((4..=6).contains(&(after - before)), "{}", after - before);
}

#[test]
fn a_reset_lets_it_come_back_with_a_boot() {
    for kind in ["Soft", "Hard"] {
        let mut lab = lab();
        assert_eq!(lab.tell("Reset", json!({"type": kind})), "Accepted");
        lab.wait(60);
        assert_eq!(lab.heard("BootNotification").len(), 2, "{kind}");
        assert_eq!(lab.statuses().len(), 2, "{kind}");
    }
}

#[test]
fn a_reset_ends_its_transaction_and_says_why() {
    for (kind, reason) in [("Soft", "SoftReset"), ("Hard", "HardReset")] {
        let mut lab = lab();
        lab.session();
        assert_eq!(lab.tell("Reset", json!({"type": kind})), "Accepted");
        lab.wait(90);
        assert_eq!(lab.last("StopTransaction")["reason"], reason);
        assert!(!lab.draws());
        assert_eq!(lab.status(), "Finishing");
        lab.settles();
    }
}

#[test]
fn a_reset_of_a_kind_that_nobody_knows_is_refused() {
    let mut lab = lab();
    let said = lab.tell("Reset", json!({"type": "Lukewarm"}));
    assert_eq!(said, "CALLERROR PropertyConstraintViolation");
    let said = lab.tell("Reset", json!({}));
    assert_eq!(said, "CALLERROR OccurenceConstraintViolation");
    lab.wait(60);
    assert_eq!(lab.heard("BootNotification").len(), 1);
}

#[test]
fn after_a_lost_connection_a_running_transaction_goes_on_without_a_boot() {
    let mut lab = lab();
    lab.session();
    lab.backend_is_there(false);
    lab.wait(60);
    lab.backend_is_there(true);
    lab.wait(60);
    assert_eq!(lab.heard("BootNotification").len(), 1);
    assert_eq!(lab.bills(), (1, 0));
}
