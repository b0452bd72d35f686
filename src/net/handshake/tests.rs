use proptest::prelude::*;

use super::*;
use crate::net::directory::Password;

const PASSWORD: &str = "00112233445566778899aabbccddeeff00112233";

/// "RDAM 123" and "CB-1" are known; "locked" has a password of its own.
fn directory() -> Directory {
    Directory {
        known: [
            (ChargeBoxId::from("RDAM 123"), None),
            (ChargeBoxId::from("CB-1"), None),
            (ChargeBoxId::from("locked"), Some(Password::new(PASSWORD))),
            (ChargeBoxId::from("a:b"), Some(Password::new("c"))),
        ]
        .into(),
        ..Directory::default()
    }
}

/// A sound upgrade request.
struct Ask {
    line: String,
    headers: Vec<(&'static str, String)>,
}

impl Ask {
    fn get(target: &str) -> Self {
        let headers = [
            ("Host", "h"),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "ocpp1.6"),
        ];
        Self {
            line: format!("GET {target} HTTP/1.1"),
            headers: headers.map(|(name, value)| (name, value.into())).into(),
        }
    }

    fn line(mut self, line: &str) -> Self {
        self.line = line.into();
        self
    }

    fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn set(self, name: &'static str, value: &str) -> Self {
        self.without(name).with(name, value)
    }

    fn basic(self, user_and_password: impl AsRef<[u8]>) -> Self {
        let value = general_purpose::STANDARD.encode(user_and_password);
        self.set("Authorization", &format!("Basic {value}"))
    }

    fn head(&self) -> String {
        let mut lines = vec![self.line.clone()];
        lines.extend(
            self.headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}")),
        );
        lines.join("\r\n") + "\r\n\r\n"
    }

    fn judged(&self) -> Outcome {
        outcome(judge(self.head().as_bytes(), &directory(), None))
    }
}

/// A verdict as a table of tests wants it.
#[derive(Debug, PartialEq)]
enum Outcome {
    In(String, Option<String>, Vec<Oddity>),
    InAndOut(u16, Option<String>),
    Out(u16, Refusal),
}

fn outcome(verdict: Verdict) -> Outcome {
    match verdict {
        Verdict::Accept {
            address,
            unknown,
            response,
            warnings,
        } => {
            assert!(!unknown);
            Outcome::In(
                address.as_str().into(),
                echoed_protocol(&response),
                warnings,
            )
        }
        Verdict::AcceptThenClose { response, code, .. } => {
            Outcome::InAndOut(code, echoed_protocol(&response))
        }
        Verdict::Refuse { response, why } => {
            let text = String::from_utf8(response).unwrap();
            let status = text.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())));
            assert!(head.contains("Connection: close"));
            assert_eq!(body, format!("{why}\n"));
            Outcome::Out(status.unwrap(), why)
        }
    }
}

fn echoed_protocol(response: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(response).unwrap();
    assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"));
    assert!(text.ends_with("\r\n\r\n"));
    text.lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Protocol: "))
        .map(Into::into)
}

fn let_in(address: &str) -> Outcome {
    Outcome::In(address.into(), Some("ocpp1.6".into()), vec![])
}

#[test]
fn the_accept_key_is_that_of_the_rfc() {
    let head = Ask::get("/CB-1").head();
    let Verdict::Accept { response, .. } = judge(head.as_bytes(), &directory(), None) else {
        panic!("refused")
    };
    let text = String::from_utf8(response).unwrap();
    assert!(text.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

#[test]
fn the_id_is_the_last_segment_percent_decoded() {
    for target in [
        "/ocpp/RDAM%20123/",
        "/RDAM%20123",
        "//RDAM%20123",
        "/a//b///RDAM%20123//",
        "/RDAM%20123?a=/CB-1",
        "/RDAM%20123/#x",
        "/RDAM 123",
        "ws://host:19520/ocpp/RDAM%20123",
        "http://host/RDAM%20123",
        "host/RDAM%20123",
        "%52DAM%20123",
    ] {
        assert_eq!(Ask::get(target).judged(), let_in("RDAM 123"), "{target}");
    }
}

#[test]
fn a_plus_in_the_path_is_a_plus() {
    let unknown = Refusal::UnknownId("RDAM+123".into());
    assert_eq!(Ask::get("/RDAM+123").judged(), Outcome::Out(404, unknown));
}

#[test]
fn the_id_in_other_case_is_taken_for_the_configured_one_and_noted() {
    assert_eq!(
        Ask::get("/rdam%20123").judged(),
        Outcome::In(
            "RDAM 123".into(),
            Some("ocpp1.6".into()),
            vec![Oddity::Case]
        )
    );
}

#[test]
fn an_unknown_id_gets_404_and_is_named() {
    for (target, name) in [
        ("/STRANGER", "STRANGER"),
        ("/CB-1/extra", "extra"),
        ("/CB-1/.", "."),
        ("/%1b%5bmSTRANGER", "\u{FFFD}[mSTRANGER"),
    ] {
        assert_eq!(
            Ask::get(target).judged(),
            Outcome::Out(404, Refusal::UnknownId(name.into())),
            "{target}"
        );
    }
    let long = "x".repeat(1000);
    let Outcome::Out(404, Refusal::UnknownId(name)) = Ask::get(&format!("/{long}")).judged() else {
        panic!("not refused as unknown")
    };
    assert_eq!(name.len(), 64);
}

#[test]
fn a_path_without_an_id_gets_404() {
    for target in ["/", "///", "/?id=CB-1", "ws://CB-1", "ws://CB-1/"] {
        assert_eq!(
            Ask::get(target).judged(),
            Outcome::Out(404, Refusal::NoId),
            "{target}"
        );
    }
}

#[test]
fn an_id_that_is_no_text_is_refused() {
    for target in ["/%ff%fe", "/CB-1%00", "/%00"] {
        assert_eq!(
            Ask::get(target).judged(),
            Outcome::Out(400, Refusal::IdNotText),
            "{target}"
        );
    }
}

#[test]
fn an_unknown_id_is_let_in_where_that_is_allowed() {
    let open = Directory {
        accept_unknown: true,
        password: Some(Password::new("p")),
        ..directory()
    };
    let verdict = |ask: Ask| judge(ask.head().as_bytes(), &open, None);
    let Verdict::Accept {
        address, unknown, ..
    } = verdict(Ask::get("/new").basic("new:p"))
    else {
        panic!("refused")
    };
    assert_eq!((address.as_str(), unknown), ("new", true));
    assert!(matches!(
        verdict(Ask::get("/new")),
        Verdict::Refuse {
            why: Refusal::NoPassword,
            ..
        }
    ));
    for unfit in [format!("/{}", "x".repeat(65)), "/%1b[31m".into()] {
        assert!(matches!(
            verdict(Ask::get(&unfit).basic("x:p")),
            Verdict::Refuse {
                why: Refusal::UnknownId(_),
                ..
            }
        ));
    }
}

#[test]
fn only_foreign_subprotocols_are_let_in_without_one_and_closed_with_1002() {
    for offer in ["ocpp2.0.1", "ocpp1.5", "ocpp2.0.1, ocpp2.1", "chat"] {
        let ask = Ask::get("/CB-1").set("Sec-WebSocket-Protocol", offer);
        assert_eq!(ask.judged(), Outcome::InAndOut(1002, None), "{offer}");
    }
}

#[test]
fn the_subprotocol_is_echoed_as_it_was_written() {
    for (offer, echo) in [
        ("ocpp1.6", "ocpp1.6"),
        ("OCPP1.6", "OCPP1.6"),
        ("ocpp2.0.1,Ocpp1.6", "Ocpp1.6"),
        ("ocpp1.6, ocpp1.5", "ocpp1.6"),
        ("ocpp1.5 , ocpp1.6", "ocpp1.6"),
        ("ocpp16, ocpp1.6", "ocpp1.6"),
        ("ocpp1.6j", "ocpp1.6j"),
        ("ocpp1.6J", "ocpp1.6J"),
        ("ocpp16", "ocpp16"),
    ] {
        let ask = Ask::get("/CB-1").set("Sec-WebSocket-Protocol", offer);
        assert_eq!(
            ask.judged(),
            Outcome::In("CB-1".into(), Some(echo.into()), vec![]),
            "{offer}"
        );
    }
    let two_lines = Ask::get("/CB-1")
        .set("Sec-WebSocket-Protocol", "ocpp2.0.1")
        .with("Sec-WebSocket-Protocol", "ocpp1.6");
    assert_eq!(two_lines.judged(), let_in("CB-1"));
}

#[test]
fn grizzl_e_names_no_subprotocol_and_is_let_in_without_one() {
    for ask in [
        Ask::get("/CB-1").without("Sec-WebSocket-Protocol"),
        Ask::get("/CB-1").set("Sec-WebSocket-Protocol", ""),
        Ask::get("/CB-1").set("Sec-WebSocket-Protocol", " , "),
    ] {
        assert_eq!(
            ask.judged(),
            Outcome::In("CB-1".into(), None, vec![Oddity::NoSubprotocol])
        );
    }
}

#[test]
fn ocular_lte_v3_sends_odd_upgrade_headers_and_is_let_in() {
    let odd = Outcome::In(
        "CB-1".into(),
        Some("ocpp1.6".into()),
        vec![Oddity::UpgradeHeaders],
    );
    for ask in [
        Ask::get("/CB-1").without("Connection"),
        Ask::get("/CB-1").set("Connection", "keep-alive"),
        Ask::get("/CB-1").without("Upgrade"),
        Ask::get("/CB-1").set("Upgrade", "WebSocket/13"),
    ] {
        assert_eq!(ask.judged(), odd, "{}", ask.head());
    }
}

#[test]
fn connection_may_be_a_list_in_any_order_case_and_number_of_lines() {
    for ask in [
        Ask::get("/CB-1").set("Connection", "keep-alive, Upgrade"),
        Ask::get("/CB-1").set("Connection", "UPGRADE,keep-alive"),
        Ask::get("/CB-1")
            .set("Connection", "keep-alive")
            .with("connection", "upgrade"),
        Ask::get("/CB-1").set("Connection", "keep-alive,\r\n\tUpgrade"),
        Ask::get("/CB-1").set("Upgrade", "WEBSOCKET"),
    ] {
        assert_eq!(ask.judged(), let_in("CB-1"), "{}", ask.head());
    }
}

#[test]
fn bare_line_feeds_end_lines_too() {
    let head = Ask::get("/CB-1").head().replace("\r\n", "\n");
    assert_eq!(read_head(head.as_bytes()), Progress::Complete(head.len()));
    assert_eq!(
        outcome(judge(head.as_bytes(), &directory(), None)),
        let_in("CB-1")
    );
}

#[test]
fn a_missing_websocket_version_is_noted_and_another_one_gets_426() {
    assert_eq!(
        Ask::get("/CB-1").without("Sec-WebSocket-Version").judged(),
        Outcome::In(
            "CB-1".into(),
            Some("ocpp1.6".into()),
            vec![Oddity::NoVersion]
        )
    );
    let old = Ask::get("/CB-1").set("Sec-WebSocket-Version", "8");
    assert_eq!(old.judged(), Outcome::Out(426, Refusal::WebSocketVersion));
    let several = Ask::get("/CB-1").set("Sec-WebSocket-Version", "8, 13");
    assert_eq!(several.judged(), let_in("CB-1"));
}

#[test]
fn what_is_no_upgrade_is_told_what_to_do() {
    let plain = || {
        Ask::get("/CB-1")
            .without("Upgrade")
            .without("Connection")
            .without("Sec-WebSocket-Key")
    };
    for (ask, status, why) in [
        (plain(), 426, Refusal::NotWebSocket),
        (
            Ask::get("/CB-1").without("Sec-WebSocket-Key"),
            400,
            Refusal::NoKey,
        ),
        (
            Ask::get("/CB-1").set("Sec-WebSocket-Key", ""),
            400,
            Refusal::NoKey,
        ),
        (plain().line("PUT /CB-1 HTTP/1.1"), 405, Refusal::Method),
        (plain().line("get /CB-1 HTTP/1.1"), 405, Refusal::Method),
        (plain().line("PRI * HTTP/2.0"), 505, Refusal::HttpVersion),
        (
            Ask::get("").line("GET /CB-1 HTTP/3.0"),
            505,
            Refusal::HttpVersion,
        ),
        (plain().line("HELO wallbox"), 400, Refusal::NotHttp),
    ] {
        assert_eq!(ask.judged(), Outcome::Out(status, why), "{}", ask.head());
    }
}

#[test]
fn ocpp_over_soap_is_told_to_choose_json() {
    for ask in [
        Ask::get("").line("POST /CB-1 HTTP/1.1"),
        Ask::get("/CB-1").with("SOAPAction", "\"/BootNotification\""),
        Ask::get("/CB-1").with("content-type", "Text/XML; charset=utf-8"),
        Ask::get("/CB-1").with("Content-Type", "application/soap+xml;charset=utf-8"),
    ] {
        assert_eq!(ask.judged(), Outcome::Out(400, Refusal::Soap));
    }
    let body = String::from_utf8(Refusal::Soap.response()).unwrap();
    assert!(body.contains("OCPP 1.6 JSON"));
}

#[test]
fn a_missing_or_wrong_password_gets_401_and_is_asked_for() {
    let bytes: Vec<u8> = (0..20).collect();
    for (ask, why) in [
        (Ask::get("/locked"), Refusal::NoPassword),
        (
            Ask::get("/locked").set("Authorization", "Bearer abc"),
            Refusal::NoPassword,
        ),
        (
            Ask::get("/locked").set("Authorization", "Basic"),
            Refusal::NoPassword,
        ),
        (
            Ask::get("/locked").set("Authorization", "Basic §§§"),
            Refusal::NoPassword,
        ),
        (Ask::get("/locked").basic("locked"), Refusal::NoPassword),
        (
            Ask::get("/locked").basic("locked:"),
            Refusal::WrongPassword("locked".into()),
        ),
        (
            Ask::get("/locked").basic("locked:wrong"),
            Refusal::WrongPassword("locked".into()),
        ),
        (
            Ask::get("/locked").basic([b"locked:", &bytes[..]].concat()),
            Refusal::WrongPassword("locked".into()),
        ),
    ] {
        assert_eq!(ask.judged(), Outcome::Out(401, why), "{}", ask.head());
    }
    let text = String::from_utf8(Refusal::WrongPassword("locked".into()).response()).unwrap();
    assert!(text.contains("\r\nWWW-Authenticate: Basic realm=\"ocpp\"\r\n"));
    assert!(!text.contains(PASSWORD));
}

#[test]
fn the_password_is_taken_as_text_as_hex_in_either_case_and_as_decoded_bytes() {
    let mut decoded = b"locked:".to_vec();
    decoded.extend_from_slice(&[0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99]);
    decoded.extend_from_slice(&[0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00, 0x11, 0x22, 0x33]);
    for sent in [
        format!("locked:{PASSWORD}").into_bytes(),
        format!("locked:{}", PASSWORD.to_uppercase()).into_bytes(),
        decoded,
    ] {
        assert_eq!(
            Ask::get("/locked").basic(&sent).judged(),
            let_in("locked"),
            "{sent:?}"
        );
    }
}

#[test]
fn basic_may_be_written_in_other_case_and_without_padding() {
    let value = general_purpose::STANDARD_NO_PAD.encode(format!("locked:{PASSWORD}"));
    let ask = Ask::get("/locked").set("authorization", &format!("BASIC  {value}"));
    assert_eq!(ask.judged(), let_in("locked"));
}

#[test]
fn innogy_sends_another_user_name_and_is_let_in() {
    let ask = Ask::get("/locked").basic(format!("innogy:{PASSWORD}"));
    assert_eq!(
        ask.judged(),
        Outcome::In(
            "locked".into(),
            Some("ocpp1.6".into()),
            vec![Oddity::UserName]
        )
    );
}

#[test]
fn a_colon_in_the_id_does_not_break_the_password() {
    assert_eq!(Ask::get("/a:b").basic("a:b:c").judged(), let_in("a:b"));
    assert_eq!(
        Ask::get("/a:b").basic("x:c").judged(),
        Outcome::In("a:b".into(), Some("ocpp1.6".into()), vec![Oddity::UserName])
    );
}

#[test]
fn a_password_is_ignored_where_none_is_configured() {
    for ask in [
        Ask::get("/CB-1").basic("CB-1:whatever"),
        Ask::get("/CB-1").set("Authorization", "nonsense"),
    ] {
        assert_eq!(ask.judged(), let_in("CB-1"));
    }
}

#[test]
fn an_unknown_id_is_refused_as_unknown_whatever_its_password() {
    assert!(matches!(
        Ask::get("/STRANGER").basic("STRANGER:x").judged(),
        Outcome::Out(404, _)
    ));
}

proptest! {
    #[test]
    fn no_bytes_make_the_judge_panic(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        let _ = read_head(&bytes);
        let _ = judge(&bytes, &directory(), None);
    }

    #[test]
    fn no_request_makes_the_judge_panic_or_split_its_answer(
        target in "[ -~]{0,40}|/[%0-9a-zA-Z:/]{0,40}",
        name in "(Connection|Upgrade|Authorization|Sec-WebSocket-Protocol|Content-Type)",
        value in "(Basic )?[\\x00-\\x09\\x0b-\\xff]{0,40}",
    ) {
        let head = Ask::get("/CB-1").line(&format!("GET {target} HTTP/1.1")).head();
        let head = head.replacen("\r\n", &format!("\r\n{name}: {value}\r\n"), 1);
        let open = Directory { accept_unknown: true, ..directory() };
        let (Verdict::Accept { response, .. }
        | Verdict::AcceptThenClose { response, .. }
        | Verdict::Refuse { response, .. }) = judge(head.as_bytes(), &open, None);
        let text = String::from_utf8(response).unwrap();
        let (head, _) = text.split_once("\r\n\r\n").unwrap();
        prop_assert!(head.lines().count() <= 6);
    }
}
