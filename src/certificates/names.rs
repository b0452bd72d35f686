//! Names in certificates, as people read them. They go into the log and may come from anybody.

use std::net::IpAddr;

use x509_parser::asn1_rs::{Any, Tag};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::x509::X509Name;

/// Nobody's name needs more characters.
const LONGEST: usize = 200;

/// `CN=…, O=…`, in the order of the certificate.
pub(crate) fn name_for_people(name: &X509Name<'_>) -> String {
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
        "" => "(no name)".to_owned(),
        _ => clean(&joined),
    }
}

/// Text in whatever alphabet it was written.
pub(super) fn text(value: &Any<'_>) -> String {
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

/// The DNS name or IP address that this is; `None` where it is a name of another kind.
pub(super) fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(clean(name)),
        GeneralName::IPAddress(octets) => address(octets).map(|it| it.to_string()),
        _ => None,
    }
}

/// `DNS:pi`, `IP:192.168.1.5` and the like, as openssl writes them.
pub(crate) fn alternative_for_people(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) => format!("DNS:{}", clean(text)),
        GeneralName::IPAddress(octets) => match address(octets) {
            Some(address) => format!("IP:{address}"),
            None => format!("IP:(an address of {} bytes)", octets.len()),
        },
        GeneralName::RFC822Name(text) => format!("email:{}", clean(text)),
        GeneralName::URI(text) => format!("URI:{}", clean(text)),
        GeneralName::DirectoryName(name) => name_for_people(name),
        _ => "a name of another kind".to_owned(),
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(octets).map(IpAddr::from);
    v4.or(v6).ok()
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .take(LONGEST)
        .collect()
}

#[cfg(test)]
mod tests {
    use x509_parser::asn1_rs::FromDer as _;

    use super::*;

    #[test]
    fn names_are_read_in_every_alphabet_that_certificates_use() {
        for der in [
            &b"\x0c\x06S\xc3\xa4ule"[..],
            b"\x1e\x0a\0S\0\xe4\0u\0l\0e",
            b"\x14\x05S\xe4ule",
        ] {
            let (_, value) = Any::from_der(der).unwrap();
            assert_eq!(text(&value), "Säule", "{der:x?}");
        }
    }
}
