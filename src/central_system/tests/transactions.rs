//! Start, stop and adoption.

use super::*;

#[test]
fn a_start_is_answered_with_our_number_and_then_demands_current() {
    let mut bench = Bench::booted();
    bench.status("Preparing");
    assert_eq!(bench.demand(), Some(Demand::Plugged));
    let answer = bench.start();
    assert_eq!(answer["idTagInfo"], json!({"status": "Accepted"}));
    assert_eq!(bench.open(), [answer["transactionId"].as_i64().unwrap()]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn a_start_sent_again_gets_the_same_id_with_the_same_or_a_new_message_id() {
    let mut bench = Bench::booted();
    let first = bench.call_as("s1", "StartTransaction", &start(100));
    let same_id = bench.call_as("s1", "StartTransaction", &start(100));
    let new_id = bench.call_as("s2", "StartTransaction", &start(100));
    bench.down();
    bench.up(LinkId(2));
    let later = bench.call_as("s3", "StartTransaction", &start(100));
    assert_eq!([&same_id, &new_id, &later], [&first; 3]);
    assert_eq!(bench.open().len(), 1);
}

#[test]
fn a_start_sent_again_after_our_restart_gets_the_same_id() {
    let mut bench = Bench::booted();
    let first = bench.start();
    let mut after = Bench::with(1, bench.disk);
    after.up(LINK);
    assert_eq!(after.start(), first);
}

#[test]
fn a_tag_that_may_not_charge_gets_an_id_and_no_current() {
    let mut bench = Bench::booted();
    bench.verdict.status = AuthorizationStatus::Blocked;
    let answer = bench.start();
    assert_eq!(answer["idTagInfo"]["status"], "Blocked");
    assert!(answer["transactionId"].as_i64().unwrap() > 0);
    assert_ne!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn a_stop_ends_the_demand_and_is_kept_with_its_register() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    assert_eq!(bench.call("StopTransaction", &stop(id, 5100)), json!({}));
    assert_eq!(bench.open(), [] as [i64; 0]);
    let ended = bench
        .disk
        .transactions
        .values()
        .next()
        .unwrap()
        .stopped
        .clone()
        .unwrap();
    assert_eq!(
        (ended.meter_stop, ended.reason.as_str()),
        (Some(WattHours(5100)), "Local")
    );
    assert_ne!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn stops_with_absurd_ids_end_the_open_transaction() {
    for id in [-1, 0, i64::MAX, 4711] {
        let mut bench = Bench::booted();
        bench.start();
        assert_eq!(bench.call("StopTransaction", &stop(id, 5100)), json!({}));
        assert_eq!(bench.open(), [] as [i64; 0], "{id}");
    }
}

#[test]
fn a_stop_of_nothing_is_answered_and_a_stop_with_a_tag_says_what_the_tag_is_worth() {
    let mut bench = Bench::booted();
    assert_eq!(bench.call("StopTransaction", &stop(99, 1)), json!({}));
    let mut with_tag = stop(99, 1);
    with_tag["idTag"] = json!("TAG");
    let answer = bench.call("StopTransaction", &with_tag);
    assert_eq!(answer, json!({"idTagInfo": {"status": "Accepted"}}));
}

#[test]
fn malformed_starts_and_stops_are_answered_too() {
    let mut bench = Bench::booted();
    for payload in [
        json!({}),
        json!({"connectorId": "x", "meterStart": []}),
        json!(null),
    ] {
        let answer = bench.call("StartTransaction", &payload);
        assert!(answer["transactionId"].is_i64(), "{payload}");
        bench.call("StopTransaction", &payload);
    }
}

#[test]
fn a_new_start_on_a_busy_connector_ends_the_old_transaction() {
    let mut bench = Bench::booted();
    let old = bench.start()["transactionId"].clone();
    let new = bench.call("StartTransaction", &start(900))["transactionId"].clone();
    assert_ne!(old, new);
    assert_eq!(bench.open(), [new.as_i64().unwrap()]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn a_connector_that_is_no_evse_of_ours_never_charges() {
    let mut bench = Bench::booted();
    let mut second = start(100);
    second["connectorId"] = json!(2);
    bench.verdict = Verdict {
        status: AuthorizationStatus::Invalid,
        ..Verdict::ACCEPTED
    };
    let answer = bench.call("StartTransaction", &second);
    assert_eq!(answer["idTagInfo"]["status"], "Invalid");
    assert_eq!(bench.demand(), None);
}

#[test]
fn a_transaction_that_was_running_before_us_is_adopted() {
    let mut bench = Bench::booted();
    bench.status("Charging");
    bench.call("MeterValues", &sampled(Some(4711), "Sample.Periodic"));
    assert_eq!(bench.open(), [4711]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
    bench.call("StopTransaction", &stop(4711, 9000));
    assert_eq!(bench.open(), [] as [i64; 0]);
}

#[test]
fn late_meter_values_revive_nothing() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    bench.status("Charging");
    bench.call("StopTransaction", &stop(id, 5100));
    bench.call("MeterValues", &sampled(Some(id), "Sample.Periodic"));
    bench.call("MeterValues", &sampled(Some(4711), "Transaction.End"));
    assert_eq!(bench.open(), [] as [i64; 0]);
    bench.status("Available");
    bench.call("MeterValues", &sampled(Some(4712), "Sample.Periodic"));
    assert_eq!(
        bench.open(),
        [] as [i64; 0],
        "nothing charges at a free connector"
    );
}

#[test]
fn a_wallbox_that_is_free_but_never_stops_loses_its_transaction_after_a_minute() {
    let mut bench = Bench::booted();
    bench.start();
    bench.status("Charging");
    bench.call("MeterValues", &sampled(None, "Sample.Periodic"));
    bench.status("Available");
    bench.wait(59);
    assert_eq!(bench.open().len(), 1);
    bench.wait(2);
    assert_eq!(bench.open(), [] as [i64; 0]);
    let ended = bench
        .disk
        .transactions
        .values()
        .next()
        .unwrap()
        .stopped
        .clone()
        .unwrap();
    assert_eq!(
        ended.meter_stop,
        Some(WattHours(7000)),
        "the last register that was seen"
    );
}

#[test]
fn a_start_that_comes_hours_late_from_a_free_connector_gets_no_current() {
    let mut late = start(100);
    late["timestamp"] = json!("2026-06-01T08:00:00Z");
    let mut bench = Bench::booted();
    bench.status("Available");
    assert_eq!(
        bench.call("StartTransaction", &late)["idTagInfo"]["status"],
        "Accepted"
    );
    assert_ne!(bench.demand(), Some(Demand::Charging));
    let mut bench = Bench::booted();
    bench.status("Charging");
    bench.call("StartTransaction", &late);
    assert_eq!(
        bench.demand(),
        Some(Demand::Charging),
        "a timestamp alone proves nothing"
    );
}

#[test]
fn an_open_transaction_goes_on_after_our_restart() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    let mut after = Bench::with(1, bench.disk);
    assert_eq!(after.demand(), Some(Demand::Charging));
    after.up(LINK);
    after.call("StopTransaction", &stop(id, 200));
    assert_eq!(after.open(), [] as [i64; 0]);
}

#[test]
fn a_reboot_in_mid_transaction_ends_nothing() {
    let mut bench = Bench::booted();
    bench.start();
    bench.down();
    bench.up(LinkId(2));
    bench.call("BootNotification", &boot("1.0"));
    assert_eq!(bench.open().len(), 1);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn meter_values_that_were_kept_while_the_wallbox_was_away_do_not_tell_what_flows_now() {
    let mut bench = Bench::booted();
    let kept = json!({"connectorId": 1, "meterValue": [{"timestamp": "2026-06-01T11:00:00Z", "sampledValue": [
        {"value": "16", "measurand": "Current.Import", "unit": "A"}]}]});
    let told = |bench: &mut Bench, status: &str| {
        bench.status(status);
        bench.reports.clear();
        bench.call("MeterValues", &kept);
        let told = |report: &Report| matches!(report, Report::Measured(_));
        bench.reports.iter().any(told)
    };
    assert!(!told(&mut bench, "Available"));
    assert!(told(&mut bench, "Charging"), "a clock may be wrong");
}
