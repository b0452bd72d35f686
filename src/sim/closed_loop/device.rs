//! A wallbox without a protocol, and the cars that come to it.

use std::time::Duration;

use crate::clock::{Mono, Random};
use crate::evse::{Limit, Measured, Offer};
use crate::ids::{EvseName, OfferNumber};
use crate::load::{EvsePlan, LoadPlan};
use crate::sim::car::{MINIMUM, MicroJoules, PluggedCar};
use crate::units::{MilliAmps, MilliVolts, PerPhase, WattHours};

use super::scene::{Place, Stay};

/// Meters are not exact: so much above the limit counts as given up.
const FELT: MilliAmps = MilliAmps(500);

/// A wallbox and the car at it.
#[derive(Debug)]
pub struct Device {
    name: EvseName,
    wired: u8,
    max: MilliAmps,
    voltage: MilliVolts,
    place: Place,
    random: Random,
    /// The newest offer.
    told: MilliAmps,
    offer: Option<OfferNumber>,
    /// What it reported last.
    reported: MilliAmps,
    /// What it allows.
    limit: MilliAmps,
    /// It takes offers in the order in which they were made.
    ready_at: Mono,
    /// What the car has seen of it so far.
    pilot: MilliAmps,
    car: Option<(Stay, PluggedCar)>,
    /// The next to come.
    next: usize,
    /// What each car got, in the order of coming, and the register.
    got: Vec<MicroJoules>,
}

impl Device {
    pub(super) fn new(plan: &EvsePlan, place: Place, site: &LoadPlan, seed: u64) -> Self {
        Self {
            name: plan.name.clone(),
            wired: plan.phases,
            max: plan.max,
            voltage: site.voltage,
            got: vec![MicroJoules::default(); place.stays.len()],
            place,
            random: Random::new(seed),
            told: plan.idle,
            offer: None,
            reported: MilliAmps::ZERO,
            limit: plan.idle,
            ready_at: Mono::START,
            pilot: plan.idle,
            car: None,
            next: 0,
        }
    }

    /// Its name in the plan.
    pub fn name(&self) -> &EvseName {
        &self.name
    }

    /// What it was told last.
    pub fn told(&self) -> MilliAmps {
        self.told
    }

    /// What its car may take, or has not given up yet.
    pub fn allowed(&self, now: Mono) -> MilliAmps {
        let drawn = self.drawn(now);
        if drawn > self.limit + FELT {
            drawn
        } else {
            self.limit
        }
    }

    /// What flows on each of [`Device::phases`].
    pub fn drawn(&self, now: Mono) -> MilliAmps {
        let car = self.car.as_ref();
        car.map_or(MilliAmps::ZERO, |(_, car)| car.drawn(now))
    }

    /// Phases that carry its current.
    pub fn phases(&self) -> u8 {
        self.car
            .as_ref()
            .map_or(self.wired, |(_, car)| car.phases())
    }

    /// What its car would take if it could have everything; `None` without one.
    pub fn appetite(&self) -> Option<MilliAmps> {
        let (_, car) = self.car.as_ref()?;
        Some(car.appetite(self.max))
    }

    /// What each car got, in the order of coming.
    pub fn got(&self) -> impl Iterator<Item = (&Stay, WattHours)> {
        let got = self.got.iter().map(|got| got.watt_hours());
        self.place.stays.iter().zip(got)
    }

    /// A car could charge now.
    pub(super) fn is_closed(&self) -> bool {
        self.car.is_some() && self.limit >= MINIMUM
    }

    pub(super) fn measures(&self) -> Duration {
        self.place.measures
    }

    /// When the next car comes.
    pub(super) fn arrives(&self) -> Option<Mono> {
        self.place.stays.get(self.next).map(|stay| stay.from)
    }

    /// The next car comes. Returns when it goes.
    pub(super) fn arrive(&mut self, now: Mono) -> Mono {
        let Some(stay) = self.place.stays.get(self.next).cloned() else {
            return now;
        };
        let mut car = PluggedCar::new(stay.car.clone(), self.wired, self.voltage, now);
        self.pilot = self.limit;
        car.step(now, self.pilot);
        let until = stay.until;
        self.car = Some((stay, car));
        until
    }

    /// It goes. Returns when another one comes.
    pub(super) fn leave(&mut self, now: Mono) -> Option<Mono> {
        self.run_to(now);
        self.car = None;
        self.next += 1;
        self.arrives()
    }

    /// An offer leaves for it. Returns how long that takes.
    pub(super) fn tell(&mut self, now: Mono, offer: &Offer) -> Duration {
        self.told = self.amps(offer.limit);
        self.offer = Some(offer.number);
        self.reach(now)
    }

    /// A question for its values leaves for it because of an offer, if its car does not seem to follow
    /// that one yet. Returns how long that takes.
    pub(super) fn ask(&mut self, now: Mono, offer: OfferNumber) -> Option<Duration> {
        let may = self.place.is_asked && self.car.is_some() && self.offer == Some(offer);
        (may && self.reported > self.limit + FELT).then(|| self.reach(now))
    }

    fn reach(&mut self, now: Mono) -> Duration {
        let latency = &self.place.latency;
        let latency = latency.start + self.random.below(latency.end - latency.start);
        self.ready_at = self.ready_at.max(now + Duration::from_millis(latency));
        self.ready_at.since(now)
    }

    /// It sets the pilot signal. Returns to what, and after how long its car follows.
    pub(super) fn take(&mut self, now: Mono, limit: Limit) -> (MilliAmps, Duration) {
        self.run_to(now);
        self.limit = self.amps(limit);
        let lag = self
            .car
            .as_ref()
            .map_or(Duration::ZERO, |(stay, _)| stay.lag);
        (self.limit, lag)
    }

    /// The car follows the pilot signal of a while ago.
    pub(super) fn follow(&mut self, now: Mono, pilot: MilliAmps) {
        self.pilot = pilot;
        self.run_to(now);
    }

    pub(super) fn run_to(&mut self, now: Mono) {
        if let Some((_, car)) = &mut self.car {
            let drawn = car.step(now, self.pilot);
            if let Some(got) = self.got.get_mut(self.next) {
                got.0 += drawn.0;
            }
        }
    }

    /// What it measures; nothing without a car.
    pub(super) fn measure(&mut self, now: Mono) -> Option<Measured> {
        self.run_to(now);
        self.car.as_ref()?;
        let drawn = self.drawn(now);
        let mut current = [MilliAmps::ZERO; 3];
        for phase in current.iter_mut().take(usize::from(self.phases())) {
            *phase = read(drawn, self.place.noise, &mut self.random);
        }
        self.reported = current.iter().copied().max().unwrap_or_default();
        let register = MicroJoules(self.got.iter().map(|got| got.0).sum());
        Some(Measured {
            current: Some(PerPhase(current)),
            power: None,
            energy: Some(register.watt_hours()),
        })
    }

    fn amps(&self, limit: Limit) -> MilliAmps {
        match limit {
            Limit::Current(amps) => amps,
            Limit::Released => self.max,
        }
    }
}

/// What a meter says: wrong by up to `noise`, and in steps of 0.1 A. Nothing is nothing.
pub(super) fn read(current: MilliAmps, noise: MilliAmps, random: &mut Random) -> MilliAmps {
    let span = u64::try_from(2 * noise.0 + 1).unwrap_or(1);
    let wrong = i32::try_from(random.below(span)).unwrap_or(0) - noise.0;
    if current == MilliAmps::ZERO {
        return current;
    }
    (current + MilliAmps(wrong + 50)).floor_to(MilliAmps(100))
}
