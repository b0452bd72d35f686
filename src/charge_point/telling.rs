//! What is told when it changes: status, demand, what the device can do and who it is.

use std::time::Duration;

use tracing::warn;

use crate::clock::{Mono, Now};
use crate::evse::{Demand, Measured, Report};
use crate::modbus::power_brain::{AttachedMeter, Identity, Poll};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::messages::{BootNotification, ChargePointErrorCode};
use crate::units::{MilliAmps, MilliVolts, PerPhase, Watts};

use super::charge_point::{ChargePoint, Output};
use super::fail_safe;
use super::plan::ChargePointPlan;
use super::session::Stage;
use super::status::{Condition, Heard, VENDOR};

/// A car that takes no current for so long takes none.
const IDLE_AFTER: Duration = Duration::from_mins(1);

/// Less is what a meter sees where nothing flows.
const LEAST_CURRENT: MilliAmps = MilliAmps(500);

/// The same where only power is measured.
const LEAST_POWER: Watts = Watts(100);

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) status: Option<ChargePointStatus>,
    pub(super) demand: Demand,
    pub(super) falls_back: Option<Duration>,
    falls_to: MilliAmps,
    switchable: bool,
    single_phase: bool,
    boot: Option<BootNotification>,
    pub(super) heard: Heard,
    /// Since when the car could take current and does not.
    idle_since: Option<Mono>,
    idle_at: Option<Mono>,
}

impl Told {
    /// When time alone changes something.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let times = [self.idle_at, self.heard.poll_timeout()];
        times.into_iter().flatten().min()
    }
}

impl ChargePoint {
    /// Tells what has changed.
    pub(super) fn tell(&mut self, now: Now) {
        if let Some(poll) = self.image.clone() {
            self.tell_status(now, &poll);
            if self.told.switchable != poll.switchable {
                self.told.switchable = poll.switchable;
                self.report(Report::Switchable(poll.switchable));
            }
            if self.told.single_phase != poll.single_phase {
                self.told.single_phase = poll.single_phase;
                self.report(Report::SinglePhase(poll.single_phase));
            }
            if let Some(defaults) = self.defaults {
                self.memory.known.falls_to = fail_safe::falls_to(defaults);
            }
            let falls_back = self
                .defaults
                .and_then(|defaults| fail_safe::falls_back(defaults, self.plan.failsafe));
            if self.told.falls_back != falls_back {
                self.told.falls_back = falls_back;
                self.report(Report::FallsBack(falls_back));
            }
        } else {
            self.told.idle_at = None;
            self.told.heard.look_away();
        }
        let falls_to = self.memory.known.falls_to;
        if self.told.falls_to != falls_to {
            self.told.falls_to = falls_to;
            self.report(Report::FallsTo(falls_to));
        }
        let demand = self.demand();
        if self.told.demand != demand {
            self.told.demand = demand;
            self.report(Report::Demand(demand));
        }
    }

    fn tell_status(&mut self, now: Now, poll: &Poll) {
        let idle = self.note_idle(now.mono, poll);
        let condition = self.condition(poll, idle);
        if self.told.status != Some(condition.status) {
            if condition.status == ChargePointStatus::Faulted {
                warn!(evse = %self.plan.evse, pilot = ?poll.pilot, "a wallbox reports a fault");
            }
            self.told.status = Some(condition.status);
            self.report(Report::Status(condition.status));
        }
        let minimum = self.conduct.minimum_status;
        for word in self.told.heard.see(now, &condition, minimum) {
            self.notify(true, &word);
        }
    }

    /// Whether the car has not taken for a while what it could.
    fn note_idle(&mut self, now: Mono, poll: &Poll) -> bool {
        let flows = flows(&self.measured_lately(now));
        let idle = poll.pilot.charges() && flows == Some(false);
        self.told.idle_since = idle.then(|| self.told.idle_since.unwrap_or(now));
        let until = self.told.idle_since.map(|since| since + IDLE_AFTER);
        self.told.idle_at = until.filter(|until| *until > now);
        until.is_some_and(|until| until <= now)
    }

    /// The status as an OCPP wallbox would say it (OCPP 1.6 §4.9), and what is wrong.
    fn condition(&self, poll: &Poll, idle: bool) -> Condition {
        if let Some(fault) = Condition::fault(poll.pilot) {
            return fault;
        }
        let plugged = self.session.plugged == Some(true);
        let charges = poll.pilot.charges();
        let mut condition = Condition::sound(match &self.session.stage {
            // Whoever is offered nothing or refused is switched off: what counts is that it is.
            Stage::Running(_) if !poll.enabled => ChargePointStatus::SuspendedEVSE,
            Stage::Running(_) if charges && !idle => ChargePointStatus::Charging,
            Stage::Running(_) => ChargePointStatus::SuspendedEV,
            // Also without a car: nothing is available before the last bill is closed.
            Stage::Ending(..) => ChargePointStatus::Finishing,
            _ if !self.is_operative() => ChargePointStatus::Unavailable,
            Stage::Over if plugged => ChargePointStatus::Finishing,
            Stage::Authorized(_) => ChargePointStatus::Preparing,
            // Not by us: observed, released, or about to be stopped.
            Stage::Free if plugged && charges && poll.enabled => ChargePointStatus::Charging,
            Stage::Free if plugged => ChargePointStatus::Preparing,
            Stage::Free | Stage::Over if self.is_reserved() => ChargePointStatus::Reserved,
            Stage::Free | Stage::Over => ChargePointStatus::Available,
        });
        condition.info = match &self.session.stage {
            Stage::Running(running) if running.refused => Some("the tag was refused"),
            Stage::Running(_) if !poll.enabled => Some("no current is offered"),
            _ => None,
        };
        if self.meter.fails() {
            condition.error = ChargePointErrorCode::PowerMeterFailure;
        }
        condition
    }

    /// Tells the backend what the device is, unless that was told.
    pub(super) fn introduce(&mut self, identity: &Identity) {
        let (major, minor, build) = identity.firmware;
        let boot = BootNotification {
            charge_point_vendor: VENDOR.to_owned(),
            charge_point_model: cut(&identity.name, 20),
            charge_point_serial_number: Some(cut(&identity.serial, 25))
                .filter(|serial| !serial.is_empty()),
            firmware_version: Some(format!("{major}.{minor}.{build}")),
            ..BootNotification::default()
        };
        if self.told.boot.as_ref() != Some(&boot) {
            self.notify(false, &boot);
            self.told.boot = Some(boot);
        }
    }

    fn demand(&self) -> Demand {
        let plugged = match self.session.plugged {
            Some(true) => Demand::Plugged,
            Some(false) | None => Demand::None,
        };
        if self.plan.is_passive() {
            let pilot = self.image.as_ref().map(|poll| poll.pilot);
            return match pilot {
                Some(pilot) if pilot.charges() => Demand::Charging,
                Some(_) => plugged,
                None => self.told.demand,
            };
        }
        match self.session.stage {
            Stage::Running(ref running) if running.refused => plugged,
            Stage::Running(_) => Demand::Charging,
            Stage::Authorized(_) => Demand::Authorized,
            Stage::Free | Stage::Ending(..) | Stage::Over => plugged,
        }
    }

    /// Tells what was measured, with the register that is believed.
    pub(super) fn tell_measured(&mut self, now: Mono, measured: Measured) {
        self.measured_at = Some(now);
        self.measured = Measured {
            energy: measured.energy.and(self.energy.last()),
            ..measured
        };
        self.report(Report::Measured(self.measured));
    }

    pub(super) fn report(&mut self, report: Report) {
        if let Report::Online(_) | Report::Booted = report {
            // From now on nobody counts on one phase until it is told anew.
            self.told.single_phase = false;
        }
        self.output(Output::Report(report));
    }
}

/// So much of a text as OCPP takes; it is ASCII.
fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// Whether current flows; `None` = nobody knows.
fn flows(measured: &Measured) -> Option<bool> {
    let by_current = |current: PerPhase<MilliAmps>| {
        let flows = |(_, amps)| amps >= LEAST_CURRENT;
        current.iter().any(flows)
    };
    let by_power = measured.power.map(|power| power >= LEAST_POWER);
    measured.current.map(by_current).or(by_power)
}

/// What the attached meter measured. Without currents of individual phases they are known only
/// where there is one phase: a guess would take load off the phase of a one-phase car.
pub(super) fn measured(plan: &ChargePointPlan, poll: &Poll, meter: &AttachedMeter) -> Measured {
    let single = plan.phases == 1 || poll.single_phase;
    let derived = || {
        let power = meter.power.filter(|_| single)?;
        let l1 = current_of(power, plan.voltage)?;
        Some(PerPhase([l1, MilliAmps::ZERO, MilliAmps::ZERO]))
    };
    Measured {
        current: meter.current.or_else(derived),
        power: meter.power,
        energy: meter.energy,
    }
}

fn current_of(power: Watts, voltage: MilliVolts) -> Option<MilliAmps> {
    let milliamps = i64::from(power.0) * 1_000_000 / i64::from(voltage.0.max(1));
    i32::try_from(milliamps).ok().map(MilliAmps)
}
