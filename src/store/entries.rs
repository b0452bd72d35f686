//! Entries on disk: the queues of the backends, and what moved money.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension as _, Row, named_params, params};

use crate::ids::{ChargeBoxId, ConnectorId, EntryId, Identity, TransactionNumber};
use crate::journal::{EntryKind, EntryState, Filed, Outline, Progress, Recovered};

/// What is written in the column `kind`.
const KINDS: [(EntryKind, &str); 5] = [
    (EntryKind::Start, "start"),
    (EntryKind::Values { thinnable: false }, "values"),
    (EntryKind::Values { thinnable: true }, "samples"),
    (EntryKind::Stop, "stop"),
    (EntryKind::DataTransfer, "transfer"),
];

/// Keeps a message.
pub(super) fn put(connection: &Connection, filed: &Filed) -> rusqlite::Result<()> {
    let entry = &filed.entry;
    let kind = KINDS.iter().find(|(kind, _)| *kind == entry.kind);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO entries VALUES (
                :id, :identity, :address, :connector, :transaction, :kind, :payload, :received,
                'queued', 0, NULL)",
        )?
        .execute(named_params! {
            ":id": number(filed.id),
            ":identity": filed.identity.as_ref().map(Identity::as_str),
            ":address": entry.address.as_str(),
            ":connector": entry.connector.0,
            ":transaction": entry.transaction.map(|it| it.0),
            ":kind": kind.map_or("values", |(_, name)| name),
            ":payload": entry.payload,
            ":received": entry.received.to_string(),
        })?;
    Ok(())
}

/// Notes what became of an entry. Starts and stops moved money and are kept for good; other
/// messages are deleted when they are over.
pub(super) fn put_progress(connection: &Connection, progress: &Progress) -> rusqlite::Result<()> {
    let id = number(progress.id);
    let state = match progress.state {
        EntryState::Queued => "queued",
        EntryState::Dead => "dead",
        EntryState::Delivered => "delivered",
        EntryState::Thinned => return delete(connection, id),
    };
    // What is over stays over.
    connection
        .prepare_cached(
            "UPDATE entries SET state = ?, attempts = ?, backend_id = ?
             WHERE id = ? AND (state <> 'delivered' OR kind = 'start')",
        )?
        .execute(params![state, progress.attempts, progress.backend_id, id])?;
    if progress.state == EntryState::Delivered {
        connection
            .prepare_cached("DELETE FROM entries WHERE id = ? AND kind NOT IN ('start', 'stop')")?
            .execute([id])?;
    }
    Ok(())
}

fn delete(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM entries WHERE id = ?")?
        .execute([id])?;
    Ok(())
}

/// The payloads of entries; those that are not there are left out.
pub(super) fn payloads(
    connection: &Connection,
    entries: &[EntryId],
) -> rusqlite::Result<Vec<(EntryId, String)>> {
    let mut one = connection.prepare_cached("SELECT payload FROM entries WHERE id = ?")?;
    let mut found = Vec::with_capacity(entries.len());
    for id in entries {
        let payload = one.query_row([number(*id)], |row| row.get(0)).optional()?;
        found.extend(payload.map(|payload| (*id, payload)));
    }
    Ok(found)
}

/// Brings back what waits, what was given up, and the starts of transactions that are known or of
/// which something waits.
pub(super) fn recover(connection: &Connection, recovered: &mut Recovered) -> rusqlite::Result<()> {
    recovered.last_entry = connection
        .query_row(
            "SELECT seq FROM sqlite_sequence WHERE name = 'entries' AND seq > 0",
            [],
            |row| row.get(0),
        )
        .optional()?
        .map(entry_id);
    let mut outlines = connection.prepare(
        "SELECT * FROM entries
         WHERE identity IS NOT NULL AND (state <> 'delivered' OR kind = 'start')
           AND (state = 'delivered') = ?",
    )?;
    let mut waiting = BTreeSet::new();
    for outline in outlines.query_map([false], outline)? {
        let outline = outline?;
        if outline.progress.state == EntryState::Queued {
            waiting.extend(outline.transaction);
        }
        recovered.entries.insert(outline.progress.id, outline);
    }
    for start in outlines.query_map([true], outline)? {
        let start = start?;
        let is_needed = start
            .transaction
            .is_some_and(|it| recovered.transactions.contains_key(&it) || waiting.contains(&it));
        if is_needed {
            recovered.entries.insert(start.progress.id, start);
        }
    }
    Ok(())
}

fn outline(row: &Row<'_>) -> rusqlite::Result<Outline> {
    let kind = row.get_ref("kind")?.as_str()?;
    let kind = KINDS.iter().find(|(_, name)| *name == kind);
    let state = match row.get_ref("state")?.as_str()? {
        "delivered" => EntryState::Delivered,
        "dead" => EntryState::Dead,
        _ => EntryState::Queued,
    };
    let transaction: Option<i64> = row.get("transaction_number")?;
    Ok(Outline {
        identity: Identity::from(row.get_ref("identity")?.as_str()?),
        address: ChargeBoxId::from(row.get_ref("address")?.as_str()?),
        connector: ConnectorId(row.get("connector")?),
        transaction: transaction.map(TransactionNumber),
        kind: kind.map_or(EntryKind::Values { thinnable: false }, |(kind, _)| *kind),
        progress: Progress {
            id: entry_id(row.get("id")?),
            state,
            attempts: row.get("attempts")?,
            backend_id: row.get("backend_id")?,
        },
    })
}

/// SQLite has signed numbers only; ours stay far below their end.
fn number(id: EntryId) -> i64 {
    i64::try_from(id.0).unwrap_or(i64::MAX)
}

fn entry_id(number: i64) -> EntryId {
    EntryId(u64::try_from(number).unwrap_or_default())
}
