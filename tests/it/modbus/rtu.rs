//! Lines that are serial.

use chargewarden::modbus::{Address, Failure};

use super::fake::{Serial, registers};
use super::{METER, Running, WALLBOX, read, write};

#[tokio::test]
async fn several_units_answer_on_one_serial_line() {
    let mut serial = Serial::new();
    let mut line = Running::start(serial.address());
    line.handle.ask(METER, 1, read(0, 2));
    line.handle.ask(WALLBOX, 2, write(8093, 60));
    for _ in 0..2 {
        let asked = serial.asked().await;
        match asked.unit {
            1 => serial.answer(1, &registers(&[7, 8])).await,
            _ => serial.answer(2, &asked.pdu).await,
        }
    }
    let mut answers = [line.answer().await, line.answer().await];
    answers.sort_by_key(|(device, _)| *device);
    assert_eq!(answers, [(WALLBOX, Ok(vec![])), (METER, Ok(vec![7, 8]))]);
}

#[tokio::test]
async fn a_late_answer_is_not_taken_for_the_next_one() {
    let mut serial = Serial::new();
    let mut line = Running::start(serial.address());
    line.handle.ask(METER, 1, read(0, 1));
    serial.asked().await;
    assert_eq!(line.answer().await, (METER, Err(Failure::Silent)));
    serial.answer(1, &registers(&[666])).await;

    line.handle.ask(METER, 1, read(100, 1));
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    serial.answer(1, &registers(&[667])).await;
    assert_eq!(serial.asked().await.pdu, [3, 0, 100, 0, 1]);
    serial.answer(1, &registers(&[7])).await;
    assert_eq!(line.answer().await, (METER, Ok(vec![7])));
}

#[tokio::test]
async fn a_second_answer_to_the_same_request_is_thrown_away() {
    let mut serial = Serial::new();
    let mut line = Running::start(serial.address());
    for value in 1..5 {
        line.handle.ask(METER, 1, read(value, 1));
        serial.asked().await;
        serial.answer(1, &registers(&[value])).await;
        assert_eq!(line.answer().await, (METER, Ok(vec![value])));
        serial.answer(1, &registers(&[value])).await;
    }
}

#[tokio::test]
async fn garbage_is_a_failure_and_the_line_recovers() {
    let garbage: [&[u8]; 4] = [
        &[0x55; 40],
        // A good frame with a wrong checksum.
        &[1, 3, 2, 0, 7, 0xDE, 0xAD],
        // Half a frame.
        &[1, 3, 2],
        // Somebody else's.
        &[9, 3, 2, 0, 7, 0xD8, 0x46],
    ];
    let mut serial = Serial::new();
    let mut line = Running::start(serial.address());
    for bytes in garbage {
        line.handle.ask(METER, 1, read(0, 1));
        serial.asked().await;
        serial.raw(bytes).await;
        let answer = line.answer().await.1;
        assert!(matches!(
            answer,
            Err(Failure::NoConnection(_) | Failure::Silent)
        ));
        loop {
            line.handle.ask(METER, 1, read(0, 1));
            tokio::select! {
                _ = serial.asked() => {
                    serial.answer(1, &registers(&[7])).await;
                    assert_eq!(line.answer().await.1, Ok(vec![7]));
                    break;
                }
                // Still in the pause.
                answer = line.answer() => assert!(answer.1.is_err()),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test]
async fn a_line_that_is_not_there_is_a_failure_and_no_end() {
    let address = Address::parse("/dev/does-not-exist,9600,8,n,1").unwrap();
    let mut line = Running::start(address);
    for _ in 0..2 {
        line.handle.ask(METER, 1, read(0, 1));
        let (_, answer) = line.answer().await;
        assert!(
            matches!(answer, Err(Failure::NoConnection(_))),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_dead_unit_costs_the_others_on_its_line_only_its_own_time() {
    let mut serial = Serial::new();
    let mut line = Running::start(serial.address());
    line.handle.ask(WALLBOX, 2, read(0, 1));
    assert_eq!(serial.asked().await.unit, 2);
    line.handle.ask(METER, 1, read(0, 1));
    assert_eq!(line.answer().await, (WALLBOX, Err(Failure::Silent)));
    assert_eq!(serial.asked().await.unit, 1, "there is no pause");
    serial.answer(1, &registers(&[7])).await;
    assert_eq!(line.answer().await, (METER, Ok(vec![7])));
}

#[tokio::test]
async fn who_was_silent_is_asked_when_nobody_else_waits() {
    let mut serial = Serial::new();
    let mut line = Running::start(serial.address());
    line.handle.ask(WALLBOX, 2, read(0, 1));
    assert_eq!(serial.asked().await.unit, 2);
    assert_eq!(line.answer().await, (WALLBOX, Err(Failure::Silent)));
    line.handle.ask(WALLBOX, 2, read(0, 1));
    line.handle.ask(METER, 1, read(0, 1));
    assert_eq!(serial.asked().await.unit, 1);
    serial.answer(1, &registers(&[7])).await;
    assert_eq!(line.answer().await, (METER, Ok(vec![7])));
    assert_eq!(serial.asked().await.unit, 2);
    assert_eq!(line.answer().await, (WALLBOX, Err(Failure::Silent)));
}
