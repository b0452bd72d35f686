//! What the backend commands a wallbox that we play (OCPP 1.6 §5). Smart charging, configuration
//! keys, local list, cache and the link itself are the gateway's and never come here; it has also
//! sorted out connectors that are not this one.

use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::info;

use crate::clock::Now;
use crate::evse::{Order, Outcome};
use crate::ids::IdTag;
use crate::ocpp::messages::{
    self, Acceptance, Accepted, DataTransferResponse, DataTransferStatus, DiagnosticsStatus,
    DiagnosticsStatusNotification, FirmwareStatus, FirmwareStatusNotification, MessageTrigger,
    RemoteStartTransaction, RemoteStopTransaction, StopReason, TriggerMessage,
    TriggerMessageResponse, TriggerMessageStatus, UnlockConnector, UnlockConnectorResponse,
    UnlockStatus,
};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::{Action, ErrorCode};

use super::availability::WHOLE;
use super::card_reader::LONGEST_TAG;
use super::charge_point::{ChargePoint, Context};
use super::session::Stage;

impl ChargePoint {
    /// Carries out an order. What it puts out follows the answer.
    pub(super) fn obey(&mut self, context: &mut Context<'_>, order: &Order) -> Outcome {
        let now = context.now;
        let payload = order.payload.as_str();
        // What is over by now is not judged by.
        self.step_reservation(now);
        match order.action.as_str() {
            "RemoteStartTransaction" => self.remote_start(now, payload),
            "RemoteStopTransaction" => self.remote_stop(now, order),
            "UnlockConnector" => unlock(payload),
            "ChangeAvailability" => self.change_availability(payload),
            "ReserveNow" => self.reserve(now, payload),
            "CancelReservation" => self.cancel_reservation(payload),
            "TriggerMessage" => self.trigger(now, payload),
            "DataTransfer" => Ok(messages::write(&DataTransferResponse {
                status: DataTransferStatus::UnknownVendorId,
                data: None,
            })),
            // No file name: there is nothing to upload.
            "GetDiagnostics" => Ok("{}".to_owned()),
            "GetLog" | "SignedUpdateFirmware" => Ok(acceptance(false)),
            action if Action::from_name(action).is_some() => Err(CallFailure::new(
                ErrorCode::NotSupported,
                "this wallbox cannot do that",
            )),
            _ => Err(CallFailure::new(
                ErrorCode::NotImplemented,
                "nobody here knows this action",
            )),
        }
    }

    /// "Accepted" promises to try (OCPP 1.6 §5.11): the transaction begins when a car is plugged.
    fn remote_start(&mut self, now: Now, payload: &str) -> Outcome {
        let said: RemoteStartTransaction = read(payload)?;
        let tag = said.id_tag;
        check_tag(&tag)?;
        let free = match self.session.stage {
            Stage::Free | Stage::Authorized(_) | Stage::Over => true,
            Stage::Running(_) | Stage::Ending(..) => false,
        };
        let asks = self.conduct.authorize_remote;
        let may = said.connector_id != Some(WHOLE)
            && self.polling.is_online()
            && !self.is_faulted()
            && free
            && if asks {
                self.could_be_welcome(&tag)
            } else {
                self.is_welcome(&tag, None)
            };
        info!(evse = %self.plan.evse, id_tag = tag.masked(), accepted = may, "the backend starts a transaction");
        if may && asks {
            self.ask_remote(tag);
        } else if may {
            self.authorize_remote(now.mono, tag);
        }
        Ok(acceptance(may))
    }

    fn remote_stop(&mut self, now: Now, order: &Order) -> Outcome {
        let _: RemoteStopTransaction = read(&order.payload)?;
        let Stage::Running(running) = &self.session.stage else {
            return Ok(acceptance(false));
        };
        if order.transaction != Some(running.transaction.number) {
            return Ok(acceptance(false));
        }
        info!(evse = %self.plan.evse, transaction = running.transaction.number.0, "the backend stops a transaction");
        self.session.end(now.mono, StopReason::Remote, None);
        Ok(acceptance(true))
    }

    /// What the gateway knows itself never comes: `BootNotification`, `Heartbeat`,
    /// `StatusNotification`.
    fn trigger(&mut self, now: Now, payload: &str) -> Outcome {
        let status = match read::<TriggerMessage>(payload) {
            // Of its members only the message can have a value that is not allowed.
            Err(failure) if failure.code == ErrorCode::PropertyConstraintViolation => {
                TriggerMessageStatus::NotImplemented
            }
            Err(failure) => return Err(failure),
            Ok(said) => match said.requested_message {
                MessageTrigger::MeterValues => {
                    self.send_triggered_values(now);
                    TriggerMessageStatus::Accepted
                }
                MessageTrigger::DiagnosticsStatusNotification => {
                    let status = DiagnosticsStatus::Idle;
                    self.notify(false, &DiagnosticsStatusNotification { status });
                    TriggerMessageStatus::Accepted
                }
                MessageTrigger::FirmwareStatusNotification => {
                    let status = FirmwareStatus::Idle;
                    self.notify(false, &FirmwareStatusNotification { status });
                    TriggerMessageStatus::Accepted
                }
                MessageTrigger::BootNotification
                | MessageTrigger::Heartbeat
                | MessageTrigger::StatusNotification => TriggerMessageStatus::Rejected,
            },
        };
        Ok(messages::write(&TriggerMessageResponse { status }))
    }
}

/// A Power Brain locks no plug that it could unlock: nothing is stopped for that.
fn unlock(payload: &str) -> Outcome {
    let _: UnlockConnector = read(payload)?;
    let status = UnlockStatus::NotSupported;
    Ok(messages::write(&UnlockConnectorResponse { status }))
}

fn acceptance(yes: bool) -> String {
    let status = if yes {
        Acceptance::Accepted
    } else {
        Acceptance::Rejected
    };
    messages::write(&Accepted { status })
}

/// Reads the payload of an order.
pub(super) fn read<'a, T: Deserialize<'a>>(payload: &'a str) -> Result<T, CallFailure> {
    let raw: &RawValue = serde_json::from_str(payload)
        .map_err(|_| CallFailure::new(ErrorCode::FormationViolation, "the payload is no JSON"))?;
    messages::parse(raw).map_err(|error| CallFailure::new(error.code, &error.what))
}

/// A tag that we would have to repeat must be one (OCPP 1.6 `IdToken`).
pub(super) fn check_tag(tag: &IdTag) -> Result<(), CallFailure> {
    let length = tag.as_str().chars().count();
    if (1..=LONGEST_TAG).contains(&length) {
        return Ok(());
    }
    let code = ErrorCode::PropertyConstraintViolation;
    Err(CallFailure::new(code, "an id tag has 1 to 20 characters"))
}
