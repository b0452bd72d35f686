//! ws:// and wss:// on one port.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use chargewarden::daemon::field::ToLink;
use chargewarden::daemon::listener::{Deadlines, Tls};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, SignatureScheme, SupportedProtocolVersion,
};

use super::lab::{Client, DEADLINES, Frame, Lab, Log, soon, v1_certificate};

/// A wallbox that, like most, looks at no certificate.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = ring::default_provider().signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

async fn wss(
    lab: &Lab,
    version: &'static SupportedProtocolVersion,
    alpn: &[&[u8]],
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[version])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Trusting))
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::from(std::net::IpAddr::from(Ipv4Addr::LOCALHOST));
    let connector = TlsConnector::from(Arc::new(config));
    let stream = lab.tcp().await.0;
    let connected = soon("TLS", connector.connect(name, stream)).await;
    connected.map(Client)
}

#[tokio::test]
async fn ws_and_wss_share_a_port_also_with_an_x509_v1_certificate() {
    let mut lab = Lab::with_tls(Tls::Detect(v1_certificate()));
    for version in [&TLS12, &TLS13] {
        for alpn in [&[][..], &[&b"http/1.1"[..]], &[b"h2", b"ocpp"]] {
            let mut secure = wss(&lab, version, alpn).await.unwrap();
            secure.upgrade("CB-1").await;
            let up = lab.up().await;
            secure.send_text("over TLS").await;
            assert_eq!(lab.text().await, (up.link, "over TLS".into()));
            let long = "x".repeat(100_000);
            up.outbox.send(ToLink::Text(long.clone())).await.unwrap();
            assert_eq!(secure.frame().await, Frame::text(&long));
            secure.send(8, &1000u16.to_be_bytes()).await;
            assert_eq!(lab.down().await, up.link);
        }
    }
    lab.still_serves("CB-2").await;
}

#[tokio::test]
async fn where_tls_is_off_a_client_hello_is_closed() {
    let mut lab = Lab::with_tls(Tls::Off);
    assert!(wss(&lab, &TLS13, &[]).await.is_err());
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn where_tls_is_on_plain_http_is_told_so() {
    let mut lab = Lab::with_tls(Tls::On(v1_certificate()));
    let mut plain = lab.tcp().await;
    plain.write(b"GET /CB-1 HTTP/1.1\r\n\r\n").await;
    assert_eq!(plain.answer().await.status, 400);
    assert!(String::from_utf8_lossy(&plain.rest().await).contains("wss://"));
    let mut secure = wss(&lab, &TLS13, &[]).await.unwrap();
    secure.upgrade("CB-1").await;
    lab.up().await;
}

/// A TLS 1.2 hello that offers only these suites.
fn client_hello(suites: &[u16]) -> Vec<u8> {
    let mut hello = vec![3, 3];
    hello.extend([7; 32]); // random
    hello.push(0); // session id
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    hello.extend(u16::try_from(suites.len()).unwrap().to_be_bytes());
    hello.extend(suites);
    hello.extend([1, 0]); // no compression
    // supported_groups: secp256r1; signature_algorithms: rsa_pkcs1_sha256
    let extensions = b"\x00\x0a\x00\x04\x00\x02\x00\x17\x00\x0d\x00\x04\x00\x02\x04\x01";
    hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
    hello.extend_from_slice(extensions);
    let length = u16::try_from(hello.len()).unwrap();
    let mut record = vec![0x16, 3, 1];
    record.extend((length + 4).to_be_bytes());
    record.extend([1, 0]);
    record.extend(length.to_be_bytes());
    record.extend(hello);
    record
}

#[tokio::test]
async fn a_wallbox_with_static_rsa_only_is_turned_away_and_the_log_says_what_to_do() {
    let log = Log::catch();
    let mut lab = Lab::with_tls(Tls::Detect(v1_certificate()));
    for _ in 0..2 {
        let mut old = lab.tcp().await;
        old.write(&client_hello(&[0x009c, 0x002f])).await;
        let alert = old.rest().await;
        assert_eq!(alert[0], 0x15, "{alert:?}");
    }
    lab.still_serves("CB-1").await;
    let log = log.text();
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("use ws:// or put a TLS proxy in front"))
        .collect();
    assert_eq!(lines.len(), 1, "{log}");
    let offered = "TLS_RSA_WITH_AES_128_GCM_SHA256, TLS_RSA_WITH_AES_128_CBC_SHA";
    assert!(lines[0].contains(offered), "{log}");
}

#[tokio::test]
async fn a_wallbox_that_speaks_an_older_tls_is_told_so_and_the_log_says_which() {
    let log = Log::catch();
    let mut lab = Lab::with_tls(Tls::On(v1_certificate()));
    let mut hello = vec![3, 1];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x13, 1, 0]);
    let mut record = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41];
    record.extend(hello);
    let mut old = lab.tcp().await;
    old.write(&record).await;
    let alert = old.rest().await;
    assert_eq!(alert[0], 0x15, "{alert:?}");
    let log = log.text();
    for part in [
        "TLS 1.0",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
        "renew the firmware of the wallbox or put a TLS proxy in front",
    ] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    lab.field.close();
}

#[tokio::test]
async fn half_a_tls_handshake_is_dropped() {
    let mut lab = Lab::with_tls(Tls::Detect(v1_certificate()));
    for part in [1, 5, 40] {
        let mut half = lab.tcp().await;
        half.write(&client_hello(&[0xc02b])[..part]).await;
        half.rest().await;
    }
    let mut garbage = lab.tcp().await;
    garbage.write(&[0x16; 1000]).await;
    garbage.rest().await;
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn a_tls_handshake_that_comes_byte_by_byte_is_dropped_at_its_deadline() {
    let mut lab = Lab::with_tls(Tls::Detect(v1_certificate()));
    let mut loris = lab.tcp().await;
    let begin = Instant::now();
    let dropped = async {
        for byte in client_hello(&[0xc02b]).into_iter().cycle() {
            if loris.0.write_all(&[byte]).await.is_err() {
                break;
            }
            let answer = timeout(Duration::from_millis(30), loris.0.read(&mut [0])).await;
            if matches!(answer, Ok(Ok(0) | Err(_))) {
                break;
            }
        }
    };
    soon("the end", dropped).await;
    assert!(begin.elapsed() >= DEADLINES.tls);
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn a_request_that_comes_byte_by_byte_over_tls_is_dropped_at_its_deadline() {
    let mut lab = Lab::with_tls(Tls::Detect(v1_certificate()));
    let mut loris = wss(&lab, &TLS13, &[]).await.unwrap();
    let begin = Instant::now();
    loris.write(b"GET /CB-1 HTTP/1.1\r\n").await;
    let dropped = async {
        loop {
            let sent = loris.0.write_all(b"A").await;
            if sent.is_err() || loris.0.flush().await.is_err() {
                break;
            }
            let answer = timeout(Duration::from_millis(30), loris.0.read(&mut [0])).await;
            if let Ok(answer) = answer {
                assert!(!matches!(answer, Ok(1..)), "answered");
                break;
            }
        }
    };
    soon("the end", dropped).await;
    assert!(begin.elapsed() >= DEADLINES.upgrade);
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn half_open_connections_of_several_hosts_do_not_lock_a_wallbox_out() {
    let mut lab = Lab::with(|settings| {
        settings.tls = Tls::Detect(v1_certificate());
        settings.max_connections = 60;
        // Nobody is dropped for being slow while this runs.
        settings.deadlines = Deadlines::default();
    });
    let mut held = Vec::new();
    for n in 0..60 {
        let host = [127, 0, 0, 2 + n % 3].into();
        let mut half = lab.tcp_from(host).await.unwrap();
        half.write(&client_hello(&[0xc02b])[..40]).await;
        held.push(half);
    }
    let mut wallbox = wss(&lab, &TLS13, &[]).await.unwrap();
    wallbox.upgrade("CB-1").await;
    let up = lab.up().await;
    wallbox.send_text("over TLS").await;
    assert_eq!(lab.text().await, (up.link, "over TLS".into()));
    lab.still_serves("CB-2").await;
}
