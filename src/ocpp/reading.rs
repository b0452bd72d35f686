//! What meter values mean.

use jiff::Timestamp;

use super::messages::{
    Location, Measurand, MeterValue, ReadingContext, SampledPhase, SampledValue, ValueFormat,
    plausible_register,
};
use super::timestamp;
use crate::units::{MilliAmps, MilliVolts, PerPhase, Phase, WattHours, Watts};

/// What a list of meter values says, the newest of each kind.
///
/// Phases are those of the wallbox. Signed data, exported energy, neutral conductors, voltages
/// between phases, values measured by the car and values that are no number are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reading {
    /// Current into the car. A value without phase counts for each of the three phases, because it
    /// is not known which carries it. Where there are values with a phase, those count alone, and a
    /// phase without value carries nothing.
    pub current: Option<PerPhase<MilliAmps>>,
    /// Power into the car; the sum of the phases where no total came.
    pub power: Option<Watts>,
    /// The import register; the sum of the phases where no total came.
    pub energy: Option<WattHours>,
    /// The largest current that the car may take, as the wallbox says it.
    pub current_offered: Option<MilliAmps>,
    /// Voltage to neutral, by the same rule as the current. For show: limits are computed with the
    /// nominal voltage.
    pub voltage: Option<PerPhase<MilliVolts>>,
    /// At least one value was taken at the end of a transaction, which therefore runs no longer.
    pub has_transaction_end: bool,
}

impl Reading {
    /// Reduces meter values.
    pub fn of(values: &[MeterValue<'_>]) -> Self {
        let mut found = Found::default();
        let mut has_transaction_end = false;
        for value in values {
            let time = timestamp::parse_lenient(&value.timestamp);
            for sample in &value.sampled_value {
                has_transaction_end |= sample.context == Some(ReadingContext::TransactionEnd);
                found.add(time, sample);
            }
        }
        Self {
            current: found.current.per_phase(MilliAmps::from_amps_f64),
            power: found.power.total().and_then(Watts::from_f64),
            energy: found.energy.total().and_then(register),
            current_offered: found.offered.largest().and_then(MilliAmps::from_amps_f64),
            voltage: found.voltage.per_phase(millivolts),
            has_transaction_end,
        }
    }
}

#[derive(Default)]
struct Found {
    current: Quantity,
    power: Quantity,
    energy: Quantity,
    offered: Quantity,
    voltage: Quantity,
}

impl Found {
    fn add(&mut self, time: Option<Timestamp>, sample: &SampledValue<'_>) {
        if sample.format == Some(ValueFormat::SignedData) || sample.location == Some(Location::EV) {
            return;
        }
        let measurand = sample
            .measurand
            .unwrap_or(Measurand::EnergyActiveImportRegister);
        let (quantity, unit) = match measurand {
            Measurand::CurrentImport => (&mut self.current, "A"),
            Measurand::PowerActiveImport => (&mut self.power, "W"),
            Measurand::EnergyActiveImportRegister => (&mut self.energy, "Wh"),
            Measurand::CurrentOffered => (&mut self.offered, "A"),
            Measurand::Voltage => (&mut self.voltage, "V"),
            _ => return,
        };
        let slot = match sample.phase {
            None => &mut quantity.whole,
            Some(SampledPhase::L1 | SampledPhase::L1N) => &mut quantity.phases[Phase::L1],
            Some(SampledPhase::L2 | SampledPhase::L2N) => &mut quantity.phases[Phase::L2],
            Some(SampledPhase::L3 | SampledPhase::L3N) => &mut quantity.phases[Phase::L3],
            Some(_) => return,
        };
        if let (Some(value), Some(factor)) = (number(&sample.value), scale(sample, unit)) {
            slot.put(time, value * factor);
        }
    }
}

/// The newest value without phase and of each phase.
#[derive(Default)]
struct Quantity {
    whole: Slot,
    phases: PerPhase<Slot>,
}

impl Quantity {
    fn of_phases(&self) -> impl Iterator<Item = f64> {
        self.phases.iter().filter_map(|(_, slot)| slot.value())
    }

    fn total(&self) -> Option<f64> {
        let summed = || self.of_phases().reduce(|sum, value| sum + value);
        self.whole.value().or_else(summed)
    }

    fn largest(&self) -> Option<f64> {
        self.of_phases().chain(self.whole.value()).reduce(f64::max)
    }

    fn per_phase<T: Copy + Default>(&self, unit: impl Fn(f64) -> Option<T>) -> Option<PerPhase<T>> {
        if self.of_phases().next().is_none() {
            return self.whole.value().and_then(unit).map(PerPhase::all);
        }
        let values = self
            .phases
            .map(|slot| slot.value().map_or(Some(T::default()), &unit));
        match values.0 {
            [Some(l1), Some(l2), Some(l3)] => Some(PerPhase([l1, l2, l3])),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Slot(Option<(Option<Timestamp>, f64)>);

impl Slot {
    /// The newest wins; of equally old ones, or where a time is not known, the later in the list.
    fn put(&mut self, time: Option<Timestamp>, value: f64) {
        if let (Some((Some(before), _)), Some(time)) = (self.0, time)
            && time < before
        {
            return;
        }
        self.0 = Some((time, value));
    }

    fn value(self) -> Option<f64> {
        self.0.map(|(_, value)| value)
    }
}

/// Digits with blanks around them or a comma in them.
fn number(text: &str) -> Option<f64> {
    let text = text.trim();
    let value: f64 = match text.parse() {
        Ok(value) => value,
        Err(_) => text.replace(',', ".").parse().ok()?,
    };
    value.is_finite().then_some(value)
}

/// What to multiply with to get `unit`; `None` if the sample has a unit that is none of it.
fn scale(sample: &SampledValue<'_>, unit: &str) -> Option<f64> {
    let written = sample.unit.as_deref().map_or("", str::trim);
    if written.is_empty() || written.eq_ignore_ascii_case(unit) {
        return Some(1.0);
    }
    let (prefix, rest) = written.split_at_checked(1)?;
    if !rest.eq_ignore_ascii_case(unit) {
        return None;
    }
    match (prefix, unit) {
        ("k" | "K", _) => Some(1000.0),
        ("m" | "M", "A" | "V") => Some(0.001),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float cast saturates, and what is absurd is refused then"
)]
fn register(watt_hours: f64) -> Option<WattHours> {
    plausible_register(watt_hours.round() as i64)
}

/// Through the milliamperes, which have the same range.
fn millivolts(volts: f64) -> Option<MilliVolts> {
    MilliAmps::from_amps_f64(volts).map(|thousandths| MilliVolts(thousandths.0))
}
