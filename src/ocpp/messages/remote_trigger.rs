//! Remote trigger profile, from the central system to the charge point.

use serde::{Deserialize, Serialize};

use super::request;
use crate::ids::ConnectorId;
use crate::ocpp::lenient::{self, spelled};

/// Asks for a message (OCPP 1.6 §5.17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerMessage {
    /// Which.
    pub requested_message: MessageTrigger,
    /// Of which connector; absent = of all.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub connector_id: Option<ConnectorId>,
}
request!(TriggerMessage => TriggerMessageResponse);

spelled! {
    /// `MessageTrigger` (OCPP 1.6 §7.31).
    pub enum MessageTrigger {
        /// `BootNotification`.
        BootNotification = "BootNotification",
        /// `DiagnosticsStatusNotification`.
        DiagnosticsStatusNotification = "DiagnosticsStatusNotification",
        /// `FirmwareStatusNotification`.
        FirmwareStatusNotification = "FirmwareStatusNotification",
        /// `Heartbeat`.
        Heartbeat = "Heartbeat",
        /// `MeterValues`.
        MeterValues = "MeterValues",
        /// `StatusNotification`.
        StatusNotification = "StatusNotification",
    }
}

/// Answer to [`TriggerMessage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TriggerMessageResponse {
    /// Whether the message will come.
    pub status: TriggerMessageStatus,
}

spelled! {
    /// `TriggerMessageStatus` (OCPP 1.6 §7.47).
    pub enum TriggerMessageStatus {
        /// It will come.
        Accepted = "Accepted",
        /// It will not.
        Rejected = "Rejected",
        /// It is unknown.
        NotImplemented = "NotImplemented",
    }
}
