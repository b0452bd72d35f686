//! A house: what it takes from each phase, switched on and off by dice.

use std::ops::Range;
use std::time::Duration;

use crate::clock::{Mono, Random};
use crate::units::{MilliAmps, PerPhase};

/// Seconds.
type Span = Range<u64>;

/// Clouds come and go this often.
const CLOUDS: Span = 20..180;

/// The consumption of a house, less what its roof feeds in. The same seed gives the same history,
/// however it is stepped through.
#[derive(Debug, Clone)]
pub struct House {
    base: PerPhase<MilliAmps>,
    appliances: Vec<Appliance>,
    sun: Option<Sun>,
}

impl House {
    /// A family in the evening: a refrigerator, a kettle, a washing machine.
    pub fn calm(seed: u64) -> Self {
        let refrigerator = Pattern::once([0.0, 0.8, 0.0], 300..900, 900..1800);
        let kettle = Pattern::once([0.0, 0.0, 8.7], 90..200, 1500..5400);
        let washes = Pattern {
            pulses: 2..4,
            pause: 200..600,
            ..Pattern::once([8.9, 0.0, 0.0], 240..720, 3000..9000)
        };
        Self::new(seed, [1.2, 0.9, 1.6], [refrigerator, kettle, washes])
    }

    /// About 40 switchings an hour of up to 20 A on a phase: a cooker and an oven with
    /// thermostats, a kettle, and an instantaneous water heater on all three phases.
    pub fn brutal(seed: u64) -> Self {
        let plate = Pattern {
            pulses: 2..5,
            pause: 20..60,
            ..Pattern::once([10.0, 0.0, 0.0], 15..40, 1000..2000)
        };
        let oven = Pattern {
            pulses: 3..6,
            pause: 40..90,
            ..Pattern::once([0.0, 12.0, 0.0], 20..60, 900..2200)
        };
        let kettle = Pattern::once([0.0, 0.0, 9.0], 90..200, 300..900);
        let heater = Pattern::once([20.0, 20.0, 20.0], 20..120, 500..1500);
        Self::new(seed, [4.0, 3.0, 2.5], [plate, oven, kettle, heater])
    }

    /// Always the same.
    pub fn steady(current: PerPhase<MilliAmps>) -> Self {
        Self {
            base: current,
            appliances: Vec::new(),
            sun: None,
        }
    }

    /// The same house with a roof that feeds up to `peak` into each phase, as the clouds let it.
    #[must_use]
    pub fn with_sun(mut self, seed: u64, peak: MilliAmps) -> Self {
        self.sun = Some(Sun {
            peak,
            shines: peak,
            random: Random::new(seed),
            changes_at: Mono::START,
        });
        self
    }

    fn new<const N: usize>(seed: u64, base: [f64; 3], patterns: [Pattern; N]) -> Self {
        // Each has dice of its own: what one does must not depend on who is asked first.
        let mut random = Random::new(seed);
        let appliances = patterns
            .into_iter()
            .map(|pattern| Appliance::new(pattern, Random::new(random.next_u64())))
            .collect();
        Self {
            base: amps(base),
            appliances,
            sun: None,
        }
    }

    /// Lets time pass until `now`.
    pub fn advance(&mut self, now: Mono) {
        for appliance in &mut self.appliances {
            while appliance.changes_at <= now {
                appliance.switch();
            }
        }
        if let Some(sun) = &mut self.sun {
            while sun.changes_at <= now {
                sun.change();
            }
        }
    }

    /// What flows from the grid into each phase; negative while the roof feeds in more.
    pub fn current(&self) -> PerPhase<MilliAmps> {
        let mut sum = self.base;
        for appliance in self.appliances.iter().filter(|at| at.is_on) {
            for (phase, current) in appliance.pattern.current.iter() {
                sum[phase] += current;
            }
        }
        let shines = self.sun.as_ref().map_or(MilliAmps::ZERO, |sun| sun.shines);
        sum.map(|current| current - shines)
    }

    /// When it changes next; `None` = never.
    pub fn next_change(&self) -> Option<Mono> {
        let sun = self.sun.as_ref().map(|sun| sun.changes_at);
        let appliances = self.appliances.iter().map(|at| at.changes_at);
        appliances.chain(sun).min()
    }
}

/// How something is used: some pulses with short pauses (a thermostat), and then a long rest.
#[derive(Debug, Clone)]
struct Pattern {
    current: PerPhase<MilliAmps>,
    pulses: Range<u64>,
    pulse: Span,
    pause: Span,
    rest: Span,
}

impl Pattern {
    fn once(current: [f64; 3], pulse: Span, rest: Span) -> Self {
        Self {
            current: amps(current),
            pulses: 1..2,
            pulse,
            pause: 0..1,
            rest,
        }
    }
}

#[derive(Debug, Clone)]
struct Appliance {
    pattern: Pattern,
    random: Random,
    is_on: bool,
    /// Of this use, the running one included.
    pulses_left: u64,
    changes_at: Mono,
}

impl Appliance {
    /// Somewhere in its first rest.
    fn new(pattern: Pattern, mut random: Random) -> Self {
        let first = pick(&mut random, 0..pattern.rest.end);
        Self {
            pattern,
            random,
            is_on: false,
            pulses_left: 0,
            changes_at: Mono(first),
        }
    }

    fn switch(&mut self) {
        self.is_on = !self.is_on;
        let span = if self.is_on {
            if self.pulses_left == 0 {
                let Range { start, end } = self.pattern.pulses;
                self.pulses_left = start + self.random.below(end - start);
            }
            self.pattern.pulse.clone()
        } else {
            self.pulses_left -= 1;
            if self.pulses_left == 0 {
                self.pattern.rest.clone()
            } else {
                self.pattern.pause.clone()
            }
        };
        self.changes_at = self.changes_at + pick(&mut self.random, span);
    }
}

/// Photovoltaics, the same on each phase.
#[derive(Debug, Clone)]
struct Sun {
    peak: MilliAmps,
    shines: MilliAmps,
    random: Random,
    changes_at: Mono,
}

impl Sun {
    fn change(&mut self) {
        let percent = i32::try_from(10 + self.random.below(91)).unwrap_or(100);
        self.shines = MilliAmps(self.peak.0 / 100 * percent);
        self.changes_at = self.changes_at + pick(&mut self.random, CLOUDS);
    }
}

/// To the millisecond, so that nothing falls into step with a meter.
fn pick(random: &mut Random, span: Span) -> Duration {
    let (start, end) = (span.start * 1000, span.end * 1000);
    Duration::from_millis(start + random.below(end - start) + 1)
}

fn amps(amps: [f64; 3]) -> PerPhase<MilliAmps> {
    PerPhase(amps).map(|amps| MilliAmps::from_amps_f64(amps).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Mono = Mono(Duration::from_hours(1));

    /// What it takes after each change within an hour.
    fn history(mut house: House) -> Vec<PerPhase<MilliAmps>> {
        let mut history = vec![house.current()];
        while let Some(at) = house.next_change().filter(|at| *at < HOUR) {
            house.advance(at);
            history.push(house.current());
        }
        history
    }

    #[test]
    fn a_brutal_house_switches_about_40_times_an_hour_by_up_to_20_a_on_a_phase() {
        let mut switchings = 0;
        for seed in 0..50 {
            let history = history(House::brutal(seed));
            switchings += history.len() - 1;
            for two in history.windows(2) {
                let step = two[0].iter().map(|(phase, a)| (two[1][phase] - a).0.abs());
                assert!((1000..=20_000).contains(&step.max().unwrap()), "{two:?}");
            }
        }
        assert!((38..=42).contains(&(switchings / 50)), "{switchings}");
    }

    #[test]
    fn a_calm_house_switches_rarely() {
        let switchings: usize = (0..50).map(|seed| history(House::calm(seed)).len()).sum();
        assert!((4..=12).contains(&(switchings / 50)), "{switchings}");
    }

    #[test]
    fn the_same_seed_gives_the_same_history_however_it_is_stepped_through() {
        let (mut by_change, mut at_once) = (House::brutal(3), House::brutal(3));
        while let Some(at) = by_change.next_change().filter(|at| *at < HOUR) {
            by_change.advance(at);
        }
        at_once.advance(HOUR);
        by_change.advance(HOUR);
        assert_eq!(by_change.current(), at_once.current());
        assert_eq!(by_change.next_change(), at_once.next_change());
        assert_ne!(history(House::brutal(3)), history(House::brutal(4)));
    }

    #[test]
    fn the_sun_feeds_in_more_than_a_steady_house_takes() {
        let one = PerPhase::all(MilliAmps::from_amps(1));
        assert_eq!(House::steady(one).next_change(), None);
        let house = House::steady(one).with_sun(1, MilliAmps::from_amps(10));
        let least = history(house.clone())
            .into_iter()
            .map(|at| at.0[0])
            .min()
            .unwrap();
        assert!(least < MilliAmps::from_amps(-5), "{least}");
        assert!(history(house).len() > 20);
    }
}
