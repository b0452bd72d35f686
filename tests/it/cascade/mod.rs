//! More than one building: a daemon whose backend is another one, which has a fuse of its own and
//! the billing backend above it. Real daemons, over real sockets.

mod lab;

use std::time::Duration;

use chargewarden::sim::backend::Command;
use chargewarden::units::{MilliAmps, PerPhase};
use serde_json::{Value, json};
use tokio::time::sleep;

use lab::{LEFT, LOWER_FUSE, Lab, TAG, UPPER_FUSE, YARD, until};

fn on_every_phase(draw: PerPhase<MilliAmps>, holds: impl Fn(f64) -> bool) -> bool {
    draw.iter().all(|(_, current)| holds(current.as_amps()))
}

/// Start and stop of the one transaction of a charge point, if both came once.
async fn one_transaction(lab: &Lab, client_id: &'static str) -> (Value, Value) {
    let session = lab.billed(move |ledger| {
        assert_eq!(ledger.foreign(client_id), Vec::<&str>::new());
        let sessions = ledger.transactions(client_id);
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        (sessions[0].start.clone(), sessions[0].stops.clone())
    });
    let (start, stops) = session.await;
    assert_eq!(stops.len(), 1, "{client_id}: {stops:?}");
    let read = |text: &str| serde_json::from_str(text).unwrap();
    (read(&start), read(&stops[0]))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_fuses_hold_and_every_transaction_arrives_once_above_both() {
    let lab = Lab::start().await;
    let begin = lab.yard.energy();
    let left = lab.left();
    lab.yard.plug();
    until("two transactions above both", async || {
        lab.billed(|ledger| ledger.starts(LEFT) + ledger.starts(YARD))
            .await
            == 2
    })
    .await;
    // The upper fuse would give them 13 A each.
    until("all that the lower fuse carries", async || {
        on_every_phase(lab.lower_draw(), |amps| amps > 19.5)
    })
    .await;

    let tower = lab.tower(Duration::from_secs(45));
    until("a share for the neighbour", async || {
        on_every_phase(lab.tower_draw(), |amps| amps > 8.0)
            && on_every_phase(lab.lower_draw(), |amps| (12.0..18.0).contains(&amps))
    })
    .await;
    let reason = lab.evse("yard").await["reason"].clone();
    assert!(reason.as_str().unwrap().contains("backend"), "{reason}");

    lab.link.send_replace(false);
    sleep(Duration::from_secs(1)).await;
    lab.yard.unplug();
    until("the end of the session", async || {
        lab.evse("yard").await["transaction"].is_null()
    })
    .await;
    let end = lab.yard.energy();
    let stops = |client_id| lab.billed(move |ledger| ledger.stops(client_id));
    assert_eq!(stops(YARD).await, 0, "nobody above knows");
    lab.link.send_replace(true);
    until("the stop that waited", async || stops(YARD).await == 1).await;
    let transaction = lab.billed(|ledger| ledger.transactions(LEFT)[0].id).await;
    let transaction = transaction.expect("the backend took it");
    until("a backend that may end the other one", async || {
        let stop = Command::RemoteStop { transaction };
        let sent = lab.billing.with(move |now, backend| {
            let _ = backend.command(now, &LEFT.into(), stop);
        });
        sent.await.unwrap();
        sleep(Duration::from_secs(2)).await;
        stops(LEFT).await == 1
    })
    .await;

    let (start, stop) = one_transaction(&lab, YARD).await;
    assert_eq!(
        (&start["idTag"], &start["meterStart"]),
        (&json!(TAG), &json!(begin))
    );
    assert_eq!(
        (&stop["reason"], &stop["meterStop"]),
        (&json!("EVDisconnected"), &json!(end))
    );
    assert!(end > begin);
    let (start, stop) = one_transaction(&lab, LEFT).await;
    assert_eq!(start, left.payload("StartTransaction").unwrap());
    let mut sent = left.payload("StopTransaction").unwrap();
    sent["transactionId"] = json!(transaction);
    assert_eq!((&stop, &stop["reason"]), (&sent, &json!("Remote")));
    assert!(tower.payload("StartTransaction").is_some());

    let [lower, upper] = lab.peaks.get();
    assert!(lower <= LOWER_FUSE, "{lower} A through the lower fuse");
    assert!(upper <= UPPER_FUSE, "{upper} A through the upper fuse");
    assert_eq!(lab.yard.violations(), Vec::<String>::new());
    let complaints = lab.billed(|ledger| ledger.complaints().to_vec()).await;
    assert_eq!(complaints, Vec::<String>::new());
    lab.end().await;
}
