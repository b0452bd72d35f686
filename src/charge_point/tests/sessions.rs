//! From plug to unplug.

use super::*;
use crate::evse::Deauthorize;

#[test]
fn a_free_device_is_held_closed_also_where_everybody_may_charge() {
    let bench = Bench::new(plan());
    assert_eq!(bench.brain.get(8094), 0);
    assert_eq!(bench.status(), ChargePointStatus::Available);
    assert_eq!(bench.open(), 0);
}

#[test]
fn where_everybody_may_charge_a_car_that_is_plugged_begins_a_transaction() {
    let mut bench = Bench::new(plan());
    bench.plug();
    assert_eq!(bench.demand(), Demand::Charging);
    assert_eq!(bench.status(), ChargePointStatus::SuspendedEVSE);
    let transaction = bench.transactions().pop().unwrap();
    assert_eq!(transaction.address, "192.168.1.60:4701".into());
    assert_eq!(transaction.connector.0, 1);
    assert_eq!(transaction.wallbox_id, transaction.number.0);
    assert_eq!(transaction.meter_start, Some(WattHours(5000)));
    assert_eq!(transaction.id_tag, None);
    assert_eq!(bench.brain.get(8094), 0, "no offer yet");
    bench.offer(16_000);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.calls, []);
}

#[test]
fn unplugging_ends_the_transaction_with_the_register_read_after_it() {
    let mut bench = Bench::charging();
    bench.brain.energy = 7300;
    bench.unplug();
    let reason = "EVDisconnected".to_owned();
    assert_eq!(bench.ending(), Some((reason, Some(7300))));
    assert_eq!(bench.brain.get(8094), 0);
    assert_eq!(bench.status(), ChargePointStatus::Available);
    assert_eq!(bench.demand(), Demand::None);
    assert!(bench.charge_point.view().transaction.is_none());
}

#[test]
fn start_and_stop_are_kept_as_an_ocpp_wallbox_would_send_them() {
    let mut bench = Bench::new(listed());
    bench.plug();
    bench.tap(CARD);
    bench.brain.energy = 9000;
    bench.unplug();
    let number = bench.transactions()[0].number.0;
    let (action, start) = bench.entries.remove(0);
    assert_eq!(action, "StartTransaction");
    assert_eq!(
        (&start["connectorId"], &start["idTag"], &start["meterStart"]),
        (&1.into(), &CARD.into(), &5000.into())
    );
    let (action, stop) = bench.entries.remove(0);
    assert_eq!(action, "StopTransaction");
    assert_eq!(
        (&stop["transactionId"], &stop["meterStop"], &stop["reason"]),
        (&number.into(), &9000.into(), &"EVDisconnected".into())
    );
    assert_eq!(bench.entries, []);
}

#[test]
fn with_a_fixed_tag_a_plugged_car_charges_once_that_tag_is_accepted() {
    let mut bench = Bench::new(ChargePointPlan {
        fixed_id_tag: Some(tag("FIXED")),
        ..listed()
    });
    bench.upstream_waits = true;
    bench.plug();
    assert_eq!(bench.asks(), [("Authorize", "FIXED".to_owned())]);
    assert_eq!(bench.open(), 0);
    bench.run(5);
    assert_eq!(bench.calls.len(), 1, "asked once");
    bench.reply(1);
    bench.run(1);
    assert_eq!(bench.asks()[1..], [("Start", "FIXED".to_owned())]);
    assert_eq!(bench.transactions()[0].id_tag, Some(tag("FIXED")));
    assert_eq!(bench.demand(), Demand::Charging);
}

#[test]
fn a_fixed_tag_that_is_refused_is_asked_again_for_the_next_car_only() {
    let mut bench = Bench::new(ChargePointPlan {
        fixed_id_tag: Some(tag("FIXED")),
        ..listed()
    });
    bench.verdict.status = AuthorizationStatus::Blocked;
    bench.plug();
    bench.run(20);
    assert_eq!(bench.calls.len(), 1);
    assert_eq!((bench.open(), bench.demand()), (0, Demand::Plugged));
    bench.unplug();
    bench.plug();
    assert_eq!(bench.calls.len(), 2);
}

#[test]
fn a_transaction_whose_tag_is_refused_after_all_ends_and_the_car_must_be_plugged_anew() {
    let mut bench = Bench::new(ChargePointPlan {
        fixed_id_tag: Some(tag("FIXED")),
        ..listed()
    });
    bench.upstream_waits = true;
    bench.plug();
    bench.reply(1);
    bench.offer(16_000);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    bench.verdict.status = AuthorizationStatus::Invalid;
    bench.reply(2);
    bench.run(2);
    assert_eq!(bench.ending().unwrap().0, "DeAuthorized");
    assert_eq!(bench.brain.get(8094), 0);
    assert_eq!(bench.status(), ChargePointStatus::Finishing);
    bench.run(30);
    assert_eq!(bench.transactions().len(), 1);
}

#[test]
fn a_car_plugged_before_the_last_bill_is_closed_has_its_own() {
    let mut bench = Bench::charging();
    bench.brain.energy = 17;
    bench.run(2);
    bench.unplug();
    assert_eq!(bench.open(), 1, "its register is in doubt");
    bench.plug();
    bench.run(20);
    assert_eq!((bench.open(), bench.transactions().len()), (1, 2));
    assert_eq!(bench.demand(), Demand::Charging);
}

#[test]
fn an_offer_that_was_left_over_enables_nothing_before_the_start_is_on_the_disk() {
    let mut bench = Bench::new(plan());
    bench.offer(16_000);
    bench.brain.plugged = true;
    while bench.open() == 0 {
        bench.step();
    }
    let writes = |bench: &Bench| matches!(bench.asked, Some(Request::Write { .. }));
    assert!(!writes(&bench), "{:?}", bench.asked);
    bench.run(2);
    assert_eq!(bench.brain.get(8094), 1);
}

#[test]
fn a_fault_suspends_a_transaction_and_ends_none() {
    for code in [4, 5, 9, 77] {
        let mut bench = Bench::charging();
        bench.brain.fault = Some(code);
        bench.run(600);
        assert_eq!(bench.status(), ChargePointStatus::Faulted, "{code}");
        assert_eq!(bench.open(), 1);
        bench.brain.fault = None;
        bench.run(2);
        assert_eq!(bench.status(), ChargePointStatus::Charging);
    }
}

#[test]
fn a_car_that_takes_nothing_suspends_and_a_pause_is_ours() {
    let mut bench = Bench::charging();
    bench.brain.hungry = false;
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::SuspendedEV);
    bench.offer(0);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::SuspendedEVSE);
    assert_eq!(bench.open(), 1);
}

#[test]
fn quirk_cfos_power_brain_reads_energy_0_after_a_start_and_no_transaction_begins_with_it() {
    let mut brain = Brain::new();
    brain.energy = 0;
    brain.plugged = true;
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(6);
    assert_eq!(bench.transactions().len(), 0);
    assert_eq!(bench.brain.get(8094), 0);
    bench.brain.energy = 123_456;
    bench.run(2);
    assert_eq!(
        bench.transactions()[0].meter_start,
        Some(WattHours(123_456))
    );
}

#[test]
fn a_register_of_0_is_believed_after_10_s() {
    let mut brain = Brain::new();
    brain.energy = 0;
    brain.plugged = true;
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(9);
    assert_eq!(bench.transactions().len(), 0);
    bench.run(4);
    assert_eq!(bench.transactions()[0].meter_start, Some(WattHours(0)));
}

#[test]
fn a_register_that_falls_lowers_no_bill() {
    let mut bench = Bench::charging();
    bench.brain.energy = 6000;
    bench.run(2);
    bench.brain.energy = 17;
    bench.run(30);
    bench.unplug();
    bench.run(12);
    assert_eq!(bench.ending().unwrap().1, Some(6000));
}

#[test]
fn a_device_without_a_meter_charges_and_its_registers_are_unknown() {
    let mut brain = Brain::new();
    brain.has_meter = false;
    let mut bench = Bench::with(plan(), brain, Recovered::default());
    bench.run(2);
    bench.plug();
    bench.offer(16_000);
    bench.run(2);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    bench.unplug();
    assert_eq!(bench.transactions()[0].meter_start, None);
    assert_eq!(bench.ending().unwrap().1, None);
    assert_eq!(bench.entries[0].1["meterStart"], 0);
}

#[test]
fn another_meter_takes_the_place_of_its_own() {
    let mut bench = Bench::new(ChargePointPlan {
        meter: Metering::Other,
        ..plan()
    });
    let measured = |energy| Measured {
        current: Some(PerPhase::all(MilliAmps(10_000))),
        power: Some(Watts(6900)),
        energy: Some(WattHours(energy)),
    };
    bench.act(|it, context| it.handle_measured(context, measured(777)));
    bench.plug();
    bench.act(|it, context| it.handle_measured(context, measured(777)));
    bench.act(|it, context| it.handle_measured(context, measured(900)));
    assert_eq!(bench.charge_point.view().measured, measured(900));
    bench.unplug();
    bench.act(|it, context| it.handle_measured(context, measured(910)));
    let transaction = bench.transactions().pop().unwrap();
    assert_eq!(transaction.meter_start, Some(WattHours(777)));
    assert_eq!(bench.ending().unwrap().1, Some(910));
    let own = |it: &&Report| matches!(it, Report::Measured(m) if m.energy == Some(WattHours(5000)));
    assert_eq!(bench.reports.iter().filter(own).count(), 0);
}

#[test]
fn without_a_meter_by_configuration_nothing_is_measured() {
    let mut bench = Bench::new(ChargePointPlan {
        meter: Metering::None,
        ..plan()
    });
    bench.plug();
    bench.offer(16_000);
    bench.run(5);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    let measured = |it: &&Report| matches!(it, Report::Measured(_));
    assert_eq!(bench.reports.iter().filter(measured).count(), 0);
    assert_eq!(bench.transactions()[0].meter_start, None);
}

#[test]
fn what_is_measured_is_told_each_second() {
    let mut bench = Bench::charging();
    bench.reports.clear();
    bench.run(10);
    let told: Vec<_> = bench
        .reports
        .iter()
        .filter_map(|report| match report {
            Report::Measured(measured) => Some(*measured),
            _ => None,
        })
        .collect();
    let right = Measured {
        current: Some(PerPhase::all(MilliAmps(16_000))),
        power: Some(Watts(11_040)),
        energy: Some(WattHours(5000)),
    };
    assert!((9..=10).contains(&told.len()), "{}", told.len());
    assert!(told.iter().all(|measured| *measured == right), "{told:?}");
}

#[test]
fn an_observed_device_is_only_read() {
    let mut bench = Bench::with(
        ChargePointPlan {
            observe: true,
            fixed_id_tag: Some(tag("FIXED")),
            ..plan()
        },
        Brain::new(),
        Recovered::default(),
    );
    bench.run(2);
    bench.offer(10_000);
    bench.plug();
    bench.tap(CARD);
    assert_eq!(bench.brain.writes, []);
    assert_eq!(bench.status(), ChargePointStatus::Charging);
    assert_eq!(bench.demand(), Demand::Charging);
    assert_eq!((bench.calls.len(), bench.transactions().len()), (0, 0));
    let power = bench.charge_point.view().measured.power;
    assert_eq!(power, Some(Watts(11_040)));
    bench.unplug();
    assert_eq!(bench.status(), ChargePointStatus::Available);
    assert_eq!(bench.demand(), Demand::None);
}

#[test]
fn a_transaction_that_its_backend_refuses_late_is_stopped_or_stays_open_without_current() {
    for stop in [true, false] {
        let mut bench = Bench::charging();
        let transaction = bench.transactions()[0].number;
        let said = Deauthorize { transaction, stop };
        bench.act(|it, context| it.handle_deauthorize(context, &said));
        bench.run(2);
        assert_eq!(bench.demand(), Demand::Plugged);
        assert_eq!(bench.brain.get(8094), 0, "it is switched off");
        let ending = bench.ending();
        let deauthorized = Some("DeAuthorized");
        assert_eq!(
            ending.as_ref().map(|it| it.0.as_str()),
            deauthorized.filter(|_| stop)
        );
        bench.unplug();
        let reason = if stop {
            "DeAuthorized"
        } else {
            "EVDisconnected"
        };
        assert_eq!(bench.ending().unwrap().0, reason);
    }
}
