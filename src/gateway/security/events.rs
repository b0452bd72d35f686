//! What happened that concerns security, on its way to the backend.

use std::collections::VecDeque;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ocpp::messages::{self, SecurityEventNotification};
use crate::ocpp::timestamp;

/// So many wait; then the oldest are left out.
const MOST: usize = 32;

/// A message that was sent so often and met silence, or the end of the connection, is given up.
const ATTEMPTS: u8 = 3;

const LONGEST_INFO: usize = 255;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum Event {
    /// We began.
    StartupOfTheDevice,
    /// The backend had us begin anew.
    ResetOrReboot,
    /// Password, certificate or trust changed.
    ReconfigurationOfSecurityParameters,
    /// The backend says things that make no sense.
    InvalidMessages,
    /// The backend did not take our password.
    FailedToAuthenticateAtCentralSystem,
    /// The backend's certificate is not trusted.
    InvalidCentralSystemCertificate,
    /// A certificate for our key is of no use.
    InvalidChargePointCertificate,
}

impl Event {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::StartupOfTheDevice => "StartupOfTheDevice",
            Self::ResetOrReboot => "ResetOrReboot",
            Self::ReconfigurationOfSecurityParameters => "ReconfigurationOfSecurityParameters",
            Self::InvalidMessages => "InvalidMessages",
            Self::FailedToAuthenticateAtCentralSystem => "FailedToAuthenticateAtCentralSystem",
            Self::InvalidCentralSystemCertificate => "InvalidCentralSystemCertificate",
            Self::InvalidChargePointCertificate => "InvalidChargePointCertificate",
        }
    }
}

/// Of all events, those that the backend must hear, however late.
const CRITICAL: [&str; 7] = [
    "FirmwareUpdated",
    "SettingSystemTime",
    "StartupOfTheDevice",
    "ResetOrReboot",
    "SecurityLogWasCleared",
    "MemoryExhaustion",
    "TamperDetectionActivated",
];

/// A message that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    payload: String,
    kind: String,
    #[serde(default)]
    attempts: u8,
}

impl Waiting {
    fn is_critical(&self) -> bool {
        CRITICAL.contains(&self.kind.as_str())
    }
}

/// What the backend is to be told, in this order.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Events {
    waiting: VecDeque<Waiting>,
    /// The first is on its way.
    asked: bool,
    /// The backend does not understand it, or does not answer: not again on this connection.
    muted: bool,
}

impl Events {
    /// With what [`memory`](Self::memory) returned before the restart.
    pub(in crate::gateway) fn recover(memory: Option<&str>) -> Self {
        let waiting = memory.and_then(|json| serde_json::from_str(json).ok());
        Self {
            waiting: waiting.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// What must outlive a restart, as JSON.
    pub(in crate::gateway) fn memory(&self) -> String {
        let critical = self.waiting.iter().filter(|it| it.is_critical());
        messages::write(&critical.collect::<Vec<_>>())
    }

    /// Something happened here; false where it is no news.
    pub(super) fn happened(&mut self, at: Timestamp, event: Event, info: Option<&str>) -> bool {
        let info = info.map(|info| info.chars().take(LONGEST_INFO).collect());
        let payload = messages::write(&SecurityEventNotification {
            kind: event.name().to_owned(),
            timestamp: timestamp::format(at),
            tech_info: info,
        });
        // What goes on and on is said once.
        let mut waiting = self.waiting.iter();
        let is_news = !waiting.any(|it| it.kind == event.name() && !it.is_critical());
        if is_news {
            self.add(event.name().to_owned(), payload);
        }
        is_news
    }

    /// A wallbox said it, which waits only where it is critical or the backend is there.
    pub(super) fn heard(&mut self, payload: &str, ready: bool) {
        let said = serde_json::from_str::<SecurityEventNotification>(payload);
        let kind = said.map(|said| said.kind).unwrap_or_default();
        if ready || CRITICAL.contains(&kind.as_str()) {
            self.add(kind, payload.to_owned());
        }
    }

    fn add(&mut self, kind: String, payload: String) {
        let event = Waiting {
            payload,
            kind,
            attempts: 0,
        };
        self.waiting.push_back(event);
        if self.waiting.len() > MOST {
            let first = usize::from(self.asked);
            let mut places = first..self.waiting.len();
            let place = places.find(|it| self.waiting.get(*it).is_some_and(|it| !it.is_critical()));
            self.waiting.remove(place.unwrap_or(first));
        }
    }

    /// What is to be said now.
    pub(super) fn next(&mut self) -> Option<String> {
        let event = self.waiting.front().filter(|_| !self.muted)?;
        self.asked = true;
        Some(event.payload.clone())
    }

    /// The backend has it, or made clear that it never will.
    pub(super) fn answered(&mut self) {
        if std::mem::take(&mut self.asked) {
            self.waiting.pop_front();
        }
    }

    /// The backend does not know the message.
    pub(super) fn unknown(&mut self) {
        self.asked = false;
        self.muted = true;
        self.waiting.clear();
    }

    /// The backend does not answer it.
    pub(super) fn silence(&mut self) {
        self.muted = true;
        if std::mem::take(&mut self.asked)
            && let Some(first) = self.waiting.front_mut()
        {
            first.attempts += 1;
            if first.attempts >= ATTEMPTS {
                self.waiting.pop_front();
            }
        }
    }

    /// A connection ended: what is not critical is not news any more.
    pub(super) fn left(&mut self) {
        self.silence();
        self.waiting.retain(Waiting::is_critical);
        self.muted = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn happen(events: &mut Events, event: Event) {
        events.happened(Timestamp::UNIX_EPOCH, event, None);
    }

    fn kind(payload: &str) -> String {
        let said: SecurityEventNotification = serde_json::from_str(payload).unwrap();
        said.kind
    }

    #[test]
    fn what_is_critical_waits_over_a_restart_and_the_rest_does_not() {
        let mut events = Events::default();
        happen(&mut events, Event::StartupOfTheDevice);
        happen(&mut events, Event::InvalidMessages);
        let mut events = Events::recover(Some(&events.memory()));
        assert_eq!(kind(&events.next().unwrap()), "StartupOfTheDevice");
        events.answered();
        assert_eq!(events.next(), None);
    }

    #[test]
    fn what_a_connection_ended_over_is_tried_three_times() {
        let mut events = Events::default();
        happen(&mut events, Event::ResetOrReboot);
        for _ in 0..3 {
            assert!(events.next().is_some());
            events.left();
        }
        assert_eq!(events.next(), None);
    }

    #[test]
    fn a_backend_that_does_not_know_it_hears_no_more_on_this_connection() {
        let mut events = Events::default();
        happen(&mut events, Event::ResetOrReboot);
        events.next();
        events.unknown();
        happen(&mut events, Event::ResetOrReboot);
        assert_eq!(events.next(), None);
        events.left();
        assert!(events.next().is_some(), "the next one may know it");
    }

    #[test]
    fn what_repeats_itself_is_said_once_and_what_is_critical_each_time() {
        let mut events = Events::default();
        for _ in 0..100 {
            happen(&mut events, Event::InvalidMessages);
        }
        assert_eq!(events.waiting.len(), 1);
        for _ in 0..100 {
            happen(&mut events, Event::ResetOrReboot);
        }
        assert_eq!(events.waiting.len(), MOST);
        assert!(events.waiting.iter().all(Waiting::is_critical));
    }

    #[test]
    fn the_words_of_a_wallbox_are_kept_as_they_are() {
        let said = r#"{"type":"TamperDetectionActivated", "timestamp":"2026-06-01T12:00:00Z"}"#;
        let mut events = Events::default();
        events.heard(said, false);
        events.heard(&said.replace("Tamper", "X"), false);
        assert_eq!(events.next().as_deref(), Some(said));
        events.answered();
        assert_eq!(events.next(), None);
    }
}
