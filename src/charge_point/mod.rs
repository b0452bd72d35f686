//! Wallboxes that speak Modbus: one [`ChargePoint`] for each does in here what an OCPP wallbox does
//! out there.

mod charge_point;
pub mod plan;

pub use charge_point::{ChargePoint, Context, Output, View};
pub use plan::ChargePointPlan;
