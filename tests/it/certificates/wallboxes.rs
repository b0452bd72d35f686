//! Wallboxes with certificates at our server.

use std::io;
use std::process::{Command, Stdio};
use std::sync::Arc;

use chargewarden::certificates::{Identity, Roots, Trust};
use chargewarden::daemon::listener::Tls;
use chargewarden::net::client::TlsClient;
use chargewarden::net::tls::TlsServer;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::HandshakeKind;

use super::openssl::{Kind, LEAF, Made, ROOT, V1, Workshop, roots, utf8};
use crate::server_sockets::lab::{Client, Lab, Log, PROTOCOL, request, soon};

/// A wallbox that, like most, looks at no certificate, and shows this one.
fn wallbox(identity: Option<&Identity>) -> TlsClient {
    TlsClient::new(Trust::Anyone, identity).unwrap()
}

async fn call(lab: &Lab, wallbox: &TlsClient) -> io::Result<Client<TlsStream<TcpStream>>> {
    let stream = lab.tcp().await.0;
    let connected = soon("TLS", wallbox.connect("127.0.0.1", stream)).await;
    connected.map(Client)
}

/// In TLS 1.3 who is refused learns it only after its own handshake.
async fn is_refused(lab: &Lab, identity: Option<&Identity>) -> bool {
    match call(lab, &wallbox(identity)).await {
        Ok(mut client) => client.rest().await.is_empty(),
        Err(_) => true,
    }
}

fn server(own: &Made, trusted: &[&Made]) -> TlsServer {
    TlsServer::new(&own.identity(), Some(roots("client-ca", trusted))).unwrap()
}

#[tokio::test]
async fn certificates_of_every_kind_let_wallboxes_in_and_are_named_in_the_log() {
    let log = Log::catch();
    let shop = Workshop::new();
    let own = shop.own("server", "/CN=server", V1, Kind::Rsa);
    let v1 = shop.own("v1", "/CN=Wurzel Köln", V1, Kind::Rsa);
    let v3 = shop.own("v3", "/CN=Wurzel 3", ROOT, Kind::Ec);
    let alone = shop.own("alone", "/CN=alone", V1, Kind::Ec);
    let alone_v3 = shop.own("alone3", "/CN=alone 3", LEAF, Kind::Rsa);
    let middle = shop.issue(&v3, "middle", "/CN=middle", ROOT, Kind::Ec);
    let deep = shop.issue(&middle, "deep", "/CN=deep", V1, Kind::Rsa);
    let mut lab = Lab::with_tls(Tls::On(server(&own, &[&v1, &v3, &alone, &alone_v3])));
    for made in [
        shop.issue(&v1, "a", "/CN=v1 unter v1", V1, Kind::Rsa),
        shop.issue(&v1, "b", "/CN=v3 unter v1", LEAF, Kind::Ec),
        shop.issue(&v3, "c", "/CN=v1 unter v3", V1, Kind::Ec),
        shop.issue(&v3, "d", "/CN=Prüfling Köln", LEAF, Kind::Rsa),
        Made {
            key: deep.key.clone(),
            ..shop.chain("deep", &[&middle, &deep])
        },
        alone,
        alone_v3,
    ] {
        let mut client = call(&lab, &wallbox(Some(&made.identity()))).await.unwrap();
        client.upgrade("CB-1").await;
        lab.up().await;
        client.send(8, &1000u16.to_be_bytes()).await;
        lab.down().await;
    }
    let log = log.text();
    for name in [
        "v1 unter v1",
        "v3 unter v1",
        "v1 unter v3",
        "Prüfling Köln",
        "deep",
        "alone",
        "alone 3",
    ] {
        assert!(log.contains(&format!("certificate=\"CN={name}\"")), "{log}");
    }
}

#[tokio::test]
async fn who_has_no_certificate_or_a_foreign_one_stays_outside_and_the_log_says_why() {
    let log = Log::catch();
    let shop = Workshop::new();
    let own = shop.own("server", "/CN=server", V1, Kind::Ec);
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let twin = shop.own("twin", "/CN=root", V1, Kind::Ec);
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", V1, Kind::Ec);
    let forged = shop.issue(&leaf, "forged", "/CN=forged", V1, Kind::Ec);
    let forged = shop.chain("forged", &[&forged, &leaf]);
    let other = shop.issue(&twin, "other", "/CN=other", V1, Kind::Ec);
    let alone = shop.own("alone", "/CN=alone", V1, Kind::Rsa);
    let mut lab = Lab::with_tls(Tls::On(server(&own, &[&root])));
    assert!(is_refused(&lab, None).await);
    for made in [&forged, &other, &alone, &own] {
        assert!(is_refused(&lab, Some(&made.identity())).await, "{made:?}");
    }
    let mut client = call(&lab, &wallbox(Some(&leaf.identity()))).await.unwrap();
    client.upgrade("CB-1").await;
    lab.up().await;
    let log = log.text();
    for sentence in [
        "no certificate was presented, and client-ca demands one",
        "CN=forged was issued by CN=leaf, which is no authority: X.509 v1 cannot say",
        "CN=other names CN=root as its issuer, but another key signed it",
        "CN=alone names nobody but itself as its issuer and is not in client-ca",
    ] {
        let count = log.lines().filter(|line| line.contains(sentence)).count();
        assert_eq!(count, 1, "{sentence}\n{log}");
    }
}

#[tokio::test]
async fn a_wallbox_whose_certificate_has_ended_stays_outside() {
    let log = Log::catch();
    let shop = Workshop::new();
    let own = shop.own("server", "/CN=server", V1, Kind::Ec);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 2, 1);
    let ended = params.self_signed(&key).unwrap();
    let identity = Identity::from_pem(ended.pem().as_bytes(), key.serialize_pem().as_bytes());
    let trusted = Roots::new("client-ca", [ended.der().clone()]);
    let server = TlsServer::new(&own.identity(), Some(Arc::new(trusted))).unwrap();
    let lab = Lab::with_tls(Tls::On(server));
    assert!(is_refused(&lab, Some(&identity.unwrap())).await);
    let log = log.text();
    assert!(log.contains("ended on 2020-02-01T00:00:00Z"), "{log}");
}

#[tokio::test]
async fn where_ws_stays_open_only_wss_demands_a_certificate() {
    let shop = Workshop::new();
    let own = shop.own("server", "/CN=server", V1, Kind::Ec);
    let mut lab = Lab::with_tls(Tls::Detect(server(&own, &[&own])));
    assert!(is_refused(&lab, None).await);
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn a_certificate_that_names_another_charge_box_id_is_answered_403() {
    let log = Log::catch();
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let mut lab = Lab::with(|settings| {
        settings.tls = Tls::Detect(server(&root, &[&root]));
        let directory = Arc::make_mut(&mut settings.directory);
        directory.certificate_names_id = true;
    });
    let by_name = shop.issue(&root, "a", "/CN=CB-1/O=Betreiber", V1, Kind::Ec);
    let san = "subjectAltName=DNS:CB-1,DNS:cb-2";
    let by_san = shop.issue(&root, "b", "/CN=4711", san, Kind::Ec);
    for (made, id, status) in [
        (&by_name, "CB-1", 101),
        (&by_name, "CB-2", 403),
        (&by_name, "locked", 403),
        (&by_san, "CB-1", 101),
        (&by_san, "CB-2", 101),
        (&by_san, "CB-3", 403),
        (&by_san, "nobody", 404),
    ] {
        let mut client = call(&lab, &wallbox(Some(&made.identity()))).await.unwrap();
        let answer = client.ask(&format!("/{id}"), PROTOCOL).await;
        assert_eq!(answer.status, status, "{made:?} {id}");
    }
    let log = log.text();
    assert!(
        log.contains("the client certificate names 4711, CB-1, cb-2, not this"),
        "{log}"
    );
    // ws was left open on purpose, and nobody presents a certificate there.
    while !lab.field.is_empty() {
        lab.event().await;
    }
    let (_client, up) = lab.wallbox("CB-3").await;
    assert_eq!(up.address, "CB-3");
}

#[tokio::test]
async fn sessions_are_resumed_until_the_certificates_are_replaced_and_links_go_on() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let old = shop.issue(&root, "old", "/CN=old", V1, Kind::Ec);
    let new = shop.issue(&root, "new", "/CN=new", V1, Kind::Ec);
    let mut lab = Lab::with_tls(Tls::On(server(&old, &[&root])));
    let wallbox = wallbox(Some(&old.identity()));
    let mut kinds = Vec::new();
    let mut first = call(&lab, &wallbox).await.unwrap();
    first.upgrade("CB-1").await;
    let up = lab.up().await;
    for _ in 0..2 {
        let mut again = call(&lab, &wallbox).await.unwrap();
        again.upgrade("CB-2").await;
        lab.up().await;
        let shown = again.0.get_ref().1.peer_certificates().unwrap()[0].clone();
        kinds.push((again.0.get_ref().1.handshake_kind(), shown));
        drop(again);
        lab.down().await;
        lab.retune(|it| it.tls = Tls::On(server(&new, &[&root])));
    }
    assert_eq!(
        kinds,
        [
            (Some(HandshakeKind::Resumed), old.der()),
            (Some(HandshakeKind::Full), new.der())
        ]
    );
    first.send_text("still there").await;
    assert_eq!(lab.text().await, (up.link, "still there".into()));
    lab.retune(|it| it.tls = Tls::On(server(&new, &[&new])));
    assert!(
        is_refused(&lab, Some(&old.identity())).await,
        "no longer trusted"
    );
}

/// A wallbox made by others: the openssl command.
#[tokio::test(flavor = "multi_thread")]
async fn openssl_as_a_wallbox_comes_in_with_its_certificate_and_only_with_it() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Rsa);
    let leaf = shop.issue(&root, "leaf", "/CN=CB-1", V1, Kind::Rsa);
    let mut lab = Lab::with_tls(Tls::On(server(&root, &[&root])));
    let port = lab.port;
    for version in ["-tls1_2", "-tls1_3"] {
        let ask = |with: Option<Made>| {
            let at = format!("127.0.0.1:{port}");
            let input = shop.write("request", request("/CB-1", PROTOCOL));
            let task = tokio::task::spawn_blocking(move || {
                let mut command = Command::new("timeout");
                command.args([
                    "5", "openssl", "s_client", "-quiet", version, "-connect", &at,
                ]);
                if let Some(made) = with {
                    let (certificate, key) = (utf8(&made.certificate), utf8(&made.key));
                    command.args(["-cert", certificate, "-key", key]);
                }
                let input = std::fs::File::open(input).unwrap();
                command.stdin(input).stderr(Stdio::null());
                String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
            });
            async { soon("openssl", task).await.unwrap() }
        };
        let (answer, ()) = tokio::join!(ask(Some(leaf.clone())), async {
            let up = lab.up().await;
            // Ends the connection, so that openssl ends.
            drop(up.outbox);
        });
        assert!(answer.starts_with("HTTP/1.1 101 "), "{version}: {answer}");
        lab.down().await;
        assert_eq!(ask(None).await, "", "{version}");
    }
}
