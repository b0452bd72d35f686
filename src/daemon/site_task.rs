//! The site task: the only one that decides. It owns the [`Site`] and carries its messages to and
//! from everybody else.
//!
//! It waits on commits of the journal, the field (links, control socket), the site's timer, the
//! watchdog and the shutdown. Commits come first: each of them lets answers go, and they are few.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::ids::{EvseName, LinkId};
use crate::site::control::{self, Request};
use crate::site::status::OcppServerStatus;
use crate::site::{HandOver, Input, Output, Site};
use crate::store::{Outcome, Writer};

use super::clock::Clock;
use super::dialler::Diallers;
use super::field::{Field, ToLink};
use super::keyring;
use super::modbus::Lines;
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
    pub(super) lines: Lines,
    /// The way out to backends.
    pub(super) diallers: Diallers,
    pub(super) port: u16,
    pub(super) tls: &'static str,
    pub(super) leave: Leave,
    pub(super) shutdown: CancellationToken,
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
        let mut links: HashMap<LinkId, mpsc::Sender<ToLink>> = HashMap::new();
        let mut batch = Vec::with_capacity(BATCH);
        let mut watchdog =
            tokio::time::interval(systemd::watchdog_period().unwrap_or(Duration::from_hours(1)));
        watchdog.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut leaving = false;
        self.carry_out(&mut links);
        loop {
            let due = self.site.poll_timeout().map(|at| self.clock.instant(at));
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => break,
                () = self.leave.begin.cancelled(), if !leaving => {
                    leaving = true;
                    if let Some(how) = self.leave.how {
                        self.site.hand_over(self.clock.now(), how);
                    }
                }
                Some(outcome) = self.commits.recv() => {
                    let input = match outcome {
                        Outcome::Committed(seq) => Input::Committed(seq),
                        Outcome::Failed => Input::CommitFailed,
                        Outcome::Fetched(gateway, entries) => Input::Fetched { gateway, entries },
                    };
                    self.site.handle(self.clock.now(), input);
                }
                _ = watchdog.tick() => systemd::feed_watchdog(),
                // Before the field: a flood of frames must not hold back a timer that lowers.
                () = async {
                    match due {
                        Some(due) => sleep_until(due).await,
                        None => std::future::pending().await,
                    }
                } => {
                    self.site.handle_timeout(self.clock.now());
                    // A timer that is always due must not shut out the field.
                    self.take_waiting(&mut links);
                }
                _ = self.field.recv_many(&mut batch, BATCH) => {
                    for field in batch.drain(..) {
                        self.take(field, &mut links);
                        self.carry_out(&mut links);
                    }
                }
            }
            self.carry_out(&mut links);
            if leaving && self.site.is_handed_over() {
                self.leave.done.cancel();
            }
        }
        self.carry_out(&mut links);
        self.journal.close();
    }

    /// Takes what waits, at most a batch of it.
    fn take_waiting(&mut self, links: &mut HashMap<LinkId, mpsc::Sender<ToLink>>) {
        for _ in 0..BATCH {
            let Ok(field) = self.field.try_recv() else {
                return;
            };
            self.carry_out(links);
            self.take(field, links);
        }
    }

    fn take(&mut self, field: Field, links: &mut HashMap<LinkId, mpsc::Sender<ToLink>>) {
        let now = self.clock.now();
        match field {
            Field::Up {
                link,
                address,
                peer,
                outbox,
            } => {
                links.insert(link, outbox);
                let peer = peer.ip().to_canonical().to_string();
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
            } => {
                links.insert(link, outbox);
                if protocol_missing {
                    debug!(%gateway, %link, "a backend does not say that it speaks OCPP 1.6");
                }
                self.site.handle(now, Input::Dialled { gateway, link });
            }
            Field::DialFailed { gateway, why } => {
                self.site.handle(now, Input::DialFailed { gateway, why });
            }
            Field::Frame { link, text, permit } => {
                self.site.handle(now, Input::Frame { link, text });
                drop(permit);
            }
            Field::Heard { link, pong } => self.site.handle(now, Input::Heard { link, pong }),
            Field::Down { link } => {
                links.remove(&link);
                self.site.handle(now, Input::Down { link });
            }
            Field::Modbus { device, answer } => {
                self.site.handle(now, Input::Modbus { device, answer });
            }
            Field::Unknown { address, peer } => {
                let peer = peer.ip().to_canonical().to_string();
                self.site.handle(now, Input::Unknown { address, peer });
            }
            Field::Control { line, answer } => {
                let text = self.control(&line, links.len());
                // Whoever asked may be gone by now.
                let _ = answer.send(text);
            }
        }
    }

    fn control(&mut self, line: &str, connections: usize) -> String {
        let now = self.clock.now();
        let done = match control::parse(line) {
            Err(error) => return control::error(&error),
            Ok(Request::Status) => {
                let tls = self.tls.to_owned();
                let server = OcppServerStatus {
                    port: self.port,
                    tls,
                    connections,
                };
                return control::status(&self.site.status(now, server));
            }
            Ok(Request::Enable { evse }) => self.switch(&evse, true),
            Ok(Request::Disable { evse }) => self.switch(&evse, false),
            Ok(Request::Limit { circuit, signal }) => self.site.set_signal(now, &circuit, signal),
        };
        match done {
            Ok(()) => control::ok(),
            Err(error) => control::error(&error),
        }
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
    fn carry_out(&mut self, links: &mut HashMap<LinkId, mpsc::Sender<ToLink>>) {
        while let Some(output) = self.site.poll_output() {
            match output {
                Output::Persist(seq, record) => self.journal.write(seq, record),
                Output::Fetch { gateway, entries } => self.journal.fetch(gateway, entries),
                Output::Send { link, text } => {
                    tell(links, link, ToLink::Text(text));
                }
                Output::Dial { gateway, login } => self.diallers.dial(gateway, login),
                Output::Request { gateway, subject } => {
                    let requested = keyring::request(subject);
                    let input = Input::Requested { gateway, requested };
                    self.site.handle(self.clock.now(), input);
                }
                Output::Modbus { device, request } => self.lines.ask(device, request),
                Output::Ping { link } => tell(links, link, ToLink::Ping),
                Output::Close { link, code, reason } => {
                    debug!(link = link.0, code, reason, "a connection is closed");
                    tell(links, link, ToLink::Close { code, reason });
                }
            }
        }
    }
}

/// A full outbox means a peer that does not read: its connection is dropped (the link task
/// ends when its outbox is gone).
fn tell(links: &mut HashMap<LinkId, mpsc::Sender<ToLink>>, link: LinkId, what: ToLink) {
    let Some(outbox) = links.get(&link) else {
        return;
    };
    if let Err(mpsc::error::TrySendError::Full(_)) = outbox.try_send(what) {
        warn!(
            link = link.0,
            "a wallbox does not read what it is sent; its connection is dropped"
        );
        links.remove(&link);
    }
}
