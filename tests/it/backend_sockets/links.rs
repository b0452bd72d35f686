//! A connection that stands: frames both ways, and its end by either side.

use chargewarden::daemon::field::{Field, ToLink};
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::lab::{Lab, Link, PROTOCOL, Server};
use crate::server_sockets::lab::soon;

type Socket = WebSocketStream<TcpStream>;

async fn connected(server: &Server, lab: &mut Lab) -> (Socket, Link) {
    lab.dial();
    let socket = server.call().await.upgrade(PROTOCOL, b"").await;
    (socket, lab.dialled().await)
}

async fn next(socket: &mut Socket) -> Message {
    let message = soon("a message", socket.next()).await;
    message.expect("not the end").unwrap()
}

#[tokio::test]
async fn frames_pass_both_ways() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let (mut socket, link) = connected(&server, &mut lab).await;
    let long = "x".repeat(500_000);
    for text in ["[2,\"1\",\"Heartbeat\",{}]", &long] {
        link.outbox.send(ToLink::Text(text.into())).await.unwrap();
        assert_eq!(next(&mut socket).await, Message::text(text));
        socket.send(Message::text(text)).await.unwrap();
        assert_eq!(lab.text().await, (link.id, text.to_owned()));
    }
    link.outbox.send(ToLink::Ping).await.unwrap();
    assert!(matches!(next(&mut socket).await, Message::Ping(_)));
    socket.send(Message::Ping("p".into())).await.unwrap();
    // Its library answers our ping when it likes.
    let mut pongs = Vec::new();
    for _ in 0..2 {
        match lab.event().await {
            Field::Heard { link: id, pong } => {
                assert_eq!(id, link.id);
                pongs.push(pong);
            }
            other => panic!("expected a sign of life, saw {other:?}"),
        }
    }
    pongs.sort_unstable();
    assert_eq!(pongs, [false, true]);
    assert_eq!(next(&mut socket).await, Message::Pong("p".into()));
}

#[tokio::test]
async fn what_comes_in_one_piece_with_the_answer_is_not_lost() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    lab.dial();
    let _socket = server.call().await.upgrade(PROTOCOL, b"\x81\x02hi").await;
    let link = lab.dialled().await;
    assert_eq!(lab.text().await, (link.id, "hi".to_owned()));
}

#[tokio::test]
async fn the_backend_says_goodbye_and_is_dialled_anew() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let (mut socket, first) = connected(&server, &mut lab).await;
    let goodbye = CloseFrame {
        code: 1001.into(),
        reason: "".into(),
    };
    socket.close(Some(goodbye)).await.unwrap();
    assert_eq!(lab.down().await, first.id);
    drop(socket);
    let (_socket, second) = connected(&server, &mut lab).await;
    assert_ne!(second.id, first.id);
}

#[tokio::test]
async fn a_backend_that_vanishes_is_told() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let (socket, link) = connected(&server, &mut lab).await;
    drop(socket);
    assert_eq!(lab.down().await, link.id);
}

#[tokio::test]
async fn we_say_goodbye_with_a_code() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let (mut socket, link) = connected(&server, &mut lab).await;
    let (code, reason) = (1000, "reset");
    let close = ToLink::Close { code, reason };
    link.outbox.send(close).await.unwrap();
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("no goodbye");
    };
    assert_eq!(
        (u16::from(frame.code), frame.reason.as_str()),
        (1000, "reset")
    );
    assert_eq!(lab.down().await, link.id);
}

#[tokio::test]
async fn a_message_of_more_than_1_mib_closes_with_1009() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let (mut socket, link) = connected(&server, &mut lab).await;
    let largest = "x".repeat(1024 * 1024);
    let sending = soon("sending", socket.send(Message::text(&largest)));
    let (sent, text) = tokio::join!(sending, lab.text());
    sent.unwrap();
    assert_eq!(text.1.len(), largest.len());
    // We may stop reading in the middle.
    let _ = soon("sending", socket.send(Message::text(largest + "x"))).await;
    assert_eq!(lab.down().await, link.id);
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("no goodbye");
    };
    assert_eq!(u16::from(frame.code), 1009);
}

#[tokio::test]
async fn it_is_never_dialled_twice_at_once() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    for _ in 0..3 {
        lab.dial();
    }
    let first = server.call().await;
    for _ in 0..3 {
        lab.dial();
    }
    let socket = first.upgrade(PROTOCOL, b"").await;
    let link = lab.dialled().await;
    assert!(server.is_left_alone().await);
    drop(socket);
    assert_eq!(lab.down().await, link.id);
    // What was asked meanwhile begins now, and only once.
    server.answer("HTTP/1.1 404 x\r\n\r\n").await;
    lab.failed().await;
    assert!(server.is_left_alone().await);
}

#[tokio::test]
async fn at_the_shutdown_backends_are_told_and_attempts_are_given_up() {
    let server = Server::new().await;
    let mut lab = Lab::new(&server.url());
    let (mut socket, link) = connected(&server, &mut lab).await;
    let pending = Lab::new(&server.url());
    pending.dial();
    let _unanswered = server.call().await;
    for lab in [&lab, &pending] {
        lab.cancel.cancel();
        lab.tasks.close();
    }
    let Message::Close(Some(frame)) = next(&mut socket).await else {
        panic!("no goodbye");
    };
    assert_eq!(u16::from(frame.code), 1001);
    assert_eq!(lab.down().await, link.id);
    drop(socket);
    soon("the end", lab.tasks.wait()).await;
    soon("the end", pending.tasks.wait()).await;
}
