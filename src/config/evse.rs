//! `[[evse]]` and `[evse.ocpp]`.

mod rules;

pub(super) use rules::{check_addresses, check_mixing, check_references};

use super::authorization::TAG_LENGTH;
use super::gateway::{self, Gateway};
use super::modbus::{self, ModbusAddress};
use super::problem::{Report, Span};
use super::reader::{Bounds, Section};
use super::secret::Secret;
use super::value::Value;
use crate::central_system::ProfileSettings;
use crate::central_system::plan::{Kind, Purpose, Unit};
use crate::ids::{ChargeBoxId, CircuitName, EvseName, IdTag};
use crate::load::Rotation;
use crate::units::{MilliAmps, Phase};

/// `[[evse]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evse {
    /// Unique.
    pub name: EvseName,
    /// What it is, and where.
    pub device: Device,
    /// OCPP connector id or Modbus unit id.
    pub id: u32,
    /// Takes part.
    pub enabled: bool,
    /// Where it hangs; `None`: at the root.
    pub circuit: Option<CircuitName>,
    /// Wired phases: 1, 2 or 3.
    pub phases: u8,
    /// Which grid phases they are.
    pub rotation: Rotation,
    /// Less than this is nothing.
    pub min_current: MilliAmps,
    /// Never more than this.
    pub max_current: MilliAmps,
    /// Higher first, 0–9.
    pub priority: i32,
    /// Share among equals, 1–100.
    pub weight: i32,
    /// What it may draw when nobody can reach it; `None`: the default, which gives way where it
    /// does not fit.
    pub failsafe_current: Option<MilliAmps>,
    /// What it is allowed without a transaction.
    pub idle_current: MilliAmps,
    /// Used where no card can be read.
    pub fixed_id_tag: Option<IdTag>,
    /// What measures it.
    pub meter: EvseMeter,
    /// `[evse.ocpp]`: how a wallbox is limited.
    pub profile: ProfileSettings,
    /// `evse.ocpp.step`: offers are multiples of this; `None`: of [`DEFAULT_STEP`].
    pub step: Option<MilliAmps>,
    /// `evse.ocpp.password`: its own instead of the server's.
    pub password: Option<Secret>,
    /// `[evse.gateway]`: its backend.
    pub gateway: Option<Gateway>,
}

/// `evse.device` and `evse.address`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Device {
    /// An OCPP 1.6J wallbox with this ChargeBox ID.
    Ocpp(ChargeBoxId),
    /// A Power Brain at this Modbus address.
    PowerBrain(ModbusAddress),
}

/// `evse.meter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EvseMeter {
    /// Its own.
    Evse,
    /// None.
    None,
    /// A `[[meter]]` of this name.
    Meter(String),
}

/// An EVSE whose references are not judged yet.
pub(super) struct Entry {
    pub(super) name: Value<String>,
    address: Value<String>,
    header: Span,
    pub(super) gateway: Option<gateway::Entry>,
    /// `None` if something in it is broken that has no stand-in.
    pub(super) evse: Option<Evse>,
    circuit: Value<String>,
    meter: Value<String>,
    id: Value<u32>,
    /// Where a profile is chosen that limits the whole wallbox.
    limits_all: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum DeviceKind {
    Ocpp,
    PowerBrain,
}

impl DeviceKind {
    const WORDS: [(&'static str, Self); 2] =
        [("ocpp1.6", Self::Ocpp), ("power-brain", Self::PowerBrain)];
}

/// Reads every `[[evse]]`.
pub(super) fn read(file: &mut Section<'_>) -> Vec<Entry> {
    file.tables("evse", "[[evse]]")
        .into_iter()
        .map(read_one)
        .collect()
}

fn read_one(mut section: Section<'_>) -> Entry {
    let s = &mut section;
    let header = s.header.clone();
    let name = s.text(
        "name",
        "write the name that it has in the status, for example \"left\"",
    );
    let kind = s.choice("device", &DeviceKind::WORDS);
    let address = s.text(
        "address",
        "write the ChargeBox ID, or where the Power Brain is",
    );
    let id = read_id(s, &kind);
    let circuit = s.text("circuit", "write the name of a [[circuit]]");
    let phases = s.integer("phases", "write how many phases are wired: 1, 2 or 3", 1, 3);
    let rotation = read_rotation(s);
    let currents = Currents::read(s);
    let meter = s.text(
        "meter",
        "write \"evse\", \"none\" or the name of a [[meter]]",
    );
    let (enabled, priority, weight) = read_share(s);
    let tag = s.short_text("fixed-id-tag", "write at most 20 characters", TAG_LENGTH);
    let ocpp = read_ocpp(s, &kind);
    let gateway = s.table("gateway", "[evse.gateway]").map(gateway::read);

    if let (Some(DeviceKind::PowerBrain), Some(at)) = (kind.given().map(|at| at.value), &gateway) {
        let what = "the OCPP client of the Power Brain itself must be off: with both, the backend \
                    bills every session twice";
        let remedy = "leave the OCPP gateway URL in the box's own web interface empty";
        s.report.warning(&at.span, what, remedy);
    }
    let device = read_device(s.report, &kind, &address);
    section.finish(&["name", "device", "address", "max-current"]);
    let evse = device.map(|device| Evse {
        name: EvseName::from(name.clone().option().unwrap_or_default().as_str()),
        device,
        id: id.clone().or(1),
        enabled,
        circuit: circuit.given().map(|at| CircuitName::from(at.as_str())),
        phases: phases.and_then(|n, _| u8::try_from(n).ok()).or(3),
        rotation,
        min_current: currents.min.clone().or(DEFAULT_MIN),
        max_current: currents.max.clone().or(MilliAmps::ZERO),
        priority,
        weight,
        failsafe_current: currents.failsafe.clone().option(),
        idle_current: currents.idle.clone().or(MilliAmps::ZERO),
        fixed_id_tag: tag.option().map(|tag| IdTag::from(tag.as_str())),
        meter: evse_meter(&meter),
        profile: ocpp.profile,
        step: ocpp.step,
        password: ocpp.password,
        gateway: gateway.as_ref().map(|at| at.value.clone()),
    });
    Entry {
        name,
        address,
        header,
        gateway,
        evse,
        circuit,
        meter,
        id,
        limits_all: ocpp.limits_all,
    }
}

fn evse_meter(meter: &Value<String>) -> EvseMeter {
    match meter.given().map(|at| at.as_str()) {
        None | Some("evse") => EvseMeter::Evse,
        Some("none") => EvseMeter::None,
        Some(name) => EvseMeter::Meter(name.to_owned()),
    }
}

fn read_id(s: &mut Section<'_>, kind: &Value<DeviceKind>) -> Value<u32> {
    match kind.given().map(|at| at.value) {
        Some(DeviceKind::PowerBrain) => s.integer("id", "write the Modbus unit, 1 to 247", 1, 247),
        Some(DeviceKind::Ocpp) | None => {
            s.integer("id", "write the number of the connector: 1, 2, …", 1, 999)
        }
    }
}

fn read_device(
    report: &Report<'_>,
    kind: &Value<DeviceKind>,
    address: &Value<String>,
) -> Option<Device> {
    match kind.given()?.value {
        DeviceKind::PowerBrain => modbus::read(report, address).map(Device::PowerBrain),
        DeviceKind::Ocpp => {
            let at = address.given()?;
            // A slash alone is legal: wallboxes send it percent-encoded.
            if at.contains("://") {
                let remedy = "write only what the wallbox calls itself, the last part of its URL";
                report.problem(&at.span, "a ChargeBox ID is no URL", remedy);
                return None;
            }
            Some(Device::Ocpp(ChargeBoxId::from(at.as_str())))
        }
    }
}

fn read_share(s: &mut Section<'_>) -> (bool, i32, i32) {
    let small = |value: Value<u32>| value.and_then(|n, _| i32::try_from(n).ok()).or(1);
    (
        s.flag("enabled").or(true),
        small(s.integer("priority", "write 0 to 9; higher comes first", 0, 9)),
        small(s.integer(
            "weight",
            "write 1 to 100; twice the weight is twice the share",
            1,
            100,
        )),
    )
}

fn read_rotation(s: &mut Section<'_>) -> Rotation {
    use Phase::{L1, L2, L3};
    s.choice(
        "rotation",
        &[
            ("L1L2L3", Rotation::Known([L1, L2, L3])),
            ("L2L3L1", Rotation::Known([L2, L3, L1])),
            ("L3L1L2", Rotation::Known([L3, L1, L2])),
            ("L1L3L2", Rotation::Known([L1, L3, L2])),
            ("L2L1L3", Rotation::Known([L2, L1, L3])),
            ("L3L2L1", Rotation::Known([L3, L2, L1])),
            ("unknown", Rotation::Unknown),
        ],
    )
    .or(Rotation::L1L2L3)
}

/// `evse.ocpp.step`, unless the file says otherwise.
pub const DEFAULT_STEP: MilliAmps = MilliAmps(100);

/// `evse.min-current`, unless the file says otherwise.
const DEFAULT_MIN: MilliAmps = MilliAmps::from_amps(6);

struct Currents {
    min: Value<MilliAmps>,
    max: Value<MilliAmps>,
    failsafe: Value<MilliAmps>,
    idle: Value<MilliAmps>,
}

impl Currents {
    fn read(s: &mut Section<'_>) -> Self {
        let some = Bounds::Positive(1000.0);
        let none_too = Bounds::Between(0.0, 1000.0);
        let currents = Self {
            min: s.amps(
                "min-current",
                "write the least that a car charges with, usually 6",
                some,
            ),
            max: s.amps(
                "max-current",
                "write what the EVSE and its cable carry in A per phase, for example 16",
                some,
            ),
            failsafe: s.amps(
                "failsafe-current",
                "write what it may draw when nobody can reach it in A per phase, 0 for nothing",
                none_too,
            ),
            idle: s.amps(
                "idle-current",
                "write what the wallbox is allowed without a transaction in A per phase",
                none_too,
            ),
        };
        currents.check(s);
        currents
    }

    fn check(&self, s: &Section<'_>) {
        let Some(max) = self.max.given() else {
            return;
        };
        if let Some(min) = self.min.known(DEFAULT_MIN).filter(|min| *min > max.value) {
            let (span, default) = match self.min.given() {
                Some(given) => (&given.span, ""),
                None => (&max.span, "the default of "),
            };
            let what = format!(
                "{default}min-current, {min} A, is above max-current, {} A",
                max.value
            );
            s.report.problem(
                span,
                what,
                "min-current is at most max-current, and usually 6",
            );
        }
        for (key, current) in [
            ("failsafe-current", &self.failsafe),
            ("idle-current", &self.idle),
        ] {
            if let Some(at) = current.given().filter(|at| at.value > max.value) {
                let what = format!("{key} is above max-current, {} A", max.value);
                s.report
                    .problem(&at.span, what, format!("write at most {}", max.value));
            }
        }
    }
}

#[derive(Default)]
struct Ocpp {
    profile: ProfileSettings,
    limits_all: Option<Span>,
    step: Option<MilliAmps>,
    password: Option<Secret>,
}

fn read_ocpp(evse: &mut Section<'_>, kind: &Value<DeviceKind>) -> Ocpp {
    let report = evse.report;
    let Some(mut s) = evse.table("ocpp", "[evse.ocpp]") else {
        return Ocpp::default();
    };
    if kind
        .given()
        .is_some_and(|at| at.value == DeviceKind::PowerBrain)
    {
        let what = "a Power Brain does not speak OCPP";
        report.problem(&s.header, what, "leave [evse.ocpp] out");
    }
    let purpose = s.choice(
        "profile",
        &[
            ("tx-default", Purpose::TxDefault),
            ("tx", Purpose::Tx),
            ("charge-point-max", Purpose::ChargePointMax),
        ],
    );
    let limits_all = purpose
        .given()
        .filter(|at| at.value == Purpose::ChargePointMax)
        .map(|at| at.span.clone());
    let profile = ProfileSettings {
        purpose: purpose.option(),
        kind: s
            .choice(
                "kind",
                &[("relative", Kind::Relative), ("absolute", Kind::Absolute)],
            )
            .option(),
        stack_level: s
            .integer("stack-level", "write a whole number from 0", 0, 1_000_000)
            .option(),
        unit: s
            .choice("unit", &[("A", Unit::Amps), ("W", Unit::Watts)])
            .option(),
        remote_start: s.flag("remote-start").or(false),
        clear_on_connect: s.flag("clear-on-connect").or(false),
    };
    let ocpp = Ocpp {
        profile,
        limits_all,
        step: read_step(&mut s),
        password: s.password().option(),
    };
    s.finish(&[]);
    ocpp
}

fn read_step(s: &mut Section<'_>) -> Option<MilliAmps> {
    const REMEDY: &str = "write 1.0, 0.1 or 0.001: the wallbox is offered multiples of this many A";
    let report = s.report;
    s.amps("step", REMEDY, Bounds::Positive(1.0))
        .and_then(|step, span| {
            if !matches!(step.0, 1 | 100 | 1000) {
                report.problem(span, "step must be 1.0, 0.1 or 0.001", REMEDY);
                return None;
            }
            Some(step)
        })
        .option()
}

impl Entry {
    /// Where it is, if it speaks Modbus, and where that stands.
    pub(super) fn place(&self) -> Option<(&ModbusAddress, &Span)> {
        match &self.evse.as_ref()?.device {
            Device::PowerBrain(address) => Some((address, &self.address.given()?.span)),
            Device::Ocpp(_) => None,
        }
    }
}
