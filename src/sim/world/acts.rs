//! What people, power and chance do in a world.

use std::time::Duration;

use super::{Event, Failure, World};
use crate::clock::{Mono, Now, Random};
use crate::ids::{ConnectorId, IdTag, LinkId};
use crate::sim::{Car, House, Meter, PowerBrain, Wallbox};
use crate::site::Site;

impl World {
    /// Plugs a car in at connector 1 of a wallbox, or at a Power Brain.
    pub fn plug(&mut self, id: &str, car: Car) {
        if self.power_brain(id).is_some() {
            self.at_power_brain(id, "plug", |brain, now| brain.plug(now, car));
            return;
        }
        self.at(id, "plug", |wallbox, now| {
            wallbox.plug(now, ConnectorId(1), car);
        });
    }

    /// Holds a card to the reader of connector 1 of a wallbox, or of a Power Brain.
    pub fn tap(&mut self, id: &str, tag: &str) {
        let tag = IdTag::from(tag);
        if self.power_brain(id).is_some() {
            self.at_power_brain(id, "card", |brain, now| brain.tap(now, &tag));
            return;
        }
        self.at(id, "card", |wallbox, now| {
            wallbox.present_tag(now, ConnectorId(1), &tag);
        });
    }

    /// Plugs a car in at connector 1 of a wallbox, or at a Power Brain, and shows a card.
    pub fn charge(&mut self, id: &str, car: Car) {
        self.plug(id, car);
        self.tap(id, &format!("TAG-{id}"));
    }

    /// Pulls the plug of connector 1 of a wallbox, or of a Power Brain.
    pub fn unplug(&mut self, id: &str) {
        if self.power_brain(id).is_some() {
            self.at_power_brain(id, "unplug", PowerBrain::unplug);
            return;
        }
        self.at(id, "unplug", |wallbox, now| {
            wallbox.unplug(now, ConnectorId(1));
        });
    }

    /// A wallbox or Power Brain loses power and is back after `off_for`.
    pub fn reboot(&mut self, id: &str, off_for: Duration) {
        if self.power_brain(id).is_some() {
            self.at_power_brain(id, "reboot", |brain, now| brain.restart(now, off_for));
            return;
        }
        self.at(id, "reboot", |wallbox, now| wallbox.reboot(now, off_for));
    }

    /// Does something at a Power Brain.
    pub fn at_power_brain(
        &mut self,
        serial: &str,
        what: &str,
        act: impl FnOnce(&mut PowerBrain, Mono),
    ) {
        let now = self.now.mono;
        self.history.note(now, &format!("{serial}: {what}"));
        match self.field.brain_mut(serial) {
            Some(place) => act(&mut place.brain, now),
            None => self.failure = Some(Failure::Nobody(serial.into())),
        }
        self.drain();
    }

    /// Does something to a meter.
    pub fn at_meter(&mut self, name: &str, what: &str, act: impl FnOnce(&mut Meter, Mono)) {
        let now = self.now.mono;
        self.history.note(now, &format!("{name}: {what}"));
        match self.field.meter_mut(name) {
            Some(place) => act(&mut place.meter, now),
            None => self.failure = Some(Failure::Nobody(name.into())),
        }
        self.drain();
    }

    /// Another house moves in below a meter.
    pub fn set_house(&mut self, meter: &str, mut house: House) {
        let now = self.now.mono;
        self.history.note(now, &format!("{meter}: another house"));
        house.advance(now);
        match self.field.meter_mut(meter) {
            Some(place) => place.house = house,
            None => self.failure = Some(Failure::Nobody(meter.into())),
        }
        self.show_meters();
        self.drain();
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

    /// The site [dies](Self::crash) before it makes this [step](Self::steps).
    pub fn crash_before(&mut self, step: u64) {
        self.dies_before.insert(step);
    }

    /// The site dies with everything it has not written, and starts again from its disk.
    pub fn crash(&mut self) {
        let now = self.now;
        self.history.note(now.mono, "the site dies");
        self.life += 1;
        self.disk.lose_pending();
        self.field.forget_requests();
        self.backends.lose_site(now);
        let seed = Random::new(self.random.next_u64());
        self.site = Site::new(now, self.plan.clone(), self.disk.recovered(), seed);
        let links: Vec<LinkId> = std::mem::take(&mut self.links).into_keys().collect();
        for link in links {
            self.down_at_wallbox(link);
        }
        self.drain();
    }
}
