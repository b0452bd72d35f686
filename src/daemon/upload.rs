//! Logs on their way out: one attempt at a time for each backend, when it is told to.
//!
//! A new order ends the attempt before it. Where the gateway has a `ca`, the server must come from
//! there, too; our own certificate is shown to no such server, because it may be anybody's.

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use super::dialler::Backend;
use super::field::Field;
use super::log_keeper::{LogKeeper, Part};
use crate::certificates::certificates;
use crate::gateway::GatewayPlan;
use crate::gateway::security::{UploadOrder, UploadOutcome};
use crate::ids::{GatewayId, Identity};
use crate::net::client::{DialError, PATIENCE, Receiver, TlsClient, upload};

/// Who uploads logs, one for each backend.
#[derive(Debug)]
pub(super) struct Uploads {
    all: Vec<Uploader>,
    keeper: LogKeeper,
    field: mpsc::Sender<Field>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

#[derive(Debug)]
struct Uploader {
    identity: Identity,
    client_id: String,
    tls: TlsClient,
    /// Ends the attempt that was begun last.
    running: CancellationToken,
}

impl Uploads {
    /// The place in both lists is the [`GatewayId`].
    pub(super) fn new(
        plans: &[GatewayPlan],
        backends: &[Backend],
        keeper: LogKeeper,
        field: &mpsc::Sender<Field>,
        tasks: &TaskTracker,
        cancel: &CancellationToken,
    ) -> Self {
        let uploader = |(plan, backend): (&GatewayPlan, &Backend)| Uploader {
            identity: plan.identity(),
            client_id: plan.client_id.clone(),
            tls: backend.tls.clone(),
            running: cancel.child_token(),
        };
        Self {
            all: plans.iter().zip(backends).map(uploader).collect(),
            keeper,
            field: field.clone(),
            tasks: tasks.clone(),
            cancel: cancel.clone(),
        }
    }

    /// Begins an attempt. It ends in [`Field::Uploaded`], or with the next one.
    pub(super) fn begin(&mut self, gateway: GatewayId, order: UploadOrder) {
        let Some(uploader) = self.all.get_mut(gateway.0) else {
            return;
        };
        uploader.running.cancel();
        uploader.running = self.cancel.child_token();
        let part = Part {
            log_type: order.log_type,
            oldest: order.oldest,
            latest: order.latest,
        };
        let attempt = Attempt {
            client_id: uploader.client_id.clone(),
            text: self.keeper.text(&uploader.identity, part),
            tls: uploader.tls.clone(),
            order,
        };
        let (running, field) = (uploader.running.clone(), self.field.clone());
        self.tasks.spawn(async move {
            let run = async {
                let number = attempt.order.attempt;
                let outcome = attempt.run().await;
                let told = Field::Uploaded {
                    gateway,
                    attempt: number,
                    outcome,
                };
                // If the site is gone it needs to be told nothing.
                let _ = field.send(told).await;
            };
            running.run_until_cancelled(run).await;
        });
    }
}

struct Attempt {
    client_id: String,
    order: UploadOrder,
    text: String,
    tls: TlsClient,
}

impl Attempt {
    async fn run(self) -> UploadOutcome {
        let client_id = self.client_id.as_str();
        let location = self.order.location.expose();
        let Some(to) = Receiver::parse(location, &self.order.filename) else {
            warn!(client_id, "the place for the log is none");
            return UploadOutcome::Failed;
        };
        let read = |pem: &String| certificates(pem.as_bytes()).unwrap_or_default();
        let roots = self.order.roots.iter().flat_map(read).collect();
        let tls = match self.tls.anonymous(roots) {
            Ok(tls) => tls,
            Err(error) => {
                error!(client_id, %error, "no log can be uploaded over TLS");
                return UploadOutcome::Failed;
            }
        };
        if to.tls() && tls.trusts_anyone() {
            warn!(
                client_id,
                %to,
                "any certificate is accepted where a log is uploaded, because the backend has no ca"
            );
        }
        match upload(&to, &tls, &self.text, PATIENCE).await {
            Ok(fingerprint) => {
                let bytes = self.text.len();
                info!(client_id, %to, fingerprint, bytes, "a log was sent");
                UploadOutcome::Uploaded
            }
            Err(error) => {
                warn!(client_id, %to, %error, "a log could not be sent");
                outcome(&error)
            }
        }
    }
}

fn outcome(error: &DialError) -> UploadOutcome {
    match error {
        DialError::Refused {
            status: 401 | 403, ..
        } => UploadOutcome::PermissionDenied,
        DialError::Refused {
            status: 405 | 501, ..
        } => UploadOutcome::NotSupported,
        _ => UploadOutcome::Failed,
    }
}
