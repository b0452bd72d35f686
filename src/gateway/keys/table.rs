//! The configuration keys of OCPP 1.6 §9 and of the security extension, as far as we know them by
//! name: whose they are, what they may be set to and what they are at first.

use std::collections::BTreeSet;

use crate::evse::Sampled;
use crate::ocpp::messages::Measurand;
use crate::units::Phase;

/// Who does what a key says, and so knows its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// The gateway, whatever stands behind it.
    Gateway,
    /// Gateway and wallbox: the load manager needs samples, too.
    Metering,
    /// The wallbox. Where there is none, the gateway.
    Wallbox,
}

/// What a value must look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It cannot be set.
    Fixed,
    /// A whole number from this one on.
    Whole(i64),
    /// `true` or `false`.
    Flag,
    /// A list of what can be measured.
    Measurands,
    /// `1.RST,2.RTS`: how connectors are wired.
    Rotation,
    /// At most 500 characters.
    Text,
    /// It cannot be read.
    Secret,
    /// It can be raised, as far as the address allows.
    Profile,
}

/// A key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) default: &'static str,
    pub(super) kind: Kind,
    pub(super) holder: Holder,
}

impl Row {
    /// The row of a name, however its case.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        let name = name.trim();
        ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
    }

    /// What `text` sets it to; `None` if it must not be.
    pub(super) fn read(&self, text: &str) -> Option<String> {
        let text = text.trim();
        match self.kind {
            Kind::Fixed | Kind::Secret | Kind::Profile => None,
            Kind::Whole(least) => {
                let value: i32 = text.parse().ok()?;
                (i64::from(value) >= least).then(|| value.to_string())
            }
            Kind::Flag => flag(text).map(|flag| flag.to_string()),
            Kind::Measurands => measurands(text),
            Kind::Rotation => rotation(text),
            Kind::Text => (text.chars().count() <= LONGEST_VALUE).then(|| text.to_owned()),
        }
    }
}

/// `CiString500Type`
pub(super) const LONGEST_VALUE: usize = 500;

/// `MeterValuesSampledDataMaxLength` and its like.
const MOST_MEASURANDS: usize = 10;

/// What a wallbox that we play can tell. It measures no voltage.
const MEASURANDS: [Measurand; 5] = [
    Measurand::CurrentImport,
    Measurand::CurrentOffered,
    Measurand::EnergyActiveImportRegister,
    Measurand::PowerActiveImport,
    Measurand::PowerOffered,
];

/// Which of them are known of each phase.
const PHASED: [Measurand; 2] = [Measurand::CurrentImport, Measurand::CurrentOffered];

pub(super) const SAMPLED: &str = "Energy.Active.Import.Register,Power.Active.Import,Current.Import";

const fn row(name: &'static str, default: &'static str, kind: Kind, holder: Holder) -> Row {
    Row {
        name,
        default,
        kind,
        holder,
    }
}

/// What is empty here and [`Fixed`](Kind::Fixed) is known only when the gateway is made.
#[rustfmt::skip]
pub(super) const ROWS: [Row; 47] = {
    use Holder::{Gateway, Metering, Wallbox};
    use Kind::{Fixed, Flag, Measurands, Profile, Rotation, Secret, Text, Whole};
    [
        row("AdditionalRootCertificateCheck", "false", Fixed, Gateway),
        row("AllowOfflineTxForUnknownId", "false", Flag, Gateway),
        row("AuthorizationCacheEnabled", "true", Flag, Gateway),
        row("AuthorizationKey", "", Secret, Gateway),
        row("AuthorizeRemoteTxRequests", "false", Flag, Wallbox),
        row("CertificateSignedMaxChainSize", "10000", Fixed, Gateway),
        row("CertificateStoreMaxLength", "10", Fixed, Gateway),
        row("ChargeProfileMaxStackLevel", "20", Fixed, Gateway),
        row("ChargingScheduleAllowedChargingRateUnit", "Current,Power", Fixed, Gateway),
        row("ChargingScheduleMaxPeriods", "96", Fixed, Gateway),
        row("ClockAlignedDataInterval", "0", Whole(0), Wallbox),
        row("ConnectionTimeOut", "120", Whole(0), Wallbox),
        row("ConnectorPhaseRotation", "1.Unknown", Rotation, Wallbox),
        row("ConnectorSwitch3to1PhaseSupported", "", Fixed, Gateway),
        row("CpoName", "", Text, Gateway),
        row("GetConfigurationMaxKeys", "50", Fixed, Wallbox),
        row("HeartbeatInterval", "300", Whole(1), Gateway),
        row("LocalAuthListEnabled", "true", Flag, Gateway),
        row("LocalAuthListMaxLength", "1000", Fixed, Gateway),
        row("LocalAuthorizeOffline", "true", Flag, Gateway),
        row("LocalPreAuthorize", "false", Flag, Gateway),
        row("MaxChargingProfilesInstalled", "40", Fixed, Gateway),
        row("MaxEnergyOnInvalidId", "0", Whole(0), Wallbox),
        row("MessageTimeout", "30", Whole(1), Gateway),
        row("MeterValueSampleInterval", "60", Whole(0), Metering),
        row("MeterValuesAlignedData", "Energy.Active.Import.Register", Measurands, Wallbox),
        row("MeterValuesAlignedDataMaxLength", "10", Fixed, Wallbox),
        row("MeterValuesSampledData", SAMPLED, Measurands, Metering),
        row("MeterValuesSampledDataMaxLength", "10", Fixed, Wallbox),
        row("MinimumStatusDuration", "0", Whole(0), Wallbox),
        row("NumberOfConnectors", "", Fixed, Gateway),
        row("ReserveConnectorZeroSupported", "true", Fixed, Wallbox),
        row("ResetRetries", "1", Whole(0), Wallbox),
        row("SecurityProfile", "", Profile, Gateway),
        row("SendLocalListMaxLength", "200", Fixed, Gateway),
        row("StopTransactionMaxMeterValues", "500", Fixed, Wallbox),
        row("StopTransactionOnEVSideDisconnect", "true", Fixed, Wallbox),
        row("StopTransactionOnInvalidId", "true", Flag, Wallbox),
        row("StopTxnAlignedData", "", Measurands, Wallbox),
        row("StopTxnAlignedDataMaxLength", "10", Fixed, Wallbox),
        row("StopTxnSampledData", "", Measurands, Wallbox),
        row("StopTxnSampledDataMaxLength", "10", Fixed, Wallbox),
        row("SupportedFeatureProfiles", "Core,LocalAuthListManagement,SmartCharging,RemoteTrigger,Reservation", Fixed, Wallbox),
        row("TransactionMessageAttempts", "5", Whole(1), Gateway),
        row("TransactionMessageRetryInterval", "60", Whole(0), Gateway),
        row("UnlockConnectorOnEVSideDisconnect", "false", Fixed, Wallbox),
        row("WebSocketPingInterval", "60", Whole(0), Gateway),
    ]
};

/// Keys that decide where the wallbox connects and as whom: set by a backend, they would take the
/// wallbox away from us. Every vendor has names of its own, so the parts of a name are looked for,
/// in this order, in what is left of it without case and punctuation.
const FORBIDDEN: [&[&str]; 19] = [
    &["url"],
    &["endpoint"],
    &["backoffice"],
    &["centralsystem"],
    &["backend", "address"],
    &["backend", "host"],
    &["backend", "port"],
    &["ocpp", "server"],
    &["chargeboxid"],
    &["chargepointid"],
    &["basicauth"],
    &["ipaddress"],
    &["netmask"],
    &["ethernet"],
    &["wifi"],
    &["wlan"],
    &["dhcp"],
    &["dns"],
    &["vpn"],
];

/// Whether a backend must not set this key.
pub(super) fn is_forbidden(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let plain = plain.to_ascii_lowercase();
    let has = |parts: &&[&str]| {
        let rest = parts
            .iter()
            .try_fold(plain.as_str(), |rest, part| Some(rest.split_once(part)?.1));
        rest.is_some()
    };
    plain == "apn" || FORBIDDEN.iter().any(has)
}

/// Booleans in any case, and as digits.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.trim() {
        "1" => Some(true),
        "0" => Some(false),
        text if text.eq_ignore_ascii_case("true") => Some(true),
        text if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// The items of a comma-separated list.
pub(super) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// An item of a list of measurands that a wallbox which we play can tell; it may name a phase
/// (`Current.Import.L1`).
pub(super) fn sampled(item: &str) -> Option<Sampled> {
    let whole = |measurand: &Measurand| item.eq_ignore_ascii_case(measurand.as_str());
    if let Some(measurand) = MEASURANDS.into_iter().find(whole) {
        let phase = None;
        return Some(Sampled { measurand, phase });
    }
    let (head, tail) = item.rsplit_once('.')?;
    let of_phase = |it: &Measurand| head.eq_ignore_ascii_case(it.as_str());
    let is_it = |it: &Phase| tail.eq_ignore_ascii_case(&it.to_string());
    Some(Sampled {
        measurand: PHASED.into_iter().find(of_phase)?,
        phase: Some(Phase::ALL.into_iter().find(is_it)?),
    })
}

/// The words of `ConnectorPhaseRotation`.
const ROTATIONS: [&str; 8] = [
    "NotApplicable",
    "Unknown",
    "RST",
    "RTS",
    "SRT",
    "STR",
    "TRS",
    "TSR",
];

/// Which connector the item of a list of rotations means; 0 = how the charge point is connected.
pub(super) fn connector_of(item: &str) -> Option<u32> {
    item.split_once('.')?.0.trim().parse().ok()
}

/// The list in the spelling of the specification: something is said, and of each connector once.
fn rotation(list: &str) -> Option<String> {
    let mut seen = BTreeSet::new();
    let spelled = |item| {
        let number = connector_of(item).filter(|number| seen.insert(*number))?;
        let word = item.split_once('.')?.1.trim();
        let is_it = |it: &&str| it.eq_ignore_ascii_case(word);
        Some(format!("{number}.{}", ROTATIONS.into_iter().find(is_it)?))
    };
    let all: Option<Vec<String>> = items(list).map(spelled).collect();
    all.filter(|all| !all.is_empty()).map(|all| all.join(","))
}

/// The list in the spelling of the specification.
fn measurands(list: &str) -> Option<String> {
    let spelled = |item| {
        let Sampled { measurand, phase } = sampled(item)?;
        let name = measurand.as_str();
        Some(phase.map_or_else(|| name.to_owned(), |phase| format!("{name}.{phase}")))
    };
    let all: Option<Vec<String>> = items(list).map(spelled).collect();
    all.filter(|all| all.len() <= MOST_MEASURANDS)
        .map(|all| all.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::profiles::{MAX_INSTALLED, MAX_PERIODS, MAX_STACK_LEVEL};
    use crate::gateway::tags::{LONGEST_LIST, LONGEST_UPDATE};

    #[test]
    fn the_table_is_sorted_and_says_what_profiles_and_list_keep_to() {
        assert!(ROWS.is_sorted_by(|a, b| a.name < b.name));
        let says = |name| Row::of(name).unwrap().default;
        assert_eq!(
            says("chargeprofilemaxstacklevel"),
            MAX_STACK_LEVEL.to_string()
        );
        assert_eq!(says("LocalAuthListMaxLength"), LONGEST_LIST.to_string());
        assert_eq!(says("SendLocalListMaxLength"), LONGEST_UPDATE.to_string());
        assert_eq!(says("ChargingScheduleMaxPeriods"), MAX_PERIODS.to_string());
        assert_eq!(
            says("MaxChargingProfilesInstalled"),
            MAX_INSTALLED.to_string()
        );
    }

    #[test]
    fn whatever_can_be_set_can_be_set_to_its_default() {
        for row in ROWS {
            let settable = !matches!(row.kind, Kind::Fixed | Kind::Secret | Kind::Profile);
            let expected = settable.then(|| row.default.to_owned());
            assert_eq!(row.read(row.default), expected, "{}", row.name);
        }
    }

    #[test]
    fn keys_that_say_where_the_wallbox_connects_are_known_by_the_parts_of_their_names() {
        for name in [
            "OCPPBackendURL",
            "BackOffice-URL-wired",
            "CentralSystemAddress",
            "ocpp_server.address",
            "OcppServerHost",
            "Backend-Port",
            "ChargeBoxId",
            "ChargePointIdentity",
            "HttpBasicAuthPassword",
            "WiFiSSID",
            "APN",
        ] {
            assert!(is_forbidden(name), "{name}");
        }
        for row in ROWS {
            assert!(!is_forbidden(row.name), "{}", row.name);
        }
        for name in ["LightIntensity", "ServerOcpp", "MapName", "ocpp", ""] {
            assert!(!is_forbidden(name), "{name}");
        }
    }

    #[test]
    fn measurands_are_read_in_any_case_and_with_phases() {
        let row = Row::of("MeterValuesSampledData").unwrap();
        let read = row.read(" current.import.l1 , POWER.OFFERED,");
        assert_eq!(read.as_deref(), Some("Current.Import.L1,Power.Offered"));
        assert_eq!(row.read("SoC"), None);
        assert_eq!(row.read("Power.Offered.L1"), None, "nobody knows that");
        assert_eq!(row.read("Current.Import.L4"), None);
        assert_eq!(row.read(&"Power.Offered,".repeat(11)), None);
        assert_eq!(row.read("Current.Importß"), None);
    }
}
