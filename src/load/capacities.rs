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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Random;
    use crate::load::allocator::Allocator;
    use crate::load::request::Request;
    use crate::load::site_generator::Site;

    /// Houses behind some circuits, failsafe currents and hot fuses behind others.
    fn random(site: &Site, seed: u64) -> Capacities {
        let mut random = Random::new(!seed);
        let mut amps = |most| i32::try_from(random.below(most)).unwrap();
        let circuits = site.circuits();
        let layout = circuits.layout();
        let mut capacities = Capacities::new(layout);
        for circuit in 0..site.plan.circuits.len() {
            let phases = [0; 3].map(|_| i64::from(amps(50_000)));
            match amps(4) {
                0 => capacities.set_failsafe(layout, circuit, MilliAmps(amps(20_000))),
                1 => capacities.set_house(layout, circuit, PerPhase(phases), phases.iter().sum()),
                2 => {
                    let hot = PerPhase([0; 3].map(|_| MilliAmps(amps(20_000))));
                    capacities.set_hot(layout, circuit, hot);
                }
                _ => {}
            }
        }
        capacities
    }

    #[test]
    fn i1_what_the_house_and_a_failsafe_current_leave_is_not_given_out_twice() {
        for seed in 0..500 {
            let site = Site::random(seed).without_extra();
            let capacities = random(&site, seed);
            let circuits = site.circuits().with_capacities(capacities.clone());
            let shares = Allocator::on(&circuits, &site.plan)
                .allocate(&site.requests)
                .to_vec();
            let offered = shares.iter().enumerate();
            let offered: Vec<_> = offered
                .map(|(evse, share)| circuits.on_grid(evse, share.offer))
                .collect();
            let fixed: Vec<_> = site.requests.iter().map(fixed).collect();
            let sums = circuits.sums(&offered).into_iter();
            for (circuit, (sum, fixed)) in sums.zip(circuits.sums(&fixed)).enumerate() {
                for (phase, sum) in sum.iter() {
                    let resource = circuits.layout().circuits[circuit].phase(phase);
                    let left = capacities.limit[resource]
                        - capacities.house[resource]
                        - i64::from(fixed[phase].0);
                    assert!(i64::from(sum.0) <= left.max(0), "seed {seed}: {circuit}");
                }
            }
        }
    }

    fn fixed(request: &Request) -> PerPhase<MilliAmps> {
        match request {
            Request::Fixed(grid) => *grid,
            Request::Wants(_) => PerPhase::default(),
        }
    }
}
