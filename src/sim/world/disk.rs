//! A disk that commits later, or not at all.

use std::collections::VecDeque;
use std::time::Duration;

use crate::ids::Seq;
use crate::journal::{Record, Recovered};

/// What is on disk, and what is on its way there.
#[derive(Debug, Default)]
pub struct Disk {
    /// How long a commit takes.
    pub delay: Duration,
    /// Nothing is written any more.
    pub failing: bool,
    recovered: Recovered,
    pending: VecDeque<(Seq, Record)>,
    /// The last record that could not be written.
    refused: Option<Seq>,
}

impl Disk {
    /// What a start would find.
    pub fn recovered(&self) -> &Recovered {
        &self.recovered
    }

    pub(super) fn write(&mut self, seq: Seq, record: Record) {
        self.pending.push_back((seq, record));
    }

    /// Makes everything up to `seq` last; returns whether there was anything.
    pub(super) fn commit(&mut self, seq: Seq) -> bool {
        let mut any = false;
        while let Some((_, record)) = self.pending.pop_front_if(|(first, _)| *first <= seq) {
            self.recovered.apply(record);
            any = true;
        }
        any
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
        self.refused = None;
    }
}
