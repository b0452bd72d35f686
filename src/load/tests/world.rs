//! Virtual wallboxes with cars, some of them slow, forgetful or deaf.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::{Mono, Now, Random};
use crate::evse::{Demand, Limit, Measured, Offer, Report};
use crate::ids::{EvseName, OfferNumber};
use crate::load::site_generator::{self, Site};
use crate::load::{self, CircuitPlan, Controller, EvsePlan, LoadPlan, MeterPlan, Output, Rotation};
use crate::units::{MilliAmps, PerPhase, Phase, WattHours};

pub(super) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A plan with one circuit of so many amperes and EVSEs of 6 to 16 A on it.
pub(super) fn plan(amps: i32, evses: usize) -> LoadPlan {
    let mut plan = Site::empty().plan;
    plan.circuits.push(CircuitPlan {
        name: "house".into(),
        parent: None,
        max_current: MilliAmps::from_amps(amps),
        max_power: None,
        reserve: MilliAmps::ZERO,
        failsafe: MilliAmps::ZERO,
        max_asymmetry: None,
        meter: None,
    });
    plan.ocpp_raise_interval = seconds(30);
    plan.start_up_hold = seconds(30);
    plan.evses = (0..evses).map(evse).collect();
    plan
}

/// The same with a meter on the circuit.
pub(super) fn metered(amps: i32, evses: usize) -> LoadPlan {
    let mut plan = plan(amps, evses);
    plan.circuits[0].meter = Some("grid".into());
    plan.meters.push(MeterPlan {
        name: "grid".into(),
        poll: seconds(1),
    });
    for evse in &mut plan.evses {
        evse.device = load::Device::Modbus;
    }
    plan
}

fn evse(index: usize) -> EvsePlan {
    EvsePlan {
        name: format!("e{index}").as_str().into(),
        failsafe: MilliAmps::ZERO,
        ..site_generator::evse()
    }
}

/// How a device treats what it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Temper {
    /// Takes it.
    Obedient,
    /// Accepts every limit and keeps none.
    Deaf,
    /// Takes limits, and gives the car as much current all the same.
    Stubborn,
    /// Says no.
    Refuses,
}

/// A wallbox and the car at it.
#[derive(Debug, Clone)]
pub(super) struct Device {
    pub(super) temper: Temper,
    /// It takes an offer within so many seconds, and answers within as many more.
    pub(super) delay: u64,
    /// Of a hundred offers, so many are lost, and as many answers; as many answers come twice.
    pub(super) loses: u64,
    /// Sends meter values so often.
    pub(super) samples: Option<Duration>,
    pub(super) phases: u8,
    /// What its car takes at most, and how much more than it is allowed.
    pub(super) appetite: i32,
    pub(super) excess: i32,
    /// Its car lags behind a lowering by up to so many seconds.
    pub(super) lag: u64,
    pub(super) online: bool,
    pub(super) demand: Demand,
    /// What it allows its car, in mA.
    pub(super) limit: i32,
    pub(super) last: Option<Offer>,
    pub(super) link: u64,
    pub(super) ready_at: Mono,
    pub(super) ramp: Vec<(Mono, i32)>,
    pub(super) energy_mas: i64,
    /// Without current although it charges, since then; and the longest such time.
    pub(super) waiting_since: Option<Mono>,
    pub(super) longest_wait: Duration,
    pub(super) starts: u32,
}

impl Device {
    pub(super) fn new() -> Self {
        Self {
            temper: Temper::Obedient,
            delay: 1,
            loses: 0,
            samples: Some(seconds(10)),
            phases: 3,
            appetite: 32_000,
            excess: 0,
            lag: 2,
            online: false,
            demand: Demand::None,
            limit: 0,
            last: None,
            link: 0,
            ready_at: Mono::START,
            ramp: Vec::new(),
            energy_mas: 0,
            waiting_since: None,
            longest_wait: Duration::ZERO,
            starts: 0,
        }
    }

    /// What may flow: its limit, or what its car has not given up yet. What is within the
    /// tolerance of a meter counts as given up.
    pub(super) fn allowed(&self, now: Mono) -> i32 {
        let felt = self.limit + 500;
        let ramp = self.ramp.iter().filter(|(until, _)| *until > now);
        let ramp = ramp.map(|(_, amps)| *amps - self.excess.max(0));
        let ramp = ramp.filter(|amps| *amps > felt).max();
        match self.temper {
            Temper::Obedient => self.limit.max(ramp.unwrap_or(0)),
            Temper::Refuses | Temper::Deaf | Temper::Stubborn => self.drawn(now).max(self.limit),
        }
    }

    /// What flows on each of the phases of its car.
    pub(super) fn drawn(&self, now: Mono) -> i32 {
        if self.demand != Demand::Charging {
            return 0;
        }
        if self.temper != Temper::Obedient {
            return self.appetite.min(16_000);
        }
        let ramp = self.ramp.iter().filter(|(until, _)| *until > now);
        let ramp = ramp.map(|(_, amps)| *amps).max().unwrap_or(0);
        let follows = (self.limit + self.excess).min(self.appetite);
        let follows = if self.limit < 6000 { 0 } else { follows };
        follows.max(ramp)
    }

    fn set_limit(&mut self, now: Mono, limit: i32, lag: u64) {
        let before = self.drawn(now);
        self.ramp.retain(|(until, _)| *until > now);
        self.limit = limit;
        if before > self.drawn(now) {
            self.ramp.push((now + seconds(lag), before));
        }
    }
}

/// A house beside the EVSEs of the first circuit, and the meter that sees both.
#[derive(Debug, Clone)]
pub(super) struct House {
    /// What it takes of each phase, in mA; negative where the sun shines.
    pub(super) load: [i32; 3],
    /// The meter is read so often, ...
    pub(super) every: Duration,
    /// ... and says what was true so many milliseconds ago.
    pub(super) lag: u64,
    /// Its cable is cut.
    pub(super) is_silent: bool,
}

impl House {
    pub(super) fn new(load: [i32; 3]) -> Self {
        Self {
            load,
            every: seconds(1),
            lag: 0,
            is_silent: false,
        }
    }
}

#[derive(Debug)]
enum Event {
    Takes { link: u64, offer: Offer },
    Says { link: u64, report: Report },
    Samples,
    Returns { rebooted: bool },
    Reads,
    Sample { current: [i32; 3] },
}

/// A site.
pub(super) struct World {
    pub(super) controller: Controller,
    pub(super) plan: LoadPlan,
    pub(super) devices: Vec<Device>,
    pub(super) random: Random,
    pub(super) now: Mono,
    pub(super) complaints: Vec<(usize, OfferNumber)>,
    pub(super) offers: usize,
    pub(super) house: House,
    events: BTreeMap<(Mono, u64), (usize, Event)>,
    order: u64,
}

impl World {
    /// All devices come online in the first seconds.
    pub(super) fn new(seed: u64, plan: LoadPlan, devices: Vec<Device>) -> Self {
        let controller = Controller::new(now(Mono::START), plan.clone(), &BTreeMap::new());
        let mut world = Self {
            controller,
            plan,
            devices,
            random: Random::new(seed),
            now: Mono::START,
            complaints: Vec::new(),
            offers: 0,
            house: House::new([0; 3]),
            events: BTreeMap::new(),
            order: 0,
        };
        if world.is_metered() {
            world.after(500, 0, Event::Reads);
        }
        for index in 0..world.devices.len() {
            let later = world.below(3000);
            world.after(later, index, Event::Returns { rebooted: false });
            if let Some(every) = world.devices[index].samples {
                let first = world.below(u64::try_from(every.as_millis()).unwrap());
                world.after(first, index, Event::Samples);
            }
        }
        world
    }

    /// As many obedient devices as EVSEs.
    pub(super) fn obedient(plan: LoadPlan) -> Self {
        let devices = vec![Device::new(); plan.evses.len()];
        Self::new(1, plan, devices)
    }

    fn is_metered(&self) -> bool {
        let mut circuits = self.plan.circuits.iter();
        circuits.any(|circuit| circuit.meter.is_some())
    }

    /// What flows through the first circuit: EVSEs and house.
    pub(super) fn grid(&self) -> [i32; 3] {
        let now = self.now;
        let drawn = self.sum(0, |device| device.drawn(now));
        [0, 1, 2].map(|phase| i32::try_from(drawn[phase]).unwrap() + self.house.load[phase])
    }

    /// By how much the fuse of the first circuit is overloaded now.
    pub(super) fn excess(&self) -> i32 {
        let limit = self.plan.circuits[0].max_current.0;
        self.grid().into_iter().max().unwrap() - limit
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn after(&mut self, milliseconds: u64, device: usize, event: Event) {
        self.order += 1;
        let at = self.now + Duration::from_millis(milliseconds);
        self.events.insert((at, self.order), (device, event));
    }

    /// Lets so many seconds pass, and calls `check` after everything that happens.
    pub(super) fn run(&mut self, span: Duration, mut check: impl FnMut(&mut Self)) {
        let end = self.now + span;
        loop {
            self.drain();
            check(self);
            let event = self.events.keys().next().map(|(at, _)| *at);
            let timer = self.controller.poll_timeout();
            let next = event.into_iter().chain(timer).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                self.pass(end);
                return;
            };
            self.pass(next);
            if timer.is_some_and(|timer| timer <= next) {
                self.controller.handle_timeout(now(next));
            } else if let Some((_, (device, event))) = self.events.pop_first() {
                self.happen(device, event);
            }
        }
    }

    pub(super) fn wait(&mut self, span: u64) {
        self.run(seconds(span), |_| {});
    }

    pub(super) fn report(&mut self, device: usize, report: &Report) {
        let name = self.plan.evses[device].name.clone();
        self.controller.handle_report(now(self.now), &name, report);
    }

    pub(super) fn demand(&mut self, device: usize, demand: Demand) {
        let before = std::mem::replace(&mut self.devices[device].demand, demand);
        let charges = demand == Demand::Charging;
        if charges != (before == Demand::Charging) {
            self.devices[device].waiting_since = charges.then_some(self.now);
        }
        self.report(device, &Report::Demand(demand));
    }

    pub(super) fn signal(&mut self, circuit: usize, watts: Option<i32>) {
        let name = self.plan.circuits[circuit].name.clone();
        let watts = watts.map(crate::units::Watts);
        self.controller.set_signal(now(self.now), &name, watts);
    }

    pub(super) fn ceiling(&mut self, device: usize, amps: Option<MilliAmps>) {
        let name = self.plan.evses[device].name.clone();
        self.controller.handle_ceiling(now(self.now), &name, amps);
    }

    pub(super) fn enable(&mut self, evse: &EvseName, enabled: bool) {
        self.controller.set_enabled(now(self.now), evse, enabled);
    }

    /// The link breaks; what was on its way is lost.
    pub(super) fn lose(&mut self, device: usize, for_seconds: u64, rebooted: bool) {
        if !self.devices[device].online {
            return;
        }
        let at = &mut self.devices[device];
        at.online = false;
        at.link += 1;
        if rebooted {
            // Its contactor is open until it has started again.
            at.ramp.clear();
            let kept = if self.random.below(2) == 0 {
                0
            } else {
                at.limit
            };
            at.limit = kept;
        }
        self.report(device, &Report::Online(false));
        self.after(for_seconds * 1000, device, Event::Returns { rebooted });
    }

    pub(super) fn read(&mut self, current: [i32; 3]) {
        let name = self.plan.circuits[0].meter.clone().unwrap();
        let current = PerPhase(current.map(MilliAmps));
        self.controller
            .handle_sample(now(self.now), &name, current, None);
    }

    pub(super) fn reason(&self, device: usize) -> String {
        let view = self.controller.evse(&self.plan.evses[device].name);
        view.unwrap().reason.to_string()
    }

    pub(super) fn offered(&self, device: usize) -> i32 {
        let view = self.controller.evse(&self.plan.evses[device].name);
        view.unwrap()
            .offered
            .map_or(0, |limit| self.milliamps(device, limit))
    }

    fn milliamps(&self, device: usize, limit: Limit) -> i32 {
        match limit {
            Limit::Current(amps) => amps.0,
            Limit::Released => self.plan.evses[device].max.0,
        }
    }

    /// What flows below a circuit on each phase, by what `of` says of each device: computed
    /// without the code under test.
    pub(super) fn sum(&self, circuit: usize, of: impl Fn(&Device) -> i32) -> [i64; 3] {
        let mut sum = [0; 3];
        for (plan, device) in self.plan.evses.iter().zip(&self.devices) {
            let mut at = Some(&plan.circuit);
            let below = std::iter::from_fn(|| {
                let name = at?;
                let place = self.plan.circuits.iter().position(|c| c.name == *name)?;
                at = self.plan.circuits[place].parent.as_ref();
                Some(place)
            });
            if !below.into_iter().any(|place| place == circuit) {
                continue;
            }
            // Where nobody knows, it is the first phase.
            let order = match plan.rotation {
                Rotation::Known(order) => order,
                Rotation::Unknown => Phase::ALL,
            };
            for phase in order
                .into_iter()
                .take(usize::from(plan.phases.min(device.phases)))
            {
                sum[phase.index()] += i64::from(of(device));
            }
        }
        sum
    }

    /// By how much the house alone overloads it.
    pub(super) fn house_excess(&self) -> i32 {
        let limit = self.plan.circuits[0].max_current.0;
        self.house.load.into_iter().max().unwrap() - limit
    }

    fn pass(&mut self, until: Mono) {
        let span = i64::try_from(until.since(self.now).as_millis()).unwrap();
        let before = self.now;
        self.now = until;
        for device in &mut self.devices {
            let drawn = i64::from(device.drawn(before)) * i64::from(device.phases);
            device.energy_mas += drawn * span / 1000;
            if let Some(since) = device.waiting_since {
                device.longest_wait = device.longest_wait.max(until.since(since));
            }
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.controller.poll_output() {
            let find = |name| self.plan.evses.iter().position(|evse| evse.name == name);
            match output {
                Output::Offer { evse, offer } => self.deliver(find(evse).unwrap(), offer),
                Output::NotFollowed { evse, offer } => {
                    self.complaints.push((find(evse).unwrap(), offer));
                }
            }
        }
    }

    fn deliver(&mut self, index: usize, offer: Offer) {
        self.offers += 1;
        let delay = self.devices[index].delay * 1000;
        let lost = self.below(100) < self.devices[index].loses;
        let delay = self.below(delay + 1);
        let device = &mut self.devices[index];
        assert!(device.online, "an offer to a device that is away");
        assert!(
            device
                .last
                .as_ref()
                .is_none_or(|last| last.number < offer.number)
        );
        device.last = Some(offer.clone());
        if !lost {
            // In the order in which they were sent.
            let at = (self.now + Duration::from_millis(delay)).max(device.ready_at);
            device.ready_at = at;
            let link = device.link;
            let later = u64::try_from(at.since(self.now).as_millis()).unwrap();
            self.after(later, index, Event::Takes { link, offer });
        }
    }

    fn happen(&mut self, index: usize, event: Event) {
        match event {
            Event::Takes { link, offer } if link == self.devices[index].link => {
                self.take(index, link, &offer);
            }
            Event::Says { link, report } if link == self.devices[index].link => {
                self.report(index, &report);
            }
            Event::Takes { .. } | Event::Says { .. } => {}
            Event::Samples => self.sample(index),
            Event::Reads => {
                let House {
                    every,
                    lag,
                    is_silent,
                    ..
                } = self.house;
                if !is_silent {
                    let current = self.grid();
                    self.after(lag, 0, Event::Sample { current });
                }
                let every = u64::try_from(every.as_millis()).unwrap();
                self.after(every, 0, Event::Reads);
            }
            Event::Sample { current } => self.read(current),
            Event::Returns { rebooted } => {
                self.devices[index].online = true;
                self.report(index, &Report::Online(true));
                if rebooted {
                    self.report(index, &Report::Booted);
                }
            }
        }
    }

    fn take(&mut self, index: usize, link: u64, offer: &Offer) {
        let limit = self.milliamps(index, offer.limit);
        let lag = self.devices[index].lag;
        let lag = self.below(lag + 1);
        let now = self.now;
        let device = &mut self.devices[index];
        let number = offer.number;
        let report = match device.temper {
            Temper::Obedient => {
                let had = device.limit >= 6000;
                device.set_limit(now, limit, lag);
                if device.demand == Demand::Charging && had != (limit >= 6000) {
                    device.waiting_since = had.then_some(now);
                    device.starts += u32::from(!had);
                }
                Report::Took(number)
            }
            Temper::Deaf | Temper::Stubborn => Report::Took(number),
            Temper::Refuses => Report::Refused {
                offer: number,
                why: "Rejected".to_owned(),
            },
        };
        let (delay, loses) = (device.delay * 1000, device.loses);
        let says = |report: &Report| Event::Says {
            link,
            report: report.clone(),
        };
        if self.below(100) >= loses {
            let later = self.below(delay + 1);
            self.after(later, index, says(&report));
        }
        if self.below(100) < loses {
            let later = self.below(20 * delay + 1);
            self.after(later, index, says(&report));
        }
    }

    fn sample(&mut self, index: usize) {
        let device = &self.devices[index];
        let Some(every) = device.samples else {
            return;
        };
        if device.online && device.demand == Demand::Charging {
            let drawn = MilliAmps(device.drawn(self.now));
            let mut current = [MilliAmps::ZERO; 3];
            current[..usize::from(device.phases)].fill(drawn);
            let measured = Measured {
                current: Some(PerPhase(current)),
                power: None,
                energy: Some(WattHours(device.energy_mas * 230 / 3_600_000)),
            };
            self.report(index, &Report::Measured(measured));
        }
        let every = u64::try_from(every.as_millis()).unwrap();
        self.after(every, index, Event::Samples);
    }
}

fn now(mono: Mono) -> Now {
    Now {
        mono,
        wall: crate::clock::Timestamp::UNIX_EPOCH,
    }
}
