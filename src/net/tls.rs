//! TLS for wallboxes: certificate and key as they come, and what to say when it cannot work.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{Acceptor, ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, CipherSuite, ServerConfig, SignatureAlgorithm};
use tokio_rustls::server::TlsStream;

/// Why a certificate and its key cannot serve.
#[derive(Debug, Error)]
pub enum TlsError {
    /// The certificate file is no PEM.
    #[error("certificate: {0}")]
    Certificate(pem::Error),
    /// The certificate file holds no certificate.
    #[error("no certificate in the certificate file")]
    NoCertificate,
    /// The key file holds no private key.
    #[error("private key: {0}")]
    Key(pem::Error),
    /// The key is of a kind that cannot be used.
    #[error("private key: {0}")]
    KeyKind(rustls::Error),
    /// The key is not that of the first certificate.
    #[error("the private key does not belong to the (first) certificate")]
    Mismatch,
    /// The TLS library refuses.
    #[error("{0}")]
    Tls(rustls::Error),
}

/// Answers TLS handshakes with one certificate.
#[derive(Debug, Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
    algorithm: SignatureAlgorithm,
}

impl TlsServer {
    /// Makes a server (TLS 1.2 and 1.3) of a PEM chain, leaf first, and its PEM key.
    ///
    /// X.509 v1 certificates, as the common openssl recipe makes them, serve as well: nothing of a
    /// certificate is looked at but its key. Protocols of ALPN are neither asked for nor refused.
    ///
    /// # Errors
    /// When there is no certificate or key, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(chain)
            .collect::<Result<Vec<_>, _>>()
            .map_err(TlsError::Certificate)?;
        let leaf = chain.first().ok_or(TlsError::NoCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
        let provider = Arc::new(ring::default_provider());
        let key = provider
            .key_provider
            .load_private_key(key)
            .map_err(TlsError::KeyKind)?;
        if let Some(public) = key.public_key()
            && !holds_key(leaf, &public)
        {
            return Err(TlsError::Mismatch);
        }
        let algorithm = key.algorithm();
        // The checked ways into rustls parse the certificate and refuse v1.
        let resolver = Resolver(Arc::new(CertifiedKey::new(chain, key)));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Tls)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        Ok(Self {
            config: Arc::new(config),
            algorithm,
        })
    }

    /// Performs the handshake on a connection whose first byte is still unread.
    ///
    /// # Errors
    /// When the client goes away, or speaks no TLS, or none that is spoken here.
    pub async fn accept<S>(&self, stream: S) -> Result<TlsStream<S>, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let start = LazyConfigAcceptor::new(Acceptor::default(), stream)
            .await
            .map_err(HandshakeError::Failed)?;
        let suites = start.client_hello().cipher_suites().to_vec();
        let accepted = start.into_stream(self.config.clone()).await;
        accepted.map_err(|error| {
            if is_incompatible(&error) {
                HandshakeError::NothingInCommon {
                    error,
                    offered: names(&suites),
                    advice: advice(&suites, self.algorithm),
                }
            } else {
                HandshakeError::Failed(error)
            }
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
    /// Anything else.
    #[error("{0}")]
    Failed(io::Error),
}

fn is_incompatible(error: &io::Error) -> bool {
    error
        .get_ref()
        .and_then(|inner| inner.downcast_ref())
        .is_some_and(|error| matches!(error, rustls::Error::PeerIncompatible(_)))
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

#[derive(Debug)]
struct Resolver(Arc<CertifiedKey>);

impl ResolvesServerCert for Resolver {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Looks for the public key in the certificate by its last bytes: that needs no parser, so it
/// works for v1, and does not depend on how the algorithm in front of them is encoded.
fn holds_key(certificate: &[u8], public: &[u8]) -> bool {
    const TELLING: usize = 64;
    let tail = public
        .get(public.len().saturating_sub(TELLING)..)
        .unwrap_or_default();
    !tail.is_empty() && certificate.windows(tail.len()).any(|part| part == tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1_CERTIFICATE: &[u8] = include_bytes!("../../tests/it/fixtures/v1.crt");
    const V1_KEY: &[u8] = include_bytes!("../../tests/it/fixtures/v1.key");

    #[test]
    fn a_certificate_of_x509_v1_serves() {
        let server = TlsServer::from_pem(V1_CERTIFICATE, V1_KEY).unwrap();
        assert_eq!(server.algorithm, SignatureAlgorithm::ECDSA);
    }

    #[test]
    fn a_key_of_another_certificate_does_not_serve() {
        let other = rcgen::KeyPair::generate().unwrap().serialize_pem();
        assert!(matches!(
            TlsServer::from_pem(V1_CERTIFICATE, other.as_bytes()),
            Err(TlsError::Mismatch)
        ));
    }

    #[test]
    fn missing_and_damaged_files_are_told_apart() {
        assert!(matches!(
            TlsServer::from_pem(b"", V1_KEY),
            Err(TlsError::NoCertificate)
        ));
        assert!(matches!(
            TlsServer::from_pem(&V1_CERTIFICATE[..200], V1_KEY),
            Err(TlsError::Certificate(_))
        ));
        assert!(matches!(
            TlsServer::from_pem(V1_CERTIFICATE, V1_CERTIFICATE),
            Err(TlsError::Key(_))
        ));
    }

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
}
