//! What a wallbox would hold against its central system (OCPP-J §4.1.1, §4.1.4).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::clock::Mono;

/// An unanswered CALL stands in the way of the next for this long, less what a line may be slower for the first than for the second.
const PATIENCE: Duration = Duration::from_secs(28);

/// A limit may be lowered past an unanswered CALL sooner.
const PATIENCE_FOR_LIMITS: Duration = Duration::from_secs(3);

/// How many message ids are remembered.
const REMEMBERED: usize = 1000;

/// How many complaints are kept.
const COMPLAINTS: usize = 100;

#[derive(Debug, Clone, Default)]
pub(super) struct Judge {
    violations: Vec<String>,
    open: BTreeMap<String, Mono>,
    seen: VecDeque<String>,
}

impl Judge {
    pub(super) fn violations(&self) -> &[String] {
        &self.violations
    }

    pub(super) fn complain(&mut self, what: String) {
        if self.violations.len() < COMPLAINTS {
            self.violations.push(what);
        }
    }

    /// A CALL came.
    pub(super) fn call(&mut self, now: Mono, id: &str, action: &str) {
        if id.is_empty() || id.chars().count() > 36 {
            self.complain(format!("{action} has the message id {id:?}"));
        }
        if self.seen.iter().any(|seen| seen == id) {
            self.complain(format!("{action} reuses the message id {id}"));
        }
        let patience = if action == "SetChargingProfile" {
            PATIENCE_FOR_LIMITS
        } else {
            PATIENCE
        };
        if self.open.values().any(|since| now.since(*since) < patience) {
            self.complain(format!(
                "{action} was sent while another CALL is unanswered"
            ));
        }
        if self.seen.len() >= REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id.to_owned());
        self.open.insert(id.to_owned(), now);
    }

    /// The wallbox answered.
    pub(super) fn answered(&mut self, id: &str) {
        self.open.remove(id);
    }

    /// The link went, and every open CALL with it.
    pub(super) fn disconnected(&mut self) {
        self.open.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_second_call_before_the_answer_is_held_against_the_central_system() {
        let mut judge = Judge::default();
        judge.call(at(0), "a", "GetConfiguration");
        judge.answered("a");
        judge.call(at(1), "b", "Reset");
        judge.call(at(31), "c", "Reset");
        assert!(judge.violations().is_empty());
        judge.call(at(36), "d", "SetChargingProfile");
        assert!(judge.violations().is_empty());
        judge.call(at(37), "e", "ClearCache");
        assert_eq!(judge.violations().len(), 1);
    }

    #[test]
    fn a_message_id_is_used_once_and_has_at_most_36_characters() {
        let mut judge = Judge::default();
        judge.call(at(0), "a", "Reset");
        judge.disconnected();
        judge.call(at(1), "a", "Reset");
        assert_eq!(judge.violations().len(), 1);
        judge.disconnected();
        judge.call(at(2), &"x".repeat(37), "Reset");
        assert_eq!(judge.violations().len(), 2);
    }
}
