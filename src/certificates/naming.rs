//! How certificates are named to others: by hashes of their issuer, and by their number
//! (RFC 6960 §4.1.1).

use ring::digest::{Algorithm, SHA256, SHA384, SHA512, digest};

use super::certificate::Certificate;

/// A hash function of the SHA-2 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sha2 {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Sha2 {
    fn hex(self, of: &[u8]) -> String {
        let algorithm: &'static Algorithm = match self {
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        };
        hex(digest(algorithm, of).as_ref())
    }
}

impl Certificate<'_> {
    /// Whether its own key has signed it and it names nobody else as its issuer.
    pub fn is_root(&self) -> bool {
        self.is_self_signed()
    }

    /// Its number in hexadecimal digits, without leading zeros.
    pub fn serial_number(&self) -> String {
        let digits = hex(self.raw_serial());
        match digits.trim_start_matches('0') {
            "" => "0".to_owned(),
            digits => digits.to_owned(),
        }
    }

    /// The hash of its issuer's name, in hexadecimal digits.
    pub fn issuer_name_hash(&self, by: Sha2) -> String {
        by.hex(self.issuer_der())
    }

    /// The hash of its own key, in hexadecimal digits. A root is its own issuer.
    pub fn key_hash(&self, by: Sha2) -> String {
        by.hex(self.key())
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(half.into(), 16);
    let digits = |byte: &u8| [digit(byte >> 4), digit(byte & 0xf)];
    bytes.iter().flat_map(digits).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificates::certificates;

    const V1: &[u8] = include_bytes!("../../tests/it/fixtures/v1.crt");

    #[test]
    fn a_certificate_is_named_as_openssl_names_it_in_ocsp_requests() {
        let der = certificates(V1).unwrap().remove(0);
        let certificate = Certificate::parse(&der).unwrap();
        assert!(certificate.is_root());
        assert_eq!(
            certificate.serial_number(),
            "16dd1db611fd19f11ffba0b0dfefe47d3cbb6224"
        );
        assert_eq!(
            certificate.issuer_name_hash(Sha2::Sha256),
            "52b59efa8fc1cb087696fbb7a2f0858259442cc3db0dcea59c034d70fb6e1abd"
        );
        assert_eq!(
            certificate.key_hash(Sha2::Sha256),
            "867d91e20fd3da9719d0f7816567f165f125c93b42be524cdee4ff282b54c2c4"
        );
        assert_eq!(certificate.key_hash(Sha2::Sha384).len(), 96);
        assert_eq!(certificate.issuer_name_hash(Sha2::Sha512).len(), 128);
    }
}
