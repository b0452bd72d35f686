//! Files that the configuration names: passwords, certificates and keys.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chargewarden::config::{self, ClientName, Config, Problems, TlsMode, Trust, Warning};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use tempfile::TempDir;

use super::SITE;

/// A self-signed certificate of X.509 version 1, as `openssl x509 -req` makes it, and its key.
const V1_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBFzCBvQIUF7IHwR4VofLMqeQxka7LGyaWKBQwCgYIKoZIzj0EAwIwDTELMAkG
A1UEAwwCdjEwIBcNMjYxMTIxMTIwODEzWhgPMjEyNjEwMjgxMjA4MTNaMA0xCzAJ
BgNVBAMMAnYxMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEit/7FlvktsKog5Sd
BUgl+El3OiFzj8H33zjTT/FqIZhyW6EqR3cO/I6TDwEl6TgpR2i4aN5ICTCTFZoc
UNlEPzAKBggqhkjOPQQDAgNJADBGAiEAyCxwmHMCPn6J91gbLt4I1lZ2Qv5OpgFu
1AEA1Tdeu/oCIQD27j7ZvBU3U54I5BP8KY3s1OWKqgipu3D1/qeG7X+JMg==
-----END CERTIFICATE-----
";
const V1_KEY: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEINjvzWRnMN3ZGXm2XRPybtgpLBwA9VxnImgCF92efeavoAoGCCqGSM49
AwEHoUQDQgAEit/7FlvktsKog5SdBUgl+El3OiFzj8H33zjTT/FqIZhyW6EqR3cO
/I6TDwEl6TgpR2i4aN5ICTCTFZocUNlEPw==
-----END EC PRIVATE KEY-----
";

struct Site(TempDir);

impl Site {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, content: &str) -> &Self {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn open_to_all(&self, name: &str) -> &Self {
        let path = self.0.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    /// `name.crt` and `name.key`, made for each other.
    fn certificate(&self, name: &str) -> &Self {
        self.certificate_with(name, |_| {})
    }

    fn certificate_with(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> &Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.crt"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn load(&self, text: &str) -> Result<(Config, Vec<Warning>), Problems> {
        self.write("site.toml", &format!("{SITE}{text}"));
        config::load(&self.0.path().join("site.toml"))
    }

    /// What is wrong, without the name of the directory.
    fn wrong(&self, text: &str) -> Vec<String> {
        let directory = format!("{}/", self.0.path().display());
        let problems = self.load(text).unwrap_err().0.into_iter();
        problems.map(|it| it.what.replace(&directory, "")).collect()
    }

    fn server(&self, lines: &str) -> Vec<String> {
        self.wrong(&format!("[ocpp-server]\n{lines}\n"))
    }
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_one_problem_with_a_remedy() {
    let site = Site::new();
    let problems = config::load(&site.0.path().join("none.toml")).unwrap_err();
    assert!(
        problems.to_string().contains("none.toml: cannot be read: "),
        "{problems}"
    );
    let path = site.0.path().join("binary.toml");
    std::fs::write(&path, [0xFF, 0xFE]).unwrap();
    let problems = config::load(&path).unwrap_err();
    assert!(
        problems.to_string().contains("binary.toml: is not UTF-8\n"),
        "{problems}"
    );
}

#[test]
fn a_byte_order_mark_shifts_nothing() {
    let site = Site::new();
    site.write("bom.toml", "\u{feff}max-current = 5\n");
    let problems = config::load(&site.0.path().join("bom.toml")).unwrap_err();
    let place = problems.0[1].place.clone().unwrap();
    assert_eq!((place.line, place.column, place.width), (1, 1, 11));
}

#[test]
fn a_password_comes_from_its_file_without_the_newline_at_the_end() {
    let site = Site::new();
    for (content, expected) in [
        ("geheim\n", "geheim"),
        ("geheim\r\n", "geheim"),
        ("ge\nheim ", "ge\nheim "),
        ("\u{feff}geheim\r\n", "geheim"),
    ] {
        site.write("secret", content);
        let (config, warnings) = site
            .load("[ocpp-server]\npassword-file = \"secret\"\n")
            .unwrap();
        assert_eq!(
            config.server.password.as_ref().unwrap().expose(),
            expected.as_bytes()
        );
        assert_eq!(warnings, []);
        assert!(!format!("{config:?}").contains("heim"));
    }
}

#[test]
fn a_password_is_given_once_and_is_readable_and_not_empty() {
    let site = Site::new();
    site.write("secret", "geheim\n").write("empty", "\n");
    assert_eq!(
        site.server("password = \"a\"\npassword-file = \"secret\""),
        ["password and password-file are both given"]
    );
    assert_eq!(
        site.server("password-file = \"none\""),
        ["none cannot be read: No such file or directory (os error 2)"]
    );
    assert_eq!(
        site.server("password-file = \"empty\""),
        ["the password is empty"]
    );
    assert_eq!(site.server("password = \"\""), ["the password is empty"]);
}

#[test]
fn secrets_that_everybody_may_read_are_worth_a_warning() {
    let site = Site::new();
    site.certificate("a").write("secret", "geheim\n");
    let text = "[ocpp-server]\npassword-file = \"secret\"\ncertificate = \"a.crt\"\nprivate-key = \"a.key\"\n";
    assert_eq!(site.load(text).unwrap().1, []);
    site.open_to_all("secret")
        .open_to_all("a.key")
        .open_to_all("a.crt");
    let (_, warnings) = site.load(text).unwrap();
    let lines: Vec<usize> = warnings
        .iter()
        .map(|it| it.0.place.as_ref().unwrap().line)
        .collect();
    assert_eq!(lines, [10, 12], "{warnings:?}");
}

#[test]
fn certificate_and_key_are_both_given_or_neither() {
    let site = Site::new();
    site.certificate("a");
    assert_eq!(
        site.server("certificate = \"a.crt\""),
        ["certificate without private-key"]
    );
    assert_eq!(
        site.server("private-key = \"a.key\""),
        ["private-key without certificate"]
    );
}

#[test]
fn certificate_and_key_are_readable_and_belong_together() {
    let site = Site::new();
    site.certificate("a")
        .certificate("b")
        .write("text", "hello\n");
    let pair = |certificate: &str, key: &str| {
        format!("[ocpp-server]\ncertificate = \"{certificate}\"\nprivate-key = \"{key}\"\n")
    };
    let (config, _) = site.load(&pair("a.crt", "a.key")).unwrap();
    assert!(
        config
            .server
            .key_pair
            .unwrap()
            .certificate
            .ends_with("a.crt")
    );
    assert_eq!(
        site.wrong(&pair("a.crt", "b.key")),
        ["the key does not belong to the certificate a.crt"]
    );
    assert_eq!(
        site.wrong(&pair("text", "text")),
        ["text holds no certificate", "text holds no private key"]
    );
    assert_eq!(
        site.wrong(&pair("none.crt", "a.crt")),
        [
            "none.crt cannot be read: No such file or directory (os error 2)",
            "a.crt holds no private key",
        ]
    );
}

#[test]
fn certificates_of_version_1_are_as_good() {
    let site = Site::new();
    site.write("v1.crt", V1_CERTIFICATE)
        .write("v1.key", V1_KEY)
        .certificate("a");
    let text = "[ocpp-server]\ncertificate = \"v1.crt\"\nprivate-key = \"v1.key\"\n";
    assert!(site.load(text).unwrap().0.server.key_pair.is_some());
    assert_eq!(
        site.wrong(&text.replace("v1.key", "a.key")),
        ["the key does not belong to the certificate v1.crt"]
    );
}

#[test]
fn client_ca_turns_tls_on_unless_the_file_says_otherwise() {
    let site = Site::new();
    site.certificate("ca");
    let load = |tls: &str| site.load(&format!("[ocpp-server]\nclient-ca = [\"ca.crt\"]\n{tls}\n"));
    let (config, warnings) = load("").unwrap();
    assert_eq!((config.server.tls, warnings.len()), (TlsMode::On, 0));
    assert_eq!(config.refusal(), None);
    let (config, warnings) = load("tls = \"detect\"").unwrap();
    assert_eq!((config.server.tls, warnings.len()), (TlsMode::Detect, 1));
    assert_eq!(
        load("tls = \"off\"").unwrap_err().0[0].what,
        "client-ca asks for client certificates, but tls is off"
    );
    assert_eq!(
        site.server("client-ca = [\"ca.key\"]"),
        ["ca.key holds no certificate"]
    );
}

#[test]
fn client_name_is_about_client_certificates() {
    let site = Site::new();
    site.certificate("ca");
    let load = |lines: &str| site.load(&format!("[ocpp-server]\n{lines}\n"));
    let name = |lines: &str| load(lines).unwrap().0.server.client_name;
    assert_eq!(name("client-ca = [\"ca.crt\"]"), ClientName::Any);
    let both = "client-ca = [\"ca.crt\"]\nclient-name = \"charge-box-id\"";
    assert_eq!(name(both), ClientName::ChargeBoxId);
    assert_eq!(name("client-name = \"any\""), ClientName::Any);
    assert_eq!(
        site.server("client-name = \"charge-box-id\""),
        ["client-name is about client certificates, and without client-ca none is asked for"]
    );
    assert_eq!(site.server("client-name = \"serial\"").len(), 1);
}

#[test]
fn certificates_that_others_will_refuse_are_worth_a_warning_where_they_are_named() {
    let site = Site::new();
    site.certificate("good")
        .certificate_with("old", |it| it.not_after = rcgen::date_time_ymd(2026, 12, 1))
        .certificate_with("new", |it| it.not_before = rcgen::date_time_ymd(2027, 2, 1))
        .certificate_with("server", |it| {
            it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
        .certificate_with("client", |it| {
            it.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        });
    let text = |server: &str, client: &str, ca: &str| {
        format!(
            "[evse.gateway]\nurl = \"wss://b.example\"\nclient-id = \"B\"\nca = [\"{ca}.crt\"]\n\
             certificate = \"{client}.crt\"\nprivate-key = \"{client}.key\"\n\
             [ocpp-server]\nclient-ca = [\"{ca}.crt\"]\n\
             certificate = \"{server}.crt\"\nprivate-key = \"{server}.key\"\n"
        )
    };
    let now = "2027-01-01T00:00:00Z".parse().unwrap();
    let path = site.0.path().join("site.toml");
    for (server, client, ca, lines, says) in [
        ("good", "good", "good", &[][..], ""),
        ("server", "client", "server", &[], ""),
        ("old", "good", "good", &[17], "ended on 2026-12-01"),
        ("new", "good", "good", &[17], "begins on 2027-02-01"),
        ("client", "good", "good", &[17], "not for servers"),
        ("good", "server", "good", &[13], "not for clients"),
        ("good", "old", "old", &[12, 13, 16], "ended on 2026-12-01"),
    ] {
        let text = text(server, client, ca);
        let timeless = site.load(&text).unwrap().1;
        assert_eq!(timeless.is_empty(), !says.contains("not for"), "{says}");
        let (_, warnings) = config::load_at(&path, now).unwrap();
        let said: Vec<usize> = warnings
            .iter()
            .map(|it| it.0.place.as_ref().unwrap().line)
            .collect();
        assert_eq!(said, lines, "{warnings:?}");
        assert!(
            warnings.iter().all(|it| it.0.what.contains(says)),
            "{warnings:?}"
        );
    }
}

#[test]
fn several_authorities_that_could_name_any_wallbox_are_warned_of() {
    let site = Site::new();
    site.certificate("a").certificate("b");
    let warned = |list: &str, name: &str| {
        let lines = format!("client-ca = [{list}]\nclient-name = \"{name}\"\n");
        let (_, warnings) = site.load(&format!("[ocpp-server]\n{lines}")).unwrap();
        let whats = warnings.iter().map(ToString::to_string);
        whats
            .filter(|it| it.contains("in the name of every wallbox"))
            .count()
    };
    assert_eq!(warned(r#""a.crt""#, "charge-box-id"), 0);
    assert_eq!(warned(r#""a.crt", "a.crt""#, "charge-box-id"), 0);
    assert_eq!(warned(r#""a.crt", "b.crt""#, "any"), 0);
    assert_eq!(warned(r#""a.crt", "b.crt""#, "charge-box-id"), 1);
}

#[test]
fn a_key_with_a_passphrase_is_told_from_none() {
    let site = Site::new();
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
    site.certificate("a").write("locked.key", locked);
    let text = "[ocpp-server]\ncertificate = \"a.crt\"\nprivate-key = \"locked.key\"\n";
    let problem = site.load(text).unwrap_err().0.remove(0);
    assert!(problem.what.contains("with a passphrase"), "{problem:?}");
    assert!(problem.remedy.contains("openssl pkey -in"), "{problem:?}");
}

#[test]
fn a_password_to_a_backend_in_clear_text_is_worth_a_warning() {
    let site = Site::new();
    let warnings = |url: &str| {
        let gateway = format!(
            "[evse.gateway]\nurl = \"{url}\"\nclient-id = \"B\"\nca = \"system\"\npassword = \"p\"\n"
        );
        site.load(&gateway).unwrap().1
    };
    assert_eq!(warnings("wss://b.example"), []);
    let warnings = warnings("ws://b.example");
    assert!(
        warnings
            .iter()
            .any(|it| it.0.what.contains("in clear text")),
        "{warnings:?}"
    );
}

#[test]
fn what_is_about_tls_and_stands_beside_ws_is_worth_a_warning() {
    let site = Site::new();
    site.certificate("a");
    let warnings = |url: &str, lines: &str| {
        let gateway = format!("[evse.gateway]\nurl = \"{url}\"\nclient-id = \"B\"\n{lines}");
        let warnings = site.load(&gateway).unwrap().1.into_iter();
        warnings.map(|it| it.0.what).collect::<Vec<_>>()
    };
    let pair = "certificate = \"a.crt\"\nprivate-key = \"a.key\"\n";
    let ca = "ca = [\"a.crt\"]\n";
    let all = format!("{ca}{pair}verify-hostname = false\n");
    assert_eq!(warnings("ws://b.example", ""), [""; 0]);
    assert_eq!(
        warnings("ws://b.example", ca),
        ["ca does nothing: the url begins with ws://, which has no TLS"]
    );
    for url in ["ws://b.example", "WS://b.example"] {
        assert_eq!(
            warnings(url, &all),
            [
                "ca, verify-hostname, certificate and private-key do nothing: the url begins with \
              ws://, which has no TLS"
            ]
        );
    }
    assert_eq!(warnings("wss://b.example", &all), [""; 0]);
    for url in ["wss://b.example", "WSS://b.example"] {
        assert_eq!(
            warnings(url, pair),
            ["any server certificate is accepted as the backend's"]
        );
    }
}

#[test]
fn a_backend_is_trusted_by_files_or_by_the_roots_of_the_machine() {
    let site = Site::new();
    site.certificate("ca");
    let gateway = |ca: &str| {
        format!("[evse.gateway]\nurl = \"wss://b.example\"\nclient-id = \"B\"\nca = {ca}\n")
    };
    let trust = |ca: &str| {
        let (config, _) = site.load(&gateway(ca)).unwrap();
        config.evses[0].gateway.clone().unwrap().ca
    };
    assert_eq!(trust("\"system\""), Trust::System);
    assert_eq!(
        trust("[\"ca.crt\"]"),
        Trust::Files(vec![site.0.path().join("ca.crt")])
    );
    assert_eq!(
        site.wrong(&gateway("\"ca.crt\"")),
        ["ca must be \"system\" or a list of files, not text"]
    );
    assert_eq!(site.wrong(&gateway("[]")), ["ca is empty"]);
    let problem = site.load(&gateway("[\"system\"]")).unwrap_err().0.remove(0);
    assert!(problem.remedy.contains("ca = \"system\""), "{problem:?}");
    site.write(
        "system",
        &std::fs::read_to_string(site.0.path().join("ca.crt")).unwrap(),
    );
    assert!(
        site.load(&gateway("[\"system\"]")).is_ok(),
        "a file of this name"
    );
    assert_eq!(
        site.wrong(&gateway("[\"none.crt\", \"ca.key\"]")).len(),
        2,
        "every file of the list is judged"
    );
}

#[test]
fn paths_are_relative_to_the_file() {
    let text =
        format!("[manager]\nstate-dir = \"state\"\ncontrol-socket = \"/run/x.sock\"\n{SITE}");
    let (config, _) = config::read(Path::new("/etc/site/site.toml"), &text).unwrap();
    assert_eq!(config.manager.state_dir, Path::new("/etc/site/state"));
    assert_eq!(config.manager.control_socket, Path::new("/run/x.sock"));
}
