//! Where a backend is and who calls it, and where its redirects may lead.

use thiserror::Error;

use super::url::Url;
use crate::net::directory::Password;
use crate::net::handshake::for_people;

/// A backend, and as whom it is called.
#[derive(Debug, Clone)]
pub struct Target {
    url: Url,
    client_id: String,
    password: Option<Password>,
    /// The host of the configuration: no other is told the password.
    home: String,
}

/// A URL that leads to no WebSocket server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not the address of a WebSocket server: {0}")]
pub struct NotAUrl(pub String);

/// Why a redirect is not followed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RedirectError {
    /// It leads to no WebSocket server; how it is written.
    #[error("it leads to no WebSocket server: {0}")]
    NotAUrl(String),
    /// It leads from `wss://` to `ws://`; where to.
    #[error("it leads from wss:// to {0}, which is not encrypted")]
    Downgrade(String),
    /// One redirect more than are followed; where the last one leads.
    #[error("there are too many, the last one to {0}")]
    TooMany(String),
    /// Another host asks for the password; which address.
    #[error("{0} asks for the password, which is only told to the host in url")]
    Stranger(String),
}

impl Credentials {
    /// The other form.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::AsWritten => Self::Decoded,
            Self::Decoded => Self::AsWritten,
        }
    }
}

/// How a password is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// As it stands in the configuration.
    AsWritten,
    /// As the bytes that its hexadecimal digits stand for (OCPP 1.6 security white paper §3.2).
    Decoded,
}

impl Target {
    /// `url` is `ws://` or `wss://`, its path and query are kept; with `append_id` the client id
    /// is appended to the path, percent-encoded (OCPP-J 1.6 §3.1.1).
    ///
    /// # Errors
    /// If `url` is no such address.
    pub fn new(url: &str, client_id: &str, append_id: bool) -> Result<Self, NotAUrl> {
        let parsed = Url::parse(url).ok_or_else(|| NotAUrl(url.to_owned()))?;
        Ok(Self {
            home: parsed.host.clone(),
            url: if append_id {
                parsed.join(client_id)
            } else {
                parsed
            },
            client_id: client_id.to_owned(),
            password: None,
        })
    }

    /// The same address, with another password or none.
    #[must_use]
    pub fn with_password(self, password: Option<Password>) -> Self {
        Self { password, ..self }
    }

    /// Whether it is `wss://`.
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

    /// What the header `Host` says.
    pub fn authority(&self) -> String {
        self.url.authority()
    }

    /// Path and query, as a request line takes them.
    pub fn request_target(&self) -> &str {
        &self.url.path
    }

    /// As whom the backend is called.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The address for the log: without password, and without what stands in the query.
    pub fn url(&self) -> String {
        self.url.to_string()
    }

    /// User and password for HTTP Basic; `None` where there is no password, or not in this form,
    /// or where it is not for this host.
    pub fn credentials(&self, form: Credentials) -> Option<Vec<u8>> {
        let password = self.password.as_ref().filter(|_| self.is_home())?;
        let mut text = format!("{}:", self.client_id).into_bytes();
        match form {
            Credentials::AsWritten => text.extend_from_slice(password.as_bytes()),
            Credentials::Decoded => text.extend_from_slice(&password.decoded()?),
        }
        Some(text)
    }

    /// In which form the password is sent first. Who sets a key means its bytes (OCPP 1.6 security
    /// white paper §3.2); who writes digits into a configuration may mean either.
    pub fn first_form(&self) -> Credentials {
        let is_key = |it: &Password| it.is_key() && it.decoded().is_some();
        if self.password.as_ref().is_some_and(is_key) {
            Credentials::Decoded
        } else {
            Credentials::AsWritten
        }
    }

    /// There is a password that this host is not told.
    pub fn withholds_password(&self) -> bool {
        self.password.is_some() && !self.is_home()
    }

    /// Where a `Location` leads.
    ///
    /// # Errors
    /// If it leads nowhere, or out of the encryption.
    pub fn redirected(&self, location: &str) -> Result<Self, RedirectError> {
        let url = self
            .url
            .resolve(location)
            .ok_or_else(|| RedirectError::NotAUrl(for_people(location)))?;
        if self.url.tls && !url.tls {
            return Err(RedirectError::Downgrade(url.to_string()));
        }
        Ok(Self {
            url,
            ..self.clone()
        })
    }

    fn is_home(&self) -> bool {
        self.url.host.eq_ignore_ascii_case(&self.home)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "00112233445566778899AABBCCDDEEFF";

    fn target(url: &str) -> Target {
        Target::new(url, "DE*1", true)
            .unwrap()
            .with_password(Some(Password::new(KEY)))
    }

    #[test]
    fn the_id_is_appended_or_the_url_stays_as_written() {
        let appended = target("wss://h/ocpp/");
        assert_eq!(appended.request_target(), "/ocpp/DE%2A1");
        assert_eq!(appended.url(), "wss://h/ocpp/DE%2A1");
        assert_eq!(
            (appended.host(), appended.port(), appended.tls()),
            ("h", 443, true)
        );
        let complete = Target::new("ws://h:81/ocpp/?id=1", "DE*1", false).unwrap();
        assert_eq!(complete.request_target(), "/ocpp/?id=1");
        assert_eq!(complete.authority(), "h:81");
        assert!(Target::new("h/ocpp", "DE*1", true).is_err());
    }

    #[test]
    fn the_password_is_sent_as_written_or_decoded() {
        let target = target("ws://h");
        let written = target.credentials(Credentials::AsWritten).unwrap();
        assert_eq!(written, format!("DE*1:{KEY}").into_bytes());
        let decoded = target.credentials(Credentials::Decoded).unwrap();
        assert_eq!(decoded.len(), 5 + 16);
        assert!(decoded.ends_with(b"\xEE\xFF"));
        for (password, decoded) in [("short", false), (&KEY[1..], false), (KEY, true)] {
            let password = Some(Password::new(password));
            let target = Target::new("ws://h", "DE*1", true)
                .unwrap()
                .with_password(password);
            assert!(target.credentials(Credentials::AsWritten).is_some());
            assert_eq!(target.credentials(Credentials::Decoded).is_some(), decoded);
        }
        let without = Target::new("ws://h", "DE*1", true).unwrap();
        assert_eq!(without.credentials(Credentials::AsWritten), None);
        assert!(!without.withholds_password());
    }

    #[test]
    fn a_redirect_leads_to_other_paths_hosts_and_into_tls() {
        let start = target("ws://h/ocpp");
        for (location, url) in [
            ("/v2/DE%2A1", "ws://h/v2/DE%2A1"),
            ("CB", "ws://h/ocpp/CB"),
            ("https://other:8443/x", "wss://other:8443/x"),
            ("http://h/y", "ws://h/y"),
        ] {
            assert_eq!(start.redirected(location).unwrap().url(), url);
        }
    }

    #[test]
    fn a_redirect_out_of_tls_or_to_nowhere_is_an_error() {
        let start = target("wss://h/ocpp");
        for location in ["ws://h/x", "http://h/x"] {
            assert_eq!(
                start.redirected(location).unwrap_err(),
                RedirectError::Downgrade("ws://h/x".into())
            );
        }
        let upgraded = target("ws://h").redirected("wss://h/").unwrap();
        assert!(upgraded.redirected("ws://h/").is_err());
        assert_eq!(
            start.redirected("mailto:\u{7}me").unwrap_err(),
            RedirectError::NotAUrl("mailto:\u{FFFD}me".into())
        );
    }

    #[test]
    fn no_other_host_is_told_the_password() {
        let start = target("wss://Backend.example/ocpp");
        let told = |target: &Target| target.credentials(Credentials::AsWritten).is_some();
        let moved = start.redirected("wss://backend.EXAMPLE:444/x").unwrap();
        assert!(told(&moved) && !moved.withholds_password());
        let stranger = start.redirected("wss://evil.example/x").unwrap();
        assert!(!told(&stranger) && stranger.withholds_password());
        assert_eq!(stranger.credentials(Credentials::Decoded), None);
        assert!(told(
            &stranger.redirected("wss://backend.example/").unwrap()
        ));
    }

    #[test]
    fn a_password_is_not_shown() {
        let shown = format!("{:?}", target("ws://h"));
        assert!(!shown.contains(KEY), "{shown}");
    }
}
