//! Meters: what their registers mean, and the machine that reads one.
//!
//! | file | what is in it |
//! |---|---|
//! | `plan` | what the configuration says of a meter, and what a meter says |
//! | `register` | one number in the registers of a device |
//! | `layout` | which registers of a kind are read together, and how often |
//! | `sunspec` | the search for a meter model in a SunSpec device |
//! | `judge` | from numbers to a sample: signs, and what cannot be true |
//! | `frozen` | a meter that answers, but measures no more |
//! | `meter` | the machine: when what is asked, and what is wrong now |

mod frozen;
mod judge;
mod layout;
mod meter;
mod plan;
mod register;
mod sunspec;
#[cfg(test)]
mod tests;

pub use judge::{Readings, oddity, sample};
pub use layout::{Block, Field, Layout, Pace};
pub use meter::{Meter, MeterOutput, MeterView};
pub use plan::{Kind, MeterPlan, Sample};
pub use register::{Register, RegisterType, Value, WordOrder};
pub use sunspec::{Search, Step};
