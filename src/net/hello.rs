//! What a TLS client says first, as far as the log tells it (RFC 5246 §7.4.1.2).

use std::fmt::Write as _;

use tokio_rustls::rustls::CipherSuite;

/// The handshake header that stands in the first record: type and length.
const HEADER: usize = 4;
/// The header of a record: type, version and length.
const RECORD: usize = 5;
/// After the version.
const RANDOM: usize = 32;

/// Which TLS a client can speak.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    version: u16,
    suites: Vec<CipherSuite>,
}

impl Hello {
    /// Reads the beginning of the first record; what cannot be read is left out.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let version = bytes.get(RECORD + HEADER..).and_then(|it| it.first_chunk());
        Self {
            version: version.map_or(0, |it| u16::from_be_bytes(*it)),
            suites: suites(bytes).unwrap_or_default(),
        }
    }

    /// The newest version that it names; from TLS 1.2 on all name 1.2.
    pub(super) const fn version(&self) -> &'static str {
        match self.version {
            0x0300 => "SSL 3.0",
            0x0301 => "TLS 1.0",
            0x0302 => "TLS 1.1",
            0x0303 => "TLS 1.2 or newer",
            _ => "no version of TLS",
        }
    }

    /// Its cipher suites.
    pub(super) fn suites(&self) -> &[CipherSuite] {
        &self.suites
    }

    /// The names of its cipher suites.
    pub(super) fn names(&self) -> String {
        let mut text = String::new();
        for suite in &self.suites {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a String cannot fail.
            let _ = match suite.as_str() {
                Some(name) => write!(text, "{comma}{name}"),
                None => write!(text, "{comma}{:#06x}", u16::from(*suite)),
            };
        }
        text
    }
}

fn suites(bytes: &[u8]) -> Option<Vec<CipherSuite>> {
    let rest = bytes.get(RECORD + HEADER + size_of::<u16>() + RANDOM..)?;
    let (session, rest) = rest.split_first()?;
    let (length, rest) = rest.get(usize::from(*session)..)?.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (pairs, _) = rest.get(..length)?.as_chunks::<2>();
    let pairs = pairs.iter().map(|it| u16::from_be_bytes(*it));
    Some(pairs.map(CipherSuite::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: [u8; 2], session: usize, suites: &[u8]) -> Vec<u8> {
        let mut bytes = [&[0x16, 3, 1, 0, 0, 1, 0, 0, 0][..], &version, &[7; RANDOM]].concat();
        bytes.push(u8::try_from(session).unwrap());
        bytes.extend(vec![7; session]);
        bytes.extend(u16::try_from(suites.len()).unwrap().to_be_bytes());
        bytes.extend(suites);
        bytes
    }

    #[test]
    fn version_and_suites_are_named_as_the_standard_names_them() {
        for (version, name) in [
            ([3, 0], "SSL 3.0"),
            ([3, 1], "TLS 1.0"),
            ([3, 2], "TLS 1.1"),
            ([3, 3], "TLS 1.2 or newer"),
        ] {
            for session in [0, 32] {
                let hello = Hello::read(&hello(version, session, &[0, 0x2f, 0x7a, 0x7a]));
                assert_eq!(hello.version(), name);
                assert_eq!(hello.names(), "TLS_RSA_WITH_AES_128_CBC_SHA, 0x7a7a");
            }
        }
    }

    #[test]
    fn whatever_is_cut_off_is_left_out() {
        let whole = hello([3, 1], 32, &[0, 0x2f]);
        for end in 0..whole.len() {
            assert_eq!(Hello::read(&whole[..end]).names(), "");
        }
    }
}
