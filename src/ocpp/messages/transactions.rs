//! Core profile, from the charge point to the central system: who charges, and how much.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::meter_values::MeterValue;
use super::request;
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::lenient::{self, object, spelled};
use crate::ocpp::timestamp;

/// Asks whether a tag may charge (OCPP 1.6 §4.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Authorize {
    /// The tag; empty where it was missing.
    #[serde(default = "no_tag", deserialize_with = "tag")]
    pub id_tag: IdTag,
}
request!(Authorize => AuthorizeResponse);

/// Answer to [`Authorize`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizeResponse {
    /// The verdict.
    pub id_tag_info: IdTagInfo,
}

/// The verdict on a tag (OCPP 1.6 §7.27).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdTagInfo {
    /// May it charge?
    pub status: AuthorizationStatus,
    /// Until when the verdict holds.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub expiry_date: Option<Timestamp>,
    /// The group of the tag.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub parent_id_tag: Option<IdTag>,
}
object!(IdTagInfo);

spelled! {
    /// `AuthorizationStatus` (OCPP 1.6 §7.2).
    pub enum AuthorizationStatus {
        /// May charge.
        Accepted = "Accepted",
        /// Known and blocked.
        Blocked = "Blocked",
        /// Known, but its time is over.
        Expired = "Expired",
        /// Unknown.
        Invalid = "Invalid",
        /// Already in a transaction elsewhere.
        ConcurrentTx = "ConcurrentTx",
    }
}

/// Says that a transaction began (OCPP 1.6 §4.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartTransaction {
    /// Where.
    #[serde(deserialize_with = "lenient::required")]
    pub connector_id: ConnectorId,
    /// Who; empty where it was missing.
    #[serde(default = "no_tag", deserialize_with = "tag")]
    pub id_tag: IdTag,
    /// The register in Wh, as it came: see [`plausible_register`](super::plausible_register).
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub meter_start: Option<i64>,
    /// A reservation that it uses up; some wallboxes always send 0 or -1.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub reservation_id: Option<i64>,
    /// When, as it came; empty where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub timestamp: String,
}
request!(StartTransaction => StartTransactionResponse);

/// Answer to [`StartTransaction`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StartTransactionResponse {
    /// The verdict on the tag.
    pub id_tag_info: IdTagInfo,
    /// The number that the transaction has from now on.
    #[serde(deserialize_with = "lenient::required")]
    pub transaction_id: i64,
}

/// Says that a transaction ended (OCPP 1.6 §4.10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopTransaction<'a> {
    /// Who ended it, where that is known.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub id_tag: Option<IdTag>,
    /// The register in Wh, as it came: see [`plausible_register`](super::plausible_register).
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub meter_stop: Option<i64>,
    /// When, as it came; empty where it was missing.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub timestamp: String,
    /// Which, as it came; may be 0, negative or absurd.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub transaction_id: Option<i64>,
    /// Why, as it came; see [`StopReason`]. Absent = `Local`.
    #[serde(
        borrow,
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason: Option<Cow<'a, str>>,
    /// Meter values of the transaction.
    #[serde(
        borrow,
        default,
        deserialize_with = "lenient::list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub transaction_data: Vec<MeterValue<'a>>,
}
request!(StopTransaction<'_> => StopTransactionResponse);

spelled! {
    /// `Reason` (OCPP 1.6 §7.37).
    pub enum StopReason {
        /// The central system said that the tag is not valid.
        DeAuthorized = "DeAuthorized",
        /// The emergency stop was pressed.
        EmergencyStop = "EmergencyStop",
        /// The car was unplugged.
        EVDisconnected = "EVDisconnected",
        /// A hard reset.
        HardReset = "HardReset",
        /// At the charge point, by its user.
        Local = "Local",
        /// Something else.
        Other = "Other",
        /// The power was cut.
        PowerLoss = "PowerLoss",
        /// The charge point restarted.
        Reboot = "Reboot",
        /// The central system ended it.
        Remote = "Remote",
        /// A soft reset.
        SoftReset = "SoftReset",
        /// The central system unlocked the plug.
        UnlockCommand = "UnlockCommand",
    }
}

/// Answer to [`StopTransaction`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopTransactionResponse {
    /// The verdict on the tag, if one came.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub id_tag_info: Option<IdTagInfo>,
}

fn no_tag() -> IdTag {
    IdTag::from("")
}

fn tag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IdTag, D::Error> {
    Ok(lenient::optional(deserializer)?.unwrap_or_else(no_tag))
}
