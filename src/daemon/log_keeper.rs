//! [`LogKeeper`]: the last lines of the log, for backends that may have them.
//!
//! It is a layer of the log like any other, behind the same filter, and keeps nothing unless a
//! gateway has `upload-log`. Then it keeps, in memory and for each such gateway apart, what names it:
//! an EVSE, a wallbox or the client id of its own. A line that names somebody else, too, is not
//! kept; neither is one of the level `debug` or `trace`, where id tags stand as they are.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Debug, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber, dispatcher};
use tracing_subscriber::layer::{Context, Layer};

use super::clock::Clock;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::gateway::GatewayPlan;
use crate::ids::Identity;
use crate::ocpp::messages::LogType;
use crate::ocpp::timestamp;

/// So many bytes are kept for each gateway; then the oldest lines are left out.
const MOST: usize = 256 * 1024;

/// A line is no longer, in bytes.
const LONGEST: usize = 2 * 1024;

/// What a line takes beside its text.
const OVERHEAD: usize = size_of::<Line>();

/// The field that an event has which belongs to the security log.
const SECURITY: &str = "security_event";

/// The last lines of the log. Clones are one.
#[derive(Debug, Clone)]
pub struct LogKeeper(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Somebody may have lines. Asked for every event of the process.
    awake: AtomicBool,
    clock: Clock,
    kept: Mutex<Vec<Kept>>,
}

/// What one gateway may have.
#[derive(Debug)]
struct Kept {
    names: Names,
    lines: VecDeque<Line>,
    bytes: usize,
    /// Nothing that is newer is missing.
    since: Timestamp,
}

#[derive(Debug)]
struct Line {
    at: Timestamp,
    of_security: bool,
    text: String,
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Which log.
    pub(super) log_type: LogType,
    /// Nothing that is older.
    pub(super) oldest: Option<Timestamp>,
    /// Nothing that is newer.
    pub(super) latest: Option<Timestamp>,
}

impl Default for LogKeeper {
    fn default() -> Self {
        Self(Arc::new(Shared {
            awake: AtomicBool::new(false),
            clock: Clock::start(),
            kept: Mutex::default(),
        }))
    }
}

impl LogKeeper {
    /// The one that listens to the log of this thread; one that hears nothing if there is none.
    pub(super) fn of_this_log() -> Self {
        dispatcher::get_default(|log| log.downcast_ref::<Self>().cloned()).unwrap_or_default()
    }

    /// Keeps lines for those gateways that may upload them, and forgets what was kept for others.
    pub(super) fn follow(&self, config: &Config) {
        let plans = config.plan.gateways.iter().filter(|it| it.upload_log);
        let names = plans.map(|plan| Names::new(config, plan));
        let mut kept = self.kept();
        let mut before = std::mem::take(&mut *kept);
        for names in names {
            let same = |it: &Kept| it.names.identity == names.identity;
            let known = before.iter().position(same);
            kept.push(match known.map(|place| before.swap_remove(place)) {
                Some(known) => Kept { names, ..known },
                None => Kept {
                    names,
                    lines: VecDeque::new(),
                    bytes: 0,
                    since: self.now(),
                },
            });
        }
        self.0.awake.store(!kept.is_empty(), Ordering::Relaxed);
    }

    /// The lines of one gateway, below one that says what they are.
    pub(super) fn text(&self, identity: &Identity, part: Part) -> String {
        let (kept, now) = (self.kept(), self.now());
        let found = kept.iter().find(|it| it.names.identity == *identity);
        let (since, client_id) = found.map_or((now, ""), |it| (it.since, &it.names.client_id));
        let mut text = format!(
            "chargewarden {} {} of {} from {} to {}\n",
            env!("CARGO_PKG_VERSION"),
            part.log_type,
            plain(client_id),
            timestamp::format(part.oldest.map_or(since, |it| it.max(since))),
            timestamp::format(part.latest.map_or(now, |it| it.min(now))),
        );
        let lines = found.iter().flat_map(|it| &it.lines);
        for line in lines.filter(|line| part.has(line)) {
            text.push_str(&line.text);
            text.push('\n');
        }
        text
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now().wall
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        // Lines are added whole: there is nothing that a panic could have left half done.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Subscriber> Layer<S> for LogKeeper {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if *metadata.level() > Level::INFO || !self.0.awake.load(Ordering::Relaxed) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let mut kept = self.kept();
        let mut concerned = kept.iter_mut().filter(|it| it.names.are_in(&said));
        let Some(first) = concerned.next() else {
            return;
        };
        let at = self.now();
        let line = || Line {
            at,
            of_security: said.of_security,
            text: said.line(at, metadata),
        };
        first.add(line());
        concerned.for_each(|it| it.add(line()));
    }
}

impl Kept {
    fn add(&mut self, line: Line) {
        self.bytes += line.text.len() + OVERHEAD;
        self.lines.push_back(line);
        while self.bytes > MOST {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.text.len() + OVERHEAD;
            self.since = self.lines.front().map_or(oldest.at, |it| it.at);
        }
    }
}

impl Part {
    /// To the second, as the lines show it and as backends write it.
    fn has(self, line: &Line) -> bool {
        let wanted = match self.log_type {
            LogType::DiagnosticsLog => true,
            LogType::SecurityLog => line.of_security,
        };
        let second = line.at.as_second();
        wanted
            && self.oldest.is_none_or(|it| second >= it.as_second())
            && self.latest.is_none_or(|it| second <= it.as_second())
    }
}

/// How the log calls a charge point.
#[derive(Debug, PartialEq, Eq)]
struct Names {
    identity: Identity,
    client_id: String,
    /// Another backend uses the client id, too: only with this URL it names this one.
    needs_url: Option<String>,
    /// Another backend has the same client id and, as far as the log shows it, the same address.
    is_ambiguous: bool,
    evses: BTreeSet<String>,
    /// With the connectors that are its own, where others belong to somebody else.
    wallboxes: BTreeMap<String, Option<BTreeSet<u32>>>,
}

impl Names {
    fn new(config: &Config, plan: &GatewayPlan) -> Self {
        let is_member = |name| plan.members.iter().any(|it| it.evse == name);
        let mut wallboxes = BTreeMap::new();
        for member in &plan.members {
            let device = config.evses.iter().find(|it| it.name == member.evse);
            let device = device.map(|it| &it.device);
            let mut beside = config.evses.iter().filter(|it| Some(&it.device) == device);
            let is_shared = beside.any(|it| !is_member(it.name.clone()));
            let own = wallboxes
                .entry(member.address.to_string())
                .or_insert_with(|| is_shared.then(BTreeSet::new));
            if let Some(connectors) = own {
                connectors.insert(member.connector.0);
            }
        }
        let gateways = config.plan.gateways.iter();
        let twins = gateways.filter(|it| it.client_id == plan.client_id && it.url != plan.url);
        let twins: Vec<_> = twins.map(GatewayPlan::shown_url).collect();
        Self {
            identity: plan.identity(),
            client_id: plan.client_id.clone(),
            is_ambiguous: twins.contains(&plan.shown_url()),
            needs_url: (!twins.is_empty()).then(|| plan.shown_url().into_owned()),
            evses: plan.members.iter().map(|it| it.evse.to_string()).collect(),
            wallboxes,
        }
    }

    /// Whether a line names this charge point, and nobody else.
    fn are_in(&self, said: &Said) -> bool {
        let evse = said.evse.as_ref().map(|it| self.evses.contains(it));
        // Where there is an EVSE, the address is that of its device.
        let wallbox = match (&evse, &said.wallbox) {
            (None, Some(wallbox)) => Some(match self.wallboxes.get(wallbox) {
                None => false,
                Some(None) => true,
                Some(Some(own)) => said.connector.is_some_and(|it| own.contains(&it)),
            }),
            _ => None,
        };
        let client_id = said.client_id.as_ref().map(|it| {
            let url = self.needs_url.is_none() || self.needs_url == said.backend;
            *it == self.client_id && url && !self.is_ambiguous
        });
        let all = [evse, wallbox, client_id];
        let mut named = all.into_iter().flatten().peekable();
        named.peek().is_some() && named.all(|it| it)
    }
}

/// What an event says.
#[derive(Debug, Default)]
struct Said {
    message: String,
    /// `key=value` with a blank before each.
    fields: String,
    evse: Option<String>,
    wallbox: Option<String>,
    connector: Option<u32>,
    client_id: Option<String>,
    backend: Option<String>,
    of_security: bool,
}

impl Said {
    fn take(&mut self, field: &Field, value: String) {
        let name = field.name();
        if name == "message" {
            self.message = value;
            return;
        }
        // Into a string nothing can fail to be written.
        let _ = write!(self.fields, " {name}={}", quoted(&value));
        match name {
            "evse" => self.evse = Some(value),
            "charge_point" | "address" => self.wallbox = Some(value),
            "connector" | "unit" => self.connector = value.parse().ok(),
            "client_id" => self.client_id = Some(value),
            "backend" => self.backend = Some(value),
            SECURITY => self.of_security = true,
            _ => {}
        }
    }

    fn line(&self, at: Timestamp, metadata: &Metadata<'_>) -> String {
        let Self {
            message, fields, ..
        } = self;
        let (at, level) = (timestamp::format(at), metadata.level());
        let mut line = format!("{at} {level} {}{fields}", plain(message));
        line.truncate(line.floor_char_boundary(LONGEST));
        line
    }
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.take(field, format!("{value:?}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.take(field, value.to_string());
    }
}

/// One line stays one line, and a value one value.
fn quoted(value: &str) -> impl fmt::Display {
    let is_simple = |it: char| !it.is_whitespace() && !it.is_control() && it != '"';
    if !value.is_empty() && value.chars().all(is_simple) {
        value.to_owned()
    } else {
        format!("{value:?}")
    }
}

fn plain(text: &str) -> String {
    let plain = |it: char| if it.is_control() { '\u{FFFD}' } else { it };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tracing::{debug, info, warn};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::config;

    const SITE: &str = r#"
[[circuit]]
name = "house"
max-current = 32
[[evse]]
name = "left"
device = "ocpp1.6"
address = "CB-1"
id = 1
max-current = 16
[evse.gateway]
url = "ws://a.example/"
client-id = "L"
upload-log = true
[[evse]]
name = "right"
device = "ocpp1.6"
address = "CB-1"
id = 2
max-current = 16
[evse.gateway]
url = "ws://b.example/"
client-id = "R"
[[evse]]
name = "brain"
device = "power-brain"
address = "192.168.1.51:4701"
max-current = 16
[evse.gateway]
url = "ws://a.example/"
client-id = "B"
upload-log = true
"#;

    const ALL: Part = Part {
        log_type: LogType::DiagnosticsLog,
        oldest: None,
        latest: None,
    };

    fn read(text: &str) -> Config {
        config::read(Path::new("test.toml"), text).unwrap().0
    }

    /// What is kept for `client_id` of what is said meanwhile.
    fn heard(config: &Config, client_id: &str, say: impl FnOnce()) -> Vec<String> {
        let keeper = LogKeeper::default();
        keeper.follow(config);
        let log = tracing_subscriber::registry().with(keeper.clone());
        tracing::subscriber::with_default(log, say);
        lines(&keeper, config, client_id, ALL)
    }

    fn lines(keeper: &LogKeeper, config: &Config, client_id: &str, part: Part) -> Vec<String> {
        let mut plans = config.plan.gateways.iter();
        let plan = plans.find(|it| it.client_id == client_id).unwrap();
        let text = keeper.text(&plan.identity(), part);
        let (head, rest) = text.split_once('\n').unwrap();
        assert!(head.starts_with("chargewarden "), "{head}");
        rest.lines()
            .map(|line| line.split_once(' ').unwrap().1.to_owned())
            .collect()
    }

    fn everything() {
        info!(evse = %"left", limit = 16, "an EVSE of its own");
        info!(evse = "right", "an EVSE of somebody else");
        info!(charge_point = %"CB-1", "a wallbox that is not its own alone");
        warn!(charge_point = %"CB-1", connector = 1, why = "no reason", "a connector of its own");
        info!(charge_point = %"CB-1", connector = 2, "a connector of somebody else");
        info!(charge_point = "CB-2", connector = 1, "another wallbox");
        info!(client_id = "L", backend = "ws://a.example/", "its gateway");
        info!(client_id = "R", "another gateway");
        info!(client_id = "L", evse = "right", "both");
        info!(evse = %"brain", address = "192.168.1.51:4701", unit = 1, "a Power Brain");
        info!(address = "192.168.1.51:4701", "its device");
        debug!(evse = "left", id_tag = "04A1B2C3", "a tag");
        info!("nobody");
    }

    #[test]
    fn a_gateway_hears_what_names_it_and_nothing_that_names_another() {
        let config = read(SITE);
        assert_eq!(
            heard(&config, "L", everything),
            [
                "INFO an EVSE of its own evse=left limit=16",
                "WARN a connector of its own charge_point=CB-1 connector=1 why=\"no reason\"",
                "INFO its gateway client_id=L backend=ws://a.example/",
            ]
        );
        assert_eq!(
            heard(&config, "B", everything),
            [
                "INFO a Power Brain evse=brain address=192.168.1.51:4701 unit=1",
                "INFO its device address=192.168.1.51:4701",
            ]
        );
    }

    #[test]
    fn nothing_is_kept_for_whom_nothing_may_be_uploaded() {
        let config = read(SITE);
        assert!(heard(&config, "R", everything).is_empty());
        let nobody = read(&SITE.replace("upload-log = true\n", ""));
        let keeper = LogKeeper::default();
        keeper.follow(&nobody);
        assert!(!keeper.0.awake.load(Ordering::Relaxed));
    }

    #[test]
    fn a_client_id_at_two_backends_names_neither_without_its_url() {
        let config = read(&SITE.replace("client-id = \"R\"", "client-id = \"L\""));
        let said = heard(&config, "L", || {
            info!(client_id = "L", "whose");
            info!(client_id = "L", backend = "ws://b.example/", "theirs");
            info!(client_id = "L", backend = "ws://a.example/", "ours");
        });
        assert_eq!(said, ["INFO ours client_id=L backend=ws://a.example/"]);
    }

    #[test]
    fn the_security_log_holds_events_of_security_alone_and_a_period_is_kept_to() {
        let config = read(SITE);
        let keeper = LogKeeper::default();
        keeper.follow(&config);
        let log = tracing_subscriber::registry().with(keeper.clone());
        tracing::subscriber::with_default(log, || {
            info!(client_id = "L", security_event = "InvalidMessages", "event");
            info!(client_id = "L", "no event");
        });
        let of = |part| lines(&keeper, &config, "L", part);
        let event = "INFO event client_id=L security_event=InvalidMessages";
        let security = Part {
            log_type: LogType::SecurityLog,
            ..ALL
        };
        assert_eq!(of(security), [event]);
        assert_eq!(of(ALL).len(), 2);
        let hour = jiff::SignedDuration::from_hours(1);
        let now = keeper.now();
        for (oldest, latest, lines) in [
            (Some(now - hour), Some(now + hour), 2),
            (Some(now + hour), None, 0),
            (None, Some(now - hour), 0),
        ] {
            let part = Part {
                oldest,
                latest,
                ..ALL
            };
            assert_eq!(of(part).len(), lines, "{part:?}");
        }
    }

    #[test]
    fn the_oldest_lines_go_first_and_no_line_is_endless_or_two() {
        let config = read(SITE);
        let said = heard(&config, "L", || {
            for number in 0..10_000 {
                info!(
                    evse = "left",
                    number, "a line of some length, so that there are many"
                );
            }
            info!(
                evse = "left",
                text = "x\n2026-11-22 fake".repeat(999),
                "ö\nü"
            );
        });
        let bytes: usize = said.iter().map(String::len).sum();
        assert!(bytes < MOST && bytes > MOST / 4, "{bytes}");
        assert!(!said[0].contains("number=0 "));
        assert!(said[said.len() - 2].ends_with("number=9999"));
        assert!(said[said.len() - 1].len() <= LONGEST);
        assert!(said[said.len() - 1].starts_with("INFO ö\u{FFFD}ü evse=left text=\"x\\n2026"));
    }

    #[test]
    fn lines_stay_over_a_reload_where_client_id_and_url_do() {
        let before = read(SITE);
        let keeper = LogKeeper::default();
        keeper.follow(&before);
        let log = tracing_subscriber::registry().with(keeper.clone());
        let after = read(
            &SITE
                .replace("\"left\"", "\"links\"")
                .replace("\"B\"", "\"C\""),
        );
        tracing::subscriber::with_default(log, || {
            info!(evse = "left", "before");
            info!(evse = "brain", "before");
            keeper.follow(&after);
            info!(evse = "left", "after");
            info!(evse = "links", "after");
        });
        let of = |client_id| lines(&keeper, &after, client_id, ALL);
        assert_eq!(of("L"), ["INFO before evse=left", "INFO after evse=links"]);
        assert!(of("C").is_empty());
        assert_eq!(lines(&keeper, &before, "B", ALL), Vec::<String>::new());
    }
}
