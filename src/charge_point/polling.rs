//! Which registers are read when, and whether the device is there.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Mono, Random};
use crate::modbus::power_brain::Block;

/// What changes is read this often.
const POLLS_EVERY: Duration = Duration::from_secs(1);

/// A device that gave no good answer for this long counts as away …
const AWAY_AFTER: Duration = Duration::from_secs(3);

/// … or after so many failures in a row.
const MOST_FAILURES: u32 = 2;

/// After the first failure it is tried again at once, nearly …
const FIRST_RETRY: Duration = Duration::from_millis(200);

/// … and then less and less often, down to this.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// So long after it left a device is asked as ever; then it must be able to fall back.
pub(super) const ASKED_AS_EVER: Duration = Duration::from_mins(1);

/// What is asked of the device when nothing is to be written.
#[derive(Debug)]
pub(super) struct Polling {
    /// When the next turn may begin.
    next: Mono,
    /// What is left of this turn.
    left: VecDeque<Block>,
    identified: bool,
    /// It refuses to read over a gap.
    split: bool,
    online: bool,
    failures: u32,
    answered: Mono,
    arrived: Mono,
    /// When it left, until it is back.
    gone: Option<Mono>,
}

impl Polling {
    pub(super) fn new(now: Mono) -> Self {
        Self {
            next: now,
            left: VecDeque::new(),
            identified: false,
            split: false,
            online: false,
            failures: 0,
            answered: now,
            arrived: now,
            gone: None,
        }
    }

    /// What is to be read now.
    pub(super) fn next(&mut self, now: Mono) -> Option<Block> {
        if self.left.is_empty() && self.next <= now {
            self.next = now + POLLS_EVERY;
            if !self.identified {
                self.left = [Block::Identity, Block::Restarts, Block::Defaults].into();
            }
            if self.split {
                self.left.extend([Block::Outputs, Block::State]);
            } else {
                self.left.push_back(Block::Poll);
            }
        }
        self.left.pop_front()
    }

    /// Reads this too, in this turn.
    pub(super) fn also(&mut self, block: Block) {
        self.left.push_back(block);
    }

    /// Reads in two parts from now on; false if it does so already.
    pub(super) fn split(&mut self) -> bool {
        let first = !std::mem::replace(&mut self.split, true);
        if first {
            self.left.push_front(Block::State);
            self.left.push_front(Block::Outputs);
        }
        first
    }

    /// The device is the one that it should be, until its connection is lost.
    pub(super) fn identify(&mut self) {
        self.identified = true;
    }

    /// A turn may begin now.
    pub(super) fn begins_turn(&self, now: Mono) -> bool {
        self.left.is_empty() && self.next <= now
    }

    /// It was there and has been away for a while.
    pub(super) fn is_long_gone(&self, now: Mono) -> bool {
        self.gone.is_some_and(|at| now.since(at) >= ASKED_AS_EVER)
    }

    /// It answered.
    pub(super) fn answered(&mut self, now: Mono) {
        self.answered = now;
    }

    /// What changes was read: it is there. True if it was not before.
    pub(super) fn arrive(&mut self, now: Mono) -> bool {
        self.failures = 0;
        self.gone = None;
        let arrives = !std::mem::replace(&mut self.online, true);
        if arrives {
            self.arrived = now;
        }
        arrives
    }

    /// It did not answer, or is another device: all is to be read anew, later and later.
    pub(super) fn fail(&mut self, now: Mono, random: &mut Random) {
        self.identified = false;
        self.left.clear();
        let doublings = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let span = FIRST_RETRY.saturating_mul(doublings).min(LAST_RETRY);
        // Up to a quarter less, so that devices behind one broken switch do not all come at once.
        let quarter = u64::try_from(span.as_millis() / 4).unwrap_or(u64::MAX);
        let jitter = Duration::from_millis(random.below(quarter));
        self.next = now + span.saturating_sub(jitter);
    }

    /// Whether it is away by now; says so once.
    pub(super) fn leave(&mut self, now: Mono) -> bool {
        let silent = now.since(self.answered) >= AWAY_AFTER;
        let leaves = self.online && (silent || self.failures >= MOST_FAILURES);
        if leaves {
            self.online = false;
            self.gone = Some(now);
            self.identified = false;
            self.left.clear();
        }
        leaves
    }

    pub(super) fn is_online(&self) -> bool {
        self.online
    }

    /// Since when it has been there, or was there last.
    pub(super) fn arrived(&self) -> Mono {
        self.arrived
    }

    /// When it counts as away if nothing comes.
    pub(super) fn away_at(&self) -> Option<Mono> {
        self.online.then_some(self.answered + AWAY_AFTER)
    }

    /// When the next turn may begin.
    pub(super) fn next_turn(&self) -> Mono {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Mono {
        Mono(Duration::from_millis(millis))
    }

    fn identified() -> Polling {
        let mut polling = Polling::new(at(0));
        while polling.next(at(0)).is_some() {}
        polling.identify();
        polling.arrive(at(0));
        polling
    }

    #[test]
    fn who_it_is_is_read_once_and_what_changes_each_second() {
        let mut polling = Polling::new(at(0));
        let turn: Vec<_> = std::iter::from_fn(|| polling.next(at(0))).collect();
        let all = [
            Block::Identity,
            Block::Restarts,
            Block::Defaults,
            Block::Poll,
        ];
        assert_eq!(turn, all);
        polling.identify();
        assert_eq!(polling.next(at(999)), None);
        assert_eq!(polling.next(at(1500)), Some(Block::Poll));
        assert_eq!(polling.next(at(2499)), None);
        assert_eq!(polling.next(at(2500)), Some(Block::Poll));
    }

    #[test]
    fn a_device_that_reads_over_no_gap_is_read_in_two_parts_from_then_on() {
        let mut polling = identified();
        assert_eq!(polling.next(at(1000)), Some(Block::Poll));
        assert!(polling.split());
        let turn: Vec<_> = std::iter::from_fn(|| polling.next(at(1000))).collect();
        assert_eq!(turn, [Block::Outputs, Block::State]);
        let turn: Vec<_> = std::iter::from_fn(|| polling.next(at(2000))).collect();
        assert_eq!(turn, [Block::Outputs, Block::State]);
        assert!(!polling.split());
    }

    #[test]
    fn after_a_failure_it_is_tried_at_once_and_then_down_to_every_10_s() {
        let mut polling = identified();
        let mut random = Random::new(1);
        let mut now = at(0);
        let mut waits = Vec::new();
        for _ in 0..12 {
            polling.fail(now, &mut random);
            waits.push(polling.next_turn().since(now).as_millis());
            now = polling.next_turn();
        }
        assert!((150..=200).contains(&waits[0]), "{waits:?}");
        assert!(
            waits.windows(2).take(5).all(|w| w[0] < w[1]),
            "it backs off: {waits:?}"
        );
        assert!((7500..=10_000).contains(&waits[11]), "{waits:?}");
        assert_eq!(polling.next(now), Some(Block::Identity));
    }

    #[test]
    fn two_failures_or_3_s_of_silence_mean_away_and_one_failure_does_not() {
        let mut random = Random::new(1);
        let mut polling = identified();
        polling.fail(at(100), &mut random);
        assert!(!polling.leave(at(100)));
        polling.fail(at(300), &mut random);
        assert!(polling.leave(at(300)));
        assert!(!polling.leave(at(300)), "said once");
        let mut polling = identified();
        assert_eq!(polling.away_at(), Some(at(3000)));
        assert!(!polling.leave(at(2999)));
        assert!(polling.leave(at(3000)));
    }
}
