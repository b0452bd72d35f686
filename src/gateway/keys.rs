//! The configuration of the charge point that a backend sees (OCPP 1.6 §9): values of ours where
//! the gateway does what a key says, those of the wallbox otherwise.
//!
//! Ours are the link to the backend (heartbeat, ping, repeats, password, security); smart charging,
//! because profiles end here; and all that decides who may charge while the backend is away (local
//! list, cache, `LocalPreAuthorize`, `LocalAuthorizeOffline`, `AllowOfflineTxForUnknownId`), because
//! the wallbox asks us and we are never away. The wallbox's are `StopTransactionOnInvalidId`,
//! because it reads the verdict in the answer to its `StartTransaction` (a late verdict keeps to
//! the value that it told), `ConnectionTimeOut` and everything else. The sample interval and its
//! measurands are shared: the backend sees its own values, the wallbox gets what both need.
//!
//! `AllowOfflineTxForUnknownId` can be switched off by the backend, but on only where the
//! configuration allows it: the site decides whether strangers charge. `SecurityProfile` can be
//! raised as far as the address allows, which stands in the configuration ([`super::security`]).
//!
//! Where we play the wallbox the table is all there is. What is accepted there holds at once, so
//! nothing is ever answered with `RebootRequired`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::ids::ConnectorId;
use crate::ocpp::messages::{
    self, ChangeConfiguration, ChangeConfigurationResponse, ConfigurationStatus, GetConfiguration,
    GetConfigurationResponse, KeyValue, ViewError,
};

mod credential;
mod profile;
mod table;
mod values;

use credential::Changed;
pub use credential::Credential;
use profile::Raised;
use table::{Holder, Kind, ROWS, Row};
pub use values::OfflineFlags;

/// Of more keys than this of one wallbox nothing is remembered.
const MOST_KEYS: usize = 500;

/// What is known of an identity before a backend sets anything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four facts of the plan")]
pub struct KeysPlan {
    /// There is no OCPP wallbox behind it: the table answers everything.
    pub emulated: bool,
    /// The highest connector number that the backend may use.
    pub connectors: u32,
    /// Which connector of the wallbox the backend sees as which.
    pub numbers: BTreeMap<ConnectorId, ConnectorId>,
    /// The backend sees some connectors of the wallbox only.
    pub split: bool,
    /// `ConnectorPhaseRotation` of the connectors that have no wallbox to ask.
    pub rotation: String,
    /// `ConnectorSwitch3to1PhaseSupported`
    pub switches_phases: bool,
    /// By configuration unknown tags may charge while the backend is away.
    pub offline_unknown_tags: bool,
    /// `SecurityProfile`: 0 to 3.
    pub security_profile: u8,
    /// The configured password.
    pub password: Option<Credential>,
}

/// What must outlive a restart.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
struct Remembered {
    /// What the backend set, by name as in the table.
    set: BTreeMap<String, String>,
    /// What the wallbox said last, by name in lower case.
    wallbox: BTreeMap<String, KeyValue>,
    password: Option<Changed>,
    raised: Option<Raised>,
}

/// The configuration of one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    plan: KeysPlan,
    remembered: Remembered,
}

/// A `GetConfiguration` of the backend, as far as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What it wants to know; nothing = everything.
    keys: Vec<String>,
    /// The payload of the `GetConfiguration` that the wallbox must be asked; `None` if it need not.
    pub of_wallbox: Option<String>,
}

/// What to do about a `ChangeConfiguration`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Send this answer.
    Answered(String),
    /// See that the wallbox samples so that both sides have what they need; if it can, call
    /// [`Keys::keep`]; answer whether it could ([`Keys::answer`]).
    Metering(Metering),
    /// Send this answer; the password is another one from now on.
    Password(String),
    /// Raise `SecurityProfile` to this, or do not; answer whether ([`Keys::answer`]).
    Profile(u8),
    /// Pass the request on as it is; after the answer call [`Keys::relayed`].
    Relay,
}

/// What a backend wants to be told during a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Metering {
    /// So often; zero = never.
    Interval(Duration),
    /// This; a comma-separated list.
    Measurands(String),
}

impl Keys {
    /// With what [`memory`](Self::memory) returned before the restart.
    pub fn new(plan: KeysPlan, memory: Option<&str>) -> Self {
        let mut remembered: Remembered = memory
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        let configured = |changed: &mut Changed| changed.configured == plan.password;
        remembered.password = remembered.password.take_if(configured);
        Self { plan, remembered }
    }

    /// What must outlive a restart, as JSON. It holds a password.
    pub fn memory(&self) -> String {
        messages::write(&self.remembered)
    }

    /// Reads `GetConfiguration` (OCPP 1.6 §5.8).
    ///
    /// # Errors
    /// What to answer a malformed request with.
    pub fn plan_get(&self, payload: &RawValue) -> Result<Asked, ViewError> {
        let mut seen = BTreeSet::new();
        let mut keys = messages::parse::<GetConfiguration>(payload)?.key;
        keys.retain(|key| seen.insert(folded(key)));
        let theirs: Vec<String> = keys
            .iter()
            .filter(|key| !self.answers(key))
            .cloned()
            .collect();
        let most = self.of_wallbox("GetConfigurationMaxKeys");
        let most = most.and_then(|most| most.parse().ok());
        let of_wallbox = if self.plan.emulated || (theirs.is_empty() && !keys.is_empty()) {
            None
        } else if most.is_some_and(|most: usize| theirs.len() > most) {
            Some(GetConfiguration { key: Vec::new() })
        } else {
            Some(GetConfiguration { key: theirs })
        };
        Ok(Asked {
            keys,
            of_wallbox: of_wallbox.as_ref().map(messages::write),
        })
    }

    /// The payload that answers `asked`. `answer`: what the wallbox said; `None` if it is away,
    /// need not be asked or gave no answer: then what it said last counts.
    pub fn merge_get(&mut self, asked: &Asked, answer: Option<&RawValue>) -> String {
        if let Some(answer) = answer {
            self.learn(answer);
        }
        let mut response = GetConfigurationResponse::default();
        if asked.keys.is_empty() {
            let known = |row: &&Row| row.kind != Kind::Secret && self.answers(row.name);
            let ours = ROWS
                .iter()
                .filter(known)
                .filter_map(|row| self.row(row.name));
            let mut theirs: BTreeSet<String> = self.remembered.wallbox.keys().cloned().collect();
            theirs.insert(folded(PROFILES));
            let theirs = theirs.iter().filter(|name| !self.answers(name));
            response.configuration_key = ours
                .chain(theirs.filter_map(|name| self.row(name)))
                .collect();
            let by_name = |row: &KeyValue| folded(&row.key);
            response.configuration_key.sort_by_key(by_name);
        }
        for key in &asked.keys {
            match self.row(key) {
                Some(row) => response.configuration_key.push(row),
                None => response.unknown_key.push(key.clone()),
            }
        }
        messages::write(&response)
    }

    /// Remembers what a wallbox answered to `GetConfiguration`, whoever asked it.
    pub fn learn(&mut self, answer: &RawValue) {
        let Ok(answer) = messages::parse::<GetConfigurationResponse>(answer) else {
            return;
        };
        for key in answer.unknown_key {
            self.remembered.wallbox.remove(&folded(&key));
        }
        let is_ours =
            |row: &KeyValue| Row::of(&row.key).is_some_and(|row| row.holder == Holder::Gateway);
        for row in answer.configuration_key {
            if !is_ours(&row) {
                self.heard(row);
            }
        }
    }

    /// Answers `ChangeConfiguration` (OCPP 1.6 §5.3), or says what is to be done first.
    ///
    /// # Errors
    /// What to answer a malformed request with.
    pub fn change(&mut self, now: Timestamp, payload: &RawValue) -> Result<Change, ViewError> {
        use ConfigurationStatus::{Accepted, NotSupported, Rejected};

        let ChangeConfiguration { key, value } = messages::parse(payload)?;
        let row = Row::of(&key);
        let answered = |status| Ok(Change::Answered(Self::answer(status)));
        let Some(row) = row.filter(|row| self.plan.emulated || row.holder != Holder::Wallbox)
        else {
            let refused = table::is_forbidden(&key) || self.is_of_all_connectors(&key);
            return match (self.plan.emulated, refused) {
                (true, _) => answered(NotSupported),
                (false, true) => answered(Rejected),
                (false, false) => Ok(Change::Relay),
            };
        };
        if row.kind == Kind::Secret {
            let Some(key) = Credential::of_key(&value) else {
                return answered(Rejected);
            };
            let old = self.remembered.password.take();
            let configured = self.plan.password.clone();
            self.remembered.password = Some(Changed::change(old, key, configured, now));
            return Ok(Change::Password(Self::answer(Accepted)));
        }
        if row.kind == Kind::Profile {
            return match value.trim().parse() {
                Ok(profile @ 0..=3) => Ok(Change::Profile(profile)),
                _ => answered(Rejected),
            };
        }
        if row.holder == Holder::Metering && !self.plan.emulated {
            return match metering(row, &value) {
                Some(metering) => Ok(Change::Metering(metering)),
                None => answered(Rejected),
            };
        }
        let stranger = row.name == "AllowOfflineTxForUnknownId" && !self.plan.offline_unknown_tags;
        match row.read(&value) {
            Some(value) if !(stranger && value == "true") && self.has_connectors(row, &value) => {
                self.remembered.set.insert(row.name.to_owned(), value);
                answered(Accepted)
            }
            _ => answered(Rejected),
        }
    }

    /// The payload of an answer to `ChangeConfiguration`.
    pub fn answer(status: ConfigurationStatus) -> String {
        messages::write(&ChangeConfigurationResponse { status })
    }

    /// The wallbox serves what the backend wants.
    pub fn keep(&mut self, metering: Metering) {
        let (name, value) = match metering {
            Metering::Interval(interval) => (INTERVAL, interval.as_secs().to_string()),
            Metering::Measurands(list) => (SAMPLED_DATA, list),
        };
        self.remembered.set.insert(name.to_owned(), value);
    }

    /// The wallbox answered a request that was passed on.
    pub fn relayed(&mut self, request: &RawValue, answer: &RawValue) {
        let request = messages::parse::<ChangeConfiguration>(request);
        let answer = messages::parse::<ChangeConfigurationResponse>(answer);
        let (Ok(request), Ok(answer)) = (request, answer) else {
            return;
        };
        if answer.status == ConfigurationStatus::Accepted {
            let readonly = false;
            let (key, value) = (request.key, Some(request.value));
            self.heard(KeyValue {
                key,
                readonly,
                value,
            });
        }
    }

    fn heard(&mut self, row: KeyValue) {
        let name = folded(&row.key);
        let known = self.remembered.wallbox.contains_key(&name);
        if known || self.remembered.wallbox.len() < MOST_KEYS {
            self.remembered.wallbox.insert(name, row);
        }
    }

    /// `BootNotification` was answered: its interval is that of the heartbeat.
    pub fn booted(&mut self, interval: i64) {
        if let Some(value) = Row::of(HEARTBEAT).and_then(|row| row.read(&interval.to_string())) {
            self.remembered.set.insert(HEARTBEAT.to_owned(), value);
        }
    }

    /// Whether the wallbox need not be asked for this key.
    fn answers(&self, name: &str) -> bool {
        let Some(row) = Row::of(name) else {
            return self.plan.emulated;
        };
        match row.holder {
            Holder::Gateway => true,
            // The wallbox's list, until the backend wants one of its own.
            Holder::Metering => {
                self.plan.emulated || row.name == INTERVAL || self.measurands().is_some()
            }
            Holder::Wallbox => self.plan.emulated,
        }
    }

    /// A split wallbox has one value for connectors that other backends see.
    fn is_of_all_connectors(&self, name: &str) -> bool {
        self.plan.split && name.trim().eq_ignore_ascii_case(ROTATION)
    }

    /// A rotation is not said of connectors that are not there.
    fn has_connectors(&self, row: &Row, value: &str) -> bool {
        let is_there =
            |item| table::connector_of(item).is_some_and(|it| it <= self.plan.connectors);
        row.kind != Kind::Rotation || table::items(value).all(is_there)
    }

    fn of_wallbox(&self, name: &str) -> Option<&str> {
        self.remembered.wallbox.get(&folded(name))?.value.as_deref()
    }

    /// A key as the backend sees it.
    fn row(&self, name: &str) -> Option<KeyValue> {
        if let Some(row) = Row::of(name).filter(|_| self.answers(name)) {
            return Some(KeyValue {
                key: row.name.to_owned(),
                readonly: row.kind == Kind::Fixed,
                value: (row.kind != Kind::Secret).then(|| self.own_value(row)),
            });
        }
        let mut row = self.remembered.wallbox.get(&folded(name)).cloned();
        if row.is_none() && folded(name) == folded(PROFILES) {
            row = Some(KeyValue {
                key: PROFILES.to_owned(),
                readonly: true,
                value: Some("Core".to_owned()),
            });
        }
        let mut row = row?;
        let refused = table::is_forbidden(&row.key) || self.is_of_all_connectors(&row.key);
        row.readonly |= refused;
        if folded(&row.key) == folded(PROFILES) {
            row.value = Some(with_ours(row.value.as_deref().unwrap_or_default()));
        } else if folded(&row.key) == folded(ROTATION) {
            row.value = row.value.map(|value| self.renumbered(&value));
        }
        Some(row)
    }

    fn own_value(&self, row: &Row) -> String {
        let default = match row.name {
            "AllowOfflineTxForUnknownId" if !self.plan.offline_unknown_tags => {
                return false.to_string();
            }
            "AllowOfflineTxForUnknownId" => true.to_string(),
            "ConnectorSwitch3to1PhaseSupported" => self.plan.switches_phases.to_string(),
            "NumberOfConnectors" => self.plan.connectors.to_string(),
            "SecurityProfile" => self.security_profile().to_string(),
            ROTATION => self.plan.rotation.clone(),
            _ => row.default.to_owned(),
        };
        let set = self.remembered.set.get(row.name);
        let set = set.filter(|value| self.has_connectors(row, value));
        set.cloned().unwrap_or(default)
    }

    /// `1.RST,2.RTS` for the connectors that the backend sees, in its numbers. Without numbers it
    /// holds for all.
    fn renumbered(&self, rotation: &str) -> String {
        let item = |item: &str| {
            let number = item
                .split_once('.')
                .and_then(|(number, rest)| Some((ConnectorId(number.trim().parse().ok()?), rest)));
            match number {
                None => Some(item.to_owned()),
                Some((ConnectorId(0), _)) => (!self.plan.split).then(|| item.to_owned()),
                Some((native, rest)) => {
                    let theirs = self.plan.numbers.get(&native)?;
                    Some(format!("{theirs}.{rest}"))
                }
            }
        };
        let ours = table::items(&self.plan.rotation).map(str::to_owned);
        let items = table::items(rotation).filter_map(item).chain(ours);
        items.collect::<Vec<_>>().join(",")
    }
}

const HEARTBEAT: &str = "HeartbeatInterval";
const INTERVAL: &str = "MeterValueSampleInterval";
const SAMPLED_DATA: &str = "MeterValuesSampledData";
const ROTATION: &str = "ConnectorPhaseRotation";
const PROFILES: &str = "SupportedFeatureProfiles";

/// What both want, the backend's first; each once.
pub fn union(theirs: Option<&str>, ours: &str) -> String {
    let mut all: Vec<&str> = Vec::new();
    for item in table::items(theirs.unwrap_or_default()).chain(table::items(ours)) {
        if !all.iter().any(|it| it.eq_ignore_ascii_case(item)) {
            all.push(item);
        }
    }
    all.join(",")
}

fn with_ours(profiles: &str) -> String {
    union(Some(profiles), "SmartCharging,LocalAuthListManagement")
}

fn metering(row: &Row, value: &str) -> Option<Metering> {
    if row.name == INTERVAL {
        let seconds = row.read(value)?.parse().ok()?;
        return Some(Metering::Interval(Duration::from_secs(seconds)));
    }
    // Which measurands there are is known to the wallbox alone.
    let short = value.chars().count() <= table::LONGEST_VALUE;
    short.then(|| Metering::Measurands(table::items(value).collect::<Vec<_>>().join(",")))
}

fn folded(name: &str) -> String {
    name.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
