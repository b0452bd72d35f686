//! Random sites for the properties of the allocator.

use std::time::Duration;

use super::plan::{CircuitPlan, Device, EvsePlan, LoadPlan, PriorityMode, Rotation, WhenDisabled};
use super::request::{Request, Share, Wants};
use crate::clock::{Mono, Random};
use crate::evse::Reason;
use crate::ids::{CircuitName, EvseName};
use crate::load::allocator::Allocator;
use crate::load::circuit::Circuits;
use crate::units::{MilliAmps, MilliVolts, PerPhase, Phase, Watts};

/// A plan and what its EVSEs ask for.
#[derive(Debug, Clone)]
pub(super) struct Site {
    pub(super) plan: LoadPlan,
    pub(super) requests: Vec<Request>,
    /// One for each circuit.
    pub(super) signals: Vec<Option<Watts>>,
}

impl Site {
    /// A site without circuits or EVSEs.
    pub(super) fn empty() -> Self {
        let plan = LoadPlan {
            voltage: MilliVolts(230_000),
            circuits: Vec::new(),
            evses: Vec::new(),
            priority_mode: PriorityMode::Strict,
            rotation_period: Duration::from_mins(15),
            start_up_hold: Duration::ZERO,
            ocpp_raise_interval: Duration::ZERO,
            when_disabled: WhenDisabled::Pause,
            observe: false,
            ..LoadPlan::default()
        };
        Self {
            plan,
            requests: Vec::new(),
            signals: Vec::new(),
        }
    }

    /// Up to 8 circuits and 14 EVSEs; every knob is turned now and then.
    pub(super) fn random(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let circuits = 1 + random.below(8);
        let evses = 1 + random.below(14);
        Self::of_size(&mut random, circuits, evses)
    }

    /// 200 EVSEs below 60 circuits: a main fuse, 6 floors, and what hangs on them.
    pub(super) fn large(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut site = Self::of_size(&mut random, 60, 200);
        for (index, circuit) in (0..).zip(&mut site.plan.circuits) {
            let (parent, amps) = match index {
                0 => (None, 400 + random.below(1200)),
                1..=6 => (Some(0), 63 + random.below(250)),
                _ => (Some(1 + random.below(6)), 16 + random.below(80)),
            };
            circuit.parent = parent.map(|parent| format!("c{parent}").as_str().into());
            circuit.max_current = MilliAmps(amount(amps * 1000));
            circuit.max_power = circuit.max_power.map(|_| Watts(amount(amps * 500)));
        }
        site
    }

    fn of_size(random: &mut Random, circuits: u64, evses: u64) -> Self {
        let mut site = Self::empty();
        if random.below(3) == 0 {
            site.plan.priority_mode = PriorityMode::MinFirst;
        }
        for index in 0..circuits {
            site.plan
                .circuits
                .push(random_circuit(random, index, evses));
        }
        let (weights, classes) = (random.below(3) == 0, 1 + random.below(3));
        let share_step = random.below(2) == 0;
        let step = random_step(random);
        for index in 0..evses {
            let mut evse = random_evse(random, index, circuits);
            evse.priority = amount(random.below(classes));
            evse.weight = if weights {
                1 + amount(random.below(10))
            } else {
                1
            };
            evse.step = if share_step {
                step
            } else {
                random_step(random)
            };
            let request = random_request(random, &evse, index);
            site.plan.evses.push(evse);
            site.requests.push(request);
        }
        for _ in 0..circuits {
            let signal = (random.below(6) == 0).then(|| Watts(amount(random.below(30_000))));
            site.signals.push(signal);
        }
        for wants in site.wants_mut() {
            wants.extra = MilliAmps(amount(random.below(12) / 10 * random.below(1000)));
        }
        site
    }

    /// The same without limits to asymmetry.
    pub(super) fn without_asymmetry(mut self) -> Self {
        for circuit in &mut self.plan.circuits {
            circuit.max_asymmetry = None;
        }
        self
    }

    /// The same with everybody in one class.
    pub(super) fn in_one_class(mut self) -> Self {
        for evse in &mut self.plan.evses {
            evse.priority = 0;
        }
        self
    }

    /// The same with nobody waiting for long.
    pub(super) fn without_overdue(mut self) -> Self {
        for wants in self.wants_mut() {
            wants.waited = Duration::ZERO;
        }
        self
    }

    /// The same with cars that follow exactly.
    pub(super) fn without_extra(mut self) -> Self {
        for wants in self.wants_mut() {
            wants.extra = MilliAmps::ZERO;
        }
        self
    }

    pub(super) fn wants_mut(&mut self) -> impl Iterator<Item = &mut Wants> {
        self.requests
            .iter_mut()
            .filter_map(|request| match request {
                Request::Fixed(_) => None,
                Request::Wants(wants) => Some(wants),
            })
    }

    pub(super) fn wants(&self, evse: usize) -> Option<&Wants> {
        match &self.requests[evse] {
            Request::Fixed(_) => None,
            Request::Wants(wants) => Some(wants),
        }
    }

    pub(super) fn shares(&self) -> Vec<Share> {
        self.allocator().allocate(&self.requests).to_vec()
    }

    pub(super) fn circuits(&self) -> Circuits {
        Circuits::with_signals(&self.plan, &self.signals)
    }

    pub(super) fn allocator(&self) -> Allocator {
        Allocator::on(&self.circuits(), &self.plan)
    }

    pub(super) fn offers(&self) -> Vec<i32> {
        self.shares()
            .into_iter()
            .map(|share| share.offer.0)
            .collect()
    }

    /// The circuits above an EVSE, its own included.
    pub(super) fn path(&self, evse: usize) -> Vec<usize> {
        let find = |name: &CircuitName| self.plan.circuits.iter().position(|c| c.name == *name);
        let mut next = find(&self.plan.evses[evse].circuit);
        let mut path = Vec::new();
        while let Some(circuit) = next {
            path.push(circuit);
            next = self.plan.circuits[circuit].parent.as_ref().and_then(find);
        }
        path
    }
}

/// A usual EVSE: 6 to 16 A on three phases, in tenths of an ampere.
pub(super) fn evse() -> EvsePlan {
    EvsePlan {
        name: "left".into(),
        circuit: "house".into(),
        phases: 3,
        rotation: Rotation::L1L2L3,
        min: MilliAmps(6000),
        max: MilliAmps(16_000),
        priority: 1,
        weight: 1,
        failsafe: MilliAmps(6000),
        idle: MilliAmps::ZERO,
        step: MilliAmps(100),
        enabled: true,
        device: Device::Ocpp,
    }
}

fn random_circuit(random: &mut Random, index: u64, evses: u64) -> CircuitPlan {
    let parent =
        (index > 0).then(|| CircuitName::from(format!("c{}", random.below(index)).as_str()));
    let amps = if index == 0 {
        10 + random.below(10 * evses)
    } else {
        6 + random.below(80)
    };
    let odd = if random.below(4) == 0 {
        random.below(1000)
    } else {
        0
    };
    CircuitPlan {
        name: format!("c{index}").as_str().into(),
        parent,
        max_current: MilliAmps(amount(amps * 1000 + odd)),
        max_power: (random.below(3) == 0).then(|| Watts(amount(1400 + random.below(690 * amps)))),
        reserve: MilliAmps(amount(1000 * random.below(3))),
        failsafe: MilliAmps::ZERO,
        max_asymmetry: (random.below(3) == 0).then(|| MilliAmps(amount(1000 * random.below(30)))),
        meter: None,
    }
}

fn random_evse(random: &mut Random, index: u64, circuits: u64) -> EvsePlan {
    let rotation = match random.below(7) {
        0 | 1 => Rotation::L1L2L3,
        2 => Rotation::Known([Phase::L2, Phase::L3, Phase::L1]),
        3 => Rotation::Known([Phase::L3, Phase::L1, Phase::L2]),
        4 => Rotation::Known([Phase::L2, Phase::L1, Phase::L3]),
        5 => Rotation::Known([Phase::L3, Phase::L2, Phase::L1]),
        _ => Rotation::Unknown,
    };
    EvsePlan {
        name: EvseName::from(format!("e{index}").as_str()),
        circuit: format!("c{}", random.below(circuits)).as_str().into(),
        phases: [1, 1, 2, 3, 3][usize::try_from(random.below(5)).unwrap()],
        rotation,
        min: MilliAmps(amount(
            [6000, 6000, 8000][usize::try_from(random.below(3)).unwrap()],
        )),
        max: MilliAmps(32_000),
        priority: 0,
        weight: 1,
        failsafe: MilliAmps::ZERO,
        idle: MilliAmps::ZERO,
        step: MilliAmps(100),
        enabled: true,
        device: Device::Ocpp,
    }
}

fn random_step(random: &mut Random) -> MilliAmps {
    MilliAmps([1000, 100, 1][usize::try_from(random.below(3)).unwrap()])
}

fn random_request(random: &mut Random, evse: &EvsePlan, index: u64) -> Request {
    if random.below(7) == 0 {
        let device = PerPhase::all(MilliAmps(amount(random.below(20_000))));
        let wired = usize::from(evse.phases);
        let device =
            PerPhase([0, 1, 2].map(|i| if i < wired { device.0[i] } else { MilliAmps(0) }));
        return Request::Fixed(evse.rotation.to_grid(device));
    }
    let max = match random.below(6) {
        0 => 4000 + random.below(30_000),
        1 => 10_000,
        2 | 3 => 16_000,
        _ => 32_000,
    };
    Request::Wants(Wants {
        min: evse.min,
        max: MilliAmps(amount(max)),
        at_max: Reason::OwnMaximum,
        extra: MilliAmps::ZERO,
        in_slot: random.below(2) == 0,
        attained: i64::from(amount(random.below(4))),
        // Never the same twice, so that nothing depends on the order of the file.
        plugged_at: Mono(Duration::from_secs(random.below(10) * 1000 + index)),
        waited: Duration::from_secs(if random.below(10) == 0 { 3600 } else { 0 }),
    })
}

fn amount(value: u64) -> i32 {
    i32::try_from(value).unwrap()
}
