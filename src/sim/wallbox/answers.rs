//! What the wallbox makes of frames: CALLs go to [`commands`](super::commands), answers end here.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::wire::{Kept, Purpose, Settled};
use super::{Cached, Deferred, LATE, Registration, Wallbox};
use crate::clock::Now;
use crate::evse::AuthorizationStatus;
use crate::ids::{ConnectorId, IdTag};
use crate::sim::Quirk;

/// The wait for the next boot where the answer leaves it open.
const BOOT_INTERVAL: Duration = Duration::from_mins(1);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct BootConf {
    status: RegistrationStatus,
    current_time: Timestamp,
    interval: u64,
}

#[derive(Deserialize)]
enum RegistrationStatus {
    Accepted,
    Pending,
    Rejected,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HeartbeatConf {
    current_time: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuthorizeConf {
    id_tag_info: IdTagInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StartConf {
    transaction_id: i32,
    id_tag_info: IdTagInfo,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StopConf {
    #[serde(rename = "idTagInfo")]
    _id_tag_info: Option<IdTagInfo>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Empty {}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IdTagInfo {
    status: IdTagStatus,
    expiry_date: Option<Timestamp>,
    parent_id_tag: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
enum IdTagStatus {
    Accepted,
    Blocked,
    Expired,
    Invalid,
    ConcurrentTx,
}

impl From<IdTagInfo> for Cached {
    fn from(info: IdTagInfo) -> Self {
        Self {
            status: match info.status {
                IdTagStatus::Accepted => AuthorizationStatus::Accepted,
                IdTagStatus::Blocked => AuthorizationStatus::Blocked,
                IdTagStatus::Expired => AuthorizationStatus::Expired,
                IdTagStatus::Invalid => AuthorizationStatus::Invalid,
                IdTagStatus::ConcurrentTx => AuthorizationStatus::ConcurrentTx,
            },
            expires: info.expiry_date,
            parent: info.parent_id_tag.as_deref().map(IdTag::from),
        }
    }
}

impl Wallbox {
    pub(super) fn receive(&mut self, now: Now, text: &str) {
        let frame: Vec<Value> = serde_json::from_str(text).unwrap_or_default();
        match frame.as_slice() {
            [
                Value::Number(kind),
                Value::String(id),
                Value::String(action),
                payload,
            ] if kind.as_u64() == Some(2) => {
                self.called(now, id, action, payload);
            }
            [Value::Number(kind), id, payload] if kind.as_u64() == Some(3) => {
                if let Some(settled) = self.take_settled(now, id, text) {
                    self.answered(now, settled, payload);
                }
            }
            [
                Value::Number(kind),
                id,
                Value::String(code),
                Value::String(_),
                Value::Object(_),
            ] if kind.as_u64() == Some(4) => {
                if let Some(settled) = self.take_settled(now, id, text) {
                    self.judge
                        .complain(format!("{} was answered with {code}", settled.action));
                    self.not_answered(now, settled.purpose);
                }
            }
            _ => self.judge.complain(format!("not a frame: {text}")),
        }
    }

    fn take_settled(&mut self, now: Now, id: &Value, text: &str) -> Option<Settled> {
        let settled = self.wire.settle(now.mono, id);
        if settled.is_none() && !self.wire.was_used(id) {
            self.judge.complain(format!("answers no CALL: {text}"));
        }
        settled
    }

    fn called(&mut self, now: Now, id: &str, action: &str, payload: &Value) {
        self.judge.call(now.mono, id, action);
        let profile = action == "SetChargingProfile";
        if self.registration == Registration::Rejected
            || (profile && self.plan.has(Quirk::NeverAnswersProfiles))
        {
            return;
        }
        if self.plan.has(Quirk::LateAnswers) {
            self.deferred.push_back(Deferred {
                due: now.mono + LATE,
                id: id.to_owned(),
                action: action.to_owned(),
                payload: payload.clone(),
            });
        } else {
            self.execute(now, id, action, payload);
        }
    }

    fn answered(&mut self, now: Now, settled: Settled, payload: &Value) {
        match settled.purpose {
            Purpose::Boot => {
                if let Some(conf) = self.read(settled.action, payload) {
                    self.registered(now, &conf);
                } else {
                    self.boot_at = now.mono + BOOT_INTERVAL;
                }
            }
            Purpose::Heartbeat => {
                let conf: Option<HeartbeatConf> = self.read(settled.action, payload);
                if let Some(conf) = conf {
                    self.set_clock(now, conf.current_time);
                }
            }
            Purpose::Authorize { connector, tag } => {
                if let Some(conf) = self.read(settled.action, payload) {
                    self.judged(now, connector, &tag, conf);
                } else {
                    self.authorize_alone(now, connector, &tag);
                }
            }
            Purpose::Status(_) | Purpose::Notice => {
                let _: Option<Empty> = self.read(settled.action, payload);
            }
            Purpose::Kept => {
                if let Some(kept) = self.wire.drop_kept() {
                    self.processed(now, &kept, payload);
                }
            }
        }
    }

    fn read<T: DeserializeOwned>(&mut self, action: &str, payload: &Value) -> Option<T> {
        serde_json::from_value(payload.clone())
            .inspect_err(|error| {
                let complaint = format!("answer to {action}: {error}: {payload}");
                self.judge.complain(complaint);
            })
            .ok()
    }

    fn registered(&mut self, now: Now, conf: &BootConf) {
        self.set_clock(now, conf.current_time);
        let wait = match conf.interval {
            0 => BOOT_INTERVAL,
            seconds => Duration::from_secs(seconds),
        };
        self.boot_at = now.mono + wait;
        match conf.status {
            RegistrationStatus::Accepted => {
                self.registration = Registration::Accepted;
                self.accepted_at = now.mono;
                if self.plan.has(Quirk::BootLoop) {
                    self.looping_since.get_or_insert(now.mono);
                }
                if conf.interval > 0 {
                    self.keys.set_count("HeartbeatInterval", conf.interval);
                }
                self.told = None;
                let silent = self.plan.has(Quirk::NoStatusAfterBoot);
                for connector in self.connectors.values_mut() {
                    connector.told = silent.then(|| connector.status());
                }
            }
            RegistrationStatus::Pending => self.registration = Registration::Pending,
            RegistrationStatus::Rejected => self.registration = Registration::Rejected,
        }
    }

    fn set_clock(&mut self, now: Now, time: Timestamp) {
        self.skew = time.duration_since(now.wall);
    }

    fn judged(&mut self, now: Now, connector: ConnectorId, tag: &IdTag, conf: AuthorizeConf) {
        let verdict = Cached::from(conf.id_tag_info);
        self.cache.insert(tag.clone(), verdict.clone());
        if verdict.status == AuthorizationStatus::Accepted {
            self.authorized(now, connector, tag, verdict.parent);
        }
    }

    /// A message of a transaction has its answer.
    fn processed(&mut self, now: Now, kept: &Kept, payload: &Value) {
        match kept.action {
            "StartTransaction" => {
                if let Some(conf) = self.read(kept.action, payload) {
                    self.started(now, kept.session, conf);
                }
            }
            "StopTransaction" => {
                let _: Option<StopConf> = self.read(kept.action, payload);
                if !self.wire.keeps(kept.session) {
                    self.transaction_ids.remove(&kept.session);
                }
            }
            _ => {
                let _: Option<Empty> = self.read(kept.action, payload);
            }
        }
    }

    fn started(&mut self, now: Now, number: u64, conf: StartConf) {
        self.transaction_ids
            .insert(number, i64::from(conf.transaction_id));
        let verdict = Cached::from(conf.id_tag_info);
        let stops = self.keys.flag("StopTransactionOnInvalidId");
        let running = self.connectors.iter_mut().find_map(|(id, connector)| {
            let session = connector.session.as_mut()?;
            (session.number == number).then_some((*id, session))
        });
        let Some((id, session)) = running else {
            return;
        };
        let tag = session.tag.clone();
        let refused = verdict.status != AuthorizationStatus::Accepted;
        session.refused = refused;
        if session.parent.is_none() {
            session.parent.clone_from(&verdict.parent);
        }
        self.cache.insert(tag, verdict);
        if refused && stops {
            self.stop_session(now, id, Some("DeAuthorized"), None);
        }
    }

    /// Nobody will answer this CALL, or the answer was an error.
    pub(super) fn not_answered(&mut self, now: Now, purpose: Purpose) {
        match purpose {
            Purpose::Boot => self.boot_at = now.mono + BOOT_INTERVAL,
            Purpose::Heartbeat | Purpose::Notice => {}
            Purpose::Status(ConnectorId(0)) => self.told = None,
            Purpose::Status(id) => {
                if let Some(connector) = self.connectors.get_mut(&id) {
                    connector.told = None;
                }
            }
            Purpose::Authorize { connector, tag } => self.authorize_alone(now, connector, &tag),
            // Being without a link is no failed attempt (OCPP 1.6 §3.7).
            Purpose::Kept if !self.wire.connected => {}
            Purpose::Kept => {
                let attempts = self.keys.count("TransactionMessageAttempts");
                let wait = self.keys.count("TransactionMessageRetryInterval");
                self.wire.retry_kept(now.mono, attempts, wait);
            }
        }
    }

    /// Answers a CALL of the central system.
    pub(super) fn answer(&mut self, now: Now, id: &str, answer: Result<Value, &'static str>) {
        let frame = match answer {
            Ok(payload) => json!([3, id, payload]),
            Err(code) => json!([4, id, code, "", {}]),
        };
        self.judge.answered(id);
        self.wire.frame(now.mono, &frame);
    }
}
