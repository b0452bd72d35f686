//! `[evse.gateway]`: the backend that an EVSE is shown to.

use std::path::PathBuf;

use super::files::{self, KeyPair};
use super::modbus::host_and_port;
use super::problem::{Report, Span};
use super::reader::Section;
use super::secret::Secret;
use super::server::read_key_pair;
use super::value::{At, Value};
use crate::certificates::{Usage, flaw_of_list};

/// `[evse.gateway]`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "the file has six switches")]
pub struct Gateway {
    /// `ws://` or `wss://`.
    pub url: String,
    /// As whom.
    pub client_id: String,
    /// The client id is appended to the URL.
    pub append_id: bool,
    /// For HTTP Basic.
    pub password: Option<Secret>,
    /// Whom the server's certificate must come from.
    pub ca: Trust,
    /// The certificate must be for the host in the URL.
    pub verify_hostname: bool,
    /// Presented to the backend.
    pub key_pair: Option<KeyPair>,
    /// The connector id that the backend sees.
    pub connector: Option<u32>,
    /// What `BootNotification` says for a Modbus EVSE.
    pub boot: Boot,
    /// The backend is away: may a tag that nobody knows charge?
    pub offline_unknown_tags: bool,
    /// `vendorId`s whose `DataTransfer` is kept and delivered later.
    pub queue_data_transfer: Vec<String>,
    /// A lost session gets a `StopTransaction` with the last register value.
    pub synthesize_stop: bool,
    /// Firmware updates are relayed.
    pub allow_firmware: bool,
    /// Our log of the charge point is uploaded where the backend asks for it.
    pub upload_log: bool,
    /// Messages that may wait.
    pub max_queue: u32,
}

impl Gateway {
    /// The address begins with `wss://`.
    pub fn has_tls(&self) -> bool {
        let scheme = self.url.get(..4);
        scheme.is_some_and(|it| it.eq_ignore_ascii_case("wss:"))
    }
}

/// `evse.gateway.ca`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// Any server certificate is accepted.
    Anyone,
    /// The machine's own roots.
    System,
    /// The certificates in these PEM files.
    Files(Vec<PathBuf>),
}

/// What `BootNotification` says for a Modbus EVSE.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Boot {
    /// `chargePointVendor`
    pub vendor: Option<String>,
    /// `chargePointModel`
    pub model: Option<String>,
    /// `chargePointSerialNumber`
    pub serial: Option<String>,
    /// `firmwareVersion`
    pub firmware: Option<String>,
}

/// A gateway, and the place it is read from.
pub(super) type Entry = At<Gateway>;

/// Reads `[evse.gateway]`.
pub(super) fn read(mut s: Section<'_>) -> Entry {
    let span = s.header.clone();
    let url = read_url(&mut s).or(String::new());
    let ca = read_ca(&mut s);
    let verify_hostname = s.flag("verify-hostname");
    let key_pair = read_key_pair(&mut s, Usage::Client);
    let given = [
        (!ca.is_absent()).then_some("ca"),
        (!verify_hostname.is_absent()).then_some("verify-hostname"),
        key_pair.is_some().then_some("certificate and private-key"),
    ];
    let given: Vec<&str> = given.into_iter().flatten().collect();
    let gateway = Gateway {
        url,
        client_id: s
            .text(
                "client-id",
                "write the name that the backend knows this charge point by",
            )
            .or(String::new()),
        append_id: s.flag("append-id").or(true),
        password: s.password().option(),
        ca: ca.or(Trust::Anyone),
        verify_hostname: verify_hostname.or(true),
        key_pair,
        connector: s
            .integer(
                "connector",
                "write the connector id that the backend sees, from 1",
                1,
                999,
            )
            .option(),
        boot: read_boot(&mut s),
        offline_unknown_tags: s.flag("offline-unknown-tags").or(false),
        queue_data_transfer: s
            .texts(
                "queue-data-transfer",
                "write a list of vendorIds, for example [\"com.example\"]",
            )
            .or(Vec::new())
            .into_iter()
            .map(|at| at.value)
            .collect(),
        synthesize_stop: s.flag("synthesize-stop").or(false),
        allow_firmware: s.flag("allow-firmware").or(false),
        upload_log: s.flag("upload-log").or(false),
        max_queue: s
            .integer(
                "max-queue",
                "write how many messages may wait",
                1,
                10_000_000,
            )
            .or(10_000),
    };
    let report = s.report;
    s.finish(&["url", "client-id"]);
    warn_of_tls(report, &span, &gateway, &given);
    At {
        value: gateway,
        span,
    }
}

/// `given` are the keys about TLS that are in the file.
fn warn_of_tls(report: &Report<'_>, span: &Span, gateway: &Gateway, given: &[&str]) {
    if gateway.url.is_empty() {
        return;
    }
    if gateway.has_tls() {
        if gateway.ca == Trust::Anyone {
            let what = "any server certificate is accepted as the backend's";
            let remedy = "add ca with the backend's root certificate, or ca = \"system\"";
            report.warning(span, what, remedy);
        }
        return;
    }
    if gateway.password.is_some() {
        let what = "the password crosses the network in clear text";
        report.warning(span, what, "write wss:// if the backend has it");
    }
    let nothing = "nothing: the url begins with ws://, which has no TLS";
    let what = match given {
        [] => return,
        ["ca" | "verify-hostname"] => format!("{} does {nothing}", given.join(", ")),
        _ => format!("{} do {nothing}", given.join(", ")),
    };
    let remedy = "write wss:// if the backend has it, or leave them out";
    report.warning(span, what, remedy);
}

/// The lengths are those of `BootNotification.req` (OCPP 1.6 §6.3).
fn read_boot(s: &mut Section<'_>) -> Boot {
    let mut text = |key, remedy, most| s.short_text(key, remedy, most).option();
    Boot {
        vendor: text("vendor", "write at most 20 characters", 20),
        model: text("model", "write at most 20 characters", 20),
        serial: text("serial", "write at most 25 characters", 25),
        firmware: text("firmware", "write at most 50 characters", 50),
    }
}

fn read_url(s: &mut Section<'_>) -> Value<String> {
    const REMEDY: &str = "write the address of the backend, for example \
                          \"wss://ocpp.backend.example/path/\"";
    let report = s.report;
    s.text("url", REMEDY).and_then(|url, span| {
        let lower = url.to_ascii_lowercase();
        let rest = lower
            .strip_prefix("ws://")
            .or_else(|| lower.strip_prefix("wss://"));
        let Some(rest) = rest else {
            report.problem(span, "url must begin with ws:// or wss://", REMEDY);
            return None;
        };
        let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if host.contains('@') {
            let what = "url must not hold a user or a password";
            report.problem(span, what, "write client-id and password instead");
            return None;
        }
        if host_and_port(host).is_none() || path.contains(|c: char| c.is_whitespace() || c == '#') {
            report.problem(span, "url is no WebSocket address", REMEDY);
            return None;
        }
        Some(url)
    })
}

fn read_ca(s: &mut Section<'_>) -> Value<Trust> {
    use toml::de::DeValue;

    let remedy = "write a list of PEM files, for example [\"rootCA.crt\"], or \"system\"";
    let report = s.report;
    let items = s.read(
        "ca",
        remedy,
        "\"system\" or a list of files",
        |value| match value {
            DeValue::String(word) if word == "system" => Some(None),
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(path) => Some((path.as_ref(), item.span())),
                    _ => None,
                })
                .collect::<Option<Vec<_>>>()
                .map(Some),
            _ => None,
        },
    );
    items.and_then(|items, span| {
        let Some(items) = items else {
            return Some(Trust::System);
        };
        if items.is_empty() {
            report.problem(span, "ca is empty", remedy);
            return None;
        }
        let mut all = Vec::new();
        let good = items.into_iter().map(|(path, span)| {
            let is_word = path == "system";
            let path = report.resolve(path);
            if is_word && !path.exists() {
                let what = "in a list, system is the name of a file, and there is none";
                let remedy = "write ca = \"system\", without brackets, for the machine's own roots";
                report.problem(&span, what, remedy);
                return None;
            }
            all.extend(files::trusted(report, &path, &span, Usage::Server)?);
            Some(path)
        });
        // All are checked before one that is wrong ends it.
        let good: Vec<Option<PathBuf>> = good.collect();
        if let Some(flaw) = flaw_of_list(&all) {
            report.warning(span, flaw.what, flaw.remedy);
        }
        good.into_iter()
            .collect::<Option<Vec<_>>>()
            .map(Trust::Files)
    })
}

/// EVSEs of one identity (URL and client-id) share a connection: they must agree in what it needs,
/// and differ in the connector.
pub(super) fn check_identities(report: &Report<'_>, gateways: &[&Entry]) {
    for (i, later) in gateways.iter().enumerate() {
        let same: Vec<_> = gateways
            .iter()
            .take(i)
            .filter(|it| is_same(it, later))
            .collect();
        let Some(first) = same.first() else {
            continue;
        };
        let line = report.line_of(&first.span);
        if let Some(key) = disagreement(first, later) {
            let what =
                format!("{key} differs from that of the same url and client-id in line {line}");
            report.problem(
                &later.span,
                what,
                "EVSEs that share a connection agree in it",
            );
        }
        let connector = later.connector;
        if let Some(twin) = same
            .iter()
            .find(|it| it.connector.is_some() && it.connector == connector)
        {
            let line = report.line_of(&twin.span);
            let what =
                format!("the connector is that of the same url and client-id in line {line}");
            report.problem(&later.span, what, "give each EVSE a connector of its own");
        }
    }
}

pub(super) fn is_same(a: &Gateway, b: &Gateway) -> bool {
    !a.url.is_empty() && !a.client_id.is_empty() && a.url == b.url && a.client_id == b.client_id
}

fn disagreement(a: &Gateway, b: &Gateway) -> Option<&'static str> {
    if a.password != b.password {
        Some("password")
    } else if a.ca != b.ca {
        Some("ca")
    } else if a.verify_hostname != b.verify_hostname {
        Some("verify-hostname")
    } else if a.key_pair != b.key_pair {
        Some("certificate or private-key")
    } else if a.append_id != b.append_id {
        Some("append-id")
    } else {
        None
    }
}
