//! Real sockets: what a client can do to the server, and what it cannot.

mod hostile;
pub(crate) mod lab;
mod links;
mod tls;

pub(crate) use lab::Log;
