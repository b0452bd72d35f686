//! What we ask of the wallbox: one CALL at a time, the most important first.
//!
//! 1. the keys, if nothing is known of this firmware: they say which profile fits,
//! 2. a limit that lowers, 3. one that is renewed, 4. one that raises, 5. housekeeping.

use std::time::Duration;

use tracing::{debug, warn};

use crate::clock::{Mono, Now};
use crate::ids::{ConnectorId, OfferNumber};
use crate::ocpp::messages::{
    self, ChangeConfiguration, ChangeConfigurationResponse, ClearChargingProfile,
    ConfigurationStatus, GetConfiguration, GetConfigurationResponse, MessageTrigger,
    RemoteStartTransaction, Request, TriggerMessage,
};
use crate::ocpp::rpc::CallFailure;
use serde_json::value::RawValue;

use super::dead_man::Level;
use super::limiting::Told;
use super::plan::ConnectorPlan;
use super::set_up::{Known, RateUnits, Step};
use super::setpoint::Direction;
use super::station::{Context, Station};

/// An answer may take this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The first answer after a boot may take this long.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// Housekeeping that is not answered makes room for a waiting limit after this.
const MAKE_ROOM: Duration = Duration::from_secs(5);

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
    /// Anything whose answer changes nothing.
    Housekeeping,
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
        self.set_up
            .poll_timeout(self.known.boot.is_some())
            .into_iter()
            .chain(retries)
            .chain(held)
            .min()
    }

    fn room_made_at(&self) -> Option<Mono> {
        let (asked, since) = self.rpc.outstanding()?;
        if matches!(asked, Asked::Limit { .. } | Asked::Release { .. }) || !self.set_up.is_ready() {
            return None;
        }
        let waits = self
            .connectors
            .values()
            .filter_map(|c| c.setpoint.presses_from())
            .min()?;
        Some(waits.max(since + MAKE_ROOM))
    }

    fn make_room(&mut self, now: Mono) {
        if self.room_made_at().is_some_and(|at| at <= now)
            && let Some(Asked::Floor { connector, .. }) = self.rpc.give_up()
        {
            self.floor_unanswered(connector, false);
        }
    }

    /// Sends the most important CALL; false if there is nothing to ask, or if what there was
    /// needed no CALL and the next one may go.
    fn ask_next(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now;
        if !self.set_up.is_ready() || self.set_up.comes_before_limits(self.known.keys_read) {
            return self.ask_step(context);
        }
        for direction in [Direction::Lowers, Direction::Renews, Direction::Raises] {
            if let Some(id) = self.waiting_limit(now.mono, direction) {
                self.ask_limit(context, id, direction);
                return false;
            }
        }
        self.ask_step(context)
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

    fn trigger(
        &mut self,
        context: &mut Context<'_>,
        what: MessageTrigger,
        id: Option<ConnectorId>,
        asked: Asked,
    ) {
        let request = TriggerMessage {
            requested_message: what,
            connector_id: id,
        };
        self.call(context, &request, asked, false);
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
        let id = context.random.uuid();
        let text = self
            .rpc
            .call(context.now.mono, id, T::ACTION, &payload, within, asked);
        self.send(text, lowers);
    }

    /// The wallbox answered a CALL of ours.
    pub(super) fn handle_answer(
        &mut self,
        context: &mut Context<'_>,
        asked: Asked,
        result: Result<&RawValue, CallFailure>,
    ) {
        let now = context.now;
        match asked {
            Asked::AllKeys => match keys_of(result) {
                Some(keys) if !keys.configuration_key.is_empty() => self.learn_keys(now, &keys),
                _ => self.set_up.keys_one_by_one(now.mono),
            },
            Asked::Key => {
                if let Some(keys) = keys_of(result) {
                    self.learn_keys(now, &keys);
                }
            }
            Asked::MeasurandList => {
                if !accepted_change(result) {
                    self.set_up.probe_measurands(now.mono);
                }
            }
            Asked::Measurand(measurand) => {
                if accepted_change(result) {
                    self.set_up.measurand_accepted(measurand);
                }
            }
            Asked::AcceptedMeasurands => {
                if accepted_change(result) {
                    self.remember_measurands();
                } else {
                    self.set_up.shorten_measurands(now.mono);
                }
            }
            Asked::TriggerBoot => {
                // A wallbox that cannot be triggered will not boot for us: go on without.
                if result.is_err() && !self.set_up.is_ready() {
                    self.begin(now.mono, !self.known.keys_read);
                }
            }
            Asked::Housekeeping => {}
            Asked::Limit { connector, told } => {
                self.handle_limit_answer(now.mono, connector, told, result);
            }
            Asked::Floor { connector, level } => {
                self.handle_floor_answer(connector, level, result);
            }
            Asked::Release { connector, offer } => {
                self.handle_release_answer(now.mono, connector, offer, result);
            }
        }
    }

    /// A CALL of ours was not answered in time.
    pub(super) fn handle_silence(&mut self, now: Mono, asked: Asked) {
        self.timeouts_in_a_row += 1;
        warn!(charge_point = %self.plan.id, call = ?asked, "a wallbox did not answer in time");
        if self.timeouts_in_a_row >= 2
            && let Some(liveness) = &mut self.liveness
        {
            liveness.suspect(now);
            self.ping();
        }
        match asked {
            Asked::Floor { connector, .. } => self.floor_unanswered(connector, true),
            Asked::Limit { connector, told } => self.limit_unanswered(now, connector, told),
            Asked::Release { connector, offer } => {
                if let Some(connector) = self.connectors.get_mut(&connector) {
                    connector.setpoint.unanswered(now, offer);
                }
            }
            Asked::TriggerBoot if !self.set_up.is_ready() => self.begin(now, !self.known.keys_read),
            Asked::TriggerBoot
            | Asked::AllKeys
            | Asked::Key
            | Asked::MeasurandList
            | Asked::Measurand(_)
            | Asked::AcceptedMeasurands
            | Asked::Housekeeping => {}
        }
    }

    /// What it took of the measurands that we want is asked for first from now on.
    fn remember_measurands(&mut self) {
        let measurands = self.set_up.known_measurands();
        let known = Known {
            measurands,
            ..self.known.clone()
        };
        self.remember(known);
    }

    fn learn_keys(&mut self, now: Now, keys: &GetConfigurationResponse) {
        debug!(charge_point = %self.plan.id, keys = keys.configuration_key.len(), "keys were read");
        let mut known = self.known.clone();
        known.keys_read = true;
        for entry in &keys.configuration_key {
            let value = entry.value.as_deref().unwrap_or_default();
            if entry.key.eq_ignore_ascii_case("ChargeProfileMaxStackLevel") {
                known.max_stack_level = value.trim().parse().ok();
            } else if entry
                .key
                .eq_ignore_ascii_case("ChargingScheduleAllowedChargingRateUnit")
            {
                known.units = rate_units(value);
            } else if entry.key.eq_ignore_ascii_case("PlugAndChargeIdentifier") {
                known.own_tag = Some(value.trim().to_owned()).filter(|tag| !tag.is_empty());
            } else {
                let interval = self.plan.meter_interval;
                let short = known.measurands.as_deref();
                self.set_up.configure(
                    now.mono,
                    (&entry.key, value, entry.readonly),
                    interval,
                    short,
                );
            }
        }
        let other_forms =
            known.units != self.known.units || known.max_stack_level != self.known.max_stack_level;
        self.remember(known);
        if other_forms {
            self.reset_ladders();
        }
    }
}

fn accepted_change(result: Result<&RawValue, CallFailure>) -> bool {
    let answer = result
        .ok()
        .and_then(|raw| messages::parse::<ChangeConfigurationResponse>(raw).ok());
    answer.is_some_and(|answer| {
        matches!(
            answer.status,
            ConfigurationStatus::Accepted | ConfigurationStatus::RebootRequired
        )
    })
}

fn keys_of(result: Result<&RawValue, CallFailure>) -> Option<GetConfigurationResponse> {
    result.ok().and_then(|raw| messages::parse(raw).ok())
}

/// In which units a wallbox can be limited. They write `Current`, `A`, `Amp`, `Power`, `W`, with commas
/// or semicolons between them.
fn rate_units(value: &str) -> RateUnits {
    let words = || {
        value
            .split([',', ';'])
            .map(|word| word.trim().to_ascii_lowercase())
    };
    let names = |some: &[&str]| words().any(|word| some.contains(&word.as_str()));
    let (amps, watts) = (
        names(&["current", "a", "amp", "amps", "ampere"]),
        names(&["power", "w", "watt", "watts"]),
    );
    match (amps, watts) {
        (false, false) => RateUnits::Unknown,
        (true, false) => RateUnits::Amps,
        (false, true) => RateUnits::Watts,
        (true, true) => RateUnits::Both,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_allowed_unit_is_read_in_every_spelling_of_the_field() {
        for (value, units) in [
            ("", RateUnits::Unknown),
            ("Current", RateUnits::Amps),
            ("A", RateUnits::Amps),
            ("Amp", RateUnits::Amps),
            ("Current,Power", RateUnits::Both),
            ("Power;Current", RateUnits::Both),
            ("power, a", RateUnits::Both),
            ("Power", RateUnits::Watts),
            (" W ", RateUnits::Watts),
        ] {
            assert_eq!(rate_units(value), units, "{value:?}");
        }
    }
}
