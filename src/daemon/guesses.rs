//! Keeps wrong passwords from being tried by the thousand.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::ids::ChargeBoxId;

/// Wrong passwords for one ChargeBox ID from one address before it is heard no more …
const MOST: u32 = 10;
/// … until this time has passed since the first of them.
const WHILE: Duration = Duration::from_mins(1);
/// Guessers that are remembered; when all are young, the next ones are not heard.
const MEMORY: usize = 4096;

/// Counts wrong passwords.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<BTreeMap<(IpAddr, ChargeBoxId), Guesser>>);

#[derive(Debug)]
struct Guesser {
    since: Instant,
    wrong: u32,
}

impl Guesses {
    /// Counts a wrong one. Whether the guesser may be told that it was wrong.
    pub(super) fn wrong(&self, peer: IpAddr, id: &ChargeBoxId) -> bool {
        let now = Instant::now();
        let mut guessers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if guessers.len() >= MEMORY {
            guessers.retain(|_, it| now - it.since < WHILE);
        }
        let key = (peer, id.clone());
        if guessers.len() >= MEMORY && !guessers.contains_key(&key) {
            return false;
        }
        let fresh = Guesser {
            since: now,
            wrong: 0,
        };
        let guesser = guessers.entry(key).or_insert(fresh);
        if now - guesser.since >= WHILE {
            guesser.since = now;
            guesser.wrong = 0;
        }
        guesser.wrong = guesser.wrong.saturating_add(1);
        guesser.wrong <= MOST
    }

    /// Whether not even the right one is heard: otherwise its answer would tell it from wrong ones.
    pub(super) fn are_too_many(&self, peer: IpAddr, id: &ChargeBoxId) -> bool {
        let now = Instant::now();
        let guessers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (peer, id.clone());
        let guesser = guessers.get(&key);
        guesser.is_some_and(|it| it.wrong >= MOST && now - it.since < WHILE)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test(start_paused = true)]
    async fn ten_guesses_a_minute_are_heard_for_each_id_and_address() {
        let guesses = Guesses::default();
        let id = ChargeBoxId::from("CB-1");
        for _ in 0..MOST {
            assert!(!guesses.are_too_many(PEER, &id));
            assert!(guesses.wrong(PEER, &id));
        }
        assert!(guesses.are_too_many(PEER, &id));
        assert!(!guesses.wrong(PEER, &id));
        assert!(!guesses.are_too_many(PEER, &"CB-2".into()));
        assert!(!guesses.are_too_many([10, 0, 0, 1].into(), &id));
        tokio::time::advance(WHILE).await;
        assert!(!guesses.are_too_many(PEER, &id));
        assert!(guesses.wrong(PEER, &id));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_has_a_bound() {
        let guesses = Guesses::default();
        let id = ChargeBoxId::from("CB-1");
        let last = u32::try_from(MEMORY).unwrap();
        for n in 0..last {
            assert!(guesses.wrong(Ipv4Addr::from(n).into(), &id));
        }
        assert!(!guesses.wrong(Ipv4Addr::from(last).into(), &id));
        tokio::time::advance(WHILE).await;
        assert!(guesses.wrong(Ipv4Addr::from(last).into(), &id));
        assert_eq!(guesses.0.lock().unwrap().len(), 1);
    }
}
