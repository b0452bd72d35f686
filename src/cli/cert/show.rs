//! `cert show`: what files hold, and what will accept it.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer;

use super::certificate::{self, is_self_signed, is_signed_by};
use super::found::{Found, What, found};
use super::key::{self, PrivateKey};
use super::words;
use crate::certificates::{Certificate, alternative_for_people, fingerprint, name_for_people};
use crate::cli::grid::clean;
use crate::cli::{exit, output};
use crate::daemon::clock::Clock;

type Rows = Vec<(&'static str, String)>;

/// Width of the labels.
const LABELS: usize = 11;

/// Prints what the files hold.
pub(super) fn show(paths: &[PathBuf]) -> ExitCode {
    let mut all = Vec::new();
    let mut readable = true;
    let mut open_to_others = Vec::new();
    for path in paths {
        let name = clean(&path.display().to_string());
        match fs::read(path) {
            Ok(bytes) => {
                let found = found(&name, &bytes);
                let secret = found.iter().any(|it| matches!(it.what, What::Key(_)));
                if secret && is_open(path) {
                    open_to_others.push(name);
                }
                all.push(found);
            }
            Err(error) => {
                output::print_error(&format!("error: {name} cannot be read: {error}\n"));
                readable = false;
            }
        }
    }
    let mut text = render(&all, Clock::start().now().wall);
    for name in open_to_others {
        let _ = writeln!(
            text,
            "\nwarning: {name} holds a private key and others may read it: chmod 600 {name}"
        );
    }
    let printed = output::print(text.trim_start());
    let broken = |it: &Found| matches!(it.what, What::Broken(_));
    if readable && !all.iter().flatten().any(broken) {
        exit::after_printing(&printed)
    } else {
        ExitCode::from(exit::IO)
    }
}

fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|it| it.permissions().mode() & 0o077 != 0)
}

/// The text for all files.
fn render(files: &[Vec<Found>], now: Timestamp) -> String {
    let all: Vec<&Found> = files.iter().flatten().collect();
    let mut text = String::new();
    for file in files {
        for found in file {
            let (title, rows) = describe(found, &all, now);
            // Writing to a String cannot fail.
            let _ = writeln!(text, "\n{}: {title}", found.place);
            for (label, value) in rows {
                let _ = writeln!(text, "  {label:<LABELS$}{}", clean(&value));
            }
        }
        if let Some(remark) = order(file) {
            let _ = writeln!(text, "\n{remark}");
        }
    }
    text
}

fn describe(found: &Found, all: &[&Found], now: Timestamp) -> (String, Rows) {
    match &found.what {
        What::Certificate(der) => match parse(der) {
            Some(parsed) => {
                let version = parsed.version();
                let signer = signer(&parsed, all);
                (
                    format!("certificate, X.509 v{version}"),
                    certificate::rows(&parsed, signer, now),
                )
            }
            None => ("certificate".to_owned(), Vec::new()), // never: it was parsed before
        },
        What::Request(der) => ("certificate request (PKCS#10)".to_owned(), request(der)),
        What::Key(key) => ("private key".to_owned(), private(key, all)),
        What::Unused(sentence) | What::Broken(sentence) => {
            let rows = vec![("help", sentence.remedy.clone())];
            (sentence.what.clone(), rows)
        }
    }
}

fn parse(der: &[u8]) -> Option<Certificate<'_>> {
    Certificate::parse(der).ok()
}

/// Where the certificate stands that signed this one.
fn signer(certificate: &Certificate<'_>, all: &[&Found]) -> Option<String> {
    let signs = |found: &&&Found| {
        let What::Certificate(der) = &found.what else {
            return false;
        };
        parse(der).is_some_and(|signer| {
            signer.x509().subject() == certificate.x509().issuer()
                && signer.x509().as_raw() != certificate.x509().as_raw()
                && is_signed_by(certificate, &signer) == Some(true)
        })
    };
    all.iter().find(signs).map(|found| found.place.clone())
}

/// What to say of certificates in one file that are no chain.
fn order(file: &[Found]) -> Option<String> {
    let ders = file.iter().filter_map(|found| match &found.what {
        What::Certificate(der) => Some(der),
        _ => None,
    });
    let chain: Vec<Certificate<'_>> = ders.filter_map(|der| parse(der)).collect();
    // Roots and nothing else: a file for ca or client-ca.
    let in_order = chain.iter().all(is_self_signed)
        || chain.array_windows().all(|[one, next]| {
            one.x509().issuer() == next.x509().subject() && is_signed_by(one, next) != Some(false)
        });
    (!in_order).then(|| {
        "note: these certificates are no chain as they stand: as `certificate`, the own one comes \
         first, then the one that signed it, and so on. As `ca` or `client-ca` any order will do"
            .to_owned()
    })
}

fn request(der: &[u8]) -> Rows {
    let Ok((_, request)) = X509CertificationRequest::from_der(der) else {
        return Vec::new(); // never: it was parsed before
    };
    let info = &request.certification_request_info;
    let kind = key::public(&info.subject_pki);
    let extensions = request.requested_extensions().into_iter().flatten();
    let wanted: Vec<String> = extensions
        .filter_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .map(alternative_for_people)
        .collect();
    let use_of = "none yet: send it to a CA, which makes a certificate of it";
    let mut rows = vec![
        ("key", kind.name),
        ("subject", name_for_people(&info.subject)),
        ("names", words::listed(&wanted)),
        ("SHA-256", fingerprint(request.as_raw())),
        ("use", use_of.to_owned()),
    ];
    if !wanted.is_empty() {
        let note =
            "some CAs drop the names: openssl x509 -req keeps them with -copy_extensions copy";
        rows.push(("note", note.to_owned()));
    }
    if request.verify_signature().is_err() && kind.flaw.is_none() {
        let note = "its own key did not sign it: a CA will refuse it; make a new one";
        rows.push(("note", note.to_owned()));
    }
    rows.extend(kind.flaw.map(|flaw| ("note", flaw.to_owned())));
    rows
}

fn private(key: &PrivateKey, all: &[&Found]) -> Rows {
    let mut rows = vec![("key", key.kind.name.clone())];
    if let Some(public) = &key.public {
        let places: Vec<String> = all
            .iter()
            .filter(|found| public_key(&found.what).is_some_and(|it| it == *public))
            .map(|found| found.place.clone())
            .collect();
        let others = all.iter().any(|found| public_key(&found.what).is_some());
        let belongs = match (places.is_empty(), others) {
            (false, _) => places.join(", "),
            (true, true) => "NONE of the certificates and requests shown here".to_owned(),
            (true, false) => {
                "(name its certificate too: chargewarden cert show CERT KEY)".to_owned()
            }
        };
        rows.push(("belongs to", belongs));
        rows.push((
            "use",
            "as private-key, together with its certificate".to_owned(),
        ));
    }
    rows.extend(key.kind.flaw.map(|flaw| ("note", flaw.to_owned())));
    rows
}

fn public_key(what: &What) -> Option<Vec<u8>> {
    match what {
        What::Certificate(der) => {
            let certificate = parse(der)?;
            Some(certificate.key().to_vec())
        }
        What::Request(der) => {
            let (_, request) = X509CertificationRequest::from_der(der).ok()?;
            let key = &request.certification_request_info.subject_pki;
            Some(key.subject_public_key.data.to_vec())
        }
        What::Key(_) | What::Unused(_) | What::Broken(_) => None,
    }
}
