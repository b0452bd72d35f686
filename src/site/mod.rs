//! The one pure machine that holds every decision.

pub mod plan;
pub mod status;

pub use plan::{AuthorizationMode, AuthorizationPlan, Plan, TagPlan};
