//! A new configuration in a running daemon: what a restart does, in the same process.
//!
//! A new [`Site`] is built from what the journal holds, exactly as after a crash, and takes the
//! place of the old one. Open transactions, queues and what was booked are therefore where they
//! were. The connections of wallboxes stay where both sides have answered everything; the others
//! are closed, so that a wallbox repeats what it asked. Modbus lines and backends are called anew.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::dialler::{self, Backend};
use super::field::{Field, ToLink};
use super::outside::Outside;
use super::site_task::SiteTask;
use super::start::{hand_over, seed};
use crate::clock::Random;
use crate::config::Config;
use crate::ids::LinkId;
use crate::journal::Recovered;
use crate::site::{Input, Site};
use crate::store::Outcome;

/// How long the site goes on as before, until wallboxes and we have answered each other.
pub(super) const REST_WITHIN: Duration = Duration::from_secs(1);

/// How long the journal may take to write what waits and to read what a start needs.
const JOURNAL_WITHIN: Duration = Duration::from_secs(5);

/// A configuration that was judged to be right, and what is to be done with it.
#[derive(Debug)]
pub(super) struct Reload {
    /// The new configuration.
    pub(super) config: Config,
    /// Its backends.
    pub(super) backends: Vec<Backend>,
    /// How far it differs from the one that runs.
    pub(super) extent: Extent,
    /// Is told when it is done, or why nothing was changed.
    pub(super) done: oneshot::Sender<Result<(), String>>,
}

/// How much of the daemon a change concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Only connections to come: certificates, the log.
    Entrance,
    /// Passwords, TLS or whose certificates are trusted: wallboxes show anew that they may connect.
    Admission,
    /// What is decided.
    Site,
}

impl Extent {
    /// What lies between two configurations. `trusts_all`: whose certificate let it in before is
    /// trusted as before.
    pub(super) fn between(old: &Config, new: &Config, trusts_all: bool) -> Self {
        let site = |it: &Config| {
            (
                it.plan.clone(),
                it.manager.clone(),
                it.meters.clone(),
                it.evses.clone(),
            )
        };
        let admission = |it: &Config| {
            let it = &it.server;
            let secrets = (it.password.clone(), it.passwords.clone());
            (it.tls, secrets, it.client_name, it.accept_unknown)
        };
        if !trusts_all || admission(old) != admission(new) {
            Self::Admission
        } else if site(old) == site(new) {
            Self::Entrance
        } else {
            Self::Site
        }
    }
}

impl SiteTask {
    /// Whether a reload need not wait any longer: every wallbox and we have answered each other.
    pub(super) fn is_at_rest(&self) -> bool {
        self.wallboxes().all(|link| self.site.is_at_rest(link))
    }

    fn wallboxes(&self) -> impl Iterator<Item = LinkId> {
        let wallboxes = self.links.iter().filter(|(_, it)| it.wallbox.is_some());
        wallboxes.map(|(link, _)| *link)
    }

    /// Carries out a reload, or leaves everything as it is.
    pub(super) async fn reload(&mut self, reload: Reload) {
        let Reload {
            config,
            backends,
            extent,
            done,
        } = reload;
        let result = match extent {
            Extent::Entrance => {
                dialler::introduce(&mut self.site, self.clock.now(), &backends);
                self.switch_back(&config);
                Ok(())
            }
            Extent::Admission | Extent::Site => self.renew(&config, backends, extent).await,
        };
        if result.is_ok() {
            self.tls = config.server.tls.as_str();
            self.leave.how = hand_over(config.manager.on_shutdown);
        }
        // Whoever asked may be gone.
        let _ = done.send(result);
    }

    /// Forgets what was enabled and disabled by command.
    fn switch_back(&mut self, config: &Config) {
        let now = self.clock.now();
        for evse in &config.evses {
            // Where nothing is limited nothing was switched.
            let _ = self.site.set_enabled(now, &evse.name, evse.enabled);
        }
        self.carry_out();
    }

    /// Puts a new site in the place of the old one.
    async fn renew(
        &mut self,
        config: &Config,
        backends: Vec<Backend>,
        extent: Extent,
    ) -> Result<(), String> {
        let recovered = self.recovered().await?;
        let waiting = self.end_outside().await;
        let mut kept = Vec::new();
        for link in self.wallboxes().collect::<Vec<_>>() {
            if extent == Extent::Site && self.site.is_at_rest(link) {
                kept.push(link);
            } else {
                self.dismiss(link);
            }
        }
        self.links.retain(|_, line| line.wallbox.is_some());
        let mut random = Random::new(seed());
        self.outside = Outside::start(config, backends.clone(), &self.ground, &mut random);
        let now = self.clock.now();
        self.site = Site::new(now, config.plan.clone(), &recovered, random);
        dialler::introduce(&mut self.site, now, &backends);
        self.carry_out();
        self.introduce(config, kept);
        for field in waiting {
            self.take(field);
            self.carry_out();
        }
        info!(
            connections = self.links.len(),
            evses = config.plan.load.evses.len(),
            "the new configuration is in force"
        );
        Ok(())
    }

    /// What the journal holds after the old site has said everything that it has to say.
    async fn recovered(&mut self) -> Result<Recovered, String> {
        let deadline = Instant::now() + JOURNAL_WITHIN;
        loop {
            self.carry_out();
            self.questions += 1;
            let (asked, written) = (self.questions, self.written);
            self.journal.recover(asked);
            let recovered = loop {
                let outcome = timeout_at(deadline, self.commits.recv()).await;
                match outcome {
                    Ok(Some(Outcome::Recovered(number, recovered))) if number == asked => {
                        break recovered
                            .map_err(|why| format!("the journal cannot be read: {why}"))?;
                    }
                    Ok(Some(outcome)) => {
                        self.take_outcome(outcome);
                        self.carry_out();
                    }
                    Ok(None) | Err(_) => {
                        return Err("the journal cannot be written at the moment".to_owned());
                    }
                }
            };
            // A commit may have let the old site write on.
            if self.written == written {
                return Ok(recovered);
            }
        }
    }

    /// Ends lines and diallers. Returns what others said meanwhile: what those said is void.
    async fn end_outside(&mut self) -> Vec<Field> {
        let mut waiting = Vec::new();
        let mut keep = |field: Field| match field {
            Field::Modbus { .. }
            | Field::Dialled { .. }
            | Field::DialFailed { .. }
            | Field::Uploaded { .. } => {}
            others => waiting.push(others),
        };
        loop {
            tokio::select! {
                biased;
                Some(field) = self.field.recv() => keep(field),
                () = self.outside.end() => break,
            }
        }
        while let Ok(field) = self.field.try_recv() {
            keep(field);
        }
        waiting
    }

    /// Tells the new site of the wallboxes that are connected.
    fn introduce(&mut self, config: &Config, links: Vec<LinkId>) {
        for link in links {
            let Some((address, peer)) = self.links.get(&link).and_then(|it| it.wallbox.clone())
            else {
                continue;
            };
            let known = config.plan.stations.iter().any(|plan| plan.id == address);
            if known || config.server.accept_unknown {
                let up = Input::Up {
                    link,
                    address,
                    peer,
                };
                self.site.handle(self.clock.now(), up);
                self.carry_out();
            } else {
                warn!(charge_point = %address, "a wallbox is in no [[evse]] any more");
                self.dismiss(link);
            }
        }
    }

    /// Closes the connection of a wallbox, which will come back.
    fn dismiss(&mut self, link: LinkId) {
        let close = ToLink::Close {
            code: 1001,
            reason: "the configuration was reloaded",
        };
        self.tell(link, close);
        // Without its outbox it ends, also where the outbox was full.
        self.links.remove(&link);
    }
}
