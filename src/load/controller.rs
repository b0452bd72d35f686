//! [`Controller`]: decides what every EVSE is offered, and in which order offers may change.
//!
//! A round: what each EVSE asks → the allocator's shares → lowerings at once → raises where
//! everything that may still flow leaves room for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::evse::{Demand, Limit, Offer, Reason, Report};
use crate::ids::{CircuitName, EvseName, OfferNumber};
use crate::units::{MilliAmps, PerPhase};

use super::allocator::Allocator;
use super::booking::{Booking, amps};
use super::circuit::{Bookings, Circuits};
use super::plan::{EvsePlan, LoadPlan, WhenDisabled};
use super::raise_budget::RaiseBudget;
use super::request::{Request, Share, Wants};
use super::turn::{Turn, WAITED};

/// A raise that does not fit whole is given in part after this: each step costs a write to the
/// wallbox's memory, and others are usually about to make room.
const PART_AFTER: Duration = Duration::from_secs(10);

/// While somebody waits who may have a turn, attained service is compared this often.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// What the controller wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Tell an EVSE what it may take.
    Offer {
        /// Whom.
        evse: EvseName,
        /// What.
        offer: Offer,
    },
}

/// What the status shows of an EVSE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvseView {
    /// What it is allowed; `None` before the first offer.
    pub offered: Option<Limit>,
    /// What was last confirmed at the device.
    pub setpoint: Option<Limit>,
    /// Phases in use.
    pub phases: u8,
    /// What it must be assumed to draw on each phase.
    pub booked: MilliAmps,
    /// Why not more.
    pub reason: Reason,
    /// Takes part.
    pub enabled: bool,
}

/// What the status shows of a circuit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CircuitView {
    /// Its name.
    pub name: CircuitName,
    /// The fuse.
    pub limit: PerPhase<MilliAmps>,
    /// What the EVSEs below are allowed together.
    pub offered: PerPhase<MilliAmps>,
    /// What they must be assumed to draw.
    pub booked: PerPhase<MilliAmps>,
}

/// One EVSE.
#[derive(Debug)]
struct Evse {
    enabled: bool,
    demand: Demand,
    ceiling: Option<MilliAmps>,
    booking: Booking,
    turn: Turn,
    budget: RaiseBudget,
    /// The transaction has had no current yet.
    first_grant: bool,
    /// The device may have forgotten its limit: it is told again.
    tell_again: bool,
    /// Since when a raise has been waiting for room.
    raise_waits: Option<Mono>,
    setpoint: Option<Limit>,
    reason: Reason,
}

/// The load manager of one site.
#[derive(Debug)]
pub struct Controller {
    plan: LoadPlan,
    index: BTreeMap<EvseName, usize>,
    circuits: Circuits,
    allocator: Allocator,
    evses: Vec<Evse>,
    started: Mono,
    now: Mono,
    last_number: u64,
    dirty: bool,
    next: Option<Mono>,
    outputs: VecDeque<Output>,
}

impl Controller {
    /// Begins with the last offers from before the restart.
    pub fn new(now: Now, plan: LoadPlan, remembered: &BTreeMap<EvseName, Limit>) -> Self {
        let circuits = Circuits::new(&plan);
        let allocator = Allocator::new(&plan);
        let evse = |evse: &EvsePlan| Evse {
            enabled: evse.enabled,
            demand: Demand::None,
            ceiling: None,
            booking: Booking::new(evse, remembered.get(&evse.name).copied()),
            turn: Turn::default(),
            budget: RaiseBudget::new(now.mono, plan.ocpp_raise_interval),
            first_grant: false,
            tell_again: false,
            raise_waits: None,
            setpoint: None,
            reason: if plan.observe {
                Reason::Observe
            } else {
                Reason::Offline
            },
        };
        let evses = plan.evses.iter().map(evse).collect();
        let index = plan
            .evses
            .iter()
            .enumerate()
            .map(|(i, e)| (e.name.clone(), i))
            .collect();
        Self {
            index,
            circuits,
            allocator,
            evses,
            started: now.mono,
            now: now.mono,
            last_number: 0,
            dirty: true,
            next: None,
            outputs: VecDeque::new(),
            plan,
        }
    }

    /// A device reports.
    pub fn handle_report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        self.now = now.mono;
        let Some(&index) = self.index.get(evse) else {
            return;
        };
        let Some(evse) = self.evses.get_mut(index) else {
            return;
        };
        let now = now.mono;
        match report {
            Report::Online(online) => {
                evse.booking.connect(now, *online);
                evse.tell_again |= *online;
                self.dirty = true;
            }
            Report::Booted => {
                evse.tell_again = true;
                self.dirty = true;
            }
            Report::Status(_) => {}
            Report::Demand(demand) => {
                let charges = *demand == Demand::Charging;
                if charges && evse.demand != Demand::Charging {
                    evse.turn.begin(now);
                    evse.first_grant = true;
                } else if !charges && evse.demand == Demand::Charging {
                    evse.turn.end();
                    evse.first_grant = false;
                }
                evse.demand = *demand;
                // What it refused then it may take now.
                evse.tell_again |= evse.booking.refused;
                self.dirty = true;
            }
            Report::Measured(measured) => {
                evse.turn.measure(measured);
                self.dirty |= evse.booking.measure(now, measured);
            }
            Report::Took(number) => self.dirty |= evse.booking.took(now, *number),
            Report::Refused { offer, .. } => self.dirty |= evse.booking.refuse(*offer),
        }
    }

    /// The backend's limit of an EVSE; `None` = none.
    pub fn handle_ceiling(&mut self, now: Now, evse: &EvseName, ceiling: Option<MilliAmps>) {
        self.now = now.mono;
        let Some(&index) = self.index.get(evse) else {
            return;
        };
        let Some(evse) = self.evses.get_mut(index) else {
            return;
        };
        if evse.ceiling != ceiling {
            evse.ceiling = ceiling;
            self.dirty = true;
        }
    }

    /// Switches an EVSE on or off.
    pub fn set_enabled(&mut self, now: Now, evse: &EvseName, enabled: bool) {
        self.now = now.mono;
        let Some(&index) = self.index.get(evse) else {
            return;
        };
        let Some(evse) = self.evses.get_mut(index) else {
            return;
        };
        if evse.enabled != enabled {
            evse.enabled = enabled;
            self.dirty = true;
        }
    }

    /// Lets timers act.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now.mono;
        if self.next.is_some_and(|next| next <= now.mono) {
            self.next = None;
            self.dirty = true;
        }
    }

    /// The next thing to be done. Offers are made here, once for everything that was reported
    /// before.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.dirty {
            self.dirty = false;
            self.round();
        }
        self.outputs.pop_front()
    }

    /// When [`Controller::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.next
    }

    /// What the status shows of an EVSE.
    pub fn evse(&self, name: &EvseName) -> Option<EvseView> {
        let index = *self.index.get(name)?;
        let (evse, plan) = (self.evses.get(index)?, self.plan.evses.get(index)?);
        Some(EvseView {
            offered: evse.booking.offered().map(|offer| offer.limit),
            setpoint: evse.setpoint,
            phases: plan.phases,
            booked: evse.booking.booked(self.now),
            reason: evse.reason.clone(),
            enabled: evse.enabled,
        })
    }

    /// What the status shows of the circuits, in the order of the plan.
    pub fn circuits(&self) -> impl Iterator<Item = CircuitView> + '_ {
        let on_grid = |of: &dyn Fn(&Evse, &EvsePlan) -> MilliAmps| -> Vec<PerPhase<MilliAmps>> {
            let pairs = self.evses.iter().zip(&self.plan.evses).enumerate();
            pairs
                .map(|(i, (evse, plan))| self.circuits.on_grid(i, of(evse, plan)))
                .collect()
        };
        let offered = on_grid(&|evse, plan| {
            evse.booking
                .offered()
                .map_or(MilliAmps::ZERO, |offer| amps(offer.limit, plan.max))
        });
        let booked = on_grid(&|evse, _| evse.booking.booked(self.now));
        let sums = self
            .circuits
            .sums(&offered)
            .into_iter()
            .zip(self.circuits.sums(&booked));
        self.plan
            .circuits
            .iter()
            .zip(sums)
            .map(|(circuit, (offered, booked))| CircuitView {
                name: circuit.name.clone(),
                limit: PerPhase::all(circuit.max_current),
                offered,
                booked,
            })
    }

    fn round(&mut self) {
        let now = self.now;
        for (evse, plan) in self.evses.iter_mut().zip(&self.plan.evses) {
            let limit = evse.booking.offered().map(|offer| offer.limit);
            evse.turn.count(now, plan, limit, self.plan.voltage);
            evse.booking.look(now, evse.demand == Demand::Charging);
            evse.setpoint = evse.booking.setpoint().or(evse.setpoint);
        }
        if !self.plan.observe {
            let targets = self.targets();
            self.lower(&targets);
            self.raise(&targets);
        }
        self.set_timer();
    }

    /// What every EVSE shall have in the end, if all obey.
    fn targets(&mut self) -> Vec<Target> {
        let overbooked = self.bookings().is_overloaded();
        let rotate = self.somebody_waited();
        let requests: Vec<Request> = (0..self.evses.len())
            .map(|i| self.request(i, overbooked, rotate))
            .collect();
        let shares = self.allocator.allocate(&requests).to_vec();
        self.note_turns(&shares, &requests, rotate);
        let parts = shares.into_iter().zip(requests).enumerate();
        parts
            .map(|(i, (share, request))| self.target(i, share, &request))
            .collect()
    }

    fn somebody_waited(&self) -> bool {
        self.evses
            .iter()
            .any(|evse| evse.demand == Demand::Charging && evse.turn.waited(self.now) >= WAITED)
    }

    fn request(&self, index: usize, overbooked: bool, rotate: bool) -> Request {
        let (Some(evse), Some(plan)) = (self.evses.get(index), self.plan.evses.get(index)) else {
            return Request::Fixed(PerPhase::all(MilliAmps::ZERO));
        };
        let fixed = |amps| Request::Fixed(self.circuits.on_grid(index, amps));
        let now = self.now;
        // While a fuse is booked beyond its rating, the others pay for who does not obey.
        if evse.booking.is_fixed() || (overbooked && evse.booking.ignores(now)) {
            return fixed(evse.booking.booked(now));
        }
        let disabled = (!evse.enabled).then_some(self.plan.when_disabled);
        let max = match (disabled, evse.demand) {
            (Some(WhenDisabled::Release), _) => return fixed(plan.max),
            (Some(WhenDisabled::Pause), _) => return fixed(MilliAmps::ZERO),
            (_, Demand::None | Demand::Plugged | Demand::Authorized) => return fixed(plan.idle),
            (Some(WhenDisabled::Minimum), Demand::Charging) => plan.min,
            (None, Demand::Charging) => plan.max,
        };
        let backend = evse.ceiling.filter(|ceiling| *ceiling < max);
        let at_max = match (disabled, backend) {
            (Some(_), _) => Reason::Disabled,
            (None, Some(limit)) => Reason::Backend { limit },
            (None, None) => Reason::OwnMaximum,
        };
        let period = self.plan.rotation_period;
        let has_current = evse.turn.slot_since.is_some();
        let in_slot = has_current && (!rotate || evse.turn.in_slot(now, period));
        Request::Wants(Wants {
            min: plan.min,
            max: backend.unwrap_or(max),
            at_max,
            extra: MilliAmps::ZERO,
            in_slot,
            // Whose slot is over gives way to who has attained as much and waits.
            attained: evse.turn.attained(plan.weight) + i64::from(has_current && !in_slot),
            plugged_at: evse.turn.plugged_at.unwrap_or(now),
            waited: evse.turn.waited(now),
        })
    }

    /// Notes who has current from now on. Where a slot changed hands, who stays begins anew:
    /// otherwise the next to wait would displace it at once.
    fn note_turns(&mut self, shares: &[Share], requests: &[Request], rotate: bool) {
        let now = self.now;
        let had = |evse: &Evse| evse.turn.slot_since.is_some();
        let parts = || shares.iter().zip(requests);
        let wants = |request: &Request| matches!(request, Request::Wants(_));
        let displaced = rotate
            && self
                .evses
                .iter()
                .zip(parts())
                .any(|(evse, (share, request))| {
                    wants(request) && had(evse) && share.offer == MilliAmps::ZERO
                });
        for (evse, (share, request)) in self.evses.iter_mut().zip(parts()) {
            if wants(request) {
                if displaced && !evse.turn.in_slot(now, self.plan.rotation_period) {
                    evse.turn.slot_since = None;
                }
                evse.turn.admitted(now, share.offer > MilliAmps::ZERO);
            }
        }
    }

    fn target(&self, index: usize, share: Share, request: &Request) -> Target {
        let (Some(evse), Some(plan)) = (self.evses.get(index), self.plan.evses.get(index)) else {
            return Target {
                limit: Limit::Current(MilliAmps::ZERO),
                reason: Reason::NoTransaction,
            };
        };
        let idle = || Target {
            limit: Limit::Current(plan.idle),
            reason: Reason::NoTransaction,
        };
        if let Request::Wants(_) = request {
            return Target {
                limit: Limit::Current(share.offer),
                reason: self.with_expected_wait(share.reason),
            };
        }
        match (evse.enabled, self.plan.when_disabled, evse.demand) {
            (false, WhenDisabled::Pause, _) => Target {
                limit: Limit::Current(MilliAmps::ZERO),
                reason: Reason::Disabled,
            },
            (false, WhenDisabled::Release, _) => Target {
                limit: Limit::Released,
                reason: Reason::Disabled,
            },
            (_, _, Demand::None | Demand::Plugged | Demand::Authorized) => idle(),
            // Booked as it is: it keeps what it was told.
            (_, _, Demand::Charging) => Target {
                limit: evse
                    .booking
                    .offered()
                    .map_or_else(|| idle().limit, |offer| offer.limit),
                reason: Reason::NotLimitable,
            },
        }
    }

    fn with_expected_wait(&self, reason: Reason) -> Reason {
        let Reason::Queue { position, .. } = reason else {
            return reason;
        };
        let period = self.plan.rotation_period;
        let mut ends: Vec<Mono> = self
            .evses
            .iter()
            .filter_map(|e| e.turn.slot_since)
            .map(|s| s + period)
            .collect();
        ends.sort_unstable();
        let expected = ends
            .get(position.saturating_sub(1))
            .map(|end| end.since(self.now));
        Reason::Queue { position, expected }
    }

    /// Lowerings, and what a device must be told again, leave at once and together.
    fn lower(&mut self, targets: &[Target]) {
        for (index, target) in targets.iter().enumerate() {
            let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
            else {
                continue;
            };
            evse.reason = if evse.booking.refused {
                Reason::NotLimitable
            } else if evse.booking.is_online() {
                target.reason.clone()
            } else {
                Reason::Offline
            };
            if !evse.booking.is_online() {
                continue;
            }
            let wanted = amps(target.limit, plan.max);
            let old = evse.booking.offered().map(|offer| offer.limit);
            let lowers = old.is_some_and(|old| target.limit < old);
            // The first offer of a connection states what was in force anyway, or less.
            let before = old.map_or(evse.booking.allowed(), |old| amps(old, plan.max));
            let states = evse.tell_again && wanted <= before;
            if lowers || states {
                self.offer(index, target.limit);
            } else if evse.tell_again && old.is_none() {
                // It is to have more than is booked: until that fits, it is told the least.
                let least = Limit::Current(plan.idle.min(before));
                self.offer(index, least);
            } else if let (true, Some(old)) = (evse.tell_again, old) {
                self.offer(index, old);
            }
        }
    }

    /// Raises where everything that may still flow leaves room: first grants before others.
    fn raise(&mut self, targets: &[Target]) {
        let mut bookings = self.bookings();
        let mut order: Vec<usize> = (0..targets.len()).collect();
        order.sort_by_key(|i| {
            self.evses
                .get(*i)
                .map(|evse| (!evse.first_grant, evse.raise_waits))
        });
        for index in order {
            let Some(target) = targets.get(index) else {
                continue;
            };
            let Some(limit) = self.raise_to(&mut bookings, index, target) else {
                continue;
            };
            self.offer(index, limit);
            if let Some(evse) = self.evses.get_mut(index) {
                bookings.set(index, evse.booking.booked(self.now));
                evse.budget.spend(self.now);
                evse.first_grant &= limit == Limit::Current(MilliAmps::ZERO);
                evse.raise_waits = None;
            }
        }
    }

    /// The limit to raise this EVSE to now, if any; notes why not.
    fn raise_to(
        &mut self,
        bookings: &mut Bookings,
        index: usize,
        target: &Target,
    ) -> Option<Limit> {
        let now = self.now;
        let starting = self.is_starting();
        let (evse, plan) = (self.evses.get_mut(index)?, self.plan.evses.get(index)?);
        let old = evse.booking.offered()?.limit;
        if !evse.booking.is_online() || target.limit <= old {
            evse.raise_waits = None;
            return None;
        }
        let booked = evse.booking.booked(now);
        let wanted = amps(target.limit, plan.max);
        // Back to a value that is still booked takes nothing from anybody, unless too much is.
        let overloaded = bookings.is_overloaded();
        let whole = bookings.fits_with(index, wanted) && !(overloaded && wanted <= booked);
        let since = *evse.raise_waits.get_or_insert(now);
        let part = evse.first_grant || now.since(since) >= PART_AFTER;
        let limit = match (whole, part, target.limit) {
            (true, _, limit) => Some(limit),
            (false, true, Limit::Current(_)) => {
                let back = if overloaded { booked } else { MilliAmps::ZERO };
                let least = amps(old, plan.max).max(plan.min - plan.step).max(back);
                part_of(bookings, index, least, wanted, plan.step).map(Limit::Current)
            }
            (false, _, _) => None,
        };
        let reason = match limit {
            _ if starting && wanted > booked => Some(Reason::StartUp),
            None => Some(Reason::Transition),
            Some(_) if !evse.first_grant && !evse.budget.allows(now) => Some(Reason::RaiseBudget),
            Some(limit) if limit != target.limit => {
                evse.reason = Reason::Transition;
                None
            }
            Some(_) => None,
        };
        match reason {
            Some(reason) => {
                evse.reason = reason;
                None
            }
            None => limit,
        }
    }

    /// After a start nothing is raised until every EVSE was seen, or the hold is over: who was
    /// not seen may be charging.
    fn is_starting(&self) -> bool {
        self.now.since(self.started) < self.plan.start_up_hold
            && self.evses.iter().any(|evse| !evse.booking.was_seen())
    }

    fn bookings(&self) -> Bookings {
        let mut bookings = Bookings::new(&self.circuits);
        for (index, evse) in self.evses.iter().enumerate() {
            bookings.set(index, evse.booking.booked(self.now));
        }
        bookings
    }

    fn offer(&mut self, index: usize, limit: Limit) {
        let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
        else {
            return;
        };
        self.last_number += 1;
        let number = OfferNumber(self.last_number);
        evse.tell_again = false;
        evse.booking.offer(self.now, number, limit);
        let offer = Offer {
            number,
            limit,
            reason: evse.reason.clone(),
        };
        self.outputs.push_back(Output::Offer {
            evse: plan.name.clone(),
            offer,
        });
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
        for evse in &self.evses {
            times.extend(evse.booking.poll_timeout(now));
            if let Some(since) = evse.raise_waits {
                times.push(since + PART_AFTER);
            }
            if evse.reason == Reason::RaiseBudget {
                times.push(evse.budget.next());
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
struct Target {
    limit: Limit,
    reason: Reason,
}

/// The largest current above `least`, in steps below `wanted`, that fits.
fn part_of(
    bookings: &Bookings,
    index: usize,
    least: MilliAmps,
    wanted: MilliAmps,
    step: MilliAmps,
) -> Option<MilliAmps> {
    let steps = (wanted.0.saturating_sub(least.0)) / step.0.max(1);
    let value = |down: i32| MilliAmps(wanted.0 - down.saturating_mul(step.0));
    let fits = |down: &i32| bookings.fits_with(index, value(*down));
    (1..=steps)
        .map(|down| (down, value(down)))
        .filter(|(_, amps)| *amps > least)
        .find(|(d, _)| fits(d))
        .map(|(_, amps)| amps)
}
