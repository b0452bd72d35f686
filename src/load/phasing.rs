//! Whether an EVSE would be better off with one phase, or with all.

use super::controller::Controller;
use super::house_load::Load;
use super::phase_switch::ROOM_PERCENT;
use super::plan::{EvsePlan, Rotation};
use super::request::{Request, Share};
use crate::evse::Reason;
use crate::units::PerPhase;

impl Controller {
    /// After sharing: lets an EVSE be switched if that would help it.
    pub(super) fn judge_phases(&mut self, index: usize, share: &Share, request: &Request) {
        let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
        else {
            return;
        };
        if !evse.switch.can || plan.phases < 2 || !matches!(request, Request::Wants(_)) {
            return;
        }
        let better = if evse.switch.wants_single() {
            self.allocator
                .bears(index, what_all_would_take(plan, share))
        } else {
            let one = on_phases(plan, 1, least(plan));
            lacks_room(share)
                && self.allocator.bears(index, one)
                && self.allocator.stays_even(index, one)
        };
        if evse.switch.judge(self.now, better) {
            evse.tell_again = true;
        }
    }
}

/// It gets nothing, and it is the circuits that have too little for it.
fn lacks_room(share: &Share) -> bool {
    let lacks = matches!(
        share.reason,
        Reason::Circuit { .. }
            | Reason::Power { .. }
            | Reason::Signal { .. }
            | Reason::Asymmetry { .. }
            | Reason::Failsafe { .. }
            | Reason::Queue { .. }
    );
    share.offer.0 == 0 && lacks
}

/// The minimum of all phases and some more, beside what it has on one.
fn what_all_would_take(plan: &EvsePlan, share: &Share) -> Load {
    let mut more = on_phases(plan, plan.phases, least(plan) * ROOM_PERCENT / 100);
    let has = on_phases(plan, 1, i64::from(share.offer.0));
    for (phase, has) in has.phases.iter() {
        more.phases[phase] -= has;
    }
    more.power -= has.power;
    more
}

/// So much on each of the first phases of an EVSE; on every phase of the grid if nobody knows which
/// they are.
fn on_phases(plan: &EvsePlan, count: u8, amps: i64) -> Load {
    let phases = match plan.rotation {
        Rotation::Unknown => PerPhase::all(amps),
        Rotation::Known(order) => {
            let mut phases = PerPhase::all(0);
            for phase in order.into_iter().take(usize::from(count)) {
                phases[phase] = amps;
            }
            phases
        }
    };
    Load {
        phases,
        power: amps * i64::from(count),
    }
}

fn least(plan: &EvsePlan) -> i64 {
    i64::from(plan.min.0)
}
