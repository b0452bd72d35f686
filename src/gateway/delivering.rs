//! The queue on its way to the backend: strictly in order, one at a time, and nothing is lost.
//!
//! Time without a backend uses up no attempts. A backend that is there and refuses a message, or
//! answers everything but that message, is asked again `TransactionMessageAttempts` times, later
//! and later; then the message is buried, with an error in the log, and the next one goes
//! (OCPP 1.6 §3.7.1 and errata).

use serde_json::value::RawValue;
use tracing::{error, info, warn};

use crate::clock::{Mono, Now};
use crate::evse::{AuthorizationStatus, Deauthorize};
use crate::ids::{EntryId, IdTag, TransactionNumber};
use crate::journal::{Entry, EntryKind, EntryState, Filed, Progress, Record};
use crate::ocpp::lenient;
use crate::ocpp::messages::{
    self, IdTagInfo, StartTransaction, StopReason, StopTransaction, StopTransactionResponse,
};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::splice::{splice, without};
use crate::ocpp::timestamp;

use super::gateway::{Asked, Gateway, TICK};
use super::io::{Context, Output};
use super::outbox::Waiting;
use super::transactions::{Known, Start};

/// After the disk could not read.
const READ_AGAIN: u32 = 10;

/// The id of a transaction that the backend never took (OCPP 1.6 §4.8, errata).
const NO_TRANSACTION: i64 = -1;

impl Gateway {
    /// A message was filed: it is the last of the queue.
    pub(super) fn take_entry(&mut self, now: Now, filed: &Filed) {
        let entry = &filed.entry;
        self.outbox.push(filed);
        match (entry.kind, entry.transaction) {
            (EntryKind::Start, Some(number)) => self.note_start(now, number, entry),
            (EntryKind::Stop, Some(number)) => {
                self.keep_one_stop(number, filed.id);
                self.note_stop(now, number);
            }
            _ => {}
        }
        let sent = self.sent();
        let thinned = self.outbox.thin(self.plan.max_queue, sent);
        if !thinned.is_empty() {
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                samples = thinned.len(),
                "the queue for the backend is full (max-queue): every second periodic sample is left out"
            );
        }
        for id in thinned {
            self.leave_out(id);
        }
    }

    /// The message that the backend has not answered yet.
    fn sent(&self) -> Option<EntryId> {
        match self.rpc.outstanding() {
            Some((Asked::Entry(id), _)) => Some(*id),
            _ => None,
        }
    }

    fn leave_out(&mut self, id: EntryId) {
        self.output(Output::Persist(Record::Progress(Progress {
            id,
            state: EntryState::Thinned,
            attempts: 0,
            backend_id: None,
        })));
    }

    /// The wallbox's stop takes the place of one that was made up, if that is not on its way yet.
    fn keep_one_stop(&mut self, number: TransactionNumber, id: EntryId) {
        let sent = self.sent();
        let Some(known) = self.transactions.get_mut(number) else {
            return;
        };
        if self.making_up.take_if(|it| *it == number).is_some() {
            known.made_up = Some(id);
            return;
        }
        let Some(made_up) = known.made_up.take() else {
            return;
        };
        if Some(made_up) != sent && self.outbox.remove(made_up) {
            self.leave_out(made_up);
        } else if let Some(progress) = self.outbox.refused(id, 0) {
            error!(
                client_id = self.plan.client_id,
                transaction = number.0,
                entry = id.0,
                "a wallbox sent its stop after one was made up (synthesize-stop): it is kept in the journal and not sent"
            );
            self.output(Output::Persist(Record::Progress(progress)));
        }
    }

    fn note_start(&mut self, now: Now, number: TransactionNumber, entry: &Entry) {
        let said = serde_json::from_str::<StartTransaction>(&entry.payload).ok();
        let meter_start = said.as_ref().and_then(|said| said.meter_start);
        let id_tag = said.map(|said| said.id_tag);
        let known = Known {
            address: entry.address.clone(),
            connector: entry.connector,
            id_tag: id_tag.clone(),
            meter_start,
            began: entry.received,
            start: Start::Queued,
            refused: false,
            ended_as: None,
            over: false,
            made_up: None,
        };
        self.transactions.begin(number, known);
        if let Some(member) = self.members.at(&entry.address, entry.connector) {
            let tag = id_tag.unwrap_or_else(|| IdTag::from(""));
            self.profiles
                .begin_transaction(entry.received, member.connector, &tag);
            self.profiles_changed(now);
        }
    }

    fn note_stop(&mut self, now: Now, number: TransactionNumber) {
        let Some(known) = self.transactions.get_mut(number) else {
            return;
        };
        known.over = true;
        let (address, connector) = (known.address.clone(), known.connector);
        let open = self.transactions.open_of(&address, connector).is_some();
        if let Some(member) = self.members.at(&address, connector).filter(|_| !open) {
            self.profiles.end_transaction(member.connector);
            self.profiles_changed(now);
        }
    }

    /// Sends the first message of the queue, if it is time; says whether.
    pub(super) fn deliver(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now.mono;
        if self.fetch_at.is_none_or(|at| at <= now)
            && let Some(missing) = self.outbox.fetch()
        {
            self.fetch_at = None;
            self.output(Output::Fetch(missing));
        }
        if self.retry_at.is_some_and(|at| at > now) {
            return false;
        }
        self.retry_at = None;
        let Some((id, waiting, Some(payload))) = self.outbox.first() else {
            return false;
        };
        let action = waiting.kind.action();
        let payload = self.address(waiting, payload);
        self.call(context, action, &payload, Asked::Entry(id));
        true
    }

    /// The payload with the backend's numbers; every other byte is the wallbox's.
    fn address(&self, waiting: &Waiting, payload: &str) -> String {
        if waiting.kind == EntryKind::DataTransfer {
            return payload.to_owned();
        }
        let member = self.members.at(&waiting.address, waiting.connector);
        let connector = member.map(|member| member.connector.to_string());
        let known = waiting.transaction.and_then(|it| self.transactions.get(it));
        let transaction = match (waiting.transaction, known) {
            (_, Some(known)) => match known.start {
                Start::Delivered(id) => Some(id.unwrap_or(NO_TRANSACTION)),
                Start::Queued | Start::Dead => Some(NO_TRANSACTION),
            },
            // It ran before we came: the wallbox and the backend agreed on the id.
            (Some(number), None) if !self.is_ours(number, payload) => None,
            // The backend never had it, or another one has.
            (_, None) if waiting.kind == EntryKind::Stop => Some(NO_TRANSACTION),
            (_, None) => return without_transaction(payload, connector.as_deref()),
        };
        let transaction = transaction.map(|id| id.to_string());
        let ended_as = known.and_then(|known| {
            if known.refused {
                Some(StopReason::DeAuthorized)
            } else {
                known.ended_as
            }
        });
        let ended_as = ended_as.map(|reason| messages::write(&reason));
        let mut members: Vec<(&str, &str)> = Vec::with_capacity(3);
        members.extend(connector.as_deref().map(|it| ("connectorId", it)));
        members.extend(transaction.as_deref().map(|it| ("transactionId", it)));
        if waiting.kind == EntryKind::Stop && was_remote(payload) {
            members.extend(ended_as.as_deref().map(|it| ("reason", it)));
        }
        splice(payload, &members).unwrap_or_else(|| payload.to_owned())
    }

    /// An id that we gave, or that another backend gave, means nothing to this one.
    fn is_ours(&self, number: TransactionNumber, payload: &str) -> bool {
        let said = serde_json::from_str::<StopTransaction<'_>>(payload);
        let id = said.ok().and_then(|said| said.transaction_id);
        id == Some(number.0) || self.foreign.contains(&number)
    }

    /// The backend answered a message of the queue. A late answer to an earlier attempt counts.
    pub(super) fn take_receipt(
        &mut self,
        now: Now,
        id: EntryId,
        result: Result<&RawValue, CallFailure>,
    ) {
        let Some(waiting) = self.outbox.get(id) else {
            return;
        };
        let (kind, transaction) = (waiting.kind, waiting.transaction);
        let stopped_by = waiting.payload().and_then(|it| {
            let stop = serde_json::from_str::<StopTransaction<'_>>(it).ok()?;
            stop.id_tag
        });
        match result {
            // A late word on an earlier attempt: the present one is still on its way.
            Err(_) if self.sent() == Some(id) => {}
            Err(failure) => {
                let why = format!("{} {}", failure.code, failure.description);
                self.attempt_failed(now, id, why.trim_end());
            }
            Ok(raw) => match kind {
                EntryKind::Start => self.take_start(now, id, transaction, raw),
                EntryKind::Stop => {
                    if let Ok(StopTransactionResponse {
                        id_tag_info: Some(info),
                    }) = messages::parse(raw)
                        && let Some(tag) = stopped_by
                    {
                        self.learn(now, &tag, &info);
                    }
                    self.delivered(id, None);
                }
                EntryKind::Values { .. } | EntryKind::DataTransfer => self.delivered(id, None),
            },
        }
    }

    fn take_start(
        &mut self,
        now: Now,
        id: EntryId,
        transaction: Option<TransactionNumber>,
        raw: &RawValue,
    ) {
        // A business answer is never a failure: what of it can be read counts.
        let answer: Started = messages::parse(raw).unwrap_or_default();
        let (backend_id, info) = (answer.transaction_id, answer.id_tag_info);
        let Some(number) = transaction else {
            return self.delivered(id, backend_id);
        };
        let accepted = info
            .as_ref()
            .is_none_or(|info| info.status == AuthorizationStatus::Accepted);
        let mut known = self.transactions.get_mut(number);
        if let Some(known) = &mut known {
            known.start = Start::Delivered(backend_id);
            known.refused = !accepted;
        }
        let tag = known.as_ref().and_then(|known| known.id_tag.clone());
        let over = known.is_none_or(|known| known.over);
        if !accepted {
            // Before the delivery: a crash between the two must not make it accepted.
            self.remember_refused();
        }
        self.delivered(id, backend_id);
        let Some(info) = info else {
            return self.answer_start_alone(now, number);
        };
        if let Some(tag) = tag {
            self.learn(now, &tag, &info);
        }
        let heard = self.answer_start(number, raw.get());
        if !accepted && !heard && !over {
            self.deauthorize(number);
        }
    }

    fn delivered(&mut self, id: EntryId, backend_id: Option<i64>) {
        if let Some(progress) = self.outbox.delivered(id, backend_id) {
            self.output(Output::Persist(Record::Progress(progress)));
        }
        self.retry_at = None;
        let outbox = &self.outbox;
        let forgotten = self.transactions.forget_old(|number| outbox.holds(number));
        if !forgotten.is_empty() {
            self.remember_refused();
        }
        self.remember_ended();
    }

    /// The backend is there and did not take a message.
    pub(super) fn attempt_failed(&mut self, now: Now, id: EntryId, why: &str) {
        let Some(waiting) = self.outbox.get(id) else {
            return;
        };
        let (kind, transaction) = (waiting.kind, waiting.transaction);
        let most = self.keys.attempts();
        let Some(progress) = self.outbox.refused(id, most) else {
            return;
        };
        self.output(Output::Persist(Record::Progress(progress)));
        let (backend, client_id) = (&*self.plan.shown_url(), self.plan.client_id.as_str());
        let action = kind.action();
        let buried = progress.state == EntryState::Dead;
        if buried {
            error!(
                backend,
                client_id,
                action,
                entry = id.0,
                transaction = transaction.map(|it| it.0),
                why,
                "the backend refuses a message for good: it is kept in the journal and not sent again"
            );
            self.retry_at = None;
        } else {
            let attempts = progress.attempts;
            warn!(
                backend,
                client_id,
                action,
                attempts,
                why,
                "the backend did not take a message; it is sent again later"
            );
            let wait = self
                .keys
                .retry_interval()
                .max(TICK)
                .saturating_mul(attempts);
            self.retry_at = Some(now.mono + wait);
        }
        if let (EntryKind::Start, Some(number)) = (kind, transaction) {
            if let Some(known) = self.transactions.get_mut(number).filter(|_| buried) {
                known.start = Start::Dead;
            }
            self.answer_start_alone(now, number);
        }
    }

    /// A CALL of ours met silence. Of a message of the queue nothing is concluded before it is
    /// known whether the backend answers anything at all.
    pub(super) fn handle_silence(&mut self, context: &mut Context<'_>, asked: &Asked) {
        self.silences += 1;
        warn!(
            backend = &*self.plan.shown_url(),
            client_id = self.plan.client_id,
            call = asked.name(),
            "the backend did not answer in time"
        );
        match *asked {
            Asked::Entry(id) => self.probe = Some(id),
            Asked::Boot => self.boot_later(context.now.mono),
            Asked::Authorize(ticket, _) | Asked::Relay(ticket) => {
                self.give_up_call(context.now, ticket);
            }
            Asked::Event => self.give_up_event(),
            Asked::Heartbeat(_) | Asked::Notice => {}
        }
        if self.silences >= 2 {
            self.hang_up(context, "no answers", false);
        }
    }

    pub(super) fn take_fetched(&mut self, now: Mono, payloads: Vec<(EntryId, String)>) {
        let found = self.outbox.take(payloads);
        self.fetch_at = (!found).then(|| now + TICK * READ_AGAIN);
    }

    pub(super) fn delivering_timeout(&self) -> Option<Mono> {
        if !self.is_ready() || !self.rpc.is_idle() || self.outbox.len() == 0 {
            return None;
        }
        match self.outbox.first() {
            Some((.., Some(_))) => self.retry_at,
            // While the disk reads there is nothing to wait for but the disk.
            _ => self.fetch_at,
        }
    }

    /// The wallbox was told yes, and the backend says no.
    fn deauthorize(&mut self, number: TransactionNumber) {
        let Some(known) = self.transactions.get(number) else {
            return;
        };
        let Some(member) = self.members.at(&known.address, known.connector) else {
            return;
        };
        let stop = self.keys.stop_on_invalid();
        info!(
            client_id = self.plan.client_id,
            transaction = number.0,
            stop,
            "the backend refuses a transaction that was allowed without it"
        );
        let evse = member.plan.evse.clone();
        let what = Deauthorize {
            transaction: number,
            stop,
        };
        self.output(Output::Deauthorize { evse, what });
    }

    fn remember_refused(&mut self) {
        let refused = self.transactions.refused();
        self.remember("refused", &refused);
    }

    /// The wallbox never stopped a transaction that is over.
    pub(super) fn take_lost(&mut self, now: Now, number: TransactionNumber, register: Option<i64>) {
        let Some(known) = self.transactions.get(number).filter(|known| !known.over) else {
            return;
        };
        let (address, connector) = (known.address.clone(), known.connector);
        let meter_start = known.meter_start.unwrap_or_default();
        if !self.plan.synthesize_stop {
            error!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                transaction = number.0,
                register_wh = register,
                "a session has no stop: its backend never hears of its end (synthesize-stop = true would make one up)"
            );
            self.note_stop(now, number);
            return;
        }
        let stop = StopTransaction {
            id_tag: None,
            meter_stop: Some(register.unwrap_or_default().max(meter_start)),
            timestamp: timestamp::format(now.wall),
            transaction_id: Some(number.0),
            reason: Some("Other".into()),
            transaction_data: Vec::new(),
        };
        self.making_up = Some(number);
        self.output(Output::File(Entry {
            address,
            connector,
            transaction: Some(number),
            kind: EntryKind::Stop,
            payload: messages::write(&stop),
            received: now.wall,
        }));
    }
}

fn without_transaction(payload: &str, connector: Option<&str>) -> String {
    let bare = without(payload, "transactionId").unwrap_or_else(|| payload.to_owned());
    let connector = connector.map(|it| ("connectorId", it));
    splice(&bare, connector.as_slice()).unwrap_or(bare)
}

/// What of the answer to StartTransaction can be read.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Started {
    #[serde(default, deserialize_with = "lenient::optional")]
    transaction_id: Option<i64>,
    #[serde(default, deserialize_with = "lenient::optional")]
    id_tag_info: Option<IdTagInfo>,
}

/// The wallbox says that it was told to stop: by us.
fn was_remote(payload: &str) -> bool {
    let stop = serde_json::from_str::<StopTransaction<'_>>(payload);
    stop.is_ok_and(|stop| stop.reason.as_deref() == Some(StopReason::Remote.as_str()))
}
