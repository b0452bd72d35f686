//! Transactions of Modbus wallboxes that nobody goes on with: the configuration has changed while
//! they ran.

use std::borrow::Cow;

use crate::clock::Now;
use crate::journal::{Entry, EntryKind, Recovered, Stopped, Transaction};
use crate::ocpp::messages::{self, StopReason, StopTransaction};
use crate::ocpp::timestamp;

use super::transacting::{Memory, resumed};

/// Closes an open transaction with the last register that is known, as of when its car was last
/// seen: how it ends, and its stop. `None` = it is none of a Modbus wallbox.
pub fn close_left_over(
    now: Now,
    transaction: &Transaction,
    recovered: &Recovered,
) -> Option<(Transaction, Entry)> {
    let memory = Memory::of(&transaction.address, transaction.connector, recovered)?;
    let last = resumed(&memory, transaction);
    let timestamp = timestamp::format(last.seen);
    let stop = StopTransaction {
        id_tag: None,
        meter_stop: Some(last.register.unwrap_or_default().0),
        timestamp: timestamp.clone(),
        transaction_id: Some(transaction.wallbox_id),
        reason: Some(Cow::Borrowed(StopReason::Other.as_str())),
        transaction_data: Vec::new(),
    };
    let entry = Entry {
        address: transaction.address.clone(),
        connector: transaction.connector,
        transaction: Some(transaction.number),
        kind: EntryKind::Stop,
        payload: messages::write(&stop),
        received: now.wall,
    };
    let closed = Transaction {
        stopped: Some(Stopped {
            meter_stop: last.register,
            timestamp,
            reason: StopReason::Other.as_str().to_owned(),
            received: now.wall,
        }),
        ..transaction.clone()
    };
    Some((closed, entry))
}
