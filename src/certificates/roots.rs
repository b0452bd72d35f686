//! Whom we trust, and the judge of chains.
//!
//! The rules, for v1 and v3 alike:
//!
//! - A certificate is trusted that stands in the list itself, or whose chain leads to one that does.
//!   Each link is judged by whose key signed it. The classic recipe gives root and leaf the same
//!   subject easily, so a leaf that looks self-signed need not be.
//! - All of the chain must be valid now, the root too.
//! - Who signs others must say so: `basicConstraints` with `CA:true`, and `keyUsage` with
//!   `keyCertSign` if there is one. X.509 v1 cannot say so. It is taken as a leaf, and as an
//!   authority only where it stands in the list and has signed itself, as a root does: otherwise every
//!   leaf of the recipe could issue certificates in the name of everybody else.
//! - A leaf that stands in the list vouches for itself alone. Tools make leaves that say that they are
//!   authorities; where each certificate is for one wallbox, who has the name of one is a leaf.
//! - What is critical and unknown, and any restriction of names, ends it.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;

use super::certificate::Certificate;
use super::distrust::Distrust;

/// Authorities in a chain.
const DEEPEST: u32 = 8;
/// Signatures that are verified for one chain: a hostile one could offer thousands of ways.
const MOST_SIGNATURES: u32 = 64;

/// Why a leaf vouches for nobody else.
const LEAF: &str = "it has the name of a wallbox, so it vouches for itself alone";

/// What a certificate is presented as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    /// By a backend.
    Server,
    /// By a wallbox.
    Client,
}

/// How a certificate came to be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// It is in the list itself: whatever host it names, it is this one that is meant.
    Listed,
    /// It chains to one that is.
    Chained,
}

/// The certificates that are trusted.
#[derive(Debug, Clone)]
pub struct Roots {
    list: &'static str,
    trusted: Vec<Root>,
    /// Who has one of these names vouches for itself alone.
    leaves: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Root {
    der: CertificateDer<'static>,
    subject: Vec<u8>,
    /// May others come from it? If not, what it lacks.
    signs: Result<(), &'static str>,
    /// It was added to the list, and vouches for others alone: who adds to a list shall not say that
    /// a certificate is good for any host.
    added: bool,
}

impl Roots {
    /// Takes what can be read of these. `list` is how people know them: a key of the configuration.
    pub fn new(
        list: &'static str,
        certificates: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Self {
        let root = |der: CertificateDer<'static>| {
            let certificate = Certificate::parse(&der).ok()?;
            let signs = certificate.vouches_from_a_list();
            let subject = certificate.subject_der().to_vec();
            Some(Root {
                der,
                subject,
                signs,
                added: false,
            })
        };
        Self {
            list,
            trusted: certificates.into_iter().filter_map(root).collect(),
            leaves: Vec::new(),
        }
    }

    /// These, and more, for whatever comes from them.
    #[must_use]
    pub fn with(&self, more: Vec<CertificateDer<'static>>) -> Self {
        let mut all = self.clone();
        let more = Self::new(self.list, more).trusted.into_iter();
        all.trusted.extend(more.map(|root| Root {
            added: true,
            ..root
        }));
        all
    }

    /// Lets no certificate vouch for others that has one of these names, whatever else it says of
    /// itself. Upper and lower case of ASCII letters are the same.
    #[must_use]
    pub fn with_leaves_named(mut self, leaves: impl IntoIterator<Item = String>) -> Self {
        self.leaves = leaves.into_iter().collect();
        for root in &mut self.trusted {
            if Certificate::parse(&root.der).is_ok_and(|it| is_one_of(&it, &self.leaves)) {
                root.signs = Err(LEAF);
            }
        }
        self
    }

    /// Whether who is trusted by another list is trusted by this one.
    pub fn contains(&self, other: &Self) -> bool {
        other.trusted.iter().all(|root| self.trusted.contains(root))
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.trusted.len()
    }

    /// Whether nobody is trusted.
    pub const fn is_empty(&self) -> bool {
        self.trusted.is_empty()
    }

    /// Judges a certificate, with what came beside it in any order.
    ///
    /// # Errors
    /// The rule that it broke.
    pub fn verify(
        &self,
        leaf: &[u8],
        beside: &[CertificateDer<'_>],
        usage: Usage,
        now: Timestamp,
    ) -> Result<Verified, Distrust> {
        let certificate = Certificate::parse(leaf).map_err(|_| Distrust::Unreadable)?;
        certificate.check_validity(now)?;
        let listed = |root: &Root| !root.added && root.der.as_ref() == leaf;
        if self.trusted.iter().any(listed) {
            return Ok(Verified::Listed);
        }
        check_extensions(&certificate, usage)?;
        let beside = beside
            .iter()
            .filter_map(|der| Certificate::parse(der).ok())
            .collect();
        let mut search = Search {
            roots: self,
            beside,
            usage,
            now,
            signatures: MOST_SIGNATURES,
        };
        search.climb(&certificate, 0)?;
        Ok(Verified::Chained)
    }

    fn stranger(&self, certificate: &Certificate<'_>) -> Distrust {
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        let list = self.list;
        if certificate.subject_der() == certificate.issuer_der() {
            Distrust::Stranger { subject, list }
        } else {
            Distrust::UnknownIssuer {
                subject,
                issuer,
                list,
            }
        }
    }
}

/// The search for a way from a certificate to a root.
struct Search<'a> {
    roots: &'a Roots,
    beside: Vec<Certificate<'a>>,
    usage: Usage,
    now: Timestamp,
    /// How many signatures may still be verified.
    signatures: u32,
}

impl Search<'_> {
    /// Looks for the issuer of a certificate that has so many authorities below it.
    fn climb(&mut self, below: &Certificate<'_>, authorities: u32) -> Result<(), Distrust> {
        if authorities > DEEPEST {
            return Err(too_long(below));
        }
        let mut why = None;
        let roots = self.roots;
        for root in &roots.trusted {
            if root.subject != below.issuer_der() {
                continue;
            }
            let issuer = Certificate::parse(&root.der).map_err(|_| Distrust::Unreadable)?;
            match self.step(below, &issuer, root.signs, authorities) {
                Ok(()) => return Ok(()),
                Err(error) => why = why.or(Some(error)),
            }
        }
        for at in 0..self.beside.len() {
            let Some(issuer) = self.beside.get(at) else {
                break;
            };
            // A root leads nowhere by itself.
            if issuer.subject_der() != below.issuer_der() || issuer.der() == below.der() {
                continue;
            }
            let issuer = issuer.clone();
            let signs = match issuer.authority() {
                _ if is_one_of(&issuer, &roots.leaves) => Err(LEAF),
                Some(true) => issuer.may_sign(),
                Some(false) => Err("its basicConstraints say so"),
                None if issuer.version() < 3 => Err("X.509 v1 cannot say that it is one"),
                None => Err("it has no basicConstraints"),
            };
            let step = self.step(below, &issuer, signs, authorities);
            match step.and_then(|()| self.climb(&issuer, authorities + 1)) {
                Ok(()) => return Ok(()),
                Err(error) => why = why.or(Some(error)),
            }
        }
        Err(why.unwrap_or_else(|| roots.stranger(below)))
    }

    /// Judges one link of the chain.
    fn step(
        &mut self,
        below: &Certificate<'_>,
        issuer: &Certificate<'_>,
        signs: Result<(), &'static str>,
        authorities: u32,
    ) -> Result<(), Distrust> {
        let Some(signatures) = self.signatures.checked_sub(1) else {
            return Err(too_long(below));
        };
        self.signatures = signatures;
        below.check_signature(issuer)?;
        signs.map_err(|why| Distrust::NoAuthority {
            subject: below.subject(),
            issuer: issuer.subject(),
            why,
            list: self.roots.list,
        })?;
        if issuer.path_length().is_some_and(|most| authorities > most) {
            return Err(too_long(below));
        }
        issuer.check_validity(self.now)?;
        check_extensions(issuer, self.usage)
    }
}

fn is_one_of(certificate: &Certificate<'_>, leaves: &[String]) -> bool {
    let names = certificate.names();
    let is_named = |leaf: &String| names.iter().any(|it| it.eq_ignore_ascii_case(leaf));
    leaves.iter().any(is_named)
}

fn too_long(certificate: &Certificate<'_>) -> Distrust {
    Distrust::TooLong {
        subject: certificate.subject(),
    }
}

/// Whether everything that it demands is understood, and it is for this.
///
/// # Errors
/// When it is not.
pub(super) fn check_extensions(
    certificate: &Certificate<'_>,
    usage: Usage,
) -> Result<(), Distrust> {
    let subject = || certificate.subject();
    if let Some(extension) = certificate.critical_stranger() {
        return Err(Distrust::Extension {
            subject: subject(),
            extension,
        });
    }
    if certificate.serves(usage) {
        return Ok(());
    }
    let purpose = match usage {
        Usage::Server => "servers (serverAuth)",
        Usage::Client => "clients (clientAuth)",
    };
    Err(Distrust::Purpose {
        subject: subject(),
        purpose,
    })
}
