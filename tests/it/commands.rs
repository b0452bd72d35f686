//! What people tell the daemon while it runs: switching EVSEs, limit signals, shutdown.

use std::time::Duration;

use chargewarden::load::WhenDisabled;
use chargewarden::sim::{Car, World, WorldPlan};
use chargewarden::site::HandOver;
use chargewarden::site::control::Signal;
use chargewarden::units::{MilliAmps, Watts};

const MINUTE: Duration = Duration::from_mins(1);

/// A and B charge with 16 A each, and C, if there is one, waits for nobody: the fuse bears all.
fn charging(plan: WorldPlan, names: &[&str]) -> World {
    let mut world = plan.start();
    world.run_for(MINUTE).unwrap();
    for name in names {
        world.charge(name, Car::default().max_amps(32));
    }
    world.run_for(2 * MINUTE).unwrap();
    world
}

fn amps(world: &World, names: &[&str]) -> Vec<f64> {
    names
        .iter()
        .map(|name| world.allowed(name).as_amps())
        .collect()
}

fn switch(world: &mut World, evse: &str, enabled: bool) {
    let now = world.now();
    world
        .site_mut()
        .set_enabled(now, &evse.into(), enabled)
        .unwrap();
    world.run_for(MINUTE).unwrap();
}

fn signal(world: &mut World, signal: Signal) {
    let now = world.now();
    world
        .site_mut()
        .set_signal(now, &"house".into(), signal)
        .unwrap();
}

#[test]
fn a_disabled_evse_is_paused_and_its_share_goes_to_others_until_it_is_enabled_again() {
    let names = ["A", "B"];
    let mut world = charging(
        WorldPlan::new(1).fuse("house", 22).wallboxes(&names),
        &names,
    );
    assert_eq!(amps(&world, &names), [11.0, 11.0]);
    switch(&mut world, "A", false);
    assert_eq!(amps(&world, &names), [0.0, 16.0]);
    switch(&mut world, "A", true);
    assert_eq!(amps(&world, &names), [11.0, 11.0]);
}

#[test]
fn a_disabled_evse_may_keep_its_minimum() {
    let names = ["A", "B"];
    let plan = WorldPlan::new(1)
        .fuse("house", 22)
        .wallboxes(&names)
        .with_load(|load| load.when_disabled = WhenDisabled::Minimum);
    let mut world = charging(plan, &names);
    switch(&mut world, "A", false);
    assert_eq!(amps(&world, &names), [6.0, 16.0]);
}

#[test]
fn a_released_evse_is_free_of_profiles_once_the_others_have_made_room_and_is_limited_again_later() {
    let names = ["A", "B"];
    let plan = WorldPlan::new(1)
        .fuse("house", 38)
        .wallboxes(&names)
        .with_evse(|evse| evse.max = MilliAmps::from_amps(32))
        .with_load(|load| load.when_disabled = WhenDisabled::Release);
    let mut world = charging(plan, &names);
    assert_eq!(amps(&world, &names), [16.0, 22.0]);
    switch(&mut world, "B", false);
    assert_eq!(
        amps(&world, &names),
        [6.0, 32.0],
        "what its hardware can, and the rest"
    );
    switch(&mut world, "B", true);
    world.run_for(2 * MINUTE).unwrap();
    assert_eq!(amps(&world, &names), [16.0, 22.0]);
}

#[test]
fn a_limit_signal_is_obeyed_within_5_seconds_survives_a_crash_and_ends() {
    let names = ["A", "B"];
    let mut world = charging(
        WorldPlan::new(1).fuse("house", 32).wallboxes(&names),
        &names,
    );
    let total = |world: &World| amps(world, &names).iter().sum::<f64>() * 3.0 * 230.0;
    signal(&mut world, Signal::Watts(Watts(9200)));
    world.run_for(Duration::from_secs(5)).unwrap();
    assert!(
        (8500.0..=9200.0).contains(&total(&world)),
        "{:?}",
        amps(&world, &names)
    );
    world.crash();
    world.run_for(2 * MINUTE).unwrap();
    assert!(total(&world) <= 9200.0, "{:?}", amps(&world, &names));
    signal(&mut world, Signal::Off);
    world.run_for(2 * MINUTE).unwrap();
    assert_eq!(amps(&world, &names), [16.0, 16.0]);
}

#[test]
fn a_limit_signal_that_is_on_needs_its_watts_in_the_configuration() {
    let mut world = charging(WorldPlan::new(1).fuse("house", 32).wallboxes(&["A"]), &[]);
    let now = world.now();
    let error = world
        .site_mut()
        .set_signal(now, &"house".into(), Signal::On)
        .unwrap_err();
    assert!(error.contains("limit-signal"), "{error}");
    let error = world
        .site_mut()
        .set_signal(now, &"cellar".into(), Signal::Off)
        .unwrap_err();
    assert!(
        error.contains("house"),
        "it names those that exist: {error}"
    );
}

#[test]
fn before_a_shutdown_every_evse_is_left_with_its_failsafe_current() {
    let names = ["A", "B"];
    let plan = WorldPlan::new(1)
        .fuse("house", 32)
        .wallboxes(&names)
        .with_load(|load| {
            for evse in &mut load.evses {
                evse.failsafe = MilliAmps::from_amps(6);
            }
        });
    let mut world = charging(plan, &names);
    let now = world.now();
    world.site_mut().hand_over(now, HandOver::Failsafe);
    world.run_for(Duration::from_secs(5)).unwrap();
    assert!(world.site().is_handed_over());
    assert_eq!(amps(&world, &names), [6.0, 6.0]);
}

#[test]
fn before_a_shutdown_every_evse_may_be_released() {
    let names = ["A", "B"];
    let mut world = charging(
        WorldPlan::new(1).fuse("house", 64).wallboxes(&names),
        &names,
    );
    let now = world.now();
    world.site_mut().hand_over(now, HandOver::Release);
    world.run_for(Duration::from_secs(5)).unwrap();
    assert!(world.site().is_handed_over());
    assert_eq!(amps(&world, &names), [32.0, 32.0], "the hardware decides");
}
