//! Certificates and keys out of PEM files.

use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use super::certificate::Certificate;

/// Why a file is of no use. The text goes on behind the name of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PemError {
    /// Nothing that calls itself a certificate.
    #[error("holds no certificate")]
    NoCertificate,
    /// Nothing that calls itself a private key.
    #[error("holds no private key")]
    NoKey,
    /// The binary form.
    #[error("is in the binary form DER, not PEM")]
    Der,
    /// The key can be read with a passphrase only.
    #[error("holds a private key with a passphrase, which nobody could type in when this starts")]
    Encrypted,
    /// The frame is broken, or what is in it is not base64.
    #[error("is no good PEM file")]
    Damaged,
    /// What calls itself a certificate is none.
    #[error("holds something that calls itself a certificate and is none")]
    NotX509,
    /// The key is of a kind that cannot be used.
    #[error("holds a private key of a kind that cannot be used")]
    KeyKind,
}

impl PemError {
    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoCertificate => "name a PEM file with -----BEGIN CERTIFICATE-----",
            Self::NoKey | Self::KeyKind => {
                "name a PEM file with an RSA (2048 bits or more), P-256, P-384 or Ed25519 key that \
                 has no passphrase"
            }
            Self::Der => {
                "convert it: openssl x509 -inform DER -in FILE -out NEW for a certificate, \
                 openssl pkey -inform DER -in FILE -out NEW for a key"
            }
            Self::Encrypted => {
                "take the passphrase away: openssl pkey -in FILE -out NEW, then chmod 600 NEW"
            }
            Self::Damaged => "name a PEM file",
            Self::NotX509 => "export the certificate once more, or ask whoever made it",
        }
    }
}

/// All certificates of a PEM file, in its order; what else it holds is passed over.
///
/// # Errors
/// When there is none, or one of them cannot be read.
pub fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file).collect();
    match read {
        Ok(found) if found.is_empty() => Err(missing(file, PemError::NoCertificate)),
        Ok(found) => {
            let readable = found.iter().all(|it| Certificate::parse(it).is_ok());
            readable.then_some(found).ok_or(PemError::NotX509)
        }
        Err(_) => Err(PemError::Damaged),
    }
}

/// The first private key of a PEM file: PKCS#1, PKCS#8 or SEC1.
///
/// # Errors
/// When there is none, or it has a passphrase.
pub fn private_key(file: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    // The two ways to say so: PKCS#8, and the older one with a header in front of the key.
    let has_passphrase = [
        &b"-----BEGIN ENCRYPTED PRIVATE KEY-----"[..],
        b"Proc-Type: 4,ENCRYPTED",
    ]
    .iter()
    .any(|mark| file.windows(mark.len()).any(|part| part == *mark));
    if has_passphrase {
        return Err(PemError::Encrypted);
    }
    PrivateKeyDer::from_pem_slice(file).map_err(|error| match error {
        pem::Error::NoItemsFound => missing(file, PemError::NoKey),
        _ => PemError::Damaged,
    })
}

/// DER begins with a SEQUENCE of more than 255 bytes, which no text does.
fn missing(file: &[u8], what: PemError) -> PemError {
    match file {
        [0x30, 0x81 | 0x82, ..] => PemError::Der,
        _ => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: &[u8] = include_bytes!("../../tests/it/fixtures/v1.crt");
    const V1_KEY: &[u8] = include_bytes!("../../tests/it/fixtures/v1.key");

    #[test]
    fn what_stands_around_a_certificate_is_passed_over() {
        let file = [b"Bag Attributes\n  x: y\n", V1_KEY, V1, b"\nbye\n", V1].concat();
        assert_eq!(certificates(&file).unwrap().len(), 2);
        assert!(private_key(&file).is_ok());
    }

    #[test]
    fn missing_damaged_and_misnamed_things_are_told_apart() {
        let lie = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let der = certificates(V1).unwrap().remove(0);
        for (file, why) in [
            (&b""[..], PemError::NoCertificate),
            (V1_KEY, PemError::NoCertificate),
            (&V1[..200], PemError::Damaged),
            (lie, PemError::NotX509),
            (&der, PemError::Der),
        ] {
            assert_eq!(certificates(file), Err(why), "{}", file.escape_ascii());
        }
        for (file, why) in [
            (&b""[..], PemError::NoKey),
            (V1, PemError::NoKey),
            (&V1_KEY[..100], PemError::Damaged),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,1\n\nAA==\n",
                PemError::Encrypted,
            ),
            (
                b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n",
                PemError::Encrypted,
            ),
        ] {
            assert_eq!(private_key(file).unwrap_err(), why, "{}", file.escape_ascii());
        }
    }
}
