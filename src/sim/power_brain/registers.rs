//! The register table, written down independently of the one that the daemon uses.

use std::ops::RangeInclusive;

use crate::units::MilliAmps;

pub(super) const IDENTITY: u16 = 8000;
pub(super) const SERIAL: u16 = 8008;
pub(super) const NAME: u16 = 8016;
pub(super) const UNIT: u16 = 8040;
pub(super) const METER_FLAGS: u16 = 8057;
pub(super) const ENERGY: u16 = 8058;
pub(super) const POWER: u16 = 8062;
pub(super) const CURRENTS: u16 = 8064;
pub(super) const BOOT_FIXED_CURRENT: u16 = 8080;
pub(super) const BOOT_LIMIT: u16 = 8081;
pub(super) const BOOT_ENABLED: u16 = 8082;
pub(super) const FAIL_SAFE_DURATION: u16 = 8083;
pub(super) const FAIL_SAFE_CURRENT: u16 = 8085;
pub(super) const CUT_PILOT: u16 = 8086;
pub(super) const RELAY: u16 = 8087;
pub(super) const RELAY_2: u16 = 8088;
/// And behind it fixed current, state, limit, enabled, offered current.
pub(super) const CABLE: u16 = 8090;
pub(super) const FIXED_CURRENT: u16 = 8091;
pub(super) const LIMIT: u16 = 8093;
pub(super) const ENABLED: u16 = 8094;
pub(super) const TAG: u16 = 8096;
/// And behind it whether there is a meter, and the inputs.
pub(super) const TAPS: u16 = 8111;
pub(super) const INPUTS: u16 = 8113;
pub(super) const RESTARTS: u16 = 8120;

/// What can be read. Single numbers that the table leaves out in the middle read as 0.
const READABLE: [RangeInclusive<u16>; 4] = [8000..=8031, UNIT..=UNIT, 8080..=INPUTS, 8120..=8121];

/// What can be read where there is a meter.
const METER: RangeInclusive<u16> = METER_FLAGS..=8069;

/// Whether a register exists.
pub(super) fn is_readable(register: u16, meter: bool) -> bool {
    let mut ranges = READABLE.iter();
    ranges.any(|range| range.contains(&register)) || (meter && METER.contains(&register))
}

/// Whether the table knows a register, readable or not.
pub(super) fn is_documented(register: u16) -> bool {
    is_readable(register, true)
}

/// What becomes of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Until the next restart; may be written as often as one likes.
    InMemory,
    /// For ever; wears out.
    InFlash,
}

/// Where a write goes; `None` if it is refused.
pub(super) fn keeps(register: u16) -> Option<Keeps> {
    match register {
        CUT_PILOT | RELAY | RELAY_2 | FIXED_CURRENT | LIMIT | ENABLED => Some(Keeps::InMemory),
        UNIT | BOOT_FIXED_CURRENT..=FAIL_SAFE_CURRENT | RESTARTS..=8121 => Some(Keeps::InFlash),
        _ => None,
    }
}

/// Whether a register takes a value.
pub(super) fn takes(register: u16, value: u16) -> bool {
    match register {
        LIMIT | BOOT_LIMIT => (60..=630).contains(&value),
        FAIL_SAFE_CURRENT | FIXED_CURRENT | BOOT_FIXED_CURRENT => {
            value == 0 || (60..=630).contains(&value)
        }
        ENABLED | BOOT_ENABLED | RELAY | RELAY_2 => value <= 1,
        UNIT => (1..=247).contains(&value),
        _ => true,
    }
}

/// Whether a register holds a current.
pub(super) fn is_current(register: u16) -> bool {
    matches!(
        register,
        LIMIT | BOOT_LIMIT | FAIL_SAFE_CURRENT | FIXED_CURRENT | BOOT_FIXED_CURRENT
    )
}

/// Tenths of an ampere, rounded to the nearest.
pub(super) fn tenths(current: MilliAmps) -> u16 {
    u16::try_from((current.0 + 50) / 100).unwrap_or(0)
}

/// What tenths of an ampere mean.
pub(super) fn amps(tenths: u16) -> MilliAmps {
    MilliAmps(i32::from(tenths) * 100)
}
