//! `ChangeAvailability` (OCPP 1.6 §5.2).

use super::lab::*;

fn change(lab: &mut Lab, connector: i64, kind: &str) -> String {
    lab.tell(
        "ChangeAvailability",
        json!({"connectorId": connector, "type": kind}),
    )
}

#[test]
fn an_inoperative_connector_says_so_and_charges_nobody() {
    let mut lab = lab();
    assert_eq!(change(&mut lab, 1, "Inoperative"), "Accepted");
    lab.becomes("Unavailable");
    lab.plug();
    lab.tap(CARD);
    lab.wait(30);
    assert_eq!((lab.bills(), lab.draws()), ((0, 0), false));
}

#[test]
fn an_operative_connector_charges_again() {
    let mut lab = lab();
    change(&mut lab, 1, "Inoperative");
    lab.becomes("Unavailable");
    assert_eq!(change(&mut lab, 1, "Operative"), "Accepted");
    lab.becomes("Available");
    lab.session();
}

#[test]
fn what_is_so_already_is_accepted() {
    let mut lab = lab();
    assert_eq!(change(&mut lab, 1, "Operative"), "Accepted");
    assert_eq!(change(&mut lab, 0, "Operative"), "Accepted");
    change(&mut lab, 1, "Inoperative");
    assert_eq!(change(&mut lab, 1, "Inoperative"), "Accepted");
}

#[test]
fn in_a_transaction_it_is_scheduled_for_its_end() {
    let mut lab = lab();
    let transaction = lab.session();
    assert_eq!(change(&mut lab, 1, "Inoperative"), "Scheduled");
    lab.wait(60);
    assert!(lab.draws());
    lab.remote_stop(transaction);
    lab.becomes("Unavailable");
    lab.unplug();
    assert_eq!(lab.status(), "Unavailable");
    assert_eq!(lab.remote_start("APP"), "Rejected");
}

#[test]
fn case_47_operative_takes_back_what_was_scheduled() {
    let mut lab = lab();
    lab.session();
    assert_eq!(change(&mut lab, 1, "Inoperative"), "Scheduled");
    assert_eq!(change(&mut lab, 1, "Operative"), "Accepted");
    lab.unplug();
    lab.becomes("Available");
}

#[test]
fn connector_0_is_the_charge_point_and_its_connector() {
    let mut lab = lab();
    assert_eq!(change(&mut lab, 0, "Inoperative"), "Accepted");
    lab.becomes("Unavailable");
    assert_eq!(lab.statuses_of(0).last().unwrap(), "Unavailable");
    assert_eq!(change(&mut lab, 0, "Operative"), "Accepted");
    lab.becomes("Available");
    assert_eq!(lab.statuses_of(0).last().unwrap(), "Available");
}

#[test]
fn connector_1_alone_leaves_connector_0_as_it_is() {
    let mut lab = lab();
    change(&mut lab, 1, "Inoperative");
    lab.becomes("Unavailable");
    assert_eq!(lab.statuses_of(0).last().unwrap(), "Available");
}

#[test]
fn it_outlives_a_restart() {
    let mut lab = lab();
    change(&mut lab, 0, "Inoperative");
    lab.becomes("Unavailable");
    lab.world.crash();
    lab.wait(120);
    assert_eq!(lab.status(), "Unavailable");
    assert_eq!(lab.statuses_of(0).last().unwrap(), "Unavailable");
    assert_eq!(lab.remote_start("APP"), "Rejected");
}

#[test]
fn it_outlives_a_reset_of_the_charge_point() {
    let mut lab = lab();
    change(&mut lab, 1, "Inoperative");
    lab.tell("Reset", json!({"type": "Hard"}));
    lab.wait(60);
    assert_eq!(lab.status(), "Unavailable");
}

#[test]
fn a_connector_that_is_not_there_is_refused() {
    let mut lab = lab();
    let said = change(&mut lab, 2, "Inoperative");
    assert!(
        said == "Rejected" || said == "CALLERROR PropertyConstraintViolation",
        "{said}"
    );
    assert_eq!(lab.status(), "Available");
}

#[test]
fn a_waiting_card_is_forgotten_when_it_goes_out_of_service() {
    let mut lab = lab();
    lab.tap(CARD);
    lab.becomes("Preparing");
    assert_eq!(change(&mut lab, 1, "Inoperative"), "Accepted");
    lab.becomes("Unavailable");
    lab.plug();
    lab.wait(20);
    assert_eq!(lab.bills(), (0, 0));
}
