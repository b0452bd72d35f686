//! Certificates, events and profiles of security, with a backend played by the test.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};

use super::emulated::one;
use super::*;
use crate::certificates::Certificate;
use crate::gateway::security::{Presented, PrivateKey, Requested, Signed, Subject};

/// An authority, as a backend has one.
pub(super) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(super) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a request, until June 20th of this year.
    fn sign(&self, csr: &str, year: i32) -> String {
        self.sign_for(csr, year, &[])
    }

    /// The same, for these purposes.
    fn sign_for(&self, csr: &str, year: i32, purposes: &[ExtendedKeyUsagePurpose]) -> String {
        let mut request = CertificateSigningRequestParams::from_pem(csr).unwrap();
        request.params.extended_key_usages = purposes.to_vec();
        request.params.not_before = date_time_ymd(2025, 1, 1);
        request.params.not_after = date_time_ymd(year, 6, 20);
        request.signed_by(&self.0).unwrap().pem() + &self.pem()
    }
}

pub(super) fn secure(mut plan: GatewayPlan) -> GatewayPlan {
    plan.url = "wss://backend/ocpp".to_owned();
    plan.security_profile = 2;
    plan.has_ca = true;
    plan.password = Some(keys::Credential::new(*b"a password"));
    plan
}

/// Makes a key, as the daemon does.
fn request(subject: &Subject) -> Requested {
    let mut params = CertificateParams::default();
    let name = &mut params.distinguished_name;
    name.push(DnType::OrganizationName, &subject.organization);
    name.push(DnType::CommonName, &subject.common_name);
    let key = KeyPair::generate().unwrap();
    Requested {
        csr: params.serialize_request(&key).unwrap().pem().unwrap(),
        key: PrivateKey::new(key.serialize_pem()),
    }
}

pub(super) fn root(pem: &str) -> Value {
    json!({"certificateType": "CentralSystemRootCertificate", "certificate": pem})
}

impl Bench {
    pub(super) fn secured() -> Self {
        let mut bench = Self::played(secure(one()));
        bench.answer_everything();
        bench
    }

    pub(super) fn status(&mut self, action: &str, payload: &Value) -> String {
        let answer = self.command(action, payload).expect("an answer");
        answer[2]["status"].as_str().expect("a status").to_owned()
    }

    /// The backend has us ask for a certificate; returns the request.
    pub(super) fn asks_to_sign(&mut self) -> String {
        let trigger = json!({"requestedMessage": "SignChargePointCertificate"});
        assert_eq!(self.status("ExtendedTriggerMessage", &trigger), "Accepted");
        let subject = self.subjects.pop().expect("a request for a key");
        let requested = request(&subject);
        self.act(|gateway, context| gateway.handle_requested(context, Some(requested)));
        let (id, payload) = self.expect("SignCertificate");
        self.answer(&id, &json!({"status": "Accepted"}));
        payload["csr"].as_str().unwrap().to_owned()
    }

    pub(super) fn signed(&mut self, chain: &str) -> String {
        let payload = json!({"certificateChain": chain});
        self.status("CertificateSigned", &payload)
    }

    pub(super) fn installed(&mut self) -> Value {
        let payload = json!({"certificateType": "CentralSystemRootCertificate"});
        let answer = self.command("GetInstalledCertificateIds", &payload);
        answer.expect("an answer")[2].clone()
    }

    /// The events that the backend hears now, each answered well.
    pub(super) fn events(&mut self) -> Vec<String> {
        let all = self.answer_everything().into_iter();
        all.filter(|(action, _)| action == "SecurityEventNotification")
            .map(|(_, payload)| payload["type"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The certificate of the next dial.
    pub(super) fn dialled(&mut self) -> Option<Signed> {
        if self.dials == 0 {
            self.wait(400);
        }
        assert!(self.dials > 0, "nobody dialled");
        self.login.certificate.clone()
    }

    pub(super) fn fails(&mut self, why: &DialFailure) {
        self.dials = 0;
        self.act(|gateway, context| gateway.handle_failure(context, why, &[], false));
    }

    /// The backend wanted to see our certificate, and did not like it.
    pub(super) fn refuses(&mut self) {
        let why = DialFailure::Tls("unknown ca".to_owned());
        self.dials = 0;
        self.act(|gateway, context| gateway.handle_failure(context, &why, &[], true));
    }

    /// The backend wanted to see our certificate, and liked it.
    pub(super) fn takes(&mut self) {
        self.up_after(true);
        self.answer_everything();
    }

    pub(super) fn configured(&mut self, fingerprint: Option<&str>) {
        self.act(|gateway, _| gateway.handle_configured(fingerprint));
    }

    /// The connection that the gateway wants anew.
    pub(super) fn comes_back(&mut self) {
        self.answer_everything();
        self.wait(5);
        assert_eq!(self.closed.pop(), Some(1000), "it is made anew");
    }
}

const GONE: DialFailure = DialFailure::NotFound;

#[test]
fn a_certificate_that_the_backend_signed_is_shown_from_the_next_connection_on() {
    let mut bench = Bench::secured();
    bench.wait(20);
    bench.answer_everything();
    bench.command(
        "ChangeConfiguration",
        &json!({"key": "CpoName", "value": "Stadtwerke Köln"}),
    );
    let csr = bench.asks_to_sign();
    let asked = CertificateSigningRequestParams::from_pem(&csr).unwrap();
    let name = asked.params.distinguished_name;
    let text = |kind| format!("{:?}", name.get(&kind));
    assert!(text(DnType::OrganizationName).contains("Stadtwerke Köln"));
    assert!(!text(DnType::CommonName).contains("None"));
    let chain = Authority::new("CPO").sign(&csr, 2027);
    assert_eq!(bench.signed(&chain), "Accepted");
    assert_eq!(bench.events(), ["ReconfigurationOfSecurityParameters"]);
    bench.comes_back();
    assert_eq!(bench.dialled().map(|it| it.chain), Some(chain.clone()));
    bench.connect();
    bench.down();
    assert_eq!(bench.dialled().map(|it| it.chain), Some(chain.clone()));
    let mut bench = bench.crash();
    assert_eq!(bench.dialled().map(|it| it.chain), Some(chain));
}

#[test]
fn until_the_certificate_was_good_every_other_attempt_is_made_with_what_was_shown_before() {
    let mut bench = Bench::secured();
    let cpo = Authority::new("CPO");
    let csr = bench.asks_to_sign();
    bench.signed(&cpo.sign(&csr, 2027));
    bench.comes_back();
    let mut shown = Vec::new();
    for _ in 0..4 {
        shown.push(bench.dialled().is_some());
        bench.fails(&DialFailure::Tls("certificate required".to_owned()));
    }
    assert_eq!(shown, [true, false, true, false]);
    assert!(bench.dialled().is_some());
    bench.takes();
    bench.down();
    for _ in 0..3 {
        assert!(bench.dialled().is_some(), "it was good");
        bench.fails(&GONE);
    }
    bench.connect();
    let csr = bench.asks_to_sign();
    let newer = cpo.sign(&csr, 2028);
    bench.signed(&newer);
    bench.down();
    let first = bench.dialled().unwrap();
    bench.fails(&GONE);
    let second = bench.dialled().unwrap();
    assert_eq!(first.chain, newer);
    assert_ne!(second.chain, newer, "the one that was good");
    bench.fails(&GONE);
    assert_eq!(bench.dialled(), None, "that of the configuration");
}

#[test]
fn a_backend_that_asks_for_no_certificate_proves_none() {
    let mut bench = Bench::secured();
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2027));
    bench.comes_back();
    bench.connect();
    let mut bench = bench.crash();
    bench.wallbox_comes();
    let mut shown = Vec::new();
    for _ in 0..2 {
        shown.push(bench.dialled().is_some());
        bench.refuses();
    }
    assert_eq!(shown, [true, false]);
}

#[test]
fn a_certificate_that_was_good_and_is_refused_takes_turns_with_that_of_the_configuration() {
    let mut bench = Bench::secured();
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2027));
    bench.comes_back();
    bench.takes();
    bench.down();
    for _ in 0..5 {
        assert!(bench.dialled().is_some(), "nobody looked at it");
        bench.fails(&GONE);
    }
    let mut shown = Vec::new();
    for _ in 0..6 {
        shown.push(bench.dialled().is_some());
        bench.refuses();
    }
    assert_eq!(shown, [true, true, true, false, true, false]);
    assert!(bench.dialled().is_some());
    bench.refuses();
    assert_eq!(bench.dialled(), None);
    bench.takes();
    bench.down();
    assert!(bench.dialled().is_some());
    bench.refuses();
    assert_eq!(bench.dialled(), None, "it is not the good one any more");
}

#[test]
fn another_certificate_in_the_configuration_ends_what_the_backend_signed() {
    let mut bench = Bench::secured();
    bench.configured(Some("AA"));
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2027));
    bench.comes_back();
    bench.takes();
    for (fingerprint, shown) in [(Some("AA"), true), (None, false), (Some("AA"), false)] {
        bench = bench.crash();
        bench.wallbox_comes();
        bench.dials = 0;
        bench.fails(&GONE);
        bench.configured(fingerprint);
        assert_eq!(bench.dialled().is_some(), shown, "{fingerprint:?}");
    }
}

#[test]
fn what_was_remembered_before_certificates_were_compared_stays() {
    let mut bench = Bench::secured();
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2027));
    bench.comes_back();
    bench.takes();
    for (fingerprint, shown) in [("AA", true), ("BB", false)] {
        bench = bench.crash();
        bench.wallbox_comes();
        bench.dials = 0;
        bench.fails(&GONE);
        bench.configured(Some(fingerprint));
        assert_eq!(bench.dialled().is_some(), shown, "{fingerprint}");
    }
}

#[test]
fn a_certificate_must_be_for_clients_and_may_answer_the_request_before_the_last() {
    let mut bench = Bench::secured();
    let cpo = Authority::new("CPO");
    let requests = [(); 3].map(|()| bench.asks_to_sign());
    let server = [ExtendedKeyUsagePurpose::ServerAuth];
    let both = [
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let signed = |csr: &str, purposes: &[_]| cpo.sign_for(csr, 2027, purposes);
    assert_eq!(bench.signed(&signed(&requests[0], &[])), "Rejected");
    assert_eq!(bench.signed(&signed(&requests[1], &server)), "Rejected");
    assert_eq!(bench.signed(&signed(&requests[1], &both)), "Accepted");
    assert_eq!(bench.signed(&signed(&requests[1], &both)), "Rejected");
    assert_eq!(bench.signed(&signed(&requests[2], &[])), "Accepted");
}

#[test]
fn a_certificate_for_another_key_or_another_time_is_rejected_and_reported() {
    let mut bench = Bench::secured();
    let cpo = Authority::new("CPO");
    assert_eq!(bench.signed(&cpo.pem()), "Rejected", "nobody asked");
    assert_eq!(bench.events(), ["InvalidChargePointCertificate"]);
    let csr = bench.asks_to_sign();
    let stranger = request(&Subject {
        common_name: "x".to_owned(),
        organization: "y".to_owned(),
    });
    let good = cpo.sign(&csr, 2027);
    for chain in [
        cpo.sign(&stranger.csr, 2027),
        cpo.sign(&csr, 2025),
        "no certificate".to_owned(),
        String::new(),
        good.clone() + &cpo.pem().repeat(20),
    ] {
        assert_eq!(bench.signed(&chain), "Rejected");
        assert_eq!(bench.events(), ["InvalidChargePointCertificate"]);
    }
    bench.wait(5);
    assert!(bench.closed.is_empty());
    assert_eq!(bench.signed(&good), "Accepted");
    assert_eq!(bench.signed(&good), "Rejected", "it was for one time");
}

#[test]
fn a_certificate_that_ends_within_a_month_is_asked_for_again() {
    let mut bench = Bench::secured();
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2026));
    bench.comes_back();
    bench.connect();
    for _ in 0..4 {
        bench.wait(400);
        bench.answer_everything();
    }
    assert_eq!(
        bench.subjects.len(),
        0,
        "it was asked for less than a day ago"
    );
    let mut bench = bench.crash();
    bench.wallbox_comes();
    bench.connect();
    bench.wait(400);
    bench.answer_everything();
    assert_eq!(bench.subjects.len(), 1);
}

#[test]
fn roots_are_installed_listed_and_deleted_and_trusted_beside_ca() {
    let mut bench = Bench::secured();
    assert_eq!(bench.installed(), json!({"status": "NotFound"}));
    let pem = Authority::new("Backend").pem();
    for _ in 0..2 {
        assert_eq!(bench.status("InstallCertificate", &root(&pem)), "Accepted");
    }
    let manufacturer =
        json!({"certificateType": "ManufacturerRootCertificate", "certificate": pem});
    assert_eq!(
        bench.status("InstallCertificate", &manufacturer),
        "Rejected"
    );
    let mut bench = bench.crash();
    bench.connect();
    assert_eq!(bench.login.roots, [pem]);
    let listed = bench.installed();
    assert_eq!(listed["status"], "Accepted");
    let [which] = listed["certificateHashData"].as_array().unwrap().as_slice() else {
        panic!("{listed}");
    };
    let mut padded = which.clone();
    let number = which["serialNumber"].as_str().unwrap().to_uppercase();
    padded["serialNumber"] = json!(format!("00{number}"));
    let mut other = which.clone();
    other["hashAlgorithm"] = json!("SHA512");
    for (which, status) in [
        (&other, "NotFound"),
        (&padded, "Accepted"),
        (&padded, "NotFound"),
    ] {
        let payload = json!({"certificateHashData": which});
        assert_eq!(bench.status("DeleteCertificate", &payload), status);
    }
    bench.down();
    bench.dialled();
    assert!(bench.login.roots.is_empty());
}

#[test]
fn what_the_backend_signed_and_installed_is_watched_for_its_end() {
    let mut bench = Bench::secured();
    let before = format!("{:?}", bench.gateway.ends);
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2026));
    bench.comes_back();
    bench.connect();
    let pem = Authority::new("Backend").pem();
    bench.status("InstallCertificate", &root(&pem));
    let watched = bench.gateway.safe.certificates();
    let subject = |der| Certificate::parse(der).unwrap().subject();
    let mut subjects: Vec<_> = watched.iter().map(|der| subject(der)).collect();
    subjects[0].clear();
    assert_eq!(subjects, ["", "CN=CPO", "CN=Backend"], "the leaf is first");
    for _ in 0..10 {
        bench.wait(400);
        bench.answer_everything();
        if bench.dials > 0 {
            bench.connect();
        }
    }
    assert_ne!(before, format!("{:?}", bench.gateway.ends), "in an hour");
}

#[test]
fn the_certificate_that_a_backend_showed_is_remembered_over_restarts() {
    let mut bench = Bench::secured();
    let memory = |bench: &Bench| {
        let mut all = bench.disk.memory.iter();
        let found = all.find(|((_, key), _)| key == "presented");
        found.map(|(_, value)| value.clone())
    };
    let show = |mut bench: Bench, fingerprint: &str| {
        bench.down();
        bench.dialled();
        bench.dials = 0;
        bench.link += 1;
        let link = LinkId(bench.link);
        let presented = Presented {
            url: "wss://backend/ocpp/CP".to_owned(),
            fingerprint: fingerprint.to_owned(),
        };
        bench.act(|gateway, context| gateway.handle_up(context, link, &[presented], false));
        bench
    };
    assert_eq!(memory(&bench), None);
    bench = show(bench, "AA:01");
    let first = memory(&bench).unwrap();
    assert!(first.contains("AA:01"), "{first}");
    bench = bench.crash();
    let persisted = bench.persisted;
    bench = show(bench, "AA:01");
    assert_eq!(bench.persisted, persisted, "the disk is spared");
    bench = show(bench, "BB:02");
    let second = memory(&bench).unwrap();
    assert!(
        second.contains("BB:02") && !second.contains("AA:01"),
        "{second}"
    );
}

#[test]
fn what_is_no_root_or_one_too_many_is_not_installed() {
    let mut bench = Bench::secured();
    let cpo = Authority::new("CPO");
    let csr = bench.asks_to_sign();
    let chain = cpo.sign(&csr, 2027);
    let end = "-----END CERTIFICATE-----\n";
    let leaf = chain.split_inclusive(end).next().unwrap();
    let alone = rcgen::generate_simple_self_signed(["backend".to_owned()]).unwrap();
    for bad in [
        "",
        "no certificate",
        leaf,
        &alone.cert.pem(),
        &chain,
        &("x".repeat(5500) + &cpo.pem()),
    ] {
        assert_eq!(bench.status("InstallCertificate", &root(bad)), "Rejected");
    }
    for number in 0..10 {
        let pem = Authority::new(&number.to_string()).pem();
        assert_eq!(bench.status("InstallCertificate", &root(&pem)), "Accepted");
    }
    assert_eq!(
        bench.status("InstallCertificate", &root(&cpo.pem())),
        "Rejected"
    );
}

#[test]
fn where_any_server_is_taken_no_root_is_installed_that_would_lock_it_out() {
    let mut plan = secure(one());
    plan.has_ca = false;
    let mut bench = Bench::played(plan);
    let pem = Authority::new("Backend").pem();
    assert_eq!(bench.status("InstallCertificate", &root(&pem)), "Rejected");
}

#[test]
fn without_tls_there_is_nobody_to_show_a_certificate_to() {
    let mut bench = Bench::played(one());
    let trigger = json!({"requestedMessage": "SignChargePointCertificate"});
    assert_eq!(bench.status("ExtendedTriggerMessage", &trigger), "Rejected");
    assert!(bench.subjects.is_empty());
    assert_eq!(bench.status("InstallCertificate", &root("")), "Rejected");
}

#[test]
fn the_extended_trigger_asks_for_what_the_plain_one_does_and_for_the_log() {
    let mut bench = Bench::secured();
    for (what, action) in [
        ("BootNotification", "BootNotification"),
        ("Heartbeat", "Heartbeat"),
        ("StatusNotification", "StatusNotification"),
        ("LogStatusNotification", "LogStatusNotification"),
    ] {
        let payload = json!({"requestedMessage": what});
        assert_eq!(bench.status("ExtendedTriggerMessage", &payload), "Accepted");
        let said = bench.answer_everything();
        assert!(
            said.iter().any(|(said, _)| said == action),
            "{what}: {said:?}"
        );
    }
    for what in ["MeterValues", "FirmwareStatusNotification"] {
        bench.command("ExtendedTriggerMessage", &json!({"requestedMessage": what}));
        let (order, answer) = bench.carry_out(Ok(r#"{"status":"Accepted"}"#.to_owned()));
        assert_eq!(order.action, "TriggerMessage");
        assert_eq!(answer[2]["status"], "Accepted");
    }
    let payload = json!({"requestedMessage": "SignV2GCertificate"});
    assert_eq!(
        bench.status("ExtendedTriggerMessage", &payload),
        "NotImplemented"
    );
}

fn profile(bench: &mut Bench, to: &str) -> String {
    bench.status(
        "ChangeConfiguration",
        &json!({"key": "SecurityProfile", "value": to}),
    )
}

#[test]
fn a_profile_rises_with_a_password_and_sinks_only_where_the_new_one_does_not_work() {
    let mut bench = Bench::played(one());
    for to in ["0", "1", "2", "3", "4", "x"] {
        assert_eq!(profile(&mut bench, to), "Rejected", "{to}");
    }
    let key = json!({"key": "AuthorizationKey", "value": "0123456789abcdef"});
    for works in [false, true] {
        assert_eq!(bench.status("ChangeConfiguration", &key), "Accepted");
        assert_eq!(profile(&mut bench, "1"), "Accepted");
        bench.answer_everything();
        bench.comes_back();
        bench.dialled();
        assert!(bench.login.password.is_some());
        if !works {
            bench.fails(&DialFailure::Unauthorized);
        }
        bench.connect();
        bench.wait(11);
        bench.answer_everything();
        let asked = json!({"key": ["SecurityProfile"]});
        let answer = bench.command("GetConfiguration", &asked).unwrap();
        let row = &answer[2]["configurationKey"][0];
        assert_eq!(row["value"], if works { "1" } else { "0" });
        assert_eq!(row["readonly"], false);
    }
    assert_eq!(profile(&mut bench, "1"), "Rejected");
    assert_eq!(profile(&mut bench, "2"), "Rejected", "the address is ws://");
    let mut bench = bench.crash();
    for _ in 0..3 {
        bench.dialled();
        assert!(bench.login.password.is_some(), "never without again");
        bench.fails(&DialFailure::Unauthorized);
    }
}

#[test]
fn a_profile_with_certificates_needs_a_certificate_and_ca() {
    for has_ca in [true, false] {
        let mut plan = secure(one());
        plan.has_ca = has_ca;
        let mut bench = Bench::played(plan);
        assert_eq!(profile(&mut bench, "3"), "Rejected");
        let csr = bench.asks_to_sign();
        bench.signed(&Authority::new("CPO").sign(&csr, 2027));
        let expected = if has_ca { "Accepted" } else { "Rejected" };
        assert_eq!(profile(&mut bench, "3"), expected);
        assert_eq!(profile(&mut bench, "2"), "Rejected");
    }
}

#[test]
fn keys_do_not_show_themselves() {
    let subject = Subject {
        common_name: "x".to_owned(),
        organization: "y".to_owned(),
    };
    let requested = request(&subject);
    let secret = requested.key.expose().lines().nth(1).unwrap().to_owned();
    assert!(!format!("{requested:?}").contains(&secret));
    let mut bench = Bench::secured();
    let csr = bench.asks_to_sign();
    bench.signed(&Authority::new("CPO").sign(&csr, 2027));
    let secret = "PRIVATE KEY";
    assert!(!format!("{:?}", bench.gateway).contains(secret));
    assert!(!bench.wire.iter().any(|frame| frame.contains(secret)));
}
