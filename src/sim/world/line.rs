//! The lines from the site to wallboxes and backends: frames take their time, keep their order, and
//! are lost with the link.

use std::time::Duration;

use crate::clock::{Mono, Random};
use crate::ids::LinkId;

/// The line of one wallbox, or of one gateway.
#[derive(Debug, Clone)]
pub struct Line {
    /// How long a frame travels.
    pub delay: Duration,
    /// And up to this much longer.
    pub jitter: Duration,
    /// Nobody gets through, and nobody is told.
    pub(super) mute: bool,
    /// Dialling works.
    pub(super) reachable: bool,
    /// The link as the far end sees it.
    pub(super) link: Option<LinkId>,
    /// The last frame in each direction arrives then; none overtakes another.
    to_site: Mono,
    to_peer: Mono,
}

impl Line {
    pub(super) fn new() -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(20),
            mute: false,
            reachable: true,
            link: None,
            to_site: Mono::START,
            to_peer: Mono::START,
        }
    }

    /// When what is sent now reaches the site.
    pub(super) fn at_site(&mut self, now: Mono, random: &mut Random) -> Mono {
        self.to_site = self.to_site.max(now + self.travel(random));
        self.to_site
    }

    /// When what is sent now reaches the far end.
    pub(super) fn at_peer(&mut self, now: Mono, random: &mut Random) -> Mono {
        self.to_peer = self.to_peer.max(now + self.travel(random));
        self.to_peer
    }

    fn travel(&self, random: &mut Random) -> Duration {
        let most = u64::try_from(self.jitter.as_micros()).unwrap_or(0);
        self.delay + Duration::from_micros(random.below(most + 1))
    }
}
