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

#[test]
fn what_is_not_followed_is_told_again_and_then_in_another_form() {
    let mut bench = Bench::booted();
    bench.offer(1, 8000);
    bench.answer_everything();
    let mut forms = Vec::new();
    for _ in 0..2 {
        bench.act(|station, context| station.handle_not_followed(context, ONE, OfferNumber(1)));
        let (_, _, payload) = bench.outstanding().unwrap();
        forms.push(payload["csChargingProfiles"]["chargingProfileKind"].clone());
        bench.answer_everything();
    }
    assert_eq!(forms, ["Absolute", "Relative"]);
    bench.offer(2, 6000);
    bench.answer_everything();
    let sent = bench.sent.len();
    bench.act(|station, context| station.handle_not_followed(context, ONE, OfferNumber(1)));
    assert_eq!(bench.sent.len(), sent, "an older offer is of no interest");
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
