//! Real sockets: what a client can do to the server, and what it cannot.

mod hostile;
mod lab;
mod links;
mod tls;

pub(crate) use lab::Log;
