//! The one pure machine that holds every decision.

mod callers;
mod commands;
pub mod control;
mod gate;
mod gatewaying;
mod hand_over;
pub mod io;
mod left_over;
mod machine;
mod memory;
pub mod plan;
mod routing;
#[allow(
    clippy::module_inception,
    reason = "the machine that gives the room its name"
)]
mod site;
mod snapshot;
pub mod status;
mod tag_list;
#[cfg(test)]
mod tests;

pub use hand_over::HandOver;
pub use io::{Input, Output};
pub use plan::{AuthorizationMode, AuthorizationPlan, MeasuredBy, Plan, TagPlan};
pub use site::Site;
