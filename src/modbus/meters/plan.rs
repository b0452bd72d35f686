//! What the configuration says of a meter, and what a meter says.

use std::collections::BTreeMap;
use std::time::Duration;

use super::register::{Register, Value};
use crate::ids::MeterName;
use crate::units::{MilliAmps, MilliVolts, PerPhase, WattHours, Watts};

/// What [`Meter`](super::Meter) is told by the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterPlan {
    /// For logs.
    pub name: MeterName,
    /// Which registers it has.
    pub kind: Kind,
    /// How often it is read.
    pub poll: Duration,
    /// Import reads negative: every sign is turned.
    pub invert: bool,
    /// Transactions are billed by it: its energy registers are read for each sample.
    pub bills: bool,
}

/// Which registers a meter has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Eastron SDM630.
    Sdm630,
    /// Eastron SDM72D-M-2.
    Sdm72,
    /// The meter attached to a Power Brain, or one of its S0 units.
    PowerBrain,
    /// Whatever has a SunSpec meter model.
    SunSpec,
    /// What the configuration lists.
    Custom(BTreeMap<Value, Register>),
}

/// What a meter measured at one instant, in its own phase order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sample {
    /// Positive for import, negative for export. 0 on phases that the meter does not have.
    pub current: PerPhase<MilliAmps>,
    /// Over all phases, positive for import.
    pub power: Option<Watts>,
    /// Positive for import.
    pub phase_power: Option<PerPhase<Watts>>,
    /// To neutral. The S0 units of a Power Brain say the nominal one.
    pub voltage: Option<PerPhase<MilliVolts>>,
    /// Register of the energy taken; up to some ten seconds older than the rest, unless it bills.
    pub import: Option<WattHours>,
    /// Register of the energy given back; as old as `import`.
    pub export: Option<WattHours>,
    /// In mHz; as old as `import`.
    pub frequency: Option<i32>,
}
