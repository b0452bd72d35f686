//! Who may charge, and the transactions that come of it (OCPP 1.6 §3.5, §4.8, §4.10).

use std::time::Duration;

use serde_json::{Value, json};

use super::connector::{Authorized, Session};
use super::meter::{meter_value, signed_value};
use super::wire::{Kept, Purpose, with};
use super::{Cached, Registration, Wallbox, call};
use crate::clock::Now;
use crate::evse::AuthorizationStatus;
use crate::ids::{ConnectorId, IdTag};
use crate::sim::Quirk;

/// The id of a transaction whose start nobody answered (OCPP 1.6 errata).
const NO_ID: i64 = -1;

impl Wallbox {
    pub(super) fn tap(&mut self, now: Now, id: ConnectorId, tag: &IdTag) {
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let stuck = self.plan.has(Quirk::StaysFinishing) && connector.finished;
        if stuck || self.plan.has(Quirk::NeedsRemoteStart) {
            return;
        }
        if connector.session.as_ref().is_some_and(|s| s.tag == *tag) {
            self.stop_session(now, id, None, Some(tag));
        } else if connector.authorized.as_ref().is_some_and(|a| a.tag == *tag) {
            connector.authorized = None;
        } else {
            self.authorize(now, id, tag);
        }
    }

    /// Asks the central system, or decides alone.
    pub(super) fn authorize(&mut self, now: Now, connector: ConnectorId, tag: &IdTag) {
        let online = self.wire.connected && self.registration == Registration::Accepted;
        let known = self.known(now, tag);
        let accepted = known
            .as_ref()
            .filter(|known| known.status == AuthorizationStatus::Accepted);
        match accepted {
            Some(known) if online && self.keys.flag("LocalPreAuthorize") => {
                self.authorized(now, connector, tag, known.parent.clone());
            }
            _ if online => self.wire.call(call(
                "Authorize",
                json!({"idTag": tag.as_str()}),
                Purpose::Authorize {
                    connector,
                    tag: tag.clone(),
                },
            )),
            _ => self.authorize_alone(now, connector, tag),
        }
    }

    /// Without the central system only the cache knows anybody.
    pub(super) fn authorize_alone(&mut self, now: Now, connector: ConnectorId, tag: &IdTag) {
        let may = match self.known(now, tag) {
            Some(known) => {
                let accepted = known.status == AuthorizationStatus::Accepted;
                accepted && self.keys.flag("LocalAuthorizeOffline")
            }
            None => self.keys.flag("AllowOfflineTxForUnknownId"),
        };
        if may {
            let parent = self.known(now, tag).and_then(|known| known.parent);
            self.authorized(now, connector, tag, parent);
        }
    }

    fn known(&self, now: Now, tag: &IdTag) -> Option<Cached> {
        let mut known = self.cache.get(tag).cloned()?;
        if !self.keys.flag("AuthorizationCacheEnabled") {
            return None;
        }
        if known.expires.is_some_and(|end| end <= self.clock(now)) {
            known.status = AuthorizationStatus::Expired;
        }
        Some(known)
    }

    /// The tag may charge: it starts a transaction, or stops one of its group.
    pub(super) fn authorized(
        &mut self,
        now: Now,
        id: ConnectorId,
        tag: &IdTag,
        parent: Option<IdTag>,
    ) {
        let patience = Duration::from_secs(self.keys.count("ConnectionTimeOut"));
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        match &connector.session {
            Some(session) if session.tag == *tag => {}
            Some(session) if parent.is_some() && session.parent == parent => {
                self.stop_session(now, id, None, Some(tag));
            }
            Some(_) => {}
            None => {
                connector.authorized = Some(Authorized {
                    tag: tag.clone(),
                    parent,
                    until: now.mono + patience,
                });
            }
        }
    }

    pub(super) fn cancel_authorization_that_is_over(&mut self, now: Now, id: ConnectorId) {
        if let Some(connector) = self.connectors.get_mut(&id)
            && connector
                .authorized
                .as_ref()
                .is_some_and(|a| a.until <= now.mono)
        {
            connector.authorized = None;
            connector.profile = None;
        }
    }

    /// A car and a tag make a transaction.
    pub(super) fn start_session_if_ready(&mut self, now: Now, id: ConnectorId) {
        let (started, timestamp) = (self.clock(now), self.stamp(now));
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        if connector.car.is_none() || connector.session.is_some() || !connector.operative {
            return;
        }
        let Some(authorized) = connector.authorized.take() else {
            return;
        };
        self.sessions += 1;
        let interval = self.keys.count("MeterValueSampleInterval");
        let signs = self.plan.has(Quirk::SignsReadings);
        let tag = authorized.tag.as_str();
        let signed = signs.then(|| signed_value(connector, &timestamp, "Transaction.Begin", tag));
        let payload = json!({"connectorId": id.0, "idTag": authorized.tag.as_str(),
            "meterStart": connector.register.watt_hours().0, "timestamp": timestamp});
        connector.finished = false;
        connector.session = Some(Session {
            number: self.sessions,
            tag: authorized.tag,
            parent: authorized.parent,
            started,
            next_sample: now.mono + Duration::from_secs(interval),
            refused: false,
        });
        if let Some(profile) = connector.profile.take() {
            self.profiles.install(id, profile, started);
        }
        self.wire.keep("StartTransaction", payload, self.sessions);
        if let Some(books) = &mut self.books {
            books.begin(self.sessions, id);
        }
        if let Some(value) = signed {
            let payload = json!({"connectorId": id.0, "meterValue": [value]});
            self.wire.keep("MeterValues", payload, self.sessions);
        }
    }

    /// Ends a transaction, if one runs. No reason means `Local`.
    pub(super) fn stop_session(
        &mut self,
        now: Now,
        id: ConnectorId,
        reason: Option<&str>,
        tag: Option<&IdTag>,
    ) {
        let timestamp = self.stamp(now);
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        connector.step(now.mono, connector.offered);
        let Some(session) = connector.end_session() else {
            return;
        };
        let register = connector.register.watt_hours();
        let signs = self.plan.has(Quirk::SignsReadings);
        let signed = signs.then(|| {
            signed_value(
                connector,
                &timestamp,
                "Transaction.End",
                session.tag.as_str(),
            )
        });
        let mut payload = json!({"meterStop": register.0, "timestamp": timestamp});
        if let Some(reason) = reason {
            payload = with(payload, "reason", reason);
        }
        if let Some(tag) = tag {
            payload = with(payload, "idTag", tag.as_str());
        }
        if let Some(value) = signed {
            payload = with(payload, "transactionData", json!([value]));
        }
        self.profiles.end_transaction(id);
        self.wire.keep("StopTransaction", payload, session.number);
        if self.plan.has(Quirk::LateMeterValues)
            && let Some(value) = self.sample(now, id, "Sample.Periodic")
        {
            let payload = json!({"connectorId": id.0, "meterValue": [value]});
            self.wire.keep("MeterValues", payload, session.number);
        }
    }

    /// Periodic meter values of a transaction (OCPP 1.6 §3.16.3).
    pub(super) fn sample_if_due(&mut self, now: Now, id: ConnectorId) {
        let interval = self.keys.count("MeterValueSampleInterval");
        let Some(value) = self.sample(now, id, "Sample.Periodic") else {
            return;
        };
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(session) = &mut connector.session else {
            return;
        };
        if interval == 0 || session.next_sample > now.mono {
            return;
        }
        session.next_sample = now.mono + Duration::from_secs(interval);
        let number = session.number;
        let payload = json!({"connectorId": id.0, "meterValue": [value]});
        self.wire.keep("MeterValues", payload, number);
    }

    /// What a connector measures now; `None` if it measures nothing.
    pub(super) fn sample(&self, now: Now, id: ConnectorId, context: &str) -> Option<Value> {
        let mut measurands = self.keys.measurands("MeterValuesSampledData");
        if self.plan.has(Quirk::NoPhaseValues) {
            measurands.retain(|measurand| !["Current.Import", "Voltage"].contains(measurand));
        }
        if self.plan.has(Quirk::NoMeterValues) || measurands.is_empty() {
            return None;
        }
        Some(meter_value(
            self.connectors.get(&id)?,
            now.mono,
            &self.stamp(now),
            &measurands,
            context,
            self.plan.voltage,
        ))
    }

    /// What is sent of a kept message: the start of its transaction has been answered by now.
    pub(super) fn with_transaction_id(&self, kept: &Kept) -> Value {
        let payload = kept.payload.clone();
        if kept.action == "StartTransaction" {
            return payload;
        }
        let id = self.transaction_ids.get(&kept.session);
        with(payload, "transactionId", id.copied().unwrap_or(NO_ID))
    }
}
