//! Charging profiles.

use std::collections::BTreeMap;
use std::time::Duration;

use chargewarden::ids::ConnectorId;
use chargewarden::ocpp::charging_profile::{ChargingRateUnit, ChargingSchedule, Tenths};
use chargewarden::ocpp::composite::{InstalledProfiles, Rules, Running, Wiring};
use chargewarden::ocpp::messages::{self, SetChargingProfile};
use chargewarden::units::{MilliAmps, MilliVolts};
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

const MAX: MilliAmps = MilliAmps::from_amps(32);
const DAY: Duration = Duration::from_hours(24);

/// Each line is a `SetChargingProfile`; what is accepted is installed, and then a composite schedule
/// says the same as the limits that it is made of.
pub fn profile(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let now: Timestamp = "2026-01-15T10:00:00Z".parse().unwrap();
    let rules = rules();
    let mut installed = InstalledProfiles::default();
    for line in text.lines().take(6) {
        let Some(request) = read(line) else {
            continue;
        };
        let (connector, profile) = (request.connector_id, request.cs_charging_profiles);
        let verdict = rules.check(&installed, connector, &profile, Running::Transaction(7));
        if verdict.is_ok() {
            installed.install(connector, profile, now);
            assert!(installed.len() <= rules.max_installed);
        }
    }
    if installed.is_empty() {
        return;
    }
    let kept = serde_json::to_string(&installed).unwrap();
    let read: InstalledProfiles = serde_json::from_str(&kept).expect("what is kept can be read");
    assert_eq!(serde_json::to_string(&read).unwrap(), kept);

    let started = BTreeMap::from([(ConnectorId(1), now - SignedDuration::from_mins(10))]);
    for connector in [ConnectorId(0), ConnectorId(1), ConnectorId(2)] {
        for unit in [ChargingRateUnit::Amperes, ChargingRateUnit::Watts] {
            let schedule = installed.composite(connector, now, DAY, unit, &started, &rules);
            check_form(&schedule, &rules);
            if connector.0 > 0 {
                let since = started.get(&connector).copied().unwrap_or(now);
                check_limits(&schedule, &installed, connector, (now, since), &rules);
            }
        }
    }
}

fn rules() -> Rules {
    Rules {
        connectors: 2,
        max_stack_level: 8,
        max_periods: 24,
        max_installed: 4,
        units: vec![ChargingRateUnit::Amperes, ChargingRateUnit::Watts],
        wiring: Wiring {
            phases: 3,
            voltage: MilliVolts(230_000),
            max: MAX,
            switches_phases: true,
        },
        except: BTreeMap::new(),
    }
}

/// Reads a request, and once more what is written of it.
fn read(line: &str) -> Option<SetChargingProfile> {
    let raw: &RawValue = serde_json::from_str(line).ok()?;
    let request: SetChargingProfile = messages::parse(raw).ok()?;
    let written = messages::write(&request);
    let raw: &RawValue = serde_json::from_str(&written).expect("what is written is JSON");
    let again: SetChargingProfile = messages::parse(raw).expect("what is written can be read");
    assert_eq!(messages::write(&again), written);
    Some(request)
}

fn check_form(schedule: &ChargingSchedule, rules: &Rules) {
    let periods = &schedule.charging_schedule_period;
    let duration = schedule.duration.expect("it says how long it is");
    assert!(duration <= 24 * 3600 && periods.len() <= rules.max_periods);
    assert_eq!(
        periods.first().map(|it| it.start_period),
        Some(0),
        "{schedule:?}"
    );
    assert!(
        periods.iter().all(|it| it.start_period < duration),
        "{schedule:?}"
    );
    assert!(
        periods.is_sorted_by(|a, b| a.start_period < b.start_period),
        "{schedule:?}"
    );
    assert!(
        periods.iter().all(|it| it.limit >= Tenths::ZERO),
        "{schedule:?}"
    );
}

/// In the middle of each period the limit is what the period says, and never more than the wires bear.
fn check_limits(
    schedule: &ChargingSchedule,
    installed: &InstalledProfiles,
    connector: ConnectorId,
    (now, since): (Timestamp, Timestamp),
    rules: &Rules,
) {
    let periods = &schedule.charging_schedule_period;
    let ends = periods.iter().skip(1).map(|it| Some(it.start_period));
    for (period, end) in periods.iter().zip(ends.chain([schedule.duration])) {
        let long = end.unwrap() - period.start_period;
        // A change may lie within a second.
        if long < 3 {
            continue;
        }
        let middle = now + SignedDuration::from_secs(period.start_period + long / 2);
        let wiring = rules.wiring_of(connector);
        let ceiling = installed.limit_at(connector, middle, Some(since), wiring);
        assert!((MilliAmps(0)..=MAX).contains(&ceiling.current));
        assert_eq!(ceiling.phases.map(i64::from), period.number_phases);
        match schedule.charging_rate_unit {
            ChargingRateUnit::Amperes => {
                assert_eq!(
                    Tenths::of_amps(ceiling.current),
                    period.limit,
                    "{schedule:?}"
                );
            }
            // Three phases of 230 V; the last milliampere may be rounded away.
            ChargingRateUnit::Watts => {
                let most = i64::from(ceiling.current.0 + 1) * 690;
                assert!(
                    i64::from(period.limit.0) * 100 <= most,
                    "{schedule:?} {ceiling:?}"
                );
            }
        }
    }
}
