//! The head of an HTTP message, read leniently: wallboxes and backends bring parsers and printers of
//! their own.

use std::borrow::Cow;

/// The longest head that is read, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;

/// How far a head has arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The empty line has not come yet.
    Incomplete,
    /// The head is this many bytes long, the empty line included. What follows is not of it.
    Complete(usize),
    /// Longer than [`MAX_HEAD`].
    TooLarge,
}

/// Looks for the end of the head; bare LF ends a line as well as CR LF, and empty lines in front
/// are passed over (RFC 9112 §2.2).
pub fn read_head(bytes: &[u8]) -> Progress {
    let start = blank(bytes);
    let mut line_is_empty = false;
    for (at, byte) in bytes.iter().enumerate().take(MAX_HEAD).skip(start) {
        match byte {
            b'\n' if line_is_empty => return Progress::Complete(at + 1),
            b'\n' => line_is_empty = true,
            b'\r' => {}
            _ => line_is_empty = false,
        }
    }
    if bytes.len() >= MAX_HEAD {
        Progress::TooLarge
    } else {
        Progress::Incomplete
    }
}

/// A request, as far as an upgrade needs it.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method as written.
    pub method: &'a [u8],
    /// The request target as written; may hold blanks, because some wallboxes do not encode them.
    pub target: &'a [u8],
    /// Major and minor number of the HTTP version, as digits.
    pub version: (u8, u8),
    /// What stands below the first line.
    pub headers: Headers<'a>,
}

impl<'a> Request<'a> {
    /// Takes a complete head apart; `None` if there is no HTTP request line.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let head = head.get(blank(head)..)?;
        let mut lines = head.split(|byte| *byte == b'\n').map(without_cr);
        let (method, rest) = split_once(lines.next()?, b' ')?;
        let at = rest.iter().rposition(|byte| *byte == b' ')?;
        let (target, version) = rest.split_at_checked(at)?;
        let [b'H', b'T', b'T', b'P', b'/', major, b'.', minor] = version.trim_ascii() else {
            return None;
        };
        let target = target.trim_ascii();
        if method.is_empty() || target.is_empty() {
            return None;
        }
        Some(Self {
            method,
            target,
            version: (major.wrapping_sub(b'0'), minor.wrapping_sub(b'0')),
            headers: Headers::parse(lines),
        })
    }
}

/// An answer, as far as an upgrade needs it.
#[derive(Debug)]
pub struct Response<'a> {
    /// Three digits.
    pub status: u16,
    /// What the server says about it, as written.
    pub reason: &'a [u8],
    /// What stands below the first line.
    pub headers: Headers<'a>,
}

impl<'a> Response<'a> {
    /// Takes a complete head apart; `None` if there is no HTTP status line.
    pub fn parse(head: &'a [u8]) -> Option<Self> {
        let head = head.get(blank(head)..)?;
        let mut lines = head.split(|byte| *byte == b'\n').map(without_cr);
        let (_, rest) = split_once(lines.next()?.strip_prefix(b"HTTP/")?, b' ')?;
        let (status, reason) = rest.trim_ascii_start().split_at_checked(3)?;
        let ends = reason.first().is_none_or(u8::is_ascii_whitespace);
        if !ends || !status.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Self {
            status: std::str::from_utf8(status).ok()?.parse().ok()?,
            reason: reason.trim_ascii(),
            headers: Headers::parse(lines),
        })
    }
}

/// The header lines of a head. Names are compared without regard to case.
#[derive(Debug)]
pub struct Headers<'a>(Vec<(&'a [u8], Cow<'a, [u8]>)>);

impl<'a> Headers<'a> {
    /// Lines without a colon are passed over, continued lines (obs-fold) joined by a blank.
    fn parse(lines: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut headers: Vec<(&[u8], Cow<'_, [u8]>)> = Vec::new();
        for line in lines {
            if line.is_empty() {
                break;
            }
            if matches!(line.first(), Some(b' ' | b'\t')) {
                if let Some((_, value)) = headers.last_mut() {
                    let value = value.to_mut();
                    value.push(b' ');
                    value.extend_from_slice(line.trim_ascii());
                }
            } else if let Some((name, value)) = split_once(line, b':') {
                headers.push((name.trim_ascii(), Cow::Borrowed(value)));
            }
        }
        Self(headers)
    }

    /// The first value of a header, blanks around it removed.
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// The members of a comma-separated header, over all lines that carry it; empty ones left out.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.values(name)
            .flat_map(|value| value.split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|member| !member.is_empty())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.0
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.trim_ascii())
    }
}

/// Decodes `%41`; what is no escape stays as it is, and so does `+`.
pub fn percent_decode(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        if let [b'%', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            decoded.push(high << 4 | low);
            rest = after;
        } else {
            decoded.push(*first);
            rest = tail;
        }
    }
    decoded
}

/// The value of a hexadecimal digit.
pub(super) const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

fn blank(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| matches!(byte, b'\r' | b'\n'))
        .count()
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == at)?;
    Some((bytes.get(..at)?, bytes.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_ends_at_the_first_empty_line_and_leaves_what_follows() {
        for (bytes, length) in [
            (&b"GET / HTTP/1.1\r\nA: b\r\n\r\n\x81\x80"[..], 24),
            (b"GET / HTTP/1.1\nA: b\n\n\x81\x80", 21),
            (b"GET / HTTP/1.1\nA: b\r\n\nrest", 22),
            (b"\r\n\r\nGET / HTTP/1.1\r\n\r\n", 22),
        ] {
            assert_eq!(read_head(bytes), Progress::Complete(length), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            b"\r\n\r\n",
            b"GET / HTTP/1.1\r\n",
            b"GET /\r\nA: b\r\n\r",
        ] {
            assert_eq!(read_head(bytes), Progress::Incomplete, "{bytes:?}");
        }
    }

    #[test]
    fn a_head_of_8_kib_is_read_and_one_byte_more_is_not() {
        let head = |length: usize| {
            let mut head = b"GET / HTTP/1.1\r\nA: ".to_vec();
            head.resize(length - 4, b'x');
            head.extend_from_slice(b"\r\n\r\n");
            head
        };
        assert_eq!(
            read_head(&head(MAX_HEAD)),
            Progress::Complete(MAX_HEAD),
            "just fits"
        );
        assert_eq!(read_head(&head(MAX_HEAD + 1)), Progress::TooLarge);
        assert_eq!(read_head(&[b'\n'; MAX_HEAD]), Progress::TooLarge);
        assert_eq!(read_head(&[b'x'; MAX_HEAD]), Progress::TooLarge);
    }

    #[test]
    fn headers_are_found_in_any_case_over_several_lines_and_folded() {
        let request = Request::parse(
            b"GET /a b HTTP/1.1\r\nConnection : keep-alive,\r\n Upgrade\r\nno colon here\r\nCONNECTION: x\r\n\r\n",
        )
        .unwrap();
        assert_eq!(request.target, b"/a b");
        assert_eq!(request.version, (1, 1));
        let members: Vec<_> = request.headers.list("connection").collect();
        assert_eq!(members, [&b"keep-alive"[..], b"Upgrade", b"x"]);
        assert_eq!(request.headers.first("upgrade"), None);
    }

    #[test]
    fn what_has_no_request_line_is_no_request() {
        for head in [
            &b"\r\n\r\n"[..],
            b"GET\r\n\r\n",
            b"GET /\r\n\r\n",
            b"GET / SIP/2.0\r\n\r\n",
            b" / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\n\n",
        ] {
            assert!(Request::parse(head).is_none(), "{head:?}");
        }
    }

    #[test]
    fn an_answer_has_a_status_and_perhaps_a_reason() {
        let parse = |head| Response::parse(head).map(|it| (it.status, it.reason));
        for (head, status, reason) in [
            (
                &b"HTTP/1.1 404 Not Found\r\n\r\n"[..],
                404,
                &b"Not Found"[..],
            ),
            (b"\r\nHTTP/1.0  101\n\n", 101, b""),
            (b"HTTP/1.1 200 OK\nUpgrade: x\n\n", 200, b"OK"),
        ] {
            assert_eq!(parse(head), Some((status, reason)), "{head:?}");
        }
        for head in [
            &b"\r\n\r\n"[..],
            b"HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 20\r\n\r\n",
            b"HTTP/1.1 +20 OK\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"220 mail ready\r\n\r\n",
        ] {
            assert!(Response::parse(head).is_none(), "{head:?}");
        }
    }

    #[test]
    fn only_whole_escapes_are_decoded_and_a_plus_stays() {
        assert_eq!(percent_decode(b"a%20b+c%2Fd"), b"a b+c/d");
        assert_eq!(percent_decode(b"100%"), b"100%");
        assert_eq!(percent_decode(b"%zz%4"), b"%zz%4");
        assert_eq!(percent_decode(b"%c3%BC"), "ü".as_bytes());
    }
}
