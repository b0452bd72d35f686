//! OCPP and Power Brain behind one metered fuse, with a brutal house.

use chargewarden::sim::{Car, House, World, WorldPlan};
use chargewarden::units::MilliAmps;

use super::lab::*;

const NAMES: [&str; 4] = ["CB1", "CB2", "PB1", "PB2"];

fn brutal(seed: u64) -> World {
    let plan = WorldPlan::new(seed)
        .fuse("house", 50)
        .metered("grid", sdm630(), House::brutal(seed))
        .with_load(|load| load.circuits[0].failsafe = MilliAmps::from_amps(12))
        .wallboxes(&NAMES[..2])
        .power_brain(brain(NAMES[2]))
        .power_brain(brain(NAMES[3]));
    started(plan)
}

#[test]
fn in_a_brutal_hour_everybody_charges_and_no_register_is_worn_out() {
    for seed in 1..=2 {
        let mut world = brutal(seed);
        for name in NAMES {
            world.charge(name, Car::default());
        }
        let before = NAMES.map(|name| energy(&world, name));
        let writes = [2, 3].map(|at| writes(&world, NAMES[at]));
        world.run_for(minutes(60)).unwrap();
        for (name, before) in NAMES.iter().zip(before) {
            let gained = energy(&world, name) - before;
            assert!(gained > 2000, "seed {seed}: {name} got {gained} Wh");
        }
        for (at, before) in [2, 3].into_iter().zip(writes) {
            let more = self::writes(&world, NAMES[at]) - before;
            assert!(
                more <= 60,
                "seed {seed}: {} was written {more} times",
                NAMES[at]
            );
            let flash = world.power_brain(NAMES[at]).unwrap().flash_writes();
            assert!(flash <= 3, "seed {seed}: {flash} writes to flash");
        }
    }
}

fn energy(world: &World, name: &str) -> i64 {
    match world.power_brain(name) {
        Some(brain) => brain.energy().0,
        None => evse(world, name).energy_wh.unwrap_or(0),
    }
}

fn writes(world: &World, name: &str) -> u32 {
    world.power_brain(name).unwrap().writes().values().sum()
}
