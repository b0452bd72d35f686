//! How the TLS library asks: is this certificate trusted, and does its owner hold the key?
//!
//! What the library has for this itself reads the certificate with a parser that refuses v1. The
//! signatures of the handshake are therefore verified here, with the library's own algorithms.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::crypto::{self, WebPkiSupportedAlgorithms, ring::default_provider};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use tokio_rustls::rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, PeerMisbehaved,
    SignatureScheme,
};

use super::certificate::Certificate;
use super::distrust::Distrust;
use super::roots::{Roots, Usage, Verified};

/// Which server certificates are taken.
#[derive(Debug, Clone)]
pub enum Trust {
    /// Any: only who listens in is kept out, not who pretends to be the backend.
    Anyone,
    /// Those in a list, and those that chain to one of them.
    Roots {
        /// The list.
        roots: Arc<Roots>,
        /// It must be for the host, unless it is in the list itself.
        verify_hostname: bool,
    },
}

impl Trust {
    /// Trusts these, too, unless anyone is trusted anyway.
    #[must_use]
    pub fn with(&self, more: Vec<CertificateDer<'static>>) -> Self {
        match self {
            Self::Anyone => Self::Anyone,
            Self::Roots {
                roots,
                verify_hostname,
            } => Self::Roots {
                roots: Arc::new(roots.with(more)),
                verify_hostname: *verify_hostname,
            },
        }
    }

    /// Judges the certificate of a server, and what came beside it.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        beside: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), Distrust> {
        match self {
            Self::Anyone => Ok(()),
            Self::Roots {
                roots,
                verify_hostname,
            } => match roots.verify(leaf, beside, Usage::Server, timestamp(now))? {
                Verified::Chained if *verify_hostname => check_host(leaf, host),
                Verified::Chained | Verified::Listed => Ok(()),
            },
        }
    }
}

/// RFC 6125, and no common name: a certificate without `subjectAltName` is for no host.
fn check_host(leaf: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Distrust> {
    let certificate = Certificate::parse(leaf).map_err(|_| Distrust::Unreadable)?;
    let (subject, hosts) = (certificate.subject(), certificate.hosts());
    let host_name = host.to_str().into_owned();
    if hosts.is_empty() {
        let host = host_name;
        return Err(Distrust::NoHost { subject, host });
    }
    // With subjectAltName it is of v3, which the library reads.
    let matches = ParsedCertificate::try_from(leaf)
        .and_then(|parsed| verify_server_name(&parsed, host))
        .is_ok();
    matches.then_some(()).ok_or(Distrust::OtherHost {
        subject,
        host: host_name,
        hosts,
    })
}

/// Asks about servers.
#[derive(Debug)]
pub struct ServerVerifier {
    trust: Trust,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ServerVerifier {
    /// Takes these certificates.
    pub fn new(trust: Trust) -> Self {
        Self {
            trust,
            algorithms: default_provider().signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let judged = self
            .trust
            .verify(end_entity, intermediates, server_name, now);
        judged.map_err(refusal)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12(&self.algorithms, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13(&self.algorithms, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Asks about clients: each must present a certificate.
#[derive(Debug)]
pub struct ClientVerifier {
    roots: Arc<Roots>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl ClientVerifier {
    /// Takes those in the list, and those that chain to one of them.
    pub fn new(roots: Arc<Roots>) -> Self {
        Self {
            roots,
            algorithms: default_provider().signature_verification_algorithms,
        }
    }

    /// Judges the certificate of a client, and what came beside it.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        beside: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Distrust> {
        let verified = self
            .roots
            .verify(leaf, beside, Usage::Client, timestamp(now));
        verified.map(|_| ())
    }
}

impl ClientCertVerifier for ClientVerifier {
    /// None: a wallbox has one certificate, and the issuer of one that is in the list itself could
    /// not be named.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judged = self.verify(end_entity, intermediates, now);
        judged.map_err(refusal)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12(&self.algorithms, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13(&self.algorithms, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Finds our reason in the error of a handshake.
pub fn distrust_in(error: &io::Error) -> Option<&Distrust> {
    match error.get_ref()?.downcast_ref()? {
        Error::InvalidCertificate(CertificateError::Other(OtherError(why))) => why.downcast_ref(),
        _ => None,
    }
}

fn refusal(why: Distrust) -> Error {
    CertificateError::Other(OtherError(Arc::new(why))).into()
}

/// With TLS 1.2 a scheme does not name the curve: the algorithm is the one that fits the key.
fn verify_tls12(
    supported: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = parse(certificate)?;
    let (_, algorithms) = supported
        .mapping
        .iter()
        .find(|(scheme, _)| *scheme == signed.scheme)
        .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
    algorithms
        .iter()
        .find(|it| it.public_key_alg_id().as_ref() == certificate.key_algorithm())
        .and_then(|it| {
            let verified = it.verify_signature(certificate.key(), message, signed.signature());
            verified.ok()
        })
        .map(|()| HandshakeSignatureValid::assertion())
        .ok_or_else(|| CertificateError::BadSignature.into())
}

fn verify_tls13(
    supported: &WebPkiSupportedAlgorithms,
    message: &[u8],
    certificate: &CertificateDer<'_>,
    signed: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let certificate = parse(certificate)?;
    let info = SubjectPublicKeyInfoDer::from(certificate.key_info());
    crypto::verify_tls13_signature_with_raw_key(message, &info, signed, supported)
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<Certificate<'a>, Error> {
    Certificate::parse(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

fn timestamp(now: UnixTime) -> Timestamp {
    let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}
