//! One thread that writes: everything that waits goes to the disk in one commit.

use std::collections::HashSet;
use std::io;
use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use tracing::{debug, error, warn};

use super::queries::Journal;
use crate::ids::{EntryId, GatewayId, Seq, TransactionNumber};
use crate::journal::{Record, Recovered};

/// The first wait after a commit failed; each further one doubles, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// So that a flood of records cannot put off the first of them.
const LARGEST_BATCH: usize = 10_000;

/// How long [`Writer::close`] waits for a disk that hangs.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What became of the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every record up to this one is on disk and survives a loss of power.
    Committed(Seq),
    /// The disk refused. The records are kept and tried again, in order.
    Failed,
    /// What [`Writer::fetch`] asked for; what is not there is left out.
    Fetched(GatewayId, Vec<(EntryId, String)>),
    /// What [`Writer::recover`] with this number asked for, or why it cannot be read.
    Recovered(u64, Result<Recovered, String>),
}

/// What the thread is asked for, in order.
#[derive(Debug)]
enum Task {
    Write(Seq, Record),
    Fetch(GatewayId, Vec<EntryId>),
    Recover(u64),
}

/// The way to the disk.
///
/// Memory is bounded although the queue is not: an uncommitted record holds back the answer that
/// its wallbox waits for. Where answers are given without the disk because that stays broken, what
/// waits shrinks to the newest state of each thing and two entries a transaction.
#[derive(Debug)]
pub struct Writer {
    tasks: Sender<Task>,
    /// Never sent on: dropping it wakes the thread from its wait.
    stop: Sender<()>,
    /// Never sent on: the thread drops its end when it is through.
    done: Receiver<()>,
}

impl Writer {
    /// Starts the thread; `outcome` is called on it.
    pub(super) fn start(
        journal: Journal,
        outcome: impl FnMut(Outcome) + Send + 'static,
    ) -> io::Result<Self> {
        let (tasks, queue) = channel();
        let (stop, stopped) = channel();
        let (through, done) = channel();
        thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                write_until_closed(journal, &queue, &stopped, outcome);
                drop(through);
            })?;
        Ok(Self { tasks, stop, done })
    }

    /// Hands over a record; never waits. `seq` grows from call to call.
    pub fn write(&self, seq: Seq, record: Record) {
        // Fails only when the thread is gone, which a panic brings about, which ends the process.
        let _ = self.tasks.send(Task::Write(seq, record));
    }

    /// Asks for the payloads of entries; never waits. They come after everything that was written
    /// before, as an [`Outcome`].
    pub fn fetch(&self, gateway: GatewayId, entries: Vec<EntryId>) {
        let _ = self.tasks.send(Task::Fetch(gateway, entries));
    }

    /// Asks for what a start would begin with now; never waits. It comes after everything that was
    /// written before, as an [`Outcome`] with this number.
    pub fn recover(&self, number: u64) {
        let _ = self.tasks.send(Task::Recover(number));
    }

    /// Writes what is still waiting and closes the file. Gives up after one more attempt, or when
    /// the disk has hung for 5 s; what is lost then is logged.
    pub fn close(self) {
        drop((self.tasks, self.stop));
        if self.done.recv_timeout(CLOSE_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            error!("the disk hangs: the last records may be lost");
        }
    }
}

fn write_until_closed(
    mut journal: Journal,
    queue: &Receiver<Task>,
    stop: &Receiver<()>,
    mut outcome: impl FnMut(Outcome),
) {
    let mut batch = Vec::new();
    // A question waits for what was written before it.
    let mut question = None;
    while let Some(task) = question.take().or_else(|| queue.recv().ok()) {
        let (mut last, first) = match task {
            Task::Write(seq, record) => (seq, record),
            Task::Recover(number) => {
                let recovered = journal.recovered().map_err(|error| error.to_string());
                outcome(Outcome::Recovered(number, recovered));
                continue;
            }
            Task::Fetch(gateway, entries) => {
                let found = journal.payloads(&entries).unwrap_or_else(|error| {
                    error!(%error, "the journal cannot be read: what it holds for a backend waits");
                    Vec::new()
                });
                outcome(Outcome::Fetched(gateway, found));
                continue;
            }
        };
        batch.push(first);
        let mut take = |batch: &mut Vec<Record>| {
            while question.is_none() && batch.len() < LARGEST_BATCH {
                match queue.try_recv() {
                    Ok(Task::Write(seq, record)) => {
                        last = seq;
                        batch.push(record);
                    }
                    Ok(asked @ (Task::Fetch(..) | Task::Recover(_))) => question = Some(asked),
                    Err(_) => break,
                }
            }
        };
        take(&mut batch);
        let mut wait = FIRST_WAIT;
        let mut failed = false;
        let mut closing = false;
        while let Err(error) = journal.commit(&batch) {
            let waiting = batch.len();
            if closing {
                error!(%error, lost = waiting, "the journal cannot be written: records are lost");
                return;
            }
            if failed {
                debug!(%error, waiting, "the journal still cannot be written");
            } else {
                error!(%error, waiting, "the journal cannot be written: trying again");
            }
            failed = true;
            outcome(Outcome::Failed);
            closing = stop.recv_timeout(wait) != Err(RecvTimeoutError::Timeout);
            wait = (wait * 2).min(LONGEST_WAIT);
            take(&mut batch);
            drop_superseded(&mut batch);
        }
        if failed {
            warn!(records = batch.len(), "the journal is written again");
        }
        outcome(Outcome::Committed(last));
        batch.clear();
    }
}

/// Keeps of each transaction and each memory the newest state, and every entry, in order. As a
/// batch is committed as one, nobody can see the difference, nor which of its records were to be
/// written together.
fn drop_superseded(batch: &mut Vec<Record>) {
    #[derive(PartialEq, Eq, Hash)]
    enum Thing {
        Transaction(TransactionNumber),
        Progress(EntryId),
        Memory(String, String),
    }
    let mut newer = HashSet::new();
    *batch = mem::take(batch).into_iter().flat_map(apart).collect();
    batch.reverse();
    batch.retain(|record| match record {
        Record::Transaction(it) => newer.insert(Thing::Transaction(it.number)),
        Record::Entry(_) | Record::Together(_) => true,
        Record::Progress(it) => newer.insert(Thing::Progress(it.id)),
        Record::Memory { owner, key, .. } => {
            newer.insert(Thing::Memory(owner.clone(), key.clone()))
        }
    });
    batch.reverse();
}

/// The records of a record, in order.
fn apart(record: Record) -> Vec<Record> {
    match record {
        Record::Together(records) => records.into_iter().flat_map(apart).collect(),
        Record::Transaction(_) | Record::Entry(_) | Record::Progress(_) | Record::Memory { .. } => {
            vec![record]
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;
    use crate::ids::ConnectorId;
    use crate::journal::{Entry, EntryKind, Filed, Recovered};

    /// Longer than any wait of a writer, so that a test ends also when it fails.
    const PATIENCE: Duration = Duration::from_mins(1);

    fn memory(key: u8, value: Option<&str>) -> Record {
        Record::Memory {
            owner: "station CB-1".to_owned(),
            key: key.to_string(),
            value: value.map(str::to_owned),
        }
    }

    fn entry(payload: &str) -> Record {
        Record::Entry(Filed {
            id: EntryId(payload.parse().unwrap_or(0)),
            identity: Some("backend".into()),
            entry: Entry {
                address: "CB-1".into(),
                connector: ConnectorId(1),
                transaction: Some(TransactionNumber(1)),
                kind: EntryKind::Start,
                payload: payload.to_owned(),
                received: jiff::Timestamp::UNIX_EPOCH,
            },
        })
    }

    /// A writer on a disk with room for `pages` more pages.
    fn on_a_small_disk(dir: &TempDir, pages: i64) -> (Writer, Receiver<Outcome>) {
        let (journal, _) = Journal::open(&dir.path().join("journal.db")).unwrap();
        journal.leave_pages(pages);
        let (sender, outcomes) = channel();
        let writer = Writer::start(journal, move |outcome| {
            let _ = sender.send(outcome);
        });
        (writer.unwrap(), outcomes)
    }

    fn reopened(dir: &TempDir) -> Recovered {
        Journal::open(&dir.path().join("journal.db")).unwrap().1
    }

    fn one_memory(key: u8, value: &str) -> Recovered {
        let mut expected = Recovered::default();
        expected.apply(memory(key, Some(value)));
        expected
    }

    #[test]
    fn records_are_reported_in_order_and_all_are_there_after_closing() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, outcomes) = on_a_small_disk(&dir, 1000);
        let mut expected = Recovered::default();
        for n in 0..=u8::MAX {
            let record = memory(n, Some("1"));
            expected.apply(record.clone());
            writer.write(Seq(n.into()), record);
        }
        writer.close();
        let reported: Vec<Outcome> = outcomes.iter().collect();
        assert_eq!(reported.last(), Some(&Outcome::Committed(Seq(255))));
        let committed = reported.iter().map(|outcome| match outcome {
            Outcome::Committed(seq) => *seq,
            Outcome::Failed | Outcome::Fetched(..) | Outcome::Recovered(..) => {
                panic!("nothing was wrong with the disk")
            }
        });
        assert!(committed.is_sorted());
        assert_eq!(reopened(&dir), expected);
    }

    #[test]
    fn what_a_start_needs_comes_after_everything_that_was_written_before() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, outcomes) = on_a_small_disk(&dir, 1000);
        writer.write(Seq(1), memory(1, Some("old")));
        writer.write(Seq(2), memory(1, Some("new")));
        writer.recover(7);
        writer.write(Seq(3), memory(1, Some("newer")));
        let mut seen = outcomes.iter();
        let before: Vec<Outcome> = seen
            .by_ref()
            .take_while(|outcome| *outcome != Outcome::Recovered(7, Ok(one_memory(1, "new"))))
            .collect();
        assert_eq!(before.last(), Some(&Outcome::Committed(Seq(2))));
        writer.close();
        assert_eq!(reopened(&dir), one_memory(1, "newer"));
    }

    #[test]
    fn what_a_full_disk_refused_is_written_in_order_once_there_is_room() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, outcomes) = on_a_small_disk(&dir, 2);
        writer.write(Seq(1), memory(1, Some(&"x".repeat(100_000))));
        assert_eq!(outcomes.recv_timeout(PATIENCE), Ok(Outcome::Failed));
        writer.write(Seq(2), memory(2, Some("kept")));
        writer.write(Seq(3), memory(1, None));
        let next = outcomes.iter().find(|outcome| *outcome != Outcome::Failed);
        assert_eq!(next, Some(Outcome::Committed(Seq(3))));
        writer.close();
        assert_eq!(reopened(&dir), one_memory(2, "kept"));
    }

    #[test]
    fn closing_does_not_wait_for_a_disk_that_stays_full() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, outcomes) = on_a_small_disk(&dir, 2);
        writer.write(Seq(1), memory(1, Some("kept")));
        assert_eq!(
            outcomes.recv_timeout(PATIENCE),
            Ok(Outcome::Committed(Seq(1)))
        );
        writer.write(Seq(2), memory(2, Some(&"x".repeat(100_000))));
        writer.close();
        assert_eq!(outcomes.recv_timeout(PATIENCE), Ok(Outcome::Failed));
        assert_eq!(
            outcomes.recv_timeout(PATIENCE),
            Err(RecvTimeoutError::Disconnected)
        );
        assert_eq!(reopened(&dir), one_memory(1, "kept"));
    }

    proptest! {
        #[test]
        fn dropping_what_is_superseded_changes_no_outcome_and_loses_no_entry(
            choices in prop::collection::vec((0..5u8, 0..4u8), 0..40),
        ) {
            let batch: Vec<Record> = choices
                .into_iter()
                .map(|(kind, value)| match kind {
                    3 => entry(&value.to_string()),
                    4 => Record::Together(vec![memory(value, Some("4")), entry("4")]),
                    key => memory(key, (value > 0).then_some(&value.to_string())),
                })
                .collect();
            let apply = |batch: &[Record]| {
                let mut recovered = Recovered::default();
                for record in batch {
                    recovered.apply(record.clone());
                }
                recovered
            };
            let entries = |batch: &[Record]| -> Vec<Record> {
                let all = batch.iter().cloned().flat_map(apart);
                all.filter(|it| matches!(it, Record::Entry(_))).collect()
            };
            let mut short = batch.clone();
            drop_superseded(&mut short);
            prop_assert_eq!(apply(&short), apply(&batch));
            prop_assert_eq!(entries(&short), entries(&batch));
            prop_assert!(short.len() <= entries(&batch).len() + 4);
        }
    }
}
