//! Where log lines go.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Registry};
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use super::log_keeper::LogKeeper;
use crate::config::LogFormat;

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error(
        "the log level {level:?} is neither a level nor a filter like \"info,ocpp::wire=trace\""
    )]
    Level {
        /// As it was written.
        level: String,
        /// Why.
        source: ParseError,
    },
    /// The process has one already.
    #[error("the log was set up before")]
    Twice(#[from] TryInitError),
}

/// Reads `log.level`: a level, or a filter like `info,ocpp::wire=trace`.
///
/// # Errors
///
/// [`LogError::Level`].
pub fn filter(level: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::builder()
        .parse(level)
        .map_err(|source| LogError::Level {
            level: level.to_owned(),
            source,
        })
}

/// Where the filter can be changed.
static FILTER: OnceLock<Handle<EnvFilter, Registry>> = OnceLock::new();

/// Changes what is logged from now on.
///
/// # Errors
///
/// [`LogError::Level`].
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    if let Some(handle) = FILTER.get() {
        // Fails only when the log is gone, which lives as long as the process.
        let _ = handle.reload(filter);
    }
    Ok(())
}

/// Sets up the log of the whole process.
///
/// # Errors
///
/// See [`LogError`].
pub fn init(format: LogFormat, level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let layer = match format {
        LogFormat::Auto if stderr_is_the_journal() => journal().unwrap_or_else(text),
        LogFormat::Auto | LogFormat::Text => text(),
        LogFormat::Json => json(),
    };
    let (filter, handle) = reload::Layer::new(filter);
    tracing_subscriber::registry()
        .with(filter)
        .with(layer)
        .with(LogKeeper::default())
        .try_init()?;
    // Nobody was here before: a log is set up once.
    let _ = FILTER.set(handle);
    Ok(())
}

/// Whether output to something that is a terminal or not shall have colours, if the environment
/// variable `NO_COLOR` is this.
pub fn colours(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

type Boxed<S> = Box<dyn Layer<S> + Send + Sync>;

// A closed stderr is nobody's fault, and to complain about it on stderr would end the process:
// hence `log_internal_errors(false)`.

fn text<S: Subscriber + for<'a> LookupSpan<'a>>() -> Boxed<S> {
    fmt::layer()
        .with_writer(stderr)
        .with_ansi(colours(
            stderr().is_terminal(),
            env::var_os("NO_COLOR").as_deref(),
        ))
        .log_internal_errors(false)
        .boxed()
}

fn json<S: Subscriber + for<'a> LookupSpan<'a>>() -> Boxed<S> {
    fmt::layer()
        .json()
        .with_writer(stderr)
        .log_internal_errors(false)
        .boxed()
}

fn journal<S: Subscriber + for<'a> LookupSpan<'a>>() -> Option<Boxed<S>> {
    let layer = tracing_journald::layer().ok()?;
    Some(
        layer
            .with_syslog_identifier("chargewarden".to_owned())
            .boxed(),
    )
}

/// Whether systemd has connected our stderr to its journal. The variable alone does not say so: it
/// is inherited by children whose stderr is something else.
fn stderr_is_the_journal() -> bool {
    let stat = rustix::fs::fstat(stderr());
    stat.is_ok_and(|it| is_journal_stream(env::var_os("JOURNAL_STREAM"), it.st_dev, it.st_ino))
}

fn is_journal_stream(variable: Option<OsString>, device: u64, inode: u64) -> bool {
    variable.is_some_and(|it| it == format!("{device}:{inode}").as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_filters_are_read_and_nonsense_is_named() {
        for level in ["info", "warn,ocpp::wire=trace", "off"] {
            assert!(filter(level).is_ok(), "{level}");
        }
        let error = filter("chatty=very").unwrap_err();
        assert!(error.to_string().contains("chatty=very"), "{error}");
    }

    #[test]
    fn colours_are_for_terminals_of_people_who_want_them() {
        assert!(colours(true, None));
        assert!(colours(true, Some(OsStr::new(""))));
        assert!(!colours(true, Some(OsStr::new("1"))));
        assert!(!colours(false, None));
    }

    #[test]
    fn an_inherited_variable_does_not_make_stderr_the_journal() {
        assert!(is_journal_stream(Some("9:3501".into()), 9, 3501));
        assert!(!is_journal_stream(Some("9:3501".into()), 9, 3502));
        assert!(!is_journal_stream(None, 9, 3501));
    }
}
