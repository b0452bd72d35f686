//! Transactions of a Modbus wallbox, in the words of OCPP (1.6 §4.8, §4.10), and what the journal
//! keeps of them.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::info;

use crate::clock::{Mono, Now};
use crate::ids::{ConnectorId, IdTag};
use crate::journal::{Entry, EntryKind, Record, Recovered, Stopped, Transaction};
use crate::ocpp::messages::{self, Request, StartTransaction, StopTransaction};
use crate::ocpp::timestamp;
use crate::units::{MilliAmps, WattHours};

use super::availability::OutOfService;
use super::charge_point::{ChargePoint, Context, Output};
use super::plan::ChargePointPlan;
use super::refusing::Refusal;
use super::reserving::Reservation;
use super::session::{Authorized, Ending, Found, Resumed, Running, Stage};

/// The register of a running transaction is kept this often at most …
const KEPT_EVERY: Duration = Duration::from_mins(1);

/// … and only when it has moved by this much: disks of a Pi wear, too.
const WORTH_KEEPING: WattHours = WattHours(100);

/// When its car was last seen is known to this.
const SEEN_WITHIN: Duration = Duration::from_mins(10);

/// What outlives a restart of ours.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Known {
    /// Which device it is.
    pub(super) serial: String,
    /// How often it was started.
    pub(super) restarts: Option<u32>,
    /// Its last good energy register: a stop after a power cut has a value.
    pub(super) register: Option<WattHours>,
    /// What that register has lost in the running transaction ([`super::energy`]).
    pub(super) offsets: Vec<WattHours>,
    /// The transaction of the plugged car is over.
    pub(super) over: bool,
    /// What it allows by itself, when nobody asks it anything.
    pub(super) falls_to: MilliAmps,
    /// It has been away for so long that it may have fallen back.
    pub(super) fallen_back: bool,
    pub(super) out_of_service: OutOfService,
    pub(super) reservation: Option<Reservation>,
    /// The tag of the running transaction was refused.
    pub(super) refusal: Option<Refusal>,
    /// When the car of the running transaction was last seen.
    pub(super) seen: Option<Timestamp>,
}

/// What is known, and what the disk knows of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) known: Known,
    kept: Known,
    kept_at: Option<Mono>,
    /// The backend was told of a time and a register: no stop may be older or less.
    is_told: bool,
}

impl Memory {
    /// What the journal brought back.
    pub(super) fn recover(plan: &ChargePointPlan, recovered: &Recovered) -> Self {
        let known: Known = recovered
            .memory
            .get(&(owner(plan), KEY.to_owned()))
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        Self {
            kept: known.clone(),
            known,
            kept_at: None,
            is_told: false,
        }
    }

    /// A sample of the running transaction is on its way to the backend.
    pub(super) fn tell(&mut self) {
        self.is_told = true;
    }

    /// What is to be kept now, if anything.
    fn keep(&mut self, now: Mono) -> Option<String> {
        let rested = self.kept_at.is_none_or(|at| now.since(at) >= KEPT_EVERY);
        let moved = match (self.known.register, self.kept.register) {
            (Some(new), Some(old)) => new < old || new - old >= WORTH_KEEPING,
            (new, old) => new != old,
        };
        let long_ago = match (self.known.seen, self.kept.seen) {
            (Some(new), Some(old)) => new.duration_since(old).unsigned_abs() >= SEEN_WITHIN,
            (new, old) => new != old,
        };
        let new = Known {
            register: self.known.register,
            seen: self.known.seen,
            ..self.kept.clone()
        };
        let is_told = std::mem::take(&mut self.is_told);
        let changed = self.known != new;
        if !(changed || (moved && rested) || long_ago || is_told) {
            return None;
        }
        self.kept = self.known.clone();
        self.kept_at = Some(now);
        serde_json::to_string(&self.known).ok()
    }
}

const KEY: &str = "known";

fn owner(plan: &ChargePointPlan) -> String {
    format!("charge point {} {}", plan.address, plan.unit)
}

/// What is to be compared when car and register of such a transaction are seen again.
pub(super) fn resumed(memory: &Memory, transaction: &Transaction) -> Resumed {
    let seen = memory.known.seen.unwrap_or(transaction.received);
    Resumed {
        seen: seen.max(transaction.received),
        register: memory.known.register.max(transaction.meter_start),
    }
}

/// The transaction that was open before the restart.
pub(super) fn recover(plan: &ChargePointPlan, recovered: &Recovered) -> Option<Transaction> {
    let ours = |t: &&Transaction| {
        t.address == plan.address && t.connector == connector(plan) && t.stopped.is_none()
    };
    recovered.transactions.values().rev().find(ours).cloned()
}

pub(super) fn connector(plan: &ChargePointPlan) -> ConnectorId {
    ConnectorId(u32::from(plan.unit))
}

impl ChargePoint {
    /// Begins a transaction.
    pub(super) fn begin(&mut self, context: &mut Context<'_>, authorized: Authorized) {
        let number = context.numbers.give();
        let meter_start = self.energy.last();
        let started = timestamp::format(context.now.wall);
        let reservation = self.memory.known.reservation.take();
        let reservation = reservation.filter(|it| {
            let tag = authorized.tag.as_ref();
            tag.is_some_and(|tag| it.is_for(tag, authorized.parent.as_ref()))
        });
        self.session.reserved_until = None;
        self.memory.known.refusal = None;
        let transaction = Transaction {
            number,
            address: self.plan.address.clone(),
            connector: connector(&self.plan),
            wallbox_id: number.0,
            id_tag: authorized.tag.clone(),
            meter_start,
            started: started.clone(),
            received: context.now.wall,
            stopped: None,
        };
        info!(
            evse = %self.plan.evse,
            transaction = number.0,
            id_tag = authorized.tag.as_ref().map(IdTag::masked),
            meter_start_wh = meter_start.map(|register| register.0),
            "a transaction began"
        );
        let start = StartTransaction {
            connector_id: transaction.connector,
            id_tag: authorized.tag.clone().unwrap_or_else(|| "".into()),
            meter_start: Some(meter_start.unwrap_or_default().0),
            reservation_id: reservation.map(|it| it.id),
            timestamp: started,
        };
        self.keep(context.now, transaction.clone(), EntryKind::Start, &start);
        // This record is not on disk.
        context.may_raise = false;
        self.session.stage = Stage::Running(Running {
            transaction,
            parent: authorized.parent,
            refused: false,
        });
        if let Some(tag) = authorized.tag {
            self.ask_start(tag, number);
        }
    }

    /// Ends a transaction with the last good register.
    pub(super) fn close(&mut self, now: Now, running: Running, ending: Ending) {
        let mut transaction = running.transaction;
        let (ended, register) = match ending.found {
            Some(Found {
                seen,
                register: Some(register),
            }) => (seen, Some(register)),
            Some(found) => (found.seen, self.energy.last()),
            None => (now.wall, self.energy.last()),
        };
        let register = register.max(transaction.meter_start);
        let timestamp = timestamp::format(ended);
        self.memory.known.refusal = None;
        info!(
            evse = %self.plan.evse,
            transaction = transaction.number.0,
            reason = ending.reason.as_str(),
            energy_wh = register.zip(transaction.meter_start).map(|(stop, start)| (stop - start).0),
            "a transaction ended"
        );
        let stop = StopTransaction {
            id_tag: ending.tag,
            meter_stop: Some(register.unwrap_or_default().0),
            timestamp: timestamp.clone(),
            transaction_id: Some(transaction.wallbox_id),
            reason: Some(Cow::Borrowed(ending.reason.as_str())),
            transaction_data: self.transaction_data(now, &transaction, register),
        };
        transaction.stopped = Some(Stopped {
            meter_stop: register,
            timestamp,
            reason: ending.reason.as_str().to_owned(),
            received: now.wall,
        });
        self.keep(now, transaction, EntryKind::Stop, &stop);
    }

    /// Keeps a transaction and the message that made it what it is.
    fn keep<R: Request>(
        &mut self,
        now: Now,
        transaction: Transaction,
        kind: EntryKind,
        message: &R,
    ) {
        let entry = Entry {
            address: self.plan.address.clone(),
            connector: connector(&self.plan),
            transaction: Some(transaction.number),
            kind,
            payload: messages::write(message),
            received: now.wall,
        };
        let with = vec![Record::Transaction(transaction)];
        self.output(Output::File { entry, with });
    }

    /// Keeps what must outlive a restart.
    pub(super) fn remember(&mut self, now: Now) {
        self.memory.known.over = matches!(self.session.stage, Stage::Over);
        if self.session.transaction().is_some() {
            self.memory.known.register = self.energy.last();
        }
        if self.memory.known.offsets != self.energy.offsets() {
            self.memory.known.offsets = self.energy.offsets().to_vec();
        }
        let here = self.session.plugged == Some(true) && self.image.is_some();
        if here && let Stage::Running(_) = self.session.stage {
            self.memory.known.seen = Some(now.wall);
        }
        if let Some(value) = self.memory.keep(now.mono) {
            self.output(Output::Persist(Record::Memory {
                owner: owner(&self.plan),
                key: KEY.to_owned(),
                value: Some(value),
            }));
        }
    }
}
