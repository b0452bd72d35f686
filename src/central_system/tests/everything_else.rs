//! Liveness, meter values, and what is wrong or unknown.

use super::*;

#[test]
fn the_newest_link_wins_and_loses_no_state() {
    let mut bench = Bench::booted();
    bench.start();
    bench.up(LinkId(2));
    assert_eq!(bench.closed, [(LINK, 1000)]);
    assert_eq!(bench.open().len(), 1);
    assert!(
        !bench.reports.contains(&Report::Online(false)),
        "it was never away"
    );
}

#[test]
fn meter_values_are_reported_per_phase() {
    let mut bench = Bench::booted();
    let value = |v: &str, m: &str, phase: &str, unit: &str| json!({"value": v, "measurand": m, "phase": phase, "unit": unit});
    bench.call(
        "MeterValues",
        &json!({"connectorId": 1, "meterValue": [{"timestamp": NOON, "sampledValue": [
            value("10.5", "Current.Import", "L1", "A"),
            value("10.6", "Current.Import", "L2-N", "A"),
            value("10.4", "Current.Import", "L3", "A"),
            {"value": "7.25", "measurand": "Power.Active.Import", "unit": "kW"},
            {"value": "123456"},
        ]}]}),
    );
    let expected = Measured {
        current: Some(PerPhase([
            MilliAmps(10_500),
            MilliAmps(10_600),
            MilliAmps(10_400),
        ])),
        power: Some(Watts(7250)),
        energy: Some(WattHours(123_456)),
    };
    assert_eq!(bench.reports.last(), Some(&Report::Measured(expected)));
}

#[test]
fn a_list_of_measurands_that_is_rejected_is_probed_one_by_one() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    bench.respond(&keys(&[("MeterValuesSampledData", "", false)]));
    let mut values = Vec::new();
    while let Some((_, action, payload)) = bench.outstanding() {
        let value = payload["value"].as_str().unwrap_or_default().to_owned();
        let known = !value.contains("Current.Offered");
        if action == "ChangeConfiguration" {
            values.push(value);
        }
        bench.respond(&json!({"status": if known { "Accepted" } else { "Rejected" }}));
    }
    let last = "Current.Import,Energy.Active.Import.Register,Power.Active.Import";
    assert_eq!(values.last().map(String::as_str), Some(last));
}

#[test]
fn unknown_actions_and_those_of_the_wrong_direction_are_told_apart() {
    let mut bench = Bench::booted();
    for (action, code) in [
        ("DoMagic", "NotImplemented"),
        ("RemoteStartTransaction", "NotSupported"),
    ] {
        bench.frame(&json!([2, "x", action, {}]).to_string());
        let (last, _) = bench.sent.last().unwrap();
        assert_eq!((&last[0], &last[2]), (&json!(4), &json!(code)), "{action}");
    }
}

#[test]
fn data_transfer_noise_of_evbox_is_accepted_and_other_vendors_are_unknown() {
    let mut bench = Bench::booted();
    let noise = json!({"vendorId": "EV-BOX", "messageId": "evbStatusNotification", "data": "x"});
    assert_eq!(
        bench.call("DataTransfer", &noise),
        json!({"status": "Accepted"})
    );
    let other = json!({"vendorId": "com.example"});
    assert_eq!(
        bench.call("DataTransfer", &other),
        json!({"status": "UnknownVendorId"})
    );
}

#[test]
fn garbage_costs_nothing() {
    let mut bench = Bench::booted();
    for text in [
        "",
        "nonsense",
        "[]",
        "[2]",
        "[9,\"a\"]",
        "{}",
        "[2,\"q\",\"MeterValues\",7]",
        "[3,\"nobody\",{}]",
    ] {
        bench.frame(text);
    }
    assert_eq!(
        bench.call("Heartbeat", &json!({})),
        json!({"currentTime": NOON})
    );
}

#[test]
fn authorize_is_judged_by_the_upstream() {
    let mut bench = Bench::booted();
    bench.verdict = Verdict {
        status: AuthorizationStatus::Expired,
        expires: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        parent: Some("FAMILY".into()),
    };
    let answer = bench.call("Authorize", &json!({"idTag": "T"}));
    let expected = json!({"idTagInfo": {
        "status": "Expired", "expiryDate": "2026-01-01T00:00:00Z", "parentIdTag": "FAMILY",
    }});
    assert_eq!(answer, expected);
    assert_eq!(
        bench.asks,
        [Ask::Authorize {
            tag: "T".into(),
            payload: r#"{"idTag":"T"}"#.to_owned()
        }]
    );
}

#[test]
fn a_peer_that_went_silent_is_closed_and_reported_away() {
    let mut bench = Bench::booted();
    bench.wait(901);
    assert_eq!(bench.closed, [(LINK, 1001)]);
    assert_eq!(bench.reports.last(), Some(&Report::Online(false)));
}

#[test]
fn what_a_wallbox_told_of_itself_is_remembered_over_a_restart_until_its_firmware_changes() {
    let bench = Bench::booted();
    let disk: BTreeMap<_, _> = bench.disk.memory.clone();
    assert_eq!(disk.len(), 1);
    let mut after = Bench::with(1, bench.disk);
    after.up(LINK);
    after.offer(1, 0);
    after.call("BootNotification", &boot("1.0"));
    assert_eq!(
        after.outstanding().unwrap().1,
        "SetChargingProfile",
        "at once"
    );
    let mut updated = Bench::with(1, after.disk);
    updated.up(LINK);
    updated.offer(1, 0);
    updated.call("BootNotification", &boot("2.0"));
    assert_eq!(updated.outstanding().unwrap().1, "GetConfiguration");
}

#[test]
fn the_raw_start_and_stop_are_kept_byte_for_byte() {
    let mut bench = Bench::booted();
    let raw = r#"{ "connectorId":1,"idTag":"T\u0041G" ,"meterStart":100.0,"timestamp":"2026-06-01T12:00:00Z","x":1e2}"#;
    let mut kept = Vec::new();
    let text = format!("[2,\"raw\",\"StartTransaction\",{raw}]");
    let now = Now {
        mono: Mono(bench.time),
        wall: NOON.parse().unwrap(),
    };
    let mut context = Context {
        now,
        random: &mut bench.random,
        numbers: &mut bench.numbers,
    };
    bench.station.handle_frame(&mut context, &text);
    while let Some(output) = bench.station.poll_output() {
        if let Output::File { entry, .. } = output {
            kept.push(entry.payload);
        }
    }
    assert_eq!(kept, [raw]);
}
