//! What a simulated wallbox is.

use std::collections::BTreeSet;

use super::keys::Keys;
use crate::ids::ChargeBoxId;
use crate::ocpp::charging_profile::ChargingRateUnit;
use crate::ocpp::composite::{Rules, Wiring};
use crate::sim::Quirk;
use crate::units::{MilliAmps, MilliVolts};

/// What a wallbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WallboxPlan {
    /// What it calls itself.
    pub id: ChargeBoxId,
    /// Connectors, numbered from 1.
    pub connectors: u32,
    /// Wired phases of each connector.
    pub phases: u8,
    /// What its hardware can do, per phase.
    pub hardware_max: MilliAmps,
    /// Between a phase and neutral.
    pub voltage: MilliVolts,
    /// `chargePointVendor`.
    pub vendor: String,
    /// `chargePointModel`.
    pub model: String,
    /// `firmwareVersion`.
    pub firmware: String,
    /// Where it deviates.
    pub quirks: BTreeSet<Quirk>,
}

impl WallboxPlan {
    /// One connector, three phases, 32 A, no quirk.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.into(),
            connectors: 1,
            phases: 3,
            hardware_max: MilliAmps::from_amps(32),
            voltage: MilliVolts(230_000),
            vendor: "chargewarden".to_owned(),
            model: "Simulated".to_owned(),
            firmware: env!("CARGO_PKG_VERSION").to_owned(),
            quirks: BTreeSet::new(),
        }
    }

    /// The same wallbox with a quirk more.
    #[must_use]
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    pub(super) fn rules(&self, keys: &Keys) -> Rules {
        let units = if self.has(Quirk::OnlyWatts) {
            vec![ChargingRateUnit::Watts]
        } else {
            vec![ChargingRateUnit::Amperes, ChargingRateUnit::Watts]
        };
        let count = |name| usize::try_from(keys.count(name)).unwrap_or(usize::MAX);
        Rules {
            connectors: self.connectors,
            max_stack_level: keys.text("ChargeProfileMaxStackLevel").parse().unwrap_or(0),
            max_periods: count("ChargingScheduleMaxPeriods"),
            max_installed: count("MaxChargingProfilesInstalled"),
            units,
            wiring: Wiring {
                phases: self.phases,
                voltage: self.voltage,
                max: self.hardware_max,
                switches_phases: false,
            },
        }
    }
}
