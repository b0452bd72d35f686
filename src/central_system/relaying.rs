//! What only the upstream can answer, and what it is told without being asked.

use std::time::Duration;

use serde_json::value::RawValue;

use crate::clock::Mono;
use crate::evse::{Ask, AuthorizationStatus, Call, Notice, Reply};
use crate::ids::{ConnectorId, EvseName, IdTag, TransactionNumber};
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{Authorize, StartTransactionResponse};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::{ChargePointStatus, ErrorCode, messages};

use super::connector::Standing;
use super::set_up::Step;
use super::station::{Context, Output, Station};

/// The whole wallbox.
pub(super) const WHOLE: ConnectorId = ConnectorId(0);

/// Of several connectors with a waiting car a tag is meant for one whose car came this lately.
const FRESH: Duration = Duration::from_mins(2);

/// An answer that waits for the upstream.
#[derive(Debug)]
pub(super) enum Waiting {
    Authorize(MessageId),
    RemoteStart(ConnectorId, IdTag),
    Start(Start),
    Stop(MessageId),
    Relay(MessageId),
}

/// A transaction that the upstream is asked about.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) transaction: TransactionNumber,
    /// Each time that the wallbox sent it over this connection; all are to be answered.
    pub(super) messages: Vec<MessageId>,
    /// The wallbox may know its id already, which is therefore not changed any more.
    pub(super) told: bool,
}

impl Station {
    /// The upstream answers.
    pub fn handle_reply(&mut self, context: &mut Context<'_>, call: u64, reply: &Reply) {
        if let Some(waiting) = self.waiting.remove(&call) {
            self.take_reply(context, waiting, reply);
        }
        self.go_on(context);
    }

    fn take_reply(&mut self, context: &mut Context<'_>, waiting: Waiting, reply: &Reply) {
        match waiting {
            Waiting::Authorize(message) => match reply {
                Reply::Payload(payload) => self.reply_text(&message, payload),
                Reply::Verdict(_) | Reply::Refused(_) => {
                    self.answer_authorize(&message, &reply.verdict());
                }
            },
            Waiting::RemoteStart(connector, tag) => {
                if reply.verdict().status == AuthorizationStatus::Accepted {
                    let step = Step::RemoteStart(connector, tag);
                    self.set_up.first(context.now.mono, step);
                }
            }
            Waiting::Stop(message) => self.answer_stop(&message, Some(&reply.verdict())),
            Waiting::Start(start) => self.finish_start(context.now, &start, reply),
            Waiting::Relay(message) => match reply {
                Reply::Payload(payload) => self.reply_text(&message, payload),
                Reply::Refused(failure) => self.refuse(&message, failure),
                Reply::Verdict(_) => {
                    let why = "nobody answers this action";
                    self.refuse(&message, &CallFailure::new(ErrorCode::NotSupported, why));
                }
            },
        }
    }

    /// Transactions that were open before a restart are judged anew: the list may have changed.
    pub(super) fn judge_recovered(&mut self) {
        let open: Vec<_> = self.ledger.open().cloned().collect();
        for transaction in open {
            let Some(tag) = transaction.id_tag else {
                if let Some(connector) = self.connector(transaction.connector) {
                    connector.standing = Standing::Accepted;
                }
                self.report_demand(transaction.connector);
                continue;
            };
            let start = Start {
                transaction: transaction.number,
                messages: Vec::new(),
                told: true,
            };
            self.ask_start(transaction.connector, tag, start);
        }
    }

    pub(super) fn ask_start(&mut self, id: ConnectorId, tag: IdTag, start: Start) {
        let ask = Ask::Start {
            tag,
            transaction: start.transaction,
        };
        self.ask(self.evses_of(id), ask, Waiting::Start(start));
    }

    pub(super) fn ask(&mut self, evses: Vec<EvseName>, ask: Ask, waiting: Waiting) {
        self.next_call += 1;
        self.waiting.insert(self.next_call, waiting);
        self.output(Output::Call(Call {
            id: self.next_call,
            evses,
            ask,
        }));
    }

    /// Lets the backend answer.
    pub(super) fn relay(&mut self, message: &MessageId, action: &str, payload: &RawValue) {
        let ask = Ask::Relay {
            action: action.to_owned(),
            payload: payload.get().to_owned(),
        };
        let waiting = Waiting::Relay(message.clone());
        self.ask(self.evses_with_backend(), ask, waiting);
    }

    /// Lets the backend hear it too.
    pub(super) fn notice(&mut self, id: ConnectorId, action: &str, payload: &RawValue) {
        if self.has_backend(id) {
            self.output(Output::Notice(Notice {
                evse: self.evses_of(id).pop(),
                action: action.to_owned(),
                payload: payload.get().to_owned(),
            }));
        }
    }

    /// The connection is gone, and with it whoever waits for an answer. A start is judged all the
    /// same: the wallbox will send it again.
    pub(super) fn owe_no_answers(&mut self) {
        self.waiting.retain(|_, waiting| match waiting {
            Waiting::Start(start) => {
                start.messages.clear();
                true
            }
            Waiting::Authorize(_)
            | Waiting::RemoteStart(..)
            | Waiting::Stop(_)
            | Waiting::Relay(_) => false,
        });
    }

    /// What the upstream is asked about this transaction, as long as it has not answered.
    pub(super) fn waiting_start(&mut self, number: TransactionNumber) -> Option<&mut Start> {
        self.waiting.values_mut().find_map(|waiting| match waiting {
            Waiting::Start(start) if start.transaction == number => Some(start),
            _ => None,
        })
    }

    /// A transaction is open, and the wallbox was told its id: only then it takes a `TxProfile`.
    pub(super) fn knows_transaction(&self, id: ConnectorId) -> bool {
        let Some(open) = self.ledger.open_of(id) else {
            return false;
        };
        let is_untold = |waiting: &Waiting| matches!(waiting, Waiting::Start(start) if start.transaction == open.number && !start.told);
        !self.waiting.values().any(is_untold)
    }

    /// Is there a backend for this connector; for the whole wallbox: for any?
    pub(super) fn has_backend(&self, id: ConnectorId) -> bool {
        let mut concerned = self.plan.connectors.iter();
        concerned.any(|(it, plan)| plan.backend && (*it == id || id == WHOLE))
    }

    pub(super) fn evses_of(&self, id: ConnectorId) -> Vec<EvseName> {
        let plan = self
            .connectors
            .get(&id)
            .and_then(|connector| connector.plan.as_ref());
        plan.map(|plan| plan.evse.clone()).into_iter().collect()
    }

    pub(super) fn all_evses(&self) -> Vec<EvseName> {
        self.plan
            .connectors
            .values()
            .map(|connector| connector.evse.clone())
            .collect()
    }

    /// Where somebody waits for current or gets some, first.
    fn evses_with_backend(&self) -> Vec<EvseName> {
        let is_busy = |id: &&ConnectorId| {
            let connector = self.connectors.get(*id);
            let status = connector.and_then(|connector| connector.status);
            status == Some(ChargePointStatus::Preparing) || self.ledger.open_of(**id).is_some()
        };
        let ours = self.plan.connectors.iter().filter(|(_, it)| it.backend);
        let (busy, others): (Vec<&ConnectorId>, Vec<_>) = ours.map(|(id, _)| id).partition(is_busy);
        let ids = busy.into_iter().chain(others);
        ids.flat_map(|id| self.evses_of(*id)).collect()
    }

    /// Authorize names no connector: the tag may hold for whichever a car is waiting at.
    pub(super) fn authorize(&mut self, now: Mono, id: &MessageId, payload: &RawValue) {
        let tag =
            messages::parse::<Authorize>(payload).map_or_else(|_| "".into(), |said| said.id_tag);
        let ask = Ask::Authorize {
            tag: tag.clone(),
            payload: payload.get().to_owned(),
        };
        self.ask(
            self.evses_to_authorize(now, &tag),
            ask,
            Waiting::Authorize(id.clone()),
        );
    }

    /// Where a tag was presented: the likeliest first, which decides whose backend is asked.
    fn evses_to_authorize(&self, now: Mono, tag: &IdTag) -> Vec<EvseName> {
        let ours = || self.plan.connectors.keys().copied();
        let since = |id: &ConnectorId| self.connectors.get(id)?.preparing_since;
        let preparing: Vec<ConnectorId> = ours().filter(|id| since(id).is_some()).collect();
        let is_fresh = |id: &&ConnectorId| {
            preparing.len() == 1 || since(id).is_some_and(|at| now.since(at) <= FRESH)
        };
        let newest = preparing.iter().filter(is_fresh).max_by_key(|id| since(id));
        let rank = |id: &ConnectorId| match newest {
            Some(newest) if newest == id => 0,
            _ if self.is_started_with(*id, tag) => 1,
            _ if self.has_backend(*id) => 2,
            _ => 3,
        };
        let may_be_meant =
            |id: &ConnectorId| preparing.is_empty() || preparing.contains(id) || rank(id) == 1;
        let mut ids: Vec<ConnectorId> = ours().filter(may_be_meant).collect();
        // Stable: the lowest first.
        ids.sort_by_key(rank);
        ids.iter().flat_map(|id| self.evses_of(*id)).collect()
    }

    /// The open transaction of a connector was started with this tag, or with one whose parent it
    /// is known to be.
    fn is_started_with(&self, id: ConnectorId, tag: &IdTag) -> bool {
        self.ledger.open_of(id).is_some_and(|open| {
            let answer = self.ledger.answer_to(open.number);
            let answer =
                answer.and_then(|it| serde_json::from_str::<StartTransactionResponse>(it).ok());
            let parent = answer.and_then(|it| it.id_tag_info.parent_id_tag);
            open.id_tag.as_ref() == Some(tag) || parent.as_ref() == Some(tag)
        })
    }
}
