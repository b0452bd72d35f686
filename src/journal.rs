//! What survives a crash, as values. The store writes [`Record`]s; a restart begins from
//! [`Recovered`], and [`Recovered::apply`] says what a record means, so that a simulated disk and
//! the real one cannot disagree.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::clock::Random;
use crate::ids::{ChargeBoxId, ConnectorId, EntryId, IdTag, Identity, TransactionNumber};
use crate::units::WattHours;

/// One thing to keep. Records are applied in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A transaction as it stands now; replaces the former state of the same number.
    Transaction(Transaction),
    /// A message for a backend, exactly as the wallbox sent it.
    Entry(Filed),
    /// What became of an entry.
    Progress(Progress),
    /// What one machine remembers; `None` forgets it.
    Memory {
        /// Who remembers: a kind and a name, like `station CB-1` or `evse garage-left`.
        owner: String,
        /// What.
        key: String,
        /// JSON.
        value: Option<String>,
    },
    /// All of these, or none.
    Together(Vec<Record>),
}

/// A transaction of a wallbox (OCPP 1.6 §4.8, §4.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transaction {
    /// Our own number.
    pub number: TransactionNumber,
    /// The wallbox.
    pub address: ChargeBoxId,
    /// The connector of that wallbox.
    pub connector: ConnectorId,
    /// The id that the wallbox was told, or that it brought along (adopted).
    pub wallbox_id: i64,
    /// Who charges; unknown for an adopted transaction.
    pub id_tag: Option<IdTag>,
    /// The register at the start, where it was plausible.
    pub meter_start: Option<WattHours>,
    /// `timestamp` of `StartTransaction` as it came; empty for an adopted transaction.
    pub started: String,
    /// When we received it.
    pub received: Timestamp,
    /// How it ended; `None` while it runs.
    pub stopped: Option<Stopped>,
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// The register at the end, where it is known.
    pub meter_stop: Option<WattHours>,
    /// `timestamp` of `StopTransaction` as it came; empty where none came.
    pub timestamp: String,
    /// `reason` as it came ("Local" where absent), or ours.
    pub reason: String,
    /// When we received it or decided it.
    pub received: Timestamp,
}

/// A message exactly as it came, of which nothing may be lost: those of transactions, and what a
/// backend is to get later where it is away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The wallbox.
    pub address: ChargeBoxId,
    /// Its connector; 0 = the whole wallbox.
    pub connector: ConnectorId,
    /// The transaction it belongs to.
    pub transaction: Option<TransactionNumber>,
    /// What it is.
    pub kind: EntryKind,
    /// The payload, byte for byte.
    pub payload: String,
    /// When we received it.
    pub received: Timestamp,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// `StartTransaction`.
    Start,
    /// `MeterValues` of a transaction.
    Values {
        /// Periodic and without signature: where the queue overflows it may make room.
        thinnable: bool,
    },
    /// `StopTransaction`.
    Stop,
    /// `DataTransfer`.
    DataTransfer,
}

impl EntryKind {
    /// Its OCPP action.
    pub fn action(self) -> &'static str {
        match self {
            Self::Start => "StartTransaction",
            Self::Values { .. } => "MeterValues",
            Self::Stop => "StopTransaction",
            Self::DataTransfer => "DataTransfer",
        }
    }
}

/// An [`Entry`] with its place in the queue of a backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filed {
    /// Later ones have larger numbers.
    pub id: EntryId,
    /// Whose queue it is in; `None` = nobody's: it is kept and never sent.
    pub identity: Option<Identity>,
    /// The message.
    pub entry: Entry,
}

/// How far the delivery of an entry has come; replaces what was known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Which entry.
    pub id: EntryId,
    /// How it stands.
    pub state: EntryState,
    /// How often the backend refused it or did not answer while it was there.
    pub attempts: u32,
    /// What the backend called the transaction, in its answer to a start.
    pub backend_id: Option<i64>,
}

/// How an entry stands with its backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryState {
    /// To be delivered.
    Queued,
    /// The backend has it.
    Delivered,
    /// The backend refused it for good: kept for a person to look at.
    Dead,
    /// It made room for others.
    Thinned,
}

/// What a start knows of an entry that is not over and done with. Its payload stays on disk until
/// it is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// Whose queue it is in.
    pub identity: Identity,
    /// The wallbox.
    pub address: ChargeBoxId,
    /// Its connector.
    pub connector: ConnectorId,
    /// The transaction it belongs to.
    pub transaction: Option<TransactionNumber>,
    /// What it is.
    pub kind: EntryKind,
    /// How far its delivery has come.
    pub progress: Progress,
}

/// How many ended transactions of each wallbox are brought back at a start: enough to recognise
/// everything that a wallbox may send again after an outage.
pub const RECENT_TRANSACTIONS: usize = 50;

/// Everything a start begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Open transactions, and the last [`RECENT_TRANSACTIONS`] ended ones of each wallbox.
    pub transactions: BTreeMap<TransactionNumber, Transaction>,
    /// (owner, key) → JSON.
    pub memory: BTreeMap<(String, String), String>,
    /// The largest transaction number ever used, also by a start without its transaction.
    pub last_transaction: Option<TransactionNumber>,
    /// Entries that are not over and done with: those that wait, those that were given up, and
    /// delivered starts, because their backend ids are needed for as long as anything of their
    /// transaction waits or may come.
    pub entries: BTreeMap<EntryId, Outline>,
    /// The largest entry number ever used.
    pub last_entry: Option<EntryId>,
}

impl Recovered {
    /// What the journal holds after `record` was committed.
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::Transaction(transaction) => {
                let number = transaction.number;
                self.last_transaction = self.last_transaction.max(Some(number));
                self.transactions.insert(number, transaction);
            }
            Record::Entry(filed) => self.file(filed),
            Record::Progress(progress) => self.progress(progress),
            Record::Memory {
                owner,
                key,
                value: Some(value),
            } => {
                self.memory.insert((owner, key), value);
            }
            Record::Memory {
                owner,
                key,
                value: None,
            } => {
                self.memory.remove(&(owner, key));
            }
            Record::Together(records) => {
                for record in records {
                    self.apply(record);
                }
            }
        }
    }
}

impl Recovered {
    fn file(&mut self, filed: Filed) {
        self.last_entry = self.last_entry.max(Some(filed.id));
        if filed.entry.kind == EntryKind::Start {
            self.last_transaction = self.last_transaction.max(filed.entry.transaction);
        }
        let Some(identity) = filed.identity else {
            return;
        };
        let outline = Outline {
            identity,
            address: filed.entry.address,
            connector: filed.entry.connector,
            transaction: filed.entry.transaction,
            kind: filed.entry.kind,
            progress: Progress {
                id: filed.id,
                state: EntryState::Queued,
                attempts: 0,
                backend_id: None,
            },
        };
        self.entries.insert(filed.id, outline);
    }

    fn progress(&mut self, progress: Progress) {
        let Some(outline) = self.entries.get_mut(&progress.id) else {
            return;
        };
        outline.progress = progress;
        if is_over(outline.kind, progress.state) {
            self.entries.remove(&progress.id);
        }
    }
}

/// Whether nothing needs to be known of such an entry any more.
pub fn is_over(kind: EntryKind, state: EntryState) -> bool {
    match state {
        EntryState::Queued | EntryState::Dead => false,
        EntryState::Thinned => true,
        EntryState::Delivered => kind != EntryKind::Start,
    }
}

/// Gives out transaction numbers: positive, in the range of an `i32` (some wallboxes store no
/// more), never the same again.
#[derive(Debug)]
pub struct TransactionNumbers(i64);

impl TransactionNumbers {
    /// Goes on after `last`; without one begins at a random place between 1 and 2 × 10⁹, so that
    /// a lost database does not bring old numbers back.
    pub fn after(last: Option<TransactionNumber>, random: &mut Random) -> Self {
        const FIRST: i64 = 1_000_000_000;
        let start = || FIRST + i64::try_from(random.below(1_000_000_000)).unwrap_or(0);
        let usable = last
            .map(|number| number.0)
            .filter(|n| (1..i64::from(i32::MAX)).contains(n));
        Self(usable.unwrap_or_else(start))
    }

    /// The next one.
    pub fn give(&mut self) -> TransactionNumber {
        // After 147 million transactions the range begins anew.
        self.0 = if self.0 >= i64::from(i32::MAX) {
            1_000_000_000
        } else {
            self.0 + 1
        };
        TransactionNumber(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_a_restart_and_begin_high_without_a_memory() {
        let mut random = Random::new(1);
        let mut numbers =
            TransactionNumbers::after(Some(TransactionNumber(1_234_567_890)), &mut random);
        assert_eq!(numbers.give(), TransactionNumber(1_234_567_891));
        let fresh = TransactionNumbers::after(None, &mut random).give().0;
        assert!((1_000_000_000..=2_000_000_000).contains(&fresh), "{fresh}");
    }

    #[test]
    fn numbers_stay_in_the_range_that_wallboxes_can_store() {
        let mut random = Random::new(1);
        let last = TransactionNumber(i64::from(i32::MAX) - 1);
        let mut numbers = TransactionNumbers::after(Some(last), &mut random);
        assert_eq!(numbers.give().0, i64::from(i32::MAX));
        assert_eq!(numbers.give().0, 1_000_000_000);
    }
}
