//! The load manager: shares every fuse, per phase, among all EVSEs.

pub mod plan;

pub use plan::{CircuitPlan, EvsePlan, LoadPlan, PriorityMode, Rotation, WhenDisabled};
