//! `ChangeAvailability` of a wallbox that we play (OCPP 1.6 §5.2).

use super::charge_point::ChargePoint;

impl ChargePoint {
    /// A car may charge here as far as the backend's `ChangeAvailability` goes.
    pub(super) fn is_operative(&self) -> bool {
        !self.memory.known.inoperative
    }
}
