//! `SendLocalList`, `GetLocalListVersion`, `ClearCache` (OCPP 1.6 §5.4, §5.10, §5.15).

use super::lab::*;

fn send(lab: &mut Lab, version: i64, kind: &str, entries: Value) -> String {
    lab.tell(
        "SendLocalList",
        json!({"listVersion": version, "updateType": kind, "localAuthorizationList": entries}),
    )
}

fn accepted(tag: &str) -> Value {
    json!({"idTag": tag, "idTagInfo": {"status": "Accepted"}})
}

fn version(lab: &mut Lab) -> Value {
    lab.ask("GetLocalListVersion", json!({}))["listVersion"].clone()
}

/// With the backend away, a card may charge or may not.
#[track_caller]
fn charges_offline(lab: &mut Lab, tag: &str) -> bool {
    lab.backend_is_there(false);
    lab.plug();
    lab.tap(tag);
    lab.wait(30);
    let charges = lab.draws();
    lab.unplug();
    lab.backend_is_there(true);
    lab.wait(30);
    charges
}

#[test]
fn there_is_no_list_at_first() {
    assert_eq!(version(&mut lab()), 0);
}

#[test]
fn a_full_list_replaces_everything() {
    let mut lab = lab();
    assert_eq!(
        send(&mut lab, 3, "Full", json!([accepted(CARD)])),
        "Accepted"
    );
    assert_eq!(version(&mut lab), 3);
    assert_eq!(
        send(&mut lab, 2, "Full", json!([accepted(OTHER)])),
        "Accepted"
    );
    assert_eq!(version(&mut lab), 2);
    assert!(!charges_offline(&mut lab, CARD));
    assert!(charges_offline(&mut lab, OTHER));
}

#[test]
fn a_difference_adds_and_removes() {
    let mut lab = lab();
    send(&mut lab, 1, "Full", json!([accepted(CARD)]));
    let change = json!([{"idTag": CARD}, accepted(OTHER)]);
    assert_eq!(send(&mut lab, 2, "Differential", change), "Accepted");
    assert!(!charges_offline(&mut lab, CARD));
    assert!(charges_offline(&mut lab, OTHER));
}

#[test]
fn case_48_a_difference_to_an_old_version_is_a_mismatch() {
    let mut lab = lab();
    send(&mut lab, 5, "Full", json!([accepted(CARD)]));
    for old in [5, 4] {
        assert_eq!(
            send(&mut lab, old, "Differential", json!([accepted(OTHER)])),
            "VersionMismatch"
        );
    }
    assert_eq!(version(&mut lab), 5);
    assert!(!charges_offline(&mut lab, OTHER));
}

#[test]
fn an_empty_full_list_clears() {
    let mut lab = lab();
    send(&mut lab, 1, "Full", json!([accepted(CARD)]));
    assert_eq!(send(&mut lab, 2, "Full", json!([])), "Accepted");
    assert!(!charges_offline(&mut lab, CARD));
}

#[test]
fn one_tag_twice_fails_and_changes_nothing() {
    let mut lab = lab();
    let twice = json!([accepted(CARD), accepted(CARD)]);
    assert_eq!(send(&mut lab, 1, "Full", twice), "Failed");
    assert_eq!(version(&mut lab), 0);
}

#[test]
fn a_list_that_is_too_long_fails_and_changes_nothing() {
    let mut lab = lab();
    let many: Vec<Value> = (0..201).map(|n| accepted(&format!("TAG{n}"))).collect();
    assert_eq!(send(&mut lab, 1, "Full", json!(many)), "Failed");
    assert_eq!(version(&mut lab), 0);
}

#[test]
fn a_list_that_is_switched_off_is_not_supported() {
    let mut lab = lab();
    lab.set("LocalAuthListEnabled", "false");
    assert_eq!(version(&mut lab), -1);
    assert_eq!(send(&mut lab, 1, "Full", json!([])), "NotSupported");
}

#[test]
fn the_list_outlives_a_restart() {
    let mut lab = lab();
    send(&mut lab, 7, "Full", json!([accepted(CARD)]));
    lab.world.crash();
    lab.wait(60);
    assert_eq!(version(&mut lab), 7);
    assert!(charges_offline(&mut lab, CARD));
}

#[test]
fn a_blocked_card_on_the_list_is_refused_offline() {
    let plan = usual(BackendPlan::default());
    let mut lab = Lab::of(plan.with_gateway(|gateway| {
        for member in &mut gateway.members {
            member.offline_unknown_tags = true;
        }
    }));
    let blocked = json!([{"idTag": CARD, "idTagInfo": {"status": "Blocked"}}]);
    assert_eq!(send(&mut lab, 1, "Full", blocked), "Accepted");
    assert!(!charges_offline(&mut lab, CARD));
    assert!(charges_offline(&mut lab, OTHER), "a stranger may");
}

#[test]
fn an_expired_card_on_the_list_is_refused_offline() {
    let mut lab = lab();
    let expired = json!([{"idTag": CARD, "idTagInfo":
        {"status": "Accepted", "expiryDate": "2020-01-01T00:00:00Z"}}]);
    assert_eq!(send(&mut lab, 1, "Full", expired), "Accepted");
    assert!(!charges_offline(&mut lab, CARD));
}

#[test]
fn the_cache_is_cleared() {
    let mut lab = lab();
    lab.session();
    lab.unplug();
    assert!(
        charges_offline(&mut lab, CARD),
        "the backend said yes before"
    );
    assert_eq!(lab.tell("ClearCache", json!({})), "Accepted");
    assert!(!charges_offline(&mut lab, CARD));
}

#[test]
fn a_cache_that_is_switched_off_cannot_be_cleared() {
    let mut lab = lab();
    lab.set("AuthorizationCacheEnabled", "false");
    assert_eq!(lab.tell("ClearCache", json!({})), "Rejected");
    lab.session();
    lab.unplug();
    assert!(!charges_offline(&mut lab, CARD));
}
