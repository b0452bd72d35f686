//! TEMPORARY
use crate::clock::Now;
use crate::evse::{AuthorizationStatus, Outcome, Verdict};
use crate::ids::{EvseName, IdTag, TransactionNumber};
use crate::ocpp::frame::MessageId;
use crate::ocpp::messages::IdTagInfo;
use serde_json::value::RawValue;

use super::gateway::Gateway;

impl Gateway {
    pub(super) fn learn(&mut self, _now: Now, _tag: &IdTag, _info: &IdTagInfo) {}
    pub(super) fn knows_as_accepted(&self, _now: Now, _tag: &IdTag) -> bool {
        false
    }
    pub(super) fn judge_offline(&self, _now: Now, _tag: &IdTag, evses: &[EvseName]) -> Verdict {
        let ok = evses
            .iter()
            .filter_map(|e| self.members.named(e))
            .any(|m| m.plan.offline_unknown_tags);
        if ok {
            Verdict::ACCEPTED
        } else {
            Verdict {
                status: AuthorizationStatus::Invalid,
                ..Verdict::ACCEPTED
            }
        }
    }
    pub(super) fn get_configuration(&mut self, id: &MessageId, payload: &RawValue) {
        self.relay(id, "GetConfiguration", payload)
    }
    pub(super) fn change_configuration(&mut self, _now: Now, id: &MessageId, payload: &RawValue) {
        self.relay(id, "ChangeConfiguration", payload)
    }
    pub(super) fn remember_list(&mut self) {}
    pub(super) fn remember_cache(&mut self) {}
    pub(super) fn answer_keys(&mut self, id: &MessageId, _r: &str, o: Outcome) {
        if let Ok(p) = o {
            self.answer(id, &p)
        }
    }
    pub(super) fn stop_for_reset(&mut self, _n: TransactionNumber) {}
}
