//! What the load manager is told by the configuration.

use std::time::Duration;

use crate::ids::{CircuitName, EvseName, MeterName};
use crate::units::{MilliAmps, MilliVolts, PerPhase, Phase, Watts};

/// The whole site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadPlan {
    /// Nominal phase voltage (`manager.voltage`).
    pub voltage: MilliVolts,
    /// Every circuit; exactly one has no parent, and parents come before their children.
    pub circuits: Vec<CircuitPlan>,
    /// Every meter of a circuit or an EVSE.
    pub meters: Vec<MeterPlan>,
    /// Every EVSE, in the order of the file.
    pub evses: Vec<EvsePlan>,
    /// `manager.priority-mode`.
    pub priority_mode: PriorityMode,
    /// `manager.rotation-period`.
    pub rotation_period: Duration,
    /// `manager.start-up-hold`.
    pub start_up_hold: Duration,
    /// `manager.ocpp-raise-interval`.
    pub ocpp_raise_interval: Duration,
    /// `manager.raise-hold`: a raise below a meter uses the peak of the house load over this window.
    pub raise_hold: Duration,
    /// `manager.raise-step`: below a meter a raise is at most this much …
    pub raise_step: MilliAmps,
    /// `manager.raise-interval`: … in this time.
    pub raise_interval: Duration,
    /// `manager.meter-timeout`: a reading that is older makes its meter stale.
    pub meter_timeout: Duration,
    /// `manager.asymmetry-includes-house`.
    pub asymmetry_includes_house: bool,
    /// `manager.when-disabled`.
    pub when_disabled: WhenDisabled,
    /// `manager.load-management = "observe"`: nothing is offered, everything is seen.
    pub observe: bool,
}

impl Default for LoadPlan {
    /// Nothing behind no fuse, and every number as the configuration has it by default.
    fn default() -> Self {
        Self {
            voltage: MilliVolts(230_000),
            circuits: Vec::new(),
            meters: Vec::new(),
            evses: Vec::new(),
            priority_mode: PriorityMode::Strict,
            rotation_period: Duration::from_mins(15),
            start_up_hold: Duration::from_secs(30),
            ocpp_raise_interval: Duration::from_secs(30),
            raise_hold: Duration::from_secs(15),
            raise_step: MilliAmps::from_amps(4),
            raise_interval: Duration::from_secs(10),
            meter_timeout: Duration::from_secs(15),
            asymmetry_includes_house: false,
            when_disabled: WhenDisabled::Pause,
            observe: false,
        }
    }
}

/// A supply segment behind a fuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitPlan {
    /// Unique.
    pub name: CircuitName,
    /// `None` for the root.
    pub parent: Option<CircuitName>,
    /// The fuse, per phase.
    pub max_current: MilliAmps,
    /// Over all phases.
    pub max_power: Option<Watts>,
    /// Per phase, never given out.
    pub reserve: MilliAmps,
    /// Its reading, less what the EVSEs draw, is the house load.
    pub meter: Option<MeterName>,
    /// Per phase for all EVSEs below, while the meter is stale.
    pub failsafe: MilliAmps,
    /// Between phases, caused by one- and two-phase charging.
    pub max_asymmetry: Option<MilliAmps>,
}

/// A meter as the load manager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterPlan {
    /// Unique.
    pub name: MeterName,
    /// How often it is read.
    pub poll: Duration,
}

/// How an EVSE is told its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Device {
    /// By charging profiles, which many wallboxes write to their flash.
    #[default]
    Ocpp,
    /// By Modbus registers, which bear any number of writes.
    Modbus,
}

/// One EVSE as the load manager sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvsePlan {
    /// Unique.
    pub name: EvseName,
    /// Where it hangs.
    pub circuit: CircuitName,
    /// Wired phases: 1, 2 or 3.
    pub phases: u8,
    /// Which grid phases they are.
    pub rotation: Rotation,
    /// Less than this is nothing.
    pub min: MilliAmps,
    /// Never more than this.
    pub max: MilliAmps,
    /// Higher first, 0–9.
    pub priority: i32,
    /// Share among equals, 1–100.
    pub weight: i32,
    /// What it may draw when nobody can reach it.
    pub failsafe: MilliAmps,
    /// What it is allowed without a transaction.
    pub idle: MilliAmps,
    /// Offers are multiples of this: 1000, 100 or 1 mA.
    pub step: MilliAmps,
    /// Takes part.
    pub enabled: bool,
    /// How it is told.
    pub device: Device,
}

/// Which grid phases lie behind an EVSE's L1, L2, L3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// `Known([L2, L3, L1])`: its L1 is the grid's L2, and so on.
    Known([Phase; 3]),
    /// Worst case: a one-phase car may load any phase.
    Unknown,
}

impl Rotation {
    /// The usual one.
    pub const L1L2L3: Self = Self::Known(Phase::ALL);

    /// The grid phases behind its L1, L2, L3; `None` = nobody knows.
    pub fn order(self) -> Option<[Phase; 3]> {
        match self {
            Self::Known(order) => Some(order),
            Self::Unknown => None,
        }
    }

    /// Currents of a device (`phases` of them wired) as the grid sees them. With an unknown
    /// rotation every grid phase gets the largest of them.
    #[must_use]
    pub fn to_grid(self, device: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
        match self {
            Self::Known(order) => {
                let mut grid = PerPhase::all(MilliAmps::ZERO);
                for ((_, amps), phase) in device.iter().zip(order) {
                    grid[phase] += amps;
                }
                grid
            }
            Self::Unknown => PerPhase::all(device.0.into_iter().max().unwrap_or(MilliAmps::ZERO)),
        }
    }

    /// Currents of the grid's phases as the device counts them. With an unknown rotation they stay
    /// as they are.
    #[must_use]
    pub fn to_device(self, grid: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
        match self {
            Self::Known(order) => PerPhase(order.map(|phase| grid[phase])),
            Self::Unknown => grid,
        }
    }
}

/// `manager.priority-mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PriorityMode {
    /// The higher class is filled to its maximum first.
    #[default]
    Strict,
    /// All minima first, then class by class.
    MinFirst,
}

/// `manager.when-disabled`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenDisabled {
    /// 0 A.
    #[default]
    Pause,
    /// The EVSE's minimum.
    Minimum,
    /// No limit of ours.
    Release,
}
