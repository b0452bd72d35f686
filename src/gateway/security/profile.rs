//! What a connection is made with, and `SecurityProfile` (0: nothing, 1: a password, 2: TLS and a
//! password, 3: TLS and a client certificate).
//!
//! The address stands in the configuration: it names the queue, and who could change it could take
//! the charge point away from its operator. So a backend cannot raise 0 or 1 to 2, and a profile
//! never sinks. What it can raise are 0 to 1, once it has set a password, and 2 to 3, once it has
//! signed a certificate and the operator has said in `ca` whom to trust. The new connection is made
//! at once. If it does not come about, the old profile holds again; once it stood, no connection is
//! made without the password.
//!
//! A certificate that the backend signed is proven when the backend asked for it and a WebSocket
//! stood: a backend that asks for none lets anything in, and with TLS 1.3 it judges a certificate
//! only after the handshake. From then on it is the only one that is shown, until it is refused a
//! few times in a row: then it takes turns with that of the configuration, so that whatever a
//! backend signs locks nobody out.

use tracing::{info, warn};

use crate::clock::{Now, Timestamp};
use crate::ocpp::messages::ConfigurationStatus;

use super::super::dial_failure::DialFailure;
use super::super::gateway::Gateway;
use super::super::keys::Credential;
use super::events::Event;
use super::safe::{Configured, Signed};

/// What a connection is made with, beside what the configuration says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Login {
    /// For HTTP Basic.
    pub password: Option<Credential>,
    /// To be shown in place of the certificate in the configuration.
    pub certificate: Option<Signed>,
    /// To be trusted beside `ca`, PEM.
    pub roots: Vec<String>,
}

/// The certificate of the configuration, for the log.
const CONFIGURED: &str = "that of the configuration, if any";

/// A proven certificate that was refused so often in a row takes turns again.
const REFUSALS: usize = 3;

/// Which of those that could be shown is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::gateway) struct Shown {
    /// Attempts since the newest was new.
    attempts: usize,
    /// The newest was shown.
    newest: bool,
    /// So often in a row the newest, which is proven, was asked for and refused.
    refusals: usize,
}

impl Gateway {
    /// What the next connection is made with.
    pub(in crate::gateway) fn login(&mut self, now: Timestamp) -> Login {
        let certificate = self.in_turn(now);
        let newest = self.safe.to_show(now).first().copied().flatten();
        self.shown.newest = certificate.is_some() && certificate.as_ref() == newest;
        let is_secure = self.is_secure();
        Login {
            password: self.password(now),
            certificate: certificate.filter(|_| is_secure),
            roots: if self.plan.has_ca {
                self.safe.roots().to_vec()
            } else {
                Vec::new()
            },
        }
    }

    /// The backend is reached through TLS.
    pub(super) fn is_secure(&self) -> bool {
        let scheme = self.plan.url.get(..4);
        scheme.is_some_and(|it| it.eq_ignore_ascii_case("wss:"))
    }

    /// What the backend signed and is to be shown next; `None` = that of the configuration, if any.
    fn in_turn(&self, now: Timestamp) -> Option<Signed> {
        let certificates = self.safe.to_show(now);
        let sure = self.safe.is_proven(now) && self.shown.refusals < REFUSALS;
        let attempts = if sure { 0 } else { self.shown.attempts };
        let turn = attempts % certificates.len().max(1);
        certificates.get(turn).copied().flatten().cloned()
    }

    /// The connection came about with what it was made with. `asked`: the backend wanted to see a
    /// certificate of ours.
    pub(in crate::gateway) fn note_login(&mut self, asked: bool) {
        self.note_password(true);
        let changed = if self.shown.newest {
            asked && self.safe.was_good()
        } else {
            self.shown.refusals >= REFUSALS && self.safe.was_bad()
        };
        if changed {
            self.remember_safe();
        }
        self.shown.attempts = 0;
        self.shown.refusals = 0;
        if self.keys.profile_was_good() {
            self.remember_keys();
        }
    }

    /// It did not. `asked`: the backend wanted to see a certificate of ours.
    pub(in crate::gateway) fn note_failed_login(
        &mut self,
        now: Now,
        why: &DialFailure,
        asked: bool,
    ) {
        match why {
            DialFailure::Unauthorized => {
                self.note_password(false);
                self.happened(now.wall, Event::FailedToAuthenticateAtCentralSystem, None);
            }
            DialFailure::Distrusted(what) => {
                self.happened(
                    now.wall,
                    Event::InvalidCentralSystemCertificate,
                    Some(what.as_str()),
                );
            }
            _ => {}
        }
        self.take_turns(now.wall, asked);
        if self.keys.lower_profile() {
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                "no connection with the new security profile: the old one holds"
            );
            self.remember_keys();
        }
    }

    /// The next certificate is tried, unless this one is known to be good.
    fn take_turns(&mut self, now: Timestamp, asked: bool) {
        let shown = self.in_turn(now);
        if self.safe.is_proven(now) && self.shown.refusals < REFUSALS {
            self.shown.refusals += usize::from(asked);
            // With the last refusal it is the turn of the others.
            self.shown.attempts = 1;
        } else {
            self.shown.attempts = self.shown.attempts.wrapping_add(1);
        }
        let next = self.in_turn(now);
        if asked && next != shown {
            let words = |it: &Option<Signed>| it.as_ref().map_or(CONFIGURED.into(), Signed::words);
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                shown = words(&shown),
                next = words(&next),
                "the backend asked for our certificate and did not let us in: another one is tried next"
            );
        }
    }

    /// The configuration shows this certificate (a fingerprint) or none.
    pub fn handle_configured(&mut self, fingerprint: Option<&str>) {
        let what = self.safe.configured(fingerprint.unwrap_or_default());
        if what == Configured::Other {
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                "the configuration names another certificate than before: that which the backend \
                 signed is not shown any more"
            );
            self.shown = Shown::default();
        }
        if what != Configured::Same {
            self.remember_safe();
        }
    }

    /// The backend wants another `SecurityProfile`.
    pub(in crate::gateway) fn raise_profile(&mut self, now: Now, to: u8) -> ConfigurationStatus {
        let certified = self
            .safe
            .to_show(now.wall)
            .first()
            .is_some_and(Option::is_some);
        let possible = match (to, self.is_secure()) {
            (1, false) => self.password(now.wall).is_some(),
            (3, true) => self.plan.has_ca && certified,
            _ => false,
        };
        if to <= self.keys.security_profile() || !possible {
            return ConfigurationStatus::Rejected;
        }
        info!(
            backend = &*self.plan.shown_url(),
            client_id = self.plan.client_id,
            profile = to,
            "the backend raises the security profile"
        );
        self.keys.raise_profile(to);
        self.shown.attempts = 0;
        self.reconfigured(now, "SecurityProfile");
        self.come_back(now.mono);
        ConfigurationStatus::Accepted
    }
}
