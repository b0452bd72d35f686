//! What a certificate says, and what will accept it.

use jiff::Timestamp;

use super::key;
use super::time;
use super::words;
use crate::certificates::{Certificate, Distrust, Usage, alternative_for_people, fingerprint};

/// What somebody may want a certificate for.
const SERVER: &str = "as server";
const CLIENT: &str = "as client";
const AUTHORITY: &str = "as CA";

/// Whether `signer` signed it; `None` where that cannot be calculated here.
pub(super) fn is_signed_by(
    certificate: &Certificate<'_>,
    signer: &Certificate<'_>,
) -> Option<bool> {
    match certificate.check_signature(signer) {
        Ok(()) => Some(true),
        // With a key of a kind that is unknown here nobody could tell.
        Err(Distrust::NotSigned { .. }) => {
            let unknown = key::public(signer.x509().public_key()).flaw.is_some();
            (!unknown).then_some(false)
        }
        Err(_) => None,
    }
}

/// Its own key signed it. Names do not tell: a short openssl recipe calls the root and what it
/// signs by the same name.
pub(super) fn is_self_signed(certificate: &Certificate<'_>) -> bool {
    names_itself(certificate) && is_signed_by(certificate, certificate) != Some(false)
}

fn names_itself(certificate: &Certificate<'_>) -> bool {
    certificate.x509().issuer() == certificate.x509().subject()
}

/// Label and value of each line. `signer` is where the certificate that signed it was found.
pub(super) fn rows(
    certificate: &Certificate<'_>,
    signer: Option<String>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let kind = key::public(certificate.x509().public_key());
    let itself = is_self_signed(certificate);
    let issuer = match signer {
        _ if itself => "itself (self-signed)".to_owned(),
        Some(place) => format!("{}, which is {place}", certificate.issuer()),
        None => certificate.issuer(),
    };
    let names = certificate.alternative_names();
    let names: Vec<String> = names.map(alternative_for_people).collect();
    let [from, to] = [certificate.not_before(), certificate.not_after()];
    let mut rows = vec![
        ("key", kind.name),
        ("subject", certificate.subject()),
        ("issuer", issuer),
        ("names", words::listed(&names)),
        ("valid", time::valid(from, to, now)),
        ("SHA-256", fingerprint(certificate.x509().as_raw())),
        (SERVER, as_server(certificate)),
        (CLIENT, as_client(certificate)),
        (AUTHORITY, as_authority(certificate)),
    ];
    let notes = notes(certificate, itself).into_iter().chain(kind.flaw);
    rows.extend(notes.map(|note| ("note", note.to_owned())));
    rows
}

fn as_server(certificate: &Certificate<'_>) -> String {
    if let Some(why) = misfit(certificate, Usage::Server) {
        return why;
    }
    match certificate.hosts().as_slice() {
        [] => "only for clients that do not check the host name: it has no SAN \
               (verify-hostname = false; browsers refuse it)"
            .to_owned(),
        hosts => format!("yes, for clients that call it {}", words::either(hosts)),
    }
}

fn as_client(certificate: &Certificate<'_>) -> String {
    misfit(certificate, Usage::Client).unwrap_or_else(|| "yes".to_owned())
}

fn misfit(certificate: &Certificate<'_>, usage: Usage) -> Option<String> {
    if let Some(extension) = certificate.critical_stranger() {
        return Some(format!(
            "no: its critical extension {extension} is unknown here"
        ));
    }
    let whom = match usage {
        Usage::Server => "servers",
        Usage::Client => "clients",
    };
    (!certificate.serves(usage)).then(|| format!("no: its extended key usage is not for {whom}"))
}

fn as_authority(certificate: &Certificate<'_>) -> String {
    match certificate.vouches_from_a_list() {
        Ok(()) if is_v1(certificate) => {
            "yes, here and for OpenSSL: version 1 does not say whether it is one".to_owned()
        }
        Ok(()) => "yes".to_owned(),
        Err(_) if !certificate.x509().is_ca() => {
            "no; in ca and client-ca it stands for itself alone".to_owned()
        }
        Err(why) => format!("no: {why}"),
    }
}

fn is_v1(certificate: &Certificate<'_>) -> bool {
    certificate.version() == 1
}

fn notes(certificate: &Certificate<'_>, itself: bool) -> Vec<&'static str> {
    let mut notes = Vec::new();
    if is_v1(certificate) {
        notes.push(
            "version 1 works here and with OpenSSL; stricter TLS libraries (rustls, for one) \
             refuse it. certs/README.md shows how to make version 3",
        );
    }
    if names_itself(certificate) && !itself {
        notes.push("subject and issuer have the same name, but another key signed it");
    }
    if !itself && is_signed_weakly(certificate) {
        notes.push("its signature uses SHA-1 or MD5, which is refused, here and elsewhere");
    }
    // What `openssl req -x509` makes with its own configuration file.
    if certificate.x509().is_ca() && !certificate.hosts().is_empty() {
        notes.push("it says that it is a CA: some clients refuse such a one as a server's own");
    }
    if is_encoded_twice(&certificate.subject()) {
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

fn is_signed_weakly(certificate: &Certificate<'_>) -> bool {
    let algorithm = &certificate.x509().signature_algorithm.algorithm;
    WEAK.contains(&algorithm.to_id_string().as_str())
}

/// `Köln` becomes `KÃ¶ln`: bytes of UTF-8 that were taken for Latin-1.
fn is_encoded_twice(name: &str) -> bool {
    let text: Vec<char> = name.chars().collect();
    text.array_windows().any(|[first, second]| {
        matches!(first, '\u{c3}' | '\u{c2}') && matches!(second, '\u{80}'..='\u{bf}' | '\u{fffd}')
    })
}
