//! `check`: judges a configuration and prints what it understood.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::columns::Table;
use super::{exit, output};
use crate::central_system::plan::{Kind, Purpose, Unit};
use crate::config::duration::Written;
use crate::config::{
    self, Circuit, ClientName, Config, Device, Evse, EvseMeter, Gateway, LoadManagement, TlsMode,
    Trust, Warning,
};
use crate::daemon::clock::Clock;
use crate::gateway::{GatewayPlan, shown_url};
use crate::ids::IdTag;
use crate::load::{EvsePlan, PriorityMode, Rotation};
use crate::site::{AuthorizationMode, TagPlan};

/// Reads the file and prints it, or what is wrong with it.
pub(super) fn check(path: &Path) -> ExitCode {
    match config::load_at(path, Clock::start().now().wall) {
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
        meters(config),
        evses(config),
        gateways(config),
        tags(config),
    ];
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
        ("authorization", authorization(config).to_owned()),
    ];
    let mut text = String::new();
    for (label, value) in lines {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label:<16}  {value}");
    }
    text
}

fn authorization(config: &Config) -> &'static str {
    match config.plan.authorization.mode {
        AuthorizationMode::Open => "everybody may charge",
        AuthorizationMode::List => "only the listed tags may charge",
    }
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
    match (server.client_ca.is_empty(), server.client_name) {
        (true, _) => {}
        (false, ClientName::Any) => parts.push("client certificates".to_owned()),
        (false, ClientName::ChargeBoxId) => {
            parts.push("client certificates that name the ChargeBox ID".to_owned());
        }
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
                .map(|value| value.as_str())
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
        "failsafe", "idle", "special",
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
            special(evse).join(", "),
        ]);
    }
    table.render()
}

/// What is not as it usually is.
fn special(evse: &Evse) -> Vec<String> {
    let profile = &evse.profile;
    let purpose = profile.purpose.map(|purpose| match purpose {
        Purpose::TxDefault => "tx-default",
        Purpose::Tx => "tx",
        Purpose::ChargePointMax => "charge-point-max",
    });
    let kind = profile.kind.map(|kind| match kind {
        Kind::Relative => "relative",
        Kind::Absolute => "absolute",
    });
    let unit = profile.unit.map(|unit| match unit {
        Unit::Amps => "in A",
        Unit::Watts => "in W",
    });
    let words = [
        (!evse.enabled).then_some("disabled"),
        purpose,
        kind,
        unit,
        profile.remote_start.then_some("remote-start"),
        profile.clear_on_connect.then_some("clear-on-connect"),
        evse.password.is_some().then_some("own password"),
        evse.fixed_id_tag.is_some().then_some("fixed tag"),
    ];
    let mut special: Vec<String> = words.into_iter().flatten().map(str::to_owned).collect();
    special.extend(
        profile
            .stack_level
            .map(|level| format!("stack level {level}")),
    );
    special.extend(evse.step.map(|step| format!("steps of {step} A")));
    match &evse.meter {
        EvseMeter::Evse => {}
        EvseMeter::None => special.push("no meter".to_owned()),
        EvseMeter::Meter(name) => special.push(format!("meter {name}")),
    }
    special
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
    let connectors: BTreeMap<_, _> = config
        .plan
        .gateways
        .iter()
        .flat_map(GatewayPlan::connectors)
        .collect();
    for evse in &config.evses {
        let Some(gateway) = &evse.gateway else {
            continue;
        };
        table.row(vec![
            evse.name.to_string(),
            shown_url(&gateway.url).into_owned(),
            gateway.client_id.clone(),
            connectors
                .get(&evse.name)
                .map(ToString::to_string)
                .unwrap_or_default(),
            trust(gateway),
        ]);
    }
    table.render()
}

fn trust(gateway: &Gateway) -> String {
    match &gateway.ca {
        _ if !gateway.has_tls() => String::new(),
        Trust::Anyone => "any certificate".to_owned(),
        Trust::System => "the machine's roots".to_owned(),
        Trust::Files(files) => {
            let files: Vec<String> = files.iter().map(|it| it.display().to_string()).collect();
            files.join(" ")
        }
    }
}

fn tags(config: &Config) -> String {
    let mut table = Table::new(&["id tag", "name", "group", "expires", "EVSEs", ""]);
    for tag in &config.plan.authorization.tags {
        table.row(tag_row(tag));
    }
    table.render()
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
        tag.parent.as_ref().map(IdTag::masked).unwrap_or_default(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_what_it_understood_and_no_password() {
        let path = Path::new("site.toml");
        let text = r#"
[manager]
rotation-period = "1h 30min"
[ocpp-server]
password = "geheim"
[authorization]
mode = "list"
[[authorization.id-tag]]
tag = "04A2B3C4D5"
name = "Ms Example"
blocked = true
[[circuit]]
name = "house"
max-current = 63.5
meter = "grid"
max-asymmetry = 20
[[circuit]]
name = "garage"
parent = "house"
max-current = 32
[[meter]]
name = "grid"
device = "sdm630"
address = "192.0.2.50:502"
[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-1"
circuit = "garage"
phases = 1
rotation = "L2L3L1"
max-current = 16
failsafe-current = 0
[evse.ocpp]
step = 1.0
remote-start = true
password = "geheim"
[[evse]]
name = "right"
device = "power-brain"
address = "/dev/ttyUSB0,9600,8,n,1"
id = 2
max-current = 16
enabled = false
[evse.gateway]
url = "wss://backend.example/path/"
client-id = "DE*ABC*E1"
password = "geheim"
"#;
        let (config, warnings) = config::read(path, text).unwrap();
        insta::assert_snapshot!(understood(path, &config, &warnings), @r#"
        site.toml: no mistakes

        load management   control
        sharing           the higher priority is filled first
        rotation          every 1h 30min while cars wait
        voltage           230 V
        state             /var/lib/chargewarden
        control socket    /run/chargewarden/control.sock
        OCPP server       ws and wss on port 19520 of ::, password, self-signed certificate
        authorization     only the listed tags may charge

          circuit   fuse    reserve  asymmetry  meter  failsafe
          house     63.5 A  1 A      20 A       grid   0 A
            garage  32 A    0 A

          meter  device  address         id  poll
          grid   sdm630  192.0.2.50:502  1   1s

          EVSE   device       address                  id  circuit  phases  current  priority  weight  failsafe  idle  special
          left   ocpp1.6      CB-1                     1   garage   L2      6–16 A   1         1       0 A       0 A   remote-start, own password, steps of 1 A
          right  power-brain  /dev/ttyUSB0,9600,8,n,1  2   house    L1L2L3  6–16 A   1         1       6 A       0 A   disabled

          backend of  url                          client id  connector  trusts
          right       wss://backend.example/path/  DE*ABC*E1  1          any certificate

          id tag   name        EVSEs
          04A2…D5  Ms Example  all    blocked

        site.toml:45:1: warning: any server certificate is accepted as the backend's
           45 | [evse.gateway]
              | ^^^^^^^^^^^^^^
           remedy: add ca with the backend's root certificate, or ca = "system"

        site.toml:45:1: warning: the OCPP client of the Power Brain itself must be off: with both, the backend bills every session twice
           45 | [evse.gateway]
              | ^^^^^^^^^^^^^^
           remedy: leave the OCPP gateway URL in the box's own web interface empty
        "#);
    }
}
