//! Houses that move, in virtual time.

use std::time::Duration;

use super::world::{Device, House, World, metered, seconds};
use crate::clock::{Mono, Random};
use crate::evse::Demand;
use crate::load;
use crate::units::MilliAmps;

/// A device whose meter is read every second.
fn modbus() -> Device {
    Device {
        samples: Some(seconds(1)),
        lag: 2,
        ..Device::new()
    }
}

fn charging(plan: load::LoadPlan, device: &Device, house: i32) -> World {
    let devices = vec![device.clone(); plan.evses.len()];
    charging_at(plan, devices, house)
}

fn charging_at(plan: load::LoadPlan, devices: Vec<Device>, house: i32) -> World {
    let mut world = World::new(1, plan, devices);
    world.house = House::new([house; 3]);
    world.wait(10);
    for device in 0..world.devices.len() {
        world.demand(device, Demand::Charging);
    }
    world.wait(120);
    world
}

fn offers(world: &World) -> Vec<i32> {
    let devices = 0..world.devices.len();
    devices.map(|device| world.offered(device)).collect()
}

#[test]
fn as_few_cars_as_needed_are_paused_those_with_the_lowest_priority_and_the_most_energy_first() {
    let mut plan = metered(32, 3);
    plan.priority_mode = load::PriorityMode::MinFirst;
    plan.evses[1].priority = 0;
    let mut world = charging(plan, &modbus(), 8000);
    world.wait(300);
    assert_eq!(offers(&world), [9000, 6000, 9000]);
    world.devices[0].energy_mas += 1_000_000_000_000;
    world.wait(5);
    world.house.load = [18_000; 3];
    world.wait(10);
    assert_eq!(offers(&world), [7000, 0, 7000]);
    world.house.load = [24_000; 3];
    world.wait(2);
    assert_eq!(offers(&world), [0, 0, 7000]);
}

#[test]
fn a_car_that_has_just_begun_is_paused_after_those_that_charge_for_five_minutes() {
    let mut world = charging(metered(32, 2), &modbus(), 8000);
    world.wait(300);
    world.demand(1, Demand::None);
    world.wait(10);
    world.demand(1, Demand::Charging);
    world.devices[1].energy_mas += 1_000_000_000_000;
    world.wait(30);
    world.house.load = [24_000; 3];
    world.wait(2);
    assert_eq!(offers(&world), [0, 8000]);
}

#[test]
fn a_car_keeps_more_than_its_share_until_another_can_take_it_but_never_more_than_its_own_limit() {
    let begins = || {
        let mut world = charging(metered(32, 2), &modbus(), 8000);
        world.demand(1, Demand::None);
        world.wait(120);
        assert_eq!(offers(&world), [16_000, 0]);
        world.demand(1, Demand::Charging);
        world.wait(3);
        assert_eq!(
            offers(&world),
            [16_000, 6000],
            "the other one is raised later"
        );
        world
    };
    let mut world = begins();
    world.wait(60);
    assert_eq!(offers(&world), [12_000, 12_000]);
    let mut world = begins();
    world.ceiling(0, Some(MilliAmps(13_000)));
    world.wait(1);
    assert_eq!(offers(&world), [12_000, 6000]);
}

/// Two cars on 24 A, of which the second was allowed so much until now.
fn second_was_allowed(amps: i32) -> World {
    let mut world = charging(metered(32, 2), &modbus(), 8000);
    world.ceiling(1, Some(MilliAmps(amps)));
    world.wait(120);
    assert_eq!(offers(&world), [(24_000 - amps).min(16_000), amps]);
    world.ceiling(1, None);
    world
}

#[test]
fn below_a_meter_a_car_that_lacks_less_than_4_a_of_its_share_waits_for_two_minutes() {
    let mut world = second_was_allowed(8500);
    world.wait(118);
    assert_eq!(offers(&world), [15_500, 8500]);
    world.wait(15);
    assert_eq!(offers(&world), [12_000, 12_000]);
    let mut world = second_was_allowed(8000);
    world.wait(15);
    assert_eq!(offers(&world), [12_000, 12_000], "4 A are too much");
    // A wallbox that loses its link again and again gets its share, too.
    let mut world = second_was_allowed(8500);
    world.wait(90);
    world.lose(1, 10, false);
    world.wait(60);
    assert_eq!(offers(&world), [12_000, 12_000]);
}

#[test]
fn a_share_that_lets_4_a_more_flow_in_all_waits_for_nobody() {
    // The fourth car takes one phase or three.
    for (phases, fuse, after) in [(3, 32, 6000), (1, 28, 7000), (1, 26, 6000)] {
        let mut plan = metered(fuse, 4);
        plan.evses[3].phases = phases;
        let mut world = charging(plan, &modbus(), 0);
        for device in 0..3 {
            world.ceiling(device, Some(MilliAmps(6000)));
        }
        world.wait(120);
        let least = fuse * 1000 - 18_000;
        assert_eq!(offers(&world), [6000, 6000, 6000, least]);
        for device in 0..3 {
            world.ceiling(device, None);
        }
        world.wait(20);
        assert_eq!(world.offered(0), after, "{phases} phases on {fuse} A");
        world.wait(120);
        let share = fuse * 250;
        assert_eq!(offers(&world), [share; 4]);
    }
}

#[test]
fn what_a_share_lets_flow_is_counted_over_the_phases_that_cars_use() {
    // Four wallboxes with three phases; the cars of the first three, and of the last one.
    for (phases, of_last, after) in [(3, 1, 7000), (1, 1, 6000), (1, 3, 6000)] {
        let car = |phases| Device { phases, ..modbus() };
        let mut devices = vec![car(phases); 3];
        devices.push(car(of_last));
        let mut world = charging_at(metered(28, 4), devices, 0);
        for device in 0..3 {
            world.ceiling(device, Some(MilliAmps(6000)));
        }
        world.wait(240);
        assert_eq!(offers(&world), [6000, 6000, 6000, 10_000]);
        for device in 0..3 {
            world.ceiling(device, None);
        }
        world.wait(20);
        assert_eq!(world.offered(0), after, "{phases} and {of_last} phases");
        world.wait(120);
        assert_eq!(offers(&world), [7000; 4]);
    }
}

#[test]
fn what_others_give_up_for_one_is_not_taken_by_another_that_waits() {
    // The third car is slow to give up its part.
    let mut devices = vec![modbus(); 5];
    devices[2].lag = 6;
    let mut world = charging_at(metered(60, 5), devices, 0);
    let held = [(0, 9700), (4, 6500)];
    for (device, amps) in held {
        world.ceiling(device, Some(MilliAmps(amps)));
    }
    world.wait(240);
    assert_eq!(offers(&world), [9700, 14_600, 14_600, 14_600, 6500]);
    for (device, _) in held {
        world.ceiling(device, None);
    }
    world.run(seconds(9), |world| {
        assert_eq!(world.offered(0), 9700, "at {:?}", world.now);
    });
    assert_eq!(offers(&world), [9700, 12_000, 12_000, 14_600, 10_500]);
    assert_eq!(
        world.reason(0),
        "lacks little of its share; others give it in about 2 min"
    );
    world.wait(120);
    assert_eq!(offers(&world), [12_000; 5]);
}

#[test]
fn who_has_a_higher_priority_waits_for_nobody() {
    for (priority, after) in [(1, [15_500, 8500]), (2, [14_000, 10_000])] {
        let mut plan = metered(32, 2);
        plan.priority_mode = load::PriorityMode::MinFirst;
        plan.evses[1].priority = priority;
        plan.evses[1].max = MilliAmps(10_000);
        let mut world = charging(plan, &modbus(), 8000);
        world.ceiling(1, Some(MilliAmps(8500)));
        world.wait(120);
        world.ceiling(1, None);
        world.wait(15);
        assert_eq!(offers(&world), after);
    }
}

#[test]
fn a_car_with_one_phase_at_a_wallbox_with_three_begins_where_there_is_just_room_for_it() {
    for samples in [1, 10] {
        let one = Device {
            phases: 1,
            samples: Some(seconds(samples)),
            ..modbus()
        };
        let mut world = charging(metered(16, 1), &one, 6000);
        assert_eq!(offers(&world), [10_000]);
        assert_eq!(world.devices[0].starts, 1);
        // It begins again after a pause, too.
        world.ceiling(0, Some(MilliAmps(0)));
        world.wait(60);
        world.ceiling(0, None);
        world.wait(60);
        assert_eq!(offers(&world), [10_000]);
        assert_eq!(world.devices[0].starts, 2);
    }
}

#[test]
fn a_car_hides_nothing_on_phases_that_it_does_not_use() {
    let one = Device {
        phases: 1,
        samples: Some(seconds(10)),
        ..modbus()
    };
    let mut world = charging(metered(32, 1), &one, 0);
    world.ceiling(0, Some(MilliAmps(6000)));
    world.wait(60);
    world.ceiling(0, None);
    let mut rose: Option<Mono> = None;
    let mut least = i32::MAX;
    world.run(seconds(60), |world| {
        // It may take more from now on, and has not been measured since.
        if world.offered(0) > 6000 && rose.is_none() {
            rose = Some(world.now);
            world.house.load[1] = 2500;
        }
        if rose.is_some_and(|rose| world.now.since(rose) > seconds(2)) {
            let house = world.controller.circuits().next().unwrap().house;
            least = least.min(house.unwrap().0[1].0);
        }
    });
    assert_eq!(least, 2500);
}

#[test]
fn a_car_that_charges_with_one_phase_has_not_attained_less() {
    let one = Device {
        phases: 1,
        ..modbus()
    };
    let mut world = charging_at(metered(40, 2), vec![modbus(), one], 8000);
    world.ceiling(0, Some(MilliAmps(8000)));
    world.wait(1200);
    assert_eq!(offers(&world), [8000, 16_000]);
    let [three, one] = [0, 1].map(|device| world.devices[device].energy_mas);
    assert!(three > one, "{three} {one}");
    world.house.load = [30_000; 3];
    world.wait(2);
    assert_eq!(offers(&world), [8000, 0], "it had more of its phase");
}

#[test]
fn whom_the_house_paused_starts_again_when_an_ampere_more_than_its_minimum_was_free_for_a_minute() {
    let mut world = charging(metered(32, 1), &modbus(), 8000);
    world.house.load = [27_000; 3];
    world.wait(5);
    assert_eq!(offers(&world), [0]);
    world.house.load = [25_100; 3];
    world.wait(600);
    assert_eq!(offers(&world), [0], "6.9 A are not enough");
    assert_eq!(world.reason(0), "limit: circuit house, L1");
    world.house.load = [25_000; 3];
    world.wait(15 + 60 - 2);
    assert_eq!(offers(&world), [0]);
    assert_eq!(world.reason(0), "rests between starts, about 1 min");
    world.wait(4);
    assert_eq!(offers(&world), [6000]);
}

#[test]
fn who_comes_back_in_its_turn_takes_the_place_of_one_and_not_of_two() {
    let mut world = charging(metered(32, 4), &modbus(), 4000);
    world.wait(300);
    world.house.load = [13_000; 3];
    world.wait(120);
    let running = |world: &World| -> Vec<bool> { offers(world).iter().map(|at| *at > 0).collect() };
    let before = running(&world);
    assert_eq!(before.iter().filter(|runs| **runs).count(), 3);
    // 7 A and twice 6 A fit, but beside a car of 7 A there would be no place for a third one.
    world.house.load = [13_500; 3];
    let mut fewest = 3;
    world.run(seconds(1200), |world| {
        let runs = running(world).iter().filter(|runs| **runs).count();
        fewest = fewest.min(runs);
    });
    let after = running(&world);
    assert_ne!(after, before, "it is the turn of another one");
    assert_eq!(after.iter().filter(|runs| **runs).count(), 3);
    assert_eq!(fewest, 2, "while they change places");
}

#[test]
fn cars_that_wait_to_begin_get_room_one_after_the_other() {
    let mut world = charging(metered(32, 4), &modbus(), 4000);
    world.wait(300);
    world.house.load = [17_000; 3];
    world.wait(60);
    let runs: Vec<usize> = (0..4).filter(|i| world.offered(*i) > 0).collect();
    assert_eq!(runs.len(), 2);
    world.house.load = [4000; 3];
    let mut begun = [0; 4];
    let mut at_first = None;
    world.run(seconds(120), |world| {
        let paused = offers(world).into_iter().enumerate();
        let begins = paused.filter(|(index, offer)| !runs.contains(index) && *offer > 0);
        begins.for_each(|(index, _)| begun[index] += 1);
        if begun.iter().filter(|since| **since > 0).count() == 1 {
            let most = runs.iter().map(|index| world.offered(*index)).max();
            at_first.get_or_insert(most.unwrap_or(0));
        }
    });
    assert_eq!(
        at_first,
        Some(14_000),
        "one of them has not given up anything yet"
    );
    assert_eq!(offers(&world), [7000; 4]);
}

#[test]
fn i14_a_house_that_swings_around_one_minimum_starts_nobody_more_than_six_times_an_hour() {
    for around in [26_000, 25_000] {
        let mut world = charging(metered(32, 1), &modbus(), 8000);
        let before = world.devices[0].starts;
        for round in 0..360 {
            let swing = if round % 2 == 0 { -200 } else { 200 };
            world.house.load = [around + swing; 3];
            world.wait(10);
        }
        let starts = world.devices[0].starts - before;
        assert!(starts <= 6, "{around}: {starts}");
        world.house.load = [0; 3];
        world.wait(1800);
        assert_eq!(offers(&world), [16_000]);
    }
}

#[test]
fn i14_a_house_with_a_kettle_starts_nobody_more_than_six_times_an_hour() {
    for every in [100, 150, 240] {
        let mut world = charging(metered(32, 2), &modbus(), 8000);
        let before: Vec<u32> = world.devices.iter().map(|device| device.starts).collect();
        for round in 0..7200 / every {
            world.house.load = [if round % 2 == 0 { 28_000 } else { 8000 }; 3];
            world.wait(every);
            for (device, before) in world.devices.iter().zip(&before) {
                let hours = u32::try_from(round * every / 3600 + 1).unwrap();
                assert!(device.starts - before <= 6 * hours, "{every}");
            }
        }
    }
}

#[test]
fn i11_whoever_waits_below_a_meter_gets_its_turn() {
    for seed in 0..6 {
        let mut random = Random::new(seed);
        let slots = 1 + random.below(2);
        let cars = slots + 1 + random.below(4);
        let amps = i32::try_from(6 * slots + 8).unwrap();
        let count = usize::try_from(cars).unwrap();
        let mut plan = metered(amps, count);
        plan.rotation_period = Duration::from_mins(15);
        let mut world = charging(plan, &modbus(), 2000);
        for device in &mut world.devices {
            device.longest_wait = Duration::ZERO;
        }
        let period = world.plan.rotation_period;
        let bound = period * u32::try_from(cars.div_ceil(slots) + 2).unwrap();
        let end = world.now + bound * 2;
        while world.now < end {
            let load = 1000 + i32::try_from(world.below(2500)).unwrap();
            world.house.load = [load; 3];
            let pause = 5 + world.below(60);
            world.wait(pause);
        }
        for device in &world.devices {
            assert!(
                device.longest_wait <= bound,
                "seed {seed}: {:?}",
                device.longest_wait
            );
        }
    }
}

/// An hour of a house with cookers and kettles, 40 switchings, and cars that charge.
struct Hour {
    longest: Duration,
    /// Of each EVSE.
    offers: usize,
    /// Of what the house left, in percent.
    used: i64,
    starts: u32,
}

fn brutal_hour(seed: u64, device: &Device, ocpp: bool, lag: u64) -> Hour {
    let mut plan = metered(63, 10);
    plan.circuits[0].reserve = MilliAmps::from_amps(1);
    if ocpp {
        for evse in &mut plan.evses {
            evse.device = load::Device::Ocpp;
        }
    }
    let mut random = Random::new(seed);
    let mut world = World::new(seed, plan, vec![device.clone(); 10]);
    world.house.lag = lag;
    world.wait(10);
    for device in 0..10 {
        world.demand(device, Demand::Charging);
    }
    world.wait(300);
    let offers = world.offers;
    let energy = |world: &World| world.devices.iter().map(|d| d.energy_mas).sum::<i64>();
    let begun = energy(&world);
    let starts = |world: &World| world.devices.iter().map(|d| d.starts).max().unwrap();
    let started = starts(&world);
    let mut longest = Duration::ZERO;
    let mut left = 0;
    let mut over: Option<Mono> = None;
    let mut last = world.now;
    let end = world.now + seconds(3600);
    let mut next = world.now;
    while world.now < end {
        if world.now >= next {
            let load = i32::try_from(2000 + random.below(28_000)).unwrap();
            let uneven = i32::try_from(random.below(10_000)).unwrap();
            world.house.load = [load, (load - uneven).max(0), load / 2];
            next = world.now + seconds(30 + random.below(120));
        }
        world.run(Duration::from_millis(250), |_| {});
        // What is above the fuse itself, not the reserve.
        let is_over = world.excess() > 0;
        let most = world.house.load.into_iter().max().unwrap();
        left += i64::from(62_000 - most) * 3 / 4;
        over = is_over.then(|| over.unwrap_or(last));
        longest = longest.max(over.map_or(Duration::ZERO, |since| world.now.since(since)));
        last = world.now;
    }
    Hour {
        longest,
        offers: (world.offers - offers) / 10,
        used: (energy(&world) - begun) * 100 / left,
        starts: starts(&world) - started,
    }
}

#[test]
fn a_brutal_house_overloads_the_fuse_for_seconds_and_costs_one_write_a_minute() {
    let ocpp = Device {
        lag: 3,
        ..Device::new()
    };
    for (name, device, is_ocpp, lag) in [
        ("modbus", modbus(), false, 0),
        ("modbus, meter lags", modbus(), false, 2000),
        ("ocpp", ocpp, true, 0),
    ] {
        let hour = brutal_hour(1, &device, is_ocpp, lag);
        println!(
            "{name}: longest overload {:?}, {} offers, {} % used, {} starts",
            hour.longest, hour.offers, hour.used, hour.starts
        );
        let bound = Duration::from_millis(lag) + seconds(8);
        assert!(hour.longest <= bound, "{name}: {:?}", hour.longest);
        assert!(hour.offers <= 60, "{name}: {} offers", hour.offers);
        assert!(hour.used >= 94, "{name}: {} %", hour.used);
        assert!(hour.starts <= 6, "{name}: {} starts", hour.starts);
    }
}

#[test]
fn i12_a_meter_that_falls_silent_leaves_no_more_than_the_failsafe_currents() {
    for seed in 0..20 {
        let mut random = Random::new(seed);
        let count = 1 + usize::try_from(random.below(5)).unwrap();
        let failsafe = i32::try_from(random.below(30_000)).unwrap();
        let mut plan = metered(40, count);
        plan.circuits[0].failsafe = MilliAmps(failsafe);
        let mut world = charging(plan, &modbus(), 4000);
        world.house.is_silent = true;
        world.wait(10 + random.below(10));
        world.run(seconds(600), |world| {
            let silent = world.controller.circuits().next().unwrap().failsafe;
            let sum: i32 = (0..count).map(|device| world.offered(device)).sum();
            assert!(!silent || sum <= failsafe, "seed {seed}: {sum}");
        });
        assert!(world.controller.circuits().next().unwrap().failsafe);
        world.house.is_silent = false;
        world.wait(1200);
        assert!(offers(&world).iter().all(|offer| *offer > 0), "seed {seed}");
    }
}

#[test]
fn what_many_cars_draw_a_little_too_much_is_not_above_the_fuse_for_good() {
    for samples in [seconds(1), seconds(10)] {
        let device = Device {
            excess: 450,
            samples: Some(samples),
            ..modbus()
        };
        let mut world = charging(metered(63, 4), &device, 8000);
        let mut over: Option<Mono> = None;
        let (mut most, mut last, mut total) = (0, world.now, seconds(0));
        let offers = world.offers;
        world.run(seconds(600), |world| {
            most = most.max(world.grid()[0]);
            if over.is_some() {
                total += world.now.since(last);
            }
            last = world.now;
            over = (world.excess() > 0).then(|| over.unwrap_or(world.now));
            let lasts = over.map_or(seconds(0), |since| world.now.since(since));
            assert!(lasts <= seconds(20), "{:?}: {}", world.now, world.excess());
        });
        assert!(most >= 62_000, "nothing is left unused: {most}");
        assert!(total <= seconds(60), "{total:?} in ten minutes");
        assert!(world.offers - offers <= 40, "it gives and takes");
    }
}

#[test]
fn a_cooker_with_a_thermostat_is_waited_for() {
    let mut world = charging(metered(32, 2), &modbus(), 4000);
    let mut cooks = |takes: [i32; 2]| {
        let [on, off] = takes;
        world.house.load = [on, 4000, 4000];
        world.wait(30);
        world.house.load = [off, 4000, 4000];
        world.wait(38);
        offers(&world)
    };
    let first = cooks([14_000, 4000]);
    assert_eq!(cooks([14_000, 4000]), [9000, 9000], "it has come back once");
    assert!(first > vec![9000, 9000], "{first:?}");
    world.wait(60);
    assert_eq!(offers(&world), [14_000, 14_000], "it is done");
}
