//! `[ocpp-server]`: where wallboxes connect.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use super::files::{self, KeyPair};
use super::problem::{Report, Span};
use super::reader::Section;
use super::secret::Secret;
use super::value::{At, Value};
use crate::certificates::{self, Certificate, Usage, flaw_of_list};
use crate::ids::ChargeBoxId;

/// `[ocpp-server]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Where to listen; `::` means all interfaces, IPv4 included.
    pub address: IpAddr,
    /// TCP port.
    pub port: u16,
    /// Which of ws and wss are spoken.
    pub tls: TlsMode,
    /// What wallboxes must know, unless they have their own in `passwords`.
    pub password: Option<Secret>,
    /// `evse.ocpp.password` of the wallboxes that have one.
    pub passwords: BTreeMap<ChargeBoxId, Secret>,
    /// Certificate and key; `None`: a self-signed one is made in the state directory.
    pub key_pair: Option<KeyPair>,
    /// PEM files; if there are any, wss clients must present a certificate of one of them.
    pub client_ca: Vec<PathBuf>,
    /// Whom a client certificate must name.
    pub client_name: ClientName,
    /// Unknown ChargeBox IDs may connect and are shown, never charged.
    pub accept_unknown: bool,
    /// What `BootNotification` is answered with.
    pub heartbeat_interval: Duration,
    /// What wallboxes are asked to sample at.
    pub meter_interval: Duration,
    /// More are not let in.
    pub max_connections: usize,
    /// In bytes; a larger message ends its connection.
    pub max_message_size: usize,
}

/// `ocpp-server.tls`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// ws only.
    Off,
    /// ws and wss on the same port.
    Detect,
    /// wss only.
    On,
}

/// `ocpp-server.client-name`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientName {
    /// Anybody: whoever has a certificate may call itself as it likes.
    Any,
    /// The ChargeBox ID of the wallbox that presents it.
    ChargeBoxId,
}

impl TlsMode {
    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Detect => "detect",
            Self::On => "on",
        }
    }
}

/// Reads `[ocpp-server]`; the passwords of single wallboxes are added later. And where it says that a
/// certificate must name its wallbox, if it does.
pub(super) fn read(file: &mut Section<'_>) -> (Server, Option<Span>) {
    let mut section = file.table_or_empty("ocpp-server", "[ocpp-server]");
    let s = &mut section;
    let (tls, client_ca) = read_tls(s);
    let (client_name, demanded) = read_client_name(s, &client_ca);
    let server = Server {
        address: read_address(s),
        port: read_port(s),
        tls,
        password: s.password().option(),
        passwords: BTreeMap::new(),
        key_pair: read_key_pair(s, Usage::Server),
        client_ca,
        client_name,
        accept_unknown: s.flag("accept-unknown").or(false),
        heartbeat_interval: whole_seconds(s, "heartbeat-interval", 86_400)
            .or(Duration::from_mins(5)),
        meter_interval: whole_seconds(s, "meter-interval", 3600).or(Duration::from_secs(10)),
        max_connections: read_size(s, "max-connections", 1, 100_000).or(1024),
        max_message_size: read_size(s, "max-message-size", 1024, 1 << 28).or(1 << 20),
    };
    section.finish(&[]);
    (server, demanded)
}

/// Warns where several can issue certificates in the name of every wallbox: one of them may be the
/// certificate of a single one, made by a tool that makes all of them authorities.
pub(super) fn check_authorities(
    report: &Report<'_>,
    span: &Span,
    client_ca: &[PathBuf],
    ids: &[&ChargeBoxId],
) {
    let read = |path| std::fs::read(path).ok();
    let files = client_ca.iter().filter_map(read);
    let certificates = files.filter_map(|file| certificates::certificates(&file).ok());
    let mut authorities = BTreeMap::new();
    for der in certificates.flatten() {
        let Ok(certificate) = Certificate::parse(&der) else {
            continue;
        };
        let names = certificate.names();
        let is_named = |id: &&ChargeBoxId| {
            let mut names = names.iter();
            names.any(|name| name.eq_ignore_ascii_case(id.as_str()))
        };
        if certificate.vouches_from_a_list().is_ok() && !ids.iter().any(is_named) {
            authorities.insert(der.to_vec(), certificate.subject());
        }
    }
    if authorities.len() > 1 {
        let names: Vec<_> = authorities.into_values().collect();
        let what = format!(
            "each of these can issue certificates in the name of every wallbox: {}",
            names.join("; ")
        );
        let remedy = "leave out of client-ca which is no root but the certificate of one wallbox";
        report.warning(span, what, remedy);
    }
}

fn read_address(s: &mut Section<'_>) -> IpAddr {
    const REMEDY: &str = "write an IP address of this machine, or \"::\" for all of them";
    let report = s.report;
    s.text("address", REMEDY)
        .and_then(|text, span| {
            let address = text.parse().ok();
            if address.is_none() {
                report.problem(span, "address is no IP address", REMEDY);
            }
            address
        })
        .or(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}

fn read_port(s: &mut Section<'_>) -> u16 {
    s.integer(
        "port",
        "write a TCP port, usually 19520",
        1,
        u32::from(u16::MAX),
    )
    .and_then(|port, _| u16::try_from(port).ok())
    .or(19520)
}

/// `certificate` and `private-key` of a section, to be presented as `usage` says.
pub(super) fn read_key_pair(s: &mut Section<'_>, usage: Usage) -> Option<KeyPair> {
    let certificate = s.path("certificate", "write the path of a PEM file with the chain");
    let private_key = s.path("private-key", "write the path of a PEM file with the key");
    files::key_pair(s.report, usage, &certificate, &private_key)
}

fn read_tls(s: &mut Section<'_>) -> (TlsMode, Vec<PathBuf>) {
    let modes = [
        ("off", TlsMode::Off),
        ("detect", TlsMode::Detect),
        ("on", TlsMode::On),
    ];
    let tls = s.choice("tls", &modes);
    let paths = s.texts(
        "client-ca",
        "write a list of PEM files, for example [\"ca.crt\"]",
    );
    let client_ca = read_client_ca(s.report, &paths);
    if client_ca.is_empty() {
        return (tls.or(TlsMode::Detect), client_ca);
    }
    if let Value::Given(at) = &tls {
        match at.value {
            TlsMode::Off => s.report.problem(
                &at.span,
                "client-ca asks for client certificates, but tls is off",
                "write tls = \"on\", or leave client-ca out",
            ),
            TlsMode::Detect => s.report.warning(
                &at.span,
                "wallboxes that speak ws need no certificate, in spite of client-ca",
                "write tls = \"on\" to close ws",
            ),
            TlsMode::On => {}
        }
    }
    (tls.or(TlsMode::On), client_ca)
}

fn read_client_ca(report: &Report<'_>, paths: &Value<Vec<At<String>>>) -> Vec<PathBuf> {
    let Some(paths) = paths.given() else {
        return Vec::new();
    };
    let mut all = Vec::new();
    let mut good = Vec::new();
    for at in &paths.value {
        let path = report.resolve(at);
        if let Some(found) = files::trusted(report, &path, &at.span, Usage::Client) {
            all.extend(found);
            good.push(path);
        }
    }
    if let Some(flaw) = flaw_of_list(&all) {
        report.warning(&paths.span, flaw.what, flaw.remedy);
    }
    good
}

fn read_client_name(s: &mut Section<'_>, client_ca: &[PathBuf]) -> (ClientName, Option<Span>) {
    let names = [
        ("any", ClientName::Any),
        ("charge-box-id", ClientName::ChargeBoxId),
    ];
    let name = s.choice("client-name", &names);
    let demanded = match name.given() {
        Some(at) if at.value == ClientName::ChargeBoxId => Some(at.span.clone()),
        _ => None,
    };
    if let Some(span) = &demanded
        && client_ca.is_empty()
    {
        s.report.problem(
            span,
            "client-name is about client certificates, and without client-ca none is asked for",
            "add client-ca, or leave client-name out",
        );
    }
    (name.or(ClientName::Any), demanded)
}

/// OCPP counts these intervals in whole seconds.
fn whole_seconds(s: &mut Section<'_>, key: &'static str, most: u64) -> Value<Duration> {
    const REMEDY: &str = "write whole seconds or minutes, for example \"10s\"";
    let report = s.report;
    s.duration(
        key,
        REMEDY,
        Duration::from_secs(1),
        Duration::from_secs(most),
    )
    .and_then(|interval, span| {
        if interval.subsec_millis() != 0 {
            report.problem(span, format!("{key} must be whole seconds"), REMEDY);
            return None;
        }
        Some(interval)
    })
}

fn read_size(s: &mut Section<'_>, key: &'static str, min: u32, max: u32) -> Value<usize> {
    s.integer(key, "write a whole number, or leave it out", min, max)
        .and_then(|size, _| usize::try_from(size).ok())
}
