//! Certificates that wallboxes and backends present, and files that installers make.

use base64::Engine as _;
use base64::engine::general_purpose;
use chargewarden::certificates::{
    Certificate, Identity, Roots, Usage, Verified, certificates, fingerprint, private_key,
};
use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

/// The roots that are trusted, and what their keys have signed; the keys are gone.
const ROOTS: [&[u8]; 2] = [
    include_bytes!("../seeds/certificate/root-v1.der"),
    include_bytes!("../seeds/certificate/root-v3.der"),
];
const SIGNED: [&[u8]; 5] = [
    include_bytes!("../seeds/certificate/root-v1.der"),
    include_bytes!("../seeds/certificate/root-v3.der"),
    include_bytes!("../seeds/certificate/leaf-v1.der"),
    include_bytes!("../seeds/certificate/leaf-v3.der"),
    include_bytes!("../seeds/certificate/middle.der"),
];
/// Its issuer is `middle`, which is not trusted without its root.
const DEEP: &[u8] = include_bytes!("../seeds/certificate/deep.der");

/// The input is a PEM file, or else DER: first the certificate of the peer, then what comes beside it.
/// Nobody is trusted for whom no trusted key has signed.
pub fn certificate(bytes: &[u8]) {
    let chain = certificates(bytes).unwrap_or_else(|_| vec![CertificateDer::from(bytes.to_vec())]);
    for der in &chain {
        read(der);
    }
    let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
    let own = Roots::new("ca", chain.clone());
    let trusted = Roots::new("ca", ROOTS.map(CertificateDer::from));
    let (leaf, beside) = chain.split_first().expect("there is one at least");
    for usage in [Usage::Server, Usage::Client] {
        match trusted.verify(leaf, beside, usage, now) {
            Ok(Verified::Listed) => assert!(ROOTS.contains(&leaf.as_ref())),
            Ok(Verified::Chained) => assert!(is_signed(leaf), "a forged certificate is trusted"),
            Err(why) => assert!(!why.to_string().chars().any(char::is_control)),
        }
        let itself = own.verify(leaf, &[], usage, now);
        assert!(
            matches!(itself, Ok(Verified::Listed) | Err(_)),
            "it is in the list"
        );
        // The judge must not care how hostile the company is.
        let _ = trusted.verify(DEEP, &chain, usage, now);
        let _ = own.verify(DEEP, beside, usage, now);
    }
    let _ = private_key(bytes);
    if let Ok(identity) = Identity::from_pem(bytes, bytes) {
        assert!(!identity.chain().is_empty());
    }
}

fn read(der: &[u8]) {
    let Ok(certificate) = Certificate::parse(der) else {
        return;
    };
    assert!(
        (1..=3).contains(&certificate.version()),
        "{}",
        certificate.version()
    );
    for name in [certificate.subject(), certificate.issuer()]
        .iter()
        .chain(&certificate.hosts())
    {
        assert!(!name.chars().any(char::is_control), "{name:?}");
        assert!(name.chars().count() <= 200, "{name:?}");
    }
    certificate.names();
    assert!(Timestamp::MIN <= certificate.not_before().min(certificate.not_after()));
    assert_eq!(fingerprint(der).len(), 32 * 3 - 1);
    let text = general_purpose::STANDARD.encode(der);
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let again = certificates(pem.as_bytes()).expect("what can be read can be read again");
    assert_eq!(again, [CertificateDer::from(der)]);
}

/// Whether what is signed in it is what was signed.
fn is_signed(leaf: &[u8]) -> bool {
    let signed =
        |der| X509Certificate::from_der(der).map(|(_, it)| it.tbs_certificate.as_ref().to_vec());
    let of_leaf = signed(leaf).expect("it was read");
    SIGNED
        .iter()
        .chain([&DEEP])
        .any(|der| signed(der).is_ok_and(|it| it == of_leaf))
}
