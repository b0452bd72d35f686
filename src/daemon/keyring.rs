//! The certificates and keys of the configuration: read at the start and again when asked, and
//! watched for their end.

use std::collections::BTreeSet;
use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::clock::Clock;
use super::host;
use super::listener::Tls;
use crate::certificates::{
    Certificate, Identity, IdentityError, PemError, Roots, Trust, certificates,
};
use crate::clock::Timestamp;
use crate::config::{self, Config, KeyPair, Server, TlsMode};
use crate::gateway::security::{PrivateKey, Requested, Subject};
use crate::net::client::TlsClient;
use crate::net::issue;
use crate::net::self_signed::{self, Origin, SelfSignedError};
use crate::net::tls::{TlsError, TlsServer};

/// Certificates are looked at so often. The clock of a Pi steps when the network appears, so this is
/// much oftener than they need.
const LOOK: Duration = Duration::from_hours(1);

/// Why a certificate or a key cannot be used.
#[derive(Debug, Error)]
pub enum KeyringError {
    /// A file cannot be read.
    #[error("{}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A certificate and its key are of no use.
    #[error("{}", path.display())]
    Identity {
        /// The file with the certificate.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// A file with trusted certificates is of no use.
    #[error("{} {why}: {}", path.display(), why.remedy())]
    Roots {
        /// Which.
        path: PathBuf,
        /// Why.
        why: PemError,
    },
    /// The self-signed certificate can neither be read nor made.
    #[error(transparent)]
    SelfSigned(#[from] SelfSignedError),
    /// The TLS library refuses.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

/// All that TLS needs, on both legs.
#[derive(Debug)]
pub(super) struct Keyring {
    files: Files,
    server: Option<TlsServer>,
    backends: Vec<TlsClient>,
    watched: Vec<Watched>,
}

/// Where it comes from.
#[derive(Debug)]
struct Files {
    state_dir: PathBuf,
    server: Server,
    /// In the order of the plan.
    gateways: Vec<config::Gateway>,
}

impl Keyring {
    /// Reads everything; makes the self-signed certificate where it is needed and not there.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub(super) fn load(config: &Config, clock: Clock) -> Result<Self, KeyringError> {
        let of_plan = config.plan.gateways.iter().filter_map(|plan| {
            let mut gateways = config.evses.iter().filter_map(|evse| evse.gateway.as_ref());
            gateways.find(|it| it.url == plan.url && it.client_id == plan.client_id)
        });
        let files = Files {
            state_dir: config.manager.state_dir.clone(),
            server: config.server.clone(),
            gateways: of_plan.cloned().collect(),
        };
        let server = match files.server.tls {
            TlsMode::Off => None,
            TlsMode::Detect | TlsMode::On => Some(files.server(clock)?),
        };
        let backends = files.backends()?;
        let watched = files.watched();
        Ok(Self {
            files,
            server,
            backends,
            watched,
        })
    }

    /// How wallboxes are listened to.
    pub(super) fn tls(&self) -> Tls {
        match (self.files.server.tls, &self.server) {
            (TlsMode::Off, _) | (_, None) => Tls::Off,
            (TlsMode::Detect, Some(server)) => Tls::Detect(server.clone()),
            (TlsMode::On, Some(server)) => Tls::On(server.clone()),
        }
    }

    /// How each backend is called, in the order of the plan.
    pub(super) fn backends(&self) -> impl Iterator<Item = (&config::Gateway, &TlsClient)> {
        self.files.gateways.iter().zip(&self.backends)
    }

    /// Says when a certificate is about to end, and reads all files again when it is told to.
    pub(super) async fn run(
        mut self,
        clock: Clock,
        reload: Arc<Notify>,
        cancel: CancellationToken,
    ) {
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                _ = look.tick() => {}
                () = reload.notified() => self.reload(clock),
            }
            let now = clock.now().wall;
            for certificate in &mut self.watched {
                certificate.look(now);
            }
        }
    }

    /// Each leg keeps what it has where its new files are of no use.
    fn reload(&mut self, clock: Clock) {
        let server = self.server.as_ref().map_or(Ok(()), |server| {
            self.files.server(clock).map(|new| server.replace(&new))
        });
        let backends = self.files.backends().map(|new| {
            for (backend, new) in self.backends.iter().zip(&new) {
                backend.replace(new);
            }
        });
        self.watched = self.files.watched();
        match server.and(backends) {
            Ok(()) => {
                info!("the certificates were read again: they count from the next connection on");
            }
            Err(error) => {
                let why = error.source().map(ToString::to_string);
                error!(%error, why, "a certificate cannot be used: the one from before stays");
            }
        }
    }
}

impl Files {
    fn server(&self, clock: Clock) -> Result<TlsServer, KeyringError> {
        let identity = match &self.server.key_pair {
            Some(pair) => identity(pair)?,
            None => self.self_signed(clock)?,
        };
        let clients = match self.server.client_ca.as_slice() {
            [] => None,
            files => Some(Arc::new(roots("client-ca", files)?)),
        };
        Ok(TlsServer::new(&identity, clients)?)
    }

    fn self_signed(&self, clock: Clock) -> Result<Identity, KeyringError> {
        let now = clock.now().wall;
        let own =
            self_signed::load_or_make(&self.state_dir, &host::name(), &host::addresses(), now)?;
        match own.origin {
            Origin::Kept => {}
            Origin::Made => {
                info!(directory = %self.state_dir.display(), "a self-signed certificate was made");
            }
            Origin::MadeAnew(why) => warn!(
                why = why.as_str(),
                "the self-signed certificate was damaged and made anew: wallboxes that store it \
                 need the new one"
            ),
        }
        Ok(own.identity)
    }

    fn backends(&self) -> Result<Vec<TlsClient>, KeyringError> {
        let asked = |it: &config::Gateway| it.ca == config::Trust::System;
        let system = self.gateways.iter().any(asked).then(system_roots);
        let backend = |gateway: &config::Gateway| {
            let roots = match &gateway.ca {
                config::Trust::Anyone => None,
                config::Trust::System => system.clone(),
                config::Trust::Files(files) => Some(Arc::new(roots("ca", files)?)),
            };
            let trust = roots.map_or(Trust::Anyone, |roots| Trust::Roots {
                roots,
                verify_hostname: gateway.verify_hostname,
            });
            let identity = gateway.key_pair.as_ref().map(identity).transpose()?;
            let client = TlsClient::new(trust, identity.as_ref());
            Ok(client.map_err(TlsError::Tls)?)
        };
        self.gateways.iter().map(backend).collect()
    }

    /// Every certificate of every file; what cannot be read was complained about elsewhere.
    fn watched(&self) -> Vec<Watched> {
        let mut paths = BTreeSet::new();
        match (self.server.tls, &self.server.key_pair) {
            (TlsMode::Off, _) => {}
            (_, Some(pair)) => drop(paths.insert(pair.certificate.clone())),
            (_, None) => drop(paths.insert(self.state_dir.join(self_signed::CERTIFICATE))),
        }
        paths.extend(self.server.client_ca.iter().cloned());
        for gateway in &self.gateways {
            if let config::Trust::Files(files) = &gateway.ca {
                paths.extend(files.iter().cloned());
            }
            paths.extend(gateway.key_pair.iter().map(|pair| pair.certificate.clone()));
        }
        paths.into_iter().flat_map(|path| in_file(&path)).collect()
    }
}

/// Makes a new key for a certificate that a backend is to sign, and asks for it.
pub(super) fn request(subject: Subject) -> Option<Requested> {
    let named = issue::Subject {
        common_name: subject.common_name,
        organization: Some(subject.organization),
        ..issue::Subject::default()
    };
    match issue::request(&named, &[]) {
        Ok(issued) => Some(Requested {
            csr: issued.pem,
            key: PrivateKey::new(issued.key),
        }),
        Err(error) => {
            error!(%error, "no key can be made");
            None
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyringError> {
    fs::read(path).map_err(|source| KeyringError::Read {
        path: path.to_owned(),
        source,
    })
}

fn identity(pair: &KeyPair) -> Result<Identity, KeyringError> {
    let (chain, key) = (read(&pair.certificate)?, read(&pair.private_key)?);
    Identity::from_pem(&chain, &key).map_err(|source| KeyringError::Identity {
        path: pair.certificate.clone(),
        source,
    })
}

fn roots(list: &'static str, files: &[PathBuf]) -> Result<Roots, KeyringError> {
    let mut trusted = Vec::new();
    for path in files {
        let found = certificates(&read(path)?);
        trusted.extend(found.map_err(|why| KeyringError::Roots {
            path: path.clone(),
            why,
        })?);
    }
    Ok(Roots::new(list, trusted))
}

/// Without any, nobody is trusted; that is no reason not to start.
fn system_roots() -> Arc<Roots> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map(ToString::to_string);
        error!(
            why,
            "ca = \"system\", but this machine has no root certificates: no such backend can be \
             reached until they are installed (package ca-certificates)"
        );
    }
    Arc::new(Roots::new("the machine's own roots", found.certs))
}

/// A certificate and when it ends.
#[derive(Debug)]
struct Watched {
    path: PathBuf,
    subject: String,
    until: Timestamp,
    /// The worst that was said about it.
    said: Option<Urgency>,
}

/// How near the end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    Month,
    Week,
    Day,
    Over,
}

impl Urgency {
    fn of(until: Timestamp, now: Timestamp) -> Option<Self> {
        const DAY: i64 = 24 * 3600;
        let left = until.as_second().saturating_sub(now.as_second());
        let within = [
            (-1, Self::Over),
            (DAY, Self::Day),
            (7 * DAY, Self::Week),
            (30 * DAY, Self::Month),
        ];
        let found = within.into_iter().find(|(most, _)| left <= *most);
        found.map(|(_, urgency)| urgency)
    }
}

impl Watched {
    /// Says each degree of urgency once.
    fn look(&mut self, now: Timestamp) {
        let urgency = Urgency::of(self.until, now);
        if urgency <= self.said {
            return;
        }
        self.said = urgency;
        let (file, subject, until) = (self.path.display(), &self.subject, self.until);
        if urgency == Some(Urgency::Over) {
            error!(%file, subject, %until, "a certificate has ended: who verifies it refuses it");
        } else {
            warn!(%file, subject, %until, "a certificate ends soon: replace it");
        }
    }
}

fn in_file(path: &Path) -> Vec<Watched> {
    let found = fs::read(path).ok().and_then(|it| certificates(&it).ok());
    let watched = |der| {
        let certificate = Certificate::parse(der).ok()?;
        Some(Watched {
            path: path.to_owned(),
            subject: certificate.subject(),
            until: certificate.not_after(),
            said: None,
        })
    };
    let found = found.unwrap_or_default();
    found.iter().filter_map(|der| watched(der)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_called_urgent_a_month_a_week_and_a_day_ahead() {
        let until: Timestamp = "2026-12-31T00:00:00Z".parse().unwrap();
        for (now, urgency) in [
            ("2026-11-30T23:59:59Z", None),
            ("2026-12-01T00:00:00Z", Some(Urgency::Month)),
            ("2026-12-24T00:00:00Z", Some(Urgency::Week)),
            ("2026-12-30T00:00:00Z", Some(Urgency::Day)),
            ("2026-12-31T00:00:00Z", Some(Urgency::Day)),
            ("2026-12-31T00:00:01Z", Some(Urgency::Over)),
        ] {
            assert_eq!(Urgency::of(until, now.parse().unwrap()), urgency, "{now}");
        }
    }

    #[test]
    fn what_was_said_is_said_again_only_when_it_gets_worse() {
        let mut certificate = Watched {
            path: PathBuf::from("a.crt"),
            subject: "CN=a".to_owned(),
            until: "2026-12-31T00:00:00Z".parse().unwrap(),
            said: None,
        };
        let mut said = |now: &str| {
            certificate.look(now.parse().unwrap());
            certificate.said
        };
        assert_eq!(said("2026-11-01T00:00:00Z"), None);
        assert_eq!(said("2026-12-29T00:00:00Z"), Some(Urgency::Week));
        // The clock steps back: nothing to take back.
        assert_eq!(said("1970-01-01T00:00:00Z"), Some(Urgency::Week));
        assert_eq!(said("2027-01-01T00:00:00Z"), Some(Urgency::Over));
    }
}
