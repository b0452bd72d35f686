//! Backends whose certificate nobody judges: it is remembered.

use std::sync::Arc;

use chargewarden::config::{self, Config};
use chargewarden::daemon::Daemon;
use chargewarden::daemon::listener::Tls;
use chargewarden::net::tls::TlsServer;
use tokio::time::{Duration, sleep};

use super::openssl::{Kind, Made, V1, Workshop};
use crate::server_sockets::lab::{Lab, Log, soon};

/// A Modbus wallbox that does not answer: its backend is called anyway.
pub(super) const SITE: &str = r#"
[manager]
state-dir = "state"
control-socket = "control.sock"

[ocpp-server]
address = "127.0.0.1"
tls = "off"

[[circuit]]
name = "house"
max-current = 32

[[evse]]
name = "left"
device = "power-brain"
address = "127.0.0.1:9"
circuit = "house"
min-current = 6
max-current = 16
fixed-id-tag = "04A2"
[evse.gateway]
url = "wss://HOST/ocpp"
client-id = "CB-1"
vendor = "Example"
model = "Box"
TRUST
"#;

fn config(shop: &Workshop, backend: &Lab, more: &str) -> Config {
    let host = format!("127.0.0.1:{}", backend.port);
    let site = SITE.replace("HOST", &host).replace("TRUST", more);
    let (mut config, _) = config::load(&shop.write("site.toml", site)).unwrap();
    config.server.port = 0;
    config
}

/// The backend shows this certificate from now on.
fn show(backend: &Lab, made: &Made) {
    let server = TlsServer::new(&made.identity(), None).unwrap();
    backend.retune(|it| it.tls = Tls::On(server));
}

/// Lines of this kind in the log.
fn count(log: &Log, part: &str) -> usize {
    log.text().matches(part).count()
}

async fn connected(log: &Log, times: usize) {
    let wait = async {
        while count(log, " connected to the backend") < times {
            sleep(Duration::from_millis(5)).await;
        }
        // The site hears of it a moment later.
        sleep(Duration::from_millis(50)).await;
    };
    soon("a connection", wait).await;
}

const ANOTHER: &str = "another certificate than before";

#[tokio::test]
async fn another_certificate_than_before_a_restart_is_an_error_in_the_log_once() {
    let log = Log::catch();
    let shop = Workshop::new();
    let [first, second] = ["first", "second"].map(|it| shop.own(it, "/CN=a", V1, Kind::Ec));
    let backend = Lab::with(|_| {});
    let config = config(&shop, &backend, "");
    for (time, (shown, said)) in [(&first, 0), (&first, 0), (&second, 1), (&second, 1)]
        .into_iter()
        .enumerate()
    {
        show(&backend, shown);
        let daemon = Daemon::start(&config, None).unwrap();
        connected(&log, time + 1).await;
        soon("the end", daemon.stop()).await;
        assert_eq!(count(&log, ANOTHER), said, "{}", log.text());
    }
    let log = log.text();
    let line = log.lines().find(|line| line.contains(ANOTHER)).unwrap();
    assert!(line.contains("ERROR"), "{line}");
    for made in [&first, &second] {
        let fingerprint = chargewarden::certificates::fingerprint(&made.der());
        assert!(line.contains(&fingerprint), "{line}");
    }
}

#[tokio::test]
async fn another_certificate_than_before_a_reload_is_an_error_and_none_where_ca_judges_it() {
    let log = Log::catch();
    let shop = Workshop::new();
    let [first, second, third] =
        ["first", "second", "third"].map(|it| shop.own(it, "/CN=a", V1, Kind::Ec));
    let backend = Lab::with(|_| {});
    let anyone = config(&shop, &backend, "");
    show(&backend, &first);
    let mut daemon = Daemon::start(&anyone, None).unwrap();
    connected(&log, 1).await;
    show(&backend, &second);
    let slower = config(&shop, &backend, "max-queue = 500");
    daemon.reload(slower).await.unwrap();
    connected(&log, 2).await;
    assert_eq!(count(&log, ANOTHER), 1, "{}", log.text());

    show(&backend, &third);
    let judged = config(&shop, &backend, "ca = [\"third.crt\"]");
    daemon.reload(judged).await.unwrap();
    connected(&log, 3).await;
    soon("the end", daemon.stop()).await;
    assert_eq!(count(&log, ANOTHER), 1, "{}", log.text());
}

#[tokio::test]
async fn who_shows_another_certificate_and_refuses_has_heard_the_password_and_is_an_error_too() {
    let log = Log::catch();
    let shop = Workshop::new();
    let [first, second] = ["first", "second"].map(|it| shop.own(it, "/CN=a", V1, Kind::Ec));
    let backend = Lab::with(|_| {});
    let config = config(&shop, &backend, "");
    show(&backend, &first);
    let daemon = Daemon::start(&config, None).unwrap();
    connected(&log, 1).await;
    soon("the end", daemon.stop()).await;

    show(&backend, &second);
    backend.retune(|it| it.directory = Arc::default());
    let daemon = Daemon::start(&config, None).unwrap();
    let told = async {
        while count(&log, ANOTHER) == 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the line", told).await;
    soon("the end", daemon.stop()).await;
    assert_eq!(count(&log, " connected to the backend"), 1);
}
