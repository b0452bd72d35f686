//! The registers that hold when nobody asks the device any more: flash, written once at most.

use std::time::Duration;

use tracing::warn;

use crate::modbus::power_brain::{Defaults, LEAST_LIMIT, Write, milliamps, tenths};
use crate::units::MilliAmps;

use super::polling::ASKED_AS_EVER;

/// So long after the last request a device falls back.
const FALLS_BACK_AFTER_S: u16 = 180;

/// Its car follows within this.
const CAR_FOLLOWS: Duration = Duration::from_secs(10);

/// A write that was lost with its connection is repeated where it did not arrive, but not for ever.
const MOST_LOSSES: u32 = 2;

/// What was written since the start of the process. Flash wears: what a device answered is not
/// written again, whatever it answered.
#[derive(Debug, Default)]
pub(super) struct FailSafe {
    wrote_time: bool,
    wrote_current: bool,
    losses: u32,
    complained: bool,
}

impl FailSafe {
    /// What is to be written, because it differs and was not written yet.
    pub(super) fn next(&mut self, defaults: Defaults, failsafe: MilliAmps) -> Option<Write> {
        let current = register_of(failsafe);
        if defaults.fail_safe_current != current && !self.wrote_current {
            self.wrote_current = true;
            return Some(Write::FailSafeCurrent(current));
        }
        let time = u32::from(FALLS_BACK_AFTER_S);
        if defaults.fail_safe_after != time && !self.wrote_time {
            self.wrote_time = true;
            return Some(Write::FailSafeAfter(FALLS_BACK_AFTER_S));
        }
        None
    }

    /// Nobody knows whether a write reached the device.
    pub(super) fn lost(&mut self, write: Write) {
        if self.losses >= MOST_LOSSES {
            return;
        }
        match write {
            Write::FailSafeAfter(_) => self.wrote_time = false,
            Write::FailSafeCurrent(_) => self.wrote_current = false,
            Write::Limit(_) | Write::Enable(_) | Write::SinglePhase(_) | Write::CutPilot(_) => {
                return;
            }
        }
        self.losses += 1;
    }

    /// Looks at what a device kept of it.
    pub(super) fn judge(&mut self, defaults: Defaults, failsafe: MilliAmps, evse: &str) {
        let time = self.wrote_time && defaults.fail_safe_after != u32::from(FALLS_BACK_AFTER_S);
        let current = self.wrote_current && defaults.fail_safe_current != register_of(failsafe);
        if (time || current) && !std::mem::replace(&mut self.complained, true) {
            warn!(
                evse,
                seconds = defaults.fail_safe_after,
                tenths_of_an_ampere = defaults.fail_safe_current,
                "a wallbox does not keep its fail-safe registers; flash is written once only"
            );
        }
    }
}

/// So long after it was lost its car is at the failsafe current or below, without being told;
/// `None` if it may not be. It may hear for a while what it is asked, though we do not hear it.
pub(super) fn falls_back(defaults: Defaults, failsafe: MilliAmps) -> Option<Duration> {
    let harmless = defaults.fail_safe_current <= register_of(failsafe);
    (harmless && defaults.fail_safe_after > 0).then(|| {
        ASKED_AS_EVER + Duration::from_secs(u64::from(defaults.fail_safe_after)) + CAR_FOLLOWS
    })
}

/// What the device allows by itself when nobody has asked it anything for a while.
pub(super) fn falls_to(defaults: Defaults) -> MilliAmps {
    match defaults.fail_safe_after {
        0 => MilliAmps::ZERO,
        _ => milliamps(defaults.fail_safe_current),
    }
}

/// What the device falls back to by itself, as a command.
pub(super) fn as_told(failsafe: MilliAmps) -> Write {
    match register_of(failsafe) {
        0 => Write::Enable(false),
        limit => Write::Limit(limit),
    }
}

/// Below 6 A a device can only be off.
fn register_of(failsafe: MilliAmps) -> u16 {
    if failsafe < LEAST_LIMIT {
        0
    } else {
        tenths(failsafe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIX: MilliAmps = MilliAmps(6000);

    fn defaults(after: u32, current: u16) -> Defaults {
        Defaults {
            limit: 160,
            enabled: true,
            fail_safe_after: after,
            fail_safe_current: current,
        }
    }

    #[test]
    fn what_differs_is_written_once_whatever_the_device_makes_of_it() {
        let mut fail_safe = FailSafe::default();
        assert_eq!(
            fail_safe.next(defaults(300, 100), SIX),
            Some(Write::FailSafeCurrent(60))
        );
        assert_eq!(
            fail_safe.next(defaults(300, 100), SIX),
            Some(Write::FailSafeAfter(180))
        );
        assert_eq!(fail_safe.next(defaults(300, 100), SIX), None);
    }

    #[test]
    fn a_write_that_was_lost_with_its_connection_is_repeated_twice_at_most() {
        let mut fail_safe = FailSafe::default();
        let mut writes = 0;
        while let Some(write) = fail_safe.next(defaults(180, 100), SIX) {
            fail_safe.lost(write);
            writes += 1;
        }
        assert_eq!(writes, 3);
    }

    #[test]
    fn what_does_not_differ_is_not_written() {
        assert_eq!(FailSafe::default().next(defaults(180, 60), SIX), None);
        let off = MilliAmps(5900);
        assert_eq!(FailSafe::default().next(defaults(180, 0), off), None);
    }

    #[test]
    fn only_a_device_that_falls_to_the_failsafe_current_counts_as_falling_back() {
        let after = |seconds: u64| Some(Duration::from_secs(seconds + 70));
        assert_eq!(falls_back(defaults(180, 60), SIX), after(180));
        assert_eq!(falls_back(defaults(300, 0), SIX), after(300));
        assert_eq!(falls_back(defaults(180, 61), SIX), None);
        assert_eq!(falls_back(defaults(0, 60), SIX), None);
        assert_eq!(falls_back(defaults(180, 60), MilliAmps(0)), None);
    }
}
