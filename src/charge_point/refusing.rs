//! Transactions that were allowed and turn out not to be (`StopTransactionOnInvalidId`,
//! `MaxEnergyOnInvalidId`).

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock::Mono;
use crate::evse::Deauthorize;
use crate::ocpp::messages::StopReason;
use crate::units::WattHours;

use super::charge_point::ChargePoint;
use super::plan::Metering;
use super::session::Stage;

/// What becomes of a transaction whose tag was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// It may go on up to this register; `None` = no further.
    pub(super) until: Option<WattHours>,
    /// Then it ends; otherwise it stays open without current.
    pub(super) stop: bool,
}

impl ChargePoint {
    /// A late no of the backend ends the transaction, or leaves it open without current.
    pub(super) fn deauthorize(&mut self, now: Mono, said: &Deauthorize) {
        let Stage::Running(running) = &self.session.stage else {
            return;
        };
        if running.transaction.number != said.transaction {
            return;
        }
        let stop = said.stop;
        warn!(evse = %self.plan.evse, stop, "a backend refuses a transaction that was allowed before");
        self.refuse(now, stop);
    }

    /// The tag of the running transaction may not charge. It may still take what the backend
    /// leaves it, counted from the first refusal.
    pub(super) fn refuse(&mut self, now: Mono, stop: bool) {
        let known = &mut self.memory.known;
        let until = match known.refusal {
            Some(refusal) => refusal.until,
            None => self
                .energy
                .last()
                .filter(|_| self.plan.meter != Metering::None)
                .map(|register| register + self.conduct.energy_on_invalid),
        };
        known.refusal = Some(Refusal { until, stop });
        self.step_refusal(now);
    }

    /// A refused transaction that has had its share ends, or gets no current any more.
    pub(super) fn step_refusal(&mut self, now: Mono) {
        let Some(refusal) = self.memory.known.refusal else {
            return;
        };
        let Stage::Running(running) = &mut self.session.stage else {
            return;
        };
        // Without a register nobody knows what it takes: nothing.
        if refusal.until <= self.energy.last() {
            running.refused = true;
            if refusal.stop {
                self.session.end(now, StopReason::DeAuthorized, None);
            }
        }
    }
}
