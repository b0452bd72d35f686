//! Our server role: one [`Station`] per ChargeBox ID, with all its connectors.
//!
//! | file | what is in it |
//! |---|---|
//! | `station` | the machine: what arrives, what is to be done, timers |
//! | `answering` | how messages are answered |
//! | `transacting` | transactions: start, stop, adoption |
//! | `revoking` | those that their backend refuses later |
//! | `filing` | what is kept for a backend, and what of it is thinned |
//! | `relaying` | what the upstream is asked and told |
//! | `ordering` | what it orders |
//! | `asking` | what we ask: limits, commands and housekeeping, one CALL at a time |
//! | `learning` | what the answers tell |
//! | `limiting`, `setpoint` | limits: what is wanted, told and taken |
//! | `ladder`, `rungs`, `profile` | which form of limit a wallbox takes and obeys |
//! | `dead_man` | limits that end by themselves, and the floor below them |
//! | `follow_up` | whether a car follows its new limit: asked for, instead of waited for |
//! | `releasing` | how it is handed back clean |
//! | `set_up` | the order of housekeeping after a wallbox appears |
//! | `ledger` | open and recent transactions, and which one a message means |
//! | `sample_clock` | which meter values tell of now |
//! | `connector` | what is known of one connector |
//! | `plan` | what the configuration says |

mod answering;
mod asking;
mod connector;
mod dead_man;
mod filing;
mod follow_up;
mod ladder;
mod learning;
mod ledger;
mod limiting;
mod ordering;
pub mod plan;
mod profile;
mod relaying;
mod releasing;
mod revoking;
mod rungs;
mod sample_clock;
mod set_up;
mod setpoint;
mod station;
mod transacting;

pub use plan::{ConnectorPlan, ProfileSettings, StationPlan};
pub use station::{ConnectorView, Context, Output, Station};

#[cfg(test)]
mod tests;
