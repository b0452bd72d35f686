//! How many connections there may be, and how fast they may come.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// One new connection in this time from one address, in the long run: 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);
/// How far an address may run ahead of that: 1200 at once. After a power cut all wallboxes of a
/// site are back within a second, and may be behind one router.
const BURST: Duration = Duration::from_secs(12);
/// Addresses that are remembered. Beyond them only the total counts.
const ADDRESSES: usize = 4096;
/// Connections of one address that may be short of the upgrade, at least.
const PENDING: usize = 100;

/// Counts connections.
#[derive(Debug)]
pub struct Admission {
    max: usize,
    counts: Mutex<Counts>,
}

/// Why a connection is dropped unheard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Dropped {
    /// There are `max-connections` already.
    #[error("max-connections reached")]
    Full,
    /// More than 100 a second in the long run.
    #[error("too many new connections from this address")]
    TooFast,
    /// This address alone holds half of all connections and has not completed the upgrade.
    #[error("too many connections without an upgrade from this address")]
    TooManyPending,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    peer: IpAddr,
    number: u64,
    upgraded: bool,
    revoked: CancellationToken,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    next: u64,
    addresses: BTreeMap<IpAddr, Address>,
}

#[derive(Debug)]
struct Address {
    /// Up to when its connections are paid for, at one in [`INTERVAL`].
    paid_until: Instant,
    /// Those that are short of the upgrade, and how they are told to give way.
    pending: BTreeMap<u64, CancellationToken>,
}

impl Admission {
    /// At most this many connections.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self {
            max,
            counts: Mutex::default(),
        })
    }

    /// Lets a new connection in. Where all places are taken, one that is short of the upgrade gives
    /// way to one from an address that holds fewer of those.
    ///
    /// # Errors
    /// When there are too many, or too many from this address.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Result<Ticket, Dropped> {
        let revoked = CancellationToken::new();
        let mut counts = self.counts();
        counts.admit(peer, now, self.max, &revoked)?;
        counts.total += 1;
        counts.next += 1;
        Ok(Ticket {
            admission: self.clone(),
            peer,
            number: counts.next,
            upgraded: false,
            revoked,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn admit(
        &mut self,
        peer: IpAddr,
        now: Instant,
        max: usize,
        revoked: &CancellationToken,
    ) -> Result<(), Dropped> {
        if self.addresses.len() >= ADDRESSES && !self.addresses.contains_key(&peer) {
            self.addresses
                .retain(|_, address| !address.pending.is_empty() || address.paid_until > now);
        }
        let address = if self.addresses.len() < ADDRESSES {
            Some(self.addresses.entry(peer).or_insert(Address {
                paid_until: now,
                pending: BTreeMap::new(),
            }))
        } else {
            self.addresses.get_mut(&peer)
        };
        if let Some(address) = &address {
            if address.paid_until > now + BURST {
                return Err(Dropped::TooFast);
            }
            if address.pending.len() >= PENDING.max(max / 2) {
                return Err(Dropped::TooManyPending);
            }
        }
        let own = address.map_or(0, |address| address.pending.len());
        if self.total >= max && !self.make_room(own) {
            return Err(Dropped::Full);
        }
        let number = self.next + 1;
        if let Some(address) = self.addresses.get_mut(&peer) {
            address.paid_until = address.paid_until.max(now) + INTERVAL;
            address.pending.insert(number, revoked.clone());
        }
        Ok(())
    }

    /// Who floods us from several addresses shuts out nobody else: the youngest connection of the
    /// address with most of them that are short of the upgrade ends, if those are more than `own`
    /// and one.
    fn make_room(&mut self, own: usize) -> bool {
        let pending = self.addresses.values_mut().map(|it| &mut it.pending);
        let Some(most) = pending.max_by_key(|it| it.len()) else {
            return false;
        };
        if most.len() <= own + 1 {
            return false;
        }
        let Some((_, revoked)) = most.pop_last() else {
            return false;
        };
        revoked.cancel();
        self.total = self.total.saturating_sub(1);
        true
    }

    fn no_longer_pending(&mut self, peer: IpAddr, number: u64) {
        if let Some(address) = self.addresses.get_mut(&peer) {
            address.pending.remove(&number);
        }
    }
}

impl Ticket {
    /// The upgrade is done: from now on it counts only in the total, and gives way to nobody. False:
    /// it had to give way before.
    pub fn upgraded(&mut self) -> bool {
        let mut counts = self.admission.counts();
        if self.revoked.is_cancelled() {
            return false;
        }
        self.upgraded = true;
        counts.no_longer_pending(self.peer, self.number);
        true
    }

    /// Is cancelled when it has to give way.
    pub fn revoked(&self) -> CancellationToken {
        self.revoked.clone()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        // Who gave way was counted then.
        if !self.revoked.is_cancelled() {
            counts.no_longer_pending(self.peer, self.number);
            counts.total = counts.total.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const WALLBOX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn one_address_may_come_1200_times_at_once_and_then_100_times_a_second() {
        let start = Instant::now();
        let admission = Admission::new(10_000);
        let come = |peer, at| admission.admit(peer, at).is_ok();
        let burst = (0..2000).filter(|_| come(HOSTILE, start)).count();
        assert_eq!(burst, 1201);
        assert!(come(WALLBOX, start), "others are not touched");
        let later = start + Duration::from_secs(1);
        let second = (0..1000).filter(|_| come(HOSTILE, later)).count();
        assert_eq!(second, 100);
    }

    #[test]
    fn the_total_is_bounded_and_given_back() {
        let now = Instant::now();
        let admission = Admission::new(2);
        let first = admission.admit(WALLBOX, now).unwrap();
        let _second = admission.admit(WALLBOX, now).unwrap();
        assert_eq!(admission.admit(WALLBOX, now).unwrap_err(), Dropped::Full);
        drop(first);
        assert!(admission.admit(WALLBOX, now).is_ok());
    }

    #[test]
    fn one_address_that_never_upgrades_leaves_room_for_others() {
        let mut now = Instant::now();
        let admission = Admission::new(1024);
        let mut held = Vec::new();
        for _ in 0..2000 {
            now += INTERVAL;
            held.extend(admission.admit(HOSTILE, now));
        }
        assert_eq!(held.len(), 512);
        assert_eq!(
            admission.admit(HOSTILE, now).unwrap_err(),
            Dropped::TooManyPending
        );
        assert!(admission.admit(WALLBOX, now).is_ok());
        assert!(held.iter_mut().all(Ticket::upgraded));
        assert!(admission.admit(HOSTILE, now).is_ok());
    }

    #[test]
    fn whoever_holds_most_without_an_upgrade_gives_way_to_others() {
        let now = Instant::now();
        let admission = Admission::new(300);
        let hostile = [1, 2, 3].map(|n| IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, n)));
        let mut held: Vec<_> = (0..300)
            .map(|n| admission.admit(hostile[n % 3], now).unwrap())
            .collect();
        let full = admission.admit(hostile[0], now).unwrap_err();
        assert_eq!(full, Dropped::Full, "it has enough");
        let mut wallboxes: Vec<_> = (0..50)
            .map(|_| admission.admit(WALLBOX, now).unwrap())
            .collect();
        let gone: Vec<_> = held.iter().map(|it| it.revoked().is_cancelled()).collect();
        assert_eq!(gone.iter().filter(|gone| **gone).count(), 50);
        assert!(gone[..240].iter().all(|gone| !gone), "the youngest");
        assert!(wallboxes.iter_mut().all(Ticket::upgraded));
        let stay = held.iter_mut().filter_map(|it| it.upgraded().then_some(()));
        assert_eq!(stay.count(), 250);
        let full = admission.admit(WALLBOX, now).unwrap_err();
        assert_eq!(full, Dropped::Full, "who is in stays in");
        drop((held, wallboxes));
        assert_eq!(admission.counts().total, 0);
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_for_ever() {
        let now = Instant::now();
        let admission = Admission::new(10);
        for n in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            let _ = admission.admit(IpAddr::V4(n.into()), now);
        }
        assert_eq!(admission.counts().addresses.len(), ADDRESSES);
        assert!(admission.admit(WALLBOX, now).is_ok(), "the total decides");
        let later = now + Duration::from_secs(1);
        assert!(admission.admit(HOSTILE, later).is_ok());
        assert_eq!(admission.counts().addresses.len(), 1);
    }
}
