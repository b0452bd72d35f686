//! What the bench does in the place of a backend.

use super::*;

impl Bench {
    pub(super) fn order(&mut self, action: &str, payload: &Value) -> Outcome {
        self.order_about(None, action, &payload.to_string())
    }

    pub(super) fn order_about(
        &mut self,
        transaction: Option<TransactionNumber>,
        action: &str,
        payload: &str,
    ) -> Outcome {
        let id = self.outcomes.len();
        let order = Order {
            id: 7,
            evse: Some("P".into()),
            transaction,
            action: action.to_owned(),
            payload: payload.to_owned(),
        };
        self.act(|it, context| it.handle_order(context, &order));
        assert_eq!(self.outcomes.len(), id + 1, "one answer to {action}");
        let outcome = self.outcomes[id].clone();
        if let Ok(said) = &outcome {
            let id = format!("order-{id}");
            self.schema
                .received(&json!([2, id, action, {}]).to_string());
            let said: Value = serde_json::from_str(said).unwrap();
            self.schema.sent(&json!([3, id, said]).to_string());
        }
        outcome
    }

    /// The status that an order is answered with.
    pub(super) fn ordered(&mut self, action: &str, payload: &Value) -> String {
        let said = self.order(action, payload).expect("a CALLRESULT");
        let said: Value = serde_json::from_str(&said).unwrap();
        said["status"].as_str().expect("a status").to_owned()
    }

    /// The code of the CALLERROR that an order is answered with.
    pub(super) fn refusal(&mut self, action: &str, payload: &str) -> ErrorCode {
        let outcome = self.order_about(None, action, payload);
        outcome.expect_err("a CALLERROR").code
    }

    /// Stops its transaction as the backend would; says the status of the answer.
    pub(super) fn remote_stop(&mut self, transaction: TransactionNumber) -> String {
        let payload = json!({"transactionId": transaction.0}).to_string();
        let said = self.order_about(Some(transaction), "RemoteStopTransaction", &payload);
        let said: Value = serde_json::from_str(&said.unwrap()).unwrap();
        said["status"].as_str().unwrap().to_owned()
    }
}
