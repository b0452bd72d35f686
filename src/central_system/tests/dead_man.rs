//! Limits that end by themselves when nobody renews them.

use super::*;

/// Of these, half of one is full when a bench begins.
const DEAD_MAN: Duration = Duration::from_secs(50);

/// What it falls back after, with a minute for a clock that lags.
const FALLS_BACK: Option<Duration> = Some(Duration::from_secs(110));

/// Of a limit that is told at the first moment. Its schedule began a minute ago.
const LIFE: Option<i64> = Some(110);

/// The same, of a limit below the failsafe current, which ends after the others.
const LONGER: Option<i64> = Some(176);

/// A profile that was told: its id, its limit, and how long it lives.
type Told = (i64, f64, Option<i64>);

fn metered(disk: Recovered) -> Bench {
    let plan = ConnectorPlan {
        dead_man: Some(DEAD_MAN),
        ..connector(1)
    };
    Bench::of(BTreeMap::from([(ONE, plan)]), disk)
}

/// Connected, idle at 0 A.
fn idle() -> Bench {
    let mut bench = metered(Recovered::default());
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    bench.answer_everything();
    bench.offer(1, 0);
    assert_eq!(
        answer_all(&mut bench),
        [(1001, 0.0, None), (2001, 0.0, None)]
    );
    bench
}

/// A transaction runs, and 16 A live.
fn charging() -> Bench {
    let mut bench = idle();
    bench.start();
    bench.offer(2, 16_000);
    answer_all(&mut bench);
    assert_eq!(falls_back(&bench), FALLS_BACK);
    bench
}

fn told_of(payload: &Value) -> Told {
    let profile = &payload["csChargingProfiles"];
    let schedule = &profile["chargingSchedule"];
    (
        profile["chargingProfileId"].as_i64().unwrap(),
        schedule["chargingSchedulePeriod"][0]["limit"]
            .as_f64()
            .unwrap(),
        schedule["duration"].as_i64(),
    )
}

/// Answers every profile as `answer` says, and everything else well; returns the profiles.
fn answer_by(bench: &mut Bench, answer: impl Fn(Told) -> &'static str) -> Vec<Told> {
    let mut told = Vec::new();
    while let Some((_, action, payload)) = bench.outstanding() {
        if action == "SetChargingProfile" {
            let profile = told_of(&payload);
            told.push(profile);
            bench.respond(&json!({"status": answer(profile)}));
        } else {
            bench.respond(&json!({"status": "Accepted"}));
        }
        assert!(told.len() < 100, "{told:?}");
    }
    told
}

fn answer_all(bench: &mut Bench) -> Vec<Told> {
    answer_by(bench, |_| "Accepted")
}

/// Time passes, and everything that is asked is answered well.
fn pass(bench: &mut Bench, seconds: u64) -> Vec<Told> {
    let mut told = Vec::new();
    for _ in 0..seconds {
        bench.wait(1);
        told.extend(answer_all(bench));
    }
    told
}

/// The last word on falling back.
fn falls_back(bench: &Bench) -> Option<Duration> {
    let mut newest_first = bench.reports.iter().rev();
    newest_first.find_map(|report| match report {
        Report::FallsBack(after) => Some(*after),
        _ => None,
    })?
}

fn keeps_limit(bench: &Bench) -> bool {
    bench.station.view(ONE).unwrap().keeps_limit
}

fn refuses_lives((_, _, life): Told) -> &'static str {
    if life.is_some() {
        "Rejected"
    } else {
        "Accepted"
    }
}

#[test]
fn the_floor_rises_below_a_limit_for_ever_before_that_gets_its_life() {
    let mut bench = idle();
    bench.start();
    assert_eq!(
        answer_all(&mut bench),
        [(2001, 6.0, None), (1001, 0.0, LONGER)]
    );
}

#[test]
fn a_limit_with_a_life_began_a_minute_ago_and_holds_until_the_dead_man_is_over() {
    let bench = charging();
    let (frame, _) = bench.sent.last().unwrap();
    let profile = &frame[3]["csChargingProfiles"];
    assert_eq!(profile["chargingProfileKind"], "Absolute");
    let schedule = &profile["chargingSchedule"];
    assert_eq!(
        (&schedule["startSchedule"], &schedule["duration"]),
        (&json!("2026-06-01T11:59:00Z"), &json!(110))
    );
    assert!(!keeps_limit(&bench));
}

#[test]
fn a_limit_is_renewed_at_half_of_its_life_as_long_as_the_transaction_runs() {
    let mut bench = charging();
    bench.reports.clear();
    assert_eq!(pass(&mut bench, 24), []);
    assert_eq!(pass(&mut bench, 1), [(1001, 16.0, LIFE)]);
    assert!(bench.sent.last().unwrap().1, "it waits for no journal");
    assert_eq!(pass(&mut bench, 90), [(1001, 16.0, LIFE); 3]);
    assert_eq!(bench.reports, [], "nothing is new");
    let open = bench.open()[0];
    bench.call("StopTransaction", &stop(open, 200));
    bench.offer(3, 0);
    assert_eq!(
        answer_all(&mut bench),
        [(1001, 0.0, None), (2001, 0.0, None)]
    );
    assert_eq!(falls_back(&bench), None);
    assert_eq!(pass(&mut bench, 300), []);
}

#[test]
fn a_limit_that_stays_after_the_stop_loses_its_life_instead_of_being_renewed() {
    let mut bench = idle();
    bench.start();
    answer_all(&mut bench);
    let open = bench.open()[0];
    bench.call("StopTransaction", &stop(open, 100));
    let expected = [(1001, 0.0, None), (2001, 0.0, None)];
    assert_eq!(pass(&mut bench, 300), expected);
    assert_eq!(falls_back(&bench), None);
}

#[test]
fn every_new_limit_has_a_life_of_its_own() {
    let mut bench = charging();
    for (number, milliamps, life) in [(3, 8_000, LIFE), (4, 0, LONGER), (5, 10_000, LIFE)] {
        bench.offer(number, milliamps);
        let amps = f64::from(milliamps) / 1000.0;
        assert_eq!(answer_all(&mut bench), [(1001, amps, life)]);
        assert!(bench.reports.contains(&Report::Took(OfferNumber(number))));
    }
}

#[test]
fn who_refuses_a_life_is_served_without_at_once_and_until_its_firmware_changes() {
    let mut bench = idle();
    bench.start();
    bench.offer(2, 16_000);
    let told = answer_by(&mut bench, refuses_lives);
    let expected = [
        (2001, 6.0, None),
        (1001, 16.0, None),
        (1001, 16.0, LIFE),
        (1001, 16.0, None),
        (2001, 0.0, None),
    ];
    assert!(told.ends_with(&expected[2..]), "{told:?}");
    assert!(told.iter().all(|it| expected.contains(it)), "{told:?}");
    assert_eq!(falls_back(&bench), None);
    assert!(keeps_limit(&bench));
    assert_eq!(pass(&mut bench, 120), []);
    let mut after = metered(bench.disk);
    after.up(LINK);
    after.call("BootNotification", &boot("1.0"));
    after.answer_everything();
    after.offer(3, 8_000);
    let without = [(1001, 8.0, None), (2001, 0.0, None)];
    assert_eq!(answer_all(&mut after), without);
    after.call("MeterValues", &sampled(None, "Sample.Periodic"));
    assert_eq!(answer_all(&mut after), []);
    after.call("BootNotification", &boot("2.0"));
    after.answer_everything();
    after.call("MeterValues", &sampled(None, "Sample.Periodic"));
    after.answer_everything();
    after.offer(4, 9_000);
    assert_eq!(answer_all(&mut after), [(1001, 9.0, LIFE)]);
    assert!(!keeps_limit(&after));
}

#[test]
fn a_limit_that_is_refused_with_and_without_a_life_is_no_sign_against_lives() {
    let refuses_fractions = |(_, limit, _): Told| {
        let whole = limit.fract() == 0.0;
        if whole { "Accepted" } else { "Rejected" }
    };
    let mut bench = charging();
    bench.offer(3, 10_500);
    let told = answer_by(&mut bench, refuses_fractions);
    assert_eq!(
        told[..3],
        [(1001, 10.5, LIFE), (1001, 10.5, None), (1001, 10.0, None)]
    );
    assert_eq!(told.last(), Some(&(1001, 10.0, LIFE)));
    assert!(!keeps_limit(&bench));
}

#[test]
fn who_answers_lives_with_errors_is_served_without_in_the_end() {
    let mut bench = charging();
    let mut told = Vec::new();
    for _ in 0..80 {
        bench.wait(1);
        while let Some((id, action, payload)) = bench.outstanding() {
            let profile = (action == "SetChargingProfile").then(|| told_of(&payload));
            told.extend(profile);
            if profile.is_some_and(|(_, _, life)| life.is_some()) {
                bench.frame(&json!([4, id, "InternalError", "", {}]).to_string());
            } else {
                bench.respond(&json!({"status": "Accepted"}));
            }
        }
    }
    // Ten seconds from one to the next.
    let with = [110, 100, 90].map(|life| (1001, 16.0, Some(life)));
    let without = [(1001, 16.0, None), (2001, 0.0, None)];
    let expected = [&with[..], &without].concat();
    assert_eq!(told, expected);
    assert!(keeps_limit(&bench));
}

#[test]
fn who_refuses_the_floor_gets_no_life() {
    let mut bench = idle();
    bench.start();
    bench.offer(2, 16_000);
    let told = answer_by(
        &mut bench,
        |(id, ..)| {
            if id == 2001 { "Rejected" } else { "Accepted" }
        },
    );
    assert!(told.iter().all(|(_, _, life)| life.is_none()), "{told:?}");
    assert!(keeps_limit(&bench));
    assert_eq!(pass(&mut bench, 120), []);
}

#[test]
fn a_floor_that_is_not_answered_is_told_again() {
    let mut bench = idle();
    bench.start();
    let (id, _, payload) = bench.outstanding().unwrap();
    assert_eq!(told_of(&payload), (2001, 6.0, None));
    bench.frame(&json!([4, id, "InternalError", "", {}]).to_string());
    assert_eq!(
        answer_all(&mut bench),
        [(2001, 6.0, None), (1001, 0.0, LONGER)]
    );
}

#[test]
fn a_relative_profile_has_no_life() {
    let mut bench = idle();
    bench.call("BootNotification", &boot("2.0"));
    bench.start();
    bench.offer(2, 16_000);
    let mut kinds = Vec::new();
    while let Some((_, action, payload)) = bench.outstanding() {
        let kind = &payload["csChargingProfiles"]["chargingProfileKind"];
        let absolute = action == "SetChargingProfile" && kind == "Absolute";
        if action == "SetChargingProfile" {
            kinds.push((kind == "Absolute", told_of(&payload)));
        }
        bench.respond(&json!({"status": if absolute { "Rejected" } else { "Accepted" }}));
    }
    assert!(
        kinds.iter().all(|(_, (_, _, life))| life.is_none()),
        "{kinds:?}"
    );
    assert_eq!(kinds.last(), Some(&(false, (1001, 16.0, None))));
    assert!(keeps_limit(&bench));
}

#[test]
fn who_has_one_stack_level_gets_no_life() {
    let mut bench = metered(Recovered::default());
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    bench.respond(&keys(&[("ChargeProfileMaxStackLevel", "0", true)]));
    bench.start();
    bench.offer(1, 16_000);
    assert_eq!(answer_all(&mut bench), [(1001, 16.0, None)]);
    assert!(keeps_limit(&bench));
}

#[test]
fn a_clock_that_lags_by_more_than_a_minute_gets_limits_without_a_life() {
    let mut bench = idle();
    bench.wait(61);
    bench.answer_everything();
    bench.start();
    bench.offer(2, 16_000);
    assert_eq!(answer_all(&mut bench), [(1001, 16.0, None)]);
    assert!(keeps_limit(&bench));
}

#[test]
fn a_clock_that_turns_out_to_be_far_ahead_takes_the_life_away() {
    let mut bench = charging();
    let mut values = sampled(Some(bench.open()[0]), "Sample.Periodic");
    values["meterValue"][0]["timestamp"] = json!("2026-06-01T12:00:08Z");
    bench.call("MeterValues", &values);
    assert_eq!(
        answer_all(&mut bench),
        [(1001, 16.0, None), (2001, 0.0, None)]
    );
    assert_eq!(falls_back(&bench), None);
}

#[test]
fn a_clock_that_was_never_set_gets_limits_since_1970_without_a_life() {
    let mut bench = charging();
    let status = json!({"connectorId": 1, "errorCode": "NoError", "status": "Charging",
        "timestamp": "1970-01-01T00:10:00Z"});
    bench.call("StatusNotification", &status);
    let (_, _, payload) = bench.outstanding().unwrap();
    let start = &payload["csChargingProfiles"]["chargingSchedule"]["startSchedule"];
    assert_eq!(start, "1970-01-01T00:00:00Z");
    assert_eq!(
        answer_all(&mut bench),
        [(1001, 16.0, None), (2001, 0.0, None)]
    );
}

#[test]
fn what_is_not_obeyed_is_told_again_without_a_life() {
    let mut bench = charging();
    pass(&mut bench, 10);
    bench.act(|station, context| station.handle_not_followed(context, ONE, OfferNumber(2)));
    assert_eq!(
        answer_all(&mut bench),
        [(1001, 16.0, None), (2001, 0.0, None)]
    );
    assert!(keeps_limit(&bench));
}

#[test]
fn who_comes_back_falls_back_until_it_is_told_a_limit_that_holds() {
    let mut bench = charging();
    bench.down();
    bench.wait(300);
    assert_eq!(falls_back(&bench), FALLS_BACK);
    bench.up(LinkId(2));
    bench.wait(9);
    assert_eq!(falls_back(&bench), FALLS_BACK);
    bench.wait(2);
    assert_eq!(falls_back(&bench), None);
    let expected = [
        (1001, 16.0, None),
        (2001, 6.0, None),
        (1001, 16.0, Some(99)),
    ];
    assert_eq!(answer_all(&mut bench), expected);
    assert_eq!(falls_back(&bench), FALLS_BACK);
}

#[test]
fn before_a_limit_ends_that_could_not_be_renewed_it_is_reported_as_forgotten() {
    let mut bench = charging();
    bench.reports.clear();
    bench.wait(37);
    assert!(
        !bench.reports.contains(&Report::Booted),
        "the renewal is late"
    );
    bench.wait(1);
    assert!(bench.reports.contains(&Report::Booted));
    bench.offer(3, 16_000);
    bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(answer_all(&mut bench), [(1001, 16.0, Some(97))]);
    assert!(bench.reports.contains(&Report::Took(OfferNumber(3))));
}

#[test]
fn a_released_connector_has_neither_a_life_nor_a_floor() {
    let mut bench = charging();
    bench.release(3);
    let asked = bench.answer_everything();
    assert!(
        asked
            .iter()
            .all(|(action, _)| action != "SetChargingProfile")
    );
    assert!(asked.contains(&("ClearChargingProfile".to_owned(), json!({"id": 2001}))));
    assert_eq!(falls_back(&bench), None);
    assert_eq!(pass(&mut bench, 300), []);
    bench.offer(4, 16_000);
    let expected = [(1001, 16.0, None), (2001, 6.0, None), (1001, 16.0, LIFE)];
    assert_eq!(answer_all(&mut bench), expected);
}
