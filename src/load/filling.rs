//! How much the admitted get: weighted progressive filling, exact to the step.

#![expect(
    clippy::indexing_slicing,
    reason = "cars are indexed by a list made from their own slice, resources by the layout"
)]

use std::cmp::Ordering;

use super::allocator::{Car, State};
use super::circuit::Layout;
use super::usage::Usage;

/// Raises the admitted of a class step by step, always the one whose next step leads to the
/// lowest level (current divided by weight). Who cannot take its step is out, the rest goes on.
///
/// The result is that of single steps; but as long as nothing can run short, all steps up to the
/// highest safe level are taken at once.
#[derive(Debug)]
pub(super) struct Filling {
    /// Who may rise, in the order in which equals take their steps.
    order: Vec<usize>,
    /// For each resource: what those that rise use of it now, and per level.
    used: Vec<i64>,
    slope: Vec<i64>,
    #[cfg(test)]
    pub(super) rounds: usize,
}

/// A current divided by a weight.
#[derive(Debug, Clone, Copy)]
struct Level {
    amps: i64,
    weight: i64,
}

impl Filling {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            order: Vec::with_capacity(layout.places.len()),
            used: vec![0; layout.resources.len()],
            slope: vec![0; layout.resources.len()],
            #[cfg(test)]
            rounds: 0,
        }
    }

    /// Raises the admitted of one class as far as possible, and says whether anybody rose.
    pub(super) fn fill(&mut self, layout: &Layout, usage: &mut Usage, class: &mut [Car]) -> bool {
        self.order.clear();
        let admitted = |car: &Car| matches!(car.state, State::Rising | State::Parked(_));
        self.order
            .extend((0..class.len()).filter(|index| admitted(&class[*index])));
        self.order
            .sort_unstable_by_key(|index| (class[*index].plugged_at, class[*index].evse));
        let mut raised = false;
        while let Some(lowest) = self.sweep(layout, usage, class) {
            raised = true;
            #[cfg(test)]
            {
                self.rounds += 1;
            }
            let reach = self.reach(layout, usage, class, lowest);
            if reach.cmp(lowest) == Ordering::Less {
                self.step(layout, usage, class, lowest);
            } else {
                self.raise(layout, usage, class, reach);
            }
        }
        raised
    }

    /// Takes out who cannot take another step; the level of the lowest next step of the rest.
    fn sweep(&mut self, layout: &Layout, usage: &Usage, class: &mut [Car]) -> Option<Level> {
        let mut lowest: Option<Level> = None;
        self.order.retain(|&index| {
            let car = &mut class[index];
            car.state = car.next_state(layout, usage);
            if car.state == State::Rising {
                let next = car.next_level();
                lowest = Some(lowest.map_or(next, |lowest| lowest.min(next)));
            }
            matches!(car.state, State::Rising | State::Parked(_))
        });
        lowest
    }

    /// A level up to which all that are below `lowest` can rise together, whoever they are.
    fn reach(&mut self, layout: &Layout, usage: &Usage, class: &[Car], lowest: Level) -> Level {
        self.used.fill(0);
        self.slope.fill(0);
        let mut reach = Level {
            amps: i64::from(i32::MAX),
            weight: 1,
        };
        for car in self.order.iter().map(|index| &class[*index]) {
            match (car.state, car.level().cmp(lowest)) {
                (State::Rising, Ordering::Less | Ordering::Equal) => {
                    for term in layout.linear(car.evse) {
                        self.used[term.resource] += term.coefficient * car.amps;
                        self.slope[term.resource] += term.coefficient * car.weight;
                    }
                    for &first in layout.uneven(car.evse) {
                        for (phase, loads) in layout.places[car.evse].loads.iter() {
                            if loads {
                                self.used[first + phase.index()] += car.amps;
                                self.slope[first + phase.index()] += car.weight;
                            }
                        }
                    }
                }
                // It joins when the others have come up to it.
                (State::Rising, Ordering::Greater) => reach = reach.min(car.level()),
                _ => {}
            }
        }
        for circuit in &layout.circuits {
            for resource in circuit.linear() {
                reach = self.bound(reach, resource, usage.slack(resource));
            }
            if let Some(first) = circuit.asymmetry {
                for (resource, slack) in (first..).zip(usage.uneven_slack(first)) {
                    reach = self.bound(reach, resource, slack);
                }
            }
        }
        reach
    }

    fn bound(&self, reach: Level, resource: usize, slack: i64) -> Level {
        match self.slope[resource] {
            0 => reach,
            weight => reach.min(Level {
                amps: self.used[resource] + slack,
                weight,
            }),
        }
    }

    /// Takes all steps up to `reach`.
    fn raise(&self, layout: &Layout, usage: &mut Usage, class: &mut [Car], reach: Level) {
        for &index in &self.order {
            let car = &mut class[index];
            let steps = (car.weight * reach.amps / reach.weight - car.min) / car.step;
            let more = (car.min + steps * car.step).min(car.top) - car.amps;
            if car.state == State::Rising && more > 0 {
                car.amps += more;
                usage.add(layout, car.evse, more);
            }
        }
    }

    /// Takes the steps that lead exactly to `lowest`, as far as they fit.
    fn step(&self, layout: &Layout, usage: &mut Usage, class: &mut [Car], lowest: Level) {
        for &index in &self.order {
            let car = &mut class[index];
            if car.state == State::Rising
                && car.next_level().cmp(lowest) == Ordering::Equal
                && usage.obstacle(layout, car.evse, car.step).is_none()
            {
                car.amps += car.step;
                usage.add(layout, car.evse, car.step);
            }
        }
    }
}

impl Car {
    fn level(&self) -> Level {
        Level {
            amps: self.amps,
            weight: self.weight,
        }
    }

    fn next_level(&self) -> Level {
        Level {
            amps: self.amps + self.step,
            weight: self.weight,
        }
    }

    fn next_state(&self, layout: &Layout, usage: &Usage) -> State {
        if self.amps + self.step > self.top {
            State::Topped
        } else if let Some(resource) = usage.full(layout, self.evse, self.step) {
            State::Stopped(resource)
        } else if let Some(resource) = usage.too_uneven(layout, self.evse, self.step) {
            State::Parked(resource)
        } else {
            State::Rising
        }
    }
}

impl Level {
    fn cmp(self, other: Self) -> Ordering {
        (self.amps * other.weight).cmp(&(other.amps * self.weight))
    }

    fn min(self, other: Self) -> Self {
        match self.cmp(other) {
            Ordering::Greater => other,
            Ordering::Less | Ordering::Equal => self,
        }
    }
}
