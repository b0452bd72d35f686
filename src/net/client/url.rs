//! The address of a WebSocket server, as far as a charge point needs one (RFC 3986, RFC 6455 §3).

use std::fmt;

use crate::modbus::host_and_port;

/// Where a server is, and what it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// `wss://`
    pub(super) tls: bool,
    /// A name or an IP address, an IPv6 one without its brackets.
    pub(super) host: String,
    /// TCP port.
    pub(super) port: u16,
    /// Path and query. Begins with a slash and holds nothing but visible ASCII.
    pub(super) path: String,
}

impl Url {
    /// Reads `ws://`, `wss://` and, meaning the same, `http://` and `https://`. A fragment is left
    /// away; `None` if there is no such address, or a user or password in it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" | "http" => false,
            "wss" | "https" => true,
            _ => return None,
        };
        let rest = without_fragment(rest);
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)?;
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Self {
            tls,
            host: host.to_owned(),
            port: port.unwrap_or(default_port(tls)),
            path: visible(&format!("{slash}{path}")),
        })
    }

    /// The same place with one more segment, percent-encoded, before the query.
    pub(super) fn join(mut self, segment: &str) -> Self {
        let (path, query) = self.split();
        let path = path.trim_end_matches('/');
        self.path = format!("{path}/{}{query}", percent_encode(segment));
        self
    }

    /// Where a reference leads that stands here (RFC 3986 §5.2).
    pub(super) fn resolve(&self, reference: &str) -> Option<Self> {
        let reference = without_fragment(reference.trim());
        if let Some(rest) = reference.strip_prefix("//") {
            let scheme = if self.tls { "wss" } else { "ws" };
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let first_part = reference.split(['/', '?']).next().unwrap_or_default();
        if first_part.contains(':') {
            return Self::parse(reference);
        }
        let (path, query) = self.split();
        let whole = if reference.is_empty() {
            format!("{path}{query}")
        } else if reference.starts_with('?') {
            format!("{path}{reference}")
        } else if reference.starts_with('/') {
            reference.to_owned()
        } else {
            let folder = path.rfind('/').map_or("", |slash| path.split_at(slash).0);
            format!("{folder}/{reference}")
        };
        Some(Self {
            path: visible(&without_dots(&whole)),
            ..self.clone()
        })
    }

    /// `host` or `host:port`, as the header `Host` has it.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        match (host.contains(':'), *port == default_port(self.tls)) {
            (false, true) => host.clone(),
            (false, false) => format!("{host}:{port}"),
            (true, true) => format!("[{host}]"),
            (true, false) => format!("[{host}]:{port}"),
        }
    }

    /// Path and query, with its question mark.
    fn split(&self) -> (&str, &str) {
        let end = self.path.find('?').unwrap_or(self.path.len());
        self.path.split_at(end)
    }
}

/// For the log: without what stands in the query, because that may be a secret.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        let (path, query) = self.split();
        let query = if query.is_empty() { "" } else { "?…" };
        write!(f, "{scheme}://{}{path}{query}", self.authority())
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

fn without_fragment(text: &str) -> &str {
    text.split('#').next().unwrap_or_default()
}

/// Takes `.` and `..` out of the path (RFC 3986 §5.2.4).
fn without_dots(whole: &str) -> String {
    let (path, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/').skip(1) {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            _ => kept.push(segment),
        }
    }
    if path.ends_with("/.") || path.ends_with("/..") {
        kept.push("");
    }
    format!("/{}{query}", kept.join("/"))
}

/// Encodes what cannot stand in a request line, and nothing else.
fn visible(path: &str) -> String {
    encode(path, |byte| byte.is_ascii_graphic())
}

/// Encodes everything but RFC 3986's unreserved characters.
fn percent_encode(segment: &str) -> String {
    encode(segment, |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
    })
}

fn encode(text: &str, may_stay: impl Fn(u8) -> bool) -> String {
    text.bytes()
        .map(|byte| {
            if may_stay(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn scheme_host_and_port_are_told_apart() {
        for (text, tls, host, port, path) in [
            ("ws://h", false, "h", 80, "/"),
            ("wss://h", true, "h", 443, "/"),
            ("WSS://h:8443/a/b?c=d", true, "h", 8443, "/a/b?c=d"),
            ("http://h?x=/y", false, "h", 80, "/?x=/y"),
            ("https://h/#part", true, "h", 443, "/"),
            ("ws://[::1]:81/", false, "::1", 81, "/"),
            ("ws://h/a b/ü\r\n", false, "h", 80, "/a%20b/%C3%BC%0D%0A"),
            ("ws://h/%20", false, "h", 80, "/%20"),
        ] {
            let expected = Url {
                tls,
                host: host.into(),
                port,
                path: path.into(),
            };
            assert_eq!(url(text), expected, "{text}");
        }
        for text in [
            "",
            "h",
            "ws:/h",
            "ws://",
            "ftp://h",
            "ws://h:0",
            "ws://h:x",
            "ws://h h/",
            "ws://user:secret@h/",
            "://h",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_segment_is_joined_after_exactly_one_slash_and_before_the_query() {
        for (text, path) in [
            ("ws://h", "/A%20b%2F%C3%BC%2A~-._"),
            ("ws://h/", "/A%20b%2F%C3%BC%2A~-._"),
            ("ws://h/ocpp", "/ocpp/A%20b%2F%C3%BC%2A~-._"),
            ("ws://h/ocpp//", "/ocpp/A%20b%2F%C3%BC%2A~-._"),
            ("ws://h/ocpp/?k=/v/", "/ocpp/A%20b%2F%C3%BC%2A~-._?k=/v/"),
            ("ws://h?k", "/A%20b%2F%C3%BC%2A~-._?k"),
        ] {
            assert_eq!(url(text).join("A b/ü*~-._").path, path, "{text}");
        }
    }

    #[test]
    fn a_reference_leads_where_rfc_3986_says() {
        let base = url("ws://h:81/a/b/c?q");
        for (reference, whole) in [
            ("wss://other/x", "wss://other/x"),
            ("https://other:444", "wss://other:444/"),
            ("//other/x", "ws://other/x"),
            ("/x/y", "ws://h:81/x/y"),
            ("x", "ws://h:81/a/b/x"),
            ("../x", "ws://h:81/a/x"),
            ("./../../../../x", "ws://h:81/x"),
            ("..", "ws://h:81/a/"),
            ("", "ws://h:81/a/b/c?…"),
            ("?r", "ws://h:81/a/b/c?…"),
            ("x?k=../..", "ws://h:81/a/b/x?…"),
            (" /x#part ", "ws://h:81/x"),
        ] {
            let led = base.resolve(reference).map(|url| url.to_string());
            assert_eq!(led.as_deref(), Some(whole), "{reference}");
        }
        assert_eq!(base.resolve("x?k=../..").unwrap().path, "/a/b/x?k=../..");
        for reference in ["mailto:x", "javascript:alert(1)", "//", "ws://", "x:y/z"] {
            assert_eq!(base.resolve(reference), None, "{reference}");
        }
    }

    #[test]
    fn the_host_header_has_a_port_only_where_it_is_not_the_usual_one() {
        for (text, authority) in [
            ("ws://h:80", "h"),
            ("wss://h:80", "h:80"),
            ("wss://[::1]", "[::1]"),
            ("wss://[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(url(text).authority(), authority);
        }
    }

    #[test]
    fn the_query_is_not_shown() {
        let shown = url("wss://h/p?token=secret").to_string();
        assert_eq!(shown, "wss://h/p?…");
    }

    proptest! {
        #[test]
        fn whatever_a_server_writes_breaks_no_request_line(reference in ".*") {
            if let Some(url) = url("ws://h/a/b?c").resolve(&reference) {
                prop_assert!(url.path.starts_with('/'));
                prop_assert!(url.path.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert!(!url.authority().contains(char::is_whitespace));
            }
        }
    }
}
