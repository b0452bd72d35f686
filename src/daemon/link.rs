//! One task for each connection that passed the upgrade: frames in, frames out, no opinion.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, trace};

use super::field::{Field, ToLink};
use super::listener::Deadlines;
use super::masking::shown;
use crate::ids::LinkId;
use crate::net::transport::Transport;
use crate::net::websocket::{End, Event, WebSocket};

/// Frames that may wait for the site task; then this peer is read no further.
const READ_AHEAD: usize = 8;
/// What may wait to be sent to one peer.
const OUTBOX: usize = 64;
/// One ping and one pong in this time prove that the peer lives; more are not passed on.
const HEARD: Duration = Duration::from_secs(1);

/// Numbers for links, one after the other. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct LinkIds(Arc<AtomicU64>);

impl LinkIds {
    /// The next number, from 1.
    pub fn next(&self) -> LinkId {
        LinkId(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// Who is at the other end of a link. Its name is shown with its frames.
pub(super) trait Peer: fmt::Display {
    /// What the site is told when the link is up.
    fn up(&self, link: LinkId, outbox: mpsc::Sender<ToLink>) -> Field;

    /// Writes into the log that the link is up.
    fn log_up(&self, link: LinkId);

    /// Writes into the log that the link has ended.
    fn log_down(&self, link: LinkId, ending: &Ending);
}

/// A connection with a wallbox or a backend.
#[derive(Debug)]
pub(super) struct Link<P> {
    pub(super) id: LinkId,
    pub(super) peer: P,
    pub(super) field: mpsc::Sender<Field>,
    pub(super) cancel: CancellationToken,
    pub(super) deadlines: Deadlines,
}

/// Why a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// On the peer's side.
    Peer(End),
    /// The site said so.
    Asked { code: u16, reason: &'static str },
    /// The peer does not read.
    Deaf,
    /// The daemon stops, reads its configuration anew, or needs the place for another.
    GoingAway,
    /// The site has dropped this link.
    Dropped,
}

impl<P: Peer> Link<P> {
    /// Carries frames until one side ends. Tells that the peer is up first and `Down` last, each
    /// once.
    pub(super) async fn run(self, mut socket: WebSocket<Transport>) {
        let (outbox, commands) = mpsc::channel(OUTBOX);
        self.peer.log_up(self.id);
        let ending = match self.tell(self.peer.up(self.id, outbox)).await {
            Ok(()) => {
                let ending = self.carry(&mut socket, commands).await;
                // The site is gone if this fails, and needs to be told nothing.
                let _ = self.tell(Field::Down { link: self.id }).await;
                ending
            }
            Err(ending) => ending,
        };
        self.peer.log_down(self.id, &ending);
        // On the heap, so that it costs nothing before. Who takes too long is left without.
        let goodbye = Box::pin(socket.close(ending.goodbye()));
        let _ = timeout(self.deadlines.goodbye, goodbye).await;
    }

    async fn carry(
        &self,
        socket: &mut WebSocket<Transport>,
        mut commands: mpsc::Receiver<ToLink>,
    ) -> Ending {
        let permits = Arc::new(Semaphore::new(READ_AHEAD));
        let mut permit: Option<OwnedSemaphorePermit> = None;
        let mut write_by: Option<Instant> = None;
        let mut heard = Heard::default();
        loop {
            let unsent = socket.is_unsent();
            let patience = Instant::now() + self.deadlines.write;
            write_by = unsent.then(|| write_by.unwrap_or(patience));
            let turn = select! {
                biased;
                () = self.cancel.cancelled() => Err(Ending::GoingAway),
                () = sleep_until(write_by.unwrap_or(patience)), if unsent => Err(Ending::Deaf),
                command = commands.recv(), if !unsent => self.obey(socket, command),
                acquired = permits.clone().acquire_owned(), if permit.is_none() => {
                    permit = acquired.ok();
                    Ok(())
                }
                event = socket.next(permit.is_some()), if unsent || permit.is_some() => {
                    self.pass_on(event, &mut permit, &mut heard).await
                }
            };
            if let Err(ending) = turn {
                return ending;
            }
        }
    }

    fn obey(
        &self,
        socket: &mut WebSocket<Transport>,
        command: Option<ToLink>,
    ) -> Result<(), Ending> {
        match command {
            Some(ToLink::Text(text)) => {
                trace!(target: "ocpp::wire", peer = %self.peer, text = &*shown(&text), "sent");
                socket.queue_text(text).map_err(Ending::Peer)
            }
            Some(ToLink::Ping) => socket.queue_ping().map_err(Ending::Peer),
            Some(ToLink::Close { code, reason }) => Err(Ending::Asked { code, reason }),
            None => Err(Ending::Dropped),
        }
    }

    async fn pass_on(
        &self,
        event: Event,
        permit: &mut Option<OwnedSemaphorePermit>,
        heard: &mut Heard,
    ) -> Result<(), Ending> {
        let link = self.id;
        match event {
            Event::Text(text) => {
                trace!(target: "ocpp::wire", peer = %self.peer, text = &*shown(&text), "received");
                let Some(permit) = permit.take() else {
                    return Ok(()); // never: it is only read with a permit
                };
                self.tell(Field::Frame { link, text, permit }).await
            }
            Event::Binary(length) => {
                debug!(peer = %self.peer, length, "binary message ignored");
                Ok(())
            }
            Event::Ping if heard.ping.is_due() => {
                self.tell(Field::Heard { link, pong: false }).await
            }
            Event::Pong if heard.pong.is_due() => {
                self.tell(Field::Heard { link, pong: true }).await
            }
            Event::Sent | Event::Ping | Event::Pong => Ok(()),
            Event::Ended(end) => Err(Ending::Peer(end)),
        }
    }

    /// Tells the site; gives up when the site is gone, or the daemon stops and the site is busy.
    async fn tell(&self, event: Field) -> Result<(), Ending> {
        let too_late = async {
            self.cancel.cancelled().await;
            sleep(self.deadlines.goodbye).await;
        };
        select! {
            biased;
            sent = self.field.send(event) => sent.map_err(|_| Ending::GoingAway),
            () = too_late => Err(Ending::GoingAway),
        }
    }
}

impl Ending {
    /// What the peer is told, if it does not know.
    fn goodbye(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Peer(end) => end.code().map(|code| (code, "")),
            Self::Asked { code, reason } => Some((code, reason)),
            Self::Deaf => None,
            Self::GoingAway | Self::Dropped => Some((1001, "going away")),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(end) => end.fmt(f),
            Self::Asked { reason, .. } => f.write_str(reason),
            Self::Deaf => f.write_str("the peer does not read what it is sent"),
            Self::GoingAway => f.write_str(
                "chargewarden stops, begins anew with another configuration, or needs the place",
            ),
            Self::Dropped => f.write_str("chargewarden has dropped the connection"),
        }
    }
}

/// When the last ping and pong were passed on.
#[derive(Debug, Default)]
struct Heard {
    ping: Seldom,
    pong: Seldom,
}

#[derive(Debug, Default)]
struct Seldom(Option<Instant>);

impl Seldom {
    fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let due = self.0.is_none_or(|last| now - last >= HEARD);
        if due {
            self.0 = Some(now);
        }
        due
    }
}
