//! OCPP-J frames and what is in them.

use std::time::Duration;

use chargewarden::clock::Mono;
use chargewarden::ocpp::frame::{self, Frame};
use chargewarden::ocpp::messages::{
    self, Authorize, AuthorizeResponse, BootNotification, BootNotificationResponse,
    ChangeAvailability, ChangeConfiguration, ClearChargingProfile, DataTransfer,
    GetCompositeSchedule, GetCompositeScheduleResponse, GetConfiguration, GetConfigurationResponse,
    HeartbeatResponse, MeterValues, RemoteStartTransaction, RemoteStopTransaction, Reset,
    SendLocalList, SetChargingProfile, StartTransaction, StartTransactionResponse,
    StatusNotification, StopTransaction, StopTransactionResponse, TriggerMessage, UnlockConnector,
};
use chargewarden::ocpp::rpc::{Received, Rpc};
use chargewarden::ocpp::splice::{insert, is_unambiguous, splice, without};
use serde_json::value::RawValue;

/// A call is carried out once and its answer finds back, an answer ends our wait, and every payload
/// that can be read is written so that it reads the same.
pub fn frame(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut rpc = Rpc::new();
    rpc.call(
        Mono(Duration::ZERO),
        "1".into(),
        "Reset",
        "{}",
        Duration::from_secs(30),
        7,
    );
    let (mut repaired, mut repaired_again) = (String::new(), String::new());
    match rpc.handle(text, &mut repaired) {
        Received::Call {
            id,
            action,
            payload,
        } => {
            let is_answered_anew = matches!(action, "BootNotification" | "Heartbeat");
            let sent = rpc.answer(&id, "{}");
            let Ok(Frame::CallResult { id: named, .. }) = frame::parse(&sent) else {
                panic!("{sent} is no answer");
            };
            assert_eq!(named, id);
            match rpc.handle(text, &mut repaired_again) {
                Received::Repeated(Some(again)) => assert_eq!(again, sent),
                Received::Call { .. } => assert!(is_answered_anew),
                other => panic!("the second time it is {other:?}"),
            }
            assert_eq!(rpc.outstanding().map(|(token, _)| *token), Some(7));
            call_again(&id.text(), action, payload);
            request(action, payload);
            members(payload.get());
        }
        Received::Answer { token, result } => {
            assert_eq!(token, 7);
            assert!(rpc.is_idle());
            if let Ok(payload) = result {
                response(payload);
            }
        }
        Received::Refuse(sent) => {
            let parsed = frame::parse(&sent);
            assert!(matches!(parsed, Ok(Frame::CallError { .. })), "{sent}");
        }
        Received::Repeated(_) => panic!("nothing came before"),
        Received::Ignore(why) => assert!(!why.is_empty()),
    }
}

/// An action is compared, not decoded: one with escapes is none that anybody knows.
fn call_again(id: &str, action: &str, payload: &RawValue) {
    if action.contains('\\') {
        return;
    }
    let text = frame::call(id, action, payload.get());
    let Ok(Frame::Call {
        id: i,
        action: a,
        payload: p,
    }) = frame::parse(&text)
    else {
        panic!("{text} is no call");
    };
    assert_eq!((&*i.text(), a, p.get()), (id, action, payload.get()));
}

/// A macro, because some messages borrow from their text.
macro_rules! written_back {
    ($message:ty, $payload:expr) => {
        if let Ok(read) = messages::parse::<$message>($payload) {
            let written = messages::write(&read);
            let raw: &RawValue = serde_json::from_str(&written).expect("what is written is JSON");
            let again = messages::parse::<$message>(raw).expect("what is written can be read");
            assert_eq!(messages::write(&again), written);
        }
    };
}

fn request(action: &str, payload: &RawValue) {
    match action {
        "Authorize" => written_back!(Authorize, payload),
        "BootNotification" => written_back!(BootNotification, payload),
        "ChangeAvailability" => written_back!(ChangeAvailability, payload),
        "ChangeConfiguration" => written_back!(ChangeConfiguration, payload),
        "ClearChargingProfile" => written_back!(ClearChargingProfile, payload),
        "DataTransfer" => written_back!(DataTransfer, payload),
        "GetCompositeSchedule" => written_back!(GetCompositeSchedule, payload),
        "GetConfiguration" => written_back!(GetConfiguration, payload),
        "MeterValues" => written_back!(MeterValues, payload),
        "RemoteStartTransaction" => written_back!(RemoteStartTransaction, payload),
        "RemoteStopTransaction" => written_back!(RemoteStopTransaction, payload),
        "Reset" => written_back!(Reset, payload),
        "SendLocalList" => written_back!(SendLocalList, payload),
        "SetChargingProfile" => written_back!(SetChargingProfile, payload),
        "StartTransaction" => written_back!(StartTransaction, payload),
        "StatusNotification" => written_back!(StatusNotification, payload),
        "StopTransaction" => written_back!(StopTransaction, payload),
        "TriggerMessage" => written_back!(TriggerMessage, payload),
        "UnlockConnector" => written_back!(UnlockConnector, payload),
        _ => {}
    }
}

fn response(payload: &RawValue) {
    written_back!(AuthorizeResponse, payload);
    written_back!(BootNotificationResponse, payload);
    written_back!(GetCompositeScheduleResponse, payload);
    written_back!(GetConfigurationResponse, payload);
    written_back!(HeartbeatResponse, payload);
    written_back!(StartTransactionResponse, payload);
    written_back!(StopTransactionResponse, payload);
}

/// A payload on its way to a backend: members are replaced, taken away and put in, and it stays JSON.
fn members(json: &str) {
    const NEW: &str = r#"{"new":[1.50]}"#;
    for name in ["idTag", "connectorId", "transactionId"] {
        let Some(replaced) = splice(json, &[(name, NEW)]) else {
            return assert!(!json.starts_with('{') || without(json, name).is_none());
        };
        let less = without(json, name).expect("it is an object");
        let more = insert(&less, name, NEW).expect("it is an object");
        for text in [&replaced, &less, &more] {
            let parsed: Result<&RawValue, _> = serde_json::from_str(text);
            assert!(parsed.is_ok(), "{json} became {text}");
        }
        if is_unambiguous(json) {
            assert_eq!(without(&less, name).as_deref(), Some(&*less), "it is gone");
            assert_eq!(
                splice(&more, &[(name, NEW)]).as_deref(),
                Some(&*more),
                "it is there"
            );
        }
    }
}
