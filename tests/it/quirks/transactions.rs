//! Transactions that begin, run and end in odd ways. The bill is right.

use serde_json::{Value, json};

use chargewarden::central_system::ProfileSettings;
use chargewarden::sim::{Car, Quirk};

use super::desk::{Desk, NOON};
use super::lab::{C1, Lab, beside_another, wallbox};

#[test]
fn a_stop_with_the_transaction_id_of_alfen_ends_the_transaction_and_is_not_repeated() {
    let mut lab = Lab::with(&[Quirk::AbsurdTransactionIds]);
    lab.shares_and_parts();
    assert_eq!(lab.said("A", "StopTransaction").len(), 1);
}

#[test]
fn a_stop_with_a_transaction_id_that_was_never_given_ends_the_only_transaction() {
    let huge = json!(9_223_372_036_854_775_808_u64);
    for id in [json!(-1), json!(0), json!("77"), json!(1e30), huge] {
        let (mut desk, _) = Desk::charging();
        let stop = json!({"transactionId": id, "meterStop": 5100, "timestamp": NOON});
        assert_eq!(desk.call("StopTransaction", &stop), json!({}));
        assert!(desk.open().is_empty(), "{id}");
        let stopped = desk.transactions().remove(0).stopped.unwrap();
        assert_eq!(stopped.meter_stop.map(|register| register.0), Some(5100));
    }
}

const SAMPLES: &str = r#"[{"value": "7000", "measurand": "Energy.Active.Import.Register"}]"#;

fn samples() -> Value {
    serde_json::from_str(SAMPLES).unwrap()
}

#[test]
fn meter_values_with_a_foreign_transaction_id_from_a_car_that_charges_are_adopted() {
    let mut desk = Desk::booted();
    desk.status(1, "SuspendedEVSE");
    desk.measure(Some(4711), &samples());
    assert_eq!(desk.open(), [4711]);
    assert_eq!(desk.evse().offered_a, Some(16.0));
    desk.stop(4711, 9000);
    assert!(desk.open().is_empty());
}

#[test]
fn meter_values_without_a_transaction_id_belong_to_the_connector() {
    let (mut desk, id) = Desk::charging();
    desk.measure(None, &samples());
    assert_eq!(desk.open(), [id]);
    assert_eq!(desk.evse().energy_wh, Some(7000));
}

#[test]
fn meter_values_after_the_end_revive_nothing() {
    let mut lab = Lab::with(&[Quirk::LateMeterValues]);
    lab.shares_and_parts();
    let (mut desk, id) = Desk::charging();
    desk.stop(id, 7000);
    desk.measure(Some(id), &samples());
    let mut end = samples();
    end[0]["context"] = json!("Transaction.End");
    desk.measure(Some(4711), &end);
    assert!(desk.open().is_empty());
    assert_eq!(desk.evse().offered_a, Some(0.0));
}

#[test]
fn registers_that_are_no_registers_are_unknown_and_the_session_is_told_so() {
    let mut lab = Lab::with(&[Quirk::AbsurdRegisters]);
    lab.charge("A");
    lab.settles_at([16_000, 0]);
    let energy = lab.evse("A").transaction.unwrap().energy_wh;
    assert_eq!(energy, None, "the start is not known");
    lab.world.unplug("A");
    lab.run(30);
    lab.is_settled();
    let transaction = lab.transactions("A").remove(0);
    assert_eq!(transaction.meter_start, None);
    assert_eq!(transaction.stopped.unwrap().meter_stop, None);
}

#[test]
fn negative_transaction_ids_of_an_offline_start_are_accepted_before_the_start_comes() {
    let mut desk = Desk::booted();
    desk.status(1, "Charging");
    desk.measure(Some(-1_234_567), &samples());
    assert!(desk.open().is_empty(), "the start will tell");
    let id = desk.start(100);
    assert_eq!(desk.open(), [id]);
    assert_eq!(desk.stop(-1_234_567, 7000), json!({}));
    assert!(desk.open().is_empty());
}

#[test]
fn a_session_that_ran_while_the_site_was_away_is_billed() {
    let mut lab = Lab::with(&[]);
    lab.charge("A");
    lab.settles_at([16_000, 0]);
    lab.world.set_reachable("A", false);
    lab.run(600);
    lab.world.unplug("A");
    lab.run(60);
    lab.world.set_reachable("A", true);
    lab.settles_at([0, 0]);
    lab.is_settled();
    let transaction = lab.transactions("A").remove(0);
    let drawn = transaction.stopped.unwrap().meter_stop.unwrap() - transaction.meter_start.unwrap();
    assert!(drawn.0 > 1500, "ten minutes at 11 kW are {} Wh", drawn.0);
}

fn remote_start(quirks: &[Quirk], keys: &[(&'static str, &str)]) -> Lab {
    let plan = keys
        .iter()
        .fold(wallbox(quirks), |plan, (key, value)| plan.says(key, value));
    let plan = chargewarden::sim::WorldPlan::new(1)
        .fuse("house", 22)
        .wallbox(plan)
        .with_profile(|profile: &mut ProfileSettings| profile.remote_start = true);
    Lab::started(plan.wallboxes(&["B"]))
}

#[test]
fn a_wallbox_that_needs_a_remote_start_although_a_car_is_plugged_gets_one() {
    let mut lab = remote_start(&[Quirk::NeedsRemoteStart], &[]);
    lab.world.plug("A", Car::default());
    lab.settles_at([16_000, 0]);
    let starts = lab.asked("A");
    let starts = starts
        .iter()
        .filter(|asked| asked.action == "RemoteStartTransaction");
    assert_eq!(starts.count(), 1);
    lab.world.unplug("A");
    lab.run(30);
    lab.is_settled();
}

#[test]
fn a_wallbox_that_takes_its_own_tag_alone_is_started_with_it() {
    let own = [("PlugAndChargeIdentifier", "ACE0001234")];
    let mut lab = remote_start(&[Quirk::NeedsRemoteStart, Quirk::OwnTagOnly], &own);
    lab.world.plug("A", Car::default());
    lab.settles_at([16_000, 0]);
    assert_eq!(lab.said("A", "StartTransaction")[0]["idTag"], "ACE0001234");
}

#[test]
fn a_wallbox_that_authorizes_a_remote_start_is_told_that_the_tag_is_good() {
    let asks = [("AuthorizeRemoteTxRequests", "true")];
    let mut lab = remote_start(&[Quirk::NeedsRemoteStart], &asks);
    lab.world.plug("A", Car::default());
    lab.settles_at([16_000, 0]);
    assert_eq!(lab.said("A", "Authorize").len(), 1);
}

#[test]
fn a_wallbox_that_stays_finishing_is_not_asked_to_begin_again() {
    let mut lab = remote_start(&[Quirk::NeedsRemoteStart, Quirk::StaysFinishing], &[]);
    lab.world.plug("A", Car::default());
    lab.settles_at([16_000, 0]);
    lab.world.at("A", "stop at the wallbox", |wallbox, now| {
        wallbox.set_quirk(Quirk::NeedsRemoteStart, false);
        wallbox.present_tag(now, C1, &"CHARGEWARDEN".into());
    });
    lab.run(120);
    assert_eq!(lab.evse("A").status.as_deref(), Some("Finishing"));
    let starts = lab.asked("A");
    let starts = starts
        .iter()
        .filter(|asked| asked.action == "RemoteStartTransaction");
    assert_eq!(starts.count(), 1);
    lab.is_settled();
}

#[test]
fn a_wallbox_that_says_available_with_the_cable_in_charges() {
    let mut lab = Lab::with(&[Quirk::AvailableWhilePlugged]);
    lab.world.plug("A", Car::default());
    lab.run(30);
    assert_eq!(lab.evse("A").status.as_deref(), Some("Available"));
    lab.shares_and_parts();
}

#[test]
fn what_flowed_in_a_transaction_flows_no_more_after_it() {
    let mut lab = Lab::started(beside_another(wallbox(&[])));
    lab.charge("A");
    lab.settles_at([16_000, 0]);
    assert!(lab.evse("A").power_w.is_some_and(|watts| watts > 10_000));
    lab.world.unplug("A");
    lab.run(10);
    assert!(lab.evse("A").power_w.is_none_or(|watts| watts == 0));
    let flows = lab.evse("A").measured_a.unwrap_or_default();
    assert!(flows.into_iter().all(|amps| amps < 0.1), "{flows:?}");
    lab.charge("B");
    lab.settles_at([0, 16_000]);
}
