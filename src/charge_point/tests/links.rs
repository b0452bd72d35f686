//! Lost links, restarts, power cuts, and devices that are not what they should be.

use super::*;
use crate::modbus::power_brain::{Block, Write};

fn lose(bench: &mut Bench, seconds: u64) {
    bench.brain.failure = Some(Failure::NoConnection("refused".to_owned()));
    bench.run(seconds);
    bench.brain.failure = None;
}

#[test]
fn a_device_is_online_when_it_is_known_and_read() {
    let mut bench = Bench::new(plan());
    assert!(bench.is_online());
    assert_eq!(bench.count(&Report::Online(true)), 1);
    bench.brain.reads = 0;
    bench.run(10);
    assert!(
        (18..=21).contains(&bench.brain.reads),
        "{}",
        bench.brain.reads
    );
}

#[test]
fn a_device_that_reads_over_no_gap_is_read_in_two_parts() {
    let mut brain = Brain::new();
    brain.has_gap = true;
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(2);
    bench.plug();
    bench.offer(16_000);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.count(&Report::Online(false)), 0);
}

#[test]
fn what_is_no_power_brain_stays_offline_and_is_never_written() {
    let mut meter = Brain::new();
    meter.name = "SDM630";
    let mut bench = Bench::with(plan(), meter, Recovered::default());
    bench.offer(16_000);
    bench.run(60);
    assert!(!bench.is_online());
    let complaint = bench.charge_point.view().complaint.unwrap();
    assert!(complaint.contains("SDM630"), "{complaint}");
    assert_eq!(bench.brain.writes, []);
    assert!(bench.brain.reads < 25, "{} reads", bench.brain.reads);
}

#[test]
fn one_lost_answer_is_made_good_at_once_and_two_in_a_row_mean_offline() {
    let mut bench = Bench::charging();
    let silent = || Err(Failure::Silent);
    bench.until_asked();
    bench.act(|it, context| it.handle_answer(context, silent()));
    bench.run(2);
    assert_eq!(bench.count(&Report::Online(false)), 0);
    for _ in 0..2 {
        bench.until_asked();
        bench.act(|it, context| it.handle_answer(context, silent()));
    }
    assert_eq!(bench.count(&Report::Online(false)), 1);
    bench.run(2);
    assert!(bench.is_online());
}

#[test]
fn a_device_that_leaves_a_question_open_is_offline_3_s_after_its_last_answer() {
    let mut bench = Bench::charging();
    bench.until_asked();
    bench.time += Duration::from_millis(1900);
    bench.act(ChargePoint::handle_timeout);
    assert!(bench.is_online());
    bench.time += Duration::from_secs(1);
    bench.act(ChargePoint::handle_timeout);
    assert!(!bench.is_online());
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_link_that_is_lost_for_ten_minutes_ends_no_transaction() {
    let mut bench = Bench::charging();
    lose(&mut bench, 600);
    assert!(!bench.is_online());
    assert_eq!(bench.open(), 1);
    assert_eq!(bench.demand(), Demand::Charging);
    bench.brain.energy = 6500;
    bench.run(12);
    assert!(bench.is_online());
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 1));
    let energy = bench.charge_point.view().measured.energy;
    assert_eq!(energy, Some(WattHours(6500)));
}

/// What it is asked next, and how that fails.
fn next_question(bench: &mut Bench) -> Request {
    while bench.asked.is_none() {
        bench.time += Duration::from_millis(50);
        bench.act(ChargePoint::handle_timeout);
    }
    let asked = bench.asked.take().unwrap();
    bench.act(|it, context| it.handle_answer(context, Err(Failure::Silent)));
    asked
}

#[test]
fn after_a_minute_away_a_device_hears_its_failsafe_current_before_anything_else() {
    let mut bench = Bench::charging();
    bench.brain.failure = Some(Failure::Silent);
    bench.run(75);
    let greeting = Write::Limit(60).request();
    for _ in 0..5 {
        assert_eq!(next_question(&mut bench), greeting);
    }
    let mut bench = bench.restart();
    assert_eq!(next_question(&mut bench), greeting);
    bench.brain.failure = None;
    bench.run(12);
    assert!(bench.is_online());
    let number = bench.offer(16_000);
    bench.run(2);
    assert!(bench.took(number));
    assert_eq!(bench.brain.written(8093), [60, 160]);
    assert_eq!((bench.open(), bench.count(&Report::Booted)), (1, 0));
    let mut bench = bench.restart();
    assert_eq!(next_question(&mut bench), Block::Identity.request());
}

#[test]
fn what_a_device_allows_by_itself_is_told_also_after_our_restart() {
    let mut brain = Brain::new();
    brain.set(8085, 130);
    brain.forgets.insert(8085);
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(3);
    let falls_to = Report::FallsTo(MilliAmps(13_000));
    assert_eq!(bench.count(&falls_to), 1);
    bench.brain.failure = Some(Failure::Silent);
    let mut bench = bench.restart();
    bench.run(1);
    assert_eq!(bench.count(&falls_to), 1);
}

#[test]
fn a_device_whose_failsafe_current_is_0_is_switched_off_after_a_minute_away() {
    let plan = ChargePointPlan {
        failsafe: MilliAmps::ZERO,
        ..plan()
    };
    let mut bench = Bench::new(plan);
    lose(&mut bench, 75);
    assert_eq!(next_question(&mut bench), Write::Enable(false).request());
}

#[test]
fn a_device_that_was_away_for_less_than_a_minute_or_never_falls_back_goes_on_as_it_was() {
    let mut bench = Bench::charging();
    lose(&mut bench, 50);
    bench.run(12);
    assert!(bench.brain.written(8093).is_empty());
    let mut brain = Brain::new();
    brain.set(8085, 160);
    brain.forgets.insert(8085);
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(5);
    lose(&mut bench, 200);
    assert_eq!(next_question(&mut bench), Block::Identity.request());
}

#[test]
fn a_device_that_refuses_its_failsafe_current_is_read_all_the_same() {
    let mut bench = Bench::charging();
    bench.brain.refuses.insert(8093, 4);
    lose(&mut bench, 200);
    bench.run(12);
    assert!(bench.is_online());
}

#[test]
fn who_left_while_the_link_was_lost_is_billed_by_the_register_found_afterwards() {
    let mut bench = Bench::charging();
    bench.brain.energy = 6000;
    bench.run(2);
    bench.brain.energy = 6800;
    bench.brain.plugged = false;
    lose(&mut bench, 600);
    bench.run(12);
    let reason = "EVDisconnected".to_owned();
    assert_eq!(bench.ending(), Some((reason, Some(6800))));
}

/// When the newest transaction ended.
fn stopped_at(bench: &Bench) -> String {
    let transaction = bench.transactions().pop().unwrap();
    transaction.stopped.unwrap().timestamp
}

#[test]
fn who_left_while_the_link_was_lost_left_when_the_car_was_last_seen() {
    for (restarts, reason) in [(3, "EVDisconnected"), (4, "PowerLoss")] {
        let mut bench = Bench::charging();
        let seen = bench.time.as_secs() - 1000;
        bench.brain.plugged = false;
        bench.brain.set(8121, restarts);
        lose(&mut bench, 600);
        bench.run(12);
        assert_eq!(bench.ending().unwrap().0, reason);
        let stopped = stopped_at(&bench);
        let range = at(seen - 1)..=at(seen + 1);
        assert!(range.contains(&stopped), "{stopped}");
    }
}

#[test]
fn who_leaves_after_the_link_was_lost_leaves_then() {
    let mut bench = Bench::charging();
    lose(&mut bench, 600);
    bench.run(12);
    bench.unplug();
    let now = bench.time.as_secs() - 1000;
    let stopped = stopped_at(&bench);
    assert!((at(now - 2)..=at(now)).contains(&stopped), "{stopped}");
}

#[test]
fn who_ends_a_transaction_just_before_the_link_is_lost_is_billed_when_it_is_back() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.tap(CARD);
    bench.brain.tap(CARD);
    while bench.demand() == Demand::Charging {
        bench.step();
    }
    lose(&mut bench, 100);
    assert_eq!((bench.open(), bench.demand()), (1, Demand::Plugged));
    bench.brain.energy = 5400;
    bench.run(12);
    assert_eq!(bench.ending(), Some(("Local".to_owned(), Some(5400))));
}

#[test]
fn what_was_offered_while_the_link_was_lost_is_written_when_it_is_back() {
    let mut bench = Bench::charging();
    bench.brain.failure = Some(Failure::Silent);
    bench.run(20);
    let old = bench.offer(12_000);
    let new = bench.offer(9000);
    bench.run(20);
    assert!(!bench.took(new));
    bench.brain.failure = None;
    bench.run(12);
    assert_eq!(bench.brain.written(8093).last(), Some(&90));
    assert!(!bench.brain.written(8093).contains(&120));
    assert!(bench.took(new) && !bench.took(old));
}

#[test]
fn a_card_presented_while_nobody_looked_starts_nobody() {
    let mut bench = Bench::new(listed());
    bench.brain.plugged = true;
    bench.brain.tap(CARD);
    lose(&mut bench, 30);
    bench.run(20);
    assert_eq!((bench.open(), bench.asks()), (0, vec![]));
}

#[test]
fn a_transaction_goes_on_after_our_restart_without_a_gap() {
    let mut bench = Bench::charging();
    bench.brain.energy = 6000;
    bench.run(70);
    let writes = bench.brain.writes.len();
    let mut bench = bench.restart();
    bench.run(5);
    assert_eq!(bench.demand(), Demand::Charging);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.brain.writes.len(), writes);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 1));
    bench.brain.energy = 7000;
    bench.unplug();
    assert_eq!(bench.ending().unwrap().1, Some(7000));
}

#[test]
fn after_our_restart_the_tag_of_the_transaction_is_judged_anew() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.tap(CARD);
    let mut bench = bench.restart();
    bench.verdict.status = AuthorizationStatus::Expired;
    bench.run(3);
    assert_eq!(bench.asks(), [("Start", CARD.to_owned())]);
    assert_eq!(bench.ending().unwrap().0, "DeAuthorized");
}

#[test]
fn a_car_that_is_gone_after_our_restart_was_unplugged() {
    let bench = Bench::charging();
    let mut bench = bench.restart();
    bench.brain.plugged = false;
    bench.brain.energy = 6100;
    bench.run(3);
    let reason = "EVDisconnected".to_owned();
    assert_eq!(bench.ending(), Some((reason, Some(6100))));
    assert_eq!(bench.demand(), Demand::None);
}

#[test]
fn a_car_that_is_gone_after_a_power_cut_was_cut_off() {
    let mut bench = Bench::charging();
    bench.brain.energy = 6000;
    bench.run(70);
    let mut bench = bench.restart();
    bench.brain.set(8121, 4);
    bench.brain.plugged = false;
    bench.brain.energy = 0;
    bench.run(30);
    assert_eq!(bench.ending(), Some(("PowerLoss".to_owned(), Some(6000))));
}

#[test]
fn a_restarted_device_is_told_as_booted_and_its_car_goes_on() {
    let mut bench = Bench::charging();
    bench.offer(10_000);
    bench.run(2);
    bench.brain.set(8121, 4);
    bench.brain.set(8093, 160);
    bench.brain.set(8111, 0);
    lose(&mut bench, 30);
    bench.run(12);
    assert_eq!(bench.count(&Report::Booted), 1);
    assert_eq!(bench.brain.get(8093), 100);
    assert_eq!(bench.open(), 1);
}

#[test]
fn two_power_brains_with_swapped_ids_share_no_transaction() {
    let mut bench = Bench::charging();
    bench.brain.energy = 6000;
    bench.run(2);
    let mut other = Brain::new();
    other.serial = "W00-4712";
    other.energy = 900_000;
    lose(&mut bench, 5);
    bench.brain = other;
    bench.run(12);
    assert_eq!(bench.ending(), Some(("Other".to_owned(), Some(6000))));
    assert_eq!(bench.brain.get(8094), 0);
    let complaint = bench.charge_point.view().complaint.unwrap();
    assert!(complaint.contains("W00-4712"), "{complaint}");
    bench.plug();
    let started = bench.transactions().pop().unwrap().meter_start;
    assert_eq!(started, Some(WattHours(900_000)));
}

#[test]
fn absurd_registers_do_no_harm() {
    let mut bench = Bench::charging();
    for register in [8086, 8090, 8091, 8092, 8095, 8111, 8113] {
        bench.brain.set(register, u16::MAX);
    }
    bench.brain.fault = Some(u16::MAX);
    bench.brain.energy = u64::MAX;
    bench
        .brain
        .text(8096, "\u{7f}\u{1}~~~~~~~~~~~~~~~~~~~~~~~~~~~~", 15);
    bench.run(20);
    assert_eq!(bench.status(), ChargePointStatus::Faulted);
    assert_eq!(bench.open(), 1);
}

#[test]
fn an_answer_of_the_wrong_length_is_no_answer() {
    let mut bench = Bench::charging();
    for _ in 0..20 {
        bench.time += Duration::from_secs(11);
        bench.act(ChargePoint::handle_timeout);
        if bench.asked.take().is_some() {
            bench.act(|it, context| it.handle_answer(context, Ok(vec![1, 2, 3])));
        }
    }
    assert!(!bench.is_online());
    assert_eq!(bench.open(), 1);
    bench.run(12);
    assert!(bench.is_online());
}

#[test]
fn the_register_is_kept_now_and_then_for_a_stop_after_a_power_cut() {
    let mut bench = Bench::charging();
    let before = bench.records;
    for _ in 0..600 {
        bench.brain.energy += 3;
        bench.run(1);
    }
    let kept = bench.records - before;
    assert!((8..=11).contains(&kept), "{kept} records in 10 minutes");
}

/// Its meter is not read, or read anew.
fn blind(bench: &mut Bench, code: Option<u8>) {
    bench.brain.meter_fails = code;
}

#[test]
fn what_one_took_while_the_meter_was_not_read_nobody_else_pays() {
    for code in [2, 4] {
        for restarts in [false, true] {
            let mut bench = Bench::charging_for_backend();
            blind(&mut bench, Some(code));
            bench.run(5);
            bench.brain.energy = 8000;
            bench.tap(CARD);
            bench.run(15);
            assert_eq!(bench.ending(), Some(("Local".to_owned(), Some(5000))));
            bench.unplug();
            if restarts {
                bench = bench.restart();
                bench.run(5);
            }
            bench.plug();
            bench.tap(PARTNER);
            bench.run(15);
            assert_eq!(bench.open(), 1);
            bench.brain.energy = 8100;
            if restarts {
                bench = bench.restart();
                bench.run(5);
            }
            blind(&mut bench, None);
            bench.run(65);
            bench.brain.energy = 8190;
            bench.run(2);
            bench.unplug();
            bench.run(12);
            let start = bench.transactions().pop().unwrap().meter_start;
            let stop = bench.ending().unwrap().1.map(WattHours);
            let billed = stop.unwrap() - start.unwrap_or_default();
            assert_eq!(billed, WattHours(90), "{code} {restarts}");
        }
    }
}

#[test]
fn who_charges_while_the_meter_is_not_read_pays_for_what_it_says_afterwards() {
    let mut bench = Bench::charging_for_backend();
    bench.unplug();
    blind(&mut bench, Some(4));
    bench.run(5);
    bench.plug();
    bench.tap(CARD);
    bench.run(15);
    bench.brain.energy = 5900;
    blind(&mut bench, None);
    bench.run(2);
    bench.unplug();
    let start = bench.transactions().pop().unwrap().meter_start;
    assert_eq!(start, Some(WattHours(5000)));
    assert_eq!(bench.ending().unwrap().1, Some(5900));
}

#[test]
fn the_next_one_begins_where_the_last_one_ended_also_after_our_restart() {
    let mut bench = Bench::charging();
    bench.brain.energy = 5040;
    bench.unplug();
    assert_eq!(bench.ending().unwrap().1, Some(5040));
    blind(&mut bench, Some(4));
    let mut bench = bench.restart();
    bench.plug();
    bench.run(15);
    let start = bench.transactions().pop().unwrap().meter_start;
    assert_eq!(start, Some(WattHours(5040)));
}

#[test]
fn where_no_register_was_ever_read_the_first_one_is_where_it_began() {
    let mut brain = Brain::new();
    brain.has_meter = false;
    brain.energy = 123_456;
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(2);
    bench.plug();
    bench.offer(16_000);
    bench.run(2);
    bench.brain.has_meter = true;
    bench.run(2);
    bench.brain.energy = 123_556;
    bench.unplug();
    assert_eq!(bench.entries[0].1["meterStart"], 0);
    assert_eq!(bench.ending().unwrap().1, Some(100));
}
