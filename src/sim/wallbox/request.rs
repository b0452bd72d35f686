//! What a central system may ask, read strictly: what does not fit is a fault of ours to find.

use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::ocpp::charging_profile::{ChargingProfile, ChargingProfilePurpose, ChargingRateUnit};

/// Actions of OCPP 1.6 that this wallbox knows and does not support.
const UNSUPPORTED: [&str; 6] = [
    "CancelReservation",
    "GetDiagnostics",
    "GetLocalListVersion",
    "ReserveNow",
    "SendLocalList",
    "UpdateFirmware",
];

/// The actions that it carries out.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "action",
    content = "payload",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(super) enum Request {
    ChangeAvailability {
        connector_id: u32,
        r#type: Availability,
    },
    ChangeConfiguration {
        key: String,
        value: String,
    },
    ClearCache {},
    ClearChargingProfile {
        id: Option<i64>,
        connector_id: Option<u32>,
        #[serde(default, deserialize_with = "purpose")]
        charging_profile_purpose: Option<ChargingProfilePurpose>,
        stack_level: Option<i64>,
    },
    DataTransfer {
        #[serde(rename = "vendorId")]
        _vendor_id: String,
        #[serde(rename = "messageId")]
        _message_id: Option<String>,
        #[serde(rename = "data")]
        _data: Option<String>,
    },
    GetCompositeSchedule {
        connector_id: u32,
        duration: i64,
        #[serde(default, deserialize_with = "unit")]
        charging_rate_unit: Option<ChargingRateUnit>,
    },
    GetConfiguration {
        key: Option<Vec<String>>,
    },
    RemoteStartTransaction {
        id_tag: String,
        connector_id: Option<u32>,
        charging_profile: Option<Value>,
    },
    RemoteStopTransaction {
        transaction_id: i64,
    },
    Reset {
        r#type: ResetKind,
    },
    SetChargingProfile {
        connector_id: u32,
        cs_charging_profiles: Value,
    },
    TriggerMessage {
        requested_message: String,
        connector_id: Option<u32>,
    },
    UnlockConnector {
        connector_id: u32,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Availability {
    Inoperative,
    Operative,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum ResetKind {
    Hard,
    Soft,
}

/// Why a request cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The action belongs to a profile that this wallbox lacks.
    NotSupported,
    /// OCPP 1.6 has no such action.
    NotImplemented,
    /// The payload is not what the specification says.
    Malformed(String),
}

impl Request {
    pub(super) fn read(action: &str, payload: &Value) -> Result<Self, Fault> {
        if UNSUPPORTED.contains(&action) {
            return Err(Fault::NotSupported);
        }
        let tagged = json!({"action": action, "payload": payload});
        serde_json::from_value(tagged).map_err(|error| {
            let error = error.to_string();
            if error.starts_with("unknown variant") && error.contains(action) {
                Fault::NotImplemented
            } else {
                Fault::Malformed(error)
            }
        })
    }
}

fn purpose<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<ChargingProfilePurpose>, D::Error> {
    let all = ChargingProfilePurpose::ALL;
    exactly(deserializer, all, ChargingProfilePurpose::as_str)
}

fn unit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ChargingRateUnit>, D::Error> {
    exactly(
        deserializer,
        ChargingRateUnit::ALL,
        ChargingRateUnit::as_str,
    )
}

/// Unlike the types themselves this knows only the spelling of the specification.
fn exactly<'de, D: Deserializer<'de>, T: Copy>(
    deserializer: D,
    all: &[T],
    spelling: fn(T) -> &'static str,
) -> Result<Option<T>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let found = all.iter().copied().find(|value| spelling(*value) == text);
    found
        .map(Some)
        .ok_or_else(|| Error::custom(format!("no such value: {text}")))
}

/// Reads a charging profile and says what is wrong with the way it is written: members that are
/// unknown or of another type do not survive being read and written again.
pub(super) fn read_profile(raw: &Value) -> Result<ChargingProfile, Fault> {
    let malformed = |error: serde_json::Error| Fault::Malformed(error.to_string());
    let profile: ChargingProfile = serde_json::from_str(&raw.to_string()).map_err(malformed)?;
    let written = serde_json::to_value(&profile).map_err(malformed)?;
    if written != *raw {
        return Err(Fault::Malformed(format!("read as {written}")));
    }
    Ok(profile)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_told_apart_from_what_is_unknown() {
        let read = |action, payload| Request::read(action, &payload).err();
        assert_eq!(read("ClearCache", json!({})), None);
        assert_eq!(read("ReserveNow", json!({})), Some(Fault::NotSupported));
        assert_eq!(read("MakeCoffee", json!({})), Some(Fault::NotImplemented));
        for (action, payload) in [
            ("ClearCache", json!({"extra": 1})),
            ("Reset", json!({"type": "Gentle"})),
            ("Reset", json!({})),
            ("ChangeConfiguration", json!({"key": "a", "value": 10})),
            ("UnlockConnector", json!({"connectorId": "1"})),
        ] {
            let fault = read(action, payload);
            assert!(
                matches!(fault, Some(Fault::Malformed(_))),
                "{action}: {fault:?}"
            );
        }
    }

    #[test]
    fn a_profile_must_be_written_as_the_specification_says() {
        let good = json!({"chargingProfileId": 1, "stackLevel": 0,
            "chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Relative",
            "chargingSchedule": {"chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.6}]}});
        assert!(read_profile(&good).is_ok());
        for (member, value) in [
            ("stackLevel", json!("0")),
            ("chargingProfilePurpose", json!("txdefaultprofile")),
            ("extra", json!(1)),
            ("transactionId", Value::Null),
        ] {
            let mut bad = good.clone();
            bad[member] = value;
            let fault = read_profile(&bad).err();
            assert!(
                matches!(fault, Some(Fault::Malformed(_))),
                "{member}: {fault:?}"
            );
        }
    }
}
