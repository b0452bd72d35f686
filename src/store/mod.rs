//! The journal on disk: SQLite with one writer thread.
//!
//! [`open`] reads what survived and starts the [`Writer`]; from then on records go in by
//! [`Writer::write`] and an [`Outcome`] comes back for each commit. What a record means is said by
//! [`Recovered::apply`], not here.

mod queries;
mod schema;
mod writer;

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;
use tracing::error;

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
/// Takes a while after years, because the whole file is checked: about a second for each 100 MB.
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
