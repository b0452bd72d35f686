//! The one pure machine that holds every decision.

pub mod control;
pub mod io;
pub mod plan;
pub mod status;

pub use io::{Input, Output};
pub use plan::{AuthorizationMode, AuthorizationPlan, Plan, TagPlan};
