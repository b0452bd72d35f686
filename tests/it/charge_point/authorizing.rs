//! Who may charge (OCPP 1.6 §4.1, §5.x; the keys of §9.1).

use super::lab::*;

#[test]
fn a_card_is_asked_for_and_starts_a_transaction() {
    let mut lab = lab();
    lab.plug();
    lab.tap(CARD);
    lab.charges();
    assert_eq!(lab.heard("Authorize"), [json!({"idTag": CARD})]);
    assert_eq!(lab.last("StartTransaction")["idTag"], CARD);
}

#[test]
fn a_card_may_come_before_the_car() {
    let mut lab = lab();
    lab.tap(CARD);
    lab.becomes("Preparing");
    lab.plug();
    lab.charges();
}

#[test]
fn a_card_that_the_backend_refuses_starts_nothing() {
    let mut lab = strict();
    lab.plug();
    lab.tap(OTHER);
    lab.wait(30);
    assert_eq!(lab.bills(), (0, 0));
    assert_eq!(lab.status(), "Preparing");
    assert!(!lab.draws());
}

#[test]
fn blocked_expired_and_concurrent_cards_start_nothing() {
    for status in [Blocked, Expired, ConcurrentTx] {
        let plan = BackendPlan::default().tag(CARD, status, None);
        let mut lab = Lab::of(usual(plan));
        lab.plug();
        lab.tap(CARD);
        lab.wait(30);
        assert_eq!(lab.bills(), (0, 0), "{status:?}");
    }
}

#[test]
fn whoever_does_not_plug_in_time_must_present_the_card_again() {
    let mut lab = lab();
    assert_eq!(lab.set("ConnectionTimeOut", "20"), "Accepted");
    lab.tap(CARD);
    lab.becomes("Preparing");
    lab.wait(30);
    assert_eq!(lab.status(), "Available");
    lab.plug();
    lab.wait(20);
    assert_eq!(lab.bills(), (0, 0));
}

#[test]
fn the_same_card_again_before_the_car_comes_takes_it_back() {
    let mut lab = lab();
    lab.tap(CARD);
    lab.becomes("Preparing");
    lab.tap(CARD);
    lab.becomes("Available");
}

#[test]
fn case_44_the_fixed_tag_is_asked_for_when_a_car_is_plugged() {
    let mut lab = with_fixed_tag();
    lab.plug();
    lab.charges();
    let actions = lab.ledger().actions("CP");
    let asked = actions.iter().position(|it| *it == "Authorize").unwrap();
    let begun = actions
        .iter()
        .position(|it| *it == "StartTransaction")
        .unwrap();
    assert!(asked < begun);
    assert_eq!(lab.last("StartTransaction")["idTag"], "FIXED");
    lab.unplug();
    assert_eq!(lab.last("StopTransaction")["reason"], "EVDisconnected");
    lab.becomes("Available");
    lab.settles();
}

#[test]
fn a_refused_fixed_tag_is_asked_for_again_with_the_next_car_only() {
    let plan = BackendPlan::default().unknown_tags(Invalid);
    let mut lab = Lab::of(usual(plan).with_fixed_id_tag("FIXED"));
    lab.plug();
    lab.wait(900);
    assert_eq!(lab.heard("Authorize").len(), 1);
    lab.unplug();
    lab.plug();
    lab.wait(10);
    assert_eq!(lab.heard("Authorize").len(), 2);
    assert_eq!(lab.bills(), (0, 0));
}

#[test]
fn a_fixed_tag_that_only_the_missing_backend_could_allow_is_tried_again() {
    let mut lab = with_fixed_tag();
    lab.backend_is_there(false);
    lab.plug();
    lab.wait(30);
    assert!(!lab.draws(), "nobody knows the tag");
    lab.backend_is_there(true);
    lab.wait(330);
    lab.charges();
}

#[test]
fn case_45_the_same_card_stops_without_a_question() {
    let mut lab = lab();
    lab.session();
    lab.tap(CARD);
    lab.wait(15);
    let stop = lab.last("StopTransaction");
    assert_eq!(
        (&stop["idTag"], lab.heard("Authorize").len()),
        (&json!(CARD), 1)
    );
    assert!(stop.get("reason").is_none_or(|it| it == "Local"));
    assert_eq!(lab.status(), "Finishing");
    assert!(!lab.draws());
    lab.settles();
}

#[test]
fn case_45_another_card_of_the_same_group_stops_after_a_question() {
    let plan = BackendPlan::default()
        .tag(CARD, Accepted, Some("FAMILY"))
        .tag(OTHER, Accepted, Some("family"));
    let mut lab = Lab::of(usual(plan));
    lab.session();
    lab.tap(OTHER);
    lab.wait(15);
    assert_eq!(lab.heard("Authorize").len(), 2);
    assert_eq!(lab.last("StopTransaction")["idTag"], OTHER);
    lab.settles();
}

#[test]
fn case_45_a_strangers_card_stops_nothing() {
    let mut lab = lab();
    lab.session();
    lab.tap(OTHER);
    lab.wait(30);
    assert_eq!(lab.heard("Authorize").len(), 2);
    assert_eq!(lab.bills(), (1, 0));
    assert!(lab.draws());
}

#[test]
fn after_a_stop_with_the_card_the_car_gets_nothing_until_a_card_comes() {
    let mut lab = with_fixed_tag();
    lab.plug();
    lab.charges();
    lab.tap("FIXED");
    lab.wait(60);
    assert_eq!((lab.bills(), lab.draws()), ((1, 1), false));
    lab.tap(CARD);
    lab.charges();
    assert_eq!(lab.bills(), (2, 1));
    let statuses = lab.statuses();
    let finishing = statuses.iter().position(|it| it == "Finishing").unwrap();
    assert_eq!(statuses[finishing + 1], "Preparing");
}

#[test]
fn a_tag_that_the_answer_to_start_refuses_ends_the_transaction() {
    let plan = BackendPlan::default().quirk(BackendQuirk::InvalidStarts);
    let mut lab = Lab::of(usual(plan));
    lab.plug();
    lab.tap(CARD);
    lab.wait(30);
    assert_eq!(lab.last("StopTransaction")["reason"], "DeAuthorized");
    assert!(!lab.draws());
    assert_eq!(lab.status(), "Finishing");
}

#[test]
fn without_stop_transaction_on_invalid_id_it_stays_open_without_current() {
    let plan = BackendPlan::default().quirk(BackendQuirk::InvalidStarts);
    let mut lab = Lab::of(usual(plan));
    assert_eq!(lab.set("StopTransactionOnInvalidId", "false"), "Accepted");
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert_eq!(lab.bills(), (1, 0));
    assert!(!lab.draws());
    assert_eq!(lab.status(), "SuspendedEVSE");
    lab.unplug();
    assert_eq!(lab.bills(), (1, 1));
}

#[test]
fn max_energy_on_invalid_id_is_given_before_it_ends() {
    let plan = BackendPlan::default().quirk(BackendQuirk::InvalidStarts);
    let mut lab = Lab::of(usual(plan));
    assert_eq!(lab.set("MaxEnergyOnInvalidId", "500"), "Accepted");
    lab.plug();
    lab.tap(CARD);
    lab.wait(60);
    assert!(lab.draws(), "so much is allowed");
    lab.wait(600);
    let stop = lab.last("StopTransaction");
    let start = lab.last("StartTransaction");
    assert_eq!(stop["reason"], "DeAuthorized");
    let taken = stop["meterStop"].as_i64().unwrap() - start["meterStart"].as_i64().unwrap();
    assert!((500..600).contains(&taken), "{taken} Wh");
}

#[test]
fn a_card_on_the_local_list_need_not_wait_where_it_may_be_authorized_before() {
    let mut lab = lab();
    assert_eq!(lab.set("LocalPreAuthorize", "true"), "Accepted");
    let list = json!({"listVersion": 1, "updateType": "Full",
        "localAuthorizationList": [{"idTag": CARD, "idTagInfo": {"status": "Accepted"}}]});
    assert_eq!(lab.tell("SendLocalList", list), "Accepted");
    lab.plug();
    lab.tap(CARD);
    lab.charges();
    assert!(lab.heard("Authorize").is_empty());
}

#[test]
fn without_local_pre_authorize_the_list_does_not_replace_the_question() {
    let mut lab = lab();
    let list = json!({"listVersion": 1, "updateType": "Full",
        "localAuthorizationList": [{"idTag": CARD, "idTagInfo": {"status": "Accepted"}}]});
    assert_eq!(lab.tell("SendLocalList", list), "Accepted");
    lab.plug();
    lab.tap(CARD);
    lab.charges();
    assert_eq!(lab.heard("Authorize").len(), 1);
}
