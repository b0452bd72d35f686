//! The open file: what is written to it and what is read back at a start.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::types::Type;
use rusqlite::{Connection, OpenFlags, Row, TransactionBehavior, named_params};

use super::{StoreError, entries, schema};
use crate::ids::{ChargeBoxId, ConnectorId, EntryId, IdTag, TransactionNumber};
use crate::journal::{RECENT_TRANSACTIONS, Record, Recovered, Stopped, Transaction};
use crate::units::WattHours;

/// How long another process may hold the file before we say that it does.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);

/// What the write-ahead log is cut back to after a checkpoint.
const LOG_BYTES: i64 = 4 << 20;

/// The file, held by this process alone.
pub(super) struct Journal {
    connection: Connection,
}

impl Journal {
    /// Opens the file at `path`, made if it is missing, and reads what a start needs.
    pub(super) fn open(path: &Path) -> Result<(Self, Recovered), StoreError> {
        create(path).map_err(|source| StoreError::File {
            path: path.into(),
            source,
        })?;
        let sqlite = |error| StoreError::sqlite(path, error);
        let mut connection = connect(path).map_err(sqlite)?;
        let verdict = quick_check(&connection).map_err(sqlite)?;
        if verdict != "ok" {
            return Err(StoreError::Damaged {
                path: path.into(),
                why: verdict,
            });
        }
        let found = schema::version(&connection).map_err(sqlite)?;
        if !(0..=schema::VERSION.into()).contains(&found) {
            return Err(StoreError::UnknownSchema {
                path: path.into(),
                found,
                known: schema::VERSION,
            });
        }
        schema::migrate(&mut connection, found).map_err(sqlite)?;
        let recovered = recover(&connection).map_err(sqlite)?;
        keep_as_found(&connection, false).map_err(sqlite)?;
        Ok((Self { connection }, recovered))
    }

    /// What a start would begin with now.
    pub(super) fn recovered(&self) -> rusqlite::Result<Recovered> {
        recover(&self.connection)
    }

    /// Writes all of `records`, or none. After `Ok` they survive a loss of power.
    pub(super) fn commit(&mut self, records: &[Record]) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        put_all(&transaction, records)?;
        transaction.commit()
    }

    /// The payloads of entries; those that are not there are left out.
    pub(super) fn payloads(&self, of: &[EntryId]) -> rusqlite::Result<Vec<(EntryId, String)>> {
        entries::payloads(&self.connection, of)
    }
}

/// SQLite makes its side files with the mode of the main one, so only this one needs care.
fn create(path: &Path) -> std::io::Result<()> {
    let new = !path.exists();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if new && let Some(dir) = path.parent() {
        // The name of the file is as precious as its content.
        File::open(dir)?.sync_all()?;
    }
    Ok(())
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    keep_as_found(&connection, true)?;
    // Before the first access to the log: a second daemon is kept out, and there is no index in
    // shared memory that could be damaged.
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // FULL: the log is synchronised at every commit. NORMAL would lose the last ones.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES)?;
    Ok(connection)
}

/// Whether closing leaves file and log as they are: a damaged file is evidence.
fn keep_as_found(connection: &Connection, keep: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, keep)
        .map(drop)
}

fn quick_check(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
}

fn put_all(connection: &Connection, records: &[Record]) -> rusqlite::Result<()> {
    for record in records {
        match record {
            Record::Transaction(it) => put_transaction(connection, it)?,
            Record::Entry(filed) => entries::put(connection, filed)?,
            Record::Progress(progress) => entries::put_progress(connection, progress)?,
            Record::Memory { owner, key, value } => {
                put_memory(connection, owner, key, value.as_deref())?;
            }
            Record::Together(records) => put_all(connection, records)?,
        }
    }
    Ok(())
}

fn put_transaction(connection: &Connection, it: &Transaction) -> rusqlite::Result<()> {
    let stopped = it.stopped.as_ref();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO transactions VALUES (
                :number, :address, :connector, :wallbox_id, :id_tag, :meter_start, :started,
                :received, :meter_stop, :stopped, :stop_reason, :stop_received)",
        )?
        .execute(named_params! {
            ":number": it.number.0,
            ":address": it.address.as_str(),
            ":connector": it.connector.0,
            ":wallbox_id": it.wallbox_id,
            ":id_tag": it.id_tag.as_ref().map(IdTag::as_str),
            ":meter_start": it.meter_start.map(|wh| wh.0),
            ":started": it.started,
            ":received": it.received.to_string(),
            ":meter_stop": stopped.and_then(|s| s.meter_stop).map(|wh| wh.0),
            ":stopped": stopped.map(|s| &s.timestamp),
            ":stop_reason": stopped.map(|s| &s.reason),
            ":stop_received": stopped.map(|s| s.received.to_string()),
        })?;
    Ok(())
}

fn put_memory(
    connection: &Connection,
    owner: &str,
    key: &str,
    value: Option<&str>,
) -> rusqlite::Result<()> {
    match value {
        Some(value) => connection
            .prepare_cached("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)")?
            .execute([owner, key, value])?,
        None => connection
            .prepare_cached("DELETE FROM memory WHERE owner = ? AND key = ?")?
            .execute([owner, key])?,
    };
    Ok(())
}

fn recover(connection: &Connection) -> rusqlite::Result<Recovered> {
    let mut recovered = Recovered {
        last_transaction: connection
            .query_row(
                "SELECT max(number) FROM (
                    SELECT number FROM transactions
                    UNION ALL SELECT transaction_number FROM entries WHERE kind = 'start')",
                [],
                |row| row.get(0),
            )
            .map(|number: Option<i64>| number.map(TransactionNumber))?,
        ..Recovered::default()
    };
    let mut keep = |it: rusqlite::Result<Transaction>| {
        it.map(|it| drop(recovered.transactions.insert(it.number, it)))
    };

    let mut open = connection.prepare("SELECT * FROM transactions WHERE stop_received IS NULL")?;
    open.query_map([], transaction)?.try_for_each(&mut keep)?;
    let mut addresses = connection
        .prepare("SELECT DISTINCT address FROM transactions WHERE stop_received IS NOT NULL")?;
    let mut recent = connection.prepare(
        "SELECT * FROM transactions WHERE stop_received IS NOT NULL AND address = ?
         ORDER BY number DESC",
    )?;
    for address in addresses.query_map([], |row| row.get::<_, String>(0))? {
        let ended = recent.query_map([address?], transaction)?;
        ended.take(RECENT_TRANSACTIONS).try_for_each(&mut keep)?;
    }
    let mut memory = connection.prepare("SELECT owner, key, value FROM memory")?;
    for row in memory.query_map([], |row| {
        Ok(((row.get(0)?, row.get(1)?), row.get::<_, String>(2)?))
    })? {
        let (key, value) = row?;
        recovered.memory.insert(key, value);
    }
    entries::recover(connection, &mut recovered)?;
    Ok(recovered)
}

fn transaction(row: &Row<'_>) -> rusqlite::Result<Transaction> {
    let stopped = match row.get_ref("stop_received")?.as_str_or_null()? {
        Some(received) => Some(Stopped {
            meter_stop: row.get::<_, Option<i64>>("meter_stop")?.map(WattHours),
            timestamp: row.get("stopped")?,
            reason: row.get("stop_reason")?,
            received: time(received)?,
        }),
        None => None,
    };
    Ok(Transaction {
        number: TransactionNumber(row.get("number")?),
        address: ChargeBoxId::from(row.get_ref("address")?.as_str()?),
        connector: ConnectorId(row.get("connector")?),
        wallbox_id: row.get("wallbox_id")?,
        id_tag: row.get_ref("id_tag")?.as_str_or_null()?.map(IdTag::from),
        meter_start: row.get::<_, Option<i64>>("meter_start")?.map(WattHours),
        started: row.get("started")?,
        received: time(row.get_ref("received")?.as_str()?)?,
        stopped,
    })
}

fn time(text: &str) -> rusqlite::Result<Timestamp> {
    text.parse().map_err(|error: jiff::Error| {
        rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into())
    })
}

#[cfg(test)]
impl Journal {
    /// The file can grow by this many pages and no more, as on a disk that is nearly full.
    pub(super) fn leave_pages(&self, free: i64) {
        let used: i64 = self
            .connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap();
        self.connection
            .pragma_update(None, "max_page_count", used + free)
            .unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::os::unix::fs::PermissionsExt;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::journal::{Entry, EntryKind, EntryState, Filed, Outline, Progress};

    fn times() -> impl Strategy<Value = Timestamp> {
        (
            Timestamp::MIN.as_second()..=Timestamp::MAX.as_second(),
            0..1_000_000_000i32,
        )
            .prop_filter_map("in range", |(s, ns)| Timestamp::new(s, ns).ok())
    }

    fn ends() -> impl Strategy<Value = Stopped> {
        (
            option::of(any::<i64>()),
            any::<String>(),
            any::<String>(),
            times(),
        )
            .prop_map(|(meter_stop, timestamp, reason, received)| Stopped {
                meter_stop: meter_stop.map(WattHours),
                timestamp,
                reason,
                received,
            })
    }

    fn transactions() -> impl Strategy<Value = Transaction> {
        let numbers = (0..200i64, "CB-[12]", any::<u32>(), any::<i64>());
        let values = (
            option::of(any::<String>()),
            option::of(any::<i64>()),
            any::<String>(),
            times(),
        );
        (numbers, values, option::weighted(0.8, ends())).prop_map(
            |(
                (number, address, connector, wallbox_id),
                (tag, start, started, received),
                stopped,
            )| {
                Transaction {
                    number: TransactionNumber(number),
                    address: address.as_str().into(),
                    connector: ConnectorId(connector),
                    wallbox_id,
                    id_tag: tag.as_deref().map(IdTag::from),
                    meter_start: start.map(WattHours),
                    started,
                    received,
                    stopped,
                }
            },
        )
    }

    fn kinds() -> impl Strategy<Value = EntryKind> {
        prop_oneof![
            Just(EntryKind::Start),
            any::<bool>().prop_map(|thinnable| EntryKind::Values { thinnable }),
            Just(EntryKind::Stop),
            Just(EntryKind::DataTransfer),
        ]
    }

    fn states() -> impl Strategy<Value = EntryState> {
        prop_oneof![
            Just(EntryState::Queued),
            Just(EntryState::Delivered),
            Just(EntryState::Dead),
            Just(EntryState::Thinned),
        ]
    }

    fn records() -> impl Strategy<Value = Record> {
        let queues = ("[ab]?", any::<bool>(), "CB-[12]", any::<u32>());
        let entry = (
            0..40u64,
            queues,
            option::of(0..200i64),
            kinds(),
            any::<String>(),
            times(),
        )
            .prop_map(
                |(id, (identity, ours, address, connector), number, kind, payload, received)| {
                    Record::Entry(Filed {
                        id: EntryId(id),
                        identity: ours.then(|| identity.as_str().into()),
                        entry: Entry {
                            address: address.as_str().into(),
                            connector: ConnectorId(connector),
                            transaction: number.map(TransactionNumber),
                            kind,
                            payload,
                            received,
                        },
                    })
                },
            );
        let progress = (0..40u64, states(), any::<u32>(), option::of(any::<i64>())).prop_map(
            |(id, state, attempts, backend_id)| {
                Record::Progress(Progress {
                    id: EntryId(id),
                    state,
                    attempts,
                    backend_id,
                })
            },
        );
        let memory = ("[ab]", "[xyz]", option::of(any::<String>()))
            .prop_map(|(owner, key, value)| Record::Memory { owner, key, value });
        prop_oneof![
            8 => transactions().prop_map(Record::Transaction),
            2 => entry,
            2 => progress,
            2 => memory,
        ]
    }

    /// What a start shall see of everything that was ever applied.
    fn recent(mut all: Recovered) -> Recovered {
        let mut ended: BTreeMap<ChargeBoxId, usize> = BTreeMap::new();
        let mut newest_first: Vec<_> = all.transactions.into_iter().rev().collect();
        newest_first.retain(|(_, it)| {
            it.stopped.is_none() || {
                let count = ended.entry(it.address.clone()).or_default();
                *count += 1;
                *count <= RECENT_TRANSACTIONS
            }
        });
        all.transactions = newest_first.into_iter().collect();
        let waits = |it: &&Outline| it.progress.state == EntryState::Queued;
        let waiting: BTreeSet<_> = all
            .entries
            .values()
            .filter(waits)
            .filter_map(|it| it.transaction)
            .collect();
        let known = |it: &Outline| {
            it.transaction
                .is_some_and(|it| all.transactions.contains_key(&it) || waiting.contains(&it))
        };
        all.entries
            .retain(|_, it| it.progress.state != EntryState::Delivered || known(it));
        all
    }

    fn payloads(journal: &Journal) -> Vec<(EntryId, String)> {
        let all: Vec<EntryId> = (0..1000).map(EntryId).collect();
        journal.payloads(&all).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn a_reopened_journal_is_what_its_records_say(
            batches in vec(vec(records(), 1..60), 1..8),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal.db");
            let mut expected = Recovered::default();
            let mut expected_payloads = BTreeMap::new();
            let mut starts = BTreeSet::new();
            for mut batch in batches {
                // Opened anew for each batch: numbers of entries go on where they were.
                let (mut journal, recovered) = Journal::open(&path).unwrap();
                let mut last = recovered.last_entry.unwrap_or_default();
                for record in &mut batch {
                    match record {
                        Record::Entry(filed) => {
                            last.0 += 1;
                            filed.id = last;
                            expected_payloads.insert(last, filed.entry.payload.clone());
                            if filed.entry.kind == EntryKind::Start {
                                starts.insert(last);
                            }
                        }
                        // No start ever makes room.
                        Record::Progress(it)
                            if it.state == EntryState::Thinned && starts.contains(&it.id) =>
                        {
                            it.state = EntryState::Dead;
                        }
                        _ => {}
                    }
                }
                let batch = vec![Record::Together(batch)];
                journal.commit(&batch).unwrap();
                for record in batch {
                    expected.apply(record);
                }
            }
            for waiting in expected.entries.keys() {
                prop_assert!(expected_payloads.contains_key(waiting));
            }
            let (journal, recovered) = Journal::open(&path).unwrap();
            // Id tags are equal without regard to case, but shall come back as they were.
            prop_assert_eq!(format!("{recovered:?}"), format!("{:?}", recent(expected)));
            for (id, payload) in payloads(&journal) {
                prop_assert_eq!(Some(&payload), expected_payloads.get(&id));
            }
            let there: BTreeMap<_, _> = payloads(&journal).into_iter().collect();
            prop_assert!(recovered.entries.keys().all(|id| there.contains_key(id)));
        }
    }

    fn filed(id: u64, number: i64, kind: EntryKind) -> Record {
        Record::Entry(Filed {
            id: EntryId(id),
            identity: Some("backend".into()),
            entry: Entry {
                address: "CB-1".into(),
                connector: ConnectorId(1),
                transaction: Some(TransactionNumber(number)),
                kind,
                payload: "{}".to_owned(),
                received: Timestamp::UNIX_EPOCH,
            },
        })
    }

    fn reopened(records: &[Record]) -> Recovered {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.commit(records).unwrap();
        drop(journal);
        Journal::open(&path).unwrap().1
    }

    #[test]
    fn the_number_of_a_start_without_its_transaction_is_not_given_again() {
        let records = [filed(1, 17, EntryKind::Start)];
        assert_eq!(
            reopened(&records).last_transaction,
            Some(TransactionNumber(17))
        );
    }

    #[test]
    fn a_delivered_start_comes_back_while_its_stop_waits_however_many_sessions_came_after() {
        let delivered = |id| {
            Record::Progress(Progress {
                id: EntryId(id),
                state: EntryState::Delivered,
                attempts: 0,
                backend_id: Some(4711),
            })
        };
        let records = [
            filed(1, 17, EntryKind::Start),
            filed(2, 17, EntryKind::Stop),
            filed(3, 18, EntryKind::Start),
            filed(4, 18, EntryKind::Stop),
            delivered(1),
            delivered(3),
            delivered(4),
        ];
        let entries = reopened(&records).entries;
        assert_eq!(entries[&EntryId(1)].progress.backend_id, Some(4711));
        assert_eq!(entries.len(), 2);
    }

    #[test]
    fn a_commit_that_is_refused_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.leave_pages(2);
        let memory = |key: &str, bytes| Record::Memory {
            owner: "o".to_owned(),
            key: key.to_owned(),
            value: Some("x".repeat(bytes)),
        };
        let entry = filed(1, 1, EntryKind::Start);
        let together = vec![memory("small", 1), entry.clone(), memory("large", 100_000)];
        let error = journal.commit(&[Record::Together(together)]).unwrap_err();
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::DiskFull)
        );
        journal.commit(&[entry]).unwrap();
        assert_eq!(payloads(&journal), [(EntryId(1), "{}".to_owned())]);
        drop(journal);
        let (_, recovered) = Journal::open(&path).unwrap();
        assert!(recovered.memory.is_empty());
        assert!(recovered.transactions.is_empty());
        assert!(recovered.entries.keys().eq(&[EntryId(1)]));
    }

    #[test]
    fn only_the_owner_can_read_the_journal_and_its_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let (_journal, _) = Journal::open(&path).unwrap();
        for name in ["journal.db", "journal.db-wal"] {
            let mode = dir
                .path()
                .join(name)
                .metadata()
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_second_process_is_kept_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let (_journal, _) = Journal::open(&path).unwrap();
        let error = Journal::open(&path).err().unwrap();
        assert!(matches!(error, StoreError::InUse { .. }), "{error:?}");
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let (journal, _) = Journal::open(&path).unwrap();
        journal
            .connection
            .pragma_update(None, "user_version", schema::VERSION + 1)
            .unwrap();
        drop(journal);
        let before = std::fs::read(&path).unwrap();
        let error = Journal::open(&path).err().unwrap();
        assert!(
            matches!(
                error,
                StoreError::UnknownSchema {
                    found: 3,
                    known: 2,
                    ..
                }
            ),
            "{error:?}"
        );
        assert!(error.to_string().contains("schema 3"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
