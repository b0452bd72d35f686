//! Names of things. Cheap to clone; never mixed up, because each is a type of its own.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The text as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// What a wallbox calls itself in the path of its URL, in the spelling of the configuration.
    ChargeBoxId
);
name!(
    /// The name of an EVSE in the configuration.
    EvseName
);
name!(
    /// The name of a circuit in the configuration.
    CircuitName
);
name!(
    /// Which backend knows a charge point by which name: `client-id url`.
    Identity
);
name!(
    /// The name of a meter in the configuration.
    MeterName
);

/// Something that we read and write over Modbus, by its place in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeviceId {
    /// A wallbox.
    ChargePoint(usize),
    /// A meter.
    Meter(usize),
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $inner:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number!(
    /// An OCPP connector number of a wallbox; 0 is the whole charge point.
    ConnectorId,
    u32
);
number!(
    /// One connection (WebSocket) of a wallbox or to a backend; a new socket is a new number.
    LinkId,
    u64
);
number!(
    /// A backend connection, by its place in the plan.
    GatewayId,
    usize
);
number!(
    /// Our own number of a transaction: positive, below 2³¹, never reused.
    TransactionNumber,
    i64
);
number!(
    /// Number of an offer; a newer offer has a larger one.
    OfferNumber,
    u64
);
number!(
    /// Number of an [`Entry`](crate::journal::Entry): the order in which a backend hears of it.
    EntryId,
    u64
);
number!(
    /// Number of a journal record in the order of writing.
    Seq,
    u64
);

/// An OCPP id tag (`CiString20Type`): compared without regard to case, shown as it was written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IdTag(Arc<str>);

impl IdTag {
    /// The text as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// First and last characters only (`04A2…D5`), for logs above debug and for the status.
    pub fn masked(&self) -> String {
        let chars: Vec<char> = self.0.chars().collect();
        match chars.as_slice() {
            [first @ .., _, _] if chars.len() >= 8 => {
                let first: String = first.iter().take(4).collect();
                let last: String = chars.iter().skip(chars.len() - 2).collect();
                format!("{first}…{last}")
            }
            [first, .., last] if chars.len() >= 4 => format!("{first}…{last}"),
            _ => "…".to_owned(),
        }
    }

    fn folded(&self) -> impl Iterator<Item = char> + '_ {
        self.0.chars().map(|c| c.to_ascii_lowercase())
    }
}

impl From<&str> for IdTag {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl PartialEq for IdTag {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for IdTag {}

impl PartialOrd for IdTag {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for IdTag {
    fn cmp(&self, other: &Self) -> Ordering {
        self.folded().cmp(other.folded())
    }
}

impl Hash for IdTag {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.folded().for_each(|c| c.hash(state));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_tags_compare_without_case_and_keep_their_spelling() {
        let (a, b) = (IdTag::from("04a2B3"), IdTag::from("04A2b3"));
        assert_eq!(a, b);
        assert_eq!(a.cmp(&b), Ordering::Equal);
        assert_eq!(a.as_str(), "04a2B3");
    }

    #[test]
    fn a_masked_tag_never_shows_the_whole_tag() {
        assert_eq!(IdTag::from("04A2B3C4D5").masked(), "04A2…D5");
        assert_eq!(IdTag::from("TAG1").masked(), "T…1");
        assert_eq!(IdTag::from("T").masked(), "…");
        assert_eq!(IdTag::from("äöü").masked(), "…");
    }
}
