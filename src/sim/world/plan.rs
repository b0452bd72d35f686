//! How a world is put together.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::World;
use super::field::{Field, MeterPlace};
use crate::central_system::{ConnectorPlan, ProfileSettings, StationPlan};
use crate::charge_point::ChargePointPlan;
use crate::charge_point::plan::Metering;
use crate::clock::Random;
use crate::gateway::{BootPlan, GatewayPlan, MemberPlan};
use crate::ids::{ChargeBoxId, CircuitName, ConnectorId, EvseName, IdTag, MeterName};
use crate::load::{self, CircuitPlan, Device, EvsePlan, LoadPlan, Rotation};
use crate::modbus::meters::{Kind, MeterPlan as Read};
use crate::ocpp::composite::Wiring;
use crate::sim::{
    Backend, BackendPlan, House, Meter, MeterMap, MeterPlan, PowerBrain, PowerBrainPlan,
    WallboxPlan,
};
use crate::site::{AuthorizationMode, AuthorizationPlan, MeasuredBy, Plan};
use crate::units::{MilliAmps, MilliVolts, Phase};

const VOLTAGE: MilliVolts = MilliVolts(230_000);

/// How often meters are read.
const POLL: Duration = Duration::from_secs(1);

/// Life of a limit below a meter (`manager.dead-man`).
const DEAD_MAN: Duration = Duration::from_mins(10);

/// What is never given out below a meter (`circuit.reserve`).
const RESERVE: MilliAmps = MilliAmps::from_amps(1);

/// A meter at a circuit, with the house behind it.
#[derive(Debug, Clone)]
struct Metered {
    name: MeterName,
    circuit: CircuitName,
    plan: MeterPlan,
    house: House,
}

/// What a world is made of; [`start`](Self::start) sets it going.
#[derive(Debug, Clone)]
pub struct WorldPlan {
    pub(super) random: Random,
    pub(super) load: LoadPlan,
    pub(super) wallboxes: Vec<WallboxPlan>,
    power_brains: Vec<PowerBrainPlan>,
    meters: Vec<Metered>,
    authorization: AuthorizationPlan,
    fixed_id_tags: BTreeMap<EvseName, IdTag>,
    profiles: BTreeMap<EvseName, ProfileSettings>,
    measured_by: BTreeMap<EvseName, MeasuredBy>,
    backends: Vec<(String, BackendPlan)>,
    gateways: Vec<GatewayPlan>,
}

impl WorldPlan {
    /// Nothing yet. The same seed gives the same world.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            load: LoadPlan::default(),
            wallboxes: Vec::new(),
            power_brains: Vec::new(),
            meters: Vec::new(),
            authorization: AuthorizationPlan::default(),
            fixed_id_tags: BTreeMap::new(),
            profiles: BTreeMap::new(),
            measured_by: BTreeMap::new(),
            backends: Vec::new(),
            gateways: Vec::new(),
        }
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
        for number in 1..=plan.connectors {
            let name = evse_name(&plan, ConnectorId(number));
            self.add_evse(name, plan.phases, plan.hardware_max, Device::Ocpp);
        }
        self.wallboxes.push(plan);
        self
    }

    /// A Power Brain on the last circuit so far, an EVSE of at most 16 A that is called like its
    /// serial number.
    #[must_use]
    pub fn power_brain(mut self, plan: PowerBrainPlan) -> Self {
        let name = EvseName::from(plan.serial.as_str());
        self.add_evse(name, plan.phases, plan.hardware_max, Device::Modbus);
        self.power_brains.push(plan);
        self
    }

    /// One more three-phase Power Brain without quirks for each serial number.
    #[must_use]
    pub fn power_brains(self, serials: &[&str]) -> Self {
        let plans = serials.iter().map(|serial| PowerBrainPlan::new(serial));
        plans.fold(self, Self::power_brain)
    }

    /// A meter at the last circuit so far, with a house behind it.
    #[must_use]
    pub fn metered(mut self, name: &str, plan: MeterPlan, house: House) -> Self {
        let name = MeterName::from(name);
        let Some(circuit) = self.load.circuits.last_mut() else {
            return self;
        };
        circuit.meter = Some(name.clone());
        circuit.reserve = RESERVE;
        self.load.meters.push(load::MeterPlan {
            name: name.clone(),
            poll: POLL,
        });
        self.meters.push(Metered {
            name,
            circuit: circuit.name.clone(),
            plan,
            house,
        });
        self
    }

    fn add_evse(&mut self, name: EvseName, phases: u8, hardware_max: MilliAmps, device: Device) {
        let circuit = self.load.circuits.last();
        self.load.evses.push(EvsePlan {
            name,
            circuit: circuit.map_or_else(|| CircuitName::from(""), |it| it.name.clone()),
            phases,
            rotation: Rotation::L1L2L3,
            min: MilliAmps::from_amps(6),
            max: MilliAmps::from_amps(16).min(hardware_max),
            priority: 1,
            weight: 1,
            failsafe: MilliAmps::ZERO,
            idle: MilliAmps::ZERO,
            step: MilliAmps(100),
            enabled: true,
            device,
        });
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

    /// Who charges at the EVSE that was added last where no card is presented.
    #[must_use]
    pub fn with_fixed_id_tag(mut self, tag: &str) -> Self {
        if let Some(evse) = self.load.evses.last() {
            self.fixed_id_tags.insert(evse.name.clone(), tag.into());
        }
        self
    }

    /// What measures the EVSE that was added last, if it is not the EVSE itself.
    #[must_use]
    pub fn measured_by(mut self, by: MeasuredBy) -> Self {
        if let Some(evse) = self.load.evses.last() {
            self.measured_by.insert(evse.name.clone(), by);
        }
        self
    }

    /// A billing backend.
    #[must_use]
    pub fn backend(mut self, url: &str, plan: BackendPlan) -> Self {
        self.backends.push((url.to_owned(), plan));
        self
    }

    /// The last backend so far knows these EVSEs as one charge point.
    #[must_use]
    pub fn gateway(mut self, evses: &[&str], client_id: &str) -> Self {
        let url = self.backends.last().map(|(url, _)| url.clone());
        let members = evses.iter().filter_map(|evse| self.member(evse));
        let mut plan = GatewayPlan {
            leads: true,
            url: url.unwrap_or_default(),
            client_id: client_id.to_owned(),
            members: members.collect(),
            whole: None,
            shares_wallbox: false,
            serial_suffix: None,
            security_profile: 0,
            has_ca: false,
            password: None,
            boot: BootPlan::default(),
            synthesize_stop: false,
            allow_firmware: false,
            upload_log: false,
            queue_data_transfer: Vec::new(),
            max_queue: 10_000,
            observe: self.load.observe,
        };
        let first = plan.members.first().map(|member| member.address.clone());
        let wallbox = self
            .wallboxes
            .iter()
            .find(|it| Some(&it.id) == first.as_ref());
        plan.place(wallbox.map_or(0, |it| it.connectors as usize));
        self.gateways.push(plan);
        self
    }

    fn member(&self, evse: &str) -> Option<MemberPlan> {
        let wallbox = self.wallboxes.iter().find_map(|wallbox| {
            let mut connectors = (1..=wallbox.connectors).map(ConnectorId);
            let connector = connectors.find(|it| evse_name(wallbox, *it).as_str() == evse)?;
            Some((wallbox.id.clone(), connector))
        });
        let brain = || {
            let brain = self.power_brains.iter().find(|it| it.serial == evse)?;
            let address = ChargeBoxId::from(brain.serial.as_str());
            Some((address, ConnectorId(brain.unit.into())))
        };
        let is_ocpp = wallbox.is_some();
        let (address, connector) = wallbox.or_else(brain)?;
        let plan = self.load.evses.iter().find(|it| it.name.as_str() == evse)?;
        Some(MemberPlan {
            evse: plan.name.clone(),
            address,
            connector,
            is_ocpp,
            backend_connector: None,
            min: plan.min,
            wiring: Wiring {
                phases: plan.phases,
                voltage: VOLTAGE,
                max: plan.max,
                switches_phases: false,
            },
            rotation: plan.rotation.order(),
            offline_unknown_tags: false,
        })
    }

    /// Changes the gateway that was added last.
    #[must_use]
    pub fn with_gateway(mut self, change: impl FnOnce(&mut GatewayPlan)) -> Self {
        if let Some(gateway) = self.gateways.last_mut() {
            change(gateway);
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
            gateways: self.gateways.clone(),
            stations: stations.collect(),
            charge_points: self.charge_points(),
            meters: self.meters.iter().map(|it| self.read(it)).collect(),
            measured_by: self.measured_by.clone(),
            load: self.load.clone(),
            authorization: self.authorization.clone(),
            limit_signals: BTreeMap::new(),
        }
    }

    /// What the site is told of a meter.
    fn read(&self, metered: &Metered) -> Read {
        let name = metered.name.clone();
        let mut others = self.measured_by.values();
        Read {
            bills: others.any(|by| matches!(by, MeasuredBy::Meter(meter) if *meter == name)),
            name,
            kind: match metered.plan.map {
                MeterMap::Sdm630 => Kind::Sdm630,
                MeterMap::PowerBrain => Kind::PowerBrain,
                MeterMap::SunSpec203 | MeterMap::SunSpec213 => Kind::SunSpec,
            },
            poll: POLL,
            invert: metered.plan.inverted,
        }
    }

    fn charge_points(&self) -> Vec<ChargePointPlan> {
        let brains = self.power_brains.iter();
        let charge_points = brains.filter_map(|brain| {
            let mut evses = self.load.evses.iter();
            let evse = evses.find(|evse| evse.name.as_str() == brain.serial)?;
            Some(ChargePointPlan {
                evse: evse.name.clone(),
                address: brain.serial.as_str().into(),
                unit: brain.unit,
                phases: evse.phases,
                min: evse.min,
                max: evse.max,
                failsafe: evse.failsafe,
                voltage: VOLTAGE,
                fixed_id_tag: self.fixed_id_tags.get(&evse.name).cloned(),
                open: self.authorization.mode == AuthorizationMode::Open
                    && !self.has_gateway(&evse.name),
                meter: match self.measured_by.get(&evse.name) {
                    None => Metering::Own,
                    Some(MeasuredBy::Meter(_)) => Metering::Other,
                    Some(MeasuredBy::Nothing) => Metering::None,
                },
                observe: self.load.observe,
                backend: self.has_gateway(&evse.name),
                rotation: evse.rotation.order(),
            })
        });
        charge_points.collect()
    }

    fn has_gateway(&self, evse: &EvseName) -> bool {
        let mut members = self.gateways.iter().flat_map(|gateway| &gateway.members);
        members.any(|member| member.evse == *evse)
    }

    /// Whether some circuit on the path of an EVSE has a meter.
    fn is_metered(&self, evse: &EvsePlan) -> bool {
        let path = self.path(&evse.circuit);
        self.meters
            .iter()
            .any(|meter| path.contains(&meter.circuit))
    }

    /// The Modbus devices, switched on.
    pub(super) fn field(&self, random: &mut Random) -> Field {
        let mut field = Field::default();
        for plan in &self.power_brains {
            field.add_brain(PowerBrain::new(plan.clone(), random.next_u64()));
        }
        for metered in &self.meters {
            let meter = Meter::new(metered.plan.clone(), random.next_u64());
            let path = self.path(&metered.circuit);
            let name = metered.name.to_string();
            let place = MeterPlace::new(name, meter, metered.house.clone(), path);
            field.meters.push(place);
        }
        field
    }

    /// The backends, which nobody has connected to yet.
    pub(super) fn backends(&self, random: &mut Random) -> BTreeMap<String, Backend> {
        let backends = self.backends.iter().map(|(url, plan)| {
            let random = Random::new(random.next_u64());
            (url.clone(), Backend::new(plan.clone(), random))
        });
        backends.collect()
    }

    fn connectors(&self, wallbox: &WallboxPlan) -> BTreeMap<ConnectorId, ConnectorPlan> {
        let gateways = self.gateways.iter();
        let members: BTreeSet<&EvseName> = gateways
            .flat_map(|gateway| &gateway.members)
            .map(|member| &member.evse)
            .collect();
        (1..=wallbox.connectors)
            .filter_map(|number| {
                let connector = ConnectorId(number);
                let name = evse_name(wallbox, connector);
                let evse = self.load.evses.iter().find(|evse| evse.name == name)?;
                let profile = self.profiles.get(&name).cloned().unwrap_or_default();
                let plan = ConnectorPlan {
                    backend: members.contains(&name),
                    evse: name,
                    phases: evse.phases,
                    idle: evse.idle,
                    max: evse.max,
                    failsafe: evse.failsafe,
                    dead_man: self.is_metered(evse).then_some(DEAD_MAN),
                    fixed_id_tag: self.fixed_id_tags.get(&evse.name).cloned(),
                    profile,
                };
                Some((connector, plan))
            })
            .collect()
    }

    /// How the EVSEs are really wired; where the plan does not know, chance decides.
    pub(super) fn wiring(&mut self) -> Vec<Wired> {
        let mut sockets = Vec::new();
        for wallbox in &self.wallboxes {
            for number in 1..=wallbox.connectors {
                let connector = ConnectorId(number);
                let socket = Socket::Connector(wallbox.id.clone(), connector);
                sockets.push((evse_name(wallbox, connector), socket));
            }
        }
        for brain in &self.power_brains {
            let name = EvseName::from(brain.serial.as_str());
            sockets.push((name, Socket::PowerBrain(brain.serial.clone())));
        }
        let mut all = Vec::new();
        for (name, socket) in sockets {
            let evse = self.load.evses.iter().find(|evse| evse.name == name);
            let Some(evse) = evse else {
                continue;
            };
            let rotation = match evse.rotation {
                Rotation::Unknown => any_rotation(&mut self.random),
                known @ Rotation::Known(_) => known,
            };
            all.push(Wired {
                socket,
                circuits: self.path(&evse.circuit),
                rotation,
            });
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

/// Where the current of a socket really flows.
#[derive(Debug, Clone)]
pub(super) struct Wired {
    pub(super) socket: Socket,
    pub(super) circuits: Vec<CircuitName>,
    pub(super) rotation: Rotation,
}

/// What a car is plugged into.
#[derive(Debug, Clone)]
pub(super) enum Socket {
    Connector(ChargeBoxId, ConnectorId),
    PowerBrain(String),
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connector(wallbox, connector) => write!(f, "{wallbox}/{connector}"),
            Self::PowerBrain(serial) => f.write_str(serial),
        }
    }
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
