//! `LocalAuthListManagement` profile, from the central system to the charge point.

use serde::{Deserialize, Serialize};

use super::{IdTagInfo, request};
use crate::ids::IdTag;
use crate::ocpp::lenient::{self, spelled};

/// Sends a list of tags, or what changes in it (OCPP 1.6 §5.15).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SendLocalList {
    /// What the list is called from now on.
    #[serde(deserialize_with = "lenient::required")]
    pub list_version: i64,
    /// A list or a change.
    pub update_type: UpdateType,
    /// One entry that cannot be read spoils all: a tag that is left out might be a blocked one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_authorization_list: Option<Vec<AuthorizationData>>,
}
request!(SendLocalList => SendLocalListResponse);

/// One tag of a list (OCPP 1.6 §7.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationData {
    /// Which.
    #[serde(deserialize_with = "lenient::required")]
    pub id_tag: IdTag,
    /// The verdict on it; absent = the tag leaves the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_tag_info: Option<IdTagInfo>,
}

spelled! {
    /// `UpdateType` (OCPP 1.6 §7.46).
    pub enum UpdateType {
        /// Some tags come, change or go.
        Differential = "Differential",
        /// A new list takes the place of the old one.
        Full = "Full",
    }
}

/// Answer to [`SendLocalList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendLocalListResponse {
    /// What became of it.
    pub status: UpdateStatus,
}

spelled! {
    /// `UpdateStatus` (OCPP 1.6 §7.45).
    pub enum UpdateStatus {
        /// The list is as it was sent.
        Accepted = "Accepted",
        /// The list is as it was.
        Failed = "Failed",
        /// There is no list.
        NotSupported = "NotSupported",
        /// The list is as it was, and not older than this change.
        VersionMismatch = "VersionMismatch",
    }
}

/// Asks which list is there (OCPP 1.6 §5.10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct GetLocalListVersion {}
request!(GetLocalListVersion => GetLocalListVersionResponse);

/// Answer to [`GetLocalListVersion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GetLocalListVersionResponse {
    /// 0 = none was sent, -1 = there can be none.
    #[serde(deserialize_with = "lenient::required")]
    pub list_version: i64,
}
