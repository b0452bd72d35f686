//! The files that the configuration names: passwords, certificates and keys.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::problem::{Report, Span};
use super::value::Value;
use crate::certificates::{self, Identity, IdentityError, PemError};

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

/// Reports a PEM file that holds no certificate.
pub(super) fn check_certificates(report: &Report<'_>, path: &Path, span: &Span) -> Option<()> {
    read(report, path, span, |file| {
        certificates::certificates(file).map(drop)
    })
    .map(drop)
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
    let chain = read(report, certificate, &certificate.span, |file| {
        certificates::certificates(file).map(drop)
    });
    let key = read(report, private_key, &private_key.span, |file| {
        certificates::private_key(file).map(drop)
    });
    if key.is_some() {
        warn_if_open(report, private_key, &private_key.span);
    }
    let Err(error) = Identity::from_pem(&chain?, &key?) else {
        return Some(KeyPair {
            certificate: certificate.value.clone(),
            private_key: private_key.value.clone(),
        });
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

/// A file that passes its check.
fn read(
    report: &Report<'_>,
    path: &Path,
    span: &Span,
    check: impl Fn(&[u8]) -> Result<(), PemError>,
) -> Option<Vec<u8>> {
    let file = match std::fs::read(path) {
        Ok(file) => file,
        Err(error) => {
            unreadable(report, path, span, &error);
            return None;
        }
    };
    let checked = check(&file);
    checked
        .map_err(|why| bad(report, path, span, why))
        .is_ok()
        .then_some(file)
}

fn bad(report: &Report<'_>, path: &Path, span: &Span, why: PemError) {
    let what = format!("{} {why}", path.display());
    report.problem(span, what, why.remedy());
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
