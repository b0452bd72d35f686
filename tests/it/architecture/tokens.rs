//! As much of Rust's lexis as finding paths needs.

/// Words, `::` and single signs; comments, strings, characters and lifetimes are left out.
pub(super) fn tokens(mut text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    while let Some(first) = text.chars().next() {
        let skipped = comment(text).or_else(|| literal(text));
        let length = skipped.unwrap_or_else(|| match first {
            ':' if text.starts_with("::") => 2,
            _ => word(text).max(first.len_utf8()),
        });
        let (token, rest) = text.split_at(length);
        if skipped.is_none() && !first.is_whitespace() {
            found.push(token);
        }
        text = rest;
    }
    found
}

/// A name, a keyword or a number.
pub(super) fn is_word(token: &str) -> bool {
    word(token) > 0
}

fn word(text: &str) -> usize {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    end.unwrap_or(text.len())
}

/// The length of the comment that `text` begins with.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    let mut rest = text.strip_prefix("/*")?;
    let mut depth = 1;
    while depth > 0 && !rest.is_empty() {
        let sign = ["/*", "*/"].into_iter().find(|sign| rest.starts_with(sign));
        match sign {
            Some("/*") => depth += 1,
            Some(_) => depth -= 1,
            None => {}
        }
        let step = sign.map_or_else(|| rest.chars().next().map_or(0, char::len_utf8), str::len);
        rest = &rest[step..];
    }
    Some(text.len() - rest.len())
}

/// The length of the string, character or lifetime that `text` begins with.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    let prefix = text.len() - body.len();
    let raw = body.strip_prefix('r').unwrap_or("");
    let hashes = raw.len() - raw.trim_start_matches('#').len();
    if raw[hashes..].starts_with('"') {
        let start = prefix + "r".len() + hashes + 1;
        let end = format!("\"{}", "#".repeat(hashes));
        return Some(
            text[start..]
                .find(&end)
                .map_or(text.len(), |at| start + at + end.len()),
        );
    }
    let quote = body.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let inner: Vec<char> = body[1..].chars().take(2).collect();
    if quote == '\'' && !matches!(inner[..], ['\\', _] | [_, '\'']) {
        return Some(prefix + 1 + word(&body[1..]));
    }
    let mut escaped = false;
    for (i, c) in body.char_indices().skip(1) {
        if c == quote && !escaped {
            return Some(prefix + i + 1);
        }
        escaped = c == '\\' && !escaped;
    }
    Some(text.len())
}
