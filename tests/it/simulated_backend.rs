//! A simulated wallbox and a simulated backend, over a real socket and with nothing between them.

use std::time::Duration;

use chargewarden::clock::Random;
use chargewarden::ids::{ChargeBoxId, ConnectorId};
use chargewarden::ocpp::ChargePointStatus;
use chargewarden::ocpp::messages::AuthorizationStatus;
use chargewarden::sim::backend::{Command, Ledger, Server, listen_on_loopback, serve};
use chargewarden::sim::wallbox::Traffic;
use chargewarden::sim::{
    Backend, BackendPlan, Car, Draws, Script, Target, Visit, Wallbox, WallboxPlan, runner,
};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::schema::Checker;

const ID: &str = "DE*ABC*E1 1";

/// Waits until the ledger shows something.
async fn until<T: Send + 'static>(
    server: &Server,
    look: impl Fn(&Ledger) -> Option<T> + Send + Copy + 'static,
) -> T {
    loop {
        let seen = server.with(move |_, backend| look(backend.ledger())).await;
        if let Some(seen) = seen.expect("the backend runs") {
            return seen;
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn wallbox() -> Wallbox {
    let mut wallbox = Wallbox::new(WallboxPlan::new(ID), Random::new(1));
    let mut backend = Checker::new();
    wallbox.inspect(move |traffic| match traffic {
        Traffic::Sent(text) => backend.received(text),
        Traffic::Received(text) => backend.sent(text),
    });
    wallbox
}

#[tokio::test]
async fn a_whole_session_from_the_card_to_the_remote_stop() {
    let stop = CancellationToken::new();
    let plan = BackendPlan::default()
        .unknown_tags(AuthorizationStatus::Invalid)
        .tag("TAG", AuthorizationStatus::Accepted, Some("FAMILY"));
    let backend = Backend::new(plan, Random::new(2));
    let server = serve(listen_on_loopback().unwrap(), backend, stop.clone());
    let id = ChargeBoxId::from(ID);
    let url = format!("ws://127.0.0.1:{}/ocpp/", server.port());
    let target = Target::new(&url, &id, None).unwrap();
    let visit = Visit {
        after: Duration::ZERO,
        stays: None,
        car: Car::default(),
        tag: "TAG".into(),
    };
    let script = Script::once(ConnectorId(1), visit);
    let running = runner::run(wallbox(), target, script, Draws::default(), stop.clone());
    let running = tokio::spawn(running);

    let transaction = until(&server, |ledger| ledger.transactions(ID).first()?.id).await;
    let stopped = server
        .with(move |now, backend| backend.command(now, &id, Command::RemoteStop { transaction }))
        .await
        .unwrap()
        .unwrap();
    until(&server, |ledger| (ledger.stops(ID) == 1).then_some(())).await;
    until(&server, move |ledger| {
        let accepted = ledger.outcome(stopped)?.payload()? == r#"{"status":"Accepted"}"#;
        accepted.then_some(())
    })
    .await;
    until(&server, |ledger| {
        let last = ledger.payloads(ID, "StatusNotification").pop()?.to_owned();
        last.contains(ChargePointStatus::Finishing.as_str())
            .then_some(())
    })
    .await;
    let told = server.with(|_, backend| {
        let ledger = backend.ledger();
        assert_eq!(ledger.actions(ID)[0], "BootNotification");
        assert_eq!(ledger.starts(ID), 1);
        assert_eq!(ledger.foreign(ID), Vec::<&str>::new());
        assert_eq!(ledger.complaints(), Vec::<String>::new());
        let [session] = ledger.transactions(ID)[..] else {
            panic!("{:?}", ledger.transactions(ID));
        };
        assert!(session.start.contains(r#""idTag":"TAG""#));
        assert!(session.stops[0].contains(r#""reason":"Remote""#));
    });
    told.await.unwrap();
    stop.cancel();
    running.await.unwrap();
    server.ended().await;
    assert!(server.with(|_, _| ()).await.is_none());
}
