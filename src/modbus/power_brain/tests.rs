//! Registers and what they mean.

use proptest::prelude::*;

use super::*;

fn text(text: &str, registers: usize) -> Vec<u16> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(registers * 2, 0);
    let pairs = bytes.chunks(2);
    pairs.map(|b| u16::from_be_bytes([b[0], b[1]])).collect()
}

fn identity(vendor: u16, name: &str) -> Vec<u16> {
    let mut values = vec![vendor, 0, 1, 0x100, 0x0102, 7, 256, 0];
    values.extend(text("W00-4711", 8));
    values.extend(&text(name, 16)[..8]);
    values
}

fn meter(flags: u16, rest: [u16; 12]) -> AttachedMeter {
    let values: Vec<u16> = std::iter::once(flags).chain(rest).collect();
    AttachedMeter::decode(&Block::Meter.registers(&values).unwrap()).unwrap()
}

#[test]
fn a_power_brain_is_known_by_vendor_and_name_whatever_its_firmware_calls_it() {
    let is = |vendor, name| {
        let values = identity(vendor, name);
        let identity = Identity::decode(&Block::Identity.registers(&values).unwrap()).unwrap();
        assert_eq!(
            (identity.serial.as_str(), identity.firmware),
            ("W00-4711", (1, 2, 7))
        );
        identity.is_power_brain()
    };
    assert!(is(0xCF05, "cFos Power Brain"));
    assert!(is(0xCF05, "cFos Charging Controller"));
    assert!(!is(0xCF05, "Kettle"));
    assert!(!is(0, "cFos Power Brain"));
}

#[test]
fn everything_that_changes_is_read_with_one_request_or_with_two_around_the_gap() {
    let mut values = vec![5, 1, 0, 0xAAAA, 320, 0, 2, 107, 1, 107];
    values.extend(text(" 04a2b3c4d5 ", 15));
    values.extend([65_535, 1, 1 << 8]);
    let poll = Poll::decode(&Block::Poll.registers(&values).unwrap()).unwrap();
    assert_eq!((poll.pilot_cut, poll.single_phase), (5, true));
    assert_eq!(poll.cable, Some(MilliAmps(32_000)));
    assert_eq!(poll.pilot, Pilot::Charging);
    assert_eq!((poll.limit, poll.enabled), (107, true));
    assert_eq!((poll.card.as_str(), poll.cards), ("04a2b3c4d5", 65_535));
    assert!(poll.has_meter && poll.switchable);
    let outputs = Block::Outputs.registers(&values[..3]).unwrap();
    let state = Block::State.registers(&values[4..]).unwrap();
    assert_eq!(Poll::decode_parts(&outputs, &state), Some(poll));
}

#[test]
fn states_of_the_pilot_are_told_apart_and_unknown_ones_hide_the_plug() {
    let of = |value| Pilot::decode(value);
    assert_eq!(of(0).is_plugged(), Some(false));
    assert!([1, 2, 3].iter().all(|v| of(*v).is_plugged() == Some(true)));
    assert!([2, 3].iter().all(|v| of(*v).charges()));
    assert!(
        [4, 5, 6, 9, 65_535]
            .iter()
            .all(|v| of(*v).is_plugged().is_none() && !of(*v).charges())
    );
}

#[test]
fn quirk_cfos_a_power_of_minus_one_is_no_value() {
    let read = meter(1, [0, 0, 0, 500, 0xFFFF, 0xFFFF, 0, 160, 0, 0, 0, 5]);
    assert_eq!(read.power, None);
    assert_eq!(read.energy, Some(WattHours(500)));
    let amps = PerPhase([MilliAmps(16_000), MilliAmps(0), MilliAmps(500)]);
    assert_eq!(read.current, Some(amps));
}

#[test]
fn currents_without_individual_phases_and_absurd_values_are_left_out() {
    let good = [0, 0, 0, 500, 0, 3680, 0, 160, 0, 0, 0, 0];
    assert_eq!(meter(0, good).current, None);
    assert_eq!(meter(0, good).power, Some(Watts(3680)));
    let absurd = meter(1, [u16::MAX; 12]);
    assert_eq!(
        (absurd.energy, absurd.power, absurd.current),
        (None, None, None)
    );
}

#[test]
fn a_fail_safe_time_takes_two_registers_and_everything_else_one() {
    let values = |write: Write| match write.request() {
        Request::Write { address, values } => (address, values),
        Request::Read { .. } => panic!("it reads"),
    };
    assert_eq!(values(Write::FailSafeAfter(180)), (8083, vec![0, 180]));
    assert_eq!(values(Write::FailSafeCurrent(60)), (8085, vec![60]));
    assert_eq!(values(Write::Limit(107)), (8093, vec![107]));
    assert_eq!(values(Write::Enable(true)), (8094, vec![1]));
}

#[test]
fn currents_are_written_rounded_down() {
    assert_eq!(tenths(MilliAmps(10_799)), 107);
    assert_eq!(tenths(MilliAmps(-1)), 0);
    assert_eq!(tenths(MilliAmps::MAX), u16::MAX);
    assert_eq!(milliamps(u16::MAX), MilliAmps(6_553_500));
}

proptest! {
    #[test]
    fn any_registers_and_any_length_are_read_without_a_panic(
        values in prop::collection::vec(any::<u16>(), 0..40)
    ) {
        let blocks = [Block::Identity, Block::Restarts, Block::Defaults, Block::Poll, Block::Meter];
        for block in blocks {
            if let Some(registers) = block.registers(&values) {
                let _ = (Identity::decode(&registers), Defaults::decode(&registers));
                let _ = (Poll::decode(&registers), AttachedMeter::decode(&registers));
                let _ = registers.u32(RESTARTS);
            }
        }
    }
}
