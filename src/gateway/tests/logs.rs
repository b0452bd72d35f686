//! A backend that wants our log.

use super::emulated::one;
use super::secured::{Authority, root, secure};
use super::*;
use crate::gateway::security::{UploadOrder, UploadOutcome};
use crate::ocpp::messages::LogType;

const TO: &str = "https://logs.example/in/";

fn wanted(request: i64) -> Value {
    json!({"log": {"remoteLocation": TO}, "logType": "DiagnosticsLog", "requestId": request})
}

fn allowed(mut plan: GatewayPlan) -> GatewayPlan {
    plan.upload_log = true;
    plan
}

impl Bench {
    fn uploading() -> Self {
        let mut bench = Self::played(allowed(one()));
        bench.answer_everything();
        bench
    }

    fn order(&mut self) -> UploadOrder {
        assert_eq!(self.uploads.len(), 1, "{:?}", self.uploads);
        self.uploads.remove(0)
    }

    fn ends(&mut self, attempt: u64, outcome: UploadOutcome) {
        self.act(|gateway, context| gateway.handle_uploaded(context, attempt, outcome));
    }

    /// What the backend hears of logs now.
    fn log_states(&mut self) -> Vec<String> {
        let all = self.answer_everything().into_iter();
        all.filter(|(action, _)| action == "LogStatusNotification")
            .map(|(_, payload)| match payload.get("requestId") {
                Some(id) => format!("{} {id}", payload["status"].as_str().unwrap()),
                None => payload["status"].as_str().unwrap().to_owned(),
            })
            .collect()
    }

    fn asks_for_log_state(&mut self) -> Vec<String> {
        let trigger = json!({"requestedMessage": "LogStatusNotification"});
        let answer = self.status_for("ExtendedTriggerMessage", &trigger);
        assert_eq!(answer, "Accepted");
        self.log_states()
    }
}

#[test]
fn a_log_is_promised_under_a_name_uploaded_and_its_end_told() {
    let mut bench = Bench::uploading();
    let answer = bench.command("GetLog", &wanted(7)).expect("an answer");
    assert_eq!(answer[2]["status"], "Accepted");
    let order = bench.order();
    assert_eq!(answer[2]["filename"], order.filename);
    assert!(order.filename.starts_with("chargewarden_CP_20260601T12"));
    assert_eq!(order.location.expose(), TO);
    assert_eq!(order.log_type, LogType::DiagnosticsLog);
    assert_eq!((order.oldest, order.latest), (None, None));
    assert_eq!(bench.log_states(), ["Uploading 7"]);
    assert_eq!(bench.asks_for_log_state(), ["Uploading 7"]);
    bench.ends(order.attempt, UploadOutcome::Uploaded);
    assert_eq!(bench.log_states(), ["Uploaded 7"]);
    assert_eq!(bench.asks_for_log_state(), ["Idle"]);
}

#[test]
fn the_part_of_the_log_is_what_the_backend_wants() {
    let mut bench = Bench::uploading();
    let payload = json!({
        "log": {
            "remoteLocation": TO,
            "oldestTimestamp": "2026-06-01T10:00:00Z",
            "latestTimestamp": "2026-06-01T13:00:00+02:00",
        },
        "logType": "SecurityLog", "requestId": "8", "retries": 0,
    });
    assert_eq!(bench.status_for("GetLog", &payload), "Accepted");
    let order = bench.order();
    assert_eq!(order.log_type, LogType::SecurityLog);
    assert_eq!(order.oldest, "2026-06-01T10:00:00Z".parse().ok());
    assert_eq!(order.latest, "2026-06-01T11:00:00Z".parse().ok());
    bench.ends(order.attempt, UploadOutcome::Failed);
    assert_eq!(bench.log_states(), ["Uploading 8", "UploadFailure 8"]);
}

#[test]
fn what_fails_is_tried_again_until_the_backend_hears_of_the_failure() {
    let mut bench = Bench::uploading();
    let mut payload = wanted(9);
    payload["retries"] = json!(1);
    payload["retryInterval"] = json!(30);
    bench.status_for("GetLog", &payload);
    let first = bench.order();
    bench.ends(first.attempt, UploadOutcome::Failed);
    assert_eq!(bench.log_states(), ["Uploading 9"]);
    bench.wait(29);
    bench.answer_everything();
    assert!(bench.uploads.is_empty(), "not yet");
    assert_eq!(bench.asks_for_log_state(), ["Uploading 9"]);
    bench.wait(2);
    let second = bench.order();
    assert_ne!(second.attempt, first.attempt);
    assert_eq!(second.filename, first.filename, "as it was promised");
    bench.ends(second.attempt, UploadOutcome::Failed);
    assert_eq!(bench.log_states(), ["UploadFailure 9"]);
    bench.wait(120);
    assert!(bench.uploads.is_empty());
}

#[test]
fn what_a_server_forbids_is_told_at_once() {
    for (outcome, told) in [
        (UploadOutcome::PermissionDenied, "PermissionDenied 1"),
        (UploadOutcome::NotSupported, "NotSupportedOperation 1"),
    ] {
        let mut bench = Bench::uploading();
        bench.status_for("GetLog", &wanted(1));
        let order = bench.order();
        bench.ends(order.attempt, outcome);
        assert_eq!(bench.log_states(), ["Uploading 1", told]);
    }
}

#[test]
fn a_second_request_cancels_the_first() {
    let mut bench = Bench::uploading();
    bench.status_for("GetLog", &wanted(1));
    let first = bench.order();
    let second = bench.status_for("GetLog", &wanted(2));
    assert_eq!(second, "AcceptedCanceled");
    let second = bench.order();
    bench.ends(first.attempt, UploadOutcome::Uploaded);
    bench.ends(second.attempt, UploadOutcome::Uploaded);
    let told = ["Uploading 1", "Uploading 2", "Uploaded 2"];
    assert_eq!(bench.log_states(), told);
    assert_eq!(bench.status_for("GetLog", &wanted(3)), "Accepted");
}

#[test]
fn a_backend_that_was_away_hears_of_the_end_when_it_is_back() {
    let mut bench = Bench::uploading();
    bench.status_for("GetLog", &wanted(4));
    let order = bench.order();
    bench.log_states();
    bench.down();
    bench.ends(order.attempt, UploadOutcome::Uploaded);
    bench.up();
    assert_eq!(bench.log_states(), ["Uploaded 4"]);
    bench.down();
    bench.up();
    assert!(bench.log_states().is_empty(), "once");
}

#[test]
fn no_upload_outlives_a_restart() {
    let mut bench = Bench::uploading();
    bench.status_for("GetLog", &wanted(5));
    let mut bench = bench.crash();
    bench.connect();
    assert!(bench.uploads.is_empty());
    assert_eq!(bench.asks_for_log_state(), ["Idle"]);
}

#[test]
fn only_http_and_https_are_accepted_and_nonsense_gets_an_error() {
    let mut bench = Bench::uploading();
    for location in ["ftp://h/x", "x", "file:///etc/passwd", "https://"] {
        let mut payload = wanted(1);
        payload["log"]["remoteLocation"] = json!(location);
        assert_eq!(
            bench.status_for("GetLog", &payload),
            "Rejected",
            "{location}"
        );
    }
    let long = format!("http://h/{}", "x".repeat(512));
    for (path, value, code) in [
        ("/log", json!(null), "OccurenceConstraintViolation"),
        ("/log", json!("http://h"), "TypeConstraintViolation"),
        ("/log", json!({}), "OccurenceConstraintViolation"),
        ("/log", json!([]), "TypeConstraintViolation"),
        ("/log/remoteLocation", json!({}), "TypeConstraintViolation"),
        (
            "/log/remoteLocation",
            json!(long),
            "PropertyConstraintViolation",
        ),
        (
            "/logType",
            json!("EverythingLog"),
            "PropertyConstraintViolation",
        ),
        ("/logType", json!(1), "TypeConstraintViolation"),
        ("/requestId", json!("x"), "TypeConstraintViolation"),
        ("/requestId", json!(null), "OccurenceConstraintViolation"),
    ] {
        let mut payload = wanted(1);
        *payload.pointer_mut(path).unwrap() = value;
        assert_eq!(bench.error_for("GetLog", &payload), code, "{payload}");
    }
    for (name, value, code) in [
        ("retries", json!("many"), "TypeConstraintViolation"),
        ("retryInterval", json!({}), "TypeConstraintViolation"),
    ] {
        let mut payload = wanted(1);
        payload[name] = value;
        assert_eq!(bench.error_for("GetLog", &payload), code, "{payload}");
    }
    let mut payload = wanted(1);
    payload["log"]["oldestTimestamp"] = json!("yesterday");
    let code = bench.error_for("GetLog", &payload);
    assert_eq!(code, "PropertyConstraintViolation");
    assert!(bench.uploads.is_empty());
}

#[test]
fn a_wallbox_is_not_asked_for_its_log_where_ours_is_uploaded() {
    for (upload_log, asked) in [(true, 0), (false, 1)] {
        let mut plan = plan(vec![member("left", "CB-1", 1)]);
        plan.upload_log = upload_log;
        let mut bench = Bench::of(plan);
        bench.wallbox_comes();
        bench.connect();
        bench.answer_everything();
        bench.command("GetLog", &wanted(1));
        assert_eq!(bench.orders.len(), asked);
        assert_eq!(bench.uploads.len(), 1 - asked);
        bench.orders.clear();
        let trigger = json!({"requestedMessage": "LogStatusNotification"});
        bench.command("ExtendedTriggerMessage", &trigger);
        assert_eq!(bench.orders.len(), asked);
        bench.orders.clear();
        bench.log_states();
        bench.notice(None, "LogStatusNotification", r#"{"status":"Idle"}"#);
        assert_eq!(bench.log_states().len(), asked, "the wallbox's own");
        bench.command("GetDiagnostics", &json!({"location": "ftp://h/"}));
        assert_eq!(bench.orders.len(), 1, "that still is the wallbox's");
    }
}

#[test]
fn by_default_no_log_is_uploaded() {
    let mut bench = Bench::played(one());
    assert_eq!(bench.status_for("GetLog", &wanted(1)), "Rejected");
    assert!(bench.uploads.is_empty());
    bench.answer_everything();
    assert_eq!(bench.asks_for_log_state(), ["Idle"]);
}

#[test]
fn a_root_that_the_backend_installed_counts_for_uploads_too() {
    let mut bench = Bench::played(allowed(secure(one())));
    let pem = Authority::new("Backend").pem();
    bench.status_for("InstallCertificate", &root(&pem));
    bench.status_for("GetLog", &wanted(1));
    assert_eq!(bench.order().roots, [pem]);
}

#[test]
fn where_a_log_goes_does_not_show_its_password() {
    let mut bench = Bench::uploading();
    let mut payload = wanted(1);
    payload["log"]["remoteLocation"] = json!("https://user:hush@h/?hidden");
    bench.status_for("GetLog", &payload);
    let shown = format!("{:?} {:?}", bench.gateway, bench.uploads);
    assert!(!shown.contains("hush") && !shown.contains("hidden"));
}
