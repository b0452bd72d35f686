//! What holds for the shares of every site.

use super::plan::{PriorityMode, Rotation};
use super::request::Request;
use super::site_generator::Site;
use crate::clock::Random;
use crate::evse::Reason;
use crate::load::circuit::Bookings;
use crate::units::{MilliAmps, PerPhase, Watts};

/// Sites for each property: together some 10⁴ in every test run. `just long` asks for 10⁶.
const SITES: u64 = match option_env!("ALLOCATOR_SITES") {
    None => 800,
    Some(number) => match u64::from_str_radix(number, 10) {
        Ok(number) => number,
        Err(_) => panic!("ALLOCATOR_SITES is a number"),
    },
};

fn for_sites(property: impl Fn(&str, Site)) {
    for seed in 0..SITES {
        property(&format!("seed {seed}"), Site::random(seed));
    }
}

/// Everything that flows, computed without the code under test.
struct Flow<'a> {
    site: &'a Site,
    /// Per EVSE, on the grid.
    grid: Vec<[i64; 3]>,
}

impl<'a> Flow<'a> {
    fn fixed(site: &'a Site) -> Self {
        let grid = site.requests.iter().map(|request| match request {
            Request::Fixed(grid) => grid.0.map(|amps| i64::from(amps.0)),
            Request::Wants(_) => [0; 3],
        });
        let mut flow = Self {
            site,
            grid: grid.collect(),
        };
        for evse in 0..site.requests.len() {
            let extra = site.wants(evse).map_or(0, |wants| wants.extra.0);
            flow.raise(evse, extra);
        }
        flow
    }

    fn with(site: &'a Site, offers: &[i32]) -> Self {
        let mut flow = Self::fixed(site);
        for (evse, offer) in offers.iter().enumerate() {
            flow.raise(evse, *offer);
        }
        flow
    }

    fn raise(&mut self, evse: usize, amps: i32) {
        let plan = &self.site.plan.evses[evse];
        for wired in 0..3 {
            match plan.rotation {
                Rotation::Known(order) if wired < usize::from(plan.phases) => {
                    self.grid[evse][order[wired].index()] += i64::from(amps);
                }
                Rotation::Known(_) => {}
                Rotation::Unknown => self.grid[evse][wired] += i64::from(amps),
            }
        }
    }

    fn below(&self, circuit: usize) -> impl Iterator<Item = usize> {
        (0..self.grid.len()).filter(move |evse| self.site.path(*evse).contains(&circuit))
    }

    fn current(&self, circuit: usize, phase: usize) -> i64 {
        self.below(circuit).map(|evse| self.grid[evse][phase]).sum()
    }

    /// In microwatts.
    fn power(&self, circuit: usize) -> i64 {
        let total = |evse: usize| match self.site.plan.evses[evse].rotation {
            Rotation::Known(_) => self.grid[evse].iter().sum::<i64>(),
            Rotation::Unknown => self.grid[evse][0] * i64::from(self.site.plan.evses[evse].phases),
        };
        self.below(circuit).map(total).sum::<i64>() * i64::from(self.site.plan.voltage.0)
    }

    /// The worst difference between two phases, wherever the unknown ones lie.
    fn asymmetry(&self, circuit: usize) -> i64 {
        let uneven: Vec<usize> = self
            .below(circuit)
            .filter(|evse| self.site.plan.evses[*evse].phases < 3)
            .collect();
        let difference = |high: usize, low: usize| -> i64 {
            let of = |evse: &usize| match self.site.plan.evses[*evse].rotation {
                Rotation::Known(_) => self.grid[*evse][high] - self.grid[*evse][low],
                Rotation::Unknown => self.grid[*evse][high],
            };
            uneven.iter().map(of).sum()
        };
        let pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        pairs
            .into_iter()
            .map(|(high, low)| difference(high, low))
            .max()
            .unwrap()
    }

    /// Whether everything on the path of an EVSE holds, beyond what was fixed.
    fn holds(&self, evse: usize) -> bool {
        let fixed = Self::fixed(self.site);
        self.site.path(evse).into_iter().all(|circuit| {
            let phases = (0..3).all(|phase| self.phase_holds(&fixed, evse, circuit, phase));
            phases && self.power_holds(&fixed, circuit) && self.asymmetry_holds(&fixed, circuit)
        })
    }

    fn phase_holds(&self, fixed: &Flow<'_>, evse: usize, circuit: usize, phase: usize) -> bool {
        let plan = &self.site.plan.circuits[circuit];
        let capacity = i64::from((plan.max_current.0 - plan.reserve.0).max(0));
        self.grid[evse][phase] == 0
            || self.current(circuit, phase) <= capacity.max(fixed.current(circuit, phase))
    }

    fn power_holds(&self, fixed: &Flow<'_>, circuit: usize) -> bool {
        caps(self.site, circuit).all(|cap| {
            self.power(circuit) <= (i64::from(cap.0) * 1_000_000).max(fixed.power(circuit))
        })
    }

    fn asymmetry_holds(&self, fixed: &Flow<'_>, circuit: usize) -> bool {
        self.site.plan.circuits[circuit]
            .max_asymmetry
            .is_none_or(|cap| {
                self.asymmetry(circuit) <= i64::from(cap.0).max(fixed.asymmetry(circuit))
            })
    }
}

/// What a circuit may carry over all phases: by its plan, and by its signal.
fn caps(site: &Site, circuit: usize) -> impl Iterator<Item = Watts> {
    [site.plan.circuits[circuit].max_power, site.signals[circuit]]
        .into_iter()
        .flatten()
}

#[test]
fn i1_no_phase_of_any_circuit_is_given_out_twice() {
    for_sites(|seed, site| {
        let (fixed, flow) = (Flow::fixed(&site), Flow::with(&site, &site.offers()));
        for (index, circuit) in site.plan.circuits.iter().enumerate() {
            let capacity = i64::from((circuit.max_current.0 - circuit.reserve.0).max(0));
            for phase in 0..3 {
                let fixed = fixed.current(index, phase);
                let offers = flow.current(index, phase) - fixed;
                assert!(
                    offers <= (capacity - fixed).max(0),
                    "{seed}: {} {phase}",
                    circuit.name
                );
            }
        }
    });
}

#[test]
fn i1b_power_caps_hold() {
    for_sites(|seed, site| {
        let (fixed, flow) = (Flow::fixed(&site), Flow::with(&site, &site.offers()));
        for (index, circuit) in site.plan.circuits.iter().enumerate() {
            for cap in caps(&site, index) {
                let left = (i64::from(cap.0) * 1_000_000 - fixed.power(index)).max(0);
                assert!(
                    flow.power(index) - fixed.power(index) <= left,
                    "{seed}: {}",
                    circuit.name
                );
            }
        }
    });
}

#[test]
fn i1c_asymmetry_stays_within_its_limit() {
    for_sites(|seed, site| {
        let (fixed, flow) = (Flow::fixed(&site), Flow::with(&site, &site.offers()));
        for (index, circuit) in site.plan.circuits.iter().enumerate() {
            assert!(
                flow.asymmetry_holds(&fixed, index),
                "{seed}: {}",
                circuit.name
            );
        }
    });
}

#[test]
fn i2_an_offer_is_nothing_or_on_the_grid_of_its_steps_between_minimum_and_maximum() {
    for_sites(|seed, site| {
        for (evse, offer) in site
            .offers()
            .into_iter()
            .enumerate()
            .filter(|(_, offer)| *offer != 0)
        {
            let (wants, step) = (site.wants(evse).unwrap(), site.plan.evses[evse].step.0);
            assert!(
                offer >= wants.min.0 && offer <= wants.max.0,
                "{seed}: {evse}"
            );
            assert_eq!((offer - wants.min.0) % step, 0, "{seed}: {evse}");
            assert!(step != 1000 || offer % 1000 == 0, "{seed}: {evse}");
        }
    });
}

#[test]
fn i3_a_maximum_below_the_minimum_is_nothing() {
    for_sites(|seed, site| {
        for (evse, share) in site.shares().into_iter().enumerate() {
            if let Some(wants) = site.wants(evse).filter(|wants| wants.max < wants.min) {
                assert_eq!(share.offer, MilliAmps::ZERO, "{seed}: {evse}");
                assert_eq!(share.reason, wants.at_max, "{seed}: {evse}");
            }
        }
    });
}

fn assert_nothing_is_left_over(seed: &str, site: &Site) {
    let offers = site.offers();
    for (evse, offer) in offers.iter().enumerate() {
        let Some(wants) = site.wants(evse) else {
            continue;
        };
        let more = if *offer == 0 {
            wants.min.0
        } else {
            site.plan.evses[evse].step.0
        };
        if offer + more <= wants.max.0 {
            let mut flow = Flow::with(site, &offers);
            flow.raise(evse, more);
            assert!(
                !flow.holds(evse),
                "{seed}: {evse} could have {}",
                offer + more
            );
        }
    }
}

#[test]
fn i4_nobody_could_have_one_more_step_and_nobody_waits_whose_minimum_fits() {
    for_sites(|seed, site| {
        assert_nothing_is_left_over(seed, &site.without_asymmetry().without_overdue());
    });
}

#[test]
fn i4_asymmetry_leaves_nothing_over_within_a_class() {
    for_sites(|seed, site| {
        assert_nothing_is_left_over(seed, &site.in_one_class().without_overdue());
    });
}

/// `other` is at most three steps above `evse` by weight, or close to its minimum.
fn is_fair(site: &Site, offers: &[i32], evse: usize, other: usize) -> bool {
    let (mine, theirs) = (&site.plan.evses[evse], &site.plan.evses[other]);
    let step = i64::from(mine.step.0.max(theirs.step.0));
    let (weight, their_weight) = (i64::from(mine.weight), i64::from(theirs.weight));
    let (amps, their_amps) = (i64::from(offers[evse]), i64::from(offers[other]));
    // What is too little for a step of one can lift a finer one that stood at its minimum: where
    // power is short, a step on three phases is three on one.
    their_amps <= i64::from(site.wants(other).unwrap().min.0) + 3 * step
        || their_amps * weight < (amps + step) * their_weight + 3 * step * weight
}

#[test]
fn i5_who_is_below_its_maximum_shares_something_used_up_with_nobody_above_it() {
    for_sites(|seed, site| {
        let site = site.without_asymmetry();
        let (fixed, offers) = (Flow::fixed(&site), site.offers());
        for (evse, plan) in site
            .plan
            .evses
            .iter()
            .enumerate()
            .filter(|(i, _)| offers[*i] > 0)
        {
            if offers[evse] + plan.step.0 > site.wants(evse).unwrap().max.0 {
                continue;
            }
            let mut flow = Flow::with(&site, &offers);
            flow.raise(evse, plan.step.0);
            let fair = |circuit: usize, phase: Option<usize>| {
                let class = |other: &usize| site.plan.evses[*other].priority == plan.priority;
                let uses = |other: &usize| phase.is_none_or(|phase| flow.grid[*other][phase] > 0);
                let others = flow.below(circuit).filter(|other| offers[*other] > 0);
                let mut others = others.filter(class).filter(uses);
                others.all(|other| is_fair(&site, &offers, evse, other))
            };
            let explained = site.path(evse).into_iter().any(|circuit| {
                let full = |phase: &usize| !flow.phase_holds(&fixed, evse, circuit, *phase);
                (0..3).filter(full).any(|phase| fair(circuit, Some(phase)))
                    || (!flow.power_holds(&fixed, circuit) && fair(circuit, None))
            });
            assert!(
                explained,
                "{seed}: {evse} has {} of {offers:?}",
                offers[evse]
            );
        }
    });
}

#[test]
fn i6_the_order_of_the_file_does_not_matter() {
    for_sites(|seed, site| {
        let mut random = Random::new(SITES);
        let mut order: Vec<usize> = (0..site.requests.len()).collect();
        for i in (1..order.len()).rev() {
            order.swap(i, usize::try_from(random.below(i as u64 + 1)).unwrap());
        }
        let mut shuffled = site.clone();
        shuffled.plan.evses = order.iter().map(|i| site.plan.evses[*i].clone()).collect();
        shuffled.requests = order.iter().map(|i| site.requests[*i].clone()).collect();
        let shares = site.shares();
        let expected: Vec<_> = order.iter().map(|i| shares[*i].clone()).collect();
        assert_eq!(shuffled.shares(), expected, "{seed}");
    });
}

#[test]
fn i6_a_site_k_times_as_large_is_shared_in_the_same_way() {
    for_sites(|seed, mut site| {
        // A cap that is no whole number of milliamperes is rounded down.
        for circuit in &mut site.plan.circuits {
            circuit.max_power = circuit.max_power.map(|watts| watts_of(watts.0 / 230));
        }
        for signal in &mut site.signals {
            *signal = signal.map(|watts| watts_of(watts.0 / 230));
        }
        let scale = |amps: MilliAmps| MilliAmps(amps.0 * 3);
        let mut large = site.clone();
        for circuit in &mut large.plan.circuits {
            circuit.max_current = scale(circuit.max_current);
            circuit.reserve = scale(circuit.reserve);
            circuit.max_asymmetry = circuit.max_asymmetry.map(scale);
            circuit.max_power = circuit.max_power.map(|watts| watts_of(watts.0 / 230 * 3));
        }
        for signal in &mut large.signals {
            *signal = signal.map(|watts| watts_of(watts.0 / 230 * 3));
        }
        for evse in &mut large.plan.evses {
            evse.step = scale(evse.step);
        }
        for request in &mut large.requests {
            match request {
                Request::Fixed(grid) => *grid = grid.map(scale),
                Request::Wants(wants) => {
                    wants.min = scale(wants.min);
                    wants.max = scale(wants.max);
                    wants.extra = scale(wants.extra);
                }
            }
        }
        let expected: Vec<i32> = site.offers().into_iter().map(|offer| offer * 3).collect();
        assert_eq!(large.offers(), expected, "{seed}");
    });
}

fn watts_of(amps: i32) -> Watts {
    Watts(amps * 230)
}

#[test]
fn i7_lower_classes_take_nothing_from_higher_ones() {
    for_sites(|seed, site| {
        let mut site = site.without_extra();
        site.plan.priority_mode = PriorityMode::Strict;
        let all = site.shares();
        for class in 0..3 {
            let mut higher = site.clone();
            for (evse, request) in site.plan.evses.iter().zip(&mut higher.requests) {
                if evse.priority < class && matches!(request, Request::Wants(_)) {
                    *request = Request::Fixed(PerPhase::all(MilliAmps::ZERO));
                }
            }
            for (evse, share) in higher.shares().into_iter().enumerate() {
                if site.plan.evses[evse].priority >= class {
                    assert_eq!(share, all[evse], "{seed}: {evse}");
                }
            }
        }
    });
}

#[test]
fn i8_a_higher_maximum_of_its_own_never_gives_an_evse_less() {
    for_sites(|seed, site| {
        let before = site.offers();
        for (evse, before) in before.into_iter().enumerate() {
            let mut better = site.clone();
            if let Request::Wants(wants) = &mut better.requests[evse] {
                wants.max += MilliAmps(3000);
                assert!(better.offers()[evse] >= before, "{seed}: {evse}");
            }
        }
    });
}

#[test]
fn i8_a_higher_priority_of_its_own_never_gives_an_evse_less() {
    for_sites(|seed, site| {
        // With it, a car of a lower class may be what evens out the phases.
        let site = site.without_asymmetry();
        let before = site.offers();
        for (evse, before) in before.into_iter().enumerate() {
            let mut better = site.clone();
            better.plan.evses[evse].priority += 1;
            assert!(better.offers()[evse] >= before, "{seed}: {evse}");
        }
    });
}

/// Rounds of filling, and the number of EVSEs and resources.
fn rounds(site: &Site) -> (usize, usize) {
    let mut allocator = site.allocator();
    allocator.allocate(&site.requests);
    let resources: usize = (0..site.plan.circuits.len())
        .map(|circuit| 3 + caps(site, circuit).count())
        .sum();
    (allocator.rounds(), site.plan.evses.len() + resources)
}

#[test]
fn i13_a_large_site_takes_no_more_rounds_than_it_has_evses_and_resources() {
    for seed in 0..100 {
        let (rounds, bound) = rounds(&Site::large(seed).without_asymmetry());
        assert!(rounds <= bound, "seed {seed}: {rounds} > {bound}");
    }
}

#[test]
fn i13_limits_to_asymmetry_cost_a_bounded_number_of_rounds_more() {
    for seed in 0..100 {
        let (rounds, bound) = rounds(&Site::large(seed));
        assert!(rounds <= 4 * bound, "seed {seed}: {rounds} > 4 * {bound}");
    }
}

#[test]
fn i15_the_same_requests_get_the_same_shares_whatever_was_asked_before() {
    for_sites(|seed, site| {
        let mut allocator = site.allocator();
        let first = allocator.allocate(&site.requests).to_vec();
        let other: Vec<_> = site.requests.iter().rev().cloned().collect();
        allocator.allocate(&other);
        assert_eq!(allocator.allocate(&site.requests), first, "{seed}");
    });
}

#[test]
fn what_was_shared_can_be_booked_and_a_step_more_can_be_where_nothing_stops_it() {
    for_sites(|seed, site| {
        let site = site.without_asymmetry().without_extra();
        let circuits = site.circuits();
        let mut bookings = Bookings::new(&circuits);
        let fixed_only_zero = site.requests.iter().all(|r| matches!(r, Request::Wants(_)));
        if !fixed_only_zero {
            return;
        }
        let shares = site.shares();
        for (evse, share) in shares.iter().enumerate() {
            assert!(bookings.fits_with(evse, share.offer), "{seed}: {evse}");
            bookings.set(evse, share.offer);
        }
        assert!(!bookings.is_overloaded(), "{seed}");
        for (evse, share) in shares
            .iter()
            .enumerate()
            .filter(|(_, s)| s.offer > MilliAmps::ZERO)
        {
            let more = share.offer + site.plan.evses[evse].step;
            let stopped = share.reason != Reason::OwnMaximum;
            assert_eq!(
                bookings.fits_with(evse, more),
                Flow::with(&site, &raised(&shares, evse, more)).holds(evse),
                "{seed}: {evse}"
            );
            assert!(
                !stopped || !bookings.fits_with(evse, more),
                "{seed}: {evse}"
            );
        }
    });
}

fn raised(shares: &[crate::load::Share], evse: usize, amps: MilliAmps) -> Vec<i32> {
    let mut offers: Vec<i32> = shares.iter().map(|share| share.offer.0).collect();
    offers[evse] = amps.0;
    offers
}
