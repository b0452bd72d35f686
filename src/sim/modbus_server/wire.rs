//! The bytes of Modbus as a slave sees them, written down independently of the library that the
//! daemon asks with.

use crate::modbus::{Answer, Failure, Request, Table};

const READ_HOLDING: u8 = 3;
const READ_INPUT: u8 = 4;
const WRITE_ONE: u8 = 6;
const WRITE_MANY: u8 = 16;

/// Exception codes.
const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_VALUE: u8 = 3;

/// What a master asks: a function code and its request, or the exception that it deserves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    function: u8,
    pub(super) request: Result<Request, u8>,
}

impl Asked {
    /// Reads a request without unit and check sum; `None` if there is nothing.
    pub(super) fn decode(pdu: &[u8]) -> Option<Self> {
        let (function, body) = pdu.split_first()?;
        Some(Self {
            function: *function,
            request: decode(*function, &words(body), body),
        })
    }

    /// Writes the answer; `None` if there is none.
    pub(super) fn encode(&self, answer: &Answer) -> Option<Vec<u8>> {
        let mut pdu = vec![self.function];
        match (answer, &self.request) {
            (Err(Failure::Silent | Failure::NoConnection(_)), _) => return None,
            (Err(Failure::Exception(code)), _) | (Ok(_), Err(code)) => {
                return Some(vec![self.function | 0x80, *code]);
            }
            (Ok(registers), Ok(Request::Read { .. })) => {
                pdu.push(u8::try_from(2 * registers.len()).ok()?);
                push(&mut pdu, registers);
            }
            (Ok(_), Ok(Request::Write { address, values })) => {
                let count = u16::try_from(values.len()).ok()?;
                let echoed = match values.first() {
                    Some(value) if self.function == WRITE_ONE => *value,
                    _ => count,
                };
                push(&mut pdu, &[*address, echoed]);
            }
        }
        Some(pdu)
    }
}

fn decode(function: u8, words: &[u16], body: &[u8]) -> Result<Request, u8> {
    match (function, words) {
        (READ_HOLDING, [address, count]) => Ok(Request::Read {
            table: Table::Holding,
            address: *address,
            count: *count,
        }),
        (READ_INPUT, [address, count]) => Ok(Request::Read {
            table: Table::Input,
            address: *address,
            count: *count,
        }),
        (WRITE_ONE, [address, value]) => Ok(Request::Write {
            address: *address,
            values: vec![*value],
        }),
        (WRITE_MANY, [address, count, ..]) => {
            let values = body.get(5..).map(self::words).unwrap_or_default();
            let bytes = body.get(4).copied().map(usize::from);
            let fits = usize::from(*count) == values.len()
                && (1..=123).contains(count)
                && bytes == Some(2 * values.len());
            fits.then_some(Request::Write {
                address: *address,
                values,
            })
            .ok_or(ILLEGAL_VALUE)
        }
        (READ_HOLDING | READ_INPUT | WRITE_ONE | WRITE_MANY, _) => Err(ILLEGAL_VALUE),
        _ => Err(ILLEGAL_FUNCTION),
    }
}

/// Takes the first whole frame of a serial line, and throws away what can be none.
pub(super) fn take_frame(buffer: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    loop {
        let length = match buffer.as_slice() {
            [_, 1..=WRITE_ONE, ..] => 8,
            [_, 15 | WRITE_MANY, _, _, _, _, bytes, ..] => 9 + usize::from(*bytes),
            [] | [_] | [_, 15 | WRITE_MANY, ..] => return None,
            [_, _, ..] => 0,
        };
        if length > buffer.len() {
            return None;
        }
        if let Some((frame, sum)) = buffer.get(..length).and_then(<[u8]>::split_last_chunk)
            && *sum == check_sum(frame)
            && let Some((unit, pdu)) = frame.split_first()
        {
            let taken = (*unit, pdu.to_vec());
            buffer.drain(..length);
            return Some(taken);
        }
        buffer.remove(0);
    }
}

/// A frame of a serial line.
pub(super) fn frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = vec![unit];
    frame.extend_from_slice(pdu);
    frame.extend(check_sum(&frame));
    frame
}

/// CRC-16/MODBUS, low byte first.
fn check_sum(bytes: &[u8]) -> [u8; 2] {
    let mut sum = 0xFFFF_u16;
    for byte in bytes {
        sum ^= u16::from(*byte);
        for _ in 0..8 {
            let carry = sum & 1 == 1;
            sum >>= 1;
            if carry {
                sum ^= 0xA001;
            }
        }
    }
    sum.to_le_bytes()
}

/// Whole registers; a byte that is left over makes none.
fn words(bytes: &[u8]) -> Vec<u16> {
    let pairs = bytes.chunks_exact(2);
    pairs
        .map(|pair| {
            pair.iter()
                .fold(0, |word, byte| (word << 8) | u16::from(*byte))
        })
        .collect()
}

fn push(pdu: &mut Vec<u8>, words: &[u16]) {
    pdu.extend(words.iter().flat_map(|word| word.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(pdu: &[u8]) -> Asked {
        Asked::decode(pdu).unwrap()
    }

    #[test]
    fn a_read_in_the_wild_is_understood_and_answered() {
        let asked = ask(&[3, 0x1F, 0x9E, 0, 1]);
        let expected = Request::Read {
            table: Table::Holding,
            address: 8094,
            count: 1,
        };
        assert_eq!(asked.request, Ok(expected));
        assert_eq!(asked.encode(&Ok(vec![1])), Some(vec![3, 2, 0, 1]));
    }

    #[test]
    fn both_functions_that_write_are_answered_as_they_want() {
        let one = ask(&[6, 0x1F, 0x9D, 0, 60]);
        assert_eq!(one.encode(&Ok(vec![])), Some(vec![6, 0x1F, 0x9D, 0, 60]));
        let many = ask(&[16, 0x1F, 0x9D, 0, 2, 4, 0, 60, 0, 1]);
        let expected = Request::Write {
            address: 8093,
            values: vec![60, 1],
        };
        assert_eq!(many.request, Ok(expected));
        assert_eq!(many.encode(&Ok(vec![])), Some(vec![16, 0x1F, 0x9D, 0, 2]));
    }

    #[test]
    fn what_makes_no_sense_deserves_an_exception() {
        assert_eq!(ask(&[5, 0, 1, 0xFF, 0]).request, Err(ILLEGAL_FUNCTION));
        assert_eq!(ask(&[3, 0, 1]).request, Err(ILLEGAL_VALUE));
        let lying = ask(&[16, 0, 1, 0, 2, 2, 0, 60]);
        assert_eq!(lying.request, Err(ILLEGAL_VALUE));
        let refused = Err(Failure::Exception(ILLEGAL_VALUE));
        assert_eq!(lying.encode(&refused), Some(vec![0x90, 3]));
        assert_eq!(Asked::decode(&[]), None);
    }

    #[test]
    fn silence_is_no_frame() {
        assert_eq!(ask(&[3, 0, 1, 0, 1]).encode(&Err(Failure::Silent)), None);
    }

    #[test]
    fn a_serial_frame_is_found_in_garbage_and_waits_until_it_is_whole() {
        assert_eq!(frame(1, &[3, 0, 0, 0, 10])[6..], [0xC5, 0xCD]);
        let request = frame(1, &[3, 0x1F, 0x9E, 0, 1]);
        assert_eq!(request, [1, 3, 0x1F, 0x9E, 0, 1, 0xE2, 0x30]);
        let mut buffer = vec![0xFF, 0x00, 3];
        buffer.extend(&request[..5]);
        assert_eq!(take_frame(&mut buffer), None);
        buffer.extend(&request[5..]);
        buffer.extend([1, 16, 0]);
        let expected = (1, vec![3, 0x1F, 0x9E, 0, 1]);
        assert_eq!(take_frame(&mut buffer), Some(expected));
        assert_eq!(take_frame(&mut buffer), None);
        assert_eq!(buffer, [1, 16, 0]);
    }
}
