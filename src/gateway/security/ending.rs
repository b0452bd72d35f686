//! Certificates of a backend that are about to end: those that it signed for us and those that it
//! installed. No file of the configuration holds them, so nobody else watches them.

use std::collections::BTreeMap;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use tracing::{error, warn};

use super::super::gateway::Gateway;
use crate::certificates::{Certificate, Said, Urgency, fingerprint};
use crate::clock::{Mono, Now, Timestamp};

/// The clock of a Pi steps when the network appears, so this is much oftener than they need.
const LOOK: Duration = Duration::from_hours(1);

/// What was said of which.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Ends {
    looked_at: Option<Mono>,
    /// By fingerprint.
    said: BTreeMap<String, Said>,
}

/// Something to be said.
#[derive(Debug, PartialEq, Eq)]
struct Ending {
    subject: String,
    until: Timestamp,
    urgency: Urgency,
}

impl Ends {
    fn is_due(&self, now: Mono) -> bool {
        self.looked_at.is_none_or(|at| now.since(at) >= LOOK)
    }

    /// What is to be said of these now. Those that are gone are forgotten.
    fn look(&mut self, now: Now, all: &[CertificateDer<'_>]) -> Vec<Ending> {
        self.looked_at = Some(now.mono);
        let before = std::mem::take(&mut self.said);
        let mut endings = Vec::new();
        for der in all {
            let Ok(certificate) = Certificate::parse(der) else {
                continue;
            };
            let (key, until) = (fingerprint(der), certificate.not_after());
            let mut said = before.get(&key).copied().unwrap_or_default();
            if let Some(urgency) = said.worse(until, now.wall) {
                endings.push(Ending {
                    subject: certificate.subject(),
                    until,
                    urgency,
                });
            }
            self.said.insert(key, said);
        }
        endings
    }
}

impl Gateway {
    /// Says which certificates are about to end.
    pub(in crate::gateway) fn watch_ends(&mut self, now: Now) {
        if !self.ends.is_due(now.mono) {
            return;
        }
        let (url, client_id) = (self.plan.shown_url(), &self.plan.client_id);
        let url = &*url;
        for ending in self.ends.look(now, &self.safe.certificates()) {
            let (subject, until) = (ending.subject, ending.until);
            if ending.urgency == Urgency::Over {
                error!(
                    url, client_id, subject, %until,
                    "a certificate that the backend signed or installed has ended: it counts no \
                     more"
                );
            } else {
                warn!(
                    url, client_id, subject, %until,
                    "a certificate that the backend signed or installed ends soon: its operator \
                     must replace it"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(name: &str, month: u8) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2025, 1, 1);
        params.not_after = date_time_ymd(2026, month, 1);
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn each_certificate_is_named_once_for_each_degree_of_urgency() {
        let mut all = vec![
            certificate("root", 3),
            certificate("leaf", 5),
            CertificateDer::from(vec![0x30]),
        ];
        let mut ends = Ends::default();
        let mut hours = 0;
        for (day, said) in [
            ("2026-01-01", None),
            ("2026-02-10", Some(("CN=root", Urgency::Month))),
            ("2026-02-11", None),
            ("2026-02-28", Some(("CN=root", Urgency::Day))),
            ("2026-03-02", Some(("CN=root", Urgency::Over))),
            ("2026-04-25", Some(("CN=leaf", Urgency::Week))),
        ] {
            hours += 1;
            let now = Now {
                mono: Mono(Duration::from_hours(hours)),
                wall: format!("{day}T12:00:00Z").parse().unwrap(),
            };
            assert!(ends.is_due(now.mono));
            let endings = ends.look(now, &all);
            assert!(!ends.is_due(now.mono + Duration::from_mins(59)));
            let endings: Vec<_> = endings
                .iter()
                .map(|it| (it.subject.as_str(), it.urgency))
                .collect();
            assert_eq!(endings, Vec::from_iter(said), "{day}");
        }
        assert_eq!(ends.said.len(), 2);
        all.clear();
        let now = Now {
            mono: Mono(Duration::from_hours(99)),
            wall: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(ends.look(now, &all), []);
        assert!(ends.said.is_empty(), "nobody grows for ever");
    }
}
