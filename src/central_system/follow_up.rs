//! Whether a car follows a new limit: its wallbox is asked for values soon, instead of waiting for
//! the next sample (OCPP 1.6 §5.17).
//!
//! The load manager gives away what a lowering frees only when a measurement shows that it was
//! followed, and a wallbox samples once in ten seconds.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use tracing::debug;

use crate::clock::Mono;
use crate::evse::{Limit, Measured};
use crate::ids::ConnectorId;
use crate::ocpp::messages::{self, MessageTrigger, TriggerMessageResponse, TriggerMessageStatus};
use crate::ocpp::rpc::CallFailure;
use crate::units::MilliAmps;

use super::asking::Asked;
use super::station::{Context, Station};

/// In mA. So much above the limit is followed: cars and meters are not exact. The load manager
/// counts in the same way.
const TOLERANCE: MilliAmps = MilliAmps(500);

/// In seconds: from the acceptance of a limit to the first question, and from one question to the
/// next. Many cars follow within one or two.
const PAUSE: Duration = Duration::from_secs(1);

/// In seconds: values that did not come so long after the wallbox promised them are not waited for.
const VALUES_WITHIN: Duration = Duration::from_secs(1);

/// Questions for each accepted limit: a car has 5 s to follow (IEC 61851-1). After that its next
/// sample is soon enough.
const MOST_QUESTIONS: u8 = 5;

/// Which connectors of a wallbox are to be asked for values, and when.
#[derive(Debug, Default)]
pub(super) struct FollowUp {
    watched: BTreeMap<ConnectorId, Watch>,
    /// It sends no values for the asking: it is left alone until it connects or boots again.
    refused: bool,
}

/// A limit that a car does not follow yet.
#[derive(Debug)]
struct Watch {
    limit: MilliAmps,
    questions_left: u8,
    not_before: Mono,
    waits_for: WaitsFor,
}

/// What the next question waits for, apart from its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    Nothing,
    /// The answer to the last one.
    Answer {
        /// Its values came before it.
        values_came: bool,
    },
    /// The values that were promised, until then.
    Values(Mono),
}

impl Watch {
    fn due(&self) -> Option<Mono> {
        match self.waits_for {
            _ if self.questions_left == 0 => None,
            WaitsFor::Nothing => Some(self.not_before),
            WaitsFor::Answer { .. } => None,
            WaitsFor::Values(until) => Some(self.not_before.max(until)),
        }
    }
}

fn follows(drawn: MilliAmps, limit: MilliAmps) -> bool {
    drawn <= limit + TOLERANCE
}

impl FollowUp {
    /// A connection begins, or the wallbox booted: it may do by now what it refused before.
    pub(super) fn begin(&mut self) {
        *self = Self::default();
    }

    /// The wallbox accepted a limit; `drawn` is what its car was last seen to draw.
    pub(super) fn accepted(
        &mut self,
        now: Mono,
        id: ConnectorId,
        limit: Limit,
        drawn: Option<MilliAmps>,
    ) {
        self.watched.remove(&id);
        let Limit::Current(limit) = limit else {
            return;
        };
        if self.refused || drawn.is_none_or(|drawn| follows(drawn, limit)) {
            return;
        }
        let watch = Watch {
            limit,
            questions_left: MOST_QUESTIONS,
            not_before: now + PAUSE,
            waits_for: WaitsFor::Nothing,
        };
        self.watched.insert(id, watch);
    }

    /// Values came, asked for or not.
    pub(super) fn measured(&mut self, id: ConnectorId, drawn: MilliAmps) {
        let Some(watch) = self.watched.get_mut(&id) else {
            return;
        };
        if follows(drawn, watch.limit) {
            self.watched.remove(&id);
            return;
        }
        watch.waits_for = match watch.waits_for {
            WaitsFor::Answer { .. } => WaitsFor::Answer { values_came: true },
            WaitsFor::Nothing | WaitsFor::Values(_) => WaitsFor::Nothing,
        };
    }

    /// Forgets all connectors but those of which this is true.
    pub(super) fn retain(&mut self, is_watched: impl Fn(ConnectorId) -> bool) {
        self.watched.retain(|id, _| is_watched(*id));
    }

    /// The connector that is to be asked for values now, by this: who has waited longest.
    pub(super) fn next(&mut self, now: Mono) -> Option<ConnectorId> {
        let due = self.watched.iter_mut().filter_map(|(id, watch)| {
            let due = watch.due().filter(|due| *due <= now)?;
            Some((due, *id, watch))
        });
        let (_, id, watch) = due.min_by_key(|(due, id, _)| (*due, *id))?;
        watch.questions_left -= 1;
        watch.not_before = now + PAUSE;
        watch.waits_for = WaitsFor::Answer { values_came: false };
        Some(id)
    }

    /// Whether an answer that comes now took so long that such questions would be in the way of limits.
    pub(super) fn took_long(&self, now: Mono, id: ConnectorId) -> bool {
        let watch = self.watched.get(&id);
        watch.is_some_and(|watch| now.since(watch.not_before) > PAUSE)
    }

    /// The wallbox promised the values.
    pub(super) fn promised(&mut self, now: Mono, id: ConnectorId) {
        let Some(watch) = self.watched.get_mut(&id) else {
            return;
        };
        if let WaitsFor::Answer { values_came } = watch.waits_for {
            watch.waits_for = if values_came {
                WaitsFor::Nothing
            } else {
                WaitsFor::Values(now + VALUES_WITHIN)
            };
        }
    }

    /// The wallbox said no, or nothing. True if that is news.
    pub(super) fn refused(&mut self) -> bool {
        self.watched.clear();
        !std::mem::replace(&mut self.refused, true)
    }

    /// When [`FollowUp::next`] has something to ask.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.watched.values().filter_map(Watch::due).min()
    }
}

impl Station {
    /// The wallbox took a limit that is news: does its car follow?
    pub(super) fn watch_car(&mut self, now: Mono, id: ConnectorId, limit: Limit) {
        let charges = !self.plan.observe && self.ledger.open_of(id).is_some();
        let connector = self.connectors.get(&id).filter(|_| charges);
        let drawn = connector.and_then(|connector| largest(&connector.measured));
        self.follow_up.accepted(now, id, limit, drawn);
    }

    /// A connector was measured.
    pub(super) fn car_draws(&mut self, now: Mono, id: ConnectorId, measured: &Measured) {
        if let Some(drawn) = largest(measured) {
            self.follow_up.measured(id, drawn);
            self.complain_again(now, id, drawn);
        }
    }

    /// Asks for the values of a connector; false if none is to be asked.
    pub(super) fn ask_for_values(&mut self, context: &mut Context<'_>) -> bool {
        let (ledger, connectors) = (&self.ledger, &self.connectors);
        self.follow_up.retain(|id| {
            let connector = connectors.get(&id);
            connector.is_some_and(|it| it.setpoint.has_newest()) && ledger.open_of(id).is_some()
        });
        let Some(id) = self.follow_up.next(context.now.mono) else {
            return false;
        };
        self.trigger(
            context,
            MessageTrigger::MeterValues,
            Some(id),
            Asked::Values(id),
        );
        true
    }

    /// The wallbox answered such a question.
    pub(super) fn handle_values_answer(
        &mut self,
        now: Mono,
        id: ConnectorId,
        result: Result<&RawValue, CallFailure>,
    ) {
        let answer = result
            .ok()
            .and_then(|raw| messages::parse::<TriggerMessageResponse>(raw).ok());
        let says_yes = answer.is_some_and(|it| it.status == TriggerMessageStatus::Accepted);
        if says_yes && !self.follow_up.took_long(now, id) {
            self.follow_up.promised(now, id);
        } else {
            self.sends_no_values();
        }
    }

    /// It said no to such a question, nothing, or yes too late: that costs it the next ones.
    pub(super) fn sends_no_values(&mut self) {
        if self.follow_up.refused() {
            debug!(charge_point = %self.plan.id, "a wallbox sends no values for the asking: its next samples are waited for");
        }
    }
}

/// The current of the phase that carries most.
fn largest(measured: &Measured) -> Option<MilliAmps> {
    measured.current?.0.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: ConnectorId = ConnectorId(1);
    const TWO: ConnectorId = ConnectorId(2);

    fn at(milliseconds: u64) -> Mono {
        Mono(Duration::from_millis(milliseconds))
    }

    fn limit(amps: i32) -> Limit {
        Limit::Current(MilliAmps::from_amps(amps))
    }

    /// At 0 a limit of 6 A was accepted for a car that draws 16 A.
    fn watching() -> FollowUp {
        let mut follow_up = FollowUp::default();
        follow_up.accepted(at(0), ONE, limit(6), Some(MilliAmps(16_000)));
        follow_up
    }

    /// Whoever answers and sends at once, for a while: when it was asked, in tenths of a second.
    fn asked(follow_up: &mut FollowUp, drawn: i32) -> Vec<u64> {
        let asked = |tenth: &u64| {
            let now = at(tenth * 100);
            let due = follow_up.poll_timeout().is_some_and(|due| due <= now);
            let id = follow_up.next(now);
            assert_eq!(id.is_some(), due, "after {tenth} tenths of a second");
            if let Some(id) = id {
                follow_up.promised(now, id);
                follow_up.measured(id, MilliAmps(drawn));
            }
            id.is_some()
        };
        (0..200).filter(asked).collect()
    }

    #[test]
    fn a_car_that_does_not_follow_is_asked_about_five_times_a_second_apart() {
        assert_eq!(asked(&mut watching(), 16_000), [10, 20, 30, 40, 50]);
        assert_eq!(asked(&mut watching(), 6501), [10, 20, 30, 40, 50]);
    }

    #[test]
    fn a_car_that_follows_within_half_an_ampere_is_not_asked_about_any_more() {
        let mut follow_up = watching();
        assert_eq!(asked(&mut follow_up, 6500), [10]);
        assert_eq!(follow_up.poll_timeout(), None);
    }

    #[test]
    fn values_that_come_by_themselves_end_the_questions_too() {
        let mut follow_up = watching();
        follow_up.measured(ONE, MilliAmps(5900));
        assert_eq!(asked(&mut follow_up, 16_000), [0; 0]);
    }

    #[test]
    fn nobody_is_asked_about_whom_nothing_is_known_or_who_follows_or_who_is_free() {
        let mut follow_up = FollowUp::default();
        for (limit, drawn) in [
            (limit(6), None),
            (limit(6), Some(6500)),
            (limit(0), Some(500)),
            (limit(16), Some(9000)),
            (Limit::Released, Some(16_000)),
        ] {
            follow_up.accepted(at(0), ONE, limit, drawn.map(MilliAmps));
            assert_eq!(follow_up.poll_timeout(), None, "{limit:?}, {drawn:?}");
        }
        follow_up.accepted(at(0), ONE, limit(0), Some(MilliAmps(501)));
        assert_eq!(follow_up.poll_timeout(), Some(at(1000)));
    }

    #[test]
    fn a_question_waits_for_the_answer_to_the_last_one_and_for_its_values_a_second() {
        let mut follow_up = watching();
        assert_eq!(follow_up.next(at(1000)), Some(ONE));
        assert_eq!(follow_up.poll_timeout(), None);
        assert_eq!(follow_up.next(at(9000)), None, "there is no answer");
        follow_up.promised(at(9000), ONE);
        assert_eq!(follow_up.next(at(9999)), None, "they are on their way");
        assert_eq!(follow_up.poll_timeout(), Some(at(10_000)));
        assert_eq!(follow_up.next(at(10_000)), Some(ONE));
        follow_up.promised(at(10_100), ONE);
        follow_up.measured(ONE, MilliAmps(16_000));
        assert_eq!(follow_up.next(at(10_999)), None);
        assert_eq!(follow_up.next(at(11_000)), Some(ONE));
    }

    #[test]
    fn values_may_come_before_the_answer_that_promises_them() {
        let mut follow_up = watching();
        assert_eq!(follow_up.next(at(1000)), Some(ONE));
        follow_up.measured(ONE, MilliAmps(16_000));
        assert_eq!(follow_up.poll_timeout(), None);
        follow_up.promised(at(1800), ONE);
        assert_eq!(follow_up.poll_timeout(), Some(at(2000)));
    }

    #[test]
    fn another_limit_begins_anew() {
        let mut follow_up = watching();
        assert_eq!(asked(&mut follow_up, 16_000).len(), 5);
        follow_up.accepted(at(20_000), ONE, limit(0), Some(MilliAmps(16_000)));
        assert_eq!(follow_up.poll_timeout(), Some(at(21_000)));
        follow_up.accepted(at(20_500), ONE, limit(16), Some(MilliAmps(16_000)));
        assert_eq!(follow_up.poll_timeout(), None);
    }

    #[test]
    fn who_has_waited_longest_comes_first() {
        let mut follow_up = FollowUp::default();
        follow_up.accepted(at(100), ONE, limit(6), Some(MilliAmps(16_000)));
        follow_up.accepted(at(0), TWO, limit(6), Some(MilliAmps(16_000)));
        let next: Vec<_> = (0..3).map(|_| follow_up.next(at(5000))).collect();
        assert_eq!(next, [Some(TWO), Some(ONE), None]);
        follow_up.retain(|id| id != TWO);
        follow_up.promised(at(5000), ONE);
        follow_up.promised(at(5000), TWO);
        assert_eq!(follow_up.next(at(7000)), Some(ONE));
        assert_eq!(follow_up.next(at(9000)), None);
    }

    #[test]
    fn who_refuses_is_not_asked_again_on_this_connection() {
        let mut follow_up = watching();
        assert_eq!(follow_up.next(at(1000)), Some(ONE));
        assert!(follow_up.refused());
        assert!(!follow_up.refused(), "said once");
        follow_up.accepted(at(2000), ONE, limit(0), Some(MilliAmps(16_000)));
        assert_eq!(follow_up.poll_timeout(), None);
        follow_up.begin();
        follow_up.accepted(at(3000), ONE, limit(0), Some(MilliAmps(16_000)));
        assert_eq!(follow_up.poll_timeout(), Some(at(4000)));
    }

    #[test]
    fn a_promise_that_comes_late_changes_nothing() {
        let mut follow_up = watching();
        follow_up.promised(at(500), ONE);
        assert_eq!(follow_up.poll_timeout(), Some(at(1000)));
        follow_up.promised(at(500), TWO);
    }
}
