//! The status document, made from what the machines know.

use crate::clock::{Now, Timestamp};
use crate::evse::{Limit, Reason};
use crate::journal::Transaction;
use crate::ocpp::timestamp;
use crate::units::{MilliAmps, PerPhase, WattHours};

use super::site::Site;
use super::status::{
    CircuitStatus, EvseStatus, OcppServerStatus, StatusDocument, TransactionStatus,
    UnknownChargePoint,
};

impl Site {
    /// What `{"do":"status"}` is answered with. The caller knows the server.
    pub fn status(&self, now: Now, ocpp_server: OcppServerStatus) -> StatusDocument {
        let mut errors = Vec::new();
        if self.disk_failing {
            errors.push(
                "the journal cannot be written; records are kept in memory and tried again"
                    .to_owned(),
            );
        }
        let evses: Vec<EvseStatus> = self
            .plan
            .load
            .evses
            .iter()
            .map(|evse| self.evse_status(&evse.name))
            .collect();
        let alarms = [Reason::NotLimitable, Reason::NotObeyed].map(|reason| reason.to_string());
        for evse in evses.iter().filter(|evse| alarms.contains(&evse.reason)) {
            errors.push(format!("{}: {}", evse.name, evse.reason));
        }
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
            meters: Vec::new(),
            evses,
            unknown_charge_points: self.strangers(),
            errors,
        }
    }

    fn circuit_statuses(&self) -> Vec<CircuitStatus> {
        let status = |view: crate::load::CircuitView| CircuitStatus {
            name: view.name.to_string(),
            limit_a: amps(view.limit),
            house_a: None,
            offered_a: amps(view.offered),
            meter: "none".to_owned(),
            failsafe: false,
        };
        self.load.circuits().map(status).collect()
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
        let place = self.by_evse.get(name).copied();
        let station = place.and_then(|(index, _)| self.stations.get(index));
        let station = station.map(|slot| &slot.station);
        let view = place.and_then(|(_, id)| station.and_then(|station| station.view(id)));
        let load = self.load.evse(name);
        let measured = view.as_ref().map(|view| view.measured).unwrap_or_default();
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
            device: "ocpp1.6".to_owned(),
            address: station
                .map(|station| station.id().to_string())
                .unwrap_or_default(),
            id: place.map_or(0, |(_, id)| id.0),
            enabled: load.as_ref().is_some_and(|load| load.enabled),
            online: station.is_some_and(|station| station.link().is_some()),
            status: view
                .as_ref()
                .and_then(|view| view.status)
                .map(|s| s.as_str().to_owned()),
            offered_a: shown(load.as_ref().and_then(|load| load.offered)),
            setpoint_a: shown(load.as_ref().and_then(|load| load.setpoint)),
            phases: load.as_ref().map_or(0, |load| load.phases),
            measured_a: measured.current.map(amps),
            power_w: measured.power.map(|power| power.0),
            energy_wh: measured.energy.map(|energy| energy.0),
            reason: load.map(|load| load.reason.to_string()).unwrap_or_default(),
            transaction: view
                .and_then(|view| view.transaction)
                .map(|open| transaction_status(open, measured.energy)),
            gateway: None,
        }
    }
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

fn amps(currents: PerPhase<MilliAmps>) -> [f64; 3] {
    currents.map(MilliAmps::as_amps).0
}

fn round_3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
