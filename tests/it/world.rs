//! The production logic against simulated wallboxes in virtual time. The world itself looks at
//! every event that no fuse is overloaded and that no wallbox has cause to complain.

use std::time::Duration;

use chargewarden::clock::Random;
use chargewarden::ids::ConnectorId;
use chargewarden::load::Rotation;
use chargewarden::sim::wallbox::Traffic;
use chargewarden::sim::{Car, Quirk, WallboxPlan, World, WorldPlan};
use chargewarden::units::{MilliAmps, Phase};

use crate::schema::Checker;

const C1: ConnectorId = ConnectorId(1);

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn garage(fuse: i32, names: &[&str]) -> WorldPlan {
    WorldPlan::new(1).fuse("house", fuse).wallboxes(names)
}

/// Past the start-up hold, everybody connected and told to wait. Every frame that a wallbox gets
/// is checked.
pub(crate) fn started(plan: WorldPlan) -> World {
    let mut world = plan.start();
    let ids: Vec<String> = world.wallboxes().map(ToString::to_string).collect();
    for id in ids {
        let mut checker = Checker::new();
        let check = move |traffic: Traffic<'_>| match traffic {
            Traffic::Sent(text) => checker.received(text),
            Traffic::Received(text) => checker.sent(text),
        };
        world.at(&id, "checked", |wallbox, _| wallbox.inspect(check));
    }
    world.run_for(seconds(60)).unwrap();
    world
}

pub(crate) fn allowed(world: &World, names: &[&str]) -> Vec<i32> {
    names.iter().map(|name| world.allowed(name).0).collect()
}

/// Waits until the wallboxes allow these currents, whoever gets which, and keep to them.
#[track_caller]
fn settles_at(world: &mut World, names: &[&str], expected: &[i32]) {
    let sorted = |world: &World| {
        let mut all = allowed(world, names);
        all.sort_unstable();
        all
    };
    let outcome = world.run_until(seconds(300), |world| sorted(world) == expected);
    if let Err(failure) = outcome {
        panic!(
            "{:?} instead of {expected:?}: {failure}",
            allowed(world, names)
        );
    }
    world.run_for(seconds(60)).unwrap();
    assert_eq!(sorted(world), expected, "it does not last");
}

pub(crate) fn charge_all(world: &mut World, names: &[&str]) {
    for name in names {
        world.charge(name, Car::default());
    }
}

#[test]
fn three_cars_share_32_amperes_to_the_last_tenth() {
    let names = ["A", "B", "C"];
    let mut world = started(garage(32, &names));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[10_600, 10_700, 10_700]);
    for name in names {
        let drawn = world.drawn(name)[Phase::L1];
        assert_eq!(drawn, world.allowed(name), "the car follows");
    }
}

#[test]
fn on_15_amperes_two_charge_and_the_third_waits() {
    let names = ["A", "B", "C"];
    let mut world = started(garage(15, &names));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[0, 7_500, 7_500]);
}

#[test]
fn whoever_waits_gets_a_turn_after_a_rotation_period() {
    let names = ["A", "B", "C"];
    let mut world = started(garage(15, &names));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[0, 7_500, 7_500]);
    let waited = allowed(&world, &names);
    let first = waited.iter().position(|amps| *amps == 0).unwrap();
    let turn = Duration::from_mins(20);
    world
        .run_until(turn, |world| world.allowed(names[first]).0 > 0)
        .unwrap();
}

#[test]
fn a_car_that_leaves_makes_room_for_the_others() {
    let names = ["A", "B", "C"];
    let mut world = started(garage(32, &names));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[10_600, 10_700, 10_700]);
    world.unplug("B");
    settles_at(&mut world, &names, &[0, 16_000, 16_000]);
    assert_eq!(world.allowed("B"), MilliAmps::ZERO);
}

#[test]
fn the_inner_fuse_holds_and_the_outer_one_is_used() {
    let plan = WorldPlan::new(1)
        .fuse("house", 63)
        .fuse("left", 32)
        .wallboxes(&["A", "B", "C"])
        .fuse("right", 32)
        .wallboxes(&["D"]);
    let mut world = started(plan);
    charge_all(&mut world, &["A", "B", "C", "D"]);
    settles_at(&mut world, &["A", "B", "C"], &[10_600, 10_700, 10_700]);
    assert_eq!(world.allowed("D"), MilliAmps::from_amps(16));
}

fn one_phase(rotations: [Rotation; 3]) -> WorldPlan {
    let mut plan = WorldPlan::new(1).fuse("house", 20);
    for (name, rotation) in ["A", "B", "C"].into_iter().zip(rotations) {
        let wallbox = WallboxPlan {
            phases: 1,
            ..WallboxPlan::new(name)
        };
        plan = plan
            .wallbox(wallbox)
            .with_evse(|evse| evse.rotation = rotation);
    }
    plan
}

#[test]
fn one_phase_cars_on_different_phases_do_not_share() {
    let (l1, l2, l3) = (Phase::L1, Phase::L2, Phase::L3);
    let rotations = [[l1, l2, l3], [l2, l3, l1], [l3, l1, l2]].map(Rotation::Known);
    let names = ["A", "B", "C"];
    let mut world = started(one_phase(rotations));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[16_000, 16_000, 16_000]);
}

#[test]
fn one_phase_cars_on_unknown_phases_share_as_if_all_were_on_one() {
    let names = ["A", "B", "C"];
    let mut world = started(one_phase([Rotation::Unknown; 3]));
    charge_all(&mut world, &names);
    settles_at(&mut world, &names, &[6_600, 6_700, 6_700]);
}

#[test]
fn without_a_transaction_nothing_is_allowed() {
    let mut world = started(garage(32, &["A"]));
    assert_eq!(world.allowed("A"), MilliAmps::ZERO);
    world.plug("A", Car::default());
    world.run_for(seconds(60)).unwrap();
    assert_eq!(world.allowed("A"), MilliAmps::ZERO);
    world.tap("A", "TAG");
    settles_at(&mut world, &["A"], &[16_000]);
    world.tap("A", "TAG");
    settles_at(&mut world, &["A"], &[0]);
}

#[test]
fn the_first_grant_follows_within_two_seconds() {
    let mut world = started(garage(32, &["A"]));
    world.charge("A", Car::default());
    let started = |world: &World| world.wallbox("A").unwrap().transaction(C1).is_some();
    world.run_until(seconds(5), started).unwrap();
    world
        .run_until(seconds(2), |world| world.allowed("A").0 >= 6_000)
        .unwrap();
}

/// A charges alone with 16 A of 22 A, then `misbehaves`, then B comes.
fn hand_over(quirk: Quirk) -> World {
    let mut world = started(garage(22, &["A", "B"]));
    world.charge("A", Car::default());
    settles_at(&mut world, &["A"], &[16_000]);
    world.at("A", "misbehaves", |wallbox, _| {
        wallbox.set_quirk(quirk, true);
    });
    world.charge("B", Car::default());
    world
}

#[test]
fn a_wallbox_that_answers_late_is_waited_for() {
    let mut world = hand_over(Quirk::LateAnswers);
    world
        .run_until(seconds(30), |world| world.allowed("B").0 >= 6_000)
        .unwrap();
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
}

#[test]
fn a_wallbox_that_never_answers_keeps_what_it_has_and_the_others_pay() {
    let mut world = hand_over(Quirk::NeverAnswersProfiles);
    settles_at(&mut world, &["A", "B"], &[6_000, 16_000]);
    world.at("A", "behaves again", |wallbox, _| {
        wallbox.set_quirk(Quirk::NeverAnswersProfiles, false);
    });
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
}

#[test]
fn a_wallbox_that_cannot_be_reached_is_booked_at_what_it_was_last_told() {
    let mut world = started(garage(22, &["A", "B"]));
    world.charge("A", Car::default());
    settles_at(&mut world, &["A"], &[16_000]);
    world.set_reachable("A", false);
    world.charge("B", Car::default());
    settles_at(&mut world, &["B"], &[6_000]);
    world.set_reachable("A", true);
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
}

#[test]
fn a_crash_in_the_middle_of_a_transaction_changes_nothing_at_the_wallbox() {
    let mut world = started(garage(22, &["A", "B"]));
    charge_all(&mut world, &["A", "B"]);
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
    let id = world.wallbox("A").unwrap().transaction(C1).unwrap();
    world.crash();
    world.run_for(seconds(60)).unwrap();
    assert_eq!(allowed(&world, &["A", "B"]), [11_000, 11_000]);
    world.unplug("A");
    world.run_for(seconds(60)).unwrap();
    let transactions = &world.disk().recovered().transactions;
    let transaction = transactions.values().find(|t| t.wallbox_id == id).unwrap();
    assert_eq!(
        transaction.stopped.as_ref().unwrap().reason,
        "EVDisconnected"
    );
    settles_at(&mut world, &["A", "B"], &[0, 16_000]);
}

#[test]
fn a_limit_that_was_never_confirmed_is_not_counted_on_after_a_crash() {
    let mut world = started(garage(22, &["A", "B"]));
    world.charge("A", Car::default());
    settles_at(&mut world, &["A"], &[16_000]);
    world.set_mute("A", true);
    world.charge("B", Car::default());
    settles_at(&mut world, &["B"], &[6_000]);
    world.crash();
    settles_at(&mut world, &["B"], &[6_000]);
    world.set_mute("A", false);
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
}

#[test]
fn no_transaction_id_leaves_before_it_is_on_disk() {
    let names = ["A", "B", "C"];
    let mut world = started(garage(32, &names));
    world.disk().delay = seconds(2);
    for (at, name) in names.into_iter().enumerate() {
        world.charge(name, Car::default());
        // Dies a little later each time: before the write, before and after the answer.
        world
            .run_for(Duration::from_millis(1_500 + 700 * at as u64))
            .unwrap();
        world.crash();
        let told = world.wallbox(name).unwrap().transaction(C1);
        let on_disk = |id| {
            let transactions = world.disk().recovered().transactions.values();
            transactions.into_iter().any(|t| t.wallbox_id == id)
        };
        assert!(told.is_none_or(on_disk), "{name} was told {told:?}");
    }
    world.run_for(seconds(120)).unwrap();
    for name in names {
        assert_eq!(world.wallbox(name).unwrap().unsent(), 0, "{name}");
    }
}

#[test]
fn a_failing_disk_delays_answers_and_touches_no_fuse() {
    let mut world = started(garage(22, &["A", "B"]));
    world.charge("A", Car::default());
    settles_at(&mut world, &["A"], &[16_000]);
    world.disk().failing = true;
    world.charge("B", Car::default());
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
    let id = world.wallbox("B").unwrap().transaction(C1).unwrap();
    let on_disk = |world: &mut World| {
        let transactions = &world.disk().recovered().transactions;
        transactions.values().any(|t| t.wallbox_id == id)
    };
    assert!(!on_disk(&mut world));
    world.disk().failing = false;
    world.run_for(seconds(5)).unwrap();
    assert!(on_disk(&mut world));
}

#[test]
fn a_wallbox_that_reboots_is_told_its_limit_again() {
    let plan = WorldPlan::new(1)
        .fuse("house", 22)
        .wallbox(WallboxPlan::new("A").quirk(Quirk::ResumesTransactions))
        .wallboxes(&["B"]);
    let mut world = started(plan);
    charge_all(&mut world, &["A", "B"]);
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
    world.reboot("A", seconds(20));
    settles_at(&mut world, &["A", "B"], &[11_000, 11_000]);
}

pub(crate) const NAMES: [&str; 5] = ["A", "B", "C", "D", "E"];

/// Everything at once: drivers, power cuts, lines that break, die or crawl, late answers, a site
/// that dies. Afterwards it calms down, and everybody must have been served.
fn storm(seed: u64) -> World {
    let plan = WorldPlan::new(seed)
        .fuse("house", 40)
        .wallboxes(&NAMES[..2])
        .fuse("garage", 25)
        .wallboxes(&NAMES[2..4])
        .wallbox(WallboxPlan::new("E").quirk(Quirk::ResumesTransactions))
        .with_evse(|evse| evse.rotation = Rotation::Unknown);
    let mut world = started(plan);
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
        world.set_reachable(name, true);
        world.at(name, "behaves", |wallbox, _| {
            wallbox.set_quirk(Quirk::LateAnswers, false);
        });
        world.line(name).unwrap().delay = Duration::from_millis(20);
    }
    world
}

pub(crate) fn blow(world: &mut World, name: &str, random: &mut Random) {
    let phases = if random.below(3) == 0 { 1 } else { 3 };
    match random.below(12) {
        0..=2 => world.charge(name, Car::default().phases(phases)),
        3 => world.unplug(name),
        4 => world.tap(name, &format!("TAG-{name}")),
        5 => world.lose_link(name),
        6 => {
            let mute = random.below(2) == 0;
            world.set_mute(name, mute);
        }
        7 => world.reboot(name, seconds(random.below(60))),
        8 => {
            let late = random.below(2) == 0;
            world.at(name, "late or not", |wallbox, _| {
                wallbox.set_quirk(Quirk::LateAnswers, late);
            });
        }
        9 => {
            if let Some(line) = world.line(name) {
                line.delay = Duration::from_millis(random.below(900));
            }
        }
        10 => world.crash(),
        _ => world.disk().delay = Duration::from_millis(random.below(1_000)),
    }
}

#[test]
fn the_fuse_holds_in_every_storm_and_afterwards_everything_is_delivered() {
    for seed in 0..30 {
        let mut world = storm(seed);
        world.run_for(Duration::from_mins(10)).unwrap();
        let delivered = |world: &World| {
            let all = NAMES.map(|name| world.wallbox(name).unwrap().unsent());
            all == [0; 5]
        };
        let outcome = world.run_until(seconds(10), delivered);
        outcome.unwrap_or_else(|failure| panic!("seed {seed}: {failure}"));
        for name in NAMES {
            let wallbox = world.wallbox(name).unwrap();
            if wallbox.transaction(C1).is_none() {
                assert_eq!(wallbox.allowed(C1, world.now()).0, 0, "seed {seed}: {name}");
            }
        }
        let charging = NAMES.map(|name| world.allowed(name).0);
        let waiting = NAMES
            .into_iter()
            .filter(|name| world.wallbox(name).unwrap().transaction(C1).is_some());
        let expected = waiting.count();
        let served = charging.iter().filter(|amps| **amps > 0).count();
        // 25 A carry four cars, 40 A six.
        assert_eq!(served, expected, "seed {seed}: {charging:?}");
    }
}
