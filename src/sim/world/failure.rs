//! What went wrong in a world, and what happened before.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use crate::clock::Mono;
use crate::ids::{ChargeBoxId, CircuitName, DeviceId};
use crate::units::{MilliAmps, Phase};

/// How many events are kept.
const KEPT: usize = 50;

/// Longer frames are cut.
const WIDTH: usize = 500;

/// The last events of a world, for whoever has to find out what happened.
#[derive(Debug, Clone, Default)]
pub struct History(VecDeque<String>);

impl History {
    pub(super) fn note(&mut self, at: Mono, what: &str) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        let what: String = what.chars().take(WIDTH).collect();
        self.0
            .push_back(format!("{:>10.3} {what}", at.0.as_secs_f64()));
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

/// A promise was broken.
#[derive(thiserror::Error)]
pub enum Failure {
    /// The EVSEs below a fuse are allowed more than it carries.
    #[error(
        "circuit {circuit}, {phase}: {allowed} A are allowed behind a fuse of {fuse} A{history}"
    )]
    Overload {
        /// Which circuit.
        circuit: CircuitName,
        /// Which phase of the grid.
        phase: Phase,
        /// What the EVSEs are allowed together.
        allowed: MilliAmps,
        /// What the fuse carries.
        fuse: MilliAmps,
        /// What happened before.
        history: History,
    },
    /// A wallbox was sent what it must not be sent.
    #[error("{charge_point}: {violation}{history}")]
    Violation {
        /// Which wallbox.
        charge_point: ChargeBoxId,
        /// What it holds against us.
        violation: String,
        /// What happened before.
        history: History,
    },
    /// A backend was sent what it must not be sent.
    #[error("a backend complains: {complaint}{history}")]
    Complaint {
        /// Whose charge point did it, and what.
        complaint: String,
        /// What happened before.
        history: History,
    },
    /// What a backend has is not what the wallboxes said.
    #[error("the bill of {client_id} is wrong: {what}{history}")]
    Bill {
        /// As which charge point.
        client_id: ChargeBoxId,
        /// What is wrong.
        what: String,
        /// What happened before.
        history: History,
    },
    /// A Modbus device was asked a second time before its first answer.
    #[error("{device:?} is asked again before it has answered{history}")]
    Impatient {
        /// Which device.
        device: DeviceId,
        /// What happened before.
        history: History,
    },
    /// What was waited for did not come.
    #[error("it did not come within {limit:?}{history}")]
    NotReached {
        /// How long was waited.
        limit: Duration,
        /// What happened before.
        history: History,
    },
    /// A machine wants to be called again and again at the same instant.
    #[error("time stands still{history}")]
    Stuck {
        /// What happened before.
        history: History,
    },
    /// There is no such device.
    #[error("nothing is called {0}")]
    Nobody(ChargeBoxId),
}

/// As [`Display`](fmt::Display), so that `unwrap` shows the history line by line.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
