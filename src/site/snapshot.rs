//! The status document, made from what the machines know.

use crate::clock::{Now, Timestamp};
use crate::evse::{Limit, Measured, Reason};
use crate::gateway::Gateway;
use crate::ids::EvseName;
use crate::journal::Transaction;
use crate::load::MeterState;
use crate::ocpp::{ChargePointStatus, timestamp};
use crate::units::{MilliAmps, PerPhase, WattHours};

use super::machine::Place;
use super::site::Site;
use super::status::{
    CircuitStatus, EvseStatus, GatewayStatus, MeterStatus, OcppServerStatus, StatusDocument,
    TransactionStatus, UnknownChargePoint,
};

impl Site {
    /// What `{"do":"status"}` is answered with. The caller knows the server.
    pub fn status(&self, now: Now, ocpp_server: OcppServerStatus) -> StatusDocument {
        let evses: Vec<EvseStatus> = self
            .plan
            .load
            .evses
            .iter()
            .map(|evse| self.evse_status(&evse.name))
            .collect();
        StatusDocument {
            ok: true,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            load_management: if self.plan.load.observe {
                "observe"
            } else {
                "control"
            }
            .to_owned(),
            uptime_s: round_3(now.mono.since(self.started).as_secs_f64()),
            ocpp_server,
            circuits: self.circuit_statuses(),
            meters: self.meter_statuses(now),
            unknown_charge_points: self.strangers(),
            errors: self.errors(&evses),
            evses,
        }
    }

    /// What a person should look at.
    fn errors(&self, evses: &[EvseStatus]) -> Vec<String> {
        let mut errors = Vec::new();
        if self.disk_failing {
            errors.push(
                "the journal cannot be written; records are kept in memory and tried again"
                    .to_owned(),
            );
        }
        for (identity, messages) in &self.orphans {
            errors.push(format!(
                "{messages} messages wait for a backend that is in no [evse.gateway] any more: {identity}"
            ));
        }
        for (slot, plan) in self.meters.iter().zip(&self.plan.meters) {
            if let Some(complaint) = slot.meter.view().complaint {
                errors.push(format!("meter {}: {complaint}", plan.name));
            }
            if let Some(amps) = self.load.incredible_reading(&plan.name) {
                errors.push(format!(
                    "meter {}: it reads {amps} A, which its fuse never carries; look at its device, registers and scales",
                    plan.name
                ));
            }
        }
        for slot in &self.charge_points {
            if let Some(complaint) = slot.charge_point.view().complaint {
                let evse = &slot.charge_point.plan().evse;
                errors.push(format!("{evse}: {complaint}"));
            }
        }
        errors.extend(self.gateways.iter().filter_map(|it| refused(&it.gateway)));
        let alarms = [Reason::NotLimitable, Reason::NotObeyed].map(|reason| reason.to_string());
        for evse in evses.iter().filter(|evse| alarms.contains(&evse.reason)) {
            errors.push(format!("{}: {}", evse.name, evse.reason));
        }
        let all = self.plan.load.evses.iter().map(|evse| &evse.name);
        for name in all.filter(|name| self.device(name).keeps_limit) {
            errors.push(format!(
                "{name}: takes no dead-man; it keeps its last limit when nobody reaches it"
            ));
        }
        errors
    }

    fn circuit_statuses(&self) -> Vec<CircuitStatus> {
        let status = |view: crate::load::CircuitView| CircuitStatus {
            name: view.name.to_string(),
            limit_a: amps(view.limit),
            house_a: view.house.map(amps),
            offered_a: amps(view.offered),
            meter: meter_state(view.meter),
            failsafe: view.failsafe,
        };
        self.load.circuits().map(status).collect()
    }

    fn meter_statuses(&self, now: Now) -> Vec<MeterStatus> {
        let status = |plan: &crate::modbus::meters::MeterPlan| {
            let view = self.load.meter(now.mono, &plan.name);
            let age = view.as_ref().and_then(|view| view.age);
            let current = view.as_ref().and_then(|view| view.current);
            MeterStatus {
                name: plan.name.to_string(),
                state: meter_state(view.as_ref().map_or(MeterState::Stale, |view| view.state)),
                age_s: age.map(|age| round_3(age.as_secs_f64())),
                current_a: current.map(amps),
                power_w: view.and_then(|view| view.power).map(|power| power.0),
            }
        };
        self.plan.meters.iter().map(status).collect()
    }

    fn device(&self, name: &EvseName) -> DeviceView<'_> {
        match self.by_evse.get(name) {
            Some(&Place::Connector(index, connector)) => {
                let station = self.stations.get(index).map(|slot| &slot.station);
                let view = station.and_then(|station| station.view(connector));
                DeviceView {
                    kind: "ocpp1.6",
                    address: station.map_or_else(String::new, |it| it.id().to_string()),
                    id: connector.0,
                    status: view.as_ref().and_then(|view| view.status),
                    transaction: view.as_ref().and_then(|view| view.transaction),
                    keeps_limit: view.as_ref().is_some_and(|view| view.keeps_limit),
                    measured: view.map(|view| view.measured).unwrap_or_default(),
                }
            }
            Some(&Place::ChargePoint(index)) => {
                let charge_point = self.charge_points.get(index).map(|slot| &slot.charge_point);
                charge_point.map_or_else(DeviceView::default, |charge_point| {
                    let view = charge_point.view();
                    DeviceView {
                        kind: "power-brain",
                        address: charge_point.plan().address.to_string(),
                        id: charge_point.plan().unit.into(),
                        status: view.status,
                        transaction: view.transaction,
                        measured: view.measured,
                        keeps_limit: false,
                    }
                })
            }
            None => DeviceView::default(),
        }
    }

    fn gateway_status(&self, name: &EvseName) -> Option<GatewayStatus> {
        let gateway = &self.gateways.get(*self.backends.get(name)?)?.gateway;
        let view = gateway.view();
        Some(GatewayStatus {
            url: gateway.plan().shown_url().into_owned(),
            client_id: gateway.plan().client_id.clone(),
            state: view.state.to_owned(),
            queued: view.queued,
            dead_letters: view.dead,
            limit_a: gateway.ceiling(name).map(MilliAmps::as_amps),
        })
    }

    fn strangers(&self) -> Vec<UnknownChargePoint> {
        let stranger =
            |(address, (peer, seen)): (&String, &(String, Timestamp))| UnknownChargePoint {
                address: address.clone(),
                peer: peer.clone(),
                last_seen: timestamp::format(*seen),
            };
        self.unknown.iter().map(stranger).collect()
    }

    fn evse_status(&self, name: &crate::ids::EvseName) -> EvseStatus {
        let device = self.device(name);
        let load = self.load.evse(name);
        let measured = match self.plan.measured_by.get(name) {
            Some(_) => self.measured.get(name).copied().unwrap_or_default(),
            None => device.measured,
        };
        let max = self
            .plan
            .load
            .evses
            .iter()
            .find(|evse| evse.name == *name)
            .map(|e| e.max);
        let shown = |limit: Option<Limit>| match limit? {
            Limit::Current(amps) => Some(amps.as_amps()),
            Limit::Released => max.map(MilliAmps::as_amps),
        };
        EvseStatus {
            name: name.to_string(),
            device: device.kind.to_owned(),
            address: device.address,
            id: device.id,
            enabled: load.as_ref().is_some_and(|load| load.enabled),
            online: self.is_online(name),
            status: device.status.map(|status| status.as_str().to_owned()),
            offered_a: shown(load.as_ref().and_then(|load| load.offered)),
            setpoint_a: shown(load.as_ref().and_then(|load| load.setpoint)),
            phases: load.as_ref().map_or(0, |load| load.phases),
            measured_a: measured.current.map(amps),
            power_w: measured.power.map(|power| power.0),
            energy_wh: measured.energy.map(|energy| energy.0),
            reason: load.map(|load| load.reason.to_string()).unwrap_or_default(),
            transaction: device
                .transaction
                .map(|open| transaction_status(open, measured.energy)),
            gateway: self.gateway_status(name),
        }
    }
}

/// What a backend will never have.
fn refused(gateway: &Gateway) -> Option<String> {
    let (messages, kept) = match gateway.view().dead {
        0 => return None,
        1 => ("1 message".to_owned(), "it is"),
        more => (format!("{more} messages"), "they are"),
    };
    let plan = gateway.plan();
    Some(format!(
        "the backend {} refused {messages} of {} for good: {kept} kept in the journal",
        plan.shown_url(),
        plan.client_id
    ))
}

/// What the machine of an EVSE knows of it.
#[derive(Default)]
struct DeviceView<'a> {
    kind: &'static str,
    address: String,
    id: u32,
    status: Option<ChargePointStatus>,
    transaction: Option<&'a Transaction>,
    measured: Measured,
    /// It should fall back by itself (`manager.dead-man`) and does not.
    keeps_limit: bool,
}

fn transaction_status(open: &Transaction, register: Option<WattHours>) -> TransactionStatus {
    let drawn = register
        .zip(open.meter_start)
        .map(|(now, start)| (now - start).0.max(0));
    let plausible = timestamp::parse_lenient(&open.started)
        .filter(|time| !timestamp::clock_not_set(*time))
        .unwrap_or(open.received);
    TransactionStatus {
        id: open.wallbox_id,
        id_tag: open.id_tag.as_ref().map(crate::ids::IdTag::masked),
        started: timestamp::format(plausible),
        energy_wh: drawn,
    }
}

fn meter_state(state: MeterState) -> String {
    match state {
        MeterState::None => "none",
        MeterState::Fresh => "fresh",
        MeterState::Stale => "stale",
    }
    .to_owned()
}

fn amps(currents: PerPhase<MilliAmps>) -> [f64; 3] {
    currents.map(MilliAmps::as_amps).0
}

fn round_3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
