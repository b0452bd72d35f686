//! A backend that sends anything, to a charge point whose wallboxes we play.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::emulated::{one, two};
use super::*;
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;

/// Commands as they should be; the transaction that runs is 700.
fn commands() -> Vec<(&'static str, Value)> {
    let profile = |purpose: &str| {
        json!({
            "chargingProfileId": 1, "stackLevel": 0, "chargingProfilePurpose": purpose,
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.5}]}})
    };
    let later = "2026-06-01T13:00:00Z";
    let start = json!({"connectorId": 1, "idTag": TAG, "chargingProfile": profile("TxProfile")});
    let set = json!({"connectorId": 1, "csChargingProfiles": profile("TxDefaultProfile")});
    let tags = json!([{"idTag": "A", "idTagInfo": {"status": "Accepted", "expiryDate": later}}]);
    vec![
        ("CancelReservation", json!({"reservationId": 1})),
        (
            "ChangeAvailability",
            json!({"connectorId": 0, "type": "Inoperative"}),
        ),
        (
            "ChangeAvailability",
            json!({"connectorId": 1, "type": "Operative"}),
        ),
        (
            "ChangeConfiguration",
            json!({"key": "ConnectionTimeOut", "value": "60"}),
        ),
        (
            "ChangeConfiguration",
            json!({"key": "ConnectorPhaseRotation", "value": "1.RST"}),
        ),
        (
            "ChangeConfiguration",
            json!({"key": "StopTxnSampledData", "value": "Current.Import"}),
        ),
        ("ClearCache", json!({})),
        (
            "ClearChargingProfile",
            json!({"id": 1, "connectorId": 1, "stackLevel": 0}),
        ),
        (
            "DataTransfer",
            json!({"vendorId": "x", "messageId": "y", "data": "z"}),
        ),
        (
            "GetCompositeSchedule",
            json!({"connectorId": 1, "duration": 600, "chargingRateUnit": "A"}),
        ),
        ("GetConfiguration", json!({"key": ["CpoName", "Nonsense"]})),
        (
            "GetDiagnostics",
            json!({"location": "ftp://x", "retries": 1, "startTime": NOON}),
        ),
        ("GetLocalListVersion", json!({})),
        ("RemoteStartTransaction", start),
        ("RemoteStopTransaction", json!({"transactionId": 700})),
        (
            "ReserveNow",
            json!({"connectorId": 0, "expiryDate": later, "idTag": TAG, "reservationId": 1}),
        ),
        ("Reset", json!({"type": "Soft"})),
        (
            "SendLocalList",
            json!({"listVersion": 3, "updateType": "Full", "localAuthorizationList": tags}),
        ),
        ("SetChargingProfile", set),
        (
            "TriggerMessage",
            json!({"requestedMessage": "MeterValues", "connectorId": 1}),
        ),
        (
            "TriggerMessage",
            json!({"requestedMessage": "StatusNotification"}),
        ),
        ("UnlockConnector", json!({"connectorId": 1})),
        (
            "UpdateFirmware",
            json!({"location": "ftp://x", "retrieveDate": later}),
        ),
        ("Nonsense", json!({"a": 1})),
        ("StartTransaction", json!({"connectorId": 1})),
    ]
    .into_iter()
    .chain(commands_of_security())
    .collect()
}

fn commands_of_security() -> Vec<(&'static str, Value)> {
    vec![
        (
            "GetLog",
            json!({"logType": "SecurityLog", "requestId": 1, "log": {"remoteLocation": "x"}}),
        ),
        (
            "InstallCertificate",
            json!({"certificateType": "CentralSystemRootCertificate", "certificate": "x"}),
        ),
        (
            "DeleteCertificate",
            json!({"certificateHashData": {"hashAlgorithm": "SHA256",
                "issuerNameHash": "a0", "issuerKeyHash": "b1", "serialNumber": "1"}}),
        ),
        (
            "GetInstalledCertificateIds",
            json!({"certificateType": "CentralSystemRootCertificate"}),
        ),
        (
            "CertificateSigned",
            json!({"certificateChain": "-----BEGIN CERTIFICATE-----"}),
        ),
        (
            "ExtendedTriggerMessage",
            json!({"requestedMessage": "Heartbeat"}),
        ),
        (
            "ExtendedTriggerMessage",
            json!({"requestedMessage": "SignChargePointCertificate"}),
        ),
    ]
}

/// What is done to a command.
#[derive(Debug, Clone)]
enum Blow {
    Nothing,
    /// A member, however deep, becomes this.
    Replace(Index, String),
    /// A member goes.
    Remove(Index),
    /// A member is there twice.
    Double(Index),
    /// A byte becomes this one.
    Byte(Index, char),
    /// The end is missing.
    Cut(Index),
}

fn blows() -> impl Strategy<Value = Blow> {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let values = vec![
        "null".to_owned(),
        "true".to_owned(),
        "-1".to_owned(),
        "0".to_owned(),
        "2".to_owned(),
        "1.5".to_owned(),
        "1e400".to_owned(),
        "99999999999999999999".to_owned(),
        "\"\"".to_owned(),
        "\"1\"".to_owned(),
        "\"Hard\"".to_owned(),
        "\"\\ud800\"".to_owned(),
        format!("\"{}\"", "ß".repeat(700)),
        "[]".to_owned(),
        "{}".to_owned(),
        "[{}]".to_owned(),
        deep,
    ];
    prop_oneof![
        1 => Just(Blow::Nothing),
        6 => (any::<Index>(), select(values)).prop_map(|(at, value)| Blow::Replace(at, value)),
        2 => any::<Index>().prop_map(Blow::Remove),
        1 => any::<Index>().prop_map(Blow::Double),
        2 => (any::<Index>(), any::<char>()).prop_map(|(at, byte)| Blow::Byte(at, byte)),
        1 => any::<Index>().prop_map(Blow::Cut),
    ]
}

/// The paths of all members, however deep.
fn paths(value: &Value, here: &str, all: &mut Vec<String>) {
    let mut visit = |name: &str, child: &Value| {
        let path = format!("{here}/{name}");
        all.push(path.clone());
        paths(child, &path, all);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, child)| visit(name, child)),
        Value::Array(items) => {
            let numbered = items.iter().enumerate();
            numbered.for_each(|(i, child)| visit(&i.to_string(), child));
        }
        _ => {}
    }
}

/// What stands where a value is to be put in.
const HOLE: &str = "\"a hole\"";

fn struck(frame: &Value, blow: &Blow) -> String {
    let mut all = Vec::new();
    paths(frame, "", &mut all);
    let mut frame = frame.clone();
    let text = frame.to_string();
    match blow {
        Blow::Nothing => text,
        // An id comes back as it came; the test could not read it.
        Blow::Replace(at, with)
            if at.get(&all[..]) == "/1" && serde_json::from_str::<Value>(with).is_err() =>
        {
            text
        }
        Blow::Replace(at, with) => {
            *frame.pointer_mut(at.get(&all[..]).as_str()).unwrap() = json!("a hole");
            frame.to_string().replace(HOLE, with)
        }
        Blow::Remove(at) => {
            let (parent, name) = at.get(&all).rsplit_once('/').unwrap();
            match frame.pointer_mut(parent) {
                Some(Value::Object(members)) => drop(members.remove(name)),
                Some(Value::Array(items)) => drop(items.remove(name.parse().unwrap())),
                _ => {}
            }
            frame.to_string()
        }
        Blow::Double(at) => {
            let (parent, name) = at.get(&all).rsplit_once('/').unwrap();
            let Some(Value::Object(members)) = frame.pointer_mut(parent) else {
                return text;
            };
            let twice = format!("\"{name}\":{}", members[name]);
            members.insert(name.to_owned(), json!("a hole"));
            let hole = format!("\"{name}\":{HOLE}");
            frame
                .to_string()
                .replace(&hole, &format!("{twice},{twice}"))
        }
        Blow::Byte(at, byte) => {
            let place = at.index(text.chars().count());
            let chars = text.chars().enumerate();
            chars
                .map(|(i, c)| if i == place { *byte } else { c })
                .collect()
        }
        Blow::Cut(at) => text.chars().take(at.index(text.chars().count())).collect(),
    }
}

/// A wallbox that we play says one of what it may say.
fn outcome(action: &str, whim: usize) -> Outcome {
    let words: &[&str] = match action {
        "ChangeAvailability" => &["Accepted", "Rejected", "Scheduled"],
        "ReserveNow" => &["Accepted", "Rejected", "Faulted", "Occupied", "Unavailable"],
        "UnlockConnector" => &["NotSupported"],
        "DataTransfer" => &["UnknownVendorId"],
        "RemoteStartTransaction"
        | "RemoteStopTransaction"
        | "CancelReservation"
        | "TriggerMessage" => &["Accepted", "Rejected"],
        "GetDiagnostics" => return Ok("{}".to_owned()),
        _ => return Err(CallFailure::new(ErrorCode::NotImplemented, "no")),
    };
    Ok(json!({"status": words[whim % words.len()]}).to_string())
}

/// A CALL that every reader of JSON understands.
fn is_call(text: &str) -> bool {
    let Ok(Value::Array(frame)) = serde_json::from_str(text) else {
        return false;
    };
    matches!(frame.as_slice(), [kind, Value::String(id), Value::String(_), _]
        if *kind == json!(2) && !id.is_empty())
}

impl Bench {
    /// Takes a frame as it came; returns every answer to it.
    fn strike(&mut self, text: &str, whim: usize) -> Vec<Value> {
        self.answer_everything();
        self.sent.clear();
        self.verbatim = !is_call(text);
        self.frame(text);
        let mut whim = whim;
        while let Some((_, order)) = self.orders.pop() {
            let said = outcome(&order.action, whim);
            whim /= 7;
            self.act(|gateway, context| gateway.handle_outcome(context, order.id, said));
        }
        self.verbatim = false;
        let answers = self.sent.iter().filter(|frame| frame[0] != 2);
        answers.cloned().collect()
    }
}

impl Bench {
    /// What is remembered; no profiles are as good as none that were ever there, and what the
    /// backend is still to be told of this is no change.
    fn memory(&self) -> BTreeMap<(String, String), String> {
        let mut memory = self.disk.memory.clone();
        memory
            .retain(|(_, key), json| key != "events" && json != r#"{"installed":[],"coming":[]}"#);
        memory
    }
}

fn is_refusal(answer: &Value) -> bool {
    let status = answer[2]["status"].as_str();
    answer[0] == 4
        || !matches!(
            status,
            None | Some("Accepted" | "Scheduled" | "RebootRequired")
        )
}

proptest! {
    #[test]
    fn every_command_is_answered_once_and_legally_and_what_is_refused_changes_nothing(
        alone in any::<bool>(),
        blows in prop::collection::vec((any::<Index>(), blows(), any::<u16>()), 1..8),
    ) {
        let mut bench = Bench::played(if alone { one() } else { two() });
        bench.start(7);
        bench.answer_everything();
        for (number, (which, blow, whim)) in blows.into_iter().enumerate() {
            if bench.gateway.link().is_none() || !bench.closed.is_empty() {
                break;
            }
            let all = commands();
            let (action, payload) = which.get(&all);
            let text = struck(&json!([2, format!("m{number}"), action, payload]), &blow);
            let memory = bench.memory();
            let answers = bench.strike(&text, usize::from(whim));
            if is_call(&text) {
                prop_assert_eq!(answers.len(), 1, "{}: {:?}", text, answers);
            } else {
                prop_assert!(answers.len() <= 1, "{}: {:?}", text, answers);
            }
            if answers.iter().all(is_refusal) {
                prop_assert_eq!(bench.memory(), memory, "{}: {:?}", text, answers);
            }
        }
        bench.answer_everything();
        prop_assert_eq!(bench.gateway.view().state, "accepted");
    }
}

#[test]
fn the_commands_that_are_struck_are_good_ones() {
    let mut refused = Vec::new();
    for (number, (action, payload)) in commands().into_iter().enumerate() {
        let mut bench = Bench::played(two());
        bench.start(7);
        let frame = json!([2, format!("m{number}"), action, payload]);
        let answers = bench.strike(&frame.to_string(), 0);
        assert_eq!(answers.len(), 1, "{action}");
        if is_refusal(&answers[0]) {
            refused.push(action);
        }
    }
    let expected = [
        "ClearChargingProfile",
        "DataTransfer",
        "UnlockConnector",
        "UpdateFirmware",
        "Nonsense",
        "StartTransaction",
        "GetLog",
        "InstallCertificate",
        "DeleteCertificate",
        "GetInstalledCertificateIds",
        "CertificateSigned",
        "ExtendedTriggerMessage",
    ];
    assert_eq!(refused, expected, "nobody here does these");
}
