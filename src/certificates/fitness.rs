//! Whether certificates are fit for what the configuration names them for.
//!
//! All of it works: other machines may think otherwise, and clocks are wrong at times. So nothing
//! here is refused, and everything is said before somebody has to look for it in a log.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::certificate::Certificate;
use super::distrust::Distrust;
use super::roots::{Usage, check_extensions};

/// What is wrong with a certificate, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// What is wrong.
    pub(crate) what: String,
    /// What to do.
    pub(crate) remedy: &'static str,
}

const RENEW: &str = "put a certificate there that holds now; if that is this one, set the clock of \
                     this machine";

/// What makes others refuse a chain that is presented to them, the own certificate first. `now` is
/// `None` where nobody knows the time.
pub(crate) fn flaws_of_own(
    chain: &[CertificateDer<'_>],
    usage: Usage,
    now: Option<Timestamp>,
) -> Vec<Flaw> {
    let chain = parsed(chain);
    let mut flaws: Vec<Flaw> = chain.iter().filter_map(|it| untimely(it, now)).collect();
    let misfit = chain
        .first()
        .and_then(|own| check_extensions(own, usage).err());
    flaws.extend(misfit.map(|why| Flaw {
        what: why.to_string(),
        remedy: match usage {
            Usage::Server => {
                "wallboxes that check certificates refuse it: use one for servers (serverAuth)"
            }
            Usage::Client => "backends refuse it: use one for clients (clientAuth)",
        },
    }));
    flaws
}

/// What keeps the certificates of a file from vouching for the peers whose certificates have this
/// `usage`. A leaf is meant itself and needs to vouch for nobody.
pub(crate) fn flaws_of_trusted(
    file: &[CertificateDer<'_>],
    usage: Usage,
    now: Option<Timestamp>,
) -> Vec<Flaw> {
    parsed(file)
        .iter()
        .filter_map(|it| {
            untimely(it, now)
                .or_else(|| useless(it))
                .or_else(|| powerless(it, usage))
        })
        .collect()
}

/// What is wrong with a list, all of its files together, that has certificates and nobody who
/// vouches for others: one of them that may well have been meant to.
pub(crate) fn flaw_of_list(list: &[CertificateDer<'_>]) -> Option<Flaw> {
    let list = parsed(list);
    if list.iter().any(|it| it.vouches_from_a_list().is_ok()) {
        return None;
    }
    // A leaf says in some way that it is one.
    let is_silent = |it: &&Certificate<'_>| {
        it.authority().is_none() && it.hosts().is_empty() && !it.names_a_purpose()
    };
    let silent = list.iter().find(is_silent)?;
    let (subject, issuer) = (silent.subject(), silent.issuer());
    let why = match silent.check_signature(silent) {
        _ if silent.subject_der() != silent.issuer_der() => {
            format!("it is no root, and does not say that it is a CA; it comes from {issuer}")
        }
        Err(why) => why.to_string(),
        Ok(()) => return None,
    };
    Some(Flaw {
        what: format!("the certificate {subject} vouches for nobody but itself: {why}"),
        remedy: "if others come from it, add the root that it comes from; if it is meant itself, \
                 nothing is to be done",
    })
}

fn parsed<'a>(ders: &'a [CertificateDer<'_>]) -> Vec<Certificate<'a>> {
    let parse = |der: &'a CertificateDer<'_>| Certificate::parse(der).ok();
    ders.iter().filter_map(parse).collect()
}

fn untimely(certificate: &Certificate<'_>, now: Option<Timestamp>) -> Option<Flaw> {
    let why = certificate.check_validity(now?).err()?;
    Some(Flaw {
        what: why.to_string(),
        remedy: RENEW,
    })
}

/// With a key that nothing here verifies it is of no use, not even for itself.
fn useless(certificate: &Certificate<'_>) -> Option<Flaw> {
    let subject = certificate.subject();
    let what = if certificate.is_weak() {
        Distrust::WeakKey { subject }.to_string()
    } else if certificate.has_usable_key() {
        return None;
    } else {
        format!("the key of {subject} is of a kind that is not taken")
    };
    Some(Flaw {
        what: format!("{what}, so it vouches for nobody"),
        remedy: "use one with RSA (2048 bits or more), EC P-256, EC P-384 or Ed25519",
    })
}

fn powerless(certificate: &Certificate<'_>, usage: Usage) -> Option<Flaw> {
    if certificate.authority() != Some(true) {
        return None;
    }
    let subject = certificate.subject();
    let why = match (
        certificate.vouches_from_a_list(),
        check_extensions(certificate, usage),
    ) {
        (Err(why), _) => why.to_owned(),
        (_, Err(why)) => why.to_string(),
        (Ok(()), Ok(())) => return None,
    };
    Some(Flaw {
        what: format!("the CA {subject} vouches for nobody here: {why}"),
        remedy: "put another certificate of this CA there, or ask whoever runs it",
    })
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyPair,
        KeyUsagePurpose,
    };

    use super::*;
    use crate::certificates::certificates;

    const V1: &[u8] = include_bytes!("../../tests/it/fixtures/v1.crt");

    fn now() -> Timestamp {
        "2027-01-01T00:00:00Z".parse().unwrap()
    }

    fn made(change: impl FnOnce(&mut CertificateParams)) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::new(["pi.example".to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        vec![params.self_signed(&key).unwrap().der().clone()]
    }

    fn ca(params: &mut CertificateParams) {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }

    fn said(flaws: Vec<Flaw>) -> String {
        let flaws: Vec<String> = flaws.into_iter().map(|it| it.what).collect();
        flaws.join("\n")
    }

    #[test]
    fn what_holds_and_fits_has_no_flaw() {
        let plain = made(|_| {});
        let root = made(ca);
        for usage in [Usage::Server, Usage::Client] {
            assert_eq!(flaws_of_own(&plain, usage, Some(now())), []);
            for list in [&plain, &root, &certificates(V1).unwrap()] {
                assert_eq!(flaws_of_trusted(list, usage, Some(now())), []);
                assert_eq!(flaw_of_list(list), None);
            }
        }
    }

    #[test]
    fn what_has_ended_or_not_begun_is_a_flaw_where_the_time_is_known() {
        let old = made(|it| it.not_after = rcgen::date_time_ymd(2026, 12, 1));
        let new = made(|it| it.not_before = rcgen::date_time_ymd(2027, 2, 1));
        for (chain, says) in [
            (&old, "ended on 2026-12-01"),
            (&new, "begins on 2027-02-01"),
        ] {
            let own = said(flaws_of_own(chain, Usage::Server, Some(now())));
            let trusted = said(flaws_of_trusted(chain, Usage::Server, Some(now())));
            assert!(own.contains(says) && trusted.contains(says), "{own}");
            assert_eq!(flaws_of_own(chain, Usage::Server, None), []);
        }
    }

    #[test]
    fn a_certificate_for_the_other_side_is_a_flaw() {
        for (purpose, fits, not) in [
            (
                ExtendedKeyUsagePurpose::ServerAuth,
                Usage::Server,
                Usage::Client,
            ),
            (
                ExtendedKeyUsagePurpose::ClientAuth,
                Usage::Client,
                Usage::Server,
            ),
        ] {
            let own = made(|it| it.extended_key_usages = vec![purpose.clone()]);
            assert_eq!(flaws_of_own(&own, fits, None), []);
            assert!(said(flaws_of_own(&own, not, None)).contains("extendedKeyUsage"));
            // It is the one that is meant.
            assert_eq!(flaws_of_trusted(&own, not, None), []);
            let root = made(|it| {
                ca(it);
                it.extended_key_usages = vec![purpose];
            });
            assert_eq!(flaws_of_trusted(&root, fits, None), []);
            assert!(said(flaws_of_trusted(&root, not, None)).contains("vouches for nobody"));
        }
    }

    #[test]
    fn a_ca_that_may_not_sign_is_a_flaw() {
        let root = made(|it| {
            ca(it);
            it.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        });
        let said = said(flaws_of_trusted(&root, Usage::Client, None));
        assert!(said.contains("keyCertSign"), "{said}");
    }

    #[test]
    fn an_issued_certificate_that_says_nothing_vouches_for_nobody() {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        ca(&mut params);
        let root = params.clone().self_signed(&key).unwrap();
        let issuer = rcgen::Issuer::new(params, &key);
        let mut silent = CertificateParams::default();
        silent
            .distinguished_name
            .push(rcgen::DnType::CommonName, "silent");
        let leaf = KeyPair::generate().unwrap();
        let below = silent.signed_by(&leaf, &issuer).unwrap().der().clone();
        let flaw = flaw_of_list(std::slice::from_ref(&below)).unwrap();
        assert!(
            flaw.what.contains("vouches for nobody but itself"),
            "{flaw:?}"
        );
        assert_eq!(flaw_of_list(&[below, root.der().clone()]), None);
    }
}
