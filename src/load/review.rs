//! Orders of events in which things went wrong once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::clock::{Mono, Now};
use crate::evse::{Demand, Limit, Measured, Offer, Report};
use crate::units::{MilliAmps, MilliVolts, PerPhase};

/// Three EVSEs of 6 to 16 A behind 32 A, and devices written down report by report.
struct Site {
    controller: Controller,
    seconds: u64,
    last: BTreeMap<String, Offer>,
    offers: usize,
}

const ALL: [&str; 3] = ["a", "b", "c"];

fn evse(name: &str) -> EvsePlan {
    EvsePlan {
        name: name.into(),
        circuit: "house".into(),
        phases: 3,
        rotation: Rotation::L1L2L3,
        min: MilliAmps(6000),
        max: MilliAmps(16_000),
        priority: 1,
        weight: 1,
        failsafe: MilliAmps(6000),
        idle: MilliAmps(0),
        step: MilliAmps(100),
        enabled: true,
    }
}

impl Site {
    fn new() -> Self {
        let plan = LoadPlan {
            voltage: MilliVolts(230_000),
            circuits: vec![CircuitPlan {
                name: "house".into(),
                parent: None,
                max_current: MilliAmps(32_000),
                max_power: None,
                reserve: MilliAmps(0),
                failsafe: MilliAmps(0),
                max_asymmetry: None,
            }],
            evses: ALL.into_iter().map(evse).collect(),
            priority_mode: PriorityMode::Strict,
            rotation_period: Duration::from_mins(15),
            start_up_hold: Duration::from_secs(30),
            ocpp_raise_interval: Duration::from_secs(30),
            when_disabled: WhenDisabled::Pause,
            observe: false,
        };
        let now = now(0);
        let mut site = Self {
            controller: Controller::new(now, plan, &BTreeMap::new()),
            seconds: 0,
            last: BTreeMap::new(),
            offers: 0,
        };
        for name in ALL {
            site.report(name, Report::Online(true));
        }
        for name in ALL {
            site.take(name);
        }
        site.wait(10);
        site
    }

    fn report(&mut self, name: &str, report: Report) {
        self.controller
            .handle_report(now(self.seconds), &name.into(), &report);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(Output::Offer { evse, offer }) = self.controller.poll_output() {
            self.offers += 1;
            self.last.insert(evse.to_string(), offer);
        }
    }

    fn wait(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.seconds += 1;
            self.controller.handle_timeout(now(self.seconds));
            self.drain();
        }
    }

    fn take(&mut self, name: &str) {
        let number = self.last[name].number;
        self.report(name, Report::Took(number));
    }

    /// Every device takes what it is offered, and draws it, for so long.
    fn obey(&mut self, seconds: u64) {
        for _ in 0..seconds {
            for name in ALL {
                self.take(name);
                let amps = self.milliamps(name);
                self.draws(name, amps);
            }
            self.wait(1);
        }
    }

    fn draws(&mut self, name: &str, milliamps: i32) {
        let current = Some(PerPhase::all(MilliAmps(milliamps)));
        let measured = Measured {
            current,
            ..Measured::default()
        };
        self.report(name, Report::Measured(measured));
    }

    fn milliamps(&self, name: &str) -> i32 {
        match self.last[name].limit {
            Limit::Current(amps) => amps.0,
            Limit::Released => panic!("nobody was released"),
        }
    }
}

fn now(seconds: u64) -> Now {
    Now {
        mono: Mono(Duration::from_secs(seconds)),
        wall: "2026-06-01T12:00:00Z".parse().unwrap(),
    }
}

#[test]
fn a_wallbox_that_refused_once_is_asked_again_when_a_car_begins() {
    let mut site = Site::new();
    site.report("a", Report::Demand(Demand::Charging));
    let offer = site.last["a"].number;
    let why = "Rejected".to_owned();
    site.report("a", Report::Refused { offer, why });
    site.report("a", Report::Demand(Demand::None));
    let offer = site.last["a"].number;
    let why = "Rejected".to_owned();
    site.report("a", Report::Refused { offer, why });
    site.report("a", Report::Demand(Demand::Charging));
    assert!(site.last["a"].number > offer, "it is asked again");
    site.obey(10);
    assert_eq!(site.milliamps("a"), 16_000);
}

#[test]
fn a_sample_from_before_a_lowering_costs_the_neighbours_nothing() {
    let mut site = Site::new();
    site.report("a", Report::Demand(Demand::Charging));
    site.report("b", Report::Demand(Demand::Charging));
    site.obey(5);
    site.report("c", Report::Demand(Demand::Charging));
    site.take("a");
    site.take("b");
    site.draws("a", 16_000);
    site.draws("b", 10_700);
    let offers = site.offers;
    site.wait(11);
    assert_eq!(site.offers, offers, "{:?}", site.last);
    site.draws("a", 10_700);
    assert_eq!(site.milliamps("c"), 10_600);
}
