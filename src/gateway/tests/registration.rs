//! Boot, heartbeats, status.

use super::*;

#[test]
fn a_backend_hears_who_we_are_then_how_we_are_then_what_it_missed() {
    let mut bench = Bench::new();
    bench.start(7);
    bench.up();
    let (id, boot) = bench.expect("BootNotification");
    assert_eq!(boot, serde_json::from_str::<Value>(BOX).unwrap());
    assert_eq!(bench.asked(), None, "nothing else before the answer");
    bench.answer(&id, &good_answer("BootNotification", &boot));
    let asked = bench.answer_everything();
    let actions: Vec<&str> = asked.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(
        actions,
        [
            "StatusNotification",
            "StatusNotification",
            "StartTransaction"
        ]
    );
    assert_eq!(asked[0].1["connectorId"], 0);
    assert_eq!(asked[1].1["connectorId"], 1);
    assert_eq!(bench.gateway.view().state, "accepted");
}

#[test]
fn nobody_dials_for_a_wallbox_that_never_said_who_it_is_but_for_a_minute() {
    let mut bench = Bench::of(plan(vec![member("left", "CB-1", 1)]));
    bench.wait(300);
    assert_eq!(bench.dials, 0);
    bench.report("left", &Report::Online(true));
    bench.wait(59);
    assert_eq!(bench.dials, 0);
    bench.wait(2);
    assert_eq!(bench.dials, 1);
    bench.up();
    let (_, boot) = bench.expect("BootNotification");
    assert_eq!(
        boot,
        json!({"chargePointVendor": "unknown", "chargePointModel": "unknown"})
    );
}

#[test]
fn what_the_wallbox_said_of_itself_survives_a_restart() {
    let mut bench = Bench::new().crash();
    bench.up();
    let (_, boot) = bench.expect("BootNotification");
    assert_eq!(boot["chargePointSerialNumber"], "S-1");
}

#[test]
fn a_charge_point_that_shares_a_wallbox_has_a_serial_number_of_its_own() {
    let mut plan = plan(vec![member("right", "CB-1", 2)]);
    plan.serial_suffix = Some("-2".to_owned());
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.up();
    let (_, boot) = bench.expect("BootNotification");
    assert_eq!(boot["chargePointSerialNumber"], "S-1-2");
}

#[test]
fn case_38_pending_then_accepted_and_the_wallbox_never_notices() {
    let mut bench = Bench::new();
    bench.start(7);
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    bench.answer(
        &id,
        &json!({"status": "Pending", "currentTime": NOON, "interval": 20}),
    );
    assert_eq!(bench.gateway.view().state, "pending");
    let refused = bench.command("RemoteStartTransaction", &json!({"idTag": TAG}));
    assert_eq!(refused.unwrap()[2]["status"], "Rejected");
    bench.authorize(99, TAG);
    assert!(bench.reply(99).is_some(), "answered without the backend");
    bench.wait(19);
    assert_eq!(bench.asked(), None);
    bench.wait(2);
    let asked = bench.answer_everything();
    assert_eq!(asked[0].0, "BootNotification");
    assert_eq!(asked.last().unwrap().0, "StartTransaction");
}

#[test]
fn a_rejected_charge_point_asks_again_after_the_interval_and_says_nothing_meanwhile() {
    let mut bench = Bench::new();
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    bench.answer(
        &id,
        &json!({"status": "Rejected", "currentTime": NOON, "interval": 0}),
    );
    assert_eq!(bench.gateway.view().state, "rejected");
    bench.notice(Some("left"), "StatusNotification", AVAILABLE);
    bench.wait(59);
    assert_eq!(bench.asked(), None);
    bench.wait(2);
    bench.expect("BootNotification");
}

#[test]
fn a_connection_that_comes_back_during_a_transaction_begins_without_a_boot() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.answer_everything();
    bench.down();
    bench.up();
    let asked = bench.answer_everything();
    assert!(
        asked
            .iter()
            .all(|(action, _)| action == "StatusNotification"),
        "{asked:?}"
    );
    bench.stop(7);
    bench.answer_everything();
    bench.down();
    bench.up();
    assert_eq!(bench.answer_everything()[0].0, "BootNotification");
}

#[test]
fn a_backend_that_forgot_us_gets_a_boot_and_then_the_message_again() {
    let mut bench = Bench::ready();
    bench.start(7);
    let (id, start) = bench.expect("StartTransaction");
    bench.refuse(&id, "SecurityError");
    let asked = bench.answer_everything();
    assert_eq!(asked[0].0, "BootNotification");
    assert_eq!(
        asked.last().unwrap(),
        &("StartTransaction".to_owned(), start)
    );
}

#[test]
fn a_wallbox_that_boots_is_a_charge_point_that_boots() {
    let mut bench = Bench::ready();
    bench.notice(None, "BootNotification", &BOX.replace("1.4", "1.5"));
    let asked = bench.answer_everything();
    assert_eq!(asked[0].0, "BootNotification");
    assert_eq!(asked[0].1["firmwareVersion"], "1.5");
}

#[test]
fn heartbeats_come_at_the_interval_of_the_backend() {
    let mut bench = Bench::new();
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    bench.answer(
        &id,
        &json!({"status": "Accepted", "currentTime": NOON, "interval": 10}),
    );
    bench.answer_everything();
    let mut beats = 0;
    for _ in 0..60 {
        bench.wait(1);
        beats += bench
            .answer_everything()
            .iter()
            .filter(|it| it.0 == "Heartbeat")
            .count();
    }
    assert_eq!(beats, 6);
}

#[test]
fn a_status_goes_to_the_backend_with_its_own_connector_number_and_unchanged_otherwise() {
    let mut plan = plan(vec![member("right", "CB-1", 2)]);
    plan.serial_suffix = Some("-2".to_owned());
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.connect();
    bench.verbatim = true;
    let status =
        r#"{ "connectorId" : 2,"errorCode":"NoError","status":"Charging","info":"\u00df","x":1.0}"#;
    bench.notice(Some("right"), "StatusNotification", status);
    let last = bench.wire.last().unwrap();
    assert!(
        last.ends_with(&format!(",{}]", status.replace(" 2", " 1"))),
        "{last}"
    );
}

#[test]
fn every_status_is_told_in_order_while_the_backend_is_slow() {
    let mut bench = Bench::ready();
    for status in ["Preparing", "Charging", "Finishing"] {
        let payload = AVAILABLE.replace("Available", status);
        bench.notice(Some("left"), "StatusNotification", &payload);
    }
    let asked = bench.answer_everything();
    let told: Vec<&Value> = asked
        .iter()
        .map(|(_, payload)| &payload["status"])
        .collect();
    assert_eq!(told, ["Preparing", "Charging", "Finishing"]);
}

#[test]
fn case_34_a_wallbox_that_is_away_for_a_minute_is_unavailable_until_it_returns() {
    let mut bench = Bench::ready();
    bench.report("left", &Report::Online(false));
    bench.wait(59);
    assert_eq!(bench.asked(), None);
    bench.wait(2);
    let asked = bench.answer_everything();
    let told: Vec<&Value> = asked
        .iter()
        .map(|(_, payload)| &payload["status"])
        .collect();
    assert_eq!(told, ["Unavailable", "Unavailable"]);
    assert_eq!(
        bench.gateway.view().state,
        "accepted",
        "the backend stays connected"
    );
    bench.report("left", &Report::Online(true));
    let busy = AVAILABLE.replace("Available", "Charging");
    bench.notice(Some("left"), "StatusNotification", &busy);
    let asked = bench.answer_everything();
    assert_eq!(asked.last().unwrap().1["status"], "Charging");
}

#[test]
fn a_backend_that_answers_nothing_is_hung_up_on_and_called_again() {
    let mut bench = Bench::ready();
    bench.notice(Some("left"), "StatusNotification", AVAILABLE);
    bench.notice(Some("left"), "StatusNotification", AVAILABLE);
    bench.wait(65);
    assert_eq!(bench.closed, [1001]);
    bench.wait(10);
    assert_eq!(bench.dials, 1);
}

#[test]
fn a_backend_that_cannot_be_reached_is_tried_again_and_again() {
    let mut bench = Bench::new();
    let mut waits = Vec::new();
    for _ in 0..4 {
        assert_eq!(std::mem::take(&mut bench.dials), 1);
        let why = DialFailure::Unreachable("no route".to_owned());
        bench.act(|gateway, context| gateway.handle_failure(context, &why, &[], false));
        let before = bench.time;
        while bench.dials == 0 {
            bench.wait(1);
        }
        waits.push(bench.time.saturating_sub(before).as_secs());
    }
    assert!(
        waits.is_sorted() && (32..=50).contains(&waits[3]),
        "{waits:?}"
    );
}

#[test]
fn a_password_that_the_backend_sets_is_used_and_the_old_one_is_tried_where_it_is_refused() {
    let mut plan = plan(vec![member("left", "CB-1", 1)]);
    let old = keys::Credential::new(*b"an old password");
    plan.password = Some(old.clone());
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.connect();
    assert_eq!(bench.login.password, Some(old.clone()));
    let change = json!({"key": "AuthorizationKey", "value": "a new password, and long"});
    let answer = bench.command("ChangeConfiguration", &change).unwrap();
    assert_eq!(answer[2]["status"], "Accepted");
    let mut bench = bench.crash();
    let new = keys::Credential::new(*b"a new password, and long");
    for password in [&new, &old, &new] {
        bench.wait(400);
        assert_eq!(bench.login.password.as_ref(), Some(password));
        bench.dials = 0;
        let why = DialFailure::Unauthorized;
        bench.act(|gateway, context| gateway.handle_failure(context, &why, &[], false));
    }
    bench.wait(400);
    let why = DialFailure::Unauthorized;
    bench.act(|gateway, context| gateway.handle_failure(context, &why, &[], false));
    bench.wait(400);
    bench.connect();
    assert_eq!(bench.login.password, Some(new));
}

#[test]
fn a_backend_that_calls_everything_insecure_gets_one_boot_and_then_a_dead_letter() {
    let mut bench = Bench::ready();
    bench.start(7);
    let mut boots = 0;
    for _ in 0..1200 {
        while let Some((id, action, payload)) = bench.asked() {
            if action == "StartTransaction" {
                bench.refuse(&id, "SecurityError");
            } else {
                boots += usize::from(action == "BootNotification");
                bench.answer(&id, &good_answer(&action, &payload));
            }
        }
        bench.wait(1);
    }
    assert!(boots <= 3, "{boots}");
    assert_eq!(bench.gateway.view().dead, 1);
}

#[test]
fn a_pending_charge_point_tells_what_is_triggered_and_nothing_else() {
    let mut bench = Bench::new();
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    bench.answer(
        &id,
        &json!({"status": "Pending", "currentTime": NOON, "interval": 300}),
    );
    bench.notice(Some("left"), "StatusNotification", AVAILABLE);
    assert_eq!(bench.asked(), None);
    let trigger = json!({"requestedMessage": "StatusNotification", "connectorId": 1});
    bench.command("TriggerMessage", &trigger);
    let (id, _) = bench.expect("StatusNotification");
    bench.answer(&id, &json!({}));
    assert_eq!(bench.asked(), None);
}

#[test]
fn a_boot_without_a_readable_time_is_accepted() {
    let mut bench = Bench::new();
    bench.up();
    let (id, _) = bench.expect("BootNotification");
    bench.act(|gateway, context| {
        let text = format!(r#"[3,"{id}",{{"status":"Accepted","interval":300}}]"#);
        gateway.handle_frame(context, &text);
    });
    assert_eq!(bench.gateway.view().state, "accepted");
}
