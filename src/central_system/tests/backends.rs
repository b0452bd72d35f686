//! What a wallbox says and its backend shall hear, judge or answer.

use super::*;
use crate::evse::Deauthorize;
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;

const ACCEPTED: &str = r#"{"idTagInfo":{"status":"Accepted"},"transactionId":17}"#;

fn waiting(connectors: u32) -> Bench {
    let mut bench = Bench::with_backend(connectors);
    bench.order.clear();
    bench.notices.clear();
    bench
}

/// In a transaction that the backend calls 17.
pub(super) fn charging(connectors: u32) -> Bench {
    let mut bench = waiting(connectors);
    bench.status("Preparing");
    bench.frame(&json!([2, "s1", "StartTransaction", start(100)]).to_string());
    bench.reply_with(ACCEPTED);
    bench.status("Charging");
    bench.answer_everything();
    bench.notices.clear();
    bench
}

fn number(bench: &Bench) -> TransactionNumber {
    *bench.disk.transactions.keys().next_back().unwrap()
}

#[test]
fn what_a_wallbox_tells_is_answered_at_once_and_noticed_as_it_came() {
    let mut bench = Bench::on_disk(2, Recovered::default());
    bench.up(LINK);
    let status = |connector: u32| json!({"connectorId": connector, "errorCode": "NoError", "status": "Available"});
    let diagnostics = json!({"status": "Idle"});
    let event = json!({"type": "SettingSystemTime", "timestamp": NOON});
    let said = [
        (None, "BootNotification", boot("1.0")),
        (None, "StatusNotification", status(0)),
        (Some("evse-2"), "StatusNotification", status(2)),
        (None, "DiagnosticsStatusNotification", diagnostics),
        (None, "SecurityEventNotification", event),
    ];
    for (_, action, payload) in &said {
        bench.call(action, payload);
    }
    bench.call("StatusNotification", &status(3));
    let notice = |(evse, action, payload): &(Option<&str>, &str, Value)| Notice {
        evse: evse.map(Into::into),
        action: (*action).to_owned(),
        payload: payload.to_string(),
    };
    assert_eq!(bench.notices, said.iter().map(notice).collect::<Vec<_>>());
}

#[test]
fn without_a_backend_nothing_is_noticed_relayed_or_given_up_for_it() {
    let mut bench = Bench::booted();
    bench.start();
    bench.call("MeterValues", &sampled(None, "Sample.Periodic"));
    bench.call("DataTransfer", &json!({"vendorId": "com.example"}));
    bench.start();
    bench.call("StartTransaction", &start(900));
    assert_eq!((bench.notices.len(), bench.lost.len()), (0, 0));
    assert_eq!(bench.entries("MeterValues"), 0);
    let relayed = |ask: &&Ask| matches!(ask, Ask::Relay { .. });
    assert_eq!(bench.asks.iter().filter(relayed).count(), 0);
}

#[test]
fn an_authorize_is_answered_in_the_words_of_the_backend() {
    let mut bench = waiting(1);
    bench.frame(r#"[2,"a","Authorize",{"idTag":"T"}]"#);
    let words = r#"{ "idTagInfo":{"parentIdTag":"F\u0041M","status":"Accepted"} }"#;
    bench.reply_with(words);
    let text = format!(r#"[3,"a",{words}]"#);
    assert_eq!(bench.texts.last(), Some(&text));
}

#[test]
fn a_tag_is_asked_about_where_it_was_most_likely_presented() {
    fn status(bench: &mut Bench, connector: u32, status: &str) {
        let payload = json!({"connectorId": connector, "errorCode": "NoError", "status": status});
        bench.call("StatusNotification", &payload);
    }
    fn asked(bench: &mut Bench, tag: &str) -> String {
        bench.next_id += 1;
        let id = format!("a{}", bench.next_id);
        bench.frame(&json!([2, id, "Authorize", {"idTag": tag}]).to_string());
        let evse = bench.calls[0].evses[0].to_string();
        bench.reply(&Reply::Verdict(Verdict::ACCEPTED));
        evse
    }
    fn pass(bench: &mut Bench, seconds: u64) {
        for _ in 0..seconds / 10 {
            bench.answer_everything();
            bench.wait(10);
        }
    }
    let mut bench = waiting(3);
    assert_eq!(asked(&mut bench, "T"), "evse-1", "the lowest");
    status(&mut bench, 3, "Preparing");
    pass(&mut bench, 130);
    assert_eq!(asked(&mut bench, "T"), "evse-3", "the only one");
    status(&mut bench, 1, "Preparing");
    pass(&mut bench, 60);
    status(&mut bench, 2, "Preparing");
    status(&mut bench, 1, "Preparing");
    assert_eq!(asked(&mut bench, "T"), "evse-2", "the newest");
    pass(&mut bench, 130);
    assert_eq!(asked(&mut bench, "T"), "evse-1", "the lowest of old ones");
    let mut start = start(100);
    start["connectorId"] = json!(2);
    bench.frame(&json!([2, "s", "StartTransaction", start]).to_string());
    let family = r#"{"idTagInfo":{"status":"Accepted","parentIdTag":"FAMILY"},"transactionId":17}"#;
    bench.reply_with(family);
    status(&mut bench, 2, "Charging");
    for tag in ["tag", "family"] {
        assert_eq!(asked(&mut bench, tag), "evse-2", "to stop: {tag}");
    }
    assert_eq!(asked(&mut bench, "T"), "evse-1");
}

#[test]
fn a_start_is_filed_with_its_transaction_before_the_upstream_is_asked_or_it_is_answered() {
    let mut bench = waiting(1);
    bench.frame(&json!([2, "s1", "StartTransaction", start(100)]).to_string());
    assert_eq!(bench.order, ["file"]);
    assert_eq!(bench.entries[0].transaction, Some(number(&bench)));
    assert_eq!(bench.answers("s1"), [] as [Value; 0]);
    bench.reply_with(ACCEPTED);
    assert_eq!(bench.order[1..3], ["persist", "send"]);
    assert_eq!(bench.answers("s1")[0][2]["transactionId"], 17);
    assert_eq!(bench.open(), [17]);
    assert_eq!(bench.demand(), Some(Demand::Charging));
}

#[test]
fn the_answer_to_a_start_differs_from_the_backends_by_the_id_alone() {
    for (said, told) in [
        ("17", Some(17)),
        ("0", None),
        ("-1", None),
        ("4294967296", None),
    ] {
        let mut bench = waiting(1);
        bench.frame(&json!([2, "s1", "StartTransaction", start(100)]).to_string());
        let words = |id: &str| {
            format!(r#"{{ "transactionId" : {id},"idTagInfo":{{"status":"Accepted" }}}}"#)
        };
        bench.reply_with(&words(said));
        let told = told.unwrap_or(number(&bench).0);
        let answer: Value = serde_json::from_str(&words(&told.to_string())).unwrap();
        assert_eq!(bench.answers("s1")[0][2], answer, "{said}");
        assert_eq!(bench.open(), [told]);
    }
}

#[test]
fn an_id_that_another_transaction_has_or_had_lately_is_not_given_again() {
    let mut bench = waiting(2);
    let mut ids = Vec::new();
    for connector in [1, 2, 1] {
        let mut start = start(100 + i64::try_from(ids.len()).unwrap());
        start["connectorId"] = json!(connector);
        let id = format!("s{}", ids.len());
        bench.frame(&json!([2, id, "StartTransaction", start]).to_string());
        bench.reply_with(ACCEPTED);
        ids.push(bench.answers(&id)[0][2]["transactionId"].as_i64().unwrap());
    }
    assert_eq!(ids[0], 17);
    assert!(ids[1] > 1_000_000_000 && ids[2] > ids[1], "{ids:?}");
}

#[test]
fn a_start_sent_again_is_asked_and_filed_once_and_each_message_gets_the_same_answer() {
    let mut bench = waiting(1);
    let send = |bench: &mut Bench, id: &str| {
        bench.frame(&json!([2, id, "StartTransaction", start(100)]).to_string());
    };
    send(&mut bench, "s1");
    send(&mut bench, "s2");
    bench.reply_with(ACCEPTED);
    send(&mut bench, "s3");
    bench.down();
    bench.up(LinkId(2));
    send(&mut bench, "s4");
    for id in ["s1", "s2", "s3", "s4"] {
        let answer: Value = serde_json::from_str(ACCEPTED).unwrap();
        let answers = bench.answers(id);
        assert_eq!(answers.len(), 1, "{id}");
        assert_eq!(answers[0][2], answer, "{id}");
    }
    assert_eq!((bench.asks.len(), bench.entries.len()), (1, 1));
}

#[test]
fn a_start_whose_link_broke_before_the_verdict_is_answered_over_the_next_one() {
    let mut bench = waiting(1);
    let text = json!([2, "s1", "StartTransaction", start(100)]).to_string();
    bench.frame(&text);
    bench.down();
    bench.up(LinkId(2));
    bench.frame(&text);
    bench.reply_with(ACCEPTED);
    assert_eq!(bench.answers("s1").len(), 1);
    assert_eq!((bench.asks.len(), bench.open()), (1, vec![17]));
}

#[test]
fn after_a_restart_a_wallbox_keeps_the_id_that_it_may_have_been_told() {
    let mut before = waiting(1);
    before.frame(&json!([2, "s1", "StartTransaction", start(100)]).to_string());
    let own = number(&before).0;
    let mut bench = Bench::on_disk(1, before.disk.clone());
    bench.up(LINK);
    bench.frame(&json!([2, "s2", "StartTransaction", start(100)]).to_string());
    bench.reply_with(ACCEPTED);
    assert_eq!(bench.answers("s2")[0][2]["transactionId"], own);
    assert_eq!(bench.entries.len(), 0, "it is filed already");
}

#[test]
fn a_stop_is_answered_as_soon_as_it_is_filed() {
    let mut bench = charging(1);
    bench.order.clear();
    let mut stop = stop(17, 5100);
    stop["idTag"] = json!("TAG");
    let answer = bench.call("StopTransaction", &stop);
    assert_eq!(answer, json!({"idTagInfo": {"status": "Accepted"}}));
    assert_eq!(bench.order[..2], ["file", "send"]);
    assert_eq!(bench.call("StopTransaction", &stop), answer);
    assert_eq!(
        (bench.calls.len(), bench.entries("StopTransaction")),
        (0, 1)
    );
}

#[test]
fn case_20_the_stop_of_a_transaction_that_nobody_knows_is_filed_once_as_it_came() {
    let mut bench = waiting(1);
    assert_eq!(bench.call("StopTransaction", &stop(99, 1)), json!({}));
    assert_eq!(bench.call("StopTransaction", &stop(99, 1)), json!({}));
    let mut with_tag = stop(98, 1);
    with_tag["idTag"] = json!("TAG");
    bench.call("StopTransaction", &with_tag);
    let filed: Vec<_> = bench
        .entries
        .iter()
        .map(|it| (it.connector, it.transaction, it.kind, it.payload.clone()))
        .collect();
    let stray = |payload: Value| (ONE, None, EntryKind::Stop, payload.to_string());
    assert_eq!(filed, [stray(stop(99, 1)), stray(with_tag)]);
}

#[test]
fn a_transaction_whose_stop_never_comes_is_reported_as_lost() {
    let mut bench = charging(1);
    bench.call("MeterValues", &sampled(Some(17), "Sample.Periodic"));
    let first = number(&bench);
    bench.frame(&json!([2, "s9", "StartTransaction", start(900)]).to_string());
    bench.reply_with(r#"{"idTagInfo":{"status":"Accepted"},"transactionId":18}"#);
    bench.status("Available");
    bench.wait(61);
    let register = Some(WattHours(7000));
    assert_eq!(bench.lost, [(first, register), (number(&bench), register)]);
}

#[test]
fn what_only_a_backend_can_answer_is_answered_in_its_words() {
    let mut bench = waiting(2);
    for (id, action) in [
        ("d", "DataTransfer"),
        ("v", "Com.Example.Do"),
        ("c", "SignCertificate"),
    ] {
        bench.frame(&json!([2, id, action, {"vendorId": "EV-BOX", "csr": "x"}]).to_string());
    }
    bench.reply_with(r#"{"status":"Accepted","data":"\u00df"}"#);
    assert_eq!(
        bench.answers("d")[0][2],
        json!({"status": "Accepted", "data": "ß"})
    );
    let failure = CallFailure {
        code: ErrorCode::SecurityError,
        description: "not you".to_owned(),
        details: r#"{"a":1}"#.to_owned(),
    };
    bench.reply(&Reply::Refused(failure));
    assert_eq!(
        bench.answers("v"),
        [json!([4, "v", "SecurityError", "not you", {"a": 1}])]
    );
    bench.reply_with(r#"{"status":"Accepted"}"#);
    assert_eq!(bench.answers("c")[0][0], 3);
}

#[test]
fn a_relayed_message_concerns_the_connector_that_is_busy_first() {
    let mut bench = waiting(2);
    let status = json!({"connectorId": 2, "errorCode": "NoError", "status": "Preparing"});
    bench.call("StatusNotification", &status);
    bench.frame(&json!([2, "d", "DataTransfer", {"vendorId": "x"}]).to_string());
    assert_eq!(bench.calls[0].evses, ["evse-2".into(), "evse-1".into()]);
}

#[test]
fn an_action_of_the_wrong_direction_is_refused_here() {
    let mut bench = waiting(1);
    bench.frame(&json!([2, "x", "Reset", {"type": "Hard"}]).to_string());
    assert_eq!(bench.answers("x")[0][2], "NotSupported");
    assert_eq!(bench.calls, []);
}

#[test]
fn a_transaction_that_is_refused_late_gets_no_current_and_is_stopped_by_its_own_id() {
    let mut bench = charging(1);
    let said = |stop| Deauthorize {
        transaction: number(&bench),
        stop,
    };
    let (pause, stop) = (said(false), said(true));
    bench.act(|station, context| station.handle_deauthorize(context, ONE, &pause));
    assert_eq!(bench.demand(), Some(Demand::Plugged));
    assert!(bench.outstanding().is_none());
    bench.act(|station, context| station.handle_deauthorize(context, ONE, &stop));
    let (action, payload) = bench.respond(&json!({"status": "Rejected"}));
    assert_eq!(
        (action.as_str(), payload),
        ("RemoteStopTransaction", json!({"transactionId": 17}))
    );
    let (action, _) = bench.respond(&json!({"status": "Rejected"}));
    assert_eq!(action, "RemoteStopTransaction");
    assert!(bench.outstanding().is_none(), "twice is enough");
    assert_eq!(bench.open(), [17], "its stop is still to come");
}

#[test]
fn a_stop_that_a_lost_link_swallowed_is_asked_for_again() {
    let mut bench = charging(1);
    let stop = Deauthorize {
        transaction: number(&bench),
        stop: true,
    };
    bench.act(|station, context| station.handle_deauthorize(context, ONE, &stop));
    bench.respond(&json!({"status": "Rejected"}));
    bench.down();
    bench.up(LinkId(2));
    bench.status("Charging");
    bench.wait(4);
    assert_eq!(bench.outstanding().unwrap().1, "RemoteStopTransaction");
    let other = Deauthorize {
        transaction: TransactionNumber(1),
        stop: true,
    };
    bench.respond(&json!({"status": "Accepted"}));
    bench.answer_everything();
    bench.act(|station, context| station.handle_deauthorize(context, ONE, &other));
    assert!(bench.outstanding().is_none());
}
