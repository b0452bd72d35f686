//! The Modbus devices of a world: Power Brains, meters with their houses, and the lines to them.

use std::time::Duration;

use super::{Event, World, failure};
use crate::clock::{Mono, Random};
use crate::ids::{CircuitName, DeviceId};
use crate::modbus::{Answer, Failure, Request};
use crate::sim::{House, Meter, PowerBrain};
use crate::site::Input;
use crate::units::{MilliAmps, PerPhase};

/// The bus waits so long for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Meters see what flows this often, and whenever their house switches.
const LOOK: Duration = Duration::from_millis(100);

/// The line to one Modbus device.
#[derive(Debug, Clone)]
pub struct ModbusLine {
    /// How long a request travels, and its answer.
    pub delay: Duration,
    /// And up to this much longer.
    pub jitter: Duration,
    /// Of a hundred requests and answers, so many are lost.
    pub loses: u8,
    /// Nothing gets through, and nobody says so.
    pub mute: bool,
    /// There is no connection, and that is known at once.
    pub cut: bool,
    /// A request is on its way, or its answer.
    busy: bool,
}

impl ModbusLine {
    fn new() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(20),
            loses: 0,
            mute: false,
            cut: false,
            busy: false,
        }
    }

    /// How long something travels; `None` if it never arrives.
    fn travel(&self, random: &mut Random) -> Option<Duration> {
        let most = u64::try_from(self.jitter.as_micros()).unwrap_or(0);
        let travels = self.delay + Duration::from_micros(random.below(most + 1));
        let lost = self.mute || random.below(100) < u64::from(self.loses);
        (!lost).then_some(travels)
    }
}

/// A meter, the house that it measures, and the circuits whose current flows through it.
#[derive(Debug)]
pub(super) struct MeterPlace {
    pub(super) name: String,
    pub(super) meter: Meter,
    pub(super) house: House,
    /// Its own circuit, and everything above.
    pub(super) circuits: Vec<CircuitName>,
    pub(super) line: ModbusLine,
}

impl MeterPlace {
    pub(super) fn new(
        name: String,
        meter: Meter,
        house: House,
        circuits: Vec<CircuitName>,
    ) -> Self {
        Self {
            name,
            meter,
            house,
            circuits,
            line: ModbusLine::new(),
        }
    }
}

/// A Power Brain and its line.
#[derive(Debug)]
pub(super) struct BrainPlace {
    pub(super) brain: PowerBrain,
    pub(super) line: ModbusLine,
}

/// A request on its way.
#[derive(Debug)]
pub(super) struct Errand {
    pub(super) device: DeviceId,
    /// The life of the site that asked.
    pub(super) life: u32,
    asked_at: Mono,
    request: Request,
}

/// What becomes of something that was sent, and when.
#[derive(Debug)]
pub(super) enum Arrival {
    /// The request reaches the device.
    AtDevice(Errand),
    /// The answer, or that there is none, reaches the site.
    AtSite {
        device: DeviceId,
        life: u32,
        answer: Answer,
    },
}

/// All Modbus devices, in the order of the plan.
#[derive(Debug, Default)]
pub(super) struct Field {
    pub(super) brains: Vec<BrainPlace>,
    pub(super) meters: Vec<MeterPlace>,
    looked_at: Mono,
}

impl Field {
    pub(super) fn add_brain(&mut self, brain: PowerBrain) {
        let line = ModbusLine::new();
        self.brains.push(BrainPlace { brain, line });
    }

    pub(super) fn brain(&self, serial: &str) -> Option<&BrainPlace> {
        let mut brains = self.brains.iter();
        brains.find(|place| place.brain.plan().serial == serial)
    }

    pub(super) fn brain_mut(&mut self, serial: &str) -> Option<&mut BrainPlace> {
        let mut brains = self.brains.iter_mut();
        brains.find(|place| place.brain.plan().serial == serial)
    }

    pub(super) fn meter(&self, name: &str) -> Option<&MeterPlace> {
        self.meters.iter().find(|place| place.name == name)
    }

    pub(super) fn meter_mut(&mut self, name: &str) -> Option<&mut MeterPlace> {
        self.meters.iter_mut().find(|place| place.name == name)
    }

    /// The line to a Power Brain or a meter.
    pub(super) fn line(&mut self, name: &str) -> Option<&mut ModbusLine> {
        let brains = self.brains.iter();
        let mut brains = brains.map(|place| place.brain.plan().serial.as_str());
        let mut meters = self.meters.iter().map(|place| place.name.as_str());
        let device = match brains.position(|it| it == name) {
            Some(place) => DeviceId::ChargePoint(place),
            None => DeviceId::Meter(meters.position(|it| it == name)?),
        };
        self.line_of(device)
    }

    fn line_of(&mut self, device: DeviceId) -> Option<&mut ModbusLine> {
        match device {
            DeviceId::ChargePoint(place) => self.brains.get_mut(place).map(|at| &mut at.line),
            DeviceId::Meter(place) => self.meters.get_mut(place).map(|at| &mut at.line),
        }
    }

    /// The site has died: whatever is on its way, nobody waits for it.
    pub(super) fn forget_requests(&mut self) {
        let brains = self.brains.iter_mut().map(|place| &mut place.line);
        let meters = self.meters.iter_mut().map(|place| &mut place.line);
        brains.chain(meters).for_each(|line| line.busy = false);
    }

    /// The site asks. `None` if it must not, because it has not waited for the last answer.
    pub(super) fn send(
        &mut self,
        now: Mono,
        life: u32,
        (device, request): (DeviceId, Request),
        random: &mut Random,
    ) -> Option<(Mono, Arrival)> {
        let line = self.line_of(device).filter(|line| !line.busy)?;
        line.busy = true;
        if line.cut {
            let answer = Err(Failure::NoConnection("the line is cut".to_owned()));
            let arrival = Arrival::AtSite {
                device,
                life,
                answer,
            };
            return Some((now + line.delay, arrival));
        }
        let errand = Errand {
            device,
            life,
            asked_at: now,
            request,
        };
        Some(match line.travel(random) {
            Some(travels) => (now + travels, Arrival::AtDevice(errand)),
            None => errand.unanswered(),
        })
    }

    /// The request has reached its device, which answers or does not.
    pub(super) fn serve(
        &mut self,
        now: Mono,
        errand: &Errand,
        random: &mut Random,
    ) -> (Mono, Arrival) {
        let (device, life) = (errand.device, errand.life);
        let answer = match device {
            DeviceId::ChargePoint(place) => self
                .brains
                .get_mut(place)
                .map(|at| at.brain.handle_request(now, &errand.request)),
            DeviceId::Meter(place) => self
                .meters
                .get_mut(place)
                .map(|at| at.meter.handle_request(now, &errand.request)),
        };
        let travels = self.line_of(device).and_then(|line| line.travel(random));
        match (answer, travels) {
            (Some(answer), Some(travels)) if answer != Err(Failure::Silent) => {
                let at = now + travels;
                if at > errand.asked_at + PATIENCE {
                    return errand.unanswered();
                }
                let arrival = Arrival::AtSite {
                    device,
                    life,
                    answer,
                };
                (at, arrival)
            }
            _ => errand.unanswered(),
        }
    }

    /// The answer has reached the site: the line is free.
    pub(super) fn release(&mut self, device: DeviceId) {
        if let Some(line) = self.line_of(device) {
            line.busy = false;
        }
    }

    /// When something happens that nobody asks for.
    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        let brains = self.brains.iter();
        let brains = brains.filter_map(|place| place.brain.poll_timeout());
        brains.chain(self.looks_at()).min()
    }

    /// When the meters look next.
    pub(super) fn looks_at(&self) -> Option<Mono> {
        let houses = self.meters.iter();
        let changes = houses.filter_map(|place| place.house.next_change());
        let next = (!self.meters.is_empty()).then_some(self.looked_at + LOOK);
        changes.chain(next).min()
    }

    /// Lets time pass for Power Brains and houses.
    pub(super) fn advance(&mut self, now: Mono) {
        for place in &mut self.brains {
            if place.brain.poll_timeout().is_some_and(|at| at <= now) {
                place.brain.advance(now);
            }
        }
        for place in &mut self.meters {
            place.house.advance(now);
        }
    }

    /// Shows every meter what flows through it.
    pub(super) fn show_meters(&mut self, now: Mono, flows: &[PerPhase<MilliAmps>]) {
        self.looked_at = now;
        for (place, flows) in self.meters.iter_mut().zip(flows) {
            place.meter.observe(now, *flows);
        }
    }
}

impl World {
    /// Lets time pass for Modbus devices, and shows the meters what flows.
    pub(super) fn look(&mut self) {
        let now = self.now.mono;
        let looks = self.field.looks_at().is_some_and(|at| at <= now);
        self.field.advance(now);
        if looks {
            self.show_meters();
        }
    }

    pub(super) fn show_meters(&mut self) {
        let own = |place: &MeterPlace| place.circuits.first().cloned();
        let circuits: Vec<_> = self.field.meters.iter().map(own).collect();
        let flows = circuits.iter().flatten().map(|name| self.flows(name));
        let flows: Vec<_> = flows.collect();
        self.field.show_meters(self.now.mono, &flows);
    }

    /// The site asks a device.
    pub(super) fn ask(&mut self, device: DeviceId, request: Request) {
        let (now, life) = (self.now.mono, self.life);
        self.history.note(now, &format!("{device:?} < {request:?}"));
        let asked = (device, request);
        match self.field.send(now, life, asked, &mut self.random) {
            Some((at, arrival)) => self.enqueue(at, Event::Modbus(arrival)),
            None => {
                self.failure = Some(failure::Failure::Impatient {
                    device,
                    history: self.history.clone(),
                });
            }
        }
    }

    /// What is on its way has arrived.
    pub(super) fn arrive(&mut self, arrival: Arrival) {
        let now = self.now;
        match arrival {
            Arrival::AtDevice(errand) => {
                let (at, arrival) = self.field.serve(now.mono, &errand, &mut self.random);
                self.enqueue(at, Event::Modbus(arrival));
            }
            // Nobody waits for what an earlier life of the site has asked.
            Arrival::AtSite { life, .. } if life != self.life => {}
            Arrival::AtSite { device, answer, .. } => {
                self.field.release(device);
                let what = format!("{device:?} > {answer:?}");
                self.history.note(now.mono, &what);
                self.site.handle(now, Input::Modbus { device, answer });
            }
        }
    }
}

impl Errand {
    fn unanswered(&self) -> (Mono, Arrival) {
        let arrival = Arrival::AtSite {
            device: self.device,
            life: self.life,
            answer: Err(Failure::Silent),
        };
        (self.asked_at + PATIENCE, arrival)
    }
}
