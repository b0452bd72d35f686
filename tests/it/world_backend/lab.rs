//! What the tests of this room have in common.

use std::time::Duration;

pub(super) use chargewarden::ids::ConnectorId;
use chargewarden::journal::EntryState;
pub(super) use chargewarden::sim::backend::{Command, Ledger};
pub(super) use chargewarden::sim::{
    BackendPlan, BackendQuirk, Car, Quirk, WallboxPlan, World, WorldPlan,
};

pub(super) use crate::world::{seconds, started};

pub(super) const URL: &str = "ws://backend.example/ocpp";
pub(super) const C1: ConnectorId = ConnectorId(1);
pub(super) const C2: ConnectorId = ConnectorId(2);

/// Wallboxes give up after 20 to 30 s; no question is answered later than this.
pub(super) const IN_TIME: Duration = Duration::from_secs(16);

pub(super) fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// A wallbox that signs its registers.
pub(super) fn signing(id: &str) -> WallboxPlan {
    WallboxPlan::new(id).quirk(Quirk::SignsReadings)
}

/// While the backend of the last gateway is away, everybody charges.
pub(super) fn trusting(plan: WorldPlan) -> WorldPlan {
    plan.with_gateway(|gateway| {
        for member in &mut gateway.members {
            member.offline_unknown_tags = true;
        }
    })
}

/// Wallbox `A`, which signs, behind the backend as client `CP-A`; 32 A for the house.
pub(super) fn alone(backend: BackendPlan) -> WorldPlan {
    let plan = WorldPlan::new(1)
        .fuse("house", 32)
        .wallbox(signing("A"))
        .backend(URL, backend)
        .gateway(&["A"], "CP-A");
    trusting(plan)
}

pub(super) fn correct() -> WorldPlan {
    alone(BackendPlan::default())
}

pub(super) fn ledger(world: &World) -> &Ledger {
    world.backend(URL).unwrap().ledger()
}

/// A backend has a bad habit from now on, or none any more.
pub(super) fn set_quirk(world: &mut World, quirk: Option<BackendQuirk>) {
    world.at_backend(URL, "has another habit", |backend, now| {
        backend.plan_mut().quirks = quirk.into_iter().collect();
        backend.handle_timeout(now);
    });
}

/// What the charge point answered to a command; it has 20 seconds.
#[track_caller]
pub(super) fn answer(world: &mut World, client_id: &str, command: Command) -> String {
    let number = world.command(client_id, command).unwrap();
    world.run_for(seconds(20)).unwrap();
    let outcome = ledger(world).outcome(number);
    let payload = outcome.and_then(|outcome| outcome.payload());
    payload.unwrap_or_else(|| panic!("{outcome:?}")).to_owned()
}

pub(super) fn transaction(world: &World, wallbox: &str) -> Option<i64> {
    world.wallbox(wallbox).unwrap().transaction(C1)
}

/// How many messages wait for backends.
pub(super) fn queued(world: &mut World) -> usize {
    let entries = world.disk().recovered().entries.values();
    let queued = entries.filter(|it| it.progress.state == EntryState::Queued);
    queued.count()
}

/// Waits until a wallbox knows its transaction and its car charges.
#[track_caller]
pub(super) fn charges(world: &mut World, wallbox: &str) {
    let runs = |world: &World| transaction(world, wallbox).is_some();
    world.run_until(seconds(60), runs).unwrap();
    let charges = |world: &World| world.allowed(wallbox).0 >= 6_000;
    world.run_until(seconds(60), charges).unwrap();
}

/// A car comes, charges for so long and leaves.
#[track_caller]
pub(super) fn session(world: &mut World, wallbox: &str, span: Duration) {
    world.charge(wallbox, Car::default());
    charges(world, wallbox);
    world.run_for(span).unwrap();
    assert!(world.allowed(wallbox).0 >= 6_000, "it still charges");
    world.unplug(wallbox);
    world.run_for(seconds(5)).unwrap();
    assert_eq!(transaction(world, wallbox), None);
}

/// No wallbox ever had to wait.
#[track_caller]
pub(super) fn answered_in_time(world: &World) {
    for id in world.wallboxes() {
        let slowest = world.wallbox(id.as_str()).unwrap().slowest_answer();
        assert!(slowest <= IN_TIME, "{id} waited for {slowest:?}");
    }
}
