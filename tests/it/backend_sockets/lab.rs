//! A backend written by hand that can misbehave, and diallers with a dummy in place of the site.

use std::net::Ipv4Addr;
use std::time::Duration;

use chargewarden::certificates::Trust;
use chargewarden::daemon::dialler::{Backend, Diallers};
use chargewarden::daemon::field::{Field, ToLink};
use chargewarden::daemon::link::LinkIds;
use chargewarden::daemon::listener::Deadlines;
use chargewarden::gateway::DialFailure;
use chargewarden::gateway::keys::Credential;
use chargewarden::gateway::security::Login;
use chargewarden::ids::{GatewayId, LinkId};
use chargewarden::net::client::{Target, TlsClient};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::server_sockets::lab::soon;

pub(crate) const GATEWAY: GatewayId = GatewayId(0);
pub(crate) const PROTOCOL: &str = "Sec-WebSocket-Protocol: ocpp1.6\r\n";

/// A listening socket whose answers the test writes.
pub(crate) struct Server(TcpListener);

/// Somebody who called.
pub(crate) struct Call<S> {
    pub(crate) request: String,
    pub(crate) stream: S,
}

impl Server {
    pub(crate) async fn new() -> Self {
        Self(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap())
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://127.0.0.1:{}/ocpp", self.port())
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        soon("a call", self.0.accept()).await.unwrap().0
    }

    pub(crate) async fn call(&self) -> Call<TcpStream> {
        Call::read(self.tcp().await).await
    }

    /// Takes one call, writes this as its answer and ends the connection; gives the request.
    pub(crate) async fn answer(&self, answer: &str) -> String {
        let mut call = self.call().await;
        call.stream.write_all(answer.as_bytes()).await.unwrap();
        call.request
    }

    /// Waits for a call, and hangs up.
    pub(crate) async fn is_called(&self) {
        self.0.accept().await.unwrap();
    }

    /// Whether nobody calls any more.
    pub(crate) async fn is_left_alone(&self) -> bool {
        let call = timeout(Duration::from_millis(50), self.0.accept());
        call.await.is_err()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Call<S> {
    pub(crate) async fn read(mut stream: S) -> Self {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(soon("a request", stream.read_u8()).await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        Self { request, stream }
    }

    pub(crate) fn accept(&self) -> String {
        derive_accept_key(header(&self.request, "Sec-WebSocket-Key").as_bytes())
    }

    /// Switches to a WebSocket; `more` are lines of the answer, and `early` comes in one piece
    /// with it.
    pub(crate) async fn upgrade(mut self, more: &str, early: &[u8]) -> WebSocketStream<S> {
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {}\r\n{more}\r\n",
            self.accept()
        );
        let answer = [answer.as_bytes(), early].concat();
        self.stream.write_all(&answer).await.unwrap();
        self.stream.flush().await.unwrap();
        // Refuses frames that are not masked.
        WebSocketStream::from_raw_socket(self.stream, Role::Server, None).await
    }
}

/// The value of a header of a request.
pub(crate) fn header<'a>(request: &'a str, name: &str) -> &'a str {
    let line = request.lines().find(|line| line.starts_with(name));
    line.unwrap_or_default()
        .trim_start_matches(name)
        .trim_start_matches(": ")
}

/// Diallers, and what they tell.
pub(crate) struct Lab {
    pub(crate) diallers: Diallers,
    password: Option<Credential>,
    pub(crate) field: mpsc::Receiver<Field>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

/// A backend that was reached.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) id: LinkId,
    pub(crate) outbox: mpsc::Sender<ToLink>,
    pub(crate) protocol_missing: bool,
}

pub(crate) fn backend(url: &str) -> Backend {
    Backend {
        target: Target::new(url, "CB-1", true).unwrap(),
        tls: TlsClient::new(Trust::Anyone, None).unwrap(),
    }
}

impl Lab {
    pub(crate) fn new(url: &str) -> Self {
        Self::with(vec![backend(url)], Duration::from_secs(9))
    }

    pub(crate) fn with_password(url: &str, password: &str) -> Self {
        let mut lab = Self::new(url);
        lab.password = Some(Credential::new(password.as_bytes()));
        lab
    }

    pub(crate) fn with(backends: Vec<Backend>, patience: Duration) -> Self {
        let deadlines = Deadlines {
            upgrade: patience,
            ..Deadlines::default()
        };
        let (told, field) = mpsc::channel(64);
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let links = LinkIds::default();
        Self {
            diallers: Diallers::new(backends, &told, &tasks, &cancel, deadlines, &links),
            password: None,
            field,
            cancel,
            tasks,
        }
    }

    pub(crate) fn dial(&self) {
        let password = self.password.clone();
        let login = Login {
            password,
            ..Login::default()
        };
        self.diallers.dial(GATEWAY, login);
    }

    pub(crate) async fn event(&mut self) -> Field {
        let event = soon("an event", self.field.recv()).await;
        event.expect("the diallers live")
    }

    pub(crate) async fn dialled(&mut self) -> Link {
        match self.event().await {
            Field::Dialled {
                link,
                outbox,
                protocol_missing,
                ..
            } => Link {
                id: link,
                outbox,
                protocol_missing,
            },
            other => panic!("expected Dialled, saw {other:?}"),
        }
    }

    pub(crate) async fn failed(&mut self) -> DialFailure {
        match self.event().await {
            Field::DialFailed { gateway, why, .. } => {
                assert_eq!(gateway, GATEWAY);
                why
            }
            other => panic!("expected DialFailed, saw {other:?}"),
        }
    }

    pub(crate) async fn text(&mut self) -> (LinkId, String) {
        match self.event().await {
            Field::Frame { link, text, .. } => (link, text),
            other => panic!("expected a frame, saw {other:?}"),
        }
    }

    pub(crate) async fn down(&mut self) -> LinkId {
        match self.event().await {
            Field::Down { link } => link,
            other => panic!("expected Down, saw {other:?}"),
        }
    }
}
