//! What people, power and chance do in a world.

use std::time::Duration;

use super::{Event, Failure, World};
use crate::clock::{Now, Random};
use crate::ids::{ConnectorId, IdTag, LinkId};
use crate::sim::{Car, Wallbox};
use crate::site::Site;

impl World {
    /// Plugs a car in at connector 1.
    pub fn plug(&mut self, id: &str, car: Car) {
        self.at(id, "plug", |wallbox, now| {
            wallbox.plug(now, ConnectorId(1), car);
        });
    }

    /// Holds a card to the reader of connector 1.
    pub fn tap(&mut self, id: &str, tag: &str) {
        let tag = IdTag::from(tag);
        self.at(id, "card", |wallbox, now| {
            wallbox.present_tag(now, ConnectorId(1), &tag);
        });
    }

    /// Plugs a car in at connector 1 and shows a card.
    pub fn charge(&mut self, id: &str, car: Car) {
        self.plug(id, car);
        self.tap(id, &format!("TAG-{id}"));
    }

    /// Pulls the plug of connector 1.
    pub fn unplug(&mut self, id: &str) {
        self.at(id, "unplug", |wallbox, now| {
            wallbox.unplug(now, ConnectorId(1));
        });
    }

    /// A wallbox loses power and is back after `off_for`.
    pub fn reboot(&mut self, id: &str, off_for: Duration) {
        self.at(id, "reboot", |wallbox, now| wallbox.reboot(now, off_for));
    }

    /// Does something at a wallbox.
    pub fn at(&mut self, id: &str, what: &str, act: impl FnOnce(&mut Wallbox, Now)) {
        let now = self.now;
        self.history.note(now.mono, &format!("{id}: {what}"));
        match self.places.get_mut(&id.into()) {
            Some(place) => act(&mut place.wallbox, now),
            None => self.failure = Some(Failure::Nobody(id.into())),
        }
        self.drain();
    }

    /// The link of a wallbox breaks, and both sides are told.
    pub fn lose_link(&mut self, id: &str) {
        let now = self.now.mono;
        self.history.note(now, &format!("{id}: the link breaks"));
        if let Some(link) = self.line(id).and_then(|line| line.link) {
            self.enqueue(now, Event::DownAtSite(link));
            self.down_at_wallbox(link);
        }
        self.drain();
    }

    /// A wallbox can dial, or cannot and loses its link.
    pub fn set_reachable(&mut self, id: &str, reachable: bool) {
        if let Some(line) = self.line(id) {
            line.reachable = reachable;
        }
        if !reachable {
            self.lose_link(id);
        }
    }

    /// Nothing gets through any more and nobody is told; when it ends, the link is broken.
    pub fn set_mute(&mut self, id: &str, mute: bool) {
        if let Some(line) = self.line(id) {
            line.mute = mute;
        }
        if !mute {
            self.lose_link(id);
        }
    }

    /// The site dies with everything it has not written, and starts again from its disk.
    pub fn crash(&mut self) {
        let now = self.now;
        self.history.note(now.mono, "the site dies");
        self.life += 1;
        self.disk.lose_pending();
        let seed = Random::new(self.random.next_u64());
        self.site = Site::new(now, self.plan.clone(), self.disk.recovered(), seed);
        let links: Vec<LinkId> = std::mem::take(&mut self.links).into_keys().collect();
        for link in links {
            self.down_at_wallbox(link);
        }
        self.drain();
    }
}
