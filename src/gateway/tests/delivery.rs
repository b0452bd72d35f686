//! Transactions, and what a wallbox is told while it waits.

use super::*;

fn dead(bench: &Bench) -> usize {
    bench.gateway.view().dead
}

#[test]
fn a_session_arrives_with_the_ids_of_the_backend_and_is_otherwise_unchanged() {
    let mut bench = Bench::ready();
    bench.start(7);
    let (id, start) = bench.expect("StartTransaction");
    assert_eq!(
        start,
        serde_json::from_str::<Value>(&start_payload(7)).unwrap()
    );
    let answer = r#"{"transactionId": 4711,"idTagInfo":{"status":"Accepted","parentIdTag":"FAM"}}"#;
    bench.frame(&format!("[3,\"{id}\",{answer}]"));
    assert_eq!(bench.payload_for(7), answer, "byte for byte");
    bench.values(7, 5);
    bench.stop(7);
    bench.answer_everything();
    let wire = bench.wire.join("\n");
    for payload in [values_payload(7, 5), stop_payload(7, "Local")] {
        let theirs = payload.replace("\"transactionId\":7", "\"transactionId\":4711");
        assert!(wire.contains(&format!(",{theirs}]")), "{theirs} in {wire}");
    }
    assert_eq!(bench.gateway.view().queued, 0);
}

#[test]
fn case_16_a_backend_that_is_down_gets_everything_in_order_when_it_returns() {
    let mut bench = Bench::ready();
    bench.down();
    bench.start(7);
    assert_eq!(
        bench.verdict_for(7),
        AuthorizationStatus::Invalid,
        "a tag nobody knows"
    );
    for wh in [1, 2, 3] {
        bench.values(7, wh);
    }
    bench.stop(7);
    bench.wait(7200);
    bench.connect();
    let wire = bench.wire.join("\n");
    let order: Vec<&str> = wire
        .split('"')
        .filter(|word| ["StartTransaction", "MeterValues", "StopTransaction"].contains(word))
        .collect();
    assert_eq!(
        order,
        [
            "StartTransaction",
            "MeterValues",
            "MeterValues",
            "MeterValues",
            "StopTransaction"
        ]
    );
    let backend_id = "\"transactionId\":700,";
    assert_eq!(wire.matches(backend_id).count(), 4, "{wire}");
}

#[test]
fn case_17_a_daemon_killed_between_start_and_stop_goes_on_where_it_was() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.answer_everything();
    let mut bench = bench.crash();
    bench.values(7, 5);
    bench.stop(7);
    bench.connect();
    let wire = bench.wire.join("\n");
    assert_eq!(wire.matches("StartTransaction").count(), 0);
    assert_eq!(wire.matches("\"transactionId\":700,").count(), 2, "{wire}");
}

#[test]
fn a_start_that_was_sent_before_a_crash_is_sent_again_with_the_same_bytes() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.expect("StartTransaction");
    let first = bench.wire.last().unwrap().clone();
    let mut bench = bench.crash();
    bench.up();
    bench.answer_everything();
    let again = bench
        .wire
        .iter()
        .find(|it| it.contains("StartTransaction"))
        .unwrap();
    assert_eq!(again[40..], first[40..], "but for the message id");
    assert_ne!(again[..40], first[..40]);
}

#[test]
fn case_14_a_late_answer_completes_the_message_and_the_second_is_ignored() {
    let mut bench = Bench::ready();
    bench.start(7);
    let (first, _) = bench.expect("StartTransaction");
    bench.wait(31);
    assert_eq!(
        bench.verdict_for(7),
        AuthorizationStatus::Invalid,
        "not kept waiting"
    );
    let (beat, _) = bench.expect("Heartbeat");
    bench.answer(&beat, &json!({ "currentTime": NOON }));
    bench.wait(61);
    let (second, _) = bench.expect("StartTransaction");
    let answer = |id| json!({"transactionId": id, "idTagInfo": {"status": "Accepted"}});
    bench.answer(&first, &answer(41));
    bench.stop(7);
    assert_eq!(bench.asked(), None, "one CALL at a time");
    bench.answer(&second, &answer(42));
    let (_, stop) = bench.expect("StopTransaction");
    assert_eq!(stop["transactionId"], 41, "the first one wins");
}

#[test]
fn the_wallbox_waits_fifteen_seconds_for_the_backends_id_and_no_longer() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.wait(14);
    assert_eq!(bench.reply(7), None);
    bench.wait(2);
    assert!(matches!(bench.reply(7), Some(Reply::Verdict(_))));
}

#[test]
fn a_refused_message_is_tried_again_later_and_later_and_then_buried_but_not_lost() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.stop(7);
    let mut waits = Vec::new();
    for _ in 0..5 {
        let mut waited = 0;
        let id = loop {
            if let Some((id, action, _)) = bench.asked() {
                if action == "StartTransaction" {
                    break id;
                }
                bench.answer(&id, &json!({ "currentTime": NOON }));
                continue;
            }
            bench.wait(1);
            waited += 1;
        };
        waits.push(waited);
        bench.refuse(&id, "InternalError");
    }
    assert_eq!(waits, [0, 60, 120, 180, 240]);
    assert_eq!(dead(&bench), 1);
    let (_, stop) = bench.expect("StopTransaction");
    assert_eq!(stop["transactionId"], -1, "of a start that never was");
    assert_eq!(bench.crash().gateway.view().dead, 1);
}

#[test]
fn silence_and_lost_connections_use_up_no_attempts() {
    let mut bench = Bench::ready();
    bench.start(7);
    for _ in 0..20 {
        bench.wait(95);
        bench.sent.clear();
        if bench.gateway.link().is_some() {
            bench.down();
        }
        bench.up();
    }
    bench.answer_everything();
    assert_eq!((dead(&bench), bench.gateway.view().queued), (0, 0));
}

#[test]
fn a_message_that_alone_meets_silence_is_tried_a_few_times_only() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.stop(7);
    let mut starts = 0;
    while bench.gateway.view().queued > 0 {
        while let Some((id, action, payload)) = bench.asked() {
            if action == "StartTransaction" {
                starts += 1;
            } else {
                bench.answer(&id, &good_answer(&action, &payload));
            }
        }
        bench.wait(1);
    }
    assert_eq!((starts, dead(&bench)), (5, 1));
}

#[test]
fn strange_ids_of_a_backend_are_kept_apart_by_our_own() {
    for id in [0, -5, 42, 9_223_372_036_854_775_807_i64] {
        let mut bench = Bench::ready();
        for number in [7, 8] {
            bench.start(number);
            let (call, _) = bench.expect("StartTransaction");
            bench.answer(
                &call,
                &json!({"transactionId": id, "idTagInfo": {"status": "Accepted"}}),
            );
            bench.stop(number);
            let (call, stop) = bench.expect("StopTransaction");
            assert_eq!(
                (&stop["transactionId"], &stop["meterStop"]),
                (&json!(id), &json!(number * 100 + 99))
            );
            bench.answer(&call, &json!({}));
        }
    }
}

#[test]
fn case_18_a_late_refusal_ends_the_session_at_the_wallbox_and_at_the_backend() {
    let mut plan = plan(vec![member("left", "CB-1", 1)]);
    plan.members[0].offline_unknown_tags = true;
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.start(7);
    assert_eq!(bench.verdict_for(7), AuthorizationStatus::Accepted);
    bench.up();
    let (id, boot) = bench.expect("BootNotification");
    bench.answer(&id, &good_answer("BootNotification", &boot));
    for _ in 0..2 {
        let (id, _) = bench.expect("StatusNotification");
        bench.answer(&id, &json!({}));
    }
    let (id, _) = bench.expect("StartTransaction");
    bench.answer(
        &id,
        &json!({"transactionId": 41, "idTagInfo": {"status": "Invalid"}}),
    );
    let refused = Deauthorize {
        transaction: TransactionNumber(7),
        stop: true,
    };
    assert_eq!(bench.refused, [refused]);
    bench.entry(7, EntryKind::Stop, &stop_payload(7, "Remote"));
    let (_, stop) = bench.expect("StopTransaction");
    assert_eq!(
        (&stop["reason"], &stop["transactionId"]),
        (&json!("DeAuthorized"), &json!(41))
    );
}

#[test]
fn a_refusal_that_the_wallbox_waits_for_reaches_it_in_the_backends_words() {
    let mut bench = Bench::ready();
    bench.start(7);
    let (id, _) = bench.expect("StartTransaction");
    let answer = json!({"transactionId": 41, "idTagInfo": {"status": "Blocked"}});
    bench.answer(&id, &answer);
    assert_eq!(bench.payload_for(7), answer.to_string());
    assert_eq!(bench.refused, []);
    // After a restart the wallbox is not asked for twice, and the verdict is remembered.
    let mut bench = bench.crash();
    bench.ask(
        8,
        Ask::Start {
            tag: TAG.into(),
            transaction: TransactionNumber(7),
        },
    );
    assert_eq!(bench.verdict_for(8), AuthorizationStatus::Invalid);
}

#[test]
fn two_thousand_messages_leave_in_order() {
    let mut bench = Bench::new();
    for number in 1..=500 {
        bench.start(number);
        bench.values(number, 1);
        bench.values(number, 2);
        bench.stop(number);
    }
    assert_eq!(bench.gateway.view().queued, 2000);
    let mut bench = bench.crash();
    bench.up();
    let asked = bench.answer_everything();
    let registers: Vec<i64> = asked
        .iter()
        .filter_map(|(_, payload)| payload["meterStop"].as_i64())
        .collect();
    assert_eq!(
        registers,
        (1..=500).map(|it| it * 100 + 99).collect::<Vec<_>>()
    );
    assert_eq!(bench.gateway.view().queued, 0);
}

#[test]
fn an_authorization_is_the_backends_word_for_word() {
    let mut bench = Bench::ready();
    bench.authorize(1, "CARD");
    let (id, payload) = bench.expect("Authorize");
    assert_eq!(payload["idTag"], "CARD");
    let answer = r#"{"idTagInfo":{"status":"Blocked", "x":"\u00e9"}}"#;
    bench.frame(&format!("[3,\"{id}\",{answer}]"));
    assert_eq!(bench.payload_for(1), answer);
}

#[test]
fn an_authorization_that_takes_ten_seconds_is_answered_without_the_backend() {
    let mut bench = Bench::ready();
    bench.authorize(1, "CARD");
    bench.wait(9);
    assert_eq!(bench.reply(1), None);
    bench.wait(2);
    assert_eq!(bench.verdict_for(1), AuthorizationStatus::Invalid);
}

#[test]
fn an_authorization_overtakes_the_queue_but_not_a_transfer_before_it() {
    let mut bench = Bench::ready();
    bench.verbatim = true;
    bench.start(7);
    let (start, payload) = bench.expect("StartTransaction");
    bench.values(7, 1);
    let transfer = Ask::Relay {
        action: "DataTransfer".to_owned(),
        payload: r#"{"vendorId":"bank","data":{"a":1}}"#.to_owned(),
    };
    bench.ask(1, transfer);
    bench.authorize(2, "CARD");
    bench.answer(&start, &good_answer("StartTransaction", &payload));
    let asked = bench.answer_everything();
    let actions: Vec<&str> = asked.iter().map(|(action, _)| action.as_str()).collect();
    assert_eq!(actions, ["DataTransfer", "Authorize", "MeterValues"]);
}

#[test]
fn case_23_payment_data_goes_through_unchanged_and_its_answer_comes_back_unchanged() {
    let mut bench = Bench::ready();
    bench.verbatim = true;
    let payload = r#"{"vendorId":"com.giro", "messageId":"m","data":{"tag":"\/\u00df","n":1.50}}"#;
    bench.ask(1, relay("DataTransfer", payload));
    assert!(
        bench
            .wire
            .last()
            .unwrap()
            .ends_with(&format!(",{payload}]"))
    );
    let (id, _) = bench.expect("DataTransfer");
    bench.wait(29);
    let answer = r#"{"status":"Accepted","data":{"ok":true, "sum":"1\/2"}}"#;
    bench.frame(&format!("[3,\"{id}\",{answer}]"));
    assert_eq!(bench.payload_for(1), answer);
}

#[test]
fn case_10_an_unknown_action_is_relayed_or_refused() {
    let mut bench = Bench::ready();
    bench.verbatim = true;
    bench.ask(1, relay("VendorThing", r#"{"a":1}"#));
    let (id, _) = bench.expect("VendorThing");
    bench.frame(&format!(
        r#"[4,"{id}","NotSupported","never \u00df",{{"why":[1]}}]"#
    ));
    let Some(Reply::Refused(why)) = bench.reply(1) else {
        panic!("not refused");
    };
    assert_eq!(
        (why.description.as_str(), why.details.as_str()),
        ("never ß", r#"{"why":[1]}"#)
    );
    bench.down();
    bench.ask(2, relay("VendorThing", "{}"));
    assert!(matches!(bench.reply(2), Some(Reply::Refused(_))));
}

#[test]
fn a_transfer_fails_at_once_while_the_backend_is_away_unless_its_vendor_is_to_be_kept() {
    let mut plan = plan(vec![member("left", "CB-1", 1)]);
    plan.queue_data_transfer = vec!["com.giro".to_owned()];
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    bench.ask(1, relay("DataTransfer", r#"{"vendorId":"other"}"#));
    assert_eq!(bench.payload_for(1), r#"{"status":"Rejected"}"#);
    let payload = r#"{"vendorId":"COM.giro","data":"x"}"#;
    bench.ask(2, relay("DataTransfer", payload));
    assert_eq!(bench.payload_for(2), r#"{"status":"Accepted"}"#);
    let mut bench = bench.crash();
    bench.connect();
    assert!(
        bench
            .wire
            .iter()
            .any(|frame| frame.ends_with(&format!(",{payload}]")))
    );
}

#[test]
fn who_waits_for_a_backend_that_leaves_is_answered_at_once() {
    let mut bench = Bench::ready();
    bench.authorize(1, "CARD");
    bench.start(7);
    bench.ask(2, relay("DataTransfer", r#"{"vendorId":"v"}"#));
    bench.down();
    assert!(
        [1, 7, 2]
            .into_iter()
            .all(|ticket| bench.reply(ticket).is_some())
    );
}

#[test]
fn a_wallbox_that_asks_without_end_does_not_fill_the_memory() {
    let mut bench = Bench::ready();
    for ticket in 0..300 {
        bench.ask(ticket, relay("DataTransfer", r#"{"vendorId":"v"}"#));
    }
    assert_eq!(bench.replies.len(), 300 - 256);
}

#[test]
fn case_42_a_lost_session_is_ended_at_the_backend_only_where_that_is_wanted() {
    for wanted in [false, true] {
        let mut plan = plan(vec![member("left", "CB-1", 1)]);
        plan.synthesize_stop = wanted;
        let mut bench = Bench::of(plan);
        bench.wallbox_comes();
        bench.connect();
        bench.start(7);
        bench.answer_everything();
        bench.act(|gateway, context| {
            gateway.handle_lost(context, TransactionNumber(7), Some(1234));
        });
        let asked = bench.answer_everything();
        let stops: Vec<&Value> = asked.iter().map(|(_, payload)| payload).collect();
        match (wanted, stops.as_slice()) {
            (false, []) => {}
            (true, [stop]) => {
                assert_eq!(
                    (&stop["meterStop"], &stop["transactionId"]),
                    (&json!(1234), &json!(700))
                );
                assert_eq!(stop["reason"], "Other");
            }
            (_, other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_stop_of_a_wallbox_takes_the_place_of_one_that_was_made_up_and_never_comes_twice() {
    for online in [false, true] {
        let mut plan = plan(vec![member("left", "CB-1", 1)]);
        plan.synthesize_stop = true;
        let mut bench = Bench::of(plan);
        bench.wallbox_comes();
        bench.connect();
        bench.start(7);
        bench.answer_everything();
        if !online {
            bench.down();
        }
        bench.act(|gateway, context| {
            gateway.handle_lost(context, TransactionNumber(7), Some(1234));
        });
        bench.answer_everything();
        bench.stop(7);
        if !online {
            bench.connect();
        }
        bench.answer_everything();
        let wire = bench.wire.join("\n");
        assert_eq!(wire.matches("StopTransaction").count(), 1, "{wire}");
        assert_eq!(wire.contains("\"meterStop\":1234"), online);
        assert_eq!(dead(&bench), usize::from(online));
        assert_eq!(bench.gateway.view().queued, 0);
    }
}

#[test]
fn an_answer_to_a_start_that_says_little_is_no_failure() {
    for (answer, theirs) in [(r#"{"transactionId":5}"#, 5), ("{}", -1)] {
        let mut bench = Bench::ready();
        bench.start(7);
        let (id, _) = bench.expect("StartTransaction");
        let text = format!("[3,\"{id}\",{answer}]");
        bench.act(|gateway, context| gateway.handle_frame(context, &text));
        assert!(bench.reply(7).is_some());
        bench.stop(7);
        let (_, stop) = bench.expect("StopTransaction");
        assert_eq!(stop["transactionId"], theirs);
        assert_eq!(dead(&bench), 0);
    }
}

#[test]
fn neither_heartbeats_nor_statuses_without_end_keep_the_queue_waiting() {
    let mut bench = Bench::ready();
    bench.command(
        "ChangeConfiguration",
        &json!({"key": "HeartbeatInterval", "value": "1"}),
    );
    bench.start(7);
    bench.stop(7);
    for _ in 0..20 {
        bench.notice(Some("left"), "StatusNotification", AVAILABLE);
        bench.notice(Some("left"), "StatusNotification", AVAILABLE);
        bench.wait(1);
        if let Some((id, action, payload)) = bench.asked() {
            bench.answer(&id, &good_answer(&action, &payload));
        }
    }
    assert_eq!(bench.gateway.view().queued, 0);
}

#[test]
fn who_stopped_is_judged_by_the_answer_to_the_stop_and_nobody_else() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.answer_everything();
    let stop = stop_payload(7, "Local").replace("{\"tr", "{\"idTag\":\"OTHER\",\"tr");
    bench.entry(7, EntryKind::Stop, &stop);
    let (id, _) = bench.expect("StopTransaction");
    bench.answer(&id, &json!({"idTagInfo": {"status": "Blocked"}}));
    bench.down();
    bench.authorize(1, TAG);
    bench.authorize(2, "OTHER");
    assert_eq!(bench.verdict_for(1), AuthorizationStatus::Accepted);
    assert_eq!(bench.verdict_for(2), AuthorizationStatus::Blocked);
}

#[test]
fn a_tag_that_the_backend_ordered_to_start_may_charge_while_it_hesitates() {
    let mut bench = Bench::ready();
    bench.command(
        "RemoteStartTransaction",
        &json!({"idTag": TAG, "connectorId": 1}),
    );
    bench.carry_out(Ok(r#"{"status":"Accepted"}"#.to_owned()));
    bench.start(7);
    bench.wait(16);
    assert_eq!(bench.verdict_for(7), AuthorizationStatus::Accepted);
}

#[test]
fn ids_of_another_backend_and_our_own_never_reach_this_one() {
    let mut bench = Bench::ready();
    // Begun without a gateway: the wallbox knows it by our number.
    bench.values(7, 1);
    bench.stop(7);
    let asked = bench.answer_everything();
    assert_eq!(asked[0].1.get("transactionId"), None);
    assert_eq!(asked[1].1["transactionId"], -1);
    // It ran before us: the wallbox and the backend agreed on its id.
    let adopted = stop_payload(8, "Local").replace(":8,", ":4711,");
    bench.entry(8, EntryKind::Stop, &adopted);
    assert_eq!(bench.answer_everything()[0].1["transactionId"], 4711);
}

#[test]
fn transfers_of_a_kept_vendor_stay_in_order() {
    let mut plan = plan(vec![member("left", "CB-1", 1)]);
    plan.queue_data_transfer = vec!["giro".to_owned()];
    let mut bench = Bench::of(plan);
    bench.wallbox_comes();
    let transfer = |n: u32| {
        relay(
            "DataTransfer",
            &format!(r#"{{"vendorId":"giro","data":"{n}"}}"#),
        )
    };
    bench.ask(1, transfer(1));
    bench.up();
    let (id, boot) = bench.expect("BootNotification");
    bench.answer(&id, &good_answer("BootNotification", &boot));
    bench.ask(2, transfer(2));
    let asked = bench.answer_everything();
    let data: Vec<&Value> = asked
        .iter()
        .map(|(_, it)| &it["data"])
        .filter(|it| !it.is_null())
        .collect();
    assert_eq!(data, ["1", "2"]);
}

fn relay(action: &str, payload: &str) -> Ask {
    Ask::Relay {
        action: action.to_owned(),
        payload: payload.to_owned(),
    }
}
