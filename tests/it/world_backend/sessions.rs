//! Whole sessions while everybody is there.

use chargewarden::ocpp::messages::AuthorizationStatus;

use super::lab::*;

#[test]
fn a_whole_session_arrives_once_in_order_and_unchanged() {
    let mut world = started(correct());
    session(&mut world, "A", seconds(620));
    world.settle_bills().unwrap();
    answered_in_time(&world);
    let transactions = ledger(&world).transactions("CP-A");
    let [only] = transactions.as_slice() else {
        panic!("{transactions:?}");
    };
    assert_eq!((only.id, only.repeats), (Some(1), 0));
    // The signed one, and one for each full minute.
    assert_eq!(only.meter_values.len(), 11, "{:?}", only.meter_values);
    for signed in [&only.meter_values[0], &only.stops[0]] {
        assert!(signed.contains(r"mit \u00df\/"), "{signed}");
    }
}

#[test]
fn while_the_backend_answers_the_wallbox_is_told_its_id() {
    let mut world = started(correct());
    world.charge("A", Car::default());
    charges(&mut world, "A");
    assert_eq!(transaction(&world, "A"), Some(1));
    assert_eq!(ledger(&world).transactions("CP-A")[0].id, Some(1));
}

#[test]
fn a_tag_that_the_backend_refuses_does_not_charge() {
    let backend = BackendPlan::default().tag("TAG-A", AuthorizationStatus::Blocked, None);
    let mut world = started(alone(backend));
    world.charge("A", Car::default());
    world.run_for(minutes(2)).unwrap();
    assert_eq!(transaction(&world, "A"), None);
    assert_eq!(ledger(&world).starts("CP-A"), 0);
    world.tap("A", "ANOTHER");
    charges(&mut world, "A");
    world.unplug("A");
    world.settle_bills().unwrap();
}

#[test]
fn the_backend_starts_and_stops_a_session_from_afar() {
    let mut world = started(correct());
    world.plug("A", Car::default());
    world.run_for(seconds(10)).unwrap();
    let start = Command::RemoteStart {
        connector: Some(C1),
        tag: "REMOTE".into(),
        profile: None,
    };
    assert_eq!(
        answer(&mut world, "CP-A", start),
        r#"{"status":"Accepted"}"#
    );
    charges(&mut world, "A");
    let stop = Command::RemoteStop { transaction: 1 };
    assert_eq!(answer(&mut world, "CP-A", stop), r#"{"status":"Accepted"}"#);
    world.settle_bills().unwrap();
    let transactions = ledger(&world).transactions("CP-A");
    assert!(transactions[0].start.contains("REMOTE"));
    assert!(transactions[0].stops[0].contains(r#""reason":"Remote""#));
}

#[test]
fn a_wallbox_that_reboots_in_mid_session_ends_it_once() {
    let mut world = started(correct());
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.run_for(minutes(3)).unwrap();
    world.reboot("A", seconds(30));
    world.settle_bills().unwrap();
    let stop = &ledger(&world).transactions("CP-A")[0].stops[0];
    assert!(stop.contains("PowerLoss"), "{stop}");
}

#[test]
fn a_wallbox_that_reboots_and_resumes_goes_on_with_the_same_transaction() {
    let plan = WorldPlan::new(1)
        .fuse("house", 32)
        .wallbox(signing("A").quirk(Quirk::ResumesTransactions))
        .backend(URL, BackendPlan::default())
        .gateway(&["A"], "CP-A");
    let mut world = started(plan);
    world.charge("A", Car::default());
    charges(&mut world, "A");
    for _ in 0..3 {
        world.run_for(minutes(2)).unwrap();
        world.reboot("A", seconds(30));
        world.run_for(minutes(1)).unwrap();
    }
    charges(&mut world, "A");
    world.unplug("A");
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 1);
    // One boot at the start; none while the transaction ran would be better, but the wallbox booted.
    let boots = ledger(&world).payloads("CP-A", "BootNotification");
    assert!(boots.iter().all(|boot| boot == &boots[0]), "{boots:?}");
}

#[test]
fn many_sessions_follow_each_other() {
    let mut world = started(correct());
    for _ in 0..8 {
        session(&mut world, "A", seconds(90));
        world.run_for(seconds(20)).unwrap();
    }
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-A"), 8);
}
