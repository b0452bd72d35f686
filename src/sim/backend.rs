//! A correct central system of a billing operator, pure, for any number of charge points.
//!
//! It keeps the [contract](crate) of every machine. Deviations are [`BackendQuirk`]s; what charge
//! points did is in its [`Ledger`]. It reads and writes frames by itself, so that it cannot share a
//! misunderstanding with what it is to judge. [`serve()`] puts it behind a real socket.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::{Mono, Now, Random};
use crate::ids::{ChargeBoxId, LinkId};
use crate::ocpp::messages::RegistrationStatus;

mod answers;
mod book;
mod command;
mod commanding;
mod ledger;
mod mischief;
mod plan;
mod quirk;
mod serve;
mod wire;

pub use command::{Command, Limit, constant_profile};
pub use ledger::{Call, CommandNumber, Entry, Event, Ledger, Outcome, Transaction};
pub use plan::{BackendPlan, DataTransferAnswer, TransactionIds};
pub use quirk::BackendQuirk;
pub use serve::{Server, listen, listen_on_loopback, serve};

use commanding::{Queued, Sent};
use mischief::Mischief;
use wire::{Answer, Received};

/// A CALL of a charge point before the last was answered is held against it, unless it waited for
/// this long.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the backend wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this text frame.
    Send {
        /// On which link.
        link: LinkId,
        /// The frame.
        text: String,
    },
    /// End the connection; the backend has forgotten it already.
    Close {
        /// Which.
        link: LinkId,
    },
}

/// The charge point is not connected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not connected")]
pub struct NotConnected(pub ChargeBoxId);

/// What is known of a charge point, connected or not.
#[derive(Debug, Default)]
struct ChargePoint {
    link: Option<LinkId>,
    registration: Option<RegistrationStatus>,
    first_boot: Option<Mono>,
    /// Numbers of transactions by the payload of their StartTransaction.
    numbers: BTreeMap<String, i64>,
    /// How often a transaction message met with a quirk, by its payload.
    troubled: BTreeMap<(BackendQuirk, String), u32>,
    /// Messages that it may send while it is pending, because it was asked to.
    triggered: Vec<String>,
    queue: VecDeque<Queued>,
    /// The newest is the outstanding one, if `waits_until` is set.
    sent: VecDeque<Sent>,
    waits_until: Option<Mono>,
}

/// A connection.
#[derive(Debug)]
struct Link {
    client_id: ChargeBoxId,
    booted: bool,
    /// Its CALL that is not answered, and since when.
    unanswered: Option<(String, Mono)>,
    late: VecDeque<(Mono, Answer)>,
    mischief: Mischief,
}

/// A backend.
#[derive(Debug)]
pub struct Backend {
    plan: BackendPlan,
    random: Random,
    ledger: Ledger,
    charge_points: BTreeMap<ChargeBoxId, ChargePoint>,
    links: BTreeMap<LinkId, Link>,
    outputs: VecDeque<Output>,
    transactions: i64,
    commands: u64,
}

impl Backend {
    /// A backend that nobody has connected to yet.
    pub fn new(plan: BackendPlan, random: Random) -> Self {
        Self {
            plan,
            random,
            ledger: Ledger::default(),
            charge_points: BTreeMap::new(),
            links: BTreeMap::new(),
            outputs: VecDeque::new(),
            transactions: 0,
            commands: 0,
        }
    }

    /// What it is like.
    pub const fn plan(&self) -> &BackendPlan {
        &self.plan
    }

    /// Makes it another one while it runs. A quirk that has a timer begins with the next call of a
    /// `handle_*`.
    pub const fn plan_mut(&mut self) -> &mut BackendPlan {
        &mut self.plan
    }

    /// What it has seen and done.
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Shows every new entry of the ledger to `inspector`.
    pub fn inspect(&mut self, inspector: impl FnMut(&Entry) + Send + 'static) {
        self.ledger.inspect(inspector);
    }

    /// Who is connected.
    pub fn connected(&self) -> impl Iterator<Item = &ChargeBoxId> {
        let all = self.charge_points.iter();
        all.filter_map(|(id, charge_point)| charge_point.link.map(|_| id))
    }

    /// A charge point connected. An older connection of it is closed.
    pub fn handle_up(&mut self, now: Now, link: LinkId, client_id: &ChargeBoxId) {
        self.hang_up(now, client_id);
        self.record(now, client_id, Event::Up);
        let charge_point = self.charge_points.entry(client_id.clone()).or_default();
        charge_point.link = Some(link);
        let new = Link {
            client_id: client_id.clone(),
            booted: false,
            unanswered: None,
            late: VecDeque::new(),
            mischief: Mischief::new(now.mono),
        };
        self.links.insert(link, new);
        self.pump(now, client_id);
    }

    /// A text frame of a charge point.
    pub fn handle_frame(&mut self, now: Now, link: LinkId, text: &str) {
        let Some(client_id) = self.links.get(&link).map(|link| link.client_id.clone()) else {
            return;
        };
        match Received::read(text) {
            Ok(Received::Call {
                id,
                action,
                payload,
            }) => self.called(
                now,
                link,
                &client_id,
                &wire::Call {
                    id,
                    action,
                    payload,
                },
            ),
            Ok(Received::Answer { id, outcome }) => self.answered(now, &client_id, &id, outcome),
            Err(why) => self.complain(now, &client_id, format!("{why}: {text}")),
        }
        self.pump(now, &client_id);
    }

    /// The connection is gone.
    pub fn handle_down(&mut self, now: Now, link: LinkId) {
        let Some(gone) = self.links.remove(&link) else {
            return;
        };
        let client_id = gone.client_id;
        self.record(now, &client_id, Event::Down);
        self.forget_commands(now, &client_id);
        if let Some(charge_point) = self.charge_points.get_mut(&client_id) {
            charge_point.link = None;
            charge_point.triggered.clear();
        }
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Now) {
        let links: Vec<LinkId> = self.links.keys().copied().collect();
        for link in links {
            self.send_late_answers(now, link);
            self.make_mischief(now, link);
        }
        let waiting = self.charge_points.iter();
        let overdue = waiting.filter(|(_, it)| it.waits_until.is_some_and(|at| at <= now.mono));
        let overdue: Vec<ChargeBoxId> = overdue.map(|(id, _)| id.clone()).collect();
        for client_id in overdue {
            self.give_up(now, &client_id);
            self.pump(now, &client_id);
        }
    }

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When it wants [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Mono> {
        let links = self.links.values();
        let links = links.flat_map(|link| {
            let late = link.late.front().map(|(due, _)| *due);
            late.into_iter().chain(link.mischief.due(&self.plan))
        });
        let commands = self.charge_points.values().filter_map(|it| it.waits_until);
        links.chain(commands).min()
    }

    /// Closes the connection of a charge point, if it has one.
    pub fn hang_up(&mut self, now: Now, client_id: &ChargeBoxId) {
        if let Some(link) = self.charge_points.get(client_id).and_then(|it| it.link) {
            self.outputs.push_back(Output::Close { link });
            self.handle_down(now, link);
        }
    }
}

impl Backend {
    fn record(&mut self, now: Now, client_id: &ChargeBoxId, event: Event) {
        let limit = self.plan.ledger_limit;
        self.ledger.record(now, client_id, event, limit);
    }

    fn complain(&mut self, now: Now, client_id: &ChargeBoxId, what: String) {
        self.record(now, client_id, Event::Complaint(what));
    }

    fn send(&mut self, link: LinkId, text: String) {
        self.outputs.push_back(Output::Send { link, text });
    }
}

#[cfg(test)]
mod tests;
