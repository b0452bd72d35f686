//! The worked examples: 2026-01-15T10:00:00Z, a Thursday; a three-phase box of 32 A at 230 V;
//! a transaction on connector 1 since 09:50.

#![expect(
    clippy::needless_pass_by_value,
    reason = "json!(…) is written where it is used"
)]

use serde_json::{Value, json};

use super::*;

const C0: ConnectorId = ConnectorId(0);
const C1: ConnectorId = ConnectorId(1);
const C2: ConnectorId = ConnectorId(2);

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn on_the_day(clock: &str) -> Timestamp {
    time(&format!("2026-01-15T{clock}:00Z"))
}

fn rules() -> Rules {
    Rules {
        connectors: 2,
        max_stack_level: 8,
        max_periods: 24,
        max_installed: 10,
        units: vec![ChargingRateUnit::Amperes, ChargingRateUnit::Watts],
        wiring: Wiring {
            phases: 3,
            voltage: MilliVolts(230_000),
            max: MilliAmps::from_amps(32),
            switches_phases: true,
        },
        except: BTreeMap::new(),
    }
}

/// A profile; `more` overrides members of the profile, `schedule` those of its schedule.
fn profile(id: i64, purpose: &str, level: i64, more: Value, schedule: Value) -> ChargingProfile {
    let mut value = json!({
        "chargingProfileId": id, "stackLevel": level, "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": []},
    });
    merge(&mut value, &more);
    merge(&mut value["chargingSchedule"], &schedule);
    serde_json::from_str(&value.to_string()).unwrap()
}

fn merge(into: &mut Value, more: &Value) {
    for (key, value) in more.as_object().unwrap() {
        into[key] = value.clone();
    }
}

fn periods(pairs: &[(i64, f64)]) -> Value {
    let periods: Vec<Value> = pairs
        .iter()
        .map(|(start, limit)| json!({"startPeriod": start, "limit": limit}))
        .collect();
    json!({"chargingSchedulePeriod": periods})
}

fn with(mut a: Value, b: Value) -> Value {
    merge(&mut a, &b);
    a
}

struct Lab {
    installed: InstalledProfiles,
    rules: Rules,
    started: BTreeMap<ConnectorId, Timestamp>,
    now: Timestamp,
    next_id: i64,
}

impl Lab {
    fn new() -> Self {
        Self {
            installed: InstalledProfiles::default(),
            rules: rules(),
            started: BTreeMap::from([(C1, on_the_day("09:50"))]),
            now: on_the_day("10:00"),
            next_id: 1,
        }
    }

    fn set(
        &mut self,
        connector: ConnectorId,
        purpose: &str,
        level: i64,
        more: Value,
        schedule: Value,
    ) -> Result<(), Refusal> {
        let profile = profile(self.next_id, purpose, level, more, schedule);
        self.next_id += 1;
        let running = match self.started.get(&connector) {
            Some(_) => Running::Transaction(77),
            None => Running::Nothing,
        };
        self.rules
            .check(&self.installed, connector, &profile, running)?;
        self.installed.install(connector, profile, self.now);
        Ok(())
    }

    fn default(&mut self, connector: ConnectorId, level: i64, more: Value, schedule: Value) {
        self.set(connector, "TxDefaultProfile", level, more, schedule)
            .unwrap();
    }

    fn tx(&mut self, level: i64, more: Value, schedule: Value) {
        self.set(C1, "TxProfile", level, more, schedule).unwrap();
    }

    fn max(&mut self, more: Value, schedule: Value) {
        self.set(C0, "ChargePointMaxProfile", 0, more, schedule)
            .unwrap();
    }

    fn schedule(&self, connector: ConnectorId, unit: ChargingRateUnit) -> ChargingSchedule {
        let two_hours = Duration::from_hours(2);
        self.installed.composite(
            connector,
            self.now,
            two_hours,
            unit,
            &self.started,
            &self.rules,
        )
    }

    /// `startPeriod:limit`, with `/phases` where they are stated.
    fn composite(&self, connector: ConnectorId) -> String {
        shown(&self.schedule(connector, ChargingRateUnit::Amperes))
    }
}

fn shown(schedule: &ChargingSchedule) -> String {
    let periods = &schedule.charging_schedule_period;
    let shown: Vec<String> = periods
        .iter()
        .map(|p| {
            let phases = p.number_phases.map_or(String::new(), |n| format!("/{n}"));
            format!("{}:{}{phases}", p.start_period, p.limit)
        })
        .collect();
    shown.join(", ")
}

fn absolute(start: &str) -> (Value, Value) {
    (
        json!({"chargingProfileKind": "Absolute"}),
        json!({"startSchedule": start}),
    )
}

fn daily(start: &str) -> (Value, Value) {
    (
        json!({"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"}),
        json!({"startSchedule": start}),
    )
}

#[test]
fn e1_an_absolute_schedule_counts_from_its_start() {
    let mut lab = Lab::new();
    let (kind, start) = absolute("2026-01-15T09:00:00Z");
    lab.default(
        C0,
        0,
        kind,
        with(start, periods(&[(0, 16.0), (5400, 10.0)])),
    );
    assert_eq!(lab.composite(C1), "0:16, 1800:10");
}

#[test]
fn e2_a_higher_stack_level_wins_while_it_lasts() {
    let mut lab = Lab::new();
    lab.default(C0, 0, json!({}), periods(&[(0, 32.0)]));
    let (kind, start) = absolute("2026-01-15T10:30:00Z");
    let schedule = with(with(start, periods(&[(0, 8.0)])), json!({"duration": 1800}));
    lab.default(C0, 1, kind, schedule);
    assert_eq!(lab.composite(C1), "0:32, 1800:8, 3600:32");
}

#[test]
fn e3_the_charge_point_maximum_caps_a_transaction_profile_that_counts_from_its_start() {
    let mut lab = Lab::new();
    let (kind, start) = daily("2026-01-01T00:00:00Z");
    let day = periods(&[(0, 32.0), (39_600, 13.0), (43_200, 32.0)]);
    lab.max(kind, with(start, day));
    lab.tx(0, json!({}), periods(&[(0, 20.0), (4800, 10.0)]));
    assert_eq!(lab.composite(C1), "0:20, 3600:13, 4200:10");
}

fn e4() -> Lab {
    let mut lab = Lab::new();
    lab.default(C0, 0, json!({}), periods(&[(0, 6.0)]));
    let (kind, start) = absolute("2026-01-15T10:00:00Z");
    let schedule = with(
        with(start, periods(&[(0, 16.0)])),
        json!({"duration": 3600}),
    );
    lab.tx(0, kind, schedule);
    lab
}

#[test]
fn e4_after_the_transaction_profile_the_default_holds_again() {
    assert_eq!(e4().composite(C1), "0:16, 3600:6");
}

#[test]
fn e5_a_connectors_default_hides_that_of_connector_0_on_its_own_level_only() {
    let mut lab = Lab::new();
    lab.default(C0, 0, json!({}), periods(&[(0, 16.0)]));
    lab.default(C1, 0, json!({}), periods(&[(0, 10.0)]));
    let valid = json!({"validFrom": "2026-01-15T10:30:00Z", "validTo": "2026-01-15T11:00:00Z"});
    lab.default(C0, 2, valid, periods(&[(0, 25.0)]));
    assert_eq!(lab.composite(C1), "0:10, 1800:25, 3600:10");
    assert_eq!(lab.composite(C2), "0:16, 1800:25, 3600:16");
}

fn e6() -> Lab {
    let mut lab = Lab::new();
    let (kind, start) = absolute("2026-01-15T10:00:00Z");
    let power = json!({"chargingRateUnit": "W", "chargingSchedulePeriod": [
        {"startPeriod": 0, "limit": 11_040},
        {"startPeriod": 3600, "limit": 4_140, "numberPhases": 1}]});
    lab.max(kind, with(start, power));
    let amps = json!({"chargingSchedulePeriod":
        [{"startPeriod": 0, "limit": 20, "numberPhases": 3}]});
    lab.tx(0, json!({}), amps);
    lab
}

#[test]
fn e6_power_and_current_are_compared_per_phase_and_reported_in_the_unit_asked_for() {
    let lab = e6();
    assert_eq!(lab.composite(C1), "0:16/3, 3600:18/1");
    let watts = shown(&lab.schedule(C1, ChargingRateUnit::Watts));
    assert_eq!(watts, "0:11040/3, 3600:4140/1");
}

#[test]
fn e6_power_for_one_phase_is_spread_over_three_where_the_box_cannot_switch_phases() {
    let mut lab = e6();
    lab.rules.wiring.switches_phases = false;
    assert_eq!(lab.composite(C1), "0:16/3, 3600:6/1");
}

#[test]
fn e7_connector_0_reports_what_all_connectors_may_draw_together() {
    let mut lab = Lab::new();
    lab.started.insert(C2, on_the_day("09:55"));
    lab.max(json!({}), periods(&[(0, 32.0)]));
    lab.default(C0, 0, json!({}), periods(&[(0, 20.0)]));
    let all: Vec<String> = [C0, C1, C2].map(|c| lab.composite(c)).into();
    assert_eq!(all, ["0:32", "0:20", "0:20"]);
}

#[test]
fn e8_a_weekly_schedule_is_silent_after_its_duration() {
    let mut lab = Lab::new();
    lab.default(C0, 0, json!({}), periods(&[(0, 16.0)]));
    let kind = json!({"chargingProfileKind": "Recurring", "recurrencyKind": "Weekly"});
    let monday = json!({"startSchedule": "2026-01-12T18:00:00Z", "duration": 43_200});
    lab.default(C0, 1, kind, with(monday, periods(&[(0, 0.0)])));
    assert_eq!(lab.composite(C1), "0:16");
}

#[test]
fn e9_a_daily_schedule_runs_over_midnight() {
    let mut lab = Lab::new();
    lab.now = on_the_day("05:00");
    lab.started = BTreeMap::from([(C1, on_the_day("04:00"))]);
    lab.default(C0, 0, json!({}), periods(&[(0, 0.0)]));
    let (kind, start) = daily("2026-01-01T22:00:00Z");
    let night = with(json!({"duration": 28_800}), periods(&[(0, 16.0)]));
    lab.default(C0, 1, kind, with(start, night));
    assert_eq!(lab.composite(C1), "0:16, 3600:0");
}

#[test]
fn e10_a_profile_ends_when_its_validity_ends() {
    let mut lab = Lab::new();
    lab.tx(0, json!({}), periods(&[(0, 16.0)]));
    let until = json!({"validTo": "2026-01-15T10:20:00Z"});
    lab.tx(5, until, periods(&[(0, 6.0)]));
    assert_eq!(lab.composite(C1), "0:6, 1200:16");
}

#[test]
fn of_two_changes_within_a_second_the_later_one_is_told() {
    let mut lab = Lab::new();
    lab.tx(0, json!({}), periods(&[(0, 16.0)]));
    for (level, limit, until) in [
        (1, 6.0, "2026-01-15T10:20:00.7Z"),
        (2, 7.0, "2026-01-15T10:20:00.3Z"),
    ] {
        lab.tx(level, json!({"validTo": until}), periods(&[(0, limit)]));
    }
    assert_eq!(lab.composite(C1), "0:7, 1200:16");
}

#[test]
fn e11_a_period_that_begins_after_the_duration_is_never_used() {
    let mut lab = Lab::new();
    let (kind, start) = absolute("2026-01-15T10:00:00Z");
    let cut = with(
        json!({"duration": 1800}),
        periods(&[(0, 16.0), (3600, 10.0)]),
    );
    lab.tx(0, kind, with(start, cut));
    assert_eq!(lab.composite(C1), "0:16, 1800:32");
}

#[test]
fn e12_without_profiles_the_hardware_decides() {
    assert_eq!(Lab::new().composite(C1), "0:32");
    let watts = Lab::new().schedule(C1, ChargingRateUnit::Watts);
    assert_eq!(shown(&watts), "0:22080");
}

#[test]
fn e13_a_transaction_profile_without_a_transaction_is_refused_and_changes_nothing() {
    let mut lab = Lab::new();
    let before = lab.composite(C2);
    let verdict = lab.set(C2, "TxProfile", 0, json!({}), periods(&[(0, 6.0)]));
    assert_eq!(verdict, Err(Refusal::NoTransaction));
    assert_eq!(lab.composite(C2), before);
}

#[test]
fn e14_clearing_the_defaults_leaves_the_transaction_profile() {
    let mut lab = e4();
    let cleared = lab.installed.clear(&ClearFilter {
        purpose: Some(ChargingProfilePurpose::TxDefaultProfile),
        ..ClearFilter::default()
    });
    assert_eq!(cleared, 1);
    assert_eq!(lab.composite(C1), "0:16, 3600:32");
}

#[test]
fn clearing_by_id_looks_at_nothing_else_and_clearing_nothing_says_so() {
    let mut lab = e4();
    let by_id = ClearFilter {
        id: Some(2),
        connector: Some(C2),
        ..ClearFilter::default()
    };
    assert_eq!(lab.installed.clear(&by_id), 1);
    assert_eq!(lab.installed.clear(&by_id), 0);
    assert_eq!(lab.installed.clear(&ClearFilter::default()), 1);
    assert!(lab.installed.is_empty());
}

#[test]
fn a_transaction_profile_ends_with_its_transaction() {
    let mut lab = e4();
    lab.installed.end_transaction(C1);
    assert_eq!(lab.composite(C1), "0:6");
}

#[test]
fn a_profile_with_the_same_place_or_the_same_id_is_replaced() {
    let mut lab = Lab::new();
    lab.default(C1, 0, json!({}), periods(&[(0, 16.0)]));
    lab.default(C1, 0, json!({}), periods(&[(0, 10.0)]));
    assert_eq!(lab.installed.len(), 1);
    lab.next_id = 2;
    lab.default(C0, 3, json!({}), periods(&[(0, 8.0)]));
    assert_eq!(lab.installed.len(), 1);
    assert_eq!(lab.composite(C1), "0:8");
}

#[test]
fn a_relative_maximum_of_the_charge_point_counts_from_its_reception() {
    let mut lab = Lab::new();
    lab.max(json!({}), periods(&[(0, 10.0), (600, 20.0)]));
    assert_eq!(lab.composite(C1), "0:10, 600:20");
    lab.now = on_the_day("10:05");
    assert_eq!(lab.composite(C1), "0:10, 300:20");
}

#[test]
fn a_recurring_schedule_is_silent_before_its_start() {
    let mut lab = Lab::new();
    let (kind, start) = daily("2026-01-15T11:00:00Z");
    lab.default(C0, 0, kind, with(start, periods(&[(0, 8.0)])));
    assert_eq!(lab.composite(C1), "0:32, 3600:8");
}

#[test]
fn what_may_flow_now_is_the_first_period_of_the_composite_schedule() {
    let lab = e4();
    let now = lab
        .installed
        .limit_at(C1, lab.now, Some(on_the_day("09:50")), lab.rules.wiring);
    assert_eq!(now.current, MilliAmps::from_amps(16));
}

#[test]
fn a_composite_schedule_is_as_long_as_its_period_limit_and_the_horizon_allow() {
    let mut lab = Lab::new();
    let (kind, start) = daily("2026-01-01T00:00:00Z");
    lab.default(C0, 0, kind, with(start, periods(&[(0, 8.0), (600, 9.0)])));
    lab.rules.max_periods = 5;
    let schedule = lab.installed.composite(
        C1,
        lab.now,
        Duration::MAX,
        ChargingRateUnit::Amperes,
        &lab.started,
        &lab.rules,
    );
    assert_eq!(schedule.charging_schedule_period.len(), 5);
    // 9 A from 10:00, 8 A from midnight, 9 A from 0:10, both again; the sixth is not told.
    assert_eq!(schedule.duration, Some((14 + 48) * 3600));
    lab.installed.clear(&ClearFilter::default());
    let schedule = lab.installed.composite(
        C1,
        lab.now,
        Duration::MAX,
        ChargingRateUnit::Amperes,
        &lab.started,
        &lab.rules,
    );
    assert_eq!(schedule.duration, Some(31 * 86_400));
}

#[test]
fn a_composite_schedule_ends_where_it_would_take_too_long_to_tell() {
    let mut lab = Lab::new();
    let hours: Vec<(i64, f64)> = (0..24).map(|hour| (hour * 3600, 8.0)).collect();
    for (level, start) in [(0, "2026-01-01T00:00:00Z"), (1, "2026-01-01T00:30:00Z")] {
        let (kind, start) = daily(start);
        lab.default(C0, level, kind, with(start, periods(&hours)));
    }
    lab.default(C0, 2, json!({}), periods(&[(0, 16.0)]));
    let month = Duration::from_hours(31 * 24);
    let unit = ChargingRateUnit::Amperes;
    let schedule = lab
        .installed
        .composite(C1, lab.now, month, unit, &lab.started, &lab.rules);
    assert_eq!(shown(&schedule), "0:16");
    let half_hours = i64::try_from(MOST_STEPS).unwrap();
    assert_eq!(schedule.duration, Some(half_hours * 1800));
}

#[test]
fn impossible_profiles_are_refused() {
    let plain = || periods(&[(0, 16.0)]);
    let phases = json!({"chargingSchedulePeriod":
        [{"startPeriod": 0, "limit": 16, "numberPhases": 4}]});
    let default = "TxDefaultProfile";
    let recurring = json!({"chargingProfileKind": "Recurring"});
    let other = json!({"transactionId": 78});
    let cases = [
        (
            ConnectorId(3),
            default,
            0,
            json!({}),
            plain(),
            Refusal::UnknownConnector,
        ),
        (
            C1,
            "ChargePointMaxProfile",
            0,
            json!({}),
            plain(),
            Refusal::WrongConnector,
        ),
        (
            C0,
            "TxProfile",
            0,
            json!({}),
            plain(),
            Refusal::WrongConnector,
        ),
        (
            C1,
            "TxProfile",
            0,
            other,
            plain(),
            Refusal::OtherTransaction,
        ),
        (C1, default, -1, json!({}), plain(), Refusal::StackLevel),
        (C1, default, 9, json!({}), plain(), Refusal::StackLevel),
        (C1, default, 0, json!({}), periods(&[]), Refusal::Periods),
        (
            C1,
            default,
            0,
            json!({}),
            periods(&[(1, 16.0)]),
            Refusal::Periods,
        ),
        (
            C1,
            default,
            0,
            json!({}),
            periods(&[(0, 16.0), (0, 8.0)]),
            Refusal::Periods,
        ),
        (
            C1,
            default,
            0,
            json!({}),
            periods(&[(0, -0.1)]),
            Refusal::Periods,
        ),
        (C1, default, 0, json!({}), phases, Refusal::Periods),
        (C1, default, 0, recurring, plain(), Refusal::Recurrence),
    ];
    for (connector, purpose, level, more, schedule, refusal) in cases {
        let verdict = Lab::new().set(connector, purpose, level, more, schedule);
        assert_eq!(verdict, Err(refusal));
    }
}

#[test]
fn a_full_store_takes_replacements_only_and_an_unsupported_unit_is_refused() {
    let mut lab = Lab::new();
    lab.rules.max_installed = 1;
    lab.rules.units = vec![ChargingRateUnit::Amperes];
    lab.default(C1, 0, json!({}), periods(&[(0, 16.0)]));
    let other = lab.set(C2, "TxDefaultProfile", 0, json!({}), periods(&[(0, 16.0)]));
    assert_eq!(other, Err(Refusal::Full));
    lab.default(C1, 0, json!({}), periods(&[(0, 8.0)]));
    let watts = with(periods(&[(0, 11_040.0)]), json!({"chargingRateUnit": "W"}));
    let other = lab.set(C1, "TxDefaultProfile", 0, json!({}), watts);
    assert_eq!(other, Err(Refusal::Unit));
}
