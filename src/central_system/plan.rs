//! What a [`Station`](super) is told by the configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::{ChargeBoxId, ConnectorId, EvseName, IdTag};
use crate::units::{MilliAmps, MilliVolts};

/// One wallbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StationPlan {
    /// Its ChargeBox ID.
    pub id: ChargeBoxId,
    /// Its configured connectors.
    pub connectors: BTreeMap<ConnectorId, ConnectorPlan>,
    /// What a `BootNotification` is answered with.
    pub heartbeat_interval: Duration,
    /// What the wallbox is asked to sample at.
    pub meter_interval: Duration,
    /// Nominal phase voltage.
    pub voltage: MilliVolts,
    /// No profile is ever written.
    pub observe: bool,
}

impl StationPlan {
    /// A wallbox that is in no `[[evse]]`: it is answered and shown, and never charged.
    pub fn stranger(id: ChargeBoxId, like: Option<&Self>) -> Self {
        let like_or =
            |of: fn(&Self) -> Duration, else_: u64| like.map_or(Duration::from_secs(else_), of);
        Self {
            id,
            connectors: BTreeMap::new(),
            heartbeat_interval: like_or(|plan| plan.heartbeat_interval, 300),
            meter_interval: like_or(|plan| plan.meter_interval, 10),
            voltage: like.map_or(MilliVolts(230_000), |plan| plan.voltage),
            observe: true,
        }
    }
}

/// One connector that is an EVSE of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectorPlan {
    /// Its name.
    pub evse: EvseName,
    /// Wired phases.
    pub phases: u8,
    /// Allowed without a transaction.
    pub idle: MilliAmps,
    /// Never more than this.
    pub max: MilliAmps,
    /// What it may draw when nobody can reach it.
    pub failsafe: MilliAmps,
    /// `manager.dead-man`: where the house load is metered, a limit that nobody renews ends after
    /// half of it or later, and after all of it at the latest; then `failsafe` holds. `None` = a
    /// limit holds for ever.
    pub dead_man: Option<Duration>,
    /// `evse.fixed-id-tag`: the tag of a start that we ask for (`remote-start`).
    pub fixed_id_tag: Option<IdTag>,
    /// It has a backend: its transactions and all that is billed are filed for it.
    pub backend: bool,
    /// `[evse.ocpp]`.
    pub profile: ProfileSettings,
}

/// `[evse.ocpp]`: overrides of what is found out by itself; `None` = find out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProfileSettings {
    /// Purpose of the profile that is pushed.
    pub purpose: Option<Purpose>,
    /// Its kind.
    pub kind: Option<Kind>,
    /// Its stack level.
    pub stack_level: Option<u32>,
    /// Its unit.
    pub unit: Option<Unit>,
    /// The wallbox needs `RemoteStartTransaction` although a car is plugged.
    pub remote_start: bool,
    /// Foreign charging profiles are deleted when the wallbox connects.
    pub clear_on_connect: bool,
}

/// `evse.ocpp.profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// `TxDefaultProfile`.
    TxDefault,
    /// `TxProfile`.
    Tx,
    /// `ChargePointMaxProfile`.
    ChargePointMax,
}

/// `evse.ocpp.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Counts from the start of charging.
    Relative,
    /// Counts from a date.
    Absolute,
}

/// `evse.ocpp.unit`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Amperes per phase.
    Amps,
    /// Watts over all phases.
    Watts,
}
