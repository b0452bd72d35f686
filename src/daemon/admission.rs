//! How many connections there may be, how fast they may come, and who goes when there are too many.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::source::source;

/// One new connection in this time from one address, in the long run: 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);
/// How far an address may run ahead of that: 1200 at once. After a power cut all wallboxes of a
/// site are back within a second, and may be behind one router.
const BURST: Duration = Duration::from_secs(12);
/// Addresses that are remembered. Beyond them only the total counts.
const ADDRESSES: usize = 4096;
/// Connections that may be short of the upgrade, where half of all is less.
const WAITING: usize = 100;
/// Connections of wallboxes that are in no configuration.
const STRANGERS: usize = 32;

/// Counts connections. The places of wallboxes that are known go to nobody else: who has not yet
/// said who it is and who is a stranger makes room for a newcomer, and of them the oldest of the
/// address that has most. So whoever holds many loses its own.
#[derive(Debug)]
pub struct Admission {
    max: usize,
    end: CancellationToken,
    counts: Mutex<Counts>,
}

/// Why a connection is dropped unheard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Dropped {
    /// There are `max-connections` already, all of known wallboxes.
    #[error("max-connections reached")]
    Full,
    /// More than 100 a second in the long run.
    #[error("too many new connections from this address")]
    TooFast,
}

/// The right to one connection; given back when dropped.
#[derive(Debug)]
pub struct Ticket {
    admission: Arc<Admission>,
    source: IpAddr,
    number: u64,
    place: Place,
    end: CancellationToken,
}

/// As what a connection counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Nobody knows yet who it is.
    Waiting,
    Known,
    Stranger,
}

#[derive(Debug, Default)]
struct Counts {
    last_number: u64,
    known: usize,
    waiting: Crowd,
    strangers: Crowd,
    /// Up to when the connections of an address are paid for, at one in [`INTERVAL`].
    paid_until: BTreeMap<IpAddr, Instant>,
}

impl Admission {
    /// At most this many connections, until the end.
    pub fn new(max: usize, end: CancellationToken) -> Arc<Self> {
        Arc::new(Self {
            max,
            end,
            counts: Mutex::default(),
        })
    }

    /// Lets a new connection in. Another one may have to go for it.
    ///
    /// # Errors
    /// When there are too many, or too many from this address.
    pub fn admit(self: &Arc<Self>, peer: IpAddr, now: Instant) -> Result<Ticket, Dropped> {
        let source = source(peer);
        let end = self.end.child_token();
        let number = self.counts().admit(source, now, self.max, end.clone())?;
        Ok(Ticket {
            admission: self.clone(),
            source,
            number,
            place: Place::Waiting,
            end,
        })
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    fn admit(
        &mut self,
        source: IpAddr,
        now: Instant,
        max: usize,
        end: CancellationToken,
    ) -> Result<u64, Dropped> {
        let paid_until = self.paid_until.get(&source).map_or(now, |it| now.max(*it));
        if paid_until > now + BURST {
            return Err(Dropped::TooFast);
        }
        if self.waiting.count >= WAITING.max(max / 2) {
            self.waiting.dismiss_one();
        }
        let count = self.known + self.strangers.count + self.waiting.count;
        if count >= max && !self.strangers.dismiss_one() && !self.waiting.dismiss_one() {
            return Err(Dropped::Full);
        }
        if self.paid_until.len() >= ADDRESSES {
            self.paid_until.retain(|_, it| *it > now);
        }
        if self.paid_until.len() < ADDRESSES || self.paid_until.contains_key(&source) {
            self.paid_until.insert(source, paid_until + INTERVAL);
        }
        self.last_number += 1;
        self.waiting.join(source, self.last_number, end);
        Ok(self.last_number)
    }
}

impl Ticket {
    /// It is a wallbox of the configuration, or a stranger that may be here all the same.
    pub fn identified(&mut self, is_known: bool) {
        let mut counts = self.admission.counts();
        if self.place != Place::Waiting || !counts.waiting.leave(self.source, self.number) {
            return;
        }
        if is_known {
            counts.known += 1;
            self.place = Place::Known;
        } else {
            if counts.strangers.count >= STRANGERS {
                counts.strangers.dismiss_one();
            }
            let end = self.end.clone();
            counts.strangers.join(self.source, self.number, end);
            self.place = Place::Stranger;
        }
    }

    /// Cancelled when the connection must go: for another one, or because all end.
    pub const fn end(&self) -> &CancellationToken {
        &self.end
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.admission.counts();
        match self.place {
            Place::Known => counts.known = counts.known.saturating_sub(1),
            // Whoever was dismissed has left already.
            Place::Waiting => drop(counts.waiting.leave(self.source, self.number)),
            Place::Stranger => drop(counts.strangers.leave(self.source, self.number)),
        }
    }
}

/// Connections that can be dismissed, by address and age.
#[derive(Debug, Default)]
struct Crowd {
    count: usize,
    by_source: BTreeMap<IpAddr, BTreeMap<u64, CancellationToken>>,
}

impl Crowd {
    fn join(&mut self, source: IpAddr, number: u64, end: CancellationToken) {
        self.by_source
            .entry(source)
            .or_default()
            .insert(number, end);
        self.count += 1;
    }

    /// Whether it was still here.
    fn leave(&mut self, source: IpAddr, number: u64) -> bool {
        let Some(theirs) = self.by_source.get_mut(&source) else {
            return false;
        };
        if theirs.remove(&number).is_none() {
            return false;
        }
        self.count -= 1;
        if theirs.is_empty() {
            self.by_source.remove(&source);
        }
        true
    }

    /// Dismisses the oldest of the address that has most. Whether there was one.
    fn dismiss_one(&mut self) -> bool {
        let oldest = self.by_source.iter().filter_map(|(source, theirs)| {
            let (number, end) = theirs.first_key_value()?;
            Some((theirs.len(), Reverse(*number), *source, end.clone()))
        });
        let heaviest = oldest.max_by_key(|(count, oldest, ..)| (*count, *oldest));
        let Some((_, Reverse(number), source, end)) = heaviest else {
            return false;
        };
        end.cancel();
        self.leave(source, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const WALLBOX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn admission(max: usize) -> Arc<Admission> {
        Admission::new(max, CancellationToken::new())
    }

    fn address(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    fn dismissed(tickets: &[Ticket]) -> usize {
        let gone = tickets.iter().filter(|it| it.end().is_cancelled());
        gone.count()
    }

    #[test]
    fn one_address_may_come_1200_times_at_once_and_then_100_times_a_second() {
        let start = Instant::now();
        let admission = admission(10_000);
        let come = |peer, at| admission.admit(peer, at).is_ok();
        let burst = (0..2000).filter(|_| come(HOSTILE, start)).count();
        assert_eq!(burst, 1201);
        assert!(come(WALLBOX, start), "others are not touched");
        let later = start + Duration::from_secs(1);
        let second = (0..1000).filter(|_| come(HOSTILE, later)).count();
        assert_eq!(second, 100);
    }

    #[test]
    fn the_places_of_known_wallboxes_are_bounded_and_given_back() {
        let now = Instant::now();
        let admission = admission(2);
        let mut first = admission.admit(WALLBOX, now).unwrap();
        first.identified(true);
        let mut second = admission.admit(WALLBOX, now).unwrap();
        second.identified(true);
        assert_eq!(admission.admit(WALLBOX, now).unwrap_err(), Dropped::Full);
        drop(first);
        assert!(admission.admit(WALLBOX, now).is_ok());
        assert!(!second.end().is_cancelled());
    }

    #[test]
    fn addresses_that_never_upgrade_hold_half_of_the_places_and_make_room_for_others() {
        let now = Instant::now();
        let admission = admission(1024);
        let mut wallbox = admission.admit(WALLBOX, now).unwrap();
        let hostile = [HOSTILE, address(1), address(2)].repeat(1000);
        let held: Vec<_> = hostile
            .into_iter()
            .map(|peer| admission.admit(peer, now).unwrap())
            .collect();
        assert_eq!(dismissed(&held), 3000 - 511);
        assert!(!wallbox.end().is_cancelled(), "it has one connection only");
        wallbox.identified(true);
        let next = admission.admit(WALLBOX, now).unwrap();
        assert_eq!(dismissed(&held), 3000 - 511);
        assert!(!held.last().unwrap().end().is_cancelled(), "the oldest go");
        drop((next, held, wallbox));
        let counts = admission.counts();
        assert_eq!((counts.known, counts.waiting.count), (0, 0));
        assert!(counts.waiting.by_source.is_empty());
    }

    #[test]
    fn strangers_are_few_and_go_first() {
        let now = Instant::now();
        let admission = admission(STRANGERS + 2);
        let mut known = admission.admit(WALLBOX, now).unwrap();
        known.identified(true);
        let mut strangers: Vec<Ticket> = Vec::new();
        for _ in 0..2 * STRANGERS {
            let mut stranger = admission.admit(HOSTILE, now).unwrap();
            stranger.identified(false);
            strangers.push(stranger);
        }
        assert_eq!(dismissed(&strangers), STRANGERS);
        let waiting = admission.admit(WALLBOX, now).unwrap();
        assert_eq!(dismissed(&strangers), STRANGERS);
        let _next = admission.admit(WALLBOX, now).unwrap();
        assert_eq!(dismissed(&strangers), STRANGERS + 1);
        assert!(!known.end().is_cancelled() && !waiting.end().is_cancelled());
    }

    #[test]
    fn who_was_dismissed_takes_no_place_any_more() {
        let now = Instant::now();
        let admission = admission(1);
        let mut first = admission.admit(HOSTILE, now).unwrap();
        let mut second = admission.admit(WALLBOX, now).unwrap();
        assert!(first.end().is_cancelled());
        first.identified(true);
        assert_eq!(admission.counts().known, 0);
        drop(first);
        second.identified(true);
        assert_eq!(admission.admit(WALLBOX, now).unwrap_err(), Dropped::Full);
    }

    #[test]
    fn a_flood_of_addresses_is_not_remembered_for_ever() {
        let now = Instant::now();
        let admission = admission(10);
        for n in 0..3 * u32::try_from(ADDRESSES).unwrap() {
            let _ = admission.admit(address(n), now);
        }
        assert_eq!(admission.counts().paid_until.len(), ADDRESSES);
        assert!(admission.admit(WALLBOX, now).is_ok(), "the total decides");
        let later = now + Duration::from_secs(1);
        assert!(admission.admit(HOSTILE, later).is_ok());
        assert_eq!(admission.counts().paid_until.len(), 1);
    }
}
