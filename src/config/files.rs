//! The files that the configuration names: passwords, certificates and keys.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;

use super::problem::{Report, Span};
use super::value::Value;

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, the own certificate first.
    pub certificate: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
}

/// Content of a password file without the newline at its end.
pub(super) fn read_secret(report: &Report<'_>, path: &Path, span: &Span) -> Option<Vec<u8>> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable(report, path, span, &error);
            return None;
        }
    };
    warn_if_open(report, path, span);
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Some(bytes)
}

/// Reports a PEM file that holds no certificate.
pub(super) fn check_certificates(report: &Report<'_>, path: &Path, span: &Span) -> Option<()> {
    certificates(report, path, span).map(|_| ())
}

/// `certificate` and `private-key`: both or neither, readable, and belonging together.
pub(super) fn key_pair(
    report: &Report<'_>,
    certificate: &Value<PathBuf>,
    private_key: &Value<PathBuf>,
) -> Option<KeyPair> {
    let (certificate, private_key) = match (certificate, private_key) {
        (Value::Given(certificate), Value::Given(private_key)) => (certificate, private_key),
        (Value::Given(alone), Value::Absent) => {
            let remedy = "add private-key, or leave both out";
            report.problem(&alone.span, "certificate without private-key", remedy);
            return None;
        }
        (Value::Absent, Value::Given(alone)) => {
            let remedy = "add certificate, or leave both out";
            report.problem(&alone.span, "private-key without certificate", remedy);
            return None;
        }
        (Value::Absent | Value::Broken, _) | (_, Value::Broken) => return None,
    };
    let chain = certificates(report, certificate, &certificate.span);
    let key = public_key(report, private_key, &private_key.span);
    let (chain, key) = (chain?, key?);

    // A certificate holds the public key in the very bytes that rustls derives from the private
    // one. Looking for them, where rustls' own comparison parses, also serves X.509 v1.
    let own = chain.first()?;
    if !own.windows(key.len()).any(|part| part == key) {
        let what = format!(
            "the key does not belong to the certificate {}",
            certificate.display()
        );
        let remedy = "name the key that the certificate was made for; the own certificate comes \
                      first in its file";
        report.problem(&private_key.span, what, remedy);
        return None;
    }
    Some(KeyPair {
        certificate: certificate.value.clone(),
        private_key: private_key.value.clone(),
    })
}

fn certificates(
    report: &Report<'_>,
    path: &Path,
    span: &Span,
) -> Option<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match read {
        Ok(chain) if !chain.is_empty() => Some(chain),
        Ok(_) | Err(pem::Error::NoItemsFound) => {
            let what = format!("{} holds no certificate", path.display());
            let remedy = "name a PEM file with -----BEGIN CERTIFICATE-----";
            report.problem(span, what, remedy);
            None
        }
        Err(error) => {
            pem_problem(report, path, span, &error);
            None
        }
    }
}

/// The `SubjectPublicKeyInfo` (DER) that belongs to a private key.
fn public_key(report: &Report<'_>, path: &Path, span: &Span) -> Option<Vec<u8>> {
    const REMEDY: &str = "name a PEM file with an RSA, P-256, P-384 or Ed25519 key that has no \
                          passphrase";
    let key = match PrivateKeyDer::from_pem_file(path) {
        Ok(key) => key,
        Err(pem::Error::NoItemsFound) => {
            let what = format!("{} holds no private key", path.display());
            report.problem(span, what, REMEDY);
            return None;
        }
        Err(error) => {
            pem_problem(report, path, span, &error);
            return None;
        }
    };
    warn_if_open(report, path, span);
    let public = any_supported_type(&key)
        .ok()
        .and_then(|key| Some(key.public_key()?.to_vec()));
    if public.is_none() {
        let what = format!("the key in {} cannot be used", path.display());
        report.problem(span, what, REMEDY);
    }
    public
}

fn pem_problem(report: &Report<'_>, path: &Path, span: &Span, error: &pem::Error) {
    if let pem::Error::Io(error) = error {
        unreadable(report, path, span, error);
    } else {
        let what = format!("{} is no good PEM file", path.display());
        report.problem(span, what, "name a PEM file");
    }
}

fn unreadable(report: &Report<'_>, path: &Path, span: &Span, error: &io::Error) {
    let what = format!("{} cannot be read: {error}", path.display());
    let remedy = "check the path (relative ones are relative to this file) and who may read it";
    report.problem(span, what, remedy);
}

/// Warns when everybody on the machine may read a secret.
fn warn_if_open(report: &Report<'_>, path: &Path, span: &Span) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    if metadata.permissions().mode() & 0o004 != 0 {
        let path = path.display();
        let remedy = format!("chmod o= {path}");
        report.warning(span, format!("{path} can be read by everybody"), remedy);
    }
}
