//! `SendLocalList` and `GetLocalListVersion`, which end here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::gateway::keys::OfflineFlags;
use crate::ids::IdTag;
use crate::ocpp::messages::{
    self, AuthorizationData, GetLocalListVersionResponse, IdTagInfo, SendLocalList,
    SendLocalListResponse, UpdateStatus, UpdateType, ViewError,
};

/// `LocalAuthListMaxLength`
pub const LONGEST_LIST: usize = 1000;

/// `SendLocalListMaxLength`
pub const LONGEST_UPDATE: usize = 200;

/// The list that the backend sent; kept as JSON over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LocalList {
    /// 0 = none was sent.
    pub(super) version: i64,
    pub(super) tags: BTreeMap<IdTag, IdTagInfo>,
}

impl LocalList {
    /// Answers `SendLocalList`: the whole request is done or nothing of it.
    ///
    /// # Errors
    /// What to answer a malformed request with.
    pub fn send(&mut self, payload: &RawValue, flags: OfflineFlags) -> Result<String, ViewError> {
        let request: SendLocalList = messages::parse(payload)?;
        let status = if flags.list {
            self.update(request)
        } else {
            UpdateStatus::NotSupported
        };
        Ok(messages::write(&SendLocalListResponse { status }))
    }

    /// The payload that answers `GetLocalListVersion` (OCPP 1.6 §5.10).
    pub fn version(&self, flags: OfflineFlags) -> String {
        let list_version = if flags.list { self.version } else { -1 };
        messages::write(&GetLocalListVersionResponse { list_version })
    }

    fn update(&mut self, request: SendLocalList) -> UpdateStatus {
        let updates = request.local_authorization_list.unwrap_or_default();
        let mut tags = match request.update_type {
            UpdateType::Full => BTreeMap::new(),
            UpdateType::Differential if request.list_version <= self.version => {
                return UpdateStatus::VersionMismatch;
            }
            UpdateType::Differential => self.tags.clone(),
        };
        let each: BTreeSet<&IdTag> = updates.iter().map(|update| &update.id_tag).collect();
        let nameless = each.iter().any(|tag| tag.as_str().trim().is_empty());
        // -1 and 0 say that there is no list.
        let impossible = request.list_version <= 0 || nameless || each.len() < updates.len();
        if impossible || updates.len() > LONGEST_UPDATE {
            return UpdateStatus::Failed;
        }
        for AuthorizationData {
            id_tag,
            id_tag_info,
        } in updates
        {
            // The new spelling counts.
            tags.remove(&id_tag);
            match (id_tag_info, request.update_type) {
                (Some(info), _) => drop(tags.insert(id_tag, info)),
                (None, UpdateType::Differential) => {}
                (None, UpdateType::Full) => return UpdateStatus::Failed,
            }
        }
        if tags.len() > LONGEST_LIST {
            return UpdateStatus::Failed;
        }
        self.tags = tags;
        self.version = request.list_version;
        UpdateStatus::Accepted
    }
}
