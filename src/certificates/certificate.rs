//! What a certificate says (RFC 5280 §4.1).

use std::fmt::Write as _;

use jiff::Timestamp;
use ring::digest;
use rustls_pki_types::SignatureVerificationAlgorithm;
use thiserror::Error;
use tokio_rustls::rustls::crypto::ring::default_provider;
use x509_parser::asn1_rs::{Any, FromDer as _};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2sn};
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use super::distrust::Distrust;
use super::names::{self, name_for_people};
use super::roots::Usage;

/// Fewer bits of RSA are not taken.
const FEWEST_BITS: usize = 2048;

/// A certificate of X.509 v1 or v3.
#[derive(Debug, Clone)]
pub struct Certificate<'a> {
    x509: X509Certificate<'a>,
    key_algorithm: &'a [u8],
    signature_algorithm: &'a [u8],
}

/// It is no certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no X.509 certificate")]
pub struct NoCertificate;

impl<'a> Certificate<'a> {
    /// Reads DER.
    ///
    /// # Errors
    /// When it is no certificate of v1 to v3, or there is more behind it.
    pub fn parse(der: &'a [u8]) -> Result<Self, NoCertificate> {
        let Ok((&[], x509)) = X509Certificate::from_der(der) else {
            return Err(NoCertificate);
        };
        let signature_algorithm = second_element(der).ok_or(NoCertificate)?;
        let key_algorithm =
            first_element(x509.tbs_certificate.subject_pki.raw).ok_or(NoCertificate)?;
        // It stands inside and outside of what is signed, and may not differ (RFC 5280 §4.1.1.2).
        let is_one = x509.tbs_certificate.signature == x509.signature_algorithm;
        let key = &x509.tbs_certificate.subject_pki.subject_public_key;
        let whole_bytes = x509.signature_value.unused_bits == 0 && key.unused_bits == 0;
        let is_known = x509.version().0 < 3;
        if !(is_one && whole_bytes && is_known) {
            return Err(NoCertificate);
        }
        Ok(Self {
            x509,
            key_algorithm,
            signature_algorithm,
        })
    }

    /// 1 to 3.
    pub fn version(&self) -> u32 {
        self.x509.version().0.saturating_add(1)
    }

    /// Whom it is for, for people: `CN=…, O=…`.
    pub fn subject(&self) -> String {
        name_for_people(self.x509.subject())
    }

    /// Who made it, for people.
    pub fn issuer(&self) -> String {
        name_for_people(self.x509.issuer())
    }

    /// Not good before.
    pub fn not_before(&self) -> Timestamp {
        timestamp(self.x509.validity().not_before)
    }

    /// Not good after.
    pub fn not_after(&self) -> Timestamp {
        timestamp(self.x509.validity().not_after)
    }

    /// Whom it names in its common names and DNS names, as a charge point or a host would be named.
    pub fn names(&self) -> Vec<String> {
        let common = self.x509.subject().iter_common_name();
        let common = common.map(|it| names::text(it.attr_value()));
        let dns = self.alternative_names().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        });
        common.chain(dns).collect()
    }

    /// The hosts of its `subjectAltName`: DNS names and IP addresses.
    pub fn hosts(&self) -> Vec<String> {
        self.alternative_names().filter_map(names::host).collect()
    }

    /// Its `subjectAltName`.
    pub(crate) fn alternative_names(&self) -> impl Iterator<Item = &GeneralName<'a>> {
        let extension = self.x509.subject_alternative_name().ok().flatten();
        let names = extension.map_or(&[][..], |it| &it.value.general_names);
        names.iter()
    }

    /// Its number, big-endian.
    pub(super) fn raw_serial(&self) -> &'a [u8] {
        self.x509.tbs_certificate.raw_serial()
    }

    /// What the parser makes of it.
    pub(crate) const fn x509(&self) -> &X509Certificate<'a> {
        &self.x509
    }

    /// All of it.
    pub(super) fn der(&self) -> &'a [u8] {
        self.x509.as_raw()
    }

    /// `SubjectPublicKeyInfo`, DER.
    pub(super) fn key_info(&self) -> &'a [u8] {
        self.x509.tbs_certificate.subject_pki.raw
    }

    /// The key itself.
    pub(crate) fn key(&self) -> &[u8] {
        &self
            .x509
            .tbs_certificate
            .subject_pki
            .subject_public_key
            .data
    }

    /// What is inside the `AlgorithmIdentifier` of the key.
    pub(super) const fn key_algorithm(&self) -> &'a [u8] {
        self.key_algorithm
    }

    /// The subject, DER.
    pub(super) fn subject_der(&self) -> &'a [u8] {
        self.x509.tbs_certificate.subject.as_raw()
    }

    /// The issuer, DER.
    pub(super) fn issuer_der(&self) -> &'a [u8] {
        self.x509.tbs_certificate.issuer.as_raw()
    }

    /// Whether it says that it may sign others: v1 says nothing, and v3 not always.
    pub(super) fn authority(&self) -> Option<bool> {
        let constraints = self.x509.basic_constraints().ok()??;
        Some(constraints.value.ca)
    }

    /// How many authorities may stand below it.
    pub(super) fn path_length(&self) -> Option<u32> {
        let constraints = self.x509.basic_constraints().ok()??;
        constraints.value.path_len_constraint
    }

    /// Whether its key may sign certificates, as far as `keyUsage` says something.
    fn key_signs(&self) -> bool {
        match self.x509.key_usage() {
            Ok(usage) => usage.is_none_or(|it| it.value.key_cert_sign()),
            Err(_) => false,
        }
    }

    /// Whether it vouches for others where it stands in a list. X.509 v1 cannot say that it may, so
    /// there it must be a root.
    ///
    /// # Errors
    /// What it lacks.
    pub(crate) fn vouches_from_a_list(&self) -> Result<(), &'static str> {
        match self.authority() {
            None if !self.is_self_signed() => {
                Err("it is in the list and vouches for itself alone, because it is no root")
            }
            None | Some(true) => self.may_sign(),
            Some(false) => Err("its basicConstraints say so"),
        }
    }

    /// Whether it is a root for others: X.509 v1 that has signed itself, or v3 that says so.
    pub(crate) fn is_authority(&self) -> bool {
        let says = self.authority() == Some(true) || self.version() < 3;
        says && self.vouches_from_a_list().is_ok()
    }

    /// Whether nothing that it says keeps it from vouching for others, `basicConstraints` aside.
    ///
    /// # Errors
    /// What does.
    pub(super) fn may_sign(&self) -> Result<(), &'static str> {
        if !self.key_signs() {
            Err("its keyUsage does not contain keyCertSign")
        } else if self.constrains_names() {
            Err("it restricts the names below it (nameConstraints), which is not understood here")
        } else {
            Ok(())
        }
    }

    /// Whether it restricts the names below it.
    fn constrains_names(&self) -> bool {
        !matches!(self.x509.name_constraints(), Ok(None))
    }

    /// Whether it may be used for this, as far as `extendedKeyUsage` says something.
    pub(crate) fn serves(&self, usage: Usage) -> bool {
        match self.x509.extended_key_usage() {
            Ok(None) => true,
            Ok(Some(listed)) => {
                listed.value.any
                    || match usage {
                        Usage::Server => listed.value.server_auth,
                        Usage::Client => listed.value.client_auth,
                    }
            }
            Err(_) => false,
        }
    }

    /// The name of an extension that must be understood and is not.
    pub(crate) fn critical_stranger(&self) -> Option<String> {
        // Those looked at here, the two key identifiers, and policies, of which none is asked for.
        const UNDERSTOOD: [&str; 7] = [
            "2.5.29.14",
            "2.5.29.15",
            "2.5.29.17",
            "2.5.29.19",
            "2.5.29.32",
            "2.5.29.35",
            "2.5.29.37",
        ];
        self.x509
            .extensions()
            .iter()
            .filter(|it| it.critical)
            .map(|it| it.oid.to_id_string())
            .find(|oid| !UNDERSTOOD.contains(&oid.as_str()))
    }

    /// Whether this moment lies in its validity.
    ///
    /// # Errors
    /// When it has ended or not begun.
    pub(super) fn check_validity(&self, now: Timestamp) -> Result<(), Distrust> {
        let (subject, from, until) = (self.subject(), self.not_before(), self.not_after());
        if now > until {
            Err(Distrust::Expired { subject, until })
        } else if now < from {
            Err(Distrust::NotYetValid { subject, from, now })
        } else {
            Ok(())
        }
    }

    /// Whether the key of `issuer` has signed it; the names are not looked at.
    ///
    /// # Errors
    /// When it has not, or in a way that is not taken.
    pub(crate) fn check_signature(&self, issuer: &Certificate<'_>) -> Result<(), Distrust> {
        let algorithms = default_provider().signature_verification_algorithms.all;
        let by_name = |it: &&&dyn SignatureVerificationAlgorithm| {
            it.signature_alg_id().as_ref() == self.signature_algorithm
        };
        if !algorithms.iter().any(|it| by_name(&it)) {
            return Err(Distrust::Algorithm {
                subject: self.subject(),
                algorithm: self.algorithm_name(),
            });
        }
        let message = self.x509.tbs_certificate.as_ref();
        let signature = &self.x509.signature_value.data;
        let verified = algorithms
            .iter()
            .filter(by_name)
            .filter(|it| it.public_key_alg_id().as_ref() == issuer.key_algorithm)
            .any(|it| {
                let verified = it.verify_signature(issuer.key(), message, signature);
                verified.is_ok()
            });
        if verified {
            Ok(())
        } else if issuer.is_weak() {
            Err(Distrust::WeakKey {
                subject: issuer.subject(),
            })
        } else {
            Err(Distrust::NotSigned {
                subject: self.subject(),
                issuer: issuer.subject(),
            })
        }
    }

    /// Whether its own key has signed it.
    pub(crate) fn is_self_signed(&self) -> bool {
        self.subject_der() == self.issuer_der() && self.check_signature(self).is_ok()
    }

    /// Whether it says what it is for.
    pub(super) fn names_a_purpose(&self) -> bool {
        !matches!(self.x509.extended_key_usage(), Ok(None))
    }

    /// Whether something here verifies what its key has signed.
    pub(super) fn has_usable_key(&self) -> bool {
        let algorithms = default_provider().signature_verification_algorithms.all;
        let fits = |it: &&dyn SignatureVerificationAlgorithm| {
            it.public_key_alg_id().as_ref() == self.key_algorithm
        };
        algorithms.iter().any(fits) && !self.is_weak()
    }

    pub(super) fn is_weak(&self) -> bool {
        match self.x509.public_key().parsed() {
            Ok(PublicKey::RSA(key)) => key.key_size() < FEWEST_BITS,
            _ => false,
        }
    }

    fn algorithm_name(&self) -> String {
        let oid = &self.x509.signature_algorithm.algorithm;
        oid2sn(oid, oid_registry()).map_or_else(|_| oid.to_id_string(), str::to_owned)
    }
}

/// The SHA-256 of a certificate, as `openssl x509 -fingerprint -sha256` prints it.
pub fn fingerprint(der: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, der);
    let mut text = String::new();
    for byte in hash.as_ref() {
        let colon = if text.is_empty() { "" } else { ":" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{colon}{byte:02X}");
    }
    text
}

/// What is inside the first element of a SEQUENCE.
fn first_element(der: &[u8]) -> Option<&[u8]> {
    let (_, sequence) = Any::from_der(der).ok()?;
    let (_, first) = Any::from_der(sequence.data).ok()?;
    Some(first.data)
}

/// Universal, constructed, 16 (X.690 §8.9).
const SEQUENCE: u8 = 0x30;

/// What is inside the second element of a SEQUENCE, if that is a SEQUENCE, too. Nobody signs its tag.
fn second_element(der: &[u8]) -> Option<&[u8]> {
    let (_, sequence) = Any::from_der(der).ok()?;
    let (rest, _) = Any::from_der(sequence.data).ok()?;
    let (_, second) = Any::from_der(rest).ok()?;
    (rest.first() == Some(&SEQUENCE)).then_some(second.data)
}

/// Times beyond the calendar are those at its end: nobody lives to see the difference.
fn timestamp(time: ASN1Time) -> Timestamp {
    let seconds = time.timestamp();
    let end = if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_second(seconds).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, PublicKeyData as _, SanType};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;

    use super::*;

    const V1: &[u8] = include_bytes!("../../tests/it/fixtures/v1.crt");

    fn v1() -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(V1).unwrap()
    }

    #[test]
    fn a_v1_certificate_says_what_it_can() {
        let der = v1();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.version(), 1);
        assert_eq!(certificate.subject(), "CN=wallbox central");
        assert_eq!(certificate.names(), ["wallbox central"]);
        assert_eq!(certificate.hosts(), [""; 0]);
        assert_eq!(certificate.authority(), None);
        assert!(certificate.is_self_signed());
    }

    #[test]
    fn a_v3_certificate_says_whom_it_names() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["pi.example".to_owned()]).unwrap();
        let names = [SanType::IpAddress([10, 0, 0, 1].into())];
        params.subject_alt_names.extend(names);
        params
            .distinguished_name
            .push(DnType::CommonName, "Köln\u{1b}[31m");
        let made = params.self_signed(&key).unwrap();
        let certificate = Certificate::parse(made.der()).unwrap();
        assert_eq!(certificate.version(), 3);
        assert_eq!(certificate.hosts(), ["pi.example", "10.0.0.1"]);
        assert_eq!(certificate.names(), ["Köln\u{1b}[31m", "pi.example"]);
        let subject = certificate.subject();
        assert!(subject.ends_with("Köln\u{FFFD}[31m"), "{subject}");
        assert_eq!(certificate.key_info(), key.subject_public_key_info());
        assert_eq!(certificate.key(), key.der_bytes());
    }

    #[test]
    fn the_fingerprint_is_that_which_openssl_prints() {
        assert_eq!(
            fingerprint(&v1()),
            "CA:98:73:C6:1A:15:9C:66:E5:E6:B5:45:1B:13:B1:C0:\
             BC:83:F2:16:CC:5F:DB:99:B7:7B:A1:54:45:B7:84:EE"
        );
    }

    #[test]
    fn half_a_certificate_and_more_than_one_are_none() {
        let der = v1();
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_err(), "{length}");
        }
        assert!(Certificate::parse(&[&der[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_version_that_does_not_exist_is_no_certificate() {
        const V3: &[u8] = &[0xA0, 3, 2, 1, 2];
        let made = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        let mut der = made.cert.der().to_vec();
        let at = der.windows(V3.len()).position(|part| part == V3).unwrap();
        assert!(Certificate::parse(&der).is_ok());
        der[at + 4] = 3;
        assert!(Certificate::parse(&der).is_err());
    }

    #[test]
    fn the_algorithm_beside_what_is_signed_is_a_sequence_whatever_its_class() {
        let mut der = v1().to_vec();
        let (signed, _) = x509_parser::der_parser::asn1_rs::Header::from_der(&der)
            .and_then(|(inside, _)| Any::from_der(inside))
            .unwrap();
        let at = der.len() - signed.len();
        assert!(Certificate::parse(&der).is_ok() && der[at] == SEQUENCE);
        der[at] = 0xB0;
        assert!(Certificate::parse(&der).is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_makes_us_not_panic(at in 0..300_usize, byte: u8) {
            let mut der = v1().to_vec();
            let same = der.get(at).is_none_or(|it| *it == byte);
            if let Some(hit) = der.get_mut(at) {
                *hit = byte;
            }
            if let Ok(certificate) = Certificate::parse(&der) {
                let _ = (certificate.subject(), certificate.issuer(), certificate.names());
                let _ = (certificate.not_before(), certificate.not_after());
                prop_assert!(same || !certificate.is_self_signed());
            }
        }
    }
}
