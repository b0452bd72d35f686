//! When a car is connected with one phase instead of all, and when with all again: three phases need
//! three times the power and the weakest of the three, but charge faster.
//!
//! A contactor switches without current only: the EVSE is paused first, and gets current again when
//! its device says that it has switched. As long as the device has not said so, all phases are
//! booked; so the fuse holds wherever the contactor is.

use std::time::Duration;

use crate::clock::Mono;

/// Three phases were too many, and one would do, for so long: it is switched down.
const TOO_MANY_FOR: Duration = Duration::from_secs(30);

/// There was room for three phases for so long: it is switched up.
const ROOM_FOR: Duration = Duration::from_mins(10);

/// And for so much more than their minimum, in percent.
pub(super) const ROOM_PERCENT: i64 = 110;

/// Two switchings are at least so far apart.
const APART: Duration = Duration::from_mins(1);

/// A car is not switched more often in its session: some do not bear it.
const MOST: u32 = 10;

/// A device that has not switched by then will not.
const ANSWERS_WITHIN: Duration = Duration::from_mins(1);

/// The phases of one EVSE.
#[derive(Debug, Default)]
pub(super) struct PhaseSwitch {
    pub(super) can: bool,
    /// What its device said; `None` while nobody knows.
    single: Option<bool>,
    wanted: bool,
    /// Since when the other would be better.
    since: Option<Mono>,
    asked_at: Option<Mono>,
    switches: u32,
}

impl PhaseSwitch {
    /// What it is asked for: one phase, or all.
    pub(super) fn wants_single(&self) -> bool {
        self.wanted
    }

    /// It is known to be connected with one phase.
    pub(super) fn is_single(&self) -> bool {
        self.single == Some(true)
    }

    /// It was asked for something else than it has: it must have no current.
    pub(super) fn is_switching(&self) -> bool {
        self.can && self.single.unwrap_or(false) != self.wanted
    }

    /// Another car, or none: it is to begin with all phases. True if it must be asked for that.
    pub(super) fn begin(&mut self, now: Mono) -> bool {
        let was_single = self.wanted;
        self.wanted = false;
        self.since = None;
        self.asked_at = was_single.then_some(now);
        self.switches = 0;
        was_single
    }

    /// The device says where its contactor is. If it was not asked to move it, that is all right.
    pub(super) fn report(&mut self, now: Mono, single: bool) -> bool {
        let before = self.single.replace(single);
        if self.was_asked_in_vain(now).unwrap_or(true) {
            self.wanted = single;
        }
        before != self.single
    }

    /// The device is gone or restarts: nobody knows where its contactor is.
    pub(super) fn forget(&mut self) {
        self.single = None;
    }

    /// Lets time act. `better`: with three phases there is no room, but with one; or with one there
    /// is room for three. True if it is to be asked for something else.
    pub(super) fn judge(&mut self, now: Mono, better: bool) -> bool {
        if self.is_switching() {
            return self.give_up(now);
        }
        self.since = better.then(|| self.since.unwrap_or(now));
        if self.due().is_none_or(|due| due > now) {
            return false;
        }
        self.wanted = !self.wanted;
        self.since = None;
        self.asked_at = Some(now);
        self.switches += 1;
        true
    }

    /// When time alone changes something.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        if self.is_switching() {
            self.asked_at.map(|at| at + ANSWERS_WITHIN)
        } else {
            self.due()
        }
    }

    fn due(&self) -> Option<Mono> {
        let lasts = if self.wanted { ROOM_FOR } else { TOO_MANY_FOR };
        let since = self.since.filter(|_| self.can && self.switches < MOST)?;
        let apart = self.asked_at.map_or(Mono::START, |at| at + APART);
        Some((since + lasts).max(apart))
    }

    fn give_up(&mut self, now: Mono) -> bool {
        let gives_up = self.was_asked_in_vain(now).unwrap_or(true);
        if gives_up {
            self.wanted = self.single.unwrap_or(false);
        }
        gives_up
    }

    fn was_asked_in_vain(&self, now: Mono) -> Option<bool> {
        let asked_at = self.asked_at?;
        Some(now.since(asked_at) >= ANSWERS_WITHIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn switchable() -> PhaseSwitch {
        PhaseSwitch {
            can: true,
            ..PhaseSwitch::default()
        }
    }

    /// From one moment on the other is better all the time; when it is asked for.
    fn asked(switch: &mut PhaseSwitch, from: u64) -> u64 {
        (from..from + 10_000)
            .find(|seconds| switch.judge(at(*seconds), true))
            .unwrap()
    }

    #[test]
    fn down_after_30_s_and_up_after_10_minutes() {
        let mut switch = switchable();
        assert_eq!(asked(&mut switch, 100), 130);
        assert!(switch.wants_single() && switch.is_switching());
        assert!(switch.report(at(0), true) && !switch.is_switching());
        assert_eq!(asked(&mut switch, 200), 800);
        assert!(!switch.wants_single() && switch.is_switching());
    }

    #[test]
    fn a_moment_in_which_it_is_not_better_begins_the_count_anew() {
        let mut switch = switchable();
        assert!(!switch.judge(at(0), true) && !switch.judge(at(29), false));
        assert_eq!(asked(&mut switch, 40), 70);
    }

    #[test]
    fn who_cannot_is_not_asked() {
        let mut switch = PhaseSwitch::default();
        assert!((0..1000).all(|seconds| !switch.judge(at(seconds), true)));
        assert_eq!(switch.poll_timeout(), None);
    }

    #[test]
    fn two_switchings_are_a_minute_apart() {
        let mut switch = switchable();
        assert_eq!(asked(&mut switch, 0), 30);
        switch.report(at(0), true);
        switch.wanted = false;
        switch.report(at(0), false);
        assert_eq!(asked(&mut switch, 31), 90);
    }

    #[test]
    fn a_car_is_switched_ten_times_at_most() {
        let mut switch = switchable();
        let mut now = 0;
        for _ in 0..10 {
            now = asked(&mut switch, now);
            switch.report(at(now), switch.wants_single());
        }
        assert!((now..now + 10_000).all(|seconds| !switch.judge(at(seconds), true)));
        switch.begin(at(now));
        assert_eq!(asked(&mut switch, now), now + 30, "another car");
    }

    #[test]
    fn a_contactor_that_is_found_on_one_phase_stays_there_until_there_is_room_for_all() {
        let mut switch = switchable();
        switch.report(at(0), true);
        assert!(switch.wants_single() && !switch.is_switching());
        assert_eq!(asked(&mut switch, 0), 600);
    }

    #[test]
    fn the_next_car_begins_with_all_phases_if_the_contactor_moves() {
        let mut switch = switchable();
        switch.report(at(0), true);
        assert!(switch.begin(at(10)) && switch.is_switching());
        assert!(!switch.begin(at(11)));
        let mut stuck = switchable();
        stuck.report(at(0), true);
        stuck.begin(at(10));
        assert!(stuck.judge(at(70), false) && !stuck.is_switching());
    }

    #[test]
    fn a_device_that_does_not_switch_in_a_minute_keeps_what_it_has() {
        let mut switch = switchable();
        assert_eq!(asked(&mut switch, 0), 30);
        assert_eq!(switch.poll_timeout(), Some(at(90)));
        assert!(!switch.judge(at(89), true) && switch.judge(at(90), true));
        assert!(!switch.is_switching() && !switch.wants_single());
    }
}
