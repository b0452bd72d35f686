//! What the backend commands a wallbox that we play (OCPP 1.6 §5). Smart charging, configuration
//! keys, local list, cache and the link itself are the gateway's and never come here.

use crate::evse::{Order, Outcome};
use crate::ocpp::rpc::CallFailure;
use crate::ocpp::{Action, ErrorCode};

use super::charge_point::{ChargePoint, Context};

impl ChargePoint {
    pub(super) fn obey(&mut self, _context: &mut Context<'_>, order: &Order) -> Outcome {
        let known = Action::ALL.iter().any(|it| it.as_str() == order.action);
        Err(if known {
            CallFailure::new(ErrorCode::NotSupported, "this wallbox cannot do that")
        } else {
            CallFailure::new(ErrorCode::NotImplemented, "nobody here knows this action")
        })
    }
}
