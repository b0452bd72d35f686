//! Whose turn it is on a line: writes first, then reads, then whoever was silent last.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::DeviceId;
use crate::modbus::Request;

/// A request on its way.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) device: DeviceId,
    pub(super) unit: u8,
    pub(super) request: Request,
}

/// Of so many requests one may be to a device that was silent, whatever else waits.
const PATIENCE: u32 = 20;

/// Requests that wait. Each silence costs a whole timeout, so several silent devices in a row would
/// make the others look away, too.
#[derive(Debug, Default)]
pub(super) struct Turns {
    writes: VecDeque<Query>,
    reads: VecDeque<Query>,
    /// To devices that did not answer last.
    lost: VecDeque<Query>,
    silent: BTreeSet<DeviceId>,
    since_lost: u32,
}

impl Turns {
    pub(super) fn push(&mut self, query: Query) {
        let queue = match query.request {
            _ if self.silent.contains(&query.device) => &mut self.lost,
            Request::Read { .. } => &mut self.reads,
            Request::Write { .. } => &mut self.writes,
        };
        queue.push_back(query);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.reads.is_empty() && self.lost.is_empty()
    }

    pub(super) fn pop(&mut self) -> Option<Query> {
        if self.since_lost >= PATIENCE
            && let Some(query) = self.lost.pop_front()
        {
            self.since_lost = 0;
            return Some(query);
        }
        let there = self.writes.pop_front().or_else(|| self.reads.pop_front());
        if there.is_some() {
            self.since_lost = self.since_lost.saturating_add(1);
            return there;
        }
        self.since_lost = 0;
        self.lost.pop_front()
    }

    /// The device answered, or did not.
    pub(super) fn heard(&mut self, device: DeviceId, silent: bool) {
        if silent {
            self.silent.insert(device);
        } else {
            self.silent.remove(&device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::modbus::Table;

    fn ask(turns: &mut Turns, device: usize, writes: bool) {
        let request = if writes {
            Request::Write {
                address: 8094,
                values: vec![0],
            }
        } else {
            Request::Read {
                table: Table::Holding,
                address: 8086,
                count: 28,
            }
        };
        turns.push(Query {
            device: DeviceId::ChargePoint(device),
            unit: 1,
            request,
        });
    }

    fn next(turns: &mut Turns) -> Option<usize> {
        match turns.pop()?.device {
            DeviceId::ChargePoint(device) | DeviceId::Meter(device) => Some(device),
        }
    }

    #[test]
    fn writes_come_first_and_reads_in_turn() {
        let mut turns = Turns::default();
        for (device, writes) in [(1, false), (2, false), (3, true)] {
            ask(&mut turns, device, writes);
        }
        let order: Vec<_> = std::iter::from_fn(|| next(&mut turns)).collect();
        assert_eq!(order, [3, 1, 2]);
        assert!(turns.is_empty());
    }

    #[test]
    fn whoever_was_silent_waits_until_nobody_else_does() {
        let mut turns = Turns::default();
        for device in 1..=4 {
            turns.heard(DeviceId::ChargePoint(device), true);
            ask(&mut turns, device, false);
        }
        ask(&mut turns, 5, false);
        assert_eq!(next(&mut turns), Some(5));
        assert_eq!(next(&mut turns), Some(1));
        ask(&mut turns, 5, false);
        assert_eq!(next(&mut turns), Some(5), "one timeout later, not four");
    }

    #[test]
    fn whoever_answers_again_is_one_of_all() {
        let mut turns = Turns::default();
        turns.heard(DeviceId::ChargePoint(1), true);
        turns.heard(DeviceId::ChargePoint(1), false);
        ask(&mut turns, 1, false);
        ask(&mut turns, 2, false);
        assert_eq!(next(&mut turns), Some(1));
    }

    #[test]
    fn on_a_busy_line_the_silent_have_their_turn_too() {
        let mut turns = Turns::default();
        turns.heard(DeviceId::ChargePoint(1), true);
        ask(&mut turns, 1, false);
        let waits = (0..100).find(|_| {
            ask(&mut turns, 2, false);
            ask(&mut turns, 3, false);
            next(&mut turns) == Some(1)
        });
        assert_eq!(waits, Some(20));
    }
}
