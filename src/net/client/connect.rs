//! From an address to a connection, with or without TLS, and on to a WebSocket: upgrade, redirects.

use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::rustls::{self, AlertDescription};

use super::target::{Credentials, RedirectError, Target};
use super::tls::{TlsClient, fingerprint};
use super::upgrade::{Answer, Key, Misfit, Subprotocol, judge, request};
use crate::net::http::{Progress, read_head};
use crate::net::transport::Transport;
use crate::net::websocket::WebSocket;

/// How long a backend may take for each step.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// All steps with all redirects may take this many times as long as one step.
const STEPS: u32 = 3;
/// Redirects that are followed.
const MAX_REDIRECTS: u32 = 3;
/// Bytes of one WebSocket message.
const MAX_MESSAGE: usize = 1024 * 1024;

/// A WebSocket to a backend.
pub struct Connected {
    /// The connection.
    pub socket: WebSocket<Transport>,
    /// The backend does not say that it speaks OCPP 1.6.
    pub protocol_missing: bool,
    /// SHA-256 of the server's certificate; without TLS there is none.
    pub fingerprint: Option<String>,
    /// Where it was found at last, for the log.
    pub url: String,
}

/// A server and the certificate that it showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// Where, for the log.
    pub url: String,
    /// SHA-256 of the certificate.
    pub fingerprint: String,
}

/// Why there is no WebSocket, or why nothing was uploaded.
#[derive(Debug, Error)]
pub enum DialError {
    /// The name has no address.
    #[error("{host}: {error}")]
    Resolve {
        /// The name.
        host: String,
        /// What the system says.
        error: io::Error,
    },
    /// No TCP connection, or it broke before there was an answer.
    #[error("{0}")]
    Io(io::Error),
    /// A step took too long.
    #[error("no answer in time: {0}")]
    Timeout(Step),
    /// The TLS handshake came to nothing.
    #[error("{0}")]
    Tls(io::Error),
    /// The backend does not want us.
    #[error("HTTP {status} {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says about it, short.
        reason: String,
    },
    /// It sends us where we do not go.
    #[error("{0}")]
    Redirect(#[from] RedirectError),
    /// It answers what is no answer.
    #[error("{0}")]
    Misfit(Misfit),
}

/// What takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The address and the TCP connection.
    Connect,
    /// The TLS handshake.
    Tls,
    /// The WebSocket upgrade.
    Upgrade,
    /// The upload, to the server's answer.
    Upload,
    /// All together, over all redirects.
    Whole,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "TCP connection",
            Self::Tls => "TLS handshake",
            Self::Upgrade => "WebSocket upgrade",
            Self::Upload => "upload",
            Self::Whole => "redirects",
        })
    }
}

/// Calls a backend. `patience` is for each step; see [`PATIENCE`]. `shown` is told of every
/// certificate on the way, also where it leads nowhere: whoever redirects or refuses has heard the
/// password, too.
///
/// # Errors
/// When there is no WebSocket in the end.
pub async fn connect(
    target: &Target,
    tls: &TlsClient,
    patience: Duration,
    shown: &mut Vec<Certified>,
) -> Result<Connected, DialError> {
    let follow = follow(target, tls, patience, shown);
    within(patience * STEPS, Step::Whole, follow).await
}

/// Asks, follows redirects, and tries the other form of the password once.
async fn follow(
    target: &Target,
    tls: &TlsClient,
    patience: Duration,
    shown: &mut Vec<Certified>,
) -> Result<Connected, DialError> {
    let mut target = target.clone();
    let first = target.first_form();
    let mut form = first;
    let mut redirects = 0;
    loop {
        let attempt = attempt(&target, tls, form, patience, shown).await?;
        match attempt.answer {
            Answer::Upgraded(subprotocol) => {
                let (stream, early) = (attempt.transport, attempt.early);
                return Ok(Connected {
                    socket: WebSocket::client(stream, early, MAX_MESSAGE).await,
                    protocol_missing: subprotocol == Subprotocol::Missing,
                    fingerprint: attempt.fingerprint,
                    url: target.url(),
                });
            }
            Answer::Redirect(location) => {
                target = target.redirected(&location)?;
                redirects += 1;
                if redirects > MAX_REDIRECTS {
                    return Err(RedirectError::TooMany(target.url()).into());
                }
            }
            // Whether digits stand for themselves or for bytes is told by the backend alone.
            Answer::Refused { status: 401, .. }
                if form == first && target.credentials(first.other()).is_some() =>
            {
                form = first.other();
            }
            Answer::Refused {
                status: 401 | 403, ..
            } if target.withholds_password() => {
                return Err(RedirectError::Stranger(target.url()).into());
            }
            Answer::Refused { status, reason } => {
                return Err(DialError::Refused { status, reason });
            }
            Answer::Misfit(why) => return Err(DialError::Misfit(why)),
        }
    }
}

/// One request and what came back.
struct Attempt {
    transport: Transport,
    fingerprint: Option<String>,
    answer: Answer,
    /// What was read beyond the head of the answer.
    early: Vec<u8>,
}

async fn attempt(
    target: &Target,
    tls: &TlsClient,
    form: Credentials,
    patience: Duration,
    shown: &mut Vec<Certified>,
) -> Result<Attempt, DialError> {
    let tls = target.tls().then_some(tls);
    let (mut transport, fingerprint) = open(target.host(), target.port(), tls, patience).await?;
    if let Some(fingerprint) = fingerprint.clone() {
        let url = target.url();
        shown.push(Certified { url, fingerprint });
    }
    let ask = ask(&mut transport, target, form);
    let (answer, early) = within(patience, Step::Upgrade, ask).await?;
    Ok(Attempt {
        transport,
        fingerprint,
        answer,
        early,
    })
}

/// Connects, without TLS where there is none to be used; also gives the SHA-256 of the server's
/// certificate.
pub(super) async fn open(
    host: &str,
    port: u16,
    tls: Option<&TlsClient>,
    patience: Duration,
) -> Result<(Transport, Option<String>), DialError> {
    let tcp = within(patience, Step::Connect, tcp(host, port, patience)).await?;
    // Without it frames wait for each other's acknowledgement; it still works, only slower.
    let _ = tcp.set_nodelay(true);
    let Some(tls) = tls else {
        return Ok((Transport::Plain(tcp), None));
    };
    let handshake = async { tls.connect(host, tcp).await.map_err(tls_failure) };
    let stream = within(patience, Step::Tls, handshake).await?;
    let fingerprint = fingerprint(&stream);
    Ok((Transport::Tls(Box::new(stream.into())), fingerprint))
}

/// With TLS 1.3 a backend judges our certificate only after our handshake: what it says then comes
/// in place of its answer.
pub(super) fn broken(error: io::Error) -> DialError {
    let inner = error.get_ref();
    let is_alert = inner.and_then(|it| it.downcast_ref::<rustls::Error>());
    let is_alert = is_alert.is_some();
    if is_alert {
        tls_failure(error)
    } else {
        DialError::Io(error)
    }
}

fn tls_failure(error: io::Error) -> DialError {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(rustls::Error::InvalidMessage(_)) => DialError::Misfit(Misfit::NotTls),
        Some(rustls::Error::AlertReceived(alert)) => {
            DialError::Tls(about_our_certificate(*alert).map_or(error, io::Error::other))
        }
        _ => DialError::Tls(error),
    }
}

/// What an alert says about our certificate, and what to do about it.
fn about_our_certificate(alert: AlertDescription) -> Option<String> {
    match alert {
        AlertDescription::CertificateRequired => Some(
            "it demands a client certificate: name one with certificate and private-key".to_owned(),
        ),
        AlertDescription::AccessDenied
        | AlertDescription::BadCertificate
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::UnsupportedCertificate => Some(format!(
            "it refuses our client certificate ({alert:?}): ask its operator for one that it takes"
        )),
        _ => None,
    }
}

/// Tries one address of the host after the other. They share the time, because one that swallows
/// everything (IPv6 in a network that only pretends to have it) must leave some to the next.
async fn tcp(host: &str, port: u16, patience: Duration) -> Result<TcpStream, DialError> {
    let found = lookup_host((host, port)).await;
    let addresses: Vec<_> = found
        .map_err(|error| DialError::Resolve {
            host: host.to_owned(),
            error,
        })?
        .collect();
    let share = patience / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
    let mut failure = DialError::Io(io::ErrorKind::AddrNotAvailable.into());
    for address in addresses {
        let connection = async { TcpStream::connect(address).await.map_err(DialError::Io) };
        match within(share, Step::Connect, connection).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Sends the request and reads the answer's head; also gives what was read beyond it.
async fn ask(
    transport: &mut Transport,
    target: &Target,
    form: Credentials,
) -> Result<(Answer, Vec<u8>), DialError> {
    let key = Key::new(random());
    let request = request(target, &key, form);
    let sent = transport.write_all(request.as_bytes()).await;
    sent.map_err(broken)?;
    transport.flush().await.map_err(broken)?;
    let mut head = Vec::with_capacity(1024);
    loop {
        if transport.read_buf(&mut head).await.map_err(broken)? == 0 {
            let nothing = head.is_empty();
            let why = if nothing {
                Misfit::Nothing
            } else {
                Misfit::NotHttp
            };
            return Err(DialError::Misfit(why));
        }
        match read_head(&head) {
            Progress::Incomplete => {}
            Progress::Complete(length) => {
                let early = head.split_off(length);
                return Ok((judge(&head, &key), early));
            }
            Progress::TooLarge => return Err(DialError::Misfit(Misfit::TooLarge)),
        }
    }
}

/// The key of a request is no secret: it only ties the answer to it. So without randomness it is
/// still good.
fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

pub(super) async fn within<T>(
    patience: Duration,
    step: Step,
    future: impl Future<Output = Result<T, DialError>>,
) -> Result<T, DialError> {
    let ended = timeout(patience, future).await;
    ended.unwrap_or(Err(DialError::Timeout(step)))
}
