//! Our own restarts and power cuts: the transaction of a car that is still there goes on, any other
//! ends with its last register.

use super::lab::*;

#[test]
fn a_transaction_goes_on_where_the_car_is_still_there() {
    let mut lab = lab();
    lab.session();
    lab.wait(300);
    lab.world.crash();
    lab.wait(120);
    assert!(lab.draws());
    assert_eq!(lab.bills(), (1, 0));
    lab.unplug();
    lab.wait(30);
    assert_eq!(lab.bills(), (1, 1));
    assert_eq!(lab.last("StopTransaction")["reason"], "EVDisconnected");
    lab.settles();
}

#[test]
fn it_can_be_stopped_from_afar_afterwards() {
    let mut lab = lab();
    let transaction = lab.session();
    lab.world.crash();
    lab.wait(60);
    assert_eq!(lab.remote_stop(transaction), "Accepted");
    lab.wait(30);
    assert_eq!(lab.last("StopTransaction")["reason"], "Remote");
    lab.settles();
}

#[test]
fn the_same_card_ends_it_afterwards() {
    let mut lab = lab();
    lab.session();
    lab.world.crash();
    lab.wait(60);
    lab.tap(CARD);
    lab.wait(30);
    assert_eq!(lab.bills(), (1, 1));
    lab.settles();
}

#[test]
fn every_step_of_a_session_can_be_the_last_of_a_life() {
    let steps = {
        let mut lab = lab();
        let before = lab.world.steps();
        lab.session();
        lab.wait(30);
        lab.unplug();
        lab.world.steps() - before
    };
    // About sixty moments of it, evenly.
    for step in (0..steps).step_by(usize::try_from(steps / 60).unwrap().max(1)) {
        let mut lab = lab();
        let now = lab.world.steps();
        lab.world.crash_before(now + step);
        lab.plug();
        lab.wait(60);
        // Whoever was not heard shows the card again; whoever was must not end the session by it.
        if lab.bills().0 == 0 {
            lab.tap(CARD);
        }
        lab.wait(90);
        lab.unplug();
        lab.wait(120);
        lab.settles();
        let (started, stopped) = lab.bills();
        assert!(
            started == stopped && started <= 1,
            "step {step}: {started}, {stopped}"
        );
    }
}
