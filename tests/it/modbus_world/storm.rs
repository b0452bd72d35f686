//! Everything at once.

use std::collections::BTreeMap;
use std::time::Duration;

use chargewarden::clock::Random;
use chargewarden::ids::{ConnectorId, TransactionNumber};
use chargewarden::journal::Transaction;
use chargewarden::sim::{Car, House, World, WorldPlan};
use chargewarden::units::MilliAmps;

use super::lab::*;

const OCPP: [&str; 3] = ["CB1", "CB2", "CB3"];
const MODBUS: [&str; 3] = ["PB1", "PB2", "PB3"];

/// Every other one is metered.
fn world(seed: u64) -> World {
    let mut plan = WorldPlan::new(seed).fuse("house", 40);
    if seed.is_multiple_of(2) {
        plan = plan
            .metered("grid", sdm630(), House::calm(seed))
            .with_load(|load| load.circuits[0].failsafe = MilliAmps::from_amps(12));
    }
    plan = plan.wallboxes(&OCPP);
    for name in MODBUS {
        plan = plan.power_brain(brain(name));
    }
    started(plan)
}

/// What is true of the journal at any moment.
#[derive(Default)]
struct Books {
    seen: BTreeMap<TransactionNumber, Transaction>,
}

impl Books {
    /// A transaction that is on disk never changes but to end, once.
    fn check(&mut self, world: &mut World, seed: u64) {
        let all = world.disk().recovered().transactions.clone();
        let lost = self.seen.keys().find(|number| !all.contains_key(number));
        assert_eq!(lost, None, "seed {seed}: it is gone");
        for (number, now) in &all {
            if let Some(before) = self.seen.get(number) {
                let same = Transaction {
                    stopped: before.stopped.clone().or(now.stopped.clone()),
                    ..before.clone()
                };
                assert_eq!(*now, same, "seed {seed}: it changed");
            }
            let stop = now.stopped.as_ref().and_then(|it| it.meter_stop);
            let pair = stop.zip(now.meter_start);
            assert!(
                pair.is_none_or(|(stop, start)| stop >= start),
                "seed {seed}: {now:?}"
            );
        }
        for name in MODBUS {
            let own = all.values().filter(|it| it.address.as_str() == name);
            let own: Vec<_> = own.collect();
            let open = own.iter().filter(|it| it.stopped.is_none()).count();
            assert!(
                open <= 1,
                "seed {seed}: {name} has {open} open transactions"
            );
            for two in own.windows(2) {
                let stop = two[0].stopped.as_ref().and_then(|it| it.meter_stop);
                assert!(
                    stop <= two[1].meter_start,
                    "seed {seed}: {name} was billed twice: {two:?}"
                );
            }
        }
        self.seen.extend(all);
    }
}

fn blow(world: &mut World, random: &mut Random) {
    let at = usize::try_from(random.below(6)).unwrap();
    let name = [OCPP, MODBUS].concat()[at];
    let is_modbus = at >= 3;
    let phases = if random.below(3) == 0 { 1 } else { 3 };
    match random.below(12) {
        0..=3 => world.charge(name, Car::default().phases(phases)),
        4..=5 => world.unplug(name),
        6 => world.reboot(name, seconds(random.below(60))),
        7 if is_modbus => {
            let line = world.modbus_line(name).unwrap();
            line.cut = !line.cut;
        }
        8 if is_modbus => {
            world.modbus_line(name).unwrap().loses = u8::try_from(random.below(90)).unwrap();
        }
        7 => {
            let reachable = random.below(2) == 0;
            world.set_reachable(name, reachable);
        }
        8 => world.lose_link(name),
        9 => {
            if let Some(line) = world.modbus_line("grid") {
                line.cut = !line.cut;
            }
        }
        // Who dies with a dead disk remembers nothing: that is one fault too many.
        10 if !world.disk().failing => world.crash(),
        _ => {
            let disk = world.disk();
            disk.failing = !disk.failing;
            disk.delay = Duration::from_millis(random.below(500));
        }
    }
}

fn calm(world: &mut World) {
    world.disk().failing = false;
    for name in OCPP {
        world.set_reachable(name, true);
    }
    for name in MODBUS.into_iter().chain(["grid"]) {
        if let Some(line) = world.modbus_line(name) {
            (line.cut, line.loses) = (false, 0);
        }
    }
}

/// Half an hour of it, and then five calm minutes.
fn storm(seed: u64, books: &mut Books) -> World {
    let (mut world, mut random) = (world(seed), Random::new(seed));
    let end = world.now().mono + minutes(30);
    while world.now().mono < end {
        blow(&mut world, &mut random);
        let outcome = world.run_for(Duration::from_millis(random.below(40_000)));
        outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        books.check(&mut world, seed);
    }
    calm(&mut world);
    let outcome = world.run_for(minutes(5));
    outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
    books.check(&mut world, seed);
    world
}

#[test]
fn in_every_storm_the_fuse_holds_and_no_session_is_billed_twice() {
    for seed in 0..20 {
        let mut books = Books::default();
        let mut world = storm(seed, &mut books);
        for name in [OCPP, MODBUS].concat() {
            assert!(evse(&world, name).online, "seed {seed}: {name}");
            world.unplug(name);
        }
        world.run_for(minutes(1)).unwrap();
        books.check(&mut world, seed);
        for name in MODBUS {
            let open = transactions(&mut world, name);
            let open = open.iter().filter(|it| it.stopped.is_none());
            assert_eq!(open.count(), 0, "seed {seed}: {name}");
            assert_eq!(world.allowed(name).0, 0, "seed {seed}: {name}");
        }
        for name in OCPP {
            let wallbox = world.wallbox(name).unwrap();
            assert_eq!(wallbox.transaction(ConnectorId(1)), None, "seed {seed}");
        }
    }
}
