//! Backends with certificates, and ours.

use std::time::Duration;

use chargewarden::certificates::{Identity, Roots, Trust};
use chargewarden::daemon::dialler::Backend;
use chargewarden::daemon::listener::Tls;
use chargewarden::gateway::DialFailure;
use chargewarden::gateway::keys::Credential;
use chargewarden::gateway::security::{Login, PrivateKey, Signed};
use chargewarden::net::client::{Target, TlsClient};
use chargewarden::net::tls::TlsServer;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::openssl::{Kind, LEAF, Made, ROOT, V1, Workshop, roots};
use crate::backend_sockets::lab::{GATEWAY, Lab, PROTOCOL, Server};
use crate::server_sockets::lab::{Lab as ServerLab, Log};

fn server(made: &Made) -> TlsServer {
    TlsServer::new(&made.identity(), None).unwrap()
}

fn listed(trusted: &[&Made], verify_hostname: bool) -> Trust {
    Trust::Roots {
        roots: roots("ca", trusted),
        verify_hostname,
    }
}

/// Calls a backend; what it was answered.
async fn call(server: TlsServer, trust: Trust, identity: Option<&Identity>) -> Result<(), String> {
    call_with(server, trust, identity, Login::default()).await
}

/// The same, with what the backend installed and signed.
async fn call_with(
    server: TlsServer,
    trust: Trust,
    identity: Option<&Identity>,
    login: Login,
) -> Result<(), String> {
    let server = ServerLab::with(|settings| {
        settings.tls = Tls::On(server);
        settings.deadlines = chargewarden::daemon::listener::Deadlines::default();
    });
    let url = format!("wss://127.0.0.1:{}/ocpp", server.port);
    let mut lab = lab(&url, trust, identity);
    lab.diallers.dial(GATEWAY, login);
    let outcome = match lab.event().await {
        chargewarden::daemon::field::Field::Dialled { .. } => Ok(()),
        chargewarden::daemon::field::Field::DialFailed { why, .. } => match why {
            DialFailure::Tls(why)
            | DialFailure::Distrusted(why)
            | DialFailure::Unreachable(why) => Err(why),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    lab.cancel.cancel();
    server.cancel.cancel();
    outcome
}

fn lab(url: &str, trust: Trust, identity: Option<&Identity>) -> Lab {
    let backend = Backend {
        target: Target::new(url, "CB-1", true).unwrap(),
        tls: TlsClient::new(trust, identity).unwrap(),
    };
    Lab::with(vec![backend], Duration::from_secs(9))
}

#[tokio::test]
async fn what_a_backend_installed_and_signed_counts_beside_the_configuration() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let shown = shop.issue(&root, "shown", "/CN=shown", LEAF, Kind::Ec);
    let other = shop.own("other", "/CN=other", ROOT, Kind::Ec);
    let ours = shop.issue(&other, "ours", "/CN=ours", V1, Kind::Ec);
    let pem = |made: &Made| std::fs::read_to_string(&made.certificate).unwrap();
    let signed = Signed {
        chain: pem(&ours),
        key: PrivateKey::new(std::fs::read_to_string(&ours.key).unwrap()),
    };
    let login = |installed: &[&Made], certificate: Option<&Signed>| Login {
        certificate: certificate.cloned(),
        roots: installed.iter().map(|it| pem(it)).collect(),
        ..Login::default()
    };
    let demanding = || {
        let clients = roots("client-ca", &[&other]);
        TlsServer::new(&shown.identity(), Some(clients)).unwrap()
    };
    let ca = || listed(&[&other], false);
    for (login, works) in [
        (login(&[&root], Some(&signed)), true),
        (login(&[], Some(&signed)), false),
        (login(&[&root], None), false),
    ] {
        let outcome = call_with(demanding(), ca(), None, login).await;
        assert_eq!(outcome.is_ok(), works, "{outcome:?}");
    }
}

#[tokio::test]
async fn what_a_backend_installed_must_name_the_host() {
    let shop = Workshop::new();
    let installed = shop.own("installed", "/CN=installed", ROOT, Kind::Ec);
    let other = shop.own("other", "/CN=other", ROOT, Kind::Ec);
    let login = Login {
        roots: vec![std::fs::read_to_string(&installed.certificate).unwrap()],
        ..Login::default()
    };
    for (verify_hostname, works) in [(true, false), (false, true)] {
        let trust = listed(&[&other], verify_hostname);
        let outcome = call_with(server(&installed), trust, None, login.clone()).await;
        assert_eq!(outcome.is_ok(), works, "{outcome:?}");
    }
}

#[tokio::test]
async fn whether_a_backend_asked_for_our_certificate_is_told() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let shown = shop.issue(&root, "shown", "/CN=shown", LEAF, Kind::Ec);
    let stranger = shop.own("stranger", "/CN=stranger", V1, Kind::Ec);
    for (demands, ours, expected) in [
        (false, &shown, (true, false)),
        (true, &shown, (true, true)),
        (true, &stranger, (false, true)),
    ] {
        let clients = demands.then(|| roots("client-ca", &[&root]));
        let server = TlsServer::new(&shown.identity(), clients).unwrap();
        let server = ServerLab::with(|settings| settings.tls = Tls::On(server));
        let url = format!("wss://127.0.0.1:{}/ocpp", server.port);
        let mut lab = lab(&url, Trust::Anyone, Some(&ours.identity()));
        for _ in 0..2 {
            lab.diallers.dial(GATEWAY, Login::default());
            let told = match lab.event().await {
                chargewarden::daemon::field::Field::Dialled { asked, .. } => (true, asked),
                chargewarden::daemon::field::Field::DialFailed { asked, .. } => (false, asked),
                other => panic!("{other:?}"),
            };
            assert_eq!(told, expected);
            if told.0 {
                break;
            }
        }
        lab.cancel.cancel();
        server.cancel.cancel();
    }
}

#[tokio::test]
async fn backends_of_every_kind_are_trusted_by_root_or_by_themselves() {
    let shop = Workshop::new();
    for kind in [Kind::Rsa, Kind::Ec] {
        let v1 = shop.own("v1", "/CN=Wurzel", V1, kind);
        let v3 = shop.own("v3", "/CN=Wurzel 3", ROOT, kind);
        let middle = shop.issue(&v3, "middle", "/CN=middle", ROOT, kind);
        let deep = shop.issue(&middle, "deep", "/CN=deep", LEAF, kind);
        let deep = shop.chain("deep", &[&deep, &middle]);
        let recipe = shop.issue(&v1, "recipe", "/CN=Wurzel", V1, kind);
        let mixed = shop.issue(&v1, "mixed", "/CN=mixed", LEAF, kind);
        let alone = shop.own("alone", "/CN=alone", V1, kind);
        let alone_v3 = shop.own("alone3", "/CN=alone", LEAF, kind);
        for (shown, trust) in [
            (&recipe, listed(&[&v1], false)),
            (&recipe, listed(&[&recipe], true)),
            (&mixed, listed(&[&v3, &v1], true)),
            (&deep, listed(&[&v3], true)),
            (&alone, listed(&[&alone], true)),
            (&alone_v3, listed(&[&alone_v3], true)),
            (&alone, Trust::Anyone),
        ] {
            assert_eq!(call(server(shown), trust, None).await, Ok(()), "{shown:?}");
        }
    }
}

#[tokio::test]
async fn who_is_not_trusted_is_left_and_the_reason_names_the_remedy() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let other = shop.own("other", "/CN=other", ROOT, Kind::Ec);
    let good = shop.issue(&root, "good", "/CN=good", LEAF, Kind::Ec);
    let nameless = shop.issue(&root, "nameless", "/CN=127.0.0.1", V1, Kind::Ec);
    let names = "subjectAltName=DNS:elsewhere.example";
    let elsewhere = shop.issue(&root, "elsewhere", "/CN=elsewhere", names, Kind::Ec);
    for (shown, trusted, sentence) in [
        (&good, &other, "which is not in ca"),
        (&other, &root, "names nobody but itself"),
        (&nameless, &root, "has no subjectAltName"),
        (&nameless, &root, "verify-hostname = false"),
        (
            &elsewhere,
            &root,
            "is for elsewhere.example, not for 127.0.0.1",
        ),
    ] {
        let refused = call(server(shown), listed(&[trusted], true), None).await;
        let why = refused.unwrap_err();
        assert!(why.contains(sentence), "{why}");
    }
}

#[tokio::test]
async fn an_expired_certificate_will_do_without_ca_and_not_with_it() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 2, 1);
    let made = params.self_signed(&key).unwrap();
    let server = || TlsServer::from_pem(made.pem().as_bytes(), key.serialize_pem().as_bytes());
    assert_eq!(call(server().unwrap(), Trust::Anyone, None).await, Ok(()));
    let trust = Trust::Roots {
        roots: Roots::new("ca", [made.der().clone()]).into(),
        verify_hostname: false,
    };
    let why = call(server().unwrap(), trust, None).await.unwrap_err();
    assert!(why.contains("ended on 2020-02-01T00:00:00Z"), "{why}");
}

#[tokio::test]
async fn a_backend_that_demands_a_certificate_gets_ours_of_v1_too() {
    let shop = Workshop::new();
    for kind in [Kind::Rsa, Kind::Ec] {
        let root = shop.own("root", "/CN=root", V1, kind);
        let demanding = || {
            let roots = roots("client-ca", &[&root]);
            TlsServer::new(&root.identity(), Some(roots)).unwrap()
        };
        for extensions in [V1, "extendedKeyUsage=clientAuth"] {
            let ours = shop.issue(&root, "ours", "/CN=ours", extensions, kind);
            let identity = ours.identity();
            let called = call(demanding(), Trust::Anyone, Some(&identity)).await;
            assert_eq!(called, Ok(()));
        }
        let stranger = shop.own("stranger", "/CN=stranger", V1, kind).identity();
        for (shown, sentence) in [
            (None, "it demands a client certificate: name one with"),
            (Some(&stranger), "it refuses our client certificate"),
        ] {
            let refused = call(demanding(), Trust::Anyone, shown).await;
            let why = refused.unwrap_err();
            assert!(why.contains(sentence), "{why}");
        }
    }
}

#[tokio::test]
async fn a_password_in_clear_text_is_worth_one_warning() {
    let log = Log::catch();
    let server = Server::new().await;
    let mut lab = lab(&server.url(), Trust::Anyone, None);
    for password in [
        None,
        Some(Credential::new(*b"s3cret")),
        Some(Credential::new(*b"s3cret")),
    ] {
        let login = Login {
            password,
            ..Login::default()
        };
        lab.diallers.dial(GATEWAY, login);
        let socket = server.call().await.upgrade(PROTOCOL, b"").await;
        lab.dialled().await;
        drop(socket);
        lab.down().await;
    }
    let log = log.text();
    assert_eq!(
        log.matches("crosses the network in clear text").count(),
        1,
        "{log}"
    );
    assert!(!log.contains("s3cret"), "{log}");
}
