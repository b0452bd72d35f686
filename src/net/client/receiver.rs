//! A place that takes files over HTTP, and what it is told (RFC 9110 §9.3.4).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::url::Url;
use crate::net::http::percent_decode;

/// Where a file is uploaded to. Neither `Debug` nor `Display` shows its password or query.
#[derive(Clone, PartialEq, Eq)]
pub struct Receiver {
    url: Url,
    /// `user:password`
    credentials: Option<Vec<u8>>,
}

impl Receiver {
    /// Reads `http://` and `https://`, with `user:password@` where there is one. A path that ends
    /// with a slash is a folder: there the file gets this name.
    pub fn parse(text: &str, name: &str) -> Option<Self> {
        let (scheme, rest) = text.trim().split_once("://")?;
        let is_http = ["http", "https"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(scheme));
        if !is_http {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        // It stands in the log, too.
        if !host.bytes().all(|it| it.is_ascii_graphic()) {
            return None;
        }
        let url = Url::parse(&format!("{scheme}://{host}{path}"))?;
        let folder = url
            .path
            .split('?')
            .next()
            .is_some_and(|it| it.ends_with('/'));
        Some(Self {
            url: if folder { url.join(name) } else { url },
            credentials: user.map(|user| {
                let (user, password) = user.split_once(':').unwrap_or((user, ""));
                let decoded = [user, password].map(|it| percent_decode(it.as_bytes()));
                decoded.join(&b':')
            }),
        })
    }

    /// Whether it is `https://`.
    pub const fn tls(&self) -> bool {
        self.url.tls
    }

    /// A name or an IP address, an IPv6 one without brackets.
    pub fn host(&self) -> &str {
        &self.url.host
    }

    /// TCP port.
    pub const fn port(&self) -> u16 {
        self.url.port
    }

    /// The head of a request that brings so many bytes of text.
    pub fn request(&self, method: &str, length: usize) -> String {
        let authorization = self.credentials.as_ref();
        let authorization = authorization
            .map(|it| format!("Authorization: Basic {}\r\n", STANDARD.encode(it)))
            .unwrap_or_default();
        format!(
            "{method} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: chargewarden/{}\r\n\
             Content-Type: text/plain; charset=utf-8\r\nContent-Length: {length}\r\n\
             Connection: close\r\n{authorization}\r\n",
            self.url.path,
            self.url.authority(),
            env!("CARGO_PKG_VERSION"),
        )
    }
}

/// For the log.
impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.url.to_string();
        let rest = shown.trim_start_matches("ws");
        write!(f, "http{rest}")
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(text: &str) -> Receiver {
        Receiver::parse(text, "x.log").unwrap()
    }

    #[test]
    fn a_folder_gets_the_name_of_the_file_and_anything_else_stays_as_it_is() {
        for (text, tls, port, path) in [
            ("http://h", false, 80, "/x.log"),
            ("https://h/", true, 443, "/x.log"),
            ("https://h/a/?k=/", true, 443, "/a/x.log?k=/"),
            ("HTTPS://h:8443/a?k=/", true, 8443, "/a?k=/"),
            (" http://[::1]:81/a/b.txt#c ", false, 81, "/a/b.txt"),
        ] {
            let place = place(text);
            let first = format!("PUT {path} HTTP/1.1\r\n");
            assert!(place.request("PUT", 0).starts_with(&first), "{text}");
            assert_eq!((place.tls(), place.port()), (tls, port), "{text}");
        }
        assert_eq!(place("http://[::1]:81/").host(), "::1");
    }

    #[test]
    fn a_password_in_the_url_is_for_the_server_and_nobody_else() {
        let place = place("https://us%40er:p%3Aw@h/a?token=hidden");
        let request = place.request("POST", 7);
        let basic = STANDARD.encode("us@er:p:w");
        assert!(request.contains(&format!("\r\nAuthorization: Basic {basic}\r\n")));
        assert!(request.contains("\r\nHost: h\r\n"));
        assert!(request.contains("\r\nContent-Length: 7\r\n"));
        assert!(request.ends_with("\r\n\r\n"));
        assert_eq!(place.to_string(), "https://h/a?…");
        assert_eq!(format!("{place:?}"), "https://h/a?…");
        let nobody = Receiver::parse("http://h/a", "x").unwrap();
        assert!(!nobody.request("PUT", 7).contains("Authorization"));
        let nameless = Receiver::parse("http://user@h/a", "x").unwrap();
        assert!(
            nameless
                .request("PUT", 7)
                .contains(&STANDARD.encode("user:"))
        );
    }

    #[test]
    fn what_is_no_place_for_a_file_is_none() {
        for text in [
            "",
            "h",
            "ws://h/",
            "ftp://h/",
            "http://",
            "http://a@/",
            "http://h:x/",
        ] {
            assert_eq!(Receiver::parse(text, "x"), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_url_breaks_a_request(host in ".*", path in ".*", user in ".*") {
            if let Some(place) = Receiver::parse(&format!("http://{user}@{host}/{path}"), "x") {
                let request = place.request("PUT", 1);
                prop_assert!((7..=8).contains(&request.matches("\r\n").count()));
                prop_assert_eq!(request.find("\r\n\r\n"), Some(request.len() - 4));
                prop_assert!(request.bytes().all(|it| it.is_ascii_graphic() || b" \r\n".contains(&it)));
            }
        }
    }
}
