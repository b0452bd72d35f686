//! What wallboxes ask their backend, and what they are told where it is away or slow (OCPP 1.6
//! §3.5.3, §4.1, §4.3).
//!
//! Whoever asks has no timer: every call is answered here, once, in time.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{info, warn};

use crate::clock::{Mono, Now};
use crate::evse::{Ask, Call, Reply, Verdict};
use crate::ids::{ConnectorId, EvseName, IdTag, TransactionNumber};
use crate::journal::{Entry, EntryKind};
use crate::ocpp::ErrorCode;
use crate::ocpp::messages::{self, AuthorizeResponse, DataTransfer};
use crate::ocpp::rpc::CallFailure;

use super::gateway::{Asked, Gateway, Urgent};
use super::io::{Context, Output};
use super::transactions::Start;

/// Wallboxes give up after 20 to 30 s, and the person at the card reader before that.
const AUTHORIZE: Duration = Duration::from_secs(10);

/// The backend's id of a transaction is worth a little more patience.
const START: Duration = Duration::from_secs(15);

/// A bank may be asked.
pub(super) const DATA_TRANSFER: Duration = Duration::from_secs(45);

const RELAY: Duration = Duration::from_secs(25);

/// So many calls wait for a slow backend; more are answered without it at once.
const MOST_CALLS: usize = 256;

/// A call that is not answered yet.
#[derive(Debug)]
pub(super) struct Pending {
    what: What,
    /// The EVSEs it concerns.
    evses: Vec<EvseName>,
    until: Mono,
}

#[derive(Debug)]
enum What {
    Authorize {
        tag: IdTag,
        payload: String,
    },
    /// Its message is in the queue.
    Start {
        tag: IdTag,
        transaction: TransactionNumber,
    },
    Relay {
        action: String,
        payload: String,
    },
}

impl Gateway {
    pub(super) fn take_call(&mut self, now: Now, ticket: u64, call: &Call) {
        let (what, patience) = match &call.ask {
            // A stop is always accepted; its message is in the queue.
            Ask::Stop(_) => {
                let reply = Reply::Verdict(Verdict::ACCEPTED);
                self.output(Output::Reply { ticket, reply });
                return;
            }
            Ask::Authorize { tag, payload } => {
                let (tag, payload) = (tag.clone(), payload.clone());
                (What::Authorize { tag, payload }, AUTHORIZE)
            }
            Ask::Start { tag, transaction } => {
                let (tag, transaction) = (tag.clone(), *transaction);
                (What::Start { tag, transaction }, START)
            }
            // Its link to its central system ends here, and what the backend signed would not reach it.
            Ask::Relay { action, .. } if action == "SignCertificate" => {
                let reply = Reply::Payload(r#"{"status":"Rejected"}"#.to_owned());
                self.output(Output::Reply { ticket, reply });
                return;
            }
            Ask::Relay { action, payload } => {
                let patience = if action == "DataTransfer" {
                    DATA_TRANSFER
                } else {
                    RELAY
                };
                let (action, payload) = (action.clone(), payload.clone());
                (What::Relay { action, payload }, patience)
            }
        };
        let pending = Pending {
            what,
            evses: call.evses.clone(),
            until: now.mono + patience,
        };
        let has_room = self.calls.len() < MOST_CALLS && !self.is_behind_others(&pending);
        let waits = self.is_ready() && has_room && !self.is_known_already(&pending, now);
        if !waits {
            let reply = self.answer_alone(now, &pending);
            self.output(Output::Reply { ticket, reply });
            return;
        }
        if !matches!(pending.what, What::Start { .. }) {
            self.urgent.push_back(Urgent::Call(ticket));
        }
        self.calls.insert(ticket, pending);
    }

    /// A message of a vendor whose messages wait in the queue waits behind them.
    fn is_behind_others(&self, pending: &Pending) -> bool {
        match &pending.what {
            What::Relay { action, payload } if action == "DataTransfer" => {
                self.outbox.holds_transfers() && self.is_kept(payload)
            }
            _ => false,
        }
    }

    fn is_kept(&self, payload: &str) -> bool {
        let vendor = serde_json::from_str::<DataTransfer>(payload).map(|said| said.vendor_id);
        let vendor = vendor.unwrap_or_default();
        let mut kept = self.plan.queue_data_transfer.iter();
        kept.any(|it| it.eq_ignore_ascii_case(&vendor))
    }

    /// The backend need not be asked, or was asked before.
    fn is_known_already(&self, pending: &Pending, now: Now) -> bool {
        match &pending.what {
            What::Authorize { tag, .. } => self.judge_early(now, tag).is_some(),
            What::Start { transaction, .. } => self
                .transactions
                .get(*transaction)
                .is_none_or(|known| known.start != Start::Queued),
            What::Relay { .. } => false,
        }
    }

    /// Sends a call that waits; false if there is nothing to send any more.
    pub(super) fn ask_for(&mut self, context: &mut Context<'_>, ticket: u64) -> bool {
        let Some(pending) = self.calls.get(&ticket) else {
            return false;
        };
        let (action, payload, asked) = match &pending.what {
            What::Authorize { tag, payload } => (
                "Authorize".to_owned(),
                payload.clone(),
                Asked::Authorize(ticket, tag.clone()),
            ),
            What::Relay { action, payload } => {
                (action.clone(), payload.clone(), Asked::Relay(ticket))
            }
            What::Start { .. } => return false,
        };
        self.call(context, &action, &payload, asked);
        true
    }

    /// An answer that came may come too late for the wallbox; what it says of the tag holds.
    pub(super) fn take_authorization(
        &mut self,
        now: Now,
        ticket: u64,
        tag: &IdTag,
        result: Result<&RawValue, CallFailure>,
    ) {
        let said = result
            .ok()
            .and_then(|raw| Some((raw, messages::parse::<AuthorizeResponse>(raw).ok()?)));
        let pending = self.calls.remove(&ticket);
        let Some((raw, answer)) = said else {
            if let Some(pending) = pending {
                let reply = self.answer_alone(now, &pending);
                self.output(Output::Reply { ticket, reply });
            }
            return;
        };
        self.learn(now, tag, &answer.id_tag_info);
        if pending.is_some() {
            let reply = Reply::Payload(raw.get().to_owned());
            self.output(Output::Reply { ticket, reply });
        }
        // A transaction that began meanwhile is judged by the answer to its start.
    }

    pub(super) fn take_relayed(&mut self, ticket: u64, result: Result<&RawValue, CallFailure>) {
        if self.calls.remove(&ticket).is_some() {
            let reply = match result {
                Ok(raw) => Reply::Payload(raw.get().to_owned()),
                Err(failure) => Reply::Refused(failure),
            };
            self.output(Output::Reply { ticket, reply });
        }
    }

    /// The backend has the start of a transaction: the wallbox that waits for it is answered with
    /// its words. False if nobody waits any more.
    pub(super) fn answer_start(&mut self, transaction: TransactionNumber, payload: &str) -> bool {
        let Some(ticket) = self.waits_for(transaction) else {
            return false;
        };
        self.calls.remove(&ticket);
        let reply = Reply::Payload(payload.to_owned());
        self.output(Output::Reply { ticket, reply });
        true
    }

    /// The backend does not take the start of a transaction now: the wallbox is not kept waiting.
    pub(super) fn answer_start_alone(&mut self, now: Now, transaction: TransactionNumber) {
        if let Some(ticket) = self.waits_for(transaction) {
            self.answer_now(now, ticket);
        }
    }

    fn waits_for(&self, number: TransactionNumber) -> Option<u64> {
        let is_it =
            |what: &What| matches!(what, What::Start { transaction, .. } if *transaction == number);
        let mut calls = self.calls.iter();
        calls
            .find(|(_, pending)| is_it(&pending.what))
            .map(|(ticket, _)| *ticket)
    }

    pub(super) fn answer_all_calls(&mut self, now: Now) {
        let tickets: Vec<u64> = self.calls.keys().copied().collect();
        for ticket in tickets {
            self.answer_now(now, ticket);
        }
    }

    /// Answers what waited for too long.
    pub(super) fn end_calls(&mut self, now: Now) {
        let due = self.calls.iter().filter(|(_, it)| it.until <= now.mono);
        let tickets: Vec<u64> = due.map(|(ticket, _)| *ticket).collect();
        for ticket in tickets {
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                "the backend does not answer in time; the wallbox is answered without it"
            );
            self.answer_now(now, ticket);
        }
    }

    fn answer_now(&mut self, now: Now, ticket: u64) {
        if let Some(pending) = self.calls.remove(&ticket) {
            let reply = self.answer_alone(now, &pending);
            self.output(Output::Reply { ticket, reply });
        }
    }

    /// The backend met it with silence.
    pub(super) fn give_up_call(&mut self, now: Now, ticket: u64) {
        self.answer_now(now, ticket);
    }

    pub(super) fn calls_timeout(&self) -> Option<Mono> {
        self.calls.values().map(|pending| pending.until).min()
    }

    /// What is answered without the backend.
    fn answer_alone(&mut self, now: Now, pending: &Pending) -> Reply {
        match &pending.what {
            What::Authorize { tag, .. } => {
                let early = self.judge_early(now, tag);
                let offline = || self.judge_offline(now, tag, &pending.evses);
                Reply::Verdict(early.unwrap_or_else(offline))
            }
            What::Start { tag, transaction } => {
                let known = self.transactions.get(*transaction);
                if known.is_some_and(|known| known.refused) {
                    return Reply::Verdict(Verdict::INVALID);
                }
                if known.is_some_and(|known| matches!(known.start, Start::Delivered(_))) {
                    return Reply::Verdict(Verdict::ACCEPTED);
                }
                // A wallbox that we play starts nothing that was not authorized before.
                let member = known.and_then(|it| self.members.at(&it.address, it.connector));
                if member.is_some_and(|member| !member.plan.is_ocpp) {
                    return Reply::Verdict(Verdict::ACCEPTED);
                }
                Reply::Verdict(self.judge_offline(now, tag, &pending.evses))
            }
            What::Relay { action, payload } if action == "DataTransfer" => {
                self.answer_data_transfer(now, &pending.evses, payload)
            }
            What::Relay { .. } => Reply::Refused(CallFailure::new(
                ErrorCode::NotImplemented,
                "the backend is not reachable",
            )),
        }
    }

    /// A message of a vendor whose messages are money is kept and delivered later; any other fails.
    fn answer_data_transfer(&mut self, now: Now, evses: &[EvseName], payload: &str) -> Reply {
        if !self.is_kept(payload) {
            return Reply::Payload(r#"{"status":"Rejected"}"#.to_owned());
        }
        let member = evses.iter().find_map(|evse| self.members.named(evse));
        let Some(member) = member.or_else(|| self.members.primary()) else {
            return Reply::Payload(r#"{"status":"Rejected"}"#.to_owned());
        };
        info!(
            client_id = self.plan.client_id,
            "a DataTransfer is kept for the backend"
        );
        let entry = Entry {
            address: member.plan.address.clone(),
            connector: ConnectorId(0),
            transaction: None,
            kind: EntryKind::DataTransfer,
            payload: payload.to_owned(),
            received: now.wall,
        };
        self.output(Output::File(entry));
        Reply::Payload(r#"{"status":"Accepted"}"#.to_owned())
    }
}
