//! How long it takes from a reading of the meter that is above the limit to the first lowered limit,
//! with 50 EVSEs: wall-clock, p99 at most 50 ms. The readings are those of a closed loop beside a
//! house that cooks. Once they go through the whole site, from the registers of the meter to the
//! frame for a wallbox, and once through the load manager alone; beside them a plain allocation.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(clippy::disallowed_methods, reason = "a stopwatch needs a clock")]

use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use chargewarden::clock::{Mono, Now, Random, Timestamp};
use chargewarden::evse::{Limit, Offer, Reason, Report};
use chargewarden::ids::{ConnectorId, DeviceId, EvseName, LinkId, MeterName};
use chargewarden::journal::Recovered;
use chargewarden::load::{self, Allocator, Controller, LoadPlan, Wants};
use chargewarden::modbus::Request;
use chargewarden::sim::closed_loop::{ClosedLoop, Manager, Scene};
use chargewarden::sim::{
    Car, House, Meter, MeterMap, MeterPlan, Wallbox, WallboxPlan, WorldPlan, wallbox,
};
use chargewarden::site::{Input, Output, Site};
use chargewarden::units::{MilliAmps, PerPhase, Phase, WattHours};
use serde_json::Value;

const EVSES: usize = 50;
const AMPS: i32 = 315;

/// Behind the same fuse as the 50 wallboxes of the site, so that there is much to react to.
const HOUSES: usize = 5;

/// So many reactions are enough, …
const REACTIONS: usize = 1000;

/// … and so many simulated hours.
const HOURS: u64 = 48;

/// All wallboxes are there, and cars come.
const START_UP: Duration = Duration::from_mins(1);

/// Not counted: the cars begin.
const WARM_UP: Duration = Duration::from_mins(5);

/// The figure that must hold.
const P99: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let mut building = Building::new();
    let building_hours = hours(|end| {
        building.run_until(end);
        building.reactions.len()
    });
    let scene = Scene::beside_a_brutal_house(1, EVSES, AMPS);
    let plan = scene.plan.clone();
    let mut manager = ClosedLoop::new(scene, Stopwatch::new(plan.clone()));
    let manager_hours = hours(|end| {
        manager.run_until(end, |_| {});
        manager.manager.reactions.len()
    });
    println!(
        "{EVSES} EVSEs, {building_hours} h simulated with the site, {manager_hours} h without"
    );
    println!("what                           | times |      p50 |      p99 |      max");
    let site = show("site: reading to lowered frame", &mut building.reactions);
    show("site: reading to nothing to do", &mut building.others);
    let Stopwatch {
        reactions, others, ..
    } = &mut manager.manager;
    let load = show("load: reading to lowered offer", reactions);
    show("load: reading to nothing to do", others);
    show("plain allocation", &mut allocations(&plan));
    println!("must: both p99 <= {P99:?}");
    let holds = |p99: Option<Duration>| p99.is_some_and(|p99| p99 <= P99);
    if holds(site) && holds(load) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Lets hours pass until there are enough reactions; says how many it took.
fn hours(mut run_until: impl FnMut(Mono) -> usize) -> u64 {
    let enough = |hours: &u64| run_until(Mono(Duration::from_hours(*hours))) >= REACTIONS;
    (1..=HOURS).find(enough).unwrap_or(HOURS)
}

/// Prints a line, and returns the 99th percentile; `None` where nothing was measured.
fn show(what: &str, times: &mut [Duration]) -> Option<Duration> {
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    let at = |percent: usize| times.get(last * percent / 100);
    let (p50, p99, max) = (at(50)?, at(99)?, at(100)?);
    println!(
        "{what:30} | {:5} | {:>8} | {:>8} | {:>8}",
        times.len(),
        format!("{p50:.1?}"),
        format!("{p99:.1?}"),
        format!("{max:.1?}"),
    );
    Some(*p99)
}

fn allocations(plan: &LoadPlan) -> Vec<Duration> {
    let wants = |evse| {
        load::Request::Wants(Wants {
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
    let requests: Vec<load::Request> = (0..).map(wants).take(plan.evses.len()).collect();
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

/// A site with 50 OCPP wallboxes that charge behind a metered fuse, beside houses that cook. No line
/// takes its time, and the disk writes at once.
struct Building {
    now: Now,
    site: Site,
    /// The one at place 0 has link 1, and so on.
    wallboxes: Vec<Wallbox>,
    /// The last limit that each was told, in A.
    told: Vec<Option<f64>>,
    meter: Meter,
    houses: Vec<House>,
    asked: Option<(Mono, Request)>,
    inputs: VecDeque<Input>,
    /// From the registers to the first frame that lowers a limit.
    reactions: Vec<Duration>,
    others: Vec<Duration>,
}

impl Building {
    fn new() -> Self {
        let mut random = Random::new(1);
        let houses = (0..HOUSES).map(|_| House::brutal(random.next_u64()));
        let houses: Vec<House> = houses.collect();
        let meter = MeterPlan {
            latency: Duration::ZERO,
            ..MeterPlan::new(MeterMap::Sdm630)
        };
        let plans: Vec<WallboxPlan> = (0..EVSES)
            .map(|place| WallboxPlan::new(&format!("CB-{place}")))
            .collect();
        let world = WorldPlan::new(random.next_u64())
            .fuse("main", AMPS)
            .metered("grid", meter.clone(), House::steady(PerPhase::default()));
        let world = plans.iter().cloned().fold(world, WorldPlan::wallbox);
        let now = Now {
            mono: Mono::START,
            wall: Timestamp::UNIX_EPOCH,
        };
        let seed = Random::new(random.next_u64());
        let mut building = Self {
            now,
            site: Site::new(now, world.site_plan(), &Recovered::default(), seed),
            wallboxes: Vec::new(),
            told: vec![None; EVSES],
            meter: Meter::new(meter, random.next_u64()),
            houses,
            asked: None,
            inputs: VecDeque::new(),
            reactions: Vec::new(),
            others: Vec::new(),
        };
        for (plan, link) in plans.into_iter().zip((1..).map(LinkId)) {
            let address = plan.id.clone();
            let mut wallbox = Wallbox::new(plan, Random::new(random.next_u64()));
            wallbox.handle_connected(now);
            building.wallboxes.push(wallbox);
            let peer = String::new();
            building.inputs.push_back(Input::Up {
                link,
                address,
                peer,
            });
        }
        building.run_until(Mono(START_UP));
        let hungry = Car::default().wants(WattHours(i64::MAX));
        for wallbox in &mut building.wallboxes {
            wallbox.plug(building.now, ConnectorId(1), hungry.clone());
            wallbox.present_tag(building.now, ConnectorId(1), &"TAG".into());
        }
        building
    }

    fn run_until(&mut self, end: Mono) {
        loop {
            let wallboxes = self.wallboxes.iter().filter_map(Wallbox::poll_timeout);
            let asked = self.asked.as_ref().map(|(at, _)| *at);
            let site = self.site.poll_timeout();
            let next = wallboxes.chain(asked).chain(site).min();
            let Some(next) = next.filter(|next| *next <= end) else {
                return;
            };
            self.now.mono = self.now.mono.max(next);
            self.now.wall = Timestamp::UNIX_EPOCH + self.now.mono.0;
            self.step();
        }
    }

    /// Does everything that is due, and what comes of it.
    fn step(&mut self) {
        let now = self.now;
        let due = |at: Mono| at <= now.mono;
        for wallbox in &mut self.wallboxes {
            if wallbox.poll_timeout().is_some_and(due) {
                wallbox.handle_timeout(now);
            }
        }
        if self.site.poll_timeout().is_some_and(due) {
            self.site.handle_timeout(now);
            self.carry();
        }
        if let Some((_, request)) = self.asked.take_if(|(at, _)| due(*at)) {
            self.read_meter(&request);
        }
        self.hear();
        while let Some(input) = self.inputs.pop_front() {
            self.site.handle(now, input);
            self.carry();
            self.hear();
        }
    }

    /// The meter answers; this is what is timed.
    fn read_meter(&mut self, request: &Request) {
        let now = self.now;
        self.houses.iter_mut().for_each(|it| it.advance(now.mono));
        let houses = self.houses.iter().map(House::current);
        let wallboxes = self.wallboxes.iter();
        let wallboxes = wallboxes.map(|it| it.drawn(ConnectorId(1), now));
        let mut flows = PerPhase::<MilliAmps>::default();
        for part in houses.chain(wallboxes) {
            for phase in Phase::ALL {
                flows[phase] += part[phase];
            }
        }
        self.meter.observe(now.mono, flows);
        let answer = self.meter.handle_request(now.mono, request);
        let device = DeviceId::Meter(0);
        let start = Instant::now();
        self.site.handle(now, Input::Modbus { device, answer });
        let output = || Some((self.site.poll_output()?, start.elapsed()));
        let outputs: Vec<(Output, Duration)> = std::iter::from_fn(output).collect();
        let all = start.elapsed();
        let lowered = outputs.iter().find(|(output, _)| self.lowers(output));
        if now.mono >= Mono(WARM_UP) {
            match lowered {
                Some((_, took)) => self.reactions.push(*took),
                None => self.others.push(all),
            }
        }
        for (output, _) in outputs {
            self.carry_out(output);
        }
    }

    fn lowers(&self, output: &Output) -> bool {
        let told = |place: usize| self.told.get(place).copied().flatten();
        limited(output).is_some_and(|(place, limit)| told(place).is_some_and(|told| limit < told))
    }

    /// What the wallboxes say.
    fn hear(&mut self) {
        for (wallbox, link) in self.wallboxes.iter_mut().zip((1..).map(LinkId)) {
            while let Some(wallbox::Output::Send(text)) = wallbox.poll_output() {
                self.inputs.push_back(Input::Frame { link, text });
            }
        }
    }

    /// What the site says.
    fn carry(&mut self) {
        while let Some(output) = self.site.poll_output() {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        if let Some((place, limit)) = limited(&output)
            && let Some(told) = self.told.get_mut(place)
        {
            *told = Some(limit);
        }
        match output {
            Output::Persist(seq, _) => self.inputs.push_back(Input::Committed(seq)),
            Output::Send { link, text } => {
                if let Some(wallbox) = place(link).and_then(|it| self.wallboxes.get_mut(it)) {
                    wallbox.handle_frame(self.now, &text);
                }
            }
            Output::Modbus { request, .. } => self.asked = Some((self.now.mono, request)),
            Output::Ping { link } => {
                let pong = true;
                self.inputs.push_back(Input::Heard { link, pong });
            }
            Output::Close { .. }
            | Output::Dial { .. }
            | Output::Request { .. }
            | Output::Upload { .. }
            | Output::Fetch { .. } => {}
        }
    }
}

/// Which wallbox is told which limit, in A.
fn limited(output: &Output) -> Option<(usize, f64)> {
    let Output::Send { link, text } = output else {
        return None;
    };
    let (_, _, action, payload): (u8, String, String, Value) = serde_json::from_str(text).ok()?;
    let schedule = payload.pointer("/csChargingProfiles/chargingSchedule")?;
    let limit = schedule.pointer("/chargingSchedulePeriod/0/limit")?;
    let limit = limit.as_f64()?;
    (action == "SetChargingProfile").then_some((place(*link)?, limit))
}

fn place(link: LinkId) -> Option<usize> {
    usize::try_from(link.0.checked_sub(1)?).ok()
}
