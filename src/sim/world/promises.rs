//! The promises of a world, looked at after every event.

use std::collections::BTreeMap;

use super::plan::{Socket, Wired};
use super::{Failure, World};
use crate::ids::CircuitName;
use crate::units::{MilliAmps, PerPhase};

impl World {
    /// The first promise that is broken now.
    pub(super) fn broken_promise(&self) -> Option<Failure> {
        self.overload()
            .or_else(|| self.violation())
            .or_else(|| self.complaint())
    }

    /// What really flows through a circuit now: houses, and what cars draw.
    pub fn flows(&self, circuit: &CircuitName) -> PerPhase<MilliAmps> {
        let mut sum = PerPhase::default();
        let below = |circuits: &[CircuitName]| circuits.contains(circuit);
        for wired in self.wired.iter().filter(|it| below(&it.circuits)) {
            add(&mut sum, wired.rotation.to_grid(self.draws(wired)));
        }
        for place in self.field.meters.iter().filter(|it| below(&it.circuits)) {
            add(&mut sum, place.house.current());
        }
        sum
    }

    /// A circuit whose EVSEs are allowed more than its fuse carries. What its house takes no load
    /// manager can foresee, and is not counted.
    fn overload(&self) -> Option<Failure> {
        let mut sums: BTreeMap<_, PerPhase<MilliAmps>> = BTreeMap::new();
        for wired in &self.wired {
            let grid = wired.rotation.to_grid(self.exposure(wired));
            for circuit in &wired.circuits {
                add(sums.entry(circuit).or_default(), grid);
            }
        }
        self.plan.load.circuits.iter().find_map(|circuit| {
            let sum = sums.get(&circuit.name)?;
            let (phase, allowed) = sum.iter().find(|(_, amps)| *amps > circuit.max_current)?;
            let mut history = self.history.clone();
            history.note(self.now.mono, &self.shares());
            Some(Failure::Overload {
                circuit: circuit.name.clone(),
                phase,
                allowed,
                fuse: circuit.max_current,
                history,
            })
        })
    }

    /// What an EVSE is allowed, on its own phases.
    fn exposure(&self, wired: &Wired) -> PerPhase<MilliAmps> {
        let exposure = match &wired.socket {
            Socket::Connector(wallbox, connector) => self
                .places
                .get(wallbox)
                .map(|place| place.wallbox.exposure(*connector, self.now)),
            Socket::PowerBrain(serial) => self
                .field
                .brain(serial)
                .map(|place| place.brain.exposure(self.now.mono)),
        };
        exposure.unwrap_or_default()
    }

    /// What its car draws, on its own phases.
    fn draws(&self, wired: &Wired) -> PerPhase<MilliAmps> {
        let draws = match &wired.socket {
            Socket::Connector(wallbox, connector) => self
                .places
                .get(wallbox)
                .map(|place| place.wallbox.drawn(*connector, self.now)),
            Socket::PowerBrain(serial) => self
                .field
                .brain(serial)
                .map(|place| place.brain.draws(self.now.mono)),
        };
        draws.unwrap_or_default()
    }

    /// What every EVSE is allowed, on its own phases.
    fn shares(&self) -> String {
        let share = |wired: &Wired| {
            let PerPhase([l1, l2, l3]) = self.exposure(wired);
            format!("{} {l1} {l2} {l3} A", wired.socket)
        };
        let shares: Vec<String> = self.wired.iter().map(share).collect();
        format!("allowed are: {}", shares.join(", "))
    }

    fn complaint(&self) -> Option<Failure> {
        let mut complaints = self.backends.iter().flat_map(|it| it.ledger().complaints());
        Some(Failure::Complaint {
            complaint: complaints.next()?.clone(),
            history: self.history.clone(),
        })
    }

    fn violation(&self) -> Option<Failure> {
        let wallboxes = self.places.iter().filter_map(|(id, place)| {
            let violation = place.wallbox.violations().first()?;
            Some((id.clone(), violation.clone()))
        });
        let brains = self.field.brains.iter().filter_map(|place| {
            let violation = place.brain.violations().first()?;
            let serial = place.brain.plan().serial.as_str();
            Some((serial.into(), violation.clone()))
        });
        let (charge_point, violation) = wallboxes.chain(brains).next()?;
        Some(Failure::Violation {
            charge_point,
            violation,
            history: self.history.clone(),
        })
    }
}

fn add(sum: &mut PerPhase<MilliAmps>, more: PerPhase<MilliAmps>) {
    for (phase, amps) in more.iter() {
        sum[phase] += amps;
    }
}
