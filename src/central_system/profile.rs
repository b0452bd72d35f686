//! The one charging profile that we keep on each connector of a wallbox (OCPP 1.6 §3.13, §5.16).
//!
//! Its form is a rung of the [ladder](super::ladder); usually a `TxDefaultProfile` of the connector
//! whose limit is updated in place: it needs no transaction id and acts on running transactions
//! too (errata v4).

use std::time::Duration;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::clock::{Mono, Timestamp};
use crate::evse::{Limit, Offer};
use crate::ids::{ConnectorId, OfferNumber};
use crate::ocpp::charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit,
    ChargingSchedule, ChargingSchedulePeriod, Tenths,
};
use crate::units::{MilliAmps, MilliVolts, Watts};

use super::ladder::WHOLE;
use super::plan::{Kind, Purpose, Unit};

/// Our profile ids are this plus the connector. The floor below has ids of its own, and so has the
/// profile of a transaction, because both lie on the connector at once.
const PROFILE_ID: i64 = 1000;
const FLOOR_ID: i64 = 2000;
const TRANSACTION_ID: i64 = 3000;

/// An absolute schedule starts this long ago, so that a wallbox whose clock lags has begun it.
const STARTED_BEFORE: SignedDuration = SignedDuration::from_hours(24);

/// When an absolute schedule starts. A wallbox whose clock was never set would not begin one of
/// this year: its schedule starts when its clock did.
pub(super) fn start_of_schedule(wall: Timestamp, clock_is_set: bool) -> Timestamp {
    if clock_is_set {
        wall.checked_sub(STARTED_BEFORE).unwrap_or(wall)
    } else {
        Timestamp::UNIX_EPOCH
    }
}

/// After an answer that is no verdict (a CALLERROR, silence) the same limit is tried again.
const RETRY: Duration = Duration::from_secs(10);

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
}

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
    };

    /// The id of our profile on a connector.
    pub(super) fn profile_id(self, connector: ConnectorId) -> i64 {
        let base = match self.purpose {
            Purpose::TxDefault | Purpose::ChargePointMax => PROFILE_ID,
            Purpose::Tx => TRANSACTION_ID,
        };
        base + i64::from(connector.0)
    }

    /// Every id that a profile of ours may have on a connector.
    pub(super) fn ids(connector: ConnectorId) -> [i64; 3] {
        [PROFILE_ID, FLOOR_ID, TRANSACTION_ID].map(|base| base + i64::from(connector.0))
    }

    /// The connector that the profile is installed on.
    pub(super) fn connector(self, connector: ConnectorId) -> ConnectorId {
        if self.whole_box {
            ConnectorId(0)
        } else {
            connector
        }
    }

    /// Our profile with this limit.
    pub(super) fn profile(self, terms: &Terms, limit: MilliAmps) -> ChargingProfile {
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
        let id = FLOOR_ID + i64::from(terms.connector.0);
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
        let start = match self.kind {
            Kind::Absolute => Some(terms.start),
            Kind::Relative => None,
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
                duration: None,
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

/// What the load manager wants on a connector, and what the wallbox took.
#[derive(Debug, Default)]
pub(super) struct Setpoint {
    wanted: Option<Offer>,
    /// Accepted by the wallbox since it last (re)started, as far as we know.
    taken: Option<(OfferNumber, Limit)>,
    /// Accepted last, also if it may be forgotten by now.
    last: Option<Limit>,
    refused: Option<OfferNumber>,
    not_before: Option<Mono>,
}

/// Which way a waiting command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// Down, or from an unknown place: before everything else.
    Lowers,
    /// Up: after other commands.
    Raises,
}

impl Setpoint {
    /// The newest offer replaces any older.
    pub(super) fn want(&mut self, offer: Offer) {
        self.not_before = None;
        self.wanted = Some(offer);
    }

    /// The command that waits to be sent, and which way it goes.
    pub(super) fn pending(&self, now: Mono) -> Option<(&Offer, Direction)> {
        let wanted = self.wanted.as_ref()?;
        let done = self
            .taken
            .is_some_and(|(number, _)| number == wanted.number)
            || self.refused == Some(wanted.number)
            || self.not_before.is_some_and(|at| now < at);
        if done {
            return None;
        }
        let raises = self.taken.is_some_and(|(_, limit)| wanted.limit > limit);
        Some((
            wanted,
            if raises {
                Direction::Raises
            } else {
                Direction::Lowers
            },
        ))
    }

    /// Asks for no more than what was accepted last, so that it need not wait for the journal:
    /// what counts as lowering because the wallbox may have forgotten can still be a raise.
    pub(super) fn may_overtake(&self) -> bool {
        self.wanted
            .as_ref()
            .zip(self.last)
            .is_none_or(|(wanted, last)| wanted.limit <= last)
    }

    /// The wallbox accepted.
    pub(super) fn took(&mut self, number: OfferNumber, limit: Limit) {
        self.not_before = None;
        self.taken = Some((number, limit));
        self.last = Some(limit);
        self.refused = None;
    }

    /// The wallbox refused in every form that was tried.
    pub(super) fn refuse(&mut self, number: OfferNumber) {
        self.not_before = None;
        self.refused = Some(number);
    }

    /// No verdict on this offer came: what the wallbox holds now is unknown. A newer one does not
    /// wait for the retry.
    pub(super) fn unanswered(&mut self, now: Mono, number: OfferNumber) {
        self.taken = None;
        let newest = self.wanted.as_ref().map(|offer| offer.number);
        self.not_before = (newest == Some(number)).then(|| now + RETRY);
    }

    /// The wallbox restarted or came back: what it holds is unknown.
    pub(super) fn forget(&mut self) {
        self.taken = None;
        self.refused = None;
        self.not_before = None;
    }

    /// The wallbox said yes to this offer, and it is the newest one.
    pub(super) fn has_taken(&self, number: OfferNumber) -> bool {
        self.taken.is_some_and(|(taken, _)| taken == number)
            && self
                .wanted
                .as_ref()
                .is_some_and(|wanted| wanted.number == number)
    }

    /// The connector shall be, or is, free of limits.
    pub(super) fn wants_release(&self) -> bool {
        self.wanted
            .as_ref()
            .is_some_and(|wanted| wanted.limit == Limit::Released)
    }

    /// From when on a lowering waits to be sent.
    pub(super) fn lowers_from(&self) -> Option<Mono> {
        let at = self.not_before.unwrap_or(Mono::START);
        self.pending(at)
            .filter(|(_, way)| *way == Direction::Lowers)
            .map(|_| at)
    }

    /// When a retry is due.
    pub(super) fn retry_at(&self) -> Option<Mono> {
        self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evse::Reason;

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

    fn offer(number: u64, milliamps: i32) -> Offer {
        let limit = Limit::Current(MilliAmps(milliamps));
        Offer {
            number: OfferNumber(number),
            limit,
            reason: Reason::OwnMaximum,
            single_phase: false,
        }
    }

    fn direction(setpoint: &Setpoint, seconds: u64) -> Option<(u64, Direction)> {
        let now = Mono(Duration::from_secs(seconds));
        setpoint
            .pending(now)
            .map(|(offer, direction)| (offer.number.0, direction))
    }

    #[test]
    fn the_newest_offer_replaces_one_that_was_not_sent() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 6000));
        setpoint.want(offer(2, 0));
        assert_eq!(direction(&setpoint, 0), Some((2, Direction::Lowers)));
    }

    #[test]
    fn what_was_taken_is_not_sent_again_and_only_more_is_a_raise() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        assert_eq!(
            direction(&setpoint, 0),
            Some((1, Direction::Lowers)),
            "from an unknown place"
        );
        setpoint.took(OfferNumber(1), Limit::Current(MilliAmps(0)));
        assert_eq!(direction(&setpoint, 0), None);
        setpoint.want(offer(2, 16_000));
        assert_eq!(direction(&setpoint, 0), Some((2, Direction::Raises)));
    }

    #[test]
    fn after_silence_the_same_limit_is_tried_again_and_counts_as_lowering() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        setpoint.took(OfferNumber(1), Limit::Current(MilliAmps(0)));
        setpoint.want(offer(2, 16_000));
        setpoint.unanswered(Mono(Duration::from_secs(5)), OfferNumber(2));
        assert_eq!(direction(&setpoint, 14), None);
        assert_eq!(direction(&setpoint, 15), Some((2, Direction::Lowers)));
    }

    #[test]
    fn a_refused_offer_rests_until_the_next_one_or_a_restart() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        setpoint.refuse(OfferNumber(1));
        assert_eq!(direction(&setpoint, 99), None);
        setpoint.forget();
        assert_eq!(direction(&setpoint, 99), Some((1, Direction::Lowers)));
    }
}
