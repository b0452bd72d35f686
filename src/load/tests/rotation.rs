//! Sharing over time what is too little to share at once.

use std::time::Duration;

use super::world::{Device, World, plan, seconds};
use crate::clock::Random;
use crate::evse::Demand;
use crate::units::MilliAmps;

const PERIOD: Duration = Duration::from_mins(15);

#[test]
fn twenty_cars_where_five_can_charge_have_their_turn_all_day() {
    let devices = vec![
        Device {
            samples: Some(seconds(60)),
            ..Device::new()
        };
        20
    ];
    let mut world = World::new(1, plan(32, 20), devices);
    for device in 0..20 {
        let later = world.below(40);
        world.wait(later);
        world.demand(device, Demand::Charging);
    }
    world.wait(24 * 3600);
    let wait = world.devices.iter().map(|d| d.longest_wait).max().unwrap();
    let energy = || world.devices.iter().map(|device| device.energy_mas);
    let (most, least) = (energy().max().unwrap(), energy().min().unwrap());
    println!(
        "longest wait {} s, energy max/min {}/{}",
        wait.as_secs(),
        most,
        least
    );
    assert!(wait <= Duration::from_mins(75), "{wait:?}");
    assert!(4 * most <= 5 * least, "{most} {least}");
    // What the fuse could have carried in a day, on three phases.
    let given = energy().sum::<i64>();
    assert!(given >= 32_000 * 3 * 86_400 / 100 * 97, "{given}");
}

#[test]
fn i11_whoever_waits_gets_its_turn() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let slots = 1 + random.below(4);
        let cars = slots + 1 + random.below(9);
        let count = usize::try_from(cars).unwrap();
        // A car that draws little in its slots attains little.
        let mut device = || Device {
            appetite: 6000 + i32::try_from(random.below(10_000)).unwrap(),
            phases: [1, 3, 3][usize::try_from(random.below(3)).unwrap()],
            samples: (random.below(3) > 0).then_some(seconds(60)),
            ..Device::new()
        };
        let devices = (0..count).map(|_| device()).collect();
        let amps = 6 * slots + random.below(6);
        let mut plan = plan(i32::try_from(amps).unwrap(), count);
        for evse in &mut plan.evses {
            evse.weight = 1 + i32::try_from(random.below(3)).unwrap();
        }
        assert_eq!(plan.rotation_period, PERIOD);
        let mut world = World::new(seed, plan, devices);
        for device in 0..count {
            let later = world.below(300);
            world.wait(later);
            world.demand(device, Demand::Charging);
        }
        let bound = PERIOD * u32::try_from(cars.div_ceil(slots) + 2).unwrap();
        world.run(bound * 4, |_| {});
        for (index, device) in world.devices.iter().enumerate() {
            let wait = device.longest_wait;
            assert!(
                wait <= bound,
                "seed {seed}, {index} of {cars} on {slots}: {wait:?}"
            );
        }
    }
}

#[test]
fn i14_a_signal_that_swings_around_one_minimum_starts_nobody_more_than_six_times_an_hour() {
    for cars in [1, 2] {
        let mut world = World::obedient(plan(32, cars));
        for device in 0..cars {
            world.demand(device, Demand::Charging);
        }
        world.wait(60);
        let before: Vec<u32> = world.devices.iter().map(|device| device.starts).collect();
        let minima = i32::try_from(cars).unwrap() * 4140;
        for round in 0..360 {
            world.signal(0, Some(minima + if round % 2 == 0 { -50 } else { 50 }));
            world.wait(10);
        }
        for (device, before) in world.devices.iter().zip(before) {
            let starts = device.starts - before;
            assert!((1..=6).contains(&starts), "{cars}: {starts}");
        }
        world.signal(0, None);
        world.wait(1800);
        assert!(world.devices.iter().all(|device| device.limit == 16_000));
    }
}

#[test]
fn who_waits_is_told_its_place_and_about_how_long() {
    let mut world = World::obedient(plan(12, 6));
    for device in 0..6 {
        world.demand(device, Demand::Charging);
    }
    world.wait(120);
    let mut reasons: Vec<String> = (0..6).map(|device| world.reason(device)).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "limit: circuit house, L1",
            "limit: circuit house, L1",
            "waits in the queue, position 1, about 13 min",
            "waits in the queue, position 2, about 14 min",
            "waits in the queue, position 3, about 28 min",
            "waits in the queue, position 4, about 29 min",
        ]
    );
}

#[test]
fn after_its_turn_a_car_stays_away_for_a_minute_also_if_another_leaves() {
    let mut world = World::obedient(plan(7, 2));
    world.demand(0, Demand::Charging);
    world.wait(10);
    world.demand(1, Demand::Charging);
    world.wait(880);
    while world.offered(0) > 0 {
        world.wait(1);
    }
    world.wait(10);
    world.demand(1, Demand::None);
    world.wait(20);
    assert_eq!(world.offered(0), 0, "{}", world.reason(0));
    world.wait(60);
    assert_eq!(world.offered(0), 7000);
}

#[test]
fn a_pause_by_the_backend_ends_at_once_however_often() {
    let mut world = World::obedient(plan(16, 1));
    world.demand(0, Demand::Charging);
    for _ in 0..20 {
        world.wait(30);
        assert_eq!(world.offered(0), 16_000);
        world.ceiling(0, Some(MilliAmps::ZERO));
        world.wait(30);
        assert_eq!(world.offered(0), 0);
        world.ceiling(0, None);
    }
}
