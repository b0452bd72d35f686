//! The files in `config/` stay true.

use std::path::{Path, PathBuf};

use chargewarden::config::{self, Config};

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("config")
        .join(name)
}

#[test]
fn the_examples_run_as_they_are() {
    for name in ["minimal.toml", "metered.toml", "chargewarden.toml"] {
        let (config, warnings) = config::load(&example(name)).unwrap();
        assert_eq!(warnings, [], "{name}");
        assert_eq!(config.refusal(), None, "{name}");
        assert_eq!(config.evses.len(), 2, "{name}");
    }
}

#[test]
fn the_backend_example_runs_and_warns_of_the_unproven_backend_of_each_wallbox() {
    let (config, warnings) = config::load(&example("backend.toml")).unwrap();
    let warnings: Vec<&str> = warnings.iter().map(|it| it.0.what.as_str()).collect();
    assert_eq!(
        warnings,
        ["any server certificate is accepted as the backend's"; 2]
    );
    assert_eq!(config.refusal(), None);
    assert_eq!(
        charge_points(&config),
        ["left is DE*ABC*E1 1", "right is DE*ABC*E2 1"]
    );
}

fn charge_points(config: &Config) -> Vec<String> {
    let shown = config.plan.gateways.iter().flat_map(|plan| {
        let of = |(evse, connector)| format!("{evse} is {} {connector}", plan.client_id);
        plan.connectors().map(of)
    });
    shown.collect()
}

#[test]
fn the_power_brain_example_shows_one_of_two_to_a_backend() {
    let (config, _) = config::load(&example("power-brain-backend.toml")).unwrap();
    assert_eq!(config.refusal(), None);
    assert_eq!(config.evses.len(), 2);
    assert_eq!(charge_points(&config), ["visitors is DE*ABC*E1 1"]);
}

#[test]
fn the_upper_half_of_two_buildings_expects_what_the_lower_half_shows() {
    let (lower, _) = config::load(&example("building-lower.toml")).unwrap();
    let (upper, _) = config::load(&example("building-upper.toml")).unwrap();
    assert_eq!((lower.refusal(), upper.refusal()), (None, None));
    assert_eq!(
        charge_points(&lower),
        ["left is B1-LEFT 1", "yard is B1-YARD 1"]
    );
    let expected: Vec<&str> = upper
        .plan
        .stations
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    let shown = lower.plan.gateways.iter().map(|it| it.client_id.as_str());
    assert_eq!(expected, shown.collect::<Vec<_>>());
    assert_eq!(
        charge_points(&upper),
        ["b1-left is DE*ABC*E1 1", "b1-yard is DE*ABC*E2 1"]
    );
}

#[test]
fn the_example_shows_the_defaults() {
    let (shown, _) = config::load(&example("chargewarden.toml")).unwrap();
    let default = super::good(super::SITE);
    assert_eq!(shown.manager, default.manager);
    assert_eq!(shown.log, default.log);
    assert_eq!(shown.server, default.server);
    assert_eq!(shown.plan.authorization, default.plan.authorization);
}

/// With every `#key` taken as `key`, only the files are missing that it names.
#[test]
fn every_key_that_the_example_mentions_is_known() {
    let text = std::fs::read_to_string(example("chargewarden.toml")).unwrap();
    let all: Vec<String> = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if key.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => key,
            Some(_) | None => line,
        })
        .map(str::to_owned)
        .collect();
    let problems = config::read(Path::new("/nonexistent/all.toml"), &all.join("\n")).unwrap_err();
    for finding in problems.0 {
        let expected = ["cannot be read", "are both given"];
        assert!(
            expected.iter().any(|it| finding.what.contains(it)),
            "{finding:?}"
        );
    }
}

/// The remedy for an unknown key lists those that a section knows.
#[test]
fn the_example_mentions_every_key() {
    const SECTIONS: &str = "[manager]\nqqqq = 1\n[log]\nqqqq = 1\n[ocpp-server]\nqqqq = 1\n\
        [authorization]\nqqqq = 1\n[[authorization.id-tag]]\nqqqq = 1\n[[circuit]]\nqqqq = 1\n\
        [[meter]]\nqqqq = 1\n[meter.registers]\nqqqq = 1\ncurrent-l1 = { qqqq = 1 }\n\
        [[evse]]\nqqqq = 1\n[evse.ocpp]\nqqqq = 1\n[evse.gateway]\nqqqq = 1\n";
    let example = std::fs::read_to_string(example("chargewarden.toml")).unwrap();
    let problems = config::read(Path::new("x.toml"), SECTIONS).unwrap_err();
    let lists = problems.0.iter().filter_map(|it| {
        it.remedy
            .strip_prefix("leave it out; ")?
            .split_once(" knows ")
    });
    let known: Vec<&str> = lists.flat_map(|(_, keys)| keys.split(", ")).collect();
    assert!(known.len() > 90, "{known:?}");
    for key in known {
        // The comment above the registers sums the phases up.
        let summed = key.trim_end_matches(|c: char| c.is_ascii_digit());
        assert!(example.contains(summed), "{key}");
    }
}
