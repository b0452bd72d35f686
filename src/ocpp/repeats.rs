//! Calls that a peer sends again because it got no answer (OCPP-J 1.6 §4.1.4): carried out once,
//! answered each time with the same words.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::frame::MessageId;

/// Answers that are kept for a peer that asks again.
const REMEMBERED: usize = 16;

/// Calls of the peer that may wait for their answers at the same time; OCPP-J allows one.
const AT_ONCE: usize = 16;

const BOOT_NOTIFICATION: &str = "BootNotification";

/// Its answer is the time of day, which must not be an old one.
const HEARTBEAT: &str = "Heartbeat";

/// The calls of a peer that are being carried out, and the last answers.
#[derive(Debug)]
pub(super) struct Repeats {
    in_progress: Vec<Fingerprint>,
    answered: VecDeque<Answered>,
}

/// Tells calls apart without keeping them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    id: u64,
    content: u64,
    repeatable: bool,
}

#[derive(Debug)]
struct Answered {
    call: Fingerprint,
    frame: String,
}

/// What to do with a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// Carry it out.
    New,
    /// Nothing: it is being carried out.
    InProgress,
    /// Send this answer again.
    Answered(&'a str),
    /// Tell the peer why not.
    Refuse(&'static str),
}

impl Repeats {
    pub(super) const fn new() -> Self {
        Self {
            in_progress: Vec::new(),
            answered: VecDeque::new(),
        }
    }

    /// No call of the peer waits for its answer.
    pub(super) fn is_answered(&self) -> bool {
        self.in_progress.is_empty()
    }

    pub(super) fn receive(&mut self, id: &MessageId, action: &str, payload: &str) -> Verdict<'_> {
        let call = Fingerprint {
            id: hash(id.raw()),
            content: hash((action, payload)),
            repeatable: action != BOOT_NOTIFICATION && action != HEARTBEAT,
        };
        if let Some(earlier) = self.in_progress.iter().find(|c| c.id == call.id) {
            return if *earlier == call {
                Verdict::InProgress
            } else {
                Verdict::Refuse("a call with this id is in progress")
            };
        }
        if self.in_progress.len() >= AT_ONCE {
            return Verdict::Refuse("too many calls at once");
        }
        if action == BOOT_NOTIFICATION {
            // The peer restarted and may count its message ids from 1 again.
            self.answered.clear();
        }
        if let Some(at) = self.answered.iter().position(|a| a.call == call) {
            let earlier = self.answered.get(at);
            return earlier.map_or(Verdict::New, |a| Verdict::Answered(&a.frame));
        }
        self.answered.retain(|a| a.call.id != call.id);
        self.in_progress.push(call);
        Verdict::New
    }

    /// Keeps the answer to a call in progress.
    pub(super) fn remember(&mut self, id: &MessageId, frame: &str) {
        let id = hash(id.raw());
        let Some(at) = self.in_progress.iter().position(|call| call.id == id) else {
            return;
        };
        let call = self.in_progress.swap_remove(at);
        if !call.repeatable {
            return;
        }
        if self.answered.len() >= REMEMBERED {
            self.answered.pop_front();
        }
        self.answered.push_back(Answered {
            call,
            frame: frame.to_owned(),
        });
    }

    pub(super) fn forget_in_progress(&mut self) {
        self.in_progress.clear();
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Frame, call_result, parse};
    use super::*;

    /// A connection with one peer, whose calls are answered with `{}`.
    struct Peer(Repeats);

    impl Peer {
        fn receive(&mut self, text: &str) -> (MessageId, Verdict<'_>) {
            let Ok(Frame::Call {
                id,
                action,
                payload,
            }) = parse(text)
            else {
                panic!("{text} is no call");
            };
            let verdict = self.0.receive(&id, action, payload.get());
            (id, verdict)
        }

        /// Whether it was carried out.
        fn carry_out(&mut self, text: &str) -> bool {
            let (id, verdict) = self.receive(text);
            let new = verdict == Verdict::New;
            if new {
                self.0.remember(&id, &call_result(&id, "{}"));
            }
            new
        }
    }

    const START: &str = r#"[2,"7","StartTransaction",{"connectorId":1}]"#;
    const OTHER: &str = r#"[2,"7","StartTransaction",{"connectorId":2}]"#;

    #[test]
    fn a_call_is_carried_out_once() {
        let mut peer = Peer(Repeats::new());
        let (id, verdict) = peer.receive(START);
        assert_eq!(verdict, Verdict::New);
        assert_eq!(peer.receive(START).1, Verdict::InProgress);
        peer.0.remember(&id, "answer");
        assert_eq!(peer.receive(START).1, Verdict::Answered("answer"));
    }

    #[test]
    fn the_id_of_a_call_in_progress_with_other_content_is_refused() {
        let mut peer = Peer(Repeats::new());
        peer.receive(START);
        assert!(matches!(peer.receive(OTHER).1, Verdict::Refuse(_)));
    }

    #[test]
    fn an_id_that_was_answered_before_with_other_content_is_a_new_call() {
        let mut peer = Peer(Repeats::new());
        assert!(peer.carry_out(START));
        assert!(peer.carry_out(OTHER));
        assert!(!peer.carry_out(OTHER));
        assert!(peer.carry_out(START));
    }

    #[test]
    fn a_wallbox_that_boots_again_with_the_same_ids_is_heard() {
        let mut peer = Peer(Repeats::new());
        for _ in 0..3 {
            assert!(peer.carry_out(r#"[2,"1","BootNotification",{}]"#));
            assert!(peer.carry_out(r#"[2,"2","StatusNotification",{"connectorId":1}]"#));
        }
    }

    #[test]
    fn a_heartbeat_never_gets_an_old_time() {
        let mut peer = Peer(Repeats::new());
        assert!(peer.carry_out(r#"[2,"9","Heartbeat",{}]"#));
        assert!(peer.carry_out(r#"[2,"9","Heartbeat",{}]"#));
    }

    #[test]
    fn old_answers_are_forgotten() {
        let mut peer = Peer(Repeats::new());
        for n in 0..=REMEMBERED {
            assert!(peer.carry_out(&format!(r#"[2,{n},"Authorize",{{}}]"#)));
        }
        assert!(!peer.carry_out(r#"[2,1,"Authorize",{}]"#));
        assert!(peer.carry_out(r#"[2,0,"Authorize",{}]"#));
    }

    #[test]
    fn a_peer_that_does_not_wait_for_answers_is_refused_in_the_end() {
        let mut peer = Peer(Repeats::new());
        for n in 0..AT_ONCE {
            let text = format!(r#"[2,{n},"Authorize",{{}}]"#);
            assert_eq!(peer.receive(&text).1, Verdict::New);
        }
        let (_, verdict) = peer.receive(r#"[2,"more","Authorize",{}]"#);
        assert!(matches!(verdict, Verdict::Refuse(_)), "{verdict:?}");
    }

    #[test]
    fn after_a_lost_connection_a_call_in_progress_is_new() {
        let mut peer = Peer(Repeats::new());
        peer.receive(START);
        peer.0.forget_in_progress();
        assert_eq!(peer.receive(START).1, Verdict::New);
    }
}
