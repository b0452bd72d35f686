//! `check`: judges a configuration and prints what it understood.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::columns::Table;
use super::{exit, output};
use crate::config::duration::Written;
use crate::config::{
    self, Circuit, Config, Device, Gateway, LoadManagement, TlsMode, Trust, Warning,
};
use crate::load::{EvsePlan, PriorityMode, Rotation};
use crate::site::{AuthorizationMode, TagPlan};

/// Reads the file and prints it, or what is wrong with it.
pub(super) fn check(path: &Path) -> ExitCode {
    match config::load(path) {
        Ok((config, warnings)) => {
            let text = understood(path, &config, &warnings);
            exit::after_printing(&output::print(&text))
        }
        Err(problems) => {
            output::print_error(&problems.to_string());
            ExitCode::from(exit::CONFIG)
        }
    }
}

/// What was understood, the warnings, and what this version cannot run.
pub(super) fn understood(path: &Path, config: &Config, warnings: &[Warning]) -> String {
    let mut parts = vec![
        format!("{}: no mistakes\n", path.display()),
        manager(config),
        circuits(config),
    ];
    parts.push(meters(config));
    parts.push(evses(config));
    parts.push(gateways(config));
    parts.push(authorization(config));
    parts.extend(warnings.iter().map(ToString::to_string));
    parts.extend(config.refusal().map(|refusal| format!("note: {refusal}\n")));
    parts.retain(|part| !part.is_empty());
    parts.join("\n")
}

fn manager(config: &Config) -> String {
    let manager = &config.manager;
    let management = match manager.load_management {
        LoadManagement::Control => "control",
        LoadManagement::Observe => "observe: nothing is limited",
    };
    let priorities = match manager.priority_mode {
        PriorityMode::Strict => "the higher priority is filled first",
        PriorityMode::MinFirst => "every minimum first, then by priority",
    };
    let lines = [
        ("load management", management.to_owned()),
        ("sharing", priorities.to_owned()),
        (
            "rotation",
            format!("every {} while cars wait", Written(manager.rotation_period)),
        ),
        (
            "voltage",
            format!("{} V", f64::from(manager.voltage.0) / 1000.0),
        ),
        ("state", manager.state_dir.display().to_string()),
        (
            "control socket",
            manager.control_socket.display().to_string(),
        ),
        ("OCPP server", server(config)),
    ];
    let mut text = String::new();
    for (label, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:<16}  {value}");
    }
    text
}

fn server(config: &Config) -> String {
    let server = &config.server;
    let mut parts = vec![format!(
        "{} on port {} of {}",
        match server.tls {
            TlsMode::Off => "ws",
            TlsMode::Detect => "ws and wss",
            TlsMode::On => "wss",
        },
        server.port,
        server.address,
    )];
    match (&server.password, server.passwords.len()) {
        (Some(_), _) => parts.push("password".to_owned()),
        (None, 0) => parts.push("no password".to_owned()),
        (None, some) => parts.push(format!("password for {some} wallboxes")),
    }
    match (&server.key_pair, server.tls) {
        (_, TlsMode::Off) => {}
        (Some(pair), _) => parts.push(format!("certificate {}", pair.certificate.display())),
        (None, _) => parts.push("self-signed certificate".to_owned()),
    }
    if !server.client_ca.is_empty() {
        parts.push("client certificates".to_owned());
    }
    if server.accept_unknown {
        parts.push("unknown wallboxes are shown".to_owned());
    }
    parts.join(", ")
}

fn circuits(config: &Config) -> String {
    let mut table = Table::new(&[
        "circuit",
        "fuse",
        "reserve",
        "power",
        "asymmetry",
        "meter",
        "failsafe",
        "limit signal",
    ]);
    for root in config
        .circuits
        .iter()
        .filter(|circuit| circuit.parent.is_none())
    {
        add_circuit(&mut table, config, root, 0);
    }
    table.render()
}

fn add_circuit(table: &mut Table, config: &Config, circuit: &Circuit, depth: usize) {
    let metered = circuit.meter.is_some();
    table.row(vec![
        format!("{}{}", "  ".repeat(depth), circuit.name),
        format!("{} A", circuit.max_current),
        format!("{} A", circuit.reserve),
        circuit
            .max_power
            .map(|most| format!("{most} W"))
            .unwrap_or_default(),
        circuit
            .max_asymmetry
            .map(|most| format!("{most} A"))
            .unwrap_or_default(),
        circuit.meter.clone().unwrap_or_default(),
        if metered {
            format!("{} A", circuit.failsafe_current)
        } else {
            String::new()
        },
        circuit
            .limit_signal
            .map(|watts| format!("{watts} W"))
            .unwrap_or_default(),
    ]);
    let is_child = |it: &&Circuit| it.parent.as_ref() == Some(&circuit.name);
    for child in config.circuits.iter().filter(is_child) {
        add_circuit(table, config, child, depth + 1);
    }
}

fn meters(config: &Config) -> String {
    let mut table = Table::new(&["meter", "device", "address", "id", "poll", "values", "sign"]);
    for meter in &config.meters {
        table.row(vec![
            meter.name.clone(),
            meter.device.as_str().to_owned(),
            meter.address.to_string(),
            meter.id.to_string(),
            Written(meter.poll).to_string(),
            meter
                .registers
                .keys()
                .copied()
                .collect::<Vec<_>>()
                .join(" "),
            if meter.invert {
                "inverted".to_owned()
            } else {
                String::new()
            },
        ]);
    }
    table.render()
}

fn evses(config: &Config) -> String {
    let mut table = Table::new(&[
        "EVSE", "device", "address", "id", "circuit", "phases", "current", "priority", "weight",
        "failsafe", "idle", "",
    ]);
    for (evse, plan) in config.evses.iter().zip(&config.plan.load.evses) {
        let (device, address) = match &evse.device {
            Device::Ocpp(id) => ("ocpp1.6", id.to_string()),
            Device::PowerBrain(address) => ("power-brain", address.to_string()),
        };
        table.row(vec![
            evse.name.to_string(),
            device.to_owned(),
            address,
            evse.id.to_string(),
            plan.circuit.to_string(),
            phases(plan),
            format!("{}–{} A", plan.min, plan.max),
            plan.priority.to_string(),
            plan.weight.to_string(),
            format!("{} A", plan.failsafe),
            format!("{} A", plan.idle),
            if plan.enabled {
                String::new()
            } else {
                "disabled".to_owned()
            },
        ]);
    }
    table.render()
}

fn phases(plan: &EvsePlan) -> String {
    match plan.rotation {
        Rotation::Known(order) => order
            .iter()
            .take(usize::from(plan.phases))
            .map(ToString::to_string)
            .collect(),
        Rotation::Unknown => format!("{}, unknown", plan.phases),
    }
}

fn gateways(config: &Config) -> String {
    let mut table = Table::new(&["backend of", "url", "client id", "connector", "trusts"]);
    for evse in &config.evses {
        let Some(gateway) = &evse.gateway else {
            continue;
        };
        table.row(vec![
            evse.name.to_string(),
            gateway.url.clone(),
            gateway.client_id.clone(),
            gateway
                .connector
                .map(|it| it.to_string())
                .unwrap_or_default(),
            trust(gateway),
        ]);
    }
    table.render()
}

fn trust(gateway: &Gateway) -> String {
    match &gateway.ca {
        _ if gateway.url.starts_with("ws:") => String::new(),
        Trust::Anyone => "any certificate".to_owned(),
        Trust::System => "the machine's roots".to_owned(),
        Trust::Files(files) => {
            let files: Vec<String> = files.iter().map(|it| it.display().to_string()).collect();
            files.join(" ")
        }
    }
}

fn authorization(config: &Config) -> String {
    let authorization = &config.plan.authorization;
    let mode = match authorization.mode {
        AuthorizationMode::Open => "everybody may charge",
        AuthorizationMode::List => "only these tags may charge",
    };
    let mut table = Table::new(&["id tag", "name", "group", "expires", "EVSEs", ""]);
    for tag in &authorization.tags {
        table.row(tag_row(tag));
    }
    format!("{:<16}  {mode}\n{}", "authorization", table.render())
}

fn tag_row(tag: &TagPlan) -> Vec<String> {
    let evses = tag.evses.as_ref().map(|evses| {
        evses
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" ")
    });
    vec![
        tag.tag.masked(),
        tag.name.clone().unwrap_or_default(),
        tag.parent
            .as_ref()
            .map(|parent| parent.masked())
            .unwrap_or_default(),
        tag.expires
            .map(|expires| expires.to_string())
            .unwrap_or_default(),
        evses.unwrap_or_else(|| "all".to_owned()),
        if tag.blocked {
            "blocked".to_owned()
        } else {
            String::new()
        },
    ]
}
