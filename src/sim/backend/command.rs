//! What a backend may ask of a charge point.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit,
    ChargingSchedule, ChargingSchedulePeriod, Tenths,
};
use crate::ocpp::messages::{
    AvailabilityType, ChangeAvailability, ChangeConfiguration, ClearCache, ClearChargingProfile,
    DataTransfer, GetCompositeSchedule, GetConfiguration, IdTagInfo, RemoteStartTransaction,
    RemoteStopTransaction, Request, Reset, ResetType, SetChargingProfile, UnlockConnector, write,
};
use crate::units::{MilliAmps, Watts};

/// Before every session: what counts from here is in force.
const LONG_AGO: Timestamp = Timestamp::constant(1_577_836_800, 0); // 2020-01-01T00:00:00Z

/// A CALL of the backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `RemoteStartTransaction` (OCPP 1.6 §5.11).
    RemoteStart {
        /// Where; `None` = the charge point chooses.
        connector: Option<ConnectorId>,
        /// Who charges.
        tag: IdTag,
        /// A `TxProfile` for the coming transaction.
        profile: Option<ChargingProfile>,
    },
    /// `RemoteStopTransaction` (OCPP 1.6 §5.12).
    RemoteStop {
        /// Which, by the number that the backend gave it.
        transaction: i64,
    },
    /// `SetChargingProfile` (OCPP 1.6 §5.16); [`Command::limit`] is the usual one.
    SetChargingProfile {
        /// Where; 0 is the whole charge point.
        connector: ConnectorId,
        /// The profile.
        profile: ChargingProfile,
    },
    /// `ClearChargingProfile` (OCPP 1.6 §5.5).
    ClearChargingProfile(ClearChargingProfile),
    /// `GetConfiguration` (OCPP 1.6 §5.8).
    GetConfiguration {
        /// Which keys; none means all.
        keys: Vec<String>,
    },
    /// `ChangeConfiguration` (OCPP 1.6 §5.3).
    ChangeConfiguration {
        /// Which.
        key: String,
        /// Its new value.
        value: String,
    },
    /// `GetCompositeSchedule` (OCPP 1.6 §5.7).
    GetCompositeSchedule {
        /// Where; 0 is the whole charge point.
        connector: ConnectorId,
        /// For so many seconds.
        seconds: i64,
        /// `None` = the charge point chooses.
        unit: Option<ChargingRateUnit>,
    },
    /// `TriggerMessage` (OCPP 1.6 §5.17).
    Trigger {
        /// The name of the message; any text.
        message: String,
        /// Of which connector; `None` = of all.
        connector: Option<ConnectorId>,
    },
    /// `Reset` (OCPP 1.6 §5.14).
    Reset(ResetType),
    /// `ChangeAvailability` (OCPP 1.6 §5.2).
    ChangeAvailability {
        /// 0 is the charge point with all its connectors.
        connector: ConnectorId,
        /// In service or out of it.
        kind: AvailabilityType,
    },
    /// `UnlockConnector` (OCPP 1.6 §5.18).
    Unlock {
        /// Which.
        connector: ConnectorId,
    },
    /// `SendLocalList` (OCPP 1.6 §5.15).
    SendLocalList {
        /// The version that the list has afterwards.
        version: i64,
        /// Replaces the whole list.
        full: bool,
        /// A tag without a verdict is removed.
        entries: Vec<(IdTag, Option<IdTagInfo>)>,
    },
    /// `GetLocalListVersion` (OCPP 1.6 §5.10).
    GetLocalListVersion,
    /// `ReserveNow` (OCPP 1.6 §5.13).
    ReserveNow {
        /// Where; 0 is any.
        connector: ConnectorId,
        /// For whom.
        tag: IdTag,
        /// The number of the reservation.
        reservation: i64,
        /// How long it holds.
        until: Timestamp,
    },
    /// `CancelReservation` (OCPP 1.6 §5.1).
    CancelReservation {
        /// Which.
        reservation: i64,
    },
    /// `DataTransfer` (OCPP 1.6 §5.6).
    DataTransfer {
        /// Whose.
        vendor: String,
        /// What.
        message: Option<String>,
        /// The content.
        data: Option<String>,
    },
    /// `ClearCache` (OCPP 1.6 §5.4).
    ClearCache,
    /// Anything; sent in every state, and byte for byte as it stands here.
    Raw {
        /// The action.
        action: String,
        /// The payload, which should be JSON.
        payload: String,
    },
}

/// What a profile allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// On each phase.
    Amps(MilliAmps),
    /// Over all phases.
    Watts(Watts),
}

impl Command {
    /// Allows no more than `limit` at `connector`, without an end.
    pub fn limit(connector: ConnectorId, purpose: ChargingProfilePurpose, limit: Limit) -> Self {
        Self::SetChargingProfile {
            connector,
            profile: constant_profile(connector, purpose, limit),
        }
    }

    /// Removes every charging profile.
    pub fn clear_all() -> Self {
        Self::ClearChargingProfile(ClearChargingProfile::default())
    }

    /// The name of its action.
    pub fn action(&self) -> &str {
        match self {
            Self::RemoteStart { .. } => RemoteStartTransaction::ACTION,
            Self::RemoteStop { .. } => RemoteStopTransaction::ACTION,
            Self::SetChargingProfile { .. } => SetChargingProfile::ACTION,
            Self::ClearChargingProfile(_) => ClearChargingProfile::ACTION,
            Self::GetConfiguration { .. } => GetConfiguration::ACTION,
            Self::ChangeConfiguration { .. } => ChangeConfiguration::ACTION,
            Self::GetCompositeSchedule { .. } => GetCompositeSchedule::ACTION,
            Self::Trigger { .. } => "TriggerMessage",
            Self::Reset(_) => Reset::ACTION,
            Self::ChangeAvailability { .. } => ChangeAvailability::ACTION,
            Self::Unlock { .. } => UnlockConnector::ACTION,
            Self::SendLocalList { .. } => "SendLocalList",
            Self::GetLocalListVersion => "GetLocalListVersion",
            Self::ReserveNow { .. } => "ReserveNow",
            Self::CancelReservation { .. } => "CancelReservation",
            Self::DataTransfer { .. } => DataTransfer::ACTION,
            Self::ClearCache => ClearCache::ACTION,
            Self::Raw { action, .. } => action,
        }
    }

    /// Its payload, as JSON.
    pub fn payload(&self) -> String {
        match self.clone() {
            Self::RemoteStart {
                connector,
                tag,
                profile,
            } => write(&RemoteStartTransaction {
                id_tag: tag,
                connector_id: connector,
                charging_profile: profile,
            }),
            Self::RemoteStop { transaction } => write(&RemoteStopTransaction {
                transaction_id: transaction,
            }),
            Self::SetChargingProfile { connector, profile } => write(&SetChargingProfile {
                connector_id: connector,
                cs_charging_profiles: profile,
            }),
            Self::ClearChargingProfile(which) => write(&which),
            Self::GetConfiguration { keys } => write(&GetConfiguration { key: keys }),
            Self::ChangeConfiguration { key, value } => write(&ChangeConfiguration { key, value }),
            Self::GetCompositeSchedule {
                connector,
                seconds,
                unit,
            } => write(&GetCompositeSchedule {
                connector_id: connector,
                duration: seconds,
                charging_rate_unit: unit,
            }),
            Self::Reset(kind) => write(&Reset { kind }),
            Self::ChangeAvailability { connector, kind } => write(&ChangeAvailability {
                connector_id: connector,
                kind,
            }),
            Self::Unlock { connector } => write(&UnlockConnector {
                connector_id: connector,
            }),
            Self::DataTransfer {
                vendor,
                message,
                data,
            } => write(&DataTransfer {
                vendor_id: vendor,
                message_id: message,
                data,
            }),
            Self::ClearCache | Self::GetLocalListVersion => "{}".to_owned(),
            Self::Raw { payload, .. } => payload,
            other => other.untyped().to_string(),
        }
    }

    /// The payloads that the daemon itself never writes.
    fn untyped(self) -> Value {
        match self {
            Self::Trigger {
                message,
                connector: None,
            } => json!({"requestedMessage": message}),
            Self::Trigger {
                message,
                connector: Some(connector),
            } => json!({"requestedMessage": message, "connectorId": connector}),
            Self::SendLocalList {
                version,
                full,
                entries,
            } => json!({
                "listVersion": version,
                "updateType": if full { "Full" } else { "Differential" },
                "localAuthorizationList": entries.iter().map(list_entry).collect::<Value>(),
            }),
            Self::ReserveNow {
                connector,
                tag,
                reservation,
                until,
            } => json!({
                "connectorId": connector,
                "expiryDate": until,
                "idTag": tag,
                "reservationId": reservation,
            }),
            Self::CancelReservation { reservation } => json!({"reservationId": reservation}),
            _ => json!({}),
        }
    }
}

fn list_entry((tag, verdict): &(IdTag, Option<IdTagInfo>)) -> Value {
    match verdict {
        Some(verdict) => json!({"idTag": tag, "idTagInfo": verdict}),
        None => json!({"idTag": tag}),
    }
}

/// Allows no more than `limit` from now on. It replaces the one of the same purpose and connector.
pub fn constant_profile(
    connector: ConnectorId,
    purpose: ChargingProfilePurpose,
    limit: Limit,
) -> ChargingProfile {
    let (charging_rate_unit, limit) = match limit {
        Limit::Amps(current) => (ChargingRateUnit::Amperes, Tenths::of_amps(current)),
        Limit::Watts(power) => (ChargingRateUnit::Watts, Tenths::of_watts(power)),
    };
    let family = match purpose {
        ChargingProfilePurpose::ChargePointMaxProfile => 1000,
        ChargingProfilePurpose::TxDefaultProfile => 2000,
        ChargingProfilePurpose::TxProfile => 3000,
    };
    ChargingProfile {
        charging_profile_id: family + i64::from(connector.0),
        transaction_id: None,
        stack_level: 0,
        charging_profile_purpose: purpose,
        charging_profile_kind: ChargingProfileKind::Absolute,
        recurrency_kind: None,
        valid_from: None,
        valid_to: None,
        charging_schedule: ChargingSchedule {
            duration: None,
            start_schedule: Some(LONG_AGO),
            charging_rate_unit,
            charging_schedule_period: vec![ChargingSchedulePeriod {
                start_period: 0,
                limit,
                number_phases: None,
            }],
            min_charging_rate: None,
        },
    }
}
