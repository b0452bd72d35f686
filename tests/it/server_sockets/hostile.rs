//! Whatever a client does costs nothing but its own connection.

use std::net::IpAddr;
use std::time::Duration;

use chargewarden::daemon::field::{Field, ToLink};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

use super::lab::{DEADLINES, Lab, MAX_MESSAGE, PROTOCOL, frame, header, request, soon};

#[tokio::test]
async fn who_says_nothing_is_dropped() {
    let mut lab = Lab::new();
    let mut silent = lab.tcp().await;
    assert_eq!(silent.rest().await, b"");
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn who_stops_in_the_middle_of_a_request_is_dropped() {
    let mut lab = Lab::new();
    let mut half = lab.tcp().await;
    half.write(b"GET /CB-1 HTTP/1.1\r\nHost: h\r\n").await;
    assert_eq!(half.rest().await, b"");
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn who_sends_a_byte_now_and_then_is_dropped() {
    let mut lab = Lab::new();
    let mut loris = lab.tcp().await;
    let start = Instant::now();
    loris.write(b"GET /CB-1 HTTP/1.1\r\n").await;
    let dropped = async {
        loop {
            let mut byte = [0];
            if loris.0.write_all(b"A").await.is_err() {
                break;
            }
            if let Ok(end) = timeout(Duration::from_millis(30), loris.0.read(&mut byte)).await {
                assert!(!matches!(end, Ok(1..)), "answered");
                break;
            }
        }
    };
    soon("the end", dropped).await;
    assert!(start.elapsed() >= DEADLINES.upgrade);
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn garbage_is_dropped_or_refused() {
    let mut lab = Lab::new();
    for (garbage, status) in [
        (&b"\x00\xff\xfe\x01 nonsense"[..], None),
        (b"\n\n\n\n\n\n", None),
        (b"HELO wallbox\r\n\r\n", Some(400)),
        (b"\xff\xff\xff\r\n\r\n", Some(400)),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Some(505)),
        (
            b"POST /CB-1 HTTP/1.1\r\nContent-Length: 9\r\n\r\n<soap />\n",
            Some(400),
        ),
    ] {
        let mut client = lab.tcp().await;
        client.write(garbage).await;
        match status {
            Some(status) => assert_eq!(client.answer().await.status, status),
            None => assert_eq!(client.rest().await, b""),
        }
    }
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn an_endless_head_is_refused_and_the_refusal_arrives() {
    let mut lab = Lab::new();
    let mut client = lab.tcp().await;
    let more = format!("X: {}\r\n", "x".repeat(100_000));
    client.write(request("/CB-1", &more).as_bytes()).await;
    assert_eq!(client.answer().await.status, 431);
    lab.still_serves("CB-1").await;
}

/// Sends bytes as CB-1 and expects to be closed with this code; CB-2 is still served.
async fn closed_with(code: u16, bytes: &[u8]) {
    let mut lab = Lab::new();
    let (mut client, up) = lab.wallbox("CB-1").await;
    // The server may stop reading in the middle.
    let _ = client.0.write_all(bytes).await;
    assert_eq!(client.frame().await.close_code(), code);
    assert_eq!(lab.down().await, up.link);
    lab.still_serves("CB-2").await;
}

#[tokio::test]
async fn a_message_that_is_too_large_is_closed_with_1009() {
    closed_with(1009, &frame(1, &vec![b'x'; MAX_MESSAGE + 1])).await;
}

#[tokio::test]
async fn a_frame_that_claims_to_be_huge_is_closed_with_1009_before_it_comes() {
    closed_with(1009, &header(0x81, 1 << 40)).await;
    closed_with(1009, &header(0x81, usize::MAX)).await;
}

#[tokio::test]
async fn fragments_that_add_up_to_too_much_are_closed_with_1009() {
    let part = vec![b'x'; MAX_MESSAGE / 2];
    let mut bytes = header(0x01, part.len());
    bytes.extend(&part);
    for _ in 0..2 {
        bytes.extend(header(0x00, part.len()));
        bytes.extend(&part);
    }
    closed_with(1009, &bytes).await;
}

#[tokio::test]
async fn the_largest_message_is_taken() {
    let mut lab = Lab::new();
    let (mut client, _up) = lab.wallbox("CB-1").await;
    client.send(1, &vec![b'x'; MAX_MESSAGE]).await;
    assert_eq!(lab.text().await.1.len(), MAX_MESSAGE);
}

#[tokio::test]
async fn broken_frames_are_closed_with_1002() {
    for broken in [
        &b"\x81\x02hi"[..],  // not masked
        b"\xf1\x80\0\0\0\0", // reserved bits
        b"\x83\x80\0\0\0\0", // unknown data frame
        b"\x8b\x80\0\0\0\0", // unknown control frame
        b"\x80\x80\0\0\0\0", // continues nothing
        b"\x09\x80\0\0\0\0", // a ping in fragments
    ] {
        closed_with(1002, broken).await;
    }
    closed_with(1002, &frame(9, &[b'x'; 126])).await;
}

#[tokio::test]
async fn text_that_is_no_utf8_is_closed_with_1007() {
    closed_with(1007, &frame(1, b"\xff\xfe")).await;
}

#[tokio::test]
async fn half_a_frame_waits_and_disturbs_nobody() {
    let mut lab = Lab::new();
    let (mut client, up) = lab.wallbox("CB-1").await;
    client.write(&frame(1, b"half a frame")[..9]).await;
    lab.still_serves("CB-2").await;
    let (code, reason) = (1000, "no sign of life");
    up.outbox
        .send(ToLink::Close { code, reason })
        .await
        .unwrap();
    assert_eq!(client.frame().await.close_code(), 1000);
    assert_eq!(lab.down().await, up.link);
}

#[tokio::test]
async fn who_does_not_read_is_dropped() {
    let mut lab = Lab::new();
    let (client, up) = lab.wallbox("CB-1").await;
    let flood = "x".repeat(1_000_000);
    let down = async {
        loop {
            tokio::select! {
                event = lab.field.recv() => break event,
                _ = up.outbox.send(ToLink::Text(flood.clone())), if !up.outbox.is_closed() => {}
            }
        }
    };
    let down = soon("Down", down).await;
    assert!(matches!(down, Some(Field::Down { link }) if link == up.link));
    lab.still_serves("CB-2").await;
    drop(client);
}

#[tokio::test]
async fn a_flood_of_pings_is_answered_and_told_once_a_second() {
    let mut lab = Lab::new();
    let (mut client, _up) = lab.wallbox("CB-1").await;
    let pings = frame(9, b"x").repeat(1000);
    client.write(&pings).await;
    client.send_text("behind the pings").await;
    let mut heard = 0;
    loop {
        match lab.event().await {
            Field::Heard { .. } => heard += 1,
            Field::Frame { text, .. } => break assert_eq!(text, "behind the pings"),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert!((1..=11).contains(&heard), "told {heard} times");
}

#[tokio::test]
async fn who_pings_and_never_reads_the_pongs_is_dropped() {
    let mut lab = Lab::new();
    let (mut client, up) = lab.wallbox("CB-1").await;
    let pings = frame(9, &[b'x'; 125]).repeat(1000);
    let flood = async {
        // Ends when the server has dropped the connection.
        while client.0.write_all(&pings).await.is_ok() {}
    };
    soon("the end", flood).await;
    loop {
        match lab.event().await {
            Field::Heard { .. } => {}
            Field::Down { link } => break assert_eq!(link, up.link),
            other => panic!("unexpected {other:?}"),
        }
    }
    lab.still_serves("CB-2").await;
}

#[tokio::test]
async fn no_more_than_max_connections_are_held() {
    let mut lab = Lab::with(|settings| settings.max_connections = 2);
    let (first, _up) = lab.wallbox("CB-1").await;
    let (_second, _up) = lab.wallbox("CB-2").await;
    let mut third = lab.tcp().await;
    assert_eq!(third.rest().await, b"");
    drop(first);
    lab.down().await;
    // The place is free when the task has ended, a moment after Down.
    soon("a free place", async {
        loop {
            let mut next = lab.tcp().await;
            let asked = next
                .0
                .write_all(request("/CB-3", PROTOCOL).as_bytes())
                .await;
            if asked.is_ok() && matches!(next.0.read_u8().await, Ok(b'H')) {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_flood_of_connections_from_one_address_leaves_room_for_others() {
    let mut lab = Lab::new();
    let hostile: IpAddr = [127, 0, 0, 2].into();
    let mut held = Vec::new();
    for _ in 0..1000 {
        held.extend(lab.tcp_from(hostile).await);
    }
    lab.still_serves("CB-1").await;
}

#[tokio::test]
async fn one_address_may_open_100_connections_at_once() {
    let mut lab = Lab::new();
    let mut clients = Vec::new();
    for _ in 0..100 {
        clients.push(lab.tcp().await);
    }
    let mut links = Vec::new();
    for client in &mut clients {
        client.upgrade("CB-1").await;
        links.push(lab.up().await);
    }
}
