//! The vocabulary between the wings: nothing else crosses from one to another.
//!
//! A device (a [`Station`](crate::central_system::Station)) *reports*; the load manager *offers*;
//! an upstream (the local tag list, a backend) answers *calls*.

use std::fmt;
use std::time::Duration;

use crate::ids::{CircuitName, EvseName, IdTag, OfferNumber};
pub use crate::ocpp::messages::AuthorizationStatus;

use crate::ocpp::ChargePointStatus;
use crate::units::{MilliAmps, PerPhase, Phase, WattHours, Watts};

/// What an EVSE needs, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Demand {
    /// Nobody is there.
    #[default]
    None,
    /// A car is plugged, nobody has authorized it.
    Plugged,
    /// Authorized, no transaction yet.
    Authorized,
    /// A transaction runs.
    Charging,
}

/// What a device measured, in its own phase order (L1 is the EVSE's L1, not the grid's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Measured {
    /// Current of each phase.
    pub current: Option<PerPhase<MilliAmps>>,
    /// Active power over all phases.
    pub power: Option<Watts>,
    /// The import register.
    pub energy: Option<WattHours>,
}

/// From a device to the load manager and the status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    /// The device can be reached, or no longer.
    Online(bool),
    /// The device restarted, or what it was told ends and could not be renewed: it may be
    /// forgotten.
    Booted,
    /// The connector's status.
    Status(ChargePointStatus),
    /// What the EVSE needs.
    Demand(Demand),
    /// What it draws.
    Measured(Measured),
    /// The device is at its failsafe current or below so long after it left, by itself, and when
    /// it is back until it takes an offer; `None` = it keeps what it was told.
    FallsBack(Option<Duration>),
    /// When it has not been told anything for a while the device allows so much by itself.
    FallsTo(MilliAmps),
    /// Whether the device can connect its car with one phase or with all, as it is told.
    Switchable(bool),
    /// Whether the device has connected its car with its first phase alone.
    SinglePhase(bool),
    /// The device accepted the offer of this number. Proves nothing alone: the measurement decides.
    Took(OfferNumber),
    /// The device does not take this offer, in no form that was tried.
    Refused {
        /// Which offer.
        offer: OfferNumber,
        /// What the device said.
        why: String,
    },
}

/// What an EVSE is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Limit {
    /// At most this current on each phase; 0 = paused.
    Current(MilliAmps),
    /// Every limit of ours is lifted: the hardware decides.
    Released,
}

/// From the load manager to a device. The newest replaces any older; none is queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Larger than that of every older offer to this EVSE.
    pub number: OfferNumber,
    /// What is allowed.
    pub limit: Limit,
    /// On its first phase alone, where the device can switch ([`Report::Switchable`]).
    pub single_phase: bool,
    /// The answer to "why not more?".
    pub reason: Reason,
}

/// Why an EVSE is offered what it is offered, and not more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A fuse is used up on this phase.
    Circuit {
        /// Which.
        circuit: CircuitName,
        /// Where.
        phase: Phase,
    },
    /// The power cap of a circuit is used up.
    Power {
        /// Which.
        circuit: CircuitName,
    },
    /// A limit signal is used up.
    Signal {
        /// Of which circuit.
        circuit: CircuitName,
        /// What it allows the EVSEs below together.
        watts: Watts,
    },
    /// More would load the phases of a circuit too unevenly.
    Asymmetry {
        /// Which.
        circuit: CircuitName,
    },
    /// The EVSE's own maximum.
    OwnMaximum,
    /// The backend's profile.
    Backend {
        /// What it allows.
        limit: MilliAmps,
    },
    /// Its car draws less; the rest goes to others.
    UnderDraw,
    /// There is no transaction.
    NoTransaction,
    /// Switched off by configuration or command.
    Disabled,
    /// Waits for its turn.
    Queue {
        /// 1 = next.
        position: usize,
        /// Expected wait, where it can be told.
        expected: Option<Duration>,
    },
    /// The raise waits until others have lowered.
    Transition,
    /// The raise waits, to spare the wallbox's memory.
    RaiseBudget,
    /// It is raised step by step, because the house load moves.
    Ramp,
    /// The raise waits for a reading of the meter of a circuit: none came lately.
    NoReading {
        /// Which circuit.
        circuit: CircuitName,
    },
    /// Its car is being connected with one phase, or with all again.
    PhaseSwitch,
    /// The raise waits until every EVSE was seen after the start.
    StartUp,
    /// It was started so often in the last hour that its contactor gets a rest, or it lost its
    /// current to another or to the house a moment ago.
    Rest {
        /// How long still.
        remaining: Duration,
    },
    /// The EVSE draws more than it is allowed; it is booked at what it draws.
    NotObeyed,
    /// The meter of a circuit is stale: its EVSEs share the failsafe current.
    Failsafe {
        /// Which circuit.
        circuit: CircuitName,
    },
    /// The EVSE does not take limits; it is booked at what it can draw.
    NotLimitable,
    /// The EVSE cannot be reached; it keeps what it was last told.
    Offline,
    /// `load-management = "observe"`: nothing is limited.
    Observe,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Circuit { circuit, phase } => write!(f, "limit: circuit {circuit}, {phase}"),
            Self::Power { circuit } => write!(f, "limit: power of circuit {circuit}"),
            Self::Signal { circuit, watts } => {
                write!(f, "limit signal of circuit {circuit}, {watts} W")
            }
            Self::Asymmetry { circuit } => write!(f, "limit: asymmetry of circuit {circuit}"),
            Self::OwnMaximum => f.write_str("its own maximum"),
            Self::Backend { limit } => write!(f, "limit: backend, {limit} A"),
            Self::UnderDraw => f.write_str("the car takes less; the rest goes to others"),
            Self::NoTransaction => f.write_str("no transaction"),
            Self::Disabled => f.write_str("disabled"),
            Self::Queue {
                position,
                expected: None,
            } => write!(f, "waits in the queue, position {position}"),
            Self::Queue {
                position,
                expected: Some(wait),
            } => {
                let minutes = wait.as_secs().div_ceil(60);
                write!(
                    f,
                    "waits in the queue, position {position}, about {minutes} min"
                )
            }
            Self::Transition => f.write_str("waits until others have lowered"),
            Self::RaiseBudget => f.write_str("waits for its next raise (ocpp-raise-interval)"),
            Self::Ramp => f.write_str("is raised step by step (raise-step, raise-interval)"),
            Self::NoReading { circuit } => {
                write!(f, "waits for a reading of the meter of circuit {circuit}")
            }
            Self::PhaseSwitch => f.write_str("switches between one phase and all"),
            Self::StartUp => {
                f.write_str("waits until every EVSE was seen after the start (start-up-hold)")
            }
            Self::Rest { remaining } => {
                let minutes = remaining.as_secs().div_ceil(60);
                write!(f, "rests between starts, about {minutes} min")
            }
            Self::NotObeyed => {
                f.write_str("draws more than it is allowed; booked at what it draws")
            }
            Self::Failsafe { circuit } => {
                write!(
                    f,
                    "the meter of circuit {circuit} is stale; failsafe-current holds"
                )
            }
            Self::NotLimitable => f.write_str("takes no limits; booked at what it can draw"),
            Self::Offline => f.write_str("not reachable; keeps its last limit"),
            Self::Observe => f.write_str("observed only"),
        }
    }
}

/// A question of a device that its upstream answers exactly once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Chosen by the asker; comes back in the [`Reply`].
    pub id: u64,
    /// The EVSE it concerns; several where the wallbox did not say which (`Authorize` has no
    /// connector): yes for one of them is yes. Empty where nothing of ours is concerned.
    pub evses: Vec<EvseName>,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// May this tag charge?
    Authorize(IdTag),
    /// A transaction was started with this tag.
    Start(IdTag),
    /// Somebody stopped a transaction with this tag.
    Stop(IdTag),
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The id of the call.
    pub id: u64,
    /// The verdict on the tag.
    pub verdict: Verdict,
}

/// `IdTagInfo` (OCPP 1.6 §7.27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// May it charge?
    pub status: AuthorizationStatus,
    /// Until when the verdict holds.
    pub expires: Option<jiff::Timestamp>,
    /// The group of the tag.
    pub parent: Option<IdTag>,
}

impl Verdict {
    /// Yes, without end and without group.
    pub const ACCEPTED: Self = Self {
        status: AuthorizationStatus::Accepted,
        expires: None,
        parent: None,
    };
}
