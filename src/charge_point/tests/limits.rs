//! Offers as registers.

use super::*;

fn since(bench: &mut Bench, act: impl FnOnce(&mut Bench)) -> Vec<(u16, u16)> {
    let before = bench.brain.writes.len();
    act(bench);
    bench.brain.writes[before..].to_vec()
}

#[test]
fn the_limit_is_written_before_the_device_is_enabled() {
    let mut bench = Bench::new(plan());
    bench.plug();
    let number = bench.offer(10_790);
    let writes = since(&mut bench, |bench| bench.run(2));
    assert_eq!(writes, [(8093, 107), (8094, 1)]);
    assert!(bench.took(number));
}

#[test]
fn a_pause_is_written_to_the_enable_register_alone() {
    let mut bench = Bench::charging();
    for offer in [0, 5900] {
        bench.offer(10_000);
        bench.run(2);
        let number = bench.offer(offer);
        assert!(!bench.took(number));
        let writes = since(&mut bench, |bench| bench.run(1));
        assert_eq!(writes, [(8094, 0)], "{offer}");
        assert!(bench.took(number));
        assert_eq!(bench.brain.get(8093), 100);
    }
}

#[test]
fn a_lowered_limit_is_one_write_and_an_equal_one_is_none() {
    let mut bench = Bench::charging();
    bench.offer(10_000);
    assert_eq!(since(&mut bench, |b| b.run(5)), [(8093, 100)]);
    let number = bench.offer(10_050);
    assert_eq!(since(&mut bench, |b| b.run(5)), []);
    assert!(bench.took(number));
}

#[test]
fn never_more_is_written_than_the_configuration_or_the_cable_allows() {
    let mut bench = Bench::charging();
    bench.offer(32_000);
    bench.run(2);
    assert_eq!(bench.brain.get(8093), 160);
    bench.brain.set(8090, 130);
    bench.run(3);
    assert_eq!(bench.brain.get(8093), 130);
    let number = bench.offer(15_000);
    bench.run(2);
    assert_eq!(bench.brain.get(8093), 130);
    assert!(bench.took(number));
}

#[test]
fn a_disk_that_is_slow_holds_back_what_raises_and_nothing_else() {
    let mut bench = Bench::new(plan());
    bench.plug();
    bench.may_raise = false;
    let number = bench.offer(10_000);
    assert_eq!(since(&mut bench, |b| b.run(10)), [(8093, 100)]);
    assert!(!bench.took(number));
    bench.may_raise = true;
    bench.act(ChargePoint::handle_committed);
    assert_eq!(since(&mut bench, |b| b.run(1)), [(8094, 1)]);
    assert!(bench.took(number));
    bench.may_raise = false;
    bench.offer(16_000);
    assert_eq!(since(&mut bench, |b| b.run(10)), [], "a raise waits");
    bench.offer(8000);
    assert_eq!(since(&mut bench, |b| b.run(1)), [(8093, 80)]);
    bench.offer(0);
    assert_eq!(since(&mut bench, |b| b.run(1)), [(8094, 0)]);
}

#[test]
fn an_offer_without_a_transaction_enables_nothing() {
    let mut bench = Bench::new(listed());
    let number = bench.offer(16_000);
    bench.plug();
    bench.run(5);
    assert_eq!(bench.brain.get(8094), 0);
    assert!(bench.took(number));
}

#[test]
fn registers_that_change_without_us_are_written_again_and_told_as_a_boot() {
    let mut bench = Bench::charging();
    bench.offer(10_000);
    bench.run(2);
    bench.brain.set(8093, 160);
    let writes = since(&mut bench, |b| b.run(3));
    assert_eq!(writes, [(8093, 100)]);
    assert_eq!(bench.count(&Report::Booted), 1);
}

#[test]
fn an_offer_that_is_not_obeyed_is_written_once_more() {
    let mut bench = Bench::charging();
    let number = bench.offer(10_000);
    bench.run(2);
    let not_followed = |number: OfferNumber| {
        move |bench: &mut Bench| {
            bench.act(|it, context| it.handle_not_followed(context, number));
            bench.run(2);
        }
    };
    let writes = since(&mut bench, not_followed(number));
    assert_eq!(writes, [(8093, 100)]);
    let old = OfferNumber(number.0 - 1);
    assert_eq!(since(&mut bench, not_followed(old)), []);
    let pause = bench.offer(0);
    bench.run(2);
    assert_eq!(since(&mut bench, not_followed(pause)), [(8094, 0)]);
}

#[test]
fn a_refused_write_is_told_once_and_tried_again_every_5_s() {
    for (register, offer) in [(8093, 10_000), (8094, 0)] {
        let mut bench = Bench::charging();
        bench.brain.refuses.insert(register, 4);
        let number = bench.offer(offer);
        bench.run(20);
        assert_eq!(bench.refused(number), 1, "{register}");
        assert!(!bench.took(number));
        assert!(bench.is_online());
        bench.brain.refuses.clear();
        bench.run(6);
        assert!(bench.took(number));
        let before = bench.brain.written(register).len();
        bench.brain.refuses.insert(register, 4);
        let next = bench.offer(if offer == 0 { 12_000 } else { 11_000 });
        bench.run(2);
        assert_eq!(bench.refused(next), 1, "{register}");
        assert_eq!(bench.brain.written(register).len(), before);
    }
}

#[test]
fn a_device_that_forgets_what_is_written_does_not_take_the_offer() {
    let mut bench = Bench::charging();
    bench.brain.forgets.insert(8093);
    let number = bench.offer(10_000);
    bench.run(60);
    assert_eq!(bench.refused(number), 1);
    let writes = bench.brain.written(8093).len();
    assert!((8..=40).contains(&writes), "{writes} writes in a minute");
    bench.brain.forgets.clear();
    bench.reports.clear();
    bench.run(7);
    assert!(bench.took(number));
}

#[test]
fn quirk_cfos_a_device_that_keeps_the_limit_of_its_model_has_taken_the_offer() {
    let mut bench = Bench::new(ChargePointPlan {
        max: MilliAmps(32_000),
        ..plan()
    });
    bench.plug();
    bench.brain.forgets.insert(8093);
    let number = bench.offer(32_000);
    bench.run(30);
    assert!(bench.took(number));
    assert_eq!(bench.refused(number), 0);
    assert_eq!(bench.brain.written(8093), [320]);
    assert_eq!(bench.count(&Report::Booted), 0);
}

#[test]
fn a_release_restores_what_the_device_has_in_flash() {
    let mut bench = Bench::charging();
    bench.offer(10_000);
    bench.run(2);
    let number = bench.offer_on(Limit::Released, false);
    assert_eq!(since(&mut bench, |b| b.run(2)), [(8093, 160)]);
    assert!(bench.took(number));
    bench.unplug();
    assert_eq!(bench.brain.get(8094), 1, "also without a transaction");
}

#[test]
fn a_release_gives_no_more_than_the_configuration_allows() {
    let mut brain = Brain::new();
    brain.set(8081, 320);
    brain.set(8082, 0);
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(2);
    let number = bench.offer_on(Limit::Released, false);
    bench.run(2);
    assert_eq!((bench.brain.get(8093), bench.brain.get(8094)), (160, 0));
    assert!(bench.took(number));
}

#[test]
fn fail_safe_registers_are_written_once_and_nothing_else_in_flash() {
    let mut brain = Brain::new();
    brain.set(8085, 100);
    brain.forgets.insert(8084);
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    for _ in 0..5 {
        bench.run(10);
        bench.brain.failure = Some(Failure::Silent);
        bench.run(5);
        bench.brain.failure = None;
        bench.run(15);
    }
    let flash = |it: &&(u16, u16)| !matches!(it.0, 8086..=8088 | 8091 | 8093 | 8094);
    let flash: Vec<_> = bench.brain.writes.iter().filter(flash).collect();
    assert_eq!(flash, [&(8085, 60), &(8083, 0), &(8084, 180)]);
}

#[test]
fn a_device_says_how_soon_it_falls_back_and_how_its_phases_are() {
    let mut bench = Bench::new(plan());
    let fallback = |seconds| Report::FallsBack(Some(Duration::from_secs(seconds)));
    // A minute as ever, three until it falls back, ten seconds for its car.
    assert_eq!(bench.count(&fallback(250)), 1);
    bench.brain.set(8113, 1 << 8);
    bench.brain.set(8087, 1);
    bench.run(2);
    assert_eq!(bench.count(&Report::Switchable(true)), 1);
    assert_eq!(bench.count(&Report::SinglePhase(true)), 1);
}

#[test]
fn phases_are_switched_without_current_and_then_allowed_again() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.run(2);
    let number = bench.offer_on(Limit::Current(MilliAmps(13_000)), true);
    let writes = since(&mut bench, |b| b.run(4));
    assert_eq!(writes, [(8094, 0), (8087, 1), (8093, 130), (8094, 1)]);
    assert!(bench.took(number));
    assert_eq!(bench.count(&Report::SinglePhase(true)), 1);
}

#[test]
fn a_pause_is_when_phases_are_switched() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.run(2);
    let number = bench.offer_on(Limit::Current(MilliAmps::ZERO), true);
    let writes = since(&mut bench, |b| b.run(4));
    assert_eq!(writes, [(8094, 0), (8087, 1)]);
    assert!(bench.took(number));
    assert_eq!(bench.count(&Report::SinglePhase(true)), 1);
}

#[test]
fn a_pause_holds_whether_phases_can_be_switched_or_not() {
    let mut bench = Bench::charging();
    bench.offer_on(Limit::Current(MilliAmps::ZERO), false);
    bench.run(2);
    let number = bench.offer_on(Limit::Current(MilliAmps::ZERO), true);
    bench.run(2);
    assert_eq!((bench.refused(number), bench.took(number)), (0, true));
    assert!(bench.brain.written(8087).is_empty());
}

#[test]
fn where_the_contactor_is_found_is_told_again_when_the_link_is_back() {
    let mut bench = Bench::charging();
    bench.brain.set(8087, 1);
    bench.run(2);
    bench.reports.clear();
    bench.brain.failure = Some(Failure::Silent);
    bench.run(10);
    bench.brain.failure = None;
    bench.run(12);
    let told = |report: &Report| bench.reports.iter().rposition(|it| it == report);
    assert!(told(&Report::SinglePhase(true)) > told(&Report::Online(true)));
}

#[test]
fn an_offer_is_not_taken_while_another_may_be_on_its_way_to_the_device() {
    let mut bench = Bench::charging();
    bench.offer(6000);
    bench.run(2);
    while bench.asked.is_some() {
        bench.step();
    }
    bench.offer(16_000);
    assert!(matches!(bench.asked, Some(Request::Write { .. })));
    let back = bench.offer(6000);
    assert!(!bench.took(back), "16 A may be in force");
    bench.run(1);
    assert_eq!(bench.brain.get(8093), 60);
    assert!(bench.took(back));
}

#[test]
fn a_limit_that_a_restart_took_away_is_not_that_of_the_model() {
    let mut bench = Bench::charging();
    bench.offer(10_000);
    bench.run(2);
    bench.offer(16_000);
    while bench.brain.get(8093) != 160 {
        bench.step();
    }
    bench.brain.set(8093, 60);
    bench.run(2);
    bench.brain.failure = Some(Failure::Silent);
    bench.brain.set(8121, 4);
    bench.run(10);
    bench.brain.failure = None;
    bench.run(12);
    assert_eq!(bench.brain.get(8093), 160);
}

#[test]
fn phases_are_switched_once_a_minute_at_most() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.run(2);
    bench.offer_on(Limit::Current(MilliAmps(13_000)), true);
    bench.run(5);
    let back = bench.offer(8000);
    let writes = since(&mut bench, |b| b.run(20));
    assert_eq!(writes, [(8093, 80)], "it goes on with one phase meanwhile");
    assert!(bench.took(back));
    bench.run(50);
    assert_eq!(bench.brain.get(8087), 0);
    let single = bench.offer_on(Limit::Current(MilliAmps(13_000)), true);
    bench.run(5);
    assert_eq!(bench.brain.get(8094), 0, "its other phases are others' now");
    assert!(!bench.took(single));
    bench.run(70);
    assert_eq!((bench.brain.get(8087), bench.brain.get(8094)), (1, 1));
    assert!(bench.took(single));
}

#[test]
fn a_device_that_may_not_switch_gets_no_current_for_one_phase() {
    let mut bench = Bench::charging();
    let number = bench.offer_on(Limit::Current(MilliAmps(13_000)), true);
    bench.run(3);
    assert!(bench.brain.written(8087).is_empty());
    assert_eq!(bench.brain.get(8094), 0);
    assert_eq!((bench.refused(number), bench.took(number)), (1, false));
}

#[test]
fn a_device_that_refuses_to_switch_back_goes_on_with_one_phase() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.brain.set(8087, 1);
    bench.brain.refuses.insert(8087, 4);
    let number = bench.offer(10_000);
    bench.run(200);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.count(&Report::Switchable(false)), 1);
    assert!(bench.took(number));
    let pauses = bench.brain.written(8094).into_iter().filter(|it| *it == 0);
    assert_eq!(pauses.count(), 2, "one before the first car");
}

#[test]
fn a_device_that_does_not_switch_is_paused_for_it_three_times_at_most() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.brain.set(8087, 1);
    bench.brain.forgets.insert(8087);
    bench.offer(10_000);
    bench.run(1000);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.brain.written(8087), [0; 3]);
}

#[test]
fn a_car_that_looks_unplugged_while_phases_are_switched_keeps_its_transaction() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.run(2);
    bench.offer_on(Limit::Current(MilliAmps(13_000)), true);
    bench.run(3);
    bench.brain.plugged = false;
    bench.run(60);
    bench.brain.plugged = true;
    bench.run(2);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 1));
    bench.brain.plugged = false;
    bench.run(90);
    assert_eq!(bench.open(), 0, "what is gone for longer is gone");
}

#[test]
fn phases_that_are_switched_back_without_a_car_hide_none_that_leaves() {
    let mut bench = Bench::charging();
    bench.brain.set(8113, 1 << 8);
    bench.run(2);
    bench.offer_on(Limit::Current(MilliAmps(13_000)), true);
    bench.run(200);
    bench.unplug();
    bench.offer(0);
    bench.run(2);
    assert_eq!(bench.brain.get(8087), 0);
    bench.plug();
    assert_eq!(bench.open(), 1);
    bench.unplug();
    assert_eq!(bench.open(), 0);
}

#[test]
fn a_car_that_sleeps_after_a_pause_is_woken_and_keeps_its_transaction() {
    let mut bench = Bench::charging();
    bench.offer(0);
    bench.run(10);
    bench.brain.hungry = false;
    bench.offer(10_000);
    bench.run(55);
    assert!(bench.brain.written(8086).is_empty());
    bench.run(8);
    assert_eq!(bench.brain.written(8086), [5]);
    bench.brain.plugged = false;
    bench.run(4);
    bench.brain.plugged = true;
    bench.brain.set(8086, 0);
    bench.run(1800);
    assert_eq!(bench.brain.written(8086), [5; 3]);
    assert_eq!(bench.transactions().len(), 1);
    assert_eq!(bench.open(), 1);
}
