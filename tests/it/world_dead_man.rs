//! Wallboxes behind a meter that nobody reaches any more (`manager.dead-man`). The world itself
//! looks at every event that no fuse is overloaded, by what each wallbox allows then.

use std::time::Duration;

use chargewarden::clock::Random;
use chargewarden::ids::ConnectorId;
use chargewarden::sim::{Car, House, MeterMap, MeterPlan, Quirk, WallboxPlan, World, WorldPlan};
use chargewarden::site::status::OcppServerStatus;
use chargewarden::units::{MilliAmps, PerPhase};

use crate::world::{NAMES, allowed, blow, charge_all, seconds, started};

const C1: ConnectorId = ConnectorId(1);

/// A dead-man of ten minutes, and what clocks may differ.
const LONG_ENOUGH: Duration = Duration::from_mins(13);

/// A house that draws 1 A and a reserve of 1 A behind this fuse; every EVSE has 6 A of its own.
fn metered(seed: u64, fuse: i32, wallboxes: impl IntoIterator<Item = WallboxPlan>) -> WorldPlan {
    let house = House::steady(PerPhase::all(MilliAmps::from_amps(1)));
    let plan = WorldPlan::new(seed).fuse("house", fuse).metered(
        "grid",
        MeterPlan::new(MeterMap::Sdm630),
        house,
    );
    wallboxes.into_iter().fold(plan, |plan, wallbox| {
        plan.wallbox(wallbox)
            .with_evse(|evse| evse.failsafe = MilliAmps::from_amps(6))
    })
}

fn set_reachable(world: &mut World, names: &[&str], reachable: bool) {
    for name in names {
        world.set_reachable(name, reachable);
    }
}

/// Waits until the wallboxes allow these currents in A, as exactly as a meter can tell, and keep to
/// them.
#[track_caller]
fn settles_at(world: &mut World, names: &[&str], amps: &[i32]) {
    let is_near = |(allowed, amps): (i32, &i32)| (allowed - amps * 1000).abs() <= 500;
    let is_settled = |world: &World| {
        let mut all = allowed(world, names);
        all.sort_unstable();
        all.into_iter().zip(amps).all(is_near)
    };
    let outcome = world.run_until(seconds(300), is_settled);
    let now = allowed(world, names);
    if let Err(failure) = outcome {
        panic!("{now:?} instead of {amps:?}: {failure}");
    }
    world.run_for(seconds(60)).unwrap();
    assert!(is_settled(world), "it does not last: {now:?}");
}

fn errors(world: &World) -> Vec<String> {
    let server = OcppServerStatus {
        port: 0,
        tls: "off".to_owned(),
        connections: 0,
    };
    world.site().status(world.now(), server).errors
}

#[test]
fn when_the_daemon_dies_in_mid_transaction_every_wallbox_falls_back_by_itself() {
    let names = ["A", "B"];
    let mut world = started(metered(1, 32, names.map(WallboxPlan::new)));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[15, 15]);
    assert_eq!(errors(&world), [""; 0]);
    world.run_for(Duration::from_hours(1)).unwrap();
    settles_at(&mut world, &names, &[15, 15]);
    set_reachable(&mut world, &names, false);
    let before = allowed(&world, &names);
    world.run_for(Duration::from_mins(4)).unwrap();
    assert_eq!(allowed(&world, &names), before);
    world.run_for(LONG_ENOUGH).unwrap();
    assert_eq!(allowed(&world, &names), [6_000; 2]);
    world.run_for(Duration::from_hours(2)).unwrap();
    assert_eq!(
        allowed(&world, &names),
        [6_000; 2],
        "nor does it begin again"
    );
}

#[test]
fn a_car_that_waits_falls_back_to_the_failsafe_current_too() {
    let names = ["A", "B"];
    let mut world = started(metered(1, 13, names.map(WallboxPlan::new)));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[0, 11]);
    set_reachable(&mut world, &names, false);
    world.run_for(LONG_ENOUGH).unwrap();
    assert_eq!(allowed(&world, &names), [6_000; 2]);
}

#[test]
fn what_a_wallbox_has_given_up_is_given_to_others_until_it_comes_back() {
    let names = ["A", "B"];
    let mut world = started(metered(1, 20, names.map(WallboxPlan::new)));
    world.charge("A", Car::default());
    settles_at(&mut world, &["A"], &[16]);
    world.set_reachable("A", false);
    world.charge("B", Car::default());
    world.run_for(Duration::from_mins(4)).unwrap();
    assert_eq!(allowed(&world, &names), [16_000, 0]);
    world.run_for(LONG_ENOUGH).unwrap();
    settles_at(&mut world, &names, &[6, 12]);
    world.set_reachable("A", true);
    settles_at(&mut world, &names, &[9, 9]);
}

#[test]
fn who_takes_no_dead_man_charges_without_and_status_says_so() {
    let stubborn = WallboxPlan::new("A").quirk(Quirk::RefusesDurations);
    let mut world = started(metered(1, 20, [stubborn, WallboxPlan::new("B")]));
    world.charge("A", Car::default());
    settles_at(&mut world, &["A"], &[16]);
    let complaint = "A: takes no dead-man; it keeps its last limit when nobody reaches it";
    assert_eq!(errors(&world), [complaint]);
    world.set_reachable("A", false);
    world.charge("B", Car::default());
    world.run_for(Duration::from_hours(1)).unwrap();
    assert_eq!(allowed(&world, &["A", "B"]), [16_000, 0]);
}

#[test]
fn a_clock_of_1970_and_one_that_is_two_hours_ahead_cost_the_dead_man_and_no_current() {
    for quirk in [Quirk::Clock1970, Quirk::LocalTime] {
        let mut world = started(metered(1, 32, [WallboxPlan::new("A").quirk(quirk)]));
        world.charge("A", Car::default());
        settles_at(&mut world, &["A"], &[16]);
        assert_eq!(errors(&world).len(), 1);
        world.run_for(Duration::from_hours(1)).unwrap();
        assert_eq!(allowed(&world, &["A"]), [16_000]);
    }
}

#[test]
fn the_fuse_holds_in_every_storm_and_in_the_silence_after_it() {
    for seed in 0..4 {
        // 30 A for five wallboxes is what they fall back to.
        let mut world = started(metered(seed, 32, NAMES.map(WallboxPlan::new)));
        let mut random = Random::new(seed);
        for _ in 0..100 {
            let name = NAMES[usize::try_from(random.below(5)).unwrap()];
            blow(&mut world, name, &mut random);
            world
                .run_for(Duration::from_millis(random.below(20_000)))
                .unwrap();
        }
        for name in NAMES {
            world.set_mute(name, false);
            let late = |wallbox: &mut chargewarden::sim::Wallbox, _| {
                wallbox.set_quirk(Quirk::LateAnswers, false);
            };
            world.at(name, "behaves", late);
            world.line(name).unwrap().delay = Duration::from_millis(20);
        }
        world.run_for(Duration::from_mins(10)).unwrap();
        for name in NAMES {
            world.set_mute(name, true);
        }
        world.run_for(LONG_ENOUGH).unwrap();
        for name in NAMES {
            let charging = world.wallbox(name).unwrap().transaction(C1).is_some();
            let expected = if charging { 6_000 } else { 0 };
            assert_eq!(world.allowed(name).0, expected, "seed {seed}: {name}");
        }
    }
}
