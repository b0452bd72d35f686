//! Meters: what their registers mean, and the machine that reads one.

mod machine;
mod register;
pub use machine::{Kind, Meter, MeterOutput, MeterPlan, Sample};

pub use register::{Register, RegisterType, Value, WordOrder};
