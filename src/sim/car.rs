//! A car: what it wants, and how it follows the current that it is offered.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::{MilliAmps, MilliVolts, WattHours};

/// Less than this is no charging current at all (IEC 61851-1).
pub const MINIMUM: MilliAmps = MilliAmps::from_amps(6);

/// A car that can be plugged into a wallbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Car {
    /// How many phases its charger uses, at most.
    pub phases: u8,
    /// What its charger takes from each phase, at most.
    pub max: MilliAmps,
    /// Full after this.
    pub wants: WattHours,
    /// Time from one current to another.
    pub ramp: Duration,
}

impl Default for Car {
    /// Three phases, 16 A, hungry for a night.
    fn default() -> Self {
        Self {
            phases: 3,
            max: MilliAmps::from_amps(16),
            wants: WattHours(60_000),
            ramp: Duration::from_secs(2),
        }
    }
}

impl Car {
    /// The same car on `phases` phases.
    #[must_use]
    pub fn phases(mut self, phases: u8) -> Self {
        self.phases = phases;
        self
    }

    /// The same car with a charger of `amps` amperes.
    #[must_use]
    pub fn max_amps(mut self, amps: i32) -> Self {
        self.max = MilliAmps::from_amps(amps);
        self
    }

    /// The same car, which takes `span` from one current to another.
    #[must_use]
    pub fn ramp(mut self, span: Duration) -> Self {
        self.ramp = span;
        self
    }

    /// The same car, full after `energy`.
    #[must_use]
    pub fn wants(mut self, energy: WattHours) -> Self {
        self.wants = energy;
        self
    }
}

/// Energy in microjoules: milliwatts times milliseconds, so that nothing is lost to rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct MicroJoules(pub(super) i64);

impl MicroJoules {
    pub(super) const fn from_watt_hours(energy: WattHours) -> Self {
        Self(energy.0.saturating_mul(3_600_000_000))
    }

    pub(super) const fn watt_hours(self) -> WattHours {
        WattHours(self.0 / 3_600_000_000)
    }
}

/// A car at a cable. Its current runs along a straight line from one value to the next.
#[derive(Debug, Clone)]
pub(super) struct PluggedCar {
    car: Car,
    wired: u8,
    voltage: MilliVolts,
    charged: MicroJoules,
    from: MilliAmps,
    to: MilliAmps,
    since: Mono,
    metered: Mono,
}

impl PluggedCar {
    /// `wired` phases of the wallbox reach the car.
    pub(super) fn new(car: Car, wired: u8, voltage: MilliVolts, now: Mono) -> Self {
        Self {
            car,
            wired,
            voltage,
            charged: MicroJoules::default(),
            from: MilliAmps::ZERO,
            to: MilliAmps::ZERO,
            since: now,
            metered: now,
        }
    }

    /// Phases that carry current when it charges.
    pub(super) fn phases(&self) -> u8 {
        self.car.phases.min(self.wired)
    }

    /// What it makes of an offer.
    pub(super) fn appetite(&self, offered: MilliAmps) -> MilliAmps {
        let takes = offered.min(self.car.max);
        if takes < MINIMUM || self.charged >= MicroJoules::from_watt_hours(self.car.wants) {
            MilliAmps::ZERO
        } else {
            takes
        }
    }

    /// Runs on to `now`, then follows `offered`. Returns the energy drawn since the last call.
    pub(super) fn step(&mut self, now: Mono, offered: MilliAmps) -> MicroJoules {
        let drawn = self.energy(self.metered, now);
        self.charged.0 = self.charged.0.saturating_add(drawn.0);
        self.metered = now;
        let target = self.appetite(offered);
        if target != self.to {
            self.from = self.drawn(now);
            self.to = target;
            self.since = now;
        }
        drawn
    }

    /// From now on `wired` phases reach it; nothing flows before it is offered current again.
    pub(super) fn rewire(&mut self, now: Mono, wired: u8) {
        self.cut(now);
        self.wired = wired;
    }

    /// The contactor opens: the current is gone at once.
    pub(super) fn cut(&mut self, now: Mono) {
        self.from = MilliAmps::ZERO;
        self.to = MilliAmps::ZERO;
        self.since = now;
    }

    /// Current of each phase in use.
    pub(super) fn drawn(&self, now: Mono) -> MilliAmps {
        let gone = millis(now.since(self.since));
        let ramp = millis(self.car.ramp);
        if gone >= ramp {
            return self.to;
        }
        let (from, to) = (i64::from(self.from.0), i64::from(self.to.0));
        let amps = from + (to - from) * gone / ramp;
        i32::try_from(amps).map_or(self.to, MilliAmps)
    }

    fn energy(&self, from: Mono, to: Mono) -> MicroJoules {
        let knee = (self.since + self.car.ramp).clamp(from, to);
        let joules = [(from, knee), (knee, to)].map(|(a, b)| {
            let amps = i64::from(self.drawn(a).0) + i64::from(self.drawn(b).0);
            // mA · mV = µW; half of the sum is the mean.
            amps * i64::from(self.voltage.0) / 2_000 * millis(b.since(a))
        });
        MicroJoules(joules.iter().sum::<i64>() * i64::from(self.phases()))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Mono {
        Mono(Duration::from_secs_f64(seconds))
    }

    fn plugged(car: Car) -> PluggedCar {
        PluggedCar::new(car, 3, MilliVolts(230_000), Mono::START)
    }

    #[test]
    fn a_car_ramps_to_the_offer_and_never_takes_more_than_its_charger_can() {
        let mut car = plugged(Car::default());
        car.step(at(0.0), MilliAmps::from_amps(32));
        assert_eq!(car.drawn(at(0.0)), MilliAmps::ZERO);
        assert_eq!(car.drawn(at(1.0)), MilliAmps::from_amps(8));
        assert_eq!(car.drawn(at(2.0)), MilliAmps::from_amps(16));
        assert_eq!(car.drawn(at(100.0)), MilliAmps::from_amps(16));
    }

    #[test]
    fn less_than_six_amperes_is_nothing() {
        let mut car = plugged(Car::default());
        car.step(at(0.0), MilliAmps(5_999));
        assert_eq!(car.drawn(at(10.0)), MilliAmps::ZERO);
        car.step(at(10.0), MilliAmps(6_000));
        assert_eq!(car.drawn(at(20.0)), MilliAmps(6_000));
    }

    #[test]
    fn energy_is_the_area_under_the_current() {
        let mut car = plugged(Car::default().phases(1));
        car.step(at(0.0), MilliAmps::from_amps(10));
        // 1 s of mean 5 A on the ramp of 2 s, then 10 A: 2 s · 5 A + 3598 s · 10 A, at 230 V.
        let drawn = car.step(at(3600.0), MilliAmps::ZERO);
        assert_eq!(drawn, MicroJoules((2 * 5 + 3598 * 10) * 230 * 1_000_000));
        assert_eq!(drawn.watt_hours(), WattHours(2299));
    }

    #[test]
    fn a_full_car_stops() {
        let mut car = plugged(Car::default().wants(WattHours(100)));
        car.step(at(0.0), MilliAmps::from_amps(16));
        car.step(at(60.0), MilliAmps::from_amps(16));
        assert_eq!(car.drawn(at(70.0)), MilliAmps::ZERO);
    }

    #[test]
    fn an_open_contactor_carries_nothing() {
        let mut car = plugged(Car::default());
        car.step(at(0.0), MilliAmps::from_amps(16));
        car.cut(at(5.0));
        assert_eq!(car.drawn(at(5.0)), MilliAmps::ZERO);
    }
}
