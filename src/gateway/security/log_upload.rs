//! [`LogUpload`]: our log on its way to where the backend wants it.
//!
//! There is one at a time, and it outlives neither a restart nor a new configuration: a backend that
//! asks how it stands (`ExtendedTriggerMessage`) hears that there is none, and can ask for it again.

use std::fmt;
use std::time::Duration;

use crate::clock::{Mono, Timestamp};
use crate::modbus::host_and_port;
use crate::ocpp::messages::{GetLog, LogStatusNotification, LogType, UploadLogStatus};
use crate::ocpp::timestamp;

/// More attempts, where the backend does not say how many.
const RETRIES: u32 = 2;

const MOST_RETRIES: u32 = 10;

/// Between two attempts, where the backend does not say how long.
const PAUSE: Duration = Duration::from_mins(1);

const SHORTEST_PAUSE: Duration = Duration::from_secs(10);

const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Of the client id in the name of a file; the whole name may have 255 characters.
const LONGEST_ID: usize = 200;

/// One attempt to upload a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadOrder {
    /// Comes back with the outcome.
    pub attempt: u64,
    /// Where to.
    pub location: Location,
    /// What the backend was told that the file is called.
    pub filename: String,
    /// Which log.
    pub log_type: LogType,
    /// Nothing that is older.
    pub oldest: Option<Timestamp>,
    /// Nothing that is newer.
    pub latest: Option<Timestamp>,
    /// Whom to trust beside `ca`, PEM.
    pub roots: Vec<String>,
}

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadOutcome {
    /// The server has it.
    Uploaded,
    /// The server does not allow it.
    PermissionDenied,
    /// The server takes no uploads.
    NotSupported,
    /// It came to nothing this time.
    Failed,
}

/// A URL with `http` or `https` and a host. It may hold a password: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Location(String);

impl Location {
    /// `None` where it is not such a URL.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://")?;
        let is_known = ["http", "https"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(scheme));
        let authority = rest.split(['/', '?', '#']).next()?;
        let host = authority.rsplit_once('@').map_or(authority, |(_, it)| it);
        host_and_port(host)?;
        let is_plain = host.bytes().all(|it| it.is_ascii_graphic());
        (is_known && is_plain).then(|| Self(text.to_owned()))
    }

    /// The URL itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Our log on its way to where the backend wants it.
#[derive(Debug, Default)]
pub(in crate::gateway) struct LogUpload {
    current: Option<Current>,
    /// Attempts so far, over all uploads.
    attempts: u64,
    /// What the backend could not be told, because it was away.
    untold: Option<LogStatusNotification>,
}

#[derive(Debug)]
struct Current {
    request: i64,
    order: UploadOrder,
    retries: u32,
    pause: Duration,
    /// When the next attempt begins; `None` while one is made.
    due: Option<Mono>,
}

impl LogUpload {
    /// Begins with another one; true where that ends one that was under way.
    pub(super) fn begin(
        &mut self,
        now: Mono,
        said: &GetLog,
        location: Location,
        name: &str,
    ) -> bool {
        let retries = said.retries.map_or(RETRIES, |it| {
            u32::try_from(it.max(0)).map_or(MOST_RETRIES, |it| it.min(MOST_RETRIES))
        });
        let pause = said.retry_interval.map_or(PAUSE, |it| {
            let seconds = u64::try_from(it).unwrap_or(0);
            Duration::from_secs(seconds).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)
        });
        let order = UploadOrder {
            attempt: self.attempts,
            location,
            filename: name.to_owned(),
            log_type: said.log_type,
            oldest: said.log.oldest_timestamp,
            latest: said.log.latest_timestamp,
            roots: Vec::new(),
        };
        self.untold = None;
        let before = self.current.replace(Current {
            request: said.request_id,
            order,
            retries,
            pause,
            due: Some(now),
        });
        before.is_some()
    }

    /// The attempt that is to be made now.
    pub(super) fn next(&mut self, now: Mono) -> Option<UploadOrder> {
        let current = self.current.as_mut()?;
        current.due.take_if(|at| *at <= now)?;
        self.attempts += 1;
        current.order.attempt = self.attempts;
        Some(current.order.clone())
    }

    /// What came of an attempt; returns what the backend is to be told. Nothing where there will be
    /// another attempt, or where the upload that this belongs to was cancelled.
    pub(super) fn take(
        &mut self,
        now: Mono,
        attempt: u64,
        outcome: UploadOutcome,
    ) -> Option<LogStatusNotification> {
        let is_it = |it: &mut Current| it.due.is_none() && it.order.attempt == attempt;
        let mut current = self.current.take_if(is_it)?;
        let status = match outcome {
            UploadOutcome::Failed if current.retries > 0 => {
                current.retries -= 1;
                current.due = Some(now + current.pause);
                self.current = Some(current);
                return None;
            }
            UploadOutcome::Failed => UploadLogStatus::UploadFailure,
            UploadOutcome::Uploaded => UploadLogStatus::Uploaded,
            // Neither changes by waiting.
            UploadOutcome::PermissionDenied => UploadLogStatus::PermissionDenied,
            UploadOutcome::NotSupported => UploadLogStatus::NotSupportedOperation,
        };
        Some(LogStatusNotification {
            status,
            request_id: Some(current.request),
        })
    }

    /// How it stands.
    pub(super) fn status(&self) -> LogStatusNotification {
        let request = self.current.as_ref().map(|it| it.request);
        LogStatusNotification {
            status: match request {
                Some(_) => UploadLogStatus::Uploading,
                None => UploadLogStatus::Idle,
            },
            request_id: request,
        }
    }

    /// The backend is to be told when it is back.
    pub(super) fn keep(&mut self, status: LogStatusNotification) {
        self.untold = Some(status);
    }

    /// The backend is back.
    pub(super) fn untold(&mut self) -> Option<LogStatusNotification> {
        self.untold.take()
    }

    pub(in crate::gateway) fn poll_timeout(&self) -> Option<Mono> {
        self.current.as_ref()?.due
    }
}

/// What a log is called: letters, digits, dots, dashes and underscores, at most 255 of them.
pub(super) fn file_name(client_id: &str, now: Timestamp) -> String {
    let is_safe = |it: char| it.is_ascii_alphanumeric() || "-._".contains(it);
    let id: String = client_id
        .chars()
        .take(LONGEST_ID)
        .map(|it| if is_safe(it) { it } else { '_' })
        .collect();
    let time = timestamp::format(now).replace(['-', ':'], "");
    format!("chargewarden_{id}_{time}.log")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocpp::messages::LogParameters;

    const TO: &str = "https://user:secret@h/logs/?token=hidden";

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    fn wanted(request: i64, retries: Option<i64>, pause: Option<i64>) -> GetLog {
        GetLog {
            log: LogParameters {
                remote_location: TO.to_owned(),
                oldest_timestamp: None,
                latest_timestamp: None,
            },
            log_type: LogType::SecurityLog,
            request_id: request,
            retries,
            retry_interval: pause,
        }
    }

    fn begin(upload: &mut LogUpload, said: &GetLog) -> bool {
        upload.begin(at(0), said, Location::parse(TO).unwrap(), "x.log")
    }

    /// When attempts were made, where each fails at once, and what the backend is told.
    fn failures(retries: Option<i64>, pause: Option<i64>) -> (Vec<u64>, LogStatusNotification) {
        let mut upload = LogUpload::default();
        begin(&mut upload, &wanted(7, retries, pause));
        let mut made = Vec::new();
        loop {
            let now = upload.poll_timeout().expect("another attempt");
            let order = upload.next(now).expect("it is due");
            assert_eq!(upload.next(now), None, "one at a time");
            made.push(now.0.as_secs());
            if let Some(told) = upload.take(now, order.attempt, UploadOutcome::Failed) {
                assert_eq!(upload.poll_timeout(), None);
                return (made, told);
            }
        }
    }

    #[test]
    fn what_fails_is_tried_again_as_often_as_the_backend_says_within_limits() {
        for (retries, pause, expected) in [
            (None, None, vec![0, 60, 120]),
            (Some(0), None, vec![0]),
            (Some(-3), Some(5), vec![0]),
            (Some(1), Some(-5), vec![0, 10]),
            (Some(1), Some(99_999), vec![0, 3600]),
            (Some(2), Some(30), vec![0, 30, 60]),
        ] {
            let (made, told) = failures(retries, pause);
            assert_eq!(made, expected, "{retries:?} {pause:?}");
            assert_eq!(told.status, UploadLogStatus::UploadFailure);
            assert_eq!(told.request_id, Some(7));
        }
        for many in [11, i64::from(u32::MAX) + 7, i64::MAX] {
            assert_eq!(failures(Some(many), Some(10)).0.len(), 11, "{many}");
        }
    }

    #[test]
    fn what_a_server_refuses_is_not_tried_again() {
        for (outcome, expected) in [
            (UploadOutcome::Uploaded, UploadLogStatus::Uploaded),
            (
                UploadOutcome::PermissionDenied,
                UploadLogStatus::PermissionDenied,
            ),
            (
                UploadOutcome::NotSupported,
                UploadLogStatus::NotSupportedOperation,
            ),
        ] {
            let mut upload = LogUpload::default();
            begin(&mut upload, &wanted(1, Some(5), None));
            let order = upload.next(at(0)).unwrap();
            let told = upload.take(at(1), order.attempt, outcome);
            assert_eq!(told.map(|it| it.status), Some(expected));
            assert_eq!(upload.status().status, UploadLogStatus::Idle);
            assert_eq!(upload.take(at(2), order.attempt, outcome), None, "twice");
        }
    }

    #[test]
    fn the_answer_to_a_cancelled_attempt_says_nothing() {
        let mut upload = LogUpload::default();
        assert!(!begin(&mut upload, &wanted(1, None, None)));
        let first = upload.next(at(0)).unwrap();
        assert!(begin(&mut upload, &wanted(2, None, None)));
        let void = upload.take(at(1), first.attempt, UploadOutcome::Uploaded);
        assert_eq!(void, None, "before the next attempt");
        let second = upload.next(at(1)).unwrap();
        let void = upload.take(at(2), first.attempt, UploadOutcome::Uploaded);
        assert_eq!(void, None, "and after it");
        assert_eq!(upload.status().request_id, Some(2));
        let told = upload.take(at(3), second.attempt, UploadOutcome::Uploaded);
        assert_eq!(told.unwrap().request_id, Some(2));
    }

    #[test]
    fn only_http_and_https_are_places_for_a_log() {
        for good in [TO, "HTTP://h", "http://[::1]:81/x", " https://h?x=/@y "] {
            let location = Location::parse(good).unwrap();
            assert_eq!(location.expose(), good.trim());
            assert!(!format!("{location:?}").contains('h'), "{location:?}");
        }
        for bad in [
            "",
            "h/x",
            "ftp://h/x",
            "sftp://h/x",
            "file:///etc/passwd",
            "http://",
            "http:///x",
            "http://h:0",
            "http://a b/",
            "http://hüh/",
            "https://user:secret@/x",
        ] {
            assert_eq!(Location::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_name_of_a_file_is_safe_and_short() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let name = file_name("DE*ABC/../E1", now);
        assert_eq!(name, "chargewarden_DE_ABC_.._E1_20261122T100000Z.log");
        assert!(file_name(&"ü".repeat(999), now).len() <= 255);
    }
}
