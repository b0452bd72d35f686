//! What we ask of a wallbox after it appeared, in which order, and when (OCPP 1.6 §4.2, §5.8).
//!
//! Every step is best effort: an error or silence leads to the next one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Mono;
use crate::ids::{ConnectorId, IdTag};

use super::profile::Shape;

/// A wallbox that was heard after a reconnect is left alone for this long: some reboot in a loop
/// when commands come at once.
const SETTLE: Duration = Duration::from_secs(3);

/// The same, if nothing was heard.
const SETTLE_UNHEARD: Duration = Duration::from_secs(10);

/// Without a BootNotification by now, one is asked for.
const ASK_FOR_BOOT: Duration = Duration::from_secs(5);

/// Without a BootNotification by now, we go on without.
const NO_BOOT: Duration = Duration::from_mins(1);

/// Statuses that the wallbox did not send by itself after this are asked for.
const ASK_FOR_STATUS: Duration = Duration::from_secs(4);

/// What load management needs to see, the most important first. Short on purpose: some wallboxes
/// reboot when all measurands are configured.
pub(super) const MEASURANDS: [&str; 4] = [
    "Current.Import",
    "Energy.Active.Import.Register",
    "Power.Active.Import",
    "Current.Offered",
];

pub(super) const SAMPLE_INTERVAL: &str = "MeterValueSampleInterval";
pub(super) const SAMPLED_DATA: &str = "MeterValuesSampledData";

/// Asked for one by one where the wallbox does not list its keys.
const ESSENTIAL_KEYS: [&str; 6] = [
    "ChargeProfileMaxStackLevel",
    "ChargingScheduleAllowedChargingRateUnit",
    SAMPLE_INTERVAL,
    SAMPLED_DATA,
    "WebSocketPingInterval",
    "PlugAndChargeIdentifier",
];

/// How a wallbox shall sample.
#[derive(Debug)]
pub(super) struct Sampling {
    /// `MeterValueSampleInterval`.
    pub interval: Duration,
    /// `MeterValuesSampledData`: the best list first; the next one where it is rejected.
    pub lists: VecDeque<String>,
}

/// What a wallbox told us of itself; remembered over restarts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Known {
    /// Vendor, model and firmware of its last BootNotification.
    pub boot: Option<Boot>,
    /// `ChargeProfileMaxStackLevel`.
    pub max_stack_level: Option<u32>,
    /// `ChargingScheduleAllowedChargingRateUnit`.
    pub units: RateUnits,
    /// The form of profile that works, by connector.
    pub shapes: BTreeMap<ConnectorId, Shape>,
    /// `PlugAndChargeIdentifier`: the only tag that some wallboxes take for a remote start.
    pub own_tag: Option<String>,
    /// Of the measurands that we want those that it takes together, where that is not all.
    #[serde(default)]
    pub measurands: Option<String>,
    /// Connectors that take no limit that ends by itself, or no floor below it.
    #[serde(default)]
    pub takes_no_dead_man: BTreeSet<ConnectorId>,
    /// The keys were read since it last booted.
    pub keys_read: bool,
}

/// In which units a wallbox says it can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) enum RateUnits {
    /// It does not say.
    #[default]
    Unknown,
    /// Amperes.
    Amps,
    /// Watts.
    Watts,
    /// Either.
    Both,
}

/// Who a wallbox is, by its BootNotification.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Boot {
    /// `chargePointVendor`.
    pub vendor: String,
    /// `chargePointModel`.
    pub model: String,
    /// `firmwareVersion`.
    pub firmware: String,
    /// `chargePointSerialNumber`, else `chargeBoxSerialNumber`.
    pub serial: String,
}

/// One thing to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// TriggerMessage(BootNotification).
    TriggerBoot,
    /// ClearChargingProfile of everything, ours included (`clear-on-connect`).
    ClearAll,
    /// RemoteStartTransaction.
    RemoteStart(ConnectorId, IdTag),
    /// GetConfiguration of everything.
    AllKeys,
    /// GetConfiguration of one key.
    Key(&'static str),
    /// ChangeConfiguration.
    Change {
        /// Which key.
        key: &'static str,
        /// To what.
        value: String,
    },
    /// ChangeConfiguration(MeterValuesSampledData) with one measurand, to find out which are known.
    TryMeasurand(&'static str),
    /// ChangeConfiguration(MeterValuesSampledData) with those that were accepted one by one.
    AcceptedMeasurands,
    /// TriggerMessage(StatusNotification), if none came by itself.
    TriggerStatus(ConnectorId),
    /// TriggerMessage(MeterValues).
    TriggerMeterValues(ConnectorId),
    /// The profile below ours.
    Floor(ConnectorId),
    /// ClearChargingProfile of one of ours that is not needed any more.
    Clear(i64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// No link.
    Away,
    /// Connected; nothing may be asked yet but for a BootNotification.
    Settling {
        since: Mono,
        heard: bool,
        asked: bool,
    },
    /// Commands may be sent.
    Ready,
}

/// The set-up of one connection.
#[derive(Debug)]
pub(super) struct SetUp {
    stage: Stage,
    steps: VecDeque<(Mono, Step)>,
    /// Lists of measurands to try where the last one is rejected.
    other_measurands: VecDeque<String>,
    accepted_measurands: Vec<&'static str>,
    /// The list of accepted measurands was too long.
    is_shortened: bool,
}

impl Default for SetUp {
    fn default() -> Self {
        Self {
            stage: Stage::Away,
            steps: VecDeque::new(),
            other_measurands: VecDeque::new(),
            accepted_measurands: Vec::new(),
            is_shortened: false,
        }
    }
}

impl SetUp {
    /// A connection begins.
    pub(super) fn connected(&mut self, now: Mono) {
        *self = Self::default();
        self.stage = Stage::Settling {
            since: now,
            heard: false,
            asked: false,
        };
    }

    /// The connection is gone.
    pub(super) fn disconnected(&mut self) {
        *self = Self::default();
    }

    /// May commands be sent?
    pub(super) fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Must the next step be taken before any limit is told?
    pub(super) fn comes_before_limits(&self, keys_read: bool) -> bool {
        match self.steps.front() {
            Some((_, Step::ClearAll)) => true,
            Some((_, Step::AllKeys | Step::Key(_))) => !keys_read,
            _ => false,
        }
    }

    /// A message arrived that is no BootNotification.
    pub(super) fn heard(&mut self) {
        if let Stage::Settling { heard, .. } = &mut self.stage {
            *heard = true;
        }
    }

    /// The wallbox booted, or time is up: from now on commands may be sent.
    ///
    /// `keys` says whether its keys are to be read; `connectors` are those of ours.
    pub(super) fn begin(
        &mut self,
        now: Mono,
        keys: bool,
        connectors: impl Iterator<Item = ConnectorId>,
    ) {
        self.stage = Stage::Ready;
        self.steps.clear();
        if keys {
            self.steps.push_back((now, Step::AllKeys));
        }
        for connector in connectors {
            self.steps
                .push_back((now + ASK_FOR_STATUS, Step::TriggerStatus(connector)));
            self.steps
                .push_back((now + ASK_FOR_STATUS, Step::TriggerMeterValues(connector)));
        }
    }

    /// Looks at the clock while settling; true when it is time to begin without a boot.
    pub(super) fn settled(&mut self, now: Mono, boot_known: bool) -> bool {
        let Stage::Settling {
            since,
            heard,
            asked,
        } = &mut self.stage
        else {
            return false;
        };
        let waited = now.since(*since);
        if boot_known {
            return waited >= if *heard { SETTLE } else { SETTLE_UNHEARD };
        }
        if waited >= ASK_FOR_BOOT && !*asked {
            *asked = true;
            self.steps.push_back((now, Step::TriggerBoot));
        }
        waited >= NO_BOOT
    }

    /// When something may change by time alone.
    pub(super) fn poll_timeout(&self, boot_known: bool) -> Option<Mono> {
        match self.stage {
            Stage::Away => None,
            Stage::Settling { since, heard, .. } if boot_known => {
                Some(since + if heard { SETTLE } else { SETTLE_UNHEARD })
            }
            Stage::Settling { since, asked, .. } => {
                Some(since + if asked { NO_BOOT } else { ASK_FOR_BOOT })
            }
            Stage::Ready => self.steps.front().map(|(due, _)| *due),
        }
    }

    /// The next step that is due.
    pub(super) fn next(&mut self, now: Mono) -> Option<Step> {
        let (due, _) = self.steps.front()?;
        if *due > now {
            None
        } else {
            self.steps.pop_front().map(|(_, step)| step)
        }
    }

    /// Puts a step before all that wait.
    pub(super) fn first(&mut self, now: Mono, step: Step) {
        self.steps.push_front((now, step));
    }

    /// GetConfiguration of everything failed: ask for what matters, one key at a time.
    pub(super) fn keys_one_by_one(&mut self, now: Mono) {
        for key in ESSENTIAL_KEYS.into_iter().rev() {
            self.first(now, Step::Key(key));
        }
    }

    /// Reads those keys again that say how the wallbox samples, unless all are read soon.
    pub(super) fn read_sampling(&mut self, now: Mono) {
        for key in [SAMPLED_DATA, SAMPLE_INTERVAL] {
            let is_read = |step: &Step| *step == Step::AllKeys || *step == Step::Key(key);
            if !self.steps.iter().any(|(_, step)| is_read(step)) {
                self.first(now, Step::Key(key));
            }
        }
    }

    /// The wallbox's keys are known: change what differs from what we need, and nothing else.
    pub(super) fn configure(
        &mut self,
        now: Mono,
        (key, value, readonly): (&str, &str, bool),
        sampling: &Sampling,
    ) {
        if readonly {
            return;
        }
        let seconds = sampling.interval.as_secs().max(1).to_string();
        if key.eq_ignore_ascii_case(SAMPLE_INTERVAL) && value.trim() != seconds {
            self.first(
                now,
                Step::Change {
                    key: SAMPLE_INTERVAL,
                    value: seconds,
                },
            );
        } else if key.eq_ignore_ascii_case("WebSocketPingInterval") && value.trim() != "30" {
            self.first(
                now,
                Step::Change {
                    key: "WebSocketPingInterval",
                    value: "30".to_owned(),
                },
            );
        } else if key.eq_ignore_ascii_case(SAMPLED_DATA) {
            let has = |wanted: &str| {
                value
                    .split(',')
                    .any(|v| v.trim().eq_ignore_ascii_case(wanted))
            };
            let best = sampling.lists.front();
            if best.is_some_and(|best| !best.split(',').all(has)) {
                self.other_measurands.clone_from(&sampling.lists);
                self.try_other_measurands(now);
            }
        }
    }

    /// The next list of measurands; after the last one it is found out which are known.
    pub(super) fn try_other_measurands(&mut self, now: Mono) {
        let Some(value) = self.other_measurands.pop_front() else {
            self.probe_measurands(now);
            return;
        };
        let key = SAMPLED_DATA;
        self.first(now, Step::Change { key, value });
    }

    /// The list of measurands was rejected as a whole (OCPP 1.6 §9.1.15): find out which are known.
    fn probe_measurands(&mut self, now: Mono) {
        self.accepted_measurands.clear();
        self.is_shortened = false;
        self.first(now, Step::AcceptedMeasurands);
        for measurand in MEASURANDS.into_iter().rev() {
            self.first(now, Step::TryMeasurand(measurand));
        }
    }

    /// The wallbox knows this measurand.
    pub(super) fn measurand_accepted(&mut self, measurand: &'static str) {
        self.accepted_measurands.push(measurand);
    }

    /// Those it knows, as the value of the key; `None` if that is set already, or if there is none.
    pub(super) fn accepted_measurands(&self) -> Option<String> {
        let known = self.accepted_measurands.len();
        let differs = known > 1 || (known == 1 && self.is_shortened);
        differs.then(|| self.accepted_measurands.join(","))
    }

    /// Those that it has now; `None` if there is none.
    pub(super) fn known_measurands(&self) -> Option<String> {
        let all = self.accepted_measurands.join(",");
        Some(all).filter(|all| !all.is_empty())
    }

    /// The wallbox knows all of them, but takes no list of so many
    /// (`MeterValuesSampledDataMaxLength`): the least important one is left out.
    pub(super) fn shorten_measurands(&mut self, now: Mono) {
        self.accepted_measurands.pop();
        self.is_shortened = true;
        self.first(now, Step::AcceptedMeasurands);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn connected() -> SetUp {
        let mut set_up = SetUp::default();
        set_up.connected(at(0));
        set_up
    }

    #[test]
    fn a_wallbox_that_was_never_seen_is_asked_for_its_boot_once_after_5_seconds() {
        let mut set_up = connected();
        assert!(!set_up.settled(at(4), false));
        assert_eq!(set_up.next(at(4)), None);
        assert!(!set_up.settled(at(5), false));
        assert_eq!(set_up.next(at(5)), Some(Step::TriggerBoot));
        assert!(!set_up.settled(at(59), false));
        assert_eq!(set_up.next(at(59)), None, "once is enough");
        assert!(
            set_up.settled(at(60), false),
            "after a minute we go on without"
        );
    }

    #[test]
    fn a_known_wallbox_that_reconnects_without_a_boot_is_used_after_it_was_heard() {
        let mut set_up = connected();
        set_up.heard();
        assert!(!set_up.settled(at(2), true));
        assert!(set_up.settled(at(3), true));
    }

    #[test]
    fn a_known_wallbox_that_reconnects_and_says_nothing_is_used_after_10_seconds() {
        let mut set_up = connected();
        assert!(!set_up.settled(at(9), true));
        assert!(set_up.settled(at(10), true));
    }

    #[test]
    fn nothing_is_changed_that_is_already_right_or_read_only() {
        let mut set_up = connected();
        let sampling = |list: &str| Sampling {
            interval: Duration::from_secs(10),
            lists: [list.to_owned()].into(),
        };
        let all = sampling(&MEASURANDS.join(","));
        set_up.configure(at(0), ("MeterValueSampleInterval", "10", false), &all);
        set_up.configure(at(0), ("metervaluessampleddata", "X", true), &all);
        let spaced = MEASURANDS.join(" , ");
        set_up.configure(at(0), ("MeterValuesSampledData", &spaced, false), &all);
        let one = sampling(MEASURANDS[1]);
        set_up.configure(
            at(0),
            ("MeterValuesSampledData", MEASURANDS[1], false),
            &one,
        );
        assert_eq!(set_up.next(at(0)), None);
        set_up.configure(at(0), ("metervaluesampleinterval", "60", false), &all);
        let change = Step::Change {
            key: "MeterValueSampleInterval",
            value: "10".into(),
        };
        assert_eq!(set_up.next(at(0)), Some(change));
    }

    #[test]
    fn after_a_rejected_list_each_measurand_is_tried_and_the_accepted_ones_are_joined() {
        let mut set_up = connected();
        set_up.probe_measurands(at(0));
        for measurand in MEASURANDS {
            assert_eq!(set_up.next(at(0)), Some(Step::TryMeasurand(measurand)));
        }
        set_up.measurand_accepted(MEASURANDS[0]);
        assert_eq!(set_up.accepted_measurands(), None, "it is already set");
        set_up.measurand_accepted(MEASURANDS[2]);
        assert_eq!(set_up.next(at(0)), Some(Step::AcceptedMeasurands));
        let both = "Current.Import,Power.Active.Import";
        assert_eq!(set_up.accepted_measurands().as_deref(), Some(both));
    }

    #[test]
    fn a_list_of_known_measurands_that_is_too_long_loses_the_least_important() {
        let mut set_up = connected();
        for measurand in MEASURANDS {
            set_up.measurand_accepted(measurand);
        }
        for left in [3, 2, 1] {
            set_up.shorten_measurands(at(0));
            let list = MEASURANDS[..left].join(",");
            assert_eq!(set_up.accepted_measurands(), Some(list));
        }
        set_up.shorten_measurands(at(0));
        assert_eq!(set_up.accepted_measurands(), None);
    }
}
