//! Whether a car follows a new limit is asked for.

use super::*;

/// Three phases, so many seconds after noon by the wallbox's clock.
fn draws(bench: &mut Bench, connector: u32, milliamps: [i32; 3]) {
    let noon: jiff::Timestamp = NOON.parse().unwrap();
    let time = noon + bench.time.saturating_sub(Duration::from_secs(1000));
    let samples = milliamps.iter().zip(["L1", "L2", "L3"]);
    let samples = samples.map(|(milliamps, phase)| {
        let amps = f64::from(*milliamps) / 1000.0;
        json!({"value": amps.to_string(), "measurand": "Current.Import", "unit": "A",
            "phase": phase, "context": "Trigger"})
    });
    let payload = json!({"connectorId": connector, "meterValue": [
        {"timestamp": time.to_string(), "sampledValue": samples.collect::<Vec<_>>()}]});
    bench.call("MeterValues", &payload);
}

fn offer_at(bench: &mut Bench, connector: u32, number: u64, milliamps: i32) {
    let offer = Offer {
        number: OfferNumber(number),
        limit: Limit::Current(MilliAmps(milliamps)),
        reason: Reason::OwnMaximum,
        single_phase: false,
    };
    let id = ConnectorId(connector);
    bench.act(|station, context| station.handle_offer(context, id, offer));
}

/// In a transaction at this connector, set up, and drawing 16 A.
fn charging_at(bench: &mut Bench, connector: u32) {
    let mut start = start(100);
    start["connectorId"] = json!(connector);
    bench.call("StartTransaction", &start);
    offer_at(bench, connector, 100 + u64::from(connector), 16_000);
    settle(bench);
    draws(bench, connector, [16_000, 15_000, 0]);
    bench.sent.clear();
}

/// Whatever is asked after a boot is over.
fn settle(bench: &mut Bench) {
    bench.answer_everything();
    bench.wait(5);
    bench.answer_everything();
}

fn charging() -> Bench {
    let mut bench = Bench::booted();
    charging_at(&mut bench, 1);
    bench
}

fn accepts(bench: &mut Bench, number: u64, milliamps: i32) {
    bench.offer(number, milliamps);
    bench.answer_everything();
    bench.sent.clear();
}

/// Of which connectors values were asked for.
fn questions(bench: &Bench) -> Vec<u64> {
    let asked = bench.sent.iter().map(|(frame, _)| frame);
    let asked = asked.filter(|it| it[0] == 2 && it[2] == "TriggerMessage");
    let asked = asked.filter(|it| it[3]["requestedMessage"] == "MeterValues");
    asked
        .map(|it| it[3]["connectorId"].as_u64().unwrap())
        .collect()
}

/// So many seconds, in which a wallbox answers all and sends what was asked for.
fn pass(bench: &mut Bench, seconds: u64, milliamps: i32) {
    for _ in 0..seconds {
        bench.wait(1);
        let asked = bench.answer_everything();
        for (action, payload) in asked {
            if action == "TriggerMessage" {
                let connector = payload["connectorId"].as_u64().unwrap();
                draws(bench, u32::try_from(connector).unwrap(), [milliamps; 3]);
            }
        }
    }
}

#[test]
fn a_car_that_draws_too_much_is_asked_about_a_second_after_its_limit_was_accepted() {
    let mut bench = charging();
    bench.offer(2, 6000);
    bench.wait(1);
    bench.answer_everything();
    let tenth = Duration::from_millis(100);
    bench.time += tenth * 8;
    bench.act(Station::handle_timeout);
    assert_eq!(questions(&bench), [0; 0]);
    bench.time += tenth * 2;
    bench.act(Station::handle_timeout);
    let (_, action, payload) = bench.outstanding().unwrap();
    let question = json!({"requestedMessage": "MeterValues", "connectorId": 1});
    assert_eq!((action.as_str(), payload), ("TriggerMessage", question));
    let (_, overtakes) = bench.sent.last().unwrap();
    assert!(
        overtakes,
        "a slow disk must not keep it in the way of limits"
    );
}

#[test]
fn of_two_connectors_the_one_with_the_new_limit_is_asked_about() {
    let mut bench = Bench::with(2, Recovered::default()).boot();
    charging_at(&mut bench, 1);
    charging_at(&mut bench, 2);
    offer_at(&mut bench, 2, 2, 6000);
    bench.answer_everything();
    pass(&mut bench, 3, 6000);
    assert_eq!(questions(&bench), [2]);
}

#[test]
fn what_was_asked_for_reaches_the_load_manager_and_ends_the_questions() {
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    pass(&mut bench, 2, 16_000);
    bench.reports.clear();
    pass(&mut bench, 10, 6400);
    assert_eq!(questions(&bench), [1, 1, 1]);
    let follows = |report: &Report| matches!(report, Report::Measured(measured) if measured.current == Some(PerPhase([MilliAmps(6400); 3])));
    assert!(bench.reports.iter().any(follows), "{:?}", bench.reports);
}

#[test]
fn a_car_that_does_not_follow_is_asked_about_five_times() {
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    pass(&mut bench, 30, 16_000);
    assert_eq!(questions(&bench), [1; 5]);
    accepts(&mut bench, 3, 8000);
    pass(&mut bench, 30, 16_000);
    assert_eq!(questions(&bench), [1; 5], "and so for the next limit");
}

#[test]
fn the_same_limit_that_is_told_again_because_it_ends_is_no_reason_to_ask_again() {
    let plan = ConnectorPlan {
        dead_man: Some(Duration::from_mins(10)),
        ..connector(1)
    };
    let mut bench = Bench::of([(ONE, plan)].into(), Recovered::default()).boot();
    charging_at(&mut bench, 1);
    accepts(&mut bench, 2, 6000);
    pass(&mut bench, 1200, 16_000);
    let limits = bench.sent.iter();
    let limits = limits.filter(|(frame, _)| frame[2] == "SetChargingProfile");
    assert!(limits.count() > 1, "renewals");
    assert_eq!(questions(&bench), [1; 5]);
}

#[test]
fn a_car_that_follows_already_or_may_have_more_is_not_asked_about() {
    for limit in [15_500, 16_000] {
        let mut bench = charging();
        accepts(&mut bench, 2, limit);
        pass(&mut bench, 10, 16_000);
        assert_eq!(questions(&bench), [0; 0], "{limit} mA");
    }
}

#[test]
fn a_car_that_was_not_measured_is_not_asked_about() {
    let mut bench = Bench::booted();
    bench.start();
    settle(&mut bench);
    bench.sent.clear();
    accepts(&mut bench, 2, 6000);
    pass(&mut bench, 10, 16_000);
    assert_eq!(questions(&bench), [0; 0]);
}

#[test]
fn without_a_transaction_nobody_is_asked_and_with_its_end_the_questions_end() {
    let mut bench = Bench::booted();
    settle(&mut bench);
    draws(&mut bench, 1, [16_000; 3]);
    accepts(&mut bench, 2, 0);
    pass(&mut bench, 10, 16_000);
    assert_eq!(questions(&bench), [0; 0]);
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    pass(&mut bench, 2, 16_000);
    bench.call("StopTransaction", &stop(bench.open()[0], 200));
    bench.call("StartTransaction", &start(200));
    pass(&mut bench, 10, 16_000);
    assert_eq!(questions(&bench), [1, 1]);
}

#[test]
fn while_another_limit_is_on_its_way_nobody_is_asked() {
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    bench.offer(3, 8000);
    bench.wait(10);
    assert_eq!(questions(&bench), [0; 0]);
    bench.answer_everything();
    pass(&mut bench, 1, 16_000);
    assert_eq!(questions(&bench), [1]);
}

#[test]
fn while_a_limit_waits_for_its_next_attempt_nobody_is_asked() {
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    bench.offer(3, 8000);
    let (id, ..) = bench.outstanding().unwrap();
    let error = json!([4, id, "InternalError", "", {}]).to_string();
    bench.frame(&error);
    pass(&mut bench, 9, 16_000);
    assert_eq!(questions(&bench), [0; 0], "nobody knows what holds now");
    pass(&mut bench, 20, 16_000);
    assert_eq!(questions(&bench), [1; 5]);
}

#[test]
fn a_limit_that_waits_goes_before_a_question() {
    for milliamps in [0, 10_000] {
        let mut bench = charging();
        accepts(&mut bench, 2, 6000);
        bench.time += Duration::from_secs(5);
        bench.offer(3, milliamps);
        assert_eq!(bench.outstanding().unwrap().1, "SetChargingProfile");
        assert_eq!(questions(&bench), [0; 0]);
    }
}

#[test]
fn a_limit_waits_for_an_unanswered_question_four_seconds_and_it_was_the_last_one() {
    for milliamps in [0, 10_000] {
        let mut bench = charging();
        accepts(&mut bench, 2, 6000);
        bench.wait(2);
        assert_eq!(questions(&bench), [1]);
        let before = bench.sent.len();
        bench.offer(3, milliamps);
        let has_limit = |bench: &Bench| {
            let mut frames = bench.sent[before..].iter();
            frames.any(|(frame, _)| frame[2] == "SetChargingProfile")
        };
        bench.wait(2);
        assert!(!has_limit(&bench), "{milliamps} mA");
        bench.wait(2);
        assert!(has_limit(&bench), "{milliamps} mA");
        pass(&mut bench, 10, 16_000);
        assert_eq!(questions(&bench), [1]);
    }
}

#[test]
fn a_limit_does_not_take_back_a_question_that_is_answered_soon() {
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    bench.wait(1);
    bench.offer(3, 0);
    bench.wait(1);
    bench.answer_everything();
    pass(&mut bench, 1, 16_000);
    assert_eq!(questions(&bench), [1, 1]);
}

#[test]
fn who_says_no_is_not_asked_again_before_it_reconnects() {
    let answers = |id: &str| {
        [
            json!([3, id, {"status": "Rejected"}]),
            json!([3, id, {"status": "NotImplemented"}]),
            json!([3, id, {}]),
            json!([4, id, "NotSupported", "", {}]),
        ]
    };
    for no in 0..4 {
        let mut bench = charging();
        accepts(&mut bench, 2, 6000);
        bench.wait(1);
        let (id, ..) = bench.outstanding().unwrap();
        let answer = answers(&id)[no].to_string();
        bench.act(|station, context| station.handle_frame(context, &answer));
        pass(&mut bench, 5, 16_000);
        accepts(&mut bench, 3, 8000);
        pass(&mut bench, 5, 16_000);
        assert_eq!(questions(&bench), [0; 0], "{answer}");
        bench.down();
        bench.up(LinkId(2));
        bench.call("Heartbeat", &json!({}));
        pass(&mut bench, 5, 16_000);
        settle(&mut bench);
        draws(&mut bench, 1, [16_000; 3]);
        accepts(&mut bench, 4, 6000);
        pass(&mut bench, 3, 6000);
        assert_eq!(questions(&bench), [1], "{answer}");
    }
}

#[test]
fn who_answers_late_is_not_asked_again_before_it_boots() {
    for (seconds, asked) in [(2, 2), (3, 1)] {
        let mut bench = charging();
        accepts(&mut bench, 2, 6000);
        bench.wait(1);
        bench.wait(seconds);
        bench.answer_everything();
        draws(&mut bench, 1, [16_000; 3]);
        pass(&mut bench, 1, 6000);
        assert_eq!(questions(&bench), vec![1; asked], "{seconds} s");
        bench.call("BootNotification", &boot("1.0"));
        pass(&mut bench, 10, 16_000);
        draws(&mut bench, 1, [16_000; 3]);
        accepts(&mut bench, 3, 8000);
        pass(&mut bench, 2, 8000);
        assert_eq!(questions(&bench), [1], "{seconds} s");
    }
}

#[test]
fn who_never_answers_is_not_asked_again() {
    let mut bench = charging();
    accepts(&mut bench, 2, 6000);
    for _ in 0..7 {
        bench.wait(5);
        bench.call("Heartbeat", &json!({}));
    }
    assert!(bench.outstanding().is_none());
    assert_eq!(questions(&bench), [1]);
    accepts(&mut bench, 3, 8000);
    pass(&mut bench, 5, 16_000);
    assert_eq!(questions(&bench), [0; 0]);
}

#[test]
fn a_wallbox_that_is_only_observed_is_not_asked() {
    let plan = StationPlan {
        id: "CB".into(),
        connectors: [(ONE, connector(1))].into(),
        heartbeat_interval: Duration::from_mins(5),
        meter_interval: Duration::from_secs(10),
        voltage: MilliVolts(230_000),
        observe: true,
    };
    let mut bench = Bench::new();
    bench.station = Station::new(plan, &Recovered::default());
    let mut bench = bench.boot();
    charging_at(&mut bench, 1);
    accepts(&mut bench, 2, 6000);
    pass(&mut bench, 10, 16_000);
    assert_eq!(questions(&bench), [0; 0]);
}

#[test]
fn a_complaint_that_comes_too_early_counts_when_there_was_time_to_follow() {
    let is_not_followed = |bench: &mut Bench| {
        bench.act(|station, context| station.handle_not_followed(context, ONE, OfferNumber(2)));
    };
    let limits = |bench: &Bench| {
        let limits = bench.sent.iter();
        limits
            .filter(|(frame, _)| frame[2] == "SetChargingProfile")
            .count()
    };
    for (drawn, expected) in [(16_000, 1), (7000, 0)] {
        let mut bench = charging();
        accepts(&mut bench, 2, 6000);
        pass(&mut bench, 3, 16_000);
        is_not_followed(&mut bench);
        pass(&mut bench, 4, 16_000);
        assert_eq!(limits(&bench), 0, "there was no time to follow it");
        bench.wait(2);
        draws(&mut bench, 1, [drawn, 0, 0]);
        draws(&mut bench, 1, [drawn, 0, 0]);
        assert_eq!(limits(&bench), expected, "{drawn} mA");
        bench.answer_everything();
        bench.wait(20);
        draws(&mut bench, 1, [16_000; 3]);
        assert_eq!(limits(&bench), expected, "{drawn} mA: it was said once");
    }
}
