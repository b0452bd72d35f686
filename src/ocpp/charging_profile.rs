//! Charging profiles (OCPP 1.6 §7.8, §7.13, §7.14).

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::lenient::{self, FromToken, Token, object, spelled};
use super::timestamp;
use crate::units::{MilliAmps, Watts};

/// A limit over time, with its validity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingProfile {
    /// Unique for a charge point; a profile with the same id is replaced.
    #[serde(deserialize_with = "lenient::required")]
    pub charging_profile_id: i64,
    /// The transaction that a `TxProfile` is meant for.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub transaction_id: Option<i64>,
    /// The highest wins among profiles of one purpose.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub stack_level: i64,
    /// What it limits.
    pub charging_profile_purpose: ChargingProfilePurpose,
    /// What its periods count from.
    pub charging_profile_kind: ChargingProfileKind,
    /// How often a recurring profile starts again.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub recurrency_kind: Option<RecurrencyKind>,
    /// In force from this instant on.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub valid_from: Option<Timestamp>,
    /// No longer in force at this instant.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub valid_to: Option<Timestamp>,
    /// The limit over time.
    pub charging_schedule: ChargingSchedule,
}

/// A limit over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedule {
    /// Seconds after which it ends; absent = the last period lasts.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub duration: Option<i64>,
    /// What an absolute or recurring schedule counts from.
    #[serde(
        default,
        with = "timestamp::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub start_schedule: Option<Timestamp>,
    /// The unit of every limit in it.
    pub charging_rate_unit: ChargingRateUnit,
    /// In the order of their start; the first starts at 0.
    #[serde(default, deserialize_with = "lenient::list")]
    pub charging_schedule_period: Vec<ChargingSchedulePeriod>,
    /// A hint below which charging is inefficient.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub min_charging_rate: Option<Tenths>,
}

/// One step of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedulePeriod {
    /// Seconds after the start of the schedule.
    #[serde(deserialize_with = "lenient::required")]
    pub start_period: i64,
    /// Amperes per phase, or watts over all phases.
    pub limit: Tenths,
    /// Phases that may be used; absent = 3.
    #[serde(
        default,
        deserialize_with = "lenient::optional",
        skip_serializing_if = "Option::is_none"
    )]
    pub number_phases: Option<i64>,
}

object!(ChargingProfile);
object!(ChargingSchedule);
object!(ChargingSchedulePeriod);

spelled! {
    /// `ChargingProfilePurposeType` (OCPP 1.6 §7.11).
    pub enum ChargingProfilePurpose {
        /// Limits the whole charge point; connector 0 only.
        ChargePointMaxProfile = "ChargePointMaxProfile",
        /// Limits every transaction without a profile of its own.
        TxDefaultProfile = "TxDefaultProfile",
        /// Limits one transaction.
        TxProfile = "TxProfile",
    }
}

spelled! {
    /// `ChargingProfileKindType` (OCPP 1.6 §7.10).
    pub enum ChargingProfileKind {
        /// Counts from `startSchedule`.
        Absolute = "Absolute",
        /// Starts again every day or week.
        Recurring = "Recurring",
        /// Counts from the start of the transaction.
        Relative = "Relative",
    }
}

spelled! {
    /// `RecurrencyKindType` (OCPP 1.6 §7.39).
    pub enum RecurrencyKind {
        /// Every 24 hours.
        Daily = "Daily",
        /// Every 7 days.
        Weekly = "Weekly",
    }
}

spelled! {
    /// `ChargingRateUnitType` (OCPP 1.6 §7.12).
    pub enum ChargingRateUnit {
        /// Watts over all phases.
        Watts = "W",
        /// Amperes of each phase.
        Amperes = "A",
    }
}

/// A decimal with one fraction digit, in tenths: 16.5 is `Tenths(165)`.
///
/// Written as `16` or `16.5`, never as `16.49999`; read from numbers and numeric strings, rounded
/// down, kept in range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tenths(pub i32);

impl Tenths {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Of a whole number.
    pub const fn from_whole(value: i32) -> Self {
        Self(value.saturating_mul(10))
    }

    /// Of a current in amperes, rounded down.
    pub const fn of_amps(current: MilliAmps) -> Self {
        Self(current.0.div_euclid(100))
    }

    /// Of a power in watts.
    pub const fn of_watts(power: Watts) -> Self {
        Self::from_whole(power.0)
    }

    /// As amperes.
    pub const fn amps(self) -> MilliAmps {
        MilliAmps(self.0.saturating_mul(100))
    }

    /// As watts, rounded down.
    pub const fn watts(self) -> Watts {
        Watts(self.0.div_euclid(10))
    }

    /// Reads a decimal number; rounds down to a tenth.
    pub fn parse(text: &str) -> Option<Self> {
        Self::parse_plain(text).or_else(|| Self::parse_float(text))
    }

    /// Digits and at most one point, without the detour over binary fractions.
    fn parse_plain(text: &str) -> Option<Self> {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if whole.is_empty() || whole.len() > 9 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let first = fraction.bytes().next().map_or(0, |b| i64::from(b - b'0'));
        let magnitude = whole.parse::<i64>().ok()? * 10 + first;
        let cut_off = fraction.bytes().skip(1).any(|b| b != b'0');
        let tenths = match (negative, cut_off) {
            (false, _) => magnitude,
            (true, false) => -magnitude,
            (true, true) => -magnitude - 1,
        };
        Some(Self(saturate(tenths)))
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float cast saturates, and that is meant"
    )]
    fn parse_float(text: &str) -> Option<Self> {
        let value: f64 = text.parse().ok()?;
        (!value.is_nan()).then(|| Self((value * 10.0).floor() as i32))
    }
}

fn saturate(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(if value < 0 { i32::MIN } else { i32::MAX })
}

impl fmt::Display for Tenths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", f64::from(self.0) / 10.0)
    }
}

impl Serialize for Tenths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 10 == 0 {
            serializer.serialize_i32(self.0 / 10)
        } else {
            serializer.serialize_f64(f64::from(self.0) / 10.0)
        }
    }
}

impl<'de> Deserialize<'de> for Tenths {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::required(deserializer)
    }
}

impl FromToken<'_> for Tenths {
    const EXPECTED: &'static str = "a number";

    fn from_token(token: Token<'_>) -> Option<Self> {
        match token {
            Token::Number(digits) => Self::parse(digits),
            Token::Text(text) => Self::parse(text.trim()),
            Token::Null | Token::Bool(_) | Token::Nested(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_profile_is_written_with_the_names_of_the_specification_and_without_null() {
        let profile = ChargingProfile {
            charging_profile_id: 1,
            transaction_id: None,
            stack_level: 0,
            charging_profile_purpose: ChargingProfilePurpose::TxDefaultProfile,
            charging_profile_kind: ChargingProfileKind::Absolute,
            recurrency_kind: None,
            valid_from: None,
            valid_to: None,
            charging_schedule: ChargingSchedule {
                duration: Some(86_400),
                start_schedule: Some(time("2026-01-14T10:00:00.7Z")),
                charging_rate_unit: ChargingRateUnit::Amperes,
                charging_schedule_period: vec![ChargingSchedulePeriod {
                    start_period: 0,
                    limit: Tenths::of_amps(MilliAmps(10_799)),
                    number_phases: Some(3),
                }],
                min_charging_rate: None,
            },
        };
        let text = serde_json::to_string(&profile).unwrap();
        assert_eq!(
            text,
            r#"{"chargingProfileId":1,"stackLevel":0,"chargingProfilePurpose":"TxDefaultProfile","chargingProfileKind":"Absolute","chargingSchedule":{"duration":86400,"startSchedule":"2026-01-14T10:00:00Z","chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":10.7,"numberPhases":3}]}}"#
        );
    }

    #[test]
    fn a_profile_is_read_whatever_the_types_of_its_numbers() {
        let profile: ChargingProfile = serde_json::from_str(
            r#"{"chargingProfileId":"7","transactionId":null,"stackLevel":1.0,
                "chargingProfilePurpose":"txprofile","chargingProfileKind":"Relative","extra":[],
                "recurrencyKind":"Hourly","validTo":"2026-01-15 10:00:00+01",
                "chargingSchedule":{"duration":{},"chargingRateUnit":"w","chargingSchedulePeriod":[
                    {"startPeriod":0,"limit":"11040"},null,{"startPeriod":60,"limit":7.25}]}}"#,
        )
        .unwrap();
        assert_eq!(profile.charging_profile_id, 7);
        assert_eq!((profile.transaction_id, profile.stack_level), (None, 1));
        assert_eq!(profile.recurrency_kind, None);
        assert_eq!(profile.valid_to, Some(time("2026-01-15T09:00:00Z")));
        assert_eq!(profile.charging_schedule.duration, None);
        let limits: Vec<_> = profile
            .charging_schedule
            .charging_schedule_period
            .iter()
            .map(|period| period.limit)
            .collect();
        assert_eq!(limits, [Tenths(110_400), Tenths(72)]);
    }

    #[test]
    fn tenths_are_rounded_down_and_never_show_binary_fractions() {
        for (text, tenths) in [
            ("16", 160),
            ("16.0", 160),
            ("16.49999", 164),
            ("8.7", 87),
            ("1.6e1", 160),
            ("-0.1", -1),
            ("-0.05", -1),
            ("1e12", i32::MAX),
            ("999999999999", i32::MAX),
            ("-999999999", i32::MIN),
        ] {
            assert_eq!(Tenths::parse(text), Some(Tenths(tenths)), "{text}");
        }
        for text in ["", ".", "x", "1.2.3", "NaN", "--1"] {
            assert_eq!(Tenths::parse(text), None, "{text}");
        }
        assert_eq!(serde_json::to_string(&Tenths(-1)).unwrap(), "-0.1");
        assert_eq!(serde_json::to_string(&Tenths(163)).unwrap(), "16.3");
        assert_eq!(serde_json::to_string(&Tenths(160)).unwrap(), "16");
    }

    #[test]
    fn every_tenth_survives_writing_and_reading() {
        for tenths in -1000..20_000 {
            let text = serde_json::to_string(&Tenths(tenths)).unwrap();
            assert_eq!(
                serde_json::from_str::<Tenths>(&text).unwrap(),
                Tenths(tenths)
            );
        }
    }
}
