//! What installers do, with the same command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use chargewarden::certificates::{Certificate, Identity, Roots, certificates};
use rustls_pki_types::CertificateDer;
use tempfile::TempDir;

/// What a recipe is meant to make, and mostly does not.
pub(crate) const ROOT: &str = "basicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign";
pub(crate) const LEAF: &str = "subjectAltName=DNS:localhost,IP:127.0.0.1";
/// No extensions: X.509 v1.
pub(crate) const V1: &str = "";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Rsa,
    Ec,
}

/// A directory full of keys.
pub(crate) struct Workshop(TempDir);

/// A certificate and its key.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Made {
    pub(crate) fn pem(&self) -> Vec<u8> {
        fs::read(&self.certificate).unwrap()
    }

    pub(crate) fn key_pem(&self) -> Vec<u8> {
        fs::read(&self.key).unwrap()
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        certificates(&self.pem()).unwrap().remove(0)
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::from_pem(&self.pem(), &self.key_pem()).unwrap()
    }
}

/// Trusts these, by this key of the configuration.
pub(crate) fn roots(list: &'static str, trusted: &[&Made]) -> Arc<Roots> {
    Arc::new(Roots::new(list, trusted.iter().map(|it| it.der())))
}

impl Workshop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A key without a passphrase.
    pub(crate) fn key(&self, name: &str, kind: Kind) -> PathBuf {
        let path = self.path(&format!("{name}.key"));
        let kind: &[&str] = match kind {
            Kind::Rsa => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Kind::Ec => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
        };
        run(&[&["genpkey", "-quiet", "-out", utf8(&path)], kind].concat());
        path
    }

    /// A certificate that its own key signs.
    pub(crate) fn own(&self, name: &str, subject: &str, extensions: &str, kind: Kind) -> Made {
        let key = self.key(name, kind);
        let certificate = self.path(&format!("{name}.crt"));
        let mut words = vec!["req", "-x509", "-new", "-utf8", "-days", "365"];
        words.extend(["-key", utf8(&key), "-subj", subject, "-out"]);
        words.push(utf8(&certificate));
        let config = self.write(
            "own.cnf",
            format!("[req]\ndistinguished_name=dn\n[dn]\n[ext]\n{extensions}\n"),
        );
        words.extend(["-config", utf8(&config)]);
        if extensions != V1 {
            words.extend(["-extensions", "ext"]);
        }
        run(&words);
        expect_version(&certificate, extensions);
        Made { certificate, key }
    }

    /// A certificate that another key signs.
    pub(crate) fn issue(
        &self,
        by: &Made,
        name: &str,
        subject: &str,
        extensions: &str,
        kind: Kind,
    ) -> Made {
        let key = self.key(name, kind);
        self.certify(by, name, subject, extensions, key, &["-sha256"])
    }

    /// The same for a key that is there, signed with these words.
    pub(crate) fn certify(
        &self,
        by: &Made,
        name: &str,
        subject: &str,
        extensions: &str,
        key: PathBuf,
        how: &[&str],
    ) -> Made {
        let request = self.path(&format!("{name}.csr"));
        let certificate = self.path(&format!("{name}.crt"));
        let config = self.write("request.cnf", "[req]\ndistinguished_name=dn\n[dn]\n");
        let mut words = vec!["req", "-new", "-utf8", "-key", utf8(&key), "-subj", subject];
        words.extend(["-config", utf8(&config), "-out", utf8(&request)]);
        run(&words);
        let file = self.write("issue.ext", extensions);
        let mut words = vec!["x509", "-req", "-in", utf8(&request), "-days", "365"];
        words.extend(["-CA", utf8(&by.certificate), "-CAkey", utf8(&by.key)]);
        words.extend(["-CAcreateserial", "-out", utf8(&certificate)]);
        words.extend(how);
        if extensions != V1 {
            words.extend(["-extfile", utf8(&file)]);
        }
        run(&words);
        expect_version(&certificate, extensions);
        Made { certificate, key }
    }

    /// One file of several, in this order.
    pub(crate) fn chain(&self, name: &str, parts: &[&Made]) -> Made {
        let pem: Vec<u8> = parts.iter().flat_map(|it| it.pem()).collect();
        Made {
            certificate: self.write(&format!("{name}.pem"), pem),
            key: parts[0].key.clone(),
        }
    }
}

/// The recipe's v1 is what this is about: an openssl that makes v3 unasked would test something else.
fn expect_version(certificate: &Path, extensions: &str) {
    let der = certificates(&fs::read(certificate).unwrap()).unwrap();
    let version = Certificate::parse(&der[0]).unwrap().version();
    assert_eq!(version, if extensions == V1 { 1 } else { 3 });
}

pub(crate) fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(crate) fn run(words: &[&str]) {
    let done = Command::new("openssl").args(words).output();
    let done = done.expect("the tests need the openssl command");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "openssl {}: {said}", words.join(" "));
}
