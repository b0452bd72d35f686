//! The one pure machine that holds every decision.

pub mod control;
mod gate;
mod hand_over;
pub mod io;
mod memory;
pub mod plan;
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
pub use plan::{AuthorizationMode, AuthorizationPlan, Plan, TagPlan};
pub use site::Site;
