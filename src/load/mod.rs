//! The load manager: shares every fuse, per phase, among all EVSEs.

mod admission;
pub mod allocator;
mod car;
pub mod circuit;
mod filling;
mod layout;
pub mod plan;
#[cfg(test)]
mod properties;
pub mod request;
#[cfg(test)]
mod site_generator;
mod usage;

pub use plan::{CircuitPlan, EvsePlan, LoadPlan, PriorityMode, Rotation, WhenDisabled};
pub use request::{Request, Share, Wants};
