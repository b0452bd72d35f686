//! `ReserveNow` and `CancelReservation` (OCPP 1.6 §5.1, §5.13).

use super::lab::*;

fn reserve(lab: &mut Lab, id: i64, connector: i64, tag: &str, seconds: i64) -> String {
    let until = lab.world.now().wall + std::time::Duration::from_secs(1_000_000);
    let until = until - std::time::Duration::from_secs(u64::try_from(1_000_000 - seconds).unwrap());
    let payload = json!({"connectorId": connector, "expiryDate": until.to_string(),
        "idTag": tag, "reservationId": id});
    lab.tell("ReserveNow", payload)
}

fn cancel(lab: &mut Lab, id: i64) -> String {
    lab.tell("CancelReservation", json!({"reservationId": id}))
}

#[test]
fn a_reserved_connector_says_so_and_waits_for_its_card() {
    let mut lab = lab();
    assert_eq!(reserve(&mut lab, 1, 1, CARD, 600), "Accepted");
    lab.becomes("Reserved");
    lab.plug();
    lab.tap(CARD);
    lab.charges();
    assert_eq!(lab.last("StartTransaction")["reservationId"], 1);
    lab.unplug();
    lab.becomes("Available");
}

#[test]
fn a_stranger_does_not_charge_at_a_reserved_connector() {
    let mut lab = lab();
    reserve(&mut lab, 1, 1, CARD, 600);
    lab.plug();
    lab.tap(OTHER);
    lab.wait(30);
    assert_eq!((lab.bills(), lab.draws()), ((0, 0), false));
    assert_eq!(lab.remote_start(OTHER), "Rejected");
    assert_eq!(lab.remote_start(CARD), "Accepted");
    lab.charges();
}

#[test]
fn the_group_of_the_reservation_may_charge() {
    let plan = BackendPlan::default().tag(OTHER, Accepted, Some("FAMILY"));
    let mut lab = Lab::of(usual(plan));
    let until = lab.world.now().wall + std::time::Duration::from_mins(10);
    let payload = json!({"connectorId": 1, "expiryDate": until.to_string(), "idTag": CARD,
        "parentIdTag": "FAMILY", "reservationId": 9});
    assert_eq!(lab.tell("ReserveNow", payload), "Accepted");
    lab.plug();
    lab.tap(OTHER);
    lab.charges();
    assert_eq!(lab.last("StartTransaction")["reservationId"], 9);
}

#[test]
fn a_reservation_ends_by_itself() {
    let mut lab = lab();
    reserve(&mut lab, 1, 1, CARD, 60);
    lab.becomes("Reserved");
    lab.wait(70);
    assert_eq!(lab.status(), "Available");
    lab.plug();
    lab.tap(OTHER);
    lab.charges();
    assert_eq!(lab.last("StartTransaction").get("reservationId"), None);
}

#[test]
fn a_reservation_is_cancelled() {
    let mut lab = lab();
    reserve(&mut lab, 1, 1, CARD, 600);
    lab.becomes("Reserved");
    assert_eq!(cancel(&mut lab, 1), "Accepted");
    lab.becomes("Available");
    assert_eq!(cancel(&mut lab, 1), "Rejected");
}

#[test]
fn a_reservation_that_nobody_made_cannot_be_cancelled() {
    assert_eq!(cancel(&mut lab(), 4711), "Rejected");
}

#[test]
fn the_same_number_replaces_a_reservation_and_another_does_not() {
    let mut lab = lab();
    reserve(&mut lab, 1, 1, CARD, 600);
    assert_eq!(reserve(&mut lab, 2, 1, OTHER, 600), "Occupied");
    assert_eq!(reserve(&mut lab, 1, 1, OTHER, 600), "Accepted");
    assert_eq!(lab.remote_start(CARD), "Rejected");
    assert_eq!(lab.remote_start(OTHER), "Accepted");
}

#[test]
fn a_connector_in_use_cannot_be_reserved() {
    let mut lab = lab();
    lab.plug();
    assert_eq!(reserve(&mut lab, 1, 1, CARD, 600), "Occupied");
    lab.tap(CARD);
    lab.charges();
    assert_eq!(reserve(&mut lab, 1, 1, CARD, 600), "Occupied");
}

#[test]
fn a_connector_out_of_service_cannot_be_reserved() {
    let mut lab = lab();
    lab.tell(
        "ChangeAvailability",
        json!({"connectorId": 1, "type": "Inoperative"}),
    );
    assert_eq!(reserve(&mut lab, 1, 1, CARD, 600), "Unavailable");
}

#[test]
fn a_connector_with_a_fault_cannot_be_reserved() {
    let mut lab = lab();
    lab.brain(|brain, now| brain.set_fault(now, Some(5)));
    lab.becomes("Faulted");
    assert_eq!(reserve(&mut lab, 1, 1, CARD, 600), "Faulted");
}

#[test]
fn a_reservation_of_the_past_is_rejected() {
    let mut lab = lab();
    assert_eq!(reserve(&mut lab, 1, 1, CARD, -60), "Rejected");
    assert_eq!(lab.status(), "Available");
}

#[test]
fn connector_0_means_the_only_connector() {
    let mut lab = lab();
    assert_eq!(reserve(&mut lab, 1, 0, CARD, 600), "Accepted");
    assert_eq!(lab.remote_start(OTHER), "Rejected");
    assert_eq!(lab.remote_start(CARD), "Accepted");
}

#[test]
fn a_connector_that_is_not_there_cannot_be_reserved() {
    let mut lab = lab();
    let said = reserve(&mut lab, 1, 5, CARD, 600);
    assert!(
        said == "Rejected" || said == "CALLERROR PropertyConstraintViolation",
        "{said}"
    );
}

#[test]
fn a_reservation_ends_where_the_connector_goes_out_of_service() {
    let mut lab = lab();
    reserve(&mut lab, 1, 1, CARD, 600);
    lab.becomes("Reserved");
    lab.tell(
        "ChangeAvailability",
        json!({"connectorId": 1, "type": "Inoperative"}),
    );
    lab.becomes("Unavailable");
    assert_eq!(cancel(&mut lab, 1), "Rejected");
}

#[test]
fn a_reservation_outlives_a_restart() {
    let mut lab = lab();
    reserve(&mut lab, 1, 1, CARD, 6000);
    lab.becomes("Reserved");
    lab.world.crash();
    lab.wait(60);
    assert_eq!(lab.status(), "Reserved");
    assert_eq!(lab.remote_start(OTHER), "Rejected");
    assert_eq!(cancel(&mut lab, 1), "Accepted");
}
