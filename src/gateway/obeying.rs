//! What a backend wants, and who answers (OCPP 1.6 §5): limits, keys, tag lists and the status are
//! answered here; what concerns the wallbox itself is carried out there.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{debug, info};

use crate::clock::Now;
use crate::ids::{ConnectorId, IdTag};
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{self, MessageTrigger, Reset, ResetType, StopReason, TriggerMessage};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::splice::{is_unambiguous, without};
use crate::ocpp::{Action, ErrorCode};

use super::commands;
use super::gateway::Gateway;
use super::io::Context;
use super::members::WHOLE;
use super::ordering::{Addressed, Target, What};
use super::security::is_of_security;

pub(super) const REMOTE_START: &str = "RemoteStartTransaction";
pub(super) const REJECTED: &str = r#"{"status":"Rejected"}"#;
pub(super) const ACCEPTED: &str = r#"{"status":"Accepted"}"#;
pub(super) const NOT_IMPLEMENTED: &str = r#"{"status":"NotImplemented"}"#;

/// The wallbox has so long to stop its transaction before a charge point that was reset comes back.
const RESET_AFTER: Duration = Duration::from_secs(5);

impl Gateway {
    /// Carries out a CALL of the backend and answers it, now or when the wallbox has answered.
    pub(super) fn obey(
        &mut self,
        context: &mut Context<'_>,
        id: &MessageId,
        action: &str,
        payload: &RawValue,
    ) {
        let now = context.now;
        let known = |it: &&Action| it.as_str().eq_ignore_ascii_case(action.trim());
        if Action::ALL
            .iter()
            .find(known)
            .is_some_and(|it| it.as_str() != action)
        {
            // Some wallbox might understand it, and what ends here must not reach it.
            self.refuse(id, ErrorCode::NotImplemented, "actions are case-sensitive");
            return;
        }
        if !is_unambiguous(payload.get()) {
            self.refuse(id, ErrorCode::FormationViolation, "a member is there twice");
            return;
        }
        if (self.members.are_emulated() || is_of_security(action))
            && let Err(error) = commands::check(action, payload)
        {
            self.refuse(id, error.code, &error.what);
            return;
        }
        debug!(
            client_id = self.plan.client_id,
            action, "the backend commands"
        );
        if is_of_security(action) || (action == "GetLog" && self.uploads_log()) {
            self.serve_security(context, id, action, payload);
            return;
        }
        if self.decline(id, action) {
            return;
        }
        let accepted = self.registration.is_accepted();
        let resets = self.reset_at.is_some();
        match action {
            "RemoteStartTransaction" | "RemoteStopTransaction" if !accepted || resets => {
                self.answer(id, REJECTED);
            }
            "SetChargingProfile" | "ClearChargingProfile" | "GetCompositeSchedule"
                if self.is_verbatim() =>
            {
                self.relay(id, action, payload);
            }
            "SetChargingProfile" => {
                let outlets = self.outlets(context);
                let answer = self.profiles.set(now.wall, payload, &outlets);
                self.settle(id, answer);
                self.profiles_changed(now);
            }
            "ClearChargingProfile" => {
                let answer = self.profiles.clear(payload);
                self.settle(id, answer);
                self.profiles_changed(now);
            }
            "GetCompositeSchedule" => {
                let outlets = self.outlets(context);
                let answer = self.profiles.composite(now.wall, payload, &outlets);
                self.settle(id, answer);
            }
            "RemoteStartTransaction" => self.remote_start(context, id, payload),
            "RemoteStopTransaction" => self.remote_stop(id, payload),
            "GetConfiguration" => self.get_configuration(id, payload),
            "ChangeConfiguration" => self.change_configuration(now, id, payload),
            "SendLocalList" => {
                let flags = self.keys.offline_flags();
                let answer = self.tags.list.send(payload, flags);
                self.settle(id, answer);
                self.remember_list();
            }
            "GetLocalListVersion" => {
                let answer = self.tags.list.version(self.keys.offline_flags());
                self.answer(id, &answer);
            }
            // The wallbox is not this backend's alone.
            "ClearCache" if !self.plan.leads => {
                let alone = self.tags.cache.clear(self.keys.offline_flags());
                self.remember_cache();
                self.answer(id, &alone);
            }
            "ClearCache" => {
                let alone = self.tags.cache.clear(self.keys.offline_flags());
                self.remember_cache();
                self.relay_or(id, action, payload, &alone);
            }
            "TriggerMessage" => self.trigger(now, id, payload),
            "Reset" => self.reset(context, id, payload),
            "ChangeAvailability" if self.means_several(payload) => self.change_all(id, payload),
            "ReserveNow" if self.means_several(payload) => self.reserve_any(id, payload),
            "CancelReservation" if self.is_several() => self.cancel_reservation(id, payload),
            _ => self.relay(id, action, payload),
        }
    }

    /// Answers what is not done for this backend, or not here; says whether.
    fn decline(&mut self, id: &MessageId, action: &str) -> bool {
        match action {
            "GetDiagnostics" if !self.plan.leads => self.answer(id, "{}"),
            "GetLog" | "SignedUpdateFirmware" if !self.plan.leads => self.answer(id, REJECTED),
            // A Modbus wallbox is updated on site.
            "GetLog" | "SignedUpdateFirmware" if self.members.are_emulated() => {
                self.answer(id, REJECTED);
            }
            "UpdateFirmware" if !self.relays_firmware() => {
                self.refuse(
                    id,
                    ErrorCode::NotSupported,
                    "firmware is not updated by backends here",
                );
            }
            "SignedUpdateFirmware" if !self.plan.allow_firmware => self.answer(id, REJECTED),
            _ => return false,
        }
        true
    }

    fn relays_firmware(&self) -> bool {
        self.plan.allow_firmware && self.plan.leads && !self.members.are_emulated()
    }

    /// Connector 0 of a charge point that is several wallboxes.
    fn means_several(&self, payload: &RawValue) -> bool {
        let said = messages::parse::<Addressed>(payload);
        said.is_ok_and(|it| it.connector_id == Some(WHOLE)) && self.is_several()
    }

    fn is_several(&self) -> bool {
        !self.members.shows_whole() && self.members.single().is_none()
    }

    pub(super) fn answer(&mut self, id: &MessageId, payload: &str) {
        let frame = self.rpc.answer(id, payload);
        self.send(frame);
    }

    pub(super) fn refuse(&mut self, id: &MessageId, code: ErrorCode, why: &str) {
        let frame = self.rpc.refuse(id, &CallFailure::new(code, why));
        self.send(frame);
    }

    pub(super) fn settle(&mut self, id: &MessageId, answer: Result<String, messages::ViewError>) {
        match answer {
            Ok(payload) => self.answer(id, &payload),
            Err(error) => self.refuse(id, error.code, &error.what),
        }
    }

    /// The wallbox carries it out and answers.
    pub(super) fn relay(&mut self, id: &MessageId, action: &str, payload: &RawValue) {
        self.relay_as(id, action, payload.get().to_owned(), What::Relay);
    }

    /// Where the wallbox is away, `alone` is the answer.
    fn relay_or(&mut self, id: &MessageId, action: &str, payload: &RawValue, alone: &str) {
        if self.reaches_wallbox() {
            self.relay(id, action, payload);
        } else {
            self.answer(id, alone);
        }
    }

    /// Somebody is there to carry out a command.
    pub(super) fn reaches_wallbox(&self) -> bool {
        let mut members = self.members.iter();
        members.any(|member| member.online && member.plan.is_ocpp)
    }

    /// The profile stays here, for the transaction that comes.
    fn remote_start(&mut self, context: &mut Context<'_>, id: &MessageId, payload: &RawValue) {
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct RemoteStart<'a> {
            #[serde(default, deserialize_with = "crate::ocpp::lenient::optional")]
            connector_id: Option<ConnectorId>,
            #[serde(default, deserialize_with = "crate::ocpp::lenient::optional")]
            id_tag: Option<IdTag>,
            #[serde(borrow, default)]
            charging_profile: Option<&'a RawValue>,
        }
        let now = context.now;
        if self.is_verbatim() {
            self.relay(id, REMOTE_START, payload);
            return;
        }
        // What cannot be read may hold a profile that would overrule the local limit.
        let said = match messages::parse::<RemoteStart<'_>>(payload) {
            Ok(said) => said,
            Err(error) => return self.refuse(id, error.code, &error.what),
        };
        let tag = said.id_tag.clone().unwrap_or_else(|| IdTag::from(""));
        let single = self.members.single().map(|member| member.connector);
        let connector = said.connector_id.or(single);
        if self.target(REMOTE_START, payload.get()) == Target::Nobody {
            self.answer(id, REJECTED);
            return;
        }
        let before = self.profiles.waiting(connector);
        let Some(profile) = said.charging_profile else {
            self.profiles.forget_remote_start(connector);
            let what = What::RemoteStart(connector, tag, before);
            self.relay_as(id, REMOTE_START, payload.get().to_owned(), what);
            return;
        };
        let until = now.wall + self.keys.connection_time_out();
        let outlets = self.outlets(context);
        let kept = self
            .profiles
            .remote_start(until, connector, &tag, profile, &outlets);
        match kept {
            Err(error) => self.refuse(id, error.code, &error.what),
            Ok(messages::Acceptance::Rejected) => self.answer(id, REJECTED),
            Ok(messages::Acceptance::Accepted) => {
                self.profiles_changed(now);
                let bare = without(payload.get(), "chargingProfile");
                let bare = bare.unwrap_or_else(|| payload.get().to_owned());
                let what = What::RemoteStart(connector, tag, before);
                self.relay_as(id, REMOTE_START, bare, what);
            }
        }
    }

    fn remote_stop(&mut self, id: &MessageId, payload: &RawValue) {
        if self.meant_transaction(payload.get()).is_none() && !self.members.shows_whole() {
            self.answer(id, REJECTED);
            return;
        }
        match self.target("RemoteStopTransaction", payload.get()) {
            // Its stop may be on its way to the backend.
            Target::Nobody => self.answer(id, REJECTED),
            Target::Whole(_) | Target::Evse(_) => {
                self.relay(id, "RemoteStopTransaction", payload);
            }
        }
    }

    pub(super) fn trigger(&mut self, now: Now, id: &MessageId, payload: &RawValue) {
        let said = match messages::parse::<TriggerMessage>(payload) {
            Ok(said) => said,
            Err(_) if self.members.are_emulated() => {
                self.answer(id, NOT_IMPLEMENTED);
                return;
            }
            Err(_) => return self.relay(id, "TriggerMessage", payload),
        };
        match said.requested_message {
            MessageTrigger::BootNotification => {
                self.answer(id, ACCEPTED);
                self.boot_now(now.mono);
            }
            MessageTrigger::Heartbeat => {
                self.answer(id, ACCEPTED);
                self.beat_now();
            }
            MessageTrigger::StatusNotification => match said.connector_id {
                Some(connector) if connector != WHOLE => {
                    if self.members.numbered(connector).is_some() {
                        self.answer(id, ACCEPTED);
                        self.trigger_status([connector]);
                    } else {
                        self.answer(id, REJECTED);
                    }
                }
                _ => {
                    self.answer(id, ACCEPTED);
                    let connectors = self.members.iter().map(|it| it.connector);
                    let all: Vec<_> = connectors.chain([WHOLE]).collect();
                    self.trigger_status(all);
                }
            },
            MessageTrigger::MeterValues
                if said.connector_id.is_none_or(|it| it == WHOLE) && self.is_several() =>
            {
                self.trigger_all(id, payload);
            }
            MessageTrigger::MeterValues
            | MessageTrigger::DiagnosticsStatusNotification
            | MessageTrigger::FirmwareStatusNotification => {
                self.relay(id, "TriggerMessage", payload);
            }
        }
    }

    /// A wallbox that is shown as a whole is reset; of any other only what this backend sees: its
    /// transactions end, and the charge point comes back.
    fn reset(&mut self, context: &mut Context<'_>, id: &MessageId, payload: &RawValue) {
        let wallboxes: std::collections::BTreeSet<_> =
            self.members.iter().map(|it| &it.plan.address).collect();
        let has_one = wallboxes.len() == 1 && !self.plan.shares_wallbox;
        if self.members.shows_whole() || (has_one && !self.members.are_emulated()) {
            self.relay(id, "Reset", payload);
            return;
        }
        let reason = match messages::parse::<Reset>(payload) {
            Ok(Reset {
                kind: ResetType::Hard,
            }) => StopReason::HardReset,
            Ok(Reset {
                kind: ResetType::Soft,
            }) => StopReason::SoftReset,
            Err(error) => return self.refuse(id, error.code, &error.what),
        };
        info!(
            client_id = self.plan.client_id,
            "the backend resets a charge point that is no wallbox of its own: its transactions end"
        );
        // First: the answer is a promise.
        self.stop_all(reason);
        self.answer(id, ACCEPTED);
        self.reset_at.get_or_insert(context.now.mono + RESET_AFTER);
    }
}
