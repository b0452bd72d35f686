//! Modbus: what is asked and answered, as values, and what the registers of each device mean.
//!
//! | file | what is in it |
//! |---|---|
//! | `power_brain` | the registers of a cFos Power Brain |
//! | `request` | a request, its answer, and how it may fail |
//! | `address` | where devices are: a TCP peer or a serial line |
//! | [`meters`] | the machine that reads one meter; registers of the known kinds, SunSpec |
//! | [`bus`] | carries requests: one task for each TCP peer or serial line. The only part with I/O |

mod address;
pub mod bus;
pub mod meters;
pub mod power_brain;
mod request;

pub(crate) use address::host_and_port;
pub use address::{Address, Parity};
pub use request::{Answer, Failure, Request, Table};
