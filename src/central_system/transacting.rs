//! Transactions of a wallbox (OCPP 1.6 §4.8, §4.10, §4.7): start, stop, and those that were
//! running before us.
//!
//! Every start and stop is answered, whatever it says: an error would make a wallbox send it
//! again for ever.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{error, info, warn};

use crate::clock::Now;
use crate::evse::{Ask, AuthorizationStatus, Reply, Verdict};
use crate::ids::{ConnectorId, IdTag, TransactionNumber};
use crate::journal::{EntryKind, Record, Stopped, Transaction};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    self, IdTagInfo, StartTransaction, StartTransactionResponse, StopTransaction,
    StopTransactionResponse, plausible_register,
};
use crate::ocpp::splice::splice;
use crate::ocpp::{Reading, timestamp};

use super::connector::Standing;
use super::ledger::Meant;
use super::relaying::{Start, WHOLE, Waiting};
use super::station::{Context, MOST_CONNECTORS, Output, Station};

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
            .same_start(id, &tag, meter_start, &start.timestamp)
            .map(|known| known.number);
        if again.is_some_and(|number| self.answer_again(number, message)) {
            return;
        }
        let number = again.unwrap_or_else(|| self.new_number(context));
        if again.is_none() {
            let transaction = Transaction {
                number,
                address: self.plan.id.clone(),
                connector: id,
                wallbox_id: number.0,
                id_tag: Some(tag.clone()),
                meter_start,
                started: start.timestamp.clone(),
                received: context.now.wall,
                stopped: None,
            };
            self.open(context.now, transaction, Some(payload));
        }
        let start = Start {
            transaction: number,
            messages: vec![message.clone()],
            told: again.is_some(),
        };
        self.ask_start(id, tag, start);
    }

    /// Answers a start that came before: with the others when the upstream has answered, or with
    /// the same words as then. False where these are not known.
    fn answer_again(&mut self, number: TransactionNumber, message: &MessageId) -> bool {
        if let Some(start) = self.waiting_start(number) {
            start.messages.push(message.clone());
            return true;
        }
        let Some(answer) = self.ledger.answer_to(number).map(ToOwned::to_owned) else {
            return false;
        };
        self.reply_text(message, &answer);
        true
    }

    /// A number that no transaction of this wallbox has, nor had lately; backends choose theirs.
    fn new_number(&self, context: &mut Context<'_>) -> TransactionNumber {
        loop {
            let number = context.numbers.give();
            if !self.ledger.knows(number.0) {
                return number;
            }
        }
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

    fn open(&mut self, now: Now, transaction: Transaction, payload: Option<&RawValue>) {
        let id = transaction.connector;
        if let Some(old) = self.ledger.open_of(id) {
            let transaction = old.wallbox_id;
            error!(charge_point = %self.plan.id, connector = id.0, transaction, "a new transaction began before the stop of the old one came: that stop is lost");
        }
        self.give_up(now, id);
        info!(
            charge_point = %self.plan.id,
            connector = id.0,
            transaction = transaction.wallbox_id,
            id_tag = transaction.id_tag.as_ref().map(IdTag::masked),
            meter_start_wh = transaction.meter_start.map(|register| register.0),
            adopted = payload.is_none(),
            "a transaction began"
        );
        self.keep(now, transaction.clone(), EntryKind::Start, payload);
        self.ledger.begin(transaction);
        if let Some(connector) = self.connector(id) {
            connector.standing = Standing::Refused;
            connector.stop_due = None;
            connector.stop_tries = 0;
            if let Some(ladder) = &mut connector.ladder {
                ladder.begin();
            }
        }
    }

    /// Keeps a transaction as it stands now and the message that made it so, if one did: without
    /// the one a repeat of the other would begin or end it twice.
    fn keep(
        &mut self,
        now: Now,
        transaction: Transaction,
        kind: EntryKind,
        payload: Option<&RawValue>,
    ) {
        let (id, number) = (transaction.connector, transaction.number);
        let record = Record::Transaction(transaction);
        match payload {
            Some(payload) => self.file(now, id, Some(number), kind, payload, vec![record]),
            None => self.output(Output::Persist(record)),
        }
    }

    /// The verdict on a start is there: the answer first, then the demand, so that the limit
    /// follows the answer and never precedes it (some wallboxes stop when it does).
    pub(super) fn finish_start(&mut self, now: Now, start: &Start, reply: &Reply) {
        let verdict = reply.verdict();
        let wallbox_id = self.settle_id(start, reply);
        let answer = answer_to_start(reply, &verdict, wallbox_id);
        for message in &start.messages {
            self.reply_text(message, &answer);
        }
        let Some(transaction) = self.ledger.find(start.transaction) else {
            return;
        };
        let (id, is_open) = (transaction.connector, transaction.stopped.is_none());
        let over = self.is_over(now, id, &transaction.started);
        if self.has_backend(id) {
            self.ledger.answered(start.transaction, answer);
        }
        if verdict.status != AuthorizationStatus::Accepted {
            let status = verdict.status.as_str();
            warn!(charge_point = %self.plan.id, connector = id.0, status, "the tag may not charge here");
        }
        if let Some(connector) = self.connectors.get_mut(&id).filter(|_| is_open) {
            connector.standing = match (verdict.status, over) {
                (AuthorizationStatus::Accepted, false) => Standing::Accepted,
                (AuthorizationStatus::Accepted, true) => Standing::Over,
                (_, _) => Standing::Refused,
            };
            self.report_demand(id);
        }
    }

    /// The id that the wallbox is told: that of the backend where it can be used, because signed
    /// data may contain it.
    fn settle_id(&mut self, start: &Start, reply: &Reply) -> i64 {
        let own = self.ledger.find(start.transaction);
        let own = own.map_or(start.transaction.0, |own| own.wallbox_id);
        let said = match reply {
            Reply::Payload(payload) if !start.told => {
                serde_json::from_str::<StartTransactionResponse>(payload).ok()
            }
            Reply::Payload(_) | Reply::Verdict(_) | Reply::Refused(_) => None,
        };
        let usable = |id: &i64| (1..=i64::from(i32::MAX)).contains(id) && !self.ledger.knows(*id);
        let Some(id) = said.map(|said| said.transaction_id).filter(usable) else {
            return own;
        };
        let Some(transaction) = self.ledger.rename(start.transaction, id) else {
            return own;
        };
        self.output(Output::Persist(Record::Transaction(transaction)));
        id
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
        let id = match meant {
            Meant::Open(id) => {
                self.close(context.now, id, stopped, Some(payload));
                id
            }
            Meant::Ended(number) => {
                self.stop_late(context.now, number, stopped, payload);
                self.ledger.find(number).map_or(WHOLE, |it| it.connector)
            }
            Meant::Unknown => {
                self.file_stray(context.now, payload);
                WHOLE
            }
        };
        match stop.id_tag {
            None => self.answer_stop(message, None),
            // The wallbox does not wait for the backend, which is told what happened.
            Some(_) if self.has_backend(id) => self.answer_stop(message, Some(&Verdict::ACCEPTED)),
            Some(tag) => {
                let evses = match meant {
                    Meant::Open(id) => self.evses_of(id),
                    Meant::Ended(_) | Meant::Unknown => Vec::new(),
                };
                let evses = Some(evses).filter(|evses| !evses.is_empty());
                let evses = evses.unwrap_or_else(|| self.all_evses());
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
        self.keep(now, transaction, EntryKind::Stop, Some(payload));
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

    /// Ends the open transaction of a connector, by the stop with this payload if one came.
    fn close(&mut self, now: Now, id: ConnectorId, stopped: Stopped, payload: Option<&RawValue>) {
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
        self.keep(now, transaction, EntryKind::Stop, payload);
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.standing = Standing::Refused;
            connector.stop_due = None;
            connector.stop_tries = 0;
            connector.forget_draw();
        }
        self.report_demand(id);
    }

    /// Ends a transaction whose stop never came: the last register counts.
    fn give_up(&mut self, now: Now, id: ConnectorId) {
        let Some(transaction) = self.ledger.open_of(id).map(|open| open.number) else {
            return;
        };
        let register = self.connectors.get(&id).and_then(|c| c.measured.energy);
        let stopped = Stopped {
            meter_stop: register,
            timestamp: String::new(),
            reason: "Other".to_owned(),
            received: now.wall,
        };
        self.close(now, id, stopped, None);
        if self.has_backend(id) {
            self.output(Output::Lost {
                transaction,
                register,
                at: now.wall,
            });
        }
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
            self.give_up(now, id);
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
            number: self.new_number(context),
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

/// The backend's answer with this id in it, or our own.
fn answer_to_start(reply: &Reply, verdict: &Verdict, transaction_id: i64) -> String {
    if let Reply::Payload(payload) = reply
        && serde_json::from_str::<StartTransactionResponse>(payload).is_ok()
        && let Some(answer) = splice(payload, &[("transactionId", &transaction_id.to_string())])
    {
        return answer;
    }
    messages::write(&StartTransactionResponse {
        transaction_id,
        id_tag_info: id_tag_info(verdict),
    })
}
