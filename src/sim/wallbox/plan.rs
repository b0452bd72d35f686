//! What a simulated wallbox is.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::Keys;
use crate::ids::ChargeBoxId;
use crate::ocpp::charging_profile::ChargingRateUnit;
use crate::ocpp::composite::{Rules, Wiring};
use crate::sim::Quirk;
use crate::units::{MilliAmps, MilliVolts};

/// The highest stack level, whatever `ChargeProfileMaxStackLevel` says.
const MAX_STACK_LEVEL: i64 = 8;

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
    /// Values of configuration keys that are not the usual ones.
    pub says: BTreeMap<&'static str, String>,
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
            says: BTreeMap::new(),
        }
    }

    /// The same wallbox with a quirk more.
    #[must_use]
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    /// The same wallbox, whose key has this value, true or not.
    #[must_use]
    pub fn says(mut self, key: &'static str, value: &str) -> Self {
        self.says.insert(key, value.to_owned());
        self
    }

    /// The current that it sets where it is told this one.
    pub(super) fn round_down(&self, told: MilliAmps) -> MilliAmps {
        const COARSE: [i32; 5] = [6, 8, 10, 13, 16];
        if self.has(Quirk::CoarseSteps) {
            let steps = COARSE.into_iter().map(MilliAmps::from_amps);
            let below = steps.filter(|step| *step <= told).max();
            return below.unwrap_or(MilliAmps::ZERO);
        }
        let whole = self.has(Quirk::WholeAmps);
        told.floor_to(if whole {
            MilliAmps::from_amps(1)
        } else {
            MilliAmps(1)
        })
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    pub(super) fn rules(&self, keys: &Keys) -> Rules {
        let units = if self.has(Quirk::OnlyWatts) {
            vec![ChargingRateUnit::Watts]
        } else if self.has(Quirk::OnlyAmps) {
            vec![ChargingRateUnit::Amperes]
        } else {
            vec![ChargingRateUnit::Amperes, ChargingRateUnit::Watts]
        };
        let count = |name| usize::try_from(keys.count(name)).unwrap_or(usize::MAX);
        Rules {
            connectors: self.connectors,
            max_stack_level: MAX_STACK_LEVEL,
            max_periods: count("ChargingScheduleMaxPeriods"),
            max_installed: count("MaxChargingProfilesInstalled"),
            units,
            wiring: Wiring {
                phases: self.phases,
                voltage: self.voltage,
                max: self.hardware_max,
                switches_phases: false,
            },
            except: BTreeMap::new(),
        }
    }
}
