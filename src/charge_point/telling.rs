//! What is told when it changes: status, demand, and what the device can do.

use std::time::Duration;

use tracing::warn;

use crate::evse::{Demand, Measured, Report};
use crate::modbus::power_brain::{AttachedMeter, Pilot, Poll};
use crate::ocpp::ChargePointStatus;
use crate::units::{MilliAmps, MilliVolts, PerPhase, Watts};

use super::charge_point::{ChargePoint, Output};
use super::fail_safe;
use super::plan::{ChargePointPlan, Metering};
use super::session::{Session, Stage};

/// What was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    pub(super) status: Option<ChargePointStatus>,
    pub(super) demand: Demand,
    pub(super) falls_back: Option<Duration>,
    falls_to: MilliAmps,
    switchable: bool,
    single_phase: bool,
}

impl ChargePoint {
    /// Tells what has changed.
    pub(super) fn tell(&mut self) {
        if let Some(poll) = self.image.clone() {
            let status = status(&poll, &self.session);
            if self.told.status != Some(status) {
                if status == ChargePointStatus::Faulted {
                    warn!(evse = %self.plan.evse, pilot = ?poll.pilot, "a wallbox reports a fault");
                }
                self.told.status = Some(status);
                self.report(Report::Status(status));
            }
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
    pub(super) fn tell_measured(&mut self, measured: Measured) {
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

/// The status as an OCPP wallbox would say it (OCPP 1.6 §4.9).
fn status(poll: &Poll, session: &Session) -> ChargePointStatus {
    if let Pilot::NoPower | Pilot::Error | Pilot::DcSensor | Pilot::Unknown(_) = poll.pilot {
        return ChargePointStatus::Faulted;
    }
    let plugged = session.plugged == Some(true);
    match session.stage {
        Stage::Running(_) if poll.pilot.charges() => ChargePointStatus::Charging,
        Stage::Running(_) if poll.enabled => ChargePointStatus::SuspendedEV,
        Stage::Running(_) => ChargePointStatus::SuspendedEVSE,
        Stage::Ending(..) | Stage::Over if plugged => ChargePointStatus::Finishing,
        Stage::Authorized(_) => ChargePointStatus::Preparing,
        // Not by us: observed, released, or about to be stopped.
        Stage::Free if plugged && poll.pilot.charges() && poll.enabled => {
            ChargePointStatus::Charging
        }
        Stage::Free if plugged => ChargePointStatus::Preparing,
        Stage::Free | Stage::Ending(..) | Stage::Over => ChargePointStatus::Available,
    }
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

/// Whether the device's own meter is read.
pub(super) fn reads_meter(plan: &ChargePointPlan, poll: &Poll) -> bool {
    plan.meter == Metering::Own && poll.has_meter
}
