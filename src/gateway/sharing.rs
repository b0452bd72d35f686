//! Commands that several wallboxes carry out, each its part (OCPP 1.6 §5.1, §5.2, §5.15, §5.17).

use serde_json::value::RawValue;

use crate::evse::Outcome;
use crate::ids::{EvseName, LinkId};
use crate::ocpp::ChargePointStatus;
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::{AvailabilityStatus, ChangeAvailabilityResponse, write};

use super::gateway::Gateway;
use super::obeying::{ACCEPTED, REJECTED};
use super::ordering::What;

/// A command that is not answered by all of them yet.
#[derive(Debug)]
pub(super) struct Parts {
    message: MessageId,
    link: Option<LinkId>,
    /// Still to be answered.
    left: usize,
    answer: Joint,
}

/// What is answered for all of them.
#[derive(Debug)]
enum Joint {
    /// The least of what they said so far.
    Least(AvailabilityStatus),
    /// Yes if one says yes, else this.
    Any(&'static str),
}

impl Joint {
    fn hear(&mut self, outcome: Outcome) {
        let status = outcome.ok().and_then(|said| status_of(&said));
        match self {
            Self::Any(answer) => {
                if status.is_some_and(|it| it.eq_ignore_ascii_case("Accepted")) {
                    *answer = ACCEPTED;
                }
            }
            Self::Least(least) => {
                let said = status.as_deref().and_then(AvailabilityStatus::parse);
                let order = |status| match status {
                    AvailabilityStatus::Rejected => 0,
                    AvailabilityStatus::Scheduled => 1,
                    AvailabilityStatus::Accepted => 2,
                };
                let said = said.unwrap_or(AvailabilityStatus::Rejected);
                if order(said) < order(*least) {
                    *least = said;
                }
            }
        }
    }

    fn payload(&self) -> String {
        match self {
            Self::Any(answer) => (*answer).to_owned(),
            Self::Least(status) => write(&ChangeAvailabilityResponse { status: *status }),
        }
    }
}

impl Gateway {
    /// `ChangeAvailability` of connector 0 where that is several wallboxes, or a part of one.
    pub(super) fn change_all(&mut self, id: &MessageId, payload: &RawValue) {
        let answer = Joint::Least(AvailabilityStatus::Accepted);
        self.order_parts(id, "ChangeAvailability", payload, self.everybody(), answer);
    }

    /// A reservation is cancelled by its number alone: whoever has it knows it.
    pub(super) fn cancel_reservation(&mut self, id: &MessageId, payload: &RawValue) {
        let all = self.everybody();
        self.order_parts(id, "CancelReservation", payload, all, Joint::Any(REJECTED));
    }

    /// Meter values of every connector.
    pub(super) fn trigger_all(&mut self, id: &MessageId, payload: &RawValue) {
        let all = self.everybody();
        self.order_parts(id, "TriggerMessage", payload, all, Joint::Any(REJECTED));
    }

    /// `ReserveNow` of connector 0: any connector will do. Where none is free, the one that has the
    /// reservation of this number takes it anew; nobody else says yes.
    pub(super) fn reserve_any(&mut self, id: &MessageId, payload: &RawValue) {
        let name = |member: &super::members::Member| member.plan.evse.clone();
        let free = self.standing(ChargePointStatus::Available).next().map(name);
        let chosen = match free {
            Some(evse) => vec![evse],
            None => self
                .standing(ChargePointStatus::Reserved)
                .map(name)
                .collect(),
        };
        let taken = Joint::Any(r#"{"status":"Occupied"}"#);
        self.order_parts(id, "ReserveNow", payload, chosen, taken);
    }

    fn everybody(&self) -> Vec<EvseName> {
        self.members.iter().map(|it| it.plan.evse.clone()).collect()
    }

    fn order_parts(
        &mut self,
        id: &MessageId,
        action: &str,
        payload: &RawValue,
        evses: Vec<EvseName>,
        answer: Joint,
    ) {
        if evses.is_empty() {
            self.answer(id, &answer.payload());
            return;
        }
        self.next_order += 1;
        let number = self.next_order;
        let parts = Parts {
            message: id.clone(),
            link: self.connection.link(),
            left: evses.len(),
            answer,
        };
        self.parts.insert(number, parts);
        for evse in evses {
            let (payload, what) = (payload.get().to_owned(), What::Part(number));
            self.order(id, evse, true, action, payload, what);
        }
    }

    /// One of several has answered; the last one brings the answer of all.
    pub(super) fn take_part(&mut self, number: u64, outcome: Outcome) {
        let Some(parts) = self.parts.get_mut(&number) else {
            return;
        };
        parts.left -= 1;
        parts.answer.hear(outcome);
        if parts.left > 0 {
            return;
        }
        if let Some(parts) = self.parts.remove(&number)
            && parts.link == self.connection.link()
        {
            self.answer(&parts.message, &parts.answer.payload());
        }
    }
}

fn status_of(payload: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Said {
        #[serde(default, deserialize_with = "crate::ocpp::lenient::optional")]
        status: Option<String>,
    }
    serde_json::from_str::<Said>(payload).ok()?.status
}
