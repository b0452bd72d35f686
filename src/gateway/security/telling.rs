//! How the backend is told what concerns security (`SecurityEventNotification`).

use jiff::{SignedDuration, Timestamp};
use tracing::info;

use crate::clock::Now;
use crate::ocpp::ErrorCode;
use crate::ocpp::rpc::CallFailure;

use super::super::gateway::{Asked, Gateway};
use super::super::io::Context;
use super::events::Event;

/// What cannot be understood is reported so often at the most.
const SPARSELY: SignedDuration = SignedDuration::from_hours(1);

impl Gateway {
    /// The backend should hear of it.
    pub(in crate::gateway) fn happened(&mut self, at: Timestamp, event: Event, info: Option<&str>) {
        if self.events.happened(at, event, info) {
            info!(
                backend = &*self.plan.shown_url(),
                client_id = self.plan.client_id,
                // What belongs to a SecurityLog is told by this field.
                security_event = event.name(),
                info,
                "this concerns security"
            );
        }
        self.remember_events();
    }

    /// Password, certificate or trust changed.
    pub(in crate::gateway) fn reconfigured(&mut self, now: Now, what: &str) {
        let event = Event::ReconfigurationOfSecurityParameters;
        self.happened(now.wall, event, Some(what));
    }

    /// The backend said something that makes no sense.
    pub(in crate::gateway) fn misunderstood(&mut self, now: Now) {
        let recently = |at: Timestamp| now.wall.duration_since(at).abs() < SPARSELY;
        if !self.misunderstood_at.is_some_and(recently) {
            self.misunderstood_at = Some(now.wall);
            self.happened(now.wall, Event::InvalidMessages, None);
        }
    }

    /// The wallbox says it. It speaks for the charge point only where it is the charge point.
    pub(in crate::gateway) fn hear_event(&mut self, payload: &str) {
        if self.members.shows_whole() {
            let ready = self.is_ready();
            self.events.heard(payload, ready);
            self.remember_events();
        }
    }

    /// Says the next one; false if there is none.
    pub(in crate::gateway) fn tell_event(&mut self, context: &mut Context<'_>) -> bool {
        let Some(payload) = self.events.next() else {
            return false;
        };
        self.call(context, "SecurityEventNotification", &payload, Asked::Event);
        true
    }

    pub(in crate::gateway) fn take_event_answer(&mut self, failure: Option<&CallFailure>) {
        match failure.map(|failure| failure.code) {
            Some(ErrorCode::NotImplemented | ErrorCode::NotSupported) => self.events.unknown(),
            // Whatever it is, the backend has heard it.
            _ => self.events.answered(),
        }
        self.remember_events();
    }

    pub(in crate::gateway) fn give_up_event(&mut self) {
        self.events.silence();
        self.remember_events();
    }

    pub(in crate::gateway) fn leave_events(&mut self) {
        self.events.left();
        self.remember_events();
    }

    fn remember_events(&mut self) {
        let memory = self.events.memory();
        self.remember_text("events", &memory);
    }
}
