//! [`ChargePoint`]: a wallbox behind Modbus registers.

use std::collections::VecDeque;

use crate::clock::{Mono, Now, Random};
use crate::evse::{
    Call, Conduct, Deauthorize, Limit, Measured, Notice, Offer, Order, Outcome, Reason, Reply,
    Report,
};
use crate::ids::OfferNumber;
use crate::journal::{Entry, Record, Recovered, Transaction, TransactionNumbers};
use crate::modbus::power_brain::{Block, Defaults, Poll, Write};
use crate::modbus::{Answer, Request};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::messages;
use crate::units::MilliAmps;

use super::card_reader::CardReader;
use super::energy::EnergyRegister;
use super::fail_safe::{self, FailSafe};
use super::meter_watch::MeterWatch;
use super::plan::{ChargePointPlan, Metering};
use super::polling::Polling;
use super::sampling::Sampling;
use super::session::{Session, Stage};
use super::setpoint::{Setpoint, Wanted};
use super::telling::Told;
use super::transacting::{self, Memory};
use super::wake_up::WakeUp;

/// What a charge point needs from outside while it handles something.
#[derive(Debug)]
pub struct Context<'a> {
    /// When it is.
    pub now: Now,
    /// For jitter.
    pub random: &'a mut Random,
    /// For transactions.
    pub numbers: &'a mut TransactionNumbers,
    /// Every record that it rests on is on disk: what raises a current may be written.
    pub may_raise: bool,
}

/// What a charge point wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Keep this before anything that raises leaves.
    Persist(Record),
    /// Ask the device; never a second time before the answer to the first.
    Ask(Request),
    /// Tell the load manager and the status.
    Report(Report),
    /// Ask the upstream.
    Call(Call),
    /// Keep this message, for its backend if it has one.
    File {
        /// The message.
        entry: Entry,
        /// The transaction as it stands by it: neither is kept without the other.
        with: Vec<Record>,
    },
    /// Its backend should hear this.
    Notice(Notice),
    /// An order was carried out, or not.
    Done {
        /// The number of the order.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
}

/// What the status shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// It answers.
    pub online: bool,
    /// As an OCPP wallbox would say it.
    pub status: Option<ChargePointStatus>,
    /// The running transaction.
    pub transaction: Option<&'a Transaction>,
    /// What was measured last.
    pub measured: Measured,
    /// What a person should look at, in one sentence.
    pub complaint: Option<&'a str>,
}

/// What the device was asked and has not answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Asked {
    /// What it may draw at most, before anything else is said.
    Greeting,
    Read(Block),
    Write(Write),
}

/// A wallbox behind Modbus registers.
#[derive(Debug)]
pub struct ChargePoint {
    pub(super) plan: ChargePointPlan,
    /// What its backend set.
    pub(super) conduct: Conduct,
    pub(super) polling: Polling,
    asked: Option<Asked>,
    /// It took the first word of this contact.
    pub(super) greeted: bool,
    /// Its registers, as they were read or written last on this connection.
    pub(super) image: Option<Poll>,
    /// The first part of a poll in two parts.
    pub(super) outputs_read: Option<Vec<u16>>,
    pub(super) defaults: Option<Defaults>,
    pub(super) meter: MeterWatch,
    /// It was away, and its plug has not been seen since.
    pub(super) unwatched: bool,
    /// Why it is not there, as it was logged.
    pub(super) complaints: Vec<String>,
    /// Another device answers than before.
    pub(super) stranger: Option<String>,
    /// Its registers changed without us, and that was logged.
    pub(super) meddled: bool,
    pub(super) setpoint: Setpoint,
    pub(super) fail_safe: FailSafe,
    pub(super) wake_up: WakeUp,
    pub(super) cards: CardReader,
    pub(super) energy: EnergyRegister,
    pub(super) session: Session,
    pub(super) memory: Memory,
    pub(super) measured: Measured,
    pub(super) measured_at: Option<Mono>,
    pub(super) sampling: Sampling,
    pub(super) told: Told,
    /// How its backend thinks that the charge point as a whole stands.
    pub(super) told_whole: ChargePointStatus,
    outputs: VecDeque<Output>,
}

impl ChargePoint {
    /// Goes on with the transaction that was open before the restart.
    pub fn new(now: Now, plan: ChargePointPlan, recovered: &Recovered) -> Self {
        let mut memory = Memory::recover(&plan, recovered);
        let transaction = transacting::recover(&plan, recovered);
        if transaction.is_some() {
            // What it used up may not have reached the disk with it.
            memory.known.reservation = None;
        } else {
            memory.known.refusal = None;
            memory.known.ending = None;
        }
        let resumed = transaction
            .as_ref()
            .map(|it| transacting::resumed(&memory, it));
        let meter_start = transaction.as_ref().and_then(|it| it.meter_start);
        let judged = transaction
            .as_ref()
            .filter(|_| memory.known.refusal.is_none() && memory.known.ending.is_none())
            .and_then(|it| Some((it.id_tag.clone()?, it.number)));
        let sampling = Sampling::new(now, transaction.as_ref());
        let stage = match transaction {
            Some(transaction) => transacting::stage(now.mono, &memory, transaction),
            None if memory.known.over => Stage::Over,
            None => Stage::Free,
        };
        let mut charge_point = Self {
            polling: Polling::new(now.mono),
            asked: None,
            greeted: false,
            image: None,
            outputs_read: None,
            defaults: None,
            meter: MeterWatch::default(),
            unwatched: false,
            complaints: Vec::new(),
            stranger: None,
            meddled: false,
            setpoint: Setpoint::new(),
            fail_safe: FailSafe::default(),
            wake_up: WakeUp::default(),
            cards: CardReader::default(),
            energy: EnergyRegister::new(
                memory.known.register.max(meter_start),
                memory.known.offsets.clone(),
            ),
            session: Session::new(stage, resumed),
            memory,
            measured: Measured::default(),
            measured_at: None,
            sampling,
            told: Told::default(),
            told_whole: ChargePointStatus::Available,
            outputs: VecDeque::new(),
            conduct: Conduct::default(),
            plan,
        };
        if charge_point.plan.observe && charge_point.plan.backend {
            charge_point.limit_to(None);
        }
        if let Some((tag, number)) = judged {
            // The list may have changed.
            charge_point.ask_start(tag, number);
        }
        charge_point.tell(now);
        charge_point
    }

    /// What it was told by the configuration.
    pub fn plan(&self) -> &ChargePointPlan {
        &self.plan
    }

    /// The device answered, or did not.
    pub fn handle_answer(&mut self, context: &mut Context<'_>, answer: Answer) {
        if let Some(asked) = self.asked.take() {
            self.take_answer(context, asked, answer);
        }
        self.go_on(context);
    }

    /// Another meter measured it ([`super::plan::Metering::Other`]).
    pub fn handle_measured(&mut self, context: &mut Context<'_>, measured: Measured) {
        if self.plan.meter == Metering::Other {
            let running = self.session.transaction().is_some();
            self.energy.read(context.now.mono, measured.energy, running);
            self.tell_measured(context.now.mono, measured);
        }
        self.go_on(context);
    }

    /// The load manager allows this from now on.
    pub fn handle_offer(&mut self, context: &mut Context<'_>, offer: Offer) {
        if !self.plan.observe {
            self.setpoint.offer(offer);
            self.tell_took(true);
        }
        self.go_on(context);
    }

    /// The measured current says that the offer is not followed.
    pub fn handle_not_followed(&mut self, context: &mut Context<'_>, offer: OfferNumber) {
        self.setpoint.not_followed(offer);
        self.go_on(context);
    }

    /// The upstream answers a call.
    pub fn handle_reply(&mut self, context: &mut Context<'_>, id: u64, reply: &Reply) {
        self.take_reply(context.now.mono, id, reply);
        self.go_on(context);
    }

    /// The backend changed how it behaves.
    pub fn handle_conduct(&mut self, context: &mut Context<'_>, conduct: Conduct) {
        self.conduct = conduct;
        self.go_on(context);
    }

    /// The backend can be asked from now on.
    pub fn handle_reachable(&mut self, context: &mut Context<'_>) {
        self.session.backend_is_back();
        self.go_on(context);
    }

    /// The backend alone decides ([`ChargePointPlan::observe`]): it allows this; `None` = anything.
    pub fn handle_ceiling(&mut self, context: &mut Context<'_>, ceiling: Option<MilliAmps>) {
        if self.plan.observe && self.plan.backend {
            self.limit_to(ceiling);
        }
        self.go_on(context);
    }

    fn limit_to(&mut self, ceiling: Option<MilliAmps>) {
        let limit = ceiling.map_or(self.plan.max, |it| it.min(self.plan.max));
        self.setpoint.offer(Offer {
            number: OfferNumber(0),
            limit: Limit::Current(limit),
            reason: Reason::Observe,
            single_phase: false,
        });
    }

    /// The backend orders; exactly one [`Output::Done`] comes of it, before anything else that
    /// does.
    pub fn handle_order(&mut self, context: &mut Context<'_>, order: &Order) {
        let place = self.outputs.len();
        let outcome = self.obey(context, order);
        let done = Output::Done {
            id: order.id,
            outcome,
        };
        self.outputs.insert(place, done);
        self.go_on(context);
    }

    /// The backend refuses the running transaction, which it was not asked about before.
    pub fn handle_deauthorize(&mut self, context: &mut Context<'_>, said: &Deauthorize) {
        self.deauthorize(context.now.mono, said);
        self.go_on(context);
    }

    /// Records were committed: what waited for that may leave.
    pub fn handle_committed(&mut self, context: &mut Context<'_>) {
        self.go_on(context);
    }

    /// Lets timers act.
    pub fn handle_timeout(&mut self, context: &mut Context<'_>) {
        self.leave_if_silent(context, "the device does not answer");
        self.go_on(context);
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`ChargePoint::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        let turn = self.asked.is_none().then(|| self.polling.next_turn());
        let patience = self.conduct.connection_time_out;
        let times = [
            turn,
            self.polling.away_at(),
            self.session.poll_timeout(patience),
            self.sampling.poll_timeout(),
            self.told.poll_timeout(),
        ];
        times.into_iter().flatten().min()
    }

    /// What the status shows.
    pub fn view(&self) -> View<'_> {
        View {
            online: self.polling.is_online(),
            status: self.told.status,
            transaction: self.session.transaction(),
            measured: self.measured,
            complaint: self.complaint(),
        }
    }

    /// Tells the backend something about this connector; `of_connector` = false: about the charge
    /// point as a whole.
    pub(super) fn notify<R: messages::Request>(&mut self, of_connector: bool, message: &R) {
        if self.plan.backend {
            self.output(Output::Notice(Notice {
                evse: of_connector.then(|| self.plan.evse.clone()),
                action: R::ACTION.to_owned(),
                payload: messages::write(message),
            }));
        }
    }

    pub(super) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// What it draws is not known any more.
    pub(super) fn forget_draw(&mut self) {
        self.measured = Measured {
            energy: self.measured.energy,
            ..Measured::default()
        };
    }

    fn go_on(&mut self, context: &mut Context<'_>) {
        self.step_session(context);
        self.note_absence(context.now.mono);
        self.watch_meter(context.now.mono);
        self.sample(context.now);
        self.remember(context.now);
        self.tell(context.now);
        self.tell_took(false);
        self.ask_device(context);
    }

    /// A write may be on its way to the device: nobody knows what its registers read.
    pub(super) fn is_writing(&self) -> bool {
        matches!(self.asked, Some(Asked::Write(_)))
    }

    /// One question at a time: what is to be written first, then what is to be read.
    fn ask_device(&mut self, context: &mut Context<'_>) {
        if self.asked.is_some() {
            return;
        }
        let (asked, request) = if let Some(write) = self.greeting(context.now.mono) {
            (Asked::Greeting, write.request())
        } else if let Some(write) = self.next_write(context) {
            (Asked::Write(write), write.request())
        } else if let Some(block) = self.polling.next(context.now.mono) {
            (Asked::Read(block), block.request())
        } else {
            return;
        };
        self.asked = Some(asked);
        self.output(Output::Ask(request));
    }

    fn note_absence(&mut self, now: Mono) {
        let falls_back = self.told.falls_back.is_some() && !self.plan.observe;
        self.memory.known.fallen_back |= falls_back && self.polling.is_long_gone(now);
    }

    /// The first word to a device that may have fallen back: whatever it hears brings back what it
    /// was told before, and that has been given to others. Until it answers it hears nothing else,
    /// so it falls back even if it is only we who do not hear it.
    fn greeting(&self, now: Mono) -> Option<Write> {
        let due = self.memory.known.fallen_back && !self.greeted && self.polling.begins_turn(now);
        due.then(|| fail_safe::as_told(self.plan.failsafe))
    }

    fn next_write(&mut self, context: &Context<'_>) -> Option<Write> {
        let now = context.now.mono;
        let poll = self.image.as_ref().filter(|_| !self.plan.is_passive())?;
        let wanted = self.wanted();
        let write = wanted.and_then(|it| self.setpoint.next(now, it, poll, context.may_raise));
        if write.is_some() {
            return write;
        }
        let defaults = self.defaults;
        let fail_safe = defaults.and_then(|it| self.fail_safe.next(it, self.plan.failsafe));
        let fail_safe = fail_safe.filter(|_| !self.plan.observe);
        if fail_safe.is_some() {
            return fail_safe;
        }
        let wakes = wanted.is_some_and(|wanted| wanted.enabled);
        let wake = self.wake_up.next(now).filter(|_| wakes);
        if wake.is_some() {
            self.wake_up.tried(now);
        }
        wake
    }

    pub(super) fn wanted(&self) -> Option<Wanted> {
        let running = self.session.is_running();
        let cable = self.image.as_ref().and_then(|poll| poll.cable);
        self.setpoint
            .wanted(&self.plan, running, cable, self.defaults)
    }
}
