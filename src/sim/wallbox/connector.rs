//! One connector of a simulated wallbox: cable, car, contactor, register.

use jiff::Timestamp;

use crate::clock::Mono;
use crate::ids::IdTag;
use crate::ocpp::ChargePointStatus;
use crate::ocpp::charging_profile::ChargingProfile;
use crate::ocpp::composite::Running;
use crate::sim::car::{MicroJoules, PluggedCar};
use crate::units::MilliAmps;

/// Somebody may charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authorized {
    pub(super) tag: IdTag,
    pub(super) parent: Option<IdTag>,
    /// Until when the car must be there.
    pub(super) until: Mono,
}

/// A transaction (OCPP 1.6 §4.8).
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The wallbox's own number.
    pub(super) number: u64,
    pub(super) tag: IdTag,
    pub(super) parent: Option<IdTag>,
    /// On the wallbox's clock.
    pub(super) started: Timestamp,
    pub(super) next_sample: Mono,
    /// The central system refused the tag; no energy flows.
    pub(super) refused: bool,
}

#[derive(Debug, Clone)]
pub(super) struct Connector {
    pub(super) car: Option<PluggedCar>,
    pub(super) authorized: Option<Authorized>,
    /// The profile that came with `RemoteStartTransaction`.
    pub(super) profile: Option<ChargingProfile>,
    pub(super) session: Option<Session>,
    /// A transaction ended and the cable is still in.
    pub(super) finished: bool,
    pub(super) operative: bool,
    /// `ChangeAvailability` that waits for the end of the transaction.
    pub(super) scheduled: bool,
    pub(super) register: MicroJoules,
    /// What the car is offered now.
    pub(super) offered: MilliAmps,
    /// The status that the central system was told last.
    pub(super) told: Option<ChargePointStatus>,
}

impl Connector {
    pub(super) fn new(register: MicroJoules) -> Self {
        Self {
            car: None,
            authorized: None,
            profile: None,
            session: None,
            finished: false,
            operative: true,
            scheduled: false,
            register,
            offered: MilliAmps::ZERO,
            told: None,
        }
    }

    /// Whether the contactor is closed.
    pub(super) fn is_energized(&self) -> bool {
        self.car.is_some()
            && self
                .session
                .as_ref()
                .is_some_and(|session| !session.refused)
    }

    /// Lets the car draw until `now`, then offers it `offer`.
    pub(super) fn step(&mut self, now: Mono, offer: MilliAmps) {
        let closed = self.is_energized();
        self.offered = if closed { offer } else { MilliAmps::ZERO };
        if let Some(car) = &mut self.car {
            let drawn = car.step(now, self.offered);
            self.register.0 = self.register.0.saturating_add(drawn.0);
            if !closed {
                car.cut(now);
            }
        }
    }

    /// The status of OCPP 1.6 §4.9, from what is the case.
    pub(super) fn status(&self) -> ChargePointStatus {
        match (&self.car, &self.session) {
            (Some(car), Some(_)) if self.is_energized() && self.offered > MilliAmps::ZERO => {
                if car.appetite(self.offered) > MilliAmps::ZERO {
                    ChargePointStatus::Charging
                } else {
                    ChargePointStatus::SuspendedEV
                }
            }
            (_, Some(_)) => ChargePointStatus::SuspendedEVSE,
            (_, None) if !self.operative => ChargePointStatus::Unavailable,
            (_, None) if self.authorized.is_some() => ChargePointStatus::Preparing,
            (Some(_), None) if self.finished => ChargePointStatus::Finishing,
            (Some(_), None) => ChargePointStatus::Preparing,
            (None, None) => ChargePointStatus::Available,
        }
    }

    /// What a `TxProfile` may refer to.
    pub(super) fn running(&self, id: Option<i64>) -> Running {
        match (&self.session, id) {
            (None, _) => Running::Nothing,
            (Some(_), None) => Running::Unnumbered,
            (Some(_), Some(id)) => Running::Transaction(id),
        }
    }

    /// Takes effect when no transaction runs; returns whether it has to wait.
    pub(super) fn set_operative(&mut self, operative: bool) -> bool {
        self.scheduled = !operative && self.session.is_some();
        if !self.scheduled {
            self.operative = operative;
        }
        self.scheduled
    }

    pub(super) fn end_session(&mut self) -> Option<Session> {
        let session = self.session.take()?;
        self.finished = self.car.is_some();
        if std::mem::take(&mut self.scheduled) {
            self.operative = false;
        }
        Some(session)
    }
}
