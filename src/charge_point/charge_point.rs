//! [`ChargePoint`]: a wallbox behind Modbus registers.

use std::collections::VecDeque;

use crate::clock::{Mono, Now, Random};
use crate::evse::{Call, Measured, Offer, Report, Verdict};
use crate::ids::OfferNumber;
use crate::journal::{Record, Recovered, Transaction, TransactionNumbers};
use crate::modbus::{Answer, Request};
use crate::ocpp::ChargePointStatus;

use super::plan::ChargePointPlan;

/// What a charge point needs from outside while it handles something.
#[derive(Debug)]
pub struct Context<'a> {
    /// When it is.
    pub now: Now,
    /// For jitter.
    pub random: &'a mut Random,
    /// For transactions.
    pub numbers: &'a mut TransactionNumbers,
    /// Every record that it rests on is on disk: what raises a current may be written.
    pub may_raise: bool,
}

/// What a charge point wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Keep this before anything that raises leaves.
    Persist(Record),
    /// Ask the device; never a second time before the answer to the first.
    Ask(Request),
    /// Tell the load manager and the status.
    Report(Report),
    /// Ask the upstream.
    Call(Call),
}

/// What the status shows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View<'a> {
    /// It answers.
    pub online: bool,
    /// As an OCPP wallbox would say it.
    pub status: Option<ChargePointStatus>,
    /// The running transaction.
    pub transaction: Option<&'a Transaction>,
    /// What was measured last.
    pub measured: Measured,
}

/// A wallbox behind Modbus registers.
#[derive(Debug)]
pub struct ChargePoint {
    plan: ChargePointPlan,
    outputs: VecDeque<Output>,
}

impl ChargePoint {
    /// Goes on with the transaction that was open before the restart.
    pub fn new(_now: Now, plan: ChargePointPlan, _recovered: &Recovered) -> Self {
        Self {
            plan,
            outputs: VecDeque::new(),
        }
    }

    /// What it was told by the configuration.
    pub fn plan(&self) -> &ChargePointPlan {
        &self.plan
    }

    /// The device answered, or did not.
    pub fn handle_answer(&mut self, _context: &mut Context<'_>, _answer: Answer) {}

    /// Another meter measured it ([`super::plan::Metering::Other`]).
    pub fn handle_measured(&mut self, _context: &mut Context<'_>, _measured: Measured) {}

    /// The load manager allows this from now on.
    pub fn handle_offer(&mut self, _context: &mut Context<'_>, _offer: Offer) {}

    /// The measured current says that the offer is not followed.
    pub fn handle_not_followed(&mut self, _context: &mut Context<'_>, _offer: OfferNumber) {}

    /// The upstream answers a call.
    pub fn handle_reply(&mut self, _context: &mut Context<'_>, _id: u64, _verdict: &Verdict) {}

    /// Records were committed: what waited for that may leave.
    pub fn handle_committed(&mut self, _context: &mut Context<'_>) {}

    /// Lets timers act.
    pub fn handle_timeout(&mut self, _context: &mut Context<'_>) {}

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`ChargePoint::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        None
    }

    /// What the status shows.
    pub fn view(&self) -> View<'_> {
        View {
            online: false,
            status: None,
            transaction: None,
            measured: Measured::default(),
        }
    }
}
