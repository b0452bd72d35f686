//! Core profile, from the central system to the charge point.

use serde::{Deserialize, Serialize};

use super::{Accepted, request};
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::charging_profile::ChargingProfile;
use crate::ocpp::lenient::{self, object, spelled};

/// Takes a connector out of service or back (OCPP 1.6 §5.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeAvailability {
    /// 0 is the charge point with all its connectors.
    #[serde(deserialize_with = "lenient::required")]
    pub connector_id: ConnectorId,
    /// Which.
    #[serde(rename = "type")]
    pub kind: AvailabilityType,
}
request!(ChangeAvailability => ChangeAvailabilityResponse);

spelled! {
    /// `AvailabilityType` (OCPP 1.6 §7.4).
    pub enum AvailabilityType {
        /// Out of service.
        Inoperative = "Inoperative",
        /// In service.
        Operative = "Operative",
    }
}

/// Answer to [`ChangeAvailability`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeAvailabilityResponse {
    /// What becomes of it.
    pub status: AvailabilityStatus,
}

spelled! {
    /// `AvailabilityStatus` (OCPP 1.6 §7.3).
    pub enum AvailabilityStatus {
        /// Done.
        Accepted = "Accepted",
        /// Not done.
        Rejected = "Rejected",
        /// Done when the transaction has ended.
        Scheduled = "Scheduled",
    }
}

/// Sets a configuration key (OCPP 1.6 §5.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeConfiguration {
    /// Its name; case does not matter.
    #[serde(deserialize_with = "lenient::required")]
    pub key: String,
    /// Its new value, whatever its type, as text.
    #[serde(deserialize_with = "lenient::required")]
    pub value: String,
}
request!(ChangeConfiguration => ChangeConfigurationResponse);

/// Answer to [`ChangeConfiguration`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeConfigurationResponse {
    /// What becomes of it.
    pub status: ConfigurationStatus,
}

spelled! {
    /// `ConfigurationStatus` (OCPP 1.6 §7.22).
    pub enum ConfigurationStatus {
        /// Set and in force.
        Accepted = "Accepted",
        /// Known, but not to this value.
        Rejected = "Rejected",
        /// Set; in force after a reboot.
        RebootRequired = "RebootRequired",
        /// Unknown.
        NotSupported = "NotSupported",
    }
}

/// Empties the authorization cache (OCPP 1.6 §5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ClearCache {}
request!(ClearCache => Accepted);

/// Asks for configuration keys (OCPP 1.6 §5.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetConfiguration {
    /// Which; none means all.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub key: Vec<String>,
}
request!(GetConfiguration => GetConfigurationResponse);

/// Answer to [`GetConfiguration`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetConfigurationResponse {
    /// The known ones.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub configuration_key: Vec<KeyValue>,
    /// The names that are unknown.
    #[serde(
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub unknown_key: Vec<String>,
}

/// One configuration key (OCPP 1.6 §7.29).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyValue {
    /// Its name.
    #[serde(deserialize_with = "lenient::required")]
    pub key: String,
    /// Whether it cannot be set.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub readonly: bool,
    /// Its value; absent if it has none or must not be read.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub value: Option<String>,
}
object!(KeyValue);

/// Asks for a transaction (OCPP 1.6 §5.11). Accepted means "will try".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteStartTransaction {
    /// Who charges.
    #[serde(deserialize_with = "lenient::required")]
    pub id_tag: IdTag,
    /// Where; absent = the charge point chooses.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub connector_id: Option<ConnectorId>,
    /// A `TxProfile` for the coming transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charging_profile: Option<ChargingProfile>,
}
request!(RemoteStartTransaction => Accepted);

/// Ends a transaction (OCPP 1.6 §5.12).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RemoteStopTransaction {
    /// Which.
    #[serde(deserialize_with = "lenient::required")]
    pub transaction_id: i64,
}
request!(RemoteStopTransaction => Accepted);

/// Restarts the charge point (OCPP 1.6 §5.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reset {
    /// How.
    #[serde(rename = "type")]
    pub kind: ResetType,
}
request!(Reset => Accepted);

spelled! {
    /// `ResetType` (OCPP 1.6 §7.41).
    pub enum ResetType {
        /// The hardware.
        Hard = "Hard",
        /// The software, after its transactions have ended.
        Soft = "Soft",
    }
}

/// Unlocks a plug (OCPP 1.6 §5.18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnlockConnector {
    /// Which.
    #[serde(deserialize_with = "lenient::required")]
    pub connector_id: ConnectorId,
}
request!(UnlockConnector => UnlockConnectorResponse);

/// Answer to [`UnlockConnector`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnlockConnectorResponse {
    /// What became of it.
    pub status: UnlockStatus,
}

spelled! {
    /// `UnlockStatus` (OCPP 1.6 §7.48).
    pub enum UnlockStatus {
        /// Open.
        Unlocked = "Unlocked",
        /// Still locked.
        UnlockFailed = "UnlockFailed",
        /// There is no lock, or no such connector.
        NotSupported = "NotSupported",
    }
}
