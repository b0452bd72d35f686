//! A Power Brain `PB` behind the backend as client `CP`, and 32 A for the house.

use std::time::Duration;

use chargewarden::clock::Mono;
use chargewarden::ids::ConnectorId;
pub(super) use chargewarden::ocpp::messages::AuthorizationStatus::*;
use chargewarden::sim::backend::{Command, CommandNumber, Event, Ledger, Outcome};
pub(super) use chargewarden::sim::{BackendPlan, BackendQuirk, Car, PowerBrainPlan, WorldPlan};
use chargewarden::sim::{PowerBrain, World};
pub(super) use serde_json::{Value, json};

use crate::schema::Checker;

const URL: &str = "ws://backend.example/ocpp";

/// The card of the customer.
pub(super) const CARD: &str = "04A2B3C4D5";

/// Another card.
pub(super) const OTHER: &str = "0BADCAFE";

pub(super) struct Lab {
    pub(super) world: World,
}

/// What is usual; tests change it.
pub(super) fn usual(backend: BackendPlan) -> WorldPlan {
    let brain = PowerBrainPlan {
        boots_enabled: false,
        ..PowerBrainPlan::new("PB")
    };
    WorldPlan::new(1)
        .fuse("house", 32)
        .power_brain(brain)
        .backend(URL, backend)
        .gateway(&["PB"], "CP")
}

/// The backend has no bad habits and welcomes everybody.
pub(super) fn lab() -> Lab {
    Lab::of(usual(BackendPlan::default()))
}

/// The backend knows [`CARD`] and nobody else.
pub(super) fn strict() -> Lab {
    let plan = BackendPlan::default().unknown_tags(Invalid);
    Lab::of(usual(plan.tag(CARD, Accepted, None)))
}

/// A car may charge without a card.
pub(super) fn with_fixed_tag() -> Lab {
    Lab::of(usual(BackendPlan::default()).with_fixed_id_tag("FIXED"))
}

impl Lab {
    /// Past the start-up hold.
    pub(super) fn of(plan: WorldPlan) -> Self {
        let mut lab = Self::just_started(plan);
        lab.wait(40);
        lab
    }

    /// From the very first second. Every frame that the backend sees is checked.
    pub(super) fn just_started(plan: WorldPlan) -> Self {
        let mut world = plan.start();
        let mut checker = Checker::new();
        world.at_backend(URL, "checked", |backend, _| {
            backend.inspect(move |entry| match &entry.event {
                Event::Call {
                    id,
                    action,
                    payload,
                } => checker.sent(&format!(r#"[2,"{id}","{action}",{payload}]"#)),
                Event::Command {
                    number,
                    action,
                    payload,
                } => checker.received(&format!(r#"[2,"c{}","{action}",{payload}]"#, number.0)),
                Event::Outcome {
                    number,
                    outcome: Outcome::Result(payload),
                    ..
                } => checker.sent(&format!(r#"[3,"c{}",{payload}]"#, number.0)),
                _ => {}
            });
        });
        Self { world }
    }

    pub(super) fn wait(&mut self, seconds: u64) {
        self.world.run_for(Duration::from_secs(seconds)).unwrap();
    }

    #[track_caller]
    fn until(&mut self, seconds: u64, what: &str, mut is: impl FnMut(&Ledger) -> bool) {
        let within = Duration::from_secs(seconds);
        let reached = self
            .world
            .run_until(within, |world| is(world.backend(URL).unwrap().ledger()));
        let actions = self.ledger().actions("CP");
        assert!(reached.is_ok(), "not in {seconds} s: {what}; {actions:#?}");
    }

    pub(super) fn ledger(&self) -> &Ledger {
        self.world.backend(URL).unwrap().ledger()
    }

    /// Changes the backend.
    pub(super) fn backend(&mut self, change: impl FnOnce(&mut BackendPlan)) {
        self.world
            .at_backend(URL, "is another one", |backend, now| {
                change(backend.plan_mut());
                backend.handle_timeout(now);
            });
    }

    /// The backend is gone, or back.
    pub(super) fn backend_is_there(&mut self, there: bool) {
        self.world.set_backend_reachable("CP", there);
        if there {
            let up = |ledger: &Ledger| {
                let last = ledger.entries().rev();
                let mut last = last.filter(|it| matches!(it.event, Event::Up | Event::Down));
                last.next().is_some_and(|it| it.event == Event::Up)
            };
            self.until(1000, "the charge point is back", up);
            self.wait(5);
        }
    }

    pub(super) fn brain(&mut self, act: impl FnOnce(&mut PowerBrain, Mono)) {
        self.world.at_power_brain("PB", "something happens", act);
    }

    /// What comes of a CALL of the backend: `status` of the answer, the answer where it has none,
    /// or `CALLERROR` and its code.
    #[track_caller]
    pub(super) fn tell(&mut self, action: &str, payload: Value) -> String {
        self.tell_text(action, &payload.to_string())
    }

    #[track_caller]
    pub(super) fn tell_text(&mut self, action: &str, payload: &str) -> String {
        let answer = match self.outcome(action, payload) {
            Outcome::Error { code, .. } => return format!("CALLERROR {code}"),
            Outcome::Result(payload) => payload,
            none => panic!("{action} {payload}: {none:?}"),
        };
        let said: Value = serde_json::from_str(&answer).unwrap();
        said["status"].as_str().map_or(answer, str::to_owned)
    }

    /// The whole answer.
    #[track_caller]
    pub(super) fn ask(&mut self, action: &str, payload: Value) -> Value {
        match self.outcome(action, &payload.to_string()) {
            Outcome::Result(payload) => serde_json::from_str(&payload).unwrap(),
            none => panic!("{action} {payload}: {none:?}"),
        }
    }

    #[track_caller]
    fn outcome(&mut self, action: &str, payload: &str) -> Outcome {
        let number = self.send(action, payload);
        self.until(60, "an answer", |ledger| ledger.outcome(number).is_some());
        self.ledger().outcome(number).cloned().unwrap()
    }

    /// Asks for a message as a backend does that keeps the rules itself.
    pub(super) fn trigger(&mut self, message: &str, connector: u32) {
        let trigger = Command::Trigger {
            message: message.to_owned(),
            connector: Some(ConnectorId(connector)),
        };
        self.world.command("CP", trigger).unwrap();
    }

    #[track_caller]
    fn send(&mut self, action: &str, payload: &str) -> CommandNumber {
        let (action, payload) = (action.to_owned(), payload.to_owned());
        self.world
            .command("CP", Command::Raw { action, payload })
            .unwrap()
    }

    /// The payloads of what the charge point sent, oldest first.
    pub(super) fn heard(&self, action: &str) -> Vec<Value> {
        let all = self.ledger().payloads("CP", action).into_iter();
        all.map(|it| serde_json::from_str(it).unwrap()).collect()
    }

    #[track_caller]
    pub(super) fn last(&self, action: &str) -> Value {
        let mut all = self.heard(action);
        all.pop().unwrap_or_else(|| panic!("no {action}"))
    }

    /// What connector 1 told of itself, oldest first.
    pub(super) fn statuses(&self) -> Vec<String> {
        self.statuses_of(1)
    }

    pub(super) fn statuses_of(&self, connector: u32) -> Vec<String> {
        let all = self.heard("StatusNotification").into_iter();
        let own = all.filter(|it| it["connectorId"] == connector);
        own.map(|it| it["status"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What connector 1 told last.
    pub(super) fn status(&self) -> String {
        self.statuses().pop().unwrap_or_default()
    }

    /// Waits until connector 1 has told this last.
    #[track_caller]
    pub(super) fn becomes(&mut self, status: &str) {
        let last = |ledger: &Ledger| {
            let all = ledger.payloads("CP", "StatusNotification").into_iter();
            let mut own = all.filter(|it| it.contains(r#""connectorId":1,"#));
            own.next_back()
                .is_some_and(|it| it.contains(&format!(r#""status":"{status}""#)))
        };
        self.until(120, &format!("{status} instead of {}", self.status()), last);
    }

    pub(super) fn plug(&mut self) {
        self.world.plug("PB", Car::default());
        self.wait(3);
    }

    pub(super) fn unplug(&mut self) {
        self.world.unplug("PB");
        self.wait(15);
    }

    pub(super) fn tap(&mut self, tag: &str) {
        // A card that is held to the reader counts once.
        self.wait(4);
        self.world.tap("PB", tag);
        self.wait(3);
    }

    pub(super) fn remote_start(&mut self, tag: &str) -> String {
        self.tell(
            "RemoteStartTransaction",
            json!({"connectorId": 1, "idTag": tag}),
        )
    }

    pub(super) fn remote_stop(&mut self, transaction: i64) -> String {
        self.tell(
            "RemoteStopTransaction",
            json!({"transactionId": transaction}),
        )
    }

    /// The car draws current now.
    pub(super) fn draws(&self) -> bool {
        self.world.drawn("PB").0.iter().any(|it| it.0 > 0)
    }

    /// What the device allows its car, in 0.1 A.
    pub(super) fn allows(&self) -> i32 {
        self.world.allowed("PB").0 / 100
    }

    /// Waits until the car draws current; the backend's number of the transaction.
    #[track_caller]
    pub(super) fn charges(&mut self) -> i64 {
        self.becomes("Charging");
        self.wait(5);
        assert!(self.draws(), "{:?}", self.ledger().actions("CP"));
        self.transaction()
    }

    /// The backend's number of the last transaction that it was told of.
    #[track_caller]
    pub(super) fn transaction(&self) -> i64 {
        let all = self.ledger().transactions("CP");
        let last = all.last().expect("a transaction");
        last.id.expect("an answered StartTransaction")
    }

    /// A car charges with [`CARD`].
    #[track_caller]
    pub(super) fn session(&mut self) -> i64 {
        self.plug();
        self.tap(CARD);
        self.charges()
    }

    /// How many transactions began, and how many of them ended.
    pub(super) fn bills(&self) -> (usize, usize) {
        (self.ledger().starts("CP"), self.ledger().stops("CP"))
    }

    /// Sets a key.
    #[track_caller]
    pub(super) fn set(&mut self, key: &str, value: &str) -> String {
        self.tell("ChangeConfiguration", json!({"key": key, "value": value}))
    }

    /// What a key says.
    #[track_caller]
    pub(super) fn get(&mut self, key: &str) -> Option<String> {
        let said = self.ask("GetConfiguration", json!({"key": [key]}));
        let value = said["configurationKey"][0]["value"].as_str();
        value.map(str::to_owned)
    }

    /// Nobody has cause to complain, and the bills are right.
    #[track_caller]
    pub(super) fn settles(&mut self) {
        self.world.settle_bills().unwrap();
    }
}
