//! What a Power Brain shows in its registers, and what becomes of what is written there.

use std::time::Duration;

use super::registers::{self, Keeps, is_readable, keeps, takes, tenths};
use super::{PowerBrain, PowerBrainQuirk};
use crate::clock::Mono;
use crate::modbus::{Answer, Failure, Table};
use crate::sim::image::{Image, text, words};

/// After a boot the meter is read once this has passed.
const METER_WAKES: Duration = Duration::from_secs(10);

/// Modbus exception codes.
const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;

impl PowerBrain {
    pub(super) fn read(&mut self, now: Mono, table: Table, address: u16, count: u16) -> Answer {
        if table == Table::Input {
            return Err(Failure::Exception(ILLEGAL_FUNCTION));
        }
        if !(1..=125).contains(&count) {
            return Err(Failure::Exception(ILLEGAL_VALUE));
        }
        let meter = !self.plan.has(PowerBrainQuirk::NoMeter);
        let end = address.saturating_add(count);
        (address..end).for_each(|register| self.judge.names("reads", register));
        if !(address..end).all(|register| is_readable(register, meter)) {
            return Err(Failure::Exception(ILLEGAL_ADDRESS));
        }
        let values = self.image(now).read(address, count);
        values.ok_or(Failure::Exception(ILLEGAL_ADDRESS))
    }

    fn image(&self, now: Mono) -> Image {
        let mut image = Image::zeros(registers::IDENTITY, 122);
        for (register, value) in &self.flash {
            image.put(*register, [*value]);
        }
        let identity = [0xCF05, 0, 1, 0x100, 0x0100, 7, 0x0100, 0];
        image.put(registers::IDENTITY, identity);
        image.put(registers::SERIAL, text(&self.plan.serial, 8));
        image.put(registers::NAME, text("cFos Power Brain", 16));
        self.put_meter(&mut image, now);
        let left = self.pilot_cut_until.map_or(0, |until| {
            u16::try_from(until.since(now).as_secs()).unwrap_or(u16::MAX)
        });
        let memory = &self.memory;
        image.put(
            registers::CUT_PILOT,
            [left, memory.one_phase, memory.relay_2],
        );
        let cable = self.plan.cable.filter(|_| self.car.is_some());
        let offered = self.car.as_ref().map_or(0, |_| tenths(self.offered));
        let live = [
            cable.map_or(0, tenths),
            memory.fixed_current,
            self.state(),
            memory.limit,
            memory.enabled,
            offered,
        ];
        image.put(registers::CABLE, live);
        image.put(registers::TAG, text(&memory.tag, 15));
        let meter = u16::from(!self.plan.has(PowerBrainQuirk::NoMeter));
        let inputs = u16::from(self.plan.switches_while_plugged) << 8;
        image.put(registers::TAPS, [memory.taps, meter, inputs]);
        image
    }

    fn put_meter(&self, image: &mut Image, now: Mono) {
        let draws = self.draws(now);
        let volts = i64::from(self.plan.voltage.0);
        let micro_watts: i64 = draws.0.iter().map(|amps| i64::from(amps.0) * volts).sum();
        let watts = i32::try_from(micro_watts / 1_000_000).unwrap_or(i32::MAX);
        let watts = if watts == 0 && self.plan.has(PowerBrainQuirk::NoPowerWhenIdle) {
            -1
        } else {
            watts
        };
        let wakes = self.plan.has(PowerBrainQuirk::EnergyZeroAfterBoot)
            && now < self.booted_at + METER_WAKES;
        let energy = if wakes { 0 } else { self.energy().0 };
        image.put(registers::METER_FLAGS, [1]);
        image.put(registers::ENERGY, words(energy.to_be_bytes()));
        image.put(registers::POWER, words(watts.to_be_bytes()));
        let currents = draws
            .0
            .map(|amps| words(u32::from(tenths(amps)).to_be_bytes()));
        image.put(registers::CURRENTS, currents.concat());
    }

    pub(super) fn write(&mut self, now: Mono, address: u16, values: &[u16]) -> Answer {
        let registers: Vec<(u16, u16)> = (address..).zip(values.iter().copied()).collect();
        for (register, value) in &registers {
            self.judge.names("writes", *register);
            if keeps(*register).is_none() {
                return Err(Failure::Exception(ILLEGAL_ADDRESS));
            }
            if !takes(*register, *value) {
                self.judge.refused(*register, *value);
                return Err(Failure::Exception(ILLEGAL_VALUE));
            }
        }
        let changes: Vec<(u16, u16, u16)> = registers
            .into_iter()
            .map(|(register, value)| (register, self.flash(register), value))
            .collect();
        self.judge.written(&changes);
        for (register, _, value) in changes {
            self.set(now, register, value);
        }
        Ok(Vec::new())
    }

    fn set(&mut self, now: Mono, register: u16, value: u16) {
        match register {
            registers::LIMIT => self.memory.limit = value,
            registers::ENABLED => self.memory.enabled = value,
            registers::FIXED_CURRENT => self.memory.fixed_current = value,
            registers::RELAY => self.set_relay(now, value),
            registers::RELAY_2 => self.memory.relay_2 = value,
            registers::CUT_PILOT => {
                let cut = Duration::from_secs(u64::from(value));
                self.pilot_cut_until = (value > 0).then_some(now + cut);
            }
            _ if keeps(register) == Some(Keeps::InFlash) => {
                self.flash.insert(register, value);
            }
            _ => {}
        }
    }

    /// Switches now, after a pause, or with the next car.
    fn set_relay(&mut self, now: Mono, one_phase: u16) {
        self.memory.one_phase = one_phase;
        let there = self.on_one_phase == (one_phase == 1);
        if self.car.is_none() {
            self.rewire(now);
        } else if self.plan.switches_while_plugged {
            self.switching_until = (!there).then_some(now + self.plan.phase_switch_pause);
        }
    }
}
