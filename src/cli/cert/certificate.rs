//! What a certificate says, and what will accept it.

use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::Oid;
use x509_parser::prelude::X509Error;
use x509_parser::x509::{X509Name, X509Version};

use super::key;
use super::names;
use super::time;

/// What somebody may want a certificate for.
const SERVER: &str = "as server";
const CLIENT: &str = "as client";
const AUTHORITY: &str = "as CA";

/// Whether `key` signed `certificate`; `None` where that cannot be calculated here.
pub(super) fn is_signed_by(
    certificate: &X509Certificate<'_>,
    signer: &X509Certificate<'_>,
) -> Option<bool> {
    match certificate.verify_signature(Some(signer.public_key())) {
        Ok(()) => Some(true),
        Err(X509Error::SignatureVerificationError) => Some(false),
        Err(_) => None,
    }
}

/// Its own key signed it. Names do not tell: a short openssl recipe calls the root and what it
/// signs by the same name.
pub(super) fn is_self_signed(certificate: &X509Certificate<'_>) -> bool {
    certificate.issuer() == certificate.subject()
        && is_signed_by(certificate, certificate) != Some(false)
}

/// Label and value of each line. `signer` is where the certificate that signed it was found.
pub(super) fn rows(
    certificate: &X509Certificate<'_>,
    signer: Option<String>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let kind = key::public(certificate.public_key());
    let subject = names::subject(certificate.subject());
    let itself = is_self_signed(certificate);
    let issuer = match signer {
        _ if itself => "itself (self-signed)".to_owned(),
        Some(place) => format!("{}, which is {place}", names::subject(certificate.issuer())),
        None => names::subject(certificate.issuer()),
    };
    let hosts = hosts(certificate);
    let validity = certificate.validity();
    let [from, to] = [validity.not_before, validity.not_after].map(|it| it.timestamp());
    let mut rows = vec![
        ("key", kind.name),
        ("subject", subject),
        ("issuer", issuer),
        ("names", names::listed(&all_names(certificate))),
        ("valid", time::valid(from, to, now)),
        ("SHA-256", names::fingerprint(certificate.as_raw())),
        (SERVER, as_server(certificate, &hosts)),
        (CLIENT, as_client(certificate)),
        (AUTHORITY, as_authority(certificate, itself)),
    ];
    let notes = notes(certificate, itself).into_iter().chain(kind.flaw);
    rows.extend(notes.map(|note| ("note", note.to_owned())));
    rows
}

/// `X.509 v3`.
pub(super) fn version(version: X509Version) -> String {
    format!("X.509 v{}", version.0.saturating_add(1))
}

fn is_v1(certificate: &X509Certificate<'_>) -> bool {
    certificate.version() == X509Version::V1
}

fn alternative_names<'a>(certificate: &'a X509Certificate<'_>) -> Option<&'a [GeneralName<'a>]> {
    let extension = certificate.subject_alternative_name().ok().flatten()?;
    Some(&extension.value.general_names)
}

fn all_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = alternative_names(certificate).unwrap_or_default();
    names.iter().map(names::alternative).collect()
}

/// The names that a client can call a server by.
fn hosts(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = alternative_names(certificate).unwrap_or_default();
    let callable = |name: &&GeneralName<'_>| {
        matches!(name, GeneralName::DNSName(_) | GeneralName::IPAddress(_))
    };
    names.iter().filter(callable).map(names::bare).collect()
}

fn as_server(certificate: &X509Certificate<'_>, hosts: &[String]) -> String {
    if !is_for(certificate, |usage| usage.server_auth) {
        return "no: its extended key usage is not for servers".to_owned();
    }
    match hosts {
        [] => "only for clients that do not check the host name: it has no SAN \
               (verify-hostname = false; browsers refuse it)"
            .to_owned(),
        hosts => format!("yes, for clients that call it {}", names::either(hosts)),
    }
}

fn as_client(certificate: &X509Certificate<'_>) -> String {
    if is_for(certificate, |usage| usage.client_auth) {
        "yes".to_owned()
    } else {
        "no: its extended key usage is not for clients".to_owned()
    }
}

fn is_for(
    certificate: &X509Certificate<'_>,
    purpose: impl Fn(&x509_parser::extensions::ExtendedKeyUsage<'_>) -> bool,
) -> bool {
    match certificate.extended_key_usage() {
        Ok(Some(usage)) => usage.value.any || purpose(usage.value),
        Ok(None) | Err(_) => true,
    }
}

fn as_authority(certificate: &X509Certificate<'_>, itself: bool) -> String {
    if is_v1(certificate) {
        return if itself {
            "yes, here and for OpenSSL: version 1 does not say whether it is one".to_owned()
        } else {
            ITSELF_ALONE.to_owned()
        };
    }
    if !certificate.is_ca() {
        return ITSELF_ALONE.to_owned();
    }
    match certificate.key_usage() {
        Ok(Some(usage)) if !usage.value.key_cert_sign() => {
            "no: its key usage does not let it sign certificates".to_owned()
        }
        _ => "yes".to_owned(),
    }
}

const ITSELF_ALONE: &str = "no; in ca and client-ca it stands for itself alone";

fn notes(certificate: &X509Certificate<'_>, itself: bool) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if is_v1(certificate) {
        notes.push(
            "version 1 works here and with OpenSSL; stricter TLS libraries (rustls, for one) \
             refuse it. certs/README.md shows how to make version 3",
        );
    }
    if certificate.issuer() == certificate.subject() && !itself {
        notes.push("subject and issuer have the same name, but another key signed it");
    }
    if !itself && is_signed_weakly(certificate) {
        notes.push("its signature uses SHA-1 or MD5, which is refused, here and elsewhere");
    }
    // What `openssl req -x509` makes with its own configuration file.
    if certificate.is_ca() && !hosts(certificate).is_empty() {
        notes.push("it says that it is a CA: some clients refuse such a one as a server's own");
    }
    if is_encoded_twice(certificate.subject()) {
        notes.push(
            "the name looks as if its UTF-8 was encoded twice: give openssl the option -utf8",
        );
    }
    notes
}

/// `md5WithRSAEncryption`, `sha1WithRSAEncryption`, `sha1WithRSA`, `ecdsa-with-SHA1`.
const WEAK: [&str; 4] = [
    "1.2.840.113549.1.1.4",
    "1.2.840.113549.1.1.5",
    "1.3.14.3.2.29",
    "1.2.840.10045.4.1",
];

fn is_signed_weakly(certificate: &X509Certificate<'_>) -> bool {
    let algorithm: &Oid<'_> = &certificate.signature_algorithm.algorithm;
    WEAK.contains(&algorithm.to_id_string().as_str())
}

/// `Köln` becomes `KÃ¶ln`: bytes of UTF-8 that were taken for Latin-1.
fn is_encoded_twice(name: &X509Name<'_>) -> bool {
    let text: Vec<char> = names::subject(name).chars().collect();
    text.array_windows().any(|[first, second]| {
        matches!(first, '\u{c3}' | '\u{c2}') && matches!(second, '\u{80}'..='\u{bf}' | '\u{fffd}')
    })
}
