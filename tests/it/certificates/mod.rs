//! Certificates as installers make them with openssl: judged, read, and over sockets.

mod backends;
mod chains;
mod daemon;
mod files;
pub(crate) mod openssl;
mod wallboxes;
