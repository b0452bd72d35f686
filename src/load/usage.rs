//! How much of every resource is used.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is handed out by the `Layout` that gave the vectors their length"
)]

use super::capacities::Capacities;
use super::house_load::Load;
use super::layout::{Kind, Layout, Resource};
use crate::units::PerPhase;

/// How much of every resource of a [`Layout`] is used, in mA.
#[derive(Debug, Clone)]
pub(super) struct Usage {
    used: Vec<i64>,
    limit: Vec<i64>,
    /// At the first phase of an asymmetry: how much comes from EVSEs of unknown rotation. It is
    /// contained in `used` of all three phases.
    unknown: Vec<i64>,
}

impl Usage {
    /// Nothing is used but by the house.
    pub(super) fn new(capacities: &Capacities) -> Self {
        Self {
            used: capacities.house.clone(),
            unknown: vec![0; capacities.limit.len()],
            limit: capacities.limit.clone(),
        }
    }

    /// Back to what the house uses.
    pub(super) fn clear(&mut self, capacities: &Capacities) {
        self.used.copy_from_slice(&capacities.house);
        self.unknown.fill(0);
        self.limit.copy_from_slice(&capacities.limit);
    }

    /// What is exceeded now is allowed, but nothing on top of it.
    pub(super) fn tolerate(&mut self, layout: &Layout) {
        for (resource, kind) in kinds(layout) {
            self.limit[resource] = self.limit[resource].max(self.level(resource, kind));
        }
    }

    /// The resources that are used beyond their limit.
    pub(super) fn exceeded(&self, layout: &Layout) -> impl Iterator<Item = usize> {
        kinds(layout)
            .filter(|(resource, kind)| self.level(*resource, *kind) > self.limit[*resource])
            .map(|(resource, _)| resource)
    }

    /// What is left of a resource of a circuit's phases or power.
    pub(super) fn slack(&self, resource: usize) -> i64 {
        self.limit[resource] - self.used[resource]
    }

    /// How much the asymmetric current of each phase (of those that begin at `first`) may rise,
    /// if the other two do not.
    pub(super) fn uneven_slack(&self, first: usize) -> [i64; 3] {
        let used = self.uneven(first);
        let lowest = used[0].min(used[1]).min(used[2]);
        used.map(|used| self.limit[first] - self.unknown[first] - (used - lowest))
    }

    /// Adds to the current of an EVSE on each of its wired phases.
    pub(super) fn add(&mut self, layout: &Layout, evse: usize, amps: i64) {
        for term in layout.linear(evse) {
            self.used[term.resource] += term.coefficient * amps;
        }
        let grid = layout.places[evse]
            .loads
            .map(|loads| if loads { amps } else { 0 });
        self.add_uneven(layout, evse, grid);
    }

    /// Adds currents that an EVSE takes from the phases of the grid.
    pub(super) fn add_grid(&mut self, layout: &Layout, evse: usize, grid: PerPhase<i64>) {
        for &circuit in layout.path(evse) {
            let (phases, powers) = layout.of_circuit(circuit);
            for (phase, amps) in grid.iter() {
                self.used[phases + phase.index()] += amps;
            }
            for power in powers {
                self.used[power] += layout.total(evse, grid);
            }
        }
        self.add_uneven(layout, evse, grid);
    }

    fn add_uneven(&mut self, layout: &Layout, evse: usize, grid: PerPhase<i64>) {
        for &first in layout.uneven(evse) {
            for (phase, amps) in grid.iter() {
                self.used[first + phase.index()] += amps;
            }
            if !layout.places[evse].rotation_known {
                self.unknown[first] += grid.0.into_iter().fold(0, i64::max);
            }
        }
    }

    /// The first phase or power, from the EVSE's own circuit upwards, that does not bear `more`
    /// on each of its wired phases. Nothing another EVSE takes can ever make it bear it.
    pub(super) fn full(&self, layout: &Layout, evse: usize, more: i64) -> Option<usize> {
        let mut terms = layout.linear(evse).iter();
        terms
            .find(|term| self.slack(term.resource) < term.coefficient * more)
            .map(|t| t.resource)
    }

    /// The first asymmetry that would be too large, and larger than it is, with `more`. Others
    /// may make room by loading the other phases.
    pub(super) fn too_uneven(&self, layout: &Layout, evse: usize, more: i64) -> Option<usize> {
        let place = &layout.places[evse];
        layout.uneven(evse).iter().copied().find(|&first| {
            let mut used = self.uneven(first);
            for (used, loads) in used.iter_mut().zip(place.loads.0) {
                *used += if loads { more } else { 0 };
            }
            let unknown = self.unknown[first] + if place.rotation_known { 0 } else { more };
            spread(used, unknown) > self.limit[first].max(self.level(first, Kind::Asymmetry))
        })
    }

    /// What stands in the way of `more`, if anything.
    pub(super) fn obstacle(&self, layout: &Layout, evse: usize, more: i64) -> Option<usize> {
        self.full(layout, evse, more)
            .or_else(|| self.too_uneven(layout, evse, more))
    }

    /// Whether all circuits above an EVSE bear so much more.
    pub(super) fn bears(&self, layout: &Layout, evse: usize, more: Load) -> bool {
        let fits = |resource: usize, more: i64| more <= 0 || self.slack(resource) >= more;
        layout.path(evse).iter().all(|&circuit| {
            let (_, mut powers) = layout.of_circuit(circuit);
            let circuit = &layout.circuits[circuit];
            let mut phases = more.phases.iter();
            phases.all(|(phase, more)| fits(circuit.phase(phase), more))
                && powers.all(|power| fits(power, more.power))
        })
    }

    /// Whether so much more on single phases would be even enough for all circuits above an EVSE.
    pub(super) fn stays_even(&self, layout: &Layout, evse: usize, more: PerPhase<i64>) -> bool {
        let circuits = layout.path(evse).iter();
        let mut limited = circuits.filter_map(|circuit| layout.circuits[*circuit].asymmetry);
        limited.all(|first| {
            let mut used = self.uneven(first);
            for (used, more) in used.iter_mut().zip(more.0) {
                *used += more;
            }
            spread(used, self.unknown[first]) <= self.limit[first]
        })
    }

    fn level(&self, resource: usize, kind: Kind) -> i64 {
        match kind {
            Kind::Phase(_) | Kind::Power | Kind::Signal => self.used[resource],
            Kind::Asymmetry => spread(self.uneven(resource), self.unknown[resource]),
        }
    }

    fn uneven(&self, first: usize) -> [i64; 3] {
        [self.used[first], self.used[first + 1], self.used[first + 2]]
    }
}

/// The largest difference between two phases. An unknown rotation may put a current on the higher
/// of them and not on the lower: there is no phase it cannot miss.
fn spread(used: [i64; 3], unknown: i64) -> i64 {
    let [a, b, c] = used;
    a.max(b).max(c) - a.min(b).min(c) + unknown
}

/// All resources; of the three phases of an asymmetry only the first, which stands for it.
fn kinds(layout: &Layout) -> impl Iterator<Item = (usize, Kind)> {
    let stands_for_itself = |(i, resource): &(usize, &Resource)| {
        resource.kind != Kind::Asymmetry || layout.circuits[resource.circuit].asymmetry == Some(*i)
    };
    let resources = layout.resources.iter().enumerate();
    resources
        .filter(stands_for_itself)
        .map(|(i, resource)| (i, resource.kind))
}
