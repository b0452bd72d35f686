//! Observing only, and what measures an EVSE.

use chargewarden::sim::{Car, World, WorldPlan};
use chargewarden::site::MeasuredBy;

use super::lab::*;

#[test]
fn who_observes_writes_nothing_to_a_power_brain() {
    let plan = mixed(sdm630(), steady(2)).with_load(|load| load.observe = true);
    let mut world = started(plan);
    world.charge("PB", Car::default());
    world.run_for(minutes(5)).unwrap();
    world.modbus_line("PB").unwrap().cut = true;
    world.run_for(minutes(1)).unwrap();
    world.modbus_line("PB").unwrap().cut = false;
    world.reboot("PB", seconds(20));
    world.run_for(minutes(1)).unwrap();
    world.crash();
    world.run_for(minutes(1)).unwrap();
    world.unplug("PB");
    world.run_for(minutes(1)).unwrap();
    let writes = world.power_brain("PB").unwrap().writes();
    assert!(writes.is_empty(), "{writes:?}");
    assert_eq!(transactions(&mut world, "PB"), []);
    assert_eq!(evse(&world, "PB").reason, "observed only");
    assert_eq!(status(&world).meters[0].state, "fresh");
}

/// A Power Brain whose supply has a meter of its own, beside the one that is built in.
fn with_a_meter_of_its_own(by: MeasuredBy) -> World {
    let plan = WorldPlan::new(1)
        .fuse("house", 16)
        .metered("submeter", sdm630(), steady(0))
        // It measures the EVSE, and no house.
        .with_load(|load| (load.circuits[0].meter, load.circuits[0].reserve) = (None, amps(0).0[0]))
        .power_brain(brain("PB"))
        .measured_by(by);
    started(plan)
}

fn charge(world: &mut World) {
    world.charge("PB", Car::default());
    let charges = |world: &World| draws(world, "PB") == 16_000;
    world.run_until(seconds(60), charges).unwrap();
}

#[test]
fn an_evse_with_a_meter_of_the_site_is_billed_by_that_meter() {
    let mut world = with_a_meter_of_its_own(MeasuredBy::Meter("submeter".into()));
    let before = world.power_brain("PB").unwrap().energy().0;
    charge(&mut world);
    world.run_for(minutes(30)).unwrap();
    let shown = evse(&world, "PB");
    assert!(
        shown
            .measured_a
            .unwrap()
            .iter()
            .all(|amps| (15.9..16.1).contains(amps))
    );
    world.unplug("PB");
    world.run_for(seconds(30)).unwrap();
    let built_in = world.power_brain("PB").unwrap().energy().0 - before;
    let transaction = only_transaction(&mut world, "PB");
    let stop = transaction.stopped.unwrap().meter_stop.unwrap();
    let billed = (stop - transaction.meter_start.unwrap()).0;
    // They count in other ways; an end that is ten seconds old would be 30 Wh.
    assert!(
        (billed - built_in).abs() < 10,
        "{billed} Wh, not {built_in}"
    );
    // The two registers began elsewhere.
    assert_eq!(evse(&world, "PB").energy_wh, Some(stop.0));
    assert_ne!(stop, world.power_brain("PB").unwrap().energy());
}

#[test]
fn an_evse_whose_meter_of_the_site_dies_charges_on_and_ends_with_the_last_good_register() {
    let mut world = with_a_meter_of_its_own(MeasuredBy::Meter("submeter".into()));
    charge(&mut world);
    world.run_for(minutes(10)).unwrap();
    world.modbus_line("submeter").unwrap().cut = true;
    let last = evse(&world, "PB").energy_wh;
    never(&mut world, minutes(5), |world| draws(world, "PB") < 16_000);
    world.unplug("PB");
    world.run_for(seconds(30)).unwrap();
    let stopped = only_transaction(&mut world, "PB").stopped.unwrap();
    let late = stopped.meter_stop.unwrap().0 - last.unwrap();
    assert!((0..=3).contains(&late), "{late} Wh after the last reading");
}

#[test]
fn an_evse_without_a_meter_charges_and_its_transactions_have_no_registers() {
    let mut world = with_a_meter_of_its_own(MeasuredBy::Nothing);
    charge(&mut world);
    world.run_for(minutes(10)).unwrap();
    let shown = evse(&world, "PB");
    assert_eq!((shown.measured_a, shown.energy_wh), (None, None));
    world.unplug("PB");
    world.run_for(seconds(10)).unwrap();
    let transaction = only_transaction(&mut world, "PB");
    assert_eq!(transaction.meter_start, None);
    assert_eq!(transaction.stopped.unwrap().meter_stop, None);
}
