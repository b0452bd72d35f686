//! The server's side of the WebSocket upgrade (RFC 6455 §4.2, OCPP-J 1.6 §3): who is it, may it in,
//! and what is it answered.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose};
use sha1::{Digest as _, Sha1};
use thiserror::Error;

use super::directory::Directory;
pub use super::http::{Progress, read_head};
use super::http::{Request, percent_decode};
use crate::ids::ChargeBoxId;

/// What becomes of a request.
#[derive(Debug)]
pub enum Verdict {
    /// It is let in.
    Accept {
        /// Who it is, in the spelling of the configuration.
        address: ChargeBoxId,
        /// In no configuration, let in by `accept-unknown`.
        unknown: bool,
        /// What it is answered.
        response: Vec<u8>,
        /// What is odd about it and does no harm.
        warnings: Vec<Oddity>,
    },
    /// It is let in and the WebSocket is closed at once (OCPP-J 1.6 §3.3).
    AcceptThenClose {
        /// Who it is.
        address: ChargeBoxId,
        /// What it is answered.
        response: Vec<u8>,
        /// The WebSocket close code.
        code: u16,
        /// For the log.
        why: Refusal,
    },
    /// It stays outside.
    Refuse {
        /// What it is answered.
        response: Vec<u8>,
        /// For the log.
        why: Refusal,
    },
}

/// What is odd about a request and does no harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// The ChargeBox ID is spelled with other upper and lower case than in the configuration.
    Case,
    /// The user name of the password is not the ChargeBox ID.
    UserName,
    /// It names no subprotocol.
    NoSubprotocol,
    /// `Connection: Upgrade` or `Upgrade: websocket` is missing or odd.
    UpgradeHeaders,
    /// `Sec-WebSocket-Version` is missing.
    NoVersion,
}

impl Oddity {
    /// A sentence for the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Case => "spells its ChargeBox ID with other upper and lower case",
            Self::UserName => "sends a user name that is not its ChargeBox ID",
            Self::NoSubprotocol => "names no WebSocket subprotocol",
            Self::UpgradeHeaders => "sends odd Connection or Upgrade headers",
            Self::NoVersion => "names no WebSocket version",
        }
    }
}

impl fmt::Display for Oddity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request is refused. The text is what the peer is told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not HTTP at all.
    #[error("this is no HTTP request")]
    NotHttp,
    /// The head does not end.
    #[error("the request head is too large")]
    TooLarge,
    /// Another HTTP than 1.x.
    #[error("only HTTP/1.1 is spoken here")]
    HttpVersion,
    /// OCPP 1.5 or 1.6 over SOAP.
    #[error("this central system speaks OCPP 1.6 JSON: choose OCPP 1.6 JSON in the charge point")]
    Soap,
    /// Another method than GET.
    #[error("only GET is allowed here")]
    Method,
    /// An ordinary request, as a browser sends it.
    #[error("this is an OCPP 1.6 JSON central system: connect by WebSocket")]
    NotWebSocket,
    /// It wants an upgrade and has no `Sec-WebSocket-Key`.
    #[error("the header Sec-WebSocket-Key is missing")]
    NoKey,
    /// Another WebSocket than RFC 6455.
    #[error("only WebSocket version 13 is spoken here")]
    WebSocketVersion,
    /// The path ends in no name.
    #[error("the ChargeBox ID is missing: the URL must end in /<ChargeBox ID>")]
    NoId,
    /// The last segment of the path is no text.
    #[error("the ChargeBox ID in the URL is not UTF-8 text")]
    IdNotText,
    /// In no configuration; what it calls itself, cleaned for people.
    #[error("this ChargeBox ID is unknown here")]
    UnknownId(String),
    /// A password is asked for and none was sent.
    #[error("a password is required")]
    NoPassword,
    /// Another password than the configured one, sent by this charge point.
    #[error("wrong password")]
    WrongPassword(ChargeBoxId),
    /// Too many wrong passwords: none is heard for a while.
    #[error("too many wrong passwords: wait a minute")]
    TooManyGuesses(ChargeBoxId),
    /// Its certificate names others; whom, for the log.
    #[error("the client certificate names {0}, not this ChargeBox ID")]
    OtherCertificate(String),
    /// None of the offered subprotocols is OCPP 1.6.
    #[error("none of the offered WebSocket subprotocols is ocpp1.6")]
    Subprotocol,
    /// Plain HTTP where only TLS is spoken.
    #[error("only wss:// (TLS) is spoken on this port")]
    TlsOnly,
}

impl Refusal {
    /// The whole HTTP answer.
    pub fn response(&self) -> Vec<u8> {
        let (status, header) = match self {
            Self::NotHttp
            | Self::Soap
            | Self::NoKey
            | Self::IdNotText
            | Self::TlsOnly
            | Self::Subprotocol => ("400 Bad Request", ""),
            Self::NoPassword | Self::WrongPassword(_) => (
                "401 Unauthorized",
                "WWW-Authenticate: Basic realm=\"ocpp\"\r\n",
            ),
            Self::OtherCertificate(_) => ("403 Forbidden", ""),
            Self::NoId | Self::UnknownId(_) => ("404 Not Found", ""),
            Self::Method => ("405 Method Not Allowed", "Allow: GET\r\n"),
            Self::NotWebSocket => ("426 Upgrade Required", "Upgrade: websocket\r\n"),
            Self::WebSocketVersion => (
                "426 Upgrade Required",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            ),
            Self::TooManyGuesses(_) => ("429 Too Many Requests", "Retry-After: 60\r\n"),
            Self::TooLarge => ("431 Request Header Fields Too Large", ""),
            Self::HttpVersion => ("505 HTTP Version Not Supported", ""),
        };
        let body = format!("{self}\n");
        format!(
            "HTTP/1.1 {status}\r\n{header}Content-Type: text/plain; charset=utf-8\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }
}

/// Judges a complete head (as [`read_head`] found it). `certificate` is whom a client certificate
/// names, where one was presented.
pub fn judge(head: &[u8], directory: &Directory, certificate: Option<&[String]>) -> Verdict {
    match try_judge(head, directory, certificate) {
        Ok(verdict) => verdict,
        Err(why) => Verdict::Refuse {
            response: why.response(),
            why,
        },
    }
}

fn try_judge(
    head: &[u8],
    directory: &Directory,
    certificate: Option<&[String]>,
) -> Result<Verdict, Refusal> {
    let request = Request::parse(head).ok_or(Refusal::NotHttp)?;
    let mut warnings = Vec::new();
    let key = websocket_key(&request, &mut warnings)?;
    let id = charge_box_id(request.target)?;
    let (address, unknown) = match directory.find(&id) {
        Some(known) => (known.clone(), false),
        None if directory.accept_unknown && for_people(&id) == id => {
            (ChargeBoxId::from(id.as_str()), true)
        }
        None => return Err(Refusal::UnknownId(for_people(&id))),
    };
    if address.as_str() != id {
        warnings.push(Oddity::Case);
    }
    if let Some(names) = certificate
        && !directory.lets_certificate(names, &address)
    {
        let names: Vec<_> = names.iter().map(|name| for_people(name)).collect();
        return Err(Refusal::OtherCertificate(names.join(", ")));
    }
    authorize(&request, directory, &address, &mut warnings)?;
    match subprotocol(&request) {
        Subprotocol::Fits(protocol) => Ok(Verdict::Accept {
            response: switching_protocols(key, Some(protocol)),
            address,
            unknown,
            warnings,
        }),
        Subprotocol::None => {
            warnings.push(Oddity::NoSubprotocol);
            Ok(Verdict::Accept {
                response: switching_protocols(key, None),
                address,
                unknown,
                warnings,
            })
        }
        Subprotocol::Foreign => Ok(Verdict::AcceptThenClose {
            address,
            response: switching_protocols(key, None),
            code: 1002,
            why: Refusal::Subprotocol,
        }),
    }
}

/// Is it an upgrade? The key alone decides; the other headers are often odd or missing.
fn websocket_key<'a>(
    request: &'a Request<'_>,
    warnings: &mut Vec<Oddity>,
) -> Result<&'a [u8], Refusal> {
    if request.version.0 != 1 {
        return Err(Refusal::HttpVersion);
    }
    let content_type = request.headers.first("Content-Type").unwrap_or_default();
    let is_xml = [&b"text/xml"[..], b"application/soap+xml"]
        .iter()
        .any(|xml| starts_with_ignore_case(content_type, xml));
    if request.method == b"POST" || request.headers.first("SOAPAction").is_some() || is_xml {
        return Err(Refusal::Soap);
    }
    if request.method != b"GET" {
        return Err(Refusal::Method);
    }
    let upgrade = request
        .headers
        .list("Upgrade")
        .any(|member| member.eq_ignore_ascii_case(b"websocket"));
    let connection = request
        .headers
        .list("Connection")
        .any(|member| member.eq_ignore_ascii_case(b"upgrade"));
    let Some(key) = request
        .headers
        .first("Sec-WebSocket-Key")
        .filter(|key| !key.is_empty())
    else {
        return Err(if upgrade {
            Refusal::NoKey
        } else {
            Refusal::NotWebSocket
        });
    };
    // Quirk: Ocular LTE v3 and others: malformed Connection and Upgrade headers.
    if !(upgrade && connection) {
        warnings.push(Oddity::UpgradeHeaders);
    }
    let mut versions = request.headers.list("Sec-WebSocket-Version").peekable();
    if versions.peek().is_none() {
        warnings.push(Oddity::NoVersion);
    } else if !versions.any(|version| version == b"13") {
        return Err(Refusal::WebSocketVersion);
    }
    Ok(key)
}

/// The last non-empty segment of the path, decoded (OCPP-J 1.6 §3.1.1).
fn charge_box_id(target: &[u8]) -> Result<String, Refusal> {
    let path = target
        .split(|byte| matches!(byte, b'?' | b'#'))
        .next()
        .unwrap_or_default();
    let segment = without_authority(path)
        .split(|byte| *byte == b'/')
        .rfind(|segment| !segment.is_empty())
        .ok_or(Refusal::NoId)?;
    let id = String::from_utf8(percent_decode(segment)).map_err(|_| Refusal::IdNotText)?;
    if id.contains('\0') {
        return Err(Refusal::IdNotText);
    }
    Ok(id)
}

/// An absolute-form target (`ws://host/path`) without what stands before the path.
fn without_authority(path: &[u8]) -> &[u8] {
    if path.starts_with(b"/") {
        return path;
    }
    let Some(colon) = path.windows(3).position(|three| three == b"://") else {
        return path;
    };
    let rest = path.get(colon + 3..).unwrap_or_default();
    let slash = rest.iter().position(|byte| *byte == b'/');
    slash
        .and_then(|slash| rest.get(slash..))
        .unwrap_or_default()
}

/// HTTP Basic (RFC 7617). Passwords are bytes. Without a configured password nothing is looked at.
fn authorize(
    request: &Request<'_>,
    directory: &Directory,
    address: &ChargeBoxId,
    warnings: &mut Vec<Oddity>,
) -> Result<(), Refusal> {
    let Some(password) = directory.password_of(address) else {
        return Ok(());
    };
    let sent = request
        .headers
        .first("Authorization")
        .filter(|value| starts_with_ignore_case(value, b"Basic "))
        .and_then(|value| value.get(b"Basic ".len()..))
        .and_then(|value| BASE64_LENIENT.decode(value.trim_ascii()).ok())
        .ok_or(Refusal::NoPassword)?;
    let (user, sent) = user_and_password(&sent, address).ok_or(Refusal::NoPassword)?;
    if !password.accepts(sent) {
        return Err(Refusal::WrongPassword(address.clone()));
    }
    // Quirk: innogy eBox and simulators: other user names than the ChargeBox ID.
    if !user.eq_ignore_ascii_case(address.as_str().as_bytes()) {
        warnings.push(Oddity::UserName);
    }
    Ok(())
}

/// Splits at the first colon, or behind the ChargeBox ID if that has colons itself.
fn user_and_password<'a>(sent: &'a [u8], id: &ChargeBoxId) -> Option<(&'a [u8], &'a [u8])> {
    let length = id.as_str().len();
    if starts_with_ignore_case(sent, id.as_str().as_bytes())
        && let Some((user, [b':', password @ ..])) = sent.split_at_checked(length)
    {
        return Some((user, password));
    }
    let colon = sent.iter().position(|byte| *byte == b':')?;
    Some((sent.get(..colon)?, sent.get(colon + 1..)?))
}

enum Subprotocol<'a> {
    Fits(&'a [u8]),
    None,
    Foreign,
}

/// Picks what is echoed, as the client wrote it. The first of these names that it offers wins.
fn subprotocol<'a>(request: &'a Request<'_>) -> Subprotocol<'a> {
    let offered = || request.headers.list("Sec-WebSocket-Protocol");
    for name in [&b"ocpp1.6"[..], b"ocpp1.6j", b"ocpp16"] {
        if let Some(protocol) = offered().find(|offer| offer.eq_ignore_ascii_case(name)) {
            return Subprotocol::Fits(protocol);
        }
    }
    if offered().next().is_none() {
        // Quirk: Grizzl-E and others: no subprotocol at all.
        Subprotocol::None
    } else {
        Subprotocol::Foreign
    }
}

fn switching_protocols(key: &[u8], protocol: Option<&[u8]>) -> Vec<u8> {
    let accept = accept(key);
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    )
    .into_bytes();
    if let Some(protocol) = protocol {
        response.extend_from_slice(b"Sec-WebSocket-Protocol: ");
        response.extend_from_slice(protocol);
        response.extend_from_slice(b"\r\n");
    }
    response.extend_from_slice(b"\r\n");
    response
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key` (RFC 6455 §1.3).
pub(super) fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    general_purpose::STANDARD.encode(hash.finalize())
}

/// What a peer says, short and without control characters.
pub(super) fn for_people(id: &str) -> String {
    const LONGEST: usize = 64;
    id.chars()
        .take(LONGEST)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}

fn starts_with_ignore_case(bytes: &[u8], prefix: &[u8]) -> bool {
    bytes
        .get(..prefix.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Wallboxes leave the padding away.
const BASE64_LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests;
