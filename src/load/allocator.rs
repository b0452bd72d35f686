//! Shares the circuits among the EVSEs that want current.

#![expect(
    clippy::indexing_slicing,
    reason = "cars are indexed by their own vector, resources by the layout"
)]

use std::time::Duration;

use super::admission::Admission;
use super::car::{Car, State, Terms, class_len};
use super::circuit::Circuits;
use super::filling::Filling;
use super::house_load::Load;
use super::plan::{LoadPlan, PriorityMode};
use super::request::{Request, Share};
use super::usage::Usage;
use crate::evse::Reason;
use crate::units::MilliAmps;

/// Decides who gets how much. Pure: the same requests always get the same shares.
///
/// Two stages. *Admission* walks the EVSEs in order (priority, a running slot, least service
/// attained, longest plugged) and gives each its minimum if everything on its path bears it.
/// *Filling* then raises the admitted together, in proportion to their weights, until each is at
/// its maximum or stopped by something that is used up.
#[derive(Debug)]
pub struct Allocator {
    circuits: Circuits,
    terms: Vec<Terms>,
    mode: PriorityMode,
    patience: Duration,
    usage: Usage,
    admission: Admission,
    filling: Filling,
    cars: Vec<Car>,
    shares: Vec<Share>,
}

impl Allocator {
    /// For the circuits and EVSEs of a plan.
    pub fn new(plan: &LoadPlan) -> Self {
        Self::on(&Circuits::new(plan), plan)
    }

    /// For circuits that were built before, and the EVSEs of their plan.
    pub fn on(circuits: &Circuits, plan: &LoadPlan) -> Self {
        Self {
            terms: plan.evses.iter().map(Terms::new).collect(),
            mode: plan.priority_mode,
            patience: plan.rotation_period.saturating_mul(2),
            usage: Usage::new(circuits.capacities()),
            admission: Admission::new(circuits.layout()),
            filling: Filling::new(circuits.layout()),
            cars: Vec::with_capacity(plan.evses.len()),
            shares: Vec::with_capacity(plan.evses.len()),
            circuits: circuits.clone(),
        }
    }

    /// From now on these capacities hold, of the same circuits.
    pub(super) fn set_circuits(&mut self, circuits: &Circuits) {
        self.circuits = circuits.clone();
    }

    /// Shares what the fixed requests leave over. `requests[i]` belongs to EVSE `i` of the plan,
    /// and so does share `i`; a fixed request gets an offer of 0.
    pub fn allocate(&mut self, requests: &[Request]) -> &[Share] {
        self.take(requests);
        let layout = self.circuits.layout();
        self.admission.start(layout, &self.usage);
        let mut from = 0;
        while from < self.cars.len() {
            let to = match self.mode {
                PriorityMode::Strict => from + class_len(&self.cars[from..]),
                PriorityMode::MinFirst => self.cars.len(),
            };
            let group = &mut self.cars[from..to];
            self.admission.start_group(layout, &self.usage);
            loop {
                let admitted = self.admission.admit(layout, &mut self.usage, group, from);
                let mut raised = false;
                let mut rest = &mut *group;
                while !rest.is_empty() {
                    let (class, lower) = rest.split_at_mut(class_len(rest));
                    raised |= self.filling.fill(layout, &mut self.usage, class);
                    rest = lower;
                }
                // Only where asymmetry counts can one car make room for another.
                if !layout.is_uneven || !(admitted || raised) {
                    break;
                }
            }
            from = to;
        }
        self.answer(requests);
        &self.shares
    }

    /// Whether everything above an EVSE bears so much more than was shared last.
    pub(super) fn bears(&self, evse: usize, more: Load) -> bool {
        self.usage.bears(self.circuits.layout(), evse, more)
    }

    /// Whether it stays even enough with so much more.
    pub(super) fn stays_even(&self, evse: usize, more: Load) -> bool {
        let layout = self.circuits.layout();
        self.usage.stays_even(layout, evse, more.phases)
    }

    /// Rounds of filling since it was built.
    #[cfg(test)]
    pub(super) fn rounds(&self) -> usize {
        self.filling.rounds
    }

    /// Books what is fixed, and lines up the rest.
    fn take(&mut self, requests: &[Request]) {
        let layout = self.circuits.layout();
        self.usage.clear(self.circuits.capacities());
        self.cars.clear();
        for ((evse, terms), request) in self.terms.iter().enumerate().zip(requests) {
            match request {
                Request::Fixed(grid) => {
                    let grid = grid.map(|amps| i64::from(amps.0.max(0)));
                    self.usage.add_grid(layout, evse, grid);
                }
                Request::Wants(wants) => {
                    let extra = i64::from(wants.extra.0.max(0));
                    self.usage.add(layout, evse, extra);
                    self.cars
                        .extend(Car::new(evse, terms, wants, self.patience));
                }
            }
        }
        self.usage.tolerate(layout);
        self.cars.sort_unstable_by_key(Car::rank);
    }

    fn answer(&mut self, requests: &[Request]) {
        let nothing = |reason| Share {
            offer: MilliAmps::ZERO,
            reason,
        };
        self.shares.clear();
        self.shares.extend(
            requests
                .iter()
                .take(self.terms.len())
                .map(|request| match request {
                    Request::Fixed(_) => nothing(Reason::NotLimitable),
                    Request::Wants(wants) => nothing(wants.at_max.clone()),
                }),
        );
        let layout = self.circuits.layout();
        let mut queue = 0;
        for car in &self.cars {
            let share = &mut self.shares[car.evse];
            share.offer = MilliAmps(i32::try_from(car.amps).unwrap_or(0));
            match car.state {
                State::Waiting => {
                    let hopeless = self.admission.hopeless(layout, car);
                    share.reason = hopeless.map_or_else(
                        || {
                            queue += 1;
                            Reason::Queue {
                                position: queue,
                                expected: None,
                            }
                        },
                        |resource| self.circuits.reason(resource),
                    );
                }
                State::Stopped(resource) | State::Parked(resource) => {
                    share.reason = self.circuits.reason(resource);
                }
                // As prepared: its own maximum.
                State::Rising | State::Topped => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Mono;
    use crate::load::plan::{CircuitPlan, Device, EvsePlan, Rotation};
    use crate::load::request::Wants;
    use crate::load::site_generator::Site;
    use crate::units::{PerPhase, Phase, Watts};

    const WAITS_LONG: Duration = Duration::from_secs(1801);

    /// A site with one circuit.
    fn site(amps: i32) -> Site {
        let mut site = Site::empty();
        add_circuit(&mut site, "main", None, amps);
        site
    }

    fn add_circuit(site: &mut Site, name: &str, parent: Option<&str>, amps: i32) {
        site.plan.circuits.push(CircuitPlan {
            name: name.into(),
            parent: parent.map(Into::into),
            max_current: MilliAmps::from_amps(amps),
            max_power: None,
            reserve: MilliAmps::ZERO,
            failsafe: MilliAmps::ZERO,
            max_asymmetry: None,
            meter: None,
        });
    }

    /// A car that takes 16 A on so many phases, from `first` on, in steps of 0.1 A.
    fn add_car(site: &mut Site, phases: u8, first: Phase) {
        let index = site.plan.evses.len();
        let order = [0, 1, 2].map(|wired| Phase::ALL[(first.index() + wired) % 3]);
        site.plan.evses.push(EvsePlan {
            name: format!("e{index}").as_str().into(),
            circuit: site.plan.circuits.last().unwrap().name.clone(),
            phases,
            rotation: Rotation::Known(order),
            min: MilliAmps::from_amps(6),
            max: MilliAmps::from_amps(16),
            priority: 0,
            weight: 1,
            failsafe: MilliAmps::ZERO,
            idle: MilliAmps::ZERO,
            step: MilliAmps(100),
            enabled: true,
            device: Device::Ocpp,
        });
        site.requests.push(Request::Wants(Wants {
            min: MilliAmps::from_amps(6),
            max: MilliAmps::from_amps(16),
            at_max: Reason::OwnMaximum,
            in_slot: false,
            extra: MilliAmps::ZERO,
            attained: 0,
            plugged_at: Mono::START,
            waited: Duration::ZERO,
        }));
    }

    fn add_cars(site: &mut Site, count: usize) {
        for _ in 0..count {
            add_car(site, 3, Phase::L1);
        }
    }

    fn with_cars(amps: i32, count: usize) -> Site {
        let mut site = site(amps);
        add_cars(&mut site, count);
        site
    }

    fn wants(site: &mut Site, evse: usize) -> &mut Wants {
        let Request::Wants(wants) = &mut site.requests[evse] else {
            panic!("it is fixed")
        };
        wants
    }

    /// Current that something else takes, per phase.
    fn add_fixed(site: &mut Site, amps: [i32; 3]) {
        add_car(site, 3, Phase::L1);
        let fixed = Request::Fixed(PerPhase(amps.map(MilliAmps::from_amps)));
        *site.requests.last_mut().unwrap() = fixed;
    }

    fn reasons(site: &Site) -> Vec<String> {
        site.shares()
            .into_iter()
            .map(|share| share.reason.to_string())
            .collect()
    }

    #[test]
    fn three_cars_share_32_a_to_the_last_step() {
        let mut site = with_cars(32, 3);
        assert_eq!(site.offers(), [10_700, 10_700, 10_600]);
        for evse in &mut site.plan.evses {
            evse.step = MilliAmps(1000);
        }
        assert_eq!(site.offers(), [11_000, 11_000, 10_000]);
        assert_eq!(reasons(&site), ["limit: circuit main, L1"; 3]);
    }

    #[test]
    fn on_15_a_two_cars_charge_and_a_different_one_waits_after_its_turn() {
        let mut site = with_cars(15, 3);
        assert_eq!(site.offers(), [7500, 7500, 0]);
        assert_eq!(reasons(&site)[2], "waits in the queue, position 1");
        wants(&mut site, 0).attained = 20;
        wants(&mut site, 1).attained = 20;
        assert_eq!(site.offers(), [7500, 0, 7500]);
        // Who is inside its slot stays.
        wants(&mut site, 1).in_slot = true;
        assert_eq!(site.offers(), [0, 7500, 7500]);
    }

    #[test]
    fn one_phase_cars_on_different_phases_do_not_share_anything() {
        let mut site = site(20);
        for phase in Phase::ALL {
            add_car(&mut site, 1, phase);
        }
        assert_eq!(site.offers(), [16_000; 3]);
        assert_eq!(reasons(&site), ["its own maximum"; 3]);
        for evse in &mut site.plan.evses {
            evse.rotation = Rotation::Unknown;
        }
        assert_eq!(site.offers(), [6700, 6700, 6600]);
    }

    #[test]
    fn the_maximum_is_the_least_of_all_and_below_the_minimum_it_is_nothing() {
        let mut site = with_cars(32, 1);
        for (backend, offer) in [(16_000, 16_000), (10_000, 10_000), (5900, 0), (0, 0)] {
            wants(&mut site, 0).max = MilliAmps(backend);
            wants(&mut site, 0).at_max = Reason::Backend {
                limit: MilliAmps(backend),
            };
            assert_eq!(site.offers(), [offer]);
            assert_eq!(
                site.shares()[0].reason,
                Reason::Backend {
                    limit: MilliAmps(backend)
                }
            );
        }
    }

    #[test]
    fn one_phase_cars_pass_a_three_phase_car_that_does_not_fit() {
        let mut site = site(16);
        add_fixed(&mut site, [0, 11, 0]);
        add_car(&mut site, 3, Phase::L1);
        add_car(&mut site, 1, Phase::L1);
        add_car(&mut site, 1, Phase::L3);
        assert_eq!(site.offers(), [0, 0, 16_000, 16_000]);
        // It is not the others' fault: however long it waits, they need not.
        wants(&mut site, 1).waited = WAITS_LONG;
        assert_eq!(site.offers(), [0, 0, 16_000, 16_000]);
        assert_eq!(reasons(&site)[1], "limit: circuit main, L2");
    }

    #[test]
    fn who_waited_too_long_is_not_passed_any_more_where_it_was_stopped() {
        let mut site = site(16);
        for phase in [Phase::L1, Phase::L2] {
            add_car(&mut site, 1, phase);
        }
        // Inside its slot, on L1; the next one could have the rest of L1 or all of L2.
        wants(&mut site, 0).in_slot = true;
        wants(&mut site, 0).min = MilliAmps::from_amps(8);
        wants(&mut site, 1).plugged_at = Mono(Duration::from_secs(9));
        add_car(&mut site, 3, Phase::L1);
        wants(&mut site, 2).min = MilliAmps::from_amps(10);
        add_car(&mut site, 1, Phase::L1);
        wants(&mut site, 3).plugged_at = Mono(Duration::from_secs(9));
        assert_eq!(site.offers(), [8000, 16_000, 0, 8000]);
        wants(&mut site, 2).waited = WAITS_LONG;
        assert_eq!(site.offers(), [16_000, 16_000, 0, 0]);
        assert_eq!(
            reasons(&site)[2..],
            [
                "waits in the queue, position 1",
                "waits in the queue, position 2",
            ]
        );
    }

    #[test]
    fn who_waits_for_what_nobody_can_give_does_not_keep_it_from_others() {
        let mut site = site(16);
        add_fixed(&mut site, [0, 9, 0]);
        add_car(&mut site, 3, Phase::L1);
        wants(&mut site, 1).min = MilliAmps::from_amps(8);
        wants(&mut site, 1).waited = WAITS_LONG;
        add_car(&mut site, 1, Phase::L2);
        assert_eq!(site.offers(), [0, 0, 7000]);
    }

    #[test]
    fn something_else_above_the_fuse_leaves_nothing_and_nothing_negative() {
        let mut site = with_cars(16, 2);
        add_fixed(&mut site, [40, 40, 40]);
        assert_eq!(site.offers(), [0, 0, 0]);
        site.requests[2] = Request::Fixed(PerPhase::all(MilliAmps::MAX));
        assert_eq!(site.offers(), [0, 0, 0]);
        site.requests[2] = Request::Fixed(PerPhase::all(MilliAmps(i32::MIN)));
        assert_eq!(site.offers(), [8000, 8000, 0]);
    }

    #[test]
    fn a_reserve_above_the_fuse_leaves_nothing() {
        let mut site = with_cars(16, 1);
        site.plan.circuits[0].reserve = MilliAmps::from_amps(20);
        assert_eq!(site.offers(), [0]);
    }

    #[test]
    fn who_is_stopped_early_leaves_the_rest_to_the_others() {
        let mut site = site(32);
        add_circuit(&mut site, "garage", Some("main"), 14);
        add_cars(&mut site, 2);
        add_circuit(&mut site, "yard", Some("main"), 32);
        add_cars(&mut site, 2);
        wants(&mut site, 3).max = MilliAmps::from_amps(8);
        assert_eq!(site.offers(), [7000, 7000, 10_000, 8000]);
        assert_eq!(
            reasons(&site),
            [
                "limit: circuit garage, L1",
                "limit: circuit garage, L1",
                "limit: circuit main, L1",
                "its own maximum",
            ]
        );
    }

    #[test]
    fn a_weight_of_two_is_twice_the_current() {
        let mut site = with_cars(21, 2);
        site.plan.evses[1].weight = 2;
        assert_eq!(site.offers(), [7000, 14_000]);
    }

    #[test]
    fn a_higher_class_is_filled_first_or_after_all_minima() {
        let mut site = with_cars(26, 3);
        site.plan.evses[2].priority = 1;
        assert_eq!(site.offers(), [10_000, 0, 16_000]);
        site.plan.priority_mode = PriorityMode::MinFirst;
        assert_eq!(site.offers(), [6000, 6000, 14_000]);
    }

    #[test]
    fn a_power_cap_counts_every_wired_phase_once() {
        let mut site = site(100);
        site.plan.circuits[0].max_power = Some(Watts(230 * 36));
        add_car(&mut site, 3, Phase::L1);
        add_car(&mut site, 1, Phase::L1);
        assert_eq!(site.offers(), [9000, 9000]);
        assert_eq!(reasons(&site), ["limit: power of circuit main"; 2]);
        site.plan.evses[1].rotation = Rotation::Unknown;
        assert_eq!(site.offers(), [9000, 9000]);
    }

    #[test]
    fn power_that_is_too_little_for_a_step_on_three_phases_goes_to_who_takes_smaller_ones() {
        let mut site = site(100);
        site.plan.circuits[0].max_power = Some(Watts(230 * 37));
        add_car(&mut site, 3, Phase::L1);
        add_car(&mut site, 1, Phase::L1);
        site.plan.evses[0].weight = 2;
        site.plan.evses[0].step = MilliAmps::from_amps(1);
        site.plan.evses[1].step = MilliAmps(1);
        // The first is at 10 A of 12 when 1 A is left, and one step more would take 3.
        assert_eq!(site.offers(), [10_000, 7_000]);
    }

    #[test]
    fn one_phase_cars_do_not_load_the_phases_more_unevenly_than_allowed() {
        let mut site = site(100);
        site.plan.circuits[0].max_asymmetry = Some(MilliAmps::from_amps(20));
        add_car(&mut site, 1, Phase::L1);
        add_car(&mut site, 1, Phase::L1);
        assert_eq!(site.offers(), [10_000, 10_000]);
        assert_eq!(reasons(&site), ["limit: asymmetry of circuit main"; 2]);
        // Three phases cancel out, and do not help.
        add_car(&mut site, 3, Phase::L1);
        assert_eq!(site.offers(), [10_000, 10_000, 16_000]);
        // Both other phases rise: room for the first.
        add_car(&mut site, 1, Phase::L2);
        assert_eq!(site.offers()[..2], [10_000, 10_000]);
        add_car(&mut site, 1, Phase::L3);
        assert_eq!(site.offers(), [16_000; 5]);
    }

    #[test]
    fn who_fits_only_beside_later_cars_is_let_in_before_anybody_rises() {
        let mut site = site(100);
        site.plan.circuits[0].max_asymmetry = Some(MilliAmps::from_amps(8));
        for phase in [Phase::L1, Phase::L1, Phase::L2, Phase::L3] {
            add_car(&mut site, 1, phase);
        }
        assert_eq!(site.offers(), [12_000, 12_000, 16_000, 16_000]);
    }

    #[test]
    fn cars_of_unknown_rotation_may_all_be_on_one_phase() {
        let mut site = site(100);
        site.plan.circuits[0].max_asymmetry = Some(MilliAmps::from_amps(20));
        for phase in Phase::ALL {
            add_car(&mut site, 1, phase);
        }
        assert_eq!(site.offers(), [16_000; 3]);
        for evse in &mut site.plan.evses {
            evse.rotation = Rotation::Unknown;
        }
        assert_eq!(site.offers(), [6700, 6700, 6600]);
    }

    #[test]
    fn a_box_of_whole_amperes_starts_at_a_whole_ampere() {
        let mut site = with_cars(32, 1);
        site.plan.evses[0].step = MilliAmps(1000);
        wants(&mut site, 0).min = MilliAmps(6500);
        wants(&mut site, 0).max = MilliAmps(9900);
        assert_eq!(site.offers(), [9000]);
        wants(&mut site, 0).max = MilliAmps(6900);
        assert_eq!(site.offers(), [0]);
    }

    #[test]
    fn a_plan_without_circuits_or_evses_is_no_trouble() {
        assert_eq!(Site::empty().offers(), [0; 0]);
    }
}
