//! The whole daemon: from the files of the configuration to the handshake.

use std::fs;
use std::time::Duration;

use chargewarden::certificates::Trust;
use chargewarden::config;
use chargewarden::daemon::Daemon;
use chargewarden::net::client::TlsClient;
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio::time::sleep;
use tokio_rustls::client::TlsStream;

use super::openssl::{Kind, LEAF, Made, ROOT, V1, Workshop};
use crate::server_sockets::lab::{Client, Frame, Log, soon};

pub(super) const SITE: &str = r#"
[manager]
state-dir = "state"
control-socket = "control.sock"

[ocpp-server]
certificate = "server.pem"
private-key = "server.key"
client-ca = ["root.crt"]
client-name = "charge-box-id"

[[circuit]]
name = "house"
max-current = 32

[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-1"
circuit = "house"
phases = 3
min-current = 6
max-current = 16
[evse.gateway]
url = "wss://127.0.0.1:9/ocpp"
client-id = "B"
ca = ["root.crt"]
certificate = "client.crt"
private-key = "client.key"
"#;

fn install(shop: &Workshop, made: &Made) {
    shop.write("server.pem", made.pem());
    fs::copy(&made.key, shop.path("server.key")).unwrap();
}

async fn call(port: u16, wallbox: &TlsClient) -> Client<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let stream = soon("TLS", wallbox.connect("127.0.0.1", stream)).await;
    Client(stream.unwrap())
}

async fn shown(port: u16, wallbox: &TlsClient) -> CertificateDer<'static> {
    let client = call(port, wallbox).await;
    client.0.get_ref().1.peer_certificates().unwrap()[0].clone()
}

async fn said(log: &Log, part: &str) {
    let wait = async {
        while !log.text().contains(part) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon(part, wait).await;
}

#[tokio::test]
async fn certificates_are_read_again_without_dropping_a_connection_and_watched_for_their_end() {
    let log = Log::catch();
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let soon_over = ["-sha256", "-days", "5"];
    let key = shop.key("first", Kind::Ec);
    let first = shop.certify(&root, "first", "/CN=first", LEAF, key, &soon_over);
    let second = shop.issue(&root, "second", "/CN=second", V1, Kind::Rsa);
    let client = shop.issue(&root, "client", "/CN=CB-1", V1, Kind::Ec);
    install(&shop, &first);
    let (mut config, _) = config::load(&shop.write("site.toml", SITE)).unwrap();
    assert_eq!(config.refusal(), None);
    config.server.port = 0;
    let mut daemon = Daemon::start(&config, None).unwrap();
    let wallbox = TlsClient::new(Trust::Anyone, Some(&client.identity())).unwrap();
    let mut stays = call(daemon.port(), &wallbox).await;
    stays.upgrade("CB-1").await;
    assert_eq!(shown(daemon.port(), &wallbox).await, first.der());
    said(&log, "a certificate ends soon").await;
    assert!(
        log.text().contains("subject=\"CN=first\""),
        "{}",
        log.text()
    );

    install(&shop, &second);
    daemon.reload(config.clone()).await.unwrap();
    assert_eq!(shown(daemon.port(), &wallbox).await, second.der());

    shop.write("server.pem", "no certificate any more");
    let error = daemon.reload(config).await.unwrap_err();
    assert!(error.to_string().ends_with("server.pem"), "{error}");
    assert_eq!(shown(daemon.port(), &wallbox).await, second.der());

    stays.send(9, b"still there?").await;
    let pong = Frame {
        opcode: 10,
        payload: b"still there?".to_vec(),
    };
    assert_eq!(stays.frame().await, pong);
    soon("the end", daemon.stop()).await;
}

#[tokio::test]
async fn the_self_signed_certificate_serves_where_client_certificates_are_demanded() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let client = shop.issue(&root, "client", "/CN=CB-1", V1, Kind::Ec);
    let site = SITE
        .replace("certificate = \"server.pem\"\n", "")
        .replace("private-key = \"server.key\"\n", "");
    let (mut config, _) = config::load(&shop.write("site.toml", site)).unwrap();
    config.server.port = 0;
    let daemon = Daemon::start(&config, None).unwrap();
    let wallbox = TlsClient::new(Trust::Anyone, Some(&client.identity())).unwrap();
    call(daemon.port(), &wallbox).await.upgrade("CB-1").await;
    soon("the end", daemon.stop()).await;
}

#[tokio::test]
async fn who_is_taken_out_of_the_list_is_closed_and_who_is_added_closes_nobody() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let other = shop.own("other", "/CN=other", ROOT, Kind::Ec);
    let client = shop.issue(&root, "client", "/CN=CB-1", V1, Kind::Ec);
    install(
        &shop,
        &shop.issue(&other, "own", "/CN=server", V1, Kind::Ec),
    );
    let site = SITE.replace("client-ca = [\"root.crt\"]", "client-ca = [\"list.pem\"]");
    shop.write("list.pem", root.pem());
    let (mut config, _) = config::load(&shop.write("site.toml", site)).unwrap();
    config.server.port = 0;
    let mut daemon = Daemon::start(&config, None).unwrap();
    let wallbox = TlsClient::new(Trust::Anyone, Some(&client.identity())).unwrap();
    let mut connected = call(daemon.port(), &wallbox).await;
    connected.upgrade("CB-1").await;

    shop.write("list.pem", [root.pem(), other.pem()].concat());
    daemon.reload(config.clone()).await.unwrap();
    connected.send(9, b"still there?").await;
    let mut frame = connected.frame().await;
    while frame.opcode == 1 {
        frame = connected.frame().await;
    }
    assert_eq!(frame.opcode, 10, "a pong");

    shop.write("list.pem", other.pem());
    daemon.reload(config).await.unwrap();
    let mut frame = connected.frame().await;
    while frame.opcode == 1 {
        frame = connected.frame().await;
    }
    assert_eq!(frame.opcode, 8, "a close frame");
    soon("the end", daemon.stop()).await;
}
