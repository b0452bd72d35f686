//! What a [`ChargePoint`](super::ChargePoint) is told by the configuration.

use crate::ids::{ChargeBoxId, EvseName, IdTag};
use crate::units::{MilliAmps, MilliVolts, Phase};

/// One Modbus wallbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargePointPlan {
    /// Its EVSE.
    pub evse: EvseName,
    /// `evse.address` as people write it; with `unit` the key of its transactions in the journal.
    pub address: ChargeBoxId,
    /// Modbus unit.
    pub unit: u8,
    /// Wired phases.
    pub phases: u8,
    /// The least that its car charges with.
    pub min: MilliAmps,
    /// Never more than this.
    pub max: MilliAmps,
    /// Written to its fail-safe registers.
    pub failsafe: MilliAmps,
    /// Nominal phase voltage.
    pub voltage: MilliVolts,
    /// `evse.fixed-id-tag`: who charges where no card is presented.
    pub fixed_id_tag: Option<IdTag>,
    /// A car may charge without any tag (`authorization.mode = "open"`, no backend).
    pub open: bool,
    /// What measures it.
    pub meter: Metering,
    /// The load manager allows nothing and forbids nothing. Without a backend nothing is ever
    /// written; with one the backend alone decides.
    pub observe: bool,
    /// A backend sees it as an OCPP charge point.
    pub backend: bool,
    /// Which grid phases lie behind its own.
    /// `None` = nobody knows.
    pub rotation: Option<[Phase; 3]>,
}

impl ChargePointPlan {
    /// Whoever may charge here, nobody asks us: it is only read.
    pub(super) fn is_passive(&self) -> bool {
        self.observe && !self.backend
    }
}

/// `evse.meter` of a Modbus wallbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Metering {
    /// Its own, where it has one.
    #[default]
    Own,
    /// A meter of the configuration: readings come with `handle_measured`.
    Other,
    /// None: what its own says is not believed.
    None,
}
