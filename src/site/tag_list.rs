//! The local tag list: the upstream of every EVSE that has no backend.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::evse::{AuthorizationStatus, Verdict};
use crate::ids::{EvseName, IdTag};

use super::plan::{AuthorizationMode, AuthorizationPlan, TagPlan};

/// Who may charge where, by configuration.
#[derive(Debug)]
pub(super) struct TagList {
    mode: AuthorizationMode,
    tags: BTreeMap<IdTag, TagPlan>,
}

impl TagList {
    /// From `[authorization]`.
    pub(super) fn new(plan: AuthorizationPlan) -> Self {
        let tags = plan
            .tags
            .into_iter()
            .map(|tag| (tag.tag.clone(), tag))
            .collect();
        Self {
            mode: plan.mode,
            tags,
        }
    }

    /// Judges a tag at one of `evses`; yes for one of them is yes.
    ///
    /// A listed tag is judged by its entry in both modes: `blocked` means blocked also where
    /// everybody else may charge. Expiry is looked at now, not by a timer.
    pub(super) fn judge(&self, wall: Timestamp, evses: &[EvseName], tag: &IdTag) -> Verdict {
        let refused = |status| Verdict {
            status,
            expires: None,
            parent: None,
        };
        if evses.is_empty() {
            return refused(AuthorizationStatus::Invalid);
        }
        let Some(entry) = self.tags.get(tag) else {
            return match self.mode {
                AuthorizationMode::Open => Verdict::ACCEPTED,
                AuthorizationMode::List => refused(AuthorizationStatus::Invalid),
            };
        };
        let here = entry
            .evses
            .as_ref()
            .is_none_or(|some| evses.iter().any(|e| some.contains(e)));
        let status = if entry.blocked {
            AuthorizationStatus::Blocked
        } else if entry.expires.is_some_and(|end| end <= wall) {
            AuthorizationStatus::Expired
        } else if here {
            AuthorizationStatus::Accepted
        } else {
            AuthorizationStatus::Invalid
        };
        Verdict {
            status,
            expires: entry.expires,
            parent: entry.parent.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-06-01T12:00:00Z";

    fn tag(text: &str) -> TagPlan {
        TagPlan {
            tag: text.into(),
            name: None,
            parent: None,
            expires: None,
            blocked: false,
            evses: None,
        }
    }

    fn judge(mode: AuthorizationMode, tags: Vec<TagPlan>, evse: &str, presented: &str) -> Verdict {
        let wall = NOON.parse().unwrap();
        TagList::new(AuthorizationPlan { mode, tags }).judge(
            wall,
            &[evse.into()],
            &presented.into(),
        )
    }

    #[test]
    fn in_open_mode_everybody_may_charge_except_who_is_blocked() {
        let blocked = TagPlan {
            blocked: true,
            ..tag("BAD")
        };
        let judge = |text| judge(AuthorizationMode::Open, vec![blocked.clone()], "left", text);
        assert_eq!(judge("anybody"), Verdict::ACCEPTED);
        assert_eq!(judge("bad").status, AuthorizationStatus::Blocked);
    }

    #[test]
    fn in_list_mode_only_listed_tags_may_charge_whatever_their_case() {
        let judge = |text| judge(AuthorizationMode::List, vec![tag("04a2")], "left", text).status;
        assert_eq!(judge("04A2"), AuthorizationStatus::Accepted);
        assert_eq!(judge("04A3"), AuthorizationStatus::Invalid);
    }

    #[test]
    fn a_tag_expires_at_its_time_and_says_until_when_it_held() {
        let until = |end: &str| TagPlan {
            expires: Some(end.parse().unwrap()),
            ..tag("T")
        };
        let judge = |end| judge(AuthorizationMode::List, vec![until(end)], "left", "T");
        assert_eq!(
            judge("2026-06-01T12:00:01Z").status,
            AuthorizationStatus::Accepted
        );
        let late = judge(NOON);
        assert_eq!(late.status, AuthorizationStatus::Expired);
        assert_eq!(late.expires, Some(NOON.parse().unwrap()));
    }

    #[test]
    fn a_tag_holds_only_at_its_evses_and_carries_its_group() {
        let only_left = TagPlan {
            evses: Some(vec!["left".into()]),
            parent: Some("FAMILY".into()),
            ..tag("T")
        };
        let judge = |evse| judge(AuthorizationMode::List, vec![only_left.clone()], evse, "T");
        assert_eq!(judge("left").status, AuthorizationStatus::Accepted);
        assert_eq!(judge("left").parent, Some("family".into()));
        assert_eq!(judge("right").status, AuthorizationStatus::Invalid);
    }

    #[test]
    fn where_nothing_of_ours_is_concerned_nobody_may_charge() {
        let list = TagList::new(AuthorizationPlan::default());
        let verdict = list.judge(NOON.parse().unwrap(), &[], &"T".into());
        assert_eq!(verdict.status, AuthorizationStatus::Invalid);
    }
}
