//! Everything of a site that can be used up, numbered, and what each EVSE takes from it.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is handed out by `Layout::new`, and the vectors never change their length"
)]

use std::ops::Range;

use super::plan::{EvsePlan, LoadPlan, Rotation};
use crate::evse::Reason;
use crate::ids::CircuitName;
use crate::units::{MilliAmps, MilliVolts, PerPhase, Phase, Watts};

/// Everything that can be used up: the phases of a circuit, its power, its asymmetry.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) circuits: Vec<Circuit>,
    pub(super) places: Vec<Place>,
    pub(super) resources: Vec<Resource>,
    /// Some EVSE contributes to some asymmetry that has a limit.
    pub(super) is_uneven: bool,
    paths: Vec<usize>,
    terms: Vec<Term>,
    uneven: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) name: CircuitName,
    parent: Option<usize>,
    pub(super) capacity: MilliAmps,
    /// The first of its three phases among the resources.
    phases: usize,
    /// Of everything that flows, and of the limit signal.
    powers: [Option<usize>; 2],
    signal: Watts,
    /// The first of its three phases of asymmetric current among the resources.
    pub(super) asymmetry: Option<usize>,
}

impl Circuit {
    /// The resources of its phases and of its power.
    pub(super) fn linear(&self) -> impl Iterator<Item = usize> {
        (self.phases..self.phases + 3).chain(self.powers())
    }

    fn powers(&self) -> impl Iterator<Item = usize> + use<> {
        self.powers.into_iter().flatten()
    }

    /// The resource of a phase.
    pub(super) fn phase(&self, phase: Phase) -> usize {
        self.phases + phase.index()
    }

    /// The resource of everything that flows over all phases, if it has a cap.
    pub(super) fn power(&self) -> Option<usize> {
        let [power, _] = self.powers;
        power
    }
}

/// Where an EVSE hangs.
#[derive(Debug)]
pub(super) struct Place {
    path: Range<usize>,
    /// What each ampere takes from phases and power.
    linear: Range<usize>,
    /// Whose asymmetry it contributes to; none with three phases.
    uneven: Range<usize>,
    /// The grid phases it may load.
    pub(super) loads: PerPhase<bool>,
    wired: i64,
    pub(super) rotation_known: bool,
}

/// An ampere of an EVSE takes `coefficient` from a resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub(super) resource: usize,
    pub(super) coefficient: i64,
}

/// Something that can be used up.
#[derive(Debug)]
pub(super) struct Resource {
    pub(super) circuit: usize,
    pub(super) kind: Kind,
    /// In mA; power as the sum of currents over the phases.
    pub(super) capacity: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Phase(Phase),
    Power,
    /// As the power, but from outside and not for ever.
    Signal,
    /// One- and two-phase currents of one phase; the capacity is that of their difference.
    Asymmetry,
}

impl Layout {
    /// `signals[i]` is the limit signal of circuit `i`, if there is one.
    pub(super) fn new(plan: &LoadPlan, signals: &[Option<Watts>]) -> Self {
        let mut layout = Self {
            circuits: Vec::with_capacity(plan.circuits.len()),
            places: Vec::with_capacity(plan.evses.len()),
            resources: Vec::new(),
            is_uneven: false,
            paths: Vec::new(),
            terms: Vec::new(),
            uneven: Vec::new(),
        };
        for index in 0..plan.circuits.len() {
            layout.add_circuit(plan, index, signals.get(index).copied().flatten());
        }
        for evse in &plan.evses {
            layout.add_evse(evse);
        }
        layout.is_uneven = !layout.uneven.is_empty();
        layout
    }

    fn add_circuit(&mut self, plan: &LoadPlan, index: usize, signal: Option<Watts>) {
        let circuit = &plan.circuits[index];
        let parent = circuit.parent.as_ref().and_then(|parent| self.find(parent));
        let capacity = MilliAmps((circuit.max_current - circuit.reserve).0.max(0));
        let phases = self.resources.len();
        for phase in Phase::ALL {
            self.add_resource(index, Kind::Phase(phase), i64::from(capacity.0));
        }
        let caps = [(circuit.max_power, Kind::Power), (signal, Kind::Signal)];
        let powers = caps.map(|(watts, kind)| {
            // Rounded down to the mA, the cap holds exactly.
            let amps = amps_of(watts?, plan.voltage).max(0);
            Some(self.add_resource(index, kind, amps))
        });
        let asymmetry = circuit.max_asymmetry.map(|amps| {
            let first = self.resources.len();
            for _ in Phase::ALL {
                self.add_resource(index, Kind::Asymmetry, i64::from(amps.0.max(0)));
            }
            first
        });
        self.circuits.push(Circuit {
            name: circuit.name.clone(),
            parent: parent.or((index > 0).then_some(0)),
            capacity,
            phases,
            powers,
            signal: signal.unwrap_or_default(),
            asymmetry,
        });
    }

    fn add_resource(&mut self, circuit: usize, kind: Kind, capacity: i64) -> usize {
        self.resources.push(Resource {
            circuit,
            kind,
            capacity,
        });
        self.resources.len() - 1
    }

    fn add_evse(&mut self, evse: &EvsePlan) {
        let root = (!self.circuits.is_empty()).then_some(0);
        let path = self.paths.len();
        let mut next = self.find(&evse.circuit).or(root);
        while let Some(circuit) = next {
            self.paths.push(circuit);
            next = self.circuits[circuit].parent;
        }
        let wired = evse.phases.clamp(1, 3);
        let loads = loaded_phases(evse.rotation, wired);
        let linear = self.terms.len();
        for at in path..self.paths.len() {
            let circuit = &self.circuits[self.paths[at]];
            let loaded = loads.iter().filter(|(_, loaded)| *loaded);
            self.terms.extend(loaded.map(|(phase, _)| Term {
                resource: circuit.phases + phase.index(),
                coefficient: 1,
            }));
            self.terms.extend(circuit.powers().map(|resource| Term {
                resource,
                coefficient: i64::from(wired),
            }));
        }
        let uneven = self.uneven.len();
        if wired < 3 {
            let path = &self.paths[path..];
            self.uneven.extend(
                path.iter()
                    .filter_map(|circuit| self.circuits[*circuit].asymmetry),
            );
        }
        self.places.push(Place {
            path: path..self.paths.len(),
            linear: linear..self.terms.len(),
            uneven: uneven..self.uneven.len(),
            loads,
            wired: i64::from(wired),
            rotation_known: evse.rotation != Rotation::Unknown,
        });
    }

    fn find(&self, name: &CircuitName) -> Option<usize> {
        self.circuits
            .iter()
            .position(|circuit| circuit.name == *name)
    }

    /// What each ampere of an EVSE takes from phases and power.
    pub(super) fn linear(&self, evse: usize) -> &[Term] {
        &self.terms[self.places[evse].linear.clone()]
    }

    /// The asymmetries (the first of their three phases) an EVSE contributes to.
    pub(super) fn uneven(&self, evse: usize) -> &[usize] {
        &self.uneven[self.places[evse].uneven.clone()]
    }

    /// The circuits of an EVSE, from its own up to the root; none of an EVSE that is not there.
    pub(super) fn path(&self, evse: usize) -> &[usize] {
        let place = self.places.get(evse);
        place.map_or(&[], |place| &self.paths[place.path.clone()])
    }

    /// The resources of the three phases of a circuit, and of its power.
    pub(super) fn of_circuit(
        &self,
        circuit: usize,
    ) -> (usize, impl Iterator<Item = usize> + use<>) {
        let circuit = &self.circuits[circuit];
        (circuit.phases, circuit.powers())
    }

    /// Currents of an EVSE on the grid, as the sum over its wired phases.
    pub(super) fn total(&self, evse: usize, grid: PerPhase<i64>) -> i64 {
        let place = &self.places[evse];
        if place.rotation_known {
            grid.0.into_iter().sum()
        } else {
            // Each phase carries the worst case: it is drawn on the wired ones only.
            grid.0.into_iter().max().unwrap_or(0) * place.wired
        }
    }

    /// "This is used up."
    pub(super) fn reason(&self, resource: usize) -> Reason {
        let resource = &self.resources[resource];
        let watts = self.circuits[resource.circuit].signal;
        let circuit = self.circuits[resource.circuit].name.clone();
        match resource.kind {
            Kind::Phase(phase) => Reason::Circuit { circuit, phase },
            Kind::Power => Reason::Power { circuit },
            Kind::Signal => Reason::Signal { circuit, watts },
            Kind::Asymmetry => Reason::Asymmetry { circuit },
        }
    }
}

/// Power as the sum of currents over the phases, in mA: mW / mV is A.
pub(super) fn amps_of(power: Watts, voltage: MilliVolts) -> i64 {
    i64::from(power.0) * 1_000_000 / i64::from(voltage.0.max(1))
}

/// The grid phases behind the wired ones; all of them if nobody knows.
fn loaded_phases(rotation: Rotation, wired: u8) -> PerPhase<bool> {
    let Rotation::Known(order) = rotation else {
        return PerPhase::all(true);
    };
    let mut loads = PerPhase::all(false);
    for phase in order.into_iter().take(usize::from(wired)) {
        loads[phase] = true;
    }
    loads
}
