//! What the load manager wants on a connector, and what the wallbox took.

use std::time::Duration;

use crate::clock::Mono;
use crate::evse::{Limit, Offer};
use crate::ids::OfferNumber;
use crate::units::MilliAmps;

use super::profile::Shape;

/// After an answer that is no verdict (a CALLERROR, silence) the same limit is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// From the answer of the wallbox to the current of the car: it needs a moment, the car 5 s
/// (IEC 61851-1).
pub(super) const FOLLOWS_WITHIN: Duration = Duration::from_secs(8);

/// What the load manager wants on a connector, and what the wallbox took.
#[derive(Debug, Default)]
pub(super) struct Setpoint {
    wanted: Option<Offer>,
    /// Accepted by the wallbox since it last (re)started, as far as we know.
    taken: Option<(OfferNumber, Limit)>,
    /// When that was.
    taken_at: Mono,
    /// What was accepted so far of the newest offer, where that takes several profiles.
    round: Option<Round>,
    /// Accepted last, also if it may be forgotten by now.
    last: Option<Limit>,
    refused: Option<OfferNumber>,
    not_before: Option<Mono>,
}

/// The profiles of an offer, told one after the other.
#[derive(Debug)]
struct Round {
    number: OfferNumber,
    shape: Shape,
    count: usize,
    told: usize,
    accepted: bool,
}

/// Which way a waiting command goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    /// Down, or from an unknown place: before everything else.
    Lowers,
    /// Up: after other commands.
    Raises,
}

impl Setpoint {
    /// The newest offer replaces any older.
    pub(super) fn want(&mut self, offer: Offer) {
        self.not_before = None;
        self.wanted = Some(offer);
    }

    /// The command that waits to be sent, and which way it goes.
    pub(super) fn pending(&self, now: Mono) -> Option<(&Offer, Direction)> {
        let wanted = self.wanted.as_ref()?;
        let done = self
            .taken
            .is_some_and(|(number, _)| number == wanted.number)
            || self.refused == Some(wanted.number)
            || self.not_before.is_some_and(|at| now < at);
        if done {
            return None;
        }
        let raises = self.taken.is_some_and(|(_, limit)| wanted.limit > limit);
        Some((
            wanted,
            if raises {
                Direction::Raises
            } else {
                Direction::Lowers
            },
        ))
    }

    /// Asks for no more than what was accepted last, so that it need not wait for the journal:
    /// what counts as lowering because the wallbox may have forgotten can still be a raise.
    pub(super) fn may_overtake(&self) -> bool {
        self.wanted
            .as_ref()
            .zip(self.last)
            .is_none_or(|(wanted, last)| wanted.limit <= last)
    }

    /// Which of so many profiles, which this offer takes, comes next.
    pub(super) fn next_of(&mut self, number: OfferNumber, shape: Shape, count: usize) -> usize {
        let new = Round {
            number,
            shape,
            count,
            told: 0,
            accepted: false,
        };
        let is_this =
            |round: &Round| (round.number, round.shape, round.count) == (number, shape, count);
        let round = self.round.take().filter(is_this).unwrap_or(new);
        self.round.insert(round).told
    }

    /// The wallbox accepted one of the profiles, or did not. When that was the last one: whether it
    /// accepted any.
    pub(super) fn answered(&mut self, number: OfferNumber, accepted: bool) -> Option<bool> {
        let round = self.round.as_mut().filter(|round| round.number == number)?;
        round.told += 1;
        round.accepted |= accepted;
        let accepted = round.accepted;
        (round.told >= round.count).then(|| {
            self.round = None;
            accepted
        })
    }

    /// The wallbox accepted.
    pub(super) fn took(&mut self, now: Mono, number: OfferNumber, limit: Limit) {
        self.not_before = None;
        self.taken = Some((number, limit));
        self.taken_at = now;
        self.last = Some(limit);
        self.refused = None;
    }

    /// The wallbox refused in every form that was tried.
    pub(super) fn refuse(&mut self, number: OfferNumber) {
        self.not_before = None;
        self.refused = Some(number);
    }

    /// No verdict on this offer came: what the wallbox holds now is unknown. A newer one does not
    /// wait for the retry.
    pub(super) fn unanswered(&mut self, now: Mono, number: OfferNumber) {
        self.taken = None;
        let newest = self.wanted.as_ref().map(|offer| offer.number);
        self.not_before = (newest == Some(number)).then(|| now + RETRY);
    }

    /// The wallbox restarted or came back: what it holds is unknown.
    pub(super) fn forget(&mut self) {
        self.taken = None;
        self.refused = None;
        self.not_before = None;
        self.round = None;
    }

    /// The wallbox said yes to this offer, it is the newest one, and there was time to follow it.
    pub(super) fn should_be_followed(&self, now: Mono, number: OfferNumber) -> bool {
        self.taken.is_some_and(|(taken, _)| taken == number)
            && self
                .wanted
                .as_ref()
                .is_some_and(|wanted| wanted.number == number)
            && now.since(self.taken_at) >= FOLLOWS_WITHIN
    }

    /// The wallbox said yes to current.
    pub(super) fn allows_current(&self) -> bool {
        self.taken
            .is_some_and(|(_, limit)| limit > Limit::Current(MilliAmps::ZERO))
    }

    /// The connector shall be, or is, free of limits.
    pub(super) fn wants_release(&self) -> bool {
        self.wanted
            .as_ref()
            .is_some_and(|wanted| wanted.limit == Limit::Released)
    }

    /// From when on a lowering waits to be sent.
    pub(super) fn lowers_from(&self) -> Option<Mono> {
        let at = self.not_before.unwrap_or(Mono::START);
        self.pending(at)
            .filter(|(_, way)| *way == Direction::Lowers)
            .map(|_| at)
    }

    /// When a retry is due.
    pub(super) fn retry_at(&self) -> Option<Mono> {
        self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evse::Reason;

    fn offer(number: u64, milliamps: i32) -> Offer {
        let limit = Limit::Current(MilliAmps(milliamps));
        Offer {
            number: OfferNumber(number),
            limit,
            reason: Reason::OwnMaximum,
            single_phase: false,
        }
    }

    fn direction(setpoint: &Setpoint, seconds: u64) -> Option<(u64, Direction)> {
        let now = Mono(Duration::from_secs(seconds));
        setpoint
            .pending(now)
            .map(|(offer, direction)| (offer.number.0, direction))
    }

    #[test]
    fn the_newest_offer_replaces_one_that_was_not_sent() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 6000));
        setpoint.want(offer(2, 0));
        assert_eq!(direction(&setpoint, 0), Some((2, Direction::Lowers)));
    }

    #[test]
    fn what_was_taken_is_not_sent_again_and_only_more_is_a_raise() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        assert_eq!(
            direction(&setpoint, 0),
            Some((1, Direction::Lowers)),
            "from an unknown place"
        );
        setpoint.took(Mono::START, OfferNumber(1), Limit::Current(MilliAmps(0)));
        assert_eq!(direction(&setpoint, 0), None);
        setpoint.want(offer(2, 16_000));
        assert_eq!(direction(&setpoint, 0), Some((2, Direction::Raises)));
    }

    #[test]
    fn after_silence_the_same_limit_is_tried_again_and_counts_as_lowering() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        setpoint.took(Mono::START, OfferNumber(1), Limit::Current(MilliAmps(0)));
        setpoint.want(offer(2, 16_000));
        setpoint.unanswered(Mono(Duration::from_secs(5)), OfferNumber(2));
        assert_eq!(direction(&setpoint, 14), None);
        assert_eq!(direction(&setpoint, 15), Some((2, Direction::Lowers)));
    }

    #[test]
    fn a_refused_offer_rests_until_the_next_one_or_a_restart() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        setpoint.refuse(OfferNumber(1));
        assert_eq!(direction(&setpoint, 99), None);
        setpoint.forget();
        assert_eq!(direction(&setpoint, 99), Some((1, Direction::Lowers)));
    }
}
