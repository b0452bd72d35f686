//! When a wallbox that we play sends meter values (OCPP 1.6 §4.7).

use crate::clock::Now;

use super::charge_point::ChargePoint;

impl ChargePoint {
    /// `TriggerMessage` asked for meter values: those of `MeterValuesSampledData`, as they are.
    pub(super) fn send_triggered_values(&mut self, _now: Now) {}
}
