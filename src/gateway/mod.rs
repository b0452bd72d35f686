//! Our client role: one [`GatewayPlan`] for each charge point that a backend knows.

pub mod plan;

pub use plan::{BootPlan, GatewayPlan, MemberPlan};
