//! Names are unique, and what refers to one finds it.

use std::collections::BTreeMap;

use super::problem::{Report, Span};
use super::suggest;
use super::value::Value;

/// The names of all circuits, of all meters or of all EVSEs.
pub(super) struct Names {
    section: &'static str,
    known: Vec<String>,
    /// A name is missing or broken: a reference may mean that one.
    incomplete: bool,
}

impl Names {
    /// Reports every name that is used twice.
    pub(super) fn collect<'a>(
        report: &Report<'_>,
        section: &'static str,
        names: impl IntoIterator<Item = &'a Value<String>>,
    ) -> Self {
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        let mut incomplete = false;
        for name in names {
            let Some(at) = name.given() else {
                incomplete = true;
                continue;
            };
            let Some(first) = seen.get(at.as_str()) else {
                seen.insert(at.as_str(), at.span.clone());
                continue;
            };
            let what = format!("there is another {section} named \"{}\"", at.value);
            let line = report.line_of(first);
            let remedy = format!("rename this one, or the one in line {line}");
            report.problem(&at.span, what, remedy);
        }
        Self {
            section,
            known: seen.into_keys().map(str::to_owned).collect(),
            incomplete,
        }
    }

    /// Reports a reference to a name that nobody has; returns whether it can be relied on.
    pub(super) fn check(&self, report: &Report<'_>, name: &str, span: &Span) -> bool {
        if self.known.iter().any(|known| known == name) {
            return true;
        }
        if !self.incomplete {
            let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
            let what = format!("there is no {} named \"{name}\"", self.section);
            let remedy = match suggest::closest(name, &known) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if known.is_empty() => format!("add a {} with this name", self.section),
                None => format!("write one of: {}", known.join(", ")),
            };
            report.problem(span, what, remedy);
        }
        false
    }
}
