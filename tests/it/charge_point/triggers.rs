//! `TriggerMessage` (OCPP 1.6 §5.17).

use chargewarden::sim::backend::Event;

use super::lab::*;

fn trigger(lab: &mut Lab, message: &str, connector: Option<i64>) -> String {
    let mut payload = json!({"requestedMessage": message});
    if let Some(connector) = connector {
        payload["connectorId"] = json!(connector);
    }
    let said = lab.tell("TriggerMessage", payload);
    lab.wait(3);
    said
}

#[test]
fn boot_notification_is_sent_again() {
    let mut lab = lab();
    assert_eq!(trigger(&mut lab, "BootNotification", None), "Accepted");
    assert_eq!(lab.heard("BootNotification").len(), 2);
}

#[test]
fn heartbeat_is_sent_at_once() {
    let mut lab = lab();
    let before = lab.heard("Heartbeat").len();
    assert_eq!(trigger(&mut lab, "Heartbeat", None), "Accepted");
    assert_eq!(lab.heard("Heartbeat").len(), before + 1);
}

#[test]
fn the_status_of_one_connector_is_told_again() {
    let mut lab = lab();
    assert_eq!(trigger(&mut lab, "StatusNotification", Some(1)), "Accepted");
    assert_eq!(lab.statuses(), ["Available", "Available"]);
    assert_eq!(lab.statuses_of(0), ["Available"]);
}

#[test]
fn the_status_of_all_connectors_is_told_again() {
    let mut lab = lab();
    assert_eq!(trigger(&mut lab, "StatusNotification", None), "Accepted");
    assert_eq!(lab.statuses().len(), 2);
    assert_eq!(lab.statuses_of(0).len(), 2);
}

#[test]
fn the_status_of_a_connector_that_is_not_there_is_rejected() {
    let mut lab = lab();
    assert_eq!(trigger(&mut lab, "StatusNotification", Some(3)), "Rejected");
}

#[test]
fn meter_values_are_sent_with_the_context_trigger() {
    for connector in [None, Some(1)] {
        let mut lab = lab();
        assert_eq!(trigger(&mut lab, "MeterValues", connector), "Accepted");
        let values = lab.last("MeterValues");
        let samples = values["meterValue"][0]["sampledValue"].as_array().unwrap();
        assert!(
            samples.iter().all(|it| it["context"] == "Trigger"),
            "{values}"
        );
        assert_eq!(values["connectorId"], 1);
        assert_eq!(values.get("transactionId"), None);
    }
}

#[test]
fn triggered_meter_values_in_a_transaction_name_it() {
    let mut lab = lab();
    let transaction = lab.session();
    assert_eq!(trigger(&mut lab, "MeterValues", Some(1)), "Accepted");
    let all = lab.heard("MeterValues");
    let mut triggered = all.iter().filter(|it| it.to_string().contains("Trigger"));
    let last = triggered.next_back().unwrap();
    assert_eq!(last["transactionId"], transaction);
}

#[test]
fn firmware_and_diagnostics_are_idle() {
    for message in [
        "FirmwareStatusNotification",
        "DiagnosticsStatusNotification",
    ] {
        let mut lab = lab();
        assert_eq!(trigger(&mut lab, message, None), "Accepted");
        assert_eq!(lab.last(message)["status"], "Idle");
    }
}

#[test]
fn a_message_that_nobody_knows_is_not_implemented() {
    let mut lab = lab();
    let said = trigger(&mut lab, "SomethingElse", None);
    assert!(
        said == "NotImplemented" || said == "CALLERROR PropertyConstraintViolation",
        "{said}"
    );
}

#[test]
fn the_answer_comes_before_the_message() {
    let mut lab = lab();
    trigger(&mut lab, "StatusNotification", Some(1));
    let mut order = Vec::new();
    for entry in lab.ledger().entries() {
        match &entry.event {
            Event::Outcome { action, .. } if action == "TriggerMessage" => order.push("answer"),
            Event::Call { action, .. } if action == "StatusNotification" => order.push("status"),
            _ => {}
        }
    }
    assert_eq!(order[order.len() - 2..], ["answer", "status"]);
}
