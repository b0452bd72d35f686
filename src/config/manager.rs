//! `[manager]` and `[log]`.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::{Bounds, Section};
use crate::load::{PriorityMode, WhenDisabled};
use crate::units::{MilliAmps, MilliVolts};

/// `[manager]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manager {
    /// Who limits.
    pub load_management: LoadManagement,
    /// Nominal phase voltage.
    pub voltage: MilliVolts,
    /// Database, generated certificate and key.
    pub state_dir: PathBuf,
    /// Unix socket for `status` and commands.
    pub control_socket: PathBuf,
    /// What a disabled EVSE is left with.
    pub when_disabled: WhenDisabled,
    /// What wallboxes are left with when the daemon ends.
    pub on_shutdown: OnShutdown,
    /// How classes of priority share.
    pub priority_mode: PriorityMode,
    /// How long an EVSE may hold a scarce slot while others wait.
    pub rotation_period: Duration,
    /// Metered circuits: a raise uses the peak of the house load over this window.
    pub raise_hold: Duration,
    /// Metered circuits: a raise is at most this much …
    pub raise_step: MilliAmps,
    /// … per this time.
    pub raise_interval: Duration,
    /// After a burst of 3, one raise per connector in this time.
    pub ocpp_raise_interval: Duration,
    /// No raises until every EVSE was seen or this has passed.
    pub start_up_hold: Duration,
    /// Older than this, a meter is stale.
    pub meter_timeout: Duration,
    /// Life of a pushed limit where the house load is metered; zero = for ever.
    pub dead_man: Duration,
    /// The house load counts in `max-asymmetry`.
    pub asymmetry_includes_house: bool,
}

/// `manager.load-management`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadManagement {
    /// Limits.
    Control,
    /// Reads, records and forwards; never limits by itself.
    Observe,
}

/// `manager.on-shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnShutdown {
    /// Their last limits.
    Keep,
    /// Their failsafe currents.
    Failsafe,
    /// No limit of ours.
    Release,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Where to and in which form.
    pub format: LogFormat,
    /// A level or a tracing filter.
    pub level: String,
}

/// `log.format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// journald under systemd, else text.
    Auto,
    /// Text on standard error.
    Text,
    /// One JSON object a line.
    Json,
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

const LOAD_MANAGEMENT: [(&str, LoadManagement); 2] = [
    ("control", LoadManagement::Control),
    ("observe", LoadManagement::Observe),
];
const WHEN_DISABLED: [(&str, WhenDisabled); 3] = [
    ("pause", WhenDisabled::Pause),
    ("minimum", WhenDisabled::Minimum),
    ("release", WhenDisabled::Release),
];
const ON_SHUTDOWN: [(&str, OnShutdown); 3] = [
    ("keep", OnShutdown::Keep),
    ("failsafe", OnShutdown::Failsafe),
    ("release", OnShutdown::Release),
];
const PRIORITY_MODE: [(&str, PriorityMode); 2] = [
    ("strict", PriorityMode::Strict),
    ("min-first", PriorityMode::MinFirst),
];

/// Reads `[manager]`; without one, every default holds.
pub(super) fn read_manager(file: &mut Section<'_>) -> Manager {
    let mut section = file.table_or_empty("manager", "[manager]");
    let s = &mut section;
    let paths = read_paths(s);
    let manager = Manager {
        load_management: s
            .choice("load-management", &LOAD_MANAGEMENT)
            .or(LoadManagement::Control),
        voltage: read_voltage(s),
        state_dir: paths.0,
        control_socket: paths.1,
        when_disabled: s
            .choice("when-disabled", &WHEN_DISABLED)
            .or(WhenDisabled::Pause),
        on_shutdown: s.choice("on-shutdown", &ON_SHUTDOWN).or(OnShutdown::Keep),
        priority_mode: s
            .choice("priority-mode", &PRIORITY_MODE)
            .or(PriorityMode::Strict),
        rotation_period: s
            .duration(
                "rotation-period",
                "write for example \"15min\"",
                SECOND,
                DAY,
            )
            .or(15 * 60 * SECOND),
        raise_hold: hold(s, "raise-hold", 15),
        raise_step: s
            .amps(
                "raise-step",
                "write how much an EVSE may be raised at once, in A, for example 4",
                Bounds::Positive(1000.0),
            )
            .or(MilliAmps::from_amps(4)),
        raise_interval: hold(s, "raise-interval", 10),
        ocpp_raise_interval: hold(s, "ocpp-raise-interval", 30),
        start_up_hold: hold(s, "start-up-hold", 30),
        meter_timeout: s
            .duration("meter-timeout", "write for example \"15s\"", SECOND, HOUR)
            .or(15 * SECOND),
        dead_man: read_dead_man(s),
        asymmetry_includes_house: s.flag("asymmetry-includes-house").or(false),
    };
    section.finish(&[]);
    manager
}

fn read_paths(s: &mut Section<'_>) -> (PathBuf, PathBuf) {
    let state_dir = s.path("state-dir", "write the path of a directory");
    let control_socket = s.path("control-socket", "write the path of the socket");
    (
        state_dir.or(PathBuf::from("/var/lib/chargewarden")),
        control_socket.or(PathBuf::from(DEFAULT_CONTROL_SOCKET)),
    )
}

/// `manager.control-socket`, unless the file says otherwise.
pub const DEFAULT_CONTROL_SOCKET: &str = "/run/chargewarden/control.sock";

fn read_voltage(s: &mut Section<'_>) -> MilliVolts {
    let remedy = "write the voltage between a phase and neutral in V, for example 230";
    s.number("voltage", remedy, Bounds::Between(90.0, 300.0))
        .and_then(|volts, _| MilliVolts::from_volts_f64(volts))
        .or(MilliVolts(230_000))
}

fn hold(s: &mut Section<'_>, key: &'static str, default: u32) -> Duration {
    s.duration(key, "write for example \"15s\"", Duration::ZERO, HOUR)
        .or(default * SECOND)
}

fn read_dead_man(s: &mut Section<'_>) -> Duration {
    const REMEDY: &str = "write for example \"10min\", or \"0s\" for a limit that holds for ever";
    let report = s.report;
    s.duration("dead-man", REMEDY, Duration::ZERO, DAY)
        .and_then(|life, span| {
            // It is renewed at half of its life, over links that may be slow.
            if !life.is_zero() && life < 10 * SECOND {
                report.problem(span, "dead-man must be \"0s\" or at least 10s", REMEDY);
                return None;
            }
            Some(life)
        })
        .or(600 * SECOND)
}

/// Reads `[log]`.
pub(super) fn read_log(file: &mut Section<'_>) -> Log {
    const LEVEL: &str = "write error, warn, info, debug or trace, or a filter such as \
                         \"info,ocpp::wire=trace\"";
    let mut s = file.table_or_empty("log", "[log]");
    let report = s.report;
    let log = Log {
        format: s
            .choice(
                "format",
                &[
                    ("auto", LogFormat::Auto),
                    ("text", LogFormat::Text),
                    ("json", LogFormat::Json),
                ],
            )
            .or(LogFormat::Auto),
        level: s
            .text("level", LEVEL)
            .and_then(|level, span| {
                if tracing_subscriber::EnvFilter::try_new(&level).is_err() {
                    report.problem(span, "level is no tracing filter", LEVEL);
                    return None;
                }
                Some(level)
            })
            .or("info".to_owned()),
    };
    s.finish(&[]);
    log
}
