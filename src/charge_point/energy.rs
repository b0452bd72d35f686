//! The energy register that transactions are billed by: while one runs it never goes back, and
//! rises by no more than what can have flowed.

use std::time::Duration;

use tracing::warn;

use crate::clock::Mono;
use crate::units::WattHours;

/// A value that cannot be right is read again for this long before it is believed.
const DOUBTED_FOR: Duration = Duration::from_secs(10);

/// A 0 after more than that while nobody charges is the start of the device, which takes no longer,
/// or a new meter, which counts as soon as somebody charges.
const ZERO_DOUBTED_FOR: Duration = Duration::from_mins(10);

/// No car takes more while we are not running.
const MOST_UNWATCHED: WattHours = WattHours(100_000);

/// A register rises by no more than this from one reading to the next, some count in kWh ...
const LARGEST_STEP: WattHours = WattHours(5000);

/// ... but from 0 by one step of those: more is the end of a start of the device ...
const FIRST_STEP: WattHours = WattHours(1000);

/// ... and by so much for every second between them: no wallbox gives 72 kW.
const MOST_PER_SECOND: i64 = 20;

/// A register that is reset more often in one transaction is not known again when it comes back.
const MOST_OFFSETS: usize = 16;

/// What the register says, as far as that can be true.
#[derive(Debug, Default)]
pub(super) struct EnergyRegister {
    /// What the meter said.
    raw: Option<WattHours>,
    /// What was lost each time that it fell or jumped up in this transaction, all in all (less than
    /// 0: won): the newest is added to what the meter says. It may come back from any of them. One
    /// below 0 in the first place is where the register began, or was carried to.
    offsets: Vec<WattHours>,
    read: Option<Mono>,
    /// When `raw` was read; `None` = before our start.
    believed: Option<Mono>,
    doubted: Option<Doubted>,
    /// It fell or jumped up in a transaction since our start.
    is_broken: bool,
}

/// What is read again and again before it is believed.
#[derive(Debug, Clone, Copy)]
struct Doubted {
    since: Mono,
    first: WattHours,
    at: Mono,
    last: WattHours,
}

impl EnergyRegister {
    /// Goes on with what was known before the restart.
    pub(super) fn new(last: Option<WattHours>, offsets: Vec<WattHours>) -> Self {
        let offset = offsets.last().copied().unwrap_or_default();
        Self {
            raw: last.map(|last| last - offset),
            offsets,
            ..Self::default()
        }
    }

    /// The last value that is believed, with what the meter has lost in this transaction.
    pub(super) fn last(&self) -> Option<WattHours> {
        let offset = self.offsets.last().copied().unwrap_or_default();
        self.raw.map(|raw| raw + offset)
    }

    /// What must outlive a restart beside [`EnergyRegister::last`].
    pub(super) fn offsets(&self) -> &[WattHours] {
        &self.offsets
    }

    /// Takes a reading; `None` = the meter has no register. While a transaction runs, one that falls
    /// or rises by what cannot have flowed, and stays there, goes on from the last good value, until
    /// it is back. Where there is none, the first good reading counts as 0.
    ///
    /// Quirk: cFos Power Brain: the register reads 0 for some time after a start of the device.
    pub(super) fn read(&mut self, now: Mono, value: Option<WattHours>, in_transaction: bool) {
        self.read = Some(now);
        let Some(value) = value else { return };
        if !in_transaction {
            self.offsets.clear();
        }
        let Some(last) = self.last() else {
            self.read_first(now, value, in_transaction);
            return;
        };
        if self.follows(now, value, last) {
            self.believe(now, value);
            return;
        }
        let zero = value == WattHours::ZERO && !in_transaction;
        let doubted_for = if zero { ZERO_DOUBTED_FOR } else { DOUBTED_FOR };
        let Some(first) = self.doubt(now, value, doubted_for) else {
            return;
        };
        if in_transaction {
            warn!(
                register_wh = value.0,
                last_wh = last.0,
                "an energy register fell or jumped in a transaction: it is counted on from the last good value"
            );
            if self.offsets.len() >= MOST_OFFSETS {
                self.offsets.remove(1);
            }
            self.offsets.push(last - first);
            self.is_broken = true;
        } else {
            warn!(
                register_wh = value.0,
                last_wh = last.0,
                "an energy register jumped and stays there: it is believed"
            );
        }
        self.believe(now, value);
    }

    /// What was drawn before the first reading in a transaction is not known, and not billed.
    fn read_first(&mut self, now: Mono, value: WattHours, in_transaction: bool) {
        let lasts = self.doubt(now, value, DOUBTED_FOR).is_some();
        if value == WattHours::ZERO && !lasts {
            return;
        }
        let first = self.doubted.map_or(value, |it| it.first);
        if in_transaction && first > WattHours::ZERO {
            self.offsets = vec![WattHours::ZERO - first];
        }
        self.believe(now, value);
    }

    /// A value goes on from the last one, or from one before the register fell or jumped. The one
    /// that bills least is right: nothing is billed twice.
    fn follows(&mut self, now: Mono, value: WattHours, last: WattHours) -> bool {
        let most = last + self.largest_rise(now);
        let fits = |offset: WattHours| (last..=most).contains(&(value + offset));
        let begins_there = self.offsets.first().is_some_and(|it| *it < WattHours::ZERO);
        let as_it_is = (!begins_there).then_some((0, WattHours::ZERO));
        let corrected = (1..).zip(self.offsets.iter().copied());
        let places = as_it_is.into_iter().chain(corrected);
        let fitting = places.filter(|(_, offset)| fits(*offset));
        let Some((place, _)) = fitting.min_by_key(|(_, offset)| *offset) else {
            return false;
        };
        if place < self.offsets.len() {
            warn!(
                register_wh = value.0,
                last_wh = last.0,
                "an energy register is back after it had fallen or jumped"
            );
            self.offsets.truncate(place);
        }
        true
    }

    /// The first of the values that went on from each other for long enough to be believed.
    fn doubt(&mut self, now: Mono, value: WattHours, span: Duration) -> Option<WattHours> {
        let goes_on = |it: &Doubted| (it.last..=it.last + flow(now.since(it.at))).contains(&value);
        let (since, first) = self
            .doubted
            .filter(goes_on)
            .map_or((now, value), |it| (it.since, it.first));
        self.doubted = Some(Doubted {
            since,
            first,
            at: now,
            last: value,
        });
        (now.since(since) >= span).then_some(first)
    }

    fn believe(&mut self, now: Mono, value: WattHours) {
        self.raw = Some(value);
        self.believed = Some(now);
        self.doubted = None;
    }

    fn largest_rise(&self, now: Mono) -> WattHours {
        let step = if self.raw == Some(WattHours::ZERO) {
            FIRST_STEP
        } else {
            LARGEST_STEP
        };
        self.believed
            .map_or(MOST_UNWATCHED, |at| flow(now.since(at)) + step)
    }

    /// The value that is believed can follow `before`, which was read before our start.
    pub(super) fn goes_on_from(&self, before: Option<WattHours>) -> bool {
        let risen = self.last().zip(before).map(|(last, before)| last - before);
        !self.is_broken && risen.is_none_or(|risen| risen <= MOST_UNWATCHED)
    }

    /// What follows belongs to another transaction: the meter counts as it is.
    pub(super) fn begin_anew(&mut self) {
        self.offsets.clear();
    }

    /// The transaction is over that ended at `since`. Where its register was not read then, what it
    /// drew last is not known: nobody else pays for it.
    pub(super) fn close(&mut self, since: Mono) {
        let lost = self.offsets.last().copied().unwrap_or_default();
        let starts = self.raw == Some(WattHours::ZERO) && lost > WattHours::ZERO;
        let is_known = self.doubted.is_none() && self.believed.is_some_and(|at| at >= since);
        if starts || !is_known {
            self.raw = None;
        }
        self.begin_anew();
    }

    /// Was read at `since` or later, and is not in doubt.
    pub(super) fn is_settled(&self, since: Mono) -> bool {
        self.doubted.is_none() && self.read.is_some_and(|read| read >= since)
    }
}

/// The most that flows in this time, every second that has begun counted.
fn flow(span: Duration) -> WattHours {
    let seconds = i64::try_from(span.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
    WattHours(seconds.saturating_mul(MOST_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        for second in 0..60 {
            read(&mut register, second, 100, true);
        }
        assert_eq!(register.last(), Some(WattHours(5000)));
        read(&mut register, 60, 100, false);
        assert_eq!(register.last(), Some(WattHours(100)));
    }

    #[test]
    fn a_register_that_jumps_in_a_transaction_goes_on_from_the_last_good_value_until_it_is_back() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        read(&mut register, 0, 9_000_000, true);
        read(&mut register, 1, 5010, true);
        assert_eq!(register.last(), Some(WattHours(5010)));
        for second in 2..=20 {
            read(
                &mut register,
                second,
                9_000_000 + i64::try_from(second).unwrap(),
                true,
            );
        }
        assert_eq!(register.last(), Some(WattHours(5010 + 18)));
        assert!(register.is_settled(at(20)));
        let mut register = EnergyRegister::new(register.last(), register.offsets().to_vec());
        read(&mut register, 30, 9_000_030, true);
        assert_eq!(register.last(), Some(WattHours(5010 + 28)));
        for second in 31..=50 {
            read(&mut register, second, 5060, true);
        }
        assert_eq!(register.last(), Some(WattHours(5010 + 28)));
    }

    #[test]
    fn outside_of_a_transaction_a_jump_is_believed_if_it_lasts() {
        let mut register = EnergyRegister::default();
        for (second, value) in [(0, 5000), (1, 9_000_000), (2, 5000), (3, 9_000_000)] {
            read(&mut register, second, value, false);
            assert_eq!(register.last(), Some(WattHours(5000)));
        }
        read(&mut register, 13, 9_000_000, false);
        assert_eq!(register.last(), Some(WattHours(9_000_000)));
    }

    #[test]
    fn where_the_start_is_not_known_only_what_flows_after_the_first_reading_counts() {
        for first in [300, 123_456] {
            let mut register = EnergyRegister::default();
            read(&mut register, 0, first, true);
            assert_eq!(register.last(), Some(WattHours(0)));
            read(&mut register, 1, first + 5, true);
            assert_eq!(register.last(), Some(WattHours(5)));
            let mut register = EnergyRegister::new(register.last(), register.offsets().to_vec());
            read(&mut register, 2, first + 9, true);
            assert_eq!(register.last(), Some(WattHours(9)));
            read(&mut register, 3, first + 9, false);
            assert_eq!(register.last(), Some(WattHours(first + 9)));
        }
    }

    #[test]
    fn where_the_start_is_not_known_a_0_is_no_reading_to_bill_from() {
        for shown in [3000, 123_456] {
            let mut register = EnergyRegister::default();
            for second in 0..20 {
                read(&mut register, second, 0, second > 12);
            }
            assert_eq!(register.last(), Some(WattHours(0)));
            for second in 20..40 {
                let flows = i64::try_from(second).unwrap() - 20;
                read(&mut register, second, shown + flows, true);
            }
            assert_eq!(register.last(), Some(WattHours(19)));
        }
    }

    #[test]
    fn a_0_after_more_is_not_believed_for_10_minutes_unless_it_counts_up() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        for second in 0..600 {
            read(&mut register, second, 0, false);
            assert_eq!(register.last(), Some(WattHours(5000)));
        }
        read(&mut register, 600, 0, false);
        assert_eq!(register.last(), Some(WattHours(0)));
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        for second in 0..30 {
            read(&mut register, second, 0, false);
        }
        read(&mut register, 30, 2, false);
        assert_eq!(register.last(), Some(WattHours(2)));
    }

    #[test]
    fn what_was_not_read_before_the_end_is_forgotten() {
        let after = |read_until: u64, value: i64| {
            let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
            for second in 0..=read_until {
                read(&mut register, second, value, true);
            }
            register.close(at(20));
            register.last()
        };
        assert_eq!(after(20, 5010), Some(WattHours(5010)));
        assert_eq!(after(19, 5010), None);
        assert_eq!(after(40, 0), None, "it may be starting");
        assert_eq!(after(40, 17), Some(WattHours(17)));
        assert_eq!(after(40, 900_000), Some(WattHours(900_000)));
    }

    #[test]
    fn no_wallbox_gives_a_car_50_kwh_in_a_second_but_in_a_night() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
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

    #[test]
    fn a_register_that_fell_in_a_transaction_goes_on_from_the_last_good_value() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        read(&mut register, 0, 5010, true);
        for second in 1..=60 {
            read(&mut register, second, i64::try_from(second).unwrap(), true);
        }
        assert_eq!(register.last(), Some(WattHours(5010 + 59)));
        assert!(register.is_settled(at(60)));
    }

    #[test]
    fn a_register_that_is_back_counts_as_it_stands_and_bills_nothing_twice() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        for second in 0..30 {
            read(&mut register, second, 0, true);
        }
        assert_eq!(register.last(), Some(WattHours(5000)));
        read(&mut register, 30, 5090, true);
        assert_eq!(register.last(), Some(WattHours(5090)));
        assert_eq!(register.offsets(), []);
    }

    #[test]
    fn a_register_that_was_reset_and_then_reads_0_for_a_while_bills_nothing_twice() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), Vec::new());
        for second in 0..60 {
            let reset = if second < 30 { 40 } else { 0 };
            read(&mut register, second, reset, true);
        }
        assert_eq!(register.offsets(), [WattHours(4960), WattHours(5000)]);
        read(&mut register, 60, 50, true);
        assert_eq!(register.last(), Some(WattHours(5010)));
    }

    #[test]
    fn what_a_register_lost_is_forgotten_outside_of_transactions() {
        let mut register = EnergyRegister::new(Some(WattHours(5000)), vec![WattHours(4900)]);
        read(&mut register, 0, 101, true);
        assert_eq!(register.last(), Some(WattHours(5001)));
        read(&mut register, 1, 102, false);
        assert_eq!(register.last(), Some(WattHours(102)));
    }

    /// What a second brings.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Flows(i64),
        Resets,
        Jumps,
        Reads0For(u64),
        IsSilentFor(u64),
        WeRestart,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            40 => (0..7_i64).prop_map(Event::Flows),
            1 => Just(Event::Resets),
            1 => Just(Event::Jumps),
            1 => (1..30_u64).prop_map(Event::Reads0For),
            1 => (1..300_u64).prop_map(Event::IsSilentFor),
            1 => Just(Event::WeRestart),
        ]
    }

    proptest! {
        #[test]
        fn no_more_is_billed_than_flowed_and_no_less_than_what_flowed_without_doubt(
            start in prop_oneof![0..100_i64, 1_000_000..2_000_000_i64],
            events in prop::collection::vec(event(), 1..200),
        ) {
            let mut register = EnergyRegister::new(Some(WattHours(start)), Vec::new());
            let (mut shown, mut flowed, mut doubtful) = (start, 0, 0);
            // Since the last reading that was believed.
            let (mut fresh, mut reset, mut carried) = (0, false, 0);
            let (mut second, mut zero_until, mut silent_until, mut rate) = (0, 0, 0, 0);
            let settles = std::iter::repeat_n(Event::Flows(0), 400);
            for event in events.into_iter().chain(settles) {
                second += 1;
                match event {
                    Event::Flows(watt_hours) => rate = watt_hours,
                    Event::Resets => (shown, reset) = (0, true),
                    // Never to where it has been: that is a register that is back.
                    Event::Jumps => {
                        carried += 5_000_000;
                        (shown, reset) = (carried, true);
                    }
                    Event::Reads0For(seconds) => zero_until = second + seconds,
                    Event::IsSilentFor(seconds) => silent_until = second + seconds,
                    Event::WeRestart => {
                        let offsets = register.offsets().to_vec();
                        register = EnergyRegister::new(register.last(), offsets);
                    }
                }
                shown += rate;
                flowed += rate;
                fresh += rate;
                if second < silent_until {
                    continue;
                }
                let before = register.offsets().to_vec();
                let reads = if second < zero_until { 0 } else { shown };
                reset |= second < zero_until;
                read(&mut register, second, reads, true);
                let billed = register.last().unwrap().0 - start;
                prop_assert!(billed <= flowed, "{billed} of {flowed} Wh");
                if register.is_settled(at(second)) {
                    if reset || before != register.offsets() {
                        doubtful += fresh;
                    }
                    (fresh, reset) = (0, false);
                }
            }
            let billed = register.last().unwrap().0 - start;
            prop_assert!(billed >= flowed - doubtful, "{billed} of {flowed} Wh, {doubtful} in doubt");
        }
    }
}
