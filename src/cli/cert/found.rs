//! What is in a file: every certificate, request and key, and what is to be done about the rest.

use rustls_pki_types::{PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer};
use x509_parser::asn1_rs::Sequence;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::FromDer;

use super::key::{self, PrivateKey};
use crate::certificates::{Block, Certificate, Content, Foreign, Kind, blocks, text, with_names};

/// Something in a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// `server.crt:23`: file and line.
    pub(super) place: String,
    /// What it is.
    pub(super) what: What,
}

/// What something is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A certificate, as DER that can be parsed.
    Certificate(Vec<u8>),
    /// A certificate request, as DER that can be parsed.
    Request(Vec<u8>),
    /// A private key.
    Key(PrivateKey),
    /// It is understood, but of no use as it is.
    Unused(Sentence),
    /// It cannot be understood.
    Broken(Sentence),
}

/// What something is, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// What it is.
    pub(super) what: String,
    /// What to do.
    pub(super) remedy: String,
}

impl Sentence {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

/// Takes the bytes of the file `name` apart.
pub(super) fn found(name: &str, bytes: &[u8]) -> Vec<Found> {
    let whole = |what| {
        vec![Found {
            place: name.to_owned(),
            what,
        }]
    };
    if bytes.is_empty() {
        return whole(What::Broken(Sentence::new("an empty file", GARBAGE)));
    }
    if Sequence::from_der(bytes).is_ok() {
        let Some(what) = der(name, bytes) else {
            return whole(no_pem());
        };
        let mut all = Vec::new();
        if let Some(tool) = openssl(&what) {
            let remedy =
                format!("make PEM of it: openssl {tool} -inform der -in {name} -out {name}.pem");
            let sentence =
                Sentence::new("DER, the binary form; the configuration takes PEM", remedy);
            all.extend(whole(What::Unused(sentence)));
        }
        all.extend(whole(what));
        return all;
    }
    let blocks = blocks(&text(bytes));
    if blocks.is_empty() {
        return whole(no_pem());
    }
    let found = blocks.into_iter().map(|block| Found {
        place: format!("{name}:{}", block.line),
        what: judge(name, block),
    });
    found.collect()
}

const GARBAGE: &str = "name a PEM file: text with -----BEGIN CERTIFICATE-----, \
                       CERTIFICATE REQUEST or PRIVATE KEY";

fn no_pem() -> What {
    let what = "neither PEM nor DER: no certificate, request or key";
    What::Broken(Sentence::new(what, GARBAGE))
}

fn judge(name: &str, block: Block) -> What {
    let kind = Kind::of(&block);
    let Block { label, content, .. } = block;
    let der = match content {
        Content::Der(der) => der,
        Content::Encrypted => return encrypted(name),
        Content::Damaged(why) => return damaged(&label, why),
    };
    let understood = match kind {
        Some(Kind::Certificate) => certificate(der),
        Some(Kind::Request) => request(der),
        Some(Kind::Pkcs8) => private(&PrivatePkcs8KeyDer::from(der).into()),
        Some(Kind::Pkcs1) => private(&PrivatePkcs1KeyDer::from(der).into()),
        Some(Kind::Sec1) => private(&PrivateSec1KeyDer::from(der).into()),
        Some(Kind::Encrypted) => return encrypted(name),
        None => return What::Unused(unused(name, &label)),
    };
    understood.unwrap_or_else(|| damaged(&label, "what is in it is not what it says"))
}

fn damaged(label: &str, why: &str) -> What {
    let what = format!("a damaged {label}: {why}");
    What::Broken(Sentence::new(
        what,
        "copy the file again, as a file and not as text",
    ))
}

fn encrypted(name: &str) -> What {
    What::Unused(Sentence::new(
        "an encrypted private key: nobody is there to type its passphrase when the daemon starts",
        format!(
            "take the passphrase off: (umask 077; openssl pkey -in {name} -out {name}.open), and \
             configure that file"
        ),
    ))
}

fn foreign(name: &str, foreign: Foreign) -> Sentence {
    Sentence::new(foreign.what(), with_names(foreign.remedy(), name))
}

fn unused(name: &str, label: &str) -> Sentence {
    if let Some(known) = Foreign::of_label(label) {
        return foreign(name, known);
    }
    match label {
        "EC PARAMETERS" | "DH PARAMETERS" => {
            Sentence::new(label, "nothing to do: it is not needed and does no harm")
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" => Sentence::new(
            "a public key, without certificate or private key",
            "nothing takes it; look for the file with the private key or the certificate",
        ),
        "OPENSSH PRIVATE KEY" => Sentence::new(
            "a key for SSH",
            "TLS needs its own: chargewarden cert request, or cert new",
        ),
        "X509 CRL" => Sentence::new(
            "a list of revoked certificates",
            "nothing takes it: take the certificate of the revoked one's CA out of ca or client-ca",
        ),
        other => Sentence::new(
            format!("a {other}"),
            "nothing takes it: certificates, requests and private keys are known",
        ),
    }
}

/// The whole file is DER.
fn der(name: &str, bytes: &[u8]) -> Option<What> {
    let own = || bytes.to_vec();
    if let Some(known) = Foreign::of_file(bytes) {
        return Some(What::Unused(foreign(name, known)));
    }
    certificate(own())
        .or_else(|| request(own()))
        .or_else(|| private(&PrivatePkcs8KeyDer::from(own()).into()))
        .or_else(|| private(&PrivatePkcs1KeyDer::from(own()).into()))
        .or_else(|| private(&PrivateSec1KeyDer::from(own()).into()))
}

/// The command of openssl for this.
fn openssl(what: &What) -> Option<&'static str> {
    match what {
        What::Certificate(_) => Some("x509"),
        What::Request(_) => Some("req"),
        What::Key(_) => Some("pkey"),
        What::Unused(_) | What::Broken(_) => None,
    }
}

fn certificate(der: Vec<u8>) -> Option<What> {
    Certificate::parse(&der).ok()?;
    Some(What::Certificate(der))
}

fn request(der: Vec<u8>) -> Option<What> {
    X509CertificationRequest::from_der(&der).ok()?;
    Some(What::Request(der))
}

fn private(der: &PrivateKeyDer<'_>) -> Option<What> {
    key::private(der).map(What::Key)
}
