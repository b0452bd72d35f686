//! Whether an EVSE can be reached, and what becomes of it while it cannot.

use std::time::Duration;

use crate::clock::Mono;

/// A link may be gone for a moment without consequence.
const AWAY_AFTER: Duration = Duration::from_secs(3);

/// The link to one EVSE.
#[derive(Debug, Default)]
pub(super) struct Contact {
    link: Link,
    falls_back: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Link {
    #[default]
    NeverSeen,
    Online,
    LostAt(Mono),
}

impl Contact {
    /// It can be reached.
    pub(super) fn begin(&mut self) {
        self.link = Link::Online;
    }

    /// It can no longer be reached.
    pub(super) fn lose(&mut self, now: Mono) {
        self.link = Link::LostAt(now);
    }

    /// It falls back to its failsafe current by itself so long after the last contact; `None` = it
    /// keeps what it was told.
    pub(super) fn falls_back(&mut self, after: Option<Duration>) {
        self.falls_back = after;
    }

    /// Can be reached.
    pub(super) fn is_online(&self) -> bool {
        self.link == Link::Online
    }

    /// Was reached since the start.
    pub(super) fn was_seen(&self) -> bool {
        self.link != Link::NeverSeen
    }

    /// Cannot be reached, and not only for a moment.
    pub(super) fn is_away(&self, now: Mono) -> bool {
        match self.link {
            Link::NeverSeen => true,
            Link::Online => false,
            Link::LostAt(lost) => now.since(lost) >= AWAY_AFTER,
        }
    }

    /// Has been away for so long that what it was told holds no more.
    pub(super) fn has_fallen_back(&self, now: Mono) -> bool {
        self.falls_back_at().is_some_and(|at| at <= now)
    }

    /// When time alone changes something.
    pub(super) fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let away = self.lost_at().map(|lost| lost + AWAY_AFTER);
        let times = [away, self.falls_back_at()].into_iter().flatten();
        times.filter(|at| *at > now).min()
    }

    fn falls_back_at(&self) -> Option<Mono> {
        Some(self.lost_at()? + self.falls_back?)
    }

    fn lost_at(&self) -> Option<Mono> {
        match self.link {
            Link::LostAt(lost) => Some(lost),
            Link::NeverSeen | Link::Online => None,
        }
    }
}
