//! `ca = "system"`: the real binary with roots of the machine that are ours.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use chargewarden::daemon::listener::Tls;
use chargewarden::net::tls::TlsServer;
use tokio::time::{Duration, sleep};

use super::fingerprints::SITE;
use super::openssl::{Kind, LEAF, Made, ROOT, V1, Workshop, utf8};
use crate::child::Running;
use crate::server_sockets::lab::{Lab, soon};

/// Free a moment ago: a configuration takes no port 0.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Starts the daemon with these roots, and waits until its log holds this.
async fn said(shop: &Workshop, backend: &Lab, host: &str, roots: &Path, part: &str) -> String {
    let host = format!("{host}:{}", backend.port);
    let site = SITE
        .replace("HOST", &host)
        .replace("TRUST", "ca = \"system\"")
        .replace("tls = \"off\"", "tls = \"off\"\nport = PORT")
        .replace("PORT", &free_port().to_string());
    let site = shop.write("site.toml", site);
    let log = shop.path("log");
    let run = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_chargewarden"));
        command
            .args(words)
            .args(["--config", utf8(&site)])
            .env("SSL_CERT_FILE", roots)
            .env_remove("SSL_CERT_DIR")
            .stdin(Stdio::null());
        command
    };
    let checked = run(&["check"]).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
    let daemon = run(&["run"])
        .stderr(File::create(&log).unwrap())
        .spawn()
        .unwrap();
    let _daemon = Running(daemon);
    let wait = async {
        loop {
            let text = fs::read_to_string(&log).unwrap();
            if text.contains(part) {
                break text;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    soon(part, wait).await
}

fn backend(shown: &Made) -> Lab {
    let server = TlsServer::new(&shown.identity(), None).unwrap();
    Lab::with_tls(Tls::On(server))
}

const CONNECTED: &str = " connected to the backend";
const NOT_REACHED: &str = "the backend cannot be reached";

#[tokio::test]
async fn a_backend_is_trusted_whose_root_the_machine_knows_and_whose_host_it_is() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let other = shop.own("other", "/CN=other", ROOT, Kind::Rsa);
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", LEAF, Kind::Rsa);
    let elsewhere = "subjectAltName=DNS:elsewhere.example";
    let elsewhere = shop.issue(&root, "elsewhere", "/CN=elsewhere", elsewhere, Kind::Ec);
    let nameless = shop.issue(&root, "nameless", "/CN=127.0.0.1", V1, Kind::Ec);
    let both = shop.chain("both", &[&other, &root]).certificate;
    for (shown, host, roots, part) in [
        (&leaf, "127.0.0.1", &root.certificate, CONNECTED),
        (&leaf, "localhost", &both, CONNECTED),
        (
            &leaf,
            "127.0.0.1",
            &other.certificate,
            "which is not in the machine's own roots",
        ),
        (
            &elsewhere,
            "127.0.0.1",
            &both,
            "is for elsewhere.example, not for 127.0.0.1",
        ),
        (&nameless, "127.0.0.1", &both, "has no subjectAltName"),
    ] {
        let log = said(&shop, &backend(shown), host, roots, part).await;
        assert_eq!(log.contains(NOT_REACHED), part != CONNECTED, "{log}");
        assert!(!log.contains("no root certificates"), "{log}");
        assert!(!log.contains("any certificate is accepted"), "{log}");
    }
}

#[tokio::test]
async fn a_machine_without_roots_trusts_nobody_and_says_so_at_the_start() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", LEAF, Kind::Ec);
    let fake = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let empty = shop.write("empty.pem", "");
    let garbage = shop.write("garbage.pem", fake);
    for (roots, why) in [
        (&shop.path("nowhere.pem"), "nowhere.pem"),
        (&empty, ""),
        (&garbage, ""),
    ] {
        let log = said(&shop, &backend(&leaf), "127.0.0.1", roots, NOT_REACHED).await;
        let line = log
            .lines()
            .find(|line| line.contains("no root certificates"));
        let line = line.unwrap_or_else(|| panic!("{roots:?}: {log}"));
        assert!(
            line.contains("ca-certificates") && line.contains(why),
            "{line}"
        );
        assert!(!log.contains(CONNECTED), "{log}");
    }
}
