//! The status document of the control socket. Every key is always present; unknown is `null`.

use serde::{Deserialize, Serialize};

/// What `{"do":"status"}` is answered with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    /// Always true.
    pub ok: bool,
    /// Of the daemon.
    pub version: String,
    /// `control` or `observe`.
    pub load_management: String,
    /// Since the start, in seconds.
    pub uptime_s: f64,
    /// Our server.
    pub ocpp_server: OcppServerStatus,
    /// Every circuit, in the order of the file.
    pub circuits: Vec<CircuitStatus>,
    /// Every meter, in the order of the file.
    pub meters: Vec<MeterStatus>,
    /// Every EVSE, in the order of the file.
    pub evses: Vec<EvseStatus>,
    /// Wallboxes that tried to connect and are in no `[[evse]]`.
    pub unknown_charge_points: Vec<UnknownChargePoint>,
    /// What a person should look at; empty when all is well.
    pub errors: Vec<String>,
}

/// Our server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OcppServerStatus {
    /// TCP port that is listened on.
    pub port: u16,
    /// `off`, `detect` or `on`.
    pub tls: String,
    /// WebSocket connections now.
    pub connections: usize,
}

/// A circuit. Currents in A, per phase.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CircuitStatus {
    /// Its name.
    pub name: String,
    /// The fuse.
    pub limit_a: [f64; 3],
    /// What flows beside the EVSEs; `null` without a meter.
    pub house_a: Option<[f64; 3]>,
    /// What the EVSEs below are allowed together.
    pub offered_a: [f64; 3],
    /// `none`, `fresh` or `stale`.
    pub meter: String,
    /// The failsafe current holds.
    pub failsafe: bool,
}

/// A meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeterStatus {
    /// Its name.
    pub name: String,
    /// `fresh` or `stale`.
    pub state: String,
    /// Age of the newest sample in seconds.
    pub age_s: Option<f64>,
    /// Per phase, in A.
    pub current_a: Option<[f64; 3]>,
    /// Over all phases, in W.
    pub power_w: Option<i32>,
}

/// An EVSE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvseStatus {
    /// Its name.
    pub name: String,
    /// `ocpp1.6` or `power-brain`.
    pub device: String,
    /// ChargeBox ID, or where the Modbus device is.
    pub address: String,
    /// Connector id, or Modbus unit id.
    pub id: u32,
    /// Takes part.
    pub enabled: bool,
    /// Can be reached.
    pub online: bool,
    /// `ChargePointStatus`, before the first one `null`.
    pub status: Option<String>,
    /// What it is allowed, in A per phase; 0 = paused.
    pub offered_a: Option<f64>,
    /// What was last confirmed at the device, in A per phase.
    pub setpoint_a: Option<f64>,
    /// Phases in use.
    pub phases: u8,
    /// Per phase, in A, in the order of the device.
    pub measured_a: Option<[f64; 3]>,
    /// In W.
    pub power_w: Option<i32>,
    /// Import register in Wh.
    pub energy_wh: Option<i64>,
    /// One sentence: why not more?
    pub reason: String,
    /// `null` outside a transaction.
    pub transaction: Option<TransactionStatus>,
    /// `null` without a backend.
    pub gateway: Option<GatewayStatus>,
}

/// A running transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionStatus {
    /// The id that the wallbox knows.
    pub id: i64,
    /// Masked.
    pub id_tag: Option<String>,
    /// RFC 3339.
    pub started: String,
    /// Drawn so far, in Wh.
    pub energy_wh: Option<i64>,
}

/// The backend connection of an EVSE.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayStatus {
    /// Where.
    pub url: String,
    /// As whom.
    pub client_id: String,
    /// `disconnected`, `connecting`, `booting`, `pending`, `accepted` or `rejected`.
    pub state: String,
    /// Messages that wait.
    pub queued: usize,
    /// Messages that the backend refused for good; they are kept in the journal.
    pub dead_letters: usize,
    /// The backend's limit, in A per phase.
    pub limit_a: Option<f64>,
}

/// A wallbox that is in no `[[evse]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownChargePoint {
    /// What it calls itself.
    pub address: String,
    /// Where it comes from.
    pub peer: String,
    /// RFC 3339.
    pub last_seen: String,
}
