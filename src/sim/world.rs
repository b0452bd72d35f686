//! A whole world in virtual time: the production logic of [`Site`], simulated wallboxes, Power
//! Brains and meters, lines with delay and loss, a disk that commits later. One event queue, one
//! seed.
//!
//! At every event the promises are checked: no fuse carries more than it can, and no wallbox is
//! sent what it must not be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::wallbox::Wallbox;
use super::{Meter, PowerBrain};
use crate::clock::{Mono, Now, Random};
use crate::ids::{ChargeBoxId, ConnectorId, EntryId, GatewayId, LinkId, Seq};
use crate::site::{Input, Plan, Site};
use crate::units::{MilliAmps, PerPhase};

mod acts;
mod backends;
mod bills;
mod carrying;
mod disk;
mod failure;
mod field;
mod line;
mod plan;
mod promises;

pub use disk::Disk;
pub use failure::{Failure, History};
pub use field::ModbusLine;
pub use line::Line;
pub use plan::WorldPlan;

use backends::{Backends, Passage};
use field::{Arrival, Field};
use plan::Wired;

/// 2026-01-15T10:00:00Z.
const BEGIN: i64 = 1_768_471_200;

/// A disk that fails is tried again after this.
const RETRY_WRITE: Duration = Duration::from_secs(1);

/// More events than this at one instant are an endless loop.
const EVENTS_AT_ONE_INSTANT: u32 = 10_000;

/// Something that will happen.
#[derive(Debug)]
enum Event {
    UpAtSite(LinkId),
    UpAtWallbox(LinkId),
    ToSite(LinkId, String),
    ToWallbox(LinkId, String),
    Pong(LinkId),
    DownAtSite(LinkId),
    DownAtWallbox(LinkId),
    /// A request to a Modbus device, or its answer.
    Modbus(Arrival),
    /// A frame between the site and a backend, or what becomes of their link.
    Backend(Passage),
    /// The disk has written, if the site that asked still lives.
    Commit {
        life: u32,
        seq: Seq,
    },
    /// The disk has read.
    Fetched {
        life: u32,
        gateway: GatewayId,
        entries: Vec<EntryId>,
    },
    /// The disk tries again what it could not write.
    WriteAgain {
        life: u32,
    },
}

/// A wallbox and its line.
#[derive(Debug)]
struct Place {
    wallbox: Wallbox,
    line: Line,
    /// When the wallbox dials again.
    redial_at: Mono,
}

/// A world.
#[derive(Debug)]
pub struct World {
    now: Now,
    random: Random,
    plan: Plan,
    wired: Vec<Wired>,
    site: Site,
    /// Counts the lives of the site.
    life: u32,
    /// Counts what its lives have done.
    steps: u64,
    /// It dies before these.
    dies_before: BTreeSet<u64>,
    disk: Disk,
    places: BTreeMap<ChargeBoxId, Place>,
    field: Field,
    backends: Backends,
    links: BTreeMap<LinkId, ChargeBoxId>,
    last_link: LinkId,
    queue: BTreeMap<(Mono, u64), Event>,
    queued: u64,
    history: History,
    failure: Option<Failure>,
}

impl World {
    fn new(mut plan: WorldPlan) -> Self {
        let wired = plan.wiring();
        let site_plan = plan.site_plan();
        let mut random = plan.random.clone();
        let now = Now {
            mono: Mono::START,
            wall: Timestamp::from_second(BEGIN).unwrap_or_default(),
        };
        let disk = Disk::default();
        let seed = Random::new(random.next_u64());
        let site = Site::new(now, site_plan.clone(), disk.recovered(), seed);
        let places = plan.wallboxes.iter().map(|plan| {
            let redial_at = Mono(Duration::from_millis(random.below(2_000)));
            let id = plan.id.clone();
            let mut wallbox = Wallbox::new(plan.clone(), Random::new(random.next_u64()));
            wallbox.keep_books();
            let place = Place {
                wallbox,
                line: Line::new(),
                redial_at,
            };
            (id, place)
        });
        let places = places.collect();
        let field = plan.field(&mut random);
        let backends = plan.backends(&mut random);
        let backends = Backends::new(backends, &site_plan.gateways);
        let mut world = Self {
            now,
            random,
            plan: site_plan,
            wired,
            site,
            life: 0,
            steps: 0,
            dies_before: BTreeSet::new(),
            disk,
            places,
            field,
            backends,
            links: BTreeMap::new(),
            last_link: LinkId(0),
            queue: BTreeMap::new(),
            queued: 0,
            history: History::default(),
            failure: None,
        };
        world.drain();
        world
    }

    /// What time it is there.
    pub fn now(&self) -> Now {
        self.now
    }

    /// The production logic.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The production logic, to be commanded; call [`run_for`](Self::run_for) afterwards.
    pub fn site_mut(&mut self) -> &mut Site {
        &mut self.site
    }

    /// The disk under it.
    pub fn disk(&mut self) -> &mut Disk {
        &mut self.disk
    }

    /// How many steps the site has made in all its lives: records that it gave to the disk, commits,
    /// and frames that it sent.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The ChargeBox IDs of all wallboxes.
    pub fn wallboxes(&self) -> impl Iterator<Item = &ChargeBoxId> {
        self.places.keys()
    }

    /// A wallbox.
    pub fn wallbox(&self, id: &str) -> Option<&Wallbox> {
        self.places.get(&id.into()).map(|place| &place.wallbox)
    }

    /// The line of a wallbox.
    pub fn line(&mut self, id: &str) -> Option<&mut Line> {
        self.places.get_mut(&id.into()).map(|place| &mut place.line)
    }

    /// A Power Brain.
    pub fn power_brain(&self, serial: &str) -> Option<&PowerBrain> {
        self.field.brain(serial).map(|place| &place.brain)
    }

    /// A meter.
    pub fn meter(&self, name: &str) -> Option<&Meter> {
        self.field.meter(name).map(|place| &place.meter)
    }

    /// The line of a Power Brain or a meter.
    pub fn modbus_line(&mut self, name: &str) -> Option<&mut ModbusLine> {
        self.field.line(name)
    }

    /// What connector 1 of a wallbox, or a Power Brain, allows a car.
    pub fn allowed(&self, id: &str) -> MilliAmps {
        let wallbox = self.wallbox(id);
        let allowed = wallbox.map(|it| it.allowed(ConnectorId(1), self.now));
        let brain = || Some(self.power_brain(id)?.allowed(self.now.mono));
        allowed.or_else(brain).unwrap_or(MilliAmps::ZERO)
    }

    /// What a car at connector 1 of a wallbox, or at a Power Brain, draws, on the device's own
    /// phases.
    pub fn drawn(&self, id: &str) -> PerPhase<MilliAmps> {
        let wallbox = self.wallbox(id);
        let drawn = wallbox.map(|it| it.drawn(ConnectorId(1), self.now));
        let brain = || Some(self.power_brain(id)?.draws(self.now.mono));
        drawn.or_else(brain).unwrap_or_default()
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// The first promise that is broken meanwhile, or was before.
    pub fn run_for(&mut self, span: Duration) -> Result<(), Failure> {
        let end = self.now.mono + span;
        self.run(end, |_| false)?;
        Ok(())
    }

    /// Lets time pass until `done`, which is looked at after every event.
    ///
    /// # Errors
    /// The first promise that is broken meanwhile; [`Failure::NotReached`] after `limit`.
    pub fn run_until(
        &mut self,
        limit: Duration,
        done: impl FnMut(&Self) -> bool,
    ) -> Result<(), Failure> {
        let end = self.now.mono + limit;
        if self.run(end, done)? {
            return Ok(());
        }
        let history = self.history.clone();
        Err(Failure::NotReached { limit, history })
    }

    fn run(&mut self, end: Mono, mut done: impl FnMut(&Self) -> bool) -> Result<bool, Failure> {
        let mut at_this_instant = 0;
        self.drain();
        loop {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            if done(self) {
                return Ok(true);
            }
            let next = self.next_time().filter(|next| *next <= end);
            let Some(next) = next else {
                self.set_time(end);
                return Ok(false);
            };
            if next > self.now.mono {
                at_this_instant = 0;
                self.set_time(next);
            }
            at_this_instant += 1;
            if at_this_instant > EVENTS_AT_ONE_INSTANT {
                let history = self.history.clone();
                return Err(Failure::Stuck { history });
            }
            self.step();
            self.drain();
        }
    }

    fn set_time(&mut self, mono: Mono) {
        let gone = SignedDuration::try_from(mono.since(self.now.mono)).unwrap_or_default();
        self.now.mono = self.now.mono.max(mono);
        self.now.wall = self.now.wall.checked_add(gone).unwrap_or(Timestamp::MAX);
    }

    fn next_time(&self) -> Option<Mono> {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        let places = self.places.values();
        let wallboxes = places.filter_map(|place| {
            let timers = [place.dials_at(), place.wallbox.poll_timeout()];
            timers.into_iter().flatten().min()
        });
        wallboxes
            .chain(queued)
            .chain(self.site.poll_timeout())
            .chain(self.field.poll_timeout())
            .chain(self.backends.poll_timeout())
            .min()
    }

    /// Does the first thing that is due.
    fn step(&mut self) {
        let now = self.now;
        if let Some(first) = self.queue.first_entry()
            && first.key().0 <= now.mono
        {
            let event = first.remove();
            self.happen(event);
            return;
        }
        let due = |at: Option<Mono>| at.is_some_and(|at| at <= now.mono);
        let dialling = self.places.iter().find(|(_, place)| due(place.dials_at()));
        if let Some((id, _)) = dialling {
            self.dial(&id.clone());
            return;
        }
        let mut places = self.places.values_mut();
        if let Some(place) = places.find(|place| due(place.wallbox.poll_timeout())) {
            place.wallbox.handle_timeout(now);
        } else if due(self.field.poll_timeout()) {
            self.look();
        } else if due(self.backends.poll_timeout()) {
            self.backends.advance(now);
        } else {
            self.site.handle_timeout(now);
        }
    }

    fn happen(&mut self, event: Event) {
        let now = self.now;
        match event {
            Event::UpAtSite(link) => {
                if let Some(address) = self.links.get(&link) {
                    self.history.note(now.mono, &format!("{address} is up"));
                    self.site.handle(
                        now,
                        Input::Up {
                            link,
                            address: address.clone(),
                            peer: "here".to_owned(),
                        },
                    );
                }
            }
            Event::UpAtWallbox(link) => {
                if let Some(place) = self.place_of(link) {
                    place.wallbox.handle_connected(now);
                }
            }
            Event::ToSite(link, text) => {
                if let Some(address) = self.links.get(&link) {
                    self.history.note(now.mono, &format!("{address} > {text}"));
                    self.site.handle(now, Input::Frame { link, text });
                }
            }
            Event::ToWallbox(link, text) => {
                let address = self.links.get(&link).cloned();
                if let Some(place) = self.place_of(link) {
                    place.wallbox.handle_frame(now, &text);
                    let address = address.unwrap_or_else(|| "".into());
                    self.history.note(now.mono, &format!("{address} < {text}"));
                }
            }
            Event::Pong(link) => {
                if self.links.contains_key(&link) {
                    self.site.handle(now, Input::Heard { link, pong: true });
                }
            }
            Event::DownAtSite(link) => {
                if let Some(address) = self.links.remove(&link) {
                    self.history.note(now.mono, &format!("{address} is down"));
                    self.site.handle(now, Input::Down { link });
                }
            }
            Event::DownAtWallbox(link) => self.down_at_wallbox(link),
            Event::Modbus(arrival) => self.arrive(arrival),
            Event::Backend(passage) => self.pass(passage),
            Event::Commit { life, seq } => self.commit(life, seq),
            Event::Fetched {
                life,
                gateway,
                entries,
            } => {
                if life == self.life {
                    let entries = self.disk.fetch(&entries);
                    self.site.handle(now, Input::Fetched { gateway, entries });
                }
            }
            Event::WriteAgain { life } => {
                if life == self.life
                    && let Some(seq) = self.disk.refused()
                {
                    self.commit(life, seq);
                }
            }
        }
    }

    fn commit(&mut self, life: u32, seq: Seq) {
        let now = self.now;
        if life != self.life {
            return;
        }
        if self.disk.failing {
            if self.disk.refuse(seq) {
                self.site.handle(now, Input::CommitFailed);
                self.enqueue(now.mono + RETRY_WRITE, Event::WriteAgain { life });
            }
        } else if self.dies_now() {
            self.crash();
        } else if self.disk.commit(seq) {
            self.site.handle(now, Input::Committed(seq));
        }
    }

    fn dial(&mut self, id: &ChargeBoxId) {
        self.last_link = LinkId(self.last_link.0 + 1);
        let link = self.last_link;
        let Some(place) = self.places.get_mut(id) else {
            return;
        };
        place.line.link = Some(link);
        let at_site = place.line.at_site(self.now.mono, &mut self.random);
        let at_wallbox = place.line.at_peer(at_site, &mut self.random);
        self.links.insert(link, id.clone());
        self.enqueue(at_site, Event::UpAtSite(link));
        self.enqueue(at_wallbox, Event::UpAtWallbox(link));
    }

    fn down_at_wallbox(&mut self, link: LinkId) {
        let now = self.now;
        let wait = Duration::from_millis(1_000 + self.random.below(4_000));
        if let Some(place) = self.place_of(link) {
            place.line.link = None;
            place.redial_at = now.mono + wait;
            place.wallbox.handle_disconnected(now);
        }
    }

    /// The place whose current link this is.
    fn place_of(&mut self, link: LinkId) -> Option<&mut Place> {
        let mut places = self.places.values_mut();
        places.find(|place| place.line.link == Some(link))
    }

    fn enqueue(&mut self, at: Mono, event: Event) {
        self.queued += 1;
        self.queue.insert((at, self.queued), event);
    }
}

impl Place {
    fn dials_at(&self) -> Option<Mono> {
        let line = &self.line;
        let wants = line.link.is_none() && line.reachable && !line.mute && self.wallbox.is_on();
        wants.then_some(self.redial_at)
    }
}

#[cfg(test)]
mod tests;
