//! Takes a PEM file apart into its blocks, and says of each damaged one what is wrong with it.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};

/// Old tools leave the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// From a `-----BEGIN …-----` to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// What it says that it is.
    pub(crate) label: String,
    /// In which line of the file it begins, counted from 1.
    pub(crate) line: usize,
    /// What is in it.
    pub(crate) content: Content,
}

/// What is between the first and the last line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// DER.
    Der(Vec<u8>),
    /// Encrypted by what PEM itself has for it (RFC 1421).
    Encrypted,
    /// It cannot be read, and why.
    Damaged(&'static str),
}

/// The text of a file: UTF-8, or UTF-16 where its first bytes say so, with the line ends of any
/// system.
pub(crate) fn text(file: &[u8]) -> String {
    let units = |of: fn([u8; 2]) -> u16| {
        let (pairs, _) = file.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().map(|it| of(*it)).collect();
        String::from_utf16_lossy(&units)
    };
    let text = match file {
        [0xFF, 0xFE, ..] => units(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8_lossy(file).into_owned(),
    };
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// Every block, in the order of the file. What stands around them does not matter (RFC 7468 §2).
pub(crate) fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().zip(1..).peekable();
    while let Some((first, line)) = lines.next() {
        let Some(label) = label(first, BEGIN) else {
            continue;
        };
        let mut inner = Vec::new();
        let mut end = None;
        // The next block begins before this one has ended.
        while let Some((next, _)) = lines.next_if(|(next, _)| self::label(next, BEGIN).is_none()) {
            end = self::label(next, END);
            if end.is_some() {
                break;
            }
            inner.push(next.trim());
        }
        let content = match end {
            None => Content::Damaged("it has no end: the file was cut off, or not copied whole"),
            Some(end) if end != label => {
                Content::Damaged("its last line names something else than its first")
            }
            Some(_) => content(&inner),
        };
        blocks.push(Block {
            label: label.to_owned(),
            line,
            content,
        });
    }
    blocks
}

fn label<'a>(line: &'a str, kind: &str) -> Option<&'a str> {
    let line = line.trim().trim_start_matches('\u{feff}');
    line.strip_prefix(kind)?.strip_suffix(DASHES)
}

fn content(lines: &[&str]) -> Content {
    let headers = lines.iter().take_while(|line| line.contains(':'));
    if headers
        .clone()
        .any(|it| it.starts_with("Proc-Type") && it.ends_with("ENCRYPTED"))
    {
        return Content::Encrypted;
    }
    let text = lines.iter().skip(headers.count());
    let text: String = text.flat_map(|line| line.split_whitespace()).collect();
    match BASE64.decode(text) {
        Ok(der) if der.is_empty() => Content::Damaged("it is empty"),
        Ok(der) => Content::Der(der),
        Err(_) => Content::Damaged("what is in it is no base64: letters were lost or changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> Content {
        let mut found = blocks(text);
        assert_eq!(found.len(), 1, "{text}");
        found.remove(0).content
    }

    #[test]
    fn blocks_are_found_among_other_text_with_any_line_ends_and_indents() {
        let text = "\u{feff}-----BEGIN A-----\r\nAQI=\r\n-----END A-----\r\nsubject=x\n  \
                    -----BEGIN B C-----\n  AQ\n  ID\n  -----END B C-----";
        let found = blocks(text);
        let short = |it: &Block| (it.label.clone(), it.line);
        let all: Vec<_> = found.iter().map(short).collect();
        assert_eq!(all, [("A".into(), 1), ("B C".into(), 5)]);
        assert_eq!(found[0].content, Content::Der(vec![1, 2]));
        assert_eq!(found[1].content, Content::Der(vec![1, 2, 3]));
    }

    #[test]
    fn a_key_that_pem_encrypted_is_told_from_one_with_other_headers() {
        let inner = "\n\nAQID\n-----END K-----\n";
        let begin = "-----BEGIN K-----\n";
        let encrypted = format!("{begin}Proc-Type: 4,ENCRYPTED\nDEK-Info: DES-EDE3-CBC,0{inner}");
        assert_eq!(only(&encrypted), Content::Encrypted);
        let other = format!("{begin}Comment: mine{inner}");
        assert_eq!(only(&other), Content::Der(vec![1, 2, 3]));
    }

    #[test]
    fn damaged_blocks_say_what_is_wrong() {
        for (text, says) in [
            ("-----BEGIN A-----\nAQID\n", "no end"),
            ("-----BEGIN A-----\nAQ?D\n-----END A-----", "no base64"),
            ("-----BEGIN A-----\n-----END A-----", "empty"),
            ("-----BEGIN A-----\nAQID\n-----END B-----", "something else"),
        ] {
            let Content::Damaged(why) = only(text) else {
                panic!("{text}")
            };
            assert!(why.contains(says), "{why}");
        }
    }

    #[test]
    fn a_block_without_end_does_not_hide_the_next_one() {
        let found = blocks("-----BEGIN A-----\nAQID\n-----BEGIN B-----\nAQ==\n-----END B-----\n");
        assert!(matches!(found[0].content, Content::Damaged(_)));
        assert_eq!(found[1].content, Content::Der(vec![1]));
        assert_eq!(found[1].line, 3);
    }

    #[test]
    fn files_of_other_systems_are_text_too() {
        let text_of = "-----BEGIN A-----\nAQI=\n-----END A-----\n";
        let wide: Vec<u16> = format!("\u{feff}{text_of}").encode_utf16().collect();
        let files = [
            text_of.as_bytes().to_vec(),
            text_of.replace('\n', "\r").into_bytes(),
            text_of.replace('\n', "\r\n").into_bytes(),
            wide.iter().flat_map(|it| it.to_le_bytes()).collect(),
            wide.iter().flat_map(|it| it.to_be_bytes()).collect(),
        ];
        for file in files {
            let found = only(&text(&file));
            assert_eq!(found, Content::Der(vec![1, 2]), "{}", file.escape_ascii());
        }
    }

    #[test]
    fn text_without_blocks_has_none() {
        assert_eq!(blocks("nothing\n-----BEGIN\n-----\n"), []);
    }
}
