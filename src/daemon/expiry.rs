//! Watches certificates for their end.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::clock::Clock;
use crate::certificates::{Certificate, certificates};
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

/// Every certificate of a file; what cannot be read was complained about elsewhere.
pub(super) fn in_file(path: &Path) -> Vec<Watched> {
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
