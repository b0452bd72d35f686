//! Limits that are offered.

use super::*;

#[test]
fn an_accepted_limit_is_reported_and_not_sent_again() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.respond(&json!({"status": "Accepted"}));
    assert!(bench.reports.contains(&Report::Took(OfferNumber(1))));
    bench.answer_everything();
    let sent = bench.sent.len();
    bench.wait(120);
    let again = bench.sent[sent..]
        .iter()
        .filter(|(f, _)| f[2] == "SetChargingProfile")
        .count();
    assert_eq!(again, 0);
}

#[test]
fn only_what_lowers_overtakes_the_journal() {
    let mut bench = Bench::booted();
    for (number, milliamps, lowers) in [(1, 6000, true), (2, 16_000, false), (3, 0, true)] {
        bench.offer(number, milliamps);
        let sent = bench
            .sent
            .iter()
            .rev()
            .find(|(f, _)| f[2] == "SetChargingProfile")
            .unwrap();
        assert_eq!(sent.1, lowers, "offer {number}");
        bench.answer_everything();
    }
}

#[test]
fn a_limit_that_is_refused_in_every_form_is_reported_with_what_the_wallbox_said() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    let mut forms = Vec::new();
    while let Some((_, action, payload)) = bench.outstanding() {
        if action != "SetChargingProfile" {
            bench.respond(&json!({"status": "Accepted"}));
            continue;
        }
        assert!(!forms.contains(&payload), "the same form twice");
        forms.push(payload);
        bench.respond(&json!({"status": "NotSupported"}));
    }
    assert!(forms.len() > 8, "{}", forms.len());
    let refused = Report::Refused {
        offer: OfferNumber(1),
        why: "NotSupported".to_owned(),
    };
    assert!(bench.reports.contains(&refused));
}

#[test]
fn after_a_refusal_the_next_form_follows_at_once_and_what_works_is_remembered() {
    let relative = |payload: &Value| {
        let kind = &payload["csChargingProfiles"]["chargingProfileKind"];
        json!({"status": if kind == "Relative" { "Accepted" } else { "Rejected" }})
    };
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    let (_, _, first) = bench.outstanding().unwrap();
    bench.respond(&relative(&first));
    let (_, _, second) = bench.outstanding().unwrap();
    bench.respond(&relative(&second));
    assert!(bench.reports.contains(&Report::Took(OfferNumber(1))));
    let mut after = Bench::with(1, bench.disk);
    after.up(LINK);
    after.offer(1, 0);
    after.call("BootNotification", &boot("1.0"));
    let (_, _, again) = after.outstanding().unwrap();
    assert_eq!(
        again["csChargingProfiles"]["chargingProfileKind"],
        "Relative"
    );
}

/// The profile ids and limits of what was told since then.
fn told(bench: &Bench, since: usize) -> Vec<(i64, f64)> {
    let limits = bench.sent[since..]
        .iter()
        .filter(|(frame, _)| frame[2] == "SetChargingProfile");
    let told = limits.map(|(frame, _)| {
        let profile = &frame[3]["csChargingProfiles"];
        let period = &profile["chargingSchedule"]["chargingSchedulePeriod"][0];
        (
            profile["chargingProfileId"].as_i64().unwrap(),
            period["limit"].as_f64().unwrap(),
        )
    });
    told.collect()
}

fn is_not_followed(bench: &mut Bench, number: u64) {
    bench.act(|station, context| station.handle_not_followed(context, ONE, OfferNumber(number)));
}

/// Offer 1 is about to be told everywhere.
fn told_everywhere(bench: &mut Bench) {
    bench.start();
    bench.offer(1, 8000);
    for _ in 0..2 {
        bench.answer_everything();
        bench.wait(10);
        bench.answer_everything();
        is_not_followed(bench, 1);
    }
}

#[test]
fn what_is_not_followed_is_told_again_and_then_everywhere() {
    let mut bench = Bench::booted();
    bench.start();
    bench.offer(1, 8000);
    bench.answer_everything();
    let before = bench.sent.len();
    bench.wait(5);
    is_not_followed(&mut bench, 1);
    assert_eq!(told(&bench, before), [], "there was no time to follow it");
    bench.wait(5);
    is_not_followed(&mut bench, 1);
    bench.answer_everything();
    assert_eq!(told(&bench, before), [(1001, 8.0)]);
    let before = bench.sent.len();
    bench.wait(8);
    let asked = bench.answer_everything();
    assert!(
        asked
            .iter()
            .any(|(_, it)| it["requestedMessage"] == "MeterValues"),
        "{asked:?}"
    );
    is_not_followed(&mut bench, 1);
    bench.answer_everything();
    let everywhere = [1001, 2001, 3001, 4001, 5001].map(|id| (id, 8.0));
    assert_eq!(told(&bench, before), everywhere);
    let before = bench.sent.len();
    bench.offer(2, 6000);
    bench.answer_everything();
    assert_eq!(told(&bench, before), everywhere.map(|(id, _)| (id, 6.0)));
    let before = bench.sent.len();
    bench.wait(20);
    is_not_followed(&mut bench, 1);
    assert_eq!(told(&bench, before), [], "an older offer is of no interest");
}

#[test]
fn a_limit_that_is_told_everywhere_is_taken_when_the_last_profile_was_answered() {
    let mut bench = Bench::booted();
    told_everywhere(&mut bench);
    bench.reports.clear();
    for answer in [
        "Accepted",
        "Rejected",
        "Accepted",
        "NotSupported",
        "Rejected",
    ] {
        assert!(!bench.reports.contains(&Report::Took(OfferNumber(1))));
        bench.respond(&json!({"status": answer}));
    }
    assert!(bench.reports.contains(&Report::Took(OfferNumber(1))));
}

#[test]
fn a_lower_limit_does_not_wait_for_the_rest_of_one_that_is_told_everywhere() {
    let mut bench = Bench::booted();
    told_everywhere(&mut bench);
    bench.respond(&json!({"status": "Accepted"}));
    bench.offer(2, 0);
    let before = bench.sent.len();
    bench.answer_everything();
    let everywhere = [1001, 2001, 3001, 4001, 5001].map(|id| (id, 0.0));
    assert_eq!(told(&bench, before), everywhere);
}

#[test]
fn who_is_held_back_although_it_may_charge_is_told_again_and_then_everywhere() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.start();
    bench.status("SuspendedEVSE");
    bench.answer_everything();
    bench.wait(60);
    bench.offer(2, 8000);
    bench.answer_everything();
    let before = bench.sent.len();
    bench.wait(11);
    bench.answer_everything();
    assert_eq!(told(&bench, before), [(1001, 8.0)]);
    let before = bench.sent.len();
    bench.wait(11);
    bench.answer_everything();
    let everywhere = [1001, 2001, 3001, 4001, 5001].map(|id| (id, 8.0));
    assert_eq!(told(&bench, before), everywhere);
    let before = bench.sent.len();
    bench.wait(60);
    bench.answer_everything();
    assert_eq!(told(&bench, before), [], "it has its own reasons");
}

#[test]
fn what_was_told_everywhere_is_cleared_when_no_form_was_obeyed_and_another_car_comes() {
    let mut bench = Bench::booted();
    bench.offer(1, 8000);
    bench.start();
    for _ in 0..20 {
        bench.answer_everything();
        bench.wait(10);
        is_not_followed(&mut bench, 1);
    }
    bench.answer_everything();
    bench.call("StopTransaction", &stop(bench.open()[0], 200));
    bench.call("StartTransaction", &start(200));
    bench.offer(2, 6000);
    let asked = bench.answer_everything();
    let cleared = asked
        .iter()
        .filter(|(action, _)| action == "ClearChargingProfile");
    let cleared: Vec<i64> = cleared.filter_map(|(_, it)| it["id"].as_i64()).collect();
    assert_eq!(cleared, [5001, 4001]);
    let told = asked
        .iter()
        .filter(|(action, _)| action == "SetChargingProfile");
    let told: Vec<i64> = told
        .filter_map(|(_, it)| it["csChargingProfiles"]["chargingProfileId"].as_i64())
        .collect();
    assert_eq!(told, [1001, 2001], "the usual one and its floor");
}

#[test]
fn a_release_clears_what_limits_the_connector_and_looks_whether_it_worked() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.answer_everything();
    bench.release(2);
    let asked = bench.answer_everything();
    let cleared: Vec<&Value> = asked
        .iter()
        .filter(|(action, _)| action == "ClearChargingProfile")
        .map(|(_, payload)| payload)
        .collect();
    let expected = [
        json!({"id": 1001}),
        json!({"id": 2001}),
        json!({"id": 3001}),
        json!({"connectorId": 1, "chargingProfilePurpose": "TxProfile"}),
        json!({"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile"}),
        json!({"chargingProfilePurpose": "ChargePointMaxProfile"}),
        json!({}),
    ];
    assert_eq!(cleared, expected.iter().collect::<Vec<_>>());
    assert!(
        asked
            .iter()
            .any(|(action, _)| action == "GetCompositeSchedule")
    );
    assert!(bench.reports.contains(&Report::Took(OfferNumber(2))));
}

#[test]
fn a_release_where_nothing_could_be_cleared_sets_the_maximum() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.answer_everything();
    bench.release(2);
    while let Some((_, action, _)) = bench.outstanding() {
        let unknown = action == "ClearChargingProfile";
        bench.respond(&json!({"status": if unknown { "Unknown" } else { "Accepted" }}));
    }
    assert_eq!(bench.last_limit(), Some(16.0));
    assert!(bench.reports.contains(&Report::Took(OfferNumber(2))));
}

#[test]
fn a_release_beside_a_limited_neighbour_leaves_its_profiles_alone() {
    let mut bench = Bench::with(2, Recovered::default());
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    bench.answer_everything();
    bench.offer(1, 0);
    let two = ConnectorId(2);
    let limit = Limit::Current(MilliAmps(0));
    let offer = Offer {
        number: OfferNumber(2),
        limit,
        reason: Reason::NoTransaction,
        single_phase: false,
    };
    bench.act(|station, context| station.handle_offer(context, two, offer));
    bench.answer_everything();
    bench.release(3);
    let asked = bench.answer_everything();
    let whole = |p: &Value| p.get("connectorId").is_none() && p.get("id").is_none();
    let clears = asked
        .iter()
        .filter(|(action, _)| action == "ClearChargingProfile");
    assert_eq!(clears.filter(|(_, payload)| whole(payload)).count(), 0);
    let again = asked
        .iter()
        .any(|(action, payload)| action == "SetChargingProfile" && payload["connectorId"] == 2);
    assert!(
        again,
        "the neighbour's limit is told again, whatever the wallbox made of it"
    );
}

#[test]
fn a_limit_that_is_not_answered_is_sent_again() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    let count = |bench: &Bench| {
        bench
            .sent
            .iter()
            .filter(|(frame, _)| frame[2] == "SetChargingProfile")
            .count()
    };
    bench.call("Heartbeat", &json!({}));
    bench.wait(35);
    assert_eq!(count(&bench), 1);
    bench.wait(10);
    assert_eq!(count(&bench), 2);
}

#[test]
fn after_a_reboot_the_limit_is_unknown_and_sent_again() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.answer_everything();
    bench.call("BootNotification", &boot("1.0"));
    assert_eq!(bench.outstanding().unwrap().1, "SetChargingProfile");
}

#[test]
fn below_an_accepted_absolute_profile_a_relative_one_is_laid() {
    let mut bench = Bench::booted();
    bench.offer(1, 16_000);
    bench.respond(&json!({"status": "Accepted"}));
    let (_, action, payload) = bench.outstanding().unwrap();
    assert_eq!(action, "SetChargingProfile");
    let floor = &payload["csChargingProfiles"];
    assert_eq!(
        (&floor["stackLevel"], &floor["chargingProfileKind"]),
        (&json!(7), &json!("Relative"))
    );
    assert_eq!(
        floor["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"],
        0
    );
}

/// In a transaction, with a limit that was taken as a `TxProfile`, the only form that is.
fn limited_by_transaction_profile() -> Bench {
    let mut bench = Bench::booted();
    bench.start();
    bench.offer(1, 8000);
    while let Some((_, action, payload)) = bench.outstanding() {
        let taken = action != "SetChargingProfile" || purpose(&payload) == "TxProfile";
        bench.respond(&json!({"status": if taken { "Accepted" } else { "Rejected" }}));
    }
    assert!(bench.reports.contains(&Report::Took(OfferNumber(1))));
    bench
}

fn purpose(payload: &Value) -> Value {
    payload["csChargingProfiles"]["chargingProfilePurpose"].clone()
}

#[test]
fn a_profile_of_a_transaction_waits_until_the_wallbox_was_told_its_id() {
    let mut bench = limited_by_transaction_profile();
    let frame = json!([2, "second", "StartTransaction", start(900)]).to_string();
    bench.schema.received(&frame);
    let limit = Limit::Current(MilliAmps(7000));
    let offer = Offer {
        number: OfferNumber(2),
        limit,
        reason: Reason::OwnMaximum,
        single_phase: false,
    };
    bench.act(|station, context| {
        station.handle_frame(context, &frame);
        station.handle_offer(context, ONE, offer);
    });
    let (_, before) = bench.respond(&json!({"status": "Rejected"}));
    assert_eq!(purpose(&before), "TxDefaultProfile");
    let (_, after) = bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(purpose(&after), "TxProfile");
}

#[test]
fn a_profile_of_a_transaction_that_worked_is_tried_again_before_other_forms() {
    let mut bench = limited_by_transaction_profile();
    bench.offer(2, 7000);
    let (_, first) = bench.respond(&json!({"status": "Rejected"}));
    assert_eq!(bench.outstanding(), None, "a moment later");
    bench.wait(10);
    let (_, second) = bench.respond(&json!({"status": "Accepted"}));
    assert_eq!([purpose(&first), purpose(&second)], ["TxProfile"; 2]);
    assert!(bench.reports.contains(&Report::Took(OfferNumber(2))));
}
