//! Backends that are away.

use super::lab::*;

/// The first id of our own.
const OURS: i64 = 1_000_000_000;

fn actions_from<'a>(world: &'a World, first: &str) -> Vec<&'a str> {
    let actions = ledger(world).actions("CP-A");
    let from = actions.iter().rposition(|action| *action == first).unwrap();
    actions[from..].to_vec()
}

#[test]
fn case_16_a_session_while_the_backend_is_away_arrives_hours_later_in_order_and_unchanged() {
    let mut world = started(correct());
    world.set_backend_reachable("CP-A", false);
    world.charge("A", Car::default());
    charges(&mut world, "A");
    assert!(transaction(&world, "A") > Some(OURS));
    world.run_for(seconds(185)).unwrap();
    world.unplug("A");
    world.run_for(minutes(120)).unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 0);
    world.set_backend_reachable("CP-A", true);
    world.settle_bills().unwrap();
    answered_in_time(&world);
    assert_eq!(
        actions_from(&world, "BootNotification")
            .into_iter()
            .filter(|it| *it != "Heartbeat")
            .collect::<Vec<_>>(),
        [
            "BootNotification",
            "StatusNotification",
            "StatusNotification",
            "StartTransaction",
            "MeterValues",
            "MeterValues",
            "MeterValues",
            "MeterValues",
            "StopTransaction",
        ]
    );
    let transactions = ledger(&world).transactions("CP-A");
    assert_eq!(transactions[0].id, Some(1), "its own id is in all messages");
}

#[test]
fn case_17_the_site_dies_between_start_and_stop_while_the_backend_is_away() {
    let mut world = started(correct());
    world.set_backend_reachable("CP-A", false);
    world.charge("A", Car::default());
    charges(&mut world, "A");
    let told = transaction(&world, "A");
    for _ in 0..3 {
        world.run_for(minutes(2)).unwrap();
        world.crash();
    }
    world.run_for(minutes(2)).unwrap();
    assert_eq!(transaction(&world, "A"), told);
    world.unplug("A");
    world.run_for(minutes(2)).unwrap();
    world.crash();
    world.set_backend_reachable("CP-A", true);
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 1);
}

#[test]
fn a_backend_that_goes_in_mid_session_misses_nothing() {
    for mute in [false, true] {
        let mut world = started(correct());
        world.charge("A", Car::default());
        charges(&mut world, "A");
        world.run_for(minutes(2)).unwrap();
        if mute {
            world.set_backend_mute("CP-A", true);
        } else {
            world.set_backend_reachable("CP-A", false);
        }
        world.run_for(minutes(120)).unwrap();
        assert!(world.allowed("A").0 > 0, "the car charges on");
        world.set_backend_mute("CP-A", false);
        world.set_backend_reachable("CP-A", true);
        world.run_for(minutes(20)).unwrap();
        assert_eq!(transaction(&world, "A"), Some(1));
        world.unplug("A");
        world.settle_bills().unwrap();
        answered_in_time(&world);
        let values = ledger(&world).transactions("CP-A")[0].meter_values.len();
        assert!((140..=150).contains(&values), "{values}");
    }
}

#[test]
fn a_backend_that_is_away_from_the_beginning_gets_everything_when_it_comes() {
    let mut world = correct().start();
    world.set_backend_reachable("CP-A", false);
    world.run_for(seconds(60)).unwrap();
    for _ in 0..5 {
        session(&mut world, "A", minutes(3));
    }
    world.set_backend_reachable("CP-A", true);
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 5);
}

#[test]
fn a_stop_while_the_backend_is_away_reaches_it_with_its_own_id() {
    let mut world = started(correct());
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.set_backend_reachable("CP-A", false);
    world.unplug("A");
    world.run_for(minutes(10)).unwrap();
    world.set_backend_reachable("CP-A", true);
    world.settle_bills().unwrap();
    let stop = &ledger(&world).transactions("CP-A")[0].stops[0];
    assert!(stop.contains(r#""transactionId":1}"#) || stop.contains(r#""transactionId":1,"#));
}

#[test]
fn a_tag_that_nobody_knows_does_not_charge_while_the_backend_is_away() {
    let plan = correct().with_gateway(|gateway| {
        gateway.members[0].offline_unknown_tags = false;
    });
    let mut world = started(plan);
    session(&mut world, "A", minutes(1));
    world.set_backend_reachable("CP-A", false);
    world.plug("A", Car::default());
    world.tap("A", "STRANGER");
    world.run_for(minutes(2)).unwrap();
    assert_eq!(transaction(&world, "A"), None);
    // This one the backend accepted before.
    world.tap("A", "TAG-A");
    charges(&mut world, "A");
    world.unplug("A");
    world.set_backend_reachable("CP-A", true);
    world.settle_bills().unwrap();
}

#[test]
fn a_disk_that_cannot_be_read_delays_the_queue_and_nothing_else() {
    let mut world = started(correct());
    world.set_backend_reachable("CP-A", false);
    session(&mut world, "A", minutes(5));
    // Only on disk from now on.
    world.crash();
    world.disk().failing = true;
    world.set_backend_reachable("CP-A", true);
    world.run_for(minutes(2)).unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 0);
    world.disk().failing = false;
    world.settle_bills().unwrap();
}

#[test]
fn a_long_queue_is_kept_to_its_length_by_leaving_out_periodic_samples_alone() {
    let plan = correct().with_gateway(|gateway| gateway.max_queue = 50);
    let mut world = started(plan);
    world.set_backend_reachable("CP-A", false);
    for _ in 0..4 {
        session(&mut world, "A", minutes(60));
        assert!(queued(&mut world) <= 50);
    }
    world.set_backend_reachable("CP-A", true);
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 4);
}
