//! Commands of a backend on their way through a wallbox: whom they concern, and what comes back.

use crate::clock::Now;
use crate::evse::{Order, Outcome};
use crate::ids::{ConnectorId, EvseName, IdTag, LinkId, TransactionNumber};
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{
    RemoteStopTransaction, SetChargingProfile, StatusNotification, StopReason,
};
use crate::ocpp::splice::insert;
use crate::ocpp::{ChargePointStatus, ErrorCode};

use super::gateway::Gateway;
use super::io::Output;
use super::keys::Asked;
use super::members::{Member, WHOLE};
use super::obeying::{REJECTED, REMOTE_START};
use super::profiles::Waiting;

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
    RemoteStart(Option<ConnectorId>, IdTag, Waiting),
    /// GetConfiguration: the wallbox's keys are mixed with ours.
    Keys(Asked),
    /// ChangeConfiguration with this payload.
    Key(String),
    /// Its share of a command to several wallboxes.
    Part(u64),
}

/// Whom a command concerns.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
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
pub(super) struct Addressed {
    #[serde(default, deserialize_with = "crate::ocpp::lenient::optional")]
    pub(super) connector_id: Option<ConnectorId>,
}

impl Gateway {
    pub(super) fn relay_as(&mut self, id: &MessageId, action: &str, payload: String, what: What) {
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
            Target::Nobody => self.answer_for_nobody(id, action),
        }
    }

    /// A command for a connector that is not there is well-formed: where its answer has a word for
    /// that, it is no error.
    fn answer_for_nobody(&mut self, id: &MessageId, action: &str) {
        match action {
            REMOTE_START | "ReserveNow" | "ChangeAvailability" | "TriggerMessage" => {
                self.answer(id, REJECTED);
            }
            "UnlockConnector" => self.answer(id, r#"{"status":"NotSupported"}"#),
            _ => {
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

    pub(super) fn order(
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
        if action == "ReserveNow" {
            self.note_reserving(self.next_order, &evse, &payload);
        }
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
    pub(super) fn target(&self, action: &str, payload: &str) -> Target {
        if action == "RemoteStopTransaction" {
            let meant = self.meant_transaction(payload);
            let known = meant.and_then(|number| self.transactions.get(number));
            let member = known.and_then(|known| self.members.at(&known.address, known.connector));
            return member.map_or(Target::Nobody, |it| Target::Evse(it.plan.evse.clone()));
        }
        let named = serde_json::from_str::<Addressed>(payload).ok();
        let named = named.and_then(|named| named.connector_id);
        // Nobody starts on the charge point as a whole, and it has no cable.
        let needs_one = matches!(action, REMOTE_START | "UnlockConnector");
        if needs_one && named == Some(WHOLE) && self.members.are_emulated() {
            return Target::Nobody;
        }
        let primary = self.members.primary().map(|it| it.plan.evse.clone());
        let member = match named {
            Some(connector) if connector != WHOLE => self.members.numbered(connector),
            _ => self.members.single(),
        };
        match (member, primary) {
            // A wallbox has connectors that are no EVSEs of ours: it answers for them.
            (_, Some(primary)) if self.members.shows_whole() => Target::Whole(primary),
            (Some(member), _) => Target::Evse(member.plan.evse.clone()),
            (None, _) if named.is_none() && action == REMOTE_START => self.free_one(),
            (None, Some(primary)) if named.is_none_or(|it| it == WHOLE) => Target::Evse(primary),
            (None, _) => Target::Nobody,
        }
    }

    /// Where a start that names no connector goes: to a car that waits, else to a free connector,
    /// else to a reserved one.
    fn free_one(&self) -> Target {
        let waits = self.standing(ChargePointStatus::Preparing).next();
        let free = || self.standing(ChargePointStatus::Available).next();
        // It may be reserved for this very tag: it knows.
        let reserved = || self.standing(ChargePointStatus::Reserved).next();
        let member = waits.or_else(free).or_else(reserved);
        member.map_or(Target::Nobody, |it| Target::Evse(it.plan.evse.clone()))
    }

    /// Those that can be reached and said this of themselves last.
    pub(super) fn standing(&self, status: ChargePointStatus) -> impl Iterator<Item = &Member> {
        let said = move |member: &Member| {
            let said = member.status.as_ref()?;
            Some(
                serde_json::from_str::<StatusNotification>(said)
                    .ok()?
                    .status,
            )
        };
        let members = self.members.iter().filter(|member| member.online);
        members.filter(move |member| said(member) == Some(status))
    }

    /// A backend that sees one connector need not name it; a wallbox with two must be told.
    fn name_connector(&self, evse: &EvseName, action: &str, payload: String) -> String {
        let takes_one = matches!(action, REMOTE_START | "TriggerMessage");
        let named = serde_json::from_str::<Addressed>(&payload).ok();
        let is_named = named.is_some_and(|named| named.connector_id.is_some());
        let Some(member) = self.members.named(evse).filter(|_| takes_one && !is_named) else {
            return payload;
        };
        let number = member.connector.to_string();
        insert(&payload, "connectorId", &number).unwrap_or(payload)
    }

    pub(super) fn meant_transaction(&self, payload: &str) -> Option<TransactionNumber> {
        let said = serde_json::from_str::<RemoteStopTransaction>(payload).ok()?;
        Some(self.transactions.called(said.transaction_id)?.0)
    }

    fn profiled_transaction(&self, payload: &str) -> Option<TransactionNumber> {
        let said = serde_json::from_str::<SetChargingProfile>(payload).ok()?;
        let id = said.cs_charging_profiles.transaction_id?;
        Some(self.transactions.called(id)?.0)
    }

    /// Ends every transaction that this backend has, also if we are restarted meanwhile.
    pub(super) fn stop_all(&mut self, reason: StopReason) {
        let open: Vec<TransactionNumber> = self.transactions.open().map(|it| it.0).collect();
        for number in open {
            if let Some(known) = self.transactions.get_mut(number) {
                known.ended_as.get_or_insert(reason);
            }
        }
        self.remember_ended();
        self.order_ends();
    }

    pub(super) fn remember_ended(&mut self) {
        let ended = self.transactions.ended();
        self.remember("ended", &ended);
    }

    /// Has those stopped that we ended; nobody waits for the answers.
    pub(super) fn order_ends(&mut self) {
        let open = self.transactions.open();
        let ended: Vec<_> = open
            .filter(|(_, known)| known.ended_as.is_some())
            .filter_map(|(number, known)| {
                let member = self.members.at(&known.address, known.connector)?;
                Some((number, member.plan.evse.clone()))
            })
            .collect();
        for (number, evse) in ended {
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
        self.settle_reserving(order, &outcome);
        let Some(ordered) = self.orders.remove(&order) else {
            return;
        };
        if let What::RemoteStart(connector, tag, before) = &ordered.what {
            let accepted = outcome
                .as_ref()
                .is_ok_and(|payload| payload.contains("Accepted"));
            if accepted {
                self.vouch(now.mono, tag.clone());
            } else {
                self.profiles.restore(*connector, before);
                self.profiles_changed(now);
            }
        }
        if let What::Part(parts) = ordered.what {
            self.take_part(parts, outcome);
            return;
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
