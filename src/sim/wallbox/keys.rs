//! The configuration keys of a simulated wallbox (OCPP 1.6 §9).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::WallboxPlan;
use crate::sim::Quirk;

/// What it can measure.
const MEASURANDS: [&str; 5] = [
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Import",
    "Current.Offered",
    "Voltage",
];

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed,
    Count,
    Flag,
    Measurands,
    Text,
}

#[derive(Debug, Clone)]
struct Key {
    value: String,
    kind: Kind,
}

/// Names and values; names compare without case.
#[derive(Debug, Clone)]
pub(super) struct Keys(BTreeMap<&'static str, Key>);

impl Keys {
    pub(super) fn new(plan: &WallboxPlan) -> Self {
        let unit = if plan.has(Quirk::OnlyWatts) {
            "Power"
        } else if plan.has(Quirk::OnlyAmps) {
            "Current"
        } else {
            "Current,Power"
        };
        let profiles = if plan.has(Quirk::NoSmartCharging) {
            "Core,RemoteTrigger"
        } else {
            "Core,SmartCharging,RemoteTrigger"
        };
        let measurands = if plan.has(Quirk::NoPhaseValues) {
            "Energy.Active.Import.Register,Power.Active.Import"
        } else {
            "Energy.Active.Import.Register,Power.Active.Import,Current.Import"
        };
        let connectors = plan.connectors.to_string();
        let rows: [(&str, &str, Kind); 29] = [
            ("AllowOfflineTxForUnknownId", "false", Kind::Flag),
            ("AuthorizationCacheEnabled", "true", Kind::Flag),
            ("AuthorizeRemoteTxRequests", "false", Kind::Flag),
            ("ChargeProfileMaxStackLevel", "8", Kind::Fixed),
            ("ChargingScheduleAllowedChargingRateUnit", unit, Kind::Fixed),
            ("ChargingScheduleMaxPeriods", "24", Kind::Fixed),
            ("ClockAlignedDataInterval", "0", Kind::Fixed),
            ("ConnectionTimeOut", "60", Kind::Count),
            ("ConnectorPhaseRotation", "NotApplicable", Kind::Text),
            ("GetConfigurationMaxKeys", "50", Kind::Fixed),
            ("HeartbeatInterval", "300", Kind::Count),
            ("LocalAuthorizeOffline", "true", Kind::Flag),
            ("LocalPreAuthorize", "false", Kind::Flag),
            ("MaxChargingProfilesInstalled", "20", Kind::Fixed),
            ("MeterValueSampleInterval", "60", Kind::Count),
            ("MeterValuesAlignedData", "", Kind::Fixed),
            ("MeterValuesSampledData", measurands, Kind::Measurands),
            ("MeterValuesSampledDataMaxLength", "5", Kind::Fixed),
            ("NumberOfConnectors", &connectors, Kind::Fixed),
            ("ResetRetries", "1", Kind::Count),
            ("StopTransactionOnEVSideDisconnect", "true", Kind::Fixed),
            ("StopTransactionOnInvalidId", "true", Kind::Flag),
            ("StopTxnAlignedData", "", Kind::Fixed),
            ("StopTxnSampledData", "", Kind::Fixed),
            ("SupportedFeatureProfiles", profiles, Kind::Fixed),
            ("TransactionMessageAttempts", "3", Kind::Count),
            ("TransactionMessageRetryInterval", "10", Kind::Count),
            ("UnlockConnectorOnEVSideDisconnect", "true", Kind::Flag),
            ("WebSocketPingInterval", "0", Kind::Count),
        ];
        let key = |value: &str, kind| Key {
            value: value.to_owned(),
            kind,
        };
        let rows = rows.into_iter();
        let mut keys = Self(
            rows.map(|(name, value, kind)| (name, key(value, kind)))
                .collect(),
        );
        for (name, value) in &plan.says {
            let said = keys.0.entry(name).or_insert_with(|| key("", Kind::Fixed));
            said.value.clone_from(value);
        }
        keys
    }

    pub(super) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", |key| key.value.as_str())
    }

    pub(super) fn count(&self, name: &str) -> u64 {
        self.text(name).parse().unwrap_or(0)
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        self.text(name).eq_ignore_ascii_case("true")
    }

    /// The items of a list, phase suffixes removed.
    pub(super) fn measurands(&self, name: &str) -> Vec<&'static str> {
        items(self.text(name)).filter_map(measurand).collect()
    }

    pub(super) fn set_count(&mut self, name: &str, value: u64) {
        if let Some(key) = self.0.get_mut(name) {
            key.value = value.to_string();
        }
    }

    /// The payload that answers `GetConfiguration`.
    pub(super) fn report(&self, wanted: &[String]) -> Value {
        let row = |(name, key): (&&'static str, &Key)| json!({"key": name, "readonly": key.kind == Kind::Fixed, "value": key.value});
        if wanted.is_empty() {
            let rows: Vec<Value> = self.0.iter().map(row).collect();
            return json!({ "configurationKey": rows });
        }
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for name in wanted {
            match self
                .find(name)
                .and_then(|found| self.0.get_key_value(found))
            {
                Some(found) => known.push(row(found)),
                None => unknown.push(json!(name)),
            }
        }
        json!({"configurationKey": known, "unknownKey": unknown})
    }

    /// The status that answers `ChangeConfiguration`.
    pub(super) fn change(&mut self, name: &str, value: &str) -> &'static str {
        let longest = usize::try_from(self.count("MeterValuesSampledDataMaxLength")).unwrap_or(0);
        let Some(key) = self.find(name).and_then(|name| self.0.get_mut(name)) else {
            return "NotSupported";
        };
        let fits = match key.kind {
            Kind::Fixed => false,
            Kind::Count => value.parse::<u32>().is_ok(),
            Kind::Flag => ["true", "false"].contains(&value.to_ascii_lowercase().as_str()),
            Kind::Measurands => {
                let all: Vec<&str> = items(value).collect();
                all.len() <= longest && all.iter().all(|item| measurand(item).is_some())
            }
            Kind::Text => true,
        };
        if !fits {
            return "Rejected";
        }
        value.clone_into(&mut key.value);
        "Accepted"
    }

    fn find(&self, name: &str) -> Option<&'static str> {
        let mut names = self.0.keys();
        names.find(|key| key.eq_ignore_ascii_case(name)).copied()
    }
}

fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// `Voltage.L1` is a part of `Voltage`; all phases are reported for it.
fn measurand(item: &str) -> Option<&'static str> {
    let bare = [".L1", ".L2", ".L3"]
        .into_iter()
        .find_map(|phase| item.strip_suffix(phase))
        .unwrap_or(item);
    MEASURANDS
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(bare))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_without_case_and_keep_to_their_kind() {
        let mut keys = Keys::new(&WallboxPlan::new("CB"));
        for (name, value, status) in [
            ("metervaluesampleinterval", "10", "Accepted"),
            ("MeterValueSampleInterval", "often", "Rejected"),
            ("NumberOfConnectors", "7", "Rejected"),
            (
                "MeterValuesSampledData",
                "Voltage.L1, Current.Import",
                "Accepted",
            ),
            ("MeterValuesSampledData", "SoC", "Rejected"),
            ("LocalPreAuthorize", "TRUE", "Accepted"),
            ("NoSuchKey", "1", "NotSupported"),
        ] {
            assert_eq!(keys.change(name, value), status, "{name}={value}");
        }
        assert_eq!(keys.count("MeterValueSampleInterval"), 10);
        assert!(keys.flag("LocalPreAuthorize"));
        let sampled = keys.measurands("MeterValuesSampledData");
        assert_eq!(sampled, ["Voltage", "Current.Import"]);
    }

    #[test]
    fn asked_for_nothing_it_reports_everything_and_unknown_keys_by_name() {
        let keys = Keys::new(&WallboxPlan::new("CB"));
        let all = keys.report(&[]);
        assert_eq!(all["configurationKey"].as_array().unwrap().len(), 29);
        let some = keys.report(&["numberofconnectors".to_owned(), "Nope".to_owned()]);
        let expected = json!({
            "configurationKey": [{"key": "NumberOfConnectors", "readonly": true, "value": "1"}],
            "unknownKey": ["Nope"]});
        assert_eq!(some, expected);
    }
}
