//! Time and chance as parameters: pure code reads no clock and rolls no dice of its own.

use std::fmt::Write as _;
use std::ops::{Add, Sub};
use std::time::Duration;

pub use jiff::Timestamp;

/// Monotonic time since the start of the process (or of the simulated world).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(pub Duration);

impl Mono {
    /// The start.
    pub const START: Self = Self(Duration::ZERO);

    /// Time since `earlier`; zero if that is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Mono {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}

impl Sub<Duration> for Mono {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }
}

/// What every `handle_*` is told: timers run on `mono`, expiry and what is sent on `wall`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time; never goes back.
    pub mono: Mono,
    /// Civil time (UTC); may jump, because a Pi has no clock of its own.
    pub wall: Timestamp,
}

/// Seeded randomness (`SplitMix64`), for message ids and jitter. Not for secrets.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The same seed gives the same sequence.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if `end` is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.next_u64() % end }
    }

    /// A `UUIDv4`, 36 characters, as OCPP-J wants message ids (errata 2025-04).
    pub fn uuid(&mut self) -> String {
        let bits = (u128::from(self.next_u64()) << 64) | u128::from(self.next_u64());
        let bits = (bits & !(0xF << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let mut text = String::with_capacity(36);
        for (i, nibbles) in [8u32, 4, 4, 4, 12].into_iter().enumerate() {
            if i > 0 {
                text.push('-');
            }
            let before: u32 = [8u32, 4, 4, 4, 12].into_iter().take(i).sum();
            let part = (bits >> (128 - 4 * (before + nibbles))) & ((1u128 << (4 * nibbles)) - 1);
            // Writing to a String cannot fail.
            let _ = write!(text, "{part:0width$x}", width = nibbles as usize);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_a_version_4_uuid_and_never_the_same_twice() {
        let mut random = Random::new(7);
        let (a, b) = (random.uuid(), random.uuid());
        assert_ne!(a, b);
        assert_eq!(a.len(), 36);
        let bytes = a.as_bytes();
        assert_eq!(bytes[14], b'4');
        assert!(b"89ab".contains(&bytes[19]));
        assert_eq!([8, 13, 18, 23].map(|i| bytes[i]), [b'-'; 4]);
    }

    #[test]
    fn time_before_the_start_is_the_start() {
        assert_eq!(Mono::START - Duration::from_secs(5), Mono::START);
        assert_eq!(
            Mono::START.since(Mono(Duration::from_secs(5))),
            Duration::ZERO
        );
    }
}
