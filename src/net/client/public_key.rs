//! Finds the public key in a certificate.
//!
//! TLS libraries read X.509 v3 alone, but backends that were set up with the common openssl recipe
//! have v1 certificates. So nothing is looked at but the key, which stands in the same place in
//! both (RFC 5280 §4.1).

/// Tags of DER (ITU-T X.690).
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;
const VERSION: u8 = 0xA0;

/// `SubjectPublicKeyInfo`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PublicKey<'a> {
    /// All of it, DER.
    pub(super) info: &'a [u8],
    /// What is inside its `AlgorithmIdentifier`.
    pub(super) algorithm: &'a [u8],
    /// The key itself.
    pub(super) key: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// Finds the key in a certificate (DER); `None` if it is none.
    pub(super) fn of(certificate: &'a [u8]) -> Option<Self> {
        let certificate = Element::read(certificate)?.inside(SEQUENCE)?;
        let mut rest = Element::read(certificate)?.inside(SEQUENCE)?;
        // A v1 certificate has no version.
        if rest.first() == Some(&VERSION) {
            rest = Element::read(rest)?.rest;
        }
        for _ in [
            "serial number",
            "signature",
            "issuer",
            "validity",
            "subject",
        ] {
            rest = Element::read(rest)?.rest;
        }
        let info = Element::read(rest)?;
        let algorithm = Element::read(info.inside(SEQUENCE)?)?;
        // The first byte counts the unused bits at the end.
        let [0, key @ ..] = Element::read(algorithm.rest)?.inside(BIT_STRING)? else {
            return None;
        };
        Some(Self {
            info: info.whole,
            algorithm: algorithm.inside(SEQUENCE)?,
            key,
        })
    }
}

/// One value of DER.
struct Element<'a> {
    tag: u8,
    value: &'a [u8],
    whole: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Element<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (tag, length, header) = match bytes {
            [tag, length @ ..=0x7F, ..] => (*tag, usize::from(*length), 2),
            [tag, 0x81, length, ..] => (*tag, usize::from(*length), 3),
            [tag, 0x82, high, low, ..] => (*tag, usize::from(u16::from_be_bytes([*high, *low])), 4),
            _ => return None, // longer than any certificate
        };
        let (whole, rest) = bytes.split_at_checked(header + length)?;
        Some(Self {
            tag,
            value: whole.get(header..)?,
            whole,
            rest,
        })
    }

    fn inside(&self, tag: u8) -> Option<&'a [u8]> {
        (self.tag == tag).then_some(self.value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::PublicKeyData as _;
    use rustls_pki_types::pem::PemObject as _;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    use tokio_rustls::rustls::crypto::ring::default_provider;

    use super::*;

    const V1: &[u8] = include_bytes!("../../../tests/it/fixtures/v1.crt");
    const V1_KEY: &[u8] = include_bytes!("../../../tests/it/fixtures/v1.key");

    #[test]
    fn the_key_of_a_v3_certificate_is_found() {
        let made = rcgen::generate_simple_self_signed(["h".to_owned()]).unwrap();
        let key = PublicKey::of(made.cert.der()).unwrap();
        assert_eq!(key.info, made.signing_key.subject_public_key_info());
        assert_eq!(key.key, made.signing_key.der_bytes());
        assert_eq!(key.algorithm, rustls_pki_types::alg_id::ECDSA_P256.as_ref());
    }

    #[test]
    fn the_key_of_a_v1_certificate_is_found() {
        let certificate = CertificateDer::from_pem_slice(V1).unwrap();
        let private = PrivateKeyDer::from_pem_slice(V1_KEY).unwrap();
        let pair = default_provider().key_provider.load_private_key(private);
        let pair = pair.unwrap();
        let public = pair.public_key().unwrap();
        assert_eq!(PublicKey::of(&certificate).unwrap().info, public.as_ref());
    }

    #[test]
    fn half_a_certificate_has_no_key() {
        let certificate = CertificateDer::from_pem_slice(V1).unwrap();
        for length in 0..certificate.len() {
            assert_eq!(PublicKey::of(&certificate[..length]), None, "{length}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_makes_us_not_panic(at in 0..300_usize, byte: u8) {
            let mut certificate = CertificateDer::from_pem_slice(V1).unwrap().to_vec();
            if let Some(hit) = certificate.get_mut(at) {
                *hit = byte;
            }
            if let Some(key) = PublicKey::of(&certificate) {
                prop_assert!(key.info.len() > key.key.len());
            }
        }
    }
}
