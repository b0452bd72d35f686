//! From numbers to a sample: signs, and what cannot be true.

use std::collections::BTreeMap;

use super::plan::Sample;
use super::register::Value;
use crate::units::{MilliAmps, MilliVolts, PerPhase, WattHours, Watts};

/// What was read, in A, V, W, Wh and Hz, with the signs of the registers.
pub type Readings = BTreeMap<Value, f64>;

/// A per phase; no house has more.
const LARGEST_CURRENT: f64 = 1000.0;

/// V to neutral; more is a voltage between phases, or nonsense.
const LARGEST_VOLTAGE: f64 = 400.0;

/// Below this a phase is not connected.
const SMALLEST_VOLTAGE: f64 = 20.0;

/// Taken where no voltage is read.
const NOMINAL: f64 = 230.0;

/// Active power is never above voltage times current; more by this factor and so many watts is
/// no error of measurement, but a wrong scale or register. Currents that are too large for the
/// power are only a bad power factor, and too large is the safe side.
const POWER_FACTOR: f64 = 1.5;
const POWER_SLACK: f64 = 300.0;

/// From so many watts on, currents that are all 0 mean a meter that does not measure them.
const FLOWS: f64 = 100.0;

/// Makes a sample of what was read, or says in one sentence why it cannot be true.
///
/// A current takes the sign of the power of its phase; without that, the sign of the whole power
/// if only one phase carries current; else it is taken as it is, which on a meter without signs
/// is import: the safe side.
///
/// # Errors
///
/// What does not fit, and what to look at.
pub fn sample(readings: &Readings, needed: &[Value], invert: bool) -> Result<Sample, String> {
    let get = |value: Value| readings.get(&value).copied();
    let phases = |values: [Value; 3]| PerPhase(values.map(get));
    if let Some(missing) = needed.iter().find(|value| get(**value).is_none()) {
        return Err(format!(
            "{missing} reads no number; look at the device and id of this meter, and at its wiring"
        ));
    }
    let voltage = phases(Value::VOLTAGES);
    check_voltages(voltage)?;
    let powers = phases(Value::POWERS);
    let current = amounts(phases(Value::CURRENTS), get(Value::Power), voltage);
    check_currents(current)?;
    check_power(current, voltage, powers, get(Value::Power))?;
    let current = signed(current, powers, get(Value::Power));

    let sign = if invert { -1.0 } else { 1.0 };
    let phase_power = all(powers.map(|it| it.and_then(|watts| Watts::from_f64(watts * sign))));
    let power = get(Value::Power).and_then(|watts| Watts::from_f64(watts * sign));
    let (import, export) = (get(Value::ImportEnergy), get(Value::ExportEnergy));
    let (import, export) = if invert {
        (export, import)
    } else {
        (import, export)
    };
    let amps = current.map(|amps| MilliAmps::from_amps_f64(amps * sign).unwrap_or(MilliAmps::MAX));
    Ok(Sample {
        current: amps,
        power: power.or_else(|| phase_power.map(|PerPhase(watts)| watts.into_iter().sum())),
        phase_power,
        voltage: all(voltage.map(|it| it.and_then(MilliVolts::from_volts_f64))),
        import: import.and_then(watt_hours),
        export: export.and_then(watt_hours),
        frequency: get(Value::Frequency).and_then(millihertz),
    })
}

/// What is strange but no reason to distrust the currents, in one sentence.
pub fn oddity(readings: &Readings) -> Option<String> {
    let mut voltages = Value::VOLTAGES
        .iter()
        .filter_map(|value| readings.get(value).map(|volts| (value, *volts)))
        .filter(|(_, volts)| *volts >= SMALLEST_VOLTAGE);
    let (value, volts) = voltages.find(|(_, volts)| !(180.0..=260.0).contains(volts))?;
    Some(format!(
        "{value} reads {volts:.0} V, and mains have 180 to 260 V; look at the device and wiring of this meter"
    ))
}

fn check_voltages(voltage: PerPhase<Option<f64>>) -> Result<(), String> {
    for (phase, volts) in voltage.iter() {
        if let Some(volts) = volts
            && !(0.0..=LARGEST_VOLTAGE).contains(&volts)
        {
            return Err(format!(
                "{phase} reads {volts:.0} V, which no phase has; look at the device and id of this meter"
            ));
        }
    }
    let known = voltage.0.iter().flatten();
    if known.clone().count() > 0 && known.clone().all(|volts| *volts < SMALLEST_VOLTAGE) {
        return Err(
            "no phase has a voltage; the meter does not measure single phases or is not connected"
                .to_owned(),
        );
    }
    Ok(())
}

/// The currents of the phases that the meter has. One that knows its power but no currents may
/// carry that power on any phase: it is booked on each.
fn amounts(
    current: PerPhase<Option<f64>>,
    power: Option<f64>,
    voltage: PerPhase<Option<f64>>,
) -> PerPhase<f64> {
    let known = current.map(|it| it.unwrap_or(0.0));
    let nothing = known.0.iter().all(|amps| *amps == 0.0);
    match power {
        Some(power) if nothing && power.abs() >= FLOWS => {
            PerPhase(voltage.0.map(|volts| power.abs() / mains(volts)))
        }
        _ => known,
    }
}

fn check_currents(current: PerPhase<f64>) -> Result<(), String> {
    for (phase, amps) in current.iter() {
        if amps.abs() > LARGEST_CURRENT {
            return Err(format!(
                "{phase} reads {amps:.0} A, which no house has; look at the device and registers of this meter"
            ));
        }
    }
    Ok(())
}

fn check_power(
    current: PerPhase<f64>,
    voltage: PerPhase<Option<f64>>,
    powers: PerPhase<Option<f64>>,
    power: Option<f64>,
) -> Result<(), String> {
    let mut possible = 0.0;
    for ((phase, amps), (volts, watts)) in current.iter().zip(voltage.0.into_iter().zip(powers.0)) {
        let product = amps.abs() * mains(volts);
        possible += product;
        too_much(watts, product).map_or(Ok(()), |watts| {
            Err(format!(
                "{phase} reads {watts:.0} W with only {amps:.1} A; look at the device, registers and scales of this meter"
            ))
        })?;
    }
    too_much(power, possible).map_or(Ok(()), |watts| {
        Err(format!(
            "power reads {watts:.0} W, more than the currents allow; look at the device, registers and scales of this meter"
        ))
    })
}

fn too_much(watts: Option<f64>, possible: f64) -> Option<f64> {
    watts.filter(|watts| watts.abs() > POWER_FACTOR * possible + POWER_SLACK)
}

fn signed(
    current: PerPhase<f64>,
    powers: PerPhase<Option<f64>>,
    power: Option<f64>,
) -> PerPhase<f64> {
    let alone = current.0.iter().filter(|amps| **amps != 0.0).count() == 1;
    let whole = power.filter(|_| alone && powers.0.iter().all(Option::is_none));
    let mut signed = current;
    for (phase, amps) in current.iter() {
        if let Some(watts) = powers[phase].or(whole)
            && watts != 0.0
        {
            signed[phase] = amps.abs().copysign(watts);
        }
    }
    signed
}

fn mains(volts: Option<f64>) -> f64 {
    volts
        .filter(|volts| *volts >= SMALLEST_VOLTAGE)
        .unwrap_or(NOMINAL)
}

fn all<T: Copy>(values: PerPhase<Option<T>>) -> Option<PerPhase<T>> {
    let PerPhase([l1, l2, l3]) = values;
    Some(PerPhase([l1?, l2?, l3?]))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn watt_hours(value: f64) -> Option<WattHours> {
    (0.0..=9e15)
        .contains(&value)
        .then(|| WattHours(value.round() as i64))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn millihertz(hertz: f64) -> Option<i32> {
    (0.0..=1000.0)
        .contains(&hertz)
        .then(|| (hertz * 1000.0).round() as i32)
}
