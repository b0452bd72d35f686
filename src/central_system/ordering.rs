//! Commands of backends: carried out one after the other, each answered exactly once, and in time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::value::RawValue;
use tracing::debug;

use crate::clock::Mono;
use crate::evse::{Order, Outcome};
use crate::ids::ConnectorId;
use crate::ocpp::ErrorCode;
use crate::ocpp::messages::MessageTrigger;
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::splice::splice;

use super::asking::Asked;
use super::station::{Context, Output, Station};

/// Whoever ordered waits so long for an answer, …
const WITHIN: Duration = Duration::from_secs(25);

/// … and so long where a bank may be asked.
const DATA_TRANSFER_WITHIN: Duration = Duration::from_secs(45);

/// So many commands wait at most.
const MOST: usize = 32;

const REJECTED: &str = r#"{"status":"Rejected"}"#;

const REMOTE_START: &str = "RemoteStartTransaction";
const PROFILE: &str = "csChargingProfiles";

/// A command that is not answered yet.
#[derive(Debug)]
pub(super) struct Held {
    order: Order,
    connector: ConnectorId,
    since: Mono,
    due: Mono,
    /// It is on its way to the wallbox, or was given up there and may still be answered.
    sent: bool,
}

impl Station {
    /// A backend orders; `id` is the connector that it means, 0 the whole wallbox. Exactly one
    /// [`Output::Done`] comes of it.
    pub fn handle_order(&mut self, context: &mut Context<'_>, id: ConnectorId, order: Order) {
        let now = context.now.mono;
        let within = match order.action.as_str() {
            "DataTransfer" => DATA_TRANSFER_WITHIN,
            _ => WITHIN,
        };
        let held = Held {
            order,
            connector: id,
            since: now,
            due: now + within,
            sent: false,
        };
        if self.link.is_none() {
            let outcome = while_away(&held.order.action);
            self.done(&held, outcome);
        } else if self.orders.len() >= MOST {
            self.done(&held, failed("too many commands"));
        } else if self.native(&held).is_none() {
            self.done(&held, Ok(REJECTED.to_owned()));
        } else {
            self.orders.push_back(held);
        }
        self.go_on(context);
    }

    /// Sends the next command; false if there is none.
    pub(super) fn ask_order(&mut self, context: &mut Context<'_>) -> bool {
        while let Some(place) = self.orders.iter().position(|held| !held.sent) {
            let payload = self.orders.get(place).and_then(|held| self.native(held));
            let Some(payload) = payload else {
                // Its transaction ended meanwhile.
                if let Some(held) = self.orders.remove(place) {
                    self.done(&held, Ok(REJECTED.to_owned()));
                }
                continue;
            };
            let Some(held) = self.orders.get_mut(place) else {
                return false;
            };
            held.sent = true;
            let wants_values = asks_for_values(&held.order);
            let connector = held.connector;
            let (asked, action) = (Asked::Order(held.order.id), held.order.action.clone());
            let within = held.due.since(context.now.mono);
            if wants_values {
                self.backend_wants_values(context.now.mono, connector);
            }
            debug!(charge_point = %self.plan.id, action, "a backend's command is passed on");
            self.call_raw(context, (&action, &payload), within, asked, false);
            return true;
        }
        false
    }

    /// Since when a command waits that was not sent.
    pub(super) fn order_waits_since(&self) -> Option<Mono> {
        let mut waiting = self.orders.iter().filter(|held| !held.sent);
        waiting.next().map(|held| held.since)
    }

    /// The wallbox answered a command, in its own words.
    pub(super) fn finish_order(&mut self, id: u64, result: Result<&RawValue, CallFailure>) {
        let place = self.orders.iter().position(|held| held.order.id == id);
        if let Some(held) = place.and_then(|place| self.orders.remove(place)) {
            self.done(&held, result.map(|payload| payload.get().to_owned()));
        }
    }

    /// The connection is gone: no command that waits will be carried out.
    pub(super) fn lose_orders(&mut self) {
        for held in std::mem::take(&mut self.orders) {
            let outcome = while_away(&held.order.action);
            self.done(&held, outcome);
        }
    }

    pub(super) fn expire_orders(&mut self, now: Mono) {
        while let Some(place) = self.orders.iter().position(|held| held.due <= now) {
            if let Some(held) = self.orders.remove(place) {
                self.done(&held, failed("charge point timeout"));
            }
        }
    }

    pub(super) fn orders_expire_at(&self) -> Option<Mono> {
        self.orders.iter().map(|held| held.due).min()
    }

    fn done(&mut self, held: &Held, outcome: Outcome) {
        self.output(Output::Done {
            id: held.order.id,
            outcome,
        });
    }

    /// The payload with the numbers of the wallbox; `None` if it names a transaction that does not
    /// run.
    fn native(&self, held: &Held) -> Option<String> {
        let order = &held.order;
        let transaction = match order.transaction {
            Some(number) => {
                let mut open = self.ledger.open();
                let open = open.find(|open| open.number == number)?;
                Some(open.wallbox_id.to_string())
            }
            None if names_transaction(order) => return None,
            None => None,
        };
        let connector = order.evse.is_some().then(|| held.connector.0.to_string());
        Some(with_numbers(
            order,
            connector.as_deref(),
            transaction.as_deref(),
        ))
    }
}

fn members(json: &str) -> BTreeMap<String, &RawValue> {
    serde_json::from_str(json).unwrap_or_default()
}

/// A transaction is named that the gateway does not know: by its number the wallbox may know
/// another.
fn names_transaction(order: &Order) -> bool {
    let members = members(&order.payload);
    match order.action.as_str() {
        "RemoteStopTransaction" => true,
        "SetChargingProfile" => members
            .get(PROFILE)
            .is_some_and(|profile| profile.get().contains("\"transactionId\"")),
        _ => false,
    }
}

/// Meter values are asked for, as ours are.
fn asks_for_values(order: &Order) -> bool {
    let asked = members(&order.payload).remove("requestedMessage");
    let asked = asked.and_then(|it| serde_json::from_str::<MessageTrigger>(it.get()).ok());
    asked == Some(MessageTrigger::MeterValues)
}

/// Only the numbers change. A remote start without a connector gets the one that is meant: the
/// wallbox may have others that are not this backend's.
fn with_numbers(order: &Order, connector: Option<&str>, transaction: Option<&str>) -> String {
    let payload = &order.payload;
    let members = members(payload);
    let inner = members.get(PROFILE).zip(transaction);
    let profile = inner.and_then(|(it, id)| splice(it.get(), &[("transactionId", id)]));
    let changes = [
        ("connectorId", connector),
        ("transactionId", transaction),
        (PROFILE, profile.as_deref()),
    ];
    let changes: Vec<(&str, &str)> = changes
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect();
    let spliced = splice(payload, &changes).unwrap_or_else(|| payload.clone());
    let is_open = order.action == REMOTE_START && !members.contains_key("connectorId");
    match (connector, spliced.trim_start().strip_prefix('{')) {
        (Some(connector), Some(rest)) if is_open && !members.is_empty() => {
            format!("{{\"connectorId\":{connector},{rest}")
        }
        _ => spliced,
    }
}

/// What is said for a wallbox that is away.
fn while_away(action: &str) -> Outcome {
    let status = match action {
        REMOTE_START
        | "RemoteStopTransaction"
        | "ChangeAvailability"
        | "ChangeConfiguration"
        | "ClearCache"
        | "Reset"
        | "CancelReservation"
        | "DataTransfer"
        | "TriggerMessage"
        | "ExtendedTriggerMessage"
        | "SetChargingProfile"
        | "GetCompositeSchedule"
        | "CertificateSigned"
        | "InstallCertificate"
        | "GetLog"
        | "SignedUpdateFirmware" => REJECTED,
        "UnlockConnector" => r#"{"status":"UnlockFailed"}"#,
        "ReserveNow" => r#"{"status":"Unavailable"}"#,
        "ClearChargingProfile" => r#"{"status":"Unknown"}"#,
        "SendLocalList" | "DeleteCertificate" => r#"{"status":"Failed"}"#,
        "GetDiagnostics" => "{}",
        _ => return failed("charge point offline"),
    };
    Ok(status.to_owned())
}

fn failed(why: &str) -> Outcome {
    Err(CallFailure::new(ErrorCode::InternalError, why))
}
