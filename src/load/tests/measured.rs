//! What cars make of their offers, and what becomes of it.

use super::world::{Device, Temper, World, plan, seconds};
use crate::evse::{Demand, Report};
use crate::units::MilliAmps;

fn charging(amps: i32, devices: Vec<Device>) -> World {
    let plan = plan(amps, devices.len());
    let mut world = World::new(1, plan, devices);
    world.wait(20);
    for device in 0..world.devices.len() {
        world.demand(device, Demand::Charging);
    }
    world
}

fn offers(world: &World) -> Vec<i32> {
    (0..world.devices.len())
        .map(|device| world.offered(device))
        .collect()
}

fn takes(appetite: i32) -> Device {
    Device {
        appetite,
        ..Device::new()
    }
}

#[test]
fn what_one_car_leaves_goes_to_the_other_and_comes_back_when_it_wants_more() {
    let mut world = charging(20, vec![takes(7200), takes(32_000)]);
    world.wait(15);
    assert_eq!(offers(&world), [10_000, 10_000]);
    world.wait(60);
    assert_eq!(offers(&world), [10_000, 10_000], "7.2 A and 2 A to spare");
    world.devices[0].appetite = 6300;
    world.wait(60);
    assert_eq!(offers(&world), [9000, 11_000]);
    assert_eq!(
        world.reason(0),
        "the car takes less; the rest goes to others"
    );
    world.devices[0].appetite = 32_000;
    world.wait(120);
    assert_eq!(offers(&world), [10_000, 10_000]);
}

#[test]
fn where_there_is_enough_nothing_is_taken_away() {
    let mut world = charging(32, vec![takes(7000), takes(7000)]);
    world.wait(30);
    let before = world.offers;
    world.wait(3600);
    assert_eq!(offers(&world), [16_000, 16_000]);
    assert_eq!(world.offers, before, "and nothing is written");
}

#[test]
fn without_meter_values_a_car_is_assumed_to_take_what_it_may() {
    let silent = Device {
        samples: None,
        ..takes(7000)
    };
    let mut world = charging(24, vec![silent, takes(32_000)]);
    world.wait(600);
    assert_eq!(offers(&world), [12_000, 12_000]);
}

#[test]
fn cars_that_follow_badly_settle_with_whole_and_with_tenths_of_amperes() {
    for (step, shortfall) in [
        (1000, 400),
        (1000, 1500),
        (100, 1500),
        (100, -400),
        (100, -800),
    ] {
        let car = Device {
            excess: -shortfall,
            ..takes(32_000)
        };
        let devices = vec![car.clone(), car, takes(9000)];
        let mut plan = plan(36, 3);
        for evse in &mut plan.evses {
            evse.step = MilliAmps(step);
        }
        let mut world = World::new(1, plan, devices);
        for device in 0..3 {
            world.demand(device, Demand::Charging);
        }
        world.wait(300);
        let before = world.offers;
        world.wait(3600);
        let written = world.offers - before;
        // A probe every five minutes moves all three of them up to three times.
        assert!(written <= 12 * 9, "{step} {shortfall}: {written}");
    }
}

#[test]
fn a_full_car_gives_its_place_to_who_waits_and_gets_another_chance() {
    let mut world = charging(11, vec![takes(0), takes(32_000)]);
    assert_eq!(world.plan.rotation_period, seconds(900));
    world.wait(400);
    assert_eq!(offers(&world), [0, 11_000], "not only after 15 minutes");
    world.wait(3900);
    assert!(world.devices[0].longest_wait <= seconds(3700));
}

#[test]
fn who_draws_more_than_allowed_is_booked_complained_of_paused_and_recovers() {
    let mut world = charging(20, vec![Device::new(), Device::new()]);
    world.wait(60);
    assert_eq!(offers(&world), [10_000, 10_000]);
    world.devices[0].temper = Temper::Stubborn;
    world.wait(25);
    assert_eq!(offers(&world), [10_000, 0], "16 A leave too little");
    let number = world.devices[0].last.as_ref().unwrap().number;
    assert_eq!(world.complaints.first(), Some(&(0, number)));
    world.wait(20);
    assert_eq!(offers(&world), [0, 0]);
    world.wait(30);
    let complaints = world.complaints.len();
    assert!((5..=7).contains(&complaints), "{complaints}");
    assert_eq!(
        world.reason(0),
        "draws more than it is allowed; booked at what it draws"
    );
    world.devices[0].temper = Temper::Obedient;
    world.devices[0].limit = 0;
    world.wait(60);
    assert_eq!(offers(&world), [10_000, 10_000]);
    let complaints = world.complaints.len();
    world.wait(600);
    assert_eq!(world.complaints.len(), complaints);
}

#[test]
fn a_wallbox_that_takes_limits_only_in_a_transaction_is_limited_in_it() {
    let mut world = World::obedient(plan(20, 2));
    world.devices[0].temper = Temper::Refuses;
    world.wait(40);
    assert_eq!(
        world.reason(0),
        "takes no limits; booked at what it can draw"
    );
    world.demand(1, Demand::Charging);
    world.wait(10);
    assert_eq!(offers(&world), [0, 0], "16 A are booked for the other one");
    world.devices[0].temper = Temper::Obedient;
    world.demand(0, Demand::Charging);
    world.wait(40);
    assert_eq!(offers(&world), [10_000, 10_000]);
    world.devices[0].temper = Temper::Refuses;
    world.demand(0, Demand::None);
    world.wait(10);
    assert_eq!(offers(&world)[1], 0);
}

#[test]
fn the_phases_in_use_are_shown_and_the_others_stay_booked() {
    let one_phase = Device {
        phases: 1,
        ..Device::new()
    };
    let mut world = charging(20, vec![one_phase, Device::new()]);
    world.wait(120);
    let view = world.controller.evse(&"e0".into()).unwrap();
    assert_eq!(view.phases, 1);
    assert_eq!(offers(&world), [10_000, 10_000]);
    world.demand(0, Demand::None);
    world.wait(1);
    assert_eq!(world.controller.evse(&"e0".into()).unwrap().phases, 3);
}

#[test]
fn a_limit_signal_holds_at_once_is_shown_and_ends_as_soon_as_it_is_lifted() {
    let mut world = charging(32, vec![Device::new(), Device::new()]);
    world.wait(20);
    world.signal(0, Some(4200));
    world.wait(5);
    assert_eq!(world.devices.iter().map(|d| d.limit).sum::<i32>(), 6000);
    let shown = world.controller.circuits().next().unwrap().signal;
    assert_eq!(shown.map(|watts| watts.0), Some(4200));
    let first = usize::from(world.offered(0) == 0);
    assert_eq!(world.reason(first), "limit signal of circuit house, 4200 W");
    world.signal(0, Some(4100));
    world.wait(5);
    assert_eq!(offers(&world), [0, 0]);
    assert_eq!(world.reason(1), "limit signal of circuit house, 4100 W");
    world.signal(0, None);
    world.wait(10);
    assert_eq!(offers(&world), [16_000, 16_000]);
    assert_eq!(world.controller.circuits().next().unwrap().signal, None);
}

#[test]
fn a_raise_by_probing_never_keeps_a_first_grant_waiting() {
    let mut world = charging(30, vec![takes(6500), takes(6500), Device::new()]);
    world.demand(2, Demand::None);
    for _ in 0..40 {
        world.wait(97);
        world.demand(2, Demand::Charging);
        world.wait(9);
        assert!(world.devices[2].limit >= 6000, "{:?}", offers(&world));
        world.demand(2, Demand::None);
    }
}

#[test]
fn a_reboot_books_the_failsafe_current_until_the_limit_is_taken_again() {
    let mut plan = plan(20, 2);
    for evse in &mut plan.evses {
        evse.failsafe = MilliAmps::from_amps(6);
    }
    let mut world = World::obedient(plan);
    world.wait(60);
    let booked = |world: &World| world.controller.evse(&"e0".into()).unwrap().booked;
    assert_eq!(booked(&world), MilliAmps::ZERO);
    world.report(0, &Report::Booted);
    assert_eq!(booked(&world), MilliAmps::from_amps(6));
    world.wait(10);
    assert_eq!(booked(&world), MilliAmps::ZERO);
}
