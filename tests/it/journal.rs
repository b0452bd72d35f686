//! The journal outlives kill -9.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use chargewarden::clock::{Random, Timestamp};
use chargewarden::ids::{ConnectorId, EntryId, Seq, TransactionNumber};
use chargewarden::journal::{Entry, EntryKind, Filed, Record};
use chargewarden::store::{self, Opened, Outcome, StoreError};

use crate::child::{self, Running};

/// How often the child is killed.
const ROUNDS: u64 = 8;

#[test]
fn kill_9_loses_nothing_that_was_reported_and_repeats_nothing() {
    if let Some(dir) = child::purpose() {
        write_until_killed(&PathBuf::from(dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(std::process::id().into());
    let mut reported = 0;
    for round in 0..ROUNDS {
        let before = reported;
        let name = "journal::kill_9_loses_nothing_that_was_reported_and_repeats_nothing";
        let mut child = Running(
            child::command(name, dir.path().to_str().unwrap())
                .spawn()
                .unwrap(),
        );
        let mut lines = BufReader::new(child.0.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("committed ")?.parse::<u64>().ok());
        reported = lines.next().unwrap();
        if round == 0 {
            let refused = store::open(dir.path(), |_| {}).unwrap_err();
            assert!(matches!(refused, StoreError::InUse { .. }), "{refused:?}");
        }
        thread::sleep(Duration::from_millis(random.below(100)));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        reported = lines.last().unwrap_or(reported);

        let found = entries(dir.path());
        assert!(reported > before);
        assert!(
            found.len() as u64 >= reported,
            "{} of {reported}",
            found.len()
        );
        let expected: Vec<String> = (1..=found.len()).map(|n| n.to_string()).collect();
        assert_eq!(found, expected, "a gap, a repetition or a wrong order");
    }
}

/// The payloads of all entries in their order.
fn entries(dir: &Path) -> Vec<String> {
    let opened = store::open(dir, |_| {}).unwrap();
    assert_eq!(opened.damage, None);
    opened.writer.close();
    rusqlite::Connection::open(dir.join(store::FILE_NAME))
        .unwrap()
        .prepare("SELECT payload FROM entries ORDER BY id")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

/// The child: goes on counting where the last one was killed, and says what was committed.
fn write_until_killed(dir: &Path) -> ! {
    let mut n = entries(dir).len() as u64;
    let Opened { writer, .. } = store::open(dir, |outcome| {
        if let Outcome::Committed(Seq(n)) = outcome {
            println!("committed {n}");
        }
    })
    .unwrap();
    loop {
        n += 1;
        let entry = Entry {
            address: "CB".into(),
            connector: ConnectorId(1),
            transaction: Some(TransactionNumber(1)),
            kind: EntryKind::Start,
            payload: n.to_string(),
            received: Timestamp::UNIX_EPOCH,
        };
        let filed = Filed {
            id: EntryId(n),
            identity: None,
            entry,
        };
        writer.write(Seq(n), Record::Entry(filed));
        thread::sleep(Duration::from_micros(n % 7 * 30));
    }
}
