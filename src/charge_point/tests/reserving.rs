//! Reservations.

use super::*;

/// Of an hour.
fn reserve(bench: &mut Bench, id: i64, tag: &str) -> String {
    let payload = json!({
        "connectorId": 1, "expiryDate": at(3600), "idTag": tag, "reservationId": id,
    });
    bench.ordered("ReserveNow", &payload)
}

/// Of an hour, for a whole group.
fn reserve_for_group(bench: &mut Bench) {
    let payload = json!({
        "connectorId": 0, "expiryDate": at(3600), "idTag": CARD, "parentIdTag": "FAMILY",
        "reservationId": 3,
    });
    assert_eq!(bench.ordered("ReserveNow", &payload), "Accepted");
}

fn cancel(bench: &mut Bench, id: i64) -> String {
    bench.ordered("CancelReservation", &json!({"reservationId": id}))
}

fn remote_start(bench: &mut Bench, tag: &str) -> String {
    bench.ordered("RemoteStartTransaction", &json!({"idTag": tag}))
}

#[test]
fn who_reserved_begins_with_the_number_of_the_reservation_and_uses_it_up() {
    let mut bench = Bench::new(backed());
    assert_eq!(reserve(&mut bench, 3, CARD), "Accepted");
    assert!(bench.charge_point.is_reserved());
    bench.tap(&CARD.to_lowercase());
    bench.plug();
    assert_eq!(bench.entries[0].1["reservationId"], 3);
    assert!(!bench.charge_point.is_reserved());
    assert_eq!(cancel(&mut bench, 3), "Rejected");
    bench.unplug();
    bench.plug();
    bench.tap(PARTNER);
    assert_eq!(bench.transactions().len(), 2);
    assert_eq!(bench.entries[2].1.get("reservationId"), None);
}

#[test]
fn while_reserved_a_strangers_card_is_not_even_asked_for() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    bench.plug();
    bench.tap(PARTNER);
    assert_eq!((bench.open(), bench.asks()), (0, vec![]));
    bench.tap(CARD);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_card_that_was_asked_for_before_the_reservation_does_not_break_it() {
    let mut bench = Bench::new(backed());
    bench.upstream_waits = true;
    bench.tap(PARTNER);
    assert_eq!(reserve(&mut bench, 3, CARD), "Accepted");
    bench.reply(1);
    bench.plug();
    assert_eq!(bench.open(), 0);
}

#[test]
fn everybody_of_the_group_may_use_the_reservation_and_nobody_else() {
    for (group, begins) in [(Some("family"), 1), (Some("OTHERS"), 0), (None, 0)] {
        let mut bench = Bench::new(backed());
        reserve_for_group(&mut bench);
        bench.verdict.parent = group.map(tag);
        bench.plug();
        bench.tap(PARTNER);
        assert_eq!(bench.asks()[0], ("Authorize", PARTNER.to_owned()));
        assert_eq!(bench.open(), begins, "{group:?}");
        if begins == 1 {
            assert_eq!(bench.entries[0].1["reservationId"], 3);
        }
    }
}

#[test]
fn the_fixed_tag_waits_until_the_reservation_of_somebody_else_is_over() {
    let mut bench = Bench::new(ChargePointPlan {
        fixed_id_tag: Some(tag("FIXED")),
        ..backed()
    });
    reserve(&mut bench, 3, CARD);
    bench.plug();
    bench.run(20);
    assert_eq!((bench.open(), bench.asks()), (0, vec![]));
    assert_eq!(cancel(&mut bench, 3), "Accepted");
    bench.run(2);
    assert_eq!(bench.transactions()[0].id_tag, Some(tag("FIXED")));
    assert_eq!(bench.entries[0].1.get("reservationId"), None);
}

#[test]
fn a_remote_start_of_somebody_else_is_rejected_and_of_who_reserved_accepted() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    assert_eq!(remote_start(&mut bench, PARTNER), "Rejected");
    assert_eq!(remote_start(&mut bench, CARD), "Accepted");
    bench.plug();
    assert_eq!(bench.entries[0].1["reservationId"], 3);
}

#[test]
fn a_remote_start_of_an_unknown_group_is_asked_for_only_where_remote_starts_are_authorized() {
    let mut bench = Bench::new(backed());
    reserve_for_group(&mut bench);
    assert_eq!(remote_start(&mut bench, PARTNER), "Rejected");
    bench.conduct(Conduct {
        authorize_remote: true,
        ..Conduct::default()
    });
    bench.verdict.parent = Some(tag("FAMILY"));
    assert_eq!(remote_start(&mut bench, PARTNER), "Accepted");
    bench.plug();
    assert_eq!(bench.entries[0].1["reservationId"], 3);
}

#[test]
fn who_reserved_and_did_not_plug_in_time_still_has_the_reservation() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    bench.tap(CARD);
    bench.run(70);
    assert_eq!(bench.demand(), Demand::None);
    assert!(bench.charge_point.is_reserved());
}

#[test]
fn a_reservation_ends_with_its_time_also_while_the_wallbox_is_away() {
    for away in [false, true] {
        let mut bench = Bench::new(backed());
        reserve(&mut bench, 3, CARD);
        bench.brain.failure = away.then_some(Failure::Silent);
        bench.run(3500);
        assert!(bench.charge_point.is_reserved());
        bench.run(100);
        assert!(!bench.charge_point.is_reserved(), "{away}");
    }
}

#[test]
fn a_reservation_of_the_same_number_replaces_and_another_finds_it_occupied() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    assert_eq!(reserve(&mut bench, 4, PARTNER), "Occupied");
    assert_eq!(reserve(&mut bench, 3, PARTNER), "Accepted");
    bench.plug();
    bench.tap(CARD);
    assert_eq!(bench.open(), 0);
    bench.tap(PARTNER);
    assert_eq!(bench.open(), 1);
}

#[test]
fn only_the_reservation_that_is_there_is_cancelled() {
    let mut bench = Bench::new(backed());
    assert_eq!(cancel(&mut bench, 3), "Rejected");
    reserve(&mut bench, 3, CARD);
    assert_eq!(cancel(&mut bench, 4), "Rejected");
    assert!(bench.charge_point.is_reserved());
    assert_eq!(cancel(&mut bench, 3), "Accepted");
    assert!(!bench.charge_point.is_reserved());
}

#[test]
fn what_is_in_use_is_occupied() {
    let mut bench = Bench::new(backed());
    bench.tap(CARD);
    assert_eq!(reserve(&mut bench, 3, CARD), "Occupied", "authorized");
    bench.plug();
    assert_eq!(reserve(&mut bench, 3, CARD), "Occupied", "a transaction");
    bench.tap(CARD);
    assert_eq!(reserve(&mut bench, 3, CARD), "Occupied", "finishing");
    bench.unplug();
    bench.plug();
    assert_eq!(reserve(&mut bench, 3, CARD), "Occupied", "plugged");
    bench.unplug();
    assert_eq!(reserve(&mut bench, 3, CARD), "Accepted");
}

#[test]
fn a_faulty_wallbox_is_not_reserved_and_a_fault_ends_a_reservation() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    bench.brain.fault = Some(5);
    bench.run(2);
    assert!(!bench.charge_point.is_reserved());
    assert_eq!(reserve(&mut bench, 3, CARD), "Faulted");
}

#[test]
fn a_wallbox_out_of_service_is_not_reserved_and_going_out_of_service_ends_a_reservation() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    let closed = json!({"connectorId": 1, "type": "Inoperative"});
    bench.ordered("ChangeAvailability", &closed);
    assert!(!bench.charge_point.is_reserved());
    assert_eq!(reserve(&mut bench, 3, CARD), "Unavailable");
}

#[test]
fn a_wallbox_that_is_away_is_not_reserved() {
    let mut bench = Bench::new(backed());
    bench.brain.failure = Some(Failure::Silent);
    bench.run(10);
    assert_eq!(reserve(&mut bench, 3, CARD), "Unavailable");
}

#[test]
fn a_reservation_of_the_past_is_rejected() {
    let mut bench = Bench::new(backed());
    for expires in ["2026-06-01T11:59:59Z", "1970-01-01T00:00:00Z"] {
        let payload = json!({
            "connectorId": 1, "expiryDate": expires, "idTag": CARD, "reservationId": 3,
        });
        assert_eq!(bench.ordered("ReserveNow", &payload), "Rejected");
    }
    assert!(!bench.charge_point.is_reserved());
}

#[test]
fn tags_of_a_reservation_that_are_none_are_a_violation() {
    let mut bench = Bench::new(backed());
    let long = "123456789012345678901";
    for (id_tag, group) in [(long, "G"), ("", "G"), (CARD, long)] {
        let payload = json!({
            "connectorId": 1, "expiryDate": at(60), "idTag": id_tag, "parentIdTag": group,
            "reservationId": 3,
        });
        let code = bench.refusal("ReserveNow", &payload.to_string());
        assert_eq!(code, ErrorCode::PropertyConstraintViolation);
    }
    let no_date = json!({
        "connectorId": 1, "expiryDate": "tomorrow", "idTag": CARD, "reservationId": 3,
    });
    let code = bench.refusal("ReserveNow", &no_date.to_string());
    assert_eq!(code, ErrorCode::PropertyConstraintViolation);
    assert!(!bench.charge_point.is_reserved());
}

#[test]
fn a_reservation_is_there_after_our_restart_unless_its_time_is_over() {
    for (seconds, stays) in [(60, true), (4000, false)] {
        let mut bench = Bench::new(backed());
        reserve(&mut bench, 3, CARD);
        let mut bench = bench.restart_after(seconds);
        bench.run(2);
        assert_eq!(bench.charge_point.is_reserved(), stays);
        bench.plug();
        bench.tap(PARTNER);
        assert_eq!(bench.open(), usize::from(!stays));
    }
}

#[test]
fn a_reservation_that_its_transaction_used_up_does_not_come_back_with_a_crash() {
    let mut bench = Bench::new(backed());
    reserve(&mut bench, 3, CARD);
    let memory = bench.disk.memory.clone();
    bench.plug();
    bench.tap(CARD);
    bench.disk.memory = memory;
    let mut bench = bench.restart_after(5);
    bench.run(2);
    assert_eq!(bench.open(), 1);
    assert!(!bench.charge_point.is_reserved());
}
