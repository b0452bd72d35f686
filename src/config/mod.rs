//! The configuration file: model, loading with positions, checks; builds the plan.
//!
//! [`load`] reads the file once, section by section, and reports every mistake that it finds: a
//! person who corrects a file wants to do it in one go. Each section has a file of its own here,
//! with what it means, its defaults and the rules inside it. Rules between sections (names,
//! the tree of circuits, addresses, backends, failsafe currents) follow when all are read.

mod authorization;
mod backends;
mod circuit;
pub mod duration;
mod evse;
mod failsafe;
mod files;
mod gateway;
mod manager;
mod meter;
mod modbus;
mod names;
mod plan;
mod problem;
mod reader;
mod secret;
mod server;
mod suggest;
mod value;

use std::path::Path;

use toml::de::DeTable;

pub use circuit::Circuit;
pub use evse::{DEFAULT_STEP, Device, Evse, EvseMeter};
pub use files::KeyPair;
pub(crate) use files::remedy_if_open;
pub use gateway::{Boot, Gateway, Trust};
pub use manager::{DEFAULT_CONTROL_SOCKET, LoadManagement, Log, LogFormat, Manager, OnShutdown};
pub use meter::{Meter, MeterDevice};
pub use modbus::{ModbusAddress, Parity};
pub use problem::{Finding, Place, Problems, Warning};
pub use secret::Secret;
pub use server::{ClientName, Server, TlsMode};

use self::names::Names;
use self::problem::Report;
use self::reader::Section;
use self::value::At;
use crate::clock::Timestamp;
use crate::ids::DeviceId;
use crate::load::WhenDisabled;
use crate::site::Plan;

/// Where the daemon looks for its configuration, unless told otherwise.
pub const DEFAULT_PATH: &str = "/etc/chargewarden/chargewarden.toml";

/// A configuration that passed every check.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `[manager]`.
    pub manager: Manager,
    /// `[log]`.
    pub log: Log,
    /// `[ocpp-server]`, and the passwords of single wallboxes.
    pub server: Server,
    /// Every `[[circuit]]`; parents come before their children.
    pub circuits: Vec<Circuit>,
    /// Every `[[meter]]`, in the order of the file.
    pub meters: Vec<Meter>,
    /// Every `[[evse]]`, in the order of the file.
    pub evses: Vec<Evse>,
    /// All of it that the pure core needs.
    pub plan: Plan,
    /// What is understood, but does not work in this version; see [`refusal`](Self::refusal).
    pub unsupported: Vec<String>,
}

/// Where a Modbus device of the plan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModbusDevice<'a> {
    /// Which.
    pub id: DeviceId,
    /// Its line.
    pub address: &'a ModbusAddress,
    /// Its unit there.
    pub unit: u8,
}

impl Config {
    /// Everything that is read and written over Modbus, as the plan counts it.
    pub fn modbus_devices(&self) -> impl Iterator<Item = ModbusDevice<'_>> {
        let wallboxes = self
            .evses
            .iter()
            .filter_map(move |evse| match &evse.device {
                Device::PowerBrain(address) => Some((address, u8::try_from(evse.id).unwrap_or(1))),
                Device::Ocpp(_) => None,
            });
        let wallboxes = wallboxes
            .enumerate()
            .map(|(place, (address, unit))| ModbusDevice {
                id: DeviceId::ChargePoint(place),
                address,
                unit,
            });
        let meters = self.meters.iter().enumerate();
        wallboxes.chain(meters.map(|(place, meter)| ModbusDevice {
            id: DeviceId::Meter(place),
            address: &meter.address,
            unit: meter.id,
        }))
    }

    /// Why this version cannot run this configuration: one sentence, `None` if it can.
    pub fn refusal(&self) -> Option<String> {
        let parts = self.unsupported.join(", ");
        (!parts.is_empty())
            .then(|| format!("this version cannot run this configuration yet: {parts}"))
    }
}

/// Reads and judges a configuration file, whatever the time is.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: &Path) -> Result<(Config, Vec<Warning>), Problems> {
    load_and_judge(path, None)
}

/// The same, and warns of certificates that do not hold `now`.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file.
pub fn load_at(path: &Path, now: Timestamp) -> Result<(Config, Vec<Warning>), Problems> {
    load_and_judge(path, Some(now))
}

fn load_and_judge(path: &Path, now: Option<Timestamp>) -> Result<(Config, Vec<Warning>), Problems> {
    let whole = |what, remedy| Problems(vec![Finding::of_file(path, what, remedy)]);
    let bytes = std::fs::read(path).map_err(|error| {
        let remedy = "check the path and who may read it; --config FILE names another file";
        whole(format!("cannot be read: {error}"), remedy)
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| whole("is not UTF-8".to_owned(), "save it as UTF-8 text"))?;
    judge(path, &text, now)
}

/// Judges the text of a configuration file; `path` is where it stands, or would stand.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file.
pub fn read(path: &Path, text: &str) -> Result<(Config, Vec<Warning>), Problems> {
    judge(path, text, None)
}

fn judge(
    path: &Path,
    text: &str,
    now: Option<Timestamp>,
) -> Result<(Config, Vec<Warning>), Problems> {
    let report = Report::new(path, text).at(now);
    let config = match DeTable::parse(text) {
        Ok(table) => read_file(Section::of_file(&report, table.get_ref())),
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            let (what, remedy) = syntax(error.message());
            report.problem(&at, what, remedy);
            None
        }
    };
    report.finish(config)
}

fn read_file(mut file: Section<'_>) -> Option<Config> {
    let report = file.report;
    let manager = manager::read_manager(&mut file);
    let log = manager::read_log(&mut file);
    let (mut server, names_wallbox) = server::read(&mut file);
    let circuits = circuit::read(&mut file);
    let meters = meter::read(&mut file);
    let evses = evse::read(&mut file);
    let circuit_names = Names::collect(report, "[[circuit]]", circuits.iter().map(|it| &it.name));
    let meter_names = Names::collect(report, "[[meter]]", meters.iter().map(|it| &it.name));
    let evse_names = Names::collect(report, "[[evse]]", evses.iter().map(|it| &it.name));
    let authorization = authorization::read(&mut file, &evse_names);
    file.finish(&[]);

    for at in circuits.iter().filter_map(|it| it.meter.given()) {
        meter_names.check(report, at, &at.span);
    }
    evse::check_references(report, &evses, &circuit_names, &meter_names);
    evse::check_addresses(report, &evses);
    let wallboxes = evses.iter().filter_map(evse::Entry::place);
    let meter_places = meters.iter().filter_map(meter::Entry::place);
    modbus::check_lines(report, wallboxes.chain(meter_places));
    let gateways: Vec<_> = evses.iter().filter_map(|it| it.gateway.as_ref()).collect();
    gateway::check_identities(report, &gateways);
    let observe = manager.load_management == LoadManagement::Observe;
    evse::check_mixing(report, &evses, observe);
    let releases = manager.when_disabled == WhenDisabled::Release
        || manager.on_shutdown == OnShutdown::Release;
    evse::check_release(report, &evses, releases);
    let circuits = circuit::tree(report, &circuit_names, circuits);
    if !report.is_clean() {
        return None;
    }

    let evses: Vec<Evse> = evses.into_iter().filter_map(|it| it.evse).collect();
    let meters: Vec<Meter> = meters.into_iter().filter_map(|it| it.meter).collect();
    let failsafe = failsafe::currents(report, &circuits, &evses, manager.voltage);
    let circuits: Vec<Circuit> = circuits.into_iter().map(|At { value, .. }| value).collect();
    if let Some(span) = &names_wallbox {
        let ids = evses.iter().filter_map(|it| match &it.device {
            Device::Ocpp(id) => Some(id),
            Device::PowerBrain(_) => None,
        });
        server::check_authorities(report, span, &server.client_ca, &ids.collect::<Vec<_>>());
    }
    for evse in &evses {
        if let (Device::Ocpp(id), Some(password)) = (&evse.device, &evse.password) {
            server.passwords.insert(id.clone(), password.clone());
        }
    }
    let plan = plan::build(
        &manager,
        &server,
        authorization,
        &circuits,
        &meters,
        &evses,
        &failsafe,
    );
    let mut config = Config {
        manager,
        log,
        server,
        circuits,
        meters,
        evses,
        plan,
        unsupported: Vec::new(),
    };
    config.unsupported = unsupported(&config);
    Some(config)
}

/// What has a meaning in the file and none yet in the daemon. Keys that matter only beside a
/// meter or a backend are covered by these.
fn unsupported(config: &Config) -> Vec<String> {
    let mut parts = Vec::new();
    for evse in &config.evses {
        let name = &evse.name;
        let is_ocpp = matches!(evse.device, Device::Ocpp(_));
        // With an OCPP wallbox it is the tag of a start that we ask for.
        if is_ocpp && evse.fixed_id_tag.is_some() && !evse.profile.remote_start {
            parts.push(format!("fixed-id-tag of {name} without remote-start"));
        }
    }
    parts
}

/// What is wrong and what to do, from the parser's message.
fn syntax(message: &str) -> (&str, &'static str) {
    let quotes = "put text in double quotes: key = \"text\"; numbers, true and false stand without";
    if message.starts_with("invalid float") {
        // The parser guesses from the first letter: `info` could have become `inf`.
        ("a value that TOML does not know", quotes)
    } else if message.starts_with("string values must be quoted")
        || message.starts_with("invalid basic string")
    {
        (message, quotes)
    } else if message.starts_with("duplicate key") {
        let remedy = "keep one of them; sections that may come several times have double \
                      brackets: [[evse]]";
        (message, remedy)
    } else if message.starts_with("key with no value") {
        let remedy = "write key = value; a section stands in brackets: [manager] or [[evse]]";
        (message, remedy)
    } else {
        let remedy = "the file is TOML: [section] lines, and below each key = value";
        (message, remedy)
    }
}
