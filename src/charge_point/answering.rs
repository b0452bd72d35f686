//! What an answer of the device says, and what one that does not come.

use std::ops::RangeInclusive;

use tracing::{debug, info, warn};

use crate::evse::{Measured, Report};
use crate::modbus::power_brain::{
    AttachedMeter, Block, Defaults, Identity, Poll, RESTARTS, Registers, Write, milliamps,
};
use crate::modbus::{Answer, Failure};
use crate::ocpp::messages::StopReason;

use super::charge_point::{Asked, ChargePoint, Context};
use super::energy::EnergyRegister;
use super::fail_safe::FailSafe;
use super::meter_watch::MeterWatch;
use super::plan::Metering;
use super::session::{Found, Stage};
use super::setpoint::{Seen, Setpoint};
use super::telling;

/// Exceptions of whoever stands before the device: it does not answer.
const NO_PATH: RangeInclusive<u8> = 10..=11;

/// Exceptions that will be the same the next time: no such function, register or value.
const ILLEGAL: RangeInclusive<u8> = 1..=3;

/// So many different reasons why a device is not there are logged until it is.
const MOST_COMPLAINTS: usize = 5;

impl ChargePoint {
    pub(super) fn take_answer(&mut self, context: &mut Context<'_>, asked: Asked, answer: Answer) {
        match (asked, answer) {
            (_, Err(Failure::Exception(code))) if NO_PATH.contains(&code) => {
                self.fail(context, &Failure::Exception(code).to_string());
            }
            (Asked::Read(block), Ok(values)) => {
                self.polling.answered(context.now.mono);
                match block.registers(&values) {
                    Some(registers) => self.take_block(context, block, &registers),
                    None => self.fail(context, "the answer has the wrong length"),
                }
            }
            (Asked::Read(block), Err(Failure::Exception(code))) => {
                self.polling.answered(context.now.mono);
                self.take_refusal(context, block, code);
            }
            (Asked::Greeting, Ok(_) | Err(Failure::Exception(_))) => {
                self.polling.answered(context.now.mono);
                self.greeted = true;
                self.setpoint.fall_back(self.plan.failsafe);
            }
            (Asked::Write(write), Ok(_)) => {
                self.polling.answered(context.now.mono);
                self.take_written(context, write);
            }
            (Asked::Write(write), Err(failure @ Failure::Exception(_))) => {
                self.polling.answered(context.now.mono);
                self.take_unwritten(context, write, &failure);
            }
            (Asked::Write(write), Err(failure)) => {
                self.setpoint.lost();
                self.fail_safe.lost(write);
                self.fail(context, &failure.to_string());
            }
            (Asked::Read(_) | Asked::Greeting, Err(failure)) => {
                self.fail(context, &failure.to_string());
            }
        }
    }

    fn take_block(&mut self, context: &mut Context<'_>, block: Block, registers: &Registers<'_>) {
        match block {
            Block::Identity => {
                if let Some(identity) = Identity::decode(registers) {
                    self.take_identity(context, &identity);
                }
            }
            Block::Restarts => self.take_restarts(registers.u32(RESTARTS)),
            Block::Defaults => {
                let known = self.defaults.is_some();
                self.defaults = Defaults::decode(registers);
                if let Some(defaults) = self.defaults {
                    if defaults.enabled && !known {
                        info!(evse = %self.plan.evse, limit = %milliamps(defaults.limit), "after a power cut a wallbox lets its car charge with its own limit until it is reached: register 8082 = 0 would prevent that");
                    }
                    let evse = self.plan.evse.as_str();
                    self.fail_safe.judge(defaults, self.plan.failsafe, evse);
                }
            }
            Block::Poll => {
                if let Some(poll) = Poll::decode(registers) {
                    self.take_poll(context, poll);
                }
            }
            Block::Outputs => self.outputs_read = Some(registers.values().to_vec()),
            Block::State => {
                let outputs = self.outputs_read.take().unwrap_or_default();
                let outputs = Block::Outputs.registers(&outputs);
                if let Some(poll) = outputs.and_then(|o| Poll::decode_parts(&o, registers)) {
                    self.take_poll(context, poll);
                }
            }
            Block::Meter => {
                let meter = AttachedMeter::decode(registers).zip(self.image.as_ref());
                if let Some((meter, poll)) = meter {
                    self.meter.take();
                    let measured = telling::measured(&self.plan, poll, &meter);
                    let running = self.session.transaction().is_some();
                    self.energy.read(context.now.mono, measured.energy, running);
                    self.tell_measured(context.now.mono, measured);
                }
            }
        }
    }

    fn take_identity(&mut self, context: &mut Context<'_>, identity: &Identity) {
        if !identity.is_power_brain() {
            let name = &identity.name;
            let what = format!("what answers is no Power Brain (it is called {name:?})");
            self.fail(context, &what);
            return;
        }
        self.polling.identify();
        self.introduce(identity);
        let serial = &identity.serial;
        let before = std::mem::replace(&mut self.memory.known.serial, serial.clone());
        if before.is_empty() || serial.is_empty() || before == *serial {
            return;
        }
        self.stranger = Some(format!(
            "wallbox {serial} answers, before it was {before}: if none was replaced, two have swapped their ids"
        ));
        warn!(evse = %self.plan.evse, address = %self.plan.address, unit = self.plan.unit, before, now = %serial, "another wallbox answers than before: if none was replaced, two have swapped their ids");
        self.replaced(context);
    }

    /// Another device: what was known of the old one is void, its transaction ends with its last
    /// good register.
    fn replaced(&mut self, context: &mut Context<'_>) {
        self.session.end(context.now.mono, StopReason::Other, None);
        if let Stage::Ending(running, ending) = self.session.leave() {
            self.close(context.now, running, ending);
        }
        self.memory.known.restarts = None;
        self.memory.known.register = None;
        self.energy = EnergyRegister::default();
        self.meter = MeterWatch::default();
        self.measured = Measured::default();
        self.measured_at = None;
        self.fail_safe = FailSafe::default();
        self.setpoint.lost();
        self.cards.look_away();
    }

    fn take_restarts(&mut self, count: Option<u32>) {
        let before = std::mem::replace(&mut self.memory.known.restarts, count);
        if before.is_some() && before != count {
            info!(evse = %self.plan.evse, restarts = count, "a wallbox was restarted");
            self.session.restarted = true;
            self.meter.ask_at_once();
            self.setpoint.lost();
            self.cards.look_away();
            self.report(Report::Booted);
        }
    }

    fn take_poll(&mut self, context: &mut Context<'_>, mut poll: Poll) {
        let now = context.now.mono;
        if self.polling.is_long_gone(now) {
            self.told.heard.tell_anew();
        }
        if self.polling.arrive(now) {
            self.unwatched = true;
            self.meter.ask_at_once();
            self.complaints.clear();
            self.meddled = false;
            self.memory.known.fallen_back = false;
            info!(evse = %self.plan.evse, address = %self.plan.address, unit = self.plan.unit, "a wallbox is online");
            self.report(Report::Online(true));
        }
        match self.setpoint.see(now, &mut poll) {
            Seen::Kept => {}
            Seen::Changed if self.plan.is_passive() => {}
            Seen::Changed => {
                if !std::mem::replace(&mut self.meddled, true) {
                    warn!(evse = %self.plan.evse, limit = poll.limit, enabled = poll.enabled, "a wallbox has other registers than we wrote: it was restarted, or somebody else writes them");
                }
                self.report(Report::Booted);
            }
            Seen::NotKept => self.refuse_offer("it does not keep what is written to its registers"),
        }
        let running = self.session.is_running();
        self.wake_up.see(now, &poll, running);
        // While we cut its pilot or switch its phases, a car may look unplugged.
        let blind = poll.pilot_cut > 0 || self.wake_up.is_blind(now) || self.setpoint.is_blind(now);
        let plugged = poll.pilot.is_plugged().filter(|plugged| *plugged || !blind);
        let card = self.cards.see(now, &poll.card, poll.cards);
        if self.plan.meter == Metering::Own {
            if self.meter.is_due(now, poll.has_meter) {
                self.polling.also(Block::Meter);
            } else {
                self.energy.read(now, None, running);
            }
        }
        self.image = Some(poll);
        self.see_plug(now, plugged);
        if plugged.is_some() && std::mem::take(&mut self.unwatched) {
            self.date_back();
        }
        if let Some(card) = card.filter(|_| !self.plan.is_passive()) {
            self.present(now, card);
        }
        self.tell_took(true);
    }

    /// A car that left while the device was away was there when it was last seen.
    fn date_back(&mut self) {
        if let (Stage::Ending(running, ending), Some(false)) =
            (&mut self.session.stage, self.session.plugged)
        {
            let received = running.transaction.received;
            let seen = self.memory.known.seen.unwrap_or(received).max(received);
            ending.found.get_or_insert(Found {
                seen,
                register: None,
            });
        }
    }

    /// The device refuses to read a block.
    fn take_refusal(&mut self, context: &mut Context<'_>, block: Block, code: u8) {
        let failure = Failure::Exception(code);
        let illegal = ILLEGAL.contains(&code);
        match block {
            Block::Poll if illegal && self.polling.split() => {
                debug!(evse = %self.plan.evse, "a wallbox does not read over a gap: it is read in two parts");
            }
            Block::Identity if illegal => {
                self.fail(
                    context,
                    &format!("what answers is no Power Brain: {failure}"),
                );
            }
            Block::Identity | Block::Poll | Block::Outputs | Block::State => {
                self.fail(context, &failure.to_string());
            }
            Block::Meter if illegal => {
                if self.meter.refuse(context.now.mono) {
                    warn!(evse = %self.plan.evse, why = %failure, "a wallbox says it has a meter and does not read it");
                }
            }
            Block::Restarts | Block::Defaults | Block::Meter => {
                debug!(evse = %self.plan.evse, block = ?block, why = %failure, "a wallbox does not read all registers");
            }
        }
    }

    fn take_written(&mut self, context: &mut Context<'_>, write: Write) {
        let now = context.now.mono;
        match write {
            Write::FailSafeAfter(_) | Write::FailSafeCurrent(_) => {
                self.polling.also(Block::Defaults);
            }
            Write::CutPilot(_) => {
                info!(evse = %self.plan.evse, "a car that does not charge after a pause is woken");
            }
            Write::Limit(_) | Write::Enable(_) | Write::SinglePhase(_) => {}
        }
        let Some(poll) = &mut self.image else {
            self.setpoint.lost();
            return;
        };
        match write {
            Write::Limit(limit) => poll.limit = limit,
            Write::Enable(enabled) => poll.enabled = enabled,
            Write::SinglePhase(single) => poll.single_phase = single,
            Write::CutPilot(seconds) => poll.pilot_cut = seconds,
            Write::FailSafeAfter(_) | Write::FailSafeCurrent(_) => {}
        }
        self.setpoint.wrote(now, write, poll);
        self.tell_took(false);
    }

    fn take_unwritten(&mut self, context: &mut Context<'_>, write: Write, failure: &Failure) {
        match write {
            Write::SinglePhase(_) => {
                warn!(evse = %self.plan.evse, why = %failure, "a wallbox does not switch its phases");
                self.setpoint.cannot_switch();
                if let Some(poll) = &mut self.image {
                    poll.switchable = false;
                }
            }
            Write::Limit(_) | Write::Enable(_) => {
                self.setpoint.wait(context.now.mono);
                self.refuse_offer(&format!("register {}: {failure}", write.register()));
            }
            Write::CutPilot(_) | Write::FailSafeAfter(_) | Write::FailSafeCurrent(_) => {
                let register = write.register();
                warn!(evse = %self.plan.evse, register, why = %failure, "a wallbox refuses a register");
            }
        }
    }

    /// The device did not answer, or is not the one that it should be.
    pub(super) fn fail(&mut self, context: &mut Context<'_>, why: &str) {
        debug!(evse = %self.plan.evse, why, "a wallbox gives no good answer");
        self.polling.fail(context.now.mono, context.random);
        self.image = None;
        self.greeted = false;
        if !self.polling.is_online() {
            self.complain(why);
        }
        self.leave_if_silent(context, why);
    }

    /// Says why a device is not there, once for each reason.
    fn complain(&mut self, why: &str) {
        let known = self.complaints.iter().any(|complaint| complaint == why);
        if !known && self.complaints.len() < MOST_COMPLAINTS {
            self.complaints.push(why.to_owned());
            warn!(evse = %self.plan.evse, address = %self.plan.address, unit = self.plan.unit, why, "a wallbox is not reached");
        }
    }

    /// What the status shows.
    pub(super) fn complaint(&self) -> Option<&str> {
        let away = self.complaints.last().filter(|_| !self.polling.is_online());
        away.or(self.stranger.as_ref()).map(String::as_str)
    }

    pub(super) fn leave_if_silent(&mut self, context: &mut Context<'_>, why: &str) {
        if self.polling.leave(context.now.mono) {
            self.complain(why);
            self.image = None;
            self.cards.look_away();
            self.forget_draw();
            self.report(Report::Online(false));
        }
    }

    pub(super) fn tell_took(&mut self, read_back: bool) {
        if self.is_writing() {
            return;
        }
        let (Some(wanted), Some(poll)) = (self.wanted(), &self.image) else {
            return;
        };
        if let Some(obstacle) = Setpoint::obstacle(wanted, poll) {
            self.refuse_offer(obstacle);
            return;
        }
        if let Some(number) = self.setpoint.took(wanted, poll, read_back) {
            debug!(evse = %self.plan.evse, offer = number.0, "a wallbox took an offer");
            self.report(Report::Took(number));
        }
    }

    fn refuse_offer(&mut self, why: &str) {
        let Some(offer) = self.setpoint.refuse() else {
            return;
        };
        warn!(evse = %self.plan.evse, offer = offer.0, why, "a wallbox does not take an offer");
        let why = why.to_owned();
        self.report(Report::Refused { offer, why });
    }
}
