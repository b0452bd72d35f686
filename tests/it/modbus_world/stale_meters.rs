//! A grid meter that is lost, stands still or says what cannot be true.

use std::time::Duration;

use chargewarden::sim::{Car, MeterFault, MeterMap, MeterPlan, World, WorldPlan};
use chargewarden::units::MilliAmps;

use super::lab::*;
use crate::server_sockets::Log;

const BOTH: [&str; 2] = ["CB", "PB"];

/// What both share while the meter is stale.
const FAILSAFE: i32 = 12_000;

fn with_failsafe(plan: WorldPlan) -> WorldPlan {
    plan.with_load(|load| load.circuits[0].failsafe = MilliAmps(FAILSAFE))
}

/// Both charge; the house has just taken less, so that they are about to be raised.
fn about_to_rise(meter: MeterPlan) -> World {
    let mut world = started(with_failsafe(mixed(meter, steady(12))));
    for name in BOTH {
        world.charge(name, Car::default());
    }
    world.run_for(seconds(150)).unwrap();
    let shared = allowed(&world, &BOTH);
    assert!(
        (18_000..=19_000).contains(&shared),
        "{shared} {:?}",
        status(&world)
    );
    world.set_house("grid", steady(2));
    world.run_for(seconds(5)).unwrap();
    assert_eq!(allowed(&world, &BOTH), shared, "a fall must last");
    world
}

fn is_stale(world: &World) -> bool {
    let status = status(world);
    status.circuits[0].failsafe
        && status.circuits[0].meter == "stale"
        && status.meters[0].state == "stale"
}

/// The meter said its last word a moment ago; both stay where they are, and fall after 15 s.
fn falls_to_failsafe(world: &mut World) {
    let before = allowed(world, &BOTH);
    let rises = |world: &World| allowed(world, &BOTH) > before;
    never(world, seconds(14), rises);
    assert!(!is_stale(world));
    assert_eq!(allowed(world, &BOTH), before, "not before its time is over");
    never(world, seconds(3), rises);
    assert!(is_stale(world));
    world.run_for(seconds(10)).unwrap();
    assert_eq!(allowed(world, &BOTH), FAILSAFE);
    for name in BOTH {
        let reason = evse(world, name).reason;
        assert_eq!(
            reason,
            "the meter of circuit house is stale; failsafe-current holds"
        );
    }
    let errors = status(world).errors.join("\n");
    assert!(errors.contains("meter grid: "), "{errors}");
}

fn recovers(world: &mut World) {
    let rises = |world: &World| allowed(world, &BOTH) > FAILSAFE;
    // The bus asks again within 10 s; the first two readings prove nothing.
    world
        .run_until(seconds(15), |world| !is_stale(world))
        .unwrap();
    assert!(!rises(world));
    assert_eq!(status(world).errors, Vec::<String>::new());
    let all = |world: &World| allowed(world, &BOTH) >= 28_000;
    world.run_until(seconds(180), all).unwrap();
}

fn lines(log: &Log, what: &str) -> usize {
    log.text()
        .lines()
        .filter(|line| line.contains(what))
        .count()
}

/// For so long after the failsafe current holds.
fn cable_is_pulled_for(span: Duration, cut: impl Fn(&mut World, bool)) {
    let mut world = about_to_rise(sdm630());
    let log = Log::catch();
    cut(&mut world, true);
    falls_to_failsafe(&mut world);
    never(&mut world, span, |world| {
        allowed(world, &BOTH) > FAILSAFE || !is_stale(world)
    });
    cut(&mut world, false);
    recovers(&mut world);
    for (line, times) in [
        ("something is wrong with a meter", 1),
        ("a meter says nothing any more", 1),
        ("a meter is well again", 1),
        ("a meter can be believed again", 1),
    ] {
        assert_eq!(lines(&log, line), times, "{line}:\n{}", log.text());
    }
}

#[test]
fn a_meter_whose_cable_is_pulled_for_a_minute_lets_nobody_rise_and_then_the_failsafe_current_holds()
{
    cable_is_pulled_for(seconds(33), |world, cut| {
        world.modbus_line("grid").unwrap().cut = cut;
    });
}

#[test]
fn a_meter_that_nobody_hears_for_ten_minutes_is_complained_of_once_and_believed_again() {
    cable_is_pulled_for(minutes(9), |world, cut| {
        world.modbus_line("grid").unwrap().mute = cut;
    });
}

#[test]
fn a_car_that_comes_while_a_meter_says_nothing_is_not_started_before_the_failsafe_current_holds() {
    let mut world = started(with_failsafe(mixed(sdm630(), steady(2))));
    world.charge("CB", Car::default());
    world.run_for(seconds(100)).unwrap();
    let before = world.allowed("CB");
    world.modbus_line("grid").unwrap().cut = true;
    world.run_for(seconds(4)).unwrap();
    world.charge("PB", Car::default());
    never(&mut world, seconds(10), |world| {
        world.allowed("PB") > MilliAmps::ZERO || world.allowed("CB") > before
    });
    let reason = evse(&world, "PB").reason;
    assert_eq!(reason, "waits for a reading of the meter of circuit house");
    let shared = |world: &World| world.allowed("PB") == MilliAmps(6000);
    world.run_until(seconds(60), shared).unwrap();
    assert_eq!(world.allowed("CB"), MilliAmps(6000));
}

#[test]
fn a_meter_that_shows_the_same_for_a_minute_is_stale_a_quarter_of_a_minute_later() {
    let mut world = about_to_rise(sdm630());
    world.run_for(seconds(120)).unwrap();
    world.at_meter("grid", "freezes", |meter, now| {
        meter.set_fault(now, Some(MeterFault::Frozen));
    });
    never(&mut world, seconds(70), is_stale);
    world.run_until(seconds(10), is_stale).unwrap();
    let errors = status(&world).errors.join("\n");
    assert!(errors.contains("exactly the same"), "{errors}");
    world.run_for(seconds(20)).unwrap();
    assert_eq!(allowed(&world, &BOTH), FAILSAFE);
    world.at_meter("grid", "is restarted", |meter, now| {
        meter.set_fault(now, None);
    });
    recovers(&mut world);
}

#[test]
fn a_meter_whose_energy_stands_still_while_power_flows_is_stale_within_six_minutes() {
    let mut world = about_to_rise(MeterPlan::new(MeterMap::PowerBrain));
    world.run_for(seconds(120)).unwrap();
    world.at_meter("grid", "freezes", |meter, now| {
        meter.set_fault(now, Some(MeterFault::Frozen));
    });
    never(&mut world, seconds(290), is_stale);
    world.run_until(seconds(60), is_stale).unwrap();
    world.run_for(seconds(20)).unwrap();
    assert_eq!(allowed(&world, &BOTH), FAILSAFE);
}

#[test]
fn what_is_no_number_is_no_reading() {
    for map in MeterMap::ALL {
        let mut world = about_to_rise(MeterPlan::new(map));
        world.at_meter("grid", "reads nothing", |meter, now| {
            meter.set_fault(now, Some(MeterFault::NotANumber));
        });
        falls_to_failsafe(&mut world);
        world.at_meter("grid", "reads again", |meter, now| {
            meter.set_fault(now, None);
        });
        recovers(&mut world);
    }
}

#[test]
fn a_current_that_no_fuse_carries_is_no_reading() {
    for amperes in [700, 1500] {
        let mut world = about_to_rise(sdm630());
        world.set_house("grid", steady(amperes));
        // The last good reading is half a second old.
        falls_to_failsafe(&mut world);
        world.set_house("grid", steady(2));
        recovers(&mut world);
    }
}

#[test]
fn a_meter_that_is_read_the_wrong_way_round_hides_the_house_and_never_the_cars() {
    let mut world = about_to_rise(sdm630());
    world.set_house("grid", steady(5));
    world.at_meter("grid", "its clamps are turned", |meter, _| {
        meter.set_inverted(true);
    });
    // What looks like feeding in never makes room: the cars share the fuse less the reserve.
    never(&mut world, seconds(300), |world| {
        allowed(world, &BOTH) > 31_000
    });
    let status = status(&world);
    assert!(status.meters[0].current_a.unwrap()[0] < -20.0, "{status:?}");
    assert_eq!(status.circuits[0].house_a, Some([0.0; 3]));
}
