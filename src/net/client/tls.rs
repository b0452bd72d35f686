//! TLS towards a backend.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring as provider;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, Error, HandshakeKind, SignatureScheme};

use crate::certificates::{self, Distrust, Identity, ServerVerifier, Trust, distrust_in};

/// Opens TLS connections (1.2 and 1.3). Clones are one: what is replaced in one of them is so in
/// all.
#[derive(Debug, Clone)]
pub struct TlsClient(Arc<Mutex<Arc<Calling>>>);

/// What handshakes are begun with.
#[derive(Debug)]
struct Calling {
    config: Arc<ClientConfig>,
    trust: Trust,
    identity: Option<Identity>,
    asked: Arc<Asked>,
}

/// Shows our certificate to every server that asks for one, and notes that one did.
#[derive(Debug)]
struct Asked {
    shown: Option<Arc<SingleCertAndKey>>,
    asked: AtomicBool,
}

impl ResolvesClientCert for Asked {
    fn resolve(
        &self,
        root_hint_subjects: &[&[u8]],
        sigschemes: &[SignatureScheme],
    ) -> Option<Arc<CertifiedKey>> {
        self.asked.store(true, Ordering::Relaxed);
        let shown = self.shown.as_ref()?;
        ResolvesClientCert::resolve(shown.as_ref(), root_hint_subjects, sigschemes)
    }

    fn has_certs(&self) -> bool {
        self.shown.is_some()
    }
}

impl TlsClient {
    /// Makes a client that takes these certificates, and shows its own where it has one.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn new(trust: Trust, identity: Option<&Identity>) -> Result<Self, Error> {
        let verifier = Arc::new(ServerVerifier::new(trust.clone()));
        let builder = ClientConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let asked = Arc::new(Asked {
            shown: identity.map(Identity::resolver),
            asked: AtomicBool::new(false),
        });
        let config = Arc::new(builder.with_client_cert_resolver(asked.clone()));
        let identity = identity.cloned();
        let calling = Arc::new(Calling {
            config,
            trust,
            identity,
            asked,
        });
        Ok(Self(Arc::new(Mutex::new(calling))))
    }

    /// Makes another one that trusts these roots, too, where not any server is taken, and shows
    /// this certificate instead of its own, where there is one.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn with(
        &self,
        roots: Vec<CertificateDer<'static>>,
        identity: Option<&Identity>,
    ) -> Result<Self, Error> {
        let calling = self.calling();
        let identity = identity.or(calling.identity.as_ref());
        Self::new(calling.trust.with(roots), identity)
    }

    /// Makes another one that trusts these roots, too, where not any server is taken, and shows no
    /// certificate: for servers that need not know who we are.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn anonymous(&self, roots: Vec<CertificateDer<'static>>) -> Result<Self, Error> {
        Self::new(self.calling().trust.with(roots), None)
    }

    /// Calls from now on as `other` does; connections that stand are not touched.
    pub fn replace(&self, other: &Self) {
        let calling = other.calling();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = calling;
    }

    /// Whether any server certificate is taken.
    pub fn trusts_anyone(&self) -> bool {
        matches!(self.calling().trust, Trust::Anyone)
    }

    /// Whether a server wanted to see a certificate of ours since this was called last.
    pub fn was_asked(&self) -> bool {
        self.calling().asked.asked.swap(false, Ordering::Relaxed)
    }

    /// The SHA-256 of the certificate that is shown, as `openssl x509 -fingerprint -sha256` prints it.
    pub fn shows(&self) -> Option<String> {
        let calling = self.calling();
        let own = calling.identity.as_ref()?.chain().first()?;
        Some(certificates::fingerprint(own))
    }

    fn calling(&self) -> Arc<Calling> {
        let calling = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        calling.clone()
    }

    /// Performs the handshake with this host (a name or an IP address).
    ///
    /// # Errors
    /// When the host has no possible name or is not trusted, or the handshake comes to nothing.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))?;
        let calling = self.calling();
        let connector = TlsConnector::from(calling.config.clone());
        let stream = connector.connect(name.clone(), stream).await;
        let stream = stream.map_err(|error| match distrust_in(&error) {
            Some(why) => io::Error::other(why.clone()),
            None => error,
        })?;
        let checked = calling.check_resumed(stream.get_ref().1, &name);
        checked.map_err(io::Error::other)?;
        Ok(stream)
    }
}

impl Calling {
    /// A resumed session shows the certificate of its first handshake, and nobody has looked at it
    /// since: it may have ended.
    fn check_resumed(
        &self,
        session: &ClientConnection,
        host: &ServerName<'_>,
    ) -> Result<(), Distrust> {
        if session.handshake_kind() != Some(HandshakeKind::Resumed) {
            return Ok(());
        }
        let Some(now) = self.config.time_provider.current_time() else {
            return Ok(());
        };
        let chain = session.peer_certificates().unwrap_or_default();
        let (leaf, beside) = chain.split_first().ok_or(Distrust::Unreadable)?;
        self.trust.verify(leaf, beside, host, now)
    }
}

/// The SHA-256 of the server's certificate, as `openssl x509 -fingerprint -sha256` prints it.
pub(super) fn fingerprint<S>(stream: &TlsStream<S>) -> Option<String> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    Some(certificates::fingerprint(leaf))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{PrivateKeyDer, UnixTime};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
    use tokio_rustls::rustls::sign::CertifiedKey;
    use tokio_rustls::rustls::time_provider::TimeProvider;
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

    use super::*;
    use crate::certificates::Roots;

    const V1: &[u8] = include_bytes!("../../../tests/it/fixtures/v1.crt");
    const V1_KEY: &[u8] = include_bytes!("../../../tests/it/fixtures/v1.key");

    #[derive(Debug)]
    struct Always(Arc<CertifiedKey>);

    impl ResolvesServerCert for Always {
        fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
            Some(self.0.clone())
        }
    }

    /// A server that shows this certificate and signs with this key, whether they fit or not.
    fn server(
        version: &'static SupportedProtocolVersion,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> TlsAcceptor {
        let provider = Arc::new(provider::default_provider());
        let key = provider.key_provider.load_private_key(key).unwrap();
        let shown = Always(Arc::new(CertifiedKey::new(vec![certificate], key)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(shown));
        TlsAcceptor::from(Arc::new(config))
    }

    fn v1() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(V1).unwrap()
    }

    fn key(pem: &[u8]) -> PrivateKeyDer<'static> {
        PrivateKeyDer::from_pem_slice(pem).unwrap()
    }

    async fn meet(server: TlsAcceptor) -> io::Result<TlsStream<DuplexStream>> {
        let client = TlsClient::new(Trust::Anyone, None).unwrap();
        let (ours, theirs) = duplex(64 * 1024);
        let echo = async {
            if let Ok(mut stream) = server.accept(theirs).await {
                let byte = stream.read_u8().await.unwrap();
                stream.write_u8(byte).await.unwrap();
                stream.flush().await.unwrap();
            }
        };
        let talk = async {
            let mut stream = client.connect("127.0.0.1", ours).await?;
            stream.write_u8(7).await?;
            assert_eq!(stream.read_u8().await?, 7);
            Ok(stream)
        };
        tokio::join!(echo, talk).1
    }

    #[tokio::test]
    async fn any_certificate_will_do_also_of_x509_v1() {
        let pair = KeyPair::generate().unwrap();
        let params = CertificateParams::new(["elsewhere".to_owned()]).unwrap();
        let v3 = params.self_signed(&pair).unwrap();
        for version in [&TLS12, &TLS13] {
            let own = key(pair.serialize_pem().as_bytes());
            meet(server(version, v3.der().clone(), own)).await.unwrap();
            meet(server(version, v1(), key(V1_KEY))).await.unwrap();
        }
    }

    #[tokio::test]
    async fn who_shows_a_certificate_without_having_its_key_is_left() {
        for version in [&TLS12, &TLS13] {
            let stolen = KeyPair::generate().unwrap().serialize_pem();
            let met = meet(server(version, v1(), key(stolen.as_bytes()))).await;
            let error = met.expect_err("the wrong key was taken");
            assert!(error.to_string().contains("BadSignature"), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_certificate_is_no_reason_to_panic() {
        for version in [&TLS12, &TLS13] {
            let nonsense = CertificateDer::from(vec![0x30, 0x82, 0xFF, 0xFF, 0]);
            let met = meet(server(version, nonsense, key(V1_KEY))).await;
            assert!(met.is_err());
        }
    }

    #[tokio::test]
    async fn what_is_no_host_name_is_an_error() {
        let client = TlsClient::new(Trust::Anyone, None).unwrap();
        let (ours, _theirs) = duplex(64);
        assert!(client.connect("no host", ours).await.is_err());
    }

    /// Midnight, when the certificate of [`short_lived`] ends.
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
    fn short_lived() -> (CertificateDer<'static>, KeyPair) {
        let pair = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2026, 2, 1);
        let made = params.self_signed(&pair).unwrap().der().clone();
        (made, pair)
    }

    fn listed(certificate: &CertificateDer<'static>) -> Trust {
        Trust::Roots {
            roots: Arc::new(Roots::new("ca", [certificate.clone()])),
            verify_hostname: true,
        }
    }

    /// One connection: how the server saw the handshake, and whether we were content.
    async fn call(
        client: &TlsClient,
        server: &TlsAcceptor,
    ) -> (Option<HandshakeKind>, io::Result<()>) {
        // Stays until the server has said all, whatever we think of it.
        let (mut ours, theirs) = duplex(64 * 1024);
        let answer = async {
            let mut stream = server.accept(theirs).await.ok()?;
            // With the first byte come the tickets of TLS 1.3.
            let _ = stream.write_u8(7).await;
            let _ = stream.flush().await;
            stream.get_ref().1.handshake_kind()
        };
        let ask = async {
            let mut stream = client.connect("127.0.0.1", &mut ours).await?;
            stream.read_u8().await.map(drop)
        };
        tokio::join!(answer, ask)
    }

    #[tokio::test]
    async fn the_next_connection_resumes_the_session_unless_the_rules_were_read_anew() {
        for version in [&TLS12, &TLS13] {
            let server = server(version, v1(), key(V1_KEY));
            let client = TlsClient::new(Trust::Anyone, None).unwrap();
            let mut kinds = Vec::new();
            for again in [true, false, true] {
                for _ in 0..2 {
                    let (kind, done) = call(&client, &server).await;
                    done.unwrap();
                    kinds.push(kind.unwrap());
                }
                if !again {
                    client.replace(&TlsClient::new(Trust::Anyone, None).unwrap());
                }
            }
            let (full, resumed) = (HandshakeKind::Full, HandshakeKind::Resumed);
            let expected = [full, resumed, resumed, resumed, full, resumed];
            assert_eq!(kinds, expected, "{version:?}");
        }
    }

    #[tokio::test]
    async fn a_session_does_not_outlive_the_trust_in_its_server() {
        for version in [&TLS12, &TLS13] {
            let server = server(version, v1(), key(V1_KEY));
            let client = TlsClient::new(listed(&v1()), None).unwrap();
            for _ in 0..2 {
                call(&client, &server).await.1.unwrap();
            }
            let (other, _) = short_lived();
            client.replace(&TlsClient::new(listed(&other), None).unwrap());
            let error = call(&client, &server).await.1.unwrap_err();
            assert!(error.to_string().contains("is not in ca"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_session_does_not_outlive_the_certificate_of_its_server() {
        for version in [&TLS12, &TLS13] {
            let (shown, pair) = short_lived();
            let server = server(version, shown.clone(), key(pair.serialize_pem().as_bytes()));
            let client = TlsClient::new(listed(&shown), None).unwrap();
            let clock = Arc::new(At(AtomicU64::new(END - 60)));
            {
                let mut calling = client.0.lock().unwrap();
                let mut config = (*calling.config).clone();
                config.time_provider = clock.clone();
                *calling = Arc::new(Calling {
                    config: Arc::new(config),
                    trust: calling.trust.clone(),
                    identity: None,
                    asked: calling.asked.clone(),
                });
            }
            for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
                let (seen, done) = call(&client, &server).await;
                done.unwrap();
                assert_eq!(seen, Some(kind));
            }
            clock.0.store(END + 60, Ordering::Relaxed);
            let (kind, done) = call(&client, &server).await;
            assert_eq!(kind, Some(HandshakeKind::Resumed), "it is not asked again");
            let error = done.unwrap_err();
            assert!(error.to_string().contains("ended on 2026-02-01"), "{error}");
        }
    }
}
