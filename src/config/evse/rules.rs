//! Rules between one `[[evse]]` and another, and what they refer to.

use std::collections::BTreeMap;

use super::super::gateway;
use super::super::names::Names;
use super::super::problem::{Report, Span};
use super::super::value::{At, Value};
use super::{Device, Entry, Evse};

/// Checks that circuits and meters exist, and that no meter is that of two EVSEs: each would seem
/// to draw what both draw.
pub(in crate::config) fn check_references(
    report: &Report<'_>,
    entries: &[Entry],
    circuits: &Names,
    meters: &Names,
) {
    let mut measures: BTreeMap<&str, &Span> = BTreeMap::new();
    for entry in entries {
        if let Some(circuit) = entry.circuit.given() {
            circuits.check(report, circuit, &circuit.span);
        }
        if let Some(meter) = entry.meter.given()
            && !matches!(meter.as_str(), "evse" | "none")
        {
            meters.check(report, meter, &meter.span);
            let first = *measures.entry(meter.as_str()).or_insert(&entry.header);
            if first != &entry.header {
                let line = report.line_of(first);
                let what = format!("this is the meter of the EVSE in line {line} already");
                report.problem(
                    &meter.span,
                    what,
                    "give each EVSE a meter of its own, or leave meter out",
                );
            }
        }
    }
}

/// Checks that every connector and every Modbus unit is one EVSE, and that the connectors of one
/// wallbox agree in what the wallbox has only once.
pub(in crate::config) fn check_addresses(report: &Report<'_>, entries: &[Entry]) {
    for (i, later) in entries.iter().enumerate() {
        let (Some(evse), Some(address)) = (&later.evse, later.address.given()) else {
            continue;
        };
        for earlier in entries.iter().take(i) {
            let Some(other) = earlier
                .evse
                .as_ref()
                .filter(|it| is_same(&it.device, &evse.device))
            else {
                continue;
            };
            check_profiles(report, earlier, later);
            check_profiles(report, later, earlier);
            if let Some((span, what, remedy)) = clash(earlier, other, later, evse, address) {
                let line = report.line_of(&earlier.header);
                report.problem(span, format!("{what} the EVSE in line {line}"), remedy);
                break;
            }
        }
    }
}

/// Checks that no charge point is OCPP wallboxes and Power Brains where nothing is limited here:
/// the backend's limits would go to the ones and end here for the others.
pub(in crate::config) fn check_mixing(report: &Report<'_>, entries: &[Entry], observe: bool) {
    let is_ocpp = |entry: &Entry| Some(matches!(entry.evse.as_ref()?.device, Device::Ocpp(_)));
    for (i, later) in entries.iter().enumerate().filter(|_| observe) {
        let (Some(kind), Some(gateway)) = (is_ocpp(later), &later.gateway) else {
            continue;
        };
        let other = entries.iter().take(i).find_map(|it| {
            let theirs = it
                .gateway
                .as_ref()
                .filter(|it| gateway::is_same(it, gateway));
            theirs.filter(|_| is_ocpp(it).is_some_and(|it| it != kind))
        });
        if let Some(other) = other {
            let line = report.line_of(&other.span);
            let what = format!(
                "in observe mode an OCPP wallbox and a Power Brain cannot be one charge point, as \
                 with the url and client-id in line {line}"
            );
            let remedy = "give each a client-id of its own, or write load-management = \"control\"";
            report.problem(&gateway.span, what, remedy);
        }
    }
}

/// Checks that a connector is not limited by what limits its neighbour too.
fn check_profiles(report: &Report<'_>, entry: &Entry, neighbour: &Entry) {
    if let Some(span) = &entry.limits_all {
        let line = report.line_of(&neighbour.header);
        let what = format!("charge-point-max would limit the EVSE in line {line} too");
        let remedy =
            "leave profile out, or write \"tx-default\" or \"tx\": these limit one connector";
        report.problem(span, what, remedy);
    }
}

type Clash<'a> = (&'a Span, &'static str, &'static str);

fn clash<'a>(
    earlier: &Entry,
    other: &Evse,
    later: &'a Entry,
    evse: &Evse,
    address: &'a At<String>,
) -> Option<Clash<'a>> {
    if other.device != evse.device {
        let what = "this ChargeBox ID differs only in upper and lower case from that of";
        return Some((
            &address.span,
            what,
            "write both alike; a wallbox may use either",
        ));
    }
    if other.id == evse.id
        && !matches!(
            (&later.id, &earlier.id),
            (Value::Broken, _) | (_, Value::Broken)
        )
    {
        let what = "address and id are those of";
        let span = later.id.given().map_or(&address.span, |id| &id.span);
        return Some((
            span,
            what,
            "give each connector an [[evse]] with an id of its own",
        ));
    }
    if let (Device::Ocpp(_), Some(a), Some(b)) = (&evse.device, &other.password, &evse.password)
        && a != b
    {
        let what = "the password differs from that of";
        return Some((
            &later.header,
            what,
            "a wallbox has one password for all its connectors",
        ));
    }
    None
}

fn is_same(a: &Device, b: &Device) -> bool {
    match (a, b) {
        (Device::Ocpp(a), Device::Ocpp(b)) => a.as_str().eq_ignore_ascii_case(b.as_str()),
        (Device::PowerBrain(a), Device::PowerBrain(b)) => a == b,
        (Device::Ocpp(_), Device::PowerBrain(_)) | (Device::PowerBrain(_), Device::Ocpp(_)) => {
            false
        }
    }
}
