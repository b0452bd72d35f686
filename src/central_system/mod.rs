//! Our server role: one `Station` per ChargeBox ID, with all its connectors.

pub mod plan;

pub use plan::{ConnectorPlan, ProfileSettings, StationPlan};
