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

/// In mA. So much above the limit is no inaccuracy any more; the load manager complains from the
/// same on.
const DEFIANCE: MilliAmps = MilliAmps(1000);

/// What the load manager wants on a connector, and what the wallbox took.
#[derive(Debug, Default)]
pub(super) struct Setpoint {
    wanted: Option<Offer>,
    /// Accepted by the wallbox since it last (re)started, as far as we know.
    taken: Option<Taken>,
    /// A limit shall end by itself unless it is told again.
    shall_live: bool,
    /// When that was.
    taken_at: Mono,
    /// What was accepted so far of the newest offer, where that takes several profiles.
    round: Option<Round>,
    /// Accepted last, also if it may be forgotten by now.
    last: Option<Limit>,
    refused: Option<OfferNumber>,
    not_before: Option<Mono>,
}

/// What the wallbox accepted.
#[derive(Debug, Clone, Copy)]
struct Taken {
    number: OfferNumber,
    limit: Limit,
    /// It ends by itself unless it is told again then.
    renew_at: Option<Mono>,
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
    /// Stays, but is told again before it ends by itself, or so that it does.
    Renews,
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
        let rests =
            self.refused == Some(wanted.number) || self.not_before.is_some_and(|at| now < at);
        if rests {
            return None;
        }
        let way = match self.taken {
            Some(taken) if taken.number == wanted.number => {
                let is_due = match taken.renew_at {
                    Some(at) => at <= now,
                    None => self.shall_live && taken.limit != Limit::Released,
                };
                is_due.then_some(Direction::Renews)?
            }
            Some(taken) if wanted.limit > taken.limit => Direction::Raises,
            Some(_) | None => Direction::Lowers,
        };
        Some((wanted, way))
    }

    /// Whether a limit shall end by itself. One that does is told in the other manner when it is
    /// told again.
    pub(super) fn live(&mut self, shall: bool) {
        self.shall_live = shall;
    }

    /// Whether the limit that is told next shall end by itself.
    pub(super) fn shall_live(&self) -> bool {
        self.shall_live
    }

    /// Whether the limit that the wallbox took ends by itself; `None` where it took no current.
    pub(super) fn lives(&self) -> Option<bool> {
        let taken = self.taken.filter(|taken| taken.limit != Limit::Released)?;
        Some(taken.renew_at.is_some())
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

    /// The wallbox accepted, until `renew_at` if it then ends by itself. True if this is news, and
    /// not the renewal of what it had taken.
    pub(super) fn took(
        &mut self,
        now: Mono,
        (number, limit): (OfferNumber, Limit),
        renew_at: Option<Mono>,
    ) -> bool {
        let is_news = self.taken.is_none_or(|taken| taken.number != number);
        if is_news {
            self.taken_at = now;
        }
        self.not_before = None;
        self.taken = Some(Taken {
            number,
            limit,
            renew_at,
        });
        self.last = Some(limit);
        self.refused = None;
        is_news
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
        self.taken.is_some_and(|taken| taken.number == number)
            && self.has_newest()
            && now.since(self.taken_at) >= FOLLOWS_WITHIN
    }

    /// Who draws so much follows the limit that the wallbox took.
    pub(super) fn is_followed_by(&self, drawn: MilliAmps) -> bool {
        self.taken.is_some_and(|taken| match taken.limit {
            Limit::Current(limit) => drawn <= limit + DEFIANCE,
            Limit::Released => true,
        })
    }

    /// The wallbox said yes to current.
    pub(super) fn allows_current(&self) -> bool {
        self.taken
            .is_some_and(|taken| taken.limit > Limit::Current(MilliAmps::ZERO))
    }

    /// The connector shall be, or is, free of limits.
    pub(super) fn wants_release(&self) -> bool {
        self.wanted
            .as_ref()
            .is_some_and(|wanted| wanted.limit == Limit::Released)
    }

    /// The wallbox said yes to the newest offer.
    pub(super) fn has_newest(&self) -> bool {
        let newest = self.wanted.as_ref().map(|wanted| wanted.number);
        newest.is_some() && self.taken.map(|taken| taken.number) == newest
    }

    /// From when on something waits to be sent that is no raise.
    pub(super) fn presses_from(&self) -> Option<Mono> {
        self.waits()
            .filter(|(_, way)| *way != Direction::Raises)
            .map(|(at, _)| at)
    }

    /// From when on something waits to be sent.
    pub(super) fn waits_from(&self) -> Option<Mono> {
        self.waits().map(|(at, _)| at)
    }

    fn waits(&self) -> Option<(Mono, Direction)> {
        let at = self.poll_timeout().unwrap_or(Mono::START);
        self.pending(at).map(|(_, way)| (at, way))
    }

    /// When a retry or a renewal is due.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.not_before.or_else(|| {
            let wanted = self.wanted.as_ref()?.number;
            let taken = self.taken.filter(|taken| taken.number == wanted)?;
            taken.renew_at.filter(|_| self.refused != Some(wanted))
        })
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

    fn taken(number: u64, milliamps: i32) -> (OfferNumber, Limit) {
        (OfferNumber(number), Limit::Current(MilliAmps(milliamps)))
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
        setpoint.took(Mono::START, taken(1, 0), None);
        assert_eq!(direction(&setpoint, 0), None);
        setpoint.want(offer(2, 16_000));
        assert_eq!(direction(&setpoint, 0), Some((2, Direction::Raises)));
    }

    #[test]
    fn what_ends_by_itself_is_told_again_in_time_and_the_renewal_is_no_news() {
        let at = |seconds| Some(Mono(Duration::from_secs(seconds)));
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 8000));
        assert!(setpoint.took(Mono::START, taken(1, 8000), None));
        assert_eq!(direction(&setpoint, 99), None, "it holds for ever");
        setpoint.live(true);
        assert_eq!(direction(&setpoint, 0), Some((1, Direction::Renews)));
        assert!(!setpoint.took(Mono::START, taken(1, 8000), at(300)));
        assert_eq!(direction(&setpoint, 299), None);
        assert_eq!(setpoint.poll_timeout(), at(300));
        assert_eq!(direction(&setpoint, 300), Some((1, Direction::Renews)));
        setpoint.want(offer(2, 6000));
        assert_eq!(direction(&setpoint, 0), Some((2, Direction::Lowers)));
    }

    #[test]
    fn after_silence_the_same_limit_is_tried_again_and_counts_as_lowering() {
        let mut setpoint = Setpoint::default();
        setpoint.want(offer(1, 0));
        setpoint.took(Mono::START, taken(1, 0), None);
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
