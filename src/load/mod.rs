//! The load manager: shares every fuse, per phase, among all EVSEs.

mod admission;
mod allocator;
mod booking;
mod circuit;
mod controller;
mod filling;
pub mod plan;
mod raise_budget;
pub mod request;
#[cfg(test)]
mod review;
mod turn;
mod usage;

pub use allocator::Allocator;
pub use circuit::{Bookings, Circuits};
pub use controller::{CircuitView, Controller, EvseView, Output};
pub use plan::{CircuitPlan, EvsePlan, LoadPlan, PriorityMode, Rotation, WhenDisabled};
pub use request::{Request, Share, Wants};
