//! `GetConfiguration` and `ChangeConfiguration` (OCPP 1.6 §5.3, §5.8, §9).

use super::lab::*;

/// Keys that a charge point of these profiles must have (OCPP 1.6 §9).
const REQUIRED: [&str; 33] = [
    "AuthorizeRemoteTxRequests",
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    "ChargingScheduleMaxPeriods",
    "ClockAlignedDataInterval",
    "ConnectionTimeOut",
    "ConnectorPhaseRotation",
    "GetConfigurationMaxKeys",
    "HeartbeatInterval",
    "LocalAuthListEnabled",
    "LocalAuthListMaxLength",
    "LocalAuthorizeOffline",
    "LocalPreAuthorize",
    "MaxChargingProfilesInstalled",
    "MeterValueSampleInterval",
    "MeterValuesAlignedData",
    "MeterValuesSampledData",
    "NumberOfConnectors",
    "ResetRetries",
    "SendLocalListMaxLength",
    "StopTransactionOnEVSideDisconnect",
    "StopTransactionOnInvalidId",
    "StopTxnAlignedData",
    "StopTxnSampledData",
    "SupportedFeatureProfiles",
    "TransactionMessageAttempts",
    "TransactionMessageRetryInterval",
    "UnlockConnectorOnEVSideDisconnect",
    "AllowOfflineTxForUnknownId",
    "AuthorizationCacheEnabled",
    "MaxEnergyOnInvalidId",
    "MinimumStatusDuration",
    "WebSocketPingInterval",
];

#[test]
fn all_keys_are_told_where_none_is_named() {
    for payload in [json!({}), json!({"key": []})] {
        let said = lab().ask("GetConfiguration", payload);
        let rows = said["configurationKey"].as_array().unwrap();
        let names: Vec<_> = rows
            .iter()
            .map(|row| row["key"].as_str().unwrap())
            .collect();
        for key in REQUIRED {
            assert!(names.contains(&key), "{key}");
        }
        assert!(!names.contains(&"AuthorizationKey"), "a secret");
        assert!(said.get("unknownKey").is_none_or(|it| it == &json!([])));
    }
}

#[test]
fn unknown_keys_are_told_as_unknown() {
    let said = lab().ask(
        "GetConfiguration",
        json!({"key": ["NumberOfConnectors", "Colour"]}),
    );
    assert_eq!(said["unknownKey"], json!(["Colour"]));
    assert_eq!(said["configurationKey"][0]["value"], "1");
    assert_eq!(said["configurationKey"][0]["readonly"], true);
}

#[test]
fn names_are_read_in_any_case() {
    let mut lab = lab();
    assert_eq!(lab.set("connectiontimeout", "45"), "Accepted");
    assert_eq!(lab.get("CONNECTIONTIMEOUT").as_deref(), Some("45"));
}

#[test]
fn whatever_can_be_written_is_read_back() {
    let mut lab = lab();
    for (key, value) in [
        ("AuthorizationCacheEnabled", "false"),
        ("AuthorizeRemoteTxRequests", "true"),
        ("ClockAlignedDataInterval", "900"),
        ("ConnectionTimeOut", "90"),
        ("HeartbeatInterval", "600"),
        ("LocalAuthListEnabled", "false"),
        ("LocalAuthorizeOffline", "false"),
        ("LocalPreAuthorize", "true"),
        ("MaxEnergyOnInvalidId", "1000"),
        ("MeterValueSampleInterval", "0"),
        ("MeterValuesAlignedData", "Power.Active.Import"),
        (
            "MeterValuesSampledData",
            "Energy.Active.Import.Register,Current.Import.L2",
        ),
        ("MinimumStatusDuration", "5"),
        ("ResetRetries", "3"),
        ("StopTransactionOnInvalidId", "false"),
        ("StopTxnAlignedData", "Energy.Active.Import.Register"),
        ("StopTxnSampledData", "Current.Import"),
        ("TransactionMessageAttempts", "9"),
        ("TransactionMessageRetryInterval", "10"),
        ("WebSocketPingInterval", "30"),
    ] {
        assert_eq!(lab.set(key, value), "Accepted", "{key}");
        assert_eq!(lab.get(key).as_deref(), Some(value), "{key}");
    }
}

#[test]
fn what_cannot_be_written_is_rejected_and_stays() {
    let mut lab = lab();
    for (key, value) in [
        ("NumberOfConnectors", "2"),
        ("SupportedFeatureProfiles", "Core"),
        ("ChargeProfileMaxStackLevel", "1"),
        ("GetConfigurationMaxKeys", "1"),
        ("UnlockConnectorOnEVSideDisconnect", "true"),
        ("StopTransactionOnEVSideDisconnect", "false"),
        ("LocalAuthListMaxLength", "5"),
        ("ReserveConnectorZeroSupported", "false"),
    ] {
        let before = lab.get(key);
        assert_eq!(lab.set(key, value), "Rejected", "{key}");
        assert_eq!(lab.get(key), before, "{key}");
    }
}

#[test]
fn values_of_the_wrong_type_are_rejected_and_change_nothing() {
    let mut lab = lab();
    for (key, value) in [
        ("ConnectionTimeOut", "soon"),
        ("ConnectionTimeOut", "-1"),
        ("ConnectionTimeOut", "1.5"),
        ("ConnectionTimeOut", "99999999999"),
        ("HeartbeatInterval", "0"),
        ("LocalPreAuthorize", "perhaps"),
        (
            "MeterValuesSampledData",
            "Energy.Active.Import.Register,Beauty",
        ),
        ("MeterValuesSampledData", "Voltage"),
        ("StopTxnSampledData", "SoC"),
        ("TransactionMessageAttempts", "0"),
        ("WebSocketPingInterval", "-5"),
        ("ConnectorPhaseRotation", "9.RST"),
        ("ConnectorPhaseRotation", "1.XYZ"),
    ] {
        let before = lab.get(key);
        assert_eq!(lab.set(key, value), "Rejected", "{key} = {value}");
        assert_eq!(lab.get(key), before, "{key}");
    }
}

#[test]
fn keys_that_nobody_knows_are_not_supported() {
    let mut lab = lab();
    assert_eq!(lab.set("LightIntensity", "50"), "NotSupported");
    assert_eq!(lab.set("Colour", "red"), "NotSupported");
}

#[test]
fn booleans_are_read_as_people_write_them() {
    let mut lab = lab();
    for (text, value) in [
        ("TRUE", "true"),
        ("0", "false"),
        ("1", "true"),
        ("False", "false"),
    ] {
        assert_eq!(lab.set("LocalPreAuthorize", text), "Accepted", "{text}");
        assert_eq!(lab.get("LocalPreAuthorize").as_deref(), Some(value));
    }
}

#[test]
fn what_was_set_outlives_a_restart() {
    let mut lab = lab();
    lab.set("ConnectionTimeOut", "77");
    lab.set("MeterValueSampleInterval", "15");
    lab.world.crash();
    lab.wait(60);
    assert_eq!(lab.get("ConnectionTimeOut").as_deref(), Some("77"));
    lab.session();
    lab.wait(60);
    assert!(lab.heard("MeterValues").len() >= 3, "each 15 s");
}

#[test]
fn a_password_is_accepted_and_never_told() {
    let mut lab = lab();
    assert_eq!(
        lab.set("AuthorizationKey", "0123456789abcdef0123"),
        "Accepted"
    );
    let said = lab.ask("GetConfiguration", json!({"key": ["AuthorizationKey"]}));
    assert!(!said.to_string().contains("0123456789abcdef"), "{said}");
    assert_eq!(lab.set("AuthorizationKey", "short"), "Rejected");
}

#[test]
fn the_heartbeat_interval_of_the_boot_is_the_key() {
    let mut lab = lab();
    assert_eq!(lab.get("HeartbeatInterval").as_deref(), Some("300"));
    lab.set("HeartbeatInterval", "10");
    let before = lab.heard("Heartbeat").len();
    lab.wait(60);
    assert!(lab.heard("Heartbeat").len() >= before + 4);
}
