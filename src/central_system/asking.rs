//! What we ask of the wallbox: one CALL at a time, the most important first.
//!
//! 1. the keys, if nothing is known of this firmware: they say which profile fits,
//! 2. a limit that lowers, 3. the stop of a refused transaction, 4. a limit that is renewed,
//! 5. commands of backends, 6. a limit that raises, 7. values that show whether a car follows,
//! 8. housekeeping.

use std::time::Duration;

use crate::clock::Mono;
use crate::ids::{ConnectorId, OfferNumber};
use crate::ocpp::messages::{
    self, ChangeConfiguration, ClearChargingProfile, GetConfiguration, MessageTrigger,
    RemoteStartTransaction, Request, TriggerMessage,
};

use super::dead_man::Level;
use super::limiting::Told;
use super::plan::ConnectorPlan;
use super::set_up::Step;
use super::setpoint::Direction;
use super::station::{Context, Station};

/// An answer may take this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The first answer after a boot may take this long.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// Housekeeping that is not answered makes room for a waiting limit after this.
const MAKE_ROOM: Duration = Duration::from_secs(5);

/// The same for a question whether a car follows: sooner than the load manager takes a lowering for
/// not obeyed (5 s).
const MAKE_ROOM_BEHIND_QUESTION: Duration = Duration::from_secs(4);

/// What an outstanding CALL of ours is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// GetConfiguration of everything.
    AllKeys,
    /// GetConfiguration of one key.
    Key,
    /// ChangeConfiguration of the list of measurands.
    MeasurandList,
    /// ChangeConfiguration of one measurand, to find out.
    Measurand(&'static str),
    /// ChangeConfiguration of those measurands that were accepted one by one.
    AcceptedMeasurands,
    /// TriggerMessage(BootNotification).
    TriggerBoot,
    /// TriggerMessage(MeterValues), to see whether a car follows its limit.
    Values(ConnectorId),
    /// Anything whose answer changes nothing.
    Housekeeping,
    /// A command of a backend, by its number.
    Order(u64),
    /// `RemoteStopTransaction`.
    Stop(ConnectorId),
    /// SetChargingProfile.
    Limit {
        /// Which connector.
        connector: ConnectorId,
        /// What it was told.
        told: Told,
    },
    /// SetChargingProfile of the floor.
    Floor {
        /// Which connector.
        connector: ConnectorId,
        /// What it allows, and in which form.
        level: Level,
    },
    /// A stage of a release.
    Release {
        /// Which connector.
        connector: ConnectorId,
        /// Which offer.
        offer: OfferNumber,
    },
}

impl Station {
    /// Sends the next CALL if none is outstanding.
    pub(super) fn go_on(&mut self, context: &mut Context<'_>) {
        if self.link.is_none() {
            return;
        }
        let now = context.now;
        if self.set_up.settled(now.mono, self.known.boot.is_some()) {
            self.begin(now.mono, !self.known.keys_read);
        }
        if self.set_up.is_ready() && std::mem::take(&mut self.sampling_changed) {
            self.set_up.read_sampling(now.mono);
        }
        self.watch_held_back(now.mono);
        self.weigh_lives(now.mono);
        self.make_room(now.mono);
        while self.rpc.is_idle() && self.ask_next(context) {}
    }

    /// Commands may be sent from now on.
    pub(super) fn begin(&mut self, now: Mono, keys: bool) {
        self.reset_ladders();
        self.set_up
            .begin(now, keys, self.plan.connectors.keys().copied());
        let clears = |plan: &ConnectorPlan| plan.profile.clear_on_connect;
        if !self.plan.observe && self.plan.connectors.values().any(clears) {
            self.set_up.first(now, Step::ClearAll);
        }
    }

    /// When [`Station::go_on`] has something to do by time alone.
    pub(super) fn asking_timeout(&self) -> Option<Mono> {
        self.link?;
        let held = self.held_until();
        if !self.rpc.is_idle() {
            return self.room_made_at().into_iter().chain(held).min();
        }
        let retries = self
            .connectors
            .values()
            .filter_map(|c| c.setpoint.poll_timeout())
            .min();
        let values = self.follow_up.poll_timeout();
        self.set_up
            .poll_timeout(self.known.boot.is_some())
            .into_iter()
            .chain(retries)
            .chain(values.filter(|_| self.set_up.is_ready()))
            .chain(held)
            .min()
    }

    fn room_made_at(&self) -> Option<Mono> {
        let (asked, since) = self.rpc.outstanding()?;
        let orders = match asked {
            Asked::Limit { .. } | Asked::Release { .. } | Asked::Stop(_) => return None,
            Asked::Order(_) => None,
            _ => self.order_waits_since(),
        };
        if !self.set_up.is_ready() {
            return None;
        }
        let is_question = matches!(asked, Asked::Values(_));
        let limits = self.connectors.values();
        let limits = limits.filter_map(|c| {
            if is_question {
                c.setpoint.waits_from()
            } else {
                c.setpoint.presses_from()
            }
        });
        let stops = self.connectors.values().any(|it| it.stop_tries > 0);
        let stops = stops.then_some(since).filter(|_| is_question);
        let waits = limits.chain(orders).chain(stops).min()?;
        let within = if is_question {
            MAKE_ROOM_BEHIND_QUESTION
        } else {
            MAKE_ROOM
        };
        Some(waits.max(since + within))
    }

    fn make_room(&mut self, now: Mono) {
        if self.room_made_at().is_none_or(|at| at > now) {
            return;
        }
        match self.rpc.give_up() {
            Some(Asked::Floor { connector, .. }) => self.floor_unanswered(connector, false),
            Some(Asked::Values(_)) => self.sends_no_values(),
            _ => {}
        }
    }

    /// Sends the most important CALL; false if there is nothing to ask, or if what there was
    /// needed no CALL and the next one may go.
    fn ask_next(&mut self, context: &mut Context<'_>) -> bool {
        if !self.set_up.is_ready() || self.set_up.comes_before_limits(self.known.keys_read) {
            return self.ask_step(context);
        }
        if self.ask_waiting_limit(context, Direction::Lowers)
            || self.ask_stop(context)
            || self.ask_waiting_limit(context, Direction::Renews)
        {
            return false;
        }
        // A backend that commands without end must not keep the car from charging.
        let was_ordered = std::mem::take(&mut self.was_ordered);
        if !was_ordered && self.ask_order(context) {
            self.was_ordered = true;
            return false;
        }
        if self.ask_waiting_limit(context, Direction::Raises) || self.ask_for_values(context) {
            return false;
        }
        self.ask_step(context) || (was_ordered && self.rpc.is_idle())
    }

    fn ask_waiting_limit(&mut self, context: &mut Context<'_>, direction: Direction) -> bool {
        let waiting = self.waiting_limit(context.now.mono, direction);
        if let Some(id) = waiting {
            self.ask_limit(context, id, direction);
        }
        waiting.is_some()
    }

    fn waiting_limit(&self, now: Mono, direction: Direction) -> Option<ConnectorId> {
        let waits = |connector: &super::connector::Connector| {
            connector
                .setpoint
                .pending(now)
                .is_some_and(|(_, way)| way == direction)
        };
        self.connectors
            .iter()
            .find(|(_, c)| waits(c))
            .map(|(id, _)| *id)
    }

    /// Sends the next step of the set-up; true if the step needed no CALL.
    fn ask_step(&mut self, context: &mut Context<'_>) -> bool {
        let Some(step) = self.set_up.next(context.now.mono) else {
            return false;
        };
        match step {
            Step::TriggerBoot => self.trigger(
                context,
                MessageTrigger::BootNotification,
                None,
                Asked::TriggerBoot,
            ),
            Step::AllKeys => {
                let request = GetConfiguration { key: Vec::new() };
                self.call(context, &request, Asked::AllKeys, false);
            }
            Step::Key(key) => {
                let request = GetConfiguration {
                    key: vec![key.to_owned()],
                };
                self.call(context, &request, Asked::Key, false);
            }
            Step::Change {
                key: "MeterValuesSampledData",
                value,
            } => {
                self.change(
                    context,
                    "MeterValuesSampledData",
                    value,
                    Asked::MeasurandList,
                );
            }
            Step::Change { key, value } => self.change(context, key, value, Asked::Housekeeping),
            Step::TryMeasurand(one) => {
                let asked = Asked::Measurand(one);
                self.change(context, "MeterValuesSampledData", one.to_owned(), asked);
            }
            Step::AcceptedMeasurands => {
                let Some(list) = self.set_up.accepted_measurands() else {
                    self.remember_measurands();
                    return true;
                };
                let asked = Asked::AcceptedMeasurands;
                self.change(context, "MeterValuesSampledData", list, asked);
            }
            Step::TriggerStatus(id) => {
                if self
                    .connectors
                    .get(&id)
                    .is_none_or(|connector| connector.status_is_fresh)
                {
                    return true;
                }
                self.trigger(
                    context,
                    MessageTrigger::StatusNotification,
                    Some(id),
                    Asked::Housekeeping,
                );
            }
            Step::TriggerMeterValues(id) => {
                self.trigger(
                    context,
                    MessageTrigger::MeterValues,
                    Some(id),
                    Asked::Housekeeping,
                );
            }
            Step::Floor(id) => return !self.ask_floor(context, id),
            Step::Clear(profile) => {
                let request = ClearChargingProfile {
                    id: Some(profile),
                    ..ClearChargingProfile::default()
                };
                self.call(context, &request, Asked::Housekeeping, false);
            }
            Step::ClearAll => {
                self.nobody_falls_back();
                let request = ClearChargingProfile::default();
                self.call(context, &request, Asked::Housekeeping, false);
            }
            Step::RemoteStart(id, tag) => {
                if self.ledger.open_of(id).is_some() {
                    return true;
                }
                let request = RemoteStartTransaction {
                    id_tag: tag,
                    connector_id: Some(id),
                    charging_profile: None,
                };
                self.call(context, &request, Asked::Housekeeping, false);
            }
        }
        false
    }

    pub(super) fn trigger(
        &mut self,
        context: &mut Context<'_>,
        what: MessageTrigger,
        id: Option<ConnectorId>,
        asked: Asked,
    ) {
        if let (MessageTrigger::MeterValues, Some(id)) = (what, id) {
            self.we_want_values(context.now.mono, id);
        }
        let request = TriggerMessage {
            requested_message: what,
            connector_id: id,
        };
        // It rests on no record, and behind a slow disk it would be in the way of limits.
        let overtakes = matches!(asked, Asked::Values(_));
        self.call(context, &request, asked, overtakes);
    }

    fn change(&mut self, context: &mut Context<'_>, key: &str, value: String, asked: Asked) {
        let request = ChangeConfiguration {
            key: key.to_owned(),
            value,
        };
        self.call(context, &request, asked, false);
    }

    pub(super) fn call<T: Request>(
        &mut self,
        context: &mut Context<'_>,
        request: &T,
        asked: Asked,
        lowers: bool,
    ) {
        let payload = messages::write(request);
        let within = if self.just_booted {
            FIRST_ANSWER_WITHIN
        } else {
            ANSWER_WITHIN
        };
        self.call_raw(context, (T::ACTION, &payload), within, asked, lowers);
    }

    pub(super) fn call_raw(
        &mut self,
        context: &mut Context<'_>,
        (action, payload): (&str, &str),
        within: Duration,
        asked: Asked,
        lowers: bool,
    ) {
        let (now, id) = (context.now.mono, context.random.uuid());
        let text = self.rpc.call(now, id, action, payload, within, asked);
        self.send(text, lowers);
    }
}
