//! Several Power Brains that are one charge point.

use super::lab::*;

/// `PB` is connector 1, `PB2` connector 2.
fn twins() -> Lab {
    let brain = |serial| PowerBrainPlan {
        boots_enabled: false,
        ..PowerBrainPlan::new(serial)
    };
    let plan = WorldPlan::new(1)
        .fuse("house", 32)
        .power_brain(brain("PB"))
        .power_brain(brain("PB2"))
        .backend(URL, BackendPlan::default())
        .gateway(&["PB", "PB2"], "CP");
    Lab::of(plan)
}

fn reserve(lab: &mut Lab, number: i64, connector: i64) -> String {
    let payload = json!({"connectorId": connector, "expiryDate": "2099-01-01T00:00:00Z",
        "idTag": CARD, "reservationId": number});
    let said = lab.tell("ReserveNow", payload);
    lab.wait(3);
    said
}

fn last(lab: &Lab, connector: u32) -> String {
    lab.statuses_of(connector).pop().unwrap()
}

#[test]
fn each_is_a_connector_and_the_charge_point_has_one() {
    let mut lab = twins();
    assert_eq!(lab.get("NumberOfConnectors").as_deref(), Some("2"));
    for connector in 0..=2 {
        assert_eq!(last(&lab, connector), "Available");
    }
    assert_eq!(lab.heard("BootNotification").len(), 1);
}

#[test]
fn a_transaction_is_that_of_its_connector() {
    let mut lab = twins();
    lab.world.plug("PB2", Car::default());
    lab.wait(3);
    let payload = json!({"connectorId": 2, "idTag": CARD});
    assert_eq!(lab.tell("RemoteStartTransaction", payload), "Accepted");
    lab.wait(30);
    assert_eq!(lab.last("StartTransaction")["connectorId"], 2);
    assert_eq!(last(&lab, 2), "Charging");
    assert_eq!(last(&lab, 1), "Available");
    lab.world.unplug("PB2");
    lab.settles();
}

#[test]
fn a_remote_start_that_names_no_connector_goes_to_the_car_that_waits() {
    let mut lab = twins();
    lab.world.plug("PB2", Car::default());
    lab.wait(3);
    assert_eq!(
        lab.tell("RemoteStartTransaction", json!({"idTag": CARD})),
        "Accepted"
    );
    lab.wait(30);
    assert_eq!(lab.last("StartTransaction")["connectorId"], 2);
}

#[test]
fn a_number_that_is_reserved_again_elsewhere_is_void_where_it_was() {
    let mut lab = twins();
    assert_eq!(reserve(&mut lab, 7, 1), "Accepted");
    assert_eq!(last(&lab, 1), "Reserved");
    assert_eq!(reserve(&mut lab, 7, 2), "Accepted");
    assert_eq!(
        (last(&lab, 1), last(&lab, 2)),
        ("Available".into(), "Reserved".into())
    );
}

#[test]
fn connector_0_with_one_number_is_one_reservation_however_often_it_comes() {
    let mut lab = twins();
    for _ in 0..3 {
        assert_eq!(reserve(&mut lab, 7, 0), "Accepted");
    }
    let reserved = [1, 2].iter().filter(|it| last(&lab, **it) == "Reserved");
    assert_eq!(reserved.count(), 1);
    assert_eq!(
        lab.tell("CancelReservation", json!({"reservationId": 7})),
        "Accepted"
    );
    lab.wait(3);
    assert_eq!(
        (last(&lab, 1), last(&lab, 2)),
        ("Available".into(), "Available".into())
    );
}

#[test]
fn a_reservation_that_is_refused_elsewhere_stays_where_it_is() {
    let mut lab = twins();
    reserve(&mut lab, 7, 1);
    lab.world.plug("PB2", Car::default());
    lab.wait(3);
    assert_eq!(reserve(&mut lab, 7, 2), "Occupied");
    assert_eq!(last(&lab, 1), "Reserved");
}

#[test]
fn connector_0_takes_all_of_them_out_of_service() {
    let mut lab = twins();
    let payload = json!({"connectorId": 0, "type": "Inoperative"});
    assert_eq!(lab.tell("ChangeAvailability", payload), "Accepted");
    lab.wait(3);
    for connector in 0..=2 {
        assert_eq!(last(&lab, connector), "Unavailable");
    }
}

#[test]
fn meter_values_of_no_connector_are_those_of_all() {
    let mut lab = twins();
    lab.tell("TriggerMessage", json!({"requestedMessage": "MeterValues"}));
    lab.wait(3);
    let mut connectors: Vec<_> = lab
        .heard("MeterValues")
        .iter()
        .map(|it| it["connectorId"].to_string())
        .collect();
    connectors.sort();
    assert_eq!(connectors, ["1", "2"]);
}
