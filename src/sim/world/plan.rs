//! How a world is put together.

use std::collections::BTreeMap;
use std::time::Duration;

use super::World;
use crate::central_system::{ConnectorPlan, ProfileSettings, StationPlan};
use crate::clock::Random;
use crate::ids::{ChargeBoxId, CircuitName, ConnectorId, EvseName};
use crate::load::{CircuitPlan, Device, EvsePlan, LoadPlan, PriorityMode, Rotation, WhenDisabled};
use crate::sim::WallboxPlan;
use crate::site::{AuthorizationPlan, Plan};
use crate::units::{MilliAmps, MilliVolts, Phase};

const VOLTAGE: MilliVolts = MilliVolts(230_000);

/// What a world is made of; [`start`](Self::start) sets it going.
#[derive(Debug, Clone)]
pub struct WorldPlan {
    pub(super) random: Random,
    pub(super) load: LoadPlan,
    pub(super) wallboxes: Vec<WallboxPlan>,
    authorization: AuthorizationPlan,
    profiles: BTreeMap<EvseName, ProfileSettings>,
    dead_man: Option<Duration>,
}

impl WorldPlan {
    /// Nothing yet. The same seed gives the same world.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            load: LoadPlan {
                voltage: VOLTAGE,
                circuits: Vec::new(),
                evses: Vec::new(),
                priority_mode: PriorityMode::Strict,
                rotation_period: Duration::from_mins(15),
                start_up_hold: Duration::from_secs(30),
                ocpp_raise_interval: Duration::from_secs(30),
                when_disabled: WhenDisabled::Pause,
                observe: false,
                ..LoadPlan::default()
            },
            wallboxes: Vec::new(),
            authorization: AuthorizationPlan::default(),
            profiles: BTreeMap::new(),
            dead_man: None,
        }
    }

    /// Limits end by themselves so long after nobody could renew them, with or without a meter.
    #[must_use]
    pub fn dead_man(mut self, dead_man: Duration) -> Self {
        self.dead_man = Some(dead_man);
        self
    }

    /// A circuit below the first one, which is the root.
    #[must_use]
    pub fn fuse(mut self, name: &str, amps: i32) -> Self {
        let parent = self.load.circuits.first().map(|root| root.name.clone());
        self.load.circuits.push(CircuitPlan {
            name: name.into(),
            parent,
            max_current: MilliAmps::from_amps(amps),
            max_power: None,
            reserve: MilliAmps::ZERO,
            failsafe: MilliAmps::ZERO,
            max_asymmetry: None,
            meter: None,
        });
        self
    }

    /// A wallbox on the last circuit so far, each connector an EVSE of at most 16 A. The EVSE of
    /// a single connector is called like the wallbox, others `CB-1`, `CB-2` and so on.
    #[must_use]
    pub fn wallbox(mut self, plan: WallboxPlan) -> Self {
        let circuit = self.load.circuits.last();
        let circuit = circuit.map_or_else(|| CircuitName::from(""), |circuit| circuit.name.clone());
        for number in 1..=plan.connectors {
            self.load.evses.push(EvsePlan {
                name: evse_name(&plan, ConnectorId(number)),
                circuit: circuit.clone(),
                phases: plan.phases,
                rotation: Rotation::L1L2L3,
                min: MilliAmps::from_amps(6),
                max: MilliAmps::from_amps(16).min(plan.hardware_max),
                priority: 1,
                weight: 1,
                failsafe: MilliAmps::ZERO,
                idle: MilliAmps::ZERO,
                step: MilliAmps(100),
                enabled: true,
                device: Device::Ocpp,
            });
        }
        self.wallboxes.push(plan);
        self
    }

    /// One more three-phase wallbox without quirks for each name.
    #[must_use]
    pub fn wallboxes(self, names: &[&str]) -> Self {
        let plans = names.iter().map(|name| WallboxPlan::new(name));
        plans.fold(self, Self::wallbox)
    }

    /// Changes the EVSE that was added last.
    #[must_use]
    pub fn with_evse(mut self, change: impl FnOnce(&mut EvsePlan)) -> Self {
        if let Some(evse) = self.load.evses.last_mut() {
            change(evse);
        }
        self
    }

    /// Changes how the EVSE that was added last is limited.
    #[must_use]
    pub fn with_profile(mut self, change: impl FnOnce(&mut ProfileSettings)) -> Self {
        if let Some(evse) = self.load.evses.last() {
            change(self.profiles.entry(evse.name.clone()).or_default());
        }
        self
    }

    /// Changes what the load manager is told.
    #[must_use]
    pub fn with_load(mut self, change: impl FnOnce(&mut LoadPlan)) -> Self {
        change(&mut self.load);
        self
    }

    /// Changes who may charge.
    #[must_use]
    pub fn with_authorization(mut self, authorization: AuthorizationPlan) -> Self {
        self.authorization = authorization;
        self
    }

    /// Sets it going: every wallbox is switched on and dials.
    pub fn start(self) -> World {
        World::new(self)
    }

    /// What the site is told.
    pub fn site_plan(&self) -> Plan {
        let stations = self.wallboxes.iter().map(|wallbox| StationPlan {
            id: wallbox.id.clone(),
            connectors: self.connectors(wallbox),
            heartbeat_interval: Duration::from_mins(5),
            meter_interval: Duration::from_secs(10),
            voltage: VOLTAGE,
            observe: self.load.observe,
        });
        Plan {
            stations: stations.collect(),
            charge_points: Vec::new(),
            meters: Vec::new(),
            measured_by: BTreeMap::new(),
            load: self.load.clone(),
            authorization: self.authorization.clone(),
            limit_signals: BTreeMap::new(),
        }
    }

    fn connectors(&self, wallbox: &WallboxPlan) -> BTreeMap<ConnectorId, ConnectorPlan> {
        (1..=wallbox.connectors)
            .filter_map(|number| {
                let connector = ConnectorId(number);
                let name = evse_name(wallbox, connector);
                let evse = self.load.evses.iter().find(|evse| evse.name == name)?;
                let profile = self.profiles.get(&name).cloned().unwrap_or_default();
                let plan = ConnectorPlan {
                    evse: name,
                    phases: evse.phases,
                    idle: evse.idle,
                    max: evse.max,
                    failsafe: evse.failsafe,
                    dead_man: self.dead_man,
                    fixed_id_tag: None,
                    profile,
                };
                Some((connector, plan))
            })
            .collect()
    }

    /// How the EVSEs are really wired; where the plan does not know, chance decides.
    pub(super) fn wiring(&mut self) -> Vec<Wired> {
        let mut all = Vec::new();
        for wallbox in &self.wallboxes {
            for number in 1..=wallbox.connectors {
                let connector = ConnectorId(number);
                let name = evse_name(wallbox, connector);
                let evse = self.load.evses.iter().find(|evse| evse.name == name);
                let Some(evse) = evse else {
                    continue;
                };
                let rotation = match evse.rotation {
                    Rotation::Unknown => any_rotation(&mut self.random),
                    known @ Rotation::Known(_) => known,
                };
                all.push(Wired {
                    wallbox: wallbox.id.clone(),
                    connector,
                    circuits: self.path(&evse.circuit),
                    rotation,
                });
            }
        }
        all
    }

    /// A circuit and everything above it.
    fn path(&self, circuit: &CircuitName) -> Vec<CircuitName> {
        let mut path = Vec::new();
        let mut next = Some(circuit);
        while let Some(name) = next {
            path.push(name.clone());
            let plan = self.load.circuits.iter().find(|c| c.name == *name);
            next = plan.and_then(|plan| plan.parent.as_ref());
        }
        path
    }
}

/// Where the current of a connector really flows.
#[derive(Debug, Clone)]
pub(super) struct Wired {
    pub(super) wallbox: ChargeBoxId,
    pub(super) connector: ConnectorId,
    pub(super) circuits: Vec<CircuitName>,
    pub(super) rotation: Rotation,
}

fn evse_name(wallbox: &WallboxPlan, connector: ConnectorId) -> EvseName {
    if wallbox.connectors == 1 {
        wallbox.id.as_str().into()
    } else {
        format!("{}-{connector}", wallbox.id).as_str().into()
    }
}

fn any_rotation(random: &mut Random) -> Rotation {
    let (l1, l2, l3) = (Phase::L1, Phase::L2, Phase::L3);
    Rotation::Known(match random.below(3) {
        0 => [l1, l2, l3],
        1 => [l2, l3, l1],
        _ => [l3, l1, l2],
    })
}
