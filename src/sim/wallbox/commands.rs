//! What the central system asks, carried out (OCPP 1.6 §5).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::connector::Authorized;
use super::request::{Availability, Fault, Request, ResetKind, read_profile};
use super::wire::{OwnCall, Purpose, with};
use super::{Registration, Wallbox, call};
use crate::clock::Now;
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit,
};
use crate::ocpp::composite::{ClearFilter, Refusal};
use crate::sim::Quirk;

/// Time to send the last messages before a reset.
const BEFORE_RESET: Duration = Duration::from_secs(1);

type Answer = Result<Value, &'static str>;

#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands where an answer is wanted"
)]
fn status(status: &str) -> Answer {
    Ok(json!({ "status": status }))
}

impl Wallbox {
    /// Carries a CALL out and answers it.
    pub(super) fn execute(&mut self, now: Now, id: &str, action: &str, payload: &Value) {
        let answer = match Request::read(action, payload) {
            Ok(request) => self.carry_out(now, request),
            Err(fault) => Err(self.fault(action, payload, fault)),
        };
        self.answer(now, id, answer);
    }

    /// Notes what is wrong with a CALL; returns the error code.
    fn fault(&mut self, action: &str, payload: &Value, fault: Fault) -> &'static str {
        match fault {
            Fault::NotSupported => "NotSupported",
            Fault::NotImplemented => {
                self.judge.complain(format!("{action} is no action"));
                "NotImplemented"
            }
            Fault::Malformed(why) => {
                self.judge.complain(format!("{action} {payload}: {why}"));
                "FormationViolation"
            }
        }
    }

    fn carry_out(&mut self, now: Now, request: Request) -> Answer {
        match request {
            Request::ChangeAvailability {
                connector_id,
                r#type,
            } => self.change_availability(connector_id, r#type == Availability::Operative),
            Request::ChangeConfiguration { key, value } => status(self.keys.change(&key, &value)),
            Request::ClearCache {} => {
                self.cache.clear();
                status("Accepted")
            }
            Request::ClearChargingProfile {
                id,
                connector_id,
                charging_profile_purpose,
                stack_level,
            } => self.clear_profiles(ClearFilter {
                id,
                connector: connector_id.map(ConnectorId),
                purpose: charging_profile_purpose,
                stack_level,
            }),
            Request::DataTransfer { .. } => status("UnknownVendorId"),
            Request::GetCompositeSchedule {
                connector_id,
                duration,
                charging_rate_unit,
            } => self.composite_schedule(now, connector_id, duration, charging_rate_unit),
            Request::GetConfiguration { key } => self.configuration(&key.unwrap_or_default()),
            Request::RemoteStartTransaction {
                id_tag,
                connector_id,
                charging_profile,
            } => self.remote_start(now, &id_tag, connector_id, charging_profile.as_ref()),
            Request::RemoteStopTransaction { transaction_id } => {
                self.remote_stop(now, transaction_id)
            }
            Request::Reset { r#type } => self.reset(now, r#type),
            Request::SetChargingProfile {
                connector_id,
                cs_charging_profiles,
            } => self.set_profile(now, ConnectorId(connector_id), &cs_charging_profiles),
            Request::TriggerMessage {
                requested_message,
                connector_id,
            } => self.trigger(now, &requested_message, connector_id),
            Request::UnlockConnector { connector_id } => self.unlock(now, connector_id),
        }
    }

    fn configuration(&self, wanted: &[String]) -> Answer {
        let never = self.plan.has(Quirk::NoConfiguration);
        if never || (self.plan.has(Quirk::SingleKeys) && wanted.len() != 1) {
            return Err("InternalError");
        }
        Ok(self.keys.report(wanted))
    }

    fn change_availability(&mut self, connector: u32, operative: bool) -> Answer {
        if connector > self.plan.connectors {
            return status("Rejected");
        }
        if connector == 0 {
            self.operative = operative;
        }
        let meant = self
            .connectors
            .iter_mut()
            .filter(|(id, _)| connector == 0 || id.0 == connector);
        let mut waits = false;
        for (_, connector) in meant {
            waits |= connector.set_operative(operative);
        }
        status(if waits { "Scheduled" } else { "Accepted" })
    }

    fn clear_profiles(&mut self, filter: ClearFilter) -> Answer {
        if self.plan.has(Quirk::NoSmartCharging) {
            return Err("NotSupported");
        }
        let cleared = self.profiles.clear(&filter);
        status(if cleared > 0 { "Accepted" } else { "Unknown" })
    }

    fn composite_schedule(
        &mut self,
        now: Now,
        connector: u32,
        duration: i64,
        unit: Option<ChargingRateUnit>,
    ) -> Answer {
        if self.plan.has(Quirk::NoSmartCharging) {
            return Err("NotSupported");
        }
        let unit = unit.or_else(|| self.rules.units.first().copied());
        let duration = u64::try_from(duration).ok().filter(|seconds| *seconds > 0);
        let (Some(unit), Some(duration)) = (unit, duration) else {
            return status("Rejected");
        };
        if connector > self.plan.connectors || !self.rules.units.contains(&unit) {
            return status("Rejected");
        }
        let at = self.clock(now);
        let schedule = self.profiles.composite(
            ConnectorId(connector),
            at,
            Duration::from_secs(duration),
            unit,
            &self.session_starts(),
            &self.rules,
        );
        Ok(json!({"status": "Accepted", "connectorId": connector,
            "scheduleStart": crate::ocpp::timestamp::format(at), "chargingSchedule": schedule}))
    }

    fn session_starts(&self) -> BTreeMap<ConnectorId, Timestamp> {
        self.connectors
            .iter()
            .filter_map(|(id, c)| Some((*id, c.session.as_ref()?.started)))
            .collect()
    }

    fn set_profile(&mut self, now: Now, connector: ConnectorId, raw: &Value) -> Answer {
        let profile = match read_profile(raw) {
            Ok(profile) => profile,
            Err(fault) => return Err(self.fault("SetChargingProfile", raw, fault)),
        };
        if self.plan.has(Quirk::NoSmartCharging) {
            return status("NotSupported");
        }
        if self.dislikes(connector, &profile) {
            return status("Rejected");
        }
        let running = match self.connectors.get(&connector) {
            Some(found) => found.running(self.transaction(connector)),
            None => crate::ocpp::composite::Running::Nothing,
        };
        match self
            .rules
            .check(&self.profiles, connector, &profile, running)
        {
            Ok(()) => self.install(now, connector, profile),
            Err(Refusal::UnknownConnector) => return Err("PropertyConstraintViolation"),
            Err(_) => return status("Rejected"),
        }
        status("Accepted")
    }

    /// Keeps a profile. One that it will not obey takes the place of the older one all the same.
    fn install(&mut self, now: Now, connector: ConnectorId, profile: ChargingProfile) {
        let of_all = profile.charging_profile_purpose == ChargingProfilePurpose::TxDefaultProfile;
        let runs = self.connectors.values().any(|c| c.session.is_some());
        if self.plan.has(Quirk::DefaultsAtStart) && of_all && runs {
            self.later.push((connector, profile));
            return;
        }
        let this = ClearFilter {
            id: Some(profile.charging_profile_id),
            ..ClearFilter::default()
        };
        let ignored = self.ignores(connector, &profile);
        self.profiles.install(connector, profile, self.clock(now));
        if ignored {
            self.profiles.clear(&this);
        }
    }

    /// Takes over what waited for the end of all transactions.
    pub(super) fn install_later(&mut self, now: Now) {
        if self.connectors.values().all(|c| c.session.is_none()) {
            for (connector, profile) in std::mem::take(&mut self.later) {
                self.install(now, connector, profile);
            }
        }
    }

    /// Says yes and does nothing.
    fn ignores(&self, connector: ConnectorId, profile: &ChargingProfile) -> bool {
        let purpose = profile.charging_profile_purpose;
        let kind = profile.charging_profile_kind;
        let unit = profile.charging_schedule.charging_rate_unit;
        self.plan.quirks.iter().any(|quirk| match quirk {
            Quirk::IgnoresProfiles => true,
            Quirk::ObeysRelative => kind != ChargingProfileKind::Relative,
            Quirk::ObeysAbsolute => kind != ChargingProfileKind::Absolute,
            Quirk::ObeysWatts => unit != ChargingRateUnit::Watts,
            Quirk::ObeysAmps => unit != ChargingRateUnit::Amperes,
            Quirk::ObeysWholeAmps => has_fraction(profile),
            Quirk::ObeysStackLevel0 => profile.stack_level != 0,
            Quirk::ObeysTxProfile => purpose != ChargingProfilePurpose::TxProfile,
            Quirk::ObeysChargePointMax => purpose != ChargingProfilePurpose::ChargePointMaxProfile,
            Quirk::ObeysConnector0 => connector != ConnectorId(0),
            _ => false,
        })
    }

    /// Refuses what a quirk does not let it understand.
    fn dislikes(&self, connector: ConnectorId, profile: &ChargingProfile) -> bool {
        let purpose = profile.charging_profile_purpose;
        let kind = profile.charging_profile_kind;
        self.plan.quirks.iter().any(|quirk| match quirk {
            Quirk::OnlyStackLevel0 => profile.stack_level != 0,
            Quirk::OnlyRelative => kind != ChargingProfileKind::Relative,
            Quirk::OnlyAbsolute => kind != ChargingProfileKind::Absolute,
            Quirk::OnlyTxProfile => purpose != ChargingProfilePurpose::TxProfile,
            Quirk::OnlyChargePointMax => purpose != ChargingProfilePurpose::ChargePointMaxProfile,
            Quirk::OnlyConnector0 => connector != ConnectorId(0),
            Quirk::RefusesFractions => has_fraction(profile),
            Quirk::RefusesDurations => profile.charging_schedule.duration.is_some(),
            _ => false,
        })
    }

    fn remote_start(
        &mut self,
        now: Now,
        tag: &str,
        connector: Option<u32>,
        profile: Option<&Value>,
    ) -> Answer {
        let profile = match profile.map(read_profile).transpose() {
            Ok(profile) => profile,
            Err(fault) => {
                let raw = profile.cloned().unwrap_or_default();
                return Err(self.fault("RemoteStartTransaction", &raw, fault));
            }
        };
        let own = self.keys.text("PlugAndChargeIdentifier");
        if self.plan.has(Quirk::OwnTagOnly) && tag != own {
            return status("Rejected");
        }
        let stuck = self.plan.has(Quirk::StaysFinishing);
        let patience = Duration::from_secs(self.keys.count("ConnectionTimeOut"));
        let asks = self.keys.flag("AuthorizeRemoteTxRequests");
        let accepted = self.registration == Registration::Accepted;
        let mut free: Vec<_> = self
            .connectors
            .iter_mut()
            .filter(|(id, _)| connector.is_none_or(|wanted| wanted == id.0))
            .filter(|(_, c)| accepted && c.operative && c.session.is_none())
            .filter(|(_, c)| !(stuck && c.finished))
            .collect();
        free.sort_by_key(|(_, connector)| connector.car.is_none());
        let Some((id, found)) = free.into_iter().next() else {
            return status("Rejected");
        };
        found.profile = profile;
        let (id, tag) = (*id, IdTag::from(tag));
        if asks {
            self.authorize(now, id, &tag);
        } else {
            found.authorized = Some(Authorized {
                tag,
                parent: None,
                until: now.mono + patience,
            });
        }
        status("Accepted")
    }

    fn remote_stop(&mut self, now: Now, transaction: i64) -> Answer {
        let connectors: Vec<ConnectorId> = self.connectors.keys().copied().collect();
        for id in connectors {
            if self.transaction(id) == Some(transaction) {
                self.stop_session(now, id, Some("Remote"), None);
                return status("Accepted");
            }
        }
        status("Rejected")
    }

    fn reset(&mut self, now: Now, kind: ResetKind) -> Answer {
        let reason = match kind {
            ResetKind::Hard => "HardReset",
            ResetKind::Soft => "SoftReset",
        };
        let connectors: Vec<ConnectorId> = self.connectors.keys().copied().collect();
        for id in connectors {
            self.stop_session(now, id, Some(reason), None);
        }
        self.restart_at = Some(now.mono + BEFORE_RESET);
        status("Accepted")
    }

    fn unlock(&mut self, now: Now, connector: u32) -> Answer {
        let id = ConnectorId(connector);
        if !self.connectors.contains_key(&id) {
            return status("NotSupported");
        }
        self.stop_session(now, id, Some("UnlockCommand"), None);
        status("Unlocked")
    }

    fn trigger(&mut self, now: Now, wanted: &str, connector: Option<u32>) -> Answer {
        if self.plan.has(Quirk::NoRemoteTrigger) {
            return Err("NotSupported");
        }
        if connector.is_some_and(|id| id > self.plan.connectors) {
            return status("Rejected");
        }
        let meant: Vec<ConnectorId> = match connector {
            Some(0) | None => self.connectors.keys().copied().collect(),
            Some(id) => vec![ConnectorId(id)],
        };
        match wanted {
            "BootNotification" => {
                let boot = self.boot_notification();
                self.triggered(boot);
            }
            "Heartbeat" => self.triggered(call("Heartbeat", json!({}), Purpose::Heartbeat)),
            "StatusNotification" => {
                for id in meant {
                    if let Some(status) = self.status(id) {
                        self.tell(now, id, status, true);
                    }
                }
            }
            "MeterValues" if self.plan.has(Quirk::NoMeterValues) => return status("Rejected"),
            "MeterValues" => {
                for id in meant {
                    self.trigger_meter_values(now, id);
                }
            }
            _ => return status("NotImplemented"),
        }
        status("Accepted")
    }

    fn triggered(&mut self, call: OwnCall) {
        self.wire.call(OwnCall {
            triggered: true,
            ..call
        });
    }

    fn trigger_meter_values(&mut self, now: Now, id: ConnectorId) {
        let Some(value) = self.sample(now, id, "Trigger") else {
            return;
        };
        let mut payload = json!({"connectorId": id.0, "meterValue": [value]});
        if let Some(transaction) = self.transaction(id) {
            payload = with(payload, "transactionId", transaction);
        }
        self.triggered(call("MeterValues", payload, Purpose::Notice));
    }
}

/// Of an ampere, or of a watt.
fn has_fraction(profile: &ChargingProfile) -> bool {
    let mut periods = profile.charging_schedule.charging_schedule_period.iter();
    periods.any(|period| period.limit.amps().0 % 1000 != 0)
}
