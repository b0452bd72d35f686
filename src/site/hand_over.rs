//! The last thing before a shutdown (`on-shutdown`): every wallbox is left as the configuration says.

use std::collections::BTreeSet;

use tracing::{info, warn};

use crate::clock::Now;
use crate::evse::{Limit, Offer, Reason, Report};
use crate::ids::OfferNumber;

use super::Site;

/// `manager.on-shutdown`, where it is not `keep`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HandOver {
    /// Every EVSE is left with its failsafe current.
    Failsafe,
    /// Every limit of ours is lifted. Nobody shares the fuses from then on.
    Release,
}

/// Larger than the number of any offer that the load manager made.
const FIRST_NUMBER: u64 = 1 << 62;

impl Site {
    /// Leaves every reachable EVSE as `how` says. The load manager has no say any more.
    pub fn hand_over(&mut self, now: Now, how: HandOver) {
        let mut numbers = (FIRST_NUMBER..).map(OfferNumber);
        let mut waiting = BTreeSet::new();
        for plan in self.plan.load.evses.clone() {
            let Some(number) = numbers.next().filter(|_| self.is_online(&plan.name)) else {
                continue;
            };
            let limit = match how {
                HandOver::Failsafe => Limit::Current(plan.failsafe),
                HandOver::Release => Limit::Released,
            };
            info!(evse = %plan.name, limit = ?limit, "an EVSE is left with this limit");
            waiting.insert(number);
            let offer = Offer {
                number,
                limit,
                reason: Reason::Disabled,
                single_phase: false,
            };
            self.deliver(now, &plan.name, offer);
        }
        self.handing_over = Some(waiting);
        self.settle(now);
    }

    /// Every EVSE that was reachable has answered.
    pub fn is_handed_over(&self) -> bool {
        self.handing_over.as_ref().is_some_and(BTreeSet::is_empty)
    }

    /// Notes an answer to the last offers.
    pub(super) fn note_hand_over(&mut self, report: &Report) {
        let Some(waiting) = &mut self.handing_over else {
            return;
        };
        match report {
            Report::Took(number) => {
                waiting.remove(number);
            }
            Report::Refused { offer, why } => {
                waiting.remove(offer);
                warn!(why = why.as_str(), "an EVSE keeps its old limit");
            }
            Report::Online(_)
            | Report::Booted
            | Report::Status(_)
            | Report::FallsBack(_)
            | Report::FallsTo(_)
            | Report::Switchable(_)
            | Report::SinglePhase(_)
            | Report::Demand(_)
            | Report::Measured(_) => {}
        }
    }
}
