//! The link of a simulated wallbox: one CALL at a time, transaction messages kept until they are
//! answered (OCPP 1.6 §3.7, OCPP-J §4.1).

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};

use super::Output;
use super::handwriting::Handwriting;
use crate::clock::{Mono, Random};
use crate::ids::{ConnectorId, IdTag};

/// How long it waits for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many of its own message ids it remembers.
const REMEMBERED: usize = 100;

/// What an answer is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Purpose {
    Boot,
    Heartbeat,
    Authorize {
        connector: ConnectorId,
        tag: IdTag,
    },
    Status(ConnectorId),
    /// Nobody looks at the answer.
    Notice,
    /// The first of the kept transaction messages.
    Kept,
}

/// A CALL of the wallbox that is lost with the link.
#[derive(Debug, Clone)]
pub(super) struct OwnCall {
    pub(super) action: &'static str,
    pub(super) payload: Value,
    pub(super) purpose: Purpose,
    /// Asked for by the central system, so it may be sent before the boot was accepted.
    pub(super) triggered: bool,
}

/// A message of a transaction that is kept until it is answered.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) action: &'static str,
    pub(super) payload: Value,
    /// The wallbox's own number of the transaction, which has no id before its start is answered.
    pub(super) session: u64,
    id: Option<Value>,
    attempts: u64,
    not_before: Mono,
}

/// A CALL without an answer.
#[derive(Debug, Clone)]
struct Outstanding {
    id: Value,
    action: &'static str,
    purpose: Purpose,
    since: Mono,
}

/// A CALL that was answered or given up.
#[derive(Debug, Clone)]
pub(super) struct Settled {
    pub(super) action: &'static str,
    pub(super) purpose: Purpose,
}

#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) connected: bool,
    handwriting: Handwriting,
    output: VecDeque<Output>,
    calls: VecDeque<OwnCall>,
    kept: VecDeque<Kept>,
    outstanding: Option<Outstanding>,
    used_ids: VecDeque<Value>,
    pub(super) last_sent: Mono,
    /// The longest wait for an answer so far.
    pub(super) slowest: Duration,
}

/// `payload` with one member more.
pub(super) fn with(mut payload: Value, member: &str, value: impl Into<Value>) -> Value {
    if let Some(members) = payload.as_object_mut() {
        members.insert(member.to_owned(), value.into());
    }
    payload
}

impl Wire {
    pub(super) fn new(handwriting: Handwriting) -> Self {
        Self {
            connected: false,
            handwriting,
            output: VecDeque::new(),
            calls: VecDeque::new(),
            kept: VecDeque::new(),
            outstanding: None,
            used_ids: VecDeque::new(),
            last_sent: Mono::START,
            slowest: Duration::ZERO,
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// The link is there, and nothing of the old one is.
    pub(super) fn connect(&mut self) {
        self.disconnect();
        self.connected = true;
    }

    /// What is not of a transaction is lost; returns the CALLs that nobody will answer.
    pub(super) fn disconnect(&mut self) -> Vec<Purpose> {
        self.connected = false;
        self.output.clear();
        let outstanding = self.outstanding.take().map(|call| call.purpose);
        let waiting = self.calls.drain(..).map(|call| call.purpose);
        outstanding.into_iter().chain(waiting).collect()
    }

    /// Ends the connection from this side.
    pub(super) fn hang_up(&mut self) {
        if self.connected {
            self.disconnect();
            self.output.push_back(Output::Disconnect);
        }
    }

    pub(super) fn call(&mut self, call: OwnCall) {
        if self.connected {
            self.calls.push_back(call);
        }
    }

    pub(super) fn keep(&mut self, action: &'static str, payload: Value, session: u64) {
        self.kept.push_back(Kept {
            action,
            payload,
            session,
            id: None,
            attempts: 0,
            not_before: Mono::START,
        });
    }

    /// Whether a message of this transaction waits for its answer.
    pub(super) fn keeps(&self, session: u64) -> bool {
        self.kept.iter().any(|kept| kept.session == session)
    }

    /// How many transaction messages wait for their answer.
    pub(super) fn kept(&self) -> usize {
        self.kept.len()
    }

    pub(super) fn idle(&self) -> bool {
        self.connected && self.outstanding.is_none()
    }

    /// The next CALL that may go: any once `accepted`, before that only what was asked for.
    pub(super) fn next_call(&mut self, accepted: bool) -> Option<OwnCall> {
        let may_go = |call: &OwnCall| accepted || call.triggered || call.purpose == Purpose::Boot;
        let position = self.calls.iter().position(may_go)?;
        self.calls.remove(position)
    }

    /// The next transaction message, if its time has come.
    pub(super) fn next_kept(&self, now: Mono) -> Option<&Kept> {
        self.kept.front().filter(|kept| kept.not_before <= now)
    }

    pub(super) fn send_call(&mut self, now: Mono, call: OwnCall, random: &mut Random) {
        let id = self.new_id(random);
        self.transmit(now, id, call.action, &call.payload, call.purpose);
    }

    /// Sends the first kept message with `payload`. A message that is sent again keeps its id or
    /// gets a new one: both happen in the field.
    pub(super) fn send_kept(&mut self, now: Mono, payload: &Value, random: &mut Random) {
        let fresh = self.new_id(random);
        let Some(kept) = self.kept.front_mut() else {
            return;
        };
        let id = match kept.id.take() {
            Some(old) if random.below(2) == 0 => old,
            _ => fresh,
        };
        kept.id = Some(id.clone());
        let action = kept.action;
        self.transmit(now, id, action, payload, Purpose::Kept);
    }

    fn transmit(
        &mut self,
        now: Mono,
        id: Value,
        action: &'static str,
        payload: &Value,
        purpose: Purpose,
    ) {
        let payload = self.handwriting.payload(action, payload.clone());
        self.frame(now, &json!([2, id, action, payload]));
        if self.used_ids.len() >= REMEMBERED {
            self.used_ids.pop_front();
        }
        self.used_ids.push_back(id.clone());
        self.outstanding = Some(Outstanding {
            id,
            action,
            purpose,
            since: now,
        });
    }

    /// A payload as it leaves.
    pub(super) fn written(&self, action: &str, payload: Value) -> String {
        let payload = self.handwriting.payload(action, payload);
        self.handwriting.text(&payload)
    }

    pub(super) fn frame(&mut self, now: Mono, frame: &Value) {
        self.last_sent = now;
        self.output
            .push_back(Output::Send(self.handwriting.text(frame)));
    }

    /// Takes the CALL that `id` answers.
    pub(super) fn settle(&mut self, now: Mono, id: &Value) -> Option<Settled> {
        let call = self.outstanding.take_if(|call| call.id == *id)?;
        self.slowest = self.slowest.max(now.since(call.since));
        Some(Settled {
            action: call.action,
            purpose: call.purpose,
        })
    }

    /// An answer may be late; an answer to nothing is wrong.
    pub(super) fn was_used(&self, id: &Value) -> bool {
        self.used_ids.contains(id)
    }

    /// Gives up the CALL whose time is over.
    pub(super) fn give_up(&mut self, now: Mono) -> Option<Settled> {
        let late = |call: &mut Outstanding| now.since(call.since) >= TIMEOUT;
        let call = self.outstanding.take_if(late)?;
        self.slowest = self.slowest.max(TIMEOUT);
        Some(Settled {
            action: call.action,
            purpose: call.purpose,
        })
    }

    /// The first kept message was processed.
    pub(super) fn drop_kept(&mut self) -> Option<Kept> {
        self.kept.pop_front()
    }

    /// The first kept message was not processed: it is sent again later, or dropped after
    /// `attempts` (then it is returned).
    pub(super) fn retry_kept(&mut self, now: Mono, attempts: u64, wait: u64) -> Option<Kept> {
        let kept = self.kept.front_mut()?;
        kept.attempts += 1;
        if kept.attempts >= attempts.max(1) {
            return self.kept.pop_front();
        }
        kept.not_before = now + Duration::from_secs(wait.saturating_mul(kept.attempts));
        None
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        if !self.connected {
            return None;
        }
        match &self.outstanding {
            Some(call) => Some(call.since + TIMEOUT),
            None => self.kept.front().map(|kept| kept.not_before),
        }
    }

    fn new_id(&self, random: &mut Random) -> Value {
        self.handwriting.message_id(random)
    }
}
