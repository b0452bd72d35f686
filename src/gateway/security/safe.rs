//! What a gateway keeps under lock: its own key, the certificate for it, and the roots that its
//! backend installed.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};

use crate::certificates::{Certificate, Identity, Sha2, Usage, certificates};
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

    /// For the log.
    pub(super) fn words(&self) -> String {
        let end = self.end().unwrap_or_default();
        format!("the one that the backend signed, valid until {end}")
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
    /// That of the request before: its answer may still be on the way.
    earlier: Option<PrivateKey>,
    signed: Option<Signed>,
    /// What was shown before; nothing once the newest was good.
    before: Option<Signed>,
    /// The backend asked for the newest, and let us in with it.
    proven: bool,
    /// The configuration's certificate when the newest was signed: another one in the file ends what
    /// the backend signed. Nothing where that was not known.
    beside: Option<String>,
    /// The configuration's certificate, as a fingerprint; nothing before anybody said it.
    #[serde(skip)]
    configured: Option<String>,
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
    #[error("it cannot be read, or is not for the key of a request of ours")]
    NotOurs,
    #[error("a certificate of the chain is not valid now")]
    NotValid,
    #[error("its extendedKeyUsage does not contain clientAuth")]
    NotForClients,
}

/// What the certificate of the configuration means for those that the backend signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Configured {
    /// Nothing.
    Same,
    /// It is now known what was configured beside them.
    Learnt,
    /// It came after them: they are forgotten.
    Other,
}

impl Safe {
    /// A request for a certificate for this key is on its way.
    pub(super) fn requests(&mut self, key: PrivateKey) {
        self.earlier = self.pending.replace(key);
    }

    /// A certificate came.
    pub(super) fn sign(&mut self, now: Timestamp, chain: &str) -> Result<(), Useless> {
        if chain.chars().count() > LONGEST_CHAIN {
            return Err(Useless::TooLong);
        }
        let keys = [&self.pending, &self.earlier];
        let keys: Vec<PrivateKey> = keys.into_iter().flatten().cloned().collect();
        if keys.is_empty() {
            return Err(Useless::Unasked);
        }
        let with_key = |key| {
            let chain = chain.to_owned();
            let signed = Signed { chain, key };
            Some((signed.identity()?, signed))
        };
        let found = keys.into_iter().find_map(with_key);
        let (identity, signed) = found.ok_or(Useless::NotOurs)?;
        let all_valid = identity.chain().iter().all(|der| is_valid(der, now));
        if !all_valid {
            return Err(Useless::NotValid);
        }
        let own = identity.chain().first();
        let own = own.and_then(|der| Certificate::parse(der).ok());
        if !own.is_some_and(|it| it.serves(Usage::Client)) {
            return Err(Useless::NotForClients);
        }
        for key in [&mut self.pending, &mut self.earlier] {
            key.take_if(|key| *key == signed.key);
        }
        let proven = self.signed.take().filter(|_| self.proven);
        self.before = proven.or(self.before.take());
        self.signed = Some(signed);
        self.proven = false;
        self.beside.clone_from(&self.configured);
        Ok(())
    }

    /// The configuration shows this certificate, or none (an empty fingerprint). With another one
    /// than when the backend signed, what it signed ends.
    pub(super) fn configured(&mut self, fingerprint: &str) -> Configured {
        self.configured = Some(fingerprint.to_owned());
        if self.signed.is_none() && self.before.is_none() {
            return Configured::Same;
        }
        match self.beside.as_deref() {
            Some(beside) if beside == fingerprint => Configured::Same,
            Some(_) => {
                (self.signed, self.before) = (None, None);
                self.proven = false;
                Configured::Other
            }
            None => {
                self.beside.clone_from(&self.configured);
                Configured::Learnt
            }
        }
    }

    /// The certificates to show, in this order; `None` = that of the configuration, if any, which is
    /// always the last.
    pub(super) fn to_show(&self, now: Timestamp) -> Vec<Option<&Signed>> {
        let valid = |it: &&Signed| it.end().is_some_and(|end| now <= end);
        let signed = [self.signed.as_ref(), self.before.as_ref()];
        let signed = signed.into_iter().flatten().filter(valid).map(Some);
        signed.chain([None]).collect()
    }

    /// The newest certificate is valid, and the backend let us in with it.
    pub(super) fn is_proven(&self, now: Timestamp) -> bool {
        let end = self.signed.as_ref().and_then(Signed::end);
        self.proven && end.is_some_and(|end| now <= end)
    }

    /// The backend asked for the newest certificate and let us in; true if that is new.
    pub(super) fn was_good(&mut self) -> bool {
        self.before = None;
        !std::mem::replace(&mut self.proven, true)
    }

    /// The backend refuses the newest certificate and lets us in with another one; true if that is
    /// new.
    pub(super) fn was_bad(&mut self) -> bool {
        std::mem::replace(&mut self.proven, false)
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
        if !names_itself || !root.is_authority() || !is_valid(der, now) {
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
