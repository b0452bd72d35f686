//! How long it takes from a reading of the meter that is above the limit to the first lowered offer,
//! with 50 EVSEs: wall-clock, p99 at most 50 ms. The readings are those of a closed loop beside a
//! house that cooks; beside them a plain allocation of the same site.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch needs a clock")]

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chargewarden::clock::{Mono, Now, Timestamp};
use chargewarden::evse::{Limit, Offer, Reason, Report};
use chargewarden::ids::{EvseName, MeterName};
use chargewarden::load::{Allocator, Controller, LoadPlan, Request, Wants};
use chargewarden::sim::closed_loop::{ClosedLoop, Manager, Scene};
use chargewarden::units::{MilliAmps, PerPhase};

const EVSES: usize = 50;
const AMPS: i32 = 315;

/// So many reactions are enough, …
const REACTIONS: usize = 1000;

/// … and so many simulated hours.
const HOURS: u64 = 48;

/// The figure that must hold.
const P99: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let scene = Scene::beside_a_brutal_house(1, EVSES, AMPS);
    let plan = scene.plan.clone();
    let mut site = ClosedLoop::new(scene, Stopwatch::new(plan.clone()));
    let mut hours = 0;
    while site.manager.reactions.len() < REACTIONS && hours < HOURS {
        hours += 1;
        site.run_until(Mono(Duration::from_hours(hours)), |_| {});
    }
    println!("{EVSES} EVSEs, {hours} h simulated");
    println!("what                       | times |      p50 |      p99 |      max");
    let reactions = &mut site.manager.reactions;
    let p99 = show("reading to lowered offer", reactions);
    show("reading to nothing to do", &mut site.manager.others);
    show("plain allocation", &mut allocations(&plan));
    println!("must: p99 <= {P99:?}");
    match p99 {
        Some(p99) if p99 <= P99 => ExitCode::SUCCESS,
        Some(_) | None => ExitCode::FAILURE,
    }
}

/// Prints a line, and returns the 99th percentile; `None` where nothing was measured.
fn show(what: &str, times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    let at = |percent: usize| times.get(last * percent / 100);
    let (p50, p99, max) = (at(50)?, at(99)?, at(100)?);
    println!(
        "{what:26} | {:5} | {:>8} | {:>8} | {:>8}",
        times.len(),
        format!("{p50:.1?}"),
        format!("{p99:.1?}"),
        format!("{max:.1?}"),
    );
    Some(*p99)
}

fn allocations(plan: &LoadPlan) -> Vec<Duration> {
    let wants = |evse| {
        Request::Wants(Wants {
            min: MilliAmps::from_amps(6),
            max: MilliAmps::from_amps(16 + evse % 3 * 8),
            at_max: Reason::OwnMaximum,
            extra: MilliAmps::ZERO,
            in_slot: true,
            attained: 0,
            plugged_at: Mono::START,
            waited: Duration::ZERO,
        })
    };
    let requests: Vec<Request> = (0..).map(wants).take(plan.evses.len()).collect();
    let mut allocator = Allocator::new(plan);
    let mut allocation = || {
        let start = Instant::now();
        black_box(allocator.allocate(black_box(&requests)).len());
        start.elapsed()
    };
    (0..REACTIONS).map(|_| allocation()).collect()
}

/// A controller that is timed.
struct Stopwatch {
    controller: Controller,
    told: BTreeMap<EvseName, Limit>,
    outputs: VecDeque<(EvseName, Offer)>,
    /// From the reading to the first offer, where that was a lowered one.
    reactions: Vec<Duration>,
    others: Vec<Duration>,
}

impl Stopwatch {
    fn new(plan: LoadPlan) -> Self {
        let now = Now {
            mono: Mono::START,
            wall: Timestamp::UNIX_EPOCH,
        };
        Self {
            controller: Controller::new(now, plan, &BTreeMap::new()),
            told: BTreeMap::new(),
            outputs: VecDeque::new(),
            reactions: Vec::new(),
            others: Vec::new(),
        }
    }

    fn next(&mut self) -> Option<(EvseName, Offer)> {
        let (evse, offer) = Manager::poll_output(&mut self.controller)?;
        self.told.insert(evse.clone(), offer.limit);
        Some((evse, offer))
    }
}

impl Manager for Stopwatch {
    fn handle_report(&mut self, now: Now, evse: &EvseName, report: &Report) {
        self.controller.handle_report(now, evse, report);
    }

    fn handle_sample(&mut self, now: Now, meter: &MeterName, current: PerPhase<MilliAmps>) {
        // What was reported before is not its business.
        while let Some(output) = self.next() {
            self.outputs.push_back(output);
        }
        let start = Instant::now();
        Manager::handle_sample(&mut self.controller, now, meter, current);
        let output = Manager::poll_output(&mut self.controller);
        let took = start.elapsed();
        let Some((evse, offer)) = output else {
            self.others.push(took);
            return;
        };
        if self.told.get(&evse).is_some_and(|told| offer.limit < *told) {
            self.reactions.push(took);
        }
        self.told.insert(evse.clone(), offer.limit);
        self.outputs.push_back((evse, offer));
    }

    fn handle_timeout(&mut self, now: Now) {
        self.controller.handle_timeout(now);
    }

    fn poll_output(&mut self) -> Option<(EvseName, Offer)> {
        self.outputs.pop_front().or_else(|| self.next())
    }

    fn poll_timeout(&self) -> Option<Mono> {
        self.controller.poll_timeout()
    }
}
