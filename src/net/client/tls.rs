//! TLS towards a backend.

use std::io;
use std::sync::Arc;

use ring::digest;
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{self, WebPkiSupportedAlgorithms, ring as provider};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, PeerMisbehaved, SignatureScheme,
};

use super::public_key::PublicKey;

/// Which server certificates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Any: only who listens in is kept out, not who pretends to be the backend.
    Anyone,
}

/// Opens TLS connections (1.2 and 1.3).
#[derive(Debug, Clone)]
pub struct TlsClient {
    config: Arc<ClientConfig>,
    trust: Trust,
}

impl TlsClient {
    /// Makes a client that takes these certificates and shows none of its own.
    ///
    /// # Errors
    /// When the TLS library refuses.
    pub fn new(trust: Trust) -> Result<Self, Error> {
        let provider = Arc::new(provider::default_provider());
        let verifier = match trust {
            Trust::Anyone => AnyCertificate(provider.signature_verification_algorithms),
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        Ok(Self {
            config: Arc::new(config),
            trust,
        })
    }

    /// Which server certificates it takes.
    pub const fn trust(&self) -> Trust {
        self.trust
    }

    /// Performs the handshake with this host (a name or an IP address).
    ///
    /// # Errors
    /// When the host has no possible name, or the handshake comes to nothing.
    pub async fn connect<S>(&self, host: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "not a host name"))?;
        let connector = TlsConnector::from(self.config.clone());
        connector.connect(name, stream).await
    }
}

/// The SHA-256 of the server's certificate, as `openssl x509 -fingerprint -sha256` prints it.
pub(super) fn fingerprint<S>(stream: &TlsStream<S>) -> Option<String> {
    let (_, session) = stream.get_ref();
    let leaf = session.peer_certificates()?.first()?;
    let hash = digest::digest(&digest::SHA256, leaf);
    let pairs: Vec<_> = hash.as_ref().iter().map(|it| format!("{it:02X}")).collect();
    Some(pairs.join(":"))
}

/// Takes every certificate, also of X.509 v1, but only from who has its key.
#[derive(Debug)]
struct AnyCertificate(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    /// With TLS 1.2 a scheme does not name the curve: the algorithm is the one that fits the key.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(certificate)?;
        let (_, algorithms) = self
            .0
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        algorithms
            .iter()
            .find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm)
            .and_then(|algorithm| {
                let verified = algorithm.verify_signature(key.key, message, signed.signature());
                verified.ok()
            })
            .map(|()| HandshakeSignatureValid::assertion())
            .ok_or_else(|| CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let info = SubjectPublicKeyInfoDer::from(key_of(certificate)?.info);
        crypto::verify_tls13_signature_with_raw_key(message, &info, signed, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

fn key_of<'a>(certificate: &'a CertificateDer<'_>) -> Result<PublicKey<'a>, Error> {
    PublicKey::of(certificate).ok_or_else(|| CertificateError::BadEncoding.into())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
    use tokio_rustls::rustls::sign::CertifiedKey;
    use tokio_rustls::rustls::version::{TLS12, TLS13};
    use tokio_rustls::rustls::{ServerConfig, SupportedProtocolVersion};

    use super::*;

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
        let client = TlsClient::new(Trust::Anyone).unwrap();
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
    async fn the_fingerprint_is_that_which_openssl_prints() {
        let stream = meet(server(&TLS13, v1(), key(V1_KEY))).await.unwrap();
        let fingerprint = fingerprint(&stream).unwrap();
        assert_eq!(
            fingerprint,
            "CA:98:73:C6:1A:15:9C:66:E5:E6:B5:45:1B:13:B1:C0:\
             BC:83:F2:16:CC:5F:DB:99:B7:7B:A1:54:45:B7:84:EE"
        );
    }

    #[tokio::test]
    async fn what_is_no_host_name_is_an_error() {
        let client = TlsClient::new(Trust::Anyone).unwrap();
        let (ours, _theirs) = duplex(64);
        assert!(client.connect("no host", ours).await.is_err());
    }
}
