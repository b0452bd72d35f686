//! `run`: the daemon in the foreground, as systemd starts it.

use std::path::Path;
use std::process::ExitCode;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info, warn};

use super::{exit, output};
use crate::config::{self, Config, Warning};
use crate::daemon::{Daemon, StartError, logging};

/// Runs until SIGTERM or SIGINT.
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
    let signals = signal(SignalKind::terminate())
        .and_then(|terminate| Ok((terminate, signal(SignalKind::interrupt())?)));
    let (mut terminate, mut interrupt): (Signal, Signal) = match signals {
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
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: shutting down"),
        _ = interrupt.recv() => info!("SIGINT: shutting down"),
    }
    daemon.stop().await;
    ExitCode::SUCCESS
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
        | StartError::SelfSigned(_) => exit::CANNOT_CREATE,
        StartError::Read { .. }
        | StartError::Url(_)
        | StartError::TlsClient(_)
        | StartError::Certificate { .. } => exit::CONFIG,
    })
}
