//! What is wrong with a file, where, and what to do about it.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::clock::Timestamp;

/// Byte positions in the file.
pub(super) type Span = Range<usize>;

/// Something that a person should change: the place, what is wrong, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, as it was named.
    pub file: String,
    /// Where in it; `None` if it concerns the file as a whole.
    pub place: Option<Place>,
    /// What is wrong, without a full stop.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A place in a file, with the line itself so that nobody has to look it up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// The line; what could be a password is left out.
    pub excerpt: String,
    /// Characters to underline; 0 = none.
    pub width: usize,
}

/// Everything that makes a configuration unusable, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Finding>);

/// Something that works, but probably not as intended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning(pub Finding);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            finding.write(f, "")?;
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, "warning: ")
    }
}

impl Finding {
    /// A finding about the file as a whole.
    pub(super) fn of_file(file: &Path, what: String, remedy: &str) -> Self {
        Self {
            file: file.display().to_string(),
            place: None,
            what,
            remedy: remedy.to_owned(),
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, severity: &str) -> fmt::Result {
        let Self { file, what, .. } = self;
        if let Some(place) = &self.place {
            let Place { line, column, .. } = place;
            writeln!(f, "{file}:{line}:{column}: {severity}{what}")?;
            writeln!(f, "{}", format!("{line:>5} | {}", place.excerpt).trim_end())?;
            if place.width > 0 {
                let (indent, carets) = (" ".repeat(column - 1), "^".repeat(place.width));
                writeln!(f, "      | {indent}{carets}")?;
            }
        } else {
            writeln!(f, "{file}: {severity}{what}")?;
        }
        writeln!(f, "   remedy: {}", self.remedy)
    }
}

/// Collects findings while a file is read, so that all are reported in one go.
pub(super) struct Report<'a> {
    path: &'a Path,
    text: &'a str,
    now: Option<Timestamp>,
    problems: RefCell<Vec<(usize, Finding)>>,
    warnings: RefCell<Vec<(usize, Finding)>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self {
            path,
            text,
            now: None,
            problems: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    /// For a file that is judged at this moment.
    pub(super) const fn at(mut self, now: Option<Timestamp>) -> Self {
        self.now = now;
        self
    }

    /// When the file is judged, if that is known.
    pub(super) const fn now(&self) -> Option<Timestamp> {
        self.now
    }

    /// A path of the file: relative ones are relative to the file itself.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The line of a place, from 1.
    pub(super) fn line_of(&self, at: &Span) -> usize {
        place(self.text, at).line
    }

    pub(super) fn problem(&self, at: &Span, what: impl AsRef<str>, remedy: impl Into<String>) {
        let finding = self.finding(at, what.as_ref(), remedy.into());
        self.problems.borrow_mut().push((at.start, finding));
    }

    pub(super) fn warning(&self, at: &Span, what: impl AsRef<str>, remedy: impl Into<String>) {
        let finding = self.finding(at, what.as_ref(), remedy.into());
        self.warnings.borrow_mut().push((at.start, finding));
    }

    /// Whether nothing was found that forbids to go on.
    pub(super) fn is_clean(&self) -> bool {
        self.problems.borrow().is_empty()
    }

    /// What was read with the warnings, or else the problems.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<(T, Vec<Warning>), Problems> {
        let problems = in_order(self.problems.into_inner());
        let warnings = in_order(self.warnings.into_inner());
        match read {
            Some(read) if problems.is_empty() => {
                Ok((read, warnings.into_iter().map(Warning).collect()))
            }
            Some(_) | None => Err(Problems(problems)),
        }
    }

    fn finding(&self, at: &Span, what: &str, remedy: String) -> Finding {
        Finding {
            file: self.path.display().to_string(),
            place: Some(place(self.text, at)),
            // It may quote what the file says, which must not reach the terminal as it is.
            what: what.replace(char::is_control, " "),
            remedy,
        }
    }
}

fn in_order(mut found: Vec<(usize, Finding)>) -> Vec<Finding> {
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, finding)| finding).collect()
}

fn place(text: &str, at: &Span) -> Place {
    let start = text.floor_char_boundary(at.start);
    let (before, after) = text.split_at(start);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let (_, lead) = before.split_at(line_start);
    let rest = after.lines().next().unwrap_or_default();
    let marked = after
        .split_at(text.floor_char_boundary(at.end).saturating_sub(start))
        .0;
    let marked = marked.lines().next().unwrap_or_default();

    let (excerpt, hidden) = without_secrets(&format!("{lead}{rest}"));
    let column = lead.trim_start_matches('\u{feff}').chars().count() + 1;
    Place {
        line: before.matches('\n').count() + 1,
        column,
        width: if hidden && column > excerpt.chars().count() {
            0
        } else {
            marked.chars().count().max(1)
        },
        excerpt,
    }
}

/// The line as it may be shown, and whether something was left out: whatever follows a word that
/// looks like the key of a password (misspelled ones too), user information and query of a URL.
fn without_secrets(line: &str) -> (String, bool) {
    let mut shown: String = line
        .trim_start_matches('\u{feff}')
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let query = query(&shown);
    if let Some(query) = query {
        shown.truncate(query);
        shown.push_str("?…");
    }
    let lower = shown.to_ascii_lowercase();
    let mut end = 0;
    for word in lower.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && !"-_".contains(c)) {
        let key = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let is_secret = (key.contains("pas") || key.contains("swor")) && !key.ends_with("-file");
        let is_url = lower
            .get(end..)
            .is_some_and(|rest| rest.starts_with("//") && rest.contains('@'));
        if is_secret || is_url {
            let kept = shown.get(..end + key.len()).unwrap_or_default();
            return (format!("{kept} …"), true);
        }
        end += word.len();
    }
    (shown, query.is_some())
}

/// Where the first query of a URL begins.
fn query(line: &str) -> Option<usize> {
    let url = line.find("://")?;
    let rest = line.get(url..)?;
    let end = rest.find(|c: char| c.is_whitespace() || "\"'".contains(c));
    let at = rest.get(..end.unwrap_or(rest.len()))?.find('?')?;
    Some(url + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, part: &str) -> String {
        let start = text.find(part).unwrap();
        let report = Report::new(Path::new("x.toml"), text);
        report.problem(&(start..start + part.len()), "is wrong", "make it right");
        report.finish(Some(())).unwrap_err().to_string()
    }

    #[test]
    fn a_finding_shows_the_line_and_points_at_the_place_counting_characters() {
        insta::assert_snapshot!(shown("a = 1\nname = \"Grün\" # ü\nb = 2\n", "# ü"), @r#"
        x.toml:2:15: is wrong
            2 | name = "Grün" # ü
              |               ^^^
           remedy: make it right
        "#);
    }

    #[test]
    fn findings_come_in_the_order_of_the_file() {
        let report = Report::new(Path::new("x.toml"), "a = 1\nb = 2\n");
        report.problem(&(6..7), "second", "…");
        report.problem(&(0..1), "first", "…");
        let problems = report.finish(Some(())).unwrap_err();
        let order: Vec<&str> = problems.0.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(order, ["first", "second"]);
    }

    #[test]
    fn what_the_file_says_cannot_steer_the_terminal() {
        let text = "name = \"\u{1b}[2J\"";
        let report = Report::new(Path::new("x.toml"), text);
        report.problem(&(0..4), "unknown key \u{1b}[2J", "…");
        let problems = report.finish(Some(())).unwrap_err();
        assert!(!problems.to_string().contains('\u{1b}'));
    }

    #[test]
    fn a_place_behind_the_end_or_inside_a_character_is_no_panic() {
        let report = Report::new(Path::new("x.toml"), "ü");
        report.problem(&(1..99), "is wrong", "…");
        report.problem(&(99..99), "is wrong", "…");
        assert_eq!(report.finish(Some(())).unwrap_err().0.len(), 2);
    }

    #[test]
    fn a_password_is_never_shown_even_if_its_key_is_misspelled() {
        for line in [
            "password = \"geheim\"",
            "pasword=\"geheim\"",
            "Passwort = geheim",
            "ocpp = { step = 5, password = \"geheim\" }",
            "ocpp = { password-file = \"x\", password = \"geheim\" }",
            "password: geheim",
            "url = \"wss://user:geheim@example.org\"",
            "url = \"wss://example.org/p?token=geheim\" # p",
            "gateway = { url = \"wss://e.org?token=geheim\", password = \"p\" }",
        ] {
            let text = shown(line, "geheim");
            assert!(!text.contains("geheim"), "{text}");
        }
    }
}
