//! When a wallbox that we play sends meter values (OCPP 1.6 §4.7, §3.16).

use std::time::Duration;

use crate::clock::{Mono, Now, Timestamp};
use crate::evse::{Measured, Sampled};
use crate::ids::TransactionNumber;
use crate::journal::{Entry, EntryKind, Transaction};
use crate::ocpp::messages::{self, MeterValue, MeterValues, ReadingContext};
use crate::ocpp::timestamp;
use crate::units::WattHours;

use super::charge_point::{ChargePoint, Output};
use super::plan::Metering;
use super::samples::Snapshot;
use super::session::Stage;
use super::transacting::connector;

/// What was measured longer ago is not known any more.
const KNOWN_FOR: Duration = Duration::from_mins(1);

/// So late a sample is no sample of that time any more: the clock was set.
const LATE: Duration = Duration::from_secs(10);

/// `StopTransactionMaxMeterValues`, less those at begin and end.
const MOST_COLLECTED: usize = 498;

const DAY: i64 = 86_400;

/// What is sampled, and when next.
#[derive(Debug)]
pub(super) struct Sampling {
    course: Option<Course>,
    clock: Aligned,
    /// When values were asked for.
    triggered: Option<Timestamp>,
    due: Option<Mono>,
}

impl Sampling {
    /// Goes on with a transaction that was open before the restart: of its begin only the register
    /// is known.
    pub(super) fn new(now: Now, transaction: Option<&Transaction>) -> Self {
        let course = transaction.map(|transaction| Course {
            before: Duration::try_from(now.wall.duration_since(transaction.received))
                .unwrap_or_default(),
            ..Course::new(
                now.mono,
                transaction.number,
                Snapshot::of_register(transaction.meter_start),
            )
        });
        Self {
            course,
            clock: Aligned::default(),
            triggered: None,
            due: None,
        }
    }

    /// When the next sample is due.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.due
    }
}

/// The course of a transaction.
#[derive(Debug)]
struct Course {
    transaction: TransactionNumber,
    /// Since when we have followed it …
    seen: Mono,
    /// … and for how long it had run then.
    before: Duration,
    /// What was known when it began.
    begin: Snapshot,
    /// For its stop.
    collected: Vec<(Timestamp, ReadingContext, Snapshot)>,
    interval: Option<Duration>,
    next: Option<Mono>,
}

impl Course {
    fn new(now: Mono, transaction: TransactionNumber, begin: Snapshot) -> Self {
        Self {
            transaction,
            seen: now,
            before: Duration::ZERO,
            begin,
            collected: Vec::new(),
            interval: None,
            next: None,
        }
    }

    /// Whether an interval, counted from the begin, is over. Of several, one sample is made.
    fn is_due(&mut self, now: Mono, interval: Option<Duration>) -> bool {
        let due = interval == self.interval && self.next.is_some_and(|next| next <= now);
        if due || interval != self.interval {
            self.interval = interval;
            self.next = interval.and_then(|interval| self.next_multiple(now, interval));
        }
        due
    }

    fn next_multiple(&self, now: Mono, interval: Duration) -> Option<Mono> {
        let elapsed = now.since(self.seen) + self.before;
        let over = elapsed.as_millis().checked_div(interval.as_millis())?;
        let at = interval.checked_mul(u32::try_from(over + 1).ok()?)?;
        Some(self.seen + at.saturating_sub(self.before))
    }

    /// Where there are too many, every second one in the middle goes.
    fn collect(&mut self, at: Timestamp, context: ReadingContext, values: Snapshot) {
        if self.collected.len() >= MOST_COLLECTED {
            let mut keep = false;
            self.collected.retain(|_| {
                keep = !keep;
                keep
            });
        }
        self.collected.push((at, context, values));
    }
}

/// Multiples of an interval since 00:00 UTC.
#[derive(Debug, Default)]
struct Aligned {
    interval: Option<Duration>,
    next: Option<Timestamp>,
    sampled: Option<Mono>,
    due: Option<Mono>,
}

impl Aligned {
    /// Whether a multiple has just been reached. A clock that was set reaches none by that, and
    /// none twice.
    fn is_due(&mut self, now: Now, interval: Option<Duration>) -> bool {
        let rested = |interval: Duration| {
            self.sampled
                .is_none_or(|at| now.mono.since(at) >= interval / 2)
        };
        let due = interval.is_some_and(rested)
            && self.interval == interval
            && self.next.is_some_and(|next| {
                Duration::try_from(now.wall.duration_since(next)).is_ok_and(|late| late < LATE)
            });
        if due {
            self.sampled = Some(now.mono);
        }
        self.interval = interval;
        self.next = interval.and_then(|interval| next_multiple(now.wall, interval));
        self.due = self.next.map(|next| {
            let wait = Duration::try_from(next.duration_since(now.wall)).unwrap_or_default();
            now.mono + wait
        });
        due
    }
}

fn next_multiple(now: Timestamp, interval: Duration) -> Option<Timestamp> {
    let interval = i64::try_from(interval.as_secs()).ok()?;
    let second = now.as_second();
    let of_day = second.rem_euclid(DAY);
    let multiple = of_day.checked_div(interval)?.checked_add(1)?;
    let next = multiple.saturating_mul(interval).min(DAY);
    Timestamp::from_second(second - of_day + next).ok()
}

impl ChargePoint {
    /// `TriggerMessage` asked for meter values: those of `MeterValuesSampledData`, as they are.
    /// They leave after the answer.
    pub(super) fn send_triggered_values(&mut self, now: Now) {
        self.sampling.triggered = Some(now.wall);
    }

    /// Makes the samples that are due.
    pub(super) fn sample(&mut self, now: Now) {
        if !self.plan.backend {
            return;
        }
        self.follow_transaction(now);
        if let Some(at) = self.sampling.triggered.take() {
            self.make_sample(now, at, ReadingContext::Trigger);
        }
        let runs = matches!(self.session.stage, Stage::Running(_));
        let interval = self.conduct.sample_interval.filter(|_| runs);
        let course = self.sampling.course.as_mut();
        let periodic = course.is_some_and(|course| course.is_due(now.mono, interval));
        if periodic {
            self.make_sample(now, now.wall, ReadingContext::SamplePeriodic);
        }
        let interval = self.conduct.clock_interval;
        if self.sampling.clock.is_due(now, interval) {
            self.make_sample(now, now.wall, ReadingContext::SampleClock);
        }
        let next = self.sampling.course.as_ref().and_then(|it| it.next);
        self.sampling.due = [next, self.sampling.clock.due].into_iter().flatten().min();
    }

    fn follow_transaction(&mut self, now: Now) {
        match &self.session.stage {
            Stage::Running(running) => {
                let number = running.transaction.number;
                let course = self.sampling.course.as_ref();
                if course.is_none_or(|course| course.transaction != number) {
                    let register = running.transaction.meter_start;
                    let begin = self.snapshot(now.mono).with_register(register);
                    self.sampling.course = Some(Course::new(now.mono, number, begin));
                }
            }
            Stage::Ending(..) => {}
            Stage::Free | Stage::Authorized(_) | Stage::Over => self.sampling.course = None,
        }
    }

    fn make_sample(&mut self, now: Now, at: Timestamp, context: ReadingContext) {
        let snapshot = self.snapshot(now.mono);
        let conduct = &self.conduct;
        let (list, for_stop): (_, &[Sampled]) = match context {
            ReadingContext::SampleClock => (&conduct.aligned, &conduct.stop_aligned),
            ReadingContext::SamplePeriodic => (&conduct.sampled, &conduct.stop_sampled),
            _ => (&conduct.sampled, &[]),
        };
        let text = timestamp::format(at);
        let collects = snapshot.meter_value(text.clone(), for_stop, context);
        let value = snapshot.meter_value(text, list, context);
        if let (Some(_), Some(course)) = (collects, &mut self.sampling.course) {
            course.collect(at, context, snapshot);
        }
        if let Some(value) = value {
            self.send_values(now, context, value);
        }
    }

    /// What belongs to a transaction is filed after its start: only there its number is that of the
    /// backend.
    fn send_values(&mut self, now: Now, context: ReadingContext, value: MeterValue<'static>) {
        let transaction = match &self.session.stage {
            Stage::Running(running) => Some(&running.transaction),
            Stage::Free | Stage::Authorized(_) | Stage::Ending(..) | Stage::Over => None,
        };
        let number = transaction.map(|it| it.number);
        let message = MeterValues {
            connector_id: connector(&self.plan),
            transaction_id: transaction.map(|it| it.wallbox_id),
            meter_value: vec![value],
        };
        if number.is_none() && context == ReadingContext::Trigger {
            self.notify(true, &message);
            return;
        }
        let entry = Entry {
            address: self.plan.address.clone(),
            connector: connector(&self.plan),
            transaction: number,
            kind: EntryKind::Values { thinnable: true },
            payload: messages::write(&message),
            received: now.wall,
        };
        if number.is_some() {
            self.memory.tell();
        }
        let with = Vec::new();
        self.output(Output::File { entry, with });
    }

    /// `StopTransaction.transactionData`: what is known of begin and end, and what was collected in
    /// between. Empty where the backend wants none.
    pub(super) fn transaction_data(
        &self,
        now: Now,
        transaction: &Transaction,
        register: Option<WattHours>,
    ) -> Vec<MeterValue<'static>> {
        let (sampled, aligned) = (&self.conduct.stop_sampled, &self.conduct.stop_aligned);
        let mut all = sampled.clone();
        all.extend(aligned.iter().filter(|it| !sampled.contains(it)));
        let course = self.sampling.course.as_ref();
        let course = course.filter(|course| course.transaction == transaction.number);
        let begin = course.map_or_else(
            || Snapshot::of_register(transaction.meter_start),
            |course| course.begin,
        );
        let end = self.snapshot(now.mono).with_register(register);
        let started = transaction.started.clone();
        let begin = begin.meter_value(started, &all, ReadingContext::TransactionBegin);
        let stopped = timestamp::format(now.wall);
        let end = end.meter_value(stopped, &all, ReadingContext::TransactionEnd);
        let collected = course.map(|course| course.collected.as_slice());
        let between = collected.unwrap_or_default().iter();
        let between = between.filter_map(|(at, context, snapshot)| {
            let list = if *context == ReadingContext::SampleClock {
                aligned
            } else {
                sampled
            };
            snapshot.meter_value(timestamp::format(*at), list, *context)
        });
        begin.into_iter().chain(between).chain(end).collect()
    }

    fn snapshot(&self, now: Mono) -> Snapshot {
        let poll = self.image.as_ref();
        Snapshot::new(&self.plan, self.measured_lately(now), poll)
    }

    /// What was measured, as far as that is still so.
    pub(super) fn measured_lately(&self, now: Mono) -> Measured {
        let there = self.polling.is_online() || self.plan.meter == Metering::Other;
        let fresh = self.measured_at.is_some_and(|at| now.since(at) < KNOWN_FOR);
        if there && fresh {
            self.measured
        } else {
            Measured::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn course(before: u64) -> Course {
        Course {
            before: Duration::from_secs(before),
            ..Course::new(at(100), TransactionNumber(1), Snapshot::default())
        }
    }

    fn due(course: &mut Course, every: u64, until: u64) -> Vec<u64> {
        let every = Some(Duration::from_secs(every));
        let is_due = |second: &u64| course.is_due(at(*second), every);
        (100..=until).filter(is_due).collect()
    }

    #[test]
    fn intervals_are_counted_from_the_begin_also_after_a_restart_of_ours() {
        assert_eq!(due(&mut course(0), 60, 300), [160, 220, 280]);
        assert_eq!(due(&mut course(50), 60, 300), [110, 170, 230, 290]);
    }

    #[test]
    fn of_intervals_that_nobody_saw_one_sample_is_made() {
        let mut course = course(0);
        let every = Some(Duration::from_mins(1));
        let seconds = [100, 1000, 1001, 1059, 1060];
        let due = seconds.map(|second| course.is_due(at(second), every));
        assert_eq!(due, [false, true, false, false, true]);
    }

    #[test]
    fn a_new_interval_is_counted_from_the_begin_too() {
        let mut course = course(0);
        assert_eq!(due(&mut course, 60, 170), [160]);
        let every = Some(Duration::from_secs(15));
        let due = (171..210).filter(|second| course.is_due(at(*second), every));
        assert_eq!(due.collect::<Vec<_>>(), [175, 190, 205]);
        assert!(!course.is_due(at(900), None));
        assert_eq!(course.next, None);
    }

    #[test]
    fn an_interval_of_0_is_none() {
        assert_eq!(due(&mut course(0), 0, 200), [0; 0]);
        assert_eq!(next_multiple(Timestamp::UNIX_EPOCH, Duration::ZERO), None);
    }

    fn multiple(time: &str, interval: u64) -> String {
        let next = next_multiple(time.parse().unwrap(), Duration::from_secs(interval));
        timestamp::format(next.unwrap())
    }

    #[test]
    fn the_clock_strikes_at_multiples_since_midnight() {
        let noon = "2026-06-01T12:00:00Z";
        assert_eq!(multiple(noon, 900), "2026-06-01T12:15:00Z");
        assert_eq!(
            multiple("2026-06-01T12:14:59.9Z", 900),
            "2026-06-01T12:15:00Z"
        );
        assert_eq!(multiple(noon, 7 * 3600), "2026-06-01T14:00:00Z");
        let late = "2026-06-01T21:00:01Z";
        assert_eq!(multiple(late, 7 * 3600), "2026-06-02T00:00:00Z");
        assert_eq!(multiple(late, u64::MAX >> 1), "2026-06-02T00:00:00Z");
    }

    /// The seconds of noon at which samples are made, when the wall clock is off by so much.
    fn strikes(every: u64, until: i64, off: impl Fn(i64) -> i64) -> Vec<i64> {
        let noon: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let every = Some(Duration::from_secs(every));
        let mut aligned = Aligned::default();
        let mut is_due = |second: &i64| {
            let now = Now {
                mono: at(second.unsigned_abs()),
                wall: noon + jiff::SignedDuration::from_secs(second + off(*second)),
            };
            aligned.is_due(now, every)
        };
        (0..=until).filter(&mut is_due).collect()
    }

    #[test]
    fn a_clock_that_is_set_gives_no_storm() {
        assert_eq!(strikes(60, 200, |_| 0), [60, 120, 180]);
        // An hour and a bit ahead, for good.
        let ahead = |second| if second < 100 { 0 } else { 3630 };
        assert_eq!(strikes(60, 200, ahead), [60, 150]);
        // Back and forth, every second.
        let shaken = |second: i64| if second % 2 == 0 { 0 } else { -61 };
        assert!(strikes(60, 600, shaken).len() <= 20);
    }

    #[test]
    fn a_clock_that_goes_back_a_second_strikes_once() {
        let back = |second| if second < 61 { 0 } else { -2 };
        assert_eq!(strikes(60, 200, back), [60, 122, 182]);
    }

    #[test]
    fn of_too_many_samples_the_first_and_the_newest_are_kept() {
        let mut course = course(0);
        let register = |it: i64| Snapshot::of_register(Some(WattHours(it)));
        for sample in 0..2000 {
            let at = Timestamp::UNIX_EPOCH;
            course.collect(at, ReadingContext::SamplePeriodic, register(sample));
            assert!(course.collected.len() <= MOST_COLLECTED);
        }
        assert!(course.collected.len() >= MOST_COLLECTED / 2);
        assert_eq!(course.collected.first().unwrap().2, register(0));
        assert_eq!(course.collected.last().unwrap().2, register(1999));
    }
}
