//! The certificates and keys of the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use thiserror::Error;
use tracing::{error, info, warn};

use super::clock::Clock;
use super::expiry::{self, Watched};
use super::host;
use super::listener::Tls;
use crate::central_system::StationPlan;
use crate::certificates::{Identity, IdentityError, PemError, Roots, Trust, certificates};
use crate::config::{self, ClientName, Config, KeyPair, Server, TlsMode};
use crate::gateway::security::{PrivateKey, Requested, Subject};
use crate::net::client::TlsClient;
use crate::net::issue;
use crate::net::self_signed::{self, Origin, SelfSignedError};
use crate::net::tls::{TlsError, TlsServer};

/// For certificates that others made.
const REPLACE: &str = "replace it, and reload";
/// For the one that is made here.
const MADE_ANEW: &str = "the first start or reload after its end makes a new one; for one at \
                         once, remove server.crt and server.key and reload";

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
    clients: Option<Arc<Roots>>,
    backends: Vec<TlsClient>,
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
        let (server, clients) = match files.server.tls {
            TlsMode::Off => (None, None),
            TlsMode::Detect | TlsMode::On => {
                let clients = files.clients(&config.plan.stations)?;
                (Some(files.server(clock, clients.clone())?), clients)
            }
        };
        let backends = files.backends()?;
        Ok(Self {
            files,
            server,
            clients,
            backends,
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

    /// Whether each wallbox that was let in by another keyring is still trusted by this one, as far
    /// as the lists of trusted certificates say.
    pub(super) fn trusts_all_that(&self, old: &Self) -> bool {
        match (&old.clients, &self.clients) {
            (Some(old), Some(new)) => new.contains(old),
            (None, None) => true,
            (None, Some(_)) | (Some(_), None) => false,
        }
    }

    /// Takes what was read anew, and calls the same backends as before with it. Connections that
    /// stand are not touched.
    pub(super) fn renew(&mut self, new: Self) {
        for (backend, new) in self.backends.iter().zip(&new.backends) {
            backend.replace(new);
        }
        self.files = new.files;
        self.server = new.server;
        self.clients = new.clients;
    }

    /// Every certificate of every file, to be watched for its end.
    pub(super) fn watched(&self) -> Vec<Watched> {
        let files = self.files.certificates().into_iter();
        files
            .flat_map(|(path, remedy)| expiry::in_file(&path, remedy))
            .collect()
    }
}

impl Files {
    fn server(&self, clock: Clock, clients: Option<Arc<Roots>>) -> Result<TlsServer, KeyringError> {
        let identity = match &self.server.key_pair {
            Some(pair) => identity(pair)?,
            None => self.self_signed(clock)?,
        };
        Ok(TlsServer::new(&identity, clients)?)
    }

    /// Whose client certificates are trusted; `None`: nobody is asked for one.
    fn clients(&self, stations: &[StationPlan]) -> Result<Option<Arc<Roots>>, KeyringError> {
        let roots = match self.server.client_ca.as_slice() {
            [] => return Ok(None),
            files => roots("client-ca", files)?,
        };
        let roots = match self.server.client_name {
            ClientName::Any => roots,
            ClientName::ChargeBoxId => {
                roots.with_leaves_named(stations.iter().map(|plan| plan.id.to_string()))
            }
        };
        Ok(Some(Arc::new(roots)))
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
            Origin::Renewed => warn!(
                directory = %self.state_dir.display(),
                "the self-signed certificate had ended and was made anew: wallboxes that store it \
                 need the new one"
            ),
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

    /// Every file with a certificate, and what is to be done when one of them ends.
    fn certificates(&self) -> BTreeMap<PathBuf, &'static str> {
        let mut paths = BTreeSet::new();
        let mut own = None;
        match (self.server.tls, &self.server.key_pair) {
            (TlsMode::Off, _) => {}
            (_, Some(pair)) => drop(paths.insert(pair.certificate.clone())),
            (_, None) => own = Some(self.state_dir.join(self_signed::CERTIFICATE)),
        }
        paths.extend(self.server.client_ca.iter().cloned());
        for gateway in &self.gateways {
            if let config::Trust::Files(files) = &gateway.ca {
                paths.extend(files.iter().cloned());
            }
            paths.extend(gateway.key_pair.iter().map(|pair| pair.certificate.clone()));
        }
        let replaced = paths.into_iter().map(|path| (path, REPLACE));
        replaced.chain(own.map(|path| (path, MADE_ANEW))).collect()
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
    let why = found.errors.first().map(ToString::to_string);
    let roots = Roots::new("the machine's own roots", found.certs);
    if roots.is_empty() {
        error!(
            why,
            "ca = \"system\", but this machine has no root certificates: no such backend can be \
             reached until they are installed (package ca-certificates)"
        );
    }
    Arc::new(roots)
}
