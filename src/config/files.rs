//! The files that the configuration names: passwords, certificates and keys.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;

use super::problem::{Report, Span};
use super::value::Value;
use crate::certificates::{
    self, Flaw, Identity, IdentityError, PemError, Usage, flaws_of_own, flaws_of_trusted,
    with_names,
};

/// A certificate chain and its private key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPair {
    /// The chain, the own certificate first.
    pub certificate: PathBuf,
    /// Its key.
    pub private_key: PathBuf,
}

/// U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Content of a password file without a byte order mark and without the newline at its end.
pub(super) fn read_secret(report: &Report<'_>, path: &Path, span: &Span) -> Option<Vec<u8>> {
    let mut bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            unreadable(report, path, span, &error);
            return None;
        }
    };
    warn_if_open(report, path, span);
    // Editors of Windows put it there; nobody types it.
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.drain(..BYTE_ORDER_MARK.len());
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
    Some(bytes)
}

/// The certificates of a PEM file that vouch for peers of this `usage`.
pub(super) fn trusted(
    report: &Report<'_>,
    path: &Path,
    span: &Span,
    usage: Usage,
) -> Option<Vec<CertificateDer<'static>>> {
    let (_, found) = read(report, path, span, certificates::certificates)?;
    let flaws = flaws_of_trusted(&found, usage, report.now());
    warn_of(report, path, span, flaws);
    Some(found)
}

/// `certificate` and `private-key`: both or neither, readable, and belonging together. They are
/// presented as this `usage` says.
pub(super) fn key_pair(
    report: &Report<'_>,
    usage: Usage,
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
    let chain = read(
        report,
        certificate,
        &certificate.span,
        certificates::certificates,
    );
    let key = read(
        report,
        private_key,
        &private_key.span,
        certificates::private_key,
    );
    if key.is_some() {
        warn_if_open(report, private_key, &private_key.span);
    }
    let error = match Identity::from_pem(&chain?.0, &key?.0) {
        Ok(identity) => {
            let flaws = flaws_of_own(identity.chain(), usage, report.now());
            warn_of(report, certificate, &certificate.span, flaws);
            return Some(KeyPair {
                certificate: certificate.value.clone(),
                private_key: private_key.value.clone(),
            });
        }
        Err(error) => error,
    };
    match error {
        IdentityError::Certificate(why) => bad(report, certificate, &certificate.span, why),
        IdentityError::Key(why) => bad(report, private_key, &private_key.span, why),
        IdentityError::Mismatch => {
            let what = format!(
                "the key does not belong to the certificate {}",
                certificate.display()
            );
            let remedy = "name the key that the certificate was made for";
            report.problem(&private_key.span, what, remedy);
        }
    }
    None
}

/// A file, and what is in it.
fn read<T>(
    report: &Report<'_>,
    path: &Path,
    span: &Span,
    parse: impl Fn(&[u8]) -> Result<T, PemError>,
) -> Option<(Vec<u8>, T)> {
    let file = match std::fs::read(path) {
        Ok(file) => file,
        Err(error) => {
            unreadable(report, path, span, &error);
            return None;
        }
    };
    match parse(&file) {
        Ok(parsed) => Some((file, parsed)),
        Err(why) => {
            bad(report, path, span, why);
            None
        }
    }
}

fn warn_of(report: &Report<'_>, path: &Path, span: &Span, flaws: Vec<Flaw>) {
    for Flaw { what, remedy } in flaws {
        report.warning(span, format!("{}: {what}", path.display()), remedy);
    }
}

fn bad(report: &Report<'_>, path: &Path, span: &Span, why: PemError) {
    let what = format!("{} {why}", path.display());
    let remedy = with_names(why.remedy(), &path.display().to_string());
    report.problem(span, what, remedy);
}

fn unreadable(report: &Report<'_>, path: &Path, span: &Span, error: &io::Error) {
    let what = format!("{} cannot be read: {error}", path.display());
    let remedy = "check the path (relative ones are relative to this file) and who may read it";
    report.problem(span, what, remedy);
}

/// Warns when more people may read a secret than need to.
fn warn_if_open(report: &Report<'_>, path: &Path, span: &Span) {
    let Ok(metadata) = std::fs::metadata(path) else {
        return;
    };
    if let Some(remedy) = remedy_if_open(metadata.mode(), metadata.uid()) {
        let path = path.display();
        let what = format!("{path} can be read by others than its owner");
        report.warning(span, what, format!("{remedy} {path}"));
    }
}

/// The command that closes a file with a secret, where it is open. What belongs to root is read
/// through its group; what belongs to the daemon needs no group.
pub(crate) const fn remedy_if_open(mode: u32, owner: u32) -> Option<&'static str> {
    match (owner, mode & 0o077, mode & 0o007) {
        (_, 0, _) | (0, _, 0) => None,
        (0, ..) => Some("chmod o="),
        (..) => Some("chmod go="),
    }
}

#[cfg(test)]
mod tests {
    use super::remedy_if_open;

    #[test]
    fn a_secret_is_for_its_owner_and_with_root_for_a_group() {
        const ROOT: u32 = 0;
        const DAEMON: u32 = 990;
        for (mode, owner, remedy) in [
            (0o100_600, DAEMON, None),
            (0o100_640, DAEMON, Some("chmod go=")),
            (0o100_644, DAEMON, Some("chmod go=")),
            (0o100_600, ROOT, None),
            (0o100_640, ROOT, None),
            (0o100_644, ROOT, Some("chmod o=")),
            (0o100_602, ROOT, Some("chmod o=")),
        ] {
            assert_eq!(remedy_if_open(mode, owner), remedy, "{mode:o} {owner}");
        }
    }
}
