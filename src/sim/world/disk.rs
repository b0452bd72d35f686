//! A disk that commits later, or not at all.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::clock::Mono;
use crate::ids::{EntryId, Seq};
use crate::journal::{Record, Recovered};

/// What is on disk, and what is on its way there.
#[derive(Debug, Default)]
pub struct Disk {
    /// How long a commit takes.
    pub delay: Duration,
    /// Nothing is written or read any more.
    pub failing: bool,
    recovered: Recovered,
    pending: VecDeque<(Seq, Record)>,
    /// It does one thing after the other: everything is done then.
    done_at: Mono,
    /// Of every entry that was ever written.
    payloads: BTreeMap<EntryId, String>,
    /// The last record that could not be written.
    refused: Option<Seq>,
}

impl Disk {
    /// What a start would find.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    /// When what it is asked for now will be done.
    pub(super) fn done_at(&mut self, now: Mono) -> Mono {
        self.done_at = self.done_at.max(now + self.delay);
        self.done_at
    }

    pub(super) fn write(&mut self, seq: Seq, record: Record) {
        self.pending.push_back((seq, record));
    }

    /// Makes everything up to `seq` last; returns whether there was anything.
    pub(super) fn commit(&mut self, seq: Seq) -> bool {
        let mut any = false;
        while let Some((_, record)) = self.pending.pop_front_if(|(first, _)| *first <= seq) {
            self.keep_payloads(&record);
            self.recovered.apply(record);
            any = true;
        }
        any
    }

    fn keep_payloads(&mut self, record: &Record) {
        match record {
            Record::Entry(filed) => {
                let payload = filed.entry.payload.clone();
                self.payloads.insert(filed.id, payload);
            }
            Record::Together(records) => {
                for record in records {
                    self.keep_payloads(record);
                }
            }
            Record::Transaction(_) | Record::Progress(_) | Record::Memory { .. } => {}
        }
    }

    /// A message that was filed more than once.
    pub(super) fn filed_twice(&self) -> Option<&str> {
        let mut seen = BTreeSet::new();
        let mut all = self.payloads.values().map(String::as_str);
        all.find(|payload| !seen.insert(*payload))
    }

    /// The payloads of entries that are on disk.
    pub(super) fn fetch(&self, entries: &[EntryId]) -> Vec<(EntryId, String)> {
        let found = |id: &EntryId| Some((*id, self.payloads.get(id)?.clone()));
        let readable = entries.iter().filter(|_| !self.failing);
        readable.filter_map(found).collect()
    }

    /// Puts off writing up to `seq`; returns whether a new attempt must be made.
    pub(super) fn refuse(&mut self, seq: Seq) -> bool {
        self.refused
            .replace(self.refused.unwrap_or(seq).max(seq))
            .is_none()
    }

    /// What a new attempt must write.
    pub(super) fn refused(&mut self) -> Option<Seq> {
        self.refused.take()
    }

    /// The power fails: what was not committed never was.
    pub(super) fn lose_pending(&mut self) {
        self.pending.clear();
        self.done_at = Mono::START;
        self.refused = None;
    }
}
