//! Registration and set-up.

use super::*;

#[test]
fn a_boot_is_accepted_at_once_with_our_time_and_interval() {
    let mut bench = Bench::new();
    bench.up(LINK);
    let answer = bench.call("BootNotification", &boot("1.0"));
    assert_eq!(
        answer,
        json!({"status": "Accepted", "currentTime": NOON, "interval": 300})
    );
    assert!(bench.reports.contains(&Report::Booted));
}

#[test]
fn nothing_is_asked_before_the_wallbox_booted() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.wait(4);
    assert!(bench.sent.is_empty(), "{:?}", bench.sent);
}

#[test]
fn a_wallbox_that_never_boots_is_asked_to_and_used_after_a_minute_all_the_same() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.wait(6);
    let (action, payload) = bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(
        (action.as_str(), &payload["requestedMessage"]),
        ("TriggerMessage", &json!("BootNotification"))
    );
    bench.wait(50);
    assert_eq!(bench.last_limit(), None);
    bench.wait(10);
    bench.answer_everything();
    assert_eq!(bench.last_limit(), Some(0.0));
}

#[test]
fn a_known_wallbox_that_reconnects_without_boot_is_limited_without_being_asked_for_its_keys() {
    let mut bench = Bench::booted();
    bench.down();
    bench.up(LinkId(2));
    bench.offer(1, 0);
    bench.call("Heartbeat", &json!({}));
    let before = bench.sent.len();
    bench.wait(4);
    assert_eq!(bench.sent[before].0[2], "SetChargingProfile");
}

#[test]
fn the_keys_are_read_before_the_first_profile_because_they_say_which_one_fits() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.call("BootNotification", &boot("1.0"));
    let (action, _) = bench.respond(&keys(&[
        ("ChargeProfileMaxStackLevel", "3", true),
        ("ChargingScheduleAllowedChargingRateUnit", "Power", true),
    ]));
    assert_eq!(action, "GetConfiguration");
    let (_, action, payload) = bench.outstanding().unwrap();
    assert_eq!(action, "SetChargingProfile");
    assert_eq!(payload["csChargingProfiles"]["stackLevel"], 3);
    assert_eq!(
        payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"],
        "W"
    );
}

#[test]
fn only_what_differs_is_changed() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    let asked = bench.answer_everything();
    let changed: Vec<&Value> = asked
        .iter()
        .filter(|(a, _)| a == "ChangeConfiguration")
        .map(|(_, p)| &p["key"])
        .collect();
    assert_eq!(
        changed,
        [
            &json!("MeterValuesSampledData"),
            &json!("MeterValueSampleInterval")
        ]
    );
}

#[test]
fn a_wallbox_that_does_not_list_its_keys_is_asked_for_those_that_matter() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.offer(1, 0);
    bench.call("BootNotification", &boot("1.0"));
    let (id, ..) = bench.outstanding().unwrap();
    bench.frame(&json!([4, id, "InternalError", "", {}]).to_string());
    let (action, payload) = bench.respond(&keys(&[("ChargeProfileMaxStackLevel", "5", true)]));
    assert_eq!(
        (action.as_str(), payload),
        (
            "GetConfiguration",
            json!({"key": ["ChargeProfileMaxStackLevel"]})
        )
    );
}

#[test]
fn housekeeping_that_is_not_answered_makes_room_for_a_limit_after_5_seconds() {
    let mut bench = Bench::new();
    bench.up(LINK);
    bench.call("BootNotification", &boot("1.0"));
    assert_eq!(bench.outstanding().unwrap().1, "GetConfiguration");
    bench.offer(1, 0);
    bench.wait(4);
    assert_eq!(bench.last_limit(), None);
    bench.wait(2);
    assert_eq!(bench.last_limit(), Some(0.0));
}

#[test]
fn one_call_at_a_time() {
    let mut bench = Bench::booted();
    bench.offer(1, 0);
    bench.offer(2, 6000);
    bench.offer(3, 8000);
    let calls = bench
        .sent
        .iter()
        .filter(|(frame, _)| frame[2] == "SetChargingProfile")
        .count();
    assert_eq!(calls, 1, "the second waits for the answer to the first");
    bench.respond(&json!({"status": "Accepted"}));
    assert_eq!(
        bench.last_limit(),
        Some(8.0),
        "and the stale one was never sent"
    );
}

#[test]
fn a_status_that_did_not_come_by_itself_is_asked_for_and_one_that_came_is_not() {
    for (sends, expected) in [(false, true), (true, false)] {
        let mut bench = Bench::booted();
        if sends {
            bench.status("Available");
        }
        bench.wait(5);
        let asked = bench.answer_everything();
        let triggered = asked
            .iter()
            .any(|(_, p)| p["requestedMessage"] == "StatusNotification");
        assert_eq!(triggered, expected);
    }
}
