//! The charging profiles of a charge point and what they allow together (OCPP 1.6 §3.13, §5.7,
//! §5.16): for whoever plays the charge point.
//!
//! Where the specification leaves a choice: a gap in the `TxProfile`s falls back to the
//! `TxDefaultProfile`s; a default of a connector hides the one of connector 0 on the same stack
//! level only; `Absolute` without a start counts from the start of the transaction; a relative
//! `ChargePointMaxProfile` counts from its reception; a recurring one is silent before its start.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::charging_profile::{
    ChargingProfile, ChargingProfileKind, ChargingProfilePurpose, ChargingRateUnit,
    ChargingSchedule, ChargingSchedulePeriod, RecurrencyKind, Tenths,
};
use crate::ids::ConnectorId;
use crate::units::{MilliAmps, MilliVolts};

mod rules;

pub use rules::{Refusal, Rules, Running};

/// Phases of a limit that does not say how many (OCPP 1.6 §7.14).
const DEFAULT_PHASES: u8 = 3;

/// A composite schedule never looks further ahead than this, whatever is asked for.
const HORIZON: Duration = Duration::from_hours(31 * 24);

/// Nor does it look at more instants than this: an answer must not take seconds.
const MOST_STEPS: usize = 1000;

/// How a connector is wired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wiring {
    /// Phases that reach the car.
    pub phases: u8,
    /// Nominal, between a phase and neutral.
    pub voltage: MilliVolts,
    /// What the hardware can do, per phase.
    pub max: MilliAmps,
    /// It can charge on fewer phases than are wired.
    pub switches_phases: bool,
}

/// What may flow now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceiling {
    /// Of each phase.
    pub current: MilliAmps,
    /// Phases that may be used, where a profile says so.
    pub phases: Option<u8>,
    /// As the profile said it, where it spoke of power.
    watts: Option<Tenths>,
}

/// A profile as it was received.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Installed {
    connector: ConnectorId,
    received: Timestamp,
    profile: ChargingProfile,
}

/// Every profile that a charge point holds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstalledProfiles(Vec<Installed>);

/// Which profiles `ClearChargingProfile` means (OCPP 1.6 §6.13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ClearFilter {
    /// This very profile; then nothing else counts.
    pub id: Option<i64>,
    /// Those of this connector.
    pub connector: Option<ConnectorId>,
    /// Those of this purpose.
    pub purpose: Option<ChargingProfilePurpose>,
    /// Those of this stack level.
    pub stack_level: Option<i64>,
}

impl ClearFilter {
    /// Whether it means this profile; `connector` is `None` while none is chosen.
    pub fn means(&self, connector: Option<ConnectorId>, profile: &ChargingProfile) -> bool {
        if let Some(id) = self.id {
            return profile.charging_profile_id == id;
        }
        self.connector.is_none_or(|c| Some(c) == connector)
            && self
                .purpose
                .is_none_or(|p| p == profile.charging_profile_purpose)
            && self.stack_level.is_none_or(|l| l == profile.stack_level)
    }
}

impl InstalledProfiles {
    /// Keeps `profile` instead of the one with the same id, and instead of the one with the same
    /// purpose and stack level on that connector. Check it with [`Rules`] first.
    pub fn install(&mut self, connector: ConnectorId, profile: ChargingProfile, now: Timestamp) {
        self.0
            .retain(|old| !old.is_replaced_by(connector, &profile));
        self.0.push(Installed {
            connector,
            received: now,
            profile,
        });
    }

    /// Removes what `filter` means; returns how many.
    pub fn clear(&mut self, filter: &ClearFilter) -> usize {
        let before = self.0.len();
        self.0
            .retain(|installed| !filter.means(Some(installed.connector), &installed.profile));
        before - self.0.len()
    }

    /// A `TxProfile` ends with its transaction.
    pub fn end_transaction(&mut self, connector: ConnectorId) {
        self.clear(&ClearFilter {
            connector: Some(connector),
            purpose: Some(ChargingProfilePurpose::TxProfile),
            ..ClearFilter::default()
        });
    }

    /// How many profiles there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `connector` may draw at `at`: the least of its profiles, those of the charge point and
    /// its hardware. `started` is the start of its transaction; `None` = as if one started now.
    pub fn limit_at(
        &self,
        connector: ConnectorId,
        at: Timestamp,
        started: Option<Timestamp>,
        wiring: Wiring,
    ) -> Ceiling {
        let own = self.transaction_limit(connector, at, started.unwrap_or(at), wiring);
        match self.charge_point_limit(at, wiring) {
            Some(max) => own.least(max),
            None => own,
        }
    }

    /// The next instant after `after` at which what `connector` may draw can change. What counts
    /// from the start of a transaction changes only while one runs.
    pub fn changes_next(
        &self,
        connector: ConnectorId,
        after: Timestamp,
        started: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let started = started.unwrap_or(Timestamp::MIN);
        self.0
            .iter()
            .filter(|installed| [ConnectorId(0), connector].contains(&installed.connector))
            .flat_map(|installed| installed.changes(after, started))
            .filter(|time| *time > after)
            .min()
    }

    /// What `ChargePointMaxProfile`s allow all connectors together; `None` = no limit.
    pub fn charge_point_limit(&self, at: Timestamp, wiring: Wiring) -> Option<Ceiling> {
        prevailing(&self.charge_point_profiles(), at, at, wiring)
    }

    /// What may flow from `from` on, for `duration` (31 days at most), relative to the second in
    /// which `from` lies. `started`: the running transactions. Connector 0 asks for the whole
    /// charge point. Never more than `max_periods` periods; it ends where they do not suffice.
    pub fn composite(
        &self,
        connector: ConnectorId,
        from: Timestamp,
        duration: Duration,
        unit: ChargingRateUnit,
        started: &BTreeMap<ConnectorId, Timestamp>,
        rules: &Rules,
    ) -> ChargingSchedule {
        let from = whole_second(from);
        let duration = duration.min(HORIZON);
        let mut until = later(from, duration).unwrap_or(Timestamp::MAX);
        let mut periods: Vec<ChargingSchedulePeriod> = Vec::new();
        let mut at = Some(from);
        let mut steps = 0;
        while let Some(time) = at.filter(|time| *time < until) {
            steps += 1;
            let period = self.period(connector, from, time, unit, started, rules);
            // Of two changes within a second the later one counts.
            periods.pop_if(|last| last.start_period == period.start_period);
            let changed = periods.last().is_none_or(|last| {
                (last.limit, last.number_phases) != (period.limit, period.number_phases)
            });
            if changed && periods.len() >= rules.max_periods || steps > MOST_STEPS {
                until = time;
                break;
            }
            if changed {
                periods.push(period);
            }
            at = self.next_change(time, from, started);
        }
        ChargingSchedule {
            duration: Some(until.duration_since(from).as_secs()),
            start_schedule: None,
            charging_rate_unit: unit,
            charging_schedule_period: periods,
            min_charging_rate: None,
        }
    }

    fn period(
        &self,
        connector: ConnectorId,
        from: Timestamp,
        at: Timestamp,
        unit: ChargingRateUnit,
        started: &BTreeMap<ConnectorId, Timestamp>,
        rules: &Rules,
    ) -> ChargingSchedulePeriod {
        let wiring = rules.wiring_of(connector);
        let since = |c: ConnectorId| Some(started.get(&c).copied().unwrap_or(from));
        let ceiling = if connector == ConnectorId(0) {
            self.whole_box(at, from, started, rules)
        } else {
            self.limit_at(connector, at, since(connector), wiring)
        };
        let limit = match unit {
            ChargingRateUnit::Amperes => Tenths::of_amps(ceiling.current),
            ChargingRateUnit::Watts => ceiling.in_watts(wiring),
        };
        let offset = at.duration_since(from).as_secs();
        ChargingSchedulePeriod {
            start_period: offset,
            limit,
            number_phases: ceiling.phases.map(i64::from),
        }
    }

    /// The sum of what all connectors may draw that charge (of all, if none does).
    fn whole_box(
        &self,
        at: Timestamp,
        from: Timestamp,
        started: &BTreeMap<ConnectorId, Timestamp>,
        rules: &Rules,
    ) -> Ceiling {
        let active: BTreeMap<ConnectorId, Timestamp> = if started.is_empty() {
            (1..=rules.connectors)
                .map(|c| (ConnectorId(c), from))
                .collect()
        } else {
            started.clone()
        };
        let sum = active
            .into_iter()
            .map(|(c, since)| {
                let wiring = rules.wiring_of(c);
                self.limit_at(c, at, Some(since), wiring).current
            })
            .sum();
        let sum = Ceiling::hardware(sum);
        match self.charge_point_limit(at, rules.wiring_of(ConnectorId(0))) {
            Some(max) => sum.least(max),
            None => sum,
        }
    }

    /// The next instant after `after` at which any limit may change.
    fn next_change(
        &self,
        after: Timestamp,
        from: Timestamp,
        started: &BTreeMap<ConnectorId, Timestamp>,
    ) -> Option<Timestamp> {
        let starts: BTreeSet<Timestamp> = started.values().copied().chain([from]).collect();
        self.0
            .iter()
            .flat_map(|installed| {
                starts
                    .iter()
                    .flat_map(|start| installed.changes(after, *start))
            })
            .filter(|time| *time > after)
            .min()
    }

    /// `TxProfile`, else `TxDefaultProfile`, else the hardware.
    fn transaction_limit(
        &self,
        connector: ConnectorId,
        at: Timestamp,
        started: Timestamp,
        wiring: Wiring,
    ) -> Ceiling {
        let hardware = Ceiling::hardware(wiring.max);
        prevailing(&self.transaction_profiles(connector), at, started, wiring)
            .or_else(|| prevailing(&self.default_profiles(connector), at, started, wiring))
            .map_or(hardware, |limit| limit.least(hardware))
    }

    fn charge_point_profiles(&self) -> ByLevel<'_> {
        self.of(
            ConnectorId(0),
            ChargingProfilePurpose::ChargePointMaxProfile,
        )
    }

    fn transaction_profiles(&self, connector: ConnectorId) -> ByLevel<'_> {
        self.of(connector, ChargingProfilePurpose::TxProfile)
    }

    /// Level by level the connector's own, else that of connector 0.
    fn default_profiles(&self, connector: ConnectorId) -> ByLevel<'_> {
        let purpose = ChargingProfilePurpose::TxDefaultProfile;
        let mut profiles = self.of(ConnectorId(0), purpose);
        profiles.extend(self.of(connector, purpose));
        profiles
    }

    fn of(&self, connector: ConnectorId, purpose: ChargingProfilePurpose) -> ByLevel<'_> {
        self.0
            .iter()
            .filter(|i| i.connector == connector)
            .filter(|i| i.profile.charging_profile_purpose == purpose)
            .map(|i| (i.profile.stack_level, i))
            .collect()
    }
}

type ByLevel<'a> = BTreeMap<i64, &'a Installed>;

/// The limit of the highest stack level that is in force.
fn prevailing(
    profiles: &ByLevel<'_>,
    at: Timestamp,
    started: Timestamp,
    wiring: Wiring,
) -> Option<Ceiling> {
    let mut from_the_top = profiles.values().rev();
    from_the_top.find_map(|installed| installed.limit(at, started, wiring))
}

impl Installed {
    fn is_replaced_by(&self, connector: ConnectorId, new: &ChargingProfile) -> bool {
        let old = &self.profile;
        let same_place = self.connector == connector
            && old.charging_profile_purpose == new.charging_profile_purpose
            && old.stack_level == new.stack_level;
        same_place || old.charging_profile_id == new.charging_profile_id
    }

    /// The limit at `at`; `None` while the profile is not in force.
    fn limit(&self, at: Timestamp, started: Timestamp, wiring: Wiring) -> Option<Ceiling> {
        let profile = &self.profile;
        let schedule = &profile.charging_schedule;
        if profile.valid_from.is_some_and(|from| at < from)
            || profile.valid_to.is_some_and(|to| at >= to)
        {
            return None;
        }
        let elapsed = at.duration_since(self.anchor(at, started)?);
        if elapsed.is_negative() || schedule.duration.is_some_and(|d| elapsed.as_secs() >= d) {
            return None;
        }
        let period = schedule
            .charging_schedule_period
            .iter()
            .take_while(|period| period.start_period <= elapsed.as_secs())
            .last()?;
        Some(Ceiling::of(*period, schedule.charging_rate_unit, wiring))
    }

    /// What its periods count from at `at`.
    fn anchor(&self, at: Timestamp, started: Timestamp) -> Option<Timestamp> {
        let profile = &self.profile;
        let start = profile.charging_schedule.start_schedule;
        match (profile.charging_profile_kind, start) {
            (ChargingProfileKind::Recurring, start) => {
                let start = start.filter(|start| at >= *start)?;
                let every = i64::try_from(self.recurrence()?.as_secs()).ok()?;
                let times = at.duration_since(start).as_secs() / every;
                start
                    .checked_add(SignedDuration::from_secs(times * every))
                    .ok()
            }
            (ChargingProfileKind::Absolute, Some(start)) => Some(start),
            (ChargingProfileKind::Absolute | ChargingProfileKind::Relative, _) => {
                let whole_box = ChargingProfilePurpose::ChargePointMaxProfile;
                Some(if profile.charging_profile_purpose == whole_box {
                    self.received
                } else {
                    started
                })
            }
        }
    }

    fn recurrence(&self) -> Option<Duration> {
        match self.profile.recurrency_kind? {
            RecurrencyKind::Daily => Some(Duration::from_hours(24)),
            RecurrencyKind::Weekly => Some(Duration::from_hours(7 * 24)),
        }
    }

    /// Instants around `at`, and the next ones after it, at which its limit may change.
    fn changes(&self, at: Timestamp, started: Timestamp) -> impl Iterator<Item = Timestamp> {
        let profile = &self.profile;
        let schedule = &profile.charging_schedule;
        let anchor = self.anchor(at, started).or(schedule.start_schedule);
        let again = anchor
            .zip(self.recurrence())
            .and_then(|(anchor, every)| later(anchor, every))
            .filter(|_| profile.charging_profile_kind == ChargingProfileKind::Recurring);
        let offsets = schedule
            .charging_schedule_period
            .iter()
            .map(|period| period.start_period)
            .chain(schedule.duration);
        let steps = offsets.filter_map(move |offset| {
            let offset = SignedDuration::from_secs(offset);
            anchor.and_then(|anchor| anchor.checked_add(offset).ok())
        });
        let validity = [profile.valid_from, profile.valid_to, again];
        steps.chain(validity.into_iter().flatten())
    }
}

impl Ceiling {
    fn hardware(current: MilliAmps) -> Self {
        Self {
            current,
            phases: None,
            watts: None,
        }
    }

    /// Power is over all phases, current per phase. A limit for fewer phases than the connector
    /// will use is spread over those that it uses: the fuse comes first.
    fn of(period: ChargingSchedulePeriod, unit: ChargingRateUnit, wiring: Wiring) -> Self {
        let phases = period
            .number_phases
            .and_then(|phases| u8::try_from(phases).ok());
        let (current, watts) = match unit {
            ChargingRateUnit::Amperes => (period.limit.amps(), None),
            ChargingRateUnit::Watts => {
                let stated = phases.unwrap_or(DEFAULT_PHASES);
                let used = if wiring.switches_phases {
                    stated
                } else {
                    stated.max(wiring.phases)
                };
                let current = current_of(period.limit, used, wiring.voltage);
                (current, Some(period.limit))
            }
        };
        Self {
            current,
            phases,
            watts,
        }
    }

    /// The smaller of both; of the phases, the smaller number that is stated.
    fn least(self, other: Self) -> Self {
        let less = if other.current < self.current {
            other
        } else {
            self
        };
        let phases = match (self.phases, other.phases) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let same_phases = phases.unwrap_or(DEFAULT_PHASES) == less.phases.unwrap_or(DEFAULT_PHASES);
        Self {
            current: less.current,
            phases,
            watts: less.watts.filter(|_| same_phases),
        }
    }

    fn in_watts(self, wiring: Wiring) -> Tenths {
        self.watts.unwrap_or_else(|| {
            let phases = i64::from(self.phases.unwrap_or(wiring.phases));
            let microwatts = i64::from(self.current.0) * i64::from(wiring.voltage.0) * phases;
            Tenths(i32::try_from(microwatts / 100_000).unwrap_or(i32::MAX))
        })
    }
}

fn current_of(power: Tenths, phases: u8, voltage: MilliVolts) -> MilliAmps {
    let microwatts = i64::from(power.0) * 100_000;
    let per_milliamp = i64::from(voltage.0).max(1) * i64::from(phases.max(1));
    MilliAmps(i32::try_from(microwatts / per_milliamp).unwrap_or(i32::MAX))
}

fn later(time: Timestamp, span: Duration) -> Option<Timestamp> {
    time.checked_add(SignedDuration::try_from(span).ok()?).ok()
}

fn whole_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

#[cfg(test)]
mod tests;
