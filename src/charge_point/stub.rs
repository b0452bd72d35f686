//! TEMPORARY
use super::charge_point::{ChargePoint, Context};
use crate::evse::{Deauthorize, Order};
impl ChargePoint {
    /// t
    pub fn handle_deauthorize(&mut self, _: &mut Context<'_>, _: &Deauthorize) {}
    /// t
    pub fn handle_order(&mut self, _: &mut Context<'_>, _: Order) {}
}
