//! A second try for text that is almost JSON.

/// Mends what some wallboxes leave out, outside of strings: `[,` `{,` `,,` `,]` `,}` lose a comma,
/// `"key":,` and `"key":}` get a `null`. `None` if there was nothing of the kind.
///
/// The result need not be JSON either.
pub fn repair(text: &str) -> Option<String> {
    let mut mended = Mended {
        text: String::with_capacity(text.len() + 8),
        last: None,
        changed: false,
    };
    let mut in_string = false;
    let mut escaped = false;
    for c in text.chars() {
        if in_string {
            mended.text.push(c);
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            in_string = c == '"';
            mended.push(c);
        }
    }
    mended.changed.then_some(mended.text)
}

struct Mended {
    text: String,
    /// The last character outside of strings that is no blank, and where it is in `text`.
    last: Option<(char, usize)>,
    changed: bool,
}

impl Mended {
    fn push(&mut self, c: char) {
        match (self.last, c) {
            (Some(('[' | '{' | ',', _)), ',') => {
                self.changed = true;
                return;
            }
            (Some((',', at)), ']' | '}') => {
                self.changed = true;
                self.text.truncate(at);
            }
            (Some((':', _)), ',' | '}') => {
                self.changed = true;
                self.text.push_str("null");
            }
            _ => {}
        }
        if !c.is_whitespace() {
            self.last = Some((c, self.text.len()));
        }
        self.text.push(c);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_left_out_in_the_field_is_mended() {
        for (broken, mended) in [
            ("[,1]", "[1]"),
            ("[1,]", "[1]"),
            ("[1 , ]", "[1 ]"),
            ("[1,,,2]", "[1,2]"),
            ("[,]", "[]"),
            (r#"{"a":,"b":1}"#, r#"{"a":null,"b":1}"#),
            (r#"{"a": }"#, r#"{"a": null}"#),
            (r#"{,"a":1,}"#, r#"{"a":1}"#),
        ] {
            let text = repair(broken).unwrap();
            assert_eq!(text, mended);
            serde_json::from_str::<Value>(&text).unwrap();
        }
    }

    #[test]
    fn quirk_zj_beny_starts_its_sampled_values_with_a_comma() {
        let broken = r#"{"meterValue":[{"sampledValue":[,{"value":"1"}]}]}"#;
        assert_eq!(
            repair(broken).as_deref(),
            Some(r#"{"meterValue":[{"sampledValue":[{"value":"1"}]}]}"#)
        );
    }

    #[test]
    fn strings_are_never_touched() {
        for text in [r#"["[,",",]",",,","\"[,",":,"]"#, "[]", "{}", "\"[,", ""] {
            assert_eq!(repair(text), None, "{text}");
        }
        assert_eq!(
            repair(r#"["a\\",,"[,"]"#).as_deref(),
            Some(r#"["a\\","[,"]"#)
        );
    }

    proptest! {
        #[test]
        fn what_was_repaired_needs_no_further_repair(text in r#"[\[\]{},:"\\ a1]{0,40}"#) {
            if let Some(mended) = repair(&text) {
                prop_assert_eq!(repair(&mended), None, "{}", mended);
            }
        }
    }
}
