//! Is the peer still there? (OCPP-J 1.6 §5.3; half-open sockets are the commonest fault of all.)

use std::time::Duration;

use crate::clock::Mono;

/// Between two pings of ours.
const PING_EVERY: Duration = Duration::from_secs(30);

/// A pong may take this long. Held against those alone who ever sent one on this connection: some
/// wallboxes never answer pings.
const PONG_WITHIN: Duration = Duration::from_secs(15);

/// Silence that ends a connection is never shorter than this.
const LEAST_SILENCE: Duration = Duration::from_secs(90);

/// The liveness of one connection.
#[derive(Debug)]
pub struct Liveness {
    heard: Mono,
    pinged: Mono,
    /// Between two pings of ours; `None` = none.
    every: Option<Duration>,
    silence: Duration,
    answers_pings: bool,
    unanswered_since: Option<Mono>,
    /// After timeouts of calls: no traffic until then ends the connection.
    suspect_until: Option<Mono>,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Send a ping.
    Ping,
    /// Close: the peer is gone.
    Close,
}

impl Liveness {
    /// A connection begins. Three heartbeat intervals of silence end it, not one: a peer that is
    /// a moment late is not gone.
    pub fn new(now: Mono, heartbeat_interval: Duration) -> Self {
        Self {
            heard: now,
            pinged: now,
            every: Some(PING_EVERY),
            silence: heartbeat_interval.saturating_mul(3).max(LEAST_SILENCE),
            answers_pings: false,
            unanswered_since: None,
            suspect_until: None,
        }
    }

    /// From now on it is pinged at this interval; `None` = never (`WebSocketPingInterval`).
    pub fn ping_every(&mut self, interval: Option<Duration>) {
        self.every = interval;
    }

    /// The peer shall be heard at this interval from now on.
    pub fn expect(&mut self, heartbeat_interval: Duration) {
        self.silence = heartbeat_interval.saturating_mul(3).max(LEAST_SILENCE);
    }

    /// Any frame arrived.
    pub fn heard(&mut self, now: Mono) {
        self.heard = now;
        self.suspect_until = None;
        self.unanswered_since = None;
    }

    /// A ping of ours was answered.
    pub fn pong(&mut self, now: Mono) {
        self.answers_pings = true;
        self.heard(now);
    }

    /// Calls were not answered: ask for a sign of life within 30 s.
    pub fn suspect(&mut self, now: Mono) -> Act {
        self.suspect_until.get_or_insert(now + PING_EVERY);
        self.pinged = now;
        Act::Ping
    }

    /// When [`Liveness::check`] has something to say.
    pub fn poll_timeout(&self) -> Mono {
        let ends = [
            self.every.map(|every| self.pinged + every),
            Some(self.heard + self.silence),
            self.unanswered_since.map(|since| since + PONG_WITHIN),
            self.suspect_until,
        ];
        let silent = self.heard + self.silence;
        ends.into_iter().flatten().fold(silent, Mono::min)
    }

    /// Looks at the clock.
    pub fn check(&mut self, now: Mono) -> Option<Act> {
        let silent = now.since(self.heard) >= self.silence;
        let no_pong = self
            .unanswered_since
            .is_some_and(|since| now.since(since) >= PONG_WITHIN);
        let gone = self.suspect_until.is_some_and(|until| now >= until);
        if silent || no_pong || gone {
            return Some(Act::Close);
        }
        if self
            .every
            .is_none_or(|every| now.since(self.pinged) < every)
        {
            return None;
        }
        self.pinged = now;
        if self.answers_pings {
            self.unanswered_since.get_or_insert(now);
        }
        Some(Act::Ping)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEARTBEAT: Duration = Duration::from_mins(5);

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_quiet_peer_is_pinged_every_30_seconds() {
        let mut liveness = Liveness::new(at(0), HEARTBEAT);
        assert_eq!(liveness.poll_timeout(), at(30));
        assert_eq!(liveness.check(at(29)), None);
        assert_eq!(liveness.check(at(30)), Some(Act::Ping));
        assert_eq!(liveness.check(at(31)), None);
    }

    #[test]
    fn a_peer_that_answered_pings_before_must_go_on_doing_so() {
        let mut liveness = Liveness::new(at(0), HEARTBEAT);
        liveness.pong(at(1));
        assert_eq!(liveness.check(at(30)), Some(Act::Ping));
        assert_eq!(liveness.poll_timeout(), at(45));
        assert_eq!(liveness.check(at(45)), Some(Act::Close));
    }

    #[test]
    fn a_peer_that_never_answers_pings_is_kept_until_three_heartbeats_are_missing() {
        let mut liveness = Liveness::new(at(0), HEARTBEAT);
        for round in 1..30 {
            assert_eq!(liveness.check(at(30 * round)), Some(Act::Ping));
        }
        assert_eq!(liveness.check(at(900)), Some(Act::Close));
    }

    #[test]
    fn with_a_short_heartbeat_interval_90_seconds_are_allowed_all_the_same() {
        let mut liveness = Liveness::new(at(0), Duration::from_secs(10));
        assert_ne!(liveness.check(at(89)), Some(Act::Close));
        assert_eq!(liveness.check(at(90)), Some(Act::Close));
    }

    #[test]
    fn after_unanswered_calls_30_seconds_without_any_traffic_end_the_connection() {
        let mut liveness = Liveness::new(at(0), HEARTBEAT);
        assert_eq!(liveness.suspect(at(60)), Act::Ping);
        assert_eq!(liveness.check(at(90)), Some(Act::Close));
        let mut liveness = Liveness::new(at(0), HEARTBEAT);
        liveness.suspect(at(60));
        liveness.heard(at(61));
        assert_ne!(liveness.check(at(90)), Some(Act::Close));
    }
}
