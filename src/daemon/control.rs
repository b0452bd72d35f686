//! The control socket: lines in, lines out. What they mean is said by [`crate::site::control`].

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Mode, fchmod};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::field::Field;
use crate::site::control::error;

/// The longest request, without its line feed.
pub const MAX_LINE: usize = 64 * 1024;

/// How many clients are served at a time; the next one is told so and turned away.
pub const MAX_CLIENTS: usize = 32;

/// A client that asks nothing whole for so long makes room for another.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

/// A client that does not read its answer is left.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many may wait until we accept them.
const BACKLOG: i32 = 128;

/// Owner and group; a member of the group may control the daemon.
const MODE: u32 = 0o660;

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The path cannot be used.
    #[error("the control socket {} cannot be made", path.display())]
    Path {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Somebody listens there.
    #[error("the control socket {} is in use: another chargewarden runs", path.display())]
    InUse {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something else is there, and is not ours to delete.
    #[error("the control socket {} cannot be made: a file that is no socket is in its place", path.display())]
    NotASocket {
        /// Where it should be.
        path: PathBuf,
    },
}

/// A bound control socket; its file is removed when this is dropped.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
    place: Place,
}

impl ControlSocket {
    /// Binds the socket, in the place of one that a killed daemon left. Its directory is made if
    /// it is missing. Must be called inside a runtime.
    ///
    /// # Errors
    ///
    /// See [`ControlError`].
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let failed = |source| ControlError::Path {
            path: path.into(),
            source,
        };
        if let Some(parent) = path.parent() {
            // Not what the umask leaves: who may write here could put a socket of his own in its place.
            let directory = DirBuilder::new().recursive(true).mode(0o755).create(parent);
            directory.map_err(failed)?;
        }
        remove_stale(path)?;
        let listener = listen(path).map_err(|errno| failed(errno.into()))?;
        // A socket that is in the place of ours one day is another inode.
        let metadata = fs::symlink_metadata(path).map_err(failed)?;
        let place = Place {
            path: path.into(),
            inode: (metadata.dev(), metadata.ino()),
        };
        // What the umask took away is given back now.
        fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
        let listener = net::UnixListener::from(listener);
        listener.set_nonblocking(true).map_err(failed)?;
        let listener = UnixListener::from_std(listener).map_err(failed)?;
        Ok(Self { listener, place })
    }

    /// Serves clients until `cancel`, then closes every connection and removes the file. Each line
    /// becomes a [`Field::Control`].
    pub async fn run(self, field: mpsc::Sender<Field>, cancel: CancellationToken) {
        let clients = TaskTracker::new();
        let room = Arc::new(Semaphore::new(MAX_CLIENTS));
        while let Some(accepted) = cancel.run_until_cancelled(self.listener.accept()).await {
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: they come back with time.
                    warn!(%error, "a client of the control socket could not be accepted");
                    cancel
                        .run_until_cancelled(sleep(Duration::from_secs(1)))
                        .await;
                    continue;
                }
            };
            let Ok(seat) = Arc::clone(&room).try_acquire_owned() else {
                turn_away(&stream);
                continue;
            };
            let field = field.clone();
            let cancel = cancel.clone();
            clients.spawn(async move {
                if let Some(Err(error)) = cancel.run_until_cancelled(serve(stream, field)).await {
                    debug!(%error, "a client of the control socket was left");
                }
                drop(seat);
            });
        }
        clients.close();
        clients.wait().await;
        drop(self.place);
    }
}

/// Where our socket is.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Device and number.
    inode: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        let ours = |it: fs::Metadata| (it.dev(), it.ino()) == self.inode;
        if fs::symlink_metadata(&self.path).is_ok_and(ours) {
            // Left over, it is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), ControlError> {
    let path_error = |source| ControlError::Path {
        path: path.into(),
        source,
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(path_error(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(ControlError::NotASocket { path: path.into() });
        }
        Ok(_) => {}
    }
    match connect(path) {
        Err(Errno::CONNREFUSED) => fs::remove_file(path).map_err(path_error),
        // A full backlog is somebody, too, if not somebody well.
        Ok(_) | Err(Errno::AGAIN) => Err(ControlError::InUse { path: path.into() }),
        Err(errno) => Err(path_error(errno.into())),
    }
}

/// Connects without ever waiting, unlike the standard library; the socket is non-blocking.
pub(crate) fn connect(path: &Path) -> rustix::io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn listen(path: &Path) -> rustix::io::Result<OwnedFd> {
    let socket = socket()?;
    // Linux gives the file the mode of the socket, less the umask: at no moment may others connect,
    // and no thread has its umask changed under it.
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn socket() -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
}

fn turn_away(stream: &UnixStream) {
    let sentence = format!("{MAX_CLIENTS} clients are connected already; try again in a minute");
    // A new socket has room for a line; if not, it is closed without one.
    let _ = stream.try_write((error(&sentence) + "\n").as_bytes());
}

async fn serve(stream: UnixStream, field: mpsc::Sender<Field>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        // One more than a line may have, to see that it has more.
        let mut limited = (&mut reader).take(MAX_LINE as u64 + 1);
        let read = timeout(IDLE_TIMEOUT, limited.read_until(b'\n', &mut line)).await;
        if read?? == 0 {
            return Ok(());
        }
        let too_long = line.len() > MAX_LINE && !line.ends_with(b"\n");
        let answer = match str::from_utf8(&line) {
            _ if too_long => error(&format!("a request has at most {MAX_LINE} bytes")),
            Ok(line) => ask(&field, line.trim_end()).await,
            Err(_) => error("a request is UTF-8 text"),
        };
        timeout(WRITE_TIMEOUT, writer.write_all((answer + "\n").as_bytes())).await??;
        if too_long {
            // Where the next request begins is not known.
            return Ok(());
        }
    }
}

async fn ask(field: &mpsc::Sender<Field>, line: &str) -> String {
    let (answer, answered) = oneshot::channel();
    let line = line.to_owned();
    if field.send(Field::Control { line, answer }).await.is_err() {
        return error("the daemon is about to end");
    }
    answered
        .await
        .unwrap_or_else(|_| error("the daemon is about to end"))
}
