//! Drawing more than allowed: booked at once, counted as a fixed load after 10 s, complained of
//! every few seconds, paused after 30 s, an alarm after 60 s. All of it ends when the car obeys.

use std::time::Duration;

use crate::clock::Mono;
use crate::units::MilliAmps;

/// Cars and meters are not exact: so much above the limit is still obeying.
pub(super) const TOLERANCE: MilliAmps = MilliAmps(500);

/// From here on it is no inaccuracy any more.
const DEFIANCE: MilliAmps = MilliAmps(1000);

/// For so long: it will not end by itself.
const LASTS: Duration = Duration::from_secs(10);

/// Between two complaints: a limit that is told again takes so long to be followed.
const COMPLAINS_EVERY: Duration = Duration::from_secs(8);

const PAUSES_AFTER: Duration = Duration::from_secs(30);

const ALARMS_AFTER: Duration = Duration::from_mins(1);

/// How much more than its limit an EVSE draws, and since when. Spans are measured from one
/// measurement to another: one alone may be older than the limit, or of a car that is on its way
/// down. Where one lowering follows another each measurement may be such a one; so a span lasts only
/// while the car draws too much for the limit with which it began, too.
#[derive(Debug, Default)]
pub(super) struct Overdraw {
    last: Mono,
    is_over: bool,
    over: Option<Span>,
    defies: Option<Span>,
    complained_at: Option<Mono>,
    alarmed_at: Option<Mono>,
    /// It was seen to ignore what it had accepted, and not yet to obey again.
    is_distrusted: bool,
    /// Its car does not follow exactly.
    is_sloppy: bool,
}

/// It draws too much.
#[derive(Debug, Clone, Copy)]
struct Span {
    since: Mono,
    /// For this limit.
    limit: MilliAmps,
}

impl Overdraw {
    /// A span begins only with a limit that the device `took`: before, it obeys an older one.
    pub(super) fn measure(&mut self, now: Mono, drawn: MilliAmps, limit: MilliAmps, took: bool) {
        self.last = now;
        self.is_over = drawn > limit + TOLERANCE;
        let follow = |span: &mut Option<Span>, more: MilliAmps| {
            let is_over = |limit| drawn > limit + more;
            let lasts = span.filter(|span| is_over(span.limit));
            let begins = took.then_some(Span { since: now, limit });
            *span = lasts.or(begins).filter(|_| is_over(limit));
        };
        follow(&mut self.over, TOLERANCE);
        follow(&mut self.defies, DEFIANCE);
        self.is_distrusted = self.is_over && (self.is_distrusted || self.is_fixed());
        if self.defies.is_none() {
            self.complained_at = None;
            self.alarmed_at = None;
            self.is_sloppy |= lasts(self.over, now) >= Some(LASTS);
        }
    }

    /// Nothing is known any more.
    pub(super) fn forget(&mut self) {
        *self = Self {
            is_distrusted: self.is_distrusted,
            is_sloppy: self.is_sloppy,
            ..Self::default()
        };
    }

    /// Another car.
    pub(super) fn end(&mut self) {
        self.is_sloppy = false;
        self.is_distrusted = false;
    }

    /// Only a measurement proves that it obeys: also after it was away.
    pub(super) fn is_distrusted(&self) -> bool {
        self.is_distrusted
    }

    /// The newest measurement was above the limit.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// What its car takes on top of every limit, because it does not follow exactly. Kept for the
    /// whole transaction: otherwise the limit would swing by as much.
    pub(super) fn extra(&self) -> MilliAmps {
        if self.is_sloppy {
            DEFIANCE
        } else {
            MilliAmps::ZERO
        }
    }

    /// It counts like a fixed load.
    pub(super) fn is_fixed(&self) -> bool {
        self.defies_for() >= Some(LASTS)
    }

    /// It is allowed nothing any more.
    pub(super) fn pauses(&self) -> bool {
        self.defies_for() >= Some(PAUSES_AFTER)
    }

    /// A person should look at it.
    pub(super) fn alarms(&self) -> bool {
        self.defies_for() >= Some(ALARMS_AFTER)
    }

    /// Time to call that person: once.
    pub(super) fn alarm(&mut self) -> bool {
        let due = self.alarms() && self.alarmed_at.is_none();
        if due {
            self.alarmed_at = Some(self.last);
        }
        due
    }

    /// Time to tell the device that its limit is not followed.
    pub(super) fn complain(&mut self) -> bool {
        let due = self.is_fixed()
            && self
                .complained_at
                .is_none_or(|at| self.last.since(at) >= COMPLAINS_EVERY);
        if due {
            self.complained_at = Some(self.last);
        }
        due
    }

    fn defies_for(&self) -> Option<Duration> {
        lasts(self.defies, self.last)
    }
}

fn lasts(span: Option<Span>, now: Mono) -> Option<Duration> {
    span.map(|span| now.since(span.since))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    /// Measured every ten seconds, from 0 on.
    fn draws(over: &mut Overdraw, milliamps: i32, seconds: std::ops::RangeInclusive<u64>) -> u32 {
        let mut complaints = 0;
        for seconds in seconds.step_by(10) {
            over.measure(at(seconds), MilliAmps(milliamps), MilliAmps(8000), true);
            complaints += u32::from(over.complain());
        }
        complaints
    }

    #[test]
    fn defiance_is_complained_of_every_10_s_paused_after_30_s_and_an_alarm_after_60_s() {
        let mut over = Overdraw::default();
        assert_eq!(draws(&mut over, 12_000, 0..=0), 0);
        assert!(over.is_over() && !over.is_fixed());
        assert_eq!(draws(&mut over, 12_000, 10..=20), 2);
        assert!(over.is_fixed() && !over.pauses());
        assert_eq!(draws(&mut over, 12_000, 30..=50), 3);
        assert!(over.pauses() && !over.alarms());
        draws(&mut over, 12_000, 60..=60);
        assert!(over.alarms() && over.alarm());
        assert!(!over.alarm(), "once is enough");
        assert_eq!(draws(&mut over, 8300, 70..=70), 0);
        assert!(!over.is_over() && !over.is_fixed() && !over.pauses() && !over.alarms());
        assert_eq!(over.extra(), MilliAmps::ZERO);
    }

    #[test]
    fn a_limit_that_was_not_taken_yet_is_not_defied() {
        let mut over = Overdraw::default();
        for seconds in [0, 10, 20] {
            over.measure(at(seconds), MilliAmps(12_000), MilliAmps(8000), false);
        }
        assert!(over.is_over() && !over.is_fixed());
    }

    #[test]
    fn a_car_that_is_lowered_again_and_again_is_on_its_way_each_time() {
        for (more, limits) in [(700, [10, 8, 6]), (1500, [14, 11, 8])] {
            let mut over = Overdraw::default();
            for (seconds, limit) in (0..).step_by(10).zip(limits) {
                let limit = MilliAmps::from_amps(limit);
                over.measure(at(seconds), limit + MilliAmps(more), limit, true);
                assert!(over.is_over(), "it is booked with what it draws");
            }
            assert!(
                !over.is_fixed() && over.extra() == MilliAmps::ZERO,
                "{more}"
            );
        }
    }

    #[test]
    fn a_car_that_stays_where_it_is_defies_however_often_it_is_lowered() {
        let mut over = Overdraw::default();
        for (seconds, limit) in [(0, 12), (4, 10), (8, 9), (10, 8)] {
            let limit = MilliAmps::from_amps(limit);
            over.measure(at(seconds), MilliAmps::from_amps(16), limit, true);
        }
        assert!(over.is_fixed());
    }

    #[test]
    fn a_car_that_does_not_follow_exactly_has_an_ampere_set_aside_until_it_leaves() {
        let mut over = Overdraw::default();
        draws(&mut over, 8700, 0..=20);
        assert!(!over.is_fixed());
        assert_eq!(over.extra(), MilliAmps(1000));
        draws(&mut over, 8000, 30..=30);
        assert_eq!(over.extra(), MilliAmps(1000));
        over.end();
        assert_eq!(over.extra(), MilliAmps::ZERO);
    }
}
