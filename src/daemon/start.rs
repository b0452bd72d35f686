//! Puts the tasks together, and ends them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::clock::Clock;
use super::control::{ControlError, ControlSocket};
use super::dialler::{self, Backend};
use super::expiry::{self, Watched};
use super::keyring::{Keyring, KeyringError};
use super::listener::{BindError, Deadlines, Listener, Settings, Tls};
use super::log_keeper::LogKeeper;
use super::logging::{self, LogError};
use super::outside::{Ground, Outside};
use super::reloading::{Extent, Reload};
use super::site_task::{Leave, ReloadAsker, SiteTask};
use super::systemd;
use crate::clock::Random;
use crate::config::{self, ClientName, Config, OnShutdown};
use crate::net::client::{NotAUrl, Target, TlsClient};
use crate::net::directory::{Directory, Password};
use crate::site::control::Reloaded;
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

/// Why a new configuration was not taken; the old one is in force as before.
#[derive(Debug, Error)]
pub enum ReloadError {
    /// A certificate or a backend cannot be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The log cannot be set.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The site cannot begin anew.
    #[error("{0}")]
    Site(String),
}

/// A running daemon.
#[derive(Debug)]
pub struct Daemon {
    config: Config,
    clock: Clock,
    port: u16,
    tasks: TaskTracker,
    leave: Leave,
    reloads: mpsc::Sender<Reload>,
    entrance: watch::Sender<Settings>,
    keyring: Keyring,
    watched: watch::Sender<Vec<Watched>>,
    shutdown: CancellationToken,
}

impl Daemon {
    /// Starts everything; returns when wallboxes can connect. Needs the tokio runtime. Who asks the
    /// control socket for a reload is passed on to `ask_reload`.
    ///
    /// # Errors
    /// When a file, the port or the control socket cannot be had.
    pub fn start(config: &Config, ask_reload: Option<ReloadAsker>) -> Result<Self, StartError> {
        let clock = Clock::start();
        let state_dir = &config.manager.state_dir;
        let (opened, commits) = journal(state_dir)?;
        let keyring = Keyring::load(config, clock)?;
        let listener = Listener::bind(settings(config, keyring.tls()))?;
        let control = ControlSocket::bind(&config.manager.control_socket)?;
        let entrance = listener.settings();
        let leave = Leave {
            how: hand_over(config.manager.on_shutdown),
            begin: CancellationToken::new(),
            done: CancellationToken::new(),
        };
        let (tasks, shutdown) = (TaskTracker::new(), CancellationToken::new());
        let (to_site, field) = mpsc::channel(FIELD);
        let (reloads, to_reload) = mpsc::channel(1);
        let port = listener.local_port();
        let mut random = Random::new(seed());
        let ground = Ground {
            to_site: to_site.clone(),
            links: listener.links(),
            keeper: LogKeeper::of_this_log(),
            shutdown: shutdown.clone(),
        };
        let backends = backends(&keyring)?;
        let outside = Outside::start(config, backends.clone(), &ground, &mut random);
        let mut site = Site::new(clock.now(), config.plan.clone(), &opened.recovered, random);
        dialler::introduce(&mut site, clock.now(), &backends);
        let site_task = SiteTask {
            site,
            clock,
            journal: opened.writer,
            commits,
            field,
            links: BTreeMap::new(),
            ground,
            outside,
            reloads: to_reload,
            ask_reload,
            port,
            tls: config.server.tls.as_str(),
            leave: leave.clone(),
            written: None,
            questions: 0,
        };
        let watched = watch::Sender::new(keyring.watched());
        tasks.spawn(site_task.run());
        tasks.spawn(expiry::run(watched.subscribe(), clock, shutdown.clone()));
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
            config: config.clone(),
            clock,
            port,
            tasks,
            leave,
            reloads,
            entrance,
            keyring,
            watched,
            shutdown,
        })
    }

    /// Puts a configuration in force that was judged to be right, with what its files hold now.
    ///
    /// # Errors
    /// Where something that it needs cannot be had: then nothing was changed.
    pub async fn reload(&mut self, mut config: Config) -> Result<Reloaded, ReloadError> {
        let after_restart = pin(&self.config, &mut config);
        let keyring = Keyring::load(&config, self.clock).map_err(StartError::from)?;
        let backends = backends(&keyring)?;
        logging::filter(&config.log.level)?;
        let entrance = settings(&config, keyring.tls());
        let extent = Extent::between(
            &self.config,
            &config,
            keyring.trusts_all_that(&self.keyring),
        );
        let (done, outcome) = oneshot::channel();
        let reload = Reload {
            config: config.clone(),
            backends,
            extent,
            done,
        };
        // First, so that nobody is let in under the old rules and met under the new ones.
        let before = self.entrance.send_replace(entrance);
        // Neither fails before the shutdown.
        let sent = self.reloads.send(reload).await;
        let outcome = match sent {
            Ok(()) => outcome.await.unwrap_or_else(|_| Err(ENDING.to_owned())),
            Err(_) => Err(ENDING.to_owned()),
        };
        if let Err(why) = outcome {
            self.entrance.send_replace(before);
            return Err(ReloadError::Site(why));
        }
        self.renew(keyring, extent);
        logging::set_level(&config.log.level)?;
        self.leave.how = hand_over(config.manager.on_shutdown);
        let warnings = left_behind(&self.config, &config);
        self.config = config;
        Ok(Reloaded {
            after_restart,
            warnings,
        })
    }

    /// Keeps the certificates and keys that are in force now.
    fn renew(&mut self, keyring: Keyring, extent: Extent) {
        self.watched.send_replace(keyring.watched());
        match extent {
            Extent::Entrance => {
                self.keyring.renew(keyring);
                info!("what was read again counts from the next connection on");
            }
            // They were started with them.
            Extent::Admission | Extent::Site => self.keyring = keyring,
        }
    }

    /// The port that wallboxes connect to.
    pub const fn port(&self) -> u16 {
        self.port
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

const ENDING: &str = "the daemon is about to end";

/// Keeps what only a restart can change, and names what was to change.
fn pin(old: &Config, new: &mut Config) -> Vec<String> {
    fn keep<T: Clone + PartialEq>(old: &T, new: &mut T) -> bool {
        let changed = old != new;
        new.clone_from(old);
        changed
    }
    let (manager, server) = (&mut new.manager, &mut new.server);
    [
        (
            "manager.state-dir",
            keep(&old.manager.state_dir, &mut manager.state_dir),
        ),
        (
            "manager.control-socket",
            keep(&old.manager.control_socket, &mut manager.control_socket),
        ),
        ("log.format", keep(&old.log.format, &mut new.log.format)),
        (
            "ocpp-server.address",
            keep(&old.server.address, &mut server.address),
        ),
        ("ocpp-server.port", keep(&old.server.port, &mut server.port)),
        (
            "ocpp-server.max-connections",
            keep(&old.server.max_connections, &mut server.max_connections),
        ),
    ]
    .into_iter()
    .filter(|(_, changed)| *changed)
    .map(|(key, _)| key.to_owned())
    .collect()
}

/// EVSEs that nobody limits any more.
fn left_behind(old: &Config, new: &Config) -> Vec<String> {
    let gone = |evse: &&config::Evse| {
        !new.evses
            .iter()
            .any(|it| it.device == evse.device && it.id == evse.id)
    };
    let left = old.evses.iter().filter(gone);
    left.map(|evse| {
        format!(
            "{} is managed no more: its wallbox keeps the limit that it was told last",
            evse.name
        )
    })
    .collect()
}

pub(super) const fn hand_over(on_shutdown: OnShutdown) -> Option<HandOver> {
    match on_shutdown {
        OnShutdown::Keep => None,
        OnShutdown::Failsafe => Some(HandOver::Failsafe),
        OnShutdown::Release => Some(HandOver::Release),
    }
}

/// The journal, and where it says what was committed.
fn journal(
    state_dir: &Path,
) -> Result<(store::Opened, mpsc::UnboundedReceiver<store::Outcome>), StoreError> {
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
    Ok((opened, commits))
}

/// Message ids must be new over restarts: the seed comes from the system.
pub(super) fn seed() -> u64 {
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
