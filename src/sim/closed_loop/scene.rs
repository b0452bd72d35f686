//! What a closed loop begins with.

use std::ops::Range;
use std::time::Duration;

use crate::clock::{Mono, Random};
use crate::ids::MeterName;
use crate::load::{CircuitPlan, Device, EvsePlan, LoadPlan, MeterPlan, Rotation};
use crate::sim::car::Car;
use crate::sim::house::House;
use crate::units::{MilliAmps, Phase};

/// A site, its house, and who comes when.
#[derive(Debug, Clone)]
pub struct Scene {
    /// The site as the load manager knows it. The house hangs on its first circuit.
    pub plan: LoadPlan,
    /// What else hangs on the fuse.
    pub house: House,
    /// Measures the first circuit.
    pub meter: Option<SceneMeter>,
    /// One for each EVSE of the plan.
    pub places: Vec<Place>,
    /// The same seed gives the same history.
    pub seed: u64,
}

/// A meter.
#[derive(Debug, Clone)]
pub struct SceneMeter {
    /// One of the plan, which says how often it is read.
    pub name: MeterName,
    /// From the moment that was measured to its arrival, in milliseconds.
    pub latency: Range<u64>,
    /// Its reading is wrong by up to this.
    pub noise: MilliAmps,
}

/// A wallbox.
#[derive(Debug, Clone)]
pub struct Place {
    /// From an offer to the pilot signal, in milliseconds.
    pub latency: Range<u64>,
    /// How often it says what it measures.
    pub measures: Duration,
    /// Its driver asks it for values after a lowering.
    pub is_asked: bool,
    /// Its reading is wrong by up to this.
    pub noise: MilliAmps,
    /// Who comes, in order.
    pub stays: Vec<Stay>,
}

/// A car at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stay {
    /// Comes …
    pub from: Mono,
    /// … and goes, full or not.
    pub until: Mono,
    /// What comes.
    pub car: Car,
    /// It begins to follow the pilot signal after this.
    pub lag: Duration,
}

impl Scene {
    /// Ten EVSEs on 63 A beside a house as brutal as [`House::brutal`].
    pub fn ten_on_63_amps(seed: u64) -> Self {
        Self::beside_a_brutal_house(seed, 10, 63)
    }

    /// So many EVSEs, OCPP and Modbus in turn, with hungry cars of several kinds behind a fuse of
    /// so many amperes. A meter measures it once a second.
    pub fn beside_a_brutal_house(seed: u64, evses: usize, amps: i32) -> Self {
        let mut random = Random::new(seed);
        let mut plan = LoadPlan {
            circuits: vec![circuit("main", None, amps)],
            meters: vec![MeterPlan {
                name: "grid".into(),
                poll: Duration::from_secs(1),
            }],
            ..LoadPlan::default()
        };
        if let Some(main) = plan.circuits.first_mut() {
            main.reserve = MilliAmps::from_amps(1);
            main.meter = Some("grid".into());
        }
        let mut places = Vec::new();
        for index in 0..evses {
            // Cars use all wired phases: that nobody may count on a phase which a car leaves free
            // is a rule of safety, and not what is compared here.
            let phases = if index % 5 == 3 { 1 } else { 3 };
            plan.evses.push(EvsePlan {
                phases,
                ..evse(index, "main")
            });
            let car = match index % 5 {
                0 | 1 => Car::default(),
                2 => Car::default().max_amps(10),
                3 => Car::default().phases(1).max_amps(20),
                _ => Car::default().max_amps(32),
            };
            let stay = Stay {
                from: Mono::START,
                until: Mono(Duration::from_hours(24)),
                ..Stay::of(car, &mut random)
            };
            places.push(Place::at(index, vec![stay]));
        }
        Self {
            plan,
            house: House::brutal(random.next_u64()),
            meter: Some(SceneMeter {
                name: "grid".into(),
                latency: 500..1001,
                noise: MilliAmps(100),
            }),
            places,
            seed: random.next_u64(),
        }
    }
}

impl Place {
    /// An OCPP wallbox at even places, a Modbus one at odd ones.
    pub fn at(index: usize, stays: Vec<Stay>) -> Self {
        Self {
            latency: 200..2001,
            measures: Duration::from_secs(if index.is_multiple_of(2) { 10 } else { 1 }),
            is_asked: index.is_multiple_of(2),
            noise: MilliAmps(100),
            stays,
        }
    }
}

impl Stay {
    /// Follows a pilot signal within one to five seconds, as dice say: the half of it passes
    /// until its current begins to change.
    pub fn of(car: Car, random: &mut Random) -> Self {
        let half = Duration::from_millis(500 + random.below(2001));
        Self {
            from: Mono::START,
            until: Mono::START,
            lag: half,
            car: car.ramp(half),
        }
    }
}

/// A circuit of so many amperes.
pub fn circuit(name: &str, parent: Option<&str>, amps: i32) -> CircuitPlan {
    CircuitPlan {
        name: name.into(),
        parent: parent.map(Into::into),
        max_current: MilliAmps::from_amps(amps),
        max_power: None,
        reserve: MilliAmps::ZERO,
        meter: None,
        failsafe: MilliAmps::ZERO,
        max_asymmetry: None,
    }
}

/// A three-phase EVSE of 6 to 32 A, whose first phase is another one than its neighbours'.
pub fn evse(index: usize, circuit: &str) -> EvsePlan {
    let turned = [0, 1, 2].map(|wired| Phase::ALL.into_iter().cycle().nth(wired + index % 3));
    EvsePlan {
        name: format!("e{index}").as_str().into(),
        circuit: circuit.into(),
        phases: 3,
        rotation: Rotation::Known(turned.map(|phase| phase.unwrap_or(Phase::L1))),
        min: MilliAmps::from_amps(6),
        max: MilliAmps::from_amps(32),
        priority: 1,
        weight: 1,
        failsafe: MilliAmps::ZERO,
        idle: MilliAmps::ZERO,
        step: MilliAmps(100),
        enabled: true,
        device: if index.is_multiple_of(2) {
            Device::Ocpp
        } else {
            Device::Modbus
        },
    }
}
