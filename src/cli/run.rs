//! `run`: the daemon in the foreground, as systemd starts it.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{exit, output};
use crate::config::{self, Config, Warning};
use crate::daemon::{Daemon, KeyringError, StartError, logging};

/// Runs until SIGTERM or SIGINT; SIGHUP means new certificates.
pub(super) fn run(path: &Path) -> ExitCode {
    let (config, warnings) = match config::load(path) {
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
        Ok(runtime) => runtime.block_on(serve(&config, &warnings)),
        Err(error) => {
            error!(%error, "the system gives no threads");
            ExitCode::from(exit::IO)
        }
    }
}

async fn serve(config: &Config, warnings: &[Warning]) -> ExitCode {
    for warning in warnings {
        warn!(warning = %warning, "the configuration works, but look at this");
    }
    let (mut terminate, mut interrupt, mut hang_up) = match signals() {
        Ok(signals) => signals,
        Err(error) => {
            error!(%error, "signals cannot be received");
            return ExitCode::from(exit::IO);
        }
    };
    let daemon = match Daemon::start(config) {
        Ok(daemon) => daemon,
        Err(error) => return not_started(&error),
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => {
                info!("SIGTERM: shutting down");
                break;
            }
            _ = interrupt.recv() => {
                info!("SIGINT: shutting down");
                break;
            }
            _ = hang_up.recv() => {
                info!("SIGHUP: reading certificates and keys again");
                daemon.reload_certificates();
            }
        }
    }
    daemon.stop().await;
    ExitCode::SUCCESS
}

/// SIGTERM, SIGINT and SIGHUP.
fn signals() -> std::io::Result<(Signal, Signal, Signal)> {
    Ok((
        signal(SignalKind::terminate())?,
        signal(SignalKind::interrupt())?,
        signal(SignalKind::hangup())?,
    ))
}

fn not_started(error: &StartError) -> ExitCode {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    error!(why = why.as_str(), "chargewarden does not start");
    ExitCode::from(match error {
        StartError::Store(_)
        | StartError::Listen(_)
        | StartError::Control(_)
        | StartError::Keyring(KeyringError::SelfSigned(_)) => exit::CANNOT_CREATE,
        StartError::Url(_) | StartError::Keyring(_) => exit::CONFIG,
    })
}
