//! Shares the circuits among the EVSEs that want current.

#![expect(
    clippy::indexing_slicing,
    reason = "cars are indexed by their own vector, resources by the layout"
)]

use std::cmp::Reverse;
use std::time::Duration;

use super::admission::Admission;
use super::circuit::Circuits;
use super::filling::Filling;
use super::plan::{LoadPlan, PriorityMode};
use super::request::{Request, Share, Wants};
use super::usage::Usage;
use crate::clock::Mono;
use crate::evse::Reason;
use crate::units::MilliAmps;

/// Decides who gets how much. Pure: the same requests always get the same shares.
///
/// Two stages. *Admission* walks the EVSEs in order (priority, a running slot, least service
/// attained, longest plugged) and gives each its minimum if everything on its path bears it.
/// *Filling* then raises the admitted together, in proportion to their weights, until each is at
/// its maximum or stopped by something that is used up.
#[derive(Debug)]
pub struct Allocator {
    circuits: Circuits,
    terms: Vec<Terms>,
    mode: PriorityMode,
    patience: Duration,
    usage: Usage,
    admission: Admission,
    filling: Filling,
    cars: Vec<Car>,
    shares: Vec<Share>,
}

/// What the plan says about an EVSE.
#[derive(Debug)]
struct Terms {
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
    /// It waited so long that nobody may be let in past it any more.
    pub(super) is_overdue: bool,
    pub(super) amps: i64,
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

impl Allocator {
    /// For the circuits and EVSEs of a plan.
    pub fn new(plan: &LoadPlan) -> Self {
        let circuits = Circuits::new(plan);
        let terms = plan.evses.iter().map(|evse| Terms {
            priority: evse.priority,
            weight: i64::from(evse.weight.clamp(1, 100)),
            step: i64::from(evse.step.0.max(1)),
        });
        Self {
            terms: terms.collect(),
            mode: plan.priority_mode,
            patience: plan.rotation_period.saturating_mul(2),
            usage: Usage::new(circuits.layout()),
            admission: Admission::new(circuits.layout()),
            filling: Filling::new(circuits.layout()),
            cars: Vec::with_capacity(plan.evses.len()),
            shares: Vec::with_capacity(plan.evses.len()),
            circuits,
        }
    }

    /// Shares what the fixed requests leave over. `requests[i]` belongs to EVSE `i` of the plan,
    /// and so does share `i`; a fixed request gets an offer of 0.
    pub fn allocate(&mut self, requests: &[Request]) -> &[Share] {
        self.take(requests);
        let layout = self.circuits.layout();
        self.admission.start(layout, &self.usage);
        let mut from = 0;
        while from < self.cars.len() {
            let to = match self.mode {
                PriorityMode::Strict => from + class_len(&self.cars[from..]),
                PriorityMode::MinFirst => self.cars.len(),
            };
            let group = &mut self.cars[from..to];
            self.admission.start_group(layout, &self.usage);
            loop {
                let admitted = self.admission.admit(layout, &mut self.usage, group, from);
                let mut raised = false;
                let mut rest = &mut *group;
                while !rest.is_empty() {
                    let (class, lower) = rest.split_at_mut(class_len(rest));
                    raised |= self.filling.fill(layout, &mut self.usage, class);
                    rest = lower;
                }
                // Only where asymmetry counts can one car make room for another.
                if !layout.is_uneven || !(admitted || raised) {
                    break;
                }
            }
            from = to;
        }
        self.answer(requests);
        &self.shares
    }

    /// Rounds of filling since it was built.
    #[cfg(test)]
    pub(super) fn rounds(&self) -> usize {
        self.filling.rounds
    }

    /// Books what is fixed, and lines up the rest.
    fn take(&mut self, requests: &[Request]) {
        let layout = self.circuits.layout();
        self.usage.clear(layout);
        self.cars.clear();
        for ((evse, terms), request) in self.terms.iter().enumerate().zip(requests) {
            match request {
                Request::Fixed(grid) => {
                    let grid = grid.map(|amps| i64::from(amps.0.max(0)));
                    self.usage.add_grid(layout, evse, grid);
                }
                Request::Wants(wants) => {
                    self.cars
                        .extend(Car::new(evse, terms, wants, self.patience));
                }
            }
        }
        self.usage.tolerate(layout);
        self.cars.sort_unstable_by_key(|car| {
            (
                Reverse(car.priority),
                !car.in_slot,
                car.attained,
                car.plugged_at,
                car.evse,
            )
        });
    }

    fn answer(&mut self, requests: &[Request]) {
        let nothing = |reason| Share {
            offer: MilliAmps::ZERO,
            reason,
        };
        self.shares.clear();
        self.shares.extend(
            requests
                .iter()
                .take(self.terms.len())
                .map(|request| match request {
                    Request::Fixed(_) => nothing(Reason::NotLimitable),
                    Request::Wants(wants) => nothing(wants.at_max.clone()),
                }),
        );
        let layout = self.circuits.layout();
        let mut queue = 0;
        for car in &self.cars {
            let share = &mut self.shares[car.evse];
            share.offer = MilliAmps(i32::try_from(car.amps).unwrap_or(0));
            match car.state {
                State::Waiting => {
                    let hopeless = self.admission.hopeless(layout, car);
                    share.reason = hopeless.map_or_else(
                        || {
                            queue += 1;
                            Reason::Queue {
                                position: queue,
                                expected: None,
                            }
                        },
                        |resource| layout.reason(resource),
                    );
                }
                State::Stopped(resource) | State::Parked(resource) => {
                    share.reason = layout.reason(resource);
                }
                // As prepared: its own maximum.
                State::Rising | State::Topped => {}
            }
        }
    }
}

impl Car {
    /// `None` if it can get nothing, because its maximum is below its minimum.
    fn new(evse: usize, terms: &Terms, wants: &Wants, patience: Duration) -> Option<Self> {
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
            is_overdue: wants.waited > patience,
            amps: 0,
            state: State::Waiting,
        })
    }
}

/// How many at the beginning of `cars`, which are in order, have the same priority.
fn class_len(cars: &[Car]) -> usize {
    let class = cars.first().map(|car| car.priority);
    cars.iter()
        .take_while(|car| Some(car.priority) == class)
        .count()
}
