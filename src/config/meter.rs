//! `[[meter]]` and `[meter.registers]`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::modbus::{self, ModbusAddress};
use super::problem::Span;
use super::reader::{Bounds, Section};
use super::value::Value as Given;
use crate::ids::MeterName;
use crate::modbus::Table;
use crate::modbus::meters::{Kind, MeterPlan, Register, RegisterType, Value, WordOrder};

/// `[[meter]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Meter {
    /// Unique.
    pub name: String,
    /// Which registers it has.
    pub device: MeterDevice,
    /// Where it is.
    pub address: ModbusAddress,
    /// Modbus unit.
    pub id: u8,
    /// How often it is read.
    pub poll: Duration,
    /// Import reads negative.
    pub invert: bool,
    /// By value; only and always for [`MeterDevice::Custom`].
    pub registers: BTreeMap<Value, Register>,
}

impl Meter {
    /// What the machine that reads it is told, if it bills nobody.
    pub fn plan(&self) -> MeterPlan {
        MeterPlan {
            name: MeterName::from(self.name.as_str()),
            kind: match self.device {
                MeterDevice::Sdm630 => Kind::Sdm630,
                MeterDevice::Sdm72 => Kind::Sdm72,
                MeterDevice::PowerBrain => Kind::PowerBrain,
                MeterDevice::SunSpec => Kind::SunSpec,
                MeterDevice::Custom => Kind::Custom(self.registers.clone()),
            },
            poll: self.poll,
            invert: self.invert,
            bills: false,
        }
    }
}

/// `meter.device`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeterDevice {
    /// Eastron SDM630.
    Sdm630,
    /// Eastron SDM72.
    Sdm72,
    /// The meter in a Power Brain.
    PowerBrain,
    /// Whatever speaks SunSpec.
    SunSpec,
    /// As `[meter.registers]` says.
    Custom,
}

impl MeterDevice {
    const ALL: [(&'static str, Self); 5] = [
        ("sdm630", Self::Sdm630),
        ("sdm72", Self::Sdm72),
        ("power-brain-meter", Self::PowerBrain),
        ("sunspec", Self::SunSpec),
        ("custom", Self::Custom),
    ];

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(_, it)| *it == self)
            .map_or("", |(word, _)| word)
    }
}

const REGISTERS: &str = "write [meter.registers] and below it for example current-l1 = { address = \
                         6, table = \"input\", type = \"f32\" }";

/// A meter, and its name as it was read.
pub(super) struct Entry {
    pub(super) name: Given<String>,
    address: Given<String>,
    /// `None` if something in it is broken.
    pub(super) meter: Option<Meter>,
}

impl Entry {
    /// Where it is, and where that stands.
    pub(super) fn place(&self) -> Option<(&ModbusAddress, &Span)> {
        Some((&self.meter.as_ref()?.address, &self.address.given()?.span))
    }
}

/// Reads every `[[meter]]`.
pub(super) fn read(file: &mut Section<'_>) -> Vec<Entry> {
    file.tables("meter", "[[meter]]")
        .into_iter()
        .map(read_one)
        .collect()
}

fn read_one(mut s: Section<'_>) -> Entry {
    let report = s.report;
    let name = s
        .text(
            "name",
            "write the name that circuits call it by, for example \"grid\"",
        )
        .and_then(|name, span| {
            if name == "evse" || name == "none" {
                let what = format!("a meter cannot be named \"{name}\"");
                report.problem(span, what, "these words mean something else in evse.meter");
                return None;
            }
            Some(name)
        });
    let device = s.choice("device", &MeterDevice::ALL);
    let address = s.text("address", "write \"host:port\" or a serial line");
    let id = s
        .integer("id", "write the Modbus unit, 1 to 247", 0, 255)
        .and_then(|id, _| u8::try_from(id).ok());
    let poll = s.duration(
        "poll",
        "write for example \"1s\"",
        Duration::from_millis(100),
        Duration::from_mins(1),
    );
    let invert = s.flag("invert");
    let registers = read_registers(&mut s, &device);
    s.finish(&["name", "device", "address"]);

    let place = modbus::read(report, &address);
    let meter = || {
        Some(Meter {
            name: name.clone().option()?,
            device: device.option()?,
            address: place?,
            id: id.or(1),
            poll: poll.or(Duration::from_secs(1)),
            invert: invert.or(false),
            registers,
        })
    };
    Entry {
        meter: meter(),
        name,
        address,
    }
}

fn read_registers(s: &mut Section<'_>, device: &Given<MeterDevice>) -> BTreeMap<Value, Register> {
    let report = s.report;
    let mut registers = BTreeMap::new();
    let Some(mut part) = s.table("registers", "[meter.registers]") else {
        if let Some(at) = device.given().filter(|at| at.value == MeterDevice::Custom) {
            report.problem(
                &at.span,
                "a custom meter needs [meter.registers]",
                REGISTERS,
            );
        }
        return registers;
    };
    let header = part.header.clone();
    for value in Value::ALL {
        if let Some(register) = part.table(value.as_str(), value.as_str()) {
            registers.insert(value, read_register(register));
        }
    }
    part.finish(&[]);
    match device.given().map(|at| at.value) {
        None => {}
        Some(MeterDevice::Custom) if registers.contains_key(&Value::CurrentL1) => {}
        Some(MeterDevice::Custom) => {
            let what = "a meter without current-l1 guards nothing";
            report.problem(&header, what, REGISTERS);
        }
        Some(known) => {
            let what = format!("the registers of \"{}\" are known", known.as_str());
            report.problem(
                &header,
                what,
                "leave [meter.registers] out, or write device = \"custom\"",
            );
        }
    }
    registers
}

fn read_register(mut s: Section<'_>) -> Register {
    let address = s.integer(
        "address",
        "write the number of the register, from 0",
        0,
        65_535,
    );
    let register = Register {
        address: address.and_then(|it, _| u16::try_from(it).ok()).or(0),
        table: s
            .choice(
                "table",
                &[("input", Table::Input), ("holding", Table::Holding)],
            )
            .or(Table::Input),
        kind: s
            .choice(
                "type",
                &[
                    ("i16", RegisterType::I16),
                    ("u16", RegisterType::U16),
                    ("i32", RegisterType::I32),
                    ("u32", RegisterType::U32),
                    ("i64", RegisterType::I64),
                    ("u64", RegisterType::U64),
                    ("f32", RegisterType::F32),
                    ("f64", RegisterType::F64),
                ],
            )
            .or(RegisterType::F32),
        scale: read_scale(&mut s),
        word_order: s
            .choice(
                "word-order",
                &[("big", WordOrder::Big), ("little", WordOrder::Little)],
            )
            .or(WordOrder::Big),
    };
    s.finish(&["address", "table", "type"]);
    register
}

fn read_scale(s: &mut Section<'_>) -> f64 {
    const REMEDY: &str = "write what the number is multiplied by, for example 0.1";
    let report = s.report;
    s.number("scale", REMEDY, Bounds::Between(-1e6, 1e6))
        .and_then(|scale, span| {
            if scale == 0.0 {
                report.problem(span, "scale must not be 0", REMEDY);
                return None;
            }
            Some(scale)
        })
        .or(1.0)
}
