//! The configuration file: what is understood, and how mistakes are reported.

mod command;
mod examples;
mod files;
mod rules;
mod values;

use std::path::Path;
use std::time::Duration;

use chargewarden::config::{self, Config, LoadManagement, Problems, TlsMode, Warning};
use chargewarden::ids::{CircuitName, ConnectorId};
use chargewarden::load::{PriorityMode, Rotation, WhenDisabled};
use chargewarden::site::AuthorizationMode;
use chargewarden::units::{MilliAmps, MilliVolts, Phase, Watts};
use proptest::prelude::*;

const SITE: &str = "\
[[circuit]]
name = \"house\"
max-current = 63
[[evse]]
name = \"left\"
device = \"ocpp1.6\"
address = \"CB-1\"
max-current = 16
";

fn read(text: &str) -> Result<(Config, Vec<Warning>), Problems> {
    config::read(Path::new("site.toml"), text)
}

fn good(text: &str) -> Config {
    match read(text) {
        Ok((config, _)) => config,
        Err(problems) => panic!("{problems}"),
    }
}

fn warnings(text: &str) -> Vec<String> {
    match read(text) {
        Ok((_, warnings)) => warnings.into_iter().map(|it| it.0.what).collect(),
        Err(problems) => panic!("{problems}"),
    }
}

/// What is wrong, as `line: what`.
fn wrong(text: &str) -> Vec<String> {
    let Err(problems) = read(text) else {
        panic!("nothing is wrong with {text}");
    };
    let shown = problems.0.into_iter().map(|finding| {
        assert!(!finding.remedy.is_empty(), "no remedy for {}", finding.what);
        match finding.place {
            Some(place) => format!("{}: {}", place.line, finding.what),
            None => finding.what,
        }
    });
    shown.collect()
}

#[test]
fn every_mistake_is_reported_in_one_go_with_its_line_and_a_remedy() {
    let problems = read(
        "\
[manager]
load-managment = \"control\"
voltage = 400
rotation-period = 15
[ocpp-server]
tls = \"of\"
[[circuit]]
name = \"house\"
max-current = -3
[[evse]]
name = \"left\"
device = \"ocpp1.6\"
addres = \"CB-1\"
circuit = \"hous\"
[evse.ocpp]
max-current = 16
",
    )
    .unwrap_err();
    insta::assert_snapshot!(problems, @r#"
    site.toml:2:1: unknown key load-managment in [manager]
        2 | load-managment = "control"
          | ^^^^^^^^^^^^^^
       remedy: did you mean load-management?

    site.toml:3:11: voltage must be at most 300
        3 | voltage = 400
          |           ^^^
       remedy: write the voltage between a phase and neutral in V, for example 230

    site.toml:4:19: rotation-period must be a duration in quotes, not a whole number
        4 | rotation-period = 15
          |                   ^^
       remedy: write for example "15min"

    site.toml:6:7: tls cannot be "of"
        6 | tls = "of"
          |       ^^^^
       remedy: write "off", "detect" or "on"

    site.toml:9:15: max-current must be larger than 0
        9 | max-current = -3
          |               ^^
       remedy: write the rating of the fuse in A per phase, for example max-current = 63

    site.toml:10:1: [[evse]] has no address
       10 | [[evse]]
          | ^^^^^^^^
       remedy: write the ChargeBox ID, or where the Power Brain is

    site.toml:10:1: [[evse]] has no max-current
       10 | [[evse]]
          | ^^^^^^^^
       remedy: write what the EVSE and its cable carry in A per phase, for example 16

    site.toml:13:1: unknown key addres in [[evse]]
       13 | addres = "CB-1"
          | ^^^^^^
       remedy: did you mean address?

    site.toml:14:11: there is no [[circuit]] named "hous"
       14 | circuit = "hous"
          |           ^^^^^^
       remedy: did you mean "house"?

    site.toml:16:1: unknown key max-current in [evse.ocpp]
       16 | max-current = 16
          | ^^^^^^^^^^^
       remedy: it is a key of [[evse]]: write it above [evse.ocpp]
    "#);
}

#[test]
fn a_syntax_error_ends_the_reading_and_is_explained() {
    for (text, expected) in [
        ("[manager\nvoltage = 230\n", "1:9: unclosed table"),
        (
            "[log]\nlevel = warn\nformat = \n",
            "2:9: string values must be quoted",
        ),
        (
            "[log]\nlevel = \"info\"\nlevel = \"info\"\n",
            "3:1: duplicate key",
        ),
        (
            "[log]\nlevel = info\n",
            "2:9: a value that TOML does not know",
        ),
        ("[log]\nlevel\n[", "2:6: key with no value"),
    ] {
        let problems = read(text).unwrap_err();
        assert_eq!(problems.0.len(), 1);
        let shown = problems.to_string();
        assert!(
            shown.starts_with(&format!("site.toml:{expected}")),
            "{shown}"
        );
    }
}

#[test]
fn what_is_not_in_the_file_has_the_documented_default() {
    let config = good(SITE);
    let manager = &config.manager;
    assert_eq!(manager.load_management, LoadManagement::Control);
    assert_eq!(manager.state_dir, Path::new("/var/lib/chargewarden"));
    assert_eq!(
        manager.control_socket,
        Path::new("/run/chargewarden/control.sock")
    );
    assert_eq!(manager.raise_hold, Duration::from_secs(15));
    assert_eq!(manager.raise_step, MilliAmps::from_amps(4));
    assert_eq!(manager.raise_interval, Duration::from_secs(10));
    assert_eq!(manager.meter_timeout, Duration::from_secs(15));
    assert_eq!(manager.dead_man, Duration::from_mins(10));
    assert!(!manager.asymmetry_includes_house);
    assert_eq!(config.log.level, "info");

    let server = &config.server;
    assert_eq!(server.address.to_string(), "::");
    assert_eq!((server.port, server.tls), (19520, TlsMode::Detect));
    assert_eq!(
        (server.max_connections, server.max_message_size),
        (1024, 1_048_576)
    );
    assert_eq!((&server.password, &server.key_pair), (&None, &None));

    let load = &config.plan.load;
    assert_eq!(load.voltage, MilliVolts(230_000));
    assert_eq!(load.priority_mode, PriorityMode::Strict);
    assert_eq!(load.when_disabled, WhenDisabled::Pause);
    assert_eq!(load.rotation_period, Duration::from_mins(15));
    assert_eq!(load.start_up_hold, Duration::from_secs(30));
    assert_eq!(load.ocpp_raise_interval, Duration::from_secs(30));
    assert!(!load.observe);
    assert_eq!(config.plan.authorization.mode, AuthorizationMode::Open);
    assert!(!config.server.accept_unknown);

    let [circuit] = load.circuits.as_slice() else {
        panic!()
    };
    assert_eq!(
        (circuit.reserve, circuit.failsafe),
        (MilliAmps::ZERO, MilliAmps::ZERO)
    );
    let [evse] = load.evses.as_slice() else {
        panic!()
    };
    assert_eq!(evse.circuit, CircuitName::from("house"));
    assert_eq!((evse.phases, evse.rotation), (3, Rotation::L1L2L3));
    assert_eq!(
        (evse.min, evse.failsafe),
        (MilliAmps::from_amps(6), MilliAmps::from_amps(6))
    );
    assert_eq!((evse.priority, evse.weight), (1, 1));
    assert_eq!((evse.idle, evse.step), (MilliAmps::ZERO, MilliAmps(100)));
    assert!(evse.enabled);

    let [station] = config.plan.stations.as_slice() else {
        panic!()
    };
    assert_eq!(station.heartbeat_interval, Duration::from_mins(5));
    assert_eq!(station.meter_interval, Duration::from_secs(10));
    assert_eq!(
        station.connectors.keys().collect::<Vec<_>>(),
        [&ConnectorId(1)]
    );
    assert_eq!(config.refusal(), None);
}

const OTHER_SITE: &str = r#"
[manager]
load-management = "observe"
voltage = 231.5
state-dir = "state"
priority-mode = "min-first"
rotation-period = "1h 30min"
[ocpp-server]
accept-unknown = true
meter-interval = "30s"
[authorization]
mode = "list"
[[authorization.id-tag]]
tag = "04a2"
expires = 2027-12-31T23:59:59+01:00
evses = ["right"]
[[circuit]]
name = "garage"
parent = "house"
max-current = 20.005
max-power = 11000
max-asymmetry = 20
[[circuit]]
name = "house"
max-current = 63
reserve = 2.5
[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-1"
max-current = 16
[[evse]]
name = "right"
device = "ocpp1.6"
address = "CB-1"
id = 2
enabled = false
circuit = "garage"
phases = 1
rotation = "L2L3L1"
min-current = 6.5
max-current = 32
priority = 9
weight = 100
failsafe-current = 0
idle-current = 6
[evse.ocpp]
step = 1.0
unit = "W"
stack-level = 3
remote-start = true
"#;

#[test]
fn what_is_in_the_file_reaches_the_plan() {
    let config = good(OTHER_SITE);
    assert_eq!(config.manager.state_dir, Path::new("state"));
    let load = &config.plan.load;
    assert!(load.observe);
    assert_eq!(load.voltage, MilliVolts(231_500));
    assert_eq!(load.priority_mode, PriorityMode::MinFirst);
    assert_eq!(load.rotation_period, Duration::from_mins(90));

    let [house, garage] = load.circuits.as_slice() else {
        panic!()
    };
    assert_eq!(
        (house.parent.as_ref(), house.reserve),
        (None, MilliAmps(2500))
    );
    assert_eq!(garage.parent, Some(house.name.clone()));
    assert_eq!(garage.max_current, MilliAmps(20_005));
    assert_eq!(garage.max_power, Some(Watts(11_000)));
    assert_eq!(garage.max_asymmetry, Some(MilliAmps::from_amps(20)));

    let [left, right] = load.evses.as_slice() else {
        panic!()
    };
    assert_eq!(left.circuit, house.name);
    assert_eq!(
        (right.circuit.clone(), right.enabled),
        (garage.name.clone(), false)
    );
    assert_eq!(
        right.rotation,
        Rotation::Known([Phase::L2, Phase::L3, Phase::L1])
    );
    assert_eq!(
        (right.min, right.max),
        (MilliAmps(6500), MilliAmps::from_amps(32))
    );
    assert_eq!((right.priority, right.weight, right.phases), (9, 100, 1));
    assert_eq!(right.step, MilliAmps::from_amps(1));

    let [station] = config.plan.stations.as_slice() else {
        panic!()
    };
    assert_eq!(station.meter_interval, Duration::from_secs(30));
    let [_, second] = station.connectors.values().collect::<Vec<_>>()[..] else {
        panic!()
    };
    assert_eq!(
        (second.evse.as_str(), second.idle),
        ("right", MilliAmps::from_amps(6))
    );
    assert_eq!(
        (second.profile.stack_level, second.profile.remote_start),
        (Some(3), true)
    );

    let [tag] = config.plan.authorization.tags.as_slice() else {
        panic!()
    };
    assert_eq!(tag.expires.unwrap().to_string(), "2027-12-31T22:59:59Z");
    assert_eq!(tag.evses.as_ref().unwrap().len(), 1);
    assert!(config.server.accept_unknown);
}

#[test]
fn what_does_not_run_yet_is_refused_in_one_sentence() {
    let config = good(&format!(
        "{SITE}
[[evse]]
name = \"right\"
device = \"ocpp1.6\"
address = \"RIGHT\"
max-current = 16
fixed-id-tag = \"TAG\"
"
    ));
    insta::assert_snapshot!(config.refusal().unwrap(), @"this version cannot run this configuration yet: fixed-id-tag of right without remote-start");
}

#[test]
fn a_power_brain_may_have_a_backend() {
    let config = good(&format!(
        "{SITE}
[[evse]]
name = \"right\"
device = \"power-brain\"
address = \"192.0.2.51:4701\"
max-current = 16
fixed-id-tag = \"TAG\"
[evse.gateway]
url = \"ws://backend.example\"
client-id = \"B\"
"
    ));
    assert_eq!(config.refusal(), None);
    assert_eq!(config.plan.gateways.len(), 1);
}

#[test]
fn observing_needs_no_refusal_and_keys_that_matter_only_beside_a_meter_are_no_hindrance() {
    let text = format!(
        "[manager]\nload-management = \"observe\"\nraise-hold = \"1s\"\nmeter-timeout = \"5s\"\n{SITE}"
    );
    assert_eq!(good(&text).refusal(), None);
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn no_damage_to_a_good_file_makes_the_reader_panic(
        at in 0..1000_usize,
        removed in 0..20_usize,
        put in "[\\[\\]\"=.,{}#0-9a-z\\n -]{0,8}",
    ) {
        let text = include_str!("../../config/chargewarden.toml").replace("\n#", "\n");
        let chars: Vec<char> = text.chars().collect();
        let at = at * chars.len() / 1000;
        let head: String = chars.iter().take(at).collect();
        let tail: String = chars.iter().skip(at + removed).collect();
        if let Err(problems) = read(&format!("{head}{put}{tail}")) {
            prop_assert!(!problems.0.is_empty());
            prop_assert!(!problems.to_string().contains("correct horse"));
        }
    }
}
