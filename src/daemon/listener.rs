//! The socket that wallboxes connect to.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

use super::admission::Admission;
use super::entrance::Entrance;
use super::field::Field;
use super::link::LinkIds;
use super::rate_limited::Kind;
use crate::net::directory::Directory;
use crate::net::tls::TlsServer;

/// Connections that the kernel keeps until they are accepted.
const BACKLOG: i32 = 1024;
/// Rest after an accept that failed for lack of file descriptors: they come back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the listener is configured to do.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen; `::` is all interfaces, IPv4 included.
    pub address: IpAddr,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
    /// With or without TLS.
    pub tls: Tls,
    /// Who may connect.
    pub directory: Arc<Directory>,
    /// Connections in all.
    pub max_connections: usize,
    /// Bytes of one WebSocket message.
    pub max_message_size: usize,
    /// How long a peer may take.
    pub deadlines: Deadlines,
}

/// `ocpp-server.tls`, with what it needs.
#[derive(Debug, Clone)]
pub enum Tls {
    /// ws:// only.
    Off,
    /// ws:// and wss:// on the same port.
    Detect(TlsServer),
    /// wss:// only.
    On(TlsServer),
}

/// How long a peer may take for each step.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Until its first byte.
    pub first_byte: Duration,
    /// For the TLS handshake.
    pub tls: Duration,
    /// For its HTTP request.
    pub upgrade: Duration,
    /// To take what is written to it.
    pub write: Duration,
    /// To answer our goodbye.
    pub goodbye: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(5),
            tls: Duration::from_secs(10),
            upgrade: Duration::from_secs(10),
            write: Duration::from_secs(15),
            goodbye: Duration::from_secs(1),
        }
    }
}

/// Why the listener cannot listen.
#[derive(Debug, Error)]
#[error("listening on {address}: {error}")]
pub struct BindError {
    /// Where it should have listened.
    pub address: SocketAddr,
    /// What the system says.
    pub error: io::Error,
}

/// A bound socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    port: u16,
    settings: watch::Sender<Settings>,
    links: LinkIds,
}

impl Listener {
    /// Binds the socket. Needs the tokio runtime.
    ///
    /// # Errors
    /// When the address is not ours or the port is taken.
    pub fn bind(settings: Settings) -> Result<Self, BindError> {
        let bound = bind_or_ipv4(settings.address, settings.port).and_then(|socket| {
            let port = socket.local_addr()?.port();
            Ok((TcpListener::from_std(socket)?, port))
        });
        match bound {
            Ok((socket, port)) => Ok(Self {
                socket,
                port,
                settings: watch::Sender::new(settings),
                links: LinkIds::default(),
            }),
            Err(error) => Err(BindError {
                address: SocketAddr::new(settings.address, settings.port),
                error,
            }),
        }
    }

    /// The port, also where the system chose it.
    pub const fn local_port(&self) -> u16 {
        self.port
    }

    /// Where the numbers of its links come from, for others who make links.
    pub fn links(&self) -> LinkIds {
        self.links.clone()
    }

    /// Where new settings are put for the connections to come. Address, port and the number of
    /// connections stay as they are.
    pub fn settings(&self) -> watch::Sender<Settings> {
        self.settings.clone()
    }

    /// Accepts until cancelled. Every connection is a task of its own on the tracker.
    pub async fn run(
        self,
        field: mpsc::Sender<Field>,
        tasks: TaskTracker,
        cancel: CancellationToken,
    ) {
        let mut settings = self.settings.subscribe();
        let first = settings.borrow_and_update().clone();
        let admission = Admission::new(first.max_connections, cancel.clone());
        let first = Entrance::new(first, field, cancel.clone(), self.links.clone());
        let mut entrance = Arc::new(first);
        loop {
            let accepted = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                Ok(()) = settings.changed() => {
                    entrance = Arc::new(entrance.with(settings.borrow_and_update().clone()));
                    continue;
                }
                accepted = self.socket.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok((stream, peer)) => {
                    let address = peer.ip().to_canonical();
                    (stream, SocketAddr::new(address, peer.port()))
                }
                Err(error) => {
                    if entrance.may_say(Kind::Connection, Ipv6Addr::UNSPECIFIED.into(), "accept") {
                        error!(%error, "no connection can be accepted");
                    }
                    // Otherwise it is the fault of this one peer.
                    if is_shortage(&error) {
                        sleep(ACCEPT_PAUSE).await;
                    }
                    continue;
                }
            };
            match admission.admit(peer.ip(), Instant::now()) {
                Ok(ticket) => {
                    tasks.spawn(entrance.clone().serve(stream, peer, ticket));
                }
                Err(why) => entrance.refused(Kind::Connection, peer, &why),
            }
        }
    }
}

/// Out of file descriptors or memory: that passes.
fn is_shortage(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM)
    )
}

/// Falls back to 0.0.0.0 where `::` is wanted and there is no IPv6.
fn bind_or_ipv4(address: IpAddr, port: u16) -> io::Result<std::net::TcpListener> {
    bind(SocketAddr::new(address, port)).or_else(|error| {
        let no_ipv6 = matches!(
            Errno::from_io_error(&error),
            Some(Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)
        );
        if no_ipv6 && address == Ipv6Addr::UNSPECIFIED {
            info!("no IPv6 on this machine: listening on 0.0.0.0");
            bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port))
        } else {
            Err(error)
        }
    })
}

/// A listening socket; `::` takes IPv4 as well, whatever the system's default is.
fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false)?;
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket.into())
}
