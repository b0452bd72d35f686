//! Cards.

use super::*;

#[test]
fn a_plugged_car_waits_for_a_card_that_may_charge() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.offer(16_000);
    assert_eq!(bench.status(), ChargePointStatus::Preparing);
    assert_eq!(bench.demand(), Demand::Plugged);
    bench.verdict.status = AuthorizationStatus::Invalid;
    bench.tap(PARTNER);
    assert_eq!(bench.asks(), [("Authorize", PARTNER.to_owned())]);
    assert_eq!((bench.open(), bench.brain.get(8094)), (0, 0));
    bench.verdict = Verdict::ACCEPTED;
    bench.tap(CARD);
    assert_eq!(
        bench.asks()[1..],
        [("Authorize", CARD.to_owned()), ("Start", CARD.to_owned())]
    );
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(CARD)));
}

#[test]
fn a_card_presented_before_the_car_holds_for_a_minute() {
    for (seconds, begins) in [(40, 1), (70, 0)] {
        let mut bench = Bench::new(listed());
        bench.tap(CARD);
        assert_eq!(bench.status(), ChargePointStatus::Preparing);
        assert_eq!(bench.demand(), Demand::Authorized);
        bench.run(seconds);
        bench.plug();
        assert_eq!(bench.open(), begins, "after {seconds} s");
    }
}

#[test]
fn a_card_nobody_plugs_for_is_forgotten() {
    let mut bench = Bench::new(listed());
    bench.tap(CARD);
    bench.run(60);
    assert_eq!(bench.status(), ChargePointStatus::Available);
    assert_eq!(bench.demand(), Demand::None);
}

#[test]
fn a_card_that_was_there_at_the_first_contact_starts_nobody() {
    let mut brain = Brain::new();
    brain.tap(CARD);
    brain.plugged = true;
    let mut bench = Bench::with(listed(), brain, Recovered::default());
    bench.run(10);
    assert_eq!(bench.asks(), []);
    bench.tap(CARD);
    assert_eq!(bench.open(), 1, "only the counter tells, and it wrapped");
    assert_eq!(bench.brain.get(8111), 0);
}

#[test]
fn the_same_card_again_ends_the_transaction_without_a_question() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.tap(CARD);
    bench.offer(16_000);
    bench.run(2);
    bench.brain.energy = 8000;
    let asked = bench.calls.len();
    bench.tap(&CARD.to_lowercase());
    assert_eq!(bench.calls.len(), asked);
    assert_eq!(bench.ending(), Some(("Local".to_owned(), Some(8000))));
    assert_eq!(bench.entries[1].1["idTag"], CARD.to_lowercase());
    assert_eq!(bench.brain.get(8094), 0);
    assert_eq!(bench.status(), ChargePointStatus::Finishing);
    assert_eq!(bench.demand(), Demand::Plugged);
}

#[test]
fn a_strangers_card_ends_no_transaction_also_where_it_may_charge() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.tap(CARD);
    bench.tap(PARTNER);
    assert_eq!(
        bench.asks().last(),
        Some(&("Authorize", PARTNER.to_owned()))
    );
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_card_of_the_same_group_ends_the_transaction() {
    let mut bench = Bench::new(listed());
    bench.verdict.parent = Some(tag("FAMILY"));
    bench.plug();
    bench.tap(CARD);
    bench.tap(PARTNER);
    assert_eq!(bench.ending().unwrap().0, "Local");
    assert_eq!(bench.entries[1].1["idTag"], PARTNER);
}

#[test]
fn after_a_stop_a_card_begins_the_next_transaction_of_the_same_car() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.tap(CARD);
    bench.tap(CARD);
    assert_eq!(bench.open(), 0);
    bench.run(60);
    assert_eq!(bench.open(), 0);
    bench.tap(CARD);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 2));
}

#[test]
fn where_everybody_may_charge_a_stopped_car_must_be_plugged_anew() {
    let mut bench = Bench::new(plan());
    bench.tap(CARD);
    bench.plug();
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(CARD)));
    bench.tap(CARD);
    assert_eq!(bench.open(), 0);
    let mut bench = bench.restart();
    bench.run(30);
    assert_eq!(bench.open(), 0, "also after a restart of ours");
    bench.unplug();
    bench.plug();
    assert_eq!(bench.open(), 1);
}

#[test]
fn nobodys_transaction_is_ended_by_nobodys_card() {
    let mut bench = Bench::charging();
    bench.tap(CARD);
    assert_eq!((bench.open(), bench.calls.len()), (1, 0));
}

#[test]
fn of_two_cards_in_a_row_the_first_that_may_begins_where_a_car_is_plugged() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.upstream_waits = true;
    bench.tap(CARD);
    bench.tap(PARTNER);
    bench.reply(1);
    bench.run(2);
    assert_eq!(bench.transactions()[0].id_tag, Some(tag(CARD)));
    bench.reply(2);
    bench.run(2);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 1));
}
