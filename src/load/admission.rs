//! Who gets its minimum at all.

#![expect(
    clippy::indexing_slicing,
    reason = "every index is a resource of the layout"
)]

use super::car::{Car, State};
use super::layout::{Layout, Term};
use super::usage::Usage;

/// Nobody reserved it.
const FREE: usize = usize::MAX;

/// Walks the waiting in order and gives each its minimum if it fits. Who does not fit is passed
/// by others who do, so that nothing lies idle; but not for ever: the overdue reserve the
/// resources they miss.
#[derive(Debug)]
pub(super) struct Admission {
    /// What is left of each resource beside the fixed requests.
    alone: Vec<i64>,
    /// What was left of it when the present group began.
    room: Vec<i64>,
    /// The place in the order of the first overdue EVSE that misses it.
    reserved: Vec<usize>,
}

impl Admission {
    pub(super) fn new(layout: &Layout) -> Self {
        let resources = layout.resources.len();
        Self {
            alone: vec![0; resources],
            room: vec![0; resources],
            reserved: vec![FREE; resources],
        }
    }

    /// Begins a round: only the fixed requests are booked.
    pub(super) fn start(&mut self, layout: &Layout, usage: &Usage) {
        note_slack(&mut self.alone, layout, usage);
        self.reserved.fill(FREE);
    }

    /// Begins a group: only who cannot be displaced by it is booked.
    pub(super) fn start_group(&mut self, layout: &Layout, usage: &Usage) {
        note_slack(&mut self.room, layout, usage);
    }

    /// Admits whom it can, and says whether that was anybody. The first of the group is the
    /// `offset`th of all.
    pub(super) fn admit(
        &mut self,
        layout: &Layout,
        usage: &mut Usage,
        group: &mut [Car],
        offset: usize,
    ) -> bool {
        let mut any = false;
        loop {
            let mut again = false;
            for (place, car) in (offset..).zip(&mut *group) {
                let terms = layout.linear(car.evse);
                if car.state != State::Waiting
                    || terms
                        .iter()
                        .any(|term| self.reserved[term.resource] < place)
                {
                    continue;
                }
                if usage.obstacle(layout, car.evse, car.min).is_none() {
                    usage.add(layout, car.evse, car.min);
                    car.amps = car.min;
                    car.state = State::Rising;
                    again = layout.is_uneven;
                    any = true;
                } else if car.overdue.is_some() {
                    self.reserve(terms, usage, car.min, place);
                }
            }
            // Who was let in may have evened out the phases for one who was not.
            if !again {
                return any;
            }
        }
    }

    /// A resource that does not bear the EVSE's minimum even if all others get nothing.
    pub(super) fn hopeless(&self, layout: &Layout, car: &Car) -> Option<usize> {
        let mut terms = layout.linear(car.evse).iter();
        terms
            .find(|term| self.alone[term.resource] < term.coefficient * car.min)
            .map(|t| t.resource)
    }

    /// Whoever reserves is not let in any more in this round: what it misses only shrinks.
    fn reserve(&mut self, terms: &[Term], usage: &Usage, min: i64, place: usize) {
        // It would be in vain where the others of the group are not the reason.
        if terms
            .iter()
            .any(|term| self.room[term.resource] < term.coefficient * min)
        {
            return;
        }
        for term in terms {
            if usage.slack(term.resource) < term.coefficient * min {
                let reserved = &mut self.reserved[term.resource];
                *reserved = place.min(*reserved);
            }
        }
    }
}

fn note_slack(slack: &mut [i64], layout: &Layout, usage: &Usage) {
    for (resource, slack) in slack.iter_mut().enumerate().take(layout.resources.len()) {
        *slack = usage.slack(resource);
    }
}
