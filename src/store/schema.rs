//! The tables, and how an older file becomes a newer one.

use rusqlite::Connection;

/// The version of the schema that this program writes.
pub(super) const VERSION: u32 = 2;

/// Every step from an empty file to the present schema. `PRAGMA user_version` counts the steps that
/// a file has behind it. A step that was released is never changed; a change is a new step.
///
/// No constraint can refuse a record, and nothing refers to another table: a record that cannot be
/// written would hold back every later one, and an entry without its transaction is still money.
const STEPS: [&str; VERSION as usize] = ["
    CREATE TABLE transactions (
        number        INTEGER PRIMARY KEY,
        address       TEXT    NOT NULL,
        connector     INTEGER NOT NULL,
        wallbox_id    INTEGER NOT NULL,
        id_tag        TEXT,
        meter_start   INTEGER,           -- Wh
        started       TEXT    NOT NULL,  -- as it came
        received      TEXT    NOT NULL,  -- RFC 3339, like every time of our own
        meter_stop    INTEGER,           -- Wh
        stopped       TEXT,              -- as it came
        stop_reason   TEXT,
        stop_received TEXT               -- NULL while it runs
    ) STRICT;
    CREATE INDEX transactions_open  ON transactions (number) WHERE stop_received IS NULL;
    CREATE INDEX transactions_ended ON transactions (address, number)
        WHERE stop_received IS NOT NULL;

    CREATE TABLE entries (
        position           INTEGER PRIMARY KEY,  -- the order of writing
        transaction_number INTEGER NOT NULL,
        action             TEXT    NOT NULL,
        payload            TEXT    NOT NULL,     -- byte for byte
        received           TEXT    NOT NULL
    ) STRICT;

    CREATE TABLE memory (
        owner TEXT NOT NULL,
        key   TEXT NOT NULL,
        value TEXT NOT NULL,                     -- JSON
        PRIMARY KEY (owner, key)
    ) STRICT, WITHOUT ROWID;
    ", "
    CREATE TABLE queue (
        id                 INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of delivery; never again
        identity           TEXT,                 -- whose queue; NULL = nobody's
        address            TEXT    NOT NULL,
        connector          INTEGER NOT NULL,
        transaction_number INTEGER,
        kind               TEXT    NOT NULL,     -- start, values, samples (may be thinned), stop, transfer
        payload            TEXT    NOT NULL,     -- byte for byte
        received           TEXT    NOT NULL,
        state              TEXT    NOT NULL,     -- queued, delivered, dead
        attempts           INTEGER NOT NULL,
        backend_id         INTEGER
    ) STRICT;
    INSERT INTO queue
        SELECT e.position, NULL, coalesce(t.address, ''), coalesce(t.connector, 0),
               e.transaction_number,
               CASE e.action WHEN 'StartTransaction' THEN 'start' ELSE 'stop' END,
               e.payload, e.received, 'queued', 0, NULL
        FROM entries e LEFT JOIN transactions t ON t.number = e.transaction_number;
    DROP TABLE entries;
    ALTER TABLE queue RENAME TO entries;
    CREATE INDEX entries_waiting ON entries (id)
        WHERE identity IS NOT NULL AND (state <> 'delivered' OR kind = 'start');
    "];

/// The version of the schema of a file; 0 if it is empty.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Takes the steps that are missing after the first `from`, each whole or not at all.
pub(super) fn migrate(connection: &mut Connection, from: i64) -> rusqlite::Result<()> {
    for (version, step) in (1..).zip(STEPS) {
        if version > from {
            let transaction = connection.transaction()?;
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "user_version", version)?;
            transaction.commit()?;
        }
    }
    Ok(())
}
