//! The certificate that is made at first start, so that `wss://` works out of the box.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use jiff::{Span, Timestamp, ToSpan as _, civil::Date, civil::date, tz::TimeZone};
use thiserror::Error;

use super::issue::{self, Issued, Name, Subject};
use crate::certificates::{Certificate, Identity, IdentityError};

/// Name of the certificate in the state directory.
pub const CERTIFICATE: &str = "server.crt";
/// Name of its private key in the state directory.
pub const KEY: &str = "server.key";

/// Years until the certificate ends.
const YEARS: i32 = 10;
/// A Pi without network starts in the past: no certificate is dated before this program.
const EARLIEST: Date = date(2026, 1, 1);

/// The pair as it was found or made.
#[derive(Debug)]
pub struct SelfSigned {
    /// Certificate and key.
    pub identity: Identity,
    /// What happened.
    pub origin: Origin,
}

/// Where a pair comes from.
#[derive(Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was there.
    Kept,
    /// There was none: made now.
    Made,
    /// It had ended: set aside as `*.ended`, made anew.
    Renewed,
    /// What was there was damaged or half: set aside as `*.damaged`, made anew. Says why.
    MadeAnew(String),
}

/// Why there is no certificate.
#[derive(Debug, Error)]
pub enum SelfSignedError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The certificate cannot be made.
    #[error("making a certificate: {0}")]
    Make(#[from] rcgen::Error),
    /// What was made does not serve.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

/// Loads the pair of the state directory, or makes one where there is none that still holds: EC
/// P-256, ten years, for the host name, localhost and these addresses.
///
/// # Errors
/// When the directory cannot be read or written.
pub fn load_or_make(
    state_dir: &Path,
    host_name: &str,
    addresses: &[IpAddr],
    now: Timestamp,
) -> Result<SelfSigned, SelfSignedError> {
    let certificate = File::read(state_dir.join(CERTIFICATE))?;
    let key = File::read(state_dir.join(KEY))?;
    let origin = match (&certificate.bytes, &key.bytes) {
        (None, None) => Origin::Made,
        (Some(_), None) => Origin::MadeAnew(format!("{KEY} is missing")),
        (None, Some(_)) => Origin::MadeAnew(format!("{CERTIFICATE} is missing")),
        (Some(chain), Some(secret)) => match Identity::from_pem(chain, secret) {
            Ok(identity) if has_ended(&identity, now) => Origin::Renewed,
            Ok(identity) => {
                key.hide()?;
                let origin = Origin::Kept;
                return Ok(SelfSigned { identity, origin });
            }
            Err(error) => Origin::MadeAnew(error.to_string()),
        },
    };
    let aside = match origin {
        Origin::Renewed => "ended",
        _ => "damaged",
    };
    certificate.set_aside(aside)?;
    key.set_aside(aside)?;
    let made = make(host_name, addresses, now)?;
    let identity = Identity::from_pem(made.pem.as_bytes(), made.key.as_bytes())?;
    // The key first: a certificate alone would look as if its key had been lost.
    key.write(made.key.as_bytes(), 0o600)?;
    certificate.write(made.pem.as_bytes(), 0o644)?;
    Ok(SelfSigned { identity, origin })
}

fn has_ended(identity: &Identity, now: Timestamp) -> bool {
    let own = identity.chain().first();
    let own = own.and_then(|der| Certificate::parse(der).ok());
    own.is_some_and(|own| own.not_after() < now)
}

fn make(host_name: &str, addresses: &[IpAddr], now: Timestamp) -> Result<Issued, rcgen::Error> {
    let common_name = match host_name {
        "" => "chargewarden",
        name => name,
    };
    let subject = Subject {
        common_name: common_name.to_owned(),
        ..Subject::default()
    };
    issue::self_signed(
        &subject,
        &own_names(host_name, addresses),
        days(now, YEARS.years()),
    )
}

/// What this machine can be called by: its host name (left out where it fits no certificate: its
/// addresses remain), localhost and its addresses.
pub fn own_names(host_name: &str, addresses: &[IpAddr]) -> Vec<Name> {
    let hosts = [host_name, "localhost"];
    let loopback = [[127, 0, 0, 1].into(), IpAddr::V6(1u128.into())];
    let addresses = addresses.iter().chain(&loopback).copied();
    let hosts = hosts.into_iter().filter_map(Name::parse);
    hosts.chain(addresses.map(Name::Address)).collect()
}

/// From yesterday, because clocks differ, until the end of a `span` that begins today.
pub fn days(now: Timestamp, span: Span) -> [Date; 2] {
    let today = now.to_zoned(TimeZone::UTC).date().max(EARLIEST);
    [today.saturating_sub(1.day()), today.saturating_add(span)]
}

/// One of the two files.
struct File {
    path: PathBuf,
    bytes: Option<Vec<u8>>,
}

impl File {
    fn read(path: PathBuf) -> Result<Self, SelfSignedError> {
        let bytes = match fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(SelfSignedError::File { path, error }),
        };
        Ok(Self { path, bytes })
    }

    fn set_aside(&self, extension: &str) -> Result<(), SelfSignedError> {
        if self.bytes.is_some() {
            let aside = beside(&self.path, extension);
            fs::rename(&self.path, aside).map_err(|error| self.error(error))?;
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8], mode: u32) -> Result<(), SelfSignedError> {
        replace(&self.path, bytes, mode).map_err(|error| self.error(error))
    }

    /// Takes away what others may do with it.
    fn hide(&self) -> Result<(), SelfSignedError> {
        let hide = || {
            let mode = fs::metadata(&self.path)?.permissions().mode();
            if mode & 0o777 == 0o600 {
                return Ok(());
            }
            fs::set_permissions(&self.path, Permissions::from_mode(0o600))
        };
        hide().map_err(|error| self.error(error))
    }

    fn error(&self, error: io::Error) -> SelfSignedError {
        SelfSignedError::File {
            path: self.path.clone(),
            error,
        }
    }
}

/// Writes a file beside and renames it: it is whole or not there, and never open to others.
///
/// # Errors
/// Those of the file system.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let new = beside(path, "new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    fn now() -> Timestamp {
        "2028-02-29T12:00:00Z".parse().unwrap()
    }

    fn load(dir: &Path) -> Origin {
        let addresses = ["192.168.1.5".parse().unwrap()];
        load_or_make(dir, "pi", &addresses, now()).unwrap().origin
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_pair_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(load(dir.path()), Origin::Made);
        let files = || [CERTIFICATE, KEY].map(|name| fs::read(dir.path().join(name)).unwrap());
        let made = files();
        assert_eq!(load(dir.path()), Origin::Kept);
        assert_eq!(files(), made);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_key_is_for_its_owner_alone_and_stays_so() {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        let key = dir.path().join(KEY);
        assert_eq!(mode(&key), 0o600);
        fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load(dir.path()), Origin::Kept);
        assert_eq!(mode(&key), 0o600);
    }

    #[test]
    fn half_a_pair_is_set_aside_and_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        load(dir.path());
        fs::remove_file(dir.path().join(CERTIFICATE)).unwrap();
        assert_eq!(
            load(dir.path()),
            Origin::MadeAnew("server.crt is missing".into())
        );
        assert!(dir.path().join("server.key.damaged").exists());
        assert_eq!(mode(&dir.path().join("server.key.damaged")), 0o600);
        assert_eq!(load(dir.path()), Origin::Kept);
    }

    #[test]
    fn a_damaged_pair_is_set_aside_and_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        for (name, damage) in [(CERTIFICATE, ""), (CERTIFICATE, "x"), (KEY, "x"), (KEY, "")] {
            load(dir.path());
            fs::write(dir.path().join(name), damage).unwrap();
            assert!(matches!(load(dir.path()), Origin::MadeAnew(_)), "{name}");
            let aside = dir.path().join(format!("{name}.damaged"));
            assert_eq!(fs::read_to_string(aside).unwrap(), damage);
        }
    }

    #[test]
    fn what_has_ended_is_set_aside_and_made_anew_for_another_ten_years() {
        let dir = tempfile::tempdir().unwrap();
        let load_at = |at: &str| {
            let loaded = load_or_make(dir.path(), "pi", &[], at.parse().unwrap());
            loaded.unwrap().origin
        };
        assert_eq!(load_at("2028-02-29T12:00:00Z"), Origin::Made);
        let files = || [CERTIFICATE, KEY].map(|name| fs::read(dir.path().join(name)).unwrap());
        let old = files();
        assert_eq!(load_at("2038-02-28T00:00:00Z"), Origin::Kept);
        assert_eq!(load_at("2038-02-28T00:00:01Z"), Origin::Renewed);
        let aside = [CERTIFICATE, KEY].map(|name| dir.path().join(format!("{name}.ended")));
        assert_eq!(aside.each_ref().map(|it| fs::read(it).unwrap()), old);
        assert_eq!(mode(&aside[1]), 0o600);
        assert_eq!(mode(&dir.path().join(KEY)), 0o600);
        let new = files();
        assert!(new != old, "the key is another one, too");
        assert_eq!(load_at("2048-02-27T00:00:00Z"), Origin::Kept);
        assert_eq!(files(), new);
    }

    #[test]
    fn what_a_crash_left_half_written_does_no_harm() {
        let dir = tempfile::tempdir().unwrap();
        let stale = dir.path().join("server.key.new");
        fs::write(&stale, "half a k").unwrap();
        assert_eq!(load(dir.path()), Origin::Made);
        assert!(!stale.exists());
        assert_eq!(mode(&dir.path().join(KEY)), 0o600);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let error = load_or_make(Path::new("/nonexistent"), "pi", &[], now()).unwrap_err();
        assert!(
            error.to_string().starts_with("/nonexistent/server.key: "),
            "{error}"
        );
    }

    #[test]
    fn it_names_the_host_and_its_addresses_for_ten_years() {
        let addresses = ["192.168.1.5".parse().unwrap()];
        let made = make("pi", &addresses, now()).unwrap();
        let der = CertificateDer::from_pem_slice(made.pem.as_bytes()).unwrap();
        for part in [
            &b"\x82\x02pi\x82\x09localhost\x87\x04\xc0\xa8\x01\x05\x87\x04\x7f\0\0\x01\x87\x10\0\0\0"[..],
            b"280228000000Z",
            b"380228000000Z",
        ] {
            assert!(
                der.windows(part.len()).any(|bytes| bytes == part),
                "{}",
                part.escape_ascii()
            );
        }
    }

    #[test]
    fn odd_host_names_and_a_clock_in_1970_still_make_a_certificate() {
        for name in ["", "büro-pi", "a b", "pi.fritz.box"] {
            let made = make(name, &[], Timestamp::UNIX_EPOCH).unwrap();
            assert!(made.pem.starts_with("-----BEGIN CERTIFICATE-----"));
        }
    }
}
