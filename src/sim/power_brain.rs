//! A simulated cFos Power Brain with a car: registers, fail-safe timer, phase relay, card reader.

use std::collections::BTreeMap;
use std::time::Duration;

use super::car::{MINIMUM, MicroJoules, PluggedCar};
use super::image::words;
use super::{Act, Car};
use crate::clock::{Mono, Random};
use crate::ids::IdTag;
use crate::modbus::{Answer, Failure, Request};
use crate::units::{MilliAmps, PerPhase, Phase, WattHours};

mod answers;
mod judge;
mod plan;
mod quirk;
mod registers;

pub use plan::PowerBrainPlan;
pub use quirk::PowerBrainQuirk;

use judge::Judge;
use registers::{amps, tenths};

/// While a car is plugged, it is looked at this often.
const TICK: Duration = Duration::from_secs(1);

/// A [`PowerBrainQuirk::SleepyCar`] sleeps when it was offered nothing for this long.
const FALLS_ASLEEP: Duration = Duration::from_mins(1);

/// What a boot sets, and what is forgotten by the next one.
#[derive(Debug, Clone, Default)]
struct Memory {
    /// 8091, 0.1 A; 0 = the cable decides.
    fixed_current: u16,
    /// 8093, 0.1 A.
    limit: u16,
    /// 8094.
    enabled: u16,
    /// 8087: one phase is asked for.
    one_phase: u16,
    relay_2: u16,
    tag: String,
    taps: u16,
}

/// A wallbox behind Modbus registers.
#[derive(Debug)]
pub struct PowerBrain {
    plan: PowerBrainPlan,
    memory: Memory,
    flash: BTreeMap<u16, u16>,
    car: Option<PluggedCar>,
    /// Since when the car has been offered nothing.
    idle_since: Option<Mono>,
    asleep: bool,
    /// The contactor closes one phase only.
    on_one_phase: bool,
    /// The contactor is about to switch.
    switching_until: Option<Mono>,
    pilot_cut_until: Option<Mono>,
    fault: Option<u16>,
    energy: MicroJoules,
    offered: MilliAmps,
    booted_at: Mono,
    heard_at: Mono,
    settled_at: Mono,
    silent_until: Mono,
    off_until: Option<Mono>,
    judge: Judge,
}

impl PowerBrain {
    /// A box that was just switched on. The seed decides what its energy register begins with.
    pub fn new(plan: PowerBrainPlan, seed: u64) -> Self {
        let begin = i64::try_from(Random::new(seed).below(9_000_000)).unwrap_or(0);
        let mut flash: BTreeMap<u16, u16> = BTreeMap::new();
        let seconds = u32::try_from(plan.fail_safe_duration.as_secs()).unwrap_or(u32::MAX);
        flash.insert(registers::UNIT, u16::from(plan.unit));
        flash.insert(registers::BOOT_LIMIT, tenths(plan.hardware_max));
        flash.insert(registers::BOOT_ENABLED, u16::from(plan.boots_enabled));
        flash.extend((registers::FAIL_SAFE_DURATION..).zip(words(seconds.to_be_bytes())));
        flash.insert(registers::FAIL_SAFE_CURRENT, tenths(plan.fail_safe_current));
        let mut new = Self {
            plan,
            memory: Memory::default(),
            flash,
            car: None,
            idle_since: None,
            asleep: false,
            on_one_phase: false,
            switching_until: None,
            pilot_cut_until: None,
            fault: None,
            energy: MicroJoules::from_watt_hours(WattHours(begin)),
            offered: MilliAmps::ZERO,
            booted_at: Mono::START,
            heard_at: Mono::START,
            settled_at: Mono::START,
            silent_until: Mono::START,
            off_until: None,
            judge: Judge::default(),
        };
        new.boot(Mono::START);
        new
    }

    /// What it is.
    pub fn plan(&self) -> &PowerBrainPlan {
        &self.plan
    }

    /// A request of its master. [`Failure::Silent`] means that it says nothing.
    ///
    /// # Errors
    /// What a real one would refuse, as an exception.
    pub fn handle_request(&mut self, now: Mono, request: &Request) -> Answer {
        self.advance(now);
        if !self.is_on() || now < self.silent_until {
            return Err(Failure::Silent);
        }
        self.heard_at = now;
        let answer = match request {
            Request::Read {
                table,
                address,
                count,
            } => self.read(now, *table, *address, *count),
            Request::Write { address, values } => self.write(now, *address, values),
        };
        self.settle(now);
        answer
    }

    /// Runs on to `now`: timers, the car, the meter.
    pub fn advance(&mut self, now: Mono) {
        if self.off_until.is_some_and(|until| until <= now) {
            self.off_until = None;
            self.boot(now);
        }
        if self.pilot_cut_until.is_some_and(|until| until <= now) {
            self.pilot_cut_until = None;
            self.asleep = false;
            self.idle_since = None;
        }
        if self.switching_until.is_some_and(|until| until <= now) {
            self.settle(now);
            self.switching_until = None;
            self.rewire(now);
        }
        self.settle(now);
    }

    /// When it wants [`advance`](Self::advance), whatever is asked of it meanwhile.
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.off_until.is_some() {
            return self.off_until;
        }
        let falls_back = self.falls_back_at().filter(|at| *at > self.settled_at);
        let tick = self.car.is_some().then_some(self.settled_at + TICK);
        let timers = [self.pilot_cut_until, self.switching_until, falls_back, tick];
        timers.into_iter().flatten().min()
    }

    /// Plugs a car in; a box that has one keeps it.
    pub fn plug(&mut self, now: Mono, car: Car) {
        self.advance(now);
        if self.car.is_none() {
            let (wired, voltage) = (self.wired(), self.plan.voltage);
            self.car = Some(PluggedCar::new(car, wired, voltage, now));
            self.idle_since = None;
            self.settle(now);
        }
    }

    /// Pulls the plug.
    pub fn unplug(&mut self, now: Mono) {
        self.advance(now);
        self.car = None;
        self.asleep = false;
        self.switching_until = None;
        self.on_one_phase = self.memory.one_phase == 1;
        self.settle(now);
    }

    /// Somebody holds a card to the reader; what that means is the master's business.
    pub fn tap(&mut self, now: Mono, tag: &IdTag) {
        self.advance(now);
        if self.is_on() {
            tag.as_str().clone_into(&mut self.memory.tag);
            self.memory.taps = self.memory.taps.wrapping_add(1);
        }
    }

    /// Does what a [script](super::script) says, whatever the connector.
    pub fn perform(&mut self, now: Mono, act: Act) {
        match act {
            Act::Plug(_, car) => self.plug(now, car),
            Act::Present(_, tag) => self.tap(now, &tag),
            Act::Unplug(_) => self.unplug(now),
        }
    }

    /// The power fails and is back after `off_for`; limit and enabling are then what the flash says.
    pub fn restart(&mut self, now: Mono, off_for: Duration) {
        self.advance(now);
        self.off_until = Some(now + off_for);
        if let Some(car) = &mut self.car {
            car.cut(now);
        }
        self.settle(now);
    }

    /// Does its work and answers nothing for `span`.
    pub fn be_silent(&mut self, now: Mono, span: Duration) {
        self.silent_until = now + span;
    }

    /// Register 8092 says `state` (5 = F, 9 = DC sensor) and nothing flows; `None` ends it.
    pub fn set_fault(&mut self, now: Mono, state: Option<u16>) {
        self.advance(now);
        self.fault = state;
        self.settle(now);
    }

    /// Begins or ceases to deviate.
    pub fn set_quirk(&mut self, quirk: PowerBrainQuirk, on: bool) {
        if on {
            self.plan.quirks.insert(quirk);
        } else {
            self.plan.quirks.remove(&quirk);
        }
    }

    /// Whether it has power.
    pub fn is_on(&self) -> bool {
        self.off_until.is_none()
    }

    /// Whether its master was away for so long that it has fallen back.
    pub fn is_fallen_back(&self, now: Mono) -> bool {
        self.falls_back_at().is_some_and(|at| at <= now)
    }

    /// What a car may draw from each phase; less than 6 A is nothing.
    pub fn allowed(&self, now: Mono) -> MilliAmps {
        let open = self.pilot_cut_until.is_some() || self.switching_until.is_some();
        if !self.is_on() || self.fault.is_some() || open {
            return MilliAmps::ZERO;
        }
        let told = if self.is_fallen_back(now) {
            self.flash(registers::FAIL_SAFE_CURRENT)
        } else if self.memory.enabled == 1 {
            self.memory.limit
        } else {
            0
        };
        let cable = match self.memory.fixed_current {
            0 => self.plan.cable.unwrap_or(MilliAmps::MAX),
            fixed => amps(fixed),
        };
        let allowed = amps(told).min(self.plan.hardware_max).min(cable);
        if allowed < MINIMUM {
            MilliAmps::ZERO
        } else {
            allowed
        }
    }

    /// What the fuse must be able to carry now: what the plugged car is allowed, on the box's own
    /// phases. A box needs no card to let it flow.
    pub fn exposure(&self, now: Mono) -> PerPhase<MilliAmps> {
        let car = self.car.as_ref();
        car.map_or_else(PerPhase::default, |car| {
            on_phases(self.allowed(now), car.phases())
        })
    }

    /// What the car draws now, on the box's own phases.
    pub fn draws(&self, now: Mono) -> PerPhase<MilliAmps> {
        let car = self.car.as_ref();
        car.map_or_else(PerPhase::default, |car| {
            on_phases(car.drawn(now), car.phases())
        })
    }

    /// Register 8092: 0 free, 1 plugged, 2 charging, or a fault.
    pub fn state(&self) -> u16 {
        let cut = self.pilot_cut_until.is_some() && self.plan.has(PowerBrainQuirk::FreeWhileCut);
        match (self.fault, &self.car) {
            (Some(fault), _) => fault,
            (None, None) => 0,
            (None, Some(_)) if cut => 0,
            (None, Some(car)) => {
                let flows = !self.asleep && car.appetite(self.offered) > MilliAmps::ZERO;
                if flows { 2 } else { 1 }
            }
        }
    }

    /// Energy register 8058 as it counts, whatever is shown.
    pub fn energy(&self) -> WattHours {
        self.energy.watt_hours()
    }

    /// How often each register was written.
    pub fn writes(&self) -> &BTreeMap<u16, u32> {
        self.judge.writes()
    }

    /// How many writes went to the flash.
    pub fn flash_writes(&self) -> u32 {
        self.judge.flash_writes()
    }

    /// What the master did wrong.
    pub fn violations(&self) -> &[String] {
        self.judge.violations()
    }
}

/// What happens by itself.
impl PowerBrain {
    fn boot(&mut self, now: Mono) {
        self.memory = Memory {
            fixed_current: self.flash(registers::BOOT_FIXED_CURRENT),
            limit: self.flash(registers::BOOT_LIMIT),
            enabled: self.flash(registers::BOOT_ENABLED),
            ..Memory::default()
        };
        let low = registers::RESTARTS + 1;
        let restarts = self.flash(low).wrapping_add(1);
        self.flash.insert(low, restarts);
        self.on_one_phase = false;
        self.switching_until = None;
        self.pilot_cut_until = None;
        (self.booted_at, self.heard_at) = (now, now);
        self.rewire(now);
    }

    /// Lets the car follow what it is offered now.
    fn settle(&mut self, now: Mono) {
        self.settled_at = self.settled_at.max(now);
        self.offered = self.allowed(now);
        if self.offered > MilliAmps::ZERO {
            self.idle_since = None;
        } else {
            let since = *self.idle_since.get_or_insert(now);
            let long = now.since(since) >= FALLS_ASLEEP;
            self.asleep |= long && self.plan.has(PowerBrainQuirk::SleepyCar);
        }
        let follows = if self.asleep {
            MilliAmps::ZERO
        } else {
            self.offered
        };
        let on = self.is_on();
        if let Some(car) = &mut self.car {
            let drawn = car.step(now, follows);
            self.energy.0 = self.energy.0.saturating_add(drawn.0);
            if !on {
                car.cut(now);
            }
        }
    }

    fn falls_back_at(&self) -> Option<Mono> {
        let [high, low] = [0, 1].map(|word| self.flash(registers::FAIL_SAFE_DURATION + word));
        let seconds = (u64::from(high) << 16) | u64::from(low);
        (seconds > 0).then_some(self.heard_at + Duration::from_secs(seconds))
    }

    /// Phases that reach the car.
    fn wired(&self) -> u8 {
        if self.on_one_phase {
            1
        } else {
            self.plan.phases
        }
    }

    /// The contactor goes where it was asked to go.
    fn rewire(&mut self, now: Mono) {
        self.on_one_phase = self.memory.one_phase == 1;
        let wired = self.wired();
        if let Some(car) = &mut self.car {
            car.rewire(now, wired);
        }
    }

    fn flash(&self, register: u16) -> u16 {
        self.flash.get(&register).copied().unwrap_or(0)
    }
}

fn on_phases(current: MilliAmps, phases: u8) -> PerPhase<MilliAmps> {
    let mut all = PerPhase::default();
    for phase in Phase::ALL.into_iter().take(usize::from(phases)) {
        all[phase] = current;
    }
    all
}

#[cfg(test)]
mod tests;
