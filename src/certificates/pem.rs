//! Certificates and keys out of PEM files.

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use thiserror::Error;

use super::blocks::{Block, Content, blocks, text};
use super::certificate::Certificate;
use super::foreign::Foreign;

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
    /// A form that other programs like.
    #[error("holds {}", .0.what())]
    Foreign(Foreign),
    /// The key can be read with a passphrase only.
    #[error("holds a private key with a passphrase, which nobody could type in when this starts")]
    Encrypted,
    /// The frame is broken, or what is in it is not base64.
    #[error("is damaged: {0}")]
    Damaged(&'static str),
    /// What calls itself a certificate is none.
    #[error("holds something that calls itself a certificate and is none")]
    NotX509,
    /// The key is of a kind that cannot be used.
    #[error("holds a private key of a kind that cannot be used")]
    KeyKind,
}

impl PemError {
    /// What to do about it; FILE and NEW stand for names.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoCertificate => "name a PEM file with -----BEGIN CERTIFICATE-----",
            Self::NoKey | Self::KeyKind => {
                "name a PEM file with an RSA (2048 to 4096 bits), P-256, P-384 or Ed25519 key that \
                 has no passphrase"
            }
            Self::Der => {
                "convert it: openssl x509 -inform DER -in FILE -out NEW for a certificate, \
                 openssl pkey -inform DER -in FILE -out NEW for a key"
            }
            Self::Foreign(foreign) => foreign.remedy(),
            Self::Encrypted => {
                "take the passphrase away: openssl pkey -in FILE -out NEW, then chmod 600 NEW"
            }
            Self::Damaged(_) => "copy the file again, as a file and not as text",
            Self::NotX509 => "export the certificate once more, or ask whoever made it",
        }
    }
}

/// A remedy for the file `name`: with names in place of FILE and NEW.
pub(crate) fn with_names(remedy: &str, name: &str) -> String {
    let new = format!("{name}.pem");
    let parts: Vec<String> = remedy
        .split("FILE")
        .map(|part| part.replace("NEW", &new))
        .collect();
    parts.join(name)
}

/// All certificates of a PEM file, in its order; what else it holds is passed over.
///
/// # Errors
/// When there is none, or one of them cannot be read.
pub fn certificates(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, PemError> {
    let mut found = Vec::new();
    let mut foreign = None;
    for block in blocks(&text(file)) {
        if Kind::of(&block) != Some(Kind::Certificate) {
            foreign = foreign.or(Foreign::of_label(&block.label));
            continue;
        }
        let der = CertificateDer::from(der(block)?);
        Certificate::parse(&der).map_err(|_| PemError::NotX509)?;
        found.push(der);
    }
    if found.is_empty() {
        let nothing = foreign.map_or(PemError::NoCertificate, PemError::Foreign);
        return Err(missing(file, nothing));
    }
    Ok(found)
}

/// The first private key of a PEM file: PKCS#1, PKCS#8 or SEC1.
///
/// # Errors
/// When there is none, or it has a passphrase.
pub fn private_key(file: &[u8]) -> Result<PrivateKeyDer<'static>, PemError> {
    for block in blocks(&text(file)) {
        return match Kind::of(&block) {
            None | Some(Kind::Certificate | Kind::Request) => continue,
            Some(Kind::Encrypted) => Err(PemError::Encrypted),
            Some(Kind::Pkcs1) => der(block).map(|it| PrivatePkcs1KeyDer::from(it).into()),
            Some(Kind::Pkcs8) => der(block).map(|it| PrivatePkcs8KeyDer::from(it).into()),
            Some(Kind::Sec1) => der(block).map(|it| PrivateSec1KeyDer::from(it).into()),
        };
    }
    Err(missing(file, PemError::NoKey))
}

/// What a block says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A certificate.
    Certificate,
    /// A request for one.
    Request,
    /// A private key in PKCS#8.
    Pkcs8,
    /// A private key in PKCS#1: RSA.
    Pkcs1,
    /// A private key in SEC1: on an elliptic curve.
    Sec1,
    /// A private key in PKCS#8 with a passphrase.
    Encrypted,
}

impl Kind {
    /// `None` for everything that has no use here.
    pub(crate) fn of(block: &Block) -> Option<Self> {
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => Some(Self::Certificate),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => Some(Self::Request),
            "PRIVATE KEY" => Some(Self::Pkcs8),
            "RSA PRIVATE KEY" => Some(Self::Pkcs1),
            "EC PRIVATE KEY" => Some(Self::Sec1),
            "ENCRYPTED PRIVATE KEY" => Some(Self::Encrypted),
            _ => None,
        }
    }
}

fn der(block: Block) -> Result<Vec<u8>, PemError> {
    match block.content {
        Content::Der(der) => Ok(der),
        Content::Encrypted => Err(PemError::Encrypted),
        Content::Damaged(why) => Err(PemError::Damaged(why)),
    }
}

/// DER begins with a SEQUENCE of more than 255 bytes, which no text does.
fn missing(file: &[u8], what: PemError) -> PemError {
    if let Some(foreign) = Foreign::of_file(file) {
        return PemError::Foreign(foreign);
    }
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

    const CUT: &str = "it has no end: the file was cut off, or not copied whole";

    #[test]
    fn what_stands_around_a_certificate_is_passed_over() {
        let file = [b"Bag Attributes\n  x: y\n", V1_KEY, V1, b"\nbye\n", V1].concat();
        assert_eq!(certificates(&file).unwrap().len(), 2);
        assert!(private_key(&file).is_ok());
    }

    #[test]
    fn what_other_programs_write_is_called_by_its_name() {
        let block = |label: &str| format!("-----BEGIN {label}-----\nAA==\n-----END {label}-----\n");
        // SEQUENCE { INTEGER 3 … and SEQUENCE { OBJECT IDENTIFIER signedData …
        let pkcs12 = [0x30, 0x03, 0x02, 0x01, 0x03];
        let pkcs7 = *b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";
        for (file, foreign) in [
            (block("TRUSTED CERTIFICATE").as_bytes(), Foreign::Trusted),
            (block("PKCS7").as_bytes(), Foreign::Pkcs7),
            (&pkcs7, Foreign::Pkcs7Der),
            (&pkcs12, Foreign::Pkcs12),
        ] {
            assert_eq!(certificates(file), Err(PemError::Foreign(foreign)));
        }
        let why = private_key(&pkcs12).unwrap_err();
        assert_eq!(why, PemError::Foreign(Foreign::Pkcs12));
    }

    #[test]
    fn a_remedy_names_the_file_whatever_it_is_called() {
        let remedy = with_names("openssl -in FILE -out NEW", "a FILE NEW");
        assert_eq!(remedy, "openssl -in a FILE NEW -out a FILE NEW.pem");
    }

    #[test]
    fn missing_damaged_and_misnamed_things_are_told_apart() {
        let lie = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        let der = certificates(V1).unwrap().remove(0);
        for (file, why) in [
            (&b""[..], PemError::NoCertificate),
            (V1_KEY, PemError::NoCertificate),
            (&V1[..200], PemError::Damaged(CUT)),
            (lie, PemError::NotX509),
            (&der, PemError::Der),
        ] {
            assert_eq!(certificates(file), Err(why), "{}", file.escape_ascii());
        }
        for (file, why) in [
            (&b""[..], PemError::NoKey),
            (V1, PemError::NoKey),
            (&V1_KEY[..100], PemError::Damaged(CUT)),
            (
                b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,1\n\nAA==\n-----END RSA PRIVATE KEY-----\n",
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
