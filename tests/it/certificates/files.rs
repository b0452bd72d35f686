//! Chains and keys in every form that openssl writes.

use std::fs;

use chargewarden::certificates::{Certificate, Identity, IdentityError, PemError};

use super::openssl::{Kind, LEAF, ROOT, V1, Workshop, run, utf8};

fn own_subject(identity: &Identity) -> String {
    Certificate::parse(&identity.chain()[0]).unwrap().subject()
}

#[test]
fn keys_are_read_in_every_form_and_with_a_passphrase_the_remedy_is_named() {
    let shop = Workshop::new();
    for (kind, command, old_form) in [
        (Kind::Rsa, "rsa", "BEGIN RSA PRIVATE KEY"),
        (Kind::Ec, "ec", "BEGIN EC PRIVATE KEY"),
    ] {
        let made = shop.own("a", "/CN=a", V1, kind);
        let pkcs8 = made.key_pem();
        assert!(pkcs8.starts_with(b"-----BEGIN PRIVATE KEY"));
        let convert = |more: &[&str]| {
            let out = shop.path("other.key");
            run(&[&[command, "-in", utf8(&made.key), "-out", utf8(&out)], more].concat());
            fs::read(out).unwrap()
        };
        let traditional = convert(if kind == Kind::Rsa {
            &["-traditional"]
        } else {
            &[]
        });
        assert!(String::from_utf8_lossy(&traditional).contains(old_form));
        for key in [&pkcs8, &traditional] {
            let identity = Identity::from_pem(&made.pem(), key).unwrap();
            assert_eq!(own_subject(&identity), "CN=a");
        }
        let locked = convert(&["-aes128", "-passout", "pass:hallo"]);
        let out = shop.path("locked8.key");
        let mut words = vec!["pkcs8", "-topk8", "-in", utf8(&made.key)];
        words.extend(["-passout", "pass:hallo", "-out", utf8(&out)]);
        run(&words);
        for key in [locked, fs::read(&out).unwrap()] {
            let error = Identity::from_pem(&made.pem(), &key).unwrap_err();
            assert_eq!(error, IdentityError::Key(PemError::Encrypted));
            let text = error.to_string();
            assert!(
                text.contains("passphrase") && text.contains("openssl pkey -in"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_chain_out_of_order_is_put_in_order() {
    let shop = Workshop::new();
    let root = shop.own("root", "/CN=root", ROOT, Kind::Ec);
    let middle = shop.issue(&root, "middle", "/CN=middle", ROOT, Kind::Rsa);
    let leaf = shop.issue(&middle, "leaf", "/CN=leaf", LEAF, Kind::Ec);
    for order in [
        [&leaf, &middle, &root],
        [&root, &middle, &leaf],
        [&middle, &leaf, &root],
    ] {
        let file = shop.chain("chain", &order);
        let identity = Identity::from_pem(&file.pem(), &leaf.key_pem()).unwrap();
        let chain = identity.chain().iter();
        let subjects: Vec<_> = chain
            .map(|der| Certificate::parse(der).unwrap().subject())
            .collect();
        assert_eq!(subjects, ["CN=leaf", "CN=middle", "CN=root"]);
    }
}

#[test]
fn a_foreign_key_is_found_out_for_v1_and_v3() {
    let shop = Workshop::new();
    for kind in [Kind::Rsa, Kind::Ec] {
        for extensions in [V1, LEAF] {
            let made = shop.own("a", "/CN=a", extensions, kind);
            let foreign = fs::read(shop.key("foreign", kind)).unwrap();
            let error = Identity::from_pem(&made.pem(), &foreign).unwrap_err();
            assert_eq!(error, IdentityError::Mismatch);
        }
    }
}

#[test]
fn keys_that_nobody_here_can_use_are_named_as_such() {
    let shop = Workshop::new();
    let made = shop.own("a", "/CN=a", V1, Kind::Ec);
    let key = shop.path("odd.key");
    for curve in ["secp521r1", "brainpoolP256r1"] {
        let curve = format!("ec_paramgen_curve:{curve}");
        run(&[
            "genpkey",
            "-quiet",
            "-algorithm",
            "EC",
            "-pkeyopt",
            &curve,
            "-out",
            utf8(&key),
        ]);
        let error = Identity::from_pem(&made.pem(), &fs::read(&key).unwrap()).unwrap_err();
        assert_eq!(error, IdentityError::Key(PemError::KeyKind), "{curve}");
    }
}
