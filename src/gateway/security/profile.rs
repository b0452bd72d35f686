//! What a connection is made with, and `SecurityProfile` (0: nothing, 1: a password, 2: TLS and a
//! password, 3: TLS and a client certificate).
//!
//! The address stands in the configuration: it names the queue, and who could change it could take
//! the charge point away from its operator. So a backend cannot raise 0 or 1 to 2, and a profile
//! never sinks. What it can raise are 0 to 1, once it has set a password, and 2 to 3, once it has
//! signed a certificate and the operator has said in `ca` whom to trust. The new connection is made
//! at once. If it does not come about, the old profile holds again; once it stood, no connection is
//! made without the password, or without the certificate while that is valid.

use tracing::{info, warn};

use crate::clock::{Now, Timestamp};
use crate::ocpp::messages::ConfigurationStatus;

use super::super::dial_failure::DialFailure;
use super::super::gateway::Gateway;
use super::super::keys::Credential;
use super::events::Event;
use super::safe::Signed;

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

/// Which of those that could be shown is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::gateway) struct Shown {
    /// Attempts since the newest was new.
    attempts: usize,
    /// The newest was shown.
    newest: bool,
}

impl Gateway {
    /// What the next connection is made with.
    pub(in crate::gateway) fn login(&mut self, now: Timestamp) -> Login {
        let certificates = self.safe.to_show(now);
        let turn = self.shown.attempts % certificates.len().max(1);
        let certificate = certificates.get(turn).copied().flatten().cloned();
        self.shown.newest = turn == 0 && certificate.is_some();
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

    /// The connection came about with what it was made with.
    pub(in crate::gateway) fn note_login(&mut self) {
        self.note_password(true);
        self.shown.attempts = 0;
        if self.shown.newest && self.safe.was_good() {
            self.remember_safe();
        }
        if self.keys.profile_was_good() {
            self.remember_keys();
        }
    }

    /// It did not.
    pub(in crate::gateway) fn note_failed_login(&mut self, now: Now, why: &DialFailure) {
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
        self.shown.attempts = self.shown.attempts.wrapping_add(1);
        if self.keys.lower_profile() {
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                "no connection with the new security profile: the old one holds"
            );
            self.remember_keys();
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
