//! Why a backend connection does not come about.

use thiserror::Error;

/// Why an attempt to reach a backend came to nothing. Shown, it is a sentence for the log, with the
/// remedy where there is one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DialFailure {
    /// No address, no connection or no answer; says which.
    #[error("the backend cannot be reached: {0}")]
    Unreachable(String),
    /// HTTP 401 or 403.
    #[error("the backend refuses these credentials: check client-id and password")]
    Unauthorized,
    /// HTTP 404.
    #[error(
        "the backend does not know this charge point (HTTP 404): check url, client-id and append-id"
    )]
    NotFound,
    /// Any other HTTP status.
    #[error("the backend answers HTTP {0} instead of opening a WebSocket{hint}", hint = hint(*.0))]
    Refused(u16),
    /// The TLS handshake came to nothing; says why.
    #[error("no TLS connection with the backend: {0}")]
    Tls(String),
    /// Its certificate is not trusted; says why.
    #[error("no TLS connection with the backend: {0}")]
    Distrusted(String),
    /// It sent us elsewhere and we do not go there; says why.
    #[error("the backend's redirect is not followed: {0}; write the final address into url")]
    Redirected(String),
    /// It answers, but opens no WebSocket; says why.
    #[error(
        "the backend does not open a WebSocket: {0}; check url, also whether it is ws:// or wss://"
    )]
    NoUpgrade(String),
}

/// A trouble of the server's own passes without us.
const fn hint(status: u16) -> &'static str {
    match status {
        408 | 429 | 500.. => "",
        _ => ": check url",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_is_one_sentence_with_its_remedy() {
        for (failure, sentence) in [
            (
                DialFailure::Unreachable("connection refused".into()),
                "the backend cannot be reached: connection refused",
            ),
            (
                DialFailure::Refused(400),
                "the backend answers HTTP 400 instead of opening a WebSocket: check url",
            ),
            (
                DialFailure::Refused(503),
                "the backend answers HTTP 503 instead of opening a WebSocket",
            ),
            (
                DialFailure::Redirected("more than 3 redirects".into()),
                "the backend's redirect is not followed: more than 3 redirects; write the final \
                 address into url",
            ),
        ] {
            assert_eq!(failure.to_string(), sentence);
        }
    }
}
