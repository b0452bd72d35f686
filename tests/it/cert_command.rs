//! `chargewarden cert`, as a person runs it, beside the `openssl` command and the scripts in `certs`.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn cert(directory: &TempDir, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_chargewarden"))
        .arg("cert")
        .args(words)
        .current_dir(directory.path())
        .output()
        .unwrap()
}

/// What `cert show` says, with its exit code.
fn show(directory: &TempDir, files: &[&str]) -> (String, i32) {
    let output = cert(directory, &[&["show"], files].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    (said, output.status.code().unwrap())
}

fn openssl(directory: &TempDir, command: &str) -> String {
    let output = Command::new("openssl")
        .args(command.split(' '))
        .current_dir(directory.path())
        .output()
        .expect("the command openssl");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {command}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs `certs/make.sh`.
fn make(directory: &TempDir, way: &str, folder: &str, kind: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make.sh");
    let output = Command::new("sh")
        .arg(script)
        .args([way, folder])
        .env("KEY", kind)
        .current_dir(directory.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(directory: &TempDir, file: &str) -> u32 {
    let metadata = fs::metadata(directory.path().join(file)).unwrap();
    metadata.permissions().mode() & 0o777
}

/// The value of the first line with this label.
fn value<'a>(text: &'a str, label: &str) -> &'a str {
    let start = format!("  {label} ");
    let line = text.lines().find(|line| line.starts_with(&start));
    line.unwrap_or_else(|| panic!("no {label} in:\n{text}"))
        .strip_prefix(&start)
        .unwrap()
        .trim()
}

#[test]
fn a_self_signed_certificate_is_what_openssl_and_show_say_it_is() {
    let dir = directory();
    let words = [
        "new",
        "garage.example",
        "192.168.1.5",
        "--days",
        "100",
        "--locality",
        "Köln",
    ];
    assert_eq!(cert(&dir, &words).status.code(), Some(0));
    assert_eq!(mode(&dir, "server.key"), 0o600);

    let by_openssl = openssl(&dir, "x509 -in server.crt -noout -text -nameopt utf8");
    assert!(by_openssl.contains("DNS:garage.example, IP Address:192.168.1.5"));
    assert!(
        by_openssl.contains("L=Köln, CN=garage.example"),
        "{by_openssl}"
    );
    openssl(&dir, "verify -CAfile server.crt server.crt");

    let (said, code) = show(&dir, &["server.crt", "server.key"]);
    assert_eq!(code, 0);
    assert!(
        said.contains("server.crt:1: certificate, X.509 v3\n"),
        "{said}"
    );
    assert_eq!(value(&said, "key"), "EC P-256");
    assert_eq!(value(&said, "subject"), "L=Köln, CN=garage.example");
    assert_eq!(value(&said, "issuer"), "itself (self-signed)");
    assert_eq!(value(&said, "names"), "DNS:garage.example, IP:192.168.1.5");
    assert!(value(&said, "valid").ends_with("99 days left"), "{said}");
    assert_eq!(
        value(&said, "as server"),
        "yes, for clients that call it garage.example or 192.168.1.5"
    );
    assert_eq!(value(&said, "belongs to"), "server.crt:1");
    let fingerprint = openssl(&dir, "x509 -in server.crt -noout -fingerprint -sha256");
    assert!(fingerprint.trim_end().ends_with(value(&said, "SHA-256")));
}

#[test]
fn nothing_is_overwritten_unless_that_is_said() {
    let dir = directory();
    assert_eq!(cert(&dir, &["new"]).status.code(), Some(0));
    let files = || ["server.crt", "server.key"].map(|it| fs::read(dir.path().join(it)).unwrap());
    let first = files();
    for present in [
        &["server.crt", "server.key"][..],
        &["server.crt"],
        &["server.key"],
    ] {
        let other = directory();
        for file in present {
            fs::write(other.path().join(file), "mine").unwrap();
        }
        let output = cert(&other, &["new"]);
        assert_eq!(output.status.code(), Some(73), "{present:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.contains("--overwrite"), "{error}");
        let left = fs::read_dir(other.path()).unwrap().count();
        assert_eq!(left, present.len(), "{present:?}: nothing half-made");
    }
    assert_eq!(files(), first);
    assert_eq!(cert(&dir, &["new", "--overwrite"]).status.code(), Some(0));
    assert_ne!(files(), first);
    assert_eq!(mode(&dir, "server.key"), 0o600);
}

#[test]
fn a_pair_that_cannot_be_written_whole_leaves_everything_as_it_was() {
    let dir = directory();
    assert_eq!(cert(&dir, &["new", "a.example"]).status.code(), Some(0));
    fs::create_dir(dir.path().join("folder")).unwrap();
    let all = || {
        let files = ["server.crt", "server.key"].map(|it| fs::read(dir.path().join(it)).unwrap());
        let entries = fs::read_dir(dir.path()).unwrap();
        let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
        names.sort();
        (files, names)
    };
    let before = all();
    for (certificate, key, code) in [
        ("none/x.crt", "server.key", 73),
        ("server.crt", "none/x.key", 73),
        ("folder", "server.key", 73),
        ("folder/", "server.key", 73),
        (".", "server.key", 73),
        ("..", "other.key", 73),
        ("/dev/null", "server.key", 73),
        ("server.key", "./server.key", 2),
        ("folder/../server.crt", "server.crt", 2),
    ] {
        for overwrite in [&["--overwrite"][..], &[]] {
            let names = ["--certificate", certificate, "--private-key", key];
            let output = cert(
                &dir,
                &[&["new", "b.example"], &names[..], overwrite].concat(),
            );
            let error = String::from_utf8(output.stderr).unwrap();
            let said = output.status.code();
            assert_eq!(said, Some(code), "{certificate} {key}: {error}");
            assert!(error.contains("\n  help: "), "{error}");
            assert_eq!(all(), before, "{certificate} {key} {overwrite:?}: {error}");
        }
    }
}

#[test]
fn a_request_in_utf8_becomes_a_certificate_at_a_ca() {
    let dir = directory();
    let words = [
        "request",
        "box.example",
        "--organization",
        "Ladebetreiber Müller & Söhne",
        "--common-name",
        "SN-4711",
        "--country",
        "de",
    ];
    assert_eq!(cert(&dir, &words).status.code(), Some(0));
    assert_eq!(mode(&dir, "client.key"), 0o600);
    openssl(&dir, "req -in client.csr -noout -verify");
    let (said, code) = show(&dir, &["client.csr", "client.key"]);
    let subject = "C=DE, O=Ladebetreiber Müller & Söhne, CN=SN-4711";
    assert_eq!((value(&said, "subject"), code), (subject, 0));
    assert_eq!(value(&said, "names"), "DNS:box.example");
    assert_eq!(value(&said, "belongs to"), "client.csr:1");

    make(&dir, "modern", "ca", "ec");
    openssl(
        &dir,
        "x509 -req -in client.csr -CA ca/root.crt -CAkey ca/root.key -CAcreateserial -days 10 \
         -copy_extensions copy -out client.crt",
    );
    let (said, _) = show(&dir, &["client.crt", "client.key", "ca/root.crt"]);
    assert_eq!(value(&said, "subject"), subject);
    assert!(
        value(&said, "issuer").ends_with("CN=Wurzel für das Parkhaus Süd, which is ca/root.crt:1")
    );
    assert!(value(&said, "valid").contains("ENDS SOON: in "), "{said}");
    assert_eq!(value(&said, "belongs to"), "client.crt:1");
}

#[test]
fn the_scripts_make_both_kinds_and_show_says_what_accepts_them() {
    let dir = directory();
    make(&dir, "modern", "modern", "rsa");
    make(&dir, "classic", "classic", "rsa");
    for folder in ["modern", "classic"] {
        assert_eq!(mode(&dir, &format!("{folder}/root.key")), 0o600);
        for leaf in ["server", "client"] {
            let chain = format!("verify -CAfile {folder}/root.crt {folder}/{leaf}.crt");
            openssl(&dir, &chain);
            let [crt, key] = ["crt", "key"].map(|it| format!("{folder}/{leaf}.{it}"));
            let root = format!("{folder}/root.crt");
            let (said, code) = show(&dir, &[&crt, &key, &root]);
            assert_eq!(code, 0);
            // Older and newer openssl differ in what they make without extensions.
            let text = openssl(&dir, &format!("x509 -in {crt} -noout -text"));
            let version = text
                .split_once("Version: ")
                .unwrap()
                .1
                .chars()
                .next()
                .unwrap();
            assert!(said.contains(&format!("{crt}:1: certificate, X.509 v{version}\n")));
            assert!(value(&said, "issuer").ends_with(&format!("which is {root}:1")));
            assert_eq!(value(&said, "belongs to"), format!("{crt}:1"));
            assert_eq!(value(&said, "key"), "RSA, 2048 bits");
        }
    }
    let said = |file| show(&dir, &[file]).0;
    let modern = said("modern/server.crt");
    assert!(
        value(&modern, "as server").starts_with("yes, for clients that call it garage.example, ")
    );
    assert!(value(&modern, "as client").starts_with("no"));
    assert!(value(&said("modern/client.crt"), "as server").starts_with("no"));
    assert_eq!(value(&said("modern/client.crt"), "as client"), "yes");
    assert_eq!(value(&said("modern/root.crt"), "as CA"), "yes");
    assert!(value(&modern, "as CA").starts_with("no"));
    let classic = said("classic/server.crt");
    assert!(value(&classic, "as server").starts_with("only for clients that do not check"));
    assert!(value(&classic, "subject").starts_with("C=DE, L=Lübeck, O=Parkhaus Süd GmbH"));
}

#[test]
fn the_scripts_refuse_what_they_cannot_make_and_say_why() {
    let dir = directory();
    let names = include_str!("../../certs/names.cnf");
    let long = names.replace("Parkhaus Süd GmbH", &"long".repeat(17));
    let latin1: Vec<u8> = names.chars().map(|it| it as u8).collect();
    fs::write(dir.path().join("good.cnf"), names).unwrap();
    fs::write(dir.path().join("long.cnf"), long).unwrap();
    fs::write(dir.path().join("latin1.cnf"), latin1).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("certs/make.sh");
    let run = |kind: &str, names: &str| {
        let mut command = Command::new("sh");
        command.arg(&script).args(["modern", "it", names]);
        command.env("KEY", kind).current_dir(dir.path());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), errors)
    };
    for (kind, names, says) in [
        (
            "p256",
            "good.cnf",
            "KEY=p256 is unknown: write KEY=ec or KEY=rsa",
        ),
        ("ec", "latin1.cnf", "UTF-8"),
        ("ec", "long.cnf", "CN and O at most 64 characters"),
        ("ec", "none.cnf", "none.cnf cannot be read"),
    ] {
        let (well, errors) = run(kind, names);
        assert!(!well && errors.contains(says), "{kind} {names}: {errors}");
    }
    let (well, errors) = run("EC", "good.cnf");
    assert!(well, "{errors}");
    let key = openssl(&dir, "pkey -in it/server.key -noout -text");
    assert!(key.contains("P-256"), "{key}");
}

#[test]
fn the_scripts_keep_what_is_there() {
    let dir = directory();
    make(&dir, "modern", "it", "ec");
    let read = |file: &str| fs::read(dir.path().join("it").join(file)).unwrap();
    let before = ["root.crt", "client.crt", "server.crt", "server.key"].map(read);
    fs::remove_file(dir.path().join("it/server.crt")).unwrap();
    make(&dir, "modern", "it", "ec");
    let after = ["root.crt", "client.crt", "server.crt", "server.key"].map(read);
    assert_eq!(
        (&before[0], &before[1], &before[3]),
        (&after[0], &after[1], &after[3])
    );
    assert_ne!(before[2], after[2], "only this one is new");
}

#[test]
fn certificates_that_are_no_chain_and_keys_of_nobody_are_named() {
    let dir = directory();
    make(&dir, "modern", "it", "ec");
    let read = |file: &str| fs::read_to_string(dir.path().join("it").join(file)).unwrap();
    let [root, server, client] = ["root.crt", "server.crt", "client.crt"].map(read);
    let note = "no chain as they stand";
    for (name, parts, well) in [
        ("chain.pem", [&server, &root], true),
        ("turned.pem", [&root, &server], false),
        ("loose.pem", [&server, &client], false),
    ] {
        fs::write(dir.path().join(name), parts[0].clone() + parts[1]).unwrap();
        let (said, code) = show(&dir, &[name]);
        assert_eq!((said.contains(note), code), (!well, 0), "{name}:\n{said}");
    }
    let (said, _) = show(&dir, &["it/server.crt", "it/client.key"]);
    assert!(value(&said, "belongs to").starts_with("NONE"), "{said}");
}

#[test]
fn a_leaf_with_the_name_of_its_root_is_not_taken_for_self_signed() {
    let dir = directory();
    openssl(
        &dir,
        "req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.crt -subj /CN=x -days 9",
    );
    openssl(
        &dir,
        "req -newkey rsa:2048 -nodes -keyout leaf.key -out leaf.csr -subj /CN=x",
    );
    openssl(
        &dir,
        "x509 -req -in leaf.csr -CA root.crt -CAkey root.key -CAcreateserial -out leaf.crt",
    );
    let (said, _) = show(&dir, &["leaf.crt", "root.crt"]);
    assert_eq!(value(&said, "issuer"), "CN=x, which is root.crt:1");
    assert!(value(&said, "note").contains("version 1") || said.contains("another key signed it"));
    assert!(said.contains("but another key signed it"), "{said}");
}

#[test]
fn what_cannot_be_used_as_it_is_comes_with_its_remedy() {
    let dir = directory();
    cert(&dir, &["new", "x.example"]);
    openssl(&dir, "x509 -in server.crt -outform der -out server.der");
    openssl(
        &dir,
        "pkcs12 -export -in server.crt -inkey server.key -out server.p12 -passout pass:x",
    );
    openssl(
        &dir,
        "pkcs8 -topk8 -in server.key -out new.key -passout pass:x",
    );
    openssl(
        &dir,
        "ec -in server.key -aes128 -passout pass:x -out old.key",
    );
    openssl(&dir, "ecparam -name secp521r1 -genkey -out p521.key");
    openssl(&dir, "genrsa -out short.key 1024");
    openssl(
        &dir,
        "crl2pkcs7 -nocrl -certfile server.crt -out server.p7b",
    );
    for (file, says) in [
        (
            "server.der",
            &["DER", "openssl x509 -inform der", "CN=x.example"][..],
        ),
        ("server.p12", &["PKCS#12", "openssl pkcs12 -in server.p12"]),
        (
            "new.key",
            &["an encrypted private key", "openssl pkey -in new.key"],
        ),
        (
            "old.key",
            &["an encrypted private key", "openssl pkey -in old.key"],
        ),
        (
            "p521.key",
            &["EC PARAMETERS", "private key", "not with this"],
        ),
        ("short.key", &["RSA", "not with this"]),
        ("server.p7b", &["PKCS#7", "-print_certs"]),
    ] {
        let (said, code) = show(&dir, &[file]);
        assert_eq!(code, 0, "{file}");
        for part in says {
            assert!(said.contains(part), "{part} in:\n{said}");
        }
    }
}

#[test]
fn check_says_of_whom_a_list_cannot_vouch_for_anybody_and_what_other_forms_are() {
    let dir = directory();
    let root = |name: &str, key: &str| {
        openssl(
            &dir,
            &format!(
                "req -x509 -newkey {key} -nodes -keyout {name}.key -out {name}.crt -subj /CN={name} \
                 -days 9"
            ),
        );
    };
    root("good", "rsa:2048");
    root("weak", "rsa:1024");
    root("curve", "ec -pkeyopt ec_paramgen_curve:secp521r1");
    openssl(
        &dir,
        "req -newkey rsa:2048 -nodes -keyout silent.key -out silent.csr -subj /CN=silent",
    );
    openssl(
        &dir,
        "x509 -req -in silent.csr -CA good.crt -CAkey good.key -CAcreateserial -out silent.crt",
    );
    openssl(&dir, "x509 -in good.crt -trustout -out trusted.crt");
    openssl(&dir, "crl2pkcs7 -nocrl -certfile good.crt -out pkcs7.crt");
    openssl(
        &dir,
        "crl2pkcs7 -nocrl -certfile good.crt -outform der -out binary.crt",
    );
    openssl(
        &dir,
        "pkcs12 -export -in good.crt -inkey good.key -out pkcs12.crt -passout pass:x",
    );
    let check = |list: &str| {
        let text = format!(
            "[ocpp-server]\nclient-ca = [{list}]\n[[circuit]]\nname = \"house\"\nmax-current = 63\n\
             [[evse]]\nname = \"left\"\ndevice = \"ocpp1.6\"\naddress = \"CB-1\"\nmax-current = 16\n"
        );
        fs::write(dir.path().join("site.toml"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_chargewarden"));
        command.args(["check", "--config", "site.toml"]);
        let output = command.current_dir(dir.path()).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    for list in ["\"good.crt\"", "\"silent.crt\", \"good.crt\""] {
        let said = check(list);
        assert!(
            !said.contains("warning") && said.contains("no mistakes"),
            "{said}"
        );
    }
    for (list, says) in [
        (
            "\"weak.crt\"",
            "weak.crt: the RSA key of CN=weak is shorter",
        ),
        (
            "\"curve.crt\"",
            "the key of CN=curve is of a kind that is not taken",
        ),
        ("\"silent.crt\"", "CN=silent vouches for nobody but itself"),
    ] {
        let said = check(list);
        assert!(
            said.contains("site.toml:2:") && said.contains(": warning: "),
            "{said}"
        );
        assert!(
            said.contains(says) && said.contains("no mistakes"),
            "{said}"
        );
    }
    for (file, says) in [
        (
            "trusted",
            "openssl x509 -in trusted.crt -out trusted.crt.pem",
        ),
        ("pkcs7", "openssl pkcs7 -in pkcs7.crt -print_certs"),
        ("binary", "openssl pkcs7 -inform der -in binary.crt"),
        ("pkcs12", "openssl pkcs12 -in pkcs12.crt -nodes"),
    ] {
        let said = check(&format!("\"{file}.crt\""));
        assert!(said.contains(says), "{said}");
        let (shown, _) = show(&dir, &[&format!("{file}.crt")]);
        assert!(shown.contains(says), "{shown}");
    }
}

#[test]
fn what_cannot_be_read_ends_with_74_and_does_not_hide_the_rest() {
    let dir = directory();
    cert(&dir, &["new", "x.example"]);
    let pem = fs::read_to_string(dir.path().join("server.crt")).unwrap();
    for (text, says) in [
        ("", "an empty file"),
        ("hello\n", "neither PEM nor DER"),
        (&pem[..200], "a damaged CERTIFICATE: it has no end"),
        (
            &pem.replacen('M', "?", 1),
            "a damaged CERTIFICATE: what is in it is no base64",
        ),
        (
            "-----BEGIN PRIVATE KEY-----\nAQID\n-----END PRIVATE KEY-----\n",
            "a damaged PRIVATE KEY: what is in it is not what it says",
        ),
    ] {
        fs::write(dir.path().join("bad.pem"), text).unwrap();
        let (said, code) = show(&dir, &["bad.pem", "server.crt"]);
        assert_eq!(code, 74, "{says}");
        assert!(said.contains(says) && said.contains("  help "), "{said}");
        assert!(said.contains("CN=x.example"), "the rest is shown:\n{said}");
    }
    let (said, code) = show(&dir, &["absent.pem", "server.crt"]);
    assert!(code == 74 && said.contains("CN=x.example"));
}

#[test]
fn a_key_that_others_may_read_is_warned_of() {
    let dir = directory();
    cert(&dir, &["new", "x.example"]);
    assert!(!show(&dir, &["server.key"]).0.contains("warning"));
    let key = dir.path().join("server.key");
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    let (said, _) = show(&dir, &["server.key"]);
    assert!(said.contains("others may read it: chmod "), "{said}");
}

#[test]
fn an_expired_certificate_is_said_to_be() {
    let dir = directory();
    make(&dir, "modern", "it", "ec");
    openssl(
        &dir,
        "x509 -req -in it/server.csr -CA it/root.crt -CAkey it/root.key -CAcreateserial -days -1 \
         -out old.crt",
    );
    let (said, code) = show(&dir, &["old.crt"]);
    assert_eq!(code, 0);
    assert!(
        value(&said, "valid").contains("EXPIRED 1 day ago"),
        "{said}"
    );
}
