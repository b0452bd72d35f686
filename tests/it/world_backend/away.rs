//! Wallboxes that are away while their backend is there.

use super::lab::*;

fn last_status(world: &World) -> String {
    let statuses = ledger(world).payloads("CP-A", "StatusNotification");
    let mut of_1 = statuses
        .iter()
        .filter(|it| it.contains(r#""connectorId":1,"#));
    of_1.next_back().unwrap().to_string()
}

#[test]
fn case_34_a_wallbox_that_is_away_is_unavailable_and_comes_back_as_it_is() {
    let mut world = started(correct());
    assert!(last_status(&world).contains("Available"));
    world.set_reachable("A", false);
    world.run_for(seconds(30)).unwrap();
    assert!(
        last_status(&world).contains(r#""Available""#),
        "not at once"
    );
    world.run_for(minutes(10)).unwrap();
    assert!(
        last_status(&world).contains("Unavailable"),
        "{}",
        last_status(&world)
    );
    let connected: Vec<_> = world.backend(URL).unwrap().connected().collect();
    assert_eq!(connected.len(), 1, "the charge point stays");
    let start = Command::RemoteStart {
        connector: Some(C1),
        tag: "REMOTE".into(),
        profile: None,
    };
    assert_eq!(
        answer(&mut world, "CP-A", start),
        r#"{"status":"Rejected"}"#
    );
    world.plug("A", Car::default());
    world.set_reachable("A", true);
    world.run_for(minutes(1)).unwrap();
    assert!(
        last_status(&world).contains("Preparing"),
        "{}",
        last_status(&world)
    );
}

#[test]
fn a_session_whose_wallbox_is_away_for_hours_is_billed_when_it_returns() {
    let mut world = started(correct());
    world.charge("A", Car::default());
    charges(&mut world, "A");
    world.set_reachable("A", false);
    world.run_for(minutes(120)).unwrap();
    assert!(last_status(&world).contains("Unavailable"));
    world.unplug("A");
    world.run_for(minutes(30)).unwrap();
    assert_eq!(ledger(&world).stops("CP-A"), 0);
    world.set_reachable("A", true);
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).stops("CP-A"), 1);
}
