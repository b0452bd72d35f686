//! A correct OCPP 1.6 charge point, pure: what arrives goes in, what it sends comes out.
//!
//! It keeps the [contract](crate) of every machine. Deviations are [`Quirk`]s.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::Quirk;
use super::car::{Car, MINIMUM, MicroJoules, PluggedCar};
use super::script::Act;
use crate::clock::{Mono, Now, Random};
use crate::evse::AuthorizationStatus;
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::charging_profile::ChargingProfile;
use crate::ocpp::composite::{InstalledProfiles, Rules};
use crate::units::{MilliAmps, PerPhase, Phase, WattHours};

mod answers;
mod books;
mod commands;
mod connector;
mod handwriting;
mod judge;
mod keys;
mod meter;
mod plan;
mod request;
mod session;
mod telling;
mod wire;

use books::Books;
pub use books::Told;
use connector::Connector;
use handwriting::Handwriting;
use judge::Judge;
use keys::Keys;
pub use plan::WallboxPlan;
use wire::{OwnCall, Purpose, Wire};

/// How often a plugged car is looked at.
const TICK: Duration = Duration::from_secs(1);

/// How late [`Quirk::LateAnswers`] is.
const LATE: Duration = Duration::from_secs(8);

/// A text frame of a wallbox's link, as the wallbox sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Traffic<'a> {
    /// To the central system.
    Sent(&'a str),
    /// From the central system.
    Received(&'a str),
}

/// Whoever looks at all [`Traffic`].
struct Inspector(Box<dyn FnMut(Traffic<'_>) + Send>);

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inspector")
    }
}

/// What the wallbox wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this text frame.
    Send(String),
    /// End the connection.
    Disconnect,
}

/// `RegistrationStatus` (OCPP 1.6 §7.37), and the state before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    Unknown,
    Pending,
    Rejected,
    Accepted,
}

/// What is known of a tag (OCPP 1.6 §3.5.1).
#[derive(Debug, Clone)]
struct Cached {
    status: AuthorizationStatus,
    expires: Option<Timestamp>,
    parent: Option<IdTag>,
}

/// A CALL of the central system that is answered later.
#[derive(Debug, Clone)]
struct Deferred {
    due: Mono,
    id: String,
    action: String,
    payload: Value,
}

/// A wallbox.
#[derive(Debug)]
pub struct Wallbox {
    plan: WallboxPlan,
    random: Random,
    keys: Keys,
    rules: Rules,
    profiles: InstalledProfiles,
    /// Profiles that it will look at when no transaction runs.
    later: Vec<(ConnectorId, ChargingProfile)>,
    connectors: BTreeMap<ConnectorId, Connector>,
    operative: bool,
    told: Option<ChargePointStatus>,
    registration: Registration,
    boot_at: Mono,
    accepted_at: Mono,
    looping_since: Option<Mono>,
    wire: Wire,
    judge: Judge,
    inspector: Option<Inspector>,
    books: Option<Books>,
    deferred: VecDeque<Deferred>,
    sessions: u64,
    transaction_ids: BTreeMap<u64, i64>,
    cache: BTreeMap<IdTag, Cached>,
    skew: SignedDuration,
    tick_at: Mono,
    restart_at: Option<Mono>,
    off_until: Option<Mono>,
}

impl Wallbox {
    /// A wallbox that was just switched on and never connected.
    pub fn new(plan: WallboxPlan, mut random: Random) -> Self {
        let keys = Keys::new(&plan);
        let rules = plan.rules(&keys);
        let connectors = (1..=plan.connectors)
            .map(|number| {
                let register = WattHours(i64::try_from(random.below(9_000_000)).unwrap_or(0));
                let connector = Connector::new(MicroJoules::from_watt_hours(register));
                (ConnectorId(number), connector)
            })
            .collect();
        Self {
            wire: Wire::new(Handwriting::of(&plan)),
            plan,
            random,
            keys,
            rules,
            profiles: InstalledProfiles::default(),
            later: Vec::new(),
            connectors,
            operative: true,
            told: None,
            registration: Registration::Unknown,
            boot_at: Mono::START,
            accepted_at: Mono::START,
            looping_since: None,
            judge: Judge::default(),
            inspector: None,
            books: None,
            deferred: VecDeque::new(),
            sessions: 0,
            transaction_ids: BTreeMap::new(),
            cache: BTreeMap::new(),
            skew: SignedDuration::ZERO,
            tick_at: Mono::START,
            restart_at: None,
            off_until: None,
        }
    }

    /// Shows every frame of its link to `inspector`.
    pub fn inspect(&mut self, inspector: impl FnMut(Traffic<'_>) + Send + 'static) {
        self.inspector = Some(Inspector(Box::new(inspector)));
    }

    /// Remembers from now on what it [tells](Self::told).
    pub fn keep_books(&mut self) {
        self.books.get_or_insert_default();
    }

    /// Its transactions as it told them, oldest first, if it [keeps books](Self::keep_books).
    pub fn told(&self) -> impl Iterator<Item = &Told> {
        self.books.iter().flat_map(Books::iter)
    }

    /// What the meter of a connector shows.
    pub fn register(&self, connector: ConnectorId) -> WattHours {
        let connector = self.connectors.get(&connector);
        connector.map_or(WattHours(0), |it| it.register.watt_hours())
    }

    /// What it is.
    pub fn plan(&self) -> &WallboxPlan {
        &self.plan
    }

    /// The connection stands.
    pub fn handle_connected(&mut self, now: Now) {
        if !self.is_on() {
            return;
        }
        self.wire.connect();
        self.deferred.clear();
        let silent = self.plan.has(Quirk::NoBootAfterReconnect);
        if self.plan.has(Quirk::NeverBoots) {
            self.registration = Registration::Accepted;
        } else if !(silent && self.registration == Registration::Accepted) {
            self.registration = Registration::Unknown;
            self.boot_at = now.mono;
        }
        self.settle(now);
    }

    /// A text frame of the central system.
    pub fn handle_frame(&mut self, now: Now, text: &str) {
        if self.is_on() && self.wire.connected {
            if let Some(inspector) = &mut self.inspector {
                inspector.0(Traffic::Received(text));
            }
            self.receive(now, text);
            self.settle(now);
        }
    }

    /// The connection is gone.
    pub fn handle_disconnected(&mut self, now: Now) {
        self.judge.disconnected();
        self.deferred.clear();
        for lost in self.wire.disconnect() {
            self.not_answered(now, lost);
        }
        self.settle(now);
    }

    /// The time of [`poll_timeout`](Self::poll_timeout) has come.
    pub fn handle_timeout(&mut self, now: Now) {
        if self.off_until.is_some_and(|until| until <= now.mono) {
            self.off_until = None;
        }
        if self.restart_at.is_some_and(|at| at <= now.mono) {
            self.reboot(now, RESTART);
        }
        if self.boots_again_at().is_some_and(|at| at <= now.mono) {
            self.registration = Registration::Unknown;
            self.boot_at = now.mono;
        }
        if let Some(given_up) = self.wire.give_up(now.mono) {
            self.not_answered(now, given_up.purpose);
        }
        while let Some(call) = self.deferred.pop_front_if(|call| call.due <= now.mono) {
            self.execute(now, &call.id, &call.action, &call.payload);
        }
        self.settle(now);
    }

    /// What it wants done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        let output = self.wire.poll_output();
        if let (Some(inspector), Some(Output::Send(text))) = (&mut self.inspector, &output) {
            inspector.0(Traffic::Sent(text));
        }
        output
    }

    /// When it wants [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Mono> {
        if self.off_until.is_some() {
            return self.off_until;
        }
        let plugged = self.connectors.values().any(|c| c.car.is_some());
        let waits = self
            .connectors
            .values()
            .filter_map(|c| c.authorized.as_ref());
        let link = match self.registration {
            _ if !self.wire.idle() => self.wire.poll_timeout(),
            Registration::Accepted => {
                let kept = self.wire.poll_timeout();
                kept.into_iter().chain(self.heartbeat_at()).min()
            }
            _ => Some(self.boot_at),
        };
        [
            self.restart_at,
            self.boots_again_at(),
            plugged.then_some(self.tick_at),
            self.deferred.front().map(|call| call.due),
            waits.map(|authorized| authorized.until).min(),
            link,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Plugs a car in; a connector that has one keeps it.
    pub fn plug(&mut self, now: Now, connector: ConnectorId, car: Car) {
        let (wired, voltage) = (self.plan.phases, self.plan.voltage);
        if let Some(connector) = self.connectors.get_mut(&connector)
            && connector.car.is_none()
        {
            connector.car = Some(PluggedCar::new(car, wired, voltage, now.mono));
        }
        self.settle(now);
    }

    /// Pulls the plug, which ends a transaction (`StopTransactionOnEVSideDisconnect`).
    pub fn unplug(&mut self, now: Now, connector: ConnectorId) {
        self.stop_session(now, connector, Some("EVDisconnected"), None);
        if let Some(connector) = self.connectors.get_mut(&connector) {
            connector.car = None;
            connector.finished = false;
            connector.authorized = None;
        }
        self.settle(now);
    }

    /// Somebody holds a card to the reader: starts or stops (OCPP 1.6 §3.5).
    pub fn present_tag(&mut self, now: Now, connector: ConnectorId, tag: &IdTag) {
        if self.is_on() {
            self.tap(now, connector, tag);
            self.settle(now);
        }
    }

    /// Begins or ceases to deviate. What a wallbox says of itself stays as it was at the start.
    pub fn set_quirk(&mut self, quirk: Quirk, on: bool) {
        if on {
            self.plan.quirks.insert(quirk);
        } else {
            self.plan.quirks.remove(&quirk);
        }
    }

    /// Does what a [script](super::script) says.
    pub fn perform(&mut self, now: Now, act: Act) {
        match act {
            Act::Plug(connector, car) => self.plug(now, connector, car),
            Act::Present(connector, tag) => self.present_tag(now, connector, &tag),
            Act::Unplug(connector) => self.unplug(now, connector),
        }
    }

    /// The power fails and is back after `off_for`.
    pub fn reboot(&mut self, now: Now, off_for: Duration) {
        self.settle(now);
        let connectors: Vec<ConnectorId> = self.connectors.keys().copied().collect();
        if !self.plan.has(Quirk::ResumesTransactions) {
            for connector in connectors {
                self.stop_session(now, connector, Some("PowerLoss"), None);
            }
        }
        if self.plan.has(Quirk::ForgetsProfiles) {
            self.profiles = InstalledProfiles::default();
            self.later.clear();
        }
        self.off_until = Some(now.mono + off_for);
        self.restart_at = None;
        self.registration = Registration::Unknown;
        self.judge.disconnected();
        self.deferred.clear();
        self.wire.hang_up();
        self.told = None;
        for connector in self.connectors.values_mut() {
            connector.told = None;
            connector.authorized = None;
            connector.finished = false;
            if let Some(car) = &mut connector.car {
                car.cut(now.mono);
            }
        }
    }

    /// Whether it has power, and so wants a connection.
    pub fn is_on(&self) -> bool {
        self.off_until.is_none()
    }

    /// What a car at `connector` may draw from each phase as soon as it is authorized.
    pub fn allowed(&self, connector: ConnectorId, now: Now) -> MilliAmps {
        let at = self.clock(now);
        let Some(asked) = self.connectors.get(&connector) else {
            return MilliAmps::ZERO;
        };
        let started = asked.session.as_ref().map(|session| session.started);
        let wiring = self.rules.wiring;
        let own = self.profiles.limit_at(connector, at, started, wiring);
        let others = self.connectors.iter().filter(|(id, _)| **id != connector);
        let charging = others.filter(|(_, other)| other.is_energized()).count();
        let sharing = i32::try_from(charging + 1).unwrap_or(i32::MAX);
        let whole_box = self.profiles.charge_point_limit(at, wiring);
        let share = whole_box.map_or(MilliAmps::MAX, |max| MilliAmps(max.current.0 / sharing));
        let allowed = self.plan.round_down(own.current.min(share));
        if allowed < MINIMUM {
            MilliAmps::ZERO
        } else {
            allowed
        }
    }

    /// What the fuse must be able to carry now: what the plugged and authorized car is allowed, on
    /// the wallbox's own phases.
    pub fn exposure(&self, connector: ConnectorId, now: Now) -> PerPhase<MilliAmps> {
        let charging = self.connectors.get(&connector).filter(|c| c.is_energized());
        match charging.and_then(|c| c.car.as_ref()) {
            Some(car) if self.is_on() => on_phases(self.allowed(connector, now), car.phases()),
            _ => PerPhase::default(),
        }
    }

    /// What the car draws now, on the wallbox's own phases.
    pub fn drawn(&self, connector: ConnectorId, now: Now) -> PerPhase<MilliAmps> {
        let car = self.connectors.get(&connector).and_then(|c| c.car.as_ref());
        car.map_or_else(PerPhase::default, |car| {
            on_phases(car.drawn(now.mono), car.phases())
        })
    }

    /// The status of a connector.
    pub fn status(&self, connector: ConnectorId) -> Option<ChargePointStatus> {
        let status = self.connectors.get(&connector)?.status();
        Some(self.shown(status))
    }

    /// The id of the running transaction, once the central system has told it.
    pub fn transaction(&self, connector: ConnectorId) -> Option<i64> {
        let session = self.connectors.get(&connector)?.session.as_ref()?;
        self.transaction_ids.get(&session.number).copied()
    }

    /// How many transaction messages the central system has not answered yet.
    pub fn unsent(&self) -> usize {
        self.wire.kept()
    }

    /// The longest that it has waited for an answer over a standing connection.
    pub fn slowest_answer(&self) -> Duration {
        self.wire.slowest
    }

    /// What the central system did wrong.
    pub fn violations(&self) -> &[String] {
        self.judge.violations()
    }
}

/// How long a restart takes that the central system asked for.
const RESTART: Duration = Duration::from_secs(5);

impl Wallbox {
    /// Draws the consequences of whatever has happened.
    fn settle(&mut self, now: Now) {
        if !self.is_on() {
            return;
        }
        self.install_later(now);
        let connectors: Vec<ConnectorId> = self.connectors.keys().copied().collect();
        for id in &connectors {
            self.cancel_authorization_that_is_over(now, *id);
            self.start_session_if_ready(now, *id);
        }
        let offers: Vec<MilliAmps> = connectors.iter().map(|id| self.allowed(*id, now)).collect();
        for (connector, offer) in self.connectors.values_mut().zip(offers) {
            connector.step(now.mono, offer);
        }
        for id in connectors {
            self.sample_if_due(now, id);
        }
        self.tick_at = now.mono + TICK;
        self.tell_statuses(now);
        self.pump(now);
    }

    /// Meter values that somebody asked for belong to the running transaction, too.
    fn note_values(&mut self, call: &OwnCall) {
        let number = call.payload.get("connectorId").and_then(Value::as_u64);
        let number = number.unwrap_or_default();
        let connector = u32::try_from(number).ok().map(ConnectorId);
        let connector = connector.and_then(|id| self.connectors.get(&id));
        let session = connector.and_then(|it| it.session.as_ref());
        if let (Some(books), Some(session), "MeterValues") = (&mut self.books, session, call.action)
        {
            let written = self.wire.written(call.action, call.payload.clone());
            books.note(session.number, call.action, written);
        }
    }

    /// Sends what may be sent.
    fn pump(&mut self, now: Now) {
        if !self.wire.idle() {
            return;
        }
        let accepted = self.registration == Registration::Accepted;
        if !accepted && self.boot_at <= now.mono {
            let call = self.boot_notification();
            self.wire.send_call(now.mono, call, &mut self.random);
        } else if let Some(call) = self.wire.next_call(accepted) {
            self.note_values(&call);
            self.wire.send_call(now.mono, call, &mut self.random);
        } else if !accepted {
        } else if let Some(kept) = self.wire.next_kept(now.mono) {
            let payload = self.with_transaction_id(kept);
            if let Some(books) = &mut self.books {
                let written = self.wire.written(kept.action, payload.clone());
                books.note(kept.session, kept.action, written);
            }
            self.wire.send_kept(now.mono, &payload, &mut self.random);
        } else if self.heartbeat_at().is_some_and(|at| at <= now.mono) {
            let call = call("Heartbeat", json!({}), Purpose::Heartbeat);
            self.wire.send_call(now.mono, call, &mut self.random);
        }
    }
}

fn call(action: &'static str, payload: Value, purpose: Purpose) -> OwnCall {
    OwnCall {
        action,
        payload,
        purpose,
        triggered: false,
    }
}

fn on_phases(current: MilliAmps, phases: u8) -> PerPhase<MilliAmps> {
    let mut all = PerPhase::default();
    for phase in Phase::ALL.into_iter().take(usize::from(phases)) {
        all[phase] = current;
    }
    all
}

#[cfg(test)]
mod tests;
