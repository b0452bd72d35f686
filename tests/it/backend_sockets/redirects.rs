//! Redirects: how far we go, and what we do not take along.

use chargewarden::gateway::DialFailure;
use tokio::io::AsyncWriteExt;

use super::lab::{Call, Lab, PROTOCOL, Server, header};
use crate::server_sockets::lab::{soon, v1_certificate};

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
}

#[tokio::test]
async fn a_redirect_to_another_path_is_followed_with_the_password() {
    let server = Server::new().await;
    let mut lab = Lab::with_password(&server.url(), "secret");
    lab.dial();
    let first = server.answer(&to("/v2/CB-1?x=1")).await;
    assert!(header(&first, "Authorization").starts_with("Basic "));
    let call = server.call().await;
    assert!(call.request.starts_with("GET /v2/CB-1?x=1 HTTP/1.1\r\n"));
    let authorization = header(&call.request, "Authorization");
    assert_eq!(authorization, header(&first, "Authorization"));
    let _socket = call.upgrade(PROTOCOL, b"").await;
    lab.dialled().await;
}

#[tokio::test]
async fn a_circle_of_redirects_is_left_after_three() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    lab.dial();
    for _ in 0..4 {
        server.answer(&to("/again")).await;
    }
    let why = format!(
        "there are too many, the last one to ws://127.0.0.1:{}/again",
        server.port()
    );
    assert_eq!(lab.failed().await, DialFailure::Redirected(why));
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn another_host_is_not_told_the_password() {
    let server = Server::new().await;
    let mut lab = Lab::with_password(&server.url(), "secret");
    let elsewhere = format!("http://localhost:{}/ocpp/CB-1", server.port());
    lab.dial();
    server.answer(&to(&elsewhere)).await;
    let call = server.call().await;
    assert_eq!(header(&call.request, "Authorization"), "");
    let _socket = call.upgrade(PROTOCOL, b"").await;
    let link = lab.dialled().await;
    drop(link.outbox);
    lab.down().await;

    lab.dial();
    server.answer(&to(&elsewhere)).await;
    server.answer("HTTP/1.1 401 x\r\n\r\n").await;
    let DialFailure::Redirected(why) = lab.failed().await else {
        panic!("the redirect is the reason");
    };
    assert!(why.contains("localhost") && why.contains("password"));
}

#[tokio::test]
async fn a_redirect_never_leads_out_of_tls() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url().replace("ws://", "wss://"));
    lab.dial();
    let tls = v1_certificate();
    let stream = soon("TLS", tls.accept(server.tcp().await)).await.unwrap();
    let mut call = Call::read(stream).await;
    let plain = to(&server.url());
    call.stream.write_all(plain.as_bytes()).await.unwrap();
    call.stream.flush().await.unwrap();
    let why = format!(
        "it leads from wss:// to {}, which is not encrypted",
        server.url()
    );
    assert_eq!(lab.failed().await, DialFailure::Redirected(why));
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn a_redirect_to_nowhere_is_told() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    lab.dial();
    server.answer(&to("mailto:me")).await;
    let why = "it leads to no WebSocket server: mailto:me".to_owned();
    assert_eq!(lab.failed().await, DialFailure::Redirected(why));
}
