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
fn a_refused_limit_is_reported_with_what_the_wallbox_said() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.respond(&json!({"status": "NotSupported"}));
    let refused = Report::Refused {
        offer: OfferNumber(1),
        why: "NotSupported".to_owned(),
    };
    assert!(bench.reports.contains(&refused));
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
