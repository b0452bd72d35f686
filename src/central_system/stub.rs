//! TEMPORARY
use super::station::{Context, Station};
use crate::evse::{Deauthorize, Metering, Order};
use crate::ids::ConnectorId;
impl Station {
    /// t
    pub fn handle_metering(&mut self, _: &mut Context<'_>, _: ConnectorId, _: Metering) {}
    /// t
    pub fn handle_deauthorize(&mut self, _: &mut Context<'_>, _: ConnectorId, _: &Deauthorize) {}
    /// t
    pub fn handle_order(&mut self, _: &mut Context<'_>, _: ConnectorId, _: Order) {}
}
