//! The client's side of the WebSocket upgrade (RFC 6455 §4.1, OCPP-J 1.6 §3.2): what is asked, and
//! what the answer means.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::target::{Credentials, Target};
use crate::net::handshake::{accept, for_people};
use crate::net::http::Response;

/// A `Sec-WebSocket-Key`: the answer must fit it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// Makes it of random bytes.
    pub fn new(random: [u8; 16]) -> Self {
        Self(STANDARD.encode(random))
    }
}

/// What a backend answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// From here on it is a WebSocket.
    Upgraded(Subprotocol),
    /// Ask there; the `Location` as it came.
    Redirect(String),
    /// It does not want us.
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says about it, short.
        reason: String,
    },
    /// It makes no sense as an answer.
    Misfit(Misfit),
}

/// What a backend says about OCPP 1.6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subprotocol {
    /// It names it.
    Spoken,
    /// It names nothing.
    Missing,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Misfit {
    /// It ends before anything was said.
    #[error("it closes the connection without an answer")]
    Nothing,
    /// Where TLS is spoken to it, it answers in plain.
    #[error("it does not speak TLS")]
    NotTls,
    /// No HTTP.
    #[error("what it answers is not HTTP")]
    NotHttp,
    /// The head does not end.
    #[error("the head of its answer is too large")]
    TooLarge,
    /// `Sec-WebSocket-Accept` is missing or belongs to another request.
    #[error("its answer belongs to another request (Sec-WebSocket-Accept)")]
    Accept,
    /// It speaks another subprotocol; which.
    #[error("it speaks {0}, not ocpp1.6")]
    Subprotocol(String),
    /// It switches on what was not offered.
    #[error("it uses a WebSocket extension that was not offered")]
    Extension,
}

/// The whole request. No extension is offered.
pub fn request(target: &Target, key: &Key, form: Credentials) -> String {
    let authorization = target
        .credentials(form)
        .map(|it| format!("Authorization: Basic {}\r\n", STANDARD.encode(it)))
        .unwrap_or_default();
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\
         User-Agent: chargewarden/{}\r\n{authorization}\r\n",
        target.request_target(),
        target.authority(),
        key.0,
        env!("CARGO_PKG_VERSION"),
    )
}

/// Judges a complete head.
pub fn judge(head: &[u8], key: &Key) -> Answer {
    let Some(response) = Response::parse(head) else {
        return Answer::Misfit(Misfit::NotHttp);
    };
    match response.status {
        101 => upgraded(&response, key).map_or_else(Answer::Misfit, Answer::Upgraded),
        301 | 302 | 303 | 307 | 308
            if let Some(location) = response
                .headers
                .first("Location")
                .filter(|it| !it.is_empty()) =>
        {
            Answer::Redirect(String::from_utf8_lossy(location).into_owned())
        }
        status => Answer::Refused {
            status,
            reason: for_people(&String::from_utf8_lossy(response.reason)),
        },
    }
}

/// The accepted key alone proves that the server has switched: proxies leave the headers
/// `Connection` and `Upgrade` away or add to them.
fn upgraded(response: &Response<'_>, key: &Key) -> Result<Subprotocol, Misfit> {
    let headers = &response.headers;
    if headers.first("Sec-WebSocket-Accept") != Some(accept(key.0.as_bytes()).as_bytes()) {
        return Err(Misfit::Accept);
    }
    if headers.list("Sec-WebSocket-Extensions").next().is_some() {
        return Err(Misfit::Extension);
    }
    let mut named = headers.list("Sec-WebSocket-Protocol").peekable();
    let Some(first) = named.peek().copied() else {
        return Ok(Subprotocol::Missing);
    };
    if named.any(is_ocpp16) {
        Ok(Subprotocol::Spoken)
    } else {
        let name = for_people(&String::from_utf8_lossy(first));
        Err(Misfit::Subprotocol(name))
    }
}

fn is_ocpp16(name: &[u8]) -> bool {
    [&b"ocpp1.6"[..], b"ocpp1.6j", b"ocpp16"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::net::directory::{Directory, Password};
    use crate::net::handshake::{self, Verdict};

    /// The example of RFC 6455 §1.3.
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    fn key() -> Key {
        Key::new(*b"the sample nonce")
    }

    fn answer(status: &str, headers: &[&str]) -> Answer {
        let head = format!("HTTP/1.1 {status}\r\n{}\r\n\r\n", headers.join("\r\n"));
        judge(head.as_bytes(), &key())
    }

    fn switching(more: &[&str]) -> Answer {
        let accept = format!("sec-websocket-accept: {ACCEPT}");
        answer(
            "101 Switching Protocols",
            &[&[accept.as_str()], more].concat(),
        )
    }

    #[test]
    fn the_request_says_who_calls_and_offers_no_extension() {
        let password = Some(Password::new("geheim: süß"));
        let target = Target::new("ws://h:81/ocpp", "RDAM 123", true)
            .unwrap()
            .with_password(password);
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            request(&target, &key(), Credentials::AsWritten),
            format!(
                "GET /ocpp/RDAM%20123 HTTP/1.1\r\nHost: h:81\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\
                 User-Agent: chargewarden/{version}\r\n\
                 Authorization: Basic UkRBTSAxMjM6Z2VoZWltOiBzw7zDnw==\r\n\r\n"
            )
        );
        let silent = Target::new("ws://h", "A", true).unwrap();
        assert!(!request(&silent, &key(), Credentials::AsWritten).contains("Authorization"));
    }

    #[test]
    fn our_own_server_accepts_our_request_and_we_its_answer() {
        let directory = Directory {
            known: [("RDAM 123".into(), Some(Password::new("secret")))].into(),
            ..Directory::default()
        };
        let password = Some(Password::new("secret"));
        let target = Target::new("ws://h/x/", "RDAM 123", true)
            .unwrap()
            .with_password(password);
        let request = request(&target, &key(), Credentials::AsWritten);
        let Verdict::Accept {
            response, warnings, ..
        } = handshake::judge(request.as_bytes(), &directory, None)
        else {
            panic!("refused");
        };
        assert_eq!(warnings, []);
        assert_eq!(
            judge(&response, &key()),
            Answer::Upgraded(Subprotocol::Spoken)
        );
    }

    #[test]
    fn odd_headers_of_an_upgrade_are_accepted() {
        let spoken = Answer::Upgraded(Subprotocol::Spoken);
        for protocol in ["ocpp1.6", "OCPP1.6", "ocpp1.6j", "ocpp1.5, ocpp1.6"] {
            let protocol = format!("Sec-WebSocket-Protocol: {protocol}");
            assert_eq!(switching(&[&protocol]), spoken, "{protocol}");
        }
        for connection in ["keep-alive, Upgrade", "UPGRADE", "close", ""] {
            let headers = [
                &format!("CONNECTION: {connection}"),
                "upgrade: WebSocket",
                "sec-websocket-protocol: ocpp1.6",
            ];
            assert_eq!(switching(&headers), spoken, "{connection}");
        }
    }

    #[test]
    fn a_missing_subprotocol_is_accepted_and_told() {
        let missing = Answer::Upgraded(Subprotocol::Missing);
        assert_eq!(switching(&[]), missing);
        assert_eq!(switching(&["Sec-WebSocket-Protocol:"]), missing);
    }

    #[test]
    fn an_answer_to_another_request_is_none() {
        let wrong = Answer::Misfit(Misfit::Accept);
        assert_eq!(answer("101 Switching Protocols", &["A: b"]), wrong);
        let other = "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(answer("101 x", &[other]), wrong);
        let lower = format!("Sec-WebSocket-Accept: {}", ACCEPT.to_lowercase());
        assert_eq!(answer("101 x", &[&lower]), wrong);
    }

    #[test]
    fn another_subprotocol_or_an_extension_is_no_upgrade() {
        assert_eq!(
            switching(&["Sec-WebSocket-Protocol: ocpp2.0.1"]),
            Answer::Misfit(Misfit::Subprotocol("ocpp2.0.1".into()))
        );
        assert_eq!(
            switching(&["Sec-WebSocket-Extensions: permessage-deflate"]),
            Answer::Misfit(Misfit::Extension)
        );
    }

    #[test]
    fn redirects_and_refusals_are_told_apart() {
        for status in ["301 Moved", "302 Found", "303", "307 x", "308 x"] {
            assert_eq!(
                answer(status, &["location: /new "]),
                Answer::Redirect("/new".into()),
                "{status}"
            );
        }
        for (text, headers, status, reason) in [
            ("401 Unauthorized", &["A: b"][..], 401, "Unauthorized"),
            ("404 \u{1b}[1mNo", &["A: b"], 404, "\u{FFFD}[1mNo"),
            ("200 OK", &["Location: /x"], 200, "OK"),
            ("302 Found", &["Location: "], 302, "Found"),
            ("304", &["Location: /x"], 304, ""),
        ] {
            let reason = reason.to_owned();
            assert_eq!(answer(text, headers), Answer::Refused { status, reason });
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_us_panic(head in any::<Vec<u8>>()) {
            judge(&head, &key());
            judge(&[b"HTTP/1.1 302 x\r\nLocation:", &head[..]].concat(), &key());
        }
    }
}
