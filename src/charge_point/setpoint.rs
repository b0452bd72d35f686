//! The offer: which register is written next so that it holds, and whether the device took it.
//!
//! Everything is decided at the moment of asking, from the registers as they were read or written
//! last: nothing waits in a queue, so nothing stale is ever written.

use std::time::Duration;

use crate::clock::Mono;
use crate::evse::{Limit, Offer};
use crate::ids::OfferNumber;
use crate::modbus::power_brain::{Defaults, LARGEST_LIMIT, LEAST_LIMIT, Poll, Write, tenths};
use crate::units::MilliAmps;

use super::plan::ChargePointPlan;

/// What was refused is tried again after this.
const TRIES_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Phases are not switched more often than this, to spare contactors: the device's and the car's.
const SWITCHES_EVERY: Duration = Duration::from_mins(1);

/// So long after phases were switched the device may make it look as if no car were plugged.
const SWITCHES_WITHIN: Duration = Duration::from_mins(2);

/// Registers that read otherwise after so many writes in a row count as refused.
const MOST_REWRITES: u32 = 3;

/// So many switches in a row that do not show, and the device counts as one that cannot.
const MOST_SWITCHES: u32 = 3;

/// What the registers shall read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// 0.1 A; `None` = whatever it reads.
    limit: Option<u16>,
    pub(super) enabled: bool,
    /// `None` = whatever it reads.
    single_phase: Option<bool>,
}

impl Wanted {
    /// A pause is said with the enable register: the limit knows 6 A and more only.
    const PAUSE: Self = Self {
        limit: None,
        enabled: false,
        single_phase: None,
    };
}

/// What a poll says of what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// As it should be.
    Kept,
    /// The registers changed without us: the device was restarted, or somebody else writes.
    Changed,
    /// The device acknowledges writes and does not keep them.
    NotKept,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Took,
    Refused,
}

/// What is wanted of the device and what it took.
#[derive(Debug)]
pub(super) struct Setpoint {
    offer: Option<Offer>,
    told: Told,
    /// It is not obeyed: what reads right is written once more.
    again: bool,
    /// Limit and enable as a poll read them.
    read: Option<(u16, bool)>,
    /// What they should be after what was written since.
    wrote: Option<(u16, bool)>,
    /// Quirk: cFos: a device takes a limit above that of its model and keeps its own.
    clamp: Option<(u16, u16)>,
    rewrites: u32,
    waits_until: Option<Mono>,
    switched: Option<Mono>,
    /// The last time with a car.
    switched_car: Option<Mono>,
    /// To what, and how often since it last showed.
    switches: Option<(bool, u32)>,
    /// It said that it can switch phases, and cannot.
    cannot_switch: bool,
}

impl Setpoint {
    pub(super) fn new() -> Self {
        Self {
            offer: None,
            told: Told::Nothing,
            again: false,
            read: None,
            wrote: None,
            clamp: None,
            rewrites: 0,
            waits_until: None,
            switched: None,
            switched_car: None,
            switches: None,
            cannot_switch: false,
        }
    }

    /// The newest offer replaces any other.
    pub(super) fn offer(&mut self, offer: Offer) {
        self.offer = Some(offer);
        self.told = Told::Nothing;
        self.rewrites = 0;
        self.waits_until = None;
    }

    /// Current flows above this offer.
    pub(super) fn not_followed(&mut self, number: OfferNumber) {
        self.again |= self
            .offer
            .as_ref()
            .is_some_and(|offer| offer.number == number);
    }

    /// What the registers shall read; `None` = whatever they do. `permitted` says that a
    /// transaction runs.
    pub(super) fn wanted(
        &self,
        plan: &ChargePointPlan,
        permitted: bool,
        cable: Option<MilliAmps>,
        defaults: Option<Defaults>,
    ) -> Option<Wanted> {
        let Some(offer) = &self.offer else {
            // What was charging before a restart goes on until the load manager speaks.
            return (!permitted).then_some(Wanted::PAUSE);
        };
        let most = plan.max.min(LARGEST_LIMIT);
        let amps = match offer.limit {
            Limit::Released => {
                let usual = defaults.map(|defaults| defaults.limit);
                let legal = |limit: &u16| *limit >= tenths(LEAST_LIMIT);
                let most = tenths(most);
                return Some(Wanted {
                    limit: Some(usual.filter(legal).map_or(most, |usual| usual.min(most))),
                    enabled: defaults.is_none_or(|defaults| defaults.enabled),
                    single_phase: None,
                });
            }
            Limit::Current(amps) => amps,
        };
        let limit = amps.min(most).min(cable.unwrap_or(most));
        if !permitted || amps < plan.min || limit < LEAST_LIMIT {
            // Without current contactors may switch: that is what some pauses are for.
            return Some(Wanted {
                single_phase: Some(offer.single_phase),
                ..Wanted::PAUSE
            });
        }
        Some(Wanted {
            limit: Some(tenths(limit)),
            enabled: true,
            single_phase: Some(offer.single_phase),
        })
    }

    /// The next register to write. What lowers never waits; what raises waits for `may_raise`.
    pub(super) fn next(
        &self,
        now: Mono,
        wanted: Wanted,
        poll: &Poll,
        may_raise: bool,
    ) -> Option<Write> {
        if self.waits_until.is_some_and(|until| now < until) {
            return None;
        }
        let off = poll.enabled.then_some(Write::Enable(false));
        if !wanted.enabled && (poll.enabled || self.again) {
            return Some(Write::Enable(false));
        }
        if let Some(single) = wanted.single_phase.filter(|it| *it != poll.single_phase) {
            let rested = self
                .switched
                .is_none_or(|at| now.since(at) >= SWITCHES_EVERY);
            match (poll.switchable && rested, single) {
                // Contactors switch without current.
                (true, _) if poll.enabled => return off,
                (true, _) if poll.pilot.charges() => return None,
                (true, _) => return Some(Write::SinglePhase(single)),
                // The other phases may be promised to others.
                (false, true) => return off,
                (false, false) => {}
            }
        }
        if let Some(limit) = wanted.limit {
            let differs = !self.keeps(limit, poll) || self.again;
            if differs && (limit <= poll.limit || may_raise) {
                return Some(Write::Limit(limit));
            }
            if differs {
                return None;
            }
        }
        (wanted.enabled && !poll.enabled && may_raise).then_some(Write::Enable(true))
    }

    /// Why the device cannot do what is wanted.
    pub(super) fn obstacle(wanted: Wanted, poll: &Poll) -> Option<&'static str> {
        let single = wanted.single_phase == Some(true) && !poll.single_phase;
        (wanted.enabled && single && !poll.switchable)
            .then_some("it may not switch phases while a car is plugged")
    }

    /// A write was acknowledged; `poll` has its value already.
    pub(super) fn wrote(&mut self, now: Mono, write: Write, poll: &Poll) {
        match write {
            Write::Limit(_) | Write::Enable(_) => {
                self.again = false;
                self.wrote = Some((poll.limit, poll.enabled));
            }
            Write::SinglePhase(single) => {
                let before = self.switches.map_or(0, |(_, times)| times);
                self.switches = Some((single, before + 1));
                self.switched = Some(now);
                if poll.pilot.is_plugged() != Some(false) {
                    self.switched_car = Some(now);
                }
            }
            Write::CutPilot(_) | Write::FailSafeAfter(_) | Write::FailSafeCurrent(_) => {}
        }
    }

    /// Nobody knows whether the last write reached the device, or the device has forgotten it.
    pub(super) fn lost(&mut self) {
        self.read = None;
        self.wrote = None;
        self.clamp = None;
    }

    /// The device is at its failsafe current or below. What it was offered before is not to come
    /// back with it: it may have been given to others.
    pub(super) fn fall_back(&mut self, failsafe: MilliAmps) {
        self.lost();
        if let Some(offer) = &mut self.offer {
            offer.limit = offer.limit.min(Limit::Current(failsafe));
        }
    }

    /// The device refuses to switch phases: it goes on with those that it has.
    pub(super) fn cannot_switch(&mut self) {
        self.cannot_switch = true;
    }

    /// Looks at what a poll read.
    pub(super) fn see(&mut self, now: Mono, poll: &mut Poll) -> Seen {
        match self.switches {
            Some((single, _)) if single == poll.single_phase => self.switches = None,
            Some((_, times)) if times >= MOST_SWITCHES => self.cannot_switch = true,
            Some(_) | None => {}
        }
        poll.switchable &= !self.cannot_switch;
        let read = (poll.limit, poll.enabled);
        let before = self.read.replace(read);
        let Some((limit, enabled)) = self.wrote.take() else {
            return match before {
                Some(before) if before != read => Seen::Changed,
                _ => Seen::Kept,
            };
        };
        if enabled == poll.enabled && poll.limit < limit {
            self.clamp = Some((limit, poll.limit));
        } else if read != (limit, enabled) {
            self.rewrites += 1;
            if self.rewrites >= MOST_REWRITES {
                self.rewrites = 0;
                self.wait(now);
                return Seen::NotKept;
            }
            return Seen::Kept;
        }
        self.rewrites = 0;
        Seen::Kept
    }

    /// Tries what was refused again, in a while.
    pub(super) fn wait(&mut self, now: Mono) {
        self.waits_until = Some(now + TRIES_AGAIN_AFTER);
    }

    /// The number of the offer if it is refused now and that was not told yet.
    pub(super) fn refuse(&mut self) -> Option<OfferNumber> {
        let first = self.told != Told::Refused;
        self.told = Told::Refused;
        self.offer
            .as_ref()
            .filter(|_| first)
            .map(|offer| offer.number)
    }

    /// The number of the offer if the registers are as it wants them and that was not told yet. Of
    /// a device that refused before, only what it reads back is believed.
    pub(super) fn took(
        &mut self,
        wanted: Wanted,
        poll: &Poll,
        read_back: bool,
    ) -> Option<OfferNumber> {
        // Whoever is off loads no phase.
        let phases = !wanted.enabled || wanted.single_phase != Some(true) || poll.single_phase;
        let limit = wanted.limit.is_none_or(|limit| self.keeps(limit, poll));
        let fits = phases && limit && wanted.enabled == poll.enabled;
        let believed = match self.told {
            Told::Nothing => true,
            Told::Took => false,
            Told::Refused => read_back,
        };
        let number = self.offer.as_ref().map(|offer| offer.number)?;
        (fits && believed).then(|| {
            self.told = Told::Took;
            number
        })
    }

    /// What looks like an unplugged car may be our own doing.
    pub(super) fn is_blind(&self, now: Mono) -> bool {
        self.switched_car
            .is_some_and(|at| now.since(at) < SWITCHES_WITHIN)
    }

    fn keeps(&self, limit: u16, poll: &Poll) -> bool {
        poll.limit == limit || self.clamp == Some((limit, poll.limit))
    }
}
