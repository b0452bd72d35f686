//! Reservations of a wallbox that we play (OCPP 1.6 §5.13, §5.2).

use super::charge_point::ChargePoint;

impl ChargePoint {
    /// It is kept for somebody.
    pub(super) fn is_reserved(&self) -> bool {
        false
    }
}
