mod played;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn now() -> Timestamp {
    "2026-01-15T10:00:00Z".parse().unwrap()
}

fn raw(json: &Value) -> Box<RawValue> {
    RawValue::from_string(json.to_string()).unwrap()
}

fn plan() -> KeysPlan {
    let one = ConnectorId(1);
    KeysPlan {
        connectors: 1,
        numbers: BTreeMap::from([(one, one)]),
        ..KeysPlan::default()
    }
}

fn proxy() -> Keys {
    Keys::new(plan(), None)
}

fn emulated() -> Keys {
    let plan = KeysPlan {
        emulated: true,
        rotation: "1.Unknown".to_owned(),
        ..plan()
    };
    Keys::new(plan, None)
}

fn change(keys: &mut Keys, key: &str, value: &str) -> Change {
    let payload = raw(&json!({"key": key, "value": value}));
    keys.change(now(), &payload).unwrap()
}

/// The status; `relayed` or `metering` where there is none yet.
fn told(keys: &mut Keys, key: &str, value: &str) -> String {
    match change(keys, key, value) {
        Change::Answered(answer) | Change::Password(answer) => {
            let answer: Value = serde_json::from_str(&answer).unwrap();
            answer["status"].as_str().unwrap().to_owned()
        }
        Change::Metering(_) => "metering".to_owned(),
        Change::Profile(profile) => format!("profile {profile}"),
        Change::Relay => "relayed".to_owned(),
    }
}

/// What a wallbox says.
fn says(rows: &[(&str, &str)]) -> Box<RawValue> {
    let row = |(key, value): &(&str, &str)| json!({"key": key, "readonly": false, "value": value});
    let rows: Vec<Value> = rows.iter().map(row).collect();
    raw(&json!({"configurationKey": rows}))
}

fn get(keys: &mut Keys, wanted: &[&str], answer: Option<&RawValue>) -> Value {
    let asked = keys.plan_get(&raw(&json!({"key": wanted}))).unwrap();
    serde_json::from_str(&keys.merge_get(&asked, answer)).unwrap()
}

fn value<'a>(answer: &'a Value, key: &str) -> Option<&'a str> {
    let rows = answer["configurationKey"].as_array()?;
    rows.iter().find(|row| row["key"] == key)?["value"].as_str()
}

#[test]
fn only_what_is_the_wallboxs_is_asked_of_the_wallbox() {
    let of_wallbox = |keys: &Keys, wanted: Value| keys.plan_get(&raw(&wanted)).unwrap().of_wallbox;
    let keys = proxy();
    assert_eq!(of_wallbox(&keys, json!({})).as_deref(), Some("{}"));
    assert_eq!(
        of_wallbox(
            &keys,
            json!({"key": ["heartbeatinterval", "Vendor", "ConnectionTimeOut", "vendor"]})
        )
        .as_deref(),
        Some(r#"{"key":["Vendor","ConnectionTimeOut"]}"#)
    );
    assert_eq!(
        of_wallbox(
            &keys,
            json!({"key": ["HeartbeatInterval", "AuthorizationKey"]})
        ),
        None
    );
    assert_eq!(of_wallbox(&emulated(), json!({})), None);
    assert_eq!(of_wallbox(&emulated(), json!({"key": ["Vendor"]})), None);
}

#[test]
fn a_wallbox_that_cannot_tell_so_many_keys_is_asked_for_all() {
    let mut keys = proxy();
    keys.learn(&says(&[("GetConfigurationMaxKeys", "2")]));
    let wanted = |names: &[&str]| {
        let asked = keys.plan_get(&raw(&json!({"key": names}))).unwrap();
        asked.of_wallbox.unwrap()
    };
    assert_eq!(wanted(&["a", "b"]), r#"{"key":["a","b"]}"#);
    assert_eq!(wanted(&["a", "b", "c"]), "{}");
}

#[test]
fn values_of_ours_take_the_place_of_the_wallboxs() {
    let mut keys = proxy();
    keys.booted(600);
    let wallbox = says(&[
        ("heartbeatInterval", "10"),
        ("WebSocketPingInterval", "30"),
        ("NumberOfConnectors", "2"),
        ("ChargeProfileMaxStackLevel", "0"),
        ("MeterValueSampleInterval", "10"),
        ("MeterValuesSampledData", "Voltage"),
        (
            "SupportedFeatureProfiles",
            "Core, smartcharging,RemoteTrigger",
        ),
        ("AuthorizationKey", "geheim"),
        ("BackendURL", "ws://192.168.1.5:19520"),
        ("Vendor", "x"),
    ]);
    let answer = get(&mut keys, &[], Some(&wallbox));
    for (key, expected) in [
        ("HeartbeatInterval", "600"),
        ("WebSocketPingInterval", "60"),
        ("NumberOfConnectors", "1"),
        ("ChargeProfileMaxStackLevel", "20"),
        ("ChargingScheduleAllowedChargingRateUnit", "Current,Power"),
        ("MeterValueSampleInterval", "60"),
        ("MeterValuesSampledData", "Voltage"),
        (
            "SupportedFeatureProfiles",
            "Core,smartcharging,RemoteTrigger,LocalAuthListManagement",
        ),
        ("LocalAuthListMaxLength", "1000"),
        ("Vendor", "x"),
    ] {
        assert_eq!(value(&answer, key), Some(expected), "{key}");
    }
    let rows = answer["configurationKey"].as_array().unwrap();
    let names: BTreeSet<String> = rows
        .iter()
        .map(|row| folded(row["key"].as_str().unwrap()))
        .collect();
    assert_eq!(names.len(), rows.len(), "each once");
    assert!(!answer.to_string().contains("geheim"));
    assert!(!names.contains("authorizationkey"));
    let url = rows.iter().find(|row| row["key"] == "BackendURL").unwrap();
    assert_eq!(url["readonly"], true);
    assert_eq!(answer["unknownKey"], Value::Null);
}

#[test]
fn the_password_has_no_value_even_if_it_is_asked_for() {
    let mut keys = proxy();
    assert_eq!(
        told(&mut keys, "AuthorizationKey", "0123456789abcdef"),
        "Accepted"
    );
    let answer = get(&mut keys, &["authorizationkey"], None);
    assert_eq!(
        answer,
        json!({"configurationKey": [{"key": "AuthorizationKey", "readonly": false}]})
    );
    assert_eq!(keys.value("AuthorizationKey"), None);
    keys.learn(&says(&[("AuthorizationKey", "the wallbox's")]));
    let shown = format!("{keys:?}");
    assert!(!shown.contains("0123456789abcdef") && !shown.contains("the wallbox's"));
}

#[test]
fn unknown_keys_are_named_and_a_wallbox_that_is_away_is_answered_for() {
    let mut keys = proxy();
    let wallbox = raw(&json!({
        "configurationKey": [{"key": "VENDOR", "readonly": false, "value": "x"}],
        "unknownKey": ["Nonsense"]}));
    let wanted = ["vendor", "Nonsense", "CpoName"];
    let expected = json!({
        "configurationKey": [{"key": "VENDOR", "readonly": false, "value": "x"},
                             {"key": "CpoName", "readonly": false, "value": ""}],
        "unknownKey": ["Nonsense"]});
    assert_eq!(get(&mut keys, &wanted, Some(&wallbox)), expected);
    assert_eq!(get(&mut keys, &wanted, None), expected);
    let mut again = Keys::new(plan(), Some(&keys.memory()));
    assert_eq!(
        get(&mut again, &wanted, None),
        expected,
        "after a restart, too"
    );
    let all = get(&mut again, &[], None);
    assert_eq!(value(&all, "VENDOR"), Some("x"));
    assert_eq!(
        value(&all, "SupportedFeatureProfiles"),
        Some("Core,SmartCharging,LocalAuthListManagement")
    );
    let garbage = raw(&json!("busy"));
    assert_eq!(get(&mut again, &wanted, Some(&garbage)), expected);
}

#[test]
fn phase_rotations_are_told_for_the_connectors_that_the_backend_sees_in_its_numbers() {
    let second_of_two = || KeysPlan {
        numbers: BTreeMap::from([(ConnectorId(2), ConnectorId(1))]),
        split: true,
        ..plan()
    };
    let rotation = |plan, says_: &str| {
        let answer = get(
            &mut Keys::new(plan, None),
            &[ROTATION],
            Some(&says(&[(ROTATION, says_)])),
        );
        value(&answer, ROTATION).unwrap().to_owned()
    };
    assert_eq!(rotation(second_of_two(), "0.RST, 1.RST,2.RTS"), "1.RTS");
    assert_eq!(rotation(plan(), "0.RST,1.STR"), "0.RST,1.STR");
    assert_eq!(rotation(second_of_two(), "NotApplicable"), "NotApplicable");
    let mut split = Keys::new(second_of_two(), None);
    assert_eq!(told(&mut split, ROTATION, "1.RST"), "Rejected");
    assert_eq!(told(&mut proxy(), ROTATION, "1.RST"), "relayed");
}

#[test]
fn a_change_is_ours_shared_refused_or_the_wallboxs() {
    for (key, value, expected) in [
        ("HeartbeatInterval", "60", "Accepted"),
        ("heartbeatinterval", " 60 ", "Accepted"),
        ("HeartbeatInterval", "often", "Rejected"),
        ("HeartbeatInterval", "0", "Rejected"),
        ("HeartbeatInterval", "60.5", "Rejected"),
        ("HeartbeatInterval", "99999999999", "Rejected"),
        ("WebSocketPingInterval", "0", "Accepted"),
        ("WebSocketPingInterval", "-1", "Rejected"),
        ("TransactionMessageAttempts", "0", "Rejected"),
        ("TransactionMessageRetryInterval", "0", "Accepted"),
        ("LocalPreAuthorize", "TRUE", "Accepted"),
        ("LocalPreAuthorize", "maybe", "Rejected"),
        ("NumberOfConnectors", "2", "Rejected"),
        ("ChargeProfileMaxStackLevel", "3", "Rejected"),
        ("LocalAuthListMaxLength", "3", "Rejected"),
        ("SecurityProfile", "3", "profile 3"),
        ("SecurityProfile", "4", "Rejected"),
        ("CpoName", "Example", "Accepted"),
        ("AuthorizationKey", "short", "Rejected"),
        ("MeterValueSampleInterval", "900", "metering"),
        ("MeterValueSampleInterval", "-1", "Rejected"),
        ("MeterValuesSampledData", "SoC,Vendor.Thing", "metering"),
        ("StopTxnSampledData", "Voltage", "relayed"),
        ("StopTransactionOnInvalidId", "true", "relayed"),
        ("ConnectionTimeOut", "30", "relayed"),
        ("LightIntensity", "30", "relayed"),
        ("OCPPBackendURL", "wss://elsewhere.example", "Rejected"),
        ("ChargeBoxId", "other", "Rejected"),
    ] {
        assert_eq!(told(&mut proxy(), key, value), expected, "{key} = {value}");
    }
    assert!(
        proxy()
            .change(now(), &raw(&json!({"key": "CpoName"})))
            .is_err()
    );
}

#[test]
fn case_35_the_backend_sees_its_own_sample_interval_while_the_wallbox_keeps_ours() {
    let mut keys = proxy();
    let ours = Duration::from_secs(10);
    let Change::Metering(metering) = change(&mut keys, INTERVAL, "900") else {
        panic!("it is shared");
    };
    assert_eq!(
        keys.sample_interval(),
        Some(Duration::from_mins(1)),
        "not before the wallbox can"
    );
    keys.keep(metering);
    assert_eq!(keys.sample_interval(), Some(Duration::from_mins(15)));
    assert_eq!(keys.sample_interval_with(ours), ours);
    let answer = get(&mut keys, &[INTERVAL], Some(&says(&[(INTERVAL, "10")])));
    assert_eq!(value(&answer, INTERVAL), Some("900"));
    keys.keep(Metering::Interval(Duration::from_secs(5)));
    assert_eq!(keys.sample_interval_with(ours), Duration::from_secs(5));
    keys.keep(Metering::Interval(Duration::ZERO));
    assert_eq!(
        (keys.sample_interval(), keys.sample_interval_with(ours)),
        (None, ours)
    );
}

#[test]
fn measurands_of_the_backend_come_first_and_each_is_sampled_once() {
    let mut keys = proxy();
    assert_eq!(keys.measurands(), None);
    keys.keep(Metering::Measurands("SoC,current.import".to_owned()));
    assert_eq!(
        union(keys.measurands(), "Current.Import,Voltage"),
        "SoC,current.import,Voltage"
    );
    let answer = get(
        &mut keys,
        &[SAMPLED_DATA],
        Some(&says(&[(SAMPLED_DATA, "all")])),
    );
    assert_eq!(value(&answer, SAMPLED_DATA), Some("SoC,current.import"));
}

#[test]
fn strangers_may_charge_only_if_site_and_backend_agree() {
    let key = "AllowOfflineTxForUnknownId";
    let mut strict = proxy();
    assert_eq!(told(&mut strict, key, "true"), "Rejected");
    assert_eq!(told(&mut strict, key, "false"), "Accepted");
    assert!(!strict.offline_flags().unknown);
    let open = KeysPlan {
        offline_unknown_tags: true,
        ..plan()
    };
    let mut open = Keys::new(open, None);
    assert!(open.offline_flags().unknown);
    assert_eq!(told(&mut open, key, "false"), "Accepted");
    assert!(!open.offline_flags().unknown);
    let closed_again = Keys::new(plan(), Some(&open.memory()));
    assert!(!closed_again.offline_flags().unknown);
}

#[test]
fn what_the_wallbox_told_decides_what_the_gateway_does_in_its_place() {
    let mut keys = proxy();
    assert!(keys.stop_on_invalid());
    assert_eq!(keys.connection_time_out(), Duration::from_mins(2));
    keys.learn(&says(&[
        ("stoptransactiononinvalidid", "False"),
        ("ConnectionTimeOut", "soon"),
    ]));
    assert!(!keys.stop_on_invalid());
    assert_eq!(
        keys.connection_time_out(),
        Duration::from_mins(2),
        "no number"
    );
    let mut silent = proxy();
    let request = raw(&json!({"key": "StopTransactionOnInvalidId", "value": "false"}));
    silent.relayed(&request, &raw(&json!({"status": "Accepted"})));
    assert!(!silent.stop_on_invalid());
    let request = raw(&json!({"key": "ConnectionTimeOut", "value": "45"}));
    keys.relayed(&request, &raw(&json!({"status": "Rejected"})));
    assert_eq!(keys.connection_time_out(), Duration::from_mins(2));
    keys.relayed(&request, &raw(&json!({"status": "Accepted"})));
    assert_eq!(keys.connection_time_out(), Duration::from_secs(45));
}

#[test]
fn the_interval_of_the_boot_is_that_of_the_heartbeat() {
    let mut keys = proxy();
    for (interval, expected) in [(60, 60), (0, 60), (-5, 60), (i64::MAX, 60), (900, 900)] {
        keys.booted(interval);
        assert_eq!(keys.heartbeat_interval(), Duration::from_secs(expected));
    }
}

#[test]
fn a_password_of_the_backend_holds_until_the_configuration_has_a_new_one() {
    let with = |password: &str| KeysPlan {
        password: Some(Credential::new(password.as_bytes())),
        ..plan()
    };
    let shown = |keys: &Keys| -> Vec<String> {
        let passwords = keys.passwords(now()).into_iter().flatten();
        let text = |it: &Credential| String::from_utf8(it.expose().into()).unwrap();
        passwords.map(text).collect()
    };
    let mut keys = Keys::new(with("configured"), None);
    assert_eq!(shown(&keys), ["configured"]);
    told(&mut keys, "AuthorizationKey", "of the backend …");
    assert_eq!(shown(&keys), ["of the backend …", "configured"]);
    keys.password_was_good();
    let again = Keys::new(with("configured"), Some(&keys.memory()));
    assert_eq!(shown(&again), ["of the backend …", "configured"]);
    let renewed = Keys::new(with("new in the file"), Some(&keys.memory()));
    assert_eq!(shown(&renewed), ["new in the file"]);
}

#[test]
fn without_a_wallbox_the_table_answers_everything() {
    let mut keys = emulated();
    let all = get(&mut keys, &[], None);
    assert_eq!(
        all["configurationKey"].as_array().unwrap().len(),
        ROWS.len() - 1
    );
    for (key, expected) in [
        ("ConnectorPhaseRotation", "1.Unknown"),
        ("GetConfigurationMaxKeys", "50"),
        ("StopTransactionOnInvalidId", "true"),
        (
            "SupportedFeatureProfiles",
            "Core,LocalAuthListManagement,SmartCharging,RemoteTrigger,Reservation",
        ),
    ] {
        assert_eq!(value(&all, key), Some(expected));
    }
    for (key, value, expected) in [
        ("ConnectionTimeOut", "30", "Accepted"),
        ("MeterValueSampleInterval", "30", "Accepted"),
        ("MeterValuesSampledData", "Power.Offered", "Accepted"),
        ("MeterValuesSampledData", "Voltage", "Rejected"),
        ("MeterValuesSampledData", "SoC", "Rejected"),
        ("StopTransactionOnInvalidId", "false", "Accepted"),
        ("UnlockConnectorOnEVSideDisconnect", "true", "Rejected"),
        ("LightIntensity", "30", "NotSupported"),
        ("BackendURL", "ws://elsewhere.example", "NotSupported"),
    ] {
        assert_eq!(told(&mut keys, key, value), expected, "{key} = {value}");
    }
    let plan = keys.plan.clone();
    let keys = Keys::new(plan, Some(&keys.memory()));
    assert_eq!(keys.connection_time_out(), Duration::from_secs(30));
    assert_eq!(keys.sample_interval(), Some(Duration::from_secs(30)));
    assert!(!keys.stop_on_invalid());
    let unknown = get(&mut emulated(), &["Vendor"], None);
    assert_eq!(unknown, json!({"unknownKey": ["Vendor"]}));
}

#[test]
fn what_a_wallbox_can_make_us_remember_has_an_end() {
    let mut keys = proxy();
    for i in 0..2000 {
        keys.learn(&says(&[(&format!("Key{i}"), "x")]));
    }
    assert_eq!(keys.remembered.wallbox.len(), MOST_KEYS);
}

proptest! {
    #[test]
    fn no_key_and_no_value_panics(key in "\\PC{0,20}", value in "\\PC{0,40}", known in 0..ROWS.len(), emulated in any::<bool>()) {
        let mut keys = Keys::new(KeysPlan { emulated, ..plan() }, None);
        told(&mut keys, &key, &value);
        let before = keys.memory();
        let name = ROWS[known].name;
        if told(&mut keys, name, &value) == "Rejected" {
            prop_assert_eq!(keys.memory(), before);
        }
        get(&mut keys, &[&key, name], Some(&says(&[(&key, &value), (name, &value)])));
        keys.heartbeat_interval();
        keys.connection_time_out();
        keys.offline_flags();
        let again = Keys::new(keys.plan.clone(), Some(&keys.memory()));
        prop_assert_eq!(again, keys);
    }
}
