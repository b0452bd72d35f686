//! Meters: what their registers mean, and the machine that reads one.

mod register;

pub use register::{Register, RegisterType, Value, WordOrder};
