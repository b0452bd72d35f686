//! Simulated wallboxes with cars, and a whole world in virtual time.

pub mod car;
pub mod quirk;
pub mod wallbox;

pub use car::Car;
pub use quirk::Quirk;
pub use wallbox::{Wallbox, WallboxPlan};
