//! Modbus: what is asked and answered, as values, and what the registers of each device mean.
//!
//! | file | what is in it |
//! |---|---|
//! | `power_brain` | the registers of a cFos Power Brain |
//! | `request` | a request, its answer, and how it may fail |

pub mod power_brain;
mod request;

pub use request::{Answer, Failure, Request, Table};
