//! wss:// to our own server.

use std::time::Duration;

use chargewarden::daemon::dialler::Diallers;
use chargewarden::daemon::field::{Field, ToLink};
use chargewarden::daemon::listener::Tls;
use chargewarden::gateway::DialFailure;
use chargewarden::gateway::keys::Credential;
use chargewarden::gateway::security::Login;
use chargewarden::ids::GatewayId;
use chargewarden::net::self_signed;
use chargewarden::net::tls::TlsServer;
use jiff::Timestamp;

use super::lab::{Lab, PROTOCOL, Server, backend};
use crate::server_sockets::lab::{Lab as ServerLab, Log, v1_certificate};

fn self_signed() -> TlsServer {
    let directory = tempfile::tempdir().unwrap();
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let made = self_signed::load_or_make(directory.path(), "elsewhere", &[], now);
    TlsServer::new(&made.unwrap().identity, None).unwrap()
}

#[tokio::test]
async fn any_certificate_will_do_also_of_x509_v1_and_for_another_name() {
    for certificate in [self_signed(), v1_certificate()] {
        let mut server = ServerLab::with(|settings| {
            settings.tls = Tls::On(certificate);
            settings.deadlines = chargewarden::daemon::listener::Deadlines::default();
        });
        let mut lab = Lab::new(&format!("wss://localhost:{}/ocpp", server.port));
        lab.dial();
        let up = server.up().await;
        assert_eq!(up.address, "CB-1");
        let link = lab.dialled().await;
        assert!(!link.protocol_missing);
        let long = "x".repeat(50_000);
        let text = || ToLink::Text(long.clone());
        link.outbox.send(text()).await.unwrap();
        assert_eq!(server.text().await, (up.link, long.clone()));
        up.outbox.send(text()).await.unwrap();
        assert_eq!(lab.text().await, (link.id, long.clone()));
        drop(up.outbox);
        assert_eq!(lab.down().await, link.id);
        assert_eq!(server.down().await, up.link);
    }
}

#[tokio::test]
async fn the_log_says_whom_we_reached_and_warns_once_but_shows_no_secret() {
    let log = Log::catch();
    let mut server = ServerLab::with_tls(Tls::On(v1_certificate()));
    let url = format!("wss://127.0.0.1:{}/ocpp", server.port);
    let with_query = backend(&format!("{url}?token=t0ken"));
    let backends = vec![with_query, backend(&url)];
    let mut lab = Lab::with(backends, Duration::from_secs(9));
    let login = Login {
        password: Some(Credential::new(*b"s3cret")),
        ..Login::default()
    };
    for gateway in [GatewayId(0), GatewayId(1)] {
        lab.diallers.dial(gateway, login.clone());
        let up = server.up().await;
        let link = lab.dialled().await;
        drop(link.outbox);
        lab.down().await;
        assert_eq!(server.down().await, up.link);
    }
    let log = log.text();
    let count = |part: &str| log.lines().filter(|line| line.contains(part)).count();
    assert_eq!(count(" connected to the backend"), 2, "{log}");
    assert_eq!(count("disconnected from the backend"), 2, "{log}");
    assert_eq!(count("any certificate is accepted"), 1, "{log}");
    assert_eq!(count("fingerprint=\"CA:98:73:C6:1A:15:9C:66:"), 2, "{log}");
    assert_eq!(count(&format!("url=\"{url}/CB-1\"")), 2, "{log}");
    assert_eq!(count("client_id=\"CB-1\""), 4, "{log}");
    for secret in ["t0ken", "s3cret", "Q0ItMTpzM2NyZXQ"] {
        assert_eq!(count(secret), 0, "{log}");
    }
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_is_told_from_one_that_cannot_be_reached() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url().replace("ws://", "wss://"));
    lab.dial();
    let mut plain = server.tcp().await;
    let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut plain, answer)
        .await
        .unwrap();
    let why = "it does not speak TLS".to_owned();
    assert_eq!(lab.failed().await, DialFailure::NoUpgrade(why));
}

#[tokio::test]
async fn a_tls_handshake_that_is_cut_off_is_told() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url().replace("ws://", "wss://"));
    lab.dial();
    drop(server.tcp().await);
    assert!(matches!(lab.failed().await, DialFailure::Tls(_)));
}

#[tokio::test]
async fn a_link_of_ours_and_one_of_a_wallbox_have_different_numbers() {
    let mut server = ServerLab::new();
    let backend_server = Server::new().await;
    let (told, mut field) = tokio::sync::mpsc::channel(8);
    let diallers = Diallers::new(
        vec![backend(&backend_server.url())],
        &told,
        &server.tasks,
        &server.cancel,
        chargewarden::daemon::listener::Deadlines::default(),
        &server.links,
    );
    let (_wallbox, up) = server.wallbox("CB-1").await;
    diallers.dial(GatewayId(0), Login::default());
    let _socket = backend_server.call().await.upgrade(PROTOCOL, b"").await;
    let told = crate::server_sockets::lab::soon("Dialled", field.recv()).await;
    let Some(Field::Dialled { link, .. }) = told else {
        panic!("not dialled");
    };
    assert_ne!(link, up.link);
}
