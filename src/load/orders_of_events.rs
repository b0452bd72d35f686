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
        device: Device::Ocpp,
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
                meter: None,
            }],
            evses: ALL.into_iter().map(evse).collect(),
            priority_mode: PriorityMode::Strict,
            rotation_period: Duration::from_mins(15),
            start_up_hold: Duration::from_secs(30),
            ocpp_raise_interval: Duration::from_secs(30),
            when_disabled: WhenDisabled::Pause,
            observe: false,
            ..LoadPlan::default()
        };
        let now = now(0);
        let mut site = Self {
            controller: Controller::new(now, plan, &BTreeMap::new()),
            seconds: 0,
            last: BTreeMap::new(),
            offers: 0,
        };
        for name in ALL {
            site.report(name, &Report::Online(true));
        }
        for name in ALL {
            site.take(name);
        }
        site.wait(10);
        site
    }

    fn report(&mut self, name: &str, report: &Report) {
        self.controller
            .handle_report(now(self.seconds), &name.into(), report);
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
        self.report(name, &Report::Took(number));
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
        self.report(name, &Report::Measured(measured));
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
    site.report("a", &Report::Demand(Demand::Charging));
    let offer = site.last["a"].number;
    let why = "Rejected".to_owned();
    site.report("a", &Report::Refused { offer, why });
    site.report("a", &Report::Demand(Demand::None));
    let offer = site.last["a"].number;
    let why = "Rejected".to_owned();
    site.report("a", &Report::Refused { offer, why });
    site.report("a", &Report::Demand(Demand::Charging));
    assert!(site.last["a"].number > offer, "it is asked again");
    site.obey(10);
    assert_eq!(site.milliamps("a"), 16_000);
}

#[test]
fn a_sample_from_before_a_lowering_costs_the_neighbours_nothing() {
    let mut site = Site::new();
    site.report("a", &Report::Demand(Demand::Charging));
    site.report("b", &Report::Demand(Demand::Charging));
    site.obey(5);
    site.report("c", &Report::Demand(Demand::Charging));
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

/// A device that applies offers in order, late, and obeys its own limit later still.
#[derive(Default)]
struct Slow {
    online: bool,
    inbox: Vec<(u64, Offer)>,
    limit: i32,
    /// What flows at most until then, although the limit is lower.
    ramp: Vec<(u64, i32)>,
    metered: bool,
}

impl Slow {
    fn flows(&self, now: u64) -> i32 {
        // What is within the tolerance of a meter counts as obeyed.
        let felt = self.limit + 500;
        let ramp = self.ramp.iter().filter(|(until, _)| *until > now);
        let ramp = ramp.filter(|(_, amps)| *amps > felt);
        ramp.map(|(_, amps)| *amps)
            .max()
            .unwrap_or(0)
            .max(self.limit)
    }
}

#[test]
fn what_slow_devices_draw_never_exceeds_the_fuse() {
    for seed in 0..300 {
        let mut random = crate::clock::Random::new(seed);
        let mut site = Site::new();
        let mut devices: BTreeMap<&str, Slow> = ALL
            .into_iter()
            .map(|name| {
                let metered = random.below(2) == 0;
                (
                    name,
                    Slow {
                        online: true,
                        metered,
                        ..Slow::default()
                    },
                )
            })
            .collect();
        let mut seen: BTreeMap<&str, _> = ALL
            .into_iter()
            .map(|name| (name, site.last[name].number))
            .collect();
        for _ in 0..400 {
            for name in ALL {
                let device = devices.get_mut(name).unwrap();
                let now = site.seconds;
                if device.online {
                    let offer = &site.last[name];
                    if seen[name] != offer.number {
                        seen.insert(name, offer.number);
                        let late = now + random.below(8);
                        device.inbox.push((late, offer.clone()));
                    }
                    let due = device.inbox.first().is_some_and(|(at, _)| *at <= now);
                    if due {
                        let (_, offer) = device.inbox.remove(0);
                        let Limit::Current(amps) = offer.limit else {
                            panic!()
                        };
                        // What is within the tolerance of a meter counts as obeyed.
                        if amps.0 < device.limit - 500 {
                            device.ramp.push((now + 5, device.limit));
                        }
                        device.limit = amps.0;
                        if random.below(20) > 0 {
                            site.report(name, &Report::Took(offer.number));
                        }
                    }
                    let device = &devices[name];
                    if device.metered && random.below(5) == 0 {
                        let flows = device.flows(now);
                        site.draws(name, flows);
                    }
                }
                let device = devices.get_mut(name).unwrap();
                match random.below(60) {
                    0 => site.report(name, &Report::Demand(Demand::Charging)),
                    1 if random.below(3) == 0 => site.report(name, &Report::Demand(Demand::None)),
                    2 if device.online => {
                        device.online = false;
                        if random.below(2) == 0 {
                            device.inbox.clear();
                        }
                        site.report(name, &Report::Online(false));
                    }
                    3..=9 if !device.online => {
                        device.online = true;
                        site.report(name, &Report::Online(true));
                    }
                    10 if device.online => site.report(name, &Report::Booted),
                    _ => {}
                }
            }
            let sum: i32 = devices.values().map(|d| d.flows(site.seconds)).sum();
            assert!(sum <= 32_000, "seed {seed}, second {}: {sum}", site.seconds);
            site.wait(1);
        }
    }
}
