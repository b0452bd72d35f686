//! Keeps a peer from filling the log, and from hiding others in it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;

use super::source::source;

/// How long the same line stays unsaid.
const QUIET: Duration = Duration::from_mins(1);
/// Lines of one kind that are remembered; when all are young, what comes is only counted …
const MEMORY: usize = 256;
/// … and so it is with those about one peer.
const ABOUT_ONE: usize = 32;

/// What a line is about. Each kind has its own memory: a flood of one hides none of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// No connection can be had.
    Connection,
    /// The TLS handshake.
    Tls,
    /// The request.
    Request,
    /// A ChargeBox ID that is not known.
    Unknown,
    /// A wrong password for a ChargeBox ID that is known. How many are heard is bounded elsewhere, so
    /// of these none is left out.
    Password,
    /// Something odd that does no harm.
    Oddity,
}

/// Lets each line about each peer into the log once a minute.
#[derive(Debug, Default)]
pub struct RateLimited(Mutex<BTreeMap<Kind, Lines>>);

#[derive(Debug, Default)]
struct Lines {
    said: BTreeMap<(IpAddr, String), Instant>,
    /// Since when lines are left out, and how many.
    left_out: Option<(Instant, u64)>,
}

impl RateLimited {
    /// May this be said about this peer now? Saying it is then taken for granted.
    pub fn allows(&self, kind: Kind, peer: IpAddr, line: &str) -> bool {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = kinds.entry(kind).or_default();
        lines.allow(kind, (source(peer), line.to_owned()), Instant::now())
    }
}

impl Lines {
    fn allow(&mut self, kind: Kind, line: (IpAddr, String), now: Instant) -> bool {
        if self.said.get(&line).is_some_and(|at| now - *at < QUIET) {
            return false;
        }
        if self.is_full(line.0) {
            self.said.retain(|_, at| now - *at < QUIET);
        }
        if self.is_full(line.0) {
            if kind != Kind::Password {
                self.leave_out(kind, now);
                return false;
            }
            let oldest = self.said.iter().min_by_key(|(_, at)| **at);
            let oldest = oldest.map(|(line, _)| line.clone());
            oldest.and_then(|oldest| self.said.remove(&oldest));
        }
        if let Some((_, lines)) = self.left_out.take_if(|(since, _)| now - *since >= QUIET) {
            warn!(?kind, lines, "lines were left out");
        }
        self.said.insert(line, now);
        true
    }

    fn is_full(&self, peer: IpAddr) -> bool {
        let from = (peer, String::new());
        let about_it = self
            .said
            .range(from..)
            .take_while(|((it, _), _)| *it == peer);
        self.said.len() >= MEMORY || about_it.count() >= ABOUT_ONE
    }

    fn leave_out(&mut self, kind: Kind, now: Instant) {
        if let Some((_, lines)) = &mut self.left_out {
            *lines += 1;
            return;
        }
        self.left_out = Some((now, 1));
        warn!(
            ?kind,
            "too many lines of one kind: some are left out, and counted"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    fn address(n: usize) -> IpAddr {
        IpAddr::V4(u32::try_from(n).unwrap().into())
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_line_about_the_same_peer_is_said_once_a_minute() {
        let log = RateLimited::default();
        assert!(log.allows(Kind::Request, PEER, "no HTTP"));
        assert!(!log.allows(Kind::Request, PEER, "no HTTP"));
        assert!(log.allows(Kind::Request, PEER, "no key"));
        assert!(log.allows(Kind::Request, OTHER, "no HTTP"));
        tokio::time::advance(QUIET).await;
        assert!(log.allows(Kind::Request, PEER, "no HTTP"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_hides_neither_other_peers_nor_other_kinds() {
        let log = RateLimited::default();
        let said = (0..1000).filter(|n| log.allows(Kind::Unknown, PEER, &n.to_string()));
        assert_eq!(said.count(), ABOUT_ONE);
        assert!(log.allows(Kind::Unknown, OTHER, "new"));
        let said = (0..1000).filter(|n| log.allows(Kind::Unknown, address(*n), "new"));
        assert_eq!(said.count(), MEMORY - ABOUT_ONE - 1);
        assert!(log.allows(Kind::Request, OTHER, "new"));
        let left_out = |log: &RateLimited| {
            let kinds = log.0.lock().unwrap();
            kinds[&Kind::Unknown].left_out.map(|(_, lines)| lines)
        };
        assert_eq!(left_out(&log), Some(2001 - 256));
        tokio::time::advance(QUIET).await;
        assert!(log.allows(Kind::Unknown, OTHER, "newer"));
        assert_eq!(left_out(&log), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wrong_password_is_never_left_out() {
        let log = RateLimited::default();
        for n in 0..3 * MEMORY {
            assert!(log.allows(Kind::Password, PEER, &n.to_string()));
            assert!(log.allows(Kind::Password, address(n), "CB-1"));
        }
        let kinds = log.0.lock().unwrap();
        assert!(kinds[&Kind::Password].said.len() <= MEMORY);
    }
}
