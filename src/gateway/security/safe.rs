//! What a gateway keeps under lock: its own key, the certificate for it, and the roots that its
//! backend installed.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::certificates::{Certificate, Identity, Sha2, certificates};
use crate::ocpp::messages::{
    self, CertificateHashData, FoundStatus, HashAlgorithm, InstallCertificateStatus,
};

/// `CertificateStoreMaxLength`
const MOST_ROOTS: usize = 10;

/// `CertificateSignedMaxChainSize`, in characters.
const LONGEST_CHAIN: usize = 10_000;

/// Of a certificate to install, in characters.
const LONGEST_CERTIFICATE: usize = 5500;

/// Of the number of a certificate, in hexadecimal digits (RFC 5280 §4.1.2.2).
const LONGEST_NUMBER: usize = 40;

/// So long before its end a certificate is asked for again.
const AHEAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A private key as PEM. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateKey(String);

impl PrivateKey {
    /// From PKCS#8 as PEM.
    pub fn new(pem: String) -> Self {
        Self(pem)
    }

    /// The key itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// A chain and the key that its first certificate belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    /// PEM.
    pub chain: String,
    /// The key.
    pub key: PrivateKey,
}

impl Signed {
    /// The end of its own certificate.
    fn end(&self) -> Option<Timestamp> {
        let identity = self.identity()?;
        let own = identity.chain().first()?;
        Some(Certificate::parse(own).ok()?.not_after())
    }

    fn identity(&self) -> Option<Identity> {
        Identity::from_pem(self.chain.as_bytes(), self.key.0.as_bytes()).ok()
    }
}

/// Keys, certificates and roots of one gateway.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::gateway) struct Safe {
    /// The key of the request that the backend was sent last.
    pending: Option<PrivateKey>,
    signed: Option<Signed>,
    /// What was shown before; nothing once a connection stood with the newest.
    before: Option<Signed>,
    proven: bool,
    /// PEM, one certificate each.
    roots: Vec<String>,
}

/// Why a certificate for our key is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Useless {
    #[error("no certificate was asked for")]
    Unasked,
    #[error("the chain is longer than 10000 characters")]
    TooLong,
    #[error("it cannot be read, or is not for the key of the last request")]
    NotOurs,
    #[error("a certificate of the chain is not valid now")]
    NotValid,
}

impl Safe {
    /// A request for a certificate for this key is on its way.
    pub(super) fn requests(&mut self, key: PrivateKey) {
        self.pending = Some(key);
    }

    /// A certificate came.
    pub(super) fn sign(&mut self, now: Timestamp, chain: &str) -> Result<(), Useless> {
        if chain.chars().count() > LONGEST_CHAIN {
            return Err(Useless::TooLong);
        }
        let key = self.pending.clone().ok_or(Useless::Unasked)?;
        let chain = chain.to_owned();
        let signed = Signed { chain, key };
        let identity = signed.identity().ok_or(Useless::NotOurs)?;
        let all_valid = identity.chain().iter().all(|der| is_valid(der, now));
        if !all_valid {
            return Err(Useless::NotValid);
        }
        self.pending = None;
        let proven = self.signed.take().filter(|_| self.proven);
        self.before = proven.or(self.before.take());
        self.signed = Some(signed);
        self.proven = false;
        Ok(())
    }

    /// The certificates to show, in this order; `None` = that of the configuration, if any.
    pub(super) fn to_show(&self, now: Timestamp) -> Vec<Option<&Signed>> {
        let valid = |it: &&Signed| it.end().is_some_and(|end| now <= end);
        let before = self.before.as_ref().filter(valid);
        match self.signed.as_ref().filter(valid) {
            Some(signed) if self.proven => vec![Some(signed)],
            Some(signed) => vec![Some(signed), before],
            None => vec![before],
        }
    }

    /// A connection stood with the newest certificate; true if that is new.
    pub(super) fn was_good(&mut self) -> bool {
        self.before = None;
        !std::mem::replace(&mut self.proven, true)
    }

    /// Whether it is time for a new certificate.
    pub(super) fn ends_soon(&self, now: Timestamp) -> bool {
        let end = self.signed.as_ref().and_then(Signed::end);
        end.is_some_and(|end| now.saturating_add(AHEAD).is_ok_and(|then| then >= end))
    }

    /// The installed roots, PEM.
    pub(super) fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Every certificate that counts: the own chain, and the installed roots.
    pub(in crate::gateway) fn certificates(&self) -> Vec<CertificateDer<'static>> {
        let chain = self.signed.iter().map(|signed| &signed.chain);
        let all = chain.chain(&self.roots);
        all.flat_map(|pem| certificates(pem.as_bytes()).unwrap_or_default())
            .collect()
    }

    /// Trusts a root.
    pub(super) fn install(&mut self, now: Timestamp, pem: &str) -> InstallCertificateStatus {
        use InstallCertificateStatus::{Accepted, Rejected};

        if pem.chars().count() > LONGEST_CERTIFICATE {
            return Rejected;
        }
        let all = certificates(pem.as_bytes()).unwrap_or_default();
        let [der] = all.as_slice() else {
            return Rejected;
        };
        let Ok(root) = Certificate::parse(der) else {
            return Rejected;
        };
        let names_itself = root.serial_number().len() <= LONGEST_NUMBER && root.is_root();
        if !names_itself || !is_valid(der, now) {
            return Rejected;
        }
        let known = |pem: &String| certificates(pem.as_bytes()).is_ok_and(|it| it == [der.clone()]);
        if self.roots.iter().any(known) {
            return Accepted;
        }
        if self.roots.len() >= MOST_ROOTS {
            return Rejected;
        }
        self.roots.push(pem.to_owned());
        Accepted
    }

    /// Does not trust a root any more.
    pub(super) fn delete(&mut self, which: &CertificateHashData) -> FoundStatus {
        let before = self.roots.len();
        self.roots
            .retain(|pem| !hash_data(pem, which.hash_algorithm).is_some_and(|it| same(&it, which)));
        if self.roots.len() < before {
            FoundStatus::Accepted
        } else {
            FoundStatus::NotFound
        }
    }

    /// What is installed.
    pub(super) fn installed(&self) -> Vec<CertificateHashData> {
        let roots = self.roots.iter();
        roots
            .filter_map(|pem| hash_data(pem, HashAlgorithm::Sha256))
            .collect()
    }

    /// What must outlive a restart, as JSON. It holds a private key.
    pub(in crate::gateway) fn memory(&self) -> String {
        messages::write(self)
    }
}

fn is_valid(der: &[u8], now: Timestamp) -> bool {
    Certificate::parse(der).is_ok_and(|it| (it.not_before()..=it.not_after()).contains(&now))
}

fn hash_data(pem: &str, algorithm: HashAlgorithm) -> Option<CertificateHashData> {
    let by = match algorithm {
        HashAlgorithm::Sha256 => Sha2::Sha256,
        HashAlgorithm::Sha384 => Sha2::Sha384,
        HashAlgorithm::Sha512 => Sha2::Sha512,
    };
    let all = certificates(pem.as_bytes()).ok()?;
    let root = Certificate::parse(all.first()?).ok()?;
    Some(CertificateHashData {
        hash_algorithm: algorithm,
        issuer_name_hash: root.issuer_name_hash(by),
        issuer_key_hash: root.key_hash(by),
        serial_number: root.serial_number(),
    })
}

fn same(one: &CertificateHashData, other: &CertificateHashData) -> bool {
    let number = |it: &CertificateHashData| {
        let digits = it.serial_number.trim();
        digits.trim_start_matches('0').to_ascii_lowercase()
    };
    let hash = |one: &str, other: &str| one.eq_ignore_ascii_case(other.trim());
    hash(&one.issuer_name_hash, &other.issuer_name_hash)
        && hash(&one.issuer_key_hash, &other.issuer_key_hash)
        && number(one) == number(other)
}
