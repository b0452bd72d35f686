//! From the configuration to what [`Site`](crate::site) takes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::circuit::Circuit;
use super::evse::{DEFAULT_STEP, Device, Evse};
use super::manager::{LoadManagement, Manager};
use super::server::Server;
use crate::central_system::{ConnectorPlan, StationPlan};
use crate::ids::{ChargeBoxId, CircuitName, ConnectorId};
use crate::load::{CircuitPlan, EvsePlan, LoadPlan};
use crate::site::{AuthorizationPlan, Plan};
use crate::units::MilliAmps;

/// Builds the plan. `failsafe` has one current for each EVSE.
pub(super) fn build(
    manager: &Manager,
    server: &Server,
    authorization: AuthorizationPlan,
    circuits: &[Circuit],
    evses: &[Evse],
    failsafe: &[MilliAmps],
) -> Plan {
    let root = circuits.iter().find(|circuit| circuit.parent.is_none());
    let root = root.map_or_else(|| CircuitName::from(""), |root| root.name.clone());
    Plan {
        load: LoadPlan {
            voltage: manager.voltage,
            circuits: circuits.iter().map(circuit_plan).collect(),
            evses: evses
                .iter()
                .zip(failsafe)
                .map(|(evse, failsafe)| evse_plan(evse, *failsafe, &root))
                .collect(),
            priority_mode: manager.priority_mode,
            rotation_period: manager.rotation_period,
            start_up_hold: manager.start_up_hold,
            ocpp_raise_interval: manager.ocpp_raise_interval,
            when_disabled: manager.when_disabled,
            observe: manager.load_management == LoadManagement::Observe,
        },
        stations: stations(manager, server, evses),
        authorization,
        accept_unknown: server.accept_unknown,
    }
}

fn circuit_plan(circuit: &Circuit) -> CircuitPlan {
    CircuitPlan {
        name: circuit.name.clone(),
        parent: circuit.parent.clone(),
        max_current: circuit.max_current,
        max_power: circuit.max_power,
        reserve: circuit.reserve,
        failsafe: circuit.failsafe_current,
        max_asymmetry: circuit.max_asymmetry,
    }
}

fn evse_plan(evse: &Evse, failsafe: MilliAmps, root: &CircuitName) -> EvsePlan {
    EvsePlan {
        name: evse.name.clone(),
        circuit: evse.circuit.as_ref().unwrap_or(root).clone(),
        phases: evse.phases,
        rotation: evse.rotation,
        min: evse.min_current,
        max: evse.max_current,
        priority: evse.priority,
        weight: evse.weight,
        failsafe,
        idle: evse.idle_current,
        step: evse.step.unwrap_or(DEFAULT_STEP),
        enabled: evse.enabled,
    }
}

/// One for each ChargeBox ID, in the order of the file.
fn stations(manager: &Manager, server: &Server, evses: &[Evse]) -> Vec<StationPlan> {
    let mut stations: Vec<StationPlan> = Vec::new();
    let mut index: BTreeMap<ChargeBoxId, usize> = BTreeMap::new();
    for evse in evses {
        let Device::Ocpp(id) = &evse.device else {
            continue;
        };
        let connector = ConnectorPlan {
            evse: evse.name.clone(),
            phases: evse.phases,
            idle: evse.idle_current,
            max: evse.max_current,
            fixed_id_tag: evse.fixed_id_tag.clone(),
            profile: evse.profile.clone(),
        };
        let place = match index.entry(id.clone()) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                stations.push(StationPlan {
                    id: id.clone(),
                    connectors: BTreeMap::new(),
                    heartbeat_interval: server.heartbeat_interval,
                    meter_interval: server.meter_interval,
                    voltage: manager.voltage,
                    observe: manager.load_management == LoadManagement::Observe,
                });
                *place.insert(stations.len() - 1)
            }
        };
        if let Some(station) = stations.get_mut(place) {
            station.connectors.insert(ConnectorId(evse.id), connector);
        }
    }
    stations
}
