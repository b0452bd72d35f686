//! `run`: the daemon in the foreground, as systemd starts it.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tracing::{error, info, warn};

use super::{exit, output};
use crate::config::{self, Config, Warning};
use crate::daemon::clock::Clock;
use crate::daemon::{Daemon, KeyringError, ReloadError, StartError, logging};
use crate::site::control;

/// Runs until SIGTERM or SIGINT; SIGHUP reloads.
pub(super) fn run(path: &Path) -> ExitCode {
    let (config, warnings) = match config::load_at(path, Clock::start().now().wall) {
        Ok(understood) => understood,
        Err(problems) => {
            output::print_error(&problems.to_string());
            return ExitCode::from(exit::CONFIG);
        }
    };
    if let Some(refusal) = config.refusal() {
        output::print_error(&format!("{}: {refusal}\n", path.display()));
        return ExitCode::from(exit::CONFIG);
    }
    if let Err(error) = logging::init(config.log.format, &config.log.level) {
        output::print_error(&format!("{}: {error}\n", path.display()));
        return ExitCode::from(exit::CONFIG);
    }
    match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime.block_on(serve(path, &config, &warnings)),
        Err(error) => {
            error!(%error, "the system gives no threads");
            ExitCode::from(exit::IO)
        }
    }
}

/// What the process is told by signals.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

async fn serve(path: &Path, config: &Config, warnings: &[Warning]) -> ExitCode {
    warn_of(warnings);
    let mut signals = match Signals::new() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return ExitCode::from(exit::IO);
        }
    };
    // One at a time; who comes meanwhile is told so.
    let (ask_reload, mut asked) = mpsc::channel::<oneshot::Sender<String>>(1);
    let mut daemon = match Daemon::start(config, Some(ask_reload)) {
        Ok(daemon) => daemon,
        Err(error) => return not_started(&error),
    };
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => {
                info!("SIGTERM: shutting down");
                break;
            }
            _ = signals.interrupt.recv() => {
                info!("SIGINT: shutting down");
                break;
            }
            _ = signals.hang_up.recv() => drop(reload(&mut daemon, path).await),
            Some(answer) = asked.recv() => {
                let line = reload(&mut daemon, path).await;
                // Whoever asked may be gone.
                let _ = answer.send(line);
            }
        }
    }
    daemon.stop().await;
    ExitCode::SUCCESS
}

fn warn_of(warnings: &[Warning]) {
    for warning in warnings {
        warn!(warning = %warning, "the configuration works, but look at this");
    }
}

/// Reads the configuration again and puts it in force if it is right. Returns the answer for the
/// control socket; the log says the same.
async fn reload(daemon: &mut Daemon, path: &Path) -> String {
    info!(file = %path.display(), "reading the configuration again");
    let file = path.to_owned();
    // The card of a Pi may take its time; the daemon goes on meanwhile.
    let read =
        tokio::task::spawn_blocking(move || config::load_at(&file, Clock::start().now().wall))
            .await;
    let judged = match read {
        Ok(Ok((config, warnings))) => match config.refusal() {
            None => Ok((config, warnings)),
            Some(refusal) => Err(format!("{}: {refusal}", path.display())),
        },
        Ok(Err(problems)) => Err(problems.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (config, warnings) = match judged {
        Ok(judged) => judged,
        Err(why) => return misconfigured(&why),
    };
    warn_of(&warnings);
    match daemon.reload(config).await {
        Ok(mut done) => {
            for key in &done.after_restart {
                warn!(key, "changed, but only a restart brings it into force");
            }
            for warning in &done.warnings {
                warn!(warning, "a reload leaves something behind");
            }
            done.warnings
                .extend(warnings.iter().map(ToString::to_string));
            control::reloaded(&done)
        }
        Err(ReloadError::Site(why)) => {
            warn!(why, "nothing was changed");
            control::error(&format!("{why}; nothing was changed"))
        }
        Err(error @ (ReloadError::Start(_) | ReloadError::Log(_))) => misconfigured(&chain(&error)),
    }
}

fn misconfigured(why: &str) -> String {
    warn!(why, "the new configuration is wrong: nothing was changed");
    control::misconfigured(why)
}

/// An error with all that is behind it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    why
}

fn not_started(error: &StartError) -> ExitCode {
    let why = chain(error);
    error!(why = why.as_str(), "chargewarden does not start");
    ExitCode::from(match error {
        StartError::Store(_)
        | StartError::Listen(_)
        | StartError::Control(_)
        | StartError::Keyring(KeyringError::SelfSigned(_)) => exit::CANNOT_CREATE,
        StartError::Url(_) | StartError::Keyring(_) => exit::CONFIG,
    })
}
