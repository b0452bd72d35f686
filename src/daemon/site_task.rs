//! The site task: the only one that decides. It owns the [`Site`] and carries its messages to and
//! from everybody else.
//!
//! It waits on commits of the journal, the field (links, control socket), the site's timer, the
//! watchdog, a new configuration and the shutdown. Commits come first: each of them lets answers
//! go, and they are few.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::ids::{ChargeBoxId, EvseName, LinkId, Seq};
use crate::site::control::{self, Request};
use crate::site::status::OcppServerStatus;
use crate::site::{HandOver, Input, Output, Site};
use crate::store::{Outcome, Writer};

use super::clock::Clock;
use super::field::{Field, ToLink};
use super::keyring;
use super::outside::{Ground, Outside};
use super::reloading::{Extent, REST_WITHIN, Reload};
use super::systemd;

/// Frames handled in one go before commits and timers are looked at again.
const BATCH: usize = 64;

/// Everything the task works with.
pub(super) struct SiteTask {
    pub(super) site: Site,
    pub(super) clock: Clock,
    pub(super) journal: Writer,
    pub(super) commits: mpsc::UnboundedReceiver<Outcome>,
    pub(super) field: mpsc::Receiver<Field>,
    /// Every connection that stands.
    pub(super) links: BTreeMap<LinkId, Connection>,
    pub(super) ground: Ground,
    pub(super) outside: Outside,
    /// New configurations.
    pub(super) reloads: mpsc::Receiver<Reload>,
    /// Where somebody is told who can read the configuration again; nobody can without.
    pub(super) ask_reload: Option<ReloadAsker>,
    pub(super) port: u16,
    pub(super) tls: &'static str,
    pub(super) leave: Leave,
    /// The last record that was handed to the journal.
    pub(super) written: Option<Seq>,
    /// Numbers what the journal is asked.
    pub(super) questions: u64,
}

/// Takes where the answer to `reload` goes, one line.
pub type ReloadAsker = mpsc::Sender<oneshot::Sender<String>>;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Takes what it shall be sent.
    pub(super) outbox: mpsc::Sender<ToLink>,
    /// Which wallbox it is, and where it comes from; `None`: a backend.
    pub(super) wallbox: Option<(ChargeBoxId, String)>,
}

/// How the wallboxes are left before a shutdown.
#[derive(Debug, Clone)]
pub(super) struct Leave {
    /// `None` = as they are.
    pub(super) how: Option<HandOver>,
    /// Cancelled to begin.
    pub(super) begin: CancellationToken,
    /// Cancelled when every wallbox has answered.
    pub(super) done: CancellationToken,
}

impl SiteTask {
    /// Runs until the shutdown, then writes what is left to the journal.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut watchdog =
            tokio::time::interval(systemd::watchdog_period().unwrap_or(Duration::from_hours(1)));
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving = false;
        let mut reload: Option<(Reload, Instant)> = None;
        self.carry_out();
        loop {
            let due = self.site.poll_timeout().map(|at| self.clock.instant(at));
            let rest = reload.as_ref().map(|(_, by)| *by);
            tokio::select! {
                biased;
                () = self.ground.shutdown.cancelled() => break,
                () = self.leave.begin.cancelled(), if !leaving => {
                    leaving = true;
                    if let Some(how) = self.leave.how {
                        self.site.hand_over(self.clock.now(), how);
                    }
                }
                Some(outcome) = self.commits.recv() => self.take_outcome(outcome),
                _ = watchdog.tick() => systemd::feed_watchdog(),
                // Before the field: a flood of frames must not hold back a timer that lowers.
                () = until(due) => {
                    self.site.handle_timeout(self.clock.now());
                    // A timer that is always due must not shut out the field.
                    self.take_waiting();
                }
                Some(new) = self.reloads.recv(), if reload.is_none() => {
                    reload = Some((new, Instant::now() + REST_WITHIN));
                }
                () = until(rest) => {}
                _ = self.field.recv_many(&mut batch, BATCH) => {
                    for field in batch.drain(..) {
                        self.take(field);
                        self.carry_out();
                    }
                }
            }
            self.carry_out();
            if leaving && self.site.is_handed_over() {
                self.leave.done.cancel();
            }
            let ready = |(new, by): &mut (Reload, Instant)| {
                new.extent != Extent::Site || self.is_at_rest() || *by <= Instant::now()
            };
            if let Some((new, _)) = reload.take_if(ready) {
                self.reload(new).await;
            }
        }
        self.carry_out();
        self.journal.close();
        drop(self.field);
        self.outside.end().await;
    }

    /// Takes what the journal says.
    pub(super) fn take_outcome(&mut self, outcome: Outcome) {
        let input = match outcome {
            Outcome::Committed(seq) => Input::Committed(seq),
            Outcome::Failed => Input::CommitFailed,
            Outcome::Fetched(gateway, entries) => Input::Fetched { gateway, entries },
            // Who asked has given up.
            Outcome::Recovered(..) => return,
        };
        self.site.handle(self.clock.now(), input);
    }

    /// Takes what waits, at most a batch of it.
    fn take_waiting(&mut self) {
        for _ in 0..BATCH {
            let Ok(field) = self.field.try_recv() else {
                return;
            };
            self.carry_out();
            self.take(field);
        }
    }

    /// Takes what another task says.
    pub(super) fn take(&mut self, field: Field) {
        let now = self.clock.now();
        match field {
            Field::Up {
                link,
                address,
                peer,
                outbox,
            } => {
                let peer = peer.ip().to_canonical().to_string();
                let wallbox = Some((address.clone(), peer.clone()));
                self.links.insert(link, Connection { outbox, wallbox });
                self.site.handle(
                    now,
                    Input::Up {
                        link,
                        address,
                        peer,
                    },
                );
            }
            Field::Dialled {
                gateway,
                link,
                outbox,
                protocol_missing,
                presented,
                asked,
            } => {
                let wallbox = None;
                self.links.insert(link, Connection { outbox, wallbox });
                if protocol_missing {
                    debug!(%gateway, %link, "a backend does not say that it speaks OCPP 1.6");
                }
                let dialled = Input::Dialled {
                    gateway,
                    link,
                    presented,
                    asked,
                };
                self.site.handle(now, dialled);
            }
            Field::DialFailed {
                gateway,
                why,
                presented,
                asked,
            } => {
                let failed = Input::DialFailed {
                    gateway,
                    why,
                    presented,
                    asked,
                };
                self.site.handle(now, failed);
            }
            Field::Uploaded {
                gateway,
                attempt,
                outcome,
            } => {
                let input = Input::Uploaded {
                    gateway,
                    attempt,
                    outcome,
                };
                self.site.handle(now, input);
            }
            Field::Frame { link, text, permit } => {
                self.site.handle(now, Input::Frame { link, text });
                drop(permit);
            }
            Field::Heard { link, pong } => self.site.handle(now, Input::Heard { link, pong }),
            Field::Down { link } => {
                self.links.remove(&link);
                self.site.handle(now, Input::Down { link });
            }
            Field::Modbus { device, answer } => {
                self.site.handle(now, Input::Modbus { device, answer });
            }
            Field::Unknown { address, peer } => {
                let peer = peer.ip().to_canonical().to_string();
                self.site.handle(now, Input::Unknown { address, peer });
            }
            Field::Control { line, answer } => self.control(&line, answer),
        }
    }

    fn control(&mut self, line: &str, answer: oneshot::Sender<String>) {
        let now = self.clock.now();
        let done = match control::parse(line) {
            Err(error) => Err(error),
            Ok(Request::Status) => {
                // Whoever asked may be gone by now.
                let _ = answer.send(self.status());
                return;
            }
            Ok(Request::Reload) => {
                self.pass_on_reload(answer);
                return;
            }
            Ok(Request::Enable { evse }) => self.switch(&evse, true),
            Ok(Request::Disable { evse }) => self.switch(&evse, false),
            Ok(Request::Limit { circuit, signal }) => self.site.set_signal(now, &circuit, signal),
        };
        let text = match done {
            Ok(()) => control::ok(),
            Err(error) => control::error(&error),
        };
        let _ = answer.send(text);
    }

    fn status(&self) -> String {
        let now = self.clock.now();
        let server = OcppServerStatus {
            port: self.port,
            tls: self.tls.to_owned(),
            connections: self.links.len(),
        };
        let mut document = self.site.status(now, server);
        // A site begins anew with each configuration, the daemon does not.
        let millis = u64::try_from(now.mono.0.as_millis()).unwrap_or(u64::MAX);
        document.uptime_s = Duration::from_millis(millis).as_secs_f64();
        control::status(&document)
    }

    /// The answer comes from whoever reads the configuration.
    fn pass_on_reload(&self, answer: oneshot::Sender<String>) {
        let (answer, why) = match &self.ask_reload {
            None => (answer, "this daemon runs without a configuration file"),
            Some(ask) => match ask.try_send(answer) {
                Ok(()) => return,
                Err(TrySendError::Full(answer)) => (answer, "another reload is under way"),
                Err(TrySendError::Closed(answer)) => (answer, "the daemon is about to end"),
            },
        };
        let _ = answer.send(control::error(why));
    }

    fn switch(&mut self, evse: &EvseName, enabled: bool) -> Result<(), String> {
        self.site.set_enabled(self.clock.now(), evse, enabled)?;
        info!(
            evse = evse.as_str(),
            enabled, "an EVSE was switched by command"
        );
        Ok(())
    }

    /// Does what the site wants done.
    pub(super) fn carry_out(&mut self) {
        while let Some(output) = self.site.poll_output() {
            match output {
                Output::Persist(seq, record) => {
                    self.written = Some(seq);
                    self.journal.write(seq, record);
                }
                Output::Fetch { gateway, entries } => self.journal.fetch(gateway, entries),
                Output::Send { link, text } => self.tell(link, ToLink::Text(text)),
                Output::Dial { gateway, login } => self.outside.diallers.dial(gateway, login),
                Output::Request { gateway, subject } => {
                    let requested = keyring::request(subject);
                    let input = Input::Requested { gateway, requested };
                    self.site.handle(self.clock.now(), input);
                }
                Output::Upload { gateway, order } => self.outside.uploads.begin(gateway, order),
                Output::Modbus { device, request } => self.outside.lines.ask(device, request),
                Output::Ping { link } => self.tell(link, ToLink::Ping),
                Output::Close { link, code, reason } => {
                    debug!(link = link.0, code, reason, "a connection is closed");
                    self.tell(link, ToLink::Close { code, reason });
                }
            }
        }
    }

    /// A full outbox means a peer that does not read: its connection is dropped (the link task
    /// ends when its outbox is gone).
    pub(super) fn tell(&mut self, link: LinkId, what: ToLink) {
        let Some(connection) = self.links.get(&link) else {
            return;
        };
        if let Err(TrySendError::Full(_)) = connection.outbox.try_send(what) {
            let who = connection
                .wallbox
                .as_ref()
                .map(|(address, _)| address.as_str());
            warn!(
                link = link.0,
                who = who.unwrap_or("a backend"),
                "what is sent is not read; the connection is dropped"
            );
            self.links.remove(&link);
        }
    }
}

/// Never, where nothing is due.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
