//! The site dies, the disk dies, a Power Brain loses its power: in the middle of a session.

use chargewarden::sim::{Car, PowerBrainPlan, World, WorldPlan};

use super::lab::*;

fn lone(seed: u64) -> WorldPlan {
    WorldPlan::new(seed)
        .fuse("house", 16)
        .power_brain(brain("A"))
}

/// Lets so many things happen.
fn events(world: &mut World, mut count: u32) {
    world
        .run_until(seconds(600), |_| {
            count = count.saturating_sub(1);
            count == 0
        })
        .unwrap();
}

#[test]
fn wherever_the_site_dies_in_a_session_there_is_one_transaction_and_the_car_goes_on() {
    for count in (1..=120).step_by(7) {
        let mut world = started(lone(u64::from(count)));
        let before = world.power_brain("A").unwrap().energy().0;
        world.charge("A", Car::default());
        events(&mut world, count);
        world.crash();
        let charges = |world: &World| draws(world, "A") == 16_000;
        let outcome = world.run_until(seconds(60), charges);
        outcome.unwrap_or_else(|failure| panic!("after {count} events: {failure}"));
        let open = only_transaction(&mut world, "A");
        // From here on it never stops.
        for at in 0..4_u32 {
            events(&mut world, 3 + count % 5 * 11 + at);
            world.crash();
            never(&mut world, seconds(10), |world| draws(world, "A") < 16_000);
            assert_eq!(
                only_transaction(&mut world, "A"),
                open,
                "after {count} events"
            );
        }
        world.unplug("A");
        world.crash();
        world.run_for(seconds(20)).unwrap();
        let closed = only_transaction(&mut world, "A");
        assert_eq!(closed.number, open.number);
        assert_eq!(closed.meter_start.unwrap().0, before);
        let after = world.power_brain("A").unwrap().energy().0;
        assert_eq!(closed.stopped.unwrap().meter_stop.unwrap().0, after);
        assert!(after > before);
    }
}

#[test]
fn a_site_that_dies_while_the_disk_is_slow_opens_no_second_transaction() {
    for millis in (0..6000).step_by(500) {
        let mut world = started(lone(3));
        world.disk().delay = seconds(2);
        world.charge("A", Car::default());
        world
            .run_for(std::time::Duration::from_millis(millis))
            .unwrap();
        world.crash();
        let charges = |world: &World| draws(world, "A") == 16_000;
        let outcome = world.run_until(seconds(60), charges);
        outcome.unwrap_or_else(|failure| panic!("after {millis} ms: {failure}"));
        world.run_for(seconds(10)).unwrap();
        assert_eq!(only_transaction(&mut world, "A").stopped, None);
    }
}

#[test]
fn a_power_brain_that_loses_its_power_goes_on_with_its_transaction_and_the_fuse_holds() {
    for off_for in [2, 20, 120, 400] {
        let plan = WorldPlan::new(off_for)
            .fuse("house", 22)
            .power_brain(brain("A"))
            .power_brain(brain("B"));
        let mut world = started(plan);
        for name in ["A", "B"] {
            world.charge(name, Car::default());
        }
        let both = |world: &World| [draws(world, "A"), draws(world, "B")] == [11_000; 2];
        world.run_until(seconds(120), both).unwrap();
        world.reboot("A", seconds(off_for));
        world.run_for(seconds(off_for)).unwrap();
        let outcome = world.run_until(seconds(120), both);
        outcome.unwrap_or_else(|failure| panic!("off for {off_for} s: {failure}"));
        assert_eq!(only_transaction(&mut world, "A").stopped, None);
    }
}

#[test]
fn a_power_brain_that_starts_enabled_stays_within_a_fuse_that_carries_what_it_starts_with() {
    let plan = WorldPlan::new(1)
        .fuse("house", 32)
        .power_brain(PowerBrainPlan::new("A"))
        .power_brain(PowerBrainPlan::new("B"));
    let mut world = started(plan);
    for name in ["A", "B"] {
        world.charge(name, Car::default());
    }
    let both = |world: &World| [draws(world, "A"), draws(world, "B")] == [16_000; 2];
    world.run_until(seconds(120), both).unwrap();
    world.reboot("A", seconds(20));
    world.run_for(seconds(20)).unwrap();
    world.run_until(seconds(60), both).unwrap();
}

#[test]
fn who_leaves_during_a_power_cut_is_billed_by_what_the_box_counted() {
    let mut world = started(lone(1));
    world.charge("A", Car::default());
    world.run_for(minutes(10)).unwrap();
    world.reboot("A", seconds(30));
    let end = world.power_brain("A").unwrap().energy().0;
    world.unplug("A");
    world.run_for(seconds(90)).unwrap();
    let stopped = only_transaction(&mut world, "A").stopped.unwrap();
    assert_eq!(stopped.reason, "PowerLoss");
    assert_eq!(stopped.meter_stop.unwrap().0, end);
}

#[test]
fn a_dead_disk_delays_a_start_by_five_seconds_and_a_lowering_by_none() {
    let plan = WorldPlan::new(1)
        .fuse("house", 22)
        .power_brain(brain("A"))
        .power_brain(brain("B"));
    let mut world = started(plan);
    world.charge("A", Car::default());
    let alone = |world: &World| draws(world, "A") == 16_000;
    world.run_until(seconds(60), alone).unwrap();
    world.disk().failing = true;
    world.charge("B", Car::default());
    let makes_room = |world: &World| world.allowed("A").0 == 11_000;
    world.run_until(seconds(4), makes_room).unwrap();
    assert_eq!(world.allowed("B").0, 0, "nothing is on disk yet");
    // At most a second until the plug is seen, five for the disk, some for A to obey.
    world
        .run_until(seconds(8), |world| world.allowed("B").0 == 11_000)
        .unwrap();
    let errors = status(&world).errors.join("\n");
    assert!(errors.contains("the journal cannot be written"), "{errors}");
    world.unplug("B");
    world
        .run_until(seconds(3), |world| world.allowed("B").0 == 0)
        .unwrap();
    world.disk().failing = false;
    world.run_for(seconds(10)).unwrap();
    assert!(only_transaction(&mut world, "B").stopped.is_some());
    assert_eq!(only_transaction(&mut world, "A").stopped, None);
}
