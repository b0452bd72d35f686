//! The way out to backends: one task for each dials when it is told to, then it is a link.

use std::fmt;
use std::sync::{Arc, Once};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, error, info, warn};

use super::field::{Field, ToLink};
use super::link::{Ending, Link, LinkIds, Peer};
use super::listener::Deadlines;
use crate::certificates::{Distrust, Identity, certificates};
use crate::clock::Now;
use crate::gateway::DialFailure;
use crate::gateway::security::{Login, Presented};
use crate::ids::{GatewayId, LinkId};
use crate::net::client::{Certified, Connected, DialError, Target, TlsClient, connect};
use crate::net::directory::Password;
use crate::site::Site;

/// Where a backend is and how it is reached.
#[derive(Debug, Clone)]
pub struct Backend {
    /// Address, client id and password.
    pub target: Target,
    /// Which certificates are taken, for `wss://`.
    pub tls: TlsClient,
}

/// Tells a new site, or one whose files were read again, which certificates are configured.
pub(super) fn introduce(site: &mut Site, now: Now, backends: &[Backend]) {
    for (place, backend) in backends.iter().enumerate() {
        let shown = backend.tls.shows();
        site.set_certificate(now, GatewayId(place), shown.as_deref());
    }
}

/// The tasks that dial, one for each backend connection.
#[derive(Debug)]
pub struct Diallers {
    asks: Vec<mpsc::Sender<Login>>,
}

impl Diallers {
    /// Starts a task for each backend; none dials before [`dial`](Self::dial). The place in the
    /// list is the [`GatewayId`]. `deadlines.upgrade` is for each step on the way out.
    pub fn new(
        backends: Vec<Backend>,
        field: &mpsc::Sender<Field>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
        deadlines: Deadlines,
        links: &LinkIds,
    ) -> Self {
        let warned = Arc::new(Once::new());
        let start = |(place, backend)| {
            let (ask, asked) = mpsc::channel(1);
            let dialler = Dialler {
                gateway: GatewayId(place),
                backend,
                field: field.clone(),
                cancel: cancel.clone(),
                deadlines,
                links: links.clone(),
                warned: warned.clone(),
                exposed: false,
                asked: false,
            };
            tasks.spawn(dialler.run(asked));
            ask
        };
        Self {
            asks: backends.into_iter().enumerate().map(start).collect(),
        }
    }

    /// Starts one attempt, with what the gateway knows beside the configuration. It ends in
    /// [`Field::DialFailed`], or in [`Field::Dialled`] and later [`Field::Down`]. What is asked
    /// meanwhile begins after that, and only once.
    pub fn dial(&self, gateway: GatewayId, login: Login) {
        if let Some(ask) = self.asks.get(gateway.0) {
            // Full: it is asked already.
            let _ = ask.try_send(login);
        }
    }
}

/// Dials one backend.
struct Dialler {
    gateway: GatewayId,
    backend: Backend,
    field: mpsc::Sender<Field>,
    cancel: CancellationToken,
    deadlines: Deadlines,
    links: LinkIds,
    /// That any certificate is taken is said once for all backends.
    warned: Arc<Once>,
    /// That the password is sent in clear text was said.
    exposed: bool,
    /// The backend wanted to see our certificate when it was dialled last.
    asked: bool,
}

impl Dialler {
    async fn run(mut self, mut asked: mpsc::Receiver<Login>) {
        while let Some(Some(login)) = self.cancel.run_until_cancelled(asked.recv()).await {
            let tls = self.tls(&login);
            let password = login.password.map(|it| {
                if it.is_key() {
                    Password::of_key(it.expose())
                } else {
                    Password::new(it.expose())
                }
            });
            if password.is_some() {
                self.warn_of_clear_text();
            }
            let target = self.backend.target.clone().with_password(password);
            let mut shown = Vec::new();
            let attempt = connect(&target, &tls, self.deadlines.upgrade, &mut shown);
            // On the heap, because it is large and gone when the link begins.
            let outcome = self.cancel.run_until_cancelled(Box::pin(attempt)).await;
            self.asked = tls.was_asked();
            let presented = self.presented(shown);
            match outcome {
                None => return,
                Some(Ok(connected)) => self.carry(connected, presented).await,
                Some(Err(error)) => self.failed(error, presented).await,
            }
        }
    }

    /// The configuration's, with what the backend installed and signed.
    fn tls(&self, login: &Login) -> TlsClient {
        let read = |pem: &String| certificates(pem.as_bytes()).unwrap_or_default();
        let roots: Vec<_> = login.roots.iter().flat_map(read).collect();
        let signed = login.certificate.as_ref().map(|signed| {
            let key = signed.key.expose().as_bytes();
            Identity::from_pem(signed.chain.as_bytes(), key)
        });
        let identity = signed.and_then(Result::ok);
        if roots.is_empty() && identity.is_none() {
            return self.backend.tls.clone();
        }
        let more = self.backend.tls.with(roots, identity.as_ref());
        more.unwrap_or_else(|error| {
            error!(
                url = self.backend.target.url(),
                client_id = self.backend.target.client_id(),
                %error,
                "what the backend installed or signed cannot be used"
            );
            self.backend.tls.clone()
        })
    }

    fn warn_of_clear_text(&mut self) {
        if !self.backend.target.tls() && !self.exposed {
            self.exposed = true;
            warn!(
                url = self.backend.target.url(),
                client_id = self.backend.target.client_id(),
                "the password crosses the network in clear text: use wss:// if the backend has it"
            );
        }
    }

    /// What the backend showed, where nobody judged it.
    fn presented(&self, shown: Vec<Certified>) -> Vec<Presented> {
        if shown.is_empty() || !self.backend.tls.trusts_anyone() {
            return Vec::new();
        }
        self.warned.call_once(|| {
            warn!(
                "any certificate is accepted from backends without ca: whoever redirects the \
                 connection can pretend to be the backend"
            );
        });
        let presented = |Certified { url, fingerprint }| Presented { url, fingerprint };
        shown.into_iter().map(presented).collect()
    }

    async fn carry(&self, connected: Connected, presented: Vec<Presented>) {
        let link = Link {
            id: self.links.next(),
            peer: Reached {
                gateway: self.gateway,
                client_id: self.backend.target.client_id().to_owned(),
                url: connected.url,
                fingerprint: connected.fingerprint,
                protocol_missing: connected.protocol_missing,
                presented,
                asked: self.asked,
            },
            field: self.field.clone(),
            cancel: self.cancel.clone(),
            deadlines: self.deadlines,
        };
        link.run(connected.socket).await;
    }

    async fn failed(&self, error: DialError, presented: Vec<Presented>) {
        let gateway = self.gateway;
        debug!(
            url = self.backend.target.url(),
            client_id = self.backend.target.client_id(),
            %error,
            "backend not reached"
        );
        let why = DialFailure::from(error);
        let asked = self.asked;
        let told = self.field.send(Field::DialFailed {
            gateway,
            why,
            presented,
            asked,
        });
        // If the site is gone it needs to be told nothing.
        let _ = self.cancel.run_until_cancelled(told).await;
    }
}

/// A backend that was reached.
struct Reached {
    gateway: GatewayId,
    client_id: String,
    url: String,
    fingerprint: Option<String>,
    protocol_missing: bool,
    presented: Vec<Presented>,
    asked: bool,
}

impl Peer for Reached {
    fn up(&self, link: LinkId, outbox: mpsc::Sender<ToLink>) -> Field {
        Field::Dialled {
            gateway: self.gateway,
            link,
            outbox,
            protocol_missing: self.protocol_missing,
            presented: self.presented.clone(),
            asked: self.asked,
        }
    }

    fn log_up(&self, link: LinkId) {
        info!(
            url = self.url,
            client_id = self.client_id,
            fingerprint = self.fingerprint,
            %link,
            "connected to the backend"
        );
    }

    fn log_down(&self, link: LinkId, ending: &Ending) {
        info!(
            url = self.url,
            client_id = self.client_id,
            %link,
            %ending,
            "disconnected from the backend"
        );
    }
}

impl fmt::Display for Reached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "backend of {}", self.client_id)
    }
}

impl From<DialError> for DialFailure {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Resolve { .. } | DialError::Io(_) | DialError::Timeout(_) => {
                Self::Unreachable(error.to_string())
            }
            DialError::Tls(error) => {
                let distrusted = error.get_ref().and_then(|it| it.downcast_ref::<Distrust>());
                match distrusted {
                    Some(why) => Self::Distrusted(why.to_string()),
                    None => Self::Tls(error.to_string()),
                }
            }
            DialError::Refused {
                status: 401 | 403, ..
            } => Self::Unauthorized,
            DialError::Refused { status: 404, .. } => Self::NotFound,
            DialError::Refused { status, .. } => Self::Refused(status),
            DialError::Redirect(why) => Self::Redirected(why.to_string()),
            DialError::Misfit(why) => Self::NoUpgrade(why.to_string()),
        }
    }
}
