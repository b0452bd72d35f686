//! Who may charge while the backend is away: the list that it sent and the verdicts that it gave
//! (OCPP 1.6 §3.4, §3.5).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::keys::OfflineFlags;
use crate::evse::{AuthorizationStatus, Verdict};
use crate::ids::IdTag;
use crate::ocpp::messages::{self, Acceptance, Accepted, IdTagInfo};

mod local_list;

pub use local_list::{LONGEST_LIST, LONGEST_UPDATE, LocalList};

/// Verdicts that are remembered.
const LARGEST_CACHE: usize = 1000;

/// The verdicts that the backend gave last; kept as JSON over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TagCache {
    /// Verdicts given so far: the order of all.
    given: u64,
    tags: BTreeMap<IdTag, Given>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Given {
    number: u64,
    verdict: IdTagInfo,
}

impl TagCache {
    /// Answers `ClearCache` (OCPP 1.6 §5.4).
    pub fn clear(&mut self, flags: OfflineFlags) -> String {
        self.tags.clear();
        let status = if flags.cache {
            Acceptance::Accepted
        } else {
            Acceptance::Rejected
        };
        messages::write(&Accepted { status })
    }

    /// Whether anything but the order changed. Where there is no room, a verdict that helps nobody
    /// goes first, then the oldest.
    fn remember(&mut self, now: Timestamp, tag: &IdTag, verdict: &IdTagInfo) -> bool {
        let old = self.tags.remove(tag);
        if self.tags.len() >= LARGEST_CACHE {
            let worth = |given: &Given| (is_accepted(now, &given.verdict), given.number);
            let worst = self.tags.iter().min_by_key(|(_, given)| worth(given));
            if let Some(worst) = worst.map(|(tag, _)| tag.clone()) {
                self.tags.remove(&worst);
            }
        }
        self.given = self.given.saturating_add(1);
        let given = Given {
            number: self.given,
            verdict: verdict.clone(),
        };
        let changed = old.is_none_or(|old| old.verdict != given.verdict);
        self.tags.insert(tag.clone(), given);
        changed
    }
}

/// What became of a verdict of the backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// Nothing new.
    Nothing,
    /// The cache changed.
    Cached,
    /// The local list says otherwise: the backend is to be told (`LocalListConflict`).
    Conflict,
}

/// All that is known of tags. List and cache are kept apart, because one changes seldom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tags {
    /// What the backend sent.
    pub list: LocalList,
    /// What the backend said.
    pub cache: TagCache,
}

impl Tags {
    /// The backend answered `Authorize`, `StartTransaction` or `StopTransaction` for this tag, in
    /// time or late.
    pub fn learn(
        &mut self,
        now: Timestamp,
        tag: &IdTag,
        verdict: &IdTagInfo,
        flags: OfflineFlags,
    ) -> Learned {
        if let Some(listed) = self.list.tags.get(tag).filter(|_| flags.list) {
            let agree = is_accepted(now, listed) == is_accepted(now, verdict)
                || verdict.status == AuthorizationStatus::ConcurrentTx;
            return if agree {
                Learned::Nothing
            } else {
                Learned::Conflict
            };
        }
        // Who charges elsewhere now may charge here tomorrow.
        let passing = verdict.status == AuthorizationStatus::ConcurrentTx;
        if flags.cache && !passing && self.cache.remember(now, tag, verdict) {
            Learned::Cached
        } else {
            Learned::Nothing
        }
    }

    /// The verdict while the backend is away or silent.
    pub fn judge_offline(&self, now: Timestamp, tag: &IdTag, flags: OfflineFlags) -> Verdict {
        match self.known(tag, flags) {
            Some(known) if !is_accepted(now, known) => Verdict {
                status: status(now, known),
                ..verdict(known)
            },
            Some(known) if flags.authorize_offline => verdict(known),
            None if flags.unknown => Verdict::ACCEPTED,
            Some(_) | None => Verdict {
                status: AuthorizationStatus::Invalid,
                expires: None,
                parent: None,
            },
        }
    }

    /// Yes without asking a backend that is there (`LocalPreAuthorize`); `None` = ask it.
    pub fn judge_early(&self, now: Timestamp, tag: &IdTag, flags: OfflineFlags) -> Option<Verdict> {
        let known = self.known(tag, flags)?;
        (flags.pre_authorize && is_accepted(now, known)).then(|| verdict(known))
    }

    /// Whether one may stop what the other started: it is the same tag, or both are known to have
    /// the same parent.
    pub fn same_group(&self, a: &IdTag, b: &IdTag, flags: OfflineFlags) -> bool {
        let parent = |tag| self.known(tag, flags)?.parent_id_tag.as_ref();
        a == b || parent(a).is_some_and(|of_a| parent(b) == Some(of_a))
    }

    /// The list comes first.
    fn known(&self, tag: &IdTag, flags: OfflineFlags) -> Option<&IdTagInfo> {
        let listed = self.list.tags.get(tag).filter(|_| flags.list);
        listed.or_else(|| {
            let cached = self.cache.tags.get(tag).filter(|_| flags.cache);
            cached.map(|given| &given.verdict)
        })
    }
}

fn verdict(known: &IdTagInfo) -> Verdict {
    Verdict {
        status: AuthorizationStatus::Accepted,
        expires: known.expiry_date,
        parent: known.parent_id_tag.clone(),
    }
}

fn is_accepted(now: Timestamp, known: &IdTagInfo) -> bool {
    status(now, known) == AuthorizationStatus::Accepted
}

/// Expiry is looked at now. In a list `ConcurrentTx` says nothing against a tag.
fn status(now: Timestamp, known: &IdTagInfo) -> AuthorizationStatus {
    match known.status {
        AuthorizationStatus::Accepted | AuthorizationStatus::ConcurrentTx
            if known.expiry_date.is_some_and(|end| end < now) =>
        {
            AuthorizationStatus::Expired
        }
        AuthorizationStatus::ConcurrentTx => AuthorizationStatus::Accepted,
        status => status,
    }
}

#[cfg(test)]
mod tests;
