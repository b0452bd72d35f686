//! Certificates that are about to end, wherever they stand.

use std::fs;

use chargewarden::config;
use chargewarden::daemon::Daemon;
use tokio::time::{Duration, sleep};

use super::daemon::SITE;
use super::openssl::{Kind, Made, V1, Workshop};
use crate::server_sockets::lab::{Log, soon};

/// Ends in five days.
fn short(shop: &Workshop, by: &Made, name: &str) -> Made {
    let key = shop.key(name, Kind::Ec);
    let days = ["-sha256", "-days", "5"];
    shop.certify(by, name, &format!("/CN={name}"), V1, key, &days)
}

/// Until the log names each of these, and nobody else.
async fn named(log: &Log, names: &[&str], remedy: &str) {
    let lines = || {
        let text = log.text();
        let lines = text
            .lines()
            .filter(|it| it.contains("a certificate ends soon"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let wait = async {
        while lines().len() < names.len() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the warnings", wait).await;
    let lines = lines();
    assert_eq!(lines.len(), names.len(), "{lines:?}");
    for name in names {
        let subject = format!("subject=\"CN={name}\"");
        let line = lines.iter().find(|line| line.contains(&subject));
        assert!(
            line.unwrap_or_else(|| panic!("{name}: {lines:?}"))
                .contains(remedy)
        );
    }
}

#[tokio::test]
async fn every_certificate_of_every_file_is_watched_for_its_end() {
    let log = Log::catch();
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let names = ["server", "chain", "clients", "more", "backends", "client"];
    let made = names.map(|name| short(&shop, &root, name));
    let [server, chain, _, _, _, _] = &made;
    shop.write(
        "server.pem",
        [server.pem(), chain.pem(), root.pem()].concat(),
    );
    let site = SITE
        .replace(
            "client-ca = [\"root.crt\"]",
            "client-ca = [\"root.crt\", \"clients.crt\", \"more.crt\"]",
        )
        .replace("\nca = [\"root.crt\"]", "\nca = [\"backends.crt\"]");
    let (mut config, _) = config::load(&shop.write("site.toml", site)).unwrap();
    config.server.port = 0;
    let daemon = Daemon::start(&config, None).unwrap();
    named(&log, &names, "remedy=\"replace it, and reload\"").await;
    soon("the end", daemon.stop()).await;
}

#[tokio::test]
async fn the_self_signed_certificate_is_watched_too_and_made_anew_once_it_has_ended() {
    let log = Log::catch();
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let own = short(&shop, &root, "own");
    short(&shop, &root, "client");
    let state = shop.path("state");
    fs::create_dir(&state).unwrap();
    let install = |certificate: &[u8], key: &[u8]| {
        fs::write(state.join("server.crt"), certificate).unwrap();
        fs::write(state.join("server.key"), key).unwrap();
    };
    install(&own.pem(), &own.key_pem());
    let site = SITE
        .replace("certificate = \"server.pem\"\n", "")
        .replace("private-key = \"server.key\"\n", "");
    let (mut config, _) = config::load(&shop.write("site.toml", site)).unwrap();
    config.server.port = 0;
    let mut daemon = Daemon::start(&config, None).unwrap();
    named(&log, &["own", "client"], "remedy=").await;
    assert!(
        log.text()
            .contains("remove server.crt and server.key and reload")
    );

    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(["pi".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2010, 1, 1);
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let ended = params.self_signed(&key).unwrap().pem();
    install(ended.as_bytes(), key.serialize_pem().as_bytes());
    daemon.reload(config).await.unwrap();
    let said = "the self-signed certificate had ended and was made anew";
    assert!(log.text().contains(said), "{}", log.text());
    let aside = fs::read_to_string(state.join("server.crt.ended")).unwrap();
    assert_eq!(aside, ended);
    assert_ne!(fs::read_to_string(state.join("server.crt")).unwrap(), ended);
    soon("the end", daemon.stop()).await;
}
