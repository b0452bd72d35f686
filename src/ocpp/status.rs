//! `ChargePointStatus` (OCPP 1.6 §7.7).

use std::fmt;

use serde::{Deserialize, Serialize};

use super::lenient::{FromToken, Token};

/// Status of a connector, or of the whole charge point (only the first, `Unavailable` and `Faulted`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ChargePointStatus {
    /// Free.
    Available,
    /// Plugged or authorized, no transaction yet.
    Preparing,
    /// Energy flows or may flow.
    Charging,
    /// The EVSE offers, the car does not take.
    SuspendedEV,
    /// The EVSE offers nothing.
    SuspendedEVSE,
    /// The transaction ended, the cable is still in.
    Finishing,
    /// Held for a tag.
    Reserved,
    /// Out of order by command.
    Unavailable,
    /// Broken.
    Faulted,
}

impl ChargePointStatus {
    /// Every status, in the order of the specification.
    pub const ALL: [Self; 9] = [
        Self::Available,
        Self::Preparing,
        Self::Charging,
        Self::SuspendedEVSE,
        Self::SuspendedEV,
        Self::Finishing,
        Self::Reserved,
        Self::Unavailable,
        Self::Faulted,
    ];

    /// The spelling of the specification.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "Available",
            Self::Preparing => "Preparing",
            Self::Charging => "Charging",
            Self::SuspendedEV => "SuspendedEV",
            Self::SuspendedEVSE => "SuspendedEVSE",
            Self::Finishing => "Finishing",
            Self::Reserved => "Reserved",
            Self::Unavailable => "Unavailable",
            Self::Faulted => "Faulted",
        }
    }

    /// Lenient: case and surrounding blanks do not matter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|s| s.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

impl fmt::Display for ChargePointStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromToken<'_> for ChargePointStatus {
    const EXPECTED: &'static str = "a charge point status";

    fn from_token(token: Token<'_>) -> Option<Self> {
        match token {
            Token::Text(text) => Self::parse(&text),
            _ => None,
        }
    }
}
