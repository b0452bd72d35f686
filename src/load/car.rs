//! An EVSE on its way through the two stages of the allocator.

use std::cmp::Reverse;
use std::time::Duration;

use super::plan::EvsePlan;
use super::request::Wants;
use crate::clock::Mono;

/// What the plan says about an EVSE.
#[derive(Debug)]
pub(super) struct Terms {
    priority: i32,
    weight: i64,
    step: i64,
}

/// An EVSE that takes part in this round.
#[derive(Debug)]
pub(super) struct Car {
    pub(super) evse: usize,
    pub(super) priority: i32,
    pub(super) weight: i64,
    pub(super) min: i64,
    /// The highest current on the grid of its steps that it may have.
    pub(super) top: i64,
    pub(super) step: i64,
    pub(super) in_slot: bool,
    pub(super) attained: i64,
    pub(super) plugged_at: Mono,
    /// How long it has been waiting, if so long that nobody may be let in past it any more.
    pub(super) overdue: Option<Duration>,
    pub(super) amps: i64,
    /// By how much it rises at a time: its step, or several.
    pub(super) rise: i64,
    pub(super) state: State,
}

/// How far an EVSE has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not admitted.
    Waiting,
    /// Admitted, and may get more.
    Rising,
    /// At its maximum.
    Topped,
    /// This resource is used up.
    Stopped(usize),
    /// More would be too asymmetric, unless others rise.
    Parked(usize),
}

impl Terms {
    pub(super) fn new(evse: &EvsePlan) -> Self {
        Self {
            priority: evse.priority,
            weight: i64::from(evse.weight.clamp(1, 100)),
            step: i64::from(evse.step.0.max(1)),
        }
    }
}

impl Car {
    /// `None` if it can get nothing, because its maximum is below its minimum.
    pub(super) fn new(
        evse: usize,
        terms: &Terms,
        wants: &Wants,
        patience: Duration,
    ) -> Option<Self> {
        let (min, max) = (i64::from(wants.min.0.max(0)), i64::from(wants.max.0));
        // A box that takes whole amperes only can do nothing with 6.5 A.
        let min = if terms.step % 1000 == 0 {
            (min + 999) / 1000 * 1000
        } else {
            min
        };
        (min <= max).then(|| Self {
            evse,
            priority: terms.priority,
            weight: terms.weight,
            min,
            top: max - (max - min) % terms.step,
            step: terms.step,
            in_slot: wants.in_slot,
            attained: wants.attained,
            plugged_at: wants.plugged_at,
            overdue: (wants.waited > patience).then_some(wants.waited),
            amps: 0,
            rise: terms.step,
            state: State::Waiting,
        })
    }

    /// The order of admission: priority, a running slot, overdue (the longest first: a car that
    /// attains little in its slots would be before it for ever), least attained, longest plugged.
    /// The place in the file decides between equals.
    pub(super) fn rank(&self) -> impl Ord + use<> {
        (
            Reverse(self.priority),
            !self.in_slot,
            Reverse(self.overdue),
            self.attained,
            self.plugged_at,
            self.evse,
        )
    }
}

/// How many at the beginning of `cars`, which are in order, have the same priority.
pub(super) fn class_len(cars: &[Car]) -> usize {
    let class = cars.first().map(|car| car.priority);
    cars.iter()
        .take_while(|car| Some(car.priority) == class)
        .count()
}
