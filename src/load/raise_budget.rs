//! Spares the memory of wallboxes: many write every profile to flash, which bears some 100 000
//! writes. Lowering is never counted.

use std::time::Duration;

use crate::clock::Mono;

/// So many raises may follow one another at once.
const BURST: u32 = 3;

/// The raises that one wallbox connector may get.
#[derive(Debug)]
pub(super) struct RaiseBudget {
    left: u32,
    /// When the count was last topped up.
    since: Mono,
    interval: Duration,
}

impl RaiseBudget {
    pub(super) fn new(now: Mono, interval: Duration) -> Self {
        Self {
            left: BURST,
            since: now,
            interval,
        }
    }

    /// May it be raised now?
    pub(super) fn allows(&mut self, now: Mono) -> bool {
        self.top_up(now);
        self.left > 0
    }

    /// It was raised.
    pub(super) fn spend(&mut self, now: Mono) {
        self.top_up(now);
        self.left = self.left.saturating_sub(1);
    }

    /// When the next raise may be given.
    pub(super) fn next(&self) -> Mono {
        self.since + self.interval
    }

    fn top_up(&mut self, now: Mono) {
        if self.interval.is_zero() {
            self.left = BURST;
        }
        while self.left < BURST && now.since(self.since) >= self.interval {
            self.left += 1;
            self.since = self.since + self.interval;
        }
        if self.left >= BURST {
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_burst_of_three_there_is_one_raise_an_interval() {
        let at = |seconds| Mono(Duration::from_secs(seconds));
        let mut budget = RaiseBudget::new(at(0), Duration::from_secs(30));
        for _ in 0..3 {
            assert!(budget.allows(at(100)));
            budget.spend(at(100));
        }
        assert!(!budget.allows(at(129)));
        assert_eq!(budget.next(), at(130));
        assert!(budget.allows(at(130)));
        budget.spend(at(130));
        assert!(!budget.allows(at(159)) && budget.allows(at(160)));
    }
}
