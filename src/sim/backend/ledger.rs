//! What a backend has seen and done, for tests and for whoever reads along.

use std::collections::VecDeque;
use std::fmt;

use super::book::Book;
pub use super::book::Transaction;
use crate::clock::Now;
use crate::ids::ChargeBoxId;

/// How many complaints are kept.
const COMPLAINTS: usize = 100;

/// One thing that happened between the backend and a charge point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Now,
    /// With which charge point.
    pub client_id: ChargeBoxId,
    /// What.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It connected.
    Up,
    /// Its connection is gone.
    Down,
    /// It sent a CALL.
    Call {
        /// The message id.
        id: String,
        /// The action.
        action: String,
        /// The payload, byte for byte.
        payload: String,
    },
    /// Its CALL was answered.
    Answer {
        /// The action of the CALL.
        action: String,
        /// The answer as it left.
        outcome: Outcome,
    },
    /// Its CALL was processed, and the answer did not leave.
    LostAnswer {
        /// The action of the CALL.
        action: String,
    },
    /// The backend sent a CALL.
    Command {
        /// The number that [`Backend::command`](super::Backend::command) returned.
        number: CommandNumber,
        /// The action.
        action: String,
        /// The payload.
        payload: String,
    },
    /// What became of the backend's CALL.
    Outcome {
        /// The number that [`Backend::command`](super::Backend::command) returned.
        number: CommandNumber,
        /// The action.
        action: String,
        /// The answer, if one came.
        outcome: Outcome,
    },
    /// It broke a rule of OCPP-J.
    Complaint(String),
}

/// Names a command of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandNumber(pub u64);

/// What became of a CALL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A CALLRESULT with this payload, byte for byte.
    Result(String),
    /// A CALLERROR.
    Error {
        /// The error code, as it was written.
        code: String,
        /// For people; may be empty.
        description: String,
    },
    /// No answer in time; a late one makes another entry.
    Silence,
    /// The connection went before the answer came.
    LinkLost,
}

impl Outcome {
    /// The payload of a CALLRESULT.
    pub fn payload(&self) -> Option<&str> {
        match self {
            Self::Result(payload) => Some(payload),
            Self::Error { .. } | Self::Silence | Self::LinkLost => None,
        }
    }
}

/// A CALL as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call<'a> {
    /// When.
    pub at: Now,
    /// The message id.
    pub id: &'a str,
    /// The action.
    pub action: &'a str,
    /// The payload, byte for byte.
    pub payload: &'a str,
}

/// Whoever looks at every [`Entry`].
struct Inspector(Box<dyn FnMut(&Entry) + Send>);

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspector")
    }
}

/// The memory of a backend.
#[derive(Debug, Default)]
pub struct Ledger {
    entries: VecDeque<Entry>,
    book: Book,
    complaints: Vec<String>,
    inspector: Option<Inspector>,
}

impl Ledger {
    /// Everything, oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Every CALL of a charge point, oldest first, repeats included.
    pub fn calls(&self, client_id: &str) -> impl DoubleEndedIterator<Item = Call<'_>> {
        let entries = self.entries.iter();
        let of_client = entries.filter(move |entry| entry.client_id.as_str() == client_id);
        of_client.filter_map(|entry| match &entry.event {
            Event::Call {
                id,
                action,
                payload,
            } => Some(Call {
                at: entry.at,
                id,
                action,
                payload,
            }),
            _ => None,
        })
    }

    /// The actions of every CALL of a charge point.
    pub fn actions(&self, client_id: &str) -> Vec<&str> {
        self.calls(client_id).map(|call| call.action).collect()
    }

    /// The payloads of every CALL with this action.
    pub fn payloads(&self, client_id: &str, action: &str) -> Vec<&str> {
        let calls = self.calls(client_id).filter(|call| call.action == action);
        calls.map(|call| call.payload).collect()
    }

    /// What became of a command, as far as is known.
    pub fn outcome(&self, command: CommandNumber) -> Option<&Outcome> {
        self.entries
            .iter()
            .rev()
            .find_map(|entry| match &entry.event {
                Event::Outcome {
                    number, outcome, ..
                } if *number == command => Some(outcome),
                _ => None,
            })
    }

    /// The transactions of a charge point, in the order of their StartTransaction.
    pub fn transactions(&self, client_id: &str) -> Vec<&Transaction> {
        self.book.transactions(client_id).collect()
    }

    /// How often a charge point started a transaction. What it repeats byte for byte because it was
    /// not answered counts once.
    pub fn starts(&self, client_id: &str) -> usize {
        self.book.transactions(client_id).count()
    }

    /// How often a charge point stopped one, counted in the same way; those of foreign
    /// transactions included.
    pub fn stops(&self, client_id: &str) -> usize {
        self.book.stops(client_id)
    }

    /// Payloads of StopTransaction and MeterValues with the number of a transaction that the
    /// charge point does not have.
    pub fn foreign(&self, client_id: &str) -> Vec<&str> {
        self.book.foreign(client_id).collect()
    }

    /// What charge points did against the rules of OCPP-J.
    pub fn complaints(&self) -> &[String] {
        &self.complaints
    }

    pub(super) fn inspect(&mut self, inspector: impl FnMut(&Entry) + Send + 'static) {
        self.inspector = Some(Inspector(Box::new(inspector)));
    }

    pub(super) const fn book(&mut self) -> &mut Book {
        &mut self.book
    }

    pub(super) fn record(&mut self, at: Now, client_id: &ChargeBoxId, event: Event, limit: usize) {
        if let Event::Complaint(complaint) = &event
            && self.complaints.len() < COMPLAINTS
        {
            self.complaints.push(format!("{client_id}: {complaint}"));
        }
        let entry = Entry {
            at,
            client_id: client_id.clone(),
            event,
        };
        if let Some(inspector) = &mut self.inspector {
            inspector.0(&entry);
        }
        self.entries.push_back(entry);
        while self.entries.len() > limit {
            self.entries.pop_front();
        }
    }
}
