//! The tree of circuits, and what a current of an EVSE takes from each of them.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is handed out by `Layout::new`, and the vectors never change their length"
)]

use std::ops::Range;
use std::sync::Arc;

use super::plan::{EvsePlan, LoadPlan, Rotation};
use super::usage::Usage;
use crate::evse::Reason;
use crate::ids::CircuitName;
use crate::units::{MilliAmps, PerPhase, Phase};

/// The tree of circuits with their capacities, and where each EVSE hangs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Circuits(Arc<Layout>);

impl Circuits {
    /// Builds the tree. A circuit or EVSE whose parent is not in the plan hangs on the root.
    pub fn new(plan: &LoadPlan) -> Self {
        Self(Arc::new(Layout::new(plan)))
    }

    /// What may be given out on each phase: the fuse minus the reserve, never below zero.
    pub fn capacity(&self, circuit: usize) -> PerPhase<MilliAmps> {
        let capacity = self.0.circuits.get(circuit).map(|circuit| circuit.capacity);
        PerPhase::all(capacity.unwrap_or_default())
    }

    /// The circuits of an EVSE, from its own up to the root.
    pub fn path(&self, evse: usize) -> &[usize] {
        match self.0.places.get(evse) {
            Some(place) => &self.0.paths[place.path.clone()],
            None => &[],
        }
    }

    /// What the grid's phases carry when the device draws `amps` on each wired phase. With an
    /// unknown rotation that is `amps` on every phase a car may load.
    pub fn on_grid(&self, evse: usize, amps: MilliAmps) -> PerPhase<MilliAmps> {
        let mut grid = PerPhase::all(MilliAmps::ZERO);
        if let Some(place) = self.0.places.get(evse) {
            for phase in Phase::ALL {
                if place.loads[phase] {
                    grid[phase] = amps;
                }
            }
        }
        grid
    }

    /// The sum below each circuit of what is booked for each EVSE (on the grid's phases).
    pub fn sums(&self, booked: &[PerPhase<MilliAmps>]) -> Vec<PerPhase<MilliAmps>> {
        let mut sums = vec![PerPhase::all(MilliAmps::ZERO); self.0.circuits.len()];
        for (evse, grid) in booked.iter().enumerate() {
            for &circuit in self.path(evse) {
                for (phase, amps) in grid.iter() {
                    sums[circuit][phase] += amps;
                }
            }
        }
        sums
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.0
    }
}

/// What every EVSE is booked with, and whether the circuits bear it.
#[derive(Debug, Clone)]
pub struct Bookings {
    circuits: Circuits,
    usage: Usage,
    booked: Vec<i64>,
}

impl Bookings {
    /// Nothing is booked yet.
    pub fn new(circuits: &Circuits) -> Self {
        let layout = circuits.layout();
        Self {
            usage: Usage::new(layout),
            booked: vec![0; layout.places.len()],
            circuits: circuits.clone(),
        }
    }

    /// Books `amps` on each wired phase of an EVSE, in place of what was booked for it.
    pub fn set(&mut self, evse: usize, amps: MilliAmps) {
        if let Some(booked) = self.booked.get_mut(evse) {
            let amps = i64::from(amps.0.max(0));
            let more = amps - *booked;
            *booked = amps;
            self.usage.add(self.circuits.layout(), evse, more);
        }
    }

    /// Whether the EVSE could be booked with `amps` instead: nothing on its path would be
    /// overloaded, or more overloaded than it is.
    pub fn fits_with(&self, evse: usize, amps: MilliAmps) -> bool {
        let Some(booked) = self.booked.get(evse) else {
            return false;
        };
        let more = i64::from(amps.0.max(0)) - booked;
        more <= 0
            || self
                .usage
                .obstacle(self.circuits.layout(), evse, more)
                .is_none()
    }

    /// What is exceeded in a circuit, if anything.
    pub fn overload(&self, circuit: usize) -> Option<Reason> {
        let layout = self.circuits.layout();
        let resource = self
            .usage
            .exceeded(layout)
            .find(|r| layout.resources[*r].circuit == circuit);
        resource.map(|resource| layout.reason(resource))
    }

    /// Whether anything is exceeded anywhere.
    pub fn is_overloaded(&self) -> bool {
        self.usage.exceeded(self.circuits.layout()).next().is_some()
    }
}

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
    capacity: MilliAmps,
    /// The first of its three phases among the resources.
    phases: usize,
    power: Option<usize>,
    /// The first of its three phases of asymmetric current among the resources.
    pub(super) asymmetry: Option<usize>,
}

impl Circuit {
    /// The resources of its phases and of its power.
    pub(super) fn linear(&self) -> impl Iterator<Item = usize> {
        (self.phases..self.phases + 3).chain(self.power)
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
    /// One- and two-phase currents of one phase; the capacity is that of their difference.
    Asymmetry,
}

impl Layout {
    fn new(plan: &LoadPlan) -> Self {
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
            layout.add_circuit(plan, index);
        }
        for evse in &plan.evses {
            layout.add_evse(evse);
        }
        layout.is_uneven = !layout.uneven.is_empty();
        layout
    }

    fn add_circuit(&mut self, plan: &LoadPlan, index: usize) {
        let circuit = &plan.circuits[index];
        let parent = circuit.parent.as_ref().and_then(|parent| self.find(parent));
        let capacity = MilliAmps((circuit.max_current - circuit.reserve).0.max(0));
        let phases = self.resources.len();
        for phase in Phase::ALL {
            self.add_resource(index, Kind::Phase(phase), i64::from(capacity.0));
        }
        let power = circuit.max_power.map(|watts| {
            // mW / mV is A: rounded down to the mA, the cap holds exactly.
            let amps = i64::from(watts.0.max(0)) * 1_000_000 / i64::from(plan.voltage.0.max(1));
            self.add_resource(index, Kind::Power, amps)
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
            power,
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
            self.terms.extend(circuit.power.map(|resource| Term {
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

    /// The circuits of an EVSE, from its own up to the root.
    pub(super) fn path(&self, evse: usize) -> &[usize] {
        &self.paths[self.places[evse].path.clone()]
    }

    /// The resources of the three phases of a circuit, and its power.
    pub(super) fn of_circuit(&self, circuit: usize) -> (usize, Option<usize>) {
        (self.circuits[circuit].phases, self.circuits[circuit].power)
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
        let circuit = self.circuits[resource.circuit].name.clone();
        match resource.kind {
            Kind::Phase(phase) => Reason::Circuit { circuit, phase },
            Kind::Power => Reason::Power { circuit },
            Kind::Asymmetry => Reason::Asymmetry { circuit },
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::CircuitPlan;
    use crate::load::site_generator::Site;
    use crate::units::Watts;

    const A: fn(i32) -> MilliAmps = MilliAmps::from_amps;

    /// A garage of 20 A below a main circuit of 32 A, with a one-phase EVSE on L2, one of unknown
    /// phase, and a three-phase one on the main circuit.
    fn plan() -> LoadPlan {
        let mut plan = Site::random(0).plan;
        let (circuit, evse) = (plan.circuits.swap_remove(0), plan.evses.swap_remove(0));
        let circuit = |name: &str, parent: Option<&str>, amps: i32| CircuitPlan {
            name: name.into(),
            parent: parent.map(Into::into),
            max_current: A(amps),
            max_power: None,
            reserve: A(0),
            max_asymmetry: None,
            ..circuit.clone()
        };
        let evse = |circuit: &str, phases: u8, rotation: Rotation| EvsePlan {
            circuit: circuit.into(),
            phases,
            rotation,
            ..evse.clone()
        };
        plan.circuits = vec![
            circuit("main", None, 32),
            circuit("garage", Some("main"), 20),
        ];
        plan.evses = vec![
            evse(
                "garage",
                1,
                Rotation::Known([Phase::L2, Phase::L3, Phase::L1]),
            ),
            evse("garage", 1, Rotation::Unknown),
            evse("main", 3, Rotation::L1L2L3),
        ];
        plan
    }

    #[test]
    fn an_evse_loads_every_circuit_up_to_the_root() {
        let circuits = Circuits::new(&plan());
        assert_eq!(circuits.path(0), [1, 0]);
        assert_eq!(circuits.path(2), [0]);
        assert!(circuits.path(3).is_empty());
        let booked = [0, 1, 2].map(|evse| circuits.on_grid(evse, A(10)));
        assert_eq!(booked[0], PerPhase([A(0), A(10), A(0)]));
        assert_eq!(booked[1], PerPhase::all(A(10)));
        let sums = circuits.sums(&booked);
        assert_eq!(
            sums,
            [
                PerPhase([A(20), A(30), A(20)]),
                PerPhase([A(10), A(20), A(10)])
            ]
        );
    }

    #[test]
    fn the_reserve_is_not_given_out_and_a_capacity_is_never_negative() {
        let mut plan = plan();
        plan.circuits[0].reserve = A(2);
        plan.circuits[1].reserve = A(21);
        let circuits = Circuits::new(&plan);
        assert_eq!(circuits.capacity(0), PerPhase::all(A(30)));
        assert_eq!(circuits.capacity(1), PerPhase::all(A(0)));
    }

    #[test]
    fn what_hangs_on_an_unknown_circuit_hangs_on_the_root() {
        let mut plan = plan();
        plan.circuits[1].parent = Some("nowhere".into());
        plan.evses[2].circuit = "nowhere".into();
        let circuits = Circuits::new(&plan);
        assert_eq!(circuits.path(0), [1, 0]);
        assert_eq!(circuits.path(2), [0]);
    }

    #[test]
    fn a_raise_must_fit_beside_everything_booked_on_the_path() {
        let mut bookings = Bookings::new(&Circuits::new(&plan()));
        bookings.set(0, A(10));
        assert!(bookings.fits_with(1, A(10)));
        assert!(!bookings.fits_with(1, MilliAmps(10_001)));
        assert!(bookings.fits_with(2, A(22)));
        assert!(!bookings.fits_with(2, MilliAmps(22_001)));
        bookings.set(0, A(6));
        assert!(bookings.fits_with(1, A(14)));
        assert!(!bookings.fits_with(3, A(0)), "there is no such EVSE");
    }

    #[test]
    fn an_overload_forbids_every_raise_on_its_phases_and_no_lowering() {
        let mut bookings = Bookings::new(&Circuits::new(&plan()));
        assert!(!bookings.is_overloaded());
        bookings.set(0, A(24));
        assert!(bookings.is_overloaded());
        let garage = Reason::Circuit {
            circuit: "garage".into(),
            phase: Phase::L2,
        };
        assert_eq!(bookings.overload(1), Some(garage));
        assert_eq!(bookings.overload(0), None);
        assert!(bookings.fits_with(0, A(23)));
        assert!(!bookings.fits_with(1, A(1)), "it may be on L2");
        assert!(bookings.fits_with(2, A(8)), "the main circuit bears it");
    }

    #[test]
    fn power_counts_wired_phases_and_asymmetry_the_worst_case() {
        let mut plan = plan();
        plan.circuits[0].max_power = Some(Watts(230 * 40));
        plan.circuits[1].max_asymmetry = Some(A(12));
        let mut bookings = Bookings::new(&Circuits::new(&plan));
        bookings.set(2, A(10));
        assert!(bookings.fits_with(1, A(10)));
        assert!(!bookings.fits_with(1, MilliAmps(10_001)));
        bookings.set(2, A(0));
        bookings.set(0, A(6));
        assert!(bookings.fits_with(1, A(6)));
        assert!(!bookings.fits_with(1, MilliAmps(6001)));
        bookings.set(1, A(7));
        assert_eq!(
            bookings.overload(1),
            Some(Reason::Asymmetry {
                circuit: "garage".into()
            })
        );
    }

    #[test]
    fn too_much_asymmetry_may_be_evened_out() {
        let mut plan = plan();
        plan.circuits[1].max_asymmetry = Some(A(4));
        plan.evses[1].rotation = Rotation::L1L2L3;
        let mut bookings = Bookings::new(&Circuits::new(&plan));
        bookings.set(0, A(10));
        assert!(
            bookings.fits_with(1, A(10)),
            "L1 below L2, and L3 is no worse than before"
        );
        assert!(!bookings.fits_with(1, A(11)));
    }
}
