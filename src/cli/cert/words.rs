//! Lists of names in a sentence.

/// All of them.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => "none (no subject alternative name)".to_owned(),
        names => names.join(", "),
    }
}

/// `a, b or c`.
pub(super) fn either(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [only] => only.clone(),
        [most @ .., last] => format!("{} or {last}", most.join(", ")),
    }
}
