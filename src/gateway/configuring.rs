//! GetConfiguration and ChangeConfiguration of a charge point that is two: the gateway and the
//! wallbox (OCPP 1.6 §5.3, §5.8).

use serde_json::value::RawValue;

use crate::clock::Now;
use crate::evse::Outcome;
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{ConfigurationStatus, Measurand};
use crate::units::Phase;

use super::gateway::Gateway;
use super::keys::{Asked, Change, Keys, KeysPlan, Metering};
use super::members::{Member, Members};
use super::ordering::What;
use super::plan::GatewayPlan;

impl Gateway {
    pub(super) fn get_configuration(&mut self, id: &MessageId, payload: &RawValue) {
        let asked = match self.keys.plan_get(payload) {
            Ok(asked) => asked,
            Err(error) => return self.refuse(id, error.code, &error.what),
        };
        let reachable = self.reaches_wallbox();
        match asked.of_wallbox.clone().filter(|_| reachable) {
            Some(payload) => self.order_primary(id, "GetConfiguration", payload, What::Keys(asked)),
            None => self.answer_keys(id, &asked, None),
        }
    }

    /// The wallbox said what it knows, or did not.
    pub(super) fn answer_keys(&mut self, id: &MessageId, asked: &Asked, outcome: Option<Outcome>) {
        let said = outcome.and_then(Result::ok);
        let said = said.and_then(|said| RawValue::from_string(said).ok());
        let before = self.keys.memory();
        let answer = self.keys.merge_get(asked, said.as_deref());
        if self.keys.memory() != before {
            self.remember_keys();
        }
        self.answer(id, &answer);
    }

    pub(super) fn change_configuration(&mut self, now: Now, id: &MessageId, payload: &RawValue) {
        match self.keys.change(now.wall, payload) {
            Err(error) => self.refuse(id, error.code, &error.what),
            Ok(Change::Answered(answer)) => {
                self.remember_keys();
                self.answer(id, &answer);
                self.tell_metering();
            }
            Ok(Change::Password(answer)) => {
                self.remember_keys();
                self.answer(id, &answer);
                self.connection.new_password();
                self.reconfigured(now, "AuthorizationKey");
            }
            Ok(Change::Profile(profile)) => {
                let status = self.raise_profile(now, profile);
                self.remember_keys();
                self.answer(id, &Keys::answer(status));
            }
            Ok(Change::Metering(Metering::Measurands(list))) if !are_measurands(&list) => {
                let answer = Keys::answer(ConfigurationStatus::Rejected);
                self.answer(id, &answer);
            }
            Ok(Change::Metering(metering)) => {
                self.keys.keep(metering);
                self.remember_keys();
                self.tell_metering();
                let answer = Keys::answer(ConfigurationStatus::Accepted);
                self.answer(id, &answer);
            }
            // The wallbox is not this backend's alone.
            Ok(Change::Relay) if !self.plan.leads => {
                let answer = Keys::answer(ConfigurationStatus::Rejected);
                self.answer(id, &answer);
            }
            Ok(Change::Relay) => {
                let request = payload.get().to_owned();
                let what = What::Key(request.clone());
                self.order_primary(id, "ChangeConfiguration", request, what);
            }
        }
    }

    /// The wallbox told its keys to us.
    pub(super) fn take_keys(&mut self, answer: &str) {
        if let Ok(answer) = serde_json::from_str::<&RawValue>(answer) {
            self.keys.learn(answer);
            self.remember_keys();
        }
    }

    /// The wallbox took a value, or did not.
    pub(super) fn note_key(&mut self, request: &str, answer: &str) {
        let raw = |text: &str| RawValue::from_string(text.to_owned()).ok();
        if let (Some(request), Some(answer)) = (raw(request), raw(answer)) {
            self.keys.relayed(&request, &answer);
            self.remember_keys();
        }
    }
}

/// What is known of an identity before its backend sets anything.
pub(super) fn keys_plan(plan: &GatewayPlan, members: &Members) -> KeysPlan {
    let played = || members.iter().filter(|it| !it.plan.is_ocpp);
    let asked = members.primary().map(|it| &it.plan.address);
    let numbers = members
        .iter()
        .filter(|it| it.plan.is_ocpp && Some(&it.plan.address) == asked);
    KeysPlan {
        emulated: members.are_emulated(),
        connectors: members.iter().map(|it| it.connector.0).max().unwrap_or(1),
        numbers: numbers
            .map(|it| (it.plan.connector, it.connector))
            .collect(),
        split: plan.shares_wallbox || (!members.are_emulated() && played().next().is_some()),
        rotation: played().map(rotation).collect::<Vec<_>>().join(","),
        switches_phases: members.iter().any(|it| it.plan.wiring.switches_phases),
        offline_unknown_tags: members.iter().any(|it| it.plan.offline_unknown_tags),
        security_profile: plan.security_profile,
        password: plan.password.clone(),
    }
}

/// `1.RST`: how a connector that we play is wired. R, S and T are the grid's L1, L2 and L3.
fn rotation(member: &Member) -> String {
    let letter = |phase: &Phase| match phase {
        Phase::L1 => 'R',
        Phase::L2 => 'S',
        Phase::L3 => 'T',
    };
    let word = match member.plan.rotation {
        _ if member.plan.wiring.phases == 1 => "NotApplicable".to_owned(),
        Some(order) => order.iter().map(letter).collect(),
        None => "Unknown".to_owned(),
    };
    format!("{}.{word}", member.connector)
}

/// Names that OCPP 1.6 knows (§7.32), with or without a phase: `Voltage`, `Voltage.L1-N`.
fn are_measurands(list: &str) -> bool {
    let is_one = |item: &str| {
        let bare = item.rsplit_once('.').map(|(bare, _)| bare);
        Measurand::parse(item).is_some() || bare.is_some_and(|it| Measurand::parse(it).is_some())
    };
    list.split(',').filter(|it| !it.is_empty()).all(is_one)
}
