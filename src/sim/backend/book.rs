//! The transactions of a backend: who started and stopped what, and how often.

use crate::ids::ChargeBoxId;

/// A transaction as its charge point told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Whose.
    pub client_id: ChargeBoxId,
    /// The number that the backend gave it; `None` until it took the StartTransaction.
    pub id: Option<i64>,
    /// The payload of its StartTransaction, byte for byte.
    pub start: String,
    /// The payloads of its MeterValues, without repeats.
    pub meter_values: Vec<String>,
    /// The payloads of its StopTransaction, without repeats: one, if all is well.
    pub stops: Vec<String>,
    /// How many of these messages came once more because they were not answered.
    pub repeats: usize,
}

/// Which message of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Start,
    Meter,
    Stop,
}

/// A message that its sender may legitimately send once more.
#[derive(Debug)]
struct Recent {
    client_id: ChargeBoxId,
    kind: Kind,
    payload: String,
    transaction: Option<usize>,
    answered: bool,
}

#[derive(Debug)]
struct Foreign {
    client_id: ChargeBoxId,
    kind: Kind,
    payload: String,
}

/// All transactions of all charge points.
#[derive(Debug, Default)]
pub(super) struct Book {
    transactions: Vec<Transaction>,
    foreign: Vec<Foreign>,
    recent: Vec<Recent>,
}

impl Book {
    pub(super) fn transactions(&self, client_id: &str) -> impl Iterator<Item = &Transaction> {
        let all = self.transactions.iter();
        all.filter(move |it| it.client_id.as_str() == client_id)
    }

    pub(super) fn stops(&self, client_id: &str) -> usize {
        let known: usize = self.transactions(client_id).map(|it| it.stops.len()).sum();
        let foreign = self.foreign.iter();
        let foreign = foreign.filter(|it| it.client_id.as_str() == client_id);
        known + foreign.filter(|it| it.kind == Kind::Stop).count()
    }

    pub(super) fn foreign(&self, client_id: &str) -> impl Iterator<Item = &str> {
        let all = self.foreign.iter();
        let of_client = all.filter(move |it| it.client_id.as_str() == client_id);
        of_client.map(|it| it.payload.as_str())
    }

    /// A message came; `id` is the number in it, and a StartTransaction has none.
    pub(super) fn received(
        &mut self,
        client_id: &ChargeBoxId,
        kind: Kind,
        id: Option<i64>,
        payload: &str,
    ) {
        let known = self.position(client_id, kind, payload);
        if let Some(recent) = known.and_then(|at| self.recent.get(at)) {
            let transaction = recent.transaction;
            if let Some(transaction) = transaction.and_then(|at| self.transactions.get_mut(at)) {
                transaction.repeats += 1;
            }
            return;
        }
        // It sends one message after the other's answer: what it was answered it knows by now.
        self.recent
            .retain(|it| it.client_id != *client_id || !it.answered);
        let transaction = match kind {
            Kind::Start => Some(self.begin(client_id, payload)),
            Kind::Meter | Kind::Stop => self.find(client_id, id),
        };
        match (
            kind,
            transaction.and_then(|at| self.transactions.get_mut(at)),
        ) {
            (Kind::Start, _) => {}
            (Kind::Meter, Some(transaction)) => transaction.meter_values.push(payload.to_owned()),
            (Kind::Stop, Some(transaction)) => transaction.stops.push(payload.to_owned()),
            (Kind::Meter | Kind::Stop, None) => self.foreign.push(Foreign {
                client_id: client_id.clone(),
                kind,
                payload: payload.to_owned(),
            }),
        }
        self.recent.push(Recent {
            client_id: client_id.clone(),
            kind,
            payload: payload.to_owned(),
            transaction,
            answered: false,
        });
    }

    /// The StartTransaction was taken.
    pub(super) fn numbered(&mut self, client_id: &ChargeBoxId, start: &str, id: i64) {
        let mut newest_first = self.transactions.iter_mut().rev();
        let found = newest_first.find(|it| it.client_id == *client_id && it.start == start);
        if let Some(transaction) = found {
            transaction.id = Some(id);
        }
    }

    /// A CALLRESULT to the message left.
    pub(super) fn answered(&mut self, client_id: &ChargeBoxId, kind: Kind, payload: &str) {
        let known = self.position(client_id, kind, payload);
        if let Some(recent) = known.and_then(|at| self.recent.get_mut(at)) {
            recent.answered = true;
        }
    }

    fn position(&self, client_id: &ChargeBoxId, kind: Kind, payload: &str) -> Option<usize> {
        self.recent
            .iter()
            .position(|it| it.client_id == *client_id && it.kind == kind && it.payload == payload)
    }

    fn begin(&mut self, client_id: &ChargeBoxId, start: &str) -> usize {
        self.transactions.push(Transaction {
            client_id: client_id.clone(),
            id: None,
            start: start.to_owned(),
            meter_values: Vec::new(),
            stops: Vec::new(),
            repeats: 0,
        });
        self.transactions.len() - 1
    }

    /// The newest with this number that was not stopped, else the newest.
    fn find(&self, client_id: &ChargeBoxId, id: Option<i64>) -> Option<usize> {
        let all = self.transactions.iter().enumerate().rev();
        let mut same = all.filter(|(_, it)| it.client_id == *client_id && it.id == id);
        let running = same.clone().find(|(_, it)| it.stops.is_empty());
        running.or_else(|| same.next()).map(|(at, _)| at)
    }
}
