//! From plug to unplug: who may charge, and when a transaction begins and ends.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::clock::Mono;
use crate::evse::{Ask, AuthorizationStatus, Call, Deauthorize, Verdict};
use crate::ids::{IdTag, TransactionNumber};
use crate::journal::Transaction;
use crate::ocpp::messages::{self, Authorize, StopReason};

use super::charge_point::{ChargePoint, Context, Output};
use super::plan::Metering;

/// Who was authorized has this long to plug in.
const PLUGS_WITHIN: Duration = Duration::from_mins(1);

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
    since: Mono,
    /// The car has left since: another may be plugged already.
    unplugged: bool,
}

/// What the upstream was asked.
#[derive(Debug)]
enum Question {
    /// May the fixed tag charge?
    Fixed(IdTag),
    /// May this card?
    Card(IdTag),
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
    /// The fixed tag was asked for since the car was plugged.
    asked_fixed: bool,
    questions: Vec<(u64, Question)>,
    next_call: u64,
}

impl Session {
    pub(super) fn new(stage: Stage) -> Self {
        Self {
            stage,
            plugged: None,
            restarted: false,
            asked_fixed: false,
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

    /// Ends the running transaction as soon as its last register is read.
    pub(super) fn end(&mut self, now: Mono, reason: StopReason, tag: Option<IdTag>) {
        let ending = Ending {
            reason,
            tag,
            since: now,
            unplugged: false,
        };
        self.stage = match std::mem::replace(&mut self.stage, Stage::Free) {
            Stage::Running(running) => Stage::Ending(running, ending),
            other => other,
        };
    }

    /// Nobody is there as far as is known.
    pub(super) fn leave(&mut self) -> Stage {
        self.plugged = None;
        self.asked_fixed = false;
        std::mem::replace(&mut self.stage, Stage::Free)
    }

    /// When time alone changes something.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        match &self.stage {
            Stage::Authorized(authorized) => Some(authorized.since + PLUGS_WITHIN),
            Stage::Free | Stage::Running(_) | Stage::Ending(..) | Stage::Over => None,
        }
    }
}

impl ChargePoint {
    /// A poll says whether a car is plugged; `None` where that cannot be told.
    pub(super) fn see_plug(&mut self, now: Mono, plugged: Option<bool>) {
        let Some(plugged) = plugged else { return };
        let session = &mut self.session;
        let before = session.plugged.replace(plugged);
        if plugged {
            session.restarted = false;
            return;
        }
        session.asked_fixed = false;
        session
            .questions
            .retain(|(_, question)| !matches!(question, Question::Fixed(_)));
        match session.stage {
            Stage::Running(_) => {
                let reason = if session.restarted {
                    StopReason::PowerLoss
                } else {
                    StopReason::EVDisconnected
                };
                session.end(now, reason, None);
            }
            Stage::Over => session.stage = Stage::Free,
            Stage::Authorized(_) if before == Some(true) => session.stage = Stage::Free,
            Stage::Free | Stage::Authorized(_) | Stage::Ending(..) => {}
        }
        if let Stage::Ending(_, ending) = &mut session.stage {
            ending.unplugged = true;
        }
    }

    /// A card was presented. The card that began a transaction ends it without further questions.
    pub(super) fn present(&mut self, now: Mono, tag: IdTag) {
        info!(evse = %self.plan.evse, id_tag = tag.masked(), "a card was presented");
        match &self.session.stage {
            Stage::Running(running) => match &running.transaction.id_tag {
                Some(own) if *own == tag => self.session.end(now, StopReason::Local, Some(tag)),
                Some(_) => self.ask(ask_authorize(&tag), Question::Card(tag)),
                // Nobody's transaction is nobody's to end.
                None => {}
            },
            Stage::Free | Stage::Authorized(_) | Stage::Over => {
                self.ask(ask_authorize(&tag), Question::Card(tag));
            }
            Stage::Ending(..) => {}
        }
    }

    /// Asks whether the tag of a transaction that was begun may charge.
    pub(super) fn ask_start(&mut self, tag: IdTag, transaction: TransactionNumber) {
        self.ask(Ask::Start { tag, transaction }, Question::Start);
    }

    fn ask(&mut self, ask: Ask, question: Question) {
        let session = &mut self.session;
        if let Question::Card(_) = question {
            // Only the newest card counts.
            session
                .questions
                .retain(|(_, question)| !matches!(question, Question::Card(_)));
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
    pub(super) fn take_verdict(&mut self, now: Mono, id: u64, verdict: &Verdict) {
        let questions = &mut self.session.questions;
        let Some(place) = questions.iter().position(|(call, _)| *call == id) else {
            return;
        };
        let (_, question) = questions.swap_remove(place);
        let accepted = verdict.status == AuthorizationStatus::Accepted;
        match question {
            Question::Fixed(tag) | Question::Card(tag) if !accepted => {
                let status = verdict.status.as_str();
                warn!(evse = %self.plan.evse, id_tag = tag.masked(), status, "the tag may not charge here");
            }
            Question::Fixed(tag) => {
                if let (Stage::Free, Some(true)) = (&self.session.stage, self.session.plugged) {
                    self.authorize(now, Some(tag), verdict.parent.clone());
                }
            }
            Question::Card(tag) => self.take_card(now, tag, verdict.parent.as_ref()),
            Question::Start => self.take_start(now, accepted, verdict),
        }
    }

    fn take_card(&mut self, now: Mono, tag: IdTag, parent: Option<&IdTag>) {
        match &self.session.stage {
            Stage::Free | Stage::Authorized(_) | Stage::Over => {
                self.authorize(now, Some(tag), parent.cloned());
            }
            Stage::Running(running) if parent.is_some() && running.parent.as_ref() == parent => {
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
        self.session.end(now, StopReason::DeAuthorized, None);
    }

    /// A late no of the backend ends the transaction, or leaves it open without current.
    pub(super) fn deauthorize(&mut self, now: Mono, said: &Deauthorize) {
        let Stage::Running(running) = &mut self.session.stage else {
            return;
        };
        if running.transaction.number != said.transaction {
            return;
        }
        let stop = said.stop;
        warn!(evse = %self.plan.evse, stop, "a backend refuses a transaction that was allowed before");
        running.refused = true;
        if stop {
            self.session.end(now, StopReason::DeAuthorized, None);
        }
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
        if matches!(self.session.stage, Stage::Free) {
            self.let_in(now);
        }
        match std::mem::replace(&mut self.session.stage, Stage::Free) {
            Stage::Authorized(authorized) if self.may_begin(now, &authorized) => {
                self.begin(context, authorized);
            }
            Stage::Authorized(authorized) if now.since(authorized.since) >= PLUGS_WITHIN => {
                info!(evse = %self.plan.evse, "nobody plugged a car in time: the card is forgotten");
            }
            Stage::Ending(running, ending) if self.may_end(now, &ending) => {
                if !ending.unplugged {
                    self.session.stage = Stage::Over;
                }
                self.close(context.now, running, ending);
            }
            stage => self.session.stage = stage,
        }
    }

    /// A car is plugged: who may charge without a card?
    fn let_in(&mut self, now: Mono) {
        let here = self.session.plugged == Some(true) && self.image.is_some();
        if !here || self.plan.is_passive() {
            return;
        }
        match self.plan.fixed_id_tag.clone() {
            Some(_) if self.session.asked_fixed => {}
            Some(tag) => {
                self.session.asked_fixed = true;
                self.ask(ask_authorize(&tag), Question::Fixed(tag));
            }
            None if self.plan.open => self.authorize(now, None, None),
            None => {}
        }
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
