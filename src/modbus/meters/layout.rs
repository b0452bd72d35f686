//! Which registers of a kind are read together, and how often.

use std::collections::BTreeMap;

use super::plan::Kind;
use super::register::{Register, RegisterType, Value, WordOrder};
use crate::modbus::{Request, Table};

/// Where one kind of meter keeps its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// What is read in one request each; those of [`Pace::Each`] first.
    pub blocks: Vec<Block>,
    /// Without these there is no sample.
    pub needed: Vec<Value>,
    /// Numbers so fine that those of a living meter change all the time.
    pub restless: bool,
}

/// Neighbouring registers: what is read together belongs to one instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Of which table.
    pub table: Table,
    /// The first register, from 0.
    pub address: u16,
    /// How many.
    pub count: u16,
    /// What is in them.
    pub fields: Vec<Field>,
    /// How often it is read.
    pub pace: Pace,
}

/// How often a block is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// For each sample.
    Each,
    /// Now and then, between samples.
    Seldom,
    /// Only to show it to people.
    Probe,
}

/// One value in a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field {
    /// Which.
    pub value: Value,
    /// Its first register, from that of the block.
    pub offset: u16,
    coding: Coding,
    scale: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Coding {
    Number(RegisterType, WordOrder),
    /// `acc32` of SunSpec: unsigned, 0 = not implemented.
    Accumulator,
    /// Signed, -1 = none.
    PowerBrainPower,
    /// Quirk: cFos S0 unit: the nominal voltage is a setting, and 0 where nobody made it.
    PowerBrainVoltage,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    Factor(f64),
    /// The power of ten in the register at this offset.
    Exponent(u16),
}

impl Block {
    /// What to ask for.
    pub const fn request(&self) -> Request {
        Request::Read {
            table: self.table,
            address: self.address,
            count: self.count,
        }
    }

    /// Whether there is no sample without it.
    pub fn is_needed(&self, needed: &[Value]) -> bool {
        self.fields
            .iter()
            .any(|field| needed.contains(&field.value))
    }
}

impl Field {
    /// The value in the registers of its block; `None` where they say that there is none.
    pub fn decode(&self, block: &[u16]) -> Option<f64> {
        let words = block.get(usize::from(self.offset)..)?;
        let number = match self.coding {
            Coding::Number(kind, order) => kind.decode(words, order)?,
            Coding::Accumulator => RegisterType::U32
                .decode(words, WordOrder::Big)
                .filter(|it| *it != 0.0)?,
            Coding::PowerBrainPower if words.starts_with(&[0xFFFF, 0xFFFF]) => return None,
            Coding::PowerBrainPower => RegisterType::I32.decode(words, WordOrder::Big)?,
            Coding::PowerBrainVoltage => RegisterType::U16
                .decode(words, WordOrder::Big)
                .filter(|it| *it != 0.0)?,
        };
        let scaled = match self.scale {
            Scale::Factor(factor) => number * factor,
            Scale::Exponent(offset) => match *block.get(usize::from(offset))? {
                0x8000 => number,
                bits => {
                    let exponent = i32::from(bits.cast_signed());
                    (-10..=10)
                        .contains(&exponent)
                        .then(|| number * 10_f64.powi(exponent))?
                }
            },
        };
        scaled.is_finite().then_some(scaled)
    }

    /// How many registers it takes.
    pub const fn count(&self) -> u16 {
        match self.coding {
            Coding::Number(kind, _) => kind.count(),
            Coding::Accumulator | Coding::PowerBrainPower => 2,
            Coding::PowerBrainVoltage => 1,
        }
    }

    /// The smallest step of the value, where it is known.
    pub(super) const fn step(&self) -> Option<f64> {
        match (self.coding, self.scale) {
            (Coding::Number(kind, _), Scale::Factor(factor)) if !kind.is_float() => {
                Some(factor.abs())
            }
            (Coding::PowerBrainPower, Scale::Factor(factor)) => Some(factor.abs()),
            _ => None,
        }
    }

    const fn number(value: Value, offset: u16, kind: RegisterType, factor: f64) -> Self {
        Self {
            value,
            offset,
            coding: Coding::Number(kind, WordOrder::Big),
            scale: Scale::Factor(factor),
        }
    }

    const fn scaled(value: Value, offset: u16, coding: Coding, exponent: u16) -> Self {
        Self {
            value,
            offset,
            coding,
            scale: Scale::Exponent(exponent),
        }
    }
}

impl Layout {
    /// The layout of a kind; `None` for SunSpec, which must be [searched](super::Search) for.
    pub fn of(kind: &Kind) -> Option<Self> {
        match kind {
            Kind::Sdm630 | Kind::Sdm72 => Some(Self::eastron()),
            Kind::PowerBrain => Some(Self::power_brain()),
            Kind::SunSpec => None,
            Kind::Custom(registers) => Some(Self::custom(registers)),
        }
    }

    /// Eastron SDM630 and SDM72D-M-2: input registers, floating point. The sign of a current is
    /// that of the power of its phase.
    pub fn eastron() -> Self {
        let f32 = |value, offset, factor| Field::number(value, offset, RegisterType::F32, factor);
        let block = |address, count, pace, fields| Block {
            table: Table::Input,
            address,
            count,
            fields,
            pace,
        };
        let phases = [Value::VOLTAGES, Value::CURRENTS, Value::POWERS].concat();
        let phases = (0..).step_by(2).zip(phases);
        Self {
            blocks: vec![
                block(
                    0x00,
                    18,
                    Pace::Each,
                    phases.map(|(at, value)| f32(value, at, 1.0)).collect(),
                ),
                block(
                    0x46,
                    6,
                    Pace::Seldom,
                    vec![
                        f32(Value::Frequency, 0, 1.0),
                        f32(Value::ImportEnergy, 2, 1000.0),
                        f32(Value::ExportEnergy, 4, 1000.0),
                    ],
                ),
                block(0x34, 2, Pace::Probe, vec![f32(Value::Power, 0, 1.0)]),
            ],
            needed: [Value::CURRENTS, Value::POWERS].concat(),
            restless: true,
        }
    }

    /// The meter attached to a Power Brain, and its S0 units: currents in steps of 0.1 A.
    pub fn power_brain() -> Self {
        let amps = |value, offset| Field::number(value, offset, RegisterType::U32, 0.1);
        let [l1, l2, l3] = Value::CURRENTS;
        let nominal = (0..).zip(Value::VOLTAGES);
        let each = Block {
            table: Table::Holding,
            address: 8057,
            count: 13,
            pace: Pace::Each,
            fields: vec![
                Field::number(Value::ImportEnergy, 1, RegisterType::U64, 1.0),
                Field {
                    coding: Coding::PowerBrainPower,
                    ..Field::number(Value::Power, 5, RegisterType::I32, 1.0)
                },
                amps(l1, 7),
                amps(l2, 9),
                amps(l3, 11),
            ],
        };
        // S0 units only. There is no measured voltage anywhere.
        let seldom = Block {
            table: Table::Holding,
            address: 8045,
            count: 3,
            pace: Pace::Seldom,
            fields: nominal
                .map(|(at, value)| Field {
                    coding: Coding::PowerBrainVoltage,
                    ..Field::number(value, at, RegisterType::U16, 1.0)
                })
                .collect(),
        };
        Self {
            blocks: vec![each, seldom],
            needed: Value::CURRENTS.to_vec(),
            restless: false,
        }
    }

    /// The same with its energy registers read for each sample.
    pub(super) fn billing(mut self) -> Self {
        let energy =
            |field: &Field| matches!(field.value, Value::ImportEnergy | Value::ExportEnergy);
        for block in &mut self.blocks {
            if block.pace == Pace::Seldom && block.fields.iter().any(energy) {
                block.pace = Pace::Each;
            }
        }
        self.blocks.sort_by_key(|block| block.pace != Pace::Each);
        self
    }

    /// A SunSpec model 201–204 or 211–214 whose id is in this holding register.
    pub(super) fn sunspec(model: u16, id: u16) -> Option<Self> {
        let phases = match model {
            201 | 211 => 1,
            202 | 212 => 2,
            203 | 204 | 213 | 214 => 3,
            _ => return None,
        };
        let (each, seldom) = if model < 211 {
            (sunspec_integers(), sunspec_accumulators())
        } else {
            (sunspec_floats(), sunspec_float_energies())
        };
        let block = |(from, count, fields), pace| {
            Some(Block {
                table: Table::Holding,
                address: id.checked_add(from)?,
                count,
                fields,
                pace,
            })
        };
        Some(Self {
            blocks: vec![block(each, Pace::Each)?, block(seldom, Pace::Seldom)?],
            needed: Value::CURRENTS.into_iter().take(phases).collect(),
            restless: model >= 211,
        })
    }

    /// What the configuration lists. Only registers without a gap are read together: many devices
    /// refuse a request that touches one that they do not have.
    pub fn custom(registers: &BTreeMap<Value, Register>) -> Self {
        let mut sorted: Vec<(Value, Register)> =
            registers.iter().map(|(value, it)| (*value, *it)).collect();
        sorted.sort_by_key(|(_, it)| (it.table == Table::Holding, it.address));
        let mut blocks: Vec<Block> = Vec::new();
        for (value, register) in sorted {
            let kind = register.kind;
            let field = |offset| Field {
                value,
                offset,
                coding: Coding::Number(kind, register.word_order),
                scale: Scale::Factor(register.scale),
            };
            let neighbour = blocks.last_mut().and_then(|block| {
                let offset = register.address.checked_sub(block.address)?;
                let fits = block.table == register.table && offset <= block.count && offset < 100;
                fits.then_some((block, offset))
            });
            if let Some((block, offset)) = neighbour {
                block.count = block.count.max(offset + kind.count());
                block.fields.push(field(offset));
            } else {
                blocks.push(Block {
                    table: register.table,
                    address: register.address,
                    count: kind.count(),
                    fields: vec![field(0)],
                    pace: Pace::Seldom,
                });
            }
        }
        let now = [
            &Value::CURRENTS[..],
            &Value::POWERS[..],
            &[Value::Power][..],
        ]
        .concat();
        for block in &mut blocks {
            if block.is_needed(&now) {
                block.pace = Pace::Each;
            }
        }
        blocks.sort_by_key(|block| block.pace != Pace::Each);
        let phases = [Value::CURRENTS, Value::POWERS].concat();
        let floats = |value: &Value| registers.get(value).is_none_or(|it| it.kind.is_float());
        Self {
            blocks,
            needed: phases
                .iter()
                .copied()
                .filter(|value| registers.contains_key(value))
                .collect(),
            restless: now.iter().all(floats),
        }
    }

    /// The smallest step of a value, where it is known.
    pub(super) fn step(&self, value: Value) -> Option<f64> {
        let fields = self.blocks.iter().flat_map(|block| &block.fields);
        fields
            .filter(|field| field.value == value)
            .find_map(Field::step)
    }
}

/// First offset from the id of the model, how many, what.
type Part = (u16, u16, Vec<Field>);

fn sunspec_integers() -> Part {
    let from = 3;
    let i16 = Coding::Number(RegisterType::I16, WordOrder::Big);
    let u16 = Coding::Number(RegisterType::U16, WordOrder::Big);
    let field =
        |value, at: u16, coding, scale: u16| Field::scaled(value, at - from, coding, scale - from);
    let mut fields = vec![
        field(Value::Frequency, 16, u16, 17),
        field(Value::Power, 18, i16, 22),
    ];
    for (values, first, scale) in [
        (Value::CURRENTS, 3, 6),
        (Value::VOLTAGES, 8, 15),
        (Value::POWERS, 19, 22),
    ] {
        let places = (first..).zip(values);
        fields.extend(places.map(|(at, value)| field(value, at, i16, scale)));
    }
    (from, 20, fields)
}

fn sunspec_accumulators() -> Part {
    let energy = |value, offset| Field::scaled(value, offset, Coding::Accumulator, 54 - 38);
    let fields = vec![
        energy(Value::ExportEnergy, 0),
        energy(Value::ImportEnergy, 46 - 38),
    ];
    (38, 17, fields)
}

fn sunspec_floats() -> Part {
    let from = 4;
    let field = |value, at: u16| Field::number(value, at - from, RegisterType::F32, 1.0);
    let mut fields = vec![field(Value::Frequency, 26), field(Value::Power, 28)];
    for (values, first) in [
        (Value::CURRENTS, 4_u16),
        (Value::VOLTAGES, 12),
        (Value::POWERS, 30),
    ] {
        let places = (first..).step_by(2).zip(values);
        fields.extend(places.map(|(at, value)| field(value, at)));
    }
    (from, 32, fields)
}

fn sunspec_float_energies() -> Part {
    let energy = |value, offset| Field::number(value, offset, RegisterType::F32, 1.0);
    let fields = vec![
        energy(Value::ExportEnergy, 0),
        energy(Value::ImportEnergy, 68 - 60),
    ];
    (60, 10, fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn register(address: u16, kind: RegisterType) -> Register {
        Register {
            address,
            table: Table::Input,
            kind,
            scale: 1.0,
            word_order: WordOrder::Big,
        }
    }

    /// Which values come with one request, by first register, count and pace.
    fn shape(layout: &Layout) -> Vec<(u16, u16, Pace, Vec<&'static str>)> {
        let values = |block: &Block| block.fields.iter().map(|it| it.value.as_str()).collect();
        let shape = |block: &Block| (block.address, block.count, block.pace, values(block));
        layout.blocks.iter().map(shape).collect()
    }

    #[test]
    fn neighbouring_custom_registers_are_one_request_and_gaps_are_not_touched() {
        use RegisterType::F32;
        let layout = Layout::custom(&BTreeMap::from([
            (Value::VoltageL1, register(4, F32)),
            (Value::CurrentL1, register(6, F32)),
            (Value::Power, register(0x34, F32)),
            (Value::ImportEnergy, register(0x48, F32)),
            (Value::Frequency, register(0, F32)),
        ]));
        assert_eq!(
            shape(&layout),
            [
                (4, 4, Pace::Each, vec!["voltage-l1", "current-l1"]),
                (0x34, 2, Pace::Each, vec!["power"]),
                (0, 2, Pace::Seldom, vec!["frequency"]),
                (0x48, 2, Pace::Seldom, vec!["import-energy"]),
            ]
        );
        assert_eq!(layout.needed, [Value::CurrentL1]);
        assert!(layout.restless);
    }

    #[test]
    fn a_register_may_be_used_twice_and_the_last_one_is_in_reach() {
        let layout = Layout::custom(&BTreeMap::from([
            (Value::CurrentL1, register(65_535, RegisterType::I16)),
            (Value::CurrentL2, register(65_535, RegisterType::I16)),
            (Value::CurrentL3, register(65_534, RegisterType::I32)),
        ]));
        assert_eq!(layout.blocks.len(), 1);
        assert_eq!(
            (layout.blocks[0].address, layout.blocks[0].count),
            (65_534, 2)
        );
        assert!(!layout.restless);
    }

    #[test]
    fn currents_voltages_and_powers_of_known_kinds_come_with_one_request() {
        for (layout, powers) in [
            (Layout::eastron(), 3),
            (Layout::power_brain(), 1),
            (Layout::sunspec(203, 40_069).unwrap(), 4),
            (Layout::sunspec(213, 40_069).unwrap(), 4),
        ] {
            let each: Vec<&Block> = layout
                .blocks
                .iter()
                .filter(|block| block.pace == Pace::Each)
                .collect();
            assert_eq!(each.len(), 1);
            let fields = &each[0].fields;
            let count = |values: &[Value]| {
                fields
                    .iter()
                    .filter(|it| values.contains(&it.value))
                    .count()
            };
            assert_eq!(count(&Value::CURRENTS), 3);
            assert_eq!(count(&Value::POWERS) + count(&[Value::Power]), powers);
            for block in &layout.blocks {
                assert!(block.count <= 60);
                for field in &block.fields {
                    assert!(field.offset + field.count() <= block.count, "{field:?}");
                }
            }
        }
    }

    #[test]
    fn scale_factors_are_powers_of_ten_and_absurd_ones_no_value() {
        let field = Field::scaled(
            Value::CurrentL1,
            0,
            Coding::Number(RegisterType::I16, WordOrder::Big),
            1,
        );
        assert_eq!(field.decode(&[1234, 0xFFFE]), Some(12.34));
        assert_eq!(field.decode(&[1234, 0]), Some(1234.0));
        assert_eq!(field.decode(&[1234, 0x8000]), Some(1234.0));
        assert_eq!(field.decode(&[1234, 0x7FFF]), None);
        assert_eq!(field.decode(&[0x8000, 0]), None);
        assert_eq!(field.decode(&[1234]), None);
    }

    #[test]
    fn a_power_brain_that_measures_no_power_yet_says_minus_one() {
        let layout = Layout::power_brain();
        let mut words = vec![1, 0, 0, 1, 0x86A0, 0xFFFF, 0xFFFF, 0, 161, 0, 160, 0, 159];
        let value = |words: &[u16], value| {
            let field = layout.blocks[0].fields.iter().find(|it| it.value == value);
            field.and_then(|field| field.decode(words))
        };
        assert_eq!(value(&words, Value::Power), None);
        assert_eq!(value(&words, Value::ImportEnergy), Some(100_000.0));
        assert_eq!(value(&words, Value::CurrentL3), Some(15.9));
        words[6] = 0xFF9C;
        assert_eq!(value(&words, Value::Power), Some(-100.0));
    }
}
