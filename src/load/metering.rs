//! What the meters tell the [`Controller`]: what the house takes of each circuit.

use std::collections::BTreeMap;
use std::time::Duration;

use tracing::{info, warn};

use super::booking::amps;
use super::capacities::Capacities;
use super::circuit::Circuits;
use super::controller::{Controller, Evse};
use super::draw_history::smaller;
use super::heat::Heat;
use super::house_load::{Draw, Drawn, HouseLoad, Load};
use super::layout::{Layout, amps_of};
use super::meter_watch::{Change, Freshness, MeterWatch};
use super::phases_in_use::PhasesInUse;
use super::plan::{CircuitPlan, EvsePlan, LoadPlan, Rotation};
use super::ramp::STARTS_APART;
use crate::clock::{Mono, Now};
use crate::ids::MeterName;
use crate::units::{MilliAmps, PerPhase, Watts};

/// No fuse carries so many times its current for as long as a meter takes to measure it.
const INCREDIBLE: i64 = 20;

/// How often a meter is read if the plan does not say.
const POLL: Duration = Duration::from_secs(1);

/// Whether a meter says what is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MeterState {
    /// There is none.
    None,
    /// It does.
    Fresh,
    /// It has not for a while, or not yet.
    Stale,
}

/// What the status shows of a meter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MeterView {
    /// Whether it says what is true.
    pub state: MeterState,
    /// Of its last reading.
    pub age: Option<Duration>,
    /// Signed currents of the grid's phases, import positive.
    pub current: Option<PerPhase<MilliAmps>>,
    /// Over all phases, import positive.
    pub power: Option<Watts>,
}

/// Every meter, and every circuit that has one.
#[derive(Debug)]
pub(super) struct Metering {
    names: BTreeMap<MeterName, usize>,
    meters: Vec<Meter>,
    pub(super) circuits: Vec<Metered>,
}

#[derive(Debug)]
struct Meter {
    name: MeterName,
    watch: MeterWatch,
    last: Option<(PerPhase<MilliAmps>, Option<Watts>)>,
    /// The newest reading, if it cannot be true.
    incredible: Option<MilliAmps>,
}

/// A circuit with a meter.
#[derive(Debug)]
pub(super) struct Metered {
    pub(super) circuit: usize,
    meter: usize,
    house: HouseLoad,
    heat: PerPhase<Heat>,
    /// When a car below it began last.
    started: Option<Mono>,
}

impl Metering {
    pub(super) fn new(now: Mono, plan: &LoadPlan) -> Self {
        let mut metering = Self {
            names: BTreeMap::new(),
            meters: Vec::new(),
            circuits: Vec::new(),
        };
        for meter in &plan.meters {
            metering.add(now, &meter.name, meter.poll, plan.meter_timeout);
        }
        for (circuit, at) in plan.circuits.iter().enumerate() {
            let Some(name) = &at.meter else {
                continue;
            };
            let meter = metering.add(now, name, POLL, plan.meter_timeout);
            metering.circuits.push(Metered {
                circuit,
                meter,
                house: HouseLoad::new(plan.raise_hold, at.reserve).behind(at.max_current),
                heat: PerPhase::default(),
                started: None,
            });
        }
        metering
    }

    fn add(&mut self, now: Mono, name: &MeterName, poll: Duration, timeout: Duration) -> usize {
        let meters = &mut self.meters;
        *self.names.entry(name.clone()).or_insert_with(|| {
            meters.push(Meter {
                name: name.clone(),
                watch: MeterWatch::new(now, poll, timeout),
                last: None,
                incredible: None,
            });
            meters.len() - 1
        })
    }

    fn freshness(&self, metered: &Metered, now: Mono) -> Freshness {
        let meter = self.meters.get(metered.meter);
        meter.map_or(Freshness::Stale, |meter| meter.watch.freshness(now))
    }

    /// The circuit whose meter is late, of those in `path`.
    pub(super) fn late(&self, path: &[usize], now: Mono) -> Option<usize> {
        let mut metered = self.circuits.iter();
        metered
            .find(|at| path.contains(&at.circuit) && self.freshness(at, now) == Freshness::Late)
            .map(|at| at.circuit)
    }

    /// Some circuit of `path` has a meter.
    pub(super) fn is_above(&self, path: &[usize]) -> bool {
        self.circuits.iter().any(|at| path.contains(&at.circuit))
    }

    /// A car may begin below all circuits of `path`.
    pub(super) fn may_start(&self, path: &[usize], now: Mono) -> bool {
        let mut metered = self.circuits.iter().filter(|at| path.contains(&at.circuit));
        metered.all(|at| at.next_start().is_none_or(|next| next <= now))
    }

    /// A car begins.
    pub(super) fn start(&mut self, path: &[usize], now: Mono) {
        let metered = self.circuits.iter_mut();
        for at in metered.filter(|at| path.contains(&at.circuit)) {
            at.started = Some(now);
        }
    }

    /// When cars may begin again.
    pub(super) fn next_starts(&self) -> impl Iterator<Item = Mono> {
        self.circuits.iter().filter_map(Metered::next_start)
    }

    /// What the house takes of a circuit by the newest reading, and what its meter is worth.
    pub(super) fn view(&self, circuit: usize, now: Mono) -> (Option<Load>, Freshness) {
        let Some(at) = self.circuits.iter().find(|at| at.circuit == circuit) else {
            return (None, Freshness::Fresh);
        };
        (at.house.newest(), self.freshness(at, now))
    }

    /// When time alone changes something.
    pub(super) fn poll_timeout(&self, now: Mono) -> impl Iterator<Item = Mono> {
        let meters = self.meters.iter();
        meters.filter_map(move |meter| meter.watch.poll_timeout(now))
    }

    fn capacities(&self, layout: &Layout, plan: &LoadPlan, now: Mono) -> Capacities {
        let mut capacities = Capacities::new(layout);
        for at in &self.circuits {
            let Some(circuit) = plan.circuits.get(at.circuit) else {
                continue;
            };
            capacities.set_hot(layout, at.circuit, at.heat.map(|phase| phase.reduction()));
            match (self.freshness(at, now), at.house.counts()) {
                (Freshness::Stale, _) => {
                    capacities.set_failsafe(layout, at.circuit, circuit.failsafe);
                }
                (Freshness::Fresh | Freshness::Late, Some(house)) => {
                    capacities.set_house(layout, at.circuit, house.phases, house.power);
                }
                (Freshness::Fresh | Freshness::Late, None) => {}
            }
            if let Some(newest) = at.house.newest().filter(|_| plan.asymmetry_includes_house) {
                capacities.set_uneven(layout, at.circuit, newest.phases);
            }
        }
        capacities
    }
}

impl Metered {
    fn warm(&mut self, now: Mono, current: PerPhase<MilliAmps>, plan: Option<&CircuitPlan>) {
        let Some(rated) = plan.map(|circuit| circuit.max_current) else {
            return;
        };
        for (phase, amps) in current.iter() {
            self.heat[phase].measure(now, amps, rated);
        }
    }

    fn next_start(&self) -> Option<Mono> {
        self.started.map(|at| at + STARTS_APART)
    }
}

impl Meter {
    fn state(&self, now: Mono) -> MeterState {
        match self.watch.freshness(now) {
            Freshness::Fresh => MeterState::Fresh,
            Freshness::Late if self.last.is_some() => MeterState::Fresh,
            Freshness::Late | Freshness::Stale => MeterState::Stale,
        }
    }

    fn tell(&self, change: Change) {
        let meter = &self.name;
        match change {
            Change::Stale => {
                warn!(%meter, "a meter says nothing any more; failsafe-current holds where it measures");
            }
            Change::Recovered => info!(%meter, "a meter can be believed again"),
        }
    }
}

impl Controller {
    /// A reading of a meter: signed currents of the grid's phases and the power over all of them,
    /// import positive, taken at `now`. What cannot be true is no reading.
    pub fn handle_sample(
        &mut self,
        now: Now,
        meter: &MeterName,
        current: PerPhase<MilliAmps>,
        power: Option<Watts>,
    ) {
        self.now = now.mono;
        let now = now.mono;
        let Some(&index) = self.metering.names.get(meter) else {
            return;
        };
        let incredible = self.incredible(index, current);
        let Some(meter) = self.metering.meters.get_mut(index) else {
            return;
        };
        let before = std::mem::replace(&mut meter.incredible, incredible);
        if let Some(amps) = incredible {
            if before.is_none() {
                warn!(meter = %meter.name, amps = amps.as_amps(), "a meter reads a current that no fuse of its circuits carries");
            }
            return;
        }
        if let Some(change) = meter.watch.read(now) {
            meter.tell(change);
        }
        meter.last = Some((current, power));
        let sum: i64 = current.0.iter().map(|amps| i64::from(amps.0)).sum();
        let power = power.map_or(sum, |power| amps_of(power, self.plan.voltage));
        for at in &mut self.metering.circuits {
            if at.meter == index {
                let evses = || self.evses.iter().zip(&self.plan.evses);
                let drawn =
                    |when, draw| drawn_below(&self.circuits, evses(), at.circuit, when, draw);
                at.house.read(now, current, power, drawn);
                at.warm(now, current, self.plan.circuits.get(at.circuit));
                self.dirty = true;
            }
        }
    }

    /// What the status shows of a meter.
    pub fn meter(&self, now: Mono, name: &MeterName) -> Option<MeterView> {
        let meter = self.metering.meters.get(*self.metering.names.get(name)?)?;
        Some(MeterView {
            state: meter.state(now),
            age: meter.watch.age(now),
            current: meter.last.map(|(current, _)| current),
            power: meter.last.and_then(|(_, power)| power),
        })
    }

    /// What a meter reads now, if that cannot be true.
    pub fn incredible_reading(&self, name: &MeterName) -> Option<MilliAmps> {
        let meter = self.metering.meters.get(*self.metering.names.get(name)?)?;
        meter.incredible
    }

    fn incredible(&self, meter: usize, current: PerPhase<MilliAmps>) -> Option<MilliAmps> {
        let measures = self.metering.circuits.iter().filter(|at| at.meter == meter);
        let fuses = measures.filter_map(|at| self.plan.circuits.get(at.circuit));
        let fuse = fuses.map(|circuit| circuit.max_current).max()?;
        let most = i64::from(fuse.0) * INCREDIBLE;
        let mut currents = current.0.into_iter();
        currents.find(|amps| i64::from(amps.0).abs() > most)
    }

    /// Lets the meters and what they said hold from now on.
    pub(super) fn look_at_meters(&mut self) {
        let now = self.now;
        for meter in &mut self.metering.meters {
            if let Some(change) = meter.watch.look(now) {
                meter.tell(change);
            }
        }
        if self.metering.circuits.is_empty() {
            return;
        }
        let layout = self.circuits.layout();
        let capacities = self.metering.capacities(layout, &self.plan, now);
        if capacities != *self.circuits.capacities() {
            self.circuits = self.circuits.with_capacities(capacities);
            self.allocator.set_circuits(&self.circuits);
        }
    }

    /// Notes what every EVSE may draw from now on.
    pub(super) fn note_draws(&mut self) {
        let now = self.now;
        for (index, (evse, plan)) in self.evses.iter_mut().zip(&self.plan.evses).enumerate() {
            // An observer does not know what anybody is allowed.
            let may = if self.plan.observe {
                plan.max
            } else {
                evse.booking.may_draw(now)
            };
            let offer = evse.booking.offered().map(|offer| offer.limit);
            let offer = offer.map_or(may, |limit| amps(limit, plan.max).min(may));
            let grid = |amps| self.circuits.on_grid(index, amps);
            evse.draws.assume(now, grid(may), grid(offer));
        }
    }
}

/// What the EVSEs below a circuit are taken to have drawn at a moment.
fn drawn_below<'a>(
    circuits: &Circuits,
    evses: impl Iterator<Item = (&'a Evse, &'a EvsePlan)>,
    circuit: usize,
    when: Mono,
    draw: Draw,
) -> Drawn {
    let mut sum = Drawn::default();
    for (index, (evse, plan)) in evses.enumerate() {
        if !circuits.path(index).contains(&circuit) {
            continue;
        }
        let (least, most) = (evse.draws.at_least(when), evse.draws.at_most(when));
        let (least, most) = match draw {
            Draw::Most => (least, most),
            Draw::Steady => (least, evse.draws.steady(when)),
            Draw::Allowed => {
                let allowed = evse.draws.allowed(when);
                let most = evse.draws.steady(when);
                (smaller(least, allowed), smaller(most, allowed))
            }
        };
        let most = without_unused(plan.rotation, &evse.phases, least, most);
        let bounds = [least, most].map(|grid| grid.map(|amps| i64::from(amps.0)));
        let [least, most] = bounds;
        for (sum, grid) in [(&mut sum.least, least), (&mut sum.most, most)] {
            for (phase, amps) in grid.iter() {
                sum.phases[phase] += amps;
            }
            sum.power += circuits.layout().total(index, grid);
        }
        // Otherwise a car that charges with one phase would look like something in the house, and
        // never begin where there is not room for both.
        if evse.phases.move_together() {
            let open = most.iter().map(|(phase, most)| most - least[phase]);
            sum.together += open.min().unwrap_or(0).max(0);
        }
    }
    sum
}

/// On a phase that a car does not use nothing is open: it has drawn no more than the least.
fn without_unused(
    rotation: Rotation,
    phases: &PhasesInUse,
    least: PerPhase<MilliAmps>,
    mut most: PerPhase<MilliAmps>,
) -> PerPhase<MilliAmps> {
    if let Rotation::Known(order) = rotation {
        for (phase, is_unused) in order.into_iter().zip(phases.unused()) {
            if is_unused {
                most[phase] = least[phase];
            }
        }
    }
    most
}
