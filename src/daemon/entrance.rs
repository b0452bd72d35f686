//! What a new connection passes through: TLS or not, the upgrade, then it is a link.
//!
//! Whatever a client does costs nothing but its own connection: every step has a deadline, every
//! buffer a bound, and every address a share.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::admission::Ticket;
use super::field::{Field, ToLink};
use super::guesses::Guesses;
use super::link::{Ending, Link, LinkIds, Peer};
use super::listener::{Settings, Tls};
use super::rate_limited::{Kind, RateLimited};
use crate::ids::{ChargeBoxId, LinkId};
use crate::net::handshake::{Oddity, Progress, Refusal, Verdict, judge, read_head};
use crate::net::tls::{ClientCertificate, HandshakeError, TlsServer, advice};
use crate::net::transport::Transport;
use crate::net::websocket::{WebSocket, drain};

/// The first byte of a TLS record that holds a handshake.
const TLS_HANDSHAKE: u8 = 0x16;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Entrance {
    settings: Settings,
    field: mpsc::Sender<Field>,
    cancel: CancellationToken,
    links: LinkIds,
    said: Arc<RateLimited>,
    guesses: Arc<Guesses>,
}

/// A connection, with TLS or without.
struct Secured {
    transport: Transport,
    /// What the client presented.
    certificate: Option<ClientCertificate>,
}

/// A request that arrived, and how it was judged.
struct Judged {
    transport: Transport,
    verdict: Verdict,
    /// What was read beyond the request.
    early: Vec<u8>,
}

/// Which wallbox it is, and where it comes from.
struct Wallbox {
    address: ChargeBoxId,
    peer: SocketAddr,
    /// The subject of its certificate.
    certificate: Option<String>,
}

/// A connection that passed the upgrade.
struct Guest {
    address: ChargeBoxId,
    unknown: bool,
    certificate: Option<String>,
    socket: WebSocket<Transport>,
}

impl Entrance {
    pub(super) fn new(
        settings: Settings,
        field: mpsc::Sender<Field>,
        cancel: CancellationToken,
        links: LinkIds,
    ) -> Self {
        Self {
            settings,
            field,
            cancel,
            links,
            said: Arc::default(),
            guesses: Arc::default(),
        }
    }

    /// The same with new settings. What was said stays said, and what was guessed stays counted where
    /// the password is the same.
    pub(super) fn with(&self, settings: Settings) -> Self {
        let (old, new) = (&self.settings.directory, &settings.directory);
        self.guesses.keep(|id| {
            let passwords = (old.password_of(id), new.password_of(id));
            matches!(passwords, (Some(old), Some(new)) if old.is(new))
        });
        Self {
            settings,
            field: self.field.clone(),
            cancel: self.cancel.clone(),
            links: self.links.clone(),
            said: self.said.clone(),
            guesses: self.guesses.clone(),
        }
    }

    /// One connection from its first byte to its last.
    pub(super) async fn serve(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut ticket: Ticket,
    ) {
        // On the heap, because it is large and gone when the link begins.
        let Some(guest) = Box::pin(self.let_in(stream, peer, ticket.end())).await else {
            return;
        };
        ticket.identified(!guest.unknown);
        let link = Link {
            id: self.links.next(),
            peer: Wallbox {
                address: guest.address,
                peer,
                certificate: guest.certificate,
            },
            field: self.field.clone(),
            cancel: ticket.end().clone(),
            deadlines: self.settings.deadlines,
        };
        link.run(guest.socket).await;
    }

    /// Opens a connection, unless it must go before.
    async fn let_in(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        end: &CancellationToken,
    ) -> Option<Guest> {
        let opened = end.run_until_cancelled(self.open(stream, peer)).await;
        if opened.is_none() && !self.cancel.is_cancelled() {
            let why = "it is too slow while others are waiting";
            self.refused(Kind::Connection, peer, &why);
        }
        opened.flatten()
    }

    /// Says that a connection was not let in, and why.
    pub(super) fn refused(&self, kind: Kind, peer: SocketAddr, why: &dyn Display) {
        if self.may_say(kind, peer.ip(), &why.to_string()) {
            warn!(%peer, %why, "refused");
        }
    }

    /// May this line about this peer go into the log?
    pub(super) fn may_say(&self, kind: Kind, peer: IpAddr, line: &str) -> bool {
        self.said.allows(kind, peer, line)
    }

    async fn open(&self, stream: TcpStream, peer: SocketAddr) -> Option<Guest> {
        // Without it frames wait for each other's acknowledgement; it still works, only slower.
        let _ = stream.set_nodelay(true);
        let Secured {
            transport,
            certificate,
        } = self.secure(stream, peer).await?;
        let names = certificate.as_ref().map(|it| it.names.as_slice());
        let request = timeout(
            self.settings.deadlines.upgrade,
            self.read_request(transport, names),
        );
        let Ok(Some(judged)) = request.await else {
            debug!(%peer, "gone or too slow before its request was complete");
            return None;
        };
        match self.throttle(peer, judged.verdict) {
            Verdict::Accept {
                address,
                unknown,
                response,
                warnings,
            } => {
                if unknown {
                    self.show_unknown(address.as_str(), peer);
                    if self.may_say(Kind::Unknown, peer.ip(), address.as_str()) {
                        warn!(charge_point = %address, %peer, "a wallbox is in no [[evse]]");
                    }
                }
                for oddity in warnings {
                    self.odd(&address, peer, oddity);
                }
                let socket = self
                    .switch(judged.transport, judged.early, &response)
                    .await?;
                Some(Guest {
                    address,
                    unknown,
                    certificate: certificate.map(|it| it.subject),
                    socket,
                })
            }
            Verdict::AcceptThenClose {
                response,
                code,
                why,
                address: _,
            } => {
                self.refused(Kind::Request, peer, &why);
                let socket = self
                    .switch(judged.transport, judged.early, &response)
                    .await?;
                let goodbye = socket.close(Some((code, "only ocpp1.6 is spoken here")));
                let _ = timeout(self.settings.deadlines.goodbye, goodbye).await;
                None
            }
            Verdict::Refuse { response, why } => {
                self.turned_away(peer, &why);
                self.answer(judged.transport, &response).await;
                None
            }
        }
    }

    /// Says who was turned away, and why.
    fn turned_away(&self, peer: SocketAddr, why: &Refusal) {
        let (kind, id) = match why {
            Refusal::UnknownId(id) => {
                self.show_unknown(id, peer);
                (Kind::Unknown, id.as_str())
            }
            Refusal::WrongPassword(id) if self.settings.directory.known.contains_key(id) => {
                (Kind::Password, id.as_str())
            }
            Refusal::WrongPassword(id) | Refusal::TooManyGuesses(id) => {
                (Kind::Request, id.as_str())
            }
            _ => return self.refused(Kind::Request, peer, why),
        };
        if self.may_say(kind, peer.ip(), &format!("{id}: {why}")) {
            warn!(charge_point = id, %peer, %why, "refused");
        }
    }

    /// Lets nobody go on guessing passwords.
    fn throttle(&self, peer: SocketAddr, verdict: Verdict) -> Verdict {
        let directory = &self.settings.directory;
        let (id, right) = match &verdict {
            Verdict::Refuse {
                why: Refusal::WrongPassword(id),
                ..
            } => (id, false),
            Verdict::Accept { address, .. } | Verdict::AcceptThenClose { address, .. }
                if directory.password_of(address).is_some() =>
            {
                (address, true)
            }
            Verdict::Accept { .. } | Verdict::AcceptThenClose { .. } | Verdict::Refuse { .. } => {
                return verdict;
            }
        };
        // All that are unknown share a password, so they share the guesses.
        let stranger = ChargeBoxId::from("");
        let is_known = directory.known.contains_key(id);
        let guessed = if is_known { id } else { &stranger };
        if self.guesses.hears(peer.ip(), guessed, right) {
            return verdict;
        }
        let why = Refusal::TooManyGuesses(id.clone());
        let response = why.response();
        Verdict::Refuse { response, why }
    }

    /// Tells TLS from plain HTTP by the first byte.
    async fn secure(&self, stream: TcpStream, peer: SocketAddr) -> Option<Secured> {
        let mut first = [0];
        let peeked = timeout(self.settings.deadlines.first_byte, stream.peek(&mut first)).await;
        if !matches!(peeked, Ok(Ok(1))) {
            debug!(%peer, "gone or silent");
            return None;
        }
        match (&self.settings.tls, first == [TLS_HANDSHAKE]) {
            (Tls::Off | Tls::Detect(_), false) => Some(Secured {
                transport: Transport::Plain(stream),
                certificate: None,
            }),
            (Tls::Detect(server) | Tls::On(server), true) => {
                self.handshake(server, stream, peer).await
            }
            (Tls::On(_), false) => {
                self.refused(Kind::Request, peer, &Refusal::TlsOnly);
                self.answer(Transport::Plain(stream), &Refusal::TlsOnly.response())
                    .await;
                None
            }
            (Tls::Off, true) => {
                self.refused(Kind::Tls, peer, &"only ws:// is spoken on this port");
                None
            }
        }
    }

    async fn handshake(
        &self,
        server: &TlsServer,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Option<Secured> {
        let handshake = timeout(self.settings.deadlines.tls, server.accept(stream));
        match Box::pin(handshake).await {
            Ok(Ok(stream)) => Some(Secured {
                certificate: ClientCertificate::of(&stream),
                transport: Transport::Tls(Box::new(stream.into())),
            }),
            Ok(Err(why @ (HandshakeError::NoCertificate | HandshakeError::Distrusted(_)))) => {
                self.refused(Kind::Tls, peer, &why);
                None
            }
            Ok(Err(HandshakeError::NothingInCommon {
                error,
                version,
                offered,
                rsa_helps,
            })) => {
                let ws_is_open = matches!(self.settings.tls, Tls::Detect(_));
                let advice = advice(rsa_helps, ws_is_open);
                if self.may_say(Kind::Tls, peer.ip(), advice) {
                    warn!(%peer, %error, version, offered, advice, "TLS handshake impossible");
                }
                None
            }
            Ok(Err(HandshakeError::Failed(error))) => {
                if self.may_say(Kind::Tls, peer.ip(), "TLS") {
                    warn!(%peer, %error, "TLS handshake ended early");
                }
                None
            }
            Err(_) => {
                debug!(%peer, "too slow in the TLS handshake");
                None
            }
        }
    }

    /// Reads a request head and judges it; `None` if the peer goes first.
    async fn read_request(
        &self,
        mut transport: Transport,
        certificate: Option<&[String]>,
    ) -> Option<Judged> {
        let mut head = Vec::with_capacity(1024);
        loop {
            if matches!(transport.read_buf(&mut head).await, Ok(0) | Err(_)) {
                return None;
            }
            let (verdict, early) = match read_head(&head) {
                Progress::Incomplete => continue,
                Progress::Complete(length) => {
                    let early = head.split_off(length);
                    let directory = &self.settings.directory;
                    (judge(&head, directory, certificate), early)
                }
                Progress::TooLarge => {
                    let why = Refusal::TooLarge;
                    let response = why.response();
                    (Verdict::Refuse { response, why }, Vec::new())
                }
            };
            return Some(Judged {
                transport,
                verdict,
                early,
            });
        }
    }

    /// Answers the upgrade: from here on it is a WebSocket.
    async fn switch(
        &self,
        mut transport: Transport,
        early: Vec<u8>,
        response: &[u8],
    ) -> Option<WebSocket<Transport>> {
        let answer = async {
            transport.write_all(response).await?;
            transport.flush().await
        };
        let answered = timeout(self.settings.deadlines.upgrade, answer).await;
        answered.ok()?.ok()?;
        Some(WebSocket::server(transport, early, self.settings.max_message_size).await)
    }

    /// Writes a last answer and waits shortly until the peer has it.
    async fn answer(&self, mut transport: Transport, response: &[u8]) {
        let _ = timeout(self.settings.deadlines.goodbye, async {
            if transport.write_all(response).await.is_ok() {
                drain(&mut transport).await;
            }
        })
        .await;
    }

    /// Shows it in the status, if the site has time for it.
    fn show_unknown(&self, id: &str, peer: SocketAddr) {
        let address = id.to_owned();
        let _ = self.field.try_send(Field::Unknown { address, peer });
    }

    fn odd(&self, address: &ChargeBoxId, peer: SocketAddr, oddity: Oddity) {
        let line = format!("{address} {oddity}");
        if self.may_say(Kind::Oddity, peer.ip(), &line) {
            warn!(charge_point = %address, %peer, %oddity, "odd upgrade request");
        }
    }
}

impl Peer for Wallbox {
    fn up(&self, link: LinkId, outbox: mpsc::Sender<ToLink>) -> Field {
        Field::Up {
            link,
            address: self.address.clone(),
            peer: self.peer,
            outbox,
        }
    }

    fn log_up(&self, link: LinkId) {
        info!(
            charge_point = %self.address,
            peer = %self.peer,
            %link,
            certificate = self.certificate,
            "connected"
        );
    }

    fn log_down(&self, link: LinkId, ending: &Ending) {
        info!(charge_point = %self.address, peer = %self.peer, %link, %ending, "disconnected");
    }
}

impl Display for Wallbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;
    use tokio::time::Instant;

    use super::*;
    use crate::daemon::admission::Admission;
    use crate::daemon::listener::Deadlines;

    #[tokio::test]
    async fn the_task_of_a_connection_is_small_because_there_may_be_a_thousand() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let peer = listener.local_addr().unwrap();
        let stream = TcpStream::connect(peer).await.unwrap();
        let admission = Admission::new(1, CancellationToken::new());
        let ticket = admission.admit(peer.ip(), Instant::now()).unwrap();
        let settings = Settings {
            address: peer.ip(),
            port: 0,
            tls: Tls::Off,
            directory: Arc::default(),
            max_connections: 1,
            max_message_size: 1,
            deadlines: Deadlines::default(),
        };
        let (field, _events) = mpsc::channel(1);
        let entrance = Entrance::new(
            settings,
            field,
            CancellationToken::new(),
            LinkIds::default(),
        );
        let task = Arc::new(entrance).serve(stream, peer, ticket);
        assert!(size_of_val(&task) <= 3 * 1024, "{}", size_of_val(&task));
    }
}
