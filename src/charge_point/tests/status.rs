//! What the backend hears of the connector, and of the charge point.

use proptest::prelude::*;

use super::storm::{Event, event, happen};
use super::*;
use crate::charge_point::status::may_follow;
use crate::evse::Deauthorize;

fn backed() -> ChargePointPlan {
    ChargePointPlan {
        backend: true,
        ..listed()
    }
}

/// A car that charges, of whoever comes.
fn charging() -> Bench {
    let mut bench = Bench::new(ChargePointPlan {
        backend: true,
        ..plan()
    });
    bench.plug();
    bench.offer(16_000);
    bench.run(2);
    bench
}

fn statuses(bench: &Bench) -> Vec<&str> {
    let words = bench.notices("StatusNotification").into_iter();
    let words = words.filter(|word| word["connectorId"] == 1);
    words.map(|word| word["status"].as_str().unwrap()).collect()
}

fn last(bench: &Bench) -> Value {
    let words = bench.notices("StatusNotification").into_iter();
    let mut words = words.filter(|word| word["connectorId"] == 1);
    words.next_back().unwrap().clone()
}

#[test]
fn a_session_is_told_from_available_to_available() {
    let mut bench = Bench::new(backed());
    bench.plug();
    bench.tap(CARD);
    let begun = ["Available", "Preparing", "SuspendedEVSE"];
    assert_eq!(statuses(&bench), begun);
    bench.offer(16_000);
    bench.run(3);
    assert_eq!(statuses(&bench).last(), Some(&"Charging"));
    bench.notices.clear();
    bench.brain.hungry = false;
    bench.run(2);
    bench.offer(0);
    bench.run(2);
    bench.tap(CARD);
    bench.unplug();
    let ended = ["SuspendedEV", "SuspendedEVSE", "Finishing", "Available"];
    assert_eq!(statuses(&bench), ended);
}

#[test]
fn without_a_backend_nobody_is_told() {
    let mut bench = Bench::charging();
    bench.unplug();
    assert_eq!(bench.notices, []);
}

#[test]
fn a_connector_is_available_only_after_its_last_bill_is_closed() {
    let mut bench = charging();
    bench.brain.energy = 17;
    bench.run(2);
    bench.notices.clear();
    bench.unplug();
    assert_eq!(bench.open(), 1, "its register is in doubt");
    assert_eq!(statuses(&bench), ["Finishing"]);
    bench.run(15);
    assert_eq!(bench.open(), 0);
    assert_eq!(statuses(&bench), ["Finishing", "Available"]);
}

#[test]
fn whoever_taps_again_after_the_end_prepares_again() {
    let mut bench = Bench::new(backed());
    bench.plug();
    bench.tap(CARD);
    bench.offer(16_000);
    bench.run(3);
    bench.tap(CARD);
    bench.notices.clear();
    bench.tap(PARTNER);
    let told = statuses(&bench);
    assert_eq!(told[0], "Preparing");
    assert_eq!(told.last(), Some(&"Charging"));
}

#[test]
fn each_fault_has_its_code_and_its_end_is_told() {
    for (pilot, error, code) in [
        (4, "OtherError", "E"),
        (5, "InternalError", "F"),
        (9, "GroundFailure", "9"),
        (77, "OtherError", "77"),
    ] {
        let mut bench = charging();
        bench.brain.fault = Some(pilot);
        bench.run(2);
        let word = last(&bench);
        assert_eq!(word["status"], "Faulted");
        assert_eq!(word["errorCode"], error);
        assert_eq!(word["vendorErrorCode"], code);
        assert_eq!(word["vendorId"], "cFos");
        bench.brain.fault = None;
        bench.run(2);
        let word = last(&bench);
        assert_eq!(
            (&word["status"], &word["errorCode"]),
            (&"Charging".into(), &"NoError".into())
        );
        assert_eq!(word["vendorErrorCode"], Value::Null);
    }
}

#[test]
fn one_fault_after_another_is_told_though_the_status_stays() {
    let mut bench = charging();
    bench.brain.fault = Some(5);
    bench.run(2);
    bench.brain.fault = Some(9);
    bench.run(2);
    assert_eq!(
        statuses(&bench).iter().rev().take(2).collect::<Vec<_>>(),
        [&"Faulted"; 2]
    );
    assert_eq!(last(&bench)["errorCode"], "GroundFailure");
}

fn in_service(bench: &mut Bench, yes: bool) {
    let kind = if yes { "Operative" } else { "Inoperative" };
    let payload = json!({"connectorId": 1, "type": kind});
    bench.order("ChangeAvailability", &payload).unwrap();
}

#[test]
fn out_of_service_it_is_unavailable_but_not_in_a_transaction() {
    let mut bench = charging();
    in_service(&mut bench, false);
    bench.run(2);
    assert_eq!(last(&bench)["status"], "Charging");
    bench.unplug();
    assert_eq!(last(&bench)["status"], "Unavailable");
    in_service(&mut bench, true);
    bench.run(2);
    assert_eq!(last(&bench)["status"], "Available");
}

#[test]
fn a_preparation_that_is_put_out_of_service_ends_first() {
    let mut bench = Bench::new(backed());
    bench.plug();
    in_service(&mut bench, false);
    bench.run(2);
    let told = ["Available", "Preparing", "Finishing", "Unavailable"];
    assert_eq!(statuses(&bench), told);
}

#[test]
fn a_refused_transaction_that_stays_open_is_suspended_by_us() {
    let mut bench = charging();
    let transaction = bench.transactions()[0].number;
    let said = Deauthorize {
        transaction,
        stop: false,
    };
    bench.act(|it, context| it.handle_deauthorize(context, &said));
    bench.run(2);
    assert_eq!(last(&bench)["status"], "SuspendedEVSE");
    assert_eq!(last(&bench)["info"], "the tag was refused");
}

#[test]
fn a_car_that_could_charge_and_takes_nothing_for_a_minute_suspends() {
    let mut bench = Bench::new(ChargePointPlan {
        backend: true,
        meter: Metering::Other,
        ..plan()
    });
    let measured = |amps| Measured {
        current: Some(PerPhase::all(MilliAmps(amps))),
        power: None,
        energy: Some(WattHours(777)),
    };
    let measure = |bench: &mut Bench, amps, seconds| {
        for _ in 0..seconds {
            bench.act(|it, context| it.handle_measured(context, measured(amps)));
            bench.run(1);
        }
    };
    bench.plug();
    measure(&mut bench, 0, 2);
    bench.offer(16_000);
    measure(&mut bench, 0, 55);
    assert_eq!(last(&bench)["status"], "Charging");
    measure(&mut bench, 0, 10);
    assert_eq!(last(&bench)["status"], "SuspendedEV");
    measure(&mut bench, 6000, 2);
    assert_eq!(last(&bench)["status"], "Charging");
    // A meter that says nothing any more does not say that nothing flows.
    measure(&mut bench, 0, 2);
    bench.run(200);
    assert_eq!(last(&bench)["status"], "Charging");
}

#[test]
fn a_status_that_lasts_for_less_than_the_backend_wants_is_not_told() {
    let mut bench = Bench::new(backed());
    bench.conduct(Conduct {
        minimum_status: Duration::from_secs(10),
        ..Conduct::default()
    });
    bench.plug();
    bench.run(3);
    bench.unplug();
    bench.run(20);
    assert_eq!(statuses(&bench), ["Available"]);
    let plugged = bench.time;
    bench.brain.plugged = true;
    while statuses(&bench).len() == 1 {
        bench.step();
    }
    assert_eq!(statuses(&bench), ["Available", "Preparing"]);
    let waited = bench.time.saturating_sub(plugged).as_secs();
    assert!((10..=11).contains(&waited), "{waited}");
}

#[test]
fn a_device_that_was_away_for_long_is_told_anew_and_one_that_was_not_is_not() {
    let mut bench = Bench::new(backed());
    for (seconds, words) in [(20, 1), (120, 2)] {
        bench.brain.failure = Some(Failure::Silent);
        bench.run(seconds);
        assert!(!bench.is_online());
        bench.brain.failure = None;
        bench.run(12);
        assert!(bench.is_online());
        assert_eq!(statuses(&bench), vec!["Available"; words]);
    }
}

#[test]
fn a_meter_that_cannot_be_read_is_a_warning_and_no_fault() {
    let mut bench = charging();
    bench.charge_point.meter_refused = true;
    bench.run(2);
    let word = last(&bench);
    assert_eq!(
        (&word["status"], &word["errorCode"]),
        (&"Charging".into(), &"PowerMeterFailure".into())
    );
}

#[test]
fn the_backend_hears_once_what_the_device_is() {
    let mut bench = Bench::new(backed());
    bench.brain.failure = Some(Failure::Silent);
    bench.run(20);
    bench.brain.failure = None;
    bench.run(12);
    let boot = json!({
        "chargePointVendor": "cFos",
        "chargePointModel": "cFos Power Brain",
        "chargePointSerialNumber": "W00-4711",
        "firmwareVersion": "0.0.0",
    });
    assert_eq!(bench.notices("BootNotification"), [&boot]);
    assert_eq!(
        bench.notices[0].0, "BootNotification",
        "before anything else"
    );
}

#[test]
fn the_backend_hears_it_when_another_device_answers() {
    let mut bench = Bench::new(backed());
    bench.brain.serial = "W00-4712";
    bench.brain.failure = Some(Failure::Silent);
    bench.run(20);
    bench.brain.failure = None;
    bench.run(12);
    let boots = bench.notices("BootNotification");
    let serial = |boot: &&Value| boot["chargePointSerialNumber"].as_str().unwrap().to_owned();
    let serials: Vec<_> = boots.iter().map(serial).collect();
    assert_eq!(serials, ["W00-4711", "W00-4712"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn whatever_happens_no_status_follows_on_one_that_it_may_not_follow(
        minimum in 0..5_u64,
        events in prop::collection::vec(event(), 1..40),
    ) {
        let conduct = Conduct {
            minimum_status: Duration::from_secs(minimum),
            ..Conduct::default()
        };
        let mut bench = Bench::new(backed());
        bench.conduct(conduct.clone());
        for event in events {
            if let Event::Restart = event {
                bench = bench.restart();
                bench.conduct(conduct.clone());
            }
            happen(&mut bench, event);
            let told = statuses(&bench);
            let told: Vec<_> = told.into_iter().filter_map(ChargePointStatus::parse).collect();
            for pair in told.windows(2) {
                prop_assert!(may_follow(pair[0], pair[1]), "{pair:?}");
            }
        }
    }
}
