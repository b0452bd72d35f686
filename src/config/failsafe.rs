//! What EVSEs may draw while nobody can reach them, and whether the fuses bear it.

use super::circuit::Circuit;
use super::evse::Evse;
use super::problem::Report;
use super::value::At;
use crate::ids::CircuitName;
use crate::units::{MilliAmps, MilliVolts, PerPhase, Watts};

/// `evse.failsafe-current`, unless the file says otherwise.
const DEFAULT: MilliAmps = MilliAmps::from_amps(6);

/// The failsafe current of each EVSE. Where the defaults do not fit a circuit they count as 0;
/// what the file says stands, with a warning.
pub(super) fn currents(
    report: &Report<'_>,
    circuits: &[At<Circuit>],
    evses: &[Evse],
    voltage: MilliVolts,
) -> Vec<MilliAmps> {
    let mut currents: Vec<MilliAmps> = evses
        .iter()
        .map(|evse| {
            evse.failsafe_current
                .unwrap_or(DEFAULT.min(evse.max_current))
        })
        .collect();
    // Parents come first in the list. From below, as few defaults as needed give way.
    for circuit in circuits.iter().rev() {
        if load(circuit, circuits, evses, &currents, voltage).fits(circuit) {
            continue;
        }
        for (evse, current) in evses.iter().zip(&mut currents) {
            if evse.failsafe_current.is_none() && is_below(evse, circuit, circuits) {
                *current = MilliAmps::ZERO;
            }
        }
        let load = load(circuit, circuits, evses, &currents, voltage);
        if !load.fits(circuit) {
            let Circuit { name, .. } = &circuit.value;
            let what = format!(
                "the failsafe currents behind {name} add up to {} A, more than it can carry",
                load.current.0.into_iter().max().unwrap_or_default(),
            );
            let remedy = "lower failsafe-current of its EVSEs, so that the fuse also holds when \
                          nobody can reach them";
            report.warning(&circuit.span, what, remedy);
        }
    }
    currents
}

/// What the EVSEs behind a circuit draw.
struct Load {
    current: PerPhase<MilliAmps>,
    power: Watts,
}

impl Load {
    fn fits(&self, circuit: &Circuit) -> bool {
        let usable = circuit.max_current - circuit.reserve;
        self.current.iter().all(|(_, current)| current <= usable)
            && circuit.max_power.is_none_or(|most| self.power <= most)
    }
}

fn load(
    circuit: &Circuit,
    circuits: &[At<Circuit>],
    evses: &[Evse],
    currents: &[MilliAmps],
    voltage: MilliVolts,
) -> Load {
    let mut load = Load {
        current: PerPhase::default(),
        power: Watts::ZERO,
    };
    for (evse, current) in evses.iter().zip(currents) {
        if !is_below(evse, circuit, circuits) {
            continue;
        }
        let mut device = PerPhase::default();
        for wired in device.0.iter_mut().take(usize::from(evse.phases)) {
            *wired = *current;
        }
        for (phase, drawn) in evse.rotation.to_grid(device).iter() {
            load.current[phase] += drawn;
        }
        let microwatts = i64::from(current.0) * i64::from(voltage.0) * i64::from(evse.phases);
        load.power += Watts(i32::try_from(microwatts / 1_000_000).unwrap_or(i32::MAX));
    }
    load
}

/// Whether an EVSE hangs at this circuit or at one below it.
fn is_below(evse: &Evse, circuit: &Circuit, circuits: &[At<Circuit>]) -> bool {
    let Some(own) = &evse.circuit else {
        return circuit.parent.is_none();
    };
    let parent_of = |name: &CircuitName| {
        let found = circuits.iter().find(|circuit| circuit.name == *name);
        found.and_then(|circuit| circuit.parent.clone())
    };
    let mut path = std::iter::successors(Some(own.clone()), parent_of).take(circuits.len());
    path.any(|name| name == circuit.name)
}
