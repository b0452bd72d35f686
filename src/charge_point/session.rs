//! From plug to unplug: who may charge, and when a transaction begins and ends.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::clock::Mono;
use crate::ids::IdTag;
use crate::journal::Transaction;
use crate::ocpp::messages::StopReason;
use crate::units::WattHours;

use super::asking::{AskedFixed, Question};
use super::charge_point::{ChargePoint, Context};
use super::plan::Metering;

/// A transaction begins with a register that was read not longer ago than this.
const FRESH: Duration = Duration::from_secs(2);

/// Longer than a register is in doubt, nobody waits for it.
const REGISTER_WITHIN: Duration = Duration::from_secs(12);

/// How far a session has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// Nobody may charge.
    Free,
    /// Somebody may; the transaction begins when a car is plugged and the register is known.
    Authorized(Authorized),
    /// A transaction runs.
    Running(Running),
    /// It is over; its last register is still to be read.
    Ending(Running, Ending),
    /// It is over, the car is still plugged.
    Over,
}

/// Who may charge; nobody by name where everybody may.
#[derive(Debug, Clone)]
pub(super) struct Authorized {
    pub(super) tag: Option<IdTag>,
    pub(super) parent: Option<IdTag>,
    since: Mono,
}

/// A transaction, and the group of its tag where it is known.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) transaction: Transaction,
    pub(super) parent: Option<IdTag>,
    /// It stays open and gets no current any more.
    pub(super) refused: bool,
}

/// Why a transaction ends, and who ends it. It outlives a restart: whoever was promised an end gets
/// it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) reason: StopReason,
    pub(super) tag: Option<IdTag>,
    /// From a restart of ours on.
    #[serde(skip)]
    pub(super) since: Mono,
    /// The car has left since: another may be plugged already.
    pub(super) unplugged: bool,
    /// It ended while we were not there.
    pub(super) found: Option<Found>,
}

/// How a transaction was found to have ended in our absence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Found {
    /// When its car was last seen.
    pub(super) seen: Timestamp,
    /// Its last register; `None` = the one that is read now is still its own.
    pub(super) register: Option<WattHours>,
}

/// A transaction of before our restart, until car and register were seen again.
#[derive(Debug)]
pub(super) struct Resumed {
    /// When its car was last seen.
    pub(super) seen: Timestamp,
    /// Its last register, where one is known.
    pub(super) register: Option<WattHours>,
}

/// What is known of car and driver.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) stage: Stage,
    /// `None` until it was seen.
    pub(super) plugged: Option<bool>,
    /// The device was restarted since a car was last seen.
    pub(super) restarted: bool,
    /// From a restart of ours on.
    resumed: Option<Resumed>,
    /// When the reservation ends, if there is one.
    pub(super) reserved_until: Option<Mono>,
    pub(super) asked_fixed: AskedFixed,
    pub(super) questions: Vec<(u64, Question)>,
    pub(super) next_call: u64,
    /// It was presented while the last register was awaited.
    pub(super) waiting_card: Option<(IdTag, Mono)>,
    /// The card reader showed something that is no id tag, and that was logged.
    pub(super) met_illegible: bool,
}

impl Session {
    pub(super) fn new(stage: Stage, resumed: Option<Resumed>) -> Self {
        Self {
            stage,
            plugged: None,
            restarted: false,
            resumed,
            reserved_until: None,
            asked_fixed: AskedFixed::No,
            questions: Vec::new(),
            next_call: 0,
            waiting_card: None,
            met_illegible: false,
        }
    }

    /// The running transaction, also while its last register is awaited.
    pub(super) fn transaction(&self) -> Option<&Transaction> {
        match &self.stage {
            Stage::Running(running) | Stage::Ending(running, _) => Some(&running.transaction),
            Stage::Free | Stage::Authorized(_) | Stage::Over => None,
        }
    }

    /// The car may have current, if the load manager offers some.
    pub(super) fn is_running(&self) -> bool {
        matches!(&self.stage, Stage::Running(running) if !running.refused)
    }

    /// Why the transaction ends that is over but for its last register.
    pub(super) fn ending(&self) -> Option<&Ending> {
        match &self.stage {
            Stage::Ending(_, ending) => Some(ending),
            Stage::Free | Stage::Authorized(_) | Stage::Running(_) | Stage::Over => None,
        }
    }

    /// Why a car is not there any more.
    fn why_gone(&self) -> StopReason {
        if self.restarted {
            StopReason::PowerLoss
        } else {
            StopReason::EVDisconnected
        }
    }

    /// Ends the running transaction as soon as its last register is read.
    pub(super) fn end(&mut self, now: Mono, reason: StopReason, tag: Option<IdTag>) {
        let ending = Ending {
            reason,
            tag,
            since: now,
            unplugged: false,
            found: None,
        };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Free) {
            Stage::Running(running) => Stage::Ending(running, ending),
            other => other,
        };
    }

    /// The car is gone. Why a transaction ends that was to end anyway is known.
    fn end_gone(&mut self, now: Mono, found: Option<Found>) {
        self.end(now, self.why_gone(), None);
        if let Stage::Ending(_, ending) = &mut self.stage {
            ending.unplugged = true;
            ending.found = ending.found.take().or(found);
        }
    }

    /// Nobody is there as far as is known.
    pub(super) fn leave(&mut self) -> Stage {
        self.plugged = None;
        self.resumed = None;
        self.asked_fixed = AskedFixed::No;
        self.waiting_card = None;
        std::mem::replace(&mut self.stage, Stage::Free)
    }

    /// What kept the fixed tag out may be over.
    pub(super) fn ask_fixed_again(&mut self) {
        self.asked_fixed = AskedFixed::No;
    }

    /// Who was refused without the backend is asked for again.
    pub(super) fn backend_is_back(&mut self) {
        if let AskedFixed::AgainAt(_) = self.asked_fixed {
            self.asked_fixed = AskedFixed::No;
        }
    }

    /// Nobody may charge.
    pub(super) fn is_free(&self) -> bool {
        matches!(self.stage, Stage::Free)
    }

    /// When time alone changes something: who is authorized has `patience` to plug in.
    pub(super) fn poll_timeout(&self, patience: Duration) -> Option<Mono> {
        let gives_up = match &self.stage {
            Stage::Authorized(authorized) if self.plugged != Some(true) => {
                Some(authorized.since + patience)
            }
            Stage::Authorized(_)
            | Stage::Free
            | Stage::Running(_)
            | Stage::Ending(..)
            | Stage::Over => None,
        };
        [gives_up, self.reserved_until].into_iter().flatten().min()
    }
}

impl ChargePoint {
    /// A poll says whether a car is plugged; `None` where that cannot be told.
    pub(super) fn see_plug(&mut self, now: Mono, plugged: Option<bool>) {
        let Some(plugged) = plugged else { return };
        let session = &mut self.session;
        let before = session.plugged.replace(plugged);
        if plugged {
            session.restarted &= session.resumed.is_some();
            return;
        }
        session.asked_fixed = AskedFixed::No;
        session
            .questions
            .retain(|(_, question)| !matches!(question, Question::Fixed(_)));
        // A car that was seen since our restart has left just now.
        let resumed = session.resumed.take().filter(|_| before.is_none());
        match session.stage {
            Stage::Running(_) | Stage::Ending(..) => {
                let found = resumed.map(|resumed| Found {
                    seen: resumed.seen,
                    register: None,
                });
                session.end_gone(now, found);
            }
            Stage::Over => session.stage = Stage::Free,
            Stage::Authorized(_) if before == Some(true) => session.stage = Stage::Free,
            Stage::Free | Stage::Authorized(_) => {}
        }
    }

    /// After a restart of ours: a transaction goes on if car and register are those of before.
    fn step_resumed(&mut self, now: Mono) {
        let Some(resumed) = &self.session.resumed else {
            return;
        };
        if self.session.transaction().is_none() {
            self.session.resumed = None;
            return;
        }
        if self.session.plugged != Some(true) || self.image.is_none() {
            return;
        }
        let measured = self.plan.meter != Metering::None;
        if measured && !self.energy.is_settled(self.polling.arrived()) {
            return;
        }
        let agrees = !measured || self.energy.goes_on_from(resumed.register);
        let found = Found {
            seen: resumed.seen,
            register: resumed.register,
        };
        self.session.resumed = None;
        if !agrees {
            warn!(evse = %self.plan.evse, "the energy register is not that of the open transaction: it ends, and the car begins its own");
            self.energy.begin_anew();
            self.session.end_gone(now, Some(found));
        }
        self.session.restarted = false;
    }

    /// The backend vouches for the tag of its remote start.
    pub(super) fn authorize_remote(&mut self, now: Mono, tag: IdTag) {
        self.authorize(now, Some(tag), None);
    }

    pub(super) fn authorize(&mut self, now: Mono, tag: Option<IdTag>, parent: Option<IdTag>) {
        self.session.stage = Stage::Authorized(Authorized {
            tag,
            parent,
            since: now,
        });
    }

    /// Lets the session go on as far as it can now.
    pub(super) fn step_session(&mut self, context: &mut Context<'_>) {
        let now = context.now.mono;
        self.step_reservation(context.now);
        self.step_availability();
        self.step_resumed(now);
        self.step_refusal(now);
        if self.session.is_free() {
            self.let_in(now);
        }
        match std::mem::replace(&mut self.session.stage, Stage::Free) {
            Stage::Authorized(authorized) if self.may_begin(now, &authorized) => {
                self.begin(context, authorized);
            }
            Stage::Authorized(authorized) if self.gives_up(now, &authorized) => {
                info!(evse = %self.plan.evse, "nobody plugged a car in time: the authorization is forgotten");
                self.session.ask_fixed_again();
            }
            Stage::Ending(running, ending) if self.may_end(now, &ending) => {
                if !ending.unplugged {
                    self.session.stage = Stage::Over;
                }
                self.close(context.now, running, ending);
                self.take_waiting_card(now);
            }
            stage => self.session.stage = stage,
        }
        self.tell_whole(context.now);
    }

    /// A car is plugged: who may charge without a card?
    fn let_in(&mut self, now: Mono) {
        let here = self.session.plugged == Some(true) && self.image.is_some();
        if !here || self.plan.is_passive() || !self.is_operative() {
            return;
        }
        let Some(tag) = self.plan.fixed_id_tag.clone() else {
            if self.plan.open {
                self.authorize(now, None, None);
            }
            return;
        };
        self.ask_fixed(now, tag);
    }

    /// Nobody came with a car, or what came of it cannot be seen.
    fn gives_up(&self, now: Mono, authorized: &Authorized) -> bool {
        let here = self.session.plugged == Some(true) && self.polling.is_online();
        !here && now.since(authorized.since) >= self.conduct.connection_time_out
    }

    fn may_begin(&self, now: Mono, authorized: &Authorized) -> bool {
        let here = self.session.plugged == Some(true) && self.image.is_some();
        here && self.register_is_known(now, now - FRESH, authorized.since)
    }

    fn may_end(&self, now: Mono, ending: &Ending) -> bool {
        self.register_is_known(now, ending.since, ending.since)
    }

    /// The register was read at `read` or later, or the device has been there for long enough
    /// without a good one. While it is away, what is over stays open: it is billed by what is found
    /// afterwards.
    fn register_is_known(&self, now: Mono, read: Mono, waits_since: Mono) -> bool {
        let waits_since = waits_since.max(self.polling.arrived());
        self.plan.meter == Metering::None
            || self.energy.is_settled(read)
            || (self.image.is_some() && now.since(waits_since) >= REGISTER_WITHIN)
    }
}
