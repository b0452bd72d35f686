//! What the site remembers for the load manager: the last offer of each EVSE, and limit signals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evse::Limit;
use crate::ids::{CircuitName, EvseName};
use crate::journal::{Record, Recovered};
use crate::units::{MilliAmps, Watts};

const OWNER: &str = "evse ";
const KEY: &str = "offer";
const CIRCUIT: &str = "circuit ";
const SIGNAL: &str = "signal";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Remembered {
    Milliamps(MilliAmps),
    Released,
}

/// The record of an offer.
pub(super) fn offer(evse: &EvseName, limit: Limit) -> Record {
    let value = match limit {
        Limit::Current(amps) => Remembered::Milliamps(amps),
        Limit::Released => Remembered::Released,
    };
    Record::Memory {
        owner: format!("{OWNER}{evse}"),
        key: KEY.to_owned(),
        value: serde_json::to_string(&value).ok(),
    }
}

/// The record of a limit signal; `None` = it is over.
pub(super) fn signal(circuit: &CircuitName, watts: Option<Watts>) -> Record {
    Record::Memory {
        owner: format!("{CIRCUIT}{circuit}"),
        key: SIGNAL.to_owned(),
        value: watts.map(|watts| watts.0.to_string()),
    }
}

/// The limit signals that were on before the restart.
pub(super) fn signals(recovered: &Recovered) -> BTreeMap<CircuitName, Watts> {
    let mut signals = BTreeMap::new();
    for ((owner, key), value) in &recovered.memory {
        if let (Some(name), SIGNAL, Ok(watts)) =
            (owner.strip_prefix(CIRCUIT), key.as_str(), value.parse())
        {
            signals.insert(CircuitName::from(name), Watts(watts));
        }
    }
    signals
}

/// The last offers before the restart. What cannot be read is left out: its EVSE is then booked
/// like one that was never seen.
pub(super) fn offers(recovered: &Recovered) -> BTreeMap<EvseName, Limit> {
    let mut offers = BTreeMap::new();
    for ((owner, key), value) in &recovered.memory {
        let Some(name) = owner.strip_prefix(OWNER) else {
            continue;
        };
        let (KEY, Ok(value)) = (key.as_str(), serde_json::from_str(value)) else {
            continue;
        };
        let limit = match value {
            Remembered::Milliamps(amps) => Limit::Current(amps),
            Remembered::Released => Limit::Released,
        };
        offers.insert(EvseName::from(name), limit);
    }
    offers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_signals_come_back_until_they_are_over() {
        let mut recovered = Recovered::default();
        recovered.apply(signal(&"house".into(), Some(Watts(4200))));
        recovered.apply(signal(&"yard".into(), Some(Watts(0))));
        recovered.apply(signal(&"yard".into(), None));
        assert_eq!(
            signals(&recovered),
            BTreeMap::from([("house".into(), Watts(4200))])
        );
    }

    #[test]
    fn offers_come_back_as_they_were_made() {
        let mut recovered = Recovered::default();
        recovered.apply(offer(&"left".into(), Limit::Current(MilliAmps(10_700))));
        recovered.apply(offer(&"right".into(), Limit::Released));
        recovered
            .memory
            .insert(("evse odd".into(), "offer".into()), "nonsense".into());
        let expected = [
            ("left".into(), Limit::Current(MilliAmps(10_700))),
            ("right".into(), Limit::Released),
        ];
        assert_eq!(offers(&recovered), BTreeMap::from(expected));
    }
}
