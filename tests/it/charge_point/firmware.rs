//! Firmware, diagnostics and the messages of the security extension: nothing of it concerns a
//! device behind Modbus, and everything has a legal answer (OCPP 1.6 §5.9, §5.19).

use super::lab::*;

#[test]
fn diagnostics_are_answered_without_a_file() {
    let mut lab = lab();
    let said = lab.ask("GetDiagnostics", json!({"location": "ftp://example.org/"}));
    assert_eq!(said, json!({}));
}

#[test]
fn firmware_is_not_updated() {
    let payload =
        json!({"location": "https://example.org/f", "retrieveDate": "2026-06-01T12:00:00Z"});
    for allowed in [false, true] {
        let plan = usual(BackendPlan::default());
        let mut lab = Lab::of(plan.with_gateway(|gateway| gateway.allow_firmware = allowed));
        let said = lab.tell("UpdateFirmware", payload.clone());
        assert_eq!(said, "CALLERROR NotSupported", "allow-firmware = {allowed}");
    }
}

#[test]
fn signed_firmware_is_rejected() {
    let mut lab = lab();
    let firmware = json!({"location": "https://example.org/f", "retrieveDateTime": "2026-06-01T12:00:00Z",
        "signingCertificate": "x", "signature": "y"});
    let said = lab.tell(
        "SignedUpdateFirmware",
        json!({"requestId": 1, "firmware": firmware}),
    );
    assert_eq!(said, "Rejected");
}

#[test]
fn a_log_is_not_uploaded() {
    let mut lab = lab();
    let log = json!({"remoteLocation": "https://example.org/"});
    let payload = json!({"logType": "DiagnosticsLog", "requestId": 1, "log": log});
    assert_eq!(lab.tell("GetLog", payload), "Rejected");
}

#[test]
fn the_messages_of_the_security_extension_have_legal_answers() {
    for (action, payload) in [
        (
            "ExtendedTriggerMessage",
            json!({"requestedMessage": "SignChargePointCertificate"}),
        ),
        ("CertificateSigned", json!({"certificateChain": "x"})),
        (
            "InstallCertificate",
            json!({"certificateType": "CentralSystemRootCertificate", "certificate": "x"}),
        ),
        (
            "GetInstalledCertificateIds",
            json!({"certificateType": "CentralSystemRootCertificate"}),
        ),
        (
            "DeleteCertificate",
            json!({"certificateHashData": {"hashAlgorithm": "SHA256",
            "issuerNameHash": "a", "issuerKeyHash": "b", "serialNumber": "c"}}),
        ),
    ] {
        let mut lab = lab();
        let said = lab.tell(action, payload);
        let legal = [
            "CALLERROR NotImplemented",
            "CALLERROR NotSupported",
            "Rejected",
            "NotFound",
            "Failed",
            "NotImplemented",
        ];
        assert!(legal.contains(&said.as_str()), "{action}: {said}");
    }
}

#[test]
fn an_action_that_nobody_knows_is_not_implemented() {
    let mut lab = lab();
    assert_eq!(
        lab.tell("MakeCoffee", json!({})),
        "CALLERROR NotImplemented"
    );
}

#[test]
fn what_only_charge_points_say_is_not_supported() {
    let mut lab = lab();
    for action in [
        "BootNotification",
        "MeterValues",
        "StartTransaction",
        "Heartbeat",
    ] {
        let said = lab.tell(action, json!({}));
        assert!(
            ["CALLERROR NotSupported", "CALLERROR NotImplemented"].contains(&said.as_str()),
            "{action}: {said}"
        );
    }
}
