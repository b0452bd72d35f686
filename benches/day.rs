//! A day of 24 EVSEs in four groups of 32 A behind 63 A, from six to six, in simulated time: people
//! come to work in the morning, and others home in the evening. At no instant may more be allowed
//! than a fuse bears. Beside it a round robin over the same day.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::indexing_slicing, reason = "a benchmark may panic")]

use std::collections::{BTreeMap, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use chargewarden::clock::{Mono, Now, Random, Timestamp};
use chargewarden::evse::{Demand, Limit, Offer, Reason, Report};
use chargewarden::ids::{EvseName, MeterName, OfferNumber};
use chargewarden::load::{Controller, LoadPlan};
use chargewarden::sim::closed_loop::{
    ClosedLoop, Device, Manager, Place, Scene, Stay, circuit, evse,
};
use chargewarden::sim::{Car, House};
use chargewarden::units::{MilliAmps, PerPhase, WattHours};

const GROUPS: usize = 4;
const EVSES: usize = 24;

const START: Now = Now {
    mono: Mono::START,
    wall: Timestamp::UNIX_EPOCH,
};

fn main() -> ExitCode {
    println!(
        "{:12} | violations |   kWh | of what was needed | Jain's index | full cars | starts per car | writes per EVSE",
        "manager"
    );
    let mut violations = 0;
    for seed in 1..=3 {
        let scene = day(seed);
        let controller = Controller::new(START, scene.plan.clone(), &BTreeMap::new());
        violations += show(&format!("ours, {seed}"), scene.clone(), controller);
        let round_robin = RoundRobin::new(scene.plan.clone());
        show("round robin", scene, round_robin);
    }
    if violations == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Lives through the day, and says how often more was allowed than a fuse bears.
fn show(name: &str, scene: Scene, manager: impl Manager) -> u64 {
    let mut site = ClosedLoop::new(scene, manager);
    let mut violations = 0;
    site.run_until(Mono(Duration::from_hours(24)), |site| {
        let sums = site.sums(|device| device.allowed(site.now()));
        let fits =
            |(sum, limit): (&PerPhase<MilliAmps>, &MilliAmps)| sum.0.iter().all(|a| a <= limit);
        violations += u64::from(!sums.iter().zip(site.limits()).all(fits));
    });
    let got = || site.devices().iter().flat_map(Device::got);
    let shares: Vec<f64> = got()
        .map(|(stay, got)| kilo(got) / kilo(stay.car.wants))
        .collect();
    let needed: WattHours = got().map(|(stay, _)| stay.car.wants).sum();
    let cars = count(shares.len());
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    let tally = site.tally();
    println!(
        "{name:12} | {violations:10} | {:5.1} | {:16.1} % | {:12.3} | {:5}/{cars:3} | {:14.1} | {:15.0}",
        kilo(site.energy()),
        100.0 * kilo(site.energy()) / kilo(needed),
        sum * sum / (cars * squares),
        shares.iter().filter(|share| **share > 0.99).count(),
        f64::from(tally.starts().iter().sum::<u32>()) / cars,
        f64::from(tally.writes().iter().sum::<u32>()) / count(EVSES),
    );
    violations
}

fn kilo(energy: WattHours) -> f64 {
    f64::from(i32::try_from(energy.0).unwrap_or(i32::MAX)) / 1000.0
}

fn count(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

fn day(seed: u64) -> Scene {
    let mut random = Random::new(seed);
    let mut plan = LoadPlan {
        circuits: vec![circuit("main", None, 63)],
        ..LoadPlan::default()
    };
    for group in 0..GROUPS {
        plan.circuits
            .push(circuit(&format!("group {group}"), Some("main"), 32));
    }
    let mut places = Vec::new();
    for index in 0..EVSES {
        plan.evses
            .push(evse(index, &format!("group {}", index % GROUPS)));
        // Hours after six in the morning, and kWh.
        let mut stays = Vec::new();
        if random.below(4) > 0 {
            stays.push(stay(&mut random, [1.0, 3.0], [9.0, 10.5], [4, 25]));
        }
        if random.below(6) > 0 {
            stays.push(stay(&mut random, [11.0, 15.0], [24.5, 26.0], [6, 45]));
        }
        places.push(Place::at(index, stays));
    }
    Scene {
        plan,
        house: House::steady(PerPhase::default()),
        meter: None,
        places,
        seed: random.next_u64(),
    }
}

fn stay(random: &mut Random, comes: [f64; 2], goes: [f64; 2], kwh: [i64; 2]) -> Stay {
    let mut hour = |[from, to]: [f64; 2]| {
        let part = f64::from(u32::try_from(random.below(1000)).unwrap_or(0)) / 1000.0;
        Mono(Duration::from_secs_f64(
            3600.0 * (from + (to - from) * part),
        ))
    };
    let (from, until) = (hour(comes), hour(goes));
    let kinds = [
        (1, 16),
        (1, 32),
        (2, 16),
        (3, 11),
        (3, 16),
        (3, 16),
        (3, 32),
    ];
    let kind = usize::try_from(random.below(7)).unwrap_or(0);
    let (phases, amps) = kinds.get(kind).copied().unwrap_or((3, 16));
    let span = u64::try_from(1000 * (kwh[1] - kwh[0])).unwrap_or(1);
    let wants = 1000 * kwh[0] + i64::try_from(random.below(span)).unwrap_or(0);
    let car = Car::default().phases(phases).max_amps(amps);
    Stay {
        from,
        until,
        ..Stay::of(car.wants(WattHours(wants)), random)
    }
}

/// What simple managers do: everybody who has a turn may take a fixed share for a slot, as many as
/// fit at a time; then come the next in the ring. It knows fuses, but no phases.
struct RoundRobin {
    plan: LoadPlan,
    /// Who charges; the next to have a turn in front.
    ring: VecDeque<usize>,
    has_turn: Vec<bool>,
    drawn: Vec<MilliAmps>,
    told: Vec<MilliAmps>,
    slot_ends: Mono,
    /// Those who lost their turn are given so long to obey.
    raises_at: Option<Mono>,
    outputs: VecDeque<(EvseName, Offer)>,
    last_number: u64,
}

impl RoundRobin {
    const SHARE: MilliAmps = MilliAmps::from_amps(16);
    const SLOT: Duration = Duration::from_mins(15);
    const SETTLES: Duration = Duration::from_secs(10);

    fn new(plan: LoadPlan) -> Self {
        let evses = plan.evses.len();
        Self {
            plan,
            ring: VecDeque::new(),
            has_turn: vec![false; evses],
            drawn: vec![MilliAmps::ZERO; evses],
            told: vec![MilliAmps::ZERO; evses],
            slot_ends: Mono(Self::SLOT),
            raises_at: None,
            outputs: VecDeque::new(),
            last_number: 0,
        }
    }

    /// Gives the turns of the next slot: those who have it take their shares away first.
    fn turn(&mut self, now: Mono) {
        let had = self.has_turn.clone();
        // Who had a turn goes to the end; who took nothing in it is full.
        let (done, waiting): (Vec<_>, Vec<_>) = self.ring.drain(..).partition(|i| had[*i]);
        let hungry = done.into_iter().filter(|i| self.drawn[*i] > MilliAmps(500));
        self.ring = waiting.into_iter().chain(hungry).collect();
        self.has_turn.fill(false);
        let mut left: Vec<i32> = self.plan.circuits.iter().map(|c| c.max_current.0).collect();
        for index in &self.ring {
            let group = 1 + index % GROUPS;
            if left[0] >= Self::SHARE.0 && left[group] >= Self::SHARE.0 {
                left[0] -= Self::SHARE.0;
                left[group] -= Self::SHARE.0;
                self.has_turn[*index] = true;
            }
        }
        self.slot_ends = now + Self::SLOT;
        self.raises_at = Some(now + Self::SETTLES);
        for index in 0..self.told.len() {
            if !self.has_turn[index] {
                self.tell(index, MilliAmps::ZERO);
            }
        }
    }

    fn tell(&mut self, index: usize, amps: MilliAmps) {
        if self.told[index] == amps {
            return;
        }
        self.told[index] = amps;
        self.last_number += 1;
        let offer = Offer {
            number: OfferNumber(self.last_number),
            limit: Limit::Current(amps),
            single_phase: false,
            reason: Reason::OwnMaximum,
        };
        self.outputs
            .push_back((self.plan.evses[index].name.clone(), offer));
    }
}

impl Manager for RoundRobin {
    fn handle_report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        let place = self.plan.evses.iter().position(|plan| plan.name == *evse);
        let Some(index) = place else { return };
        match report {
            Report::Demand(Demand::Charging) => {
                self.ring.push_back(index);
                // An empty garage does not wait for the next slot.
                if self.has_turn.iter().all(|has| !has) {
                    self.turn(now.mono);
                }
            }
            Report::Demand(_) => {
                self.ring.retain(|at| *at != index);
                self.has_turn[index] = false;
                self.tell(index, MilliAmps::ZERO);
            }
            Report::Measured(measured) => {
                let current = measured.current.unwrap_or_default();
                self.drawn[index] = current.0.into_iter().max().unwrap_or_default();
            }
            _ => {}
        }
    }

    fn handle_sample(&mut self, _now: Now, _meter: &MeterName, _current: PerPhase<MilliAmps>) {}

    fn handle_timeout(&mut self, now: Now) {
        if self.slot_ends <= now.mono {
            self.turn(now.mono);
        }
        if self.raises_at.is_some_and(|at| at <= now.mono) {
            self.raises_at = None;
            for index in 0..self.told.len() {
                if self.has_turn[index] {
                    self.tell(index, Self::SHARE);
                }
            }
        }
    }

    fn poll_output(&mut self) -> Option<(EvseName, Offer)> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.raises_at.or(Some(self.slot_ends))
    }
}
