//! A world whose frames are written down and judged.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use chargewarden::ids::ConnectorId;
use chargewarden::journal::Transaction;
use chargewarden::sim::wallbox::Traffic;
use chargewarden::sim::{Car, Quirk, WallboxPlan, World, WorldPlan};
use chargewarden::site::control::Signal;
use chargewarden::site::status::{EvseStatus, OcppServerStatus};
use chargewarden::units::{MilliAmps, Watts};

use crate::schema::Checker;

pub(super) const C1: ConnectorId = ConnectorId(1);

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Wallbox `A`, which can do 16 A, with these quirks.
pub(super) fn wallbox(quirks: &[Quirk]) -> WallboxPlan {
    let plan = WallboxPlan {
        hardware_max: MilliAmps::from_amps(16),
        ..WallboxPlan::new("A")
    };
    quirks.iter().fold(plan, |plan, quirk| plan.quirk(*quirk))
}

/// `A` and a wallbox `B` without quirks behind 22 A.
pub(super) fn beside_another(a: WallboxPlan) -> WorldPlan {
    WorldPlan::new(1)
        .fuse("house", 22)
        .wallbox(a)
        .wallboxes(&["B"])
}

/// A CALL of ours and what the wallbox said to it.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) action: String,
    pub(super) payload: Value,
    pub(super) answer: Option<Value>,
}

impl Asked {
    pub(super) fn is_limit(&self) -> bool {
        self.action == "SetChargingProfile"
    }

    pub(super) fn was_accepted(&self) -> bool {
        self.answer
            .as_ref()
            .is_some_and(|a| a["status"] == "Accepted")
    }
}

/// What went over the link of a wallbox.
#[derive(Debug, Default)]
struct Tape {
    asked: Vec<(String, Asked)>,
    said: Vec<(String, Value)>,
}

impl Tape {
    fn received(&mut self, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap();
        if frame[0] == 2 {
            never_asked(&frame);
            let asked = Asked {
                action: frame[2].as_str().unwrap().to_owned(),
                payload: frame[3].clone(),
                answer: None,
            };
            self.asked
                .push((frame[1].as_str().unwrap().to_owned(), asked));
        }
    }

    fn sent(&mut self, text: &str) {
        let frame: Value = serde_json::from_str(text).unwrap_or_default();
        if frame[0] == 2 {
            let action = frame[2].as_str().unwrap().to_owned();
            self.said.push((action, frame[3].clone()));
        } else if let Some((_, asked)) = self.asked.iter_mut().find(|(id, _)| frame[1] == **id) {
            asked.answer = Some(frame[2].clone());
        }
    }
}

/// What some wallbox or other does not survive.
fn never_asked(frame: &Value) {
    let action = frame[2].as_str().unwrap();
    for dangerous in ["ChangeAvailability", "Reset", "RemoteStopTransaction"] {
        assert_ne!(action, dangerous, "some wallboxes break: {frame}");
    }
    if action == "SetChargingProfile" {
        let profile = &frame[3]["csChargingProfiles"];
        let schedule = &profile["chargingSchedule"];
        let limit = schedule["chargingSchedulePeriod"][0]["limit"]
            .as_f64()
            .unwrap();
        let least = match schedule["chargingRateUnit"].as_str().unwrap() {
            "A" => 6.0,
            _ => 6.0 * 230.0,
        };
        assert!(limit == 0.0 || limit >= least, "no car knows this: {frame}");
        let of_transaction = profile["chargingProfilePurpose"] == "TxProfile";
        assert_eq!(of_transaction, !profile["transactionId"].is_null());
    }
}

/// A world, and everything that went over its links.
pub(super) struct Lab {
    pub(super) world: World,
    tapes: BTreeMap<String, Arc<Mutex<Tape>>>,
}

impl Lab {
    /// Past the start-up hold, everybody connected who does.
    pub(super) fn started(plan: WorldPlan) -> Self {
        let mut lab = Self::switched_on(plan);
        lab.run(60);
        lab
    }

    /// `A` with these quirks, beside `B`.
    pub(super) fn with(quirks: &[Quirk]) -> Self {
        Self::started(beside_another(wallbox(quirks)))
    }

    pub(super) fn switched_on(plan: WorldPlan) -> Self {
        let mut world = plan.start();
        let ids: Vec<String> = world.wallboxes().map(ToString::to_string).collect();
        let tapes = ids.into_iter().map(|id| {
            let tape = Arc::new(Mutex::new(Tape::default()));
            let (mut checker, its) = (Checker::new(), Arc::clone(&tape));
            let look = move |traffic: Traffic<'_>| {
                let mut tape = its.lock().unwrap_or_else(PoisonError::into_inner);
                match traffic {
                    Traffic::Sent(text) => {
                        checker.received(&text.replace("[,", "["));
                        tape.sent(text);
                    }
                    Traffic::Received(text) => {
                        checker.sent(text);
                        tape.received(text);
                    }
                }
            };
            world.at(&id, "looked at", |wallbox, _| wallbox.inspect(look));
            (id, tape)
        });
        let tapes = tapes.collect();
        Self { world, tapes }
    }

    #[track_caller]
    pub(super) fn run(&mut self, for_seconds: u64) {
        if let Err(failure) = self.world.run_for(seconds(for_seconds)) {
            panic!("{failure}");
        }
    }

    #[track_caller]
    pub(super) fn within(&mut self, limit: u64, done: impl FnMut(&World) -> bool) {
        if let Err(failure) = self.world.run_until(seconds(limit), done) {
            panic!("{failure}");
        }
    }

    /// What we asked of a wallbox.
    pub(super) fn asked(&self, id: &str) -> Vec<Asked> {
        let tape = self.tapes[id].lock().unwrap();
        tape.asked.iter().map(|(_, asked)| asked.clone()).collect()
    }

    /// The limits that we told a wallbox, but for the floor below them.
    pub(super) fn limits(&self, id: &str) -> Vec<Asked> {
        let mut limits = self.asked(id);
        limits.retain(|asked| {
            let profile = &asked.payload["csChargingProfiles"];
            asked.is_limit() && profile["chargingProfileId"] != 2001
        });
        limits
    }

    /// The payloads of a wallbox's CALLs of this action.
    pub(super) fn said(&self, id: &str, action: &str) -> Vec<Value> {
        let tape = self.tapes[id].lock().unwrap();
        let of_action = tape.said.iter().filter(|(said, _)| said == action);
        of_action.map(|(_, payload)| payload.clone()).collect()
    }

    /// What the status shows of an EVSE.
    pub(super) fn evse(&self, id: &str) -> EvseStatus {
        status_of(&self.world, id)
    }

    /// Every transaction of a wallbox, oldest first.
    pub(super) fn transactions(&mut self, id: &str) -> Vec<Transaction> {
        let all = self.world.disk().recovered().transactions.values();
        all.filter(|t| t.address.as_str() == id).cloned().collect()
    }

    /// Tells the site that no more than so many amperes a phase may flow.
    pub(super) fn limits_to(&mut self, amps: i32) {
        let (now, signal) = (self.world.now(), Signal::Watts(Watts(3 * 230 * amps)));
        let site = self.world.site_mut();
        site.set_signal(now, &"house".into(), signal).unwrap();
    }

    pub(super) fn charge(&mut self, id: &str) {
        self.world.charge(id, Car::default());
    }

    /// Waits until `A` and `B` allow these currents, and keep to them.
    #[track_caller]
    pub(super) fn settles_at(&mut self, expected: [i32; 2]) {
        let allowed = |world: &World| ["A", "B"].map(|id| world.allowed(id).0);
        let outcome = self
            .world
            .run_until(seconds(60), |world| allowed(world) == expected);
        if let Err(failure) = outcome {
            let allowed = allowed(&self.world);
            panic!("{allowed:?} instead of {expected:?}: {failure}");
        }
        self.run(30);
        assert_eq!(allowed(&self.world), expected, "it does not last");
    }

    /// The usual evening: `A` charges, `B` comes and shares, `A` leaves. Every message of theirs
    /// gets its answer, and `A`'s transaction is on disk with its end.
    #[track_caller]
    pub(super) fn shares_and_parts(&mut self) {
        self.charge("A");
        self.settles_at([16_000, 0]);
        self.charge("B");
        self.settles_at([11_000, 11_000]);
        self.world.unplug("A");
        self.settles_at([0, 16_000]);
        self.is_settled();
    }

    #[track_caller]
    pub(super) fn is_settled(&mut self) {
        assert_eq!(self.world.wallbox("A").unwrap().unsent(), 0);
        let all = self.transactions("A");
        assert_eq!(all.len(), 1, "{all:?}");
        assert!(all.iter().all(|t| t.stopped.is_some()), "{all:?}");
    }
}

pub(super) fn status_of(world: &World, id: &str) -> EvseStatus {
    let server = OcppServerStatus {
        port: 0,
        tls: String::new(),
        connections: 0,
    };
    let status = world.site().status(world.now(), server);
    status.evses.into_iter().find(|e| e.name == id).unwrap()
}
