//! Puts the tasks together, and ends them.

use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::clock::Clock;
use super::control::{ControlError, ControlSocket};
use super::dialler::{Backend, Diallers};
use super::keyring::{Keyring, KeyringError};
use super::listener::{BindError, Deadlines, Listener, Settings, Tls};
use super::modbus::Lines;
use super::site_task::{Leave, SiteTask};
use super::systemd;
use crate::clock::Random;
use crate::config::{self, ClientName, Config, OnShutdown};
use crate::net::client::{NotAUrl, Target, TlsClient};
use crate::net::directory::{Directory, Password};
use crate::site::{HandOver, Site};
use crate::store::{self, StoreError};

/// Messages from the tasks that the site task has not taken yet; a full channel makes them wait.
const FIELD: usize = 1024;

/// Wallboxes may take this long to be left as `on-shutdown` says.
const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// Why the daemon does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The journal cannot be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The port cannot be had.
    #[error(transparent)]
    Listen(#[from] BindError),
    /// The control socket cannot be had.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A certificate or a key cannot be used.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
    /// The address of a backend is none.
    #[error(transparent)]
    Url(#[from] NotAUrl),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    port: u16,
    tasks: TaskTracker,
    leave: Leave,
    reload: Arc<Notify>,
    shutdown: CancellationToken,
}

impl Daemon {
    /// Starts everything; returns when wallboxes can connect. Needs the tokio runtime.
    ///
    /// # Errors
    /// When a file, the port or the control socket cannot be had.
    pub fn start(config: &Config) -> Result<Self, StartError> {
        let clock = Clock::start();
        let state_dir = &config.manager.state_dir;
        let (committed, commits) = mpsc::unbounded_channel();
        let opened = store::open(state_dir, move |outcome| {
            // Fails only after the site task has ended.
            let _ = committed.send(outcome);
        })?;
        if let Some(damage) = &opened.damage {
            error!(
                set_aside = %damage.set_aside.display(),
                why = damage.why.as_str(),
                "the journal was damaged: a new one was begun, open transactions are lost"
            );
        }
        let keyring = Keyring::load(config, clock)?;
        let listener = Listener::bind(settings(config, keyring.tls()))?;
        let control = ControlSocket::bind(&config.manager.control_socket)?;
        let leave = Leave {
            how: hand_over(config.manager.on_shutdown),
            begin: CancellationToken::new(),
            done: CancellationToken::new(),
        };
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (to_site, field) = mpsc::channel(FIELD);
        let port = listener.local_port();
        let mut random = Random::new(seed());
        let lines = Lines::start(config, &mut random, &to_site, &tasks, &shutdown);
        let diallers = Diallers::new(
            backends(&keyring)?,
            &to_site,
            &tasks,
            &shutdown,
            Deadlines::default(),
            &listener.links(),
        );
        let site = Site::new(clock.now(), config.plan.clone(), &opened.recovered, random);
        let site_task = SiteTask {
            site,
            clock,
            journal: opened.writer,
            commits,
            field,
            lines,
            diallers,
            port,
            tls: config.server.tls.as_str(),
            leave: leave.clone(),
            shutdown: shutdown.clone(),
        };
        tasks.spawn(site_task.run());
        let reload = Arc::new(Notify::new());
        tasks.spawn(keyring.run(clock, reload.clone(), shutdown.clone()));
        tasks.spawn(control.run(to_site.clone(), shutdown.clone()));
        tasks.spawn(listener.run(to_site, tasks.clone(), shutdown.clone()));
        tasks.close();
        info!(
            port,
            tls = config.server.tls.as_str(),
            evses = config.plan.load.evses.len(),
            circuits = config.plan.load.circuits.len(),
            "chargewarden is running"
        );
        systemd::ready();
        Ok(Self {
            port,
            tasks,
            leave,
            reload,
            shutdown,
        })
    }

    /// The port that wallboxes connect to.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Reads certificates and keys again. Connections that stand are not touched.
    pub fn reload_certificates(&self) {
        self.reload.notify_one();
    }

    /// Leaves every wallbox as `on-shutdown` says, says goodbye and writes what is left to the
    /// journal.
    pub async fn stop(self) {
        systemd::stopping();
        if self.leave.how.is_some() {
            self.leave.begin.cancel();
            if timeout(LEAVE_WITHIN, self.leave.done.cancelled())
                .await
                .is_err()
            {
                warn!("not every wallbox answered in time: some keep their old limit");
            }
        }
        self.shutdown.cancel();
        self.tasks.wait().await;
        info!("chargewarden has ended");
    }
}

const fn hand_over(on_shutdown: OnShutdown) -> Option<HandOver> {
    match on_shutdown {
        OnShutdown::Keep => None,
        OnShutdown::Failsafe => Some(HandOver::Failsafe),
        OnShutdown::Release => Some(HandOver::Release),
    }
}

/// Message ids must be new over restarts: the seed comes from the system.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_else(|_| {
        warn!("the system has no randomness to give: message ids begin with the process id");
        u64::from(std::process::id())
    })
}

fn settings(config: &Config, tls: Tls) -> Settings {
    let server = &config.server;
    let password = |secret: &crate::config::Secret| Password::new(secret.expose());
    let directory = Directory {
        known: config
            .plan
            .stations
            .iter()
            .map(|plan| {
                (
                    plan.id.clone(),
                    server.passwords.get(&plan.id).map(password),
                )
            })
            .collect(),
        password: server.password.as_ref().map(password),
        accept_unknown: server.accept_unknown,
        certificate_names_id: server.client_name == ClientName::ChargeBoxId,
    };
    Settings {
        address: server.address,
        port: server.port,
        tls,
        directory: Arc::new(directory),
        max_connections: server.max_connections,
        max_message_size: server.max_message_size,
        deadlines: Deadlines::default(),
    }
}

/// Where the backends are, in the order of their gateways.
fn backends(keyring: &Keyring) -> Result<Vec<Backend>, StartError> {
    let backend = |(gateway, tls): (&config::Gateway, &TlsClient)| {
        let target = Target::new(&gateway.url, &gateway.client_id, gateway.append_id);
        Ok(Backend {
            target: target.map_err(StartError::Url)?,
            tls: tls.clone(),
        })
    };
    keyring.backends().map(backend).collect()
}
