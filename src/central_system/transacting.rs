//! Transactions of a wallbox (OCPP 1.6 §4.8, §4.10, §4.7): start, stop, and those that were
//! running before us.
//!
//! Every start and stop is answered, whatever it says: an error would make a wallbox send it
//! again for ever.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{error, info, warn};

use crate::clock::Now;
use crate::evse::{Ask, AuthorizationStatus, Verdict};
use crate::ids::{ConnectorId, IdTag, TransactionNumber};
use crate::journal::{Entry, EntryKind, Record, Stopped, Transaction};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    self, IdTagInfo, StartTransaction, StartTransactionResponse, StopTransaction,
    StopTransactionResponse, plausible_register,
};
use crate::ocpp::{Reading, timestamp};

use super::connector::Standing;
use super::ledger::Meant;
use super::station::{Context, MOST_CONNECTORS, Output, Station, Waiting};

/// A wallbox that says `Available` with an open transaction has this long to send its stop.
const STOP_WITHIN: Duration = Duration::from_mins(1);

/// A start whose own timestamp is older than this was kept back in the wallbox.
const LATE: jiff::SignedDuration = jiff::SignedDuration::from_mins(10);

impl Station {
    pub(super) fn start(
        &mut self,
        context: &mut Context<'_>,
        message: &MessageId,
        payload: &RawValue,
    ) {
        // A start that cannot be read is answered like one of a stranger at no connector of ours.
        let start = messages::parse(payload).unwrap_or_else(|_| StartTransaction {
            connector_id: ConnectorId(0),
            id_tag: "".into(),
            meter_start: None,
            reservation_id: None,
            timestamp: String::new(),
        });
        if let Some(started) = timestamp::parse_lenient(&start.timestamp) {
            self.sample_clock.is_of_the_past(context.now, started);
        }
        let id = self.connector_of_start(start.connector_id);
        let tag = start.id_tag.clone();
        let meter_start = start.meter_start.and_then(plausible_register);
        let again = self
            .ledger
            .same_start(id, &tag, meter_start, &start.timestamp);
        let (number, wallbox_id) = if let Some(known) = again {
            (known.number, known.wallbox_id)
        } else {
            let number = context.numbers.give();
            let transaction = Transaction {
                number,
                address: self.plan.id.clone(),
                connector: id,
                wallbox_id: 0,
                id_tag: Some(tag.clone()),
                meter_start,
                started: start.timestamp.clone(),
                received: context.now.wall,
                stopped: None,
            };
            (number, self.open(context.now, transaction, Some(payload)))
        };
        let waiting = Waiting::Start {
            message: Some(message.clone()),
            connector: id,
            wallbox_id,
        };
        let ask = Ask::Start {
            tag,
            transaction: number,
        };
        self.ask(self.evses_of(id), ask, waiting);
    }

    /// A wallbox with one connector means that one, whatever it says.
    fn connector_of_start(&self, said: ConnectorId) -> ConnectorId {
        let mut ours = self.plan.connectors.keys().copied();
        let plausible = (1..=MOST_CONNECTORS).contains(&said.0);
        match (plausible, ours.next(), ours.next()) {
            (true, _, _) => said,
            (false, Some(only), None) => only,
            (false, _, _) => ConnectorId(0),
        }
    }

    /// Opens a transaction and returns the id that the wallbox shall know it by.
    fn open(&mut self, now: Now, mut transaction: Transaction, payload: Option<&RawValue>) -> i64 {
        let id = transaction.connector;
        if transaction.wallbox_id == 0 {
            transaction.wallbox_id = transaction.number.0;
        }
        let wallbox_id = transaction.wallbox_id;
        if let Some(old) = self.ledger.open_of(id) {
            let transaction = old.wallbox_id;
            error!(charge_point = %self.plan.id, connector = id.0, transaction, "a new transaction began before the stop of the old one came: that stop is lost");
        }
        let lost = Stopped {
            meter_stop: self.connectors.get(&id).and_then(|c| c.measured.energy),
            timestamp: String::new(),
            reason: "Other".to_owned(),
            received: now.wall,
        };
        self.close(id, lost);
        if let Some(payload) = payload {
            self.keep_entry(now, id, transaction.number, EntryKind::Start, payload);
        }
        info!(
            charge_point = %self.plan.id,
            connector = id.0,
            transaction = wallbox_id,
            id_tag = transaction.id_tag.as_ref().map(IdTag::masked),
            meter_start_wh = transaction.meter_start.map(|register| register.0),
            adopted = payload.is_none(),
            "a transaction began"
        );
        self.output(Output::Persist(Record::Transaction(transaction.clone())));
        self.ledger.begin(transaction);
        if let Some(connector) = self.connector(id) {
            connector.standing = Standing::Refused;
            connector.stop_due = None;
            if let Some(ladder) = &mut connector.ladder {
                ladder.begin();
            }
        }
        wallbox_id
    }

    fn keep_entry(
        &mut self,
        now: Now,
        connector: ConnectorId,
        number: TransactionNumber,
        kind: EntryKind,
        payload: &RawValue,
    ) {
        self.output(Output::File(Entry {
            address: self.plan.id.clone(),
            connector,
            transaction: Some(number),
            kind,
            payload: payload.get().to_owned(),
            received: now.wall,
        }));
    }

    /// The verdict on a start is there: the answer first, then the demand, so that the limit
    /// follows the answer and never precedes it (some wallboxes stop when it does).
    pub(super) fn finish_start(
        &mut self,
        now: Now,
        message: Option<&MessageId>,
        id: ConnectorId,
        wallbox_id: i64,
        verdict: &Verdict,
    ) {
        if let Some(message) = message {
            let answer = StartTransactionResponse {
                transaction_id: wallbox_id,
                id_tag_info: id_tag_info(verdict),
            };
            self.reply(message, &answer);
        }
        if verdict.status != AuthorizationStatus::Accepted {
            let status = verdict.status.as_str();
            warn!(charge_point = %self.plan.id, connector = id.0, status, "the tag may not charge here");
        }
        let open = self
            .ledger
            .open_of(id)
            .filter(|open| open.wallbox_id == wallbox_id);
        let Some(started) = open.map(|open| open.started.clone()) else {
            return;
        };
        let over = self.is_over(now, id, &started);
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.standing = match (verdict.status, over) {
                (AuthorizationStatus::Accepted, false) => Standing::Accepted,
                (AuthorizationStatus::Accepted, true) => Standing::Over,
                (_, _) => Standing::Refused,
            };
        }
        self.report_demand(id);
    }

    /// A start that comes hours late, from a connector that is free: its session is long over,
    /// and its stop is on the way. A late timestamp alone proves nothing: clocks are wrong.
    fn is_over(&self, now: Now, id: ConnectorId, started: &str) -> bool {
        let late = timestamp::parse_lenient(started)
            .filter(|time| !timestamp::clock_not_set(*time))
            .is_some_and(|time| now.wall.duration_since(time) > LATE);
        let status = self
            .connectors
            .get(&id)
            .and_then(|connector| connector.status);
        late && status.is_some_and(|status| {
            matches!(
                status,
                ChargePointStatus::Available
                    | ChargePointStatus::Finishing
                    | ChargePointStatus::Unavailable
                    | ChargePointStatus::Faulted
            )
        })
    }

    pub(super) fn stop(
        &mut self,
        context: &mut Context<'_>,
        message: &MessageId,
        payload: &RawValue,
    ) {
        let stop = messages::parse(payload).unwrap_or_else(|_| StopTransaction {
            id_tag: None,
            meter_stop: None,
            timestamp: String::new(),
            transaction_id: None,
            reason: None,
            transaction_data: Vec::new(),
        });
        let meter = stop.meter_stop.and_then(plausible_register);
        let mut evses = Vec::new();
        let meant = self
            .ledger
            .meant_by_stop(stop.transaction_id, meter, &stop.timestamp);
        if meant == Meant::Unknown {
            let transaction = stop.transaction_id;
            warn!(charge_point = %self.plan.id, transaction, "a stop of an unknown transaction was answered");
        }
        let stopped = Stopped {
            meter_stop: meter,
            timestamp: stop.timestamp.clone(),
            reason: stop.reason.as_deref().unwrap_or("Local").to_owned(),
            received: context.now.wall,
        };
        match meant {
            Meant::Open(id) => {
                evses = self.evses_of(id);
                if let Some(open) = self.ledger.open_of(id) {
                    self.keep_entry(context.now, id, open.number, EntryKind::Stop, payload);
                }
                self.close(id, stopped);
            }
            Meant::Ended(number) => self.stop_late(context.now, number, stopped, payload),
            Meant::Unknown => {}
        }
        match stop.id_tag {
            None => self.answer_stop(message, None),
            Some(tag) => {
                if evses.is_empty() {
                    evses = self.all_evses();
                }
                self.ask(evses, Ask::Stop(tag), Waiting::Stop(message.clone()));
            }
        }
    }

    /// The stop of a transaction that was given up before takes the place of what we had put
    /// there; any other is a repeat.
    fn stop_late(
        &mut self,
        now: Now,
        number: TransactionNumber,
        stopped: Stopped,
        payload: &RawValue,
    ) {
        let Some(transaction) = self.ledger.correct(number, stopped) else {
            return;
        };
        info!(charge_point = %self.plan.id, transaction = transaction.wallbox_id, "a stop that was given up for lost came late");
        self.keep_entry(now, transaction.connector, number, EntryKind::Stop, payload);
        self.output(Output::Persist(Record::Transaction(transaction)));
    }

    /// `idTagInfo` is about the tag that was presented, for the wallbox's cache; a stop itself is
    /// always accepted.
    pub(super) fn answer_stop(&mut self, message: &MessageId, verdict: Option<&Verdict>) {
        self.reply(
            message,
            &StopTransactionResponse {
                id_tag_info: verdict.map(id_tag_info),
            },
        );
    }

    fn close(&mut self, id: ConnectorId, stopped: Stopped) {
        let Some(transaction) = self.ledger.end(id, stopped) else {
            return;
        };
        let stopped = transaction.stopped.as_ref();
        let drawn = stopped
            .and_then(|s| s.meter_stop)
            .zip(transaction.meter_start);
        info!(
            charge_point = %self.plan.id,
            connector = id.0,
            transaction = transaction.wallbox_id,
            reason = stopped.map(|stopped| stopped.reason.as_str()),
            energy_wh = drawn.map(|(stop, start)| (stop - start).0),
            "a transaction ended"
        );
        self.output(Output::Persist(Record::Transaction(transaction)));
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.standing = Standing::Refused;
            connector.stop_due = None;
            connector.forget_draw();
        }
        self.report_demand(id);
    }

    /// A status says whether an open transaction can still be true.
    pub(super) fn weigh_transaction(
        &mut self,
        now: Now,
        id: ConnectorId,
        status: ChargePointStatus,
    ) {
        let open = self.ledger.open_of(id).is_some();
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        match status {
            ChargePointStatus::Available if open => {
                connector.stop_due.get_or_insert(now.mono + STOP_WITHIN);
            }
            ChargePointStatus::Charging
            | ChargePointStatus::SuspendedEV
            | ChargePointStatus::SuspendedEVSE => {
                connector.stop_due = None;
                if connector.standing == Standing::Over {
                    connector.standing = Standing::Accepted;
                }
            }
            ChargePointStatus::Available
            | ChargePointStatus::Preparing
            | ChargePointStatus::Finishing
            | ChargePointStatus::Reserved
            | ChargePointStatus::Unavailable
            | ChargePointStatus::Faulted => {}
        }
    }

    /// Who comes back has as long as anybody to send the stop it could not send before.
    pub(super) fn wait_for_stops(&mut self, now: Now) {
        for connector in self.connectors.values_mut() {
            connector.stop_due = connector.stop_due.map(|_| now.mono + STOP_WITHIN);
        }
    }

    /// Transactions whose wallbox has been free for too long are ended here; their stop is lost.
    pub(super) fn end_stale_transactions(&mut self, now: Now) {
        let due = |due: Option<crate::clock::Mono>| due.is_some_and(|at| at <= now.mono);
        let stale: Vec<ConnectorId> = self
            .connectors
            .iter()
            .filter(|(_, c)| due(c.stop_due))
            .map(|(id, _)| *id)
            .collect();
        for id in stale {
            error!(charge_point = %self.plan.id, connector = id.0, "a wallbox is free but never stopped its transaction: the stop is lost, the last register counts");
            let meter_stop = self.connectors.get(&id).and_then(|c| c.measured.energy);
            let reason = "Other".to_owned();
            let timestamp = String::new();
            self.close(
                id,
                Stopped {
                    meter_stop,
                    timestamp,
                    reason,
                    received: now.wall,
                },
            );
        }
    }

    /// Meter values with a transaction that we do not know, from a connector that charges: it was
    /// running before us, and it goes on.
    ///
    /// Values with `Transaction.End`, and ids of transactions that ended, revive nothing: some
    /// wallboxes send their closing values after the stop.
    pub(super) fn adopt(
        &mut self,
        context: &mut Context<'_>,
        id: ConnectorId,
        wallbox_id: Option<i64>,
        reading: &Reading,
    ) {
        let Some(wallbox_id) = wallbox_id.filter(|id| (1..=i64::from(i32::MAX)).contains(id))
        else {
            return;
        };
        let busy = self.connectors.get(&id).is_some_and(|connector| {
            matches!(
                connector.status,
                Some(
                    ChargePointStatus::Charging
                        | ChargePointStatus::SuspendedEV
                        | ChargePointStatus::SuspendedEVSE
                )
            ) && connector.plan.is_some()
        });
        let known = self.ledger.open_of(id).is_some() || self.ledger.knows(wallbox_id);
        if !busy || known || reading.has_transaction_end {
            return;
        }
        let transaction = Transaction {
            number: context.numbers.give(),
            address: self.plan.id.clone(),
            connector: id,
            wallbox_id,
            id_tag: None,
            meter_start: reading.energy,
            started: String::new(),
            received: context.now.wall,
            stopped: None,
        };
        self.open(context.now, transaction, None);
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.standing = Standing::Accepted;
        }
        self.report_demand(id);
    }
}

/// `IdTagInfo` of a verdict (OCPP 1.6 §7.27).
pub(super) fn id_tag_info(verdict: &Verdict) -> IdTagInfo {
    IdTagInfo {
        status: verdict.status,
        expiry_date: verdict.expires,
        parent_id_tag: verdict.parent.clone(),
    }
}
