//! Typed views of the messages of the Core, `SmartCharging`, `RemoteTrigger`, `Reservation` and
//! `LocalAuthListManagement` profiles, of what of `FirmwareManagement` is said without firmware, and
//! of the security extension.
//!
//! One type serves both peers: written strictly, with the names of the specification and without
//! `null`, and read leniently, so that a message is lost only if what makes it up is missing.

mod core_down;
mod core_up;
mod firmware;
mod local_list;
mod meter_values;
mod remote_trigger;
mod reservation;
mod security;
mod smart_charging;
mod transactions;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use thiserror::Error;

use super::error_code::ErrorCode;
use super::lenient::spelled;

pub use core_down::*;
pub use core_up::*;
pub use firmware::*;
pub use local_list::*;
pub use meter_values::*;
pub use remote_trigger::*;
pub use reservation::*;
pub use security::*;
pub use smart_charging::*;
pub use transactions::*;

/// The payload of a CALL.
pub trait Request: Serialize {
    /// The name of the action.
    const ACTION: &'static str;

    /// The payload of its CALLRESULT.
    type Response;
}

macro_rules! request {
    ($name:ident $(<$life:lifetime>)? => $response:ty) => {
        impl $crate::ocpp::messages::Request for $name $(<$life>)? {
            const ACTION: &'static str = stringify!($name);
            type Response = $response;
        }
    };
}
use request;

/// A payload that cannot be taken for the message it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}: {what}")]
pub struct ViewError {
    /// What to answer a CALL with.
    pub code: ErrorCode,
    /// What is wrong, and where.
    pub what: String,
}

/// Reads a payload.
///
/// # Errors
/// If what the message cannot do without is missing or cannot be read.
pub fn parse<'a, T: Deserialize<'a>>(payload: &'a RawValue) -> Result<T, ViewError> {
    let text = match payload.get() {
        // What some peers make of an object without members.
        "null" | "[]" | "\"\"" => "{}",
        text => text,
    };
    if !text.starts_with('{') {
        return Err(ViewError {
            code: ErrorCode::FormationViolation,
            what: "the payload is no object".to_owned(),
        });
    }
    serde_json::from_str(text).map_err(|error| {
        let what = error.to_string();
        // serde keeps the kind of an error in its words only.
        let code = if what.starts_with("missing field") {
            ErrorCode::OccurenceConstraintViolation
        } else if what.starts_with("invalid type") {
            ErrorCode::TypeConstraintViolation
        } else if what.starts_with("invalid value") {
            ErrorCode::PropertyConstraintViolation
        } else {
            ErrorCode::FormationViolation
        };
        ViewError { code, what }
    })
}

/// Writes a payload.
pub fn write<T: Serialize>(message: &T) -> String {
    // Strings, integers and finite decimals: nothing in a message can fail to be written.
    serde_json::to_string(message).unwrap_or_else(|_| "{}".to_owned())
}

/// A response without members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

spelled! {
    /// The status of a response that knows only yes and no.
    pub enum Acceptance {
        /// Yes.
        Accepted = "Accepted",
        /// No.
        Rejected = "Rejected",
    }
}

/// A response that says only yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Yes or no.
    pub status: Acceptance,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn raw(json: &str) -> &RawValue {
        serde_json::from_str(json).unwrap()
    }

    fn same<'a, T: Deserialize<'a> + Serialize>(json: &'a str) {
        match parse::<T>(raw(json)) {
            Ok(message) => assert_eq!(write(&message), json),
            Err(error) => panic!("{json}: {error}"),
        }
    }

    fn refused<'a, T: Deserialize<'a> + std::fmt::Debug>(json: &'a str, code: ErrorCode) {
        let error = parse::<T>(raw(json)).unwrap_err();
        assert_eq!(error.code, code, "{json}: {error}");
    }

    #[test]
    fn what_a_charge_point_sends_is_read_and_written_without_a_difference() {
        same::<Authorize>(r#"{"idTag":"04A1B2C3"}"#);
        same::<BootNotification>(
            r#"{"chargePointVendor":"Acme","chargePointModel":"WB22","chargePointSerialNumber":"1","chargeBoxSerialNumber":"2","firmwareVersion":"1.4","iccid":"3","imsi":"4","meterType":"5","meterSerialNumber":"6"}"#,
        );
        same::<BootNotification>(r#"{"chargePointVendor":"Acme","chargePointModel":"WB22"}"#);
        same::<DataTransfer>(r#"{"vendorId":"Acme","messageId":"m","data":"{\"a\":1}"}"#);
        same::<DiagnosticsStatusNotification>(r#"{"status":"Uploading"}"#);
        same::<FirmwareStatusNotification>(r#"{"status":"Idle"}"#);
        same::<Heartbeat>("{}");
        same::<MeterValues>(
            r#"{"connectorId":1,"transactionId":77,"meterValue":[{"timestamp":"2026-01-15T10:00:10Z","sampledValue":[{"value":"16.1","context":"Sample.Clock","format":"Raw","measurand":"Current.Import","phase":"L1-N","location":"Outlet","unit":"A"},{"value":"123456"}]}]}"#,
        );
        same::<StartTransaction>(
            r#"{"connectorId":1,"idTag":"04A1B2C3","meterStart":123456,"reservationId":3,"timestamp":"2026-01-15T10:00:05Z"}"#,
        );
        same::<StatusNotification>(
            r#"{"connectorId":1,"errorCode":"EVCommunicationError","info":"x","status":"SuspendedEV","timestamp":"2026-01-15T10:00:05Z","vendorId":"Acme","vendorErrorCode":"E7"}"#,
        );
        same::<StopTransaction>(
            r#"{"idTag":"04A1B2C3","meterStop":130000,"timestamp":"2026-01-15T12:00:00Z","transactionId":77,"reason":"EVDisconnected","transactionData":[{"timestamp":"2026-01-15T12:00:00Z","sampledValue":[{"value":"OCMF|{}|{}","context":"Transaction.End","format":"SignedData"}]}]}"#,
        );
    }

    #[test]
    fn what_a_central_system_sends_is_read_and_written_without_a_difference() {
        same::<CancelReservation>(r#"{"reservationId":3}"#);
        same::<ChangeAvailability>(r#"{"connectorId":0,"type":"Inoperative"}"#);
        same::<ChangeConfiguration>(r#"{"key":"WebSocketPingInterval","value":"30"}"#);
        same::<ClearCache>("{}");
        same::<ClearChargingProfile>(
            r#"{"id":1,"connectorId":0,"chargingProfilePurpose":"TxDefaultProfile","stackLevel":2}"#,
        );
        same::<ClearChargingProfile>("{}");
        same::<GetCompositeSchedule>(r#"{"connectorId":1,"duration":600,"chargingRateUnit":"W"}"#);
        same::<GetConfiguration>("{}");
        same::<GetConfiguration>(r#"{"key":["NumberOfConnectors"]}"#);
        same::<RemoteStartTransaction>(
            r#"{"idTag":"04A1B2C3","connectorId":1,"chargingProfile":{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16}]}}}"#,
        );
        same::<RemoteStopTransaction>(r#"{"transactionId":77}"#);
        same::<ReserveNow>(
            r#"{"connectorId":1,"expiryDate":"2026-01-15T12:00:00Z","idTag":"04A1B2C3","parentIdTag":"P","reservationId":3}"#,
        );
        same::<Reset>(r#"{"type":"Soft"}"#);
        same::<GetLocalListVersion>("{}");
        same::<SendLocalList>(
            r#"{"listVersion":2,"updateType":"Differential","localAuthorizationList":[{"idTag":"A","idTagInfo":{"status":"Blocked"}},{"idTag":"B"}]}"#,
        );
        same::<SetChargingProfile>(
            r#"{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"transactionId":77,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Recurring","recurrencyKind":"Weekly","validFrom":"2026-01-14T10:00:00Z","validTo":"2026-02-14T10:00:00Z","chargingSchedule":{"duration":86400,"startSchedule":"2026-01-14T10:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":10.7,"numberPhases":3},{"startPeriod":60,"limit":0}],"minChargingRate":6}}}"#,
        );
        same::<TriggerMessage>(r#"{"requestedMessage":"StatusNotification","connectorId":1}"#);
        same::<UnlockConnector>(r#"{"connectorId":1}"#);
    }

    #[test]
    fn answers_are_read_and_written_without_a_difference() {
        same::<AuthorizeResponse>(
            r#"{"idTagInfo":{"status":"Accepted","expiryDate":"2026-01-15T12:00:00Z","parentIdTag":"P"}}"#,
        );
        same::<BootNotificationResponse>(
            r#"{"status":"Accepted","currentTime":"2026-01-15T10:00:00Z","interval":300}"#,
        );
        same::<ChangeAvailabilityResponse>(r#"{"status":"Scheduled"}"#);
        same::<ChangeConfigurationResponse>(r#"{"status":"RebootRequired"}"#);
        same::<ClearChargingProfileResponse>(r#"{"status":"Unknown"}"#);
        same::<Accepted>(r#"{"status":"Rejected"}"#);
        same::<DataTransferResponse>(r#"{"status":"UnknownVendorId","data":"x"}"#);
        same::<Empty>("{}");
        same::<GetCompositeScheduleResponse>(
            r#"{"status":"Accepted","connectorId":1,"scheduleStart":"2026-01-15T10:00:00Z","chargingSchedule":{"duration":600,"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":16}]}}"#,
        );
        same::<GetConfigurationResponse>(
            r#"{"configurationKey":[{"key":"NumberOfConnectors","readonly":true,"value":"1"},{"key":"AuthorizationKey","readonly":false}],"unknownKey":["x"]}"#,
        );
        same::<HeartbeatResponse>(r#"{"currentTime":"2026-01-15T10:00:00Z"}"#);
        same::<ReserveNowResponse>(r#"{"status":"Occupied"}"#);
        same::<SetChargingProfileResponse>(r#"{"status":"NotSupported"}"#);
        same::<StartTransactionResponse>(
            r#"{"idTagInfo":{"status":"ConcurrentTx"},"transactionId":77}"#,
        );
        same::<StopTransactionResponse>(r#"{"idTagInfo":{"status":"Accepted"}}"#);
        same::<StopTransactionResponse>("{}");
        same::<GetLocalListVersionResponse>(r#"{"listVersion":-1}"#);
        same::<SendLocalListResponse>(r#"{"status":"VersionMismatch"}"#);
        same::<TriggerMessageResponse>(r#"{"status":"NotImplemented"}"#);
        same::<UnlockConnectorResponse>(r#"{"status":"UnlockFailed"}"#);
    }

    #[test]
    fn a_refusal_says_what_kind_of_mistake_it_was() {
        refused::<StatusNotification>("{}", ErrorCode::OccurenceConstraintViolation);
        refused::<StatusNotification>(
            r#"{"status":"Sleeping"}"#,
            ErrorCode::PropertyConstraintViolation,
        );
        refused::<StatusNotification>(r#"{"status":[]}"#, ErrorCode::TypeConstraintViolation);
        refused::<SetChargingProfile>(
            r#"{"connectorId":1,"csChargingProfiles":{"chargingProfileId":1,"chargingProfilePurpose":"TxProfile","chargingProfileKind":"Relative","chargingSchedule":{"chargingRateUnit":"V"}}}"#,
            ErrorCode::PropertyConstraintViolation,
        );
        for json in [r#"["Available"]"#, "1", "\"x\"", "true"] {
            refused::<StatusNotification>(json, ErrorCode::FormationViolation);
        }
    }

    #[test]
    fn an_empty_payload_is_an_empty_object_however_it_is_written() {
        for json in ["{}", "null", "[]", "\"\""] {
            assert_eq!(
                parse::<StopTransactionResponse>(raw(json)),
                Ok(StopTransactionResponse::default())
            );
        }
    }

    #[test]
    fn a_profile_that_cannot_be_read_is_not_taken_for_no_profile() {
        let json = r#"{"idTag":"T","chargingProfile":{"chargingProfileId":1}}"#;
        refused::<RemoteStartTransaction>(json, ErrorCode::OccurenceConstraintViolation);
        let json = r#"{"id":"all"}"#;
        refused::<ClearChargingProfile>(json, ErrorCode::PropertyConstraintViolation);
    }

    proptest! {
        #[test]
        fn a_mutated_message_never_panics(at in 0..200_usize, with in any::<char>()) {
            let json = r#"{"connectorId":1,"status":"Charging","errorCode":"NoError","idTag":"x","meterStart":-5,"transactionId":9e99,"meterValue":[{"timestamp":"2026-01-15T10:00:10Z","sampledValue":[{"value":"1"}]}]}"#;
            let text: String = json
                .chars()
                .enumerate()
                .map(|(i, c)| if i == at { with } else { c })
                .collect();
            if let Ok(raw) = serde_json::from_str::<&RawValue>(&text) {
                let _ = parse::<StatusNotification>(raw);
                let _ = parse::<StartTransaction>(raw);
                let _ = parse::<StopTransaction>(raw);
                if let Ok(values) = parse::<MeterValues>(raw) {
                    let _ = crate::ocpp::Reading::of(&values.meter_value);
                }
            }
        }
    }
}
