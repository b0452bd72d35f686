//! Whether the meter of a wallbox is read. Without it a car charges all the same, but somebody
//! should know: nobody sees what flows.

use std::time::Duration;

use tracing::{info, warn};

use crate::clock::Mono;

use super::charge_point::ChargePoint;
use super::plan::Metering;

/// A meter of its own is read each second: after so long without it says nothing.
const OWN_WITHIN: Duration = Duration::from_secs(10);

/// Some meters speak every ten seconds.
const OTHER_WITHIN: Duration = Duration::from_mins(1);

/// A meter that is refused is asked for again after this, then less and less often ...
const FIRST_RETRY: Duration = Duration::from_secs(5);

/// ... down to this.
const LAST_RETRY: Duration = Duration::from_mins(1);

/// What is known of a meter.
#[derive(Debug, Default)]
pub(super) struct MeterWatch {
    /// The device says that it has one.
    is_there: bool,
    refusal: Option<Refusal>,
    fails: bool,
}

/// The device refuses to read its meter.
#[derive(Debug, Clone, Copy)]
struct Refusal {
    wait: Duration,
    again: Mono,
}

impl MeterWatch {
    /// Whether the meter of the device is to be read now. One that has just been attached is.
    pub(super) fn is_due(&mut self, now: Mono, is_there: bool) -> bool {
        let appears = !std::mem::replace(&mut self.is_there, is_there);
        let waits = self.refusal.is_some_and(|refusal| now < refusal.again);
        is_there && (appears || !waits)
    }

    /// The device may have changed: asks at once for what it refused.
    pub(super) fn ask_at_once(&mut self) {
        self.is_there = false;
    }

    /// The device refuses to read its meter. True for the first time.
    pub(super) fn refuse(&mut self, now: Mono) -> bool {
        let again = |it: Refusal| it.wait.saturating_mul(2).min(LAST_RETRY);
        let wait = self.refusal.map_or(FIRST_RETRY, again);
        let again = now + wait;
        self.refusal.replace(Refusal { wait, again }).is_none()
    }

    /// The device reads its meter.
    pub(super) fn take(&mut self) {
        self.refusal = None;
    }

    /// There is one and it is not read.
    pub(super) fn fails(&self) -> bool {
        self.fails
    }
}

impl ChargePoint {
    /// Looks, while the device is there, whether its meter is read.
    pub(super) fn watch_meter(&mut self, now: Mono) {
        let Some(poll) = &self.image else { return };
        let was_read = self.measured_at.is_some();
        let (expected, within) = match self.plan.meter {
            Metering::Own => (was_read || poll.has_meter, OWN_WITHIN),
            Metering::Other => (was_read, OTHER_WITHIN),
            Metering::None => (false, OWN_WITHIN),
        };
        let since = self.measured_at.unwrap_or_default();
        let silent = now.since(since.max(self.polling.arrived())) >= within;
        let refused = self.meter.refusal.is_some() && poll.has_meter;
        let fails = expected && (refused || silent);
        let failed = std::mem::replace(&mut self.meter.fails, fails);
        if fails {
            self.forget_draw();
        }
        if fails && !failed {
            warn!(evse = %self.plan.evse, "the meter of a wallbox is not read: what flows meanwhile is billed by what it says afterwards, or not at all");
        } else if failed && !fails {
            info!(evse = %self.plan.evse, "the meter of a wallbox is read again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_refused_meter_is_asked_for_again_less_and_less_often_down_to_every_minute() {
        let mut watch = MeterWatch::default();
        let mut asked = Vec::new();
        for second in 0..240 {
            if watch.is_due(at(second), true) {
                asked.push(second);
                assert_eq!(watch.refuse(at(second)), asked.len() == 1);
            }
        }
        assert_eq!(asked, [0, 5, 15, 35, 75, 135, 195]);
        watch.ask_at_once();
        assert!(watch.is_due(at(240), true));
        watch.take();
        assert!(watch.is_due(at(241), true) && watch.is_due(at(242), true));
    }

    #[test]
    fn a_meter_that_was_attached_is_asked_for_at_once() {
        let mut watch = MeterWatch::default();
        assert!(!watch.is_due(at(0), false));
        assert!(watch.is_due(at(1), true));
        watch.refuse(at(1));
        assert!(!watch.is_due(at(2), true));
        assert!(!watch.is_due(at(3), false));
        assert!(watch.is_due(at(4), true));
    }
}
