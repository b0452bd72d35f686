//! `address` of a Modbus device: `host:port`, or a serial line.

use std::collections::BTreeMap;

use super::problem::{Report, Span};
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

/// Checks that all devices on a serial line speak alike: two settings would be two who open it,
/// and the second cannot.
pub(super) fn check_lines<'a>(
    report: &Report<'_>,
    devices: impl IntoIterator<Item = (&'a ModbusAddress, &'a Span)>,
) {
    let mut seen: BTreeMap<&str, (&ModbusAddress, &Span)> = BTreeMap::new();
    for (address, span) in devices {
        let ModbusAddress::Serial { device, .. } = address else {
            continue;
        };
        let (first, at) = *seen.entry(device).or_insert((address, span));
        if first != address {
            let line = report.line_of(at);
            let what = format!("{device} has other settings in line {line}");
            let remedy = format!("set all devices on it alike, and write \"{first}\" here too");
            report.problem(span, what, remedy);
        }
    }
}
