//! Which meter values tell of now, and which were kept back while the wallbox was away?
//!
//! The clocks of wallboxes are wrong by hours or years, but they run: what was sampled now arrives
//! with the same lag again and again, and what was kept back with a larger one.

use std::time::Duration;

use jiff::SignedDuration;

use crate::clock::{Mono, Now, Timestamp};

/// A sample that lags so much more than others is an old one, and so are those behind it that lag
/// by more than [`SAME`]: they come in a row.
const KEPT_BACK: SignedDuration = SignedDuration::from_mins(1);

/// Samples with the same lag (within this) …
const SAME: SignedDuration = SignedDuration::from_secs(5);

/// … over this time are no row of old ones, which would catch up: the wallbox's clock was set back.
const STEADY: Duration = Duration::from_secs(30);

/// How far a wallbox's clock is behind ours.
#[derive(Debug, Default)]
pub(super) struct SampleClock {
    /// The smallest lag since the wallbox booted.
    lag: Option<SignedDuration>,
    /// A lag that looks old, and since when it is the same.
    steady: Option<(SignedDuration, Mono)>,
}

impl SampleClock {
    /// By how much it is behind, as far as it was seen since the wallbox booted; less than nothing
    /// where it is ahead.
    pub(super) fn lag(&self) -> Option<SignedDuration> {
        self.lag
    }

    /// Was this sampled long before it arrived?
    pub(super) fn is_of_the_past(&mut self, now: Now, sampled: Timestamp) -> bool {
        let lag = now.wall.duration_since(sampled);
        let least = *self.lag.get_or_insert(lag);
        // What follows an old one is old until the wallbox has caught up.
        let more = self.steady.map_or(KEPT_BACK, |_| SAME);
        if lag <= least.saturating_add(more) {
            self.lag = Some(least.min(lag));
            self.steady = None;
            return false;
        }
        let (before, since) = *self.steady.get_or_insert((lag, now.mono));
        if lag.saturating_sub(before).abs() > SAME {
            self.steady = Some((lag, now.mono));
        } else if now.mono.since(since) >= STEADY {
            self.lag = Some(lag);
            self.steady = None;
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Received `received` seconds after noon by our clock, sampled at `sampled` by the wallbox's.
    fn is_old(clock: &mut SampleClock, received: u64, sampled: i64) -> bool {
        let noon: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let now = Now {
            mono: Mono(Duration::from_secs(received)),
            wall: noon + Duration::from_secs(received),
        };
        clock.is_of_the_past(now, noon + SignedDuration::from_secs(sampled))
    }

    #[test]
    fn samples_that_were_kept_while_the_wallbox_was_away_are_old_and_the_next_live_one_is_not() {
        let mut clock = SampleClock::default();
        assert!(!is_old(&mut clock, 0, 0));
        for kept in 0..60 {
            let sampled = 10 * i64::try_from(kept).unwrap();
            assert!(is_old(&mut clock, 600 + kept / 10, sampled), "{kept}");
        }
        assert!(!is_old(&mut clock, 610, 610));
    }

    #[test]
    fn a_clock_that_is_wrong_by_years_makes_nothing_old() {
        let mut clock = SampleClock::default();
        for second in 0..100 {
            assert!(!is_old(
                &mut clock,
                second,
                i64::try_from(second).unwrap() - 1_700_000_000
            ));
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_believed_again_after_half_a_minute() {
        let mut clock = SampleClock::default();
        assert!(!is_old(&mut clock, 0, 0));
        assert!(is_old(&mut clock, 10, -3600 + 10));
        assert!(is_old(&mut clock, 20, -3600 + 20));
        assert!(!is_old(&mut clock, 40, -3600 + 40));
        assert!(!is_old(&mut clock, 50, -3600 + 50));
    }

    #[test]
    fn a_clock_that_was_set_forward_is_believed_at_once() {
        let mut clock = SampleClock::default();
        assert!(!is_old(&mut clock, 0, -3600));
        assert!(!is_old(&mut clock, 10, 10));
    }
}
