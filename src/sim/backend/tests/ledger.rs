//! What counts as what.

use std::sync::mpsc;

use super::lab::{Lab, START, START_2};
use super::*;

const STOP: &str = r#"{"transactionId":1,"meterStop":9,"timestamp":"2026-01-15T12:00:00Z"}"#;
const METER: &str = r#"{"connectorId":1,"transactionId":1,"meterValue":[{"timestamp":"2026-01-15T10:30:00Z","sampledValue":[{"value":"7"}]}]}"#;

fn counts(lab: &Lab) -> (usize, usize) {
    let ledger = lab.backend.ledger();
    (ledger.starts("CP"), ledger.stops("CP"))
}

#[test]
fn every_call_is_kept_byte_for_byte_in_the_order_of_its_charge_point() {
    let mut lab = Lab::booted(BackendPlan::default());
    lab.up("CP 2");
    let odd = r#"{ "vendorId":"V", "data" : "\/\u00df 1.50" }"#;
    lab.say("CP 2", "DataTransfer", r#"{"vendorId":"W"}"#);
    lab.wait(5);
    lab.say("CP", "DataTransfer", odd);
    lab.say("CP", "Heartbeat", "{}");
    let ledger = lab.backend.ledger();
    let expected = ["BootNotification", "DataTransfer", "Heartbeat"];
    assert_eq!(ledger.actions("CP"), expected);
    let call = ledger.calls("CP").nth(1).unwrap();
    assert_eq!((call.payload, call.at), (odd, lab.now));
    assert_eq!(ledger.actions("CP 2"), ["DataTransfer"]);
}

#[test]
fn a_session_is_one_start_its_meter_values_and_one_stop() {
    let mut lab = Lab::booted(BackendPlan::default());
    lab.say("CP", "StartTransaction", START);
    lab.say("CP", "MeterValues", METER);
    lab.say("CP", "StopTransaction", STOP);
    let ledger = lab.backend.ledger();
    let [session] = ledger.transactions("CP")[..] else {
        panic!("{:?}", ledger.transactions("CP"));
    };
    assert_eq!((session.id, session.start.as_str()), (Some(1), START));
    assert_eq!(session.meter_values, [METER]);
    assert_eq!(session.stops, [STOP]);
    assert_eq!(session.repeats, 0);
    assert_eq!(counts(&lab), (1, 1));
    assert!(lab.backend.ledger().foreign("CP").is_empty());
}

#[test]
fn a_repeat_of_an_unanswered_message_counts_as_one() {
    let mut lab = Lab::booted(BackendPlan::default().quirk(BackendQuirk::NeverAnswers));
    for _ in 0..3 {
        lab.say("CP", "StartTransaction", START);
        lab.wait(60);
    }
    lab.backend.plan_mut().quirks.clear();
    lab.say("CP", "StartTransaction", START);
    lab.say("CP", "StopTransaction", STOP);
    assert_eq!(counts(&lab), (1, 1));
    assert_eq!(lab.backend.ledger().transactions("CP")[0].repeats, 3);
}

/// The answer may have been lost on the way, or its receiver before it could write it down.
#[test]
fn a_repeat_right_after_the_answer_counts_as_one_and_a_later_one_does_not() {
    let mut lab = Lab::booted(BackendPlan::default());
    lab.say("CP", "StartTransaction", START);
    lab.down("CP");
    lab.up("CP");
    lab.say("CP", "StartTransaction", START);
    assert_eq!(counts(&lab), (1, 0));
    lab.say("CP", "StopTransaction", STOP);
    lab.say("CP", "StopTransaction", STOP);
    assert_eq!(counts(&lab), (1, 1));
    lab.say("CP", "StartTransaction", START);
    assert_eq!(counts(&lab), (2, 1));
}

#[test]
fn a_repeat_that_differs_in_one_byte_counts_as_another() {
    let mut lab = Lab::booted(BackendPlan::default().quirk(BackendQuirk::NeverAnswers));
    lab.say("CP", "StartTransaction", START);
    lab.say("CP", "StartTransaction", &START.replace(":5", ": 5"));
    assert_eq!(counts(&lab), (2, 0));
}

#[test]
fn a_second_stop_with_other_content_shows_at_the_transaction() {
    let mut lab = Lab::booted(BackendPlan::default());
    lab.say("CP", "StartTransaction", START);
    lab.say("CP", "StopTransaction", STOP);
    lab.say("CP", "StopTransaction", &STOP.replace(":9", ":10"));
    assert_eq!(counts(&lab), (1, 2));
    assert_eq!(lab.backend.ledger().transactions("CP")[0].stops.len(), 2);
}

#[test]
fn what_names_an_unknown_transaction_is_foreign() {
    let mut lab = Lab::booted(BackendPlan::default());
    lab.up("CP 2");
    lab.say("CP 2", "StartTransaction", START);
    lab.say("CP", "MeterValues", METER);
    lab.say("CP", "StopTransaction", STOP);
    assert_eq!(lab.backend.ledger().foreign("CP"), [METER, STOP]);
    assert_eq!(counts(&lab), (0, 1));
}

#[test]
fn transactions_with_one_number_are_told_apart_by_their_order() {
    let mut lab = Lab::booted(BackendPlan {
        transaction_ids: TransactionIds::Always(1),
        ..BackendPlan::default()
    });
    let other_stop = STOP.replace(":9", ":10");
    for (start, stop) in [(START, STOP), (START_2, other_stop.as_str())] {
        lab.say("CP", "StartTransaction", start);
        lab.say("CP", "StopTransaction", stop);
    }
    let ledger = lab.backend.ledger();
    let stops: Vec<_> = ledger
        .transactions("CP")
        .iter()
        .map(|it| it.stops.clone())
        .collect();
    assert_eq!(stops, [[STOP], [other_stop.as_str()]]);
}

#[test]
fn an_inspector_sees_every_entry_and_a_limit_forgets_the_oldest() {
    let (sender, seen) = mpsc::channel();
    let mut lab = Lab::new(BackendPlan {
        ledger_limit: 2,
        ..BackendPlan::default()
    });
    lab.backend.inspect(move |entry| {
        let _ = sender.send(entry.clone());
    });
    lab.up("CP");
    lab.say("CP", "BootNotification", super::BOOT);
    lab.down("CP");
    let seen: Vec<Entry> = seen.try_iter().collect();
    assert_eq!(seen.len(), 4);
    let kept: Vec<&Entry> = lab.backend.ledger().entries().collect();
    assert_eq!(kept, [&seen[2], &seen[3]]);
    assert_eq!(seen[3].event, Event::Down);
}
