//! Two files that are of use only together: both are written, or neither.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

use thiserror::Error;

/// What is to be written.
pub(super) struct Wanted<'a> {
    /// Where.
    pub(super) path: &'a Path,
    /// What.
    pub(super) text: &'a str,
    /// Who may read it.
    pub(super) mode: u32,
}

/// Why nothing was written.
#[derive(Debug, Error)]
pub(super) enum TogetherError {
    /// Two names for one place.
    #[error("{} and {} are the same file", .0.display(), .1.display())]
    Same(PathBuf, PathBuf),
    /// The file system refused.
    #[error("{} cannot be made: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Writes two files. What is there already is replaced if `overwrite` says so, and stays as it was
/// unless both could be written.
///
/// # Errors
/// When one of them cannot be written: then none is.
pub(super) fn write(wanted: &[Wanted<'_>; 2], overwrite: bool) -> Result<(), TogetherError> {
    let [first, second] = wanted;
    let mut staged = [stage(first)?, stage(second)?];
    let [one, other] = &staged;
    if one.target == other.target {
        let [first, second] = [first, second].map(|it| it.path.to_owned());
        return Err(TogetherError::Same(first, second));
    }
    for (file, wanted) in staged.iter_mut().zip(wanted) {
        file.fill(wanted).map_err(|error| failed(wanted, error))?;
    }
    for (file, wanted) in staged.iter_mut().zip(wanted) {
        file.place(overwrite)
            .map_err(|error| failed(wanted, error))?;
    }
    staged.into_iter().for_each(Staged::keep);
    Ok(())
}

fn stage(wanted: &Wanted<'_>) -> Result<Staged, TogetherError> {
    Staged::at(wanted.path).map_err(|error| failed(wanted, error))
}

fn failed(wanted: &Wanted<'_>, error: io::Error) -> TogetherError {
    TogetherError::File {
        path: wanted.path.to_owned(),
        error,
    }
}

/// A file on its way to its place. Whoever drops it before [`keep`](Self::keep) undoes everything.
struct Staged {
    target: PathBuf,
    /// What will be there, beside it.
    new: PathBuf,
    /// What was there, beside it.
    old: PathBuf,
    has_new: bool,
    has_old: bool,
    is_placed: bool,
}

impl Staged {
    fn at(path: &Path) -> io::Result<Self> {
        let is_directory = path.as_os_str().as_bytes().ends_with(b"/");
        let Some(name) = path.file_name().filter(|_| !is_directory) else {
            return Err(io::ErrorKind::IsADirectory.into());
        };
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            Some(_) | None => Path::new("."),
        };
        let target = fs::canonicalize(directory)?.join(name);
        match fs::symlink_metadata(&target) {
            Ok(there) if there.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(there) if !there.is_file() && !there.is_symlink() => {
                return Err(io::Error::other("it is no regular file"));
            }
            // What else is wrong is found out by writing.
            Ok(_) | Err(_) => {}
        }
        let beside = |what: &str| {
            let mut hidden = std::ffi::OsString::from(".");
            hidden.push(name);
            hidden.push(format!(".{}.{what}", process::id()));
            target.with_file_name(hidden)
        };
        Ok(Self {
            new: beside("new"),
            old: beside("old"),
            target,
            has_new: false,
            has_old: false,
            is_placed: false,
        })
    }

    fn fill(&mut self, wanted: &Wanted<'_>) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(wanted.mode);
        let mut file = options.open(&self.new)?;
        self.has_new = true;
        file.write_all(wanted.text.as_bytes())?;
        file.sync_all()
    }

    fn place(&mut self, overwrite: bool) -> io::Result<()> {
        if overwrite {
            match fs::rename(&self.target, &self.old) {
                Ok(()) => self.has_old = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        } else {
            // Takes the place, so that nobody else's file is replaced.
            File::create_new(&self.target)?;
            self.is_placed = true;
        }
        fs::rename(&self.new, &self.target)?;
        self.has_new = false;
        self.is_placed = true;
        Ok(())
    }

    fn keep(mut self) {
        self.is_placed = false;
        if std::mem::take(&mut self.has_old) {
            // It stays under its other name if it cannot be removed.
            let _ = fs::remove_file(&self.old);
        }
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Nothing better can be done where undoing fails, too: nothing is lost by it.
        if self.has_new {
            let _ = fs::remove_file(&self.new);
        }
        if self.has_old {
            let _ = fs::rename(&self.old, &self.target);
        } else if self.is_placed {
            let _ = fs::remove_file(&self.target);
        }
    }
}
