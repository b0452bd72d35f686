//! TLS for wallboxes: who we are, whom we let in, and what to say when it cannot work.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_rustls::StartHandshake;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{Accepted, Acceptor};
use tokio_rustls::rustls::{
    self, CipherSuite, HandshakeKind, ServerConfig, ServerConnection, SignatureAlgorithm,
};
use tokio_rustls::server::TlsStream;

use super::hello::Hello;
use crate::certificates::{
    Certificate, ClientVerifier, Distrust, Identity, IdentityError, Roots, distrust_in,
};

/// After each signature timers and links have a turn. The runtime counts milliseconds: no less lets
/// them run.
const BREATH: Duration = Duration::from_millis(1);

/// Why there is no TLS.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A certificate and its key are of no use.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The TLS library refuses.
    #[error("{0}")]
    Tls(rustls::Error),
}

/// Answers TLS handshakes. Another one resumes no session of this one.
#[derive(Debug, Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
    algorithm: SignatureAlgorithm,
    clients: Option<Arc<ClientVerifier>>,
    turn: Arc<Mutex<()>>,
}

impl TlsServer {
    /// Makes a server (TLS 1.2 and 1.3). With `clients`, each must present a certificate that is
    /// one of these or chains to one. Protocols of ALPN are neither asked for nor refused.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn new(identity: &Identity, clients: Option<Arc<Roots>>) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Tls)?;
        let clients = clients.map(|roots| Arc::new(ClientVerifier::new(roots)));
        let builder = match &clients {
            Some(clients) => builder.with_client_cert_verifier(clients.clone()),
            None => builder.with_no_client_auth(),
        };
        Ok(Self {
            config: Arc::new(builder.with_cert_resolver(identity.resolver())),
            algorithm: identity.algorithm(),
            clients,
            turn: Arc::default(),
        })
    }

    /// Makes a server of a PEM chain and its PEM key that asks for no certificates.
    ///
    /// # Errors
    /// When there is no certificate or key, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Self::new(&Identity::from_pem(chain, key)?, None)
    }

    /// Performs the handshake on a connection whose first byte is still unread.
    ///
    /// After a power cut all wallboxes come at once. Only one of them at a time is answered with a
    /// signature, which takes milliseconds, and then everybody else has their turn: timers too.
    ///
    /// # Errors
    /// When the client goes away, is not trusted, or speaks no TLS, or none that is spoken here.
    pub async fn accept<S>(&self, mut stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (accepted, hello) = first_words(&mut stream).await?;
        let start = StartHandshake::from_parts(accepted, stream);
        let turn = self.turn.lock().await;
        // This signs; the rest is waiting.
        let answer = start.into_stream(self.config.clone());
        sleep(BREATH).await;
        drop(turn);
        let accepted = answer.await;
        let stream = accepted.map_err(|error| self.failure(error, &hello))?;
        self.check_resumed(stream.get_ref().1)?;
        Ok(stream)
    }

    fn failure(&self, error: io::Error, hello: &Hello) -> HandshakeError {
        if let Some(why) = distrust_in(&error) {
            return HandshakeError::Distrusted(why.clone());
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::NoCertificatesPresented) => HandshakeError::NoCertificate,
            Some(rustls::Error::PeerIncompatible(_)) => {
                let rsa_helps = rsa_helps(hello, self.algorithm);
                HandshakeError::nothing_in_common(error, hello, rsa_helps)
            }
            _ => HandshakeError::Failed(error),
        }
    }

    /// A resumed session shows the certificate of its first handshake, and nobody has looked at it
    /// since: it may have ended.
    fn check_resumed(&self, session: &ServerConnection) -> Result<(), HandshakeError> {
        let (Some(clients), Some(HandshakeKind::Resumed)) =
            (&self.clients, session.handshake_kind())
        else {
            return Ok(());
        };
        let Some(now) = self.config.time_provider.current_time() else {
            return Ok(());
        };
        let chain = session.peer_certificates().unwrap_or_default();
        let Some((leaf, beside)) = chain.split_first() else {
            return Err(HandshakeError::NoCertificate);
        };
        let verified = clients.verify(leaf, beside, now);
        verified.map_err(HandshakeError::Distrusted)
    }
}

/// Whom the certificate of a client names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// Its subject, for the log.
    pub subject: String,
    /// Its common names and DNS names.
    pub names: Vec<String>,
}

impl ClientCertificate {
    /// What the client of this connection presented.
    pub fn of<S>(stream: &TlsStream<S>) -> Option<Self> {
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates()?.first()?;
        let certificate = Certificate::parse(leaf).ok()?;
        Some(Self {
            subject: certificate.subject(),
            names: certificate.names(),
        })
    }
}

/// Why a TLS handshake came to nothing.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// The client speaks a TLS that is not spoken here: static RSA, TLS 1.0, SSL.
    #[error("{error}")]
    NothingInCommon {
        /// In the words of the TLS library.
        error: io::Error,
        /// Which TLS it wants.
        version: &'static str,
        /// The names of the cipher suites it offered.
        offered: String,
        /// It could be served if our key were an RSA key.
        rsa_helps: bool,
    },
    /// The client presents no certificate, and must.
    #[error(
        "no certificate was presented, and client-ca demands one: give the wallbox a certificate \
         and its key"
    )]
    NoCertificate,
    /// The client presents a certificate that is not trusted.
    #[error(transparent)]
    Distrusted(Distrust),
    /// Anything else.
    #[error("{0}")]
    Failed(io::Error),
}

impl HandshakeError {
    fn nothing_in_common(error: io::Error, hello: &Hello, rsa_helps: bool) -> Self {
        Self::NothingInCommon {
            error,
            version: hello.version(),
            offered: hello.names(),
            rsa_helps,
        }
    }
}

/// What the installer can do, by whether another certificate of ours helps and `ws://` is open.
pub const fn advice(rsa_helps: bool, ws_is_open: bool) -> &'static str {
    match (rsa_helps, ws_is_open) {
        (true, true) => {
            "configure an RSA certificate (certificate, private-key), use ws:// or put a TLS proxy in front"
        }
        (true, false) => {
            "configure an RSA certificate (certificate, private-key) or put a TLS proxy in front"
        }
        (false, true) => "use ws:// or put a TLS proxy in front",
        (false, false) => "renew the firmware of the wallbox or put a TLS proxy in front",
    }
}

/// Whether a client could speak with us if our key were an RSA key.
fn rsa_helps(hello: &Hello, key: SignatureAlgorithm) -> bool {
    let spoken = ring::default_provider().cipher_suites;
    let is_spoken = |suite: &CipherSuite| {
        let is_rsa = suite
            .as_str()
            .is_some_and(|it| it.starts_with("TLS_ECDHE_RSA_"));
        is_rsa && spoken.iter().any(|it| it.suite() == *suite)
    };
    key != SignatureAlgorithm::RSA && hello.suites().iter().any(is_spoken)
}

/// Reads what the client says first. Tells it where that is nothing that can be answered.
async fn first_words<S>(stream: &mut S) -> Result<(Accepted, Hello), HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut acceptor = Acceptor::default();
    let mut read = Vec::new();
    loop {
        let known = read.len();
        if stream
            .read_buf(&mut read)
            .await
            .map_err(HandshakeError::Failed)?
            == 0
        {
            return Err(HandshakeError::Failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let mut new = read.get(known..).unwrap_or_default();
        while !new.is_empty() {
            acceptor
                .read_tls(&mut new)
                .map_err(HandshakeError::Failed)?;
        }
        match acceptor.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Ok((accepted, Hello::read(&read))),
            Err((error, mut alert)) => {
                let mut words = Vec::new();
                // Writing to a Vec cannot fail, and who has gone needs no answer.
                let _ = alert.write(&mut words);
                let _ = stream.write_all(&words).await;
                let _ = stream.flush().await;
                return Err(cannot_be_answered(error, &Hello::read(&read)));
            }
        }
    }
}

fn cannot_be_answered(error: rustls::Error, hello: &Hello) -> HandshakeError {
    let incompatible = matches!(error, rustls::Error::PeerIncompatible(_));
    let error = io::Error::new(io::ErrorKind::InvalidData, error);
    if incompatible {
        HandshakeError::nothing_in_common(error, hello, false)
    } else {
        HandshakeError::Failed(error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls_pki_types::{ServerName, UnixTime};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio_rustls::TlsConnector;
    use tokio_rustls::rustls::time_provider::TimeProvider;
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    use tokio_rustls::rustls::{ClientConfig, SupportedProtocolVersion};

    use super::*;
    use crate::certificates::{ServerVerifier, Trust};

    #[test]
    fn an_rsa_certificate_is_advised_where_it_helps() {
        let hello = |suite: u16| {
            let suite = suite.to_be_bytes();
            Hello::read(&[&[0; 9][..], &[3, 3], &[0; 33], &[0, 2], &suite].concat())
        };
        for (suite, key, helps) in [
            (0x009c, SignatureAlgorithm::ECDSA, false), // static RSA
            (0xc02f, SignatureAlgorithm::ECDSA, true),  // ECDHE_RSA with GCM
            (0xc02f, SignatureAlgorithm::RSA, false),
            (0xc027, SignatureAlgorithm::ECDSA, false), // ECDHE_RSA with CBC
        ] {
            assert_eq!(rsa_helps(&hello(suite), key), helps, "{suite:#x}");
        }
    }

    #[test]
    fn ws_is_advised_where_it_is_open() {
        for rsa_helps in [false, true] {
            for ws_is_open in [false, true] {
                let advice = advice(rsa_helps, ws_is_open);
                assert_eq!(advice.contains("use ws://"), ws_is_open);
                assert_eq!(advice.contains("RSA certificate"), rsa_helps);
            }
        }
    }

    /// Midnight, when the certificates of [`short_lived`] end.
    const END: u64 = 1_769_904_000;

    #[derive(Debug)]
    struct At(AtomicU64);

    impl TimeProvider for At {
        fn current_time(&self) -> Option<UnixTime> {
            let seconds = Duration::from_secs(self.0.load(Ordering::Relaxed));
            Some(UnixTime::since_unix_epoch(seconds))
        }
    }

    /// Valid until February 2026.
    fn short_lived() -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 2, 1);
        let made = params.self_signed(&key).unwrap().pem();
        Identity::from_pem(made.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    /// Lets in who shows this, and looks at the clock a minute before its end.
    fn server(own: &Identity, trusted: &Identity) -> (TlsServer, Arc<At>) {
        let trusted = Roots::new("client-ca", [trusted.chain()[0].clone()]);
        let mut server = TlsServer::new(own, Some(Arc::new(trusted))).unwrap();
        let clock = Arc::new(At(AtomicU64::new(END - 60)));
        Arc::make_mut(&mut server.config).time_provider = clock.clone();
        (server, clock)
    }

    /// A wallbox with this certificate that keeps its sessions.
    fn wallbox(version: &'static SupportedProtocolVersion, own: &Identity) -> TlsConnector {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(ServerVerifier::new(Trust::Anyone)))
            .with_client_cert_resolver(own.resolver());
        TlsConnector::from(Arc::new(config))
    }

    async fn call(
        wallbox: &TlsConnector,
        server: &TlsServer,
    ) -> Result<Option<HandshakeKind>, HandshakeError> {
        let (theirs, ours) = duplex(64 * 1024);
        let answer = async {
            let mut stream = server.accept(ours).await?;
            // With the first byte come the tickets of TLS 1.3.
            let _ = stream.write_u8(7).await;
            let _ = stream.flush().await;
            Ok(stream.get_ref().1.handshake_kind())
        };
        let ask = async {
            let name = ServerName::try_from("pi").unwrap();
            if let Ok(mut stream) = wallbox.connect(name, theirs).await {
                let _ = stream.read_u8().await;
            }
        };
        tokio::join!(answer, ask).0
    }

    #[tokio::test]
    async fn the_next_connection_resumes_the_session_unless_the_certificate_is_another() {
        let own = short_lived();
        for version in [&TLS12, &TLS13] {
            let wallbox = wallbox(version, &own);
            for _ in 0..2 {
                let (server, _) = server(&short_lived(), &own);
                for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                    let called = call(&wallbox, &server).await.unwrap();
                    assert_eq!(called, Some(kind), "{version:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_session_does_not_outlive_the_trust_in_its_wallbox() {
        let own = short_lived();
        for version in [&TLS12, &TLS13] {
            let wallbox = wallbox(version, &own);
            let pi = short_lived();
            let (before, _) = server(&pi, &own);
            for _ in 0..2 {
                call(&wallbox, &before).await.unwrap();
            }
            // The same certificate of ours, another client-ca.
            let (after, _) = server(&pi, &short_lived());
            let refused = call(&wallbox, &after).await;
            let refused = refused.expect_err("it is not trusted any more");
            assert!(
                matches!(refused, HandshakeError::Distrusted(_)),
                "{refused}"
            );
        }
    }

    #[tokio::test]
    async fn a_session_does_not_outlive_the_certificate_of_its_wallbox() {
        let own = short_lived();
        for version in [&TLS12, &TLS13] {
            let wallbox = wallbox(version, &own);
            let (server, clock) = server(&short_lived(), &own);
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                assert_eq!(call(&wallbox, &server).await.unwrap(), Some(kind));
            }
            clock.0.store(END + 60, Ordering::Relaxed);
            let refused = call(&wallbox, &server).await.expect_err("it has ended");
            assert!(
                refused.to_string().contains("ended on 2026-02-01"),
                "{refused}"
            );
        }
    }
}
