//! HTTP upgrade, WebSocket and TLS.
//!
//! [`http`], [`directory`] and [`handshake`] are pure; the others know sockets and files, but no
//! clock and no task.

pub mod directory;
pub mod handshake;
pub mod http;
pub mod self_signed;
pub mod tls;
pub mod transport;
pub mod websocket;
