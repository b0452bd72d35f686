//! The vocabulary between the wings: nothing else crosses from one to another.
//!
//! A device (a [`Station`](crate::central_system::Station)) *reports* and *notices*; the load
//! manager *offers*; an upstream (the local tag list, a backend's gateway) answers *calls* and, if
//! it is a backend, *orders*.

use std::fmt;
use std::time::Duration;

use crate::ids::{CircuitName, EvseName, IdTag, OfferNumber, TransactionNumber};
use crate::ocpp::ChargePointStatus;
pub use crate::ocpp::messages::AuthorizationStatus;
use crate::ocpp::messages::{AuthorizeResponse, IdTagInfo, Measurand};
use crate::ocpp::rpc::CallFailure;
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
    /// It lacks a little of its share, and others are not lowered for that yet.
    Fairness {
        /// How long still.
        remaining: Duration,
    },
    /// The raise waits, to spare the wallbox's memory.
    RaiseBudget,
    /// It was told something often lately: the next raise waits, or must be a larger one.
    Spared,
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
            Self::Fairness { remaining } => {
                let minutes = remaining.as_secs().div_ceil(60);
                write!(
                    f,
                    "lacks little of its share; others give it in about {minutes} min"
                )
            }
            Self::RaiseBudget => f.write_str("waits for its next raise (ocpp-raise-interval)"),
            Self::Spared => f.write_str("it was moved often lately: its next raise waits"),
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

/// A question of a device that its upstream answers exactly once. Whoever answers owns the
/// deadline: the asker has no timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Chosen by the asker; comes back with the [`Reply`].
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
    Authorize {
        /// The tag.
        tag: IdTag,
        /// The payload of `Authorize`.
        payload: String,
    },
    /// A transaction was started with this tag; its [`Entry`](crate::journal::Entry) came before.
    Start {
        /// The tag.
        tag: IdTag,
        /// The transaction.
        transaction: TransactionNumber,
    },
    /// Somebody stopped a transaction with this tag.
    Stop(IdTag),
    /// What only a backend can answer: `DataTransfer`, actions that nobody here knows.
    Relay {
        /// The action as it came.
        action: String,
        /// The payload, byte for byte.
        payload: String,
    },
}

/// The answer to a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// A verdict on the tag that was not given by a backend.
    Verdict(Verdict),
    /// The payload of a backend's CALLRESULT, byte for byte. To a start or an authorize it is one
    /// that can be read.
    Payload(String),
    /// A CALLERROR: of the backend, or because there is none.
    Refused(CallFailure),
}

impl Reply {
    /// What is said of the tag that was asked about.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Verdict(verdict) => verdict.clone(),
            Self::Payload(payload) => serde_json::from_str::<AuthorizeResponse>(payload)
                .map_or(Verdict::INVALID, |said| Verdict::from(&said.id_tag_info)),
            Self::Refused(_) => Verdict::INVALID,
        }
    }
}

/// A command of a backend. The device carries it out and answers exactly once: at once where its
/// wallbox is away, and in any case in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Chosen by the gateway; comes back with the answer.
    pub id: u64,
    /// Whom it concerns; `None` = the whole wallbox.
    pub evse: Option<EvseName>,
    /// The transaction it names, where it names one.
    pub transaction: Option<TransactionNumber>,
    /// The action as it came.
    pub action: String,
    /// The payload as it came, with the backend's numbers: whoever sends it on puts in its own.
    pub payload: String,
}

/// What a device says of an [`Order`]: the payload of the CALLRESULT, byte for byte, or why not.
pub type Outcome = Result<String, CallFailure>;

/// A word of a wallbox that its backend should hear and that it does not wait for:
/// `BootNotification`, `StatusNotification`, meter values outside of transactions, progress of
/// firmware and diagnostics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whose; `None` = the whole wallbox.
    pub evse: Option<EvseName>,
    /// The action as it came.
    pub action: String,
    /// The payload, byte for byte.
    pub payload: String,
}

/// Which meter values a backend wants of an EVSE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metering {
    /// Periodic ones at this interval; `None` = none.
    pub interval: Option<Duration>,
    /// `MeterValuesSampledData` as the backend set it; empty = it did not.
    pub measurands: String,
}

/// How a wallbox behaves that we play for its backend: what the keys of OCPP 1.6 §9 say now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduct {
    /// `MeterValueSampleInterval`; `None` = no periodic samples.
    pub sample_interval: Option<Duration>,
    /// `MeterValuesSampledData`
    pub sampled: Vec<Sampled>,
    /// `StopTxnSampledData`
    pub stop_sampled: Vec<Sampled>,
    /// `ClockAlignedDataInterval`; `None` = no samples by the clock.
    pub clock_interval: Option<Duration>,
    /// `MeterValuesAlignedData`
    pub aligned: Vec<Sampled>,
    /// `StopTxnAlignedData`
    pub stop_aligned: Vec<Sampled>,
    /// `MinimumStatusDuration`: a status that lasts for less is not told.
    pub minimum_status: Duration,
    /// `ConnectionTimeOut`: who is authorized has so long to plug in.
    pub connection_time_out: Duration,
    /// `AuthorizeRemoteTxRequests`: the tag of a remote start is asked for like a card.
    pub authorize_remote: bool,
    /// `StopTransactionOnInvalidId`: a transaction whose tag is refused ends; otherwise it stays
    /// open without current.
    pub stop_on_invalid: bool,
    /// `MaxEnergyOnInvalidId`: so much it may still take before.
    pub energy_on_invalid: WattHours,
}

impl Default for Conduct {
    /// Without a backend: nobody wants samples, and who may not charge does not.
    fn default() -> Self {
        Self {
            sample_interval: None,
            sampled: Vec::new(),
            stop_sampled: Vec::new(),
            clock_interval: None,
            aligned: Vec::new(),
            stop_aligned: Vec::new(),
            minimum_status: Duration::ZERO,
            connection_time_out: Duration::from_mins(1),
            authorize_remote: false,
            stop_on_invalid: true,
            energy_on_invalid: WattHours::ZERO,
        }
    }
}

/// An item of a list of measurands: `Current.Import.L1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    /// What.
    pub measurand: Measurand,
    /// On this phase only; `None` = the total, or every phase where there is no total.
    pub phase: Option<Phase>,
}

/// The backend refuses a transaction that was allowed before it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deauthorize {
    /// Which.
    pub transaction: TransactionNumber,
    /// `StopTransactionOnInvalidId`: stop it; otherwise it stays open without current.
    pub stop: bool,
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

    /// No, and nothing else is known.
    pub const INVALID: Self = Self {
        status: AuthorizationStatus::Invalid,
        expires: None,
        parent: None,
    };
}

impl From<&IdTagInfo> for Verdict {
    fn from(info: &IdTagInfo) -> Self {
        Self {
            status: info.status,
            expires: info.expiry_date,
            parent: info.parent_id_tag.clone(),
        }
    }
}
