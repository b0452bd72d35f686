//! The rules that single values must keep, and what becomes of failsafe currents.

use chargewarden::units::MilliAmps;

use super::rules::{circuit, evse};
use super::{SITE, good, warnings, wrong};

#[test]
fn the_minimum_is_not_above_the_maximum_its_default_included() {
    let text = evse("min-current = 20");
    assert_eq!(
        wrong(&text),
        ["14: min-current, 20 A, is above max-current, 16 A"]
    );
    let text = SITE.replace("max-current = 16", "max-current = 5");
    assert_eq!(
        wrong(&text),
        ["8: the default of min-current, 6 A, is above max-current, 5 A"]
    );
}

#[test]
fn failsafe_idle_and_reserve_are_not_above_the_maximum() {
    let text = evse("failsafe-current = 17\nidle-current = 16.001").replace(
        "max-current = 63",
        "max-current = 63\nreserve = 64\nfailsafe-current = 63.5",
    );
    assert_eq!(
        wrong(&text),
        [
            "4: reserve is above max-current",
            "5: failsafe-current is above max-current",
            "16: failsafe-current is above max-current, 16 A",
            "17: idle-current is above max-current, 16 A",
        ]
    );
}

#[test]
fn rotations_are_written_in_full_and_name_every_phase_once() {
    for rotation in [
        "L1L2L3", "L2L3L1", "L3L1L2", "L1L3L2", "L3L2L1", "L2L1L3", "unknown",
    ] {
        for phases in [1, 2, 3] {
            good(&evse(&format!(
                "rotation = \"{rotation}\"\nphases = {phases}"
            )));
        }
    }
    for rotation in ["L1", "L1L2", "L1L1L2", "l1l2l3", "L4L1L2", ""] {
        let text = evse(&format!("phases = 1\nrotation = \"{rotation}\""));
        assert_eq!(
            wrong(&text),
            [format!("15: rotation cannot be \"{rotation}\"")]
        );
    }
    assert_eq!(
        wrong(&evse("phases = 4")),
        ["14: phases must be a whole number from 1 to 3"]
    );
}

#[test]
fn numbers_are_in_a_range_that_makes_sense() {
    for (lines, expected) in [
        (
            "priority = 10",
            "priority must be a whole number from 0 to 9",
        ),
        (
            "priority = -1",
            "priority must be a whole number from 0 to 9",
        ),
        (
            "priority = 1.5",
            "priority must be a whole number, not a number with decimals",
        ),
        ("weight = 0", "weight must be a whole number from 1 to 100"),
        (
            "weight = 101",
            "weight must be a whole number from 1 to 100",
        ),
        ("id = 0", "id must be a whole number from 1 to 999"),
        (
            "id = 99999999999999999999",
            "id must be a whole number from 1 to 999",
        ),
        ("min-current = nan", "min-current must be a number"),
        ("min-current = inf", "min-current must be at most 1000"),
        ("min-current = 0", "min-current must be larger than 0"),
        ("min-current = 0.0001", "min-current must be larger than 0"),
        (
            "min-current = \"6\"",
            "min-current must be a number without quotes, not text",
        ),
        (
            "failsafe-current = -1",
            "failsafe-current must be at least 0",
        ),
        (
            "enabled = \"yes\"",
            "enabled must be true or false, not text",
        ),
        ("circuit = \"\"", "circuit must not be empty"),
        (
            "circuit = \" house\"",
            "circuit must not begin or end with a space",
        ),
        (
            "fixed-id-tag = \"123456789012345678901\"",
            "fixed-id-tag must have at most 20 characters",
        ),
        ("[evse.ocpp]\nstep = 0.5", "step must be 1.0, 0.1 or 0.001"),
        ("[evse.ocpp]\nstep = 2.0", "step must be at most 1"),
        (
            "[evse.ocpp]\nstack-level = -1",
            "stack-level must be a whole number from 0 to 1000000",
        ),
        ("[evse.ocpp]\nunit = \"a\"", "unit cannot be \"a\""),
    ] {
        let [only] = &wrong(&evse(lines))[..] else {
            panic!("{lines}")
        };
        assert!(only.ends_with(expected), "{only}");
    }
}

#[test]
fn the_manager_and_the_server_take_only_what_makes_sense() {
    for (section, line, expected) in [
        ("manager", "voltage = 400", "voltage must be at most 300"),
        ("manager", "voltage = 24", "voltage must be at least 90"),
        (
            "manager",
            "rotation-period = \"15m\"",
            "rotation-period is no duration",
        ),
        (
            "manager",
            "rotation-period = \"0s\"",
            "rotation-period must be at least 1s",
        ),
        (
            "manager",
            "start-up-hold = \"2h\"",
            "start-up-hold must be at most 1h",
        ),
        (
            "manager",
            "dead-man = \"5s\"",
            "dead-man must be \"0s\" or at least 10s",
        ),
        (
            "manager",
            "raise-step = 0",
            "raise-step must be larger than 0",
        ),
        (
            "manager",
            "on-shutdown = 5",
            "on-shutdown must be a word in quotes, not a whole number",
        ),
        ("log", "level = \"loud,,=\"", "level is no tracing filter"),
        (
            "ocpp-server",
            "port = 0",
            "port must be a whole number from 1 to 65535",
        ),
        (
            "ocpp-server",
            "port = 65536",
            "port must be a whole number from 1 to 65535",
        ),
        (
            "ocpp-server",
            "address = \"localhost\"",
            "address is no IP address",
        ),
        (
            "ocpp-server",
            "meter-interval = \"500ms\"",
            "meter-interval must be at least 1s",
        ),
        (
            "ocpp-server",
            "meter-interval = \"1s 500ms\"",
            "meter-interval must be whole seconds",
        ),
        (
            "ocpp-server",
            "max-connections = 0",
            "max-connections must be a whole number from 1 to 100000",
        ),
    ] {
        let text = format!("{SITE}[{section}]\n{line}\n");
        assert_eq!(wrong(&text), [format!("10: {expected}")]);
    }
    let text = format!("[manager]\ndead-man = \"0s\"\nstart-up-hold = \"0s\"\n{SITE}");
    assert!(good(&text).manager.dead_man.is_zero());
}

#[test]
fn circuits_have_a_fuse() {
    for (line, expected) in [
        ("max-current = 0", "3: max-current must be larger than 0"),
        ("max-current = -63", "3: max-current must be larger than 0"),
        ("max-power = 0", "1: [[circuit]] has no max-current"),
        (
            "max-current = 63\nmax-power = 0",
            "4: max-power must be larger than 0",
        ),
        (
            "max-current = 63\nmax-asymmetry = 0",
            "4: max-asymmetry must be larger than 0",
        ),
        (
            "max-current = 63\nlimit-signal = -1",
            "4: limit-signal must be at least 0",
        ),
    ] {
        let wrong = wrong(&circuit(&format!("name = \"house\"\n{line}")));
        assert!(wrong.contains(&expected.to_owned()), "{wrong:?}");
    }
}

#[test]
fn tags_are_listed_once_and_expire_at_a_real_time() {
    let tags = |lines: &str| format!("{SITE}[authorization]\n{lines}");
    let tag = |lines: &str| format!("[[authorization.id-tag]]\n{lines}\n");
    let twice = tags(&[tag("tag = \"04a2\""), tag("tag = \"04A2\"")].concat());
    assert_eq!(wrong(&twice), ["13: this tag is listed twice"]);
    for expires in [
        "\"2027-12-31\"",
        "\"soon\"",
        "2027-12-31",
        "2027-12-31T23:59:59",
    ] {
        let text = tags(&tag(&format!("tag = \"A\"\nexpires = {expires}")));
        assert_eq!(
            wrong(&text),
            ["12: expires is no date with time and zone"],
            "{expires}"
        );
    }
    assert_eq!(
        wrong(&tags(&tag("name = \"x\""))),
        ["10: [[authorization.id-tag]] has no tag"]
    );
}

fn failsafe(text: &str) -> Vec<MilliAmps> {
    good(text)
        .plan
        .load
        .evses
        .iter()
        .map(|evse| evse.failsafe)
        .collect()
}

#[test]
fn default_failsafe_currents_that_do_not_fit_a_circuit_count_as_nothing() {
    let amps = MilliAmps::from_amps;
    assert_eq!(failsafe(&evse("")), [amps(6), amps(6)]);
    let tight = evse("").replace("max-current = 63", "max-current = 11.9");
    assert_eq!(failsafe(&tight), [amps(0), amps(0)]);
    assert_eq!(warnings(&tight), [""; 0]);

    // The reserve is not there for them, and a power limit counts.
    assert_eq!(
        failsafe(&evse("").replace("63", "12\nreserve = 1")),
        [amps(0), amps(0)]
    );
    assert_eq!(
        failsafe(&evse("").replace("63", "63\nmax-power = 8279")),
        [amps(0), amps(0)]
    );
    assert_eq!(
        failsafe(&evse("").replace("63", "63\nmax-power = 8280")),
        [amps(6), amps(6)]
    );

    // On different phases they do not add up; unknown ones might.
    let turned = tight.replace("max-current = 16", "max-current = 16\nphases = 1");
    let rotated = turned.replacen("phases = 1", "phases = 1\nrotation = \"L2L3L1\"", 1);
    assert_eq!(failsafe(&rotated), [amps(6), amps(6)]);
    assert_eq!(
        failsafe(&rotated.replace("L2L3L1", "unknown")),
        [amps(0), amps(0)]
    );
}

#[test]
fn an_explicit_failsafe_current_stands_and_the_defaults_give_way_to_it() {
    let amps = MilliAmps::from_amps;
    let text = evse("failsafe-current = 6").replace("63", "11");
    assert_eq!(failsafe(&text), [amps(0), amps(6)]);
    assert_eq!(warnings(&text), [""; 0]);
    let text = evse("failsafe-current = 16").replace("63", "11");
    assert_eq!(failsafe(&text), [amps(0), amps(16)]);
    assert_eq!(
        warnings(&text),
        ["the failsafe currents behind house add up to 16 A, more than it can carry"]
    );
}

#[test]
fn a_default_failsafe_current_is_never_above_the_maximum() {
    let text = SITE.replace("max-current = 16", "max-current = 5\nmin-current = 5");
    assert_eq!(failsafe(&text), [MilliAmps::from_amps(5)]);
}

#[test]
fn only_the_defaults_behind_the_tight_circuit_give_way() {
    let amps = MilliAmps::from_amps;
    let garage = circuit("name = \"garage\"\nparent = \"house\"\nmax-current = 4");
    let text = format!("{}{garage}", evse("circuit = \"garage\""));
    assert_eq!(failsafe(&text), [amps(6), amps(0)]);
}

#[test]
fn in_a_list_the_item_that_does_not_fit_is_pointed_at() {
    let text = format!("{SITE}[ocpp-server]\nclient-ca = [\"a\", 5]\n");
    let problems = super::read(&text).unwrap_err();
    let place = problems.0[0].place.clone().unwrap();
    assert_eq!((place.line, place.column), (10, 19));
}
