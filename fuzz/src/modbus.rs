//! Registers of wallboxes and meters.

use chargewarden::modbus::meters::{Layout, Readings, Search, Step, oddity, sample};
use chargewarden::modbus::power_brain::{
    AttachedMeter, Block, Defaults, Identity, LEAST_LIMIT, Poll, milliamps, tenths,
};
use chargewarden::modbus::{Failure, Request};
use chargewarden::units::{MilliAmps, Watts};

/// Whatever the registers say, what is made of them is possible.
pub fn modbus(bytes: &[u8]) {
    let (pairs, _) = bytes.as_chunks::<2>();
    let words: Vec<u16> = pairs.iter().copied().map(u16::from_be_bytes).collect();
    power_brain(&words);
    meter(&Layout::eastron(), &words);
    meter(&Layout::power_brain(), &words);
    if let Some(layout) = search(&words) {
        meter(&layout, &words);
    }
}

const fn count(request: &Request) -> usize {
    match request {
        Request::Read { count, .. } => *count as usize,
        Request::Write { .. } => 0,
    }
}

fn power_brain(words: &[u16]) {
    for block in [
        Block::Identity,
        Block::Restarts,
        Block::Defaults,
        Block::Poll,
        Block::Outputs,
        Block::State,
        Block::Meter,
    ] {
        let length = count(&block.request());
        assert_eq!(block.registers(words).is_some(), words.len() == length);
        let Some(registers) = words.get(..length).and_then(|it| block.registers(it)) else {
            continue;
        };
        let identity = Identity::decode(&registers);
        assert_eq!(identity.is_some(), block == Block::Identity);
        if let Some(identity) = identity {
            assert!(identity.name.len() <= 16 && identity.name.is_ascii());
            assert!(identity.serial.len() <= 16 && identity.serial.is_ascii());
        }
        assert_eq!(
            Defaults::decode(&registers).is_some(),
            block == Block::Defaults
        );
        let poll = Poll::decode(&registers);
        assert_eq!(poll.is_some(), block == Block::Poll);
        if let Some(poll) = poll {
            assert!(poll.card.chars().count() <= 30);
            assert!(poll.cable.is_none_or(|it| it >= LEAST_LIMIT));
            assert_eq!(milliamps(tenths(poll.signalled)), poll.signalled);
        }
        let meter = AttachedMeter::decode(&registers);
        assert_eq!(meter.is_some(), block == Block::Meter);
        if let Some(meter) = meter {
            let possible = MilliAmps(0)..=MilliAmps::from_amps(200);
            let is_possible = |it: MilliAmps| possible.contains(&it);
            assert!(
                meter
                    .current
                    .is_none_or(|it| it.0.into_iter().all(is_possible))
            );
            assert!(
                meter
                    .power
                    .is_none_or(|it| (Watts(0)..=Watts(150_000)).contains(&it))
            );
            assert!(meter.energy.is_none_or(|it| (0..1 << 40).contains(&it.0)));
        }
    }
}

/// The blocks one behind the other, as a meter would answer.
fn meter(layout: &Layout, words: &[u16]) {
    let mut rest = words;
    let mut readings = Readings::new();
    for block in &layout.blocks {
        let Some((registers, more)) = rest.split_at_checked(count(&block.request())) else {
            break;
        };
        rest = more;
        for field in &block.fields {
            let end = usize::from(field.offset + field.count());
            assert!(end <= registers.len(), "{field:?}");
            readings.extend(field.decode(registers).map(|number| (field.value, number)));
        }
    }
    assert!(readings.values().all(|number| number.is_finite()));
    oddity(&readings);
    for invert in [false, true] {
        let Ok(sample) = sample(&readings, &layout.needed, invert) else {
            continue;
        };
        let most = MilliAmps::from_amps(1000);
        let possible = MilliAmps(-most.0)..=most;
        assert!(
            sample.current.0.iter().all(|it| possible.contains(it)),
            "{sample:?}"
        );
        for energy in [sample.import, sample.export].into_iter().flatten() {
            assert!(energy.0 >= 0, "{sample:?}");
        }
    }
}

/// Walks along the models that the words pretend; a ring of them must not keep it busy.
fn search(words: &[u16]) -> Option<Layout> {
    let mut search = Search::default();
    let (pairs, _) = words.as_chunks::<2>();
    let mut pairs = pairs.iter().cycle();
    for _ in 0..1000 {
        let pair = pairs.next()?;
        let answer = match pair {
            [0xEEEE, 0] => Err(Failure::Silent),
            [0xEEEE, code] => Err(Failure::Exception(code.to_be_bytes()[1])),
            pair => Ok(pair.to_vec()),
        };
        match search.handle(answer) {
            Step::Ask | Step::Failed(_) => {}
            Step::Found { layout, .. } => return Some(layout),
            Step::Nothing(why) => {
                assert!(!why.is_empty());
                return None;
            }
        }
    }
    assert!(words.contains(&0xEEEE), "the search has no end");
    None
}
