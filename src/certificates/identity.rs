//! Who we are: a certificate, those that lead to its root, and its key.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use tokio_rustls::rustls::SignatureAlgorithm;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use x509_parser::asn1_rs::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::Certificate;
use super::pem::{self, PemError};

/// A chain and the key of its first certificate.
#[derive(Debug, Clone)]
pub struct Identity(Arc<CertifiedKey>);

/// Why a chain and a key make no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdentityError {
    /// The file with the chain is of no use.
    #[error("the certificate file {}: {}", .0, .0.remedy())]
    Certificate(PemError),
    /// The file with the key is of no use.
    #[error("the private key file {}: {}", .0, .0.remedy())]
    Key(PemError),
    /// The key is that of no certificate in the chain.
    #[error(
        "the private key does not belong to the certificate: name the key that it was made for"
    )]
    Mismatch,
}

impl Identity {
    /// Makes an identity of two PEM files.
    ///
    /// The certificate that the key belongs to is the own one, wherever it stands; X.509 v1 serves
    /// as well as v3. The others follow in the order in which they were issued.
    ///
    /// # Errors
    /// When one of the files is of no use, or they do not belong together.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain = pem::certificates(chain).map_err(IdentityError::Certificate)?;
        let key = pem::private_key(key).map_err(IdentityError::Key)?;
        let key = any_supported_type(&key);
        let key = key.map_err(|_| IdentityError::Key(PemError::KeyKind))?;
        let info = key.public_key();
        let public = info
            .as_ref()
            .and_then(|it| SubjectPublicKeyInfo::from_der(it).ok())
            .ok_or(IdentityError::Key(PemError::KeyKind))?
            .1
            .subject_public_key
            .data;
        let chain = in_order(chain, &public).ok_or(IdentityError::Mismatch)?;
        // Not `CertifiedKey::from_der`, which reads the certificate and refuses v1.
        Ok(Self(Arc::new(CertifiedKey::new(chain, key))))
    }

    /// The chain, the own certificate first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.0.cert
    }

    /// The kind of its key.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.0.key.algorithm()
    }

    /// Shows itself to every peer, whatever it asks for.
    pub(crate) fn resolver(&self) -> Arc<SingleCertAndKey> {
        Arc::new(SingleCertAndKey::from(self.0.clone()))
    }
}

/// The certificate with this key, its issuer, the issuer of that, and the rest as it came.
fn in_order(
    mut chain: Vec<CertificateDer<'static>>,
    public: &[u8],
) -> Option<Vec<CertificateDer<'static>>> {
    let has_key = |der: &CertificateDer<'_>| {
        Certificate::parse(der).is_ok_and(|certificate| certificate.key() == public)
    };
    let own = chain.iter().position(has_key)?;
    let mut ordered = vec![chain.remove(own)];
    while let Some(next) = ordered.last().and_then(|last| issuer_of(last, &chain)) {
        ordered.push(chain.remove(next));
    }
    ordered.append(&mut chain);
    Some(ordered)
}

fn issuer_of(der: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) -> Option<usize> {
    let below = Certificate::parse(der).ok()?;
    chain.iter().position(|der| {
        Certificate::parse(der).is_ok_and(|it| it.subject_der() == below.issuer_der())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &[u8] = include_bytes!("../../tests/it/fixtures/v1.crt");
    const V1_KEY: &[u8] = include_bytes!("../../tests/it/fixtures/v1.key");

    #[test]
    fn a_v1_certificate_and_its_key_are_an_identity() {
        let identity = Identity::from_pem(V1, V1_KEY).unwrap();
        assert_eq!(identity.algorithm(), SignatureAlgorithm::ECDSA);
        assert_eq!(identity.chain().len(), 1);
    }

    #[test]
    fn the_own_certificate_is_found_by_its_key_wherever_it_stands() {
        let other = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        let chain = [other.cert.pem().as_bytes(), V1].concat();
        let identity = Identity::from_pem(&chain, V1_KEY).unwrap();
        let own = Certificate::parse(&identity.chain()[0]).unwrap();
        assert_eq!(own.subject(), "CN=wallbox central");
        assert_eq!(identity.chain().len(), 2);
    }

    #[test]
    fn a_foreign_key_and_missing_things_are_told_apart() {
        let foreign = rcgen::KeyPair::generate().unwrap().serialize_pem();
        let why = |chain, key| Identity::from_pem(chain, key).unwrap_err();
        assert_eq!(why(V1, foreign.as_bytes()), IdentityError::Mismatch);
        let missing = IdentityError::Certificate(PemError::NoCertificate);
        assert_eq!(why(b"", V1_KEY), missing);
        assert_eq!(why(V1, V1), IdentityError::Key(PemError::NoKey));
    }
}
