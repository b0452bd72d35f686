//! Smart charging profile, from the central system to the charge point.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Acceptance, request};
use crate::ids::ConnectorId;
use crate::ocpp::charging_profile::{
    ChargingProfile, ChargingProfilePurpose, ChargingRateUnit, ChargingSchedule,
};
use crate::ocpp::lenient::{self, spelled};
use crate::ocpp::timestamp;

/// Installs a charging profile (OCPP 1.6 §5.16).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetChargingProfile {
    /// Where; 0 is the whole charge point.
    #[serde(deserialize_with = "lenient::required")]
    pub connector_id: ConnectorId,
    /// The profile; one, despite the name.
    pub cs_charging_profiles: ChargingProfile,
}
request!(SetChargingProfile => SetChargingProfileResponse);

/// Answer to [`SetChargingProfile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetChargingProfileResponse {
    /// What became of it.
    pub status: ChargingProfileStatus,
}

spelled! {
    /// `ChargingProfileStatus` (OCPP 1.6 §7.9).
    pub enum ChargingProfileStatus {
        /// Installed.
        Accepted = "Accepted",
        /// Not installed.
        Rejected = "Rejected",
        /// There is no smart charging.
        NotSupported = "NotSupported",
    }
}

/// Removes charging profiles (OCPP 1.6 §5.5): the one with the id, or all that match every other
/// field that is there.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClearChargingProfile {
    /// Exactly this one.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub id: Option<i64>,
    /// Those of this connector.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub connector_id: Option<ConnectorId>,
    /// Those with this purpose.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub charging_profile_purpose: Option<ChargingProfilePurpose>,
    /// Those on this level.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub stack_level: Option<i64>,
}
request!(ClearChargingProfile => ClearChargingProfileResponse);

/// Answer to [`ClearChargingProfile`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearChargingProfileResponse {
    /// What became of it.
    pub status: ClearChargingProfileStatus,
}

spelled! {
    /// `ClearChargingProfileStatus` (OCPP 1.6 §7.20).
    pub enum ClearChargingProfileStatus {
        /// At least one was removed.
        Accepted = "Accepted",
        /// None matched.
        Unknown = "Unknown",
    }
}

/// Asks what all profiles together allow (OCPP 1.6 §5.7).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetCompositeSchedule {
    /// Where; 0 is the whole charge point.
    #[serde(deserialize_with = "lenient::required")]
    pub connector_id: ConnectorId,
    /// For how many seconds from now.
    #[serde(deserialize_with = "lenient::required")]
    pub duration: i64,
    /// In which unit; absent = the charge point chooses.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub charging_rate_unit: Option<ChargingRateUnit>,
}
request!(GetCompositeSchedule => GetCompositeScheduleResponse);

/// Answer to [`GetCompositeSchedule`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetCompositeScheduleResponse {
    /// Whether there is a schedule.
    pub status: Acceptance,
    /// Where.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub connector_id: Option<ConnectorId>,
    /// What its periods count from.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub schedule_start: Option<Timestamp>,
    /// The schedule; `startSchedule` is absent in it.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub charging_schedule: Option<ChargingSchedule>,
}
