//! Which circuits and phases a device loads: computed without the code of the load manager.

use crate::load::{LoadPlan, Rotation};
use crate::units::{MilliAmps, PerPhase, Phase};

use super::device::Device;

#[derive(Debug, Clone)]
pub(super) struct Wiring {
    limits: Vec<MilliAmps>,
    evses: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    /// From its own circuit up to the root.
    circuits: Vec<usize>,
    /// The grid's phases behind its own.
    phases: [Phase; 3],
}

impl Wiring {
    pub(super) fn new(plan: &LoadPlan) -> Self {
        let evses = plan.evses.iter().map(|evse| {
            let mut at = Some(&evse.circuit);
            let circuits = std::iter::from_fn(|| {
                let name = at?;
                let place = plan.circuits.iter().position(|c| c.name == *name)?;
                at = plan.circuits.get(place)?.parent.as_ref();
                Some(place)
            });
            Place {
                circuits: circuits.collect(),
                phases: match evse.rotation {
                    Rotation::Known(phases) => phases,
                    Rotation::Unknown => Phase::ALL,
                },
            }
        });
        Self {
            limits: plan.circuits.iter().map(|c| c.max_current).collect(),
            evses: evses.collect(),
        }
    }

    pub(super) fn limits(&self) -> &[MilliAmps] {
        &self.limits
    }

    /// On each circuit and phase, by what `of` says of each device.
    pub(super) fn sums(
        &self,
        devices: &[Device],
        of: impl Fn(&Device) -> MilliAmps,
    ) -> Vec<PerPhase<MilliAmps>> {
        let mut sums = vec![PerPhase::all(MilliAmps::ZERO); self.limits.len()];
        for (place, device) in self.evses.iter().zip(devices) {
            let current = of(device);
            for circuit in &place.circuits {
                let Some(sum) = sums.get_mut(*circuit) else {
                    continue;
                };
                for phase in place.phases.iter().take(usize::from(device.phases())) {
                    sum[*phase] += current;
                }
            }
        }
        sums
    }
}
