//! The charging profile that we keep on each connector of a wallbox (OCPP 1.6 §3.13, §5.16).
//!
//! Its form is a rung of the [ladder](super::ladder); usually a `TxDefaultProfile` of the connector
//! whose limit is updated in place: it needs no transaction id and acts on running transactions
//! too (errata v4).

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::ConnectorId;
use crate::ocpp::charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit,
    ChargingSchedule, ChargingSchedulePeriod, Tenths,
};
use crate::ocpp::messages::SetChargingProfile;
use crate::units::{MilliAmps, MilliVolts, Watts};

use super::plan::{Kind, Purpose, Unit};

/// Our profile ids are this plus the connector. What may lie there at once has ids of its own: the
/// floor below, the profile of a transaction, and those of a form that is told everywhere.
const PROFILE_ID: i64 = 1000;
const FLOOR_ID: i64 = 2000;
const TRANSACTION_ID: i64 = 3000;
const MAXIMUM_ID: i64 = 4000;
const WHOLE_BOX_ID: i64 = 5000;

/// An absolute schedule starts this long ago, so that a wallbox whose clock lags has begun it.
const STARTED_BEFORE: SignedDuration = SignedDuration::from_hours(24);

/// One that ends by itself starts this long ago.
pub(super) const BEGUN_BEFORE: Duration = Duration::from_mins(1);

/// When an absolute schedule starts. A wallbox whose clock was never set would not begin one of
/// this year: its schedule starts when its clock did.
pub(super) fn start_of_schedule(wall: Timestamp, clock_is_set: bool) -> Timestamp {
    if clock_is_set {
        wall.checked_sub(STARTED_BEFORE).unwrap_or(wall)
    } else {
        Timestamp::UNIX_EPOCH
    }
}

/// When the schedule of a limit with a life starts: a wallbox whose clock lags more, or is far
/// ahead, falls to the floor below, and not to an older day.
pub(super) fn start_of_life(wall: Timestamp) -> Timestamp {
    let before = SignedDuration::try_from(BEGUN_BEFORE).unwrap_or_default();
    wall.checked_sub(before).unwrap_or(wall)
}

/// What a profile for a connector looks like, apart from its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shape {
    /// What it governs.
    pub purpose: Purpose,
    /// It is installed on connector 0, for wallboxes with one connector that want it there.
    pub whole_box: bool,
    /// What it counts from.
    pub kind: Kind,
    /// Higher wins.
    pub stack_level: u32,
    /// Of the limit.
    pub unit: Unit,
    /// Rounded down to whole amperes.
    pub whole: bool,
    /// Told in every place at once, for wallboxes that accept it in places that they ignore.
    #[serde(default)]
    pub everywhere: bool,
}

/// A step of wallboxes that know whole amperes only.
pub(super) const WHOLE: MilliAmps = MilliAmps::from_amps(1);

/// Where a profile may be installed: its purpose, and whether on connector 0.
pub(super) type Place = (Purpose, bool);

/// What a profile is made for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// The connector of the EVSE.
    pub connector: ConnectorId,
    /// Its wired phases.
    pub phases: u8,
    /// Nominal phase voltage.
    pub voltage: MilliVolts,
    /// The id that the wallbox knows the open transaction by.
    pub transaction: Option<i64>,
    /// When an absolute schedule starts.
    pub start: Timestamp,
    /// How long after that it ends; `None` = never. The floor never does.
    pub duration: Option<Duration>,
}

impl Shape {
    /// What every wallbox should understand.
    pub(super) const PLAIN: Self = Self {
        purpose: Purpose::TxDefault,
        whole_box: false,
        kind: Kind::Absolute,
        stack_level: 0,
        unit: Unit::Amps,
        whole: false,
        everywhere: false,
    };

    /// The id of our profile on a connector.
    fn profile_id(self, connector: ConnectorId) -> i64 {
        let base = match (self.everywhere, self.purpose, self.whole_box) {
            (_, Purpose::Tx, _) => TRANSACTION_ID,
            (true, Purpose::ChargePointMax, _) => MAXIMUM_ID,
            (true, Purpose::TxDefault, true) => WHOLE_BOX_ID,
            (false, Purpose::ChargePointMax, _) | (_, Purpose::TxDefault, _) => PROFILE_ID,
        };
        base + i64::from(connector.0)
    }

    /// Every id that a profile of ours may have on a connector, if none was told everywhere.
    pub(super) fn ids(connector: ConnectorId) -> [i64; 3] {
        [PROFILE_ID, FLOOR_ID, TRANSACTION_ID].map(|base| base + i64::from(connector.0))
    }

    /// The others, if one was.
    pub(super) fn ids_of_everywhere(connector: ConnectorId) -> [i64; 2] {
        [MAXIMUM_ID, WHOLE_BOX_ID].map(|base| base + i64::from(connector.0))
    }

    /// The id of the floor on a connector.
    pub(super) fn floor_id(connector: ConnectorId) -> i64 {
        FLOOR_ID + i64::from(connector.0)
    }

    /// There is a stack level for a floor below our profile, and it is told alone.
    pub(super) fn has_floor(self) -> bool {
        let absolute_default = self.kind == Kind::Absolute && self.purpose == Purpose::TxDefault;
        absolute_default && self.stack_level > 0 && !self.everywhere
    }

    /// The connector that the profile is installed on.
    pub(super) fn connector(self, connector: ConnectorId) -> ConnectorId {
        if self.whole_box {
            ConnectorId(0)
        } else {
            connector
        }
    }

    /// What is to be told for this limit, one after the other: one profile, or one in each of these
    /// places. The floor is then among them with the same limit: it may be all that is obeyed.
    pub(super) fn requests(
        self,
        places: &[Place],
        terms: &Terms,
        limit: MilliAmps,
    ) -> Vec<SetChargingProfile> {
        let of = |shape: Self, profile| SetChargingProfile {
            connector_id: shape.connector(terms.connector),
            cs_charging_profiles: profile,
        };
        if !self.everywhere {
            return vec![of(self, self.profile(terms, limit))];
        }
        let mut requests = Vec::new();
        for &(purpose, whole_box) in places {
            let here = Self {
                purpose,
                whole_box,
                ..self
            };
            let floor = here.floor(terms, limit).filter(|_| !whole_box);
            requests.push(of(here, here.profile(terms, limit)));
            requests.extend(floor.map(|floor| of(here, floor)));
        }
        requests
    }

    /// Our profile with this limit.
    fn profile(self, terms: &Terms, limit: MilliAmps) -> ChargingProfile {
        self.build(self.profile_id(terms.connector), terms, limit)
    }

    /// The profile below ours: a wallbox whose clock stands before the start of ours (1970) is not
    /// left without a limit. `None` where there is no stack level below.
    pub(super) fn floor(self, terms: &Terms, limit: MilliAmps) -> Option<ChargingProfile> {
        let absolute_default = self.kind == Kind::Absolute && self.purpose == Purpose::TxDefault;
        let stack_level = self
            .stack_level
            .checked_sub(1)
            .filter(|_| absolute_default)?;
        let id = Self::floor_id(terms.connector);
        let below = Self {
            kind: Kind::Relative,
            stack_level,
            ..self
        };
        Some(below.build(id, terms, limit))
    }

    fn build(self, id: i64, terms: &Terms, limit: MilliAmps) -> ChargingProfile {
        let limit = if self.whole {
            limit.floor_to(WHOLE)
        } else {
            limit
        };
        let (unit, limit, number_phases) = match self.unit {
            Unit::Amps => (ChargingRateUnit::Amperes, Tenths::of_amps(limit), None),
            // W is the total over all phases; numberPhases absent means 3 (OCPP 1.6 §7.14).
            Unit::Watts => {
                let stated = (terms.phases != 3).then(|| i64::from(terms.phases));
                let watts = total_power(limit, terms.voltage, terms.phases);
                (ChargingRateUnit::Watts, Tenths::of_watts(watts), stated)
            }
        };
        let (start, duration) = match self.kind {
            Kind::Absolute => (Some(terms.start), terms.duration),
            Kind::Relative => (None, None),
        };
        ChargingProfile {
            charging_profile_id: id,
            transaction_id: terms.transaction.filter(|_| self.purpose == Purpose::Tx),
            stack_level: i64::from(self.stack_level),
            charging_profile_purpose: match self.purpose {
                Purpose::TxDefault => ChargingProfilePurpose::TxDefaultProfile,
                Purpose::Tx => ChargingProfilePurpose::TxProfile,
                Purpose::ChargePointMax => ChargingProfilePurpose::ChargePointMaxProfile,
            },
            charging_profile_kind: match self.kind {
                Kind::Absolute => ChargingProfileKind::Absolute,
                Kind::Relative => ChargingProfileKind::Relative,
            },
            recurrency_kind: None,
            valid_from: None,
            valid_to: None,
            charging_schedule: ChargingSchedule {
                duration: duration.and_then(|it| i64::try_from(it.as_secs()).ok()),
                start_schedule: start,
                charging_rate_unit: unit,
                charging_schedule_period: vec![ChargingSchedulePeriod {
                    start_period: 0,
                    limit,
                    number_phases,
                }],
                min_charging_rate: None,
            },
        }
    }
}

/// Rounded down to whole watts.
fn total_power(limit: MilliAmps, voltage: MilliVolts, phases: u8) -> Watts {
    let watts = i64::from(limit.0) * i64::from(voltage.0) * i64::from(phases) / 1_000_000;
    Watts(i32::try_from(watts).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMPS: Shape = Shape {
        stack_level: 8,
        ..Shape::PLAIN
    };

    fn terms(phases: u8) -> Terms {
        Terms {
            connector: ConnectorId(1),
            phases,
            voltage: MilliVolts(230_000),
            transaction: Some(77),
            start: start_of_schedule("2026-01-15T10:00:00Z".parse().unwrap(), true),
            duration: None,
        }
    }

    fn json(shape: Shape, phases: u8, milliamps: i32) -> serde_json::Value {
        serde_json::to_value(shape.profile(&terms(phases), MilliAmps(milliamps))).unwrap()
    }

    #[test]
    fn an_absolute_profile_began_a_day_ago_and_has_no_end() {
        let profile = json(AMPS, 3, 10_799);
        let expected = serde_json::json!({
            "chargingProfileId": 1001,
            "stackLevel": 8,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Absolute",
            "chargingSchedule": {
                "startSchedule": "2026-01-14T10:00:00Z",
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 10.7}],
            },
        });
        assert_eq!(profile, expected);
    }

    #[test]
    fn a_life_is_told_beside_its_start_and_never_to_the_floor() {
        let ten = "2026-01-15T10:00:00Z".parse().unwrap();
        let terms = Terms {
            start: start_of_life(ten),
            duration: Some(BEGUN_BEFORE + Duration::from_mins(10)),
            ..terms(3)
        };
        let schedule = AMPS.profile(&terms, MilliAmps(6000)).charging_schedule;
        assert_eq!(schedule.duration, Some(660));
        assert_eq!(schedule.start_schedule, "2026-01-15T09:59:00Z".parse().ok());
        let floor = AMPS.floor(&terms, MilliAmps(0)).unwrap().charging_schedule;
        assert_eq!((floor.start_schedule, floor.duration), (None, None));
    }

    #[test]
    fn a_relative_profile_has_no_start() {
        let profile = json(
            Shape {
                kind: Kind::Relative,
                ..AMPS
            },
            3,
            16_000,
        );
        assert_eq!(profile["chargingProfileKind"], "Relative");
        assert!(profile["chargingSchedule"].get("startSchedule").is_none());
    }

    #[test]
    fn watts_are_the_total_over_the_phases_which_are_named_unless_three() {
        let watts = Shape {
            unit: Unit::Watts,
            ..AMPS
        };
        let period = |phases| {
            json(watts, phases, 16_000)["chargingSchedule"]["chargingSchedulePeriod"][0].clone()
        };
        assert_eq!(
            period(3),
            serde_json::json!({"startPeriod": 0, "limit": 11040})
        );
        assert_eq!(
            period(1),
            serde_json::json!({"startPeriod": 0, "limit": 3680, "numberPhases": 1})
        );
    }

    #[test]
    fn the_profile_of_a_transaction_names_it_and_has_an_id_of_its_own() {
        let profile = json(
            Shape {
                purpose: Purpose::Tx,
                ..AMPS
            },
            3,
            16_000,
        );
        assert_eq!(
            (&profile["transactionId"], &profile["chargingProfileId"]),
            (&77.into(), &3001.into())
        );
    }

    #[test]
    fn whole_amperes_are_rounded_down() {
        let profile = json(
            Shape {
                whole: true,
                ..AMPS
            },
            3,
            10_700,
        );
        assert_eq!(
            profile["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"],
            10
        );
    }

    #[test]
    fn below_an_absolute_profile_lies_a_relative_one_where_there_is_a_level_for_it() {
        let floor = |shape: Shape| shape.floor(&terms(3), MilliAmps(0));
        let below = floor(AMPS).unwrap();
        assert_eq!((below.charging_profile_id, below.stack_level), (2001, 7));
        assert_eq!(below.charging_profile_kind, ChargingProfileKind::Relative);
        assert!(
            floor(Shape {
                stack_level: 0,
                ..AMPS
            })
            .is_none()
        );
        assert!(
            floor(Shape {
                kind: Kind::Relative,
                ..AMPS
            })
            .is_none()
        );
    }
}
