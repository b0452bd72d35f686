//! A number in the registers of a device.

use std::fmt;

use crate::modbus::Table;

/// What a meter can measure. Currents and powers are positive for import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    /// A.
    CurrentL1,
    CurrentL2,
    CurrentL3,
    /// V to neutral.
    VoltageL1,
    VoltageL2,
    VoltageL3,
    /// W.
    PowerL1,
    PowerL2,
    PowerL3,
    /// W over all phases.
    Power,
    /// Wh.
    ImportEnergy,
    /// Wh.
    ExportEnergy,
    /// Hz.
    Frequency,
}

impl Value {
    /// Every value, in the order in which people read them.
    pub const ALL: [Self; 13] = [
        Self::CurrentL1,
        Self::CurrentL2,
        Self::CurrentL3,
        Self::VoltageL1,
        Self::VoltageL2,
        Self::VoltageL3,
        Self::PowerL1,
        Self::PowerL2,
        Self::PowerL3,
        Self::Power,
        Self::ImportEnergy,
        Self::ExportEnergy,
        Self::Frequency,
    ];
    /// The currents, L1 first.
    pub const CURRENTS: [Self; 3] = [Self::CurrentL1, Self::CurrentL2, Self::CurrentL3];
    /// The voltages, L1 first.
    pub const VOLTAGES: [Self; 3] = [Self::VoltageL1, Self::VoltageL2, Self::VoltageL3];
    /// The powers of the phases, L1 first.
    pub const POWERS: [Self; 3] = [Self::PowerL1, Self::PowerL2, Self::PowerL3];

    /// The word in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CurrentL1 => "current-l1",
            Self::CurrentL2 => "current-l2",
            Self::CurrentL3 => "current-l3",
            Self::VoltageL1 => "voltage-l1",
            Self::VoltageL2 => "voltage-l2",
            Self::VoltageL3 => "voltage-l3",
            Self::PowerL1 => "power-l1",
            Self::PowerL2 => "power-l2",
            Self::PowerL3 => "power-l3",
            Self::Power => "power",
            Self::ImportEnergy => "import-energy",
            Self::ExportEnergy => "export-energy",
            Self::Frequency => "frequency",
        }
    }

    /// A, V, W, Wh or Hz.
    pub const fn unit(self) -> &'static str {
        match self {
            Self::CurrentL1 | Self::CurrentL2 | Self::CurrentL3 => "A",
            Self::VoltageL1 | Self::VoltageL2 | Self::VoltageL3 => "V",
            Self::PowerL1 | Self::PowerL2 | Self::PowerL3 | Self::Power => "W",
            Self::ImportEnergy | Self::ExportEnergy => "Wh",
            Self::Frequency => "Hz",
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where one value is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Register {
    /// From 0.
    pub address: u16,
    /// Which of the two tables.
    pub table: Table,
    /// How it is coded.
    pub kind: RegisterType,
    /// What the number is multiplied by: finite and not 0.
    pub scale: f64,
    /// Which register of several comes first.
    pub word_order: WordOrder,
}

// No scale is NaN.
impl Eq for Register {}

/// How a number is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum RegisterType {
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

/// Which register of several comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WordOrder {
    /// The one with the highest bits.
    Big,
    /// The one with the lowest bits.
    Little,
}

impl RegisterType {
    /// How many registers it takes.
    pub const fn count(self) -> u16 {
        match self {
            Self::I16 | Self::U16 => 1,
            Self::I32 | Self::U32 | Self::F32 => 2,
            Self::I64 | Self::U64 | Self::F64 => 4,
        }
    }

    /// Whether it is floating point: such a number of a real meter never stands still.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The number in `words`; `None` where they say "not implemented" (NaN, the most negative
    /// signed and the largest unsigned number) or are too few.
    pub fn decode(self, words: &[u16], order: WordOrder) -> Option<f64> {
        let count = usize::from(self.count());
        let words = words.get(..count)?;
        let join = |bits: u64, word: &u16| (bits << 16) | u64::from(*word);
        let bits = match order {
            WordOrder::Big => words.iter().fold(0, join),
            WordOrder::Little => words.iter().rev().fold(0, join),
        };
        self.number(bits)
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        reason = "the bits are cut to the width of the type; 2⁵³ Wh are more than any meter counts"
    )]
    fn number(self, bits: u64) -> Option<f64> {
        let signed = |number: i64, none: i64| (number != none).then_some(number as f64);
        match self {
            Self::I16 => signed(i64::from(bits as i16), i64::from(i16::MIN)),
            Self::I32 => signed(i64::from(bits as i32), i64::from(i32::MIN)),
            Self::I64 => signed(bits as i64, i64::MIN),
            Self::U16 => (bits as u16 != u16::MAX).then_some(bits as f64),
            Self::U32 => (bits as u32 != u32::MAX).then_some(bits as f64),
            Self::U64 => (bits != u64::MAX).then_some(bits as f64),
            Self::F32 => Some(f64::from(f32::from_bits(bits as u32))).filter(|it| it.is_finite()),
            Self::F64 => Some(f64::from_bits(bits)).filter(|it| it.is_finite()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_type_are_read_in_both_word_orders() {
        use RegisterType::*;
        for (kind, words, expected) in [
            (I16, &[0xFFFE][..], -2.0),
            (U16, &[0xFFFE], 65_534.0),
            (I32, &[0xFFFF, 0xFFFE], -2.0),
            (U32, &[0x0001, 0x0002], 65_538.0),
            (I64, &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE], -2.0),
            (U64, &[0, 0, 1, 2], 65_538.0),
            (F32, &[0x4366, 0x0000], 230.0),
            (F64, &[0x406C, 0xC000, 0, 0], 230.0),
        ] {
            let mut reversed = words.to_vec();
            reversed.reverse();
            assert_eq!(
                kind.decode(words, WordOrder::Big),
                Some(expected),
                "{kind:?}"
            );
            let little = kind.decode(&reversed, WordOrder::Little);
            assert_eq!(little, Some(expected), "{kind:?}");
        }
    }

    #[test]
    fn what_is_not_implemented_not_a_number_or_too_short_is_no_value() {
        use RegisterType::*;
        for (kind, words) in [
            (I16, &[0x8000][..]),
            (U16, &[0xFFFF]),
            (I32, &[0x8000, 0]),
            (U32, &[0xFFFF, 0xFFFF]),
            (I64, &[0x8000, 0, 0, 0]),
            (U64, &[0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF]),
            (F32, &[0x7FC0, 0]),
            (F32, &[0x7F80, 0]),
            (F64, &[0x7FF8, 0, 0, 0]),
            (F32, &[0x4366]),
            (I16, &[]),
        ] {
            assert_eq!(
                kind.decode(words, WordOrder::Big),
                None,
                "{kind:?} {words:04x?}"
            );
        }
    }
}
