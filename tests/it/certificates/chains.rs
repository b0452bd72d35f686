//! The judge of chains.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use chargewarden::certificates::{Distrust, Roots, Trust, Usage, Verified};
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::openssl::{Kind, LEAF, Made, ROOT, V1, Workshop, roots, run, utf8};

const BOTH: [Usage; 2] = [Usage::Server, Usage::Client];

fn now() -> Timestamp {
    Timestamp::now()
}

fn days(days: i64) -> Timestamp {
    now() + SignedDuration::from_hours(24 * days)
}

/// Judges a certificate as a server's.
fn judge(trusted: &[&Made], leaf: &Made, beside: &[&Made]) -> Result<Verified, Distrust> {
    let beside: Vec<_> = beside.iter().map(|it| it.der()).collect();
    roots("ca", trusted).verify(&leaf.der(), &beside, Usage::Server, now())
}

fn every_row(kind: Kind) {
    let shop = Workshop::new();
    for (root_version, root_ext) in [("v1", V1), ("v3", ROOT)] {
        let root = shop.own("root", "/CN=Wurzel Köln/O=Garage", root_ext, kind);
        let other = shop.own("other", "/CN=Other", root_ext, kind);
        for (leaf_version, leaf_ext) in [("v1", V1), ("v3", LEAF)] {
            let row = format!("root {root_version}, leaf {leaf_version}, {kind:?}");
            let leaf = shop.issue(&root, "leaf", "/CN=Prüfling", leaf_ext, kind);
            let alone = shop.own("alone", "/CN=Allein", leaf_ext, kind);
            for usage in BOTH {
                let verify = |trusted: &[&Made], leaf: &Made, at| {
                    roots("client-ca", trusted).verify(&leaf.der(), &[], usage, at)
                };
                let now = now();
                assert_eq!(verify(&[&root], &leaf, now), Ok(Verified::Chained), "{row}");
                let both = [&other, &root];
                assert_eq!(verify(&both, &leaf, now), Ok(Verified::Chained), "{row}");
                assert_eq!(verify(&[&leaf], &leaf, now), Ok(Verified::Listed), "{row}");
                assert_eq!(verify(&[&alone], &alone, now), Ok(Verified::Listed));
                let refused = verify(&[&root], &alone, now).unwrap_err().to_string();
                assert!(
                    refused.starts_with(
                        "the certificate CN=Allein names nobody but itself as its issuer and is \
                         not in client-ca"
                    ),
                    "{refused}"
                );
                let foreign = verify(&[&other], &leaf, now).unwrap_err().to_string();
                assert!(
                    foreign.starts_with(
                        "the certificate CN=Prüfling comes from CN=Wurzel Köln, O=Garage, which \
                         is not in client-ca"
                    ),
                    "{foreign}"
                );
                for trusted in [&root, &leaf] {
                    let late = verify(&[trusted], &leaf, days(366));
                    assert!(matches!(late, Err(Distrust::Expired { .. })), "{late:?}");
                    let early = verify(&[trusted], &leaf, days(-1));
                    assert!(
                        matches!(early, Err(Distrust::NotYetValid { .. })),
                        "{early:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn rsa_certificates_of_v1_and_v3_are_trusted_by_their_root_and_by_themselves() {
    every_row(Kind::Rsa);
}

#[test]
fn ec_certificates_of_v1_and_v3_are_trusted_by_their_root_and_by_themselves() {
    every_row(Kind::Ec);
}

#[test]
fn a_leaf_with_the_subject_of_its_root_is_judged_by_whose_key_signed_it() {
    let shop = Workshop::new();
    let same = "/CN=tiefgarage-koeln.de/O=Tiefgarage Köln GmbH";
    for (root_ext, leaf_ext) in [(V1, V1), (ROOT, LEAF), (V1, LEAF)] {
        let root = shop.own("root", same, root_ext, Kind::Ec);
        let leaf = shop.issue(&root, "leaf", same, leaf_ext, Kind::Ec);
        assert_eq!(judge(&[&root], &leaf, &[]), Ok(Verified::Chained));
        assert_eq!(judge(&[&root], &leaf, &[&root]), Ok(Verified::Chained));
        let twin = shop.own("twin", same, root_ext, Kind::Ec);
        let refused = judge(&[&twin], &leaf, &[]);
        assert!(
            matches!(refused, Err(Distrust::NotSigned { .. })),
            "{refused:?}"
        );
        assert_eq!(judge(&[&twin, &root], &leaf, &[]), Ok(Verified::Chained));
    }
}

#[test]
fn a_chain_is_understood_in_any_order_and_with_more_than_it_needs() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let upper = shop.issue(&root, "upper", "/CN=upper", ROOT, Kind::Rsa);
    let lower = shop.issue(&upper, "lower", "/CN=lower", ROOT, Kind::Ec);
    let leaf = shop.issue(&lower, "leaf", "/CN=leaf", LEAF, Kind::Rsa);
    let noise = shop.own("noise", "/CN=lower", ROOT, Kind::Ec);
    for beside in [
        &[&lower, &upper][..],
        &[&upper, &lower],
        &[&root, &upper, &noise, &lower, &lower],
    ] {
        assert_eq!(judge(&[&root], &leaf, beside), Ok(Verified::Chained));
    }
    assert_eq!(judge(&[&lower], &leaf, &[]), Ok(Verified::Chained));
    let gap = judge(&[&root], &leaf, &[&lower]);
    assert!(
        matches!(gap, Err(Distrust::UnknownIssuer { .. })),
        "{gap:?}"
    );
    let unknown = judge(&[&noise], &leaf, &[&lower, &upper, &root]);
    assert!(unknown.is_err());
}

#[test]
fn who_is_no_authority_issues_nothing() {
    let shop = Workshop::new();
    let why = |refused: Result<Verified, Distrust>| match refused {
        Err(Distrust::NoAuthority { why, .. }) => why,
        other => panic!("{other:?}"),
    };
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    for (extensions, reason) in [
        (V1, "X.509 v1 cannot say that it is one"),
        (LEAF, "it has no basicConstraints"),
        ("basicConstraints=CA:false", "its basicConstraints say so"),
        (
            "basicConstraints=CA:true\nkeyUsage=digitalSignature",
            "its keyUsage does not contain keyCertSign",
        ),
        (
            "basicConstraints=CA:true\nnameConstraints=critical,permitted;DNS:example",
            "it restricts the names below it (nameConstraints), which is not understood here",
        ),
    ] {
        let middle = shop.issue(&root, "middle", "/CN=middle", extensions, Kind::Ec);
        let leaf = shop.issue(&middle, "leaf", "/CN=leaf", LEAF, Kind::Ec);
        assert_eq!(why(judge(&[&root], &leaf, &[&middle])), reason);
    }
}

#[test]
fn a_leaf_in_the_list_vouches_for_itself_alone() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    for extensions in [V1, LEAF] {
        let listed = shop.issue(&root, "listed", "/CN=CB-1", extensions, Kind::Ec);
        let forged = shop.issue(&listed, "forged", "/CN=CB-2", V1, Kind::Ec);
        assert_eq!(judge(&[&listed], &listed, &[]), Ok(Verified::Listed));
        let refused = judge(&[&listed], &forged, &[]);
        assert!(
            matches!(refused, Err(Distrust::NoAuthority { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_root_that_says_neither_yes_nor_no_is_one() {
    let shop = Workshop::new();
    // What a newer openssl makes of the classic recipe.
    let root = shop.own("root", "/CN=root", "subjectKeyIdentifier=hash", Kind::Ec);
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", V1, Kind::Ec);
    assert_eq!(judge(&[&root], &leaf, &[]), Ok(Verified::Chained));
    let never = shop.own("never", "/CN=never", "basicConstraints=CA:false", Kind::Ec);
    let leaf = shop.issue(&never, "leaf", "/CN=leaf", V1, Kind::Ec);
    assert!(judge(&[&never], &leaf, &[]).is_err());
}

#[test]
fn the_length_of_a_path_is_kept() {
    let shop = Workshop::new();
    let short = format!("{ROOT}\nsubjectKeyIdentifier=hash").replace("true", "true,pathlen:0");
    let root = shop.own("root", "/CN=root", &short, Kind::Ec);
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", V1, Kind::Ec);
    assert_eq!(judge(&[&root], &leaf, &[]), Ok(Verified::Chained));
    let middle = shop.issue(&root, "middle", "/CN=middle", ROOT, Kind::Ec);
    let deep = shop.issue(&middle, "deep", "/CN=deep", V1, Kind::Ec);
    let refused = judge(&[&root], &deep, &[&middle]);
    assert!(
        matches!(refused, Err(Distrust::TooLong { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_certificate_for_other_purposes_is_refused_unless_it_is_in_the_list() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    for (purpose, server, client) in [
        ("serverAuth", true, false),
        ("clientAuth", false, true),
        ("serverAuth,clientAuth", true, true),
        ("anyExtendedKeyUsage", true, true),
        ("codeSigning", false, false),
    ] {
        let extension = format!("extendedKeyUsage={purpose}");
        let leaf = shop.issue(&root, "leaf", "/CN=leaf", &extension, Kind::Ec);
        for (usage, good) in [(Usage::Server, server), (Usage::Client, client)] {
            let judge = |trusted: &Made| {
                let trusted = roots("ca", &[trusted]);
                trusted.verify(&leaf.der(), &[], usage, now())
            };
            match judge(&root) {
                Ok(_) => assert!(good, "{purpose} {usage:?}"),
                Err(Distrust::Purpose { .. }) => assert!(!good, "{purpose} {usage:?}"),
                other => panic!("{other:?}"),
            }
            assert_eq!(judge(&leaf), Ok(Verified::Listed));
        }
    }
    let strange = "1.2.3.4=critical,DER:0500";
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", strange, Kind::Ec);
    let refused = judge(&[&root], &leaf, &[]).unwrap_err().to_string();
    assert!(refused.contains("critical extension 1.2.3.4"), "{refused}");
}

#[test]
fn weak_signatures_are_refused_by_name() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Rsa);
    let key = shop.key("old", Kind::Rsa);
    let old = shop.certify(&root, "old", "/CN=old", V1, key, &["-sha1"]);
    let refused = judge(&[&root], &old, &[]).unwrap_err().to_string();
    assert!(
        refused.contains("signed with sha1WithRSAEncryption"),
        "{refused}"
    );

    let key = shop.path("small.key");
    let bits = "rsa_keygen_bits:1024";
    run(&[
        "genpkey",
        "-quiet",
        "-algorithm",
        "RSA",
        "-pkeyopt",
        bits,
        "-out",
        utf8(&key),
    ]);
    let small = shop.certify(&root, "small", "/CN=small", ROOT, key, &["-sha256"]);
    let leaf = shop.issue(&small, "leaf", "/CN=leaf", V1, Kind::Rsa);
    let refused = judge(&[&root], &leaf, &[&small]).unwrap_err().to_string();
    assert!(refused.contains("shorter than 2048 bits"), "{refused}");
}

#[test]
fn a_damaged_certificate_is_never_trusted() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let leaf = shop.issue(&root, "leaf", "/CN=leaf", LEAF, Kind::Ec);
    let trusted = roots("ca", &[&root]);
    let good = leaf.der();
    for at in 0..good.len() {
        let mut bad = good.to_vec();
        bad[at] ^= 1;
        let judged = trusted.verify(&bad, &[], Usage::Server, now());
        assert!(judged.is_err(), "byte {at}");
    }
    let garbage = CertificateDer::from(vec![0x30, 0x82, 0xFF, 0xFF]);
    let beside = [garbage.clone()];
    let judged = trusted.verify(&good, &beside, Usage::Server, now());
    assert_eq!(judged, Ok(Verified::Chained));
    let judged = trusted.verify(&garbage, &[], Usage::Server, now());
    assert_eq!(judged, Err(Distrust::Unreadable));
    assert!(Roots::new("ca", beside).is_empty());
}

#[test]
fn a_maze_of_authorities_costs_a_bounded_number_of_signatures() {
    let shop = Workshop::new();
    let maze = shop.own("maze", "/CN=maze", ROOT, Kind::Ec);
    // Every one of them could have signed every other one.
    let walls: Vec<_> = (0..12)
        .map(|n| {
            let name = format!("wall{n}");
            shop.certify(
                &maze,
                &name,
                "/CN=maze",
                ROOT,
                maze.key.clone(),
                &["-sha256"],
            )
        })
        .collect();
    let leaf = shop.issue(&maze, "leaf", "/CN=leaf", V1, Kind::Ec);
    let far = shop.own("far", "/CN=far", ROOT, Kind::Ec);
    let beside: Vec<_> = walls.iter().collect();
    let refused = judge(&[&far], &leaf, &beside);
    assert!(
        matches!(refused, Err(Distrust::TooLong { .. })),
        "{refused:?}"
    );
}

#[test]
fn a_server_is_believed_to_be_the_hosts_of_its_certificate_and_no_others() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", V1, Kind::Ec);
    let names = "subjectAltName=DNS:ocpp.example,DNS:*.wild.example,IP:10.0.0.1";
    let hosted = shop.issue(&root, "named", "/CN=other.example", names, Kind::Ec);
    let nameless = shop.issue(&root, "nameless", "/CN=ocpp.example", V1, Kind::Ec);
    let trust = |trusted: &Made, verify_hostname| Trust::Roots {
        roots: roots("ca", &[trusted]),
        verify_hostname,
    };
    let seconds = u64::try_from(now().as_second()).unwrap();
    let ask = |trust: &Trust, leaf: &Made, host: &str| {
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        trust.verify(&leaf.der(), &[], &host, now)
    };
    let strict = trust(&root, true);
    for host in ["ocpp.example", "OCPP.example", "a.wild.example", "10.0.0.1"] {
        assert_eq!(ask(&strict, &hosted, host), Ok(()), "{host}");
    }
    for host in [
        "other.example",
        "wild.example",
        "a.b.wild.example",
        "10.0.0.2",
    ] {
        let refused = ask(&strict, &hosted, host).unwrap_err().to_string();
        let text = format!("is for ocpp.example, *.wild.example, 10.0.0.1, not for {host}");
        assert!(refused.contains(&text), "{refused}");
        assert!(refused.contains("verify-hostname = false"), "{refused}");
    }
    let refused = ask(&strict, &nameless, "ocpp.example").unwrap_err();
    assert!(matches!(refused, Distrust::NoHost { .. }));
    assert!(refused.to_string().contains("verify-hostname = false"));
    let localhost = IpAddr::from(Ipv4Addr::LOCALHOST).to_string();
    for leaf in [&hosted, &nameless] {
        assert_eq!(ask(&trust(&root, false), leaf, &localhost), Ok(()));
        assert_eq!(
            ask(&trust(leaf, true), leaf, &localhost),
            Ok(()),
            "itself in ca"
        );
        assert_eq!(ask(&Trust::Anyone, leaf, &localhost), Ok(()));
    }
}

#[test]
fn where_a_certificate_is_for_one_wallbox_it_vouches_for_no_other_whatever_it_says() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let below = shop.issue(&root, "below", "/CN=CB-4", ROOT, Kind::Ec);
    let by_root = shop.issue(&root, "by-root", "/CN=CB-2", LEAF, Kind::Ec);
    let by_below = shop.issue(&below, "by-below", "/CN=CB-2", LEAF, Kind::Ec);
    let verify = |trusted: &Roots, leaf: &Made, beside: &[&Made]| {
        let beside: Vec<_> = beside.iter().map(|it| it.der()).collect();
        trusted.verify(&leaf.der(), &beside, Usage::Client, now())
    };
    let ids = || ["CB-1", "CB-2", "CB-4"].map(str::to_owned);
    for (version, extensions) in [("v1", V1), ("v3 with CA:true", ROOT)] {
        let own = shop.own("own", "/CN=cb-1", extensions, Kind::Ec);
        let forged = shop.issue(&own, "forged", "/CN=CB-2", LEAF, Kind::Ec);
        let any = Roots::clone(&roots("client-ca", &[&own, &root]));
        assert_eq!(
            verify(&any, &forged, &[]),
            Ok(Verified::Chained),
            "{version}"
        );
        let each = any.clone().with_leaves_named(ids());
        assert_eq!(verify(&each, &own, &[]), Ok(Verified::Listed), "{version}");
        assert_eq!(verify(&each, &by_root, &[]), Ok(Verified::Chained));
        for (leaf, beside) in [(&forged, None), (&by_below, Some(&below))] {
            let beside: Vec<&Made> = beside.into_iter().collect();
            let refused = verify(&each, leaf, &beside).unwrap_err().to_string();
            let why = "it has the name of a wallbox, so it vouches for itself alone";
            assert!(refused.contains(why), "{version}: {refused}");
        }
    }
}

#[test]
fn a_list_contains_another_if_nobody_loses_trust() {
    let shop = Workshop::new();
    let [a, b, own] = ["a", "b", "CB-1"].map(|name| {
        let subject = format!("/CN={name}");
        shop.own(name, &subject, ROOT, Kind::Ec)
    });
    let both = roots("client-ca", &[&a, &b]);
    let one = roots("client-ca", &[&b]);
    assert!(both.contains(&both) && both.contains(&one));
    assert!(!one.contains(&both));
    let any = Roots::clone(&roots("client-ca", &[&own]));
    let each = any.clone().with_leaves_named(["CB-1".to_owned()]);
    assert!(!each.contains(&any), "whom it vouched for");
}
