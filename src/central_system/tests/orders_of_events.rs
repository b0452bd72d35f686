//! Orders of events in which things went wrong once.

use super::*;

fn limits_sent(bench: &Bench) -> usize {
    bench
        .sent
        .iter()
        .filter(|(frame, _)| frame[2] == "SetChargingProfile")
        .count()
}

#[test]
fn the_silence_after_an_older_limit_does_not_delay_a_newer_one() {
    let mut bench = Bench::booted();
    bench.offer(1, 16_000);
    bench.wait(1);
    bench.offer(2, 0);
    bench.call("Heartbeat", &json!({}));
    bench.wait(30);
    assert_eq!(
        bench.last_limit(),
        Some(0.0),
        "the answer to 16 A is overdue"
    );
}

#[test]
fn an_error_answer_to_an_older_limit_does_not_delay_a_newer_one() {
    let mut bench = Bench::booted();
    bench.offer(1, 16_000);
    let (id, ..) = bench.outstanding().unwrap();
    bench.offer(2, 0);
    bench.frame(&json!([4, id, "InternalError", "", {}]).to_string());
    assert_eq!(bench.last_limit(), Some(0.0));
    assert_eq!(limits_sent(&bench), 2);
}

#[test]
fn a_raise_never_overtakes_the_journal_also_when_nobody_knows_what_the_wallbox_holds() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.answer_everything();
    bench.offer(2, 0);
    let (id, ..) = bench.outstanding().unwrap();
    bench.frame(&json!([4, id, "InternalError", "", {}]).to_string());
    bench.offer(3, 16_000);
    let (frame, lowers) = bench.sent.last().unwrap();
    assert_eq!(frame[2], "SetChargingProfile");
    assert!(!lowers, "its answer to the start and its record come first");
    bench.answer_everything();
    bench.call("BootNotification", &boot("1.0"));
    bench.offer(4, 10_000);
    bench.answer_everything();
    let lowering = |(frame, lowers): &&(Value, bool)| {
        *lowers
            && frame[3]["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"]
                == 10.0
    };
    assert!(bench.sent.iter().any(|sent| lowering(&sent)));
}

#[test]
fn a_wallbox_that_comes_back_has_time_to_deliver_its_stop() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    bench.status("Available");
    bench.down();
    bench.wait(120);
    bench.up(LinkId(2));
    bench.wait(5);
    assert_eq!(bench.open(), [id], "its stop is on the way");
    bench.status("Available");
    bench.wait(61);
    assert!(bench.open().is_empty());
}

#[test]
fn a_stop_that_comes_after_we_gave_it_up_is_kept_as_it_is() {
    let mut bench = Bench::booted();
    let id = bench.start()["transactionId"].as_i64().unwrap();
    bench.status("Available");
    bench.wait(61);
    assert!(bench.open().is_empty());
    bench.call("StopTransaction", &stop(id, 9000));
    bench.call("StopTransaction", &stop(id, 9000));
    let stopped = |bench: &Bench| {
        let mut all = bench.disk.transactions.values();
        all.find_map(|t| t.stopped.clone()).unwrap()
    };
    assert_eq!(stopped(&bench).meter_stop, Some(WattHours(9000)));
    assert_eq!(stopped(&bench).reason, "Local");
    assert_eq!(bench.entries("StopTransaction"), 1);
}

#[test]
fn a_wallbox_that_answers_every_limit_after_45_seconds_is_understood() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    let (id, ..) = bench.outstanding().unwrap();
    for _ in 0..9 {
        bench.wait(5);
        bench.call("Heartbeat", &json!({}));
    }
    bench.frame(&json!([3, id, {"status": "Accepted"}]).to_string());
    assert!(bench.reports.contains(&Report::Took(OfferNumber(1))));
}

#[test]
fn keys_that_come_after_they_were_given_up_are_learned() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    let (id, action, _) = bench.outstanding().unwrap();
    assert_eq!(action, "GetConfiguration");
    bench.offer(1, 0);
    bench.wait(6);
    assert_eq!(bench.outstanding().unwrap().1, "SetChargingProfile");
    let answer = keys(&[("MeterValueSampleInterval", "60", false)]);
    bench.frame(&json!([3, id, answer]).to_string());
    let asked = bench.answer_everything();
    assert!(
        asked
            .iter()
            .any(|(action, _)| action == "ChangeConfiguration")
    );
}

#[test]
fn what_was_drawn_in_a_transaction_is_not_shown_after_it_nor_while_the_wallbox_is_away() {
    let mut bench = Bench::booted();
    let draws = json!({"connectorId": 1, "meterValue": [{"timestamp": NOON, "sampledValue": [
        {"value": "16", "measurand": "Current.Import", "unit": "A"},
        {"value": "7000", "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
    ]}]});
    let measured = |bench: &Bench| bench.station.view(ONE).unwrap().measured;
    let id = bench.start()["transactionId"].as_i64().unwrap();
    bench.call("MeterValues", &draws);
    assert!(measured(&bench).current.is_some());
    bench.call("StopTransaction", &stop(id, 7000));
    assert_eq!(measured(&bench).current, None);
    assert_eq!(measured(&bench).energy, Some(WattHours(7000)));
    bench.call("MeterValues", &draws);
    bench.down();
    assert_eq!(measured(&bench).current, None);
}
