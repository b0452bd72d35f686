//! Lines to TCP peers.

use std::time::{Duration, Instant};

use chargewarden::modbus::{Address, Failure};

use super::fake::{Server, frame, registers};
use super::{METER, Running, WALLBOX, read, write};

fn why(failure: Failure) -> String {
    match failure {
        Failure::NoConnection(why) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn reads_and_writes_of_several_units_go_over_one_connection_in_turn() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    line.handle.ask(WALLBOX, 1, read(8092, 2));
    line.handle.ask(METER, 2, read(8057, 1));
    let mut socket = server.accept().await;

    let asked = socket.asked().await;
    assert_eq!(
        (asked.unit, &asked.pdu[..]),
        (1, &[3, 0x1F, 0x9C, 0, 2][..])
    );
    socket.answer(&asked, &registers(&[2, 100])).await;
    assert_eq!(line.answer().await, (WALLBOX, Ok(vec![2, 100])));
    line.handle.ask(WALLBOX, 1, write(8093, 60));

    let asked = socket.asked().await;
    assert_eq!(asked.unit, 2, "it was its turn");
    socket.answer(&asked, &registers(&[1])).await;
    assert_eq!(line.answer().await, (METER, Ok(vec![1])));

    let asked = socket.asked().await;
    assert_eq!(
        (asked.unit, &asked.pdu[..]),
        (1, &[6, 0x1F, 0x9D, 0, 60][..])
    );
    socket.answer(&asked, &[6, 0x1F, 0x9D, 0, 60]).await;
    assert_eq!(line.answer().await, (WALLBOX, Ok(vec![])));
}

#[tokio::test]
async fn several_registers_are_written_with_one_request() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    let request = chargewarden::modbus::Request::Write {
        address: 8083,
        values: vec![0, 300],
    };
    line.handle.ask(WALLBOX, 1, request);
    let mut socket = server.accept().await;
    let asked = socket.asked().await;
    assert_eq!(asked.pdu, [16, 0x1F, 0x93, 0, 2, 4, 0, 0, 0x01, 0x2C]);
    socket.answer(&asked, &[16, 0x1F, 0x93, 0, 2]).await;
    assert_eq!(line.answer().await, (WALLBOX, Ok(vec![])));
}

#[tokio::test]
async fn a_write_overtakes_the_reads_that_wait() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    line.handle.ask(METER, 1, read(0, 1));
    let mut socket = server.accept().await;
    let first = socket.asked().await;
    for device in 1..4 {
        line.handle
            .ask(chargewarden::ids::DeviceId::Meter(device), 1, read(0, 1));
    }
    line.handle.ask(WALLBOX, 1, write(8093, 60));
    socket.answer(&first, &registers(&[1])).await;
    assert_eq!(line.answer().await.0, METER);
    assert_eq!(socket.asked().await.pdu[0], 6);
}

#[tokio::test]
async fn an_exception_is_an_answer_and_the_connection_stays() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    line.handle.ask(METER, 1, read(0, 1));
    let mut socket = server.accept().await;
    let asked = socket.asked().await;
    socket.answer(&asked, &[0x83, 2]).await;
    assert_eq!(line.answer().await, (METER, Err(Failure::Exception(2))));
    line.handle.ask(METER, 1, read(0, 1));
    let asked = socket.asked().await;
    socket.answer(&asked, &registers(&[7])).await;
    assert_eq!(line.answer().await, (METER, Ok(vec![7])));
}

#[tokio::test]
async fn after_silence_the_other_unit_is_asked_at_once_on_a_new_connection() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    line.handle.ask(WALLBOX, 1, read(0, 1));
    line.handle.ask(METER, 2, read(0, 1));
    let mut old = server.accept().await;
    let unanswered = old.asked().await;
    assert_eq!(line.answer().await, (WALLBOX, Err(Failure::Silent)));

    let mut new = server.accept().await;
    let asked = new.asked().await;
    assert_eq!(asked.unit, 2);
    // The answer that comes too late reaches nobody.
    old.answer(&unanswered, &registers(&[666])).await;
    new.answer(&asked, &registers(&[7])).await;
    assert_eq!(line.answer().await, (METER, Ok(vec![7])));
    assert!(old.next().await.is_none(), "the old connection was closed");
}

#[tokio::test]
async fn half_an_answer_is_silence() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    line.handle.ask(METER, 1, read(0, 2));
    let mut socket = server.accept().await;
    let asked = socket.asked().await;
    let whole = frame(&asked, &registers(&[1, 2]));
    socket.raw(&whole[..whole.len() - 1]).await;
    assert_eq!(line.answer().await, (METER, Err(Failure::Silent)));
}

#[tokio::test]
async fn an_answer_in_pieces_is_one() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    line.handle.ask(METER, 1, read(0, 2));
    let mut socket = server.accept().await;
    let asked = socket.asked().await;
    for byte in frame(&asked, &registers(&[1, 2])) {
        socket.raw(&[byte]).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(line.answer().await, (METER, Ok(vec![1, 2])));
}

#[tokio::test]
async fn what_answers_another_question_drops_the_connection() {
    type Spoil = fn(&[u8]) -> Vec<u8>;
    let answers: [(&str, Spoil); 7] = [
        ("another transaction", |good| {
            [&[0xAB, 0xCD], &good[2..]].concat()
        }),
        ("another protocol", |good| {
            [&good[..2], &[1, 1], &good[4..]].concat()
        }),
        ("another unit", |good| {
            [&good[..6], &[9], &good[7..]].concat()
        }),
        ("another function", |good| {
            [&good[..7], &[4], &good[8..]].concat()
        }),
        ("too few registers", |good| {
            [&good[..4], &[0, 5, 1, 3, 2, 0, 1]].concat()
        }),
        ("a byte count that lies", |good| {
            [&good[..8], &[9], &good[9..]].concat()
        }),
        ("no Modbus", |_| {
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()
        }),
    ];
    for (what, spoil) in answers {
        let server = Server::bind().await;
        let mut line = Running::start(server.address());
        line.handle.ask(METER, 1, read(0, 2));
        let mut socket = server.accept().await;
        let asked = socket.asked().await;
        socket
            .raw(&spoil(&frame(&asked, &registers(&[1, 2]))))
            .await;
        let (_, answer) = line.answer().await;
        // A frame that promises more than comes is waited for.
        let refused = matches!(answer, Err(Failure::NoConnection(_) | Failure::Silent));
        assert!(refused, "{what}: {answer:?}");
        assert!(socket.next().await.is_none(), "{what}: not closed");
    }
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_opened_again_without_a_failure() {
    let server = Server::bind().await;
    let mut line = Running::start(server.address());
    for value in [1, 2, 3] {
        line.handle.ask(METER, 1, read(0, 1));
        let mut socket = server.accept().await;
        let asked = socket.asked().await;
        socket.answer(&asked, &registers(&[value])).await;
        assert_eq!(line.answer().await, (METER, Ok(vec![value])));
    }
}

#[tokio::test]
async fn where_nobody_listens_the_answer_comes_at_once_and_attempts_pause() {
    let server = Server::bind().await;
    let address = server.address();
    drop(server);
    let mut line = Running::start(address.clone());
    line.handle.ask(METER, 1, read(0, 1));
    let refused = why(line.answer().await.1.unwrap_err());
    assert!(refused.contains("refused"), "{refused}");

    // It listens again, but nobody knocks before the pause is over.
    let Address::Tcp { host, port } = address else {
        unreachable!()
    };
    let listener = std::net::TcpListener::bind((host, port)).unwrap();
    listener.set_nonblocking(true).unwrap();
    line.handle.ask(METER, 1, read(0, 1));
    assert_eq!(why(line.answer().await.1.unwrap_err()), refused);
    assert!(listener.accept().is_err());

    let begin = Instant::now();
    while listener.accept().is_err() {
        assert!(
            begin.elapsed() < Duration::from_secs(10),
            "no second attempt"
        );
        line.handle.ask(METER, 1, read(0, 1));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_name_that_nobody_has_is_a_failure_and_no_end() {
    let mut line = Running::start(Address::parse("nobody.invalid:502").unwrap());
    for _ in 0..2 {
        line.handle.ask(METER, 1, read(0, 1));
        why(line.answer().await.1.unwrap_err());
    }
}
