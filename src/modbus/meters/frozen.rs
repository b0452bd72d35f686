//! A meter that answers, but measures no more.
//!
//! Floating-point numbers of a living meter change with every reading, so the same ones over and
//! over mean that what answers is only a memory. Meters with coarse integers (a Power Brain counts
//! in 0.1 A) may well see the same load for hours; of them it is only known that power which flows
//! must advance the energy register.

use std::time::Duration;

use super::judge::Readings;
use super::layout::Layout;
use super::register::Value;
use crate::clock::Mono;

/// So long may floating-point currents and powers stand still.
const LONGEST_REST: Duration = Duration::from_mins(1);

/// So long may an energy register stand still while more than [`FLOWS`] flow …
const LONGEST_STANDSTILL: Duration = Duration::from_mins(5);
const FLOWS: f64 = 200.0;

/// … and so many steps of the register must be missing: some count in whole kWh.
const MISSING_STEPS: f64 = 3.0;

/// What it looks at from sample to sample.
#[derive(Debug, Clone, Default)]
pub(super) struct Frozen {
    same: Option<Same>,
    standstill: Option<Standstill>,
}

/// Since when the same numbers come.
#[derive(Debug, Clone)]
struct Same {
    since: Mono,
    numbers: Vec<Option<f64>>,
}

/// Since when energy flows, but its register does not advance.
#[derive(Debug, Clone)]
struct Standstill {
    since: Mono,
    until: Mono,
    register: (Value, f64),
    /// Wh that should have been counted.
    missing: f64,
}

impl Frozen {
    /// Whether these readings show that the meter measures no more: a sentence for people.
    pub(super) fn check(
        &mut self,
        now: Mono,
        layout: &Layout,
        readings: &Readings,
    ) -> Option<String> {
        let seconds = if layout.restless {
            self.rest(now, readings).filter(|it| *it >= LONGEST_REST)
        } else {
            self.standstill(now, layout, readings)
        }?
        .as_secs();
        Some(if layout.restless {
            format!(
                "it has said exactly the same for {seconds} s; restart the meter or its gateway"
            )
        } else {
            format!(
                "power flows, but its energy register has stood still for {seconds} s; look at the meter behind it"
            )
        })
    }

    fn rest(&mut self, now: Mono, readings: &Readings) -> Option<Duration> {
        let get = |value: &Value| readings.get(value).copied();
        let flows = |value: &Value| get(value).is_some_and(|amps| amps != 0.0);
        if !Value::CURRENTS.iter().any(flows) {
            self.same = None;
            return None;
        }
        let watched = [&Value::CURRENTS[..], &Value::POWERS, &[Value::Power]].concat();
        let numbers: Vec<Option<f64>> = watched.iter().map(get).collect();
        match &self.same {
            Some(same) if same.numbers == numbers => {}
            _ => {
                self.same = Some(Same {
                    since: now,
                    numbers,
                });
            }
        }
        self.same.as_ref().map(|same| now.since(same.since))
    }

    fn standstill(&mut self, now: Mono, layout: &Layout, readings: &Readings) -> Option<Duration> {
        let power = power(readings)?;
        let value = if power > 0.0 {
            Value::ImportEnergy
        } else {
            Value::ExportEnergy
        };
        let register = readings.get(&value).map(|wh| (value, *wh));
        let (Some(register), true) = (register, power.abs() > FLOWS) else {
            self.standstill = None;
            return None;
        };
        let now_still = match self.standstill.take() {
            Some(mut still) if still.register == register => {
                let hours = now.since(still.until).as_secs_f64() / 3600.0;
                still.missing += power.abs() * hours;
                still.until = now;
                still
            }
            _ => Standstill {
                since: now,
                until: now,
                register,
                missing: 0.0,
            },
        };
        let still = self.standstill.insert(now_still);
        let still_for = now.since(still.since);
        let enough = layout.step(value).unwrap_or(1.0) * MISSING_STEPS;
        (still_for >= LONGEST_STANDSTILL && still.missing > enough).then_some(still_for)
    }
}

fn power(readings: &Readings) -> Option<f64> {
    let whole = readings.get(&Value::Power).copied();
    whole.or_else(|| {
        let phases = Value::POWERS.iter().filter_map(|it| readings.get(it));
        phases.copied().reduce(|sum, watts| sum + watts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn floats_that_stand_still_for_a_minute_are_a_frozen_meter() {
        let (mut frozen, layout) = (Frozen::default(), Layout::eastron());
        let readings = Readings::from([(Value::CurrentL1, 5.1), (Value::PowerL1, 1170.0)]);
        assert_eq!(frozen.check(at(0), &layout, &readings), None);
        assert_eq!(frozen.check(at(59), &layout, &readings), None);
        assert!(frozen.check(at(60), &layout, &readings).is_some());
        assert!(frozen.check(at(70), &layout, &readings).is_some());
        let mut moved = readings.clone();
        moved.insert(Value::PowerL1, 1170.1);
        assert_eq!(frozen.check(at(71), &layout, &moved), None);
        assert_eq!(frozen.check(at(130), &layout, &moved), None);
    }

    #[test]
    fn a_house_in_which_nothing_flows_may_stand_still() {
        let (mut frozen, layout) = (Frozen::default(), Layout::eastron());
        let readings = Readings::from([(Value::CurrentL1, 0.0), (Value::PowerL1, 0.0)]);
        for second in 0..200 {
            assert_eq!(frozen.check(at(second), &layout, &readings), None);
        }
    }

    /// Whether a Power Brain's meter counts as frozen after so many seconds at so many watts.
    fn stands_still(watts: f64, advances_each: u64, seconds: u64) -> bool {
        let (mut frozen, layout) = (Frozen::default(), Layout::power_brain());
        let mut verdict = None;
        for second in 0..=seconds {
            let readings = Readings::from([
                (Value::CurrentL1, 10.0),
                (Value::Power, watts),
                (
                    Value::ImportEnergy,
                    f64::from(u32::try_from(second / advances_each).unwrap()),
                ),
            ]);
            verdict = frozen.check(at(second), &layout, &readings);
        }
        verdict.is_some()
    }

    #[test]
    fn coarse_integers_may_stand_still_as_long_as_energy_is_counted() {
        assert!(!stands_still(2300.0, 100, 7200));
        assert!(!stands_still(2300.0, 7200, 299));
        assert!(stands_still(2300.0, 7200, 300));
    }

    #[test]
    fn little_power_advances_no_register() {
        assert!(!stands_still(200.0, 7200, 3600));
        assert!(stands_still(201.0, 7200, 300));
    }

    #[test]
    fn a_register_in_whole_kilowatt_hours_may_stand_still_for_longer() {
        let mut frozen = Frozen::default();
        let mut layout = Layout::power_brain();
        layout.blocks.clear();
        let register = crate::modbus::meters::Register {
            address: 0,
            table: crate::modbus::Table::Input,
            kind: crate::modbus::meters::RegisterType::U32,
            scale: 1000.0,
            word_order: crate::modbus::meters::WordOrder::Big,
        };
        let kilo = Layout::custom(&[(Value::ImportEnergy, register)].into());
        layout.blocks.extend(kilo.blocks);
        let readings = Readings::from([
            (Value::CurrentL1, 10.0),
            (Value::Power, 2000.0),
            (Value::ImportEnergy, 5000.0),
        ]);
        let mut first = None;
        for second in 0..10_000 {
            if frozen.check(at(second), &layout, &readings).is_some() {
                first = first.or(Some(second));
            }
        }
        let first = first.unwrap();
        assert!(
            (5400..=5402).contains(&first),
            "3 kWh at 2 kW are an hour and a half, not {first} s"
        );
    }
}
