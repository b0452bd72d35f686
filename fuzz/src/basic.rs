//! Passwords.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use chargewarden::ids::ChargeBoxId;
use chargewarden::net::directory::{Directory, Password};
use chargewarden::net::handshake::{Verdict, judge};

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The first line is the configured password, the rest the value of a header `Authorization`: whoever
/// has the password comes in, and nobody else.
pub fn basic(bytes: &[u8]) {
    let line = bytes.iter().position(|byte| *byte == b'\n');
    let (password, rest) = bytes.split_at(line.unwrap_or(bytes.len()));
    let header = rest.strip_prefix(b"\n").unwrap_or_default();

    let sent = [b"CB-1:", password].concat();
    let honest = format!("Basic {}", general_purpose::STANDARD.encode(sent));
    assert!(is_let_in(password, honest.as_bytes()), "{honest}");

    // A second line would be another header.
    if !header.contains(&b'\n') && is_let_in(password, header) {
        let sent = header.trim_ascii().get(b"Basic ".len()..).unwrap_or(b"");
        let sent = LENIENT.decode(sent.trim_ascii()).expect("it is base64");
        let mut parts = (0..sent.len()).filter(|at| sent[*at] == b':');
        assert!(parts.any(|at| is_same(password, &sent[at + 1..])));
    }
}

fn is_let_in(password: &[u8], header: &[u8]) -> bool {
    let directory = Directory {
        known: BTreeMap::from([(ChargeBoxId::from("CB-1"), Some(Password::new(password)))]),
        ..Directory::default()
    };
    let head = [
        b"GET /CB-1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: ",
        header,
        b"\r\n\r\n",
    ];
    matches!(
        judge(&head.concat(), &directory, None),
        Verdict::Accept { .. }
    )
}

/// As it is configured, or as hexadecimal digits and what they stand for.
fn is_same(password: &[u8], sent: &[u8]) -> bool {
    let mut digits = String::new();
    for byte in sent {
        let _ = write!(digits, "{byte:02x}");
    }
    let is_key = (32..=40).contains(&password.len());
    password == sent
        || is_key && password.eq_ignore_ascii_case(sent)
        || is_key && password.eq_ignore_ascii_case(digits.as_bytes())
}
