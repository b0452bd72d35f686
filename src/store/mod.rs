//! The journal on disk: SQLite with one writer thread.
//!
//! [`open`] reads what survived and starts the [`Writer`]; from then on records go in by
//! [`Writer::write`] and an [`Outcome`] comes back for each commit. What a record means is said by
//! [`Recovered::apply`], not here.

mod entries;
mod queries;
mod schema;
mod writer;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use tracing::{error, warn};

use crate::journal::Recovered;
use queries::Journal;
pub use writer::{Outcome, Writer};

/// The name of the file in the state directory.
pub const FILE_NAME: &str = "chargewarden.db";

/// What SQLite keeps beside the file; `""` is the file itself and comes first, because without its
/// log an undamaged file would open again, in an older state and without a word.
const SUFFIXES: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// A journal ready for use.
#[derive(Debug)]
pub struct Opened {
    /// Takes the records.
    pub writer: Writer,
    /// What a start begins with.
    pub recovered: Recovered,
    /// The former file was unreadable, and `recovered` is empty.
    pub damage: Option<Damage>,
}

/// An unreadable file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where it is now.
    pub set_aside: PathBuf,
    /// What is wrong with it.
    pub why: String,
}

/// Why there is no journal.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or the file cannot be made, opened for writing or moved.
    #[error("the journal needs {} and cannot have it", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite cannot work with the file, and that is not the file's fault.
    #[error("the journal {} cannot be opened", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// Another process has it open.
    #[error("the journal {} is in use: does another chargewarden run with the same state-dir?", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer version of chargewarden wrote it.
    #[error(
        "the journal {} has schema {found} and this version knows schemas up to {known}: install the \
         newer version again, or move the file away", path.display()
    )]
    UnknownSchema {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// Our newest.
        known: u32,
    },
    /// The file is unreadable, even a new one.
    #[error("the journal {} is damaged: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The writer thread cannot be started.
    #[error("the journal's thread cannot be started")]
    Thread(#[source] io::Error),
}

impl StoreError {
    /// Tells what surrounds the file from what is in it.
    fn sqlite(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.into();
        match source.sqlite_error().map(|e| (e.code, e.extended_code)) {
            Some((ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _)) => Self::InUse { path },
            Some((
                ErrorCode::CannotOpen
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::DiskFull
                | ErrorCode::OutOfMemory
                | ErrorCode::NoLargeFileSupport,
                _,
            )) => Self::Sqlite { path, source },
            Some((ErrorCode::SystemIoFailure, code)) if !is_read(code) => {
                Self::Sqlite { path, source }
            }
            _ => Self::Damaged {
                path,
                why: source.to_string(),
            },
        }
    }
}

/// The disk does not give back what was written.
fn is_read(extended_code: i32) -> bool {
    use rusqlite::ffi;
    matches!(
        extended_code,
        ffi::SQLITE_IOERR_READ
            | ffi::SQLITE_IOERR_SHORT_READ
            | ffi::SQLITE_IOERR_CORRUPTFS
            | ffi::SQLITE_IOERR_DATA
    )
}

/// Opens the journal in the state directory `dir`; both are made if they are missing. `outcome` is
/// called on the writer thread after every commit and every failed one.
///
/// A damaged file is no error: a daemon that does not start protects no fuse. It is set aside as
/// `chargewarden.db.damaged-1` (or the next free number), and the journal begins anew.
///
/// Takes a while after years, because the whole file is checked: some seconds for each 100 MB.
///
/// # Errors
///
/// See [`StoreError`]; all of them mean that something outside the file must be put right.
pub fn open(
    dir: &Path,
    outcome: impl FnMut(Outcome) + Send + 'static,
) -> Result<Opened, StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(file_error(dir))?;
    close_to_others(dir).map_err(file_error(dir))?;
    let path = dir.join(FILE_NAME);
    let (journal, recovered, damage) = match Journal::open(&path) {
        Ok((journal, recovered)) => (journal, recovered, None),
        Err(StoreError::Damaged { why, .. }) => {
            let set_aside = set_aside(dir)?;
            error!(
                file = %set_aside.display(),
                why,
                "the journal was unreadable and is set aside: starting with an empty one"
            );
            let (journal, recovered) = Journal::open(&path)?;
            (journal, recovered, Some(Damage { set_aside, why }))
        }
        Err(error) => return Err(error),
    };
    let writer = Writer::start(journal, outcome).map_err(StoreError::Thread)?;
    Ok(Opened {
        writer,
        recovered,
        damage,
    })
}

/// Whoever may write here could put another journal or another key in the place of ours. Who may
/// read is left to whoever made the directory: the files in it are closed by themselves.
fn close_to_others(dir: &Path) -> io::Result<()> {
    let mode = dir.metadata()?.permissions().mode();
    if mode & 0o022 == 0 {
        return Ok(());
    }
    let directory = dir.display();
    // It may belong to somebody else.
    match fs::set_permissions(dir, Permissions::from_mode(mode & 0o750)) {
        Ok(()) => warn!(%directory, "others could write the state directory: it is closed to them"),
        Err(error) => warn!(%directory, %error, "others can write the state directory: chmod go-w"),
    }
    Ok(())
}

/// Moves the file and what belongs to it out of the way, without touching what is in it.
fn set_aside(dir: &Path) -> Result<PathBuf, StoreError> {
    let numbered = |n: u32| dir.join(format!("{FILE_NAME}.damaged-{n}"));
    let mut n = 1;
    while numbered(n).exists() {
        n += 1;
    }
    let free = numbered(n);
    for suffix in SUFFIXES {
        let from = with_suffix(&dir.join(FILE_NAME), suffix);
        match fs::rename(&from, with_suffix(&free, suffix)) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(file_error(&from)(error)),
        }
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(file_error(dir))?;
    Ok(free)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::File {
        path: path.into(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use tempfile::TempDir;

    use super::*;
    use crate::clock::Random;
    use crate::ids::Seq;
    use crate::journal::Record;

    fn record(n: u64) -> Record {
        Record::Memory {
            owner: format!("owner {n}"),
            key: "key".to_owned(),
            value: Some("x".repeat(200)),
        }
    }

    /// What is there after the first `n` records.
    fn after(n: usize) -> Recovered {
        let mut recovered = Recovered::default();
        for record in (0..).map(record).take(n) {
            recovered.apply(record);
        }
        recovered
    }

    /// File and log as a loss of power leaves them: 300 records, each in a commit of its own, the
    /// first 100 in the file and the others in its log.
    static LEFT: LazyLock<[(&str, Vec<u8>); 2]> = LazyLock::new(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        let (mut journal, _) = Journal::open(&path).unwrap();
        for n in 0..300 {
            if n == 100 {
                drop(journal);
                (journal, _) = Journal::open(&path).unwrap();
            }
            journal.commit(&[record(n)]).unwrap();
        }
        ["", "-wal"].map(|suffix| (suffix, fs::read(with_suffix(&path, suffix)).unwrap()))
    });

    fn after_a_loss_of_power() -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (suffix, bytes) in LEFT.iter() {
            fs::write(with_suffix(&dir.path().join(FILE_NAME), suffix), bytes).unwrap();
        }
        dir
    }

    fn damage(dir: &TempDir, suffix: &str, spoil: impl FnOnce(&mut Vec<u8>)) {
        let path = with_suffix(&dir.path().join(FILE_NAME), suffix);
        let mut bytes = fs::read(&path).unwrap();
        spoil(&mut bytes);
        fs::write(&path, bytes).unwrap();
    }

    fn reopen(dir: &TempDir) -> Opened {
        open(dir.path(), |_| {}).unwrap()
    }

    #[test]
    fn a_loss_of_power_loses_nothing_that_was_committed() {
        let dir = after_a_loss_of_power();
        let opened = reopen(&dir);
        assert_eq!(opened.damage, None);
        assert_eq!(opened.recovered, after(300));
    }

    #[test]
    fn a_cut_or_spoilt_log_gives_back_what_was_committed_before_that_place() {
        let mut random = Random::new(1);
        for _ in 0..20 {
            let dir = after_a_loss_of_power();
            damage(&dir, "-wal", |bytes| {
                let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                if random.below(2) == 0 {
                    bytes.truncate(at);
                } else {
                    bytes[at] ^= 0x55;
                }
            });
            let opened = reopen(&dir);
            assert_eq!(opened.damage, None);
            let n = opened.recovered.memory.len();
            assert!(n >= 100);
            assert_eq!(opened.recovered, after(n));
        }
    }

    #[test]
    fn garbage_is_set_aside_under_the_next_free_number_and_the_journal_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        for n in 1..=2 {
            let garbage = vec![b'x'; 10_000 * n];
            fs::write(dir.path().join(FILE_NAME), &garbage).unwrap();
            let Opened {
                writer,
                recovered,
                damage,
            } = reopen(&dir);
            let damage = damage.unwrap();
            assert_eq!(recovered, Recovered::default());
            assert_eq!(
                damage.set_aside,
                dir.path().join(format!("chargewarden.db.damaged-{n}"))
            );
            assert_eq!(fs::read(&damage.set_aside).unwrap(), garbage);
            assert!(damage.why.contains("not a database"), "{}", damage.why);
            writer.write(Seq(1), record(0));
            writer.close();
            let again = reopen(&dir);
            assert_eq!(again.damage, None);
            assert_eq!(again.recovered, after(1));
            again.writer.close();
        }
    }

    #[test]
    fn a_file_that_opens_but_is_torn_inside_is_set_aside_together_with_its_log() {
        let dir = after_a_loss_of_power();
        // Whatever the log does not cover is read from here.
        damage(&dir, "", |bytes| bytes[8192..].fill(0x55));
        let read = |path: &Path| ["", "-wal"].map(|it| fs::read(with_suffix(path, it)).unwrap());
        let before = read(&dir.path().join(FILE_NAME));
        let opened = reopen(&dir);
        assert_eq!(opened.recovered, Recovered::default());
        assert!(
            read(&opened.damage.unwrap().set_aside) == before,
            "the evidence was touched"
        );
    }

    #[test]
    fn a_cut_file_is_set_aside() {
        let dir = after_a_loss_of_power();
        fs::remove_file(dir.path().join("chargewarden.db-wal")).unwrap();
        damage(&dir, "", |bytes| bytes.truncate(5000));
        assert!(reopen(&dir).damage.is_some());
    }

    #[test]
    fn no_spoilt_byte_keeps_the_daemon_from_starting() {
        let mut random = Random::new(2);
        for _ in 0..40 {
            let dir = after_a_loss_of_power();
            for suffix in ["", "-wal"] {
                damage(&dir, suffix, |bytes| {
                    for _ in 0..=random.below(3) {
                        let at = usize::try_from(random.below(bytes.len() as u64)).unwrap();
                        bytes[at] = random.next_u64().to_le_bytes()[0];
                    }
                });
            }
            let result = open(dir.path(), |_| {});
            // The schema version is one of the bytes, and a newer one must be refused.
            let fine = matches!(result, Ok(_) | Err(StoreError::UnknownSchema { .. }));
            assert!(fine, "{result:?}");
        }
    }

    #[test]
    fn a_new_directory_is_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("lib/chargewarden");
        let _opened = open(&state, |_| {}).unwrap();
        let mode = state.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_directory_that_others_may_write_is_closed_to_them_and_no_further() {
        let dir = tempfile::tempdir().unwrap();
        for (was, is) in [
            (0o777, 0o750),
            (0o775, 0o750),
            (0o750, 0o750),
            (0o755, 0o755),
        ] {
            fs::set_permissions(dir.path(), Permissions::from_mode(was)).unwrap();
            drop(open(dir.path(), |_| {}).unwrap());
            let mode = dir.path().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, is, "{was:o}");
        }
    }

    #[test]
    fn a_directory_that_takes_no_files_is_a_clear_error() {
        // Refuses also root.
        let error = open(Path::new("/proc/self"), |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::File { .. }), "{error:?}");
        assert!(
            error.to_string().contains("/proc/self/chargewarden.db"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_in_the_place_of_the_file_is_a_clear_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::create_dir(&path).unwrap();
        let error = open(dir.path(), |_| {}).unwrap_err();
        assert!(matches!(error, StoreError::File { .. }), "{error:?}");
        assert!(path.is_dir());
    }
}
