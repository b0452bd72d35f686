//! Spares wallboxes and cars below a meter, where every move of the house could be worth a write.
//!
//! Lowering is never held back, and neither is a start; both are counted. So whoever was moved often
//! is raised later, or in one go instead of many.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::MilliAmps;

/// So many writes may follow one another, ...
const BURST: u32 = 15;

/// ... and then one in this time: 60 in an hour at most, unless lowerings alone are more.
const EACH: Duration = Duration::from_secs(81);

/// Lowerings beyond that delay a raise by no more than this.
const OVERDRAFT: Duration = Duration::from_mins(5);

/// With so many used ...
const MANY: u32 = 10;

/// ... a raise by less than this waits.
const WORTH: MilliAmps = MilliAmps(2000);

/// The writes that one EVSE got lately.
#[derive(Debug, Default)]
pub(super) struct Wear {
    /// Each write pays for [`EACH`].
    paid_until: Mono,
}

impl Wear {
    /// It was told something.
    pub(super) fn write(&mut self, now: Mono) {
        let until = self.paid_until.max(now) + EACH;
        self.paid_until = until.min(now + BURST * EACH + OVERDRAFT);
    }

    /// It may be raised by so much.
    pub(super) fn allows(&self, now: Mono, raise: MilliAmps) -> bool {
        let free = if raise < WORTH { MANY } else { BURST - 1 };
        self.paid_until.since(now) <= free * EACH
    }

    /// It may be raised by nothing at all.
    pub(super) fn is_worn(&self, now: Mono) -> bool {
        !self.allows(now, WORTH)
    }

    /// When a larger or any raise may be given, where none may now.
    pub(super) fn next(&self, now: Mono) -> Mono {
        let used = self.paid_until.since(now);
        let large = (BURST - 1) * EACH;
        let free = if used > large { large } else { MANY * EACH };
        now + used.saturating_sub(free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    const LARGE: MilliAmps = WORTH;
    const SMALL: MilliAmps = MilliAmps(1999);

    /// When it is told something in two hours if it is lowered a second after every raise.
    fn writes(raise: MilliAmps) -> Vec<u64> {
        let mut wear = Wear::default();
        let mut writes = Vec::new();
        for second in (0..10_000).step_by(2) {
            if wear.allows(at(second), raise) {
                for second in [second, second + 1] {
                    wear.write(at(second));
                    writes.push(second);
                }
            }
        }
        writes
    }

    #[test]
    fn no_hour_has_more_than_sixty_writes_and_a_lowering() {
        let writes = writes(LARGE);
        assert!(writes.windows(62).all(|all| all[61] - all[0] >= 3600));
        assert!(writes.iter().filter(|at| **at < 3600).count() >= 59);
    }

    #[test]
    fn fifteen_and_a_lowering_follow_one_another_and_then_there_is_one_every_81_s() {
        let writes = writes(LARGE);
        assert_eq!(
            writes[..16],
            std::array::from_fn::<u64, 16, _>(|n| n as u64)
        );
        assert!(writes[16] > 140, "fourteen of them are paid for");
        assert_eq!(writes[18] - writes[16], 162, "a raise and a lowering");
    }

    #[test]
    fn with_ten_of_them_used_less_than_two_amperes_wait() {
        let mut wear = Wear::default();
        for _ in 0..=MANY {
            assert!(wear.allows(at(0), SMALL));
            wear.write(at(0));
        }
        assert!(!wear.allows(at(0), SMALL) && wear.allows(at(0), LARGE));
        assert!(!wear.is_worn(at(0)));
        assert_eq!(wear.next(at(0)), at(81));
        assert!(!wear.allows(at(80), SMALL) && wear.allows(at(81), SMALL));
    }

    #[test]
    fn lowerings_are_counted_and_hold_a_raise_back_for_minutes_only() {
        let mut wear = Wear::default();
        for _ in 0..100 {
            wear.write(at(0));
        }
        assert_eq!(wear.next(at(0)), at(381));
        assert!(wear.is_worn(at(380)) && !wear.is_worn(at(381)));
    }
}
