//! Every combination of what wallboxes accept and ignore, beside what they refuse.

use chargewarden::sim::{Quirk, World, WorldPlan};

use super::{combinations, is_limited};
use crate::quirks::lab::{Lab, seconds, status_of, wallbox};

const KINDS: [&[Quirk]; 5] = [
    &[],
    &[Quirk::OnlyRelative],
    &[Quirk::OnlyAbsolute],
    &[Quirk::ObeysRelative],
    &[Quirk::ObeysAbsolute],
];
const LEVELS: [&[Quirk]; 3] = [&[], &[Quirk::OnlyStackLevel0], &[Quirk::ObeysStackLevel0]];
const UNITS: [&[Quirk]; 5] = [
    &[],
    &[Quirk::OnlyAmps],
    &[Quirk::OnlyWatts],
    &[Quirk::ObeysAmps],
    &[Quirk::ObeysWatts],
];
const STEPS: [&[Quirk]; 3] = [&[], &[Quirk::RefusesFractions], &[Quirk::ObeysWholeAmps]];

/// All that it takes to be obeyed everywhere but in one place, or on whole amperes alone.
const ROUNDS: f64 = 0.99;

/// Nobody has seen a wallbox that ignores relative profiles and those above level 0, nor one that
/// looks at a default only when a transaction begins and ignores the absolute ones. Steps are steps
/// of amperes.
fn is_unheard_of(quirks: &[Quirk]) -> bool {
    let has = |quirk| quirks.contains(&quirk);
    let steps = has(Quirk::RefusesFractions) || has(Quirk::ObeysWholeAmps);
    (has(Quirk::ObeysAbsolute) && has(Quirk::ObeysStackLevel0))
        || (has(Quirk::DefaultsAtStart) && has(Quirk::ObeysRelative))
        || ((has(Quirk::OnlyWatts) || has(Quirk::ObeysWatts)) && steps)
}

fn offers(world: &World, amps: f64) -> bool {
    status_of(world, "A").offered_a == Some(amps)
}

/// What the fuse carries is no matter here: a wallbox draws what it likes until it is understood.
fn outcome(quirks: &[Quirk]) {
    let plan = WorldPlan::new(7).fuse("house", 32);
    let mut lab = Lab::started(plan.wallbox(wallbox(quirks)).wallboxes(&["B"]));
    lab.limits_to(8);

    // A minute after its first ampere it is known how it is limited.
    lab.charge("A");
    lab.run(60);
    assert!(
        lab.world.allowed("A").0 <= 8_000,
        "not limited within a minute"
    );
    lab.within(60, |world| is_limited(world, ROUNDS) && offers(world, 8.0));
    lab.run(30);
    assert!(
        is_limited(&lab.world, ROUNDS) && offers(&lab.world, 8.0),
        "it does not last"
    );

    // From now on it is limited as fast as any other.
    lab.limits_to(23);
    lab.charge("B");
    let shared = |world: &World| is_limited(world, ROUNDS) && offers(world, 11.5);
    lab.within(60, shared);
    lab.run(20);
    assert!(shared(&lab.world), "it does not last");
    for silent in [false, true] {
        lab.world.at("A", "boots or not", |wallbox, _| {
            wallbox.set_quirk(Quirk::NoBootAfterReconnect, silent);
        });
        lab.world.lose_link("A");
        lab.run(25);
        assert!(shared(&lab.world), "not limited after a reconnect");
    }

    // The power fails, and it forgets everything; the driver begins anew.
    lab.world.at("A", "forgets", |wallbox, _| {
        wallbox.set_quirk(Quirk::ForgetsProfiles, true);
    });
    lab.world.reboot("A", seconds(20));
    lab.run(60);
    lab.charge("A");
    lab.run(5);
    assert!(lab.world.allowed("A").0 <= 11_500, "not limited at once");
    lab.within(55, shared);
}

fn every_combination(place: &'static [Quirk]) {
    let axes = [&[place], &KINDS[..], &LEVELS, &UNITS, &STEPS];
    for quirks in combinations(&axes) {
        let ignores = quirks
            .iter()
            .any(|quirk| quirk.as_str().starts_with("obeys") || *quirk == Quirk::DefaultsAtStart);
        if ignores && !is_unheard_of(&quirks) {
            println!("{quirks:?}");
            outcome(&quirks);
        }
    }
}

#[test]
fn every_wallbox_that_obeys_in_any_place_ends_up_limited() {
    every_combination(&[]);
}

#[test]
fn every_wallbox_that_obeys_transaction_profiles_alone_ends_up_limited() {
    every_combination(&[Quirk::ObeysTxProfile]);
}

#[test]
fn every_wallbox_that_obeys_maximum_profiles_alone_ends_up_limited() {
    every_combination(&[Quirk::ObeysChargePointMax]);
}

#[test]
fn every_wallbox_that_obeys_profiles_of_connector_0_alone_ends_up_limited() {
    every_combination(&[Quirk::ObeysConnector0]);
}

#[test]
fn every_wallbox_that_looks_at_default_profiles_at_the_start_alone_ends_up_limited() {
    every_combination(&[Quirk::DefaultsAtStart]);
}
