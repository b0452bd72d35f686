//! What drivers do: they come, show a card, stay a while and leave.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Car;
use crate::clock::{Mono, Random};
use crate::ids::{ConnectorId, IdTag};
use crate::units::MilliAmps;

/// Between the plug and the card.
const BEFORE_THE_CARD: Duration = Duration::from_secs(2);

/// Something a driver does at a wallbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Plugs a car in.
    Plug(ConnectorId, Car),
    /// Holds a card to the reader.
    Present(ConnectorId, IdTag),
    /// Pulls the plug.
    Unplug(ConnectorId),
}

/// One car at one connector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visit {
    /// Wait before it comes.
    pub after: Duration,
    /// How long it stays; `None` = for ever.
    pub stays: Option<Duration>,
    /// The car.
    pub car: Car,
    /// The driver's card.
    pub tag: IdTag,
}

/// Everything that drivers do at one wallbox.
#[derive(Debug, Clone, Default)]
pub struct Script {
    lanes: BTreeMap<ConnectorId, Lane>,
}

/// What happens at one connector.
#[derive(Debug, Clone)]
struct Lane {
    visit: Visit,
    stage: Stage,
    at: Option<Mono>,
    /// Makes the next visit; without it there is none.
    random: Option<Random>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Away,
    Plugged,
    Charging,
}

impl Script {
    /// One visit.
    pub fn once(connector: ConnectorId, visit: Visit) -> Self {
        let mut script = Self::default();
        script.add(connector, visit, None);
        script
    }

    /// Visits without end at every connector; the same seed gives the same visits.
    pub fn endless(seed: u64, connectors: u32) -> Self {
        let mut script = Self::default();
        for number in 1..=connectors {
            let mut random = Random::new(seed ^ (u64::from(number) << 32));
            let visit = Visit {
                after: seconds(&mut random, 1, 15),
                ..any_visit(&mut random)
            };
            script.add(ConnectorId(number), visit, Some(random));
        }
        script
    }

    fn add(&mut self, connector: ConnectorId, visit: Visit, random: Option<Random>) {
        let lane = Lane {
            at: Some(Mono::START + visit.after),
            visit,
            stage: Stage::Away,
            random,
        };
        self.lanes.insert(connector, lane);
    }

    /// When the next act is due.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.lanes.values().filter_map(|lane| lane.at).min()
    }

    /// The next act that is due.
    pub fn next_act(&mut self, now: Mono) -> Option<Act> {
        let due = |lane: &Lane| lane.at.is_some_and(|at| at <= now);
        let (connector, lane) = self.lanes.iter_mut().find(|(_, lane)| due(lane))?;
        Some(lane.act(*connector, now))
    }
}

impl Lane {
    fn act(&mut self, connector: ConnectorId, now: Mono) -> Act {
        match self.stage {
            Stage::Away => {
                self.stage = Stage::Plugged;
                self.at = Some(now + BEFORE_THE_CARD);
                Act::Plug(connector, self.visit.car.clone())
            }
            Stage::Plugged => {
                self.stage = Stage::Charging;
                self.at = self.visit.stays.map(|stays| now + stays);
                Act::Present(connector, self.visit.tag.clone())
            }
            Stage::Charging => {
                self.stage = Stage::Away;
                self.at = self.random.as_mut().map(|random| {
                    self.visit = any_visit(random);
                    now + self.visit.after
                });
                Act::Unplug(connector)
            }
        }
    }
}

fn any_visit(random: &mut Random) -> Visit {
    let phases = if random.below(4) == 0 { 1 } else { 3 };
    let amps = if random.below(3) == 0 { 11 } else { 16 };
    let card = random.below(u64::from(u32::MAX));
    Visit {
        after: seconds(random, 5, 20),
        stays: Some(seconds(random, 40, 100)),
        car: Car {
            phases,
            max: MilliAmps::from_amps(amps),
            ramp: seconds(random, 1, 3),
            ..Car::default()
        },
        tag: IdTag::from(format!("04{card:08X}").as_str()),
    }
}

fn seconds(random: &mut Random, from: u64, to: u64) -> Duration {
    Duration::from_secs(from + random.below(to - from + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const C1: ConnectorId = ConnectorId(1);

    fn acts(script: &mut Script, count: usize) -> Vec<(u64, Act)> {
        let mut acts = Vec::new();
        while let Some(at) = script.poll_timeout().filter(|_| acts.len() < count) {
            let act = script.next_act(at).unwrap();
            acts.push((at.0.as_secs(), act));
        }
        acts
    }

    #[test]
    fn a_driver_comes_shows_a_card_and_leaves() {
        let visit = Visit {
            after: Duration::from_secs(5),
            stays: Some(Duration::from_mins(1)),
            car: Car::default(),
            tag: "TAG".into(),
        };
        let mut script = Script::once(C1, visit);
        assert_eq!(script.next_act(Mono::START), None);
        let expected = [
            (5, Act::Plug(C1, Car::default())),
            (7, Act::Present(C1, "TAG".into())),
            (67, Act::Unplug(C1)),
        ];
        assert_eq!(acts(&mut script, 10), expected);
    }

    #[test]
    fn the_same_seed_gives_the_same_endless_visits() {
        let hundred = |seed| acts(&mut Script::endless(seed, 2), 100);
        assert_eq!(hundred(7), hundred(7));
        assert_ne!(hundred(7), hundred(8));
        assert_eq!(hundred(7).len(), 100);
    }
}
