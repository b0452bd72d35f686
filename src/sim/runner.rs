//! Drives one simulated wallbox over a real WebSocket, by real clocks.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::select;
use tokio::time::{sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::dial::{DialError, Socket};
use super::wallbox::{Output, Wallbox};
use super::{Draws, Script, Target};
use crate::clock::{Mono, Now};
use crate::daemon::clock::Clock;
use crate::ids::ConnectorId;
use crate::units::PerPhase;

/// Before the first attempt to connect again; doubles with each.
const FIRST_REDIAL: Duration = Duration::from_secs(1);

/// Never longer than this between two attempts.
const LAST_REDIAL: Duration = Duration::from_secs(30);

/// A central system that does not read for this long is gone.
const WRITE: Duration = Duration::from_secs(10);

/// The state of the link to the central system.
enum Link {
    Down { redial_at: Mono },
    Dialling(Pin<Box<dyn Future<Output = Result<Socket, DialError>> + Send>>),
    Up(Box<Socket>),
}

enum Event {
    Up(Box<Socket>),
    Text(String),
    Down(String),
}

impl Link {
    /// The next thing that happens on it. Cancel-safe.
    async fn next(&mut self) -> Event {
        match self {
            Self::Down { .. } => pending().await,
            Self::Dialling(dial) => match dial.await {
                Ok(socket) => Event::Up(Box::new(socket)),
                Err(error) => Event::Down(error.to_string()),
            },
            Self::Up(socket) => loop {
                match socket.next().await {
                    Some(Ok(Message::Text(text))) => return Event::Text(text.to_string()),
                    Some(Ok(Message::Close(_))) | None => return Event::Down("closed".to_owned()),
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return Event::Down(error.to_string()),
                }
            },
        }
    }
}

struct Runner {
    wallbox: Wallbox,
    script: Script,
    target: Target,
    draws: Draws,
    clock: Clock,
    link: Link,
    redial: Duration,
    /// What was logged last of each connector.
    shown: BTreeMap<ConnectorId, String>,
}

/// Runs `wallbox` with the drivers of `script` until `stop`; connects again whenever the link is
/// gone. What a person would see at the wallbox is logged, and what its cars draw is told to
/// `draws`.
pub async fn run(
    wallbox: Wallbox,
    target: Target,
    script: Script,
    draws: Draws,
    stop: CancellationToken,
) {
    let mut runner = Runner {
        wallbox,
        script,
        target,
        draws,
        clock: Clock::start(),
        link: Link::Down {
            redial_at: Mono::START,
        },
        redial: FIRST_REDIAL,
        shown: BTreeMap::new(),
    };
    loop {
        runner.act().await;
        let wake = runner.poll_timeout().map(|at| runner.clock.instant(at));
        select! {
            () = stop.cancelled() => break,
            () = async { match wake {
                Some(at) => sleep_until(at).await,
                None => pending().await,
            } } => {}
            event = runner.link.next() => runner.handle(event),
        }
    }
    if let Link::Up(mut socket) = runner.link {
        // A central system that does not say goodbye in time is left without one.
        let _ = timeout(WRITE, socket.close()).await;
    }
}

impl Runner {
    /// Does what is due, and sends what came of it.
    async fn act(&mut self) {
        let now = self.clock.now();
        while let Some(act) = self.script.next_act(now.mono) {
            info!(charge_point = %self.wallbox.plan().id, ?act, "a driver");
            self.wallbox.perform(now, act);
        }
        if self.wallbox.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.wallbox.handle_timeout(now);
        }
        if let Link::Down { redial_at } = self.link
            && redial_at <= now.mono
            && self.wallbox.is_on()
        {
            self.link = Link::Dialling(Box::pin(self.target.clone().dial()));
        }
        while let Some(output) = self.wallbox.poll_output() {
            match output {
                Output::Send(text) => self.send(text).await,
                Output::Disconnect => self.hang_up("the wallbox restarts"),
            }
        }
        self.draw(now);
        self.show();
    }

    fn draw(&self, now: Now) {
        let plan = self.wallbox.plan();
        let mut sum = PerPhase::default();
        for number in 1..=plan.connectors {
            for (phase, current) in self.wallbox.drawn(ConnectorId(number), now).iter() {
                sum[phase] += current;
            }
        }
        self.draws.set(plan.id.as_str(), sum);
    }

    fn poll_timeout(&self) -> Option<Mono> {
        let redial = match self.link {
            Link::Down { redial_at } if self.wallbox.is_on() => Some(redial_at),
            _ => None,
        };
        let timers = [
            self.wallbox.poll_timeout(),
            self.script.poll_timeout(),
            redial,
        ];
        timers.into_iter().flatten().min()
    }

    fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Up(socket) => {
                self.link = Link::Up(socket);
                self.redial = FIRST_REDIAL;
                info!(charge_point = %self.wallbox.plan().id, "connected");
                self.wallbox.handle_connected(now);
            }
            Event::Text(text) => {
                let before = self.wallbox.violations().len();
                self.wallbox.handle_frame(now, &text);
                for violation in self.wallbox.violations().iter().skip(before) {
                    warn!(%violation, "the central system breaks a rule");
                }
            }
            Event::Down(why) => self.hang_up(&why),
        }
    }

    async fn send(&mut self, text: String) {
        let Link::Up(socket) = &mut self.link else {
            return;
        };
        let failed = match timeout(WRITE, socket.send(Message::text(text))).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the central system does not read".to_owned(),
        };
        self.hang_up(&failed);
    }

    fn hang_up(&mut self, why: &str) {
        let now = self.clock.now();
        warn!(charge_point = %self.wallbox.plan().id, why, "not connected");
        self.link = Link::Down {
            redial_at: now.mono + self.redial,
        };
        self.redial = (self.redial * 2).min(LAST_REDIAL);
        self.wallbox.handle_disconnected(now);
    }

    /// Logs what has changed at the connectors.
    fn show(&mut self) {
        let now = self.clock.now();
        for number in 1..=self.wallbox.plan().connectors {
            let connector = ConnectorId(number);
            let Some(status) = self.wallbox.status(connector) else {
                continue;
            };
            let allowed = self.wallbox.allowed(connector, now);
            let shown = format!("{status}, {allowed} A allowed");
            if self.shown.get(&connector) != Some(&shown) {
                let id = &self.wallbox.plan().id;
                info!(charge_point = %id, %connector, %status, allowed_a = %allowed, "connector");
                self.shown.insert(connector, shown);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::crypto::ring;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_tungstenite::accept_hdr_async;
    use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

    use super::*;
    use crate::clock::Random;
    use crate::sim::dial::Stream;
    use crate::sim::{Car, Visit, WallboxPlan};

    struct Server {
        listener: TcpListener,
        tls: Option<TlsAcceptor>,
    }

    impl Server {
        async fn new(tls: Option<TlsAcceptor>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            Self { listener, tls }
        }

        fn url(&self) -> String {
            let scheme = if self.tls.is_some() { "wss" } else { "ws" };
            format!("{scheme}://{}/ocpp", self.listener.local_addr().unwrap())
        }

        async fn accept(&self) -> Peer {
            let (tcp, _) = self.listener.accept().await.unwrap();
            let stream: Box<dyn Stream> = match &self.tls {
                Some(tls) => Box::new(tls.accept(tcp).await.unwrap()),
                None => Box::new(tcp),
            };
            let mut head = String::new();
            #[expect(clippy::result_large_err, reason = "tungstenite wants it so")]
            let upgrade = |request: &Request, mut response: Response| {
                head = format!("{} {:?}", request.uri(), request.headers());
                let protocol = request.headers()["sec-websocket-protocol"].clone();
                response
                    .headers_mut()
                    .insert("sec-websocket-protocol", protocol);
                Ok(response)
            };
            let socket = accept_hdr_async(stream, upgrade).await.unwrap();
            Peer { socket, head }
        }
    }

    struct Peer {
        socket: Socket,
        head: String,
    }

    impl Peer {
        /// Answers CALLs until one of `action` comes.
        async fn serve_until(&mut self, action: &str) {
            loop {
                let text = self
                    .socket
                    .next()
                    .await
                    .unwrap()
                    .unwrap()
                    .into_text()
                    .unwrap();
                let frame: Vec<Value> = serde_json::from_str(&text).unwrap();
                let time = "2026-01-15T10:00:00Z";
                let answer = match frame[2].as_str().unwrap() {
                    "BootNotification" => {
                        json!({"status": "Accepted", "currentTime": time, "interval": 300})
                    }
                    "Authorize" => json!({"idTagInfo": {"status": "Accepted"}}),
                    _ => json!({}),
                };
                let answer = json!([3, frame[1], answer]).to_string();
                self.socket.send(Message::text(answer)).await.unwrap();
                if frame[2] == action {
                    return;
                }
            }
        }
    }

    fn start(server: &Server) -> CancellationToken {
        let stop = CancellationToken::new();
        let plan = WallboxPlan::new("CB 1");
        let target = Target::new(&server.url(), &plan.id, Some("secret")).unwrap();
        let visit = Visit {
            after: Duration::ZERO,
            stays: None,
            car: Car::default(),
            tag: "TAG".into(),
        };
        let script = Script::once(ConnectorId(1), visit);
        let wallbox = Wallbox::new(plan, Random::new(1));
        #[expect(clippy::disallowed_methods, reason = "no shutdown waits for a test")]
        tokio::spawn(run(wallbox, target, script, Draws::default(), stop.clone()));
        stop
    }

    #[tokio::test]
    async fn it_connects_boots_charges_and_comes_back_when_the_link_is_gone() {
        let server = Server::new(None).await;
        let stop = start(&server);
        let mut peer = server.accept().await;
        assert!(peer.head.starts_with("/ocpp/CB%201 "), "{}", peer.head);
        assert!(peer.head.contains("ocpp1.6"), "{}", peer.head);
        peer.serve_until("StartTransaction").await;
        drop(peer);
        let mut peer = server.accept().await;
        peer.serve_until("BootNotification").await;
        stop.cancel();
        loop {
            let message = peer.socket.next().await;
            if matches!(message, None | Some(Ok(Message::Close(_)))) {
                break;
            }
        }
    }

    #[tokio::test]
    async fn it_trusts_any_certificate() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(vec!["elsewhere".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::Pkcs8(key.serialize_der().into()),
            )
            .unwrap();
        let server = Server::new(Some(TlsAcceptor::from(Arc::new(config)))).await;
        let stop = start(&server);
        server.accept().await.serve_until("BootNotification").await;
        stop.cancel();
    }
}
