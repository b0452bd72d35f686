//! `[authorization]`: who may charge at EVSEs without a backend.

use jiff::Timestamp;
use toml::de::DeValue;

use super::names::Names;
use super::problem::Span;
use super::reader::Section;
use super::value::Value;
use crate::ids::{EvseName, IdTag};
use crate::site::{AuthorizationMode, AuthorizationPlan, TagPlan};

/// Longest id tag (`CiString20Type`, OCPP 1.6 §7.28).
pub(super) const TAG_LENGTH: usize = 20;

/// Reads `[authorization]`.
pub(super) fn read(file: &mut Section<'_>, evses: &Names) -> AuthorizationPlan {
    let mut section = file.table_or_empty("authorization", "[authorization]");
    let modes = [
        ("open", AuthorizationMode::Open),
        ("list", AuthorizationMode::List),
    ];
    let mode = section.choice("mode", &modes).or(AuthorizationMode::Open);
    let mut tags: Vec<TagPlan> = Vec::new();
    for part in section.tables("id-tag", "[[authorization.id-tag]]") {
        let report = part.report;
        let (tag, span) = read_tag(part, evses);
        if tags
            .iter()
            .any(|known| known.tag == tag.tag && !tag.tag.as_str().is_empty())
        {
            let remedy = "keep one of them; upper and lower case are the same";
            report.problem(&span, "this tag is listed twice", remedy);
        }
        tags.push(tag);
    }
    section.finish(&[]);
    AuthorizationPlan { mode, tags }
}

fn read_tag(mut s: Section<'_>, names: &Names) -> (TagPlan, Span) {
    let report = s.report;
    let header = s.header.clone();
    let tag = s.short_text(
        "tag",
        "write the tag as its card reader sends it",
        TAG_LENGTH,
    );
    let span = tag.span_or(&header);
    let evses = s.texts(
        "evses",
        "write a list of names, for example [\"garage-left\"]",
    );
    let plan = TagPlan {
        tag: IdTag::from(tag.or(String::new()).as_str()),
        name: s.text("name", "write whose tag it is").option(),
        parent: s
            .short_text("parent", "write the name of the group", TAG_LENGTH)
            .option()
            .map(|parent| IdTag::from(parent.as_str())),
        expires: read_expires(&mut s),
        blocked: s.flag("blocked").or(false),
        evses: evses.option().map(|evses| {
            evses
                .into_iter()
                .filter(|evse| names.check(report, evse, &evse.span))
                .map(|evse| EvseName::from(evse.as_str()))
                .collect()
        }),
    };
    s.finish(&["tag"]);
    (plan, span)
}

fn read_expires(s: &mut Section<'_>) -> Option<Timestamp> {
    const REMEDY: &str = "write date, time and zone, for example \"2027-12-31T23:59:59Z\"";
    let report = s.report;
    // TOML has dates of its own: who leaves the quotes out means the same.
    let text = s.read(
        "expires",
        REMEDY,
        "a date with a time",
        |value| match value {
            DeValue::String(text) => Some(text.to_string()),
            DeValue::Datetime(date) => Some(date.to_string()),
            _ => None,
        },
    );
    let expires: Value<Timestamp> = text.and_then(|text, span| {
        let expires = text.parse().ok();
        if expires.is_none() {
            report.problem(span, "expires is no date with time and zone", REMEDY);
        }
        expires
    });
    expires.option()
}
