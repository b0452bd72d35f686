//! The energy register that transactions are billed by: it never goes back while one runs.

use std::time::Duration;

use tracing::warn;

use crate::clock::Mono;
use crate::units::WattHours;

/// A value that cannot be right is read again for this long before it is believed.
const DOUBTED_FOR: Duration = Duration::from_secs(10);

/// No car takes more while we are not running.
const MOST_UNWATCHED: WattHours = WattHours(100_000);

/// A register rises by no more than this from one reading to the next, some count in kWh ...
const LARGEST_STEP: WattHours = WattHours(5000);

/// ... and by so much for every second between them: no wallbox gives 72 kW.
const MOST_PER_SECOND: i64 = 20;

/// What the register says, as far as that can be true.
#[derive(Debug, Default)]
pub(super) struct EnergyRegister {
    last: Option<WattHours>,
    read: Option<Mono>,
    /// When `last` was read; `None` = before our start.
    believed: Option<Mono>,
    doubted_since: Option<Mono>,
    held: bool,
}

impl EnergyRegister {
    /// Goes on with what was known before the restart.
    pub(super) fn new(last: Option<WattHours>) -> Self {
        Self {
            last,
            ..Self::default()
        }
    }

    /// The last value that is believed.
    pub(super) fn last(&self) -> Option<WattHours> {
        self.last
    }

    /// Takes a reading; `None` = the meter has no register. While a transaction runs nothing falls.
    ///
    /// Quirk: cFos Power Brain: the register reads 0 for some time after a start of the device.
    pub(super) fn read(&mut self, now: Mono, value: Option<WattHours>, in_transaction: bool) {
        self.read = Some(now);
        let Some(value) = value else { return };
        let right = self.last.map_or(value > WattHours::ZERO, |last| {
            value >= last && value - last <= self.largest_rise(now)
        });
        if right {
            self.believe(now, value);
            return;
        }
        let since = *self.doubted_since.get_or_insert(now);
        if now.since(since) < DOUBTED_FOR {
            return;
        }
        let last = self.last.map(|last| last.0);
        if in_transaction && self.last.is_some_and(|last| value < last) {
            if !std::mem::replace(&mut self.held, true) {
                warn!(register_wh = value.0, last_wh = ?last, "an energy register fell in a transaction: the last good value counts");
            }
            return;
        }
        warn!(register_wh = value.0, last_wh = ?last, "an energy register jumped and stays there: it is believed");
        self.believe(now, value);
    }

    fn believe(&mut self, now: Mono, value: WattHours) {
        *self = Self {
            last: Some(value),
            read: Some(now),
            believed: Some(now),
            ..Self::default()
        };
    }

    fn largest_rise(&self, now: Mono) -> WattHours {
        self.believed.map_or(MOST_UNWATCHED, |at| {
            let seconds = i64::try_from(now.since(at).as_secs()).unwrap_or(i64::MAX);
            WattHours(seconds.saturating_mul(MOST_PER_SECOND)) + LARGEST_STEP
        })
    }

    /// What is read has been less than the last good value for so long that it will stay so.
    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    /// The value that is believed can follow `before`, which was read before our start.
    pub(super) fn goes_on_from(&self, before: Option<WattHours>) -> bool {
        let risen = self.last.zip(before).map(|(last, before)| last - before);
        !self.held && risen.is_none_or(|risen| risen <= MOST_UNWATCHED)
    }

    /// Was read at `since` or later, and is not in doubt.
    pub(super) fn is_settled(&self, since: Mono) -> bool {
        self.doubted_since.is_none() && self.read.is_some_and(|read| read >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn read(register: &mut EnergyRegister, seconds: u64, value: i64, in_transaction: bool) {
        register.read(at(seconds), Some(WattHours(value)), in_transaction);
    }

    #[test]
    fn quirk_cfos_power_brain_reads_0_after_a_start_for_some_time() {
        let mut register = EnergyRegister::default();
        read(&mut register, 0, 0, false);
        assert!(!register.is_settled(at(0)));
        read(&mut register, 5, 123_456, false);
        assert_eq!(register.last(), Some(WattHours(123_456)));
        assert!(register.is_settled(at(5)) && !register.is_settled(at(6)));
    }

    #[test]
    fn a_zero_that_lasts_10_s_is_believed() {
        let mut register = EnergyRegister::default();
        read(&mut register, 0, 0, false);
        read(&mut register, 9, 0, false);
        assert_eq!(register.last(), None);
        read(&mut register, 10, 0, false);
        assert_eq!(register.last(), Some(WattHours(0)));
        assert!(register.is_settled(at(10)));
    }

    #[test]
    fn in_a_transaction_the_register_never_falls_and_outside_it_does_after_10_s() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)));
        for second in 0..60 {
            read(&mut register, second, 100, true);
        }
        assert_eq!(register.last(), Some(WattHours(5000)));
        read(&mut register, 60, 100, false);
        assert_eq!(register.last(), Some(WattHours(100)));
    }

    #[test]
    fn a_jump_is_believed_if_it_lasts() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)));
        read(&mut register, 0, 9_000_000, true);
        read(&mut register, 1, 5010, true);
        assert_eq!(register.last(), Some(WattHours(5010)));
        read(&mut register, 2, 9_000_000, true);
        read(&mut register, 12, 9_000_000, true);
        assert_eq!(register.last(), Some(WattHours(9_000_000)));
    }

    #[test]
    fn no_wallbox_gives_a_car_50_kwh_in_a_second_but_in_a_night() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)));
        read(&mut register, 0, 55_000, true);
        assert_eq!(
            register.last(),
            Some(WattHours(55_000)),
            "while we were away"
        );
        read(&mut register, 1, 105_000, true);
        read(&mut register, 2, 55_010, true);
        assert_eq!(register.last(), Some(WattHours(55_010)));
        read(&mut register, 36_000, 155_000, true);
        assert_eq!(register.last(), Some(WattHours(155_000)));
    }

    #[test]
    fn a_meter_without_a_register_holds_nothing_up() {
        let mut register = EnergyRegister::default();
        assert!(!register.is_settled(at(0)));
        register.read(at(0), None, false);
        assert!(register.is_settled(at(0)));
        assert_eq!(register.last(), None);
    }
}
