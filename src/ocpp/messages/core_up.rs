//! Core profile, from the charge point to the central system; `DataTransfer` goes both ways.
//! What belongs to transactions is in
//! `transactions`, meter values are in `meter_values`.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::{Empty, request};
use crate::ids::ConnectorId;
use crate::ocpp::ChargePointStatus;
use crate::ocpp::lenient::{self, spelled};
use crate::ocpp::timestamp;

/// Says what the charge point is, after it started (OCPP 1.6 §4.2).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootNotification {
    /// Who made it; empty where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub charge_point_vendor: String,
    /// What it is; empty where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub charge_point_model: String,
    /// Its serial number.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub charge_point_serial_number: Option<String>,
    /// Its serial number, in older devices.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub charge_box_serial_number: Option<String>,
    /// Its firmware.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub firmware_version: Option<String>,
    /// Its SIM card.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub iccid: Option<String>,
    /// The subscriber of its SIM card.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub imsi: Option<String>,
    /// Its meter.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub meter_type: Option<String>,
    /// The serial number of its meter.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub meter_serial_number: Option<String>,
}
request!(BootNotification => BootNotificationResponse);

/// Answer to [`BootNotification`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BootNotificationResponse {
    /// Whether the charge point is welcome.
    pub status: RegistrationStatus,
    /// The time of the central system.
    #[serde(with = "timestamp::required")]
    pub current_time: Timestamp,
    /// Seconds between heartbeats, or until the next try.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub interval: i64,
}

spelled! {
    /// `RegistrationStatus` (OCPP 1.6 §7.40).
    pub enum RegistrationStatus {
        /// Welcome.
        Accepted = "Accepted",
        /// Not yet; the central system may set it up.
        Pending = "Pending",
        /// Not welcome.
        Rejected = "Rejected",
    }
}

/// Anything that a vendor needs (OCPP 1.6 §4.3, §5.6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataTransfer {
    /// Whose; empty where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub vendor_id: String,
    /// What.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub message_id: Option<String>,
    /// The content, if it is a string.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<String>,
}
request!(DataTransfer => DataTransferResponse);

/// Answer to [`DataTransfer`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataTransferResponse {
    /// What became of it.
    pub status: DataTransferStatus,
    /// The content, if it is a string.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub data: Option<String>,
}

spelled! {
    /// `DataTransferStatus` (OCPP 1.6 §7.23).
    pub enum DataTransferStatus {
        /// Understood and done.
        Accepted = "Accepted",
        /// Understood and not done.
        Rejected = "Rejected",
        /// The message is unknown.
        UnknownMessageId = "UnknownMessageId",
        /// The vendor is unknown.
        UnknownVendorId = "UnknownVendorId",
    }
}

/// Says that the charge point is there (OCPP 1.6 §4.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Heartbeat {}
request!(Heartbeat => HeartbeatResponse);

/// Answer to [`Heartbeat`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HeartbeatResponse {
    /// The time of the central system.
    #[serde(with = "timestamp::required")]
    pub current_time: Timestamp,
}

/// Says what a connector does, or the whole charge point (OCPP 1.6 §4.9).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusNotification {
    /// Which; 0 is the whole charge point, also where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub connector_id: ConnectorId,
    /// What is wrong; something, where it is not known.
    #[serde(default = "no_error", deserialize_with = "error_code")]
    pub error_code: ChargePointErrorCode,
    /// More about it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub info: Option<String>,
    /// What it does.
    #[serde(deserialize_with = "lenient::required")]
    pub status: ChargePointStatus,
    /// Since when, as it came.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub timestamp: Option<String>,
    /// Who defines the vendor's code.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub vendor_id: Option<String>,
    /// The vendor's code of what is wrong.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub vendor_error_code: Option<String>,
}
request!(StatusNotification => Empty);

spelled! {
    /// `ChargePointErrorCode` (OCPP 1.6 §7.6).
    pub enum ChargePointErrorCode {
        /// The plug could not be locked or unlocked.
        ConnectorLockFailure = "ConnectorLockFailure",
        /// No talk with the car.
        EVCommunicationError = "EVCommunicationError",
        /// The residual current device has tripped.
        GroundFailure = "GroundFailure",
        /// Too hot inside.
        HighTemperature = "HighTemperature",
        /// Hardware or software is broken.
        InternalError = "InternalError",
        /// The local list and the central system disagree.
        LocalListConflict = "LocalListConflict",
        /// Nothing.
        NoError = "NoError",
        /// Something else.
        OtherError = "OtherError",
        /// The overcurrent protection has tripped.
        OverCurrentFailure = "OverCurrentFailure",
        /// The voltage is too high.
        OverVoltage = "OverVoltage",
        /// The meter cannot be read.
        PowerMeterFailure = "PowerMeterFailure",
        /// The contactor does not switch.
        PowerSwitchFailure = "PowerSwitchFailure",
        /// The tag reader is broken.
        ReaderFailure = "ReaderFailure",
        /// The reset did not work.
        ResetFailure = "ResetFailure",
        /// The voltage is too low.
        UnderVoltage = "UnderVoltage",
        /// The radio link is poor.
        WeakSignal = "WeakSignal",
    }
}

const fn no_error() -> ChargePointErrorCode {
    ChargePointErrorCode::NoError
}

/// Absent or blank is none; what is unknown is something.
fn error_code<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ChargePointErrorCode, D::Error> {
    let code: Option<Cow<'_, str>> = lenient::optional(deserializer)?;
    Ok(match code.as_deref().map(str::trim) {
        None | Some("") => ChargePointErrorCode::NoError,
        Some(code) => ChargePointErrorCode::parse(code).unwrap_or(ChargePointErrorCode::OtherError),
    })
}
