//! The upgrade: what we ask, which answers we take, and what we make of the others.

use std::time::Duration;

use chargewarden::gateway::DialFailure;
use chargewarden::gateway::security::Login;
use tokio::io::AsyncWriteExt;

use super::lab::{GATEWAY, Lab, PROTOCOL, Server, backend, header};

/// 20 bytes in hexadecimal digits.
const KEY: &str = "00112233445566778899AABBCCDDEEFF00112233";

const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n";

fn basic(password: &[u8]) -> String {
    use base64::Engine as _;
    let text = [b"CB-1:", password].concat();
    let text = base64::engine::general_purpose::STANDARD.encode(text);
    format!("Basic {text}")
}

#[tokio::test]
async fn the_request_asks_for_ocpp_1_6_and_nothing_else() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    lab.dial();
    let call = server.call().await;
    let request = call.request.clone();
    assert!(request.starts_with("GET /ocpp/CB-1 HTTP/1.1\r\n"));
    let host = format!("127.0.0.1:{}", server.port());
    for (name, value) in [
        ("Host", host.as_str()),
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Protocol", "ocpp1.6"),
        ("Sec-WebSocket-Extensions", ""),
        ("Authorization", ""),
    ] {
        assert_eq!(header(&request, name), value, "{name}");
    }
    let _socket = call.upgrade(PROTOCOL, b"").await;
    assert!(!lab.dialled().await.protocol_missing);
}

#[tokio::test]
async fn each_attempt_has_a_key_of_its_own() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let mut keys = Vec::new();
    for _ in 0..2 {
        lab.dial();
        let request = server.answer("HTTP/1.1 503 x\r\n\r\n").await;
        keys.push(header(&request, "Sec-WebSocket-Key").to_owned());
        assert_eq!(lab.failed().await, DialFailure::Refused(503));
    }
    assert_ne!(keys[0], keys[1]);
}

#[tokio::test]
async fn a_missing_subprotocol_and_odd_connection_headers_are_accepted() {
    for (more, missing) in [
        ("", true),
        ("CONNECTION: keep-alive, upgrade\r\n", true),
        (
            "Connection: close\r\nsec-websocket-protocol: OCPP1.6\r\n",
            false,
        ),
    ] {
        let server = Server::new().await;
        let mut lab = Lab::new(&server.url());
        lab.dial();
        let _socket = server.call().await.upgrade(more, b"").await;
        assert_eq!(lab.dialled().await.protocol_missing, missing, "{more}");
    }
}

#[tokio::test]
async fn a_key_that_the_backend_set_is_sent_as_bytes_and_after_a_401_as_digits() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let key = format!("\"key:{}\"", hex(KEY.as_bytes()));
    let login = Login {
        password: Some(serde_json::from_str(&key).unwrap()),
        ..Login::default()
    };
    lab.diallers.dial(GATEWAY, login);
    let request = server.answer(UNAUTHORIZED).await;
    let bytes = b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF\x00\x11\x22\x33";
    assert_eq!(header(&request, "Authorization"), basic(bytes));
    let call = server.call().await;
    assert_eq!(
        header(&call.request, "Authorization"),
        basic(KEY.as_bytes())
    );
    let _socket = call.upgrade(PROTOCOL, b"").await;
    lab.dialled().await;
}

fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let digits = halves.map(|half| char::from_digit(half.into(), 16).unwrap());
    digits.collect()
}

#[tokio::test]
async fn after_a_401_the_bytes_of_the_digits_are_tried_once() {
    let server = Server::new().await;
    let mut lab = Lab::with_password(&server.url(), KEY);
    lab.dial();
    let request = server.answer(UNAUTHORIZED).await;
    assert_eq!(header(&request, "Authorization"), basic(KEY.as_bytes()));
    let call = server.call().await;
    let bytes = b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF\x00\x11\x22\x33";
    assert_eq!(header(&call.request, "Authorization"), basic(bytes));
    let _socket = call.upgrade(PROTOCOL, b"").await;
    lab.dialled().await;
}

#[tokio::test]
async fn a_password_that_is_refused_in_both_forms_is_not_tried_again() {
    let server = Server::new().await;
    let mut lab = Lab::with_password(&server.url(), KEY);
    lab.dial();
    for _ in 0..2 {
        server.answer(UNAUTHORIZED).await;
    }
    assert_eq!(lab.failed().await, DialFailure::Unauthorized);
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn a_password_that_stands_for_no_bytes_is_sent_once() {
    let server = Server::new().await;
    let mut lab = Lab::with_password(&server.url(), "correct horse battery");
    lab.dial();
    let request = server.answer(UNAUTHORIZED).await;
    let sent = basic(b"correct horse battery");
    assert_eq!(header(&request, "Authorization"), sent);
    assert_eq!(lab.failed().await, DialFailure::Unauthorized);
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn refusals_are_told_by_their_status() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    for (status, failure) in [
        ("403 Forbidden", DialFailure::Unauthorized),
        ("404 Not Found", DialFailure::NotFound),
        ("200 OK", DialFailure::Refused(200)),
        ("400 Bad Request", DialFailure::Refused(400)),
        ("302 Found", DialFailure::Refused(302)),
        ("503 Service Unavailable", DialFailure::Refused(503)),
    ] {
        lab.dial();
        let body = "<html>no</html>";
        server
            .answer(&format!("HTTP/1.1 {status}\r\n\r\n{body}"))
            .await;
        assert_eq!(lab.failed().await, failure, "{status}");
    }
}

#[tokio::test]
async fn what_is_no_upgrade_is_told_as_such() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let endless = format!("HTTP/1.1 101 x\r\nX: {}", "x".repeat(100_000));
    for (answer, why) in [
        ("", "it closes the connection without an answer"),
        ("220 mail ready\r\n", "what it answers is not HTTP"),
        ("\0\x01\x02\r\n\r\n", "what it answers is not HTTP"),
        (endless.as_str(), "the head of its answer is too large"),
        (
            "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
            "its answer belongs to another request (Sec-WebSocket-Accept)",
        ),
    ] {
        lab.dial();
        let mut call = server.call().await;
        // We may hang up in the middle.
        let _ = call.stream.write_all(answer.as_bytes()).await;
        let _ = call.stream.shutdown().await;
        assert_eq!(lab.failed().await, DialFailure::NoUpgrade(why.into()));
    }
}

#[tokio::test]
async fn another_subprotocol_is_no_upgrade() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    lab.dial();
    let protocol = "Sec-WebSocket-Protocol: ocpp2.0.1\r\n";
    let _socket = server.call().await.upgrade(protocol, b"").await;
    let why = "it speaks ocpp2.0.1, not ocpp1.6".to_owned();
    assert_eq!(lab.failed().await, DialFailure::NoUpgrade(why));
}

#[tokio::test]
async fn who_says_nothing_or_half_an_answer_is_left_after_the_deadline() {
    let server = Server::new().await;
    let (plain, secure) = (server.url(), server.url().replace("ws://", "wss://"));
    for (url, answer, step) in [
        (&plain, "", "WebSocket upgrade"),
        (&plain, "HTTP/1.1 101 x\r\n", "WebSocket upgrade"),
        (&secure, "", "TLS handshake"),
    ] {
        let mut lab = Lab::with(vec![backend(url)], Duration::from_millis(200));
        lab.dial();
        let mut stream = server.tcp().await;
        stream.write_all(answer.as_bytes()).await.unwrap();
        let why = format!("no answer in time: {step}");
        assert_eq!(lab.failed().await, DialFailure::Unreachable(why));
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_is_reached() {
    let gone = Server::new().await.url();
    let mut lab = Lab::new(&gone);
    lab.dial();
    assert!(matches!(lab.failed().await, DialFailure::Unreachable(_)));
    let mut lab = Lab::new("ws://backend.invalid");
    lab.dial();
    let DialFailure::Unreachable(why) = lab.failed().await else {
        panic!("reached what is not there");
    };
    assert!(why.starts_with("backend.invalid: "), "{why}");
}
