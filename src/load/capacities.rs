//! What every resource bears at this moment: the fuses, what the house takes of them, and what is
//! left of them while a meter is stale or a fuse is hot.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is handed out by the `Layout` that gave the vectors their length"
)]

use super::layout::Layout;
use crate::units::{MilliAmps, PerPhase, Phase};

/// One number for each resource of a [`Layout`], in mA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Capacities {
    /// What it bears.
    pub(super) limit: Vec<i64>,
    /// What others than EVSEs use of it.
    pub(super) house: Vec<i64>,
    /// For each circuit: its failsafe current holds.
    pub(super) failsafe: Vec<bool>,
}

impl Capacities {
    /// No house, and every meter is fresh.
    pub(super) fn new(layout: &Layout) -> Self {
        let resources = layout.resources.iter();
        Self {
            limit: resources.map(|resource| resource.capacity).collect(),
            house: vec![0; layout.resources.len()],
            failsafe: vec![false; layout.circuits.len()],
        }
    }

    /// A house uses this much of the phases of a circuit, and of its power.
    pub(super) fn set_house(
        &mut self,
        layout: &Layout,
        circuit: usize,
        phases: PerPhase<i64>,
        power: i64,
    ) {
        let circuit = &layout.circuits[circuit];
        for (phase, amps) in phases.iter() {
            self.house[circuit.phase(phase)] = amps.max(0);
        }
        if let Some(resource) = circuit.power() {
            self.house[resource] = power.max(0);
        }
    }

    /// A house loads the phases of a circuit unevenly.
    pub(super) fn set_uneven(&mut self, layout: &Layout, circuit: usize, phases: PerPhase<i64>) {
        if let Some(first) = layout.circuits[circuit].asymmetry {
            for (phase, amps) in phases.iter() {
                self.house[first + phase.index()] = amps.max(0);
            }
        }
    }

    /// The meter of a circuit is stale: its EVSEs share the failsafe current.
    pub(super) fn set_failsafe(&mut self, layout: &Layout, circuit: usize, failsafe: MilliAmps) {
        self.failsafe[circuit] = true;
        for phase in Phase::ALL {
            let limit = &mut self.limit[layout.circuits[circuit].phase(phase)];
            *limit = (*limit).min(i64::from(failsafe.0.max(0)));
        }
    }

    /// A fuse is hot: it bears so much less.
    pub(super) fn set_hot(&mut self, layout: &Layout, circuit: usize, less: PerPhase<MilliAmps>) {
        for (phase, less) in less.iter() {
            let limit = &mut self.limit[layout.circuits[circuit].phase(phase)];
            *limit = (*limit - i64::from(less.0.max(0))).max(0);
        }
    }
}
