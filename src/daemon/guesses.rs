//! Keeps wrong passwords from being tried by the thousand.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::source::source;
use crate::ids::ChargeBoxId;

/// Wrong passwords for one ChargeBox ID from one address before it is heard no more …
const MOST: u32 = 10;
/// … from all addresses together, but the one from which the right one came last …
const MOST_TOGETHER: u32 = 100;
/// … until this time has passed since the first of them.
const WHILE: Duration = Duration::from_mins(1);
/// Guessers that are remembered; the oldest is forgotten first.
const MEMORY: usize = 4096;

/// Counts wrong passwords.
#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    guessers: BTreeMap<(IpAddr, ChargeBoxId), Count>,
    /// Those that were guessed at or logged in: no more than there are passwords.
    ids: BTreeMap<ChargeBoxId, Guessed>,
}

#[derive(Debug, Default)]
struct Guessed {
    /// By all, but from home.
    guesses: Option<Count>,
    /// From where the right password came last.
    home: Option<IpAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    wrong: u32,
}

impl Guesses {
    /// Counts a password, and says whether it is heard. Where wrong ones were too many, not even the
    /// right one is: otherwise its answer would tell it from them.
    pub(super) fn hears(&self, peer: IpAddr, id: &ChargeBoxId, right: bool) -> bool {
        let (now, peer) = (Instant::now(), source(peer));
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Counts { guessers, ids } = &mut *counts;
        let guessed = ids.entry(id.clone()).or_default();
        let key = (peer, id.clone());
        let from_home = guessed.home == Some(peer);
        let own = Count::at(guessers.get(&key).copied(), now);
        let together = Count::at(guessed.guesses, now);
        if own.wrong >= MOST || (!from_home && together.wrong >= MOST_TOGETHER) {
            return false;
        }
        if right {
            guessed.home = Some(peer);
            return true;
        }
        if !from_home {
            guessed.guesses = Some(together.and_one());
        }
        if guessers.len() >= MEMORY && !guessers.contains_key(&key) {
            let oldest = guessers.iter().min_by_key(|(_, it)| it.since);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.and_then(|oldest| guessers.remove(&oldest));
        }
        guessers.insert(key, own.and_one());
        true
    }

    /// Forgets all but these, whose password is the same as before.
    pub(super) fn keep(&self, is_same: impl Fn(&ChargeBoxId) -> bool) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.guessers.retain(|(_, id), _| is_same(id));
        counts.ids.retain(|id, _| is_same(id));
    }
}

impl Count {
    /// What counts now.
    fn at(counted: Option<Self>, now: Instant) -> Self {
        let fresh = Self {
            since: now,
            wrong: 0,
        };
        counted.filter(|it| now - it.since < WHILE).unwrap_or(fresh)
    }

    const fn and_one(self) -> Self {
        Self {
            since: self.since,
            wrong: self.wrong.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const PEER: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn address(n: u32) -> IpAddr {
        Ipv4Addr::from(n).into()
    }

    #[tokio::test(start_paused = true)]
    async fn ten_guesses_a_minute_are_heard_for_each_id_and_address() {
        let guesses = Guesses::default();
        let id = ChargeBoxId::from("CB-1");
        for _ in 0..MOST {
            assert!(guesses.hears(PEER, &id, false));
        }
        assert!(!guesses.hears(PEER, &id, false));
        assert!(!guesses.hears(PEER, &id, true), "the answer tells nothing");
        assert!(guesses.hears(PEER, &"CB-2".into(), true));
        assert!(guesses.hears([10, 0, 0, 1].into(), &id, true));
        tokio::time::advance(WHILE).await;
        assert!(guesses.hears(PEER, &id, true));
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_share_what_is_heard_for_one_id() {
        let guesses = Guesses::default();
        let id = ChargeBoxId::from("CB-1");
        let heard = (0..5000).filter(|n| guesses.hears(address(*n), &id, false));
        assert_eq!(heard.count(), 100);
        for right in [false, true] {
            assert!(!guesses.hears(address(9999), &id, right));
        }
        assert!(guesses.hears(address(1), &"CB-2".into(), true), "others");
        tokio::time::advance(WHILE).await;
        assert!(guesses.hears(address(9999), &id, true));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_can_lock_a_wallbox_out_that_was_in() {
        let guesses = Guesses::default();
        let id = ChargeBoxId::from("CB-1");
        assert!(guesses.hears(PEER, &id, true));
        for n in 0..5000 {
            guesses.hears(address(n), &id, false);
        }
        assert!(guesses.hears(PEER, &id, true));
        for _ in 0..MOST {
            assert!(guesses.hears(PEER, &id, false));
        }
        assert!(!guesses.hears(PEER, &id, true), "home may not guess either");
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_of_one_ipv6_network_are_one_guesser() {
        let guesses = Guesses::default();
        let id = ChargeBoxId::from("CB-1");
        let in_one_network = |n: u128| Ipv6Addr::from_bits((0x2001_0db8 << 96) + n).into();
        let heard = (0..50).filter(|n| guesses.hears(in_one_network(*n), &id, false));
        assert_eq!(heard.count(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_has_a_bound_and_the_oldest_is_forgotten() {
        let guesses = Guesses::default();
        let id = |n: u32| ChargeBoxId::from(n.to_string().as_str());
        let last = u32::try_from(MEMORY).unwrap();
        for n in 0..=last {
            assert!(guesses.hears(PEER, &id(n), false));
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        let counts = guesses.0.lock().unwrap();
        assert_eq!(counts.guessers.len(), MEMORY);
        assert!(!counts.guessers.contains_key(&(PEER, id(0))));
        assert!(counts.guessers.contains_key(&(PEER, id(last))));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_guessed_at_one_password_says_nothing_of_the_next() {
        let guesses = Guesses::default();
        let (same, changed) = (ChargeBoxId::from("CB-1"), ChargeBoxId::from("CB-2"));
        for _ in 0..MOST {
            guesses.hears(PEER, &same, false);
            guesses.hears(PEER, &changed, false);
        }
        guesses.keep(|id| *id == same);
        assert!(!guesses.hears(PEER, &same, true));
        assert!(guesses.hears(PEER, &changed, true));
    }
}
