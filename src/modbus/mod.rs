//! Modbus: what is asked and answered, as values, and what the registers of each device mean.
//!
//! | file | what is in it |
//! |---|---|
//! | `request` | a request, its answer, and how it may fail |

mod request;

pub use request::{Answer, Failure, Request, Table};
