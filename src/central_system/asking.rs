//! What we ask of the wallbox: one CALL at a time, the most important first.
//!
//! 1. the keys, if nothing is known of this firmware: they say which profile fits,
//! 2. a limit that lowers, 3. a limit that raises, 4. housekeeping.

use std::time::Duration;

use tracing::{debug, error, warn};

use crate::clock::{Mono, Now};
use crate::evse::{Limit, Report};
use crate::ids::{ConnectorId, OfferNumber};
use crate::ocpp::ErrorCode;
use crate::ocpp::messages::{
    self, ChangeConfiguration, ChangeConfigurationResponse, ChargingProfileStatus,
    ClearChargingProfile, ConfigurationStatus, GetConfiguration, GetConfigurationResponse,
    MessageTrigger, Request, SetChargingProfile, SetChargingProfileResponse, TriggerMessage,
};
use crate::ocpp::rpc::CallFailure;
use serde_json::value::RawValue;

use super::profile::{Direction, Shape};
use super::set_up::Step;
use super::station::{Context, Station};

/// An answer may take this long.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// The first answer after a boot may take this long.
const FIRST_ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// Housekeeping that is not answered makes room for a waiting limit after this.
const MAKE_ROOM: Duration = Duration::from_secs(5);

/// So many errors that are no verdict, and the limit counts as refused.
const MOST_ERRORS: u32 = 3;

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
    /// TriggerMessage(BootNotification).
    TriggerBoot,
    /// Anything whose answer changes nothing.
    Housekeeping,
    /// SetChargingProfile, or ClearChargingProfile of ours for a release.
    Limit {
        /// Which connector.
        connector: ConnectorId,
        /// Which offer.
        offer: OfferNumber,
        /// What it says.
        limit: Limit,
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
        self.make_room(now.mono);
        while self.rpc.is_idle() && self.ask_next(context) {}
    }

    /// Commands may be sent from now on.
    pub(super) fn begin(&mut self, now: Mono, keys: bool) {
        self.set_up
            .begin(now, keys, self.plan.connectors.keys().copied());
    }

    /// When [`Station::go_on`] has something to do by time alone.
    pub(super) fn asking_timeout(&self) -> Option<Mono> {
        self.link?;
        if !self.rpc.is_idle() {
            return self.room_made_at();
        }
        let retries = self
            .connectors
            .values()
            .filter_map(|c| c.setpoint.retry_at())
            .min();
        self.set_up
            .poll_timeout(self.known.boot.is_some())
            .into_iter()
            .chain(retries)
            .min()
    }

    fn room_made_at(&self) -> Option<Mono> {
        let (asked, since) = self.rpc.outstanding()?;
        if matches!(asked, Asked::Limit { .. }) || !self.set_up.is_ready() {
            return None;
        }
        let waits = self
            .connectors
            .values()
            .filter_map(|c| c.setpoint.lowers_from())
            .min()?;
        Some(waits.max(since + MAKE_ROOM))
    }

    fn make_room(&mut self, now: Mono) {
        if self.room_made_at().is_some_and(|at| at <= now) {
            self.rpc.give_up();
        }
    }

    /// Sends the most important CALL; false if there is nothing to ask, or if what there was
    /// needed no CALL and the next one may go.
    fn ask_next(&mut self, context: &mut Context<'_>) -> bool {
        let now = context.now;
        if !self.set_up.is_ready() || !self.known.keys_read && self.set_up.reads_keys() {
            return self.ask_step(context);
        }
        for direction in [Direction::Lowers, Direction::Raises] {
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

    fn shape(&self, id: ConnectorId) -> Option<Shape> {
        let plan = self.connectors.get(&id)?.plan.as_ref()?;
        Some(Shape::first(
            plan,
            self.known.max_stack_level,
            self.known.watts_only,
        ))
    }

    fn ask_limit(&mut self, context: &mut Context<'_>, id: ConnectorId, direction: Direction) {
        let wall = context.now.wall;
        let Some(shape) = self.shape(id) else { return };
        let Some(connector) = self.connectors.get(&id) else {
            return;
        };
        let (Some(plan), Some((offer, _))) = (
            connector.plan.as_ref(),
            connector.setpoint.pending(context.now.mono),
        ) else {
            return;
        };
        let asked = Asked::Limit {
            connector: id,
            offer: offer.number,
            limit: offer.limit,
        };
        let lowers = direction == Direction::Lowers && connector.setpoint.may_overtake();
        match offer.limit {
            Limit::Current(amps) => {
                let profile = shape.profile(id, plan.phases, amps, self.plan.voltage, wall);
                let request = SetChargingProfile {
                    connector_id: shape.connector(id),
                    cs_charging_profiles: profile,
                };
                self.call(context, &request, asked, lowers);
            }
            Limit::Released => {
                let request = ClearChargingProfile {
                    id: Some(Shape::profile_id(id)),
                    ..ClearChargingProfile::default()
                };
                self.call(context, &request, asked, lowers);
            }
        }
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
                    return true;
                };
                self.change(context, "MeterValuesSampledData", list, Asked::Housekeeping);
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
        }
        false
    }

    fn ask_floor(&mut self, context: &mut Context<'_>, id: ConnectorId) -> bool {
        let Some(shape) = self.shape(id) else {
            return false;
        };
        let Some(plan) = self.connectors.get(&id).and_then(|c| c.plan.as_ref()) else {
            return false;
        };
        let wall = context.now.wall;
        let floor = shape.floor(id, plan.phases, plan.idle, self.plan.voltage, wall);
        let Some(profile) = floor else { return false };
        let request = SetChargingProfile {
            connector_id: id,
            cs_charging_profiles: profile,
        };
        self.call(context, &request, Asked::Housekeeping, false);
        true
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

    fn call<T: Request>(
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
            Asked::TriggerBoot => {
                // A wallbox that cannot be triggered will not boot for us: go on without.
                if result.is_err() && !self.set_up.is_ready() {
                    self.begin(now.mono, !self.known.keys_read);
                }
            }
            Asked::Housekeeping => {}
            Asked::Limit {
                connector,
                offer,
                limit,
            } => {
                self.handle_limit_answer(now.mono, connector, offer, limit, result);
            }
        }
    }

    fn handle_limit_answer(
        &mut self,
        now: Mono,
        id: ConnectorId,
        offer: OfferNumber,
        limit: Limit,
        result: Result<&RawValue, CallFailure>,
    ) {
        let verdict = match (limit, result) {
            // Unknown = there was nothing to clear: just as well.
            (Limit::Released, Ok(_)) => Verdict::Took,
            (Limit::Current(_), Ok(raw)) => {
                match messages::parse::<SetChargingProfileResponse>(raw) {
                    Ok(answer) if answer.status == ChargingProfileStatus::Accepted => Verdict::Took,
                    Ok(answer) => Verdict::Refused(answer.status.to_string()),
                    Err(_) => Verdict::None,
                }
            }
            (_, Err(failure)) => match failure.code {
                ErrorCode::NotImplemented | ErrorCode::NotSupported => {
                    Verdict::Refused(failure.code.as_str().to_owned())
                }
                _ => Verdict::None,
            },
        };
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        match verdict {
            Verdict::Took => {
                connector.errors = 0;
                connector.setpoint.took(offer, limit);
                if !connector.floor_sent {
                    connector.floor_sent = true;
                    self.set_up.first(now, Step::Floor(id));
                }
                self.report(id, Report::Took(offer));
            }
            Verdict::Refused(why) => {
                connector.setpoint.refuse(offer);
                error!(charge_point = %self.plan.id, connector = id.0, why = why.as_str(), "a wallbox takes no limit: it is booked at what it can draw");
                self.report(id, Report::Refused { offer, why });
            }
            Verdict::None => {
                connector.errors += 1;
                if connector.errors < MOST_ERRORS {
                    connector.setpoint.unanswered(now, offer);
                    return;
                }
                connector.errors = 0;
                connector.setpoint.refuse(offer);
                let why = "it answers with errors".to_owned();
                error!(charge_point = %self.plan.id, connector = id.0, "a wallbox answers limits with errors: it is booked at what it can draw");
                self.report(id, Report::Refused { offer, why });
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
            Asked::Limit {
                connector, offer, ..
            } => {
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
            | Asked::Housekeeping => {}
        }
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
                known.watts_only = watts_only(value);
            } else {
                let interval = self.plan.meter_interval;
                self.set_up
                    .configure(now.mono, &entry.key, value, entry.readonly, interval);
            }
        }
        self.remember(known);
    }
}

enum Verdict {
    Took,
    Refused(String),
    None,
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

/// Only power and no current is named. Wallboxes write `Current`, `A`, `Amp`, `Power`, `W`, with
/// commas or semicolons between them; nothing at all means current.
fn watts_only(value: &str) -> bool {
    let mut power = false;
    for word in value
        .split([',', ';'])
        .map(|word| word.trim().to_ascii_lowercase())
    {
        match word.as_str() {
            "power" | "w" | "watt" | "watts" => power = true,
            "" => {}
            _ => return false,
        }
    }
    power
}

#[cfg(test)]
mod tests {
    use super::watts_only;

    #[test]
    fn the_allowed_unit_is_read_in_every_spelling_of_the_field() {
        for amps in [
            "",
            "Current",
            "Current,Power",
            "Power;Current",
            "A",
            "Amp",
            "power, a",
        ] {
            assert!(!watts_only(amps), "{amps:?}");
        }
        for watts in ["Power", "W", " power ", "W,Power", "Power;"] {
            assert!(watts_only(watts), "{watts:?}");
        }
    }
}
