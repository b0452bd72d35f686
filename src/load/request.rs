//! What the allocator is asked, and what it answers.

use std::time::Duration;

use crate::clock::Mono;
use crate::evse::Reason;
use crate::units::{MilliAmps, PerPhase};

/// What one EVSE asks of the allocator in this round. One for each EVSE of the plan, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Takes this much of the grid's phases whatever is offered: away, deaf, released, or booked
    /// without a transaction. It shrinks what the others can have.
    Fixed(PerPhase<MilliAmps>),
    /// Takes part in the distribution.
    Wants(Wants),
}

/// What an EVSE that takes part may get: nothing, or a current from `min` to `max` on its grid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// Less is nothing. On the grid of `step` together with `max` (min + k·step).
    pub min: MilliAmps,
    /// The least of hardware, configuration and backend. Below `min` it gets nothing.
    pub max: MilliAmps,
    /// What to say when it gets all of `max`, or nothing because `max` is below `min`.
    pub at_max: Reason,
    /// Flows on top of whatever it is offered, because its car does not follow exactly.
    pub extra: MilliAmps,
    /// It is running, and inside its slot: it stays before others of its class.
    pub in_slot: bool,
    /// Service attained since it was plugged: Wh on each phase per weight, in buckets of 100 Wh over three.
    pub attained: i64,
    /// When the car came.
    pub plugged_at: Mono,
    /// How long it has been waiting without any current; zero while it has some.
    pub waited: Duration,
}

/// What the allocator says to one EVSE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// 0, or from min to max in steps.
    pub offer: MilliAmps,
    /// Why not more.
    pub reason: Reason,
}
