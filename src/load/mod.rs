//! The load manager: shares every fuse, per phase, among all EVSEs.

pub mod plan;
pub mod request;

pub use plan::{CircuitPlan, EvsePlan, LoadPlan, PriorityMode, Rotation, WhenDisabled};
pub use request::{Request, Share, Wants};
