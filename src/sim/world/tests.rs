use super::*;
use crate::ids::{CircuitName, DeviceId};
use crate::ocpp::ChargePointStatus;
use crate::sim::{Car, House, MeterFault, MeterMap, MeterPlan, PowerBrainPlan};
use crate::units::Phase;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn amps(amps: [i32; 3]) -> PerPhase<MilliAmps> {
    PerPhase(amps.map(MilliAmps::from_amps))
}

/// One OCPP wallbox, one Power Brain and a house behind 32 A.
fn mixed(house: House) -> WorldPlan {
    WorldPlan::new(1)
        .fuse("house", 32)
        .metered("grid", MeterPlan::new(MeterMap::Sdm630), house)
        .wallboxes(&["CB"])
        .power_brains(&["PB"])
}

fn started(plan: WorldPlan) -> World {
    let mut world = plan.start();
    world.run_for(seconds(60)).unwrap();
    world
}

#[test]
fn a_power_brain_and_a_wallbox_share_what_the_house_leaves() {
    let mut world = started(mixed(House::steady(amps([4, 3, 2]))));
    world.charge("CB", Car::default());
    world.charge("PB", Car::default());
    // 32 A less 1 A of reserve and 4 A of the house is 27 A for two.
    let shared = |world: &World| world.drawn("CB")[Phase::L1] + world.drawn("PB")[Phase::L1];
    let both = MilliAmps::from_amps(26)..=MilliAmps::from_amps(27);
    let is_shared = |world: &World| both.contains(&shared(world));
    world.run_until(seconds(300), is_shared).unwrap();
    world.run_for(seconds(60)).unwrap();
    assert!(is_shared(&world), "{}", shared(&world));
    assert!(world.drawn("PB")[Phase::L1] > MilliAmps::from_amps(12));
    let house: CircuitName = "house".into();
    let flows = world.flows(&house);
    assert_eq!(flows[Phase::L1], shared(&world) + MilliAmps::from_amps(4));
    let shown = world.meter("grid").unwrap().shown(world.now().mono);
    assert_eq!(shown, flows);
}

#[test]
fn when_the_house_begins_to_cook_the_cars_make_room_within_seconds() {
    let mut world = started(mixed(House::steady(amps([2, 2, 2]))));
    world.charge("CB", Car::default());
    world.charge("PB", Car::default());
    world.run_for(seconds(200)).unwrap();
    let house: CircuitName = "house".into();
    let above = |world: &World| world.flows(&house)[Phase::L2] > MilliAmps::from_amps(32);
    world.set_house("grid", House::steady(amps([2, 14, 2])));
    assert!(above(&world));
    let held = |world: &World| !above(world);
    world.run_until(seconds(8), held).unwrap();
    world.run_for(seconds(10)).unwrap();
    assert!(held(&world));
}

#[test]
fn a_lossy_line_delays_and_nothing_is_ever_asked_twice_at_once() {
    let plan = WorldPlan::new(3)
        .fuse("house", 16)
        .power_brains(&["A", "B"]);
    let mut world = plan.start();
    for name in ["A", "B"] {
        world.modbus_line(name).unwrap().loses = 20;
    }
    world.run_for(seconds(120)).unwrap();
    for name in ["A", "B"] {
        world.charge(name, Car::default());
    }
    let both = |world: &World| ["A", "B"].map(|it| world.drawn(it)[Phase::L1].0) == [8_000; 2];
    world.run_until(seconds(300), both).unwrap();
}

#[test]
fn a_power_brain_that_nobody_reaches_falls_back_and_is_found_again() {
    let plan = WorldPlan::new(1)
        .fuse("house", 16)
        .power_brains(&["A", "B"]);
    let mut world = started(plan);
    world.charge("A", Car::default());
    let charges = |world: &World| world.drawn("A")[Phase::L1] == MilliAmps::from_amps(16);
    world.run_until(seconds(60), charges).unwrap();
    world.modbus_line("A").unwrap().cut = true;
    world.run_for(Duration::from_mins(10)).unwrap();
    let brain = world.power_brain("A").unwrap();
    assert!(brain.is_fallen_back(world.now().mono));
    assert_eq!(world.drawn("A"), PerPhase::default());
    world.modbus_line("A").unwrap().cut = false;
    world.run_until(seconds(120), charges).unwrap();
}

#[test]
fn the_site_dies_and_comes_back_while_a_power_brain_charges() {
    let plan = WorldPlan::new(1).fuse("house", 16).power_brains(&["A"]);
    let mut world = started(plan);
    world.charge("A", Car::default());
    let charges = |world: &World| world.drawn("A")[Phase::L1] == MilliAmps::from_amps(16);
    world.run_until(seconds(60), charges).unwrap();
    for _ in 0..5 {
        world.crash();
        world.run_for(seconds(7)).unwrap();
    }
    world.run_until(seconds(120), charges).unwrap();
    world.unplug("A");
    world.run_for(seconds(10)).unwrap();
    assert_eq!(world.power_brain("A").unwrap().state(), 0);
}

#[test]
fn a_dead_meter_is_stale_and_lets_the_cars_have_nothing() {
    let mut world = started(mixed(House::steady(amps([2, 2, 2]))));
    world.charge("CB", Car::default());
    world.charge("PB", Car::default());
    world.run_for(seconds(100)).unwrap();
    assert!(world.drawn("PB")[Phase::L1] > MilliAmps::ZERO);
    world.at_meter("grid", "dies", |meter, now| {
        meter.set_fault(now, Some(MeterFault::Silent));
    });
    world.run_for(seconds(30)).unwrap();
    assert_eq!(world.drawn("PB"), PerPhase::default());
    assert_eq!(world.drawn("CB"), PerPhase::default());
    let status = world.wallbox("CB").unwrap().status(ConnectorId(1));
    assert_eq!(status, Some(ChargePointStatus::SuspendedEVSE));
}

#[test]
fn what_a_master_does_wrong_at_a_power_brain_ends_the_world() {
    let mut world = started(WorldPlan::new(1).fuse("house", 16).power_brains(&["A"]));
    let write = crate::modbus::Request::Write {
        address: 8093,
        values: vec![30],
    };
    world.at_power_brain("A", "a stranger writes", |brain, now| {
        assert!(brain.handle_request(now, &write).is_err());
    });
    let failure = world.run_for(seconds(1)).unwrap_err();
    assert!(matches!(failure, Failure::Violation { .. }), "{failure}");
}

#[test]
fn a_site_that_does_not_wait_for_an_answer_ends_the_world() {
    let plan = WorldPlan::new(1).fuse("house", 16).power_brains(&["A"]);
    let mut world = started(plan);
    let ask = || crate::modbus::Request::Read {
        table: crate::modbus::Table::Holding,
        address: 8092,
        count: 1,
    };
    world.ask(DeviceId::ChargePoint(0), ask());
    world.ask(DeviceId::ChargePoint(0), ask());
    let failure = world.run_for(seconds(1)).unwrap_err();
    assert!(matches!(failure, Failure::Impatient { .. }), "{failure}");
}

#[test]
fn restarts_and_fuses_go_together_where_the_flash_says_disabled() {
    let box_of = |serial| PowerBrainPlan {
        boots_enabled: false,
        ..PowerBrainPlan::new(serial)
    };
    let plan = WorldPlan::new(1).fuse("house", 16);
    let plan = plan.power_brain(box_of("A")).power_brain(box_of("B"));
    let mut world = started(plan);
    world.charge("A", Car::default());
    world.charge("B", Car::default());
    let both = |world: &World| ["A", "B"].map(|it| world.drawn(it)[Phase::L1].0) == [8_000; 2];
    world.run_until(seconds(120), both).unwrap();
    world.reboot("A", seconds(20));
    world.run_for(seconds(30)).unwrap();
    world.run_until(seconds(300), both).unwrap();
}
