//! Forms of certificates that other programs write and that are of no use here.

use x509_parser::asn1_rs::{Any, Oid, Sequence, oid};
use x509_parser::prelude::FromDer;

/// What a file is instead of PEM with certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// PKCS#12: what Windows and browsers export.
    Pkcs12,
    /// PKCS#7 in PEM.
    Pkcs7,
    /// PKCS#7 in DER: what Windows exports.
    Pkcs7Der,
    /// What `openssl x509 -trustout` writes.
    Trusted,
}

impl Foreign {
    /// By what a block of PEM calls itself.
    pub(crate) fn of_label(label: &str) -> Option<Self> {
        match label {
            "TRUSTED CERTIFICATE" => Some(Self::Trusted),
            "PKCS7" | "CMS" => Some(Self::Pkcs7),
            _ => None,
        }
    }

    /// By the bytes of a whole file.
    pub(crate) fn of_file(bytes: &[u8]) -> Option<Self> {
        const SIGNED_DATA: Oid<'static> = oid!(1.2.840.113549.1.7.2);
        let (_, whole) = Sequence::from_der(bytes).ok()?;
        let (_, first) = Any::from_der(&whole.content).ok()?;
        // A PFX begins with the version 3 (RFC 7292 §4); private keys have 0, 1 or 2.
        if first.data == [3] {
            Some(Self::Pkcs12)
        } else if first.as_oid().is_ok_and(|it| it == SIGNED_DATA) {
            Some(Self::Pkcs7Der)
        } else {
            None
        }
    }

    /// What it is.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Pkcs12 => {
                "PKCS#12 (.p12, .pfx): certificate and key in one file under a password"
            }
            Self::Pkcs7 | Self::Pkcs7Der => "certificates in PKCS#7",
            Self::Trusted => "a certificate with trust settings, which only openssl reads",
        }
    }

    /// What to do; FILE and NEW stand for names.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Pkcs12 => {
                "unpack it: (umask 077; openssl pkcs12 -in FILE -nodes -out NEW); what is in it \
                 serves as certificate and as private-key"
            }
            Self::Pkcs7 => "unpack them: openssl pkcs7 -in FILE -print_certs -out NEW",
            Self::Pkcs7Der => {
                "unpack them: openssl pkcs7 -inform der -in FILE -print_certs -out NEW"
            }
            Self::Trusted => "make a plain one of it: openssl x509 -in FILE -out NEW",
        }
    }
}
