//! Real sockets: how we call a backend, and what it can do to us.

pub(crate) mod lab;
mod links;
mod redirects;
mod tls;
mod upgrade;
