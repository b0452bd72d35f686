//! Reads one section of the file key by key. What is wrong is reported and reading goes on, so
//! that a person sees every mistake at once.
//!
//! Every read names the key and its remedy: one sentence that says what to write there. It ends
//! every message about that key, whether the key is missing, of the wrong type or out of range.

use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::{self, Written};
use super::problem::{Report, Span};
use super::secret::Secret;
use super::value::{At, Value};
use super::{files, suggest};
use crate::units::{MilliAmps, Watts};

/// A table of the file, and which of its keys somebody asked for: the rest is unknown.
pub(super) struct Section<'a> {
    pub(super) report: &'a Report<'a>,
    /// Where the section begins.
    pub(super) header: Span,
    title: &'static str,
    /// `None` where the file has no such section: every key is absent.
    table: Option<&'a DeTable<'a>>,
    asked: Vec<(&'static str, &'static str)>,
    /// The section this one is part of, and its keys: they are often written too far down.
    outer: Option<(&'static str, Vec<&'static str>)>,
}

/// The numbers that make sense.
#[derive(Debug, Clone, Copy)]
pub(super) enum Bounds {
    /// Larger than 0, and at most this.
    Positive(f64),
    /// Both ends included.
    Between(f64, f64),
}

impl<'a> Section<'a> {
    pub(super) fn of_file(report: &'a Report<'a>, table: &'a DeTable<'a>) -> Self {
        Self::new(report, "the file", 0..0, Some(table))
    }

    fn new(
        report: &'a Report<'a>,
        title: &'static str,
        header: Span,
        table: Option<&'a DeTable<'a>>,
    ) -> Self {
        Self {
            report,
            header,
            title,
            table,
            asked: Vec::new(),
            outer: None,
        }
    }

    /// Ends the reading: reports missing keys and those that nobody asked for.
    pub(super) fn finish(self, required: &[&str]) {
        for (key, remedy) in &self.asked {
            if required.contains(key) && self.get(key).is_none() {
                let what = format!("{} has no {key}", self.title);
                self.report.problem(&self.header, what, *remedy);
            }
        }
        for key in self.table.iter().flat_map(|table| table.keys()) {
            if !self.asked.iter().any(|(asked, _)| asked == key.get_ref()) {
                let what = format!("unknown key {} in {}", key.get_ref(), self.title);
                self.report
                    .problem(&key.span(), what, self.right_key(key.get_ref()));
            }
        }
    }

    fn right_key(&self, unknown: &str) -> String {
        if let Some((title, keys)) = &self.outer
            && keys.contains(&unknown)
        {
            return format!("it is a key of {title}: write it above {}", self.title);
        }
        let known: Vec<&str> = self.asked.iter().map(|(key, _)| *key).collect();
        match suggest::closest(unknown, &known) {
            Some(key) => format!("did you mean {key}?"),
            None => format!("leave it out; {} knows {}", self.title, known.join(", ")),
        }
    }

    /// A part of its own, such as `[evse.ocpp]`.
    pub(super) fn table(&mut self, key: &'static str, title: &'static str) -> Option<Section<'a>> {
        let value = self.take(key, "")?;
        let DeValue::Table(table) = value.get_ref() else {
            let what = format!("{key} must be a section, not {}", kind(value.get_ref()));
            let remedy = format!("write {title} on a line of its own, and its keys below");
            self.report.problem(&value.span(), what, remedy);
            return None;
        };
        let mut part = Self::new(self.report, title, value.span(), Some(table));
        part.outer = Some((self.title, self.asked.iter().map(|(key, _)| *key).collect()));
        Some(part)
    }

    /// The same where a file without that part means its defaults.
    pub(super) fn table_or_empty(&mut self, key: &'static str, title: &'static str) -> Section<'a> {
        self.table(key, title)
            .unwrap_or_else(|| Self::new(self.report, title, self.header.clone(), None))
    }

    /// A part that there may be several of, such as `[[circuit]]`.
    pub(super) fn tables(&mut self, key: &'static str, title: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.take(key, "") else {
            return Vec::new();
        };
        let remedy = format!("write {title}, with double brackets, above each");
        let DeValue::Array(items) = value.get_ref() else {
            let kind = kind(value.get_ref());
            let what = format!("there may be several {key} sections, this is {kind}");
            self.report.problem(&value.span(), what, remedy);
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                let what = format!("{key} must be sections, not {}", kind(item.get_ref()));
                self.report.problem(&item.span(), what, remedy.clone());
                continue;
            };
            sections.push(Self::new(self.report, title, item.span(), Some(table)));
        }
        sections
    }

    /// Text, not empty.
    pub(super) fn text(&mut self, key: &'static str, remedy: &'static str) -> Value<String> {
        let report = self.report;
        self.read(key, remedy, "text in quotes", as_text)
            .and_then(|text: &str, span| {
                let trouble = if text.trim().is_empty() {
                    "must not be empty"
                } else if text.trim() != text {
                    "must not begin or end with a space"
                } else if text.chars().any(char::is_control) {
                    "must not contain control characters"
                } else {
                    return Some(text.to_owned());
                };
                report.problem(span, format!("{key} {trouble}"), remedy);
                None
            })
    }

    /// Text of at most this many characters: OCPP's limit.
    pub(super) fn short_text(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        most: usize,
    ) -> Value<String> {
        let report = self.report;
        self.text(key, remedy).and_then(|text, span| {
            if text.chars().count() > most {
                let what = format!("{key} must have at most {most} characters");
                report.problem(span, what, remedy);
                return None;
            }
            Some(text)
        })
    }

    /// Several texts, each with its place.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        remedy: &'static str,
    ) -> Value<Vec<At<String>>> {
        let report = self.report;
        let items = self.read(
            key,
            remedy,
            "a list of texts in quotes",
            |value| match value {
                DeValue::Array(items) => Some(items),
                _ => None,
            },
        );
        items.and_then(|items, _| {
            let mut texts = Vec::new();
            for item in items {
                let span = item.span();
                if let Some(text) = as_text(item.get_ref()) {
                    let value = text.to_owned();
                    texts.push(At { value, span });
                } else {
                    let kind = kind(item.get_ref());
                    let what = format!("{key} must hold texts in quotes, not {kind}");
                    report.problem(&span, what, remedy);
                }
            }
            (texts.len() == items.len()).then_some(texts)
        })
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&'static str, T)],
    ) -> Value<T> {
        let Some(value) = self.take(
            key,
            "write one of the words that config/chargewarden.toml lists",
        ) else {
            return Value::Absent;
        };
        let found = as_text(value.get_ref())
            .and_then(|text| choices.iter().find(|(name, _)| *name == text));
        if let Some((_, choice)) = found {
            return Value::Given(At {
                value: *choice,
                span: value.span(),
            });
        }
        let what = match as_text(value.get_ref()) {
            Some(text) => format!("{key} cannot be \"{text}\""),
            None => format!(
                "{key} must be a word in quotes, not {}",
                kind(value.get_ref())
            ),
        };
        let words: Vec<String> = choices.iter().map(|(c, _)| format!("\"{c}\"")).collect();
        let remedy = match words.as_slice() {
            [rest @ .., last] => format!("write {} or {last}", rest.join(", ")),
            [] => String::new(),
        };
        self.report.problem(&value.span(), what, remedy);
        Value::Broken
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, key: &'static str) -> Value<bool> {
        let remedy = "write true or false, without quotes";
        self.read(key, remedy, "true or false", |value| match value {
            DeValue::Boolean(flag) => Some(*flag),
            _ => None,
        })
    }

    /// A whole number.
    pub(super) fn integer(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        min: u32,
        max: u32,
    ) -> Value<u32> {
        let report = self.report;
        self.read(key, remedy, "a whole number", as_integer)
            .and_then(|number, span| {
                if number < i128::from(min) || number > i128::from(max) {
                    let what = format!("{key} must be a whole number from {min} to {max}");
                    report.problem(span, what, remedy);
                    return None;
                }
                u32::try_from(number).ok()
            })
    }

    /// A number, rounded to three decimals.
    pub(super) fn number(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        bounds: Bounds,
    ) -> Value<f64> {
        let report = self.report;
        self.read(key, remedy, "a number without quotes", as_number)
            .and_then(|number, span| {
                let number = (number * 1000.0).round() / 1000.0;
                let trouble = match bounds {
                    _ if number.is_nan() => "a number".to_owned(),
                    Bounds::Positive(_) if number <= 0.0 => "larger than 0".to_owned(),
                    Bounds::Between(min, _) if number < min => format!("at least {min}"),
                    Bounds::Positive(max) | Bounds::Between(_, max) if number > max => {
                        format!("at most {max}")
                    }
                    Bounds::Positive(_) | Bounds::Between(..) => return Some(number),
                };
                report.problem(span, format!("{key} must be {trouble}"), remedy);
                None
            })
    }

    /// A current in A.
    pub(super) fn amps(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        bounds: Bounds,
    ) -> Value<MilliAmps> {
        self.number(key, remedy, bounds)
            .map(|amps| MilliAmps::from_amps_f64(amps).unwrap_or(MilliAmps::MAX))
    }

    /// A power in W.
    pub(super) fn watts(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        bounds: Bounds,
    ) -> Value<Watts> {
        self.number(key, remedy, bounds)
            .map(|watts| Watts::from_f64(watts).unwrap_or(Watts::MAX))
    }

    /// A duration, both ends included.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        min: Duration,
        max: Duration,
    ) -> Value<Duration> {
        let report = self.report;
        self.read(key, remedy, "a duration in quotes", as_text)
            .and_then(|text: &str, span| {
                let what = match duration::parse(text) {
                    Err(_) => format!("{key} is no duration"),
                    Ok(it) if it < min => format!("{key} must be at least {}", Written(min)),
                    Ok(it) if it > max => format!("{key} must be at most {}", Written(max)),
                    Ok(it) => return Some(it),
                };
                report.problem(span, what, remedy);
                None
            })
    }

    /// A path; relative ones are relative to the file.
    pub(super) fn path(&mut self, key: &'static str, remedy: &'static str) -> Value<PathBuf> {
        let report = self.report;
        self.text(key, remedy).map(|text| report.resolve(&text))
    }

    /// `password`, or the content of `password-file`.
    pub(super) fn password(&mut self) -> Value<Secret> {
        const REMEDY: &str = "write the password in quotes, or the path of a file that holds it \
                              in password-file";
        let report = self.report;
        let inline = self
            .read("password", REMEDY, "text in quotes", as_text)
            .map(|text: &str| text.as_bytes().to_vec());
        let file = self
            .path("password-file", REMEDY)
            .and_then(|path, span| files::read_secret(report, &path, span));
        if let (false, Some(second)) = (inline.is_absent(), self.get("password-file")) {
            let what = "password and password-file are both given";
            report.problem(&second.span(), what, "keep one of them");
            return Value::Broken;
        }
        let password = if inline.is_absent() { file } else { inline };
        password.and_then(|bytes, span| {
            if bytes.is_empty() {
                report.problem(span, "the password is empty", REMEDY);
                return None;
            }
            Some(Secret::from(bytes))
        })
    }

    /// Registers `key` as known and returns what the file has there.
    fn take(
        &mut self,
        key: &'static str,
        remedy: &'static str,
    ) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push((key, remedy));
        self.get(key)
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table?.get(key)
    }

    /// Reads `key`, whatever its type: `convert` knows those that fit.
    pub(super) fn read<T>(
        &mut self,
        key: &'static str,
        remedy: &'static str,
        wanted: &str,
        convert: impl FnOnce(&'a DeValue<'a>) -> Option<T>,
    ) -> Value<T> {
        let Some(value) = self.take(key, remedy) else {
            return Value::Absent;
        };
        let span = value.span();
        if let Some(value) = convert(value.get_ref()) {
            return Value::Given(At { value, span });
        }
        let what = format!("{key} must be {wanted}, not {}", kind(value.get_ref()));
        self.report.problem(&span, what, remedy);
        Value::Broken
    }
}

fn as_text<'a>(value: &'a DeValue<'a>) -> Option<&'a str> {
    match value {
        DeValue::String(text) => Some(text),
        _ => None,
    }
}

fn as_integer(value: &DeValue<'_>) -> Option<i128> {
    match value {
        DeValue::Integer(digits) => i128::from_str_radix(digits.as_str(), digits.radix()).ok(),
        _ => None,
    }
}

fn as_number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(digits) if digits.radix() == 10 => digits.as_str().parse().ok(),
        DeValue::Float(digits) => digits.as_str().parse().ok(),
        _ => None,
    }
}

/// The type of a value, in a message.
fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with decimals",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}
