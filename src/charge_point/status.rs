//! The status of the connector as its backend hears it (OCPP 1.6 §4.9): which may follow on which,
//! and what is wrong.

use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::ids::ConnectorId;
use crate::modbus::power_brain::Pilot;
use crate::ocpp::ChargePointStatus::{
    self, Available, Charging, Faulted, Finishing, Preparing, Reserved, SuspendedEV, SuspendedEVSE,
    Unavailable,
};
use crate::ocpp::messages::{ChargePointErrorCode, StatusNotification};
use crate::ocpp::timestamp;

/// Whose error codes are told beside those of OCPP.
pub(super) const VENDOR: &str = "cFos";

/// What a connector does, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) status: ChargePointStatus,
    pub(super) error: ChargePointErrorCode,
    /// For a person; at most 50 characters. A change of it alone is not told.
    pub(super) info: Option<&'static str>,
    vendor_error: Option<String>,
}

impl Condition {
    /// Nothing is wrong.
    pub(super) fn sound(status: ChargePointStatus) -> Self {
        Self {
            status,
            error: ChargePointErrorCode::NoError,
            info: None,
            vendor_error: None,
        }
    }

    /// What is wrong where the control pilot is in this state.
    pub(super) fn fault(pilot: Pilot) -> Option<Self> {
        let (error, vendor_error, info) = match pilot {
            Pilot::Free | Pilot::Plugged | Pilot::Charging | Pilot::Ventilated => return None,
            Pilot::NoPower => (
                ChargePointErrorCode::OtherError,
                "E".to_owned(),
                "control pilot state E: no power",
            ),
            Pilot::Error => (
                ChargePointErrorCode::InternalError,
                "F".to_owned(),
                "control pilot state F",
            ),
            Pilot::DcSensor => (
                ChargePointErrorCode::GroundFailure,
                "9".to_owned(),
                "the DC residual current sensor has tripped",
            ),
            Pilot::Unknown(state) => (
                ChargePointErrorCode::OtherError,
                state.to_string(),
                "unknown state of the control pilot",
            ),
        };
        Some(Self {
            status: Faulted,
            error,
            info: Some(info),
            vendor_error: Some(vendor_error),
        })
    }

    fn sounds_like(&self, other: &Self) -> bool {
        (self.status, self.error) == (other.status, other.error)
            && self.vendor_error == other.vendor_error
    }

    fn notification(&self, since: Now) -> StatusNotification {
        StatusNotification {
            connector_id: ConnectorId(1),
            error_code: self.error,
            info: self.info.map(ToOwned::to_owned),
            status: self.status,
            timestamp: Some(timestamp::format(since.wall)),
            vendor_id: self.vendor_error.as_ref().map(|_| VENDOR.to_owned()),
            vendor_error_code: self.vendor_error.clone(),
        }
    }
}

/// What may follow on a status of a connector.
const fn followers(of: ChargePointStatus) -> &'static [ChargePointStatus] {
    match of {
        Available => &[
            Preparing,
            Charging,
            SuspendedEV,
            SuspendedEVSE,
            Reserved,
            Unavailable,
            Faulted,
        ],
        Preparing => &[
            Available,
            Charging,
            SuspendedEV,
            SuspendedEVSE,
            Finishing,
            Faulted,
        ],
        Charging => &[
            Available,
            SuspendedEV,
            SuspendedEVSE,
            Finishing,
            Unavailable,
            Faulted,
        ],
        SuspendedEV => &[
            Available,
            Charging,
            SuspendedEVSE,
            Finishing,
            Unavailable,
            Faulted,
        ],
        SuspendedEVSE => &[
            Available,
            Charging,
            SuspendedEV,
            Finishing,
            Unavailable,
            Faulted,
        ],
        Finishing | Reserved => &[Available, Preparing, Unavailable, Faulted],
        Unavailable => &[
            Available,
            Preparing,
            Charging,
            SuspendedEV,
            SuspendedEVSE,
            Faulted,
        ],
        Faulted => &[
            Available,
            Preparing,
            Charging,
            SuspendedEV,
            SuspendedEVSE,
            Finishing,
            Reserved,
            Unavailable,
        ],
    }
}

pub(super) fn may_follow(from: ChargePointStatus, to: ChargePointStatus) -> bool {
    from == to || followers(from).contains(&to)
}

/// The status to go by where `to` may not follow on `from`. An end comes before what begins.
fn between(from: ChargePointStatus, to: ChargePointStatus) -> Option<ChargePointStatus> {
    if may_follow(from, to) {
        return None;
    }
    [Finishing, Preparing, Available]
        .into_iter()
        .find(|by| may_follow(from, *by) && may_follow(*by, to))
}

/// What the backend was told.
#[derive(Debug, Default)]
pub(super) struct Heard {
    told: Option<Condition>,
    /// What it is now, and since when.
    current: Option<(ChargePointStatus, Now)>,
    anew: bool,
    /// When it will have lasted for long enough to be told.
    due: Option<Mono>,
}

impl Heard {
    /// The device was away for so long that its backend may have been told otherwise.
    pub(super) fn tell_anew(&mut self) {
        self.anew = true;
    }

    /// When time alone changes something.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.due
    }

    /// Nobody knows what it is now.
    pub(super) fn look_away(&mut self) {
        self.due = None;
    }

    /// What is to be told of what it is now, in this order. A status that has not lasted for
    /// `minimum` waits.
    pub(super) fn see(
        &mut self,
        now: Now,
        condition: &Condition,
        minimum: Duration,
    ) -> Vec<StatusNotification> {
        self.due = None;
        let status = condition.status;
        let since = self
            .current
            .filter(|(before, _)| *before == status)
            .map_or(now, |(_, since)| since);
        self.current = Some((status, since));
        let anew = std::mem::take(&mut self.anew);
        let told = self.told.as_ref();
        if !anew && told.is_some_and(|told| told.sounds_like(condition)) {
            return Vec::new();
        }
        let same = told.is_none_or(|told| told.status == status);
        if !same && !anew && now.mono.since(since.mono) < minimum {
            self.due = Some(since.mono + minimum);
            return Vec::new();
        }
        let by = told.and_then(|told| between(told.status, status));
        let by = by.map(|by| Condition::sound(by).notification(since));
        // Of an error that comes or goes the status knows nothing.
        let changed = if same && told.is_some() && !anew {
            now
        } else {
            since
        };
        let words = by.into_iter().chain([condition.notification(changed)]);
        let words = words.collect();
        self.told = Some(condition.clone());
        words
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> Now {
        let noon: crate::clock::Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        Now {
            mono: Mono(Duration::from_secs(seconds)),
            wall: noon + Duration::from_secs(seconds),
        }
    }

    fn said(words: &[StatusNotification]) -> Vec<ChargePointStatus> {
        words.iter().map(|word| word.status).collect()
    }

    #[test]
    fn from_every_status_to_every_other_it_is_one_step_or_two_and_each_is_legal() {
        for from in ChargePointStatus::ALL {
            for to in ChargePointStatus::ALL {
                match between(from, to) {
                    None => assert!(may_follow(from, to), "{from} to {to}"),
                    Some(by) => {
                        assert!(!may_follow(from, to), "{from} to {to}");
                        assert!(may_follow(from, by) && by != from, "{from} by {by}");
                        assert!(may_follow(by, to) && by != to, "{by} to {to}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_preparation_becomes_unavailable_by_its_end_and_what_ended_charges_by_a_new_one() {
        assert_eq!(between(Preparing, Unavailable), Some(Finishing));
        assert_eq!(between(Charging, Preparing), Some(Finishing));
        assert_eq!(between(Finishing, Charging), Some(Preparing));
        assert_eq!(between(Available, Finishing), Some(Preparing));
        assert_eq!(between(Preparing, Reserved), Some(Available));
        assert_eq!(between(Charging, Available), None);
    }

    #[test]
    fn a_status_that_lasts_for_less_than_the_minimum_is_not_told() {
        let mut heard = Heard::default();
        let minimum = Duration::from_secs(10);
        let mut see = |second, status| {
            let words = heard.see(at(second), &Condition::sound(status), minimum);
            (said(&words), heard.poll_timeout())
        };
        assert_eq!(see(0, Available), (vec![Available], None), "the first");
        let due = Some(at(15).mono);
        assert_eq!(see(5, Preparing), (vec![], due));
        assert_eq!(see(9, Available), (vec![], None));
        assert_eq!(see(20, Preparing), (vec![], Some(at(30).mono)));
        assert_eq!(see(25, Charging), (vec![], Some(at(35).mono)));
        assert_eq!(see(35, Charging), (vec![Charging], None));
    }

    #[test]
    fn what_is_told_late_says_since_when_it_has_been() {
        let mut heard = Heard::default();
        let minimum = Duration::from_secs(10);
        heard.see(at(0), &Condition::sound(Available), minimum);
        heard.see(at(5), &Condition::sound(Preparing), minimum);
        let words = heard.see(at(60), &Condition::sound(Preparing), minimum);
        assert_eq!(words[0].timestamp.as_deref(), Some("2026-06-01T12:00:05Z"));
    }

    #[test]
    fn an_error_that_comes_or_goes_is_told_at_once_though_the_status_stays() {
        let mut heard = Heard::default();
        let minimum = Duration::from_secs(10);
        let warned = Condition {
            error: ChargePointErrorCode::PowerMeterFailure,
            ..Condition::sound(Charging)
        };
        heard.see(at(0), &Condition::sound(Charging), minimum);
        let words = heard.see(at(7), &warned, minimum);
        assert_eq!(words[0].error_code, ChargePointErrorCode::PowerMeterFailure);
        assert_eq!(words[0].timestamp.as_deref(), Some("2026-06-01T12:00:07Z"));
        let words = heard.see(at(8), &Condition::sound(Charging), minimum);
        assert_eq!(words[0].error_code, ChargePointErrorCode::NoError);
    }

    #[test]
    fn every_fault_has_a_code_and_words_that_fit() {
        for pilot in [
            Pilot::NoPower,
            Pilot::Error,
            Pilot::DcSensor,
            Pilot::Unknown(77),
        ] {
            let fault = Condition::fault(pilot).unwrap();
            assert_ne!(fault.error, ChargePointErrorCode::NoError);
            assert!(fault.info.is_some_and(|info| info.len() <= 50));
            assert!(fault.vendor_error.is_some());
        }
        let dc = Condition::fault(Pilot::DcSensor).unwrap();
        assert_eq!(dc.error, ChargePointErrorCode::GroundFailure);
        assert_eq!(Condition::fault(Pilot::Ventilated), None);
    }

    proptest! {
        #[test]
        fn whatever_happens_each_word_may_follow_on_the_last_and_the_last_is_true_in_the_end(
            minimum in 0..20_u64,
            changes in prop::collection::vec((0..30_u64, prop::sample::select(ChargePointStatus::ALL.to_vec())), 1..60),
        ) {
            let minimum = Duration::from_secs(minimum);
            let (mut heard, mut now) = (Heard::default(), 0);
            let mut told: Option<ChargePointStatus> = None;
            let (_, last) = changes[changes.len() - 1];
            for (wait, status) in changes.into_iter().chain([(20, last)]) {
                now += wait;
                for word in heard.see(at(now), &Condition::sound(status), minimum) {
                    prop_assert!(told.is_none_or(|told| told != word.status && may_follow(told, word.status)));
                    told = Some(word.status);
                }
            }
            prop_assert_eq!(told, Some(last));
        }
    }
}
