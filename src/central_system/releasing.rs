//! How a wallbox is handed back clean (OCPP 1.6 §5.5).

use std::collections::VecDeque;

use serde_json::value::RawValue;
use tracing::warn;

use crate::clock::Mono;
use crate::evse::Limit;
use crate::ids::{ConnectorId, OfferNumber};
use crate::ocpp::charging_profile::{ChargingProfilePurpose, ChargingRateUnit};
use crate::ocpp::messages::{
    self, Acceptance, ClearChargingProfile, ClearChargingProfileResponse,
    ClearChargingProfileStatus, GetCompositeSchedule, GetCompositeScheduleResponse,
};
use crate::ocpp::rpc::CallFailure;
use crate::units::MilliAmps;

use super::asking::Asked;
use super::limiting::Told;
use super::profile::Shape;
use super::setpoint::Direction;
use super::station::{Context, Station};

/// What is asked of the wallbox to find out whether a release worked: the next seconds are enough.
const LOOK_AHEAD_S: i64 = 60;

/// A release on its way: everything that limits the connector is cleared.
#[derive(Debug)]
pub(super) struct Release {
    offer: OfferNumber,
    stages: VecDeque<Stage>,
    /// The wallbox said that it had something to clear.
    cleared: bool,
}

#[derive(Debug)]
enum Stage {
    Clear(ClearChargingProfile),
    /// Nothing was cleared, or something is left: the hardware's maximum is set instead.
    Maximum,
    Verify,
}

impl Station {
    /// Takes the next stage of a release. A connector is cleared alone as long as a neighbour is
    /// limited; what governs the whole wallbox only when nobody is.
    pub(super) fn ask_release(
        &mut self,
        context: &mut Context<'_>,
        id: ConnectorId,
        offer: OfferNumber,
    ) {
        let alone = self.connectors.iter().all(|(other, connector)| {
            *other == id || connector.plan.is_none() || connector.setpoint.wants_release()
        });
        let (Some(shape), Some(terms)) = (self.shape(id), self.terms(context, id)) else {
            return;
        };
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(max) = connector.plan.as_ref().map(|plan| plan.max) else {
            return;
        };
        let everywhere = connector.told_everywhere;
        let release = connector
            .release
            .take()
            .filter(|release| release.offer == offer)
            .unwrap_or_else(|| Release::new(offer, id, alone, everywhere));
        let release = connector.release.insert(release);
        let asked = Asked::Release {
            connector: id,
            offer,
        };
        match release.stages.front() {
            Some(Stage::Clear(request)) => {
                let request = request.clone();
                self.note_told(id, None);
                self.call(context, &request, asked, false);
            }
            Some(Stage::Maximum) => {
                let told = Told {
                    offer,
                    limit: Limit::Released,
                    amps: max,
                    shape,
                    renew_at: None,
                };
                self.tell(context, told, &terms, Direction::Raises);
            }
            Some(Stage::Verify) => {
                let request = GetCompositeSchedule {
                    connector_id: id,
                    duration: LOOK_AHEAD_S,
                    charging_rate_unit: None,
                };
                self.call(context, &request, asked, false);
            }
            None => self.took(context.now.mono, id, (offer, Limit::Released), None),
        }
    }

    /// The wallbox answered a stage of a release.
    pub(super) fn handle_release_answer(
        &mut self,
        now: Mono,
        id: ConnectorId,
        offer: OfferNumber,
        result: Result<&RawValue, CallFailure>,
    ) {
        let voltage = self.plan.voltage;
        let Some(connector) = self.connectors.get_mut(&id) else {
            return;
        };
        let Some(plan) = &connector.plan else { return };
        let Some(release) = connector.release.as_mut().filter(|r| r.offer == offer) else {
            return;
        };
        match release.stages.pop_front() {
            Some(Stage::Clear(_)) => {
                let answer = result
                    .ok()
                    .and_then(|raw| messages::parse::<ClearChargingProfileResponse>(raw).ok());
                release.cleared |=
                    answer.is_some_and(|a| a.status == ClearChargingProfileStatus::Accepted);
                if release.stages.is_empty() {
                    let last = if release.cleared {
                        Stage::Verify
                    } else {
                        Stage::Maximum
                    };
                    release.stages.push_back(last);
                }
            }
            Some(Stage::Verify) => {
                let left = result
                    .ok()
                    .and_then(|raw| limit_left(raw, plan.phases, voltage.0));
                if left.is_some_and(|left| left < plan.max) {
                    warn!(charge_point = %self.plan.id, connector = id.0, "something still limits a released connector: its maximum is set");
                    release.stages.push_back(Stage::Maximum);
                }
            }
            Some(Stage::Maximum) | None => {}
        }
        let done = release.stages.is_empty();
        // Whatever a wallbox made of it: the neighbours' limits are told again.
        for (other, connector) in &mut self.connectors {
            if *other != id && done && !connector.setpoint.wants_release() {
                connector.setpoint.forget();
            }
        }
        if done {
            self.took(now, id, (offer, Limit::Released), None);
        }
    }
}

impl Release {
    fn new(offer: OfferNumber, id: ConnectorId, alone: bool, everywhere: bool) -> Self {
        let nothing = ClearChargingProfile::default;
        let of = |purpose| ClearChargingProfile {
            connector_id: Some(id),
            charging_profile_purpose: Some(purpose),
            ..nothing()
        };
        let others = Shape::ids_of_everywhere(id);
        let others = others.into_iter().filter(|_| everywhere);
        let ours = Shape::ids(id).into_iter().chain(others);
        let ours = ours.map(|id| ClearChargingProfile {
            id: Some(id),
            ..nothing()
        });
        let mut stages: VecDeque<_> = ours.collect();
        stages.push_back(of(ChargingProfilePurpose::TxProfile));
        stages.push_back(of(ChargingProfilePurpose::TxDefaultProfile));
        if alone {
            stages.push_back(ClearChargingProfile {
                charging_profile_purpose: Some(ChargingProfilePurpose::ChargePointMaxProfile),
                ..nothing()
            });
            stages.push_back(nothing());
        }
        let stages = stages.into_iter().map(Stage::Clear).collect();
        Self {
            offer,
            stages,
            cleared: false,
        }
    }
}

/// What a composite schedule allows now. Its later periods are nonsense on some wallboxes.
fn limit_left(raw: &RawValue, phases: u8, millivolts: i32) -> Option<MilliAmps> {
    let answer = messages::parse::<GetCompositeScheduleResponse>(raw).ok()?;
    let schedule = answer
        .charging_schedule
        .filter(|_| answer.status == Acceptance::Accepted)?;
    let period = schedule.charging_schedule_period.first()?;
    Some(match schedule.charging_rate_unit {
        ChargingRateUnit::Amperes => period.limit.amps(),
        ChargingRateUnit::Watts => {
            let phases = period.number_phases.unwrap_or(i64::from(phases)).max(1);
            let microamps = i64::from(period.limit.watts().0) * 1_000_000
                / (i64::from(millivolts.max(1)) * phases);
            MilliAmps(i32::try_from(microamps).unwrap_or(i32::MAX))
        }
    })
}
