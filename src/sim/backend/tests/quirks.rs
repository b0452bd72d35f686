//! Each bad habit shows.

use serde_json::Value;

use super::lab::{BOOT, Lab, START};
use super::*;

fn lab(quirk: BackendQuirk) -> Lab {
    Lab::booted(BackendPlan::default().quirk(quirk))
}

#[test]
fn never_answers_reads_all_the_same() {
    let mut lab = lab(BackendQuirk::NeverAnswers);
    assert_eq!(lab.say("CP", "StartTransaction", START), Value::Null);
    let ledger = lab.backend.ledger();
    assert_eq!(ledger.payloads("CP", "StartTransaction"), [START]);
    assert_eq!(ledger.transactions("CP")[0].id, None);
}

#[test]
fn late_answers_come_late_and_in_order() {
    let mut lab = lab(BackendQuirk::LateAnswers);
    assert_eq!(lab.say("CP", "Heartbeat", "{}"), Value::Null);
    lab.wait(10);
    assert_eq!(lab.say("CP", "StartTransaction", START), Value::Null);
    lab.wait(9);
    assert!(lab.frames.is_empty());
    lab.wait(1);
    assert!(lab.last_text().contains("currentTime"));
    lab.wait(10);
    assert!(lab.last_text().contains("transactionId"));
    assert!(lab.complaints().is_empty());
}

#[test]
fn late_answers_to_a_connection_that_is_gone_never_come() {
    let mut lab = lab(BackendQuirk::LateAnswers);
    lab.say("CP", "Heartbeat", "{}");
    lab.down("CP");
    lab.up("CP");
    lab.wait(60);
    assert!(lab.frames.is_empty());
}

#[test]
fn fails_transactions_takes_each_message_after_a_few_errors() {
    let mut lab = lab(BackendQuirk::FailsTransactions);
    for expected in ["InternalError", "InternalError"] {
        assert_eq!(lab.say("CP", "StartTransaction", START), expected);
        assert_eq!(lab.backend.ledger().transactions("CP")[0].id, None);
    }
    assert_eq!(lab.say("CP", "StartTransaction", START)["transactionId"], 1);
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
    assert_eq!(lab.backend.ledger().starts("CP"), 1);
}

#[test]
fn loses_answers_has_taken_the_message_nevertheless() {
    let mut lab = lab(BackendQuirk::LosesAnswers);
    assert_eq!(lab.say("CP", "StartTransaction", START), Value::Null);
    assert_eq!(lab.backend.ledger().transactions("CP")[0].id, Some(1));
    lab.wait(30);
    assert_eq!(lab.say("CP", "StartTransaction", START)["transactionId"], 1);
    assert_eq!(lab.backend.ledger().starts("CP"), 1);
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
}

#[test]
fn a_message_may_fail_first_and_then_lose_its_answer() {
    let mut lab = lab(BackendQuirk::FailsTransactions);
    lab.backend.plan_mut().failures = 1;
    let both = &mut lab.backend.plan_mut().quirks;
    both.insert(BackendQuirk::LosesAnswers);
    assert_eq!(lab.say("CP", "StartTransaction", START), "InternalError");
    assert_eq!(lab.say("CP", "StartTransaction", START), Value::Null);
    lab.wait(30);
    assert_eq!(lab.say("CP", "StartTransaction", START)["transactionId"], 1);
}

#[test]
fn invalid_starts_contradicts_what_was_said_of_the_tag() {
    let mut lab = lab(BackendQuirk::InvalidStarts);
    let verdict = lab.say("CP", "Authorize", r#"{"idTag":"TAG"}"#);
    assert_eq!(verdict["idTagInfo"]["status"], "Accepted");
    let start = lab.say("CP", "StartTransaction", START);
    assert_eq!(start["idTagInfo"]["status"], "Invalid");
    assert_eq!(start["transactionId"], 1);
}

#[test]
fn pending_and_rejected_at_first_last_for_a_while() {
    for (quirk, status) in [
        (BackendQuirk::PendingAtFirst, "Pending"),
        (BackendQuirk::RejectsAtFirst, "Rejected"),
    ] {
        let mut lab = Lab::new(BackendPlan::default().quirk(quirk));
        lab.up("CP");
        for expected in [status, status, status, "Accepted"] {
            let boot = lab.say("CP", "BootNotification", BOOT);
            assert_eq!(boot["status"], expected);
            let interval = if expected == "Accepted" { 300 } else { 10 };
            assert_eq!(boot["interval"], interval);
            lab.wait(10);
        }
    }
}

#[test]
fn closes_each_minute_closes_a_connection_when_it_is_sixty_seconds_old() {
    let mut lab = lab(BackendQuirk::ClosesEachMinute);
    let link = lab.link("CP");
    lab.wait(59);
    assert!(lab.closed.is_empty());
    lab.wait(1);
    assert_eq!(lab.closed, [link]);
    assert_eq!(lab.backend.connected().count(), 0);
    assert_eq!(lab.backend.poll_timeout(), None);
}

#[test]
fn floods_sends_without_waiting_and_holds_no_answer_against_anybody() {
    let mut lab = lab(BackendQuirk::Floods);
    lab.wait(2);
    assert_eq!(lab.frames.len(), 100);
    lab.reply_to_all("CP", "{}");
    assert!(lab.complaints().is_empty());
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
}

#[test]
fn sends_garbage_between_correct_answers() {
    let mut lab = lab(BackendQuirk::SendsGarbage);
    lab.wait(24);
    assert_eq!(lab.frames.len(), 24);
    let mut texts: Vec<&str> = lab.frames.iter().map(|(_, text)| text.as_str()).collect();
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), 12);
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
}

#[test]
fn a_quirk_may_begin_and_cease_while_it_runs() {
    let mut lab = Lab::booted(BackendPlan::default());
    let quirks = |lab: &mut Lab, all: &[BackendQuirk]| {
        lab.backend.plan_mut().quirks = all.iter().copied().collect();
    };
    quirks(&mut lab, &[BackendQuirk::NeverAnswers]);
    assert_eq!(lab.say("CP", "Heartbeat", "{}"), Value::Null);
    lab.wait(30);
    quirks(&mut lab, &[]);
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
}
