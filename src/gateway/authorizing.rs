//! Who may charge without the backend's word, and what its word changes.

use crate::clock::{Mono, Now};
use crate::evse::Verdict;
use crate::ids::{EvseName, IdTag};
use crate::ocpp::messages::{self, ChargePointErrorCode, IdTagInfo, StatusNotification};
use crate::ocpp::{ChargePointStatus, timestamp};

use super::gateway::{Gateway, Urgent};
use super::keys::OfflineFlags;
use super::members::WHOLE;
use super::tags::Learned;

/// Nobody's card says more; OCPP 1.6 allows 20 characters.
const LONGEST_TAG: usize = 255;

impl Gateway {
    /// The backend said something of a tag.
    pub(super) fn learn(&mut self, now: Now, tag: &IdTag, info: &IdTagInfo) {
        if tag.as_str().len() > LONGEST_TAG {
            return;
        }
        let flags = self.keys.offline_flags();
        match self.tags.learn(now.wall, tag, info, flags) {
            Learned::Nothing => {}
            Learned::Cached => self.remember_cache(),
            Learned::Conflict => {
                let status = StatusNotification {
                    connector_id: WHOLE,
                    error_code: ChargePointErrorCode::LocalListConflict,
                    info: None,
                    status: ChargePointStatus::Available,
                    timestamp: Some(timestamp::format(now.wall)),
                    vendor_id: None,
                    vendor_error_code: None,
                };
                self.urgent.push_back(Urgent::Notice {
                    action: "StatusNotification".to_owned(),
                    payload: messages::write(&status),
                });
            }
        }
    }

    /// `LocalPreAuthorize`: a tag that is known need not wait for the backend.
    pub(super) fn judge_early(&self, now: Now, tag: &IdTag) -> Option<Verdict> {
        let flags = self.keys.offline_flags();
        self.tags.judge_early(now.wall, tag, flags)
    }

    /// The verdict where the backend is away or too slow. Whether strangers charge is said for each
    /// EVSE; where a wallbox does not say which, yes for one of them is yes.
    pub(super) fn judge_offline(&self, now: Now, tag: &IdTag, evses: &[EvseName]) -> Verdict {
        let mut members = evses.iter().filter_map(|evse| self.members.named(evse));
        let strangers = members.any(|member| member.plan.offline_unknown_tags);
        let vouched = self
            .vouched
            .iter()
            .any(|(it, until)| it == tag && *until > now.mono);
        if vouched {
            return Verdict::ACCEPTED;
        }
        let flags = self.keys.offline_flags();
        let flags = OfflineFlags {
            unknown: flags.unknown && strangers,
            ..flags
        };
        self.tags.judge_offline(now.wall, tag, flags)
    }

    /// The backend ordered a start with this tag: it need not be asked whether it may charge.
    pub(super) fn vouch(&mut self, now: Mono, tag: IdTag) {
        self.vouched
            .retain(|(it, until)| *it != tag && *until > now);
        self.vouched
            .push((tag, now + self.keys.connection_time_out()));
    }

    pub(super) fn remember_cache(&mut self) {
        let cache = messages::write(&self.tags.cache);
        self.remember_text("cache", &cache);
    }

    pub(super) fn remember_list(&mut self) {
        let list = messages::write(&self.tags.list);
        self.remember_text("list", &list);
    }

    pub(super) fn remember_keys(&mut self) {
        let keys = self.keys.memory();
        self.remember_text("keys", &keys);
        self.tell_conduct();
    }
}
