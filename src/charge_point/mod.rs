//! Wallboxes that speak Modbus: one [`ChargePoint`] for each does in here what an OCPP wallbox does
//! out there.
//!
//! | file | what is in it |
//! |---|---|
//! | `charge_point` | the machine: what arrives, what is to be done, timers |
//! | `answering` | what an answer of the device says, and what one that does not come |
//! | `polling` | which registers are read when; whether the device is there |
//! | `setpoint` | the offer: which register is written next, and whether the device took it |
//! | `fail_safe` | the registers that hold when nobody asks the device any more |
//! | `wake_up` | cars that sleep after a pause |
//! | `session` | from plug to unplug: who may charge, when a transaction begins and ends |
//! | `asking` | whose tag is asked for, and what the answers change |
//! | `refusing` | transactions whose tag is refused after all |
//! | `transacting` | transactions and what the journal keeps of them |
//! | `left_over` | transactions that nobody goes on with |
//! | `card_reader` | presented cards |
//! | `energy` | the energy register, which never goes back |
//! | `telling` | status, demand and the rest that is told when it changes |
//! | `status` | the status as OCPP has it: which may follow on which, and what is wrong |
//! | `obeying` | what the backend commands, and how that is answered |
//! | `availability` | `ChangeAvailability` |
//! | `reserving` | reservations |
//! | `sampling` | when meter values are sent |
//! | `samples` | what a meter value contains |
//! | `plan` | what the configuration says |

mod answering;
mod asking;
mod availability;
mod card_reader;
#[allow(
    clippy::module_inception,
    reason = "the machine that gives the room its name"
)]
mod charge_point;
mod energy;
mod fail_safe;
mod left_over;
mod meter_watch;
mod obeying;
pub mod plan;
mod polling;
mod refusing;
mod reserving;
mod samples;
mod sampling;
mod session;
mod setpoint;
mod status;
mod telling;
mod transacting;
mod wake_up;

pub use charge_point::{ChargePoint, Context, Output, View};
pub use left_over::close_left_over;
pub use plan::ChargePointPlan;

#[cfg(test)]
mod tests;
