//! What one EVSE must be assumed to draw (c5 of the transition rule: an acknowledged limit is not
//! an effective one).

use std::time::Duration;

use crate::clock::Mono;
use crate::evse::{Limit, Measured};
use crate::ids::OfferNumber;
use crate::units::{MilliAmps, PerPhase};

use super::contact::Contact;
use super::overdraw::{Overdraw, TOLERANCE};
use super::plan::EvsePlan;

/// Without meter values an accepted lowering counts as obeyed after this: cars must follow a
/// pilot signal within 5 s (IEC 61851-1).
const OBEYS_WITHIN: Duration = Duration::from_secs(6);

/// Most cars follow sooner: for the house load, which a meter watches, that is good enough.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(3);

/// A wallbox that sent no current for this long counts as one without meter values.
const METER_VALUES_WITHIN: Duration = Duration::from_mins(1);

/// A lowering that is not even accepted in this time counts as not obeyed.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(5);

/// Current above the limit that does not change is judged anew this often.
const JUDGED_EVERY: Duration = Duration::from_secs(1);

/// The last offer to an EVSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offered {
    pub(super) number: OfferNumber,
    pub(super) limit: Limit,
    pub(super) since: Mono,
}

/// What an EVSE was offered, what it is known to obey, and what it draws.
#[derive(Debug)]
pub(super) struct Booking {
    max: MilliAmps,
    failsafe: MilliAmps,
    pub(super) contact: Contact,
    offered: Option<Offered>,
    /// Was in force before the newest offers and is not known to be obeyed yet.
    held: MilliAmps,
    /// The part of it that a car can have drawn: a raise that was taken back before it was accepted
    /// is booked, but hardly ever drawn.
    drawable: MilliAmps,
    /// What it may have fallen back to while it was away, until it is known to obey again.
    fallback: MilliAmps,
    took_at: Option<Mono>,
    /// When current above the limit was last worth a round.
    judged_at: Option<Mono>,
    confirmed: bool,
    pub(super) refused: bool,
    measured: Option<(PerPhase<MilliAmps>, Mono)>,
    pub(super) overdraw: Overdraw,
}

impl Booking {
    /// Before an EVSE was seen it is booked at what it was last offered, or at its failsafe
    /// current if that is more or nothing is remembered.
    pub(super) fn new(plan: &EvsePlan, remembered: Option<Limit>) -> Self {
        let last = remembered.map_or(MilliAmps::ZERO, |limit| amps(limit, plan.max));
        Self {
            max: plan.max,
            failsafe: plan.failsafe,
            contact: Contact::default(),
            offered: None,
            held: if remembered.is_some() {
                last
            } else {
                plan.failsafe
            },
            drawable: plan.max,
            fallback: MilliAmps::ZERO,
            took_at: None,
            judged_at: None,
            confirmed: false,
            refused: false,
            measured: None,
            overdraw: Overdraw::default(),
        }
    }

    /// What must be assumed to flow on each of its phases now.
    pub(super) fn booked(&self, now: Mono) -> MilliAmps {
        if self.contact.has_fallen_back(now) {
            return self.failsafe.max(self.drawn().unwrap_or_default());
        }
        let away = if self.contact.is_away(now) {
            self.failsafe
        } else {
            MilliAmps::ZERO
        };
        self.allowed().max(self.fallback).max(away)
    }

    /// What it was allowed or takes, as long as it is with us.
    pub(super) fn allowed(&self) -> MilliAmps {
        let offer = self.offered.map(|offer| amps(offer.limit, self.max));
        let offer = offer
            .filter(|offer| *offer > MilliAmps::ZERO)
            .map_or(MilliAmps::ZERO, |offer| offer + self.overdraw.extra());
        let over = if self.overdraw.is_over() {
            self.drawn().unwrap_or(MilliAmps::ZERO)
        } else {
            MilliAmps::ZERO
        };
        let deaf = if self.refused {
            self.max
        } else {
            MilliAmps::ZERO
        };
        offer.max(self.held).max(over).max(deaf)
    }

    /// What it draws at most, for all we know: what it is booked with, but a lowering counts some
    /// time after it was accepted unless a measurement says otherwise.
    pub(super) fn may_draw(&self, now: Mono) -> MilliAmps {
        let booked = self.booked(now);
        let online = self.contact.is_online();
        match (self.offered, self.took_at) {
            (Some(offer), Some(took)) if online && now.since(took) >= FOLLOWS_WITHIN => {
                // What is measured sooner may be from before, and a little later of a car that is
                // still on its way.
                let soonest = if now.since(took) < OBEYS_WITHIN {
                    FOLLOWS_WITHIN
                } else {
                    OBEYS_WITHIN
                };
                let since = self.measured.filter(|(_, at)| at.since(took) >= soonest);
                let drawn = since.and(self.drawn()).unwrap_or_default();
                amps(offer.limit, self.max).max(drawn).min(booked)
            }
            (Some(offer), _) if online && !self.refused => {
                let since = self.measured.filter(|(_, at)| *at >= offer.since);
                let drawn = since.and(self.drawn()).unwrap_or_default();
                let limit = amps(offer.limit, self.max);
                booked.min(self.drawable.max(self.fallback).max(drawn).max(limit))
            }
            _ => booked,
        }
    }

    /// What it allows by itself while it is away, if that is more than its failsafe current.
    pub(super) fn falls_to(&mut self, amps: MilliAmps, plan: &EvsePlan) {
        self.failsafe = plan.failsafe.max(amps);
    }

    /// Cannot be moved by an offer: others must live with it.
    pub(super) fn is_fixed(&self) -> bool {
        !self.contact.is_online() || self.refused || self.overdraw.is_fixed()
    }

    /// A lowering that was not accepted in time.
    pub(super) fn ignores(&self, now: Mono) -> bool {
        self.waits_for_took()
            .is_some_and(|since| now.since(since) >= ACCEPTS_WITHIN)
    }

    fn waits_for_took(&self) -> Option<Mono> {
        let offer = self
            .offered
            .filter(|offer| amps(offer.limit, self.max) < self.held)?;
        self.took_at.is_none().then_some(offer.since)
    }

    /// The last offer.
    pub(super) fn offered(&self) -> Option<Offered> {
        self.offered
    }

    /// What is in force as far as we know: the offer once it is confirmed, else the old value.
    pub(super) fn setpoint(&self) -> Option<Limit> {
        self.offered
            .filter(|_| self.confirmed)
            .map(|offer| offer.limit)
    }

    pub(super) fn offer(&mut self, now: Mono, number: OfferNumber, limit: Limit) {
        let allowed = self.allowed();
        let is_raise = self
            .offered
            .is_some_and(|offer| amps(offer.limit, self.max) > self.held);
        if !is_raise || self.took_at.is_some() {
            self.drawable = self.may_draw(now);
        }
        self.held = allowed;
        self.offered = Some(Offered {
            number,
            limit,
            since: now,
        });
        self.took_at = None;
        self.confirmed = false;
    }

    /// Accepted by the device. True if it was the newest offer.
    pub(super) fn took(&mut self, now: Mono, number: OfferNumber) -> bool {
        let newest = self.offered.is_some_and(|offer| offer.number == number);
        if newest {
            self.refused = false;
            self.took_at = Some(now);
        }
        newest
    }

    /// Refused by the device. True if it was the newest offer.
    pub(super) fn refuse(&mut self, number: OfferNumber) -> bool {
        let newest = self.offered.is_some_and(|offer| offer.number == number);
        self.refused |= newest;
        if newest {
            self.held = self.max;
        }
        newest
    }

    /// The device can be reached, or no longer.
    pub(super) fn connect(&mut self, now: Mono, online: bool) {
        if online {
            if self.contact.has_fallen_back(now) {
                self.held = self.booked(now);
                let held = Limit::Current(self.failsafe);
                self.offered = self.offered.map(|offer| Offered {
                    limit: offer.limit.min(held),
                    ..offer
                });
            }
            if self.contact.is_away(now) {
                self.fallback = self.failsafe;
            }
            self.contact.begin();
        } else if self.contact.is_online() {
            self.held = self.allowed();
            self.contact.lose(now);
            self.measured = None;
            self.overdraw.forget();
        }
    }

    /// It restarted: what it obeys is known when it says so.
    pub(super) fn reboot(&mut self) {
        self.fallback = self.failsafe;
    }

    /// What it refused so far it may take now. Until it does it stays booked at its maximum.
    pub(super) fn ask_again(&mut self) -> bool {
        std::mem::take(&mut self.refused)
    }

    /// Takes a measurement. True if what must be booked may have changed.
    pub(super) fn measure(&mut self, now: Mono, measured: &Measured) -> bool {
        let Some(current) = measured.current else {
            return false;
        };
        let before = (self.overdraw.is_over(), self.drawn());
        self.measured = Some((current, now));
        if let (Some(offer), Some(drawn)) = (self.offered, self.drawn()) {
            let limit = amps(offer.limit, self.max);
            self.overdraw
                .measure(now, drawn, limit, self.took_at.is_some());
        }
        let waits = !self.confirmed && self.took_at.is_some();
        let over = self.overdraw.is_over();
        let changed = before != (over, self.drawn()) && (over || before.0);
        // How long it lasts counts, too: but a wallbox may send values many times a second.
        let lasts = over
            && self
                .judged_at
                .is_none_or(|at| now.since(at) >= JUDGED_EVERY);
        if changed || lasts {
            self.judged_at = Some(now);
        }
        waits || changed || lasts
    }

    /// The largest of the measured phase currents, while that is fresh.
    pub(super) fn drawn(&self) -> Option<MilliAmps> {
        self.measured
            .and_then(|(current, _)| current.0.into_iter().max())
    }

    /// Looks whether the newest offer is obeyed by now. `charging` says whether the car may draw:
    /// without a transaction no meter values are to be expected.
    pub(super) fn look(&mut self, now: Mono, charging: bool) {
        if !charging && self.silent_at().is_some_and(|at| at <= now) {
            self.overdraw.forget();
        }
        let (Some(offer), Some(took)) = (self.offered, self.took_at) else {
            return;
        };
        if self.confirmed {
            return;
        }
        let limit = amps(offer.limit, self.max);
        let raised = limit >= self.held.max(self.fallback);
        let sample = self
            .measured
            .filter(|(_, at)| *at >= took)
            .map(|(current, _)| current);
        let obeys =
            sample.is_some_and(|current| current.0.into_iter().all(|a| a <= limit + TOLERANCE));
        let metered = charging
            && self
                .measured
                .is_some_and(|(_, at)| now.since(at) < METER_VALUES_WITHIN);
        let trusted = !metered && !self.overdraw.is_distrusted();
        let assumed = trusted && now.since(took) >= OBEYS_WITHIN;
        if raised || obeys || assumed {
            self.confirmed = true;
            self.held = limit;
            self.fallback = MilliAmps::ZERO;
        }
    }

    /// From when on its overdraw is an old story: closing values that came after the stop of a
    /// transaction are followed by none that say otherwise.
    fn silent_at(&self) -> Option<Mono> {
        self.measured
            .filter(|_| self.overdraw.is_over())
            .map(|(_, at)| at + METER_VALUES_WITHIN)
    }

    /// When the booking may change by time alone.
    pub(super) fn poll_timeout(&self, now: Mono) -> Option<Mono> {
        let took = self.took_at.filter(|_| !self.confirmed);
        let times = [
            took.map(|took| took + OBEYS_WITHIN),
            took.and(self.measured)
                .map(|(_, at)| at + METER_VALUES_WITHIN),
            self.waits_for_took().map(|since| since + ACCEPTS_WITHIN),
            self.contact.poll_timeout(now),
            self.silent_at(),
        ];
        times.into_iter().flatten().filter(|at| *at > now).min()
    }
}

/// A limit as a current; a released EVSE takes what its hardware can.
pub(super) fn amps(limit: Limit, max: MilliAmps) -> MilliAmps {
    match limit {
        Limit::Current(amps) => amps,
        Limit::Released => max,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::site_generator::evse as plan;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn limit(milliamps: i32) -> Limit {
        Limit::Current(MilliAmps(milliamps))
    }

    fn draws(milliamps: i32) -> Measured {
        Measured {
            current: Some(PerPhase::all(MilliAmps(milliamps))),
            ..Measured::default()
        }
    }

    /// Online and obeying 16 A.
    fn at_16_amps() -> Booking {
        let mut booking = Booking::new(&plan(), None);
        booking.connect(at(1), true);
        booking.offer(at(1), OfferNumber(1), limit(16_000));
        booking.took(at(1), OfferNumber(1));
        booking.look(at(1), true);
        booking
    }

    #[test]
    fn an_evse_that_was_never_seen_is_booked_at_its_failsafe_current() {
        assert_eq!(Booking::new(&plan(), None).booked(at(0)), MilliAmps(6000));
    }

    #[test]
    fn after_a_restart_the_last_offer_is_booked() {
        assert_eq!(
            Booking::new(&plan(), Some(limit(16_000))).booked(at(0)),
            MilliAmps(16_000)
        );
        let released = Booking::new(&plan(), Some(Limit::Released));
        assert_eq!(released.booked(at(0)), MilliAmps(16_000));
    }

    #[test]
    fn a_raise_is_booked_when_it_is_offered() {
        assert_eq!(at_16_amps().booked(at(1)), MilliAmps(16_000));
    }

    #[test]
    fn a_lowering_stays_booked_at_its_old_value_until_a_measurement_confirms_it() {
        let mut booking = at_16_amps();
        booking.measure(at(5), &draws(16_000));
        booking.offer(at(10), OfferNumber(2), limit(8000));
        assert_eq!(booking.booked(at(10)), MilliAmps(16_000));
        booking.took(at(11), OfferNumber(2));
        booking.measure(at(12), &draws(16_000));
        booking.look(at(12), true);
        assert_eq!(
            booking.booked(at(12)),
            MilliAmps(16_000),
            "accepted, but it still draws 16 A"
        );
        booking.look(at(30), true);
        assert_eq!(
            booking.booked(at(30)),
            MilliAmps(16_000),
            "time proves nothing with a meter"
        );
        booking.measure(at(31), &draws(8400));
        booking.look(at(31), true);
        assert_eq!(booking.booked(at(31)), MilliAmps(8000));
        assert_eq!(booking.setpoint(), Some(limit(8000)));
    }

    #[test]
    fn without_meter_values_a_lowering_is_confirmed_6_seconds_after_it_was_accepted() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.look(at(60), true);
        assert_eq!(
            booking.booked(at(60)),
            MilliAmps(16_000),
            "never accepted, never confirmed"
        );
        booking.took(at(60), OfferNumber(2));
        booking.look(at(65), true);
        assert_eq!(booking.booked(at(65)), MilliAmps(16_000));
        booking.look(at(66), true);
        assert_eq!(booking.booked(at(66)), MilliAmps(8000));
    }

    #[test]
    fn for_the_house_a_lowering_counts_3_s_after_it_was_accepted_unless_more_is_measured() {
        let mut booking = at_16_amps();
        assert_eq!(booking.may_draw(at(9)), MilliAmps(16_000));
        booking.offer(at(10), OfferNumber(2), limit(8000));
        assert_eq!(booking.may_draw(at(20)), MilliAmps(16_000));
        booking.took(at(20), OfferNumber(2));
        assert_eq!(booking.may_draw(at(22)), MilliAmps(16_000));
        assert_eq!(booking.may_draw(at(23)), MilliAmps(8000));
        booking.measure(at(23), &draws(12_000));
        assert_eq!(booking.may_draw(at(24)), MilliAmps(12_000));
        booking.connect(at(25), false);
        assert_eq!(booking.may_draw(at(25)), MilliAmps(16_000));
    }

    #[test]
    fn one_more_lowering_does_not_bring_back_what_was_drawn_before_the_last() {
        let mut booking = at_16_amps();
        booking.measure(at(9), &draws(16_000));
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.took(at(10), OfferNumber(2));
        assert_eq!(booking.may_draw(at(13)), MilliAmps(8000));
        booking.offer(at(14), OfferNumber(3), limit(7900));
        assert_eq!(booking.may_draw(at(14)), MilliAmps(8000));
        assert_eq!(
            booking.booked(at(14)),
            MilliAmps(16_000),
            "nothing was measured"
        );
        booking.measure(at(15), &draws(16_000));
        assert_eq!(
            booking.may_draw(at(15)),
            MilliAmps(16_000),
            "it has not followed"
        );
    }

    #[test]
    fn a_raise_that_is_taken_back_before_it_was_accepted_is_booked_but_not_drawn() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.took(at(10), OfferNumber(2));
        booking.measure(at(13), &draws(8000));
        booking.look(at(13), true);
        booking.offer(at(20), OfferNumber(3), limit(12_000));
        assert_eq!(booking.may_draw(at(20)), MilliAmps(12_000));
        booking.offer(at(20), OfferNumber(4), limit(6000));
        assert_eq!(booking.booked(at(21)), MilliAmps(12_000));
        assert_eq!(booking.may_draw(at(21)), MilliAmps(8000));
        booking.measure(at(22), &draws(11_000));
        assert_eq!(booking.may_draw(at(22)), MilliAmps(11_000), "so it was");
    }

    #[test]
    fn what_is_measured_before_a_car_can_have_followed_says_nothing_of_a_lowering() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.took(at(10), OfferNumber(2));
        booking.measure(at(11), &draws(16_000));
        assert_eq!(booking.may_draw(at(12)), MilliAmps(16_000));
        assert_eq!(booking.may_draw(at(13)), MilliAmps(8000));
        booking.measure(at(13), &draws(16_000));
        assert_eq!(booking.may_draw(at(13)), MilliAmps(16_000));
    }

    #[test]
    fn what_is_measured_of_a_car_on_its_way_counts_until_it_must_have_arrived() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.took(at(10), OfferNumber(2));
        booking.measure(at(14), &draws(12_000));
        assert_eq!(booking.may_draw(at(15)), MilliAmps(12_000));
        assert_eq!(booking.may_draw(at(16)), MilliAmps(8000));
        booking.measure(at(16), &draws(12_000));
        assert_eq!(booking.may_draw(at(60)), MilliAmps(12_000), "it stays");
    }

    #[test]
    fn a_late_acceptance_of_an_older_offer_confirms_nothing() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.offer(at(11), OfferNumber(3), limit(6000));
        assert!(!booking.took(at(12), OfferNumber(2)));
        booking.look(at(30), true);
        assert_eq!(booking.booked(at(30)), MilliAmps(16_000));
    }

    #[test]
    fn a_refusal_books_the_maximum_until_a_limit_is_taken() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(0));
        booking.refuse(OfferNumber(2));
        assert_eq!(booking.booked(at(99)), MilliAmps(16_000));
        assert!(booking.is_fixed());
        booking.offer(at(100), OfferNumber(3), limit(0));
        booking.took(at(100), OfferNumber(3));
        booking.look(at(106), false);
        assert_eq!(booking.booked(at(106)), MilliAmps(0));
    }

    #[test]
    fn who_is_away_keeps_its_last_limit_and_after_3_seconds_the_failsafe_current_too() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(0));
        booking.took(at(10), OfferNumber(2));
        booking.look(at(16), false);
        assert_eq!(booking.booked(at(20)), MilliAmps(0));
        booking.connect(at(20), false);
        assert_eq!(booking.booked(at(22)), MilliAmps(0));
        assert_eq!(booking.booked(at(23)), MilliAmps(6000));
    }

    #[test]
    fn a_device_that_would_fall_to_more_than_its_failsafe_current_is_booked_with_that_while_away() {
        let mut booking = at_16_amps();
        booking.offer(at(2), OfferNumber(2), limit(0));
        booking.took(at(2), OfferNumber(2));
        booking.look(at(20), true);
        booking.falls_to(MilliAmps(10_000), &plan());
        assert_eq!(booking.booked(at(20)), MilliAmps(0));
        booking.connect(at(30), false);
        assert_eq!(booking.booked(at(33)), MilliAmps(10_000));
        booking.falls_to(MilliAmps(0), &plan());
        assert_eq!(booking.booked(at(34)), MilliAmps(6000));
    }

    #[test]
    fn who_comes_back_is_booked_at_its_failsafe_current_until_it_obeys_again() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(0));
        booking.took(at(10), OfferNumber(2));
        booking.look(at(16), false);
        booking.connect(at(20), false);
        booking.connect(at(30), true);
        assert_eq!(booking.booked(at(30)), MilliAmps(6000));
        booking.offer(at(30), OfferNumber(3), limit(0));
        booking.took(at(31), OfferNumber(3));
        booking.look(at(37), false);
        assert_eq!(booking.booked(at(37)), MilliAmps(0));
        booking.connect(at(40), false);
        booking.connect(at(42), true);
        assert_eq!(booking.booked(at(42)), MilliAmps(0), "it was hardly gone");
    }

    #[test]
    fn who_falls_back_by_itself_is_booked_at_its_failsafe_current_when_it_has() {
        let mut booking = at_16_amps();
        booking.contact.falls_back(Some(Duration::from_mins(3)));
        booking.connect(at(100), false);
        assert_eq!(booking.booked(at(279)), MilliAmps(16_000));
        assert_eq!(booking.poll_timeout(at(110)), Some(at(280)));
        assert_eq!(booking.booked(at(280)), MilliAmps(6000));
        booking.measure(at(281), &draws(9000));
        assert_eq!(
            booking.booked(at(281)),
            MilliAmps(9000),
            "a meter says more"
        );
        booking.connect(at(300), true);
        assert_eq!(booking.offered().unwrap().limit, limit(6000));
        assert_eq!(booking.booked(at(300)), MilliAmps(9000));
        booking.offer(at(300), OfferNumber(2), limit(6000));
        booking.took(at(301), OfferNumber(2));
        booking.measure(at(302), &draws(6000));
        booking.look(at(302), true);
        assert_eq!(booking.booked(at(302)), MilliAmps(6000));
    }

    #[test]
    fn who_keeps_what_it_was_told_stays_booked_at_it_however_long_it_is_away() {
        let mut booking = at_16_amps();
        booking.connect(at(100), false);
        assert_eq!(booking.booked(at(100_000)), MilliAmps(16_000));
    }

    #[test]
    fn who_draws_more_than_its_limit_is_booked_at_what_it_draws() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.took(at(10), OfferNumber(2));
        booking.measure(at(11), &draws(8000));
        booking.look(at(11), true);
        assert!(booking.measure(at(20), &draws(12_000)));
        assert_eq!(booking.booked(at(20)), MilliAmps(12_000));
        booking.measure(at(29), &draws(12_000));
        assert!(!booking.is_fixed());
        assert!(booking.measure(at(30), &draws(12_000)), "this one decides");
        assert!(booking.is_fixed());
        booking.measure(at(31), &draws(8500));
        assert_eq!(booking.booked(at(31)), MilliAmps(8000));
    }
    #[test]
    fn one_measurement_from_before_a_lowering_is_no_overdraw() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(8000));
        booking.took(at(10), OfferNumber(2));
        booking.measure(at(11), &draws(16_000));
        booking.look(at(21), true);
        assert!(!booking.is_fixed(), "the next one is only just on its way");
        booking.measure(at(22), &draws(8000));
        assert!(!booking.is_fixed());
    }

    #[test]
    fn closing_values_after_a_stop_are_not_booked_for_ever() {
        let mut booking = at_16_amps();
        booking.offer(at(10), OfferNumber(2), limit(0));
        booking.took(at(10), OfferNumber(2));
        booking.measure(at(11), &draws(16_000));
        booking.look(at(20), false);
        assert_eq!(booking.booked(at(20)), MilliAmps(16_000));
        assert_eq!(booking.poll_timeout(at(20)), Some(at(71)));
        booking.look(at(71), false);
        assert_eq!(booking.booked(at(71)), MilliAmps(0));
    }
}
