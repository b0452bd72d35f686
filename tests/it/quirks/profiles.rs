//! Which limits wallboxes take, and what they make of them.

use serde_json::{Value, json};

use chargewarden::central_system::ProfileSettings;
use chargewarden::evse::Reason;
use chargewarden::ids::EvseName;
use chargewarden::load::WhenDisabled;
use chargewarden::sim::{Quirk, WorldPlan};

use super::desk::Desk;
use super::lab::{Asked, Lab, beside_another, seconds, wallbox};

#[test]
fn the_allowed_charging_rate_unit_is_understood_in_every_spelling_and_may_be_missing() {
    let key = "ChargingScheduleAllowedChargingRateUnit";
    for (said, first) in [
        ("A", "A"),
        ("Amp", "A"),
        ("Current", "A"),
        ("Power;Current", "A"),
        ("", "A"),
        ("W", "W"),
        ("power", "W"),
    ] {
        let mut lab = Lab::started(beside_another(wallbox(&[]).says(key, said)));
        lab.shares_and_parts();
        let limits = lab.limits("A");
        let unit = &limits[0].payload["csChargingProfiles"]["chargingSchedule"]["chargingRateUnit"];
        assert_eq!(unit, first, "{said:?}");
    }
}

#[test]
fn a_wallbox_that_says_amperes_and_takes_watts_alone_is_found_out() {
    let plan = wallbox(&[Quirk::OnlyWatts]);
    let plan = plan.says("ChargingScheduleAllowedChargingRateUnit", "Current");
    Lab::started(beside_another(plan)).shares_and_parts();
}

#[test]
fn a_feature_list_without_smart_charging_proves_nothing() {
    for list in ["Core, RemoteTrigger", "Core,FirmwareManagement", ""] {
        let plan = wallbox(&[]).says("SupportedFeatureProfiles", list);
        Lab::started(beside_another(plan)).shares_and_parts();
    }
}

#[test]
fn a_wallbox_without_smart_charging_is_booked_at_what_it_can_draw_and_shown_as_such() {
    let mut lab = Lab::with(&[Quirk::NoSmartCharging]);
    assert_eq!(lab.evse("A").reason, Reason::NotLimitable.to_string());
    lab.charge("B");
    lab.settles_at([16_000, 6_000]);
    lab.charge("A");
    lab.settles_at([16_000, 6_000]);
    lab.world.unplug("A");
    lab.run(30);
    lab.is_settled();
}

#[test]
fn a_wallbox_that_reports_a_stack_level_that_it_does_not_take_is_found_out() {
    for level in ["8", "16", "3", "0", ""] {
        let plan = wallbox(&[Quirk::OnlyStackLevel0]).says("ChargeProfileMaxStackLevel", level);
        let mut lab = Lab::started(beside_another(plan));
        lab.shares_and_parts();
    }
}

#[test]
fn a_wallbox_that_takes_relative_profiles_alone_is_limited() {
    Lab::with(&[Quirk::OnlyRelative]).shares_and_parts();
}

#[test]
fn a_wallbox_that_takes_absolute_profiles_alone_is_limited() {
    Lab::with(&[Quirk::OnlyAbsolute]).shares_and_parts();
}

#[test]
fn a_wallbox_that_wants_a_profile_for_the_whole_charge_point_is_limited() {
    Lab::with(&[Quirk::OnlyChargePointMax]).shares_and_parts();
}

#[test]
fn a_wallbox_that_wants_its_profile_on_connector_0_is_limited() {
    Lab::with(&[Quirk::OnlyConnector0]).shares_and_parts();
}

#[test]
fn a_profile_of_a_transaction_is_never_sent_without_one() {
    let mut lab = Lab::with(&[Quirk::OnlyTxProfile]);
    let purpose =
        |asked: &Asked| asked.payload["csChargingProfiles"]["chargingProfilePurpose"].clone();
    assert!(lab.limits("A").iter().all(|l| purpose(l) != "TxProfile"));
    lab.charge("A");
    lab.charge("B");
    lab.settles_at([11_000, 11_000]);
    let limits = lab.limits("A");
    let of_transaction = limits.iter().filter(|l| purpose(l) == "TxProfile");
    let accepted: Vec<bool> = of_transaction.map(Asked::was_accepted).collect();
    assert!(
        !accepted.is_empty() && accepted.iter().all(|yes| *yes),
        "{accepted:?}"
    );
    lab.world.unplug("A");
    lab.run(60);
    assert_eq!(lab.evse("A").reason, Reason::NotLimitable.to_string());
    assert_eq!(
        lab.world.allowed("B").0,
        6_000,
        "A is booked at its maximum again"
    );
}

#[test]
fn what_another_manager_left_is_cleared_before_our_first_limit_where_that_is_wanted() {
    let leftover = json!({"connectorId": 0, "csChargingProfiles": {"chargingProfileId": 9,
        "stackLevel": 8, "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9}]}}});
    let clears = |wanted| move |profile: &mut ProfileSettings| profile.clear_on_connect = wanted;
    for (wanted, allowed) in [(false, 9_000), (true, 16_000)] {
        let plan = WorldPlan::new(1).fuse("house", 22);
        let plan = plan.wallbox(wallbox(&[])).with_profile(clears(wanted));
        let mut lab = Lab::started(plan.wallboxes(&["B"]));
        let text = json!([2, "other-manager", "SetChargingProfile", leftover]).to_string();
        lab.world.at("A", "another manager", |wallbox, now| {
            wallbox.handle_frame(now, &text);
        });
        lab.world.lose_link("A");
        lab.run(60);
        lab.charge("A");
        lab.settles_at([allowed, 0]);
    }
}

#[test]
fn a_composite_schedule_is_read_no_further_than_its_first_period() {
    let periods = |first: f64| {
        json!({"status": "Accepted", "connectorId": 1,
        "scheduleStart": super::desk::NOON, "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": first},
                {"startPeriod": 1_006_632_455, "limit": -1.0}]}})
    };
    for (answer, sets_maximum) in [
        (json!({"status": "Rejected"}), false),
        (json!({"nonsense": []}), false),
        (periods(32.0), false),
        (periods(9.0), true),
    ] {
        let mut desk = Desk::booted();
        desk.answers.insert("GetCompositeSchedule", answer.clone());
        let before = desk.asked.len();
        let name = EvseName::from("CB");
        desk.site.set_enabled(desk.now, &name, false).unwrap();
        desk.drain();
        let mut after = desk.asked[before..].iter();
        let set = after.any(|(action, _)| action == "SetChargingProfile");
        assert_eq!(set, sets_maximum, "{answer}");
        assert_eq!(desk.evse().offered_a, Some(16.0));
    }
}

#[test]
fn a_pause_is_a_limit_of_0_and_the_transaction_lives_through_it() {
    let plan = WorldPlan::new(1).fuse("house", 10);
    let plan = plan
        .wallbox(wallbox(&[Quirk::StaysFinishing]))
        .wallboxes(&["B"]);
    let mut lab = Lab::started(plan.with_load(|load| load.rotation_period = seconds(120)));
    lab.charge("A");
    lab.within(60, |world| world.allowed("A").0 == 10_000);
    lab.charge("B");
    lab.within(600, |world| {
        world.allowed("A").0 == 0 && world.allowed("B").0 == 10_000
    });
    lab.run(10);
    assert_eq!(lab.evse("A").status.as_deref(), Some("SuspendedEVSE"));
    lab.within(600, |world| world.allowed("A").0 == 10_000);
    lab.world.unplug("A");
    lab.run(30);
    lab.is_settled();
}

#[test]
fn a_wallbox_that_knows_a_few_steps_alone_rounds_down_and_the_fuse_holds() {
    let mut lab = Lab::with(&[Quirk::CoarseSteps]);
    lab.charge("A");
    lab.charge("B");
    lab.settles_at([10_000, 11_000]);
}

#[test]
fn a_wallbox_that_rounds_down_to_whole_amperes_gets_on() {
    let plan = WorldPlan::new(1).fuse("house", 21);
    let plan = plan.wallbox(wallbox(&[Quirk::WholeAmps]));
    let mut lab = Lab::started(plan.wallboxes(&["B"]));
    lab.charge("A");
    lab.charge("B");
    lab.settles_at([10_000, 10_500]);
}

#[test]
fn a_wallbox_that_refuses_fractions_of_an_ampere_is_limited_in_whole_ones() {
    for quirks in [
        &[Quirk::RefusesFractions][..],
        &[Quirk::RefusesFractions, Quirk::OnlyAmps],
    ] {
        let plan = WorldPlan::new(1).fuse("house", 21);
        let plan = plan.wallbox(wallbox(quirks));
        let mut lab = Lab::started(plan.wallboxes(&["B"]));
        lab.charge("A");
        lab.charge("B");
        lab.settles_at([10_000, 10_500]);
        let refused = lab.limits("A");
        let refused = refused.iter().filter(|limit| !limit.was_accepted()).count();
        assert!(refused <= 1, "{refused} refusals");
    }
}

#[test]
fn a_wallbox_that_forgets_its_limit_at_a_reboot_is_told_again_before_anybody_charges() {
    let mut lab = Lab::with(&[Quirk::ForgetsProfiles]);
    lab.charge("B");
    lab.settles_at([0, 16_000]);
    lab.world.reboot("A", seconds(20));
    assert_eq!(lab.world.allowed("A").0, 16_000, "it forgot");
    lab.within(30, |world| world.allowed("A").0 == 0);
    lab.charge("A");
    lab.settles_at([11_000, 11_000]);
}

#[test]
fn a_wallbox_that_accepts_and_ignores_keeps_what_it_draws_and_the_others_pay() {
    let mut lab = Lab::with(&[Quirk::IgnoresProfiles]);
    lab.charge("A");
    lab.run(60);
    lab.charge("B");
    lab.settles_at([16_000, 6_000]);
}

#[test]
fn an_old_profile_that_wins_is_outdone_by_others_in_other_places() {
    let leftover = json!({"connectorId": 1, "csChargingProfiles": {"chargingProfileId": 9,
        "stackLevel": 8, "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Absolute", "chargingSchedule": {"chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16}]}}});
    let plan = wallbox(&[]).says("ChargeProfileMaxStackLevel", "3");
    let plan = WorldPlan::new(1)
        .fuse("house", 32)
        .wallbox(plan)
        .wallboxes(&["B"]);
    let mut lab = Lab::started(plan);
    let text = json!([2, "other-manager", "SetChargingProfile", leftover]).to_string();
    lab.world.at("A", "another manager", |wallbox, now| {
        wallbox.handle_frame(now, &text);
    });
    lab.limits_to(10);
    lab.charge("A");
    lab.settles_at([10_000, 0]);
    lab.charge("B");
    lab.limits_to(20);
    lab.settles_at([10_000, 10_000]);
}

#[test]
fn a_released_wallbox_that_was_told_everywhere_holds_nothing_of_ours() {
    let plan = WorldPlan::new(1).fuse("house", 32).with_load(|load| {
        load.when_disabled = WhenDisabled::Release;
    });
    let plan = plan.wallbox(wallbox(&[Quirk::ObeysWatts]));
    let mut lab = Lab::started(plan);
    lab.limits_to(10);
    lab.charge("A");
    lab.within(60, |world| world.allowed("A").0 == 10_000);
    lab.limits_to(32);
    let now = lab.world.now();
    let name = EvseName::from("A");
    lab.world.site_mut().set_enabled(now, &name, false).unwrap();
    lab.run(60);
    let cleared = |id: i64| {
        let asked = lab.asked("A").into_iter();
        asked
            .filter(|it| it.action == "ClearChargingProfile")
            .any(|it| it.payload["id"] == id)
    };
    assert!([1001, 2001, 3001, 4001, 5001].into_iter().all(cleared));
    assert_eq!(lab.world.allowed("A").0, 16_000);
}

#[test]
fn a_wallbox_that_accepts_and_ignores_is_not_written_to_for_ever() {
    let mut lab = Lab::started(
        WorldPlan::new(1)
            .fuse("house", 16)
            .wallbox(wallbox(&[Quirk::IgnoresProfiles])),
    );
    lab.limits_to(10);
    lab.charge("A");
    lab.run(300);
    let told = lab.limits("A").len();
    lab.run(3600);
    assert!(lab.limits("A").len() <= told + 1, "{told}");
}

#[test]
fn a_released_wallbox_holds_nothing_of_ours() {
    let plan = beside_another(wallbox(&[])).with_load(|load| {
        load.when_disabled = WhenDisabled::Release;
    });
    let mut lab = Lab::started(plan);
    let now = lab.world.now();
    let name = EvseName::from("A");
    lab.world.site_mut().set_enabled(now, &name, false).unwrap();
    lab.within(60, |world| world.allowed("A").0 == 16_000);
    lab.run(5);
    let clears: Vec<Value> = lab
        .asked("A")
        .into_iter()
        .filter(|asked| asked.action == "ClearChargingProfile")
        .map(|asked| asked.payload)
        .collect();
    assert!(clears.contains(&json!({})), "{clears:?}");
}
