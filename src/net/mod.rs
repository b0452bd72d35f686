//! HTTP upgrade, WebSocket and TLS.
//!
//! [`http`], [`directory`] and [`handshake`] are pure, and so is what [`client`] says and
//! understands; the others know sockets and files, but no clock and no task.

pub mod client;
pub mod directory;
pub mod handshake;
mod hello;
pub mod http;
pub mod issue;
pub mod self_signed;
pub mod tls;
pub mod transport;
pub mod websocket;
