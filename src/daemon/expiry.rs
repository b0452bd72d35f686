//! Watches certificates for their end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::clock::Clock;
use crate::certificates::{Certificate, Said, Urgency, certificates};
use crate::clock::Timestamp;

/// Certificates are looked at so often. The clock of a Pi steps when the network appears, so this is
/// much oftener than they need.
const LOOK: Duration = Duration::from_hours(1);

/// Says when a certificate is about to end, until cancelled. New ones take the place of the old.
pub(super) async fn run(
    mut list: watch::Receiver<Vec<Watched>>,
    clock: Clock,
    cancel: CancellationToken,
) {
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut watched = list.borrow_and_update().clone();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            _ = look.tick() => {}
            Ok(()) = list.changed() => watched.clone_from(&list.borrow_and_update()),
        }
        let now = clock.now().wall;
        for certificate in &mut watched {
            certificate.look(now);
        }
    }
}

/// A certificate and when it ends.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    path: PathBuf,
    subject: String,
    until: Timestamp,
    remedy: &'static str,
    said: Said,
}

impl Watched {
    /// Says each degree of urgency once.
    fn look(&mut self, now: Timestamp) {
        let Some(urgency) = self.said.worse(self.until, now) else {
            return;
        };
        let (file, subject, until) = (self.path.display(), &self.subject, self.until);
        let remedy = self.remedy;
        if urgency == Urgency::Over {
            error!(%file, subject, %until, remedy, "a certificate has ended: who verifies it refuses it");
        } else {
            warn!(%file, subject, %until, remedy, "a certificate ends soon");
        }
    }
}

/// Every certificate of a file, and what is to be done when one ends; what cannot be read was
/// complained about elsewhere.
pub(super) fn in_file(path: &Path, remedy: &'static str) -> Vec<Watched> {
    let found = fs::read(path).ok().and_then(|it| certificates(&it).ok());
    let watched = |der| {
        let certificate = Certificate::parse(der).ok()?;
        Some(Watched {
            path: path.to_owned(),
            subject: certificate.subject(),
            until: certificate.not_after(),
            remedy,
            said: Said::default(),
        })
    };
    let found = found.unwrap_or_default();
    found.iter().filter_map(|der| watched(der)).collect()
}
