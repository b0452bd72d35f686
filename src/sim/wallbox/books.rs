//! What a wallbox remembers of its transactions, for whoever compares it with a bill.

use std::collections::BTreeMap;

use crate::ids::ConnectorId;

/// A transaction as the wallbox told it, byte for byte.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Where.
    pub connector: ConnectorId,
    /// The payload of its StartTransaction.
    pub start: String,
    /// The payloads of its MeterValues.
    pub values: Vec<String>,
    /// The payload of its StopTransaction, if it has ended.
    pub stop: Option<String>,
}

/// All transactions of a wallbox, by its own number.
#[derive(Debug, Default)]
pub(super) struct Books(BTreeMap<u64, Told>);

impl Books {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Told> {
        self.0.values()
    }

    pub(super) fn begin(&mut self, session: u64, connector: ConnectorId) {
        self.0.entry(session).or_default().connector = connector;
    }

    /// A message leaves, maybe once more.
    pub(super) fn note(&mut self, session: u64, action: &str, payload: String) {
        let told = self.0.entry(session).or_default();
        match action {
            "StartTransaction" => told.start = payload,
            "StopTransaction" => told.stop = Some(payload),
            _ if told.values.contains(&payload) => {}
            _ => told.values.push(payload),
        }
    }
}
