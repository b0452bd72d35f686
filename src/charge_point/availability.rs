//! `ChangeAvailability` of a wallbox that we play (OCPP 1.6 §5.2).

use tracing::info;

use crate::clock::Now;
use crate::evse::Outcome;
use crate::ids::ConnectorId;
use crate::modbus::power_brain::Pilot;
use crate::ocpp::messages::{
    self, AvailabilityStatus, AvailabilityType, ChangeAvailability, ChangeAvailabilityResponse,
    ChargePointErrorCode, StatusNotification,
};
use crate::ocpp::{ChargePointStatus, timestamp};

use super::charge_point::ChargePoint;
use super::obeying::read;
use super::session::Stage;

/// The charge point as a whole.
pub(super) const WHOLE: ConnectorId = ConnectorId(0);

impl ChargePoint {
    /// A car may charge here as far as the backend's `ChangeAvailability` goes. A transaction that
    /// runs goes on.
    pub(super) fn is_operative(&self) -> bool {
        !self.memory.known.inoperative && !self.memory.known.shut
    }

    /// The device reports a fault.
    pub(super) fn is_faulted(&self) -> bool {
        let pilot = self.image.as_ref().map(|poll| poll.pilot);
        matches!(
            pilot,
            Some(Pilot::NoPower | Pilot::Error | Pilot::DcSensor | Pilot::Unknown(_))
        )
    }

    /// Takes it out of service or back: the connector, or the charge point with its connector.
    /// What takes it out while a transaction runs holds from its end on.
    pub(super) fn change_availability(&mut self, payload: &str) -> Outcome {
        let said: ChangeAvailability = read(payload)?;
        let inoperative = match said.kind {
            AvailabilityType::Inoperative => true,
            AvailabilityType::Operative => false,
        };
        let known = &mut self.memory.known;
        known.inoperative = inoperative;
        if said.connector_id == WHOLE {
            known.shut = inoperative;
        }
        info!(evse = %self.plan.evse, connector = said.connector_id.0, operative = !inoperative, "the backend changes the availability");
        let status = if inoperative && self.session.transaction().is_some() {
            AvailabilityStatus::Scheduled
        } else {
            AvailabilityStatus::Accepted
        };
        Ok(messages::write(&ChangeAvailabilityResponse { status }))
    }

    /// Nobody waits for a car where none may charge.
    pub(super) fn step_availability(&mut self) {
        if self.is_operative() {
            return;
        }
        if let Stage::Authorized(_) = self.session.stage {
            info!(evse = %self.plan.evse, "out of service: who was authorized is not any more");
            self.session.stage = Stage::Free;
            self.session.ask_fixed_again();
        }
    }

    /// Tells the backend that the charge point as a whole went out of service, or came back; how
    /// the connector stands is told with its other states.
    pub(super) fn tell_whole(&mut self, now: Now) {
        let shut = self.memory.known.shut && self.session.transaction().is_none();
        if self.shut_told == shut {
            return;
        }
        self.shut_told = shut;
        let status = StatusNotification {
            connector_id: WHOLE,
            error_code: ChargePointErrorCode::NoError,
            info: None,
            status: if shut {
                ChargePointStatus::Unavailable
            } else {
                ChargePointStatus::Available
            },
            timestamp: Some(timestamp::format(now.wall)),
            vendor_id: None,
            vendor_error_code: None,
        };
        self.notify(false, &status);
    }
}
