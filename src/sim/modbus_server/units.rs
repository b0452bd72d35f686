//! Simulated devices with what moves them: a Power Brain with drivers, a meter with a house.

use tracing::{info, warn};

use super::Unit;
use crate::clock::Mono;
use crate::modbus::{Answer, Request};
use crate::sim::{Draws, House, Meter, PowerBrain, Script};
use crate::units::{MilliAmps, PerPhase};

/// A Power Brain whose drivers come and go as a script says. What a person would see at it is
/// logged.
#[derive(Debug)]
pub struct PowerBrainWithDrivers {
    brain: PowerBrain,
    script: Script,
    draws: Draws,
    shown: Option<Shown>,
    complaints: usize,
}

/// What was logged last.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    state: u16,
    allowed: MilliAmps,
    fallen_back: bool,
}

impl PowerBrainWithDrivers {
    /// What its cars draw is told to `draws`.
    pub fn new(brain: PowerBrain, script: Script, draws: Draws) -> Self {
        Self {
            brain,
            script,
            draws,
            shown: None,
            complaints: 0,
        }
    }

    fn show(&mut self, now: Mono) {
        let serial = &self.brain.plan().serial;
        for violation in self.brain.violations().iter().skip(self.complaints) {
            warn!(power_brain = %serial, %violation, "the master breaks a rule");
        }
        self.complaints = self.brain.violations().len();
        let shown = Shown {
            state: self.brain.state(),
            allowed: self.brain.allowed(now),
            fallen_back: self.brain.is_fallen_back(now),
        };
        if self.shown.as_ref() == Some(&shown) {
            return;
        }
        let state = match shown.state {
            0 => "free",
            1 => "car plugged",
            2 => "charging",
            _ => "fault",
        };
        let allowed = shown.allowed;
        info!(power_brain = %serial, state, allowed_a = %allowed, fallen_back = shown.fallen_back, "wallbox");
        self.shown = Some(shown);
    }
}

impl Unit for PowerBrainWithDrivers {
    fn handle_request(&mut self, now: Mono, request: &Request) -> Answer {
        let answer = self.brain.handle_request(now, request);
        self.show(now);
        answer
    }

    fn advance(&mut self, now: Mono) {
        while let Some(act) = self.script.next_act(now) {
            info!(power_brain = %self.brain.plan().serial, ?act, "a driver");
            self.brain.perform(now, act);
        }
        self.brain.advance(now);
        let draws = self.brain.draws(now);
        self.draws.set(&self.brain.plan().serial, draws);
        self.show(now);
    }
}

/// A meter above a house and whoever else draws. What the house does is logged.
#[derive(Debug)]
pub struct MeteredHouse {
    meter: Meter,
    house: House,
    draws: Draws,
    pace: u32,
    shown: Option<PerPhase<MilliAmps>>,
}

impl MeteredHouse {
    /// The house lives `pace` times as fast as the clock.
    pub fn new(meter: Meter, house: House, draws: Draws, pace: u32) -> Self {
        Self {
            meter,
            house,
            draws,
            pace,
            shown: None,
        }
    }
}

impl Unit for MeteredHouse {
    fn handle_request(&mut self, now: Mono, request: &Request) -> Answer {
        self.meter.handle_request(now, request)
    }

    fn advance(&mut self, now: Mono) {
        self.house.advance(Mono(now.0 * self.pace));
        let house = self.house.current();
        let mut flows = self.draws.sum();
        for (phase, current) in house.iter() {
            flows[phase] += current;
        }
        self.meter.observe(now, flows);
        if self.shown.replace(house) != Some(house) {
            let PerPhase([l1, l2, l3]) = house;
            info!(l1_a = %l1, l2_a = %l2, l3_a = %l3, "the house");
        }
    }
}
