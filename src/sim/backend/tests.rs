mod lab;
mod ledger;
mod quirks;

use serde_json::json;

use lab::{BOOT, Lab, START, START_2, id};

use super::*;
use crate::ids::ConnectorId;
use crate::ocpp::charging_profile::{ChargingProfilePurpose, ChargingRateUnit};
use crate::ocpp::messages::{
    AuthorizationStatus, AvailabilityType, DataTransferStatus, IdTagInfo, ResetType,
};
use crate::units::{MilliAmps, Watts};

#[test]
fn it_accepts_a_boot_and_answers_everything_that_charge_points_send() {
    let mut lab = Lab::new(BackendPlan::default());
    lab.up("CP");
    let boot = lab.say("CP", "BootNotification", BOOT);
    assert_eq!(boot["status"], "Accepted");
    assert_eq!(boot["interval"], 300);
    assert_eq!(boot["currentTime"], "2026-01-15T10:00:00Z");
    let beat = lab.say("CP", "Heartbeat", "{}");
    assert_eq!(beat["currentTime"], "2026-01-15T10:00:00Z");
    for (action, payload) in [
        (
            "StatusNotification",
            r#"{"connectorId":1,"errorCode":"NoError","status":"Available"}"#,
        ),
        ("DiagnosticsStatusNotification", r#"{"status":"Idle"}"#),
        ("FirmwareStatusNotification", r#"{"status":"Idle"}"#),
        (
            "MeterValues",
            r#"{"connectorId":0,"meterValue":[{"timestamp":"2026-01-15T10:00:00Z","sampledValue":[{"value":"1"}]}]}"#,
        ),
    ] {
        assert_eq!(lab.say("CP", action, payload), json!({}), "{action}");
    }
    assert_eq!(lab.say("CP", "MakeCoffee", "{}"), "NotImplemented");
    assert_eq!(lab.say("CP", "Reset", "{}"), "NotImplemented");
    assert!(lab.complaints().is_empty());
}

#[test]
fn tags_have_the_verdicts_of_the_table_and_others_the_default() {
    let expired = IdTagInfo {
        status: AuthorizationStatus::Accepted,
        expiry_date: Some("2026-01-15T10:00:00Z".parse().unwrap()),
        parent_id_tag: None,
    };
    let mut plan = BackendPlan::default()
        .unknown_tags(AuthorizationStatus::Invalid)
        .tag("GOOD", AuthorizationStatus::Accepted, Some("FAMILY"))
        .tag("BAD", AuthorizationStatus::Blocked, None);
    plan.tags.insert("OLD".into(), expired);
    let mut lab = Lab::booted(plan);
    let mut verdict = |tag: &str| {
        let payload = json!({"idTag": tag}).to_string();
        lab.say("CP", "Authorize", &payload)["idTagInfo"].clone()
    };
    let good = json!({"status": "Accepted", "parentIdTag": "FAMILY"});
    assert_eq!(verdict("good"), good);
    assert_eq!(verdict("BAD"), json!({"status": "Blocked"}));
    assert_eq!(verdict("OLD")["status"], "Expired");
    assert_eq!(verdict("STRANGER"), json!({"status": "Invalid"}));
}

#[test]
fn a_transaction_gets_a_number_of_its_own_and_a_repeated_start_the_same() {
    let mut lab = Lab::booted(BackendPlan::default());
    lab.up("CP 2");
    lab.say("CP 2", "BootNotification", BOOT);
    let first = lab.say("CP", "StartTransaction", START);
    assert_eq!(
        first,
        json!({"transactionId": 1, "idTagInfo": {"status": "Accepted"}})
    );
    let number = |answer: serde_json::Value| answer["transactionId"].as_i64().unwrap();
    assert_eq!(number(lab.say("CP", "StartTransaction", START)), 1);
    assert_eq!(number(lab.say("CP", "StartTransaction", START_2)), 2);
    assert_eq!(number(lab.say("CP 2", "StartTransaction", START)), 3);
    let stop = r#"{"transactionId":1,"meterStop":9,"timestamp":"2026-01-15T11:00:00Z"}"#;
    assert_eq!(lab.say("CP", "StopTransaction", stop), json!({}));
}

#[test]
fn numbers_of_transactions_may_be_odd() {
    for (ids, expected) in [
        (TransactionIds::From(-1), [-1, 0]),
        (TransactionIds::From(i64::MAX), [i64::MAX, i64::MIN]),
        (TransactionIds::Always(7), [7, 7]),
    ] {
        let mut lab = Lab::booted(BackendPlan {
            transaction_ids: ids,
            ..BackendPlan::default()
        });
        let numbers = [START, START_2]
            .map(|start| lab.say("CP", "StartTransaction", start)["transactionId"].as_i64());
        assert_eq!(numbers, expected.map(Some), "{ids:?}");
    }
}

#[test]
fn before_the_boot_is_accepted_everything_else_is_refused() {
    let mut lab = Lab::new(BackendPlan::default());
    lab.up("CP");
    assert_eq!(lab.say("CP", "Heartbeat", "{}"), "SecurityError");
    lab.say("CP", "BootNotification", BOOT);
    lab.say("CP", "Heartbeat", "{}");
    assert_eq!(lab.complaints().len(), 1);
}

#[test]
fn whether_a_boot_is_remembered_over_connections_is_a_switch() {
    for (remembers_boots, expected) in [(true, None), (false, Some("SecurityError"))] {
        let mut lab = Lab::booted(BackendPlan {
            remembers_boots,
            ..BackendPlan::default()
        });
        lab.down("CP");
        lab.up("CP");
        assert_eq!(lab.say("CP", "Heartbeat", "{}").as_str(), expected);
    }
}

#[test]
fn a_pending_charge_point_may_send_what_it_was_asked_for() {
    let mut lab = Lab::new(BackendPlan::default().quirk(BackendQuirk::PendingAtFirst));
    lab.up("CP");
    lab.say("CP", "BootNotification", BOOT);
    assert_eq!(lab.say("CP", "Heartbeat", "{}"), "SecurityError");
    lab.command(Command::Trigger {
        message: "Heartbeat".to_owned(),
        connector: None,
    });
    lab.reply("CP", r#"{"status":"Accepted"}"#);
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
    let start = lab.command(Command::RemoteStop { transaction: 1 });
    assert!(lab.asked("CP").is_none(), "not while it is pending");
    lab.wait(25);
    lab.say("CP", "BootNotification", BOOT);
    assert_eq!(lab.asked("CP").unwrap().1, "RemoteStopTransaction");
    lab.reply("CP", r#"{"status":"Rejected"}"#);
    assert!(lab.outcome(start).is_some());
}

#[test]
fn a_payload_that_lacks_something_is_refused_and_held_against_its_sender() {
    let mut lab = Lab::booted(BackendPlan::default());
    assert_eq!(
        lab.say("CP", "StatusNotification", r#"{"connectorId":1}"#),
        "OccurenceConstraintViolation"
    );
    assert_eq!(
        lab.say("CP", "Authorize", r#"{"idTag":7}"#),
        "TypeConstraintViolation"
    );
    assert_eq!(lab.complaints().len(), 2);
}

#[test]
fn data_is_answered_as_the_plan_says_and_an_echo_is_the_same_to_the_byte() {
    let sent = r#"{"vendorId":"V","data":"{\"a\":\"\/\u00df\"}"}"#;
    for (answer, expected) in [
        (
            DataTransferAnswer::Status(DataTransferStatus::Rejected),
            r#"{"status":"Rejected"}"#,
        ),
        (
            DataTransferAnswer::Payload(r#"{"status":"Accepted","data":"\/"}"#.to_owned()),
            r#"{"status":"Accepted","data":"\/"}"#,
        ),
        (
            DataTransferAnswer::Echo,
            r#"{"status":"Accepted","data":"{\"a\":\"\/\u00df\"}"}"#,
        ),
    ] {
        let mut lab = Lab::booted(BackendPlan {
            data_transfer: answer,
            ..BackendPlan::default()
        });
        lab.say("CP", "DataTransfer", sent);
        assert!(lab.last_text().ends_with(&format!(",{expected}]")));
    }
}

#[test]
fn what_is_no_frame_is_held_against_its_sender_and_not_answered() {
    let mut lab = Lab::booted(BackendPlan::default());
    let texts = [
        "",
        "hello",
        "[2]",
        r#"[2,7,"Heartbeat",{}]"#,
        r#"[2,"","Heartbeat",{}]"#,
        r#"[2,"a","Heartbeat"]"#,
        r#"[9,"a",{}]"#,
        r#"[3,"nobody-asked",{}]"#,
    ];
    for text in texts {
        lab.raw("CP", text);
        assert!(lab.frames.is_empty(), "{text}");
    }
    assert_eq!(lab.complaints().len(), texts.len());
}

#[test]
fn a_new_connection_of_a_charge_point_replaces_the_old_one() {
    let mut lab = Lab::booted(BackendPlan::default());
    let old = lab.link("CP");
    lab.up("CP");
    assert_eq!(lab.closed, [old]);
    assert_eq!(lab.backend.connected().count(), 1);
    assert!(lab.say("CP", "Heartbeat", "{}").is_object());
}

#[test]
fn a_second_call_before_the_answer_is_held_against_the_charge_point() {
    let mut lab = Lab::booted(BackendPlan::default().quirk(BackendQuirk::NeverAnswers));
    lab.raw("CP", r#"[2,"a","Heartbeat",{}]"#);
    lab.wait(6);
    lab.raw("CP", r#"[2,"b","Heartbeat",{}]"#);
    assert!(lab.complaints().is_empty());
    lab.raw("CP", r#"[2,"c","Heartbeat",{}]"#);
    assert_eq!(lab.complaints().len(), 1);
}

#[test]
fn commands_go_out_one_after_the_other_and_their_answers_are_kept() {
    let mut lab = Lab::booted(BackendPlan::default());
    let first = lab.command(Command::ClearCache);
    let second = lab.command(Command::Reset(ResetType::Soft));
    let third = lab.command(Command::GetLocalListVersion);
    assert_eq!(lab.asked("CP").unwrap().1, "ClearCache");
    assert_eq!(lab.outcome(first), None);
    lab.reply("CP", r#"{ "status" : "Accepted" }"#);
    let accepted = Outcome::Result(r#"{ "status" : "Accepted" }"#.to_owned());
    assert_eq!(lab.outcome(first), Some(accepted));
    let (message_id, action, _) = lab.asked("CP").unwrap();
    assert_eq!(action, "Reset");
    lab.raw(
        "CP",
        &format!(r#"[4,"{message_id}","NotSupported","no",{{}}]"#),
    );
    let refused = Outcome::Error {
        code: "NotSupported".to_owned(),
        description: "no".to_owned(),
    };
    assert_eq!(lab.outcome(second), Some(refused));
    lab.down("CP");
    assert_eq!(lab.outcome(third), Some(Outcome::LinkLost));
    let error = lab.backend.command(lab.now, &id("CP"), Command::ClearCache);
    assert_eq!(error, Err(NotConnected(id("CP"))));
}

#[test]
fn a_command_without_an_answer_is_given_up_and_a_late_answer_still_noted() {
    let mut lab = Lab::booted(BackendPlan::default());
    let slow = lab.command(Command::ClearCache);
    let next = lab.command(Command::GetLocalListVersion);
    let (message_id, ..) = lab.asked("CP").unwrap();
    lab.wait(30);
    assert_eq!(lab.outcome(slow), Some(Outcome::Silence));
    assert_eq!(lab.asked("CP").unwrap().1, "GetLocalListVersion");
    lab.raw("CP", &format!(r#"[3,"{message_id}",{{}}]"#));
    assert_eq!(lab.outcome(slow).unwrap().payload(), Some("{}"));
    assert_eq!(lab.outcome(next), None, "it still waits for this one");
    lab.reply("CP", r#"{"listVersion":0}"#);
    assert!(lab.outcome(next).is_some());
    assert!(lab.complaints().is_empty());
}

/// The lab checks each against the official schema.
#[test]
fn every_command_is_what_the_specification_says() {
    let verdict = IdTagInfo {
        status: AuthorizationStatus::Accepted,
        expiry_date: None,
        parent_id_tag: Some("FAMILY".into()),
    };
    let purpose = ChargingProfilePurpose::TxDefaultProfile;
    let (connector, amps) = (ConnectorId(1), Limit::Amps(MilliAmps(10_750)));
    let profile = constant_profile(connector, ChargingProfilePurpose::TxProfile, amps);
    let commands = [
        Command::RemoteStart {
            connector: Some(connector),
            tag: "TAG".into(),
            profile: Some(profile),
        },
        Command::RemoteStop { transaction: -1 },
        Command::limit(connector, purpose, amps),
        Command::limit(ConnectorId(0), purpose, Limit::Watts(Watts(4140))),
        Command::clear_all(),
        Command::GetConfiguration { keys: vec![] },
        Command::GetConfiguration {
            keys: vec!["HeartbeatInterval".to_owned()],
        },
        Command::ChangeConfiguration {
            key: "HeartbeatInterval".to_owned(),
            value: "30".to_owned(),
        },
        Command::GetCompositeSchedule {
            connector,
            seconds: 600,
            unit: Some(ChargingRateUnit::Watts),
        },
        Command::Trigger {
            message: "StatusNotification".to_owned(),
            connector: Some(connector),
        },
        Command::Reset(ResetType::Hard),
        Command::ChangeAvailability {
            connector,
            kind: AvailabilityType::Inoperative,
        },
        Command::Unlock { connector },
        Command::SendLocalList {
            version: 2,
            full: false,
            entries: vec![("A".into(), Some(verdict)), ("B".into(), None)],
        },
        Command::GetLocalListVersion,
        Command::ReserveNow {
            connector,
            tag: "TAG".into(),
            reservation: 3,
            until: "2026-01-15T11:00:00Z".parse().unwrap(),
        },
        Command::CancelReservation { reservation: 3 },
        Command::DataTransfer {
            vendor: "V".to_owned(),
            message: Some("M".to_owned()),
            data: Some("{\"a\":1}".to_owned()),
        },
        Command::ClearCache,
    ];
    let mut lab = Lab::booted(BackendPlan::default());
    for command in commands {
        lab.command(command.clone());
        let (_, action, payload) = lab.asked("CP").unwrap();
        assert_eq!(action, command.action());
        assert_eq!(payload, command.payload());
        lab.reply("CP", "{}");
    }
}

#[test]
fn a_limit_is_rounded_down_and_replaces_its_predecessor() {
    let limit = |amps| {
        let limit = Limit::Amps(MilliAmps(amps));
        Command::limit(ConnectorId(1), ChargingProfilePurpose::TxProfile, limit).payload()
    };
    let (one, other) = (limit(10_790), limit(6000));
    assert!(one.contains(r#""limit":10.7}"#), "{one}");
    let id = r#""chargingProfileId":3001,"#;
    assert!(one.contains(id) && other.contains(id), "{other}");
}

#[test]
fn a_raw_command_goes_out_as_it_is_even_before_the_boot() {
    let mut lab = Lab::new(BackendPlan::default());
    lab.up("CP");
    lab.command(Command::Raw {
        action: "DataTransfer".to_owned(),
        payload: r#"{"vendorId" : "V","data":"\/"}"#.to_owned(),
    });
    assert!(
        lab.last_text()
            .ends_with(r#"{"vendorId" : "V","data":"\/"}]"#)
    );
}
