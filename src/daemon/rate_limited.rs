//! Keeps a peer from filling the log.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long the same line stays unsaid.
const QUIET: Duration = Duration::from_mins(1);
/// Lines that are remembered; when all are young, nothing new is said.
const MEMORY: usize = 1024;

/// Lets each line about each peer into the log once a minute.
#[derive(Debug, Default)]
pub struct RateLimited {
    said: Mutex<BTreeMap<(IpAddr, String), Instant>>,
}

impl RateLimited {
    /// May this be said about this peer now? Saying it is then taken for granted.
    pub fn allows(&self, peer: IpAddr, line: &str) -> bool {
        let now = Instant::now();
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer, line.to_owned());
        if said.get(&key).is_some_and(|at| now - *at < QUIET) {
            return false;
        }
        if said.len() >= MEMORY {
            said.retain(|_, at| now - *at < QUIET);
        }
        let allowed = said.len() < MEMORY;
        if allowed {
            said.insert(key, now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn the_same_line_about_the_same_peer_is_said_once_a_minute() {
        let log = RateLimited::default();
        assert!(log.allows(PEER, "wrong password"));
        assert!(!log.allows(PEER, "wrong password"));
        assert!(log.allows(PEER, "unknown"));
        assert!(log.allows([10, 0, 0, 1].into(), "wrong password"));
        tokio::time::advance(QUIET).await;
        assert!(log.allows(PEER, "wrong password"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_of_lines_is_forgotten_after_a_minute_and_never_grows() {
        let log = RateLimited::default();
        for n in 0..3 * MEMORY {
            log.allows(PEER, &n.to_string());
        }
        assert_eq!(log.said.lock().unwrap().len(), MEMORY);
        assert!(!log.allows(PEER, "new"));
        tokio::time::advance(QUIET).await;
        assert!(log.allows(PEER, "new"));
        assert_eq!(log.said.lock().unwrap().len(), 1);
    }
}
