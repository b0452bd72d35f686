//! Certificates as installers make them with openssl: judged, read, and over sockets.

mod backends;
mod chains;
mod daemon;
mod ends;
mod files;
mod fingerprints;
pub(crate) mod openssl;
mod system;
mod wallboxes;
