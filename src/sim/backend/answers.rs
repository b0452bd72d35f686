//! What a backend makes of the CALLs of its charge points.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;
use serde_json::value::RawValue;

use super::book::Kind;
use super::ledger::Event;
use super::plan::{DataTransferAnswer, TransactionIds};
use super::wire::{Answer, Call, Refusal};
use super::{Backend, BackendQuirk, PATIENCE};
use crate::clock::Now;
use crate::ids::{ChargeBoxId, IdTag, LinkId};
use crate::ocpp::messages::{
    AuthorizationStatus, AuthorizeResponse, BootNotificationResponse, HeartbeatResponse, IdTagInfo,
    RegistrationStatus, StartTransactionResponse, StopTransactionResponse, write,
};
use crate::ocpp::{Action, ErrorCode};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BootNotification {
    #[serde(rename = "chargePointVendor")]
    _vendor: String,
    #[serde(rename = "chargePointModel")]
    _model: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Authorize {
    id_tag: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusNotification {
    #[serde(rename = "connectorId")]
    _connector: u32,
    #[serde(rename = "errorCode")]
    _error: String,
    #[serde(rename = "status")]
    _status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StartTransaction {
    #[serde(rename = "connectorId")]
    _connector: u32,
    id_tag: String,
    #[serde(rename = "meterStart")]
    _meter_start: i64,
    #[serde(rename = "timestamp")]
    _timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MeterValues {
    #[serde(rename = "connectorId")]
    _connector: u32,
    #[serde(rename = "transactionId")]
    _transaction: Option<i64>,
    #[serde(rename = "meterValue")]
    _meter_value: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StopTransaction {
    #[serde(rename = "transactionId")]
    _transaction: i64,
    #[serde(rename = "meterStop")]
    _meter_stop: i64,
    #[serde(rename = "timestamp")]
    _timestamp: String,
    id_tag: Option<String>,
}

#[derive(Deserialize)]
struct DataTransfer<'a> {
    #[serde(rename = "vendorId")]
    _vendor: String,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// A message of a transaction: which, and the number of the transaction.
type Part = (Kind, Option<i64>);

impl Backend {
    pub(super) fn called(
        &mut self,
        now: Now,
        link: LinkId,
        client_id: &ChargeBoxId,
        call: &Call<'_>,
    ) {
        let payload = call.payload.get();
        let event = Event::Call {
            id: call.id.clone(),
            action: call.action.clone(),
            payload: payload.to_owned(),
        };
        self.record(now, client_id, event);
        self.judge(now, link, client_id, call);
        let part = part_of_transaction(call);
        if let Some((kind, id)) = part {
            self.ledger.book().received(client_id, kind, id, payload);
        }
        if self.plan.has(BackendQuirk::NeverAnswers) {
            return;
        }
        let result = self.decide(now, link, client_id, call, part.is_some());
        let answer = Answer {
            id: call.id.clone(),
            action: call.action.clone(),
            question: payload.to_owned(),
            result,
        };
        if part.is_some() && self.loses(client_id, &answer) {
            let action = answer.action;
            self.record(now, client_id, Event::LostAnswer { action });
        } else if self.plan.has(BackendQuirk::LateAnswers) {
            let due = now.mono + self.plan.lateness;
            if let Some(link) = self.links.get_mut(&link) {
                link.late.push_back((due, answer));
            }
        } else {
            self.answer(now, link, &answer);
        }
    }

    pub(super) fn send_late_answers(&mut self, now: Now, id: LinkId) {
        while let Some((_, answer)) = self
            .links
            .get_mut(&id)
            .and_then(|link| link.late.pop_front_if(|(due, _)| *due <= now.mono))
        {
            self.answer(now, id, &answer);
        }
    }

    fn answer(&mut self, now: Now, id: LinkId, answer: &Answer) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        let client_id = link.client_id.clone();
        link.unanswered.take_if(|(call, _)| *call == answer.id);
        if answer.result.is_ok()
            && let Some(kind) = kind(&answer.action)
        {
            let book = self.ledger.book();
            book.answered(&client_id, kind, &answer.question);
        }
        let event = Event::Answer {
            action: answer.action.clone(),
            outcome: answer.outcome(),
        };
        self.record(now, &client_id, event);
        self.send(id, answer.text());
    }

    /// One CALL at a time (OCPP-J 1.6 §4.1.1).
    fn judge(&mut self, now: Now, link: LinkId, client_id: &ChargeBoxId, call: &Call<'_>) {
        let Some(link) = self.links.get_mut(&link) else {
            return;
        };
        let before = link.unanswered.replace((call.id.clone(), now.mono));
        if before.is_some_and(|(_, since)| now.mono.since(since) < PATIENCE) {
            let action = &call.action;
            let complaint = format!("{action} was sent while another CALL is unanswered");
            self.complain(now, client_id, complaint);
        }
    }

    fn decide(
        &mut self,
        now: Now,
        link: LinkId,
        client_id: &ChargeBoxId,
        call: &Call<'_>,
        in_transaction: bool,
    ) -> Result<String, Refusal> {
        let action = Action::from_name(&call.action).filter(|it| it.from_charge_point());
        let Some(action) = action else {
            return Err(Refusal::new(ErrorCode::NotImplemented, ""));
        };
        if action == Action::BootNotification {
            let _: BootNotification = self.read(now, client_id, call)?;
            return Ok(self.register(now, link, client_id));
        }
        if !self.is_welcome(link, client_id, &call.action) {
            let complaint = format!("{action} was sent before BootNotification was accepted");
            self.complain(now, client_id, complaint);
            return Err(Refusal::new(ErrorCode::SecurityError, "not accepted yet"));
        }
        if in_transaction && self.fails(client_id, call.payload.get()) {
            return Err(Refusal::new(ErrorCode::InternalError, "try again"));
        }
        match action {
            Action::Authorize => {
                let asked: Authorize = self.read(now, client_id, call)?;
                Ok(write(&AuthorizeResponse {
                    id_tag_info: self.verdict(now, &asked.id_tag),
                }))
            }
            Action::Heartbeat => Ok(write(&HeartbeatResponse {
                current_time: now.wall,
            })),
            Action::StatusNotification => {
                let _: StatusNotification = self.read(now, client_id, call)?;
                Ok(nothing())
            }
            Action::StartTransaction => {
                let start: StartTransaction = self.read(now, client_id, call)?;
                Ok(self.start(now, client_id, call.payload.get(), &start.id_tag))
            }
            Action::MeterValues => {
                let _: MeterValues = self.read(now, client_id, call)?;
                Ok(nothing())
            }
            Action::StopTransaction => {
                let stop: StopTransaction = self.read(now, client_id, call)?;
                let id_tag_info = stop.id_tag.map(|tag| self.verdict(now, &tag));
                Ok(write(&StopTransactionResponse { id_tag_info }))
            }
            Action::DataTransfer => {
                let sent: DataTransfer<'_> = self.read(now, client_id, call)?;
                Ok(self.transfer(sent.data))
            }
            Action::SignCertificate => Err(Refusal::new(ErrorCode::NotSupported, "")),
            // What is only told needs no other answer.
            _ => Ok(nothing()),
        }
    }

    /// Reads a payload, strictly in what it needs.
    fn read<'a, T: Deserialize<'a>>(
        &mut self,
        now: Now,
        client_id: &ChargeBoxId,
        call: &Call<'a>,
    ) -> Result<T, Refusal> {
        let payload: &'a RawValue = call.payload;
        serde_json::from_str(payload.get()).map_err(|error| {
            let why = error.to_string();
            self.complain(now, client_id, format!("{}: {why}", call.action));
            let code = if why.starts_with("missing field") {
                ErrorCode::OccurenceConstraintViolation
            } else {
                ErrorCode::TypeConstraintViolation
            };
            Refusal::new(code, why)
        })
    }

    fn register(&mut self, now: Now, link: LinkId, client_id: &ChargeBoxId) -> String {
        let charge_point = self.charge_points.entry(client_id.clone()).or_default();
        let first = *charge_point.first_boot.get_or_insert(now.mono);
        let hesitates = now.mono.since(first) < self.plan.hesitation;
        let status = if hesitates && self.plan.has(BackendQuirk::PendingAtFirst) {
            RegistrationStatus::Pending
        } else if hesitates && self.plan.has(BackendQuirk::RejectsAtFirst) {
            RegistrationStatus::Rejected
        } else {
            self.plan.boot
        };
        charge_point.registration = Some(status);
        charge_point.triggered.clear();
        if let Some(link) = self.links.get_mut(&link) {
            link.booted = true;
        }
        let interval = match status {
            RegistrationStatus::Accepted => self.plan.heartbeat_interval,
            RegistrationStatus::Pending | RegistrationStatus::Rejected => self.plan.retry_interval,
        };
        write(&BootNotificationResponse {
            status,
            current_time: now.wall,
            interval: i64::try_from(interval.as_secs()).unwrap_or(i64::MAX),
        })
    }

    /// Whether a CALL that is no BootNotification may come now (OCPP 1.6 §4.2).
    fn is_welcome(&mut self, link: LinkId, client_id: &ChargeBoxId, action: &str) -> bool {
        let booted = self.links.get(&link).is_some_and(|link| link.booted);
        let Some(charge_point) = self.charge_points.get_mut(client_id) else {
            return false;
        };
        match charge_point.registration {
            Some(RegistrationStatus::Accepted) => booted || self.plan.remembers_boots,
            Some(RegistrationStatus::Pending) => {
                let mut triggered = charge_point.triggered.iter();
                triggered.any(|message| message == action)
            }
            Some(RegistrationStatus::Rejected) | None => false,
        }
    }

    fn verdict(&self, now: Now, tag: &str) -> IdTagInfo {
        let known = self.plan.tags.get(&IdTag::from(tag));
        let mut verdict = known.unwrap_or(&self.plan.unknown_tags).clone();
        let over = verdict.expiry_date.is_some_and(|expiry| expiry <= now.wall);
        if over && verdict.status == AuthorizationStatus::Accepted {
            verdict.status = AuthorizationStatus::Expired;
        }
        verdict
    }

    /// A StartTransaction that came before has the number that it had.
    fn start(&mut self, now: Now, client_id: &ChargeBoxId, payload: &str, tag: &str) -> String {
        let charge_point = self.charge_points.entry(client_id.clone()).or_default();
        let id = match charge_point.numbers.get(payload) {
            Some(id) => *id,
            None => match self.plan.transaction_ids {
                TransactionIds::Always(id) => id,
                TransactionIds::From(first) => {
                    let id = first.wrapping_add(self.transactions);
                    self.transactions += 1;
                    id
                }
            },
        };
        charge_point.numbers.insert(payload.to_owned(), id);
        self.ledger.book().numbered(client_id, payload, id);
        let mut id_tag_info = self.verdict(now, tag);
        if self.plan.has(BackendQuirk::InvalidStarts) {
            id_tag_info.status = AuthorizationStatus::Invalid;
        }
        write(&StartTransactionResponse {
            id_tag_info,
            transaction_id: id,
        })
    }

    fn transfer(&self, data: Option<&RawValue>) -> String {
        match (&self.plan.data_transfer, data) {
            (DataTransferAnswer::Status(status), _) => json!({"status": status}).to_string(),
            (DataTransferAnswer::Payload(payload), _) => payload.clone(),
            (DataTransferAnswer::Echo, None) => r#"{"status":"Accepted"}"#.to_owned(),
            (DataTransferAnswer::Echo, Some(data)) => {
                format!(r#"{{"status":"Accepted","data":{}}}"#, data.get())
            }
        }
    }

    fn fails(&mut self, client_id: &ChargeBoxId, payload: &str) -> bool {
        let quirk = BackendQuirk::FailsTransactions;
        self.plan.has(quirk) && self.count(quirk, client_id, payload) <= self.plan.failures
    }

    fn loses(&mut self, client_id: &ChargeBoxId, answer: &Answer) -> bool {
        let quirk = BackendQuirk::LosesAnswers;
        self.plan.has(quirk)
            && answer.result.is_ok()
            && self.count(quirk, client_id, &answer.question) == 1
    }

    /// How often a transaction message met with a quirk, now included.
    fn count(&mut self, quirk: BackendQuirk, client_id: &ChargeBoxId, payload: &str) -> u32 {
        let charge_point = self.charge_points.entry(client_id.clone()).or_default();
        let message = (quirk, payload.to_owned());
        let count = charge_point.troubled.entry(message).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

fn nothing() -> String {
    "{}".to_owned()
}

fn kind(action: &str) -> Option<Kind> {
    match action {
        "StartTransaction" => Some(Kind::Start),
        "MeterValues" => Some(Kind::Meter),
        "StopTransaction" => Some(Kind::Stop),
        _ => None,
    }
}

/// MeterValues belong to a transaction only where they name one.
fn part_of_transaction(call: &Call<'_>) -> Option<Part> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Number {
        transaction_id: Option<i64>,
    }
    let kind = kind(&call.action)?;
    let number: Option<Number> = serde_json::from_str(call.payload.get()).ok();
    let id = number.and_then(|number| number.transaction_id);
    (kind != Kind::Meter || id.is_some()).then_some((kind, id))
}
