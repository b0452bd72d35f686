//! The connection to a backend: when it is tried, and whether it lives.

use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{Mono, Timestamp};
use crate::ids::LinkId;
use crate::ocpp::liveness::{Act, Liveness};

use super::backoff::Backoff;
use super::dial_failure::DialFailure;
use super::gateway::Gateway;
use super::io::{Context, Output};
use super::keys::Credential;
use super::plan::GatewayPlan;

/// A connection that ended sooner is not made anew at once.
const STOOD: Duration = Duration::from_secs(10);

/// A multiple of how many passwords there may be: the new one and the old.
const MOST_PASSWORDS: usize = 2;

/// The connection of one gateway.
#[derive(Debug)]
pub(super) struct Connection {
    state: State,
    backoff: Backoff,
    liveness: Option<Liveness>,
    /// The failure that was logged last: it is said once.
    said: Option<DialFailure>,
    /// Which of the passwords is tried.
    password: usize,
    /// Not before a wallbox has said who it is, or had the time to.
    introduced_at: Option<Mono>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be tried, from then on.
    Down(Mono),
    Dialling,
    Up {
        link: LinkId,
        since: Mono,
    },
}

impl Connection {
    /// To be tried at once.
    pub(super) fn new() -> Self {
        Self {
            state: State::Down(Mono::START),
            backoff: Backoff::default(),
            liveness: None,
            said: None,
            password: 0,
            introduced_at: None,
        }
    }

    pub(super) fn link(&self) -> Option<LinkId> {
        match self.state {
            State::Up { link, .. } => Some(link),
            State::Down(_) | State::Dialling => None,
        }
    }

    pub(super) fn is_dialling(&self) -> bool {
        self.state == State::Dialling
    }

    pub(super) fn liveness(&mut self) -> Option<&mut Liveness> {
        self.liveness.as_mut()
    }

    /// There is something to say from then on.
    pub(super) fn introduce_at(&mut self, at: Mono) {
        self.introduced_at = Some(self.introduced_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// There is a new password: it is tried first.
    pub(super) fn new_password(&mut self) {
        self.password = 0;
    }

    /// It is time to try.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        let introduced = self.introduced_at.is_some_and(|at| at <= now);
        introduced && matches!(self.state, State::Down(from) if from <= now)
    }

    pub(super) fn dials(&mut self) {
        self.state = State::Dialling;
    }

    pub(super) fn stands(&mut self, now: Mono, link: LinkId, liveness: Liveness) {
        self.state = State::Up { link, since: now };
        self.liveness = Some(liveness);
        self.said = None;
    }

    /// It did not come about.
    pub(super) fn failed(
        &mut self,
        context: &mut Context<'_>,
        plan: &GatewayPlan,
        why: &DialFailure,
    ) {
        let unwelcome = matches!(
            why,
            DialFailure::Unauthorized | DialFailure::NotFound | DialFailure::Refused(400..=499)
        );
        let wait = self.backoff.next(context.random, unwelcome);
        self.state = State::Down(context.now.mono + wait);
        if self.said.as_ref() != Some(why) {
            warn!(backend = &*plan.shown_url(), client_id = plan.client_id, %why, "the backend cannot be reached; wallboxes go on, messages wait");
            self.said = Some(why.clone());
        }
    }

    /// It is gone. `at_once`: we wanted that, and come back.
    pub(super) fn ended(&mut self, context: &mut Context<'_>, plan: &GatewayPlan, at_once: bool) {
        let now = context.now.mono;
        self.liveness = None;
        if let State::Up { since, .. } = self.state {
            self.backoff.ended(now, since);
            info!(
                backend = &*plan.shown_url(),
                client_id = plan.client_id,
                "the connection to the backend ended"
            );
        }
        let next = if at_once && self.stood(now) {
            now
        } else {
            now + self.backoff.next(context.random, false)
        };
        self.state = State::Down(next);
    }

    /// It was there for a while: not the kind that ends as soon as it stands.
    fn stood(&self, now: Mono) -> bool {
        matches!(self.state, State::Up { since, .. } if now.since(since) >= STOOD)
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Down(from) => Some(self.introduced_at?.max(from)),
            State::Dialling => None,
            State::Up { .. } => self.liveness.as_ref().map(Liveness::poll_timeout),
        }
    }
}

impl Gateway {
    /// What to say next: the backend may have changed the password, and forgotten it again.
    pub(super) fn password(&self, now: Timestamp) -> Option<Credential> {
        let passwords = self.keys.passwords(now);
        let mut in_turn = passwords.iter().cycle();
        in_turn.nth(self.connection.password).copied()?.cloned()
    }

    /// The backend took the password, or did not: then the next one is tried.
    pub(super) fn note_password(&mut self, good: bool) {
        if !good {
            self.connection.password = (self.connection.password + 1) % MOST_PASSWORDS;
        } else if self.connection.password == 0 && self.keys.password_was_good() {
            self.remember_keys();
        }
    }

    /// Looks whether the backend is still there.
    pub(super) fn check_connection(&mut self, context: &mut Context<'_>) {
        let Some(link) = self.connection.link() else {
            return;
        };
        let act = self
            .connection
            .liveness()
            .and_then(|liveness| liveness.check(context.now.mono));
        match act {
            Some(Act::Ping) => self.output(Output::Ping { link }),
            Some(Act::Close) => self.hang_up(context, "no sign of life", false),
            None => {}
        }
    }

    /// Ends the connection from our side.
    pub(super) fn hang_up(
        &mut self,
        context: &mut Context<'_>,
        reason: &'static str,
        at_once: bool,
    ) {
        if let Some(link) = self.connection.link() {
            let code = if at_once { 1000 } else { 1001 };
            self.output(Output::Close { link, code, reason });
            self.lose_connection(context, at_once);
        }
    }
}
