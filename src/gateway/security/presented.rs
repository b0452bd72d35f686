//! Which certificates a backend showed where any is taken: another one than before is the only sign
//! of an impostor there.

use serde::{Deserialize, Serialize};
use tracing::error;

use super::super::gateway::Gateway;
use crate::ocpp::messages;

/// Places that are remembered. A backend may redirect to any of several.
const MOST_PLACES: usize = 8;

/// A certificate that a backend showed, where any would have been taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presented {
    /// Where.
    pub url: String,
    /// SHA-256 of the certificate, in hexadecimal.
    pub fingerprint: String,
}

/// The last one of each place; who was met last comes last.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::gateway) struct Known(Vec<Presented>);

impl Known {
    /// Keeps it. Returns the fingerprint that was known of this place, if it was another one.
    fn meet(&mut self, now: &Presented) -> Option<String> {
        let known = self.0.iter().position(|it| it.url == now.url);
        let before = known.map(|place| self.0.remove(place).fingerprint);
        if self.0.len() >= MOST_PLACES {
            self.0.remove(0);
        }
        self.0.push(now.clone());
        before.filter(|before| *before != now.fingerprint)
    }
}

impl Gateway {
    /// The backend, and whoever redirected to it, showed these certificates, and nobody judged them.
    pub(in crate::gateway) fn note_presented(&mut self, presented: &[Presented]) {
        if presented.is_empty() {
            return;
        }
        for shown in presented {
            if let Some(before) = self.known.meet(shown) {
                error!(
                    url = shown.url,
                    client_id = self.plan.client_id,
                    before,
                    now = shown.fingerprint,
                    "the backend shows another certificate than before: ask its operator whether \
                     it was renewed, or somebody else answers in its place; ca ends the doubt"
                );
            }
        }
        let memory = messages::write(&self.known);
        self.remember_text("presented", &memory);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet(known: &mut Known, url: &str, fingerprint: &str) -> Option<String> {
        let (url, fingerprint) = (url.to_owned(), fingerprint.to_owned());
        known.meet(&Presented { url, fingerprint })
    }

    #[test]
    fn another_certificate_than_before_is_noticed_once_at_the_same_place() {
        let mut known = Known::default();
        for (url, fingerprint, before) in [
            ("wss://a", "1", None),
            ("wss://a", "1", None),
            ("wss://b", "2", None),
            ("wss://a", "2", Some("1")),
            ("wss://a", "2", None),
            ("wss://b", "2", None),
            ("wss://a", "1", Some("2")),
        ] {
            let noticed = meet(&mut known, url, fingerprint);
            assert_eq!(noticed.as_deref(), before, "{url} {fingerprint}");
        }
    }

    #[test]
    fn a_backend_that_redirects_to_ever_new_places_fills_no_memory() {
        let mut known = Known::default();
        for place in 0..100 {
            meet(&mut known, &format!("wss://{place}"), "1");
        }
        assert_eq!(known.0.len(), MOST_PLACES);
        for place in 0..100 {
            meet(&mut known, "wss://99", "1");
            meet(&mut known, &format!("wss://other/{place}"), "1");
        }
        assert_eq!(meet(&mut known, "wss://99", "2").as_deref(), Some("1"));
    }
}
