//! What the tests share.

use std::time::Duration;

use chargewarden::journal::Transaction;
use chargewarden::sim::world::{Failure, World};
use chargewarden::sim::{House, MeterMap, MeterPlan, PowerBrainPlan, WorldPlan};
use chargewarden::site::status::{EvseStatus, OcppServerStatus, StatusDocument};
use chargewarden::units::{MilliAmps, PerPhase, Phase};

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn minutes(minutes: u64) -> Duration {
    Duration::from_mins(minutes)
}

/// The same on all phases.
pub(super) fn amps(amps: i32) -> PerPhase<MilliAmps> {
    PerPhase::all(MilliAmps::from_amps(amps))
}

pub(super) fn steady(amperes: i32) -> House {
    House::steady(amps(amperes))
}

pub(super) fn sdm630() -> MeterPlan {
    MeterPlan::new(MeterMap::Sdm630)
}

/// A Power Brain that is disabled after a power cut, as an installer should leave it.
pub(super) fn brain(serial: &str) -> PowerBrainPlan {
    PowerBrainPlan {
        boots_enabled: false,
        ..PowerBrainPlan::new(serial)
    }
}

/// One OCPP wallbox, one Power Brain and a house behind 32 A.
pub(super) fn mixed(meter: MeterPlan, house: House) -> WorldPlan {
    WorldPlan::new(1)
        .fuse("house", 32)
        .metered("grid", meter, house)
        .wallboxes(&["CB"])
        .power_brain(brain("PB"))
}

/// Past the start-up hold.
pub(super) fn started(plan: WorldPlan) -> World {
    let mut world = plan.start();
    world.run_for(seconds(60)).unwrap();
    world
}

pub(super) fn status(world: &World) -> StatusDocument {
    let server = OcppServerStatus {
        port: 0,
        tls: "off".to_owned(),
        connections: 0,
    };
    world.site().status(world.now(), server)
}

pub(super) fn evse(world: &World, name: &str) -> EvseStatus {
    let mut evses = status(world).evses.into_iter();
    evses.find(|evse| evse.name == name).unwrap()
}

/// What is allowed to all of them together, in mA.
pub(super) fn allowed(world: &World, names: &[&str]) -> i32 {
    names.iter().map(|name| world.allowed(name).0).sum()
}

/// What a car draws from L1, in mA.
pub(super) fn draws(world: &World, name: &str) -> i32 {
    world.drawn(name)[Phase::L1].0
}

/// Lets time pass and sees that something never happens.
#[track_caller]
pub(super) fn never(world: &mut World, span: Duration, what: impl FnMut(&World) -> bool) {
    match world.run_until(span, what) {
        Ok(()) => panic!("it happened at {:?}", world.now().mono),
        Err(Failure::NotReached { .. }) => {}
        Err(failure) => panic!("{failure}"),
    }
}

/// The transactions of a device on disk, in the order in which they began.
pub(super) fn transactions(world: &mut World, name: &str) -> Vec<Transaction> {
    let all = world.disk().recovered().transactions.values();
    let own = all.filter(|it| it.address.as_str() == name);
    own.cloned().collect()
}

/// The one transaction that a device ever had.
#[track_caller]
pub(super) fn only_transaction(world: &mut World, name: &str) -> Transaction {
    let mut all = transactions(world, name);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}
