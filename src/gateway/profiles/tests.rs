//! 2026-01-15T10:00:00Z, a Thursday; two connectors of 32 A at 230 V, three phases; transaction 77
//! on connector 1 since 09:50.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const C1: ConnectorId = ConnectorId(1);
const C2: ConnectorId = ConnectorId(2);

const WIRING: Wiring = Wiring {
    phases: 3,
    voltage: MilliVolts(230_000),
    max: MilliAmps::from_amps(32),
    switches_phases: false,
};

fn at(clock: &str) -> Timestamp {
    format!("2026-01-15T{clock}:00Z").parse().unwrap()
}

fn raw(json: &Value) -> Box<RawValue> {
    RawValue::from_string(json.to_string()).unwrap()
}

/// A profile of 16 A; `more` overrides its members, those of the schedule included.
fn profile(id: i64, purpose: &str, more: &Value) -> Value {
    let mut profile = json!({
        "chargingProfileId": id, "stackLevel": 0, "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A",
                             "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]},
    });
    for (name, value) in more.as_object().unwrap() {
        let schedule = [
            "duration",
            "startSchedule",
            "chargingRateUnit",
            "chargingSchedulePeriod",
        ];
        if schedule.contains(&name.as_str()) {
            profile["chargingSchedule"][name] = value.clone();
        } else {
            profile[name] = value.clone();
        }
    }
    profile
}

fn limit(value: i64) -> Value {
    json!([{"startPeriod": 0, "limit": value}])
}

struct Lab {
    profiles: BackendProfiles,
    outlets: Outlets,
    now: Timestamp,
}

impl Lab {
    fn new() -> Self {
        let outlet = |transaction| Outlet {
            transaction,
            wiring: WIRING,
            local_limit: None,
        };
        let running = OpenTransaction {
            id: Some(77),
            started: at("09:50"),
        };
        Self {
            profiles: BackendProfiles::default(),
            outlets: BTreeMap::from([(C1, outlet(Some(running))), (C2, outlet(None))]),
            now: at("10:00"),
        }
    }

    /// The status, or the code of the CALLERROR.
    fn set(&mut self, connector: i64, profile: &Value) -> String {
        self.set_raw(&json!({"connectorId": connector, "csChargingProfiles": profile}))
    }

    fn set_raw(&mut self, payload: &Value) -> String {
        match self.profiles.set(self.now, &raw(payload), &self.outlets) {
            Ok(answer) => status(&answer),
            Err(error) => error.code.to_string(),
        }
    }

    fn clear(&mut self, payload: &Value) -> String {
        status(&self.profiles.clear(&raw(payload)).unwrap())
    }

    fn composite(&self, payload: &Value) -> Value {
        let answer = self
            .profiles
            .composite(self.now, &raw(payload), &self.outlets)
            .unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    /// Two hours of a connector in amperes, `startPeriod:limit`.
    fn shown(&self, connector: i64) -> String {
        shown(&self.composite(&json!({"connectorId": connector, "duration": 7200})))
    }

    fn ceiling(&self, connector: ConnectorId, clock: &str) -> Option<MilliAmps> {
        let outlet = self.outlets[&connector];
        let started = outlet.transaction.map(|transaction| transaction.started);
        self.profiles
            .ceiling(connector, at(clock), started, outlet.wiring)
    }
}

fn status(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["status"].as_str().unwrap().to_owned()
}

fn shown(answer: &Value) -> String {
    let periods = answer["chargingSchedule"]["chargingSchedulePeriod"].as_array();
    let shown = |p: &Value| format!("{}:{}", p["startPeriod"], p["limit"]);
    periods
        .unwrap()
        .iter()
        .map(shown)
        .collect::<Vec<_>>()
        .join(", ")
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "what it is compared with is optional"
)]
const fn amps(amps: i32) -> Option<MilliAmps> {
    Some(MilliAmps::from_amps(amps))
}

#[test]
fn a_profile_is_judged_in_the_order_of_the_table() {
    let mut full = Lab::new();
    for level in 0..20 {
        for connector in [1, 2] {
            let more = json!({"stackLevel": level});
            let id = level * 2 + connector;
            assert_eq!(
                full.set(connector, &profile(id, "TxDefaultProfile", &more)),
                "Accepted"
            );
        }
    }
    assert_eq!(
        full.set(0, &profile(99, "TxDefaultProfile", &json!({}))),
        "Rejected"
    );
    assert_eq!(
        full.set(2, &profile(99, "TxDefaultProfile", &json!({}))),
        "Accepted"
    );

    let periods = |periods: Value| json!({"chargingSchedulePeriod": periods});
    let many: Vec<Value> = (0..97)
        .map(|i| json!({"startPeriod": i, "limit": 6}))
        .collect();
    let rising = json!([{"startPeriod": 0, "limit": 6}, {"startPeriod": 0, "limit": 7}]);
    let phases = json!([{"startPeriod": 0, "limit": 6, "numberPhases": 4}]);
    let later = json!([{"startPeriod": 5, "limit": 6}]);
    let daily =
        json!({"chargingProfileKind": "Recurring", "startSchedule": "2026-01-01T00:00:00Z"});
    let endless = json!({"chargingProfileKind": "Recurring", "recurrencyKind": "Daily"});
    let over = json!({"validTo": "2020-01-01T00:00:00Z"});
    let (max, default, tx) = ("ChargePointMaxProfile", "TxDefaultProfile", "TxProfile");
    for (connector, purpose, more, expected) in [
        (3, default, json!({}), "PropertyConstraintViolation"),
        (-1, default, json!({}), "PropertyConstraintViolation"),
        (1, "Best", json!({}), "PropertyConstraintViolation"),
        (
            1,
            default,
            json!({"chargingRateUnit": "V"}),
            "PropertyConstraintViolation",
        ),
        (1, max, json!({}), "Rejected"),
        (0, tx, json!({}), "Rejected"),
        (2, tx, json!({}), "Rejected"),
        (1, tx, json!({"transactionId": 78}), "Rejected"),
        (1, tx, json!({"transactionId": 77}), "Accepted"),
        (1, tx, json!({}), "Accepted"),
        (1, default, json!({"stackLevel": -1}), "Rejected"),
        (1, default, json!({"stackLevel": 21}), "Rejected"),
        (1, default, json!({"stackLevel": 20}), "Accepted"),
        (1, default, periods(json!([])), "Rejected"),
        (1, default, periods(many.into()), "Rejected"),
        (1, default, periods(later), "Rejected"),
        (1, default, periods(rising), "Rejected"),
        (1, default, periods(limit(-1)), "Rejected"),
        (1, default, periods(phases), "Rejected"),
        (1, default, daily, "Rejected"),
        (1, default, endless, "Rejected"),
        (1, default, over, "Accepted"),
        (0, max, json!({"chargingRateUnit": "W"}), "Accepted"),
    ] {
        let told = Lab::new().set(connector, &profile(1, purpose, &more));
        assert_eq!(told, expected, "{purpose} on {connector}: {more}");
    }
}

#[test]
fn a_malformed_profile_gets_a_call_error_and_changes_nothing() {
    let mut lab = Lab::new();
    let good = profile(1, "TxDefaultProfile", &json!({}));
    for (path, value, code) in [
        ("/chargingProfileId", None, "OccurenceConstraintViolation"),
        ("/stackLevel", None, "OccurenceConstraintViolation"),
        ("/chargingSchedule", None, "OccurenceConstraintViolation"),
        (
            "/chargingSchedule/chargingRateUnit",
            None,
            "OccurenceConstraintViolation",
        ),
        (
            "/chargingSchedule/chargingSchedulePeriod",
            None,
            "OccurenceConstraintViolation",
        ),
        (
            "/chargingSchedule/chargingSchedulePeriod/0/limit",
            None,
            "OccurenceConstraintViolation",
        ),
        (
            "/chargingProfileId",
            Some(json!([])),
            "TypeConstraintViolation",
        ),
        ("/stackLevel", Some(json!({})), "TypeConstraintViolation"),
        (
            "/chargingSchedule",
            Some(json!(1)),
            "TypeConstraintViolation",
        ),
        (
            "/chargingSchedule/chargingSchedulePeriod",
            Some(json!({})),
            "TypeConstraintViolation",
        ),
        (
            "/chargingSchedule/chargingSchedulePeriod/0",
            Some(json!(6)),
            "TypeConstraintViolation",
        ),
    ] {
        let mut bad = good.clone();
        if let Some(value) = value {
            *bad.pointer_mut(path).unwrap() = value;
        } else {
            let (parent, name) = path.rsplit_once('/').unwrap();
            let parent = bad.pointer_mut(parent).unwrap();
            parent.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(lab.set(1, &bad), code, "{path}");
    }
    assert_eq!(
        lab.set_raw(&json!({"connectorId": 1})),
        "OccurenceConstraintViolation"
    );
    assert_eq!(
        lab.set_raw(&json!({"csChargingProfiles": good})),
        "OccurenceConstraintViolation"
    );
    assert_eq!(lab.profiles, BackendProfiles::default());
}

#[test]
fn a_profile_is_not_taken_without_what_cannot_be_read_in_it() {
    for (member, value, code) in [
        (
            "transactionId",
            json!("mine"),
            "PropertyConstraintViolation",
        ),
        (
            "recurrencyKind",
            json!("Hourly"),
            "PropertyConstraintViolation",
        ),
        (
            "validFrom",
            json!("tomorrow"),
            "PropertyConstraintViolation",
        ),
        ("validTo", json!({}), "TypeConstraintViolation"),
        ("duration", json!(0.5), "PropertyConstraintViolation"),
        ("startSchedule", json!(true), "TypeConstraintViolation"),
        (
            "chargingSchedulePeriod",
            json!([{"startPeriod": 0, "limit": 16}, {"startPeriod": 60, "limit": "half"}]),
            "PropertyConstraintViolation",
        ),
        (
            "chargingSchedulePeriod",
            json!([{"startPeriod": 0, "limit": 16, "numberPhases": "all"}]),
            "PropertyConstraintViolation",
        ),
    ] {
        let mut more = json!({});
        more[member] = value;
        let told = Lab::new().set(1, &profile(1, "TxDefaultProfile", &more));
        assert_eq!(told, code, "{more}");
    }
    let nulls = json!({"transactionId": null, "validTo": null, "duration": null});
    assert_eq!(
        Lab::new().set(1, &profile(1, "TxDefaultProfile", &nulls)),
        "Accepted"
    );
}

#[test]
fn clearing_by_id_looks_at_nothing_else() {
    let mut lab = Lab::new();
    lab.set(1, &profile(7, "TxDefaultProfile", &json!({})));
    assert_eq!(lab.clear(&json!({"id": 8, "connectorId": 1})), "Unknown");
    assert_eq!(
        lab.clear(&json!({"id": 7, "connectorId": 2, "stackLevel": 5})),
        "Accepted"
    );
    assert_eq!(lab.shown(1), "0:32");
}

#[test]
fn clearing_means_what_fits_every_member_that_is_given() {
    let mut lab = Lab::new();
    lab.set(0, &profile(1, "TxDefaultProfile", &json!({})));
    lab.set(0, &profile(2, "ChargePointMaxProfile", &json!({})));
    lab.set(
        1,
        &profile(3, "TxDefaultProfile", &json!({"stackLevel": 1})),
    );
    lab.set(1, &profile(4, "TxProfile", &json!({})));
    let wrong =
        json!({"connectorId": 1, "chargingProfilePurpose": "TxDefaultProfile", "stackLevel": 0});
    assert_eq!(lab.clear(&wrong), "Unknown");
    assert_eq!(lab.clear(&json!({"connectorId": 0})), "Accepted");
    assert_eq!(lab.profiles.installed.len(), 2);
    assert_eq!(
        lab.clear(&json!({"chargingProfilePurpose": "TxProfile"})),
        "Accepted"
    );
    assert_eq!(
        lab.clear(&json!({"connectorId": 1, "stackLevel": 1})),
        "Accepted"
    );
    assert_eq!(lab.clear(&json!({})), "Unknown");
}

#[test]
fn case_27_a_backend_that_clears_everything_leaves_the_local_limit() {
    let mut lab = Lab::new();
    lab.outlets.get_mut(&C1).unwrap().local_limit = amps(12);
    assert_eq!(lab.clear(&json!({})), "Unknown");
    lab.set(
        1,
        &profile(1, "TxProfile", &json!({"chargingSchedulePeriod": limit(8)})),
    );
    assert_eq!(
        (lab.ceiling(C1, "10:00"), lab.shown(1)),
        (amps(8), "0:8".to_owned())
    );
    assert_eq!(lab.clear(&json!({})), "Accepted");
    assert_eq!(
        (lab.ceiling(C1, "10:00"), lab.shown(1)),
        (None, "0:12".to_owned())
    );
}

#[test]
fn case_28_a_transaction_profile_without_its_transaction_is_rejected() {
    let mut lab = Lab::new();
    let wrong_id = profile(1, "TxProfile", &json!({"transactionId": 5}));
    let told = [
        lab.set(2, &profile(1, "TxProfile", &json!({}))),
        lab.set(1, &wrong_id),
        lab.set(0, &profile(1, "TxProfile", &json!({}))),
    ];
    assert_eq!(told, ["Rejected"; 3]);
    lab.outlets
        .get_mut(&C1)
        .unwrap()
        .transaction
        .as_mut()
        .unwrap()
        .id = None;
    assert_eq!(lab.set(1, &wrong_id), "Rejected", "it has no id yet");
    assert_eq!(lab.profiles, BackendProfiles::default());
}

#[test]
fn case_29_power_for_one_phase_is_spread_over_the_three_that_charge() {
    let mut lab = Lab::new();
    let one_phase = json!([{"startPeriod": 0, "limit": 4140, "numberPhases": 1}]);
    let more = json!({"chargingRateUnit": "W", "chargingSchedulePeriod": one_phase});
    assert_eq!(
        lab.set(0, &profile(1, "ChargePointMaxProfile", &more)),
        "Accepted"
    );
    assert_eq!(lab.ceiling(C1, "10:00"), amps(6));
    assert_eq!(lab.profiles.total(lab.now, &lab.outlets), amps(6));
    for outlet in lab.outlets.values_mut() {
        outlet.wiring.switches_phases = true;
    }
    assert_eq!(lab.ceiling(C1, "10:00"), amps(18));
}

#[test]
fn case_30_a_limit_below_the_least_current_is_reported_as_it_is() {
    let mut lab = Lab::new();
    lab.set(
        0,
        &profile(
            1,
            "TxDefaultProfile",
            &json!({"chargingSchedulePeriod": limit(5)}),
        ),
    );
    assert_eq!(lab.ceiling(C1, "10:00"), amps(5));
    assert_eq!(lab.shown(1), "0:5");
}

#[test]
fn e15_the_local_limit_is_part_of_what_is_reported() {
    let mut lab = Lab::new();
    lab.set(
        0,
        &profile(
            1,
            "TxDefaultProfile",
            &json!({"chargingSchedulePeriod": limit(6)}),
        ),
    );
    let hour = json!({"chargingProfileKind": "Absolute", "startSchedule": "2026-01-15T10:00:00Z",
                      "duration": 3600});
    lab.set(1, &profile(2, "TxProfile", &hour));
    assert_eq!(lab.shown(1), "0:16, 3600:6");
    let mut local = |limit| {
        lab.outlets.get_mut(&C1).unwrap().local_limit = amps(limit);
        lab.shown(1)
    };
    assert_eq!(local(12), "0:12, 3600:6");
    assert_eq!(local(5), "0:5");
    assert_eq!(
        [lab.ceiling(C1, "10:00"), lab.ceiling(C1, "11:00")],
        [amps(16), amps(6)]
    );
    let next = |clock| lab.profiles.next_change(C1, at(clock), Some(at("09:50")));
    assert_eq!(next("10:00"), Some(at("11:00")));
    assert_eq!(next("11:00"), None);
}

#[test]
fn a_composite_schedule_is_told_in_the_unit_that_was_asked_for() {
    let mut lab = Lab::new();
    let ask = json!({"connectorId": 1, "duration": 600, "chargingRateUnit": "W"});
    assert_eq!(
        lab.composite(&ask),
        json!({"status": "Accepted", "connectorId": 1, "scheduleStart": "2026-01-15T10:00:00Z",
               "chargingSchedule": {"duration": 600, "chargingRateUnit": "W",
                                    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 22_080}]}})
    );
    lab.outlets.get_mut(&C1).unwrap().wiring.phases = 1;
    assert_eq!(shown(&lab.composite(&ask)), "0:7360");
}

#[test]
fn a_composite_schedule_of_nothing_is_rejected() {
    let lab = Lab::new();
    for (connector, duration) in [(3, 60), (1, 0), (1, -60)] {
        let ask = json!({"connectorId": connector, "duration": duration});
        assert_eq!(lab.composite(&ask), json!({"status": "Rejected"}), "{ask}");
    }
}

#[test]
fn connector_0_is_the_sum_of_the_connectors_that_charge_each_with_its_own_wiring_and_limit() {
    let mut lab = Lab::new();
    lab.outlets.get_mut(&C1).unwrap().local_limit = amps(10);
    assert_eq!(lab.shown(0), "0:10", "one charges");
    lab.outlets.get_mut(&C2).unwrap().wiring.max = MilliAmps::from_amps(16);
    lab.outlets.get_mut(&C2).unwrap().transaction = Some(OpenTransaction {
        id: None,
        started: lab.now,
    });
    assert_eq!(lab.shown(0), "0:26");
    lab.set(
        0,
        &profile(
            1,
            "ChargePointMaxProfile",
            &json!({"chargingSchedulePeriod": limit(20)}),
        ),
    );
    assert_eq!(lab.shown(0), "0:20");
    assert_eq!(lab.profiles.total(lab.now, &lab.outlets), amps(20));
    for outlet in lab.outlets.values_mut() {
        outlet.transaction = None;
    }
    lab.clear(&json!({}));
    assert_eq!(lab.shown(0), "0:26", "none charges: as if all did");
    assert_eq!(lab.profiles.total(lab.now, &lab.outlets), None);
}

#[test]
fn connectors_may_be_numbered_with_gaps() {
    let mut lab = Lab::new();
    let outlet = lab.outlets.remove(&C2).unwrap();
    lab.outlets.insert(ConnectorId(7), outlet);
    let default = profile(1, "TxDefaultProfile", &json!({}));
    assert_eq!(lab.set(2, &default), "PropertyConstraintViolation");
    assert_eq!(lab.set(7, &default), "Accepted");
    assert_eq!(lab.shown(7), "0:16");
}

#[test]
fn what_counts_from_a_transaction_changes_nothing_while_none_runs() {
    let mut lab = Lab::new();
    let steps = json!([{"startPeriod": 0, "limit": 16}, {"startPeriod": 600, "limit": 8}]);
    lab.set(
        0,
        &profile(
            1,
            "TxDefaultProfile",
            &json!({"chargingSchedulePeriod": steps}),
        ),
    );
    let next = |started| lab.profiles.next_change(C2, lab.now, started);
    assert_eq!(next(None), None);
    assert_eq!(next(Some(at("09:55"))), Some(at("10:05")));
    assert_eq!(lab.ceiling(C2, "10:00"), amps(16));
}

fn remote_start(lab: &mut Lab, connector: Option<ConnectorId>, profile: &Value) -> Acceptance {
    let tag = "04A2".into();
    lab.profiles
        .remote_start(at("10:02"), connector, &tag, &raw(profile), &lab.outlets)
        .unwrap()
}

#[test]
fn the_profile_of_a_remote_start_holds_for_the_transaction_that_it_started() {
    let eight = json!({"chargingSchedulePeriod": limit(8), "transactionId": 5});
    let for_transaction = profile(1, "TxProfile", &eight);
    for (connector, tag, clock, expected) in [
        (Some(C2), "04a2", "10:01", amps(8)),
        (None, "04a2", "10:02", amps(8)),
        (Some(C2), "other", "10:01", None),
        (None, "other", "10:01", None),
        (Some(C2), "04a2", "10:03", None),
        (Some(C1), "04a2", "10:01", None),
    ] {
        let mut lab = Lab::new();
        let told = remote_start(&mut lab, connector, &for_transaction);
        assert_eq!(told, Acceptance::Accepted);
        assert_eq!(lab.ceiling(C2, "10:01"), None, "not before it begins");
        lab.profiles.begin_transaction(at(clock), C2, &tag.into());
        assert_eq!(
            lab.ceiling(C2, "10:03"),
            expected,
            "{connector:?} {tag} {clock}"
        );
        lab.profiles.end_transaction(C2);
        lab.profiles.begin_transaction(at(clock), C2, &tag.into());
        assert_eq!(lab.ceiling(C2, "10:03"), None, "only once");
    }
}

#[test]
fn a_remote_start_takes_no_other_profile_and_the_newest_one_counts() {
    let mut lab = Lab::new();
    let wrong = profile(1, "TxDefaultProfile", &json!({}));
    assert_eq!(
        remote_start(&mut lab, Some(C2), &wrong),
        Acceptance::Rejected
    );
    let empty = profile(1, "TxProfile", &json!({"chargingSchedulePeriod": []}));
    assert_eq!(
        remote_start(&mut lab, Some(C2), &empty),
        Acceptance::Rejected
    );
    for amps in [10, 8] {
        let profile = profile(
            1,
            "TxProfile",
            &json!({"chargingSchedulePeriod": limit(amps)}),
        );
        remote_start(&mut lab, Some(C2), &profile);
    }
    assert_eq!(lab.profiles.coming.len(), 1);
    assert_eq!(lab.clear(&json!({"connectorId": 1})), "Unknown");
    lab.profiles.begin_transaction(lab.now, C2, &"04A2".into());
    assert_eq!(lab.ceiling(C2, "10:00"), amps(8));
    remote_start(&mut lab, None, &profile(2, "TxProfile", &json!({})));
    assert_eq!(lab.clear(&json!({"id": 2})), "Accepted");
    assert_eq!(lab.profiles.coming, []);
}

#[test]
fn everything_is_there_again_after_a_restart() {
    let mut lab = Lab::new();
    let valid = json!({"validTo": "2026-01-16T00:00:00Z"});
    lab.set(1, &profile(1, "TxProfile", &valid));
    remote_start(&mut lab, Some(C2), &profile(2, "TxProfile", &json!({})));
    let json = serde_json::to_string(&lab.profiles).unwrap();
    let again: BackendProfiles = serde_json::from_str(&json).unwrap();
    assert_eq!(again, lab.profiles);
    assert_eq!(
        serde_json::from_str::<BackendProfiles>("{}").unwrap(),
        BackendProfiles::default()
    );
}

proptest! {
    #[test]
    fn no_profile_panics_and_none_allows_more_than_it_says(
        numbers in proptest::collection::vec(any::<i64>(), 6),
        limits in proptest::collection::vec(0..40_i64, 1..5),
        kind in prop_oneof![Just("Absolute"), Just("Relative"), Just("Recurring")],
        seconds in 0..4_102_444_800_i64,
    ) {
        let mut lab = Lab::new();
        lab.now = Timestamp::from_second(seconds).unwrap();
        let absurd = json!({"duration": numbers[0], "stackLevel": numbers[1], "transactionId": numbers[2],
            "chargingSchedulePeriod": [{"startPeriod": numbers[3], "limit": numbers[4], "numberPhases": numbers[5]}]});
        lab.set(1, &profile(1, "TxProfile", &absurd));
        let periods: Vec<Value> = limits.iter().enumerate()
            .map(|(i, limit)| json!({"startPeriod": i * 600, "limit": limit}))
            .collect();
        let more = json!({"chargingProfileKind": kind, "recurrencyKind": "Daily", "duration": numbers[0],
            "startSchedule": "2020-01-01T00:00:00Z", "chargingSchedulePeriod": periods});
        prop_assert_eq!(lab.set(0, &profile(2, "TxDefaultProfile", &more)), "Accepted");
        let most = MilliAmps::from_amps(i32::try_from(*limits.iter().max().unwrap()).unwrap());
        let ceiling = lab.profiles.ceiling(C2, lab.now, Some(lab.now), WIRING);
        prop_assert!(ceiling.is_none_or(|ceiling| ceiling <= most));
        let next = lab.profiles.next_change(C2, lab.now, None);
        prop_assert!(next.is_none_or(|next| next > lab.now));
        lab.composite(&json!({"connectorId": 0, "duration": numbers[3]}));
    }
}
