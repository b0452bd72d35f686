//! What a load manager keeps to below a meter when it raises and starts cars, however much it knows.
//!
//! Written without the code of the load manager, and shorter: what only spares writes is left out.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::load::{Device, EvsePlan, LoadPlan};
use crate::units::{MilliAmps, PerPhase};

/// Cars begin so far apart.
const STARTS_APART: Duration = Duration::from_secs(5);

/// A car that begins gets no more than its minimum until it draws this, ...
const DRAWS: MilliAmps = MilliAmps(1000);

/// ... or for so long.
const BEGINS_WITHIN: Duration = Duration::from_secs(20);

/// Who had to be paused rests for so long, and there must have been room for as long.
const RESTS: Duration = Duration::from_mins(1);

/// So much more than its minimum.
pub(super) const ROOM: MilliAmps = MilliAmps(1000);

/// A raise by less than this ...
const SMALL: MilliAmps = MilliAmps(1000);

/// ... waits until nothing was raised for so long.
const SMALL_WAITS: Duration = Duration::from_secs(30);

/// So many raises of an OCPP wallbox may follow one another.
const BURST: u32 = 3;

#[derive(Debug)]
pub(super) struct Rules {
    hold: Duration,
    step: MilliAmps,
    interval: Duration,
    ocpp_interval: Duration,
    /// What the house took lately, and since when.
    house: VecDeque<(Mono, PerPhase<MilliAmps>)>,
    /// When a car began last.
    started: Option<Mono>,
    paces: Vec<Pace>,
}

/// Of one EVSE.
#[derive(Debug, Clone, Copy, Default)]
struct Pace {
    began: Option<Mono>,
    raised: Option<Mono>,
    /// Each raise of an OCPP wallbox pays for an interval.
    paid_until: Mono,
    paused: Option<Mono>,
    /// Since when there has been room for it.
    room: Option<Mono>,
}

impl Rules {
    pub(super) fn new(plan: &LoadPlan) -> Self {
        Self {
            hold: plan.raise_hold,
            step: plan.raise_step,
            interval: plan.raise_interval,
            ocpp_interval: plan.ocpp_raise_interval,
            house: VecDeque::new(),
            started: None,
            paces: vec![Pace::default(); plan.evses.len()],
        }
    }

    /// The most that the house took lately.
    pub(super) fn peak(&mut self, now: Mono, house: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
        if self.house.back().is_none_or(|(_, last)| *last != house) {
            self.house.push_back((now, house));
        }
        let ended = |until: &(Mono, _)| now.since(until.0) >= self.hold;
        while self.house.get(1).is_some_and(ended) {
            self.house.pop_front();
        }
        self.house.iter().fold(house, |mut peak, (_, house)| {
            for (phase, current) in house.iter() {
                peak[phase] = peak[phase].max(current);
            }
            peak
        })
    }

    /// An EVSE is paused.
    pub(super) fn pause(&mut self, now: Mono, evse: usize) {
        if let Some(pace) = self.paces.get_mut(evse) {
            pace.paused = Some(now);
            pace.room = None;
        }
    }

    /// It was paused and has not been allowed to start since.
    pub(super) fn is_paused(&self, evse: usize) -> bool {
        let pace = self.paces.get(evse);
        pace.is_some_and(|pace| pace.paused.is_some())
    }

    /// Whether there would be room for a paused one; true if it must not start yet.
    pub(super) fn rests(&mut self, now: Mono, evse: usize, has_room: bool) -> bool {
        let Some(pace) = self.paces.get_mut(evse) else {
            return false;
        };
        let Some(paused) = pace.paused else {
            return false;
        };
        pace.room = has_room.then(|| pace.room.unwrap_or(now));
        let lasts = |since: Mono| now.since(since) >= RESTS;
        let ends = lasts(paused) && pace.room.is_some_and(lasts);
        if ends {
            pace.paused = None;
        }
        !ends
    }

    /// What it may be raised to now on its way to `target`, if its car draws this much.
    pub(super) fn step(
        &self,
        now: Mono,
        evse: usize,
        plan: &EvsePlan,
        way: (MilliAmps, MilliAmps),
        drawn: MilliAmps,
    ) -> Option<MilliAmps> {
        let (pace, (old, target)) = (self.paces.get(evse)?, way);
        let lasts = |since: Option<Mono>, span| since.is_none_or(|since| now.since(since) >= span);
        if old < plan.min {
            return lasts(self.started, STARTS_APART).then_some(plan.min.min(target));
        }
        let pause = if target - old < SMALL {
            SMALL_WAITS
        } else {
            self.interval
        };
        let begins = drawn < DRAWS && !lasts(pace.began, BEGINS_WITHIN);
        let is_free = plan.device == Device::Modbus
            || pace.paid_until <= now + self.ocpp_interval * (BURST - 1);
        (!begins && is_free && lasts(pace.raised, pause)).then_some(target.min(old + self.step))
    }

    /// It is raised, from what it had.
    pub(super) fn raise(&mut self, now: Mono, evse: usize, plan: &EvsePlan, old: MilliAmps) {
        let Some(pace) = self.paces.get_mut(evse) else {
            return;
        };
        pace.raised = Some(now);
        pace.paid_until = pace.paid_until.max(now) + self.ocpp_interval;
        if old < plan.min {
            pace.began = Some(now);
            self.started = Some(now);
        }
    }
}
