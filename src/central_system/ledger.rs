//! The transactions of one wallbox: which are open, which ended lately, and which of them a
//! message of the wallbox means.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{ChargeBoxId, ConnectorId, IdTag, TransactionNumber};
use crate::journal::{RECENT_TRANSACTIONS, Recovered, Stopped, Transaction};
use crate::ocpp::timestamp;
use crate::units::WattHours;

/// Open and recent transactions of one wallbox.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    open: BTreeMap<ConnectorId, Transaction>,
    /// Ended ones, oldest first.
    ended: VecDeque<Transaction>,
    /// What their starts were answered with, where a backend did.
    answers: BTreeMap<TransactionNumber, String>,
}

/// Which transaction a `StopTransaction` means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// The open one of this connector.
    Open(ConnectorId),
    /// One that ended before: the message is a repeat.
    Ended(TransactionNumber),
    /// None that we know.
    Unknown,
}

impl Ledger {
    /// What the journal brought back for this wallbox.
    pub(super) fn recover(address: &ChargeBoxId, recovered: &Recovered) -> Self {
        let mut ledger = Self::default();
        for transaction in recovered
            .transactions
            .values()
            .filter(|t| t.address == *address)
        {
            if transaction.stopped.is_some() {
                ledger.remember(transaction.clone());
            } else if let Some(older) = ledger
                .open
                .insert(transaction.connector, transaction.clone())
            {
                ledger.remember(older);
            }
        }
        ledger
    }

    /// The open transaction of a connector.
    pub(super) fn open_of(&self, connector: ConnectorId) -> Option<&Transaction> {
        self.open.get(&connector)
    }

    /// An open or recent transaction.
    pub(super) fn find(&self, number: TransactionNumber) -> Option<&Transaction> {
        let mut all = self.open.values().chain(&self.ended);
        all.find(|transaction| transaction.number == number)
    }

    /// Gives a transaction another id towards its wallbox, and returns it as it stands then.
    pub(super) fn rename(
        &mut self,
        number: TransactionNumber,
        wallbox_id: i64,
    ) -> Option<Transaction> {
        let mut all = self.open.values_mut().chain(&mut self.ended);
        let transaction = all.find(|transaction| transaction.number == number)?;
        transaction.wallbox_id = wallbox_id;
        Some(transaction.clone())
    }

    /// Keeps the answer to a start for when it is sent again.
    pub(super) fn answered(&mut self, number: TransactionNumber, answer: String) {
        self.answers.insert(number, answer);
    }

    /// What a start was answered with, as far as it is known.
    pub(super) fn answer_to(&self, number: TransactionNumber) -> Option<&str> {
        self.answers.get(&number).map(String::as_str)
    }

    /// Which transaction meter values of a connector belong to, by the id that they name: some
    /// name none or nonsense. `are_last` are those at its end, which may come after its stop.
    pub(super) fn meant_by_values(
        &self,
        connector: ConnectorId,
        id: Option<i64>,
        are_last: bool,
    ) -> Option<&Transaction> {
        let named = |t: &&Transaction| id.is_some_and(|id| id > 0 && t.wallbox_id == id);
        let before = |t: &&Transaction| are_last && t.connector == connector;
        let mut ended = self.ended.iter().rev();
        self.open
            .values()
            .find(named)
            .or_else(|| ended.clone().find(named))
            .or_else(|| self.open_of(connector))
            .or_else(|| ended.find(before))
    }

    /// Every open transaction.
    pub(super) fn open(&self) -> impl Iterator<Item = &Transaction> {
        self.open.values()
    }

    /// The transaction that this very `StartTransaction` began before: the same connector, tag,
    /// register and time (whatever the message id).
    pub(super) fn same_start(
        &self,
        connector: ConnectorId,
        id_tag: &IdTag,
        meter_start: Option<WattHours>,
        started: &str,
    ) -> Option<&Transaction> {
        let same = |t: &&Transaction| {
            t.connector == connector
                && t.id_tag.as_ref() == Some(id_tag)
                && t.meter_start == meter_start
                && t.started == started
        };
        self.open
            .values()
            .find(same)
            .or_else(|| self.ended.iter().rev().find(same))
    }

    /// Adds a new open transaction; the caller has ended the connector's former one.
    pub(super) fn begin(&mut self, transaction: Transaction) {
        self.open.insert(transaction.connector, transaction);
    }

    /// Ends the open transaction of a connector and returns it as it stands then.
    pub(super) fn end(&mut self, connector: ConnectorId, stopped: Stopped) -> Option<Transaction> {
        let mut transaction = self.open.remove(&connector)?;
        transaction.stopped = Some(stopped);
        self.remember(transaction.clone());
        Some(transaction)
    }

    /// Puts the stop of the wallbox in the place of one that was ours, and returns the transaction
    /// as it stands then; `None` where the wallbox had stopped it itself.
    pub(super) fn correct(
        &mut self,
        number: TransactionNumber,
        stopped: Stopped,
    ) -> Option<Transaction> {
        let ours = |t: &Transaction| t.stopped.as_ref().is_none_or(|s| s.timestamp.is_empty());
        let mut ended = self.ended.iter_mut();
        let transaction = ended.find(|t| t.number == number && ours(t))?;
        if stopped.timestamp.is_empty() {
            return None;
        }
        transaction.stopped = Some(stopped);
        Some(transaction.clone())
    }

    /// Is this an id of a transaction that ended, or of an open one?
    pub(super) fn knows(&self, wallbox_id: i64) -> bool {
        self.open
            .values()
            .chain(&self.ended)
            .any(|t| t.wallbox_id == wallbox_id)
    }

    /// Which transaction a stop with this id, register and time means.
    ///
    /// Wallboxes send -1, 0, 2⁶³-1 or an id of another central system. Such a stop belongs to the
    /// only open transaction of the wallbox, if register and time do not contradict (OCPP 1.6
    /// errata: related messages of a start that was never answered carry -1).
    pub(super) fn meant_by_stop(
        &self,
        id: Option<i64>,
        meter: Option<WattHours>,
        time: &str,
    ) -> Meant {
        if let Some(id) = id.filter(|id| *id > 0) {
            if let Some(open) = self.open.values().find(|t| t.wallbox_id == id) {
                return Meant::Open(open.connector);
            }
            if let Some(ended) = self.ended.iter().rev().find(|t| t.wallbox_id == id) {
                return Meant::Ended(ended.number);
            }
        }
        let mut open = self.open.values();
        let (Some(only), None) = (open.next(), open.next()) else {
            return self.repeat_of_ended(meter, time);
        };
        let meter_fits = match (meter, only.meter_start) {
            (Some(stop), Some(start)) => stop >= start,
            _ => true,
        };
        let times = (
            timestamp::parse_lenient(time),
            timestamp::parse_lenient(&only.started),
        );
        let time_fits = match times {
            (Some(stop), Some(start)) => stop >= start,
            _ => true,
        };
        if meter_fits && time_fits {
            Meant::Open(only.connector)
        } else {
            Meant::Unknown
        }
    }

    fn repeat_of_ended(&self, meter: Option<WattHours>, time: &str) -> Meant {
        let same = |t: &&Transaction| {
            t.stopped
                .as_ref()
                .is_some_and(|s| s.meter_stop == meter && s.timestamp == time)
        };
        self.ended
            .iter()
            .rev()
            .find(same)
            .map_or(Meant::Unknown, |t| Meant::Ended(t.number))
    }

    fn remember(&mut self, transaction: Transaction) {
        self.ended.push_back(transaction);
        while self.ended.len() > RECENT_TRANSACTIONS {
            let forgotten = self.ended.pop_front();
            self.answers
                .retain(|number, _| forgotten.as_ref().is_none_or(|it| it.number != *number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(connector: u32, id: i64, start: i64, started: &str) -> Transaction {
        Transaction {
            number: TransactionNumber(id),
            address: "CB".into(),
            connector: ConnectorId(connector),
            wallbox_id: id,
            id_tag: Some("TAG".into()),
            meter_start: Some(WattHours(start)),
            started: started.to_owned(),
            received: "2026-01-15T10:00:00Z".parse().unwrap(),
            stopped: None,
        }
    }

    fn stopped(meter: i64, time: &str) -> Stopped {
        Stopped {
            meter_stop: Some(WattHours(meter)),
            timestamp: time.to_owned(),
            reason: "Local".to_owned(),
            received: "2026-01-15T11:00:00Z".parse().unwrap(),
        }
    }

    const TEN: &str = "2026-01-15T10:00:00Z";
    const ELEVEN: &str = "2026-01-15T11:00:00Z";

    fn one_open() -> Ledger {
        let mut ledger = Ledger::default();
        ledger.begin(transaction(1, 77, 100, TEN));
        ledger
    }

    #[test]
    fn a_start_sent_again_is_recognised_also_after_its_end() {
        let mut ledger = one_open();
        let again = |l: &Ledger, meter| {
            let tag = "tag".into();
            l.same_start(ConnectorId(1), &tag, Some(WattHours(meter)), TEN)
                .map(|t| t.wallbox_id)
        };
        assert_eq!(again(&ledger, 100), Some(77));
        assert_eq!(again(&ledger, 101), None);
        ledger.end(ConnectorId(1), stopped(200, ELEVEN));
        assert_eq!(again(&ledger, 100), Some(77));
    }

    #[test]
    fn a_stop_without_a_usable_id_means_the_only_open_transaction() {
        for id in [None, Some(-1), Some(0), Some(i64::MAX), Some(4711)] {
            let meant = one_open().meant_by_stop(id, Some(WattHours(200)), ELEVEN);
            assert_eq!(meant, Meant::Open(ConnectorId(1)), "{id:?}");
        }
    }

    #[test]
    fn a_stop_that_contradicts_the_open_transaction_is_not_its_stop() {
        let ledger = one_open();
        assert_eq!(
            ledger.meant_by_stop(Some(-1), Some(WattHours(99)), ELEVEN),
            Meant::Unknown
        );
        let earlier = "2026-01-15T09:00:00Z";
        assert_eq!(
            ledger.meant_by_stop(Some(-1), Some(WattHours(200)), earlier),
            Meant::Unknown
        );
    }

    #[test]
    fn a_stop_without_id_is_not_guessed_between_two_open_transactions() {
        let mut ledger = one_open();
        ledger.begin(transaction(2, 78, 100, TEN));
        assert_eq!(
            ledger.meant_by_stop(Some(-1), Some(WattHours(200)), ELEVEN),
            Meant::Unknown
        );
        let second = ledger.meant_by_stop(Some(78), Some(WattHours(200)), ELEVEN);
        assert_eq!(second, Meant::Open(ConnectorId(2)));
    }

    #[test]
    fn a_stop_sent_again_is_a_repeat() {
        let mut ledger = one_open();
        ledger.end(ConnectorId(1), stopped(200, ELEVEN));
        let repeat = Meant::Ended(TransactionNumber(77));
        assert_eq!(
            ledger.meant_by_stop(Some(77), Some(WattHours(200)), ELEVEN),
            repeat
        );
        assert_eq!(
            ledger.meant_by_stop(Some(-1), Some(WattHours(200)), ELEVEN),
            repeat
        );
    }

    #[test]
    fn only_the_newest_ended_transactions_are_kept() {
        let mut ledger = Ledger::default();
        for id in 1..=60 {
            ledger.begin(transaction(1, id, id, TEN));
            ledger.end(ConnectorId(1), stopped(id + 1, ELEVEN));
        }
        assert!(!ledger.knows(10) && ledger.knows(11) && ledger.knows(60));
    }
}
