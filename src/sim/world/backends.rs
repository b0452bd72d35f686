//! The billing backends of a world, and the lines from the site's gateways to them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Event, Failure, Line, World};
use crate::clock::{Mono, Now};
use crate::gateway::{DialFailure, GatewayPlan};
use crate::ids::{ChargeBoxId, GatewayId, LinkId};
use crate::sim::Backend;
use crate::sim::backend::{Command, CommandNumber, NotConnected, Output};
use crate::site::Input;

/// Whoever dials and hears nothing gives up after this.
const DIALS_FOR: Duration = Duration::from_secs(10);

/// A gateway, as the way to its backend sees it.
#[derive(Debug)]
pub(super) struct Trunk {
    pub(super) url: String,
    pub(super) client_id: ChargeBoxId,
    /// Its link is that of the backend.
    line: Line,
}

/// What is on its way between the site and a backend.
#[derive(Debug)]
pub(super) enum Passage {
    UpAtBackend(LinkId),
    Dialled {
        life: u32,
        gateway: GatewayId,
        link: LinkId,
    },
    DialFailed {
        life: u32,
        gateway: GatewayId,
        why: &'static str,
    },
    ToBackend(LinkId, String),
    ToSite(LinkId, String),
    Pong(LinkId),
    DownAtBackend(LinkId),
    DownAtSite(LinkId),
}

/// All backends, and one trunk for each gateway in the order of the plan.
#[derive(Debug, Default)]
pub(super) struct Backends {
    all: BTreeMap<String, Backend>,
    trunks: Vec<Trunk>,
    /// The links of the site, and whose they are.
    links: BTreeMap<LinkId, usize>,
}

impl Backends {
    pub(super) fn new(all: BTreeMap<String, Backend>, gateways: &[GatewayPlan]) -> Self {
        let trunks = gateways.iter().map(|plan| Trunk {
            url: plan.url.clone(),
            client_id: plan.client_id.as_str().into(),
            line: Line::new(),
        });
        Self {
            all,
            trunks: trunks.collect(),
            links: BTreeMap::new(),
        }
    }

    pub(super) fn get(&self, url: &str) -> Option<&Backend> {
        self.all.get(url)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Backend> {
        self.all.values()
    }

    pub(super) fn trunks(&self) -> &[Trunk] {
        &self.trunks
    }

    /// Whether this is a link of the site to a backend.
    pub(super) fn knows(&self, link: LinkId) -> bool {
        self.links.contains_key(&link)
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.all.values().filter_map(Backend::poll_timeout).min()
    }

    /// Lets the backends whose time has come act.
    pub(super) fn advance(&mut self, now: Now) {
        for backend in self.all.values_mut() {
            if backend.poll_timeout().is_some_and(|at| at <= now.mono) {
                backend.handle_timeout(now);
            }
        }
    }

    fn trunk(&mut self, client_id: &str) -> Option<(usize, &mut Trunk)> {
        let mut trunks = self.trunks.iter_mut().enumerate();
        trunks.find(|(_, trunk)| trunk.client_id.as_str() == client_id)
    }

    /// The trunk whose current link this is, as its backend sees it.
    fn trunk_of(&mut self, link: LinkId) -> Option<&mut Trunk> {
        let mut trunks = self.trunks.iter_mut();
        trunks.find(|trunk| trunk.line.link == Some(link))
    }

    /// The backend at the other end of a link.
    fn backend_of(&mut self, link: LinkId) -> Option<(&ChargeBoxId, &mut Backend)> {
        let mut trunks = self.trunks.iter();
        let trunk = trunks.find(|trunk| trunk.line.link == Some(link))?;
        Some((&trunk.client_id, self.all.get_mut(&trunk.url)?))
    }

    /// A backend is told that a link is gone.
    fn down_at_backend(&mut self, now: Now, link: LinkId) {
        if let Some((_, backend)) = self.backend_of(link) {
            backend.handle_down(now, link);
        }
        if let Some(trunk) = self.trunk_of(link) {
            trunk.line.link = None;
        }
    }

    /// The site is dead: whoever can hear it knows.
    pub(super) fn lose_site(&mut self, now: Now) {
        self.links.clear();
        let links: Vec<LinkId> = self.trunks.iter().filter_map(|it| it.line.link).collect();
        for link in links {
            let mute = self.trunk_of(link).is_some_and(|trunk| trunk.line.mute);
            if mute {
                // It finds out when the next connection comes.
                self.trunk_of(link)
                    .into_iter()
                    .for_each(|trunk| trunk.line.link = None);
            } else {
                self.down_at_backend(now, link);
            }
        }
    }
}

impl World {
    /// A backend.
    pub fn backend(&self, url: &str) -> Option<&Backend> {
        self.backends.get(url)
    }

    /// The client ids of all gateways.
    pub fn client_ids(&self) -> impl Iterator<Item = &ChargeBoxId> {
        self.backends.trunks.iter().map(|trunk| &trunk.client_id)
    }

    /// The line from a gateway to its backend.
    pub fn backend_line(&mut self, client_id: &str) -> Option<&mut Line> {
        self.backends
            .trunk(client_id)
            .map(|(_, trunk)| &mut trunk.line)
    }

    /// Does something at a backend.
    pub fn at_backend(&mut self, url: &str, what: &str, act: impl FnOnce(&mut Backend, Now)) {
        let now = self.now;
        self.history.note(now.mono, &format!("{url}: {what}"));
        match self.backends.all.get_mut(url) {
            Some(backend) => act(backend, now),
            None => self.failure = Some(Failure::Nobody(url.into())),
        }
        self.drain();
    }

    /// A backend asks a charge point for something; what comes of it is in its ledger.
    ///
    /// # Errors
    /// If that charge point is not connected.
    pub fn command(
        &mut self,
        client_id: &str,
        command: Command,
    ) -> Result<CommandNumber, NotConnected> {
        let (now, id) = (self.now, ChargeBoxId::from(client_id));
        let url = self
            .backends
            .trunk(client_id)
            .map(|(_, trunk)| trunk.url.clone());
        let backend = url.and_then(|url| self.backends.all.get_mut(&url));
        let backend = backend.ok_or_else(|| NotConnected(id.clone()))?;
        let number = backend.command(now, &id, command);
        self.drain();
        number
    }

    /// The link to a backend breaks, and both sides are told.
    pub fn lose_backend_link(&mut self, client_id: &str) {
        let now = self.now;
        let what = format!("{client_id}: the link to the backend breaks");
        self.history.note(now.mono, &what);
        let Some((gateway, trunk)) = self.backends.trunk(client_id) else {
            self.failure = Some(Failure::Nobody(client_id.into()));
            return;
        };
        if let Some(link) = trunk.line.link {
            self.backends.down_at_backend(now, link);
        }
        let links = self.backends.links.iter();
        let of_it = links.filter(|(_, index)| **index == gateway);
        let links: Vec<LinkId> = of_it.map(|(link, _)| *link).collect();
        for link in links {
            self.enqueue(now.mono, Event::Backend(Passage::DownAtSite(link)));
        }
        self.drain();
    }

    /// A gateway can dial its backend, or cannot and loses its link.
    pub fn set_backend_reachable(&mut self, client_id: &str, reachable: bool) {
        if let Some(line) = self.backend_line(client_id) {
            line.reachable = reachable;
        }
        if !reachable {
            self.lose_backend_link(client_id);
        }
    }

    /// Nothing gets through to a backend any more and nobody is told; when it ends, the link is
    /// broken.
    pub fn set_backend_mute(&mut self, client_id: &str, mute: bool) {
        if let Some(line) = self.backend_line(client_id) {
            line.mute = mute;
        }
        if !mute {
            self.lose_backend_link(client_id);
        }
    }

    /// The site wants a connection.
    pub(super) fn dial_backend(&mut self, gateway: GatewayId) {
        let (now, life) = (self.now.mono, self.life);
        self.last_link = LinkId(self.last_link.0 + 1);
        let link = self.last_link;
        let Some(trunk) = self.backends.trunks.get_mut(gateway.0) else {
            return;
        };
        let wire = &mut trunk.line;
        let failed = |why| Passage::DialFailed { life, gateway, why };
        if wire.mute {
            self.enqueue(now + DIALS_FOR, Event::Backend(failed("no answer")));
        } else if wire.reachable {
            wire.link = Some(link);
            let there = wire.at_peer(now, &mut self.random);
            let back = wire.at_site(there, &mut self.random);
            self.backends.links.insert(link, gateway.0);
            self.enqueue(there, Event::Backend(Passage::UpAtBackend(link)));
            let dialled = Passage::Dialled {
                life,
                gateway,
                link,
            };
            self.enqueue(back, Event::Backend(dialled));
        } else {
            let back = wire.at_site(now, &mut self.random);
            self.enqueue(back, Event::Backend(failed("connection refused")));
        }
    }

    /// What was on its way has arrived.
    pub(super) fn pass(&mut self, passage: Passage) {
        let now = self.now;
        match passage {
            Passage::UpAtBackend(link) => {
                if let Some((client_id, backend)) = self.backends.backend_of(link) {
                    backend.handle_up(now, link, client_id);
                }
            }
            // Nobody waits for what an earlier life of the site has dialled.
            Passage::Dialled { life, .. } | Passage::DialFailed { life, .. }
                if life != self.life => {}
            Passage::Dialled { gateway, link, .. } => {
                let input = if self.backends.knows(link) {
                    Input::Dialled {
                        gateway,
                        link,
                        presented: Vec::new(),
                        asked: false,
                    }
                } else {
                    let why = DialFailure::Unreachable("connection reset".to_owned());
                    Input::DialFailed {
                        gateway,
                        why,
                        presented: Vec::new(),
                        asked: false,
                    }
                };
                self.site.handle(now, input);
            }
            Passage::DialFailed { gateway, why, .. } => {
                let why = DialFailure::Unreachable(why.to_owned());
                let asked = false;
                self.site.handle(
                    now,
                    Input::DialFailed {
                        gateway,
                        why,
                        presented: Vec::new(),
                        asked,
                    },
                );
            }
            Passage::ToBackend(link, text) => {
                if let Some((client_id, backend)) = self.backends.backend_of(link) {
                    let what = format!("{client_id} >> {text}");
                    self.history.note(now.mono, &what);
                    backend.handle_frame(now, link, &text);
                }
            }
            Passage::ToSite(link, text) => {
                if let Some(gateway) = self.backends.links.get(&link) {
                    let trunk = self.backends.trunks.get(*gateway);
                    let client_id = trunk.map_or("", |trunk| trunk.client_id.as_str());
                    let what = format!("{client_id} << {text}");
                    self.history.note(now.mono, &what);
                    self.site.handle(now, Input::Frame { link, text });
                }
            }
            Passage::Pong(link) => {
                if self.backends.knows(link) {
                    self.site.handle(now, Input::Heard { link, pong: true });
                }
            }
            Passage::DownAtBackend(link) => self.backends.down_at_backend(now, link),
            Passage::DownAtSite(link) => {
                if self.backends.links.remove(&link).is_some() {
                    self.site.handle(now, Input::Down { link });
                }
            }
        }
    }

    /// When what the site sends now is at the backend; `None` if it never is.
    fn arrives_at_backend(&mut self, link: LinkId) -> Option<Mono> {
        let trunk = self.backends.trunk_of(link)?;
        let wire = Some(&mut trunk.line).filter(|wire| !wire.mute)?;
        Some(wire.at_peer(self.now.mono, &mut self.random))
    }

    pub(super) fn send_to_backend(&mut self, link: LinkId, text: String) {
        if let Some(at) = self.arrives_at_backend(link) {
            self.enqueue(at, Event::Backend(Passage::ToBackend(link, text)));
        }
    }

    pub(super) fn ping_backend(&mut self, link: LinkId) {
        if let Some(at) = self.arrives_at_backend(link) {
            let delay = self.backends.trunk_of(link).map(|it| it.line.delay);
            let back = at + delay.unwrap_or_default();
            self.enqueue(back, Event::Backend(Passage::Pong(link)));
        }
    }

    /// The site closes a connection.
    pub(super) fn close_backend(&mut self, link: LinkId) {
        self.backends.links.remove(&link);
        match self.arrives_at_backend(link) {
            Some(at) => self.enqueue(at, Event::Backend(Passage::DownAtBackend(link))),
            None => {
                if let Some(trunk) = self.backends.trunk_of(link) {
                    trunk.line.link = None;
                }
            }
        }
    }

    /// Carries everything that the backends have to say.
    pub(super) fn drain_backends(&mut self) {
        let now = self.now.mono;
        let urls: Vec<String> = self.backends.all.keys().cloned().collect();
        for url in urls {
            while let Some(backend) = self.backends.all.get_mut(&url)
                && let Some(output) = backend.poll_output()
            {
                let (Output::Send { link, .. } | Output::Close { link }) = &output;
                let link = *link;
                let Some(trunk) = self.backends.trunk_of(link) else {
                    continue;
                };
                let wire = &mut trunk.line;
                let at = wire.at_site(now, &mut self.random);
                let mute = wire.mute;
                let passage = match output {
                    Output::Send { text, .. } => Passage::ToSite(link, text),
                    Output::Close { .. } => {
                        wire.link = None;
                        Passage::DownAtSite(link)
                    }
                };
                if !mute {
                    self.enqueue(at, Event::Backend(passage));
                }
            }
        }
    }
}
