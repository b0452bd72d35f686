//! The keys of a wallbox that we play.

use super::*;

/// Name, whether it can be set, first value.
const KEYS: [(&str, bool, &str); 46] = [
    ("AdditionalRootCertificateCheck", false, "false"),
    ("AllowOfflineTxForUnknownId", true, "false"),
    ("AuthorizationCacheEnabled", true, "true"),
    ("AuthorizeRemoteTxRequests", true, "false"),
    ("CertificateSignedMaxChainSize", false, "10000"),
    ("CertificateStoreMaxLength", false, "10"),
    ("ChargeProfileMaxStackLevel", false, "20"),
    (
        "ChargingScheduleAllowedChargingRateUnit",
        false,
        "Current,Power",
    ),
    ("ChargingScheduleMaxPeriods", false, "96"),
    ("ClockAlignedDataInterval", true, "0"),
    ("ConnectionTimeOut", true, "120"),
    ("ConnectorPhaseRotation", true, "1.Unknown"),
    ("ConnectorSwitch3to1PhaseSupported", false, "false"),
    ("CpoName", true, ""),
    ("GetConfigurationMaxKeys", false, "50"),
    ("HeartbeatInterval", true, "300"),
    ("LocalAuthListEnabled", true, "true"),
    ("LocalAuthListMaxLength", false, "1000"),
    ("LocalAuthorizeOffline", true, "true"),
    ("LocalPreAuthorize", true, "false"),
    ("MaxChargingProfilesInstalled", false, "40"),
    ("MaxEnergyOnInvalidId", true, "0"),
    ("MessageTimeout", true, "30"),
    (
        "MeterValuesAlignedData",
        true,
        "Energy.Active.Import.Register",
    ),
    ("MeterValuesAlignedDataMaxLength", false, "10"),
    ("MeterValueSampleInterval", true, "60"),
    ("MeterValuesSampledData", true, table::SAMPLED),
    ("MeterValuesSampledDataMaxLength", false, "10"),
    ("MinimumStatusDuration", true, "0"),
    ("NumberOfConnectors", false, "1"),
    ("ReserveConnectorZeroSupported", false, "true"),
    ("ResetRetries", true, "1"),
    ("SecurityProfile", true, "0"),
    ("SendLocalListMaxLength", false, "200"),
    ("StopTransactionMaxMeterValues", false, "500"),
    ("StopTransactionOnEVSideDisconnect", false, "true"),
    ("StopTransactionOnInvalidId", true, "true"),
    ("StopTxnAlignedData", true, ""),
    ("StopTxnAlignedDataMaxLength", false, "10"),
    ("StopTxnSampledData", true, ""),
    ("StopTxnSampledDataMaxLength", false, "10"),
    (
        "SupportedFeatureProfiles",
        false,
        "Core,LocalAuthListManagement,SmartCharging,RemoteTrigger,Reservation",
    ),
    ("TransactionMessageAttempts", true, "5"),
    ("TransactionMessageRetryInterval", true, "60"),
    ("UnlockConnectorOnEVSideDisconnect", false, "false"),
    ("WebSocketPingInterval", true, "60"),
];

#[test]
fn a_wallbox_that_we_play_has_the_keys_of_the_specification_with_their_first_values() {
    let all = get(&mut emulated(), &[], None);
    let rows = all["configurationKey"].as_array().unwrap().iter();
    let told = rows.map(|row| {
        let text = |name: &str| row[name].as_str().unwrap();
        (text("key"), row["readonly"] == false, text("value"))
    });
    assert_eq!(told.collect::<Vec<_>>(), KEYS);
    assert_eq!(all["unknownKey"], Value::Null);
}

#[test]
fn a_key_that_cannot_be_set_is_rejected_and_one_that_can_takes_its_own_value() {
    for (name, settable, first) in KEYS {
        let expected = match name {
            "SecurityProfile" => "profile 0",
            _ if settable => "Accepted",
            _ => "Rejected",
        };
        let mut keys = emulated();
        assert_eq!(told(&mut keys, name, first), expected, "{name}");
        assert_eq!(keys.value(name).as_deref(), Some(first), "{name}");
    }
}

#[test]
fn values_of_a_wallbox_that_we_play_are_judged_by_what_they_mean() {
    let whole = [
        ("ClockAlignedDataInterval", 0),
        ("ConnectionTimeOut", 0),
        ("HeartbeatInterval", 1),
        ("MaxEnergyOnInvalidId", 0),
        ("MessageTimeout", 1),
        ("MeterValueSampleInterval", 0),
        ("MinimumStatusDuration", 0),
        ("ResetRetries", 0),
        ("TransactionMessageAttempts", 1),
        ("TransactionMessageRetryInterval", 0),
        ("WebSocketPingInterval", 0),
    ];
    for (name, least) in whole {
        let mut keys = emulated();
        for value in [(least - 1).to_string().as_str(), "1.5", "often", "", "9e9"] {
            assert_eq!(told(&mut keys, name, value), "Rejected", "{name} {value}");
        }
        for value in [least.to_string(), "2147483647".to_owned()] {
            assert_eq!(told(&mut keys, name, &value), "Accepted", "{name} {value}");
            assert_eq!(keys.value(name), Some(value));
        }
    }
    for name in ["LocalPreAuthorize", "StopTransactionOnInvalidId"] {
        let mut keys = emulated();
        for (value, expected) in [("2", "Rejected"), ("TRUE", "Accepted"), ("0", "Accepted")] {
            assert_eq!(told(&mut keys, name, value), expected, "{name} {value}");
        }
        assert_eq!(keys.value(name).as_deref(), Some("false"));
    }
    for name in [
        "MeterValuesAlignedData",
        "MeterValuesSampledData",
        "StopTxnAlignedData",
        "StopTxnSampledData",
    ] {
        let mut keys = emulated();
        for (value, expected) in [
            ("", "Accepted"),
            ("current.import.L2,Power.Offered", "Accepted"),
            ("Current.Import,Nonsense", "Rejected"),
            ("Voltage", "Rejected"),
        ] {
            assert_eq!(told(&mut keys, name, value), expected, "{name} {value}");
        }
        let kept = Some("Current.Import.L2,Power.Offered".to_owned());
        assert_eq!(keys.value(name), kept);
    }
}

#[test]
fn strangers_charge_only_where_the_site_allows_it_whatever_the_backend_sets() {
    let name = "AllowOfflineTxForUnknownId";
    assert_eq!(told(&mut emulated(), name, "true"), "Rejected");
    let plan = KeysPlan {
        offline_unknown_tags: true,
        ..emulated().plan
    };
    let mut keys = Keys::new(plan, None);
    assert_eq!(keys.value(name).as_deref(), Some("true"));
    assert_eq!(told(&mut keys, name, "false"), "Accepted");
    assert!(!keys.offline_flags().unknown);
}

#[test]
fn a_rotation_is_said_of_connectors_that_are_there_in_words_that_there_are() {
    let plan = KeysPlan {
        connectors: 2,
        rotation: "1.RST,2.STR".to_owned(),
        ..emulated().plan
    };
    let mut keys = Keys::new(plan.clone(), None);
    assert_eq!(keys.value(ROTATION).as_deref(), Some("1.RST,2.STR"));
    for value in [
        "",
        "RST",
        "1.",
        "1.RRR",
        "3.RST",
        "-1.RST",
        "1.RST,1.RTS",
        "1.RST;2.RST",
        "x.RST",
    ] {
        assert_eq!(told(&mut keys, ROTATION, value), "Rejected", "{value}");
    }
    assert_eq!(keys.value(ROTATION).as_deref(), Some("1.RST,2.STR"));
    for word in [
        "NotApplicable",
        "Unknown",
        "RST",
        "RTS",
        "SRT",
        "STR",
        "TRS",
        "TSR",
    ] {
        let value = format!("2.{word}");
        assert_eq!(told(&mut keys, ROTATION, &value), "Accepted", "{value}");
    }
    assert_eq!(told(&mut keys, ROTATION, " 0.rst, 2.TSR"), "Accepted");
    assert_eq!(keys.value(ROTATION).as_deref(), Some("0.RST,2.TSR"));
    let again = Keys::new(plan.clone(), Some(&keys.memory()));
    assert_eq!(again.value(ROTATION).as_deref(), Some("0.RST,2.TSR"));
    let smaller = KeysPlan {
        connectors: 1,
        rotation: "1.RST".to_owned(),
        ..plan
    };
    let again = Keys::new(smaller, Some(&keys.memory()));
    assert_eq!(again.value(ROTATION).as_deref(), Some("1.RST"), "2 is gone");
}

#[test]
fn a_wallbox_that_we_play_beside_an_ocpp_wallbox_adds_its_rotation_and_goes_by_its_keys() {
    let plan = KeysPlan {
        connectors: 2,
        split: true,
        rotation: "2.STR".to_owned(),
        ..plan()
    };
    let mut keys = Keys::new(plan, None);
    keys.learn(&says(&[
        (ROTATION, "0.RST,1.RTS"),
        ("ConnectionTimeOut", "45"),
        ("StopTxnSampledData", "Voltage,Current.Import"),
    ]));
    assert_eq!(keys.value(ROTATION).as_deref(), Some("1.RTS,2.STR"));
    assert_eq!(told(&mut keys, ROTATION, "2.RST"), "Rejected");
    let conduct = keys.conduct();
    assert_eq!(conduct.connection_time_out, Duration::from_secs(45));
    assert_eq!(
        conduct.stop_sampled.len(),
        1,
        "what it cannot tell is left out"
    );
    assert_eq!(conduct.sampled.len(), 3, "nobody said anything of it");
}

#[test]
fn every_key_that_steers_a_wallbox_which_we_play_reaches_its_conduct() {
    let mut keys = emulated();
    for (key, value) in [
        ("MeterValueSampleInterval", "0"),
        ("MeterValuesSampledData", "Current.Import.L2"),
        ("StopTxnSampledData", "Power.Offered"),
        ("ClockAlignedDataInterval", "900"),
        ("MeterValuesAlignedData", ""),
        ("StopTxnAlignedData", "Current.Offered"),
        ("MinimumStatusDuration", "3"),
        ("ConnectionTimeOut", "30"),
        ("AuthorizeRemoteTxRequests", "true"),
        ("StopTransactionOnInvalidId", "false"),
        ("MaxEnergyOnInvalidId", "500"),
    ] {
        let before = keys.conduct();
        assert_eq!(told(&mut keys, key, value), "Accepted", "{key}");
        assert_ne!(keys.conduct(), before, "{key}");
    }
    let conduct = keys.conduct();
    assert_eq!(conduct.sample_interval, None);
    assert_eq!(conduct.clock_interval, Some(Duration::from_mins(15)));
    assert_eq!(conduct.sampled[0].phase, Some(crate::units::Phase::L2));
    assert_eq!(conduct.energy_on_invalid, crate::units::WattHours(500));
}
