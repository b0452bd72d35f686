//! Meter values for a backend.

use super::backends::charging;
use super::*;
use crate::evse::{Metering, Order};

fn metering(bench: &mut Bench, connector: u32, seconds: Option<u64>, measurands: &str) {
    let metering = Metering {
        interval: seconds.map(Duration::from_secs),
        measurands: measurands.to_owned(),
    };
    let id = ConnectorId(connector);
    bench.act(|station, context| station.handle_metering(context, id, metering));
}

/// Values that were sampled so many seconds after the start, each with its own register.
fn values(transaction: Option<i64>, seconds: i64, more: &Value) -> Value {
    let noon: jiff::Timestamp = NOON.parse().unwrap();
    let time = noon + jiff::SignedDuration::from_secs(seconds);
    let mut sample = json!({"value": (7000 + seconds).to_string()});
    for (key, value) in more.as_object().unwrap() {
        sample[key] = value.clone();
    }
    let mut values = json!({"connectorId": 1, "meterValue": [
        {"timestamp": time.to_string(), "sampledValue": [sample]}]});
    if let Some(id) = transaction {
        values["transactionId"] = json!(id);
    }
    values
}

/// What was filed: kind, transaction, and how many seconds after the start it was sampled.
fn filed(bench: &Bench) -> Vec<(EntryKind, bool, i64)> {
    let values = bench
        .entries
        .iter()
        .filter(|it| it.kind.action() == "MeterValues");
    let seconds = |entry: &Entry| {
        let payload: Value = serde_json::from_str(&entry.payload).unwrap();
        let value = payload["meterValue"][0]["sampledValue"][0]["value"]
            .as_str()
            .unwrap()
            .to_owned();
        value.parse::<i64>().unwrap() - 7000
    };
    values
        .map(|it| (it.kind, it.transaction.is_some(), seconds(it)))
        .collect()
}

fn seconds(bench: &Bench) -> Vec<i64> {
    filed(bench)
        .into_iter()
        .map(|(.., seconds)| seconds)
        .collect()
}

const PERIODIC: EntryKind = EntryKind::Values { thinnable: true };
const KEPT: EntryKind = EntryKind::Values { thinnable: false };

#[test]
fn of_periodic_values_the_first_of_each_interval_of_the_backend_is_filed_before_its_answer() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(60), "");
    bench.answer_everything();
    for seconds in (0..=240).step_by(25) {
        bench.order.clear();
        bench.call("MeterValues", &values(Some(17), seconds, &json!({})));
        let taken = bench.order == ["file", "send"];
        assert!(taken || bench.order == ["send"], "{:?}", bench.order);
    }
    assert_eq!(seconds(&bench), [75, 125, 200]);
    assert!(
        filed(&bench)
            .iter()
            .all(|(kind, known, _)| *kind == PERIODIC && *known)
    );
    // Its keys were read once more, because of the interval.
    bench.notices.retain(|it| it.action != "GetConfiguration");
    assert_eq!(bench.notices, []);
}

#[test]
fn without_an_interval_no_periodic_values_are_filed_and_all_others_are() {
    let mut bench = charging(1);
    bench.call("MeterValues", &values(Some(17), 60, &json!({})));
    let kept = [
        json!({"context": "Transaction.Begin"}),
        json!({"context": "Transaction.End"}),
        json!({"context": "Trigger"}),
        json!({"context": "Interruption.Begin"}),
        json!({"context": "Sample.Clock"}),
        json!({"context": "Sample.Periodic", "format": "SignedData"}),
        json!({"context": "Of.Another.Vendor"}),
    ];
    for (seconds, more) in (61..).zip(&kept) {
        bench.call("MeterValues", &values(Some(17), seconds, more));
    }
    let expected: Vec<_> = (61..68).map(|seconds| (KEPT, true, seconds)).collect();
    assert_eq!(filed(&bench), expected);
}

/// A backend asks for values of this connector, or with 0 of all, and the wallbox promises them.
fn backend_asks(bench: &mut Bench, connector: u32, requested: &str) {
    let order = Order {
        id: 1,
        evse: (connector > 0).then(|| format!("evse-{connector}").as_str().into()),
        transaction: None,
        action: "TriggerMessage".to_owned(),
        payload: json!({"requestedMessage": requested}).to_string(),
    };
    let id = ConnectorId(connector);
    bench.act(|station, context| station.handle_order(context, id, order));
    bench.answer_everything();
}

/// We ask for values as after a boot.
fn we_ask(bench: &mut Bench) {
    bench.call("BootNotification", &boot("1.0"));
    bench.answer_everything();
    bench.wait(5);
    let asked = bench.answer_everything();
    let values = |(_, it): &(String, Value)| it["requestedMessage"] == "MeterValues";
    assert!(asked.iter().any(values), "{asked:?}");
}

#[test]
fn values_that_we_asked_for_are_not_filed_and_those_that_the_backend_asked_for_are() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(60), "");
    bench.answer_everything();
    let trigger = json!({"context": "Trigger"});
    let signed = json!({"context": "Trigger", "format": "SignedData"});
    we_ask(&mut bench);
    bench.call("MeterValues", &values(Some(17), 10, &trigger));
    bench.call("MeterValues", &values(Some(17), 11, &trigger));
    bench.call("MeterValues", &values(Some(17), 12, &signed));
    assert_eq!(seconds(&bench), [12]);
    backend_asks(&mut bench, 1, "StatusNotification");
    bench.call("MeterValues", &values(Some(17), 13, &trigger));
    assert_eq!(seconds(&bench), [12]);
    backend_asks(&mut bench, 1, "MeterValues");
    bench.call("MeterValues", &values(Some(17), 20, &trigger));
    bench.call("MeterValues", &values(Some(17), 21, &trigger));
    assert_eq!(seconds(&bench), [12, 20, 21]);
    bench.call("MeterValues", &values(Some(17), 61, &json!({})));
    bench.call("MeterValues", &values(Some(17), 62, &json!({})));
    assert_eq!(seconds(&bench), [12, 20, 21, 61]);
}

#[test]
fn values_that_both_asked_for_reach_the_backend_whoever_asked_first() {
    let trigger = json!({"context": "Trigger"});
    for connector in [0, 1] {
        let mut bench = charging(1);
        backend_asks(&mut bench, connector, "MeterValues");
        we_ask(&mut bench);
        bench.call("MeterValues", &values(Some(17), 10, &trigger));
        bench.call("MeterValues", &values(Some(17), 11, &trigger));
        assert_eq!(seconds(&bench), [10, 11]);
        we_ask(&mut bench);
        backend_asks(&mut bench, connector, "MeterValues");
        bench.call("MeterValues", &values(Some(17), 20, &trigger));
        bench.call("MeterValues", &values(Some(17), 21, &trigger));
        assert_eq!(seconds(&bench), [10, 11, 20, 21]);
    }
}

#[test]
fn a_wallbox_that_marks_all_its_values_as_triggered_loses_only_those_right_after_a_question() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(60), "");
    let trigger = json!({"context": "Trigger"});
    we_ask(&mut bench);
    bench.wait(13);
    bench.call("MeterValues", &values(Some(17), 18, &trigger));
    bench.wait(3);
    bench.call("MeterValues", &values(Some(17), 21, &trigger));
    bench.call("MeterValues", &values(Some(17), 31, &trigger));
    assert_eq!(seconds(&bench), [21, 31]);
}

#[test]
fn a_periodic_value_in_one_message_with_a_triggered_one_is_filed() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(60), "");
    we_ask(&mut bench);
    let mut both = values(Some(17), 61, &json!({}));
    let triggered = values(Some(17), 62, &json!({"context": "Trigger"}));
    let entries = both["meterValue"].as_array_mut().unwrap();
    entries.push(triggered["meterValue"][0].clone());
    bench.call("MeterValues", &both);
    assert_eq!(seconds(&bench), [61]);
}

#[test]
fn values_that_we_asked_for_take_no_turn_of_periodic_ones() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(60), "");
    we_ask(&mut bench);
    for seconds in (0..200).step_by(5) {
        let context = if seconds % 10 == 0 {
            "Sample.Periodic"
        } else {
            "Trigger"
        };
        let context = json!({"context": context});
        bench.call("MeterValues", &values(Some(17), seconds, &context));
    }
    assert_eq!(seconds(&bench), [60, 120, 180]);
}

#[test]
fn values_that_come_again_because_their_answer_was_lost_are_filed_once() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(10), "");
    bench.answer_everything();
    let periodic = values(Some(17), 60, &json!({}));
    let signed = values(Some(17), 61, &json!({"format": "SignedData"}));
    for message in [&periodic, &periodic, &signed, &periodic, &signed] {
        assert_eq!(bench.call("MeterValues", message), json!({}));
    }
    assert_eq!(seconds(&bench), [60, 61]);
}

/// A kill and a start: everything is gone but what is on disk.
fn killed(bench: Bench) -> Bench {
    let mut bench = Bench::on_disk(1, bench.disk);
    bench.reply(&Reply::Verdict(Verdict::ACCEPTED));
    metering(&mut bench, 1, Some(10), "");
    bench.boot()
}

#[test]
fn values_that_come_again_after_a_crash_are_answered_and_not_filed_again() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(10), "");
    bench.answer_everything();
    let periodic = values(Some(17), 60, &json!({}));
    let signed = values(Some(17), 61, &json!({"format": "SignedData"}));
    bench.call("MeterValues", &periodic);
    bench.call("MeterValues", &signed);
    let mut bench = killed(bench);
    for message in [&periodic, &signed] {
        assert_eq!(bench.call("MeterValues", message), json!({}));
    }
    assert_eq!(seconds(&bench), [] as [i64; 0]);
    bench.call("MeterValues", &values(Some(17), 90, &json!({})));
    assert_eq!(seconds(&bench), [90]);
}

#[test]
fn signed_values_after_their_stop_and_stray_stops_are_not_filed_again_after_a_crash() {
    let mut bench = charging(1);
    bench.call("StopTransaction", &stop(17, 8000));
    let signed = json!({"context": "Transaction.End", "format": "SignedData"});
    let signed = values(Some(17), 61, &signed);
    bench.call("MeterValues", &signed);
    bench.call("StopTransaction", &stop(4711, 9000));
    assert_eq!(
        (seconds(&bench).len(), bench.entries("StopTransaction")),
        (1, 2)
    );
    let mut bench = Bench::on_disk(1, bench.disk).boot();
    bench.call("MeterValues", &signed);
    bench.call("StopTransaction", &stop(17, 8000));
    bench.call("StopTransaction", &stop(4711, 9000));
    assert_eq!(bench.entries, []);
}

#[test]
fn where_the_wallboxs_clock_is_not_set_the_time_of_reception_counts() {
    let mut bench = charging(1);
    metering(&mut bench, 1, Some(60), "");
    bench.answer_everything();
    for n in 0..13 {
        let mut values = values(Some(17), n, &json!({}));
        values["meterValue"][0]["timestamp"] = json!("1970-01-01T00:00:10Z");
        bench.call("MeterValues", &values);
        bench.wait(10);
    }
    assert_eq!(seconds(&bench), [6, 12]);
}

#[test]
fn values_belong_to_the_transaction_of_their_connector_whatever_id_they_name() {
    for id in [None, Some(-1), Some(0), Some(4711), Some(17)] {
        let mut bench = charging(1);
        bench.call(
            "MeterValues",
            &values(id, 60, &json!({"context": "Trigger"})),
        );
        assert_eq!(filed(&bench), [(KEPT, true, 60)], "{id:?}");
    }
}

#[test]
fn closing_values_that_come_after_the_stop_belong_to_the_ended_transaction() {
    let mut bench = charging(1);
    bench.call("StopTransaction", &stop(17, 8000));
    let end = json!({"context": "Transaction.End"});
    bench.call("MeterValues", &values(None, 60, &end));
    bench.call("MeterValues", &values(Some(17), 61, &end));
    assert_eq!(filed(&bench), [(KEPT, true, 60), (KEPT, true, 61)]);
}

#[test]
fn values_outside_of_transactions_are_noticed_but_clock_aligned_ones_are_filed() {
    let mut bench = Bench::with_backend(2);
    metering(&mut bench, 1, Some(60), "");
    bench.answer_everything();
    bench.notices.clear();
    let idle = values(None, 60, &json!({}));
    bench.call("MeterValues", &idle);
    bench.call("MeterValues", &values(None, 70, &json!({})));
    bench.call("MeterValues", &values(Some(0), 121, &json!({})));
    bench.call(
        "MeterValues",
        &values(None, 62, &json!({"context": "Sample.Clock"})),
    );
    bench.call(
        "MeterValues",
        &values(Some(4711), 63, &json!({"context": "Trigger"})),
    );
    assert_eq!(filed(&bench), [(KEPT, false, 62), (KEPT, false, 63)]);
    let notice = &bench.notices[0];
    assert_eq!(
        (bench.notices.len(), notice.payload.clone()),
        (2, idle.to_string())
    );
    assert_eq!(notice.evse, Some("evse-1".into()));
}

#[test]
fn values_are_filed_byte_for_byte() {
    let mut bench = charging(1);
    let raw = r#"{ "connectorId":1,"transactionId":17.0,"meterValue":[{"timestamp":"2026-06-01T12:01:00Z","sampledValue":[{"value":"OCMF|{\"a\":\"\u20ac\\\/\"}","format":"SignedData"}]}] }"#;
    bench.frame(&format!(r#"[2,"m","MeterValues",{raw}]"#));
    assert_eq!(bench.entries.last().unwrap().payload, raw);
}

/// What the sampling keys of a wallbox are changed to, which has these values.
fn changes(bench: &mut Bench, measurands: &str, accepts: impl Fn(&str) -> bool) -> Vec<String> {
    let mut changes = Vec::new();
    while let Some((_, action, payload)) = bench.outstanding() {
        let key = payload["key"][0].as_str().unwrap_or_default().to_owned();
        let both = [
            ("MeterValueSampleInterval", "10", false),
            ("MeterValuesSampledData", measurands, false),
        ];
        let asked = |it: &&(&str, &str, bool)| key.is_empty() || it.0 == key;
        let both: Vec<_> = both.iter().filter(asked).copied().collect();
        let answer = match action.as_str() {
            "GetConfiguration" => keys(&both),
            "ChangeConfiguration" => {
                let value = payload["value"].as_str().unwrap().to_owned();
                let status = if accepts(&value) {
                    "Accepted"
                } else {
                    "Rejected"
                };
                changes.push(value);
                json!({"status": status})
            }
            _ => json!({"status": "Accepted"}),
        };
        bench.respond(&answer);
    }
    changes
}

#[test]
fn a_wallbox_samples_what_its_backends_and_we_want_as_often_as_the_most_eager() {
    let mut bench = Bench::on_disk(2, Recovered::default());
    metering(&mut bench, 1, Some(5), "SoC,Current.Import");
    metering(&mut bench, 2, Some(900), "Voltage, soc");
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    let wanted = "SoC,Current.Import,Voltage,Energy.Active.Import.Register,Power.Active.Import,Current.Offered";
    assert_eq!(changes(&mut bench, "SoC", |_| true), [wanted, "5"]);
    metering(&mut bench, 2, Some(900), "Voltage, soc");
    assert!(bench.outstanding().is_none(), "nothing has changed");
    metering(&mut bench, 1, Some(3), "SoC");
    assert_eq!(changes(&mut bench, wanted, |_| true), ["3"]);
    metering(&mut bench, 1, None, "SoC,Frequency");
    let wanted = "SoC,Frequency,Voltage,Current.Import,Energy.Active.Import.Register,Power.Active.Import,Current.Offered";
    assert_eq!(
        changes(&mut bench, "SoC", |_| true),
        [wanted],
        "10 s, as for us"
    );
}

#[test]
fn a_wallbox_that_does_not_take_all_measurands_takes_those_of_the_backend() {
    let mut bench = Bench::with_backend(1);
    metering(&mut bench, 1, Some(900), "SoC");
    let all =
        "SoC,Current.Import,Energy.Active.Import.Register,Power.Active.Import,Current.Offered";
    let taken = changes(&mut bench, "", |value| value == "SoC");
    assert_eq!(taken, [all, "SoC"]);
}

#[test]
fn the_metering_of_a_backend_that_is_known_before_the_wallbox_connects_is_set_up_with_the_rest() {
    let mut bench = Bench::on_disk(1, Recovered::default());
    metering(&mut bench, 1, Some(5), "SoC");
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    let asked = bench.answer_everything();
    let values: Vec<&Value> = asked
        .iter()
        .filter(|(action, _)| action == "ChangeConfiguration")
        .map(|(_, it)| &it["value"])
        .collect();
    assert!(values.contains(&&json!("5")), "{values:?}");
    let reads = asked
        .iter()
        .filter(|(action, _)| action == "GetConfiguration");
    assert_eq!(reads.count(), 1);
}

#[test]
fn without_a_backend_nobody_meters() {
    let mut bench = Bench::booted();
    metering(&mut bench, 1, Some(5), "SoC");
    assert!(bench.outstanding().is_none());
}

#[test]
fn case_15_a_start_sent_again_with_another_id_is_one_transaction_and_filed_once() {
    let mut bench = charging(1);
    let again = json!([2, "s2", "StartTransaction", start(100)]).to_string();
    bench.frame(&again);
    assert_eq!(bench.answers("s2")[0][2]["transactionId"], 17);
    assert_eq!(bench.entries("StartTransaction"), 1);
}

#[test]
fn case_19_a_stop_with_the_id_minus_one_is_that_of_the_open_transaction() {
    let mut bench = charging(1);
    let number = *bench.disk.transactions.keys().next_back().unwrap();
    let stop = json!({"transactionId": -1, "meterStop": 900, "timestamp": "2026-06-01T13:00:00Z"});
    bench.call("StopTransaction", &stop);
    let filed = bench.entries.last().unwrap();
    assert_eq!(
        (filed.kind, filed.transaction),
        (EntryKind::Stop, Some(number))
    );
}

#[test]
fn case_22_signed_values_at_the_start_are_filed_although_periodic_ones_are_not_wanted() {
    let mut bench = charging(1);
    metering(&mut bench, 1, None, "");
    bench.answer_everything();
    let signed = json!({"context": "Transaction.Begin", "format": "SignedData"});
    bench.call("MeterValues", &values(Some(17), 1, &signed));
    bench.call("MeterValues", &values(Some(17), 2, &json!({})));
    assert_eq!(filed(&bench), [(KEPT, true, 1)]);
}

#[test]
fn case_41_values_that_had_to_be_repaired_are_filed_as_repaired() {
    let mut bench = charging(1);
    let text = r#"[2,"m","MeterValues",{"connectorId":1,"transactionId":17,"meterValue":[{"timestamp":"2026-06-01T12:10:00Z","sampledValue":[,{"value":"7600","context":"Trigger"}]}]}]"#;
    // What checks our answers reads good frames only.
    bench.schema.received(&text.replace("[,", "["));
    bench.act(|station, context| station.handle_frame(context, text));
    let filed = bench.entries.last().unwrap();
    assert_eq!(filed.kind.action(), "MeterValues");
    assert!(
        filed.payload.contains(r#""sampledValue":[{"value":"7600""#),
        "{}",
        filed.payload
    );
}
