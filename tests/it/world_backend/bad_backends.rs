//! Backends with bad habits: the wallbox notices none of them.

use super::lab::*;

/// What spoils no session.
fn harmless() -> impl Iterator<Item = BackendQuirk> {
    let all = BackendQuirk::ALL.iter().copied();
    all.filter(|quirk| *quirk != BackendQuirk::InvalidStarts)
}

/// The backend has recovered: everything is there.
#[track_caller]
fn settle(world: &mut World, quirk: BackendQuirk, sessions: usize) {
    answered_in_time(world);
    set_quirk(world, None);
    world
        .settle_bills()
        .unwrap_or_else(|failure| panic!("{quirk}: {failure}"));
    answered_in_time(world);
    assert_eq!(ledger(world).starts("CP-A"), sessions, "{quirk}");
}

#[test]
fn a_backend_with_any_bad_habit_from_the_start_costs_nothing() {
    for quirk in harmless() {
        let mut world = started(alone(BackendPlan::default().quirk(quirk)));
        for _ in 0..2 {
            session(&mut world, "A", minutes(5));
        }
        settle(&mut world, quirk, 2);
    }
}

#[test]
fn a_backend_that_falls_into_a_bad_habit_in_mid_session_costs_nothing() {
    for quirk in harmless() {
        let mut world = started(correct());
        world.charge("A", Car::default());
        charges(&mut world, "A");
        world.run_for(minutes(2)).unwrap();
        set_quirk(&mut world, Some(quirk));
        world.run_for(minutes(5)).unwrap();
        assert!(world.allowed("A").0 >= 6_000, "{quirk}: it charges on");
        world.unplug("A");
        world.run_for(seconds(20)).unwrap();
        session(&mut world, "A", minutes(5));
        settle(&mut world, quirk, 2);
    }
}

#[test]
fn a_backend_with_any_bad_habit_gets_everything_without_recovering() {
    let silent = |quirk: &BackendQuirk| *quirk == BackendQuirk::NeverAnswers;
    for quirk in harmless().filter(|quirk| !silent(quirk)) {
        let mut world = started(alone(BackendPlan::default().quirk(quirk)));
        session(&mut world, "A", minutes(5));
        world
            .settle_bills()
            .unwrap_or_else(|failure| panic!("{quirk}: {failure}"));
        answered_in_time(&world);
        assert_eq!(ledger(&world).starts("CP-A"), 1, "{quirk}");
    }
}

#[test]
fn two_cars_share_the_fuse_whatever_the_backend_does() {
    for quirk in harmless() {
        let plan = WorldPlan::new(7)
            .fuse("house", 20)
            .wallboxes(&["A", "B"])
            .backend(URL, BackendPlan::default().quirk(quirk))
            .gateway(&["A"], "CP-A");
        let mut world = started(trusting(trusting(plan).gateway(&["B"], "CP-B")));
        for name in ["A", "B"] {
            world.charge(name, Car::default());
        }
        let shared = |world: &World| ["A", "B"].map(|it| world.allowed(it).0) == [10_000; 2];
        world
            .run_until(seconds(90), shared)
            .unwrap_or_else(|failure| panic!("{quirk}: {failure}"));
        world.unplug("A");
        world.unplug("B");
        set_quirk(&mut world, None);
        world.settle_bills().unwrap();
    }
}

#[test]
fn a_night_with_a_silent_backend_fills_the_queue_to_its_length_and_no_more() {
    let silent = BackendPlan::default().quirk(BackendQuirk::NeverAnswers);
    let plan = alone(silent).with_gateway(|gateway| gateway.max_queue = 60);
    let mut world = started(plan);
    for _ in 0..3 {
        session(&mut world, "A", minutes(120));
        assert!(queued(&mut world) <= 60);
    }
    answered_in_time(&world);
    set_quirk(&mut world, None);
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 3);
}

#[test]
fn case_39_a_tag_that_was_accepted_before_is_not_kept_waiting_by_a_silent_backend() {
    let plan = correct().with_gateway(|gateway| {
        gateway.members[0].offline_unknown_tags = false;
    });
    let mut world = started(plan);
    session(&mut world, "A", minutes(1));
    set_quirk(&mut world, Some(BackendQuirk::NeverAnswers));
    world.charge("A", Car::default());
    let runs = |world: &World| transaction(world, "A").is_some();
    world.run_until(seconds(30), runs).unwrap();
    answered_in_time(&world);
    world.unplug("A");
    set_quirk(&mut world, None);
    world.settle_bills().unwrap();
}

#[test]
fn case_38_a_pending_backend_gets_only_what_it_may_get_and_the_wallbox_charges() {
    let quirk = BackendQuirk::PendingAtFirst;
    let backend = BackendPlan {
        hesitation: minutes(10),
        ..BackendPlan::default().quirk(quirk)
    };
    let mut world = started(alone(backend));
    session(&mut world, "A", minutes(3));
    let actions = ledger(&world).actions("CP-A");
    assert!(actions.len() > 5, "it asks again: {actions:?}");
    assert!(actions.iter().all(|action| *action == "BootNotification"));
    world.settle_bills().unwrap();
}

#[test]
fn case_49_a_backend_that_closes_every_minute_keeps_its_place_in_the_queue() {
    let mut world = started(alone(
        BackendPlan::default().quirk(BackendQuirk::ClosesEachMinute),
    ));
    session(&mut world, "A", minutes(30));
    world.settle_bills().unwrap();
    let only = ledger(&world).transactions("CP-A")[0];
    assert!((30..=32).contains(&only.meter_values.len()), "{only:?}");
}

#[test]
fn a_backend_that_refuses_every_start_at_once_stops_the_wallbox_and_is_told_so() {
    let mut world = started(alone(
        BackendPlan::default().quirk(BackendQuirk::InvalidStarts),
    ));
    world.charge("A", Car::default());
    world.run_for(minutes(3)).unwrap();
    assert_eq!(world.allowed("A").0, 0);
    world.unplug("A");
    world.settle_bills().unwrap();
    let only = ledger(&world).transactions("CP-A")[0];
    assert!(only.stops[0].contains("DeAuthorized"), "{only:?}");
}
