//! Text of configuration files.

use std::path::Path;

use chargewarden::config::read;

/// A file is understood, or every problem has a place in it and a remedy.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let path = Path::new("/nowhere/chargewarden.toml");
    let findings = match read(path, text) {
        Ok((_, warnings)) => warnings.into_iter().map(|it| it.0).collect(),
        Err(problems) => {
            assert!(!problems.0.is_empty());
            assert!(!problems.to_string().contains('\u{1b}'));
            problems.0
        }
    };
    let lines = text.matches('\n').count() + 1;
    for finding in findings {
        assert!(!finding.what.is_empty() && !finding.remedy.is_empty());
        assert!(
            !finding.what.chars().any(char::is_control),
            "{}",
            finding.what
        );
        if let Some(place) = finding.place {
            assert!((1..=lines).contains(&place.line));
            assert!(place.column >= 1);
            assert!(
                !place.excerpt.chars().any(char::is_control),
                "{}",
                place.excerpt
            );
        }
    }
}
