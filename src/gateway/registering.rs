//! What a backend is told before anything else, and what keeps it informed: BootNotification,
//! heartbeats, and the status of every connector (OCPP 1.6 §4.2, §4.6, §4.9).

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{info, warn};

use crate::clock::{Mono, Now};
use crate::ids::{ConnectorId, EntryId, LinkId};
use crate::ocpp::ErrorCode;
use crate::ocpp::lenient;
use crate::ocpp::liveness::Liveness;
use crate::ocpp::messages::{self, Heartbeat, HeartbeatResponse, RegistrationStatus};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::timestamp;

use super::gateway::{Asked, Gateway, Urgent};
use super::io::{Context, Output};
use super::members::WHOLE;
use super::security::Event;

/// A backend that names no interval, or an absurd one, is asked again after this.
const ASK_AGAIN: Duration = Duration::from_mins(1);

/// Between two heartbeats at the least, whatever the backend wants.
const LEAST_INTERVAL: Duration = Duration::from_secs(1);

/// A backend that wants a boot again sooner than this is not helped by it.
const BOOT_AGAIN: Duration = Duration::from_mins(10);

/// A backend may have us wait so long at most before it is asked again.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24);

/// The clock of a backend that differs by more is worth a warning.
const CLOCKS_AGREE: jiff::SignedDuration = jiff::SignedDuration::from_secs(10);

/// How the backend takes us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// It is to be asked, at this time or later.
    Unknown(Mono),
    Pending(Mono),
    Rejected(Mono),
    Accepted,
}

/// The registration at a backend.
#[derive(Debug)]
pub(super) struct Registration {
    standing: Standing,
    /// BootNotification must be sent also on a connection that only came back.
    pub(super) wanted: bool,
    /// What the backend was told of what we are does not hold any more.
    pub(super) outdated: bool,
    /// When the backend last wanted a boot that it had accepted before.
    repeated: Option<Mono>,
    /// As the backend wants it.
    interval: Duration,
    next_heartbeat: Mono,
    /// The backend asked for one.
    beat_triggered: bool,
}

impl Default for Registration {
    fn default() -> Self {
        Self {
            standing: Standing::Unknown(Mono::START),
            wanted: true,
            outdated: false,
            repeated: None,
            interval: ASK_AGAIN,
            next_heartbeat: Mono::START,
            beat_triggered: false,
        }
    }
}

impl Registration {
    pub(super) fn is_accepted(&self) -> bool {
        self.standing == Standing::Accepted
    }

    pub(super) fn is_pending(&self) -> bool {
        matches!(self.standing, Standing::Pending(_))
    }
}

impl Gateway {
    pub(super) fn state(&self) -> &'static str {
        match (self.connection.link(), self.registration.standing) {
            (None, _) if self.connection.is_dialling() => "connecting",
            (None, _) => "disconnected",
            (Some(_), Standing::Unknown(_)) => "booting",
            (Some(_), Standing::Pending(_)) => "pending",
            (Some(_), Standing::Rejected(_)) => "rejected",
            (Some(_), Standing::Accepted) => "accepted",
        }
    }

    /// The backend can be asked and told.
    pub(super) fn is_ready(&self) -> bool {
        self.connection.link().is_some() && self.registration.is_accepted()
    }

    /// A connection begins. One that only came back needs no boot where a transaction runs: some
    /// backends end transactions when a charge point boots.
    pub(super) fn connect(&mut self, now: Now, link: LinkId) {
        let liveness = Liveness::new(now.mono, self.registration.interval);
        self.connection.stands(now.mono, link, liveness);
        self.rpc.reset();
        self.silences = 0;
        self.retry_at = None;
        let boots = self.registration.wanted || self.transactions.open().next().is_none();
        if boots {
            self.registration.standing = Standing::Unknown(now.mono);
        } else {
            self.accept(now.mono);
        }
    }

    /// Words for the backend are void, and who waits for it is answered without it.
    pub(super) fn lose_connection(&mut self, context: &mut Context<'_>, at_once: bool) {
        self.connection.ended(context, &self.plan, at_once);
        self.registration.standing = Standing::Unknown(context.now.mono);
        self.rpc.reset();
        self.urgent.clear();
        self.replay.clear();
        self.triggered.clear();
        self.reset_at = None;
        self.come_back_at = None;
        self.leave_events();
        self.orders.clear();
        self.parts.clear();
        self.probe = None;
        self.answer_all_calls(context.now);
    }

    pub(super) fn disconnect(&mut self, context: &mut Context<'_>) {
        self.lose_connection(context, false);
    }

    /// Boots if that is due; true while nothing else may be said.
    pub(super) fn register(&mut self, context: &mut Context<'_>) -> bool {
        if self.is_to_boot_anew() {
            self.boot_again(context.now.mono);
        }
        let due = match self.registration.standing {
            Standing::Unknown(at) | Standing::Pending(at) | Standing::Rejected(at) => at,
            Standing::Accepted => return false,
        };
        if due <= context.now.mono {
            let payload = self.boot_payload();
            self.registration.outdated = false;
            self.call(context, "BootNotification", &payload, Asked::Boot);
        } else if let Standing::Pending(_) = self.registration.standing {
            self.tell_triggered(context);
        }
        true
    }

    /// A backend that has us pending hears what it asked for and nothing else.
    fn tell_triggered(&mut self, context: &mut Context<'_>) {
        if std::mem::take(&mut self.registration.beat_triggered) {
            self.beat(context);
            return;
        }
        while let Some(connector) = self.triggered.pop_first() {
            if let Some(payload) = self.status_of(context.now, connector) {
                self.call(context, "StatusNotification", &payload, Asked::Notice);
                return;
            }
        }
        let is_notice = |it: &mut Urgent| matches!(it, Urgent::Notice { .. });
        if let Some(Urgent::Notice { action, payload }) = self.urgent.pop_front_if(is_notice) {
            self.call(context, &action, &payload, Asked::Notice);
        }
    }

    /// The backend wants to hear how these connectors are.
    pub(super) fn trigger_status(&mut self, connectors: impl IntoIterator<Item = ConnectorId>) {
        if self.registration.is_accepted() {
            self.replay.extend(connectors);
        } else {
            self.triggered.extend(connectors);
        }
    }

    /// The charge point comes back after a reset.
    pub(super) fn end_reset(&mut self, context: &mut Context<'_>) {
        if self
            .reset_at
            .take_if(|at| *at <= context.now.mono)
            .is_some()
        {
            self.registration.wanted = true;
            let why = Some("on behalf of the central system");
            self.happened(context.now.wall, Event::ResetOrReboot, why);
            self.hang_up(context, "reset", true);
        }
    }

    /// The next connection, or this one at once, begins with a boot.
    pub(super) fn boot_again(&mut self, now: Mono) {
        self.registration.wanted = true;
        if self.connection.link().is_some() && self.registration.is_accepted() {
            self.registration.standing = Standing::Unknown(now);
        }
    }

    pub(super) fn take_registration(&mut self, now: Now, result: Result<&RawValue, CallFailure>) {
        let answer = result
            .ok()
            .and_then(|raw| messages::parse::<Booted>(raw).ok());
        let backend = &*self.plan.shown_url();
        let client_id = self.plan.client_id.as_str();
        let Some(answer) = answer else {
            warn!(
                backend,
                client_id, "the backend did not understand BootNotification; it is asked again"
            );
            self.registration.standing = Standing::Unknown(now.mono + ASK_AGAIN);
            return;
        };
        let interval = u64::try_from(answer.interval).ok().filter(|secs| *secs > 0);
        let interval = interval.map(|secs| Duration::from_secs(secs).min(LONGEST_INTERVAL));
        let again = now.mono + interval.unwrap_or(ASK_AGAIN);
        let time = answer.current_time.as_deref();
        let time = time.and_then(timestamp::parse_lenient).unwrap_or(now.wall);
        let offset = time.duration_since(now.wall);
        if offset.abs() > CLOCKS_AGREE {
            warn!(
                backend,
                client_id,
                offset_s = offset.as_secs(),
                "the clocks of the backend and of this machine differ"
            );
        }
        match answer.status {
            RegistrationStatus::Accepted => {
                info!(backend, client_id, "the backend accepted this charge point");
                self.keys.booted(answer.interval);
                self.remember_keys();
                self.registration.wanted = false;
                self.accept(now.mono);
            }
            RegistrationStatus::Pending => {
                warn!(
                    backend,
                    client_id, "the backend has this charge point pending"
                );
                self.registration.standing = Standing::Pending(again);
            }
            RegistrationStatus::Rejected => {
                warn!(
                    backend,
                    client_id, "the backend rejects this charge point: is client-id right?"
                );
                self.registration.standing = Standing::Rejected(again);
            }
        }
    }

    fn accept(&mut self, now: Mono) {
        self.registration.standing = Standing::Accepted;
        self.registration.interval = self.keys.heartbeat_interval().max(LEAST_INTERVAL);
        self.registration.next_heartbeat = now + self.registration.interval;
        if let Some(liveness) = self.connection.liveness() {
            liveness.expect(self.registration.interval);
            liveness.ping_every(self.keys.ping_interval());
        }
        self.replay.insert(WHOLE);
        self.replay
            .extend(self.members.iter().map(|it| it.connector));
        for evse in self.evses(false) {
            self.output(Output::Reachable { evse });
        }
        self.catch_up_on_log();
    }

    /// Some backends forget who booted; others call everything that they do not like insecure. True
    /// if a boot may help.
    pub(super) fn weigh_refusal(
        &mut self,
        now: Mono,
        asked: &Asked,
        failure: &CallFailure,
    ) -> bool {
        let lately = self
            .registration
            .repeated
            .is_some_and(|at| now.since(at) < BOOT_AGAIN);
        let helps = failure.code == ErrorCode::SecurityError && *asked != Asked::Boot && !lately;
        if helps {
            self.registration.repeated = Some(now);
            warn!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                "the backend wants a BootNotification first"
            );
            self.registration.wanted = true;
            self.registration.standing = Standing::Unknown(now);
        }
        helps
    }

    /// Sends a heartbeat if one is due, or to find out whether silence is that of a dead backend.
    pub(super) fn beat(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now.mono;
        let probe = self.probe.take();
        self.registration.interval = self.keys.heartbeat_interval().max(LEAST_INTERVAL);
        let soonest = now + self.registration.interval;
        self.registration.next_heartbeat = self.registration.next_heartbeat.min(soonest);
        if probe.is_none() && self.registration.next_heartbeat > now {
            return false;
        }
        self.registration.next_heartbeat = now + self.registration.interval;
        let payload = messages::write(&Heartbeat {});
        self.call(context, "Heartbeat", &payload, Asked::Heartbeat(probe));
        true
    }

    pub(super) fn take_heartbeat(
        &mut self,
        now: Now,
        probe: Option<EntryId>,
        result: Result<&RawValue, CallFailure>,
    ) {
        if let Some(entry) = probe {
            // It lives, and did not answer that message: that was an attempt.
            self.attempt_failed(now, entry, "no answer in time");
        }
        self.renew_certificate(now);
        let answer = result.ok();
        let answer = answer.and_then(|raw| messages::parse::<HeartbeatResponse>(raw).ok());
        if let Some(answer) = answer {
            let offset = answer.current_time.duration_since(now.wall);
            tracing::debug!(
                client_id = self.plan.client_id,
                offset_s = offset.as_secs(),
                "the backend's clock"
            );
        }
    }

    pub(super) fn registering_timeout(&self) -> Option<Mono> {
        self.connection.link()?;
        if !self.rpc.is_idle() {
            return None;
        }
        Some(match self.registration.standing {
            Standing::Unknown(at) | Standing::Pending(at) | Standing::Rejected(at) => at,
            Standing::Accepted => self.registration.next_heartbeat,
        })
    }

    pub(super) fn boot_later(&mut self, now: Mono) {
        self.registration.standing = Standing::Unknown(now + ASK_AGAIN);
    }

    /// The backend asked for it.
    pub(super) fn boot_now(&mut self, now: Mono) {
        self.registration.wanted = true;
        self.registration.standing = Standing::Unknown(now);
    }

    /// The backend asked for it.
    pub(super) fn beat_now(&mut self) {
        self.registration.beat_triggered = true;
        self.registration.next_heartbeat = Mono::START;
    }
}

/// What of the answer to BootNotification is needed.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Booted {
    #[serde(deserialize_with = "lenient::required")]
    status: RegistrationStatus,
    #[serde(default, deserialize_with = "lenient::or_default")]
    interval: i64,
    #[serde(default, deserialize_with = "lenient::optional")]
    current_time: Option<String>,
}
