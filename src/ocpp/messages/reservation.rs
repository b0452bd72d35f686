//! Reservation profile, from the central system to the charge point.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Accepted, request};
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::lenient::{self, spelled};
use crate::ocpp::timestamp;

/// Keeps a connector for somebody (OCPP 1.6 §5.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReserveNow {
    /// Which; 0 = any of them.
    #[serde(deserialize_with = "lenient::required")]
    pub connector_id: ConnectorId,
    /// Until when.
    #[serde(with = "timestamp::required")]
    pub expiry_date: Timestamp,
    /// For whom.
    #[serde(deserialize_with = "lenient::required")]
    pub id_tag: IdTag,
    /// For whose whole group; what cannot be read must not make it smaller.
    #[serde(
        default,
        deserialize_with = "lenient::readable",
        skip_serializing_if = "Option::is_none"
    )]
    pub parent_id_tag: Option<IdTag>,
    /// Its number; a reservation of the same number is replaced.
    #[serde(deserialize_with = "lenient::required")]
    pub reservation_id: i64,
}
request!(ReserveNow => ReserveNowResponse);

/// Answer to [`ReserveNow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveNowResponse {
    /// Whether it is kept.
    pub status: ReservationStatus,
}

spelled! {
    /// `ReservationStatus` (OCPP 1.6 §7.39).
    pub enum ReservationStatus {
        /// It is kept.
        Accepted = "Accepted",
        /// It is broken.
        Faulted = "Faulted",
        /// It is in use or kept already.
        Occupied = "Occupied",
        /// It is not kept.
        Rejected = "Rejected",
        /// It is out of service.
        Unavailable = "Unavailable",
    }
}

/// Ends a reservation (OCPP 1.6 §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CancelReservation {
    /// Which.
    #[serde(deserialize_with = "lenient::required")]
    pub reservation_id: i64,
}
request!(CancelReservation => Accepted);
