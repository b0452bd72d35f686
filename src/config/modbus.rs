//! `address` of a Modbus device: `host:port`, or a serial line.

use super::problem::Report;
use super::value::Value;
pub(super) use crate::modbus::host_and_port;
pub use crate::modbus::{Address as ModbusAddress, Parity};

const REMEDY: &str = "write \"host:port\", for example \"192.168.1.50:502\", or a serial line such \
                      as \"/dev/ttyUSB0,9600,8,n,1\"";

/// Judges the `address` of a section.
pub(super) fn read(report: &Report<'_>, address: &Value<String>) -> Option<ModbusAddress> {
    let at = address.given()?;
    let parsed = ModbusAddress::parse(&at.value);
    if parsed.is_none() {
        let what = format!("\"{}\" is no address of a Modbus device", at.value);
        report.problem(&at.span, what, REMEDY);
    }
    parsed
}
