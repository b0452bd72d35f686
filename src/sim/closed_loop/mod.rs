//! A load manager in a closed loop with EVSEs, cars, a house and its meter, in simulated time.
//!
//! Smaller than [`World`](super::World): devices take offers and report, without a protocol in
//! between, so that an hour of ten EVSEs takes no longer than a blink, and so that other load
//! managers can be put in the same place.

mod device;
mod manager;
mod perfect;
mod rules;
mod scene;
mod tally;
mod wiring;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

pub use device::Device;
pub use manager::Manager;
pub use perfect::Perfect;
pub use scene::{Place, Scene, SceneMeter, Stay, circuit, evse};
pub use tally::Tally;

use crate::clock::{Mono, Now, Random, Timestamp};
use crate::evse::{Demand, Measured, Offer, Report};
use crate::ids::OfferNumber;
use crate::units::{MilliAmps, PerPhase, WattHours};

use super::house::House;
use wiring::Wiring;

/// How often the fuses are looked at.
const LOOKS: Duration = Duration::from_millis(100);

/// A wallbox that reports rarely is asked for values so long after it took a lower limit, and so long
/// after that again, ...
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// ... until they show that its car follows, or so often.
const ASKED: u32 = 5;

/// Devices come online within so many milliseconds.
const COMES_WITHIN: u64 = 3000;

#[derive(Debug)]
enum Event {
    Arrives,
    Leaves,
    /// The offer reaches the wallbox.
    Takes(Offer),
    /// The car sees the pilot signal that was set its lag ago.
    Follows(MilliAmps),
    Measures,
    /// It is asked for values because of an offer, and may be asked so many times more.
    IsAsked(OfferNumber, u32),
    /// The question reaches it: it measures beyond its turn.
    Answers,
    Reports(Report),
}

/// What the load manager could know if it knew everything.
#[derive(Debug)]
pub struct Truth<'a> {
    /// What the house takes.
    pub house: PerPhase<MilliAmps>,
    /// The devices, in the order of the plan.
    pub devices: &'a [Device],
}

/// A site in simulated time, with a load manager in its place.
#[derive(Debug)]
pub struct ClosedLoop<M> {
    /// Who decides.
    pub manager: M,
    now: Mono,
    random: Random,
    wiring: Wiring,
    house: House,
    meter: Option<SceneMeter>,
    poll: Duration,
    devices: Vec<Device>,
    /// Of one device each.
    events: BTreeMap<(Mono, u64), (usize, Event)>,
    /// On their way from the meter.
    readings: BTreeMap<(Mono, u64), PerPhase<MilliAmps>>,
    order: u64,
    reads_at: Mono,
    tally: Tally,
}

impl<M: Manager> ClosedLoop<M> {
    /// Everything begins; the devices come online within three seconds.
    pub fn new(scene: Scene, manager: M) -> Self {
        let mut random = Random::new(scene.seed);
        let wiring = Wiring::new(&scene.plan);
        let poll = scene.meter.as_ref().and_then(|meter| {
            let mut plans = scene.plan.meters.iter();
            plans.find(|plan| plan.name == meter.name)
        });
        let poll = poll.map_or(Duration::from_secs(1), |plan| plan.poll);
        let plans = scene.plan.evses.iter().zip(scene.places);
        let devices: Vec<Device> = plans
            .map(|(plan, place)| Device::new(plan, place, &scene.plan, random.next_u64()))
            .collect();
        let mut site = Self {
            manager,
            now: Mono::START,
            tally: Tally::new(Mono::START, &wiring, devices.len()),
            random,
            wiring,
            house: scene.house,
            meter: scene.meter,
            poll,
            events: BTreeMap::new(),
            readings: BTreeMap::new(),
            order: 0,
            reads_at: Mono::START,
            devices,
        };
        site.begin();
        site
    }

    fn begin(&mut self) {
        for index in 0..self.devices.len() {
            let online = Duration::from_millis(self.random.below(COMES_WITHIN));
            self.after(online, index, Event::Reports(Report::Online(true)));
            let Some(device) = self.devices.get_mut(index) else {
                continue;
            };
            let (every, arrives) = (device.measures(), device.arrives());
            let first = Duration::from_millis(self.random.below(millis(every)));
            self.after(first, index, Event::Measures);
            if let Some(at) = arrives {
                // Nobody charges before the wallbox is there.
                let later = at.since(Mono::START).max(online);
                self.after(later, index, Event::Arrives);
            }
        }
    }

    /// Lets time pass until `end`, and calls `look` after everything that happens.
    pub fn run_until(&mut self, end: Mono, mut look: impl FnMut(&Self)) {
        loop {
            self.drain();
            look(self);
            let next = self.next();
            if next > end {
                self.pass(end);
                return;
            }
            self.pass(next);
            self.step();
        }
    }

    /// Forgets what was counted so far.
    pub fn count_anew(&mut self) {
        self.pass(self.now);
        self.tally = Tally::new(self.now, &self.wiring, self.devices.len());
    }

    /// What was counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What time it is there.
    pub fn now(&self) -> Mono {
        self.now
    }

    /// The house.
    pub fn house(&self) -> &House {
        &self.house
    }

    /// The devices, in the order of the plan.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// What all cars got so far.
    pub fn energy(&self) -> WattHours {
        let got = self.devices.iter().flat_map(Device::got);
        got.map(|(_, got)| got).sum()
    }

    /// What each circuit may carry on each phase.
    pub fn limits(&self) -> &[MilliAmps] {
        self.wiring.limits()
    }

    /// What the devices take from each circuit, by what `of` says of each.
    pub fn sums(&self, of: impl Fn(&Device) -> MilliAmps) -> Vec<PerPhase<MilliAmps>> {
        self.wiring.sums(&self.devices, of)
    }

    /// What each circuit carries, the house included.
    pub fn carried(&self) -> Vec<PerPhase<MilliAmps>> {
        let mut sums = self.sums(|device| device.drawn(self.now));
        // The house hangs on the main fuse.
        if let Some(main) = sums.first_mut() {
            for (phase, current) in self.house.current().iter() {
                main[phase] += current;
            }
        }
        sums
    }

    fn after(&mut self, span: Duration, device: usize, event: Event) {
        self.order += 1;
        self.events
            .insert((self.now + span, self.order), (device, event));
    }

    /// When something happens next.
    fn next(&self) -> Mono {
        let event = self.events.keys().next().map(|(at, _)| *at);
        let reading = self.readings.keys().next().map(|(at, _)| *at);
        let reads = self.meter.as_ref().map(|_| self.reads_at);
        let manager = self.manager.poll_timeout().map(|at| at.max(self.now));
        let house = self.house.next_change();
        let times = [event, reading, reads, manager, house];
        let look = self.tally.looked_at() + LOOKS;
        times
            .into_iter()
            .flatten()
            .min()
            .map_or(look, |at| at.min(look))
    }

    fn pass(&mut self, until: Mono) {
        self.now = until;
        if until.since(self.tally.looked_at()) < LOOKS {
            return;
        }
        for device in &mut self.devices {
            device.run_to(until);
        }
        let carried = self.carried();
        let house = self.house.current();
        self.tally
            .look(until, self.wiring.limits(), &carried, house);
    }

    /// Everything that is due.
    fn step(&mut self) {
        let now = now(self.now);
        let due = |at: &Mono| *at <= now.mono;
        if self.house.next_change().as_ref().is_some_and(due) {
            self.house.advance(now.mono);
        }
        if self.meter.is_some() && due(&self.reads_at) {
            self.read_meter();
        }
        while let Some(entry) = self.readings.first_entry().filter(|e| due(&e.key().0)) {
            let current = entry.remove();
            if let Some(meter) = &self.meter {
                self.manager.handle_sample(now, &meter.name, current);
            }
        }
        while let Some(entry) = self.events.first_entry().filter(|e| due(&e.key().0)) {
            let (index, event) = entry.remove();
            self.happen(index, event);
        }
        if self.manager.poll_timeout().as_ref().is_some_and(due) {
            self.manager.handle_timeout(now);
        }
    }

    fn read_meter(&mut self) {
        let Some(meter) = &self.meter else { return };
        let (latency, noise) = (meter.latency.clone(), meter.noise);
        self.reads_at = self.reads_at + self.poll;
        let carried = self.carried().first().copied().unwrap_or_default();
        let read = carried.map(|current| device::read(current, noise, &mut self.random));
        let latency = latency.start + self.random.below(latency.end - latency.start);
        self.order += 1;
        let at = self.now + Duration::from_millis(latency);
        self.readings.insert((at, self.order), read);
    }

    fn drain(&mut self) {
        let truth = Truth {
            house: self.house.current(),
            devices: &self.devices,
        };
        self.manager.see(now(self.now), &truth);
        while let Some((name, offer)) = self.manager.poll_output() {
            let Some(index) = self.devices.iter().position(|at| at.name() == &name) else {
                continue;
            };
            self.tally.count_write(index);
            let Some(device) = self.devices.get_mut(index) else {
                continue;
            };
            let later = device.tell(self.now, &offer);
            self.after(later, index, Event::Takes(offer));
        }
    }

    fn report(&mut self, index: usize, report: &Report) {
        if let Some(device) = self.devices.get(index) {
            let name = device.name();
            self.manager.handle_report(now(self.now), name, report);
        }
    }

    fn happen(&mut self, index: usize, event: Event) {
        let at = self.now;
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        match event {
            Event::Reports(report) => self.report(index, &report),
            Event::Arrives => {
                let leaves = device.arrive(at);
                self.after(leaves.since(at), index, Event::Leaves);
                self.report(index, &Report::Demand(Demand::Charging));
            }
            Event::Leaves => {
                let next = device.leave(at);
                self.report(index, &Report::Demand(Demand::None));
                if let Some(next) = next {
                    self.after(next.since(at), index, Event::Arrives);
                }
            }
            Event::Takes(offer) => self.take(index, &offer),
            Event::Follows(pilot) => device.follow(at, pilot),
            Event::Measures => {
                let every = device.measures();
                self.after(every, index, Event::Measures);
                self.measure(index);
            }
            Event::IsAsked(offer, left) => self.ask(index, offer, left),
            Event::Answers => self.measure(index),
        }
    }

    fn take(&mut self, index: usize, offer: &Offer) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        let before = device.is_closed();
        let (pilot, lag) = device.take(self.now, offer.limit);
        self.tally.count_start(index, !before && device.is_closed());
        self.after(lag, index, Event::Follows(pilot));
        let number: OfferNumber = offer.number;
        self.report(index, &Report::Took(number));
        self.after(ASKED_AFTER, index, Event::IsAsked(number, ASKED));
    }

    /// What the driver of an OCPP wallbox does, so that it shows soon whether a car follows.
    fn ask(&mut self, index: usize, offer: OfferNumber, left: u32) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        let Some(answers_in) = device.ask(self.now, offer).filter(|_| left > 0) else {
            return;
        };
        self.after(answers_in, index, Event::Answers);
        let again = answers_in.max(ASKED_AFTER);
        self.after(again, index, Event::IsAsked(offer, left - 1));
    }

    fn measure(&mut self, index: usize) {
        let Some(device) = self.devices.get_mut(index) else {
            return;
        };
        let measured: Option<Measured> = device.measure(self.now);
        if let Some(measured) = measured {
            self.report(index, &Report::Measured(measured));
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

fn now(mono: Mono) -> Now {
    Now {
        mono,
        wall: Timestamp::UNIX_EPOCH,
    }
}
