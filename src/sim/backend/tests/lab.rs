//! A backend and the charge points that talk to it; every frame of the backend is judged.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_json::value::RawValue;

use super::super::*;
use crate::schema::Checker;

pub(super) const BOOT: &str = r#"{"chargePointVendor":"V","chargePointModel":"M"}"#;
pub(super) const START: &str =
    r#"{"connectorId":1,"idTag":"TAG","meterStart":5,"timestamp":"2026-01-15T10:00:00Z"}"#;
pub(super) const START_2: &str =
    r#"{"connectorId":1,"idTag":"TAG","meterStart":8,"timestamp":"2026-01-15T11:00:00Z"}"#;

pub(super) fn id(client_id: &str) -> ChargeBoxId {
    ChargeBoxId::from(client_id)
}

pub(super) struct Lab {
    pub(super) backend: Backend,
    pub(super) now: Now,
    pub(super) closed: Vec<LinkId>,
    /// What came out since the last question.
    pub(super) frames: Vec<(LinkId, String)>,
    links: BTreeMap<&'static str, LinkId>,
    checkers: BTreeMap<LinkId, Checker>,
    asked: BTreeMap<LinkId, String>,
    last: Option<String>,
    numbers: u64,
}

impl Lab {
    pub(super) fn new(plan: BackendPlan) -> Self {
        Self {
            backend: Backend::new(plan, Random::new(1)),
            now: Now {
                mono: Mono::START,
                wall: "2026-01-15T10:00:00Z".parse().unwrap(),
            },
            closed: Vec::new(),
            frames: Vec::new(),
            links: BTreeMap::new(),
            checkers: BTreeMap::new(),
            asked: BTreeMap::new(),
            last: None,
            numbers: 0,
        }
    }

    /// With the charge point `CP`, which was accepted.
    pub(super) fn booted(plan: BackendPlan) -> Self {
        let quirks = plan.quirks.clone();
        let mut lab = Self::new(BackendPlan {
            quirks: BTreeSet::new(),
            ..plan
        });
        lab.up("CP");
        lab.say("CP", "BootNotification", BOOT);
        lab.backend.plan_mut().quirks = quirks;
        lab
    }

    pub(super) fn up(&mut self, client_id: &'static str) {
        self.numbers += 1;
        let link = LinkId(self.numbers);
        self.links.insert(client_id, link);
        self.checkers.insert(link, Checker::new());
        self.backend.handle_up(self.now, link, &id(client_id));
        self.drain();
    }

    pub(super) fn down(&mut self, client_id: &str) {
        self.backend.handle_down(self.now, self.link(client_id));
        self.drain();
    }

    pub(super) fn link(&self, client_id: &str) -> LinkId {
        self.links[client_id]
    }

    /// A frame of a charge point, whatever it is.
    pub(super) fn raw(&mut self, client_id: &str, text: &str) {
        let link = self.link(client_id);
        self.checkers.get_mut(&link).unwrap().received(text);
        self.frames.clear();
        self.backend.handle_frame(self.now, link, text);
        self.drain();
    }

    /// A CALL, and the payload of its answer or the code of its error; null without an answer.
    pub(super) fn say(&mut self, client_id: &str, action: &str, payload: &str) -> Value {
        self.numbers += 1;
        let message_id = format!("m{}", self.numbers);
        self.raw(
            client_id,
            &format!(r#"[2,"{message_id}","{action}",{payload}]"#),
        );
        self.answer(&message_id)
    }

    fn answer(&self, message_id: &str) -> Value {
        let frames = self.frames.iter();
        let mut frames = frames.filter_map(|(_, text)| serde_json::from_str::<Value>(text).ok());
        let answer = frames.find(|frame| frame[0] != 2 && frame[1] == message_id);
        answer.map_or(Value::Null, |frame| frame[2].clone())
    }

    pub(super) fn command(&mut self, command: Command) -> CommandNumber {
        self.frames.clear();
        let number = self.backend.command(self.now, &id("CP"), command).unwrap();
        self.drain();
        number
    }

    /// Id, action and payload of the newest CALL that has no reply.
    pub(super) fn asked(&self, client_id: &str) -> Option<(String, String, String)> {
        let text = self.asked.get(&self.link(client_id))?;
        let frame: Vec<&RawValue> = serde_json::from_str(text).unwrap();
        let text_of = |at: usize| serde_json::from_str(frame[at].get()).unwrap();
        Some((text_of(1), text_of(2), frame[3].get().to_owned()))
    }

    /// A CALLRESULT to it.
    pub(super) fn reply(&mut self, client_id: &str, payload: &str) {
        let (message_id, ..) = self.asked(client_id).unwrap();
        self.asked.remove(&self.link(client_id));
        self.raw(client_id, &format!(r#"[3,"{message_id}",{payload}]"#));
    }

    /// CALLRESULTs to every CALL that came out.
    pub(super) fn reply_to_all(&mut self, client_id: &str, payload: &str) {
        let calls = std::mem::take(&mut self.frames);
        for (_, text) in calls {
            let call: Value = serde_json::from_str(&text).unwrap();
            self.raw(client_id, &format!("[3,{},{payload}]", call[1]));
        }
    }

    /// Lets time pass, timer by timer.
    pub(super) fn wait(&mut self, seconds: u64) {
        self.frames.clear();
        let end = self.now.mono + Duration::from_secs(seconds);
        while let Some(at) = self.backend.poll_timeout().filter(|at| *at <= end) {
            self.pass(at);
            self.backend.handle_timeout(self.now);
            self.drain();
        }
        self.pass(end);
    }

    fn pass(&mut self, until: Mono) {
        self.now.wall += until.since(self.now.mono);
        self.now.mono = until;
    }

    pub(super) fn last_text(&self) -> &str {
        self.last.as_deref().unwrap()
    }

    pub(super) fn outcome(&self, command: CommandNumber) -> Option<Outcome> {
        self.backend.ledger().outcome(command).cloned()
    }

    pub(super) fn complaints(&self) -> &[String] {
        self.backend.ledger().complaints()
    }

    fn drain(&mut self) {
        while let Some(output) = self.backend.poll_output() {
            match output {
                Output::Send { link, text } => {
                    let garbage = self.backend.plan().has(BackendQuirk::SendsGarbage);
                    let judged = self.checkers.get_mut(&link).unwrap().judge(&text);
                    assert!(garbage || judged.is_ok(), "{judged:?} in {text}");
                    if text.starts_with("[2,") {
                        self.asked.insert(link, text.clone());
                    }
                    self.last = Some(text.clone());
                    self.frames.push((link, text));
                }
                Output::Close { link } => self.closed.push(link),
            }
        }
    }
}
