//! Names and fingerprints, as people read them.

use std::net::{Ipv4Addr, Ipv6Addr};

use ring::digest::{SHA256, digest};
use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

use crate::cli::grid::clean;

/// `CN=…, O=…`, in the order of the certificate.
pub(super) fn subject(name: &X509Name<'_>) -> String {
    let attributes = name.iter_attributes().map(|attribute| {
        let oid = attribute.attr_type();
        let kind = match oid2abbrev(oid, oid_registry()) {
            Ok(abbreviation) => abbreviation.to_owned(),
            Err(_) => oid.to_id_string(),
        };
        format!("{kind}={}", text(attribute.attr_value()))
    });
    let joined = attributes.collect::<Vec<_>>().join(", ");
    match joined.as_str() {
        "" => "(empty)".to_owned(),
        _ => clean(&joined),
    }
}

/// Text in whatever alphabet it was written.
fn text(value: &Any<'_>) -> String {
    match value.tag() {
        Tag::BmpString => {
            let (pairs, _) = value.data.as_chunks::<2>();
            let units = pairs.iter().map(|pair| u16::from_be_bytes(*pair));
            char::decode_utf16(units)
                .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
                .collect()
        }
        // Everybody puts Latin-1 there.
        Tag::TeletexString => value.data.iter().copied().map(char::from).collect(),
        _ => String::from_utf8_lossy(value.data).into_owned(),
    }
}

/// `DNS:pi`, `IP:192.168.1.5` and the like, as openssl writes them.
pub(super) fn alternative(name: &GeneralName<'_>) -> String {
    let kind = match name {
        GeneralName::DNSName(_) => "DNS:",
        GeneralName::IPAddress(_) => "IP:",
        GeneralName::RFC822Name(_) => "email:",
        GeneralName::URI(_) => "URI:",
        _ => "",
    };
    format!("{kind}{}", bare(name))
}

/// The name alone.
pub(super) fn bare(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => {
            clean(text)
        }
        GeneralName::IPAddress(bytes) => address(bytes),
        GeneralName::DirectoryName(name) => subject(name),
        _ => "a name of another kind".to_owned(),
    }
}

fn address(bytes: &[u8]) -> String {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        Ipv4Addr::from(bytes).to_string()
    } else if let Ok(bytes) = <[u8; 16]>::try_from(bytes) {
        Ipv6Addr::from(bytes).to_string()
    } else {
        format!("(an address of {} bytes)", bytes.len())
    }
}

/// All of them.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => "none (no subject alternative name)".to_owned(),
        names => names.join(", "),
    }
}

/// `a, b or c`.
pub(super) fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}

/// SHA-256, as `openssl x509 -fingerprint -sha256` prints it.
pub(super) fn fingerprint(der: &[u8]) -> String {
    let digest = digest(&SHA256, der);
    let bytes = digest.as_ref().iter().map(|byte| format!("{byte:02X}"));
    bytes.collect::<Vec<_>>().join(":")
}
