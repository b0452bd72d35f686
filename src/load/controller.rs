//! [`Controller`]: decides what every EVSE is offered, and in which order offers may change.
//!
//! A round: what each EVSE asks → the allocator's shares → lowerings at once → raises where
//! everything that may still flow leaves room for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::{Mono, Now};
use crate::evse::{Demand, Limit, Measured, Offer, Reason, Report};
use crate::ids::{CircuitName, EvseName, OfferNumber};
use crate::units::{MilliAmps, PerPhase, Watts};

use super::allocator::Allocator;
use super::appetite::Appetite;
use super::booking::{Booking, amps};
use super::circuit::Circuits;
use super::draw_history::DrawHistory;
use super::house_load::Load;
use super::meter_watch::Freshness;
use super::metering::{MeterState, Metering};
use super::phase_switch::PhaseSwitch;
use super::phases_in_use::PhasesInUse;
use super::plan::{Device, EvsePlan, LoadPlan};
use super::raise_budget::RaiseBudget;
use super::ramp::Ramp;
use super::rest::Rest;
use super::turn::Turn;
use super::wear::Wear;

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
    /// The measured current says that an offer is not followed, whatever the device answered:
    /// tell it in another form. Comes again while it lasts.
    NotFollowed {
        /// Who.
        evse: EvseName,
        /// Which offer.
        offer: OfferNumber,
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
    /// The limit signal, while it holds.
    pub signal: Option<Watts>,
    /// What flows beside the EVSEs by the newest reading; `None` where no meter says.
    pub house: Option<PerPhase<MilliAmps>>,
    /// Whether its meter says what is true.
    pub meter: MeterState,
    /// Its EVSEs share the failsafe current.
    pub failsafe: bool,
}

/// One EVSE.
#[derive(Debug)]
pub(super) struct Evse {
    pub(super) enabled: bool,
    pub(super) demand: Demand,
    pub(super) ceiling: Option<MilliAmps>,
    pub(super) booking: Booking,
    pub(super) draws: DrawHistory,
    pub(super) appetite: Appetite,
    pub(super) phases: PhasesInUse,
    pub(super) turn: Turn,
    pub(super) rest: Rest,
    pub(super) budget: RaiseBudget,
    pub(super) ramp: Ramp,
    pub(super) wear: Wear,
    pub(super) switch: PhaseSwitch,
    /// The transaction has had no current yet.
    pub(super) first_grant: bool,
    /// The device may have forgotten its limit: it is told again.
    pub(super) tell_again: bool,
    /// Since when a raise has been waiting for room.
    pub(super) raise_waits: Option<Mono>,
    /// Since when it has had less than its share; a part of it does not count.
    pub(super) short_since: Option<Mono>,
    pub(super) setpoint: Option<Limit>,
    pub(super) reason: Reason,
}

/// The load manager of one site.
#[derive(Debug)]
pub struct Controller {
    pub(super) plan: LoadPlan,
    pub(super) index: BTreeMap<EvseName, usize>,
    pub(super) circuits: Circuits,
    pub(super) metering: Metering,
    /// One for each circuit.
    signals: Vec<Option<Watts>>,
    pub(super) allocator: Allocator,
    pub(super) evses: Vec<Evse>,
    pub(super) started: Mono,
    pub(super) now: Mono,
    pub(super) last_number: u64,
    pub(super) dirty: bool,
    pub(super) next: Option<Mono>,
    pub(super) outputs: VecDeque<Output>,
}

impl Controller {
    /// Begins with the last offers from before the restart.
    pub fn new(now: Now, plan: LoadPlan, remembered: &BTreeMap<EvseName, Limit>) -> Self {
        let circuits = Circuits::new(&plan);
        let allocator = Allocator::on(&circuits, &plan);
        let evse = |evse: &EvsePlan| Evse {
            enabled: evse.enabled,
            demand: Demand::None,
            ceiling: None,
            booking: Booking::new(evse, remembered.get(&evse.name).copied()),
            draws: DrawHistory::default(),
            appetite: Appetite::default(),
            phases: PhasesInUse::default(),
            turn: Turn::default(),
            rest: Rest::default(),
            budget: RaiseBudget::new(now.mono, raise_interval(evse, &plan)),
            ramp: Ramp::default(),
            wear: Wear::default(),
            switch: PhaseSwitch::default(),
            first_grant: false,
            tell_again: false,
            raise_waits: None,
            short_since: None,
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
        let mut controller = Self {
            index,
            metering: Metering::new(now.mono, &plan),
            circuits,
            signals: vec![None; plan.circuits.len()],
            allocator,
            evses,
            started: now.mono,
            now: now.mono,
            last_number: 0,
            dirty: true,
            next: None,
            outputs: VecDeque::new(),
            plan,
        };
        controller.note_draws();
        controller
    }

    /// A device reports.
    pub fn handle_report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        self.now = now.mono;
        let Some(&index) = self.index.get(evse) else {
            return;
        };
        let (Some(evse), Some(plan)) = (self.evses.get_mut(index), self.plan.evses.get(index))
        else {
            return;
        };
        let now = now.mono;
        let was_single = evse.switch.is_single();
        let concerns = match report {
            Report::Online(online) => {
                evse.booking.connect(now, *online);
                evse.switch.forget();
                evse.tell_again |= *online;
                true
            }
            Report::Booted => {
                evse.booking.reboot();
                evse.switch.forget();
                evse.tell_again = true;
                true
            }
            Report::FallsTo(amps) => {
                evse.booking.falls_to(*amps, plan);
                true
            }
            Report::FallsBack(after) => {
                evse.booking.contact.falls_back(*after);
                true
            }
            Report::Status(_) => false,
            Report::Switchable(can) => {
                evse.switch.can = *can;
                true
            }
            Report::SinglePhase(single) => evse.switch.report(now, *single),
            Report::Demand(demand) => {
                evse.turn_to(now, *demand);
                true
            }
            Report::Measured(measured) => {
                if let Some(current) = measured.current {
                    evse.draws.measure(now, to_grid(plan, current));
                }
                evse.measure(now, plan, measured)
            }
            Report::Took(number) => evse.booking.took(now, *number),
            Report::Refused { offer, .. } => evse.booking.refuse(*offer),
        };
        self.dirty |= concerns;
        if evse.switch.is_single() != was_single {
            evse.phases.begin(now);
            self.rewire();
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

    /// Limits what the EVSEs below a circuit draw together, in watts over all phases, beside its
    /// `max-power`; `None` = no more. Holds at once: what it takes away is a lowering.
    pub fn set_signal(&mut self, now: Now, circuit: &CircuitName, watts: Option<Watts>) {
        self.now = now.mono;
        let place = self.plan.circuits.iter().position(|c| c.name == *circuit);
        let Some(signal) = place.and_then(|place| self.signals.get_mut(place)) else {
            return;
        };
        if *signal != watts {
            *signal = watts;
            self.rewire();
        }
    }

    /// Builds the circuits anew, with the signals and the phases that hold now.
    fn rewire(&mut self) {
        let mut plan = self.plan.clone();
        for (evse, plan) in self.evses.iter().zip(&mut plan.evses) {
            if evse.switch.is_single() {
                plan.phases = 1;
            }
        }
        self.circuits = Circuits::with_signals(&plan, &self.signals);
        self.allocator = Allocator::on(&self.circuits, &plan);
        self.dirty = true;
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
            phases: evse.phases_in_use(plan),
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
        let circuits = self.plan.circuits.iter().zip(sums).zip(&self.signals);
        circuits
            .enumerate()
            .map(|(index, ((circuit, (offered, booked)), signal))| {
                let (house, freshness) = self.metering.view(index, self.now);
                let known = freshness != Freshness::Stale && house.is_some();
                CircuitView {
                    signal: *signal,
                    name: circuit.name.clone(),
                    limit: PerPhase::all(circuit.max_current),
                    offered,
                    booked,
                    house: house.filter(|_| known).map(Load::current),
                    meter: match circuit.meter {
                        None => MeterState::None,
                        Some(_) if known => MeterState::Fresh,
                        Some(_) => MeterState::Stale,
                    },
                    failsafe: circuit.meter.is_some() && freshness == Freshness::Stale,
                }
            })
    }
}

impl Evse {
    /// The phases that carry the current of its car, as far as it has shown.
    pub(super) fn phases_in_use(&self, plan: &EvsePlan) -> u8 {
        if self.switch.is_single() {
            1
        } else {
            self.phases.count(plan.phases)
        }
    }

    fn turn_to(&mut self, now: Mono, demand: Demand) {
        if demand == self.demand {
            return;
        }
        let charges = demand == Demand::Charging;
        if charges || self.demand == Demand::Charging {
            self.first_grant = charges;
            self.appetite = Appetite::default();
            self.rest = Rest::default();
            self.ramp = Ramp::default();
            self.tell_again |= self.switch.begin(now);
            self.phases.begin(now);
            self.booking.overdraw.end();
            if charges {
                self.turn.begin(now);
            } else {
                self.turn.end();
            }
        }
        self.demand = demand;
        // Some take limits only while a transaction runs, and some only while none does.
        self.tell_again |= self.booking.ask_again();
    }

    fn measure(&mut self, now: Mono, plan: &EvsePlan, measured: &Measured) -> bool {
        self.turn.measure(measured, self.phases_in_use(plan));
        let mut concerns = self.booking.measure(now, measured);
        if let (Some(current), Demand::Charging) = (measured.current, self.demand) {
            self.phases.measure(now, current);
            let drawn = self.booking.drawn().unwrap_or_default();
            let offer = self.booking.offered().map(|offer| offer.limit);
            let offer = offer.map_or(MilliAmps::ZERO, |limit| amps(limit, plan.max));
            concerns |= self.appetite.measure(now, drawn, offer, plan);
            concerns |= self.ramp.measure(drawn);
        }
        concerns
    }
}

/// Registers bear any number of writes.
fn raise_interval(evse: &EvsePlan, plan: &LoadPlan) -> Duration {
    match evse.device {
        Device::Ocpp => plan.ocpp_raise_interval,
        Device::Modbus => Duration::ZERO,
    }
}

/// What the phases of the grid carry when a device measures this on its wired phases.
fn to_grid(plan: &EvsePlan, device: PerPhase<MilliAmps>) -> PerPhase<MilliAmps> {
    let mut wired = device;
    for amps in wired.0.iter_mut().skip(usize::from(plan.phases)) {
        *amps = MilliAmps::ZERO;
    }
    plan.rotation.to_grid(wired)
}
