//! When a backend that could not be reached is tried again.

use std::ops::Range;
use std::time::Duration;

use crate::clock::{Mono, Random};

/// The first wait is a random one: a thousand charge points that lost one backend shall not come
/// back in the same second.
const FIRST: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(5);

/// The second wait; each further one doubles.
const SECOND: Duration = Duration::from_secs(10);

const LONGEST: Duration = Duration::from_mins(5);

/// A backend that knows us not, or by another password, will not know us in ten seconds.
const UNWELCOME: Duration = Duration::from_mins(1);

/// A connection that stood for so long was a good one.
const STABLE: Duration = Duration::from_mins(1);

/// Waits between attempts to connect.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait after a failure. `unwelcome`: the backend answered, and refused us.
    pub(super) fn next(&mut self, random: &mut Random, unwelcome: bool) -> Duration {
        let wait = match self.failures {
            0 => FIRST.start + roll(random, FIRST.end.saturating_sub(FIRST.start)),
            n => {
                let doubled = SECOND.saturating_mul(1 << (n - 1).min(10)).min(LONGEST);
                // ± 20 %
                doubled * 4 / 5 + roll(random, doubled * 2 / 5)
            }
        };
        self.failures = self.failures.saturating_add(1);
        if unwelcome { wait.max(UNWELCOME) } else { wait }
    }

    /// A connection ended that began at `since`.
    pub(super) fn ended(&mut self, now: Mono, since: Mono) {
        if now.since(since) >= STABLE {
            self.failures = 0;
        }
    }
}

fn roll(random: &mut Random, below: Duration) -> Duration {
    let millis = u64::try_from(below.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.below(millis))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(unwelcome: bool) -> Vec<u64> {
        let (mut random, mut backoff) = (Random::new(1), Backoff::default());
        let mut next = || backoff.next(&mut random, unwelcome).as_secs();
        (0..9).map(|_| next()).collect()
    }

    #[test]
    fn waits_double_up_to_five_minutes_with_a_fifth_of_jitter() {
        let expected = [3, 10, 20, 40, 80, 160, 300, 300, 300];
        for (wait, middle) in waits(false).into_iter().zip(expected) {
            let jitter = if middle == 3 { 2 } else { middle / 5 };
            assert!(wait.abs_diff(middle) <= jitter, "{wait} s for {middle} s");
        }
    }

    #[test]
    fn a_backend_that_refuses_us_is_left_alone_for_a_minute_at_least() {
        assert!(waits(true).into_iter().all(|wait| wait >= 60));
    }

    #[test]
    fn only_a_connection_that_stood_for_a_minute_shortens_the_waits() {
        let (mut random, mut backoff) = (Random::new(1), Backoff::default());
        for _ in 0..5 {
            backoff.next(&mut random, false);
        }
        let at = |seconds| Mono(Duration::from_secs(seconds));
        backoff.ended(at(159), at(100));
        assert!(backoff.next(&mut random, false).as_secs() > 100);
        backoff.ended(at(160), at(100));
        assert!(backoff.next(&mut random, false).as_secs() < 5);
    }
}
