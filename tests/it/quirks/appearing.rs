//! How wallboxes come, go, boot and are set up.

use serde_json::{Value, json};

use chargewarden::ids::LinkId;
use chargewarden::sim::{Quirk, WorldPlan};

use super::desk::Desk;
use super::lab::{Lab, beside_another, seconds, wallbox};

#[test]
fn a_wallbox_that_does_not_boot_after_a_reconnect_is_limited_all_the_same() {
    let mut lab = Lab::with(&[Quirk::NoBootAfterReconnect]);
    lab.charge("A");
    lab.settles_at([16_000, 0]);
    lab.world.set_reachable("A", false);
    lab.run(30);
    lab.charge("B");
    lab.settles_at([16_000, 6_000]);
    lab.world.set_reachable("A", true);
    lab.settles_at([11_000, 11_000]);
    assert_eq!(lab.said("A", "BootNotification").len(), 1);
}

#[test]
fn a_wallbox_that_never_boots_is_asked_to_and_used_in_any_case() {
    for more in [None, Some(Quirk::NoRemoteTrigger)] {
        let quirks: Vec<Quirk> = [Quirk::NeverBoots].into_iter().chain(more).collect();
        let mut lab = Lab::started(beside_another(wallbox(&quirks)));
        let asked = lab.asked("A");
        let boots = asked
            .iter()
            .filter(|asked| asked.payload["requestedMessage"] == "BootNotification");
        assert_eq!(boots.count(), 1);
        lab.shares_and_parts();
    }
}

#[test]
fn a_status_that_is_missing_after_a_boot_is_asked_for() {
    let mut lab = Lab::switched_on(beside_another(wallbox(&[Quirk::NoStatusAfterBoot])));
    lab.world.plug("A", chargewarden::sim::Car::default());
    lab.run(60);
    assert_eq!(lab.evse("A").status.as_deref(), Some("Preparing"));
    lab.world.tap("A", "TAG");
    lab.settles_at([16_000, 0]);
}

#[test]
fn a_status_that_is_missing_after_a_reconnect_is_asked_for() {
    let mut lab = Lab::with(&[Quirk::NoBootAfterReconnect, Quirk::NoStatusAfterBoot]);
    let before = lab.said("A", "StatusNotification").len();
    lab.world.lose_link("A");
    lab.run(30);
    assert!(lab.said("A", "StatusNotification").len() > before);
}

#[test]
fn a_status_before_anything_else_is_known_counts() {
    let mut desk = Desk::new();
    desk.status(1, "Preparing");
    desk.call(
        "BootNotification",
        &json!({"chargePointVendor": "Acme", "chargePointModel": "WB"}),
    );
    assert_eq!(desk.evse().status.as_deref(), Some("Preparing"));
}

#[test]
fn the_status_of_connector_0_is_that_of_no_car() {
    let (mut desk, _) = Desk::charging();
    for status in ["Available", "Unavailable", "Faulted"] {
        desk.status(0, status);
        desk.wait(90);
        assert_eq!(desk.open().len(), 1, "{status}");
        assert_eq!(desk.evse().status.as_deref(), Some("Charging"));
        assert_eq!(desk.evse().offered_a, Some(16.0));
    }
}

#[test]
fn a_wallbox_that_boots_faster_than_it_can_be_set_up_is_limited_and_not_flooded() {
    let mut lab = Lab::started(beside_another(wallbox(&[Quirk::BootLoop])));
    let boots = lab.said("A", "BootNotification").len();
    assert!(boots >= 10, "{boots}");
    let asked = lab.asked("A").len();
    assert!(asked <= boots * 8, "{asked} questions at {boots} boots");
    assert_eq!(lab.world.allowed("A").0, 0);
    lab.run(30);
    lab.shares_and_parts();
}

#[test]
fn no_more_measurands_are_configured_than_a_wallbox_survives() {
    let survives = [
        "Current.Import",
        "Current.Offered",
        "Energy.Active.Import.Register",
        "Power.Active.Import",
        "Voltage",
    ];
    let lab = Lab::with(&[]);
    let asked = lab.asked("A");
    let mut lists = asked
        .iter()
        .filter(|asked| asked.payload["key"] == "MeterValuesSampledData")
        .map(|asked| asked.payload["value"].as_str().unwrap());
    let list = lists.next().unwrap();
    assert!(list.split(',').all(|one| survives.contains(&one)), "{list}");
}

#[test]
fn the_newest_of_two_sockets_wins_and_the_end_of_the_old_one_means_nothing() {
    let (mut desk, id) = Desk::charging();
    let old = desk.link;
    desk.up();
    assert_eq!(desk.closed, [old]);
    desk.down(old);
    assert!(desk.evse().online);
    assert_eq!(desk.open(), [id]);
    assert_eq!(desk.link, LinkId(2));
    desk.status(1, "Charging");
    desk.down(LinkId(2));
    assert!(!desk.evse().online);
}

#[test]
fn a_wallbox_that_stays_away_for_19_minutes_keeps_its_transaction_and_its_share() {
    let mut lab = Lab::with(&[Quirk::NoBootAfterReconnect]);
    lab.charge("A");
    lab.charge("B");
    lab.settles_at([11_000, 11_000]);
    let id = lab.evse("A").transaction.unwrap().id;
    lab.world.set_reachable("A", false);
    lab.run(19 * 60);
    assert_eq!(lab.world.allowed("B").0, 11_000);
    lab.world.set_reachable("A", true);
    lab.settles_at([11_000, 11_000]);
    assert_eq!(lab.evse("A").transaction.unwrap().id, id);
    lab.world.unplug("A");
    lab.run(60);
    lab.is_settled();
}

#[test]
fn a_wallbox_that_connects_a_quarter_of_an_hour_after_the_others_is_served() {
    let mut lab = Lab::switched_on(beside_another(wallbox(&[])));
    lab.world.set_reachable("A", false);
    lab.run(60);
    lab.charge("B");
    lab.run(15 * 60);
    assert_eq!(lab.world.allowed("B").0, 16_000);
    lab.world.set_reachable("A", true);
    lab.run(30);
    lab.charge("A");
    lab.settles_at([11_000, 11_000]);
}

#[test]
fn a_wallbox_that_lists_its_keys_one_at_a_time_is_asked_for_each() {
    let plan = wallbox(&[Quirk::SingleKeys]).says("GetConfigurationMaxKeys", "1");
    let mut lab = Lab::started(beside_another(plan));
    let limits = lab.limits("A");
    assert_eq!(limits[0].payload["csChargingProfiles"]["stackLevel"], 8);
    lab.shares_and_parts();
}

#[test]
fn a_wallbox_that_tells_no_key_at_all_is_limited() {
    Lab::with(&[Quirk::NoConfiguration]).shares_and_parts();
}

#[test]
fn a_wallbox_that_takes_few_measurands_measures_the_most_important_ones() {
    for (most, expected) in [
        ("1", "Current.Import"),
        ("2", "Current.Import,Energy.Active.Import.Register"),
    ] {
        let plan = wallbox(&[]).says("MeterValuesSampledDataMaxLength", most);
        let plan = plan.says("MeterValuesSampledData", "Voltage");
        let mut lab = Lab::started(beside_another(plan));
        let asked = lab.asked("A");
        let accepted = asked
            .iter()
            .filter(|asked| asked.payload["key"] == "MeterValuesSampledData")
            .rfind(|asked| asked.was_accepted());
        assert_eq!(accepted.unwrap().payload["value"], expected);
        lab.shares_and_parts();

        // What it takes is known when it comes again, whatever it says then.
        let before = lab.asked("A").len();
        lab.world
            .at("A", "reset to its factory settings", |wallbox, now| {
                let reset = json!([2, "by hand", "ChangeConfiguration",
                {"key": "MeterValuesSampledData", "value": "Voltage"}]);
                wallbox.handle_frame(now, &reset.to_string());
            });
        lab.world.reboot("A", seconds(20));
        lab.run(60);
        let asked = lab.asked("A");
        let lists = asked[before..]
            .iter()
            .filter(|asked| asked.payload["key"] == "MeterValuesSampledData");
        let lists: Vec<&Value> = lists.map(|asked| &asked.payload["value"]).collect();
        assert_eq!(lists, ["Voltage", expected]);
    }
}

#[test]
fn a_wallbox_that_cannot_be_triggered_is_listened_to() {
    Lab::with(&[Quirk::NoRemoteTrigger]).shares_and_parts();
}

#[test]
fn a_wallbox_that_refuses_to_be_triggered_for_meter_values_is_booked_by_assumption() {
    Lab::with(&[Quirk::NoMeterValues]).shares_and_parts();
}

#[test]
fn a_wallbox_that_takes_8_seconds_for_every_answer_is_waited_for() {
    let mut lab = Lab::started(beside_another(wallbox(&[Quirk::LateAnswers])));
    lab.run(120);
    lab.charge("A");
    lab.settles_at([16_000, 0]);
    lab.charge("B");
    lab.settles_at([11_000, 11_000]);
}

#[test]
fn a_site_that_starts_anew_limits_a_wallbox_that_does_not_boot_for_it() {
    let plan = WorldPlan::new(3)
        .fuse("house", 22)
        .wallbox(wallbox(&[Quirk::NoBootAfterReconnect, Quirk::OnlyRelative]));
    let mut lab = Lab::started(plan.wallboxes(&["B"]));
    lab.charge("A");
    lab.charge("B");
    lab.settles_at([11_000, 11_000]);
    let before = lab.limits("A").len();
    lab.world.crash();
    lab.run(30);
    let first = &lab.limits("A")[before];
    assert!(first.was_accepted(), "it remembers the form: {first:?}");
    lab.settles_at([11_000, 11_000]);
    lab.world.set_reachable("A", false);
    lab.world.run_for(seconds(5)).unwrap();
    lab.world.set_reachable("A", true);
    lab.settles_at([11_000, 11_000]);
}
