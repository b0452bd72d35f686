//! Wallboxes that are more, or less, than one charge point.

use chargewarden::ocpp::charging_profile::ChargingProfilePurpose::TxProfile;
use chargewarden::ocpp::messages::ResetType;
use chargewarden::sim::backend::{Limit, constant_profile};
use chargewarden::units::MilliAmps;

use super::lab::*;

const ACCEPTED: &str = r#"{"status":"Accepted"}"#;

fn dual_box() -> WallboxPlan {
    WallboxPlan {
        connectors: 2,
        ..signing("D")
    }
}

/// Two charge points of the backend: `CP-1` and `CP-2`.
fn split() -> World {
    let plan = WorldPlan::new(1)
        .fuse("house", 40)
        .wallbox(dual_box())
        .backend(URL, BackendPlan::default())
        .gateway(&["D-1"], "CP-1");
    started(trusting(trusting(plan).gateway(&["D-2"], "CP-2")))
}

fn charge_at(world: &mut World, connector: ConnectorId, tag: &str) {
    world.at("D", "plug and card", |wallbox, now| {
        wallbox.plug(now, connector, Car::default());
        wallbox.present_tag(now, connector, &tag.into());
    });
}

fn unplug_at(world: &mut World, connector: ConnectorId) {
    world.at("D", "unplug", |wallbox, now| wallbox.unplug(now, connector));
}

fn id_at(world: &World, connector: ConnectorId) -> Option<i64> {
    world.wallbox("D").unwrap().transaction(connector)
}

#[test]
fn case_24_each_connector_of_a_dual_wallbox_is_a_charge_point_with_one_connector() {
    let mut world = split();
    for client_id in ["CP-1", "CP-2"] {
        let statuses = ledger(&world).payloads(client_id, "StatusNotification");
        let of = |number: u32| {
            let member = format!(r#""connectorId":{number},"#);
            statuses.iter().filter(|it| it.contains(&member)).count()
        };
        assert!(of(0) >= 1 && of(1) >= 1 && of(2) == 0, "{statuses:?}");
        let ask = Command::GetConfiguration {
            keys: vec!["NumberOfConnectors".to_owned()],
        };
        let answered = answer(&mut world, client_id, ask);
        assert!(answered.contains(r#""value":"1""#), "{answered}");
    }
    let serials: Vec<String> = ["CP-1", "CP-2"]
        .map(|it| ledger(&world).payloads(it, "BootNotification")[0].to_owned())
        .to_vec();
    assert_ne!(
        serials[0], serials[1],
        "each has a serial number of its own"
    );
    let before = ledger(&world).payloads("CP-1", "StatusNotification").len();
    charge_at(&mut world, C2, "RIGHT");
    world.run_for(minutes(3)).unwrap();
    assert_eq!(ledger(&world).starts("CP-1"), 0);
    assert_eq!(ledger(&world).starts("CP-2"), 1);
    let after = ledger(&world).payloads("CP-1", "StatusNotification").len();
    assert_eq!(after, before, "the other connector is of no concern");
    charge_at(&mut world, C1, "LEFT");
    world.run_for(minutes(3)).unwrap();
    unplug_at(&mut world, C1);
    unplug_at(&mut world, C2);
    world.settle_bills().unwrap();
    assert_eq!(ledger(&world).starts("CP-1"), 1);
    answered_in_time(&world);
}

#[test]
fn case_25_a_remote_start_reaches_the_right_connector_and_its_profile_stays_here() {
    let mut world = split();
    world.at("D", "plug", |wallbox, now| {
        wallbox.plug(now, C2, Car::default());
    });
    world.run_for(seconds(10)).unwrap();
    let limit = Limit::Amps(MilliAmps::from_amps(8));
    let start = Command::RemoteStart {
        connector: Some(C1),
        tag: "REMOTE".into(),
        profile: Some(constant_profile(C1, TxProfile, limit)),
    };
    assert_eq!(answer(&mut world, "CP-2", start), ACCEPTED);
    world.run_for(minutes(1)).unwrap();
    let wallbox = world.wallbox("D").unwrap();
    assert_eq!(wallbox.allowed(C2, world.now()).0, 8_000);
    assert_eq!(id_at(&world, C1), None);
    unplug_at(&mut world, C2);
    world.settle_bills().unwrap();
}

#[test]
fn case_26_a_remote_stop_by_the_id_of_the_backend_stops_what_the_wallbox_calls_otherwise() {
    let mut world = split();
    world.set_backend_reachable("CP-2", false);
    charge_at(&mut world, C2, "RIGHT");
    world.run_for(minutes(2)).unwrap();
    let own = id_at(&world, C2).unwrap();
    assert!(own >= 1_000_000_000);
    world.set_backend_reachable("CP-2", true);
    let heard = |world: &World| ledger(world).starts("CP-2") == 1;
    world.run_until(minutes(10), heard).unwrap();
    world.run_for(seconds(30)).unwrap();
    let transaction = ledger(&world).transactions("CP-2")[0].id.unwrap();
    assert_ne!(transaction, own);
    let stop = Command::RemoteStop { transaction };
    assert_eq!(answer(&mut world, "CP-2", stop), ACCEPTED);
    assert_eq!(id_at(&world, C2), None);
    world.settle_bills().unwrap();
    let stops = &ledger(&world).transactions("CP-2")[0].stops;
    assert!(
        stops[0].contains(&format!(r#""transactionId":{transaction}"#)),
        "{stops:?}"
    );
}

#[test]
fn case_37_a_reset_of_one_half_leaves_the_other_half_alone() {
    let mut world = split();
    charge_at(&mut world, C1, "LEFT");
    world.run_for(seconds(20)).unwrap();
    charge_at(&mut world, C2, "RIGHT");
    world.run_for(minutes(2)).unwrap();
    let left = id_at(&world, C1);
    assert!(left.is_some() && id_at(&world, C2).is_some());
    let boots = ledger(&world).payloads("CP-2", "BootNotification").len();
    let reset = Command::Reset(ResetType::Soft);
    world.command("CP-2", reset).unwrap();
    world.run_for(minutes(1)).unwrap();
    assert_eq!(id_at(&world, C1), left);
    assert_eq!(id_at(&world, C2), None);
    let after = ledger(&world).payloads("CP-2", "BootNotification").len();
    assert_eq!(after, boots + 1);
    unplug_at(&mut world, C1);
    unplug_at(&mut world, C2);
    world.settle_bills().unwrap();
    let stops = &ledger(&world).transactions("CP-2")[0].stops;
    assert!(stops[0].contains(r#""reason":"SoftReset""#), "{stops:?}");
}

#[test]
fn a_whole_wallbox_keeps_its_connector_numbers() {
    let plan = WorldPlan::new(1)
        .fuse("house", 40)
        .wallbox(dual_box())
        .backend(URL, BackendPlan::default())
        .gateway(&["D-1", "D-2"], "CP");
    let mut world = started(trusting(plan));
    charge_at(&mut world, C2, "RIGHT");
    world.run_for(seconds(30)).unwrap();
    charge_at(&mut world, C1, "LEFT");
    world.run_for(minutes(3)).unwrap();
    world.crash();
    world.run_for(minutes(1)).unwrap();
    unplug_at(&mut world, C2);
    unplug_at(&mut world, C1);
    world.settle_bills().unwrap();
    let transactions = ledger(&world).transactions("CP");
    for (transaction, number) in transactions.iter().zip([2, 1]) {
        let member = format!(r#""connectorId":{number},"#);
        let messages = transaction.meter_values.iter().chain([&transaction.start]);
        assert!(messages.into_iter().all(|it| it.contains(&member)));
    }
}

#[test]
fn several_wallboxes_are_one_charge_point_with_many_connectors() {
    let plan = WorldPlan::new(1)
        .fuse("house", 63)
        .wallbox(signing("A"))
        .wallboxes(&["B", "C"])
        .backend(URL, BackendPlan::default())
        .gateway(&["A", "B", "C"], "CP");
    let mut world = started(trusting(plan));
    for name in ["C", "A", "B"] {
        world.charge(name, Car::default());
        world.run_for(seconds(20)).unwrap();
    }
    world.lose_backend_link("CP");
    world.run_for(minutes(3)).unwrap();
    for name in ["A", "B", "C"] {
        world.unplug(name);
    }
    world.settle_bills().unwrap();
    let transactions = ledger(&world).transactions("CP");
    let numbers: Vec<bool> = transactions
        .iter()
        .zip([3, 1, 2])
        .map(|(it, number)| it.start.contains(&format!(r#""connectorId":{number},"#)))
        .collect();
    assert_eq!(numbers, [true; 3], "{transactions:?}");
}
