//! HTTP upgrade, WebSocket and TLS.
