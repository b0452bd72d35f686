//! Our client role: one [`Gateway`] for each charge point that a billing backend knows.
//!
//! | file | what is in it |
//! |---|---|
//! | `gateway` | the machine: what arrives, what is to be done, timers |
//! | `io` | what comes out of it |
//! | `connection`, `backoff`, `dial_failure` | when a backend is tried, and whether it lives |
//! | `registering`, `introducing` | boot, heartbeats, who we say that we are |
//! | `noticing` | what wallboxes say unasked: the status of every connector |
//! | `calling` | what wallboxes ask, and what they are told without the backend |
//! | `delivering`, `outbox`, `transactions` | the queue of messages that must arrive |
//! | `obeying`, `ordering`, `sharing` | what the backend wants, who answers, and what goes through one wallbox or several |
//! | `commands` | what a command to a wallbox that we play must hold |
//! | `configuring`, `keys` | the configuration keys of a charge point that is two |
//! | `profiles`, `limiting` | the backend's charging profiles, and what they allow now |
//! | `authorizing`, `tags` | the backend's tag list, and what it said of tags before |
//! | `security` | certificates, security events, profiles and logs |
//! | `members` | the EVSEs behind a gateway |
//! | `plan` | what the configuration says |

mod authorizing;
mod backoff;
mod calling;
mod commands;
mod configuring;
mod connection;
mod delivering;
mod dial_failure;
#[allow(
    clippy::module_inception,
    reason = "the machine that gives the room its name"
)]
mod gateway;
mod introducing;
mod io;
pub mod keys;
mod limiting;
mod members;
mod noticing;
mod obeying;
mod ordering;
mod outbox;
pub mod plan;
pub mod profiles;
mod registering;
pub mod security;
mod sharing;
pub mod tags;
mod transactions;

pub use dial_failure::DialFailure;
pub use gateway::Gateway;
pub use io::{Context, Output, View};
pub use plan::{BootPlan, GatewayPlan, MemberPlan, shown_url};

#[cfg(test)]
mod tests;
