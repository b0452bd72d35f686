//! Whose tag is asked for, and what the answers change.

use std::time::Duration;

use tracing::{debug, info, warn};

use crate::clock::Mono;
use crate::evse::{Ask, AuthorizationStatus, Call, Reply, Verdict};
use crate::ids::{IdTag, TransactionNumber};
use crate::ocpp::messages::{self, Authorize, StopReason};

use super::charge_point::{ChargePoint, Output};
use super::session::Stage;

/// The backend may be back, and allow what was refused without it.
const ASKS_FIXED_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// What the upstream was asked.
#[derive(Debug)]
pub(super) enum Question {
    /// May the fixed tag charge?
    Fixed(IdTag),
    /// May this card? It was presented in this transaction, if one ran.
    Card(IdTag, Option<TransactionNumber>),
    /// May the tag of a remote start?
    Remote(IdTag),
    /// This transaction was begun.
    Start(TransactionNumber),
}

impl Question {
    /// Somebody wants to charge now: of several, who came last does.
    fn is_of_a_person(&self) -> bool {
        matches!(self, Self::Card(..) | Self::Remote(_))
    }
}

/// Whether the fixed tag was asked for since the car was plugged.
#[derive(Debug, Clone, Copy)]
pub(super) enum AskedFixed {
    /// It will be.
    No,
    /// Once is enough.
    Yes,
    /// The backend was away: again when it is back, or from then on.
    AgainAt(Mono),
}

impl ChargePoint {
    /// A card was presented. The card that began a transaction ends it without further questions,
    /// the one that is to begin it takes that back.
    pub(super) fn present(&mut self, now: Mono, tag: IdTag) {
        if !is_printable(&tag) {
            if !std::mem::replace(&mut self.session.met_illegible, true) {
                warn!(evse = %self.plan.evse, "the card reader shows something that is no id tag: nobody is asked about it");
            }
            return;
        }
        info!(evse = %self.plan.evse, id_tag = tag.masked(), "a card was presented");
        self.take_presented(now, tag);
    }

    fn take_presented(&mut self, now: Mono, tag: IdTag) {
        match &self.session.stage {
            Stage::Running(running) => match &running.transaction.id_tag {
                Some(own) if *own == tag => self.session.end(now, StopReason::Local, Some(tag)),
                Some(_) => {
                    let during = Some(running.transaction.number);
                    self.ask(ask_authorize(&tag), Question::Card(tag, during));
                }
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
                    self.ask(ask_authorize(&tag), Question::Card(tag, None));
                }
            }
            Stage::Ending(running, ending) => {
                let tags = [&running.transaction.id_tag, &ending.tag];
                let again = !ending.unplugged && tags.into_iter().flatten().any(|it| *it == tag);
                if !again {
                    self.session.waiting_card = Some((tag, now));
                }
            }
        }
    }

    /// The turn of the card that was presented while the last register was awaited.
    pub(super) fn take_waiting_card(&mut self, now: Mono) {
        let patience = self.conduct.connection_time_out;
        let card = self.session.waiting_card.take();
        if let Some((tag, _)) = card.filter(|(_, at)| now.since(*at) < patience) {
            self.take_presented(now, tag);
        }
    }

    /// Asks whether the tag of a remote start may charge, as if it were a card.
    pub(super) fn ask_remote(&mut self, tag: IdTag) {
        self.ask(ask_authorize(&tag), Question::Remote(tag));
    }

    /// Asks whether the fixed tag may charge, if that is not known.
    pub(super) fn ask_fixed(&mut self, now: Mono, tag: IdTag) {
        let due = match self.session.asked_fixed {
            AskedFixed::No => true,
            AskedFixed::Yes => false,
            AskedFixed::AgainAt(at) => now >= at,
        };
        let mut questions = self.session.questions.iter();
        if !due || questions.any(|(_, question)| matches!(question, Question::Fixed(_))) {
            return;
        }
        self.session.asked_fixed = AskedFixed::Yes;
        if self.could_be_welcome(&tag) {
            self.ask(ask_authorize(&tag), Question::Fixed(tag));
        }
    }

    /// Asks whether the tag of a transaction that was begun may charge.
    pub(super) fn ask_start(&mut self, tag: IdTag, transaction: TransactionNumber) {
        let question = Question::Start(transaction);
        self.ask(Ask::Start { tag, transaction }, question);
    }

    fn ask(&mut self, ask: Ask, question: Question) {
        let session = &mut self.session;
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
            self.session.asked_fixed = AskedFixed::AgainAt(now + ASKS_FIXED_AGAIN_AFTER);
        }
        match question {
            Question::Start(number) => self.take_start(now, number, accepted, &verdict),
            Question::Fixed(tag) | Question::Card(tag, _) | Question::Remote(tag) if !accepted => {
                let status = verdict.status.as_str();
                warn!(evse = %self.plan.evse, id_tag = tag.masked(), status, "the tag may not charge here");
            }
            Question::Fixed(tag) => self.take_fixed(now, tag, verdict.parent),
            Question::Card(tag, during) => {
                self.take_person(now, id, tag, during, verdict.parent);
            }
            Question::Remote(tag) => self.take_person(now, id, tag, None, verdict.parent),
        }
    }

    /// A yes that cannot be used now is asked for again: it does not hold for ever.
    fn take_fixed(&mut self, now: Mono, tag: IdTag, parent: Option<IdTag>) {
        let here = self.session.plugged == Some(true);
        let admitted = self.session.is_free() && here && self.admit(now, tag, parent);
        // The end of a reservation is looked after there.
        if !admitted && self.session.is_free() && !self.is_reserved() {
            self.session.ask_fixed_again();
        }
    }

    /// Its upstream says yes; whether it is its turn is another matter.
    fn admit(&mut self, now: Mono, tag: IdTag, parent: Option<IdTag>) -> bool {
        let welcome = self.is_welcome(&tag, parent.as_ref());
        if welcome {
            self.authorize(now, Some(tag), parent);
        }
        welcome
    }

    /// Who wants to charge may; a card ends only the transaction that it was presented in.
    fn take_person(
        &mut self,
        now: Mono,
        id: u64,
        tag: IdTag,
        during: Option<TransactionNumber>,
        parent: Option<IdTag>,
    ) {
        match &self.session.stage {
            Stage::Free | Stage::Authorized(_) | Stage::Over => {
                if self.admit(now, tag, parent) {
                    let questions = &mut self.session.questions;
                    questions.retain(|(call, other)| *call > id || !other.is_of_a_person());
                }
            }
            Stage::Running(running)
                if during == Some(running.transaction.number)
                    && parent.is_some()
                    && running.parent == parent =>
            {
                self.session.end(now, StopReason::Local, Some(tag));
            }
            Stage::Running(_) | Stage::Ending(..) => {
                debug!(evse = %self.plan.evse, "another card ends no transaction");
            }
        }
    }

    /// The answer may come when another transaction runs.
    fn take_start(
        &mut self,
        now: Mono,
        number: TransactionNumber,
        accepted: bool,
        verdict: &Verdict,
    ) {
        let Stage::Running(running) = &mut self.session.stage else {
            return;
        };
        if running.transaction.number != number {
            return;
        }
        if accepted {
            running.parent = verdict.parent.clone().or(running.parent.take());
            return;
        }
        let status = verdict.status.as_str();
        warn!(evse = %self.plan.evse, status, "the tag of the running transaction may not charge here");
        self.refuse(now, self.conduct.stop_on_invalid);
    }
}

/// An id tag is a text that can be sent (OCPP 1.6 `IdToken`): a reader that shows something else
/// has misread.
fn is_printable(tag: &IdTag) -> bool {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    tag.as_str().bytes().all(printable)
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
