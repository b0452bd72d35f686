//! The tasks. They carry bytes; decisions are in [`crate::site`].
//!
//! | file | what is in it |
//! |---|---|
//! | `start` | puts everything together, and ends it |
//! | `site_task` | the only task that decides |
//! | `listener`, `admission`, `guesses`, `source`, `entrance` | who may connect, and the way in |
//! | `link`, `masking` | one connection with a wallbox or a backend, and what the log shows of it |
//! | `dialler` | the way out to backends |
//! | `upload`, `log_keeper` | logs on their way to where a backend wants them, and the lines kept for it |
//! | `keyring`, `expiry` | certificates and keys: read, and watched for their end |
//! | `outside` | lines and diallers of one configuration |
//! | `reloading` | a new configuration takes the place of the old one |
//! | `control` | the control socket |
//! | `field` | what the tasks tell each other |
//! | `clock`, `host`, `logging`, `systemd`, `rate_limited` | the world around the process |

pub mod admission;
pub mod clock;
pub mod control;
pub mod dialler;
mod entrance;
mod expiry;
pub mod field;
mod guesses;
pub mod host;
mod keyring;
pub mod link;
pub mod listener;
pub mod log_keeper;
pub mod logging;
mod masking;
mod modbus;
mod outside;
pub mod rate_limited;
mod reloading;
mod site_task;
mod source;
mod start;
pub mod systemd;
mod upload;

pub use keyring::KeyringError;
pub use site_task::ReloadAsker;
pub use start::{Daemon, ReloadError, StartError};
