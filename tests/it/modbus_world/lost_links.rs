//! Power Brains that cannot be reached, or are not who they were.

use chargewarden::sim::{Car, PowerBrain, World, WorldPlan};
use chargewarden::units::{MilliAmps, Phase};

use super::lab::*;
use crate::server_sockets::Log;

/// A and B behind 22 A, with 6 A for who is left alone; A charges with 16 A.
fn a_charges(plan: WorldPlan) -> World {
    let six = MilliAmps::from_amps(6);
    let plan = plan
        .fuse("house", 22)
        .power_brain(brain("A"))
        .with_evse(|evse| evse.failsafe = six)
        .power_brain(brain("B"))
        .with_evse(|evse| evse.failsafe = six);
    let mut world = started(plan);
    world.charge("A", Car::default());
    let charges = |world: &World| draws(world, "A") == 16_000;
    world.run_until(seconds(60), charges).unwrap();
    world
}

fn cut(world: &mut World, name: &str, cut: bool) {
    world.modbus_line(name).unwrap().cut = cut;
}

fn register(world: &World, name: &str) -> i64 {
    world.power_brain(name).unwrap().energy().0
}

#[test]
fn a_power_brain_whose_link_is_lost_for_ten_minutes_is_booked_until_it_has_fallen_back() {
    let mut world = a_charges(WorldPlan::new(1));
    let start = register(&world, "A");
    let log = Log::catch();
    cut(&mut world, "A", true);
    world.charge("B", Car::default());
    // It may hear us for a minute more and keeps its 16 A for three, and so it is booked.
    never(&mut world, seconds(245), |world| {
        world.allowed("B").0 > 6000
    });
    let status = status(&world);
    assert!(!status.evses[0].online);
    assert_eq!(
        status.evses[0].reason,
        "not reachable; keeps its last limit"
    );
    assert!(status.errors.join("\n").contains("A: "), "{status:?}");
    // Then it is at 6 A, and B gets the rest.
    let rest = |world: &World| world.allowed("B").0 == 16_000;
    world.run_until(seconds(60), rest).unwrap();
    assert_eq!(draws(&world, "A"), 6000);
    world.run_for(minutes(6)).unwrap();
    assert_eq!(log.text().matches("a wallbox is not reached").count(), 1);
    cut(&mut world, "A", false);
    let shared = |world: &World| [world.allowed("A").0, world.allowed("B").0] == [11_000; 2];
    world.run_until(seconds(60), shared).unwrap();
    let transaction = only_transaction(&mut world, "A");
    assert_eq!(transaction.stopped, None);
    world.unplug("A");
    world.run_for(seconds(10)).unwrap();
    let stopped = only_transaction(&mut world, "A").stopped.unwrap();
    assert_eq!(stopped.reason, "EVDisconnected");
    assert_eq!(stopped.meter_stop.unwrap().0, register(&world, "A"));
    assert!(transaction.meter_start.unwrap().0 <= start);
}

#[test]
fn a_power_brain_that_hears_but_is_not_heard_is_booked_as_long_as_it_obeys() {
    for seed in 1..=6 {
        let mut world = a_charges(WorldPlan::new(seed));
        world.modbus_line("A").unwrap().loses = 70;
        world.charge("B", Car::default());
        world.run_for(minutes(10)).unwrap();
        world.modbus_line("A").unwrap().loses = 0;
        let shared = |world: &World| [world.allowed("A").0, world.allowed("B").0] == [11_000; 2];
        world.run_until(seconds(120), shared).unwrap();
        assert_eq!(only_transaction(&mut world, "A").stopped, None);
    }
}

#[test]
fn who_drives_away_while_the_link_is_lost_is_billed_up_to_the_last_watt_hour() {
    let mut world = a_charges(WorldPlan::new(1));
    cut(&mut world, "A", true);
    world.run_for(minutes(5)).unwrap();
    world.unplug("A");
    let end = register(&world, "A");
    world.run_for(minutes(5)).unwrap();
    cut(&mut world, "A", false);
    world.run_for(seconds(20)).unwrap();
    let stopped = only_transaction(&mut world, "A").stopped.unwrap();
    assert_eq!(stopped.reason, "EVDisconnected");
    assert_eq!(stopped.meter_stop.unwrap().0, end);
    assert_eq!(world.allowed("A"), MilliAmps::ZERO);
}

/// Each answers at the address of the other from now on.
fn swap(world: &mut World, one: &str, other: &str) {
    let seed = 1;
    let mut taken = PowerBrain::new(brain("nobody"), seed);
    world.at_power_brain(one, "leaves its address", |at, _| {
        std::mem::swap(at, &mut taken);
    });
    world.at_power_brain(other, "moves", |at, _| std::mem::swap(at, &mut taken));
    world.at_power_brain("nobody", "moves", |at, _| std::mem::swap(at, &mut taken));
}

#[test]
fn two_power_brains_that_swap_their_addresses_share_no_transaction() {
    let mut world = a_charges(WorldPlan::new(1));
    world.run_for(minutes(5)).unwrap();
    let a_ended = register(&world, "A");
    let log = Log::catch();
    // Their meters show what flowed meanwhile; after a restart both are somebody else.
    for name in ["A", "B"] {
        cut(&mut world, name, true);
    }
    world.run_for(seconds(10)).unwrap();
    let a_lost = register(&world, "A");
    swap(&mut world, "A", "B");
    world.crash();
    for name in ["A", "B"] {
        cut(&mut world, name, false);
    }
    world.run_for(seconds(60)).unwrap();
    // The car stands at what is now EVSE B; its transaction of EVSE A ended with what was known.
    let mut old = transactions(&mut world, "A");
    let old = old.remove(0);
    let stopped = old.stopped.unwrap();
    let stop = stopped.meter_stop.unwrap().0;
    assert!(
        (a_ended - 200..=a_lost).contains(&stop),
        "{stop} of {a_ended}"
    );
    assert!(stop >= old.meter_start.unwrap().0);
    assert_eq!(log.text().matches("two have swapped their ids").count(), 2);
    // In open mode whoever is plugged charges, with the register of the box where he stands.
    let new = only_transaction(&mut world, "B");
    assert_eq!(new.stopped, None);
    let start = new.meter_start.unwrap().0;
    assert!((a_lost..=register(&world, "A")).contains(&start), "{start}");
    assert_eq!(transactions(&mut world, "A").len(), 1);
    world.unplug("A");
    world.run_for(seconds(20)).unwrap();
    let stop = only_transaction(&mut world, "B")
        .stopped
        .unwrap()
        .meter_stop;
    assert_eq!(stop.unwrap().0, register(&world, "A"));
}

#[test]
fn a_line_full_of_garbage_delays_everybody_on_it_and_nothing_more() {
    let plan = WorldPlan::new(4)
        .fuse("house", 32)
        .power_brain(brain("A"))
        .power_brain(brain("B"));
    let mut world = started(plan);
    for name in ["A", "B"] {
        world.charge(name, Car::default());
    }
    let both = |world: &World| [draws(world, "A"), draws(world, "B")] == [16_000; 2];
    world.run_until(seconds(60), both).unwrap();
    let log = Log::catch();
    for name in ["A", "B"] {
        world.modbus_line(name).unwrap().loses = 100;
    }
    world.run_for(seconds(45)).unwrap();
    assert!(["A", "B"].iter().all(|name| !evse(&world, name).online));
    for name in ["A", "B"] {
        world.modbus_line(name).unwrap().loses = 0;
    }
    let found = |world: &World| ["A", "B"].iter().all(|name| evse(world, name).online);
    world.run_until(seconds(12), found).unwrap();
    assert_eq!(log.text().matches("a wallbox is not reached").count(), 2);
    assert_eq!(world.drawn("A")[Phase::L1].0, 16_000, "it never stopped");
    for name in ["A", "B"] {
        assert_eq!(only_transaction(&mut world, name).stopped, None);
    }
}
