//! The registers of a cFos Power Brain (vendor's register map of 2025): what is read in which
//! blocks, what it means, and what may be written.
//!
//! Big-endian bytes, high word first. Everything is a holding register (function codes 3, 6, 16).

use super::{Request, Table};
use crate::units::{MilliAmps, PerPhase, WattHours, Watts};

/// The vendor's number; it stands in the high word of two registers.
pub const VENDOR_ID: u16 = 8000;
/// Major and minor version of the firmware, one byte each.
pub const PRODUCT_VERSION: u16 = 8004;
/// Its build. Quirk: the version is documented with two registers, of which this is the second.
pub const PRODUCT_BUILD: u16 = 8005;
/// Serial number, 8 registers of text.
pub const SERIAL_NUMBER: u16 = 8008;
/// Name, 16 registers of text; the first half is enough to know it.
pub const NAME: u16 = 8016;
/// Attached meter: bit 0 = its currents are those of individual phases.
pub const METER_FLAGS: u16 = 8057;
/// Attached meter: energy, four registers, Wh.
pub const METER_ENERGY: u16 = 8058;
/// Attached meter: power, two registers, W; -1 = none.
pub const METER_POWER: u16 = 8062;
/// Attached meter: current of L1, two registers, 0.1 A; those of L2 and L3 follow.
pub const METER_CURRENT_L1: u16 = 8064;
/// What the limit is after a start of the device (flash), 0.1 A.
pub const DEFAULT_LIMIT: u16 = 8081;
/// Whether it charges after a start of the device (flash).
pub const DEFAULT_ENABLE: u16 = 8082;
/// Seconds without a request until it falls back (flash), two registers; 0 = never.
pub const FAIL_SAFE_AFTER: u16 = 8083;
/// What it then allows (flash), 0.1 A; 0 = nothing.
pub const FAIL_SAFE_CURRENT: u16 = 8085;
/// Written: the control pilot is cut for so many seconds. Read: how many are left.
pub const CUT_PILOT: u16 = 8086;
/// 0 = contactor for all phases, 1 = for the first phase.
pub const SINGLE_PHASE: u16 = 8087;
/// The second relay.
pub const RELAY_2: u16 = 8088;
/// What the cable carries, 0.1 A; 0 = no cable.
pub const CABLE_CURRENT: u16 = 8090;
/// State of the control pilot.
pub const PILOT: u16 = 8092;
/// The limit, 0.1 A, 6–63 A.
pub const LIMIT: u16 = 8093;
/// 1 = may charge. Whoever writes it starts the car without a card.
pub const ENABLE: u16 = 8094;
/// The current that it signals to the car, 0.1 A.
pub const SIGNALLED_CURRENT: u16 = 8095;
/// The last card, 15 registers of text.
pub const CARD: u16 = 8096;
/// How many cards were presented; wraps.
pub const CARDS: u16 = 8111;
/// Not 0 = a meter is attached.
pub const HAS_METER: u16 = 8112;
/// Inputs; bit 8 = phases may be switched while a car is plugged.
pub const INPUTS: u16 = 8113;
/// How often the hardware was started (flash), two registers.
pub const RESTARTS: u16 = 8120;

/// What [`VENDOR_ID`] says.
const CFOS: u16 = 0xCF05;

/// The name depends on the firmware; this it always begins with.
const NAME_PREFIX: &str = "cFos";

/// The least that a limit can be; less is said with [`ENABLE`].
pub const LEAST_LIMIT: MilliAmps = MilliAmps::from_amps(6);

/// The largest limit.
pub const LARGEST_LIMIT: MilliAmps = MilliAmps::from_amps(63);

/// No phase of a wallbox carries more; what says so is no measurement.
const ABSURD_CURRENT: MilliAmps = MilliAmps::from_amps(200);

/// Nor does it draw more.
const ABSURD_POWER: Watts = Watts(150_000);

/// Registers that are read with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Who it is.
    Identity,
    /// How often it was started.
    Restarts,
    /// What holds after a start, and what when nobody asks it any more.
    Defaults,
    /// Everything that changes.
    Poll,
    /// The first part of [`Block::Poll`], where a device refuses to read over the gap at 8089.
    Outputs,
    /// The second part.
    State,
    /// The attached meter.
    Meter,
}

impl Block {
    /// Its first register, and how many there are.
    const fn place(self) -> (u16, u16) {
        match self {
            Self::Identity => (VENDOR_ID, 24),
            Self::Restarts => (RESTARTS, 2),
            Self::Defaults => (DEFAULT_LIMIT, 5),
            Self::Poll => (CUT_PILOT, 28),
            Self::Outputs => (CUT_PILOT, 3),
            Self::State => (CABLE_CURRENT, 24),
            Self::Meter => (METER_FLAGS, 13),
        }
    }

    /// The request that reads it.
    pub const fn request(self) -> Request {
        let (address, count) = self.place();
        Request::Read {
            table: Table::Holding,
            address,
            count,
        }
    }

    /// What was read, if it is as long as it should be.
    pub fn registers(self, values: &[u16]) -> Option<Registers<'_>> {
        let (first, count) = self.place();
        (values.len() == usize::from(count)).then_some(Registers { first, values })
    }
}

/// Registers in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registers<'a> {
    first: u16,
    values: &'a [u16],
}

impl<'a> Registers<'a> {
    /// As they came.
    pub const fn values(&self) -> &'a [u16] {
        self.values
    }

    /// One register.
    pub fn u16(&self, address: u16) -> Option<u16> {
        let place = address.checked_sub(self.first)?;
        self.values.get(usize::from(place)).copied()
    }

    /// Two registers.
    pub fn u32(&self, address: u16) -> Option<u32> {
        let (high, low) = (self.u16(address)?, self.u16(address + 1)?);
        Some(u32::from(high) << 16 | u32::from(low))
    }

    /// Four registers.
    pub fn u64(&self, address: u16) -> Option<u64> {
        let (high, low) = (self.u32(address)?, self.u32(address + 2)?);
        Some(u64::from(high) << 32 | u64::from(low))
    }

    /// Text of two characters a register, up to the first NUL, without blanks around it.
    pub fn text(&self, address: u16, count: u16) -> Option<String> {
        let text = self.latin(address, count)?;
        Some(text.chars().filter(char::is_ascii).collect())
    }

    /// Every byte a character: what is no text can be told from one.
    fn latin(&self, address: u16, count: u16) -> Option<String> {
        let words: Option<Vec<u16>> = (address..address + count).map(|a| self.u16(a)).collect();
        let bytes = words?.into_iter().flat_map(u16::to_be_bytes);
        let text: String = bytes
            .take_while(|byte| *byte != 0)
            .map(char::from)
            .collect();
        Some(text.trim().to_owned())
    }
}

/// Who a device says it is ([`Block::Identity`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// [`VENDOR_ID`].
    pub vendor: u16,
    /// [`NAME`], its first 16 characters.
    pub name: String,
    /// [`SERIAL_NUMBER`].
    pub serial: String,
    /// Major and minor version, and build.
    pub firmware: (u8, u8, u16),
}

impl Identity {
    /// Reads it.
    pub fn decode(registers: &Registers<'_>) -> Option<Self> {
        let [major, minor] = registers.u16(PRODUCT_VERSION)?.to_be_bytes();
        Some(Self {
            vendor: registers.u16(VENDOR_ID)?,
            name: registers.text(NAME, 8)?,
            serial: registers.text(SERIAL_NUMBER, 8)?,
            firmware: (major, minor, registers.u16(PRODUCT_BUILD)?),
        })
    }

    /// Quirk: cFos: the name differs by firmware, and so does the documented device id.
    pub fn is_power_brain(&self) -> bool {
        self.vendor == CFOS && self.name.starts_with(NAME_PREFIX)
    }
}

/// What holds when nobody says otherwise ([`Block::Defaults`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Defaults {
    /// [`DEFAULT_LIMIT`], 0.1 A.
    pub limit: u16,
    /// [`DEFAULT_ENABLE`].
    pub enabled: bool,
    /// [`FAIL_SAFE_AFTER`], seconds.
    pub fail_safe_after: u32,
    /// [`FAIL_SAFE_CURRENT`], 0.1 A.
    pub fail_safe_current: u16,
}

impl Defaults {
    /// Reads it.
    pub fn decode(registers: &Registers<'_>) -> Option<Self> {
        Some(Self {
            limit: registers.u16(DEFAULT_LIMIT)?,
            enabled: registers.u16(DEFAULT_ENABLE)? != 0,
            fail_safe_after: registers.u32(FAIL_SAFE_AFTER)?,
            fail_safe_current: registers.u16(FAIL_SAFE_CURRENT)?,
        })
    }
}

/// State of the control pilot (IEC 61851-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pilot {
    /// A: no car.
    Free,
    /// B: a car that does not charge.
    Plugged,
    /// C.
    Charging,
    /// D: charging, wants ventilation.
    Ventilated,
    /// E: the wallbox has no power.
    NoPower,
    /// F.
    Error,
    /// 9: the DC residual current sensor.
    DcSensor,
    /// Anything else is an error, too.
    Unknown(u16),
}

impl Pilot {
    const fn decode(value: u16) -> Self {
        match value {
            0 => Self::Free,
            1 => Self::Plugged,
            2 => Self::Charging,
            3 => Self::Ventilated,
            4 => Self::NoPower,
            5 => Self::Error,
            9 => Self::DcSensor,
            other => Self::Unknown(other),
        }
    }

    /// Current may flow.
    pub const fn charges(self) -> bool {
        matches!(self, Self::Charging | Self::Ventilated)
    }

    /// Whether a car is plugged; `None` where an error hides it.
    pub const fn is_plugged(self) -> Option<bool> {
        match self {
            Self::Free => Some(false),
            Self::Plugged | Self::Charging | Self::Ventilated => Some(true),
            Self::NoPower | Self::Error | Self::DcSensor | Self::Unknown(_) => None,
        }
    }
}

/// Everything that changes ([`Block::Poll`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a register of its own"
)]
pub struct Poll {
    /// [`CUT_PILOT`]: seconds that the control pilot stays cut.
    pub pilot_cut: u16,
    /// [`SINGLE_PHASE`].
    pub single_phase: bool,
    /// [`CABLE_CURRENT`]; `None` = no cable, or it does not say.
    pub cable: Option<MilliAmps>,
    /// [`PILOT`].
    pub pilot: Pilot,
    /// [`LIMIT`], 0.1 A.
    pub limit: u16,
    /// [`ENABLE`].
    pub enabled: bool,
    /// [`SIGNALLED_CURRENT`].
    pub signalled: MilliAmps,
    /// [`CARD`].
    pub card: String,
    /// [`CARDS`].
    pub cards: u16,
    /// [`HAS_METER`].
    pub has_meter: bool,
    /// [`INPUTS`], bit 8.
    pub switchable: bool,
}

impl Poll {
    /// Reads [`Block::Poll`].
    pub fn decode(registers: &Registers<'_>) -> Option<Self> {
        Self::decode_parts(registers, registers)
    }

    /// Reads [`Block::Outputs`] and [`Block::State`].
    pub fn decode_parts(outputs: &Registers<'_>, state: &Registers<'_>) -> Option<Self> {
        Some(Self {
            pilot_cut: outputs.u16(CUT_PILOT)?,
            single_phase: outputs.u16(SINGLE_PHASE)? == 1,
            cable: Some(milliamps(state.u16(CABLE_CURRENT)?)).filter(|amps| *amps >= LEAST_LIMIT),
            pilot: Pilot::decode(state.u16(PILOT)?),
            limit: state.u16(LIMIT)?,
            enabled: state.u16(ENABLE)? != 0,
            signalled: milliamps(state.u16(SIGNALLED_CURRENT)?),
            card: state.latin(CARD, 15)?,
            cards: state.u16(CARDS)?,
            has_meter: state.u16(HAS_METER)? != 0,
            switchable: state.u16(INPUTS)? & 1 << 8 != 0,
        })
    }
}

/// What the attached meter says ([`Block::Meter`]); what is absurd is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachedMeter {
    /// [`METER_ENERGY`].
    pub energy: Option<WattHours>,
    /// [`METER_POWER`].
    pub power: Option<Watts>,
    /// [`METER_CURRENT_L1`] and so on, where the meter has individual phases.
    pub current: Option<PerPhase<MilliAmps>>,
}

impl AttachedMeter {
    /// Reads it.
    pub fn decode(registers: &Registers<'_>) -> Option<Self> {
        let energy = registers.u64(METER_ENERGY)?;
        let power = registers.u32(METER_POWER)?.cast_signed();
        let individual = registers.u16(METER_FLAGS)? & 1 != 0;
        let current = [0, 2, 4].map(|offset| registers.u32(METER_CURRENT_L1 + offset));
        let [Some(l1), Some(l2), Some(l3)] = current.map(|it| it.and_then(phase_current)) else {
            return Some(Self {
                energy: plausible_energy(energy),
                power: plausible_power(power),
                current: None,
            });
        };
        Some(Self {
            energy: plausible_energy(energy),
            power: plausible_power(power),
            current: individual.then_some(PerPhase([l1, l2, l3])),
        })
    }
}

fn plausible_energy(watt_hours: u64) -> Option<WattHours> {
    // 40 bits hold the energy of a million cars; what is above is no register.
    (watt_hours < 1 << 40)
        .then(|| i64::try_from(watt_hours).ok().map(WattHours))
        .flatten()
}

/// Quirk: cFos: a meter without any pulse yet says -1.
fn plausible_power(watts: i32) -> Option<Watts> {
    let power = Watts(watts);
    (watts >= 0 && power <= ABSURD_POWER).then_some(power)
}

fn phase_current(tenths: u32) -> Option<MilliAmps> {
    let amps = MilliAmps(i32::try_from(tenths).ok()?.checked_mul(100)?);
    (amps <= ABSURD_CURRENT).then_some(amps)
}

/// What may be written. The fail-safe registers are flash; all others bear any number of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// [`LIMIT`], 0.1 A.
    Limit(u16),
    /// [`ENABLE`].
    Enable(bool),
    /// [`SINGLE_PHASE`].
    SinglePhase(bool),
    /// [`CUT_PILOT`], seconds.
    CutPilot(u16),
    /// [`FAIL_SAFE_AFTER`], seconds. Flash!
    FailSafeAfter(u16),
    /// [`FAIL_SAFE_CURRENT`], 0.1 A. Flash!
    FailSafeCurrent(u16),
}

impl Write {
    /// The register, the first of two.
    pub const fn register(self) -> u16 {
        match self {
            Self::Limit(_) => LIMIT,
            Self::Enable(_) => ENABLE,
            Self::SinglePhase(_) => SINGLE_PHASE,
            Self::CutPilot(_) => CUT_PILOT,
            Self::FailSafeAfter(_) => FAIL_SAFE_AFTER,
            Self::FailSafeCurrent(_) => FAIL_SAFE_CURRENT,
        }
    }

    /// The request that writes it.
    pub fn request(self) -> Request {
        let values = match self {
            Self::Limit(value) | Self::CutPilot(value) | Self::FailSafeCurrent(value) => {
                vec![value]
            }
            Self::Enable(on) | Self::SinglePhase(on) => vec![u16::from(on)],
            Self::FailSafeAfter(seconds) => vec![0, seconds],
        };
        Request::Write {
            address: self.register(),
            values,
        }
    }
}

/// Of 0.1 A.
pub fn milliamps(tenths: u16) -> MilliAmps {
    MilliAmps(i32::from(tenths) * 100)
}

/// In 0.1 A, rounded down.
pub fn tenths(current: MilliAmps) -> u16 {
    u16::try_from(current.0.max(0) / 100).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
