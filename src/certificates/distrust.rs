//! Why a certificate is not trusted.

use jiff::Timestamp;
use thiserror::Error;

/// The rule that a certificate broke, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Distrust {
    /// Its bytes make no sense.
    #[error("what was presented as a certificate is none")]
    Unreadable,
    /// Its time is over.
    #[error("the certificate {subject} ended on {until}: it needs a new one")]
    Expired {
        /// Which one.
        subject: String,
        /// When.
        until: Timestamp,
    },
    /// Its time has not begun.
    #[error(
        "the certificate {subject} begins on {from}, and the clock of this machine says {now}: \
         one of the two clocks is wrong"
    )]
    NotYetValid {
        /// Which one.
        subject: String,
        /// When.
        from: Timestamp,
        /// What time it is here.
        now: Timestamp,
    },
    /// Nobody who is trusted has issued it.
    #[error(
        "the certificate {subject} comes from {issuer}, which is not in {list} and is not \
         vouched for by what is: add the certificate of {issuer}, or this one itself, to {list}"
    )]
    UnknownIssuer {
        /// Which one.
        subject: String,
        /// Who issued it.
        issuer: String,
        /// The key of the configuration.
        list: &'static str,
    },
    /// It names itself as its issuer, and is not trusted.
    #[error(
        "the certificate {subject} names nobody but itself as its issuer and is not in {list}: add \
         it to {list} if it is the right one"
    )]
    Stranger {
        /// Which one.
        subject: String,
        /// The key of the configuration.
        list: &'static str,
    },
    /// The named issuer has not signed it.
    #[error(
        "the certificate {subject} names {issuer} as its issuer, but another key signed it: an \
         older or newer root of the same name, or a forgery"
    )]
    NotSigned {
        /// Which one.
        subject: String,
        /// Who did not.
        issuer: String,
    },
    /// Signed in a way that is not taken.
    #[error(
        "the certificate {subject} is signed with {algorithm}, which is not taken: make it with SHA-256"
    )]
    Algorithm {
        /// Which one.
        subject: String,
        /// How it is signed.
        algorithm: String,
    },
    /// The key of its issuer is too short.
    #[error("the RSA key of {subject} is shorter than 2048 bits: it needs a longer one")]
    WeakKey {
        /// Whose.
        subject: String,
    },
    /// Its issuer may issue none.
    #[error(
        "the certificate {subject} was issued by {issuer}, which is no authority: {why}; put \
         {subject} itself or its root into {list}"
    )]
    NoAuthority {
        /// Which one.
        subject: String,
        /// By whom.
        issuer: String,
        /// What it lacks.
        why: &'static str,
        /// The key of the configuration.
        list: &'static str,
    },
    /// It says something that has to be understood.
    #[error(
        "the certificate {subject} has the critical extension {extension}, which is unknown here"
    )]
    Extension {
        /// Which one.
        subject: String,
        /// The extension's number.
        extension: String,
    },
    /// It is for other purposes.
    #[error(
        "the certificate {subject} is not for {purpose}: its extendedKeyUsage names other purposes"
    )]
    Purpose {
        /// Which one.
        subject: String,
        /// What it would be needed for.
        purpose: &'static str,
    },
    /// Too many steps to a root.
    #[error("the chain of the certificate {subject} is too long")]
    TooLong {
        /// Which one.
        subject: String,
    },
    /// It is for another host.
    #[error(
        "the certificate {subject} is for {}, not for {host}: correct the url, or write \
         verify-hostname = false, or put the certificate itself into ca", .hosts.join(", ")
    )]
    OtherHost {
        /// Which one.
        subject: String,
        /// The host of the address.
        host: String,
        /// Those of the certificate.
        hosts: Vec<String>,
    },
    /// It is for no host.
    #[error(
        "the certificate {subject} names no host (it has no subjectAltName), so it cannot be for \
         {host}: write verify-hostname = false, or put the certificate itself into ca"
    )]
    NoHost {
        /// Which one.
        subject: String,
        /// The host of the address.
        host: String,
    },
}
