//! What was promised and what comes late.

use super::*;
use crate::modbus::Failure;

fn fixed() -> ChargePointPlan {
    ChargePointPlan {
        fixed_id_tag: Some(tag("FIXED")),
        ..backed()
    }
}

fn away(bench: &mut Bench, seconds: u64) {
    bench.brain.failure = Some(Failure::Silent);
    bench.run(seconds);
}

fn back(bench: &mut Bench) {
    bench.brain.failure = None;
    bench.run(15);
}

/// A car that is to be stopped while its wallbox is away, after our restart.
fn stopped_and_restarted() -> Bench {
    let mut bench = Bench::charging_for_backend();
    away(&mut bench, 10);
    let number = bench.transactions()[0].number;
    assert_eq!(bench.remote_stop(number), "Accepted");
    bench.run(5);
    assert_eq!(bench.open(), 1, "its register is not known");
    bench.restart_after(20)
}

/// A's transaction is over, its start is still to be answered, and B's runs.
fn answered_late(verdict: &Verdict) -> Bench {
    let mut bench = Bench::new(backed());
    bench.upstream_waits = true;
    bench.backend_answers = true;
    bench.plug();
    bench.tap(CARD);
    bench.reply(1);
    bench.run(2);
    bench.tap(CARD);
    bench.unplug();
    bench.plug();
    let start = json!({"idTag": PARTNER, "connectorId": 1});
    assert_eq!(bench.ordered("RemoteStartTransaction", &start), "Accepted");
    bench.run(2);
    bench.offer(16_000);
    assert_eq!((bench.transactions().len(), bench.open()), (2, 1));
    bench.verdict = verdict.clone();
    bench.reply(2);
    bench.run(2);
    bench
}

#[test]
fn a_late_no_to_the_start_of_a_transaction_ends_no_other() {
    let mut bench = answered_late(&Verdict {
        status: AuthorizationStatus::Blocked,
        ..Verdict::ACCEPTED
    });
    assert_eq!(bench.open(), 1);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    bench.reply(3);
    bench.run(2);
    assert_eq!(bench.ending().unwrap().0, "DeAuthorized", "its own");
}

#[test]
fn a_late_answer_to_the_start_of_a_transaction_lends_its_group_to_no_other() {
    let mut bench = answered_late(&Verdict {
        parent: Some(tag("FAMILY")),
        ..Verdict::ACCEPTED
    });
    bench.tap("04AAAA0003");
    bench.reply(4);
    bench.run(2);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_transaction_that_the_backend_stopped_while_the_wallbox_was_away_ends_after_our_restart_too() {
    let mut bench = stopped_and_restarted();
    bench.offer(16_000);
    bench.brain.energy = 5600;
    back(&mut bench);
    assert_eq!(bench.ending(), Some(("Remote".to_owned(), Some(5600))));
    assert_eq!(bench.brain.get(8094), 0);
    assert_eq!(bench.status(), ChargePointStatus::Finishing);
    bench.run(60);
    assert_eq!(bench.transactions().len(), 1);
    assert_eq!(bench.asks(), [], "nothing is open to be judged");
}

#[test]
fn a_car_that_left_before_its_promised_end_keeps_the_reason_and_the_next_has_its_own() {
    let mut bench = stopped_and_restarted();
    bench.brain.plugged = false;
    bench.brain.energy = 5600;
    back(&mut bench);
    assert_eq!(bench.ending(), Some(("Remote".to_owned(), Some(5600))));
    assert_eq!(bench.status(), ChargePointStatus::Available);
}

#[test]
fn a_promised_end_is_not_billed_by_a_register_that_no_car_could_reach() {
    let mut bench = stopped_and_restarted();
    bench.brain.energy = 9_000_000;
    bench.brain.failure = None;
    bench.run(60);
    assert_eq!(bench.ending(), Some(("Remote".to_owned(), Some(5000))));
}

#[test]
fn a_card_that_ended_a_transaction_has_ended_it_after_our_restart_too() {
    let mut bench = Bench::charging_for_backend();
    bench.brain.energy = 17;
    bench.run(2);
    bench.tap(CARD);
    assert_eq!(bench.open(), 1, "its register is in doubt");
    let mut bench = bench.restart_after(5);
    bench.run(30);
    assert_eq!(bench.ending().unwrap().0, "Local");
    assert_eq!(bench.entries[0].1["idTag"], CARD);
    bench.run(30);
    assert_eq!(bench.transactions().len(), 1);
}

#[test]
fn an_end_that_is_over_is_no_promise_to_the_next_transaction() {
    let mut bench = Bench::charging_for_backend();
    bench.tap(CARD);
    bench.tap(PARTNER);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 2));
    let mut bench = bench.restart_after(5);
    bench.run(30);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_fixed_tag_that_was_accepted_while_it_was_out_of_service_is_asked_for_again() {
    let mut bench = Bench::new(fixed());
    bench.upstream_waits = true;
    bench.backend_answers = true;
    bench.plug();
    let availability = |kind: &str| json!({"connectorId": 1, "type": kind});
    assert_eq!(
        bench.ordered("ChangeAvailability", &availability("Inoperative")),
        "Accepted"
    );
    bench.reply(1);
    bench.run(5);
    assert_eq!(bench.calls.len(), 1, "nobody may charge");
    bench.ordered("ChangeAvailability", &availability("Operative"));
    bench.run(2);
    assert_eq!(bench.calls.len(), 2);
    bench.reply(2);
    bench.run(2);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_fixed_tag_that_was_refused_before_it_was_out_of_service_is_asked_for_after_it() {
    let mut bench = Bench::new(fixed());
    bench.backend_answers = true;
    bench.verdict.status = AuthorizationStatus::Blocked;
    bench.plug();
    let availability = |kind: &str| json!({"connectorId": 1, "type": kind});
    bench.ordered("ChangeAvailability", &availability("Inoperative"));
    bench.run(2);
    bench.verdict = Verdict::ACCEPTED;
    bench.ordered("ChangeAvailability", &availability("Operative"));
    bench.run(2);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_fixed_tag_that_waited_too_long_for_an_absent_wallbox_is_asked_for_again() {
    let mut bench = Bench::new(fixed());
    bench.conduct(Conduct {
        connection_time_out: Duration::from_secs(5),
        ..Conduct::default()
    });
    bench.upstream_waits = true;
    bench.backend_answers = true;
    bench.plug();
    away(&mut bench, 5);
    bench.reply(1);
    bench.run(20);
    assert_eq!(bench.open(), 0);
    bench.upstream_waits = false;
    back(&mut bench);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_fixed_tag_that_was_refused_without_the_backend_is_asked_for_when_that_is_back() {
    let mut bench = Bench::new(fixed());
    bench.verdict.status = AuthorizationStatus::Invalid;
    bench.plug();
    bench.run(20);
    assert_eq!(bench.calls.len(), 1);
    bench.verdict = Verdict::ACCEPTED;
    bench.backend_answers = true;
    bench.act(ChargePoint::handle_reachable);
    bench.run(2);
    assert_eq!(bench.open(), 1);
    assert_eq!(bench.calls.len(), 3, "the tag once more, and the start");
}

#[test]
fn a_fixed_tag_that_the_backend_refused_is_not_asked_for_when_that_is_back() {
    let mut bench = Bench::new(fixed());
    bench.backend_answers = true;
    bench.verdict.status = AuthorizationStatus::Blocked;
    bench.plug();
    bench.act(ChargePoint::handle_reachable);
    bench.run(2);
    assert_eq!(bench.calls.len(), 1);
}

#[test]
fn a_fixed_tag_is_not_asked_for_twice_at_once() {
    let mut bench = Bench::new(fixed());
    bench.upstream_waits = true;
    bench.plug();
    for kind in ["Inoperative", "Operative"].repeat(3) {
        let payload = json!({"connectorId": 1, "type": kind});
        bench.ordered("ChangeAvailability", &payload);
        bench.run(2);
    }
    assert_eq!(bench.calls.len(), 1);
}

#[test]
fn a_card_that_is_refused_takes_nothing_from_the_one_before_it() {
    let mut bench = Bench::new(backed());
    bench.upstream_waits = true;
    bench.backend_answers = true;
    bench.plug();
    bench.tap(CARD);
    bench.tap(PARTNER);
    bench.reply(1);
    bench.run(2);
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(CARD)));
    bench.verdict.status = AuthorizationStatus::Blocked;
    bench.reply(2);
    bench.run(2);
    assert_eq!(bench.open(), 1);
}

#[test]
fn of_two_cards_that_may_the_later_one_does_whichever_is_answered_first() {
    for order in [[1, 2], [2, 1]] {
        let mut bench = Bench::new(backed());
        bench.upstream_waits = true;
        bench.tap(CARD);
        bench.tap(PARTNER);
        for id in order {
            bench.reply(id);
        }
        bench.plug();
        assert_eq!(bench.transactions()[0].id_tag, Some(tag(PARTNER)));
    }
}

#[test]
fn a_card_of_the_same_group_ends_only_the_transaction_that_it_was_presented_in() {
    let mut bench = Bench::new(backed());
    bench.upstream_waits = true;
    bench.verdict.parent = Some(tag("FAMILY"));
    bench.plug();
    bench.tap(CARD);
    bench.tap(PARTNER);
    bench.reply(1);
    bench.run(2);
    bench.reply(2);
    bench.run(2);
    assert_eq!(bench.open(), 1, "it wanted to begin one");
    bench.tap(PARTNER);
    bench.reply(4);
    bench.run(2);
    assert_eq!(bench.open(), 0);
}

#[test]
fn a_card_shown_while_the_last_register_is_awaited_has_its_turn_after_that() {
    let mut bench = Bench::charging_for_backend();
    bench.brain.energy = 17;
    bench.run(2);
    bench.unplug();
    bench.brain.plugged = true;
    bench.tap(PARTNER);
    assert_eq!(bench.transactions().len(), 1, "its register is in doubt");
    bench.run(20);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 2));
    assert_eq!(bench.transactions()[1].id_tag, Some(tag(PARTNER)));
}

#[test]
fn a_card_shown_once_more_while_the_last_register_is_awaited_begins_nothing() {
    let mut bench = Bench::charging_for_backend();
    bench.brain.energy = 17;
    bench.run(2);
    bench.tap(CARD);
    bench.tap(CARD);
    bench.run(20);
    assert_eq!((bench.open(), bench.transactions().len()), (0, 1));
}

#[test]
fn what_is_no_id_tag_is_not_asked_for() {
    let mut bench = Bench::new(backed());
    bench.plug();
    for text in ["\u{1}\u{2}\u{7f}", "é€", "04\u{1}A1", "04é"] {
        bench.tap(text);
    }
    assert_eq!(bench.asks(), []);
    bench.tap(CARD);
    assert_eq!(bench.open(), 1);
}
