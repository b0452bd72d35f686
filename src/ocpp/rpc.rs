//! Calls and answers over one connection (OCPP-J 1.6 §4.1): one call of ours at a time, every call
//! of the peer carried out once and answered once.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::value::RawValue;

use super::error_code::ErrorCode;
use super::frame::{self, Frame, Malformed, MessageId};
use super::repair::repair;
use super::repeats::{Repeats, Verdict};
use crate::clock::Mono;

/// Calls of ours whose answers may still come although they were given up: some wallboxes take a
/// minute for each.
const LATE: usize = 4;

/// Both directions of a connection. `T` is what the owner wants back with the answer to a call.
#[derive(Debug)]
pub struct Rpc<T> {
    outstanding: Option<Outstanding<T>>,
    /// Given up, oldest first.
    late: VecDeque<Outstanding<T>>,
    /// Late answers stay welcome whatever happens meanwhile.
    patient: bool,
    repeats: Repeats,
}

#[derive(Debug)]
struct Outstanding<T> {
    id: String,
    token: T,
    since: Mono,
    until: Mono,
}

/// What a received text means.
#[derive(Debug)]
pub enum Received<'a, T> {
    /// To be carried out, and answered with [`Rpc::answer`] or [`Rpc::refuse`] once.
    Call {
        /// To be named in the answer.
        id: MessageId,
        /// What is asked for; any text.
        action: &'a str,
        /// Any JSON.
        payload: &'a RawValue,
    },
    /// A call that came before: its answer, to be sent again, or `None` while it is carried out.
    Repeated(Option<String>),
    /// The answer to our call; the next may be made.
    Answer {
        /// What [`Rpc::call`] was given.
        token: T,
        /// The payload of a CALLRESULT, or why there is none.
        result: Result<&'a RawValue, CallFailure>,
    },
    /// Not to be carried out; the CALLERROR to send.
    Refuse(String),
    /// Nothing to do, and why.
    Ignore(&'static str),
}

/// A CALLERROR to a call of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallFailure {
    /// Why.
    pub code: ErrorCode,
    /// Why, in the words of the peer; may be empty.
    pub description: String,
    /// JSON, as the peer wrote it.
    pub details: String,
}

impl CallFailure {
    /// Without details.
    pub fn new(code: ErrorCode, description: &str) -> Self {
        Self {
            code,
            description: description.to_owned(),
            details: "{}".to_owned(),
        }
    }
}

impl<T> Rpc<T> {
    /// Of a new connection.
    pub const fn new() -> Self {
        Self {
            outstanding: None,
            late: VecDeque::new(),
            patient: false,
            repeats: Repeats::new(),
        }
    }

    /// Of the connections to a peer that may answer very late and over its next connection: the
    /// last few calls that were given up are remembered until they are answered.
    pub const fn patient() -> Self {
        let mut rpc = Self::new();
        rpc.patient = true;
        rpc
    }

    /// Whether a call may be made.
    pub const fn is_idle(&self) -> bool {
        self.outstanding.is_none()
    }

    /// Whether neither side waits for an answer.
    pub fn is_at_rest(&self) -> bool {
        self.is_idle() && self.repeats.is_answered()
    }

    /// The call of ours that is not answered yet, and since when.
    pub fn outstanding(&self) -> Option<(&T, Mono)> {
        self.outstanding
            .as_ref()
            .map(|call| (&call.token, call.since))
    }

    /// Makes a call and returns the frame to send. `id` is new (OCPP-J errata: for the life of the
    /// peer), `payload` is JSON. Only while [idle](Self::is_idle): an older call is given up.
    pub fn call(
        &mut self,
        now: Mono,
        id: String,
        action: &str,
        payload: &str,
        timeout: Duration,
        token: T,
    ) -> String {
        debug_assert!(self.is_idle(), "one call at a time");
        let text = frame::call(&id, action, payload);
        self.outstanding = Some(Outstanding {
            id,
            token,
            since: now,
            until: now + timeout,
        });
        text
    }

    /// Takes a received text. If it can be read only after a repair, the repaired text is put into
    /// `repaired`, which is to be empty before and stays so otherwise.
    pub fn handle<'a>(&mut self, text: &'a str, repaired: &'a mut String) -> Received<'a, T> {
        let malformed = match frame::parse(text) {
            Ok(frame) => return self.handle_frame(frame),
            Err(malformed) => malformed,
        };
        if let Some(mended) = repair(text) {
            *repaired = mended;
            let repaired: &'a str = repaired;
            if let Ok(frame) = frame::parse(repaired) {
                return self.handle_frame(frame);
            }
        }
        match malformed {
            Malformed::Call { id, why } => Received::Refuse(frame::call_error(
                &id,
                ErrorCode::FormationViolation,
                why,
                "{}",
            )),
            Malformed::Answer { id, why } => self.handle_answer(
                &id,
                Err(CallFailure::new(ErrorCode::FormationViolation, why)),
            ),
            Malformed::Nameless(why) => Received::Ignore(why),
        }
    }

    fn handle_frame<'a>(&mut self, frame: Frame<'a>) -> Received<'a, T> {
        match frame {
            Frame::Call {
                id,
                action,
                payload,
            } => self.handle_call(id, action, payload),
            Frame::CallResult { id, payload } => self.handle_answer(&id, Ok(payload)),
            Frame::CallError {
                id,
                code,
                description,
                details,
            } => self.handle_answer(
                &id,
                Err(CallFailure {
                    code,
                    description: description.into_owned(),
                    details: details.get().to_owned(),
                }),
            ),
        }
    }

    fn handle_call<'a>(
        &mut self,
        id: MessageId,
        action: &'a str,
        payload: &'a RawValue,
    ) -> Received<'a, T> {
        match self.repeats.receive(&id, action, payload.get()) {
            Verdict::New => Received::Call {
                id,
                action,
                payload,
            },
            Verdict::InProgress => Received::Repeated(None),
            Verdict::Answered(frame) => Received::Repeated(Some(frame.to_owned())),
            Verdict::Refuse(why) => {
                Received::Refuse(frame::call_error(&id, ErrorCode::GenericError, why, "{}"))
            }
        }
    }

    fn handle_answer<'a>(
        &mut self,
        id: &MessageId,
        result: Result<&'a RawValue, CallFailure>,
    ) -> Received<'a, T> {
        let in_time = self.outstanding.take_if(|call| id.text() == call.id);
        let call = if in_time.is_some() {
            // Answers come in order: what was asked before will not be answered any more.
            if !self.patient {
                self.late.clear();
            }
            in_time
        } else {
            let at = self.late.iter().position(|call| id.text() == call.id);
            at.and_then(|at| {
                if self.patient {
                    self.late.remove(at)
                } else {
                    self.late.drain(..=at).next_back()
                }
            })
        };
        match call {
            Some(Outstanding { token, .. }) => Received::Answer { token, result },
            None => Received::Ignore("an answer that nobody waits for"),
        }
    }

    /// The CALLRESULT to a [`Received::Call`]; `payload` is JSON.
    pub fn answer(&mut self, id: &MessageId, payload: &str) -> String {
        let frame = frame::call_result(id, payload);
        self.repeats.remember(id, &frame);
        frame
    }

    /// The CALLERROR to a [`Received::Call`].
    pub fn refuse(&mut self, id: &MessageId, why: &CallFailure) -> String {
        let frame = frame::call_error(id, why.code, &why.description, &why.details);
        self.repeats.remember(id, &frame);
        frame
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.outstanding.as_ref().map(|call| call.until)
    }

    /// Gives up the call of ours whose time is over: its token. A late answer is still understood,
    /// until a later call is answered.
    pub fn handle_timeout(&mut self, now: Mono) -> Option<T>
    where
        T: Clone,
    {
        let call = self.outstanding.take_if(|call| call.until <= now)?;
        let token = call.token.clone();
        self.keep_late(call);
        Some(token)
    }

    /// Gives up the call of ours, whatever its time, like [`handle_timeout`](Self::handle_timeout).
    pub fn give_up(&mut self) -> Option<T>
    where
        T: Clone,
    {
        let call = self.outstanding.take()?;
        let token = call.token.clone();
        self.keep_late(call);
        Some(token)
    }

    fn keep_late(&mut self, call: Outstanding<T>) {
        if self.late.len() >= LATE {
            self.late.pop_front();
        }
        self.late.push_back(call);
    }

    /// The connection is gone: nothing is outstanding, nothing is owed. Given answers stay known,
    /// because a peer that did not get one asks again over its next connection.
    pub fn reset(&mut self) -> Option<T> {
        if self.patient {
            // Some backends count their messages anew on each connection.
            self.repeats = Repeats::new();
        } else {
            self.repeats.forget_in_progress();
            self.late.clear();
        }
        self.outstanding.take().map(|call| call.token)
    }
}

impl<T> Default for Rpc<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(30);

    /// What a text led to, for comparison; `Call` carries the id that is to be answered.
    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        Call(MessageId, String, String),
        Repeated(Option<String>),
        Answer(u8, Result<String, CallFailure>),
        Refuse(String),
        Ignore,
    }

    fn handle(rpc: &mut Rpc<u8>, text: &str) -> Seen {
        match rpc.handle(text, &mut String::new()) {
            Received::Call {
                id,
                action,
                payload,
            } => Seen::Call(id, action.to_owned(), payload.get().to_owned()),
            Received::Repeated(frame) => Seen::Repeated(frame),
            Received::Answer { token, result, .. } => {
                Seen::Answer(token, result.map(|payload| payload.get().to_owned()))
            }
            Received::Refuse(frame) => Seen::Refuse(frame),
            Received::Ignore(_) => Seen::Ignore,
        }
    }

    fn call(rpc: &mut Rpc<u8>, text: &str) -> MessageId {
        match handle(rpc, text) {
            Seen::Call(id, ..) => id,
            other => panic!("{text} is {other:?}"),
        }
    }

    fn ask(rpc: &mut Rpc<u8>, id: &str, token: u8) -> String {
        rpc.call(Mono::START, id.to_owned(), "Reset", "{}", TIMEOUT, token)
    }

    const START: &str = r#"[2,"7","StartTransaction",{"connectorId":1}]"#;

    #[test]
    fn an_answer_comes_back_with_the_token_of_its_call() {
        let mut rpc = Rpc::new();
        assert_eq!(ask(&mut rpc, "a", 1), r#"[2,"a","Reset",{}]"#);
        assert!(!rpc.is_idle());
        assert_eq!(rpc.outstanding(), Some((&1, Mono::START)));
        let seen = handle(&mut rpc, r#"[3,"a",{"status":"Accepted"}]"#);
        assert_eq!(seen, Seen::Answer(1, Ok(r#"{"status":"Accepted"}"#.into())));
        assert!(rpc.is_idle());
    }

    #[test]
    fn an_error_is_an_answer_too() {
        let mut rpc = Rpc::new();
        ask(&mut rpc, "a", 1);
        let failure = CallFailure::new(ErrorCode::NotSupported, "no");
        let seen = handle(&mut rpc, r#"[4,"a","NotSupported","no",{}]"#);
        assert_eq!(seen, Seen::Answer(1, Err(failure)));
    }

    #[test]
    fn an_unreadable_answer_ends_the_wait_and_is_never_answered() {
        let mut rpc = Rpc::new();
        ask(&mut rpc, "a", 1);
        assert_eq!(handle(&mut rpc, r#"[3,"b",{"x"]"#), Seen::Ignore);
        let seen = handle(&mut rpc, r#"[3,"a",{"x"]"#);
        assert!(matches!(seen, Seen::Answer(1, Err(_))), "{seen:?}");
    }

    #[test]
    fn late_answers_are_understood_foreign_and_second_ones_ignored() {
        let mut rpc = Rpc::new();
        assert_eq!(handle(&mut rpc, r#"[3,"a",{}]"#), Seen::Ignore);
        ask(&mut rpc, "a", 1);
        assert_eq!(rpc.handle_timeout(Mono(TIMEOUT / 2)), None);
        assert_eq!(rpc.poll_timeout(), Some(Mono(TIMEOUT)));
        assert_eq!(rpc.handle_timeout(Mono(TIMEOUT)), Some(1));
        assert_eq!(rpc.poll_timeout(), None);
        ask(&mut rpc, "b", 2);
        let late = Seen::Answer(1, Ok("{}".into()));
        assert_eq!(handle(&mut rpc, r#"[3,"a",{}]"#), late);
        assert!(!rpc.is_idle(), "the other one is still outstanding");
        assert_eq!(handle(&mut rpc, r#"[3,"a",{}]"#), Seen::Ignore);
        assert_eq!(
            handle(&mut rpc, r#"[3,"b",{}]"#),
            Seen::Answer(2, Ok("{}".into()))
        );
        assert_eq!(handle(&mut rpc, r#"[3,"b",{}]"#), Seen::Ignore);
    }

    #[test]
    fn a_late_answer_counts_until_a_later_call_was_answered_or_the_connection_is_gone() {
        let mut rpc = Rpc::new();
        ask(&mut rpc, "a", 1);
        assert_eq!(rpc.give_up(), Some(1));
        ask(&mut rpc, "b", 2);
        handle(&mut rpc, r#"[3,"b",{}]"#);
        assert_eq!(handle(&mut rpc, r#"[3,"a",{}]"#), Seen::Ignore);
        ask(&mut rpc, "c", 3);
        rpc.give_up();
        rpc.reset();
        assert_eq!(handle(&mut rpc, r#"[3,"c",{}]"#), Seen::Ignore);
    }

    #[test]
    fn a_patient_peer_takes_late_answers_after_others_and_after_a_reconnect() {
        let mut rpc = Rpc::patient();
        ask(&mut rpc, "a", 1);
        rpc.give_up();
        ask(&mut rpc, "b", 2);
        rpc.give_up();
        ask(&mut rpc, "c", 3);
        handle(&mut rpc, r#"[3,"c",{}]"#);
        rpc.reset();
        let late = |token| Seen::Answer(token, Ok("{}".into()));
        assert_eq!(handle(&mut rpc, r#"[3,"b",{}]"#), late(2));
        assert_eq!(handle(&mut rpc, r#"[3,"a",{}]"#), late(1));
        assert_eq!(handle(&mut rpc, r#"[3,"a",{}]"#), Seen::Ignore);
    }

    #[test]
    fn calls_of_both_directions_cross() {
        let mut rpc = Rpc::new();
        ask(&mut rpc, "7", 1);
        let id = call(&mut rpc, START);
        assert_eq!(rpc.answer(&id, r#"{"a":1}"#), r#"[3,"7",{"a":1}]"#);
        assert!(!rpc.is_idle(), "the ids of the two directions are apart");
        assert_eq!(
            handle(&mut rpc, r#"[3,"7",{}]"#),
            Seen::Answer(1, Ok("{}".into()))
        );
    }

    #[test]
    fn a_repeated_call_is_carried_out_once_and_answered_with_the_same_words() {
        let mut rpc = Rpc::new();
        let id = call(&mut rpc, START);
        assert_eq!(handle(&mut rpc, START), Seen::Repeated(None));
        let frame = rpc.answer(&id, r#"{"transactionId":77}"#);
        assert_eq!(handle(&mut rpc, START), Seen::Repeated(Some(frame.clone())));
        assert_eq!(rpc.reset(), None);
        assert_eq!(handle(&mut rpc, START), Seen::Repeated(Some(frame)));
    }

    #[test]
    fn a_refusal_is_repeated_like_an_answer() {
        let mut rpc = Rpc::new();
        let id = call(&mut rpc, START);
        let frame = rpc.refuse(&id, &CallFailure::new(ErrorCode::InternalError, ""));
        assert_eq!(handle(&mut rpc, START), Seen::Repeated(Some(frame)));
    }

    #[test]
    fn after_a_lost_connection_nothing_is_owed() {
        let mut rpc = Rpc::new();
        ask(&mut rpc, "a", 1);
        call(&mut rpc, START);
        assert_eq!(rpc.reset(), Some(1));
        assert!(rpc.is_idle());
        call(&mut rpc, START);
    }

    #[test]
    fn a_call_that_can_be_repaired_is_carried_out_and_another_refused() {
        let mut rpc = Rpc::<u8>::new();
        let mut repaired = String::new();
        let broken = r#"[2,"1","MeterValues",{"meterValue":[,{}]}]"#;
        let Received::Call { payload, .. } = rpc.handle(broken, &mut repaired) else {
            panic!("not repaired");
        };
        assert_eq!(payload.get(), r#"{"meterValue":[{}]}"#);
        assert!(!repaired.is_empty());
        assert_eq!(
            handle(&mut rpc, r#"[2,"2","MeterValues",{]"#),
            Seen::Refuse(r#"[4,"2","FormationViolation","not JSON",{}]"#.to_owned())
        );
        assert_eq!(handle(&mut rpc, "hello"), Seen::Ignore);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC*", json in r#"[\[\]{},:"\\ 0-9a-e]{0,60}"#) {
            let mut rpc = Rpc::new();
            ask(&mut rpc, "1", 1);
            handle(&mut rpc, &text);
            handle(&mut rpc, &json);
            for kind in 2..5 {
                handle(&mut rpc, &format!("[{kind},\"1\",{json}]"));
            }
        }

        #[test]
        fn a_mutated_frame_never_panics_and_never_answers_an_answer(
            kind in 2..5_u8, at in 0..60_usize, with in any::<char>(), cut in 0..60_usize,
        ) {
            let frame = format!(r#"[{kind},"1","StartTransaction",{{"connectorId":1}},{{}}]"#);
            let mutated: String = frame
                .chars()
                .enumerate()
                .map(|(i, c)| if i == at { with } else { c })
                .collect();
            let shorter: String = frame.chars().take(cut).collect();
            for text in [mutated, shorter] {
                let mut rpc = Rpc::new();
                ask(&mut rpc, "1", 1);
                let seen = handle(&mut rpc, &text);
                if kind != 2 && text.starts_with(&format!("[{kind},")) {
                    prop_assert!(
                        matches!(seen, Seen::Answer(..) | Seen::Ignore),
                        "{} led to {:?}", text, seen
                    );
                }
            }
        }
    }
}
