//! Single readings of a meter, and what follows from them at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::table::{Site, at, milliamps};
use super::world::{metered, plan, seconds};
use crate::evse::{Demand, Limit, Reason, Report};
use crate::ids::MeterName;
use crate::load::{CircuitPlan, Device, LoadPlan, MeterPlan, MeterState, Rotation};
use crate::units::{MilliAmps, PerPhase, Phase, Watts};

fn no_meter(circuit: &str) -> Reason {
    Reason::Circuit {
        circuit: circuit.into(),
        phase: Phase::L1,
    }
}

#[test]
fn the_house_takes_its_part_and_the_cars_share_the_rest() {
    let mut site = Site::charging(metered(32, 2), 8000);
    assert_eq!(site.all(), [12_000, 12_000]);
    assert_eq!(site.reason(0), no_meter("house"));
    let view = site.circuit(0);
    assert_eq!(view.house, Some(PerPhase::all(MilliAmps(8000))));
    assert_eq!(view.meter, MeterState::Fresh);
    assert!(!view.failsafe);
    site.live(60, 0);
    assert_eq!(site.all(), [16_000, 16_000]);
}

#[test]
fn the_reserve_is_kept_free_beside_the_house() {
    let mut plan = metered(32, 2);
    plan.circuits[0].reserve = MilliAmps::from_amps(1);
    assert_eq!(Site::charging(plan, 8000).all(), [11_500, 11_500]);
}

#[test]
fn a_reading_above_the_limit_lowers_with_the_same_breath() {
    let mut site = Site::charging(metered(32, 2), 0);
    site.tick();
    assert_eq!(site.sample([32_000; 3]), []);
    assert_eq!(site.sample([32_100, 32_000, 32_000]), [(1, 15_900)]);
    assert_eq!(site.sample([40_000; 3]), [(0, 12_000), (1, 12_000)]);
}

#[test]
fn a_house_above_the_fuse_leaves_nothing_and_nothing_negative() {
    let mut site = Site::charging(metered(32, 3), 8000);
    site.live(1, 45_000);
    assert_eq!(site.all(), [0, 0, 0]);
    assert_eq!(site.reason(0), no_meter("house"));
    site.live(10, 640_000);
    assert_eq!(site.all(), [0, 0, 0]);
}

#[test]
fn what_the_sun_feeds_in_is_not_given_out() {
    let site = Site::charging(metered(32, 3), -20_000);
    assert_eq!(site.all(), [10_700, 10_700, 10_600]);
    assert_eq!(site.circuit(0).house, Some(PerPhase::all(MilliAmps::ZERO)));
}

#[test]
fn each_phase_of_the_house_concerns_only_those_who_use_it() {
    let mut plan = metered(20, 3);
    for (evse, phase) in plan.evses.iter_mut().zip(Phase::ALL) {
        evse.phases = 1;
        let others = Phase::ALL.into_iter().filter(|other| *other != phase);
        let order: Vec<Phase> = std::iter::once(phase).chain(others).collect();
        evse.rotation = Rotation::Known([order[0], order[1], order[2]]);
    }
    let mut site = Site::new(plan);
    site.sample([12_000, 0, 15_000]);
    for evse in 0..3 {
        site.report(evse, &Report::Demand(Demand::Charging));
    }
    for _ in 0..60 {
        site.tick();
        site.obey();
        let cars = site.all();
        site.sample([12_000 + cars[0], cars[1], 15_000 + cars[2]]);
    }
    assert_eq!(site.all(), [8000, 16_000, 0]);
}

#[test]
fn the_first_grant_comes_with_the_demand_and_is_the_minimum() {
    let mut site = Site::new(metered(32, 1));
    site.sample([20_000; 3]);
    site.report(0, &Report::Demand(Demand::Charging));
    assert_eq!(site.all(), [6000]);
    assert_eq!(site.reason(0), Reason::Ramp);
}

#[test]
fn cars_below_one_meter_begin_five_seconds_apart() {
    let mut site = Site::new(metered(63, 3));
    site.sample([0; 3]);
    for evse in 0..3 {
        site.report(evse, &Report::Demand(Demand::Charging));
    }
    let mut began = [None; 3];
    for second in 0..30_u64 {
        for (evse, began) in began.iter_mut().enumerate() {
            if site.offered(evse) > 0 {
                began.get_or_insert(second);
            }
        }
        site.tick();
        site.sample([0; 3]);
    }
    assert_eq!(began, [Some(0), Some(5), Some(10)]);
}

#[test]
fn an_unmeasured_car_keeps_its_minimum_for_20_s_and_rises_by_4_a_every_10_s() {
    let mut site = Site::new(metered(32, 1));
    site.sample([0; 3]);
    site.report(0, &Report::Demand(Demand::Charging));
    let mut rises = vec![(0, site.offered(0))];
    for second in 1..60 {
        site.tick();
        site.sample([0; 3]);
        if site.offered(0) != rises.last().unwrap().1 {
            rises.push((second, site.offered(0)));
        }
    }
    assert_eq!(rises, [(0, 6000), (20, 10_000), (30, 14_000), (40, 16_000)]);
}

#[test]
fn a_car_that_is_seen_to_draw_rises_10_s_after_its_beginning() {
    let mut site = Site::new(metered(32, 1));
    site.sample([0; 3]);
    site.report(0, &Report::Demand(Demand::Charging));
    site.live(9, 0);
    assert_eq!(site.all(), [6000]);
    site.live(1, 0);
    assert_eq!(site.all(), [10_000]);
}

#[test]
fn where_nothing_is_measured_a_car_has_everything_within_seconds() {
    let mut site = Site::new(plan(32, 2));
    for evse in 0..2 {
        site.report(evse, &Report::Demand(Demand::Charging));
    }
    assert_eq!(site.all(), [16_000, 16_000]);
}

#[test]
fn a_rise_of_the_house_is_obeyed_at_once_and_its_fall_after_15_s() {
    let mut site = Site::charging(metered(32, 2), 0);
    site.live(1, 8000);
    assert_eq!(site.all(), [12_000, 12_000]);
    site.live(15, 0);
    assert_eq!(site.all(), [12_000, 12_000]);
    site.live(1, 0);
    assert_eq!(site.all(), [16_000, 16_000]);
}

#[test]
fn a_small_raise_waits_a_minute_and_a_small_lowering_does_not() {
    for (device, small, large) in [(Device::Modbus, 400, 500), (Device::Ocpp, 900, 1000)] {
        let mut plan = metered(32, 1);
        plan.evses[0].device = device;
        let mut site = Site::charging(plan, 20_000);
        site.live(60, 20_000);
        assert_eq!(site.all(), [12_000]);
        site.live(20, 20_000 - large);
        assert_eq!(site.all(), [12_000 + large]);
        site.live(1, 20_000);
        assert_eq!(site.all(), [12_000]);
        site.live(75, 20_000 - small);
        assert_eq!(site.all(), [12_000]);
        site.live(2, 20_000 - small);
        assert_eq!(site.all(), [12_000 + small]);
    }
}

#[test]
fn what_many_lack_a_little_of_goes_to_some_of_them_at_once() {
    let shares = |evses: usize, freed: i32| {
        let mut plan = metered(63, evses);
        for evse in &mut plan.evses {
            evse.device = Device::Ocpp;
        }
        let mut site = Site::charging(plan, 31_000);
        site.live(60, 31_000);
        let before = site.all();
        site.live(20, 31_000 - freed);
        let after = site.all();
        let more = after
            .iter()
            .zip(before)
            .map(|(after, before)| after - before);
        more.collect::<Vec<i32>>()
    };
    assert_eq!(shares(4, 2800), [1000, 1000, 0, 0], "0.7 A for each");
    assert_eq!(shares(4, 900), [0; 4], "not enough for one");
    assert_eq!(shares(3, 2400), [0; 3], "few wait for their own");
}

#[test]
fn a_late_meter_raises_nobody_and_lowers_nobody() {
    let mut site = Site::charging(metered(32, 2), 8000);
    site.report(1, &Report::Demand(Demand::None));
    site.silence(3);
    let before = site.offered(0);
    site.silence(11);
    assert_eq!(site.offered(0), before);
    site.report(1, &Report::Demand(Demand::Charging));
    assert_eq!(site.offered(1), 0);
    let circuit = "house".into();
    assert_eq!(site.reason(1), Reason::NoReading { circuit });
}

#[test]
fn a_stale_meter_leaves_the_failsafe_current_from_one_moment_to_the_next() {
    for (failsafe, offers) in [(0, [0, 0]), (14, [7000, 7000])] {
        let mut plan = metered(32, 2);
        plan.circuits[0].failsafe = MilliAmps::from_amps(failsafe);
        let mut site = Site::charging(plan, 4000);
        site.silence(15);
        assert_eq!(site.all(), [14_000, 14_000]);
        assert!(!site.circuit(0).failsafe);
        let stale = site.controller.poll_timeout().unwrap();
        assert!(stale <= site.now + Duration::from_millis(1));
        site.now = stale;
        site.controller.handle_timeout(at(stale));
        site.drain();
        assert_eq!(site.all(), offers);
        let circuit = "house".into();
        assert_eq!(site.reason(0), Reason::Failsafe { circuit });
        let view = site.circuit(0);
        assert!(view.failsafe && view.meter == MeterState::Stale && view.house.is_none());
    }
}

#[test]
fn a_stale_meter_is_believed_again_after_three_readings() {
    let mut site = Site::charging(metered(32, 2), 4000);
    site.silence(20);
    assert_eq!(site.all(), [0, 0]);
    site.live(2, 4000);
    assert_eq!(site.all(), [0, 0]);
    site.live(60, 4000);
    assert_eq!(site.all(), [14_000, 14_000]);
}

#[test]
fn before_the_first_reading_nothing_is_raised_and_running_cars_keep_what_they_had_for_15_s() {
    let remembered = BTreeMap::from([("e0".into(), Limit::Current(MilliAmps(10_000)))]);
    let mut site = Site::remembering(metered(32, 2), &remembered);
    site.report(0, &Report::Demand(Demand::Charging));
    site.report(1, &Report::Demand(Demand::Charging));
    site.silence(15);
    assert_eq!(site.offered(1), 0);
    assert_eq!(site.circuit(0).meter, MeterState::Stale);
    site.silence(1);
    assert_eq!(site.all(), [0, 0]);
}

#[test]
fn cars_that_run_when_we_start_are_not_taken_for_a_house() {
    let remembered = Limit::Current(MilliAmps(16_000));
    let remembered = ["e0", "e1"].map(|name| (name.into(), remembered));
    let mut site = Site::unseen(metered(40, 2), &BTreeMap::from(remembered));
    site.sample([40_000; 3]);
    for evse in 0..2 {
        site.report(evse, &Report::Demand(Demand::Charging));
        site.sample([40_000; 3]);
        site.report(evse, &Report::Online(true));
        site.sample([40_000; 3]);
    }
    site.live(5, 8000);
    assert_eq!(site.all(), [16_000, 16_000]);
}

#[test]
fn what_cannot_be_true_is_no_reading_and_an_unknown_meter_concerns_nobody() {
    let mut site = Site::charging(metered(32, 2), 4000);
    for absurd in [i32::MIN, i32::MAX, 65_535_000, -65_535_000] {
        for phase in 0..3 {
            let mut current = [4000; 3];
            current[phase] = absurd;
            assert_eq!(site.sample(current), []);
        }
    }
    let unknown = MeterName::from("nobody's");
    let current = PerPhase::all(MilliAmps(60_000));
    let at = site.now();
    site.controller.handle_sample(at, &unknown, current, None);
    assert_eq!(site.drain(), []);
    assert_eq!(site.controller.meter(site.now, &unknown), None);
    for _ in 0..16 {
        site.tick();
        site.sample([i32::MAX; 3]);
    }
    assert_eq!(site.all(), [0, 0], "no reading for 16 s");
    let at = site.now();
    let grid = MeterName::from("grid");
    for watts in [i32::MIN, i32::MAX] {
        let current = PerPhase::all(MilliAmps(-640_000));
        site.controller
            .handle_sample(at, &grid, current, Some(Watts(watts)));
        site.drain();
    }
}

#[test]
fn a_meter_is_shown_with_its_age() {
    let mut plan = metered(32, 1);
    plan.meters.push(MeterPlan {
        name: "garage".into(),
        poll: seconds(1),
    });
    let mut site = Site::new(plan);
    let view = |site: &Site, name: &str| site.controller.meter(site.now, &name.into()).unwrap();
    assert_eq!(view(&site, "garage").state, MeterState::Stale);
    assert_eq!(view(&site, "garage").age, None);
    let current = PerPhase([1000, -2000, 3000].map(MilliAmps));
    let (at, garage) = (site.now(), MeterName::from("garage"));
    site.controller
        .handle_sample(at, &garage, current, Some(Watts(460)));
    site.tick();
    let shown = view(&site, "garage");
    assert_eq!(shown.state, MeterState::Fresh);
    assert_eq!(shown.age, Some(seconds(1)));
    assert_eq!(shown.current, Some(current));
    assert_eq!(shown.power, Some(Watts(460)));
    site.silence(20);
    assert_eq!(view(&site, "garage").state, MeterState::Stale);
}

/// A garage with its own meter below a metered house.
fn nested() -> LoadPlan {
    let mut plan = metered(40, 2);
    plan.circuits.push(CircuitPlan {
        name: "garage".into(),
        parent: Some("house".into()),
        max_current: MilliAmps::from_amps(20),
        meter: Some("garage".into()),
        ..plan.circuits[0].clone()
    });
    plan.evses[1].circuit = "garage".into();
    plan
}

#[test]
fn a_house_inside_another_is_counted_once() {
    let mut site = Site::new(nested());
    let garage = MeterName::from("garage");
    site.sample([20_000; 3]);
    for evse in 0..2 {
        site.report(evse, &Report::Demand(Demand::Charging));
    }
    for _ in 0..60 {
        site.tick();
        site.obey();
        // 8 A in the garage, 12 A elsewhere.
        let cars = site.all();
        let inner = PerPhase::all(MilliAmps(8000 + cars[1]));
        let at = site.now();
        site.controller.handle_sample(at, &garage, inner, None);
        site.sample([20_000 + cars[0] + cars[1]; 3]);
        site.obey();
    }
    assert_eq!(site.all(), [10_000, 10_000]);
    let house = |index| site.circuit(index).house.unwrap().0[0].0;
    assert_eq!((house(0), house(1)), (20_000, 8000));
    // Only the garage is stale: 0 A there, and the other one may have the rest.
    for _ in 0..60 {
        site.tick();
        site.obey();
        let cars = site.all();
        site.sample([20_000 + cars[0] + cars[1]; 3]);
    }
    assert_eq!(site.all(), [16_000, 0]);
    assert!(site.circuit(1).failsafe && !site.circuit(0).failsafe);
}

#[test]
fn max_power_covers_the_house() {
    let mut plan = metered(63, 1);
    plan.circuits[0].max_power = Some(Watts(230 * 48));
    let mut site = Site::new(plan);
    site.sample([12_000, 0, 0]);
    site.report(0, &Report::Demand(Demand::Charging));
    for _ in 0..60 {
        site.tick();
        site.obey();
        let car = site.all()[0];
        site.sample([12_000 + car, car, car]);
    }
    assert_eq!(site.all(), [12_000]);
    let circuit = "house".into();
    assert_eq!(site.reason(0), Reason::Power { circuit });
    let grid = MeterName::from("grid");
    let (at, current) = (site.now(), PerPhase::all(MilliAmps(12_000)));
    let power = Some(Watts(230 * 54));
    site.controller.handle_sample(at, &grid, current, power);
    site.drain();
    assert_eq!(site.all(), [10_000], "the meter's own power counts");
}

#[test]
fn the_house_counts_in_the_asymmetry_only_if_the_plan_says_so() {
    for (includes, offers) in [(false, 16_000), (true, 12_000)] {
        let mut plan = metered(63, 1);
        plan.circuits[0].max_asymmetry = Some(MilliAmps::from_amps(20));
        plan.asymmetry_includes_house = includes;
        plan.evses[0].phases = 1;
        let mut site = Site::new(plan);
        site.sample([8000, 3000, 0]);
        site.report(0, &Report::Demand(Demand::Charging));
        for _ in 0..60 {
            site.tick();
            site.obey();
            site.sample([8000 + site.all()[0], 3000, 0]);
        }
        assert_eq!(site.all(), [offers]);
    }
}

#[test]
fn a_wallbox_that_never_measures_is_taken_to_draw_what_it_may() {
    let mut site = Site::new(metered(32, 1));
    site.sample([10_000; 3]);
    site.report(0, &Report::Demand(Demand::Charging));
    for _ in 0..120 {
        site.tick();
        let offer = site.offers.values().next().unwrap().clone();
        site.report(0, &Report::Took(offer.number));
        site.sample([10_000 + milliamps(offer.limit); 3]);
    }
    assert_eq!(site.all(), [16_000]);
    // What it takes less than it may looks like a smaller house, never like a negative one.
    for _ in 0..60 {
        site.tick();
        site.sample([10_000; 3]);
    }
    assert_eq!(site.all(), [16_000]);
}

#[test]
fn a_car_that_wakes_between_two_measurements_is_not_taken_for_a_house() {
    let mut site = Site::charging(metered(20, 2), 0);
    assert_eq!(site.all(), [10_000, 10_000]);
    for _ in 0..10 {
        site.tick();
        site.draws(0, 0);
        site.draws(1, 10_000);
        site.sample([10_000; 3]);
    }
    site.tick();
    assert_eq!(site.sample([20_000; 3]), []);
}

#[test]
fn an_observer_sees_the_house_and_offers_nothing() {
    let mut plan = metered(32, 1);
    plan.observe = true;
    let mut site = Site::new(plan);
    site.report(0, &Report::Demand(Demand::Charging));
    site.draws(0, 10_000);
    for _ in 0..20 {
        site.tick();
        site.draws(0, 10_000);
        assert_eq!(site.sample([60_000; 3]), []);
    }
    let view = site.circuit(0);
    assert_eq!(view.meter, MeterState::Fresh);
    assert_eq!(view.house, Some(PerPhase::all(MilliAmps(50_000))));
    site.silence(20);
    assert!(site.circuit(0).failsafe && site.offers.is_empty());
}

#[test]
fn a_hot_fuse_bears_less_until_it_has_cooled() {
    let mut plan = metered(32, 2);
    plan.evses[1].max = MilliAmps::from_amps(7);
    let mut site = Site::charging(plan, 0);
    for _ in 0..600 {
        site.tick();
        site.sample([48_000; 3]);
        site.obey();
    }
    assert_eq!(site.all(), [0, 0]);
    site.live(100, 0);
    assert_eq!(
        site.all(),
        [9000, 7000],
        "32 A less the 16 A of the overload"
    );
    site.live(400, 0);
    assert_eq!(site.all(), [16_000, 7000]);
}

#[test]
fn who_falls_back_by_itself_frees_what_it_was_allowed_when_it_has() {
    let mut plan = metered(22, 2);
    for evse in &mut plan.evses {
        evse.failsafe = MilliAmps::from_amps(6);
    }
    let mut site = Site::charging(plan, 0);
    assert_eq!(site.all(), [11_000, 11_000]);
    site.report(0, &Report::FallsBack(Some(seconds(180))));
    site.report(0, &Report::Online(false));
    let gone = site.names[0].clone();
    let last = site.offers.remove(&gone).unwrap();
    for second in 0..240 {
        site.tick();
        let away = if second < 179 {
            milliamps(last.limit)
        } else {
            6000
        };
        let other = site.offered(1);
        let number = site.offers[&site.names[1]].number;
        site.report(1, &Report::Took(number));
        site.draws(1, other);
        assert!(second >= 179 || other == 11_000, "{second}: {other}");
        site.sample([away + other; 3]);
    }
    assert_eq!(site.offered(1), 16_000);
}

/// A car that takes less than it may, behind a wallbox that says so once in ten seconds.
#[test]
fn what_a_car_leaves_unused_does_not_hide_a_house_that_takes_too_much() {
    const CAR: i32 = 10_000;
    let mut site = Site::new(metered(20, 1));
    let mut second = 0;
    let mut live = |site: &mut Site, house: i32| {
        site.tick();
        second += 1;
        let drawn = site.all()[0].min(CAR);
        if let Some(offer) = site.offers.get(&site.names[0]) {
            let number = offer.number;
            site.report(0, &Report::Took(number));
        }
        if second % 10 == 0 {
            site.draws(0, drawn);
        }
        site.sample([house + drawn; 3]);
        house + drawn
    };
    site.report(0, &Report::Demand(Demand::Charging));
    for _ in 0..92 {
        live(&mut site, 4000);
    }
    assert_eq!(site.all(), [16_000]);
    live(&mut site, 12_000);
    assert_eq!(
        site.all(),
        [8000],
        "it drew 10 A: 16 A of them would hide 6 A"
    );
    for _ in 0..30 {
        assert!(live(&mut site, 12_000) <= 20_000);
        assert_eq!(site.all(), [8000]);
    }
}
