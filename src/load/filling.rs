//! How much the admitted get: weighted progressive filling, exact to the step.

#![expect(
    clippy::indexing_slicing,
    reason = "cars are indexed by a list made from their own slice, resources by the layout"
)]

use super::car::{Car, State};
use super::layout::Layout;
use super::usage::Usage;

/// How many coarse steps a minimum has, which is 6 A or a little more.
const STRIDES: i64 = 64;

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

/// A step of somebody: where it leads, and how large it is.
#[derive(Debug, Clone, Copy)]
struct Step {
    level: Level,
    rise: i64,
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
        let is_uneven = class.iter().any(|car| !layout.uneven(car.evse).is_empty());
        let mut raised = false;
        if is_uneven {
            // Phases that must rise together rise in turns: not a milliampere each.
            raised = self.fill_by(layout, usage, class, Car::stride);
        }
        self.fill_by(layout, usage, class, |car| car.step) || raised
    }

    fn fill_by(
        &mut self,
        layout: &Layout,
        usage: &mut Usage,
        class: &mut [Car],
        step: impl Fn(&Car) -> i64,
    ) -> bool {
        self.order.clear();
        for (index, car) in class.iter_mut().enumerate() {
            if car.state != State::Waiting {
                car.rise = step(car);
                self.order.push(index);
            }
        }
        self.order
            .sort_unstable_by_key(|index| (class[*index].plugged_at, class[*index].evse));
        let mut raised = false;
        while let Some(lowest) = self.sweep(layout, usage, class) {
            raised = true;
            #[cfg(test)]
            {
                self.rounds += 1;
            }
            let together = self.reach(layout, usage, class, lowest, i64::MAX);
            let reach = if together.is_below(lowest.level) {
                // The finest alone, as long as none of the others has a step to take.
                self.reach(layout, usage, class, lowest, lowest.rise)
            } else {
                together
            };
            if reach.is_below(lowest.level) {
                self.step(layout, usage, class, lowest.level);
            } else {
                self.raise(layout, usage, class, reach);
            }
        }
        raised
    }

    /// Takes out who cannot take another step; the lowest next step of the rest.
    fn sweep(&mut self, layout: &Layout, usage: &Usage, class: &mut [Car]) -> Option<Step> {
        let mut lowest: Option<Step> = None;
        self.order.retain(|&index| {
            let car = &mut class[index];
            car.state = car.next_state(layout, usage);
            if car.state == State::Rising {
                let next = car.next_step();
                if lowest.is_none_or(|lowest| next.level.is_below(lowest.level)) {
                    lowest = Some(next);
                }
            }
            matches!(car.state, State::Rising | State::Parked(_))
        });
        lowest
    }

    /// A level up to which everybody can take all steps, whoever the others are. Who rises by
    /// more than `finest` at a time takes none before that level.
    fn reach(
        &mut self,
        layout: &Layout,
        usage: &Usage,
        class: &[Car],
        lowest: Step,
        finest: i64,
    ) -> Level {
        self.used.fill(0);
        self.slope.fill(0);
        let mut reach = Level {
            amps: i64::from(i32::MAX),
            weight: 1,
        };
        for place in 0..self.order.len() {
            let car = &class[self.order[place]];
            if car.state != State::Rising {
                continue;
            }
            if car.rise > finest {
                let Level { amps, weight } = car.next_step().level;
                reach = reach.min(Level {
                    amps: amps - 1,
                    weight,
                });
            } else if lowest.level.is_below(car.level()) {
                // It joins when the others have come up to it.
                reach = reach.min(car.level());
            } else {
                self.join(layout, car);
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

    fn join(&mut self, layout: &Layout, car: &Car) {
        for term in layout.linear(car.evse) {
            self.used[term.resource] += term.coefficient * car.amps;
            self.slope[term.resource] += term.coefficient * car.weight;
        }
        let loads = layout.places[car.evse].loads;
        for &first in layout.uneven(car.evse) {
            for (phase, _) in loads.iter().filter(|(_, loads)| *loads) {
                self.used[first + phase.index()] += car.amps;
                self.slope[first + phase.index()] += car.weight;
            }
        }
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
            let steps = (car.weight * reach.amps / reach.weight - car.min) / car.rise;
            let more = (car.min + steps * car.rise).min(car.top) - car.amps;
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
                && !lowest.is_below(car.next_step().level)
                && usage.obstacle(layout, car.evse, car.rise).is_none()
            {
                car.amps += car.rise;
                usage.add(layout, car.evse, car.rise);
            }
        }
    }
}

impl Car {
    /// About 0.1 A in whole steps.
    fn stride(&self) -> i64 {
        self.step * (self.min / STRIDES / self.step).max(1)
    }

    fn level(&self) -> Level {
        Level {
            amps: self.amps,
            weight: self.weight,
        }
    }

    fn next_step(&self) -> Step {
        let level = Level {
            amps: self.amps + self.rise,
            weight: self.weight,
        };
        Step {
            level,
            rise: self.rise,
        }
    }

    fn next_state(&self, layout: &Layout, usage: &Usage) -> State {
        if self.amps + self.rise > self.top {
            State::Topped
        } else if let Some(resource) = usage.full(layout, self.evse, self.rise) {
            State::Stopped(resource)
        } else if let Some(resource) = usage.too_uneven(layout, self.evse, self.rise) {
            State::Parked(resource)
        } else {
            State::Rising
        }
    }
}

impl Level {
    fn is_below(self, other: Self) -> bool {
        self.amps * other.weight < other.amps * self.weight
    }

    fn min(self, other: Self) -> Self {
        if other.is_below(self) { other } else { self }
    }
}
