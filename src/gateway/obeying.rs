//! What a backend wants, and who answers (OCPP 1.6 §5): limits, keys, tag lists and the status are
//! answered here; what concerns the wallbox itself is carried out there.

use std::time::Duration;

use serde_json::value::RawValue;
use tracing::{debug, info};

use crate::clock::Now;
use crate::evse::{Order, Outcome};
use crate::ids::{ConnectorId, EvseName, IdTag, LinkId, TransactionNumber};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    self, MessageTrigger, RemoteStopTransaction, Reset, ResetType, SetChargingProfile,
    StatusNotification, StopReason, TriggerMessage,
};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::splice::{insert, is_unambiguous, without};
use crate::ocpp::{Action, ErrorCode};

use super::gateway::Gateway;
use super::io::{Context, Output};
use super::keys::Asked;
use super::members::{Member, WHOLE};

const REMOTE_START: &str = "RemoteStartTransaction";
const REJECTED: &str = r#"{"status":"Rejected"}"#;
const ACCEPTED: &str = r#"{"status":"Accepted"}"#;

/// The wallbox has so long to stop its transaction before a charge point that was reset comes back.
const RESET_AFTER: Duration = Duration::from_secs(5);

/// A command that its wallbox has not answered yet.
#[derive(Debug)]
pub(super) struct Ordered {
    /// To be named in the answer.
    message: MessageId,
    /// Where the command came from: the answer is for nobody else.
    link: Option<LinkId>,
    /// What else depends on the answer.
    what: What,
}

#[derive(Debug)]
pub(super) enum What {
    /// The answer goes back as it is.
    Relay,
    /// A profile may wait for the transaction, and its tag is that of the backend.
    RemoteStart(Option<ConnectorId>, IdTag),
    /// GetConfiguration: the wallbox's keys are mixed with ours.
    Keys(Asked),
    /// ChangeConfiguration with this payload.
    Key(String),
}

/// Whom a command concerns.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    /// The wallbox as a whole; its connectors are shown one to one.
    Whole(EvseName),
    /// One EVSE.
    Evse(EvseName),
    /// A connector that is not there.
    Nobody,
}

/// The members of a command that say whom it concerns.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Addressed {
    #[serde(default, deserialize_with = "crate::ocpp::lenient::optional")]
    connector_id: Option<ConnectorId>,
}

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
        debug!(
            client_id = self.plan.client_id,
            action, "the backend commands"
        );
        let accepted = self.registration.is_accepted();
        match action {
            "RemoteStartTransaction" | "RemoteStopTransaction" if !accepted => {
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
            "GetDiagnostics" if !self.plan.leads => self.answer(id, "{}"),
            "GetLog" | "SignedUpdateFirmware" if !self.plan.leads => self.answer(id, REJECTED),
            "ClearCache" => {
                let alone = self.tags.cache.clear(self.keys.offline_flags());
                self.remember_cache();
                self.relay_or(id, action, payload, &alone);
            }
            "TriggerMessage" => self.trigger(now, id, payload),
            "Reset" => self.reset(context, id, payload),
            "UpdateFirmware" if !(self.plan.allow_firmware && self.plan.leads) => {
                self.refuse(
                    id,
                    ErrorCode::NotSupported,
                    "firmware is not updated by backends here",
                );
            }
            "SignedUpdateFirmware" if !self.plan.allow_firmware => self.answer(id, REJECTED),
            // These concern the charge point's link to its central system, and that link is ours.
            "InstallCertificate"
            | "DeleteCertificate"
            | "GetInstalledCertificateIds"
            | "CertificateSigned"
            | "ExtendedTriggerMessage" => {
                self.refuse(
                    id,
                    ErrorCode::NotImplemented,
                    "certificates are configured on site",
                );
            }
            _ => self.relay(id, action, payload),
        }
    }

    pub(super) fn answer(&mut self, id: &MessageId, payload: &str) {
        let frame = self.rpc.answer(id, payload);
        self.send(frame);
    }

    pub(super) fn refuse(&mut self, id: &MessageId, code: ErrorCode, why: &str) {
        let frame = self.rpc.refuse(id, &CallFailure::new(code, why));
        self.send(frame);
    }

    fn settle(&mut self, id: &MessageId, answer: Result<String, messages::ViewError>) {
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

    fn relay_as(&mut self, id: &MessageId, action: &str, payload: String, what: What) {
        match self.target(action, &payload) {
            Target::Whole(evse) => {
                let single = self.members.single().is_some();
                let payload = if single {
                    self.name_connector(&evse, action, payload)
                } else {
                    payload
                };
                self.order(id, evse, false, action, payload, what);
            }
            Target::Evse(evse) => {
                let payload = self.name_connector(&evse, action, payload);
                self.order(id, evse, true, action, payload, what);
            }
            Target::Nobody if action == "RemoteStartTransaction" => self.answer(id, REJECTED),
            Target::Nobody => {
                let code = ErrorCode::PropertyConstraintViolation;
                self.refuse(id, code, "there is no such connector");
            }
        }
    }

    /// The wallbox that speaks for all carries it out.
    pub(super) fn order_primary(
        &mut self,
        id: &MessageId,
        action: &str,
        payload: String,
        what: What,
    ) {
        let primary = self.members.primary().map(|it| it.plan.evse.clone());
        if let Some(evse) = primary {
            let single = !self.members.shows_whole();
            self.order(id, evse, single, action, payload, what);
        }
    }

    fn order(
        &mut self,
        id: &MessageId,
        evse: EvseName,
        single: bool,
        action: &str,
        payload: String,
        what: What,
    ) {
        let transaction = match action {
            "RemoteStopTransaction" => self.meant_transaction(&payload),
            "SetChargingProfile" => self.profiled_transaction(&payload),
            _ => None,
        };
        self.next_order += 1;
        let ordered = Ordered {
            message: id.clone(),
            link: self.connection.link(),
            what,
        };
        self.orders.insert(self.next_order, ordered);
        let order = Order {
            id: self.next_order,
            evse: single.then(|| evse.clone()),
            transaction,
            action: action.to_owned(),
            payload,
        };
        self.output(Output::Order { evse, order });
    }

    /// Whom a command concerns, by the connector that it names.
    fn target(&self, action: &str, payload: &str) -> Target {
        if action == "RemoteStopTransaction" {
            let meant = self.meant_transaction(payload);
            let known = meant.and_then(|number| self.transactions.get(number));
            let member = known.and_then(|known| self.members.at(&known.address, known.connector));
            return member.map_or(Target::Nobody, |it| Target::Evse(it.plan.evse.clone()));
        }
        let named = serde_json::from_str::<Addressed>(payload).ok();
        let named = named.and_then(|named| named.connector_id);
        let primary = self.members.primary().map(|it| it.plan.evse.clone());
        let member = match named {
            Some(connector) if connector != WHOLE => self.members.numbered(connector),
            _ => self.members.single(),
        };
        match (member, primary) {
            // A wallbox has connectors that are no EVSEs of ours: it answers for them.
            (_, Some(primary)) if self.members.shows_whole() => Target::Whole(primary),
            (Some(member), _) => Target::Evse(member.plan.evse.clone()),
            (None, _) if named.is_none() && action == "RemoteStartTransaction" => self.free_one(),
            (None, Some(primary)) if named.is_none_or(|it| it == WHOLE) => Target::Evse(primary),
            (None, _) => Target::Nobody,
        }
    }

    /// Where a start that names no connector goes: to a car that waits, else to a free connector.
    fn free_one(&self) -> Target {
        let stands = |member: &Member| {
            let said = member.status.as_ref()?;
            Some(
                serde_json::from_str::<StatusNotification>(said)
                    .ok()?
                    .status,
            )
        };
        let wanted = [ChargePointStatus::Preparing, ChargePointStatus::Available];
        let mut found = wanted.iter().filter_map(|wanted| {
            let mut members = self.members.iter().filter(|member| member.online);
            members.find(|member| stands(member) == Some(*wanted))
        });
        let member = found.next();
        member.map_or(Target::Nobody, |it| Target::Evse(it.plan.evse.clone()))
    }

    /// A backend that sees one connector need not name it; a wallbox with two must be told.
    fn name_connector(&self, evse: &EvseName, action: &str, payload: String) -> String {
        let takes_one = matches!(action, "RemoteStartTransaction" | "TriggerMessage");
        let named = serde_json::from_str::<Addressed>(&payload).ok();
        let is_named = named.is_some_and(|named| named.connector_id.is_some());
        let Some(member) = self.members.named(evse).filter(|_| takes_one && !is_named) else {
            return payload;
        };
        let number = member.connector.to_string();
        insert(&payload, "connectorId", &number).unwrap_or(payload)
    }

    fn meant_transaction(&self, payload: &str) -> Option<TransactionNumber> {
        let said = serde_json::from_str::<RemoteStopTransaction>(payload).ok()?;
        Some(self.transactions.called(said.transaction_id)?.0)
    }

    fn profiled_transaction(&self, payload: &str) -> Option<TransactionNumber> {
        let said = serde_json::from_str::<SetChargingProfile>(payload).ok()?;
        let id = said.cs_charging_profiles.transaction_id?;
        Some(self.transactions.called(id)?.0)
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
        let Some(profile) = said.charging_profile else {
            self.profiles.forget_remote_start(connector);
            let what = What::RemoteStart(connector, tag);
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
                let what = What::RemoteStart(connector, tag);
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

    fn trigger(&mut self, now: Now, id: &MessageId, payload: &RawValue) {
        let Ok(said) = messages::parse::<TriggerMessage>(payload) else {
            self.relay(id, "TriggerMessage", payload);
            return;
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
            | MessageTrigger::DiagnosticsStatusNotification
            | MessageTrigger::FirmwareStatusNotification => {
                self.relay(id, "TriggerMessage", payload);
            }
        }
    }

    /// A wallbox that is shown as a whole is reset; of one with other connectors only what this
    /// backend sees: its transaction ends, and the charge point comes back.
    fn reset(&mut self, context: &mut Context<'_>, id: &MessageId, payload: &RawValue) {
        let wallboxes: std::collections::BTreeSet<_> =
            self.members.iter().map(|it| &it.plan.address).collect();
        if self.members.shows_whole() || (wallboxes.len() == 1 && !self.plan.shares_wallbox) {
            self.relay(id, "Reset", payload);
            return;
        }
        self.answer(id, ACCEPTED);
        info!(
            client_id = self.plan.client_id,
            "the backend resets a charge point that shares its wallbox: its transaction ends"
        );
        let hard = messages::parse::<Reset>(payload).is_ok_and(|it| it.kind == ResetType::Hard);
        self.stop_all(if hard {
            StopReason::HardReset
        } else {
            StopReason::SoftReset
        });
        self.reset_at = Some(context.now.mono + RESET_AFTER);
    }

    /// Ends every transaction that this backend has; nobody waits for the answers.
    fn stop_all(&mut self, reason: StopReason) {
        let open = self.transactions.open();
        let open: Vec<_> = open
            .map(|(number, known)| (number, known.address.clone(), known.connector))
            .collect();
        for (number, address, connector) in open {
            let member = self.members.at(&address, connector);
            let Some(evse) = member.map(|member| member.plan.evse.clone()) else {
                continue;
            };
            if let Some(known) = self.transactions.get_mut(number) {
                known.ended_as = Some(reason);
            }
            self.next_order += 1;
            let order = Order {
                id: self.next_order,
                evse: Some(evse.clone()),
                transaction: Some(number),
                action: "RemoteStopTransaction".to_owned(),
                payload: format!(r#"{{"transactionId":{number}}}"#),
            };
            self.output(Output::Order { evse, order });
        }
    }

    /// A device has carried out an order, or not.
    pub(super) fn take_outcome(&mut self, now: Now, order: u64, outcome: Outcome) {
        let Some(ordered) = self.orders.remove(&order) else {
            return;
        };
        if let What::RemoteStart(connector, tag) = &ordered.what {
            let accepted = outcome
                .as_ref()
                .is_ok_and(|payload| payload.contains("Accepted"));
            if accepted {
                self.vouch(now.mono, tag.clone());
            } else {
                self.profiles.forget_remote_start(*connector);
                self.profiles_changed(now);
            }
        }
        if ordered.link != self.connection.link() {
            return;
        }
        match (ordered.what, outcome) {
            (What::Keys(asked), outcome) => {
                self.answer_keys(&ordered.message, &asked, Some(outcome));
            }
            (What::Key(request), Ok(payload)) => {
                self.note_key(&request, &payload);
                self.answer(&ordered.message, &payload);
            }
            (_, Ok(payload)) => self.answer(&ordered.message, &payload),
            (_, Err(failure)) => {
                let frame = self.rpc.refuse(&ordered.message, &failure);
                self.send(frame);
            }
        }
    }
}
