//! How a simulated wallbox reaches its central system: ws and wss, any server certificate.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, ClientConfig, DigitallySignedStruct, Error as TlsError, SignatureScheme,
};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::{
    AUTHORIZATION, InvalidHeaderValue, SEC_WEBSOCKET_PROTOCOL,
};
use tokio_tungstenite::tungstenite::{self, handshake::client::Request};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::ids::ChargeBoxId;

/// A connection must stand within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Bytes in both directions, encrypted or not.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A WebSocket to a central system.
pub(super) type Socket = WebSocketStream<Box<dyn Stream>>;

/// Where the central system is and who calls.
#[derive(Debug, Clone)]
pub struct Target {
    request: Request,
    host: String,
    port: u16,
    tls: bool,
}

/// A [`Target`] that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// No URL, or one without a host.
    #[error("not the URL of a central system: {url}")]
    Url {
        /// As it was given.
        url: String,
    },
    /// Neither ws:// nor wss://.
    #[error("the URL begins with neither ws:// nor wss://: {url}")]
    Scheme {
        /// As it was given.
        url: String,
    },
    /// The password contains what no header can carry.
    #[error("the password cannot be sent")]
    Password(#[from] InvalidHeaderValue),
}

/// Why a connection does not come about.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("no answer in time")]
    Timeout,
    #[error(transparent)]
    Io(#[from] std::io::Error),
    #[error("not a host name")]
    Name(#[from] InvalidDnsNameError),
    #[error(transparent)]
    WebSocket(#[from] tungstenite::Error),
}

impl Target {
    /// `url` is that of the central system, to which the ChargeBox ID is appended; `password` is
    /// for HTTP Basic.
    ///
    /// # Errors
    /// If this can be no address of a central system.
    pub fn new(url: &str, id: &ChargeBoxId, password: Option<&str>) -> Result<Self, TargetError> {
        let wrong = || TargetError::Url {
            url: url.to_owned(),
        };
        let whole = format!(
            "{}/{}",
            url.trim_end_matches('/'),
            percent_encode(id.as_str())
        );
        let mut request = whole.into_client_request().map_err(|_| wrong())?;
        let tls = match request.uri().scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => {
                return Err(TargetError::Scheme {
                    url: url.to_owned(),
                });
            }
        };
        let host = request.uri().host().ok_or_else(wrong)?;
        let host = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let port = request
            .uri()
            .port_u16()
            .unwrap_or(if tls { 443 } else { 80 });
        let headers = request.headers_mut();
        let protocol = HeaderValue::from_static("ocpp1.6");
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
        if let Some(password) = password {
            let credentials = STANDARD.encode(format!("{id}:{password}"));
            let mut value = HeaderValue::try_from(format!("Basic {credentials}"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        Ok(Self {
            request,
            host,
            port,
            tls,
        })
    }

    pub(super) async fn dial(self) -> Result<Socket, DialError> {
        timeout(PATIENCE, self.connect())
            .await
            .map_err(|_| DialError::Timeout)?
    }

    async fn connect(self) -> Result<Socket, DialError> {
        let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = if self.tls {
            let name = ServerName::try_from(self.host)?;
            let connector = TlsConnector::from(any_certificate()?);
            Box::new(connector.connect(name, tcp).await?)
        } else {
            Box::new(tcp)
        };
        let (socket, _) = client_async(self.request, stream).await?;
        Ok(socket)
    }
}

/// Everything but RFC 3986's unreserved characters.
fn percent_encode(id: &str) -> String {
    id.bytes()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

fn any_certificate() -> Result<Arc<ClientConfig>, std::io::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Like most wallboxes without a stored CA: whoever answers is the central system.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str, id: &str) -> Result<Target, TargetError> {
        Target::new(url, &id.into(), Some("secret"))
    }

    #[test]
    fn the_id_is_appended_after_exactly_one_slash_and_percent_encoded() {
        for url in ["ws://h:19520/ocpp", "ws://h:19520/ocpp/"] {
            let target = target(url, "RDAM 123").unwrap();
            assert_eq!(target.request.uri().path(), "/ocpp/RDAM%20123");
            assert_eq!(
                (target.host.as_str(), target.port, target.tls),
                ("h", 19520, false)
            );
        }
        let target = target("wss://[::1]", "A").unwrap();
        assert_eq!(
            (target.host.as_str(), target.port, target.tls),
            ("::1", 443, true)
        );
        let password = &target.request.headers()[AUTHORIZATION];
        assert_eq!(password.to_str().unwrap(), "Basic QTpzZWNyZXQ=");
    }

    #[test]
    fn what_is_no_address_of_a_central_system_is_refused() {
        assert!(matches!(
            target("http://h", "A"),
            Err(TargetError::Scheme { .. })
        ));
        assert!(matches!(
            target("nonsense here", "A"),
            Err(TargetError::Url { .. })
        ));
    }
}
