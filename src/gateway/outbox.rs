//! What a backend has not got yet, in the order in which it shall.
//!
//! The queue is on disk; here is its outline, and the payloads of the first few. Nothing leaves it
//! but what the backend has taken, what it refused for good, and periodic samples that make room.

use std::collections::BTreeMap;

use crate::ids::{ChargeBoxId, ConnectorId, EntryId, Identity, TransactionNumber};
use crate::journal::{EntryKind, EntryState, Filed, Progress, Recovered};

/// So many payloads are held ready.
const READY: usize = 64;

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The wallbox.
    pub(super) address: ChargeBoxId,
    /// Its connector.
    pub(super) connector: ConnectorId,
    /// The transaction it belongs to.
    pub(super) transaction: Option<TransactionNumber>,
    /// What it is.
    pub(super) kind: EntryKind,
    /// How often the backend refused it.
    pub(super) attempts: u32,
    /// `None` = on disk only.
    payload: Option<String>,
}

impl Waiting {
    /// The payload, if it is here.
    pub(super) fn payload(&self) -> Option<&str> {
        self.payload.as_deref()
    }
}

/// The queue of one identity.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<EntryId, Waiting>,
    dead: usize,
    fetching: bool,
}

impl Outbox {
    /// What the journal brought back.
    pub(super) fn recover(identity: &Identity, recovered: &Recovered) -> Self {
        let mut outbox = Self::default();
        for (id, outline) in &recovered.entries {
            if outline.identity != *identity {
                continue;
            }
            match outline.progress.state {
                EntryState::Queued => {
                    let waiting = Waiting {
                        address: outline.address.clone(),
                        connector: outline.connector,
                        transaction: outline.transaction,
                        kind: outline.kind,
                        attempts: outline.progress.attempts,
                        payload: None,
                    };
                    outbox.waiting.insert(*id, waiting);
                }
                EntryState::Dead => outbox.dead += 1,
                EntryState::Delivered | EntryState::Thinned => {}
            }
        }
        outbox
    }

    /// Adds a message at the end.
    pub(super) fn push(&mut self, filed: &Filed) {
        let entry = &filed.entry;
        let ready = self.waiting.len() < READY;
        let waiting = Waiting {
            address: entry.address.clone(),
            connector: entry.connector,
            transaction: entry.transaction,
            kind: entry.kind,
            attempts: 0,
            payload: ready.then(|| entry.payload.clone()),
        };
        self.waiting.insert(filed.id, waiting);
    }

    /// Where more than `most` wait, every second periodic sample makes room; returns which. Nothing
    /// else ever does, and not `sent`, which is on its way.
    pub(super) fn thin(&mut self, most: usize, sent: Option<EntryId>) -> Vec<EntryId> {
        if self.waiting.len() <= most {
            return Vec::new();
        }
        let samples = self.waiting.iter().filter(|(id, it)| {
            it.kind == EntryKind::Values { thinnable: true } && Some(**id) != sent
        });
        let thinned: Vec<EntryId> = samples.map(|(id, _)| *id).skip(1).step_by(2).collect();
        for id in &thinned {
            self.waiting.remove(id);
        }
        thinned
    }

    /// The next message, and its payload once that is here.
    pub(super) fn first(&self) -> Option<(EntryId, &Waiting, Option<&str>)> {
        let (id, waiting) = self.waiting.first_key_value()?;
        Some((*id, waiting, waiting.payload.as_deref()))
    }

    /// A message, while it waits.
    pub(super) fn get(&self, id: EntryId) -> Option<&Waiting> {
        self.waiting.get(&id)
    }

    /// Which payloads are to be read from disk now. Asks again only after [`Outbox::take`].
    pub(super) fn fetch(&mut self) -> Option<Vec<EntryId>> {
        let ahead = self.waiting.iter().take(READY);
        let missing: Vec<EntryId> = ahead
            .filter(|(_, it)| it.payload.is_none())
            .map(|(id, _)| *id)
            .collect();
        let first_is_missing = self.first().is_some_and(|(.., payload)| payload.is_none());
        // Half a window at a time, not one by one.
        let due = first_is_missing || missing.len() >= READY / 2;
        if self.fetching || missing.is_empty() || !due {
            return None;
        }
        self.fetching = true;
        Some(missing)
    }

    /// The disk has read. False if it found nothing of what was asked for.
    pub(super) fn take(&mut self, payloads: Vec<(EntryId, String)>) -> bool {
        self.fetching = false;
        let any = !payloads.is_empty();
        for (id, payload) in payloads {
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.payload = Some(payload);
            }
        }
        any
    }

    /// The backend has it. Returns what is to be kept of that; `None` if it had it before.
    pub(super) fn delivered(&mut self, id: EntryId, backend_id: Option<i64>) -> Option<Progress> {
        let waiting = self.waiting.remove(&id)?;
        Some(Progress {
            id,
            state: EntryState::Delivered,
            attempts: waiting.attempts,
            backend_id,
        })
    }

    /// The backend refused it. After `most` times it is buried: kept, and never sent again.
    pub(super) fn refused(&mut self, id: EntryId, most: u32) -> Option<Progress> {
        let waiting = self.waiting.get_mut(&id)?;
        waiting.attempts = waiting.attempts.saturating_add(1);
        let attempts = waiting.attempts;
        let state = if attempts >= most {
            self.waiting.remove(&id);
            self.dead += 1;
            EntryState::Dead
        } else {
            EntryState::Queued
        };
        Some(Progress {
            id,
            state,
            attempts,
            backend_id: None,
        })
    }

    /// Takes a message out that is not to be sent any more; false if it does not wait.
    pub(super) fn remove(&mut self, id: EntryId) -> bool {
        self.waiting.remove(&id).is_some()
    }

    /// Whether a DataTransfer waits.
    pub(super) fn holds_transfers(&self) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|it| it.kind == EntryKind::DataTransfer)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// How many were buried.
    pub(super) fn dead(&self) -> usize {
        self.dead
    }

    /// Whether anything of this transaction waits.
    pub(super) fn holds(&self, transaction: TransactionNumber) -> bool {
        let of_it = |it: &Waiting| it.transaction == Some(transaction);
        self.waiting.values().any(of_it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Entry, Record};

    const SAMPLE: EntryKind = EntryKind::Values { thinnable: true };
    const SIGNED: EntryKind = EntryKind::Values { thinnable: false };

    fn filed(id: u64, kind: EntryKind) -> Filed {
        Filed {
            id: EntryId(id),
            identity: Some("backend".into()),
            entry: Entry {
                address: "CB-1".into(),
                connector: ConnectorId(1),
                transaction: Some(TransactionNumber(7)),
                kind,
                payload: id.to_string(),
                received: jiff::Timestamp::UNIX_EPOCH,
            },
        }
    }

    fn outbox(kinds: &[EntryKind]) -> Outbox {
        let mut outbox = Outbox::default();
        for (id, kind) in (1..).zip(kinds) {
            outbox.push(&filed(id, *kind));
        }
        outbox
    }

    /// Delivers everything, reading from `disk` what is not in memory; returns the order.
    fn drain(outbox: &mut Outbox) -> Vec<u64> {
        let mut order = Vec::new();
        while outbox.len() > 0 {
            if let Some(ids) = outbox.fetch() {
                assert!(ids.len() <= READY);
                outbox.take(ids.into_iter().map(|id| (id, id.0.to_string())).collect());
            }
            let (id, _, payload) = outbox.first().unwrap();
            assert_eq!(
                payload,
                Some(id.0.to_string().as_str()),
                "the wrong payload"
            );
            outbox.delivered(id, None).unwrap();
            order.push(id.0);
        }
        order
    }

    #[test]
    fn a_long_queue_holds_few_payloads_and_is_delivered_in_order() {
        let mut outbox = outbox(&[SAMPLE; 1000]);
        let held = outbox.waiting.values().filter(|it| it.payload.is_some());
        assert_eq!(held.count(), READY);
        assert_eq!(drain(&mut outbox), (1..=1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_queue_comes_back_after_a_restart_without_what_was_delivered_or_buried() {
        let mut recovered = Recovered::default();
        for id in 1..=5 {
            recovered.apply(Record::Entry(filed(id, EntryKind::Stop)));
        }
        let mut other = filed(6, EntryKind::Stop);
        other.identity = Some("another".into());
        recovered.apply(Record::Entry(other));
        let before = &mut outbox(&[EntryKind::Stop; 5]);
        recovered.apply(Record::Progress(
            before.delivered(EntryId(1), None).unwrap(),
        ));
        recovered.apply(Record::Progress(before.refused(EntryId(2), 1).unwrap()));
        recovered.apply(Record::Progress(before.refused(EntryId(3), 2).unwrap()));
        let mut outbox = Outbox::recover(&"backend".into(), &recovered);
        assert_eq!((outbox.len(), outbox.dead()), (3, 1));
        assert_eq!(outbox.first().unwrap().1.attempts, 1);
        assert_eq!(drain(&mut outbox), [3, 4, 5]);
    }

    #[test]
    fn an_overflow_costs_every_second_periodic_sample_and_nothing_else() {
        let kinds = [
            EntryKind::Start,
            SAMPLE,
            SAMPLE,
            SIGNED,
            SAMPLE,
            SAMPLE,
            EntryKind::Stop,
            EntryKind::DataTransfer,
        ];
        let mut outbox = outbox(&kinds);
        assert_eq!(outbox.thin(8, None), []);
        assert_eq!(outbox.thin(7, None), [EntryId(3), EntryId(6)]);
        assert_eq!(outbox.thin(1, Some(EntryId(5))), []);
        assert_eq!(drain(&mut outbox), [1, 2, 4, 5, 7, 8]);
    }

    #[test]
    fn a_refused_message_is_buried_after_the_last_attempt_and_the_next_one_is_first() {
        let mut outbox = outbox(&[EntryKind::Start, EntryKind::Stop]);
        let states = [0; 3].map(|_| outbox.refused(EntryId(1), 3).unwrap().state);
        assert_eq!(
            states,
            [EntryState::Queued, EntryState::Queued, EntryState::Dead]
        );
        assert_eq!(outbox.refused(EntryId(1), 3), None);
        assert_eq!(outbox.first().unwrap().0, EntryId(2));
        assert!(outbox.holds(TransactionNumber(7)));
    }

    #[test]
    fn what_the_disk_could_not_read_is_asked_for_again() {
        let mut outbox = outbox(&[SAMPLE; READY + 1]);
        for id in 1..=READY as u64 {
            outbox.delivered(EntryId(id), None).unwrap();
        }
        assert!(outbox.fetch().is_some());
        assert_eq!(outbox.fetch(), None, "one at a time");
        assert!(!outbox.take(Vec::new()));
        assert_eq!(outbox.fetch(), Some(vec![EntryId(READY as u64 + 1)]));
    }
}
