//! What well-behaved wallboxes and the site can expect of a link.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chargewarden::daemon::field::{Field, ToLink};
use chargewarden::daemon::listener::Listener;
use chargewarden::net::directory::Directory;
use tokio::time::{sleep, timeout};

use super::lab::{Frame, Lab, Log, PASSWORD, PROTOCOL, frame, request, settings, soon};

#[tokio::test]
async fn frames_go_both_ways_between_one_up_and_one_down() {
    let mut lab = Lab::new();
    let (mut wallbox, up) = lab.wallbox("cb-1").await;
    assert_eq!(up.address, "CB-1", "in the spelling of the configuration");
    assert_eq!(up.peer, wallbox.0.local_addr().unwrap());
    wallbox.send_text(r#"[2,"1","Heartbeat",{}]"#).await;
    assert_eq!(
        lab.text().await,
        (up.link, r#"[2,"1","Heartbeat",{}]"#.into())
    );
    let answer = r#"[3,"1",{}]"#;
    up.outbox.send(ToLink::Text(answer.into())).await.unwrap();
    assert_eq!(wallbox.frame().await, Frame::text(answer));
    wallbox.send(8, &1000u16.to_be_bytes()).await;
    assert_eq!(wallbox.frame().await.close_code(), 1000);
    assert_eq!(lab.down().await, up.link);
    assert_eq!(wallbox.rest().await, b"");
    assert!(lab.field.try_recv().is_err(), "nothing after Down");
}

#[tokio::test]
async fn pings_are_answered_and_told_and_so_are_pongs() {
    let mut lab = Lab::new();
    let (mut wallbox, up) = lab.wallbox("CB-1").await;
    wallbox.send(9, b"are you there").await;
    let pong = Frame {
        opcode: 10,
        payload: b"are you there".to_vec(),
    };
    assert_eq!(wallbox.frame().await, pong);
    assert!(matches!(lab.event().await, Field::Heard { link, pong: false } if link == up.link));
    up.outbox.send(ToLink::Ping).await.unwrap();
    assert_eq!(wallbox.frame().await.opcode, 9);
    wallbox.send(10, b"").await;
    assert!(matches!(lab.event().await, Field::Heard { link, pong: true } if link == up.link));
}

#[tokio::test]
async fn a_frame_that_follows_the_request_at_once_is_not_lost() {
    let mut lab = Lab::new();
    let mut wallbox = lab.tcp().await;
    let mut bytes = request("/CB-1", PROTOCOL).into_bytes();
    bytes.extend(frame(1, b"early"));
    wallbox.write(&bytes).await;
    assert_eq!(wallbox.answer().await.status, 101);
    let up = lab.up().await;
    assert_eq!(lab.text().await, (up.link, "early".into()));
}

#[tokio::test]
async fn fragments_and_binary_text_arrive_as_text_and_other_binary_is_ignored() {
    let mut lab = Lab::new();
    let (mut wallbox, up) = lab.wallbox("CB-1").await;
    let mut fragments = frame(1, b"frag");
    fragments[0] &= 0x7f;
    wallbox.write(&fragments).await;
    wallbox.send(0, b"ments").await;
    wallbox.send(2, b"\xff\xfe").await;
    wallbox.send(2, "süß".as_bytes()).await;
    assert_eq!(lab.text().await, (up.link, "fragments".into()));
    assert_eq!(lab.text().await, (up.link, "süß".into()));
}

#[tokio::test]
async fn the_site_closes_a_link_with_its_code_and_reason() {
    let mut lab = Lab::new();
    let (mut wallbox, up) = lab.wallbox("CB-1").await;
    up.outbox
        .send(ToLink::Text("last words".into()))
        .await
        .unwrap();
    let (code, reason) = (1000, "replaced");
    up.outbox
        .send(ToLink::Close { code, reason })
        .await
        .unwrap();
    assert_eq!(wallbox.frame().await, Frame::text("last words"));
    let goodbye = wallbox.frame().await;
    assert_eq!(goodbye.close_code(), 1000);
    assert_eq!(&goodbye.payload[2..], b"replaced");
    assert_eq!(lab.down().await, up.link);
}

#[tokio::test]
async fn two_links_of_one_wallbox_are_two_and_newer_is_larger() {
    let mut lab = Lab::new();
    let (_old, first) = lab.wallbox("CB-1").await;
    let (_new, second) = lab.wallbox("CB-1").await;
    assert!(second.link > first.link);
}

#[tokio::test]
async fn a_link_that_the_site_forgets_is_closed() {
    let mut lab = Lab::new();
    let (mut wallbox, up) = lab.wallbox("CB-1").await;
    drop(up.outbox);
    assert_eq!(wallbox.frame().await.close_code(), 1001);
    assert_eq!(lab.down().await, up.link);
}

#[tokio::test]
async fn stopping_says_1001_and_ends_every_task_soon_whoever_hangs() {
    let mut lab = Lab::new();
    let _silent = lab.tcp().await;
    let mut half = lab.tcp().await;
    half.write(b"GET /CB-1 HTT").await;
    let (mut wallbox, _up) = lab.wallbox("CB-1").await;
    let (_deaf, _up) = lab.wallbox("CB-2").await;
    lab.cancel.cancel();
    lab.tasks.close();
    assert_eq!(wallbox.frame().await.close_code(), 1001);
    // The site is busy elsewhere: nobody reads the events any more.
    soon("all tasks", lab.tasks.wait()).await;
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_site_whose_queue_is_full() {
    let mut lab = Lab::new();
    let mut wallboxes = Vec::new();
    // Each Up fills the queue further; nobody takes them out.
    for _ in 0..80 {
        let mut wallbox = lab.tcp().await;
        wallbox.upgrade("CB-1").await;
        wallboxes.push(wallbox);
    }
    lab.cancel.cancel();
    lab.tasks.close();
    soon("all tasks", lab.tasks.wait()).await;
    lab.field.close();
}

#[tokio::test]
async fn an_unknown_wallbox_gets_404_and_is_shown_to_the_site() {
    let mut lab = Lab::new();
    let mut stranger = lab.tcp().await;
    assert_eq!(stranger.ask("/STRANGER", PROTOCOL).await.status, 404);
    match lab.event().await {
        Field::Unknown { address, peer } => {
            assert_eq!(address, "STRANGER");
            assert_eq!(peer, stranger.0.local_addr().unwrap());
        }
        other => panic!("expected Unknown, saw {other:?}"),
    }
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn an_unknown_wallbox_is_shown_and_served_where_that_is_allowed() {
    let mut lab = Lab::with(|settings| {
        settings.directory = Arc::new(Directory {
            accept_unknown: true,
            ..Directory::default()
        });
    });
    let mut stranger = lab.tcp().await;
    stranger.upgrade("NEW").await;
    assert!(matches!(lab.event().await, Field::Unknown { address, .. } if address == "NEW"));
    assert_eq!(lab.up().await.address, "NEW");
}

#[tokio::test]
async fn a_wrong_password_gets_401_and_is_not_logged() {
    let log = Log::catch();
    let mut lab = Lab::new();
    let answer = lab.tcp().await.ask("/locked", PROTOCOL).await;
    assert_eq!(answer.status, 401);
    assert!(answer.head.contains("WWW-Authenticate: Basic"));
    // base64 of "locked:wrong secret" and of "locked:correct horse battery"
    let wrong = format!("{PROTOCOL}Authorization: Basic bG9ja2VkOndyb25nIHNlY3JldA==\r\n");
    assert_eq!(lab.tcp().await.ask("/locked", &wrong).await.status, 401);
    let right =
        format!("{PROTOCOL}Authorization: Basic bG9ja2VkOmNvcnJlY3QgaG9yc2UgYmF0dGVyeQ==\r\n");
    assert_eq!(lab.tcp().await.ask("/locked", &right).await.status, 101);
    assert_eq!(lab.up().await.address, "locked");
    let log = log.text();
    assert!(log.contains("wrong password"), "{log}");
    for secret in [PASSWORD, "wrong secret", "bG9ja2Vk"] {
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn only_foreign_subprotocols_are_let_in_and_closed_at_once() {
    let mut lab = Lab::new();
    let mut wallbox = lab.tcp().await;
    let answer = wallbox
        .ask("/CB-1", "Sec-WebSocket-Protocol: ocpp2.0.1\r\n")
        .await;
    assert_eq!(answer.status, 101);
    assert!(!answer.head.contains("Sec-WebSocket-Protocol"));
    assert_eq!(wallbox.frame().await.close_code(), 1002);
    assert!(lab.field.try_recv().is_err(), "the site never hears of it");
}

#[tokio::test]
async fn all_interfaces_take_ipv4_and_show_it_as_ipv4() {
    let mut lab = Lab::with(|settings| settings.address = Ipv6Addr::UNSPECIFIED.into());
    let (wallbox, up) = lab.wallbox("CB-1").await;
    assert_eq!(up.peer, wallbox.0.local_addr().unwrap());
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let lab = Lab::new();
    let error = Listener::bind(settings(lab.port)).unwrap_err().to_string();
    let expected = format!("listening on 127.0.0.1:{}: ", lab.port);
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn one_wallbox_that_is_read_no_further_does_not_hold_up_another() {
    let mut lab = Lab::new();
    let (mut eager, up) = lab.wallbox("CB-1").await;
    for number in 0..20 {
        eager.send_text(&number.to_string()).await;
    }
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(lab.event().await);
    }
    let ninth = timeout(Duration::from_millis(200), lab.field.recv()).await;
    assert!(ninth.is_err(), "read ahead too far: {ninth:?}");
    lab.still_serves("CB-2").await;
    up.outbox.send(ToLink::Text("hello".into())).await.unwrap();
    assert_eq!(eager.frame().await, Frame::text("hello"));
    drop(held);
    for number in 8..20 {
        assert_eq!(lab.text().await, (up.link, number.to_string()));
    }
}

#[tokio::test]
async fn a_dropped_connection_is_a_down() {
    let mut lab = Lab::new();
    let (wallbox, up) = lab.wallbox("CB-1").await;
    drop(wallbox);
    assert_eq!(lab.down().await, up.link);
    sleep(Duration::from_millis(50)).await;
    assert!(lab.field.try_recv().is_err(), "only one Down");
}

#[tokio::test]
async fn who_guesses_passwords_is_soon_not_heard_and_others_are() {
    let mut lab = Lab::new();
    let basic = |password: &str| {
        let sent = BASE64_STANDARD.encode(format!("locked:{password}"));
        format!("{PROTOCOL}Authorization: Basic {sent}\r\n")
    };
    let ask = async |password: &str| {
        let mut client = lab.tcp().await;
        client.ask("/locked", &basic(password)).await.status
    };
    for _ in 0..10 {
        assert_eq!(ask("wrong").await, 401);
    }
    for password in ["wrong", PASSWORD] {
        assert_eq!(ask(password).await, 429, "the answer tells nothing");
    }
    lab.still_serves("CB-1").await;
}
