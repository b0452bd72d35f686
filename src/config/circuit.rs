//! `[[circuit]]`: supply segments behind fuses, as one tree.

use super::names::Names;
use super::problem::{Report, Span};
use super::reader::{Bounds, Section};
use super::value::{At, Value};
use crate::ids::CircuitName;
use crate::units::{MilliAmps, Watts};

/// `[[circuit]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Circuit {
    /// Unique.
    pub name: CircuitName,
    /// `None` for the root.
    pub parent: Option<CircuitName>,
    /// The fuse, per phase.
    pub max_current: MilliAmps,
    /// Over all phases.
    pub max_power: Option<Watts>,
    /// Per phase, never given out.
    pub reserve: MilliAmps,
    /// Name of the meter whose reading, less what the EVSEs draw, is the house load.
    pub meter: Option<String>,
    /// Per phase for all EVSEs below, while the meter is stale.
    pub failsafe_current: MilliAmps,
    /// Between phases, caused by one- and two-phase charging.
    pub max_asymmetry: Option<MilliAmps>,
    /// For the EVSEs below while the limit signal is on.
    pub limit_signal: Option<Watts>,
}

/// A circuit whose place in the tree is not judged yet.
pub(super) struct Entry {
    pub(super) name: Value<String>,
    pub(super) meter: Value<String>,
    parent: Value<String>,
    header: Span,
    circuit: Circuit,
}

/// Reads every `[[circuit]]`.
pub(super) fn read(file: &mut Section<'_>) -> Vec<Entry> {
    file.tables("circuit", "[[circuit]]")
        .into_iter()
        .map(read_one)
        .collect()
}

fn read_one(mut section: Section<'_>) -> Entry {
    let s = &mut section;
    let name = s.text(
        "name",
        "write the name that it has in the status, for example \"house\"",
    );
    let parent = s.text(
        "parent",
        "write the name of the circuit that feeds this one",
    );
    let max_current = s.amps(
        "max-current",
        "write the rating of the fuse in A per phase, for example max-current = 63",
        Bounds::Positive(10_000.0),
    );
    let meter = s.text("meter", "write the name of a [[meter]]");
    let reserve = s.amps(
        "reserve",
        "write how much of each phase is never given out, in A, less than max-current",
        Bounds::Between(0.0, 10_000.0),
    );
    not_above(s, &reserve, &max_current, "reserve is above max-current");
    let failsafe = s.amps(
        "failsafe-current",
        "write what all EVSEs below may draw together while the meter is silent, in A per phase",
        Bounds::Between(0.0, 10_000.0),
    );
    // A house load moves between two readings of its meter.
    let default_reserve = match meter {
        Value::Absent => MilliAmps::ZERO,
        Value::Broken | Value::Given(_) => MilliAmps::from_amps(1),
    };
    let trouble = "failsafe-current is above max-current";
    not_above(s, &failsafe, &max_current, trouble);
    let (max_power, max_asymmetry, limit_signal) = read_limits(s);

    let circuit = Circuit {
        name: CircuitName::from(name.clone().option().unwrap_or_default().as_str()),
        parent: parent.given().map(|at| CircuitName::from(at.as_str())),
        max_current: max_current.or(MilliAmps::ZERO),
        max_power,
        reserve: reserve.or(default_reserve),
        meter: meter.clone().option(),
        failsafe_current: failsafe.or(MilliAmps::ZERO),
        max_asymmetry,
        limit_signal,
    };
    let header = section.header.clone();
    section.finish(&["name", "max-current"]);
    Entry {
        name,
        meter,
        parent,
        header,
        circuit,
    }
}

fn read_limits(s: &mut Section<'_>) -> (Option<Watts>, Option<MilliAmps>, Option<Watts>) {
    let power = s.watts(
        "max-power",
        "write the limit over all phases in W, for example 43000",
        Bounds::Positive(1e9),
    );
    let asymmetry = s.amps(
        "max-asymmetry",
        "write the largest difference between phases in A, for example 20",
        Bounds::Positive(10_000.0),
    );
    let signal = s.watts(
        "limit-signal",
        "write the limit for all EVSEs below in W, for example 4200",
        Bounds::Between(0.0, 1e9),
    );
    (power.option(), asymmetry.option(), signal.option())
}

fn not_above(s: &Section<'_>, lower: &Value<MilliAmps>, upper: &Value<MilliAmps>, what: &str) {
    if let (Some(lower), Some(upper)) = (lower.given(), upper.given())
        && lower.value > upper.value
    {
        let remedy = format!("write at most {}, or raise max-current", upper.value);
        s.report.problem(&lower.span, what, remedy);
    }
}

/// Checks that the circuits form one tree; returns them with parents before their children and
/// otherwise in the order of the file.
pub(super) fn tree(report: &Report<'_>, names: &Names, entries: Vec<Entry>) -> Vec<At<Circuit>> {
    if entries.is_empty() {
        let remedy = "describe the main fuse: [[circuit]], name = \"house\", max-current = 63";
        report.problem(&(0..0), "there is no [[circuit]]", remedy);
    }
    let mut roots = entries.iter().filter(|entry| entry.parent.is_absent());
    if let Some(root) = roots.next() {
        let root = &root.circuit.name;
        for second in roots {
            let name = &second.circuit.name;
            let what = format!("{name} has no parent, but {root} is the root already");
            report.problem(&second.header, what, format!("add parent = \"{root}\""));
        }
    }
    for entry in &entries {
        if let Some(parent) = entry.parent.given() {
            names.check(report, parent, &parent.span);
        }
    }
    in_tree_order(report, entries)
}

fn in_tree_order(report: &Report<'_>, mut waiting: Vec<Entry>) -> Vec<At<Circuit>> {
    let mut placed: Vec<At<Circuit>> = Vec::new();
    let is_placed = |placed: &[At<Circuit>], parent: &Option<CircuitName>| {
        parent.is_none()
            || placed
                .iter()
                .any(|circuit| Some(&circuit.name) == parent.as_ref())
    };
    while let Some(next) = waiting
        .iter()
        .position(|e| is_placed(&placed, &e.circuit.parent))
    {
        let Entry {
            circuit, header, ..
        } = waiting.remove(next);
        placed.push(At {
            value: circuit,
            span: header,
        });
    }
    // Who still waits hangs in a ring or below one, or names a parent that does not exist, which
    // has been reported.
    let parent_of = |name: &CircuitName| {
        let mut with_name = waiting.iter().filter(|entry| entry.circuit.name == *name);
        with_name
            .next()
            .and_then(|entry| entry.circuit.parent.clone())
    };
    let mut in_known_ring: Vec<CircuitName> = Vec::new();
    for entry in &waiting {
        let name = &entry.circuit.name;
        let steps = std::iter::successors(parent_of(name), parent_of).take(waiting.len());
        let ring: Vec<CircuitName> = steps.collect();
        if in_known_ring.contains(name) || !ring.contains(name) {
            continue;
        }
        let what = format!("the parents of {name} lead back to {name}");
        let span = entry.parent.span_or(&entry.header);
        report.problem(
            &span,
            what,
            "leave out the parent of the circuit that is the main fuse",
        );
        in_known_ring.extend(ring);
    }
    placed
}
