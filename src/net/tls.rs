//! TLS for wallboxes: who we are, whom we let in, and what to say when it cannot work.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::Acceptor;
use tokio_rustls::rustls::{
    self, CipherSuite, HandshakeKind, ServerConfig, ServerConnection, SignatureAlgorithm,
};
use tokio_rustls::server::TlsStream;

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
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(HandshakeError::Failed)?;
        let suites = start.client_hello().cipher_suites().to_vec();
        let turn = self.turn.lock().await;
        // This signs; the rest is waiting.
        let answer = start.into_stream(self.config.clone());
        sleep(BREATH).await;
        drop(turn);
        let accepted = answer.await;
        let stream = accepted.map_err(|error| self.failure(error, &suites))?;
        self.check_resumed(stream.get_ref().1)?;
        Ok(stream)
    }

    fn failure(&self, error: io::Error, suites: &[CipherSuite]) -> HandshakeError {
        if let Some(why) = distrust_in(&error) {
            return HandshakeError::Distrusted(why.clone());
        }
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(rustls::Error::NoCertificatesPresented) => HandshakeError::NoCertificate,
            Some(rustls::Error::PeerIncompatible(_)) => HandshakeError::NothingInCommon {
                error,
                offered: names(suites),
                advice: advice(suites, self.algorithm),
            },
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
        /// The names of the cipher suites it offered.
        offered: String,
        /// What the installer can do about it.
        advice: &'static str,
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

fn names(suites: &[CipherSuite]) -> String {
    let mut text = String::new();
    for suite in suites {
        let comma = if text.is_empty() { "" } else { ", " };
        // Writing to a String cannot fail.
        let _ = match suite.as_str() {
            Some(name) => write!(text, "{comma}{name}"),
            None => write!(text, "{comma}{:#06x}", u16::from(*suite)),
        };
    }
    text
}

fn advice(suites: &[CipherSuite], key: SignatureAlgorithm) -> &'static str {
    let wants_rsa = suites
        .iter()
        .filter_map(CipherSuite::as_str)
        .any(|name| name.starts_with("TLS_ECDHE_RSA_"));
    if wants_rsa && key != SignatureAlgorithm::RSA {
        "configure an RSA certificate (certificate, private-key), use ws:// or put a TLS proxy in front"
    } else {
        "use ws:// or put a TLS proxy in front"
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
    fn suites_are_named_as_the_standard_names_them() {
        let suites = [
            CipherSuite::TLS_RSA_WITH_AES_128_CBC_SHA,
            CipherSuite::Unknown(0x7a7a),
        ];
        assert_eq!(names(&suites), "TLS_RSA_WITH_AES_128_CBC_SHA, 0x7a7a");
    }

    #[test]
    fn the_advice_fits_what_was_offered() {
        let static_rsa = [CipherSuite::TLS_RSA_WITH_AES_128_GCM_SHA256];
        let ecdhe_rsa = [CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
        for (suites, key, rsa) in [
            (&static_rsa, SignatureAlgorithm::ECDSA, false),
            (&ecdhe_rsa, SignatureAlgorithm::ECDSA, true),
            (&ecdhe_rsa, SignatureAlgorithm::RSA, false),
        ] {
            let advice = advice(suites, key);
            assert!(advice.contains("use ws:// or put a TLS proxy in front"));
            assert_eq!(advice.contains("RSA certificate"), rsa);
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
