//! The lines between wallboxes and the site: frames take their time, keep their order, and are
//! lost with the link.

use std::time::Duration;

use crate::clock::{Mono, Random};
use crate::ids::LinkId;

/// The line of one wallbox.
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
    /// The link as the wallbox sees it.
    pub(super) link: Option<LinkId>,
    /// When the wallbox dials again.
    pub(super) redial_at: Mono,
    /// The last frame in each direction arrives then; none overtakes another.
    to_site: Mono,
    to_wallbox: Mono,
}

impl Line {
    pub(super) fn new(redial_at: Mono) -> Self {
        Self {
            delay: Duration::from_millis(20),
            jitter: Duration::from_millis(20),
            mute: false,
            reachable: true,
            link: None,
            redial_at,
            to_site: Mono::START,
            to_wallbox: Mono::START,
        }
    }

    /// When what is sent now reaches the site.
    pub(super) fn at_site(&mut self, now: Mono, random: &mut Random) -> Mono {
        self.to_site = self.to_site.max(now + self.travel(random));
        self.to_site
    }

    /// When what is sent now reaches the wallbox.
    pub(super) fn at_wallbox(&mut self, now: Mono, random: &mut Random) -> Mono {
        self.to_wallbox = self.to_wallbox.max(now + self.travel(random));
        self.to_wallbox
    }

    fn travel(&self, random: &mut Random) -> Duration {
        let most = u64::try_from(self.jitter.as_micros()).unwrap_or(0);
        self.delay + Duration::from_micros(random.below(most + 1))
    }
}
