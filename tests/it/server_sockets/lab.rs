//! A listener with a dummy in place of the site, and raw clients that can misbehave.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chargewarden::daemon::field::{Field, ToLink};
use chargewarden::daemon::link::LinkIds;
use chargewarden::daemon::listener::{Deadlines, Listener, Settings, Tls};
use chargewarden::daemon::log_keeper::LogKeeper;
use chargewarden::ids::{ChargeBoxId, LinkId};
use chargewarden::net::directory::{Directory, Password};
use chargewarden::net::tls::TlsServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing_subscriber::layer::SubscriberExt as _;

pub(crate) const PASSWORD: &str = "correct horse battery";
pub(crate) const MAX_MESSAGE: usize = 64 * 1024;

/// Short enough for a test to wait for, long enough for a busy machine.
pub(crate) const DEADLINES: Deadlines = Deadlines {
    first_byte: Duration::from_millis(300),
    tls: Duration::from_millis(500),
    upgrade: Duration::from_millis(500),
    write: Duration::from_millis(500),
    goodbye: Duration::from_millis(500),
};

/// Fails a test that waits for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let waited = timeout(Duration::from_secs(10), future).await;
    waited.unwrap_or_else(|_| panic!("waited too long for {what}"))
}

pub(crate) struct Lab {
    pub(crate) port: u16,
    pub(crate) field: mpsc::Receiver<Field>,
    pub(crate) cancel: CancellationToken,
    pub(crate) tasks: TaskTracker,
    pub(crate) links: LinkIds,
    settings: watch::Sender<Settings>,
}

/// A link that came up.
pub(crate) struct UpLink {
    pub(crate) link: LinkId,
    pub(crate) address: String,
    pub(crate) peer: SocketAddr,
    pub(crate) outbox: mpsc::Sender<ToLink>,
}

pub(crate) fn v1_certificate() -> TlsServer {
    let certificate = include_bytes!("../fixtures/v1.crt");
    TlsServer::from_pem(certificate, include_bytes!("../fixtures/v1.key")).unwrap()
}

/// A server on loopback that knows CB-1 to CB-3 without and "locked" with a password.
pub(crate) fn settings(port: u16) -> Settings {
    let locked = Some(Password::new(PASSWORD));
    let directory = Directory {
        known: [
            (ChargeBoxId::from("CB-1"), None),
            (ChargeBoxId::from("CB-2"), None),
            (ChargeBoxId::from("CB-3"), None),
            (ChargeBoxId::from("locked"), locked),
        ]
        .into(),
        ..Directory::default()
    };
    Settings {
        address: Ipv4Addr::LOCALHOST.into(),
        port,
        tls: Tls::Off,
        directory: Arc::new(directory),
        max_connections: 1024,
        max_message_size: MAX_MESSAGE,
        deadlines: DEADLINES,
    }
}

impl Lab {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with_tls(tls: Tls) -> Self {
        Self::with(|settings| settings.tls = tls)
    }

    pub(crate) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(0);
        change(&mut settings);
        let listener = Listener::bind(settings).unwrap();
        let (events, field) = mpsc::channel(64);
        let lab = Self {
            port: listener.local_port(),
            field,
            cancel: CancellationToken::new(),
            tasks: TaskTracker::new(),
            links: listener.links(),
            settings: listener.settings(),
        };
        let run = listener.run(events, lab.tasks.clone(), lab.cancel.clone());
        lab.tasks.spawn(run);
        lab
    }

    /// New settings for the connections to come.
    pub(crate) fn retune(&self, change: impl FnOnce(&mut Settings)) {
        self.settings.send_modify(change);
    }

    pub(crate) async fn tcp(&self) -> Client<TcpStream> {
        let address = (Ipv4Addr::LOCALHOST, self.port);
        Client(
            soon("a connection", TcpStream::connect(address))
                .await
                .unwrap(),
        )
    }

    /// A connection that comes from another address of this machine.
    pub(crate) async fn tcp_from(&self, address: IpAddr) -> io::Result<Client<TcpStream>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::new(address, 0))?;
        let there = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), self.port);
        socket.connect(there).await.map(Client)
    }

    /// A wallbox that passed the upgrade, and its link.
    pub(crate) async fn wallbox(&mut self, id: &str) -> (Client<TcpStream>, UpLink) {
        let mut client = self.tcp().await;
        client.upgrade(id).await;
        (client, self.up().await)
    }

    pub(crate) async fn event(&mut self) -> Field {
        soon("an event", self.field.recv())
            .await
            .expect("the listener lives")
    }

    pub(crate) async fn up(&mut self) -> UpLink {
        match self.event().await {
            Field::Up {
                link,
                address,
                peer,
                outbox,
            } => UpLink {
                link,
                address: address.as_str().to_owned(),
                peer,
                outbox,
            },
            other => panic!("expected Up, saw {other:?}"),
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

    /// The proof that nobody else suffers: a wallbox connects and is heard.
    pub(crate) async fn still_serves(&mut self, id: &str) {
        let (mut wallbox, up) = self.wallbox(id).await;
        wallbox.send_text("still there?").await;
        assert_eq!(self.text().await, (up.link, "still there?".into()));
        up.outbox.send(ToLink::Text("yes".into())).await.unwrap();
        assert_eq!(wallbox.frame().await, Frame::text("yes"));
        wallbox.send(8, &1000u16.to_be_bytes()).await;
        assert_eq!(self.down().await, up.link);
    }
}

/// A WebSocket frame as the server sent it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(text: &str) -> Self {
        Self {
            opcode: 1,
            payload: text.as_bytes().to_vec(),
        }
    }

    pub(crate) fn close_code(&self) -> u16 {
        assert_eq!(self.opcode, 8, "{self:?}");
        u16::from_be_bytes([self.payload[0], self.payload[1]])
    }
}

/// An HTTP answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
}

pub(crate) struct Client<S>(pub(crate) S);

impl<S: AsyncReadExt + AsyncWriteExt + Unpin> Client<S> {
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        soon("a write", self.0.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, path: &str, more: &str) -> Answer {
        self.write(request(path, more).as_bytes()).await;
        self.answer().await
    }

    pub(crate) async fn upgrade(&mut self, id: &str) {
        let answer = self.ask(&format!("/{id}"), PROTOCOL).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert!(answer.head.contains("Sec-WebSocket-Protocol: ocpp1.6\r\n"));
    }

    pub(crate) async fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(soon("an answer", self.0.read_u8()).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head }
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(1, text.as_bytes()).await;
    }

    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        self.write(&frame(opcode, payload)).await;
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        soon("a frame", async {
            let opcode = self.0.read_u8().await.unwrap() & 0x0f;
            let length = match self.0.read_u8().await.unwrap() {
                126 => usize::from(self.0.read_u16().await.unwrap()),
                127 => usize::try_from(self.0.read_u64().await.unwrap()).unwrap(),
                short => usize::from(short),
            };
            let mut payload = vec![0; length];
            self.0.read_exact(&mut payload).await.unwrap();
            Frame { opcode, payload }
        })
        .await
    }

    /// Everything until the server ends the connection, however it does.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = soon("the end", self.0.read_to_end(&mut rest)).await;
        rest
    }
}

pub(crate) const PROTOCOL: &str = "Sec-WebSocket-Protocol: ocpp1.6\r\n";

pub(crate) fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// A whole masked frame; the mask is zero, so that the payload stays readable.
pub(crate) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(0x80 | opcode, payload.len());
    frame.extend_from_slice(payload);
    frame
}

/// The header of a masked frame.
pub(crate) fn header(first: u8, length: usize) -> Vec<u8> {
    let mut header = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length @ ..=125), _) => header.push(0x80 | length),
        (_, Ok(length)) => {
            header.push(0x80 | 0x7e);
            header.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            header.push(0x80 | 0x7f);
            header.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    header.extend_from_slice(&[0; 4]);
    header
}

/// Catches what is logged on this thread as long as it lives.
pub(crate) struct Log {
    text: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
    _second: tracing::Dispatch,
}

impl Log {
    pub(crate) fn catch() -> Self {
        let text = Arc::new(Mutex::new(Vec::new()));
        // As long as there is a single subscriber, tracing asks that of the thread which comes by
        // an event first, whether the event is of interest to anybody, for ever.
        let second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(Mutex::new(Tee(text.clone())))
            .finish()
            .with(LogKeeper::default());
        let guard = tracing::subscriber::set_default(subscriber);
        Self {
            text,
            _guard: guard,
            _second: second,
        }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }
}

struct Tee(Arc<Mutex<Vec<u8>>>);

impl io::Write for Tee {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
