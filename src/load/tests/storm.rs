//! An hour of everything at once: cars come and go, answers are late, lost, doubled and out of
//! order, links break, wallboxes restart, signals and backends change their minds.

use super::world::{self, Device, House, Temper, World, seconds};
use crate::clock::{Mono, Random};
use crate::evse::Demand;
use crate::load::site_generator::Site;
use crate::load::{LoadPlan, Rotation};
use crate::units::MilliAmps;

const SEEDS: u64 = 120;

/// A random tree of circuits with a few EVSEs, as the allocator is tested with.
fn plan(seed: u64) -> LoadPlan {
    let mut plan = Site::random(seed).plan;
    plan.evses.truncate(7);
    plan.start_up_hold = seconds(30);
    plan.ocpp_raise_interval = seconds(seed % 3 * 15);
    plan.rotation_period = seconds(300);
    for evse in &mut plan.evses {
        evse.max = MilliAmps::from_amps(16);
    }
    plan
}

fn device(random: &mut Random, phases: u8) -> Device {
    let mut number = |end: u64| i32::try_from(random.below(end)).unwrap();
    Device {
        delay: [1, 4, 12][usize::try_from(number(3)).unwrap()],
        loses: [0, 5, 30][usize::try_from(number(3)).unwrap()],
        samples: (number(4) > 0).then(|| seconds([10, 30][usize::try_from(number(2)).unwrap()])),
        phases,
        appetite: 5000 + number(20_000),
        excess: number(3) * 450 - 450,
        lag: 5,
        ..Device::new()
    }
}

fn world(seed: u64) -> World {
    let mut random = Random::new(seed);
    let plan = plan(seed);
    let evses = plan.evses.iter();
    let devices = evses.map(|evse| device(&mut random, evse.phases)).collect();
    World::new(seed, plan, devices)
}

/// Something happens.
fn gust(world: &mut World) {
    let count = u64::try_from(world.devices.len()).unwrap();
    let index = usize::try_from(world.below(count)).unwrap();
    let online = world.devices[index].online;
    match world.below(12) {
        0..=3 if online => world.demand(index, Demand::Charging),
        4 if online => world.demand(index, Demand::None),
        5 | 6 => {
            let span = world.below(120);
            world.lose(index, span, false);
        }
        7 => {
            let span = 20 + world.below(40);
            world.lose(index, span, true);
        }
        8 => {
            let watts = i32::try_from(world.below(30_000)).unwrap();
            let circuits = u64::try_from(world.plan.circuits.len()).unwrap();
            let circuit = usize::try_from(world.below(circuits)).unwrap();
            world.signal(circuit, (watts < 25_000).then_some(watts));
        }
        9 => {
            let amps = i32::try_from(world.below(20)).unwrap();
            world.ceiling(index, (amps < 18).then(|| MilliAmps::from_amps(amps)));
        }
        10 => {
            let name = world.plan.evses[index].name.clone();
            let enabled = world.below(4) > 0;
            world.enable(&name, enabled);
        }
        _ => {}
    }
}

/// By how much a circuit is overloaded by what `of` says of each device, if it is.
fn overload(world: &World, of: impl Fn(&Device) -> i32) -> Option<String> {
    let circuits = world.plan.circuits.iter().enumerate();
    circuits
        .map(|(index, circuit)| (world.sum(index, &of), circuit))
        .find(|(sum, circuit)| {
            sum.iter()
                .any(|amps| *amps > i64::from(circuit.max_current.0))
        })
        .map(|(sum, circuit)| format!("{}: {sum:?} > {}", circuit.name, circuit.max_current))
}

#[test]
fn no_fuse_carries_more_than_it_may_at_any_instant_of_any_storm() {
    for seed in 0..SEEDS {
        let mut world = world(seed);
        let end = Mono::START + seconds(3600);
        while world.now < end {
            let pause = seconds(world.below(15));
            world.run(pause, |world| {
                let now = world.now;
                let overload = overload(world, |device| device.allowed(now));
                assert_eq!(overload, None, "seed {seed}, {:?}", world.now);
            });
            gust(&mut world);
        }
        calm(&mut world, seed);
    }
}

/// A storm below a meter, with a house that moves, and a meter that falls silent.
#[test]
fn a_house_in_a_storm_overloads_its_fuse_for_seconds_and_afterwards_all_is_as_before() {
    for seed in 0..SEEDS / 4 {
        let mut random = Random::new(seed);
        let mut plan = plan(seed);
        plan.circuits[0].meter = Some("grid".into());
        plan.meters = world::metered(1, 0).meters;
        let devices = plan.evses.iter().map(|evse| Device {
            delay: 1,
            loses: 0,
            samples: Some(seconds([1, 10][usize::try_from(seed % 2).unwrap()])),
            ..device(&mut random, evse.phases)
        });
        let devices = devices.collect();
        let mut world = World::new(seed, plan, devices);
        let end = Mono::START + seconds(1800);
        let mut since: Option<Mono> = None;
        while world.now < end {
            let pause = seconds(world.below(15));
            world.run(pause, |world| {
                // Who cannot be reached cannot be lowered, and a silent meter says nothing.
                let avoidable = world.excess() > 0
                    && world.house_excess() <= 0
                    && !world.house.is_silent
                    && world.devices.iter().all(|device| device.online);
                since = avoidable.then(|| since.unwrap_or(world.now));
                let lasts = since.map_or(seconds(0), |since| world.now.since(since));
                assert!(lasts <= seconds(20), "seed {seed}, {:?}", world.now);
            });
            gust(&mut world);
            if world.below(8) == 0 {
                let most = u64::try_from(world.plan.circuits[0].max_current.0).unwrap();
                let load = i32::try_from(world.below(most)).unwrap();
                world.house.load = [load, load / 2, load / 3];
                world.house.is_silent = world.below(6) == 0;
            }
        }
        world.house = House::new([0; 3]);
        calm(&mut world, seed);
    }
}

/// After the storm everybody ends up with what there is for it.
fn calm(world: &mut World, seed: u64) {
    for index in 0..world.devices.len() {
        let name = world.plan.evses[index].name.clone();
        world.devices[index].loses = 0;
        world.devices[index].appetite = 32_000;
        world.enable(&name, true);
        world.ceiling(index, None);
        world.lose(index, 5, false);
    }
    for circuit in 0..world.plan.circuits.len() {
        world.signal(circuit, None);
    }
    world.wait(900);
    // A turn may just be changing hands.
    let settles = (0..20).any(|_| {
        world.wait(7);
        (0..world.devices.len()).all(|index| {
            let (device, reason) = (&world.devices[index], world.reason(index));
            let waits = reason.contains("others have lowered") || reason.contains("was seen");
            device.online && !waits && device.limit == world.offered(index)
        })
    });
    assert!(settles, "seed {seed}");
}

/// Some take no limits or do not keep them, and say so or are measured: the others make room.
#[test]
fn others_make_room_for_who_does_not_obey() {
    for seed in 0..SEEDS / 2 {
        let mut world = world(seed);
        let mut random = Random::new(!seed);
        for (device, evse) in world.devices.iter_mut().zip(&world.plan.evses) {
            device.delay = device.delay.min(4);
            device.loses = 0;
            device.temper = match random.below(4) {
                0 => Temper::Refuses,
                1 if device.samples.is_some() => Temper::Deaf,
                _ => Temper::Obedient,
            };
            if evse.rotation == Rotation::Unknown {
                device.temper = Temper::Obedient;
            }
            device.samples = device.samples.map(|_| seconds(10));
        }
        let end = Mono::START + seconds(3600);
        let mut since: Option<Mono> = None;
        let mut longest = seconds(0);
        while world.now < end {
            let pause = seconds(world.below(60));
            world.run(pause, |world| {
                let now = world.now;
                // What can be done is to let all others have nothing.
                let movable = |device: &Device| {
                    let obeys = device.temper == Temper::Obedient && device.online;
                    if obeys { device.allowed(now) } else { 0 }
                };
                let helpless = |device: &Device| device.allowed(now) - movable(device);
                let avoidable = overload(world, |device| device.allowed(now)).is_some()
                    && overload(world, helpless).is_none();
                since = avoidable.then(|| since.unwrap_or(now));
                let lasts = since.map_or(seconds(0), |since| now.since(since));
                longest = longest.max(lasts);
            });
            gust(&mut world);
        }
        assert!(longest <= seconds(45), "seed {seed}: {longest:?}");
    }
}
