//! What a simulated Power Brain is.

use std::collections::BTreeSet;
use std::time::Duration;

use super::PowerBrainQuirk;
use crate::units::{MilliAmps, MilliVolts};

/// What a Power Brain is, and what its flash says when it is first switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PowerBrainPlan {
    /// Serial number, at most 16 ASCII characters.
    pub serial: String,
    /// Modbus unit.
    pub unit: u8,
    /// Wired phases.
    pub phases: u8,
    /// What its hardware can do, per phase.
    pub hardware_max: MilliAmps,
    /// What the cable of every car bears; `None` where the cable is fixed to the box.
    pub cable: Option<MilliAmps>,
    /// Between a phase and neutral.
    pub voltage: MilliVolts,
    /// The installer has allowed switching between one and three phases while a car is plugged.
    pub switches_while_plugged: bool,
    /// How long it offers nothing when it switches.
    pub phase_switch_pause: Duration,
    /// Charging is enabled after a boot (8082).
    pub boots_enabled: bool,
    /// Time without a request before it falls back (8083).
    pub fail_safe_duration: Duration,
    /// What it falls back to (8085).
    pub fail_safe_current: MilliAmps,
    /// Where it deviates.
    pub quirks: BTreeSet<PowerBrainQuirk>,
}

impl PowerBrainPlan {
    /// Unit 1, three phases, 16 A, a fixed cable, a meter, no quirk; enabled after a boot, 6 A after
    /// five minutes without a request.
    pub fn new(serial: &str) -> Self {
        Self {
            serial: serial.to_owned(),
            unit: 1,
            phases: 3,
            hardware_max: MilliAmps::from_amps(16),
            cable: None,
            voltage: MilliVolts(230_000),
            switches_while_plugged: false,
            phase_switch_pause: Duration::from_mins(2),
            boots_enabled: true,
            fail_safe_duration: Duration::from_mins(5),
            fail_safe_current: MilliAmps::from_amps(6),
            quirks: BTreeSet::new(),
        }
    }

    /// The same box with a quirk more.
    #[must_use]
    pub fn quirk(mut self, quirk: PowerBrainQuirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    pub(super) fn has(&self, quirk: PowerBrainQuirk) -> bool {
        self.quirks.contains(&quirk)
    }
}
