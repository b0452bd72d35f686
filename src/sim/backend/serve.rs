//! Puts a backend behind a real socket, by real clocks.

use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::debug;

use super::{Backend, Output};
use crate::clock::Now;
use crate::daemon::clock::Clock;
use crate::daemon::field::{Field, ToLink};
use crate::daemon::listener::{BindError, Deadlines, Listener, Settings, Tls};
use crate::ids::LinkId;
use crate::net::directory::{Directory, Password};
use crate::net::tls::TlsServer;

/// Events and jobs that may wait for the backend.
const WAITING: usize = 64;

const MAX_CONNECTIONS: usize = 1024;
const MAX_MESSAGE: usize = 4 * 1024 * 1024;

/// Something to do with the backend between two frames.
type Job = Box<dyn FnOnce(Now, &mut Backend) + Send>;

/// Listens for charge points; any client id may come in. With `tls` it speaks wss only, without it
/// ws only; `password` is what all must send by HTTP Basic.
///
/// # Errors
/// If the address is not ours or the port is taken.
pub fn listen(
    address: SocketAddr,
    tls: Option<TlsServer>,
    password: Option<&str>,
) -> Result<Listener, BindError> {
    let directory = Directory {
        known: BTreeMap::new(),
        password: password.map(Password::new),
        accept_unknown: true,
        certificate_names_id: false,
    };
    Listener::bind(Settings {
        address: address.ip(),
        port: address.port(),
        tls: tls.map_or(Tls::Off, Tls::On),
        directory: Arc::new(directory),
        max_connections: MAX_CONNECTIONS,
        max_message_size: MAX_MESSAGE,
        deadlines: Deadlines::default(),
    })
}

/// Listens on a free port of the loopback, without TLS and password.
///
/// # Errors
/// If there is none.
pub fn listen_on_loopback() -> Result<Listener, BindError> {
    listen((Ipv4Addr::LOCALHOST, 0).into(), None, None)
}

/// Serves `backend` until `stop`. Needs the tokio runtime.
pub fn serve(listener: Listener, backend: Backend, stop: CancellationToken) -> Server {
    let (to_backend, events) = mpsc::channel(WAITING);
    let (jobs, to_do) = mpsc::channel(WAITING);
    let (tasks, port) = (TaskTracker::new(), listener.local_port());
    let desk = Desk {
        backend,
        clock: Clock::start(),
        outboxes: BTreeMap::new(),
    };
    tasks.spawn(desk.run(events, to_do, stop.clone()));
    tasks.spawn(listener.run(to_backend, tasks.clone(), stop));
    tasks.close();
    Server { port, jobs, tasks }
}

/// A backend that is served.
#[derive(Clone)]
pub struct Server {
    port: u16,
    jobs: mpsc::Sender<Job>,
    tasks: TaskTracker,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut server = f.debug_struct("Server");
        server.field("port", &self.port).finish_non_exhaustive()
    }
}

impl Server {
    /// The port that charge points connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Looks at the backend, or does something with it; `None` if it was stopped.
    pub async fn with<T: Send + 'static>(
        &self,
        job: impl FnOnce(Now, &mut Backend) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |now, backend| {
            // Whoever does not wait any more needs no result.
            let _ = done.send(job(now, backend));
        });
        self.jobs.send(job).await.ok()?;
        result.await.ok()
    }

    /// Waits until every connection has ended, after it was stopped.
    pub async fn ended(&self) {
        self.tasks.wait().await;
    }
}

/// Owns the backend, and carries what it says to the links.
struct Desk {
    backend: Backend,
    clock: Clock,
    outboxes: BTreeMap<LinkId, mpsc::Sender<ToLink>>,
}

impl Desk {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<Field>,
        mut jobs: mpsc::Receiver<Job>,
        stop: CancellationToken,
    ) {
        loop {
            self.carry_out();
            let wake = self.backend.poll_timeout().map(|at| self.clock.instant(at));
            select! {
                () = stop.cancelled() => return,
                () = async { match wake {
                    Some(at) => sleep_until(at).await,
                    None => pending().await,
                } } => self.backend.handle_timeout(self.clock.now()),
                Some(event) = events.recv() => self.handle(event),
                Some(job) = jobs.recv() => job(self.clock.now(), &mut self.backend),
            }
        }
    }

    fn handle(&mut self, event: Field) {
        let now = self.clock.now();
        match event {
            Field::Up {
                link,
                address,
                outbox,
                ..
            } => {
                self.outboxes.insert(link, outbox);
                self.backend.handle_up(now, link, &address);
            }
            Field::Frame { link, text, permit } => {
                self.backend.handle_frame(now, link, &text);
                drop(permit);
            }
            Field::Down { link } => {
                self.outboxes.remove(&link);
                self.backend.handle_down(now, link);
            }
            Field::Dialled { .. }
            | Field::DialFailed { .. }
            | Field::Heard { .. }
            | Field::Unknown { .. }
            | Field::Modbus { .. }
            | Field::Uploaded { .. }
            | Field::Control { .. } => {}
        }
    }

    fn carry_out(&mut self) {
        while let Some(output) = self.backend.poll_output() {
            match output {
                Output::Send { link, text } => {
                    let outbox = self.outboxes.get(&link);
                    let sent = outbox.map(|outbox| outbox.try_send(ToLink::Text(text)));
                    if let Some(Err(error)) = sent {
                        debug!(%link, %error, "a charge point does not read");
                        // Without its outbox the link ends.
                        self.outboxes.remove(&link);
                        self.backend.handle_down(self.clock.now(), link);
                    }
                }
                Output::Close { link } => {
                    let (code, reason) = (1000, "closed by the backend");
                    if let Some(outbox) = self.outboxes.remove(&link) {
                        // A full outbox ends with its sender.
                        let _ = outbox.try_send(ToLink::Close { code, reason });
                    }
                }
            }
        }
    }
}
