//! One phase or three, for those who can switch.

use super::table::Site;
use super::world::metered;
use crate::evse::{Demand, Reason, Report};
use crate::load::{EvsePlan, LoadPlan};
use crate::units::{MilliAmps, Watts};

/// One EVSE that can switch, behind 20 A, and its contactor.
struct Switchable {
    site: Site,
    is_single: bool,
    /// Its contactor moves.
    moves: bool,
}

impl Switchable {
    fn new(plan: LoadPlan) -> Self {
        let mut site = Site::new(plan);
        site.report(0, &Report::Switchable(true));
        site.report(0, &Report::SinglePhase(false));
        Self {
            site,
            is_single: false,
            moves: true,
        }
    }

    /// Seconds in which the house takes so much of each phase.
    fn live(&mut self, seconds: u64, house: [i32; 3]) {
        for _ in 0..seconds {
            self.site.tick();
            self.site.obey();
            let offer = self.site.offers.values().next().cloned();
            let asked = offer.is_some_and(|offer| offer.single_phase);
            if asked != self.is_single && self.site.offered(0) == 0 && self.moves {
                self.is_single = asked;
                self.site.drawn_on = if asked { 1 } else { 3 };
                self.site.report(0, &Report::SinglePhase(asked));
            }
            self.site.sample(self.with_car(house));
        }
    }

    fn with_car(&self, mut grid: [i32; 3]) -> [i32; 3] {
        let phases = if self.is_single { 1 } else { 3 };
        for phase in grid.iter_mut().take(phases) {
            *phase += self.site.offered(0);
        }
        grid
    }

    /// Seconds until it is asked for one phase, or for all.
    fn until_asked(&mut self, single: bool, house: [i32; 3]) -> u64 {
        let asked = |site: &Site| site.offers.values().next().unwrap().single_phase;
        (0..5000)
            .find(|_| {
                self.live(1, house);
                asked(&self.site) == single
            })
            .unwrap()
    }
}

const LITTLE_ON_L2: [i32; 3] = [4000, 15_000, 4000];

fn charging() -> Switchable {
    let mut car = Switchable::new(metered(20, 1));
    car.site.sample([0; 3]);
    car.site.report(0, &Report::Demand(Demand::Charging));
    car.live(60, [4000; 3]);
    assert_eq!(car.site.all(), [16_000]);
    car
}

#[test]
fn a_car_for_which_three_phases_are_too_many_goes_on_with_one() {
    let mut car = charging();
    car.live(1, LITTLE_ON_L2);
    assert_eq!(car.site.all(), [0]);
    let seconds = car.until_asked(true, LITTLE_ON_L2);
    assert!((28..=30).contains(&seconds), "{seconds}");
    car.live(120, LITTLE_ON_L2);
    assert!(car.is_single);
    assert_eq!(car.site.all(), [16_000], "only L1 counts");
    let view = car.site.controller.evse(&"e0".into()).unwrap();
    assert_eq!(view.phases, 1);
    assert_eq!(
        car.site.circuit(0).offered.0.map(|amps| amps.0),
        [16_000, 0, 0]
    );
}

#[test]
fn it_comes_back_to_three_after_ten_minutes_with_a_tenth_to_spare() {
    let mut car = charging();
    car.until_asked(true, LITTLE_ON_L2);
    car.live(300, LITTLE_ON_L2);
    let almost = [4000, 13_500, 4000];
    car.live(1200, almost);
    assert!(car.is_single, "6.5 A are not enough for 6.6 A");
    let seconds = car.until_asked(false, [4000, 13_400, 4000]);
    assert!(
        (610..=620).contains(&seconds),
        "{seconds}, the peak of 15 s included"
    );
    assert_eq!(car.site.all(), [6000], "it was paused to switch");
    car.live(60, [4000, 4000, 4000]);
    assert!(!car.is_single);
    assert_eq!(car.site.all(), [16_000]);
}

#[test]
fn until_its_device_has_switched_it_has_no_current_and_after_a_minute_what_it_had() {
    let mut car = charging();
    car.moves = false;
    car.live(1, LITTLE_ON_L2);
    car.until_asked(true, LITTLE_ON_L2);
    car.live(50, [4000; 3]);
    assert_eq!(car.site.all(), [0]);
    assert_eq!(car.site.reason(0), Reason::PhaseSwitch);
    car.live(150, [4000; 3]);
    assert_eq!(car.site.all(), [16_000]);
    assert!(!car.site.offers.values().next().unwrap().single_phase);
}

#[test]
fn one_phase_is_bounded_by_the_asymmetry_and_by_what_it_would_bear() {
    let mut plan = metered(20, 1);
    plan.circuits[0].max_asymmetry = Some(MilliAmps::from_amps(10));
    let mut car = Switchable::new(plan);
    car.site.report(0, &Report::Demand(Demand::Charging));
    car.live(240, LITTLE_ON_L2);
    assert_eq!(car.site.all(), [10_000]);
    let mut plan = metered(20, 1);
    plan.circuits[0].max_asymmetry = Some(MilliAmps::from_amps(5));
    let mut car = Switchable::new(plan);
    car.site.report(0, &Report::Demand(Demand::Charging));
    car.live(240, LITTLE_ON_L2);
    assert!(!car.is_single);
    assert_eq!(car.site.all(), [0]);
}

#[test]
fn a_limit_signal_too_small_for_three_phases_is_enough_for_one() {
    let mut car = charging();
    let now = car.site.now();
    let signal = Some(Watts(3000));
    car.site.controller.set_signal(now, &"house".into(), signal);
    car.live(120, [0; 3]);
    assert!(car.is_single);
    assert_eq!(car.site.all(), [13_000], "3000 W / 230 V");
}

#[test]
fn a_link_that_breaks_books_all_phases_until_the_device_says_otherwise() {
    let mut car = charging();
    car.until_asked(true, LITTLE_ON_L2);
    car.live(300, LITTLE_ON_L2);
    let booked = |car: &Switchable| car.site.circuit(0).booked.0.map(|amps| amps.0);
    assert_eq!(booked(&car), [16_000, 0, 0]);
    car.site.report(0, &Report::Online(false));
    assert_eq!(booked(&car), [16_000; 3]);
    car.site.report(0, &Report::Online(true));
    car.site.report(0, &Report::SinglePhase(true));
    assert_eq!(booked(&car)[1..], [0, 0]);
}

#[test]
fn who_cannot_switch_waits_for_three_phases() {
    let mut car = charging();
    car.site.report(0, &Report::Switchable(false));
    car.live(300, LITTLE_ON_L2);
    assert_eq!(car.site.all(), [0]);
    assert!(!car.is_single);
}

#[test]
fn a_second_evse_may_have_the_phases_that_the_first_left() {
    let mut plan = metered(20, 2);
    plan.evses[1] = EvsePlan {
        phases: 1,
        rotation: crate::load::Rotation::Known([
            crate::units::Phase::L3,
            crate::units::Phase::L1,
            crate::units::Phase::L2,
        ]),
        ..plan.evses[1].clone()
    };
    let mut car = Switchable::new(plan);
    car.site.report(0, &Report::Demand(Demand::Charging));
    for _ in 0..240 {
        let other = car.site.offered(1);
        let [l1, l2, l3] = LITTLE_ON_L2;
        car.live(1, [l1, l2, l3 + other]);
    }
    car.site.report(1, &Report::Demand(Demand::Charging));
    for _ in 0..60 {
        let other = car.site.offered(1);
        let [l1, l2, l3] = LITTLE_ON_L2;
        car.live(1, [l1, l2, l3 + other]);
    }
    assert_eq!(car.site.all(), [16_000, 16_000]);
}
