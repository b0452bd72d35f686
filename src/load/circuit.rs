//! The tree of circuits, and what a current of an EVSE takes from each of them.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is handed out by `Layout::new`, and the vectors never change their length"
)]

use std::sync::Arc;

use super::capacities::Capacities;
use super::layout::{Kind, Layout, Resource};
use super::plan::LoadPlan;
use super::usage::Usage;
use crate::evse::Reason;
use crate::ids::CircuitName;
use crate::units::{MilliAmps, PerPhase, Phase, Watts};

/// The tree of circuits with their capacities, and where each EVSE hangs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Circuits {
    layout: Arc<Layout>,
    capacities: Arc<Capacities>,
}

impl Circuits {
    /// Builds the tree. A circuit or EVSE whose parent is not in the plan hangs on the root.
    pub fn new(plan: &LoadPlan) -> Self {
        Self::with_signals(plan, &[])
    }

    /// The same with a limit signal on some circuits: `signals[i]` belongs to circuit `i`.
    pub fn with_signals(plan: &LoadPlan, signals: &[Option<Watts>]) -> Self {
        let layout = Layout::new(plan, signals);
        Self {
            capacities: Arc::new(Capacities::new(&layout)),
            layout: Arc::new(layout),
        }
    }

    /// The same circuits, but with these capacities.
    pub(super) fn with_capacities(&self, capacities: Capacities) -> Self {
        Self {
            layout: Arc::clone(&self.layout),
            capacities: Arc::new(capacities),
        }
    }

    /// What may be given out on each phase: the fuse minus the reserve, never below zero.
    pub fn capacity(&self, circuit: usize) -> PerPhase<MilliAmps> {
        let capacity = self
            .layout
            .circuits
            .get(circuit)
            .map(|circuit| circuit.capacity);
        PerPhase::all(capacity.unwrap_or_default())
    }

    /// The circuits of an EVSE, from its own up to the root.
    pub fn path(&self, evse: usize) -> &[usize] {
        self.layout.path(evse)
    }

    /// What the grid's phases carry when the device draws `amps` on each wired phase. With an
    /// unknown rotation that is `amps` on every phase a car may load.
    pub fn on_grid(&self, evse: usize, amps: MilliAmps) -> PerPhase<MilliAmps> {
        let mut grid = PerPhase::all(MilliAmps::ZERO);
        if let Some(place) = self.layout.places.get(evse) {
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
        let mut sums = vec![PerPhase::all(MilliAmps::ZERO); self.layout.circuits.len()];
        for (evse, grid) in booked.iter().enumerate() {
            for &circuit in self.path(evse) {
                for (phase, amps) in grid.iter() {
                    sums[circuit][phase] += amps;
                }
            }
        }
        sums
    }

    pub(super) fn name(&self, circuit: usize) -> Option<CircuitName> {
        let circuit = self.layout.circuits.get(circuit);
        circuit.map(|circuit| circuit.name.clone())
    }

    /// "This is used up."
    pub(super) fn reason(&self, resource: usize) -> Reason {
        let Resource { circuit, kind, .. } = self.layout.resources[resource];
        match kind {
            Kind::Phase(_) if self.capacities.failsafe[circuit] => Reason::Failsafe {
                circuit: self.layout.circuits[circuit].name.clone(),
            },
            _ => self.layout.reason(resource),
        }
    }

    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    pub(super) fn capacities(&self) -> &Capacities {
        &self.capacities
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
            usage: Usage::new(circuits.capacities()),
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

    /// Books what is promised to EVSEs, where that is more than is booked for them.
    pub(super) fn set_aside(&mut self, promised: &[(usize, MilliAmps)]) {
        for (evse, amps) in promised {
            let booked = self.booked.get(*evse).copied().unwrap_or_default();
            if i64::from(amps.0) > booked {
                self.set(*evse, *amps);
            }
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
        resource.map(|resource| self.circuits.reason(resource))
    }

    /// Whether anything is exceeded that an EVSE takes from.
    pub(super) fn exceeds(&self, evse: usize) -> bool {
        let layout = self.circuits.layout();
        let loads = |resource: usize| {
            let path = layout.path(evse);
            path.contains(&layout.resources[resource].circuit)
                && match layout.resources[resource].kind {
                    Kind::Phase(phase) => layout.places[evse].loads[phase],
                    _ => true,
                }
        };
        self.usage.exceeded(layout).any(loads)
    }

    /// Whether anything is exceeded anywhere.
    pub fn is_overloaded(&self) -> bool {
        self.usage.exceeded(self.circuits.layout()).next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::plan::{CircuitPlan, EvsePlan, Rotation};
    use crate::load::site_generator::Site;

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
