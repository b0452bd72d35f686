//! CALLs of the backend: one at a time for each charge point (OCPP-J 1.6 §4.1.1).

use std::time::Duration;

use super::command::Command;
use super::ledger::{CommandNumber, Event, Outcome};
use super::mischief::{CUT_OFF, FLOOD};
use super::{Backend, ChargePoint, NotConnected, wire};
use crate::clock::Now;
use crate::ids::ChargeBoxId;
use crate::ocpp::messages::RegistrationStatus;

/// How long an answer may take; then the next command goes out.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How many commands may still be answered late.
const REMEMBERED: usize = 64;

/// A command that was not sent yet.
#[derive(Debug)]
pub(super) struct Queued {
    number: CommandNumber,
    command: Command,
}

/// A command that may still be answered.
#[derive(Debug)]
pub(super) struct Sent {
    id: String,
    number: CommandNumber,
    command: Command,
}

impl Backend {
    /// Asks a charge point for something, after everything that it was asked for before. What came
    /// of it is in the [ledger](super::Ledger::outcome).
    ///
    /// # Errors
    /// If the charge point is not connected.
    pub fn command(
        &mut self,
        now: Now,
        client_id: &ChargeBoxId,
        command: Command,
    ) -> Result<CommandNumber, NotConnected> {
        let charge_point = self.charge_points.get_mut(client_id);
        let connected = charge_point.filter(|it| it.link.is_some());
        let charge_point = connected.ok_or_else(|| NotConnected(client_id.clone()))?;
        self.commands += 1;
        let number = CommandNumber(self.commands);
        charge_point.queue.push_back(Queued { number, command });
        self.pump(now, client_id);
        Ok(number)
    }

    /// Sends the next command, if it may go out.
    pub(super) fn pump(&mut self, now: Now, client_id: &ChargeBoxId) {
        let Some(charge_point) = self.charge_points.get_mut(client_id) else {
            return;
        };
        let (Some(link), None) = (charge_point.link, charge_point.waits_until) else {
            return;
        };
        let registration = charge_point.registration;
        let may_go = |queued: &mut Queued| queued.command.is_allowed(registration);
        let Some(Queued { number, command }) = charge_point.queue.pop_front_if(may_go) else {
            return;
        };
        let (action, payload) = (command.action().to_owned(), command.payload());
        let id = self.random.uuid();
        let text = wire::call(&id, &action, &payload);
        charge_point.waits_until = Some(now.mono + TIMEOUT);
        if charge_point.sent.len() >= REMEMBERED {
            charge_point.sent.pop_front();
        }
        charge_point.sent.push_back(Sent {
            id,
            number,
            command,
        });
        let event = Event::Command {
            number,
            action,
            payload,
        };
        self.record(now, client_id, event);
        self.send(link, text);
    }

    /// A CALLRESULT or CALLERROR came.
    pub(super) fn answered(
        &mut self,
        now: Now,
        client_id: &ChargeBoxId,
        id: &str,
        outcome: Outcome,
    ) {
        if id.starts_with(FLOOD) || id == CUT_OFF {
            return;
        }
        let charge_point = self.charge_points.entry(client_id.clone()).or_default();
        let Some(at) = charge_point.sent.iter().position(|sent| sent.id == id) else {
            return self.complain(now, client_id, format!("answers no CALL: {id}"));
        };
        let newest = at + 1 == charge_point.sent.len();
        let Some(sent) = charge_point.sent.remove(at) else {
            return;
        };
        if newest {
            charge_point.waits_until = None;
        }
        charge_point.note(&sent.command, &outcome);
        self.finished(now, client_id, &sent, outcome);
    }

    /// No answer came in time. It may still come.
    pub(super) fn give_up(&mut self, now: Now, client_id: &ChargeBoxId) {
        let Some(charge_point) = self.charge_points.get_mut(client_id) else {
            return;
        };
        charge_point.waits_until = None;
        if let Some(sent) = charge_point.sent.pop_back() {
            self.finished(now, client_id, &sent, Outcome::Silence);
            if let Some(charge_point) = self.charge_points.get_mut(client_id) {
                charge_point.sent.push_back(sent);
            }
        }
    }

    /// The connection is gone, and nothing that was asked will be answered.
    pub(super) fn forget_commands(&mut self, now: Now, client_id: &ChargeBoxId) {
        let Some(charge_point) = self.charge_points.get_mut(client_id) else {
            return;
        };
        let outstanding = charge_point.waits_until.take();
        let sent = std::mem::take(&mut charge_point.sent).pop_back();
        let sent = sent.filter(|_| outstanding.is_some());
        let queued = std::mem::take(&mut charge_point.queue).into_iter();
        let queued = queued.map(|Queued { number, command }| Sent {
            id: String::new(),
            number,
            command,
        });
        for lost in sent.into_iter().chain(queued) {
            self.finished(now, client_id, &lost, Outcome::LinkLost);
        }
    }

    fn finished(&mut self, now: Now, client_id: &ChargeBoxId, sent: &Sent, outcome: Outcome) {
        let event = Event::Outcome {
            number: sent.number,
            action: sent.command.action().to_owned(),
            outcome,
        };
        self.record(now, client_id, event);
    }
}

impl ChargePoint {
    /// What was triggered may be sent also by a charge point that is pending.
    fn note(&mut self, command: &Command, outcome: &Outcome) {
        if let Command::Trigger { message, .. } = command
            && let Outcome::Result(payload) = outcome
            && payload.contains("Accepted")
        {
            self.triggered.push(message.clone());
        }
    }
}

impl Command {
    /// Whether a charge point in this state may be asked (OCPP 1.6 §4.2).
    fn is_allowed(&self, registration: Option<RegistrationStatus>) -> bool {
        let (raw, trigger) = (
            matches!(self, Self::Raw { .. }),
            matches!(self, Self::Trigger { .. }),
        );
        let remote = matches!(self, Self::RemoteStart { .. } | Self::RemoteStop { .. });
        match registration {
            Some(RegistrationStatus::Accepted) => true,
            Some(RegistrationStatus::Pending) => !remote,
            Some(RegistrationStatus::Rejected) => raw,
            None => raw || trigger,
        }
    }
}
