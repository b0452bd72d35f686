//! What backends allow, and what they cannot.

use chargewarden::ocpp::ChargePointStatus;
use chargewarden::ocpp::charging_profile::ChargingProfilePurpose::{
    ChargePointMaxProfile, TxDefaultProfile, TxProfile,
};
use chargewarden::ocpp::charging_profile::{ChargingProfile, ChargingSchedulePeriod, Tenths};
use chargewarden::sim::backend::{Limit, constant_profile};
use chargewarden::units::{MilliAmps, Watts};

use super::lab::*;

const ACCEPTED: &str = r#"{"status":"Accepted"}"#;
const REJECTED: &str = r#"{"status":"Rejected"}"#;

fn amps(amps: i32) -> Limit {
    Limit::Amps(MilliAmps::from_amps(amps))
}

/// For so long it is true at every event.
#[track_caller]
fn always(world: &mut World, span: std::time::Duration, is: impl Fn(&World) -> bool) {
    let broken = world.run_until(span, |world| !is(world));
    assert!(
        broken.is_err(),
        "{} at {:?}",
        world.allowed("A"),
        world.now()
    );
}

fn charging() -> World {
    let mut world = started(correct());
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.run_for(seconds(30)).unwrap();
    assert_eq!(world.allowed("A").0, 16_000);
    world
}

fn tx_profile(limit: Limit) -> ChargingProfile {
    constant_profile(C1, TxProfile, limit)
}

#[test]
fn the_lesser_of_what_the_backend_and_the_fuse_allow_flows_at_every_instant() {
    let plan = WorldPlan::new(1)
        .fuse("house", 20)
        .wallboxes(&["A", "B"])
        .backend(URL, BackendPlan::default())
        .gateway(&["A"], "CP-A");
    let mut world = started(plan);
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.run_for(seconds(30)).unwrap();
    assert_eq!(world.allowed("A").0, 16_000);
    let limit = Command::limit(C1, TxDefaultProfile, amps(12));
    assert_eq!(answer(&mut world, "CP-A", limit), ACCEPTED);
    always(&mut world, minutes(2), |world| {
        world.allowed("A").0 == 12_000
    });
    // The other car takes its half; now the fuse is what counts.
    world.charge("B", Car::default());
    always(&mut world, minutes(1), |world| {
        world.allowed("A").0 <= 12_000
    });
    always(&mut world, minutes(2), |world| {
        world.allowed("A").0 == 10_000
    });
    assert_eq!(world.allowed("B").0, 10_000);
    let limit = Command::limit(C1, TxDefaultProfile, amps(7));
    assert_eq!(answer(&mut world, "CP-A", limit), ACCEPTED);
    always(&mut world, minutes(1), |world| {
        world.allowed("A").0 == 7_000
    });
    assert_eq!(world.allowed("B").0, 13_000, "what A may not use");
    world.unplug("B");
    always(&mut world, minutes(2), |world| {
        world.allowed("A").0 == 7_000
    });
    assert_eq!(answer(&mut world, "CP-A", Command::clear_all()), ACCEPTED);
    world.run_for(seconds(30)).unwrap();
    assert_eq!(world.allowed("A").0, 16_000);
    world.unplug("A");
    world.settle_bills().unwrap();
}

#[test]
fn a_schedule_of_the_backend_is_followed_to_the_second() {
    let mut world = charging();
    let mut profile = tx_profile(amps(14));
    let schedule = &mut profile.charging_schedule;
    schedule.start_schedule = Some(world.now().wall);
    let period = |start, limit| ChargingSchedulePeriod {
        start_period: start,
        limit: Tenths::of_amps(MilliAmps::from_amps(limit)),
        number_phases: None,
    };
    schedule.charging_schedule_period = vec![period(0, 14), period(120, 8), period(240, 11)];
    profile.transaction_id = Some(1);
    let connector = C1;
    let set = Command::SetChargingProfile { connector, profile };
    assert_eq!(answer(&mut world, "CP-A", set), ACCEPTED);
    // 20 s are over. A limit is there within 5 s of its time.
    always(&mut world, seconds(99), |world| {
        world.allowed("A").0 == 14_000
    });
    world.run_for(seconds(6)).unwrap();
    always(&mut world, seconds(114), |world| {
        world.allowed("A").0 == 8_000
    });
    world.run_for(seconds(30)).unwrap();
    always(&mut world, minutes(5), |world| {
        world.allowed("A").0 == 11_000
    });
    // It was for this transaction.
    world.unplug("A");
    world.run_for(seconds(20)).unwrap();
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.run_for(seconds(30)).unwrap();
    assert_eq!(world.allowed("A").0, 16_000);
    world.unplug("A");
    world.settle_bills().unwrap();
}

#[test]
fn the_profile_of_a_remote_start_holds_for_its_transaction() {
    let mut world = started(correct());
    world.plug("A", Car::default());
    world.run_for(seconds(10)).unwrap();
    let start = Command::RemoteStart {
        connector: Some(C1),
        tag: "REMOTE".into(),
        profile: Some(tx_profile(amps(9))),
    };
    world.command("CP-A", start).unwrap();
    always(&mut world, minutes(5), |world| {
        world.allowed("A").0 <= 9_000
    });
    assert_eq!(world.allowed("A").0, 9_000);
    world.unplug("A");
    world.run_for(seconds(20)).unwrap();
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.run_for(seconds(30)).unwrap();
    assert_eq!(world.allowed("A").0, 16_000);
    world.unplug("A");
    world.settle_bills().unwrap();
}

#[test]
fn case_27_clearing_all_profiles_never_lifts_the_local_limit() {
    let plan = WorldPlan::new(1)
        .fuse("house", 20)
        .wallboxes(&["A", "B"])
        .backend(URL, BackendPlan::default())
        .gateway(&["A"], "CP-A");
    let mut world = started(plan);
    world.charge("A", Car::default());
    world.charge("B", Car::default());
    charges(&mut world, "A");
    world.run_for(minutes(1)).unwrap();
    assert_eq!(world.allowed("A").0, 10_000);
    for round in 0..5 {
        if round == 2 {
            let limit = Command::limit(C1, TxDefaultProfile, amps(16));
            assert_eq!(answer(&mut world, "CP-A", limit), ACCEPTED);
        }
        let answered = answer(&mut world, "CP-A", Command::clear_all());
        let expected = if round == 2 {
            ACCEPTED
        } else {
            r#"{"status":"Unknown"}"#
        };
        assert_eq!(answered, expected);
        always(&mut world, seconds(30), |world| {
            world.allowed("A").0 == 10_000
        });
    }
    world.unplug("A");
    world.settle_bills().unwrap();
}

#[test]
fn case_28_a_profile_for_no_transaction_is_refused_and_the_wallbox_sees_nothing() {
    let mut world = started(correct());
    let set = |connector, transaction| {
        let mut profile = tx_profile(amps(8));
        profile.transaction_id = transaction;
        Command::SetChargingProfile { connector, profile }
    };
    assert_eq!(answer(&mut world, "CP-A", set(C1, None)), REJECTED);
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.run_for(seconds(30)).unwrap();
    assert_eq!(answer(&mut world, "CP-A", set(C1, Some(99))), REJECTED);
    assert_eq!(
        answer(&mut world, "CP-A", set(ConnectorId(0), None)),
        REJECTED
    );
    assert_eq!(world.allowed("A").0, 16_000);
    assert_eq!(answer(&mut world, "CP-A", set(C1, Some(1))), ACCEPTED);
    assert_eq!(world.allowed("A").0, 8_000);
}

#[test]
fn case_29_power_on_one_phase_is_current_on_one_phase() {
    let mut world = charging();
    let mut profile = constant_profile(
        ConnectorId(0),
        ChargePointMaxProfile,
        Limit::Watts(Watts(4140)),
    );
    profile.charging_schedule.charging_schedule_period[0].number_phases = Some(1);
    let connector = ConnectorId(0);
    let set = Command::SetChargingProfile { connector, profile };
    assert_eq!(answer(&mut world, "CP-A", set), ACCEPTED);
    world.run_for(seconds(20)).unwrap();
    assert_eq!(world.allowed("A").0, 6_000, "the car takes three phases");
}

#[test]
fn case_30_less_than_a_car_can_take_is_nothing_and_is_reported_as_it_was_said() {
    let mut world = charging();
    let limit = Command::limit(C1, TxDefaultProfile, amps(5));
    assert_eq!(answer(&mut world, "CP-A", limit), ACCEPTED);
    assert_eq!(world.allowed("A").0, 0);
    let status = world.wallbox("A").unwrap().status(C1);
    assert_eq!(status, Some(ChargePointStatus::SuspendedEVSE));
    let ask = Command::GetCompositeSchedule {
        connector: C1,
        seconds: 60,
        unit: None,
    };
    let schedule = answer(&mut world, "CP-A", ask);
    assert!(schedule.contains(r#""limit":5"#), "{schedule}");
    assert_eq!(answer(&mut world, "CP-A", Command::clear_all()), ACCEPTED);
    charges(&mut world, "A");
    world.unplug("A");
    world.settle_bills().unwrap();
}

#[test]
fn limits_of_the_backend_survive_its_absence_and_a_crash_of_the_site() {
    let mut world = charging();
    let limit = Command::limit(C1, TxDefaultProfile, amps(9));
    assert_eq!(answer(&mut world, "CP-A", limit), ACCEPTED);
    world.set_backend_reachable("CP-A", false);
    always(&mut world, minutes(10), |world| {
        world.allowed("A").0 == 9_000
    });
    world.crash();
    always(&mut world, minutes(10), |world| {
        world.allowed("A").0 <= 9_000
    });
    assert_eq!(world.allowed("A").0, 9_000);
    world.set_backend_reachable("CP-A", true);
    world.unplug("A");
    world.settle_bills().unwrap();
}

/// The backend is away when the session starts, and refuses the tag when it hears of it.
fn refused_late(stops: bool) -> World {
    let mut world = started(correct());
    let key = "StopTransactionOnInvalidId".to_owned();
    let value = stops.to_string();
    let change = Command::ChangeConfiguration { key, value };
    assert_eq!(answer(&mut world, "CP-A", change), ACCEPTED);
    world.set_backend_reachable("CP-A", false);
    world.charge("A", Car::default());
    charges(&mut world, "A");
    set_quirk(&mut world, Some(BackendQuirk::InvalidStarts));
    world.set_backend_reachable("CP-A", true);
    let heard = |world: &World| ledger(world).starts("CP-A") == 1;
    world.run_until(minutes(10), heard).unwrap();
    world.run_for(seconds(20)).unwrap();
    assert_eq!(world.allowed("A").0, 0);
    world
}

#[test]
fn case_18_a_tag_that_is_refused_late_is_stopped_where_the_backend_wants_that() {
    let mut world = refused_late(true);
    assert_eq!(transaction(&world, "A"), None);
    world.settle_bills().unwrap();
    let only = ledger(&world).transactions("CP-A")[0];
    assert!(
        only.stops[0].contains(r#""reason":"DeAuthorized""#),
        "{only:?}"
    );
}

#[test]
fn case_18_a_tag_that_is_refused_late_gets_no_current_where_the_backend_wants_that() {
    let mut world = refused_late(false);
    world.run_for(minutes(10)).unwrap();
    assert_eq!(world.allowed("A").0, 0);
    assert!(transaction(&world, "A").is_some());
    let status = world.wallbox("A").unwrap().status(C1);
    assert_eq!(status, Some(ChargePointStatus::SuspendedEVSE));
    world.crash();
    world.run_for(minutes(5)).unwrap();
    assert_eq!(world.allowed("A").0, 0, "nor after a restart");
    world.unplug("A");
    world.settle_bills().unwrap();
}
