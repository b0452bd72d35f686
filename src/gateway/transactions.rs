//! What a gateway knows of transactions: what the backend calls them, and whether it wants them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::ids::{ChargeBoxId, ConnectorId, EntryId, IdTag, Identity, TransactionNumber};
use crate::journal::{EntryKind, EntryState, Outline, Recovered};
use crate::ocpp::messages::StopReason;

/// So many transactions that are over are remembered: late meter values come after the stop.
const OVER: usize = 50;

/// What became of the start of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// It waits in the queue.
    Queued,
    /// The backend has it and calls the transaction so; `None` where its answer named no id.
    Delivered(Option<i64>),
    /// The backend refused it for good: what belongs to it goes with the id -1 (OCPP 1.6 §4.8).
    Dead,
}

/// A transaction whose start went through this gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The wallbox.
    pub(super) address: ChargeBoxId,
    /// Its connector.
    pub(super) connector: ConnectorId,
    /// Who charges.
    pub(super) id_tag: Option<IdTag>,
    /// The register at its start, in Wh, as it came.
    pub(super) meter_start: Option<i64>,
    /// When we heard of it: profiles relative to its start count from there, because the clocks of
    /// wallboxes are wrong.
    pub(super) began: Timestamp,
    /// What became of its start.
    pub(super) start: Start,
    /// The backend does not want it.
    pub(super) refused: bool,
    /// Why we ended it, where the wallbox only knows that it was told to.
    pub(super) ended_as: Option<StopReason>,
    /// Its stop was received, or will never be.
    pub(super) over: bool,
    /// The stop that we made up for it.
    pub(super) made_up: Option<EntryId>,
}

impl Known {
    /// What the backend calls it, where it does.
    pub(super) fn backend_id(&self) -> Option<i64> {
        match self.start {
            Start::Delivered(id) => id,
            Start::Queued | Start::Dead => None,
        }
    }
}

/// Transactions by our own number, so that reused or absurd ids of a backend do not matter.
#[derive(Debug, Default)]
pub(super) struct Transactions(BTreeMap<TransactionNumber, Known>);

impl Transactions {
    /// What the journal brought back; `refused` are those that the backend does not want,
    /// `ended` those that we ended, and why.
    pub(super) fn recover(
        identity: &Identity,
        recovered: &Recovered,
        refused: &[TransactionNumber],
        ended: &BTreeMap<TransactionNumber, StopReason>,
    ) -> Self {
        let starts = recovered
            .entries
            .values()
            .filter(|it| it.identity == *identity && it.kind == EntryKind::Start);
        let known = |outline: &Outline| {
            let number = outline.transaction?;
            let transaction = recovered.transactions.get(&number);
            let known = Known {
                address: outline.address.clone(),
                connector: outline.connector,
                id_tag: transaction.and_then(|it| it.id_tag.clone()),
                meter_start: transaction.and_then(|it| it.meter_start).map(|it| it.0),
                began: transaction.map_or(Timestamp::UNIX_EPOCH, |it| it.received),
                start: match outline.progress.state {
                    EntryState::Queued => Start::Queued,
                    EntryState::Delivered => Start::Delivered(outline.progress.backend_id),
                    EntryState::Dead | EntryState::Thinned => Start::Dead,
                },
                refused: refused.contains(&number),
                over: transaction.is_none_or(|it| it.stopped.is_some()),
                ended_as: ended.get(&number).copied(),
                made_up: None,
            };
            Some((number, known))
        };
        Self(starts.filter_map(known).collect())
    }

    pub(super) fn begin(&mut self, number: TransactionNumber, known: Known) {
        self.0.insert(number, known);
    }

    pub(super) fn get(&self, number: TransactionNumber) -> Option<&Known> {
        self.0.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: TransactionNumber) -> Option<&mut Known> {
        self.0.get_mut(&number)
    }

    /// The open one of a connector of a wallbox.
    pub(super) fn open_of(
        &self,
        address: &ChargeBoxId,
        connector: ConnectorId,
    ) -> Option<(TransactionNumber, &Known)> {
        let here = |it: &Known| !it.over && it.address == *address && it.connector == connector;
        let mut newest_first = self.0.iter().rev();
        newest_first
            .find(|(_, it)| here(it))
            .map(|(number, it)| (*number, it))
    }

    /// The open one that the backend calls so; the newest where a backend gives ids twice.
    pub(super) fn called(&self, id: i64) -> Option<(TransactionNumber, &Known)> {
        let meant = |it: &Known| !it.over && it.start == Start::Delivered(Some(id));
        let mut newest_first = self.0.iter().rev();
        newest_first
            .find(|(_, it)| meant(it))
            .map(|(number, it)| (*number, it))
    }

    /// Those that the backend does not want.
    pub(super) fn refused(&self) -> Vec<TransactionNumber> {
        let refused = self.0.iter().filter(|(_, it)| it.refused);
        refused.map(|(number, _)| *number).collect()
    }

    /// Those that we ended, and why.
    pub(super) fn ended(&self) -> BTreeMap<TransactionNumber, StopReason> {
        let ended = self.0.iter();
        ended
            .filter_map(|(number, it)| Some((*number, it.ended_as?)))
            .collect()
    }

    /// Those that are not over.
    pub(super) fn open(&self) -> impl Iterator<Item = (TransactionNumber, &Known)> {
        self.0
            .iter()
            .filter(|(_, it)| !it.over)
            .map(|(number, it)| (*number, it))
    }

    /// Forgets the oldest of those that are over, up to the first of which something waits; returns
    /// those that were refused. What waits goes in order: looking further would find little, and
    /// walk through a long queue for each of them.
    pub(super) fn forget_old(
        &mut self,
        waits: impl Fn(TransactionNumber) -> bool,
    ) -> Vec<TransactionNumber> {
        let over = self.0.iter().filter(|(_, it)| it.over);
        let over: Vec<TransactionNumber> = over.map(|(number, _)| *number).collect();
        let excess = over.len().saturating_sub(OVER);
        let oldest = over.into_iter().take(excess);
        let mut refused = Vec::new();
        for number in oldest.take_while(|number| !waits(*number)) {
            let forgotten = self.0.remove(&number);
            refused.extend(forgotten.filter(|it| it.refused).map(|_| number));
        }
        refused
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn over(numbers: std::ops::Range<i64>) -> Transactions {
        let mut transactions = Transactions::default();
        for number in numbers {
            let known = Known {
                address: "CB-1".into(),
                connector: ConnectorId(1),
                id_tag: None,
                began: Timestamp::UNIX_EPOCH,
                start: Start::Queued,
                refused: number % 2 == 0,
                over: true,
                meter_start: None,
                ended_as: None,
                made_up: None,
            };
            transactions.begin(TransactionNumber(number), known);
        }
        transactions
    }

    #[test]
    fn old_transactions_are_forgotten_up_to_the_first_of_which_something_waits() {
        let mut transactions = over(0..60);
        let first = TransactionNumber(3);
        let refused = transactions.forget_old(|number| number == first);
        assert_eq!(refused, [TransactionNumber(0), TransactionNumber(2)]);
        assert_eq!(transactions.0.keys().next(), Some(&first));
        transactions.forget_old(|_| false);
        assert_eq!(transactions.0.len(), OVER);
    }

    #[test]
    fn one_that_runs_is_not_forgotten_however_old_it_is() {
        let mut transactions = over(0..60);
        let oldest = TransactionNumber(0);
        transactions.get_mut(oldest).unwrap().over = false;
        transactions.forget_old(|_| false);
        assert_eq!(transactions.0.len(), OVER + 1);
        assert!(transactions.get(oldest).is_some());
    }

    #[test]
    fn a_long_queue_is_not_walked_through_for_each_transaction() {
        let mut transactions = over(0..500);
        let asked = Cell::new(0);
        transactions.forget_old(|_| {
            asked.set(asked.get() + 1);
            true
        });
        assert_eq!(asked.get(), 1);
        assert_eq!(transactions.0.len(), 500);
    }
}
