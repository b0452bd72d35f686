//! The gate: nothing leaves for a wallbox before the records it rests on are on disk.
//!
//! Each device carries one number: the last record that it, or the sender of any message it took,
//! has written. A frame carries its device's number and leaves when that is committed, in order
//! per device. What lowers a current overtakes everything and never waits, and so does a question
//! that would be in its way: the fuse is never touched by the disk.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Mono;
use crate::ids::Seq;

/// A disk that does not answer holds a frame back for this long and no longer.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What one device still has to be sent.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// The last record this device rests on.
    rests_on: Seq,
    held: VecDeque<Held>,
}

#[derive(Debug)]
struct Held {
    rests_on: Seq,
    since: Mono,
    text: String,
}

impl Gate {
    /// The device, or somebody it listened to, wrote this record.
    pub(super) fn rest_on(&mut self, seq: Seq) {
        self.rests_on = self.rests_on.max(seq);
    }

    /// The last record this device rests on.
    pub(super) fn rests_on(&self) -> Seq {
        self.rests_on
    }

    /// Takes a frame; returns it if it may leave at once.
    pub(super) fn pass(
        &mut self,
        now: Mono,
        committed: Seq,
        lowers: bool,
        text: String,
    ) -> Option<String> {
        if lowers || (self.held.is_empty() && self.rests_on <= committed) {
            return Some(text);
        }
        self.held.push_back(Held {
            rests_on: self.rests_on,
            since: now,
            text,
        });
        None
    }

    /// The next held frame that may leave now.
    pub(super) fn release(&mut self, now: Mono, committed: Seq) -> Option<String> {
        let first = self.held.front()?;
        if first.rests_on <= committed || now.since(first.since) >= PATIENCE {
            return self.held.pop_front().map(|held| held.text);
        }
        None
    }

    /// Nothing waits to leave.
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When the patience with the disk ends.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        self.held.front().map(|held| held.since + PATIENCE)
    }

    /// The link is gone: what was held for it is void.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }
}

/// Whether a Modbus wallbox may be raised: not before the records that rest below it are on disk.
/// It decides itself what to write, so nothing is held back here that could grow old.
#[derive(Debug, Default)]
pub(super) struct Clearance {
    rests_on: Seq,
    /// Since when it has been waiting for the disk.
    since: Option<Mono>,
}

impl Clearance {
    /// The device, or somebody it listened to, wrote this record.
    pub(super) fn rest_on(&mut self, now: Mono, committed: Seq, seq: Seq) {
        if self.rests_on <= committed {
            self.since = None;
        }
        self.rests_on = self.rests_on.max(seq);
        if self.rests_on > committed {
            self.since.get_or_insert(now);
        }
    }

    /// The last record this device rests on.
    pub(super) fn rests_on(&self) -> Seq {
        self.rests_on
    }

    /// A raise may leave.
    pub(super) fn is_given(&self, now: Mono, committed: Seq) -> bool {
        let patient = |since: Mono| now.since(since) < PATIENCE;
        self.rests_on <= committed || !self.since.is_some_and(patient)
    }

    /// When the patience with the disk ends.
    pub(super) fn poll_timeout(&self, now: Mono, committed: Seq) -> Option<Mono> {
        let due = self.since.map(|since| since + PATIENCE);
        due.filter(|due| self.rests_on > committed && *due > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raise_is_cleared_by_the_commit_or_by_five_seconds_of_patience() {
        let mut clearance = Clearance::default();
        assert!(clearance.is_given(at(0), Seq(0)));
        clearance.rest_on(at(1), Seq(0), Seq(1));
        clearance.rest_on(at(3), Seq(0), Seq(2));
        assert!(!clearance.is_given(at(5), Seq(1)));
        assert!(clearance.is_given(at(5), Seq(2)));
        assert_eq!(clearance.poll_timeout(at(5), Seq(1)), Some(at(6)));
        assert!(clearance.is_given(at(6), Seq(1)));
        clearance.rest_on(at(20), Seq(2), Seq(3));
        assert!(!clearance.is_given(at(21), Seq(2)), "a new wait begins");
    }

    fn at(seconds: u64) -> Mono {
        Mono(Duration::from_secs(seconds))
    }

    #[test]
    fn a_frame_waits_until_what_it_rests_on_is_committed() {
        let mut gate = Gate::default();
        gate.rest_on(Seq(2));
        assert_eq!(gate.pass(at(0), Seq(1), false, "a".into()), None);
        assert_eq!(gate.release(at(1), Seq(1)), None);
        assert_eq!(gate.release(at(1), Seq(2)).as_deref(), Some("a"));
    }

    #[test]
    fn frames_of_one_device_keep_their_order() {
        let mut gate = Gate::default();
        gate.rest_on(Seq(2));
        assert_eq!(gate.pass(at(0), Seq(1), false, "a".into()), None);
        assert_eq!(
            gate.pass(at(0), Seq(2), false, "b".into()),
            None,
            "a is still held"
        );
        assert_eq!(gate.release(at(0), Seq(2)).as_deref(), Some("a"));
        assert_eq!(gate.release(at(0), Seq(2)).as_deref(), Some("b"));
    }

    #[test]
    fn what_lowers_a_current_overtakes_everything() {
        let mut gate = Gate::default();
        gate.rest_on(Seq(2));
        assert_eq!(gate.pass(at(0), Seq(0), false, "a".into()), None);
        assert_eq!(
            gate.pass(at(0), Seq(0), true, "less".into()).as_deref(),
            Some("less")
        );
    }

    #[test]
    fn a_broken_disk_delays_an_answer_by_five_seconds_at_most() {
        let mut gate = Gate::default();
        gate.rest_on(Seq(9));
        assert_eq!(gate.pass(at(10), Seq(0), false, "a".into()), None);
        assert_eq!(gate.poll_timeout(), Some(at(15)));
        assert_eq!(gate.release(at(14), Seq(0)), None);
        assert_eq!(gate.release(at(15), Seq(0)).as_deref(), Some("a"));
    }
}
