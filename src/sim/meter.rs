//! A simulated grid meter: what flows through it, shown late, noisily, upside down or not at all.

use std::collections::VecDeque;
use std::time::Duration;

use super::car::MicroJoules;
use crate::clock::{Mono, Random};
use crate::modbus::{Answer, Failure, Request, Table};
use crate::units::{MilliAmps, MilliVolts, PerPhase, WattHours};

mod map;
mod power_brain;
mod sdm630;
mod sunspec;

pub use map::{MeterMap, UnknownMap};

use map::Reading;

/// Modbus exception codes.
const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;

/// What a meter is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterPlan {
    /// Which registers it has.
    pub map: MeterMap,
    /// Modbus unit.
    pub unit: u8,
    /// Between a phase and neutral.
    pub voltage: MilliVolts,
    /// What it shows is so old.
    pub latency: Duration,
    /// And up to so much wrong, at each reading and on each phase.
    pub noise: MilliAmps,
    /// Wired the wrong way round: import reads negative.
    pub inverted: bool,
}

impl MeterPlan {
    /// Unit 1, 230 V, half a second late, 20 mA of noise.
    pub fn new(map: MeterMap) -> Self {
        Self {
            map,
            unit: 1,
            voltage: MilliVolts(230_000),
            latency: Duration::from_millis(500),
            noise: MilliAmps(20),
            inverted: false,
        }
    }
}

/// What is wrong with a meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MeterFault {
    /// It shows the same again and again.
    Frozen,
    /// Its values are none: NaN, or what its table says instead.
    NotANumber,
    /// It answers nothing.
    Silent,
}

/// A meter.
#[derive(Debug)]
pub struct Meter {
    plan: MeterPlan,
    random: Random,
    /// What has flowed since when; the first one is what it showed at the last look.
    seen: VecDeque<(Mono, PerPhase<MilliAmps>)>,
    counted_until: Mono,
    imported: MicroJoules,
    exported: MicroJoules,
    fault: Option<MeterFault>,
    frozen: Option<Reading>,
}

impl Meter {
    /// A meter through which nothing flows yet. The seed decides what its registers begin with.
    pub fn new(plan: MeterPlan, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut register = || {
            let begin = i64::try_from(random.below(9_000_000)).unwrap_or(0);
            MicroJoules::from_watt_hours(WattHours(begin))
        };
        let (imported, exported) = (register(), register());
        Self {
            plan,
            random,
            seen: VecDeque::from([(Mono::START, PerPhase::default())]),
            counted_until: Mono::START,
            imported,
            exported,
            fault: None,
            frozen: None,
        }
    }

    /// What it is.
    pub fn plan(&self) -> &MeterPlan {
        &self.plan
    }

    /// From now on this flows from the grid into each phase; negative = into the grid.
    pub fn observe(&mut self, now: Mono, flows: PerPhase<MilliAmps>) {
        self.count(now);
        if self.seen.back().is_none_or(|(_, last)| *last != flows) {
            self.seen.push_back((now, flows));
        }
        let shown_since = now - self.plan.latency;
        while self.seen.get(1).is_some_and(|(at, _)| *at <= shown_since) {
            self.seen.pop_front();
        }
    }

    /// What it shows, but for the noise: what flowed `latency` ago, from the grid.
    pub fn shown(&self, now: Mono) -> PerPhase<MilliAmps> {
        let at = now - self.plan.latency;
        let mut seen = self.seen.iter().rev();
        let shown = seen.find(|(since, _)| *since <= at).or(self.seen.front());
        shown.map_or_else(PerPhase::default, |(_, flows)| *flows)
    }

    /// A request of its master. [`Failure::Silent`] means that it says nothing.
    ///
    /// # Errors
    /// What a real one would refuse, as an exception.
    pub fn handle_request(&mut self, now: Mono, request: &Request) -> Answer {
        if self.fault == Some(MeterFault::Silent) {
            return Err(Failure::Silent);
        }
        self.count(now);
        let Request::Read {
            table,
            address,
            count,
        } = request
        else {
            return Err(Failure::Exception(ILLEGAL_FUNCTION));
        };
        let its_own = match self.plan.map {
            MeterMap::Sdm630 => Table::Input,
            MeterMap::PowerBrain | MeterMap::SunSpec203 | MeterMap::SunSpec213 => Table::Holding,
        };
        if *table != its_own {
            return Err(Failure::Exception(ILLEGAL_FUNCTION));
        }
        if !(1..=125).contains(count) {
            return Err(Failure::Exception(ILLEGAL_VALUE));
        }
        let reading = self.frozen.clone();
        let reading = reading.unwrap_or_else(|| self.read(now));
        let is_number = self.fault != Some(MeterFault::NotANumber);
        let image = match self.plan.map {
            MeterMap::Sdm630 => sdm630::image(&reading, is_number),
            MeterMap::PowerBrain => power_brain::image(&reading, is_number),
            MeterMap::SunSpec203 => sunspec::image_of_integers(&reading, is_number),
            MeterMap::SunSpec213 => sunspec::image_of_floats(&reading, is_number),
        };
        let values = image.read(*address, *count);
        values.ok_or(Failure::Exception(ILLEGAL_ADDRESS))
    }

    /// Something goes wrong with it, or is repaired.
    pub fn set_fault(&mut self, now: Mono, fault: Option<MeterFault>) {
        self.count(now);
        self.frozen = (fault == Some(MeterFault::Frozen)).then(|| self.read(now));
        self.fault = fault;
    }

    /// Somebody turns its clamps round.
    pub fn set_inverted(&mut self, inverted: bool) {
        self.plan.inverted = inverted;
    }

    /// What it would show now.
    fn read(&mut self, now: Mono) -> Reading {
        let noise = u64::try_from(self.plan.noise.0).unwrap_or(0);
        let current = self.shown(now).map(|amps| {
            let off = i32::try_from(self.random.below(2 * noise + 1)).unwrap_or(0);
            amps + MilliAmps(off) - self.plan.noise
        });
        let reading = Reading {
            current,
            voltage: self.plan.voltage,
            imported: self.imported.watt_hours(),
            exported: self.exported.watt_hours(),
        };
        if self.plan.inverted {
            reading.inverted()
        } else {
            reading
        }
    }

    /// Lets the energy registers run on to `now`.
    fn count(&mut self, now: Mono) {
        let Some((_, flows)) = self.seen.back() else {
            return;
        };
        let amps: i64 = flows.0.iter().map(|amps| i64::from(amps.0)).sum();
        let milli_watts = amps * i64::from(self.plan.voltage.0) / 1000;
        let millis = now.since(self.counted_until).as_millis();
        let energy = milli_watts.saturating_mul(i64::try_from(millis).unwrap_or(i64::MAX));
        let register = if energy < 0 {
            &mut self.exported
        } else {
            &mut self.imported
        };
        register.0 = register.0.saturating_add(energy.saturating_abs());
        self.counted_until = self.counted_until.max(now);
    }
}

#[cfg(test)]
mod tests;
