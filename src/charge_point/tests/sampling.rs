//! Meter values: periodic, by the clock, asked for, and with the stop.

use super::*;
use crate::evse::Sampled;
use crate::ocpp::messages::Measurand;

const ENERGY: Sampled = Sampled {
    measurand: Measurand::EnergyActiveImportRegister,
    phase: None,
};

const POWER: Sampled = Sampled {
    measurand: Measurand::PowerActiveImport,
    phase: None,
};

const VOLTAGE: Sampled = Sampled {
    measurand: Measurand::Voltage,
    phase: None,
};

const fn every(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn bench(conduct: Conduct) -> Bench {
    let mut bench = Bench::new(ChargePointPlan {
        backend: true,
        ..plan()
    });
    bench.conduct(conduct);
    bench
}

fn charging(conduct: Conduct) -> Bench {
    let mut bench = bench(conduct);
    bench.plug();
    bench.offer(16_000);
    bench.run(2);
    bench
}

fn filed(bench: &Bench) -> Vec<&Value> {
    let values = |it: &&(String, Value)| it.0 == "MeterValues";
    bench
        .entries
        .iter()
        .filter(values)
        .map(|it| &it.1)
        .collect()
}

fn number(bench: &Bench) -> Value {
    bench.transactions()[0].wallbox_id.into()
}

/// Context and value of each sample.
fn samples(meter_value: &Value) -> Vec<(&str, &str)> {
    let samples = meter_value["sampledValue"].as_array().unwrap();
    samples
        .iter()
        .map(|it| {
            (
                it["context"].as_str().unwrap(),
                it["value"].as_str().unwrap(),
            )
        })
        .collect()
}

/// What came with the stop.
fn transaction_data(bench: &Bench) -> Vec<&Value> {
    let (action, stop) = bench.entries.last().unwrap();
    assert_eq!(action, "StopTransaction");
    let data = stop["transactionData"].as_array();
    data.map(|data| data.iter().collect()).unwrap_or_default()
}

#[test]
fn in_a_transaction_values_come_at_every_interval_since_its_start() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(60)),
        sampled: vec![ENERGY, POWER],
        ..Conduct::default()
    });
    bench.run(200);
    let number = number(&bench);
    let started: jiff::Timestamp = bench.transactions()[0].started.parse().unwrap();
    let values = filed(&bench);
    assert_eq!(values.len(), 3);
    for (minute, message) in (1..).zip(values) {
        assert_eq!(message["transactionId"], number);
        let [value] = message["meterValue"].as_array().unwrap().as_slice() else {
            panic!("{message}");
        };
        let at: jiff::Timestamp = value["timestamp"].as_str().unwrap().parse().unwrap();
        let elapsed = at.duration_since(started).as_secs();
        assert!(
            (60 * minute..=60 * minute + 1).contains(&elapsed),
            "{elapsed}"
        );
        let periodic = "Sample.Periodic";
        assert_eq!(samples(value), [(periodic, "5000"), (periodic, "11040")]);
    }
    assert_eq!(bench.notices("MeterValues").len(), 0);
}

#[test]
fn after_the_stop_and_without_a_transaction_nothing_is_periodic() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(10)),
        sampled: vec![ENERGY],
        ..Conduct::default()
    });
    bench.unplug();
    let stopped = bench.entries.len();
    bench.run(60);
    assert_eq!(bench.entries.len(), stopped);
}

#[test]
fn no_values_are_sent_where_none_is_wanted_or_known() {
    for (sampled, interval) in [
        (vec![], Some(every(10))),
        (vec![VOLTAGE], Some(every(10))),
        (vec![ENERGY], None),
    ] {
        let mut bench = charging(Conduct {
            sample_interval: interval,
            sampled,
            ..Conduct::default()
        });
        bench.run(60);
        assert_eq!(filed(&bench).len(), 0);
    }
}

#[test]
fn a_device_that_is_away_has_no_values() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(10)),
        sampled: vec![ENERGY, POWER],
        clock_interval: Some(every(10)),
        aligned: vec![ENERGY],
        ..Conduct::default()
    });
    bench.brain.failure = Some(Failure::Silent);
    bench.run(5);
    let before = bench.entries.len();
    bench.run(100);
    assert_eq!(bench.entries.len(), before);
}

#[test]
fn by_the_clock_values_come_with_and_without_a_transaction() {
    let mut bench = bench(Conduct {
        clock_interval: Some(every(60)),
        aligned: vec![ENERGY],
        ..Conduct::default()
    });
    bench.run(70);
    bench.plug();
    bench.run(60);
    let number = number(&bench);
    let values = filed(&bench);
    let times: Vec<_> = values
        .iter()
        .map(|it| {
            (
                it["meterValue"][0]["timestamp"].as_str().unwrap(),
                &it["transactionId"],
            )
        })
        .collect();
    assert_eq!(
        times,
        [
            ("2026-06-01T12:01:00Z", &Value::Null),
            ("2026-06-01T12:02:00Z", &number)
        ]
    );
    assert_eq!(
        samples(&values[0]["meterValue"][0]),
        [("Sample.Clock", "5000")]
    );
}

#[test]
fn values_that_were_asked_for_come_at_once() {
    let mut bench = bench(Conduct {
        sampled: vec![ENERGY],
        ..Conduct::default()
    });
    let ask = |it: &mut ChargePoint, context: &mut Context<'_>| {
        it.send_triggered_values(context.now);
        it.handle_timeout(context);
    };
    bench.act(ask);
    let [value] = bench.notices("MeterValues")[..] else {
        panic!("{:?}", bench.notices);
    };
    assert_eq!(samples(&value["meterValue"][0]), [("Trigger", "5000")]);
    assert_eq!(value["transactionId"], Value::Null);
    bench.plug();
    bench.act(ask);
    assert_eq!(bench.notices("MeterValues").len(), 1);
    let number = number(&bench);
    let values = filed(&bench);
    assert_eq!(
        values.len(),
        1,
        "after the start, with the number of the transaction"
    );
    assert_eq!(values[0]["transactionId"], number);
}

#[test]
fn of_all_measurands_those_that_are_known_are_sent() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(10)),
        sampled: Measurand::ALL
            .iter()
            .map(|measurand| Sampled {
                measurand: *measurand,
                phase: None,
            })
            .collect(),
        ..Conduct::default()
    });
    bench.run(12);
    let values = filed(&bench);
    let samples = values[0]["meterValue"][0]["sampledValue"].as_array();
    let named = |it: &Value| {
        let phase = it["phase"].as_str().unwrap_or("-").to_owned();
        let value = it["value"].as_str().unwrap().to_owned();
        (it["measurand"].as_str().unwrap().to_owned(), phase, value)
    };
    let mut told: Vec<_> = samples.unwrap().iter().map(named).collect();
    told.sort();
    let known = [
        ("Current.Import", "L1", "16.0"),
        ("Current.Import", "L2", "16.0"),
        ("Current.Import", "L3", "16.0"),
        ("Current.Offered", "-", "16.0"),
        ("Energy.Active.Import.Register", "-", "5000"),
        ("Power.Active.Import", "-", "11040"),
        ("Power.Offered", "-", "11040"),
    ];
    assert_eq!(
        told,
        known.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()))
    );
}

#[test]
fn a_stop_has_no_data_unless_the_backend_wants_some() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(10)),
        sampled: vec![ENERGY],
        ..Conduct::default()
    });
    bench.run(30);
    bench.unplug();
    assert_eq!(transaction_data(&bench), [&Value::Null; 0]);
}

#[test]
fn a_stop_has_begin_and_end_and_what_was_collected_in_between() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(50)),
        stop_sampled: vec![ENERGY],
        clock_interval: Some(every(60)),
        stop_aligned: vec![POWER],
        ..Conduct::default()
    });
    bench.run(20);
    bench.brain.energy = 5100;
    bench.run(50);
    bench.brain.energy = 5200;
    bench.unplug();
    let data = transaction_data(&bench);
    let (begin, end) = ("Transaction.Begin", "Transaction.End");
    let all: Vec<_> = data.iter().flat_map(|value| samples(value)).collect();
    let expected = [
        (begin, "5000"),
        (begin, "0"),
        ("Sample.Periodic", "5100"),
        ("Sample.Clock", "11040"),
        (end, "5200"),
        (end, "0"),
    ];
    assert_eq!(all, expected);
    assert_eq!(filed(&bench).len(), 0, "wanted with the stop only");
}

#[test]
fn after_a_restart_of_ours_the_begin_is_that_of_the_transaction() {
    let conduct = Conduct {
        sample_interval: Some(every(60)),
        sampled: vec![ENERGY],
        stop_sampled: vec![ENERGY, POWER],
        ..Conduct::default()
    };
    let mut bench = charging(conduct.clone());
    bench.run(30);
    bench.brain.energy = 6000;
    let started = bench.transactions()[0].started.clone();
    let time = bench.time;
    bench = bench.restart();
    bench.conduct(conduct);
    // The bench begins at noon again, before the transaction did.
    bench.run(time.as_secs() - 1000 + 20);
    bench.offer(16_000);
    bench.unplug();
    let data = transaction_data(&bench);
    assert_eq!(data[0]["timestamp"], started.as_str());
    assert_eq!(samples(data[0]), [("Transaction.Begin", "5000")]);
    let last = data.last().unwrap();
    assert_eq!(samples(last)[0], ("Transaction.End", "6000"));
}

#[test]
fn a_stop_has_at_most_500_values_and_never_loses_begin_and_end() {
    let mut bench = charging(Conduct {
        sample_interval: Some(every(1)),
        stop_sampled: vec![ENERGY],
        ..Conduct::default()
    });
    bench.run(600);
    bench.unplug();
    let data = transaction_data(&bench);
    assert!((250..=500).contains(&data.len()), "{}", data.len());
    assert_eq!(samples(data[0])[0].0, "Transaction.Begin");
    assert_eq!(samples(data.last().unwrap())[0].0, "Transaction.End");
}

#[test]
fn a_register_that_was_reset_bills_on_also_after_a_restart_of_ours() {
    let mut bench = charging(Conduct::default());
    bench.brain.energy = 6000;
    bench.run(2);
    bench.brain.energy = 0;
    bench.run(15);
    bench.brain.energy = 100;
    bench.run(2);
    bench = bench.restart();
    bench.run(5);
    bench.brain.energy = 150;
    bench.run(2);
    bench.unplug();
    assert_eq!(bench.ending().unwrap().1, Some(6150));
}
