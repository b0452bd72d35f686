//! `MeterValues` and the values in `StopTransaction` (OCPP 1.6 §3.16, §4.7, §4.10).

use super::lab::*;

fn samples(values: &Value) -> Vec<Value> {
    values["meterValue"][0]["sampledValue"]
        .as_array()
        .unwrap()
        .clone()
}

fn of_context(lab: &Lab, context: &str) -> Vec<Value> {
    let all = lab.heard("MeterValues").into_iter();
    let own = all.filter(|it| samples(it)[0]["context"] == context);
    own.collect()
}

#[test]
fn samples_come_at_the_interval_while_a_transaction_runs() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "30");
    lab.wait(120);
    assert!(lab.heard("MeterValues").is_empty(), "no transaction");
    let transaction = lab.session();
    lab.wait(305);
    let values = of_context(&lab, "Sample.Periodic");
    assert!((9..=11).contains(&values.len()), "{}", values.len());
    assert!(values.iter().all(|it| it["transactionId"] == transaction));
    lab.unplug();
    let before = lab.heard("MeterValues").len();
    lab.wait(120);
    assert_eq!(lab.heard("MeterValues").len(), before);
}

#[test]
fn an_interval_of_0_is_none() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "0");
    lab.session();
    lab.wait(300);
    assert!(lab.heard("MeterValues").is_empty());
}

#[test]
fn what_is_sampled_is_what_was_set() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "10");
    lab.set(
        "MeterValuesSampledData",
        "Power.Active.Import,Current.Import.L2",
    );
    lab.session();
    lab.wait(60);
    for values in of_context(&lab, "Sample.Periodic") {
        let names: Vec<_> = samples(&values)
            .iter()
            .map(|it| {
                (
                    it["measurand"].clone(),
                    it["phase"].clone(),
                    it["unit"].clone(),
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                (json!("Power.Active.Import"), Value::Null, json!("W")),
                (json!("Current.Import"), json!("L2"), json!("A")),
            ]
        );
    }
}

#[test]
fn a_bare_current_is_that_of_every_phase() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "10");
    lab.set("MeterValuesSampledData", "Current.Import");
    lab.session();
    lab.wait(30);
    let values = lab.last("MeterValues");
    let phases: Vec<_> = samples(&values)
        .iter()
        .map(|it| it["phase"].clone())
        .collect();
    assert_eq!(phases, ["L1", "L2", "L3"]);
    for sample in samples(&values) {
        let amps: f64 = sample["value"].as_str().unwrap().parse().unwrap();
        assert!((15.5..16.5).contains(&amps), "{sample}");
    }
}

#[test]
fn registers_never_fall_and_are_whole_watt_hours() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "10");
    lab.set("MeterValuesSampledData", "Energy.Active.Import.Register");
    lab.session();
    lab.wait(120);
    lab.world.reboot("PB", std::time::Duration::from_secs(20));
    lab.wait(180);
    let registers: Vec<i64> = of_context(&lab, "Sample.Periodic")
        .iter()
        .map(|it| samples(it)[0]["value"].as_str().unwrap().parse().unwrap())
        .collect();
    assert!(registers.len() > 10);
    assert!(registers.is_sorted(), "{registers:?}");
}

#[test]
fn samples_by_the_clock_come_at_full_multiples_also_without_a_transaction() {
    let mut lab = lab();
    lab.set("ClockAlignedDataInterval", "60");
    lab.wait(200);
    let values = of_context(&lab, "Sample.Clock");
    assert!((3..=4).contains(&values.len()), "{}", values.len());
    for one in &values {
        assert_eq!(one.get("transactionId"), None);
        let at = one["meterValue"][0]["timestamp"].as_str().unwrap();
        let seconds: f64 = at[17..].trim_end_matches('Z').parse().unwrap();
        assert!(seconds < 2.0, "{at}");
    }
    let transaction = lab.session();
    lab.wait(70);
    let last = of_context(&lab, "Sample.Clock").pop().unwrap();
    assert_eq!(last["transactionId"], transaction);
}

#[test]
fn a_stop_has_no_values_where_none_are_wanted() {
    let mut lab = lab();
    lab.session();
    lab.unplug();
    let stop = lab.last("StopTransaction");
    assert!(
        stop.get("transactionData")
            .is_none_or(|it| it == &json!([])),
        "{stop}"
    );
}

#[test]
fn a_stop_has_the_values_of_begin_and_end_and_those_between() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "60");
    lab.set("StopTxnSampledData", "Energy.Active.Import.Register");
    lab.session();
    lab.wait(305);
    lab.unplug();
    let (start, stop) = (lab.last("StartTransaction"), lab.last("StopTransaction"));
    let data = stop["transactionData"].as_array().unwrap();
    let samples: Vec<_> = data
        .iter()
        .flat_map(|it| it["sampledValue"].as_array().unwrap())
        .map(|it| {
            (
                it["context"].as_str().unwrap(),
                it["value"].as_str().unwrap(),
            )
        })
        .collect();
    let first = start["meterStart"].to_string();
    let last = stop["meterStop"].to_string();
    assert_eq!(
        samples.first(),
        Some(&("Transaction.Begin", first.as_str()))
    );
    assert_eq!(samples.last(), Some(&("Transaction.End", last.as_str())));
    let between = samples
        .iter()
        .filter(|(it, _)| *it == "Sample.Periodic")
        .count();
    assert!((4..=6).contains(&between), "{samples:?}");
}

#[test]
fn a_long_stop_loses_what_is_in_the_middle() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "1");
    lab.set("StopTxnSampledData", "Energy.Active.Import.Register");
    lab.session();
    lab.wait(700);
    lab.unplug();
    let stop = lab.last("StopTransaction");
    let data = stop["transactionData"].as_array().unwrap();
    assert!(data.len() <= 500, "{}", data.len());
    let context = |at: usize| data[at]["sampledValue"][0]["context"].clone();
    assert_eq!(
        (context(0), context(data.len() - 1)),
        (json!("Transaction.Begin"), json!("Transaction.End"))
    );
}

#[test]
fn what_is_offered_can_be_sampled() {
    let mut lab = lab();
    lab.set("MeterValueSampleInterval", "10");
    lab.set("MeterValuesSampledData", "Current.Offered,Power.Offered");
    lab.session();
    lab.wait(30);
    let values = samples(&lab.last("MeterValues"));
    let value = |at: usize| {
        values[at]["value"]
            .as_str()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert_eq!((value(0), value(1)), (16.0, 11_040.0));
}
