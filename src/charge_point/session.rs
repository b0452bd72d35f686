//! From plug to unplug: who may charge, and when a transaction begins and ends.

use std::time::Duration;

use jiff::Timestamp;
use tracing::{debug, info, warn};

use crate::clock::Mono;
use crate::evse::{Ask, AuthorizationStatus, Call, Reply, Verdict};
use crate::ids::{IdTag, TransactionNumber};
use crate::journal::Transaction;
use crate::ocpp::messages::{self, Authorize, StopReason};
use crate::units::WattHours;

use super::charge_point::{ChargePoint, Context, Output};
use super::plan::Metering;

/// The backend may be back, and allow what was refused without it.
const ASKS_FIXED_AGAIN_AFTER: Duration = Duration::from_mins(5);

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

/// Why a transaction ends, and who ends it.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) reason: StopReason,
    pub(super) tag: Option<IdTag>,
    pub(super) since: Mono,
    /// The car has left since: another may be plugged already.
    unplugged: bool,
    /// It ended while we were not there.
    pub(super) found: Option<Found>,
}

/// How a transaction was found to have ended in our absence.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What the upstream was asked.
#[derive(Debug)]
enum Question {
    /// May the fixed tag charge?
    Fixed(IdTag),
    /// May this card?
    Card(IdTag),
    /// May the tag of a remote start?
    Remote(IdTag),
    /// A transaction was begun.
    Start,
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
    asked_fixed: Asked,
    questions: Vec<(u64, Question)>,
    next_call: u64,
}

/// Whether the fixed tag was asked for since the car was plugged.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// It will be.
    No,
    /// Once is enough.
    Yes,
    /// The backend was away: again from then on.
    AgainAt(Mono),
}

impl Session {
    pub(super) fn new(stage: Stage, resumed: Option<Resumed>) -> Self {
        Self {
            stage,
            plugged: None,
            restarted: false,
            resumed,
            reserved_until: None,
            asked_fixed: Asked::No,
            questions: Vec::new(),
            next_call: 0,
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
        self.end_with(Ending {
            reason,
            tag,
            since: now,
            unplugged: false,
            found: None,
        });
    }

    fn end_with(&mut self, ending: Ending) {
        self.stage = match std::mem::replace(&mut self.stage, Stage::Free) {
            Stage::Running(running) => Stage::Ending(running, ending),
            other => other,
        };
    }

    /// Nobody is there as far as is known.
    pub(super) fn leave(&mut self) -> Stage {
        self.plugged = None;
        self.resumed = None;
        self.asked_fixed = Asked::No;
        std::mem::replace(&mut self.stage, Stage::Free)
    }

    /// What kept the fixed tag out may be over.
    pub(super) fn ask_fixed_again(&mut self) {
        self.asked_fixed = Asked::No;
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
        session.asked_fixed = Asked::No;
        session
            .questions
            .retain(|(_, question)| !matches!(question, Question::Fixed(_)));
        // A car that was seen since our restart has left just now.
        let resumed = session.resumed.take().filter(|_| before.is_none());
        match session.stage {
            Stage::Running(_) => session.end_with(Ending {
                reason: session.why_gone(),
                tag: None,
                since: now,
                unplugged: true,
                found: resumed.map(|resumed| Found {
                    seen: resumed.seen,
                    register: None,
                }),
            }),
            Stage::Over => session.stage = Stage::Free,
            Stage::Authorized(_) if before == Some(true) => session.stage = Stage::Free,
            Stage::Free | Stage::Authorized(_) | Stage::Ending(..) => {}
        }
        if let Stage::Ending(_, ending) = &mut session.stage {
            ending.unplugged = true;
        }
    }

    /// A card was presented. The card that began a transaction ends it without further questions,
    /// the one that is to begin it takes that back.
    pub(super) fn present(&mut self, now: Mono, tag: IdTag) {
        info!(evse = %self.plan.evse, id_tag = tag.masked(), "a card was presented");
        match &self.session.stage {
            Stage::Running(running) => match &running.transaction.id_tag {
                Some(own) if *own == tag => self.session.end(now, StopReason::Local, Some(tag)),
                Some(_) => self.ask(ask_authorize(&tag), Question::Card(tag)),
                // Nobody's transaction is nobody's to end.
                None => {}
            },
            Stage::Authorized(authorized) if authorized.tag.as_ref() == Some(&tag) => {
                // Once a car is plugged the transaction is about to begin.
                if self.session.plugged != Some(true) {
                    info!(evse = %self.plan.evse, "the card takes its authorization back");
                    self.session.stage = Stage::Free;
                }
            }
            Stage::Free | Stage::Authorized(_) | Stage::Over => {
                if self.could_be_welcome(&tag) {
                    self.ask(ask_authorize(&tag), Question::Card(tag));
                }
            }
            Stage::Ending(..) => {}
        }
    }

    /// Asks whether the tag of a remote start may charge, as if it were a card.
    pub(super) fn ask_remote(&mut self, tag: IdTag) {
        self.ask(ask_authorize(&tag), Question::Remote(tag));
    }

    /// The backend vouches for the tag of its remote start.
    pub(super) fn authorize_remote(&mut self, now: Mono, tag: IdTag) {
        self.authorize(now, Some(tag), None);
    }

    /// Asks whether the tag of a transaction that was begun may charge.
    pub(super) fn ask_start(&mut self, tag: IdTag, transaction: TransactionNumber) {
        self.ask(Ask::Start { tag, transaction }, Question::Start);
    }

    fn ask(&mut self, ask: Ask, question: Question) {
        let session = &mut self.session;
        if let Question::Card(_) | Question::Remote(_) = question {
            // Only who came last counts.
            session.questions.retain(|(_, question)| {
                !matches!(question, Question::Card(_) | Question::Remote(_))
            });
        }
        session.next_call += 1;
        let id = session.next_call;
        session.questions.push((id, question));
        self.output(Output::Call(Call {
            id,
            evses: vec![self.plan.evse.clone()],
            ask,
        }));
    }

    /// The upstream answers.
    pub(super) fn take_reply(&mut self, now: Mono, id: u64, reply: &Reply) {
        let questions = &mut self.session.questions;
        let Some(place) = questions.iter().position(|(call, _)| *call == id) else {
            return;
        };
        let (_, question) = questions.swap_remove(place);
        let verdict = reply.verdict();
        let accepted = verdict.status == AuthorizationStatus::Accepted;
        let unheard = self.plan.backend && matches!(reply, Reply::Verdict(_));
        if let (Question::Fixed(_), false, true) = (&question, accepted, unheard) {
            self.session.asked_fixed = Asked::AgainAt(now + ASKS_FIXED_AGAIN_AFTER);
        }
        match question {
            Question::Start => self.take_start(now, accepted, &verdict),
            Question::Fixed(tag) | Question::Card(tag) | Question::Remote(tag) if !accepted => {
                let status = verdict.status.as_str();
                warn!(evse = %self.plan.evse, id_tag = tag.masked(), status, "the tag may not charge here");
            }
            Question::Fixed(tag) => {
                if let (Stage::Free, Some(true)) = (&self.session.stage, self.session.plugged) {
                    self.admit(now, tag, verdict.parent);
                }
            }
            Question::Card(tag) => self.take_card(now, tag, verdict.parent),
            Question::Remote(tag) => match self.session.stage {
                Stage::Free | Stage::Authorized(_) | Stage::Over => {
                    self.admit(now, tag, verdict.parent);
                }
                Stage::Running(_) | Stage::Ending(..) => {}
            },
        }
    }

    /// Its upstream says yes; whether it is its turn is another matter.
    fn admit(&mut self, now: Mono, tag: IdTag, parent: Option<IdTag>) {
        if self.is_welcome(&tag, parent.as_ref()) {
            self.authorize(now, Some(tag), parent);
        }
    }

    fn take_card(&mut self, now: Mono, tag: IdTag, parent: Option<IdTag>) {
        match &self.session.stage {
            Stage::Free | Stage::Authorized(_) | Stage::Over => self.admit(now, tag, parent),
            Stage::Running(running) if parent.is_some() && running.parent == parent => {
                self.session.end(now, StopReason::Local, Some(tag));
            }
            Stage::Running(_) | Stage::Ending(..) => {
                debug!(evse = %self.plan.evse, "another card ends no transaction");
            }
        }
    }

    fn take_start(&mut self, now: Mono, accepted: bool, verdict: &Verdict) {
        let Stage::Running(running) = &mut self.session.stage else {
            return;
        };
        if accepted {
            running.parent = verdict.parent.clone().or(running.parent.take());
            return;
        }
        let status = verdict.status.as_str();
        warn!(evse = %self.plan.evse, status, "the tag of the running transaction may not charge here");
        self.refuse(now, self.conduct.stop_on_invalid);
    }

    /// After a restart of ours: a transaction goes on if car and register are those of before.
    fn step_resumed(&mut self, now: Mono) {
        let Some(resumed) = &self.session.resumed else {
            return;
        };
        let Stage::Running(_) = self.session.stage else {
            self.session.resumed = None;
            return;
        };
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
            self.session.end_with(Ending {
                reason: self.session.why_gone(),
                tag: None,
                since: now,
                unplugged: true,
                found: Some(found),
            });
        }
        self.session.restarted = false;
    }

    fn authorize(&mut self, now: Mono, tag: Option<IdTag>, parent: Option<IdTag>) {
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
        if matches!(self.session.stage, Stage::Free) {
            self.let_in(now);
        }
        match std::mem::replace(&mut self.session.stage, Stage::Free) {
            Stage::Authorized(authorized) if self.may_begin(now, &authorized) => {
                self.begin(context, authorized);
            }
            Stage::Authorized(authorized) if self.gives_up(now, &authorized) => {
                info!(evse = %self.plan.evse, "nobody plugged a car in time: the authorization is forgotten");
            }
            Stage::Ending(running, ending) if self.may_end(now, &ending) => {
                if !ending.unplugged {
                    self.session.stage = Stage::Over;
                }
                self.close(context.now, running, ending);
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
        let asks = match self.session.asked_fixed {
            Asked::No => true,
            Asked::Yes => false,
            Asked::AgainAt(at) => now >= at,
        };
        if asks {
            self.session.asked_fixed = Asked::Yes;
            if self.could_be_welcome(&tag) {
                self.ask(ask_authorize(&tag), Question::Fixed(tag));
            }
        }
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

fn ask_authorize(tag: &IdTag) -> Ask {
    let request = Authorize {
        id_tag: tag.clone(),
    };
    Ask::Authorize {
        tag: tag.clone(),
        payload: messages::write(&request),
    }
}
