//! A round of the [`Controller`]: what each EVSE asks, whose turn it is, what each shall have.

use std::time::Duration;

use tracing::error;

use super::booking::amps;
use super::controller::{Controller, Evse, Output};
use super::plan::{EvsePlan, WhenDisabled};
use super::ramp::SMALL_WAITS;
use super::request::{Request, Share, Wants};
use super::rest::{Pause, ROOM};
use super::sparing::FAIR_AFTER;
use super::turn::WAITED;
use crate::clock::Mono;
use crate::evse::{Demand, Limit, Reason};
use crate::units::{MilliAmps, PerPhase};

/// While somebody waits who may have a turn, attained service is compared this often.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Who drew nothing when it could goes to the back of the queue, but gets a chance after so many
/// rotation periods.
const IDLE_PERIODS: u32 = 4;

/// What holds for all EVSEs in a round.
#[derive(Debug, Clone, Copy)]
struct Circumstances {
    /// More is booked somewhere than may flow.
    overbooked: bool,
    /// Somebody waits.
    rotate: bool,
    supply: Supply,
}

/// How much there is for all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Supply {
    /// Enough, as far as we know.
    Plenty,
    /// Not enough: nobody gets more than its car takes.
    Scarce,
    /// Not enough; and this is only to see who would have room to start again.
    Trial,
}

impl Controller {
    pub(super) fn round(&mut self) {
        let now = self.now;
        for (evse, plan) in self.evses.iter_mut().zip(&self.plan.evses) {
            let limit = evse.booking.offered().map(|offer| offer.limit);
            evse.turn.count(now, plan, limit, self.plan.voltage);
            evse.booking.look(now, evse.demand == Demand::Charging);
            evse.appetite.look(now, plan);
            evse.setpoint = evse.booking.setpoint().or(evse.setpoint);
        }
        self.look_at_meters();
        if !self.plan.observe {
            // Of the offer that is not followed, before a new one takes its place.
            self.complain();
            let targets = self.targets();
            let before = self.last_number;
            let spared = self.spared(&targets);
            self.lower(&targets, &spared);
            self.raise(&targets, &spared);
            if self.last_number == before {
                self.pool(&targets, &spared.promised);
            }
        }
        self.note_draws();
        self.set_timer();
    }

    /// Tells devices whose cars draw more than allowed that their limit is not followed.
    fn complain(&mut self) {
        for (evse, plan) in self.evses.iter_mut().zip(&self.plan.evses) {
            if evse.booking.overdraw.alarm() {
                error!(evse = %plan.name, "a car draws more than it is allowed and cannot be stopped");
            }
            let complains = evse.booking.overdraw.complain();
            if let Some(offer) = evse.booking.offered().filter(|_| complains) {
                self.outputs.push_back(Output::NotFollowed {
                    evse: plan.name.clone(),
                    offer: offer.number,
                });
            }
        }
    }

    /// What every EVSE shall have in the end, if all obey.
    fn targets(&mut self) -> Vec<Target> {
        let mut all = Circumstances {
            overbooked: self.bookings().is_overloaded(),
            rotate: self.somebody_waited(),
            supply: Supply::Plenty,
        };
        let trial = self.look_for_room(all);
        let mut requests = self.requests(all);
        if self.evses.iter().any(|e| e.appetite.ceiling().is_some()) {
            // Where there is enough for all, what a car leaves is of no use to anybody, and to
            // take it away and give it back would only cost writes to the wallbox's memory.
            let shares = self.allocator.allocate(&requests).iter().zip(&requests);
            let scarce = shares.into_iter().any(|(share, request)| match request {
                Request::Wants(wants) => share.reason != wants.at_max,
                Request::Fixed(_) => false,
            });
            if scarce {
                all.supply = Supply::Scarce;
            }
            requests = self.requests(all);
        }
        let shares = self.allocator.allocate(&requests).to_vec();
        self.note_turns(&shares, &requests, all.rotate);
        let mut targets = Vec::with_capacity(shares.len());
        for (index, (mut share, request)) in shares.into_iter().zip(requests).enumerate() {
            let evse = self.evses.get(index);
            if let Some(tried) = trial.get(index)
                && evse.is_some_and(|evse| evse.rest.lacks_room())
            {
                share.reason = tried.reason.clone();
            }
            self.judge_phases(index, &share, &request);
            targets.push(self.target(index, share, &request));
        }
        targets
    }

    /// Sees whether there would be room for those whose current the house took.
    fn look_for_room(&mut self, all: Circumstances) -> Vec<Share> {
        if !self.evses.iter().any(|evse| evse.rest.needs_room()) {
            return Vec::new();
        }
        let requests = self.requests(Circumstances {
            supply: Supply::Trial,
            ..all
        });
        let shares = self.allocator.allocate(&requests).to_vec();
        for (evse, share) in self.evses.iter_mut().zip(&shares) {
            evse.rest.see_room(self.now, share.offer > MilliAmps::ZERO);
        }
        shares
    }

    fn requests(&self, all: Circumstances) -> Vec<Request> {
        (0..self.evses.len())
            .map(|index| self.request(index, all))
            .collect()
    }

    fn somebody_waited(&self) -> bool {
        self.evses
            .iter()
            .any(|evse| evse.demand == Demand::Charging && evse.turn.waited(self.now) >= WAITED)
    }

    fn request(&self, index: usize, all: Circumstances) -> Request {
        let (Some(evse), Some(plan)) = (self.evses.get(index), self.plan.evses.get(index)) else {
            return Request::Fixed(PerPhase::all(MilliAmps::ZERO));
        };
        let fixed = |amps| Request::Fixed(self.circuits.on_grid(index, amps));
        let now = self.now;
        // While a fuse is booked beyond its rating, the others pay for who does not obey.
        if evse.booking.is_fixed() || (all.overbooked && evse.booking.ignores(now)) {
            return fixed(evse.booking.booked(now));
        }
        match (evse.enabled, self.plan.when_disabled, evse.demand) {
            (false, WhenDisabled::Release, _) => return fixed(plan.max),
            (false, WhenDisabled::Pause, _) => return fixed(MilliAmps::ZERO),
            (_, _, Demand::None | Demand::Plugged | Demand::Authorized) => return fixed(plan.idle),
            (_, _, Demand::Charging) => {}
        }
        let is_metered = self.metering.is_above(self.circuits.path(index));
        let (max, at_max) = self.most(evse, plan, all, is_metered);
        let period = self.plan.rotation_period;
        let waited = evse.turn.waited(now);
        let has_current = evse.turn.slot_since.is_some();
        let is_idle = evse.appetite.is_idle() && waited < period.saturating_mul(IDLE_PERIODS);
        let in_slot = has_current && !is_idle && (!all.rotate || evse.turn.in_slot(now, period));
        let attained = if is_idle {
            i64::MAX
        } else if is_metered && in_slot && !evse.rest.is_settled(now) {
            i64::MIN
        } else {
            // Whose slot is over gives way to who has attained as much and waits.
            evse.turn.attained(plan.weight) + i64::from(has_current && !in_slot)
        };
        // There must have been more for a while; but in its turn it displaces one other and not two.
        let min = if all.supply == Supply::Trial && evse.rest.needs_room() {
            least_to_restart(plan, max)
        } else {
            plan.min
        };
        Request::Wants(Wants {
            min,
            max,
            at_max,
            extra: evse.booking.overdraw.extra(),
            in_slot,
            attained,
            plugged_at: evse.turn.plugged_at.unwrap_or(now),
            waited: if is_idle { Duration::ZERO } else { waited },
        })
    }

    /// The most that an EVSE in a transaction may get, and why.
    fn most(
        &self,
        evse: &Evse,
        plan: &EvsePlan,
        all: Circumstances,
        is_metered: bool,
    ) -> (MilliAmps, Reason) {
        let tries = all.supply == Supply::Trial && evse.rest.needs_room();
        if let Some(remaining) = evse.rest.remaining(self.now).filter(|_| !tries) {
            return (MilliAmps::ZERO, Reason::Rest { remaining });
        }
        let own = if evse.enabled {
            (plan.max, Reason::OwnMaximum)
        } else {
            (plan.min, Reason::Disabled)
        };
        let backend = evse.ceiling.map(|limit| (limit, Reason::Backend { limit }));
        let appetite = evse
            .appetite
            .ceiling()
            .filter(|_| all.supply != Supply::Plenty);
        let under_draw = appetite.map(|limit| (limit, Reason::UnderDraw));
        // Others may have what it will not be raised to.
        let is_worn = is_metered && evse.wear.is_worn(self.now);
        let offer = evse.booking.offered().filter(|_| is_worn);
        let worn = offer.map(|offer| (amps(offer.limit, plan.max), Reason::Spared));
        let worn = worn.filter(|(offer, _)| *offer >= plan.min);
        let lower = |least: (MilliAmps, Reason), other: (MilliAmps, Reason)| {
            if other.0 < least.0 { other } else { least }
        };
        let limits = backend.into_iter().chain(under_draw).chain(worn);
        limits.fold(own, lower)
    }

    /// Notes who has current from now on. Where a slot changed hands, who stays begins anew:
    /// otherwise the next to wait would displace it at once.
    fn note_turns(&mut self, shares: &[Share], requests: &[Request], rotate: bool) {
        let (now, period) = (self.now, self.plan.rotation_period);
        let parts = || shares.iter().zip(requests);
        let displaced = rotate
            && self
                .evses
                .iter()
                .zip(parts())
                .any(|(evse, (share, request))| {
                    let wants = matches!(request, Request::Wants(_));
                    wants && evse.turn.slot_since.is_some() && share.offer == MilliAmps::ZERO
                });
        for (index, (evse, (share, request))) in self.evses.iter_mut().zip(parts()).enumerate() {
            let Request::Wants(wants) = request else {
                continue;
            };
            let is_metered = self.metering.is_above(self.circuits.path(index));
            let before = evse.turn.slot_since.is_some();
            let after = share.offer > MilliAmps::ZERO;
            if displaced && !evse.turn.in_slot(now, period) {
                evse.turn.slot_since = None;
            }
            evse.turn.admitted(now, after);
            match (before, after) {
                (true, false) => evse.rest.pause(now, why_paused(wants, share, is_metered)),
                (false, true) => {
                    evse.rest.start(now);
                    evse.appetite.wake();
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    fn target(&self, index: usize, share: Share, request: &Request) -> Target {
        let (Some(evse), Some(plan)) = (self.evses.get(index), self.plan.evses.get(index)) else {
            return Target {
                limit: Limit::Current(MilliAmps::ZERO),
                reason: Reason::NoTransaction,
                most: MilliAmps::ZERO,
            };
        };
        let idle = || Target {
            limit: Limit::Current(plan.idle),
            reason: Reason::NoTransaction,
            most: MilliAmps::ZERO,
        };
        if let Request::Wants(wants) = request {
            if evse.switch.is_switching() {
                return Target {
                    limit: Limit::Current(MilliAmps::ZERO),
                    reason: Reason::PhaseSwitch,
                    most: MilliAmps::ZERO,
                };
            }
            return Target {
                limit: Limit::Current(share.offer),
                reason: self.with_expected_wait(share.reason),
                most: wants.max,
            };
        }
        match (evse.enabled, self.plan.when_disabled, evse.demand) {
            (false, WhenDisabled::Pause, _) => Target {
                limit: Limit::Current(MilliAmps::ZERO),
                reason: Reason::Disabled,
                most: MilliAmps::ZERO,
            },
            (false, WhenDisabled::Release, _) => Target {
                limit: Limit::Released,
                reason: Reason::Disabled,
                most: MilliAmps::ZERO,
            },
            (_, _, Demand::None | Demand::Plugged | Demand::Authorized) => idle(),
            (_, _, Demand::Charging) if evse.booking.overdraw.pauses() => Target {
                limit: Limit::Current(MilliAmps::ZERO),
                reason: evse.reason.clone(),
                most: MilliAmps::ZERO,
            },
            // Booked as it is: it keeps what it was told.
            (_, _, Demand::Charging) => Target {
                limit: evse
                    .booking
                    .offered()
                    .map_or_else(|| idle().limit, |offer| offer.limit),
                reason: evse.reason.clone(),
                most: MilliAmps::ZERO,
            },
        }
    }

    fn with_expected_wait(&self, reason: Reason) -> Reason {
        let Reason::Queue { position, .. } = reason else {
            return reason;
        };
        let (now, period) = (self.now, self.plan.rotation_period);
        let slots = self.evses.iter().filter_map(|evse| evse.turn.slot_since);
        let mut ends: Vec<Mono> = slots.map(|since| (since + period).max(now)).collect();
        ends.sort_unstable();
        // As many as have a slot now get one in each rotation period.
        let before = position.saturating_sub(1);
        let expected = ends.get(before % ends.len().max(1)).map(|end| {
            let rounds = u32::try_from(before / ends.len().max(1)).unwrap_or(u32::MAX);
            end.since(now).saturating_add(period.saturating_mul(rounds))
        });
        Reason::Queue { position, expected }
    }

    /// The earliest moment at which a round would decide otherwise by time alone.
    fn set_timer(&mut self) {
        let (now, period) = (self.now, self.plan.rotation_period);
        let mut times: Vec<Mono> = Vec::new();
        if self.is_starting() {
            times.push(self.started + self.plan.start_up_hold);
        }
        let waits = self
            .evses
            .iter()
            .any(|evse| evse.turn.waiting_since.is_some());
        if self.somebody_waited() {
            times.push(now + LOOK_AGAIN);
        }
        times.extend(self.metering.poll_timeout(now));
        for evse in &self.evses {
            times.extend(evse.booking.poll_timeout(now));
            times.extend(evse.appetite.poll_timeout());
            times.extend(evse.switch.poll_timeout());
            times.push(evse.rest.until());
            if let Some(since) = evse.raise_waits {
                times.push(since + super::transition::PART_AFTER);
                times.push(since + SMALL_WAITS);
            }
            times.extend(evse.short_since.map(|since| since + FAIR_AFTER));
            if evse.reason == Reason::Ramp {
                times.push(evse.ramp.next(self.plan.raise_interval));
                times.extend(self.metering.next_starts());
            }
            if evse.reason == Reason::RaiseBudget {
                times.push(evse.budget.next());
            }
            if evse.reason == Reason::Spared {
                times.push(evse.wear.next(now));
            }
            if waits && evse.demand == Demand::Charging {
                times.extend(evse.turn.waiting_since.map(|since| since + WAITED));
                times.extend(evse.turn.slot_since.map(|since| since + period));
            }
        }
        self.next = times.into_iter().filter(|at| *at > now).min();
    }
}

/// What an EVSE shall have in the end.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) limit: Limit,
    pub(super) reason: Reason,
    /// What it may have if it need not share: nothing, where it does not take part.
    pub(super) most: MilliAmps,
}

/// Why an EVSE that had current has none from now on.
fn why_paused(wants: &Wants, share: &Share, is_metered: bool) -> Pause {
    match share.reason {
        Reason::Backend { .. } | Reason::Disabled => Pause::Wanted,
        _ if !wants.in_slot => Pause::Turn,
        Reason::Signal { .. } | Reason::Failsafe { .. } => Pause::Lack,
        _ if is_metered => Pause::House,
        _ => Pause::Lack,
    }
}

/// What must be there before an EVSE whose current the house took starts again: a little more than
/// its minimum, but no more than it may have.
fn least_to_restart(plan: &EvsePlan, max: MilliAmps) -> MilliAmps {
    let room = (max - plan.min).max(MilliAmps::ZERO).min(ROOM);
    plan.min + room.floor_to(plan.step)
}
