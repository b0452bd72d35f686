//! From the configuration to what [`Site`](crate::site) takes.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::circuit::Circuit;
use super::evse::{DEFAULT_STEP, Evse, EvseMeter};
use super::manager::{LoadManagement, Manager};
use super::meter::Meter;
use super::server::Server;
use crate::central_system::{ConnectorPlan, StationPlan};
use crate::charge_point::ChargePointPlan;
use crate::charge_point::plan::Metering;
use crate::config;
use crate::ids::{ChargeBoxId, CircuitName, ConnectorId, EvseName, MeterName};
use crate::load::{self, CircuitPlan, EvsePlan, LoadPlan, MeterPlan};
use crate::modbus;
use crate::site::{AuthorizationMode, AuthorizationPlan, MeasuredBy, Plan};
use crate::units::MilliAmps;

/// Builds the plan. `failsafe` has one current for each EVSE.
pub(super) fn build(
    manager: &Manager,
    server: &Server,
    authorization: AuthorizationPlan,
    circuits: &[Circuit],
    meters: &[Meter],
    evses: &[Evse],
    failsafe: &[MilliAmps],
) -> Plan {
    let root = circuits.iter().find(|circuit| circuit.parent.is_none());
    let root = root.map_or_else(|| CircuitName::from(""), |root| root.name.clone());
    Plan {
        load: LoadPlan {
            voltage: manager.voltage,
            circuits: circuits.iter().map(circuit_plan).collect(),
            meters: meters.iter().map(meter_plan).collect(),
            evses: evses
                .iter()
                .zip(failsafe)
                .map(|(evse, failsafe)| evse_plan(evse, *failsafe, &root))
                .collect(),
            priority_mode: manager.priority_mode,
            rotation_period: manager.rotation_period,
            start_up_hold: manager.start_up_hold,
            ocpp_raise_interval: manager.ocpp_raise_interval,
            raise_hold: manager.raise_hold,
            raise_step: manager.raise_step,
            raise_interval: manager.raise_interval,
            meter_timeout: manager.meter_timeout,
            asymmetry_includes_house: manager.asymmetry_includes_house,
            when_disabled: manager.when_disabled,
            observe: manager.load_management == LoadManagement::Observe,
        },
        charge_points: charge_points(manager, &authorization, evses, failsafe),
        meters: meters.iter().map(|it| device_plan(it, evses)).collect(),
        measured_by: evses.iter().filter_map(measured_by).collect(),
        stations: stations(manager, server, circuits, evses, failsafe),
        gateways: super::backends::plans(manager, evses),
        authorization,
        limit_signals: circuits
            .iter()
            .filter_map(|it| Some((it.name.clone(), it.limit_signal?)))
            .collect(),
    }
}

fn circuit_plan(circuit: &Circuit) -> CircuitPlan {
    CircuitPlan {
        name: circuit.name.clone(),
        parent: circuit.parent.clone(),
        max_current: circuit.max_current,
        max_power: circuit.max_power,
        reserve: circuit.reserve,
        meter: circuit.meter.as_deref().map(MeterName::from),
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
        device: match evse.device {
            config::Device::Ocpp(_) => load::plan::Device::Ocpp,
            config::Device::PowerBrain(_) => load::plan::Device::Modbus,
        },
    }
}

fn meter_plan(meter: &Meter) -> MeterPlan {
    MeterPlan {
        name: MeterName::from(meter.name.as_str()),
        poll: meter.poll,
    }
}

fn device_plan(meter: &Meter, evses: &[Evse]) -> modbus::meters::MeterPlan {
    let by_it = |evse: &Evse| matches!(&evse.meter, EvseMeter::Meter(name) if *name == meter.name);
    modbus::meters::MeterPlan {
        bills: evses.iter().any(by_it),
        ..meter.plan()
    }
}

fn measured_by(evse: &Evse) -> Option<(EvseName, MeasuredBy)> {
    let by = match &evse.meter {
        EvseMeter::Evse => return None,
        EvseMeter::Meter(name) => MeasuredBy::Meter(MeterName::from(name.as_str())),
        EvseMeter::None => MeasuredBy::Nothing,
    };
    Some((evse.name.clone(), by))
}

/// One for each Power Brain, in the order of the file.
fn charge_points(
    manager: &Manager,
    authorization: &AuthorizationPlan,
    evses: &[Evse],
    failsafe: &[MilliAmps],
) -> Vec<ChargePointPlan> {
    let charge_point = |(evse, failsafe): (&Evse, &MilliAmps)| {
        let config::Device::PowerBrain(address) = &evse.device else {
            return None;
        };
        Some(ChargePointPlan {
            evse: evse.name.clone(),
            address: ChargeBoxId::from(address.to_string().as_str()),
            unit: u8::try_from(evse.id).unwrap_or(u8::MAX),
            phases: evse.phases,
            min: evse.min_current,
            max: evse.max_current,
            failsafe: *failsafe,
            voltage: manager.voltage,
            fixed_id_tag: evse.fixed_id_tag.clone(),
            open: authorization.mode == AuthorizationMode::Open && evse.gateway.is_none(),
            meter: match evse.meter {
                EvseMeter::Evse => Metering::Own,
                EvseMeter::Meter(_) => Metering::Other,
                EvseMeter::None => Metering::None,
            },
            observe: manager.load_management == LoadManagement::Observe,
            backend: evse.gateway.is_some(),
            rotation: evse.rotation.order(),
        })
    };
    evses
        .iter()
        .zip(failsafe)
        .filter_map(charge_point)
        .collect()
}

/// Whether some circuit on the path of an EVSE has a meter: then a house may move.
fn is_metered(evse: &Evse, circuits: &[Circuit]) -> bool {
    let find = |name: &CircuitName| circuits.iter().find(|circuit| circuit.name == *name);
    let root = circuits.iter().find(|circuit| circuit.parent.is_none());
    let own = evse.circuit.as_ref().map_or(root, find);
    std::iter::successors(own, |circuit| circuit.parent.as_ref().and_then(find))
        .any(|circuit| circuit.meter.is_some())
}

/// One for each ChargeBox ID, in the order of the file.
fn stations(
    manager: &Manager,
    server: &Server,
    circuits: &[Circuit],
    evses: &[Evse],
    failsafe: &[MilliAmps],
) -> Vec<StationPlan> {
    let mut stations: Vec<StationPlan> = Vec::new();
    let mut index: BTreeMap<ChargeBoxId, usize> = BTreeMap::new();
    for (evse, failsafe) in evses.iter().zip(failsafe) {
        let config::Device::Ocpp(id) = &evse.device else {
            continue;
        };
        let connector = ConnectorPlan {
            evse: evse.name.clone(),
            phases: evse.phases,
            idle: evse.idle_current,
            max: evse.max_current,
            failsafe: *failsafe,
            dead_man: Some(manager.dead_man)
                .filter(|life| !life.is_zero() && is_metered(evse, circuits)),
            fixed_id_tag: evse.fixed_id_tag.clone(),
            backend: evse.gateway.is_some(),
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
