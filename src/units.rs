//! Integers with a unit. Floating point exists only at the edges (JSON, TOML).

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Index, IndexMut, Neg, Sub, SubAssign};

use serde::{Deserialize, Serialize};

macro_rules! unit {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);
            /// The largest value; stands for "no limit" where that is meant.
            pub const MAX: Self = Self(<$inner>::MAX);
        }

        // Saturating: a sum of absurd inputs must neither wrap nor panic.
        impl Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }
        impl Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
        impl Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(self.0.saturating_neg())
            }
        }
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }
        impl SubAssign for $name {
            fn sub_assign(&mut self, other: Self) {
                *self = *self - other;
            }
        }
        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
                items.fold(Self(0), Add::add)
            }
        }
    };
}

unit!(
    /// Current of one phase, in milliamperes.
    MilliAmps,
    i32
);
unit!(
    /// Active power, in watts.
    Watts,
    i32
);
unit!(
    /// Energy (a register or a difference), in watt-hours.
    WattHours,
    i64
);
unit!(
    /// Voltage between a phase and neutral, in millivolts.
    MilliVolts,
    i32
);

impl MilliAmps {
    /// Whole amperes.
    pub const fn from_amps(amps: i32) -> Self {
        Self(amps.saturating_mul(1000))
    }

    /// Nearest milliampere; `None` for what is not finite or does not fit.
    pub fn from_amps_f64(amps: f64) -> Option<Self> {
        to_i32((amps * 1000.0).round()).map(Self)
    }

    /// Amperes, for JSON and for people.
    pub fn as_amps(self) -> f64 {
        f64::from(self.0) / 1000.0
    }

    /// Rounded down to a multiple of `step` (which must be positive; otherwise unchanged).
    #[must_use]
    pub const fn floor_to(self, step: Self) -> Self {
        if step.0 <= 0 {
            self
        } else {
            Self(self.0 - self.0.rem_euclid(step.0))
        }
    }
}

impl MilliVolts {
    /// Nearest millivolt; `None` for what is not finite or does not fit.
    pub fn from_volts_f64(volts: f64) -> Option<Self> {
        to_i32((volts * 1000.0).round()).map(Self)
    }
}

impl Watts {
    /// Nearest watt; `None` for what is not finite or does not fit.
    pub fn from_f64(watts: f64) -> Option<Self> {
        to_i32(watts.round()).map(Self)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked first"
)]
fn to_i32(value: f64) -> Option<i32> {
    (value.is_finite() && value >= f64::from(i32::MIN) && value <= f64::from(i32::MAX))
        .then_some(value as i32)
}

/// Amperes with at most three decimals and no trailing zeros: `16`, `10.7`.
impl fmt::Display for MilliAmps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_amps())
    }
}

impl fmt::Display for Watts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Display for WattHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A phase of the grid, or of a device where the text says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// The first phase.
    L1,
    /// The second phase.
    L2,
    /// The third phase.
    L3,
}

impl Phase {
    /// All phases, in order.
    pub const ALL: [Self; 3] = [Self::L1, Self::L2, Self::L3];

    /// 0, 1 or 2.
    pub const fn index(self) -> usize {
        match self {
            Self::L1 => 0,
            Self::L2 => 1,
            Self::L3 => 2,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::L3 => "L3",
        })
    }
}

/// One value for each of the three phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PerPhase<T>(pub [T; 3]);

impl<T: Copy> PerPhase<T> {
    /// The same value on every phase.
    pub const fn all(value: T) -> Self {
        Self([value; 3])
    }

    /// Values with their phases, L1 first.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, T)> {
        Phase::ALL.into_iter().zip(self.0)
    }

    /// Applies `f` to each value.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> PerPhase<U> {
        PerPhase(self.0.map(f))
    }
}

impl<T> Index<Phase> for PerPhase<T> {
    type Output = T;
    fn index(&self, phase: Phase) -> &T {
        let [l1, l2, l3] = &self.0;
        match phase {
            Phase::L1 => l1,
            Phase::L2 => l2,
            Phase::L3 => l3,
        }
    }
}

impl<T> IndexMut<Phase> for PerPhase<T> {
    fn index_mut(&mut self, phase: Phase) -> &mut T {
        let [l1, l2, l3] = &mut self.0;
        match phase {
            Phase::L1 => l1,
            Phase::L2 => l2,
            Phase::L3 => l3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amperes_are_read_to_the_nearest_milliampere_and_absurd_ones_refused() {
        assert_eq!(MilliAmps::from_amps_f64(10.7), Some(MilliAmps(10_700)));
        assert_eq!(MilliAmps::from_amps_f64(f64::NAN), None);
        assert_eq!(MilliAmps::from_amps_f64(1e12), None);
    }

    #[test]
    fn rounding_goes_down_also_below_zero() {
        assert_eq!(
            MilliAmps(10_799).floor_to(MilliAmps(100)),
            MilliAmps(10_700)
        );
        assert_eq!(MilliAmps(-50).floor_to(MilliAmps(100)), MilliAmps(-100));
    }

    #[test]
    fn sums_saturate_instead_of_wrapping() {
        assert_eq!(MilliAmps::MAX + MilliAmps(1), MilliAmps::MAX);
    }

    #[test]
    fn amperes_are_shown_without_needless_zeros() {
        assert_eq!(MilliAmps(10_700).to_string(), "10.7");
        assert_eq!(MilliAmps::from_amps(16).to_string(), "16");
    }
}
