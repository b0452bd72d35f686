//! What [`Site`](super) is told by the configuration.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::central_system::StationPlan;
use crate::charge_point::ChargePointPlan;
use crate::gateway::GatewayPlan;
use crate::ids::{CircuitName, EvseName, IdTag, MeterName};
use crate::load::LoadPlan;
use crate::modbus::meters::MeterPlan;
use crate::units::Watts;

/// Everything the pure core knows of the configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// For the load manager.
    pub load: LoadPlan,
    /// One for each wallbox.
    pub stations: Vec<StationPlan>,
    /// One for each Modbus wallbox.
    pub charge_points: Vec<ChargePointPlan>,
    /// Every meter, in the order of the file.
    pub meters: Vec<MeterPlan>,
    /// What measures an EVSE, where it is not the EVSE itself.
    pub measured_by: BTreeMap<EvseName, MeasuredBy>,
    /// One for each charge point that a backend knows.
    pub gateways: Vec<GatewayPlan>,
    /// For EVSEs without a backend.
    pub authorization: AuthorizationPlan,
    /// `circuit.limit-signal`: what `limit CIRCUIT on` applies.
    pub limit_signals: BTreeMap<CircuitName, Watts>,
}

/// `evse.meter`, where it is not `"evse"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MeasuredBy {
    /// This meter; what the EVSE says of itself is not believed.
    Meter(MeterName),
    /// Nothing: what the EVSE says of itself is not believed.
    Nothing,
}

/// `[authorization]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuthorizationPlan {
    /// Who may charge.
    pub mode: AuthorizationMode,
    /// The known tags.
    pub tags: Vec<TagPlan>,
}

/// `authorization.mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthorizationMode {
    /// Everybody.
    #[default]
    Open,
    /// Only the listed tags.
    List,
}

/// `[[authorization.id-tag]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPlan {
    /// The tag.
    pub tag: IdTag,
    /// Whose it is.
    pub name: Option<String>,
    /// Its group.
    pub parent: Option<IdTag>,
    /// Until when it holds.
    pub expires: Option<Timestamp>,
    /// Known and refused.
    pub blocked: bool,
    /// Where it holds; `None` = everywhere.
    pub evses: Option<Vec<EvseName>>,
}
