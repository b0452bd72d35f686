//! The machines of a [`Site`](super::Site) and what stands between each of them and the world.

use std::collections::{BTreeMap, BTreeSet};

use crate::central_system::Station;
use crate::charge_point::ChargePoint;
use crate::clock::Mono;
use crate::gateway::Gateway;
use crate::ids::ConnectorId;
use crate::modbus::meters::Meter;

use super::gate::{Clearance, Gate};

/// A machine, by its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Machine {
    Station(usize),
    ChargePoint(usize),
    Meter(usize),
    Gateway(usize),
}

/// Which machine an EVSE belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Connector(usize, ConnectorId),
    ChargePoint(usize),
}

/// A station and what stands between it and its link.
#[derive(Debug)]
pub(super) struct StationSlot {
    pub(super) station: Station,
    pub(super) gate: Gate,
}

/// A Modbus wallbox and what its raises wait for.
#[derive(Debug)]
pub(super) struct ChargePointSlot {
    pub(super) charge_point: ChargePoint,
    pub(super) clearance: Clearance,
}

/// A meter.
#[derive(Debug)]
pub(super) struct MeterSlot {
    pub(super) meter: Meter,
}

/// A gateway and what stands between it and its link.
#[derive(Debug)]
pub(super) struct GatewaySlot {
    pub(super) gateway: Gateway,
    pub(super) gate: Gate,
}

/// When each machine wants to act.
#[derive(Debug, Default)]
pub(super) struct Timers {
    of: BTreeMap<Machine, Mono>,
    order: BTreeSet<(Mono, Machine)>,
}

impl Timers {
    /// Replaces the timer of a machine.
    pub(super) fn set(&mut self, machine: Machine, due: Option<Mono>) {
        let old = match due {
            Some(due) => self.of.insert(machine, due),
            None => self.of.remove(&machine),
        };
        if old == due {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, machine));
        }
        if let Some(due) = due {
            self.order.insert((due, machine));
        }
    }

    /// The next due time.
    pub(super) fn first(&self) -> Option<Mono> {
        self.order.first().map(|(due, _)| *due)
    }

    /// A machine whose time has come; it has no timer any more.
    pub(super) fn pop_due(&mut self, now: Mono) -> Option<Machine> {
        let (_, machine) = *self.order.first().filter(|(due, _)| *due <= now)?;
        self.set(machine, None);
        Some(machine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn each_machine_has_one_timer_and_the_earliest_comes_first() {
        let mut timers = Timers::default();
        timers.set(Machine::Station(0), Some(at(5)));
        timers.set(Machine::Meter(0), Some(at(3)));
        timers.set(Machine::Station(0), Some(at(4)));
        assert_eq!(timers.first(), Some(at(3)));
        assert_eq!(timers.pop_due(at(2)), None);
        assert_eq!(timers.pop_due(at(9)), Some(Machine::Meter(0)));
        assert_eq!(timers.pop_due(at(9)), Some(Machine::Station(0)));
        assert_eq!(timers.first(), None);
        timers.set(Machine::Station(0), None);
        assert_eq!(timers.pop_due(at(9)), None);
    }
}
