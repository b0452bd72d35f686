//! Transactions that were begun before their backend refused them (OCPP 1.6 §4.8:
//! `StopTransactionOnInvalidId`).

use serde_json::value::RawValue;
use tracing::warn;

use crate::evse::Deauthorize;
use crate::ids::ConnectorId;
use crate::ocpp::messages::{self, Acceptance, Accepted, RemoteStopTransaction};
use crate::ocpp::rpc::CallFailure;

use super::asking::Asked;
use super::connector::Standing;
use super::station::{Context, Station};

/// A wallbox that does not stop is told once more.
const TRIES: u8 = 2;

impl Station {
    /// A transaction gets no current any more, and is stopped if its backend wants that.
    pub fn handle_deauthorize(
        &mut self,
        context: &mut Context<'_>,
        id: ConnectorId,
        said: &Deauthorize,
    ) {
        let open = self.ledger.open_of(id);
        let is_open = open.is_some_and(|open| open.number == said.transaction);
        if let Some(connector) = self.connectors.get_mut(&id).filter(|_| is_open) {
            warn!(charge_point = %self.plan.id, connector = id.0, stop = said.stop, "a backend refuses a transaction that was allowed before");
            connector.standing = Standing::Refused;
            connector.stop_tries = if said.stop { TRIES } else { 0 };
            self.report_demand(id);
        }
        self.go_on(context);
    }

    /// Tells a wallbox to stop a transaction; false if none is to be stopped.
    pub(super) fn ask_stop(&mut self, context: &mut Context<'_>) -> bool {
        let mut waiting = self.connectors.iter().filter(|(_, it)| it.stop_tries > 0);
        let Some(id) = waiting
            .find(|(id, _)| self.knows_transaction(**id))
            .map(|(id, _)| *id)
        else {
            return false;
        };
        let Some(transaction_id) = self.ledger.open_of(id).map(|open| open.wallbox_id) else {
            return false;
        };
        if let Some(connector) = self.connectors.get_mut(&id) {
            connector.stop_tries -= 1;
        }
        let request = RemoteStopTransaction { transaction_id };
        self.call(context, &request, Asked::Stop(id), false);
        true
    }

    /// The wallbox will stop, or not.
    pub(super) fn handle_stop_answer(
        &mut self,
        id: ConnectorId,
        result: Result<&RawValue, CallFailure>,
    ) {
        let answer = result
            .ok()
            .and_then(|raw| messages::parse::<Accepted>(raw).ok());
        let stops = answer.is_some_and(|answer| answer.status == Acceptance::Accepted);
        if let Some(connector) = self.connectors.get_mut(&id).filter(|_| stops) {
            connector.stop_tries = 0;
        }
    }

    /// The connection was lost before the answer.
    pub(super) fn stop_again(&mut self, id: ConnectorId) {
        let is_open = self.ledger.open_of(id).is_some();
        if let Some(connector) = self.connectors.get_mut(&id).filter(|_| is_open) {
            connector.stop_tries = connector.stop_tries.max(1);
        }
    }
}
