//! `ChangeAvailability` of a wallbox that we play (OCPP 1.6 §5.2).

use serde::{Deserialize, Serialize};
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

/// What `ChangeAvailability` took out of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct OutOfService {
    connector: bool,
    /// The charge point as a whole, and so its connector.
    whole: bool,
}

impl ChargePoint {
    /// A car may charge here as far as the backend's `ChangeAvailability` goes. A transaction that
    /// runs goes on.
    pub(super) fn is_operative(&self) -> bool {
        self.memory.known.out_of_service == OutOfService::default()
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
        let before = self.is_operative();
        let out_of_service = &mut self.memory.known.out_of_service;
        out_of_service.connector = inoperative;
        if said.connector_id == WHOLE {
            out_of_service.whole = inoperative;
        }
        if !before && self.is_operative() {
            self.session.ask_fixed_again();
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
        let out = self.memory.known.out_of_service.whole;
        let status = if out && self.session.transaction().is_none() {
            ChargePointStatus::Unavailable
        } else {
            ChargePointStatus::Available
        };
        if self.told_whole == status {
            return;
        }
        self.told_whole = status;
        let status = StatusNotification {
            connector_id: WHOLE,
            error_code: ChargePointErrorCode::NoError,
            info: None,
            status,
            timestamp: Some(timestamp::format(now.wall)),
            vendor_id: None,
            vendor_error_code: None,
        };
        self.notify(false, &status);
    }
}
