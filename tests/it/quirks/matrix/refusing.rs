//! Every combination of what wallboxes take and refuse.

use chargewarden::evse::Reason;
use chargewarden::sim::{Quirk, World, WorldPlan};

use super::combinations;
use crate::quirks::lab::{Lab, seconds, status_of, wallbox};

/// What limits the choice of one property of a profile; the first of each is none.
const KINDS: [&[Quirk]; 3] = [&[], &[Quirk::OnlyRelative], &[Quirk::OnlyAbsolute]];
const LEVELS: [&[Quirk]; 2] = [&[], &[Quirk::OnlyStackLevel0]];
const UNITS: [&[Quirk]; 3] = [&[], &[Quirk::OnlyAmps], &[Quirk::OnlyWatts]];
const PLACES: [&[Quirk]; 4] = [
    &[],
    &[Quirk::OnlyTxProfile],
    &[Quirk::OnlyChargePointMax],
    &[Quirk::OnlyConnector0],
];
const STEPS: [&[Quirk]; 3] = [&[], &[Quirk::WholeAmps], &[Quirk::RefusesFractions]];
const MEMORIES: [&[Quirk]; 2] = [&[], &[Quirk::ForgetsProfiles]];

/// Steps are steps of amperes: who takes watts alone cannot refuse fractions of an ampere.
fn contradicts(quirks: &[Quirk]) -> bool {
    let has = |quirk| quirks.contains(&quirk);
    has(Quirk::OnlyWatts) && has(Quirk::RefusesFractions)
}

fn is_limited(world: &World, quirks: &[Quirk]) -> bool {
    let whole = [Quirk::WholeAmps, Quirk::RefusesFractions];
    let rounds = quirks.iter().any(|quirk| whole.contains(quirk));
    super::is_limited(world, if rounds { 0.99 } else { 0.01 })
}

fn outcome(quirks: &[Quirk]) {
    let plan = WorldPlan::new(7).fuse("house", 23);
    let mut lab = Lab::started(plan.wallbox(wallbox(quirks)).wallboxes(&["B"]));
    let needs_transaction = quirks.contains(&Quirk::OnlyTxProfile);

    // Nobody charges at A: it is held at 0, or booked at what it could take.
    lab.charge("B");
    lab.run(60);
    let beside = if needs_transaction { 7_000 } else { 16_000 };
    assert_eq!(lab.world.allowed("B").0, beside);
    if needs_transaction {
        assert_eq!(lab.evse("A").reason, Reason::NotLimitable.to_string());
    } else {
        assert!(is_limited(&lab.world, quirks) && lab.world.allowed("A").0 == 0);
    }

    // A transaction.
    lab.charge("A");
    let shared =
        |world: &World| is_limited(world, quirks) && status_of(world, "A").offered_a == Some(11.5);
    lab.within(60, shared);
    lab.run(20);
    assert!(shared(&lab.world), "it does not last");

    // Twice another connection: the first limit fits at once.
    for silent in [false, true] {
        lab.world.at("A", "boots or not", |wallbox, _| {
            wallbox.set_quirk(Quirk::NoBootAfterReconnect, silent);
        });
        let before = lab.limits("A").len();
        lab.world.lose_link("A");
        lab.run(25);
        let first = &lab.limits("A")[before];
        assert!(first.was_accepted(), "{first:?}");
        assert!(shared(&lab.world), "not limited after a reconnect");
    }

    // The power fails; the driver begins anew.
    lab.world.reboot("A", seconds(20));
    lab.run(40);
    assert!(needs_transaction || lab.world.allowed("A").0 == 0);
    lab.charge("A");
    lab.within(60, shared);
}

fn every_combination(place: &'static [Quirk]) {
    let axes = [&[place], &KINDS[..], &LEVELS, &UNITS, &STEPS, &MEMORIES];
    for quirks in combinations(&axes) {
        if !contradicts(&quirks) {
            println!("{quirks:?}");
            outcome(&quirks);
        }
    }
}

#[test]
fn every_wallbox_that_takes_any_purpose_ends_up_limited() {
    every_combination(PLACES[0]);
}

#[test]
fn every_wallbox_that_takes_transaction_profiles_alone_ends_up_limited() {
    every_combination(PLACES[1]);
}

#[test]
fn every_wallbox_that_takes_maximum_profiles_alone_ends_up_limited() {
    every_combination(PLACES[2]);
}

#[test]
fn every_wallbox_that_takes_profiles_of_connector_0_alone_ends_up_limited() {
    every_combination(PLACES[3]);
}
