//! Of what kind a key is, and whether TLS works with it here.

use rustls_pki_types::PrivateKeyDer;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use x509_parser::asn1_rs::{Any, Oid, Sequence, oid};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{AlgorithmIdentifier, SubjectPublicKeyInfo};

/// The kind of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kind {
    /// For people.
    pub(super) name: String,
    /// Why it is not to be used, if it is not.
    pub(super) flaw: Option<&'static str>,
}

/// A private key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PrivateKey {
    /// Of what kind.
    pub(super) kind: Kind,
    /// The bits of its public key; `None` where it is of no use here.
    pub(super) public: Option<Vec<u8>>,
}

const UNUSABLE: &str =
    "TLS works with RSA (2048 to 4096 bits), EC P-256, EC P-384 and Ed25519 here, not with this";

/// The kind of a public key.
pub(super) fn public(key: &SubjectPublicKeyInfo<'_>) -> Kind {
    let mut kind = by_algorithm(&key.algorithm);
    if let Ok(PublicKey::RSA(rsa)) = key.parsed() {
        let bits = rsa.key_size();
        kind.name = format!("{}, {bits} bits", kind.name);
        if bits < 2048 {
            kind.flaw = Some("RSA with fewer than 2048 bits is refused, here and elsewhere");
        }
    }
    kind
}

/// Reads a private key in one of its three forms; `None` if it is damaged.
pub(super) fn private(der: &PrivateKeyDer<'_>) -> Option<PrivateKey> {
    let form = match der {
        PrivateKeyDer::Pkcs1(_) => "PKCS#1",
        PrivateKeyDer::Sec1(_) => "SEC1",
        _ => "PKCS#8",
    };
    let supported = any_supported_type(der).ok();
    let spki = supported.and_then(|key| key.public_key().map(|it| it.to_vec()));
    if let Some(spki) = spki {
        let (_, spki) = SubjectPublicKeyInfo::from_der(&spki).ok()?;
        let mut kind = public(&spki);
        kind.name = format!("{} ({form})", kind.name);
        let public = Some(spki.subject_public_key.data.to_vec());
        return Some(PrivateKey { kind, public });
    }
    let (_, sequence) = Sequence::from_der(der.secret_der()).ok()?;
    let (rest, _version) = Any::from_der(&sequence.content).ok()?;
    let name = match der {
        PrivateKeyDer::Pkcs1(_) => "RSA".to_owned(),
        PrivateKeyDer::Sec1(_) => "EC".to_owned(),
        _ => by_algorithm(&AlgorithmIdentifier::from_der(rest).ok()?.1).name,
    };
    let kind = Kind {
        name: format!("{name} ({form})"),
        flaw: Some(UNUSABLE),
    };
    Some(PrivateKey { kind, public: None })
}

fn by_algorithm(algorithm: &AlgorithmIdentifier<'_>) -> Kind {
    let curve = algorithm.parameters.as_ref();
    let curve = curve.and_then(|any| any.as_oid().ok());
    let known: [(Oid<'_>, Option<Oid<'_>>, &str, bool); 9] = [
        (oid!(1.2.840.113549.1.1.1), None, "RSA", true),
        (EC, Some(oid!(1.2.840.10045.3.1.7)), "EC P-256", true),
        (EC, Some(oid!(1.3.132.0.34)), "EC P-384", true),
        (EC, Some(oid!(1.3.132.0.35)), "EC P-521", false),
        (EC, None, "EC on another curve", false),
        (oid!(1.3.101.112), None, "Ed25519", true),
        (oid!(1.3.101.113), None, "Ed448", false),
        (oid!(1.2.840.113549.1.1.10), None, "RSA-PSS", false),
        (oid!(1.2.840.10040.4.1), None, "DSA", false),
    ];
    let found = known.iter().find(|(kind, on, ..)| {
        *kind == algorithm.algorithm && (on.is_none() || curve.as_ref() == on.as_ref())
    });
    let (name, usable) = match found {
        Some((.., name, usable)) => ((*name).to_owned(), *usable),
        None => (format!("algorithm {}", algorithm.algorithm), false),
    };
    let flaw = (!usable).then_some(UNUSABLE);
    Kind { name, flaw }
}

const EC: Oid<'static> = oid!(1.2.840.10045.2.1);
