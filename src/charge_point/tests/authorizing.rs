//! Who may charge where a backend decides, and what a restart of ours finds.

use super::*;
use crate::evse::{Deauthorize, Sampled};
use crate::ocpp::messages::Measurand;

fn fixed() -> ChargePointPlan {
    ChargePointPlan {
        fixed_id_tag: Some(tag("FIXED")),
        ..backed()
    }
}

fn on_invalid(stop: bool, energy: i64) -> Conduct {
    Conduct {
        stop_on_invalid: stop,
        energy_on_invalid: WattHours(energy),
        ..Conduct::default()
    }
}

/// A car charges, and the backend refuses its tag in the answer to the start.
fn refused_late(conduct: Conduct) -> Bench {
    let mut bench = Bench::new(fixed());
    bench.conduct(conduct);
    bench.upstream_waits = true;
    bench.backend_answers = true;
    bench.plug();
    bench.reply(1);
    bench.offer(16_000);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    bench.verdict.status = AuthorizationStatus::Invalid;
    bench.reply(2);
    bench.run(2);
    bench
}

/// `timestamp` of the stop.
fn ended(bench: &Bench) -> String {
    bench.transactions()[0].stopped.clone().unwrap().timestamp
}

#[test]
fn the_backend_says_how_long_a_card_waits_for_its_car() {
    for (seconds, begins) in [(100, 1), (125, 0)] {
        let mut bench = Bench::new(backed());
        bench.conduct(Conduct {
            connection_time_out: Duration::from_mins(2),
            ..Conduct::default()
        });
        bench.tap(CARD);
        bench.run(seconds);
        bench.plug();
        assert_eq!(bench.open(), begins, "after {seconds} s");
    }
}

#[test]
fn a_card_presented_again_before_the_car_takes_its_authorization_back() {
    let mut bench = Bench::new(backed());
    bench.tap(CARD);
    bench.tap(&CARD.to_lowercase());
    assert_eq!(bench.status(), ChargePointStatus::Available);
    assert_eq!(bench.calls.len(), 1);
    bench.plug();
    assert_eq!(bench.open(), 0);
}

#[test]
fn a_card_presented_again_while_the_register_is_awaited_takes_nothing_back() {
    let mut brain = Brain::new();
    brain.energy = 0;
    brain.plugged = true;
    let mut bench = Bench::with(backed(), brain, Recovered::default());
    bench.run(2);
    bench.tap(CARD);
    assert_eq!(bench.open(), 0, "its register is in doubt");
    bench.tap(CARD);
    bench.run(12);
    assert_eq!(bench.open(), 1);
}

#[test]
fn a_plugged_car_whose_register_is_late_is_not_sent_away_by_connection_time_out() {
    let mut brain = Brain::new();
    brain.energy = 0;
    brain.plugged = true;
    let mut bench = Bench::with(backed(), brain, Recovered::default());
    bench.conduct(Conduct {
        connection_time_out: Duration::from_secs(1),
        ..Conduct::default()
    });
    bench.run(2);
    bench.tap(CARD);
    bench.run(12);
    assert_eq!(bench.open(), 1);
}

#[test]
fn after_a_stop_a_card_prepares_the_next_transaction_of_the_same_car() {
    let mut bench = Bench::charging_for_backend();
    bench.tap(CARD);
    assert_eq!(bench.status(), ChargePointStatus::Finishing);
    bench.tap(PARTNER);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 2));
    assert_eq!(bench.transactions()[1].id_tag, Some(tag(PARTNER)));
}

#[test]
fn with_a_backend_nobody_charges_without_a_tag() {
    let mut bench = Bench::new(backed());
    bench.plug();
    bench.offer(16_000);
    bench.run(30);
    assert_eq!((bench.open(), bench.asks()), (0, vec![]));
    assert_eq!(bench.brain.get(8094), 0);
}

#[test]
fn a_fixed_tag_refused_while_the_backend_is_away_is_asked_for_every_5_minutes() {
    let mut bench = Bench::new(fixed());
    bench.verdict.status = AuthorizationStatus::Invalid;
    bench.plug();
    bench.run(290);
    assert_eq!(bench.calls.len(), 1);
    bench.run(20);
    assert_eq!(bench.calls.len(), 2);
    bench.verdict.status = AuthorizationStatus::Accepted;
    bench.run(310);
    assert_eq!(bench.transactions()[0].id_tag, Some(tag("FIXED")));
}

#[test]
fn a_fixed_tag_refused_by_the_backend_is_asked_for_with_the_next_car() {
    let mut bench = Bench::new(fixed());
    bench.backend_answers = true;
    bench.verdict.status = AuthorizationStatus::Blocked;
    bench.plug();
    bench.run(700);
    assert_eq!(bench.calls.len(), 1);
    bench.unplug();
    bench.plug();
    assert_eq!(bench.calls.len(), 2);
}

#[test]
fn a_transaction_that_the_backend_does_not_accept_ends_where_it_wants_that() {
    let mut bench = refused_late(on_invalid(true, 0));
    assert_eq!(bench.ending().unwrap().0, "DeAuthorized");
    assert_eq!(bench.brain.get(8094), 0);
    bench.run(30);
    assert_eq!(bench.transactions().len(), 1);
}

#[test]
fn a_transaction_that_the_backend_does_not_accept_stays_open_without_current_where_it_wants_that() {
    let mut bench = refused_late(on_invalid(false, 0));
    bench.run(60);
    assert_eq!((bench.open(), bench.brain.get(8094)), (1, 0));
    assert_eq!(bench.demand(), Demand::Plugged);
    assert_eq!(bench.status(), ChargePointStatus::SuspendedEVSE);
    bench.unplug();
    assert_eq!(bench.ending().unwrap().0, "EVDisconnected");
}

#[test]
fn what_the_backend_leaves_a_refused_transaction_is_counted_from_the_refusal() {
    for stop in [true, false] {
        let mut bench = refused_late(on_invalid(stop, 500));
        bench.brain.energy = 5499;
        bench.run(2);
        assert_eq!(bench.status(), ChargePointStatus::Charging);
        bench.brain.energy = 5500;
        bench.run(2);
        assert_eq!(bench.brain.get(8094), 0);
        assert_eq!(bench.open(), usize::from(!stop));
    }
}

#[test]
fn without_a_register_a_refused_transaction_is_left_nothing() {
    let mut bench = Bench::new(ChargePointPlan {
        meter: Metering::None,
        ..backed()
    });
    bench.conduct(on_invalid(false, 500));
    bench.plug();
    bench.tap(CARD);
    let transaction = bench.transactions()[0].number;
    let said = Deauthorize {
        transaction,
        stop: false,
    };
    bench.offer(16_000);
    bench.run(2);
    assert_eq!(bench.brain.get(8094), 1);
    bench.act(|it, context| it.handle_deauthorize(context, &said));
    bench.run(2);
    assert_eq!((bench.open(), bench.brain.get(8094)), (1, 0));
}

#[test]
fn a_late_no_leaves_the_same_and_says_itself_what_follows() {
    for stop in [true, false] {
        let mut bench = Bench::charging_for_backend();
        bench.conduct(on_invalid(!stop, 500));
        let transaction = bench.transactions()[0].number;
        let said = Deauthorize { transaction, stop };
        bench.act(|it, context| it.handle_deauthorize(context, &said));
        bench.run(2);
        assert_eq!(bench.status(), ChargePointStatus::Charging);
        bench.brain.energy = 5600;
        bench.run(2);
        assert_eq!(bench.brain.get(8094), 0);
        assert_eq!(bench.open(), usize::from(!stop));
    }
}

#[test]
fn a_second_no_leaves_no_second_share_and_can_end_what_the_first_left_open() {
    let mut bench = Bench::charging_for_backend();
    bench.conduct(on_invalid(true, 500));
    let transaction = bench.transactions()[0].number;
    let say = |bench: &mut Bench, stop| {
        let said = Deauthorize { transaction, stop };
        bench.act(|it, context| it.handle_deauthorize(context, &said));
        bench.run(2);
    };
    say(&mut bench, false);
    bench.brain.energy = 5400;
    bench.run(2);
    say(&mut bench, false);
    bench.brain.energy = 5500;
    bench.run(2);
    assert_eq!((bench.open(), bench.brain.get(8094)), (1, 0));
    say(&mut bench, true);
    assert_eq!(bench.ending().unwrap().0, "DeAuthorized");
}

#[test]
fn a_refused_transaction_has_no_current_after_our_restart_either() {
    let mut bench = refused_late(on_invalid(false, 0));
    bench.run(10);
    let mut bench = bench.restart_after(20);
    bench.offer(16_000);
    bench.run(10);
    assert_eq!((bench.open(), bench.brain.get(8094)), (1, 0));
    assert_eq!(bench.asks(), [], "the answer is known");
}

#[test]
fn a_group_is_the_same_in_any_case_of_letters() {
    let mut bench = Bench::new(backed());
    bench.verdict.parent = Some(tag("Family"));
    bench.plug();
    bench.tap(CARD);
    bench.verdict.parent = Some(tag("FAMILY"));
    bench.tap(PARTNER);
    assert_eq!(bench.ending().unwrap().0, "Local");
    assert_eq!(bench.entries[1].1["idTag"], PARTNER);
}

#[test]
fn the_group_that_comes_with_the_answer_to_the_start_counts() {
    let mut bench = Bench::new(backed());
    bench.plug();
    bench.upstream_waits = true;
    bench.tap(CARD);
    bench.reply(1);
    bench.run(2);
    bench.verdict.parent = Some(tag("FAMILY"));
    bench.reply(2);
    bench.tap(PARTNER);
    bench.reply(3);
    bench.run(2);
    assert_eq!(bench.ending().unwrap().0, "Local");
}

#[test]
fn where_nothing_is_limited_here_the_backend_alone_decides() {
    let plan = ChargePointPlan {
        observe: true,
        ..backed()
    };
    let mut bench = Bench::with(plan, Brain::new(), Recovered::default());
    bench.run(2);
    assert_eq!(bench.brain.get(8094), 0, "free and held closed");
    bench.plug();
    bench.tap(CARD);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.brain.get(8093), 160);
    let allow = |bench: &mut Bench, amps: Option<i32>| {
        let ceiling = amps.map(MilliAmps);
        bench.act(|it, context| it.handle_ceiling(context, ceiling));
        bench.run(2);
    };
    allow(&mut bench, Some(10_000));
    assert_eq!(bench.brain.get(8093), 100);
    bench.offer(8000);
    bench.run(2);
    assert_eq!(bench.brain.get(8093), 100, "no offer counts");
    allow(&mut bench, Some(0));
    assert_eq!(bench.status(), ChargePointStatus::SuspendedEVSE);
    allow(&mut bench, None);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.brain.get(8093), 160);
    let number = bench.transactions()[0].number;
    assert_eq!(bench.remote_stop(number), "Accepted");
    bench.run(2);
    assert_eq!((bench.open(), bench.brain.get(8094)), (0, 0));
    let written = bench.brain.writes.iter();
    let registers: BTreeSet<u16> = written.map(|it| it.0).collect();
    assert_eq!(registers, BTreeSet::from([8093, 8094]), "no fail-safe");
}

#[test]
fn a_car_that_left_during_our_restart_is_billed_until_it_was_last_seen() {
    let mut bench = Bench::charging_for_backend();
    bench.run(1300);
    let last = bench.time.as_secs() - 1000;
    bench.brain.plugged = false;
    bench.brain.energy = 7777;
    let mut bench = bench.restart_after(7200);
    bench.run(5);
    let reason = "EVDisconnected".to_owned();
    assert_eq!(bench.ending(), Some((reason, Some(7777))));
    let seen = ended(&bench);
    assert!(seen > at(last - 610) && seen <= at(last), "{seen}");
    assert_eq!(bench.entries[0].1["timestamp"], seen);
}

#[test]
fn no_stop_is_older_than_a_sample_that_the_backend_has() {
    let mut bench = Bench::charging_for_backend();
    bench.conduct(Conduct {
        sample_interval: Some(Duration::from_secs(7)),
        sampled: vec![Sampled {
            measurand: Measurand::EnergyActiveImportRegister,
            phase: None,
        }],
        ..Conduct::default()
    });
    bench.run(100);
    let sample = bench.entries.last().unwrap().1["meterValue"][0]["timestamp"].clone();
    bench.brain.plugged = false;
    let mut bench = bench.restart_after(7200);
    bench.run(5);
    let stop = bench.entries[0].1["timestamp"].clone();
    assert!(stop.as_str() >= sample.as_str(), "{stop} after {sample}");
}

#[test]
fn a_car_that_left_while_the_wallbox_was_restarted_lost_its_power() {
    let mut bench = Bench::charging_for_backend();
    bench.brain.energy = 6000;
    bench.run(70);
    bench.brain.plugged = false;
    bench.brain.set(8121, 4);
    bench.brain.energy = 0;
    let mut bench = bench.restart_after(3600);
    bench.run(30);
    assert_eq!(bench.ending(), Some(("PowerLoss".to_owned(), Some(6000))));
    assert!(ended(&bench) <= at(90), "{}", ended(&bench));
}

#[test]
fn a_car_that_leaves_after_our_restart_left_just_then() {
    let mut bench = Bench::charging_for_backend();
    bench.run(20);
    let mut bench = bench.restart_after(3600);
    bench.run(5);
    assert_eq!(bench.open(), 1);
    bench.unplug();
    assert!(ended(&bench) > at(3600), "{}", ended(&bench));
}

#[test]
fn a_register_that_is_less_after_our_restart_ends_the_transaction_and_the_car_begins_its_own() {
    let mut bench = Bench::new(fixed());
    bench.plug();
    bench.brain.energy = 6000;
    bench.run(70);
    bench.brain.energy = 300;
    let mut bench = bench.restart_after(3600);
    bench.run(60);
    let transactions = bench.transactions();
    let stopped = transactions[0].stopped.clone().unwrap();
    assert_eq!(stopped.meter_stop, Some(WattHours(6000)));
    assert_eq!(stopped.reason, "EVDisconnected");
    assert!(stopped.timestamp < at(120), "{}", stopped.timestamp);
    assert_eq!(bench.open(), 1);
    assert_eq!(transactions[1].meter_start, Some(WattHours(300)));
}

#[test]
fn a_register_that_no_car_could_reach_during_our_restart_is_not_billed() {
    let mut bench = Bench::charging_for_backend();
    bench.brain.energy = 6000;
    bench.run(70);
    bench.brain.energy = 9_000_000;
    bench.brain.set(8121, 4);
    let mut bench = bench.restart_after(3600);
    bench.run(60);
    assert_eq!(bench.ending(), Some(("PowerLoss".to_owned(), Some(6000))));
}

#[test]
fn a_register_that_reads_0_for_a_moment_after_our_restart_ends_nothing() {
    let mut bench = Bench::charging_for_backend();
    bench.brain.energy = 6000;
    bench.run(70);
    bench.brain.energy = 0;
    let mut bench = bench.restart_after(60);
    bench.run(5);
    bench.brain.energy = 6010;
    bench.run(60);
    assert_eq!(bench.open(), 1);
    bench.unplug();
    assert_eq!(bench.ending().unwrap().1, Some(6010));
}

#[test]
fn that_a_car_was_seen_is_kept_every_10_minutes() {
    let mut bench = Bench::charging_for_backend();
    bench.run(5);
    let records = bench.records;
    bench.run(3600);
    assert!(
        (5..=6).contains(&(bench.records - records)),
        "{}",
        bench.records - records
    );
    bench.unplug();
    bench.run(5);
    let records = bench.records;
    bench.run(3600);
    assert_eq!(bench.records, records);
}
