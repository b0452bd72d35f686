//! Whatever the site and the wallboxes have to say, on its way.

use std::time::Duration;

use super::{Event, World};
use crate::clock::Mono;
use crate::gateway::security::UploadOutcome;
use crate::ids::{ChargeBoxId, LinkId};
use crate::sim::wallbox;
use crate::site::{Input, Output};

impl World {
    /// Carries everything that anybody has to say, and looks at the promises.
    pub(super) fn drain(&mut self) {
        while let Some(output) = self.site.poll_output() {
            if is_step(&output) && self.dies_now() {
                self.crash();
                return;
            }
            self.carry(output);
        }
        self.drain_backends();
        let ids: Vec<ChargeBoxId> = self.places.keys().cloned().collect();
        for id in ids {
            while let Some(output) = self
                .places
                .get_mut(&id)
                .and_then(|p| p.wallbox.poll_output())
            {
                self.carry_from_wallbox(&id, output);
            }
        }
        if self.failure.is_none() {
            self.failure = self.broken_promise();
        }
    }

    /// Counts a step; true if the site dies before it.
    pub(super) fn dies_now(&mut self) -> bool {
        let due = self
            .dies_before
            .first()
            .is_some_and(|step| *step <= self.steps);
        if due {
            self.dies_before.pop_first();
        } else {
            self.steps += 1;
        }
        due
    }

    fn carry(&mut self, output: Output) {
        let now = self.now.mono;
        match output {
            Output::Persist(seq, record) => {
                self.disk.write(seq, record);
                let (life, done_at) = (self.life, self.disk.done_at(now));
                self.enqueue(done_at, Event::Commit { life, seq });
            }
            Output::Fetch { gateway, entries } => {
                let life = self.life;
                let fetched = Event::Fetched {
                    life,
                    gateway,
                    entries,
                };
                let done_at = self.disk.done_at(now);
                self.enqueue(done_at, fetched);
            }
            Output::Send { link, text } if self.backends.knows(link) => {
                self.send_to_backend(link, text);
            }
            Output::Send { link, text } => {
                if let Some(at) = self.arrives_at_wallbox(link) {
                    self.enqueue(at, Event::ToWallbox(link, text));
                }
            }
            Output::Dial { gateway, .. } => self.dial_backend(gateway),
            // Lines are not encrypted here, and keys would be the only thing that chance makes.
            Output::Request { gateway, .. } => {
                let requested = None;
                self.site
                    .handle(self.now, Input::Requested { gateway, requested });
            }
            // There is no web server in this world.
            Output::Upload { gateway, order } => {
                let failed = Input::Uploaded {
                    gateway,
                    attempt: order.attempt,
                    outcome: UploadOutcome::Failed,
                };
                self.site.handle(self.now, failed);
            }
            Output::Modbus { device, request } => self.ask(device, request),
            Output::Ping { link } if self.backends.knows(link) => self.ping_backend(link),
            Output::Ping { link } => {
                if let Some(at) = self.arrives_at_wallbox(link) {
                    let back = self.place_of(link).map_or(Duration::ZERO, |p| p.line.delay);
                    self.enqueue(at + back, Event::Pong(link));
                }
            }
            Output::Close { link, .. } if self.backends.knows(link) => self.close_backend(link),
            Output::Close { link, .. } => {
                if let Some(address) = self.links.remove(&link) {
                    self.history
                        .note(now, &format!("{address} is shown the door"));
                }
                if let Some(at) = self.arrives_at_wallbox(link) {
                    self.enqueue(at, Event::DownAtWallbox(link));
                }
            }
        }
    }

    fn carry_from_wallbox(&mut self, id: &ChargeBoxId, output: wallbox::Output) {
        let now = self.now.mono;
        let Some(place) = self.places.get_mut(id) else {
            return;
        };
        let Some(link) = place.line.link.filter(|_| !place.line.mute) else {
            return;
        };
        let at = place.line.at_site(now, &mut self.random);
        match output {
            wallbox::Output::Send(text) => self.enqueue(at, Event::ToSite(link, text)),
            wallbox::Output::Disconnect => {
                self.enqueue(at, Event::DownAtSite(link));
                self.down_at_wallbox(link);
            }
        }
    }

    /// When what the site sends now is there; `None` if it never is.
    fn arrives_at_wallbox(&mut self, link: LinkId) -> Option<Mono> {
        let now = self.now.mono;
        let mut places = self.places.values_mut();
        let place = places.find(|place| place.line.link == Some(link) && !place.line.mute)?;
        Some(place.line.at_peer(now, &mut self.random))
    }
}

/// Whether something outside is changed for good.
fn is_step(output: &Output) -> bool {
    matches!(output, Output::Persist(..) | Output::Send { .. })
}
