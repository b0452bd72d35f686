//! The charging profiles of a backend, which end here: the backend talks to a charge point that
//! keeps them, and the wallbox is told only what they and the load manager allow together. So a
//! backend can neither lift nor delete the local limit.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::debug;

use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::ErrorCode;
use crate::ocpp::charging_profile::{ChargingProfile, ChargingProfilePurpose, ChargingRateUnit};
use crate::ocpp::composite::{ClearFilter, InstalledProfiles, Rules, Running, Wiring};
use crate::ocpp::lenient;
use crate::ocpp::messages::{
    self, Acceptance, ChargingProfileStatus, ClearChargingProfile, ClearChargingProfileResponse,
    ClearChargingProfileStatus, GetCompositeSchedule, GetCompositeScheduleResponse,
    SetChargingProfileResponse, ViewError,
};
use crate::units::{MilliAmps, MilliVolts};

mod readable;

/// `ChargeProfileMaxStackLevel`
pub const MAX_STACK_LEVEL: i64 = 20;

/// `ChargingScheduleMaxPeriods`
pub const MAX_PERIODS: usize = 96;

/// `MaxChargingProfilesInstalled`
pub const MAX_INSTALLED: usize = 40;

const WHOLE: ConnectorId = ConnectorId(0);

/// One connector as the backend numbers it, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlet {
    /// The transaction that is open there.
    pub transaction: Option<OpenTransaction>,
    /// What reaches its car, and what it could deliver.
    pub wiring: Wiring,
    /// What the load manager allows, per phase; `None` = it does not limit.
    pub local_limit: Option<MilliAmps>,
}

/// A transaction as the backend knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenTransaction {
    /// The backend's id; `None` until it answered `StartTransaction`.
    pub id: Option<i64>,
    /// When it began.
    pub started: Timestamp,
}

/// The connectors of an identity; 0 is not among them.
pub type Outlets = BTreeMap<ConnectorId, Outlet>;

/// What a backend installed for one identity. Connectors are the backend's. All of it is kept as
/// JSON over a restart (OCPP 1.6 §3.13; erratum: profiles survive a reboot).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BackendProfiles {
    installed: InstalledProfiles,
    coming: Vec<Coming>,
}

/// The profile of a `RemoteStartTransaction` until its transaction begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Coming {
    /// `None` where the charge point chooses.
    connector: Option<ConnectorId>,
    id_tag: IdTag,
    until: Timestamp,
    profile: ChargingProfile,
}

/// What waits for a transaction on a connector.
#[derive(Debug, Clone)]
pub struct Waiting(Vec<Coming>);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SetChargingProfile<'a> {
    #[serde(deserialize_with = "lenient::required")]
    connector_id: ConnectorId,
    #[serde(borrow)]
    cs_charging_profiles: &'a RawValue,
}

impl BackendProfiles {
    /// Answers `SetChargingProfile` (OCPP 1.6 §5.16); returns the payload of the answer.
    ///
    /// # Errors
    /// What to answer a request with that is malformed or means a connector that is not there.
    pub fn set(
        &mut self,
        now: Timestamp,
        payload: &RawValue,
        outlets: &Outlets,
    ) -> Result<String, ViewError> {
        let request: SetChargingProfile<'_> = messages::parse(payload)?;
        let connector = request.connector_id;
        let running = running(connector, outlets)?;
        let profile = readable::profile(request.cs_charging_profiles)?;
        let verdict = rules(outlets).check(&self.installed, connector, &profile, running);
        let status = match verdict {
            Ok(()) => {
                self.installed.install(connector, profile, now);
                ChargingProfileStatus::Accepted
            }
            Err(refusal) => {
                debug!(%connector, %refusal, "a charging profile of the backend is refused");
                ChargingProfileStatus::Rejected
            }
        };
        Ok(messages::write(&SetChargingProfileResponse { status }))
    }

    /// Answers `ClearChargingProfile` (OCPP 1.6 §5.5). What waits for its transaction is cleared,
    /// too.
    ///
    /// # Errors
    /// What to answer a malformed request with.
    pub fn clear(&mut self, payload: &RawValue) -> Result<String, ViewError> {
        let request: ClearChargingProfile = messages::parse(payload)?;
        let filter = ClearFilter {
            id: request.id,
            connector: request.connector_id,
            purpose: request.charging_profile_purpose,
            stack_level: request.stack_level,
        };
        let waiting = self.coming.len();
        self.coming
            .retain(|coming| !filter.means(coming.connector, &coming.profile));
        let removed = self.installed.clear(&filter) + waiting - self.coming.len();
        let status = if removed > 0 {
            ClearChargingProfileStatus::Accepted
        } else {
            ClearChargingProfileStatus::Unknown
        };
        Ok(messages::write(&ClearChargingProfileResponse { status }))
    }

    /// Answers `GetCompositeSchedule` (OCPP 1.6 §5.7): the least of these profiles, the hardware
    /// and the local limit as it is now. A limit below the least current is reported as it is.
    ///
    /// # Errors
    /// What to answer a malformed request with.
    pub fn composite(
        &self,
        now: Timestamp,
        payload: &RawValue,
        outlets: &Outlets,
    ) -> Result<String, ViewError> {
        let request: GetCompositeSchedule = messages::parse(payload)?;
        let connector = request.connector_id;
        let known = connector == WHOLE || outlets.contains_key(&connector);
        let duration = u64::try_from(request.duration).unwrap_or(0);
        if !known || duration == 0 {
            return Ok(messages::write(&GetCompositeScheduleResponse {
                status: Acceptance::Rejected,
                connector_id: None,
                schedule_start: None,
                charging_schedule: None,
            }));
        }
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let unit = request
            .charging_rate_unit
            .unwrap_or(ChargingRateUnit::Amperes);
        let schedule = self.installed.composite(
            connector,
            now,
            Duration::from_secs(duration),
            unit,
            &started(outlets, now),
            &rules(outlets),
        );
        Ok(messages::write(&GetCompositeScheduleResponse {
            status: Acceptance::Accepted,
            connector_id: Some(connector),
            schedule_start: Some(now),
            charging_schedule: Some(schedule),
        }))
    }

    /// Keeps the profile of a `RemoteStartTransaction` for the transaction that begins with
    /// `id_tag` on `connector` (`None` = on any) until `until`: that is, `ConnectionTimeOut` from
    /// now. It takes the place of the one that waits there. `Rejected`: refuse the request.
    ///
    /// # Errors
    /// What to answer a malformed request with.
    pub fn remote_start(
        &mut self,
        until: Timestamp,
        connector: Option<ConnectorId>,
        id_tag: &IdTag,
        profile: &RawValue,
        outlets: &Outlets,
    ) -> Result<Acceptance, ViewError> {
        let place = connector.unwrap_or(ConnectorId(1));
        if connector.is_some() {
            running(place, outlets)?;
        }
        let mut profile = readable::profile(profile)?;
        // Whatever it names, it cannot be a transaction that has no id yet.
        profile.transaction_id = None;
        let transaction = Running::Unnumbered;
        let verdict = rules(outlets).check(&self.installed, place, &profile, transaction);
        let is_for_transaction =
            profile.charging_profile_purpose == ChargingProfilePurpose::TxProfile;
        if verdict.is_err() || !is_for_transaction {
            return Ok(Acceptance::Rejected);
        }
        self.forget_remote_start(connector);
        self.coming.push(Coming {
            connector,
            id_tag: id_tag.clone(),
            until,
            profile,
        });
        Ok(Acceptance::Accepted)
    }

    /// What waits there now, before a remote start that may be refused.
    pub fn waiting(&self, connector: Option<ConnectorId>) -> Waiting {
        let here = self.coming.iter().filter(|it| it.connector == connector);
        Waiting(here.cloned().collect())
    }

    /// The wallbox refused the remote start: what waited before it waits on.
    pub fn restore(&mut self, connector: Option<ConnectorId>, before: &Waiting) {
        self.forget_remote_start(connector);
        self.coming.extend(before.0.iter().cloned());
    }

    /// A remote start without a profile follows, or the transaction began.
    pub fn forget_remote_start(&mut self, connector: Option<ConnectorId>) {
        self.coming.retain(|coming| coming.connector != connector);
    }

    /// A transaction begins: what waited for it holds from now on, what waited for another on this
    /// connector is dropped. Not for a `StartTransaction` that is repeated: it would lose the
    /// profiles of its transaction.
    pub fn begin_transaction(&mut self, at: Timestamp, connector: ConnectorId, id_tag: &IdTag) {
        self.end_transaction(connector);
        self.coming.retain(|coming| at <= coming.until);
        let is_meant = |coming: &Coming| {
            coming.id_tag == *id_tag && coming.connector.is_none_or(|c| c == connector)
        };
        let meant = self.coming.iter().rposition(is_meant);
        if let Some(coming) = meant.map(|place| self.coming.remove(place)) {
            self.installed.install(connector, coming.profile, at);
        }
        self.forget_remote_start(Some(connector));
    }

    /// A transaction ended, and with it its profiles.
    pub fn end_transaction(&mut self, connector: ConnectorId) {
        self.installed.end_transaction(connector);
    }

    /// What the backend lets a connector draw on each phase; `None` = it does not limit. Not yet
    /// compared with the least current of the car. The sum of several connectors has a limit of
    /// its own: [`total`](Self::total).
    pub fn ceiling(
        &self,
        connector: ConnectorId,
        at: Timestamp,
        started: Option<Timestamp>,
        wiring: Wiring,
    ) -> Option<MilliAmps> {
        let limit = self
            .installed
            .limit_at(connector, at, started, unlimited(wiring));
        (limit.current < MilliAmps::MAX).then_some(limit.current)
    }

    /// Whether the backend limits nothing, now and later.
    pub fn is_empty(&self) -> bool {
        self.installed.is_empty() && self.coming.is_empty()
    }

    /// What the backend lets all connectors draw together on each phase (`ChargePointMaxProfile`);
    /// `None` = it does not limit.
    pub fn total(&self, at: Timestamp, outlets: &Outlets) -> Option<MilliAmps> {
        let limit = self
            .installed
            .charge_point_limit(at, unlimited(whole(outlets)))?;
        (limit.current < MilliAmps::MAX).then_some(limit.current)
    }

    /// The next instant at which [`ceiling`](Self::ceiling) or [`total`](Self::total) may change by
    /// itself; never later than the change.
    pub fn next_change(
        &self,
        connector: ConnectorId,
        after: Timestamp,
        started: Option<Timestamp>,
    ) -> Option<Timestamp> {
        self.installed.changes_next(connector, after, started)
    }
}

fn running(connector: ConnectorId, outlets: &Outlets) -> Result<Running, ViewError> {
    if connector == WHOLE {
        return Ok(Running::Nothing);
    }
    let Some(outlet) = outlets.get(&connector) else {
        return Err(ViewError {
            code: ErrorCode::PropertyConstraintViolation,
            what: format!("there is no connector {connector}"),
        });
    };
    Ok(match outlet.transaction {
        None => Running::Nothing,
        Some(OpenTransaction { id: None, .. }) => Running::Unnumbered,
        Some(OpenTransaction { id: Some(id), .. }) => Running::Transaction(id),
    })
}

/// Whether a connector exists is judged before, because a backend may number them with gaps.
fn rules(outlets: &Outlets) -> Rules {
    let capped = |outlet: &Outlet| Wiring {
        max: outlet
            .local_limit
            .map_or(outlet.wiring.max, |limit| limit.min(outlet.wiring.max)),
        ..outlet.wiring
    };
    let each = outlets.iter().map(|(c, outlet)| (*c, capped(outlet)));
    Rules {
        connectors: u32::MAX,
        max_stack_level: MAX_STACK_LEVEL,
        max_periods: MAX_PERIODS,
        max_installed: MAX_INSTALLED,
        units: ChargingRateUnit::ALL.to_vec(),
        wiring: whole(outlets),
        except: each.collect(),
    }
}

/// Running transactions; where none runs, as if one began now on every connector.
fn started(outlets: &Outlets, now: Timestamp) -> BTreeMap<ConnectorId, Timestamp> {
    let started = |(c, outlet): (&ConnectorId, &Outlet)| Some((*c, outlet.transaction?.started));
    let running: BTreeMap<_, _> = outlets.iter().filter_map(started).collect();
    if running.is_empty() {
        outlets.keys().map(|c| (*c, now)).collect()
    } else {
        running
    }
}

/// All connectors as one.
fn whole(outlets: &Outlets) -> Wiring {
    let wirings = || outlets.values().map(|outlet| outlet.wiring);
    Wiring {
        phases: wirings().map(|w| w.phases).max().unwrap_or(3),
        voltage: wirings()
            .map(|w| w.voltage)
            .next()
            .unwrap_or(MilliVolts(230_000)),
        max: wirings().map(|w| w.max).sum(),
        switches_phases: wirings().all(|w| w.switches_phases),
    }
}

fn unlimited(wiring: Wiring) -> Wiring {
    Wiring {
        max: MilliAmps::MAX,
        ..wiring
    }
}

#[cfg(test)]
mod tests;
