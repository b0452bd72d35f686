//! Cases from practice that a gateway must get right, by the number that they have among
//! interoperability testers.

use super::*;

#[test]
fn case_13_calls_of_backend_and_wallbox_cross_and_both_are_answered() {
    let mut bench = Bench::ready();
    bench.authorize(1, "CARD");
    let (id, _) = bench.expect("Authorize");
    assert_eq!(
        bench.command("UnlockConnector", &json!({"connectorId": 1})),
        None
    );
    let (_, answer) = bench.carry_out(Ok(r#"{"status":"Unlocked"}"#.to_owned()));
    assert_eq!(answer[2]["status"], "Unlocked");
    bench.answer(&id, &json!({"idTagInfo": {"status": "Accepted"}}));
    assert_eq!(bench.verdict_for(1), AuthorizationStatus::Accepted);
}

#[test]
fn case_21_twelve_kilobytes_of_signed_data_arrive_byte_for_byte() {
    let signed = r"\/\u20acAZ".repeat(1_200);
    let stop = format!(
        r#"{{"transactionData":[{{"timestamp":"2026-06-01T13:00:00.0Z","sampledValue":[{{"value":"{signed}","format":"SignedData","context":"Transaction.End"}}]}}],"transactionId" : 7,"meterStop":1.0e3, "timestamp":"2026-06-01T13:00:00Z"}}"#
    );
    let mut bench = Bench::ready();
    bench.verbatim = true;
    bench.start(7);
    bench.answer_everything();
    bench.entry(7, EntryKind::Stop, &stop);
    let theirs = stop.replace("\"transactionId\" : 7", "\"transactionId\" : 700");
    assert!(bench.wire.last().unwrap().ends_with(&format!(",{theirs}]")));
}

#[test]
fn case_36_no_backend_leads_the_wallbox_away() {
    let mut bench = Bench::ready();
    for key in [
        "CentralSystemURL",
        "OCPPServer",
        "BackendUrl",
        "chargeBoxId",
    ] {
        let change = json!({"key": key, "value": "ws://elsewhere"});
        let answer = bench.command("ChangeConfiguration", &change).unwrap();
        assert_eq!(answer[2]["status"], "Rejected", "{key}");
    }
    assert!(bench.orders.is_empty(), "the wallbox hears nothing of it");
}

#[test]
fn case_40_strange_timestamps_reach_the_backend_as_they_came() {
    for time in [
        "2025-04-25T15:38:39+03",
        "2023-10-19T15:28:07",
        "1970-01-01T00:00:10Z",
    ] {
        let mut bench = Bench::ready();
        bench.verbatim = true;
        bench.start(7);
        bench.answer_everything();
        let stop = stop_payload(7, "Local").replace("2026-06-01T13:00:00Z", time);
        bench.entry(7, EntryKind::Stop, &stop);
        let (_, said) = bench.expect("StopTransaction");
        assert_eq!(said["timestamp"], time);
    }
}

#[test]
fn case_46_unlock_goes_to_the_wallbox_also_during_a_session() {
    let mut bench = Bench::ready();
    bench.start(7);
    bench.answer_everything();
    bench.command("UnlockConnector", &json!({"connectorId": 1}));
    let (order, answer) = bench.carry_out(Ok(r#"{"status":"UnlockFailed"}"#.to_owned()));
    assert_eq!(order.action, "UnlockConnector");
    assert_eq!(answer[2]["status"], "UnlockFailed");
    assert_eq!(bench.refused, []);
}

#[test]
fn case_47_what_a_wallbox_schedules_is_told_and_taken_back_like_that() {
    let mut bench = Bench::ready();
    for (kind, status) in [("Inoperative", "Scheduled"), ("Operative", "Accepted")] {
        bench.command(
            "ChangeAvailability",
            &json!({"connectorId": 1, "type": kind}),
        );
        let (order, answer) = bench.carry_out(Ok(json!({ "status": status }).to_string()));
        assert!(order.payload.contains(kind));
        assert_eq!(answer[2]["status"], status);
    }
}
