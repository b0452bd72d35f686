//! What a backend is told of security.

use super::emulated::one;
use super::*;

#[test]
fn a_backend_that_was_away_hears_of_our_start_and_of_resets_in_order() {
    let mut bench = Bench::of(one());
    bench.wallbox_comes();
    let mut bench = bench.crash();
    bench.wallbox_comes();
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    bench.answer(
        &id,
        &json!({"status": "Pending", "currentTime": NOON, "interval": 5}),
    );
    assert_eq!(bench.asked(), None, "not before we are accepted");
    bench.wait(6);
    let twice = ["StartupOfTheDevice", "StartupOfTheDevice"];
    assert_eq!(bench.events(), twice);
    bench.wait(12);
    assert_eq!(bench.status("Reset", &json!({"type": "Soft"})), "Accepted");
    bench.wait(12);
    bench.up();
    assert_eq!(bench.events(), ["ResetOrReboot"]);
}

#[test]
fn a_backend_that_does_not_know_events_hears_one_on_each_connection() {
    let mut bench = Bench::of(one());
    bench.wallbox_comes();
    bench.up();
    let mut told = 0;
    while let Some((id, action, payload)) = bench.asked() {
        if action == "SecurityEventNotification" {
            told += 1;
            bench.refuse(&id, "NotImplemented");
        } else {
            bench.answer(&id, &good_answer(&action, &payload));
        }
    }
    assert_eq!(told, 1);
    let key = json!({"key": "AuthorizationKey", "value": "0123456789abcdef"});
    bench.status("ChangeConfiguration", &key);
    assert!(bench.events().is_empty());
    bench.down();
    bench.connect();
    bench.status("ChangeConfiguration", &key);
    assert_eq!(bench.events(), ["ReconfigurationOfSecurityParameters"]);
}

#[test]
fn why_we_were_away_is_told_once() {
    let mut bench = Bench::secured();
    bench.down();
    for _ in 0..3 {
        bench.dialled();
        bench.fails(&DialFailure::Unauthorized);
        bench.dialled();
        bench.fails(&DialFailure::Distrusted("expired".to_owned()));
    }
    bench.up();
    let expected = [
        "FailedToAuthenticateAtCentralSystem",
        "InvalidCentralSystemCertificate",
    ];
    assert_eq!(bench.events(), expected);
}

#[test]
fn nonsense_is_reported_once_an_hour() {
    let mut bench = Bench::secured();
    for expected in [1, 0, 0] {
        bench.verbatim = true;
        bench.frame(r#"[2,"x"]"#);
        bench.verbatim = false;
        bench.sent.retain(|frame| frame[0] == 2);
        assert_eq!(bench.events().len(), expected);
    }
}

#[test]
fn a_wallbox_that_is_shown_as_a_whole_reports_for_itself() {
    let event = r#"{"type":"TamperDetectionActivated", "timestamp":"2026-06-01T11:00:00Z"}"#;
    let mut whole = plan(vec![member("left", "CB-1", 1)]);
    whole.whole = Some(ChargeBoxId::from("CB-1"));
    for (plan, told) in [
        (whole, true),
        (plan(vec![member("left", "CB-1", 1)]), false),
    ] {
        let mut bench = Bench::of(plan);
        bench.wallbox_comes();
        bench.notice(None, "SecurityEventNotification", event);
        bench.connect();
        let heard = bench.wire.iter().any(|frame| frame.contains(event));
        assert_eq!(heard, told, "what is critical waits for the backend");
    }
}
