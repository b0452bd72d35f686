//! How long one allocation takes, and what it takes from the heap.

#![expect(clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::time::Duration;

use chargewarden::clock::{Mono, Random};
use chargewarden::evse::Reason;
use chargewarden::load::Allocator;
use chargewarden::load::{
    CircuitPlan, Device, EvsePlan, LoadPlan, PriorityMode, Request, Rotation, Wants, WhenDisabled,
};
use chargewarden::units::{MilliAmps, MilliVolts, Phase, Watts};
use divan::Bencher;

/// Counts what is taken from the heap: after the first rounds that should be nothing.
#[global_allocator]
static HEAP: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

/// A garage: a main fuse and three strings of 8, which run short.
#[divan::bench]
fn evses_24_in_4_circuits(bencher: Bencher<'_, '_>) {
    bench(bencher, &plan(24, 4, 100));
}

/// A car park: a main fuse, 6 floors and 53 strings, all of which run short.
#[divan::bench]
fn evses_200_in_60_circuits(bencher: Bencher<'_, '_>) {
    bench(bencher, &plan(200, 60, 100));
}

/// The same with boxes that take milliamperes, all weights, and limits to asymmetry.
#[divan::bench]
fn evses_200_in_60_circuits_with_weights_and_asymmetry(bencher: Bencher<'_, '_>) {
    let mut plan = plan(200, 60, 1);
    for (weight, evse) in (0..).zip(&mut plan.evses) {
        evse.weight = 1 + weight % 10;
    }
    for circuit in &mut plan.circuits {
        circuit.max_asymmetry = Some(MilliAmps::from_amps(20));
    }
    bench(bencher, &plan);
}

fn bench(bencher: Bencher<'_, '_>, plan: &LoadPlan) {
    let mut random = Random::new(1);
    let mut request = |evse: &EvsePlan| {
        Request::Wants(Wants {
            min: evse.min,
            max: MilliAmps([16_000, 32_000, 20_000][pick(&mut random, 3)]),
            at_max: Reason::OwnMaximum,
            extra: MilliAmps::ZERO,
            in_slot: pick(&mut random, 2) == 0,
            attained: 0,
            plugged_at: Mono(Duration::from_secs(random.below(100_000))),
            waited: Duration::ZERO,
        })
    };
    let requests: Vec<Request> = plan.evses.iter().map(&mut request).collect();
    let mut allocator = Allocator::new(plan);
    allocator.allocate(&requests);
    bencher.bench_local(move || allocator.allocate(divan::black_box(&requests)).len());
}

fn plan(evses: usize, circuits: usize, step: i32) -> LoadPlan {
    let mut random = Random::new(2);
    let floors = if circuits > 10 { 6 } else { 0 };
    let mut circuit = |index: usize| {
        let (parent, amps) = match index {
            0 => (None, 9 * evses),
            _ if index <= floors => (Some(0), 240 + pick(&mut random, 160)),
            _ if floors == 0 => (Some(0), 60 + pick(&mut random, 30)),
            _ => (Some(1 + index % floors), 25 + pick(&mut random, 25)),
        };
        let amps = i32::try_from(amps).unwrap_or(0);
        CircuitPlan {
            name: format!("c{index}").as_str().into(),
            parent: parent.map(|parent| format!("c{parent}").as_str().into()),
            max_current: MilliAmps::from_amps(amps),
            max_power: (index % 4 == 1).then_some(Watts(amps * 600)),
            reserve: MilliAmps::ZERO,
            failsafe: MilliAmps::ZERO,
            max_asymmetry: None,
            meter: None,
        }
    };
    let circuits: Vec<CircuitPlan> = (0..circuits).map(&mut circuit).collect();
    let strings = &circuits[1 + floors..];
    let evses = (0..evses).map(|index| {
        let shift = index % 3;
        EvsePlan {
            name: format!("e{index}").as_str().into(),
            circuit: strings[index % strings.len()].name.clone(),
            phases: if index % 4 == 0 { 1 } else { 3 },
            rotation: Rotation::Known([0, 1, 2].map(|wired| Phase::ALL[(wired + shift) % 3])),
            min: MilliAmps::from_amps(6),
            max: MilliAmps::from_amps(32),
            priority: i32::from(index % 5 == 0),
            weight: 1,
            failsafe: MilliAmps::ZERO,
            idle: MilliAmps::ZERO,
            step: MilliAmps(step),
            enabled: true,
            device: Device::Ocpp,
        }
    });
    LoadPlan {
        voltage: MilliVolts(230_000),
        evses: evses.collect(),
        circuits,
        priority_mode: PriorityMode::MinFirst,
        rotation_period: Duration::from_mins(15),
        start_up_hold: Duration::ZERO,
        ocpp_raise_interval: Duration::ZERO,
        when_disabled: WhenDisabled::Pause,
        observe: false,
        ..LoadPlan::default()
    }
}

fn pick(random: &mut Random, end: u64) -> usize {
    usize::try_from(random.below(end)).unwrap_or(0)
}
