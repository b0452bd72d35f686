//! What the answers of a wallbox to our CALLs tell.

use serde_json::value::RawValue;
use tracing::{debug, warn};

use crate::clock::{Mono, Now};
use crate::ocpp::messages::{
    self, ChangeConfigurationResponse, ConfigurationStatus, GetConfigurationResponse,
};
use crate::ocpp::rpc::CallFailure;

use super::asking::Asked;
use super::relaying::WHOLE;
use super::set_up::{Known, RateUnits};
use super::station::{Context, Station};

impl Station {
    /// The wallbox answered a CALL of ours.
    pub(super) fn handle_answer(
        &mut self,
        context: &mut Context<'_>,
        asked: Asked,
        result: Result<&RawValue, CallFailure>,
    ) {
        let now = context.now;
        match asked {
            Asked::AllKeys => match self.keys_of(result) {
                Some(keys) if !keys.configuration_key.is_empty() => self.learn_keys(now, &keys),
                _ => self.set_up.keys_one_by_one(now.mono),
            },
            Asked::Key => {
                if let Some(keys) = self.keys_of(result) {
                    self.learn_keys(now, &keys);
                }
            }
            Asked::MeasurandList => {
                if !accepted_change(result) {
                    self.set_up.try_other_measurands(now.mono);
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
            Asked::Values(id) => self.handle_values_answer(now.mono, id, result),
            Asked::Housekeeping => {}
            Asked::Order(id) => self.finish_order(id, result),
            Asked::Stop(id) => self.handle_stop_answer(id, result),
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
            Asked::Values(_) => self.sends_no_values(),
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
            | Asked::Order(_)
            | Asked::Stop(_)
            | Asked::Housekeeping => {}
        }
    }

    /// What it took of the measurands that we want is asked for first from now on.
    pub(super) fn remember_measurands(&mut self) {
        let measurands = self.set_up.known_measurands();
        let known = Known {
            measurands,
            ..self.known.clone()
        };
        self.remember(known);
    }

    /// The keys of the wallbox; its backends hear them, too: they decide by some of them.
    fn keys_of(
        &mut self,
        result: Result<&RawValue, CallFailure>,
    ) -> Option<GetConfigurationResponse> {
        let raw = result.ok()?;
        self.notice(WHOLE, "GetConfiguration", raw);
        messages::parse(raw).ok()
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
                let sampling = self.sampling(known.measurands.as_deref());
                let key = (entry.key.as_str(), value, entry.readonly);
                self.set_up.configure(now.mono, key, &sampling);
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
